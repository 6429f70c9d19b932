"""Pumps: a row each, and one pump with its doses, order, alerts, and where its level goes."""

import heapq
from typing import Annotated

from msgspec import Meta, Struct

from infusion import level
from infusion.alarms import Priority
from infusion.alert import Alert
from infusion.alerts import open_alerts, unseen_alerts
from infusion.dose import doses
from infusion.messages import Presence
from infusion.monitor import Monitor
from infusion.prescription import Prescription
from infusion.record import Record
from infusion.state import PumpState
from monitor.web.api.office import Office, cursor, read_cursor
from monitor.web.operations import (
    PREFIX,
    Call,
    CursorText,
    Limit,
    Nothing,
    Operation,
    Search,
    Site,
)
from monitor.web.rows import Dose, PumpPage, PumpRow, pump_row


class PumpQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which pumps are asked for."""

    site: Site = ""
    q: Search = ""
    worst: Annotated[
        Priority | None, Meta(description="only those whose worst open alert has this priority")
    ] = None
    limit: Limit = 100
    cursor: CursorText = ""


class LevelForecast(Struct, frozen=True):
    """Where the level in the blood goes in `hours` if the programmed rate goes on: an estimate.

    `level` in IU/mL is expected at `at_ms` (the pump's clock), between `low` and `high` by 90 %; by
    `share_below` and `share_above` it is outside of the range that is aimed at.
    """

    hours: float
    at_ms: int
    level: float
    low: float
    high: float
    range_low: float
    range_high: float
    share_below: float
    share_above: float


class PumpView(Struct, frozen=True, omit_defaults=True):
    """One pump whole. `doses` are delivered against ordered by window (`1h`, `24h`, `therapy`, …);
    `prescription` is the order in force of the therapy that it gives."""

    row: PumpRow
    alerts: list[Alert]
    unseen: list[Alert]
    doses: dict[str, Dose]
    presence: Presence | None = None
    prescription: Prescription | None = None
    forecast: LevelForecast | None = None


async def list_pumps(office: Office, call: Call[PumpQuery]) -> PumpPage:
    """Every pump that was ever heard of, by site and name, as it stands."""
    query, monitor = call.given, office.ward.monitor
    place = read_cursor("pumps", query.cursor)
    after = place.after if place is not None and isinstance(place.after, str) else ""
    text = query.q.casefold()
    found = heapq.nsmallest(
        query.limit + 1,
        (
            key
            for key, state in monitor.pumps.items()
            if key > after
            and (not query.site or state.site == query.site)
            and (query.worst is None or _worst(state) is query.worst)
            and (not text or _has(monitor, key, state, text))
        ),
    )
    shown = found[: query.limit]
    rows = [pump_row(monitor, key) for key in shown]
    return PumpPage(rows, cursor("pumps", shown[-1]) if len(found) > query.limit else None)


async def show_pump(office: Office, call: Call[Nothing]) -> PumpView:
    """One pump: its row, alerts, doses over the windows that matter, order, and forecast."""
    key, state = office.pump(call.path["site"], call.path["pump"])
    monitor = office.ward.monitor
    record = monitor.therapies.record_of(key, state)
    order = record.order if record is not None else None
    return PumpView(
        row=pump_row(monitor, key),
        alerts=list(open_alerts(state.board)),
        unseen=list(unseen_alerts(state.board)),
        doses=_doses(monitor, key, state),
        presence=state.presence,
        prescription=order.prescription if order is not None else None,
        forecast=_forecast(monitor, key, state, record),
    )


def _worst(state: PumpState) -> Priority | None:
    opened = [t.alert.priority for t in state.board.tracks.values() if t.alert is not None]
    return max(opened, key=lambda each: each.rank, default=None)


def _has(monitor: Monitor, key: str, state: PumpState, text: str) -> bool:
    if (
        text in key.casefold()
        or text in (monitor.therapies.therapy_of(key, state) or "").casefold()
    ):
        return True
    alerts = (track.alert for track in state.board.tracks.values())
    return any(alert is not None and text in alert.title.casefold() for alert in alerts)


def _doses(monitor: Monitor, key: str, state: PumpState) -> dict[str, Dose]:
    ordered = monitor.therapies.ordered(key)
    if state.edge is None or ordered is None:
        return {}
    at_ms = monitor.pump_ms(state)
    found = doses(state.account, state.edge, ordered.timeline, at_ms)
    return {
        name: Dose(
            from_ms=dose.from_ms,
            to_ms=dose.to_ms,
            delivered_iu=round(dose.delivered_iu, 1),
            low_iu=round(dose.low_iu, 1),
            high_iu=round(dose.high_iu, 1),
            expected_iu=round(dose.expected_iu, 1),
        )
        for name, dose in found.items()
    }


def _forecast(
    monitor: Monitor, key: str, state: PumpState, record: Record | None
) -> LevelForecast | None:
    """The level if what runs now goes on, as the rule level-forecast reckons it."""
    edge, ordered = state.edge, monitor.therapies.ordered(key)
    if record is None or record.order is None or edge is None:
        return None
    limits = monitor.handlings.last(key).thresholds
    rate_iu_h = edge.rate_ml_h * edge.concentration_iu_ml
    if state.giving is not None and ordered is not None:
        # A bolus is over soon, and what goes on is the continuous rate.
        rate_iu_h = ordered.allowed.ordered_iu_h
    if edge.delivery != "delivering":
        rate_iu_h = 0.0
    low, high = limits.anti_xa_low_iu_ml, limits.anti_xa_high_iu_ml
    weight_kg = record.order.prescription.weight_kg
    seen = level.forecast(state.level, rate_iu_h, limits.forecast_h, weight_kg, low, high)
    if seen is None:
        return None
    return LevelForecast(
        hours=limits.forecast_h,
        at_ms=seen.at_ms + state.clock_shift_ms,
        level=round(seen.level, 3),
        low=round(seen.low, 3),
        high=round(seen.high, 3),
        range_low=low,
        range_high=high,
        share_below=round(seen.share_below, 3),
        share_above=round(seen.share_above, 3),
    )


OPERATIONS = (
    Operation(
        method="GET",
        path=f"{PREFIX}/pumps",
        handler=list_pumps,
        query=PumpQuery,
        answer=PumpPage,
        problems=("refused",),
    ),
    Operation(
        method="GET",
        path=f"{PREFIX}/pumps/{{site}}/{{pump}}",
        handler=show_pump,
        answer=PumpView,
        problems=("unknown-pump",),
    ),
)

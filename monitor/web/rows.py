"""What the page and the API show of a pump, as values: one definition for stream, API and OpenAPI.

A row is made from the core's state alone and costs some tens of microseconds, so that hundreds of
them a second are nothing. Numbers are rounded to what can be seen of them, because a row crosses
the wire often.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from infusion.alarms import Priority
from infusion.board import Board, Phase
from infusion.dose import therapy_dose
from infusion.level import estimate
from infusion.messages import Alert, PumpMessage, Telemetry
from infusion.monitor import Monitor
from infusion.rules.families import SILENCE
from infusion.state import PumpState
from infusion.therapies import Ordered

# Digits after the point: what a reader can use of a value, and no more.
_RATE, _VOLUME, _DOSE, _LEVEL, _PRESSURE, _SHARE = 3, 2, 1, 3, 1, 3


class Dose(Struct, frozen=True):
    """Delivered against ordered in IU, over the therapy, on the pump's clock.

    With `low_iu` below `high_iu` nobody knows what was delivered: to be shown as a range.
    """

    from_ms: int
    to_ms: int
    delivered_iu: float
    low_iu: float
    high_iu: float
    expected_iu: float


class Level(Struct, frozen=True, omit_defaults=True):
    """The estimated level in the blood, IU/mL: median and middle 90 %, on the pump's clock.

    `anchored_ms` is when the newest laboratory result in it was drawn; without one, none was.
    """

    median: float
    low: float
    high: float
    at_ms: int
    anchored_ms: int | None = None


class PumpRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pump as it stands. A field that is left out is not known.

    - `key` is `site/pump`. `clock_ms` is the pump's clock less the monitor's, `heard_ms` when its
      newest live message came, on the monitor's clock; without it, none ever came.
    - `silent`: the monitor has not heard it for too long, so all else here is old.
    - `rate_ml_h` is programmed, `flow_ml_h` measured; `rate_iu_h` is what the programmed rate
      gives, `ordered_iu_h` what the order allows now. `battery` is a share.
    - `worst` is the highest priority of its open alerts, `open` how many there are, `unseen` how
      many HIGH ones were over before anybody saw them, `list_version` the version of the list.
    """

    key: str
    site: str
    pump: str
    therapy: str | None = None
    clock_ms: int
    heard_ms: int | None = None
    online: bool | None = None
    silent: bool
    status: Literal["infusing", "not-infusing"] | None = None
    delivery: Literal["delivering", "not-delivering", "transitioning", "kvo"] | None = None
    reason: str | None = None
    rate_ml_h: float | None = None
    flow_ml_h: float | None = None
    ordered_iu_h: float | None = None
    rate_iu_h: float | None = None
    concentration_iu_ml: float | None = None
    weight_kg: float | None = None
    order_version: int | None = None
    dose: Dose | None = None
    vtbi_remaining_ml: float | None = None
    reservoir_ml: float | None = None
    battery: float | None = None
    power: Literal["mains", "battery"] | None = None
    pressure_mmhg: float | None = None
    level: Level | None = None
    alarms: tuple[str, ...] = ()
    worst: Priority | None = None
    open: int
    unseen: int
    list_version: int


class PumpPage(Struct, frozen=True, omit_defaults=True):
    """Some rows, and the cursor that leads to the next ones where there are more."""

    items: list[PumpRow]
    next: str | None = None


class Broker(Struct, frozen=True):
    """How the monitor stands to its broker; `lag_ms` is how old the newest message was.

    `behind_ms` is how far behind the broker the monitor is.
    """

    address: str
    connected: bool
    lag_ms: int
    behind_ms: int = 0


class Viewer(Struct, frozen=True):
    """Who looks."""

    name: str
    roles: list[str]


class AlertList(Struct, frozen=True):
    """The open list of one pump, whole: it takes the place of the one before."""

    key: str
    version: int
    alerts: list[Alert]
    unseen: list[Alert]


class Beat(Struct, frozen=True):
    """Each second: the monitor lives, and how it stands. `now_ms` is its clock.

    `silent` counts the pumps that it does not hear, `open` all open alerts; `committed_ms` is when
    it stored something last. `seq` is of the newest patch.
    """

    seq: int
    now_ms: int
    broker: Broker
    silent: int
    pumps: int
    open: int
    committed_ms: int


class Head(Struct, frozen=True):
    """What a snapshot begins with: whose monitor it is, for whom, and how things stand.

    `speed` is how fast the monitor's clock runs.
    """

    seq: int
    now_ms: int
    speed: float
    instance: str
    version: str
    person: Viewer
    broker: Broker
    silent: int
    open: int
    committed_ms: int


class Snapshot(Head, frozen=True):
    """Everything as it stands; what follows are changes of it.

    With `?kinds=alerts` there are no pumps in it. `speed` is how fast the monitor's clock runs.
    """

    pumps: list[PumpRow]
    alerts: list[Alert]
    unseen: list[Alert]


class Patch(Struct, frozen=True):
    """What changed since the patch or snapshot before: whole rows, and whole open lists."""

    seq: int
    now_ms: int
    pumps: Annotated[list[PumpRow], Meta(description="rows that changed, whole")]
    lists: Annotated[list[AlertList], Meta(description="open lists that changed, whole")]


def pump_row(monitor: Monitor, key: str) -> PumpRow:
    """One pump (`site/pump`) as it stands. Raises KeyError for one that was never heard of."""
    state, clock = monitor.pumps[key], monitor.clock
    board, edge = state.board, state.edge
    at_ms = monitor.pump_ms(state)
    ordered = monitor.therapies.ordered(key)
    opened = [track.alert for track in board.tracks.values() if track.alert is not None]
    presence = state.presence
    row: dict[str, Any] = {
        "key": key,
        "site": state.site,
        "pump": state.pump,
        "therapy": monitor.therapies.therapy_of(key, state),
        "clock_ms": at_ms - clock.received_ms,
        "online": None if presence is None else presence.state == "online",
        "silent": is_silent(board),
        "worst": max((each.priority for each in opened), key=_rank, default=None),
        "open": len(opened),
        "unseen": len(board.unseen),
        "list_version": board.version,
    }
    if ordered is not None:
        row["ordered_iu_h"] = round(ordered.allowed.ordered_iu_h, _RATE)
    if edge is not None:
        # How long ago, by the clock that does not run while the monitor stalls.
        row["heard_ms"] = clock.received_ms - (clock.clock_ms - state.heard_clock_ms)
        row |= _delivery(edge)
        row["dose"] = _dose(state, edge, ordered, at_ms)
    if state.telemetry is not None:
        row |= _panel(state.telemetry)
    row["level"] = _level(state)
    return PumpRow(**row)


def is_silent(board: Board) -> bool:
    """Whether the monitor knows that it does not hear a pump, shown or hidden by another alert."""
    tracks = board.tracks
    return any(rule in tracks and tracks[rule].phase is Phase.RAISED for rule in SILENCE)


def _rank(priority: Priority) -> int:
    return priority.rank


def _delivery(edge: PumpMessage) -> dict[str, Any]:
    return {
        "status": edge.status,
        "delivery": edge.delivery,
        "reason": edge.reason,
        "rate_ml_h": round(edge.rate_ml_h, _RATE),
        "flow_ml_h": round(edge.flow_ml_h, _RATE),
        "rate_iu_h": round(edge.rate_ml_h * edge.concentration_iu_ml, _RATE),
        "concentration_iu_ml": edge.concentration_iu_ml,
        "order_version": edge.order_version,
        "alarms": edge.alarms,
    }


def _panel(telemetry: Telemetry) -> dict[str, Any]:
    return {
        "weight_kg": telemetry.weight_kg,
        "vtbi_remaining_ml": round(telemetry.vtbi_remaining_ml, _VOLUME),
        "reservoir_ml": round(telemetry.reservoir_ml, _VOLUME),
        "battery": round(telemetry.battery, _SHARE),
        "power": telemetry.power,
        "pressure_mmhg": round(telemetry.pressure_mmhg, _PRESSURE),
    }


def _dose(state: PumpState, edge: PumpMessage, ordered: Ordered | None, at_ms: int) -> Dose | None:
    if ordered is None:
        return None
    dose = therapy_dose(state.account, edge, ordered.timeline, at_ms)
    if dose is None:
        return None
    return Dose(
        from_ms=dose.from_ms,
        to_ms=dose.to_ms,
        delivered_iu=round(dose.delivered_iu, _DOSE),
        low_iu=round(dose.low_iu, _DOSE),
        high_iu=round(dose.high_iu, _DOSE),
        expected_iu=round(dose.expected_iu, _DOSE),
    )


def _level(state: PumpState) -> Level | None:
    found = estimate(state.level)
    if found is None:
        return None
    # The level counts on the order's clock; a row is on the pump's.
    shift_ms, drawn_ms = state.clock_shift_ms, found.anchored_ms
    return Level(
        median=round(found.median, _LEVEL),
        low=round(found.low, _LEVEL),
        high=round(found.high, _LEVEL),
        at_ms=found.at_ms + shift_ms,
        anchored_ms=None if drawn_ms is None else drawn_ms + shift_ms,
    )

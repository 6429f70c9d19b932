"""The report of one shift to the next: what is open, who has it, what was done and changed."""

from typing import Annotated

from msgspec import Meta, Struct

from infusion.alert import Alert, Audit
from infusion.monitor import Monitor
from infusion.prescription import Prescription, TimeMs
from infusion.state import PumpState
from infusion.units import MS_PER_HOUR
from monitor.proposals import Proposal, settle
from monitor.web.api.alerts import open_of, worst_first
from monitor.web.api.office import Office, OrderStep, look_back, order_step
from monitor.web.operations import PREFIX, Call, Operation, Site
from monitor.web.problems import problem
from monitor.web.rows import is_silent
from monitor.web.ward import LogQuery, Row

# A shift of 8 h [A].
SHIFT_MS = 8 * MS_PER_HOUR
SINCE_MS_MAX = 7 * 24 * MS_PER_HOUR
# So many of each kind are told; a report of more is read by nobody.
ITEMS_MAX = 500


class HandoverQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Since when, on the monitor's clock, and of which site."""

    since_ms: Annotated[TimeMs | None, Meta(description="8 hours ago if left out")] = None
    site: Site = ""


class OrderChange(Struct, frozen=True, omit_defaults=True):
    """An order of which a step came into force since then. `rate_iu_h` is the continuous rate
    ordered now; `stands_ms` since when that is so."""

    site: str
    therapy: str
    pump: str
    rate_iu_h: float
    rate_ml_h: float
    stands_ms: int
    prescription: Prescription


class SilentPump(Struct, frozen=True, omit_defaults=True):
    """A pump that is not heard: what it does is not known. `heard_ms` is on its own clock; without
    it, it never was."""

    key: str
    site: str
    pump: str
    heard_ms: int | None = None


class Handover(Struct, frozen=True):
    """What the next shift must know.

    `alerts` are open and `unseen` over, worst first; `snoozed` are those of the open ones that
    come back by themselves, the soonest first. `acts` is what people did, newest first; `orders`
    what came into force, `proposals` what waits for a second person, `decided` what people did to
    proposed orders since, newest first. `is_whole` says that nothing
    was left out for its number.
    """

    since_ms: int
    now_ms: int
    site: str
    alerts: list[Alert]
    unseen: list[Alert]
    snoozed: list[Alert]
    acts: list[Audit]
    orders: list[OrderChange]
    proposals: list[Proposal]
    decided: list[OrderStep]
    silent: list[SilentPump]
    is_whole: bool


async def show_handover(office: Office, call: Call[HandoverQuery]) -> Handover:
    """The hand-over report: open and unseen alerts, what people did, changed orders, silent pumps.

    It is meant to be printed.
    """
    query, ward = call.given, office.ward
    now_ms = ward.now_ms()
    since_ms = query.since_ms if query.since_ms is not None else now_ms - SHIFT_MS
    if not 0 <= now_ms - since_ms <= SINCE_MS_MAX:
        days = SINCE_MS_MAX // (24 * MS_PER_HOUR)
        detail = f"since_ms must not lie in the future, nor more than {days} days ago"
        raise problem("refused", detail, field="since_ms")
    acts, are_all = await _acts(office, since_ms, query.site)
    proposals = await _waiting(office, query.site)
    decided = await _decided(office, since_ms, query.site)
    # All that follows is of one instant: nothing is awaited any more.
    alerts = sorted(open_of(ward.monitor, query.site), key=worst_first)
    unseen = sorted(open_of(ward.monitor, query.site, unseen=True), key=worst_first)
    orders = _orders(ward.monitor, since_ms, now_ms, query.site)
    silent = silent_pumps(ward.monitor, query.site)
    lists: tuple[
        list[Alert] | list[OrderChange] | list[SilentPump] | list[Proposal] | list[OrderStep], ...
    ]
    lists = (alerts, unseen, orders, silent, proposals, decided)
    return Handover(
        since_ms=since_ms,
        now_ms=now_ms,
        site=query.site,
        alerts=alerts[:ITEMS_MAX],
        unseen=unseen[:ITEMS_MAX],
        snoozed=sorted((each for each in alerts if each.facts.snoozed), key=_wakes)[:ITEMS_MAX],
        acts=acts,
        orders=orders[:ITEMS_MAX],
        proposals=proposals[:ITEMS_MAX],
        decided=decided[:ITEMS_MAX],
        silent=silent[:ITEMS_MAX],
        is_whole=are_all and all(len(each) <= ITEMS_MAX for each in lists),
    )


def silent_pumps(monitor: Monitor, site: str = "") -> list[SilentPump]:
    """Pumps that the monitor knows that it does not hear, by name."""
    return [
        silent_pump(key, state)
        for key, state in sorted(monitor.pumps.items())
        if (not site or state.site == site) and is_silent(state.board)
    ]


def silent_pump(key: str, state: PumpState) -> SilentPump:
    """One of them."""
    heard_ms = state.edge.time_ms if state.edge is not None else None
    return SilentPump(key, state.site, state.pump, heard_ms)


async def _acts(office: Office, since_ms: int, site: str) -> tuple[list[Audit], bool]:
    """What people did since then, newest first, and whether that is all."""

    def pick(row: Row) -> Audit | None:
        said = row.said
        if isinstance(said, Audit) and said.outcome == "done" and site in ("", said.site):
            return said
        return None

    return await look_back(office.ward, LogQuery(kind="audit", since_ms=since_ms), pick, ITEMS_MAX)


async def _waiting(office: Office, site: str) -> list[Proposal]:
    numbered = await office.proposals.newest(state="proposed", site=site, limit=ITEMS_MAX + 1)
    now_ms = office.ward.now_ms()
    settled = (
        settle(each.proposal, office.in_force(each.proposal.site, each.proposal.therapy), now_ms)
        for each in numbered
    )
    return [each for each in settled if each.state == "proposed"]


async def _decided(office: Office, since_ms: int, site: str) -> list[OrderStep]:
    steps = await office.proposals.steps(since_ms=since_ms)
    told = (order_step(each) for each in steps if site in ("", each.proposal.site))
    return [step for step in told if step is not None]


def _orders(monitor: Monitor, since_ms: int, now_ms: int, site: str) -> list[OrderChange]:
    found = []
    for key, record in monitor.therapies.records.items():
        of, _, therapy = key.partition("/")
        if record.order is None or (site and of != site):
            continue
        prescription, timeline = record.order.prescription, record.order.timeline
        if any(since_ms <= step.at_ms <= now_ms for step in prescription.steps):
            rate_iu_h = timeline.base_rate_iu_h(now_ms)
            found.append(
                OrderChange(
                    site=of,
                    therapy=therapy,
                    pump=prescription.pump,
                    rate_iu_h=rate_iu_h,
                    rate_ml_h=rate_iu_h / prescription.concentration_iu_ml,
                    stands_ms=timeline.changed_ms(now_ms),
                    prescription=prescription,
                )
            )
    return sorted(found, key=lambda each: (-each.stands_ms, each.site, each.therapy))


def _wakes(alert: Alert) -> int:
    snoozed = alert.facts.snoozed
    return snoozed.until_ms if snoozed is not None and snoozed.until_ms is not None else 0


OPERATIONS = (
    Operation(
        method="GET",
        path=f"{PREFIX}/handover",
        handler=show_handover,
        query=HandoverQuery,
        answer=Handover,
        problems=("refused", "store-failed"),
    ),
)

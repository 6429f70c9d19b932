"""How the monitor itself is: broker, store, what it has done, whom it does not hear."""

from functools import cache
from heapq import nsmallest
from importlib import metadata
from pathlib import PurePath

from msgspec import Struct

from infusion.alarms import Priority
from monitor.runner import Totals
from monitor.web.api.handover import ITEMS_MAX, SilentPump, silent_pump
from monitor.web.api.office import Office
from monitor.web.counts import Counts
from monitor.web.operations import PREFIX, Call, Nothing, Operation
from monitor.web.ward import Link


class AlertTotals(Struct, frozen=True):
    """Alerts: those open now, by priority, and of all pumps since each was first heard.

    `damped` came and went so often that they were held open, `dropped` were not said because too
    many of their pump were open. `unseen` are over, and nobody has seen them yet.
    """

    open: dict[Priority, int]
    unseen: int
    raised: int
    damped: int
    dropped: int


class System(Struct, frozen=True):
    """The monitor as it stands. `totals` counts since it started, `refused` by kind of fault.

    `stalled_ms` is how long the monitor or the broker stood still, all together. `store_ms` is how
    long ago the last batch was committed, on the monitor's clock.
    """

    instance: str
    version: str
    now_ms: int
    speed: float
    policy: str
    broker: Link
    store_ms: int
    totals: Totals
    refused: dict[str, int]
    stalled_ms: int
    pumps: int
    therapies: int
    alerts: AlertTotals
    silent_count: int
    silent: list[SilentPump]
    duplicates: int
    late: int
    viewers: int


async def show_system(office: Office, _call: Call[Nothing]) -> System:
    """The monitor's own health: broker, lag, store, counts, refused messages, silent pumps."""
    ward, counts = office.ward, office.counts
    await counts.look()
    monitor, link, now_ms = ward.monitor, ward.link, ward.now_ms()
    told = nsmallest(ITEMS_MAX, counts.silent)
    return System(
        instance=ward.instance,
        version=version(),
        now_ms=now_ms,
        speed=ward.speed,
        # The name alone: where it lies is nobody's business.
        policy=PurePath(ward.references.alerts).name,
        broker=link,
        store_ms=max(0, now_ms - link.committed_ms),
        totals=ward.totals,
        refused=monitor.refused,
        stalled_ms=monitor.clock.stalled_ms,
        pumps=len(monitor.pumps),
        therapies=len(monitor.therapies.records),
        alerts=_alerts(counts.total),
        silent_count=len(counts.silent),
        silent=[silent_pump(key, monitor.pumps[key]) for key in told],
        duplicates=counts.total.duplicates,
        late=counts.total.late,
        viewers=office.viewers(),
    )


@cache
def version() -> str:
    """Which version of Dripwatch this is."""
    return metadata.version("dripwatch")


def _alerts(total: Counts) -> AlertTotals:
    rules = total.rules.values()
    return AlertTotals(
        open=dict(zip(Priority, total.open, strict=True)),
        unseen=total.unseen,
        raised=sum(each.raised for each in rules),
        damped=sum(each.damped for each in rules),
        dropped=sum(each.dropped for each in rules),
    )


OPERATIONS = (Operation(method="GET", path=f"{PREFIX}/system", handler=show_system, answer=System),)

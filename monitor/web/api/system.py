"""How the monitor itself is: broker, store, what it has done, whom it does not hear."""

from collections.abc import Collection
from functools import cache
from importlib import metadata
from pathlib import PurePath

from msgspec import Struct

from infusion.alarms import Priority
from infusion.state import PumpState
from monitor.runner import Totals
from monitor.web.api.handover import ITEMS_MAX, SilentPump, silent_pumps
from monitor.web.api.office import Office
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
    ward = office.ward
    monitor, link, now_ms = ward.monitor, ward.link, ward.now_ms()
    silent = silent_pumps(monitor)
    states = monitor.pumps.values()
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
        alerts=_alerts(states),
        silent_count=len(silent),
        silent=silent[:ITEMS_MAX],
        duplicates=sum(state.account.duplicates for state in states),
        late=sum(state.account.late for state in states),
        viewers=office.viewers(),
    )


@cache
def version() -> str:
    """Which version of Dripwatch this is."""
    return metadata.version("dripwatch")


def _alerts(states: Collection[PumpState]) -> AlertTotals:
    open_ = dict.fromkeys(Priority, 0)
    for state in states:
        for track in state.board.tracks.values():
            if track.alert is not None:
                open_[track.alert.priority] += 1
    counts = [count for state in states for count in state.board.counts.values()]
    return AlertTotals(
        open=open_,
        unseen=sum(len(state.board.unseen) for state in states),
        raised=sum(count.raised for count in counts),
        damped=sum(count.damped for count in counts),
        dropped=sum(count.dropped for count in counts),
    )


OPERATIONS = (Operation(method="GET", path=f"{PREFIX}/system", handler=show_system, answer=System),)

"""What all processes have told, added up: over the load, and second by second."""

from collections import Counter

from msgspec import Struct

from simulator.load.latency import Histogram
from simulator.load.plan import Plan
from simulator.load.reports import Counts, Drained, Heard, Tick
from simulator.load.result import (
    Alarms,
    Connections,
    Generators,
    Messages,
    Second,
    percentiles_ms,
)

RECEIVER = "the receiver"
# Processor time is told once a second; shorter spans say little.
SPAN_S_MIN = 0.5


class Cost(Struct):
    """What one process has cost while the load was on."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    memory_bytes: int = 0

    @property
    def percent(self) -> float:
        """Of one core."""
        return 100 * self.cpu_s / self.wall_s if self.wall_s >= SPAN_S_MIN else 0.0


class Tally:
    """All that was told so far."""

    def __init__(self) -> None:
        """Nothing was told."""
        self.counts = Counts()
        self.connect = Histogram()
        self.acknowledge = Histogram()
        self.end_to_end = Histogram()
        self.lag = Histogram()
        self.alert = Histogram()
        self.stream = Histogram()
        self.reasons: Counter[str] = Counter()
        self.seconds: list[Second] = []
        self.unsent = self.unacknowledged = 0
        self.heard = Heard(expected=0, received=0, lost=0, doubled=0, reordered=0)
        self.injected: dict[str, int] = {}
        self.is_loading = False
        self._connected: dict[str, int] = {}
        self._costs: dict[str, Cost] = {}
        self._second = Counts()
        self._second_acknowledge = Histogram()
        self._second_end_to_end = Histogram()

    @property
    def connected(self) -> int:
        """Sessions of pumps that are connected."""
        return sum(count for name, count in self._connected.items() if name != RECEIVER)

    def tick(self, name: str, tick: Tick) -> None:
        """One process has told of its last second."""
        self.counts.add(tick.counts)
        self._second.add(tick.counts)
        self._connected[name] = tick.connected
        self.reasons.update(tick.reasons)
        self.connect.add(tick.connect)
        self.acknowledge.add(tick.acknowledge)
        self.end_to_end.add(tick.end_to_end)
        self.lag.add(tick.lag)
        self._second_acknowledge.add(tick.acknowledge)
        self._second_end_to_end.add(tick.end_to_end)
        cost = self._costs.setdefault(name, Cost())
        cost.memory_bytes = max(cost.memory_bytes, tick.memory_bytes)
        if self.is_loading:
            cost.cpu_s += tick.cpu_s
            cost.wall_s += tick.wall_s

    def begin(self) -> None:
        """The load begins: what was told until now was before it."""
        self.is_loading = True
        self._second = Counts()
        self._second_acknowledge, self._second_end_to_end = Histogram(), Histogram()

    def drained(self, drained: Drained) -> None:
        """A generator is done."""
        self.unsent += drained.unsent
        self.unacknowledged += drained.unacknowledged
        self.injected.update(drained.alarms)

    def alarms(self) -> Alarms:
        """Which of the injected alarms the monitor told of; counts how long each took."""
        told_us = self._after_injection(self.heard.alerts)
        streamed_us = self._after_injection(self.heard.streamed)
        self.alert.record(told_us)
        self.stream.record(streamed_us)
        return Alarms(injected=len(self.injected), told=len(told_us), streamed=len(streamed_us))

    def _after_injection(self, seen_us: dict[str, int]) -> list[int]:
        return [seen_us[pump] - at_us for pump, at_us in self.injected.items() if pump in seen_us]

    def take_second(self, at_s: float) -> Second:
        """The second that is over."""
        counts, self._second = self._second, Counts()
        acknowledge, end_to_end = self._second_acknowledge, self._second_end_to_end
        self._second_acknowledge, self._second_end_to_end = Histogram(), Histogram()
        second = Second(
            at_s=round(at_s, 1),
            connected=self.connected,
            offered=counts.due,
            settled=counts.in_time,
            received=counts.received,
            lost_connections=counts.lost_connections,
            acknowledge_ms=percentiles_ms(acknowledge),
            end_to_end_ms=percentiles_ms(end_to_end),
        )
        self.seconds.append(second)
        return second

    def messages(self, duration_s: float) -> Messages:
        """What became of the messages."""
        counts, heard = self.counts, self.heard
        offered = counts.due
        return Messages(
            offered=offered,
            in_time=counts.in_time,
            offered_per_s=round(offered / duration_s, 1),
            achieved_per_s=round(counts.in_time / duration_s, 1),
            achieved_percent=round(100 * counts.in_time / offered, 2) if offered else 0.0,
            written=counts.written,
            acknowledged=counts.acknowledged,
            refused=counts.refused,
            dropped=counts.dropped,
            unsent=self.unsent,
            unacknowledged=self.unacknowledged,
            expected=heard.expected,
            received=heard.received,
            lost=heard.lost,
            doubled=heard.doubled,
            reordered=heard.reordered,
        )

    def connections(self, wanted: int) -> Connections:
        """What became of the connections."""
        counts = self.counts
        return Connections(
            sessions=wanted,
            connected=self.connected,
            connects=counts.connects,
            lost=counts.lost_connections,
            reconnects=counts.reconnects,
            reasons=dict(self.reasons.most_common()),
        )

    def generators(self, plan: Plan) -> Generators:
        """What it cost."""
        costs = {name: cost for name, cost in self._costs.items() if name != RECEIVER}
        receiver = self._costs.get(RECEIVER, Cost())
        due = self.counts.due
        return Generators(
            processes=plan.processes,
            cpu_percent=round(max((cost.percent for cost in costs.values()), default=0.0), 1),
            receiver_cpu_percent=round(receiver.percent, 1),
            late_percent=round(100 * self.counts.late / due, 3) if due else 0.0,
            memory_mb=_mb(max((cost.memory_bytes for cost in costs.values()), default=0)),
            receiver_memory_mb=_mb(receiver.memory_bytes),
        )


def _mb(size: int) -> float:
    return round(size / 1e6, 1)

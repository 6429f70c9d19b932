"""What a generator measures, from one report to the next."""

from array import array
from collections import Counter

from simulator.load.latency import taken_pairs
from simulator.load.process import Meter, memory_bytes
from simulator.load.reports import Counts, Tick


class Measures:
    """Counts and durations, µs; durations are gathered and counted once a second."""

    def __init__(self) -> None:
        """Nothing was measured."""
        self.counts = Counts()
        self.reasons: Counter[str] = Counter()
        self.settle_us: array[int] = array("q")
        self.connect_us: array[int] = array("q")
        self.lag_us: array[int] = array("q")
        self._meter = Meter()

    def take(self, connected: int) -> Tick:
        """What was measured since the last time."""
        cpu_s, wall_s = self._meter.take()
        counts, self.counts = self.counts, Counts()
        reasons, self.reasons = self.reasons, Counter()
        return Tick(
            counts=counts,
            connected=connected,
            cpu_s=cpu_s,
            wall_s=wall_s,
            memory_bytes=memory_bytes(),
            connect=taken_pairs(self.connect_us),
            acknowledge=taken_pairs(self.settle_us),
            lag=taken_pairs(self.lag_us),
            reasons=dict(reasons),
        )

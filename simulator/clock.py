"""The clock of one pump: it may run fast or slow, and be set wrong."""

import math

from msgspec import Struct


class Clock(Struct, frozen=True):
    """How far a pump's clock is from the true time; a sound one is right.

    Within a boot the device time never goes back, unless somebody steps it: it is the floor of a
    rising function of true time.
    """

    offset_ms: float = 0.0
    drift_ppm: float = 0.0
    since_ms: int = 0

    def device_ms(self, now_ms: int) -> int:
        """What the clock shows at a true time."""
        return now_ms + math.floor(self._offset_ms(now_ms))

    def drifting(self, now_ms: int, drift_ppm: float) -> "Clock":
        """A clock that from now on gains so many millionths (loses, where negative)."""
        return Clock(self._offset_ms(now_ms), drift_ppm, now_ms)

    def stepped(self, by_ms: float) -> "Clock":
        """A clock that has leapt."""
        return Clock(self.offset_ms + by_ms, self.drift_ppm, self.since_ms)

    def _offset_ms(self, now_ms: int) -> float:
        return self.offset_ms + (now_ms - self.since_ms) * self.drift_ppm * 1e-6


RIGHT = Clock()

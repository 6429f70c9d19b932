"""Air on its way through the line to the detector.

Air moves only when volume moves: a bubble lies at a place of the pumped axis and is at the
detector when so much has been pumped. Outgassing gives bubbles of one size, evenly by volume. The
detector sees a bubble of at least its smallest size; the pump alarms for a single bubble over its
limit, and for more than the other limit of all seen bubbles in a rolling time (the Alaris GP's two
limits, 15 min; pump-standards §3.3 [V]; smallest size 50 to 200 µL, ECRI FAQ, same place).
"""

from collections import deque

from msgspec import Struct, field

from infusion.units import MS_PER_MINUTE
from simulator.profile import Profile


class Air(Struct, kw_only=True):
    """The air in one line. `bubbles` are (place on the pumped axis in mL, µL), `seen` (ms, µL)."""

    bubbles: list[tuple[float, float]] = field(default_factory=list)
    rates: list[tuple[float, float]] = field(default_factory=list)
    dissolved_ul: list[float] = field(default_factory=list)
    seen: deque[tuple[int, float]] = field(default_factory=deque)
    seen_ul: float = 0.0
    is_over: bool = False
    is_blind: bool = False

    @property
    def is_over_with(self) -> bool:
        """Whether nothing is left to look after."""
        return not (self.bubbles or self.rates or self.seen or self.is_blind or self.is_over)

    def add_rate(self, ul_per_ml: float, bubble_ul: float) -> None:
        """Outgassing begins: so much air in each millilitre, in bubbles of this size."""
        self.rates.append((ul_per_ml, bubble_ul))
        self.dissolved_ul.append(0.0)

    def remove_rate(self, ul_per_ml: float, bubble_ul: float) -> None:
        """Outgassing ends."""
        place = self.rates.index((ul_per_ml, bubble_ul))
        del self.rates[place], self.dissolved_ul[place]

    def forget(self) -> None:
        """Somebody has purged the line and started again: the detector counts from nothing."""
        self.seen.clear()
        self.seen_ul = 0.0
        self.is_over = False

    def move(self, profile: Profile, now_ms: int, pumped_ml: float, volume_ml: float) -> None:
        """`volume_ml` has been pumped, up to `pumped_ml`: what comes to the detector is seen."""
        window_ms = profile.air_window_min * MS_PER_MINUTE
        while self.seen and self.seen[0][0] <= now_ms - window_ms:
            self.seen_ul -= self.seen.popleft()[1]
        if not self.seen:
            self.seen_ul = 0.0
        if volume_ml <= 0.0:
            return
        for at_ml, size_ul in [each for each in self.bubbles if each[0] <= pumped_ml]:
            self.bubbles.remove((at_ml, size_ul))
            self._see(profile, now_ms, size_ul, 1)
        for place, (ul_per_ml, bubble_ul) in enumerate(self.rates):
            self.dissolved_ul[place] += ul_per_ml * volume_ml
            count = int(self.dissolved_ul[place] / bubble_ul)
            self.dissolved_ul[place] -= count * bubble_ul
            self._see(profile, now_ms, bubble_ul, count)

    def _see(self, profile: Profile, now_ms: int, size_ul: float, count: int) -> None:
        if not count or self.is_blind or size_ul < profile.air_smallest_ul:
            return
        self.seen.append((now_ms, size_ul * count))
        self.seen_ul += size_ul * count
        self.is_over |= size_ul > profile.air_single_ul
        self.is_over |= self.seen_ul > profile.air_accumulated_ul

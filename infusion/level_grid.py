"""What is kept of the level in one patient's blood, and how its grid is moved on and computed anew.

The theory is in infusion/level.py, which is also where to call. Doses here are for each kg of size
(infusion/level.py), so that weight is no matter. Numbers of a grid are packed as 32-bit floats: a
monitor keeps them for 100,000 pumps.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec import Struct, field

from infusion import elimination_grid as grid
from infusion import heparin
from infusion.elimination_grid import Bound, LevelTest
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE

TICK_MS = 15 * MS_PER_MINUTE
_TICK_H = TICK_MS / MS_PER_HOUR
# How many ticks back the anchor is: 8 h, from the drawing of a specimen to its result. [A]
TICKS_MAX = 32
SIGHTINGS_MAX = 8
# Where less is expected, a result tells little of how fast heparin leaves. [A]
_TELLING_IU_ML = 0.15
# The middle 90 % of the weight lie between these.
LOW_SHARE, HIGH_SHARE = 0.05, 0.95

TYPICAL = heparin.CLINICAL.ways
_GRID = struct.Struct(f"<{grid.POINTS}f")
_DOSE = struct.Struct("<f")


class Sighting(Struct, array_like=True, gc=False):
    """A laboratory result of the level, and what was expected of it just before it was known.

    `expected`, `low` and `high` are the level in IU/mL (median and middle 90 %). `tail` is how
    likely a reading so far out, or further, was on its side; 1 until its time is reached.
    `logarithm` is ln f of a patient in whom the delivered dose makes just this anti-Xa. With a
    bound it is the nearest that could be. None where nothing follows: for an aPTT, with hardly any
    heparin expected, and for a bound that what was expected does not cross.
    """

    drawn_ms: int
    specimen: str
    test: LevelTest
    value: float
    bound: Bound
    resulted_ms: int
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    tail: float = 1.0
    logarithm: float | None = None


class LevelWatch(Struct, array_like=True, gc=False):
    """The level of one patient. Plain; 0.5 KB encoded, each sighting 60 bytes more.

    Nothing is known until `begin`; times are on the order's clock. `tick_ms` is where the grid
    stands, and the doses (IU for each kg of size) are of the ticks from the anchor up to it.
    `waiting_iu_kg` came after it. `owed_iu` is what was counted too much so far.
    """

    at_ms: int = 0
    delivered_iu_ml: float = 0.0
    ordered_iu_ml: float = 0.0
    owed_iu: float = 0.0
    tick_ms: int = 0
    levels: bytes = b""
    weights: bytes = b""
    waiting_iu_kg: float = 0.0
    anchor_levels: bytes = b""
    anchor_weights: bytes = b""
    doses: bytes = b""
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to carry on."""
        return self.tick_ms > 0


def settle(watch: LevelWatch, rate_iu_kg_h: float, at_ms: int) -> None:
    """Nothing is known of this patient, and the level is what a rate holds."""
    levels = _GRID.pack(*grid.steady(rate_iu_kg_h))
    weights = _GRID.pack(*grid.PRIOR)
    watch.at_ms = watch.tick_ms = at_ms
    level = heparin.steady_state_iu_ml(rate_iu_kg_h, *TYPICAL[1:])
    watch.delivered_iu_ml = watch.ordered_iu_ml = level
    watch.levels = watch.anchor_levels = levels
    watch.weights = watch.anchor_weights = weights
    watch.waiting_iu_kg = watch.owed_iu = 0.0
    watch.doses = b""
    watch.sightings = []


def tick(watch: LevelWatch) -> None:
    """The grid goes on by one tick, and the anchor too when it would be too far back."""
    dose = _DOSE.pack(watch.waiting_iu_kg)
    (kept,) = _DOSE.unpack(dose)
    watch.waiting_iu_kg = 0.0
    watch.levels, watch.weights = _moved(watch, watch.levels, watch.weights, watch.tick_ms, kept)
    watch.tick_ms += TICK_MS
    if len(watch.doses) == _DOSE.size * TICKS_MAX:
        (oldest,) = _DOSE.unpack_from(watch.doses)
        from_ms = watch.tick_ms - (TICKS_MAX + 1) * TICK_MS
        watch.anchor_levels, watch.anchor_weights = _moved(
            watch, watch.anchor_levels, watch.anchor_weights, from_ms, oldest
        )
        watch.doses = watch.doses[_DOSE.size :]
    watch.doses += dose


def replay(watch: LevelWatch) -> None:
    """Compute the grid anew from the anchor on, and what was to be expected of each result."""
    from_ms = anchor_ms(watch)
    levels, weights = watch.anchor_levels, watch.anchor_weights
    for (dose,) in _DOSE.iter_unpack(watch.doses):
        levels, weights = _moved(watch, levels, weights, from_ms, dose)
        from_ms += TICK_MS
    watch.levels, watch.weights = levels, weights
    now(watch, noting=True)


def _moved(
    watch: LevelWatch, levels: bytes, weights: bytes, from_ms: int, dose_iu_kg: float
) -> tuple[bytes, bytes]:
    """A grid one tick on, with the results whose blood was drawn in it."""
    rate = dose_iu_kg / _TICK_H
    to_ms = from_ms + TICK_MS
    new_levels, new_weights = _followed(
        watch, (_unpack(levels), _unpack(weights)), rate, from_ms, to_ms, noting=True
    )
    new_levels, new_weights = grid.spread(new_levels, new_weights, _TICK_H)
    return _GRID.pack(*new_levels), _GRID.pack(*new_weights)


def now(watch: LevelWatch, *, noting: bool = False) -> tuple[list[float], list[float]]:
    """The grid at `watch.at_ms`, which is at most a tick past where it stands."""
    state = _unpack(watch.levels), _unpack(watch.weights)
    length_ms = watch.at_ms - watch.tick_ms
    if length_ms <= 0:
        return state
    rate = watch.waiting_iu_kg * MS_PER_HOUR / length_ms
    return _followed(watch, state, rate, watch.tick_ms, watch.at_ms, noting=noting)


def _followed(
    watch: LevelWatch,
    state: tuple[list[float], list[float]],
    rate_iu_kg_h: float,
    from_ms: int,
    to_ms: int,
    *,
    noting: bool,
) -> tuple[list[float], list[float]]:
    """Levels carried from one instant up to another, weights by the results drawn in between.

    `noting` writes down what was to be expected of each result.
    """
    levels, weights = state
    for group in _drawn(watch, from_ms, to_ms):
        hours = (group[0].drawn_ms - from_ms) / MS_PER_HOUR
        levels = grid.carry(levels, rate_iu_kg_h, hours)
        from_ms = group[0].drawn_ms
        for sighting in group if noting else ():
            _expect(sighting, levels, weights)
        for sighting in group:
            weights = grid.weigh(levels, weights, sighting.test, sighting.value, sighting.bound)
    return grid.carry(levels, rate_iu_kg_h, (to_ms - from_ms) / MS_PER_HOUR), weights


def _drawn(watch: LevelWatch, from_ms: int, to_ms: int) -> Iterator[list[Sighting]]:
    """The results drawn in an interval [from, to), those of one instant together."""
    group: list[Sighting] = []
    for sighting in watch.sightings:
        if not from_ms <= sighting.drawn_ms < to_ms:
            continue
        if group and group[0].drawn_ms != sighting.drawn_ms:
            yield group
            group = []
        group.append(sighting)
    if group:
        yield group


def _expect(sighting: Sighting, levels: Sequence[float], weights: Sequence[float]) -> None:
    """Write down what was to be expected of a result just before it was known."""
    sighting.expected = grid.quantile(levels, weights, 0.5)
    sighting.low = grid.quantile(levels, weights, LOW_SHARE)
    sighting.high = grid.quantile(levels, weights, HIGH_SHARE)
    below = grid.share_below(levels, weights, sighting.test, sighting.value)
    is_low = sighting.bound == "below" or (not sighting.bound and below < 0.5)
    sighting.tail = below if is_low else 1.0 - below
    off = sighting.value - sighting.expected
    is_within = bool(sighting.bound) and (off > 0.0) == (sighting.bound == "below")
    sighting.logarithm = None
    if sighting.test == "anti-xa" and sighting.expected >= _TELLING_IU_ML and not is_within:
        sighting.logarithm = grid.implied_logarithm(sighting.expected, weights, sighting.value)


def anchor_ms(watch: LevelWatch) -> int:
    """How far back a result can be put in."""
    return watch.tick_ms - len(watch.doses) // _DOSE.size * TICK_MS


def median_point(watch: LevelWatch) -> tuple[int, float]:
    """The point in the middle of the weight where the grid stands, and its level."""
    weights = _GRID.unpack(watch.weights)
    sums = accumulate(weights)
    point = next((point for point, below in enumerate(sums) if below >= 0.5), len(weights) - 1)
    return point, _GRID.unpack(watch.levels)[point]


def _unpack(values: bytes) -> list[float]:
    return list(_GRID.unpack(values))

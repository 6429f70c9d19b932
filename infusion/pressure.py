"""The pressure in a line, followed so that an occlusion is seen before the pump's own alarm.

Against a closed line the pressure rises with every millilitre pumped, by 1/C (C the compliance of
the line; pump-standards §3.1), until the pump's limit; in a free line it falls back to that of the
vein between two strokes of the mechanism. So a pump's own healthy pressures are learned:

- the **floor**, the lowest in a minute, and the **ceiling**, the highest in the last hours, which
  a stroke makes. Strokes and samples beat against one another, so that a healthy pressure may climb
  from sample to sample, but never above what a stroke makes of it.

Two things then cannot be healthy:

- pressure above the ceiling by a margin that **goes on rising**, sample after sample: a line that
  is closing or closed. A patient who stands up, or a pump that is put on the floor, makes one step
  and no more. `rise_mmhg_s` tells when the limit will be reached.
- a floor that **stays high** by more than any height of a pump explains: a line that is narrow.

Margins are proposals of this project, from the pressures of the simulated models.
"""

from itertools import pairwise

from msgspec import Struct, field

from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

# A ceiling is learned over so long, and so many of them are kept.
CEILING_MS = 30 * MS_PER_MINUTE
FIRST_CEILING_MS = 10 * MS_PER_MINUTE
CEILINGS_MAX = 8
# Rates whose ceilings are remembered: the usual one, that of a bolus, one before, one spare.
RATES_MAX = 4
# Nothing is judged before a pump has delivered for so long: pressure is still building up.
LEARN_MS = 2 * MS_PER_MINUTE
MARGIN_MMHG = 10.0
MARGIN_SHARE = 0.3
# Samples of a rise: at least so many, over so long, and closer ones are one.
RISE_SAMPLES = 3
RISE_MS = 15 * MS_PER_SECOND
APART_MS = 5 * MS_PER_SECOND
RISING_MAX = 12
# The second half of a rise has at least this share of the first; a step has none.
STILL_RISING = 0.25
# Where no strokes show, a closed line's rise is even: it bends only where an arm was raised. [A]
STEADY = 0.7
# Stiffer than any line here; the stiffest of pump-standards §3.2 has 0.0005 mL/mmHg [D]. What rises
# faster than a pump can fill it is a cuff or a movement. [A]
STIFFEST_ML_MMHG = 0.00035
NOISE_MMHG = 2.0
# 100 mmHg are 136 cm of water: more than a pump is ever put lower.
NARROW_MMHG = 100.0
# Assumed until a ceiling is known: a stroke of 0.05 mL into 0.0004 mL/mmHg, over a vein.
FIRST_CEILING_MMHG = 150.0


class Known(Struct, array_like=True):
    """What is known of one rate: its ceilings of the last hours, oldest first, and its floor.

    `top` is the ceiling until there are any.
    """

    rate_ml_h: float
    top: float
    seen: list[float] = field(default_factory=list)
    floor: float | None = None


class PressureWatch(Struct, array_like=True):
    """One line. Pressures in mmHg; times on the pump's clock.

    `rising` are the samples (time, pressure) since pressure went above the ceiling;
    `narrow_since_ms` is since when the floor stays high, `narrow_floor` how high it is, and
    `plateau` the highest pressure of that time: only above it does a narrow line close further.
    """

    since_ms: int = 0
    floor: float | None = None
    known: list[Known] = field(default_factory=list)
    ceiling: float = FIRST_CEILING_MMHG
    highest: float = 0.0
    ceiling_ms: int = 0
    lowest: float = 0.0
    minute_ms: int = 0
    rising: list[tuple[int, float]] = field(default_factory=list)
    narrow_since_ms: int | None = None
    narrow_floor: float = 0.0
    peak: float = 0.0
    plateau: float = 0.0


def begin(watch: PressureWatch, at_ms: int, rate_ml_h: float) -> None:
    """Delivery begins, or goes on at another rate; what is known of that rate holds again.

    Of a rate that is new only a bound is known: the part that flow makes grows with the rate.
    """
    known = watch.known
    for each in known:
        if each.rate_ml_h == rate_ml_h:
            known.remove(each)
            break
    else:
        top = watch.ceiling
        if known and watch.floor is not None and rate_ml_h > known[-1].rate_ml_h > 0:
            top = watch.floor + (top - watch.floor) * rate_ml_h / known[-1].rate_ml_h
        each = Known(rate_ml_h, max(top, FIRST_CEILING_MMHG))
    known.append(each)
    del known[:-RATES_MAX]
    watch.ceiling = max(each.seen, default=each.top)
    watch.since_ms = watch.ceiling_ms = watch.minute_ms = at_ms
    watch.floor = each.floor
    watch.highest, watch.lowest = 0.0, float("inf")
    watch.rising.clear()
    watch.narrow_since_ms = None
    watch.peak = watch.plateau = 0.0


def follow(watch: PressureWatch, at_ms: int, pressure_mmhg: float) -> bool:
    """Take one sample of a pump that delivers; whether there is something to look at."""
    if at_ms - watch.since_ms < LEARN_MS:
        watch.minute_ms = at_ms
        watch.lowest = pressure_mmhg
        return _note_rise(watch, at_ms, pressure_mmhg, FIRST_CEILING_MMHG)
    if pressure_mmhg < watch.lowest:
        watch.lowest = pressure_mmhg
    if pressure_mmhg > watch.peak:
        watch.peak = pressure_mmhg
    ceiling = max(watch.ceiling, watch.plateau)
    rises = False
    if pressure_mmhg > ceiling or watch.rising:
        rises = _note_rise(watch, at_ms, pressure_mmhg, ceiling)
    if rises:
        # What an occlusion makes is no ceiling: learning begins anew.
        watch.highest, watch.ceiling_ms = 0.0, at_ms
    elif pressure_mmhg > watch.highest:
        watch.highest = pressure_mmhg
    if at_ms - watch.minute_ms >= MS_PER_MINUTE:
        _end_minute(watch, at_ms, pressure_mmhg)
    return rises or watch.narrow_since_ms is not None


def margin_mmhg(watch: PressureWatch) -> float:
    """How far over the ceiling a pressure must be to be looked at."""
    floor = watch.floor if watch.floor is not None else 0.0
    return max(MARGIN_MMHG, MARGIN_SHARE * (watch.ceiling - floor))


def is_rising(watch: PressureWatch) -> bool:
    """Whether the pressure is over its ceiling and goes on rising."""
    rising = watch.rising
    if len(rising) < RISE_SAMPLES or rising[-1][0] - rising[0][0] < RISE_MS:
        return False
    first, last = rising[0][1], rising[-1][1]
    if last < max(watch.ceiling, watch.plateau) + margin_mmhg(watch):
        return False
    is_smooth = _is_smooth(watch)
    if is_smooth and last - first < MARGIN_MMHG:
        return False
    for (from_ms, low), (to_ms, high) in pairwise(rising):
        if high - low > _possible_mmhg(watch, to_ms - from_ms):
            return False
    middle = rising[len(rising) // 2][1]
    early, late = middle - first, last - middle
    least = (STEADY if is_smooth else STILL_RISING) * early
    return late > 0 and early > 0 and late >= least


def _is_smooth(watch: PressureWatch) -> bool:
    """Whether strokes do not show in the pressure."""
    return watch.floor is not None and watch.ceiling - watch.floor < MARGIN_MMHG


def _possible_mmhg(watch: PressureWatch, passed_ms: int) -> float:
    """The most that a pump can add in this time against a closed line; what is faster is a cuff."""
    rate_ml_h = watch.known[-1].rate_ml_h if watch.known else 0.0
    stroke = NOISE_MMHG if _is_smooth(watch) else FIRST_CEILING_MMHG
    return stroke + rate_ml_h * passed_ms / MS_PER_HOUR / STIFFEST_ML_MMHG


def risen_ms(watch: PressureWatch) -> int:
    """When a rise left what is healthy: its first sample over the margin."""
    line = max(watch.ceiling, watch.plateau) + margin_mmhg(watch)
    return next((at for at, pressure in watch.rising if pressure >= line), watch.rising[-1][0])


def rise_mmhg_s(watch: PressureWatch) -> float:
    """How fast the pressure rises over the samples of the rise; above zero while it is rising."""
    (from_ms, first), (to_ms, last) = watch.rising[0], watch.rising[-1]
    return (last - first) * MS_PER_SECOND / max(1, to_ms - from_ms)


def shift(watch: PressureWatch, delta_ms: int) -> None:
    """The pump's clock was set by so much."""
    watch.since_ms += delta_ms
    watch.ceiling_ms += delta_ms
    watch.minute_ms += delta_ms
    watch.rising = [(at_ms + delta_ms, pressure) for at_ms, pressure in watch.rising]
    if watch.narrow_since_ms is not None:
        watch.narrow_since_ms += delta_ms


def _note_rise(watch: PressureWatch, at_ms: int, pressure_mmhg: float, ceiling_mmhg: float) -> bool:
    rising = watch.rising
    if pressure_mmhg <= ceiling_mmhg:
        rising.clear()
        return False
    if rising and at_ms - rising[-1][0] < APART_MS:
        return is_rising(watch)
    rising.append((at_ms, pressure_mmhg))
    if len(rising) > RISING_MAX:
        del rising[0]
    return is_rising(watch)


def _end_minute(watch: PressureWatch, at_ms: int, pressure_mmhg: float) -> None:
    """A minute is over: its floor is known; half an hour: its ceiling."""
    lowest = watch.lowest
    floor = watch.floor
    if floor is not None and lowest > floor + NARROW_MMHG:
        if watch.narrow_since_ms is None:
            watch.narrow_since_ms = watch.minute_ms
        watch.narrow_floor = lowest
        watch.plateau = max(watch.plateau, watch.peak)
    else:
        watch.narrow_since_ms = None
        watch.plateau = 0.0
        # A floor falls at once and rises slowly, as when a patient lies down and gets up.
        if floor is None or lowest < floor:
            watch.floor = lowest
        else:
            watch.floor = floor + 0.05 * (lowest - floor)
        watch.known[-1].floor = watch.floor
    watch.minute_ms, watch.lowest = at_ms, pressure_mmhg
    watch.peak = 0.0
    if watch.narrow_since_ms is not None:
        watch.highest, watch.ceiling_ms = 0.0, at_ms
        return
    seen = watch.known[-1].seen
    if at_ms - watch.ceiling_ms >= (CEILING_MS if seen else FIRST_CEILING_MS):
        seen.append(watch.highest)
        del seen[:-CEILINGS_MAX]
        watch.ceiling = max(seen)
        watch.highest, watch.ceiling_ms = 0.0, at_ms

"""The pressure in a line, followed so that an occlusion is seen before the pump's own alarm.

Against a closed line the pressure rises with every millilitre pumped, by 1/C (C the compliance of
the line; pump-standards §3.1), until the pump's limit; in a free line it falls back to that of the
vein between two strokes of the mechanism. So a pump's own healthy pressures are learned:

- the **floor**, the lowest in a minute, and the **ceiling**, the highest in the last hours, which
  a stroke makes. Strokes and samples beat against one another, so that a healthy pressure may climb
  from sample to sample, but never above what a stroke makes of it.

Three things then cannot be healthy:

- pressure above the ceiling by a margin that **goes on rising**, sample after sample: a line that
  is closing or closed. A patient who stands up, or a pump that is put on the floor, makes one step
  and no more; but strokes go on above it, so where they show the margin is more than such a step.
  `rise_mmhg_s` tells when the limit will be reached.
- a floor that **climbs** from minute to minute above all that: the same, slower. A minute is at
  least as long as a stroke takes.
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
# Fewer do not yet say how high a stroke goes. [A]
CEILINGS_LEAST = 3
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
# The second half of a rise is at least this share as steep as the first; a step is flat.
STILL_RISING = 0.25
# Where no strokes show, a closed line's rise is even: it bends only where an arm was raised. [A]
STEADY = 0.7
# Stiffer than any line here; the stiffest of pump-standards §3.2 has 0.0005 mL/mmHg [D]. What rises
# faster than a pump can fill it is a cuff or a movement. [A]
STIFFEST_ML_MMHG = 0.00035
NOISE_MMHG = 2.0
# 100 mmHg are 136 cm of water: more than a pump is ever put lower.
NARROW_MMHG = 100.0
# A metre of water, 73.6 mmHg: the most that a pump is usually put lower. [A]
HEIGHT_MMHG = 75.0
# A floor climbs when it is higher by a margin from minute to minute, over so many. [A]
CLIMB_MINUTES = 3
# Of a pump whose strokes are rare a minute is longer, at most so long. [A]
MINUTE_MS_MAX = 5 * MS_PER_MINUTE
# Assumed until a ceiling is known: a stroke of 0.05 mL into 0.0004 mL/mmHg, over a vein.
FIRST_CEILING_MMHG = 150.0


class Known(Struct, array_like=True, gc=False):
    """What is known of one rate: its ceilings of the last hours, oldest first, and its floor.

    `top` is the ceiling until there are any. `stroke` is how far the newest ceiling was above the
    floor of its time: the floor comes after a step in height, and that makes no stroke smaller.
    """

    rate_ml_h: float
    top: float
    seen: list[float] = field(default_factory=list)
    floor: float | None = None
    stroke: float | None = None


class PressureWatch(Struct, array_like=True, gc=False):
    """One line. Pressures in mmHg; times on the pump's clock.

    `rising` are the samples (time, pressure) since pressure went above the ceiling;
    `narrow_since_ms` is since when the floor stays high, `narrow_floor` how high it is, and
    `plateau` the highest pressure of that time: only above it does a narrow line close further.
    `stroke` is what a stroke that the pump tells of makes of a stiff line; 0 where it makes none.
    `lows` are the lowest pressures of the last minutes, with the ends of these.
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
    stroke: float = 0.0
    lows: list[tuple[int, float]] = field(default_factory=list)


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
    watch.lows.clear()
    watch.narrow_since_ms = None
    watch.peak = watch.plateau = 0.0


def follow(watch: PressureWatch, at_ms: int, pressure_mmhg: float, stroke_ml: float = 0.0) -> bool:
    """Take one sample of a pump that delivers; whether there is something to look at.

    `stroke_ml` is the volume of a stroke, where the pump tells it.
    """
    watch.stroke = stroke_ml / STIFFEST_ML_MMHG
    if at_ms - watch.since_ms < LEARN_MS:
        watch.minute_ms = at_ms
        watch.lowest = pressure_mmhg
        return _note_rise(watch, at_ms, pressure_mmhg, FIRST_CEILING_MMHG)
    if pressure_mmhg < watch.lowest:
        watch.lowest = pressure_mmhg
    if pressure_mmhg > watch.peak:
        watch.peak = pressure_mmhg
    rises = False
    # No ceiling is lower than this one, so nearly always that is all.
    if pressure_mmhg > watch.ceiling or watch.rising:
        rises = _note_rise(watch, at_ms, pressure_mmhg, _ceiling(watch))
    if rises:
        # What an occlusion makes is no ceiling: learning begins anew.
        watch.highest, watch.ceiling_ms = 0.0, at_ms
    elif pressure_mmhg > watch.highest:
        watch.highest = pressure_mmhg
    if at_ms - watch.minute_ms >= MS_PER_MINUTE and at_ms - watch.minute_ms >= _minute_ms(watch):
        _end_minute(watch, at_ms, pressure_mmhg)
        rises |= _climbs(watch)
    return rises or watch.narrow_since_ms is not None


def margin_mmhg(watch: PressureWatch) -> float:
    """How far over the ceiling a pressure must be to be looked at.

    Strokes climb by chance from sample to sample, so where they show it is more than any height of
    the pump adds to them; where none show, a step in height is told from a rise by its end.
    """
    if _is_smooth(watch):
        return MARGIN_MMHG
    floor = watch.floor if watch.floor is not None else 0.0
    return max(HEIGHT_MMHG, MARGIN_SHARE * (watch.ceiling - floor))


def rise(watch: PressureWatch) -> list[tuple[int, float]]:
    """The samples (time, pressure) that show a rise; none where there is none."""
    if _rises(watch):
        return watch.rising
    return watch.lows if _climbs(watch) else []


def shows(watch: PressureWatch) -> bool:
    """Whether there may be a rise to tell of, or a narrow line."""
    if watch.narrow_since_ms is not None or len(watch.rising) >= RISE_SAMPLES:
        return True
    return _climbs(watch)


def _rises(watch: PressureWatch) -> bool:
    """Whether the latest samples are over the ceiling and rise."""
    rising = watch.rising
    if len(rising) < RISE_SAMPLES or rising[-1][0] - rising[0][0] < RISE_MS:
        return False
    first, last = rising[0][1], rising[-1][1]
    if last < _ceiling(watch) + margin_mmhg(watch):
        return False
    is_smooth = _is_smooth(watch)
    if last - first < MARGIN_MMHG:
        return False
    for (from_ms, low), (to_ms, high) in pairwise(rising):
        if high - low > _possible_mmhg(watch, to_ms - from_ms):
            return False
    half = len(rising) // 2
    (from_ms, _), (half_ms, middle), (to_ms, _) = rising[0], rising[half], rising[-1]
    early, late = middle - first, last - middle
    share = STEADY if is_smooth else STILL_RISING
    # By the time of each half, because they are not of one length.
    is_steady = late * (half_ms - from_ms) >= share * early * (to_ms - half_ms)
    return late > 0 and early > 0 and is_steady


def _climbs(watch: PressureWatch) -> bool:
    """Whether the lowest pressure is above all strokes and heights, and climbs."""
    lows = watch.lows
    if len(lows) < CLIMB_MINUTES or watch.floor is None:
        return False
    if lows[-1][1] - lows[-2][1] < MARGIN_MMHG:
        return False
    if lows[-1][1] < max(_healthy(watch) + margin_mmhg(watch), watch.floor + HEIGHT_MMHG):
        return False
    return all(high - low >= MARGIN_MMHG for (_, low), (_, high) in pairwise(lows))


def _minute_ms(watch: PressureWatch) -> int:
    """How long a pump must be followed to have seen the pressure between two of its strokes."""
    rate_ml_h = watch.known[-1].rate_ml_h
    if not watch.stroke or rate_ml_h <= 0:
        return MS_PER_MINUTE
    stroke_ms = round(watch.stroke * STIFFEST_ML_MMHG * MS_PER_HOUR / rate_ml_h)
    return min(max(MS_PER_MINUTE, stroke_ms), MINUTE_MS_MAX)


def _ceiling(watch: PressureWatch) -> float:
    """What a pressure must be above to be a rise: what is healthy, or what a narrow line makes."""
    return max(_healthy(watch), watch.plateau)


def _healthy(watch: PressureWatch) -> float:
    """The highest pressure that is known to be healthy, or that a stroke may make of it.

    Strokes and samples may keep step for so long that no sample has seen the top of a stroke yet.
    """
    if watch.stroke and watch.floor is not None and len(watch.known[-1].seen) < CEILINGS_LEAST:
        return max(watch.ceiling, watch.floor + watch.stroke)
    return watch.ceiling


def _is_smooth(watch: PressureWatch) -> bool:
    """Whether strokes do not show in the pressure."""
    if watch.stroke:
        return False
    stroke = watch.known[-1].stroke if watch.known else None
    return stroke is not None and stroke < MARGIN_MMHG


def _possible_mmhg(watch: PressureWatch, passed_ms: int) -> float:
    """The most that a pump can add in this time against a closed line; what is faster is a cuff."""
    rate_ml_h = watch.known[-1].rate_ml_h if watch.known else 0.0
    stroke = NOISE_MMHG if _is_smooth(watch) else max(FIRST_CEILING_MMHG, watch.stroke)
    return stroke + rate_ml_h * passed_ms / MS_PER_HOUR / STIFFEST_ML_MMHG


def risen_ms(watch: PressureWatch) -> int:
    """When the rise left what is healthy: its first sample over the margin, or a minute's end."""
    shown = rise(watch)
    if shown is watch.lows:
        return shown[0][0]
    line = _ceiling(watch) + margin_mmhg(watch)
    return next((at for at, pressure in shown if pressure >= line), shown[-1][0])


def rise_mmhg_s(watch: PressureWatch) -> float:
    """How fast the pressure rises over the samples of the rise: above zero."""
    shown = rise(watch)
    (from_ms, first), (to_ms, last) = shown[0], shown[-1]
    return (last - first) * MS_PER_SECOND / max(1, to_ms - from_ms)


def shift(watch: PressureWatch, delta_ms: int) -> None:
    """The pump's clock was set by so much."""
    watch.since_ms += delta_ms
    watch.ceiling_ms += delta_ms
    watch.minute_ms += delta_ms
    watch.rising = [(at_ms + delta_ms, pressure) for at_ms, pressure in watch.rising]
    watch.lows = [(at_ms + delta_ms, pressure) for at_ms, pressure in watch.lows]
    if watch.narrow_since_ms is not None:
        watch.narrow_since_ms += delta_ms


def _note_rise(watch: PressureWatch, at_ms: int, pressure_mmhg: float, ceiling_mmhg: float) -> bool:
    rising = watch.rising
    if pressure_mmhg <= ceiling_mmhg:
        rising.clear()
        return False
    if rising and at_ms - rising[-1][0] < APART_MS:
        return _rises(watch)
    rising.append((at_ms, pressure_mmhg))
    if len(rising) > RISING_MAX:
        del rising[0]
    return _rises(watch)


def _end_minute(watch: PressureWatch, at_ms: int, pressure_mmhg: float) -> None:
    """A minute is over: its floor is known; half an hour: its ceiling."""
    lowest = watch.lowest
    floor = watch.floor
    watch.lows.append((at_ms, lowest))
    del watch.lows[:-CLIMB_MINUTES]
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
    known = watch.known[-1]
    seen = known.seen
    if at_ms - watch.ceiling_ms >= (CEILING_MS if seen else FIRST_CEILING_MS):
        seen.append(watch.highest)
        del seen[:-CEILINGS_MAX]
        watch.ceiling = max(seen)
        known.stroke = watch.highest - (watch.floor or 0.0)
        watch.highest, watch.ceiling_ms = 0.0, at_ms

"""The level of heparin in the blood, estimated from the dose delivered and from the laboratory.

For testing and training only; the numbers dose nobody.

Two things are carried on, on the order's clock, from what the dose account says:

* **Two plain levels** of the typical patient (f = 1), by the delivered and by the ordered dose.
  Their ratio ρ weighs a missed or surplus dose by what it does to the blood (heparin.md §0.4 [A]):
  it needs no laboratory and is as sure as the account.
* **The grid** (infusion/elimination_grid.py): the level that *this* patient has, as a distribution
  that each laboratory result narrows. It is carried on in ticks of 15 min, in which the
  exponential midpoint rule errs by less than 2e-4 IU/mL (heparin.md §5.4 [V]).

A result comes an hour or more after the blood was drawn. So the grid as it stood eight hours ago
(the anchor) is kept, with the dose of each tick since: a result is put in where the blood was
drawn and everything after it is computed again. What comes late therefore gives exactly what it
would have given in time, and the order in which results arrive cannot matter. A result older than
the anchor comes too late and changes nothing.

`begin` starts where the monitor does: a therapy that was running before is taken to have gone as
ordered. Weight enters as a size, W^0.75 (heparin.md §5.1), which cancels out of the elimination.

What the account does not know yet is not a dose of zero: while a pump is not heard, do not
`advance`; when its counter is back, advance over the whole gap with what it gained (a mean rate).
Meanwhile `bounds` says between what the level must be.

infusion/level_grid.py is what is kept, and how a grid is moved on.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from infusion import elimination_grid as grid
from infusion import heparin
from infusion.clinical import LabResult
from infusion.elimination_grid import Bound
from infusion.level_grid import (
    HIGH_SHARE,
    LOW_SHARE,
    SIGHTINGS_MAX,
    TICK_MS,
    TYPICAL,
    LevelWatch,
    Sighting,
    anchor_ms,
    median_point,
    now,
    replay,
    settle,
    tick,
)
from infusion.prescription import Timeline
from infusion.units import MS_PER_HOUR

# The value that the functions work on is named here too, so that a caller needs this module only.
__all__ = [
    "Estimate",
    "Forecast",
    "LevelWatch",
    "Sighting",
    "advance",
    "begin",
    "bounds",
    "elimination",
    "estimate",
    "forecast",
    "may_leave",
    "observe",
    "ratio",
    "shift",
]

# How far back the order is followed at the beginning; before that the level was steady. [A]
_BEFORE_MS = 12 * MS_PER_HOUR
# After a longer gap nothing of before is left in the blood: 24 h are ten half-lives and more. [D]
GAP_MS_MAX = 24 * MS_PER_HOUR
# Below this a level does neither good nor harm, and a ratio of two such says nothing. [A]
RATIO_FLOOR_IU_ML = 0.05


class Estimate(Struct, frozen=True):
    """The level in IU/mL: median, and the middle 90 % of what it may be; `anchored_ms` is when the
    newest result in it was drawn, None without one."""

    median: float
    low: float
    high: float
    at_ms: int
    anchored_ms: int | None = None


class Forecast(Struct, frozen=True):
    """Where the level goes if nothing changes: how likely it is below or above a range then.

    `level` is what is expected at `at_ms`, between `low` and `high` by 90 %.
    """

    share_below: float
    share_above: float
    level: float
    low: float
    high: float
    at_ms: int


def begin(watch: LevelWatch, timeline: Timeline | None, at_ms: int, weight_kg: float) -> None:
    """Start anew at `at_ms`, as if everything so far had gone by the order.

    What was ordered in the twelve hours before is followed; a therapy that is older was steady at
    their beginning. Without an order the blood is free of heparin. Costs about 1 ms.
    """
    size_kg = _size_kg(weight_kg)
    # Before the therapy there is nothing to follow, and a tick of it makes no level.
    first_ms = timeline.times_ms[0] if timeline is not None else at_ms
    start_ms = max(at_ms - _BEFORE_MS, min(first_ms, at_ms))
    rate = timeline.base_rate_iu_h(start_ms - 1) / size_kg if timeline is not None else 0.0
    settle(watch, rate, start_ms)
    if timeline is None:
        return
    while watch.at_ms < at_ms:
        to_ms = min(watch.at_ms + TICK_MS, at_ms)
        dose_iu = timeline.dose_iu(watch.at_ms, to_ms)
        advance(watch, dose_iu, dose_iu, to_ms, weight_kg)


def advance(
    watch: LevelWatch, dose_iu: float, ordered_iu: float, to_ms: int, weight_kg: float
) -> None:
    """Carry on to `to_ms`: `dose_iu` reached the patient since the last call, and `ordered_iu`
    were ordered, both evenly.

    A negative dose (an account that was put right) is taken off the next ones. Called before
    `begin`, or without time having passed, it only keeps the dose.
    """
    length_ms = to_ms - watch.at_ms
    dose_iu += watch.owed_iu
    watch.owed_iu = 0.0
    if length_ms <= 0 or not watch.has_begun or dose_iu < 0.0:
        watch.owed_iu, dose_iu = dose_iu, 0.0
        if length_ms <= 0 or not watch.has_begun:
            return
    size_kg = _size_kg(weight_kg)
    hours = length_ms / MS_PER_HOUR
    rate, ordered = dose_iu / (hours * size_kg), ordered_iu / (hours * size_kg)
    if length_ms > GAP_MS_MAX:
        settle(watch, rate, to_ms)
        watch.ordered_iu_ml = heparin.steady_state_iu_ml(ordered, *TYPICAL[1:])
        return
    for _ in range(parts := -(-length_ms // TICK_MS)):
        watch.delivered_iu_ml = heparin.step(watch.delivered_iu_ml, rate, hours / parts, *TYPICAL)
        watch.ordered_iu_ml = heparin.step(watch.ordered_iu_ml, ordered, hours / parts, *TYPICAL)
    from_ms, watch.at_ms = watch.at_ms, to_ms
    while to_ms >= (end_ms := watch.tick_ms + TICK_MS):
        watch.waiting_iu_kg += rate * (end_ms - from_ms) / MS_PER_HOUR
        from_ms = end_ms
        tick(watch)
    watch.waiting_iu_kg += rate * (to_ms - from_ms) / MS_PER_HOUR


def observe(watch: LevelWatch, result: LabResult) -> bool:
    """Put a result in where its blood was drawn; whether it told anything.

    It tells nothing as another test than anti-Xa and aPTT, drawn before the anchor, as an aPTT of
    a specimen whose anti-Xa is known (which says the same, better), or when a later word on the
    same specimen is known. One without a value takes back what was said of its specimen before.
    Costs up to 1 ms.
    """
    test = result.test
    if test not in ("anti-xa", "aptt") or not watch.has_begun:
        return False
    if not anchor_ms(watch) <= result.drawn_ms <= watch.at_ms + GAP_MS_MAX:
        return False
    kept = []
    for known in watch.sightings:
        if (known.drawn_ms, known.specimen) != (result.drawn_ms, result.specimen):
            kept.append(known)
            continue
        is_same = known.test == test
        if result.value is None and not is_same:
            kept.append(known)
            continue
        if known.resulted_ms >= result.resulted_ms if is_same else known.test == "anti-xa":
            return False
    if result.value is not None:
        bound: Bound = result.bound
        if test == "aptt" and result.value >= heparin.APTT_CAP_S:
            bound = "above"
        specimen, value = result.specimen, result.value
        kept.append(Sighting(result.drawn_ms, specimen, test, value, bound, result.resulted_ms))
    elif len(kept) == len(watch.sightings):
        return False
    kept.sort(key=lambda each: (each.drawn_ms, each.specimen))
    watch.sightings = kept[-SIGHTINGS_MAX:]
    replay(watch)
    return True


def shift(watch: LevelWatch, delta_ms: int) -> None:
    """Move everything by so much: the clock that it counts on was set."""
    if not watch.has_begun:
        return
    watch.at_ms += delta_ms
    watch.tick_ms += delta_ms
    for sighting in watch.sightings:
        sighting.drawn_ms += delta_ms


def ratio(watch: LevelWatch) -> float | None:
    """ρ: the level by the delivered dose over that by the ordered one; None while neither counts.

    An ordered level below 0.05 IU/mL is taken for that [A]: a little heparin during a long hold is
    no manifold of nothing.
    """
    delivered, ordered = watch.delivered_iu_ml, watch.ordered_iu_ml
    if not watch.has_begun or max(delivered, ordered) < RATIO_FLOOR_IU_ML:
        return None
    return delivered / max(ordered, RATIO_FLOOR_IU_ML)


def estimate(watch: LevelWatch) -> Estimate | None:
    """The level at `watch.at_ms`; None before `begin`. Costs about 12 µs."""
    if not watch.has_begun:
        return None
    levels, weights = now(watch)
    return _estimate(watch, levels, levels, weights, watch.at_ms)


def bounds(watch: LevelWatch, most_iu: float, to_ms: int, weight_kg: float) -> Estimate | None:
    """The level at `to_ms` when nobody knows whether nothing or `most_iu` came since: the interval
    is that of 90 % at either end, the median lies in the middle of both."""
    if not watch.has_begun:
        return None
    levels, weights = now(watch)
    hours = max(0, to_ms - watch.at_ms) / MS_PER_HOUR
    if hours == 0.0:
        return _estimate(watch, levels, levels, weights, to_ms)
    rate = most_iu / (hours * _size_kg(weight_kg))
    most = _carried(levels, rate, hours)
    return _estimate(watch, _carried(levels, 0.0, hours), most, weights, to_ms)


def forecast(
    watch: LevelWatch,
    rate_iu_h: float,
    hours: float,
    weight_kg: float,
    low_iu_ml: float,
    high_iu_ml: float,
) -> Forecast | None:
    """Where the level is after `hours` at a rate that does not change, against a range.

    Costs about 50 µs; None before `begin`.
    """
    if not watch.has_begun:
        return None
    levels, weights = now(watch)
    then = _carried(levels, rate_iu_h / _size_kg(weight_kg), hours)
    pairs = list(zip(then, weights, strict=True))
    return Forecast(
        share_below=sum(weight for level, weight in pairs if level < low_iu_ml),
        share_above=sum(weight for level, weight in pairs if level > high_iu_ml),
        level=grid.quantile(then, weights, 0.5),
        low=grid.quantile(then, weights, LOW_SHARE),
        high=grid.quantile(then, weights, HIGH_SHARE),
        at_ms=watch.at_ms + round(hours * MS_PER_HOUR),
    )


def may_leave(
    watch: LevelWatch,
    rate_iu_h: float,
    hours: float,
    weight_kg: float,
    low_iu_ml: float,
    high_iu_ml: float,
) -> bool:
    """Whether a forecast is worth its cost: False when the patient of median f stays in range, for
    then it is no more than even that the level leaves it. Costs about 6 µs."""
    if not watch.has_begun:
        return False
    point, level = median_point(watch)
    waited_h = (watch.at_ms - watch.tick_ms) / MS_PER_HOUR
    ways = grid.WAYS[point]
    if waited_h > 0.0:
        level = heparin.step(level, watch.waiting_iu_kg / waited_h, waited_h, *ways)
    rate = rate_iu_h / _size_kg(weight_kg)
    steps = _steps(hours)
    for _ in range(steps):
        level = heparin.step(level, rate, hours / steps, *ways)
    return not low_iu_ml <= level <= high_iu_ml


def elimination(watch: LevelWatch) -> tuple[float, float, float] | None:
    """f of this patient, median and middle 90 %: above 1 heparin leaves faster than typical."""
    if not watch.has_begun:
        return None
    _, weights = now(watch)
    low, median, high = (
        grid.quantile(grid.FACTORS, weights, q) for q in (LOW_SHARE, 0.5, HIGH_SHARE)
    )
    return median, low, high


# --- small things ---------------------------------------------------------------------------------


def _carried(levels: list[float], rate_iu_kg_h: float, hours: float) -> list[float]:
    """Levels after any number of hours, in steps of half an hour at most."""
    steps = _steps(hours)
    for _ in range(steps):
        levels = grid.carry(levels, rate_iu_kg_h, hours / steps)
    return levels


def _steps(hours: float) -> int:
    """In how many steps of half an hour at most."""
    return max(1, math.ceil(2.0 * hours))


def _estimate(
    watch: LevelWatch,
    lowest: Sequence[float],
    highest: Sequence[float],
    weights: Sequence[float],
    at_ms: int,
) -> Estimate:
    middles = [grid.quantile(levels, weights, 0.5) for levels in (lowest, highest)]
    drawn = [each.drawn_ms for each in watch.sightings if each.drawn_ms <= watch.at_ms]
    return Estimate(
        median=sum(middles) / 2.0,
        low=grid.quantile(lowest, weights, LOW_SHARE),
        high=grid.quantile(highest, weights, HIGH_SHARE),
        at_ms=at_ms,
        anchored_ms=max(drawn, default=None),
    )


def _size_kg(weight_kg: float) -> float:
    """The weight that a rate is divided by: W^0.75 × 70^0.25, the weight itself at 70 kg."""
    return weight_kg * float((weight_kg / heparin.REFERENCE_WEIGHT_KG) ** heparin.SIZE_EXPONENT)

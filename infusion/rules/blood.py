"""Laboratory results against the dose that was delivered, and where the level goes.

What a level makes of a dose is infusion/level.py; that pump and counter are right other rules say.
"""

import math

from infusion import level
from infusion.alarms import Priority
from infusion.care_calendar import protocol_test, range_of, side_of
from infusion.clinical import LabResult
from infusion.elimination_grid import TOTAL_SD, WITHIN_SD, WITHIN_TIME_H
from infusion.level import Sighting
from infusion.messages import Evidence
from infusion.record import Record, results_of
from infusion.rules.results import has_heparin, order_now_ms, pump_ms
from infusion.situation import Situation, Verdict
from infusion.units import MS_PER_HOUR

# Strengths are mixed up by these factors: 40, 50, 100 and 1,000 IU/mL are on the market (heparin.md
# §1.5 [V]); ten and more would be seen by the result alone.
_STRENGTHS = (0.4, 0.5, 2.0, 2.5)
# Two results tell the same strength when their ln f differ by no more, and each must tell a change
# of at least so much [A]. What a result tells of ln f has the variance of its error [D].
_SAME, _CHANGED, _READING_VARIANCE = 0.40, 0.35, 0.0125
# ln f of any patient varies by so much, laboratory included (5 %, PMC6009553 [V]).
_ANY_SD = math.hypot(TOTAL_SD, 0.05)
# A likelihood above this is not worth telling apart.
_LIKELIHOOD_MAX = 999.0
# Older results say little of how fast the patient cleared heparin before. [A]
_BASE_MS = 36 * MS_PER_HOUR


def result_disagrees(now: Situation) -> Verdict | None:
    """An anti-Xa that is off the level that the delivered dose makes, in this patient or in any.

    Medium, M10 [A]: by > 0.25 IU/mL and > 50 %, and by more than this patient's spread makes likely
    (infusion/level.py): on a first result half of all patients would be off by as much. Low: it is
    beyond what 94 of 100 have, by ln f [A]: of what this patient showed before, or of all patients
    (heparin.md §5.2). A leak and a bag of another strength show in
    nothing else. What was odd and is ordinary again is told by nothing: the odd one was told.
    """
    sighting = newest_anti_xa(now)
    if sighting is None or now.record is None or _is_ordinary_again(now, sighting):
        return None
    is_clear = _is_clearly_off(now, sighting)
    result = _result_of(now.record, sighting)
    if result is None or not (is_clear or _is_unlikely(now, sighting)):
        return None
    limits = now.limits
    limit = f"less likely than {2.0 * limits.disagreement_chance_low:.0%}"
    if is_clear:
        limit = f"more than {limits.disagreement_iu_ml:g} and {limits.disagreement_share:.0%} off"
    detail = "look first for " + (
        "a specimen drawn from the heparin line, then for a bag of more strength"
        if sighting.value > sighting.expected
        else "a leak or a loose line, then for a bag of less strength or too little antithrombin"
    )
    evidence = Evidence(
        observed=sighting.value,
        expected=round(sighting.expected, 2),
        low=round(sighting.low, 2),
        high=round(sighting.high, 2),
        unit="IU/mL",
        limit=limit,
        from_ms=pump_ms(now, sighting.drawn_ms),
        to_ms=now.at_ms,
        detail=f"anti-Xa against the level that the delivered dose makes: {detail}; draw again",
    )
    priority = Priority.MEDIUM if is_clear else None
    return Verdict(evidence, pump_ms(now, result.resulted_ms), priority)


def concentration_doubt(now: Situation) -> Verdict | None:
    """Two results in a row fit a bag of another strength better than a change in the patient.

    ln f that explains a result is low by ln s when the dose is s times what is counted. It is
    compared with what the results before told, or the population; between them a patient may
    wander (Ornstein-Uhlenbeck, σ 0.25, 18 h [A]). The alert comes when one of the strengths on the
    market is `strength_likelihood` times as likely as that. A clearance that really changed looks
    the same; no blood test tells the two apart, a look at the bag does.
    """
    pair = _strength(now)
    sighting = newest_anti_xa(now)
    if pair is None or sighting is None or now.record is None:
        return None
    likelihood, strength = pair
    result = _result_of(now.record, sighting)
    if likelihood < now.limits.strength_likelihood or result is None or not has_heparin(now):
        return None
    clears = "faster" if strength < 1 else "more slowly"
    surely = min(likelihood, _LIKELIHOOD_MAX)
    evidence = Evidence(
        observed=strength,
        expected=1.0,
        unit="times the dose counted",
        limit=f"{now.limits.strength_likelihood:g} times as likely",
        to_ms=now.at_ms,
        detail=f"two anti-Xa in a row fit {strength:g} times the strength, {surely:.0f} times as"
        " likely as chance: look at the label of the bag; else the patient clears heparin"
        f" {clears} than before",
    )
    is_grave = strength >= 2.0 and likelihood >= now.limits.strength_likelihood_high
    priority = Priority.HIGH if is_grave else None
    return Verdict(evidence, pump_ms(now, result.resulted_ms), priority)


def level_forecast(now: Situation) -> Verdict | None:
    """The level will have left its range in 2 h with 80 % probability if nothing changes [A].

    Only while the newest result was in range and is fresh: else that result says it, or nothing
    bears the estimate.
    """
    record, limits, edge, prescription = now.record, now.limits, now.edge, now.prescription
    if record is None or edge is None or prescription is None or not now.delivering:
        return None
    low, high = limits.anti_xa_low_iu_ml, limits.anti_xa_high_iu_ml
    last = results_of(record, protocol_test(record, limits))[-1:]
    anchor_ms = order_now_ms(now) - round(limits.forecast_anchor_h * MS_PER_HOUR)
    if not last or last[0].drawn_ms < anchor_ms:
        return None
    if side_of(last[0], *range_of(last[0].test, limits)):
        return None
    watch, rate = now.state.level, edge.rate_ml_h * edge.concentration_iu_ml
    if now.state.giving is not None and now.allowed is not None:
        # A bolus is over soon, and what goes on is the continuous rate.
        rate = now.allowed.ordered_iu_h
    ahead = (rate, limits.forecast_h, prescription.weight_kg, low, high)
    if not level.may_leave(watch, *ahead):
        return None
    seen = level.forecast(watch, *ahead)
    if seen is None or max(seen.share_below, seen.share_above) < limits.forecast_chance:
        return None
    is_low = seen.share_below > seen.share_above
    side = "below" if is_low else "above"
    chance = max(seen.share_below, seen.share_above)
    evidence = Evidence(
        observed=round(seen.level, 2),
        expected=low if is_low else high,
        low=round(seen.low, 2),
        high=round(seen.high, 2),
        unit="IU/mL",
        limit=f"{low:g} to {high:g}",
        from_ms=now.at_ms,
        to_ms=now.at_ms + round(limits.forecast_h * MS_PER_HOUR),
        detail=f"an estimate: {side} range in {limits.forecast_h:g} h with {chance:.0%} probability"
        " if nothing changes; the last result was in range",
    )
    return Verdict(evidence)


# --- small things ---------------------------------------------------------------------------------


def newest_anti_xa(now: Situation) -> Sighting | None:
    """The last anti-Xa that the level was held against, if no later one is known."""
    seen = [each for each in now.state.level.sightings if each.test == "anti-xa"]
    return seen[-1] if seen else None


def _result_of(record: Record, sighting: Sighting) -> LabResult | None:
    """The result that a sighting is of, if it is the newest of its test."""
    newest = results_of(record, sighting.test)[-1:]
    if newest and newest[0].specimen == sighting.specimen:
        return newest[0]
    return None


def _is_clearly_off(now: Situation, sighting: Sighting) -> bool:
    """M10: far off, and hardly likely in this patient."""
    limits, off = now.limits, abs(sighting.value - sighting.expected)
    chance = limits.disagreement_chance
    if sighting.bound:
        chance = limits.disagreement_chance_off_scale
    is_far = off > max(limits.disagreement_iu_ml, limits.disagreement_share * sighting.expected)
    return is_far and sighting.tail <= chance


def _is_unlikely(now: Situation, sighting: Sighting) -> bool:
    """Whether few patients would read so far out, this one or any; False where nothing follows."""
    if sighting.logarithm is None:
        return False
    return sighting.tail <= now.limits.disagreement_chance_low or _is_rare(now, sighting)


def _is_rare(now: Situation, sighting: Sighting) -> bool:
    """Whether few of all patients have such a ln f, on its side."""
    if sighting.logarithm is None:
        return False
    return _chance(sighting.logarithm) <= now.limits.disagreement_chance_low


def _is_ordinary_again(now: Situation, sighting: Sighting) -> bool:
    """Whether the result before was one that few patients have, and this one is not."""
    seen = [each for each in now.state.level.sightings if each.test == "anti-xa"][-2:]
    return len(seen) == 2 and _is_no_base(now, seen[0]) and not _is_rare(now, sighting)


def _is_no_base(now: Situation, sighting: Sighting) -> bool:
    """Whether a result tells sooner of its specimen, or of what hung then, than of the patient:
    one in ten has it [A], or it was above the scale and says only that it was at least that."""
    if sighting.bound == "above":
        return True
    chance = 2.0 * now.limits.disagreement_chance_low
    return sighting.logarithm is not None and _chance(sighting.logarithm) <= chance


def _chance(logarithm: float) -> float:
    """How many of all patients have a ln f so far out or further, on its side."""
    return math.erfc(abs(logarithm) / (_ANY_SD * math.sqrt(2.0))) / 2.0


def _strength(now: Situation) -> tuple[float, float] | None:
    """How many times likelier than a wandering patient the likeliest strength is, and that."""
    seen = [each for each in now.state.level.sightings if each.test == "anti-xa"]
    told = [(each.drawn_ms, each.logarithm) for each in seen if each.logarithm is not None]
    if len(told) < 2 or any(each.logarithm is None for each in seen[-2:]):
        return None
    (first_ms, first), (second_ms, second) = told[-2:]
    before = [
        (each.drawn_ms, each.logarithm)
        for each in seen[:-2]
        if each.logarithm is not None
        and first_ms - each.drawn_ms < _BASE_MS
        and not _is_no_base(now, each)
    ][-2:]
    base, variance = 0.0, TOTAL_SD**2 + _READING_VARIANCE / 2.0
    if before:
        base = sum(x for _, x in before) / len(before)
        apart_ms = (first_ms + second_ms) / 2.0 - sum(at for at, _ in before) / len(before)
        kept = math.exp(-apart_ms / MS_PER_HOUR / WITHIN_TIME_H)
        variance = 2.0 * WITHIN_SD**2 * (1.0 - kept)
        variance += _READING_VARIANCE * (0.5 + 1.0 / len(before))
    if abs(first - second) > _SAME or min(abs(base - first), abs(base - second)) < _CHANGED:
        return None
    shift = base - (first + second) / 2.0

    def misfit(strength: float) -> float:
        return (shift - math.log(strength)) ** 2 / (2.0 * variance)

    strength = min(_STRENGTHS, key=misfit)
    return math.exp(min(misfit(1.0) - misfit(strength), 50.0)), strength

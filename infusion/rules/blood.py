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
# A likelihood above this is not worth telling apart.
_LIKELIHOOD_MAX = 999.0
# Older results say little of how fast the patient cleared heparin before. [A]
_BASE_MS = 36 * MS_PER_HOUR


def result_disagrees(now: Situation) -> Verdict | None:
    """M10: anti-Xa is off the level that the delivered dose makes by > 0.25 IU/mL and > 50 % [A].

    And by more than this patient's spread makes likely (infusion/level.py): on a first result half
    of all patients would be off by as much.
    """
    sighting = newest_anti_xa(now)
    if sighting is None or now.record is None:
        return None
    limits, off = now.limits, sighting.value - sighting.expected
    chance = limits.disagreement_chance
    if sighting.bound:
        chance = limits.disagreement_chance_off_scale
    if sighting.tail > chance or abs(off) <= limits.disagreement_iu_ml:
        return None
    if abs(off) <= limits.disagreement_share * sighting.expected:
        return None
    result = _result_of(now.record, sighting)
    if result is None:
        return None
    detail = "look first for " + (
        "a specimen drawn from the heparin line, then for a bag of more strength"
        if off > 0
        else "a leak or a loose line, then for a bag of less strength or too little antithrombin"
    )
    evidence = Evidence(
        observed=sighting.value,
        expected=round(sighting.expected, 2),
        low=round(sighting.low, 2),
        high=round(sighting.high, 2),
        unit="IU/mL",
        limit=f"more than {limits.disagreement_iu_ml:g} and {limits.disagreement_share:.0%} off",
        from_ms=pump_ms(now, sighting.drawn_ms),
        to_ms=now.at_ms,
        detail=f"anti-Xa against the level that the delivered dose makes: {detail}; draw again",
    )
    return Verdict(evidence, since_ms=pump_ms(now, result.resulted_ms))


def concentration_doubt(now: Situation) -> Verdict | None:
    """Two results in a row fit a bag of another strength better than a change in the patient.

    ln f that explains a result is low by ln s when the dose is s times what is counted. It is
    compared with what the results before told, or the population; between them a patient may
    wander (Ornstein-Uhlenbeck, σ 0.25, 18 h [A]). The alert comes when one of the strengths on the
    market is `strength_likelihood` times as likely as that. A clearance that really changed looks
    the same; no blood test tells the two apart, a look at the bag does.
    """
    pair = _strength(now.state.level.sightings)
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


def _strength(sightings: list[Sighting]) -> tuple[float, float] | None:
    """How many times likelier than a wandering patient the likeliest strength is, and that."""
    last = [each for each in sightings if each.test == "anti-xa"][-2:]
    told = [(each.drawn_ms, each.logarithm) for each in sightings if each.logarithm is not None]
    if len(told) < 2 or any(each.logarithm is None for each in last):
        return None
    (first_ms, first), (second_ms, second) = told[-2:]
    before = [pair for pair in told[:-2] if first_ms - pair[0] < _BASE_MS][-2:]
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

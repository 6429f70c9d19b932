"""The pharmacist's part: review of an order, the compounding record, checks, dose adjustment.

Nothing here orders anything: a review is a list of findings, and an adjusted order is the next
version as a nomogram would have it, which a prescriber signs and a second person checks as any
other order. How heparin ends is in infusion/service/transition.py. For testing and training only.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from infusion.library import (
    DrugEntry,
    check_bolus,
    check_concentration,
    check_rate,
    check_weight,
)
from infusion.nomogram import Advice
from infusion.prescription import (
    Bolus,
    ConcentrationIuMl,
    Hold,
    Name,
    Prescription,
    RateChange,
    Start,
    TimeMs,
    WeightKg,
    compile_timeline,
)
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, dose_rate_iu_h, pump_rate_ml_h

# H08: a weight that differs by more than this from the order's is another patient's, or in another
# unit [A]; a label says its strength exactly, and the rest is for rounding [A].
WEIGHT_TOLERANCE = 0.10
CONCENTRATION_TOLERANCE = 0.01
# Two people who work out a rate apart from one another come to the same, but for rounding [A].
CHECK_TOLERANCE = 0.01
# A bag is used within so long of being made: heparin 1,000 and 40,000 IU/mL kept more than 95 % for
# 30 days at 30 °C (IJPC 1997;433 [V]); what a pharmacy may promise is its own law's, and less [A].
BEYOND_USE_MAX_H = 30 * 24.0
BOLUS_DURATION_S = 600.0

Person = Annotated[str, Meta(min_length=1, max_length=64)]
Volume = Annotated[float, Meta(gt=0, le=5_000)]


class Finding(Struct, frozen=True):
    """Something that a review found. What `must_stop` is not to be dispensed as it is."""

    must_stop: bool
    text: str


class Compounded(Struct, frozen=True, kw_only=True):
    """One batch of bags that was made for a therapy, as the pharmacy writes it down.

    `label_iu_ml` is what the label says, `heparin_iu` what was put into `volume_ml`.
    """

    therapy: Name
    lot: Name
    bags: Annotated[int, Meta(ge=1, le=100)]
    label_iu_ml: ConcentrationIuMl
    heparin_iu: Annotated[float, Meta(gt=0, le=10_000_000)]
    volume_ml: Volume
    heparin_lot: Name
    made_ms: TimeMs
    beyond_use_ms: TimeMs
    made_by: Person
    checked_by: Person


class Check(Struct, frozen=True, kw_only=True):
    """What one person worked out for the pump, apart from the other one."""

    by: Person
    at_ms: TimeMs
    rate_ml_h: Annotated[float, Meta(gt=0, le=10_000)]
    concentration_iu_ml: ConcentrationIuMl
    weight_kg: WeightKg


class Adjustment(Struct, frozen=True, kw_only=True):
    """A dose that a nomogram would change: the next version of the order, and the words for it.

    `order` is None where the table says to change nothing, cannot be read, or waits for a
    physician; `words` say which. Nobody has agreed to it yet.
    """

    words: str
    order: Prescription | None
    next_level_ms: int
    ask_prescriber: bool


def review(
    order: Prescription,
    entry: DrugEntry,
    measured_kg: float | None,
    bags_iu_ml: Sequence[float] = (),
) -> list[Finding]:
    """What a pharmacist finds in an order: against the drug library, the scales and the bags.

    Raises MessageError for steps that make no sense at all.
    """
    compile_timeline(order)
    found = [
        Finding(breach.is_hard, breach.text) for breach in check_weight(entry, order.weight_kg)
    ]
    breaches = check_concentration(entry, order.concentration_iu_ml)
    found += [Finding(breach.is_hard, breach.text) for breach in breaches]
    for number, step in enumerate(order.steps, start=1):
        found += [
            Finding(finding.must_stop, f"step {number}: {finding.text}")
            for finding in _step_findings(order, entry, step)
        ]
    if measured_kg is None:
        found.append(Finding(False, "nobody has weighed the patient; the order's weight stands"))
    elif _differs(order.weight_kg, measured_kg, WEIGHT_TOLERANCE):
        text = (
            f"the order is for {order.weight_kg:g} kg, the scales say {measured_kg:g} kg;"
            " ask which is right (pounds are 2.2 times kilograms)"
        )
        found.append(Finding(True, text))
    for strength in sorted(set(bags_iu_ml)):
        if _differs(order.concentration_iu_ml, strength, CONCENTRATION_TOLERANCE):
            text = (
                f"the order is for {order.concentration_iu_ml:g} IU/mL, a bag at home has"
                f" {strength:g} IU/mL; fetch that bag back"
            )
            found.append(Finding(True, text))
    return found


def bag_findings(batch: Compounded, order: Prescription, now_ms: int) -> list[Finding]:
    """What is wrong with a batch: its label, its strength, its date, who checked it."""
    found: list[Finding] = []
    if batch.therapy != order.therapy:
        found.append(Finding(True, f"made for {batch.therapy}, not for {order.therapy}"))
    made_iu_ml = batch.heparin_iu / batch.volume_ml
    if _differs(batch.label_iu_ml, made_iu_ml, CONCENTRATION_TOLERANCE):
        text = (
            f"the label says {batch.label_iu_ml:g} IU/mL, but {batch.heparin_iu:g} IU in"
            f" {batch.volume_ml:g} mL are {made_iu_ml:g} IU/mL"
        )
        found.append(Finding(True, text))
    if _differs(order.concentration_iu_ml, batch.label_iu_ml, CONCENTRATION_TOLERANCE):
        text = f"the order is for {order.concentration_iu_ml:g} IU/mL, not {batch.label_iu_ml:g}"
        found.append(Finding(True, text))
    if batch.beyond_use_ms <= batch.made_ms:
        found.append(Finding(True, "its date is before it was made"))
    elif now_ms >= batch.beyond_use_ms:
        found.append(Finding(True, "its date has passed"))
    elif batch.beyond_use_ms - batch.made_ms > BEYOND_USE_MAX_H * MS_PER_HOUR:
        days = (batch.beyond_use_ms - batch.made_ms) / MS_PER_HOUR / 24
        text = f"dated {days:.0f} days ahead, at most {BEYOND_USE_MAX_H / 24:g}"
        found.append(Finding(True, text))
    if _is_same(batch.made_by, batch.checked_by):
        found.append(Finding(True, f"{batch.made_by} made and checked it; another must check"))
    return found


def double_check(order: Prescription, first: Check, second: Check) -> list[Finding]:
    """What is wrong with the checks of a pump by two people, each on their own.

    The same person twice is none (ISMP: the check must be independent [V]); neither is agreeing on
    a number that is not the order's.
    """
    found: list[Finding] = []
    if _is_same(first.by, second.by):
        found.append(Finding(True, f"{first.by} checked twice; another must check"))
    if _differs(first.rate_ml_h, second.rate_ml_h, CHECK_TOLERANCE):
        text = (
            f"{first.by} came to {first.rate_ml_h:g} mL/h, {second.by} to {second.rate_ml_h:g};"
            " both work it out again"
        )
        found.append(Finding(True, text))
    timeline = compile_timeline(order)
    for check in (first, second):
        due_ml_h = timeline.base_rate_iu_h(check.at_ms) / order.concentration_iu_ml
        found += [
            Finding(True, f"{check.by}: {word} {mine:g}, the order says {theirs:g}")
            for word, mine, theirs, tolerance in (
                ("mL/h", check.rate_ml_h, due_ml_h, CHECK_TOLERANCE),
                (
                    "IU/mL",
                    check.concentration_iu_ml,
                    order.concentration_iu_ml,
                    CONCENTRATION_TOLERANCE,
                ),
                ("kg", check.weight_kg, order.weight_kg, CHECK_TOLERANCE),
            )
            if _differs(theirs, mine, tolerance)
        ]
    return found


def adjusted(order: Prescription, advice: Advice, at_ms: int) -> Adjustment:
    """The next version of an order as a nomogram's answer would have it from `at_ms` on.

    A bolus is given over ten minutes [A]; the new rate is in force after the hold.
    """
    next_level_ms = at_ms + round(advice.recheck_h * MS_PER_HOUR)
    rate_iu_h = compile_timeline(order).base_rate_iu_h(at_ms)
    is_same = advice.rate_iu_h == rate_iu_h and not advice.bolus_iu and not advice.hold_min
    steps: list[Bolus | Hold | RateChange] = []
    if advice.is_known and not advice.waits and not is_same:
        if advice.bolus_iu:
            bolus = Bolus(at_ms=at_ms, dose_iu=advice.bolus_iu, duration_s=BOLUS_DURATION_S)
            steps.append(bolus)
        if advice.hold_min:
            until_ms = at_ms + round(advice.hold_min * MS_PER_MINUTE)
            steps.append(Hold(at_ms=at_ms, until_ms=until_ms))
        if advice.rate_iu_h != rate_iu_h:
            steps.append(RateChange(at_ms=at_ms, rate_iu_h=advice.rate_iu_h))
    return Adjustment(
        words=advice.words,
        order=_next_version(order, steps) if steps else None,
        next_level_ms=next_level_ms,
        ask_prescriber=advice.notify or advice.waits or not advice.is_known,
    )


# --- small things ---------------------------------------------------------------------------------


def _next_version(order: Prescription, steps: Sequence[Bolus | Hold | RateChange]) -> Prescription:
    return Prescription(
        therapy=order.therapy,
        version=order.version + 1,
        pump=order.pump,
        weight_kg=order.weight_kg,
        concentration_iu_ml=order.concentration_iu_ml,
        steps=(*order.steps, *steps),
    )


def _step_findings(order: Prescription, entry: DrugEntry, step: object) -> list[Finding]:
    if isinstance(step, Start | RateChange):
        rate_iu_h = step.rate_iu_h
        if rate_iu_h is None:
            rate_iu_h = dose_rate_iu_h(step.rate_iu_kg_h or 0.0, order.weight_kg)
        rate_ml_h = pump_rate_ml_h(rate_iu_h, order.concentration_iu_ml)
        breaches = check_rate(entry, rate_ml_h, order.concentration_iu_ml, order.weight_kg)
    elif isinstance(step, Bolus):
        breaches = check_bolus(
            entry, step.dose_iu, step.duration_s, order.weight_kg, _since_min(order, step)
        )
    else:
        return []
    return [Finding(breach.is_hard, breach.text) for breach in breaches]


def _since_min(order: Prescription, bolus: Bolus) -> float | None:
    """Minutes since the bolus before this one; None for the first."""
    before = [
        step.at_ms
        for step in order.steps
        if isinstance(step, Bolus) and step is not bolus and step.at_ms <= bolus.at_ms
    ]
    return (bolus.at_ms - max(before)) / MS_PER_MINUTE if before else None


def _differs(right: float, value: float, tolerance: float) -> bool:
    # What lies on the edge is within it, though floating point may see it a hair outside.
    return abs(value - right) > right * tolerance * (1 + 1e-9)


def _is_same(one: str, other: str) -> bool:
    """Names that differ in case or in spaces around them are one person's."""
    return one.strip().casefold() == other.strip().casefold()

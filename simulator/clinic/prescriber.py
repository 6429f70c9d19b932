"""What the prescriber orders when a result comes back."""

from msgspec import Struct

from infusion.nomogram import Nomogram, advise
from infusion.prescription import Bolus, Hold, RateChange, Step, Stop
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.clinic.course import Course
from simulator.clinic.protocol import Laboratory, Nurse, Prescriber, Test
from simulator.story.plan import OrderVersion, ordered_rate_iu_h

# Which test a nomogram goes by.
TEST_OF_NOMOGRAM: dict[str, Test] = {
    "anti_xa_iu_ml": "anti-xa",
    "aptt_s": "aptt",
    "aptt_ratio": "aptt",
}


class Decision(Struct, frozen=True):
    """Steps for the order, if any, when the next level is due, and why."""

    steps: tuple[Step, ...]
    recheck_ms: int
    reason: str
    is_in_range: bool = False


def decide_on_level(
    value: float,
    previous: float | None,
    order: OrderVersion,
    *,
    now_ms: int,
    no_bolus: bool,
    nomogram: Nomogram,
    prescriber: Prescriber,
    nurse: Nurse,
    settled_h: float,
) -> Decision:
    """What the nomogram says to a level, as steps from now on.

    `value` and `previous` are of the nomogram's own test. Weight and rate are the order's: the
    prescriber does not see the pump.
    """
    prescription = order.prescription
    rate_iu_h = ordered_rate_iu_h(prescription, now_ms)
    advice = advise(
        nomogram,
        value,
        rate_iu_h=rate_iu_h,
        weight_kg=prescription.weight_kg,
        no_bolus=no_bolus,
        previous=previous,
    )
    hold_min = advice.hold_min
    if advice.waits:
        hold_min = max(hold_min, prescriber.wait_h * 60.0)
    recheck_h = advice.recheck_h
    was_in_range = previous is not None and nomogram.bands[nomogram.band(previous)].in_range
    if advice.in_range and was_in_range and nomogram.settled_recheck_h is None:
        recheck_h = settled_h
    steps: list[Step] = []
    if advice.bolus_iu > 0:
        steps.append(
            Bolus(at_ms=now_ms, dose_iu=advice.bolus_iu, duration_s=nurse.bolus_duration_s)
        )
    if hold_min > 0:
        until_ms = now_ms + round(hold_min) * MS_PER_MINUTE
        steps.append(Hold(at_ms=now_ms, until_ms=until_ms))
    if advice.rate_iu_h != rate_iu_h:
        steps.append(RateChange(at_ms=now_ms, rate_iu_h=advice.rate_iu_h))
    recheck_ms = now_ms + round(recheck_h * MS_PER_HOUR)
    return Decision(tuple(steps), recheck_ms, advice.words, advice.in_range)


def nomogram_value(nomogram: Nomogram, value: float, laboratory: Laboratory) -> float:
    """A result as the nomogram wants it: a ratio is to the laboratory's control."""
    return value / laboratory.control_aptt_s if nomogram.test == "aptt_ratio" else value


def why_to_stop(course: Course, test: Test, value: float, drawn_ms: int, rules: Prescriber) -> str:
    """Why a count or an INR ends the therapy, or "". The course remembers it for the next."""
    if test == "inr":
        before, course.inr = course.inr, value
        overlap_ms = round(drawn_ms - max(course.warfarin_ms, course.start_ms))
        return stop_for_bridging(value, before, overlap_ms, rules)
    highest = course.highest.get(test, value)
    course.highest[test] = max(highest, value)
    day = (drawn_ms - course.start_ms) / (24 * MS_PER_HOUR)
    return stop_for_counts(test, value, highest, day, rules)


def stop_for_counts(
    test: Test, value: float, highest: float, day: float, prescriber: Prescriber
) -> str:
    """Why a count ends the therapy, or "" when it does not.

    `highest` is the highest count before, not only the first one; `day` counts from the start.
    """
    if test == "platelets":
        fall = 1.0 - value / highest if highest > 0 else 0.0
        # Before day 4 heparin that was never given before does not make HIT (4Ts).
        if fall > prescriber.platelets_fall and day >= 4.0:
            return f"platelets fell by {fall:.0%}, from {highest:g} to {value:g}: HIT suspected"
    if test == "haemoglobin" and highest - value >= prescriber.haemoglobin_fall_g_dl:
        return f"haemoglobin fell by {highest - value:.1f} to {value:g} g/dL"
    return ""


def stop_for_bridging(
    inr: float, previous: float | None, overlap_ms: int, prescriber: Prescriber
) -> str:
    """Why bridging is over, or "" when it is not: long enough, and two INR in a row high enough."""
    days = overlap_ms / (24 * MS_PER_HOUR)
    enough = prescriber.bridging_inr
    if days < prescriber.bridging_days or previous is None or min(inr, previous) < enough:
        return ""
    return f"INR {previous:g} and {inr:g} after {days:.1f} days of warfarin: bridging is over"


def stop(now_ms: int) -> tuple[Step, ...]:
    """The step that ends the therapy."""
    return (Stop(at_ms=now_ms),)

"""What a proposed order changes, in sentences for the two people who must agree on it.

Rates are told in all three units, because a slip is seen in one and not in another: a wrong weight
in IU/h, a wrong concentration in mL/h. Holds and boluses are told apart from the rate. Times are
UTC. What is odd is a warning, never a refusal: two people decide.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from infusion.library import (
    Breach,
    DrugEntry,
    check_bolus,
    check_concentration,
    check_rate,
    check_weight,
)
from infusion.prescription import Bolus, Hold, Prescription, Timeline, compile_timeline
from infusion.units import MS_PER_SECOND, dose_rate_iu_kg_h, pump_rate_ml_h
from infusion.words import span

# From this factor on, up or down, a change of rate is told as a warning. [A]
FACTOR_WARNED = 2.0
# A difference in what was ordered until now that is only rounding.
PAST_IU_MIN = 1.0
# So many sentences of one kind are told; the order itself says all.
TOLD_MAX = 12


class Differences(Struct, frozen=True):
    """What differs from the order in force, and what to look at twice; both are sentences."""

    changes: tuple[str, ...]
    warnings: tuple[str, ...]


class PumpLimits(Struct, frozen=True):
    """What is known of the pump: whether it was ever heard of, and how fast it can run."""

    is_known: bool
    rate_max_ml_h: float | None = None


class _Rate(Struct, frozen=True):
    """A continuous rate in the three units, of one order."""

    iu_kg_h: float
    iu_h: float
    ml_h: float

    def is_like(self, other: "_Rate") -> bool:
        """Whether they are the same in every unit, but for rounding."""
        pairs = (
            (self.iu_kg_h, other.iu_kg_h),
            (self.iu_h, other.iu_h),
            (self.ml_h, other.ml_h),
        )
        return all(math.isclose(one, two, rel_tol=1e-6) for one, two in pairs)

    def __str__(self) -> str:
        if self.iu_h == 0.0:
            return "no rate"
        by_weight, iu_h, ml_h = (_number(each) for each in (self.iu_kg_h, self.iu_h, self.ml_h))
        return f"{by_weight} IU/kg/h ({iu_h} IU/h, {ml_h} mL/h)"


def differences(
    old: Prescription | None,
    new: Prescription,
    now_ms: int,
    *,
    pump: PumpLimits,
    library: DrugEntry | None = None,
) -> Differences:
    """What the new order changes. Nothing in `changes` means that it says the same.

    Raises `MessageError` (kind `order`) where its steps make no sense.
    """
    compile_timeline(new)
    if old is None:
        changes = [f"There is no order for {new.therapy} yet."]
    else:
        changes = list(_heads(old, new))
    rates = list(_rates(old, new, now_ms))
    changes += islice((text for text, _ in rates), TOLD_MAX)
    changes += islice(_holds(old, new, now_ms), TOLD_MAX)
    changes += islice(_boluses(old, new, now_ms), TOLD_MAX)
    past = _past(old, new, now_ms)
    if past:
        changes.append(past)
    elif not changes and replace(new, version=1) != replace(old or new, version=1):
        changes.append("The steps are written in another way; the dose is the same.")
    warnings = [
        *_pump(new, rates, pump),
        *(factor for _, factor in rates if factor),
        *([past] if past and old is not None else []),
        *_library(old, new, now_ms, library),
    ]
    return Differences(tuple(changes), tuple(dict.fromkeys(warnings)))


def _heads(old: Prescription, new: Prescription) -> Iterator[str]:
    if old.pump != new.pump:
        yield f"The pump is {new.pump} instead of {old.pump}."
    if old.weight_kg != new.weight_kg:
        yield f"The weight is {new.weight_kg:g} kg instead of {old.weight_kg:g} kg."
    if old.concentration_iu_ml != new.concentration_iu_ml:
        yield (
            f"The bag has {new.concentration_iu_ml:g} IU/mL instead of"
            f" {old.concentration_iu_ml:g} IU/mL."
        )


# --- the continuous rate -------------------------------------------------------------------------


def _rates(old: Prescription | None, new: Prescription, now_ms: int) -> Iterator[tuple[str, str]]:
    """From now on, each instant at which the rates differ in another way than before it: the
    sentence, and the warning where the factor asks for one."""
    before, after = _plain(old), _plain(new)
    assert after is not None, "a new order was compiled"
    instants = {now_ms, *(at for at in after.times_ms if at > now_ms)}
    if before is not None:
        instants |= {at for at in before.times_ms if at > now_ms}
    told: tuple[_Rate | None, _Rate] | None = None
    was_different = False
    for at_ms in sorted(instants):
        one = _rate(old, before, at_ms)
        two = _rate(new, after, at_ms)
        assert two is not None
        if told is not None and _is_same(one, told[0]) and two.is_like(told[1]):
            continue
        told = one, two
        when = "The rate now" if at_ms == now_ms else f"The rate from {_clock(at_ms)}"
        differs = one is None or not one.is_like(two)
        if differs:
            yield f"{when}: {two}{_instead(one, two)}.", _factor(when, one, two)
        elif was_different:
            yield f"{when}: {two}, as ordered before.", ""
        was_different = differs


def _is_same(one: _Rate | None, two: _Rate | None) -> bool:
    if one is None or two is None:
        return one is two
    return one.is_like(two)


def _plain(order: Prescription | None) -> Timeline | None:
    """The timeline of the continuous rate alone, as if there were no holds and boluses."""
    if order is None:
        return None
    steps = tuple(step for step in order.steps if not isinstance(step, Hold | Bolus))
    if not steps:
        return Timeline((), (), (), ())
    return compile_timeline(replace(order, steps=steps))


def _rate(order: Prescription | None, timeline: Timeline | None, at_ms: int) -> _Rate | None:
    if order is None or timeline is None:
        return None
    iu_h = timeline.base_rate_iu_h(at_ms)
    ml_h = pump_rate_ml_h(iu_h, order.concentration_iu_ml)
    by_weight = dose_rate_iu_kg_h(ml_h, order.concentration_iu_ml, order.weight_kg)
    return _Rate(by_weight, iu_h, ml_h)


def _instead(one: _Rate | None, two: _Rate) -> str:
    if one is None:
        return ""
    if one.iu_h and two.iu_h and not math.isclose(one.iu_h, two.iu_h, rel_tol=1e-6):
        return f" instead of {one}, {_times(two.iu_h / one.iu_h)} times as much"
    return f" instead of {one}"


def _factor(when: str, one: _Rate | None, two: _Rate) -> str:
    if one is None or not one.iu_h or not two.iu_h:
        return ""
    factor = two.iu_h / one.iu_h
    if 1 / FACTOR_WARNED < factor < FACTOR_WARNED:
        return ""
    return f"{when} is {_times(factor)} times the one in force: look at decimal point and unit."


# --- holds, boluses, the past --------------------------------------------------------------------


def _holds(old: Prescription | None, new: Prescription, now_ms: int) -> Iterator[str]:
    before, after = _held(old, now_ms), _held(new, now_ms)
    for at_ms, until_ms in sorted(after - before):
        yield f"A hold from {_clock(at_ms)} to {_clock(until_ms)}, {span(until_ms - at_ms)} long."
    for at_ms, until_ms in sorted(before - after):
        yield f"The hold from {_clock(at_ms)} to {_clock(until_ms)} is left out."


def _held(order: Prescription | None, now_ms: int) -> set[tuple[int, int]]:
    """The holds that are not over."""
    steps = order.steps if order is not None else ()
    return {(s.at_ms, s.until_ms) for s in steps if isinstance(s, Hold) and s.until_ms > now_ms}


def _boluses(old: Prescription | None, new: Prescription, now_ms: int) -> Iterator[str]:
    before, after = _given(old, now_ms), _given(new, now_ms)
    for at_ms, dose_iu, duration_s in sorted(after - before):
        yield f"A bolus of {_bolus(new, dose_iu, duration_s)} at {_clock(at_ms)}."
    for at_ms, dose_iu, _ in sorted(before - after):
        yield f"The bolus of {dose_iu:g} IU at {_clock(at_ms)} is left out."


def _given(order: Prescription | None, now_ms: int) -> set[tuple[int, float, float]]:
    """The boluses that are not over."""
    steps = order.steps if order is not None else ()
    return {
        (step.at_ms, step.dose_iu, step.duration_s)
        for step in steps
        if isinstance(step, Bolus) and step.at_ms + step.duration_s * MS_PER_SECOND > now_ms
    }


def _bolus(order: Prescription, dose_iu: float, duration_s: float) -> str:
    volume_ml = dose_iu / order.concentration_iu_ml
    return (
        f"{dose_iu:g} IU ({_number(dose_iu / order.weight_kg)} IU/kg, {_number(volume_ml)} mL)"
        f" over {span(round(duration_s * MS_PER_SECOND))}"
    )


def _past(old: Prescription | None, new: Prescription, now_ms: int) -> str:
    """What the order says of the time until now; empty where it says what was ordered."""
    after_iu = compile_timeline(new).dose_until_iu(now_ms)
    before_iu = compile_timeline(old).dose_until_iu(now_ms) if old is not None else 0.0
    if abs(after_iu - before_iu) < PAST_IU_MIN:
        return ""
    if old is None:
        return f"It begins in the past: until now {_number(after_iu)} IU would have been due."
    return (
        f"The past is another one: until now {_number(after_iu)} IU would have been due instead of"
        f" {_number(before_iu)} IU. When the weight changes, give past steps in IU/h."
    )


# --- limits --------------------------------------------------------------------------------------


def _pump(new: Prescription, rates: list[tuple[str, str]], pump: PumpLimits) -> Iterator[str]:
    if not pump.is_known:
        yield f"No pump {new.pump} has been heard of at this site."
    highest_iu_h = max(compile_timeline(new).bases_iu_h, default=0.0)
    highest_ml_h = pump_rate_ml_h(highest_iu_h, new.concentration_iu_ml)
    if rates and pump.rate_max_ml_h is not None and highest_ml_h > pump.rate_max_ml_h:
        yield (
            f"{_number(highest_ml_h)} mL/h is more than pump {new.pump} can give,"
            f" {pump.rate_max_ml_h:g} mL/h."
        )


def _library(
    old: Prescription | None, new: Prescription, now_ms: int, library: DrugEntry | None
) -> Iterator[str]:
    """Where what is new, or goes on, lies beyond the drug library."""
    if library is None:
        return
    found: list[Breach] = [
        *check_weight(library, new.weight_kg),
        *check_concentration(library, new.concentration_iu_ml),
    ]
    timeline = _plain(new)
    assert timeline is not None
    for iu_h in sorted(set(timeline.base_rates_iu_h(now_ms, max((*timeline.times_ms, now_ms))))):
        if iu_h:
            ml_h = pump_rate_ml_h(iu_h, new.concentration_iu_ml)
            found += check_rate(library, ml_h, new.concentration_iu_ml, new.weight_kg)
    for _, dose_iu, duration_s in sorted(_given(new, now_ms) - _given(old, now_ms)):
        found += check_bolus(library, dose_iu, duration_s, new.weight_kg, None)
    for breach in found:
        yield f"Drug library: {breach.text}."


def _number(value: float) -> str:
    """Four digits, and never an exponent: nobody reads a dose as 1.44e+04."""
    if value >= 1_000.0:
        return f"{value:.0f}"
    return f"{float(f'{value:.4g}'):f}".rstrip("0").rstrip(".")


def _times(factor: float) -> str:
    """A factor in three digits."""
    return _number(float(f"{factor:.3g}"))


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / MS_PER_SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")

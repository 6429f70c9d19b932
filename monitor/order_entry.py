"""An order as a person changes it: one thing at a time, from an instant on, and what it leads to.

A change is added to the timeline that is in force, so that what was ordered until then stays as it
was. Another weight changes what a rate in IU/kg/h means: past rates by weight are then written as
the IU/h that they were.
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from infusion.errors import MessageError
from infusion.prescription import (
    Bolus,
    DoseRate,
    Hold,
    Name,
    Prescription,
    RateChange,
    Start,
    Step,
    Stop,
    TimeMs,
    WeightKg,
    compile_timeline,
)
from infusion.units import MS_PER_MINUTE, pump_rate_ml_h
from monitor.order_changes import FACTOR_WARNED, times

T = TypeVar("T")

# What is ordered "from now" begins so much later: until then a second person can check it. [A]
LEAD_MS = 5 * MS_PER_MINUTE
SECONDS_PER_MINUTE = 60.0

# Below this a rate in mL/h means nothing any more; no bag is nearly as thin.
BagIuMl = Annotated[float, Meta(ge=0.01, le=50_000)]


class OrderEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change as it is typed. `kind` says which of the other fields it takes; `at_ms` is in five
    minutes where it is left out. The first order of a therapy also takes pump, weight and bag.

    `keep` says what stays with another weight: the rate in IU/kg/h (`kg`), or in IU/h (`h`).
    """

    kind: Literal["rate", "hold", "bolus", "stop", "weight", "bag"]
    pump: Name
    at_ms: TimeMs | None = None
    amount: DoseRate | None = None
    unit: Literal["rate_iu_kg_h", "rate_iu_h"] = "rate_iu_kg_h"
    until_ms: TimeMs | None = None
    dose_iu: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    minutes: Annotated[float, Meta(gt=0, le=1_440)] | None = None
    weight_kg: WeightKg | None = None
    keep: Literal["kg", "h"] = "kg"
    concentration_iu_ml: BagIuMl | None = None


class Standing(Struct, frozen=True, omit_defaults=True):
    """What an order says at an instant: the continuous rate in its three units, whatever a hold
    says of it. `held_until_ms` is there while it is held."""

    iu_kg_h: float
    iu_h: float
    ml_h: float
    runs: bool
    by_weight: bool
    held_until_ms: int | None = None


class Comparison(Struct, frozen=True, omit_defaults=True):
    """An order before and after a change, at the instant at which it begins. `words` are factors of
    dose and pump rate; `is_wide` where one is odd enough to be asked about."""

    at_ms: int
    after: Standing
    before: Standing | None = None
    words: str = ""
    is_wide: bool = False


def standing(order: Prescription, at_ms: int) -> Standing:
    """What an order says at an instant."""
    begun = sorted((step for step in order.steps if step.at_ms <= at_ms), key=lambda s: s.at_ms)
    last = next((s for s in reversed(begun) if isinstance(s, Start | RateChange | Stop)), None)
    iu_h, by_weight = 0.0, False
    if isinstance(last, Start | RateChange):
        by_weight = last.rate_iu_kg_h is not None
        iu_h = last.rate_iu_h or (last.rate_iu_kg_h or 0.0) * order.weight_kg
    ends = [s.until_ms for s in begun if isinstance(s, Hold) and s.until_ms > at_ms]
    return Standing(
        iu_kg_h=iu_h / order.weight_kg,
        iu_h=iu_h,
        ml_h=pump_rate_ml_h(iu_h, order.concentration_iu_ml),
        runs=last is not None and not isinstance(last, Stop),
        by_weight=by_weight,
        held_until_ms=max(ends, default=None),
    )


def entered(
    order: Prescription | None, entry: OrderEntry, therapy: str, now_ms: int
) -> Prescription:
    """The order after a change, with the next version.

    Raises `MessageError` (kind `order`) where a field is missing, or the steps make no sense.
    """
    at_ms = begins_ms(entry, now_ms)
    if order is None:
        order = Prescription(
            therapy=therapy,
            version=0,
            pump=entry.pump,
            weight_kg=_given(entry.weight_kg, "the weight"),
            concentration_iu_ml=_given(entry.concentration_iu_ml, "the concentration of the bag"),
            steps=(),
        )
    changed = _CHANGES[entry.kind](order, entry, at_ms)
    changed = replace(changed, version=order.version + 1)
    compile_timeline(changed)
    return changed


def begins_ms(entry: OrderEntry, now_ms: int) -> int:
    """When a change begins."""
    return entry.at_ms if entry.at_ms is not None else now_ms + LEAD_MS


def compared(before: Prescription | None, after: Prescription, at_ms: int) -> Comparison:
    """Both orders just after an instant, and by what they differ."""
    old = standing(before, at_ms + 1) if before is not None else None
    new = standing(after, at_ms + 1)
    factors: list[float] = []
    if old is not None and old.iu_h and new.iu_h:
        factors = [new.iu_h / old.iu_h, new.ml_h / old.ml_h]
    return Comparison(
        at_ms=at_ms,
        after=new,
        before=old,
        words=f"Dose × {times(factors[0])}, pump rate × {times(factors[1])}" if factors else "",
        is_wide=any(each >= FACTOR_WARNED or each <= 1 / FACTOR_WARNED for each in factors),
    )


# --- one change each -----------------------------------------------------------------------------


def _given(value: T | None, what: str) -> T:
    if value is None:
        raise MessageError("order", f"{what} is missing; give it")
    return value


def _and(order: Prescription, *steps: Step) -> Prescription:
    return replace(order, steps=(*order.steps, *steps))


def _rate(order: Prescription, entry: OrderEntry, at_ms: int) -> Prescription:
    step = RateChange if standing(order, at_ms).runs else Start
    return _and(order, step(at_ms=at_ms, **{entry.unit: _given(entry.amount, "the rate")}))


def _hold(order: Prescription, entry: OrderEntry, at_ms: int) -> Prescription:
    until_ms = _given(entry.until_ms, "the end of the hold")
    return _and(order, Hold(at_ms=at_ms, until_ms=until_ms))


def _bolus(order: Prescription, entry: OrderEntry, at_ms: int) -> Prescription:
    dose_iu, minutes = _given(entry.dose_iu, "the dose"), _given(entry.minutes, "its length")
    duration_s = minutes * SECONDS_PER_MINUTE
    return _and(order, Bolus(at_ms=at_ms, dose_iu=dose_iu, duration_s=duration_s))


def _stop(order: Prescription, _entry: OrderEntry, at_ms: int) -> Prescription:
    """What was planned for later ends with the therapy."""
    past = tuple(step for step in order.steps if step.at_ms <= at_ms)
    return replace(order, steps=(*past, Stop(at_ms=at_ms)))


def _bag(order: Prescription, entry: OrderEntry, _at_ms: int) -> Prescription:
    bag = _given(entry.concentration_iu_ml, "the concentration of the bag")
    return replace(order, concentration_iu_ml=bag)


def _weight(order: Prescription, entry: OrderEntry, at_ms: int) -> Prescription:
    weight_kg = _given(entry.weight_kg, "the weight")

    def kept(step: Step) -> Step:
        if not isinstance(step, Start | RateChange) or step.rate_iu_kg_h is None:
            return step
        if step.at_ms > at_ms:
            return step
        return replace(step, rate_iu_kg_h=None, rate_iu_h=step.rate_iu_kg_h * order.weight_kg)

    changed = replace(order, weight_kg=weight_kg, steps=tuple(map(kept, order.steps)))
    now = standing(order, at_ms)
    if now.runs and now.by_weight and entry.keep == "kg":
        return _and(changed, RateChange(at_ms=at_ms, rate_iu_kg_h=now.iu_kg_h))
    return changed


_CHANGES: dict[str, Callable[[Prescription, OrderEntry, int], Prescription]] = {
    "rate": _rate,
    "hold": _hold,
    "bolus": _bolus,
    "stop": _stop,
    "weight": _weight,
    "bag": _bag,
}

"""What a nurse does at the pump to follow an order, and how that goes wrong now and then."""

import numpy as np
from msgspec import Struct

from infusion.prescription import Bolus, Hold, RateChange, Step, Stop
from infusion.units import MS_PER_MINUTE, pump_rate_ml_h
from simulator.clinic.chance import delay_ms
from simulator.clinic.happenings import Act, End, GiveBolus, Pause, Resume, SetRate, Slip
from simulator.clinic.protocol import Nurse, Slips
from simulator.story.plan import OrderVersion

_POUNDS_PER_KG = 2.2046226218
_LATE_TIMES = 6
# A forgotten restart or a double bolus comes to somebody's mind after so many minutes [A].
_FORGOTTEN_MIN = (30.0, 180.0)
_SECOND_BOLUS_MIN = (5.0, 30.0)
# From the end of a hold to the restart, when all goes well: the nurse waits for it [A].
_RESTART_MEDIAN_MIN, _RESTART_LOG_SD = 2.0, 0.5
# The slips that a second person who checks the numbers can see.
_WRONG_NUMBERS: tuple[Slip, ...] = ("tenfold", "units-for-ml", "pounds-for-kg", "wrong-direction")
# Those that stay until somebody sees them.
LASTING: tuple[Slip, ...] = (*_WRONG_NUMBERS, "not-applied")


class Planned(Struct, frozen=True):
    """An act at a time; None where nothing is done that should be."""

    at_ms: int
    act: Act | None
    slip: Slip | None = None


def carry_out(
    order: OrderVersion,
    steps: tuple[Step, ...],
    *,
    now_ms: int,
    old_iu_h: float,
    nurse: Nurse,
    slips: Slips,
    chance: np.random.Generator,
) -> list[Planned]:
    """The acts for the new `steps` of an order given now, in order of time.

    `old_iu_h` is the rate that was ordered so far.
    """
    slip = _slip(steps, slips, chance)
    if slip == "not-applied":
        return [Planned(now_ms + MS_PER_MINUTE, None, slip)]
    delay = delay_ms(chance, nurse.apply_median_min, nurse.apply_log_sd)
    begin_ms = now_ms + delay * (_LATE_TIMES if slip == "late" else 1)
    planned: list[Planned] = []
    for step in steps:
        if isinstance(step, Hold):
            planned += _hold(step, begin_ms, slip, chance)
        elif isinstance(step, RateChange):
            act = _set_rate(step, order, old_iu_h, slip)
            planned.append(Planned(begin_ms, act, _said(slip, "late", *_WRONG_NUMBERS)))
        elif isinstance(step, Bolus):
            planned += _bolus(step, begin_ms, slip, chance)
        else:
            assert isinstance(step, Stop), f"a prescriber here does not order {step}"
            planned.append(Planned(begin_ms, End(), _said(slip, "late")))
    return sorted(planned, key=lambda plan: plan.at_ms)


def _slip(steps: tuple[Step, ...], slips: Slips, chance: np.random.Generator) -> Slip | None:
    """Which slip happens, if any: one at most, of those that these steps allow."""
    sets_rate = any(isinstance(step, RateChange) for step in steps)
    gives_bolus = any(isinstance(step, Bolus) for step in steps)
    holds = any(isinstance(step, Hold) for step in steps)
    table: tuple[tuple[Slip, float, bool], ...] = (
        ("tenfold", slips.tenfold, sets_rate),
        ("units-for-ml", slips.units_for_ml, sets_rate),
        ("pounds-for-kg", slips.pounds_for_kg, sets_rate),
        ("wrong-direction", slips.wrong_direction, sets_rate),
        ("late", slips.late, True),
        ("not-applied", slips.not_applied, True),
        ("bolus-twice", slips.bolus_twice, gives_bolus),
        ("hold-forgotten", slips.hold_forgotten, holds),
        ("restart-forgotten", slips.restart_forgotten, holds),
    )
    number, is_caught = chance.random(2)
    edge = 0.0
    for slip, share, is_possible in table:
        edge += share if is_possible else 0.0
        if number < edge:
            seen = slip in _WRONG_NUMBERS and is_caught < slips.second_check_catches
            return None if seen else slip
    return None


def _said(slip: Slip | None, *which: Slip) -> Slip | None:
    return slip if slip in which else None


def _set_rate(step: RateChange, order: OrderVersion, old_iu_h: float, slip: Slip | None) -> SetRate:
    assert step.rate_iu_h is not None, "a prescriber here orders IU/h"
    prescription = order.prescription
    meant = pump_rate_ml_h(step.rate_iu_h, prescription.concentration_iu_ml)
    old = pump_rate_ml_h(old_iu_h, prescription.concentration_iu_ml)
    if slip == "tenfold":
        return SetRate(meant * 10.0, meant)
    if slip == "units-for-ml":
        return SetRate(step.rate_iu_h, meant)
    if slip == "pounds-for-kg":
        weight_kg = round(prescription.weight_kg * _POUNDS_PER_KG, 1)
        return SetRate(meant * weight_kg / prescription.weight_kg, meant, weight_kg)
    if slip == "wrong-direction":
        return SetRate(max(0.0, 2.0 * old - meant), meant)
    return SetRate(meant, meant)


def _hold(
    step: Hold, begin_ms: int, slip: Slip | None, chance: np.random.Generator
) -> list[Planned]:
    """Pause and resume; nothing when the hold is over before the nurse comes."""
    if slip == "hold-forgotten":
        return [Planned(begin_ms, None, slip)]
    if begin_ms >= step.until_ms:
        return [Planned(begin_ms, None, _said(slip, "late"))]
    resume_ms = step.until_ms + delay_ms(chance, _RESTART_MEDIAN_MIN, _RESTART_LOG_SD)
    forgotten = slip == "restart-forgotten"
    if forgotten:
        resume_ms += round(float(chance.uniform(*_FORGOTTEN_MIN))) * MS_PER_MINUTE
    return [
        Planned(begin_ms, Pause(), _said(slip, "late")),
        Planned(resume_ms, Resume(), "restart-forgotten" if forgotten else None),
    ]


def _bolus(
    step: Bolus, begin_ms: int, slip: Slip | None, chance: np.random.Generator
) -> list[Planned]:
    act = GiveBolus(step.dose_iu, step.duration_s)
    once = Planned(begin_ms, act, _said(slip, "late"))
    if slip != "bolus-twice":
        return [once]
    # The second one comes when the first is over, or the pump would refuse it.
    later = round(step.duration_s / 60.0 + float(chance.uniform(*_SECOND_BOLUS_MIN)))
    return [once, Planned(begin_ms + later * MS_PER_MINUTE, act, slip)]

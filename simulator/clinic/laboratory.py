"""What the laboratory reports of a patient's blood: error, limits, and specimens gone wrong."""

import numpy as np

from infusion.clinical import LAB_UNITS
from simulator.clinic.happenings import Condition, Reading
from simulator.clinic.protocol import Laboratory, Test
from simulator.patients import Patients

# With how many decimals a result is reported [A].
_DECIMALS: dict[Test, int] = {
    "anti-xa": 2,
    "aptt": 1,
    "platelets": 0,
    "haemoglobin": 1,
    "inr": 1,
}
# A few drops of a bag of 50 to 100 IU/mL in a tube of some mL [D]: always off scale.
_LUMEN_IU_ML = (2.0, 20.0)
# What the same drops, and the flush before them, take from the counts [A].
_LUMEN_DILUTION = 0.9


def condition_of_specimen(laboratory: Laboratory, chance: float) -> Condition:
    """How a specimen turned out, from a number uniform on [0, 1)."""
    shares: tuple[tuple[Condition, float], ...] = (
        ("haemolysed", laboratory.haemolysed_share),
        ("clotted", laboratory.clotted_share),
        ("lost", laboratory.lost_share),
        ("lumen", laboratory.lumen_share),
    )
    edge = 0.0
    for condition, share in shares:
        edge += share
        if chance < edge:
            return condition
    return "sound"


def measure(
    test: Test,
    patients: Patients,
    index: int,
    laboratory: Laboratory,
    chance: np.random.Generator,
    condition: Condition = "sound",
) -> Reading:
    """One test of one patient's blood as it is now, from a specimen that is not lost.

    In a specimen from the lumen there is heparin of the line, which the laboratory cannot know.

    The error is in proportion to the value and normal. aPTT and anti-Xa see the same level, each
    in its own way and with its own error, so that they may disagree as they do on a ward.
    """
    if condition == "haemolysed" or condition == "clotted":
        return Reading(None, LAB_UNITS[test], problem=condition)
    traits, is_lumen = patients.traits, condition == "lumen"
    extra_iu_ml = float(chance.uniform(*_LUMEN_IU_ML)) if is_lumen else 0.0
    diluted = _LUMEN_DILUTION if is_lumen else 1.0
    error = float(chance.standard_normal())
    if test == "anti-xa":
        level = (float(patients.level_iu_ml[index]) + extra_iu_ml) * traits.anti_xa_factor[index]
        return _limited(
            test,
            round(level * (1.0 + laboratory.anti_xa_cv * error), _DECIMALS[test]),
            laboratory.anti_xa_low_iu_ml,
            laboratory.anti_xa_high_iu_ml,
        )
    if test == "aptt":
        slope = laboratory.reagent_slope_ml_iu
        factor = np.exp(slope * float(traits.aptt_slope_factor[index]) * extra_iu_ml)
        seconds = patients.aptt_s(index, slope) * float(factor)
        seconds *= 1.0 + laboratory.aptt_cv * error
        return _limited(test, round(seconds, _DECIMALS[test]), 0.0, laboratory.aptt_max_s)
    if test == "platelets":
        value, variation = float(patients.platelets_g_l[index]), laboratory.platelets_cv
    elif test == "haemoglobin":
        value, variation = float(patients.haemoglobin_g_dl[index]), laboratory.haemoglobin_cv
    else:
        value, variation, diluted = patients.inr(index), laboratory.inr_cv, 1.0
    value = max(0.0, value * diluted * (1.0 + variation * error))
    return Reading(round(value, _DECIMALS[test]), LAB_UNITS[test])


def _limited(test: Test, value: float, low: float, high: float) -> Reading:
    if value < low:
        return Reading(low, LAB_UNITS[test], "below")
    if value > high:
        return Reading(high, LAB_UNITS[test], "above")
    return Reading(float(value), LAB_UNITS[test])

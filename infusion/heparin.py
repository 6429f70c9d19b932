"""What heparin does in a patient: how fast it leaves the blood, and how it lengthens the aPTT.

For testing and training only: the parameters make software behave plausibly and dose nobody.

One compartment that loses heparin in two ways at once, one in proportion to the level and one that
saturates, as de Swart et al. found (Blood 1982;60:1251):

    dC/dt = R/V - k(C) C        k(C) = (CL + Vm/(Km + C)) / V        a bolus adds B/V to C

    C   level of heparin in plasma, anti-Xa     IU/mL       `level_iu_ml`
    R   dose rate that reaches the patient      IU/kg/h     `rate_iu_kg_h`
    B   bolus                                   IU/kg       `bolus_iu_kg`
    V   volume of distribution                  mL/kg       `volume_ml_kg`
    CL  clearance of the linear way             mL/h/kg     `clearance_ml_h_kg`
    Vm  most that the saturable way removes     IU/kg/h     `vmax_iu_kg_h`
    Km  level at which it removes half of that  IU/mL       `km_iu_ml`

The logarithm of the aPTT grows in proportion to the level (Whitfield and Levy, r² > 0.987).

Every function takes floats, or numpy arrays with one value for each patient. What differs between
the two (exp, log, sqrt, minimum, maximum) is an argument whose default is for floats; an array's
owner passes numpy's.
"""

import math
from collections.abc import Callable
from typing import Any

from msgspec import Struct

# A float, or a numpy array of floats. `Any`, because this package does not know numpy.
Quantity = Any
Function = Callable[[Any], Any]
Choice = Callable[[Any, Any], Any]

REFERENCE_WEIGHT_KG = 70.0
# Three quarters power of weight, counted for each kg: it explains why patients of class III
# obesity need 11.5 where others need 13.5 IU/kg/h (Ann Pharmacother 2010;44:1141).
SIZE_EXPONENT = -0.25
# Coagulometers stop waiting for a clot; sites report anything longer as above this.
APTT_CAP_S = 200.0
# exp() of more overflows a float from 709 on; exp() of this is above any aPTT.
_EXPONENT_MAX = 100.0


class Parameters(Struct, frozen=True, kw_only=True):
    """One patient's constants, or those of many as arrays of one length."""

    volume_ml_kg: Quantity
    clearance_ml_h_kg: Quantity
    vmax_iu_kg_h: Quantity
    km_iu_ml: Quantity
    aptt_baseline_s: Quantity
    aptt_slope_ml_iu: Quantity

    @property
    def ways(self) -> tuple[Quantity, Quantity, Quantity, Quantity]:
        """V, CL, Vm and Km, as the functions on the level take them."""
        return self.volume_ml_kg, self.clearance_ml_h_kg, self.vmax_iu_kg_h, self.km_iu_ml


# The volume is that of plasma (Al-Sallami 2016: 37.5, Jia 2015: 46 mL/kg); Vm and Km are rounded
# from a fit to the half-life of 100 and 400 IU/kg and to 0.60 IU/mL at 18 IU/kg/h. The slope makes
# 1.5 to 2.5 times the baseline out of 0.3 to 0.7 IU/mL. Known misfit: 25 IU/kg halve in 57 min
# and not in 30.
CLINICAL = Parameters(
    volume_ml_kg=45.0,
    clearance_ml_h_kg=4.0,
    vmax_iu_kg_h=80.0,
    km_iu_ml=2.4,
    aptt_baseline_s=30.0,
    aptt_slope_ml_iu=1.32,
)
# The half-lives of the guidelines, 30, 60 and 150 min after 25, 100 and 400 IU/kg. Known misfit:
# 18 IU/kg/h hold no more than 0.19 IU/mL.
VOLUNTEER = Parameters(
    volume_ml_kg=60.0,
    clearance_ml_h_kg=3.9,
    vmax_iu_kg_h=66.4,
    km_iu_ml=0.534,
    aptt_baseline_s=30.0,
    aptt_slope_ml_iu=1.32,
)


class Condition(Struct, frozen=True, kw_only=True):
    """What a disease multiplies: elimination (both ways), volume, anti-Xa reading, aPTT slope."""

    elimination_factor: float = 1.0
    volume_factor: float = 1.0
    anti_xa_factor: float = 1.0
    aptt_slope_factor: float = 1.0


# Directions are published, sizes are assumptions of this project. Embolism: shorter half-life
# (Hirsh 1976). Renal failure on dialysis: 68 mL/kg, 24 mL/h/kg (Kandrotas 1989). Antithrombin
# deficiency: 0.6 to 0.8 of the true level is read. Acute phase: low aPTT at anti-Xa in range.
CONDITIONS = {
    "none": Condition(),
    "pulmonary_embolism": Condition(elimination_factor=1.3),
    "renal_failure": Condition(elimination_factor=0.75, volume_factor=1.4),
    "antithrombin_deficiency": Condition(anti_xa_factor=0.7),
    "acute_phase": Condition(aptt_slope_factor=0.7),
}


def individual(
    typical: Parameters,
    weight_kg: Quantity,
    elimination_factor: Quantity = 1.0,
    volume_factor: Quantity = 1.0,
    aptt_slope_factor: Quantity = 1.0,
) -> Parameters:
    """The constants of patients of a given weight, which must be above zero.

    The factors are a patient's own deviation times those of a `Condition`; size scales volume and
    both ways of elimination.
    """
    size = (weight_kg / REFERENCE_WEIGHT_KG) ** SIZE_EXPONENT
    return Parameters(
        volume_ml_kg=typical.volume_ml_kg * size * volume_factor,
        clearance_ml_h_kg=typical.clearance_ml_h_kg * size * elimination_factor,
        vmax_iu_kg_h=typical.vmax_iu_kg_h * size * elimination_factor,
        km_iu_ml=typical.km_iu_ml,
        aptt_baseline_s=typical.aptt_baseline_s,
        aptt_slope_ml_iu=typical.aptt_slope_ml_iu * aptt_slope_factor,
    )


# --- level --------------------------------------------------------------------------------------


def elimination_rate_h(
    level_iu_ml: Quantity,
    volume_ml_kg: Quantity,
    clearance_ml_h_kg: Quantity,
    vmax_iu_kg_h: Quantity,
    km_iu_ml: Quantity,
) -> Quantity:
    """k(C): the share of the heparin in the blood that leaves it, in an hour."""
    return (clearance_ml_h_kg + vmax_iu_kg_h / (km_iu_ml + level_iu_ml)) / volume_ml_kg


def linear_level_iu_ml(
    level_iu_ml: Quantity,
    rate_iu_kg_h: Quantity,
    hours: Quantity,
    volume_ml_kg: Quantity,
    elimination_h: Quantity,
    exp: Function = math.exp,
) -> Quantity:
    """The level after `hours` if k does not change: C e^(-kt) + R/(Vk) (1 - e^(-kt)); k > 0."""
    remaining = exp(-elimination_h * hours)
    steady = rate_iu_kg_h / (volume_ml_kg * elimination_h)
    return level_iu_ml * remaining + steady * (1.0 - remaining)


def step(
    level_iu_ml: Quantity,
    rate_iu_kg_h: Quantity,
    dt_h: Quantity,
    volume_ml_kg: Quantity,
    clearance_ml_h_kg: Quantity,
    vmax_iu_kg_h: Quantity,
    km_iu_ml: Quantity,
    bolus_iu_kg: Quantity = 0.0,
    exp: Function = math.exp,
) -> Quantity:
    """The level after `dt_h`, by the exponential midpoint rule; never below zero, for any `dt_h`.

    The bolus comes at the beginning, the rate is the mean over the step; all amounts are at least
    zero, and clearance and Vm not both zero. Second order: after 80 IU/kg and 12 h of 18 IU/kg/h
    steps of 10 s, 60 s, 300 s, 900 s and 1 h are off by about 2e-8, 8e-7, 2e-5, 2e-4 and 3e-3
    IU/mL at most.
    """
    begin = level_iu_ml + bolus_iu_kg / volume_ml_kg
    ways = (volume_ml_kg, clearance_ml_h_kg, vmax_iu_kg_h, km_iu_ml)
    k_begin = elimination_rate_h(begin, *ways)
    middle = linear_level_iu_ml(begin, rate_iu_kg_h, dt_h / 2, volume_ml_kg, k_begin, exp)
    k_middle = elimination_rate_h(middle, *ways)
    return linear_level_iu_ml(begin, rate_iu_kg_h, dt_h, volume_ml_kg, k_middle, exp)


def steady_state_iu_ml(
    rate_iu_kg_h: Quantity,
    clearance_ml_h_kg: Quantity,
    vmax_iu_kg_h: Quantity,
    km_iu_ml: Quantity,
    sqrt: Function = math.sqrt,
) -> Quantity:
    """The level that a rate holds: the root C > 0 of CL C² + b C = R Km, b = CL Km + Vm - R.

    Written so that a rate of zero gives exactly zero. Without linear clearance a rate of Vm or
    more holds no level; clearance must be above zero where that can happen.
    """
    b = clearance_ml_h_kg * km_iu_ml + vmax_iu_kg_h - rate_iu_kg_h
    supply = rate_iu_kg_h * km_iu_ml
    return 2.0 * supply / (b + sqrt(b * b + 4.0 * clearance_ml_h_kg * supply))


def decay_time_h(
    from_iu_ml: Quantity,
    to_iu_ml: Quantity,
    volume_ml_kg: Quantity,
    clearance_ml_h_kg: Quantity,
    vmax_iu_kg_h: Quantity,
    km_iu_ml: Quantity,
    log: Function = math.log,
) -> Quantity:
    """How long the level takes from one value to a lower one, both above 0, without any heparin.

    The integral of dC / (k(C) C), exactly, by partial fractions; clearance must be above zero.
    """
    total = clearance_ml_h_kg * km_iu_ml + vmax_iu_kg_h
    saturable = vmax_iu_kg_h / (total * clearance_ml_h_kg)
    upper = clearance_ml_h_kg * from_iu_ml + total
    lower = clearance_ml_h_kg * to_iu_ml + total
    course = km_iu_ml / total * log(from_iu_ml / to_iu_ml) + saturable * log(upper / lower)
    return volume_ml_kg * course


def half_life_after_bolus_h(
    bolus_iu_kg: Quantity,
    volume_ml_kg: Quantity,
    clearance_ml_h_kg: Quantity,
    vmax_iu_kg_h: Quantity,
    km_iu_ml: Quantity,
    log: Function = math.log,
) -> Quantity:
    """How long a bolus into blood free of heparin takes to halve; longer for a larger one."""
    peak = bolus_iu_kg / volume_ml_kg
    ways = (volume_ml_kg, clearance_ml_h_kg, vmax_iu_kg_h, km_iu_ml)
    return decay_time_h(peak, peak / 2.0, *ways, log)


# --- aPTT ---------------------------------------------------------------------------------------


def aptt_s(
    level_iu_ml: Quantity,
    baseline_s: Quantity,
    slope_ml_iu: Quantity,
    cap_s: float = APTT_CAP_S,
    exp: Function = math.exp,
    minimum: Choice = min,
) -> Quantity:
    """The aPTT at a level: baseline e^(slope × level), at most `cap_s`."""
    growth = exp(minimum(slope_ml_iu * level_iu_ml, _EXPONENT_MAX))
    return minimum(baseline_s * growth, cap_s)


def level_of_aptt_iu_ml(
    aptt: Quantity,
    baseline_s: Quantity,
    slope_ml_iu: Quantity,
    log: Function = math.log,
    maximum: Choice = max,
) -> Quantity:
    """The level that makes an aPTT (in s, below the cap): zero at the baseline and below."""
    return maximum(log(aptt / baseline_s) / slope_ml_iu, 0.0)

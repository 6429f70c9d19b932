"""Platelets, haemoglobin and INR of patients on heparin, as small formulae of time.

For testing and training only. What is drawn for whom, and what of it happens, is in
simulator/patients.py; these are the courses alone. Marks: [V] read in a source, [V2] in a
secondary one, [M] from memory, never a test oracle, [A] an assumption of this project.
"""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from infusion.units import MS_PER_HOUR

Floats = NDArray[np.float64]
HOURS_PER_DAY = 24.0


class Blood(Struct, frozen=True, kw_only=True):
    """How blood counts differ between patients and what heparin does to them.

    Pairs are the ends of a uniform draw unless their name says otherwise.
    """

    # Reference range of adults 150 to 400 [M]; 4Ts and the checks look at ratios only.
    platelets_g_l: tuple[float, float] = (160.0, 360.0)
    # Adults of both sexes together, mean and standard deviation [M].
    haemoglobin_mean_g_dl: float = 13.5
    haemoglobin_sd_g_dl: float = 1.3

    # HIT. Risk classes of ASH 2018 are <0.1, 0.1 to 1 and >1 % [V]; this is the middle one [A].
    hit_share: float = 0.005
    # Typical onset is day 5 to 10 of exposure [V: 4Ts].
    hit_onset_day: tuple[float, float] = (5.0, 9.0)
    # A fall over 50 % is what the 4Ts call typical [V]; its spread is [A].
    hit_fall: tuple[float, float] = (0.55, 0.80)
    # The fall takes one to three days, and counts return within about a week of stopping [M].
    hit_fall_time_h: float = 20.0
    recovery_time_h: float = 60.0

    # Bleeding: chance for each day at 0.5 IU/mL, and how much more for each IU/mL above it. Trials
    # show the direction, the numbers are [A]: no outcome is predicted by them.
    bleeding_per_day: float = 0.004
    bleeding_growth_ml_iu: float = 1.5
    # So that a free flow does not make a certainty of it [A].
    bleeding_level_max_iu_ml: float = 3.0
    # How fast and how long haemoglobin falls; the product reaches the 2 g/dL of a major bleeding
    # (ISTH [M]) in a few patients [A].
    bleeding_g_dl_day: tuple[float, float] = (0.5, 3.0)
    bleeding_h: tuple[float, float] = (6.0, 36.0)
    # A bleeding takes haemoglobin no lower than this, for someone gives blood [A].
    haemoglobin_min_g_dl: float = 4.0

    # The INR that the dose of warfarin, which is titrated, ends at: median and spread of its
    # logarithm, and its limits [A]; target range 2 to 3 [M].
    inr_median: float = 2.6
    inr_log_sd: float = 0.12
    inr_limits: tuple[float, float] = (2.2, 3.6)


# --- platelets -----------------------------------------------------------------------------------


def approach(value: Floats, target: Floats, time_h: Floats | float, dt_h: float) -> Floats:
    """Values after `dt_h` on their way to a target with a time constant; exact for any `dt_h`."""
    return np.asarray(target + (value - target) * np.exp(-dt_h / time_h))


# --- bleeding ------------------------------------------------------------------------------------


def bleeding_chance(level_iu_ml: Floats, dt_h: float, blood: Blood) -> Floats:
    """The chance that a bleeding begins within `dt_h`: a hazard that grows with the level [A].

    Without heparin there is none: what is not the therapy's doing is left out.
    """
    level = np.minimum(level_iu_ml, blood.bleeding_level_max_iu_ml)
    growth = np.exp(blood.bleeding_growth_ml_iu * (level - 0.5))
    hazard_h = blood.bleeding_per_day / HOURS_PER_DAY * growth * (level > 0.05)
    return np.asarray(-np.expm1(-hazard_h * dt_h))


# --- warfarin ------------------------------------------------------------------------------------

# Half-lives of factors VII, X and II [M]: textbooks give 6, 40 and 60 to 72 h. Warfarin's own is
# about 40 h [M], but first doses are higher than later ones and its effect saturates, so that the
# effect builds up faster [A]. The weights of the factors in the prothrombin time are [A]. Chosen
# so that the INR passes 2 between the third and the seventh day, as it does on 5 mg a day [M].
_EFFECT_HALF_LIFE_H = 16.0
_FACTORS = ((6.0, 0.40), (40.0, 0.30), (65.0, 0.30))


def inr(hours: float, final_inr: float) -> float:
    """The INR `hours` after the first dose of warfarin; 1 before it, `final_inr` in the end.

    The effect builds up, W = 1 − e^(−w·t), and takes the share e·W of the synthesis of each factor
    F away: dF/dt = k·(1 − e·W − F), which has the exact solution

        F(t) = 1 − e·[1 − (k·e^(−w·t) − w·e^(−k·t)) / (k − w)].

    INR = Π F^(−weight), weights adding up to 1, so that e = 1 − 1/final_inr. Bridging takes five
    days because the long-lived factors set the pace. The form of the model is an assumption [A].
    """
    if hours <= 0:
        return 1.0
    effect = 1.0 - 1.0 / final_inr
    effect_h = math.log(2.0) / _EFFECT_HALF_LIFE_H
    logarithm = 0.0
    for half_life_h, weight in _FACTORS:
        factor_h = math.log(2.0) / half_life_h
        remaining = factor_h * math.exp(-effect_h * hours)
        remaining -= effect_h * math.exp(-factor_h * hours)
        left = 1.0 - effect * (1.0 - remaining / (factor_h - effect_h))
        logarithm -= weight * math.log(left)
    return math.exp(logarithm)


def hours_between(from_ms: float, to_ms: float) -> float:
    """The hours from one instant to another, which may be infinite."""
    return (to_ms - from_ms) / MS_PER_HOUR

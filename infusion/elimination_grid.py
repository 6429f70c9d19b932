"""How fast one patient clears heparin, as a distribution over a few points that a result weighs.

The elimination factor f (how much faster than typical a patient clears heparin) differs between
patients, lognormal with σ 0.34, and wanders within one, an Ornstein-Uhlenbeck series with σ 0.25
and a time constant of 18 h (heparin.md §5.2: Jia 2015, Al-Sallami 2016 [V]; within [A]). Together
x = ln f has the variance 0.34² + 0.25², and in a short time it spreads as fast as the series
within: an Ornstein-Uhlenbeck series of σ 0.42 with a time constant of 51 h [D].

x lives on `POINTS` equidistant points over ±3 σ, each with a weight and with the level that a
patient of this f would have now. So the estimate is Bayes' theorem and nothing else:

* `carry`: each level goes on by the model of infusion/heparin.py.
* `spread`: weights move to neighbouring points, at rates whose equilibrium is exactly the prior
  (detailed balance); levels move along with the weights, as in an interacting multiple model.
* `weigh`: a result multiplies each weight by the likelihood of the result at that point's level.

The spacing is about 1.5 standard deviations of what one anti-Xa tells of x, at which a sum over
points is still a good integral. A volume of distribution goes along with f, as far as the two
correlate (0.5 [A]); what is left of its spread, the accuracy of pumps (6 % [V]) and the model's own
misfit are an error of the reading.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from infusion import heparin

POINTS = 15
BETWEEN_SD, WITHIN_SD, WITHIN_TIME_H = 0.34, 0.25, 18.0
TOTAL_SD = math.hypot(BETWEEN_SD, WITHIN_SD)
SPACING = 0.18
# ln V moves by so much with x: 0.5 × 0.20 × 0.34 of covariance over the variance of x. [D]
_VOLUME_EXPONENT = 0.5 * 0.20 * BETWEEN_SD / TOTAL_SD**2

# x, f, and the constants of the model at each point.
LOGARITHMS = tuple((point - POINTS // 2) * SPACING for point in range(POINTS))
FACTORS = tuple(math.exp(x) for x in LOGARITHMS)
WAYS = tuple(
    (
        heparin.CLINICAL.volume_ml_kg * factor**_VOLUME_EXPONENT,
        heparin.CLINICAL.clearance_ml_h_kg * factor,
        heparin.CLINICAL.vmax_iu_kg_h * factor,
        heparin.CLINICAL.km_iu_ml,
    )
    for factor in FACTORS
)
_UNSCALED = tuple(math.exp(-0.5 * (x / TOTAL_SD) ** 2) for x in LOGARITHMS)
PRIOR = tuple(weight / sum(_UNSCALED) for weight in _UNSCALED)
# How often, for each hour, x moves one point up or down.
_MOVES_H = WITHIN_SD**2 / WITHIN_TIME_H / SPACING**2
_UP_H = tuple(
    _MOVES_H * math.sqrt(PRIOR[i + 1] / PRIOR[i]) if i + 1 < POINTS else 0.0 for i in range(POINTS)
)
_DOWN_H = tuple(
    _MOVES_H * math.sqrt(PRIOR[i - 1] / PRIOR[i]) if i > 0 else 0.0 for i in range(POINTS)
)

# Laboratory CV 5 % (PMC6009553 [V]), and the model's 10 % [A]; the floor is two decimals [A].
_ANTI_XA_ERROR = math.hypot(0.05, 0.10)
_ANTI_XA_FLOOR_IU_ML = 0.02
# aPTT: the spread of baselines, of slopes between patients and of reagents (1.05 to 1.86 around
# 1.32 [V]), the first two correlated by 0.8; the laboratory's CV 6 % [A]. The same patient and
# reagent err alike each time, so that each result counts for half of one [A].
_BASELINE_SD, _SLOPE_SD, _REAGENT_SD, _APTT_CV, _CORRELATION = 0.09, 0.22, 0.20, 0.06, 0.8
_APTT_VARIANCE_TIMES = 2.0
# So many results have nothing to do with the patient's blood: another's specimen, or one drawn
# from the lumen in which heparin runs [A]. Such a one lies anywhere within the scale.
_STRAY_SHARE = 0.01
_ANTI_XA_SCALE_IU_ML = 1.5
_APTT_SCALE = math.log(heparin.APTT_CAP_S / 25.0)

LevelTest = Literal["anti-xa", "aptt"]
Bound = Literal["", "below", "above"]


def carry(levels: Sequence[float], rate_iu_kg_h: float, hours: float) -> list[float]:
    """Every point's level (IU/mL) after `hours` at a rate for each kg of size."""
    return [
        heparin.step(level, rate_iu_kg_h, hours, *ways)
        for level, ways in zip(levels, WAYS, strict=True)
    ]


def steady(rate_iu_kg_h: float) -> list[float]:
    """Every point's level (IU/mL) that a rate holds."""
    return [
        heparin.steady_state_iu_ml(rate_iu_kg_h, clearance, vmax, km)
        for _, clearance, vmax, km in WAYS
    ]


def spread(
    levels: Sequence[float], weights: Sequence[float], hours: float
) -> tuple[list[float], list[float]]:
    """Levels and weights after x wandered for `hours`, of which there are at most 1."""
    new_weights, new_levels = [], []
    for i in range(POINTS):
        stays = weights[i] * (1.0 - (_UP_H[i] + _DOWN_H[i]) * hours)
        total, mixed = stays, stays * levels[i]
        if i > 0:
            comes = weights[i - 1] * _UP_H[i - 1] * hours
            total += comes
            mixed += comes * levels[i - 1]
        if i + 1 < POINTS:
            comes = weights[i + 1] * _DOWN_H[i + 1] * hours
            total += comes
            mixed += comes * levels[i + 1]
        new_weights.append(total)
        new_levels.append(mixed / total if total > 0.0 else levels[i])
    return new_levels, new_weights


def weigh(
    levels: Sequence[float],
    weights: Sequence[float],
    test: LevelTest,
    value: float,
    bound: Bound = "",
) -> list[float]:
    """The weights after a result of a test (IU/mL or s), by Bayes' theorem."""
    scale = 1.0 / (_ANTI_XA_SCALE_IU_ML if test == "anti-xa" else _APTT_SCALE)
    stray = _STRAY_SHARE * (1.0 if bound else scale)
    new = []
    for level, weight in zip(levels, weights, strict=True):
        deviation, sd = _deviation(level, test, value)
        if bound:
            fits = _below(deviation if bound == "below" else -deviation)
        else:
            fits = math.exp(-0.5 * deviation * deviation) / (sd * math.sqrt(2.0 * math.pi))
        new.append(weight * ((1.0 - _STRAY_SHARE) * fits + stray))
    total = sum(new)
    return [weight / total for weight in new]


def share_below(
    levels: Sequence[float], weights: Sequence[float], test: LevelTest, value: float
) -> float:
    """How likely a reading at or below `value` was, error of the reading included."""
    return sum(
        weight * _below(_deviation(level, test, value)[0])
        for level, weight in zip(levels, weights, strict=True)
    )


def quantile(levels: Sequence[float], weights: Sequence[float], share: float) -> float:
    """The value below which so much of the weight lies, each spread evenly around its point."""
    pairs = sorted(zip(levels, weights, strict=True))
    middles = [(a[0] + b[0]) / 2.0 for a, b in pairwise(pairs)]
    first = 2.0 * pairs[0][0] - middles[0]
    edges = [
        max(0.0, first) if pairs[0][0] >= 0.0 else first,
        *middles,
        2.0 * pairs[-1][0] - middles[-1],
    ]
    below = 0.0
    for i, (_, weight) in enumerate(pairs):
        if weight > 0.0 and below + weight >= share:
            return edges[i] + (edges[i + 1] - edges[i]) * max(0.0, share - below) / weight
        below += weight
    return edges[-1]


def implied_logarithm(expected_iu_ml: float, weights: Sequence[float], level_iu_ml: float) -> float:
    """The x of a patient in whom the dose that makes `expected_iu_ml` here makes `level_iu_ml`.

    A level is held by what it loses, f C (CL + Vm/(Km + C)) (heparin.md §5.1), so the ratio of the
    two losses at f = 1 is the ratio of the two f, exactly in a steady state and nearly elsewhere.
    The points themselves cannot say it: far from where the weight is they stand for patients who
    have only just changed, and whose level is still on its way.
    """
    here = quantile(LOGARITHMS, weights, 0.5)
    return here + math.log(
        loss_iu_kg_h(expected_iu_ml) / loss_iu_kg_h(max(level_iu_ml, _ANTI_XA_FLOOR_IU_ML))
    )


def loss_iu_kg_h(level_iu_ml: float) -> float:
    """What a typical patient's level loses (heparin.md §5.1), in IU/kg/h."""
    typical = heparin.CLINICAL
    k_h = float(heparin.elimination_rate_h(level_iu_ml, *typical.ways))
    return level_iu_ml * k_h * float(typical.volume_ml_kg)


def _deviation(level: float, test: LevelTest, value: float) -> tuple[float, float]:
    """By how many standard deviations a reading is off what a level makes, and one of them.

    An anti-Xa errs in IU/mL, an aPTT in its logarithm.
    """
    if test == "anti-xa":
        sd = math.hypot(_ANTI_XA_ERROR * level, _ANTI_XA_FLOOR_IU_ML)
        return (value - level) / sd, sd
    typical = heparin.CLINICAL
    growth = typical.aptt_slope_ml_iu * level
    variance = (
        _BASELINE_SD**2
        + (_SLOPE_SD**2 + _REAGENT_SD**2) * growth**2
        + 2.0 * _CORRELATION * _BASELINE_SD * _SLOPE_SD * growth
        + _APTT_CV**2
    )
    sd = math.sqrt(variance * _APTT_VARIANCE_TIMES)
    expected = math.log(typical.aptt_baseline_s) + growth
    # A clot within a second is a reading error: it says no more than a second does.
    return (math.log(max(value, 1.0)) - expected) / sd, sd


def _below(deviation: float) -> float:
    """The share of a normal distribution below so many standard deviations."""
    return 0.5 * math.erfc(-deviation / math.sqrt(2.0))

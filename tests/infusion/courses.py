"""Courses of the level in one patient, for the tests of the patient model."""

import math
from collections.abc import Callable

import pytest

from infusion.heparin import CLINICAL, Parameters, aptt_s, steady_state_iu_ml, step

Ways = tuple[float, float, float, float]
MINUTE_H = 1 / 60


def ways(parameters: Parameters = CLINICAL) -> Ways:
    """Volume, clearance, Vm and Km, in the order of the functions' arguments."""
    return (
        parameters.volume_ml_kg,
        parameters.clearance_ml_h_kg,
        parameters.vmax_iu_kg_h,
        parameters.km_iu_ml,
    )


def level(
    hours: float,
    rate: float = 0.0,
    bolus: float = 0.0,
    begin: float = 0.0,
    parameters: Parameters = CLINICAL,
) -> float:
    """The level after some hours of a rate, in steps of a minute or a little less."""
    steps = max(1, math.ceil(hours / MINUTE_H))
    now = begin + bolus / parameters.volume_ml_kg
    for _ in range(steps):
        now = step(now, rate, hours / steps, *ways(parameters))
    return float(now)


def steady(rate: float, parameters: Parameters = CLINICAL) -> float:
    return float(steady_state_iu_ml(rate, *ways(parameters)[1:]))


def first_hour(when: Callable[[float], bool], rate: float, begin: float) -> float:
    """When the level first does what `when` says, to half a minute."""
    now, hours = begin, 0.0
    while not when(now):
        now = step(now, rate, MINUTE_H, *ways())
        hours += MINUTE_H
        assert hours < 48, "it never does"
    return hours


def aptt(at: float, cap_s: float = math.inf) -> float:
    return float(aptt_s(at, CLINICAL.aptt_baseline_s, CLINICAL.aptt_slope_ml_iu, cap_s))


def near(expected: float, tolerance: float = 0.01) -> object:
    return pytest.approx(expected, rel=tolerance)


def near_all(course: object) -> object:
    return pytest.approx(course, rel=0.01)

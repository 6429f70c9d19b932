"""The patient model against its closed forms and another integrator, and what must always hold."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion.heparin import (
    CLINICAL,
    CONDITIONS,
    Parameters,
    aptt_s,
    decay_time_h,
    elimination_rate_h,
    half_life_after_bolus_h,
    individual,
    level_of_aptt_iu_ml,
    linear_level_iu_ml,
    steady_state_iu_ml,
    step,
)
from tests.infusion.courses import (
    MINUTE_H,
    aptt,
    level,
    near,
    steady,
    ways,
)

# --- closed forms and another integrator --------------------------------------------------------


def runge_kutta(hours: float, rate: float, begin: float, steps: int) -> float:
    """dC/dt by the classical method of fourth order: another way to the same number."""

    def slope(at: float) -> float:
        return float(rate / CLINICAL.volume_ml_kg - elimination_rate_h(at, *ways()) * at)

    now, dt = begin, hours / steps
    for _ in range(steps):
        a = slope(now)
        b = slope(now + dt / 2 * a)
        c = slope(now + dt / 2 * b)
        d = slope(now + dt * c)
        now += dt / 6 * (a + 2 * b + 2 * c + d)
    return now


@pytest.mark.parametrize(
    ("dt_s", "error"), [(10, 2e-8), (60, 8e-7), (300, 2e-5), (900, 2e-4), (3600, 3e-3)]
)
def test_error_of_the_step(dt_s: int, error: float) -> None:
    """80 IU/kg and 12 h of 18 IU/kg/h, against Runge-Kutta in steps of 9 s; one digit is known."""
    now, worst = 80 / 45, 0.0
    exact = now
    for done_s in range(dt_s, 12 * 3600 + 1, dt_s):
        now = step(now, 18, dt_s / 3600, *ways())
        if done_s % 3600 == 0:
            exact = runge_kutta(1, 18, exact, 400)
            worst = max(worst, abs(now - exact))
    assert worst == pytest.approx(error, rel=0.5)


@pytest.mark.parametrize(("begin", "end"), [(6.0, 0.1), (1.0, 0.3), (0.1, 0.001)])
def test_steps_take_the_exact_time_of_decay(begin: float, end: float) -> None:
    assert level(decay_time_h(begin, end, *ways()), begin=begin) == near(end, 1e-5)


def test_the_steady_state_stays() -> None:
    for rate in (1.0, 18.0, 60.0, 200.0):
        at = steady(rate)
        assert elimination_rate_h(at, *ways()) * at * 45 == near(rate, 1e-12)
        assert step(at, rate, 5.0, *ways()) == near(at, 1e-12)


def test_the_steady_state_of_nothing_is_nothing() -> None:
    assert steady(0.0) == 0.0


def test_without_saturation_a_step_is_exact() -> None:
    linear = (45.0, 20.0, 0.0, 2.4)
    k = 20.0 / 45.0
    for hours in (0.01, 1.0, 30.0):
        expected = 0.5 * math.exp(-k * hours) + 18 / (45 * k) * (1 - math.exp(-k * hours))
        assert step(0.5, 18, hours, *linear) == near(expected, 1e-13)
        assert linear_level_iu_ml(0.5, 18, hours, 45, k) == near(expected, 1e-13)
        assert decay_time_h(0.5, 0.5 * math.exp(-k * hours), *linear) == near(hours, 1e-12)
    assert steady_state_iu_ml(18, *linear[1:]) == near(18 / 20, 1e-13)


def test_what_comes_in_goes_out_or_stays() -> None:
    """∫R dt + ΣB = V C(T) + ∫V k(C) C dt, the last by Simpson's rule over 12 h of a bad day."""
    now = given_iu_kg = lost_iu_kg = 0.0
    dt_h = 10 / 3600
    for number in range(12 * 360):
        hours = number * dt_h
        bolus = 80.0 if number == 0 else 30.0 if number == 1800 else 0.0
        rate = 0.0 if 3 < hours < 4 else 180.0 if 8 < hours < 8.5 else 18.0
        begin = now + bolus / 45
        middle, end = (step(begin, rate, part * dt_h, *ways()) for part in (0.5, 1.0))
        losses = [elimination_rate_h(at, *ways()) * at * 45 for at in (begin, middle, end)]
        lost_iu_kg += (losses[0] + 4 * losses[1] + losses[2]) / 6 * dt_h
        given_iu_kg += rate * dt_h + bolus
        now = end
    assert 45 * now + lost_iu_kg == near(given_iu_kg, 1e-6)


# --- what must always hold ----------------------------------------------------------------------

levels = st.floats(0, 20)
rates = st.floats(0, 500)
boluses = st.floats(0, 500)
hours = st.floats(1e-6, 200)
factors = st.floats(0.2, 5)


@given(levels, rates, hours, boluses)
def test_a_level_is_never_below_zero(at: float, rate: float, dt_h: float, bolus: float) -> None:
    after = step(at, rate, dt_h, *ways(), bolus)
    assert after >= 0
    assert math.isfinite(after)


@given(levels, rates, boluses, factors, st.floats(0.05, 6))
def test_more_heparin_or_slower_loss_is_a_higher_level(
    at: float, rate: float, bolus: float, factor: float, duration_h: float
) -> None:
    patient = individual(CLINICAL, 70, factor)
    slower = individual(CLINICAL, 70, factor * 0.9)

    def after(rate: float, bolus: float, parameters: Parameters) -> float:
        now = at + bolus / parameters.volume_ml_kg
        for _ in range(20):
            now = step(now, rate, duration_h / 20, *ways(parameters))
        return float(now)

    usual = after(rate, bolus, patient)
    assert after(rate + 1, bolus, patient) > usual
    assert after(rate, bolus + 1, patient) > usual
    assert after(rate, bolus, slower) >= usual


@given(st.floats(1, 60), st.floats(1.01, 3))
def test_the_level_grows_faster_than_the_rate(rate: float, factor: float) -> None:
    assert steady(rate * factor) / steady(rate) > factor


@given(st.floats(0, 2), st.floats(0, 40), st.floats(0, 60))
def test_a_minute_is_sixty_seconds(at: float, rate: float, bolus: float) -> None:
    whole = step(at, rate, MINUTE_H, *ways(), bolus)
    parts = at + bolus / 45
    for _ in range(60):
        parts = step(parts, rate, MINUTE_H / 60, *ways())
    assert whole == pytest.approx(parts, abs=1e-6)


@given(levels, rates, boluses, boluses)
def test_the_order_of_boluses_does_not_matter(
    at: float, rate: float, one: float, other: float
) -> None:
    def after(*given_iu_kg: float) -> float:
        now = at
        for bolus in given_iu_kg:
            now = step(now, rate, 0.0, *ways(), bolus)
        return float(step(now, rate, 0.1, *ways()))

    assert after(one, other) == pytest.approx(after(other, one), rel=1e-12)
    together = step(at, rate, 0.1, *ways(), one + other)
    assert after(one, other) == pytest.approx(together, rel=1e-12)


@given(st.floats(3, 300), rates, boluses, factors)
def test_size_changes_the_pace_and_nothing_else(
    weight: float, rate: float, bolus: float, factor: float
) -> None:
    """Volume and both ways of loss shrink together for each kg, so less dose for each kg does."""
    size = (weight / 70) ** -0.25
    patient = individual(CLINICAL, weight, factor)
    reference = individual(CLINICAL, 70, factor)
    one = step(0.3, rate * size, 0.5, *ways(patient), bolus * size)
    assert one == pytest.approx(step(0.3, rate, 0.5, *ways(reference), bolus), rel=1e-12)


def test_class_iii_obesity_needs_less_for_each_kg() -> None:
    """11.5 where others need 13.5 IU/kg/h (Ann Pharmacother 2010;44:1141), at about 130 kg."""
    heavy = individual(CLINICAL, 130)
    assert steady(11.5, heavy) == near(steady(13.5), 0.03)


@given(st.floats(0, 1.4), st.floats(24, 40), st.floats(0.8, 2))
def test_a_level_comes_back_from_its_aptt(at: float, baseline: float, slope: float) -> None:
    there = aptt_s(at, baseline, slope, math.inf)
    assert level_of_aptt_iu_ml(there, baseline, slope) == pytest.approx(at, abs=1e-12)


def test_the_ends_of_the_aptt() -> None:
    assert aptt_s(0.0, 30, 1.32) == 30
    assert aptt(0.3) / 30 == near(1.49)
    assert aptt(0.7) / 30 == near(2.52)
    assert aptt_s(1e6, 30, 1.32) == 200
    assert aptt_s(1e6, 30, 1.32, 150) == 150
    assert level_of_aptt_iu_ml(25.0, 30, 1.32) == 0.0


@pytest.mark.parametrize(
    ("condition", "elimination", "volume", "anti_xa", "slope"),
    [
        ("none", 1, 1, 1, 1),
        ("pulmonary_embolism", 1.3, 1, 1, 1),
        ("renal_failure", 0.75, 1.4, 1, 1),
        ("antithrombin_deficiency", 1, 1, 0.7, 1),
        ("acute_phase", 1, 1, 1, 0.7),
    ],
)
def test_conditions(
    condition: str, elimination: float, volume: float, anti_xa: float, slope: float
) -> None:
    what = CONDITIONS[condition]
    patient = individual(
        CLINICAL, 70, what.elimination_factor, what.volume_factor, what.aptt_slope_factor
    )
    assert ways(patient) == pytest.approx((45 * volume, 4 * elimination, 80 * elimination, 2.4))
    assert patient.aptt_slope_ml_iu == pytest.approx(1.32 * slope)
    assert what.anti_xa_factor == anti_xa


def test_an_embolism_shortens_and_renal_failure_lengthens() -> None:
    half_lives = [
        half_life_after_bolus_h(
            70, *ways(individual(CLINICAL, 70, what.elimination_factor, what.volume_factor))
        )
        for what in (CONDITIONS[n] for n in ("pulmonary_embolism", "none", "renal_failure"))
    ]
    assert half_lives == sorted(half_lives)


# --- arrays -------------------------------------------------------------------------------------


def test_arrays_and_floats_say_the_same() -> None:
    chance = np.random.Generator(np.random.PCG64(7))
    count = 500
    at, rate, bolus = (chance.uniform(0, top, count) for top in (8.0, 60.0, 100.0))
    dt_h = chance.uniform(0.001, 20, count)
    many = individual(CLINICAL, chance.uniform(30, 200, count), chance.lognormal(0, 0.34, count))
    km = np.full(count, many.km_iu_ml)
    columns = (many.volume_ml_kg, many.clearance_ml_h_kg, many.vmax_iu_kg_h, km)
    of_arrays = (
        step(at, rate, dt_h, *columns, bolus, np.exp),
        steady_state_iu_ml(rate, *columns[1:], np.sqrt),
        decay_time_h(at + 1, at / 2 + 0.01, *columns, np.log),
        half_life_after_bolus_h(bolus + 1, *columns, np.log),
        aptt_s(at, 30.0, 1.32, 200.0, np.exp, np.minimum),
        level_of_aptt_iu_ml(20 + 10 * at, 30.0, 1.32, np.log, np.maximum),
    )
    for index in range(count):
        volume, clearance, vmax, km_one = (float(column[index]) for column in columns)
        one = (volume, clearance, vmax, km_one)
        a, r, b, dt = (float(column[index]) for column in (at, rate, bolus, dt_h))
        of_floats = (
            step(a, r, dt, *one, b),
            steady_state_iu_ml(r, *one[1:]),
            decay_time_h(a + 1, a / 2 + 0.01, *one),
            half_life_after_bolus_h(b + 1, *one),
            aptt_s(a, 30.0, 1.32),
            level_of_aptt_iu_ml(20 + 10 * a, 30.0, 1.32),
        )
        assert of_floats == pytest.approx(column_at(of_arrays, index), rel=1e-12)


def column_at(arrays: Sequence[np.ndarray], index: int) -> tuple[float, ...]:
    return tuple(float(array[index]) for array in arrays)

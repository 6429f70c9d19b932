"""The patient model against courses that were computed apart from it, and published results.

The expected numbers are those of the project's research, from the equations in the docstring of
infusion/heparin.py.
"""

import pytest

from infusion.heparin import (
    CLINICAL,
    CONDITIONS,
    VOLUNTEER,
    aptt_s,
    decay_time_h,
    elimination_rate_h,
    half_life_after_bolus_h,
    individual,
    step,
)
from tests.infusion.courses import (
    MINUTE_H,
    aptt,
    first_hour,
    level,
    near,
    near_all,
    steady,
    ways,
)

# --- the numbers of the research ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "expected", "expected_aptt_s", "t90_h"),
    [
        (6, 0.1709, 37.6, 3.06),
        (10, 0.2971, 44.4, 3.28),
        (12, 0.3643, 48.5, 3.40),
        (13.5, 0.4166, 52.0, 3.49),
        (15, 0.4707, 55.8, 3.59),
        (18, 0.5843, 64.9, 3.79),
        (20, 0.6643, 72.1, 3.93),
        (22, 0.7480, 80.5, 4.08),
        (25, 0.8808, 95.9, 4.33),
        (30, 1.1234, 132.2, 4.78),
    ],
)
def test_steady_state(rate: float, expected: float, expected_aptt_s: float, t90_h: float) -> None:
    assert steady(rate) == near(expected)
    assert aptt(steady(rate)) == near(expected_aptt_s)
    assert level(48, rate) == near(steady(rate), 1e-6)
    assert first_hour(lambda now: now >= 0.9 * steady(rate), rate, 0.0) == near(t90_h)


@pytest.mark.parametrize(
    ("rate", "bolus", "course"),
    [
        (
            18,
            80,
            {0: 1.778, 1: 1.344, 2: 1.051, 4: 0.747, 6: 0.638, 12: 0.586, 24: 0.584},
        ),
        (12, 60, {1: 0.936, 2: 0.687, 4: 0.459, 6: 0.391, 12: 0.365}),
        (18, 0, {1: 0.279, 2: 0.418, 4: 0.533, 6: 0.568}),
    ],
)
def test_course_from_the_start(rate: float, bolus: float, course: dict[float, float]) -> None:
    assert {hours: level(hours, rate, bolus) for hours in course} == near_all(course)


@pytest.mark.parametrize(
    ("rate", "bolus", "hours", "expected_s"),
    [
        (18, 80, 1, 177),
        (18, 80, 2, 120),
        (18, 80, 4, 80.5),
        (18, 80, 6, 69.7),
        (12, 60, 1, 103),
        (12, 60, 6, 50.3),
        (18, 0, 6, 63.5),
    ],
)
def test_aptt_of_a_course(rate: float, bolus: float, hours: float, expected_s: float) -> None:
    assert aptt(level(hours, rate, bolus)) == near(expected_s)


def test_without_a_bolus_0_3_is_reached_after_an_hour() -> None:
    assert first_hour(lambda now: now >= 0.3, 18, 0.0) == near(1.116)


def test_stop_from_the_steady_state() -> None:
    course = {0.25: 0.491, 0.5: 0.411, 1: 0.284, 2: 0.131, 4: 0.026}
    assert {h: level(h, begin=steady(18)) for h in course} == pytest.approx(course, rel=0.01)
    # Given with one digit, so a hundredth of it says nothing.
    assert level(6, begin=steady(18)) == pytest.approx(0.005, abs=0.0005)
    assert aptt(level(1, begin=steady(18))) == near(43.7)
    assert aptt(level(2, begin=steady(18))) == near(35.7)
    assert aptt(level(4, begin=steady(18))) == near(31.0)
    for below, hours in ((0.3, 0.929), (0.2, 1.462), (0.1, 2.342)):
        assert decay_time_h(steady(18), below, *ways()) == near(hours)


@pytest.mark.parametrize(("rate", "minutes"), [(18, 56), (15, 37), (12, 16)])
def test_minutes_from_a_stop_to_below_range(rate: float, minutes: float) -> None:
    """Section 4.1 of the research gives them as whole minutes."""
    assert 60 * decay_time_h(steady(rate), 0.3, *ways()) == pytest.approx(minutes, abs=0.5)


@pytest.mark.parametrize(
    ("bolus", "minutes"),
    [(25, 57.5), (50, 64.5), (75, 71.4), (100, 78.0), (200, 102.2), (400, 142.5)],
)
def test_half_life_of_a_bolus(bolus: float, minutes: float) -> None:
    half_life_h = half_life_after_bolus_h(bolus, *ways())
    assert 60 * half_life_h == near(minutes)
    assert level(half_life_h, bolus=bolus) == near(bolus / 45.0 / 2, 1e-5)


def test_a_low_level_halves_in_less_than_an_hour() -> None:
    assert 60 * decay_time_h(0.5, 0.25, *ways()) == near(56.7)


def test_ten_times_the_rate_for_an_hour() -> None:
    assert level(0.5, 180, begin=steady(18)) == near(2.20)
    top = level(1, 180, begin=steady(18))
    assert top == near(3.586)
    after = {2: 2.349, 4: 0.773, 6: 0.182}
    assert {h: level(h - 1, begin=top) for h in after} == near_all(after)


@pytest.mark.parametrize(
    ("bolus_iu", "expected", "hours"),
    [(500, 0.743, 0.58), (1_000, 0.902, 1.88), (2_000, 1.219, 3.25), (5_000, 2.172, 5.31)],
)
def test_a_stray_bolus_on_the_steady_state(bolus_iu: float, expected: float, hours: float) -> None:
    top = level(0, 18, bolus_iu / 70, steady(18))
    assert top == near(expected)
    # Minutes of the course are whole, and the first of them is more than a hundredth of it.
    reached_h = first_hour(lambda now: now < 0.7, 18, top)
    assert reached_h == pytest.approx(hours, abs=0.01 * hours + MINUTE_H)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(-25, 0.417), (-10, 0.515), (-6, 0.543), (6, 0.627), (20, 0.731), (50, 0.975), (100, 1.454)],
)
def test_what_an_error_of_the_rate_does(percent: float, expected: float) -> None:
    assert steady(18 * (1 + percent / 100)) == near(expected)


@pytest.mark.parametrize(("hours", "expected"), [(1.5, 0.194), (4, 0.026)])
def test_an_outage_and_the_way_back(hours: float, expected: float) -> None:
    end = level(hours, begin=steady(18))
    assert end == pytest.approx(expected, abs=0.0005)
    back_h = first_hour(lambda now: now >= 0.95 * steady(18), 18, end)
    assert back_h == pytest.approx({1.5: 4.4, 4: 4.9}[hours], abs=0.07)


@pytest.mark.parametrize(
    ("at", "clearance"), [(0.1, 36.0), (0.5, 31.6), (1, 27.5), (3, 18.8), (6, 13.5)]
)
def test_total_clearance_falls_with_the_level(at: float, clearance: float) -> None:
    assert elimination_rate_h(at, *ways()) * CLINICAL.volume_ml_kg == near(clearance)


# --- published results (V numbers of the research) ----------------------------------------------


def test_v1_half_life_of_70_iu_kg() -> None:
    """63 ± 15 min (Hirsh 1976)."""
    assert 48 <= 60 * half_life_after_bolus_h(70, *ways()) <= 78


def test_v2_half_lives_of_the_guidelines() -> None:
    """30, 60 and 150 min after 25, 100 and 400 IU/kg."""
    low, middle, high = (60 * half_life_after_bolus_h(b, *ways()) for b in (25, 100, 400))
    assert low < middle < high
    assert 60 <= middle <= 80
    assert 130 <= high <= 160
    volunteer = [60 * half_life_after_bolus_h(b, *ways(VOLUNTEER)) for b in (25, 100, 400)]
    assert volunteer == pytest.approx([30, 60, 150], rel=0.05)


def test_v3_a_larger_dose_is_slower() -> None:
    """Half-life rises, clearance falls and volume stays (Bjornsson, CPT 1982;31:104)."""
    doses = (25, 50, 75)
    half_lives = [half_life_after_bolus_h(dose, *ways()) for dose in doses]
    clearances = [dose / area_under_curve(dose) for dose in doses]
    assert half_lives == sorted(set(half_lives))
    assert clearances == sorted(set(clearances), reverse=True)
    assert {dose / level(0, bolus=dose) for dose in doses} == {CLINICAL.volume_ml_kg}


def area_under_curve(bolus: float) -> float:
    """IU h/mL until the level is gone, by the trapezium rule over minutes."""
    now, area = bolus / CLINICAL.volume_ml_kg, 0.0
    for _ in range(36 * 60):
        after = step(now, 0.0, MINUTE_H, *ways())
        area += float(now + after) / 2 * MINUTE_H
        now = after
    return area


def test_v5_the_usual_rate_is_in_range() -> None:
    at = level(24, 18)
    assert 0.45 <= at <= 0.70
    assert 1.5 <= aptt(at) / CLINICAL.aptt_baseline_s <= 2.5


def test_v12_the_effect_is_gone_some_hours_after_a_stop() -> None:
    gone_h = first_hour(lambda now: aptt(now) < 1.05 * 30, 0, steady(18))
    assert 3 <= gone_h <= 6
    assert gone_h == near(3.57)
    assert first_hour(lambda now: aptt(now) < 1.5 * 30, 0, steady(18)) == near(0.90, 0.02)


def test_v14_millilitres_for_units() -> None:
    """5,000 IU, then 17,000 IU in an hour: aPTT 240 s and no bleeding (nursingcenter 728818)."""
    top = level(1, 17_000 / 70, 5_000 / 70)
    assert top == near(5.6, 0.02)
    assert aptt_s(top, 30, 1.32) == 200
    assert 3 <= decay_time_h(top, 0.7, *ways()) <= 7
    assert decay_time_h(top, 0.7, *ways()) == near(4.4, 0.02)


@pytest.mark.parametrize(("rate", "expected"), [(12, 0.113), (15, 0.148), (18, 0.188), (25, 0.299)])
def test_volunteers_reach_less(rate: float, expected: float) -> None:
    assert steady(rate, VOLUNTEER) == near(expected)


def test_brunet_haemodialysis() -> None:
    """25, 12.5, 12.5 and 0 IU/kg/h give 0.25 IU/mL at 4 h (Brunet 2008, of which an abstract was read).

    The parameters were fitted to none of it, so a fifth more or less is let pass. Known misfit: after
    90 min more it was below 0.1, here it is 0.15, for Kandrotas's half-life of 117 min says so.
    """
    patient = individual(
        CLINICAL,
        70,
        CONDITIONS["renal_failure"].elimination_factor,
        CONDITIONS["renal_failure"].volume_factor,
    )
    now = 0.0
    for rate in (25.0, 12.5, 12.5, 0.0):
        now = level(1, rate, begin=now, parameters=patient)
    assert now == near(0.25, 0.2)

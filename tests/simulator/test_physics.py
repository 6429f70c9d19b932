"""A unit and property test of the physics: closed forms, conservation, marks, the noise.

Oracles are closed forms (pump-standards §3.1 and §3.2) and a fine Euler integration written here.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from simulator.cohort import draw_cohort, running_state
from simulator.physics import State, alarm_time_s, step, uniforms
from simulator.physics.power import battery_slope_per_ms
from simulator.profile import Profile
from tests.simulator.bench import exact_profile, shipped_profile

# The engineering case of pump-standards §3.2: 12 mL/h, 15 to 85 kPa, 0.010 mL/kPa, latency 8 s.
# Pressures stay in kPa: the model only sees the product of compliance and pressure.
CASE = replace(
    exact_profile(),
    compliance_ml_mmhg=0.010,
    venous_pressure_mmhg=15.0,
    occlusion_limit_mmhg=85.0,
    occlusion_filter_s=8.0,
)


def rest(profile: Profile, size: int = 1) -> State:
    """Pumps without errors, at rest."""
    return State(
        profile, bias=np.zeros(size), ripple=np.zeros(size), keys=np.zeros(size, dtype=np.uint64)
    )


def occluded(profile: Profile, rate_ml_h: float) -> State:
    """A pump that starts against a closed line."""
    state = rest(profile)
    state.drive_ml_h[0] = rate_ml_h
    state.set_resistance(0, math.inf)
    return state


def seconds_to_alarm(state: State, dt_s: float, limit_s: float = 1e6) -> float:
    elapsed = 0.0
    while elapsed < limit_s:
        flags = step(state, dt_s)
        elapsed += dt_s
        if flags[0] and state.over_s[0] >= state.filter_s(0):
            return elapsed
    return math.inf


def test_the_engineering_case_is_exact() -> None:
    assert alarm_time_s(0.010, 85.0 - 15.0, 12.0, 8.0) == pytest.approx(218.0, abs=1e-9)
    assert CASE.occlusion_volume_ml == pytest.approx(0.70, abs=1e-12)
    for dt_s in (0.1, 0.5, 1.0, 2.0, 109.0):
        state = occluded(CASE, 12.0)
        assert seconds_to_alarm(state, dt_s) == pytest.approx(218.0, abs=1e-6)
        # At the limit 0.70 mL is held; the latency adds 8 s of pumping.
        assert state.held_ml[0] == pytest.approx(0.70 + 12.0 * 8.0 / 3600.0, abs=1e-9)
        assert state.patient_ml[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("dt_s", [3.0, 7.0, 50.0])
def test_a_coarse_step_alarms_at_the_next_grid_point(dt_s: float) -> None:
    """The time over the limit is exact in each step, so the grid costs less than one step."""
    expected = math.ceil(218.0 / dt_s) * dt_s
    assert seconds_to_alarm(occluded(CASE, 12.0), dt_s) == pytest.approx(expected)


@pytest.mark.parametrize("compliance", [0.0005, 0.001])
@pytest.mark.parametrize(("rate_ml_h", "minutes"), [(1, 30), (5, 6), (10, 3), (25, 1.2)])
def test_times_to_alarm_of_the_table(compliance: float, rate_ml_h: int, minutes: float) -> None:
    """Pump-standards §3.2 [D] at ΔP = 500 mmHg; the table is for 0.001 mL/mmHg."""
    profile = replace(
        exact_profile(),
        compliance_ml_mmhg=compliance,
        venous_pressure_mmhg=0.0,
        occlusion_limit_mmhg=500.0,
        occlusion_filter_s=0.0,
    )
    expected_s = minutes * 60.0 * compliance / 0.001
    measured_s = seconds_to_alarm(occluded(profile, rate_ml_h), 1.0)
    assert expected_s - 1e-6 <= measured_s <= expected_s + 1.0


def test_what_is_held_reaches_the_patient_with_the_lines_time_constant() -> None:
    profile = exact_profile()
    state = occluded(profile, 12.0)
    for _ in range(200):
        step(state, 1.0)
    state.drive_ml_h[0] = 0.0
    state.set_resistance(0, 1.0)
    held = state.held_ml[0]
    tau_s = profile.resistance_mmhg_h_ml * profile.compliance_ml_mmhg * 3600
    assert tau_s == pytest.approx(7.2)
    for second in range(1, 30):
        step(state, 1.0)
        assert state.held_ml[0] == pytest.approx(held * math.exp(-second / tau_s), rel=1e-9)
    assert state.patient_ml[0] == pytest.approx(state.pumped_ml[0] - state.held_ml[0], abs=1e-9)


def test_a_free_line_settles_at_flow_times_resistance() -> None:
    profile = exact_profile()
    state = rest(profile)
    state.drive_ml_h[0] = 12.0
    for _ in range(200):
        step(state, 1.0)
    expected = profile.venous_pressure_mmhg + 12.0 * profile.resistance_mmhg_h_ml
    assert state.pressure_mmhg(0) == pytest.approx(expected)


def test_a_narrowed_line_may_stay_below_the_alarm() -> None:
    """12 mL/h through 10 times the resistance is 250 mmHg: less flow at first, but no alarm."""
    state = rest(exact_profile())
    state.drive_ml_h[0] = 12.0
    state.set_resistance(0, 10.0)
    assert seconds_to_alarm(state, 1.0, limit_s=3600) == math.inf
    assert state.pressure_mmhg(0) == pytest.approx(250.0)


def test_a_line_narrowed_further_alarms_when_the_closed_form_says() -> None:
    profile = replace(exact_profile(), occlusion_filter_s=0.0)
    state = rest(profile)
    state.drive_ml_h[0] = 12.0
    state.set_resistance(0, 40.0)
    tau_s = 40 * 2.0 * 0.001 * 3600
    end_ml = 12.0 / 3600 * tau_s
    expected = tau_s * math.log(end_ml / (end_ml - profile.occlusion_volume_ml))
    assert 0 <= seconds_to_alarm(state, 0.25) - expected <= 0.25


@settings(max_examples=40, deadline=None)
@given(
    moves=st.lists(
        st.tuples(
            st.floats(0, 200),
            st.sampled_from([1.0, 3.0, 100.0, math.inf]),
            st.booleans(),
            st.integers(1, 40),
            st.sampled_from([0.5, 1.0, 5.0, 60.0, 90.0]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_volume_balances_at_every_step(
    moves: list[tuple[float, float, bool, int, float]],
) -> None:
    cohort = draw_cohort(shipped_profile(), 3, 5)
    state = State(
        shipped_profile(),
        bias=cohort.bias.copy(),
        ripple=cohort.ripple.copy(),
        keys=cohort.keys.copy(),
    )
    for pump, volume_ml in enumerate([5.0, 50.0, 1e6]):
        state.fill(pump, volume_ml)
    for rate_ml_h, factor, is_open, steps, dt_s in moves:
        state.drive_ml_h[:] = rate_ml_h
        state.set_resistance(0, factor)
        state.set_upstream(1, is_open=is_open)
        for _ in range(steps):
            before = state.patient_ml.copy()
            step(state, dt_s)
            balance = state.pumped_ml - state.held_ml - state.patient_ml - state.lost_ml
            assert np.abs(balance).max() < 1e-9
            assert (state.patient_ml >= before - 1e-12).all()
            assert (state.held_ml >= -1e-12).all()
            assert (state.pumped_ml <= state.empty_at_ml).all()


def test_the_patients_flow_agrees_with_a_fine_integration() -> None:
    profile = exact_profile()
    state = rest(profile)
    held, patient = 0.0, 0.0
    for minute, (rate, factor) in enumerate([(12.0, 1.0), (30.0, 20.0), (0.0, 5.0), (8.0, 1.0)]):
        state.drive_ml_h[0] = rate
        state.set_resistance(0, factor)
        for _ in range(60):
            step(state, 1.0)
        tau_s = factor * 7.2
        for _ in range(60_000):
            out = held / tau_s * 0.001
            held += rate / 3600 * 0.001 - out
            patient += out
        assert state.patient_ml[0] == pytest.approx(patient, rel=1e-3, abs=1e-5), minute


def test_the_step_size_does_not_matter() -> None:
    """The solution is exact, so 1 s steps and 20 s steps meet where the noise is the same.

    Strokes are left out: within a step the flow into the line is even.
    """
    profile = replace(shipped_profile(), stroke_rest_share=1.0)
    cohort = draw_cohort(profile, 5, 3)
    states = []
    for dt_s in (1.0, 20.0):
        state = State(
            profile,
            bias=cohort.bias.copy(),
            ripple=cohort.ripple.copy(),
            keys=cohort.keys.copy(),
        )
        state.drive_ml_h[:] = 15.0
        state.set_resistance(2, math.inf)
        state.set_resistance(3, 30.0)
        for _ in range(round(600 / dt_s)):
            step(state, dt_s)
        states.append(state)
    # The ripple changes on whole minutes, at which a step begins in both.
    for name in ("pumped_ml", "held_ml", "patient_ml"):
        assert getattr(states[0], name) == pytest.approx(getattr(states[1], name), rel=1e-9)


def test_the_pump_lands_on_a_mark_exactly() -> None:
    state = rest(exact_profile(), 2)
    state.drive_ml_h[:] = 12.0
    state.fill(0, 0.1)
    state.fill(1, 50.0)
    state.stop_at_ml[1] = 0.12345
    for _ in range(100):
        step(state, 1.0)
    assert step(state, 1.0).all()
    assert state.pumped_ml.tolist() == [0.1, 0.12345]
    assert state.empty_at_ml[0] - state.pumped_ml[0] == 0.0


def test_a_closed_upstream_line_gives_no_flow_and_is_noticed() -> None:
    profile = exact_profile()
    state = rest(profile)
    state.drive_ml_h[0] = 12.0
    state.set_upstream(0, is_open=False)
    seconds = 0
    while not step(state, 1.0)[0]:
        seconds += 1
    assert state.pumped_ml[0] == 0.0
    assert state.missed_ml[0] == pytest.approx(profile.upstream_alarm_ml, abs=0.005)
    assert seconds == pytest.approx(profile.upstream_alarm_ml / 12.0 * 3600, abs=2)


def test_battery_falls_linearly_and_charges_on_mains() -> None:
    profile = exact_profile()
    state = rest(profile, 2)
    state.battery[:] = [1.0, 0.5]
    state.battery_slope[0] = battery_slope_per_ms(profile, on_mains=False)
    state.battery_slope[1] = battery_slope_per_ms(profile, on_mains=True)
    for _ in range(60):
        step(state, 60.0)
    assert state.battery[0] == pytest.approx(1.0 - 1.0 / profile.battery_life_h)
    assert state.battery[1] == pytest.approx(0.5 + 1.0 / profile.battery_charge_h)
    for _ in range(600):
        step(state, 60.0)
    assert state.battery.tolist() == [0.0, 1.0]


def test_flow_stays_inside_the_makers_claim_over_a_day_and_well_below_ten_percent() -> None:
    profile = shipped_profile()
    state = running_state(profile, 2000, 11)
    state.drive_ml_h[:] = 10.0
    worst = 0.0
    for _ in range(24 * 60):
        step(state, 60.0)
        worst = max(worst, float(np.abs(state.flow_factor - 1).max()))
    daily = state.pumped_ml / 240.0 - 1.0
    assert worst <= profile.bias_max + profile.ripple_max + 1e-12
    assert worst < 0.09
    assert np.abs(daily).max() <= profile.accuracy
    assert daily.std() == pytest.approx(profile.bias_sd, rel=0.1)


def test_the_ripple_has_the_spread_and_memory_of_the_profile() -> None:
    profile = shipped_profile()
    size = 4000
    keys = draw_cohort(profile, size, 2).keys
    state = State(profile, bias=np.zeros(size), ripple=np.zeros(size), keys=keys)
    values = []
    for _ in range(60):
        step(state, 60.0)
        values.append(state.ripple.copy())
    assert values[-1].std() == pytest.approx(profile.ripple_sd, rel=0.05)
    correlation = np.corrcoef(values[-1], values[-11])[0, 1]
    assert correlation == pytest.approx(math.exp(-10 / profile.ripple_time_min), abs=0.05)


def test_uniform_numbers_depend_on_key_and_number_alone() -> None:
    keys = np.array([1, 2, 2**64 - 1], dtype=np.uint64)
    both = uniforms(keys, 7)
    assert uniforms(keys[1:2], 7)[0] == both[1]
    assert (uniforms(keys, 8) != both).all()
    many = uniforms(np.arange(100_000, dtype=np.uint64), 3)
    assert many.mean() == pytest.approx(0.5, abs=0.005)
    assert many.std() == pytest.approx(1 / math.sqrt(12), rel=0.01)


def test_splitmix64_agrees_with_the_published_first_values() -> None:
    """Seed 0 gives 0xE220A8397B1DCDAF first; a key of 0 and the number 1 is that value."""
    assert uniforms(np.zeros(1, np.uint64), 1)[0] == (0xE220A8397B1DCDAF >> 11) * 2.0**-53

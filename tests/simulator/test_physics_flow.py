"""A unit test of mechanism, start-up, head pressure and release; oracles are closed forms."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from simulator.physics import MMHG_PER_CM, State, step
from simulator.physics.flow import displaced_ml, motor_at_ml
from simulator.profile import Profile, read_profile
from tests.simulator.bench import CONFIG, exact_profile, shipped_profile

SYRINGE = "syringe"


def shipped(name: str) -> Profile:
    path = Path(CONFIG / "pumps" / f"{name}.toml")
    return read_profile(path.read_bytes(), path.name)


def rest(profile: Profile, size: int = 1) -> State:
    return State(
        profile,
        bias=np.zeros(size),
        ripple=np.zeros(size),
        keys=np.arange(size, dtype=np.uint64),
    )


def quiet(profile: Profile, **changes: float) -> Profile:
    return replace(profile, bias_sd=0.0, ripple_sd=0.0, ripple_max=0.0, **changes)


@given(
    name=st.sampled_from(["ambulatory", "syringe", "large-volume"]),
    motor=st.floats(0, 500),
    more=st.floats(0, 1),
)
def test_the_mechanism_is_monotone_and_gives_a_stroke_for_a_stroke(
    name: str, motor: float, more: float
) -> None:
    profile = shipped(name)
    state = rest(profile)
    here = displaced_ml(state, 0, motor)
    assert displaced_ml(state, 0, motor + more) >= here - 1e-12
    assert abs(here - motor) <= profile.stroke_ml + 1e-9
    whole = displaced_ml(state, 0, motor + profile.stroke_ml)
    assert whole - here == pytest.approx(profile.stroke_ml, abs=1e-9)
    back = motor_at_ml(state, 0, here)
    assert displaced_ml(state, 0, back) == pytest.approx(here, abs=1e-9)


def test_a_cassette_gives_strokes_of_its_volume() -> None:
    state = rest(quiet(shipped_profile()))
    state.drive_ml_h[0] = 10.0
    moved = []
    for _ in range(180):
        before = state.pumped_ml[0]
        step(state, 1.0)
        moved.append(float(state.pumped_ml[0] - before))
    # 0.05 mL at 10 mL/h is a stroke every 18 s, of which it moves in a tenth.
    assert sum(moved) == pytest.approx(0.5, abs=1e-9)
    assert 20 <= np.count_nonzero(np.array(moved) > 1e-12) <= 31


def test_a_motor_and_a_flow_sensor_land_on_their_marks_exactly() -> None:
    for name in ("ambulatory", "syringe", "large-volume"):
        state = State(
            shipped(name),
            bias=np.full(3, 0.04),
            ripple=np.zeros(3),
            keys=np.arange(3, dtype=np.uint64),
        )
        state.drive_ml_h[:] = 37.0
        for pump in range(3):
            state.fill(pump, 50.0)
            state.stop_at_ml[pump] = 1.2345678 + pump / 7
        for _ in range(400):
            step(state, 1.0)
        assert state.counted_ml.tolist() == state.stop_at_ml.tolist()
        balance = state.pumped_ml - state.held_ml - state.patient_ml - state.lost_ml
        assert np.abs(balance).max() < 1e-12


def start_up_min(profile: Profile, pre_bolus_ml: float) -> tuple[float, float]:
    """t₁ (first flow to the patient) and t₂ (95 % of the rate, over a minute) at 1 mL/h."""
    state = rest(profile)
    if pre_bolus_ml:
        state.drive_ml_h[0] = 120.0
        state.stop_at_ml[0] = pre_bolus_ml
        for _ in range(600):
            step(state, 1.0)
        state.stop_at_ml[0] = math.inf
        state.drive_ml_h[0] = 0.0
        step(state, 60.0)
        state.restart(0)
    state.drive_ml_h[0] = 1.0
    first = None
    given = float(state.patient_ml[0])
    for minute in range(1, 600):
        step(state, 60.0)
        flow = (float(state.patient_ml[0]) - given) * 60.0
        given = float(state.patient_ml[0])
        if first is None and flow > 0.01:
            first = minute - 1.0
        if flow >= 0.95:
            assert first is not None
            return first, float(minute)
    raise AssertionError("the flow never comes")


def test_start_up_of_a_syringe_lies_in_the_published_range() -> None:
    """Pump-standards §3.3, 4 syringe pumps at 1 mL/h: t1 7 to 57 min, t2 20 to 76 min; after a
    pre-bolus of 2 mL t1 0.3 to 1.1 min, t2 6 to 11 min. The grid here is one minute.
    """
    profile = quiet(shipped(SYRINGE), stroke_rest_share=1.0, startup_slack_spread_ml=0.0)
    t1, t2 = start_up_min(profile, 0.0)
    assert 6.75 <= t1 <= 57.2
    assert 19.6 <= t2 <= 76.3
    t1, t2 = start_up_min(profile, 2.0)
    assert t1 <= 2.0
    assert 5.0 <= t2 <= 13.0
    assert start_up_min(quiet(shipped("ambulatory"), stroke_rest_share=1.0), 0.0)[1] <= 2.0


@pytest.mark.parametrize(("rate_ml_h", "minutes"), [(0.1, 300.0), (0.5, 50.0), (5.0, 5.0)])
def test_times_to_alarm_of_the_crono_manual(rate_ml_h: float, minutes: float) -> None:
    """Canè Crono Five, annex 2 (§3.2 [V]): about 5 h, 50 min, 5 min; a stiff line, within 20 %.

    The line holds 0.45 mL at the alarm, the mean of the three products of rate and time.
    """
    profile = replace(
        exact_profile(), compliance_ml_mmhg=0.45 / 490.0, occlusion_filter_s=2.0, bias_max=0.0
    )
    state = rest(profile)
    state.drive_ml_h[0] = rate_ml_h
    state.set_resistance(0, math.inf)
    seconds = 0
    while not step(state, 10.0)[0]:
        seconds += 10
    assert seconds / 60 == pytest.approx(minutes, rel=0.20)


def test_raising_the_pump_gives_the_lines_volume_and_lowering_it_takes_blood() -> None:
    """A change of head by Δh moves C·ρg·Δh, and no more than that."""
    profile = exact_profile()
    state = rest(profile)
    for _ in range(60):
        step(state, 1.0)
    volume = profile.compliance_ml_mmhg * 50 * MMHG_PER_CM
    state.set_outside(0, 50 * MMHG_PER_CM)
    for _ in range(600):
        step(state, 1.0)
    assert state.patient_ml[0] == pytest.approx(-volume)
    assert state.held_ml[0] == pytest.approx(volume)
    state.set_outside(0, 0.0)
    for _ in range(600):
        step(state, 1.0)
    assert state.patient_ml[0] == pytest.approx(0.0, abs=1e-12)
    assert pytest.approx(0.734, abs=0.001) == MMHG_PER_CM


def test_backing_off_takes_its_share_into_the_reservoir() -> None:
    state = rest(replace(exact_profile(), backoff_share=0.8))
    state.fill(0, 10.0)
    state.drive_ml_h[0] = 12.0
    state.set_resistance(0, math.inf)
    while not step(state, 1.0)[0]:
        pass
    held = float(state.held_ml[0])
    left = float(state.empty_at_ml[0])
    assert state.back_off(0) == pytest.approx(0.8 * held)
    assert state.held_ml[0] == pytest.approx(0.2 * held)
    assert state.empty_at_ml[0] - left == pytest.approx(0.8 * held)
    total = state.held_ml + state.patient_ml + state.lost_ml
    assert state.pumped_ml[0] == pytest.approx(total[0], abs=1e-12)


def test_limits_differ_between_pumps_within_the_makers_range() -> None:
    state = rest(shipped_profile(), 500)
    limits = [state.limit_mmhg(pump) / 51.715 for pump in range(500)]
    assert 12.0 <= min(limits) < 16.0
    assert 36.0 < max(limits) <= 40.0
    assert np.mean(limits) == pytest.approx(26.0, abs=0.5)

"""A property test of a mixed fleet: volumes balance with every fault on, and faults compose."""

import math

import numpy as np
import pytest

from benchmarks.mixture import KINDS, mixture, unbalanced
from infusion.messages import Telemetry
from simulator.profile import Profile, read_profile
from simulator.story.faults import FAULTS
from simulator.story.wire_faults import WIRE_FAULTS
from tests.simulator.bench import (
    CONFIG,
    START_MS,
    decoded,
    events,
    fleet,
    scenario,
    shipped_profile,
    telemetry,
    whole,
)

MODELS = ("ambulatory", "syringe", "large-volume")


def shipped(name: str) -> Profile:
    path = CONFIG / "pumps" / f"{name}.toml"
    return read_profile(path.read_bytes(), path.name)


PROFILES = {name: shipped(name) for name in MODELS}


def test_every_physical_fault_is_in_the_mixture() -> None:
    wire = {"silence", "offline"}
    assert {word for word, _ in KINDS} | wire | set(WIRE_FAULTS) == set(FAULTS)


def test_volumes_balance_at_every_step_with_every_fault_on() -> None:
    run = mixture(60, 4, step_s=10.0, interval_s=600.0)
    worst = 0.0
    lost = 0.0
    for now_ms in range(START_MS, START_MS + 4 * 3_600_000, 120_000):
        run.advance(now_ms)
        worst = max(worst, unbalanced(run))
    for pump in run.summary().values():
        lost += pump.lost_ml
        assert pump.pumped_ml >= 0.0
        assert all(
            math.isfinite(value) for value in (pump.pumped_ml, pump.patient_ml, pump.counted_ml)
        )
    assert worst < 1e-9
    assert lost > 1.0, "nothing leaked, so nothing was tested"


def test_grouping_of_advance_changes_nothing() -> None:
    whole_run, parts = (mixture(9, 2, step_s=10.0, interval_s=600.0) for _ in range(2))
    end = START_MS + 2 * 3_600_000
    outputs = whole_run.advance(end)
    pieces = []
    for now_ms in (*range(START_MS, end, 70_000), end):
        pieces += parts.advance(now_ms)
    assert outputs == pieces
    assert whole_run.summary() == parts.summary()


def fault(do: str, at: str, until: str, keys: str = "") -> str:
    return f'[[fault]]\nat = "{at}"\nuntil = "{until}"\npump = "P-01"\ndo = "{do}"\n{keys}\n'


def test_the_line_opens_when_the_last_of_two_occlusions_ends() -> None:
    story = (
        "pumps = 1\n" + fault("occlusion", "00:05", "00:30") + fault("occlusion", "00:06", "00:10")
    )
    run = fleet(scenario(story))
    run.advance(START_MS + 5 * 60_000)
    before = run.summary()["P-01"].patient_ml
    run.advance(START_MS + 29 * 60_000)
    assert run.summary()["P-01"].patient_ml == pytest.approx(before, abs=0.02)
    assert run.summary()["P-01"].held_ml > 0.2
    run.advance(START_MS + 32 * 60_000)
    assert run.summary()["P-01"].held_ml < 0.01


def test_a_growing_occlusion_alarms_late_and_an_intermittent_one_delivers_all_the_same() -> None:
    grows = fault("occlusion", "00:05", "00:50", 'grows_over = "00:30"')
    _, outputs = whole(scenario("pumps = 1\n" + grows))
    (first, *_) = [e for e in events(outputs) if e.alarm == "downstream-occlusion"]
    assert 30 <= (first.time_ms - START_MS) / 60_000 <= 37
    comes = fault("occlusion", "00:05", "00:50", "cycle_s = 20")
    run, outputs = whole(scenario("pumps = 1\n" + comes))
    assert [e for e in events(outputs) if e.alarm] == []
    pump = run.summary()["P-01"]
    assert pump.patient_ml == pytest.approx(pump.pumped_ml, abs=0.1)


def test_a_siphon_is_seen_by_a_flow_sensor_and_not_by_a_motor() -> None:
    for name, sees in (("ambulatory", True), ("syringe", False)):
        story = f'pumps = 1\n[[patient]]\npump = "P-01"\nprofile = "{name}"\n' + fault(
            "free-flow", "00:30", "00:33"
        )
        run = fleet(scenario(story), profiles=PROFILES)
        outputs = run.advance(START_MS + 30 * 60_000)
        before = run.summary()["P-01"]
        outputs += run.advance(START_MS + 33 * 60_000)
        pump = run.summary()["P-01"]
        extra = (pump.pumped_ml - before.pumped_ml) - (pump.counted_ml - before.counted_ml)
        alarms = {e.alarm for e in events(outputs) if e.alarm}
        assert ("free-flow" in alarms) is sees
        # 80 cm of water less the vein's 10 mmHg, through 1 and 2 mmHg·h/mL in series.
        ran = (80 * 0.734 - 10) / 3.0 / 20
        assert extra == pytest.approx(0.0 if sees else ran, abs=1e-9 if sees else 0.1)
        assert pump.pumped_ml - before.pumped_ml > 0.9 * ran


def test_device_time_drifts_and_steps_and_never_goes_back_by_rounding() -> None:
    story = "pumps = 1\n" + fault("clock-drift", "00:10", "00:40", "ppm = -40000")
    run, outputs = whole(scenario(story))
    times = [m.time_ms for m in decoded(outputs, "P-01") if isinstance(m, Telemetry)]
    assert times == sorted(times)
    assert times[-1] - run.now_ms == pytest.approx(-0.04 * 30 * 60_000, abs=10_001)
    story = 'pumps = 1\n[[fault]]\nat = "00:10"\npump = "P-01"\ndo = "clock-step"\nby_s = -3600\n'
    run, outputs = whole(scenario(story))
    times = [m.time_ms for m in telemetry(outputs)]
    assert min(np.diff(times)) == pytest.approx(-3_590_000, abs=1)


def test_air_alarms_by_one_bubble_or_by_many_small_ones() -> None:
    bubble = '[[fault]]\nat = "00:10"\npump = "P-01"\ndo = "air-bubble"\nvolume_ul = {}\n'
    for volume_ul, alarms in ((40, set()), (150, set()), (250, {"air-in-line"})):
        _, outputs = whole(scenario("pumps = 1\n" + bubble.format(volume_ul)))
        assert {e.alarm for e in events(outputs) if e.alarm} == alarms
        peak = max(m.air_ul for m in telemetry(outputs))
        assert peak == (0.0 if volume_ul < 50 else volume_ul)
    many = fault("air", "00:05", "00:59", "ul_per_ml = 400")
    patient = '[[patient]]\npump = "P-01"\ndose_iu_h = 1440\n'
    _, outputs = whole(scenario("pumps = 1\n" + patient + many), profile=shipped_profile())
    (first, *_) = [e for e in events(outputs) if e.alarm == "air-in-line"]
    # 14.4 mL/h with 400 µL/mL are 96 µL a minute: more than 1000 µL after 10.6 min (±7 %).
    assert (first.time_ms - START_MS) / 60_000 == pytest.approx(5 + 10.6, abs=1.0)


def test_a_stuck_gauge_lets_the_bag_run_dry_and_shows_as_missing_volume() -> None:
    story = 'pumps = 1\n[[patient]]\npump = "P-01"\nreservoir_ml = 8\ndose_iu_h = 1500\n' + fault(
        "stuck-sensor", "00:05", "00:59", 'sensor = "reservoir"'
    )
    run, outputs = whole(scenario(story))
    assert [e.alarm for e in events(outputs) if e.alarm and e.phase == "start"] == [
        "upstream-occlusion"
    ]
    assert run.summary()["P-01"].pumped_ml == 8.0


def on_scale(extra: str) -> str:
    """A pump whose bag hangs on a scale, at 12 mL/h from a bag of 40 mL."""
    return (
        'pumps = 1\nduration = "03:00"\n[[patient]]\npump = "P-01"\n'
        'profile = "large-volume-scale"\nreservoir_ml = 40\ndose_iu_h = 600\n' + extra
    )


def test_a_scale_sees_what_runs_past_the_rotor_and_a_reckoning_does_not() -> None:
    siphon = fault("siphon", "00:30", "02:50", "head_cm = 50")
    levels = {}
    for name in ("large-volume-scale", "large-volume", "syringe"):
        story = on_scale(siphon).replace("large-volume-scale", name)
        run = fleet(scenario(story))
        said = telemetry(run.advance(START_MS + 60 * 60_000))
        counted = said[-1].volume_ml - said[0].volume_ml
        levels[name] = said[0].reservoir_ml - said[-1].reservoir_ml - counted
        pumped = run.summary()["P-01"].pumped_ml
        assert pumped > counted + 1.0, name
        if name == "large-volume-scale":
            # In whole millilitres, the next one up.
            assert said[-1].reservoir_ml == math.ceil(40.0 - pumped)
            assert {each.reservoir_ml % 1.0 for each in said} == {0.0}
    assert levels["large-volume-scale"] > 5.0
    assert levels["large-volume"] == pytest.approx(0.0, abs=1e-5)
    assert levels["syringe"] == pytest.approx(0.0, abs=1e-5)


def test_a_scale_calls_low_and_empty_by_weight() -> None:
    quick = on_scale("").replace("dose_iu_h = 600", "dose_iu_h = 1200")
    run, outputs = whole(scenario(quick))
    begun = {
        e.alarm: (e.time_ms - START_MS) / 60_000
        for e in events(outputs)
        if e.alarm and e.phase == "start"
    }
    # Twice 20 mL at 24 mL/h, within the accuracy of the pump.
    assert list(begun) == ["reservoir-low", "reservoir-empty"]
    assert list(begun.values()) == [pytest.approx(50, rel=0.06), pytest.approx(100, rel=0.06)]
    assert run.summary()["P-01"].pumped_ml == 40.0


def test_a_leaking_bag_shows_on_a_scale_only() -> None:
    leak = '[[action]]\nat = "00:30"\npump = "P-01"\ndo = "set-reservoir"\nvolume_ml = 25\n'
    for name, unseen, level_ml in (
        ("large-volume-scale", "true", 25.0),
        ("large-volume", "true", 34.0),
        ("large-volume", "false", 25.0),
        ("syringe", "true", 39.4),
    ):
        story = on_scale(leak + f"unseen = {unseen}\n").replace("large-volume-scale", name)
        outputs = fleet(scenario(story)).advance(START_MS + 30 * 60_000 + 9_000)
        assert telemetry(outputs)[-1].reservoir_ml == pytest.approx(level_ml, abs=0.1), name


def test_heat_is_felt_late_and_a_worn_battery_lasts_less() -> None:
    run = fleet(scenario("pumps = 1\n" + fault("temperature", "00:05", "01:30", "ambient_c = 60")))
    run.advance(START_MS + 25 * 60_000)
    state = run._rig.state
    expected = 60 - (60 - 22) * math.exp(-1)
    assert state.ambient_c(0) == pytest.approx(expected, abs=0.1)
    unit = run._rig.units[0]
    assert not run._rig.readings(unit).is_overheated
    run.advance(START_MS + 60 * 60_000)
    assert run._rig.readings(unit).is_overheated
    minutes = []
    for capacity in (1.0, 0.5):
        story = (
            "pumps = 1\n"
            + fault("battery-ageing", "00:01", "00:50", f"capacity = {capacity}")
            + fault("battery", "00:02", "00:50", "level = 0.8")
        )
        run = fleet(scenario(story))
        run.advance(START_MS + 2 * 60_000)
        minutes.append(run._rig.readings(run._rig.units[0]).battery_left_min)
    assert minutes[0] == pytest.approx(2 * minutes[1])

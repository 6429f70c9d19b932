"""A test of scenarios in virtual time: the demo, changed bags, changed orders."""

from itertools import pairwise

import pytest

from infusion.prescription import Prescription
from infusion.units import nanolitres
from simulator.machine import Mode
from tests.simulator.bench import (
    START_MS,
    decoded,
    events,
    exact_profile,
    minutes,
    scenario,
    shipped_scenario,
    telemetry,
    whole,
)

# --- what the demo must show ---------------------------------------------------------------------


def test_the_demo_raises_the_device_alarms_that_it_promises() -> None:
    run, outputs = whole(shipped_scenario("demo"), profile=exact_profile())
    seen = {
        (event.pump, event.alarm, event.phase): (event.time_ms - START_MS) / 60_000
        for event in events(outputs)
        if event.alarm
    }
    assert set(seen) == {
        ("P-03", "downstream-occlusion", "start"),
        ("P-03", "downstream-occlusion", "end"),
        ("P-16", "reservoir-low", "start"),
        ("P-16", "reservoir-low", "end"),
        ("P-16", "reservoir-empty", "start"),
        ("P-16", "reservoir-empty", "end"),
    }
    assert seen["P-03", "downstream-occlusion", "start"] == pytest.approx(6.4, abs=0.5)
    assert seen["P-03", "downstream-occlusion", "end"] == 13.5
    assert seen["P-16", "reservoir-empty", "start"] == pytest.approx(36, abs=3)
    assert seen["P-16", "reservoir-empty", "end"] == 44
    rates = [message.rate_ml_h for message in telemetry(outputs, "P-07")]
    assert max(rates) == pytest.approx(10 * min(rates))
    silent = [message.time_ms for message in telemetry(outputs, "P-11")]
    gap = max(later - earlier for earlier, later in pairwise(silent))
    assert gap > 11.5 * 60_000
    assert run.refused == 0
    assert all(pump.state is Mode.RUNNING for pump in run.summary().values())


def test_an_occluded_pump_counts_on_until_its_alarm() -> None:
    run, outputs = whole(shipped_scenario("demo"), profile=exact_profile())
    before = [m for m in telemetry(outputs, "P-03") if m.time_ms <= minutes(6)][-1]
    assert before.pressure_mmhg > 300
    assert before.flow_ml_h == 12.0
    stop = next(event for event in events(outputs, "P-03") if event.event.endswith("DELIV_STOP"))
    assert stop.reason == "alarming"
    assert stop.volume_ml > before.volume_ml
    # After the release all that was held has reached the patient but for what a free line holds.
    pump = run.summary()["P-03"]
    assert pump.held_ml == pytest.approx(12.0 * 2.0 * 0.001, rel=1e-6)


def test_a_bag_change_counts_each_bag_with_what_it_holds() -> None:
    run, outputs = whole(shipped_scenario("bag-mix-up"), profile=exact_profile())
    told = events(outputs, "P-01")
    stops = [event for event in told if event.event.endswith("DELIV_STOP")]
    assert [event.concentration_iu_ml for event in stops] == [100.0, 50.0]
    assert all(event.delivery == "transitioning" for event in stops)
    pump = run.summary()["P-01"]
    parts = [nanolitres(event.segment_ml) * event.concentration_iu_ml for event in stops]
    told_nl = sum(nanolitres(event.segment_ml) for event in stops)
    parts.append((nanolitres(pump.pumped_ml) - told_nl) * 100.0)
    assert pump.delivered_iu == pytest.approx(sum(parts) / 1e6, abs=0.001)
    assert pump.delivered_iu < pump.prescribed_iu * 0.9


# --- orders --------------------------------------------------------------------------------------


def test_changed_orders_are_published_whole_and_followed_when_the_file_says() -> None:
    run, outputs = whole(shipped_scenario("order-change"), profile=exact_profile())
    versions = [
        (message.therapy, message.version, len(message.steps))
        for message in decoded(outputs)
        if isinstance(message, Prescription) and message.version > 1
    ]
    assert versions == [("T-01", 2, 2), ("T-02", 2, 2), ("T-03", 2, 2), ("T-04", 2, 2)]
    changed = {
        name: next(m.time_ms for m in telemetry(outputs, name) if m.order_version == 2)
        for name in ("P-01", "P-02", "P-03", "P-04")
    }
    assert changed == {
        "P-01": minutes(22),
        "P-02": minutes(65),
        "P-03": minutes(30),
        "P-04": minutes(60),
    }
    pumps = run.summary()
    assert pumps["P-03"].delivered_iu == pytest.approx(pumps["P-03"].prescribed_iu, rel=0.005)
    assert pumps["P-04"].state is Mode.STOPPED
    assert {order.topic for order in run.current_orders()} == {
        f"infusion/v1/home/T-0{number}/order" for number in range(1, 6)
    }


def test_a_hold_is_kept_and_ended() -> None:
    run, outputs = whole(shipped_scenario("hold"), profile=exact_profile())
    stands = [m.time_ms for m in telemetry(outputs, "P-01") if m.status == "not-infusing"]
    assert min(stands) == minutes(16)
    assert minutes(75) - 10_000 <= max(stands) <= minutes(75)
    assert not [m for m in telemetry(outputs, "P-02") if m.status == "not-infusing"]
    pump = run.summary()["P-01"]
    # One minute too much, from the order to the pause.
    assert pump.delivered_iu == pytest.approx(pump.prescribed_iu * 61 / 60, rel=0.01)


def test_the_end_of_a_hold_does_not_resume_what_was_stopped_meanwhile() -> None:
    story = scenario(
        """
        pumps = 1
        [[order]]
        at = "00:10"
        until = "00:30"
        pump = "P-01"
        do = "hold"
        [[order]]
        at = "00:20"
        pump = "P-01"
        do = "stop"
        [[order]]
        at = "00:50"
        pump = "P-01"
        do = "start"
        dose_iu_h = 900
        """
    )
    run, outputs = whole(story, profile=exact_profile())
    stands = [m.time_ms for m in telemetry(outputs) if m.status == "not-infusing"]
    assert min(stands) == minutes(10)
    assert minutes(50) - 10_000 <= max(stands) <= minutes(50)
    assert telemetry(outputs)[-1].rate_ml_h == 9.0
    assert telemetry(outputs)[-1].order_version == 4
    pump = run.summary()["P-01"]
    assert pump.delivered_iu == pytest.approx(pump.prescribed_iu, rel=0.005)


def test_doses_follow_a_changed_rate_during_a_hold() -> None:
    story = scenario(
        """
        pumps = 1
        [[order]]
        at = "00:10"
        until = "00:30"
        pump = "P-01"
        do = "hold"
        [[order]]
        at = "00:20"
        pump = "P-01"
        do = "rate"
        dose_iu_h = 500
        """
    )
    run, outputs = whole(story, profile=exact_profile())
    assert telemetry(outputs)[-1].rate_ml_h == 5.0
    pump = run.summary()["P-01"]
    assert pump.delivered_iu == pytest.approx(pump.prescribed_iu, rel=0.005)

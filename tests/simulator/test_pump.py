"""A unit test of one pump on exact physics: the IPEC sequences, as goldens.

Each row of the IPEC table (pump-standards §1.2) that this pump can do is one test. The flow has no
error here, so that volumes follow from rate × time.
"""

import pytest
from inline_snapshot import snapshot
from msgspec.structs import replace

from host.process import read_named
from infusion.messages import Event, Telemetry
from infusion.units import nanolitres
from simulator.machine import Happening, Mode
from simulator.profile import read_profile
from tests.simulator.bench import START_MS, OnePump, exact_profile, segments_nl


@pytest.fixture
def pump() -> OnePump:
    """A pump at 12 mL/h that has just started."""
    pump = OnePump(exact_profile())
    pump.does(Happening.BOOTED_GOING_ON)
    return pump


def test_start_then_pause(pump: OnePump) -> None:
    pump.runs(300)
    pump.does(Happening.PAUSE)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | not-delivering | by-clinician | rate 12 flow 0 | segment 1 total 1",
        ]
    )


def test_rate_change_while_running(pump: OnePump) -> None:
    pump.runs(300)
    pump.programs(rate_ml_h=6.0)
    pump.runs(600)
    pump.does(Happening.PAUSE)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 1 total 1",
            "DELIV_START | delivering | rate 6 flow 6 | segment 0 total 1",
            "DELIV_STOP | not-delivering | by-clinician | rate 6 flow 0 | segment 1 total 2",
        ]
    )


def test_vtbi_then_kvo_then_pause() -> None:
    pump = OnePump(exact_profile(), vtbi_ml=2.0005)
    pump.does(Happening.BOOTED_GOING_ON)
    pump.runs(660)
    pump.does(Happening.PAUSE)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_COMP | transitioning | rate 12 flow 12 | segment 2.0005 total 2.0005",
            "DELIV_START | kvo | rate 12 flow 1 | segment 0 total 2.0005",
            "VOL_TBI_COMP start | kvo | rate 12 flow 1 | segment 0 total 2.0005",
            "DELIV_STOP | not-delivering | by-clinician | rate 12 flow 0 | segment 0.016389 total 2.01689",
        ]
    )
    complete = next(message for message in pump.events if message.event.endswith("_DELIV_COMP"))
    assert complete.segment_ml == complete.volume_ml == 2.0005
    last = [message for message in pump.said if isinstance(message, Telemetry)][-1]
    assert (last.vtbi_ml, last.vtbi_remaining_ml) == (0.0, 0.0)


def test_vtbi_without_kvo_stops_with_an_alarm() -> None:
    pump = OnePump(replace(exact_profile(), kvo_ml_h=0.0), vtbi_ml=1.0)
    pump.does(Happening.BOOTED_GOING_ON)
    pump.runs(310)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "VOL_TBI_COMP start | delivering | rate 12 flow 12 | segment 1 total 1",
            "DELIV_COMP | not-delivering | alarming | rate 12 flow 0 | segment 1 total 1",
        ]
    )
    assert pump.pump.mode is Mode.ALARMING


def test_bolus_in_continuous(pump: OnePump) -> None:
    pump.runs(300)
    pump.gives(volume_ml=5.0, duration_s=600)
    pump.runs(900)
    pump.does(Happening.PAUSE)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 1 total 1",
            "DELIV_START | delivering | clinician | rate 42 flow 42 | segment 0 total 1",
            "DELIV_STOP | transitioning | clinician | rate 42 flow 42 | segment 7 total 8",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 8",
            "DELIV_STOP | not-delivering | by-clinician | rate 12 flow 0 | segment 1 total 9",
        ]
    )


def test_bolus_alone_while_paused(pump: OnePump) -> None:
    pump.runs(300)
    pump.does(Happening.PAUSE)
    pump.gives(volume_ml=5.0, duration_s=600)
    pump.runs(900)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | not-delivering | by-clinician | rate 12 flow 0 | segment 1 total 1",
            "DELIV_START | delivering | clinician | rate 30 flow 30 | segment 0 total 1",
            "DELIV_STOP | not-delivering | by-clinician | clinician | rate 30 flow 0 | segment 5 total 6",
        ]
    )
    assert pump.pump.mode is Mode.STOPPED


def test_stopped_by_an_alarm_and_restarted(pump: OnePump) -> None:
    pump.runs(60)
    pump.state.set_resistance(0, float("inf"))
    pump.runs(300)
    pump.state.set_resistance(0, 1.0)
    pump.does(Happening.START)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "FLUID_LINE_OCCL start | delivering | rate 12 flow 12 | segment 0.673333 total 0.673333",
            "DELIV_STOP | not-delivering | alarming | rate 12 flow 0 | segment 0.673333 total 0.673333",
            "FLUID_LINE_OCCL end | not-delivering | alarming | rate 12 flow 0 | segment 0 total 0.673333",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0.673333",
        ]
    )
    assert pump.pump.alarms == ()


def test_restart_while_still_occluded_alarms_again(pump: OnePump) -> None:
    pump.state.set_resistance(0, float("inf"))
    pump.runs(300)
    pump.does(Happening.START)
    pump.runs(1)
    assert pump.pump.mode is Mode.ALARMING
    assert pump.pump.alarms == ("downstream-occlusion",)
    assert len([event for event in pump.events if event.phase == "start"]) == 2


def test_bag_change_with_another_concentration(pump: OnePump) -> None:
    pump.runs(300)
    pump.does(
        Happening.CHANGE_BAG,
        settings=replace(pump.pump.settings, concentration_iu_ml=50.0),
    )
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 1 total 1",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 1",
            "DRIPWATCH_EVT_NEW_BAG | delivering | rate 12 flow 12 | segment 0 total 1",
        ]
    )
    stop, start, bag = pump.events[-3:]
    assert bag.detail == "249 mL"
    assert (stop.concentration_iu_ml, start.concentration_iu_ml) == (100.0, 50.0)


def test_reservoir_runs_empty() -> None:
    pump = OnePump(exact_profile(), bag_ml=6.0)
    pump.does(Happening.BOOTED_GOING_ON)
    pump.runs(1801)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "SUPPLY_LO start | delivering | rate 12 flow 12 | segment 1.00333 total 1.00333",
            "SUPPLY_LO end | delivering | rate 12 flow 12 | segment 6 total 6",
            "EMPTY start | delivering | rate 12 flow 12 | segment 6 total 6",
            "DELIV_STOP | not-delivering | alarming | rate 12 flow 0 | segment 6 total 6",
        ]
    )
    assert pump.readings.reservoir_ml == 0.0


def test_clearing_the_counters_ends_a_segment_first(pump: OnePump) -> None:
    pump.runs(300)
    pump.does(Happening.CLEAR_COUNTERS)
    pump.runs(300)
    pump.does(Happening.PAUSE)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 1 total 1",
            "VOL_COUNTERS_CLEARED | transitioning | rate 12 flow 12 | segment 0 total 0",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | not-delivering | by-clinician | rate 12 flow 0 | segment 1 total 1",
        ]
    )


def test_reboot_begins_a_new_epoch(pump: OnePump) -> None:
    pump.runs(300)
    pump.does(Happening.REBOOT)
    pump.does(Happening.BOOTED_GOING_ON)
    start = pump.events[-1]
    assert (start.boot, start.seq, start.volume_ml) == (2, 0, 0.0)
    assert pump.told() == snapshot(
        [
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | not-delivering | not-specified | rate 12 flow 0 | segment 1 total 1",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
        ]
    )


def test_every_change_is_followed_by_one_telemetry(pump: OnePump) -> None:
    pump.programs(rate_ml_h=6.0)
    pump.does(Happening.PAUSE)
    pump.programs(rate_ml_h=7.0)
    kinds = "".join("T" if isinstance(message, Telemetry) else "e" for message in pump.said)
    assert kinds == "eT" + "eeT" + "eT" + "T"
    assert [message.seq for message in pump.said] == list(range(len(pump.said)))


def test_a_key_without_a_use_changes_nothing(pump: OnePump) -> None:
    said = len(pump.said)
    pump.does(Happening.START)
    assert len(pump.said) == said
    assert pump.pump.mode is Mode.RUNNING


def test_kvo_never_exceeds_the_programmed_rate() -> None:
    pump = OnePump(exact_profile(), rate_ml_h=0.4, vtbi_ml=0.01)
    pump.does(Happening.BOOTED_GOING_ON)
    pump.runs(120)
    assert pump.pump.mode is Mode.KVO
    assert pump.pump.drive_ml_h == 0.4


def test_programming_leaves_kvo_and_clears_its_alarm() -> None:
    pump = OnePump(exact_profile(), vtbi_ml=1.0)
    pump.does(Happening.BOOTED_GOING_ON)
    pump.runs(310)
    assert list(pump.pump.alarms) == ["infusion-complete"]
    pump.programs(vtbi_ml=3.0, restarts_vtbi=True)
    assert pump.is_in(Mode.RUNNING)
    assert list(pump.pump.alarms) == []
    pump.runs(900)
    assert pump.is_in(Mode.KVO)
    completes = [event for event in pump.events if event.event.endswith("_DELIV_COMP")]
    assert [event.segment_ml for event in completes] == [1.0, 3.0]
    assert segments_nl(pump.said) == nanolitres(completes[-1].volume_ml)


def test_a_frozen_counter_goes_on_from_where_it_stood(pump: OnePump) -> None:
    pump.runs(300)
    pump.pump.freeze_counter(pump.readings)
    pump.runs(300)
    assert pump.pump.counter_nl(pump.readings) == 1_000_000
    pump.pump.thaw_counter(pump.readings)
    pump.runs(300)
    assert pump.pump.counter_nl(pump.readings) == pytest.approx(2_000_000, abs=1)


def test_status_and_flow_agree_in_every_message(pump: OnePump) -> None:
    """IPEC: when infusing, flow is above zero, and when not, it is zero."""
    pump.runs(60)
    pump.gives(1.0, 60)
    pump.runs(90)
    pump.programs(rate_ml_h=5.0)
    pump.does(Happening.CLEAR_COUNTERS)
    pump.does(Happening.PAUSE)
    pump.does(Happening.START)
    pump.does(Happening.POWER_OFF)
    for message in pump.said:
        assert (message.status == "infusing") == (message.flow_ml_h > 0)
        assert (message.reason is None) == (message.status == "infusing")
    assert {message.delivery for message in pump.said if isinstance(message, Event)} == {
        "delivering",
        "not-delivering",
        "transitioning",
    }


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("ambulatory", (0.06, 1345.0, "counted")),
        ("syringe", (0.02, 500.0, "counted")),
        ("syringe-10", (0.02, 500.0, "counted")),
        ("large-volume", (0.05, 500.0, "none")),
        ("large-volume-scale", (0.05, 500.0, "measured")),
    ],
)
def test_presence_says_what_the_data_sheet_says(model: str, told: tuple[float, float, str]) -> None:
    pump = OnePump(read_profile(*read_named(model, "pumps"))).pump
    said = pump.presence(START_MS, is_online=True)
    assert (said.accuracy, said.occlusion_limit_mmhg, said.reservoir_gauge) == told

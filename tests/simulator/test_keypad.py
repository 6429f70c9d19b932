"""A unit test of what people do at one pump: library, lock, double check, standby, programs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from msgspec.structs import replace

from infusion.library import DrugEntry, Limits
from infusion.messages import Event, Panel, Telemetry
from infusion.units import nanolitres
from simulator import keypad
from simulator.machine import Happening, Mode
from simulator.operation import handle
from simulator.programming import Behaviour, Bolus, Program, Step
from simulator.pump import Happened
from simulator.senses import sense
from tests.simulator.bench import OnePump, exact_profile, segments_nl

LIBRARY = DrugEntry(
    concentrations_iu_ml=(50.0, 100.0),
    dose_iu_kg_h=Limits(hard_min=1, soft_min=4, soft_max=25, hard_max=35),
    bolus_iu=Limits(hard_max=1000),
    bolus_interval_min=60,
)


class Keys(OnePump):
    """One pump, and fingers on its keypad."""

    # Calls, so that no checker remembers the answer.
    def alarms(self) -> tuple[str, ...]:
        return self.pump.alarms

    def sounds(self) -> str | None:
        return self.pump.sounds

    def pending(self) -> Happened | None:
        return self.pump.pending

    def telemetry(self) -> Telemetry:
        return self.pump.telemetry(self.readings, self.now_ms)

    def is_outside(self) -> bool:
        return self.pump.is_outside_library

    def press(self, what: Happening, **details: object) -> list[str]:
        before = len(self.events)
        happened = Happened(what, **details)  # type: ignore[arg-type]
        self.said += keypad.press(self.pump, happened, self.readings, self.now_ms)
        self._sync()
        return [event.event for event in self.events[before:]]

    def rate(self, rate_ml_h: float, **answers: object) -> list[str]:
        settings = replace(self.pump.settings, rate_ml_h=rate_ml_h)
        return self.press(Happening.PROGRAM, settings=settings, **answers)

    def uses(self, key: object, *details: object, **more: object) -> list[str]:
        before = len(self.events)
        self.said += key(self.pump, *details, self.readings, self.now_ms, **more)  # type: ignore[operator]
        self._sync()
        return [event.event for event in self.events[before:]]


@pytest.fixture
def pump() -> Keys:
    """A pump at 12 mL/h (15 IU/kg/h) that has just started, with a library."""
    pump = Keys(exact_profile())
    pump.pump.library = LIBRARY
    pump.does(Happening.BOOTED_GOING_ON)
    return pump


CHANGE = ["MDC_EVT_PUMP_DELIV_STOP", "MDC_EVT_PUMP_DELIV_START"]


def test_soft_limit_asks_and_hard_limit_refuses(pump: Keys) -> None:
    assert pump.rate(24.0) == ["DRIPWATCH_EVT_SOFT_LIMIT"]
    assert pump.pump.settings.rate_ml_h == 12.0
    assert pump.rate(24.0, override=True, user="nurse-1") == ["DRIPWATCH_EVT_OVERRIDE", *CHANGE]
    assert [event.user for event in pump.events[-3:]] == ["nurse-1"] * 3
    assert pump.events[-3].detail == "dose rate 30 IU/kg/h is above the soft limit 25"
    assert pump.rate(120.0, override=True) == ["DRIPWATCH_EVT_HARD_LIMIT"]
    assert pump.pump.settings.rate_ml_h == 24.0
    assert pump.rate(120.0, bypass=True) == ["DRIPWATCH_EVT_BYPASS", *CHANGE]
    assert pump.is_outside()
    assert pump.rate(12.0) == CHANGE
    assert not pump.is_outside()


def test_the_library_watches_boluses_and_concentrations(pump: Keys) -> None:
    assert pump.press(Happening.BOLUS, bolus=Bolus(10.001, 600)) == ["DRIPWATCH_EVT_HARD_LIMIT"]
    assert pump.press(Happening.BOLUS, bolus=Bolus(10, 600)) == CHANGE
    pump.runs(601)
    assert pump.press(Happening.BOLUS, bolus=Bolus(1, 60)) == ["DRIPWATCH_EVT_HARD_LIMIT"]
    wrong = replace(pump.pump.settings, concentration_iu_ml=99.0)
    assert pump.press(Happening.CHANGE_BAG, settings=wrong) == ["DRIPWATCH_EVT_HARD_LIMIT"]


def test_a_double_check_needs_two_people(pump: Keys) -> None:
    pump.pump.behaviour = Behaviour(double_check=True)
    assert pump.rate(10.0) == ["DRIPWATCH_EVT_CHECK_NEEDED"]
    assert pump.uses(keypad.double_check, "a", "a") == ["DRIPWATCH_EVT_DOUBLE_CHECK_REJECTED"]
    assert pump.pump.settings.rate_ml_h == 12.0
    assert pump.uses(keypad.double_check, "a", "b") == ["DRIPWATCH_EVT_DOUBLE_CHECK", *CHANGE]
    assert pump.pump.settings.rate_ml_h == 10.0


def test_programming_left_alone_calls_and_is_cleared(pump: Keys) -> None:
    pump.pump.behaviour = Behaviour(double_check=True)
    pump.rate(10.0)
    pump.runs(299)
    assert pump.alarms() == ()
    pump.runs(1)
    assert pump.sounds() == "callback"
    pump.runs(299)
    assert pump.pending() is not None
    pump.runs(1)
    assert pump.pending() is None
    assert pump.alarms() == ("programming-cleared",)
    assert "MDC_EVT_PUMP_PROG_CLEARED" in {event.event for event in pump.events}
    assert pump.pump.settings.rate_ml_h == 12.0


def test_a_locked_pump_refuses_and_counts(pump: Keys) -> None:
    pump.uses(keypad.lock)
    assert pump.press(Happening.PAUSE) == ["DRIPWATCH_EVT_KEY_REFUSED"]
    assert pump.press(Happening.PAUSE) == ["DRIPWATCH_EVT_KEY_REFUSED"]
    assert pump.events[-1].detail == "pause; 2 refused since it was locked"
    assert pump.uses(keypad.unlock, "1") == ["DRIPWATCH_EVT_WRONG_CODE"]
    assert pump.is_in(Mode.RUNNING)
    assert pump.uses(keypad.unlock, "0000") == ["DRIPWATCH_EVT_UNLOCKED"]
    assert pump.press(Happening.PAUSE) == ["MDC_EVT_PUMP_DELIV_STOP"]


def test_silence_lasts_two_minutes_and_a_new_alarm_sounds(pump: Keys) -> None:
    assert pump.uses(keypad.silence) == []
    pump.does(Happening.WARNING, alarm="callback")
    pump.uses(keypad.silence)
    assert pump.sounds() is None
    pump.runs(119)
    assert pump.sounds() is None
    pump.runs(1)
    assert pump.sounds() == "callback"
    pump.uses(keypad.silence)
    assert pump.uses(keypad.silence) == ["DRIPWATCH_EVT_AUDIO_RESUMED"]
    pump.uses(keypad.silence)
    pump.does(Happening.ALARM, alarm="air-in-line")
    assert pump.sounds() == "air-in-line"
    assert pump.alarms() == ("callback", "air-in-line")
    told = pump.said[-1]
    assert isinstance(told, Telemetry)
    assert told.panel == Panel(sounds="air-in-line")


def test_the_panel_is_told_only_where_it_shows_something(pump: Keys) -> None:
    pump.runs(10)
    assert pump.telemetry().panel is None
    pump.uses(keypad.lock)
    assert pump.telemetry().panel == Panel(locked=True)


def test_standby_expires_and_calls(pump: Keys) -> None:
    until_ms = pump.now_ms + 60_000
    event = "MDC_EVT_STAT_STANDBY_MODE"
    pump.press(Happening.STANDBY, until_ms=until_ms, event=event)
    assert pump.pump.reason == "standby"
    assert pump.pump.wake_at_ms == until_ms
    pump.runs(59)
    assert pump.alarms() == ()
    pump.runs(1)
    assert pump.alarms() == ("standby-expired",)
    assert sense(pump.pump, pump.readings, pump.now_ms) == []
    pump.press(Happening.START)
    assert pump.alarms() == ()
    assert pump.is_in(Mode.RUNNING)


def test_the_door(pump: Keys) -> None:
    pump.uses(keypad.move_door, is_open=True)
    assert pump.is_in(Mode.ALARMING)
    assert pump.alarms() == ("door-open",)
    pump.press(Happening.START)
    assert pump.is_in(Mode.ALARMING)
    pump.uses(keypad.move_door, is_open=False)
    pump.press(Happening.START)
    assert pump.is_in(Mode.RUNNING)


def test_loading_dose_then_continuous(pump: Keys) -> None:
    pump.press(Happening.PAUSE)
    pump.press(Happening.LOADING_DOSE, bolus=Bolus(5.0, 600))
    pump.runs(900)
    pump.press(Happening.PAUSE)
    assert pump.told()[2:] == snapshot(
        [
            "DELIV_START | delivering | loading | rate 30 flow 30 | segment 0 total 0",
            "DELIV_STOP | transitioning | loading | rate 30 flow 30 | segment 5 total 5",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 5",
            "DELIV_STOP | not-delivering | by-clinician | rate 12 flow 0 | segment 1 total 6",
        ]
    )


def test_multi_step(pump: Keys) -> None:
    pump.press(Happening.PROGRAM, program=Program("multi-step", (Step(6.0, 600), Step(20.0, 180))))
    pump.runs(800)
    assert pump.told()[1:] == snapshot(
        [
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 0 total 0",
            "DELIV_START | delivering | rate 6 flow 6 | segment 0 total 0",
            "DELIV_STOP | transitioning | rate 6 flow 6 | segment 1 total 1",
            "DELIV_START | delivering | rate 20 flow 20 | segment 0 total 1",
            "DELIV_COMP | transitioning | rate 20 flow 20 | segment 1 total 2",
            "DELIV_START | kvo | rate 20 flow 1 | segment 0 total 2",
            "VOL_TBI_COMP start | kvo | rate 20 flow 1 | segment 0 total 2",
        ]
    )
    assert {event.mode for event in pump.events[2:4]} == {"multi-step"}
    assert pump.is_in(Mode.KVO)


def test_ramp_and_taper_change_rates_like_a_hand(pump: Keys) -> None:
    """Each step up and down is a rate change: STOP transitioning with the old rate, then START."""
    rates = (4.0, 8.0, 12.0, 8.0, 4.0)
    program = Program("ramp-taper", tuple(Step(rate, 300) for rate in rates))
    pump.press(Happening.PROGRAM, program=program)
    pump.runs(1600)
    assert pump.told()[1:] == snapshot(
        [
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 0 total 0",
            "DELIV_START | delivering | rate 4 flow 4 | segment 0 total 0",
            "DELIV_STOP | transitioning | rate 4 flow 4 | segment 0.333333 total 0.333333",
            "DELIV_START | delivering | rate 8 flow 8 | segment 0 total 0.333333",
            "DELIV_STOP | transitioning | rate 8 flow 8 | segment 0.666667 total 1",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 1",
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 1 total 2",
            "DELIV_START | delivering | rate 8 flow 8 | segment 0 total 2",
            "DELIV_STOP | transitioning | rate 8 flow 8 | segment 0.666667 total 2.66667",
            "DELIV_START | delivering | rate 4 flow 4 | segment 0 total 2.66667",
            "DELIV_COMP | transitioning | rate 4 flow 4 | segment 0.333333 total 3",
            "DELIV_START | kvo | rate 4 flow 1 | segment 0 total 3",
            "VOL_TBI_COMP start | kvo | rate 4 flow 1 | segment 0 total 3",
        ]
    )
    assert {event.mode for event in pump.events[2:11]} == {"ramp-taper"}


def test_another_vtbi_ends_a_segment_and_begins_one(pump: Keys) -> None:
    """IPEC: a change of the volume to be infused while running is STOP and START."""
    pump.runs(300)
    new = replace(pump.pump.settings, vtbi_ml=3.0)
    pump.press(Happening.PROGRAM, settings=new, restarts_vtbi=True)
    pump.runs(1000)
    assert pump.told()[1:] == snapshot(
        [
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 1 total 1",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 1",
            "DELIV_COMP | transitioning | rate 12 flow 12 | segment 3 total 4",
            "DELIV_START | kvo | rate 12 flow 1 | segment 0 total 4",
            "VOL_TBI_COMP start | kvo | rate 12 flow 1 | segment 0 total 4",
        ]
    )


def test_multi_dosing_stands_between_doses(pump: Keys) -> None:
    doses = (Step(12.0, 300, gap_s=600), Step(12.0, 300))
    pump.press(Happening.PROGRAM, program=Program("multi-dosing", doses))
    pump.runs(1300)
    assert pump.told()[1:] == snapshot(
        [
            "DELIV_STOP | transitioning | rate 12 flow 12 | segment 0 total 0",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0",
            "DELIV_STOP | not-delivering | between-doses | rate 12 flow 0 | segment 1 total 1",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 1",
            "DELIV_COMP | transitioning | rate 12 flow 12 | segment 1 total 2",
            "DELIV_START | kvo | rate 12 flow 1 | segment 0 total 2",
            "VOL_TBI_COMP start | kvo | rate 12 flow 1 | segment 0 total 2",
        ]
    )


def test_transient_occlusion_restarts_until_it_has_used_its_restarts(pump: Keys) -> None:
    pump.pump.behaviour = Behaviour(restarts_max=1)
    pump.state.set_resistance(0, float("inf"))
    while not pump.is_in(Mode.CHECKING):
        pump.runs(1)
    pump.state.set_resistance(0, 1.0)
    pump.runs(14)
    assert pump.is_in(Mode.CHECKING)
    pump.runs(1)
    assert pump.is_in(Mode.RUNNING)
    assert pump.told()[1:] == snapshot(
        [
            "DELIV_STOP | not-delivering | alarming | rate 12 flow 0 | segment 0.496667 total 0.496667",
            "DRIPWATCH_EVT_CHECKING_LINE | not-delivering | alarming | rate 12 flow 0 | segment 0 total 0.496667",
            "DELIV_START | delivering | rate 12 flow 12 | segment 0 total 0.496667",
        ]
    )
    pump.state.set_resistance(0, float("inf"))
    pump.runs(300)
    assert pump.is_in(Mode.ALARMING)


def test_an_occlusion_that_stays_alarms_after_the_check(pump: Keys) -> None:
    pump.pump.behaviour = Behaviour(restarts_max=9)
    pump.state.set_resistance(0, float("inf"))
    pump.runs(300)
    assert pump.alarms() == ("downstream-occlusion",)
    assert pump.pump.restarts_ms == ()


def test_near_end_of_the_infusion() -> None:
    pump = Keys(exact_profile(), vtbi_ml=2.0)
    pump.pump.behaviour = Behaviour(near_end_min=4)
    pump.does(Happening.BOOTED_GOING_ON)
    pump.runs(359)
    assert pump.alarms() == ()
    pump.runs(2)
    assert pump.alarms() == ("near-end",)
    pump.runs(300)
    assert pump.alarms() == ("infusion-complete",)


def test_a_failed_self_test_can_only_be_switched_off() -> None:
    pump = Keys(exact_profile())
    pump.does(Happening.SELF_TEST_FAILED, alarm="system-malfunction")
    assert pump.is_in(Mode.FAILED)
    assert pump.press(Happening.START) == []
    assert pump.events[-1].reason == "alarming"
    pump.does(Happening.POWER_OFF)
    assert pump.is_in(Mode.OFF)


KEYS = (
    Happening.START,
    Happening.PAUSE,
    Happening.CLEAR_COUNTERS,
    Happening.CHANGE_BAG,
    Happening.REBOOT,
    Happening.POWER_OFF,
)
FLAGS = ("is_occluded", "is_starved", "has_air", "is_low", "is_overheated", "runs_free")
DEEDS = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(FLAGS),
    st.sampled_from(["bolus", "loading", "standby", "lock", "unlock", "silence", "check", "boot"]),
    st.sampled_from(["open", "close", "steps", "malfunction"]),
    st.tuples(st.sampled_from([0.0, 5.0, 12.0, 24.0, 90.0]), st.booleans(), st.booleans()),
    st.integers(1, 250),
)


def do(pump: Keys, deed: object) -> None:  # noqa: C901, PLR0912 - one line for each kind
    """One deed of the property test."""
    match deed:
        case Happening():
            pump.press(deed)
        case (float(rate), override, bypass):
            pump.rate(rate, override=override, bypass=bypass)
        case int():
            pump.runs(deed)
        case "bolus":
            pump.press(Happening.BOLUS, bolus=Bolus(1.0, 60), bypass=True)
        case "loading":
            pump.press(Happening.LOADING_DOSE, bolus=Bolus(1.0, 60), bypass=True)
        case "standby":
            event = "MDC_EVT_STAT_STANDBY_MODE"
            until_ms = pump.now_ms + 60_000
            pump.press(Happening.STANDBY, until_ms=until_ms, event=event)
        case "steps":
            doses = (Step(12.0, 60, gap_s=60), Step(6.0, 60), Step(12.0, 60))
            pump.press(Happening.PROGRAM, program=Program("multi-dosing", doses))
        case "lock":
            pump.uses(keypad.lock)
        case "unlock":
            pump.uses(keypad.unlock, "0000")
        case "silence":
            pump.uses(keypad.silence)
        case "check":
            pump.uses(keypad.double_check, "a", "b")
        case "open" | "close":
            pump.uses(keypad.move_door, is_open=deed == "open")
        case "malfunction":
            pump.does(Happening.MALFUNCTION, alarm="system-malfunction")
        case "boot":
            pump.does(Happening.POWER_ON)
            pump.does(Happening.BOOTED)
        case str():
            seen = replace(pump.readings, **{deed: True})
            pump.said += sense(pump.pump, seen, pump.now_ms)
            pump._sync()


def check_invariants(pump: Keys) -> None:
    """What holds of everything a pump has said, whatever was done to it."""
    is_open, total_nl, seq, boot, alarms = False, 0, -1, 0, set[str]()
    for message in pump.said:
        if message.boot != boot:
            boot, seq, total_nl, alarms = message.boot, -1, 0, set()
        seq += 1
        assert message.seq == seq
        assert (message.reason is None) == (message.status == "infusing")
        assert (message.status == "infusing") == (message.flow_ml_h > 0)
        if isinstance(message, Telemetry):
            assert set(message.alarms) == alarms
            continue
        assert isinstance(message, Event)
        volume_nl = nanolitres(message.volume_ml)
        if message.event.endswith("_COUNTERS_CLEARED"):
            total_nl = 0
        elif message.event.endswith("_DELIV_START"):
            assert not is_open
            assert message.segment_ml == 0
            is_open = True
        elif message.event.endswith(("_DELIV_STOP", "_DELIV_COMP")):
            assert is_open
            is_open = False
            total_nl += nanolitres(message.segment_ml)
        if not is_open:
            assert volume_nl == total_nl
        assert volume_nl >= total_nl
        if message.phase == "start":
            assert message.alarm not in alarms
            alarms.add(message.alarm or "")
        elif message.phase == "end":
            alarms.remove(message.alarm or "")


@settings(max_examples=50, deadline=None)
@given(st.lists(DEEDS, max_size=14), st.booleans())
def test_whatever_people_do_the_account_is_right(deeds: list[object], is_checked: bool) -> None:
    pump = Keys(exact_profile(), vtbi_ml=3.0)
    pump.pump.library = LIBRARY
    pump.pump.behaviour = Behaviour(double_check=is_checked, restarts_max=1, near_end_min=2)
    pump.does(Happening.BOOTED_GOING_ON)
    for deed in deeds:
        do(pump, deed)
    check_invariants(pump)
    assert segments_nl(pump.said) <= nanolitres(pump.readings.counted_ml)


def test_a_bolus_key_has_no_use_during_a_program(pump: Keys) -> None:
    steps = (Step(6.0, 600), Step(20.0, 180))
    pump.press(Happening.PROGRAM, program=Program("multi-step", steps))
    assert pump.press(Happening.BOLUS, bolus=Bolus(1.0, 60)) == []
    assert handle(pump.pump, Happened(Happening.BOOTED), pump.readings, pump.now_ms) == []

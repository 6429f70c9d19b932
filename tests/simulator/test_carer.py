"""A test of who answers alarms: when they come, what they do, and that causes end once."""

from statistics import mean

import pytest
from msgspec.structs import replace

from infusion.alarms import DEVICE_ALARMS
from simulator.carer import REMEDIES, Attendance, Carer
from simulator.machine import Mode
from simulator.story.faults import Occlusion
from simulator.story.plan import Begin, Clear, End
from simulator.story.reading import Offset
from simulator.story.scenario import Scenario
from tests.simulator.bench import START_MS, decoded, events, fleet, minutes, scenario, whole
from tests.simulator.wards import shipped_ward

NOON_MS = 5 * 3_600_000
NIGHT_MS = 18 * 3_600_000
BLOCKED = """
pumps = 2
duration = "03:00"
[[fault]]
at = "00:04"
pump = "P-01"
do = "occlusion"
"""


def attended(text: str, **care: float) -> Scenario:
    ward = shipped_ward("home")
    return replace(scenario(text), ward=replace(ward, care=replace(ward.care, **care)))


def carer(**care: float) -> Carer:
    ward = shipped_ward("hospital")
    return Carer(replace(ward, care=replace(ward.care, **care)), seed=1)


def response_s(who: Carer, pump: int, at_ms: int, before_ms: tuple[int, ...] = ()) -> float:
    steps = who.answer(pump, "downstream-occlusion", at_ms, rate_ml_h=10, before_ms=before_ms)
    return (steps[-1][0] - at_ms) / 1000


def test_the_same_alarm_has_the_same_answer() -> None:
    who = carer()
    one = who.answer(3, "downstream-occlusion", NOON_MS, rate_ml_h=10)
    who.answer(4, "reservoir-low", NOON_MS, rate_ml_h=10)
    assert one == carer().answer(3, "downstream-occlusion", NOON_MS, rate_ml_h=10)
    assert one != who.answer(4, "downstream-occlusion", NOON_MS, rate_ml_h=10)
    assert [when for when, _ in one] == sorted(when for when, _ in one)
    assert one[0][0] > NOON_MS


def test_people_are_slower_at_night_and_after_many_alarms() -> None:
    who = carer(silence_first=0, wrong_first=0)
    day = [response_s(who, pump, NOON_MS) for pump in range(3000)]
    night = [response_s(who, pump, NIGHT_MS) for pump in range(3000)]
    assert sum(seconds <= 68 for seconds in day) > sum(seconds <= 68 for seconds in night) + 150
    assert mean(night) > mean(day)
    before = (NOON_MS - 3_000_000, NOON_MS - 2_000_000)
    assert response_s(who, 1, NOON_MS, before) > response_s(who, 1, NOON_MS)
    long_ago = (NOON_MS - 8_000_000,)
    assert response_s(who, 1, NOON_MS, long_ago) == response_s(who, 1, NOON_MS)


def test_responses_have_the_published_shape() -> None:
    """60 % up to 1 min 8 s, over the hours of a day as they are busy."""
    who = carer(silence_first=0, wrong_first=0, night_factor=1, load_factor=0)
    found = [response_s(who, pump, NOON_MS) for pump in range(4000)]
    assert sum(seconds <= 68 for seconds in found) / 4000 == pytest.approx(0.6, abs=0.02)
    assert mean(found) == pytest.approx(158, rel=0.2)


def test_silencing_first_costs_its_time_and_a_wrong_restart_leaves_the_cause() -> None:
    usual, silenced = carer(silence_first=0), carer(silence_first=1, silence_s=100)
    later = response_s(silenced, 1, NOON_MS) - response_s(usual, 1, NOON_MS)
    assert later == pytest.approx(100, rel=0.3)
    for share, kinds in ((0, [Clear, Begin]), (1, [Begin])):
        steps = carer(wrong_first=share).answer(1, "downstream-occlusion", NOON_MS, rate_ml_h=10)
        assert [type(step) for _, step in steps] == kinds


def test_what_has_no_remedy_is_left_alone() -> None:
    assert carer().answer(1, "system-malfunction", NOON_MS, rate_ml_h=10) == ()
    assert {
        "system-malfunction",
        "free-flow",
        "door-open",
    } == DEVICE_ALARMS.keys() - REMEDIES.keys()


def test_a_carer_ends_a_fault_that_has_no_end() -> None:
    """Without a carer the pump alarms until the end; with one it runs again."""
    alone, _ = whole(scenario(BLOCKED))
    assert alone.summary()["P-01"].state is Mode.ALARMING
    run, outputs = whole(attended(BLOCKED))
    assert run.summary()["P-01"].state is Mode.RUNNING
    told = [event.phase for event in events(outputs, "P-01") if event.alarm]
    assert told == ["start", "end"]
    assert run.refused == 0


def test_a_wrong_restart_alarms_again() -> None:
    run, outputs = whole(attended(BLOCKED, wrong_first=1))
    told = [e.phase for e in events(outputs, "P-01") if e.alarm == "downstream-occlusion"]
    assert told.count("start") > 2
    assert run.refused == 0


def test_a_carer_that_has_nothing_to_answer_changes_nothing() -> None:
    quiet = "pumps = 2\nduration = '00:10'\n"
    assert decoded(whole(attended(quiet))[1]) == decoded(whole(scenario(quiet))[1])


def test_an_alarm_that_is_over_needs_nobody() -> None:
    """Somebody else restarts at once; the carer then finds nothing to do."""
    text = """
        duration = "01:00"
        pumps = 1
        [[patient]]
        pump = "P-01"
        vtbi_ml = 1
        [[action]]
        at = "00:20"
        pump = "P-01"
        do = "start"
    """
    response = replace(shipped_ward("home").care.response, median_s=2000, sigma=0)
    ward = shipped_ward("home")
    story = replace(scenario(text), ward=replace(ward, care=replace(ward.care, response=response)))
    run, outputs = whole(story)
    assert [event.phase for event in events(outputs) if event.alarm] == ["start", "end"]
    assert run.summary()["P-01"].rate_ml_h > 1
    assert all(event.time_ms <= minutes(20) for event in events(outputs))


def test_a_carer_sets_a_new_volume_limit_and_hangs_a_new_bag() -> None:
    text = """
        duration = "02:00"
        pumps = 2
        [[patient]]
        pump = "P-01"
        vtbi_ml = 1
        [[patient]]
        pump = "P-02"
        reservoir_ml = 6
    """
    run, outputs = whole(attended(text))
    assert {event.alarm for event in events(outputs, "P-01") if event.alarm} == {
        "infusion-complete"
    }
    assert {event.alarm for event in events(outputs, "P-02") if event.alarm} >= {"reservoir-low"}
    assert all(pump.state is Mode.RUNNING for pump in run.summary().values())
    assert all(pump.alarms == () for pump in run.summary().values())


def test_a_pump_whose_battery_went_flat_is_plugged_in_and_started() -> None:
    text = """
        duration = "04:00"
        pumps = 1
        [[fault]]
        at = "00:01"
        pump = "P-01"
        do = "battery"
        level = 0.011
    """
    response = replace(shipped_ward("home").care.response, median_s=3000, sigma=0)
    ward = shipped_ward("home")
    story = replace(scenario(text), ward=replace(ward, care=replace(ward.care, response=response)))
    run, outputs = whole(story)
    assert "battery-depleted" in {event.alarm for event in events(outputs)}
    assert run.summary()["P-01"].state is Mode.RUNNING


def test_what_a_carer_has_cleared_does_not_end_again() -> None:
    run = fleet(scenario(BLOCKED))
    run.advance(START_MS)
    unit = run._rig.units[0]
    fault = Occlusion(at=Offset(0), until=Offset(1000), pump="P-01")
    upstream = Occlusion(at=Offset(0), until=Offset(1000), pump="P-01", where="upstream")
    attendance = Attendance(carer(), START_MS, lambda *_: None)
    for entry in (fault, upstream):
        assert attendance.turn(unit, Begin(entry)) == [Begin(entry)]
    assert attendance.turn(unit, Clear(Occlusion, "downstream")) == [End(fault)]
    assert attendance.turn(unit, End(fault)) == []
    assert attendance.turn(unit, End(upstream)) == [End(upstream)]

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
from tests.simulator.bench import (
    START_MS,
    decoded,
    events,
    fleet,
    minutes,
    scenario,
    shipped_profile,
    telemetry,
    whole,
)
from tests.simulator.wards import shipped_ward

NOON_MS = 5 * 3_600_000
NIGHT_MS = 18 * 3_600_000
BLOCKED = """
pumps = 2
duration = "02:00"
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


def kind_of(step: Begin | Clear) -> str:
    return type(step.entry if isinstance(step, Begin) else step).__name__


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
    who = carer(wrong_first=0, night_factor=1, load_factor=0)
    found = [response_s(who, pump, NOON_MS) for pump in range(4000)]
    assert sum(seconds <= 68 for seconds in found) / 4000 == pytest.approx(0.6, abs=0.02)
    assert mean(found) == pytest.approx(158, rel=0.2)


def test_silencing_first_costs_its_time_and_a_wrong_restart_leaves_the_cause() -> None:
    usual, silenced = carer(silence_first=0), carer(silence_first=1, silence_s=100)
    later = response_s(silenced, 1, NOON_MS) - response_s(usual, 1, NOON_MS)
    assert later == pytest.approx(100, rel=0.3)
    for share, kinds in ((0, ["Clear", "Start"]), (1, ["Start"])):
        who = carer(wrong_first=share, silence_first=0)
        steps = who.answer(1, "downstream-occlusion", NOON_MS, rate_ml_h=10)
        assert [kind_of(step) for _, step in steps] == [*kinds, "DoubleCheck"]


def test_every_alarm_has_a_remedy() -> None:
    """None is left to the scenario: each of them ends by something that people do at a pump."""
    assert DEVICE_ALARMS.keys() == REMEDIES.keys()


def test_a_pump_that_is_too_hot_is_left_alone_to_cool() -> None:
    steps = carer(silence_first=0).answer(1, "over-temperature", NOON_MS, rate_ml_h=10)
    assert [kind_of(step) for _, step in steps] == ["Clear", "Silence", "Start", "DoubleCheck"]
    _, (quiet_ms, _), (start_ms, _), _ = steps
    assert start_ms - quiet_ms >= 30 * 60_000


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
        duration = "02:30"
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


REMEDIED = {
    "door-open": ("", "do = 'door-open'"),
    "standby-expired": ("", "do = 'standby'\nminutes = 10"),
    "system-malfunction": (
        "",
        """do = 'power-off'
            [[action]]
            at = '00:06'
            pump = 'P-01'
            do = 'power-on'
            self_test = 'fails'""",
    ),
    "free-flow": ("[[fault]]", "do = 'free-flow'"),
    "over-temperature": ("[[fault]]", "do = 'temperature'\nambient_c = 75"),
    "air-in-line": ("[[fault]]", "do = 'air-bubble'\nvolume_ul = 2000"),
    # A rate that waits for a second person, who comes when the pump calls.
    "callback": ("double_check = true", "do = 'program-rate'\nrate_ml_h = 9"),
    "near-end": ("near_end_min = 30", "do = 'program-vtbi'\nvolume_ml = 8"),
}


@pytest.mark.parametrize("alarm", REMEDIED)
def test_a_pump_that_alarmed_runs_again(alarm: str) -> None:
    header, action = REMEDIED[alarm]
    table = "" if header == "[[fault]]" else "[[action]]"
    text = f"""
        pumps = 1
        duration = "02:30"
        {header}
        {table}
        at = "00:05"
        pump = "P-01"
        {action}
    """
    run, outputs = whole(attended(text), interval_s=60.0, step_s=2.0)
    assert [e.phase for e in events(outputs) if e.alarm == alarm][:1] == ["start"]
    (pump,) = run.summary().values()
    assert pump.state is Mode.RUNNING
    assert pump.alarms == ()
    assert pump.rate_ml_h > 1
    assert run.refused == 0
    if alarm == "near-end":
        assert "infusion-complete" not in {event.alarm for event in events(outputs)}


def test_programming_that_was_cleared_is_typed_in_again() -> None:
    """The pump calls, and whoever comes is too late: the programming is gone by then."""
    response = replace(shipped_ward("home").care.response, median_s=900, sigma=0)
    text = """
        pumps = 1
        duration = "02:00"
        double_check = true
        [[action]]
        at = "00:05"
        pump = "P-01"
        do = "program-rate"
        rate_ml_h = 9
    """
    ward = shipped_ward("home")
    care = replace(ward.care, response=response, silence_first=0.0)
    run, outputs = whole(replace(scenario(text), ward=replace(ward, care=care)))
    told = {event.alarm: event.phase for event in events(outputs) if event.alarm}
    assert told == {"callback": "end", "programming-cleared": "end"}
    assert run.summary()["P-01"].state is Mode.RUNNING


def test_who_only_silences_comes_back() -> None:
    run, outputs = whole(attended(BLOCKED, silence_first=1.0))
    told = [e for e in events(outputs, "P-01") if e.alarm or "AUDIO" in e.event]
    assert [e.phase or e.event.split("_AUDIO_")[1] for e in told] == [
        "start",
        "PAUSED",
        "RESUMED",
        "end",
    ]
    assert told[2].time_ms - told[1].time_ms == 120_000
    assert run.summary()["P-01"].state is Mode.RUNNING


@pytest.mark.parametrize("kvo", [True, False])
def test_who_starts_after_the_end_of_a_volume_types_a_new_one(kvo: bool) -> None:
    """A pause in keep-vein-open, as for a bag: the pump must not run without a limit after it."""
    text = """
        duration = "01:00"
        pumps = 1
        [[patient]]
        pump = "P-01"
        vtbi_ml = 1
        [[action]]
        at = "00:20"
        pump = "P-01"
        do = "pause"
        [[action]]
        at = "00:25"
        pump = "P-01"
        do = "start"
    """
    ward = shipped_ward("home")
    response = replace(ward.care.response, median_s=20_000, sigma=0)
    story = replace(scenario(text), ward=replace(ward, care=replace(ward.care, response=response)))
    profile = replace(shipped_profile(), kvo_ml_h=1.0 if kvo else 0.0)
    run, outputs = whole(story, profile=profile)
    assert [event.phase for event in events(outputs) if event.alarm] == ["start", "end"]
    assert run.summary()["P-01"].state is Mode.RUNNING
    assert telemetry(outputs)[-1].vtbi_remaining_ml > 1


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

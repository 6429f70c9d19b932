"""A test of each fault in virtual time: connections, power, reservoirs, counters."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from infusion.messages import Event, Presence, Telemetry
from simulator.fleet import EHR_SESSION
from simulator.machine import Mode
from simulator.stream import Connect, Disconnect
from tests.simulator.bench import (
    QUIET,
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

# --- connections ---------------------------------------------------------------------------------


def test_an_offline_pump_keeps_its_messages_and_their_times() -> None:
    _, outputs = whole(shipped_scenario("wifi-night"))
    mine = [output for output in outputs if output.session == "P-02"]
    cut = next(output for output in mine if isinstance(output, Disconnect))
    assert (cut.time_ms, cut.clean) == (minutes(20), False)
    back = next(o for o in mine if isinstance(o, Connect) and o.time_ms > cut.time_ms)
    assert back.time_ms == minutes(70)
    place = mine.index(back)
    presence, *rest = decoded(mine[place:])
    assert isinstance(presence, Presence)
    assert presence.state == "online"
    late = [m for m in rest if isinstance(m, Telemetry) and m.time_ms < back.time_ms]
    assert len(late) == pytest.approx(300, abs=2)
    numbers = [m.seq for m in decoded(mine) if isinstance(m, Telemetry | Event)]
    assert numbers == list(range(len(numbers)))
    assert {output.time_ms for output in mine[place : place + 200]} == {minutes(70)}


def test_a_silent_pump_stays_connected_and_its_messages_are_lost_or_come_late() -> None:
    _, outputs = whole(shipped_scenario("demo"))
    assert not [o for o in outputs if o.session == "P-11" and isinstance(o, Disconnect)]
    numbers = [m.seq for m in telemetry(outputs, "P-11")]
    assert max(b - a for a, b in pairwise(numbers)) == pytest.approx(73, abs=2)
    _, outputs = whole(shipped_scenario("wifi-night"))
    numbers = [m.seq for m in decoded(outputs, "P-05") if isinstance(m, Telemetry | Event)]
    assert numbers == list(range(len(numbers)))


def test_a_full_backlog_drops_the_oldest_and_counts() -> None:
    profile = replace(exact_profile(), backlog_messages=50)
    run, outputs = whole(shipped_scenario("wifi-night"), profile=profile)
    assert run.summary()["P-02"].dropped == pytest.approx(250, abs=2)
    numbers = [m.seq for m in telemetry(outputs, "P-02")]
    assert max(b - a for a, b in pairwise(numbers)) == pytest.approx(251, abs=2)


def test_reboots_begin_new_boots() -> None:
    run, outputs = whole(shipped_scenario("reboot"))
    for name, clean in (("P-01", False), ("P-02", False), ("P-03", True)):
        mine = [output for output in outputs if output.session == name]
        assert [o.clean for o in mine if isinstance(o, Disconnect)] == [clean]
        numbers = [(m.boot, m.seq) for m in decoded(mine) if isinstance(m, Telemetry | Event)]
        first = [seq for boot, seq in numbers if boot == 1]
        second = [seq for boot, seq in numbers if boot == 2]
        assert first == list(range(len(first)))
        assert second == list(range(len(second)))
    waits = [m for m in telemetry(outputs, "P-02") if m.boot == 2 and m.status == "not-infusing"]
    assert waits[0].time_ms == minutes(12) + 15_000
    assert waits[-1].time_ms <= minutes(15)
    assert run.summary()["P-01"].state is Mode.RUNNING
    presence = [m for m in decoded(outputs, "P-03") if isinstance(m, Presence)]
    assert [(m.boot, m.state) for m in presence] == [(1, "online"), (1, "offline"), (2, "online")]


def test_the_end_says_goodbye_for_every_session() -> None:
    """Every pump tells where it stands, and then that it goes."""
    run, _ = whole(QUIET)
    last = run.close()
    assert {o.session for o in last if isinstance(o, Disconnect) and o.clean} == {
        "P-01",
        "P-02",
        "P-03",
        "P-04",
        EHR_SESSION,
    }
    for pump in ("P-01", "P-02", "P-03", "P-04"):
        where, goodbye = decoded(last, pump)
        assert isinstance(where, Telemetry)
        assert where.volume_ml == pytest.approx(run.summary()[pump].pumped_ml, abs=1e-6)
        assert isinstance(goodbye, Presence)
        assert goodbye.state == "offline"
    assert run.close() == []


# --- reservoir, battery, counters, programming ---------------------------------------------------


def test_a_battery_warns_stops_the_pump_and_ends_it() -> None:
    story = scenario(
        'pumps = 1\n[[patient]]\npump = "P-01"\ndose_iu_h = 1000\n'
        '[[fault]]\nat = "00:05"\npump = "P-01"\ndo = "battery"\nlevel = 0.05\n'
    )
    run, outputs = whole(story)
    alarms = [
        (e.alarm, e.phase, (e.time_ms - START_MS) / 60_000) for e in events(outputs) if e.alarm
    ]
    # 5 % of 8 hours at 10 mL/h is 24 minutes; low at 15, depleted at 5 (GIP 5.1).
    assert [alarm[:2] for alarm in alarms] == [
        ("battery-low", "start"),
        ("battery-low", "end"),
        ("battery-depleted", "start"),
    ]
    assert [alarm[2] for alarm in alarms] == pytest.approx([14, 24, 24], abs=0.05)
    ends = [o for o in outputs if isinstance(o, Disconnect)]
    assert [o.clean for o in ends] == [False]
    # A pump that stands takes 0.7 of the load, so that the last 5 minutes become 7.14.
    assert abs(ends[0].time_ms - minutes(24 + 5 / 0.7)) <= 2_000
    assert run.summary()["P-01"].state is Mode.OFF
    assert telemetry(outputs)[-1].time_ms <= minutes(24 + 5 / 0.7) + 2_000


def test_plugging_in_ends_the_warning() -> None:
    story = scenario(
        'pumps = 1\n[[fault]]\nat = "00:05"\nuntil = "00:10"\npump = "P-01"\n'
        'do = "battery"\nlevel = 0.03\n'
    )
    run, outputs = whole(story)
    assert [(e.alarm, e.phase, e.time_ms) for e in events(outputs) if e.alarm] == [
        ("battery-low", "start", minutes(5)),
        ("battery-low", "end", minutes(10)),
    ]
    assert run.summary()["P-01"].state is Mode.RUNNING
    assert {m.power for m in telemetry(outputs)} == {"mains", "battery"}


def test_counters_can_freeze_drop_leap_and_be_cleared() -> None:
    _, outputs = whole(shipped_scenario("counter-faults"))

    def volume(name: str, minute: float) -> float:
        return [m for m in telemetry(outputs, name) if m.time_ms <= minutes(minute)][-1].volume_ml

    assert volume("P-01", 29.9) == pytest.approx(volume("P-01", 10), abs=0.06)
    assert volume("P-01", 40) > volume("P-01", 30.1)
    assert volume("P-02", 15.2) < volume("P-02", 14.9) - 1.3
    assert volume("P-03", 20.2) > volume("P-03", 19.9) + 39.9
    cleared = next(e for e in events(outputs, "P-04") if e.event.endswith("COUNTERS_CLEARED"))
    assert (cleared.volume_ml, cleared.boot, cleared.time_ms) == (0.0, 1, minutes(25))


def test_an_upstream_occlusion_stops_the_pump() -> None:
    story = scenario(
        'pumps = 1\n[[fault]]\nat = "00:05"\nuntil = "00:08"\npump = "P-01"\ndo = "occlusion"\n'
        'where = "upstream"\n[[action]]\nat = "00:09"\npump = "P-01"\ndo = "restart"\n'
    )
    run, outputs = whole(story)
    alarms = [(e.alarm, e.phase) for e in events(outputs) if e.alarm]
    assert alarms == [("upstream-occlusion", "start"), ("upstream-occlusion", "end")]
    blocked = [m for m in telemetry(outputs) if minutes(5) < m.time_ms < minutes(8)]
    assert {m.flow_ml_h for m in blocked} == {0.0}
    assert run.summary()["P-01"].state is Mode.RUNNING


def test_what_is_typed_in_shows_on_the_wire() -> None:
    story = scenario(
        """
        library = ""
        pumps = 2
        [[action]]
        at = "00:05"
        pump = "P-01"
        do = "program-concentration"
        concentration_iu_ml = 40
        [[action]]
        at = "00:06"
        pump = "P-01"
        do = "program-therapy"
        therapy = "T-77"
        [[action]]
        at = "00:07"
        pump = "P-01"
        do = "program-rate"
        rate_ml_h = 3.14159
        [[action]]
        at = "00:20"
        pump = "P-01"
        do = "program-order"
        [[action]]
        at = "00:10"
        pump = "P-02"
        do = "program-vtbi"
        volume_ml = 1.5
        [[action]]
        at = "00:40"
        pump = "P-02"
        do = "bolus"
        dose_iu = 100
        duration_s = 60
        """
    )
    run, outputs = whole(story)
    told = telemetry(outputs, "P-01")
    wrong = next(m for m in told if minutes(8) < m.time_ms < minutes(20))
    assert (wrong.concentration_iu_ml, wrong.therapy, wrong.rate_ml_h) == (40.0, "T-77", 3.14)
    right = telemetry(outputs, "P-01")[-1]
    first = telemetry(outputs, "P-01")[0]
    assert (right.concentration_iu_ml, right.therapy, right.rate_ml_h) == (
        100.0,
        "T-01",
        first.rate_ml_h,
    )
    # The bag never changed, whatever was typed in.
    pump = run.summary()["P-01"]
    assert pump.delivered_iu == pytest.approx(pump.pumped_ml * 100, abs=0.01)
    assert run.summary()["P-02"].state is Mode.KVO
    assert run.refused == 1, "a pump in KVO has no row for a bolus"

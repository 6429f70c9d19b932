"""Tests of the monitor's clocks and bounds: stalls, back-fill, clocks that are set, limits."""

import random

import msgspec
import pytest

from infusion.alarms import DEVICE_ALARMS
from infusion.dose import THERAPY, doses
from infusion.errors import MessageError
from infusion.messages import PumpMessage
from infusion.monitor import Monitor
from infusion.prescription import RateChange, Start
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    Paper,
    Stream,
    beat,
    begin,
    clock,
    feed,
    order,
    order_of,
    presence,
    told,
)
from tests.infusion.streams import STREAMS, run, thinned, timetable

KEY = f"{SITE}/{PUMP}"
HOUR = clock("01:00")


# --- stalls --------------------------------------------------------------------------------------


def test_stall_of_the_monitor_raises_nothing() -> None:
    """Three hours without a heartbeat are a stall of our own, and say nothing of the pump."""
    monitor, _ = feed(begin().run("01:00").stream)
    assert monitor.tick(T0 + clock("04:00")) == []
    assert monitor.clock.stalled_ms == 3 * HOUR - monitor.settings.stall_ms
    assert beat(monitor, T0 + clock("04:04:58")) == []


def test_true_silence_is_late_by_the_length_of_the_stall() -> None:
    """A pump that fell silent before a stall of an hour is missed an hour later, not never."""
    monitor, _ = feed(begin().run("01:00").stream)
    changes = beat(monitor, T0 + clock("01:03")) + monitor.tick(T0 + clock("02:03"))
    assert changes == []
    changes = beat(monitor, T0 + clock("02:06"))
    assert told(changes) == ["01:05:00 raised no-telemetry low"]


def test_time_of_receipt_that_runs_backwards_stops_the_clock_only() -> None:
    """When the host's own clock is set back, the partition clock waits a step and goes on."""
    monitor, _ = feed(begin().run("01:00").stream)
    before_ms = monitor.clock.clock_ms
    assert monitor.tick(T0) == []
    assert monitor.clock.clock_ms == before_ms
    beat(monitor, T0 + clock("00:04"))
    assert monitor.clock.clock_ms == before_ms + clock("00:04")


# --- back-fill -----------------------------------------------------------------------------------


def night() -> tuple[Stream, Stream, Stream]:
    """Before, during and after a night without Wi-Fi, in which much happens to the pump."""
    paper = begin().run("01:00")
    before = len(paper.stream)
    paper.run("02:00").program(10 * RATE_ML_H).run("02:30").program(RATE_ML_H).run("03:00")
    paper.stop("alarming", alarms=("air-in-line",)).run("04:30").start(alarms=())
    paper.clear_counter().run("05:00").reboot(off="00:05").start().run("06:00")
    paper.volume_nl -= 300_000
    paper.run("08:00")
    after = len(paper.stream)
    paper.run("09:00")
    return paper.stream[:before], paper.stream[before:after], paper.stream[after:]


def assert_same_total(monitor: Monitor, *streams: Stream) -> None:
    """The account is as if every message had come at its time."""
    undisturbed, _ = feed([item for stream in streams for item in stream])
    account, expected = monitor.pumps[KEY].account, undisturbed.pumps[KEY].account
    assert account.pumped_nl == expected.pumped_nl
    assert account.pumped_iu == pytest.approx(expected.pumped_iu, rel=1e-9)


SILENCE = [
    "01:05:00 raised no-telemetry low",
    "01:15:00 escalated no-telemetry medium",
    "02:00:00 escalated no-telemetry high",
    "08:00:10 cleared no-telemetry high",
]


def spread(stream: Stream, from_ms: int, each_ms: int) -> Stream:
    """The messages of a stream, all received from an instant on."""
    return [(from_ms + index * each_ms, message) for index, (_, message) in enumerate(stream)]


@pytest.mark.parametrize("each_ms", [0, 2, 100])
def test_back_fill_before_live_data(each_ms: int) -> None:
    """What a pump kept during the night comes first, in order: it fills the account, no more."""
    before, during, after = night()
    return_ms = T0 + clock("08:00:01")
    late = spread(during, return_ms, each_ms)
    live = [item for item in after if item[0] > late[-1][0]]
    monitor, changes = feed([*before, *late, *live])
    assert [line.split(" ", 1)[1] for line in told(changes) if "updated" not in line] == [
        line.split(" ", 1)[1] for line in SILENCE
    ]
    assert_same_total(monitor, before, during, after)


def test_back_fill_after_the_first_live_message() -> None:
    """What a pump kept comes after it is back: the same account, and nothing raised for it."""
    before, during, after = night()
    late = spread(during, T0 + clock("08:00:11"), 3)
    monitor, changes = feed(sorted([*before, *after, *late], key=lambda item: item[0]))
    assert [line for line in told(changes) if "updated" not in line] == SILENCE
    state = monitor.pumps[KEY]
    assert_same_total(monitor, before, during, after)
    assert state.backfilled == sum(isinstance(message, PumpMessage) for _, message in during)


def test_night_without_back_fill_loses_no_dose_of_its_epoch() -> None:
    """If nothing is sent later, the counter still tells what was pumped while it ran on."""
    paper = begin().run("01:00").mute().run("07:00").mute(False).run("08:00")
    monitor, _ = feed(paper.stream)
    last = paper.stream[-1][1]
    assert isinstance(last, PumpMessage)
    assert monitor.pumps[KEY].account.pumped_nl == round(last.volume_ml * 1e6)


# --- clocks that are set -------------------------------------------------------------------------


def from_then_on(stream: Stream, at: str, by_ms: int) -> Stream:
    """The pump's clock is set at an instant; the times of receipt stay."""
    return [
        (at_ms, msgspec.structs.replace(message, time_ms=message.time_ms + by_ms))
        if at_ms > T0 + clock(at) and isinstance(message, PumpMessage)
        else (at_ms, message)
        for at_ms, message in stream
    ]


def test_clock_set_back_is_live_again_after_two_minutes() -> None:
    """An hour back: two minutes of back-fill, then live, with alarms and windows that hold."""
    paper = begin().run("02:00").set(alarms=("battery-low",)).run("03:00").set(alarms=())
    steps = (Start(at_ms=T0 - 24 * HOUR, rate_iu_kg_h=ORDERED_IU_KG_H),)
    stream = [
        (T0, order(*steps, version=2)),
        *from_then_on(paper.run("04:00").stream, "01:00", -HOUR),
    ]
    monitor, changes = feed(stream)
    assert told(changes) == [
        "00:02:10 raised clock-step low",
        "00:18:00 cleared clock-step low",
        "01:00:00 raised battery-low medium",
        "02:00:00 cleared battery-low medium",
    ]
    state = monitor.pumps[KEY]
    assert state.backfilled == 12
    assert state.edge is not None
    timeline = order_of(monitor, f"{SITE}/T-01").timeline
    for name, dose in doses(state.account, state.edge, timeline, state.edge.time_ms).items():
        if name != THERAPY:
            assert dose.deviation == pytest.approx(0, abs=1e-4), name


def test_clock_set_back_does_not_restart_what_is_counting() -> None:
    """A pause of 5 min before the clock was set and 5 min after it is a pause of 10 min."""
    steps = (Start(at_ms=T0 - 24 * HOUR, rate_iu_kg_h=ORDERED_IU_KG_H),)
    paper = begin(*steps).run("01:55").stop().run("02:10").start().run("02:20")
    _, changes = feed(from_then_on(paper.stream, "02:00", -HOUR))
    assert told(changes) == [
        "01:02:10 raised clock-step low",
        "01:05:00 raised not-delivering medium",
        "01:10:00 cleared not-delivering medium",
        "01:18:00 cleared clock-step low",
    ]


def test_clock_set_forward_does_no_lasting_harm() -> None:
    """A year ahead for half an hour: both settings are told, no silence is, and no dose is lost."""
    year_ms = 365 * 24 * HOUR
    paper = (
        begin().run("00:50").set(alarms=("battery-low",)).run("01:05").set(alarms=()).run("01:30")
    )
    wrong = from_then_on(paper.stream, "01:00", year_ms)
    paper.run("02:00").set(alarms=("battery-low",)).run("02:10").set(alarms=()).run("02:20").stop()
    stream = [*wrong, *paper.run("02:40").stream[len(wrong) :]]
    monitor, changes = feed(stream)
    assert told(changes) == [
        "00:50:00 raised battery-low medium",
        "8761:00:10 raised clock-step low",
        "8761:05:00 cleared battery-low medium",
        "8761:16:00 cleared clock-step low",
        "01:32:10 raised clock-step low",
        "01:48:00 cleared clock-step low",
        "02:00:00 raised battery-low medium",
        "02:10:00 cleared battery-low medium",
        "02:30:00 raised not-delivering medium",
    ]
    assert (
        monitor.pumps[KEY].account.pumped_nl == feed(paper.stream)[0].pumps[KEY].account.pumped_nl
    )


def test_constant_lag_becomes_live() -> None:
    """A way that suddenly takes ten minutes: after two minutes its messages are live."""
    paper = begin().run("01:00")
    late = len(paper.stream)
    paper.run("01:30").set(alarms=("air-in-line",)).run("02:00")
    slow = [(at_ms + clock("00:10"), message) for at_ms, message in paper.stream[late:]]
    monitor, changes = feed([*paper.stream[:late], *slow])
    assert told(changes)[-1] == "01:30:00 raised air-in-line high"
    assert [c.change for c in changes if c.alert.rule == "no-telemetry"] == ["raised", "cleared"]
    assert monitor.pumps[KEY].lag_clock_ms is None


def test_pump_with_a_clock_of_its_own() -> None:
    """A pump whose clock was always two hours behind is live from its first message."""
    steps = (Start(at_ms=T0 - 24 * HOUR, rate_iu_kg_h=ORDERED_IU_KG_H),)
    paper = begin(*steps).run("00:30").stop().run("00:41")
    stream = from_then_on(paper.stream, "-01:00", -2 * HOUR)
    assert told(feed(stream)[1])[0].endswith("raised not-delivering medium")


# --- bounds --------------------------------------------------------------------------------------


def test_refused_message_loses_no_alert_that_was_due() -> None:
    """An order that makes no sense is refused before time passes: what was due is then said."""
    monitor, _ = feed(begin().run("00:10").stream)
    changes = beat(monitor, T0 + clock("00:14:59") + 900)
    bad = order(RateChange(at_ms=T0, rate_iu_h=1.0), version=9)
    at_ms = T0 + clock("00:15") + 100
    with pytest.raises(MessageError) as caught:
        monitor.receive(bad, SITE, at_ms)
    assert changes == []
    assert told(monitor.refuse(caught.value, SITE, at_ms)) == [
        "00:15:00 raised no-telemetry low",
        "00:15:00 raised order-refused medium",
    ]
    assert monitor.refused == {"order": 1}
    assert order_of(monitor, f"{SITE}/T-01").prescription.version == 1


def test_pumps_and_orders_are_bounded() -> None:
    """Beyond the limits a new pump or order is refused by name, a known one is not."""
    monitor, _ = feed(begin().stream)
    state, kept = monitor.pumps[KEY], monitor.therapies.records[f"{SITE}/T-01"]
    monitor.pumps |= {f"x/{number}": state for number in range(200_000)}
    monitor.therapies.records |= {f"x/{number}": kept for number in range(400_000)}
    with pytest.raises(MessageError, match="more than 200000 pumps"):
        monitor.receive(presence(pump="P-99"), SITE, T0)
    with pytest.raises(MessageError, match="more than 400000 therapies"):
        monitor.receive(order(therapy="T-99"), SITE, T0)
    assert monitor.receive(order(version=2), SITE, T0) == []


def test_older_and_repeated_orders_are_ignored() -> None:
    """The highest version holds, in whatever order the versions come."""
    monitor, _ = feed([(T0, order(version=3)), (T0, order(version=2)), (T0, order(version=3))])
    assert order_of(monitor, f"{SITE}/T-01").prescription.version == 3


def test_order_that_moves_to_another_pump() -> None:
    """The pump that loses its order and runs on gives it twice; the other one is awaited."""
    paper = begin().run("00:10").say(order(version=2, pump="P-02")).run("00:12")
    monitor, changes = feed(paper.stream, until="00:16")
    assert [line.split(" ", 1)[1] for line in told(changes)] == [
        "raised therapy-on-two-pumps medium",
        "updated therapy-on-two-pumps medium",
        "raised no-telemetry low",
    ]
    assert {change.alert.pump for change in changes} == {PUMP, "P-02"}
    assert monitor.pumps[f"{SITE}/P-02"].edge is None


def test_state_of_a_pump_is_small() -> None:
    """A day with loss, restarts and every alarm at once: at most 6 KB to store or move."""
    paper = begin().run("08:00").clear_counter().run("16:00").reboot(off="00:03").start()
    paper.run("25:00").set(pressure_mmhg=400.0, alarms=tuple(DEVICE_ALARMS)).run("26:00")
    monitor, _ = feed(thinned(paper.stream, random.Random(5)))
    state = monitor.pumps[KEY]
    # What the alerts take is theirs; the rest is there always.
    with_alerts = len(msgspec.msgpack.encode(state))
    without = len(msgspec.msgpack.encode(state)) - len(msgspec.msgpack.encode(state.board))
    assert without <= 6_600
    assert with_alerts <= 24_000


def test_quiet_pump_is_small() -> None:
    """A quiet pump after a day, with the level of its patient and a bag that hangs too long."""
    monitor, _ = feed(begin().run("26:00").stream)
    assert len(msgspec.msgpack.encode(monitor.pumps[KEY])) <= 6_600


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_deadlines_are_bounded(name: str) -> None:
    """However long it runs, there are few deadlines for each pump on the heap."""
    outcome = run(timetable(STREAMS[name]()))
    assert len(outcome.monitor._deadlines) <= 20


def test_touched_names_the_pumps_whose_state_changed() -> None:
    """What a caller must store after a step."""
    monitor = Monitor()
    paper = begin()
    feed(paper.stream, monitor=monitor)
    assert monitor.touched == {KEY}
    monitor.touched.clear()
    monitor.tick(T0 + 100)
    assert monitor.touched == set()
    duplicate = paper.stream[-1][1]
    monitor.receive(duplicate, SITE, T0 + 200)
    assert monitor.touched == set()
    feed(Paper(pump="P-02").start().stream, monitor=monitor)
    assert monitor.touched == {f"{SITE}/P-02"}

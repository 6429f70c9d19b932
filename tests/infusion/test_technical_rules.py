"""Technical rules: each at its edge, in time, and beside what only looks like it.

The levels of no-telemetry, foreign identities and unknown pumps are in
tests/infusion/test_silence.py, more on clocks that are set in tests/infusion/test_monitor.py.
"""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from msgspec.structs import replace

from infusion.errors import MessageError
from infusion.messages import AlertChange, Message, PumpMessage
from infusion.monitor import Monitor, MonitorSettings
from infusion.policy import Layer, RuleChange, policy_of
from infusion.prescription import Start
from tests.infusion.bench import (
    PUMP,
    SITE,
    T0,
    Paper,
    Stream,
    beat,
    begin,
    clock,
    feed,
    order,
    presence,
    spoken,
    told,
)


def says(stream: Iterable[tuple[int, Message]], until: str | None = None) -> list[str]:
    """What is said of a stream, in the order in which it was received."""
    return told(feed(sorted(stream, key=lambda item: item[0]), until=until)[1])


def about(key: str, lines: list[str]) -> list[str]:
    """Of all that was said, what is about one rule."""
    return [line for line in lines if line.split()[2] == key]


@pytest.mark.parametrize(("interval_ms", "limit"), [(50_000, "05"), (70_000, "07")])
def test_six_intervals_of_silence_but_never_less_than_five_minutes(
    interval_ms: int, limit: str
) -> None:
    """M06: from an interval of 50 s on a pump is missed later."""
    paper = begin(interval_ms=interval_ms).run("00:58:20")
    last_ms = paper.stream[-1][0]
    monitor, changes = feed(paper.stream)
    due_ms = last_ms + clock(f"00:{limit}")
    changes += beat(monitor, due_ms)
    assert changes == []
    (raised,) = beat(monitor, due_ms + 1)
    assert (raised.alert.rule, raised.alert.raised_ms) == ("no-telemetry", due_ms)
    assert raised.alert.evidence.limit == f"{int(limit)} min"


def test_a_pump_that_is_heard_every_five_minutes_is_not_silent() -> None:
    """Most messages are lost, which is told; the pump itself is not missed."""
    paper = begin()
    for minute in range(5, 90, 5):
        paper.mute().run(f"{minute // 60:02}:{minute % 60 - 1:02}:55").mute(False)
        paper.run(f"{minute // 60:02}:{minute % 60:02}")
    assert about("no-telemetry", says(paper.stream)) == []


LOW = "00:14:00 raised pump-offline low"
MEDIUM = "00:25:00 escalated pump-offline medium"
HIGH = "01:10:00 escalated pump-offline high"


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("00:24:59", [LOW, "00:24:59 cleared pump-offline low"]),
        ("00:25:01", [LOW, MEDIUM, "00:25:01 cleared pump-offline medium"]),
        ("01:09:59", [LOW, MEDIUM, "01:09:59 cleared pump-offline medium"]),
        ("01:10:01", [LOW, MEDIUM, HIGH, "01:10:01 cleared pump-offline high"]),
    ],
)
def test_offline_at_its_later_edges(until: str, expected: list[str]) -> None:
    """M06: a pump that took its leave at 00:10 is medium after 15 min, high after 60."""
    paper = begin().run("00:10").say(presence("offline", at="00:10")).mute().run(until)
    paper.mute(False).say(paper.presence()).set()
    # Without the silence, which would be told by it with its own priority.
    alone = policy_of(Layer(rules={"no-telemetry": RuleChange(enabled=False, reason="alone")}))
    assert told(feed(paper.stream, monitor=Monitor(policy=alone))[1]) == expected


def test_a_connection_that_comes_and_goes_is_not_offline() -> None:
    """A will and a return every three minutes, with telemetry between: nothing is said."""
    paper = begin().run("00:09")
    for minute in range(10, 60, 3):
        paper.say(paper.presence("offline")).mute().run(f"00:{minute - 1:02}:50").mute(False)
        paper.say(paper.presence()).run(f"00:{minute + 2:02}")
    assert says(paper.stream) == []


# --- the counter ----------------------------------------------------------------------------------


def stood(seconds: int, step_nl: int = 0, rate_ml_h: float = 14.4) -> list[str]:
    """A counter that stands from 00:10 on while the pump says that it delivers."""
    steps = (Start(at_ms=T0, rate_iu_h=100 * rate_ml_h),)
    paper = Paper(interval_ms=1_000, step_nl=step_nl, flow_ml_h=rate_ml_h)
    paper.state["rate_ml_h"] = rate_ml_h
    paper.say(order(*steps)).say(
        presence(interval_s=1.0, volume_step_ml=step_nl / 1e6, time_ms=T0)
    ).send()
    paper.run("00:10").flow_ml_h = 0.0
    paper.run(spoken(paper.now_ms + 1_000 * seconds)).flow_ml_h = rate_ml_h
    return about("counter-frozen", says(paper.run("00:14").stream))


@pytest.mark.parametrize(
    ("seconds", "step_nl", "rate_ml_h", "is_told"),
    [
        # 0.1 mL at 14.4 mL/h takes 25 s, but less than a minute is not said; at 1.2 mL/h it is 300 s.
        (59, 0, 14.4, False),
        (60, 0, 14.4, True),
        (200, 0, 1.2, False),
        # Two strokes of 0.2 mL at 14.4 mL/h take 100 s; the next stroke is 50 s after the stand.
        (50, 200_000, 14.4, False),
        (52, 200_000, 14.4, True),
    ],
)
def test_counter_frozen_at_its_edge(
    seconds: int, step_nl: int, rate_ml_h: float, is_told: bool
) -> None:
    """A counter may fall behind by 0.1 mL, or by two of its strokes where they are larger."""
    lines = stood(seconds, step_nl, rate_ml_h)
    assert [line.split()[1] for line in lines] == ["raised", "cleared"] * is_told


def test_counter_frozen_in_time() -> None:
    """Said after a minute, once it is beyond 0.1 mL; gone with the first that shows a stroke."""
    assert stood(90) == [
        "00:11:00 raised counter-frozen medium",
        "00:11:31 cleared counter-frozen medium",
    ]


def test_a_new_rate_does_not_make_a_resting_counter_frozen() -> None:
    """At 0.6 mL/h a counter rested for four minutes; what that is at 14.4 mL/h says nothing."""
    paper = begin(Start(at_ms=T0, rate_iu_h=60.0), interval_ms=1_000).program(0.6)
    paper.flow_ml_h = 0.0
    paper.run("00:04").program(14.4).flow_ml_h = 0.0
    paper.run("00:04:25").flow_ml_h = 14.4
    assert about("counter-frozen", says(paper.run("00:06").stream)) == []


def leapt(gained_nl: int) -> list[str]:
    """A counter that gains so much within one second, at 00:10."""
    paper = begin(interval_ms=1_000).run("00:10")
    # A second of the steady flow is in it.
    paper.volume_nl += gained_nl - 4_000
    return about("counter-fault", says(paper.run("00:27").stream))


def test_a_counter_that_gains_more_than_the_pump_can_pump_at_its_edge() -> None:
    """500 mL/h is 0.1389 mL in a second, and 0.5 mL is left to priming."""
    assert leapt(638_000) == []
    assert leapt(640_000) == [
        "00:11:01 raised counter-fault medium",
        "00:26:00 cleared counter-fault medium",
    ]


def test_a_clearing_that_was_overtaken_explains_the_counter() -> None:
    """The counter begins anew before the word that somebody cleared it: no fault."""
    paper = begin().run("00:30").clear_counter()
    _, cleared = paper.stream.pop()
    paper.run("00:30:40").stream.append((paper.now_ms, cleared))
    assert says(paper.run("01:00").stream) == []
    without = [item for item in paper.stream if item[1] is not cleared]
    assert says(without)[0] == "00:31:10 raised counter-fault medium"


# --- whose messages these are ---------------------------------------------------------------------


def second_voice(times: int, every_ms: int = 10_000) -> Stream:
    """A younger pump under the name of the first, from 00:10:05 on."""
    other = Paper(now_ms=T0 + clock("00:10:05"))
    for _ in range(times):
        other.send()
        other.now_ms += every_ms
    return other.stream


def beside(times: int, every_ms: int = 10_000, until: str = "00:40") -> list[str]:
    """What is said of a pump beside which a second one speaks."""
    return says([*begin(seq=1_000).run(until).stream, *second_voice(times, every_ms)])


def test_two_pumps_with_one_name_at_their_edge() -> None:
    """Old numbers with new times: four may be a clock's doing, five are a second pump."""
    assert beside(4) == []
    assert beside(5) == [
        "00:10:45 raised two-pumps-one-name high",
        "00:26:00 cleared two-pumps-one-name high",
    ]


def test_strangers_are_counted_anew_after_a_quarter_of_an_hour() -> None:
    """One odd message now and then is not a second pump."""
    assert beside(7, clock("00:15"), "02:00") == []
    assert beside(7, clock("00:14:59"), "02:00") != []


def test_back_fill_is_not_a_second_pump() -> None:
    """What a pump buffered while it was offline has old numbers, and old times with them."""
    paper = begin().run("00:20")
    kept = len(paper.stream)
    paper.run("00:24")
    late = [(T0 + clock("00:25:02"), message) for _, message in paper.stream[kept:]]
    del paper.stream[kept:]
    assert says([*paper.run("00:40").stream, *late]) == []


def repeated(count: int, *, behind: str) -> list[str]:
    """So many messages of a pump come once more, each so long after it was sent."""
    paper = begin().run("00:40")
    sent = [item for item in paper.stream if isinstance(item[1], PumpMessage)]
    copies = [(at_ms + clock(behind), message) for at_ms, message in sent[60 : 60 + count]]
    return says([*paper.stream, *copies])


def test_replayed_messages_at_their_edge() -> None:
    """A broker repeats some after a lost connection; twenty old ones are a replay."""
    assert repeated(19, behind="00:10") == []
    assert repeated(20, behind="00:10") == [
        "00:23:10 raised replayed-messages low",
        "00:39:00 cleared replayed-messages low",
    ]


def test_messages_that_come_twice_at_once_are_no_replay() -> None:
    """A broker may deliver each message again within two minutes (QoS 1)."""
    assert repeated(120, behind="00:02") == []
    assert about("replayed-messages", repeated(120, behind="00:02:11")) != []


def test_back_fill_behind_many_gaps_is_no_replay() -> None:
    """A wire that lost every third message for an hour gives them all back later, and once."""
    paper = begin().run("02:00")
    first, last = T0 + clock("00:10"), T0 + clock("01:10")
    gone = [item for index, item in enumerate(paper.stream) if not index % 3]
    gone = [item for item in gone if first < item[0] < last]
    kept = [item for item in paper.stream if item not in gone]
    late = [(T0 + clock("01:30:01"), message) for _, message in gone]
    monitor, changes = feed(sorted([*kept, *late], key=lambda item: item[0]))
    assert about("replayed-messages", told(changes)) == []
    account = monitor.pumps[f"{SITE}/{PUMP}"].account
    assert (account.late, account.too_late, account.duplicates) == (len(gone), 0, 0)
    assert account.pumped_nl == paper.volume_nl


def test_a_replay_by_a_second_pump_is_one_alert() -> None:
    """Two pumps under one name explain all that comes again."""
    paper = begin(seq=1_000).run("00:30")
    sent = [message for _, message in paper.stream if isinstance(message, PumpMessage)]
    copies = [(T0 + clock("00:12") + 200 * i, message) for i, message in enumerate(sent[:30])]
    lines = says([*paper.stream, *second_voice(100), *copies])
    assert {line.split()[2] for line in lines} == {"two-pumps-one-name"}


def refuse(monitor: Monitor, error: MessageError, *times: str) -> list[AlertChange]:
    """Messages that cannot be read, at some times."""
    changes: list[AlertChange] = []
    for time in times:
        at_ms = T0 + clock(time)
        changes += beat(monitor, at_ms) + monitor.refuse(error, SITE, at_ms)
    return changes


def unreadable(*times: str, pump: str | None = PUMP, kind: str = "payload") -> list[str]:
    """A pump of which some messages could not be read, and which is heard for half an hour."""
    paper = begin().run("00:10")
    monitor, changes = feed(paper.stream)
    heard = len(paper.stream)
    changes += refuse(monitor, MessageError(kind, "not JSON", pump=pump), *times)
    changes += feed(paper.run("00:40").stream[heard:], monitor=monitor)[1]
    return told(changes)


def test_malformed_messages_at_their_edge() -> None:
    """Two broken messages are chance, three are told, for a quarter of an hour."""
    assert unreadable("00:10:01", "00:10:02") == []
    assert unreadable("00:10:01", "00:10:02", "00:10:03") == [
        "00:10:03 raised malformed-messages low",
        "00:26:00 cleared malformed-messages low",
    ]


def test_messages_of_nobody_are_only_counted() -> None:
    """What came on a topic that names no pump, or an unknown one, accuses none that is known."""
    times = ("00:10:01", "00:10:02", "00:10:03", "00:10:04")
    assert unreadable(*times, pump=None) == []
    assert unreadable(*times, pump="P-77") == []
    assert unreadable(*times, pump="P-77", kind="identity") == []


def test_a_foreign_voice_explains_what_cannot_be_read() -> None:
    """Another pump on this topic: its identity is told, not that it also speaks badly."""
    paper = begin().run("00:10")
    monitor, _ = feed(paper.stream)
    changes = refuse(monitor, MessageError("identity", "the payload says P-66", pump=PUMP), "00:10")
    bad = MessageError("payload", "not JSON", pump=PUMP)
    changes += refuse(monitor, bad, "00:10:01", "00:10:02", "00:10:03")
    assert about("malformed-messages", told(changes)) == []
    assert told(changes)[0] == "00:10:00 raised identity-mismatch medium"


# --- clocks ---------------------------------------------------------------------------------------


def set_by(by: int) -> list[str]:
    """A pump whose clock is set by so many seconds at 00:30, on its way ahead or back."""
    stream = begin(Start(at_ms=T0 - clock("24:00"), rate_iu_kg_h=18.0)).run("01:00").stream
    return says(
        (at_ms, replace(message, time_ms=message.time_ms + 1_000 * by))
        if at_ms > T0 + clock("00:30") and isinstance(message, PumpMessage)
        else (at_ms, message)
        for at_ms, message in stream
    )


@pytest.mark.parametrize("by", [-130, 121])
def test_a_clock_that_is_corrected_a_little_says_nothing(by: int) -> None:
    """Two minutes back or ahead are a late message, or a pump that is a second behind its pace."""
    assert set_by(by) == []


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        # Two minutes of back-fill, then live: the time told is the pump's own.
        (-131, ["00:29:59 raised clock-step low", "00:45:49 cleared clock-step low"]),
        (122, ["00:32:12 raised clock-step low", "00:48:02 cleared clock-step low"]),
        # Just below and above the five minutes after which a pump is missed: it was never silent.
        (285, ["00:34:55 raised clock-step low", "00:50:45 cleared clock-step low"]),
        (295, ["00:35:05 raised clock-step low", "00:50:55 cleared clock-step low"]),
        (301, ["00:35:11 raised clock-step low", "00:51:01 cleared clock-step low"]),
    ],
)
def test_clock_step_at_its_edge(by: int, expected: list[str]) -> None:
    """MDC_EVT_DEVICE_TIME_CHANGED, seen though it is not sent: told for a quarter of an hour."""
    assert set_by(by) == expected


def test_a_pump_that_was_off_for_hours_had_no_clock_set() -> None:
    """A restart with another clock, and an hour of silence, are not a clock that was set."""
    paper = begin().run("00:30").reboot(off="02:00").start().run("03:00")
    assert about("clock-step", says(paper.stream)) == []
    silent = begin().run("00:30").mute().run("02:00").mute(False).run("03:00")
    assert about("clock-step", says(silent.stream)) == []


@pytest.mark.parametrize(("pace_ms", "is_told"), [(10_900, False), (12_000, True)])
def test_a_slow_pump_after_an_absence_of_the_monitor_had_no_clock_set(
    pace_ms: int, is_told: bool
) -> None:
    """What was lost while the monitor was away is explained by its numbers, a tenth slower too."""
    paper = begin().run("00:30")
    away = [paper.now_ms + pace_ms * count for count in range(1, 361)]
    paper.interval_ms, paper.muted = pace_ms, True
    for at_ms in away:
        paper.now_ms = at_ms
        paper.send()
    monitor, _ = feed(paper.stream)
    paper.muted, paper.stream = False, []
    paper.now_ms += pace_ms
    paper.send()
    ((_, message),) = paper.stream
    changes = monitor.receive(message, SITE, paper.now_ms)
    assert ("clock-step" in {change.alert.rule for change in changes}) == is_told


def lossy(
    lost: int, *, interval_ms: int = 10_000, after: str = "00:30", late: str | None = None
) -> list[str]:
    """A pump of whose messages two of three are lost for a while, or come later."""
    paper = begin(interval_ms=interval_ms).run("02:40")
    first = next(i for i, (at_ms, _) in enumerate(paper.stream) if at_ms > T0 + clock(after))
    gone = [paper.stream[first + i + i // 2] for i in range(lost)]
    kept = [item for item in paper.stream if item not in gone]
    if late is not None:
        kept += [(T0 + clock(late), message) for _, message in gone]
    return says(kept)


@pytest.mark.parametrize("pace", [0.0, 0.5, 1.0])
def test_of_messages_that_all_come_none_is_counted_as_missing(pace: float) -> None:
    """As they are sent, in a burst, and first the one and then the other.

    In a burst a quarter of an hour is noted with the message after it: the account is then already
    ahead of the newest message that was looked at.
    """
    monitor = Monitor(MonitorSettings(stall_ms=60_000))
    tallies: set[tuple[int, int, int]] = set()
    for at_ms, message in begin(interval_ms=7_000).run("02:40").stream:
        monitor.receive(message, SITE, T0 + max(0, round(at_ms - T0 - (1 - pace) * clock("02:40"))))
        tallies.update(monitor.pumps[f"{SITE}/{PUMP}"].tally)
    assert len(tallies) == 11
    for (_, key, accepted), (_, next_key, next_accepted) in pairwise(sorted(tallies)):
        assert next_key - key == next_accepted - accepted


@pytest.mark.parametrize(
    ("lost", "interval_ms", "is_told"),
    [(17, 10_000, False), (18, 10_000, True), (9, 60_000, False), (10, 60_000, True)],
)
def test_messages_missing_at_its_edge(lost: int, interval_ms: int, is_told: bool) -> None:
    """A twentieth of the 360 messages of an hour; of 60, where that is three, at least ten."""
    lines = lossy(lost, interval_ms=interval_ms)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "raised messages-missing low",
        "cleared messages-missing low",
    ] * is_told


def test_messages_missing_in_time() -> None:
    """Told when an hour is full and had a quarter to arrive; gone half an hour after its end."""
    assert lossy(30) == [
        "01:16:00 raised messages-missing low",
        "02:31:00 cleared messages-missing low",
    ]


def test_a_wire_that_goes_on_losing_a_little_less_is_told_once() -> None:
    """In turn 6 % and 4 % of an hour's messages: one alert, until it loses next to none."""
    paper = begin(interval_ms=10_000).run("08:00")
    kept = []
    for number, (at_ms, message) in enumerate(paper.stream):
        hour = (at_ms - T0) // clock("01:00")
        every = (17, 25)[hour % 2] if hour < 6 else 1_000
        if number % every:
            kept.append((at_ms, message))
    lines = [line.split(" ", 1)[1] for line in about("messages-missing", says(kept))]
    assert [line for line in lines if not line.startswith("updated")] == [
        "raised messages-missing low",
        "cleared messages-missing low",
    ]


@pytest.mark.parametrize(
    ("after", "late"),
    [
        ("00:30", "00:58"),
        # Messages are counted at 01:01, when these are still on their way.
        ("00:54", "01:03"),
        ("00:54", "01:15:59"),
    ],
)
def test_messages_that_come_late_are_not_missing(after: str, late: str) -> None:
    """What a pump buffers and sends within a quarter of an hour was never lost."""
    assert lossy(24, after=after, late=late) == []


def test_a_restart_is_no_loss() -> None:
    """The numbers begin anew with each boot; what is between them was never sent."""
    paper = begin().run("00:40").reboot(off="00:02").start().run("02:40")
    assert about("messages-missing", says(paper.stream)) == []


def test_a_connected_pump_that_says_nothing_is_no_unknown_pump() -> None:
    """A pump in the cupboard that only announces itself asks for no order."""
    stream: Stream = [(T0, presence())]
    assert about("unknown-pump", says(stream, until="00:04")) == []

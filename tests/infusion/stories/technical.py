"""Silence, counters, clocks and identities: each comes and goes, and beside it what looks like it."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from infusion.errors import MessageError
from infusion.messages import Kind, PumpMessage, Topic, decode, encode
from infusion.prescription import Start
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    PUMP,
    SITE,
    T0,
    Paper,
    begin,
    clock,
    presence,
    spoken,
)
from tests.infusion.stories.book import Book, Course

BOOK = Book()

# --- two voices, old messages ---------------------------------------------------------------------


@BOOK.edge("two-pumps-one-name", quiet=4, told=5)
def second_voice(times: int) -> Course:
    """A second pump speaks so often under the name of the first, ten seconds apart."""
    paper = begin(seq=1_000).run("00:40")
    other = Paper(now_ms=T0 + clock("00:10:05"))
    for _ in range(times):
        other.send()
        other.now_ms += 10_000
    paper.stream += other.stream
    return Course(paper)


@BOOK.story("two-pumps-one-name")
def _() -> Course:
    """Two pumps were given one name; the second one speaks for five minutes."""
    return second_voice(30)


@BOOK.friend("two-pumps-one-name")
def _() -> Course:
    """Offline for four minutes, and the back-fill comes among the live: old numbers, old times."""
    paper = begin().run("00:20")
    kept = len(paper.stream)
    paper.run("00:24")
    late = [message for _, message in paper.stream[kept:]]
    del paper.stream[kept:]
    paper.stream += [(T0 + clock("00:25:02"), message) for message in late]
    return Course(paper.run("00:40"))


def repeated(count: int, behind: str) -> Course:
    """So many messages of a pump come once more, each so long after it was sent."""
    paper = begin().run("00:40")
    sent = [item for item in paper.stream if isinstance(item[1], PumpMessage)]
    copies = sent[60 : 60 + count]
    paper.stream += [(at_ms + clock(behind), message) for at_ms, message in copies]
    return Course(paper)


@BOOK.edge("replayed-messages", quiet=19, told=20)
def _(count: int) -> Course:
    """So many messages come once more, ten minutes late."""
    return repeated(count, "00:10")


@BOOK.story("replayed-messages")
def _() -> Course:
    """A gateway sends four minutes of messages once more, ten minutes after they were told."""
    return repeated(24, "00:10")


@BOOK.friend("replayed-messages")
def _() -> Course:
    """A broker delivers 120 messages twice, each within a minute, as QoS 1 allows it to."""
    return repeated(120, "00:01")


def misread(topic_pump: str, payload_pump: str) -> MessageError:
    """The error that a message of one pump on the topic of another makes."""
    foreign = encode(Paper(pump=payload_pump).start().stream[0][1])
    with pytest.raises(MessageError) as caught:
        decode(Topic(Kind.TELEMETRY, SITE, topic_pump), foreign)
    return caught.value


@BOOK.story("identity-mismatch")
def _() -> Course:
    """Another pump publishes once on this pump's topic."""
    return Course(begin().run("00:40"), [("00:10:01", misread(PUMP, "P-66"))])


@BOOK.friend("identity-mismatch")
def _() -> Course:
    """This pump's name comes on the topic of another one: it is that topic that is misused."""
    return Course(begin().run("00:40"), [("00:10:01", misread("P-66", PUMP))])


@BOOK.edge(
    "malformed-messages",
    quiet=("00:10:01 00:10:02", "00:10:01 00:25:03 00:25:04"),
    told=("00:10:01 00:10:02 00:10:03", "00:10:01 00:24:59 00:25:00"),
)
def unreadable(times: str) -> Course:
    """Messages that cannot be read, at some times."""
    error = MessageError("payload", "not JSON", pump=PUMP)
    return Course(begin().run("00:50"), [(at, error) for at in times.split()])


@BOOK.story("malformed-messages")
def _() -> Course:
    """Three messages within some seconds are broken."""
    return unreadable("00:10:01 00:10:02 00:10:03")


@BOOK.friend("malformed-messages")
def _() -> Course:
    """A bad connection breaks a message every twenty minutes: chance, and never three in a row."""
    return unreadable("00:05:01 00:25:01 00:45:01")


# --- clocks ---------------------------------------------------------------------------------------


@BOOK.edge("clock-step", quiet=(-130, 121), told=(-131, 122, 295))
def set_by(by_s: int) -> Course:
    """A pump whose clock is set by so many seconds at 00:30, ahead or back."""
    paper = begin(Start(at_ms=T0 - clock("24:00"), rate_iu_kg_h=ORDERED_IU_KG_H)).run("01:00")
    paper.stream = [
        (at_ms, replace(message, time_ms=message.time_ms + 1_000 * by_s))
        if at_ms > T0 + clock("00:30") and isinstance(message, PumpMessage)
        else (at_ms, message)
        for at_ms, message in paper.stream
    ]
    return Course(paper)


@BOOK.story("clock-step")
def _() -> Course:
    """Somebody sets the pump's clock an hour ahead."""
    return set_by(3_600)


@BOOK.friend("clock-step")
def _() -> Course:
    """The pump's clock was a minute and a half slow and is corrected."""
    return set_by(90)


# --- silence --------------------------------------------------------------------------------------


@BOOK.edge("pump-offline", quiet=239, told=241)
def offline(seconds: int) -> Course:
    """A pump that loses its connection at 00:10 for so many seconds."""
    back = spoken(T0 + clock("00:10") + 1_000 * seconds)
    paper = begin(interval_ms=1_000).run("00:10").say(presence("offline", at="00:10")).mute()
    paper.run(back).mute(False).say(paper.presence()).send()
    return Course(paper.run(spoken(paper.now_ms + 120_000)))


@BOOK.story("pump-offline")
def _() -> Course:
    """The wireless at home is gone for 70 minutes, and the broker tells it."""
    return offline(4_200)


@BOOK.friend("pump-offline")
def _() -> Course:
    """The connection comes and goes every three minutes; telemetry comes through in between."""
    paper = begin().run("00:09")
    for minute in range(10, 40, 3):
        paper.say(paper.presence("offline")).mute().run(f"00:{minute - 1:02}:50").mute(False)
        paper.say(paper.presence()).run(f"00:{minute + 2:02}")
    return Course(paper)


def silent(until: str, interval_ms: int = 10_000) -> Course:
    """A pump that is silent from 00:30 until an instant, and then speaks again."""
    paper = begin(interval_ms=interval_ms).run("00:30").mute().run(until).mute(False)
    paper.send()
    return Course(paper.run(spoken(paper.now_ms + 120_000)))


@BOOK.edge("no-telemetry", quiet="00:34:59", told="00:35:01")
def _(until: str) -> Course:
    """A pump that speaks every ten seconds is silent from 00:30 until then."""
    return silent(until)


@BOOK.story("no-telemetry")
def _() -> Course:
    """Nothing is heard for 65 minutes, and nobody tells that the connection is lost."""
    return silent("01:35")


@BOOK.friend("no-telemetry")
def _() -> Course:
    """A pump that speaks every ten minutes is silent for 50: five of its messages are missing."""
    return silent("01:20", interval_ms=600_000)


def lossy(lost: int, late: str | None = None) -> Course:
    """Of so many messages after 00:30 two of three are lost, or come late at an instant."""
    paper = begin().run("02:40")
    first = next(i for i, (at_ms, _) in enumerate(paper.stream) if at_ms > T0 + clock("00:30"))
    gone = [paper.stream[first + i + i // 2] for i in range(lost)]
    paper.stream = [item for item in paper.stream if item not in gone]
    if late is not None:
        paper.stream += [(T0 + clock(late), message) for _, message in gone]
    return Course(paper)


@BOOK.edge("messages-missing", quiet=17, told=18)
def _(lost: int) -> Course:
    """So many of an hour's 360 messages never come."""
    return lossy(lost)


@BOOK.story("messages-missing")
def _() -> Course:
    """For eight minutes the wire loses two of three messages, 30 in all."""
    return lossy(30)


@BOOK.friend("messages-missing")
def _() -> Course:
    """The same 30 messages are kept by the pump and come 28 minutes late: none was lost."""
    return lossy(30, late="00:58")


# --- the counter ----------------------------------------------------------------------------------


@BOOK.edge("counter-frozen", quiet=59, told=60)
def stood(seconds: int) -> Course:
    """The counter stands from 00:10 on for so long while the pump says that it delivers."""
    paper = begin(interval_ms=1_000).run("00:10")
    flow_ml_h, paper.flow_ml_h = paper.flow_ml_h, 0.0
    paper.run(spoken(paper.now_ms + 1_000 * seconds)).flow_ml_h = flow_ml_h
    return Course(paper.run(spoken(paper.now_ms + 180_000)))


@BOOK.story("counter-frozen")
def _() -> Course:
    """The drive turns and the counter stands for 20 minutes."""
    return stood(1_200)


@BOOK.friend("counter-frozen")
def _() -> Course:
    """At 1.2 mL/h a counter rests for two and a half minutes between two strokes of 0.05 mL."""
    start = Start(at_ms=T0, rate_iu_h=120.0)
    paper = begin(start, step_nl=50_000, flow_ml_h=1.2, state={"rate_ml_h": 1.2})
    return Course(paper.run("01:00"))


def leapt(change: Callable[[Paper], object]) -> Course:
    """Something happens to the counter at 00:10."""
    paper = begin(interval_ms=1_000).run("00:10")
    change(paper)
    return Course(paper.run("00:27"))


@BOOK.edge("counter-fault", quiet=638_000, told=640_000)
def _(gained_nl: int) -> Course:
    """The counter gains so much within a second: 0.5 mL and 500 mL/h are 0.639 mL."""

    def gain(paper: Paper) -> None:
        # A second of the steady flow is in it.
        paper.volume_nl += gained_nl - 4_000

    return leapt(gain)


@BOOK.story("counter-fault")
def _() -> Course:
    """The counter runs backwards by half a millilitre."""

    def fall(paper: Paper) -> None:
        paper.volume_nl -= 500_000

    return leapt(fall)


@BOOK.friend("counter-fault")
def _() -> Course:
    """The counter falls to nothing because its user cleared it, and the pump tells so."""
    return leapt(Paper.clear_counter)

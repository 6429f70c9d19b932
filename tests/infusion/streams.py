"""Rich message streams of one pump, and the ways to disturb them that must change nothing.

The states in them last longer than a minute and their hazards stand further than a minute from the
edges of the rules, so that messages which overtake one another by up to a minute cannot matter.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from hypothesis import strategies as st

from infusion.messages import AlertChange, Event, Message, Presence, PumpMessage, Telemetry
from infusion.monitor import Clock, Monitor, PumpState
from infusion.prescription import Bolus, Hold, Prescription, Start, Stop
from infusion.record import Record
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    RATE_ML_H,
    SITE,
    T0,
    Paper,
    Stream,
    begin,
    clock,
    order,
    presence,
    rate_change,
)

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)
BEAT_MS = 500
# Whoever loses messages on purpose is told so; and a level moves slowly past its limits, so that a
# few messages more or less decide whether it does. Each has tests of its own.
UNSHARP = ("messages-missing", "level-off-course")


def occlusion() -> Stream:
    """A downstream occlusion stops the pump, is released, and comes back."""
    paper = begin().run("00:10").set(pressure_mmhg=400.0).run("00:12")
    paper.stop("alarming", alarms=("downstream-occlusion",), pressure_mmhg=650.0).run("00:28")
    paper.start(alarms=(), pressure_mmhg=60.0).run("00:50")
    paper.stop("alarming", alarms=("downstream-occlusion",), pressure_mmhg=650.0).run("01:35")
    return paper.start(alarms=(), pressure_mmhg=60.0).run("02:00").stream


def rate_error() -> Stream:
    """Tenfold for a quarter of an hour, then a little too high, then right."""
    paper = begin().run("00:20").program(10 * RATE_ML_H).run("00:40").program(1.2 * RATE_ML_H)
    return paper.run("01:10").program(RATE_ML_H).run("01:30").stream


def pause_and_kvo() -> Stream:
    """A pause without an order, then a vein kept open, then a stop to the end."""
    paper = begin().run("00:10").stop().run("00:47").start().run("01:10")
    paper.set(1.0, delivery="kvo", rate_ml_h=1.0).run("01:32").start(rate_ml_h=RATE_ML_H)
    return paper.run("01:50").stop().run("02:05").stream


def silence() -> Stream:
    """Silent for 20 min, offline for 90 min with two alarms before, back with a new boot."""
    paper = begin().run("00:20").mute().run("00:40").mute(False).run("01:00")
    paper.set(alarms=("battery-low",)).run("01:10").say(presence("offline", at="01:00")).mute()
    paper.run("02:40").mute(False).reboot(off="00:02").start(alarms=())
    return paper.run("03:10").stream


def orders() -> Stream:
    """Rate changes that are followed late and early, a hold that is overrun, a bolus, a stop."""
    paper = begin().run("00:02")
    steps = (
        START,
        rate_change("00:10", 14.0),
        Hold(at_ms=T0 + clock("01:00"), until_ms=T0 + clock("01:30")),
        Bolus(at_ms=T0 + clock("02:10"), dose_iu=3_000, duration_s=600),
        Stop(at_ms=T0 + clock("03:00")),
    )
    follow = RATE_ML_H * 14 / 18
    paper.say(order(*steps, version=2)).run("00:45").program(follow).run("01:05").stop()
    paper.run("01:52").start(follow).run("02:10").program(follow + 180.0).run("02:20")
    paper.program(follow).run("03:25").stop().run("03:50")
    return paper.stream


def bags() -> Stream:
    """A bag of double strength, the right one again, and an alarm that has no common name."""
    paper = begin().run("00:15").set(concentration_iu_ml=200.0).run("00:45")
    paper.set(concentration_iu_ml=100.0).run("01:00").set(alarms=("vendor-17",)).run("01:10")
    paper.set(alarms=("reservoir-low", "vendor-17")).run("01:20")
    paper.stop("alarming", alarms=("reservoir-empty",)).run("01:40")
    return paper.start(alarms=()).run("02:00").stream


def counters() -> Stream:
    """A counter that freezes, runs backwards, leaps, is cleared, and begins anew."""
    paper = begin().run("00:10")
    paper.flow_ml_h = 0.0
    paper.run("00:30")
    paper.flow_ml_h = RATE_ML_H
    paper.run("00:45")
    paper.volume_nl -= 2_000_000
    paper.send(Event, event="MDC_EVT_ATTN")
    paper.run("01:10").clear_counter().run("01:30")
    paper.volume_nl += 30_000_000
    paper.send(Event, event="MDC_EVT_ATTN")
    return paper.run("02:00").reboot(off="00:02").start().run("02:20").stream


def flows() -> Stream:
    """A flow too small, too large, and free, at an unchanged programmed rate."""
    paper = begin().run("00:10")
    for factor, until in ((0.8, "00:30"), (1.0, "00:40"), (1.3, "01:05"), (1.0, "01:15")):
        paper.flow_ml_h = factor * RATE_ML_H
        paper.run(until)
    paper.flow_ml_h = 8 * RATE_ML_H
    paper.run("01:19")
    paper.flow_ml_h = RATE_ML_H
    return paper.run("01:30").stream


def strangers() -> Stream:
    """No order at first, then another therapy than the ordered one, then none at all."""
    paper = Paper().say(presence()).start().run("00:10").say(order()).run("00:30")
    paper.set(therapy="T-09").run("00:45").set(therapy="T-01").run("01:00")
    return paper.set(therapy=None).run("01:15").set(therapy="T-01").run("01:30").stream


STREAMS: dict[str, Callable[[], Stream]] = {
    make.__name__: make
    for make in (
        occlusion,
        rate_error,
        pause_and_kvo,
        silence,
        orders,
        bags,
        counters,
        flows,
        strangers,
    )
}


def played(plan: list[tuple[str, int]]) -> Stream:
    """A pump to which things happen, each for some minutes."""
    paper = begin(interval_ms=30_000).run("00:05")
    minute = 5
    for kind, length in plan:
        _HAPPENINGS[kind](paper, _at(minute + length))
        minute += length + 3
        paper.start(rate_ml_h=RATE_ML_H, alarms=(), concentration_iu_ml=100.0).run(_at(minute))
    return paper.stream


def _at(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _muted(paper: Paper, until: str) -> None:
    paper.mute().run(until).mute(False)


def _misflow(paper: Paper, until: str) -> None:
    paper.flow_ml_h = 1.4 * RATE_ML_H
    paper.run(until)


_HAPPENINGS: dict[str, Callable[[Paper, str], object]] = {
    "stop": lambda paper, until: paper.stop().run(until),
    "alarm": lambda paper, until: paper.stop(alarms=("air-in-line",)).run(until),
    "low": lambda paper, until: paper.set(alarms=("battery-low",)).run(until),
    "tenfold": lambda paper, until: paper.program(10 * RATE_ML_H).run(until),
    "bag": lambda paper, until: paper.set(concentration_iu_ml=50.0).run(until),
    "silence": _muted,
    "misflow": _misflow,
    "boot": lambda paper, until: paper.reboot(off="00:01").start().run(until),
    "clear": lambda paper, until: paper.clear_counter().run(until),
}

# The lengths are never near the 5, 10, 15, 30 and 60 minutes of the rules.
plans = st.lists(
    st.tuples(st.sampled_from(sorted(_HAPPENINGS)), st.sampled_from([2, 7, 12, 18, 23, 40, 50])),
    min_size=1,
    max_size=5,
)


# --- how a stream is given to a monitor ----------------------------------------------------------


@dataclass
class Outcome:
    """What came of a stream: everything said, and the monitor as it stands."""

    monitor: Monitor
    changes: list[AlertChange] = field(default_factory=list)
    # Each open alert by pump and rule, with each priority of its own that it had: without what it
    # was lent by what hides behind it.
    own: set[tuple[str, str, str]] = field(default_factory=set)

    def look(self) -> None:
        """Note the priorities of the pumps that were looked at since the last time."""
        for key in self.monitor.touched:
            state = self.monitor.pumps[key]
            self.own |= {
                (state.pump, rule, track.priority.value)
                for rule, track in state.board.tracks.items()
                if track.alert is not None and rule not in UNSHARP
            }
        self.monitor.touched.clear()

    def reached(self) -> set[tuple[str, str, str]]:
        """Each alert by pump and rule, with each priority that it reached.

        Without those of `UNSHARP`.
        """
        return {
            (change.alert.pump, change.alert.rule, change.alert.priority.value)
            for change in self.changes
            if change.alert.rule not in UNSHARP
        }

    def totals(self) -> dict[str, tuple[int, float]]:
        return {
            key: (state.account.pumped_nl, round(state.account.pumped_iu, 6))
            for key, state in self.monitor.pumps.items()
        }


def timetable(stream: Stream, *, tail_ms: int = 0) -> list[tuple[int, Message | None]]:
    """The stream with a heartbeat (None) every half second, as a broker would give it."""
    if not stream:
        return []
    beats = range(stream[0][0], stream[-1][0] + tail_ms + BEAT_MS, BEAT_MS)
    slots: list[tuple[int, Message | None]] = [*stream, *((at_ms, None) for at_ms in beats)]
    return sorted(slots, key=lambda slot: slot[0])


def run(slots: list[tuple[int, Message | None]], monitor: Monitor | None = None) -> Outcome:
    """Give messages and heartbeats to a monitor, in order."""
    outcome = Outcome(monitor or Monitor())
    for at_ms, message in slots:
        if message is None:
            outcome.changes += outcome.monitor.tick(at_ms)
        else:
            outcome.changes += outcome.monitor.receive(message, SITE, at_ms)
        outcome.look()
    return outcome


def restarted(monitor: Monitor) -> Monitor:
    """Another monitor that begins from what the first one would have stored."""
    pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode
    fresh = Monitor(monitor.settings)
    fresh.restore(
        unpack(pack(monitor.clock), type=Clock),
        {
            key: unpack(pack(record), type=Record)
            for key, record in monitor.therapies.records.items()
        },
    )
    for state in monitor.pumps.values():
        fresh.restore_pump(unpack(pack(state), type=PumpState))
    return fresh


def moved(message: Message, by_ms: int) -> Message:
    """The same message at another time: every instant in it is moved."""
    if isinstance(message, PumpMessage | Presence):
        return msgspec.structs.replace(message, time_ms=message.time_ms + by_ms)
    assert isinstance(message, Prescription)
    steps = []
    for step in message.steps:
        fields = {"at_ms": step.at_ms + by_ms}
        if isinstance(step, Hold):
            fields["until_ms"] = step.until_ms + by_ms
        steps.append(msgspec.structs.replace(step, **fields))
    return msgspec.structs.replace(message, steps=tuple(steps))


def thinned(stream: Stream, chance: random.Random) -> Stream:
    """Without 30 % of the telemetry that only repeats the state of the pump.

    The last message of each boot stays, and so does the one before a counter is cleared: without
    them nobody could know the volume that the account is asked for. At most five in a row are
    lost, because more of them would be a silence that must be said.
    """
    kept: Stream = []
    lost = 0
    before: Telemetry | None = None
    for (at_ms, message), (_, after) in zip(stream, [*stream[1:], (0, None)], strict=True):
        if isinstance(message, Telemetry):
            changed = before is None or _state(message) != _state(before)
            before = message
            is_last = not isinstance(after, Telemetry) or after.boot != message.boot
            lost += 1
            if not (changed or is_last) and lost <= 5 and chance.random() < 0.3:
                continue
            lost = 0
        kept.append((at_ms, message))
    return kept


def _state(message: Telemetry) -> tuple[object, ...]:
    return (
        message.boot,
        message.status,
        message.delivery,
        message.rate_ml_h,
        message.concentration_iu_ml,
        message.therapy,
        message.alarms,
    )


def overtaken(stream: Stream, chance: random.Random, most_ms: int = 59_000) -> Stream:
    """Each message comes up to a minute late; the times in the messages stay."""
    late = [(at_ms + chance.randrange(most_ms), message) for at_ms, message in stream]
    return sorted(late, key=lambda item: item[0])

"""Message streams of several pumps on paper, as they cross the broker."""

from typing import Any

import msgspec

from infusion.alarms import Priority
from infusion.alert import What
from infusion.clinical import LabResult, Report
from infusion.messages import (
    Act,
    Alert,
    AlertChange,
    Event,
    Kind,
    Message,
    Presence,
    PumpMessage,
    Topic,
    encode,
)
from infusion.monitor import Monitor, MonitorSettings
from infusion.prescription import Prescription
from monitor.ports import Entry
from monitor.runner import step
from tests.infusion.bench import RATE_ML_H, SITE, T0, Paper, Stream, begin, clock

# Time, topic, payload.
Wire = list[tuple[int, str, bytes]]


def _occluded() -> Paper:
    paper = begin().run("00:08").stop("alarming", alarms=("downstream-occlusion",)).run("00:21")
    return paper.start(alarms=()).run("00:40")


def _tenfold() -> Paper:
    paper = begin().run("00:05").set(10 * RATE_ML_H, rate_ml_h=10 * RATE_ML_H).run("00:23")
    return paper.set(RATE_ML_H, rate_ml_h=RATE_ML_H).run("00:40")


def _paused() -> Paper:
    return begin().run("00:04").stop().run("00:37").start().run("00:40")


def _diluted() -> Paper:
    paper = begin().run("00:12").set(concentration_iu_ml=50.0).run("00:30")
    return paper.set(concentration_iu_ml=100.0).run("00:40")


def _frozen() -> Paper:
    return begin().run("00:10").set(0.0).run("00:20").set(RATE_ML_H).run("00:40")


def _quiet() -> Paper:
    return begin().run("00:40")


def result(therapy: str, at: str, value: float = 0.5, specimen: str = "S-1") -> LabResult:
    """An anti-Xa level, drawn half an hour before it came."""
    at_ms = T0 + clock(at)
    return LabResult(
        therapy=therapy,
        specimen=specimen,
        test="anti-xa",
        value=value,
        unit="[iU]/mL",
        drawn_ms=at_ms - clock("00:30"),
        resulted_ms=at_ms,
    )


def told(therapy: str, at: str, what: str = "bruising") -> Report:
    """What a nurse reports of a therapy."""
    at_ms = T0 + clock(at)
    return Report(therapy=therapy, report=f"R-{at_ms}", what=what, by="nurse-1", time_ms=at_ms)


def _clinic() -> Stream:
    """Results and reports that are no reason for an alert, one for a therapy without an order."""
    said = [result("T-06", "00:09"), result("T-06", "00:21", 0.55, "S-2"), result("T-77", "00:12")]
    reports = [told("T-01", "00:11", "visit"), told("T-06", "00:26", "visit")]
    stream: Stream = [(each.resulted_ms, each) for each in said]
    return stream + [(each.time_ms, each) for each in reports]


def ward() -> Wire:
    """Six pumps for 40 minutes: five in trouble that shows in their own messages, one quiet.

    The clinic says something in between.
    """
    makers = (_occluded, _tenfold, _paused, _diluted, _frozen, _quiet)
    streams = [_renamed(make().stream, number) for number, make in enumerate(makers, start=1)]
    streams.append(_clinic())
    merged = sorted((entry for stream in streams for entry in stream), key=lambda entry: entry[0])
    return [(at_ms, topic_of(message), encode(message)) for at_ms, message in merged]


def _renamed(stream: Stream, number: int) -> Stream:
    """The same stream, told by another pump on another therapy."""
    renamed: Stream = []
    for at_ms, message in stream:
        names: dict[str, object] = {"pump": f"P-{number:02}"}
        if "therapy" in message.__struct_fields__:
            names["therapy"] = f"T-{number:02}"
        renamed.append((at_ms, msgspec.structs.replace(message, **names)))
    return renamed


def with_acts(wire: Wire) -> Wire:
    """The same, bad news of the clinic, and what nurses do about each alert once it is raised."""
    level, report = result("T-06", "00:31", 1.4, "S-3"), told("T-05", "00:32", "bleeding")
    heard = [
        (level.resulted_ms, topic_of(level), encode(level)),
        (report.time_ms, topic_of(report), encode(report)),
    ]
    wire = sorted(wire + heard, key=lambda entry: entry[0])
    monitor = Monitor(MonitorSettings(stall_ms=60_000))
    acts: Wire = []
    for at_ms, topic, payload in wire:
        said, _ = step(monitor, [Entry(at_ms, topic, payload, "1")])
        for each in said:
            if isinstance(each, AlertChange) and each.change == "raised":
                acts += _answers(at_ms, each.alert)
    return sorted(wire + acts, key=lambda entry: entry[0])


def act(alert: Alert, name: str, what: What, at_ms: int, **more: Any) -> Act:
    """An act on an alert as it stands, by the first nurse unless another is named."""
    fields: dict[str, Any] = {
        "act": name,
        "pump": alert.pump,
        "alert": alert.id,
        "version": alert.version,
        "what": what,
        "by": "nurse-1",
        "time_ms": at_ms,
    }
    return Act(**(fields | more))


def _answers(raised_ms: int, alert: Alert) -> Wire:
    """One takes it, another is late, the first presses again; then things that may be refused."""
    first = act(alert, f"A-{alert.rule}-{alert.onset_ms}", "take", raised_ms + 20_000)
    later = raised_ms + 60_000
    acts = [
        (first.time_ms, first),
        (first.time_ms + 5_000, msgspec.structs.replace(first, act=f"{first.act}-2", by="nurse-2")),
        (first.time_ms + 6_000, first),
    ]
    version = alert.version + 1
    # The last is refused for an alert that is HIGH, and too late for another.
    words: list[What] = ["acknowledge", "audio-pause", "note", "release", "snooze"]
    if alert.priority is not Priority.HIGH:
        words.insert(1, "snooze")
    for number, what in enumerate(words, start=3):
        more = {"version": version, "until_ms": later + 90_000, "text": "seen to"}
        acts.append((later, act(alert, f"{first.act}-{number}", what, later, **more)))
        version += 1
    gone = msgspec.structs.replace(first, act=f"{first.act}-9", alert=f"{alert.id}1")
    acts.append((later, gone))
    return [(at_ms, topic_of(each), encode(each)) for at_ms, each in acts]


_NAMED_BY_THERAPY: dict[type, Kind] = {
    Prescription: Kind.ORDER,
    LabResult: Kind.LAB,
    Report: Kind.REPORT,
}


def topic_of(message: Message) -> str:
    """The topic on which a message of the ward is published."""
    kind = _NAMED_BY_THERAPY.get(type(message))
    if kind is not None:
        assert isinstance(message, Prescription | LabResult | Report)
        return str(Topic(kind, SITE, message.therapy))
    assert isinstance(message, PumpMessage | Presence | Act)
    kind = Kind.TELEMETRY
    if isinstance(message, Presence):
        kind = Kind.PRESENCE
    elif isinstance(message, Act):
        kind = Kind.ACT
    elif isinstance(message, Event):
        kind = Kind.EVENT
    return str(Topic(kind, SITE, message.pump))

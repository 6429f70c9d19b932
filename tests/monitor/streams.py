"""Message streams of several pumps on paper, as they cross the broker."""

import msgspec

from infusion.messages import Event, Kind, Message, Presence, PumpMessage, Topic, encode
from infusion.prescription import Prescription
from tests.infusion.bench import RATE_ML_H, SITE, Paper, Stream, begin

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


def ward() -> Wire:
    """Six pumps for 40 minutes: five in trouble that shows in their own messages, one quiet."""
    makers = (_occluded, _tenfold, _paused, _diluted, _frozen, _quiet)
    streams = [_renamed(make().stream, number) for number, make in enumerate(makers, start=1)]
    merged = sorted((entry for stream in streams for entry in stream), key=lambda entry: entry[0])
    return [(at_ms, _topic(message), encode(message)) for at_ms, message in merged]


def _renamed(stream: Stream, number: int) -> Stream:
    """The same stream, told by another pump on another therapy."""
    renamed: Stream = []
    for at_ms, message in stream:
        names: dict[str, object] = {"pump": f"P-{number:02}"}
        if "therapy" in message.__struct_fields__:
            names["therapy"] = f"T-{number:02}"
        renamed.append((at_ms, msgspec.structs.replace(message, **names)))
    return renamed


def _topic(message: Message) -> str:
    assert isinstance(message, (Prescription, PumpMessage, Presence))
    if isinstance(message, Prescription):
        return str(Topic(Kind.ORDER, SITE, message.therapy))
    kind = Kind.TELEMETRY
    if isinstance(message, Presence):
        kind = Kind.PRESENCE
    elif isinstance(message, Event):
        kind = Kind.EVENT

    return str(Topic(kind, SITE, message.pump))

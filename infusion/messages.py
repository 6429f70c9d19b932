"""Contract v1: every message that crosses the broker, and the topics it crosses on.

Payloads are JSON. Unknown fields are ignored, so a newer minor version does no harm; bad values
are refused with a `MessageError` that names the field. Anything that is published is one of the
Structs below. See docs/contract.md for the table of topics, QoS and retention.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

# The alert's own messages are a file of their own, and part of the contract all the same.
from infusion.alert import Act as Act
from infusion.alert import Alert as Alert
from infusion.alert import AlertChange as AlertChange
from infusion.alert import Audit as Audit
from infusion.alert import Change as Change
from infusion.alert import Evidence as Evidence
from infusion.alert import OpenAlerts as OpenAlerts
from infusion.clinical import LabResult, Report
from infusion.errors import MessageError
from infusion.prescription import (
    ConcentrationIuMl,
    Name,
    Prescription,
    TimeMs,
    WeightKg,
)
from infusion.truth import Truth

CONTRACT = "1"
CONTENT_TYPE = "application/json"
# What every message says of itself in MQTT 5, so that a reader knows how to decode it.
USER_PROPERTIES = (("contract", CONTRACT),)
PREFIX = "infusion/v1"
# The site under which monitors announce themselves; no pump can live there.
MONITOR_SITE = "monitor"

PAYLOAD_BYTES_MAX = 16_384
ORDER_BYTES_MAX = 131_072
TOPIC_LENGTH_MAX = 256
ALARMS_MAX = 32

VolumeMl = Annotated[float, Meta(ge=0, le=1_000_000)]
FlowMlH = Annotated[float, Meta(ge=0, le=10_000)]
PressureMmHg = Annotated[float, Meta(ge=-1_000, le=10_000)]
ReservoirGauge = Literal["measured", "counted", "none"]
Counter = Annotated[int, Meta(ge=0, le=2**53)]
# A boot and a sequence number are packed into one 64-bit key, so each has its own bound.
Boot = Annotated[int, Meta(ge=0, le=2**20 - 1)]
Sequence = Annotated[int, Meta(ge=0, le=2**42 - 1)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=256)]


class Kind(StrEnum):
    """The last level of a topic: what sort of message it carries."""

    TELEMETRY = "telemetry"
    EVENT = "event"
    PRESENCE = "presence"
    TRUTH = "truth"
    ORDER = "order"
    LAB = "lab"
    REPORT = "report"
    ALERTS = "alerts"
    ALERT_LOG = "alert-log"
    ACT = "act"
    AUDIT = "audit"
    MONITOR_PRESENCE = "monitor-presence"


class Topic(Struct, frozen=True, gc=False):
    """A topic of contract v1: `infusion/v1/{site}/{name}/{kind}`.

    `name` is a pump, a therapy (for orders, results and reports) or a monitor instance.
    """

    kind: Kind
    site: str
    name: str

    def __str__(self) -> str:
        kind = Kind.PRESENCE if self.kind is Kind.MONITOR_PRESENCE else self.kind
        return f"{PREFIX}/{self.site}/{self.name}/{kind.value}"


def subscription(kind: Kind, *, site: str = "+", name: str = "+") -> str:
    """The topic filter for a kind of message, over all sites and names unless they are given."""
    if kind is Kind.MONITOR_PRESENCE:
        site = MONITOR_SITE
    return str(Topic(kind, site, name))


class PumpMessage(Struct, frozen=True, kw_only=True):
    """What telemetry and events have in common: who, when, and how delivery stands.

    `boot` counts restarts, `seq` counts the messages of one boot by one. `volume_ml` is cumulative
    since the boot and never decreases in it, unless the user clears the counter (an event).
    """

    pump: Name
    boot: Boot
    seq: Sequence
    time_ms: TimeMs
    status: Literal["infusing", "not-infusing"]
    delivery: Literal["delivering", "not-delivering", "transitioning", "kvo"]
    reason: Word | None = None
    rate_ml_h: FlowMlH
    flow_ml_h: FlowMlH
    volume_ml: VolumeMl
    segment_ml: VolumeMl
    concentration_iu_ml: ConcentrationIuMl
    therapy: Name | None = None
    order_version: Counter = 0
    alarms: Annotated[tuple[Word, ...], Meta(max_length=ALARMS_MAX)] = ()


class Panel(Struct, frozen=True, kw_only=True, gc=False):
    """What else the panel of a pump shows.

    `mode` is IPEC's delivery mode. `sounds` is the alarm that is heard, None while `audio` is
    paused; `locked` the keypad; `outside_library` that what runs was programmed past the drug
    library; `standby_until_ms` when a standby expires.
    """

    mode: Word = "continuous"
    audio: Literal["on", "paused"] = "on"
    sounds: Word | None = None
    locked: bool = False
    outside_library: bool = False
    standby_until_ms: TimeMs | None = None


class Telemetry(PumpMessage, frozen=True, kw_only=True, gc=False):
    """The whole state of a pump, at equal intervals and at once on any change of state.

    `panel` is None as long as it shows nothing but its defaults, which is nearly always.
    """

    vtbi_ml: VolumeMl
    vtbi_remaining_ml: VolumeMl
    weight_kg: WeightKg
    dose_rate_iu_kg_h: Annotated[float, Meta(ge=0, le=1_000_000)]
    reservoir_ml: VolumeMl
    pressure_mmhg: PressureMmHg
    air_ul: Annotated[float, Meta(ge=0, le=1_000_000)]
    battery: Annotated[float, Meta(ge=0, le=1)]
    power: Literal["mains", "battery"]
    panel: Panel | None = None


class Event(PumpMessage, frozen=True, kw_only=True, gc=False):
    """Something that happened: IHE IPEC delivery events, alarms on and off, user actions.

    `event` is an IEEE 11073 REFID, or one of infusion.alarms.OWN_EVENTS; `user` is
    who did it. For an alarm, `alarm` is its key in `alarms` and `phase` says whether it began or
    ended. `source` and `mode` are the active source and the delivery mode in IPEC terms, without
    their common prefixes.
    """

    event: Word
    phase: Literal["start", "end"] | None = None
    alarm: Word | None = None
    source: Word = "primary"
    mode: Word = "continuous"
    detail: Text = ""
    user: Word | None = None


class Presence(Struct, frozen=True, kw_only=True, gc=False):
    """Whether a pump is connected; retained, and also its will. Not counted in `seq`.

    Of two, the one with the later `(boot, time_ms)` holds. A will is made before its connection,
    so it has the `time_ms` of the `online` that opens the connection, and of equals the one that
    comes last holds. `volume_step_ml` is what the volume counter moves by at once, the stroke of a
    cassette for example; 0 for a counter that moves evenly.

    What the pump's data sheet and settings say: `accuracy` of the mean flow as a share, 0.06 for
    ±6 %, and `occlusion_limit_mmhg`, the line pressure at which it is set to alarm; the true limit
    of one pump lies around it. `reservoir_gauge` says what `reservoir_ml` is worth: `measured`
    apart from the counter, `counted` by it, so that it tells nothing more, or `none`, the same
    number on a pump that neither watches it nor alarms by it.
    """

    pump: Name
    boot: Boot
    state: Literal["online", "offline"]
    time_ms: TimeMs
    firmware: Word
    profile: Word
    interval_s: Annotated[float, Meta(gt=0, le=86_400)]
    rate_max_ml_h: Annotated[float, Meta(gt=0, le=10_000)]
    volume_step_ml: Annotated[float, Meta(ge=0, le=10)] = 0.0
    accuracy: Annotated[float, Meta(gt=0, le=0.5)] | None = None
    occlusion_limit_mmhg: Annotated[float, Meta(gt=0, le=10_000)] | None = None
    reservoir_gauge: ReservoirGauge = "counted"


class MonitorPresence(Struct, frozen=True, kw_only=True):
    """The heartbeat of a monitor; retained, and also its will. `beat` counts by one.

    `behind_ms` is how far behind its broker the monitor was, on its own clock.
    """

    instance: Name
    state: Literal["online", "offline"]
    time_ms: TimeMs
    beat: Counter
    behind_ms: Counter = 0


Message = (
    Telemetry
    | Event
    | Presence
    | MonitorPresence
    | Truth
    | Prescription
    | LabResult
    | Report
    | OpenAlerts
    | AlertChange
    | Act
    | Audit
)

_TYPES: dict[Kind, Any] = {
    Kind.TELEMETRY: Telemetry,
    Kind.EVENT: Event,
    Kind.PRESENCE: Presence,
    Kind.TRUTH: Truth,
    Kind.ORDER: Prescription,
    Kind.LAB: LabResult,
    Kind.REPORT: Report,
    Kind.ALERTS: OpenAlerts,
    Kind.ALERT_LOG: AlertChange,
    Kind.ACT: Act,
    Kind.AUDIT: Audit,
    Kind.MONITOR_PRESENCE: MonitorPresence,
}
_DECODERS = {kind: msgspec.json.Decoder(type_) for kind, type_ in _TYPES.items()}
_NAME_FIELD = {
    Kind.TELEMETRY: "pump",
    Kind.EVENT: "pump",
    Kind.PRESENCE: "pump",
    Kind.TRUTH: "pump",
    Kind.ALERTS: "pump",
    Kind.ACT: "pump",
    Kind.AUDIT: "pump",
    Kind.ORDER: "therapy",
    Kind.LAB: "therapy",
    Kind.REPORT: "therapy",
    Kind.MONITOR_PRESENCE: "instance",
}
# What one message of a kind may weigh. A monitor's own messages hold lists, so they may be long.
_BYTES_MAX = {
    Kind.ORDER: ORDER_BYTES_MAX,
    Kind.ALERTS: ORDER_BYTES_MAX,
    Kind.ALERT_LOG: ORDER_BYTES_MAX,
    Kind.AUDIT: ORDER_BYTES_MAX,
}
# All of that in one place, because a look-up by kind is not for nothing: bytes, decoder, name.
_READ_AS: dict[Kind, tuple[int, Any, str | None]] = {
    kind: (_BYTES_MAX.get(kind, PAYLOAD_BYTES_MAX), decoder.decode, _NAME_FIELD.get(kind))
    for kind, decoder in _DECODERS.items()
}
_KINDS: dict[str, Kind] = {k.value: k for k in Kind if k is not Kind.MONITOR_PRESENCE}
# What a pump or a therapy says is on such a topic; its length is bounded by those of its parts.
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_TOPIC = re.compile(f"{re.escape(PREFIX)}/({_NAME})/({_NAME})/([a-z-]+)")
_ENCODER = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """The JSON payload of a message."""
    return _ENCODER.encode(message)


@lru_cache(maxsize=65_536)
def parse_topic(topic: str) -> Topic:
    """Read a topic of contract v1.

    Raises `MessageError` (kind `topic`) for anything else.
    """
    found = _TOPIC.fullmatch(topic)
    kind = _KINDS.get(found[3]) if found is not None else None
    if found is not None and kind is not None and found[1] != MONITOR_SITE:
        # Nearly all there are, at a fifth of the price of telling what is wrong with one.
        return Topic(kind, found[1], found[2])
    parts = topic.split("/")
    if len(topic) > TOPIC_LENGTH_MAX or len(parts) != 5 or "/".join(parts[:2]) != PREFIX:
        raise MessageError("topic", f"topic {topic[:TOPIC_LENGTH_MAX]!r} is not {PREFIX}/…/…/…")
    _, _, site, name, leaf = parts
    kind = _KINDS.get(leaf)
    if site == MONITOR_SITE and kind is not None:
        kind = Kind.MONITOR_PRESENCE if kind is Kind.PRESENCE else None
    if kind is None:
        known = ", ".join(sorted(_KINDS)) if site != MONITOR_SITE else Kind.PRESENCE.value
        raise MessageError("topic", f"topic {topic!r} ends in {leaf!r}; it must be one of {known}")
    for label, value in (("site", site), ("name", name)):
        try:
            msgspec.convert(value, Name)
        except msgspec.ValidationError:
            text = f"topic {topic!r}: the {label} {value!r} is not letters, digits, '.', '_', '-'"
            raise MessageError("topic", text) from None
    return Topic(kind, site, name)


def decode(topic: Topic, payload: bytes, *, contract: str | None = None) -> Message:
    """Read the payload of a message that came on a topic.

    `contract` is the MQTT user property of that name; without it (MQTT 3.1.1 has none) the
    contract in the topic stands. Raises `MessageError` of kind `contract` (unknown major
    version), `oversize`, `payload` (not JSON, a field missing or a bad value: the text names the
    field) or `identity` (the payload names another pump, therapy or instance than the topic).
    """
    if contract is not None and contract != CONTRACT and contract.split(".", 1)[0] != CONTRACT:
        raise _error("contract", topic, f"contract {contract!r} is unknown; {CONTRACT} is spoken")
    limit, read, field = _READ_AS[topic.kind]
    if len(payload) > limit:
        raise _error("oversize", topic, f"{len(payload)} bytes are more than {limit}")
    try:
        message: Message = read(payload)
    except msgspec.DecodeError as error:
        raise _error("payload", topic, str(error)) from None
    except UnicodeDecodeError:
        raise _error("payload", topic, "not UTF-8") from None
    except RecursionError:
        raise _error("payload", topic, "nested too deeply") from None
    if field is not None and getattr(message, field) != topic.name:
        text = f"the payload says {field} {getattr(message, field)!r}"
        raise _error("identity", topic, text)
    return message


def _error(kind: str, topic: Topic, text: str) -> MessageError:
    is_pump = topic.kind in (Kind.TELEMETRY, Kind.EVENT, Kind.PRESENCE)
    therapy = topic.name if topic.kind is Kind.ORDER else None
    pump = topic.name if is_pump else None
    return MessageError(kind, f"{topic}: {text}", pump=pump, therapy=therapy)

"""What the monitor is fed: the real messages of a fleet, made in virtual time before a run.

Orders come first, so that every rule has something to hold the pumps against. The scenario is the
demonstration: four of its first twenty pumps are in trouble and alerts do go out; all other pumps
are quiet, as most pumps are. Every `(pump, boot, seq)` is there once, so nothing is a duplicate.
"""

from msgspec import Struct
from msgspec.structs import replace

from host.process import read_named
from infusion.messages import (
    CONTENT_TYPE,
    CONTRACT,
    USER_PROPERTIES,
    Event,
    Kind,
    PumpMessage,
    Telemetry,
    Topic,
    decode,
    encode,
    parse_topic,
)
from infusion.units import nanolitres
from link import Link
from simulator.fleet import Fleet
from simulator.profile import Profile, read_profile
from simulator.story.scenario import Scenario, read_scenario
from simulator.stream import Outgoing

SITE = "home"
START_MS = 1_790_000_000_000
SEED = 1
CHUNK_MS = 10_000


class Counted(Struct):
    """What the monitor's account of one pump must come to."""

    messages: int = 0
    seq: int = -1
    volume_nl: int = 0


def story(name: str) -> tuple[Scenario, Profile]:
    """A shipped scenario, on the shipped pump."""
    return (
        read_scenario(*read_named(name, "scenarios")),
        read_profile(*read_named("ambulatory", "pumps")),
    )


def make_fleet(pumps: int, scenario: str = "demo") -> Fleet:
    """A fleet at its beginning."""
    return Fleet(*story(scenario), pumps=pumps, start_ms=START_MS, seed=SEED)


def first_messages(fleet: Fleet, count: int) -> list[Outgoing]:
    """The first so many messages of a fleet, in the order in which it says them."""
    found: list[Outgoing] = []
    to_ms = fleet.now_ms
    while len(found) < count:
        found += [each for each in fleet.advance(to_ms) if isinstance(each, Outgoing)]
        to_ms += CHUNK_MS
    return found[:count]


def alarming(sample: Telemetry | Event, pump: str, seq: int) -> tuple[str, bytes]:
    """A message like `sample`, of another pump that alarms, as topic and payload.

    The monitor raises a device alarm at once, so the alert that follows tells an onlooker that
    this message, and all that were published before it with its kind, are handled. (MQTT keeps
    the order of messages of one subscription; brokers may deliver two subscriptions in turns.)
    """
    message = replace(sample, pump=pump, seq=seq, alarms=("downstream-occlusion",))
    kind = Kind.TELEMETRY if isinstance(sample, Telemetry) else Kind.EVENT
    return str(Topic(kind, SITE, pump)), encode(message)


def last_of(kind: Kind, messages: list[Outgoing]) -> Telemetry | Event:
    """The newest telemetry or event of a stream, read back."""
    for each in reversed(messages):
        if each.kind is kind:
            read = decode(parse_topic(each.topic), each.payload, contract=CONTRACT)
            assert isinstance(read, Telemetry | Event)
            return read
    raise ValueError(f"there is no {kind.value} in the stream")


def count(messages: list[Outgoing]) -> dict[str, Counted]:
    """What the accounts must come to after a stream, by `site/pump`; no pump restarts in it."""
    counted: dict[str, Counted] = {}
    for each in messages:
        read = decode(parse_topic(each.topic), each.payload, contract=CONTRACT)
        if isinstance(read, PumpMessage):
            pump = counted.setdefault(f"{SITE}/{read.pump}", Counted())
            pump.messages += 1
            if read.seq > pump.seq:
                pump.seq, pump.volume_nl = read.seq, nanolitres(read.volume_ml)
    return counted


def send(link: Link, topic: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish one message as a pump does: QoS 1, with its content type and contract."""
    link.publish(
        topic,
        payload,
        retain=retain,
        content_type=CONTENT_TYPE,
        user_properties=USER_PROPERTIES,
    )


async def publish(link: Link, messages: list[Outgoing], timeout_s: float) -> None:
    """Publish a stream in order, as fast as the broker takes it, and see it acknowledged."""
    for each in messages:
        await link.room()
        send(link, each.topic, each.payload, retain=each.retain)
    await link.drain(timeout_s)

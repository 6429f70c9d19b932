"""A tiny MQTT 5 server made of mqtt5 packets, and the fake wire that joins it to our session."""

from dataclasses import dataclass, field

import mqtt5
import pytest

from link.interface import Counters, LinkSettings, Message, Subscription
from link.packets import Outgoing
from link.session import Session
from link.states import Accepted, Ended, Event, Settled, State

SETTINGS = LinkSettings(client_id="pump", session_expiry_s=60, keep_alive_s=10)
Codes = mqtt5.DisconnectReasonCode
QOS_0, QOS_1, QOS_2 = mqtt5.QoS(0), mqtt5.QoS(1), mqtt5.QoS(2)
# mqtt5 0.8 panics on bad UTF-8: the link survives, but the panic itself reports to stderr.
CODEC_PANICS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
OK = mqtt5.ConnAckPacket()


def outgoing(payload: bytes = b"", **changes: object) -> Outgoing:
    """A message of ours with sensible defaults."""
    values: dict[str, object] = {
        "topic": "t",
        "payload": payload,
        "qos": 1,
        "retain": False,
        "content_type": None,
        "user_properties": (),
        "response_topic": None,
        "correlation_data": None,
        "expires_at": None,
        **changes,
    }
    return Outgoing(**values)  # type: ignore[arg-type]


def parse(data: bytes) -> list[mqtt5.Packet]:
    """All packets in bytes that hold whole ones."""
    packets, at = [], 0
    while at < len(data):
        packet, used = mqtt5.read(memoryview(data)[at:])
        packets.append(packet)
        at += used
    return packets


@dataclass
class Wire:
    """Our session on one end; on the other a script. `heard` is what the server got."""

    session: Session
    counters: Counters
    heard: list[mqtt5.Packet] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    greetings: list[Outgoing] = field(default_factory=list)
    acknowledged: dict[int, int] = field(default_factory=dict)
    now: float = 100.0

    @classmethod
    def make(cls, settings: LinkSettings = SETTINGS, *topics: str) -> "Wire":
        counters = Counters()
        subscriptions = [Subscription(topic) for topic in topics]
        return cls(Session(settings, subscriptions=subscriptions, counters=counters), counters)

    def connect(self, answer: mqtt5.ConnAckPacket = OK) -> list[mqtt5.Packet]:
        """A new connection up to the open state; returns what the server heard after CONNACK."""
        self.session.connect(self.now)
        assert isinstance(self.flush()[0], mqtt5.ConnectPacket)
        self.serve(answer)
        return self.flush()

    def serve(self, *packets: mqtt5.Packet | bytes) -> list[Event]:
        """The server says something; greets when accepted, as an owner would."""
        data = b"".join(each if isinstance(each, bytes) else each.write() for each in packets)
        return self.feed(data)

    def feed(self, data: bytes) -> list[Event]:
        """Bytes for the session."""
        fresh = self.session.receive(data, self.now)
        self.events += fresh
        if fresh and isinstance(fresh[-1], Accepted):
            for greeting in self.greetings:
                self.session.publish(greeting)
            self.session.open()
            return fresh + self.feed(b"")
        return fresh

    def publish(self, *messages: Outgoing) -> list[mqtt5.Packet]:
        """Publish and let it out; returns what the server heard."""
        for message in messages:
            self.session.publish(message)
        return self.flush()

    def flush(self) -> list[mqtt5.Packet]:
        """Let out what is ready."""
        data, events = self.session.send(self.now)
        self.events += events
        packets = parse(data)
        self.heard += packets
        return packets

    def tick(self, seconds: float) -> list[Event]:
        """Time passes."""
        self.now += seconds
        fresh = self.session.tick(self.now)
        self.events += fresh
        return fresh

    def lose(self) -> list[Event]:
        """The wire breaks."""
        fresh = self.session.lost()
        self.events += fresh
        assert self.session.state is State.IDLE
        return fresh

    @property
    def settled(self) -> list[tuple[bytes, str | None]]:
        """Payload and fate of each settled message."""
        kind = Settled
        return [(each.outgoing.payload, each.reason) for each in self.events if type(each) is kind]

    @property
    def messages(self) -> list[Message]:
        """What arrived."""
        return [each for each in self.events if type(each) is Message]

    @property
    def ended(self) -> Ended:
        """How the last connection ended."""
        return [each for each in self.events if type(each) is Ended][-1]


def delivery(packet_id: int, payload: bytes = b"") -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket("t", payload, qos=QOS_1, packet_id=packet_id)


def sent(packets: list[mqtt5.Packet]) -> list[tuple[bytes, int | None, bool]]:
    """Payload, packet id and DUP of each PUBLISH."""
    return [
        (each.payload, each.packet_id, each.duplicate)
        for each in packets
        if isinstance(each, mqtt5.PublishPacket)
    ]


def said(packets: list[mqtt5.Packet]) -> Codes:
    """The reason of the DISCONNECT that comes last."""
    last = packets[-1]
    assert isinstance(last, mqtt5.DisconnectPacket)
    return last.reason_code

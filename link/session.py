"""The MQTT 5 client session: bytes in, events out. No socket, clock, task or log.

The theory (four states, six rules) and the tables of states are in `link.states`; this file acts
on them.
"""

from collections import deque
from collections.abc import Callable, Sequence

import mqtt5

from link.interface import Counters, LinkSettings, Message, Subscription, Will
from link.packets import (
    FINAL_CONNACKS,
    FINAL_DISCONNECTS,
    HeldAcknowledgements,
    MalformedPacketError,
    Outgoing,
    connect_packet,
    publish_fault,
    publish_packet,
    read_packet,
    refusal,
    subscribe_packet,
)
from link.states import (
    CONNECTION_CLOSED,
    RECEIVABLE,
    TRANSITIONS,
    Accepted,
    Ended,
    Event,
    Happening,
    Settled,
    State,
    Subscribed,
)

SEND_BYTES_MAX = 131_072  # one write: long enough to save system calls, short enough to be fair
FAILURE = 0x80  # reason codes from here on say no
PING_ANSWER_SHARE = 0.5  # of the keep-alive time


class Session:
    """The verbs of one session. `client_id` becomes the one the broker assigned, if it did."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        subscriptions: Sequence[Subscription] = (),
        will: Will | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.state = State.IDLE
        self.client_id = settings.client_id
        self._settings = settings
        self._subscriptions = tuple(subscriptions)
        self._will = will
        self._counters = counters if counters is not None else Counters()
        self._waiting: deque[Outgoing] = deque()
        self._greetings: list[Outgoing] = []
        self._by_id: dict[int, Outgoing] = {}  # every packet id in use, oldest message first
        self._held = HeldAcknowledgements()
        self._chunks: list[bytes] = []
        self._rest = b""
        self._limits = mqtt5.ConnAckPacket()
        self._window = self._in_flight = self._last_id = self._epoch = 0
        self._keep_alive_s = float(settings.keep_alive_s)
        self._connect_by = self._sent_at = self._received_at = 0.0
        self._ping_at: float | None = None
        self.is_subscribed = False

    # -- the life of a connection ---------------------------------------------------------------

    def connect(self, now: float) -> None:
        """A new wire exists: queue CONNECT for it."""
        self._move(Happening.CONNECT)
        settings, self._epoch = self._settings, self._held.begin()
        self._rest = b""
        self._chunks.clear()
        self._in_flight = 0
        self._ping_at = None
        self._keep_alive_s = float(settings.keep_alive_s)
        self._sent_at = self._received_at = now
        self._connect_by = now + settings.connect_timeout_s
        packet = connect_packet(settings, self.client_id, self._will, self._epoch == 1)
        self._chunks.append(packet.write())

    def open(self) -> None:
        """The owner has greeted: send the greetings, subscribe if need be, then let all flow."""
        self._move(Happening.GREETED)
        self._waiting.extendleft(reversed(self._greetings))
        self._greetings.clear()
        if self._subscriptions and not self.is_subscribed:
            packet_id = self._next_packet_id()
            self._chunks.append(subscribe_packet(packet_id, self._subscriptions).write())

    def disconnect(self) -> list[Event]:
        """Say goodbye (the broker sends no will) and end."""
        if self.state in (State.GREETING, State.OPEN):
            self._chunks.append(mqtt5.DisconnectPacket().write())
        return self._end("NORMAL_DISCONNECTION") if self.state is not State.IDLE else []

    def lost(self, text: str = "") -> list[Event]:
        """The wire is gone without a word; `text` is what the operating system says about it."""
        return self._end(CONNECTION_CLOSED, text) if self.state is not State.IDLE else []

    def fail(self, code: mqtt5.DisconnectReasonCode, text: str) -> list[Event]:
        """The broker broke a rule: tell it which, and end."""
        self._counters.protocol_errors += 1
        self._chunks.append(mqtt5.DisconnectPacket(reason_code=code).write())
        return self._end(code.name, text)

    def abandon(self) -> list[Outgoing]:
        """Give up every message that is not settled, in order; the session is of no use after."""
        left = self._unsettled()
        self._by_id.clear()
        return left

    # -- time -----------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` must be called at the latest; infinite when there is nothing to time."""
        if self.state is State.IDLE:
            return float("inf")
        if self.state is State.CONNECTING:
            return self._connect_by
        if self._ping_at is not None:
            return self._ping_at + self._keep_alive_s * PING_ANSWER_SHARE
        if not self._keep_alive_s:
            return float("inf")
        return min(self._sent_at, self._received_at) + self._keep_alive_s

    def tick(self, now: float) -> list[Event]:
        """Do what is due; calling too early or too often does no harm."""
        if now < self.deadline:
            return []
        if self.state is State.CONNECTING:
            return self._end("CONNECT_TIMEOUT", "the broker did not answer CONNECT")
        if self._ping_at is not None:
            text = f"nothing arrived for {now - self._received_at:.1f} s, not even a PINGRESP"
            return self._end("KEEP_ALIVE_TIMEOUT", text)
        self._chunks.append(mqtt5.PingReqPacket().write())
        self._ping_at = now
        return []

    # -- out ------------------------------------------------------------------------------------

    def publish(self, outgoing: Outgoing) -> None:
        """Queue a message; `send` will put it on the wire when its turn comes."""
        if self.state is State.GREETING:
            outgoing.greeting = True
            self._greetings.append(outgoing)
        else:
            self._waiting.append(outgoing)

    def acknowledge(self, messages: Sequence[Message]) -> int:
        """Queue PUBACKs for what may be acknowledged now; returns how many those are."""
        ready = self._held.release(messages)
        self._chunks.extend([mqtt5.PubAckPacket(packet_id).write() for packet_id in ready])
        self._counters.acknowledged += len(ready)
        return len(ready)

    @property
    def has_more(self) -> bool:
        """Whether another `send` would put more messages on the wire."""
        if not self._waiting or self.state is not State.OPEN:
            return False
        return self._in_flight < self._window or self._waiting[0].qos == 0

    def send(self, now: float, *, paused: bool = False) -> tuple[bytes, list[Event]]:
        """The bytes to write now, and the messages that this settles.

        `paused` holds messages back while the wire is congested; acknowledgements and pings, which
        the receive maximum and the clock bound, still go.
        """
        events: list[Event] = []
        if self.state is State.OPEN and not paused:
            self._pump(now, events)
        data = self.take()
        if data:
            self._sent_at = now
        return data, events

    def take(self) -> bytes:
        """The bytes that are already encoded, and no new messages."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data

    def _pump(self, now: float, events: list[Event]) -> None:
        """Encode waiting messages while the window and the size of one write allow."""
        waiting = self._waiting
        budget = SEND_BYTES_MAX
        while waiting and budget > 0:
            outgoing = waiting[0]
            if outgoing.qos and self._in_flight >= self._window:
                break
            waiting.popleft()
            reason = refusal(outgoing, self._limits, now)
            wire = b""
            if reason is None:
                try:
                    wire = self._encode(outgoing, now)
                except ValueError as error:
                    reason = f"NOT_ENCODABLE ({error})"
                if len(wire) > self._bytes_max:
                    reason = "PACKET_TOO_LARGE"
            if reason is not None:
                self._by_id.pop(outgoing.packet_id, None)
                events.append(Settled(outgoing, reason))
                continue
            self._chunks.append(wire)
            budget -= len(wire)
            if outgoing.qos:
                self._in_flight += 1
                self._by_id[outgoing.packet_id] = outgoing
                self._counters.resent += outgoing.epoch > 0
                outgoing.epoch = self._epoch
            else:
                events.append(Settled(outgoing, None))

    def _encode(self, outgoing: Outgoing, now: float) -> bytes:
        # A packet id that outlived its connection says that the broker may know the message.
        duplicate = outgoing.packet_id != 0
        if outgoing.qos and not duplicate:
            outgoing.packet_id = self._next_packet_id()
        return publish_packet(outgoing, duplicate, now).write()

    @property
    def _bytes_max(self) -> int:
        theirs = self._limits.max_packet_size
        ours = self._settings.packet_bytes_max
        return ours if theirs is None else min(theirs, ours)

    def _next_packet_id(self) -> int:
        packet_id = self._last_id
        while True:
            packet_id = packet_id % 0xFFFF + 1
            if packet_id not in self._by_id:
                self._last_id = packet_id
                return packet_id

    # -- in -------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes as they came, cut anywhere; returns what they mean, in order.

        It stops at `Accepted`: greet, `open`, then call it once more with no bytes for the rest.
        """
        if self.state is State.IDLE:
            return []
        self._received_at = now
        self._ping_at = None
        buffer = self._rest + data if self._rest else data
        if self.state is State.GREETING:
            self._rest = buffer
            return []
        view = memoryview(buffer)
        at, size = 0, len(buffer)
        before = self.state
        is_open = before is State.OPEN
        events: list[Event] = []
        while at < size:
            try:
                packet, used = read_packet(view[at:], self._settings.packet_bytes_max)
            except MalformedPacketError as error:
                hint = ""
                if self.state is State.CONNECTING:
                    hint = "; does this port speak MQTT 5? (mqtt = '3.1.1' is the other choice)"
                return events + self.fail(error.code, f"{error}{hint}")
            if packet is None:
                break
            at += used
            if type(packet) is mqtt5.PublishPacket and is_open:
                # The hot path: a message without a detour through the tables.
                message = self._message(packet)
                if message is None:
                    return events + self.fail(*publish_fault(packet))
                events.append(message)
            else:
                events += self._handle(packet)
                if self.state is not before:
                    break  # ended, or accepted: the owner must greet before the rest is read
        self._rest = bytes(view[at:]) if at < size else b""
        return events

    def _handle(self, packet: mqtt5.Packet) -> list[Event]:
        kind = type(packet)
        if kind not in RECEIVABLE[self.state]:
            text = f"{kind.__name__} is not allowed while {self.state.value}"
            return self.fail(mqtt5.DisconnectReasonCode.PROTOCOL_ERROR, text)
        return _HANDLERS[kind](self, packet)

    def _message(self, packet: mqtt5.PublishPacket) -> Message | None:
        """The message in a PUBLISH, or None for what we told the broker not to send."""
        packet_id = packet.packet_id
        token = 0
        if packet_id is not None:
            if packet.qos is not mqtt5.QoS.AT_LEAST_ONCE or not packet_id:
                return None
            token = self._held.hold(packet_id)
        if packet.topic_alias is not None or not packet.topic:
            return None
        self._counters.received += 1
        properties = packet.user_properties
        return Message(
            packet.topic,
            packet.payload,
            1 if token else 0,
            packet.retain,
            packet.duplicate,
            packet.content_type,
            tuple(properties) if properties else (),
            packet.response_topic,
            packet.correlation_data,
            token,
        )

    def _on_connack(self, packet: mqtt5.ConnAckPacket) -> list[Event]:
        code = packet.reason_code
        if code != mqtt5.ConnAckReasonCode.SUCCESS:
            final = code in FINAL_CONNACKS
            return self._end(code.name, packet.reason_str or "", final=final)
        self._move(Happening.ACCEPTED)
        self._limits = packet
        self._window = min(packet.receive_max, self._settings.inflight_max)
        self.client_id = packet.assigned_client_id or self.client_id
        if packet.server_keep_alive is not None:
            self._keep_alive_s = float(packet.server_keep_alive)
        if not packet.session_present:
            for outgoing in self._by_id.values():
                outgoing.packet_id = 0
            self._by_id.clear()
            self.is_subscribed = False
        return [Accepted(packet.session_present)]

    def _on_puback(self, packet: mqtt5.PubAckPacket) -> list[Event]:
        outgoing = self._by_id.get(packet.packet_id)
        if outgoing is None or outgoing.epoch != self._epoch:
            # Some brokers acknowledge a message and its resent twin; the second says nothing new.
            return []
        del self._by_id[packet.packet_id]
        self._in_flight -= 1
        code = packet.reason_code
        return [Settled(outgoing, code.name if code.value >= FAILURE else None)]

    def _on_suback(self, packet: mqtt5.SubAckPacket) -> list[Event]:
        for subscription, code in zip(self._subscriptions, packet.reason_codes, strict=False):
            if code.value >= FAILURE:
                text = f"the broker refused the subscription {subscription.topic!r}"
                self._chunks.append(mqtt5.DisconnectPacket().write())
                return self._end(code.name, text, final=True)
        self.is_subscribed = True
        return [Subscribed()]

    def _on_pingresp(self, _: mqtt5.PingRespPacket) -> list[Event]:
        return []  # any byte has already shown that the broker lives

    def _on_disconnect(self, packet: mqtt5.DisconnectPacket) -> list[Event]:
        code = packet.reason_code
        return self._end(code.name, packet.reason_str or "", final=code in FINAL_DISCONNECTS)

    def _unsettled(self) -> list[Outgoing]:
        """All of ours, what was sent first; empties the queues, keeps the packet ids in use."""
        fresh = [each for each in self._waiting if not each.packet_id]
        left = [*self._by_id.values(), *self._greetings, *fresh]
        self._greetings.clear()
        self._waiting.clear()
        return left

    # -- the one place where states change ------------------------------------------------------

    def _move(self, happening: Happening) -> None:
        self.state = TRANSITIONS[self.state][happening]

    def _end(self, reason: str, text: str = "", *, final: bool = False) -> list[Event]:
        """Back to IDLE: what was in flight waits again, at the head and in order."""
        self._move(Happening.ENDED)
        events: list[Event] = []
        for outgoing in self._unsettled():
            if outgoing.greeting:
                self._by_id.pop(outgoing.packet_id, None)
                events.append(Settled(outgoing, "SUPERSEDED"))
            elif outgoing.qos == 0:
                events.append(Settled(outgoing, "NOT_CONNECTED"))
            else:
                self._waiting.append(outgoing)
        return [*events, Ended(reason, text, final)]


_HANDLERS: dict[type, Callable[..., list[Event]]] = {
    mqtt5.ConnAckPacket: Session._on_connack,
    mqtt5.PubAckPacket: Session._on_puback,
    mqtt5.SubAckPacket: Session._on_suback,
    mqtt5.PingRespPacket: Session._on_pingresp,
    mqtt5.DisconnectPacket: Session._on_disconnect,
}

"""Between our values and the packets of the codec `mqtt5`: encoding, decoding, reasons."""

from collections.abc import Sequence
from typing import Literal

import mqtt5
import msgspec

from link.interface import LinkSettings, Message, Subscription, UserProperties, Will

_ConnAck = mqtt5.ConnAckReasonCode
_Disconnect = mqtt5.DisconnectReasonCode

# The enums of mqtt5 0.8 are no real IntEnums, whatever its stubs say: they cannot be hashed or
# ordered, and are never false. So these are tuples, and this room compares by `value` or `is`.

# The same CONNECT would be refused again, so another attempt is only noise in the broker's log.
FINAL_CONNACKS = (
    _ConnAck.UNSUPPORTED_PROTOCOL_VERSION,
    _ConnAck.CLIENT_ID_NOT_VALID,
    _ConnAck.BAD_USER_NAME_OR_PASSWORD,
    _ConnAck.NOT_AUTHORIZED,
    _ConnAck.BANNED,
    _ConnAck.BAD_AUTHENTICATION_METHOD,
    _ConnAck.TOPIC_NAME_INVALID,
    _ConnAck.PACKET_TOO_LARGE,
    _ConnAck.PAYLOAD_FORMAT_INVALID,
    _ConnAck.RETAIN_NOT_SUPPORTED,
    _ConnAck.QUALITY_NOT_SUPPORTED,
    _ConnAck.SERVER_MOVED,
)
# Reconnecting after a take-over would take the session back, and two clients would fight for ever.
FINAL_DISCONNECTS = (
    _Disconnect.NOT_AUTHORIZED,
    _Disconnect.SESSION_TAKEN_OVER,
    _Disconnect.SERVER_MOVED,
)

VARIABLE_INTEGER_BYTES_MAX = 4
PACKET_ID_BITS = 16


class Outgoing(msgspec.Struct):
    """A message of ours on its way out; `receipt` belongs to the owner of the session.

    `expires_at` is on the session's clock, seconds. `packet_id` 0 means: not sent in the
    broker's present session; `epoch` numbers the connection on which it was sent last, 0 is none.
    """

    topic: str
    payload: bytes
    qos: Literal[0, 1]
    retain: bool
    content_type: str | None
    user_properties: UserProperties
    response_topic: str | None
    correlation_data: bytes | None
    expires_at: float | None
    receipt: object = None
    packet_id: int = 0
    epoch: int = 0
    greeting: bool = False


class HeldAcknowledgements:
    """Which arrived QoS 1 messages may be acknowledged: only ever the oldest ones, in order.

    A token names a message by connection and packet id, so that one from an earlier connection
    cannot acknowledge a stranger.
    """

    __slots__ = ("_epoch", "_may_go")

    def __init__(self) -> None:
        self._epoch = 0
        self._may_go: dict[int, bool] = {}

    def begin(self) -> int:
        """A new connection starts: it owes nothing. Returns its number, counted from 1."""
        self._epoch += 1
        self._may_go.clear()
        return self._epoch

    def hold(self, packet_id: int) -> int:
        """A message has arrived; returns its token."""
        self._may_go.setdefault(packet_id, False)
        return self._epoch << PACKET_ID_BITS | packet_id

    def release(self, messages: Sequence[Message]) -> list[int]:
        """The packet ids to acknowledge now that the application is done with `messages`."""
        may_go, mask = self._may_go, (1 << PACKET_ID_BITS) - 1
        for message in messages:
            packet_id = message.token & mask
            if message.token >> PACKET_ID_BITS == self._epoch and packet_id in may_go:
                may_go[packet_id] = True
        ready = []
        for packet_id, is_done in may_go.items():
            if not is_done:
                break
            ready.append(packet_id)
        for packet_id in ready:
            del may_go[packet_id]
        return ready


class MalformedPacketError(Exception):
    """The broker sent bytes that are no packet; never leaves this room."""

    def __init__(self, code: mqtt5.DisconnectReasonCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def read_packet(view: memoryview, bytes_max: int) -> tuple[mqtt5.Packet | None, int]:
    """The first packet in `view` and its size in bytes; (None, 0) when it is not whole yet.

    Raises MalformedPacketError when it never will be one, or is longer than `bytes_max`.
    """
    try:
        packet, size = mqtt5.read(view)
    except IndexError:
        size = packet_size(view)
        if size > bytes_max:
            raise _too_large(size, bytes_max) from None
        if 0 < size <= len(view):
            text = "a field reaches past the end of its packet"
            raise MalformedPacketError(_Disconnect.MALFORMED_PACKET, text) from None
        return None, 0
    except ValueError as error:
        raise MalformedPacketError(_Disconnect.MALFORMED_PACKET, str(error)) from None
    except BaseException as error:
        # mqtt5 0.8 panics on text that is not UTF-8, and pyo3 hands a panic on as a BaseException
        # of a module that cannot be imported. Everything else here is a real interrupt.
        if type(error).__module__ != "pyo3_runtime":
            raise
        text = f"the codec gave up ({error}): most likely a text that is not UTF-8"
        raise MalformedPacketError(_Disconnect.MALFORMED_PACKET, text) from None
    if size > bytes_max:
        raise _too_large(size, bytes_max)
    return packet, size


def _too_large(size: int, bytes_max: int) -> MalformedPacketError:
    text = f"a packet of {size} bytes, but we allow {bytes_max}"
    return MalformedPacketError(_Disconnect.PACKET_TOO_LARGE, text)


def packet_size(view: memoryview) -> int:
    """The size in bytes that a packet's head promises; 0 while the head itself is not whole."""
    length = 0
    for place, byte in enumerate(view[1 : 1 + VARIABLE_INTEGER_BYTES_MAX]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return 2 + place + length
    return 0


def connect_packet(
    settings: LinkSettings, client_id: str, will: Will | None, first: bool
) -> mqtt5.ConnectPacket:
    """CONNECT; `first` says that it is this run's first, to which alone `clean_start` applies."""
    return mqtt5.ConnectPacket(
        client_id,
        username=settings.username,
        password=None if settings.password is None else settings.password.encode(),
        clean_start=settings.session_expiry_s == 0 or (settings.clean_start and first),
        will=None if will is None else _will(will),
        keep_alive=settings.keep_alive_s,
        session_expiry_interval=settings.session_expiry_s,
        receive_max=settings.receive_max,
        topic_alias_max=0,
        max_packet_size=settings.packet_bytes_max,
    )


def _will(will: Will) -> mqtt5.Will:
    return mqtt5.Will(
        will.topic,
        payload=will.payload,
        qos=mqtt5.QoS(will.qos),
        retain=will.retain,
        content_type=will.content_type,
        user_properties=list(will.user_properties),
        will_delay_interval=will.delay_s,
    )


def subscribe_packet(
    packet_id: int, subscriptions: Sequence[Subscription]
) -> mqtt5.SubscribePacket:
    """SUBSCRIBE for all of them at once."""
    filters = [
        mqtt5.TopicFilter(each.topic, max_qos=mqtt5.QoS(each.qos), no_local=each.no_local)
        for each in subscriptions
    ]
    return mqtt5.SubscribePacket(packet_id, filters)


_QOS = (mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE)


def publish_packet(outgoing: Outgoing, duplicate: bool, now: float) -> mqtt5.PublishPacket:
    """PUBLISH; the time it waited with us is taken off its expiry, as a broker does too."""
    expires_at = outgoing.expires_at
    return mqtt5.PublishPacket(
        outgoing.topic,
        outgoing.payload,
        qos=_QOS[outgoing.qos],
        retain=outgoing.retain,
        packet_id=outgoing.packet_id or None,
        duplicate=duplicate,
        message_expiry_interval=None if expires_at is None else max(1, round(expires_at - now)),
        content_type=outgoing.content_type,
        response_topic=outgoing.response_topic,
        correlation_data=outgoing.correlation_data,
        user_properties=list(outgoing.user_properties),
    )


def refusal(outgoing: Outgoing, limits: mqtt5.ConnAckPacket, now: float) -> str | None:
    """Why this message must not be sent to a broker with these limits; None if it may."""
    if outgoing.expires_at is not None and now >= outgoing.expires_at:
        return "MESSAGE_EXPIRED"
    if outgoing.qos > limits.max_qos.value:
        return "QUALITY_NOT_SUPPORTED"
    if outgoing.retain and not limits.retain_available:
        return "RETAIN_NOT_SUPPORTED"
    return None


def publish_fault(packet: mqtt5.PublishPacket) -> tuple[mqtt5.DisconnectReasonCode, str]:
    """What is wrong with a PUBLISH that we told the broker not to send."""
    if packet.qos == mqtt5.QoS.EXACTLY_ONCE:
        return _Disconnect.QOS_NOT_SUPPORTED, "a QoS 2 message, but we asked for QoS 1"
    if packet.topic_alias is not None:
        return _Disconnect.TOPIC_ALIAS_INVALID, "a topic alias, but we allow none"
    return _Disconnect.PROTOCOL_ERROR, "a PUBLISH without topic or packet id"

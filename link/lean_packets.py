"""The packets of a lean session as bytes: built once where they can be, read with the least effort.

A load generator drives ten thousand sessions from one process, so here a PUBLISH is joined from
parts that are made once for each topic, and an acknowledgement is read without a codec. What is
rare (CONNECT of MQTT 5, CONNACK with properties) still goes through `mqtt5`. MQTT 3.1.1 differs in
CONNECT, and in having no properties; lengths and layouts are §2 and §3 of either standard [V2].
"""

from typing import Literal

import mqtt5
from msgspec import Struct

from link.interface import LinkSettings, UserProperties, Will
from link.packets import connect_packet

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGRESP = 0xD0
DISCONNECT = 0xE0
KIND_BITS = 0xF0
RETAIN_BIT = 0x01
QOS_1_BIT = 0x02
QOS_BITS = 0x06
DUPLICATE_BIT = 0x08

PING = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
FAILURE = 0x80  # reason codes from here on say no
RECEIVE_MAX = 65_535  # what MQTT 5 §3.2.2.3.3 takes where CONNACK does not say [V2]
LENGTH_BYTES_MAX = 4


class Accepted(Struct, frozen=True):
    """What CONNACK said: a named reason where it refused, and how much may be in flight."""

    refusal: str | None
    receive_max: int


class Arrived(Struct, frozen=True, gc=False):
    """A PUBLISH as it came; `packet_id` is None for QoS 0."""

    topic: bytes
    payload: bytes
    packet_id: bytes | None
    is_retained: bool


def connect_bytes(settings: LinkSettings, will: Will | None) -> bytes:
    """CONNECT of a session that begins anew and ends with its connection."""
    if settings.mqtt == "5":
        return connect_packet(settings, settings.client_id, will, True).write()
    flags = 0x02
    payload = _text(settings.client_id.encode())
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        payload += _text(will.topic.encode()) + _text(will.payload)
    if settings.username is not None:
        flags |= 0x80
        payload += _text(settings.username.encode())
    if settings.password is not None:
        flags |= 0x40
        payload += _text(settings.password.encode())
    head = b"\x00\x04MQTT\x04" + bytes((flags,)) + settings.keep_alive_s.to_bytes(2, "big")
    return b"\x10" + length_bytes(len(head) + len(payload)) + head + payload


def topic_part(topic: str) -> bytes:
    """The topic as it stands in a PUBLISH."""
    return _text(topic.encode())


def properties_part(
    mqtt: Literal["5", "3.1.1"], content_type: str, user_properties: UserProperties
) -> bytes:
    """The properties as they stand in a PUBLISH; MQTT 3.1.1 has none, not even their length."""
    if mqtt == "3.1.1":
        return b""
    body = b"\x03" + _text(content_type.encode())
    for name, value in user_properties:
        body += b"\x26" + _text(name.encode()) + _text(value.encode())
    return length_bytes(len(body)) + body


def publish_bytes(
    topic: bytes, properties: bytes, payload: bytes, packet_id: int, retain: bool
) -> bytes:
    """PUBLISH from its parts; `packet_id` 0 is QoS 0."""
    if packet_id:
        size = len(topic) + 2 + len(properties) + len(payload)
        first = PUBLISH | QOS_1_BIT | retain
        head = bytes((first, size & 0x7F | 0x80, size >> 7)) if 128 <= size < 16_384 else b""
        if not head:
            head = bytes((first,)) + length_bytes(size)
        return b"".join((head, topic, packet_id.to_bytes(2, "big"), properties, payload))
    size = len(topic) + len(properties) + len(payload)
    return b"".join((bytes((PUBLISH | retain,)), length_bytes(size), topic, properties, payload))


def again(packet: bytes) -> bytes:
    """The same PUBLISH, marked as one that the broker may have had before."""
    return bytes((packet[0] | DUPLICATE_BIT,)) + packet[1:]


def subscribe_bytes(mqtt: Literal["5", "3.1.1"], topics: tuple[str, ...], qos: int) -> bytes:
    """SUBSCRIBE with packet id 1."""
    filters = b"".join(_text(topic.encode()) + bytes((qos,)) for topic in topics)
    body = b"\x00\x01" + (b"\x00" if mqtt == "5" else b"") + filters
    return b"\x82" + length_bytes(len(body)) + body


def acknowledge_bytes(packet_ids: list[bytes]) -> bytes:
    """A PUBACK for each packet id, the same in both versions."""
    return b"".join([b"\x40\x02" + packet_id for packet_id in packet_ids])


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets in `data` as (first byte, body), and what is left of the next.

    Raises ValueError where a length cannot be one.
    """
    packets: list[tuple[int, bytes]] = []
    at, size = 0, len(data)
    while at + 2 <= size:
        length = data[at + 1]
        begin = at + 2
        if length >= FAILURE:
            length, begin = _long_length(data, at + 1)
            if not begin:
                break
        end = begin + length
        if end > size:
            break
        packets.append((data[at], data[begin:end]))
        at = end
    return packets, data[at:]


def read_connack(mqtt: Literal["5", "3.1.1"], body: bytes) -> Accepted:
    """What CONNACK says. Raises ValueError where it is none."""
    if mqtt == "3.1.1":
        if len(body) != 2:
            raise ValueError("a CONNACK of MQTT 3.1.1 has two bytes")
        code = body[1]
        return Accepted(f"CONNACK_{code}" if code else None, RECEIVE_MAX)
    data = bytes((CONNACK,)) + length_bytes(len(body)) + body
    packet, _ = mqtt5.read(memoryview(data))
    if not isinstance(packet, mqtt5.ConnAckPacket):
        raise ValueError("no CONNACK")
    good = packet.reason_code == mqtt5.ConnAckReasonCode.SUCCESS
    return Accepted(None if good else packet.reason_code.name, packet.receive_max)


def read_publish(mqtt: Literal["5", "3.1.1"], first: int, body: bytes) -> Arrived:
    """A PUBLISH from its first byte and its body; its properties are passed over."""
    end = 2 + (body[0] << 8 | body[1])
    topic = body[2:end]
    packet_id = None
    if first & QOS_BITS:
        packet_id = body[end : end + 2]
        end += 2
    if mqtt == "5":
        length = body[end]
        end += 1
        if length >= FAILURE:
            length, end = _long_length(body, end - 1)
        end += length
    return Arrived(topic, body[end:], packet_id, bool(first & RETAIN_BIT))


def refused_filters(mqtt: Literal["5", "3.1.1"], body: bytes) -> bool:
    """Whether SUBACK refuses a filter."""
    codes = body[2:]
    if mqtt == "5":
        length, begin = (body[2], 3) if body[2] < FAILURE else _long_length(body, 2)
        codes = body[begin + length :]
    return any(code >= FAILURE for code in codes)


def length_bytes(length: int) -> bytes:
    """A length in MQTT's own form: seven bits in each byte, the lowest first."""
    found = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        if not length:
            found.append(low)
            return bytes(found)
        found.append(low | 0x80)


def _long_length(data: bytes, at: int) -> tuple[int, int]:
    """A length of several bytes and where it ends; (0, 0) while it is not whole.

    Raises ValueError for one of more than four bytes.
    """
    length = 0
    for place, byte in enumerate(data[at : at + LENGTH_BYTES_MAX]):
        length |= (byte & 0x7F) << 7 * place
        if byte < FAILURE:
            return length, at + place + 1
    if len(data) >= at + LENGTH_BYTES_MAX:
        raise ValueError("a length of more than four bytes")
    return 0, 0


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data

"""Packets joined and read without a codec are the packets that a codec writes and reads."""

import mqtt5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link import LinkSettings, Will
from link import lean_packets as packets

TOPICS = st.from_regex(r"\A[a-zé]{1,12}(/[a-z0-9]{1,8}){0,4}\Z")
PAYLOADS = st.binary(max_size=400)
PACKET_IDS = st.integers(min_value=0, max_value=65_535)
WILL = Will(topic="infusion/v1/home/P-01/presence", payload=b"gone", retain=True)


@settings(deadline=None)
@given(topic=TOPICS, payload=PAYLOADS, packet_id=PACKET_IDS, retain=st.booleans())
def test_a_publish_is_what_the_codec_reads(
    topic: str, payload: bytes, packet_id: int, retain: bool
) -> None:
    properties = packets.properties_part("5", "application/json", (("contract", "1"),))
    data = packets.publish_bytes(packets.topic_part(topic), properties, payload, packet_id, retain)
    read, size = mqtt5.read(memoryview(data))
    assert size == len(data)
    assert isinstance(read, mqtt5.PublishPacket)
    assert (read.topic, read.payload, read.retain) == (topic, payload, retain)
    assert read.packet_id == (packet_id or None)
    assert read.content_type == "application/json"
    assert list(read.user_properties) == [("contract", "1")]


@pytest.mark.parametrize("size", [0, 100, 127, 128, 16_300, 16_400, 70_000])
def test_a_length_of_any_size_is_what_the_codec_reads(size: int) -> None:
    topic, properties = packets.topic_part("a/b"), packets.properties_part("5", "", ())
    data = packets.publish_bytes(topic, properties, b"x" * size, 7, False)
    read, used = mqtt5.read(memoryview(data))
    assert isinstance(read, mqtt5.PublishPacket)
    assert (len(read.payload), used) == (size, len(data))


@settings(deadline=None)
@given(topic=TOPICS, payload=PAYLOADS, packet_id=PACKET_IDS)
def test_what_the_codec_writes_is_read(topic: str, payload: bytes, packet_id: int) -> None:
    qos = mqtt5.QoS.AT_LEAST_ONCE if packet_id else mqtt5.QoS.AT_MOST_ONCE
    packet = mqtt5.PublishPacket(
        topic,
        payload,
        qos=qos,
        packet_id=packet_id or None,
        user_properties=[("contract", "1" * 200)],
    )
    ((first, body),) = packets.split(packet.write())[0]
    arrived = packets.read_publish("5", first, body)
    assert (arrived.topic.decode(), arrived.payload) == (topic, payload)
    found = 0 if arrived.packet_id is None else int.from_bytes(arrived.packet_id, "big")
    assert (found, arrived.is_retained) == (packet_id, False)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 300), max_size=8), cut=st.integers(0, 3_000))
def test_packets_cut_anywhere_come_out_whole(sizes: list[int], cut: int) -> None:
    topic = packets.topic_part("a")
    whole = [packets.publish_bytes(topic, b"", b"x" * size, 5, False) for size in sizes]
    data = b"".join(whole)
    first, rest = packets.split(data[:cut])
    second, left = packets.split(rest + data[cut:])
    assert left == b""
    assert [len(body) for _, body in first + second] == [size + 5 for size in sizes]


def test_a_length_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="four bytes"):
        packets.split(b"\x30\xff\xff\xff\xff\x01")


def test_a_packet_said_again_is_marked() -> None:
    topic = packets.topic_part("a")
    data = packets.again(packets.publish_bytes(topic, b"\x00", b"x", 5, False))
    read, _ = mqtt5.read(memoryview(data))
    assert isinstance(read, mqtt5.PublishPacket)
    assert read.duplicate


def test_connect_of_mqtt_5_is_that_of_the_other_lane() -> None:
    settings = LinkSettings(client_id="P-01", username="u", password="p", keep_alive_s=60)
    read, _ = mqtt5.read(memoryview(packets.connect_bytes(settings, WILL)))
    assert isinstance(read, mqtt5.ConnectPacket)
    assert (read.client_id, read.username, read.keep_alive) == ("P-01", "u", 60)
    assert read.will is not None
    assert read.will.topic == WILL.topic


def test_connect_of_mqtt_311_is_what_the_standard_shows() -> None:
    """Byte by byte after MQTT 3.1.1 §3.1: protocol name and level, flags, keep-alive, payload."""
    settings = LinkSettings(
        client_id="ab", username="u", password="p", keep_alive_s=60, mqtt="3.1.1"
    )
    will = Will(topic="t", payload=b"w", retain=True)
    assert packets.connect_bytes(settings, will) == (
        b"\x10\x1a\x00\x04MQTT\x04\xee\x00\x3c\x00\x02ab\x00\x01t\x00\x01w\x00\x01u\x00\x01p"
    )


def test_a_refusal_has_its_name() -> None:
    refused = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)
    ((_, body),) = packets.split(refused.write())[0]
    assert packets.read_connack("5", body).refusal == "NOT_AUTHORIZED"
    assert packets.read_connack("3.1.1", b"\x00\x05").refusal == "CONNACK_5"
    assert packets.read_connack("3.1.1", b"\x00\x00").refusal is None


def test_the_receive_maximum_of_the_broker_is_kept() -> None:
    ((_, body),) = packets.split(mqtt5.ConnAckPacket(receive_max=20).write())[0]
    assert packets.read_connack("5", body).receive_max == 20


def test_subscribe_is_what_the_codec_reads() -> None:
    read, _ = mqtt5.read(memoryview(packets.subscribe_bytes("5", ("a/+", "b/#"), 1)))
    assert isinstance(read, mqtt5.SubscribePacket)
    assert [each.pattern for each in read.topic_filters] == ["a/+", "b/#"]


def test_a_filter_that_is_refused_is_seen() -> None:
    code = mqtt5.SubAckReasonCode
    for codes, refused in (
        ([code.GRANTED_QOS_AT_LEAST_ONCE], False),
        ([code.GRANTED_QOS_AT_LEAST_ONCE, code.NOT_AUTHORIZED], True),
    ):
        ((_, body),) = packets.split(mqtt5.SubAckPacket(1, codes).write())[0]
        assert packets.refused_filters("5", body) is refused
    assert packets.refused_filters("3.1.1", b"\x00\x01\x80")
    assert not packets.refused_filters("3.1.1", b"\x00\x01\x01")

"""One lean session against a wire on paper: window, order after a reconnect, keep-alive, refusals."""

import asyncio
from typing import cast

import mqtt5
import pytest

from link import lean_packets as packets
from link.lean import PACKET_IDS, WAITING_MAX, LeanSession, Parcel

TOPIC = packets.topic_part("t")
EMPTY = b"\x00"


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_closed = True

    def take(self) -> list[mqtt5.Packet]:
        """The packets written since the last time."""
        data, self.written = self.written, b""
        found = []
        while data:
            packet, size = mqtt5.read(memoryview(data))
            found.append(packet)
            data = data[size:]
        return found


class Told:
    """What the session tells; it greets where it is asked to."""

    def __init__(self, greeting: Parcel | None = None) -> None:
        self.greeting = greeting
        self.connects = 0
        self.sent: list[bytes] = []
        self.took: list[int] = []
        self.reasons: list[str] = []
        self.codes: list[int] = []
        self.drops = 0

    def accepted(self, session: LeanSession, took_us: int) -> None:
        self.connects += 1
        if self.greeting is not None:
            session.greet(self.greeting, 1)

    def written(self, parcel: Parcel, at_us: int) -> None:
        self.sent.append(parcel.payload)

    def acknowledged(self, took_us: int) -> None:
        self.took.append(took_us)

    def refused(self, code: int) -> None:
        self.codes.append(code)

    def lost(self, session: LeanSession, reason: str) -> None:
        self.reasons.append(reason)

    def dropped(self) -> None:
        self.drops += 1


def parcel(payload: bytes, intended_us: int = 1) -> Parcel:
    return Parcel(TOPIC, EMPTY, payload, False, intended_us, 0)


def connack(receive_max: int = 100) -> bytes:
    return mqtt5.ConnAckPacket(receive_max=receive_max).write()


def puback(packet: mqtt5.Packet) -> bytes:
    assert isinstance(packet, mqtt5.PublishPacket)
    assert packet.packet_id is not None
    return mqtt5.PubAckPacket(packet.packet_id).write()


def payloads(found: list[mqtt5.Packet]) -> list[bytes]:
    assert all(isinstance(each, mqtt5.PublishPacket) for each in found)
    return [cast("mqtt5.PublishPacket", each).payload for each in found]


def joined(session: LeanSession) -> Wire:
    """A wire that was made for a session that is wanted."""
    wire = Wire()
    session.is_wanted = True
    session.connection_made(wire)
    wire.written = b""
    return wire


def opened(told: Told, receive_max: int = 100, **more: bool) -> tuple[LeanSession, Wire]:
    session = LeanSession("P-01", "5", told, **more)
    wire = joined(session)
    session.data_received(connack(receive_max))
    return session, wire


def test_what_is_put_in_one_turn_leaves_in_one_write() -> None:
    session, wire = opened(Told())
    assert session.publish(parcel(b"1"), 1)
    assert not session.publish(parcel(b"2"), 1), "it is flushed already"
    assert wire.written == b""
    session.flush()
    assert payloads(wire.take()) == [b"1", b"2"]


def test_no_more_is_in_flight_than_the_broker_allows() -> None:
    told = Told()
    session, wire = opened(told, receive_max=2)
    for number in range(5):
        session.publish(parcel(b"%d" % number), 1)
    session.flush()
    first = wire.take()
    assert payloads(first) == [b"0", b"1"]
    assert (session.in_flight, session.waiting) == (2, 3)
    session.data_received(puback(first[0]))
    assert payloads(wire.take()) == [b"2"]
    assert len(told.took) == 1


def test_an_answer_cut_anywhere_is_read() -> None:
    told = Told()
    session, wire = opened(told)
    for number in range(3):
        session.publish(parcel(b"%d" % number), 1)
    session.flush()
    data = b"".join(puback(each) for each in wire.take())
    for at in range(len(data)):
        session.data_received(data[at : at + 1])
    assert (session.in_flight, len(told.took)) == (0, 3)


def test_after_a_loss_the_greeting_is_first_then_what_was_in_flight_then_what_waits() -> None:
    told = Told(parcel(b"here"))
    session, wire = opened(told)
    session.publish(parcel(b"1"), 1)
    session.flush()
    assert payloads(wire.take()) == [b"here", b"1"]
    session.connection_lost(None)
    assert told.reasons == ["CONNECTION_CLOSED"]
    assert not session.publish(parcel(b"2"), 1)
    wire = joined(session)
    session.data_received(connack())
    found = wire.take()
    assert payloads(found) == [b"here", b"here", b"1", b"2"]
    again = [cast("mqtt5.PublishPacket", each) for each in found]
    assert [each.duplicate for each in again] == [False, True, True, False]
    assert len({each.packet_id for each in again}) == 4
    for each in found:
        session.data_received(puback(each))
    assert (session.in_flight, session.waiting) == (0, 0)


def test_a_session_that_waits_is_bounded() -> None:
    told = Told()
    session = LeanSession("P-01", "5", told)
    for number in range(WAITING_MAX + 3):
        session.publish(parcel(b"%d" % number), 1)
    assert (session.waiting, told.drops) == (WAITING_MAX, 3)


def test_packet_ids_come_round() -> None:
    session, wire = opened(Told())
    for _ in range(PACKET_IDS + 1):
        session.publish(parcel(b"x"), 1)
        session.flush()
        (packet,) = wire.take()
        session.data_received(puback(packet))
    assert session.in_flight == 0


def test_a_congested_wire_holds_messages_back() -> None:
    session, wire = opened(Told())
    session.pause_writing()
    assert not session.publish(parcel(b"1"), 0)
    assert wire.written == b""
    session.resume_writing()
    assert payloads(wire.take()) == [b"1"]


def test_a_closed_loop_counts_from_the_write_and_the_open_one_from_the_plan() -> None:
    for from_write, is_long in ((True, False), (False, True)):
        told = Told()
        session, wire = opened(told, from_write=from_write)
        session.publish(parcel(b"1", intended_us=1), 1)
        session.flush()
        session.data_received(puback(wire.take()[0]))
        assert (told.took[0] > 1_000_000) is is_long, "the plan was an age ago"


def test_a_silent_session_pings_and_one_that_is_dead_ends() -> None:
    told = Told()
    session, wire = opened(told)
    begin_us = session._sent_us
    session.keep_alive(begin_us + 700, 1_000)
    assert wire.written == b""
    session.keep_alive(begin_us + 800, 1_000)
    assert wire.written == packets.PING
    session.data_received(b"\xd0\x00")
    session.keep_alive(begin_us + 1_700, 1_000)
    assert wire.written == packets.PING * 2
    session.keep_alive(begin_us + 2_800, 1_000)
    assert wire.is_aborted


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED).write(),
         "NOT_AUTHORIZED"),
        (mqtt5.DisconnectPacket(
            reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN).write(),
         "DISCONNECT_0x8b"),
        (b"\x20\xff\xff\xff\xff\x01", "PROTOCOL_ERROR"),
        (b"\x20\x03\x00\x00\x09", "PROTOCOL_ERROR"),
    ],
)  # fmt: skip
def test_a_broker_that_says_no_is_told_by_name_once(data: bytes, reason: str) -> None:
    told = Told()
    session = LeanSession("P-01", "5", told)
    wire = joined(session)
    session.data_received(data)
    assert wire.is_aborted
    session.connection_lost(None)
    assert told.reasons == [reason]


def test_a_refused_message_is_counted_and_is_not_in_flight() -> None:
    told = Told()
    session, wire = opened(told)
    session.publish(parcel(b"1"), 1)
    session.flush()
    (packet,) = wire.take()
    assert isinstance(packet, mqtt5.PublishPacket)
    assert packet.packet_id is not None
    code = mqtt5.PubAckReasonCode.NOT_AUTHORIZED
    session.data_received(mqtt5.PubAckPacket(packet.packet_id, reason_code=code).write())
    assert (told.codes, told.took, session.in_flight) == ([0x87], [], 0)


def test_what_ends_as_asked_is_no_loss() -> None:
    told = Told()
    session, wire = opened(told)
    session.goodbye()
    assert (wire.written, wire.is_closed) == (packets.GOODBYE, True)
    session.connection_lost(None)
    session, wire = opened(told)
    session.cut()
    assert wire.is_aborted
    # It is back before the old transport has said that it is gone.
    wire = joined(session)
    session.connection_lost(None)
    session.data_received(connack())
    assert session.is_open
    assert told.reasons == []


def test_an_attempt_that_was_overtaken_is_given_up() -> None:
    session, _ = opened(Told())
    late = Wire()
    session.connection_made(late)
    assert late.is_aborted
    session.connection_lost(None)
    assert session.is_open

"""The sans-I/O session: two real sides on a fake wire, no socket and no clock."""

import mqtt5
import pytest
from msgspec.structs import replace

from link.interface import LinkSettings
from link.packets import FINAL_CONNACKS, Outgoing
from link.states import RECEIVABLE, TRANSITIONS, Ended, Happening, State
from tests.link.wire import (
    CODEC_PANICS,
    QOS_0,
    QOS_2,
    SETTINGS,
    Codes,
    Wire,
    delivery,
    outgoing,
    parse,
    said,
    sent,
)


def test_the_tables_are_whole() -> None:
    """Every state has its rows, every end leads to IDLE, and every state can be reached."""
    assert set(TRANSITIONS) == set(RECEIVABLE) == set(State)
    ends = {state: row[Happening.ENDED] for state, row in TRANSITIONS.items() if len(row) > 1}
    assert set(ends.values()) == {State.IDLE}
    reached = {state for row in TRANSITIONS.values() for state in row.values()}
    assert reached == set(State)


def test_connect_says_who_we_are_and_what_we_bear() -> None:
    """CONNECT carries the settings; the first one alone may throw the session away."""
    settings = LinkSettings(
        client_id="c",
        username="u",
        password="p",
        session_expiry_s=7,
        clean_start=True,
        receive_max=9,
    )
    wire = Wire.make(settings)
    wire.connect()
    wire.lose()
    wire.connect()
    first, second = (each for each in wire.heard if isinstance(each, mqtt5.ConnectPacket))
    assert (first.client_id, first.username, first.password) == ("c", "u", b"p")
    assert (first.session_expiry_interval, first.receive_max, first.topic_alias_max) == (7, 9, 0)
    assert (first.clean_start, second.clean_start) == (True, False)


def test_assigned_client_id_is_kept() -> None:
    """The id that the broker assigns is used for the next connection."""
    wire = Wire.make(LinkSettings())
    wire.connect(mqtt5.ConnAckPacket(assigned_client_id="yours"))
    wire.lose()
    wire.connect()
    assert [each.client_id for each in wire.heard if isinstance(each, mqtt5.ConnectPacket)] == [
        "",
        "yours",
    ]


@pytest.mark.parametrize(
    ("name", "final"),
    [
        ("BAD_USER_NAME_OR_PASSWORD", True),
        ("NOT_AUTHORIZED", True),
        ("BANNED", True),
        ("SERVER_BUSY", False),
        ("SERVER_UNAVAILABLE", False),
        ("QUOTA_EXCEEDED", False),
    ],
)
def test_refused_connection(name: str, final: bool) -> None:
    """A CONNACK that says no is named, and final only when asking again is pointless."""
    wire = Wire.make()
    code = getattr(mqtt5.ConnAckReasonCode, name)
    wire.connect(mqtt5.ConnAckPacket(reason_code=code))
    assert (wire.ended.reason, wire.ended.final) == (name, final)
    assert (code in FINAL_CONNACKS) == final


def test_session_taken_over_is_final() -> None:
    """A take-over is not answered with another one."""
    wire = Wire.make()
    wire.connect()
    wire.serve(mqtt5.DisconnectPacket(reason_code=Codes.SESSION_TAKEN_OVER))
    assert (wire.ended.reason, wire.ended.final) == ("SESSION_TAKEN_OVER", True)


def test_greeting_goes_before_what_waited() -> None:
    """What is published on CONNACK overtakes the queue, and is forgotten with its connection."""
    wire = Wire.make()
    wire.session.publish(outgoing(b"waited"))
    wire.greetings = [outgoing(b"online 1")]
    assert [each[0] for each in sent(wire.connect())] == [b"online 1", b"waited"]
    wire.lose()
    assert wire.settled == [(b"online 1", "SUPERSEDED")]
    wire.greetings = [outgoing(b"online 2")]
    again = sent(wire.connect(mqtt5.ConnAckPacket(session_present=True)))
    assert [(each[0], each[2]) for each in again] == [(b"online 2", False), (b"waited", True)]


def test_resent_with_dup_where_the_session_is_known() -> None:
    """Order, packet ids and DUP after a lost wire; what was never sent has no DUP."""
    wire = Wire.make(replace(SETTINGS, inflight_max=2))
    wire.connect()
    wire.publish(*(outgoing(b"%d" % n) for n in range(4)))
    wire.serve(mqtt5.PubAckPacket(1))
    assert sent(wire.flush()) == [(b"2", 3, False)]
    wire.lose()
    assert sent(wire.connect(mqtt5.ConnAckPacket(session_present=True))) == [
        (b"1", 2, True),
        (b"2", 3, True),
    ]
    wire.serve(mqtt5.PubAckPacket(2), mqtt5.PubAckPacket(3))
    assert sent(wire.flush()) == [(b"3", 4, False)]
    assert wire.counters.resent == 2


def test_published_anew_where_the_session_is_lost() -> None:
    """A broker that has lost the session gets the same messages in order, without DUP."""
    wire = Wire.make()
    wire.connect()
    wire.publish(outgoing(b"0"), outgoing(b"1"))
    wire.lose()
    assert sent(wire.connect()) == [(b"0", 3, False), (b"1", 4, False)]
    wire.serve(mqtt5.PubAckPacket(3), mqtt5.PubAckPacket(4))
    assert wire.settled == [(b"0", None), (b"1", None)]


def test_late_acknowledgement_of_an_earlier_connection_is_ignored() -> None:
    """A PUBACK for what was not sent on this connection settles nothing."""
    wire = Wire.make(replace(SETTINGS, inflight_max=1))
    wire.connect()
    wire.publish(outgoing(b"0"))
    wire.lose()
    wire.session.connect(wire.now)
    wire.flush()
    wire.serve(
        mqtt5.ConnAckPacket(session_present=True), mqtt5.PubAckPacket(1), mqtt5.PubAckPacket(9)
    )
    assert wire.settled == []
    assert sent(wire.flush()) == [(b"0", 1, True)]


def test_window_is_the_smaller_of_both() -> None:
    """No more than the broker's receive maximum, or ours, is in flight."""
    for theirs, ours, expected in ((3, 10, 3), (10, 2, 2)):
        wire = Wire.make(replace(SETTINGS, inflight_max=ours))
        wire.connect(mqtt5.ConnAckPacket(receive_max=theirs))
        assert len(sent(wire.publish(*(outgoing() for _ in range(20))))) == expected
        assert not wire.session.has_more
        wire.serve(mqtt5.PubAckPacket(1))
        assert len(sent(wire.flush())) == 1


@pytest.mark.parametrize(
    ("answer", "message", "reason"),
    [
        (mqtt5.ConnAckPacket(max_packet_size=50), outgoing(b"x" * 60), "PACKET_TOO_LARGE"),
        (mqtt5.ConnAckPacket(max_qos=QOS_0), outgoing(), "QUALITY_NOT_SUPPORTED"),
        (
            mqtt5.ConnAckPacket(retain_available=False),
            outgoing(retain=True),
            "RETAIN_NOT_SUPPORTED",
        ),
        (mqtt5.ConnAckPacket(), outgoing(expires_at=99.0), "MESSAGE_EXPIRED"),
        (mqtt5.ConnAckPacket(), outgoing(topic="a/#"), "NOT_ENCODABLE (Invalid topic)"),
    ],
)
def test_limits_of_the_broker(answer: mqtt5.ConnAckPacket, message: Outgoing, reason: str) -> None:
    """What the broker does not allow fails by name, alone, and never reaches the wire."""
    wire = Wire.make()
    wire.connect(answer)
    fresh = replace(message)
    assert wire.publish(fresh) == []
    assert [each[1] for each in wire.settled] == [reason]
    assert len(sent(wire.publish(outgoing(b"small", qos=0)))) == 1


def test_refused_message_is_named() -> None:
    """A PUBACK that says no fails that message with the broker's reason."""
    wire = Wire.make()
    wire.connect()
    wire.publish(outgoing(b"0"), outgoing(b"1"))
    codes = mqtt5.PubAckReasonCode
    wire.serve(
        mqtt5.PubAckPacket(1, reason_code=codes.QUOTA_EXCEEDED),
        mqtt5.PubAckPacket(2, reason_code=codes.NO_MATCHING_SUBSCRIBERS),
    )
    assert wire.settled == [(b"0", "QUOTA_EXCEEDED"), (b"1", None)]


def test_expiry_counts_down_while_waiting() -> None:
    """The time a message waits with us is taken off what the broker is told."""
    wire = Wire.make()
    wire.session.publish(outgoing(expires_at=wire.now + 60))
    wire.now += 45
    (packet,) = wire.connect()
    assert isinstance(packet, mqtt5.PublishPacket)
    assert packet.message_expiry_interval == 15


def test_congestion_holds_messages_but_not_acknowledgements() -> None:
    """While the wire is congested only acknowledgements leave."""
    wire = Wire.make()
    wire.connect()
    wire.serve(delivery(1))
    wire.session.acknowledge(wire.messages)
    wire.session.publish(outgoing())
    data, _ = wire.session.send(wire.now, paused=True)
    assert [type(each) for each in parse(data)] == [mqtt5.PubAckPacket]
    assert len(sent(wire.flush())) == 1


def test_acknowledgements_leave_in_order_of_arrival() -> None:
    """An acknowledgement that overtakes waits; those of another connection are skipped."""
    wire = Wire.make()
    wire.connect()
    wire.serve(delivery(1), delivery(2), delivery(3))
    one, two, three = wire.messages
    assert wire.session.acknowledge([three, two]) == 0
    assert wire.session.acknowledge([one]) == 3
    assert [each.packet_id for each in wire.flush() if isinstance(each, mqtt5.PubAckPacket)] == [
        1,
        2,
        3,
    ]
    assert wire.session.acknowledge([one]) == 0
    wire.serve(delivery(1))
    stale = wire.messages[-1]
    wire.lose()
    wire.connect(mqtt5.ConnAckPacket(session_present=True))
    wire.serve(delivery(1))
    assert wire.session.acknowledge([stale]) == 0
    assert wire.session.acknowledge([wire.messages[-1]]) == 1


def test_subscribes_once_for_a_session_that_lasts() -> None:
    """SUBSCRIBE at the first connect and whenever the broker has lost the session."""

    def connect(answer: mqtt5.ConnAckPacket) -> bool:
        packets = wire.connect(answer)
        asked = any(isinstance(each, mqtt5.SubscribePacket) for each in packets)
        if asked:
            code = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
            wire.serve(mqtt5.SubAckPacket(1, [code]))
        wire.lose()
        return asked

    wire = Wire.make(SETTINGS, "a/#")
    present, absent = mqtt5.ConnAckPacket(session_present=True), mqtt5.ConnAckPacket()
    assert [connect(each) for each in (present, present, absent, present)] == [
        True,
        False,
        True,
        False,
    ]


def test_keep_alive() -> None:
    """PINGREQ when idle; alive by any answer; dead when nothing at all comes."""
    wire = Wire.make()
    wire.connect()
    assert wire.session.deadline == wire.now + 10
    assert wire.tick(9.9) == []
    assert wire.flush() == []
    wire.tick(0.1)
    assert [type(each) for each in wire.flush()] == [mqtt5.PingReqPacket]
    wire.serve(mqtt5.PingRespPacket())
    assert wire.tick(5) == []
    wire.tick(5)
    wire.flush()
    assert wire.tick(4.9) == []
    wire.tick(0.1)
    assert wire.ended.reason == "KEEP_ALIVE_TIMEOUT"
    assert wire.session.deadline == float("inf")


def test_a_busy_sender_finds_a_silent_broker() -> None:
    """Sending all the time does not hide that nothing comes back."""
    wire = Wire.make()
    wire.connect()
    for _ in range(20):
        wire.publish(outgoing())
        if any(type(each) is Ended for each in wire.tick(1)):
            break
    assert wire.ended.reason == "KEEP_ALIVE_TIMEOUT"


def test_keep_alive_of_the_server_rules() -> None:
    """The broker may ask for another keep-alive time, or for none."""
    wire = Wire.make()
    wire.connect(mqtt5.ConnAckPacket(server_keep_alive=3))
    assert wire.session.deadline == wire.now + 3
    wire.lose()
    wire.connect(mqtt5.ConnAckPacket(server_keep_alive=0))
    assert wire.session.deadline == float("inf")


def test_connect_without_an_answer() -> None:
    """CONNECT that nobody answers is given up after connect_timeout_s."""
    wire = Wire.make()
    wire.session.connect(wire.now)
    wire.tick(SETTINGS.connect_timeout_s)
    assert wire.ended.reason == "CONNECT_TIMEOUT"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x00\x00", Codes.MALFORMED_PACKET),
        (b"\x30\xff\xff\xff\xff", Codes.MALFORMED_PACKET),
        (b"\x30\xff\xff\xff\x7f", Codes.PACKET_TOO_LARGE),
        (mqtt5.ConnAckPacket().write(), Codes.PROTOCOL_ERROR),
        (mqtt5.PubRelPacket(1).write(), Codes.PROTOCOL_ERROR),
        (mqtt5.ConnectPacket("x").write(), Codes.PROTOCOL_ERROR),
        (delivery(0).write(), Codes.PROTOCOL_ERROR),
        (mqtt5.PublishPacket("t", b"", qos=QOS_2, packet_id=1).write(), Codes.QOS_NOT_SUPPORTED),
        (mqtt5.PublishPacket("t", b"", topic_alias=1).write(), Codes.TOPIC_ALIAS_INVALID),
    ],
)
def test_broken_rules_are_named(data: bytes, code: Codes) -> None:
    """Each broken rule ends the connection with its own reason, told to the broker too."""
    wire = Wire.make()
    wire.connect()
    wire.serve(delivery(7), data, delivery(8))
    assert [each.token & 0xFFFF for each in wire.messages] == [7]
    assert wire.ended.reason == code.name
    assert said(wire.flush()) == code
    assert wire.counters.protocol_errors == 1
    assert wire.serve(delivery(9)) == []


@CODEC_PANICS
def test_text_that_is_not_utf_8_is_malformed() -> None:
    """A topic that is not UTF-8, on which the codec panics, ends the connection by name."""
    wire = Wire.make()
    wire.connect()
    wire.serve(b"\x30\x05\x00\x01\xff\x00x")
    assert wire.ended.reason == "MALFORMED_PACKET"
    assert "UTF-8" in wire.ended.text
    assert said(wire.flush()) == Codes.MALFORMED_PACKET


def test_an_mqtt_3_answer_is_hinted_at() -> None:
    """A CONNACK of MQTT 3.1.1 names the other lane as the way out."""
    wire = Wire.make()
    wire.session.connect(wire.now)
    wire.feed(b"\x20\x02\x00\x01")
    assert "3.1.1" in wire.ended.text


def test_goodbye() -> None:
    """Leaving politely says so, and what is not acknowledged stays to be handed back."""
    wire = Wire.make()
    wire.connect()
    wire.publish(outgoing(b"0"))
    wire.session.publish(outgoing(b"1"))
    wire.events += wire.session.disconnect()
    assert said(wire.flush()) == Codes.NORMAL_DISCONNECTION
    assert [each.payload for each in wire.session.abandon()] == [b"0", b"1"]
    assert wire.session.disconnect() == wire.session.lost() == []

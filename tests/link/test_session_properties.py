"""What must hold for the session whatever happens: hypothesis plays the wire and the server."""

from itertools import pairwise

import mqtt5
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from link.packets import packet_size
from link.states import Ended, Event, State
from tests.link.wire import CODEC_PANICS, SETTINGS, Codes, Wire, delivery, outgoing, sent

STREAM = b"".join(
    [
        mqtt5.ConnAckPacket(receive_max=5).write(),
        *(delivery(n + 1, b"%d" % n * n).write() for n in range(6)),
        mqtt5.PublishPacket("t", b"", user_properties=[("a", "b")], content_type="c").write(),
        mqtt5.PingRespPacket().write(),
        mqtt5.PubAckPacket(1).write(),
        mqtt5.DisconnectPacket(reason_code=Codes.SERVER_SHUTTING_DOWN).write(),
    ]
)


def events_of(pieces: list[bytes]) -> list[Event]:
    wire = Wire.make()
    wire.session.publish(outgoing(b"mine"))
    wire.session.connect(wire.now)
    wire.flush()
    for piece in pieces:
        wire.feed(piece)
        wire.flush()
    return [each for each in wire.events if hasattr(each, "token") or type(each) is Ended]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cuts_do_not_matter(cuts: list[int]) -> None:
    """Bytes cut anywhere mean the same."""
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:stop] for start, stop in pairwise(edges)]
    expected = events_of([STREAM])
    assert events_of(pieces) == expected
    assert len(expected) == 8


@CODEC_PANICS
@given(st.binary(max_size=40))
def test_any_bytes_end_in_a_name_or_wait(data: bytes) -> None:
    """No bytes whatever raise: they are events, an end with a name, or the start of a packet."""
    wire = Wire.make()
    wire.connect()
    wire.feed(data)
    if wire.session.state is State.IDLE:
        assert wire.ended.reason
    else:
        assert wire.session.state is State.OPEN


@given(st.integers(0, 268_435_455))
def test_packet_size_is_what_the_head_promises(length: int) -> None:
    """The size of a packet can be read as soon as its head is there, and not before."""
    digits, rest = bytearray(), length
    while True:
        rest, digit = divmod(rest, 128)[0], rest % 128
        digits.append(digit | 0x80 if rest else digit)
        if not rest:
            break
    head = b"\x30" + bytes(digits)
    assert packet_size(memoryview(head)) == len(head) + length
    assert packet_size(memoryview(head[:-1])) == 0


def fates() -> st.SearchStrategy[list[tuple[str, int]]]:
    """What may happen between a session and a server, in any order."""
    kinds = st.sampled_from(["publish", "acknowledge", "lose", "forget"])
    return st.lists(st.tuples(kinds, st.integers(1, 5)), max_size=40)


@given(fates())
def test_every_message_is_settled_once_and_in_order(happenings: list[tuple[str, int]]) -> None:
    """However often the wire breaks or the server forgets: all delivered, first time in order."""
    wire = Wire.make(replace(SETTINGS, inflight_max=4))
    wire.connect()
    published = 0
    for kind, count in happenings:
        if kind == "publish":
            wire.publish(*(outgoing(b"%d" % (published + n)) for n in range(count)))
            published += count
        elif kind == "acknowledge":
            acknowledge_oldest(wire, count)
        else:
            wire.lose()
            wire.connect(mqtt5.ConnAckPacket(session_present=kind == "lose"))
    while len(wire.settled) < published:
        acknowledge_oldest(wire, 1)
    assert wire.settled == [(b"%d" % n, None) for n in range(published)]
    first = list(dict.fromkeys(each[0] for each in sent(wire.heard)))
    assert first == [b"%d" % n for n in range(published)]


def acknowledge_oldest(wire: Wire, count: int) -> None:
    """The server acknowledges what it has heard longest ago on this connection."""
    start = max(n for n, each in enumerate(wire.heard) if isinstance(each, mqtt5.ConnectPacket))
    heard = [each[1] for each in sent(wire.heard[start:])]
    done = wire.acknowledged.setdefault(start, 0)
    for packet_id in heard[done : done + count]:
        assert packet_id is not None
        wire.serve(mqtt5.PubAckPacket(packet_id))
        wire.acknowledged[start] += 1
    wire.flush()

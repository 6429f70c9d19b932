"""What a link promises, on every lane and against every broker, with aiomqtt on the other side."""

import asyncio
from collections.abc import Awaitable, Callable

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from infusion.errors import LinkError
from link import Link, Message, OutboxFull, Subscription, Will, open_link
from tests.link.conftest import Bench, lanes

WAIT_S = 10.0
QUIET_S = 0.3  # how long nothing must come, before "nothing comes" is believed


async def take(link: Link, count: int, *, acknowledge: bool = True) -> list[Message]:
    """So many messages, in order of arrival."""
    messages: list[Message] = []
    async with asyncio.timeout(WAIT_S):
        while len(messages) < count:
            batch = await link.receive()
            if acknowledge:
                link.acknowledge(batch)
            messages += batch
    return messages


async def is_quiet(waiting: Awaitable[object]) -> bool:
    """Whether nothing happens for a while."""
    try:
        await asyncio.wait_for(waiting, QUIET_S)
    except TimeoutError:
        return True
    return False


async def until(condition: Callable[[], object], within_s: float = WAIT_S) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.01)


async def peer_takes(peer: aiomqtt.Client, count: int) -> list[aiomqtt.Message]:
    """So many messages at the peer."""
    async with asyncio.timeout(WAIT_S):
        return [await anext(peer.messages) for _ in range(count)]


def payloads(messages: list[Message]) -> list[bytes]:
    return [message.payload for message in messages]


@pytest.mark.parametrize("qos", [0, 1])
async def test_sends_what_a_stranger_reads(bench: Bench, qos: int) -> None:
    """Topic, payload, QoS and order survive the way to an aiomqtt client."""
    peer = await bench.peer()
    await peer.subscribe(bench.topic, qos=qos)  # rumqttd delivers with the subscription's QoS
    link = await bench.link()
    futures = [link.publish(bench.topic, b"%d" % n, qos=qos) for n in range(20)]  # type: ignore[arg-type]
    await asyncio.wait_for(asyncio.gather(*futures), WAIT_S)
    messages = await peer_takes(peer, 20)
    assert [message.payload for message in messages] == [b"%d" % n for n in range(20)]
    assert {(message.topic.value, message.qos) for message in messages} == {(bench.topic, qos)}
    assert link.counters.published == 20
    assert link.outbox_used == 0


@pytest.mark.parametrize("qos", [0, 1])
async def test_reads_what_a_stranger_sends(bench: Bench, qos: int) -> None:
    """Topic, payload, QoS and order survive the way from an aiomqtt client."""
    subscription = Subscription(f"{bench.topic}/#", qos)  # type: ignore[arg-type]
    link = await bench.link(subscriptions=[subscription])
    peer = await bench.peer()
    for n in range(20):
        await peer.publish(f"{bench.topic}/a", b"%d" % n, qos=qos)
    messages = await take(link, 20)
    assert payloads(messages) == [b"%d" % n for n in range(20)]
    assert {(message.topic, message.qos) for message in messages} == {(f"{bench.topic}/a", qos)}
    assert link.counters.received == 20
    assert link.counters.acknowledged == 20 * qos


@lanes(("embedded", "5"), ("mosquitto", "5"))
async def test_properties_go_both_ways(bench: Bench) -> None:
    """MQTT 5 carries content type, user properties, response topic and correlation data."""
    link = await bench.link(subscriptions=[Subscription(f"{bench.topic}/in")])
    peer = await bench.peer(f"{bench.topic}/out")
    link.publish(
        f"{bench.topic}/out",
        b"{}",
        content_type="application/json",
        user_properties=(("contract", "1"),),
        response_topic="r",
        correlation_data=b"c",
        expiry_s=60,
    )
    (heard,) = await peer_takes(peer, 1)
    assert heard.properties is not None
    assert heard.properties.ContentType == "application/json"  # type: ignore[attr-defined]
    assert heard.properties.UserProperty == [("contract", "1")]  # type: ignore[attr-defined]
    assert heard.properties.ResponseTopic == "r"  # type: ignore[attr-defined]
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = "application/json"
    properties.UserProperty = ("contract", "1")
    properties.CorrelationData = b"c"
    await peer.publish(f"{bench.topic}/in", b"{}", qos=1, properties=properties)
    (message,) = await take(link, 1)
    assert message.content_type == "application/json"
    assert message.user_properties == (("contract", "1"),)
    assert message.correlation_data == b"c"


async def test_retained_message_waits_for_a_late_joiner(bench: Bench) -> None:
    """A retained message reaches who subscribes later, marked as retained."""
    link = await bench.link()
    await link.publish(bench.topic, b"on", retain=True)
    late = await bench.link(subscriptions=[Subscription(bench.topic)])
    (message,) = await take(late, 1)
    assert (message.payload, message.retain) == (b"on", True)
    await link.publish(bench.topic, b"", retain=True)


async def test_will_after_an_abort_and_not_after_a_goodbye(bench: Bench) -> None:
    """Leaving politely sends no will; cutting the connection does."""
    peer = await bench.peer(bench.topic)
    will = Will(topic=bench.topic, payload=b"gone", retain=False)
    async with open_link(bench.settings(), will=will) as polite:
        await polite.connected(WAIT_S)
    assert await is_quiet(anext(peer.messages))
    async with open_link(bench.settings(), will=will) as cut:
        await cut.connected(WAIT_S)
        await cut.abort()
    (message,) = await peer_takes(peer, 1)
    assert message.payload == b"gone"


async def test_greeting_goes_first(bench: Bench) -> None:
    """What on_connect publishes overtakes what waited, at every connect."""
    peer = await bench.peer(bench.topic)
    calls: list[bool] = []

    def greet(session_present: bool) -> None:
        calls.append(session_present)
        link.publish(bench.topic, b"online")

    settings = bench.settings(session_expiry_s=60)
    link = open_link(settings, on_connect=greet)
    link.publish(bench.topic, b"waited")
    async with link:
        await link.drain(WAIT_S)
        assert [each.payload for each in await peer_takes(peer, 2)] == [b"online", b"waited"]
        await link.abort(reconnect_after_s=0.05)
        await until(lambda: len(calls) == 2)
        await link.drain(WAIT_S)
        assert (await peer_takes(peer, 1))[0].payload == b"online"
    assert calls == [False, True]


async def test_error_in_on_connect_ends_the_link(bench: Bench) -> None:
    """What on_connect raises is not lost: whoever waits on the link hears of it."""

    def greet(_: bool) -> None:
        raise ZeroDivisionError("a fault of the caller")

    async with open_link(bench.settings(), on_connect=greet) as link:
        with pytest.raises(LinkError, match="a fault of the caller"):
            await asyncio.wait_for(link.receive(), WAIT_S)


async def test_persistent_session_keeps_what_came_meanwhile(bench: Bench) -> None:
    """QoS 1 messages sent while we were away arrive once, in order, after the return."""
    settings = bench.settings(session_expiry_s=60)
    subscriptions = [Subscription(bench.topic)]
    async with open_link(settings, subscriptions=subscriptions) as link:
        await link.connected(WAIT_S)
        await bench.link()  # a round trip through the broker, so that the subscription is there
        await asyncio.sleep(0.1)
    peer = await bench.peer()
    for n in range(30):
        await peer.publish(bench.topic, b"%d" % n, qos=1)
    back = await bench.link(settings, subscriptions=subscriptions)
    assert payloads(await take(back, 30)) == [b"%d" % n for n in range(30)]
    assert await is_quiet(back.receive())


async def test_clean_start_forgets_the_earlier_session(bench: Bench) -> None:
    """With clean_start nothing of an earlier run arrives."""
    settings = bench.settings(session_expiry_s=60)
    subscriptions = [Subscription(bench.topic)]
    async with open_link(settings, subscriptions=subscriptions) as link:
        await link.connected(WAIT_S)
        await asyncio.sleep(0.1)
    peer = await bench.peer()
    await peer.publish(bench.topic, b"old", qos=1)
    fresh = bench.settings(session_expiry_s=60, clean_start=True, client_id=settings.client_id)
    back = await bench.link(fresh, subscriptions=subscriptions)
    await asyncio.sleep(0.1)
    await peer.publish(bench.topic, b"new", qos=1)
    assert payloads(await take(back, 1)) == [b"new"]


async def test_unacknowledged_messages_come_again(bench: Bench) -> None:
    """After an abort exactly what was not acknowledged is delivered again."""
    settings = bench.settings(session_expiry_s=60)
    subscriptions = [Subscription(bench.topic)]
    async with open_link(settings, subscriptions=subscriptions) as link:
        await link.connected(WAIT_S)
        await asyncio.sleep(0.1)
        sender = await bench.link()
        for n in range(10):
            sender.publish(bench.topic, b"%d" % n)
        messages = await take(link, 10, acknowledge=False)
        link.acknowledge(messages[:4])
        await sender.drain(WAIT_S)
        await asyncio.sleep(0.1)
        await link.abort(reconnect_after_s=0.05)
        again = await take(link, 6)
        assert payloads(again) == [b"%d" % n for n in range(4, 10)]
        assert link.counters.acknowledged == 10
        link.acknowledge(messages)  # of the earlier connection: skipped
        assert link.counters.acknowledged == 10


async def test_a_held_back_acknowledgement_waits_for_the_older_one(bench: Bench) -> None:
    """Acknowledging the second message before the first keeps the connection and loses nothing."""
    link = await bench.link(subscriptions=[Subscription(bench.topic)])
    sender = await bench.link()
    for n in range(3):
        await sender.publish(bench.topic, b"%d" % n)
    first, second, third = await take(link, 3, acknowledge=False)
    link.acknowledge([second, third])
    assert link.counters.acknowledged == 0
    link.acknowledge([first])
    assert link.counters.acknowledged == 3
    await sender.publish(bench.topic, b"3")
    assert payloads(await take(link, 1)) == [b"3"]
    assert link.counters.disconnects == 0


async def test_receiver_that_does_not_acknowledge_gets_receive_max(bench: Bench) -> None:
    """Back-pressure: no more than receive_max QoS 1 messages are out at the application."""
    settings = bench.settings(receive_max=5, inbox_max=1000)
    link = await bench.link(settings, subscriptions=[Subscription(bench.topic)])
    sender = await bench.link()
    for n in range(50):
        sender.publish(bench.topic, b"%d" % n)
    await sender.drain(WAIT_S)
    held = await take(link, 5, acknowledge=False)
    assert await is_quiet(link.receive())
    link.acknowledge(held)
    rest = await take(link, 45)
    assert payloads(held + rest) == [b"%d" % n for n in range(50)]


async def test_outbox_is_bounded(bench: Bench) -> None:
    """A full outbox refuses the next message, and says when there is room again."""
    link = open_link(bench.settings(outbox_max=3))
    futures = [link.publish(bench.topic, b"") for _ in range(3)]
    with pytest.raises(OutboxFull):
        link.publish(bench.topic, b"")
    async with link:
        await asyncio.wait_for(link.room(), WAIT_S)
        await asyncio.gather(*futures)
        assert link.outbox_used == 0
        await link.publish(bench.topic, b"")


async def test_qos_0_needs_a_connection(bench: Bench) -> None:
    """A QoS 0 message without a connection fails its future, is counted, and makes no noise."""
    link = open_link(bench.settings())
    unheard = link.publish(bench.topic, b"", qos=0)
    with pytest.raises(LinkError, match="NOT_CONNECTED"):
        await link.publish(bench.topic, b"", qos=0)
    del unheard
    assert link.counters.refused == 2
    assert link.outbox_used == 0


async def test_packet_beyond_the_limit_is_refused(bench: Bench) -> None:
    """A packet larger than packet_bytes_max fails alone; the connection stays."""
    link = await bench.link(bench.settings(packet_bytes_max=2_000))
    with pytest.raises(LinkError, match="PACKET_TOO_LARGE"):
        await link.publish(bench.topic, b"x" * 1_990)
    await link.publish(bench.topic, b"x" * 1_000)
    assert link.counters.disconnects == 0
    assert link.counters.refused == 1


async def test_topic_that_cannot_be_published_to(bench: Bench) -> None:
    """A wildcard in a topic is the caller's mistake and is said at once."""
    link = await bench.link()
    with pytest.raises(ValueError, match="not a topic"):
        link.publish("a/+", b"")


async def test_take_over_of_a_client_id_is_not_fought(bench: Bench) -> None:
    """Two links with one client id: one of them gives up with a named reason, one goes on."""
    settings = bench.settings(backoff_min_s=0.02, backoff_max_s=0.05)
    older = await bench.link(settings, subscriptions=[Subscription(bench.topic)])
    newer = await bench.link(settings, subscriptions=[Subscription(bench.topic)])
    waiting = [asyncio.ensure_future(each.receive()) for each in (older, newer)]
    done, _ = await asyncio.wait(waiting, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
    loser, winner = (older, newer) if waiting[0] in done else (newer, older)
    with pytest.raises(LinkError, match="SESSION_TAKEN_OVER"):
        await loser.connected(1)
    assert "SESSION_TAKEN_OVER" in str(loser.disconnect_reason)
    with pytest.raises(LinkError, match="SESSION_TAKEN_OVER"):
        await done.pop()
    await winner.connected(WAIT_S)
    await asyncio.sleep(0.2)
    connects = winner.counters.connects
    await asyncio.sleep(QUIET_S)
    assert (winner.is_connected, winner.counters.connects) == (True, connects)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_reconnects_after_an_abort(bench: Bench) -> None:
    """What is published while the connection is away goes out after it is back."""
    peer = await bench.peer(bench.topic)
    link = await bench.link()
    await link.abort(reconnect_after_s=0.2)
    assert not link.is_connected
    futures = [link.publish(bench.topic, b"%d" % n) for n in range(5)]
    await asyncio.wait_for(asyncio.gather(*futures), WAIT_S)
    assert [each.payload for each in await peer_takes(peer, 5)] == [b"%d" % n for n in range(5)]
    assert (link.counters.connects, link.counters.disconnects) == (2, 1)


async def test_leaving_fails_what_is_left(bench: Bench) -> None:
    """A link that is closed tells every message its fate, and refuses new ones."""
    link = open_link(bench.settings(port=1))
    async with link:
        future = link.publish(bench.topic, b"")
    with pytest.raises(LinkError, match="closed"):
        await future
    with pytest.raises(LinkError, match="closed"):
        link.publish(bench.topic, b"")


async def test_many_messages_in_order(bench: Bench) -> None:
    """With a full window none is lost, doubled or out of order."""
    total = 100_000 if bench.mqtt == "5" else 20_000
    receiver = await bench.link(
        bench.settings(session_expiry_s=60), subscriptions=[Subscription(bench.topic)]
    )
    sender = await bench.link(bench.settings(outbox_max=2_000))

    async def send() -> None:
        for n in range(total):
            if sender.outbox_used >= 2_000:
                await sender.room()
            sender.publish(bench.topic, b"%d" % n)

    sending = asyncio.ensure_future(send())
    expected = 0
    async with asyncio.timeout(60):
        while expected < total:
            batch = await receiver.receive()
            receiver.acknowledge(batch)
            assert payloads(batch) == [b"%d" % (expected + n) for n in range(len(batch))]
            expected += len(batch)
        await sending
        await sender.drain(WAIT_S)
    assert sender.counters.published == total

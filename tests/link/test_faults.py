"""What a link does when brokers die, refuse, lie, fall silent or speak TLS."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import mqtt5
import pytest

from infusion.errors import LinkError
from link import LinkSettings, Subscription, Tls, Will, open_link
from tests.brokers import HOST, Mosquitto, free_port, missing, mosquitto_path
from tests.link.conftest import FAST, Bench, Mqtt, lanes
from tests.link.test_contract import WAIT_S, peer_takes, take, until

BOTH_LANES = pytest.mark.parametrize("mqtt", ["5", "3.1.1"])
CONNACK_311 = b"\x20\x02\x00\x00"
SAVED_S = 0.3  # after which Mosquitto has saved what it acknowledged
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def settings(port: int, mqtt: Mqtt, **changes: object) -> LinkSettings:
    values = {"client_id": "tester", "port": port, "mqtt": mqtt, **FAST, **changes}
    return LinkSettings(**values)  # type: ignore[arg-type]


def connack(mqtt: Mqtt) -> bytes:
    return mqtt5.ConnAckPacket().write() if mqtt == "5" else CONNACK_311


async def lying_server(serve: Serve) -> tuple[asyncio.Server, int]:
    """A server whose every connection is played by `serve`."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1024)
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the link hung up, which is what these tests are about
        finally:
            writer.close()

    port = free_port()
    return await asyncio.start_server(play, HOST, port), port


@BOTH_LANES
async def test_closed_port_is_named(mqtt: Mqtt) -> None:
    """Where nobody listens, the error names host, port and reason."""
    port = free_port()
    async with open_link(settings(port, mqtt)) as link:
        with pytest.raises(LinkError, match=rf"127\.0\.0\.1:{port} within 0.3 s; .*UNREACHABLE"):
            await link.connected(0.3)
        assert link.disconnect_reason == "UNREACHABLE"
        assert link.counters.connect_failures > 1


@BOTH_LANES
async def test_wrong_password_is_final(mqtt: Mqtt, tmp_path: Path) -> None:
    """A wrong password ends the link with the broker's reason, and is not tried again."""
    if mosquitto_path() is None:
        missing("mosquitto")
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    run("mosquitto_passwd", "-b", os.fspath(passwords), "nurse", "right", folder=tmp_path)
    config = f"allow_anonymous false\npassword_file {passwords}"
    with Mosquitto(tmp_path, config=config) as broker:
        right = settings(broker.port, mqtt, username="nurse", password="right")
        async with open_link(right) as link:
            await link.connected(WAIT_S)
        wrong = settings(broker.port, mqtt, username="nurse", password="wrong")
        assert "wrong" not in repr(wrong)
        async with open_link(wrong) as link:
            # Mosquitto calls a wrong password "not authorised", in both versions.
            with pytest.raises(LinkError, match=rf"{broker.port} refused .* NOT_AUTHORIZED"):
                await link.connected()
            with pytest.raises(LinkError, match="NOT_AUTHORIZED"):
                await link.receive()
            assert link.counters.connect_failures == 1


async def test_broker_killed_while_publishing(own_bench: Bench) -> None:
    """Every QoS 1 message reaches a subscriber that comes back, though the broker was killed."""
    bench = own_bench
    subscriber = await bench.link(
        bench.settings(session_expiry_s=600), subscriptions=[Subscription(bench.topic)]
    )
    publisher = await bench.link(bench.settings(session_expiry_s=600, inflight_max=20))
    heard: set[bytes] = set()

    async def listen() -> None:
        while True:
            batch = await subscriber.receive()
            heard.update(message.payload for message in batch)
            subscriber.acknowledge(batch)

    def send(start: int, stop: int) -> None:
        for n in range(start, stop):
            publisher.publish(bench.topic, b"%d" % n)

    listening = asyncio.ensure_future(listen())
    send(0, 100)
    await until(lambda: len(heard) == 100)
    await asyncio.sleep(SAVED_S)
    if isinstance(bench.broker, Mosquitto):
        # Frozen, it takes what we send and never answers: in flight when it dies.
        bench.broker.freeze()
    send(100, 200)
    if isinstance(bench.broker, Mosquitto):
        await asyncio.sleep(0.1)
    bench.broker.kill()  # in this turn of the loop, so that the embedded one gets none of it
    await until(lambda: not publisher.is_connected and not subscriber.is_connected)
    # The embedded broker forgets subscriptions too, so the subscriber must be back first.
    await publisher.abort(reconnect_after_s=1.5)
    send(200, 300)
    await asyncio.to_thread(bench.broker.start)
    await subscriber.connected(WAIT_S)
    await until(lambda: len(heard) == 300)
    await publisher.drain(WAIT_S)
    listening.cancel()
    assert heard == {b"%d" % n for n in range(300)}
    assert (publisher.counters.refused, publisher.counters.published) == (0, 300)
    assert (publisher.counters.connects, publisher.counters.disconnects) == (2, 1)
    if not bench.is_embedded:
        assert publisher.counters.resent == 20


async def test_queue_survives_a_killed_broker(tmp_path: Path) -> None:
    """A durable broker delivers after its restart what it had accepted for us."""
    with Mosquitto(tmp_path) as broker:
        mine = settings(broker.port, "5", session_expiry_s=600)
        subscriptions = [Subscription("t")]
        async with open_link(mine, subscriptions=subscriptions) as link:
            await link.connected(WAIT_S)
            await asyncio.sleep(0.1)
        async with open_link(settings(broker.port, "5", client_id="sender")) as sender:
            for n in range(10):
                await sender.publish("t", b"%d" % n)
        await asyncio.sleep(SAVED_S)
        broker.kill()
        broker.start()
        async with open_link(mine, subscriptions=subscriptions) as link:
            assert [each.payload for each in await take(link, 10)] == [b"%d" % n for n in range(10)]


@BOTH_LANES
async def test_malformed_bytes_have_a_name(mqtt: Mqtt) -> None:
    """Bytes that are no MQTT end the connection; the link says why and tries again."""
    told = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        good = mqtt5.PublishPacket("a", b"").write() if mqtt == "5" else b"\x30\x03\x00\x01a"
        writer.write(connack(mqtt) + good + b"\x30\xff\xff\xff\xff\xff")
        last = await reader.read(1024)
        if not told.done():
            told.set_result(last)

    server, port = await lying_server(serve)
    async with server, open_link(settings(port, mqtt)) as link:
        (message,) = await take(link, 1, acknowledge=False)
        assert message.topic == "a"
        await until(lambda: link.counters.disconnects)
        assert link.disconnect_reason in ("MALFORMED_PACKET", "PROTOCOL_ERROR")
        assert link.counters.protocol_errors >= 1
        if mqtt == "5":
            goodbye, _ = mqtt5.read(memoryview(await told))
            assert isinstance(goodbye, mqtt5.DisconnectPacket)
            assert goodbye.reason_code == mqtt5.DisconnectReasonCode.MALFORMED_PACKET
        await until(lambda: link.counters.connects > 1)


@BOTH_LANES
async def test_subscribed_is_more_than_connected(mqtt: Mqtt) -> None:
    """A broker that is slow to take a subscription would drop what is published before that."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(connack(mqtt))
        subscribe = await reader.read(1024)
        asked.set()
        await answer.wait()
        properties = b"\x00" if mqtt == "5" else b""
        writer.write(bytes([0x90, 3 + len(properties)]) + subscribe[2:4] + properties + b"\x01")
        await asyncio.sleep(60)

    server, port = await lying_server(serve)
    subscriptions = [Subscription("a")]
    async with server, open_link(settings(port, mqtt), subscriptions=subscriptions) as link:
        subscribed = asyncio.ensure_future(link.subscribed(WAIT_S))
        await link.connected(WAIT_S)
        await asked.wait()
        await asyncio.wait([subscribed], timeout=0.2)
        assert not subscribed.done()
        answer.set()
        await subscribed
        await link.abort()


@BOTH_LANES
async def test_half_open_connection_is_found(mqtt: Mqtt) -> None:
    """A server that accepts us and then falls silent is found out by the keep-alive."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(connack(mqtt))
        await asyncio.sleep(60)

    server, port = await lying_server(serve)
    async with server, open_link(settings(port, mqtt, keep_alive_s=1)) as link:
        await link.connected(WAIT_S)
        await until(lambda: link.counters.disconnects)
        assert link.disconnect_reason == "KEEP_ALIVE_TIMEOUT"
        await link.abort()


@BOTH_LANES
async def test_server_without_an_answer(mqtt: Mqtt) -> None:
    """A server that never sends CONNACK is given up after connect_timeout_s."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    server, port = await lying_server(serve)
    async with server, open_link(settings(port, mqtt, connect_timeout_s=0.2)) as link:
        with pytest.raises(LinkError, match=f":{port}"):
            await link.connected(1)
        assert link.counters.connect_failures > 1


@lanes(("embedded", "5"))
async def test_wrong_version_is_hinted_at(own_bench: Bench) -> None:
    """MQTT 5 spoken to a 3.1.1 listener never connects, and the error says where."""
    bench = own_bench
    async with open_link(settings(bench.broker.port_311, "5")) as link:
        with pytest.raises(LinkError, match=f":{bench.broker.port_311}"):
            await link.connected(0.5)


@BOTH_LANES
async def test_qos_2_is_refused(mqtt: Mqtt) -> None:
    """A server that sends QoS 2, which we never ask for, is told so and left."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        publish = mqtt5.PublishPacket("a", b"", qos=mqtt5.QoS.EXACTLY_ONCE, packet_id=1)
        bare = b"\x34\x05\x00\x01a\x00\x01"
        writer.write(connack(mqtt) + (publish.write() if mqtt == "5" else bare))
        if mqtt == "3.1.1":  # paho tells nobody of a QoS 2 message before its PUBREL
            writer.write(b"\x62\x02\x00\x01")
        await asyncio.sleep(60)

    server, port = await lying_server(serve)
    async with server, open_link(settings(port, mqtt)) as link:
        await until(lambda: link.counters.disconnects)
        assert link.disconnect_reason == "QOS_NOT_SUPPORTED"
        assert link.counters.received == 0


def publication(number: int, size: int = 0) -> bytes:
    """A QoS 1 message as a broker sends it."""
    qos = mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket("a", b"x" * size, qos=qos, packet_id=number).write()


async def test_inbox_overflow() -> None:
    """QoS 0 beyond a full inbox is dropped and counted, and the connection stays."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(connack("5"))
        writer.write(mqtt5.PublishPacket("a", b"").write() * 15)
        await writer.drain()
        await asyncio.sleep(60)

    server, port = await lying_server(serve)
    async with server, open_link(settings(port, "5", receive_max=10, inbox_max=10)) as link:
        await until(lambda: link.counters.received == 15)
        assert link.counters.dropped == 5
        assert len(await link.receive()) == 10
        assert link.counters.disconnects == 0


async def test_a_broker_that_ignores_the_receive_maximum_has_to_wait() -> None:
    """QoS 1 beyond a full inbox stops the reading; nothing is lost, and silence is not held
    against a broker that we do not listen to."""
    count = 2_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(connack("5"))
        for number in range(1, count + 1):
            writer.write(publication(number, 10_000))
            await writer.drain()
        while await reader.read(4_096):
            # Answers nothing, not even a ping, as long as its own messages are in the way.
            pass

    server, port = await lying_server(serve)
    wanted = settings(port, "5", receive_max=10, inbox_max=10, keep_alive_s=1)
    async with server, open_link(wanted) as link:
        await until(lambda: link.counters.received >= 10)
        await asyncio.sleep(2.5)
        assert link.counters.received < count // 2
        assert link.is_connected
        assert len(await take(link, count)) == count
        assert link.counters.disconnects == 0
        assert link.counters.dropped == 0


async def test_a_long_queue_of_an_absent_session_drains(tmp_path: Path) -> None:
    """Mosquitto exceeds the receive maximum while it works off such a queue; all of it arrives."""
    count = 30_000
    with Mosquitto(tmp_path, is_durable=False) as broker:
        wanted = settings(broker.port, "5", session_expiry_s=600, receive_max=500, inbox_max=1_000)
        async with open_link(wanted, subscriptions=[Subscription("a")]) as link:
            await link.connected(WAIT_S)
        async with open_link(settings(broker.port, "5", client_id="sender")) as sender:
            for number in range(count):
                await sender.room()
                sender.publish("a", b"%d" % number)
            await sender.drain(WAIT_S)
        async with open_link(wanted, subscriptions=[Subscription("a")]) as link:
            found = [int(message.payload) for message in await take(link, count)]
            assert link.counters.disconnects == 0
        assert found == list(range(count))


async def test_who_waits_for_acknowledgements_keeps_listening() -> None:
    """A full inbox does not keep back the PUBACKs that the application waits for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(connack("5") + b"".join(publication(number) for number in range(1, 101)))
        await reader.read(4_096)
        await asyncio.sleep(0.3)
        writer.write(publication(101, 200_000) + mqtt5.PubAckPacket(1).write())
        await asyncio.sleep(60)

    server, port = await lying_server(serve)
    wanted = settings(port, "5", receive_max=10, inbox_max=10, outbox_max=1)
    async with server, open_link(wanted) as link:
        await until(lambda: link.counters.received >= 100)
        link.publish("b", b"")
        async with asyncio.timeout(WAIT_S):
            await link.room()
        assert link.counters.published == 1


@lanes(("embedded", "3.1.1"), ("mosquitto", "3.1.1"))
async def test_inbox_pauses_reading_on_the_old_lane(own_bench: Bench) -> None:
    """In MQTT 3.1.1 a full inbox stops reading; nothing is lost and the connection stays."""
    bench = own_bench
    link = await bench.link(
        bench.settings(receive_max=5, inbox_max=5), subscriptions=[Subscription(bench.topic)]
    )
    sender = await bench.link()
    for n in range(100):
        sender.publish(bench.topic, b"%d" % n)
    await sender.drain(WAIT_S)
    await asyncio.sleep(0.2)
    assert link.counters.received < 20
    assert [each.payload for each in await take(link, 100)] == [b"%d" % n for n in range(100)]
    assert link.counters.disconnects == 0


def run(*command: str, folder: Path) -> None:
    """A program that must succeed, silently."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def certificates(folder: Path) -> None:
    """A throw-away authority and a server's certificate for 127.0.0.1, by the openssl program."""
    if shutil.which("openssl") is None:
        missing("openssl")

    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    authority = "-keyout ca.key -out ca.pem -subj /CN=authority -days 2"
    request = "-keyout server.key -out server.csr -subj /CN=server"
    sign = "-CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -days 2"
    for command in (
        f"openssl req -x509 {key} {authority}",
        f"openssl req {key} {request}",
        f"openssl x509 -req -in server.csr {sign} -out server.pem",
    ):
        run(*command.split(), folder=folder)


@BOTH_LANES
async def test_tls(mqtt: Mqtt, tmp_path: Path) -> None:
    """With the right authority messages flow over TLS; without it the link ends by name."""
    certificates(tmp_path)
    files = (
        f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key"
    )
    with Mosquitto(tmp_path, listener=files) as broker:
        trusting = settings(broker.port, mqtt, tls=Tls(ca_file=str(tmp_path / "ca.pem")))
        async with open_link(trusting, subscriptions=[Subscription("t")]) as link:
            await link.connected(WAIT_S)
            await asyncio.sleep(0.1)
            await link.publish("t", b"x" * 100_000)
            (message,) = await take(link, 1)
            assert len(message.payload) == 100_000
        async with open_link(settings(broker.port, mqtt, tls=Tls())) as link:
            with pytest.raises(LinkError, match=r"TLS_FAILED.*self.signed certificate"):
                await link.connected(WAIT_S)
        absent = settings(broker.port, mqtt, tls=Tls(ca_file=os.fspath(tmp_path / "absent.pem")))
        async with open_link(absent) as link:
            with pytest.raises(LinkError, match=r"TLS_FAILED.*absent\.pem"):
                await link.connected(WAIT_S)


async def test_maximum_packet_size_of_the_broker(tmp_path: Path) -> None:
    """A packet larger than the broker allows fails by name and does not cost the connection."""
    with Mosquitto(tmp_path, config="max_packet_size 1000") as broker:
        async with open_link(settings(broker.port, "5")) as link:
            await link.connected(WAIT_S)
            with pytest.raises(LinkError, match="PACKET_TOO_LARGE"):
                await link.publish("t", b"x" * 1_000)
            await link.publish("t", b"x" * 500)
            assert link.counters.disconnects == 0


@BOTH_LANES
async def test_subscription_refused(mqtt: Mqtt) -> None:
    """A subscription that the broker refuses ends the link and is named."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(connack(mqtt))
        await reader.read(1024)
        refusal = mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]).write()
        writer.write(refusal if mqtt == "5" else b"\x90\x03\x00\x01\x80")
        await reader.read(1024)

    server, port = await lying_server(serve)
    link = open_link(settings(port, mqtt), subscriptions=[Subscription("secret")])
    async with server, link:
        with pytest.raises(LinkError, match=r"for good.*subscription 'secret'"):
            await asyncio.wait_for(link.receive(), WAIT_S)


async def test_will_reaches_the_ward_when_keep_alive_ends(bench: Bench) -> None:
    """A retained presence: online while connected, offline by the will after a cut."""
    peer = await bench.peer(bench.topic)
    will = Will(topic=bench.topic, payload=b"offline", retain=True)
    async with open_link(bench.settings(), will=will) as link:
        await link.publish(bench.topic, b"online", retain=True)
        await link.abort()
    assert [each.payload for each in await peer_takes(peer, 2)] == [b"online", b"offline"]
    late = await bench.peer(bench.topic)
    (message,) = await peer_takes(late, 1)
    assert (message.payload, message.retain) == (b"offline", True)

"""Whole loads against real brokers, sound ones and ones that are harmed on purpose.

Times of a test machine are its own, so what is asserted of latencies is what the harm itself
forces: a broker that stands still for a second makes some messages wait nearly that long.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from msgspec.structs import replace
from paho.mqtt.enums import CallbackAPIVersion

from infusion.errors import LinkError
from link import LinkSettings, Subscription, lean_packets, open_link
from simulator.load.plan import Plan
from simulator.load.result import Result
from simulator.load.run import Load
from tests.brokers import HOST, BrokerProcess, Embedded, Mosquitto, free_port
from tests.link.test_faults import certificates
from tests.simulator.load.loads import Proxy, whole

HELD_S = 1.0
FAST = {"count": 40, "interval_ms": 100, "duration_s": 2.0, "connect_rate_s": 400.0}


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerProcess]:
    chosen: Embedded | Mosquitto = (
        Embedded() if request.param == "embedded" else Mosquitto(tmp_path, is_durable=False)
    )
    with chosen:
        yield chosen


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, is_durable=False) as chosen:
        yield chosen


def plan_for(port: int, **more: object) -> Plan:
    return Plan(port=port, **{**FAST, **more})  # type: ignore[arg-type]  # a test's own


class Count:
    """An independent count: paho-mqtt in its own thread."""

    def __init__(self, port: int) -> None:
        self.payloads: list[bytes] = []
        self.online: list[str] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._hear
        self._client.connect(HOST, port)

    def _subscribe(self, *_: object) -> None:
        kinds = ("telemetry", "event", "presence")
        self._client.subscribe([(f"infusion/v1/+/+/{kind}", 1) for kind in kinds])

    def _hear(self, _: paho.Client, __: object, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if not message.topic.endswith("/presence"):
            self.payloads.append(payload)
        elif b'"online"' in payload:
            self.online.append(message.topic)

    def __enter__(self) -> "Count":
        self._client.loop_start()
        assert self._subscribed.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def is_sound(result: Result) -> None:
    """Nothing was lost, doubled or left over."""
    messages = result.messages
    assert messages.offered > 0
    assert (messages.lost, messages.doubled, messages.reordered) == (0, 0, 0)
    assert (messages.unsent, messages.unacknowledged, messages.dropped) == (0, 0, 0)
    assert result.connections.lost == 0


@pytest.mark.parametrize("mqtt", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_sound_broker_loses_nothing(broker: BrokerProcess, mqtt: str, qos: int) -> None:
    port = broker.port if mqtt == "5" else broker.port_311
    result = await Load(plan_for(port, mqtt=mqtt, qos=qos)).run()
    is_sound(result)
    messages = result.messages
    assert messages.offered == 40 * 20, "the open model offers what was asked for"
    assert messages.received == messages.expected > messages.offered
    assert result.end_to_end.count == messages.offered
    assert result.acknowledge.count == messages.offered * qos
    assert result.connections.connected == result.connections.sessions == 41
    assert result.connect.count == 41


@pytest.mark.parametrize(
    ("more", "sessions", "copies"),
    [
        ({"processes": 2}, 42, 1),
        ({"gateway": 10}, 5, 1),
        ({"subscribers": 3}, 41, 3),
        ({"subscribers": 3, "shared_group": "ward"}, 41, 1),
        ({"closed": True}, 41, 1),
        ({"subscribers": 0}, 41, 0),
        ({"source_addresses": ("127.0.0.2", "127.0.0.3")}, 41, 1),
    ],
    ids=str,
)
async def test_every_way_to_make_it(
    mosquitto: Mosquitto, more: dict[str, object], sessions: int, copies: int
) -> None:
    result = await Load(plan_for(mosquitto.port, **more)).run()
    messages = result.messages
    assert (messages.lost, messages.doubled, messages.unacknowledged) == (0, 0, 0)
    assert result.connections.sessions == sessions
    assert messages.in_time > 0.5 * messages.offered
    assert result.end_to_end.count == copies * messages.offered
    assert messages.received == messages.expected


async def test_the_count_agrees_with_paho_and_nothing_is_left_behind(mosquitto: Mosquitto) -> None:
    with Count(mosquitto.port) as count:
        result = await Load(plan_for(mosquitto.port)).run()
    is_sound(result)
    assert len(count.payloads) == result.messages.received
    settings = LinkSettings(port=mosquitto.port, client_id="late")
    async with open_link(settings, subscriptions=[Subscription("infusion/v1/#")]) as link:
        await link.subscribed(10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await link.receive()


async def test_what_a_broker_acknowledges_and_loses_is_counted_exactly(
    mosquitto: Mosquitto,
) -> None:
    """Every seventh message is acknowledged and thrown away; paho counts what is left."""
    seen = lost = 0

    def harm(first: int, body: bytes) -> tuple[list[bytes], list[bytes]]:
        nonlocal seen, lost
        if first & lean_packets.KIND_BITS != lean_packets.PUBLISH:
            return [whole(first, body)], []
        arrived = lean_packets.read_publish("5", first, body)
        if not arrived.topic.endswith(b"/telemetry") or arrived.packet_id is None:
            return [whole(first, body)], []
        seen += 1
        if seen % 7:
            return [whole(first, body)], []
        lost += 1
        return [], [lean_packets.acknowledge_bytes([arrived.packet_id])]

    async with Proxy(mosquitto.port, harm) as proxy:
        with Count(mosquitto.port) as count:
            result = await Load(plan_for(proxy.port, drain_s=1.0)).run()
    messages = result.messages
    assert messages.lost == lost > 50
    assert messages.received == len(count.payloads) == messages.expected - lost
    assert messages.doubled == messages.reordered == 0
    assert messages.unacknowledged == 0, "the broker said that it had them"


async def test_what_a_broker_doubles_or_reorders_is_counted_exactly(mosquitto: Mosquitto) -> None:
    """The third telemetry of a pump goes out twice; the fifth and the sixth change places."""
    numbers: dict[bytes, int] = {}
    held: dict[bytes, bytes] = {}

    def harm(first: int, body: bytes) -> tuple[list[bytes], list[bytes]]:
        packet = whole(first, body)
        if first & lean_packets.KIND_BITS != lean_packets.PUBLISH:
            return [packet], []
        arrived = lean_packets.read_publish("5", first, body)
        if not arrived.topic.endswith(b"/telemetry"):
            return [packet], []
        number = numbers[arrived.topic] = numbers.get(arrived.topic, 0) + 1
        if number == 3:
            return [packet, packet], []
        if number == 5:
            held[arrived.topic] = packet
            return [], []
        if number == 6:
            return [packet, held.pop(arrived.topic)], []
        return [packet], []

    async with Proxy(mosquitto.port, harm) as proxy:
        result = await Load(plan_for(proxy.port, qos=0)).run()
    messages = result.messages
    assert len(numbers) == 40
    assert (messages.lost, messages.doubled, messages.reordered) == (0, 40, 40)


async def test_a_stall_of_the_broker_is_in_the_tail(mosquitto: Mosquitto) -> None:
    """SIGSTOP for a second: a closed loop would hide it, the open model shows all of it."""
    plan = plan_for(mosquitto.port, duration_s=4.0, count=20)
    load = asyncio.create_task(Load(plan).run())
    await _until_loading(mosquitto)
    mosquitto.freeze()
    await asyncio.sleep(HELD_S)
    mosquitto.thaw()
    result = await load
    is_sound(result)
    assert result.end_to_end.max_ms is not None
    assert result.end_to_end.p90_ms is not None
    assert result.acknowledge.p90_ms is not None
    assert result.end_to_end.max_ms > 800
    # A quarter of all messages fell into the second; a tenth of all waited 0.5 s or more.
    assert result.end_to_end.p90_ms > 300
    assert result.acknowledge.p90_ms > 300
    assert result.lag.p90_ms is not None
    assert result.lag.p90_ms < 300, "it is the broker that was late, and not the generator"


async def test_a_closed_loop_hides_the_same_stall(mosquitto: Mosquitto) -> None:
    """One message a session was asked of the broker meanwhile, so nine tenths look fine."""
    plan = plan_for(mosquitto.port, duration_s=4.0, count=20, closed=True)
    load = asyncio.create_task(Load(plan).run())
    await _until_loading(mosquitto)
    mosquitto.freeze()
    await asyncio.sleep(HELD_S)
    mosquitto.thaw()
    result = await load
    assert result.acknowledge.max_ms is not None
    assert result.acknowledge.p90_ms is not None
    assert result.acknowledge.max_ms > 800
    assert result.acknowledge.p90_ms < 300


async def _until_loading(broker: Mosquitto) -> None:
    """Until the first telemetry of a load has gone through, and a second more."""
    settings = LinkSettings(port=broker.port, client_id="onlooker")
    topic = Subscription("infusion/v1/+/+/telemetry")
    async with open_link(settings, subscriptions=[topic]) as link:
        await link.receive()
        link.acknowledge([])
        await asyncio.sleep(1.2)


async def test_a_slow_network_is_in_every_figure(mosquitto: Mosquitto) -> None:
    async with Proxy(mosquitto.port) as proxy:
        load = asyncio.create_task(Load(plan_for(proxy.port, duration_s=4.0, count=20)).run())
        await _until_loading(mosquitto)
        proxy.hold()
        await asyncio.sleep(HELD_S)
        proxy.release()
        result = await load
    is_sound(result)
    assert result.acknowledge.p90_ms is not None
    assert result.acknowledge.p90_ms > 300


async def test_connections_that_are_cut_come_back_and_lose_nothing(mosquitto: Mosquitto) -> None:
    count = Count(mosquitto.port)
    async with Proxy(mosquitto.port) as proxy:
        load = asyncio.create_task(
            Load(plan_for(proxy.port, duration_s=4.0, count=20, subscribers=0)).run()
        )
        with count:
            await _until_loading(mosquitto)
            proxy.cut()
            result = await load
    assert result.connections.lost >= 20
    assert result.connections.reconnects >= 20
    assert result.connections.connected == 21
    messages = result.messages
    assert (messages.unsent, messages.unacknowledged, messages.dropped) == (0, 0, 0)
    assert len(set(count.online)) == 20
    assert len(count.online) >= 2 * 20, "each pump says that it is back"
    named = {payload[:60] for payload in count.payloads}
    assert len(named) > 20 * 30, "at least once: each message came, some of them twice"
    assert any(
        "CONNECTION_LOST" in reason or "CONNECTION_CLOSED" in reason
        for reason in result.connections.reasons
    )


async def test_a_mass_reconnect_at_scale(mosquitto: Mosquitto) -> None:
    """Every pump loses its network at 00:10 and is back at 00:20, 600 times as fast."""
    plan = plan_for(mosquitto.port, count=60, scenario="reconnect-storm", speed=600, duration_s=3.0)
    result = await Load(plan).run()
    assert result.connections.connects >= 2 * 60
    assert (result.messages.lost, result.messages.unsent) == (0, 0)
    assert result.messages.achieved_percent <= 100


async def test_each_pump_behind_a_gateway_says_that_it_is_there(mosquitto: Mosquitto) -> None:
    with Count(mosquitto.port) as count:
        result = await Load(plan_for(mosquitto.port, gateway=10)).run()
    is_sound(result)
    assert len(count.online) == len(set(count.online)) == 40


async def test_tls(tmp_path: Path) -> None:
    """With the right authority all is well; without it nobody connects, and why is said."""
    certificates(tmp_path)
    files = (
        f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key"
    )
    with Mosquitto(tmp_path, listener=files, is_durable=False) as broker:
        plan = plan_for(broker.port, tls=True, ca_file=str(tmp_path / "ca.pem"))
        is_sound(await Load(plan).run())
        stranger = replace(plan, ca_file=None, subscribers=0, connect_timeout_s=1.0)
        with pytest.raises(LinkError, match="TLS_FAILED"):
            await Load(stranger).run()


async def test_nobody_there_is_told_by_name() -> None:
    plan = Plan(port=free_port(), count=3, connect_timeout_s=1.0)
    with pytest.raises(LinkError, match=r"0 of 1 sessions could connect \(.*refused"):
        await Load(plan).run()
    with pytest.raises(LinkError, match=r"0 of 4 sessions could connect \(UNREACHABLE"):
        await Load(replace(plan, subscribers=0)).run()


async def test_a_wrong_password_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "passwords").touch()
    config = f"allow_anonymous false\npassword_file {tmp_path}/passwords"
    with Mosquitto(tmp_path, config=config, is_durable=False) as broker:
        plan = Plan(
            port=broker.port, count=3, subscribers=0, username="u", password="p",
            connect_timeout_s=1.0,
        )  # fmt: skip
        with pytest.raises(LinkError, match="NOT_AUTHORIZED"):
            await Load(plan).run()


async def test_stopping_early_gives_what_there_is(mosquitto: Mosquitto) -> None:
    load = Load(plan_for(mosquitto.port, duration_s=60.0))
    running = asyncio.create_task(load.run())
    await _until_loading(mosquitto)
    load.stop()
    result = await asyncio.wait_for(running, 15)
    assert result.interrupted
    is_sound(result)
    assert 0.5 < result.duration_s < 30
    assert result.end_to_end.count > 0


async def test_a_thousand_sessions_cost_little_memory(mosquitto: Mosquitto) -> None:
    """Ten thousand must fit into 250 MB: a thousand may cost 25 MB above what Python is."""
    plan = plan_for(mosquitto.port, count=1_000, interval_ms=1_000, connect_rate_s=1_000.0)
    result = await Load(plan).run()
    is_sound(result)
    few = await Load(plan_for(mosquitto.port)).run()
    assert result.generators.memory_mb - few.generators.memory_mb < 25


async def test_no_process_outlives_the_load(mosquitto: Mosquitto) -> None:
    before = _children()
    await Load(plan_for(mosquitto.port, processes=2)).run()
    assert _children() == before


def _children() -> list[str]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return sorted(number for task in tasks for number in task.read_text().split())

"""A test of publishing on a real broker: sessions, wills, orders for late monitors, stopping."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from infusion.errors import LinkError
from infusion.messages import (
    CONTENT_TYPE,
    USER_PROPERTIES,
    Event,
    Kind,
    MonitorPresence,
    Presence,
    Telemetry,
    Topic,
    decode,
    encode,
    parse_topic,
)
from infusion.prescription import Prescription
from link import LinkSettings, Message, Subscription, open_link
from simulator.publisher import OUTBOX_MAX, WAITING_MAX, Publisher, remembered_boot
from simulator.service import STOP_S, Simulator
from simulator.setup import Setup, SimulatorSettings
from simulator.stream import Backlog, Connect, Outgoing
from tests.brokers import Embedded, free_port
from tests.simulator.bench import START_MS, scenario, shipped_profile

STORY = scenario(
    """
    pumps = 4
    [[fault]]
    at = "00:01"
    until = "00:04"
    pump = "P-02"
    do = "offline"
    [[fault]]
    at = "00:02"
    pump = "P-03"
    do = "reboot"
    """
)


@pytest.fixture
def broker() -> Iterator[Embedded]:
    with Embedded() as broker:
        yield broker


def settings_for(port: int) -> LinkSettings:
    return LinkSettings(port=port, backoff_min_s=0.05, backoff_max_s=0.2)


def simulator(port: int, speed: float = 300.0) -> Simulator:
    settings = SimulatorSettings(start_ms=START_MS, client_prefix="test-")
    setup = Setup(scenario=STORY, profile=shipped_profile())
    return Simulator(settings, settings_for(port), setup, speed=speed)


@asynccontextmanager
async def observer(port: int) -> AsyncIterator[list[Message]]:
    """Everything that passes the broker, in order."""
    seen: list[Message] = []
    settings = LinkSettings(port=port, client_id="observer", backoff_min_s=0.02, backoff_max_s=0.05)

    async with open_link(settings, subscriptions=[Subscription("infusion/#")]) as link:

        async def listen() -> None:
            while True:
                messages = await link.receive()
                seen.extend(messages)
                link.acknowledge(messages)

        await link.connected(5.0)
        listener = asyncio.create_task(listen())
        try:
            yield seen
        finally:
            listener.cancel()


async def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not come"
        await asyncio.sleep(0.02)


def of(seen: list[Message], pump: str) -> list[Message]:
    return [message for message in seen if f"/{pump}/" in message.topic]


def presence(seen: list[Message], pump: str) -> list[tuple[int, str]]:
    found = [decode(parse_topic(m.topic), m.payload) for m in of(seen, pump)]
    return [(m.boot, m.state) for m in found if isinstance(m, Presence)]


async def test_a_whole_run_reaches_the_broker(broker: Embedded) -> None:
    run = simulator(broker.port)
    async with observer(broker.port) as seen:
        task = asyncio.create_task(run.run())
        await until(lambda: run.started.is_set() and run.status().device_ms >= START_MS + 300_000)
        assert run.status().connected == run.status().sessions == 5
        began_s = time.monotonic()
        run.stop()
        status = await task
        assert time.monotonic() - began_s < 2.0
        await until(lambda: len(presence(seen, "P-01")) == 2)
        await until(lambda: len(seen) >= run.publisher.counters.acknowledged)
    for pump, story in {
        "P-01": [(1, "online"), (1, "offline")],
        "P-02": [(1, "online"), (1, "offline"), (1, "online"), (1, "offline")],
        "P-03": [(1, "online"), (1, "offline"), (2, "online"), (2, "offline")],
    }.items():
        assert presence(seen, pump) == story
        assert of(seen, pump)[0].topic.endswith("/presence")
        numbers: dict[int, set[int]] = {}
        for message in of(seen, pump):
            read = decode(parse_topic(message.topic), message.payload, contract="1")
            if isinstance(read, Telemetry | Event):
                numbers.setdefault(read.boot, set()).add(read.seq)
        for seqs in numbers.values():
            assert seqs == set(range(len(seqs)))
    assert {(m.content_type, m.user_properties) for m in seen} == {(CONTENT_TYPE, USER_PROPERTIES)}
    counters = run.publisher.counters
    assert counters.refused == counters.dropped == counters.bad == 0
    assert counters.sent == counters.acknowledged + counters.returned
    assert status.pumps["P-01"].pumped_ml > 0


async def test_the_retained_presence_at_the_end_is_offline(broker: Embedded) -> None:
    await simulator(broker.port).run(for_s=0.2)
    async with observer(broker.port) as seen:
        pumps = [f"P-0{number}" for number in range(1, 5)]
        await until(lambda: all((1, "offline") in presence(seen, pump) for pump in pumps))
        assert {m.topic.split("/")[-1] for m in seen} == {"presence"}
        assert {presence(seen, pump)[-1] for pump in pumps} == {(1, "offline")}


async def test_it_also_speaks_mqtt_3_1_1(broker: Embedded) -> None:
    link = LinkSettings(port=broker.port_311, mqtt="3.1.1")
    run = Simulator(
        SimulatorSettings(), link, Setup(scenario=STORY, profile=shipped_profile()), speed=100.0
    )
    async with observer(broker.port) as seen:
        await run.run(for_s=0.5)
        await until(lambda: (1, "offline") in presence(seen, "P-01"))
        await until(lambda: len(seen) >= run.publisher.counters.acknowledged)
    counters = run.publisher.counters
    assert counters.acknowledged == counters.sent > 20
    assert {m.topic.rsplit("/", 1)[1] for m in seen} >= {"order", "event", "telemetry"}


async def test_the_next_run_continues_the_count_of_boots(broker: Embedded) -> None:
    """Otherwise a monitor that knows the first run would take the second for duplicates."""
    await simulator(broker.port).run(for_s=1.0)
    assert await remembered_boot(settings_for(broker.port), "home", 5.0) == 2
    second = simulator(broker.port)
    async with observer(broker.port) as seen:
        await second.run(for_s=0.1)
        await until(lambda: (3, "offline") in presence(seen, "P-01"))
    boots = {boot for number in (1, 2, 4) for boot, _ in presence(seen, f"P-0{number}")[1:]}
    assert boots == {3}


async def test_a_monitor_that_comes_later_is_told_every_order(broker: Embedded) -> None:
    run = simulator(broker.port, speed=10.0)
    task = asyncio.create_task(run.run())
    await until(run.started.is_set)
    topic = str(Topic(Kind.MONITOR_PRESENCE, "monitor", "ward-1"))

    def orders(seen: list[Message]) -> list[Prescription]:
        found = [decode(parse_topic(m.topic), m.payload) for m in seen if "/order" in m.topic]
        return [order for order in found if isinstance(order, Prescription)]

    async with (
        observer(broker.port) as seen,
        open_link(LinkSettings(port=broker.port, client_id="ward-1")) as ward,
    ):

        async def says(state: str, beat: int) -> None:
            message = MonitorPresence(
                instance="ward-1",
                state="online" if state == "online" else "offline",
                time_ms=START_MS,
                beat=beat,
            )
            await ward.publish(topic, encode(message), retain=True)

        await says("online", 1)
        await until(lambda: len(orders(seen)) == 4)
        assert {order.pump for order in orders(seen)} == {"P-01", "P-02", "P-03", "P-04"}
        # A heartbeat alone brings nothing; a monitor that began anew, or came back, does.
        await says("online", 2)
        await says("online", 1)
        await until(lambda: len(orders(seen)) == 8)
        await says("offline", 1)
        await says("online", 2)
        await until(lambda: len(orders(seen)) == 12)
        await ward.publish(topic, b"{}")
        await until(lambda: run.publisher.counters.bad == 1)
    run.stop()
    await task


async def test_presence_comes_first_again_after_the_broker_came_back(broker: Embedded) -> None:
    run = simulator(broker.port, speed=20.0)
    task = asyncio.create_task(run.run())
    await until(lambda: run.status().connected == 5)
    broker.kill()
    await until(lambda: run.status().connected == 0)
    broker.start()
    async with observer(broker.port) as seen:
        await until(lambda: bool(presence(seen, "P-01")) and run.status().connected == 5)
        await until(lambda: len(of(seen, "P-01")) > 3)
    run.stop()
    status = await task
    assert status.counters.refused == 0


async def test_it_stops_in_time_without_a_broker(broker: Embedded) -> None:
    run = simulator(broker.port, speed=20.0)
    task = asyncio.create_task(run.run())
    await until(lambda: run.status().connected == 5)
    broker.kill()
    await until(lambda: run.status().connected == 0)
    began_s = time.monotonic()
    run.stop()
    await task
    assert time.monotonic() - began_s < STOP_S + 0.8


async def test_a_broker_that_is_not_there_is_named() -> None:
    port = free_port()
    publisher = Publisher(settings_for(port), orders=list)
    publisher.submit([Connect("ehr", START_MS)])
    with pytest.raises(LinkError, match=f"127.0.0.1:{port}"):
        await publisher.reach(0.5)
    assert await publisher.close(0.1) is False


async def test_what_finds_no_room_is_dropped_oldest_first_and_counted() -> None:
    publisher = Publisher(settings_for(free_port()), orders=list)
    publisher.submit([Connect("P-01", START_MS)])
    await asyncio.sleep(0.05)
    extra = 70
    for number in range(OUTBOX_MAX + WAITING_MAX + extra):
        publisher.submit([outgoing(number)])
    assert publisher.counters.sent == OUTBOX_MAX
    assert publisher.waiting == WAITING_MAX
    assert publisher.counters.dropped == extra
    await publisher.close(0.1)


def outgoing(number: int) -> Outgoing:
    topic = "infusion/v1/home/P-01/telemetry"
    return Outgoing("P-01", topic, b"%d" % number, 1, False, START_MS, Kind.TELEMETRY)


def test_a_backlog_keeps_the_newest_in_order() -> None:
    backlog = Backlog(3)
    for number in range(5):
        backlog.append(outgoing(number))
    assert [message.payload for message in backlog] == [b"2", b"3", b"4"]
    assert backlog.dropped == 2
    first = backlog.first()
    assert first.payload == b"2"
    backlog.put_back(first)
    backlog.put_back(outgoing(9))
    assert backlog.dropped == 3
    assert [message.payload for message in backlog.clear()] == [b"2", b"3", b"4"]
    assert len(backlog) == 0

"""What the tests of the room share: brokers, links, and an independent peer."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import aiomqtt
import pytest

from link import Link, LinkSettings, open_link
from tests.brokers import BrokerProcess, Embedded, Mosquitto

Mqtt = Literal["5", "3.1.1"]
FAST: dict[str, Any] = {"backoff_min_s": 0.05, "backoff_max_s": 0.2}


class Bench:
    """One broker, one lane: makes links to it and an aiomqtt client as the other side."""

    def __init__(self, broker: BrokerProcess, mqtt: Mqtt, stack: AsyncExitStack) -> None:
        self.broker = broker
        self.mqtt: Mqtt = mqtt
        self.topic = f"t/{uuid4().hex}"
        self._stack = stack

    @property
    def is_embedded(self) -> bool:
        return isinstance(self.broker, Embedded)

    @property
    def port(self) -> int:
        return self.broker.port if self.mqtt == "5" else self.broker.port_311

    def settings(self, **changes: Any) -> LinkSettings:
        values = {"client_id": uuid4().hex, "port": self.port, "mqtt": self.mqtt, **FAST, **changes}
        return LinkSettings(**values)

    async def link(self, settings: LinkSettings | None = None, **arguments: Any) -> Link:
        """An open, connected link, closed at the end of the test."""
        link = open_link(settings or self.settings(), **arguments)
        await self._stack.enter_async_context(link)
        await link.connected(10)
        await link.subscribed(10)
        return link

    async def peer(self, *topics: str, **arguments: Any) -> aiomqtt.Client:
        """A connected aiomqtt client that has subscribed, closed at the end of the test."""
        version = aiomqtt.ProtocolVersion.V5 if self.mqtt == "5" else aiomqtt.ProtocolVersion.V311
        arguments = {"identifier": uuid4().hex, "protocol": version, **arguments}
        peer = aiomqtt.Client(self.broker.host, self.port, **arguments)
        await self._stack.enter_async_context(peer)
        for topic in topics:
            await peer.subscribe(topic, qos=1)
        return peer


def _make(kind: str, folder: Path, *, is_durable: bool) -> Embedded | Mosquitto:
    return Mosquitto(folder, is_durable=is_durable) if kind == "mosquitto" else Embedded()


KINDS = ("embedded", "mosquitto")
LANES = [
    pytest.param((kind, mqtt), id=f"{kind}-{mqtt}") for kind in KINDS for mqtt in ("5", "3.1.1")
]


@pytest.fixture(scope="session")
def shared_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, BrokerProcess]]:
    """One broker of each kind for all tests that do not kill it, started when first wanted."""
    brokers: dict[str, BrokerProcess] = {}
    yield brokers
    for broker in brokers.values():
        broker.stop()


def lanes(*wanted: tuple[str, Mqtt]) -> pytest.MarkDecorator:
    """For a test that makes sense on these lanes only."""
    ids = ["-".join(each) for each in wanted]
    return pytest.mark.parametrize("lane", wanted, ids=ids, indirect=True)


@pytest.fixture(params=LANES)
def lane(request: pytest.FixtureRequest) -> tuple[str, Mqtt]:
    """Kind of broker and version of MQTT."""
    kind, mqtt = request.param
    return kind, mqtt


@pytest.fixture
async def bench(
    lane: tuple[str, Mqtt],
    shared_brokers: dict[str, BrokerProcess],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Bench]:
    """A bench on a broker that other tests use too."""
    kind, mqtt = lane
    if kind not in shared_brokers:
        broker = _make(kind, tmp_path_factory.mktemp(kind), is_durable=False)
        broker.start()
        shared_brokers[kind] = broker
    async with AsyncExitStack() as stack:
        yield Bench(shared_brokers[kind], mqtt, stack)


@pytest.fixture
async def own_bench(lane: tuple[str, Mqtt], tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench on a broker of its own, which the test may kill."""
    kind, mqtt = lane
    with _make(kind, tmp_path, is_durable=True) as broker:
        async with AsyncExitStack() as stack:
            yield Bench(broker, mqtt, stack)

"""Whoever else is on the broker: publishes for pumps and the clinic, and listens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from infusion.messages import Kind, subscription
from link import Link, LinkSettings, Message, Subscription, open_link
from tests.brokers import BrokerProcess
from tests.monitor.streams import Wire

WAIT_S = 15.0


@contextlib.asynccontextmanager
async def peer(broker: BrokerProcess, *kinds: Kind, name: str = "peer") -> AsyncIterator[Link]:
    """A link that listens to some kinds of messages and publishes for pumps."""
    settings = LinkSettings(
        host=broker.host, port=broker.port, client_id=name, session_expiry_s=600
    )
    subscriptions = [Subscription(subscription(kind)) for kind in kinds]
    async with open_link(settings, subscriptions=subscriptions) as link:
        await link.connected(WAIT_S)
        yield link


async def play(link: Link, wire: Wire, *, pace_s: float = 0.0) -> None:
    """Publish a stream in order; with a pace, one minute of the pumps' time in so many seconds."""
    last_ms = wire[0][0]
    for at_ms, topic, payload in wire:
        if pace_s and at_ms - last_ms >= 10_000:
            await asyncio.sleep(pace_s * (at_ms - last_ms) / 60_000)
            last_ms = at_ms
        await link.room()
        link.publish(topic, payload, user_properties=(("contract", "1"),))
    await link.drain(WAIT_S)


async def collect(link: Link, count: int) -> list[Message]:
    """Messages until there are so many of them."""
    found: list[Message] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            batch = await link.receive()
            link.acknowledge(batch)
            found += batch
    return found

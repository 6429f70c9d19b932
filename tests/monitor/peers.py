"""Whoever else is on the broker: publishes for pumps and the clinic, and listens."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from infusion.board import Board
from infusion.messages import (
    Alert,
    AlertChange,
    Kind,
    Message,
    MonitorPresence,
    decode,
    parse_topic,
    subscription,
)
from infusion.monitor import Monitor, MonitorSettings
from link import Link, LinkSettings, Subscription, open_link
from link import Message as Received
from monitor.ports import Entry
from monitor.runner import step
from monitor.service import ServiceSettings
from tests.brokers import BrokerProcess
from tests.monitor.streams import Wire

ROOT = Path(__file__).resolve().parent.parent.parent
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


async def collect(link: Link, count: int) -> list[Received]:
    """Messages until there are so many of them."""
    found: list[Received] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            batch = await link.receive()
            link.acknowledge(batch)
            found += batch
    return found


def content(message: Received) -> Message:
    """What a message of the contract says."""
    return decode(parse_topic(message.topic), message.payload)


def expected(wire: Wire) -> tuple[Monitor, list[AlertChange]]:
    """What the core says of a stream that is received message by message."""
    monitor = Monitor(MonitorSettings(stall_ms=60_000, spreads_looks=True))
    entries = [Entry(at_ms, topic, payload, "1") for at_ms, topic, payload in wire]
    said, refused = step(monitor, entries)
    assert not refused
    return monitor, [each for each in said if isinstance(each, AlertChange)]


def as_said(board: Board) -> tuple[int, dict[str, Alert | None], list[Alert]]:
    """A board as others know it: what is looked at after the last message may see a little more."""
    alerts = {key: track.alert for key, track in board.tracks.items()}
    return board.version, alerts, board.unseen


def by_pump(changes: list[AlertChange]) -> dict[str, list[AlertChange]]:
    found: dict[str, list[AlertChange]] = {}
    for change in changes:
        found.setdefault(change.alert.pump, []).append(change)
    return found


def changes_of(messages: list[Received]) -> list[AlertChange]:
    found = []
    for message in messages:
        change = decode(parse_topic(message.topic), message.payload)
        assert isinstance(change, AlertChange)
        found.append(change)
    return found


def presences(messages: list[Received]) -> list[MonitorPresence]:
    found = []
    for message in messages:
        presence = content(message)
        assert isinstance(presence, MonitorPresence)
        found.append(presence)
    return found


async def stop_gracefully(process: subprocess.Popen[bytes], broker: BrokerProcess) -> None:
    """Wait until a monitor is at work, then end it with SIGTERM; it must end well."""
    # A session of its own: one that was there before would tell first of monitors before this one.
    async with peer(broker, Kind.MONITOR_PRESENCE, name=f"watch-{process.pid}") as link:
        async with asyncio.timeout(WAIT_S):
            for _ in range(3):
                while presences(await collect(link, 1))[-1].state == "offline":
                    pass
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, WAIT_S) == 0


def service_settings(broker: BrokerProcess, folder: Path) -> ServiceSettings:
    return ServiceSettings(
        link=LinkSettings(host=broker.host, port=broker.port),
        store=folder / "monitor.sqlite3",
        speed=60.0,
    )


def start(
    broker: BrokerProcess, store: Path, *more: str, speed: float = 60.0
) -> subprocess.Popen[bytes]:
    """A monitor as a process of its own; `more` are further arguments."""
    command = [sys.executable, "-m", "monitor", "--speed", f"{speed:g}"]
    command += ["--broker", f"mqtt://{broker.host}:{broker.port}", "--store", str(store), *more]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, env=dict(os.environ))

"""The embedded broker: its ports, its start and stop, and what it must be able to do."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from link import EmbeddedBroker, LinkSettings, Subscription, open_link
from tests.brokers import HOST, answers
from tests.link.conftest import FAST
from tests.link.test_contract import WAIT_S, take


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        yield other.getsockname()[1]


def test_takes_another_port_when_the_wanted_one_is_taken(taken_port: int) -> None:
    """It says which port it got, and both of its listeners answer there, on loopback."""
    with EmbeddedBroker(taken_port) as broker:
        assert broker.host == HOST
        assert len({broker.port, broker.port_311, taken_port}) == 3
        assert answers(broker.port)
        assert answers(broker.port_311)


def test_stops_quickly_and_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    """After the block, also one that raised, the ports are free and nothing was printed."""
    broker = EmbeddedBroker(0)

    def fail() -> None:
        with broker:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    started_at = time.monotonic()
    broker.start()
    port = broker.port
    assert answers(port)
    broker.stop()
    assert time.monotonic() - started_at < 2.0
    assert not broker.is_running
    assert not answers(port)
    broker.stop()
    assert capfd.readouterr() == ("", "")


async def test_both_versions_share_one_broker(capfd: pytest.CaptureFixture[str]) -> None:
    """What is published in one version arrives in the other; large payloads pass; no noise."""
    with EmbeddedBroker(0) as broker:
        old = LinkSettings(client_id="old", port=broker.port_311, mqtt="3.1.1", **FAST)
        new = LinkSettings(client_id="new", port=broker.port, **FAST)
        reader = open_link(old, subscriptions=[Subscription("t")])
        async with reader, open_link(new) as writer:
            await reader.connected(WAIT_S)
            await writer.connected(WAIT_S)
            await asyncio.sleep(0.1)
            await writer.publish("t", b"x" * 200_000)
            (message,) = await take(reader, 1)
            assert len(message.payload) == 200_000
    assert capfd.readouterr() == ("", "")


async def test_session_without_expiry_ends_with_its_connection() -> None:
    """Nothing waits for the return of a client that asked for no session."""
    with EmbeddedBroker(0) as broker:
        mine = LinkSettings(client_id="brief", port=broker.port, **FAST)
        async with open_link(mine, subscriptions=[Subscription("t")]) as link:
            await link.connected(WAIT_S)
        async with open_link(LinkSettings(client_id="w", port=broker.port, **FAST)) as writer:
            await writer.publish("t", b"lost")
            seen: list[bool] = []
            async with open_link(
                mine, subscriptions=[Subscription("t")], on_connect=seen.append
            ) as link:
                await link.connected(WAIT_S)
                await asyncio.sleep(0.1)
                await writer.publish("t", b"new")
                (message,) = await take(link, 1)
        assert message.payload == b"new"
        assert seen == [False]


ROOT = Path(__file__).parents[2]
# Whoever starts the tests may ignore Ctrl-C, as a background job of a shell does; a process of a
# terminal does not.
CTRL_C = """
import signal
import time
from link import EmbeddedBroker
from tests.brokers import answers

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
with EmbeddedBroker(0) as broker:
    try:
        print("ready", flush=True)  # inside: the signal may come before the next line
        while True:  # and not signal.pause, which sleeps on when it came just before
            time.sleep(0.01)
    except KeyboardInterrupt:
        print(answers(broker.port), flush=True)
"""


def test_outlives_ctrl_c_until_its_parent_stops_it() -> None:
    """Ctrl-C reaches all processes of a terminal: the broker stays for the goodbyes, silently."""
    parent = subprocess.Popen(
        [sys.executable, "-c", CTRL_C],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd=ROOT,
        text=True,
    )
    with parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "ready\n"
            os.killpg(parent.pid, signal.SIGINT)
            assert parent.communicate(timeout=WAIT_S) == ("True\n", "")
        finally:
            if parent.poll() is None:
                os.killpg(parent.pid, signal.SIGKILL)
    assert parent.returncode == 0

"""The monitor under test: `python -m monitor` as anybody starts it, seen from outside.

Nothing is built into it. It says on the broker when it is connected (its presence) and when it
has handled a message (the alert that the message leads to); the processor time of the whole
process, the store's thread included, is read from the operating system at both instants.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Self

from msgspec import Struct

from benchmarks.stream import SITE, Counted
from infusion.messages import (
    MONITOR_SITE,
    Kind,
    MonitorPresence,
    Topic,
    decode,
    parse_topic,
    subscription,
)
from infusion.monitor import PumpState
from link import Link, LinkSettings, Subscription, open_link
from monitor.intake import SUBSCRIPTIONS
from monitor.service import SESSION_EXPIRY_S
from monitor.store import SqliteStore
from tests.brokers import BrokerProcess, Embedded, Mosquitto

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
# How long a broker may take to act on a SUBSCRIBE whose connection has already said goodbye.
SETTLE_S = 0.3


class Instant(Struct, frozen=True):
    """Wall time and the subject's own processor time, in seconds."""

    wall_s: float
    cpu_s: float


class Subject:
    """A monitor process, for as long as the `with` block; `stop` ends it as an operator does.

    `more` are further arguments of its command line.
    """

    def __init__(self, broker: BrokerProcess, folder: Path, instance: str, *more: str) -> None:
        self.instance = instance
        self.store = folder / f"{instance}.sqlite3"
        self._log = folder / f"{instance}.log"
        self._arguments = (
            *("--broker", f"mqtt://{broker.host}:{broker.port}", "--instance", instance),
            *("--store", str(self.store), "--log-level", "warning"),
            *more,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = child(["monitor", *self._arguments], stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def instant(self) -> Instant:
        """Now. Raises AssertionError, with the log, when the process has ended."""
        return Instant(time.perf_counter(), cpu_s(self._alive()))

    def memory_bytes(self) -> int:
        """Resident memory now."""
        return memory_bytes(self._alive())

    def workers(self) -> list[int]:
        """The process ids of its workers, in the order in which they were started."""
        process_id = self._alive()
        return [
            int(each)
            for each in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
        ]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._alive(), number)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask it to end, and see that it ended well."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout_s)
        assert code == 0, f"the monitor ended with {code}: {self._log.read_text()}"

    @property
    def process_id(self) -> int:
        """Its process. Raises AssertionError, with the log, when it has ended."""
        return self._alive()

    def _alive(self) -> int:
        process = self._process
        assert process is not None
        assert process.poll() is None, f"the monitor has ended: {self._log.read_text()}"
        return process.pid


def child(
    arguments: list[str],
    *,
    stdin: int | None = None,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """A module of this checkout as a process, with settings from nowhere but its arguments."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DRIPWATCH_")
    }
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )


def cpu_s(process_id: int) -> float:
    """User and system time of another process of ours, all its threads, to the nanosecond.

    The number is that of clock_getcpuclockid(3) on Linux, which Python has for threads only.
    """
    return time.clock_gettime(~process_id << 3 | 2)


def memory_bytes(process_id: int) -> int:
    """Resident memory of another process of ours."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def make_broker(kind: str, folder: Path) -> Embedded | Mosquitto:
    """A fresh broker that knows nothing of an earlier round."""
    return Embedded() if kind == "embedded" else Mosquitto(folder, is_durable=False)


def link_to(broker: BrokerProcess, name: str, *, session_expiry_s: int = 0) -> LinkSettings:
    """Settings of one of our own links."""
    return LinkSettings(
        host=broker.host, port=broker.port, client_id=name, session_expiry_s=session_expiry_s
    )


async def register(broker: BrokerProcess, instance: str) -> None:
    """Make the session of a monitor that is not there yet, so that the broker queues for it."""
    settings = link_to(broker, f"dripwatch-monitor-{instance}", session_expiry_s=SESSION_EXPIRY_S)
    async with open_link(settings, subscriptions=SUBSCRIPTIONS) as link:
        await link.connected(TIMEOUT_S)
        await asyncio.sleep(SETTLE_S)


class Onlooker:
    """Sees when a monitor connects, and which pump's alert comes out when."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._seen: dict[str, float] = {}
        self._wanted: dict[str, asyncio.Future[None]] = {}

    async def watch(self) -> None:
        """Note what comes, for ever."""
        while True:
            messages = await self._link.receive()
            now_s = time.perf_counter()
            self._link.acknowledge(messages)
            for message in messages:
                topic = parse_topic(message.topic)
                if topic.kind is Kind.MONITOR_PRESENCE:
                    read = decode(topic, message.payload)
                    if isinstance(read, MonitorPresence) and read.state != "online":
                        continue
                self._seen.setdefault(message.topic, now_s)
                if message.topic in self._wanted:
                    self._wanted.pop(message.topic).set_result(None)

    async def connected(self, instance: str) -> float:
        """When that monitor first said that it is online."""
        return await self._first(Topic(Kind.MONITOR_PRESENCE, MONITOR_SITE, instance))

    async def alert(self, pump: str, timeout_s: float = TIMEOUT_S) -> float:
        """When the first change of an alert of that pump came."""
        return await self._first(Topic(Kind.ALERT_LOG, SITE, pump), timeout_s)

    async def _first(self, topic: Topic, timeout_s: float = TIMEOUT_S) -> float:
        key = str(topic)
        if key not in self._seen:
            self._wanted[key] = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(timeout_s):
                await self._wanted[key]
        return self._seen[key]


@asynccontextmanager
async def onlooker(broker: BrokerProcess) -> AsyncIterator[Onlooker]:
    """An onlooker on a link of its own."""
    kinds = (Kind.MONITOR_PRESENCE, Kind.ALERT_LOG)
    subscriptions = [Subscription(subscription(kind)) for kind in kinds]
    async with open_link(link_to(broker, "onlooker"), subscriptions=subscriptions) as link:
        await link.connected(TIMEOUT_S)
        seeing = Onlooker(link)
        task = asyncio.create_task(seeing.watch())
        try:
            yield seeing
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def stored_pumps(store: Path) -> dict[str, PumpState]:
    """What a monitor that has ended left in its store, by `site/pump`."""
    async with SqliteStore(store) as opened:
        stored = await opened.load()
    return {f"{state.site}/{state.pump}": state for state in stored.pumps}


def losses(expected: dict[str, Counted], pumps: dict[str, PumpState]) -> list[str]:
    """Where the accounts differ from what was sent: each pump that does, and how."""
    found = []
    for key, sent in expected.items():
        state = pumps.get(key)
        if state is None:
            found.append(f"{key}: unknown, but {sent.messages} messages were sent")
            continue
        account = state.account
        if (account.accepted, account.pumped_nl) != (sent.messages, sent.volume_nl):
            found.append(
                f"{key}: {account.accepted} messages and {account.pumped_nl} nL in the account,"
                f" {sent.messages} and {sent.volume_nl} sent"
            )
    return found

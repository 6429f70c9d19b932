"""What the tests of a load share: plans, results on paper, and a proxy that harms on purpose."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from link import lean_packets as packets
from simulator.load.latency import Histogram
from simulator.load.plan import Part, Plan
from simulator.load.result import (
    Connections,
    Generators,
    Latency,
    Machine,
    Messages,
    Result,
    Second,
    latency_of,
)
from tests.brokers import HOST

START_MS = 1_790_000_000_000


def part_of(plan: Plan, pumps: int) -> Part:
    """All pumps of a plan in one part."""
    return Part(plan=plan, number=0, pumps=pumps, site="load-1", start_ms=START_MS, first_boot=7)


def latency(*values_us: int) -> Latency:
    histogram = Histogram()
    histogram.record(values_us)
    return latency_of(histogram)


def result_of(**changes: object) -> Result:
    """A result on paper: 1 000 messages, all well."""
    result = Result(
        dripwatch="0.1.0",
        started="2026-11-25T10:00:00+00:00",
        machine=Machine(system="Linux 6", python="CPython 3.11", cpus=2, processor="x86_64"),
        config={"host": "127.0.0.1", "port": 1883, "mqtt": "5", "qos": 1, "count": 100},
        duration_s=10.0,
        interrupted=False,
        valid=True,
        not_valid_because=(),
        messages=Messages(
            offered=1_000, in_time=990, offered_per_s=100.0, achieved_per_s=99.0,
            achieved_percent=99.0, written=1_200, acknowledged=1_190, refused=1, unsent=2,
            unacknowledged=3, expected=1_000, received=998, lost=4, doubled=2, reordered=1,
        ),
        connections=Connections(
            sessions=101, connected=101, connects=103, lost=2, reconnects=2,
            reasons={"CONNECTION_CLOSED": 2},
        ),
        generators=Generators(processes=1, cpu_percent=12.5, late_percent=0.1, memory_mb=80.0),
        connect=latency(900, 1_100),
        acknowledge=latency(1_000, 2_000, 3_000, 40_000),
        end_to_end=latency(1_500, 2_500, 3_500, 60_000),
        lag=latency(100, 200),
        alert=latency(),
        stream=latency(),
        seconds=(
            Second(at_s=1.0, connected=101, offered=100, settled=99, received=98,
                   lost_connections=0, acknowledge_ms=(1.0,) * 11, end_to_end_ms=(2.0,) * 11),
            Second(at_s=2.0, connected=99, offered=100, settled=40, received=40,
                   lost_connections=2, acknowledge_ms=(), end_to_end_ms=()),
        ),
    )  # fmt: skip
    return replace(result, **changes)


# Takes a packet that goes up to the broker as (first byte, body); returns what goes up instead,
# and what comes down at once.
Harm = Callable[[int, bytes], tuple[list[bytes], list[bytes]]]


class Proxy:
    """A TCP proxy before a broker that can read MQTT: it holds, harms or cuts on purpose."""

    def __init__(self, port: int, harm: Harm | None = None) -> None:
        """In front of `port` of this machine."""
        self.port = 0
        self._broker_port = port
        self._harm = harm
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """Let nothing through until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Let everything through again."""
        self._open.set()

    def cut(self) -> None:
        """Cut every connection there is."""
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError):
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self._broker_port)
            self._writers += [writer, broker_writer]
            await asyncio.gather(
                self._up(reader, broker_writer, writer), self._down(broker_reader, writer)
            )

    async def _up(
        self,
        reader: asyncio.StreamReader,
        broker: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        rest = b""
        while data := await reader.read(65_536):
            await self._open.wait()
            if self._harm is None:
                broker.write(data)
                continue
            found, rest = packets.split(rest + data)
            for first, body in found:
                up, down = self._harm(first, body)
                broker.write(b"".join(up))
                client.write(b"".join(down))
        broker.close()

    async def _down(self, broker: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await broker.read(65_536):
            await self._open.wait()
            client.write(data)
        client.close()


def whole(first: int, body: bytes) -> bytes:
    """A packet as it was."""
    return bytes((first,)) + packets.length_bytes(len(body)) + body

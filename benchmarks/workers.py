"""What it brings to share the pumps among workers: `python -m benchmarks.workers`.

Each worker has a session of its own and is sent everything (monitor/partition.py). The other way is
one process that receives and hands each message to the worker whose pump it is. Both are measured
on Mosquitto with the same messages as benchmarks/intake.py.

- **workers**: `python -m monitor --workers N`, its queues waiting in the broker, until the last
  message of each is handled: wall time, processor time of all workers and of the broker. On two
  cores broker and workers take them from one another, so the figures to look at are the busiest
  worker's processor time a message and the broker's: each allows so much on a core of its own.
- **router**: a process that receives the stream, sends it on over a socket in the encoding of the
  store, waits for the answer of the other side, and acknowledges. The other side only decodes. Its
  processor time a message bounds what any number of workers behind it could do.
"""

import asyncio
import os
import socket
import struct
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from msgspec import Struct, msgpack

from benchmarks.figures import Spread, save, spread
from benchmarks.stream import SITE, alarming, first_messages, last_of, make_fleet, publish
from benchmarks.subject import (
    TIMEOUT_S,
    Subject,
    cpu_s,
    link_to,
    make_broker,
    memory_bytes,
    onlooker,
    register,
)
from host.process import new_event_loop
from infusion.messages import CONTRACT, Kind
from link import open_link
from monitor.intake import BATCH_MAX, SUBSCRIPTIONS
from monitor.partition import parts
from monitor.ports import Entry
from simulator.stream import Outgoing
from tests.brokers import Mosquitto

INSTANCE = "bench"
ROUTED = 2
_HEAD = struct.Struct("<I")


class Round(Struct, frozen=True, kw_only=True):
    """One run of so many workers. Processor times are in µs a message of the whole stream."""

    messages_s: float
    worker_us: float
    busiest_us: float
    broker_us: float
    memory_mb: float


class Row(Struct, frozen=True, kw_only=True):
    """All rounds of so many workers; `bound_s` is what the busiest worker could do alone."""

    workers: int
    messages_s: Spread
    worker_us: Spread
    busiest_us: Spread
    broker_us: Spread
    memory_mb: Spread
    bound_s: float


class Result(Struct, frozen=True, kw_only=True):
    """The result of a run."""

    messages: int
    pumps: int
    rows: list[Row]
    router_us: Spread


def marks(of: int) -> list[str]:
    """For each part a pump that belongs to it, whose alarm ends the stream."""
    found = []
    for part in parts(of):
        names = (f"P-END-{part.number}-{number}" for number in range(1_000))
        found.append(next(name for name in names if part.owns(f"{SITE}/{name}")))
    return found


@asynccontextmanager
async def waiting(
    stream: list[Outgoing], names: list[str]
) -> AsyncIterator[tuple[Mosquitto, Path]]:
    """A broker in which the stream waits for each of some sessions."""
    with tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name:
        folder = Path(name)
        with make_broker("mosquitto", folder) as broker:
            assert isinstance(broker, Mosquitto)
            for each in names:
                await register(broker, each)
            async with open_link(link_to(broker, "source")) as link:
                await link.connected(TIMEOUT_S)
                await publish(link, stream, TIMEOUT_S)
            yield broker, folder


async def run_workers(stream: list[Outgoing], workers: int) -> Round:
    """Let so many workers work the stream off."""
    sample, ends = last_of(Kind.TELEMETRY, stream), marks(workers)
    last = stream[-1].time_ms
    stream = stream + [
        Outgoing(pump, *alarming(sample, pump, 0), 1, False, last, Kind.TELEMETRY) for pump in ends
    ]
    names = [part.name(INSTANCE) for part in parts(workers)]
    async with waiting(stream, names) as (broker, folder), onlooker(broker) as seeing:
        more = () if workers == 1 else ("--workers", str(workers))
        with Subject(broker, folder, INSTANCE, *more) as subject:
            broker_s, begins_s, busy_s = cpu_s(broker.process_id), [], []
            processes: list[int] = []
            for place, name in enumerate(names):
                begins_s.append(await seeing.connected(name))
                processes = subject.workers() or [subject.process_id]
                # Its start is not counted.
                busy_s.append(-cpu_s(processes[place]))
            begin_s, end_s = min(begins_s), max([await seeing.alert(pump) for pump in ends])
            broker_s = cpu_s(broker.process_id) - broker_s
            for place, process in enumerate(processes):
                busy_s[place] += cpu_s(process)
            memory = sum(memory_bytes(each) for each in processes)
            await asyncio.to_thread(subject.stop)
    count = len(stream)
    return Round(
        messages_s=count / (end_s - begin_s),
        worker_us=sum(busy_s) / count * 1e6,
        busiest_us=max(busy_s) / count * 1e6,
        broker_us=broker_s / count * 1e6,
        memory_mb=memory / 1e6,
    )


def answer(channel: socket.socket) -> None:
    """The other side of the router: decode, and say so."""
    decoder = msgpack.Decoder(list[Entry])
    with channel, channel.makefile("rb") as reader:
        while head := reader.read(_HEAD.size):
            decoder.decode(reader.read(_HEAD.unpack(head)[0]))
            channel.sendall(b"+")


def others(count: int) -> list[socket.socket]:
    """So many processes that answer. They are forked, so nothing else may run here yet."""
    channels: list[socket.socket] = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        if not os.fork():
            for each in (ours, *channels):
                each.close()
            answer(theirs)
            os._exit(0)
        theirs.close()
        channels.append(ours)
    return channels


async def run_router(stream: list[Outgoing], channels: list[socket.socket]) -> float:
    """Hand the stream on; processor time in µs a message."""
    encoder = msgpack.Encoder()
    async with waiting(stream, [INSTANCE]) as (broker, _):
        settings = link_to(broker, f"dripwatch-monitor-{INSTANCE}", session_expiry_s=600)
        async with open_link(settings, subscriptions=SUBSCRIPTIONS) as link:
            begin_s, handled = time.process_time(), 0
            while handled < len(stream):
                messages = await link.receive(BATCH_MAX)
                entries = [Entry(0, each.topic, each.payload, CONTRACT) for each in messages]
                for part, channel in zip(parts(len(channels)), channels, strict=True):
                    data = encoder.encode([each for each in entries if part.takes(each.topic)])
                    channel.sendall(_HEAD.pack(len(data)) + data)
                for channel in channels:
                    channel.recv(1)
                link.acknowledge(messages)
                handled += len(messages)
            return (time.process_time() - begin_s) / handled * 1e6


async def measure(
    messages: int, pumps: int, workers: tuple[int, ...], rounds: int, channels: list[socket.socket]
) -> Result:
    """All rounds, in turns."""
    stream = first_messages(make_fleet(pumps), messages)
    found: dict[int, list[Round]] = {each: [] for each in workers}
    router_us = []
    for number in range(rounds):
        for each in workers:
            found[each].append(await run_workers(stream, each))
        router_us.append(await run_router(stream, channels))
        print(f"round {number + 1} of {rounds}", flush=True)
    return Result(
        messages=messages,
        pumps=pumps,
        rows=[_row(each, done) for each, done in found.items()],
        router_us=spread(router_us),
    )


def _row(workers: int, rounds: list[Round]) -> Row:
    def figure(name: str) -> Spread:
        return spread([getattr(each, name) for each in rounds])

    busiest_us = figure("busiest_us")
    return Row(
        workers=workers,
        messages_s=figure("messages_s"),
        worker_us=figure("worker_us"),
        busiest_us=busiest_us,
        broker_us=figure("broker_us"),
        memory_mb=figure("memory_mb"),
        bound_s=1e6 / busiest_us.median,
    )


def report(result: Result) -> None:
    """Say the result."""
    print(f"{result.messages} messages from {result.pumps} pumps; median (range)")
    for row in result.rows:
        print(
            f"  {row.workers} workers: messages/s {row.messages_s}; CPU us/message: all workers"
            f" {row.worker_us}, the busiest {row.busiest_us}, broker {row.broker_us};"
            f" memory MB {row.memory_mb}; a core each allows {row.bound_s:,.0f} messages/s"
        )
    router = result.router_us
    print(
        f"  router to {ROUTED}: CPU us/message {router}; allows {1e6 / router.median:,.0f}"
        " messages/s, however many are behind it"
    )


@click.command("workers")
@click.option("--workers", type=click.IntRange(1, 16), multiple=True, default=(1, 2, 4))
@click.option("--messages", type=click.IntRange(min=100), default=50_000)
@click.option("--pumps", type=click.IntRange(min=20), default=200)
@click.option("--rounds", type=click.IntRange(min=1), default=3)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(
    *, workers: tuple[int, ...], messages: int, pumps: int, rounds: int, file: Path | None
) -> None:
    """Pumps that are shared among workers, beside a router."""
    channels = others(ROUTED)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(measure(messages, pumps, workers, rounds, channels))
    for channel in channels:
        channel.close()
        os.wait()
    report(result)
    save(file, result)


if __name__ == "__main__":
    command()

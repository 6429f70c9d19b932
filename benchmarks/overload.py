"""The monitor under more than it can take: `python -m benchmarks.overload`.

The monitor is a process of its own on Mosquitto, which is throttled: it is stopped (SIGSTOP) for
most of each twentieth of a second, so that this machine can send it several times what it can take.
That is harder than a slow machine, which at least answers in time.

1. **Capacity**: a queue that waits in the broker is worked off; messages a second.
2. **Flood**: `--factor` times that, for `--for` seconds, at an even pace, each message QoS 1.
3. **Recovery**: nothing more is sent; it works off what waits, throttled as before.

**What is checked.** The monitor's resident memory is looked at all the while: it must not grow with
the queue. Each heartbeat says how far behind the monitor is. In the end it must say that it is not,
and its accounts must hold every message of every pump once.

The queue itself is the broker's: its limit (`max_queued_messages`) is none here.
"""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from msgspec import Struct, field, structs

from benchmarks.delay import play
from benchmarks.figures import save
from benchmarks.peer import Version
from benchmarks.stream import alarming, count, first_messages, last_of, make_fleet, publish, send
from benchmarks.subject import (
    TIMEOUT_S,
    Subject,
    link_to,
    losses,
    make_broker,
    onlooker,
    register,
    stored_pumps,
)
from host.process import new_event_loop
from infusion.messages import Kind, MonitorPresence, decode, parse_topic, subscription
from link import Link, Subscription, open_link
from monitor.behind import CAUGHT_UP_MS
from simulator.stream import Outgoing
from tests.brokers import BrokerProcess

INSTANCE = "bench"
TURN_S = 0.05
LOOK_S = 0.25
# Of a second that it works at all; the rest it is stopped.
DUTY = 0.2
# What the whole flood may take to be worked off.
WAIT_S = 300.0
# More than any machine was seen to reach, so that the stream is long enough.
CAPACITY_MAX_S = 60_000
MARKS = ("P-CAPACITY", "P-RECOVERED")


class Seen(Struct):
    """What was seen of the monitor from outside, since it was connected."""

    behind_ms: list[tuple[float, int]] = field(default_factory=list)
    memory_bytes: list[tuple[float, int]] = field(default_factory=list)
    # When each heartbeat was sent, on the monitor's clock.
    beats_ms: list[int] = field(default_factory=list)
    # Set by each heartbeat that says so.
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)


class Options(Struct, frozen=True, kw_only=True):
    """What a run is asked for."""

    pumps: int
    first: int
    factor: float
    seconds: float
    duty: float
    mqtt: Version


class Result(Struct, frozen=True, kw_only=True):
    """The result of a run. `recovery_s` counts from the last message sent, `queued_max` is what
    must have waited then.
    """

    mqtt: Version
    capacity_s: float
    factor: float
    sent_s: float
    messages: int
    flood_s: float
    queued_max: int
    behind_max_s: float
    recovery_s: float
    behind_end_ms: int
    memory_before_bytes: int
    memory_max_bytes: int
    lost: list[str]


@asynccontextmanager
async def throttled(subject: Subject, duty: float) -> AsyncIterator[None]:
    """Let a process work only for a share of the time."""

    async def turns() -> None:
        while True:
            subject.signal(signal.SIGSTOP)
            await asyncio.sleep(TURN_S * (1 - duty))
            subject.signal(signal.SIGCONT)
            await asyncio.sleep(TURN_S * duty)

    task = asyncio.create_task(turns())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        subject.signal(signal.SIGCONT)


async def follow(link: Link, seen: Seen) -> None:
    """Note what each heartbeat says."""
    while True:
        messages = await link.receive()
        link.acknowledge(messages)
        for message in messages:
            beat = decode(parse_topic(message.topic), message.payload)
            if isinstance(beat, MonitorPresence) and beat.state == "online":
                seen.behind_ms.append((time.perf_counter(), beat.behind_ms))
                seen.beats_ms.append(beat.time_ms)
                if beat.behind_ms <= CAUGHT_UP_MS:
                    seen.caught_up.set()


async def look(subject: Subject, seen: Seen) -> None:
    """Look at the memory now and then."""
    while True:
        seen.memory_bytes.append((time.perf_counter(), subject.memory_bytes()))
        await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def watching(broker: BrokerProcess, subject: Subject) -> AsyncIterator[Seen]:
    """Follow heartbeat and memory for as long as the `with` block."""
    seen = Seen()
    subscriptions = [Subscription(subscription(Kind.MONITOR_PRESENCE))]
    async with open_link(link_to(broker, "beats"), subscriptions=subscriptions) as link:
        await link.connected(TIMEOUT_S)
        tasks = [asyncio.create_task(follow(link, seen)), asyncio.create_task(look(subject, seen))]
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def run(
    broker: BrokerProcess, subject: Subject, link: Link, stream: list[Outgoing], options: Options
) -> tuple[Result, list[Outgoing]]:
    """Capacity, flood, recovery; with what was sent in all."""
    sample = last_of(Kind.TELEMETRY, stream)
    async with onlooker(broker) as seeing, watching(broker, subject) as seen:
        await seeing.connected(INSTANCE)
        async with throttled(subject, options.duty):
            begin_s = time.perf_counter()
            await publish(link, stream[: options.first], TIMEOUT_S)
            send(link, *alarming(sample, MARKS[0], 0))
            capacity_s = options.first / (await seeing.alert(MARKS[0], WAIT_S) - begin_s)
            wanted = round(capacity_s * options.factor * options.seconds)
            flood = stream[options.first : options.first + wanted]
            memory_bytes, flood_s = subject.memory_bytes(), time.perf_counter()
            await play(link, flood, capacity_s * options.factor)
            await link.drain(TIMEOUT_S)
            sent_s = time.perf_counter()
            send(link, *alarming(sample, MARKS[1], 0))
            end_s = await seeing.alert(MARKS[1], WAIT_S)
            async with asyncio.timeout(TIMEOUT_S):
                seen.caught_up.clear()
                await seen.caught_up.wait()
    result = Result(
        mqtt=options.mqtt,
        capacity_s=capacity_s,
        factor=options.factor,
        sent_s=len(flood) / (sent_s - flood_s),
        messages=len(flood),
        flood_s=sent_s - flood_s,
        queued_max=max(0, round(len(flood) - capacity_s * (sent_s - flood_s))),
        behind_max_s=max(ms for at_s, ms in seen.behind_ms if at_s > flood_s) / 1_000,
        recovery_s=end_s - sent_s,
        behind_end_ms=seen.behind_ms[-1][1],
        memory_before_bytes=memory_bytes,
        memory_max_bytes=max(size for at_s, size in seen.memory_bytes if at_s > flood_s),
        lost=[],
    )
    return result, stream[: options.first + wanted]


async def measure(options: Options) -> Result:
    """One run."""
    most = options.first + round(options.factor * options.seconds * CAPACITY_MAX_S * options.duty)
    stream = first_messages(make_fleet(options.pumps), most)
    with tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name:
        folder = Path(name)
        with make_broker("mosquitto", folder) as broker:
            # The session is there before the first message, or what comes too soon is lost.
            await register(broker, INSTANCE)
            subject = Subject(broker, folder, INSTANCE, "--mqtt", options.mqtt)
            async with open_link(link_to(broker, "source")) as link:
                await link.connected(TIMEOUT_S)
                with subject:
                    result, sent = await run(broker, subject, link, stream, options)
                    await asyncio.to_thread(subject.stop)
        return structs.replace(result, lost=losses(count(sent), await stored_pumps(subject.store)))


def report(result: Result) -> None:
    """Say the result."""
    grown = result.memory_max_bytes - result.memory_before_bytes
    print(
        f"MQTT {result.mqtt}: capacity {result.capacity_s:,.0f} messages/s, throttled; sent"
        f" {result.messages:,} at {result.sent_s:,.0f}/s for {result.flood_s:.0f} s"
    )
    print(f"  waited at the end of the flood: {result.queued_max:,} messages")
    print(
        f"  behind: at most {result.behind_max_s:.1f} s, {result.behind_end_ms} ms in the end;"
        f" caught up {result.recovery_s:.1f} s after the flood"
    )
    print(
        f"  memory of the monitor: {result.memory_before_bytes / 1e6:.1f} MB before,"
        f" {result.memory_max_bytes / 1e6:.1f} MB at most ({grown / 1e6:+.1f} MB)"
    )
    print(f"  accounts that differ from what was sent: {len(result.lost)}")
    for text in result.lost[:5]:
        print(f"    {text}")


@click.command("overload")
@click.option("--factor", type=click.FloatRange(min=1), default=3.0, help="times its capacity")
@click.option("--for", "seconds", type=click.FloatRange(min=1), default=20.0)
@click.option("--duty", type=click.FloatRange(0.02, 1), default=DUTY, help="how much it works")
@click.option("--pumps", type=click.IntRange(min=20), default=200)
@click.option("--first", type=click.IntRange(min=100), default=10_000, help="to find the capacity")
@click.option("--mqtt", type=click.Choice(["5", "3.1.1"]), default="5")
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(
    *,
    factor: float,
    seconds: float,
    duty: float,
    pumps: int,
    first: int,
    mqtt: Version,
    file: Path | None,
) -> None:
    """A monitor that gets several times what it can take."""
    options = Options(
        pumps=pumps, first=first, factor=factor, seconds=seconds, duty=duty, mqtt=mqtt
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(measure(options))
    report(result)
    save(file, result)
    sys.exit(1 if result.lost else 0)


if __name__ == "__main__":
    command()

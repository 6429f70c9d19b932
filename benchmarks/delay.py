"""A ward at the pace of life: `python -m benchmarks.delay`.

So many pumps report every ten seconds, each in its turn, for a while; the monitor is a process of
its own with a store on a file, on Mosquitto. Between their messages, now and then a pump alarms.

- **Alert delay**: from the instant at which the message of the alarm is handed to our link until
  the change is seen on the alert log by a subscriber. Inside are both ways over the broker, the
  batch that the message waits for, and the durable commit. The links of this process are inside
  too, since it makes the background and watches at the same time.
- **Processor time a message** at this pace: batches are small here, and every pump is in every
  snapshot, so it is more than `benchmarks/intake.py` finds at full speed.
- **Memory a pump**: what the resident memory of the monitor has grown by since it was connected,
  divided by the pumps. The memory that a burst at the beginning leaves behind is inside.
"""

import asyncio
import gc
import math
import sys
import tempfile
import time
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.figures import percentile, save
from benchmarks.stream import (
    CHUNK_MS,
    alarming,
    count,
    last_of,
    make_fleet,
    publish,
    send,
)
from benchmarks.subject import (
    TIMEOUT_S,
    Onlooker,
    Subject,
    link_to,
    losses,
    make_broker,
    onlooker,
    stored_pumps,
)
from host.process import new_event_loop
from infusion.messages import Event, Kind, Telemetry
from link import Link, open_link
from simulator.stream import Outgoing

INSTANCE = "bench"
# Ends the run: when its alert is seen, all messages before it are handled.
END = "P-END"
INTERVAL_S = CHUNK_MS // 1_000
WAKE_S = 0.005
# At the start every pump says several things at once. They go out in portions that the monitor
# has handled before the next: the pace of life is measured here, not a flood.
PORTION = 5_000
# Alarms come at no fixed place within a batch or between two commits.
PROBE_GAP_S = 0.1037


class Result(Struct, frozen=True, kw_only=True):
    """The result of a run."""

    pumps: int
    seconds: float
    messages: int
    messages_s: float
    probes: int
    delay_p50_ms: float
    delay_p99_ms: float
    delay_max_ms: float
    cpu_us: float
    cpu_share: float
    pump_memory_bytes: float
    lost: list[str]


class Story(Struct, frozen=True):
    """What the pumps say at the start, and then over so many seconds."""

    pumps: int
    seconds: float
    first: list[Outgoing]
    then: list[Outgoing]


def tell(pumps: int, seconds: float) -> Story:
    """The story of a fleet, in virtual time."""
    fleet = make_fleet(pumps)
    first = [each for each in fleet.advance(fleet.now_ms) if isinstance(each, Outgoing)]
    to_ms = fleet.now_ms + round(seconds * 1_000)
    then = [each for each in fleet.advance(to_ms) if isinstance(each, Outgoing)]
    return Story(pumps, seconds, first, then)


async def play(link: Link, messages: list[Outgoing], rate_s: float) -> None:
    """Publish at an even pace; a late wake is made up for."""
    begin_s = time.perf_counter()
    sent = 0
    while sent < len(messages):
        due = min(len(messages), math.ceil((time.perf_counter() - begin_s) * rate_s))
        for each in messages[sent:due]:
            # A broker that is not fast enough makes the pace slower, and `messages_s` tells.
            await link.room()
            send(link, each.topic, each.payload, retain=each.retain)
        sent = due
        await asyncio.sleep(WAKE_S)


async def settle(
    link: Link, seeing: Onlooker, messages: list[Outgoing], sample: Telemetry | Event
) -> None:
    """Publish what all pumps say at the start, portion by portion, and see it handled."""
    for number, begin in enumerate(range(0, len(messages), PORTION)):
        await publish(link, messages[begin : begin + PORTION], TIMEOUT_S)
        pump = f"P-BEGIN-{number}"
        send(link, *alarming(sample, pump, 0))
        await seeing.alert(pump)


async def probe(
    link: Link, seeing: Onlooker, sample: Telemetry | Event, for_s: float
) -> list[float]:
    """Let a pump alarm now and then; how long each alert took, in seconds."""
    sent: dict[str, float] = {}
    end_s = time.perf_counter() + for_s
    while time.perf_counter() < end_s:
        await asyncio.sleep(PROBE_GAP_S)
        pump = f"P-ALARM-{len(sent)}"
        topic, payload = alarming(sample, pump, 0)
        # Waiting for room is part of the delay.
        sent[pump] = time.perf_counter()
        await link.room()
        send(link, topic, payload)
    return [await seeing.alert(pump) - at_s for pump, at_s in sent.items()]


async def measure(rate_s: int, seconds: float) -> Result:
    """One run."""
    story = tell(rate_s * INTERVAL_S, seconds)
    expected = count([*story.first, *story.then])
    # Or the collector of cycles would go through all of it while the pace is to be kept.
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name:
        folder = Path(name)
        with make_broker("mosquitto", folder) as broker:
            subject = Subject(broker, folder, INSTANCE)
            async with onlooker(broker) as seeing, open_link(link_to(broker, "source")) as link:
                await link.connected(TIMEOUT_S)
                with subject:
                    result = await _run(link, seeing, subject, story)
                    await asyncio.to_thread(subject.stop)
        return replace(result, lost=losses(expected, await stored_pumps(subject.store)))


async def _run(
    link: Link,
    seeing: Onlooker,
    subject: Subject,
    story: Story,
) -> Result:
    await seeing.connected(INSTANCE)
    memory_bytes = subject.memory_bytes()
    sample = last_of(Kind.TELEMETRY, story.then)
    await settle(link, seeing, story.first, sample)
    begin = subject.instant()
    playing = asyncio.create_task(play(link, story.then, len(story.then) / story.seconds))
    delays_ms = [1e3 * delay_s for delay_s in await probe(link, seeing, sample, story.seconds)]
    await playing
    send(link, *alarming(sample, END, 0))
    await seeing.alert(END)
    end = subject.instant()
    pumps, messages = story.pumps, len(story.then) + len(delays_ms)
    wall_s = end.wall_s - begin.wall_s
    return Result(
        pumps=pumps,
        seconds=wall_s,
        messages=messages,
        messages_s=messages / wall_s,
        probes=len(delays_ms),
        delay_p50_ms=percentile(delays_ms, 0.5),
        delay_p99_ms=percentile(delays_ms, 0.99),
        delay_max_ms=max(delays_ms),
        cpu_us=(end.cpu_s - begin.cpu_s) / messages * 1e6,
        cpu_share=(end.cpu_s - begin.cpu_s) / wall_s,
        pump_memory_bytes=(subject.memory_bytes() - memory_bytes) / pumps,
        lost=[],
    )


def report(result: Result) -> None:
    """Say the result."""
    print(
        f"{result.pumps:,} pumps, {result.messages_s:,.0f} messages/s for {result.seconds:.0f} s,"
        f" {result.probes} alarms"
    )
    print(
        f"  alert delay ms: p50 {result.delay_p50_ms:.1f}, p99 {result.delay_p99_ms:.1f},"
        f" worst {result.delay_max_ms:.1f}"
    )
    print(f"  CPU of the monitor: {result.cpu_us:.0f} us/message, {result.cpu_share:.0%} of a core")
    print(f"  memory of the monitor: {result.pump_memory_bytes / 1_000:.1f} KB a pump")
    print(f"  accounts that differ from what was sent: {len(result.lost)}")
    for text in result.lost[:5]:
        print(f"    {text}")


@click.command("delay")
@click.option("--rate", type=click.IntRange(min=2), default=1_000, help="messages a second")
@click.option("--for", "seconds", type=click.FloatRange(min=1), default=30.0)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(*, rate: int, seconds: float, file: Path | None) -> None:
    """Alert delay, processor time and memory of the monitor at the pace of life."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(measure(rate, seconds))
    report(result)
    save(file, result)
    sys.exit(1 if result.lost else 0)


if __name__ == "__main__":
    command()

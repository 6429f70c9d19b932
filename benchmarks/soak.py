"""Whether the monitor keeps its size: `python -m benchmarks.soak`.

It takes an hour, or `--minutes`. What is kept of a pump grows for a day of its time, because there
are windows of 24 hours. So the clocks of pumps and monitor run fast enough that a day has passed
after 40 % of the run, and memory is judged from half of it on: then it must stand still. Pumps
report once a minute of their time, a few of them are in trouble, and the store is a file that is
written all the while.

- **Memory** is the resident set; the slope is the line through all samples of the second half.
- **Behind** is the most that a heartbeat told.

In the end the accounts are held against what was sent.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click
from msgspec import Struct, structs

from benchmarks.figures import save
from benchmarks.overload import Seen, watching
from benchmarks.stream import SEED, START_MS, Counted, count, send, story
from benchmarks.subject import (
    TIMEOUT_S,
    Subject,
    link_to,
    losses,
    make_broker,
    onlooker,
    stored_pumps,
)
from host.process import new_event_loop
from infusion.units import MS_PER_DAY
from link import Link, open_link
from simulator.fleet import Fleet
from simulator.stream import Outgoing

INSTANCE = "bench"
INTERVAL_S = 60.0
DAY_SHARE = 0.4
# What a monitor allows. In less than four minutes no day passes, and memory is not judged.
SPEED_MAX = 1_000.0
WAKE_S = 0.1
# More growth than this in the second half is growth. What the allocator does is less. [A]
GROWTH_MAX = 0.03


class Result(Struct, frozen=True, kw_only=True):
    """The result of a run. Memory in bytes: when connected, half-way, in the end, and at most."""

    minutes: float
    pumps: int
    speed: float
    messages: int
    messages_s: float
    cpu_us: float
    behind_max_s: float
    memory_begin: int
    memory_half: float
    memory_end: float
    memory_max: int
    slope_bytes_h: float
    store_bytes: int
    lost: list[str]

    @property
    def growth(self) -> float:
        """By what share memory grew from half-way to the end."""
        return self.memory_end / self.memory_half - 1.0


async def play(link: Link, fleet: Fleet, speed: float, seconds: float) -> dict[str, Counted]:
    """Let a fleet live in step with the clock; what it has sent."""
    sent: dict[str, Counted] = {}
    begin_s = time.perf_counter()
    while (now_s := time.perf_counter() - begin_s) < seconds:
        to_ms = START_MS + round(now_s * speed * 1_000)
        said = [each for each in fleet.advance(to_ms) if isinstance(each, Outgoing)]
        for each in said:
            await link.room()
            send(link, each.topic, each.payload, retain=each.retain)
        for key, counted in count(said).items():
            known = sent.setdefault(key, Counted())
            known.messages += counted.messages
            known.seq, known.volume_nl = counted.seq, counted.volume_nl
        await asyncio.sleep(WAKE_S)
    await link.drain(TIMEOUT_S)
    return sent


async def measure(minutes: float, pumps: int) -> Result:
    """One run."""
    seconds = minutes * 60
    speed = min(SPEED_MAX, MS_PER_DAY / 1_000 / (DAY_SHARE * seconds))
    fleet = Fleet(
        *story("demo"), pumps=pumps, start_ms=START_MS, seed=SEED, interval_s=INTERVAL_S, step_s=1.0
    )
    with tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name:
        folder = Path(name)
        with make_broker("mosquitto", folder) as broker:
            subject = Subject(broker, folder, INSTANCE, "--speed", f"{speed:.3f}")
            async with onlooker(broker) as seeing, open_link(link_to(broker, "source")) as link:
                await link.connected(TIMEOUT_S)
                with subject:
                    await seeing.connected(INSTANCE)
                    async with watching(broker, subject) as seen:
                        begin = subject.instant()
                        sent = await play(link, fleet, speed, seconds)
                        end = subject.instant()
                    await asyncio.to_thread(subject.stop)
        messages = sum(each.messages for each in sent.values())
        result = _result(seen, begin.wall_s, end.wall_s, speed)
        return structs.replace(
            result,
            minutes=minutes,
            pumps=pumps,
            messages=messages,
            messages_s=messages / (end.wall_s - begin.wall_s),
            cpu_us=(end.cpu_s - begin.cpu_s) / messages * 1e6,
            store_bytes=subject.store.stat().st_size,
            lost=losses(sent, await stored_pumps(subject.store)),
        )


def _result(seen: Seen, begin_s: float, end_s: float, speed: float) -> Result:
    """What was seen while it ran; the rest is filled in."""
    half_s = (begin_s + end_s) / 2
    later = [(at_s, size) for at_s, size in seen.memory_bytes if at_s >= half_s]
    tenth = max(1, len(later) // 10)
    line = statistics.linear_regression([at_s / 3_600 for at_s, _ in later], [b for _, b in later])
    return Result(
        minutes=0.0,
        pumps=0,
        speed=speed,
        messages=0,
        messages_s=0.0,
        cpu_us=0.0,
        behind_max_s=max(ms for _, ms in seen.behind_ms) / speed / 1_000,
        memory_begin=seen.memory_bytes[0][1],
        memory_half=statistics.median(size for _, size in later[:tenth]),
        memory_end=statistics.median(size for _, size in later[-tenth:]),
        memory_max=max(size for _, size in seen.memory_bytes),
        slope_bytes_h=line.slope,
        store_bytes=0,
        lost=[],
    )


def report(result: Result) -> None:
    """Say the result."""
    days = result.minutes * 60 * result.speed * 1_000 / MS_PER_DAY
    print(
        f"{result.minutes:g} min, {result.pumps} pumps for {days:.1f} days of theirs:"
        f" {result.messages:,} messages, {result.messages_s:,.0f}/s, CPU {result.cpu_us:.0f}"
        f" us/message; behind at most {result.behind_max_s:.2f} s"
    )
    print(
        f"  memory: {result.memory_begin / 1e6:.1f} MB at first, {result.memory_half / 1e6:.1f}"
        f" half-way, {result.memory_end / 1e6:.1f} in the end ({result.growth:+.1%}), at most"
        f" {result.memory_max / 1e6:.1f}; slope {result.slope_bytes_h / 1e6:+.2f} MB/h;"
        f" store {result.store_bytes / 1e6:.1f} MB"
    )
    print(f"  accounts that differ from what was sent: {len(result.lost)}")
    for text in result.lost[:5]:
        print(f"    {text}")


@click.command("soak")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=60.0)
@click.option("--pumps", type=click.IntRange(min=20), default=100)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(*, minutes: float, pumps: int, file: Path | None) -> None:
    """Memory of the monitor over more than two days of its pumps."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(measure(minutes, pumps))
    report(result)
    save(file, result)
    has_grown = result.speed < SPEED_MAX and result.growth > GROWTH_MAX
    sys.exit(1 if result.lost or has_grown else 0)


if __name__ == "__main__":
    command()

"""A day of a whole fleet: `python -m benchmarks.day`.

1 000 pumps on the scenario `quiet-day`, steps of a second, telemetry every 10 s: physics, machines,
patients and JSON, in one thread, everything but the broker. The budget is 60 s of processor time.
Afterwards a few minutes more are run under cProfile, and it is told where the time goes.
"""

import cProfile
import pstats
import time
from pathlib import Path

import click
from msgspec import Struct

from benchmarks.figures import save
from benchmarks.stream import make_fleet
from simulator.fleet import Fleet
from simulator.stream import Outgoing

TARGET_S = 60.0
MINUTE_MS = 60_000
PROFILED_MINUTES = 5
SHOWN = 8


class Part(Struct, frozen=True):
    """One function's own share of the time under the profiler."""

    function: str
    share: float


class Result(Struct, frozen=True):
    """One run; `day_s` is what a whole day costs at this pace, in processor time."""

    pumps: int
    hours: float
    messages: int
    megabytes: float
    cpu_s: float
    wall_s: float
    day_s: float
    message_us: float
    parts: list[Part]


def measure(pumps: int, hours: float) -> Result:
    """Run it, and say what it cost."""
    fleet = make_fleet(pumps, "quiet-day")
    fleet.advance(fleet.start_ms)
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    messages = size = 0
    for _ in range(round(hours * 60)):
        for output in fleet.advance(fleet.now_ms + MINUTE_MS):
            if isinstance(output, Outgoing):
                messages += 1
                size += len(output.payload)
    cpu_s = time.process_time() - begin_cpu_s
    return Result(
        pumps=pumps,
        hours=hours,
        messages=messages,
        megabytes=size / 1e6,
        cpu_s=cpu_s,
        wall_s=time.perf_counter() - begin_s,
        day_s=cpu_s * 24 / hours,
        message_us=cpu_s / messages * 1e6,
        parts=_parts(fleet),
    )


def _parts(fleet: Fleet) -> list[Part]:
    profiler = cProfile.Profile()
    profiler.runcall(fleet.advance, fleet.now_ms + PROFILED_MINUTES * MINUTE_MS)
    stats = pstats.Stats(profiler).get_stats_profile().func_profiles
    total = sum(each.tottime for each in stats.values())
    worst = sorted(stats.items(), key=lambda item: -item[1].tottime)[:SHOWN]
    return [
        Part(f"{Path(each.file_name).name} {name}", each.tottime / total) for name, each in worst
    ]


def report(result: Result) -> None:
    """Say the result."""
    print(
        f"{result.pumps:,} pumps, {result.hours:g} h: {result.messages:,} messages, "
        f"{result.megabytes:,.0f} MB, CPU {result.cpu_s:.1f} s, wall {result.wall_s:.1f} s, "
        f"{result.message_us:.2f} us a message"
    )
    print(f"a day: CPU {result.day_s:.1f} s, {result.day_s / TARGET_S:.2f} of {TARGET_S:g} s")
    print("own time under the profiler:")
    for part in result.parts:
        print(f"  {part.share:6.1%} {part.function}")


@click.command("day")
@click.option("--pumps", type=click.IntRange(min=20), default=1_000)
@click.option("--hours", type=click.FloatRange(min=0.05), default=24.0)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(*, pumps: int, hours: float, file: Path | None) -> None:
    """What a simulated day costs."""
    result = measure(pumps, hours)
    report(result)
    save(file, result)


if __name__ == "__main__":
    command()

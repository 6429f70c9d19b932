"""What a fleet costs: `python -m benchmarks.fleet`.

Two figures, both of one thread:

- **A physics step** of 1 000, 10 000 and 100 000 pumps (`simulator.physics.step`): every pump runs
  and delivers, steps of a second. A step in sixty also draws the next ripple of every flow, which
  is the slow one and shows in p99.
- **A message** of a whole fleet (`Fleet.advance`): physics, machines, reports and JSON, divided by
  the messages that come out. The more often pumps report, the less of it is physics.

The sizes take turns, round by round, so that a busy minute of the machine meets all of them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from benchmarks.figures import Spread, percentile, save, spread
from benchmarks.stream import SEED, make_fleet, story
from simulator.cohort import running_state
from simulator.physics import State, step
from simulator.stream import Outgoing

SIZES = (1_000, 10_000, 100_000)
STEP_S = 1.0
TARGET_PUMPS = 100_000
TARGET_MS = 25.0
WARM_UP_STEPS = 5
# One round of messages is this much of the pumps' time, with a report of each pump every 10 s.
MESSAGES_MS = 60_000


class Steps(Struct, frozen=True):
    """One step of a fleet of this size, over all rounds, in milliseconds."""

    pumps: int
    median_ms: float
    p99_ms: float
    cpu_median_ms: float


class Result(Struct, frozen=True):
    """The result of a run; `message_us` is processor time."""

    steps: list[Steps]
    message_pumps: int
    message_us: Spread


class Stopwatch:
    """Wall and processor time of a `with` block, in seconds."""

    wall_s = 0.0
    cpu_s = 0.0


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Time a block of this thread's work."""
    watch = Stopwatch()
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    yield watch
    watch.cpu_s = time.process_time() - begin_cpu_s
    watch.wall_s = time.perf_counter() - begin_s


def measure_steps(sizes: tuple[int, ...], steps: int, rounds: int) -> list[Steps]:
    """Physics alone; `steps` steps of each size in each round."""
    _, profile = story("demo")
    states: dict[int, State] = {size: running_state(profile, size, SEED) for size in sizes}
    wall: dict[int, list[float]] = {size: [] for size in sizes}
    cpu: dict[int, list[float]] = {size: [] for size in sizes}
    for state in states.values():
        for _ in range(WARM_UP_STEPS):
            step(state, STEP_S)
    for _ in range(rounds):
        for size, state in states.items():
            for _ in range(steps):
                with timed() as watch:
                    step(state, STEP_S)
                wall[size].append(watch.wall_s * 1e3)
                cpu[size].append(watch.cpu_s * 1e3)
    return [
        Steps(
            size,
            percentile(wall[size], 0.5),
            percentile(wall[size], 0.99),
            percentile(cpu[size], 0.5),
        )
        for size in sizes
    ]


def measure_messages(pumps: int, rounds: int) -> Spread:
    """Processor time for a message of a whole fleet, in microseconds; its beginning left out."""
    fleet = make_fleet(pumps, "quiet-day")
    fleet.advance(fleet.start_ms)
    costs = []
    for _ in range(rounds):
        with timed() as watch:
            said = fleet.advance(fleet.now_ms + MESSAGES_MS)
        messages = sum(isinstance(each, Outgoing) for each in said)
        costs.append(watch.cpu_s / messages * 1e6)
    return spread(costs)


def report(result: Result) -> None:
    """Say the result."""
    print("one physics step     median ms      p99 ms   CPU median ms")
    for each in result.steps:
        print(
            f"  {each.pumps:9,} pumps {each.median_ms:11.3f} {each.p99_ms:11.3f}"
            f" {each.cpu_median_ms:15.3f}"
        )
        if each.pumps == TARGET_PUMPS:
            print(f"  that is {each.median_ms / TARGET_MS:.2f} of the budget of {TARGET_MS:g} ms")
    print(
        f"one message of a fleet of {result.message_pumps:,} pumps: CPU us {result.message_us},"
        " median (range)"
    )


@click.command("fleet")
@click.option("--pumps", "sizes", type=click.IntRange(min=1), multiple=True, default=SIZES)
@click.option("--steps", type=click.IntRange(min=1), default=120)
@click.option("--rounds", type=click.IntRange(min=1), default=5)
@click.option("--message-pumps", type=click.IntRange(min=20), default=1_000)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(
    *, sizes: tuple[int, ...], steps: int, rounds: int, message_pumps: int, file: Path | None
) -> None:
    """Physics steps, and the messages of a whole fleet."""
    result = Result(
        measure_steps(sizes, steps, rounds), message_pumps, measure_messages(message_pumps, rounds)
    )
    report(result)
    save(file, result)


if __name__ == "__main__":
    command()

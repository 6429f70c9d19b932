"""Cost against size: `python -m benchmarks.size`.

For each number of pumps, a monitor as a process of its own on Mosquitto, its store on a file:

1. **First words**: order, presence, event and telemetry of every pump, so that each is known.
2. **Then**: telemetry of every pump in turn, as fast as broker and monitor take it, at least
   `--messages` of it. Regular snapshots are inside, since one is due every 100 000 messages.

- **CPU a message** is of the whole monitor process, user and system, all threads.
- **Memory** is the resident set, and what it has grown by since the monitor was connected, a
  pump. At few pumps that is what a busy process needs anyhow: the slope between two sizes says what
  a pump costs.
- **Stop** is the longest time between two heartbeats, as the monitor sent them, beyond what lies
  between them: for so long it stood still, and an alert waited.

`--picture FILE` writes the figures as a picture.
"""

import asyncio
import gc
import itertools
import sys
import tempfile
from pathlib import Path

import click
from msgspec import Struct, structs

from benchmarks.delay import settle
from benchmarks.figures import save
from benchmarks.overload import Seen, watching
from benchmarks.stream import CHUNK_MS, alarming, count, last_of, make_fleet, publish, send
from benchmarks.subject import (
    Onlooker,
    Subject,
    link_to,
    losses,
    make_broker,
    onlooker,
    stored_pumps,
)
from benchmarks.validation import drawing
from host.process import new_event_loop
from infusion.messages import Kind
from link import Link, open_link
from monitor.service import BEAT_S
from simulator.fleet import Fleet
from simulator.stream import Outgoing

INSTANCE = "bench"
END = "P-END"
SIZES = (100, 1_000, 10_000, 100_000)
TIMEOUT_S = 300.0


class Row(Struct, frozen=True, kw_only=True):
    """One size. Processor times are in µs a message."""

    pumps: int
    first_messages: int
    first_us: float
    messages: int
    us: float
    messages_s: float
    memory_bytes: int
    pump_bytes: float
    stop_ms: float
    lost: list[str]


class Result(Struct, frozen=True, kw_only=True):
    """The result of a run; `slopes` are bytes a pump from each size to the next."""

    rows: list[Row]
    slopes: list[float]


def said(fleet: Fleet, to_ms: int) -> list[Outgoing]:
    """What a fleet says until then."""
    return [each for each in fleet.advance(to_ms) if isinstance(each, Outgoing)]


async def measure_size(pumps: int, messages: int) -> Row:
    """One size."""
    fleet = make_fleet(pumps)
    first = said(fleet, fleet.now_ms)
    then: list[Outgoing] = []
    while len(then) < messages:
        then += said(fleet, fleet.now_ms + CHUNK_MS)
    # Or the collector of cycles would go through all of it in the middle.
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name:
        folder = Path(name)
        with make_broker("mosquitto", folder) as broker:
            subject = Subject(broker, folder, INSTANCE)
            async with onlooker(broker) as seeing, open_link(link_to(broker, "source")) as link:
                await link.connected(TIMEOUT_S)
                with subject:
                    await seeing.connected(INSTANCE)
                    async with watching(broker, subject) as seen:
                        row = await _run(link, seeing, subject, first, then, seen)
                    await asyncio.to_thread(subject.stop, TIMEOUT_S)
        lost = losses(count([*first, *then]), await stored_pumps(subject.store))
        return structs.replace(row, pumps=pumps, pump_bytes=row.pump_bytes / pumps, lost=lost)


async def _run(
    link: Link,
    seeing: Onlooker,
    subject: Subject,
    first: list[Outgoing],
    then: list[Outgoing],
    seen: Seen,
) -> Row:
    sample = last_of(Kind.TELEMETRY, then)
    connected_bytes, connected = subject.memory_bytes(), subject.instant()
    await settle(link, seeing, first, sample)
    begin = subject.instant()
    await publish(link, then, TIMEOUT_S)
    send(link, *alarming(sample, END, 0))
    await seeing.alert(END, TIMEOUT_S)
    end = subject.instant()
    memory_bytes = subject.memory_bytes()
    gaps_ms = [after - before for before, after in itertools.pairwise(seen.beats_ms)]
    return Row(
        pumps=0,
        first_messages=len(first),
        first_us=(begin.cpu_s - connected.cpu_s) / len(first) * 1e6,
        messages=len(then),
        us=(end.cpu_s - begin.cpu_s) / len(then) * 1e6,
        messages_s=len(then) / (end.wall_s - begin.wall_s),
        memory_bytes=memory_bytes,
        pump_bytes=memory_bytes - connected_bytes,
        stop_ms=max(0.0, max(gaps_ms, default=0) - 1e3 * BEAT_S),
        lost=[],
    )


async def measure(sizes: tuple[int, ...], messages: int) -> Result:
    """All sizes, from small to large."""
    rows = []
    for pumps in sorted(sizes):
        row = await measure_size(pumps, max(messages, 2 * pumps))
        rows.append(row)
        report_row(row)
    slopes = [
        (after.memory_bytes - before.memory_bytes) / (after.pumps - before.pumps)
        for before, after in itertools.pairwise(rows)
    ]
    return Result(rows=rows, slopes=slopes)


def report_row(row: Row) -> None:
    """Say one row."""
    print(
        f"{row.pumps:>7,} pumps: first words {row.first_us:5.1f} us/message, then {row.us:5.1f}"
        f" us/message at {row.messages_s:,.0f}/s; memory {row.memory_bytes / 1e6:,.0f} MB,"
        f" {row.pump_bytes / 1e3:.1f} KB a pump; stop {row.stop_ms:,.0f} ms;"
        f" accounts that differ: {len(row.lost)}",
        flush=True,
    )
    for text in row.lost[:5]:
        print(f"    {text}")


def draw(result: Result, path: Path) -> None:
    """The figures as a picture."""
    rows = result.rows
    pumps = [row.pumps for row in rows]
    panels = (
        ("processor time, µs a message", [row.us for row in rows]),
        ("memory, MB", [row.memory_bytes / 1e6 for row in rows]),
        ("longest stop, ms", [max(1.0, row.stop_ms) for row in rows]),
    )
    with drawing.style():
        figure, places = drawing.axes(1, len(panels), width=9.0, height=2.8)
        for place, colour, (title, values) in zip(places, drawing.COLOURS, panels, strict=False):
            place.plot(pumps, values, marker="o", color=colour)
            place.set_xscale("log")
            place.set_xlabel("pumps")
            place.set_title(title, fontsize=9)
            if title.startswith("memory"):
                place.set_yscale("log")
            else:
                place.set_ylim(bottom=0)
        drawing.save(figure, path)


@click.command("size")
@click.option("--pumps", type=click.IntRange(min=20), multiple=True, default=SIZES)
@click.option("--messages", type=click.IntRange(min=100), default=40_000, help="at least so many")
@click.option("--picture", type=click.Path(path_type=Path))
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(
    *, pumps: tuple[int, ...], messages: int, picture: Path | None, file: Path | None
) -> None:
    """What a message and a pump cost, from few pumps to many."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(measure(pumps, messages))
    for (before, after), slope in zip(itertools.pairwise(result.rows), result.slopes, strict=True):
        print(f"from {before.pumps:,} to {after.pumps:,} pumps: {slope / 1e3:.1f} KB a pump")
    if picture is not None:
        draw(result, picture)
    save(file, result)
    sys.exit(1 if any(row.lost for row in result.rows) else 0)


if __name__ == "__main__":
    command()

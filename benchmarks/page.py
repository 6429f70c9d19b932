"""The page under many eyes: `python -m benchmarks.page`.

A real monitor (a process of its own, on a broker, with a store on a file) watches 500 pumps that
report every ten seconds, each in its turn: 50 rows change each second. So many viewers, in another
process, read the stream; of more than one, one is stalled and reads nothing.

- **Processor a viewer**: what the monitor's process takes with viewers less what it takes without,
  for each viewer, in per cent of a core. The part without is in the first line.
- **Delay**: from the instant at which the monitor received a message until a viewer has read the
  row that it led to: the batch, the durable commit, the wait for the flush and the way are inside.
- **With `--browser`** a real Chromium looks too: see benchmarks/browser.py.
- **Page weight**: every file of the first load, as it crosses the wire; the snapshot is apart.
"""

import asyncio
import re
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from benchmarks import browser
from benchmarks.delay import INTERVAL_S, play, settle, tell
from benchmarks.figures import percentile, save
from benchmarks.stream import last_of
from benchmarks.subject import TIMEOUT_S, Subject, child, link_to, make_broker, onlooker
from benchmarks.viewers import Seen
from host.process import new_event_loop
from infusion.messages import Kind
from link import open_link
from monitor.people_store import People
from monitor.web.static_files import FOLDER

INSTANCE = "bench"
NAME = "bench"
# Long enough that nobody guesses it; nobody signs in with it.
PASSWORD = "a password of the benchmark"
# How long the viewers have looked before the measurement begins.
WARM_S = 2.0
# How long it may take until all viewers of a round are there.
START_S = 10.0
# What is shown at first; its module is imported by its name.
FIRST_VIEW = "worklist.js"

_REFERENCE = re.compile(r"""(?:src|href)="/static/([\w.-]+)"|(?:from|import) "\./([\w.-]+)";""")


class Round(Struct, frozen=True, kw_only=True):
    """What one number of viewers came to; shares are of a core."""

    viewers: int
    stalled: int
    cpu_share: float
    viewer_share: float
    memory_bytes: int
    delay_p50_ms: float
    delay_p99_ms: float
    delay_max_ms: float
    viewer_bytes_s: float
    snapshot_bytes: int


class Weight(Struct, frozen=True, kw_only=True):
    """The files of the first load: how many, packed and plain."""

    files: int
    packed_bytes: int
    plain_bytes: int


class Result(Struct, frozen=True, kw_only=True):
    """The result of a run."""

    pumps: int
    rate_s: float
    weight: Weight
    rounds: list[Round]
    painted: list[browser.Painted]


def first_load(folder: Path = FOLDER) -> list[str]:
    """The files that a browser asks for before the page works, in the order of the first mention.

    Modules that are imported only when another view is opened do not belong to it.
    """
    found = ["index.html", FIRST_VIEW]
    for name in found:
        if name.endswith((".html", ".js")):
            text = (folder / name).read_text()
            for match in _REFERENCE.finditer(text):
                mentioned = match[1] or match[2]
                if mentioned not in found:
                    found.append(mentioned)
    return found


def weigh(url: str, names: list[str]) -> Weight:
    """What the files weigh on the wire of a running server."""
    packed = plain = 0
    for name in names:
        asked = urllib.request.Request(f"{url}/static/{name}", headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
            packed += len(answer.read())
        plain += (FOLDER / name).stat().st_size
    return Weight(files=len(names), packed_bytes=packed, plain_bytes=plain)


async def make_token(store: Path) -> str:
    """A token for the viewers, in the store of the monitor that is to be started."""
    async with People(store) as people:
        await people.add(NAME, ["viewer"], PASSWORD, NAME)
        text, _ = await people.issue_token(NAME, ["read"], 1, NAME)
    return text


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


class Viewers:
    """The process of the viewers."""

    def __init__(self, port: int, token: str, count: int, stalled: bool) -> None:
        arguments = ["--port", str(port), "--token", token, "--count", str(count)]
        self._process = child(
            ["benchmarks.viewers", *arguments, *(["--stalled"] if stalled else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    async def said(self) -> bytes:
        """The next line. Raises AssertionError when the process has ended."""
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        assert line, f"the viewers ended with {self._process.wait()}"
        return line

    def go_on(self) -> None:
        """The word to go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.communicate()


async def look(
    subject: Subject, port: int, token: str, count: int, seconds: float, alone: float
) -> Round:
    """One number of viewers; `alone` is the share of a core that the monitor takes without any."""
    stalled = int(count > 1)
    seen = Seen()
    viewers = Viewers(port, token, count - stalled, bool(stalled)) if count else None
    try:
        if viewers is not None:
            await viewers.said()
        await asyncio.sleep(WARM_S)
        if viewers is not None:
            viewers.go_on()
            await viewers.said()
        begin = subject.instant()
        await asyncio.sleep(seconds)
        end = subject.instant()
        memory_bytes = subject.memory_bytes()
        if viewers is not None:
            viewers.go_on()
            seen = msgspec.json.decode(await viewers.said(), type=Seen)
    finally:
        if viewers is not None:
            viewers.end()
    share = (end.cpu_s - begin.cpu_s) / (end.wall_s - begin.wall_s)
    delays_ms = seen.delays_ms or [0.0]
    return Round(
        viewers=count,
        stalled=stalled,
        cpu_share=share,
        viewer_share=(share - alone) / count if count else 0.0,
        memory_bytes=memory_bytes,
        delay_p50_ms=percentile(delays_ms, 0.5),
        delay_p99_ms=percentile(delays_ms, 0.99),
        delay_max_ms=max(delays_ms),
        viewer_bytes_s=seen.bytes / seen.seconds / (count - stalled) if count else 0.0,
        snapshot_bytes=seen.snapshot_bytes,
    )


async def measure(
    pumps: int, counts: list[int], seconds: float, broker_kind: str, *, in_browser: bool = False
) -> Result:
    """One run."""
    rate_s = pumps / INTERVAL_S
    looks = len(counts) + 1 + len(browser.VIEWS) * in_browser
    whole_s = looks * (seconds + WARM_S + START_S) + START_S
    painted: list[browser.Painted] = []
    story = tell(pumps, whole_s)
    sample = last_of(Kind.TELEMETRY, story.then)
    with tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name:
        folder, port = Path(name), free_port()
        with make_broker(broker_kind, folder) as broker:
            subject = Subject(broker, folder, INSTANCE, "--web", f"127.0.0.1:{port}")
            token = await make_token(subject.store)
            async with onlooker(broker) as seeing, open_link(link_to(broker, "source")) as link:
                await link.connected(TIMEOUT_S)
                with subject:
                    await seeing.connected(INSTANCE)
                    await settle(link, seeing, story.first, sample)
                    playing = asyncio.create_task(play(link, story.then, rate_s))
                    weight = await asyncio.to_thread(
                        weigh, f"http://127.0.0.1:{port}", first_load()
                    )
                    rounds = await _rounds(subject, port, token, counts, seconds)
                    if in_browser:
                        painted = await browser.look(
                            port, token, NAME, PASSWORD, seconds, WARM_S, link, sample
                        )
                    playing.cancel()
                    await asyncio.gather(playing, return_exceptions=True)
                    await asyncio.to_thread(subject.stop)
    return Result(pumps=pumps, rate_s=rate_s, weight=weight, rounds=rounds, painted=painted)


async def _rounds(
    subject: Subject, port: int, token: str, counts: list[int], seconds: float
) -> list[Round]:
    rounds: list[Round] = []
    alone = 0.0
    for count in (0, *counts):
        rounds.append(await look(subject, port, token, count, seconds, alone))
        alone = rounds[0].cpu_share
    return rounds


def report(result: Result) -> None:
    """Say the result."""
    weight = result.weight
    print(f"{result.pumps:,} pumps, {result.rate_s:.0f} changes/s")
    print(
        f"first load: {weight.files} files, {weight.packed_bytes / 1e3:.1f} KB on the wire"
        f" ({weight.plain_bytes / 1e3:.1f} KB plain)"
    )
    for each in result.rounds:
        print(
            f"{each.viewers:4} viewers: monitor {each.cpu_share:.1%} of a core,"
            f" {each.memory_bytes / 1e6:.0f} MB"
        )
        if each.viewers:
            print(
                f"      a viewer: {each.viewer_share:.3%} of a core,"
                f" {each.viewer_bytes_s / 1e3:.1f} KB/s after {each.snapshot_bytes / 1e3:.0f} KB;"
                f" delay ms p50 {each.delay_p50_ms:.0f}, p99 {each.delay_p99_ms:.0f},"
                f" worst {each.delay_max_ms:.0f}"
            )

    for view in result.painted:
        print(
            f"browser at {view.view}: change to paint ms p50 {view.paint_p50_ms:.0f},"
            f" p99 {view.paint_p99_ms:.0f} of {view.changes:,}; alert to event p50"
            f" {view.event_p50_ms:.0f}, p99 {view.event_p99_ms:.0f}, to paint p50"
            f" {view.alert_paint_p50_ms:.0f}, p99 {view.alert_paint_p99_ms:.0f} of {view.alerts};"
            f" tab {view.tab_share:.0%} of a core, whole browser {view.browser_share:.0%}"
        )


@click.command("page")
@click.option("--pumps", type=click.IntRange(min=2), default=500)
@click.option("--viewers", "counts", type=int, multiple=True, default=(1, 50, 200))
@click.option("--for", "seconds", type=click.FloatRange(min=0.5), default=20.0)
@click.option("--broker", type=click.Choice(["mosquitto", "embedded"]), default="mosquitto")
@click.option("--browser", "in_browser", is_flag=True, help="look with a Chromium too")
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(
    *,
    pumps: int,
    counts: tuple[int, ...],
    seconds: float,
    broker: str,
    in_browser: bool,
    file: Path | None,
) -> None:
    """Processor time, memory, delay and weight of the page."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(measure(pumps, list(counts), seconds, broker, in_browser=in_browser))
    report(result)
    save(file, result)
    sys.exit(0)


if __name__ == "__main__":
    command()

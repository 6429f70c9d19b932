"""`dripwatch replay`: publishes a recording again, the same bytes in the same sessions.

Every value goes out at its recorded time, counted from the first that is played and scaled by the
speed. Where the play begins in the middle, the sessions that were open then connect first, with
their wills, their presence and the orders as they stood.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import click
import structlog
from msgspec import Meta, Struct, structs
from msgspec.structs import replace

from host.process import (
    EXIT_OK,
    LogLevel,
    configure_logs,
    load_settings,
    read_text,
    report,
    run,
    until_signal,
)
from infusion.errors import ConfigError, DripwatchError
from infusion.messages import Kind
from infusion.settings import Resolved
from link import LinkSettings
from link.address import DEFAULT_URL, LinkOptions, link_settings
from simulator.fleet import EHR_SESSION
from simulator.publisher import Publisher
from simulator.recording import Recording, read_recording
from simulator.service import REACH_S, STOP_S
from simulator.sessions import PublisherCounters
from simulator.story.reading import parse_offset
from simulator.stream import Connect, Disconnect, Outgoing, Output

DEFAULT_FILE = "replay.toml"
# How many values are published before others get their turn.
BURST = 1_000

log = structlog.get_logger()


class ReplaySettings(Struct, frozen=True, kw_only=True):
    """How the sessions of a replay are made; a longer explanation is in config/replay.toml."""

    connect_rate_s: Annotated[float, Meta(gt=0, le=100_000)] = 500.0
    client_prefix: Annotated[str, Meta(max_length=64)] = "dripwatch-"


class ReplayProcess(Struct, frozen=True, kw_only=True):
    """All settings of `dripwatch replay`."""

    broker: str = DEFAULT_URL
    mqtt: Literal["5", "3.1.1"] = "5"
    speed: Annotated[float, Meta(ge=1, le=1_000)] = 1.0
    log_level: LogLevel = "info"
    link: LinkOptions = LinkOptions()
    replay: ReplaySettings = ReplaySettings()


class Standing(Struct):
    """What stands at one instant of a recording: orders, open sessions, their presence."""

    orders: dict[str, Outgoing] = {}
    sessions: dict[str, Connect] = {}
    presences: dict[str, Outgoing] = {}

    def note(self, output: Output) -> None:
        """Take one value, in order."""
        if isinstance(output, Connect):
            self.sessions[output.session] = output
        elif isinstance(output, Disconnect):
            self.sessions.pop(output.session, None)
            self.presences.pop(output.session, None)
        elif output.kind is Kind.ORDER:
            self.orders[output.topic] = output
        elif output.kind is Kind.PRESENCE:
            self.presences[output.session] = output

    def outputs(self, at_ms: int) -> Iterator[Output]:
        """What brings a broker to this state."""
        for session, connect in self.sessions.items():
            yield replace(connect, time_ms=at_ms)
            if session == EHR_SESSION:
                for order in self.orders.values():
                    yield replace(order, time_ms=at_ms)
            if session in self.presences:
                yield replace(self.presences[session], time_ms=at_ms)

    def goodbyes(self, at_ms: int) -> list[Output]:
        """The end of every session that is open, without a goodbye that nobody recorded."""
        return [Disconnect(session, at_ms, clean=False) for session in self.sessions]


class Replay:
    """Plays one recording on one broker until its end, or until it is told to stop."""

    def __init__(
        self,
        recording: Recording,
        link: LinkSettings,
        settings: ReplaySettings,
        *,
        speed: float = 1.0,
        from_ms: int = 0,
    ) -> None:
        """`from_ms` counts from the recording's start; what came before is passed over."""
        self.standing = Standing()
        self.published = 0
        self._recording = recording
        self._begin_ms = recording.header.start_ms + from_ms
        self._speed = speed
        self._stop = asyncio.Event()
        self.publisher = Publisher(
            link,
            orders=lambda: list(self.standing.orders.values()),
            client_prefix=settings.client_prefix,
            connect_rate_s=settings.connect_rate_s,
        )

    @property
    def counters(self) -> PublisherCounters:
        """What the publisher has done."""
        return self.publisher.counters

    def stop(self) -> None:
        """Ask `run` to come to its end; safe to call twice and from a signal handler."""
        self._stop.set()

    async def run(self, *, for_s: float | None = None) -> None:
        """Play. Raises LinkError for the broker, and ConfigError for the file."""
        goodbye_s = 0.0
        outputs = self._outputs()
        try:
            # The first values tell whether the broker is there, before the clock starts.
            first = next(outputs, None)
            if first is None:
                raise ConfigError(f"recording {self._recording.path}: nothing comes so late in it")
            self._say(first)
            await self._reach(first)
            await self._play(outputs, for_s)
            self.publisher.submit(self.standing.goodbyes(self._begin_ms))
            goodbye_s = STOP_S
        finally:
            self._recording.close()
            await self.publisher.close(goodbye_s)

    async def _reach(self, first: Output) -> None:
        if first.session == EHR_SESSION:
            await self.publisher.reach(REACH_S)

    async def _play(self, outputs: Iterator[Output], for_s: float | None) -> None:
        began_s = time.monotonic()
        for number, output in enumerate(outputs, start=1):
            due_s = (output.time_ms - self._begin_ms) / 1000 / self._speed
            if for_s is not None and due_s > for_s:
                await self._wait_until(began_s + for_s)
                return
            if number % BURST == 0 or due_s > time.monotonic() - began_s:
                await self._wait_until(began_s + due_s)
            if self._stop.is_set():
                return
            self._say(output)

    async def _wait_until(self, at_s: float) -> None:
        """Sleep, at least for one turn of the loop, or until somebody asks to stop."""
        try:
            async with asyncio.timeout(max(0.0, at_s - time.monotonic())):
                await self._stop.wait()
        except TimeoutError:
            return

    def _say(self, output: Output) -> None:
        self.standing.note(output)
        self.published += isinstance(output, Outgoing)
        self.publisher.submit((output,))

    def _outputs(self) -> Iterator[Output]:
        """What is to be published: how things stood at the beginning, then all that follows."""
        before = Standing()
        has_begun = False
        for output in self._recording:
            if not has_begun and output.time_ms < self._begin_ms:
                before.note(output)
                continue
            if not has_begun:
                has_begun = True
                yield from before.outputs(self._begin_ms)
            yield output


def settings(file: Path | None, **flags: object) -> Resolved[ReplayProcess]:
    """The settings of `dripwatch replay`. Raises ConfigError."""
    return load_settings(ReplayProcess, default_file=DEFAULT_FILE, file=file, flags=flags)


@click.command("replay")
@click.argument("file", metavar="FILE")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/replay.toml)")
@click.option("--broker", metavar="URL", help=f"mqtt://[user@]host[:port] ({DEFAULT_URL})")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
@click.option("--speed", metavar="X", help="how fast the recorded time runs, 1 to 1000 (1)")
@click.option("--from", "begin", metavar="HH:MM:SS", default="00:00", help="where to begin (00:00)")
@click.option("--for", "for_s", type=click.FloatRange(min=0), metavar="SECONDS", help="then stop")
@click.option("--info", is_flag=True, help="tell what is in the file, and publish nothing")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error (info)")
def command(
    *,
    file: str,
    config: Path | None,
    begin: str,
    for_s: float | None,
    info: bool,
    **flags: str | None,
) -> None:
    """Publish a recording again: the same bytes, in the same sessions, at the same times.

    FILE comes from --record. For testing and training; not a medical device.
    """
    try:
        process = settings(config, **flags).value
        recording = read_recording(file)
        if info:
            click.echo(describe_recording(recording), nl=False)
            sys.exit(EXIT_OK)
        link = link_settings(process.broker, process.mqtt, process.link, read_text)
        replay = Replay(
            recording, link, process.replay, speed=process.speed, from_ms=_offset_ms(begin)
        )
    except DripwatchError as error:
        sys.exit(report(error))
    configure_logs(process.log_level)
    log.info("replay starts", file=file, broker=link.address, speed=process.speed)
    sys.exit(run(_serve(replay, recording, for_s)))


def _offset_ms(text: str) -> int:
    try:
        return parse_offset(text).ms
    except ValueError as error:
        raise ConfigError(f"flag --from: {error}") from None


async def _serve(replay: Replay, recording: Recording, for_s: float | None) -> int:
    await until_signal(replay.run(for_s=for_s), replay.stop)
    if recording.cut_line is not None:
        log.warning("the recording was cut off", file=recording.path, line=recording.cut_line)
    log.info("replay ended", published=replay.published, **structs.asdict(replay.counters))
    return EXIT_OK


def describe_recording(recording: Recording) -> str:
    """Header and counts, one to a line. Reads the file to its end; raises ConfigError."""
    kinds: Counter[str] = Counter()
    sessions: set[str] = set()
    last_ms = recording.header.start_ms
    for output in recording:
        sessions.add(output.session)
        last_ms = output.time_ms
        kinds[output.kind.value if isinstance(output, Outgoing) else type(output).__name__] += 1
    lines = [f"{key} = {value}" for key, value in structs.asdict(recording.header).items()]
    lines += [f"length_s = {(last_ms - recording.header.start_ms) / 1000:g}"]
    lines += [f"sessions = {len(sessions)}"]
    lines += [f"{kind.lower()} = {count}" for kind, count in sorted(kinds.items())]
    is_whole = recording.cut_line is None
    lines += ["whole = yes" if is_whole else f"whole = no: cut off at line {recording.cut_line}"]
    return "\n".join(lines) + "\n"

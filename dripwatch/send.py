"""`dripwatch send`: orders, results, reports and acts from files to a broker.

Every file is read and checked whole before the first message leaves, so a file with a mistake in
it changes nothing. The messages go out in the order of the files, at QoS 1, and the command waits
until the broker has taken each of them.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import structs
from rich.console import Console

from dripwatch.send_file import Letter, count_text, read_letters
from dripwatch.tasks import end, first
from dripwatch.view import NOTICE
from dripwatch.watch import CONNECT_TIMEOUT_S, broker_link, say_line, until_cancelled, watch
from host.process import EXIT_OK, report, run
from infusion.errors import ConfigError, DripwatchError, LinkError
from infusion.messages import CONTENT_TYPE, USER_PROPERTIES
from link import LinkSettings, open_link
from link.address import DEFAULT_URL

# How long a broker may take to acknowledge what was sent last.
ANSWER_TIMEOUT_S = 30.0


def read_files(names: Sequence[str], now_ms: int) -> list[Letter]:
    """The messages of several files, `-` being standard input. Raises ConfigError."""
    letters: list[Letter] = []
    for name in names:
        try:
            data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise ConfigError(f"{name}: {error.strerror}; give a file, or - for stdin") from None
        letters += read_letters(data, "standard input" if name == "-" else name, now_ms)
    return letters


async def send(settings: LinkSettings, letters: Sequence[Letter]) -> None:
    """Publish messages in order, and wait until the broker has taken them all.

    Raises LinkError, naming the first that was refused and how many were.
    """
    async with open_link(structs.replace(settings, client_id="")) as link:
        await link.connected(CONNECT_TIMEOUT_S)
        answers: list[tuple[Letter, asyncio.Future[None]]] = []
        for letter in letters:
            await link.room()
            answer = link.publish(
                str(letter.topic),
                letter.payload,
                content_type=CONTENT_TYPE,
                user_properties=USER_PROPERTIES,
            )
            answers.append((letter, answer))
        await link.drain(ANSWER_TIMEOUT_S)
    refused = [(letter, error) for letter, answer in answers if (error := answer.exception())]
    if refused:
        letter, error = refused[0]
        raise LinkError(f"{len(refused)} of {len(letters)} refused; {letter.place}: {error}")


@click.command("send", epilog=NOTICE)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/monitor.toml)")
@click.option("--broker", metavar="URL", help=f"mqtt://[user@]host[:port] ({DEFAULT_URL})")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
@click.option("--dry-run", is_flag=True, help="only check the files; no broker is needed")
@click.option("--watch", "then_watch", is_flag=True, help="then show the alert stream")
@click.option(
    "--for", "for_s", type=click.FloatRange(min=0), metavar="SECONDS", help="watch so long"
)
def command(
    *,
    files: tuple[str, ...],
    config: Path | None,
    dry_run: bool,
    then_watch: bool,
    for_s: float | None,
    **flags: str | None,
) -> None:
    """Publish orders, laboratory results, reports and acts from files.

    A FILE is JSON Lines, a JSON list, or TOML; - is standard input. Nothing is sent unless all of
    it is well. Examples are in config/examples.
    """
    if for_s is not None and not then_watch:
        raise click.UsageError("--for belongs to --watch")
    try:
        letters = read_files(files, time.time_ns() // 1_000_000)
        if dry_run:
            click.echo(f"all is well: {count_text(letters)}; nothing was sent")
            sys.exit(EXIT_OK)
        link = broker_link(config, **flags)
    except DripwatchError as error:
        sys.exit(report(error))
    work = _send_and_watch(link, letters, for_s) if then_watch else _send(link, letters)
    sys.exit(run(work))


async def _send(link: LinkSettings, letters: Sequence[Letter]) -> int:
    await send(link, letters)
    click.echo(f"sent to {link.address}: {count_text(letters)}")
    return EXIT_OK


async def _send_and_watch(
    link: LinkSettings, letters: Sequence[Letter], for_s: float | None
) -> int:
    """Listen first, so that nothing is missed of what the messages lead to."""
    ready = asyncio.Event()
    watching = asyncio.create_task(
        watch(link, say_line(Console()), for_s=for_s, with_open=False, on_ready=ready.set),
        name="watch",
    )
    try:
        await first(ready.wait(), watching)
        await _send(link, letters)
        await until_cancelled(watching)
    finally:
        await end(watching)
    return EXIT_OK

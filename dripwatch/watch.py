"""The alert stream of any broker, for people or, as JSON, for programs: one line for each change of
an alert, and for each thing that somebody did about one.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import click
from msgspec import structs
from rich.console import Console

import monitor.process
from dripwatch.view import NOTICE, audit_line, told_whole
from host.process import EXIT_OK, read_text, report, run, until_signal
from infusion.errors import DripwatchError, LinkError, MessageError
from infusion.messages import (
    AlertChange,
    Audit,
    Kind,
    OpenAlerts,
    decode,
    encode,
    parse_topic,
    subscription,
)
from link import Link, LinkSettings, Message, Subscription, open_link
from link.address import DEFAULT_URL, link_settings

CONNECT_TIMEOUT_S = 10.0
# What is known when it is repeated; a monitor repeats only what it said just before it died.
KNOWN_MAX = 100_000

Said = AlertChange | Audit


class Watch:
    """Listens to the alert log and to what became of acts, and first to the retained lists of what
    is open already.

    Each thing is given once, although a monitor that was killed says its last ones again.
    """

    def __init__(self, link: LinkSettings, *, site: str = "+", with_open: bool = True) -> None:
        kinds = (*((Kind.ALERTS,) if with_open else ()), Kind.ALERT_LOG, Kind.AUDIT)
        self._subscriptions = [Subscription(subscription(kind, site=site)) for kind in kinds]
        self._settings = structs.replace(link, client_id="")
        self._known: dict[tuple[str, int], None] = {}
        # Messages that contract v1 does not allow; they are passed over.
        self.refused = 0
        # Whether the broker was there when listening ended.
        self.heard_to_the_end = False

    async def said(
        self,
        on_ready: Callable[[], object] | None = None,
        *,
        connect_s: float = CONNECT_TIMEOUT_S,
    ) -> AsyncIterator[Said]:
        """All that is said from now on; an alert that is open already comes as `raised` first.

        `on_ready` is called once the broker has taken the subscription, which it has so many
        seconds for. Raises LinkError.
        """
        async with open_link(self._settings, subscriptions=self._subscriptions) as link:
            await link.subscribed(connect_s)
            if on_ready is not None:
                on_ready()
            try:
                async for said in self._said(link):
                    yield said
            finally:
                self.heard_to_the_end = link.is_connected

    async def _said(self, link: Link) -> AsyncIterator[Said]:
        while True:
            batch = await link.receive()
            for message in batch:
                for said in self._read(message):
                    if self._is_new(said):
                        yield said
            link.acknowledge(batch)

    def _read(self, message: Message) -> Sequence[Said]:
        try:
            content = decode(parse_topic(message.topic), message.payload)
        except MessageError:
            self.refused += 1
            return []
        if isinstance(content, AlertChange | Audit):
            return [content]
        if isinstance(content, OpenAlerts) and message.retain:
            return [
                AlertChange(change="raised", list_version=content.version, alert=alert)
                for alert in content.alerts
            ]
        return []

    def _is_new(self, said: Said) -> bool:
        key = _identity(said)
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return True


def _identity(said: Said) -> tuple[str, int]:
    if isinstance(said, AlertChange):
        return said.alert.id, said.alert.version
    return f"{said.site}/{said.pump}/{said.act.act}", said.at_ms


async def watch(
    link: LinkSettings,
    say: Callable[[Said], object],
    *,
    site: str = "+",
    for_s: float | None = None,
    with_open: bool = True,
    on_ready: Callable[[], object] | None = None,
    connect_s: float = CONNECT_TIMEOUT_S,
) -> None:
    """Say all that is said until cancelled, or for some seconds once the broker listens.

    Raises LinkError where the broker cannot be reached, and where those seconds end without it:
    nobody may take silence for quiet.
    """
    stream = Watch(link, site=site, with_open=with_open)
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:

            def begin() -> None:
                if for_s is not None:
                    limit.reschedule(asyncio.get_running_loop().time() + for_s)
                if on_ready is not None:
                    on_ready()

            async for said in stream.said(begin, connect_s=connect_s):
                say(said)
    if for_s is not None and not stream.heard_to_the_end:
        raise LinkError(f"the broker {link.address} was lost and did not come back in {for_s:g} s")


@click.command("watch", epilog=NOTICE)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/monitor.toml)")
@click.option("--broker", metavar="URL", help=f"mqtt://[user@]host[:port] ({DEFAULT_URL})")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
@click.option("--site", metavar="NAME", default="+", help="only this site (all)")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line, as on the wire")
@click.option("--for", "for_s", type=click.FloatRange(min=0), metavar="SECONDS", help="then stop")
def command(
    *, config: Path | None, site: str, as_json: bool, for_s: float | None, **flags: str | None
) -> None:
    """The alert stream of a broker, one change or act a line: what is open, then what comes."""
    try:
        link = broker_link(config, **flags)
    except DripwatchError as error:
        sys.exit(report(error))
    say = say_json if as_json else say_line(Console())
    sys.exit(run(watch_until_signal(link, say, site, for_s)))


def broker_link(config: Path | None, **flags: str | None) -> LinkSettings:
    """The broker that config/monitor.toml, or these flags, name. Raises ConfigError."""
    process = monitor.process.settings(config, **flags).value
    return link_settings(process.broker, process.mqtt, process.link, read_text)


async def watch_until_signal(
    link: LinkSettings,
    say: Callable[[Said], object],
    site: str,
    for_s: float | None,
    connect_s: float = CONNECT_TIMEOUT_S,
) -> int:
    """The whole command, but for its flags: its exit code. Raises LinkError as `watch` does."""
    watching = watch(link, say, site=site, for_s=for_s, connect_s=connect_s)
    await until_cancelled(asyncio.create_task(watching))
    return EXIT_OK


async def until_cancelled(task: asyncio.Task[None]) -> None:
    """Await a task that a signal cancels, which is how a watch ends."""
    try:
        await until_signal(task, lambda: _cancel(task))
    except asyncio.CancelledError:
        if not task.cancelled():
            raise


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def say_json(said: Said) -> None:
    """Something as it was on the wire."""
    click.echo(encode(said))


def say_line(console: Console) -> Callable[[Said], None]:
    """Lines for people; times of day, because there is no start to count from."""

    def say(said: Said) -> None:
        if isinstance(said, AlertChange):
            console.print(told_whole(said, None))
        else:
            console.print(audit_line(said, None))

    return say

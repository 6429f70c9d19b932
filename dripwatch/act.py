"""`dripwatch act`: what a person does about an alert, from the command line.

The command reads the list of open alerts that the broker keeps of that pump, fills in the version
it finds there, publishes the act, and waits for what the monitor made of it. Of two people who take
the same alert at once, one is told that it is theirs, and the other who was first.
"""

import asyncio
import re
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, get_args

import click
import msgspec
from msgspec import Struct, structs

from dripwatch.view import NOTICE
from dripwatch.watch import CONNECT_TIMEOUT_S, broker_link
from host.process import EXIT_FAILED, EXIT_OK, report, run
from infusion.alert import What
from infusion.errors import ConfigError, DripwatchError, LinkError, MessageError
from infusion.messages import (
    CONTENT_TYPE,
    USER_PROPERTIES,
    Act,
    Audit,
    Kind,
    OpenAlerts,
    Topic,
    decode,
    encode,
    parse_topic,
)
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND
from link import Link, LinkSettings, Message, Subscription, open_link
from link.address import DEFAULT_URL

T = TypeVar("T")

# A retained list comes at once; a broker on the other side of the world takes a moment.
LIST_TIMEOUT_S = 5.0
# How long a monitor may take to answer. It commits before it says anything.
ANSWER_TIMEOUT_S = 10.0
# site, pump, rule, onset
ID_PARTS = 4
WORDS: tuple[str, ...] = get_args(What)
_LENGTH = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h)")
_UNITS_MS = {"s": MS_PER_SECOND, "m": MS_PER_MINUTE, "min": MS_PER_MINUTE, "h": MS_PER_HOUR}


class Request(Struct, frozen=True, kw_only=True):
    """What was asked for: `place` is the alert's id or its beginning, from site and pump on.

    `version` None is the one in the open list; with a version the id must be whole. `length_ms`
    counts from now.
    """

    what: str
    place: tuple[str, ...]
    by: str
    role: str | None = None
    to: str | None = None
    text: str = ""
    length_ms: int | None = None
    version: int | None = None


class NotOpen(Struct, frozen=True):
    """Nothing that is open is meant, or more than one thing is; the text says what is open."""

    text: str


async def perform(settings: LinkSettings, request: Request, now_ms: int) -> Audit | NotOpen:
    """Publish an act, and what the monitor made of it; nothing is published for `NotOpen`.

    Raises ConfigError for an act that contract v1 does not allow, and LinkError when the broker
    cannot be reached or no monitor answers.
    """
    site, pump = request.place[:2]
    topics = [str(Topic(kind, site, pump)) for kind in (Kind.ALERTS, Kind.AUDIT)]
    subscriptions = [Subscription(topic) for topic in topics]
    anonymous = structs.replace(settings, client_id="")
    async with open_link(anonymous, subscriptions=subscriptions) as link:
        await link.connected(CONNECT_TIMEOUT_S)
        alert, version = "/".join(request.place), request.version
        if version is None:
            found = await _find(link, request.place)
            if isinstance(found, NotOpen):
                return found
            alert, version = found
        act = _act(request, alert, version, now_ms)
        link.publish(
            str(Topic(Kind.ACT, site, pump)),
            encode(act),
            content_type=CONTENT_TYPE,
            user_properties=USER_PROPERTIES,
        )

        def answer(message: Message) -> Audit | None:
            content = decode(parse_topic(message.topic), message.payload)
            return content if isinstance(content, Audit) and content.act.act == act.act else None

        audit = await _hear(link, answer, ANSWER_TIMEOUT_S)
    if audit is None:
        raise LinkError(
            f"no monitor answered within {ANSWER_TIMEOUT_S:g} s; a monitor that was here before"
            " may still do it when it comes back"
        )
    return audit


async def _find(link: Link, place: Sequence[str]) -> tuple[str, int] | NotOpen:
    """Id and version of the one open alert that is meant."""
    name = "/".join(place[:2])

    def listed(message: Message) -> OpenAlerts | None:
        content = decode(parse_topic(message.topic), message.payload)
        return content if isinstance(content, OpenAlerts) else None

    open_ = await _hear(link, listed, LIST_TIMEOUT_S)
    if open_ is None:
        return NotOpen(f"no monitor has ever told of an alert of {name}")
    alerts = (*open_.alerts, *open_.unseen)
    meant = [alert for alert in alerts if tuple(alert.id.split("/"))[: len(place)] == tuple(place)]
    if len(meant) == 1:
        return meant[0].id, meant[0].version
    if not alerts:
        return NotOpen(f"{name} has no open alert")
    what = "is not open" if not meant else f"may be one of {len(meant)}"
    ids = "".join(f"\n  {alert.id}  {alert.title}" for alert in meant or alerts)
    return NotOpen(f"{'/'.join(place)} {what}; open there:{ids}")


def _act(request: Request, alert: str, version: int, now_ms: int) -> Act:
    fields = {
        "act": f"cli-{uuid.uuid4().hex}",
        "pump": request.place[1],
        "alert": alert,
        "version": version,
        "what": request.what,
        "by": request.by,
        "role": request.role,
        "time_ms": now_ms,
        "until_ms": now_ms + request.length_ms if request.length_ms is not None else None,
        "to": request.to,
        "text": request.text,
    }
    try:
        return msgspec.convert(fields, Act)
    except msgspec.ValidationError as error:
        raise ConfigError(f"act: {error}") from None


async def _hear(link: Link, look: Callable[[Message], T | None], timeout_s: float) -> T | None:
    """The first message in which `look` finds something; None when none comes in time."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                batch = await link.receive()
                link.acknowledge(batch)
                for message in batch:
                    if (found := _looked(look, message)) is not None:
                        return found
    except TimeoutError:
        return None


def _looked(look: Callable[[Message], T | None], message: Message) -> T | None:
    try:
        return look(message)
    except MessageError:
        # Somebody else's nonsense on these topics is no answer.
        return None


def length_ms(text: str) -> int:
    """A length of time such as 90s, 30m, 1.5h. Raises ConfigError."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"flag --for: {text!r} is no length of time; write 90s, 30m or 2h")
    return round(float(match[1]) * _UNITS_MS[match[2]])


def place_of(text: str) -> tuple[str, ...]:
    """The parts of an alert's id, or of its beginning. Raises ConfigError."""
    place = tuple(text.split("/"))
    if not 2 <= len(place) <= ID_PARTS:
        raise ConfigError(f"alert {text!r}: write site/pump, site/pump/rule, or the whole id")
    try:
        parse_topic(str(Topic(Kind.ACT, *place[:2])))
    except MessageError as error:
        raise ConfigError(f"alert {text!r}: {error}") from None
    return place


@click.command("act", epilog=NOTICE)
@click.argument("what", type=click.Choice(WORDS), metavar="WHAT")
@click.argument("alert", metavar="ALERT")
@click.option("--by", required=True, metavar="WHO", help="who does it")
@click.option("--role", metavar="ROLE", help="in which role, such as nurse or pharmacist")
@click.option("--for", "length", metavar="LENGTH", help="for how long: 90s, 30m, 2h")
@click.option("--to", metavar="WHO", help="whom it is handed on to")
@click.option("--text", metavar="TEXT", default="", help="what a note says, or why")
@click.option("--version", type=click.IntRange(min=1), help="the version that you saw (the newest)")
@click.option("--json", "as_json", is_flag=True, help="the monitor's answer as on the wire")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/monitor.toml)")
@click.option("--broker", metavar="URL", help=f"mqtt://[user@]host[:port] ({DEFAULT_URL})")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
def command(
    *,
    what: str,
    alert: str,
    by: str,
    role: str | None,
    length: str | None,
    to: str | None,
    text: str,
    version: int | None,
    as_json: bool,
    config: Path | None,
    **flags: str | None,
) -> None:
    """Do something about an open alert: take it, hand it on, acknowledge it, snooze it, …

    WHAT is one of take, hand-on, release, decline, acknowledge, audio-pause, audio-resume, snooze,
    wake, note. ALERT is its id, or as much of it as names one: home/P-03, or
    home/P-03/downstream-occlusion.

    Exits with 1 when somebody else was first, or it cannot be done; the sentence says why.
    """
    try:
        place = place_of(alert)
        if version is not None and len(place) != ID_PARTS:
            raise ConfigError(f"flag --version: {alert!r} is not a whole id; leave --version out")
        request = Request(
            what=what,
            place=place,
            by=by,
            role=role,
            to=to,
            text=text,
            length_ms=length_ms(length) if length is not None else None,
            version=version,
        )
        link = broker_link(config, **flags)
    except DripwatchError as error:
        sys.exit(report(error))
    sys.exit(run(_perform(link, request, as_json=as_json)))


async def _perform(link: LinkSettings, request: Request, *, as_json: bool) -> int:
    audit = await perform(link, request, time.time_ns() // 1_000_000)
    if isinstance(audit, NotOpen):
        click.echo(f"dripwatch: {audit.text}", err=True)
        return EXIT_FAILED
    click.echo(encode(audit) if as_json else audit.sentence)
    return EXIT_OK if audit.outcome == "done" else EXIT_FAILED

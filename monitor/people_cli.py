"""`dripwatch user`: who may sign in at the page of a monitor, and programs' tokens.

It works on the monitor's file, whether a monitor runs on it or not; what is changed holds from the
next request on. Who does it is written down as `cli`, with the name of the account on the machine.
"""

import getpass
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

import monitor.process
from host.process import EXIT_OK, report
from infusion.errors import ConfigError, DripwatchError, StoreError
from monitor.people import ALL_RIGHTS, ALL_ROLES, TOKEN_DAYS, read_name, read_roles
from monitor.people_file import PeopleFile
from monitor.people_store import Passwords

T = TypeVar("T")

PASSWORD_LINE_MAX = 4_096


@click.group("user")
def group() -> None:
    """Who may sign in at the page of a monitor, and tokens for programs."""


_store = click.option(
    "--store", metavar="FILE", help="SQLite file with the monitor's state (as config/monitor.toml)"
)
_roles = click.option(
    "--role", "roles", multiple=True, metavar="ROLE", help=f"{', '.join(ALL_ROLES)}; repeatable"
)
_stdin = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="read the password from standard input"
)


@group.command()
@click.argument("name")
@_roles
@_stdin
@_store
def add(*, name: str, roles: tuple[str, ...], from_stdin: bool, store: str | None) -> None:
    """Add a user NAME with one or more roles; asks for the password."""

    def work(people: PeopleFile) -> str:
        read_name(name)
        allowed = read_roles(roles)
        if people.user(name) is not None:
            raise ConfigError(f"there is a user {name!r} already; give another name")
        people.add(name, allowed, _new_hash(name, from_stdin), _by())
        return f"{name} may sign in, as {', '.join(r for r in ALL_ROLES if r in allowed)}"

    _run(store, work, is_first=True)


@group.command("list")
@_store
def list_users(*, store: str | None) -> None:
    """All users: name, roles, since when, last signed in, whether disabled; and their tokens."""

    def work(people: PeopleFile) -> str:
        lines = []
        for user in people.users():
            seen = _date(user.signed_in_ms) if user.signed_in_ms is not None else "never"
            state = f"disabled {_date(user.disabled_ms)}" if user.disabled_ms is not None else ""
            lines.append(
                f"{user.name:<20} {' '.join(user.roles):<24} added {_date(user.created_ms)}"
                f"  signed in {seen}  {user.origin} {state}".rstrip()
            )
            for token in people.tokens(user.name):
                used = _date(token.used_ms) if token.used_ms is not None else "never"
                lines.append(
                    f"    token {token.id}  {' '.join(token.scopes)}"
                    f"  until {_date(token.expires_ms)}  used {used}  {token.note}".rstrip()
                )
        return "\n".join(lines) or "no users; add one with `dripwatch user add NAME --role nurse`"

    _run(store, work)


@group.command()
@click.argument("name")
@_store
def disable(*, name: str, store: str | None) -> None:
    """Disable a user NAME, whose sessions and tokens end at once."""

    def work(people: PeopleFile) -> str:
        user = people.set_disabled(name, True, _by())
        return f"{user.name} is disabled; all sessions and tokens have ended"

    _run(store, work)


@group.command()
@click.argument("name")
@_store
def enable(*, name: str, store: str | None) -> None:
    """Enable a user NAME again; tokens are to be issued anew."""

    def work(people: PeopleFile) -> str:
        return f"{people.set_disabled(name, False, _by()).name} may sign in again"

    _run(store, work)


@group.command()
@click.argument("name")
@_roles
@_store
def roles(*, name: str, roles: tuple[str, ...], store: str | None) -> None:
    """Give a user NAME other roles, instead of all they had."""

    def work(people: PeopleFile) -> str:
        user = people.set_roles(name, read_roles(roles), _by())
        return f"{user.name} is {', '.join(user.roles)} from now on"

    _run(store, work)


@group.command()
@click.argument("name")
@_stdin
@_store
def password(*, name: str, from_stdin: bool, store: str | None) -> None:
    """Set the password of a user NAME; all sessions end."""

    def work(people: PeopleFile) -> str:
        user = people.user(name)
        if user is None:
            raise ConfigError(f"there is no user {name!r}; `dripwatch user list` shows all")
        if user.origin:
            raise ConfigError(f"{user.name} signs in at {user.origin}, and has no password here")
        people.set_password(user.name, _new_hash(user.name, from_stdin), _by())
        return f"{user.name} has a new password; all sessions have ended"

    _run(store, work)


@group.command()
@click.argument("name", required=False)
@click.option(
    "--scope", "scopes", multiple=True, metavar="RIGHT", help=f"{', '.join(ALL_RIGHTS)}; repeatable"
)
@click.option("--days", type=int, default=TOKEN_DAYS, show_default=True, help="until it expires")
@click.option("--note", default="", metavar="TEXT", help="what it is for")
@click.option("--revoke", metavar="ID", help="end a token; its id is between the two _")
@_store
def token(
    *,
    name: str | None,
    scopes: tuple[str, ...],
    days: int,
    note: str,
    revoke: str | None,
    store: str | None,
) -> None:
    """Issue a token for a user NAME, which is shown this once; or end one with --revoke ID.

    A program sends it as `Authorization: Bearer TOKEN`. It may never do more than its owner.
    """

    def work(people: PeopleFile) -> str:
        if revoke is not None:
            if name is not None or scopes:
                raise ConfigError("--revoke ID ends a token by its id; leave NAME and --scope out")
            people.revoke(revoke, _by())
            return f"the token {revoke} has ended"
        if name is None:
            raise ConfigError("give the NAME of the user whom the token is for, or --revoke ID")
        text, _ = people.issue_token(name, scopes, days, _by(), note=note, address="")
        return text

    _run(store, work)


def _run(store: str | None, work: Callable[[PeopleFile], str], *, is_first: bool = False) -> None:
    """Do it on the store, say what came of it, and end with the exit code that belongs to it.

    `is_first` may make the file: users can be there before their monitor runs for the first time.
    """
    try:
        path = monitor.process.settings(None, **{"monitor.store": store}).value.monitor.store
        if path is None:
            raise ConfigError("the monitor keeps its state in memory; name a file with --store")
        if not is_first and not Path(path).is_file():
            raise StoreError(
                f"store {path}: there is no such file; name the monitor's with --store"
            )
        people = PeopleFile(Path(path))
        try:
            said = work(people)
        finally:
            people.close()
    except DripwatchError as error:
        sys.exit(report(error))
    click.echo(said)
    sys.exit(EXIT_OK)


def _by() -> str:
    """Who does it: the account on this machine, which may have no name in a container."""
    try:
        return f"cli:{getpass.getuser()}"[:64]
    except (KeyError, OSError):
        return "cli"


def _new_hash(name: str, from_stdin: bool) -> str:
    """The hash of a password that is asked for twice, or comes as one line of standard input."""
    if from_stdin:
        text = sys.stdin.readline(PASSWORD_LINE_MAX).removesuffix("\n").removesuffix("\r")
    elif sys.stdin.isatty():
        asked = f"Password of {name}"
        text = click.prompt(asked, hide_input=True, confirmation_prompt="The same again", err=True)
    else:
        raise ConfigError("there is no terminal to ask on; give the password by --password-stdin")
    return Passwords().hash(text, name)


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")

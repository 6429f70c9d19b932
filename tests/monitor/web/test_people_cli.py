"""`dripwatch user` as an operator types it: what it does, and what it says is wrong."""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from monitor.people_cli import group
from monitor.people_file import PeopleFile
from monitor.people_store import Passwords, People, Session
from tests.dripwatch.commands import DRIPWATCH, ROOT, environment
from tests.monitor.web.house import PASSWORD


def user(store: Path, *arguments: str, typed: str = f"{PASSWORD}\n") -> str:
    """Run one command; its exit code, what it printed, and what it said was wrong."""
    result = CliRunner().invoke(group, [*arguments, "--store", str(store)], input=typed)
    text = f"{result.exit_code}: {result.output}".strip()
    return text.replace(str(store), "STORE")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A file with one nurse in it."""
    path = tmp_path / "store.sqlite3"
    user(path, "add", "ann", "--role", "nurse", "--role", "viewer", "--password-stdin")
    return path


async def test_who_is_added_may_sign_in(store: Path) -> None:
    """With the password that was given, until it is changed; disabled, not."""

    async def gets_in(password: str) -> bool:
        async with People(store) as people:
            return isinstance(await people.sign_in("ann", password, "10.0.0.1"), Session)

    assert await gets_in(PASSWORD)
    assert user(store, "disable", "ANN") == snapshot(
        "0: ann is disabled; all sessions and tokens have ended"
    )
    assert not await gets_in(PASSWORD)
    assert user(store, "enable", "ann") == snapshot("0: ann may sign in again")
    assert await gets_in(PASSWORD)
    assert user(
        store, "password", "Ann", "--password-stdin", typed="another long one\r\n"
    ) == snapshot("0: ann has a new password; all sessions have ended")
    assert not await gets_in(PASSWORD)
    assert await gets_in("another long one")


def test_a_token_is_shown_once_and_revoked_by_its_id(store: Path) -> None:
    """What is printed is the token and nothing else, for a pipe."""
    said = user(store, "token", "ann", "--scope", "read", "--days", "30", "--note", "the board")
    assert re.fullmatch(r"0: dw_[0-9a-f]{12}_[\w-]{43}", said)
    text = said.removeprefix("0: ")
    file = PeopleFile(store)
    person = file.token(text)
    file.close()
    assert person is not None
    assert person.rights == {"read"}
    listed = user(store, "list")
    assert text.split("_", 2)[2] not in listed
    listed = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\dZ", "DATE", listed).replace(text[3:15], "ID")
    assert listed == snapshot("""\
0: ann                  viewer nurse             added DATE  signed in never
    token ID  read  until DATE  used DATE  the board\
""")
    assert user(store, "token", "--revoke", text[3:15]).startswith("0: the token ")
    assert "token" not in user(store, "list")


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        ("add ann --role nurse --password-stdin", PASSWORD, snapshot("2: dripwatch: there is a user 'ann' already; give another name")),
        ("add bob --password-stdin", PASSWORD, snapshot("2: dripwatch: a person needs a role; give one or more of viewer, nurse, pharmacist, admin")),
        ("add bob --role nurs --password-stdin", PASSWORD, snapshot("2: dripwatch: 'nurs' is no role; did you mean 'nurse'?")),
        ("add b/b --role nurse --password-stdin", PASSWORD, snapshot("2: dripwatch: 'b/b' is no name of a person; give 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit, such as a.jones")),
        ("add bob --role nurse --password-stdin", "short", snapshot("2: dripwatch: the password has 5 characters; give at least 12: a few words in a row are easy to remember")),
        ("add bob --role nurse", PASSWORD, snapshot("2: dripwatch: there is no terminal to ask on; give the password by --password-stdin")),
        ("disable bob", "", snapshot("2: dripwatch: there is no user 'bob'; `dripwatch user list` shows all")),
        ("password bob --password-stdin", PASSWORD, snapshot("2: dripwatch: there is no user 'bob'; `dripwatch user list` shows all")),
        ("token ann --scope people", "", snapshot("2: dripwatch: a token does no more than its owner, who does not have 'people', but read, act, result, report, order, confirm, metrics")),
        ("token ann --scope read --days 400", "", snapshot("2: dripwatch: a token for 400 days; give 1 to 366")),
        ("token --scope read", "", snapshot("2: dripwatch: give the NAME of the user whom the token is for, or --revoke ID")),
        ("token ann --revoke x", "", snapshot("2: dripwatch: --revoke ID ends a token by its id; leave NAME and --scope out")),
        ("token --revoke x", "", snapshot("2: dripwatch: there is no token 'x'; its id is between the two _")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(store: Path, arguments: str, typed: str, said: str) -> None:
    """One line, and the exit code of wrong usage."""
    assert user(store, *arguments.split(), typed=f"{typed}\n") == said


def test_only_adding_makes_a_file(tmp_path: Path) -> None:
    """A path that was mistyped is no empty list of users."""
    path = tmp_path / "store.sqlite3"
    assert user(path, "list") == snapshot(
        "4: dripwatch: store STORE: there is no such file; name the monitor's with --store"
    )
    assert not path.exists()
    assert user(path, "add", "ann", "--role", "nurse", "--password-stdin").startswith("0: ann may")
    user(path, "disable", "ann")
    assert "disabled" in user(path, "list")


def test_without_users_the_list_says_how_to_add_one(tmp_path: Path) -> None:
    """A file that a monitor made."""
    path = tmp_path / "store.sqlite3"
    PeopleFile(path).close()
    assert user(path, "list") == snapshot(
        "0: no users; add one with `dripwatch user add NAME --role nurse`"
    )


def test_who_signs_in_elsewhere_has_no_password_here(tmp_path: Path) -> None:
    """It is at the issuer."""
    path = tmp_path / "store.sqlite3"
    file = PeopleFile(path)
    file.external("ann", frozenset({"nurse"}), "https://id.example", "sub-1")
    file.close()
    assert user(path, "password", "ann", "--password-stdin") == snapshot(
        "2: dripwatch: ann signs in at https://id.example, and has no password here"
    )


def test_it_works_while_a_monitor_writes(store: Path) -> None:
    """The command as a process of its own, which waits for the monitor's commit."""
    monitor = sqlite3.connect(store, isolation_level=None)
    monitor.execute("BEGIN IMMEDIATE")
    command = [*DRIPWATCH, "user", "disable", "ann", "--store", str(store)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment({}), stdout=subprocess.PIPE, text=True
    ) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        monitor.execute("COMMIT")
        said, _ = process.communicate(timeout=30)
    monitor.close()
    assert (process.returncode, said) == (
        0,
        "ann is disabled; all sessions and tokens have ended\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is a thing of Unix")
def test_on_a_terminal_it_asks_twice_and_shows_nothing(tmp_path: Path) -> None:
    """As a person sees it."""
    import pty

    path = tmp_path / "store.sqlite3"
    ours, theirs = pty.openpty()
    command = [*DRIPWATCH, "user", "add", "ann", "--role", "nurse", "--store", str(path)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment({}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        close_fds=True,
    ) as process:
        os.close(theirs)
        seen = _until(ours, "Password of ann: ")
        os.write(ours, f"{PASSWORD}\n".encode())
        seen += _until(ours, "The same again: ")
        os.write(ours, f"{PASSWORD}\n".encode())
        seen += _until(ours, "ann may sign in")
        assert process.wait(30) == 0
    os.close(ours)
    assert PASSWORD not in seen
    file = PeopleFile(path)
    row = file.password_of("ann")
    file.close()
    assert row is not None
    assert Passwords().is_right(PASSWORD, row[1])


def _until(terminal: int, text: str) -> str:
    """What a terminal shows up to a text."""
    seen = ""
    while text not in seen:
        seen += os.read(terminal, 1_024).decode()
    return seen

"""The tables of people in the monitor's SQLite file, what a row of each is, and how they are read
and written: a change is one durable commit together with its row of `people_audit`.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from infusion.errors import ConfigError
from monitor.database import named_errors, open_part, transaction
from monitor.people import ALL_RIGHTS, ALL_ROLES, Person, Right, Role

T = TypeVar("T", bound=str)

AUDIT_MAX = 100_000
DETAIL_MAX = 300

# Two names that differ in case alone would be taken for one another: NOCASE makes them one.
PEOPLE_TABLES = """
CREATE TABLE users (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    roles TEXT NOT NULL,
    password TEXT,
    origin TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    disabled_ms INTEGER,
    signed_in_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL COLLATE NOCASE,
    how TEXT NOT NULL,
    roles TEXT NOT NULL,
    used_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_of ON sessions (name);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    secret BLOB NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    scopes TEXT NOT NULL,
    note TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER
) WITHOUT ROWID;
CREATE INDEX token_of ON tokens (name);
CREATE TABLE links (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE people_audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    by TEXT NOT NULL,
    address TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""


class User(Struct, frozen=True, omit_defaults=True):
    """A user as others may see one. Times are Unix ms; `origin` names who checks the password:
    empty is this monitor, else an OpenID Connect issuer."""

    name: str
    roles: list[Role]
    created_ms: int
    origin: str = ""
    disabled_ms: int | None = None
    signed_in_ms: int | None = None


class Token(Struct, frozen=True, omit_defaults=True):
    """A token as its owner may see it again: all but the secret."""

    id: str
    name: str
    scopes: list[Right]
    created_ms: int
    expires_ms: int
    note: str = ""
    used_ms: int | None = None


class PeopleAudit(Struct, frozen=True):
    """What somebody (`by`, from `address`) did about a person (`name`)."""

    number: int
    at_ms: int
    what: str
    name: str
    by: str
    address: str
    detail: str


class Session(Struct, frozen=True):
    """A session that has just begun. The secret is what the cookie carries."""

    secret: str
    person: Person


def wall_ms() -> int:
    """The wall's clock in Unix ms: people live on it, however fast the pumps' time runs."""
    return time.time_ns() // 1_000_000


class PeopleDatabase:
    """People on a SQLite file; `path` None keeps them in memory. Every call blocks."""

    def __init__(self, path: Path | None, *, now_ms: Callable[[], int] = wall_ms) -> None:
        self.now_ms = now_ms
        self._path = path
        with named_errors(path):
            self._database = open_part(path, "people", (PEOPLE_TABLES,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, with its errors as StoreError that names the file."""
        with named_errors(self._path):
            yield self._database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The same inside a transaction: all of it is kept, or with an error nothing."""
        with self.reading() as database, transaction(database):
            yield database

    def written(self, database: sqlite3.Connection, name: str) -> str:
        """A user's name as it is written. Raises ConfigError where there is no such user."""
        row = database.execute("SELECT name FROM users WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise ConfigError(f"there is no user {name[:64]!r}; `dripwatch user list` shows all")
        return str(row[0])

    def note(
        self,
        database: sqlite3.Connection,
        what: str,
        name: str,
        by: str,
        address: str = "",
        detail: str = "",
    ) -> None:
        """Write a row of `people_audit` into the transaction that is open."""
        number = database.execute(
            "INSERT INTO people_audit (at_ms, what, name, by, address, detail)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (self.now_ms(), what, name, by, address, detail[:DETAIL_MAX]),
        ).lastrowid
        assert number is not None
        database.execute("DELETE FROM people_audit WHERE number <= ?", (number - AUDIT_MAX,))

    def say(self, what: str, name: str, by: str, address: str = "", detail: str = "") -> None:
        """Write a row of `people_audit` by itself, such as a refusal."""
        with self.writing() as database:
            self.note(database, what, name, by, address, detail)

    def audit(self, *, before: int | None = None, limit: int = 100) -> list[PeopleAudit]:
        """What was done, newest first, of the rows with numbers under `before`."""
        with self.reading() as database:
            rows = database.execute(
                "SELECT number, at_ms, what, name, by, address, detail FROM people_audit"
                " WHERE number < ? ORDER BY number DESC LIMIT ?",
                (before if before is not None else 1 << 62, limit),
            ).fetchall()
        return [PeopleAudit(*row) for row in rows]


def to_words(values: Iterable[str]) -> str:
    """Roles or scopes as a column keeps them."""
    return " ".join(sorted(values))


def to_roles(words: str) -> list[Role]:
    """The roles of a column, in the order of the table; what this version does not know is none."""
    return _known(words, ALL_ROLES)


def to_rights(words: str) -> list[Right]:
    """The scopes of a column, likewise."""
    return _known(words, ALL_RIGHTS)


def _known(words: str, known: Iterable[T]) -> list[T]:
    given = words.split()
    return [word for word in known if word in given]

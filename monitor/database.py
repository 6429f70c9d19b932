"""The SQLite file of a monitor: how it is opened, its tables, and how an older one is brought on.

Several parts of the monitor keep their own tables in it, each on a connection and a thread of its
own: the monitor's state and logs (monitor/store.py), people, proposed orders, what waits to be told
(monitor/outlets/words.py). SQLite's WAL lets them read while another writes, and write one after
the other.

A part's tables are a list of scripts, oldest first, and only grow: `PRAGMA user_version` counts
those of the state and logs, a row of `part` those of each other part. A file is brought on by the
scripts that it has not seen, all of them or none.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from infusion.errors import StoreError

T = TypeVar("T")

BUSY_TIMEOUT_S = 10.0
# The first schema that was ever released, and the oldest that can be brought on.
_OLDEST = 2

_STATE = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE batch (position INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE pump (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE record (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE change (
    number INTEGER PRIMARY KEY,
    alert TEXT NOT NULL,
    version INTEGER NOT NULL,
    change BLOB NOT NULL,
    UNIQUE (alert, version)
);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    act TEXT NOT NULL,
    audit BLOB NOT NULL
);
CREATE TABLE refused (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    received_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
);
"""
# History by pump and time, and samples for trends. Rows that were written before have neither: they
# are found by number, as ever.
_HISTORY = """
ALTER TABLE change ADD COLUMN pump TEXT NOT NULL DEFAULT '';
ALTER TABLE change ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN pump TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX change_of_pump ON change (pump, number);
CREATE INDEX audit_of_pump ON audit (pump, number);
CREATE TABLE sample (
    day INTEGER NOT NULL,
    pump TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    sample BLOB NOT NULL,
    PRIMARY KEY (day, pump, time_ms)
) WITHOUT ROWID;
CREATE TABLE part (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
"""
# Two places for each pump and therapy, so that a snapshot can be written in portions while the one
# before it still holds. With rows as long as these a table WITHOUT ROWID costs three times as much.
_PLACES = """
CREATE TABLE pump_state (
    key TEXT NOT NULL,
    slot INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state BLOB NOT NULL,
    UNIQUE (key, slot)
);
CREATE TABLE record_state (
    key TEXT NOT NULL,
    slot INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state BLOB NOT NULL,
    UNIQUE (key, slot)
);
INSERT INTO pump_state SELECT key, 0, 0, state FROM pump;
INSERT INTO record_state SELECT key, 0, 0, state FROM record;
DROP TABLE pump;
DROP TABLE record;
"""
_SCRIPTS = {_OLDEST: _STATE, _OLDEST + 1: _HISTORY, _OLDEST + 2: _PLACES}
SCHEMA = max(_SCRIPTS)
# Of each pump or therapy the newest state. What a snapshot that never became whole had written is
# deleted at the next start.
NEWEST = (
    "SELECT key, state FROM {0} AS one WHERE position ="
    " (SELECT MAX(position) FROM {0} WHERE key = one.key)"
)


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open a monitor's file, make it where there is none, bring it on where it is older.

    `path` None is a database in memory, which nobody else sees. Commits are durable (WAL,
    `synchronous = FULL`). Raises StoreError, which names the file.
    """
    if path is not None and not path.parent.is_dir():
        text = f"store {path}: the folder {path.parent} does not exist; create it"
        raise StoreError(text)
    with named_errors(path):
        database = sqlite3.connect(
            path or ":memory:",
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            _bring_on(database, path)
        except BaseException:
            database.close()
            raise
    return database


@contextmanager
def named_errors(path: Path | None, part: str = "") -> Iterator[None]:
    """Errors of SQLite as StoreError that names the file, and the part of it where one is given."""
    try:
        yield
    except sqlite3.Error as error:
        text = f"{part}: {error}" if part else str(error)
        raise StoreError(f"store {path or 'in memory'}: {text}") from error


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it is kept, or with an error nothing; sqlite3's own context manager begins none."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def ensure_part(database: sqlite3.Connection, name: str, scripts: Sequence[str]) -> None:
    """Make or bring on the tables of one part. Raises StoreError for those of a newer version."""
    with transaction(database):
        row = database.execute("SELECT version FROM part WHERE name = ?", (name,)).fetchone()
        version = int(row[0]) if row else 0
        if version > len(scripts):
            raise StoreError(
                f"the store's part {name!r} was made by a newer version (schema {version}, this"
                f" one reads {len(scripts)}); use that version, or give another path"
            )
        for script in scripts[version:]:
            for statement in _statements(script):
                database.execute(statement)
        database.execute("REPLACE INTO part VALUES (?, ?)", (name, len(scripts)))


def open_part(path: Path | None, name: str, scripts: Sequence[str]) -> sqlite3.Connection:
    """Open a monitor's file with the tables of one part. Raises StoreError, and sqlite3's own."""
    database = open_database(path)
    try:
        ensure_part(database, name, scripts)
    except BaseException:
        database.close()
        raise
    return database


class Part:
    """One part of a monitor's file, on a connection and a thread of its own.

    Used as an async context manager; all errors come as StoreError that names file and part.
    `path` None keeps it in memory.
    """

    def __init__(self, path: Path | None, name: str, scripts: Sequence[str]) -> None:
        self._path = path
        self._name = name
        self._scripts = scripts
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._database: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            self._database = await self._run(
                lambda: open_part(self._path, self._name, self._scripts)
            )
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        database, self._database = self._database, None
        if database is not None:
            await self._run(database.close)
        self._thread.shutdown()

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the database, in the thread."""
        return await self._run(lambda: work(self._opened()))

    def _opened(self) -> sqlite3.Connection:
        assert self._database is not None, "used outside of its context"
        return self._database

    async def _run(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with named_errors(self._path, self._name):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)


def _bring_on(database: sqlite3.Connection, path: Path | None) -> None:
    with transaction(database):
        (schema,) = database.execute("PRAGMA user_version").fetchone()
        if schema and schema not in _SCRIPTS:
            raise StoreError(
                f"store {path}: made by another version (schema {schema}, this one reads"
                f" {_OLDEST} to {SCHEMA}); give another path, or move the file away"
            )
        for version, script in _SCRIPTS.items():
            if version > schema:
                for statement in _statements(script):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {version}")


def _statements(script: str) -> list[str]:
    """`executescript` would commit what is open, so each statement is run by itself."""
    return [statement for part in script.split(";") if (statement := part.strip())]

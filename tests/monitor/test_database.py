"""The file of a monitor: older ones are brought on, newer ones refused, parts kept apart."""

import sqlite3
from pathlib import Path

import pytest

from infusion.errors import StoreError
from monitor.database import SCHEMA, ensure_part, open_database

OLD = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE batch (position INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE pump (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE record (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE change (
    number INTEGER PRIMARY KEY, alert TEXT NOT NULL, version INTEGER NOT NULL,
    change BLOB NOT NULL, UNIQUE (alert, version)
);
CREATE TABLE audit (number INTEGER PRIMARY KEY, act TEXT NOT NULL, audit BLOB NOT NULL);
CREATE TABLE refused (
    number INTEGER PRIMARY KEY AUTOINCREMENT, received_ms INTEGER NOT NULL, topic TEXT NOT NULL,
    payload BLOB NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
);
INSERT INTO change VALUES (7, 'a', 1, x'00');
INSERT INTO pump VALUES ('home/P-1', x'01');
INSERT INTO record VALUES ('home/T-1', x'02');
PRAGMA user_version = 2;
"""


def columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


def test_an_older_file_is_brought_on(tmp_path: Path) -> None:
    """Its rows stay, and it has the columns and tables of a new one."""
    old = sqlite3.connect(tmp_path / "old.sqlite3")
    old.executescript(OLD)
    old.close()
    brought = open_database(tmp_path / "old.sqlite3")
    new = open_database(None)
    assert brought.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    for table in ("meta", "batch", "change", "audit", "refused", "sample", "part", "pump_state"):
        assert columns(brought, table) == columns(new, table) != set()
    assert brought.execute("SELECT number, pump FROM change").fetchall() == [(7, "")]
    # They hold as they did: no snapshot that comes later counts for less than position 0.
    pump, record = (
        brought.execute(f"SELECT key, slot, position, state FROM {table}").fetchall()
        for table in ("pump_state", "record_state")
    )
    assert pump == [("home/P-1", 0, 0, b"\x01")]
    assert record == [("home/T-1", 0, 0, b"\x02")]
    brought.close()
    new.close()


def test_parts_are_brought_on_by_themselves() -> None:
    """A part sees only the scripts that it has not seen; one that fails leaves nothing behind."""
    database = open_database(None)
    first = "CREATE TABLE people (name TEXT); CREATE TABLE roles (name TEXT)"
    ensure_part(database, "people", (first,))
    ensure_part(database, "people", (first, "ALTER TABLE people ADD COLUMN since INTEGER"))
    assert columns(database, "people") == {"name", "since"}
    with pytest.raises(sqlite3.OperationalError):
        ensure_part(database, "orders", ("CREATE TABLE proposal (id TEXT)", "no statement"))
    assert columns(database, "proposal") == set()
    with pytest.raises(StoreError, match=r"'people' was made by a newer version \(schema 2"):
        ensure_part(database, "people", (first,))
    database.close()

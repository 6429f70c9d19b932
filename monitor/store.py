"""The store of one machine: SQLite, in a thread of its own.

One commit holds a batch, the changes it led to and, now and then, a portion of a snapshot of the
pumps that changed; it is durable (WAL, `synchronous = FULL`) before anything is acknowledged. Each
pump has two places: a snapshot is written into the one that the last whole snapshot does not need,
and holds once its last portion is there. Batches that it covers are then deleted, a few with each
commit, but for the last ones, which the broker may give again. The log of
changes is kept, up to `CHANGES_MAX` rows, each change once, and so is that of what people did, up
to `AUDITS_MAX`; the two share one row of numbers.

A store is owned by the process that opened it last: every commit compares the owner's number and
sets it, so an older process that still lives is refused instead of mixing its state in.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import structlog
from msgspec import msgpack

from infusion.errors import StoreError
from infusion.messages import AlertChange, Audit
from infusion.monitor import Clock, PumpState
from infusion.record import Record
from infusion.units import MS_PER_DAY
from monitor.database import BUSY_TIMEOUT_S, NEWEST, named_errors, open_database, transaction
from monitor.ports import AGAIN_MAX, Commit, Entry, LogQuery, Numbered, Refused, Snapshot, Stored
from monitor.samples import Sample

T = TypeVar("T")

log = structlog.get_logger()

CHANGES_MAX = 1_000_000
AUDITS_MAX = 1_000_000
# Batches that are kept although a snapshot covers them: more than can be unacknowledged at once.
BATCHES_KEPT = 8
# So many old batches are deleted with each commit that adds one; all at once would hold it up.
BATCHES_DELETED = 4
REFUSED_MAX = 1_000
# Samples are dropped by whole days, on the pumps' clocks, counted from the newest one.
SAMPLE_DAYS_KEPT = 14
ROWS_MAX = 1_000
POINTS_MAX = 2_000

_STATES = ("pump_state", "record_state")
# Into the place that the snapshot that holds, up to ?2, does not need.
_REPLACE = (
    "INSERT INTO {0} (key, slot, position, state) SELECT ?1, COALESCE((SELECT 1 - slot FROM {0}"
    " WHERE key = ?1 AND position <= ?2 ORDER BY position DESC LIMIT 1), 0), ?3, ?4 WHERE true"
    " ON CONFLICT (key, slot) DO UPDATE SET position = excluded.position, state = excluded.state"
)

_ENTRIES = msgpack.Decoder(tuple[Entry, ...])
_PUMP = msgpack.Decoder(PumpState)
_RECORD = msgpack.Decoder(Record)
_CHANGE = msgpack.Decoder(AlertChange)
_AUDIT = msgpack.Decoder(Audit)
_CLOCK = msgpack.Decoder(Clock)
_SAMPLE = msgpack.Decoder(Sample)


class SqliteStore:
    """The `Store` port on a SQLite file; `path` None keeps everything in memory.

    Used as an async context manager. All errors come as `StoreError`, which names the file.
    """

    def __init__(
        self, path: Path | None, *, changes_max: int = CHANGES_MAX, audits_max: int = AUDITS_MAX
    ) -> None:
        self._path = path
        self._changes_max = changes_max
        self._audits_max = audits_max
        # Rows of the two logs that made room for newer ones.
        self.dropped = {"change": 0, "audit": 0}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._database: sqlite3.Connection | None = None
        self._owner = 0
        # The batch up to which the last whole snapshot goes.
        self._position = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._call(self._close)
        self._thread.shutdown()

    async def load(self) -> Stored:
        """Take ownership, and give what is there. Raises StoreError."""
        return await self._call(self._load)

    async def commit(self, commit: Commit) -> None:
        """Keep a commit durably, all of it or nothing. Raises StoreError."""
        await self._call(lambda: self._commit(commit))

    async def said(self) -> list[Numbered]:
        """All that was said and is kept, oldest first."""
        return await self._call(lambda: self._said_after(0))

    async def rows(self, query: LogQuery) -> list[Numbered]:
        """What was said, as a query asks for it. Raises StoreError."""
        wanted = [
            (" AND number < ?", query.before),
            (" AND number > ?", query.after),
            (" AND pump = ?", query.pump),
            (" AND at_ms >= ?", query.since_ms),
        ]
        where = "WHERE 1" + "".join(text for text, value in wanted if value is not None)
        values = [value for _, value in wanted if value is not None]
        where += f" ORDER BY number {'DESC' if query.after is None else 'ASC'} LIMIT ?"
        values.append(min(query.limit, ROWS_MAX))
        return await self._call(lambda: self._rows(query, where, values))

    async def samples(self, pump: str, from_ms: int, to_ms: int, points: int) -> list[Sample]:
        """At most `points` samples of a pump (`site/pump`), oldest first. Raises StoreError.

        Of more the last of each of `points` equal spans is given; a span without one stays out, so
        that a gap in the data is a gap in the answer.
        """
        points = max(1, min(points, POINTS_MAX))
        span_ms = max(1, -(-(to_ms - from_ms + 1) // points))
        return await self._call(lambda: self._samples(pump, from_ms, to_ms, span_ms))

    async def refused(self) -> list[Refused]:
        """The refused messages that are kept, oldest first."""
        return await self._call(self._refused)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            with named_errors(self._path):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except msgspec.DecodeError as error:
            raise StoreError(f"store {self._path}: a row cannot be read: {error}") from error

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _load(self) -> Stored:
        database = self._database = open_database(self._path)
        with transaction(database):
            self._owner = self._number(database, "owner") + 1
            self._set(database, "owner", self._owner)
        said = self._number(database, "said")
        position = self._position = self._number(database, "position")
        for table in _STATES:
            # Of a snapshot that never became whole.
            database.execute(f"DELETE FROM {table} WHERE position > ?", (position,))
        batches = [
            (at, _ENTRIES.decode(entries))
            for at, entries in database.execute(
                "SELECT position, entries FROM batch WHERE position > ? OR position IN"
                " (SELECT position FROM batch WHERE position <= ? ORDER BY position DESC LIMIT ?)"
                " ORDER BY position",
                (position, position, BATCHES_KEPT),
            )
        ]
        clock = database.execute("SELECT value FROM meta WHERE key = 'clock'").fetchone()
        (last,) = database.execute(
            "SELECT MAX((SELECT COALESCE(MAX(number), 0) FROM change),"
            " (SELECT COALESCE(MAX(number), 0) FROM audit))"
        ).fetchone()
        return Stored(
            position=position,
            clock=_CLOCK.decode(clock[0]) if clock else Clock(),
            pumps=[
                _PUMP.decode(state) for _, state in database.execute(NEWEST.format("pump_state"))
            ],
            records={
                key: _RECORD.decode(state)
                for key, state in database.execute(NEWEST.format("record_state"))
            },
            batches=[(at, entries) for at, entries in batches if at > position],
            newest=[entry for _, entries in batches for entry in entries][-AGAIN_MAX:],
            unsaid=self._said_after(said),
            next_number=last + 1,
            said_number=said,
        )

    def _commit(self, commit: Commit) -> None:
        database = self._database
        if database is None:
            raise StoreError(f"store {self._path}: closed")
        with transaction(database):
            if self._number(database, "owner") != self._owner:
                raise StoreError(f"store {self._path}: another monitor has opened it; stop one")
            self._write(database, commit)
        if commit.snapshot is not None and commit.snapshot.is_last:
            self._position = commit.snapshot.position

    def _write(self, database: sqlite3.Connection, commit: Commit) -> None:
        if commit.entries:
            row = (commit.position, msgpack.encode(commit.entries))
            database.execute("INSERT INTO batch VALUES (?, ?)", row)
        for numbered in commit.said:
            self._write_said(database, numbered)
        for refused in commit.refused:
            database.execute(
                "INSERT INTO refused (received_ms, topic, payload, kind, text)"
                " VALUES (?, ?, ?, ?, ?)",
                (refused.received_ms, refused.topic, refused.payload, refused.kind, refused.text),
            )
        self._set(database, "said", commit.said_number)
        self._set(database, "alive_ms", time.time_ns() // 1_000_000)
        if commit.snapshot is not None:
            self._write_snapshot(database, commit, commit.snapshot)
        database.execute(
            "DELETE FROM batch WHERE position IN (SELECT position FROM batch WHERE position <="
            " (SELECT position FROM batch WHERE position <= ? ORDER BY position DESC"
            " LIMIT 1 OFFSET ?) ORDER BY position LIMIT ?)",
            (self._position, BATCHES_KEPT, BATCHES_DELETED),
        )
        if commit.samples:
            self._write_samples(database, commit)

    @staticmethod
    def _write_samples(database: sqlite3.Connection, commit: Commit) -> None:
        database.executemany(
            "REPLACE INTO sample VALUES (?, ?, ?, ?)",
            [
                (sample.time_ms // MS_PER_DAY, key, sample.time_ms, msgpack.encode(sample))
                for key, sample in commit.samples
            ],
        )
        database.execute(
            "DELETE FROM sample WHERE day < (SELECT MAX(day) FROM sample) - ?",
            (SAMPLE_DAYS_KEPT,),
        )

    @staticmethod
    def _write_said(database: sqlite3.Connection, numbered: Numbered) -> None:
        said = numbered.said
        blob = msgpack.encode(said)
        if isinstance(said, AlertChange):
            # A run with another policy may come to the same version of an alert in another way,
            # when it goes over what the run before it had no snapshot of: the last word holds.
            alert = said.alert
            key = f"{alert.site}/{alert.pump}"
            database.execute(
                "REPLACE INTO change (number, alert, version, change, pump, at_ms)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (numbered.number, alert.id, alert.version, blob, key, alert.changed_ms),
            )
        else:
            # An act that comes again after the core has forgotten it is another row.
            database.execute(
                "INSERT INTO audit (number, act, audit, pump, at_ms) VALUES (?, ?, ?, ?, ?)",
                (numbered.number, said.act.act, blob, f"{said.site}/{said.pump}", said.at_ms),
            )

    def _write_snapshot(
        self, database: sqlite3.Connection, commit: Commit, snapshot: Snapshot
    ) -> None:
        """A portion of it; with the last one it holds instead of the batches that led there."""
        for table, states in zip(_STATES, (snapshot.pumps, snapshot.records), strict=True):
            database.executemany(
                _REPLACE.format(table),
                [(key, self._position, snapshot.position, blob) for key, blob in states.items()],
            )
        if not snapshot.is_last:
            return
        self._set(database, "clock", msgpack.encode(snapshot.clock))
        self._set(database, "position", snapshot.position)
        self._trim(database, commit)

    def _trim(self, database: sqlite3.Connection, commit: Commit) -> None:
        """Drop what is too old of what is kept for looking back."""
        database.execute(
            "DELETE FROM refused WHERE number <= (SELECT MAX(number) FROM refused) - ?",
            (REFUSED_MAX,),
        )
        for table, rows in (("change", self._changes_max), ("audit", self._audits_max)):
            last = f"(SELECT MAX(number) FROM {table})"
            dropped = database.execute(
                f"DELETE FROM {table} WHERE number <= MIN(?, {last} - ?)",
                (commit.said_number, rows),
            ).rowcount
            if dropped > 0:
                self.dropped[table] += dropped
                log.info("old rows dropped", table=table, rows=dropped)

    def _said_after(self, number: int) -> list[Numbered]:
        if self._database is None:
            raise StoreError(f"store {self._path}: closed")
        changes = self._database.execute(
            "SELECT number, change FROM change WHERE number > ?", (number,)
        )
        found = [Numbered(number, _CHANGE.decode(change)) for number, change in changes]
        audits = self._database.execute(
            "SELECT number, audit FROM audit WHERE number > ?", (number,)
        )
        found += [Numbered(number, _AUDIT.decode(audit)) for number, audit in audits]
        found.sort(key=lambda each: each.number)
        return found

    def _rows(self, query: LogQuery, where: str, values: list[Any]) -> list[Numbered]:
        if self._database is None:
            raise StoreError(f"store {self._path}: closed")
        found: list[Numbered] = []
        for table, decoder in (("change", _CHANGE), ("audit", _AUDIT)):
            if query.kind in (None, table):
                select = f"SELECT number, {table} FROM {table} {where}"
                for number, blob in self._database.execute(select, values):
                    found.append(Numbered(number, decoder.decode(blob)))
        found.sort(key=lambda each: each.number, reverse=query.after is None)
        return found[: query.limit]

    def _samples(self, pump: str, from_ms: int, to_ms: int, span_ms: int) -> list[Sample]:
        if self._database is None:
            raise StoreError(f"store {self._path}: closed")
        last: dict[int, bytes] = {}
        last_day = to_ms // MS_PER_DAY
        first_day = max(from_ms // MS_PER_DAY, last_day - SAMPLE_DAYS_KEPT)
        for day in range(first_day, last_day + 1):
            for time_ms, blob in self._database.execute(
                "SELECT time_ms, sample FROM sample WHERE day = ? AND pump = ?"
                " AND time_ms BETWEEN ? AND ? ORDER BY time_ms",
                (day, pump, from_ms, to_ms),
            ):
                last[(time_ms - from_ms) // span_ms] = blob
        return [_SAMPLE.decode(blob) for blob in last.values()]

    def _refused(self) -> list[Refused]:
        if self._database is None:
            raise StoreError(f"store {self._path}: closed")
        rows = self._database.execute(
            "SELECT received_ms, topic, payload, kind, text FROM refused ORDER BY number"
        )
        return [Refused(*row) for row in rows]

    @staticmethod
    def _number(database: sqlite3.Connection, key: str) -> int:
        row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0

    @staticmethod
    def _set(database: sqlite3.Connection, key: str, value: Any) -> None:
        database.execute("REPLACE INTO meta VALUES (?, ?)", (key, value))


def alive_ms(path: Path) -> int | None:
    """When the monitor of a store last committed (Unix milliseconds); None if it never has.

    Raises StoreError when there is no such store. The file is opened for reading only.
    """
    if not path.is_file():
        raise StoreError(f"store {path}: there is no such file; is a monitor running on it?")
    with named_errors(path):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
        try:
            row = database.execute("SELECT value FROM meta WHERE key = 'alive_ms'").fetchone()
        finally:
            database.close()
    return int(row[0]) if row else None

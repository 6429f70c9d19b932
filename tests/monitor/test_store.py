"""The SQLite store: durable, owned by one, and clear about what is wrong with it."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from infusion.account import Account
from infusion.alarms import Priority
from infusion.board import Board
from infusion.errors import StoreError
from infusion.messages import Act, Alert, AlertChange, Audit, Evidence
from infusion.monitor import Clock, PumpState
from infusion.record import Record
from monitor.ports import Commit, Entry, Numbered, Snapshot
from monitor.store import SqliteStore, alive_ms


def commit(position: int) -> Commit:
    return Commit(
        position=position,
        entries=(Entry(position, "topic", b"payload", None),),
        said=(),
        refused=(),
        said_number=0,
        snapshot=None,
    )


async def test_what_was_committed_is_there_again(tmp_path: Path) -> None:
    """Batches without a snapshot come back in order, as they were."""
    path = tmp_path / "m.sqlite3"
    async with SqliteStore(path) as store:
        await store.load()
        for position in (1, 2, 3):
            await store.commit(commit(position))
    async with SqliteStore(path) as store:
        stored = await store.load()
    assert stored.batches == [(n, commit(n).entries) for n in (1, 2, 3)]


async def test_the_second_owner_locks_the_first_one_out(tmp_path: Path) -> None:
    """Two monitors on one store cannot both write: the older one is told."""
    path = tmp_path / "m.sqlite3"
    async with SqliteStore(path) as first, SqliteStore(path) as second:
        await first.load()
        await first.commit(commit(1))
        await second.load()
        with pytest.raises(StoreError, match="another monitor has opened it"):
            await first.commit(commit(2))
        await second.commit(commit(2))


async def test_a_failed_commit_leaves_nothing_behind(tmp_path: Path) -> None:
    """A batch that cannot be written as a whole is not written at all."""
    path = tmp_path / "m.sqlite3"
    async with SqliteStore(path) as store:
        await store.load()
        await store.commit(commit(1))
        with pytest.raises(StoreError, match="UNIQUE constraint failed"):
            await store.commit(commit(1))
        await store.commit(commit(2))
        assert [position for position, _ in (await store.load()).batches] == [1, 2]


async def test_errors_name_the_file(tmp_path: Path) -> None:
    """No folder, another schema, not a database: each says which file and what to do."""
    async with SqliteStore(tmp_path / "none" / "m.sqlite3") as store:
        with pytest.raises(StoreError, match=r"none/m.sqlite3: the folder .* does not exist"):
            await store.load()
    other = tmp_path / "other.sqlite3"
    database = sqlite3.connect(other)
    database.execute("PRAGMA user_version = 99")
    database.close()
    async with SqliteStore(other) as store:
        with pytest.raises(StoreError, match="schema 99, this one reads 2 to 4"):
            await store.load()
    text = tmp_path / "text.sqlite3"
    text.write_text("this is no database, but it is long enough to look like one" * 20)
    async with SqliteStore(text) as store:
        with pytest.raises(StoreError, match=r"text.sqlite3: file is not a database"):
            await store.load()


async def test_health_reads_when_the_last_commit_was(tmp_path: Path) -> None:
    """The time of the last commit is there for another process to read."""
    path = tmp_path / "m.sqlite3"
    with pytest.raises(StoreError, match="no such file"):
        alive_ms(path)
    async with SqliteStore(path) as store:
        await store.load()
        assert alive_ms(path) is None
        await store.commit(commit(1))
        assert alive_ms(path) is not None


async def test_in_memory_store_works_like_the_file() -> None:
    """`dripwatch up` keeps its store in memory; the same code serves it."""
    async with SqliteStore(None) as store:
        await store.load()
        await store.commit(commit(1))
        assert (await store.load()).batches == []


def row(number: int) -> Numbered:
    """Changes of an alert and audits in turn, as they stand in the two logs."""
    if number % 2:
        alert = Alert(
            id="home/P-01/occlusion/1",
            site="home",
            pump="P-01",
            rule="occlusion",
            category="device",
            title="occlusion",
            priority=Priority.HIGH,
            state="raised",
            version=number,
            onset_ms=1,
            raised_ms=1,
            changed_ms=number,
            evidence=Evidence(),
        )
        return Numbered(number, AlertChange(change="updated", list_version=number, alert=alert))
    act = Act(
        act="A-1",
        pump="P-01",
        alert="home/P-01/occlusion/1",
        version=1,
        what="take",
        by="nurse-1",
        time_ms=1_790_000_000_000,
    )
    # The same act each time: a core that has forgotten it says it again.
    audit = Audit(site="home", pump="P-01", act=act, outcome="done", sentence="x", at_ms=number)
    return Numbered(number, audit)


async def test_what_is_not_said_yet_comes_back_in_order(tmp_path: Path) -> None:
    """Changes and audits share one row of numbers, over a restart too."""
    path = tmp_path / "m.sqlite3"
    rows = tuple(row(number) for number in range(1, 6))
    async with SqliteStore(path) as store:
        await store.load()
        await store.commit(structs.replace(commit(1), said=rows, said_number=2))
    async with SqliteStore(path) as store:
        stored = await store.load()
        assert stored.unsaid == list(rows[2:])
        assert (stored.next_number, stored.said_number) == (6, 2)
        assert await store.said() == list(rows)


async def test_the_newest_messages_stay_beside_a_snapshot(tmp_path: Path) -> None:
    """A broker may give them again: they are known after a restart, but not gone over anew."""
    path = tmp_path / "m.sqlite3"
    async with SqliteStore(path) as store:
        await store.load()
        for position in range(1, 21):
            is_last = position == 20
            snapshot = Snapshot(position, Clock(), {}, {}) if is_last else None
            await store.commit(structs.replace(commit(position), snapshot=snapshot))
        await store.commit(commit(21))
    async with SqliteStore(path) as store:
        stored = await store.load()
    assert stored.batches == [(21, commit(21).entries)]
    assert [entry.received_ms for entry in stored.newest] == list(range(13, 22))


async def test_old_batches_are_deleted_a_few_with_each_commit(tmp_path: Path) -> None:
    """What a snapshot covers goes, but for the newest of it, and no commit has much to do."""
    path = tmp_path / "m.sqlite3"

    def positions() -> list[int]:
        with contextlib.closing(sqlite3.connect(path)) as database:
            return [row[0] for row in database.execute("SELECT position FROM batch")]

    async with SqliteStore(path) as store:
        await store.load()
        for position in range(1, 31):
            await store.commit(commit(position))
        snapshot = Snapshot(30, Clock(), {}, {})
        await store.commit(structs.replace(commit(31), snapshot=snapshot))
        for position in range(32, 40):
            await store.commit(commit(position))
            assert positions()[0] <= max(1, 4 * (position - 31)) + 1
        assert positions() == list(range(23, 40))


async def test_a_snapshot_in_portions_holds_once_it_is_whole(tmp_path: Path) -> None:
    """Until then the one before holds, whatever has been written of the next; twice over."""
    path = tmp_path / "m.sqlite3"

    def portion(at: int, *pumps: str, is_last: bool = False) -> Snapshot:
        states = {f"home/{pump}": encoded(pump, at) for pump in pumps}
        record = {"home/T-1": msgspec.msgpack.encode(Record("T-1", first_drawn_ms=at))}
        clock = Clock(clock_ms=at)
        return Snapshot(at, clock, states, record if is_last else {}, is_last=is_last)

    async def stands() -> tuple[int, int, dict[str, int], int | None]:
        async with SqliteStore(path) as store:
            stored = await store.load()
        awaited = {state.pump: state.awaited_ms for state in stored.pumps}
        drawn = stored.records["home/T-1"].first_drawn_ms if stored.records else None
        return stored.position, stored.clock.clock_ms, awaited, drawn

    async def write(*portions: tuple[int, Snapshot]) -> None:
        async with SqliteStore(path) as store:
            await store.load()
            for position, each in portions:
                await store.commit(structs.replace(commit(position), snapshot=each))

    await write((1, portion(1, "P-1")), (2, portion(1, "P-2", "P-3", is_last=True)))
    assert await stands() == (1, 1, {"P-1": 1, "P-2": 1, "P-3": 1}, 1)
    # The next is cut off before its last portion, by the end of the process.
    await write((3, portion(3, "P-1", "P-2")))
    assert await stands() == (1, 1, {"P-1": 1, "P-2": 1, "P-3": 1}, 1)
    # P-3 has not changed since, so it is not in this one.
    await write((4, portion(4, "P-1")), (5, portion(4, "P-2", is_last=True)))
    assert await stands() == (4, 4, {"P-1": 4, "P-2": 4, "P-3": 1}, 4)
    # And in this one it alone is. Between two portions of one run nothing is lost either.
    await write((6, portion(6, "P-3")), (7, portion(6, is_last=True)), (8, portion(8, "P-1")))
    assert await stands() == (6, 6, {"P-1": 4, "P-2": 4, "P-3": 6}, 6)


def encoded(pump: str, awaited_ms: int) -> bytes:
    """The state of a pump that has said nothing."""
    return msgspec.msgpack.encode(
        PumpState("home", pump, Board("home", pump), Account(), awaited_ms)
    )


async def test_the_last_word_on_a_version_of_an_alert_holds(tmp_path: Path) -> None:
    """A run with another policy goes over the log in another way, and must not be stopped by it."""
    first, other = row(1), structs.replace(row(1), number=2)
    async with SqliteStore(tmp_path / "m.sqlite3") as store:
        await store.load()
        await store.commit(structs.replace(commit(1), said=(first,)))
        await store.commit(structs.replace(commit(2), said=(other,)))
        assert await store.said() == [other]


async def test_the_logs_keep_their_newest_rows_and_all_that_is_not_said(tmp_path: Path) -> None:
    """Both have a limit of their own; what nobody has heard yet is never dropped."""
    rows = tuple(row(number) for number in range(1, 41))
    snapshot = Snapshot(1, Clock(), {}, {})
    async with SqliteStore(tmp_path / "m.sqlite3", changes_max=10, audits_max=20) as store:
        await store.load()
        await store.commit(structs.replace(commit(1), said=rows, said_number=25, snapshot=snapshot))
        kept = [numbered.number for numbered in await store.said()]
        assert kept == [*range(22, 26, 2), *range(26, 41)]
        assert store.dropped == {"change": 13, "audit": 10}
        await store.commit(structs.replace(commit(2), said_number=40, snapshot=snapshot))
        kept = [numbered.number for numbered in await store.said()]
        assert [number for number in kept if number % 2] == [31, 33, 35, 37, 39]
        assert [number for number in kept if not number % 2] == [*range(22, 41, 2)]
        assert store.dropped == {"change": 15, "audit": 10}

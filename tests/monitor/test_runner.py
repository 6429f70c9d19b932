"""The runner over a real store: whatever dies wherever, nothing is lost and nothing is said twice."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infusion.errors import LinkError
from infusion.messages import AlertChange, OpenAlerts
from infusion.monitor import Monitor, MonitorSettings, PumpState
from monitor.cut import SLICE
from monitor.ports import Batch, Entry, Numbered, Said
from monitor.runner import PartitionRunner, step
from monitor.store import SqliteStore
from tests.monitor.streams import ward, with_acts

CORE = MonitorSettings(stall_ms=60_000)
ENTRIES = tuple(Entry(at_ms, topic, payload, "1") for at_ms, topic, payload in with_acts(ward()))


class Crash(BaseException):
    """The process dies here: nothing that would follow happens."""


def identity(said: Said) -> tuple[str, int]:
    """What names something said: an alert and its version, or the act that was audited."""
    if isinstance(said, AlertChange):
        return said.alert.id, said.alert.version
    return said.act.act, 0


class Broker:
    """The wire and the crash: gives batches until they are done, hears what is said.

    `crash_after` counts down over every step that a batch takes; at 0 the process dies.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.position = 0
        self.clock_ms = 0
        self.batches = 0
        self.log: dict[tuple[str, int], Said] = {}
        self.lists: dict[str, OpenAlerts] = {}
        self.numbers: list[int] = []
        self.said_number = 0
        self.crash_after: int | None = None
        self.is_deaf = False

    def danger(self) -> None:
        if self.crash_after is None:
            return
        self.crash_after -= 1
        if self.crash_after < 0:
            raise Crash

    async def take(self) -> Batch:
        self.danger()
        size = self.sizes[self.batches % len(self.sizes)]
        entries = ENTRIES[self.position : self.position + size]
        # What is given again is received again: time of receipt never goes back.
        given = tuple(
            msgspec.structs.replace(entry, received_ms=max(entry.received_ms, self.clock_ms))
            for entry in entries
        )
        self.clock_ms = given[-1].received_ms
        return Batch(given)

    def done(self, batch: Batch) -> None:
        self.danger()
        self.batches += 1
        self.position += len(batch.entries)

    def begin(self, said_number: int) -> None:
        self.said_number = said_number

    async def settle(self, timeout_s: float) -> None:
        if self.is_deaf:
            raise LinkError(f"nothing was acknowledged within {timeout_s} s")

    async def say(self, said: Sequence[Numbered], lists: Sequence[OpenAlerts]) -> None:
        for numbered in said:
            self.danger()
            known = self.log.setdefault(identity(numbered.said), numbered.said)
            assert known == numbered.said, "the same was told in two ways"
            self.numbers.append(numbered.number)
            self.said_number = numbered.number
        for open_ in lists:
            self.danger()
            self.lists[f"{open_.site}/{open_.pump}"] = open_

    @property
    def at_end(self) -> bool:
        return self.position >= len(ENTRIES)


def reference() -> tuple[Monitor, list[Said]]:
    """What the core says of the same entries in one go."""
    monitor = Monitor(CORE)
    said, refused = step(monitor, ENTRIES)
    assert not refused
    return monitor, said


async def live(broker: Broker, path: Path, portion: int = SLICE) -> PartitionRunner:
    """One life of the process: resume, handle batches to the end; may raise Crash.

    With a small `portion` one snapshot follows the other, and none is written at once.
    """
    more = {} if portion == SLICE else {"uncovered_max": 1, "portion": portion}
    async with SqliteStore(path) as store:
        runner = PartitionRunner(Monitor(CORE), broker, store, broker, **more)
        await runner.resume()
        while not broker.at_end:
            await runner.handle(await broker.take())
        runner.stop()
        await runner.run()
        return runner


async def lives(
    broker: Broker, path: Path, crashes: Sequence[int], portion: int = SLICE
) -> PartitionRunner:
    """Live and die as often as told, then live to the end."""
    for crash_after in crashes:
        broker.crash_after = crash_after
        try:
            return await live(broker, path, portion)
        except Crash:
            continue
    broker.crash_after = None
    return await live(broker, path, portion)


def pumped(monitor: Monitor) -> dict[str, tuple[int, float]]:
    return {
        key: (state.account.pumped_nl, state.account.pumped_iu)
        for key, state in monitor.pumps.items()
    }


def stored(monitor: Monitor) -> dict[str, PumpState]:
    """The pumps as a store would give them back."""
    return {
        key: msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=PumpState)
        for key, state in monitor.pumps.items()
    }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(40, 400), min_size=1, max_size=6),
    crashes=st.lists(st.integers(0, 40), max_size=12),
    portion=st.sampled_from((0, 1, 3, SLICE)),
)
async def test_a_crash_anywhere_loses_nothing_and_says_nothing_new(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], crashes: list[int], portion: int
) -> None:
    """However often it dies, the log, the lists and the accounts are those of one long life.

    Snapshots are taken all the while, but for the last choice; with a portion of 0 only of pumps
    that are about to change.
    """
    broker = Broker(sizes)
    path = tmp_path_factory.mktemp("store") / "m.sqlite3"
    runner = await lives(broker, path, crashes, portion)
    monitor, said = reference()
    assert list(broker.log.values()) == said
    assert sorted(set(broker.numbers)) == list(range(1, len(said) + 1))
    assert pumped(runner.monitor) == pumped(monitor)
    assert runner.monitor.therapies.records == monitor.therapies.records
    assert broker.lists == {
        key: monitor.open_alerts(key) for key, state in monitor.pumps.items() if state.board.version
    }


async def test_the_state_after_a_restart_is_the_state_before_it(tmp_path: Path) -> None:
    """A graceful end stores every pump as a whole; the next life stands exactly there."""
    first = await live(Broker([100]), tmp_path / "m.sqlite3")
    quiet = Broker([100])
    quiet.position = len(ENTRIES)
    second = await live(quiet, tmp_path / "m.sqlite3")
    assert stored(first.monitor) == stored(second.monitor)
    assert first.monitor.therapies.records == second.monitor.therapies.records
    assert not quiet.numbers


async def test_a_broker_that_does_not_answer_at_the_end_loses_nothing(tmp_path: Path) -> None:
    """The end is a good one all the same: the state is stored as a whole."""
    broker = Broker([400])
    broker.is_deaf = True
    runner = await live(broker, tmp_path / "m.sqlite3")
    async with SqliteStore(tmp_path / "m.sqlite3") as store:
        kept = await store.load()
    assert kept.batches == []
    assert {f"{pump.site}/{pump.pump}" for pump in kept.pumps} == set(runner.monitor.pumps)


async def test_the_open_lists_are_said_again_when_the_broker_forgot_them(tmp_path: Path) -> None:
    """A broker that lost its retained messages gets every list with the next batch."""
    broker = Broker([len(ENTRIES) - 5, 5])
    async with SqliteStore(tmp_path / "m.sqlite3") as store:
        runner = PartitionRunner(Monitor(CORE), broker, store, broker)
        await runner.resume()
        await runner.handle(await broker.take())
        known = dict(broker.lists)
        broker.lists.clear()
        runner.relist = True
        await runner.handle(await broker.take())
        assert set(broker.lists) == set(known)


async def test_what_comes_again_after_a_crash_is_no_replay(tmp_path: Path) -> None:
    """Half an hour in one batch, killed before its acknowledgement: nothing is said twice or new."""
    broker = Broker([len(ENTRIES) // 2])
    path = tmp_path / "m.sqlite3"
    broker.crash_after = 1
    with pytest.raises(Crash):
        await live(broker, path)
    assert broker.position == 0
    broker.crash_after = None
    runner = await live(broker, path)
    assert runner.totals.again == len(ENTRIES) // 2
    assert runner.totals.messages == len(ENTRIES) - runner.totals.again
    assert list(broker.log.values()) == reference()[1]
    # A message of the log that somebody says once more, later on, is new to the broker.
    async with SqliteStore(path) as store:
        runner = PartitionRunner(Monitor(CORE), broker, store, broker)
        await runner.resume()
        await runner.handle(Batch(ENTRIES[-5:]))
        await runner.handle(Batch(ENTRIES[-5:]))
    assert (runner.totals.again, runner.totals.messages) == (5, 5)


async def test_what_is_refused_is_counted_kept_and_changes_nothing(tmp_path: Path) -> None:
    """Bad messages among good ones leave the good ones as they are."""
    good = ENTRIES[:40]
    bad = (
        Entry(good[-1].received_ms, "infusion/v1/home/P-01/telemetry", b"{", "1"),
        Entry(good[-1].received_ms, "infusion/v1/home/P-01/telemetry", good[2].payload, "2"),
        Entry(good[-1].received_ms, "elsewhere", b"{}", "1"),
        Entry(good[-1].received_ms, "infusion/v1/home/P-06/telemetry", b"\xff" * 20_000, "1"),
    )
    broker = Broker([1])
    async with SqliteStore(tmp_path / "m.sqlite3") as store:
        runner = PartitionRunner(Monitor(CORE), broker, store, broker)
        await runner.resume()
        await runner.handle(Batch(good))
        known = pumped(runner.monitor)
        await runner.handle(Batch(bad))
        assert pumped(runner.monitor) == known
        assert runner.totals.refused == 4
        assert runner.monitor.refused == {"payload": 1, "contract": 1, "topic": 1, "oversize": 1}
        rows = await store.refused()
    assert [row.kind for row in rows] == ["payload", "contract", "topic", "oversize"]
    assert len(rows[-1].payload) == 4_096

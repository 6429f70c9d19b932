"""What people put on the desk goes with the next batch, and is answered when it is stored."""

import asyncio

import pytest

from infusion.clinical import Report
from infusion.errors import MessageError, StoreError
from infusion.messages import Act, Kind
from infusion.monitor import Monitor, MonitorSettings
from infusion.prescription import Prescription, Start
from monitor.desk import WAITING_MAX, Desk
from monitor.ports import Batch, Entry, Numbered
from monitor.runner import PartitionRunner
from monitor.store import SqliteStore
from tests.infusion.bench import SITE, T0, order
from tests.monitor.streams import ward

ENTRIES = tuple(Entry(at_ms, topic, payload, "1") for at_ms, topic, payload in ward())


class Source:
    """A broker that gives a batch when it is told to, and remembers what was acknowledged."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[Batch] = asyncio.Queue()
        self.acknowledged: list[Batch] = []
        self.has_acknowledged = asyncio.Event()

    async def take(self) -> Batch:
        return await self.given.get()

    def done(self, batch: Batch) -> None:
        self.acknowledged.append(batch)
        self.has_acknowledged.set()


class Silent:
    """A sink that nobody hears."""

    said_number = 0

    def begin(self, said_number: int) -> None:
        self.said_number = said_number

    async def settle(self, timeout_s: float) -> None:
        return

    async def say(self, said: object, lists: object) -> None:
        return


class Bench:
    """A runner on a desk, in memory."""

    def __init__(self, store: SqliteStore) -> None:
        self.now_ms = T0
        self.source = Source()
        self.desk = Desk(self.source, lambda: self.now_ms)
        self.store = store
        monitor = Monitor(MonitorSettings(stall_ms=60_000))
        self.runner = PartitionRunner(monitor, self.desk, store, Silent())
        self.runner.watchers.append(self.desk.watch)


async def test_answers_come_when_the_store_has_it() -> None:
    """An alert of the broker's messages is taken at the desk; the second to take it is late."""
    async with SqliteStore(None) as store:
        bench = Bench(store)
        await bench.runner.resume()
        running = asyncio.create_task(bench.runner.run())
        wire = Batch(ENTRIES[:1_000])
        bench.now_ms = wire.entries[-1].received_ms
        await bench.source.given.put(wire)
        await asyncio.wait_for(bench.source.has_acknowledged.wait(), 20)
        assert bench.source.acknowledged == [wire]
        key, state = next(
            (k, s)
            for k, s in bench.runner.monitor.pumps.items()
            if bench.runner.monitor.open_alerts(k).alerts
        )
        alert = bench.runner.monitor.open_alerts(key).alerts[0]
        first = Act(
            act="A-1",
            pump=state.pump,
            alert=alert.id,
            version=alert.version,
            what="take",
            by="ada",
            time_ms=T0,
        )
        second = Act(
            act="A-2",
            pump=state.pump,
            alert=alert.id,
            version=alert.version,
            what="take",
            by="bo",
            time_ms=T0,
        )
        done, late = await asyncio.gather(
            bench.desk.act(state.site, first), bench.desk.act(state.site, second)
        )
        assert (done.outcome, late.outcome) == ("done", "late")
        assert "ada" in late.sentence
        stored = [each.said for each in await store.said()]
        assert done in stored
        assert late in stored
        with pytest.raises(MessageError, match="stored already"):
            await bench.desk.act(state.site, first)
        bench.runner.stop()
        await running


async def test_what_makes_no_sense_is_refused_to_who_said_it() -> None:
    """A bad order is refused with its reason, a good one beside it is kept."""
    async with SqliteStore(None) as store:
        bench = Bench(store)
        await bench.runner.resume()
        running = asyncio.create_task(bench.runner.run())
        bad = order(Start(at_ms=T0, rate_iu_kg_h=1.0, rate_iu_h=2.0), therapy="T-02")
        good = order(therapy="T-01")
        report = Report(therapy="T-01", report="R-1", what="fever", by="ada", time_ms=T0)
        refused, *kept = await asyncio.gather(
            bench.desk.tell(SITE, bad),
            bench.desk.tell(SITE, good),
            bench.desk.tell(SITE, report),
            return_exceptions=True,
        )
        assert isinstance(refused, MessageError)
        assert "exactly one of" in str(refused)
        assert kept == [None, None]
        record = bench.runner.monitor.therapies.records[f"{SITE}/T-01"]
        assert record.order is not None
        assert [each.report for each in record.reports] == ["R-1"]
        bench.runner.stop()
        await running


async def test_an_end_is_told_to_who_waits() -> None:
    """When the monitor ends, nobody waits for ever; and only so much may wait."""
    bench = Desk(Source(), lambda: T0)
    prescription: Prescription = order()
    waiting = [asyncio.ensure_future(bench.tell(SITE, prescription)) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(MessageError, match="try again"):
        await bench.tell(SITE, prescription)
    bench.close(StoreError("stopped"))
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each) for each in ended} == {StoreError}


async def test_what_is_put_down_is_received_last() -> None:
    """The desk's entries have the time at which the batch is taken, so time never goes back."""
    source = Source()
    desk = Desk(source, lambda: T0 + 5_000)
    report = Report(therapy="T-01", report="R-1", what="fever", by="ada", time_ms=T0)
    telling = asyncio.ensure_future(desk.tell(SITE, report))
    await source.given.put(Batch((ENTRIES[0],)))
    await asyncio.sleep(0)
    batch = await desk.take()
    if len(batch.entries) == 1:
        desk.done(batch)
        batch = await desk.take()
    assert batch.entries[-1].received_ms == T0 + 5_000
    assert batch.entries[-1].topic.endswith(Kind.REPORT.value)
    said: list[Numbered] = []
    desk.watch(batch.entries, said, [])
    desk.done(batch)
    await telling

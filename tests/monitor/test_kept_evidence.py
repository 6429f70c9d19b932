"""The evidence that a store still holds: samples instead of messages, and what is not kept said."""

from pathlib import Path

import pytest
from msgspec import msgpack

from infusion.errors import StoreError
from infusion.monitor import Clock, Monitor, MonitorSettings
from infusion.service.gather import Gathered
from infusion.service.spans import length_ms, union
from infusion.units import MS_PER_MINUTE
from monitor.kept_evidence import read_evidence
from monitor.ports import Commit, Snapshot
from monitor.samples import Sampler
from monitor.store import SqliteStore
from tests.infusion.bench import SITE, T0, begin, clock


async def kept(path: Path) -> Gathered:
    """An hour with a stop of ten minutes and a silence of twenty, in a store; and what was said."""
    bench = begin().run("00:20")
    bench.stop()
    bench.run("00:30")
    bench.start()
    bench.run("01:00")
    gap = range(T0 + clock("00:35"), T0 + clock("00:55"))
    monitor, gathered = Monitor(MonitorSettings(stall_ms=60_000)), Gathered()
    sampler = Sampler(monitor)
    samples = []
    for at_ms, message in bench.stream:
        if at_ms in gap:
            monitor.tick(at_ms)
        else:
            monitor.receive(message, SITE, at_ms)
            gathered.take(message)
        samples += sampler.take()
    records = {key: msgpack.encode(each) for key, each in monitor.therapies.records.items()}
    async with SqliteStore(path) as store:
        await store.load()
        await store.commit(
            Commit(
                position=1,
                entries=(),
                said=(),
                refused=(),
                said_number=0,
                snapshot=Snapshot(1, Clock(), {}, records),
                samples=samples,
            )
        )
    return gathered


async def test_a_store_tells_nearly_what_the_messages_tell(tmp_path: Path) -> None:
    """To within a sample at each end: what was pumped before the first sample is not kept."""
    path = tmp_path / "m.sqlite3"
    whole = (await kept(path)).evidence("T-01")
    (evidence,) = read_evidence(path, frozenset({"T-01"}))
    assert whole is not None
    sums = [sum(each.dose_iu for each in one.segments) for one in (evidence, whole)]
    assert sums[0] == pytest.approx(sums[1], abs=2 * 24 + 1)
    times = [length_ms(union(each.span for each in one.segments)) for one in (evidence, whole)]
    assert times[0] == pytest.approx(times[1], abs=3 * MS_PER_MINUTE)
    assert evidence.start_ms == T0
    assert [each.estimated for each in evidence.segments].count(True) == 1
    (unknown,) = evidence.unknown
    assert length_ms((unknown,)) == pytest.approx(20 * MS_PER_MINUTE, abs=MS_PER_MINUTE)
    assert read_evidence(path, frozenset({"T-99"})) == []


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.sqlite3"
    path.write_bytes(b"SQLite format 3\x00" + b"?" * 200)
    with pytest.raises(StoreError, match=r"no\.sqlite3"):
        read_evidence(path)

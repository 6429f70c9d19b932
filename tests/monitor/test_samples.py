"""Samples for trends: one a minute of each pump that is heard, and the log by pump and time."""

import itertools
from pathlib import Path

import msgspec

from infusion.monitor import Monitor, MonitorSettings
from infusion.units import MS_PER_DAY
from monitor.ports import Commit, LogQuery, Numbered
from monitor.samples import EVERY_MS, Sample, Sampler
from monitor.store import SAMPLE_DAYS_KEPT, SqliteStore
from tests.infusion.bench import PUMP, RATE_ML_H, SITE, T0, begin, clock, feed

KEY = f"{SITE}/{PUMP}"


def commit(position: int, samples: list[tuple[str, Sample]]) -> Commit:
    return Commit(
        position=position,
        entries=(),
        said=(),
        refused=(),
        said_number=0,
        snapshot=None,
        samples=samples,
    )


def sampled() -> list[Sample]:
    """Forty minutes of a pump that is silent from 00:10 to 00:20, each message a batch."""
    monitor = Monitor(MonitorSettings(stall_ms=60_000))
    sampler = Sampler(monitor)
    found: list[Sample] = []
    gap = range(T0 + clock("00:10"), T0 + clock("00:20"))
    for at_ms, message in begin().run("00:40").stream:
        if at_ms in gap:
            monitor.tick(at_ms)
        else:
            monitor.receive(message, SITE, at_ms)
        taken = sampler.take()
        assert all(key == KEY for key, _ in taken)
        found += [sample for _, sample in taken]
    return found


def test_a_sample_a_minute_and_none_of_a_silence() -> None:
    """The sums are those of the account, and of the order."""
    found = sampled()
    times = [each.time_ms for each in found]
    steps = {after - before for before, after in itertools.pairwise(times)}
    assert min(steps) >= EVERY_MS - 10_000
    assert len([step for step in steps if step > clock("00:08")]) == 1
    last = found[-1]
    hours = (last.time_ms - T0) / 3_600_000
    assert last.expected_iu is not None
    assert abs(last.expected_iu - 1_440 * hours) < 1
    assert abs(last.delivered_iu - last.expected_iu) < 5
    assert last.rate_ml_h == RATE_ML_H
    assert last.level_low is not None
    assert last.level is not None
    assert last.level_high is not None
    assert last.level_low < last.level < last.level_high


async def test_kept_by_day_and_thinned_by_spans(tmp_path: Path) -> None:
    """Of each span the last one; a span without any stays out; what is old goes."""
    one = sampled()[0]
    async with SqliteStore(tmp_path / "m.sqlite3") as store:
        await store.load()
        series = [
            (KEY, msgspec.structs.replace(one, time_ms=T0 + minute * 60_000))
            for minute in range(100)
            if not 40 <= minute < 60
        ]
        await store.commit(commit(1, series))
        whole = await store.samples(KEY, T0, T0 + 100 * 60_000, 2_000)
        assert whole == [sample for _, sample in series]
        thin = await store.samples(KEY, T0, T0 + 100 * 60_000 - 1, 10)
        minutes = [(each.time_ms - T0) // 60_000 for each in thin]
        assert minutes == [9, 19, 29, 39, 69, 79, 89, 99]
        assert await store.samples("home/P-99", T0, T0 + 100 * 60_000, 10) == []
        late = msgspec.structs.replace(one, time_ms=T0 + (SAMPLE_DAYS_KEPT + 2) * MS_PER_DAY)
        await store.commit(commit(2, [(KEY, late)]))
        assert await store.samples(KEY, T0, late.time_ms, 10) == [late]


async def test_the_log_by_pump_and_time() -> None:
    """Newest first, oldest first after a number, of one pump, since an instant."""
    _, changes = feed(
        begin().run("00:04").stop().run("00:30").start().run("00:40").stop().run("01:10").stream
    )
    async with SqliteStore(None) as store:
        await store.load()
        said = tuple(Numbered(number, each) for number, each in enumerate(changes, start=1))
        assert len(said) >= 3
        await store.commit(msgspec.structs.replace(commit(1, []), said=said))
        assert await store.rows(LogQuery()) == list(reversed(said))
        assert await store.rows(LogQuery(limit=1)) == [said[-1]]
        assert await store.rows(LogQuery(before=2)) == [said[0]]
        assert await store.rows(LogQuery(after=1, limit=1)) == [said[1]]
        assert await store.rows(LogQuery(pump=KEY, kind="change")) == list(reversed(said))
        assert await store.rows(LogQuery(pump="home/P-99")) == []
        assert await store.rows(LogQuery(kind="audit")) == []
        since_ms = changes[1].alert.changed_ms
        late = [change.alert.changed_ms >= since_ms for change in changes]
        kept = list(itertools.compress(said, late))
        assert await store.rows(LogQuery(since_ms=since_ms)) == list(reversed(kept))

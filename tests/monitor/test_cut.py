"""A snapshot in portions is the state as it stood at its beginning, whatever happens meanwhile."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from infusion.monitor import Monitor, MonitorSettings
from infusion.state import unheeded
from monitor.cut import Cut
from monitor.ports import Entry
from monitor.runner import step
from tests.monitor.streams import ward, with_acts


def _with_nonsense(entries: list[Entry]) -> Iterator[Entry]:
    """Now and then a message that is refused: one that cannot be read, one of another pump."""
    for number, entry in enumerate(entries):
        yield entry
        if number % 37 == 0 and entry.topic.endswith("/telemetry"):
            yield Entry(entry.received_ms, entry.topic, b"{", "1")
            place = entry.topic.replace("P-01", "P-02")
            yield Entry(entry.received_ms, place, entry.payload, "1")


ENTRIES = list(
    _with_nonsense(
        [Entry(at_ms, topic, payload, "1") for at_ms, topic, payload in with_acts(ward())]
    )
)


def everything(monitor: Monitor) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """All that changed since the last cut, at once."""
    pumps = {key: msgpack.encode(monitor.pumps[key]) for key in monitor.touched}
    records = monitor.therapies.records
    return pumps, {key: msgpack.encode(records[key]) for key in monitor.therapies.touched}


@settings(max_examples=60, deadline=None)
@given(
    begin=st.integers(1, len(ENTRIES)),
    size=st.integers(1, 60),
    limit=st.integers(0, 3),
    rest=st.integers(0, 40),
)
def test_each_is_kept_as_it_stood_when_the_cut_was_made(
    begin: int, size: int, limit: int, rest: int
) -> None:
    """Messages, deadlines, acts, results and refusals: all encode what they are about to change."""
    monitor = Monitor(MonitorSettings(stall_ms=60_000))
    step(monitor, ENTRIES[:begin])
    pumps, records = everything(monitor)
    clock = msgpack.encode(monitor.clock)
    cut = Cut(monitor, 7)
    assert not monitor.touched
    found_pumps: dict[str, bytes] = {}
    found_records: dict[str, bytes] = {}
    at = begin
    for number in range(rest + 1):
        portion = cut.portion(None if number == rest else limit)
        assert (portion.position, msgpack.encode(portion.clock)) == (7, clock)
        assert not found_pumps.keys() & portion.pumps.keys()
        found_pumps |= portion.pumps
        found_records |= portion.records
        if portion.is_last:
            break
        step(monitor, ENTRIES[at : at + size])
        at += size
    assert (found_pumps, found_records) == (pumps, records)
    assert monitor.before_change is unheeded
    assert monitor.therapies.before_change is unheeded


def test_what_changes_after_the_cut_is_in_the_next() -> None:
    monitor = Monitor(MonitorSettings(stall_ms=60_000))
    step(monitor, ENTRIES[:200])
    cut = Cut(monitor, 1)
    step(monitor, ENTRIES[200:])
    first = cut.portion(None)
    assert first.is_last
    pumps, records = everything(monitor)
    second = Cut(monitor, 2).portion(None)
    assert (second.pumps, second.records) == (pumps, records)
    assert second.pumps.keys() == first.pumps.keys()
    assert second.pumps != first.pumps


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_portion_has_no_more_than_its_limit(limit: int) -> None:
    monitor = Monitor(MonitorSettings(stall_ms=60_000))
    step(monitor, ENTRIES)
    count = len(monitor.touched) + len(monitor.therapies.touched)
    cut, sizes = Cut(monitor, 1), []
    while True:
        portion = cut.portion(limit)
        sizes.append(len(portion.pumps) + len(portion.records))
        if portion.is_last:
            break
    assert sum(sizes) == count
    assert max(sizes) == limit

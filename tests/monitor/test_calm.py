"""When the collector of cycles is relieved of the fleet."""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from infusion.messages import AlertChange
from infusion.monitor import Monitor, MonitorSettings
from infusion.state import first_minute_ms
from monitor.calm import Calm
from monitor.ports import Entry
from monitor.runner import step
from tests.monitor.streams import ward


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_small_ward_is_left_alone() -> None:
    fleet: list[None] = []
    calm = Calm(fleet)
    while len(fleet) < 999:
        calm.watch()
        fleet.append(None)
    assert (calm.times, gc.get_freeze_count()) == (0, 0)


def test_a_fleet_is_set_aside_a_few_dozen_times_however_large_it_grows() -> None:
    fleet: list[None] = []
    calm = Calm(fleet)
    while len(fleet) < 200_000:
        fleet += [None] * 50
        calm.watch()
    assert gc.get_freeze_count() > 0
    assert calm.times < 40


def test_the_state_of_a_pump_is_hardly_looked_at() -> None:
    """Lists are always; nothing else that is kept of a pump without alerts is."""
    entries = [Entry(at_ms, topic, payload, "1") for at_ms, topic, payload in ward()]
    monitor = Monitor(MonitorSettings(stall_ms=60_000))
    said, _ = step(monitor, entries)
    assert any(isinstance(each, AlertChange) for each in said)
    for state in monitor.pumps.values():
        for each in (state, state.board, state.account, state.level, *state.board.tracks.values()):
            assert not gc.is_tracked(each)
    for record in monitor.therapies.records.values():
        assert not gc.is_tracked(record)


def test_a_fleet_that_is_first_heard_at_once_is_not_looked_at_at_once() -> None:
    """Each pump has an instant of the minute of its own; asked for by who runs a fleet live."""
    keys = [f"home/P-{number}" for number in range(6_000)]
    assert {first_minute_ms(MonitorSettings(), key) for key in keys} == {60_000}
    spread = [first_minute_ms(MonitorSettings(spreads_looks=True), key) for key in keys]
    assert all(0 < each <= 60_000 for each in spread)
    seconds = Counter((each - 1) // 1_000 for each in spread)
    assert len(seconds) == 60
    assert max(seconds.values()) < 2 * len(keys) / 60

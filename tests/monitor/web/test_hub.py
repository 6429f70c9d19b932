"""What the hub tells, told to listeners without a server: any order of things gives the same."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.web import hub as hub_module
from monitor.web import picture as picture_module
from monitor.web.hub import Hub, Listener
from monitor.web.rows import Patch, PumpRow, Viewer, pump_row
from tests.infusion.bench import SITE
from tests.monitor.web.listening import Picture, read_events
from tests.monitor.web.scripted import ScriptedWard, fleet, names

PUMPS = names(4)
NOBODY = Viewer("nobody", [])


def listener(*, wants_pumps: bool = True) -> Listener:
    return Listener(NOBODY, wants_pumps, lambda: 0, lambda: None)


async def settle() -> None:
    """Let the hub do what it has begun: it flushes without waiting in these tests."""
    for _ in range(10):
        await asyncio.sleep(0)


def take(hub: Hub, who: Listener, picture: Picture) -> int:
    """Take what is new into a picture; how many bytes it was."""
    events = hub.take(who)
    picture.take(read_events(events.decode()))
    return len(events)


async def fresh(hub: Hub) -> Picture:
    picture, who = Picture(), listener()
    await hub.enter(who)
    take(hub, who, picture)
    hub.leave(who)
    return picture


def play(ward: ScriptedWard, step: tuple[str, str, int]) -> None:
    """One step of a story."""
    what, pump, seconds = step
    paper = ward.papers[pump]
    if what == "stop":
        paper.stop(alarms=("air-in-line",))
    elif what == "start":
        paper.start(alarms=())
    elif what == "mute":
        paper.mute(not paper.muted)
    elif what == "battery":
        paper.set(battery=0.1, alarms=("battery-low",)).send()
    elif what == "act":
        found = ward.monitor.open_alerts(f"{SITE}/{pump}")
        if found.alerts or found.unseen:
            ward.do(pump, "acknowledge")
    ward.advance(seconds)


STEPS = st.tuples(
    st.sampled_from(("stop", "start", "mute", "battery", "act", "run")),
    st.sampled_from(PUMPS),
    st.sampled_from((0, 1, 10, 60, 400)),
)


@given(story=st.lists(st.tuples(STEPS, st.booleans(), st.booleans()), max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_snapshot_and_its_patches_are_a_new_snapshot(story: list[Any]) -> None:
    """Whenever a viewer takes what is new, and whenever it is away and comes back."""

    async def run() -> None:
        ward = ScriptedWard()
        fleet(ward, len(PUMPS))
        hub = Hub(ward, "test", flush_s=0.0)
        eager, lazy, guest = listener(), listener(), listener()
        pictures = [Picture(), Picture(), Picture()]
        for who in (eager, lazy, guest):
            await hub.enter(who)
        for step, takes, is_away in story:
            play(ward, step)
            await settle()
            take(hub, eager, pictures[0])
            if takes:
                take(hub, lazy, pictures[1])
            if is_away:
                take(hub, guest, pictures[2])
                hub.leave(guest)
                guest = listener()
                await hub.enter(guest, pictures[2].last_id)
        await settle()
        for who, picture in zip((eager, lazy, guest), pictures, strict=True):
            take(hub, who, picture)
        new = await fresh(hub)
        for picture in pictures:
            assert picture.rows == new.rows
            assert picture.lists == new.lists
            assert picture.snapshots == 1
        boards = {key: ward.monitor.open_alerts(key) for key in ward.monitor.pumps}
        assert new.lists == {
            key: (list(board.alerts), list(board.unseen))
            for key, board in boards.items()
            if board.alerts or board.unseen
        }
        hub.close()

    asyncio.run(run())


async def test_rows_are_made_once_for_all_viewers() -> None:
    ward = ScriptedWard()
    fleet(ward, 10)
    hub = Hub(ward, "test", flush_s=0.0)
    everybody = [listener() for _ in range(50)]
    for who in everybody:
        await hub.enter(who)
        hub.take(who)
    made = hub.totals.rows
    ward.advance(10)
    await settle()
    sent = [hub.take(who) for who in everybody]
    assert hub.totals.rows - made == 10
    assert all(each is sent[0] or each == sent[0] for each in sent)
    assert b"patch" in sent[0]
    hub.close()


async def test_a_viewer_that_is_far_behind_costs_one_row_a_pump() -> None:
    ward = ScriptedWard()
    fleet(ward, 20)
    hub = Hub(ward, "test", flush_s=0.0)
    slow, quick = listener(), listener()
    pictures = Picture(), Picture()
    for who, picture in zip((slow, quick), pictures, strict=True):
        await hub.enter(who)
        take(hub, who, picture)
    largest = 0
    for _ in range(100):
        ward.advance(10)
        await settle()
        largest = max(largest, take(hub, quick, pictures[1]))
    assert take(hub, slow, pictures[0]) <= 2 * largest
    assert pictures[0].patches == 1
    assert pictures[1].patches == 100
    assert pictures[0].rows == pictures[1].rows
    hub.close()


async def test_a_flush_makes_so_many_rows_and_no_more_but_alerts_do_not_wait() -> None:
    count = picture_module.ROWS_A_FLUSH_MAX + 50
    ward = ScriptedWard()
    fleet(ward, count)
    hub = Hub(ward, "test", flush_s=0.05)
    who, picture = listener(), Picture()
    await hub.enter(who)
    take(hub, who, picture)
    made, last = hub.totals.rows, names(count)[-1]
    ward.papers[last].stop(alarms=("air-in-line",))
    news = hub.news
    ward.advance(10)
    await news.wait()
    bodies = [each.body for each in read_events(hub.take(who).decode())]
    (patch,) = [each for each in bodies if isinstance(each, Patch)]
    assert len(patch.pumps) == hub.totals.rows - made == picture_module.ROWS_A_FLUSH_MAX
    assert f"{SITE}/{last}" in {each.key for each in patch.lists}
    while hub.totals.rows - made < count:
        await hub.news.wait()
    hub.close()


async def test_the_monitor_works_on_while_the_first_viewer_is_made_everything() -> None:
    count = 6 * hub_module.FILL_ROWS
    ward = ScriptedWard()
    fleet(ward, count)
    hub = Hub(ward, "test")
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    who = listener()
    await hub.enter(who)
    working.cancel()
    assert hub.totals.rows == count
    assert turns >= 6
    hub.close()


async def test_the_hub_sleeps_while_nobody_watches() -> None:
    ward = ScriptedWard()
    fleet(ward, 3)
    hub = Hub(ward, "test", linger_s=0.0)
    assert not ward.watchers
    who = listener()
    await hub.enter(who)
    assert len(ward.watchers) == 1
    hub.leave(who)
    for _ in range(200):
        if not hub.is_awake:
            break
        await asyncio.sleep(0.05)
    assert not ward.watchers
    ward.advance(10)
    picture = await fresh(hub)
    assert picture.rows == {key: pump_row(ward.monitor, key) for key in ward.monitor.pumps}
    hub.close()
    assert not ward.watchers


async def test_what_is_unknown_of_a_silent_pump_grows_though_nothing_is_heard() -> None:
    ward = ScriptedWard()
    fleet(ward, 2)
    hub = Hub(ward, "test", flush_s=0.0)
    who, picture = listener(), Picture()
    await hub.enter(who)
    ward.papers["P-02"].mute()
    highest: list[float] = []
    for _ in range(3):
        ward.advance(600)
        beat = hub.take(who)
        while b"patch" not in beat:
            await hub.news.wait()
            beat = hub.take(who)
        await asyncio.sleep(1.2)
        picture.take(read_events((beat + hub.take(who)).decode()))
        row = picture.rows[f"{SITE}/P-02"]
        assert row.silent
        assert row.dose is not None
        assert row.dose.low_iu < row.dose.high_iu
        highest.append(row.dose.high_iu)
    assert highest[0] < highest[1] < highest[2]
    hub.close()


async def test_a_pump_that_is_heard_for_the_first_time_appears() -> None:
    ward = ScriptedWard()
    hub = Hub(ward, "test", flush_s=0.0)
    who, picture = listener(), Picture()
    await hub.enter(who)
    take(hub, who, picture)
    assert picture.rows == {}
    fleet(ward, 2)
    await settle()
    take(hub, who, picture)
    assert set(picture.rows) == {f"{SITE}/P-01", f"{SITE}/P-02"}
    hub.close()


async def test_a_hub_that_fails_ends_all_streams_and_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ward = ScriptedWard()
    fleet(ward, 1)
    hub = Hub(ward, "test", flush_s=0.0)
    ended: list[str] = []
    who = Listener(NOBODY, True, lambda: 0, lambda: ended.append("ended"))
    await hub.enter(who)
    account = ward.monitor.pumps[f"{SITE}/P-01"].account
    ward.monitor.pumps[f"{SITE}/P-01"].account = None  # type: ignore[assignment]
    for watcher in ward.watchers:
        watcher(frozenset({f"{SITE}/P-01"}), ())
    await settle()
    assert ended == ["ended"]
    assert hub.take(who) == b""
    ward.monitor.pumps[f"{SITE}/P-01"].account = account
    hub.leave(who)
    assert set((await fresh(hub)).rows) == {f"{SITE}/P-01"}
    hub.close()


def test_a_pump_that_never_spoke_has_a_row() -> None:
    ward = ScriptedWard()
    ward.begin("P-01")
    state = ward.monitor.pumps[f"{SITE}/P-01"]
    state.telemetry = state.event = state.presence = None
    row = pump_row(ward.monitor, f"{SITE}/P-01")
    assert isinstance(row, PumpRow)
    assert (row.heard_ms, row.status, row.rate_ml_h, row.dose, row.online) == (None,) * 5

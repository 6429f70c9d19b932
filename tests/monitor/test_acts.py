"""What nurses do, on real brokers: one is first, the other is told so, and no kill doubles it."""

import asyncio
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from infusion.messages import Act, Alert, AlertChange, Audit, Kind, OpenAlerts, encode
from link import Link
from monitor.service import MonitorService
from monitor.store import SqliteStore
from tests.brokers import BrokerProcess, Embedded, Mosquitto
from tests.monitor.peers import (
    WAIT_S,
    collect,
    content,
    peer,
    play,
    service_settings,
    start,
    stop_gracefully,
)
from tests.monitor.streams import Wire, act, topic_of, ward


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A running broker of each kind."""
    process = Embedded() if request.param == "embedded" else Mosquitto(tmp_path)
    process.start()
    yield process
    process.stop()


def troubled() -> Wire:
    """The ward until five minutes after P-02 was given a tenfold rate."""
    wire = ward()
    return [entry for entry in wire if entry[0] <= wire[0][0] + 10 * 60_000]


async def open_alert(broker: BrokerProcess) -> Alert:
    """The open alert of the tenfold rate, as a late joiner sees it."""
    async with peer(broker, Kind.ALERTS, name="late") as link, asyncio.timeout(WAIT_S):
        while True:
            for message in await collect(link, 1):
                open_ = content(message)
                assert isinstance(open_, OpenAlerts)
                for alert in open_.alerts:
                    if (alert.pump, alert.rule) == ("P-02", "rate-not-as-ordered"):
                        return alert


def say(link: Link, *acts: Act) -> None:
    for each in acts:
        link.publish(topic_of(each), encode(each), user_properties=(("contract", "1"),))


async def answers(link: Link, count: int) -> list[Audit]:
    found = []
    for message in await collect(link, count):
        audit = content(message)
        assert isinstance(audit, Audit)
        found.append(audit)
    return found


async def test_of_two_nurses_at_once_one_takes_it(broker: BrokerProcess, tmp_path: Path) -> None:
    """Both saw the same version: one has it, the other is told who; a restart keeps it so."""
    service = MonitorService(service_settings(broker, tmp_path))
    async with peer(broker, Kind.AUDIT) as link:
        running = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), WAIT_S)
        await play(link, troubled())
        alert = await open_alert(broker)
        now_ms = alert.changed_ms
        mine = act(alert, "A-1", "take", now_ms, until_ms=now_ms + 3_600_000)
        theirs = structs.replace(mine, act="A-2", by="nurse-2")
        async with peer(broker, name="other") as other:
            say(link, mine)
            say(other, theirs)
            done, late = await answers(link, 2)
        assert (done.outcome, late.outcome) == ("done", "late")
        assert done.act.by in late.sentence
        say(link, structs.replace(mine, act="A-3", alert=f"{alert.id}1"))
        say(link, structs.replace(mine, act="A-4", pump="P-77"))
        refused = await answers(link, 2)
        assert {(audit.pump, audit.outcome) for audit in refused} == {
            ("P-02", "refused"),
            ("P-77", "refused"),
        }
        totals = service.status().totals
        assert (totals.acts_done, totals.acts_late, totals.acts_refused) == (1, 1, 2)
        service.stop()
        await asyncio.wait_for(running, WAIT_S)
        again = MonitorService(service_settings(broker, tmp_path))
        running = asyncio.create_task(again.run())
        await asyncio.wait_for(again.ready.wait(), WAIT_S)
        (kept,) = [pump.alerts for pump in again.status().pumps if pump.pump == "P-02"]
        (taken,) = [each.facts.taken for each in kept if each.rule == alert.rule]
        assert taken is not None
        assert taken.by == done.act.by
        say(link, structs.replace(mine, act="A-5", by="nurse-3"))
        (third,) = await answers(link, 1)
        assert third.outcome == "late"
        again.stop()
        await asyncio.wait_for(running, WAIT_S)


async def test_acts_survive_kill_9_and_none_is_doubled(tmp_path: Path) -> None:
    """Forty notes, each sent twice, while the monitor is killed again and again."""
    chance = random.Random()
    store = tmp_path / "monitor.sqlite3"
    with Mosquitto(tmp_path) as broker:
        process = start(broker, store)
        async with peer(broker, Kind.MONITOR_PRESENCE) as link:
            await collect(link, 2)
            await play(link, troubled())
        alert = await open_alert(broker)
        notes = [
            act(alert, f"N-{n}", "note", alert.changed_ms, text=f"note {n}") for n in range(40)
        ]
        async with peer(broker, Kind.AUDIT, name="audits") as link:
            speaking = asyncio.create_task(_speak(link, notes))
            for _ in range(8):
                await asyncio.sleep(chance.uniform(0.2, 1.2))
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start(broker, store)
            await speaking
            heard: dict[str, Audit] = {}
            async with asyncio.timeout(30):
                while len(heard) < len(notes):
                    for audit in await answers(link, 1):
                        assert heard.setdefault(audit.act.act, audit) == audit
            await stop_gracefully(process, broker)
    assert {audit.outcome for audit in heard.values()} == {"done"}
    async with SqliteStore(store) as stored:
        await stored.load()
        said = [numbered.said for numbered in await stored.said()]
    kept = [each for each in said if isinstance(each, Audit)]
    assert sorted(audit.act.act for audit in kept) == sorted(note.act for note in notes)
    noted = [each for each in said if isinstance(each, AlertChange) and each.change == "noted"]
    assert len(noted) == len({change.alert.version for change in noted}) == len(notes)


async def _speak(link: Link, acts: list[Act]) -> None:
    """Say each act twice, at the pace of an impatient hand."""
    for each in acts:
        say(link, each, each)
        await asyncio.sleep(0.1)
    await link.drain(WAIT_S)

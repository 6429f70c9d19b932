"""The monitor as a process, on real brokers: alerts out, presence, restarts, kill -9."""

import asyncio
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from infusion.messages import (
    AlertChange,
    Kind,
    OpenAlerts,
    decode,
    encode,
    parse_topic,
)
from link import Link
from monitor.service import MonitorService, RecordCounts
from monitor.store import SqliteStore
from tests.brokers import BrokerProcess, Embedded, Mosquitto
from tests.monitor.peers import (
    WAIT_S,
    as_said,
    by_pump,
    changes_of,
    collect,
    expected,
    peer,
    play,
    presences,
    service_settings,
    start,
    stop_gracefully,
)
from tests.monitor.streams import result, told, topic_of, ward

# Of the monitor that is killed again and again; its stream comes 85 times as fast as time.
KILL_SPEED = 10.0


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A running broker of each kind."""
    process = Embedded() if request.param == "embedded" else Mosquitto(tmp_path)
    process.start()
    yield process
    process.stop()


async def test_alerts_reach_the_log_and_the_retained_lists(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    """The log on a real broker is what the core says; a late joiner gets every open list."""
    whole = ward()
    wire = [entry for entry in whole if entry[0] <= whole[0][0] + 25 * 60_000]
    _, told = expected(wire)
    service = MonitorService(service_settings(broker, tmp_path))
    async with peer(broker, Kind.ALERT_LOG) as link:
        running = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), WAIT_S)
        await play(link, wire)
        heard = changes_of(await collect(link, len(told)))
        assert by_pump(heard) == by_pump(told)
        async with peer(broker, Kind.ALERTS, name="late") as late:
            versions = {pump: len(changes) for pump, changes in by_pump(told).items()}
            found: dict[str, int] = {}
            async with asyncio.timeout(WAIT_S):
                # A list follows its change, so the last ones may still be on their way.
                while found != versions:
                    for message in await collect(late, 1):
                        open_ = decode(parse_topic(message.topic), message.payload)
                        assert isinstance(open_, OpenAlerts)
                        found[open_.pump] = open_.version
        service.stop()
        await asyncio.wait_for(running, WAIT_S)


async def test_results_and_reports_reach_the_core(broker: BrokerProcess, tmp_path: Path) -> None:
    """What the clinic publishes is in the record of its therapy, also after a restart."""
    level, report = result("T-01", "00:10"), told("T-01", "00:11")
    service = MonitorService(service_settings(broker, tmp_path))
    async with peer(broker, Kind.MONITOR_PRESENCE) as link:
        running = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), WAIT_S)
        messages = (level, report, level)
        await play(link, [(0, topic_of(message), encode(message)) for message in messages])
        async with asyncio.timeout(WAIT_S):
            # Each beat is published after what the peer has sent.
            while service.status().records != RecordCounts(therapies=1, results=1, reports=1):
                await collect(link, 1)
        service.stop()
        await asyncio.wait_for(running, WAIT_S)
    async with SqliteStore(tmp_path / "monitor.sqlite3") as store:
        records = (await store.load()).records
    assert (records["home/T-01"].results, records["home/T-01"].reports) == ([level], [report])


async def test_messages_that_come_close_together_share_a_commit(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    """A stream of single messages is taken in batches, because each commit has its price."""
    wire = ward()[:400]
    service = MonitorService(service_settings(broker, tmp_path))
    async with peer(broker) as link:
        running = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), WAIT_S)
        for _, topic, payload in wire:
            link.publish(topic, payload)
            await asyncio.sleep(0.001)
        await link.drain(WAIT_S)
        service.stop()
        await asyncio.wait_for(running, WAIT_S)
    totals = service.status().totals
    assert totals.messages > len(wire) // 2
    assert totals.batches < totals.messages // 3


async def test_the_monitor_says_when_it_comes_and_goes(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    """Presence: a heartbeat while it lives, "offline" at a normal end and, by the will, at death."""
    service = MonitorService(service_settings(broker, tmp_path))
    async with peer(broker, Kind.MONITOR_PRESENCE) as link:
        running = asyncio.create_task(service.run())
        states = [presence.state for presence in presences(await collect(link, 3))]
        assert states == ["online"] * 3
        service.stop()
        await asyncio.wait_for(running, WAIT_S)
        await until_offline(link)
        process = start(broker, tmp_path / "second.sqlite3")
        try:
            assert presences(await collect(link, 2))[-1].state == "online"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        await until_offline(link)


async def until_offline(link: Link) -> None:
    async with asyncio.timeout(WAIT_S):
        while presences(await collect(link, 1))[-1].state == "online":
            pass


async def test_kill_9_anywhere_says_each_alert_once_and_loses_no_dose(tmp_path: Path) -> None:
    """Twenty kills while six pumps publish: log and accounts are those of a run without kills.

    The stream has no silent pump: an absence is timed while the monitor lives, so how late it is
    raised depends on how long the monitor was dead. And the monitor's clock runs well behind the
    stream's: at the same pace, a message that a busy machine brings half a second late is half a
    minute late to the pump, and an alert that is due in between tells of a pump last heard before.
    """
    wire = ward()
    monitor, told = expected(wire)
    chance = random.Random()
    store = tmp_path / "monitor.sqlite3"
    with Mosquitto(tmp_path) as broker:
        async with peer(broker, Kind.ALERT_LOG) as link:
            # The session must exist before the first pump speaks, as at a first installation.
            await stop_gracefully(start(broker, store, speed=KILL_SPEED), broker)
            playing = asyncio.create_task(play(link, wire, pace_s=0.7))
            for _ in range(20):
                process = start(broker, store, speed=KILL_SPEED)
                await asyncio.sleep(chance.uniform(0.3, 1.7))
                process.send_signal(signal.SIGKILL)
                process.wait()
            await playing
            process = start(broker, store, speed=KILL_SPEED)
            heard: dict[tuple[str, int], AlertChange] = {}
            async with asyncio.timeout(30):
                while len(heard) < len(told):
                    for change in changes_of(await collect(link, 1)):
                        key = (change.alert.id, change.alert.version)
                        assert heard.setdefault(key, change) == change
            await stop_gracefully(process, broker)
    assert by_pump(list(heard.values())) == by_pump(told)
    async with SqliteStore(store) as stored:
        pumps = {f"{pump.site}/{pump.pump}": pump for pump in (await stored.load()).pumps}
        said = [numbered.said for numbered in await stored.said()]
        log = [each for each in said if isinstance(each, AlertChange)]
    assert by_pump(log) == by_pump(told)
    for pump, state in monitor.pumps.items():
        assert pumps[pump].account.pumped_nl == state.account.pumped_nl
        assert pumps[pump].account.pumped_iu == pytest.approx(state.account.pumped_iu, rel=1e-9)
        assert as_said(pumps[pump].board) == as_said(state.board)

"""Several workers of one monitor on a real broker: whoever is killed, nothing is lost or new."""

import asyncio
import os
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from infusion.messages import AlertChange, Kind
from infusion.monitor import PumpState
from link import Link
from monitor.cli import command
from monitor.partition import parts
from monitor.store import SqliteStore
from tests.brokers import Mosquitto
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
    start,
)
from tests.monitor.streams import ward

WORKERS = 2
KILLS = 12
# Well behind the stream, which comes 85 times as fast as time: see test_service.py.
SPEED = 10.0
RETRY_S = 0.02


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of the workers that live now."""
    try:
        text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in text.split()]


async def a_worker_of(process: subprocess.Popen[bytes], chance: random.Random) -> int:
    """Any worker; there is always one, but for the moment in which it is started again."""
    for _ in range(round(WAIT_S / RETRY_S)):
        if alive := workers_of(process):
            return chance.choice(alive)
        await asyncio.sleep(RETRY_S)
    raise AssertionError("no worker was started again")


async def until_all(link: Link, state: str, times: int = 1) -> None:
    """Wait until each worker has said so often that it is online, or offline."""
    wanted = {f"monitor-1-{number}" for number in range(1, WORKERS + 1)}
    said: Counter[str] = Counter()
    async with asyncio.timeout(WAIT_S):
        while any(said[name] < times for name in wanted):
            for presence in presences(await collect(link, 1)):
                said[presence.instance] += presence.state == state


async def stop_well(process: subprocess.Popen[bytes], broker: Mosquitto) -> None:
    """Wait until all workers are at work, then end them with SIGTERM to the one that keeps them."""
    async with peer(broker, Kind.MONITOR_PRESENCE, name=f"watch-{process.pid}") as link:
        # One that was just started again says so before it takes what waits for it.
        await until_all(link, "online", times=4)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, WAIT_S) == 0


async def kept(store: Path) -> tuple[dict[str, PumpState], list[AlertChange]]:
    """All pumps of all stores, and the log of each."""
    pumps: dict[str, PumpState] = {}
    log: list[AlertChange] = []
    for part in parts(WORKERS):
        async with SqliteStore(part.store(store)) as opened:
            for state in (await opened.load()).pumps:
                key = f"{state.site}/{state.pump}"
                assert part.owns(key)
                pumps[key] = state
            said = [numbered.said for numbered in await opened.said()]
            log += [each for each in said if isinstance(each, AlertChange)]
    return pumps, log


async def test_kill_9_of_any_worker_says_each_alert_once_and_loses_no_dose(tmp_path: Path) -> None:
    """Workers are killed again and again while six pumps publish: alerts, their order and accounts
    are those of one monitor that nobody kills.
    """
    wire = ward()
    monitor, told = expected(wire)
    chance = random.Random()
    store = tmp_path / "monitor.sqlite3"
    more = ("--workers", str(WORKERS))
    with Mosquitto(tmp_path) as broker:
        async with peer(broker, Kind.ALERT_LOG) as link:
            # The sessions must exist before the first pump speaks, as at a first installation.
            await stop_well(start(broker, store, *more, speed=SPEED), broker)
            process = start(broker, store, *more, speed=SPEED)
            playing = asyncio.create_task(play(link, wire, pace_s=0.7))
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.5, 2.0))
                os.kill(await a_worker_of(process, chance), signal.SIGKILL)
            await playing
            heard: dict[tuple[str, int], AlertChange] = {}
            async with asyncio.timeout(30):
                while len(heard) < len(told):
                    for change in changes_of(await collect(link, 1)):
                        key = (change.alert.id, change.alert.version)
                        assert heard.setdefault(key, change) == change
            await stop_well(process, broker)
    assert by_pump(list(heard.values())) == by_pump(told)
    pumps, log = await kept(store)
    assert by_pump(log) == by_pump(told)
    assert set(pumps) == set(monitor.pumps)
    for pump, state in monitor.pumps.items():
        assert pumps[pump].account.pumped_nl == state.account.pumped_nl
        assert pumps[pump].account.pumped_iu == pytest.approx(state.account.pumped_iu, rel=1e-9)
        assert as_said(pumps[pump].board) == as_said(state.board)


async def test_workers_end_when_the_one_that_keeps_them_is_killed(tmp_path: Path) -> None:
    """Each says "offline" as at a normal end, so it has stored its state; no orphan works on."""
    with Mosquitto(tmp_path) as broker:
        process = start(broker, tmp_path / "monitor.sqlite3", "--workers", str(WORKERS))
        async with peer(broker, Kind.MONITOR_PRESENCE) as link:
            await until_all(link, "online")
            process.send_signal(signal.SIGKILL)
            process.wait()
            await until_all(link, "offline")


async def test_a_worker_that_cannot_go_on_ends_them_all(tmp_path: Path) -> None:
    """No broker: the exit code is that of one monitor that finds none."""
    with Mosquitto(tmp_path) as broker:
        (tmp_path / "monitor.2-of-2.sqlite3").write_bytes(b"no database" * 100)
        process = start(broker, tmp_path / "monitor.sqlite3", "--workers", str(WORKERS))
        assert await asyncio.to_thread(process.wait, WAIT_S) == 4
        assert workers_of(process) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--workers", "2", "--web", "8420"], "the page shows the pumps of one process"),
        (["--workers", "0"], "workers"),
        (["--workers", "65"], "workers"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert text in result.stderr


def test_all_workers_must_be_well(tmp_path: Path) -> None:
    """`--health` looks at every store."""
    store = tmp_path / "monitor.sqlite3"
    result = CliRunner().invoke(command, ["--health", "--workers", "2", "--store", str(store)])
    assert result.exit_code == 4
    assert "monitor.1-of-2.sqlite3" in result.stderr

"""`--record` and `dripwatch replay` from end to end, on real brokers; and a clone's take-over."""

import asyncio
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from infusion.messages import Presence, decode, parse_topic
from link import LinkSettings, Message, Subscription, open_link
from simulator.recording import read_recording
from simulator.replay import Replay, ReplaySettings, describe_recording
from simulator.service import Simulator
from simulator.setup import Setup, SimulatorSettings
from simulator.stream import Connect, Outgoing
from tests.brokers import BrokerProcess, Embedded, Mosquitto
from tests.dripwatch.commands import dripwatch, start
from tests.simulator.bench import START_MS, minutes, scenario, shipped_profile

STORY = """
pumps = 3
[[fault]]
at = "00:02"
until = "00:04"
pump = "P-02"
do = "offline"
"""
CLONED = """
pumps = 2
[[fault]]
at = "00:01"
until = "00:05"
pump = "P-02"
do = "clone"
boot = 9
swap_s = 60
"""


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerProcess]:
    made = Embedded() if request.param == "embedded" else Mosquitto(tmp_path, is_durable=False)
    with made as running:
        yield running


class Observer:
    """Everything that passes a broker, by topic, in order."""

    def __init__(self, port: int) -> None:
        self.seen: dict[str, list[Message]] = defaultdict(list)
        self._settings = LinkSettings(port=port, client_id="observer")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Observer":
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._listen(ready))
        await asyncio.wait_for(ready.wait(), 5)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        # What is on its way still comes.
        await asyncio.sleep(0.3)
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _listen(self, ready: asyncio.Event) -> None:
        async with open_link(self._settings, subscriptions=[Subscription("infusion/#")]) as link:
            await link.connected(5.0)
            ready.set()
            while True:
                messages = await link.receive()
                for message in messages:
                    self.seen[message.topic].append(message)
                link.acknowledge(messages)

    def payloads(self, *, presence: bool = False) -> dict[str, list[bytes]]:
        return {
            topic: [message.payload for message in messages if not message.retain]
            for topic, messages in self.seen.items()
            if presence or not topic.endswith("/presence")
        }


def settings_for(port: int) -> LinkSettings:
    return LinkSettings(port=port, backoff_min_s=0.05, backoff_max_s=0.2)


def simulator(port: int, story: str, record: Path | None, speed: float) -> Simulator:
    settings = SimulatorSettings(
        start_ms=START_MS, first_boot=1, record=None if record is None else str(record)
    )
    setup = Setup(scenario=scenario(story), profile=shipped_profile())
    return Simulator(settings, settings_for(port), setup, speed=speed)


async def test_a_replay_says_the_same_bytes_in_the_same_order(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "r.gz"
    async with Observer(broker.port) as live:
        await simulator(broker.port, STORY, file, 600.0).run(for_s=0.5)
    async with Observer(broker.port) as again:
        recording = read_recording(str(file))
        replay = Replay(recording, settings_for(broker.port), ReplaySettings(), speed=600.0)
        await replay.run()
    assert recording.cut_line is None
    assert replay.counters.refused == replay.counters.dropped == 0
    assert len(live.seen) == 3 * 3 + 3
    # The broker retains the last presence of the first run, which the observer hears first.
    assert again.payloads() == live.payloads()
    assert again.payloads(presence=True) == live.payloads(presence=True)


async def test_two_recordings_of_a_seed_are_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "1.gz", tmp_path / "2.gz"]
    with Embedded() as broker:
        for file in files:
            await simulator(broker.port, STORY, file, 300.0).run(for_s=0.4)
    assert files[0].read_bytes() == files[1].read_bytes()


async def test_a_replay_from_the_middle_begins_with_how_things_stood(tmp_path: Path) -> None:
    file = tmp_path / "r.gz"
    with Embedded() as broker:
        await simulator(broker.port, STORY, file, 600.0).run(for_s=0.6)
        async with Observer(broker.port) as seen:
            recording = read_recording(str(file))
            replay = Replay(
                recording,
                settings_for(broker.port),
                ReplaySettings(),
                speed=600.0,
                from_ms=180_000,
            )
            await replay.run(for_s=0.2)
    assert len([topic for topic in seen.seen if topic.endswith("/order")]) == 3
    times = [m.time_ms for m in telemetry(seen, "P-01")]
    assert minutes(3) <= min(times) <= minutes(3.2)
    assert max(times) <= minutes(5)
    # P-02 was off-line then; what it had kept comes when it comes back.
    assert min(m.time_ms for m in telemetry(seen, "P-02")) < minutes(2.5)


def telemetry(seen: Observer, pump: str) -> list[Presence]:
    topic = f"infusion/v1/home/{pump}/telemetry"
    found = [decode(parse_topic(topic), message.payload) for message in seen.seen[topic]]
    return found  # type: ignore[return-value]


async def test_the_broker_itself_gives_a_clone_the_session(broker: BrokerProcess) -> None:
    """The older connection is ended by the broker, and its will goes out; then the other way."""
    run = simulator(broker.port, CLONED, None, 240.0)
    outputs: list[object] = []
    async with Observer(broker.port) as seen:
        await run.run(for_s=1.5, on_output=outputs.extend)
    said = [o.payload for o in outputs if isinstance(o, Outgoing) and "P-02/tele" in o.topic]
    heard = seen.payloads()["infusion/v1/home/P-02/telemetry"]
    assert set(heard) == set(said), "nothing is lost in a take-over"
    clones = [o for o in outputs if isinstance(o, Connect) and o.client == "P-02"]
    assert len(clones) == 2
    topic = "infusion/v1/home/P-02/presence"
    states = [decode(parse_topic(topic), m.payload) for m in seen.seen[topic]]
    story = [(m.boot, m.state) for m in states if isinstance(m, Presence)]
    if isinstance(broker, Mosquitto):
        turns = [(1, "online"), (1, "offline"), (9, "online"), (9, "offline")] * 2
        assert story == [*turns, (1, "online"), (1, "offline")]
    # The embedded broker (rumqttd) publishes the newcomer's will in place of the older one's.
    assert [boot for boot, state in story if state == "online"] == [1, 9, 1, 9, 1]
    assert len([boot for boot, state in story if state == "offline"]) == 5
    assert run.publisher.counters.refused == 0


def test_the_commands_record_tell_and_replay(tmp_path: Path) -> None:
    file = tmp_path / "run.gz"
    story = tmp_path / "story.toml"
    story.write_text(STORY)
    with Embedded() as broker:
        url = f"mqtt://127.0.0.1:{broker.port}"
        simulate = dripwatch(
            "simulate", "--broker", url, "--scenario", str(story), "--record", str(file),
            "--speed", "300", "--for", "0.6",
            variables={"DRIPWATCH_SIMULATOR_START_MS": str(START_MS)},
        )  # fmt: skip
        assert simulate.returncode == 0, simulate.stderr
        info = dripwatch("replay", str(file), "--info")
        assert info.returncode == 0, info.stderr
        told = re.sub(r"scenario = .*", "scenario = …", info.stdout)
        assert re.sub(r"dripwatch = .*", "dripwatch = …", told) == snapshot("""\
format = dripwatch-recording
version = 1
dripwatch = …
scenario = …
profile = ambulatory
seed = 1
pumps = 3
start_ms = 1790000000000
speed = 300.0
site = home
length_s = 180
sessions = 4
connect = 4
disconnect = 4
event = 3
order = 3
presence = 5
telemetry = 52
whole = yes
""")
        played = dripwatch("replay", str(file), "--broker", url, "--speed", "300")
        assert played.returncode == 0, played.stderr
        file.write_bytes(file.read_bytes()[:-40])
        stopped = start("replay", str(file), "--broker", url)
        assert stopped.stderr is not None
        assert "replay starts" in stopped.stderr.readline()
        time.sleep(1)
        began_s = time.monotonic()
        stopped.send_signal(signal.SIGINT)
        try:
            stopped.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            stopped.kill()
            raise
        assert time.monotonic() - began_s < 3
        assert stopped.returncode == 0
        cut = dripwatch("replay", str(file), "--broker", url, "--speed", "1000")
        assert cut.returncode == 0, cut.stderr
        assert "the recording was cut off" in cut.stderr
    assert "whole = no: cut off at line" in describe_recording(read_recording(str(file)))


def test_a_file_that_is_no_recording_is_named() -> None:
    done = dripwatch("replay", "pyproject.toml", "--info")
    assert done.returncode == 2
    assert "pyproject.toml: it is not compressed by gzip" in done.stderr

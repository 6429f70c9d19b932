"""The monitor's whole path beside an aiomqtt loop: `python -m benchmarks.intake`.

Both are processes of their own on the same broker and get the same messages, QoS 1, on the same
topics: real telemetry of a fleet (benchmarks/stream.py).

- **monitor**: `python -m monitor` as shipped. MQTT in, decode, account, all rules, a durable commit
  (SQLite on a file, `synchronous = FULL`), acknowledge, alerts out.
- **aiomqtt**: receives and calls `json.loads` (benchmarks/peer.py). No account, no rule, no store.
  Once over MQTT 5, where it gets what the monitor gets, and once over MQTT 3.1.1, where there are
  no properties to read (content type and contract), which costs it less than half.

**Method.** Each round has a fresh broker and a fresh store. Both sessions are made first, then all
messages are published once and wait in the broker. Then one after the other is started and works
its queue off, alone; who goes first changes from round to round. So nobody waits for a publisher,
and they do not take the processor from one another; the broker does run beside each of them.

**What is counted.** From the instant the process is connected until the last message is handled:
wall time, and the process's own processor time, user and system, all threads. Start-up is outside.
The monitor is watched from outside: its last messages make it raise alerts, and the end is when
these are seen on the broker, so the way of an alert is inside.

**What is checked.** After each round the accounts in the monitor's store are held against what was
sent: every message of every pump is accepted once, and the volume is what the pump counted last.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import click
import msgspec
from msgspec import Struct

from benchmarks.figures import Spread, save, spread
from benchmarks.peer import Version
from benchmarks.stream import (
    Counted,
    alarming,
    count,
    first_messages,
    last_of,
    make_fleet,
    publish,
)
from benchmarks.subject import (
    TIMEOUT_S,
    Subject,
    child,
    link_to,
    losses,
    make_broker,
    onlooker,
    register,
    stored_pumps,
)
from host.process import new_event_loop
from infusion.messages import Kind
from link import open_link
from simulator.stream import Outgoing
from tests.brokers import BrokerProcess

INSTANCE = "bench"
PEER = "bench-peer"
# Pumps of their own end the stream, one for each kind of message that goes on to the end: nothing
# else raises an alert on their topics.
ENDS = {Kind.TELEMETRY: "P-END-T", Kind.EVENT: "P-END-E"}
TARGET = 4.0


class Took(Struct, frozen=True):
    """What one subscriber needed for the whole stream in one round."""

    wall_s: float
    cpu_s: float


class Figures(Struct, frozen=True):
    """One subscriber over all rounds."""

    messages_s: Spread
    cpu_us: Spread


class Peer(Struct, frozen=True, kw_only=True):
    """One peer over all rounds; the ratios say how many times less the monitor needs."""

    version: Version
    figures: Figures
    rate_ratio: float
    cpu_ratio: float


class Result(Struct, frozen=True, kw_only=True):
    """The result of a run. `rounds` has the monitor first, then each peer."""

    broker: str
    messages: int
    pumps: int
    payload_bytes: float
    monitor: Figures
    aiomqtt: list[Peer]
    lost: list[str]
    rounds: list[list[Took]]


def make_stream(messages: int, pumps: int) -> list[Outgoing]:
    """So many messages, of which the last ones make the monitor raise an alert at once."""
    stream = first_messages(make_fleet(pumps), messages - len(ENDS))
    time_ms = stream[-1].time_ms
    ends = [
        Outgoing(pump, *alarming(last_of(kind, stream), pump, 0), 1, False, time_ms, kind)
        for kind, pump in ENDS.items()
    ]
    return [*stream, *ends]


async def one_round(
    kind: str,
    versions: tuple[Version, ...],
    stream: list[Outgoing],
    expected: dict[str, Counted],
    first: int,
) -> tuple[list[Took], list[str]]:
    """Publish once, then let each work off its queue; what each took, and what was lost.

    The monitor is number 0 and the peers follow; number `first` goes first, the others after it.
    """
    took = [Took(0.0, 0.0)] * (1 + len(versions))
    with tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name:
        folder = Path(name)
        with make_broker(kind, folder) as broker:
            await register(broker, INSTANCE)
            for version in versions:
                await asyncio.to_thread(run_peer, broker, version, 0)
            async with open_link(link_to(broker, "source")) as link:
                await link.connected(TIMEOUT_S)
                await publish(link, stream, TIMEOUT_S)
            subject = Subject(broker, folder, INSTANCE)
            for place in range(len(took)):
                number = (first + place) % len(took)
                took[number] = (
                    await asyncio.to_thread(run_peer, broker, versions[number - 1], len(stream))
                    if number
                    else await run_monitor(broker, subject)
                )
            return took, losses(expected, await stored_pumps(subject.store))


async def run_monitor(broker: BrokerProcess, subject: Subject) -> Took:
    """Let the monitor work off its queue."""
    async with onlooker(broker) as seeing:
        with subject:
            await seeing.connected(INSTANCE)
            begin = subject.instant()
            for pump in ENDS.values():
                await seeing.alert(pump)
            end = subject.instant()
            await asyncio.to_thread(subject.stop)
    return Took(end.wall_s - begin.wall_s, end.cpu_s - begin.cpu_s)


def run_peer(broker: BrokerProcess, version: Version, messages: int) -> Took:
    """Let the aiomqtt loop work off its queue; with 0 messages, make its session."""
    port = broker.port if version == "5" else broker.port_311
    arguments = ["benchmarks.peer", str(port), f"{PEER}-{version}", version, str(messages)]
    process = child(arguments, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, f"the peer ended with {process.returncode}"
    return msgspec.json.decode(out, type=Took) if messages else Took(0.0, 0.0)


async def measure(
    kind: str, versions: tuple[Version, ...], messages: int, pumps: int, rounds: int
) -> Result:
    """All rounds."""
    stream = make_stream(messages, pumps)
    expected = count(stream)
    rounds_took: list[list[Took]] = []
    lost: list[str] = []
    for number in range(rounds):
        took, missing = await one_round(kind, versions, stream, expected, number)
        rounds_took.append(took)
        lost += missing
        times = ", ".join(f"{each.wall_s:.2f} s" for each in took)
        print(f"round {number + 1}: {times}", flush=True)
    ours, *theirs = (_figures(list(column), messages) for column in zip(*rounds_took, strict=True))
    return Result(
        broker=kind,
        messages=messages,
        pumps=pumps,
        payload_bytes=sum(len(each.payload) for each in stream) / messages,
        monitor=ours,
        aiomqtt=[
            Peer(
                version=version,
                figures=figures,
                rate_ratio=ours.messages_s.median / figures.messages_s.median,
                cpu_ratio=figures.cpu_us.median / ours.cpu_us.median,
            )
            for version, figures in zip(versions, theirs, strict=True)
        ],
        lost=lost,
        rounds=rounds_took,
    )


def _figures(took: list[Took], messages: int) -> Figures:
    return Figures(
        spread([messages / each.wall_s for each in took]),
        spread([each.cpu_s / messages * 1e6 for each in took]),
    )


def report(result: Result) -> None:
    """Say the result."""
    print(
        f"{result.broker}: {result.messages} messages of {result.payload_bytes:.0f} bytes from"
        f" {result.pumps} pumps, {len(result.rounds)} rounds; median (range)"
    )
    _report("monitor", result.monitor)
    for peer in result.aiomqtt:
        _report(f"aiomqtt, MQTT {peer.version}", peer.figures)
    for peer in result.aiomqtt:
        print(
            f"  monitor beside aiomqtt, MQTT {peer.version}: {peer.rate_ratio:.2f} x the"
            f" messages/s, {peer.cpu_ratio:.2f} x the messages a CPU second (budget: {TARGET:g})"
        )
    print(f"  accounts that differ from what was sent: {len(result.lost)}")
    for text in result.lost[:5]:
        print(f"    {text}")


def _report(name: str, figures: Figures) -> None:
    print(f"  {name:22} messages/s {figures.messages_s}   CPU us/message {figures.cpu_us}")


@click.command("intake")
@click.option("--broker", type=click.Choice(["embedded", "mosquitto"]), default="mosquitto")
@click.option("--peer-mqtt", type=click.Choice(["5", "3.1.1", "both"]), default="both")
@click.option("--messages", type=click.IntRange(min=100), default=50_000)
@click.option("--pumps", type=click.IntRange(min=20), default=200)
@click.option("--rounds", type=click.IntRange(min=1), default=5)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(
    *,
    broker: Literal["embedded", "mosquitto"],
    peer_mqtt: str,
    messages: int,
    pumps: int,
    rounds: int,
    file: Path | None,
) -> None:
    """The monitor's whole path beside an aiomqtt loop that only reads the JSON."""
    wanted: tuple[Version, ...] = ("5", "3.1.1")
    versions = tuple(each for each in wanted if peer_mqtt in (each, "both"))
    if broker == "embedded":
        # rumqttd panics when a message with MQTT 5 properties goes to an MQTT 3.1.1 session.
        versions = ("5",)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(measure(broker, versions, messages, pumps, rounds))
    report(result)
    save(file, result)
    sys.exit(1 if result.lost else 0)


if __name__ == "__main__":
    command()

"""What `dripwatch load` itself can do: `python -m benchmarks.load`, on a Mosquitto of its own.

- **Sessions**: 10 000 from one process and 20 000 from two (or as many as the broker may open
  files here), each pump every ten seconds: memory, processor time, how long connecting took, and
  whether the generator kept its times.
- **Rate**: QoS 1, the broker alone, more offered than anybody can carry: what is acknowledged in a
  second, and processor time a message. Beside it loops of paho-mqtt and aiomqtt that measure
  nothing, and emqtt-bench and mqtt-benchmark where they are on the PATH. All take turns, round by
  round, so that a busy minute of the machine meets all of them. Payloads are real telemetry, some
  470 bytes, and everybody publishes payloads of that size.
"""

import asyncio
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from benchmarks.figures import Spread, save, spread
from benchmarks.subject import child
from host.process import new_event_loop
from link.embedded import HOST
from simulator.load.plan import COUNT_MAX, OTHER_FILES, Plan, raise_file_limit
from simulator.load.result import Result
from simulator.load.run import Load
from tests.brokers import Mosquitto

PAYLOAD_BYTES = 470
CLIENTS = 200
# 100 000 messages a second are offered.
INTERVAL_MS = 2
SETTLE_S = 1.0


class Sessions(Struct, frozen=True, kw_only=True):
    """One run with many sessions."""

    sessions: int
    processes: int
    memory_mb: float
    cpu_percent: float
    connect_p99_ms: float | None
    end_to_end_p99_ms: float | None
    late_percent: float
    lost: int


class Rate(Struct, frozen=True, kw_only=True):
    """What one tool could do: messages a second, and its processor time a message."""

    tool: str
    messages_s: Spread
    cpu_us: Spread | None


class Results(Struct, frozen=True, kw_only=True):
    """All of it."""

    sessions: list[Sessions]
    rates: list[Rate]


@contextmanager
def _broker() -> Iterator[Mosquitto]:
    """A fresh Mosquitto that may open as many files as anybody here."""
    raise_file_limit()
    with (
        tempfile.TemporaryDirectory(prefix="dripwatch-bench-") as name,
        Mosquitto(Path(name), is_durable=False) as broker,
    ):
        yield broker


def most_sessions() -> int:
    """How many sessions one broker can have here: each is an open file of it."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return COUNT_MAX if files == resource.RLIM_INFINITY else files - OTHER_FILES


def sessions(count: int, processes: int, seconds: float) -> Sessions:
    """So many sessions from so many processes."""
    with _broker() as broker:
        plan = Plan(
            port=broker.port,
            count=count,
            processes=processes,
            interval_ms=10_000,
            connect_rate_s=2_000.0,
            duration_s=seconds,
        )
        result = _run(plan)
    return Sessions(
        sessions=count,
        processes=processes,
        memory_mb=result.generators.memory_mb,
        cpu_percent=result.generators.cpu_percent,
        connect_p99_ms=result.connect.p99_ms,
        end_to_end_p99_ms=result.end_to_end.p99_ms,
        late_percent=result.generators.late_percent,
        lost=result.messages.lost,
    )


def _run(plan: Plan) -> Result:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(Load(plan).run())


def own_rate(port: int, seconds: float, *, closed: bool) -> tuple[float, float | None]:
    """Our own; `closed` has one message of a session in flight, as the loops have."""
    plan = Plan(
        port=port,
        count=CLIENTS,
        interval_ms=INTERVAL_MS,
        subscribers=0,
        duration_s=seconds,
        drain_s=0.0,
        closed=closed,
    )
    result = _run(plan)
    rate_s = result.messages.achieved_per_s
    return rate_s, result.generators.cpu_percent / 100 / rate_s * 1e6


def peer_rate(kind: str, port: int, seconds: float) -> tuple[float, float | None]:
    """A loop of a well-known client."""
    arguments = ["benchmarks.load_peer", kind, str(port), str(CLIENTS), str(seconds)]
    process = child(arguments, stdout=subprocess.PIPE)
    out, _ = process.communicate()
    assert process.returncode == 0, f"the loop of {kind} ended with {process.returncode}"
    read = json.loads(out)
    return read["messages"] / read["wall_s"], read["cpu_s"] / read["messages"] * 1e6


def emqtt_bench_rate(program: str, port: int, seconds: float) -> tuple[float, float | None]:
    """emqtt-bench, which tells its total each second until it is ended."""
    words = f"pub -h {HOST} -p {port} -c {CLIENTS} -R 500 -I 1 -q 1 -s {PAYLOAD_BYTES} -t load/%i"
    process = subprocess.Popen([program, *words.split()], stdout=subprocess.PIPE, text=True)
    time.sleep(seconds + SETTLE_S)
    process.terminate()
    out, _ = process.communicate()
    rates = [float(rate) for rate in re.findall(r"pub total=\d+ rate=([\d.]+)/sec", out)]
    steady = rates[1:] or rates
    return sum(steady) / len(steady), None


def mqtt_benchmark_rate(program: str, port: int, seconds: float) -> tuple[float, float | None]:
    """krylovsk/mqtt-benchmark, which sends so many messages as fast as it can."""
    count = round(100 * seconds)
    done = subprocess.run(
        [program, "-broker", f"tcp://{HOST}:{port}", "-clients", str(CLIENTS), "-count",
         str(count), "-size", str(PAYLOAD_BYTES), "-qos", "1", "-message-interval", "0",
         "-format", "json", "-quiet"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    total = json.loads(done.stdout)["totals"]
    return float(total["total_msgs_per_sec"]), None


def rates(rounds: int, seconds: float) -> list[Rate]:
    """All tools that there are, in turns."""
    found: dict[str, list[tuple[float, float | None]]] = {}
    programs = {
        "emqtt-bench": (shutil.which("emqtt_bench"), emqtt_bench_rate),
        "mqtt-benchmark": (shutil.which("mqtt-benchmark"), mqtt_benchmark_rate),
    }
    with _broker() as broker:
        port = broker.port
        for _ in range(rounds):
            for tool, closed in (("dripwatch load", False), ("dripwatch load --closed", True)):
                found.setdefault(tool, []).append(own_rate(port, seconds, closed=closed))
            for kind in ("paho", "aiomqtt"):
                found.setdefault(f"{kind} loop", []).append(peer_rate(kind, port, seconds))
            for tool, (program, measure) in programs.items():
                if program is not None:
                    found.setdefault(tool, []).append(measure(program, port, seconds))
    return [
        Rate(
            tool=tool,
            messages_s=spread([rate for rate, _ in values]),
            cpu_us=spread([cost for _, cost in values if cost is not None])
            if values[0][1] is not None
            else None,
        )
        for tool, values in found.items()
    ]


def report(results: Results) -> None:
    """Say it."""
    for each in results.sessions:
        print(
            f"{each.sessions:,} sessions from {each.processes}: {each.memory_mb:.0f} MB and "
            f"{each.cpu_percent:.1f} % of a core a process, connect p99 {each.connect_p99_ms} ms, "
            f"e2e p99 {each.end_to_end_p99_ms} ms, late {each.late_percent} %, lost {each.lost}"
        )
    own = results.rates[0].messages_s.median if results.rates else 0.0
    for rate in results.rates:
        cost = "" if rate.cpu_us is None else f", CPU us a message {rate.cpu_us}"
        print(f"{rate.tool}: messages/s {rate.messages_s}{cost}, "
              f"{rate.messages_s.median / own:.2f} of ours")  # fmt: skip


@click.command("load")
@click.option("--rounds", type=click.IntRange(min=1), default=3)
@click.option("--for", "seconds", type=click.FloatRange(min=1), default=10.0)
@click.option("--sessions", "scale", type=click.IntRange(min=2), default=10_000)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(*, rounds: int, seconds: float, scale: int, file: Path | None) -> None:
    """Sessions and rates of the load generator."""
    results = Results(
        sessions=[
            sessions(min(scale, most_sessions()), 1, seconds),
            sessions(min(2 * scale, most_sessions()), 2, seconds),
        ],
        rates=rates(rounds, seconds),
    )
    report(results)
    save(file, results)
    sys.exit(1 if any(each.lost for each in results.sessions) else 0)


if __name__ == "__main__":
    command()

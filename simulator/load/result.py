"""The result of a load, schema `dripwatch-load/1`: what `--json` writes and `compare` reads.

docs/load.md describes every field. Fields are only ever added within one schema.
"""

import math
import os
import platform
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from infusion.errors import ConfigError
from simulator.load.latency import Histogram

SCHEMA = "dripwatch-load/1"
PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
# What locust's files have, so that these hold the same.
SECOND_PERCENTS = (50.0, 66.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.9, 99.99, 100.0)
P50 = SECOND_PERCENTS.index(50.0)
P99 = SECOND_PERCENTS.index(99.0)
US_PER_MS = 1_000


class Latency(Struct, frozen=True, kw_only=True):
    """How long something took, ms; NaN is written as null. `hdr` is HdrHistogram's form, in µs."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None
    hdr: str


class Messages(Struct, frozen=True, kw_only=True):
    """What became of the messages.

    `offered` is the open model's own count over the load; `in_time` of them were acknowledged (QoS
    1) or written (QoS 0) before it ended. `expected` and `received` are over all subscribers, and
    `lost`, `doubled` and `reordered` are the broker's doing: against what was really written.
    """

    offered: int = 0
    in_time: int = 0
    offered_per_s: float = 0.0
    achieved_per_s: float = 0.0
    achieved_percent: float = 0.0
    written: int = 0
    acknowledged: int = 0
    refused: int = 0
    dropped: int = 0
    unsent: int = 0
    unacknowledged: int = 0
    expected: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0


class Connections(Struct, frozen=True, kw_only=True):
    """Sessions wanted and made, connections lost and made again, and the named reasons."""

    sessions: int = 0
    connected: int = 0
    connects: int = 0
    lost: int = 0
    reconnects: int = 0
    reasons: dict[str, int] = {}


class Generators(Struct, frozen=True, kw_only=True):
    """What the load cost this machine; the processor figures are of the busiest process.

    `late_percent` of the slots were served more than 10 ms after they were due.
    """

    processes: int = 0
    cpu_percent: float = 0.0
    receiver_cpu_percent: float = 0.0
    late_percent: float = 0.0
    memory_mb: float = 0.0
    receiver_memory_mb: float = 0.0


class Threshold(Struct, frozen=True, kw_only=True):
    """One `--fail-if`: the text, the value that was found, and whether it was kept."""

    text: str
    value: float | None
    kept: bool


class Alarms(Struct, frozen=True, kw_only=True):
    """With `--alerts`: alarms injected, and how many the monitor told of: broker, and stream."""

    injected: int = 0
    told: int = 0
    streamed: int = 0


class Second(Struct, frozen=True, kw_only=True):
    """One second of the load: when, and what happened in it.

    The latencies are the percentiles `SECOND_PERCENTS`, ms; empty where nothing was measured.
    """

    at_s: float
    connected: int
    offered: int
    settled: int
    received: int
    lost_connections: int
    acknowledge_ms: tuple[float, ...]
    end_to_end_ms: tuple[float, ...]


class Machine(Struct, frozen=True, kw_only=True):
    """Where the load was made."""

    system: str
    python: str
    cpus: int
    processor: str


class Result(Struct, frozen=True, kw_only=True):
    """One load, or one step of a ramp."""

    schema: str = SCHEMA
    dripwatch: str
    started: str
    machine: Machine
    config: dict[str, object]
    duration_s: float
    interrupted: bool
    valid: bool
    not_valid_because: tuple[str, ...]
    thresholds: tuple[Threshold, ...] = ()
    messages: Messages
    connections: Connections
    generators: Generators
    connect: Latency
    acknowledge: Latency
    end_to_end: Latency
    lag: Latency
    alert: Latency
    stream: Latency
    alarms: Alarms = Alarms()
    seconds: tuple[Second, ...] = ()
    steps: tuple["Step", ...] = ()
    verdict: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """One step of a ramp: what was offered, what came of it, and whether it held."""

    offered_per_s: float
    achieved_per_s: float
    end_to_end_p99_ms: float | None
    lost: int
    held: bool
    valid: bool
    because: tuple[str, ...]


def latency_of(histogram: Histogram) -> Latency:
    """A histogram as it is told."""
    found = [_ms(histogram.percentile_us(percent)) for percent in PERCENTS]
    return Latency(
        count=histogram.count,
        mean_ms=_ms(histogram.mean_us()),
        p50_ms=found[0],
        p90_ms=found[1],
        p95_ms=found[2],
        p99_ms=found[3],
        p999_ms=found[4],
        max_ms=_ms(histogram.max_us()),
        hdr=histogram.encoded(),
    )


def _ms(value_us: float) -> float | None:
    return None if math.isnan(value_us) else round(value_us / US_PER_MS, 3)


def percentiles_ms(histogram: Histogram) -> tuple[float, ...]:
    """The percentiles `SECOND_PERCENTS`, ms; empty of nothing."""
    if not histogram.count:
        return ()
    return tuple(
        round(histogram.percentile_us(percent) / US_PER_MS, 3) for percent in SECOND_PERCENTS
    )


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        cpus=os.cpu_count() or 1,
        processor=platform.machine(),
    )


def own_version() -> str:
    """The version of Dripwatch."""
    return version("dripwatch")


def metrics(result: Result) -> dict[str, float | None]:
    """Every figure that `--fail-if` can name."""
    found: dict[str, float | None] = {}
    for name, latency in (
        ("connect", result.connect),
        ("ack", result.acknowledge),
        ("e2e", result.end_to_end),
        ("lag", result.lag),
        ("alert", result.alert),
        ("stream", result.stream),
    ):
        for field in ("mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms"):
            found[f"{name}_{field}"] = getattr(latency, field)
    messages, connections = result.messages, result.connections
    for field in (
        "offered_per_s", "achieved_per_s", "achieved_percent", "refused", "dropped", "unsent",
        "unacknowledged", "received", "lost", "doubled", "reordered",
    ):  # fmt: skip
        found[field] = float(getattr(messages, field))
    found["lost_percent"] = 100 * messages.lost / messages.expected if messages.expected else None
    found["lost_connections"] = float(connections.lost)
    found["reconnects"] = float(connections.reconnects)
    found["cpu_percent"] = result.generators.cpu_percent
    found["late_percent"] = result.generators.late_percent
    found["alarms_not_told"] = float(result.alarms.injected - result.alarms.told)
    return found


def metric_names() -> tuple[str, ...]:
    """The names that `metrics` gives."""
    nothing = latency_of(Histogram())
    return tuple(
        metrics(
            Result(
                dripwatch="",
                started="",
                machine=Machine(system="", python="", cpus=1, processor=""),
                config={},
                duration_s=0,
                interrupted=False,
                valid=True,
                not_valid_because=(),
                messages=Messages(),
                connections=Connections(),
                generators=Generators(),
                connect=nothing,
                acknowledge=nothing,
                end_to_end=nothing,
                lag=nothing,
                alert=nothing,
                stream=nothing,
            )
        )
    )


def to_json(result: Result) -> bytes:
    """The result as `--json` writes it."""
    return msgspec.json.format(msgspec.json.encode(result)) + b"\n"


def read_result(path: Path) -> Result:
    """A result that `--json` wrote. Raises ConfigError that names the file."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a file that --json wrote") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}; give a file that --json wrote") from None
    if result.schema != SCHEMA:
        raise ConfigError(f"{path}: the schema is {result.schema!r}, not {SCHEMA!r}")
    return result

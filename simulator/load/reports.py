"""What the processes of a load tell the parent: a line of JSON each, on standard output.

What the parent tells them is a line too: first the part or the ears, then `go N` (the µs of the
monotonic clock at which the load begins), `stop` (end now, in order) and `finish` (be gone). A
process whose standard input ends, ends too: nothing outlives the parent.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from simulator.load.latency import Pairs

GO = "go"
STOP = "stop"
FINISH = "finish"


class Counts(Struct, kw_only=True):
    """What happened since the last report; everything is a count.

    `due` messages of the open model had their time, `late` of them were served late by the
    generator itself, `in_time` were acknowledged (QoS 1) or written (QoS 0) before the load ended.
    The other counts include what is said before the load begins. `reconnects` are connections made
    again after a loss.
    """

    due: int = 0
    late: int = 0
    in_time: int = 0
    written: int = 0
    acknowledged: int = 0
    refused: int = 0
    dropped: int = 0
    connects: int = 0
    reconnects: int = 0
    lost_connections: int = 0
    received: int = 0

    def add(self, other: "Counts") -> None:
        """Count what another has counted."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Ready(Struct, frozen=True, kw_only=True, tag=True):
    """Everything is connected, or the time for it is over."""

    connected: int
    wanted: int
    reasons: dict[str, int]


class Tick(Struct, frozen=True, kw_only=True, tag=True):
    """What happened since the last one: counts, and histograms as pairs of bucket and count.

    `cpu_s` and `wall_s` are since the last one as well; `memory_bytes` is the most so far.
    `alert` is the time from an injected alarm to the alert of the monitor.
    """

    counts: Counts
    connected: int
    cpu_s: float
    wall_s: float
    memory_bytes: int
    connect: Pairs = []
    acknowledge: Pairs = []
    end_to_end: Pairs = []
    lag: Pairs = []
    alert: Pairs = []
    reasons: dict[str, int] = {}


class Drained(Struct, frozen=True, kw_only=True, tag=True):
    """A generator is done: nothing more will be written.

    `unsent` messages were never written, `unacknowledged` ones were and got no answer. `alarms` are
    the pumps whose alarm was injected, with its intended time, µs.
    """

    unsent: int
    unacknowledged: int
    alarms: dict[str, int] = {}


class Heard(Struct, frozen=True, kw_only=True, tag=True):
    """The receiver is done: what came against what was sent, over all subscribers.

    `alerts` are the pumps of which an alert was seen on the broker, with when it came first, µs;
    `streamed` the same on the monitor's stream of events.
    """

    expected: int
    received: int
    lost: int
    doubled: int
    reordered: int
    alerts: dict[str, int] = {}
    streamed: dict[str, int] = {}


class Failed(Struct, frozen=True, kw_only=True, tag=True):
    """A process cannot go on; `kind` says whose fault it is."""

    kind: Literal["config", "failed"]
    text: str


Report = Ready | Tick | Drained | Heard | Failed
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def line_of(report: Report) -> bytes:
    """A report as a line."""
    return _ENCODER.encode(report) + b"\n"


def read_line(line: bytes) -> Report:
    """The report in a line. Raises msgspec.DecodeError for what is none."""
    return _DECODER.decode(line)

"""What the runner needs of the world: the values that go in and out, and the ports they go through.

On one machine there is one partition, on SQLite (monitor/store.py) and MQTT (monitor/intake.py,
monitor/outlets/); the ports leave room for others.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct, field

from infusion.messages import AlertChange, Audit, OpenAlerts
from infusion.monitor import Clock, PumpState
from infusion.record import Record
from monitor.samples import Sample

# What can be unacknowledged at once, and may therefore come again: the newest of the log.
AGAIN_MAX = 2_000
# So much of a refused message is kept for a look at it.
REFUSED_BYTES_MAX = 4_096


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """One message as it arrived: when (monitor's clock), on which topic, in which contract."""

    received_ms: int
    topic: str
    payload: bytes
    contract: str | None


class Batch(Struct, frozen=True):
    """What was taken at once; `token` belongs to the event log that gave it."""

    entries: tuple[Entry, ...]
    token: object = None


class Refused(Struct, frozen=True):
    """A message that contract v1 does not allow, kept for a look at it."""

    received_ms: int
    topic: str
    payload: bytes
    kind: str
    text: str


# What the core says, and what must be said aloud once: changes of alerts, and what became of acts.
Said = AlertChange | Audit


class Numbered(Struct, frozen=True):
    """Something said, with its place in the log of all that was said, which counts from 1."""

    number: int
    said: Said


class LogQuery(Struct, frozen=True, kw_only=True):
    """Which rows of the log of all that was said: the newest, newest first, or with `after` the
    next ones, oldest first.

    `before` and `after` are numbers, `pump` is `site/pump`, `since_ms` on the pumps' clocks.
    """

    before: int | None = None
    after: int | None = None
    pump: str | None = None
    kind: Literal["change", "audit"] | None = None
    since_ms: int | None = None
    limit: int = 100


class Snapshot(Struct, frozen=True):
    """A portion of the pumps and therapies that changed since the snapshot before.

    They stand as they did after the batch at `position`, and so does the clock. With the last
    portion the snapshot is whole, and holds.
    """

    position: int
    clock: Clock
    pumps: dict[str, bytes]
    records: dict[str, bytes]
    is_last: bool = True


class Commit(Struct, frozen=True):
    """What one batch adds to the store, all of it or nothing."""

    position: int
    entries: tuple[Entry, ...]
    said: tuple[Numbered, ...]
    refused: tuple[Refused, ...]
    said_number: int
    snapshot: Snapshot | None
    # Each with the `site/pump` that it is of.
    samples: Sequence[tuple[str, Sample]] = ()


class Stored(Struct):
    """What a store gives back: the last snapshot, the batches since, what is not yet said aloud.

    `newest` is the end of the log, at most `AGAIN_MAX` messages, covered by a snapshot or not.
    """

    position: int = 0
    clock: Clock = field(default_factory=Clock)
    pumps: list[PumpState] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    batches: list[tuple[int, tuple[Entry, ...]]] = field(default_factory=list)
    newest: list[Entry] = field(default_factory=list)
    unsaid: list[Numbered] = field(default_factory=list)
    next_number: int = 1
    said_number: int = 0


class EventLog(Protocol):
    """Port: messages in batches, in order."""

    async def take(self) -> Batch:
        """Wait for the next batch; it is never empty."""

    def done(self, batch: Batch) -> None:
        """The batch is committed and need not be given again."""


class Store(Protocol):
    """Port: snapshots and the log between them, owned by one runner at a time."""

    async def load(self) -> Stored:
        """Take ownership, and give what is there. Raises StoreError."""

    async def commit(self, commit: Commit) -> None:
        """Keep it durably. Raises StoreError, also when another runner has taken ownership."""


class AlertSink(Protocol):
    """Port: where changes of alerts and what became of acts are said."""

    @property
    def said_number(self) -> int:
        """Everything up to this number has been said and received."""

    def begin(self, said_number: int) -> None:
        """Go on after what an earlier run has said."""

    async def settle(self, timeout_s: float) -> None:
        """Wait until all that was said is received. Raises LinkError when it is not in time."""

    async def say(self, said: Sequence[Numbered], lists: Sequence[OpenAlerts]) -> None:
        """Say it in order, and the open lists that it leads to."""


# Told after each batch that is stored: what came in, what was said, what was refused. It must not
# raise, nor take long.
Watcher = Callable[[Sequence[Entry], Sequence[Numbered], Sequence[Refused]], None]

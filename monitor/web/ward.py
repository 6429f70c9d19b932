"""What the page and the API need of the monitor, and nothing more: the port between them.

Reading is direct, because both live on one event loop and a pump's state changes only between two
awaits. Writing goes the way of every message: it is put into the log with the next batch, and
answered when the store has it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from infusion.clinical import LabResult, Report
from infusion.messages import Act, Audit
from infusion.monitor import Monitor
from infusion.prescription import Prescription
from monitor.ports import LogQuery, Numbered
from monitor.references import References
from monitor.runner import Totals
from monitor.samples import Sample

__all__ = ["Link", "LogQuery", "Row", "Sample", "Ward", "Watcher"]


class Link(Struct, frozen=True):
    """How the monitor stands to its broker.

    `lag_ms` is how long the newest batch took from its receipt to the store. `behind_ms` is how far
    behind the broker the monitor is (monitor/behind.py). `inbox` messages wait to be taken,
    `outbox` of ours wait or are on their way; `dropped` are those of QoS 0 for which there was no
    room.
    """

    address: str
    connected: bool
    lag_ms: int
    # When the last batch was committed, on the monitor's clock.
    committed_ms: int
    behind_ms: int = 0
    inbox: int = 0
    outbox: int = 0
    dropped: int = 0


# One row of the log of all that was said: a change of an alert, or what became of an act.
Row = Numbered

# What changed with a batch: keys `site/pump` of the pumps, and what was said.
Watcher = Callable[[frozenset[str], Sequence[Row]], None]


class Ward(Protocol):
    """The monitor as the page sees it."""

    @property
    def instance(self) -> str:
        """The name of this monitor."""

    @property
    def speed(self) -> float:
        """How many times as fast as the wall's its clock runs."""

    @property
    def references(self) -> References:
        """The policy it goes by, and the tables that the policy names."""

    @property
    def monitor(self) -> Monitor:
        """The core. It is read here and never stepped."""

    @property
    def totals(self) -> Totals:
        """What the runner has done since it started."""

    @property
    def is_ready(self) -> bool:
        """Whether the state is resumed and messages are taken."""

    @property
    def link(self) -> Link:
        """How it stands to the broker."""

    def now_ms(self) -> int:
        """The monitor's clock; runs `speed` times as fast as the wall's."""

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call after each batch; gives what ends it. It must not raise, nor take long."""

    async def act(self, site: str, act: Act) -> Audit:
        """What a person does about an alert; what became of it, once it is stored.

        Raises StoreError, and MessageError for what the contract does not allow.
        """

    async def tell(self, site: str, message: LabResult | Report | Prescription) -> None:
        """A result, a report or an order; back once it is stored.

        Raises StoreError, and MessageError (with the reason) where it makes no sense.
        """

    async def rows(self, query: LogQuery) -> list[Row]:
        """Rows of the log. Raises StoreError."""

    async def samples(self, pump: str, from_ms: int, to_ms: int, points: int) -> list[Sample]:
        """At most `points` samples of one pump (`site/pump`), oldest first. Raises StoreError.

        Of more the last of each of `points` equal spans is given; a span without one stays out, so
        a gap in the data is a gap in the answer.
        """

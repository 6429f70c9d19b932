"""A snapshot that is taken in portions, while the monitor works on.

To encode a hundred thousand pumps at once takes seconds in which no alert is raised. So a snapshot
is a *cut*: the state as it stands after one batch. What changed since the cut before is encoded
portion by portion with the batches that follow; a pump or therapy that is about to change before
its turn is encoded first. So each is kept as it was at the cut, whenever its turn comes.

The portions of an unfinished cut count for nothing: the store goes on with the last whole one, and
with the batches since (monitor/store.py).
"""

from collections.abc import Iterator
from itertools import islice

from msgspec import msgpack, structs

from infusion.monitor import Monitor
from infusion.state import unheeded
from monitor.ports import Snapshot

# So many are encoded with each batch, beside those that change: a few milliseconds.
SLICE = 100


class Cut:
    """One cut of a monitor, from now until it is whole; one at a time."""

    def __init__(self, monitor: Monitor, position: int) -> None:
        self._monitor = monitor
        self._position = position
        self._clock = structs.replace(monitor.clock)
        self._pumps, monitor.touched = monitor.touched, set()
        self._records, monitor.therapies.touched = monitor.therapies.touched, set()
        self._encoded_pumps: dict[str, bytes] = {}
        self._encoded_records: dict[str, bytes] = {}
        self._turns = self._take_turns()
        monitor.before_change = self._take_pump
        monitor.therapies.before_change = self._take_record

    def portion(self, limit: int | None = SLICE) -> Snapshot:
        """What was encoded since the last portion, and up to `limit` more; None: all of them."""
        for _ in islice(self._turns, limit):
            # Each turn encodes one.
            continue
        is_last = not self._pumps and not self._records
        if is_last:
            self._monitor.before_change = unheeded
            self._monitor.therapies.before_change = unheeded
        portion = Snapshot(
            position=self._position,
            clock=self._clock,
            pumps=self._encoded_pumps,
            records=self._encoded_records,
            is_last=is_last,
        )
        self._encoded_pumps, self._encoded_records = {}, {}
        return portion

    def _take_turns(self) -> Iterator[None]:
        """Encode one after the other, but those that had to be earlier."""
        for name in tuple(self._pumps):
            if name in self._pumps:
                self._take_pump(name)
                yield
        for key in tuple(self._records):
            if key in self._records:
                self._take_record(key)
                yield

    def _take_pump(self, name: str) -> None:
        if name in self._pumps:
            self._pumps.remove(name)
            self._encoded_pumps[name] = msgpack.encode(self._monitor.pumps[name])

    def _take_record(self, key: str) -> None:
        if key in self._records:
            self._records.remove(key)
            record = self._monitor.therapies.records[key]
            self._encoded_records[key] = msgpack.encode(record)

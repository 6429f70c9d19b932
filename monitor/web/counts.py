"""Counts over all pumps, kept so that asking for them does not mean going over all of them.

What a pump adds to them is kept for each pump. After a batch only the pumps that it concerned are
noted; they are looked at anew when somebody asks, a slice at a time, so that the monitor's loop is
never held up for long. A few of the others are looked at again with each question, because a pump
that says nothing can change with time alone.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from infusion.alarms import Priority
from infusion.board import Counts as RuleCounts
from infusion.state import PumpState
from monitor.web.rows import is_silent
from monitor.web.ward import Row, Ward

# Pumps looked at before others on the loop have their turn: about 1 ms.
SLICE = 500
# Pumps that nothing is known to have changed, looked at with each question.
AGAIN = 2_000


class Counts(Struct):
    """Of one pump, or of all together. `open` is by priority, in the order of the enum; `rules` has
    what was raised, damped and dropped, and the others are those of `AlertTotals` and `System` in
    monitor/web/api/system.py. `too_late` messages were older than what is kept, `closed` gaps had
    to make room."""

    open: list[int]
    unseen: int = 0
    duplicates: int = 0
    late: int = 0
    too_late: int = 0
    closed: int = 0
    rules: dict[str, RuleCounts] = field(default_factory=dict)

    def add(self, other: "Counts", sign: int) -> None:
        """Add those of a pump, or take them away."""
        for index, count in enumerate(other.open):
            self.open[index] += sign * count
        self.unseen += sign * other.unseen
        self.duplicates += sign * other.duplicates
        self.late += sign * other.late
        self.too_late += sign * other.too_late
        self.closed += sign * other.closed
        for key, its in other.rules.items():
            mine = self.rules.setdefault(key, RuleCounts())
            mine.raised += sign * its.raised
            mine.damped += sign * its.damped
            mine.dropped += sign * its.dropped


_PLACES = {priority: index for index, priority in enumerate(Priority)}
NOTHING = (0,) * len(_PLACES)


def counts_of(state: PumpState) -> Counts:
    """What one pump adds."""
    board, account = state.board, state.account
    found = Counts(
        list(NOTHING),
        unseen=len(board.unseen),
        duplicates=account.duplicates,
        late=account.late,
        too_late=account.too_late,
        closed=account.closed,
        rules={key: replace(count) for key, count in board.counts.items()},
    )
    for track in board.tracks.values():
        if track.alert is not None:
            found.open[_PLACES[track.alert.priority]] += 1
    return found


class WardCounts:
    """The counts of one ward, from when it is made."""

    def __init__(self, ward: Ward) -> None:
        self.total = Counts(list(NOTHING))
        self.silent: set[str] = set()
        # Pumps looked at since it was made: a measure of what it costs.
        self.looked = 0
        self._ward = ward
        self._of: dict[str, Counts] = {}
        self._due: set[str] = set()
        self._again: list[str] = []
        self._looking = asyncio.Lock()
        ward.watch(self._after_batch)

    async def look(self) -> None:
        """Bring the counts up to now."""
        async with self._looking:
            pumps = self._ward.monitor.pumps
            if len(self._of) + len(self._due) < len(pumps):
                self._due |= pumps.keys() - self._of.keys()
            due, self._due = self._due, set()
            if not self._again:
                self._again = list(self._of)
            again, self._again = self._again[-AGAIN:], self._again[:-AGAIN]
            await self._look_at([*due, *again])

    async def _look_at(self, keys: Iterable[str]) -> None:
        left = iter(keys)
        while some := list(islice(left, SLICE)):
            for key in some:
                self._look_at_one(key)
            await asyncio.sleep(0)

    def _look_at_one(self, key: str) -> None:
        state = self._ward.monitor.pumps.get(key)
        if state is None:
            return
        self.looked += 1
        now, before = counts_of(state), self._of.get(key)
        if now != before:
            if before is not None:
                self.total.add(before, -1)
            self.total.add(now, 1)
            self._of[key] = now
        if is_silent(state.board):
            self.silent.add(key)
        else:
            self.silent.discard(key)

    def _after_batch(self, changed: frozenset[str], _said: Sequence[Row]) -> None:
        self._due |= changed

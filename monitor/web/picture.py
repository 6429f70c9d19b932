"""The ward as viewers see it, encoded: each row and each open list once, with a number.

A flush has a number, `seq`, and each row and each open list has the number of the flush that
changed it last, kept in that order. So what a viewer is behind is all that is newer than its own
number: the same row a hundred times over is one row. Nothing here knows of viewers or of time but
what it is told.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, json

from infusion.alerts import open_alerts, unseen_alerts
from infusion.messages import AlertChange
from infusion.monitor import Monitor
from monitor.web.rows import is_silent, pump_row
from monitor.web.ward import Row

# A flush makes at most so many rows, the rest goes with the next ones: 200 rows are about 6 ms of
# the monitor's loop. Open lists do not wait: they are why people look.
ROWS_A_FLUSH_MAX = 200
# A row that nothing changed is looked at again after so long on the monitor's clock: what is
# unknown of a silent pump grows with time alone.
LOOK_AGAIN_MS = 60_000

encode = json.Encoder().encode


class _List(Struct, frozen=True):
    """The open list of one pump: its alerts encoded, joined by commas."""

    version: int
    open: int
    alerts: bytes
    unseen: bytes

    def encoded(self, key: str) -> bytes:
        """The list as it goes into a patch."""
        parts = encode(key), self.version, self.alerts, self.unseen
        return b'{"key":%b,"version":%d,"alerts":[%b],"unseen":[%b]}' % parts


class Picture:
    """What is kept of one ward while somebody watches. Of all its numbers the newest is last."""

    def __init__(self, monitor: Monitor) -> None:
        self.seq = 0
        self.open = 0
        self.rows_made = 0
        self._monitor = monitor
        # The name of its life; numbers of another life say nothing.
        self._epoch = secrets.token_hex(4)
        self._rows: dict[str, bytes] = {}
        self._lists: dict[str, _List] = {}
        self._rows_changed: dict[str, int] = {}
        self._lists_changed: dict[str, int] = {}
        self._silent: set[str] = set()
        # What is to be looked at with the next flush, in order.
        self._rows_due: dict[str, None] = {}
        self._lists_due: dict[str, None] = {}
        # When each row was last made, on the monitor's clock, the oldest first.
        self._made_ms: dict[str, int] = {}
        # Patches up to the newest number, by the number that they follow, with or without rows.
        self._patches: dict[tuple[int, bool], bytes] = {}

    @property
    def silent(self) -> int:
        """How many pumps the monitor does not hear."""
        return len(self._silent)

    @property
    def is_due(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._rows_due or self._lists_due)

    # --- what changes ----------------------------------------------------------------------------

    def fill(self, keys: Iterable[str], now_ms: int) -> None:
        """Make what is not there yet."""
        for key in keys:
            if key not in self._rows:
                self._make_list(key, 0)
                self._make_row(key, 0, now_ms)

    def note(self, keys: Iterable[str], rows: Sequence[Row]) -> None:
        """A batch concerned these pumps, and led to that."""
        self._rows_due.update(dict.fromkeys(keys))
        for row in rows:
            if isinstance(row.said, AlertChange):
                self._lists_due[f"{row.said.alert.site}/{row.said.alert.pump}"] = None

    def look_again(self, now_ms: int) -> None:
        """Rows that nothing changed for long are due, the oldest first."""
        for key in _first(self._made_ms, ROWS_A_FLUSH_MAX):
            if self._made_ms[key] > now_ms - LOOK_AGAIN_MS:
                break
            self._rows_due[key] = None

    def flush(self, now_ms: int) -> bool:
        """Look at what is due; whether anything is another than before, and has a new number."""
        seq, pumps, has_news = self.seq + 1, self._monitor.pumps, False
        lists, self._lists_due = self._lists_due, {}
        for key in lists:
            has_news |= key in pumps and self._make_list(key, seq)
        for key in list(_first(self._rows_due, ROWS_A_FLUSH_MAX)):
            del self._rows_due[key]
            if key in pumps:
                has_news |= self._make_list(key, seq)
                has_news |= self._make_row(key, seq, now_ms)
        if has_news:
            self.seq = seq
            self._patches.clear()
        return has_news

    def _make_row(self, key: str, seq: int, now_ms: int) -> bool:
        """Make a row anew; whether it is another one than before."""
        row = pump_row(self._monitor, key)
        self.rows_made += 1
        self._made_ms.pop(key, None)
        self._made_ms[key] = now_ms
        self._note_silence(key, row.silent)
        encoded = encode(row)
        if encoded == self._rows.get(key):
            return False
        self._rows[key] = encoded
        self._rows_changed.pop(key, None)
        self._rows_changed[key] = seq
        return True

    def _make_list(self, key: str, seq: int) -> bool:
        """Make an open list anew where it has another version."""
        board = self._monitor.pumps[key].board
        known = self._lists.get(key)
        if board.version == (known.version if known is not None else 0):
            return False
        alerts = open_alerts(board)
        self.open += len(alerts) - (known.open if known is not None else 0)
        self._lists[key] = _List(
            version=board.version,
            open=len(alerts),
            alerts=b",".join(map(encode, alerts)),
            unseen=b",".join(map(encode, unseen_alerts(board))),
        )
        self._note_silence(key, is_silent(board))
        self._lists_changed.pop(key, None)
        self._lists_changed[key] = seq
        return True

    def _note_silence(self, key: str, silent: bool) -> None:
        if silent:
            self._silent.add(key)
        else:
            self._silent.discard(key)

    # --- what is told ----------------------------------------------------------------------------

    def number_in(self, last_id: str, *, wants_pumps: bool) -> int | None:
        """The number in the id of an event of this life; None for any other id."""
        name, _, seq = last_id.partition("-")
        if name != self._name(wants_pumps) or not (seq.isascii() and seq.isdigit()):
            return None
        return int(seq) if int(seq) <= self.seq else None

    def snapshot(self, head: Struct, *, wants_pumps: bool) -> bytes:
        """The event that tells everything; `head` is what comes before pumps and alerts."""
        data = b'%b,"pumps":[%b],"alerts":[%b],"unseen":[%b]}' % (
            encode(head)[:-1],
            b",".join(self._rows.values()) if wants_pumps else b"",
            b",".join(each.alerts for each in self._lists.values() if each.alerts),
            b",".join(each.unseen for each in self._lists.values() if each.unseen),
        )
        return self._event("snapshot", data, wants_pumps)

    def patch(self, since: int, now_ms: int, *, wants_pumps: bool) -> bytes:
        """The event that tells what is newer than a number, made once for all who are there."""
        known = self._patches.get((since, wants_pumps))
        if known is not None:
            return known
        rows = _newer(self._rows_changed, since) if wants_pumps else ()
        data = b'{"seq":%d,"now_ms":%d,"pumps":[%b],"lists":[%b]}' % (
            self.seq,
            now_ms,
            b",".join(self._rows[key] for key in rows),
            b",".join(self._lists[key].encoded(key) for key in _newer(self._lists_changed, since)),
        )
        patch = self._patches[since, wants_pumps] = self._event("patch", data, wants_pumps)
        return patch

    def _name(self, wants_pumps: bool) -> str:
        """What ids begin with: who has seen no pumps cannot go on with them."""
        return self._epoch if wants_pumps else f"{self._epoch}a"

    def _event(self, kind: str, data: bytes, wants_pumps: bool) -> bytes:
        """An event that brings a viewer to the newest number."""
        head = f"id: {self._name(wants_pumps)}-{self.seq}\nevent: {kind}\ndata: "
        return b"%b%b\n\n" % (head.encode(), data)


def _first(keys: Iterable[str], most: int) -> Iterator[str]:
    """The first keys, at most so many."""
    return (key for _, key in zip(range(most), keys, strict=False))


def _newer(changed: dict[str, int], since: int) -> Iterator[str]:
    """The keys whose number is above one, the newest first."""
    for key, seq in reversed(changed.items()):
        if seq <= since:
            return
        yield key

"""What viewers are told: everything once, then what changed, and each second that all is alive.

    ward.watch ──► keys that changed ──► flush (each 100 ms) ──► rows and lists, encoded once
                                                                       │
                       viewer: how far it has come (seq) ◄── its stream takes what is newer

A flush has a number, `seq`, and each row and each open list has the number of the flush that
changed it last, kept in that order. So what a viewer is behind is all that is newer than its own
number: the same row a hundred times over is one row, nothing waits in any queue, and a viewer that
takes nothing costs a number. Those who have come equally far are given the same bytes. A viewer
that comes back, and names the last number that it saw, is treated as one that was slow.

The hub lives while somebody watches, and a little longer, so that who comes back finds it. Its
name for that life, the epoch, goes into the ids of its events.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence

import structlog
from msgspec import Struct, field, json

from infusion.alerts import open_alerts, unseen_alerts
from infusion.messages import AlertChange
from monitor.web.rows import Beat, Broker, Viewer, is_silent, pump_row
from monitor.web.ward import Row, Ward

log = structlog.get_logger()

VIEWERS_MAX = 1_000
FLUSH_S = 0.1
BEAT_S = 1.0
# A viewer that has taken nothing for so long is let go; its page comes back by itself.
STALLED_S = 30.0
# How long the hub goes on when nobody watches any more: a page that lost its way is back by then.
LINGER_S = 10.0
# A flush makes at most so many rows, the rest goes with the next ones: 200 rows are about 6 ms of
# the monitor's loop. Open lists do not wait: they are why people look.
ROWS_A_FLUSH_MAX = 200
# So many rows are made at once when the first viewer comes; between them the monitor works on.
FILL_ROWS = 50
# A row that nothing changed is looked at again after so long on the monitor's clock: what is
# unknown of a silent pump grows with time alone.
LOOK_AGAIN_MS = 60_000

_ENCODER = json.Encoder()


class HubTotals(Struct):
    """What the hub has done since the process started; each only grows."""

    viewers: int = 0
    refused: int = 0
    dropped: int = 0
    resumed: int = 0
    patches: int = 0
    rows: int = 0
    bytes_sent: int = 0


class Listener(Struct, eq=False):
    """One open stream: how far it has come, and when it last took anything.

    `left` tells how many bytes wait in its connection, `abort` ends that at once. `is_taking` while
    something is being handed to the connection.
    """

    person: Viewer
    wants_pumps: bool
    left: Callable[[], int]
    abort: Callable[[], None]
    seq: int = 0
    beat: int = 0
    has_snapshot: bool = False
    is_taking: bool = False
    last_left: int = 0
    moved_s: float = 0.0


class _List(Struct, frozen=True):
    """The open list of one pump: its alerts encoded, joined by commas."""

    version: int
    open: int
    alerts: bytes
    unseen: bytes

    def encoded(self, key: str) -> bytes:
        return b'{"key":%b,"version":%d,"alerts":[%b],"unseen":[%b]}' % (
            _ENCODER.encode(key),
            self.version,
            self.alerts,
            self.unseen,
        )


class _Life(Struct):
    """What is kept while somebody watches. Of both dicts of numbers the newest is the last."""

    epoch: str
    unwatch: Callable[[], None]
    seq: int = 0
    rows: dict[str, bytes] = field(default_factory=dict)
    lists: dict[str, _List] = field(default_factory=dict)
    rows_changed: dict[str, int] = field(default_factory=dict)
    lists_changed: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    open: int = 0
    # What is to be looked at with the next flush, in order.
    rows_due: dict[str, None] = field(default_factory=dict)
    lists_due: dict[str, None] = field(default_factory=dict)
    # When each row was last made, on the monitor's clock, the oldest first.
    made_ms: dict[str, int] = field(default_factory=dict)
    # What was encoded for the newest number, by the number that it follows and with or without rows
    patches: dict[tuple[int, bool], bytes] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    quiet_s: float = 0.0

    def name(self, wants_pumps: bool) -> str:
        """What ids of events begin with: who has seen no pumps cannot go on with them."""
        return self.epoch if wants_pumps else f"{self.epoch}a"

    def event(self, kind: str, wants_pumps: bool, data: bytes) -> bytes:
        """One event of the stream, which brings a viewer to the newest number."""
        name, kind_, seq = self.name(wants_pumps).encode(), kind.encode(), self.seq
        return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (name, seq, kind_, data)


class Hub:
    """All viewers of one ward. Everything happens on the loop of the monitor."""

    def __init__(
        self,
        ward: Ward,
        version: str,
        *,
        viewers_max: int = VIEWERS_MAX,
        flush_s: float = FLUSH_S,
        stalled_s: float = STALLED_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self.totals = HubTotals()
        self.is_closed = False
        self._ward = ward
        self.version = version
        self._viewers_max = viewers_max
        self._flush_s = flush_s
        self._stalled_s = stalled_s
        self._linger_s = linger_s
        self._listeners: set[Listener] = set()
        self._life: _Life | None = None
        self._filling: asyncio.Task[None] | None = None
        self._due = asyncio.Event()
        # Another one with each news: who holds it is woken by what comes next.
        self._news = asyncio.Event()
        self._beats = 0
        self._beat = b""

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another viewer."""
        return len(self._listeners) >= self._viewers_max

    @property
    def is_awake(self) -> bool:
        """Whether it watches the ward."""
        return self._life is not None

    @property
    def news(self) -> asyncio.Event:
        """Set by the next news. Take it before asking for them, wait for it where there are none"""
        return self._news

    async def enter(self, listener: Listener, last_id: str = "") -> None:
        """Take in a viewer, for which there is room; `last_id` is that of the last event it saw."""
        assert not self.is_closed, "a hub that has closed takes in nobody"
        self._listeners.add(listener)
        self.totals.viewers += 1
        listener.moved_s = asyncio.get_running_loop().time()
        life = self._life or self._wake()
        if self._filling is not None:
            await asyncio.wait((self._filling,))
        name, _, seq = last_id.partition("-")
        if (
            name == life.name(listener.wants_pumps)
            and seq.isascii()
            and seq.isdigit()
            and int(seq) <= life.seq
        ):
            listener.seq, listener.has_snapshot = int(seq), True
            self.totals.resumed += 1

    def leave(self, listener: Listener) -> None:
        """A viewer is gone."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """End all streams; the monitor stops."""
        self.is_closed = True
        self._sleep()
        self._tell_news()
        for listener in tuple(self._listeners):
            # What it does not take now it will not take in the second that is left.
            if listener.is_taking:
                listener.abort()

    def take(self, listener: Listener) -> bytes:
        """All that is new to a viewer, as events; empty where nothing is."""
        life = self._life
        if life is None:
            # It ended, and so will the streams.
            return b""
        parts = []
        if not listener.has_snapshot:
            snapshot = self._snapshot(life, listener)
            parts.append(life.event("snapshot", listener.wants_pumps, snapshot))
            listener.has_snapshot, listener.beat = True, self._beats
        elif listener.seq < life.seq:
            parts.append(self._patch(life, listener.seq, listener.wants_pumps))
        listener.seq = life.seq
        if listener.beat < self._beats:
            parts.append(self._beat)
            listener.beat = self._beats
        return b"".join(parts)

    # --- life ------------------------------------------------------------------------------------

    def _wake(self) -> _Life:
        """Watch the ward from now on, and make everything once."""
        unwatch = self._ward.watch(self._changed)
        life = self._life = _Life(epoch=secrets.token_hex(4), unwatch=unwatch)
        self._filling = asyncio.create_task(self._fill(life), name="hub-fill")
        life.tasks = [
            asyncio.create_task(self._flush_always(life), name="hub-flush"),
            asyncio.create_task(self._beat_always(life), name="hub-beat"),
            self._filling,
        ]
        for task in life.tasks:
            task.add_done_callback(self._ended)
        return life

    def _sleep(self) -> None:
        """Watch no more, and forget everything."""
        life, self._life, self._filling = self._life, None, None
        if life is None:
            return
        life.unwatch()
        for task in life.tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A part that fails ends all streams: a page that hears no beat knows that it is blind."""
        if task.cancelled() or task.exception() is None:
            return
        log.error("the page's hub failed; all viewers begin anew", exc_info=task.exception())
        self._sleep()
        for listener in tuple(self._listeners):
            listener.abort()

    async def _fill(self, life: _Life) -> None:
        for number, key in enumerate(list(self._ward.monitor.pumps)):
            if key not in life.rows:
                self._make_list(life, key)
                self._make_row(life, key)
            if number % FILL_ROWS == FILL_ROWS - 1:
                await asyncio.sleep(0)
        self._make_beat(life)
        self._filling = None

    # --- changes ---------------------------------------------------------------------------------

    def _changed(self, keys: frozenset[str], rows: Sequence[Row]) -> None:
        """A batch was stored."""
        life = self._life
        if life is None:
            return
        life.rows_due.update(dict.fromkeys(keys))
        for row in rows:
            if isinstance(row.said, AlertChange):
                life.lists_due[f"{row.said.alert.site}/{row.said.alert.pump}"] = None
        if keys:
            self._due.set()

    async def _flush_always(self, life: _Life) -> None:
        """The first change after quiet at once, then at most one flush each 100 ms."""
        while True:
            await self._due.wait()
            if self._filling is not None:
                await asyncio.wait((self._filling,))
            self._flush(life)
            await asyncio.sleep(self._flush_s)

    def _flush(self, life: _Life) -> None:
        seq = life.seq + 1
        pumps = self._ward.monitor.pumps
        lists, life.lists_due = life.lists_due, {}
        has_news = False
        for key in lists:
            has_news |= key in pumps and self._make_list(life, key, seq)
        for key in list(_first(life.rows_due, ROWS_A_FLUSH_MAX)):
            del life.rows_due[key]
            if key in pumps:
                has_news |= self._make_list(life, key, seq)
                has_news |= self._make_row(life, key, seq)
        if not life.rows_due:
            self._due.clear()
        if has_news:
            life.seq = seq
            life.patches.clear()
            self.totals.patches += 1
            self._tell_news()

    def _make_row(self, life: _Life, key: str, seq: int = 0) -> bool:
        """Make a row anew; whether it is another one than before."""
        row = pump_row(self._ward.monitor, key)
        self.totals.rows += 1
        life.made_ms.pop(key, None)
        life.made_ms[key] = self._ward.now_ms()
        if row.silent:
            life.silent.add(key)
        else:
            life.silent.discard(key)
        encoded = _ENCODER.encode(row)
        if encoded == life.rows.get(key):
            return False
        life.rows[key] = encoded
        life.rows_changed.pop(key, None)
        life.rows_changed[key] = seq
        return True

    def _make_list(self, life: _Life, key: str, seq: int = 0) -> bool:
        """Make an open list anew where it has another version."""
        board = self._ward.monitor.pumps[key].board
        known = life.lists.get(key)
        if board.version == (known.version if known is not None else 0):
            return False
        alerts = open_alerts(board)
        life.open += len(alerts) - (known.open if known is not None else 0)
        life.lists[key] = _List(
            version=board.version,
            open=len(alerts),
            alerts=b",".join(map(_ENCODER.encode, alerts)),
            unseen=b",".join(map(_ENCODER.encode, unseen_alerts(board))),
        )
        if is_silent(board):
            life.silent.add(key)
        else:
            life.silent.discard(key)
        life.lists_changed.pop(key, None)
        life.lists_changed[key] = seq
        return True

    # --- beats -----------------------------------------------------------------------------------

    async def _beat_always(self, life: _Life) -> None:
        loop = asyncio.get_running_loop()
        life.quiet_s = loop.time()
        while True:
            if self._filling is None:
                self._make_beat(life)
                self._tell_news()
                self._look_again(life)
            self._drop_stalled(loop.time())
            if self._listeners:
                life.quiet_s = loop.time()
            elif loop.time() - life.quiet_s >= self._linger_s:
                self._sleep()
            await asyncio.sleep(BEAT_S)

    def _make_beat(self, life: _Life) -> None:
        self._beats += 1
        beat = Beat(life.seq, self._ward.now_ms(), *self._standing(life))
        self._beat = b"event: beat\ndata: %b\n\n" % _ENCODER.encode(beat)

    def _standing(self, life: _Life) -> tuple[Broker, int, int, int, int]:
        """How the monitor stands: broker, silent pumps, pumps, open alerts, last commit."""
        link = self._ward.link
        broker = Broker(link.address, link.connected, link.lag_ms)
        pumps = len(self._ward.monitor.pumps)
        return broker, len(life.silent), pumps, life.open, link.committed_ms

    def _look_again(self, life: _Life) -> None:
        """Rows that nothing changed for long are made anew, the oldest first."""
        before_ms = self._ward.now_ms() - LOOK_AGAIN_MS
        for key in _first(life.made_ms, ROWS_A_FLUSH_MAX):
            if life.made_ms[key] > before_ms:
                break
            life.rows_due[key] = None
            self._due.set()

    def _drop_stalled(self, now_s: float) -> None:
        for listener in tuple(self._listeners):
            left = listener.left()
            if not listener.is_taking or left != listener.last_left:
                listener.moved_s, listener.last_left = now_s, left
            elif now_s - listener.moved_s >= self._stalled_s:
                self.totals.dropped += 1
                log.info("a viewer took nothing for long, and is let go", who=listener.person.name)
                self._listeners.discard(listener)
                listener.abort()

    def _tell_news(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    # --- events ----------------------------------------------------------------------------------

    def _snapshot(self, life: _Life, listener: Listener) -> bytes:
        broker, silent, _, opened, committed_ms = self._standing(life)
        ward = self._ward
        head = {
            "seq": life.seq,
            "now_ms": ward.now_ms(),
            "speed": ward.speed,
            "instance": ward.instance,
            "version": self.version,
            "person": listener.person,
            "broker": broker,
            "silent": silent,
            "open": opened,
            "committed_ms": committed_ms,
        }
        return b'%b,"pumps":[%b],"alerts":[%b],"unseen":[%b]}' % (
            _ENCODER.encode(head)[:-1],
            b",".join(life.rows.values()) if listener.wants_pumps else b"",
            b",".join(each.alerts for each in life.lists.values() if each.alerts),
            b",".join(each.unseen for each in life.lists.values() if each.unseen),
        )

    def _patch(self, life: _Life, since: int, wants_pumps: bool) -> bytes:
        """What is newer than a number. It is made once for all who have come so far."""
        name = since, wants_pumps
        known = life.patches.get(name)
        if known is not None:
            return known
        rows = _newer(life.rows_changed, since) if wants_pumps else ()
        data = b'{"seq":%d,"now_ms":%d,"pumps":[%b],"lists":[%b]}' % (
            life.seq,
            self._ward.now_ms(),
            b",".join(life.rows[key] for key in rows),
            b",".join(life.lists[key].encoded(key) for key in _newer(life.lists_changed, since)),
        )
        patch = life.patches[name] = life.event("patch", wants_pumps, data)
        return patch


def _first(keys: Iterable[str], most: int) -> Iterator[str]:
    """The first keys, at most so many."""
    return (key for _, key in zip(range(most), keys, strict=False))


def _newer(changed: dict[str, int], since: int) -> Iterator[str]:
    """The keys whose number is above one, the newest first."""
    for key, seq in reversed(changed.items()):
        if seq <= since:
            return
        yield key

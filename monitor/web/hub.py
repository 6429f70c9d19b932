"""What viewers are told: everything once, then what changed, and each second that all is alive.

    ward.watch ──► keys that changed ──► flush (each 100 ms) ──► picture: encoded, with numbers
                                                                       │
                       viewer: how far it has come (seq) ◄── its stream takes what is newer

Nothing waits in any queue: a viewer that takes nothing costs a number, and what it is sent later is
at most one row a pump. Those who have come equally far are sent the same bytes. A viewer that comes
back, and names the last number that it saw, is treated as one that was slow.

The hub lives while somebody watches, and a little longer, so that who comes back finds it.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from msgspec import Struct, field

from monitor.web.picture import Picture, encode
from monitor.web.rows import Beat, Broker, Head, Viewer
from monitor.web.ward import Row, Ward

log = structlog.get_logger()

VIEWERS_MAX = 1_000
FLUSH_S = 0.1
BEAT_S = 1.0
# A viewer that has taken nothing for so long is let go; its page comes back by itself.
STALLED_S = 30.0
# How long the hub goes on when nobody watches any more: a page that lost its way is back by then.
LINGER_S = 10.0
# So many rows are made at once when the first viewer comes; between them the monitor works on.
FILL_ROWS = 50


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


class _Life(Struct):
    """What there is while somebody watches. `quiet_s` is since when nobody does."""

    picture: Picture
    unwatch: Callable[[], None]
    quiet_s: float
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    filling: asyncio.Task[None] | None = None


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
        self.version = version
        self.totals = HubTotals()
        self.is_closed = False
        self._ward = ward
        self._viewers_max = viewers_max
        self._flush_s = flush_s
        self._stalled_s = stalled_s
        self._linger_s = linger_s
        self._listeners: set[Listener] = set()
        self._life: _Life | None = None
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
        if life.filling is not None:
            await asyncio.wait((life.filling,))
        seq = life.picture.number_in(last_id, wants_pumps=listener.wants_pumps)
        if seq is not None:
            listener.seq, listener.has_snapshot = seq, True
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
        picture, wants_pumps, events = life.picture, listener.wants_pumps, b""
        if not listener.has_snapshot:
            events = picture.snapshot(self._head(picture, listener.person), wants_pumps=wants_pumps)
            listener.has_snapshot, listener.beat = True, self._beats
        elif listener.seq < picture.seq:
            events = picture.patch(listener.seq, self._ward.now_ms(), wants_pumps=wants_pumps)
        listener.seq = picture.seq
        if listener.beat < self._beats:
            events += self._beat
            listener.beat = self._beats
        return events

    # --- life ------------------------------------------------------------------------------------

    def _wake(self) -> _Life:
        """Watch the ward from now on, and make everything once."""
        unwatch = self._ward.watch(self._changed)
        now_s = asyncio.get_running_loop().time()
        life = self._life = _Life(Picture(self._ward.monitor), unwatch, now_s)
        life.filling = asyncio.create_task(self._fill(life), name="hub-fill")
        life.tasks = [
            life.filling,
            asyncio.create_task(self._flush_always(life), name="hub-flush"),
            asyncio.create_task(self._beat_always(life), name="hub-beat"),
        ]
        for task in life.tasks:
            task.add_done_callback(self._ended)
        return life

    def _sleep(self) -> None:
        """Watch no more, and forget everything."""
        life, self._life = self._life, None
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
        keys = list(self._ward.monitor.pumps)
        for begin in range(0, len(keys), FILL_ROWS):
            life.picture.fill(keys[begin : begin + FILL_ROWS], self._ward.now_ms())
            await asyncio.sleep(0)
        self.totals.rows += life.picture.rows_made
        self._make_beat(life)
        life.filling = None

    # --- changes ---------------------------------------------------------------------------------

    def _changed(self, keys: frozenset[str], rows: Sequence[Row]) -> None:
        """A batch was stored."""
        if self._life is not None and keys:
            self._life.picture.note(keys, rows)
            self._due.set()

    async def _flush_always(self, life: _Life) -> None:
        """The first change after quiet at once, then at most one flush each 100 ms."""
        picture = life.picture
        while True:
            await self._due.wait()
            if life.filling is not None:
                await asyncio.wait((life.filling,))
            made = picture.rows_made
            if picture.flush(self._ward.now_ms()):
                self.totals.patches += 1
                self._tell_news()
            self.totals.rows += picture.rows_made - made
            if not picture.is_due:
                self._due.clear()
            await asyncio.sleep(self._flush_s)

    # --- beats -----------------------------------------------------------------------------------

    async def _beat_always(self, life: _Life) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if life.filling is None:
                self._make_beat(life)
                self._tell_news()
                life.picture.look_again(self._ward.now_ms())
                if life.picture.is_due:
                    self._due.set()
            self._drop_stalled(loop.time())
            if self._listeners:
                life.quiet_s = loop.time()
            elif loop.time() - life.quiet_s >= self._linger_s:
                self._sleep()
            await asyncio.sleep(BEAT_S)

    def _make_beat(self, life: _Life) -> None:
        self._beats += 1
        ward, picture = self._ward, life.picture
        beat = Beat(
            seq=picture.seq,
            now_ms=ward.now_ms(),
            broker=self._broker(),
            silent=picture.silent,
            pumps=len(ward.monitor.pumps),
            open=picture.open,
            committed_ms=ward.link.committed_ms,
        )
        # Without an id: it does not say how far a viewer has come.
        self._beat = b"event: beat\ndata: %b\n\n" % encode(beat)

    def _head(self, picture: Picture, person: Viewer) -> Head:
        ward = self._ward
        return Head(
            seq=picture.seq,
            now_ms=ward.now_ms(),
            speed=ward.speed,
            instance=ward.instance,
            version=self.version,
            person=person,
            broker=self._broker(),
            silent=picture.silent,
            open=picture.open,
            committed_ms=ward.link.committed_ms,
        )

    def _broker(self) -> Broker:
        link = self._ward.link
        return Broker(link.address, link.connected, link.lag_ms, link.behind_ms)

    def _drop_stalled(self, now_s: float) -> None:
        """Let those go who have taken nothing for long."""
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

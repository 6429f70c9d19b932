"""What people say to the monitor itself, by its page or its API, on the way of every message.

The desk wraps an event log: what is put on it goes into the next batch beside what the broker
gave, is stored with it, and is answered once it is stored. So an act of the page is replayed after
a crash like any other, and needs no broker.
"""

import asyncio
from collections.abc import Callable, Sequence

from infusion.errors import MessageError
from infusion.messages import CONTRACT, Act, Audit, Kind, Topic, encode
from monitor.outlets.words import Word, topic_of
from monitor.ports import REFUSED_BYTES_MAX, Batch, Entry, EventLog, Numbered, Refused

# What may wait on the desk at once; more is refused, and the person told to try again.
WAITING_MAX = 1_000


class _Waiting:
    """One thing on the desk, and who waits for what becomes of it."""

    def __init__(self, topic: Topic, message: Act | Word) -> None:
        self.topic = str(topic)
        self.payload = encode(message)
        self.act = (topic.site, message.pump, message.act) if isinstance(message, Act) else None
        self.answer: asyncio.Future[Audit | None] = asyncio.get_running_loop().create_future()


class Desk:
    """The `EventLog` port over another one, with what people put in between.

    `watch` belongs into the runner's watchers: it reads the answers.
    """

    def __init__(self, source: EventLog, now_ms: Callable[[], int]) -> None:
        self._source = source
        self._now_ms = now_ms
        self._new: list[_Waiting] = []
        self._taken: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._taking: asyncio.Task[Batch] | None = None

    async def act(self, site: str, act: Act) -> Audit:
        """Put an act down; what became of it. Raises MessageError.

        Also raises the error that ended the monitor, when it ended first (so does `tell`).
        """
        audit = await self._put(Topic(Kind.ACT, site, act.pump), act)
        if audit is None:
            raise MessageError("again", f"the act {act.act!r} was stored already; see the history")
        return audit

    async def tell(self, site: str, message: Word) -> None:
        """Put a result, a report or an order down, until it is stored. Raises MessageError."""
        await self._put(topic_of(site, message), message)

    async def take(self) -> Batch:
        """Wait for the next batch of the source, or for something on the desk."""
        if self._taking is None:
            self._taking = asyncio.ensure_future(self._source.take())
        arriving = asyncio.ensure_future(self._arrived.wait())
        try:
            await asyncio.wait((self._taking, arriving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            arriving.cancel()
        batch = Batch(())
        if self._taking.done():
            batch, self._taking = self._taking.result(), None
        self._taken, self._new = self._new, []
        self._arrived.clear()
        now_ms = self._now_ms()
        put = (Entry(now_ms, each.topic, each.payload, CONTRACT) for each in self._taken)
        return Batch((*batch.entries, *put), batch)

    def done(self, batch: Batch) -> None:
        """The batch is stored: acknowledge what the source gave, and answer who still waits."""
        source = batch.token
        assert isinstance(source, Batch)
        if source.entries:
            self._source.done(source)
        for waiting in self._taken:
            if not waiting.answer.done():
                waiting.answer.set_result(None)
        self._taken = []

    def watch(
        self, _entries: Sequence[Entry], said: Sequence[Numbered], refused: Sequence[Refused]
    ) -> None:
        """Read the answers out of what a batch led to."""
        if not self._taken:
            return
        audits = {
            (each.said.site, each.said.pump, each.said.act.act): each.said
            for each in said
            if isinstance(each.said, Audit)
        }
        refusals = {(each.topic, each.payload): each for each in refused}
        for waiting in self._taken:
            refusal = refusals.get((waiting.topic, waiting.payload[:REFUSED_BYTES_MAX]))
            if waiting.answer.done():
                continue
            if refusal is not None:
                waiting.answer.set_exception(MessageError(refusal.kind, refusal.text))
            elif waiting.act is not None:
                waiting.answer.set_result(audits.get(waiting.act))

    def close(self, error: Exception) -> None:
        """Nobody will take what waits: tell those who wait for it."""
        if self._taking is not None:
            self._taking.cancel()
        for waiting in (*self._taken, *self._new):
            if not waiting.answer.done():
                waiting.answer.set_exception(error)

    async def _put(self, topic: Topic, message: Act | Word) -> Audit | None:
        if len(self._new) >= WAITING_MAX:
            raise MessageError("busy", "too much is waiting to be stored; try again in a moment")
        waiting = _Waiting(topic, message)
        self._new.append(waiting)
        self._arrived.set()
        return await waiting.answer

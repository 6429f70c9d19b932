"""One peer's MQTT session: stages, each from a `Connect` of the fleet to its `Disconnect`.

Each stage has its own link. Within a stage the link reconnects by itself when the network fails;
the pump's presence then goes out first again. What the link has no room for waits in a bounded
backlog, from which the oldest is dropped and counted. What the broker had not acknowledged when a
stage was cut off goes out at the beginning of the next, so nothing is lost, though it may come
twice.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import Struct

from infusion.errors import LinkError
from infusion.messages import CONTENT_TYPE, CONTRACT, USER_PROPERTIES, Kind
from link import Link, OutboxFull
from simulator.stream import Backlog, Connect, Disconnect, Outgoing, Output

# How long a session that is about to be cut off may take to get its last words acknowledged.
LAST_WORDS_S = 0.5
# How long a session that the broker is to end, because another client takes it over, waits for
# that before it ends itself; and how often it looks.
TAKE_OVER_S = 5.0
LOOK_S = 0.005

# Makes the link of a stage; the second argument is called at every CONNACK.
OpenLink = Callable[[Connect, Callable[[], None]], Link]
# What a session does with the messages that come in.
Listen = Callable[[Link], Coroutine[Any, Any, None]]


class PublisherCounters(Struct):
    """What a publisher has done; each only ever grows."""

    sent: int = 0  # messages handed to a link
    acknowledged: int = 0  # messages that the broker acknowledged (QoS 1) or we handed over
    refused: int = 0  # messages that the broker or a limit refused
    dropped: int = 0  # messages that found no room in a backlog
    returned: int = 0  # messages taken back from a stage that was cut off, to be sent again
    bad: int = 0  # messages from monitors that contract v1 does not allow


class Pace:
    """Spreads connections over time: at most `rate_s` begin in a second."""

    def __init__(self, rate_s: float) -> None:
        """`rate_s` is above 0."""
        self._gap_s = 1.0 / rate_s
        self._next_s = 0.0

    async def wait(self) -> None:
        """Until it is this caller's turn; callers take turns in order."""
        now_s = asyncio.get_running_loop().time()
        turn_s = max(now_s, self._next_s)
        self._next_s = turn_s + self._gap_s
        if turn_s > now_s:
            await asyncio.sleep(turn_s - now_s)


class Stage:
    """One connection of a session, from `Connect` to `Disconnect`."""

    def __init__(self, connect: Connect, waiting_max: int) -> None:
        self.connect = connect
        self.waiting = Backlog(waiting_max)
        self.presence: Outgoing | None = None
        self.ending: Disconnect | None = None
        self.link: Link | None = None
        self.inflight: dict[asyncio.Future[None], Outgoing] = {}
        self.failed: list[Outgoing] = []  # what a link that was taken over gave back
        self.wake = asyncio.Event()
        self.failure: BaseException | None = None

    @property
    def is_lost(self) -> bool:
        """Whether another client takes this one's place at the broker."""
        return self.ending is not None and self.ending.taken_over


class Session:
    """The stages of one peer, one after another."""

    def __init__(
        self,
        counters: PublisherCounters,
        pace: Pace,
        open_link: OpenLink,
        *,
        waiting_max: int,
        listen: Listen | None = None,
    ) -> None:
        """`waiting_max` bounds what waits here; `counters` are shared with other sessions."""
        self.link: Link | None = None
        self.has_link = asyncio.Event()
        self.idle = asyncio.Event()  # everything that was asked for is done
        self._counters = counters
        self._pace = pace
        self._open_link = open_link
        self._listen = listen
        self._waiting_max = waiting_max
        self._stages: deque[Stage] = deque()
        self._returned: list[Outgoing] = []
        self._more = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self.link is not None and self.link.is_connected

    @property
    def waiting(self) -> int:
        """Messages that wait here, not counting what a link holds."""
        return sum(len(stage.waiting) for stage in self._stages)

    def submit(self, output: Output) -> None:
        """Take one value of the fleet."""
        if isinstance(output, Connect):
            self._stages.append(Stage(output, self._waiting_max))
            self.idle.clear()
            self._more.set()
        elif not self._stages:
            self._counters.dropped += isinstance(output, Outgoing)
        elif isinstance(output, Disconnect):
            self._stages[-1].ending = output
            self._stages[-1].wake.set()
        elif output.kind is Kind.PRESENCE:
            self._submit_presence(self._stages[-1], output)
        else:
            self._submit_message(self._stages[-1], output)

    def _submit_presence(self, stage: Stage, output: Outgoing) -> None:
        """Presence is greeting at each connect; only a change while connected goes out here."""
        stage.presence = output
        if stage.link is not None and stage.link.is_connected:
            self._submit_message(stage, output)

    def _submit_message(self, stage: Stage, output: Outgoing) -> None:
        if stage.link is not None and not len(stage.waiting):
            try:
                self._send(stage, stage.link, output)
            except OutboxFull:
                # It waits its turn below; the stage sends it when the link has room.
                pass
            else:
                return
        dropped_before = stage.waiting.dropped
        stage.waiting.append(output)
        self._counters.dropped += stage.waiting.dropped - dropped_before
        stage.wake.set()

    async def run(self) -> None:
        """Live through the stages for ever. Raises LinkError when the broker refuses for good."""
        while True:
            while not self._stages:
                self.idle.set()
                self._more.clear()
                await self._more.wait()
            stage = self._stages[0]
            await self._pace.wait()
            try:
                await self._live(stage)
            finally:
                self.link = None
            self._stages.popleft()

    async def _live(self, stage: Stage) -> None:
        for message in reversed(self._returned):
            stage.waiting.put_back(message)
        self._returned = []
        link = self._open_link(stage.connect, lambda: self._greet(stage))
        async with link:
            stage.link = self.link = link
            self.has_link.set()
            listener = None
            if self._listen is not None:
                listener = asyncio.create_task(self._listen(link))
                listener.add_done_callback(partial(_note_failure, stage))
            try:
                await self._deliver(stage, link)
                await self._part(stage, link)
            except LinkError:
                # Being replaced is what a link calls an error, and here it was meant.
                if not stage.is_lost:
                    raise
                self._take_back(stage)
            finally:
                stage.link = None
                if listener is not None:
                    listener.cancel()

    def _greet(self, stage: Stage) -> None:
        """Called at every CONNACK, before anything else goes out: presence is always first."""
        if stage.presence is not None and stage.link is not None:
            self._send(stage, stage.link, stage.presence)

    async def _deliver(self, stage: Stage, link: Link) -> None:
        """Hand over what waits, whenever something does, until the stage ends."""
        await link.connected()
        while True:
            while len(stage.waiting) and not stage.is_lost:
                await link.room()
                self._send_waiting(stage, link)
            if stage.failure is not None:
                raise stage.failure
            if stage.ending is not None:
                return
            stage.wake.clear()
            await stage.wake.wait()

    def _send_waiting(self, stage: Stage, link: Link) -> None:
        while len(stage.waiting):
            message = stage.waiting.first()
            try:
                self._send(stage, link, message)
            except OutboxFull:
                stage.waiting.put_back(message)
                return

    def _send(self, stage: Stage, link: Link, message: Outgoing) -> None:
        """Raises OutboxFull, or LinkError when the link is over."""
        future = link.publish(
            message.topic,
            message.payload,
            qos=message.qos,
            retain=message.retain,
            content_type=CONTENT_TYPE,
            user_properties=_properties(message.contract),
        )
        self._counters.sent += 1
        stage.inflight[future] = message
        future.add_done_callback(lambda done: self._settle(stage, done))

    def _settle(self, stage: Stage, future: asyncio.Future[None]) -> None:
        message = stage.inflight.pop(future, None)
        if message is None:
            # Taken back when the stage was cut off.
            return
        counters = self._counters
        if future.cancelled() or future.exception() is not None:
            if stage.is_lost and message.kind is not Kind.PRESENCE:
                stage.failed.append(message)
            else:
                counters.refused += 1
        else:
            counters.acknowledged += 1

    async def _part(self, stage: Stage, link: Link) -> None:
        """End the stage as the fleet asked: politely, or so that the will goes out."""
        assert stage.ending is not None, "a stage is left when it ends"
        if stage.ending.clean:
            # Leaving the link's context says goodbye once everything is acknowledged.
            return
        if stage.is_lost:
            await _wait_for_take_over(link)
        else:
            with suppress(LinkError):
                # What is not acknowledged in time is taken back below.
                await link.drain(LAST_WORDS_S)
        self._take_back(stage)
        await link.abort()

    def _take_back(self, stage: Stage) -> None:
        """Keep what the broker has not acknowledged, and what was not sent, for the next stage."""
        inflight = stage.inflight.values()
        kept = stage.failed + [each for each in inflight if each.kind is not Kind.PRESENCE]
        stage.inflight.clear()
        self._counters.returned += len(kept)
        self._returned = kept + stage.waiting.clear()


async def _wait_for_take_over(link: Link) -> None:
    """Until the broker has ended the connection in favour of another, or that did not come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(TAKE_OVER_S):
            # A link has no event for this; it would connect again by itself after its backoff.
            while link.is_connected:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)


def _properties(contract: str) -> tuple[tuple[str, str], ...]:
    return USER_PROPERTIES if contract == CONTRACT else (("contract", contract),)


def _note_failure(stage: Stage, listener: asyncio.Task[None]) -> None:
    """What goes wrong in listening ends the session, and is told by it."""
    if not listener.cancelled() and listener.exception() is not None:
        stage.failure = listener.exception()
        stage.wake.set()

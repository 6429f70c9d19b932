"""What the two lanes do alike: reconnecting, waiting, the inbox, the fate of what was published.

A lane adds only how one connection is made, used and ended. Nothing here knows a packet.
"""

import abc
import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Literal, Self

import msgspec

from infusion.errors import LinkError
from link.interface import (
    GREETING_MAX,
    RECEIVE_LIMIT,
    Counters,
    LinkSettings,
    Message,
    OnConnect,
    OutboxFull,
    Subscription,
    UserProperties,
    Will,
)
from link.packets import Outgoing
from link.states import CONNECTION_CLOSED
from link.tools import JITTER, Backoff, Signal

DRAIN_ON_EXIT_S = 2.0
GOODBYE_S = 2.0  # a peer that does not answer our goodbye is cut off after this
TOPIC_BYTES_MAX = 65_535
STABLE_S = 10.0  # a connection that lasts this long has shown that it works
TAKE_OVERS_MAX = 4
SUSPECTED_TAKE_OVER = "SUSPECTED_SESSION_TAKEN_OVER"


class Ending(msgspec.Struct, frozen=True):
    """How one connection, or the attempt to make it, ended.

    `life_s` counts from the CONNACK and is None when there was none.
    """

    reason: str
    text: str = ""
    final: bool = False
    life_s: float | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.text}" if self.text else self.reason


class Lane(abc.ABC):
    """The common half of a link; see `link.interface.Link` for the promises."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        subscriptions: Sequence[Subscription] = (),
        will: Will | None = None,
        on_connect: OnConnect | None = None,
        source: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._subscriptions = tuple(subscriptions)
        self._will = will
        self._on_connect = on_connect
        self._counters = Counters()
        self._backoff = Backoff(settings.backoff_min_s, settings.backoff_max_s, source or JITTER)
        self._inbox: list[Message] = []
        self._held = 0  # QoS 1 messages that the application has and did not acknowledge
        self._outbox_used = 0
        self._greeting = False
        self._is_connected = False
        self._accepted_at: float | None = None
        self._last: Ending | None = None
        self._over: LinkError | None = None
        self._reconnect_after_s: float | None = None
        self._suspicions = 0
        self._task: asyncio.Task[None] | None = None
        self._state_changed = Signal()
        self._arrived = Signal()
        self._settled = Signal()

    @property
    def settings(self) -> LinkSettings:
        return self._settings

    @property
    def counters(self) -> Counters:
        return self._counters

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @property
    def disconnect_reason(self) -> str | None:
        return None if self._last is None else self._last.reason

    @property
    def outbox_used(self) -> int:
        return self._outbox_used

    @property
    def inbox_used(self) -> int:
        return len(self._inbox)

    # -- what a lane must add -------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def _is_subscribed(self) -> bool:
        """Whether the broker has taken the subscriptions of this session."""

    @abc.abstractmethod
    async def _connection(self) -> Ending:
        """Make one connection and stay until it ends; cancelled only while it is being made."""

    @abc.abstractmethod
    def _enqueue(self, outgoing: Outgoing) -> None:
        """Take over a message; `_settle` it exactly once, whatever happens."""

    @abc.abstractmethod
    def _abandon(self) -> list[Outgoing]:
        """Hand back all that is not settled."""

    @abc.abstractmethod
    def _say_goodbye(self) -> None:
        """End the present connection in the polite way."""

    @abc.abstractmethod
    def _cut(self) -> None:
        """End the present connection without a word."""

    @abc.abstractmethod
    def acknowledge(self, messages: Sequence[Message]) -> None:
        """See `Link`."""

    # -- the life of a link ---------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        assert self._task is None, "a link is opened once"
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(
            self._keep_connected(), name=f"link {self._settings.client_id}"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._is_connected and self._outbox_used:
            await self._drained_within(DRAIN_ON_EXIT_S)
        await self._close(self._say_goodbye)

    async def abort(self, *, reconnect_after_s: float | None = None) -> None:
        if reconnect_after_s is None:
            await self._close(self._cut)
            return
        self._raise_if_over()
        self._reconnect_after_s = reconnect_after_s
        self._cut()
        while self._is_connected:
            await self._state_changed.wait()

    async def _close(self, end: Callable[[], None]) -> None:
        task = self._task
        if task is None:
            return
        if self._over is None:
            self._over = LinkError(f"the link to {self._settings.address} is closed")
        if self._is_connected:
            end()
        else:
            task.cancel()
        await asyncio.wait([task], timeout=GOODBYE_S)
        if not task.done():
            self._cut()
            await asyncio.wait([task])
        self._finish(self._over)

    async def _keep_connected(self) -> None:
        """Connect, again and again, until the link is closed or refused for good."""
        try:
            while self._over is None:
                ending = await self._connection()
                self._note(ending)
                if ending.final or self._suspicions >= TAKE_OVERS_MAX:
                    self._finish(self._final_error(ending))
                while self._over is None:
                    await asyncio.sleep(self._delay_s())
                    if self._reconnect_after_s is None:
                        break
        except Exception as error:  # noqa: BLE001 - handed on, see below
            # A fault of ours or of on_connect: whoever waits on the link must hear of it.
            problem = LinkError(f"the link to {self._settings.address} broke: {error!r}")
            problem.__cause__ = error
            self._finish(problem)
            self._cut()

    def _note(self, ending: Ending) -> None:
        """Book one ended connection and judge whether another client is fighting us for it."""
        self._last = ending
        counters = self._counters
        if ending.life_s is None:
            counters.connect_failures += 1
            self._suspicions = 0
        else:
            counters.disconnects += 1
            stable = ending.life_s >= STABLE_S
            # A broker that cannot give a reason (MQTT 3.1.1; rumqttd) just closes on a take-over.
            suspect = ending.reason == CONNECTION_CLOSED and self._reconnect_after_s is None
            self._suspicions = self._suspicions + 1 if suspect and not stable else 0
            if stable:
                self._backoff.reset()
        self._state_changed.fire()

    def _delay_s(self) -> float:
        asked_s, self._reconnect_after_s = self._reconnect_after_s, None
        return self._backoff.next_s() if asked_s is None else asked_s

    def _final_error(self, ending: Ending) -> LinkError:
        address = self._settings.address
        if ending.final:
            return LinkError(f"{address} refused {self._settings.client_id!r} for good: {ending}")
        self._last = Ending(SUSPECTED_TAKE_OVER)
        return LinkError(
            f"{address} closed {TAKE_OVERS_MAX} connections in a row soon after accepting them"
            f" ({SUSPECTED_TAKE_OVER}): another client seems to use the client id"
            f" {self._settings.client_id!r}"
        )

    def _finish(self, error: LinkError) -> None:
        """The link is over: tell everybody who waits."""
        self._over = error
        self._is_connected = False
        for outgoing in self._abandon():
            self._settle(outgoing, str(error))
        for signal in (self._state_changed, self._arrived, self._settled):
            signal.fire()

    def _raise_if_over(self) -> None:
        if self._over is not None:
            # A new instance each time, since a traceback grows with every raise of the same one.
            raise LinkError(*self._over.args) from self._over.__cause__

    async def connected(self, timeout_s: float | None = None) -> None:
        await self._until(lambda: self._is_connected, "connection to", timeout_s)

    async def subscribed(self, timeout_s: float | None = None) -> None:
        await self._until(
            lambda: self._is_connected and (self._is_subscribed or not self._subscriptions),
            "subscription at",
            timeout_s,
        )

    async def _until(self, is_so: Callable[[], bool], what: str, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not is_so():
                    self._raise_if_over()
                    await self._state_changed.wait()
        except TimeoutError:
            last = f"last failure: {self._last}" if self._last else "no attempt has ended yet"
            text = f"no {what} {self._settings.address} within {timeout_s} s; {last}"
            raise LinkError(text) from None

    def _greet(self, session_present: bool) -> None:
        """The broker accepted us: let the owner speak first."""
        self._counters.connects += 1
        self._accepted_at = asyncio.get_running_loop().time()
        self._is_connected = True
        self._reconnect_after_s = None
        self._held = 0
        if session_present:
            # The broker delivers these again, since none of them was acknowledged.
            self._inbox = [message for message in self._inbox if message.qos == 0]
        else:
            # The broker has forgotten these: they are ours alone, with nothing to acknowledge.
            self._inbox = [msgspec.structs.replace(message, token=0) for message in self._inbox]
        if self._on_connect is not None:
            self._greeting = True
            try:
                self._on_connect(session_present)
            finally:
                self._greeting = False
        self._state_changed.fire()
        self._arrived.fire()

    def _life_s(self) -> float | None:
        """How long the connection that just ended has lived since its CONNACK; forgets it."""
        accepted_at, self._accepted_at = self._accepted_at, None
        self._is_connected = False
        return None if accepted_at is None else asyncio.get_running_loop().time() - accepted_at

    # -- out ------------------------------------------------------------------------------------

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: Literal[0, 1] = 1,
        retain: bool = False,
        content_type: str | None = None,
        user_properties: UserProperties = (),
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        expiry_s: int | None = None,
    ) -> asyncio.Future[None]:
        self._raise_if_over()
        if not topic or "+" in topic or "#" in topic or "\0" in topic:
            raise ValueError(f"{topic!r} is not a topic one can publish to")
        outbox_max = self._settings.outbox_max + (GREETING_MAX if self._greeting else 0)
        if self._outbox_used >= outbox_max:
            raise OutboxFull(f"{self._outbox_used} messages wait for {self._settings.address}")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        outgoing = Outgoing(
            topic,
            payload,
            qos,
            retain,
            content_type,
            user_properties,
            response_topic,
            correlation_data,
            None if expiry_s is None else loop.time() + expiry_s,
            future,
        )
        self._outbox_used += 1
        if qos == 0 and not self._is_connected:
            self._settle(outgoing, "NOT_CONNECTED")
        elif len(payload) > self._settings.packet_bytes_max:
            self._settle(outgoing, "PACKET_TOO_LARGE")
        else:
            self._enqueue(outgoing)
        return future

    def _settle(self, outgoing: Outgoing, reason: str | None) -> None:
        """Tell the fate of one message; fire `_settled` after a batch of these."""
        self._outbox_used -= 1
        future = outgoing.receipt
        assert isinstance(future, asyncio.Future)
        if reason is None:
            self._counters.published += 1
            if not future.done():
                future.set_result(None)
            return
        self._counters.refused += 1
        if not future.done():
            text = f"{self._settings.address} did not get a message on {outgoing.topic}: {reason}"
            future.set_exception(LinkError(text))
            # Looking at it tells asyncio that a failure nobody awaits is no accident.
            future.exception()

    async def room(self) -> None:
        while self._outbox_used >= self._settings.outbox_max:
            self._raise_if_over()
            await self._settled.wait()
        self._raise_if_over()

    async def drain(self, timeout_s: float) -> None:
        self._raise_if_over()
        if await self._drained_within(timeout_s):
            self._raise_if_over()  # settled, but by the end of the link
        else:
            count, address = self._outbox_used, self._settings.address
            raise LinkError(f"{address} did not acknowledge {count} messages within {timeout_s} s")

    async def _drained_within(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while self._outbox_used:
                    await self._settled.wait()
        except TimeoutError:
            return False
        return True

    # -- in -------------------------------------------------------------------------------------

    async def receive(self, limit: int = RECEIVE_LIMIT) -> list[Message]:
        while not self._inbox or self._held >= self._settings.receive_max:
            self._raise_if_over()
            await self._arrived.wait()
        count = min(limit, self._settings.receive_max - self._held)
        batch, self._inbox = self._inbox[:count], self._inbox[count:]
        self._held += sum(1 for message in batch if message.token)
        self._taken()
        return batch

    def _taken(self) -> None:  # noqa: B027 - only the lane that pauses reading needs it
        """The inbox has shrunk."""

    def _released(self, count: int) -> None:
        """So many messages were acknowledged: the application may have more."""
        if count:
            self._held = max(0, self._held - count)
            self._arrived.fire()

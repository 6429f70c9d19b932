"""Lane 5: an asyncio protocol around the sans-I/O session; TCP or TLS, MQTT 5.

Inbound: QoS 1 is bounded by `receive_max`, since the application acknowledges by hand and a broker
stops there. Not every broker does (rumqttd never; Mosquitto 2.0.11 not while it works off the queue
of a session that was away): when QoS 1 messages come although the inbox is full, reading pauses
until the application has taken half of it. What stays unread is bounded by TCP. Reading goes on
while the application waits in `room` or `drain`, because the PUBACKs that it waits for come on the
same wire. A QoS 0 message that meets a full inbox is dropped and counted: it is the promise that
can be broken.

Outbound: messages leave in one write for each turn of the event loop. While the wire is congested
(pause_writing) they stay in the outbox, which is bounded; acknowledgements still leave.
"""

import asyncio
import random
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from link.interface import LinkSettings, Message, OnConnect, Subscription, Will
from link.lane import GOODBYE_S, Ending, Lane
from link.packets import Outgoing
from link.session import Session
from link.states import Accepted, Ended, Event, Settled, State, Subscribed
from link.tools import tls_context


class Wire(asyncio.Protocol):
    """Carries bytes between one transport and its link, and nothing else."""

    __slots__ = ("_link", "is_paused", "transport")

    def __init__(self, link: "FastLink") -> None:
        self._link = link
        self.is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio.Transport, they only behave like it.
        self.transport = cast("asyncio.Transport", transport)
        self._link.wire_made(self)

    def data_received(self, data: bytes) -> None:
        self._link.wire_received(data)

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        self._link.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.wire_lost(self, "" if exc is None else str(exc) or repr(exc))


class FastLink(Lane):
    """The link over MQTT 5; see `link.interface.Link` for the promises."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        subscriptions: Sequence[Subscription] = (),
        will: Will | None = None,
        on_connect: OnConnect | None = None,
        source: random.Random | None = None,
    ) -> None:
        super().__init__(
            settings,
            subscriptions=subscriptions,
            will=will,
            on_connect=on_connect,
            source=source,
        )
        self._session = Session(
            settings, subscriptions=subscriptions, will=will, counters=self._counters
        )
        self._wire: Wire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flush_due = False
        self._ended: asyncio.Future[Ended] | None = None
        self._ending: Ended | None = None
        self._is_deaf = False  # reading is paused
        self._ears_needed = 0  # who waits for PUBACKs at this moment

    # -- one connection -------------------------------------------------------------------------

    async def _connection(self) -> Ending:
        loop = asyncio.get_running_loop()
        settings = self._settings
        self._ended = loop.create_future()
        self._ending = None
        try:
            context = None if settings.tls is None else tls_context(settings.tls)
            async with asyncio.timeout(settings.connect_timeout_s):
                await loop.create_connection(
                    lambda: Wire(self),
                    settings.host,
                    settings.port,
                    ssl=context,
                    ssl_shutdown_timeout=None if context is None else GOODBYE_S,
                )
            ended = await self._ended
        except TimeoutError:
            return Ending("CONNECT_TIMEOUT", f"no answer within {settings.connect_timeout_s} s")
        except ssl.SSLError as error:
            # The certificate, or what we think of it, does not change by asking again.
            return Ending("TLS_FAILED", str(error), final=True)
        except OSError as error:
            return Ending("UNREACHABLE", error.strerror or str(error))
        finally:
            self._hang_up()
        return Ending(ended.reason, ended.text, ended.final, self._life_s())

    def wire_made(self, wire: Wire) -> None:
        """A transport is up: start the session on it."""
        now = asyncio.get_running_loop().time()
        self._wire = wire
        self._session.connect(now)
        self.flush()
        self._watch()

    def wire_received(self, data: bytes) -> None:
        """Bytes came."""
        now = asyncio.get_running_loop().time()
        try:
            self._apply(self._session.receive(data, now))
        except Exception as error:  # noqa: BLE001 - handed on, see below
            # asyncio would only log it; the link must end, and whoever waits must hear why.
            if self._ended is not None and not self._ended.done():
                self._ended.set_exception(error)
            return
        if self._session.has_more and not self._flush_due:
            self.flush()

    def wire_lost(self, wire: Wire, text: str) -> None:
        """The transport is closed, by whomever; one that we gave up before says nothing new."""
        if wire is not self._wire:
            return
        self._apply(self._session.lost(text))
        self._wire = None
        if self._ended is not None and not self._ended.done():
            assert self._ending is not None, "a session without a wire has ended"
            self._ended.set_result(self._ending)

    def _hang_up(self) -> None:
        """Leave nothing behind, also when the attempt was cancelled half-way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wire is not None:
            self._wire.transport.abort()
            self._apply(self._session.lost())
            self._wire = None
        self._is_deaf = False

    def _close_wire(self) -> None:
        """Write the last words, if any, and close; who does not read them is cut after a while."""
        wire = self._wire
        if wire is None:
            return
        last_words = self._session.take()
        if not last_words:
            wire.transport.abort()
            return
        wire.transport.write(last_words)
        if wire.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(GOODBYE_S, wire.transport.abort)
        wire.transport.close()

    # -- time -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """One timer for each connection, set anew only when it fires: traffic costs it nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._session.deadline
        if deadline != float("inf"):
            self._timer = asyncio.get_running_loop().call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        if self._is_deaf:
            # Who does not listen cannot say that the other is silent.
            self._apply(self._session.receive(b"", now))
        self._apply(self._session.tick(now))
        if self._wire is not None:
            self.flush()
            self._watch()

    # -- what the session says ------------------------------------------------------------------

    def _apply(self, events: list[Event]) -> None:
        """Do what the events say, in order; wake whom they concern, once."""
        inbox_before = len(self._inbox)
        has_settled = False
        for event in events:
            kind = type(event)
            if kind is Message:
                self._store(event)  # type: ignore[arg-type]  # mypy does not narrow by `is`
            elif kind is Settled:
                self._settle(event.outgoing, event.reason)  # type: ignore[union-attr]
                has_settled = True
            elif isinstance(event, Accepted):
                self._accept(event)
            elif isinstance(event, Subscribed):
                self._state_changed.fire()
            elif isinstance(event, Ended):
                self._ending = event
                self._is_connected = False
                self._close_wire()
        if len(self._inbox) > inbox_before:
            self._arrived.fire()
        if has_settled:
            self._settled.fire()

    def _store(self, message: Message) -> None:
        if len(self._inbox) < self._settings.inbox_max:
            self._inbox.append(message)
        elif message.qos == 0:
            self._counters.dropped += 1
        else:
            # It has been read already; what follows it has not.
            self._inbox.append(message)
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._wire is not None and not self._is_deaf and not self._ears_needed:
            self._is_deaf = True
            self._wire.transport.pause_reading()

    def _read_on(self) -> None:
        if self._wire is not None and self._is_deaf:
            self._is_deaf = False
            # The time we did not listen is not counted as the broker's silence.
            self._apply(self._session.receive(b"", asyncio.get_running_loop().time()))
            self._wire.transport.resume_reading()

    def _accept(self, accepted: Accepted) -> None:
        self._greet(accepted.session_present)
        if self._session.state is State.GREETING:  # on_connect has not closed the link
            self._session.open()
            self.flush()
            self._watch()
            # What came together with the CONNACK had to wait until now.
            now = asyncio.get_running_loop().time()
            self._apply(self._session.receive(b"", now))

    def flush(self) -> None:
        """Write what is ready now."""
        self._flush_due = False
        wire = self._wire
        if wire is None:
            return
        now = asyncio.get_running_loop().time()
        data, settled = self._session.send(now, paused=wire.is_paused)
        if data:
            wire.transport.write(data)
        if settled:
            self._apply(settled)
        if self._session.has_more and not wire.is_paused:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    # -- what the lane asks ---------------------------------------------------------------------

    @property
    def _is_subscribed(self) -> bool:
        return self._session.is_subscribed

    async def room(self) -> None:
        with self._ears():
            await super().room()

    async def _drained_within(self, timeout_s: float) -> bool:
        with self._ears():
            return await super()._drained_within(timeout_s)

    @contextmanager
    def _ears(self) -> Iterator[None]:
        """Keep reading as long as somebody waits for what the broker says to our messages."""
        self._ears_needed += 1
        self._read_on()
        try:
            yield
        finally:
            self._ears_needed -= 1

    def _taken(self) -> None:
        if self._is_deaf and len(self._inbox) <= self._settings.inbox_max // 2:
            self._read_on()

    def _enqueue(self, outgoing: Outgoing) -> None:
        self._session.publish(outgoing)
        if self._is_connected:
            self._flush_soon()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        count = self._session.acknowledge(messages)
        if count:
            self.flush()
            self._released(count)

    def _abandon(self) -> list[Outgoing]:
        return self._session.abandon()

    def _say_goodbye(self) -> None:
        self._apply(self._session.disconnect())

    def _cut(self) -> None:
        if self._wire is not None:
            self._wire.transport.abort()

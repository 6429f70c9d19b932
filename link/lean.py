"""Lean MQTT sessions for a load generator: ten thousand in one process, with one object each.

`link.connection` keeps every promise of `link.interface.Link` and costs tens of KB a session. A
load generator needs less: publish, count, tell when the broker acknowledged, and come back after a
loss with what was not acknowledged. So a session here is an `asyncio.Protocol` with a few slots,
packets are bytes (`link.lean_packets`), and whoever drives the sessions is told through `Observer`.
What is not here: reading messages with properties, QoS 2, sessions that outlive their connection.

All times are µs of the machine's monotonic clock, which all processes of one machine share.
"""

import asyncio
import ssl
import time
from collections import deque
from typing import Literal, Protocol, cast

from msgspec import Struct

from link import lean_packets as packets
from link.interface import LinkSettings, Tls, Will
from link.tools import tls_context

WAITING_MAX = 1_000  # messages of one session that wait for a connection or an acknowledgement
WINDOW_MAX = 1_000  # QoS 1 messages in flight, where the broker allows as many
PACKET_IDS = 65_535
PENDING_BYTES_MAX = 65_536  # written at once, rather than at the end of the turn
SESSION_BYTES_MAX = 1_048_576  # half a packet of a broker longer than this is no MQTT


def now_us() -> int:
    """Now, in µs of the monotonic clock."""
    return time.monotonic_ns() // 1_000


class Parcel(Struct, gc=False):
    """One message on its way: what it is made of, when it was meant to go, and who it is.

    `intended_us` is 0 where no latency is to be measured; `identity` belongs to the observer.
    """

    topic: bytes
    properties: bytes
    payload: bytes
    retain: bool
    intended_us: int
    identity: int


class Observer(Protocol):
    """What sessions tell, each call cheap."""

    def accepted(self, session: "LeanSession", took_us: int) -> None:
        """The broker has accepted a connection, so long after it was meant to begin."""

    def written(self, parcel: Parcel, at_us: int) -> None:
        """A message has been handed to the transport, for the first time."""

    def acknowledged(self, took_us: int) -> None:
        """PUBACK came, so long after the message was meant to go; -1 where that is not measured."""

    def refused(self, code: int) -> None:
        """PUBACK came with a reason code that says no."""

    def lost(self, session: "LeanSession", reason: str) -> None:
        """A connection has ended, or could not be made, without having been told to."""

    def dropped(self) -> None:
        """A message found no room in a session that waits."""


class LeanSession(asyncio.Protocol):
    """One session: made once, connected any number of times."""

    __slots__ = (
        "_connect",
        "_from_write",
        "_inflight",
        "_last_id",
        "_left_behind",
        "_meant_us",
        "_observer",
        "_paused",
        "_pending",
        "_ping_us",
        "_reason",
        "_rest",
        "_sent_us",
        "_transport",
        "_version",
        "_waiting",
        "_window",
        "_window_max",
        "is_open",
        "is_wanted",
        "name",
        "tries",
    )

    def __init__(
        self,
        name: str,
        mqtt: Literal["5", "3.1.1"],
        observer: Observer,
        *,
        window_max: int = WINDOW_MAX,
        from_write: bool = False,
    ) -> None:
        """`window_max` bounds what is in flight; `from_write` counts from the write."""
        self.name = name
        self.is_open = False
        self.is_wanted = False  # whether it is meant to be connected
        self.tries = 0  # attempts since it was last accepted
        self._version = mqtt
        self._observer = observer
        self._window_max = window_max
        self._window = window_max
        self._from_write = from_write
        self._connect = b""
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._pending = b""
        self._rest = b""
        self._inflight: dict[int, tuple[bytes, int]] = {}
        self._waiting: deque[Parcel] | None = None
        self._last_id = 0
        self._meant_us = self._sent_us = self._ping_us = 0
        self._reason: str | None = None  # why we ended a connection ourselves
        self._left_behind = 0  # transports that were told to close and have not said so yet

    @property
    def in_flight(self) -> int:
        """QoS 1 messages that the broker has not acknowledged."""
        return len(self._inflight)

    @property
    def waiting(self) -> int:
        """Messages that have not been written yet."""
        return len(self._waiting) if self._waiting is not None else 0

    async def connect(
        self,
        settings: LinkSettings,
        will: Will | None,
        meant_us: int,
        source: str | None = None,
    ) -> None:
        """Make a connection from the address `source`; failure is told to the observer.

        `meant_us` is when it should have begun: how long it took counts from there.
        """
        self.is_wanted = True
        self.tries += 1
        self._meant_us = meant_us
        self._connect = packets.connect_bytes(settings, will)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await loop.create_connection(
                    lambda: self,
                    settings.host,
                    settings.port,
                    ssl=_context(settings.tls),
                    local_addr=None if source is None else (source, 0),
                )
        except TimeoutError:
            self._failed("CONNECT_TIMEOUT")
        except ssl.SSLError as error:
            self._failed(f"TLS_FAILED ({error.reason or error})")
        except OSError as error:
            self._failed(f"UNREACHABLE ({error.strerror or error})")

    def _failed(self, reason: str) -> None:
        """An attempt came to nothing; that is news only while it is wanted."""
        if self.is_wanted:
            self._observer.lost(self, reason)

    # -- out --------------------------------------------------------------------------------------

    def publish(self, parcel: Parcel, qos: int) -> bool:
        """Take a message; whether `flush` is needed for it to leave. Never waits."""
        if not self.is_open or self._paused or self._waiting or self._is_full(qos):
            waiting = self._waiting
            if waiting is None:
                waiting = self._waiting = deque()
            if len(waiting) >= WAITING_MAX:
                self._observer.dropped()
                return False
            waiting.append(parcel)
            return False
        was_empty = not self._pending
        self._put(parcel, qos)
        return was_empty

    def flush(self) -> None:
        """Write what was put since the last flush, in one go."""
        if self._pending and self._transport is not None:
            data, self._pending = self._pending, b""
            self._transport.write(data)

    def _is_full(self, qos: int) -> bool:
        return qos > 0 and len(self._inflight) >= self._window

    def _put(self, parcel: Parcel, qos: int) -> None:
        at_us = now_us()
        packet_id = 0
        if qos:
            packet_id = self._free_id()
        packet = packets.publish_bytes(
            parcel.topic, parcel.properties, parcel.payload, packet_id, parcel.retain
        )
        if qos:
            measured_us = at_us if self._from_write and parcel.intended_us else parcel.intended_us
            self._inflight[packet_id] = (packet, measured_us)
        self._pending = self._pending + packet if self._pending else packet
        self._sent_us = at_us
        self._observer.written(parcel, at_us)
        if len(self._pending) > PENDING_BYTES_MAX:
            self.flush()

    def send_waiting(self, qos: int = 1) -> None:
        """Send what waits, as far as window and wire allow."""
        waiting = self._waiting
        while waiting and self.is_open and not self._paused and not self._is_full(qos):
            self._put(waiting.popleft(), qos)
        if not waiting:
            self._waiting = None
        self.flush()

    def keep_alive(self, at_us: int, keep_alive_us: int) -> None:
        """Ping where nothing was sent for three quarters of the keep-alive; end what is dead."""
        if not self.is_open or self._transport is None:
            return
        if self._ping_us and at_us - self._ping_us > keep_alive_us:
            self._transport.abort()
        elif not self._ping_us and at_us - self._sent_us > keep_alive_us * 3 // 4:
            self._sent_us = self._ping_us = at_us
            self._transport.write(packets.PING)

    def goodbye(self) -> None:
        """End politely: the broker sends no will."""
        transport = self._leave()
        if transport is not None:
            transport.write(packets.GOODBYE)
            transport.close()

    def cut(self) -> None:
        """End without a word: the broker sends the will."""
        transport = self._leave()
        if transport is not None:
            transport.abort()

    def _leave(self) -> asyncio.Transport | None:
        """Have nothing to do with the present connection any more; the transport to close."""
        self.is_wanted = self.is_open = False
        self.flush()
        transport, self._transport = self._transport, None
        self._left_behind += transport is not None
        return transport

    # -- what the transport calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio.Transport, they only behave like it.
        made = cast("asyncio.Transport", transport)
        if not self.is_wanted or self._transport is not None:
            # The attempt was overtaken: given up meanwhile, or another one is there already.
            self._left_behind += 1
            made.abort()
            return
        self._transport = made
        self._rest = b""
        self._paused = False
        self._ping_us = 0
        self._reason = None
        self._transport.write(self._connect)

    def data_received(self, data: bytes) -> None:
        # Nearly always it is one PUBACK without a reason code, alone.
        if len(data) == 4 and data[0] == packets.PUBACK and not self._rest:
            self._settle(data[2] << 8 | data[3])
            if self._waiting:
                self.send_waiting()
            return
        try:
            found, self._rest = packets.split(self._rest + data if self._rest else data)
            for first, body in found:
                self._handle(first, body)
        except (ValueError, IndexError):
            self._end("PROTOCOL_ERROR")
            return
        if len(self._rest) > SESSION_BYTES_MAX:
            self._end("PACKET_TOO_LARGE")
        elif self._waiting:
            self.send_waiting()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.send_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._left_behind:
            self._left_behind -= 1
            return
        self._transport = None
        self._pending = b""
        self.is_open = False
        if self.is_wanted:
            text = "CONNECTION_CLOSED" if exc is None else f"CONNECTION_LOST ({exc})"
            self._observer.lost(self, self._reason or text)

    # -- what the broker says ---------------------------------------------------------------------

    def _handle(self, first: int, body: bytes) -> None:
        kind = first & packets.KIND_BITS
        if kind == packets.PUBACK:
            if len(body) > 2 and body[2] >= packets.FAILURE:
                self._inflight.pop(body[0] << 8 | body[1], None)
                self._observer.refused(body[2])
            else:
                self._settle(body[0] << 8 | body[1])
        elif kind == packets.CONNACK:
            self._accept(packets.read_connack(self._version, body))
        elif kind == packets.PINGRESP:
            self._ping_us = 0
        elif kind == packets.DISCONNECT:
            self._end(f"DISCONNECT_{body[0]:#04x}" if body else "DISCONNECT_0x00")

    def _settle(self, packet_id: int) -> None:
        settled = self._inflight.pop(packet_id, None)
        if settled is not None:
            meant_us = settled[1]
            self._observer.acknowledged(now_us() - meant_us if meant_us else -1)

    def _accept(self, answer: packets.Accepted) -> None:
        if answer.refusal is not None:
            self._end(answer.refusal)
            return
        self._window = min(answer.receive_max, self._window_max)
        self.is_open = True
        self.tries = 0
        self._sent_us = at_us = now_us()
        unsettled = list(self._inflight)
        # The observer greets, and nothing may come before that.
        self._observer.accepted(self, at_us - self._meant_us)
        for packet_id in unsettled:
            packet, meant_us = self._inflight[packet_id]
            packet = packets.again(packet)
            self._inflight[packet_id] = (packet, meant_us)
            self._pending += packet
        self.send_waiting()

    def greet(self, parcel: Parcel, qos: int) -> None:
        """Send a message before all others; for `Observer.accepted` only."""
        self._put(parcel, qos)

    def _free_id(self) -> int:
        packet_id = self._last_id % PACKET_IDS + 1
        while packet_id in self._inflight:
            packet_id = packet_id % PACKET_IDS + 1
        self._last_id = packet_id
        return packet_id

    def _end(self, reason: str) -> None:
        """The broker refused or broke a rule: the connection goes, and says why when it is gone."""
        self._reason = reason
        if self._transport is not None:
            self._transport.abort()


def _context(tls: Tls | None) -> ssl.SSLContext | None:
    return None if tls is None else tls_context(tls)

"""A lean subscriber: it reads PUBLISH with the least effort and acknowledges at once.

For a load generator's receiving side, which must keep up with a broker that serves thousands of
publishers. It stores nothing, so an acknowledgement here promises nothing but "seen".
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from link import lean_packets as packets
from link.interface import LinkSettings
from link.lean import now_us
from link.tools import tls_context

# Called with the messages of one read, as (topic, payload), and when they came.
Heard = Callable[[list[tuple[bytes, bytes]], int], object]
# Called with the named reason when a connection ends that was not told to.
Lost = Callable[[str], object]


class LeanListener(asyncio.Protocol):
    """One subscription of one session; a new object for each connection."""

    def __init__(
        self, settings: LinkSettings, topics: tuple[str, ...], qos: int, heard: Heard, lost: Lost
    ) -> None:
        """It subscribes to `topics`; retained messages are passed over."""
        self._settings = settings
        self._topics = topics
        self._qos = qos
        self._heard = heard
        self._lost = lost
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._reason: str | None = None
        self._is_wanted = True
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Connect, and wait until the broker has taken the subscription.

        Raises OSError or ConnectionError with the reason, also after `connect_timeout_s`.
        """
        settings = self._settings
        context = None if settings.tls is None else tls_context(settings.tls)
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: self, settings.host, settings.port, ssl=context
                )
                await self.subscribed
        except TimeoutError:
            raise ConnectionError("CONNECT_TIMEOUT") from None
        except ssl.SSLError as error:
            raise ConnectionError(f"TLS_FAILED ({error.reason or error})") from None

    def ping(self) -> None:
        """Keep the connection alive; call it more often than its keep-alive asks."""
        if self._transport is not None:
            self._transport.write(packets.PING)

    def goodbye(self) -> None:
        """End politely."""
        self._is_wanted = False
        if self._transport is not None:
            self._transport.write(packets.GOODBYE)
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(packets.connect_bytes(self._settings, None))

    def data_received(self, data: bytes) -> None:
        at_us = now_us()
        try:
            found, self._rest = packets.split(self._rest + data if self._rest else data)
            messages, to_acknowledge = self._read(found)
        except (ValueError, IndexError):
            self._end("PROTOCOL_ERROR")
            return
        if to_acknowledge and self._transport is not None:
            self._transport.write(packets.acknowledge_bytes(to_acknowledge))
        if messages:
            self._heard(messages, at_us)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        text = self._reason or ("CONNECTION_CLOSED" if exc is None else f"CONNECTION_LOST ({exc})")
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError(text))
        elif self._is_wanted:
            self._lost(text)

    def _read(
        self, found: list[tuple[int, bytes]]
    ) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """The messages in some packets, and the packet ids that they are acknowledged by."""
        messages: list[tuple[bytes, bytes]] = []
        to_acknowledge: list[bytes] = []
        version = self._settings.mqtt
        for first, body in found:
            if first & packets.KIND_BITS == packets.PUBLISH:
                arrived = packets.read_publish(version, first, body)
                if arrived.packet_id is not None:
                    to_acknowledge.append(arrived.packet_id)
                if not arrived.is_retained:
                    messages.append((arrived.topic, arrived.payload))
            else:
                self._handle(first & packets.KIND_BITS, body)
        return messages, to_acknowledge

    def _handle(self, kind: int, body: bytes) -> None:
        settings = self._settings
        if kind == packets.CONNACK:
            refusal = packets.read_connack(settings.mqtt, body).refusal
            if refusal is not None:
                self._end(refusal)
            elif self._transport is not None:
                data = packets.subscribe_bytes(settings.mqtt, self._topics, self._qos)
                self._transport.write(data)
        elif kind == packets.SUBACK:
            if packets.refused_filters(settings.mqtt, body):
                self._end("SUBSCRIPTION_REFUSED")
            elif not self.subscribed.done():
                self.subscribed.set_result(None)
        elif kind == packets.DISCONNECT:
            self._end(f"DISCONNECT_{body[0]:#04x}" if body else "DISCONNECT_0x00")

    def _end(self, reason: str) -> None:
        self._reason = reason
        if self._transport is not None:
            self._transport.abort()

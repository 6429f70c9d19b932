"""The monitor's stream of server-sent events, read as a page reads it: which pump has the alert.

HTTP/1.1 by hand over asyncio's streams, since one GET that never ends is all that is needed, and
the time at which a piece arrives is what counts. docs/api.md tells the events.
"""

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from infusion.errors import ConfigError
from link.lean import now_us

PATH = "/api/v1/stream?kinds=alerts"
LINE_BYTES_MAX = 16_777_216  # a snapshot of many alerts is one line
HEAD_LINES_MAX = 100
PORTS = {"http": 80, "https": 443}
# Called with `site/pump` and when it came.
Told = Callable[[str, int], object]


class _Named(Struct, frozen=True):
    """What of an alert is needed here."""

    rule: str
    site: str
    pump: str


class _List(Struct, frozen=True):
    alerts: list[_Named]


class _News(Struct, frozen=True):
    """A snapshot has `alerts`, a patch has `lists`."""

    alerts: list[_Named] = []
    lists: list[_List] = []


class Place(Struct, frozen=True):
    """Where the stream is."""

    host: str
    port: int
    is_secure: bool


def place_of(url: str) -> Place:
    """The place that a URL names, a path left aside. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"--sse {url}: {error}; an example: http://127.0.0.1:8420") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise ConfigError(f"--sse {url}: write http://HOST:PORT, as in http://127.0.0.1:8420")
    return Place(parts.hostname, port or PORTS[parts.scheme], parts.scheme == "https")


class AlertStream:
    """One open stream."""

    def __init__(self, place: Place, token: str, rule: str, told: Told) -> None:
        """`told` is called for each alert of `rule`, each time that it is shown."""
        self._place, self._token, self._rule, self._told = place, token, rule, told
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self, timeout_s: float) -> None:
        """Ask for the stream. Raises OSError, which names the status where it is not 200."""
        place = self._place
        context = ssl.create_default_context() if place.is_secure else None
        try:
            async with asyncio.timeout(timeout_s):
                self._reader, self._writer = await asyncio.open_connection(
                    place.host, place.port, ssl=context, limit=LINE_BYTES_MAX
                )
                self._writer.write(self._request())
                status = await self._read_head()
        except TimeoutError:
            raise ConnectionError("SSE_TIMEOUT") from None
        if status != "200":
            raise ConnectionError(f"SSE_STATUS_{status}")

    async def follow(self) -> None:
        """Tell of each alert until the stream ends. Raises ConnectionError when it does."""
        assert self._reader is not None, "a stream is opened first"
        rest = b""
        try:
            while True:
                size = int(await self._reader.readline() or b"0", 16)
                piece = await self._reader.readexactly(size + 2)
                at_us = now_us()
                if not size:
                    raise ConnectionError("SSE_ENDED")
                *events, rest = (rest + piece[:-2]).split(b"\n\n")
                for event in events:
                    self._read(event, at_us)
        except (ValueError, asyncio.IncompleteReadError) as error:
            raise ConnectionError(f"SSE_ENDED ({error})") from None

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.transport.abort()

    def _request(self) -> bytes:
        return (
            f"GET {PATH} HTTP/1.1\r\nHost: {self._place.host}:{self._place.port}\r\n"
            f"Authorization: Bearer {self._token}\r\nAccept: text/event-stream\r\n\r\n"
        ).encode()

    async def _read_head(self) -> str:
        """The status; the head is read past."""
        assert self._reader is not None
        first = (await self._reader.readline()).split()
        for _ in range(HEAD_LINES_MAX):
            if (await self._reader.readline()).strip() == b"":
                break
        return first[1].decode("ascii", "replace") if len(first) > 1 else "NONE"

    def _read(self, event: bytes, at_us: int) -> None:
        fields = dict(line.split(b": ", 1) for line in event.splitlines() if line.count(b": "))
        if fields.get(b"event") not in (b"snapshot", b"patch"):
            return
        try:
            news = msgspec.json.decode(fields.get(b"data", b"{}"), type=_News)
        except msgspec.DecodeError as error:
            raise ConnectionError(f"SSE_UNREADABLE ({error})") from None
        for alert in (*news.alerts, *(each for item in news.lists for each in item.alerts)):
            if alert.rule == self._rule:
                self._told(f"{alert.site}/{alert.pump}", at_us)

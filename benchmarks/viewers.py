"""Viewers of the page, as a process of their own: `python -m benchmarks.viewers`, from page.py.

Each is a raw connection that reads the stream and counts its bytes. One in `LOOKS` also looks into
each patch: how long ago, by the clock of this machine, the monitor received what a row tells. The
last one may be stalled: it asks, and never reads. One line of JSON says when all are there, and
after a line on stdin another says what they saw.
"""

import asyncio
import socket
import sys
import time

import click
import msgspec
from msgspec import Struct, field

from monitor.web.rows import Patch, Snapshot
from monitor.web.stream import PATH

LOOKS = 10
LIMIT = 2**22
RECEIVE_BYTES = 4_096

_PATCH = msgspec.json.Decoder(Patch)
_SNAPSHOT = msgspec.json.Decoder(Snapshot)


class Seen(Struct):
    """What all viewers saw since they were told to begin."""

    seconds: float = 0.0
    bytes: int = 0
    snapshot_bytes: int = 0
    patches: int = 0
    delays_ms: list[float] = field(default_factory=list)


class Counting:
    """One viewer."""

    def __init__(self, looks: bool, seen: Seen) -> None:
        self._looks = looks
        self._seen = seen
        # When each pump was last heard: a row that was made anew for another reason has no delay.
        self._heard_ms: dict[str, int] = {}
        self.begun = asyncio.Event()

    async def watch(self, host: str, port: int, token: str) -> None:
        """Read until cancelled. Raises AssertionError when it is refused."""
        reader, writer = await asyncio.open_connection(host, port, limit=LIMIT)
        writer.write(request(host, token))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            while length := int(await reader.readline(), 16):
                self._take((await reader.readexactly(length + 2))[:-2])
        finally:
            writer.close()

    def _take(self, events: bytes) -> None:
        seen = self._seen
        if not self.begun.is_set():
            seen.snapshot_bytes = len(events)
            for row in _SNAPSHOT.decode(_data(events, b"snapshot")).pumps:
                self._heard_ms[row.key] = row.heard_ms or 0
            self.begun.set()
            return
        seen.bytes += len(events)
        if not self._looks or b"event: patch\n" not in events:
            return
        now_ms = time.time() * 1e3
        for block in events.split(b"\n\n"):
            if b"event: patch\n" in block:
                self._look(_PATCH.decode(_data(block, b"patch")), now_ms)

    def _look(self, patch: Patch, now_ms: float) -> None:
        self._seen.patches += 1
        for row in patch.pumps:
            if row.heard_ms is None:
                continue
            before_ms = self._heard_ms.get(row.key, row.heard_ms)
            self._heard_ms[row.key] = row.heard_ms
            if row.heard_ms > before_ms:
                self._seen.delays_ms.append(now_ms - row.heard_ms)


def _data(events: bytes, kind: bytes) -> bytes:
    """The data of the first event of a kind."""
    return events.split(b"event: %b\ndata: " % kind, 1)[1].split(b"\n\n", 1)[0]


def request(host: str, token: str) -> bytes:
    """What a viewer asks."""
    return (
        f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    ).encode()


async def stall(host: str, port: int, token: str) -> socket.socket:
    """A viewer that asks and reads nothing."""
    loop = asyncio.get_running_loop()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    deaf.setblocking(False)
    await loop.sock_connect(deaf, (host, port))
    await loop.sock_sendall(deaf, request(host, token))
    return deaf


async def _watch(host: str, port: int, token: str, count: int, stalled: bool) -> None:
    seen = Seen()
    viewers = [Counting(number % LOOKS == 0, seen) for number in range(count)]
    deaf = await stall(host, port, token) if stalled else None
    tasks = [asyncio.create_task(each.watch(host, port, token)) for each in viewers]
    for viewer, task in zip(viewers, tasks, strict=True):
        begun = asyncio.create_task(viewer.begun.wait())
        await asyncio.wait((begun, task), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    await _line()
    seen.bytes = seen.patches = 0
    seen.delays_ms.clear()
    begin_s = time.perf_counter()
    await _line()
    seen.seconds = time.perf_counter() - begin_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if deaf is not None:
        deaf.close()
    click.echo(msgspec.json.encode(seen))


async def _line() -> None:
    """Say that this step is done, and wait for the word to go on."""
    click.echo("{}")
    await asyncio.to_thread(sys.stdin.readline)


@click.command("viewers")
@click.option("--port", type=int, required=True)
@click.option("--token", required=True)
@click.option("--count", type=int, required=True)
@click.option("--stalled", is_flag=True)
def command(*, port: int, token: str, count: int, stalled: bool) -> None:
    """Viewers of the page at a port of this machine."""
    asyncio.run(_watch("127.0.0.1", port, token, count, stalled))


if __name__ == "__main__":
    command()

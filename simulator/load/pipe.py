"""The log of what was written, from a generator to the receiver, over a pipe."""

import asyncio
import os
from array import array
from collections.abc import Callable

FLUSH_S = 0.05
ENTRY_BYTES = 16  # identity and intended time, 8 bytes each


class LogWriter:
    """The generator's end."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """Use `open`."""
        self._writer = writer
        self._entries: array[int] = array("q")
        self._task = asyncio.create_task(self._flush_on_and_on())

    @classmethod
    async def open(cls, descriptor: int) -> "LogWriter":
        """Write to an open pipe."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(descriptor, "wb", buffering=0)
        )
        return cls(asyncio.StreamWriter(transport, protocol, None, loop))

    def add(self, identity: int, intended_us: int) -> None:
        """One message was written."""
        self._entries.append(identity)
        self._entries.append(intended_us)

    def flush(self) -> None:
        """Hand over what has been added."""
        if self._entries:
            self._writer.write(self._entries.tobytes())
            del self._entries[:]

    async def close(self) -> None:
        """The log is complete."""
        self._task.cancel()
        self.flush()
        await self._writer.drain()
        self._writer.close()

    async def _flush_on_and_on(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()


class LogReader(asyncio.Protocol):
    """The receiver's end: whole entries as they come, and that there are no more."""

    def __init__(self, booked: Callable[["array[int]"], object]) -> None:
        """`booked` is called with pairs of identity and intended time."""
        self._booked = booked
        self._rest = b""
        self.closed = asyncio.get_running_loop().create_future()

    async def open(self, descriptor: int) -> None:
        """Read from an open pipe."""
        file = os.fdopen(descriptor, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: self, file)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % ENTRY_BYTES
        self._rest = data[whole:]
        entries: array[int] = array("q")
        entries.frombytes(data[:whole])
        self._booked(entries)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

"""What generator and receiver have in common as processes: orders in, reports out, own cost."""

import asyncio
import resource
import sys
import time
from collections.abc import Callable

from link.lean import now_us
from simulator.load.reports import GO, STOP, Report, line_of

KB = 1_024  # the unit of ru_maxrss on Linux


# So much before the load begins a process tells of what was before it, and then each second.
BEFORE_GO_S = 0.02


class Orders:
    """What the parent says on standard input."""

    def __init__(self) -> None:
        """Nothing has been said."""
        self.go_us = 0
        self.gone = asyncio.Event()
        self.stop = asyncio.Event()
        self.finish = asyncio.Event()

    async def almost_go(self) -> None:
        """Until the load is about to begin, or is not to begin at all."""
        await self.gone.wait()
        if not self.stop.is_set():
            await asyncio.sleep(max(0.0, (self.go_us - now_us()) / 1e6 - BEFORE_GO_S))

    async def listen(self) -> None:
        """Take orders until there are no more; then all of them hold."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            word, _, rest = line.decode().strip().partition(" ")
            if word == GO:
                self.go_us = int(rest)
                self.gone.set()
            elif word == STOP:
                self.stop.set()
                self.gone.set()
            else:
                break
        self.stop.set()
        self.gone.set()
        self.finish.set()


class Meter:
    """What this process has cost since it was last asked."""

    def __init__(self) -> None:
        """Begins now."""
        self._cpu_s, self._wall_s = time.process_time(), time.monotonic()

    def take(self) -> tuple[float, float]:
        """Processor and wall time since the last time, in seconds."""
        cpu_s, wall_s = time.process_time(), time.monotonic()
        took = cpu_s - self._cpu_s, wall_s - self._wall_s
        self._cpu_s, self._wall_s = cpu_s, wall_s
        return took


def memory_bytes() -> int:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KB


def say(report: Report) -> None:
    """Tell the parent."""
    sys.stdout.buffer.write(line_of(report))
    sys.stdout.buffer.flush()


async def wait_for(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether an event comes within a time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def tell_each_second(orders: Orders, tell: Callable[[], None]) -> None:
    """Tell each second, and from the beginning of the load in its own seconds."""
    connecting = asyncio.create_task(every(1.0, tell))
    try:
        await orders.almost_go()
    finally:
        connecting.cancel()
    tell()
    await every(1.0, tell)


async def every(period_s: float, what: Callable[[], None]) -> None:
    """Do something at an even pace, for ever."""
    loop = asyncio.get_running_loop()
    next_s = loop.time() + period_s
    while True:
        await asyncio.sleep(max(0.0, next_s - loop.time()))
        what()
        next_s = max(next_s + period_s, loop.time())

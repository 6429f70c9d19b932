"""Small things that both lanes use: waking those who wait, waiting before a retry, TLS."""

import asyncio
import random
import ssl
from functools import lru_cache

from link.interface import Tls


class Signal:
    """Wakes everybody who waits, once; costs one empty list while nobody does."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Wait for the next `fire`; check afterwards whether it was about you."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def fire(self) -> None:
        """Wake all who wait."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


class Backoff:
    """Jittered exponential back-off: between half and all of a ceiling that doubles.

    The jitter keeps ten thousand pumps that lost the same broker from coming back as one.
    """

    __slots__ = ("_ceiling_s", "_max_s", "_min_s", "_random")

    def __init__(self, min_s: float, max_s: float, source: random.Random) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._random = source
        self.reset()

    def reset(self) -> None:
        """The next delay is of the shortest kind again."""
        self._ceiling_s = self._min_s

    def next_s(self) -> float:
        """How long to wait before the next attempt, in seconds."""
        delay_s = self._ceiling_s * self._random.uniform(0.5, 1.0)
        self._ceiling_s = min(self._max_s, self._ceiling_s * 2)
        return delay_s


JITTER = random.Random()  # shared, since a generator of its own would cost each link 2.5 KB


@lru_cache(maxsize=16)
def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for `tls`, made once; raises ssl.SSLError for a file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.check_hostname = tls.check_hostname
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        raise ssl.SSLError(f"cannot use {tls}: {error}") from error
    return context

"""The clock of a process, which may run faster than time."""

import time
from collections.abc import Callable


def scaled_clock(speed: float) -> Callable[[], int]:
    """A clock in Unix milliseconds that starts now and runs `speed` times as fast as time."""
    began_ns = time.monotonic_ns()
    began_ms = time.time_ns() // 1_000_000
    return lambda: began_ms + int((time.monotonic_ns() - began_ns) * speed) // 1_000_000

"""Local time for a core that knows no time zones: a table of offsets, and days of the week."""

from bisect import bisect_right
from collections.abc import Sequence

MINUTES_OF_DAY = 24 * 60
# 1970-01-01 was a Thursday; Monday is 0.
EPOCH_WEEKDAY = 3

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# From this instant (Unix milliseconds) on, local time is so many minutes ahead of UTC.
Offset = tuple[int, int]


def offset_min(at_ms: int, offsets: Sequence[Offset]) -> int:
    """Minutes that local time is ahead of UTC at an instant; before the first one it is that
    one's, and without any none.
    """
    if not offsets:
        return 0
    return offsets[max(0, bisect_right(offsets, at_ms, key=lambda each: each[0]) - 1)][1]

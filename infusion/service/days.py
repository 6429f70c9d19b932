"""Calendar days where the patient lives, as spans of time; days of 23 and 25 hours included.

The core knows no time zones: whoever asks hands in the zone as a table of offsets, as the alert
policy does (infusion/local_time.py). A day begins at the first instant at which its date has been
reached, so days follow one another without a gap and without an overlap, also where the clock is
put forward at midnight, or back across it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from infusion.local_time import Offset, offset_min
from infusion.service.spans import Span
from infusion.units import MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND

# A therapy of ten years; more is a mistake in a time.
DAYS_MAX = 3_660
_EPOCH = date(1970, 1, 1)
# No zone is further from UTC than 14 h, so the days around an instant are within two of it.
_AROUND = 2


class Day(Struct, frozen=True, order=True):
    """One local date, `YYYY-MM-DD`, and the time that is that date."""

    date: str
    span: Span


def days_of(from_ms: int, to_ms: int, offsets: Sequence[Offset] = ()) -> tuple[Day, ...]:
    """The local days that [from, to) touches, each whole; none where it is empty.

    `offsets` says from which instant local time is how many minutes ahead of UTC, oldest first;
    nothing is UTC. Raises ValueError for more than DAYS_MAX days.
    """
    if from_ms >= to_ms:
        return ()
    if to_ms - from_ms > DAYS_MAX * MS_PER_DAY:
        raise ValueError(f"more than {DAYS_MAX} days from {from_ms} to {to_ms}")
    first = from_ms // MS_PER_DAY - _AROUND
    last = to_ms // MS_PER_DAY + _AROUND
    begins = [(number, day_begin_ms(number, offsets)) for number in range(first, last + 2)]
    found = []
    for (number, begin_ms), (_, end_ms) in pairwise(begins):
        # A date that a place left out, when it crossed the date line, holds no time.
        if begin_ms < end_ms and begin_ms < to_ms and end_ms > from_ms:
            name = (_EPOCH + timedelta(days=number)).isoformat()
            found.append(Day(name, Span(begin_ms, end_ms)))
    return tuple(found)


def day_begin_ms(number: int, offsets: Sequence[Offset]) -> int:
    """The first instant at which the local date is day `number` after 1970-01-01, or later."""
    local_ms = number * MS_PER_DAY
    if not offsets:
        return local_ms
    changes = [at_ms for at_ms, _ in offsets]
    # The answer lies within a day of local midnight; look at each stretch of one offset there.
    index = max(0, bisect_right(changes, local_ms - MS_PER_DAY) - 1)
    while True:
        begin_ms = changes[index] if index else local_ms - 2 * MS_PER_DAY
        end_ms = changes[index + 1] if index + 1 < len(changes) else None
        midnight_ms = local_ms - offsets[index][1] * MS_PER_MINUTE
        found_ms = max(midnight_ms, begin_ms)
        if end_ms is None or found_ms < end_ms:
            return found_ms
        index += 1


def local_text(at_ms: int, offsets: Sequence[Offset] = ()) -> str:
    """An instant as people there write it: `2026-03-08 19:30`."""
    ahead_ms = offset_min(at_ms, offsets) * MS_PER_MINUTE
    moment = datetime.fromtimestamp((at_ms + ahead_ms) // MS_PER_SECOND, tz=UTC)
    return moment.strftime("%Y-%m-%d %H:%M")

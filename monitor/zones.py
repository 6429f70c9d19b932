"""Time zones by their IANA names, as the plain table of offsets that the core is given.

The core knows no time zones, and its answers must not depend on when it was started. So the table
covers a fixed stretch of years, whatever the time is.
"""

import difflib
import zoneinfo
from datetime import UTC, datetime, timedelta

from infusion.errors import ConfigError
from infusion.local_time import Offset
from infusion.units import MS_PER_SECOND

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
LAST = datetime(2060, 1, 1, tzinfo=UTC)
# No zone changes its offset twice within so long, and back again.
STRIDE = timedelta(days=7)
MINUTE = timedelta(minutes=1)


def offsets(name: str) -> tuple[Offset, ...]:
    """From which instant (Unix milliseconds) local time is how many minutes ahead of UTC.

    Nothing for UTC itself, and what never differs from it.
    Raises ConfigError for a zone that this machine does not know, with the nearest that it does.
    """
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"{name!r} is no time zone; {_hint(name)}") from None
    found = [(_ms(FIRST), _minutes(zone, FIRST))]
    at = FIRST
    while at < LAST:
        later = at + STRIDE
        if _minutes(zone, later) != _minutes(zone, at):
            change = _change(zone, at, later)
            found.append((_ms(change), _minutes(zone, change)))
        at = later
    return tuple(found) if any(minutes for _, minutes in found) else ()


def _change(zone: zoneinfo.ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole minute between two instants at which the later one's offset holds."""
    while after - before > MINUTE:
        middle = before + (after - before) // MINUTE // 2 * MINUTE
        if _minutes(zone, middle) == _minutes(zone, before):
            before = middle
        else:
            after = middle
    return after


def _minutes(zone: zoneinfo.ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // MINUTE


def _ms(at: datetime) -> int:
    return round(at.timestamp() * MS_PER_SECOND)


def _hint(name: str) -> str:
    known = zoneinfo.available_timezones()
    if not known:
        return "this machine knows none; install tzdata"
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else "write one such as 'Europe/Dublin'"

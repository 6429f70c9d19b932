"""Who is on call: a week of shifts in local time for each role, with changes for single dates.

A rota has somebody for every minute of the week in each of its roles, or it is refused: the
gap is found when the file is read and not at night. The alert policy's levels ("nurse on call")
name roles of it. For testing and training only.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from infusion.errors import ConfigError
from infusion.local_time import EPOCH_WEEKDAY, MINUTES_OF_DAY, WEEKDAYS, Offset, offset_min
from infusion.service.days import local_text
from infusion.settings import load_toml
from infusion.tables import read_table
from infusion.units import MS_PER_MINUTE

_WEEK_MIN = 7 * MINUTES_OF_DAY
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Person = Annotated[str, Meta(min_length=1, max_length=64)]
Date = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
SHIFTS_MAX = 200


class Shift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody in a role on these weekdays, from a time of day to another; one that ends at or
    before it begins ends the next day."""

    role: Person
    who: Person
    days: Annotated[tuple[str, ...], Meta(min_length=1, max_length=7)]
    begins: Clock
    ends: Clock


class Swap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody else for the shifts of a role that begin on one date."""

    role: Person
    date: Date
    who: Person
    instead_of: Person


class Rota(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A week, and what differs from it."""

    name: Person
    shift: Annotated[tuple[Shift, ...], Meta(min_length=1, max_length=SHIFTS_MAX)]
    swap: Annotated[tuple[Swap, ...], Meta(max_length=SHIFTS_MAX)] = ()

    def roles(self) -> list[str]:
        """The roles that are on call."""
        return sorted({shift.role for shift in self.shift})


def read_rota(data: bytes, name: str) -> Rota:
    """The rota in the bytes of a TOML file called `name`.

    Raises ConfigError that names the file, and the shift that makes no sense or the hours in which
    nobody is on call.
    """
    document = load_toml(data, name)
    for key, kind in (("shift", Shift), ("swap", Swap)):
        tables = document.get(key, [])
        if not isinstance(tables, list):
            raise ConfigError(f"{name}: {key}: write [[{key}]] tables")
        document[key] = tuple(
            read_table(kind, table, f"{name}: [[{key}]] {number}")
            for number, table in enumerate(tables, start=1)
        )
    rota = read_table(Rota, document, name)
    for number, shift in enumerate(rota.shift, start=1):
        for day in shift.days:
            if day not in WEEKDAYS:
                known = ", ".join(WEEKDAYS)
                raise ConfigError(
                    f"{name}: [[shift]] {number}: {day!r} is no day; days are {known}"
                )
    for role in rota.roles():
        gap = _gap(rota, role)
        if gap is not None:
            weekday, minute = divmod(gap, MINUTES_OF_DAY)
            raise ConfigError(
                f"{name}: nobody is on call as {role} from {WEEKDAYS[weekday]}"
                f" {minute // 60:02}:{minute % 60:02} on; add a shift"
            )
    return rota


def on_call(rota: Rota, role: str, at_ms: int, offsets: Sequence[Offset] = ()) -> tuple[str, ...]:
    """Who is on call in a role at an instant, in the order of the file; nobody for another role.

    `offsets` is the local time of the rota.
    """
    minute = at_ms // MS_PER_MINUTE + offset_min(at_ms, offsets)
    today = (minute // MINUTES_OF_DAY + EPOCH_WEEKDAY) % 7
    of_day = minute % MINUTES_OF_DAY
    found: list[str] = []
    for shift in rota.shift:
        if shift.role != role:
            continue
        begins, length = _begin_and_length(shift)
        for days_ago in (0, 1):
            is_day = WEEKDAYS[(today - days_ago) % 7] in shift.days
            since = of_day - begins + days_ago * MINUTES_OF_DAY
            if is_day and 0 <= since < length:
                began_ms = at_ms - since * MS_PER_MINUTE
                found.append(_swapped(rota, shift, local_text(began_ms, offsets)[:10]))
    return tuple(dict.fromkeys(found))


# --- small things ---------------------------------------------------------------------------------


def _begin_and_length(shift: Shift) -> tuple[int, int]:
    """Minute of the day at which a shift begins, and how many minutes it lasts: 1 to 1440."""
    begins, ends = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (shift.begins, shift.ends))
    return begins, (ends - begins) % MINUTES_OF_DAY or MINUTES_OF_DAY


def _swapped(rota: Rota, shift: Shift, date: str) -> str:
    for swap in rota.swap:
        if (swap.role, swap.date, swap.instead_of) == (shift.role, date, shift.who):
            return swap.who
    return shift.who


def _gap(rota: Rota, role: str) -> int | None:
    """The first minute of the week in which nobody is on call; None where there is none."""
    covered = [False] * _WEEK_MIN
    for shift in rota.shift:
        if shift.role == role:
            begins, length = _begin_and_length(shift)
            for day in shift.days:
                first = WEEKDAYS.index(day) * MINUTES_OF_DAY + begins
                for minute in range(first, first + length):
                    covered[minute % _WEEK_MIN] = True
    return covered.index(False) if False in covered else None

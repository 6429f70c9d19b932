"""Tables of a scenario as Structs: what `infusion.tables` reads, and times from its start."""

import functools
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from infusion import tables

T = TypeVar("T", bound=msgspec.Struct)

_TIME = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")


@functools.total_ordering
class Offset:
    """A time of a scenario, in milliseconds from its start; in a file `"HH:MM"` or `"HH:MM:SS"`.

    A plain class, because msgspec would read a Struct from a table and not from text.
    """

    __slots__ = ("ms",)

    def __init__(self, ms: int) -> None:
        """An offset of `ms` milliseconds."""
        self.ms = ms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offset) and self.ms == other.ms

    def __lt__(self, other: "Offset") -> bool:
        return self.ms < other.ms

    def __hash__(self) -> int:
        return hash(self.ms)

    def __repr__(self) -> str:
        return f"Offset({self.ms})"

    def __str__(self) -> str:
        """The time as a file has it."""
        minutes, seconds = divmod(self.ms // 1000, 60)
        text = f"{minutes // 60:02d}:{minutes % 60:02d}"
        return f"{text}:{seconds:02d}" if seconds else text


def parse_offset(text: object) -> Offset:
    """Read `"HH:MM"` or `"HH:MM:SS"`. Raises ValueError that says what would be right."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r} is not a time; write "HH:MM" or "HH:MM:SS" from the start')
    hours, minutes, seconds = match.groups()
    return Offset(((int(hours) * 60 + int(minutes)) * 60 + int(seconds or 0)) * 1000)


def read_table(kind: type[T], table: Mapping[str, Any], place: str) -> T:
    """One table of a scenario as a Struct: `infusion.tables.read_table` that knows offsets."""
    return tables.read_table(kind, table, place, _decode)


def _decode(kind: type, value: object) -> object:
    assert kind is Offset, f"{kind} has no reader"
    return parse_offset(value)

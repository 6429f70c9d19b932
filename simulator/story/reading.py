"""Operator's TOML tables as Structs, with errors that say where, what is wrong, and what is right.

Every error is a ConfigError of the form `file: table: key: what is wrong`, so that somebody who
is no programmer can mend the file.
"""

import difflib
import functools
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import msgspec

from infusion.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

_TIME = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")
_AT_KEY = re.compile(r"^(.*) - at `\$\.?([^`]*)`$", re.DOTALL)


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


def nearest(word: str, known: Collection[str]) -> str:
    """`did you mean …` with the nearest known word, or the list of all when none is near."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known are " + ", ".join(sorted(known))


def read_table(kind: type[T], table: Mapping[str, Any], place: str) -> T:
    """One table as a Struct.

    Raises ConfigError that begins with `place` for an unknown key (with the nearest valid one), a
    missing key or a bad value.
    """
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    for key in table:
        if key not in known:
            raise ConfigError(f"{place}: the key {key!r} is unknown; {nearest(key, known)}")
    try:
        return msgspec.convert(table, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {_in_words(str(error))}") from None


def _decode(kind: type, value: object) -> object:
    assert kind is Offset, f"{kind} has no reader"
    return parse_offset(value)


def _in_words(text: str) -> str:
    """msgspec's message with the key in front, and a missing key in plain words."""
    missing = re.fullmatch(r"Object missing required field `(.*)`", text.split(" - at ")[0])
    if missing:
        return f"the key {missing[1]!r} is missing; add it"
    match = _AT_KEY.match(text)
    return f"key {match[2]!r}: {match[1]}" if match else text

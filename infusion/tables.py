"""Operator's TOML tables as Structs, with errors that say where, what is wrong, and what is right.

Every error is a ConfigError of the form `file: table: key: what is wrong`, so that somebody who
is no programmer can mend the file.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import msgspec

from infusion.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

_AT_KEY = re.compile(r"^(.*) - at `\$\.?([^`]*)`$", re.DOTALL)


def nearest(word: str, known: Collection[str]) -> str:
    """`did you mean …` with the nearest known word, or the list of all when none is near."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known are " + ", ".join(sorted(known))


def read_table(
    kind: type[T],
    table: Mapping[str, Any],
    place: str,
    decode: Callable[[type, Any], Any] | None = None,
) -> T:
    """One table as a Struct; `decode` makes a value of a type that msgspec does not know.

    Raises ConfigError that begins with `place` for an unknown key (with the nearest valid one), a
    missing key or a bad value.
    """
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    for key in table:
        if key not in known:
            raise ConfigError(f"{place}: the key {key!r} is unknown; {nearest(key, known)}")
    try:
        return msgspec.convert(table, kind, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {_in_words(str(error))}") from None


def _in_words(text: str) -> str:
    """msgspec's message with the key in front, and a missing key in plain words."""
    missing = re.fullmatch(r"Object missing required field `(.*)`", text.split(" - at ")[0])
    if missing:
        return f"the key {missing[1]!r} is missing; add it"
    match = _AT_KEY.match(text)
    return f"key {match[2]!r}: {match[1]}" if match else text

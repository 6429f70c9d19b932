"""Nomograms and starts out of TOML files, refused where a table could not be followed safely."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec import Struct

from infusion.errors import ConfigError
from infusion.nomogram import Band, Critical, Interval, ListedStart, Nomogram, Start
from infusion.settings import load_toml
from infusion.tables import read_table

S = TypeVar("S", bound=Struct)


def read_nomogram(data: bytes, name: str) -> Nomogram:
    """The nomogram in the bytes of a TOML file called `name`.

    Raises ConfigError that names the file and the band for bad TOML, an unknown or missing key, a
    bad value, bands with a gap or an overlap, and lines that contradict the range or one another.
    """
    table = load_toml(data, name)
    if "start" in table:
        table["start"] = _read(Start, table["start"], f"{name}: start")
    table["bands"] = _lines(Band, table.get("bands", []), f"{name}: band")
    table["critical"] = _lines(Critical, table.get("critical", []), f"{name}: critical")
    nomogram = _read(Nomogram, table, name)
    problems = [
        *_start_problems(nomogram.start, "start"),
        *_edge_problems("critical", nomogram.critical),
        *_edge_problems("band", nomogram.bands),
    ]
    # What a band does is looked at only when the bands are sound.
    problems = problems or [*_seam_problems(nomogram.bands)] or [*_order_problems(nomogram)]
    if problems:
        raise ConfigError("\n".join(f"{name}: {problem}" for problem in problems))
    return nomogram


def read_starts(data: bytes, name: str) -> dict[str, ListedStart]:
    """The starts in the bytes of a TOML file called `name`, by the names of its tables.

    Raises ConfigError that names the file and the table.
    """
    starts = {
        key: _read(ListedStart, table, f"{name}: [{key}]")
        for key, table in load_toml(data, name).items()
    }
    problems = [
        line for key, start in starts.items() for line in _start_problems(start, f"[{key}]")
    ]
    if problems:
        raise ConfigError("\n".join(f"{name}: {problem}" for problem in problems))
    return starts


def _read(kind: type[S], table: object, place: str) -> S:
    """`read_table` for what may be no table, or hold the nan and inf that TOML knows."""
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: {table!r} is not a table; write keys and values")
    for key, value in table.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{place}: key {key!r}: {value} is not a finite number")
    return read_table(kind, table, place)


def _lines(kind: type[S], lines: object, place: str) -> tuple[S, ...]:
    if not isinstance(lines, list):
        raise ConfigError(f"{place}: {lines!r} is not a list of tables")
    return tuple(_read(kind, line, f"{place} {n}") for n, line in enumerate(lines, start=1))


def _start_problems(start: Start, place: str) -> Iterator[str]:
    if (start.rate_iu_kg_h is None) == (start.rate_iu_h is None):
        yield f"{place}: needs exactly one of rate_iu_kg_h and rate_iu_h"
    if start.bolus_iu_kg and start.bolus_iu:
        yield f"{place}: has both bolus_iu_kg and bolus_iu; keep one"


def _edge_problems(kind: str, intervals: Sequence[Interval]) -> Iterator[str]:
    for number, interval in enumerate(intervals, start=1):
        if interval.at_least is not None and interval.above is not None:
            yield f"{kind} {number}: has both at_least and above; keep one"
        if interval.below is not None and interval.at_most is not None:
            yield f"{kind} {number}: has both below and at_most; keep one"
        if not interval.words():
            yield f"{kind} {number}: has no edge; add at_least, above, below or at_most"
        elif interval.begin() >= interval.end():
            yield f"{kind} {number}: {interval.words()} holds no value"


def _seam_problems(bands: Sequence[Band]) -> Iterator[str]:
    """Each band begins where the one before ends, the first at zero, and the last has no end."""
    if not bands:
        yield "has no bands; write one table under bands for each line"
        return
    end, before = (0.0, False), "zero"
    for number, band in enumerate(bands, start=1):
        if band.begin() > end:
            yield f"band {number} ({band.words()}): leaves a gap after {before}"
        elif band.begin() < end:
            yield f"band {number} ({band.words()}): overlaps with {before}"
        end, before = band.end(), f"band {number} ({band.words()})"
    if end != (math.inf, True):
        yield f"{before} is the last and ends; leave its upper edge out"


def _order_problems(nomogram: Nomogram) -> Iterator[str]:
    """A line does what its place says: more below the range, less above it, nothing in it."""
    numbers = [n for n, band in enumerate(nomogram.bands, start=1) if band.in_range]
    if len(numbers) != 1:
        yield f"needs exactly one band with in_range = true, and has {len(numbers)}"
        return
    target = nomogram.bands[numbers[0] - 1]
    low, high = nomogram.target_low, nomogram.target_high
    # A table may print the edge of the next line as the end of its target.
    if not target.begin()[0] <= low < high <= target.end()[0]:
        yield f"target {low:g} to {high:g} is not in band {numbers[0]} ({target.words()})"
    for number, band in enumerate(nomogram.bands, start=1):
        change = band.change_iu_kg_h or band.change_iu_h
        wrongs = (
            (band.change_iu_kg_h and band.change_iu_h, "has two changes of the rate; keep one"),
            (band.acts() and band.in_range, "is in range and changes the therapy"),
            (band.acts() and band.not_known, "is not known and changes the therapy"),
            (
                number < numbers[0] and (change < 0 or band.hold_min),
                "is below range and gives less",
            ),
            (
                number > numbers[0] and (change > 0 or band.bolus_iu_kg),
                "is above range and gives more",
            ),
        )
        yield from (f"band {number} ({band.words()}): {text}" for wrong, text in wrongs if wrong)

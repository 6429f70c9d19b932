"""Rows of the report: what, the published value, ours, the band, and pass or fail."""

import math
from collections.abc import Callable, Iterable
from typing import Literal

import matplotlib

matplotlib.use("svg")

from matplotlib.figure import Figure
from msgspec import Struct

Mark = Literal["V", "V2", "D", "S", "C", "M", "A"]
Verdict = Literal["pass", "fail", "shown", "misfit"]


class Row(Struct, frozen=True, kw_only=True):
    """One check. `ours` is in `unit`; `band` is what passes, both ends included.

    A misfit is known to disagree with what was published: it is told as one, and has a note that
    says why it stays. It has no band, so that it does not stop the tests.
    """

    name: str
    published: str
    source: str
    mark: Mark
    ours: float
    unit: str = ""
    band: tuple[float, float] | None = None
    digits: int = 2
    note: str = ""
    is_misfit: bool = False

    def __post_init__(self) -> None:
        """What is from memory must not judge, and a misfit is explained."""
        assert not self.is_misfit or (self.note and self.band is None), self.name
        assert self.band is None or self.mark != "M", f"{self.name}: memory judges nothing"

    @property
    def verdict(self) -> Verdict:
        """Whether our value lies in the band; a NaN does not."""
        if self.is_misfit:
            return "misfit"
        if self.band is None:
            return "shown"
        low, high = self.band
        return "pass" if low <= self.ours <= high else "fail"


class Picture(Struct, frozen=True):
    """A picture `name`.svg, what it says, and how it is drawn."""

    name: str
    caption: str
    draw: Callable[[], Figure]


class Section(Struct, frozen=True):
    """One part of the report."""

    title: str
    text: str
    rows: list[Row]
    pictures: list[Picture]


def near(expected: float, share: float) -> tuple[float, float]:
    """The band of a value give or take a share of it."""
    return expected * (1.0 - share), expected * (1.0 + share)


def worst_error(ours: Iterable[float], printed: Iterable[float], rounding: float = 0.0) -> float:
    """The largest relative difference from a table's values, in %, less what was rounded away.

    `rounding` is half of the last digit that the table prints.
    """
    return (
        max(
            max(0.0, abs(value - wanted) - rounding * (1.0 + 1e-9)) / wanted
            for value, wanted in zip(ours, printed, strict=True)
        )
        * 100.0
    )


# --- Markdown ------------------------------------------------------------------------------------

_HEAD = (
    "| Check | Published | Source | Ours | Accepted | Result |",
    "|---|---|---|---|---|---|",
)

_WORDS = {"pass": "pass", "fail": "**FAIL**", "shown": "shown", "misfit": "**known misfit**"}


def table(rows: Iterable[Row]) -> list[str]:
    """The rows as a Markdown table, notes below it."""
    lines: list[str] = [*_HEAD]
    notes: list[str] = []
    for row in rows:
        verdict = _WORDS[row.verdict]
        name = row.name
        if row.note:
            notes.append(f"{len(notes) + 1}. {row.note}")
            name += f" ({len(notes)})"
        ours = f"{_number(row.ours, row.digits)} {row.unit}".strip()
        band = "–"
        if row.band is not None:
            band = _band(row.band, row.digits)
        cells = (name, row.published, f"{row.source} [{row.mark}]", ours, band, verdict)
        lines.append("| " + " | ".join(cells) + " |")
    return lines + (["", *notes] if notes else [])


def _band(ends: tuple[float, float], digits: int) -> str:
    low, high = (_number(end, digits) for end in ends)
    if ends[1] == math.inf:
        return f"≥ {low}"
    return low if low == high else f"{low} to {high}"


def _number(value: float, digits: int) -> str:
    # A minus before nothing but zeros would only be rounding.
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text

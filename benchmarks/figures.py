"""Figures of several rounds, and how they are said.

A shared machine is noisy, so that one round proves nothing: a figure is a median with the smallest
and the largest value beside it, and a comparison is a ratio of two medians of the same run.
"""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct


class Spread(Struct, frozen=True):
    """One figure over all rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """Median, and the range in brackets."""
        return f"{self.median:,.1f} ({self.low:,.1f} to {self.high:,.1f})"


def spread(values: Sequence[float]) -> Spread:
    """The figure that `values`, one a round, come to."""
    return Spread(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share of all values does not exceed: a real one, not interpolated."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def save(path: Path | None, result: Struct) -> None:
    """Keep a result as JSON where somebody asked for it."""
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")

"""How long things took: histograms in the form of HdrHistogram, filled from arrays.

HdrHistogram (Gil Tene) counts values in buckets whose width grows with the value, so that every
value is known to three significant digits at any size. `hdrhistogram` for Python records one value
in about 1 µs; with three latencies a message that would be a sixth of what a message may cost
here. So values are gathered in arrays and counted by numpy, in the same buckets, and the library
writes the encoded form that other tools read.
"""

import math
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it has no types
from numpy.typing import NDArray

# 2 048 buckets of 1 µs, then 1 024 of each width that is twice the one before: three significant
# digits, as HdrHistogram(1, 3_600_000_000, 3) has them.
DIGITS = 3
HALF_BITS = 10
LINEAR = 2 << HALF_BITS
LONGEST_US = 3_600_000_000  # an hour; what took longer counts as an hour
BUCKETS = 23_552

Pairs = list[tuple[int, int]]


class Histogram:
    """Counts of durations in µs."""

    __slots__ = ("_counts", "_sum_us")

    def __init__(self) -> None:
        """Nothing has been counted."""
        self._counts: NDArray[np.int64] = np.zeros(BUCKETS, dtype=np.int64)
        self._sum_us = 0.0

    @property
    def count(self) -> int:
        """How many values."""
        return int(self._counts.sum())

    def record(self, values_us: Sequence[int] | NDArray[np.int64]) -> None:
        """Count values; what is below 0 counts as 0, beyond an hour as an hour."""
        if not len(values_us):
            return
        values = np.clip(np.asarray(values_us, dtype=np.int64), 0, LONGEST_US)
        self._sum_us += float(values.sum())
        self._counts += np.bincount(bucket_of(values), minlength=BUCKETS)

    def add(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Count what another process has counted: pairs of bucket and count."""
        for bucket, count in pairs:
            self._counts[bucket] += count
            low, high = bounds_us(bucket)
            self._sum_us += count * (low + high) / 2

    def pairs(self) -> Pairs:
        """The buckets that are not empty, with their counts."""
        filled = np.flatnonzero(self._counts)
        return list(zip(filled.tolist(), self._counts[filled].tolist(), strict=True))

    def take(self) -> Pairs:
        """The same, and begin anew."""
        pairs = self.pairs()
        self._counts[:] = 0
        self._sum_us = 0.0
        return pairs

    def percentile_us(self, percent: float) -> float:
        """The value that so many per cent do not exceed, to three digits; NaN of nothing.

        As HdrHistogram has it: the highest value of the bucket in which it lies.
        """
        total = self.count
        if not total:
            return math.nan
        wanted = max(1, math.floor(percent / 100 * total + 0.5))
        bucket = int(np.searchsorted(np.cumsum(self._counts), wanted))
        return float(bounds_us(bucket)[1])

    def max_us(self) -> float:
        """The longest, to three digits; NaN of nothing."""
        filled = np.flatnonzero(self._counts)
        return float(bounds_us(int(filled[-1]))[1]) if len(filled) else math.nan

    def min_us(self) -> float:
        """The shortest, to three digits; NaN of nothing."""
        filled = np.flatnonzero(self._counts)
        return float(bounds_us(int(filled[0]))[0]) if len(filled) else math.nan

    def mean_us(self) -> float:
        """The mean; NaN of nothing."""
        count = self.count
        return self._sum_us / count if count else math.nan

    def encoded(self) -> str:
        """HdrHistogram's own form, V2, compressed, in base 64; values are µs."""
        histogram = HdrHistogram(1, LONGEST_US, DIGITS)
        for bucket, count in self.pairs():
            histogram.record_value(max(1, bounds_us(bucket)[0]), count)
        text: bytes = histogram.encode()
        return text.decode()


def taken_pairs(values_us: "array[int]") -> Pairs:
    """The values as pairs of bucket and count; the array is empty after."""
    histogram = Histogram()
    histogram.record(values_us)
    del values_us[:]
    return histogram.pairs()


def histogram_of(text: str) -> Histogram:
    """The histogram in HdrHistogram's own form. Raises HdrCookieException for another form."""
    found = Histogram()
    for item in HdrHistogram.decode(text).get_recorded_iterator():
        value_us = int(item.value_iterated_to)
        bucket = int(bucket_of(np.array([value_us]))[0])
        found.add([(bucket, int(item.count_at_value_iterated_to))])
    return found


def bucket_of(values_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the bucket that each value, 0 to `LONGEST_US`, belongs to."""
    # frexp's exponent is the bit length of a whole number below 2**53.
    bits = np.frexp(values_us.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(bits - (HALF_BITS + 1), 0)
    return (shift << HALF_BITS) + (values_us >> shift)


def bounds_us(bucket: int) -> tuple[int, int]:
    """The lowest and the highest value of a bucket."""
    if bucket < LINEAR:
        return bucket, bucket
    shift = (bucket >> HALF_BITS) - 1
    low = ((bucket & ((1 << HALF_BITS) - 1)) + (1 << HALF_BITS)) << shift
    return low, low + (1 << shift) - 1

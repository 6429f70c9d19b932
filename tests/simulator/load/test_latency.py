"""Histograms filled from arrays are HdrHistogram's own, value by value."""

import math

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it has no types
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.load.latency import (
    BUCKETS,
    DIGITS,
    LONGEST_US,
    Histogram,
    bounds_us,
    bucket_of,
    histogram_of,
)

VALUES = st.lists(st.integers(1, LONGEST_US), min_size=1, max_size=60)
PERCENTS = st.sampled_from([1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0])


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record(values)
    return histogram


@settings(deadline=None)
@given(values=VALUES, percent=PERCENTS)
def test_percentiles_are_those_of_the_library(values: list[int], percent: float) -> None:
    library = HdrHistogram(1, LONGEST_US, DIGITS)
    for value in values:
        library.record_value(value)
    assert library.counts_len == BUCKETS
    assert of(values).percentile_us(percent) == library.get_value_at_percentile(percent)


@settings(deadline=None)
@given(values=VALUES)
def test_every_value_is_known_to_three_digits(values: list[int]) -> None:
    for value, bucket in zip(values, bucket_of(np.array(values)).tolist(), strict=True):
        low, high = bounds_us(bucket)
        assert low <= value <= high
        assert high - low <= max(0, value / 1_000)


@settings(deadline=None)
@given(first=VALUES, second=VALUES)
def test_what_two_processes_counted_adds_up(first: list[int], second: list[int]) -> None:
    joined = Histogram()
    joined.add(of(first).pairs())
    joined.add(of(second).pairs())
    assert joined.pairs() == of(first + second).pairs()


@settings(deadline=None)
@given(values=VALUES)
def test_the_encoded_form_is_read_by_the_library_and_comes_back(values: list[int]) -> None:
    histogram = of(values)
    text = histogram.encoded()
    library = HdrHistogram.decode(text)
    assert library.get_total_count() == len(values)
    assert library.get_value_at_percentile(99) == histogram.percentile_us(99)
    assert histogram_of(text).pairs() == histogram.pairs()


def test_what_is_beyond_the_ends_is_counted_at_them() -> None:
    histogram = of([-5, 2 * LONGEST_US])
    assert histogram.count == 2
    assert histogram.min_us() == 0
    assert histogram.max_us() >= LONGEST_US


def test_nothing_has_no_percentile() -> None:
    histogram = Histogram()
    histogram.record([])
    assert math.isnan(histogram.percentile_us(50))
    assert math.isnan(histogram.mean_us())
    assert histogram.take() == []


def test_taking_begins_anew() -> None:
    histogram = of([3, 3, 700])
    assert histogram.take() == [(3, 2), (700, 1)]
    assert histogram.count == 0

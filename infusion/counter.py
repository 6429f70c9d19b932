"""The volume counter of a pump: samples of it, runs of samples, and what lies between two runs.

A **run** is a stretch of samples without a missing sequence number, at one concentration, whose
counter only grew. Two runs that follow one another are **joined**: what the counter gained between
them was pumped too. A new boot, or a counter that the user cleared, starts a new epoch, in which
the counter began at zero. A counter that ran backwards, or gained more than the pump can pump in
that time, adds nothing, and is a named fault. Where the pump's clock ran backwards, it says
nothing about the time between, and any gain is believed.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

from msgspec import Struct

from infusion.units import MS_PER_HOUR, NL_PER_ML, dose_iu

SEQUENCE_BITS = 42
# What a counter may gain beyond the pump's highest rate before it is impossible: one priming
# stroke and rounding. A choice of this project, far below a harmful dose of a premixed bag.
GAIN_SLACK_NL = NL_PER_ML // 2


def sample_key(boot: int, seq: int) -> int:
    """The identity of a pump's message as one number that grows with boot, then with seq."""
    return boot << SEQUENCE_BITS | seq


class Sample(NamedTuple):
    """One reading of the counter. `cleared` marks the event by which the user set it to zero."""

    key: int
    time_ms: int
    volume_nl: int
    concentration_iu_ml: float
    held_iu: float
    cleared: bool


Doubt = Literal["backwards", "impossible"]


class CounterFault(NamedTuple):
    """Something about the counter that cannot be: at which sample, when, and by how much."""

    key: int
    kind: Doubt
    time_ms: int
    volume_nl: int


class Run(Struct, gc=False, array_like=True):
    """Samples in unbroken sequence at one concentration. `cleared` as in the first sample.

    `missing` counts the numbers in it that never came: those of gaps that were closed.

    Like an array, because up to sixteen of them are stored with each pump.
    """

    first_key: int
    last_key: int
    first_ms: int
    last_ms: int
    first_nl: int
    last_nl: int
    concentration_iu_ml: float
    cleared: bool
    missing: int = 0


def new_run(sample: Sample) -> Run:
    """A run of one sample."""
    return Run(
        first_key=sample.key,
        last_key=sample.key,
        first_ms=sample.time_ms,
        last_ms=sample.time_ms,
        first_nl=sample.volume_nl,
        last_nl=sample.volume_nl,
        concentration_iu_ml=sample.concentration_iu_ml,
        cleared=sample.cleared,
    )


def same_boot(key: int, other: int) -> bool:
    """Whether two sample keys are of one boot."""
    return key >> SEQUENCE_BITS == other >> SEQUENCE_BITS


def extends(run: Run, sample: Sample, rate_max_ml_h: float) -> bool:
    """Whether a sample is the next of a run, with nothing to explain between them."""
    return (
        sample.key == run.last_key + 1
        and sample.concentration_iu_ml == run.concentration_iu_ml
        and not sample.cleared
        and _doubt(sample.volume_nl - run.last_nl, sample.time_ms - run.last_ms, rate_max_ml_h)
        is None
    )


def gain_nl(before: Run, after: Run) -> int:
    """What the counter gained between two runs; a new epoch begins at zero."""
    if after.cleared or not same_boot(before.last_key, after.first_key):
        return after.first_nl
    return after.first_nl - before.last_nl


def doubt(before: Run, after: Run, rate_max_ml_h: float) -> Doubt | None:
    """What cannot be about the counter between two runs that follow one another, if anything."""
    return _doubt(gain_nl(before, after), after.first_ms - before.last_ms, rate_max_ml_h)


def _doubt(gained_nl: int, length_ms: int, rate_max_ml_h: float) -> Doubt | None:
    if gained_nl < 0:
        return "backwards"
    if gained_nl <= GAIN_SLACK_NL or length_ms < 0:
        return None
    if gained_nl - GAIN_SLACK_NL > rate_max_ml_h * NL_PER_ML * length_ms / MS_PER_HOUR:
        return "impossible"
    return None


def newest_fault(runs: list[Run], rate_max_ml_h: float) -> CounterFault | None:
    """The newest place between runs where the counter cannot be right."""
    for after, before in pairwise(reversed(runs)):
        kind = doubt(before, after, rate_max_ml_h)
        if kind is not None:
            return CounterFault(after.first_key, kind, after.first_ms, gain_nl(before, after))
    return None


def join(before: Run | None, after: Run, rate_max_ml_h: float) -> tuple[int, float]:
    """What was pumped between two runs that follow one another: nL and IU.

    Before the first run of an epoch the counter began at zero. Where the concentration changed in
    between, the change itself is the sample that tells, so the volume before it had the old one.
    """
    if before is None:
        return after.first_nl, dose_iu(after.first_nl, after.concentration_iu_ml)
    if doubt(before, after, rate_max_ml_h) is not None:
        return 0, 0.0
    is_new_epoch = after.cleared or not same_boot(before.last_key, after.first_key)
    concentration = (after if is_new_epoch else before).concentration_iu_ml
    gained_nl = gain_nl(before, after)
    return gained_nl, dose_iu(gained_nl, concentration)


def _is_plain(run: Run, after: Run, rate_max_ml_h: float) -> bool:
    """Whether two runs that follow one another differ by nothing but the samples between them."""
    return (
        same_boot(run.last_key, after.first_key)
        and after.concentration_iu_ml == run.concentration_iu_ml
        and not after.cleared
        and doubt(run, after, rate_max_ml_h) is None
    )


def _make_one(runs: list[Run], index: int) -> None:
    """Make a run and its follower one."""
    run, after = runs[index], runs[index + 1]
    run.missing += after.missing + after.first_key - run.last_key - 1
    run.last_key, run.last_ms, run.last_nl = after.last_key, after.last_ms, after.last_nl
    del runs[index + 1]


def merge(runs: list[Run], index: int, rate_max_ml_h: float) -> None:
    """Make a run and its follower one when nothing is missing or in doubt between them."""
    run, after = runs[index], runs[index + 1]
    if after.first_key == run.last_key + 1 and _is_plain(run, after, rate_max_ml_h):
        _make_one(runs, index)


def close_gap(runs: list[Run], rate_max_ml_h: float) -> bool:
    """Close the shortest gap that has nothing to explain, the oldest of equals; False without one.

    The newest gap stays open: what is missing in it may still be on its way.
    """
    plain = [
        (after.first_key - run.last_key, index)
        for index, (run, after) in enumerate(pairwise(runs[:-1]))
        if _is_plain(run, after, rate_max_ml_h)
    ]
    if not plain:
        return False
    _make_one(runs, min(plain)[1])
    return True

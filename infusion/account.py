"""The dose account: what one pump delivered, from its cumulative volume counter.

A counter tells more than a rate: when a message is lost or late, the next one still says how much
was pumped. So the account is built from *samples* of the counter, named `(boot, seq)`, and
what it knows depends only on which samples it has seen, never on the order in which they came.

* Samples form **runs** that are joined to one another (infusion/counter.py). In an undisturbed
  infusion there is one run for the whole therapy; a gap, a new concentration or a restart of the
  pump begins another. The dose never changes because of a counter that cannot be right.
* When there are more than `RUNS_MAX` runs, the shortest gap between two of them that has nothing to
  explain is **closed**: the counter has told what was pumped in it, so a sample that comes later
  from there is accepted and changes nothing. A long gap stays open for its back-fill. Where every
  gap has something to explain, the oldest run is folded into the **floor**: its volume is kept, but
  samples older than the floor are refused as too late.
* A **mark** is the account as it stood at one sample. Marks are kept a minute, five minutes and
  an hour apart, as far back as the windows reach. A window begins at a sample that really exists,
  and the expected dose is taken over exactly the same interval, so nothing is interpolated.

Volumes are whole nanolitres, so totals are exact. While pressure shows an occlusion, what went
into the line's compliance is *held*: pumped, but not yet delivered.
"""

from itertools import pairwise

from msgspec import Struct, field
from msgspec.structs import replace

from infusion.counter import (
    GAIN_SLACK_NL,
    CounterFault,
    Run,
    Sample,
    close_gap,
    extends,
    join,
    merge,
    new_run,
    newest_fault,
    same_boot,
)
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, dose_iu

RUNS_MAX = 16
RECENT_MAX = 8
# A flow is observed over at least this long: messages at one instant have no flow between them.
FLOW_MS_MIN = MS_PER_SECOND

WINDOWS_MS = {
    "5min": 5 * MS_PER_MINUTE,
    "15min": 15 * MS_PER_MINUTE,
    "1h": MS_PER_HOUR,
    "24h": 24 * MS_PER_HOUR,
}
# Spacing of the marks and how many spacings are kept: each reaches past the window it serves.
RINGS = (
    (MS_PER_MINUTE, 17),
    (5 * MS_PER_MINUTE, 14),
    (MS_PER_HOUR, 26),
)


class Mark(Struct, frozen=True, order=True, array_like=True, gc=False):
    """The account as it stood at one sample: everything pumped up to it, and what was held.

    Marks are ordered by the key of their sample.
    """

    key: int
    time_ms: int
    pumped_nl: int
    pumped_iu: float
    held_iu: float


class Interval(Struct, frozen=True, array_like=True, gc=False):
    """What was delivered between two samples: IU, pumped less held.

    `samples` counts the messages that the pump sent in it; None across a restart of the pump.
    """

    from_ms: int
    to_ms: int
    delivered_iu: float
    pumped_nl: int
    samples: int | None


class Account(Struct, array_like=True, gc=False):
    """What one pump delivered. Mutable, plain, and small enough to be stored and moved."""

    runs: list[Run] = field(default_factory=list)
    floor: Run | None = None
    floor_nl: int = 0
    floor_iu: float = 0.0
    # What all runs but the last add up to, with the floor: derived, kept because it seldom changes.
    settled_nl: int = 0
    settled_iu: float = 0.0
    rings: tuple[dict[int, Mark], ...] = field(default_factory=lambda: tuple({} for _ in RINGS))
    recent: list[Mark] = field(default_factory=list)
    # The first sample of the therapy; `first_therapy` while the counter never served another one,
    # so that what it counted before the account began belongs to this therapy too.
    origin: Mark | None = None
    first_therapy: bool = True
    # The sample of this boot since which the counter stands where it stands.
    still: Mark | None = None
    fault: CounterFault | None = None
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    too_late: int = 0
    # Gaps that were closed, and runs that were folded, because there were more than are kept.
    closed: int = 0
    folded: int = 0

    @property
    def pumped_nl(self) -> int:
        """Everything the pump pumped, over all epochs, in nL."""
        if not self.runs:
            return self.floor_nl
        last = self.runs[-1]
        return self.settled_nl + last.last_nl - last.first_nl

    @property
    def pumped_iu(self) -> float:
        """Everything the pump pumped, in IU: each volume at the concentration it had."""
        if not self.runs:
            return self.floor_iu
        last = self.runs[-1]
        return self.settled_iu + dose_iu(last.last_nl - last.first_nl, last.concentration_iu_ml)

    @property
    def edge(self) -> Mark | None:
        """The newest sample."""
        return self.recent[-1] if self.recent else None


def book(account: Account, sample: Sample, rate_max_ml_h: float) -> bool:
    """Take a sample into the account; False when it was known already or came too late.

    `rate_max_ml_h` is the pump's highest rate: a counter that gains faster is not believed.
    """
    runs, key = account.runs, sample.key
    if account.floor is not None and key <= account.floor.last_key:
        account.too_late += 1
        return False
    if runs and key <= runs[-1].last_key:
        run = next((each for each in runs if each.first_key <= key <= each.last_key), None)
        if run is None:
            _book_late(account, sample, rate_max_ml_h)
        elif run.missing:
            run.missing -= 1
        else:
            account.duplicates += 1
            return False
        account.late += 1
    else:
        if runs and extends(runs[-1], sample, rate_max_ml_h):
            last = runs[-1]
            last.last_key, last.last_ms, last.last_nl = key, sample.time_ms, sample.volume_nl
        else:
            _book_apart(account, sample, rate_max_ml_h)
        _mark(account, _mark_of(sample, account.pumped_nl, account.pumped_iu))
    account.accepted += 1
    return True


def book_next(
    account: Account,
    key: int,
    time_ms: int,
    volume_nl: int,
    concentration_iu_ml: float,
    held_iu: float,
) -> bool:
    """Book a sample that follows the newest one with nothing to explain, as nearly all do.

    False where there may be something to explain: it is for `book` then, which would do the same
    with this one. The fields are those of a `Sample`, not cleared.
    """
    runs, recent = account.runs, account.recent
    if not runs or not recent:
        return False
    last, before = runs[-1], recent[-1]
    if (
        key != last.last_key + 1
        or concentration_iu_ml != last.concentration_iu_ml
        or not 0 <= volume_nl - last.last_nl <= GAIN_SLACK_NL
        or before.key != last.last_key
    ):
        return False
    last.last_key, last.last_ms, last.last_nl = key, time_ms, volume_nl
    run_nl = volume_nl - last.first_nl
    pumped_nl = account.settled_nl + run_nl
    pumped_iu = account.settled_iu + dose_iu(run_nl, concentration_iu_ml)
    mark = Mark(key, time_ms, pumped_nl, pumped_iu, held_iu)
    known = account.rings[0].get(time_ms // RINGS[0][0])
    if known is None or key < known.key:
        _mark(account, mark)
    else:
        if before.pumped_nl != pumped_nl:
            account.still = mark
        recent.append(mark)
        if len(recent) > RECENT_MAX:
            del recent[0]
    account.accepted += 1
    return True


def window(account: Account, length_ms: int) -> Interval | None:
    """The newest interval of at least `length_ms` that ends at the newest sample.

    It is longer by up to the spacing of the marks, or by a gap in which its beginning would lie,
    and shorter when the therapy is younger. None while there are not two samples to hold against
    one another.
    """
    edge = account.edge
    if edge is None:
        return None
    ring = next(
        ring
        for (spacing_ms, kept), ring in zip(RINGS, account.rings, strict=True)
        if length_ms <= spacing_ms * (kept - 2)
    )
    target_ms = edge.time_ms - length_ms
    begins = [mark for mark in ring.values() if mark.time_ms <= target_ms]
    if account.origin is not None:
        begins.append(account.origin)
    begin = max(begins, default=edge)
    return between(begin, edge) if begin.key < edge.key else None


def therapy(account: Account) -> Interval | None:
    """The interval from the beginning of the therapy to the newest sample."""
    if account.edge is None or account.origin is None:
        return None
    begin = account.origin
    if account.first_therapy:
        begin = replace(begin, pumped_nl=0, pumped_iu=0.0, held_iu=0.0)
    return between(begin, account.edge)


def between(begin: Mark, end: Mark) -> Interval:
    """What was delivered from one mark to another."""
    return Interval(
        from_ms=begin.time_ms,
        to_ms=end.time_ms,
        delivered_iu=end.pumped_iu - begin.pumped_iu - (end.held_iu - begin.held_iu),
        pumped_nl=end.pumped_nl - begin.pumped_nl,
        samples=end.key - begin.key if same_boot(begin.key, end.key) else None,
    )


def begin_therapy(account: Account) -> None:
    """Count a new therapy from the newest sample on."""
    account.first_therapy = account.origin is None
    account.origin = account.edge


def _book_apart(account: Account, sample: Sample, rate_max_ml_h: float) -> None:
    """Begin a new run with the newest sample."""
    before = account.runs[-1] if account.runs else account.floor
    after = new_run(sample)
    join_nl, join_iu = join(before, after, rate_max_ml_h)
    pumped_iu = account.pumped_iu + join_iu
    account.settled_nl, account.settled_iu = account.pumped_nl + join_nl, pumped_iu
    if before is not None:
        account.fault = newest_fault([before, after], rate_max_ml_h) or account.fault
    account.runs.append(after)
    _fold(account, rate_max_ml_h)


def _find(account: Account, key: int, rate_max_ml_h: float) -> None:
    """Name what cannot be about the counter; a late message may have explained what was named."""
    floor, known = account.floor, account.fault
    # What counts on beyond the newest sample is somebody else (infusion/rivals.py).
    last_key = max(key, account.recent[-1].key)
    runs = [run for run in (floor, *account.runs) if run is not None and run.first_key <= last_key]
    account.fault = newest_fault(runs, rate_max_ml_h)
    if account.fault is None and known is not None and floor is not None:
        account.fault = known if known.key <= floor.last_key else None


def _fold(account: Account, rate_max_ml_h: float) -> None:
    """Keep the number of runs: close gaps, or fold the oldest runs into the floor."""
    while len(account.runs) > RUNS_MAX:
        if close_gap(account.runs, rate_max_ml_h):
            account.closed += 1
            continue
        account.folded += 1
        oldest = account.runs.pop(0)
        volume_nl, dose = join(account.floor, oldest, rate_max_ml_h)
        # Added one by one, as in `sum_before`, so that folding never changes a total.
        account.floor_nl += volume_nl
        account.floor_iu += dose
        account.floor_nl += oldest.last_nl - oldest.first_nl
        account.floor_iu += dose_iu(oldest.last_nl - oldest.first_nl, oldest.concentration_iu_ml)
        account.floor = oldest


def sum_before(account: Account, key: int, rate_max_ml_h: float) -> tuple[int, float]:
    """All that was pumped up to the first sample of the run that begins at `key`: nL and IU."""
    total_nl, total_iu = account.floor_nl, account.floor_iu
    before = account.floor
    for run in account.runs:
        join_nl, join_iu = join(before, run, rate_max_ml_h)
        total_nl += join_nl
        total_iu += join_iu
        if run.first_key == key:
            break
        total_nl += run.last_nl - run.first_nl
        total_iu += dose_iu(run.last_nl - run.first_nl, run.concentration_iu_ml)
        before = run
    return total_nl, total_iu


def _book_late(account: Account, sample: Sample, rate_max_ml_h: float) -> None:
    """Put a sample into the gap where it belongs, and move the marks after it by the difference."""
    was_nl, was_iu = account.pumped_nl, account.pumped_iu
    runs = account.runs
    index = next(i for i, run in enumerate(runs) if run.first_key > sample.key)
    before = runs[index - 1] if index else None
    if before is not None and extends(before, sample, rate_max_ml_h):
        before.last_key, before.last_ms = sample.key, sample.time_ms
        before.last_nl = sample.volume_nl
        index -= 1
    else:
        runs.insert(index, new_run(sample))
    own_nl, own_iu = sum_before(account, runs[index].first_key, rate_max_ml_h)
    own_nl += runs[index].last_nl - runs[index].first_nl
    own_iu += dose_iu(runs[index].last_nl - runs[index].first_nl, runs[index].concentration_iu_ml)
    merge(runs, index, rate_max_ml_h)
    _find(account, sample.key, rate_max_ml_h)
    _fold(account, rate_max_ml_h)
    account.settled_nl, account.settled_iu = sum_before(account, runs[-1].first_key, rate_max_ml_h)
    _shift(account, sample.key, account.pumped_nl - was_nl, account.pumped_iu - was_iu)
    _mark(account, _mark_of(sample, own_nl, own_iu))
    # A late message may tell that a counter moved which seemed to stand.
    for one, other in pairwise(account.recent):
        if one.pumped_nl != other.pumped_nl or not same_boot(one.key, other.key):
            account.still = other


def _shift(account: Account, key: int, volume_nl: int, dose: float) -> None:
    """Move every mark after a sample by what that sample changed."""
    if not volume_nl and not dose:
        return

    def moved(mark: Mark) -> Mark:
        if mark.key <= key:
            return mark
        return replace(mark, pumped_nl=mark.pumped_nl + volume_nl, pumped_iu=mark.pumped_iu + dose)

    for ring in account.rings:
        for cell, mark in ring.items():
            ring[cell] = moved(mark)
    account.recent = [moved(mark) for mark in account.recent]
    if account.origin is not None:
        account.origin = moved(account.origin)


def _mark_of(sample: Sample, pumped_nl: int, pumped_iu: float) -> Mark:
    return Mark(sample.key, sample.time_ms, pumped_nl, pumped_iu, sample.held_iu)


def _mark(account: Account, mark: Mark) -> None:
    """Remember the account as it stands at a sample: the oldest of each cell stays."""
    recent = account.recent
    is_newest = not recent or mark.key > recent[-1].key
    for (spacing_ms, kept), ring in zip(RINGS, account.rings, strict=True):
        cell = mark.time_ms // spacing_ms
        known = ring.get(cell)
        if known is None or mark.key < known.key:
            ring[cell] = mark
            if len(ring) > kept:
                # The oldest by its sample: the pump's clock may have been set.
                del ring[min(ring.values()).time_ms // spacing_ms]
        elif is_newest:
            # Whoever finds the smallest cell taken finds the larger ones taken as well.
            break
    if not is_newest:
        recent.append(mark)
        recent.sort()
    else:
        before = recent[-1] if recent else None
        if (
            before is None
            or before.pumped_nl != mark.pumped_nl
            or not same_boot(before.key, mark.key)
        ):
            account.still = mark
        recent.append(mark)
    del recent[:-RECENT_MAX]

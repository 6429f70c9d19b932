"""Tests of the dose account: it conserves volume, and the order of arrival does not matter."""

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion.account import RECENT_MAX, RINGS, RUNS_MAX, Account, Mark, book
from infusion.counter import GAIN_SLACK_NL, Sample, sample_key
from infusion.units import MS_PER_HOUR
from tests.infusion.bench import T0
from tests.infusion.histories import RATE_MAX_ML_H, History, booked, histories


def sample(seq: int, volume_nl: int, *, boot: int = 1, at_s: float | None = None) -> Sample:
    """A sample every ten seconds, unless it says when."""
    time_ms = T0 + round((seq * 10 if at_s is None else at_s) * 1000)
    return Sample(sample_key(boot, seq), time_ms, volume_nl, 100.0, 0.0, False)


def marks(account: Account) -> list[Mark]:
    return [*account.recent, *(mark for ring in account.rings for mark in ring.values())]


@settings(max_examples=100, deadline=None)
@given(histories())
def test_volume_is_conserved(history: History) -> None:
    """The account's volume is the sum of what the counter said in each epoch, to the nanolitre."""
    account = booked(history.received)
    assert account.fault is None
    assert account.pumped_nl == history.total_nl()
    assert account.pumped_iu == pytest.approx(history.total_iu(), rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(histories(), st.data())
def test_loss_of_samples_loses_no_volume(history: History, data: st.DataObject) -> None:
    """Where the last sample of each epoch and each cleared counter comes through, nothing is lost."""
    ends = {
        before.key
        for before, after in pairwise(history.samples)
        if after.cleared or after.key >> 42 != before.key >> 42
    }
    needed = ends | {history.samples[-1].key} | {s.key for s in history.samples if s.cleared}
    losable = [s.key for s in history.samples if s.key not in needed]
    history.lost = set(data.draw(st.lists(st.sampled_from(losable)))) if losable else set()
    whole = History(history.samples).total_nl()
    assert booked(history.received).pumped_nl == whole


@settings(max_examples=80, deadline=None)
@given(histories(size_max=RUNS_MAX), st.data())
def test_order_of_arrival_does_not_matter(history: History, data: st.DataObject) -> None:
    """Any permutation with any duplicates gives the same runs, totals and faults."""
    straight = booked(history.received)
    shuffled = data.draw(st.permutations(history.received))
    again = data.draw(st.lists(st.sampled_from(history.received), max_size=10))
    account = booked([*shuffled, *again])
    assert account.runs == straight.runs
    assert account.pumped_nl == straight.pumped_nl
    assert account.pumped_iu == pytest.approx(straight.pumped_iu, rel=1e-9)
    assert account.fault == straight.fault is None
    assert account.accepted == straight.accepted
    assert account.duplicates == len(again)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=RUNS_MAX), st.data())
def test_counters_that_lie_are_judged_in_any_order(volumes: list[int], data: st.DataObject) -> None:
    """Backwards and impossible counters too give the same account whatever the order."""
    samples = [sample(seq, volume) for seq, volume in enumerate(volumes)]
    straight, shuffled = booked(samples), booked(data.draw(st.permutations(samples)))
    assert shuffled.runs == straight.runs
    assert shuffled.pumped_nl == straight.pumped_nl
    assert shuffled.fault == straight.fault


@settings(max_examples=60, deadline=None)
@given(histories(size_max=RUNS_MAX), st.data())
def test_two_paths_one_truth(history: History, data: st.DataObject) -> None:
    """Every mark says what the samples up to its own say, whenever they came."""
    account = booked(data.draw(st.permutations(history.received)))
    for mark in marks(account):
        assert mark.pumped_nl == history.total_nl(up_to_key=mark.key)
    assert account.recent == sorted(account.recent)
    assert account.edge == max(marks(account))
    assert account.edge is not None
    assert account.edge.pumped_nl == account.pumped_nl


@settings(max_examples=50, deadline=None)
@given(histories(size_max=120), st.randoms(use_true_random=False))
def test_folding_changes_no_total(history: History, chance: random.Random) -> None:
    """Beyond the fold limit, and with neighbours swapped, the totals stay exact."""
    samples = history.received
    for index in range(0, len(samples) - 1, 2):
        if chance.random() < 0.5:
            samples[index], samples[index + 1] = samples[index + 1], samples[index]
    account = booked(samples)
    assert len(account.runs) <= RUNS_MAX
    assert account.pumped_nl == history.total_nl()
    assert account.pumped_iu == pytest.approx(history.total_iu(), rel=1e-9)


def test_undisturbed_infusion_is_one_run() -> None:
    """Thousands of samples in sequence take the room of one run."""
    account = booked([sample(seq, seq * 40_000) for seq in range(5_000)])
    assert len(account.runs) == 1
    assert account.pumped_nl == 4_999 * 40_000


def test_counter_that_runs_backwards_adds_nothing_and_is_named() -> None:
    """What a counter loses is not taken away, and counting goes on from where it stands."""
    account = booked([sample(0, 0), sample(1, 40_000), sample(2, 10_000), sample(3, 50_000)])
    assert account.pumped_nl == 80_000
    assert account.fault is not None
    assert (account.fault.kind, account.fault.volume_nl) == ("backwards", -30_000)
    assert account.fault.time_ms == T0 + 20_000


def test_counter_that_leaps_adds_nothing_and_is_named() -> None:
    """One nanolitre more than the pump can pump in that time is impossible; the bound is not."""
    most_nl = GAIN_SLACK_NL + int(RATE_MAX_ML_H * 1e6 * 10_000 / MS_PER_HOUR)
    sound = booked([sample(0, 0), sample(1, most_nl)])
    assert (sound.pumped_nl, sound.fault) == (most_nl, None)
    account = booked([sample(0, 0), sample(1, most_nl + 1), sample(2, most_nl + 40_001)])
    assert account.pumped_nl == 40_000
    assert account.fault is not None
    assert (account.fault.kind, account.fault.volume_nl) == ("impossible", most_nl + 1)


def test_boot_that_goes_on_counting_is_not_counted_twice() -> None:
    """A pump that restarts without setting its counter to zero cannot have pumped all that again."""
    account = booked([sample(0, 0), sample(1, 40_000), sample(0, 5_000_000, boot=2, at_s=20)])
    assert account.pumped_nl == 40_000
    assert account.fault is not None
    assert account.fault.kind == "impossible"


def test_clock_that_was_set_back_makes_no_gain_impossible() -> None:
    """Over a gap in which the clock was set back, the counter is believed: the time is not."""
    account = booked([sample(0, 0), sample(9, 5_000_000, at_s=-3_600)])
    assert account.pumped_nl == 5_000_000
    assert account.fault is None


def test_late_message_heals_a_fault_that_it_explains() -> None:
    """A cleared counter looks like one that ran backwards until the event itself arrives."""
    cleared = sample(2, 0)._replace(cleared=True)
    overtaken = [sample(0, 0), sample(1, 40_000), sample(3, 20_000)]
    assert booked(overtaken).fault is not None
    account = booked([*overtaken, cleared])
    assert account.fault is None
    assert account.pumped_nl == 60_000


def test_fault_outlives_the_run_that_showed_it() -> None:
    """A fault is still known after its run was folded away."""
    samples = [sample(0, 900_000), sample(1, 40_000)]
    samples += [sample(0, seq, boot=seq, at_s=60 * seq) for seq in range(2, 2 + 2 * RUNS_MAX)]
    account = booked(samples)
    assert account.floor is not None
    assert account.fault is not None
    assert account.fault.kind == "backwards"


def test_late_and_too_late() -> None:
    """A late sample fills its gap; one older than the floor is refused, counted, and harmless."""
    boots = [sample(1, 40_000, boot=boot, at_s=60 * boot) for boot in range(1, 2 * RUNS_MAX + 1)]
    account = booked(boots)
    total_nl = account.pumped_nl
    assert total_nl == 2 * RUNS_MAX * 40_000
    assert account.folded == RUNS_MAX
    assert not book(account, sample(0, 0), RATE_MAX_ML_H)
    assert account.too_late == 1
    assert book(account, sample(0, 0, boot=2 * RUNS_MAX, at_s=120 * RUNS_MAX - 10), RATE_MAX_ML_H)
    assert account.late == 1
    assert account.pumped_nl == total_nl


def test_back_fill_behind_more_gaps_than_are_kept_loses_and_doubles_nothing() -> None:
    """Five hours without a connection, with a new bag and a restart in them, told late.

    Meanwhile the newest messages came with many gaps: those are closed, the long one stays open.
    """
    before = [sample(seq, seq * 40_000) for seq in range(100)]
    outage = [sample(seq, seq * 40_000) for seq in range(100, 1_000)]
    strong = [
        sample(seq, seq * 40_000)._replace(concentration_iu_ml=200.0) for seq in range(1_000, 1_400)
    ]
    restarted = [sample(seq, seq * 40_000, boot=2, at_s=15_000 + 10 * seq) for seq in range(500)]
    newest = [sample(seq, seq * 40_000, boot=3, at_s=21_000 + 10 * seq) for seq in range(1, 200, 3)]
    account = booked([*before, *newest])
    assert len(account.runs) <= RUNS_MAX
    assert account.closed > RUNS_MAX
    for late in (*outage, *strong, *restarted):
        assert book(account, late, RATE_MAX_ML_H)
    assert (account.late, account.too_late, account.folded) == (1_800, 0, 0)
    assert account.pumped_nl == (1_399 + 499 + 199) * 40_000
    # The new bag is told by its first sample: what was pumped up to it was from the old one.
    iu = (1_000 * 100 + 399 * 200 + 499 * 100 + 199 * 100) * 0.04
    assert account.pumped_iu == pytest.approx(iu)
    # What comes again is known, and what lies in a closed gap comes once.
    assert not any(book(account, known, RATE_MAX_ML_H) for known in (*before, *outage))
    gone = sample(2, 80_000, boot=3, at_s=21_020)
    assert book(account, gone, RATE_MAX_ML_H)
    assert account.pumped_nl == (1_399 + 499 + 199) * 40_000


def test_numbers_of_closed_gaps_come_once() -> None:
    """Each number that never came is accepted late; when all have come, the rest is known."""
    account = booked([sample(seq, seq * 40_000) for seq in range(0, 200, 2)])
    late = [sample(seq, seq * 40_000) for seq in range(1, 199, 2)]
    assert all(book(account, each, RATE_MAX_ML_H) for each in late)
    assert account.accepted == 199
    assert not any(book(account, each, RATE_MAX_ML_H) for each in late)
    assert (account.duplicates, account.pumped_nl) == (99, 198 * 40_000)
    assert len(account.runs) == 1


def test_late_bag_change_corrects_the_dose_after_it() -> None:
    """A late sample with another concentration moves every mark after it."""
    first, second = sample(0, 0), sample(1, 1_000_000, at_s=600)
    bag = sample(1, 1_000_000, at_s=600)._replace(concentration_iu_ml=200.0)
    end = sample(2, 3_000_000, at_s=1_800)._replace(concentration_iu_ml=200.0)
    account = booked([first, end])
    assert account.pumped_iu == pytest.approx(300)
    book(account, bag, RATE_MAX_ML_H)
    assert account.pumped_iu == pytest.approx(100 + 400)
    assert account.edge is not None
    assert account.edge.pumped_iu == pytest.approx(500)
    assert not book(account, second, RATE_MAX_ML_H)


def test_memory_is_bounded_over_a_week_of_loss() -> None:
    """A week at thirty seconds with 30 % lost: bounded runs, marks and bytes."""
    chance = random.Random(7)
    account = Account()
    most = 0
    for seq in range(7 * 24 * 120):
        if chance.random() < 0.3:
            continue
        book(account, sample(seq, seq * 120_000, at_s=seq * 30), RATE_MAX_ML_H)
        if seq % 1_000 == 0:
            most = max(most, len(msgspec.msgpack.encode(account)))
    assert len(account.runs) <= RUNS_MAX
    assert len(account.recent) <= RECENT_MAX
    assert [len(ring) for ring in account.rings] == [kept for _, kept in RINGS]
    assert account.pumped_nl == account.runs[-1].last_nl
    assert most <= 4_500

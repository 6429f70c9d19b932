"""What came is held against what was sent, exactly, whatever the broker does and in which order."""

from array import array
from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.load.ledger import (
    EARLY_US,
    SPOILT_BIT,
    UNMEASURED,
    Ledger,
    identity,
    message_number,
    topic_number,
)

TOPICS = [topic_number(f"infusion/v1/load-1/P-{number}/telemetry".encode()) for number in range(3)]
Fates = list[tuple[int, int]]


def payload(boot: int, seq: int) -> bytes:
    return b'{"pump":"P-01","boot":%d,"seq":%d,"time_ms":5,"status":"infusing"}' % (boot, seq)


def log_of(entries: list[tuple[int, int]]) -> "array[int]":
    log: array[int] = array("q")
    for number, intended_us in entries:
        log.extend((number, intended_us))
    return log


@settings(deadline=None)
@given(
    fates=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=60),
    early=st.integers(0, 60),
    order=st.randoms(use_true_random=False),
    shuffled=st.booleans(),
)
def test_losses_and_doubles_are_exact(
    fates: Fates, early: int, order: Random, shuffled: bool
) -> None:
    """Each message goes to a topic and comes 0 to 3 times; some come before the log tells of them."""
    numbers = [identity(TOPICS[topic], seq) for seq, (topic, _) in enumerate(fates)]
    arrivals = [
        (TOPICS[topic], numbers[seq], 100 + seq)
        for seq, (topic, times) in enumerate(fates)
        for _ in range(times)
    ]
    if shuffled:
        order.shuffle(arrivals)
    ledger = Ledger()
    entries = [(number, 50) for number in numbers]
    ledger.book(log_of(entries[:early]))
    took = ledger.settle(arrivals[: early // 2], 200)
    ledger.book(log_of(entries[early:]))
    took += ledger.settle(arrivals[early // 2 :], 200)
    took += ledger.settle([], 300, is_last=True)
    came = Counter(number for _, number, _ in arrivals)
    assert ledger.sent == len(fates)
    assert ledger.received == len(arrivals)
    assert ledger.missing == sum(1 for _, times in fates if times == 0)
    assert ledger.doubled == sum(times - 1 for times in came.values())
    assert len(took) == len(came)
    last: dict[int, int] = {}
    reordered = 0
    seen: set[int] = set()
    for topic, number, at_us in arrivals:
        if number not in seen:
            reordered += at_us < last.get(topic, 0)
            last[topic] = max(at_us, last.get(topic, 0))
            seen.add(number)
    assert ledger.reordered == reordered


def test_order_is_kept_for_each_topic_alone() -> None:
    """Two topics may overtake each other; within one, whoever comes after a later one is counted."""
    first, second = TOPICS[:2]
    sent = [identity(first, 1), identity(second, 1), identity(first, 2), identity(first, 3)]
    ledger = Ledger()
    ledger.book(log_of([(number, 1) for number in sent]))
    ledger.settle([(second, sent[1], 5), (first, sent[2], 6), (first, sent[0], 7)], 10)
    assert (ledger.reordered, ledger.doubled, ledger.missing) == (1, 0, 1)
    ledger.settle([(first, sent[3], 8)], 10)
    assert (ledger.reordered, ledger.missing) == (1, 0)


def test_order_is_seen_also_where_the_log_comes_late() -> None:
    """The later one came first, before the log told of it; the earlier one was known already."""
    topic = TOPICS[0]
    first, second = identity(topic, 1), identity(topic, 2)
    ledger = Ledger()
    ledger.book(log_of([(first, 1)]))
    ledger.settle([(topic, second, 5), (topic, first, 6)], 10)
    ledger.book(log_of([(second, 1)]))
    ledger.settle([], 20)
    assert (ledger.reordered, ledger.doubled, ledger.missing) == (1, 0, 0)


def test_what_was_sent_twice_on_purpose_is_no_double_of_the_broker() -> None:
    number = identity(TOPICS[0], 9)
    ledger = Ledger()
    ledger.book(log_of([(number, 10), (number, 20)]))
    took = ledger.settle([(TOPICS[0], number, 15)], 100)
    assert (list(took), ledger.missing) == ([5], 1)
    took = ledger.settle([(TOPICS[0], number, 26), (TOPICS[0], number, 30)], 100, is_last=True)
    assert (list(took), ledger.missing, ledger.doubled) == ([6], 0, 1)


def test_what_nobody_sent_is_doubled_once_the_log_cannot_be_behind_any_more() -> None:
    ledger = Ledger()
    ledger.settle([(TOPICS[0], 7, 1_000)], 2_000)
    assert ledger.doubled == 0
    ledger.settle([], 1_001 + EARLY_US)
    assert ledger.doubled == 1


def test_what_is_not_measured_counts_and_has_no_latency() -> None:
    number = identity(TOPICS[0], 1)
    ledger = Ledger()
    ledger.book(log_of([(number, UNMEASURED)]))
    assert not ledger.settle([(TOPICS[0], number, 77)], 100)
    assert (ledger.received, ledger.missing) == (1, 0)


@settings(deadline=None)
@given(
    first=st.tuples(st.integers(0, 2**20 - 1), st.integers(0, 2**39)),
    second=st.tuples(st.integers(0, 2**20 - 1), st.integers(0, 2**39)),
)
def test_messages_of_one_topic_differ_by_boot_and_seq(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    numbers = message_number(payload(*first)), message_number(payload(*second))
    assert (numbers[0] == numbers[1]) == (first == second)
    assert not numbers[0] & SPOILT_BIT


@settings(deadline=None)
@given(data=st.binary(max_size=80))
def test_a_spoilt_message_has_a_number_too(data: bytes) -> None:
    assert message_number(data) == message_number(bytes(data))
    assert -(2**63) <= identity(TOPICS[0], message_number(data)) < 2**63

"""What must not matter: when, in which pieces, how often, with how many restarts, beside whom."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from infusion.messages import AlertChange, Message
from infusion.monitor import Monitor
from tests.infusion.bench import SITE, Stream
from tests.infusion.streams import (
    STREAMS,
    UNSHARP,
    Outcome,
    moved,
    overtaken,
    plans,
    played,
    restarted,
    run,
    thinned,
    timetable,
)

Slots = list[tuple[int, Message | None]]
DAY_MS = 86_400_000


@pytest.fixture(params=sorted(STREAMS))
def stream(request: pytest.FixtureRequest) -> Stream:
    """One of the rich streams."""
    return STREAMS[request.param]()


def drawn(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None)


def test_streams_are_rich() -> None:
    """Together the streams raise most of the rules, and each raises something."""
    rules = {
        name: {r for _, r, _ in run(timetable(make())).reached()} for name, make in STREAMS.items()
    }
    assert all(rules.values())
    assert set().union(*rules.values()) >= {
        "counter-fault",
        "counter-frozen",
        "downstream-occlusion",
        "free-flow-seen",
        "no-telemetry",
        "not-delivering",
        "over-delivery",
        "pump-offline",
        "rate-not-as-ordered",
        "reservoir-empty",
        "under-delivery",
        "unknown-device-alarm",
        "unknown-pump",
        "unknown-therapy",
        "wrong-concentration",
    }


# --- exactly the same ----------------------------------------------------------------------------


def same_when_shifted(stream: Stream, days: int) -> None:
    by_ms = days * DAY_MS
    before = run(timetable(stream)).changes
    after = run(timetable([(at + by_ms, moved(message, by_ms)) for at, message in stream])).changes
    assert [summary(change) for change in before] == [summary(change, by_ms) for change in after]


def summary(change: AlertChange, by_ms: int = 0) -> tuple[object, ...]:
    alert = change.alert
    return (
        change.change,
        change.list_version,
        alert.rule,
        alert.priority,
        alert.version,
        alert.onset_ms - by_ms,
        alert.raised_ms - by_ms,
        alert.changed_ms - by_ms,
        alert.evidence.observed,
        alert.evidence.detail,
        alert.suppresses,
    )


def same_when_duplicated(stream: Stream, chance: random.Random) -> None:
    """A message that comes again within a minute is as if it had not."""
    again = [
        (at + chance.randrange(60_000), message) for at, message in stream if chance.random() < 0.3
    ]
    end_ms = stream[-1][0] + 60_000
    both = sorted([*stream, *again], key=lambda item: item[0])
    before = run(until(timetable(stream, tail_ms=120_000), end_ms))
    after = run(until(timetable(both, tail_ms=120_000), end_ms))
    assert after.changes == before.changes
    assert after.totals() == before.totals()


def same_when_ticked_anywhere(stream: Stream, chance: random.Random) -> None:
    """More heartbeats at any instant change nothing."""
    slots = timetable(stream)
    more: Slots = [(chance.randrange(slots[0][0], slots[-1][0]), None) for _ in range(500)]
    ticked = sorted([*slots, *more], key=lambda slot: (slot[0], slot[1] is not None))
    assert_same(run(ticked), run(slots))


def same_when_restarted(stream: Stream, chance: random.Random, times: int = 12) -> None:
    """A monitor that is killed and resumed from its stored state says what it would have said."""
    slots = timetable(stream)
    cuts = sorted(chance.sample(range(len(slots)), times))
    outcome = Outcome(Monitor())
    begin = 0
    for cut in [*cuts, len(slots)]:
        part = run(slots[begin:cut], restarted(outcome.monitor))
        outcome = Outcome(part.monitor, outcome.changes + part.changes)
        begin = cut
    assert_same(outcome, run(slots))


def assert_same(left: Outcome, right: Outcome) -> None:
    assert left.changes == right.changes
    assert left.totals() == right.totals()
    for key in right.monitor.pumps:
        assert left.monitor.open_alerts(key) == right.monitor.open_alerts(key)


def test_shift_of_time(stream: Stream) -> None:
    """The same stream some days earlier or later gives the same alerts, moved."""
    same_when_shifted(stream, 400)


def test_duplicates(stream: Stream) -> None:
    """Messages that come twice change nothing."""
    same_when_duplicated(stream, random.Random(1))


def test_ticks(stream: Stream) -> None:
    """How often the monitor looks changes nothing."""
    same_when_ticked_anywhere(stream, random.Random(2))


def test_restarts(stream: Stream) -> None:
    """Where the monitor restarts changes nothing."""
    same_when_restarted(stream, random.Random(3))


@drawn(12)
@given(plans, st.integers(-100, 100), st.integers(0, 10_000))
def test_drawn_streams_exactly(plan: list[tuple[str, int]], days: int, seed: int) -> None:
    """Shift, duplicates, ticks and restarts change nothing in drawn streams either."""
    stream, chance = played(plan), random.Random(seed)
    same_when_shifted(stream, days)
    same_when_duplicated(stream, chance)
    same_when_ticked_anywhere(stream, chance)
    same_when_restarted(stream, chance)


def test_pumps_do_not_see_one_another() -> None:
    """Two pumps in one monitor say what each says alone."""
    names = sorted(STREAMS)
    for first, second in zip(names, names[1:] + names[:1], strict=True):
        one, two = STREAMS[first](), [(at, renamed(m)) for at, m in STREAMS[second]()]
        end_ms = max(one[-1][0], two[-1][0])
        alone = [
            run(until(timetable(part, tail_ms=end_ms - part[-1][0]), end_ms)) for part in (one, two)
        ]
        both = sorted([*one, *two], key=lambda item: item[0])
        together = run(until(timetable(both), end_ms))
        for pump, outcome in zip(("P-01", "P-02"), alone, strict=True):
            assert [c for c in together.changes if c.alert.pump == pump] == outcome.changes
            key = f"{SITE}/{pump}"
            assert together.totals()[key] == outcome.totals()[key]


def until(slots: Slots, end_ms: int) -> Slots:
    return [slot for slot in slots if slot[0] <= end_ms]


def renamed(message: Message) -> Message:
    """The same message of pump P-02, with therapies of its own."""
    fields = asdict(message)
    if "pump" in fields:
        message = replace(message, pump="P-02")
    if fields.get("therapy"):
        message = replace(message, therapy=fields["therapy"] + "-b")
    return message


# --- the same alerts and totals ------------------------------------------------------------------


def onsets(outcome: Outcome) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for change in outcome.changes:
        if change.alert.version == 1 and change.alert.rule not in UNSHARP:
            found.setdefault(change.alert.rule, []).append(change.alert.onset_ms)
    return found


def assert_alike(
    left: Outcome, right: Outcome, onset_ms: int = 60_000, *, is_sharp: bool = True
) -> None:
    """The same alerts with the same priorities, begun within a minute, and the same totals.

    The priorities are the alerts' own. A level that is hidden behind an alert lends it its priority,
    and may be at its limit to within a message. Where it is not sharp, priorities may differ.
    """
    if is_sharp:
        assert left.own == right.own
    assert {each[:2] for each in left.own} == {each[:2] for each in right.own}
    assert left.totals() == right.totals()
    mine, theirs = onsets(left), onsets(right)
    for rule, expected in theirs.items():
        assert all(any(abs(a - b) <= onset_ms for b in expected) for a in mine[rule]), rule


def settled(stream: Stream) -> Outcome:
    return run(timetable(stream, tail_ms=90_000))


def test_overtaking_messages(stream: Stream) -> None:
    """Messages that overtake one another within a minute give the same alerts and totals."""
    for seed in range(3):
        assert_alike(settled(overtaken(stream, random.Random(seed))), settled(stream))


def test_lost_telemetry(stream: Stream) -> None:
    """Without 30 % of the telemetry the alerts and totals are the same."""
    for seed in range(3):
        assert_alike(settled(thinned(stream, random.Random(seed))), settled(stream))


@drawn(25)
@given(plans, st.integers(0, 10_000))
def test_drawn_streams_alike(plan: list[tuple[str, int]], seed: int) -> None:
    """Loss and overtaking bring and hide no alert, and change no total, in drawn streams."""
    stream, chance = played(plan), random.Random(seed)
    undisturbed = settled(stream)
    # Where telemetry at thirty seconds was lost, a silence begins with the last that was not; and
    # the minute between two flows may be lost that ends an alert, which then goes on and grows.
    assert_alike(settled(thinned(stream, chance)), undisturbed, 300_000, is_sharp=False)
    assert_alike(settled(overtaken(stream, chance)), undisturbed)


def test_burst_after_a_stall(stream: Stream) -> None:
    """The monitor is away while messages queue; then they come at once: the same alerts."""
    whole = run(timetable(stream)).changes
    begin_ms, end_ms = stream[0][0], stream[-1][0]
    third = (end_ms - begin_ms) // 3
    for away_ms, back_ms in (
        (begin_ms + third, begin_ms + 2 * third),
        (begin_ms + 1, end_ms),
        (begin_ms + third // 2, begin_ms + third),
    ):
        slots: Slots = []
        for at_ms, message in timetable(stream):
            if away_ms < at_ms < back_ms:
                if message is not None:
                    slots.append((back_ms, message))
            else:
                slots.append((at_ms, message))
        outcome = run(sorted(slots, key=lambda slot: slot[0]))
        assert Outcome(Monitor(), whole).reached() == outcome.reached()

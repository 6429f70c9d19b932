"""Properties of what an order allows: the rate in force always, exactly until it changes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infusion.allowed import FOREVER_MS, Allowed, Bolus, allowed
from infusion.prescription import Bolus as BolusStep
from infusion.prescription import Hold, RateChange, Start, Step, Stop, Timeline, compile_timeline
from infusion.thresholds import DEFAULTS, Thresholds
from infusion.units import MS_PER_MINUTE
from tests.infusion.bench import T0, order

DAY_MIN = 24 * 60
BOLUS_IU = 4_000.0
BOLUS_S = 600.0
NO_GRACE = Thresholds(
    change_grace_min=0, hold_grace_min=0, bolus_grace_min=0, bolus_void_min=0, early_grace_min=0
)

minutes = st.integers(0, DAY_MIN)
graces = st.integers(0, 300).map(float)
limits = st.builds(
    Thresholds,
    change_grace_min=graces,
    hold_grace_min=graces,
    bolus_grace_min=graces,
    bolus_void_min=graces,
    early_grace_min=graces,
)


def at(minute: float) -> int:
    """An instant, so many minutes after T0."""
    return T0 + round(minute * MS_PER_MINUTE)


def rate_step(minute: int, rate_iu_h: float) -> Step:
    return RateChange(at_ms=at(minute), rate_iu_h=rate_iu_h)


def hold_step(minute: int, length: int) -> Step:
    return Hold(at_ms=at(minute), until_ms=at(minute + length))


def bolus_step(minute: int, dose_iu: float) -> Step:
    return BolusStep(at_ms=at(minute), dose_iu=dose_iu, duration_s=BOLUS_S)


later_steps = st.one_of(
    st.builds(rate_step, minutes, st.sampled_from([0.0, 800.0, 1_200.0, 1_440.0, 2_000.0])),
    st.builds(hold_step, minutes, st.integers(1, 240)),
    st.builds(bolus_step, minutes, st.sampled_from([500.0, BOLUS_IU])),
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """A day of orders: a start, changes, holds and boluses, and perhaps a stop at the end."""
    steps = [Start(at_ms=T0, rate_iu_h=1_440.0), *draw(st.lists(later_steps, max_size=6))]
    if draw(st.booleans()):
        steps.append(Stop(at_ms=at(DAY_MIN + 1)))
    return compile_timeline(order(*steps))


# A little before the therapy begins until long after its last step.
instants = st.integers(-400 * MS_PER_MINUTE, (DAY_MIN + 700) * MS_PER_MINUTE).map(T0.__add__)


def content(answer: Allowed) -> tuple[object, ...]:
    """All of an answer but how long it holds."""
    return (
        answer.ordered_iu_h,
        answer.least_iu_h,
        answer.most_iu_h,
        answer.rates_iu_h,
        answer.boluses,
    )


def day(*steps: Step) -> Timeline:
    """18 IU/kg/h from T0 on, and what else is ordered."""
    return compile_timeline(order(Start(at_ms=T0, rate_iu_kg_h=18.0), *steps))


@given(timelines(), instants, limits)
def test_the_rate_in_force_is_always_allowed(
    timeline: Timeline, at_ms: int, some: Thresholds
) -> None:
    """Whoever programs exactly what is ordered now has done nothing wrong, whatever the graces."""
    now = allowed(timeline, at_ms, some)
    assert now.ordered_iu_h == timeline.base_rate_iu_h(at_ms)
    assert now.ordered_iu_h in now.rates_iu_h
    assert (now.least_iu_h, now.most_iu_h) == (min(now.rates_iu_h), max(now.rates_iu_h))
    assert len(set(now.rates_iu_h)) == len(now.rates_iu_h)


@given(timelines(), instants, limits, st.floats(0, 1, exclude_max=True))
def test_the_answer_holds_until_it_says(
    timeline: Timeline, at_ms: int, some: Thresholds, share: float
) -> None:
    """Up to the last millisecond before `until_ms` the answer is the same, down to the instant it names."""
    now = allowed(timeline, at_ms, some)
    assert now.until_ms > at_ms
    end_ms = min(now.until_ms, at_ms + 10 * DAY_MIN * MS_PER_MINUTE)
    for later_ms in (at_ms + int((end_ms - at_ms) * share), end_ms - 1):
        assert allowed(timeline, later_ms, some) == now


@given(timelines(), limits)
def test_every_change_of_the_answer_is_announced(timeline: Timeline, some: Thresholds) -> None:
    """Going from one `until_ms` to the next sees each answer that a look at every minute sees."""
    at_ms, steps = at(-400), 0
    announced = [content(allowed(timeline, at_ms, some))]
    while (now := allowed(timeline, at_ms, some)).until_ms < FOREVER_MS:
        at_ms, steps = now.until_ms, steps + 1
        announced.append(content(allowed(timeline, at_ms, some)))
    assert steps <= 4 * len(timeline.times_ms) + 3 * len(timeline.boluses)
    for minute in range(-400, DAY_MIN + 700, 20):
        assert content(allowed(timeline, at(minute), some)) in announced


@given(timelines(), instants, limits, st.integers(-(10**9), 10**9))
def test_shifting_time_shifts_the_answer(
    timeline: Timeline, at_ms: int, some: Thresholds, by_ms: int
) -> None:
    """An order on a pump whose clock was set allows the same, so much later."""
    now = allowed(timeline, at_ms, some)
    moved = allowed(timeline.moved(by_ms), at_ms + by_ms, some)
    assert content(moved)[:-1] == content(now)[:-1]
    assert moved.boluses == tuple(
        Bolus(bolus.begin_ms + by_ms, bolus.end_ms + by_ms, bolus.rate_iu_h)
        for bolus in now.boluses
    )
    until_ms = now.until_ms if now.until_ms == FOREVER_MS else now.until_ms + by_ms
    assert moved.until_ms == until_ms


@given(timelines(), instants, limits, graces)
def test_more_time_allows_no_less(
    timeline: Timeline, at_ms: int, some: Thresholds, more_min: float
) -> None:
    """A longer grace of any kind takes no rate and no bolus away."""
    longer = Thresholds(
        change_grace_min=some.change_grace_min + more_min,
        hold_grace_min=some.hold_grace_min + more_min,
        bolus_void_min=some.bolus_void_min + more_min,
        early_grace_min=some.early_grace_min + more_min,
    )
    strict, kind = allowed(timeline, at_ms, some), allowed(timeline, at_ms, longer)
    assert set(strict.rates_iu_h) <= set(kind.rates_iu_h)
    assert set(strict.boluses) <= set(kind.boluses)


@given(timelines(), instants)
@example(compile_timeline(order()), T0)
def test_without_any_grace_only_the_rate_in_force_is_allowed(
    timeline: Timeline, at_ms: int
) -> None:
    """Where people are given no time, the answer is the order itself."""
    now = allowed(timeline, at_ms, NO_GRACE)
    assert now.rates_iu_h == (timeline.base_rate_iu_h(at_ms),)
    assert {bolus.begin_ms for bolus in now.boluses} == {
        begin for begin, end, _ in timeline.boluses if begin <= at_ms < end
    }


@pytest.mark.parametrize(
    ("minute", "rates"),
    [
        (54.99, {1_440.0}),
        (55.0, {1_440.0, 1_600.0}),
        (89.99, {1_440.0, 1_600.0}),
        (90.0, {1_600.0}),
    ],
)
def test_the_edges_of_a_changed_rate(minute: float, rates: set[float]) -> None:
    """M04: five minutes early and thirty minutes late, to the instant."""
    now = allowed(day(rate_step(60, 1_600.0)), at(minute), DEFAULTS)
    assert set(now.rates_iu_h) == rates


@pytest.mark.parametrize(
    ("minute", "rates"),
    [
        (54.99, {1_440.0}),
        (55.0, {0.0, 1_440.0}),
        (69.99, {0.0, 1_440.0}),
        (70.0, {0.0}),
        (174.99, {0.0}),
        (175.0, {0.0, 1_440.0}),
        (209.99, {0.0, 1_440.0}),
        (210.0, {1_440.0}),
    ],
)
def test_the_edges_of_a_hold(minute: float, rates: set[float]) -> None:
    """M03: a hold within ten minutes; after its end a rate has its thirty again."""
    now = allowed(day(hold_step(60, 120)), at(minute), DEFAULTS)
    assert set(now.rates_iu_h) == rates


@pytest.mark.parametrize(
    ("minute", "is_allowed"), [(54.99, False), (55.0, True), (309.99, True), (310.0, False)]
)
def test_the_edges_of_a_bolus(minute: float, is_allowed: bool) -> None:
    """A bolus may be given five minutes early, and until it is void four hours after its end."""
    now = allowed(day(bolus_step(60, BOLUS_IU)), at(minute), DEFAULTS)
    assert [bolus.rate_iu_h for bolus in now.boluses] == [24_000.0] * is_allowed
    assert now.rates_iu_h == (1_440.0,)


@pytest.mark.parametrize(
    ("minute", "rates"),
    [(-5.01, {0.0}), (-5.0, {0.0, 1_440.0}), (29.99, {0.0, 1_440.0}), (30.0, {1_440.0})],
)
def test_the_edges_of_a_start(minute: float, rates: set[float]) -> None:
    """Before the therapy nothing was ordered, and nothing may still be given for a while."""
    assert set(allowed(day(), at(minute), DEFAULTS).rates_iu_h) == rates

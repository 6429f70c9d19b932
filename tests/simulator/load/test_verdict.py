"""When a run is valid, when a threshold is kept, which exit code follows, what a ramp finds."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.errors import ConfigError
from simulator.load.plan import Plan
from simulator.load.ramp import GROWTH, STEPS_MAX, Tried, climb, next_interval, verdict
from simulator.load.result import Generators, Result, Step, metric_names, metrics
from simulator.load.verdict import exit_code, judged, read_fail_if, why_not_valid
from tests.simulator.load.loads import latency, result_of


def judge(result: Result, *texts: str) -> Result:
    return judged(result, [read_fail_if(text, metric_names()) for text in texts])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("lost>3", False),
        ("lost>4", True),
        ("lost>=4", False),
        ("e2e_p99_ms > 50", False),
        ("e2e_p99_ms>500", True),
        ("achieved_percent<99", True),
        ("achieved_percent<=99", False),
        ("lost_percent>0.1", False),
        ("alert_p99_ms>300", False),  # nothing was measured, so nothing was kept
    ],
)
def test_a_threshold_is_missed_where_what_it_says_is_so(text: str, kept: bool) -> None:
    (threshold,) = judge(result_of(), text).thresholds
    assert threshold.kept is kept


@pytest.mark.parametrize(
    ("text", "says"),
    [("e2e_p99_ms", "NAME>NUMBER"), ("e2e_p98_ms>5", "did you mean"), ("lost=5", "NAME>NUMBER")],
)
def test_a_threshold_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_fail_if(text, metric_names())


def test_every_name_has_a_figure() -> None:
    assert set(metric_names()) == set(metrics(result_of()))


@pytest.mark.parametrize(
    ("cost", "word"),
    [
        (Generators(late_percent=1.5), "late in 1.5 %"),
        (Generators(cpu_percent=95.0), "a generator used 95 %"),
        (Generators(receiver_cpu_percent=97.0), "the receiver used 97 %"),
    ],
)
def test_a_generator_that_was_the_bottleneck_says_so(cost: Generators, word: str) -> None:
    (reason,) = why_not_valid(cost, 0)
    assert word in reason
    assert why_not_valid(Generators(late_percent=1.0, cpu_percent=90.0), 0) == ()


def test_messages_that_found_no_room_have_no_latency_and_that_is_said() -> None:
    (reason,) = why_not_valid(Generators(), 7)
    assert reason.startswith("7 messages found no room")


def test_exit_codes() -> None:
    fine = result_of()
    assert exit_code(fine) == 0
    assert exit_code(replace(fine, valid=False)) == 1
    assert exit_code(judge(fine, "lost>0")) == 99
    assert exit_code(judge(replace(fine, valid=False), "lost>0")) == 99
    assert exit_code(replace(judge(fine, "lost>0"), interrupted=True)) == 130


@settings(deadline=None)
@given(
    limit_ms=st.floats(6, 900),
    first_ms=st.integers(20, 1_000),
)
def test_a_climb_ends_between_what_held_and_what_broke(limit_ms: float, first_ms: int) -> None:
    """A broker that holds any interval above a limit: it is found from both sides, to a few per cent."""
    tried: list[Tried] = []
    while (interval := next_interval(tried, first_ms, 5)) is not None:
        tried.append(Tried(interval, interval >= limit_ms))
    assert 1 <= len(tried) <= STEPS_MAX
    held = [each.interval_ms for each in tried if each.held]
    broken = [each.interval_ms for each in tried if not each.held]
    if not held:
        assert len(tried) == 1, "the first step broke, and there is nothing below it"
        return
    assert broken, "the limit is above the shortest interval"
    assert max(broken) < min(held)
    assert min(held) / max(broken) < GROWTH**0.5 + 0.2
    before_break = tried[: tried.index(Tried(broken[0], False))]
    assert all(a.interval_ms > b.interval_ms for a, b in pairwise(before_break))


async def test_a_ramp_says_which_step_held() -> None:
    """A broker on paper holds 250 messages a second; above that the tail is a second long."""

    async def make(plan: Plan) -> Result:
        rate_s = plan.rate_s
        result = result_of()
        messages = replace(result.messages, offered_per_s=rate_s, achieved_per_s=rate_s, lost=0)
        tail = latency(1_000_000 if rate_s > 250 else 2_000)
        return replace(result, messages=messages, acknowledge=tail, end_to_end=tail)

    shown: list[Step] = []
    thresholds = [read_fail_if("ack_p99_ms>500", metric_names())]
    result = await climb(Plan(count=100, interval_ms=1_000), thresholds, make, shown.append)
    assert tuple(shown) == result.steps
    rates = [step.offered_per_s for step in result.steps if step.held]
    assert 224 < max(rates) <= 250
    assert result.messages.offered_per_s == max(rates)
    assert result.verdict.startswith(f"It held {max(rates):,.0f}/s and broke at ")
    assert "ack_p99_ms>500" in result.verdict


async def test_a_ramp_that_the_generator_ended_says_so() -> None:
    async def make(plan: Plan) -> Result:
        valid = plan.rate_s < 200
        result = result_of(valid=valid, not_valid_because=() if valid else ("late",))
        return replace(result, messages=replace(result.messages, offered_per_s=plan.rate_s))

    result = await climb(Plan(count=100, interval_ms=1_000), [], make, lambda _: None)
    assert "the generator was the limit and not the broker (late)" in result.verdict


async def test_an_interrupted_ramp_keeps_what_it_has() -> None:
    async def make(plan: Plan) -> Result:
        return result_of(interrupted=plan.interval_ms < 1_000)

    result = await climb(Plan(count=100, interval_ms=1_000), [], make, lambda _: None)
    assert result.interrupted
    assert len(result.steps) == 1


def test_no_step_at_all_is_told() -> None:
    assert verdict([]) == "No step was made to its end."

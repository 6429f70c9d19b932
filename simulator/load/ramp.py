"""A ramp: step by step up to the rate at which a threshold breaks, then in between.

Each step is a whole load of its own with the same sessions and a shorter interval. The climb knows
nothing of brokers: it is told of each step whether it held, and says which comes next.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from simulator.load.plan import INTERVAL_MS_MIN, RATE_MAX, Plan
from simulator.load.result import Result, Step
from simulator.load.verdict import FailIf, judged

GROWTH = 1.5
STEPS_MAX = 16
# Halvings between the last step that held and the first that did not.
HALVINGS = 2
# What breaks a step where nobody says it: half a second is what an alert may take here. [A]
DEFAULTS_QOS_1 = ("ack_p99_ms>500", "achieved_percent<99", "lost>0", "unsent>0")
DEFAULTS_QOS_0 = ("e2e_p99_ms>500", "achieved_percent<99", "lost>0", "unsent>0")


class Tried(Struct, frozen=True):
    """A step that was made: its interval, and whether it held."""

    interval_ms: int
    held: bool


def next_interval(tried: Sequence[Tried], first_ms: int, shortest_ms: int) -> int | None:
    """The interval of the next step; None when the limit is found or there is nothing left."""
    if not tried:
        return first_ms
    if len(tried) >= STEPS_MAX:
        return None
    held = [each.interval_ms for each in tried if each.held]
    broken = [each.interval_ms for each in tried if not each.held]
    if not broken:
        shorter = max(shortest_ms, min(round(min(held) / GROWTH), min(held) - 1))
        return shorter if shorter < min(held) else None
    if not held:
        return None
    first_broken = next(number for number, each in enumerate(tried) if not each.held)
    if len(tried) - first_broken > HALVINGS:
        return None
    # Half-way in rate, which is the inverse of the interval.
    low, high = min(held), max(broken)
    middle = round(2 / (1 / low + 1 / high))
    return middle if high < middle < low else None


def shortest_interval_ms(plan: Plan) -> int:
    """The shortest interval within our limits."""
    return max(INTERVAL_MS_MIN, -(-plan.count * 1_000 // RATE_MAX))


async def climb(
    plan: Plan,
    thresholds: Sequence[FailIf],
    make: Callable[[Plan], Coroutine[Any, Any, Result]],
    shown: Callable[[Step], object],
) -> Result:
    """Make steps until the limit is found; the result of the last that held, with all steps.

    Raises what `make` raises.
    """
    tried: list[Tried] = []
    steps: list[Step] = []
    best: Result | None = None
    shortest_ms = shortest_interval_ms(plan)
    while True:
        interval_ms = next_interval(tried, plan.interval_ms, shortest_ms)
        if interval_ms is None:
            break
        step_plan = replace(plan, interval_ms=interval_ms)
        result = judged(await make(step_plan), thresholds)
        if not result.valid and not result.interrupted:
            # A busy moment of this machine should not end the climb.
            result = judged(await make(step_plan), thresholds)
        step = step_of(result)
        if not result.interrupted:
            tried.append(Tried(interval_ms, step.held))
            steps.append(step)
            shown(step)
        if best is None or (step.held and step.offered_per_s > best.messages.offered_per_s):
            best = result
        if result.interrupted:
            best = replace(best, interrupted=True)
            break
    assert best is not None, "the first step is always made"
    return replace(best, steps=tuple(steps), verdict=verdict(steps))


def step_of(result: Result) -> Step:
    """A whole load as a step."""
    missed = [
        f"{threshold.text} ({threshold.value if threshold.value is not None else 'not measured'})"
        for threshold in result.thresholds
        if not threshold.kept
    ]
    return Step(
        offered_per_s=result.messages.offered_per_s,
        achieved_per_s=result.messages.achieved_per_s,
        end_to_end_p99_ms=result.end_to_end.p99_ms,
        lost=result.messages.lost,
        held=not missed and result.valid,
        valid=result.valid,
        because=(*result.not_valid_because, *missed),
    )


def verdict(steps: Sequence[Step]) -> str:
    """What the steps say, in one sentence."""
    held = [step for step in steps if step.held]
    broken = [step for step in steps if not step.held]
    if not steps:
        return "No step was made to its end."
    best = max(held, key=lambda step: step.offered_per_s, default=None)
    what = f"It held {best.offered_per_s:,.0f}/s" if best is not None else "No step held"
    if not broken:
        return f"{what}, the most that was tried; begin with more pumps or a shorter interval."
    worst = min(broken, key=lambda step: step.offered_per_s)
    reason = "; ".join(worst.because)
    if not worst.valid:
        return (
            f"{what}; at {worst.offered_per_s:,.0f}/s the generator was the limit and not the "
            f"broker ({reason})."
        )
    return f"{what} and broke at {worst.offered_per_s:,.0f}/s: {reason}."

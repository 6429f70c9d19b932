"""Over- and under-delivery of pumps whose counter moves in strokes, and the free flow they show."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion.account import Interval
from infusion.excess import Excess
from infusion.prescription import Start
from tests.infusion.bench import CONCENTRATION, RATE_ML_H, T0, begin, clock, feed, told

STROKE_NL = 50_000


def says(
    factor: float, until: str, rate_ml_h: float = RATE_ML_H, step_nl: int = STROKE_NL
) -> list[str]:
    """What is said of the flow of a pump that counts `factor` times the order, from 00:05 on.

    Its bag is large enough for any rate; whether the rate is a sensible one is not asked here.
    """
    start = Start(at_ms=T0, rate_iu_h=rate_ml_h * CONCENTRATION)
    state = {"rate_ml_h": rate_ml_h, "reservoir_ml": 9_000.0, "vtbi_ml": 0.0}
    paper = begin(start, step_nl=step_nl, flow_ml_h=rate_ml_h, state=state).run("00:05")
    paper.flow_ml_h = factor * rate_ml_h
    lines = told(feed(paper.run(until).stream)[1])
    return [line for line in lines if "outside-limits" not in line]


@pytest.mark.parametrize("rate_ml_h", [0.5, 2.0, 7.3, RATE_ML_H, 100.0])
@pytest.mark.parametrize("factor", [0.92, 1.0, 1.08])
def test_strokes_of_a_sound_pump_say_nothing(factor: float, rate_ml_h: float) -> None:
    """A stroke every few seconds or every six minutes is neither over- nor under-delivery."""
    assert says(factor, "06:00", rate_ml_h) == []


@pytest.mark.parametrize(
    ("factor", "rule"), [(1.25, "over-delivery medium"), (0.75, "under-delivery medium")]
)
def test_strokes_hide_no_wrong_flow(factor: float, rule: str) -> None:
    """The fifteen minutes are right to within a few strokes, each 13 seconds at 14.4 mL/h."""
    (line,) = says(factor, "00:30")
    at, what = line.split(" ", maxsplit=1)
    assert what == f"raised {rule}"
    assert abs(clock(at) - clock("00:20")) <= 60_000


def test_a_slow_pump_is_found_when_its_strokes_prove_it() -> None:
    """At 1 mL/h a quarter too much is one stroke more in twenty minutes: found soon after them."""
    (line,) = says(1.25, "02:00", rate_ml_h=1.0)
    assert clock("00:20") < clock(line.split(" ", maxsplit=1)[0]) <= clock("00:50")


def test_two_messages_around_one_stroke_are_no_free_flow() -> None:
    """A change of state is told at once, so two samples may lie a second apart."""
    paper = begin(step_nl=STROKE_NL).run("00:10")
    for _ in range(3):
        paper.now_ms += 1_000
        paper.volume_nl += STROKE_NL // 3
        paper.send()
    assert told(feed(paper.run("00:12").stream)[1]) == []


@settings(max_examples=60, deadline=None)
@given(gains=st.lists(st.floats(-2, 2), min_size=1, max_size=60))
def test_without_steps_any_fall_begins_anew(gains: list[float]) -> None:
    """For an even counter: a verdict stands exactly since the last sample that was not over."""
    excess = Excess()
    excess.begin(0)
    for number, gain in enumerate(gains):
        excess.add(Interval(number, number + 1, gain, 0, 1), 0.0, gain, 0.0)
    falls = [number + 1 for number, gain in enumerate(gains) if gain <= 0]
    assert excess.since_ms == max(falls, default=0)
    assert (excess.total_iu > 0) == (gains[-1] > 0)


@settings(max_examples=60, deadline=None)
@given(
    excess_share=st.floats(0.02, 0.5),
    strokes=st.integers(2, 40),
    phase=st.floats(0, 1, exclude_max=True),
)
def test_strokes_never_break_a_true_excess(excess_share: float, strokes: int, phase: float) -> None:
    """With a flow that is truly over at every moment, the sum never begins anew after a stroke."""
    step, per_sample = 1.0, 0.37
    excess, shown, exact = Excess(), 0.0, phase
    excess.begin(0)
    begun = 0
    for number in range(round(strokes / per_sample)):
        exact += per_sample * (1 + excess_share)
        gain = float(int(exact)) - shown
        shown += gain
        excess.add(Interval(number, number + 1, gain, 0, 1), per_sample, gain - per_sample, step)
        begun = max(begun, excess.since_ms)
    # Only the first strokes can still be told from a new low.
    assert begun <= 2 / per_sample + 2

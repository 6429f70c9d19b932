"""Tests of the prescription: the expected dose against an integration written apart from the code."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from infusion.errors import MessageError
from infusion.prescription import (
    Bolus,
    Hold,
    Prescription,
    RateChange,
    Start,
    Step,
    Stop,
    Timeline,
    compile_timeline,
)
from infusion.units import MS_PER_HOUR
from tests.infusion.bench import CONCENTRATION, PUMP, T0, WEIGHT_KG

HOUR = MS_PER_HOUR
MINUTE = 60_000


@dataclass
class Oracle:
    """The rate function of an order, by asking every step at every instant."""

    prescription: Prescription

    def base_iu_h(self, at_ms: int) -> float:
        """The continuous rate: what the last start, rate or stop says, unless some hold is on."""
        rate = 0.0
        for step in sorted(self.prescription.steps, key=lambda step: step.at_ms):
            if step.at_ms > at_ms:
                break
            match step:
                case Start() | RateChange():
                    rate = step.rate_iu_h or (step.rate_iu_kg_h or 0.0) * WEIGHT_KG
                case Stop():
                    rate = 0.0
        for step in self.prescription.steps:
            if isinstance(step, Hold) and step.at_ms <= at_ms < step.until_ms:
                return 0.0
        return rate

    def rate_iu_h(self, at_ms: int) -> float:
        rate = self.base_iu_h(at_ms)
        for step in self.prescription.steps:
            if isinstance(step, Bolus):
                length_ms = max(1, round(step.duration_s * 1000))
                if step.at_ms <= at_ms < step.at_ms + length_ms:
                    rate += step.dose_iu / (length_ms / HOUR)
        return rate

    def dose_iu(self, from_ms: int, to_ms: int) -> float:
        """The sum over all stretches between two instants at which anything may change."""
        edges = {from_ms, to_ms}
        for step in self.prescription.steps:
            edges.add(step.at_ms)
            if isinstance(step, Hold):
                edges.add(step.until_ms)
            if isinstance(step, Bolus):
                edges.add(step.at_ms + max(1, round(step.duration_s * 1000)))
        inner = sorted(edge for edge in edges if from_ms <= edge <= to_ms)
        return sum(self.rate_iu_h(begin) * (end - begin) / HOUR for begin, end in pairwise(inner))


instants = st.integers(0, 48 * HOUR).map(lambda ms: T0 + ms)
rates = st.one_of(
    st.floats(0, 100, allow_nan=False).map(lambda rate: {"rate_iu_kg_h": rate}),
    st.floats(0, 5_000, allow_nan=False).map(lambda rate: {"rate_iu_h": rate}),
)


@st.composite
def prescriptions(draw: st.DrawFn) -> Prescription:
    """Orders that make sense: a start first; rates only while running; anything over anything."""
    steps: list[Step] = [Start(at_ms=T0, **draw(rates))]
    is_stopped = False
    for at_ms in sorted(draw(st.lists(instants, max_size=12))):
        kind = draw(st.sampled_from(["rate", "hold", "bolus", "stop", "start"]))
        if kind == "start" or (kind == "rate" and is_stopped):
            steps.append(Start(at_ms=at_ms, **draw(rates)))
            is_stopped = False
        elif kind == "rate":
            steps.append(RateChange(at_ms=at_ms, **draw(rates)))
        elif kind == "hold":
            steps.append(Hold(at_ms=at_ms, until_ms=at_ms + draw(st.integers(1, 8 * HOUR))))
        elif kind == "bolus":
            dose = draw(st.floats(0.1, 10_000, allow_nan=False))
            duration_s = draw(st.floats(0.001, 7_200, allow_nan=False))
            steps.append(Bolus(at_ms=at_ms, dose_iu=dose, duration_s=duration_s))
        else:
            steps.append(Stop(at_ms=at_ms))
            is_stopped = True
    return make(*steps)


def make(*steps: Step) -> Prescription:
    return Prescription(
        therapy="T-01",
        version=1,
        pump=PUMP,
        weight_kg=WEIGHT_KG,
        concentration_iu_ml=CONCENTRATION,
        steps=steps,
    )


spans = st.tuples(
    st.integers(T0 - HOUR, T0 + 60 * HOUR), st.integers(T0 - HOUR, T0 + 60 * HOUR)
).map(lambda pair: (min(pair), max(pair)))


@settings(max_examples=150, deadline=None)
@given(prescriptions(), spans)
def test_dose_equals_independent_integration(order: Prescription, span: tuple[int, int]) -> None:
    """The expected dose of any interval is the integral of the ordered rate."""
    expected = Oracle(order).dose_iu(*span)
    assert compile_timeline(order).dose_iu(*span) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(prescriptions(), st.lists(instants, min_size=1, max_size=8))
def test_rates_equal_the_oracle(order: Prescription, times: list[int]) -> None:
    """At every instant, and at the edges of every step, the rates are those of the order."""
    timeline, oracle = compile_timeline(order), Oracle(order)
    for at_ms in (*times, *(step.at_ms for step in order.steps)):
        assert timeline.base_rate_iu_h(at_ms) == pytest.approx(oracle.base_iu_h(at_ms))
        assert timeline.rate_iu_h(at_ms) == pytest.approx(oracle.rate_iu_h(at_ms))


@settings(max_examples=100, deadline=None)
@given(prescriptions(), st.lists(instants, min_size=3, max_size=3))
def test_doses_add_up(order: Prescription, times: list[int]) -> None:
    """dose(a, b) + dose(b, c) = dose(a, c)."""
    a, b, c = sorted(times)
    timeline = compile_timeline(order)
    whole = timeline.dose_iu(a, c)
    assert timeline.dose_iu(a, b) + timeline.dose_iu(b, c) == pytest.approx(whole, abs=1e-6)


def moved(step: Step, by_ms: int) -> Step:
    match step:
        case Start() | RateChange():
            return type(step)(
                at_ms=step.at_ms + by_ms,
                rate_iu_kg_h=step.rate_iu_kg_h,
                rate_iu_h=step.rate_iu_h,
            )
        case Hold():
            return Hold(at_ms=step.at_ms + by_ms, until_ms=step.until_ms + by_ms)
        case Bolus():
            return Bolus(at_ms=step.at_ms + by_ms, dose_iu=step.dose_iu, duration_s=step.duration_s)
        case Stop():
            return Stop(at_ms=step.at_ms + by_ms)


@settings(max_examples=100, deadline=None)
@given(prescriptions(), spans, st.integers(-1_000, 1_000))
def test_shift_of_time_changes_nothing(
    order: Prescription, span: tuple[int, int], days: int
) -> None:
    """The same order some days earlier or later gives the same doses, exactly."""
    by_ms = days * 24 * HOUR
    shifted = make(*(moved(step, by_ms) for step in order.steps))
    before, after = compile_timeline(order), compile_timeline(shifted)
    assert after.dose_iu(span[0] + by_ms, span[1] + by_ms) == before.dose_iu(*span)
    assert [at - by_ms for at in after.times_ms] == list(before.times_ms)


def test_order_of_steps_in_the_list_does_not_matter() -> None:
    """Steps at different instants may stand in any order."""
    steps: list[Step] = [
        Start(at_ms=T0, rate_iu_h=1_000),
        Hold(at_ms=T0 + HOUR, until_ms=T0 + 2 * HOUR),
        RateChange(at_ms=T0 + 3 * HOUR, rate_iu_h=1_200),
    ]
    assert compile_timeline(make(*steps)) == compile_timeline(make(*reversed(steps)))


def test_hold_bolus_and_restart_by_hand() -> None:
    """A worked example: what a pharmacist would write on paper."""
    timeline = compile_timeline(
        make(
            Start(at_ms=T0, rate_iu_kg_h=18.0),
            Bolus(at_ms=T0, dose_iu=6_400, duration_s=600),
            Hold(at_ms=T0 + 2 * HOUR, until_ms=T0 + 3 * HOUR),
            RateChange(at_ms=T0 + 2 * HOUR + 30 * MINUTE, rate_iu_kg_h=15.0),
            Stop(at_ms=T0 + 5 * HOUR),
        )
    )
    # 18 × 80 = 1 440 IU/h for 2 h, a bolus, 1 h of hold, 15 × 80 = 1 200 IU/h for 2 h.
    assert timeline.dose_until_iu(T0 + 6 * HOUR) == pytest.approx(2_880 + 6_400 + 2_400)
    assert timeline.dose_iu(T0 + 2 * HOUR, T0 + 3 * HOUR) == 0
    assert timeline.dose_until_iu(T0) == 0
    assert timeline.base_rate_iu_h(T0 + 2 * HOUR + 45 * MINUTE) == 0
    assert timeline.running_since_ms(T0 + 4 * HOUR) == T0 + 3 * HOUR
    assert timeline.running_since_ms(T0 + HOUR) == T0
    assert timeline.running_since_ms(T0 + 2 * HOUR) is None
    assert timeline.running_since_ms(T0 - 1) is None


def test_rates_between_two_instants() -> None:
    """The rates in force between two instants: both ends count, and before the start there is none."""
    timeline = compile_timeline(
        make(Start(at_ms=T0, rate_iu_h=1_000), RateChange(at_ms=T0 + HOUR, rate_iu_h=1_200))
    )
    assert timeline.base_rates_iu_h(T0 + 1, T0 + HOUR - 1) == (1_000,)
    assert timeline.base_rates_iu_h(T0 + 1, T0 + HOUR) == (1_000, 1_200)
    assert timeline.base_rates_iu_h(T0 + HOUR, T0 + 2 * HOUR) == (1_200,)
    assert timeline.base_rates_iu_h(T0 - HOUR, T0 - 1) == ()


def refusal(*steps: Step) -> str:
    with pytest.raises(MessageError) as caught:
        compile_timeline(make(*steps))
    assert caught.value.kind == "order"
    assert caught.value.pump == PUMP
    return str(caught.value)


START = Start(at_ms=T0, rate_iu_h=1_000)


def test_steps_that_make_no_sense_are_named() -> None:
    """A refused order says which step is wrong and what to do."""
    late = T0 + HOUR
    assert refusal(RateChange(at_ms=T0, rate_iu_h=1)) == snapshot(
        "order T-01 version 1, step 1: comes before any start; begin with a start"
    )
    assert refusal(Stop(at_ms=T0), START) == snapshot(
        "order T-01 version 1, step 1: comes before any start; begin with a start"
    )
    assert refusal(START, Hold(at_ms=late, until_ms=late)) == snapshot(
        "order T-01 version 1, step 2: ends before it begins; until_ms > at_ms"
    )
    assert refusal(START, RateChange(at_ms=late)) == snapshot(
        "order T-01 version 1, step 2: needs exactly one of rate_iu_kg_h and rate_iu_h"
    )
    assert refusal(Start(at_ms=T0, rate_iu_h=1, rate_iu_kg_h=1)) == snapshot(
        "order T-01 version 1, step 1: needs exactly one of rate_iu_kg_h and rate_iu_h"
    )
    assert refusal(START, Stop(at_ms=late), RateChange(at_ms=late + 1, rate_iu_h=1)) == snapshot(
        "order T-01 version 1, step 3: comes after a stop; begin again with a start"
    )


def test_bolus_may_come_before_the_start() -> None:
    """A loading dose is often given before the continuous infusion."""
    timeline = compile_timeline(make(Bolus(at_ms=T0 - MINUTE, dose_iu=5_000, duration_s=30), START))
    assert timeline.dose_until_iu(T0) == pytest.approx(5_000)
    assert timeline.base_rate_iu_h(T0 - MINUTE) == 0


def test_equal_neighbours_are_one_piece() -> None:
    """A change that changes nothing leaves no trace in the timeline."""
    timeline = compile_timeline(make(START, RateChange(at_ms=T0 + HOUR, rate_iu_h=1_000)))
    assert timeline == Timeline((T0,), (1_000.0,), (1_000.0,), (0.0,))

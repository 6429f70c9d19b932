"""What holds of the pressure watch whatever comes: no healthy line rises in it, each closed one does."""

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from infusion.pressure import (
    FIRST_CEILING_MMHG,
    HEIGHT_MMHG,
    STIFFEST_ML_MMHG,
    PressureWatch,
    follow,
    rise,
    rise_mmhg_s,
    risen_ms,
    shift,
)
from infusion.units import MS_PER_SECOND
from tests.infusion.bench import T0
from tests.infusion.lines import INTERVALS_S, Line, lines, rises, watched

MMHG_PER_CM = 10 / 13.595
CODEC = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(PressureWatch)


# --- lines ----------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(
    line=lines((0.0, 0.01, 0.02, 0.05)),
    interval_s=st.sampled_from(INTERVALS_S),
    is_told=st.booleans(),
)
def test_no_healthy_staircase_is_a_rise(line: Line, interval_s: int, is_told: bool) -> None:
    """Any strokes, at any phase and interval: told by the pump, or seen within ten minutes."""
    assume(is_told or line.is_seen(interval_s))
    watch = watched(line.rate_ml_h)
    stroke_ml = 1.1 * line.stroke_ml if is_told else 0.0
    assert rises(watch, 2 * 3_600, interval_s, line.at, stroke_ml=stroke_ml) is None
    assert is_told or watch.narrow_since_ms is None


@settings(max_examples=120, deadline=None)
@given(
    line=lines((0.0, 0.01, 0.02, 0.05)),
    interval_s=st.sampled_from(INTERVALS_S),
    at_s=st.floats(700, 3_000),
    height_cm=st.floats(-100, 100),
)
def test_a_step_in_height_is_no_rise(
    line: Line, interval_s: int, at_s: float, height_cm: float
) -> None:
    """A pump that is put up to a metre lower or higher: one step, and strokes go on above it."""
    step_mmhg = height_cm * MMHG_PER_CM

    def pressure(second: float) -> float:
        return line.at(second) + (step_mmhg if second >= at_s else 0.0)

    watch = watched(line.rate_ml_h)
    until_s, stroke_ml = at_s + 1_800, 1.1 * line.stroke_ml
    assert rises(watch, until_s, interval_s, pressure, stroke_ml=stroke_ml) is None


@settings(max_examples=60, deadline=None)
@given(drift=st.floats(-0.02, 0.02), phase=st.floats(0, 1, exclude_max=True))
def test_strokes_that_keep_step_with_the_samples_are_no_rise(drift: float, phase: float) -> None:
    """18 mL/h of 0.05 mL strokes are one in ten seconds, give or take the error of the pump.

    Samples ten seconds apart then climb a stroke as slowly as a line closes.
    """
    line = Line(18.0 * (1 + drift), 0.05, 0.0004, 2.9, 10.0, phase)
    watch = watched(18.0)
    assert rises(watch, 4 * 3_600, 10, line.at, stroke_ml=0.055) is None


@settings(max_examples=120, deadline=None)
@given(
    line=lines((0.0, 0.02, 0.05)),
    interval_s=st.sampled_from((1, 2, 5, 10)),
    closed_s=st.floats(700, 4_000),
)
def test_a_closed_line_is_seen_soon(line: Line, interval_s: int, closed_s: float) -> None:
    """dP/dt = r/C: a rise soon after the pressure passes all strokes, heights and margins.

    By three minutes then, or as long as a pump with rare strokes needs to make four of them.
    """
    slope_mmhg_s = line.rate_ml_h / 3_600 / line.compliance_ml_mmhg
    # Where it is faster the pump's own alarm comes first; where slower, a narrow line is seen.
    assume(0.2 <= slope_mmhg_s <= 20)

    def pressure(second: float) -> float:
        return line.at(second) if second <= closed_s else line.closed_at(second, closed_s)

    watch, stroke_ml = watched(line.rate_ml_h), 1.1 * line.stroke_ml
    line_mmhg = max(FIRST_CEILING_MMHG, 25.0 + stroke_ml / STIFFEST_ML_MMHG) + HEIGHT_MMHG
    until_s = closed_s + line_mmhg / slope_mmhg_s + max(240.0, 5.5 * line.period_s)
    seen_s = rises(watch, until_s, interval_s, pressure, stroke_ml=stroke_ml)
    assert seen_s is not None
    assert seen_s > closed_s


@pytest.mark.parametrize("phase", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("rate_ml_h", [1.0, 1.97, 2.03, 3.0, 12.0])
def test_a_closed_line_of_rare_strokes_is_seen_before_the_pump_alarms(
    rate_ml_h: float, phase: float
) -> None:
    """At 2 mL/h a stroke comes each 90 seconds, and the pump alarms 610 mmHg later or more."""
    line = Line(rate_ml_h, 0.05, 0.0004, 2.9, 10.0, phase)
    watch = watched(rate_ml_h)
    alarm_s = 0.0004 * 610 / rate_ml_h * 3_600

    def pressure(second: float) -> float:
        return line.at(second) if second <= 5_000 else line.closed_at(second, 5_000)

    seen_s = rises(watch, 5_000 + alarm_s, 10, pressure, stroke_ml=0.055)
    assert seen_s is not None
    assert 5_000 < seen_s < 5_000 + alarm_s
    assert T0 + 5_000_000 - 100_000 <= risen_ms(watch) <= T0 + (5_000 + alarm_s) * 1_000
    assert rise_mmhg_s(watch) == pytest.approx(rate_ml_h / 3_600 / 0.0004, rel=0.6)


# --- metamorphic ----------------------------------------------------------------------------------

courses = st.lists(st.floats(0.0, 600.0), min_size=5, max_size=200)


def outcome(watch: PressureWatch) -> tuple[bool, float | None, float]:
    return bool(rise(watch)), watch.floor, watch.ceiling


@settings(max_examples=80, deadline=None)
@given(
    pressures=courses,
    interval_s=st.sampled_from(INTERVALS_S),
    delta_ms=st.integers(-(10**12), 10**12),
    cut=st.floats(0, 1),
)
def test_a_clock_that_is_set_changes_nothing(
    pressures: list[float], interval_s: int, delta_ms: int, cut: float
) -> None:
    """The same samples on a clock that is set in the middle: the same rises, floors, ceilings."""
    plain, moved = watched(), watched()
    at_cut = round(cut * len(pressures))
    for number, pressure in enumerate(pressures):
        at_ms = T0 + number * interval_s * MS_PER_SECOND
        if number == at_cut:
            shift(moved, delta_ms)
        follow(plain, at_ms, pressure)
        follow(moved, at_ms + (delta_ms if number >= at_cut else 0), pressure)
        assert outcome(moved) == outcome(plain)
    if at_cut < len(pressures):
        shift(plain, delta_ms)
        assert moved == plain


@settings(max_examples=80, deadline=None)
@given(pressures=courses, interval_s=st.sampled_from(INTERVALS_S), cut=st.floats(0, 1))
def test_a_watch_that_was_stored_goes_on_as_it_was(
    pressures: list[float], interval_s: int, cut: float
) -> None:
    """Encoded and decoded in the middle: nothing is lost."""
    plain, stored = watched(), watched()
    for number, pressure in enumerate(pressures):
        if number == round(cut * len(pressures)):
            encoder, decoder = CODEC
            stored = decoder.decode(encoder.encode(stored))
        at_ms = T0 + number * interval_s * MS_PER_SECOND
        assert follow(stored, at_ms, pressure) == follow(plain, at_ms, pressure)
        assert outcome(stored) == outcome(plain)
    assert stored == plain

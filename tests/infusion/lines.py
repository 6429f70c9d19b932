"""Lines on paper: the pressure that strokes make of them, healthy and closed."""

import math
from collections.abc import Callable

import msgspec
from hypothesis import assume
from hypothesis import strategies as st

from infusion.pressure import (
    FIRST_CEILING_MMHG,
    FIRST_CEILING_MS,
    LEARN_MS,
    PressureWatch,
    begin,
    follow,
    rise,
)
from infusion.units import MS_PER_SECOND
from tests.infusion.bench import T0

INTERVALS_S = (1, 2, 5, 10, 15, 30, 60)


class Line(msgspec.Struct, frozen=True):
    """A healthy line: strokes into a compliance that lets them go, over the pressure of a vein.

    Pressure jumps by `stroke_ml / compliance` and decays with `decay_s`, the product of compliance
    and resistance (pump-standards §3.1). Without a stroke it is what the flow makes of it.
    """

    rate_ml_h: float
    stroke_ml: float
    compliance_ml_mmhg: float
    decay_s: float
    vein_mmhg: float
    phase: float

    @property
    def period_s(self) -> float:
        return self.stroke_ml * 3_600 / self.rate_ml_h

    @property
    def jump_mmhg(self) -> float:
        return self.stroke_ml / self.compliance_ml_mmhg

    @property
    def peak_mmhg(self) -> float:
        return self.at(self.period_s * (1 - self.phase)) if self.stroke_ml else self.at(0)

    def at(self, second: float) -> float:
        """The pressure at a time."""
        if not self.stroke_ml:
            flow = self.rate_ml_h / 3_600 / self.compliance_ml_mmhg * self.decay_s
            return self.vein_mmhg + flow
        since = (second + self.phase * self.period_s) % self.period_s
        settled = 1 - math.exp(-self.period_s / self.decay_s)
        return self.vein_mmhg + self.jump_mmhg * math.exp(-since / self.decay_s) / settled

    def closed_at(self, second: float, closed_s: float) -> float:
        """The pressure after it was closed: every millilitre stays in it."""
        if not self.stroke_ml:
            gained_ml = self.rate_ml_h * (second - closed_s) / 3_600
            return self.at(closed_s) + gained_ml / self.compliance_ml_mmhg
        first = closed_s / self.period_s + self.phase
        strokes = math.floor(second / self.period_s + self.phase) - math.floor(first)
        return self.at(closed_s) + strokes * self.jump_mmhg

    def is_seen(self, interval_s: float) -> bool:
        """Whether samples at this interval see the top of a stroke before the first ceiling."""
        first, last = LEARN_MS // MS_PER_SECOND, FIRST_CEILING_MS // MS_PER_SECOND
        seen = [self.at(second) for second in every(interval_s, last) if second >= first]
        return max(seen) >= self.vein_mmhg + 0.9 * (self.peak_mmhg - self.vein_mmhg)


def every(interval_s: float, until_s: float) -> list[float]:
    return [number * interval_s for number in range(1, math.floor(until_s / interval_s) + 1)]


@st.composite
def lines(draw: st.DrawFn, stroke_ml: tuple[float, ...] = (0.01, 0.02, 0.05)) -> Line:
    """Lines of pump-standards §3.2, up to the highest pressure that is assumed to be healthy."""
    line = Line(
        rate_ml_h=math.exp(draw(st.floats(0.0, math.log(60.0)))),
        stroke_ml=draw(st.sampled_from(stroke_ml)),
        compliance_ml_mmhg=draw(st.sampled_from((0.0004, 0.0005, 0.001, 0.002))),
        decay_s=draw(st.sampled_from((0.1, 1.0, 2.9, 5.0, 10.0, 15.0))),
        vein_mmhg=draw(st.floats(0.0, 25.0)),
        phase=draw(st.floats(0.0, 1.0, exclude_max=True)),
    )
    assume(line.peak_mmhg <= FIRST_CEILING_MMHG)
    return line


def watched(rate_ml_h: float = 12.0) -> PressureWatch:
    watch = PressureWatch()
    begin(watch, T0, rate_ml_h)
    return watch


def rises(
    watch: PressureWatch,
    until_s: float,
    interval_s: float,
    pressure: Callable[[float], float],
    *,
    stroke_ml: float = 0.0,
) -> float | None:
    """The second at which a rise is first seen; all samples up to the end are followed."""
    first = None
    for second in every(interval_s, until_s):
        follow(watch, T0 + round(second * MS_PER_SECOND), pressure(second), stroke_ml)
        if first is None and bool(rise(watch)):
            first = second
    return first


def sound(watch: PressureWatch, pressure_mmhg: float = 40.0) -> None:
    """A quarter of an hour in which nothing is wrong."""
    assert rises(watch, 900, 10, lambda second: pressure_mmhg) is None

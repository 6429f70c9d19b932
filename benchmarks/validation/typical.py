"""One typical patient: what its level does, and the tables printed in the notes."""

import math
from collections.abc import Callable

from msgspec import Struct

from infusion import heparin
from infusion.heparin import CLINICAL, Parameters

WEIGHT_KG = 70.0
STEP_H = 1.0 / 120.0

# heparin.md §5.5, as printed.
RATES = (6.0, 10.0, 12.0, 13.5, 15.0, 18.0, 20.0, 22.0, 25.0, 30.0)
STEADY = (0.1709, 0.2971, 0.3643, 0.4166, 0.4707, 0.5843, 0.6643, 0.7480, 0.8808, 1.1234)
APTT = (37.6, 44.4, 48.5, 52.0, 55.8, 64.9, 72.1, 80.5, 95.9, 132.2)
T90 = (3.06, 3.28, 3.40, 3.49, 3.59, 3.79, 3.93, 4.08, 4.33, 4.78)
BOLUSES = (25.0, 50.0, 75.0, 100.0, 200.0, 400.0)
HALF_LIVES = (57.5, 64.5, 71.4, 78.0, 102.2, 142.5)
# heparin.md §4.1.
RATE_ERRORS = (-25, -20, -10, -6, 6, 10, 20, 25, 50, 100)
STEADY_WITH_ERROR = (0.417, 0.449, 0.515, 0.543, 0.627, 0.656, 0.731, 0.770, 0.975, 1.454)
OUTAGES_MIN = (15.0, 30.0, 60.0, 90.0, 120.0, 240.0)
AT_END = (0.491, 0.411, 0.284, 0.194, 0.131, 0.026)
BELOW_H = (0.0, 0.0, 0.16, 1.08, 1.81, 4.12)
RESTORED_H = (2.0, 3.1, 4.0, 4.4, 4.6, 4.9)
STRAY = ((500.0, 0.743, 0.58), (1000.0, 0.902, 1.88), (2000.0, 1.219, 3.25), (5000.0, 2.172, 5.31))


class Course(Struct, frozen=True):
    """A level, in IU/mL, that begins somewhere and follows a rate, in IU/kg/h, of the hour."""

    words: str
    begin: float
    rate: Callable[[float], float]
    printed: tuple[tuple[float, float], ...]


def steady(rate_iu_kg_h: float, typical: Parameters = CLINICAL) -> float:
    """The level that a rate holds."""
    return float(
        heparin.steady_state_iu_ml(
            rate_iu_kg_h, typical.clearance_ml_h_kg, typical.vmax_iu_kg_h, typical.km_iu_ml
        )
    )


def aptt(level: float) -> float:
    """The aPTT in s, above what a machine can read too."""
    baseline, slope = CLINICAL.aptt_baseline_s, CLINICAL.aptt_slope_ml_iu
    return float(heparin.aptt_s(level, baseline, slope, cap_s=math.inf))


def half_life_min(bolus_iu_kg: float, typical: Parameters = CLINICAL) -> float:
    """Minutes in which a bolus halves."""
    return float(heparin.half_life_after_bolus_h(bolus_iu_kg, *typical.ways)) * 60.0


def follow(begin: float, rate: Callable[[float], float], hours: float) -> tuple[list[float], ...]:
    """Hours and levels every half a minute."""
    times, levels = [0.0], [begin]
    for number in range(round(hours / STEP_H)):
        levels.append(
            heparin.step(levels[-1], rate((number + 0.5) * STEP_H), STEP_H, *CLINICAL.ways)
        )
        times.append((number + 1) * STEP_H)
    return times, levels


def level_at(course: Course, hours: float) -> float:
    """The level of a course after so many hours."""
    return follow(course.begin, course.rate, hours)[1][-1]


def hours_until(begin: float, rate: float, reached: Callable[[float], bool]) -> float:
    """When a level first is where it should be; infinity after two days."""
    times, levels = follow(begin, lambda _: rate, 48.0)
    return next((t for t, level in zip(times, levels, strict=True) if reached(level)), math.inf)


def peak(bolus_iu_kg: float) -> float:
    """The level right after a bolus."""
    return float(bolus_iu_kg / CLINICAL.volume_ml_kg)


COURSES = (
    Course(
        "80 IU/kg, then 18 IU/kg/h",
        peak(80.0),
        lambda _: 18.0,
        ((0, 1.778), (1, 1.344), (2, 1.051), (4, 0.747), (6, 0.638), (12, 0.586), (24, 0.584)),
    ),
    Course(
        "60 IU/kg, then 12 IU/kg/h",
        peak(60.0),
        lambda _: 12.0,
        ((1, 0.936), (2, 0.687), (4, 0.459), (6, 0.391), (12, 0.365)),
    ),
    Course(
        "18 IU/kg/h without a bolus",
        0.0,
        lambda _: 18.0,
        ((1, 0.279), (2, 0.418), (4, 0.533), (6, 0.568)),
    ),
    Course(
        "stop from 18 IU/kg/h",
        steady(18.0),
        lambda _: 0.0,
        ((0.25, 0.491), (0.5, 0.411), (1, 0.284), (2, 0.131), (4, 0.026), (6, 0.005)),
    ),
    Course(
        "tenfold for an hour, then off",
        steady(18.0),
        lambda hour: 180.0 if hour < 1.0 else 0.0,
        ((0.5, 2.20), (1, 3.586), (2, 2.349), (4, 0.773), (6, 0.182)),
    ),
)


def outage(minutes: float) -> Course:
    """No heparin for so long, from the steady state of 18 IU/kg/h, and the same rate again."""
    hours = minutes / 60.0
    return Course(f"outage of {minutes:g} min", steady(18.0), lambda t: 18.0 * (t > hours), ())

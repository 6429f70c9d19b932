"""Blood of a typical patient: steady states, courses, half-lives, what errors of delivery do."""

import math

import numpy as np
from matplotlib.figure import Figure

from benchmarks.validation.drawing import COLOURS, GREY, axes
from benchmarks.validation.rows import Picture, Row, Section, near, worst_error
from benchmarks.validation.typical import (
    APTT,
    AT_END,
    BELOW_H,
    BOLUSES,
    COURSES,
    HALF_LIVES,
    OUTAGES_MIN,
    RATE_ERRORS,
    RATES,
    RESTORED_H,
    STEADY,
    STEADY_WITH_ERROR,
    STEP_H,
    STRAY,
    T90,
    WEIGHT_KG,
    aptt,
    follow,
    half_life_min,
    hours_until,
    level_at,
    outage,
    peak,
    steady,
)
from infusion import heparin
from infusion.heparin import CLINICAL, VOLUNTEER

TABLE = "heparin.md §5.5, an independent computation"
OUTAGE = "heparin.md §4.1, an independent computation"
GUIDELINES = "guidelines, second-hand"

# --- rows ----------------------------------------------------------------------------------------


def _table_row(name: str, printed: str, error: float, source: str = TABLE) -> Row:
    return Row(
        name=name,
        published=printed,
        source=source,
        mark="C",
        ours=error,
        unit="%",
        band=(0.0, 1.0),
    )


def table_rows() -> list[Row]:
    """The tables of §5.5: the largest difference of each, which may be 1 %."""
    t90 = [hours_until(0.0, rate, (0.9 * steady(rate)).__le__) for rate in RATES]
    rows = [
        _table_row(
            "Level held by 6 to 30 IU/kg/h (10 rates), worst error",
            f"{STEADY[0]} to {STEADY[-1]} IU/mL",
            worst_error(map(steady, RATES), STEADY, 5e-5),
        ),
        _table_row(
            "aPTT at those, worst error",
            f"{APTT[0]} to {APTT[-1]} s",
            worst_error((aptt(steady(rate)) for rate in RATES), APTT, 0.05),
        ),
        _table_row(
            "Time to 90 % of them from zero, worst error",
            f"{T90[0]:.2f} to {T90[-1]:.2f} h",
            worst_error(t90, T90, 0.005 + STEP_H),
        ),
        _table_row(
            "Half-life after 25 to 400 IU/kg (6 boluses), worst error",
            f"{HALF_LIVES[0]} to {HALF_LIVES[-1]} min",
            worst_error(map(half_life_min, BOLUSES), HALF_LIVES, 0.05),
        ),
    ]
    for course in COURSES:
        ours = [level_at(course, hour) for hour, _ in course.printed]
        printed = [level for _, level in course.printed]
        first, last = course.printed[0], course.printed[-1]
        rows.append(
            _table_row(
                f"Course: {course.words}, {len(printed)} times, worst error",
                f"{first[1]:g} at {first[0]:g} h to {last[1]:g} IU/mL at {last[0]:g} h",
                worst_error(ours, printed, 0.0005),
            )
        )
    for dose, level, hours in STRAY:
        begin = steady(18.0) + peak(dose / WEIGHT_KG)
        rows.append(
            _table_row(
                f"Stray bolus of {dose:g} IU on 18 IU/kg/h: level, hours above 0.7, worst error",
                f"{level} IU/mL, {hours} h",
                max(
                    worst_error([begin], [level], 0.0005),
                    worst_error(
                        [hours_until(begin, 18.0, lambda c: c < 0.7)], [hours], 0.005 + STEP_H
                    ),
                ),
            )
        )
    return rows


def delivery_rows() -> list[Row]:
    """What an error of the rate and an outage do."""
    after = [steady(18.0 * (1.0 + share / 100.0)) for share in RATE_ERRORS]
    ends, below, restored = [], [], []
    for minutes in OUTAGES_MIN:
        times, levels = follow(steady(18.0), outage(minutes).rate, 24.0)
        end = round(minutes / 60.0 / STEP_H)
        ends.append(levels[end])
        below.append(sum(level < 0.3 for level in levels) * STEP_H)
        back = next(
            t
            for t, level in zip(times[end:], levels[end:], strict=True)
            if level >= 0.95 * steady(18.0)
        )
        restored.append(back - minutes / 60.0)
    error_h = max(abs(a - b) for a, b in zip(below, BELOW_H, strict=True))
    rows = [
        _table_row(
            "Level held with the rate wrong by −25 to +100 %, worst error",
            f"{STEADY_WITH_ERROR[0]} to {STEADY_WITH_ERROR[-1]} IU/mL",
            worst_error(after, STEADY_WITH_ERROR, 0.0005),
            OUTAGE,
        ),
        _table_row(
            "Level after outages of 15 to 240 min, worst error",
            f"{AT_END[0]} to {AT_END[-1]} IU/mL",
            worst_error(ends, AT_END, 0.0005),
            OUTAGE,
        ),
        Row(
            name="Time below 0.3 IU/mL of those outages, worst difference",
            published=f"{BELOW_H[0]:g} to {BELOW_H[-1]} h",
            source=OUTAGE,
            mark="C",
            ours=error_h,
            unit="h",
            band=(0.0, 0.02),
            digits=3,
        ),
        _table_row(
            "Time to 95 % of the steady state after them, worst error",
            f"{RESTORED_H[0]} to {RESTORED_H[-1]} h",
            worst_error(restored, RESTORED_H, 0.05 + STEP_H),
            OUTAGE,
        ),
    ]
    for rate, minutes in ((18.0, 56.0), (15.0, 37.0), (12.0, 16.0)):
        rows.append(
            Row(
                name=f"Stop from {rate:g} IU/kg/h: below 0.3 IU/mL after",
                published=f"{minutes:g} min",
                source=OUTAGE,
                mark="C",
                ours=60.0 * hours_until(steady(rate), 0.0, lambda level: level < 0.3),
                unit="min",
                band=(minutes - 1.0, minutes + 1.0),
                digits=1,
            )
        )
    return rows


def _finding(
    name: str, published: str, source: str, ours: float, band: tuple[float, float], unit: str
) -> Row:
    """A clinical finding, read in an abstract or excerpt."""
    return Row(
        name=name,
        published=published,
        source=source,
        mark="S",
        ours=ours,
        unit=unit,
        band=band,
    )


def half_life_rows() -> list[Row]:
    """V1, V2 and V3 of heparin.md §3."""
    rising = [half_life_min(dose) for dose in (25.0, 50.0, 75.0)]
    rows = [
        _finding(
            "V1: half-life of 70 IU/kg",
            "63 ± 15 min",
            "Hirsh, NEJM 1976",
            half_life_min(70.0),
            (48, 78),
            "min",
        ),
        _finding(
            "V2: half-life of 100 IU/kg",
            "60 min",
            GUIDELINES,
            half_life_min(100.0),
            (60, 80),
            "min",
        ),
        _finding(
            "V2: half-life of 400 IU/kg",
            "150 min",
            GUIDELINES,
            half_life_min(400.0),
            (130, 160),
            "min",
        ),
    ]
    for dose, minutes in ((25.0, 30.0), (100.0, 60.0), (400.0, 150.0)):
        rows.append(
            _finding(
                f"V2: half-life of {dose:g} IU/kg, parameters `volunteer`",
                f"{minutes:g} min",
                GUIDELINES,
                half_life_min(dose, VOLUNTEER),
                near(minutes, 0.05),
                "min",
            )
        )
    rows += [
        _finding(
            "V3: smallest rise of the half-life from 25 to 50 to 75 IU/kg",
            "rises with the dose",
            "Bjornsson, CPT 1982;31:104",
            min(rising[1] - rising[0], rising[2] - rising[1]),
            (0.1, math.inf),
            "min",
        ),
    ]
    return rows


def finding_rows() -> list[Row]:
    """V5, V12 and V14 of heparin.md §3."""
    flood, rate = peak(5000.0 / WEIGHT_KG), 17000.0 / WEIGHT_KG
    high = follow(flood, lambda _: rate, 1.0)[1][-1]
    return [
        _finding(
            "V5: level of 18 IU/kg/h after 24 h, typical patient",
            "target 0.3 to 0.7 IU/mL",
            "Michigan's and other nomograms",
            level_at(COURSES[2], 24.0),
            (0.45, 0.70),
            "IU/mL",
        ),
        _finding(
            "V5: aPTT over its baseline there",
            "1.5 to 2.5",
            "Raschke 1993",
            aptt(level_at(COURSES[2], 24.0)) / CLINICAL.aptt_baseline_s,
            (1.5, 2.5),
            "",
        ),
        _finding(
            "V12: aPTT below 1.05 of its baseline after a stop",
            "gone in 4 to 6 h",
            "second-hand",
            hours_until(steady(18.0), 0.0, lambda c: aptt(c) < 1.05 * CLINICAL.aptt_baseline_s),
            (3.0, 6.0),
            "h",
        ),
        _finding(
            "V14: 5000 IU and 17 000 IU in an hour: level over that of an aPTT of 200 s",
            "aPTT 240 s, off scale",
            "case report, nursingcenter 728818",
            high / float(heparin.level_of_aptt_iu_ml(200.0, 30.0, CLINICAL.aptt_slope_ml_iu)),
            (1.0, math.inf),
            "",
        ),
        Row(
            name="V14: hours until 0.7 IU/mL after it",
            published="4.4 h",
            source="heparin.md §3, an independent computation",
            mark="C",
            ours=hours_until(high, 0.0, lambda level: level <= 0.7),
            unit="h",
            band=(3.0, 7.0),
        ),
    ]


def misfit_rows() -> list[Row]:
    """What each of the two sets of parameters is known not to do."""
    return [
        Row(
            name="V2: half-life of 25 IU/kg, parameters `clinical`",
            published="30 min",
            source=GUIDELINES,
            mark="S",
            ours=half_life_min(25.0),
            unit="min",
            is_misfit=True,
            note="Known misfit, for which there are two sets: no single one has both the textbook "
            "half-lives and the levels that patients reach.",
        ),
        Row(
            name="V5: level of 18 IU/kg/h, parameters `volunteer`",
            published="target 0.3 to 0.7 IU/mL",
            source="Michigan's and other nomograms",
            mark="S",
            ours=steady(18.0, VOLUNTEER),
            unit="IU/mL",
            is_misfit=True,
            note="The same misfit from the other side.",
        ),
    ]


# --- pictures ------------------------------------------------------------------------------------


def draw_dose_response() -> Figure:
    """Level and aPTT against the rate."""
    figure, (left, right) = axes(1, 2, width=8.0, height=3.2)
    rates = np.linspace(0.0, 30.0, 61)
    for typical, words, colour in (
        (CLINICAL, "clinical", COLOURS[0]),
        (VOLUNTEER, "volunteer", COLOURS[2]),
    ):
        left.plot(rates, [steady(rate, typical) for rate in rates], color=colour, label=words)
    left.plot(RATES, STEADY, color="black", marker="o", ms=3.5, linestyle="none", label="§5.5")
    left.axhspan(0.3, 0.7, color=COLOURS[5], alpha=0.15, linewidth=0)
    left.text(0.5, 0.66, "target", fontsize=8, color=GREY, va="top")
    left.set_ylabel("level held, IU/mL")
    right.plot(rates, [aptt(steady(rate)) for rate in rates], color=COLOURS[0], label="clinical")
    right.plot(RATES, APTT, color="black", marker="o", ms=3.5, linestyle="none", label="§5.5")
    right.axhspan(45.0, 75.0, color=COLOURS[5], alpha=0.15, linewidth=0)
    right.text(0.5, 73.5, "1.5 to 2.5 of the baseline", fontsize=8, color=GREY, va="top")
    right.set_ylabel("aPTT, s")
    for place in (left, right):
        place.set_xlabel("rate, IU/kg/h")
        place.legend(loc="upper left")
    return figure


def draw_courses() -> Figure:
    """The courses of §5.5 and the values printed there."""
    figure, (place,) = axes(1, 1, width=7.0, height=3.8)
    for course, colour in zip(COURSES, COLOURS, strict=False):
        times, levels = follow(course.begin, course.rate, 12.0)
        place.plot(times[::6], levels[::6], color=colour, label=course.words)
        shown = [pair for pair in course.printed if pair[0] <= 12]
        place.plot(*zip(*shown, strict=True), color=colour, marker="o", ms=4, linestyle="none")
    place.axhspan(0.3, 0.7, color=GREY, alpha=0.15, linewidth=0)
    place.text(11.9, 0.5, "target", fontsize=8, color=GREY, ha="right", va="center")
    place.set_xlim(0, 12)
    place.set_ylim(0, 3.8)
    place.set_xlabel("time, h")
    place.set_ylabel("level, IU/mL")
    place.legend()
    return figure


def draw_outages() -> Figure:
    """What an outage does to a level in its steady state."""
    figure, (place,) = axes(1, 1, width=7.0, height=3.0)
    for minutes, colour in zip((15.0, 60.0, 120.0, 240.0), COLOURS, strict=False):
        times, levels = follow(steady(18.0), outage(minutes).rate, 9.0)
        place.plot(times[::6], levels[::6], color=colour, label=f"{minutes:g} min")
        index = OUTAGES_MIN.index(minutes)
        place.plot([minutes / 60.0], [AT_END[index]], color=colour, marker="o", ms=4)
    place.axhline(0.3, color=GREY, linestyle="--", linewidth=1)
    place.text(8.95, 0.31, "0.3 IU/mL", fontsize=8, color=GREY, ha="right", va="bottom")
    place.set_xlim(0, 9)
    place.set_ylim(0, 0.65)
    place.set_xlabel("time from the beginning of the outage, h")
    place.set_ylabel("level, IU/mL")
    place.legend(title="outage", loc="lower right")
    return figure


def section(*, quick: bool) -> Section:
    """The part of the report on one typical patient; it has one size."""
    del quick
    return Section(
        "Blood of a typical patient",
        "One compartment with linear and saturable elimination (infusion/heparin.py), 70 kg, by "
        "steps of half a minute. The tables of §5.5 were computed by other code from the same "
        "equations, so that they find mistakes of programming; V1 to V14 are clinical findings.",
        half_life_rows() + finding_rows() + misfit_rows() + table_rows() + delivery_rows(),
        [
            Picture(
                "dose-response",
                "Level and aPTT that a rate holds in a typical patient.",
                draw_dose_response,
            ),
            Picture("courses", "Courses of the level; dots are the values of §5.5.", draw_courses),
            Picture("outages", "Outages at 18 IU/kg/h; dots are the values of §4.1.", draw_outages),
        ],
    )

"""Cohorts of patients beside trials, and how aPTT and anti-Xa disagree."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from benchmarks.validation.drawing import COLOURS, GREY, axes
from benchmarks.validation.rows import Picture, Row, Section
from benchmarks.validation.trial import (
    Outcome,
    course_of_hit,
    fixed_dose_share,
    nomogram_cohort,
    pairs,
    reached_share,
)
from simulator.haematology import inr

NOMOGRAMS = ("michigan_vte", "raschke")
HOURS = 60
# The aPTT that a laboratory calls therapeutic for 0.3 to 0.7 IU/mL: an assumption.
APTT_RANGE_S = (60.0, 100.0)

# --- rows ----------------------------------------------------------------------------------------


def nomogram_rows(outcomes: dict[str, Outcome], size: int) -> list[Row]:
    """V6, V7 and V9."""
    fixed, adjusted = fixed_dose_share(size), reached_share(outcomes["raschke"], size)
    rows = [
        Row(
            name="V7: 5000 IU and 1000 IU/h, 1.5 times the baseline at 24 h",
            published="77 % (37 of 48, with its own nomogram)",
            source="Raschke 1993",
            mark="S",
            ours=fixed,
            unit="%",
            band=(62.0, 82.0),
            digits=1,
        ),
        Row(
            name="V6: Raschke's nomogram, measured 1.5 times the control within 24 h",
            published="more than with the fixed dose",
            source="Raschke 1993",
            mark="S",
            ours=adjusted,
            unit="%",
            band=(fixed, 100.0),
            digits=1,
        ),
    ]
    for name, outcome in outcomes.items():
        low, middle, high = np.percentile(outcome.rates_iu_kg_h, [25, 50, 75])
        rows.append(
            Row(
                name=f"V9: median rate after {len(outcome.hourly_rates)} h under `{name}`",
                published="11.5 to 18 IU/kg/h",
                source="Ann Pharmacother 2010;44:1141 and others",
                mark="S",
                ours=float(middle),
                unit="IU/kg/h",
                band=(12.0, 18.0),
                digits=1,
                note=f"Middle half of the patients: {low:.1f} to {high:.1f} IU/kg/h.",
            )
        )
    weights = outcomes["michigan_vte"].patients.traits.weight_kg
    needs = outcomes["michigan_vte"].rates_iu_kg_h
    heavy, light = float(np.median(needs[weights > 95])), float(np.median(needs[weights < 75]))
    rows.append(
        Row(
            name="Rate of patients above 95 kg over that of those below 75 kg",
            published="0.83 (130 kg and more over 95 to 104 kg), 0.85 (class III over normal)",
            source="J Crit Care 2015; Ann Pharmacother 2010;44:1141",
            mark="S",
            ours=heavy / light,
            note="Other weights than in the sources, so that nothing is judged.",
        )
    )
    return rows


def discordance_rows(outcome: Outcome) -> list[Row]:
    """aPTT and anti-Xa of the same specimens."""
    anti_xa, aptt = pairs(outcome)
    ranks = [np.argsort(np.argsort(values)) for values in (anti_xa, aptt)]
    inside = aptt[(anti_xa >= 0.3) & (anti_xa <= 0.7)]
    below = 100.0 * float(np.mean(inside < APTT_RANGE_S[0]))
    above = 100.0 * float(np.mean(inside > APTT_RANGE_S[1]))
    source = "Arachchillage, 3543 samples"
    note = (
        f"A laboratory's range for the aPTT is its own; here {APTT_RANGE_S[0]:g} to "
        f"{APTT_RANGE_S[1]:g} s, an assumption, for which the bands are wide."
    )

    def row(words: str, published: str, ours: float, band: tuple[float, float]) -> Row:
        return Row(
            name=f"aPTT {words} its range, of samples with anti-Xa 0.3 to 0.7",
            published=published,
            source=source,
            mark="S",
            ours=ours,
            unit="%",
            band=band,
            digits=1,
            note=note if words == "below" else "",
        )

    return [
        row("below", "56 %", below, (40.0, 70.0)),
        row("in", "38 %", 100.0 - below - above, (25.0, 55.0)),
        row("above", "6 %", above, (2.0, 15.0)),
        Row(
            name="Rank correlation of aPTT and anti-Xa",
            published="0.68",
            source="PMC6009553",
            mark="S",
            ours=float(np.corrcoef(ranks[0], ranks[1])[0, 1]),
            band=(0.5, 0.95),
            note="Ours comes from the spread of baseline and slope between patients and the "
            "errors of both tests; diseases that real wards add are only in `conditions`.",
        ),
    ]


def course_rows() -> list[Row]:
    """HIT and INR: shown."""
    _, counts = course_of_hit(20)
    two = next(hour for hour in range(400) if inr(float(hour), 2.6) >= 2.0) / 24.0
    return [
        Row(
            name="HIT from day 7: fall of the platelets by day 10",
            published="> 50 % scores highest, onset day 5 to 10",
            source="4Ts",
            mark="V",
            ours=100.0 * (1.0 - min(counts) / counts[0]),
            unit="%",
            digits=0,
        ),
        Row(
            name="INR under warfarin, day on which it passes 2",
            published="day 3 to 7 on 5 mg a day",
            source="textbooks",
            mark="M",
            ours=two,
            unit="days",
            digits=1,
        ),
    ]


# --- pictures ------------------------------------------------------------------------------------


def draw_cohort(outcome: Outcome) -> Figure:
    """Level and rate of a cohort, hour by hour."""
    figure, (upper, lower) = axes(2, 1, width=7.0, height=4.4)
    hours = np.arange(1, len(outcome.hourly_iu_ml) + 1)
    for place, values, colour in (
        (upper, outcome.hourly_iu_ml, COLOURS[0]),
        (lower, outcome.hourly_rates, COLOURS[2]),
    ):
        lowest, low, middle, high, highest = np.percentile(values, [10, 25, 50, 75, 90], axis=1)
        place.fill_between(hours, lowest, highest, color=colour, alpha=0.15, linewidth=0)
        place.fill_between(hours, low, high, color=colour, alpha=0.25, linewidth=0)
        place.plot(hours, middle, color=colour)
        place.set_xlim(0, hours[-1])
        place.set_xticks(range(0, int(hours[-1]) + 1, 12))
    for limit in (0.3, 0.7):
        upper.axhline(limit, color=GREY, linestyle="--", linewidth=1)
    upper.set_ylim(0, 1.8)
    upper.set_ylabel("level, IU/mL")
    lower.set_ylabel("rate, IU/kg/h")
    lower.set_xlabel("time from the start, h")
    return figure


def draw_discordance(outcome: Outcome) -> Figure:
    """aPTT against anti-Xa of some of the specimens."""
    figure, (place,) = axes(1, 1, width=5.0, height=3.8)
    anti_xa, aptt = (values[:180] for values in pairs(outcome))
    place.axvspan(0.3, 0.7, color=COLOURS[5], alpha=0.15, linewidth=0)
    place.axhspan(*APTT_RANGE_S, color=COLOURS[4], alpha=0.15, linewidth=0)
    place.plot(anti_xa, aptt, color=COLOURS[0], marker="o", ms=2.5, alpha=0.6, linestyle="none")
    place.set_xlabel("anti-Xa, IU/mL (1.5: over the range)")
    place.set_ylabel("aPTT, s (200: over the range)")
    return figure


def draw_counts() -> Figure:
    """Platelets in HIT, and the INR on its way to several ends."""
    figure, (left, right) = axes(1, 2, width=8.0, height=2.9)
    days, counts = course_of_hit(20)
    left.plot(days, counts, color=COLOURS[0])
    left.axvspan(5, 10, color=COLOURS[5], alpha=0.15, linewidth=0)
    left.text(5.1, 8, "typical onset", fontsize=8, color=GREY)
    left.axvline(10, color=GREY, linestyle="--", linewidth=1)
    left.text(10.2, 250, "heparin stopped", fontsize=8, color=GREY)
    left.set_ylim(0, 270)
    left.set_xticks(range(0, 21, 5))
    left.set_xlabel("day of heparin")
    left.set_ylabel("platelets, G/L")
    for final, colour in zip((2.2, 2.6, 3.6), COLOURS, strict=False):
        hours = np.arange(0.0, 241.0, 6.0)
        values = [inr(float(hour), final) for hour in hours]
        right.plot(hours / 24.0, values, color=colour, label=f"in the end {final:g}")
    right.axhspan(2.0, 3.0, color=COLOURS[5], alpha=0.15, linewidth=0)
    right.set_xlabel("day of warfarin")
    right.set_ylabel("INR")
    right.legend(loc="lower right")
    return figure


def section(*, quick: bool) -> Section:
    """The part of the report on many patients who differ."""
    size = 120 if quick else 1000
    outcomes = {name: nomogram_cohort(name, size, HOURS) for name in NOMOGRAMS}
    michigan = outcomes["michigan_vte"]
    rows = nomogram_rows(outcomes, size) + discordance_rows(michigan) + course_rows()
    return Section(
        "Cohorts of patients",
        "Adults of 80 ± 16 kg who differ as published, with the clinic's laboratory, prescriber "
        "and nurse but without their slips, on pumps without any error.",
        rows,
        [
            Picture(
                "cohort",
                "Patients under Michigan's nomogram: median, middle half and middle eighty percent "
                "of level and rate. Dashed: the target.",
                partial(draw_cohort, michigan),
            ),
            Picture(
                "discordance",
                "aPTT and anti-Xa of the same specimens; both ranges shaded.",
                partial(draw_discordance, michigan),
            ),
            Picture(
                "counts",
                "Left: platelets of a patient with HIT from day 7. Right: INR under warfarin. "
                "Shown, not judged.",
                draw_counts,
            ),
        ],
    )

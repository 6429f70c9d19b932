"""Cohorts of patients under a nomogram or a fixed dose, and how aPTT and anti-Xa disagree."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.validation.bench import SEED, START_MS
from benchmarks.validation.drawing import COLOURS, GREY, axes
from benchmarks.validation.rows import Picture, Row, Section
from host.process import read_named
from infusion import prescription as rx
from infusion.heparin import CLINICAL
from infusion.nomogram_file import read_nomogram
from infusion.prescription import Prescription, compile_timeline
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.clinic.clinic import Clinic
from simulator.clinic.happenings import (
    Applied,
    End,
    GiveBolus,
    Happening,
    Pause,
    Resulted,
    Resume,
    SetRate,
)
from simulator.clinic.protocol import Protocol, Slips, read_protocol
from simulator.haematology import Blood, inr
from simulator.patients import Patients, draw_patients
from simulator.physics import Floats
from simulator.story.entries import Patient
from simulator.story.plan import OrderVersion
from simulator.story.reading import Offset

CONCENTRATION_IU_ML = 100.0
HEALTHY = Blood(hit_share=0.0, bleeding_per_day=0.0)
NOMOGRAMS = ("michigan_vte", "raschke")
THRESHOLD = 1.5
# The aPTT that a laboratory calls therapeutic for 0.3 to 0.7 IU/mL: an assumption.
APTT_RANGE_S = (60.0, 100.0)


class Outcome(Struct, frozen=True):
    """A cohort at its end: IU/kg/h of each, results of tests, and the anti-Xa of each hour."""

    rates_iu_kg_h: Floats
    patients: Patients
    happenings: list[Happening]
    hourly_iu_ml: Floats
    hourly_rates: Floats


def adults(size: int) -> Floats:
    """Weights in kg: 80, give or take 16."""
    return np.clip(np.random.default_rng(7).normal(80.0, 16.0, size), 45.0, 150.0)


def faultless() -> Protocol:
    """Care as people would like it to be: no slip, no spoiled specimen."""
    protocol = read_protocol(*read_named("home-heparin", "protocols"))
    laboratory = replace(
        protocol.laboratory,
        haemolysed_share=0.0,
        clotted_share=0.0,
        lost_share=0.0,
        lumen_share=0.0,
    )
    slips = Slips(**dict.fromkeys(Slips.__struct_fields__, 0.0))
    return replace(protocol, laboratory=laboratory, slips=slips)


class Pumps:
    """Pumps without any error: they give what was typed into them."""

    def __init__(self, patients: Patients, rates_iu_h: Floats, bolus_iu: Floats) -> None:
        self.patients = patients
        self.rates_iu_h = rates_iu_h.copy()
        self.runs = np.ones(len(rates_iu_h))
        self.bolus_iu = bolus_iu.copy()

    def run(self, clinic: Clinic | None, minutes: int) -> Iterator[Happening]:
        """A minute a step; what the clinic does meanwhile."""
        for _ in range(minutes):
            dose_iu = self.rates_iu_h / 60.0 * self.runs + self.bolus_iu
            self.bolus_iu[:] = 0.0
            self.patients.advance(dose_iu, self.patients.now_ms + MS_PER_MINUTE)
            for happening in clinic.advance(self.patients.now_ms) if clinic else ():
                if isinstance(happening, Applied):
                    self._do(happening)
                yield happening

    def _do(self, applied: Applied) -> None:
        index = applied.index
        match applied.act:
            case SetRate(rate_ml_h=rate_ml_h):
                self.rates_iu_h[index] = rate_ml_h * CONCENTRATION_IU_ML
            case GiveBolus(dose_iu=dose_iu):
                self.bolus_iu[index] += dose_iu
            case Pause():
                self.runs[index] = 0.0
            case Resume():
                self.runs[index] = 1.0
            case End():
                self.rates_iu_h[index] = 0.0


def nomogram_cohort(name: str, size: int, hours: int) -> Outcome:
    """Adults who begin with 80 IU/kg and 18 IU/kg/h and are then adjusted by a nomogram."""
    weights = adults(size)
    patients = draw_patients(weights, seed=SEED, start_ms=START_MS, blood=HEALTHY)
    orders = [_first_order(index, weight) for index, weight in enumerate(weights.tolist())]
    clinic = Clinic(
        faultless(),
        read_nomogram(*read_named(name, "nomograms")),
        patients,
        orders,
        seed=SEED,
    )
    pumps = Pumps(patients, weights * 18.0, weights * 80.0)
    happenings: list[Happening] = []
    levels, rates = [], []
    for _ in range(hours):
        happenings += pumps.run(clinic, 60)
        levels.append(patients.level_iu_ml.copy())
        rates.append(pumps.rates_iu_h * pumps.runs / weights)
    return Outcome(
        pumps.rates_iu_h / weights, patients, happenings, np.array(levels), np.array(rates)
    )


def _first_order(index: int, weight_kg: float) -> OrderVersion:
    prescription = Prescription(
        therapy=f"T-{index + 1}",
        version=1,
        pump=f"P-{index + 1}",
        weight_kg=round(weight_kg, 1),
        concentration_iu_ml=CONCENTRATION_IU_ML,
        steps=(rx.Start(at_ms=START_MS, rate_iu_h=18.0 * weight_kg),),
    )
    return OrderVersion(prescription, compile_timeline(prescription))


def fixed_dose_share(size: int) -> float:
    """V7: 5000 IU and 1000 IU/h for everybody; the share in % at 1.5 times its baseline at 24 h."""
    patients = draw_patients(adults(size), seed=SEED, start_ms=START_MS, blood=HEALTHY)
    pumps = Pumps(patients, np.full(size, 1000.0), np.full(size, 5000.0))
    list(pumps.run(None, 24 * 60))
    slope = CLINICAL.aptt_slope_ml_iu * patients.traits.aptt_slope_factor
    return 100.0 * float(np.mean(np.exp(slope * patients.level_iu_ml) >= THRESHOLD))


def reached_share(outcome: Outcome, size: int) -> float:
    """V6: whom a measured aPTT of 1.5 times the control came to within 24 h, in %."""
    reached = {
        happening.index
        for happening in outcome.happenings
        if isinstance(happening, Resulted)
        and happening.test == "aptt"
        and happening.drawn_ms <= START_MS + 24 * MS_PER_HOUR
        and happening.reading.value is not None
        and happening.reading.value >= THRESHOLD * 30.0
    }
    return 100.0 * len(reached) / size


def pairs(outcome: Outcome) -> tuple[Floats, Floats]:
    """Anti-Xa and aPTT of each specimen that has both, as reported."""
    found: dict[str, dict[str, float]] = {}
    for happening in outcome.happenings:
        if isinstance(happening, Resulted) and happening.reading.value is not None:
            found.setdefault(happening.specimen, {})[happening.test] = happening.reading.value
    both = [pair for pair in found.values() if {"anti-xa", "aptt"} <= set(pair)]
    return np.array([pair["anti-xa"] for pair in both]), np.array([pair["aptt"] for pair in both])


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
            ours=float(np.corrcoef(*ranks)[0, 1]),
            band=(0.5, 0.95),
            note="Ours comes from the spread of baseline and slope between patients and the "
            "errors of both tests; factors of disease that real wards add are only in `conditions`.",
        ),
    ]


def course_of_hit(days: int) -> tuple[list[float], list[float]]:
    """Days, and platelets in G/L of a patient whose HIT begins on day 7 and who stops on day 10."""
    patient = Patient(pump="P-01", platelets_g_l=240, hit_onset=Offset(7 * 24 * MS_PER_HOUR))
    patients = draw_patients(
        np.array([70.0]), seed=SEED, start_ms=START_MS, described={0: patient}, blood=HEALTHY
    )
    hours, counts = [0.0], [240.0]
    for number in range(days * 4):
        rate = 15.0 * 70.0 if number < 40 else 0.0
        for _ in range(36):
            patients.advance(np.array([rate / 6.0]), patients.now_ms + 10 * MS_PER_MINUTE)
        hours.append((number + 1) / 4.0)
        counts.append(float(patients.platelets_g_l[0]))
    return hours, counts


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
    place.set_xlabel("anti-Xa, IU/mL (below 0.1 and above 1.5 not told)")
    place.set_ylabel("aPTT, s (above 200 not told)")
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
    size, hours = (150, 48) if quick else (1000, 60)
    outcomes = {name: nomogram_cohort(name, size, hours) for name in NOMOGRAMS}
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
                "Left: platelets of a patient with HIT from day 7. Right: INR under warfarin. Shown, "
                "not judged.",
                draw_counts,
            ),
        ],
    )

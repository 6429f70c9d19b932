"""Trials on simulated patients: under a nomogram, with a fixed dose, with HIT."""

from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.validation.bench import SEED, START_MS
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
from simulator.haematology import Blood
from simulator.patients import Patients, draw_patients
from simulator.physics import Floats
from simulator.story.entries import Patient
from simulator.story.plan import OrderVersion
from simulator.story.reading import Offset

CONCENTRATION_IU_ML = 100.0
HEALTHY = Blood(hit_share=0.0, bleeding_per_day=0.0)
THRESHOLD = 1.5


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

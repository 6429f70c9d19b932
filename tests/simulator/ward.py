"""Patients, a clinic and pumps without a fault, for the tests of both."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from infusion import prescription as rx
from infusion.nomogram import Nomogram
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
    Resume,
    SetRate,
)
from simulator.clinic.protocol import Protocol, Slips, read_protocol
from simulator.patients import Patients
from simulator.physics import Floats
from simulator.story.plan import OrderVersion

CONFIG = Path(__file__).resolve().parents[2] / "config"
START_MS = 1_800_000_000_000
CONCENTRATION_IU_ML = 100.0


def at_ms(hours: float) -> int:
    return START_MS + round(hours * MS_PER_HOUR)


def nomogram(name: str = "michigan_vte") -> Nomogram:
    return read_nomogram((CONFIG / "nomograms" / f"{name}.toml").read_bytes(), name)


def protocol() -> Protocol:
    name = "home-heparin.toml"
    return read_protocol((CONFIG / "protocols" / name).read_bytes(), name)


def faultless(before: Protocol | None = None) -> Protocol:
    """The protocol as people would like it to be: no slip, no spoiled specimen."""
    before = before or protocol()
    none = dict.fromkeys(Slips.__struct_fields__, 0.0)
    laboratory = replace(
        before.laboratory, haemolysed_share=0, clotted_share=0, lost_share=0, lumen_share=0
    )
    return replace(before, slips=Slips(**none), laboratory=laboratory)


def first_order(index: int, weight_kg: float, rate_iu_h: float) -> OrderVersion:
    prescription = Prescription(
        therapy=f"T-{index + 1}",
        version=1,
        pump=f"P-{index + 1}",
        weight_kg=weight_kg,
        concentration_iu_ml=CONCENTRATION_IU_ML,
        steps=(rx.Start(at_ms=START_MS, rate_iu_h=rate_iu_h),),
    )
    return OrderVersion(prescription, compile_timeline(prescription))


class Ward:
    """Pumps that do to the nanolitre what is typed into them, mostly a minute a step."""

    def __init__(
        self, patients: Patients, clinic: Clinic | None, rates_iu_h: Floats, bolus_iu: Floats
    ) -> None:
        self.patients = patients
        self.clinic = clinic
        self.rates_iu_h = rates_iu_h.copy()
        self.runs = np.ones(len(rates_iu_h))
        self.bolus_iu = bolus_iu.copy()

    def run(self, hours: float, step_min: int = 1) -> Iterator[Happening]:
        """Go on for so long; what happens, in order of time."""
        for _ in range(round(hours * 60) // step_min):
            dose_iu = self.rates_iu_h * (step_min / 60.0) * self.runs + self.bolus_iu
            self.bolus_iu[:] = 0.0
            self.patients.advance(dose_iu, self.patients.now_ms + step_min * MS_PER_MINUTE)
            if self.clinic is None:
                continue
            for happening in self.clinic.advance(self.patients.now_ms):
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

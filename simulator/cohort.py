"""Who and what is on the pumps at the start: pumps' own errors and patients, drawn by chance.

Each pump has its own child of the seed, so that pump k is the same in every fleet that has one.
"""

import numpy as np
from msgspec import Struct

from infusion.units import pump_rate_ml_h
from simulator.physics import Floats, Keys, State
from simulator.profile import Profile
from simulator.story.entries import Patient

# A fleet that nobody describes: adults on a continuous infusion at home. [A], around the
# maintenance doses of heparin.md §2.3 (11.5 to 18 IU/kg/h).
WEIGHT_KG = (50.0, 110.0)
DOSE_IU_KG_H = (12.0, 18.0)


class Assignment(Struct, frozen=True, kw_only=True):
    """One patient on one pump, with nothing left open."""

    pump: str
    therapy: str
    weight_kg: float
    dose_iu_kg_h: float | None
    dose_iu_h: float | None
    concentration_iu_ml: float
    reservoir_ml: float
    vtbi_ml: float

    @property
    def rate_ml_h(self) -> float:
        """The pump rate that gives the ordered dose exactly."""
        dose_iu_h = self.dose_iu_h
        if dose_iu_h is None:
            assert self.dose_iu_kg_h is not None, "an assignment has a dose"
            dose_iu_h = self.dose_iu_kg_h * self.weight_kg
        return pump_rate_ml_h(dose_iu_h, self.concentration_iu_ml)


class Cohort(Struct, frozen=True):
    """What chance gave each of n pumps; arrays have shape (n,), `phase` is any whole number."""

    assignments: tuple[Assignment, ...]
    bias: Floats
    ripple: Floats
    keys: Keys
    phases: tuple[int, ...]


def pump_name(index: int, pumps: int) -> str:
    """The name of pump number `index` (from 0) in a fleet: `P-01`, wider in a larger fleet."""
    return f"P-{_number(index, pumps)}"


def therapy_name(index: int, pumps: int) -> str:
    """The name of the therapy on pump number `index` (from 0): `T-01`."""
    return f"T-{_number(index, pumps)}"


def _number(index: int, pumps: int) -> str:
    return f"{index + 1:0{max(2, len(str(pumps)))}d}"


def draw_cohort(
    profile: Profile, pumps: int, seed: int, patients: dict[int, Patient] | None = None
) -> Cohort:
    """The cohort of a seed. `patients` overrides what is drawn, by index from 0."""
    bias, ripple = np.empty(pumps), np.empty(pumps)
    keys = np.empty(pumps, dtype=np.uint64)
    phases = []
    assignments = []
    for index in range(pumps):
        chance = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,)))
        )
        # Drawn in this order for every pump, used or not, so that overrides shift nothing.
        keys[index] = chance.integers(0, 2**64, dtype=np.uint64)
        phases.append(int(chance.integers(0, 2**31)))
        bias[index], ripple[index] = chance.standard_normal(2)
        weight_kg = round(float(chance.uniform(*WEIGHT_KG)), 1)
        dose_iu_kg_h = round(float(chance.uniform(*DOSE_IU_KG_H)), 1)
        patient = (patients or {}).get(index) or Patient(pump=pump_name(index, pumps))
        assignments.append(_assign(profile, index, pumps, patient, weight_kg, dose_iu_kg_h))
    bias *= profile.bias_sd
    np.clip(bias, -profile.bias_max, profile.bias_max, out=bias)
    ripple *= profile.ripple_sd
    return Cohort(tuple(assignments), bias, ripple, keys, tuple(phases))


def _assign(
    profile: Profile,
    index: int,
    pumps: int,
    patient: Patient,
    weight_kg: float,
    dose_iu_kg_h: float,
) -> Assignment:
    is_open = patient.dose_iu_kg_h is None and patient.dose_iu_h is None
    return Assignment(
        pump=pump_name(index, pumps),
        therapy=patient.therapy or therapy_name(index, pumps),
        weight_kg=patient.weight_kg or weight_kg,
        dose_iu_kg_h=dose_iu_kg_h if is_open else patient.dose_iu_kg_h,
        dose_iu_h=patient.dose_iu_h,
        concentration_iu_ml=patient.concentration_iu_ml or profile.concentration_iu_ml,
        reservoir_ml=patient.reservoir_ml or profile.reservoir_ml,
        vtbi_ml=patient.vtbi_ml,
    )


def running_state(profile: Profile, pumps: int, seed: int) -> State:
    """The physics of a fleet alone, every pump running at its order with a full bag.

    This is what `physics.step` costs without machines and messages.
    """
    cohort = draw_cohort(profile, pumps, seed)
    state = State(profile, bias=cohort.bias, ripple=cohort.ripple, keys=cohort.keys)
    state.drive_ml_h[:] = [
        profile.programmable_ml_h(assignment.rate_ml_h) for assignment in cohort.assignments
    ]
    state.empty_at_ml[:] = [assignment.reservoir_ml for assignment in cohort.assignments]
    return state

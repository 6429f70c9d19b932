"""Who and what is on the pumps at the start: pumps' own errors and patients, drawn by chance.

Each pump has its own child of the seed, so that pump k is the same in every fleet that has one.
"""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from infusion.errors import ConfigError
from infusion.tables import nearest
from infusion.units import pump_rate_ml_h
from simulator.physics import Floats, Keys, State
from simulator.profile import Profile
from simulator.story.entries import Patient

# A fleet that nobody describes: adults on a continuous infusion at home. [A], around the
# maintenance doses of heparin.md §2.3 (11.5 to 18 IU/kg/h).
WEIGHT_KG = (50.0, 110.0)
DOSE_IU_KG_H = (12.0, 18.0)


class Assignment(Struct, frozen=True, kw_only=True):
    """One patient on one pump, with nothing left open; `kind` is the index of its profile."""

    pump: str
    kind: int
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
    """What chance gave each of n pumps; arrays have shape (n,), a phase is any whole number.

    `kinds` are indices into `profiles`.
    """

    profiles: tuple[Profile, ...]
    kinds: NDArray[np.intp]
    assignments: tuple[Assignment, ...]
    bias: Floats
    ripple: Floats
    keys: Keys
    phases: tuple[int, ...]

    def state(self) -> State:
        """The physics of these pumps, at rest with full reservoirs."""
        state = State(
            self.profiles, bias=self.bias, ripple=self.ripple, keys=self.keys, kinds=self.kinds
        )
        for pump, assignment in enumerate(self.assignments):
            state.fill(pump, assignment.reservoir_ml)
        return state


def pump_name(index: int, pumps: int) -> str:
    """The name of pump number `index` (from 0) in a fleet: `P-01`, wider in a larger fleet."""
    return f"P-{_number(index, pumps)}"


def therapy_name(index: int, pumps: int) -> str:
    """The name of the therapy on pump number `index` (from 0): `T-01`."""
    return f"T-{_number(index, pumps)}"


def _number(index: int, pumps: int) -> str:
    return f"{index + 1:0{max(2, len(str(pumps)))}d}"


def draw_cohort(
    profile: Profile,
    pumps: int,
    seed: int,
    patients: Mapping[int, Patient] | None = None,
    profiles: Mapping[str, Profile] | None = None,
) -> Cohort:
    """The cohort of a seed. `patients` overrides what is drawn, by index from 0.

    A patient's `profile` is a key of `profiles`; without one the pump is a `profile`. Raises
    ConfigError for a key that is not there.
    """
    names = list(profiles or {})
    kinds = (profile, *(profiles or {}).values())
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
        kind = _kind(patient, names)
        bias[index] *= kinds[kind].bias_sd
        bias[index] = np.clip(bias[index], -kinds[kind].bias_max, kinds[kind].bias_max)
        ripple[index] *= kinds[kind].ripple_sd
        assignments.append(_assign(kinds, kind, index, pumps, patient, weight_kg, dose_iu_kg_h))
    which = np.array([assignment.kind for assignment in assignments], dtype=np.intp)
    return Cohort(kinds, which, tuple(assignments), bias, ripple, keys, tuple(phases))


def _kind(patient: Patient, names: list[str]) -> int:
    if patient.profile is None:
        return 0
    if patient.profile not in names:
        raise ConfigError(
            f"[[patient]] {patient.pump}: key 'profile': there is no profile "
            f"{patient.profile!r}; {nearest(patient.profile, names) if names else 'none is given'}"
        )
    return names.index(patient.profile) + 1


def _assign(
    kinds: tuple[Profile, ...],
    kind: int,
    index: int,
    pumps: int,
    patient: Patient,
    weight_kg: float,
    dose_iu_kg_h: float,
) -> Assignment:
    profile = kinds[kind]
    is_open = patient.dose_iu_kg_h is None and patient.dose_iu_h is None
    return Assignment(
        pump=pump_name(index, pumps),
        kind=kind,
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
    state = cohort.state()
    state.drive_ml_h[:] = [
        profile.programmable_ml_h(assignment.rate_ml_h) for assignment in cohort.assignments
    ]
    return state

"""What the tables of a scenario have in common, patients, and expectations.

simulator/story/scenario.py reads them from a file, simulator/story/plan.py spreads them over the
pumps. What can happen is in faults.py, actions.py and orders.py beside this file.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.alarms import Priority
from infusion.messages import Word
from infusion.prescription import ConcentrationIuMl, Name, WeightKg
from simulator.story.reading import Offset

ALL = "all"
# The protocol of patients whom no clinic looks after.
NOBODY = "none"

Pumps = str | tuple[str, ...]
VolumeMl = Annotated[float, Meta(ge=0, le=100_000)]
SomeMl = Annotated[float, Meta(gt=0, le=100_000)]
RateMlH = Annotated[float, Meta(ge=0, le=10_000)]
DoseRate = Annotated[float, Meta(gt=0, le=100_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


# What a patient has besides: the names of infusion/heparin.py CONDITIONS, with hyphens.
ConditionWord = Literal[
    "pulmonary-embolism", "renal-failure", "antithrombin-deficiency", "acute-phase"
]


class Patient(Struct, frozen=True, kw_only=True):
    """Who is on a pump at the start. What is None is drawn from the seed or the profile's.

    `elimination_factor` is this patient's clearance against the typical one: below 1 heparin stays
    longer. `hit_onset` is when platelets begin to fall; without it chance decides. Who has
    `warfarin_from` is bridged, and heparin ends when the protocol's rule is met. `no_bolus` is the
    order that this patient never gets one. `protocol` names who looks after the patient: "none"
    for nobody, so that no level is drawn and no dose changed; None for what the run is set to.
    """

    pump: str
    profile: str | None = None
    therapy: Name | None = None
    weight_kg: WeightKg | None = None
    dose_iu_kg_h: DoseRate | None = None
    dose_iu_h: DoseRate | None = None
    concentration_iu_ml: ConcentrationIuMl | None = None
    reservoir_ml: SomeMl | None = None
    vtbi_ml: VolumeMl = 0.0
    pharmacokinetics: Literal["clinical", "volunteer"] = "clinical"
    conditions: tuple[ConditionWord, ...] = ()
    elimination_factor: Annotated[float, Meta(ge=0.1, le=10)] | None = None
    platelets_g_l: Annotated[float, Meta(ge=10, le=1500)] | None = None
    haemoglobin_g_dl: Annotated[float, Meta(ge=5, le=22)] | None = None
    hit_onset: Offset | None = None
    warfarin_from: Offset | None = None
    no_bolus: bool = False
    protocol: Word | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """Something that happens at a time to one pump or several."""

    at: Offset
    pump: Pumps


class Expectation(Struct, frozen=True, kw_only=True):
    """An alert of `rule` on `pump`, raised between two times, cleared by a third if it is given.

    It is also met when another alert of the pump lists the rule as its consequence then.
    `priority` is the highest that the alert must reach, no more and no less; an alert that lists
    the rule must reach at least that. With `never` it must not be raised or listed in that time:
    so a file says what looks like a hazard and is none.
    """

    pump: str
    rule: Word
    raised: tuple[Offset, Offset]
    cleared_by: Offset | None = None
    priority: Priority | None = None
    never: bool = False

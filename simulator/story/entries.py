"""What the tables of a scenario have in common, patients, and expectations.

simulator/story/scenario.py reads them from a file, simulator/story/plan.py spreads them over the
pumps. What can happen is in faults.py, actions.py and orders.py beside this file.
"""

from typing import Annotated

from msgspec import Meta, Struct

from infusion.messages import Word
from infusion.prescription import ConcentrationIuMl, Name, WeightKg
from simulator.story.reading import Offset

ALL = "all"

Pumps = str | tuple[str, ...]
VolumeMl = Annotated[float, Meta(ge=0, le=100_000)]
SomeMl = Annotated[float, Meta(gt=0, le=100_000)]
RateMlH = Annotated[float, Meta(ge=0, le=10_000)]
DoseRate = Annotated[float, Meta(gt=0, le=100_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Patient(Struct, frozen=True, kw_only=True):
    """Who is on a pump at the start. What is None is drawn from the seed or the profile's."""

    pump: str
    profile: str | None = None
    therapy: Name | None = None
    weight_kg: WeightKg | None = None
    dose_iu_kg_h: DoseRate | None = None
    dose_iu_h: DoseRate | None = None
    concentration_iu_ml: ConcentrationIuMl | None = None
    reservoir_ml: SomeMl | None = None
    vtbi_ml: VolumeMl = 0.0


class Entry(Struct, frozen=True, kw_only=True):
    """Something that happens at a time to one pump or several."""

    at: Offset
    pump: Pumps


class Expectation(Struct, frozen=True, kw_only=True):
    """An alert of `rule` on `pump`, raised between two times, cleared by a third if it is given."""

    pump: str
    rule: Word
    raised: tuple[Offset, Offset]
    cleared_by: Offset | None = None

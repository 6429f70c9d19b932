"""What can befall a patient or the laboratory: one Struct for each word after `do`.

What each does is in simulator/patient_effects.py; a report is said by simulator/care.py.
"""

from typing import Annotated, Literal

from msgspec import Meta

from infusion.prescription import Name
from simulator.story.entries import Entry
from simulator.story.reading import Offset

Hours = Annotated[float, Meta(gt=0, le=720)]


class Bleeding(Entry, frozen=True, kw_only=True):
    """A bleeding begins: haemoglobin falls by `g_dl_day` for `hours`, and the patient calls."""

    g_dl_day: Annotated[float, Meta(gt=0, le=24)] = 2.0
    hours: Hours = 24.0


class Hit(Entry, frozen=True, kw_only=True):
    """Platelets begin to fall, in the end by the share `fall`, as long as heparin goes on."""

    fall: Annotated[float, Meta(gt=0, le=0.98)] | None = None


class ClearanceFalls(Entry, frozen=True, kw_only=True):
    """Clearance falls by a share of what it is, evenly over `hours`: levels rise by themselves."""

    share: Annotated[float, Meta(gt=0, le=0.95)] = 0.4
    hours: Hours = 24.0


class ClearanceRises(Entry, frozen=True, kw_only=True):
    """Clearance rises by a share of what it is, evenly over `hours`: levels fall."""

    share: Annotated[float, Meta(gt=0, le=5)] = 0.4
    hours: Hours = 24.0


class SpoilSpecimen(Entry, frozen=True, kw_only=True):
    """The next specimen is spoiled: drawn from the heparin lumen, lost, haemolysed or clotted."""

    how: Literal["lumen", "lost", "haemolysed", "clotted"] = "lumen"


class LaboratoryClosed(Entry, frozen=True, kw_only=True):
    """No results come back until a time; what is drawn waits."""

    until: Offset


class Says(Entry, frozen=True, kw_only=True):
    """Somebody of the service or the family reports something: a visit, a stay, supplies, a sign.

    `what` is a word or a few, as infusion/report_words.py reads them. `due` is when what is planned
    should happen; the rest is left out where it does not apply.
    """

    what: Annotated[str, Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(min_length=1, max_length=64)] = "patient"
    due: Offset | None = None
    lasted_min: Annotated[float, Meta(ge=0, le=1_440)] | None = None
    item: Name | None = None
    amount: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    lot: Name | None = None


# What the word after `do` may be, and which keys go with it.
PATIENT_EVENTS: dict[str, type[Entry]] = {
    "bleeding": Bleeding,
    "hit": Hit,
    "clearance-falls": ClearanceFalls,
    "clearance-rises": ClearanceRises,
    "spoil-specimen": SpoilSpecimen,
    "laboratory-closed": LaboratoryClosed,
    "report": Says,
}
BEFALLS = frozenset(PATIENT_EVENTS.values())

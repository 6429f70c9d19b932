"""What really happened to a simulated pump and its patient: to grade a monitor by, never to use."""

from typing import Annotated

from msgspec import Meta, Struct

from infusion.prescription import Name, TimeMs

Volume = Annotated[float, Meta(ge=0, le=1_000_000)]
# What a line holds is counted from its rest, so suction or a fallen pump makes it negative.
Held = Annotated[float, Meta(ge=-1_000, le=1_000)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]


class FaultTruth(Struct, frozen=True, kw_only=True):
    """One fault from its onset to its end, and what it did to the dose between them.

    `ordered_iu` was ordered in that time, `pumped_iu` left the reservoir, `patient_iu` reached the
    patient. `messages` counts what a fault of the wire touched.
    """

    fault: Word
    onset_ms: TimeMs
    end_ms: TimeMs
    ordered_iu: float
    pumped_iu: float
    patient_iu: float
    messages: int = 0


class Truth(Struct, frozen=True, kw_only=True):
    """How one pump and its patient stand. `pumped_ml = held_ml + patient_ml + lost_ml`.

    `counted_ml` is what the pump itself believes to have pumped. `level_iu_ml` is the anti-Xa
    activity in the patient's blood; None when no patient is simulated. `faults` are in force,
    `ended` were over since the truth before.
    """

    pump: Name
    time_ms: TimeMs
    pumped_ml: Volume
    held_ml: Held
    patient_ml: Volume
    lost_ml: Volume = 0.0
    counted_ml: Volume = 0.0
    patient_iu: Annotated[float, Meta(ge=0)] = 0.0
    level_iu_ml: Annotated[float, Meta(ge=0)] | None = None
    faults: tuple[Word, ...] = ()
    ended: tuple[FaultTruth, ...] = ()

"""What people do at a pump: one Struct for each word after `do` in an [[action]].

The word's keys are the Struct's fields; what each does to a pump is in simulator/action_effects.py.
"""

from typing import Annotated

from msgspec import Meta

from infusion.prescription import ConcentrationIuMl, Name
from simulator.story.entries import Entry, RateMlH, Seconds, SomeMl, VolumeMl


class ProgramRate(Entry, frozen=True, kw_only=True):
    """Somebody types a rate, or slips by a `factor` (10 for a key error)."""

    rate_ml_h: RateMlH | None = None
    factor: Annotated[float, Meta(gt=0, le=1000)] | None = None


class ProgramOrder(Entry, frozen=True, kw_only=True):
    """Somebody sets rate, concentration and therapy back to what is ordered."""


class ProgramConcentration(Entry, frozen=True, kw_only=True):
    """Somebody types another concentration; the bag stays."""

    concentration_iu_ml: ConcentrationIuMl


class ProgramTherapy(Entry, frozen=True, kw_only=True):
    """Somebody types another therapy id."""

    therapy: Name


class ProgramVtbi(Entry, frozen=True, kw_only=True):
    """Somebody sets the volume to be infused, counted from now; 0 means no limit."""

    volume_ml: VolumeMl


class Start(Entry, frozen=True, kw_only=True):
    """Start, resume, or restart after an alarm, which also clears what had latched."""


class Pause(Entry, frozen=True, kw_only=True):
    """Pause or stop."""


class ChangeBag(Entry, frozen=True, kw_only=True):
    """A new bag. `programmed_iu_ml` is what is typed in, if that is not what the bag holds."""

    volume_ml: SomeMl | None = None
    concentration_iu_ml: ConcentrationIuMl | None = None
    programmed_iu_ml: ConcentrationIuMl | None = None


class SetReservoir(Entry, frozen=True, kw_only=True):
    """The bag holds this much, be it a refill or a leak."""

    volume_ml: VolumeMl


class GiveBolus(Entry, frozen=True, kw_only=True):
    """A bolus on top of the continuous rate, programmed at the pump without an order."""

    dose_iu: Annotated[float, Meta(gt=0, le=100_000)]
    duration_s: Seconds


class ClearCounters(Entry, frozen=True, kw_only=True):
    """Somebody sets the volume counter to zero."""


class PowerOff(Entry, frozen=True, kw_only=True):
    """Somebody switches the pump off; it says goodbye."""


class PowerOn(Entry, frozen=True, kw_only=True):
    """Somebody switches the pump on; it boots, and waits for a start."""


# What the word after `do` may be, and which keys go with it.
ACTIONS: dict[str, type[Entry]] = {
    "program-rate": ProgramRate,
    "program-order": ProgramOrder,
    "program-concentration": ProgramConcentration,
    "program-therapy": ProgramTherapy,
    "program-vtbi": ProgramVtbi,
    "start": Start,
    "resume": Start,
    "restart": Start,
    "pause": Pause,
    "stop": Pause,
    "change-bag": ChangeBag,
    "set-reservoir": SetReservoir,
    "bolus": GiveBolus,
    "clear-counters": ClearCounters,
    "power-off": PowerOff,
    "power-on": PowerOn,
}

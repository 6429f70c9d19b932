"""What people do at a pump: one Struct for each word after `do` in an [[action]].

The word's keys are the Struct's fields; what each does to a pump is in simulator/action_effects.py.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.messages import Word
from infusion.prescription import ConcentrationIuMl, Name, WeightKg
from simulator.story.entries import DoseRate, Entry, RateMlH, Seconds, SomeMl, VolumeMl


class Programming(Entry, frozen=True, kw_only=True):
    """What all programming has: who does it, and how they answer the drug library.

    `override` answers a soft limit, without it the user backs off; `bypass_library` programs
    past the library altogether.
    """

    user: Word | None = None
    override: bool = False
    bypass_library: bool = False


class ProgramRate(Programming, frozen=True, kw_only=True):
    """Somebody types a rate or a dose rate, or slips by a `factor` (10 for a key error)."""

    rate_ml_h: RateMlH | None = None
    factor: Annotated[float, Meta(gt=0, le=1000)] | None = None
    dose_iu_kg_h: DoseRate | None = None
    dose_iu_h: DoseRate | None = None


class ProgramOrder(Programming, frozen=True, kw_only=True):
    """Somebody sets rate, concentration and therapy back to what is ordered."""


class ProgramConcentration(Programming, frozen=True, kw_only=True):
    """Somebody types another concentration; the bag stays."""

    concentration_iu_ml: ConcentrationIuMl


class ProgramTherapy(Entry, frozen=True, kw_only=True):
    """Somebody types another therapy id."""

    therapy: Name


class ProgramVtbi(Entry, frozen=True, kw_only=True):
    """Somebody sets the volume to be infused, counted from now; 0 means no limit."""

    volume_ml: VolumeMl


class ProgramWeight(Programming, frozen=True, kw_only=True):
    """Somebody types another weight. `keeps` says whether the rate in mL/h or the dose stays."""

    weight_kg: WeightKg
    keeps: Literal["rate", "dose"] = "rate"


class StepOf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a program, then a gap without delivery."""

    rate_ml_h: Annotated[float, Meta(gt=0, le=10_000)]
    minutes: Annotated[float, Meta(gt=0, le=10_000)]
    gap_minutes: Annotated[float, Meta(ge=0, le=10_000)] = 0.0


class ProgramSteps(Programming, frozen=True, kw_only=True):
    """Somebody programs rates one after another; the volume limit is their sum."""

    mode: Literal["multi-step", "multi-dosing", "ramp-taper"] = "multi-step"
    steps: Annotated[tuple[StepOf, ...], Meta(min_length=1, max_length=64)]


class LoadingDose(Programming, frozen=True, kw_only=True):
    """A loading dose on a pump that stands; the continuous rate follows by itself."""

    dose_iu: Annotated[float, Meta(gt=0, le=100_000)]
    duration_s: Seconds


class DoubleCheck(Entry, frozen=True, kw_only=True):
    """Two people have checked independently; one and the same person is rejected."""

    first_user: Word
    second_user: Word


class Standby(Entry, frozen=True, kw_only=True):
    """Hold delivery for a time; when it is over nobody restarts it, the pump calls."""

    minutes: Annotated[float, Meta(gt=0, le=1440)]


class DoorOpen(Entry, frozen=True, kw_only=True):
    """Somebody opens door or cassette."""


class DoorClose(Entry, frozen=True, kw_only=True):
    """Somebody closes door or cassette; nothing starts by itself."""


class Lock(Entry, frozen=True, kw_only=True):
    """Somebody locks the keypad."""


class Unlock(Entry, frozen=True, kw_only=True):
    """Somebody unlocks the keypad with a code."""

    code: Word = "0000"


class Silence(Entry, frozen=True, kw_only=True):
    """Somebody silences the alarm for two minutes, or lets it sound again by a second press."""


class BatterySwap(Entry, frozen=True, kw_only=True):
    """Somebody changes the battery; without mains the pump is off meanwhile, and then boots."""

    takes_s: Seconds = 60.0
    level: Annotated[float, Meta(gt=0, le=1)] = 1.0


class Start(Entry, frozen=True, kw_only=True):
    """Start, resume, or restart after an alarm, which also clears what had latched."""

    user: Word | None = None


class Pause(Entry, frozen=True, kw_only=True):
    """Pause or stop."""

    user: Word | None = None


class ChangeBag(Programming, frozen=True, kw_only=True):
    """A new bag. `programmed_iu_ml` is what is typed in, if that is not what the bag holds."""

    volume_ml: SomeMl | None = None
    concentration_iu_ml: ConcentrationIuMl | None = None
    programmed_iu_ml: ConcentrationIuMl | None = None


class SetReservoir(Entry, frozen=True, kw_only=True):
    """The bag holds this much, be it a refill or a leak.

    `unseen`: the pump is not told, as of a leak, and only a gauge that measures shows it.
    """

    volume_ml: VolumeMl
    unseen: bool = False


class GiveBolus(Programming, frozen=True, kw_only=True):
    """A bolus on top of the continuous rate, programmed at the pump without an order."""

    dose_iu: Annotated[float, Meta(gt=0, le=100_000)]
    duration_s: Seconds


class ClearCounters(Entry, frozen=True, kw_only=True):
    """Somebody sets the volume counter to zero."""


class PowerOff(Entry, frozen=True, kw_only=True):
    """Somebody switches the pump off; it says goodbye."""


class PowerOn(Entry, frozen=True, kw_only=True):
    """Somebody switches the pump on; it tests itself, boots, and waits for a start."""

    self_test: Literal["passes", "fails"] = "passes"


# What the word after `do` may be, and which keys go with it.
ACTIONS: dict[str, type[Entry]] = {
    "program-rate": ProgramRate,
    "program-order": ProgramOrder,
    "program-concentration": ProgramConcentration,
    "program-therapy": ProgramTherapy,
    "program-vtbi": ProgramVtbi,
    "program-weight": ProgramWeight,
    "program-steps": ProgramSteps,
    "loading-dose": LoadingDose,
    "double-check": DoubleCheck,
    "standby": Standby,
    "door-open": DoorOpen,
    "door-close": DoorClose,
    "lock": Lock,
    "unlock": Unlock,
    "silence": Silence,
    "battery-swap": BatterySwap,
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

"""What can stand in a scenario's tables: one Struct for each word after `do`.

The word's keys are the Struct's fields. simulator/scenario.py reads them from a file,
simulator/plan.py spreads them over the pumps, simulator/actions.py carries them out.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.messages import Word
from infusion.prescription import ConcentrationIuMl, Name, WeightKg
from simulator.reading import Offset, parse_offset

ALL = "all"
NEVER = "never"

Pumps = str | tuple[str, ...]
VolumeMl = Annotated[float, Meta(ge=0, le=100_000)]
SomeMl = Annotated[float, Meta(gt=0, le=100_000)]
RateMlH = Annotated[float, Meta(ge=0, le=10_000)]
DoseRate = Annotated[float, Meta(gt=0, le=100_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Patient(Struct, frozen=True, kw_only=True):
    """Who is on a pump at the start. What is None is drawn from the seed or the profile's."""

    pump: str
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


class Occlusion(Entry, frozen=True, kw_only=True):
    """The line closes, or with `resistance_factor` only narrows; `until` opens it again."""

    until: Offset | None = None
    where: Literal["downstream", "upstream"] = "downstream"
    resistance_factor: Annotated[float, Meta(gt=1, le=1e9)] | None = None


class Silence(Entry, frozen=True, kw_only=True):
    """The pump runs and stays connected, but says nothing; with `backfill` it says it later."""

    until: Offset
    backfill: bool = False


class Offline(Entry, frozen=True, kw_only=True):
    """The connection drops without a goodbye; the pump keeps its messages and sends them later."""

    until: Offset


class Battery(Entry, frozen=True, kw_only=True):
    """The pump runs on a battery with this share of its charge; `until` plugs it in again."""

    level: Annotated[float, Meta(ge=0, le=1)]
    until: Offset | None = None


class Reboot(Entry, frozen=True, kw_only=True):
    """The pump restarts by itself; `resume` says whether it then goes on with what it did."""

    resume: bool = True


class CounterFrozen(Entry, frozen=True, kw_only=True):
    """The volume counter stands still while the pump delivers, then counts on from there."""

    until: Offset


class CounterBackwards(Entry, frozen=True, kw_only=True):
    """The volume counter drops, but not below zero, though nobody cleared it."""

    volume_ml: SomeMl


class CounterJump(Entry, frozen=True, kw_only=True):
    """The volume counter leaps ahead of what was pumped."""

    volume_ml: SomeMl


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


class Order(Entry, frozen=True, kw_only=True):
    """A new version of the order. The pump follows after `applied_after`, unless it is never."""

    applied_after: str = "00:00"

    @property
    def applied_after_ms(self) -> int | None:
        """How long after the order the pump is programmed to it; None when never."""
        return None if self.applied_after == NEVER else parse_offset(self.applied_after).ms


class OrderStart(Order, frozen=True, kw_only=True):
    """The infusion begins again after a stop."""

    dose_iu_kg_h: DoseRate | None = None
    dose_iu_h: DoseRate | None = None


class OrderRate(Order, frozen=True, kw_only=True):
    """The infusion goes on at another rate."""

    dose_iu_kg_h: DoseRate | None = None
    dose_iu_h: DoseRate | None = None


class OrderHold(Order, frozen=True, kw_only=True):
    """The infusion pauses until a time."""

    until: Offset


class OrderBolus(Order, frozen=True, kw_only=True):
    """A bolus on top of the continuous rate."""

    dose_iu: Annotated[float, Meta(gt=0, le=100_000)]
    duration_s: Seconds


class OrderStop(Order, frozen=True, kw_only=True):
    """The infusion ends."""


class Expectation(Struct, frozen=True, kw_only=True):
    """An alert of `rule` on `pump`, raised between two times, cleared by a third if it is given."""

    pump: str
    rule: Word
    raised: tuple[Offset, Offset]
    cleared_by: Offset | None = None


# What the word after `do` may be, and which keys go with it.
FAULTS: dict[str, type[Entry]] = {
    "occlusion": Occlusion,
    "silence": Silence,
    "offline": Offline,
    "battery": Battery,
    "reboot": Reboot,
    "counter-frozen": CounterFrozen,
    "counter-backwards": CounterBackwards,
    "counter-jump": CounterJump,
}
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
ORDERS: dict[str, type[Order]] = {
    "start": OrderStart,
    "rate": OrderRate,
    "hold": OrderHold,
    "bolus": OrderBolus,
    "stop": OrderStop,
}

"""What can break: one Struct for each word after `do` in a [[fault]].

The word's keys are the Struct's fields; what each does to a pump is in simulator/fault_effects.py.
"""

from typing import Annotated, Literal

from msgspec import Meta

from simulator.story.entries import Entry, SomeMl
from simulator.story.reading import Offset
from simulator.story.wire_faults import WIRE_FAULTS


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
    **WIRE_FAULTS,
}

"""What can break: one Struct for each word after `do` in a [[fault]].

The word's keys are the Struct's fields; what each does to a pump is in simulator/fault_effects.py.
"""

from typing import Annotated, Literal

from msgspec import Meta

from simulator.story.entries import Entry, Seconds, SomeMl
from simulator.story.reading import Offset
from simulator.story.wire_faults import WIRE_FAULTS


class Occlusion(Entry, frozen=True, kw_only=True):
    """The line closes, or with `resistance_factor` only narrows; `until` opens it again.

    With `grows_over` it comes slowly, within that time; with `cycle_s` it comes and goes, open for
    `open_share` of each cycle.
    """

    until: Offset | None = None
    where: Literal["downstream", "upstream"] = "downstream"
    resistance_factor: Annotated[float, Meta(gt=1, le=1e9)] | None = None
    grows_over: Offset | None = None
    cycle_s: Seconds | None = None
    open_share: Annotated[float, Meta(ge=0, le=1)] = 0.5


class BackPressure(Entry, frozen=True, kw_only=True):
    """The pressure at the far end of the line rises, as by a cuff, or falls."""

    until: Offset | None = None
    mmhg: Annotated[float, Meta(ge=-300, le=300)]


class Height(Entry, frozen=True, kw_only=True):
    """The vein is this much above the pump; negative where the pump hangs above the vein."""

    until: Offset | None = None
    cm: Annotated[float, Meta(ge=-200, le=200)]


class Siphon(Entry, frozen=True, kw_only=True):
    """Something leaks past the mechanism, driven by a reservoir so much above the pump."""

    until: Offset | None = None
    head_cm: Annotated[float, Meta(gt=0, le=200)] = 50.0


class FreeFlow(Entry, frozen=True, kw_only=True):
    """The mechanism holds nothing back: the reservoir runs out through the open line."""

    until: Offset | None = None
    head_cm: Annotated[float, Meta(gt=0, le=200)] = 80.0


class Leak(Entry, frozen=True, kw_only=True):
    """The line leaks this share of what leaves it; 1 is a line that has come off."""

    until: Offset | None = None
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0


class AirBubble(Entry, frozen=True, kw_only=True):
    """A bubble enters the line, so much volume before the detector."""

    volume_ul: Annotated[float, Meta(gt=0, le=100_000)]
    before_ml: Annotated[float, Meta(ge=0, le=1000)] = 0.0


class AirRate(Entry, frozen=True, kw_only=True):
    """Air comes out of the solution, evenly with the volume, in bubbles of one size."""

    until: Offset | None = None
    ul_per_ml: Annotated[float, Meta(gt=0, le=1000)]
    bubble_ul: Annotated[float, Meta(gt=0, le=10_000)] = 60.0


class FlowError(Entry, frozen=True, kw_only=True):
    """The pump gives this share more than it should, or less where negative."""

    until: Offset | None = None
    share: Annotated[float, Meta(ge=-1, le=5)]


class FlowDrift(Entry, frozen=True, kw_only=True):
    """The flow drifts away by this share in each hour."""

    until: Offset | None = None
    share_per_hour: Annotated[float, Meta(ge=-1, le=5)]


class Temperature(Entry, frozen=True, kw_only=True):
    """The pump lies in the sun or in the cold; it takes time to become as warm."""

    until: Offset | None = None
    ambient_c: Annotated[float, Meta(ge=-40, le=90)]


class BatteryAgeing(Entry, frozen=True, kw_only=True):
    """The battery holds only this share of what a new one does."""

    until: Offset | None = None
    capacity: Annotated[float, Meta(gt=0, le=1)]


class StuckSensor(Entry, frozen=True, kw_only=True):
    """A sensor keeps the value that it has; `flow` is that of a pump with a flow sensor."""

    until: Offset | None = None
    sensor: Literal["pressure", "air", "reservoir", "flow"]


class ClockDrift(Entry, frozen=True, kw_only=True):
    """The pump's clock gains so many millionths, or loses; what it gained stays."""

    until: Offset | None = None
    ppm: Annotated[float, Meta(ge=-100_000, le=100_000)]


class ClockStep(Entry, frozen=True, kw_only=True):
    """The pump's clock leaps, ahead or back where negative."""

    by_s: Annotated[float, Meta(ge=-31_536_000, le=31_536_000)]


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
    "back-pressure": BackPressure,
    "height": Height,
    "siphon": Siphon,
    "free-flow": FreeFlow,
    "leak": Leak,
    "air-bubble": AirBubble,
    "air": AirRate,
    "flow-error": FlowError,
    "flow-drift": FlowDrift,
    "temperature": Temperature,
    "battery-ageing": BatteryAgeing,
    "stuck-sensor": StuckSensor,
    "clock-drift": ClockDrift,
    "clock-step": ClockStep,
    **WIRE_FAULTS,
}

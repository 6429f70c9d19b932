"""What surrounds one pump while faults are in force, all of them together.

Each fault in force that works on physics is a `Condition`. `refresh` adds all conditions of a unit
up and tells physics the result, so that faults compose and the line opens when the last one ends:
narrow places in series add their resistances, shares multiply, pressures and errors add. Conditions
that change by themselves (growing, intermittent, drift, temperature) are refreshed in each step.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from infusion.units import MS_PER_HOUR, MS_PER_SECOND
from simulator.physics.line import MMHG_PER_CM
from simulator.physics.power import REFERENCE_C, cooled_c
from simulator.profile import Profile
from simulator.story import faults as do
from simulator.story.entries import Entry

if TYPE_CHECKING:
    from simulator.rig import Rig
    from simulator.unit import Unit

# Nearer to the ambient temperature than this it is the ambient temperature.
SETTLED_C = 0.01


class Condition(Struct, frozen=True):
    """A fault in force since a time."""

    entry: Entry
    since_ms: int


class Around(Struct):
    """The sum of all conditions of a unit; the defaults are a sound pump."""

    resistance: float = 1.0
    upstream: float = 1.0
    outside_mmhg: float = 0.0
    error: float = 0.0
    kept: float = 1.0
    siphon_cm: float = 0.0
    siphon_conductance: float = 0.0
    ambient_c: float = REFERENCE_C
    capacity: float = 1.0
    drift_ppm: float = 0.0


def refresh(rig: "Rig", unit: "Unit") -> None:
    """Tell physics what all conditions of a unit come to now."""
    around = Around()
    for condition in unit.conditions:
        add = ADD.get(type(condition.entry))
        if add is not None:
            now = Now(rig.now_ms - condition.since_ms, unit.pump.profile)
            add(around, condition.entry, now)
    state, index, profile = rig.state, unit.index, unit.pump.profile
    _warm(rig, unit, around.ambient_c)
    state.set_resistance(index, around.resistance)
    if state.upstream_open[index] != around.upstream:
        state.set_upstream_share(index, around.upstream)
    state.set_outside(index, around.outside_mmhg)
    error = around.error + profile.head_error_per_mmhg * around.outside_mmhg
    error += profile.temperature_error_per_c * (state.ambient_c(index) - REFERENCE_C)
    state.set_error(index, error)
    state.set_leak(index, 1.0 - around.kept)
    conductance = around.siphon_conductance
    state.set_siphon(index, around.siphon_cm, 1.0 / conductance if conductance else math.inf)
    unit.battery_health = around.capacity
    if unit.clock.drift_ppm != around.drift_ppm:
        unit.clock = unit.clock.drifting(rig.now_ms, around.drift_ppm)
    changes = index in state.temperature_c or any(_changes(each.entry) for each in unit.conditions)
    if changes and unit not in rig.changing:
        rig.changing.append(unit)
    elif not changes and unit in rig.changing:
        rig.changing.remove(unit)
    rig.sync(unit)
    if state.ambient_c(index) >= profile.overheat_c:
        rig.look(unit)


def _conductance(fault: do.Occlusion, elapsed_ms: int) -> float:
    """The share of the free conductance that is left: 1 free, 0 closed.

    A growing occlusion takes conductance away evenly; an intermittent one is open for its share at
    the end of each cycle.
    """
    left = 1.0 / fault.resistance_factor if fault.resistance_factor else 0.0
    if fault.grows_over is not None:
        left = 1.0 - (1.0 - left) * min(1.0, elapsed_ms / fault.grows_over.ms)
    if fault.cycle_s is not None:
        phase = elapsed_ms / (fault.cycle_s * MS_PER_SECOND) % 1.0
        if phase >= 1.0 - fault.open_share:
            return 1.0
    return left


def _changes(entry: Entry) -> bool:
    if isinstance(entry, do.Occlusion):
        return entry.grows_over is not None or entry.cycle_s is not None
    return isinstance(entry, do.FlowDrift | do.Temperature)


def _warm(rig: "Rig", unit: "Unit", ambient_c: float) -> None:
    """The pump's own temperature follows the ambient one."""
    state, index = rig.state, unit.index
    before = state.ambient_c(index)
    minutes = unit.pump.profile.temperature_time_min
    dt_s = (rig.now_ms - unit.warmed_ms) / MS_PER_SECOND if index in state.temperature_c else 0.0
    unit.warmed_ms = rig.now_ms
    after = cooled_c(before, ambient_c, dt_s, minutes)
    if ambient_c == REFERENCE_C and abs(after - REFERENCE_C) < SETTLED_C:
        state.temperature_c.pop(index, None)
    else:
        state.temperature_c[index] = after


# --- what each kind adds -------------------------------------------------------------------------


class Now(Struct, frozen=True):
    """For how long a condition has been in force, and on what pump."""

    elapsed_ms: int
    profile: Profile


def _occlusion(around: Around, fault: do.Occlusion, now: Now) -> None:
    conductance = _conductance(fault, now.elapsed_ms)
    if fault.where == "upstream":
        around.upstream *= conductance
    else:
        around.resistance += 1.0 / conductance - 1.0 if conductance > 0.0 else math.inf


def _back_pressure(around: Around, fault: do.BackPressure, _: Now) -> None:
    around.outside_mmhg += fault.mmhg


def _height(around: Around, fault: do.Height, _: Now) -> None:
    around.outside_mmhg += fault.cm * MMHG_PER_CM


def _flow_error(around: Around, fault: do.FlowError, _: Now) -> None:
    around.error += fault.share


def _flow_drift(around: Around, fault: do.FlowDrift, now: Now) -> None:
    around.error += fault.share_per_hour * now.elapsed_ms / MS_PER_HOUR


def _leak(around: Around, fault: do.Leak, _: Now) -> None:
    around.kept *= 1.0 - fault.share


def _siphon(around: Around, fault: do.Siphon, now: Now) -> None:
    around.siphon_cm = max(around.siphon_cm, fault.head_cm)
    around.siphon_conductance += 1.0 / now.profile.siphon_resistance_mmhg_h_ml


def _free_flow(around: Around, fault: do.FreeFlow, now: Now) -> None:
    around.siphon_cm = max(around.siphon_cm, fault.head_cm)
    around.siphon_conductance += 1.0 / now.profile.free_resistance_mmhg_h_ml


def _temperature(around: Around, fault: do.Temperature, _: Now) -> None:
    # The latest place in which the pump lies counts.
    around.ambient_c = fault.ambient_c


def _battery_ageing(around: Around, fault: do.BatteryAgeing, _: Now) -> None:
    around.capacity *= fault.capacity


def _clock_drift(around: Around, fault: do.ClockDrift, _: Now) -> None:
    around.drift_ppm += fault.ppm


ADD: dict[type[Entry], Callable[[Around, Any, Now], None]] = {
    do.Occlusion: _occlusion,
    do.BackPressure: _back_pressure,
    do.Height: _height,
    do.Siphon: _siphon,
    do.FreeFlow: _free_flow,
    do.Leak: _leak,
    do.FlowError: _flow_error,
    do.FlowDrift: _flow_drift,
    do.Temperature: _temperature,
    do.BatteryAgeing: _battery_ageing,
    do.ClockDrift: _clock_drift,
}

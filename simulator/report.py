"""Telemetry of many pumps at once: sensors out of the arrays, words out of templates.

Most of what a fleet says is telemetry of pumps to which nothing has happened since they spoke last.
For those the numbers come out of the arrays in one go, and go into the template that the last
message left. Whoever has something special about it (a stuck sensor, air, a siphon, a frozen
counter) is read one by one.
"""

import numpy as np

from simulator.machine import POWERED
from simulator.physics import State
from simulator.physics.arrays import Indices
from simulator.rig import Rig
from simulator.unit import Unit


def report(rig: Rig, group: Indices) -> None:
    """Let these pumps tell how they stand, unless they have told everything at this instant."""
    state = rig.state
    special = set().union(
        state.stuck_mmhg, state.stuck_ml, state.stuck_flow, state.siphons, state.air
    )
    for index, *numbers in zip(*_columns(state, group), strict=True):
        unit = rig.units[index]
        if unit.pump.mode not in POWERED or unit.pump.told_ms == rig.device_ms(unit):
            continue
        if unit.template is None or index in special or unit.pump.frozen_at_nl is not None:
            rig.tell(unit, [unit.pump.telemetry(rig.readings(unit), rig.device_ms(unit))])
        else:
            _fill(rig, unit, *numbers)


def _fill(
    rig: Rig,
    unit: Unit,
    counted_ml: float,
    level_ml: float,
    pressure_mmhg: float,
    flow_ml_h: float,
    battery: float,
) -> None:
    """Say the last message again with these numbers, as Pump.telemetry would."""
    pump, template = unit.pump, unit.template
    assert template is not None, "the caller has looked"
    device_ms = pump.told_ms = rig.device_ms(unit)
    axis_nl = round(counted_ml * 1e6)
    delivers = pump.is_delivering
    numbers = (
        pump.next_seq(),
        device_ms,
        max(0.0, flow_ml_h) if delivers else 0.0,
        max(0, axis_nl - pump.counter_from_nl) / 1e6,
        max(0, axis_nl - pump.segment_from_nl) / 1e6 if delivers else 0.0,
        0.0 if pump.vtbi_at_nl is None else max(0, pump.vtbi_at_nl - axis_nl) / 1e6,
        level_ml,
        pressure_mmhg,
        0.0,
        battery,
    )
    rig.tell_again(unit, template % numbers)


def _columns(state: State, group: Indices) -> tuple[list[float], ...]:
    """Index, counted volume, level, pressure, flow and battery of ordinary pumps, as they sense
    them: what `Rig.readings` says of one.
    """
    counted = state.counted_ml[group]
    gauge = state.gauge_empty_at_ml[group]
    level = np.where(
        np.isinf(gauge),
        state.empty_at_ml[group] - state.pumped_ml[group],
        np.maximum(0.0, gauge - counted),
    )
    pressure = state.venous_mmhg[group] + state.held_ml[group] / state.compliance[group]
    drive = state.drive_ml_h[group]
    seen = drive * state.flow_factor[group] * state.sense_factor[group]
    flow = np.where(state.counts_motor[group], drive, seen)
    columns = (group, counted, level, pressure, flow, state.battery[group])
    return tuple(column.tolist() for column in columns)

"""Telemetry of many pumps at once: sensors out of the arrays, words out of their voices."""

from itertools import repeat

import numpy as np

from infusion.messages import Kind
from infusion.units import NL_PER_ML
from simulator.machine import POWERED
from simulator.physics import State
from simulator.physics.arrays import Indices
from simulator.rig import Rig
from simulator.stream import Outgoing
from simulator.voices import Voices


def report(rig: Rig, group: Indices) -> None:
    """Let these pumps tell how they stand, unless they have told everything at this instant."""
    # What a message costs here is nearly all that a fleet costs: see docs/performance.md.
    now_ms, kind, indices = rig.now_ms, Kind.TELEMETRY, group.tolist()
    voices = [rig.voices.of[index] for index in indices]
    numbers = [0 if voice is None else voice.pump.seq for voice in voices]
    rows = zip(numbers, repeat(now_ms), *_columns(rig.state, rig.voices, group), strict=False)
    for index, voice, row in zip(indices, voices, rows, strict=True):
        if voice is None:
            _tell(rig, index)
            continue
        pump = voice.pump
        if pump.told_ms != now_ms:
            pump.seq += 1
            payload = voice.template % row
            rig.out.append(Outgoing(pump.name, voice.topic, payload, 1, False, now_ms, kind))


def _tell(rig: Rig, index: int) -> None:
    """The same for a pump that has to be read one by one."""
    unit = rig.units[index]
    device_ms = rig.device_ms(unit)
    if unit.pump.mode in POWERED and unit.pump.told_ms != device_ms:
        rig.tell(unit, [unit.pump.telemetry(rig.readings(unit), device_ms)])


def _columns(state: State, voices: Voices, group: Indices) -> tuple[list[float], ...]:
    """Each pump's numbers in the order of simulator.template.GAPS from the flow on:
    what `Rig.readings` and `Pump.telemetry` say of one ordinary pump.
    """
    counted_ml = state.counted_ml[group]
    axis_nl = np.rint(counted_ml * NL_PER_ML)
    delivers = voices.delivers[group]
    drive = state.drive_ml_h[group]
    seen = drive * state.flow_factor[group] * state.sense_factor[group]
    flow = np.maximum(np.where(state.counts_motor[group], drive, seen) * delivers, 0.0)
    volume = np.maximum(axis_nl - voices.counter_from_nl[group], 0.0) / NL_PER_ML
    segment = np.maximum(axis_nl - voices.segment_from_nl[group], 0.0) * delivers / NL_PER_ML
    remaining = np.maximum(voices.vtbi_at_nl[group] - axis_nl, 0.0) / NL_PER_ML
    level = state.reservoirs_ml(group)
    pressure = state.venous_mmhg[group] + state.held_ml[group] / state.compliance[group]
    columns = (flow, volume, segment, remaining, level, pressure, state.battery[group])
    return tuple(column.tolist() for column in columns)

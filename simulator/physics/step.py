"""One step of a whole fleet, in place."""

import numpy as np

from infusion.units import MS_PER_SECOND
from simulator.physics.arrays import SECONDS_PER_HOUR, Flags, Floats
from simulator.physics.flow import RIPPLE_TICK_MS, displace, land, start_up, tick_ripple
from simulator.physics.line import (
    count_time_over_limit,
    flag_pressure,
    pass_on,
    set_shares,
    siphoned_ml,
)
from simulator.physics.state import State


def step(state: State, dt_s: float) -> Flags:
    """Move the fleet on by `dt_s` seconds, in place.

    Returns an array of shape (n,), valid until the next call: which pumps have come to a mark or
    a limit and need their machine. It stays true until the machine moves the mark.
    """
    if dt_s != state.step_s:
        state.step_s = dt_s
        set_shares(state, slice(None))
    while state.ripple_number < state.time_ms // RIPPLE_TICK_MS:
        state.ripple_number += 1
        tick_ripple(state)
    state.time_ms += round(dt_s * MS_PER_SECOND)

    motor, displaced, volume, counted, spare, _ = state.work
    np.multiply(state.drive_ml_h, dt_s / SECONDS_PER_HOUR, out=counted)  # the motor's travel
    np.add(state.motor_ml, counted, out=motor)
    displace(state, motor, displaced, spare)
    np.subtract(displaced, state.displaced_ml, out=volume)
    # D is monotone; only rounding, where a pump has landed on a mark, could draw anything back.
    np.maximum(volume, 0.0, out=volume)
    volume *= state.flow_factor
    if state.starting.size:
        start_up(state, motor, volume)
    for pump in state.siphons:
        state.siphon_step_ml[pump] = siphoned_ml(state, pump, float(volume[pump]), dt_s)
        volume[pump] += state.siphon_step_ml[pump]

    _count(state, motor, displaced, volume, counted, spare)
    _miss(state, dt_s)
    state.motor_ml[:] = motor
    state.displaced_ml[:] = displaced
    held = counted
    pass_on(state, volume, held, spare)
    count_time_over_limit(state, held, volume, dt_s)
    state.held_ml[:] = held
    for pump, air in state.air.items():
        pumped = float(state.pumped_ml[pump])
        air.move(state.profile(pump), state.time_ms, pumped, float(volume[pump]))

    np.multiply(state.battery_slope, dt_s * MS_PER_SECOND, out=spare)
    state.battery += spare
    np.maximum(state.battery, 0.0, out=state.battery)
    np.minimum(state.battery, 1.0, out=state.battery)
    return _needs_machine(state)


def _count(
    state: State,
    motor: Floats,
    displaced: Floats,
    volume: Floats,
    counted: Floats,
    spare: Floats,
) -> None:
    """Add the step to the counted and the pumped axis; who would go past a mark lands on it.

    `counted` comes in as the motor's travel.
    """
    np.multiply(volume, state.sense_factor, out=spare)
    np.copyto(counted, spare, where=state.counts_volume)
    counted += state.counted_ml
    np.add(state.pumped_ml, volume, out=spare)
    beyond = counted >= state.stop_at_ml
    beyond |= counted >= state.gauge_empty_at_ml
    beyond |= spare >= state.empty_at_ml
    state.dry = []
    for pump in beyond.nonzero()[0].tolist():
        counted[pump] = land(state, pump, motor, displaced, volume)
        spare[pump] = state.pumped_ml[pump] + volume[pump]
        left = state.empty_at_ml[pump] - state.pumped_ml[pump]
        if volume[pump] >= left:
            # The last of the reservoir: on its end exactly, and dry from then on.
            volume[pump] = max(0.0, left)
            spare[pump] = max(state.empty_at_ml[pump], state.pumped_ml[pump])
            state.dry.append(pump)
    state.counted_ml[:] = counted
    state.pumped_ml[:] = spare


def _miss(state: State, dt_s: float) -> None:
    """Volume that did not come from upstream; the pump senses it in the end."""
    for pump in state.blocked:
        travel = float(state.drive_ml_h[pump]) * dt_s / SECONDS_PER_HOUR
        state.missed_ml[pump] += travel * (1.0 - float(state.upstream_open[pump]))
    for pump in state.dry:
        if state.upstream_open[pump] > 0.0:
            state.missed_ml[pump] += float(state.drive_ml_h[pump]) * dt_s / SECONDS_PER_HOUR


def _needs_machine(state: State) -> Flags:
    flags: Flags = state.counted_ml >= state.low_at_ml
    flags |= state.counted_ml >= state.stop_at_ml
    flags |= state.counted_ml >= state.gauge_empty_at_ml
    flags &= state.drive_ml_h > 0
    flags |= state.battery <= state.battery_watch
    flag_pressure(state, flags)
    for pump in (*state.blocked, *state.dry):
        flags[pump] |= state.is_starved(pump) and state.drive_ml_h[pump] > 0
    weighing = state.weighing
    if weighing.size:
        reached = state.pumped_ml[weighing] >= state.weighed_mark_ml[weighing]
        flags[weighing] |= reached & (state.drive_ml_h[weighing] > 0)
    for pump in state.siphons:
        flags[pump] = True
    for pump, air in state.air.items():
        flags[pump] |= air.is_over and state.drive_ml_h[pump] > 0
    return flags

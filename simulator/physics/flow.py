"""From the motor to displaced volume: mechanism, start-up, error of flow, marks.

**Mechanism.** The motor's position m is in nominal millilitres. Of every stroke s it moves the
share d (the duty) at h times the mean flow and the rest at l times the mean, d·h + (1 − d)·l = 1.
With n = ⌊m/s⌋ and f = m/s − n the displaced volume is monotone and piecewise linear:

    D(m) = s·(n + min(h·f, 1 − l·(1 − f))).

l = 0 is a cassette that fills and ejects, l slightly below 1 the dip of peristaltic rollers, and
l = 1 a perfect lead screw, D(m) = m.

**Error.** Displaced volume is multiplied by 1 + b + x(t) + e: b the pump's own constant error, x
a slow ripple, an AR(1) series with one value a minute, e what head pressure, temperature and
faults add. Value number n of x depends on the pump's key and n alone (a counter-based generator),
so neither the size of the fleet nor the grouping of steps changes it.

**Start-up.** A freshly fitted syringe has slack: the first volume of motor travel moves nothing.
After it, seal and gears are pressed together like a spring, with λ the volume that they take up:
dD/dm = 1 − e^(−y/λ), y the travel past the slack, and so

    S(y) = y − λ·(1 − e^(−y/λ)).

Both are volumes, so that the published times t₁ and t₂ come out of them at each rate (pump-
standards §3.1 names "free play, then first order").
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from infusion.units import MS_PER_MINUTE
from simulator.physics.arrays import Floats, Indices, Keys

if TYPE_CHECKING:
    from simulator.physics.state import State

RIPPLE_TICK_MS = MS_PER_MINUTE
# After so many λ the start-up is over: e^(−30) is 1e-13.
STARTUP_LENGTHS = 30.0
# splitmix64 by Sebastiano Vigna, public domain (prng.di.unimi.it/splitmix64.c).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
# A uniform number on [-√3, √3] has standard deviation 1.
_UNIFORM_HALF_WIDTH = math.sqrt(3.0)


def displace(state: "State", motor: Floats, out: Floats, spare: Floats) -> None:
    """D(m) of every pump into `out`; `spare` is overwritten."""
    np.multiply(motor, state.strokes_per_ml, out=out)
    np.floor(out, out=spare)
    out -= spare  # f
    np.add(spare, 1.0, out=spare)
    # n + 1 − l·(1 − f), then n + h·f, the smaller of the two.
    low = state.work[5]
    np.subtract(out, 1.0, out=low)
    low *= state.stroke_low
    low += spare
    spare -= 1.0
    out *= state.stroke_high
    out += spare
    np.minimum(out, low, out=out)
    out *= state.stroke_ml


def displaced_ml(state: "State", pump: int, motor_ml: float) -> float:
    """D(m) of one pump, by the same operations as `displace`."""
    position = motor_ml * float(state.strokes_per_ml[pump])
    whole = math.floor(position)
    part = position - whole
    low = (part - 1.0) * float(state.stroke_low[pump]) + (whole + 1.0)
    high = part * float(state.stroke_high[pump]) + whole
    return min(high, low) * float(state.stroke_ml[pump])


def motor_at_ml(state: "State", pump: int, displaced: float) -> float:
    """The motor position at which D is `displaced`: the inverse of D, the earliest one."""
    strokes = displaced * float(state.strokes_per_ml[pump])
    whole = math.floor(strokes)
    part = strokes - whole
    low, high = float(state.stroke_low[pump]), float(state.stroke_high[pump])
    share = part / high
    if low > 0.0:
        share = max(share, 1.0 - (1.0 - part) / low)
    return (whole + share) * float(state.stroke_ml[pump])


def start_up(state: "State", motor: Floats, volume: Floats) -> None:
    """Reduce the volume of pumps that are not through their start-up; only they are looked at."""
    index = state.starting
    after = motor[index] - state.slack_end_ml[index]
    before = state.motor_ml[index] - state.slack_end_ml[index]
    length = state.startup_ml[index]
    travel = after - before
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (_taken_up(after, length) - _taken_up(before, length)) / travel
    volume[index] *= np.where(travel > 0.0, share, 0.0)
    through = before > STARTUP_LENGTHS * length
    if through.any():
        state.starting = index[~through]


def start_up_share(state: "State", pump: int, motor_ml: float) -> float:
    """The share of one pump's displaced volume that comes out on its way to `motor_ml`."""
    if not np.any(state.starting == pump):
        return 1.0
    end, length = state.slack_end_ml[pump], state.startup_ml[pump : pump + 1]
    after, before = np.array([motor_ml - end]), np.array([state.motor_ml[pump] - end])
    travel = float(after[0] - before[0])
    moved = _taken_up(after, length) - _taken_up(before, length)
    return float(moved[0]) / travel if travel > 0.0 else 0.0


def _taken_up(travel: Floats, length: Floats) -> Floats:
    """S(y) for y > 0, else 0."""
    past = np.maximum(travel, 0.0)
    return np.asarray(past + length * np.expm1(-past / length))


def land(state: "State", pump: int, motor: Floats, displaced: Floats, volume: Floats) -> float:
    """One pump that comes to a mark in this step: it stops on it exactly.

    Sets its entries of `motor`, `displaced` and `volume`, and returns its counted volume at the
    end of the step.
    """
    counted = float(state.counted_ml[pump])
    stop = min(float(state.stop_at_ml[pump]), float(state.gauge_empty_at_ml[pump]))
    room = max(0.0, stop - counted)
    left = max(0.0, float(state.empty_at_ml[pump] - state.pumped_ml[pump]))
    here, factor = float(state.motor_ml[pump]), float(state.flow_factor[pump])
    sense = float(state.sense_factor[pump])
    if state.counts_motor[pump]:
        travel = float(motor[pump]) - here
        if travel >= room:
            travel = room
            motor[pump] = here + room
            displaced[pump] = displaced_ml(state, pump, here + room)
            moved = float(displaced[pump] - state.displaced_ml[pump])
            moved *= factor * start_up_share(state, pump, here + room)
            volume[pump] = moved + state.siphon_step_ml.get(pump, 0.0)
            counted = stop
        else:
            counted += travel
        volume[pump] = min(float(volume[pump]), left)
        return counted
    wanted = float(volume[pump])
    if wanted * sense >= room:
        # A siphon does not stop for a mark, the motor does.
        driven = max(0.0, room / sense - state.siphon_step_ml.get(pump, 0.0))
        reached = float(state.displaced_ml[pump]) + (driven / factor if factor > 0.0 else 0.0)
        displaced[pump] = reached
        motor[pump] = max(here, motor_at_ml(state, pump, reached))
        siphoned = state.siphon_step_ml.get(pump, 0.0)
        volume[pump] = min(max(room / sense, siphoned), left)
        return max(stop, counted + siphoned * sense) if left >= volume[pump] else counted
    volume[pump] = min(wanted, left)
    if left <= wanted:
        # What lands on the end of the bag lands there on the counter as well.
        return counted + left * sense
    return counted + wanted * sense


def set_gain(state: "State") -> None:
    """Displaced volume to volume: 1 + b + x + e, and nothing where the way upstream is closed."""
    factor = state.flow_factor
    np.clip(state.ripple, -state.ripple_max, state.ripple_max, out=factor)
    factor += state.bias
    factor += state.error
    factor += 1.0
    np.maximum(factor, 0.0, out=factor)
    factor *= state.upstream_open


def set_gain_of(state: "State", pump: int) -> None:
    """The same for one pump."""
    limit = state.ripple_max[pump]
    ripple = min(max(state.ripple[pump], -limit), limit)
    gain = max(0.0, ripple + state.bias[pump] + state.error[pump] + 1.0)
    state.flow_factor[pump] = gain * state.upstream_open[pump]


def tick_ripple(state: "State") -> None:
    """The next value of x: x ← a·x + √(1 − a²)·σ·u with a = e^(−1/T), u uniform of unit variance.

    Source: AR(1), any textbook on time series. Uniform innovations keep x bounded.
    """
    state.ripple *= state.ripple_keep
    noise = uniforms(state.keys, state.ripple_number)
    noise *= 2.0
    noise -= 1.0
    noise *= state.ripple_spread
    state.ripple += noise
    set_gain(state)


def ripple_terms(time_min: float, standard_deviation: float) -> tuple[float, float]:
    """a and the half-width of the uniform innovation, √3·√(1 − a²)·σ, of the AR(1) series."""
    keep = math.exp(-RIPPLE_TICK_MS / (time_min * MS_PER_MINUTE))
    return keep, math.sqrt(1.0 - keep * keep) * standard_deviation * _UNIFORM_HALF_WIDTH


def uniforms(keys: Keys, number: int) -> Floats:
    """Number `number` of each key's series, uniform on [0, 1), shape (n,): splitmix64."""
    mixed = keys + _GOLDEN * np.array([number], dtype=np.uint64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def begin_start_up(state: "State", pumps: Indices, slack_ml: Floats) -> None:
    """A syringe or set is fitted, or the motor starts again: so much travel moves nothing."""
    state.slack_end_ml[pumps] = state.motor_ml[pumps] + slack_ml
    state.starting = np.union1d(state.starting, pumps)

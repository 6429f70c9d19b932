"""Flow, line pressure, reservoir and battery of a whole fleet, one array element a pump.

**Flow.** A pump that is driven at r moves q = r·(1 + b + x(t)): b is the pump's own constant
error, x a slow ripple, an AR(1) series with one value a minute. Ripple number n of a pump depends
on that pump's key and n alone (a counter-based generator), so neither the size of the fleet nor
the grouping of steps changes it.

**Line.** Between pump and vein lies an elastic line (compliance C) and a resistance R. The line
holds H = C·(P − P_ven) and lets H/τ through to the patient, τ = R·C, so dH/dt = q − H/τ. With q
constant during a step this has the exact solution

    H(t) = q·τ + (H₀ − q·τ)·e^(−t/τ),

and for a full occlusion, R = ∞, simply H₀ + q·t. Free line: P = P_ven + q·R. Full occlusion:
dP/dt = q/C, so that the limit is reached after C·(P_lim − P₀)/q. On release what is held reaches
the patient with time constant τ. A partial occlusion multiplies R.
Source: the usual compliance model of infusion lines, reference pump-standards §3.1; ecri.org
criteria there for the limits.

**Conservation.** At every step pumped = held + reached the patient, to rounding.

**Reservoir and limits** are marks on the axis of pumped volume: `empty_at_ml`, `stop_at_ml`. The
pump never goes past a mark, it lands on it exactly.
"""

import math

import numpy as np
from numpy.typing import NDArray

from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND
from simulator.profile import Profile

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Keys = NDArray[np.uint64]

SECONDS_PER_HOUR = 3600.0
# Rounding must not put an alarm off by a whole step.
TIME_TOLERANCE_S = 1e-6
RIPPLE_TICK_MS = MS_PER_MINUTE
# splitmix64 by Sebastiano Vigna, public domain (prng.di.unimi.it/splitmix64.c).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
# A uniform number on [-√3, √3] has standard deviation 1.
_UNIFORM_HALF_WIDTH = math.sqrt(3.0)


class State:
    """The physical state of n pumps; every array has shape (n,).

    Written by the machines: `drive_ml_h` (commanded rate, 0 when the pump stands), `stop_at_ml`,
    `empty_at_ml`, `low_at_ml` (marks on the axis of pumped volume; infinity for none),
    `upstream_open`, `battery_slope` (share a ms), `battery_watch` (level to report at), and the
    line through `set_resistance`. Written by `step`: the rest.
    """

    __slots__ = (
        "battery",
        "battery_slope",
        "battery_watch",
        "bias",
        "drive_ml_h",
        "empty_at_ml",
        "flow_factor",
        "gain",
        "held_limit_ml",
        "held_ml",
        "inflow_share",
        "keys",
        "low_at_ml",
        "missed_ml",
        "outflow_share",
        "over_s",
        "patient_ml",
        "profile",
        "pumped_ml",
        "ripple",
        "ripple_number",
        "step_s",
        "stop_at_ml",
        "tau_s",
        "time_ms",
        "upstream_open",
        "work",
    )

    def __init__(self, profile: Profile, *, bias: Floats, ripple: Floats, keys: Keys) -> None:
        """A fleet at rest: nothing pumped, lines free, full batteries on mains power.

        `bias` and `ripple` are relative errors, `keys` any 64-bit numbers, one for each pump.
        """
        size = len(bias)
        self.profile = profile
        self.time_ms = 0
        self.step_s = 0.0
        self.bias = bias
        self.ripple = ripple
        self.ripple_number = 0
        self.keys = keys
        self.gain = np.ones(size)
        self.flow_factor = np.ones(size)
        self.upstream_open = np.ones(size)
        self.drive_ml_h = np.zeros(size)
        self.pumped_ml = np.zeros(size)
        self.held_ml = np.zeros(size)
        self.patient_ml = np.zeros(size)
        self.missed_ml = np.zeros(size)
        self.over_s = np.zeros(size)
        self.stop_at_ml = np.full(size, np.inf)
        self.empty_at_ml = np.full(size, np.inf)
        self.low_at_ml = np.full(size, np.inf)
        self.battery = np.ones(size)
        self.battery_slope = np.zeros(size)
        self.battery_watch = np.full(size, -1.0)
        self.held_limit_ml = profile.occlusion_volume_ml
        self.tau_s = np.full(size, _tau_s(profile, 1.0))
        self.outflow_share = np.empty(size)
        self.inflow_share = np.empty(size)
        self.work = np.empty((3, size))
        _set_gain(self)

    def set_resistance(self, pump: int, factor: float) -> None:
        """Multiply the resistance of one line: 1 free, above 1 narrowed, infinity closed."""
        self.tau_s[pump] = _tau_s(self.profile, factor)
        if self.step_s > 0:
            _set_shares(self, slice(pump, pump + 1))

    def set_upstream(self, pump: int, *, is_open: bool) -> None:
        """Open or close the way from the reservoir to the pump."""
        self.upstream_open[pump] = 1.0 if is_open else 0.0
        self.missed_ml[pump] = 0.0
        _set_gain(self)

    def pressure_mmhg(self, pump: int) -> float:
        """Line pressure of one pump: P = P_ven + H/C."""
        profile = self.profile
        held = float(self.held_ml[pump])
        return profile.venous_pressure_mmhg + held / profile.compliance_ml_mmhg


def step(state: State, dt_s: float) -> Flags:
    """Move the fleet on by `dt_s` seconds, in place.

    Returns an array of shape (n,), valid until the next call: which pumps have come to a mark or
    a limit and need their machine. It stays true until the machine moves the mark.
    """
    if dt_s != state.step_s:
        state.step_s = dt_s
        _set_shares(state, slice(None))
    while state.ripple_number < state.time_ms // RIPPLE_TICK_MS:
        state.ripple_number += 1
        _tick_ripple(state)
    state.time_ms += round(dt_s * MS_PER_SECOND)

    volume, held, spare = state.work
    before = spare
    np.copyto(before, state.pumped_ml)
    np.multiply(state.drive_ml_h, state.flow_factor, out=volume)
    volume *= dt_s / SECONDS_PER_HOUR
    state.pumped_ml += volume
    np.minimum(state.pumped_ml, state.stop_at_ml, out=state.pumped_ml)
    np.minimum(state.pumped_ml, state.empty_at_ml, out=state.pumped_ml)
    np.subtract(state.pumped_ml, before, out=volume)

    np.multiply(volume, state.inflow_share, out=held)
    np.multiply(state.held_ml, state.outflow_share, out=spare)
    held += spare
    np.subtract(state.held_ml, held, out=spare)
    spare += volume
    state.patient_ml += spare

    _count_time_over_limit(state, held, volume, dt_s)
    state.held_ml[:] = held
    _count_missed(state, dt_s)
    np.multiply(state.battery_slope, dt_s * MS_PER_SECOND, out=spare)
    state.battery += spare
    np.clip(state.battery, 0.0, 1.0, out=state.battery)
    return _needs_machine(state)


def alarm_time_s(
    compliance_ml_mmhg: float, rise_mmhg: float, rate_ml_h: float, filter_s: float = 0.0
) -> float:
    """Time from a full occlusion to its alarm: t = C·ΔP/r + t_filter, in seconds.

    Source: pump-standards §3.1. Any unit of pressure does, if C uses the same.
    """
    return compliance_ml_mmhg * rise_mmhg / rate_ml_h * SECONDS_PER_HOUR + filter_s


def filter_s(state: State) -> float:
    """The time over the pressure limit that raises the alarm, less the rounding; above 0."""
    return max(state.profile.occlusion_filter_s - TIME_TOLERANCE_S, TIME_TOLERANCE_S)


def _needs_machine(state: State) -> Flags:
    flags: Flags = state.pumped_ml >= state.low_at_ml
    flags |= state.pumped_ml >= state.stop_at_ml
    flags |= state.pumped_ml >= state.empty_at_ml
    flags |= state.battery <= state.battery_watch
    flags |= state.missed_ml >= state.profile.upstream_alarm_ml
    flags |= state.over_s >= filter_s(state)
    flags &= (state.drive_ml_h > 0) | (state.battery <= state.battery_watch)
    return flags


def _count_time_over_limit(state: State, held_after: Floats, volume: Floats, dt_s: float) -> None:
    """Add up how long pressure has been at the limit; the instant of crossing is exact.

    Only the few pumps at their limit leave the arrays.
    """
    over = np.flatnonzero(held_after >= state.held_limit_ml)
    counted = state.over_s[over]
    state.over_s[:] = 0.0
    for place, pump in enumerate(over.tolist()):
        added = dt_s
        if state.held_ml[pump] < state.held_limit_ml:
            added -= _crossing_s(
                float(state.held_ml[pump]),
                state.held_limit_ml,
                float(volume[pump]) / dt_s,
                float(state.tau_s[pump]),
            )
        # An instant exactly on the limit must count as over, however short it has been.
        state.over_s[pump] = max(counted[place] + added, TIME_TOLERANCE_S)


def _crossing_s(held_ml: float, limit_ml: float, flow_ml_s: float, tau_s: float) -> float:
    """When H(t) reaches the limit: the module's solution for H, solved for t."""
    if math.isinf(tau_s):
        return (limit_ml - held_ml) / flow_ml_s
    end_ml = flow_ml_s * tau_s
    return tau_s * math.log((end_ml - held_ml) / (end_ml - limit_ml)) if end_ml > limit_ml else 0.0


def _count_missed(state: State, dt_s: float) -> None:
    """Volume that closed upstream lines kept from being pumped; the pump senses it in the end."""
    for pump in np.flatnonzero(state.upstream_open == 0.0).tolist():
        state.missed_ml[pump] += float(state.drive_ml_h[pump]) * dt_s / SECONDS_PER_HOUR


def _tau_s(profile: Profile, factor: float) -> float:
    return (factor * profile.resistance_mmhg_h_ml * profile.compliance_ml_mmhg) * SECONDS_PER_HOUR


def _set_shares(state: State, where: slice) -> None:
    """Per step: the share of H that stays, and the share of what comes in that stays.

    With x = dt/τ they are e^(−x) and (1 − e^(−x))/x; both are 1 for a closed line.
    """
    x = state.step_s / state.tau_s[where]
    state.outflow_share[where] = np.exp(-x)
    with np.errstate(invalid="ignore"):
        state.inflow_share[where] = np.where(x > 0, -np.expm1(-x) / x, 1.0)


def _set_gain(state: State) -> None:
    limit = state.profile.ripple_max
    np.clip(state.ripple, -limit, limit, out=state.gain)
    state.gain += state.bias
    state.gain += 1.0
    np.multiply(state.gain, state.upstream_open, out=state.flow_factor)


def _tick_ripple(state: State) -> None:
    """The next value of x: x ← a·x + √(1 − a²)·σ·u with a = e^(−1/T), u uniform of unit variance.

    Source: AR(1), any textbook on time series. Uniform innovations keep x bounded.
    """
    profile = state.profile
    keep = math.exp(-RIPPLE_TICK_MS / (profile.ripple_time_min * MS_PER_MINUTE))
    spread = math.sqrt(1.0 - keep * keep) * profile.ripple_sd * _UNIFORM_HALF_WIDTH
    state.ripple *= keep
    state.ripple += (2.0 * spread) * uniforms(state.keys, state.ripple_number)
    state.ripple -= spread
    _set_gain(state)


def uniforms(keys: Keys, number: int) -> Floats:
    """Number `number` of each key's series, uniform on [0, 1), shape (n,): splitmix64."""
    mixed = keys + _GOLDEN * np.array([number], dtype=np.uint64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def battery_slope_per_ms(profile: Profile, *, on_mains: bool) -> float:
    """Change of the battery's share in a millisecond: charging on mains, else discharging."""
    if on_mains:
        return 1.0 / (profile.battery_charge_h * MS_PER_HOUR)
    return -1.0 / (profile.battery_life_h * MS_PER_HOUR)

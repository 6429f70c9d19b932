"""The line between pump and vein: compliance, resistance, head pressure, siphon, leak, alarm.

The line's compliance C holds H = C·(P − P₀), P₀ the venous pressure of the profile, and lets
(P − P_out)/R through, where

    P_out = P₀ + back-pressure + ρ·g·h

is the pressure at its far end with the vein h above the pump. With E = C·(P_out − P₀) and
τ = R·C that is dH/dt = q − (H − E)/τ; with q constant during a step it has the exact solution

    H(t) = E + q·τ + (H₀ − E − q·τ)·e^(−t/τ),

and for a full occlusion, R = ∞, H₀ + q·t. In a free line P = P_out + q·R. Against a closed one
dP/dt = q/C, so that the limit is reached after C·(P_lim − P)/q. On release, what is held reaches
the patient with time constant τ. A rise of P_out holds volume back, or draws it out of the
patient; a fall gives it as extra volume. Narrow places in series add their resistances.

**Siphon.** A way past the mechanism of resistance R_s, from a reservoir whose head pressure is
P_s, lets (P_s − P)/R_s into the line. H then tends to
(q + H_s/τ_s + E/τ) / (1/τ_s + 1/τ) with H_s = C·(P_s − P₀) and τ_s = R_s·C; its mean over the
step, from the exponential, gives the siphoned volume.

Source: the usual compliance model of infusion lines, pump-standards §3.1; limits by ECRI there.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from simulator.physics.arrays import SECONDS_PER_HOUR, TIME_TOLERANCE_S, Flags, Floats

if TYPE_CHECKING:
    from simulator.physics.state import State

# ρ·g of water at 20 °C (998.2 kg/m³ · 9.80665 m/s² · 0.01 m) over 133.322 Pa/mmHg [D].
MMHG_PER_CM = 998.2 * 9.80665 * 0.01 / 133.322
# Growing resistance beyond this is a closed line.
CLOSED = 1e12


def alarm_time_s(
    compliance_ml_mmhg: float, rise_mmhg: float, rate_ml_h: float, filter_s: float = 0.0
) -> float:
    """Time from a full occlusion to its alarm: t = C·ΔP/r + t_filter, in seconds.

    Source: pump-standards §3.1. Any unit of pressure does, if C uses the same.
    """
    return compliance_ml_mmhg * rise_mmhg / rate_ml_h * SECONDS_PER_HOUR + filter_s


def set_shares(state: "State", where: slice) -> None:
    """Per step: the share of H that stays, and the share of what comes in that stays.

    With x = dt/τ they are e^(−x) and (1 − e^(−x))/x; both are 1 for a closed line.
    """
    x = state.step_s / state.tau_s[where]
    state.outflow_share[where] = np.exp(-x)
    with np.errstate(invalid="ignore"):
        state.inflow_share[where] = np.where(x > 0, -np.expm1(-x) / x, 1.0)


def pass_on(state: "State", volume: Floats, held: Floats, spare: Floats) -> None:
    """Let `volume` into the lines: held volume into `held`, what comes out is the patient's.

    `held` and `spare` are overwritten; `state.held_ml` stays as it was.
    """
    np.multiply(volume, state.inflow_share, out=held)
    np.multiply(state.held_ml, state.outflow_share, out=spare)
    held += spare
    for pump in state.raised:
        held[pump] += state.rest_ml[pump] * (1.0 - state.outflow_share[pump])
    np.subtract(state.held_ml, held, out=spare)
    spare += volume
    for pump, share in state.leaks.items():
        # Blood that is drawn back does not come through the leak.
        leaked = share * max(0.0, float(spare[pump]))
        state.lost_ml[pump] += leaked
        spare[pump] -= leaked
    state.patient_ml += spare


def siphoned_ml(state: "State", pump: int, driven_ml: float, dt_s: float) -> float:
    """What runs past the mechanism of one pump during a step, while it drives `driven_ml`."""
    head_mmhg, resistance = state.siphons[pump]
    compliance = float(state.compliance[pump])
    profile = state.profile(pump)
    source_ml = compliance * (head_mmhg - profile.venous_pressure_mmhg)
    rate_in = 1.0 / (resistance * compliance * SECONDS_PER_HOUR)
    rate_out = 1.0 / float(state.tau_s[pump])
    rate = rate_in + rate_out
    held = float(state.held_ml[pump])
    end = (driven_ml / dt_s + source_ml * rate_in + float(state.rest_ml[pump]) * rate_out) / rate
    mean = end + (held - end) * -math.expm1(-rate * dt_s) / (rate * dt_s)
    left = float(state.empty_at_ml[pump] - state.pumped_ml[pump]) - driven_ml
    # Valves and the drip chamber let nothing run back into the reservoir.
    return min(max(0.0, (source_ml - mean) * rate_in * dt_s), max(0.0, left))


def count_time_over_limit(state: "State", held_after: Floats, volume: Floats, dt_s: float) -> None:
    """Add up how long pressure has been at the limit; the instant of crossing is exact.

    Only the few pumps at their limit leave the arrays.
    """
    over = (held_after >= state.held_limit_ml).nonzero()[0]
    if state.over.size:
        gone = state.over[held_after[state.over] < state.held_limit_ml[state.over]]
        state.over_s[gone] = 0.0
    state.over = over
    for pump in over.tolist():
        added = dt_s
        limit = float(state.held_limit_ml[pump])
        if state.held_ml[pump] < limit:
            rest = float(state.rest_ml[pump])
            added -= min(
                dt_s,
                _crossing_s(
                    float(state.held_ml[pump]) - rest,
                    limit - rest,
                    float(volume[pump]) / dt_s,
                    float(state.tau_s[pump]),
                ),
            )
        # An instant exactly on the limit must count as over, however short it has been.
        state.over_s[pump] = max(state.over_s[pump] + added, TIME_TOLERANCE_S)


def _crossing_s(held_ml: float, limit_ml: float, flow_ml_s: float, tau_s: float) -> float:
    """When H(t) − E reaches the limit: the module's solution for H, solved for t."""
    if math.isinf(tau_s):
        return (limit_ml - held_ml) / flow_ml_s if flow_ml_s > 0.0 else 0.0
    end_ml = flow_ml_s * tau_s
    return tau_s * math.log((end_ml - held_ml) / (end_ml - limit_ml)) if end_ml > limit_ml else 0.0


def flag_pressure(state: "State", flags: Flags) -> None:
    """Flag the pumps whose pressure has been over the limit for the filter's time."""
    for pump in state.over.tolist():
        if state.over_s[pump] >= state.filter_s(pump) and state.drive_ml_h[pump] > 0.0:
            flags[pump] = True

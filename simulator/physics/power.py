"""Battery and temperature of a pump.

**Battery.** The load is linear in the rate: of the load at the rate for which the life is given,
the share i is electronics and the rest goes with the flow,

    load(r) = i + (1 − i)·r/r₀.

The charge is a share of what the battery holds now, and it holds less when old and in the cold:
d(charge)/dt = −load / (life · health · warmth). Remaining minutes follow from both. No vendor table
was found; thresholds are GIP's minutes (pump-standards §3.3).

**Temperature.** Newton's law of cooling towards the ambient temperature, with one time constant:
T(t + dt) = T_a + (T − T_a)·e^(−dt/τ).
"""

import math

from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.profile import Profile

REFERENCE_C = 22.0  # the temperature at which makers state accuracy (CADD-Solis manual p.74 [V])


def battery_slope_per_ms(
    profile: Profile,
    *,
    on_mains: bool,
    rate_ml_h: float | None = None,
    health: float = 1.0,
    temperature_c: float = REFERENCE_C,
) -> float:
    """Change of the battery's share in a millisecond: charging on mains, else discharging.

    Without a rate it is the one at which the profile states the life.
    """
    holds = health * warmth(profile, temperature_c)
    if on_mains:
        return 1.0 / (profile.battery_charge_h * holds * MS_PER_HOUR)
    relative = 1.0 if rate_ml_h is None else rate_ml_h / profile.battery_rate_ml_h
    load = profile.battery_idle_share + (1.0 - profile.battery_idle_share) * relative
    return -load / (profile.battery_life_h * holds * MS_PER_HOUR)


def warmth(profile: Profile, temperature_c: float) -> float:
    """The share of the capacity that is left in the cold; 1 at the reference and above it."""
    colder = max(0.0, REFERENCE_C - temperature_c)
    return max(0.1, 1.0 - profile.battery_cold_share_per_c * colder)


def minutes_left(charge: float, slope_per_ms: float) -> float:
    """Run time left at the present load; infinity while charging."""
    return charge / (-slope_per_ms * MS_PER_MINUTE) if slope_per_ms < 0 else math.inf


def cooled_c(temperature_c: float, ambient_c: float, dt_s: float, time_min: float) -> float:
    """The temperature after `dt_s` seconds at this ambient temperature."""
    return ambient_c + (temperature_c - ambient_c) * math.exp(-dt_s / (time_min * 60.0))

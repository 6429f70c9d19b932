"""Pumps of the shipped models on a bench: physics alone, sampled as a balance would."""

import math
from functools import cache

import numpy as np
from msgspec.structs import replace

from host.process import read_named
from simulator.cohort import draw_cohort
from simulator.fleet import Fleet
from simulator.physics import Floats, State, step
from simulator.profile import Profile, read_profile
from simulator.story.scenario import read_scenario

SEED = 42
START_MS = 1_790_000_000_000
PSI_MMHG = 51.715
# More than any pump gives in a day; what ends a reservoir is not looked at here.
ENDLESS_ML = 1e6


@cache
def shipped(name: str) -> Profile:
    """A profile of config/pumps."""
    return read_profile(*read_named(name, "pumps"))


def exact(profile: Profile) -> Profile:
    """The same pump, run in, with an even flow and without any error or spread between pumps."""
    return replace(
        profile,
        bias_sd=0.0,
        bias_max=0.0,
        ripple_sd=0.0,
        ripple_max=0.0,
        stroke_rest_share=1.0,
        startup_slack_ml=0.0,
        startup_slack_spread_ml=0.0,
        startup_ml=0.0,
        occlusion_spread_mmhg=0.0,
    )


def pumps_of(profile: Profile, size: int) -> State:
    """So many pumps of a model as a fleet draws them, freshly fitted, the reservoir endless."""
    state = draw_cohort(profile, size, SEED).state()
    for pump in range(size):
        state.fill(pump, ENDLESS_ML)
    return state


def weigh(state: State, hours: float, sample_s: float) -> Floats:
    """What reaches the patients: the flow in mL/h of each sample, shape (samples, pumps)."""
    before = state.patient_ml.copy()
    flows = []
    for _ in range(round(hours * 3600.0 / sample_s)):
        step(state, sample_s)
        flows.append((state.patient_ml - before) * (3600.0 / sample_s))
        before = state.patient_ml.copy()
    return np.array(flows)


def bolus(state: State, volume_ml: float, rate_ml_h: float) -> None:
    """All pumps give a volume, stand until their lines have relaxed, and are ready to start."""
    state.drive_ml_h[:] = rate_ml_h
    state.stop_at_ml[:] = state.counted_ml + volume_ml
    for _ in range(math.ceil(volume_ml / rate_ml_h * 360.0) + 6):
        step(state, 10.0)
    state.stop_at_ml[:] = np.inf
    state.drive_ml_h[:] = 0.0
    step(state, 600.0)
    for pump in range(len(state.bias)):
        state.restart(pump)


def seconds_to_alarm(state: State, rates_ml_h: Floats, step_s: float, longest_s: float) -> Floats:
    """The line of each pump closes now; when it raises its alarm, NaN for never."""
    state.drive_ml_h[:] = rates_ml_h
    for pump in range(len(rates_ml_h)):
        state.set_resistance(pump, math.inf)
    found = np.full(len(rates_ml_h), np.nan)
    for number in range(1, round(longest_s / step_s) + 1):
        flags = step(state, step_s) & np.isnan(found)
        found[flags] = number * step_s
        # The machine stops the pump.
        state.drive_ml_h[flags] = 0.0
        if not np.isnan(found).any():
            break
    return found


def told(text: str, profile: Profile, step_s: float = 1.0) -> Fleet:
    """A fleet at the beginning of a scenario."""
    story = read_scenario(text.encode(), "validation")
    return Fleet(
        story,
        profile,
        pumps=story.header.pumps,
        start_ms=START_MS,
        seed=SEED,
        step_s=step_s,
        interval_s=3600.0,
    )

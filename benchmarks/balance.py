"""Volume balance of a mixed fleet over a simulated week with every physical fault on.

    python -m benchmarks.balance --pumps 1000 --days 7

1 000 pumps of the three shipped models run in steps of a minute. Faults come and go on each pump
all the time: closed, narrowed, growing and intermittent lines, head pressure, siphon, leak, flow
error and drift, air, stuck sensors, back-off, new bags, changes of rate. After every step

    |pumped − held − patient − lost| / max(pumped, 1 mL)

must be at most 1e-9 for each pump; the worst one is told, and the run fails above it.
"""

import sys

import click
import numpy as np

from benchmarks.stream import SEED
from host.process import read_named
from simulator.cohort import draw_cohort
from simulator.physics import State, step
from simulator.physics.air import Air
from simulator.profile import read_profile
from simulator.story.entries import Patient

MODELS = ("ambulatory", "syringe", "large-volume")
STEP_S = 60.0
LIMIT = 1e-9
# Pumps to which something happens in each step.
SHARE = 0.02


def mixed_state(pumps: int) -> State:
    """Pumps of all models in turn, at rest."""
    profiles = {name: read_profile(*read_named(name, "pumps")) for name in MODELS}
    patients = {
        index: Patient(pump=f"P-{index + 1}", profile=MODELS[index % len(MODELS)])
        for index in range(pumps)
    }
    first = profiles[MODELS[0]]
    return draw_cohort(first, pumps, SEED, patients, profiles).state()


def disturb(state: State, pump: int, chance: np.random.Generator) -> None:
    """One fault begins or ends, or somebody does something, on one pump."""
    deeds = (
        lambda: state.set_resistance(pump, chance.choice([1.0, 5.0, 200.0, np.inf])),
        lambda: state.set_upstream_share(pump, chance.choice([0.0, 0.5, 1.0, 1.0])),
        lambda: state.set_outside(pump, chance.choice([0.0, 80.0, -30.0])),
        lambda: state.set_siphon(pump, chance.choice([0.0, 0.0, 60.0]), 2.0),
        lambda: state.set_leak(pump, chance.choice([0.0, 0.0, 0.3, 1.0])),
        lambda: state.set_error(pump, chance.choice([0.0, 0.3, -0.4])),
        lambda: state.stick(pump, "pressure", is_stuck=bool(chance.integers(2))),
        lambda: state.back_off(pump),
        lambda: state.air.setdefault(pump, Air()).forget(),
        lambda: state.fill(pump, float(chance.uniform(1.0, 500.0))),
        lambda: state.restart(pump),
    )
    deeds[int(chance.integers(len(deeds)))]()
    state.drive_ml_h[pump] = chance.choice([0.0, 1.0, 12.0, 30.0, 120.0])
    state.stop_at_ml[pump] = state.counted_ml[pump] + chance.choice([np.inf, 5.0])


def worst_error(pumps: int, days: float) -> float:
    """The largest relative error of the balance over the whole run."""
    state = mixed_state(pumps)
    chance = np.random.default_rng(SEED)
    state.drive_ml_h[:] = chance.uniform(1.0, 30.0, pumps)
    worst = 0.0
    for _ in range(round(days * 86_400 / STEP_S)):
        for pump in chance.integers(0, pumps, max(1, round(SHARE * pumps))).tolist():
            disturb(state, pump, chance)
        step(state, STEP_S)
        error = np.abs(state.pumped_ml - state.held_ml - state.patient_ml - state.lost_ml)
        worst = max(worst, float((error / np.maximum(state.pumped_ml, 1.0)).max()))
    return worst


@click.command()
@click.option("--pumps", default=1000, show_default=True)
@click.option("--days", default=7.0, show_default=True)
def main(pumps: int, days: float) -> None:
    """Run the fleet and tell the worst balance."""
    worst = worst_error(pumps, days)
    print(f"volume balance of {pumps} mixed pumps over {days:g} days: {worst:.2e} relative")
    sys.exit(0 if worst <= LIMIT else 1)


if __name__ == "__main__":
    main()

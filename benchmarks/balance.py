"""Volume balance of mixed pumps over a simulated week with every physical fault on.

    python -m benchmarks.balance --pumps 1000 --days 7

A whole fleet of the three shipped models runs in steps of a minute: physics, machines, faults that
come and go on each pump all the time, new bags, restarts. Once an hour, for every pump,

    |pumped − held − patient − lost| / max(pumped, 1 mL)

is looked at: what is lost at one step stays lost. It must be at most 1e-9, or the run fails.
"""

import sys
import time

import click

from benchmarks.mixture import START_MS, mixture, unbalanced

STEP_S = 60.0
HOUR_MS = 3_600_000
LIMIT = 1e-9


def worst_error(pumps: int, hours: int) -> tuple[float, float]:
    """The largest relative error of the balance, and the volume pumped in all, in mL."""
    fleet = mixture(pumps, hours, step_s=STEP_S, interval_s=3_600.0)
    worst = 0.0
    for hour in range(hours + 1):
        fleet.advance(START_MS + hour * HOUR_MS)
        worst = max(worst, unbalanced(fleet))
    return worst, sum(pump.pumped_ml for pump in fleet.summary().values())


@click.command("balance")
@click.option("--pumps", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--days", type=click.FloatRange(min=0.1), default=7.0, show_default=True)
def command(*, pumps: int, days: float) -> None:
    """Run the fleet and tell the worst balance."""
    begin_s = time.process_time()
    worst, pumped_ml = worst_error(pumps, round(days * 24))
    print(
        f"volume balance of {pumps} mixed pumps over {days:g} days: {worst:.2e} relative, "
        f"{pumped_ml / 1000:,.0f} L pumped, CPU {time.process_time() - begin_s:.0f} s"
    )
    sys.exit(0 if worst <= LIMIT else 1)


if __name__ == "__main__":
    command()

"""The same seed says the same bytes in every process, whatever the process is like."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A drawn ward with a carer and a clinic, which is all the chance there is, and the wire's on top.
STREAM = """
import hashlib
from msgspec.structs import replace
from simulator.fleet import Fleet
from simulator.setup import SimulatorSettings, read_setup, setup_of
from simulator.stream import Outgoing
from tests.simulator.bench import START_MS, scenario

setup = read_setup(SimulatorSettings(cohort="hospital", days=1, pumps=6, seed=5))
wire = scenario('''
[[fault]]
at = "01:00"
until = "03:00"
pump = "all"
do = "wire-reorder"
within_s = 30
share = 0.2
''')
story = replace(
    setup.scenario,
    faults=(*setup.scenario.faults, *wire.faults),
    header=replace(setup.scenario.header, protocol="home-heparin"),
)
fleet = Fleet(
    story,
    setup.profile,
    profiles=setup.profiles,
    pumps=6,
    start_ms=START_MS,
    seed=5,
    step_s=5.0,
    interval_s=30.0,
    truth=True,
    library=setup.library,
    guideline=setup_of(story, "ambulatory").guideline,
)
digest = hashlib.sha256()
for output in (*fleet.advance(START_MS + 5 * 3_600_000), *fleet.close()):
    digest.update(repr(output).encode())
print(digest.hexdigest())
"""


def digest(hash_seed: str) -> str:
    """What a process of its own says."""
    done = subprocess.run(
        [sys.executable, "-c", STREAM],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_two_processes_say_the_same_bytes() -> None:
    """Sets and dicts of strings are in another order in each of them."""
    assert digest("1") == digest("2")

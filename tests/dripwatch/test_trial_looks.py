"""Days of patients with laboratory, care and planted hazards: what looks leave out is not missed."""

import pytest

from dripwatch.trial.draw import DAY_MS, TrialSettings, draw_block
from dripwatch.trial.run import START_MS, BlockRunner
from host.process import read_named
from simulator.story.ward_file import read_ward
from tests.infusion.test_looks import Thorough
from tests.virtual import Trial

STEP_MS = 10_000


def watched(seed: int, *, is_thorough: bool) -> Trial:
    trial = TrialSettings(seed=seed, patients=8, step_s=STEP_MS / 1_000)
    ward = read_ward(*read_named(trial.cohort, "cohorts"))
    runner = BlockRunner(trial, draw_block(trial, ward, 0, trial.patients), "none")
    run = Trial(runner.fleet, tick_ms=STEP_MS)
    if is_thorough:
        run.monitor = Thorough(run.monitor.settings)
    return run.run(START_MS + DAY_MS)


@pytest.mark.parametrize("seed", [1, 2])
def test_days_of_patients(seed: int) -> None:
    quick, thorough = (watched(seed, is_thorough=each) for each in (False, True))
    assert quick.changes == thorough.changes
    assert {change.alert.category for change in quick.changes} >= {"laboratory", "delivery"}

"""Small trials from end to end: what is planted comes to be, and a case alone goes as it went."""

import itertools
import json
from pathlib import Path

import pytest

from dripwatch.trial.draw import BLOCK, DAY_MS, TrialSettings, draw_block
from dripwatch.trial.hazards import HAZARDS
from dripwatch.trial.judge import Judged, Sought
from dripwatch.trial.listeners import MONITOR
from dripwatch.trial.pool import pumps_of, run_trial
from dripwatch.trial.run import BlockRunner, run_block
from dripwatch.trial.timeline import replay
from host.process import read_named
from infusion.errors import ConfigError
from simulator.story.ward_file import read_ward
from tests.dripwatch.commands import dripwatch

# Coarse, so that a day of all hazards takes seconds: what is looked at here does not need more.
COARSE = {"interval_s": 60.0, "step_s": 6.0}
ONE_DAY = tuple(key for key, hazard in HAZARDS.items() if hazard.days_min == 1)
# What a pump cannot know: whether a level shows it is chance.
BLOOD_ONLY = {"unlabelled-bag", "leak", "clearance-falls"}
# A siphon too small for the pump to stop at may be below 10 % of the order.
MAY_BE_SMALL = {"siphon"}


def coarse(**keys: object) -> TrialSettings:
    return TrialSettings(**{**COARSE, **keys})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def every() -> dict[str, Sought]:
    """Each hazard once, on a day of its own."""
    settings = coarse(seed=11, patients=len(ONE_DAY), hazards=ONE_DAY)
    blocks = range(-(-len(ONE_DAY) // BLOCK))
    runs = [run_block(settings, block, pumps_of(settings, block), "none") for block in blocks]
    sought = itertools.chain.from_iterable(case.sought for run in runs for case in run.cases)
    return {one.hazard: one for one in sought}


@pytest.mark.parametrize("key", ONE_DAY)
def test_what_is_planted_comes_to_be(key: str, every: dict[str, Sought]) -> None:
    one = every[key]
    assert one.is_real
    assert one.onset_ms < one.end_ms
    if key not in BLOOD_ONLY | MAY_BE_SMALL:
        assert one.earliest_ms is not None
    if one.earliest_ms is not None:
        needed_ms = HAZARDS[key].definition_min * 60_000
        assert one.onset_ms + needed_ms <= one.earliest_ms <= one.end_ms + needed_ms


def test_how_far_the_fleet_runs_ahead_changes_nothing() -> None:
    settings = coarse(seed=5, patients=6)
    ward = read_ward(*read_named(settings.cohort, "cohorts"))
    step_by_step, all_at_once = (
        BlockRunner(settings, draw_block(settings, ward, 0, 6), "cheap", ahead_ms=ahead_ms).run()
        for ahead_ms in (6_000, DAY_MS)
    )
    assert any(case.systems[MONITOR].alerts for case in step_by_step.cases)
    assert step_by_step == all_at_once


def test_processes_change_nothing() -> None:
    settings = coarse(seed=5, patients=BLOCK + 3)
    done: list[int] = []
    both = run_trial(settings, "cheap", 2, done.append)
    assert [case.number for case in both.cases] == list(range(BLOCK + 3))
    assert done[-1] == BLOCK + 3
    alone = run_block(settings, 1, 3, "cheap")
    assert both.cases[BLOCK:] == alone.cases
    assert both.counts["said"] > 50_000
    assert 0.005 < both.counts["lost"] / both.counts["said"] < 0.015


def test_a_case_alone_goes_as_it_went_in_the_whole_trial() -> None:
    settings = coarse(seed=5, patients=12, hazards=("tenfold", "occlusion", "wrong-topic"))
    whole = run_block(settings, 0, 12, "none")
    for number in (1, 2, 7):
        alone, before = replay(settings, number), whole.cases[number]
        assert alone.result.sought == before.sought
        one, other = alone.result.systems[MONITOR], before.systems[MONITOR]
        assert [hit.rule if hit else None for hit in one.found] == [
            hit.rule if hit else None for hit in other.found
        ]
        assert [told(alert) for alert in one.alerts] == [told(alert) for alert in other.alerts]
        # When a monitor looks at a pump between two messages is its own affair.
        for alert, same in zip(one.alerts, other.alerts, strict=True):
            assert abs(alert.at_ms - same.at_ms) <= 60_000
        text = "\n".join(map(str, alone.lines))
        assert f"P{alone.result.sought[0].urgency} {alone.result.sought[0].hazard} begins" in text
        assert "monitor  raised" in text


def told(alert: Judged) -> tuple[str, str, str, str]:
    return alert.rule, alert.priority.value, alert.cause, alert.reason


def test_a_case_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="give 0 to 9"):
        replay(TrialSettings(patients=10), 10)


def test_the_command_writes_what_it_found(tmp_path: Path) -> None:
    as_json, as_html = tmp_path / "trial.json", tmp_path / "trial.html"
    done = dripwatch(
        *("trial", "--patients", "2", "--seed", "3", "--processes", "1"),
        *("--hazard", "tenfold", "--hazard", "pause-forgotten"),
        *("--json", str(as_json), "--html", str(as_html)),
        timeout_s=100,
    )
    assert done.returncode == 0, done.stderr
    assert "2 patients × 1 days = 2 patient-days; seed 3, for tuning" in done.stdout
    report = json.loads(as_json.read_text())
    assert report["schema"] == "dripwatch-trial/1"
    assert report["seed_kind"] == "tuning"
    assert [system["system"] for system in report["systems"]] == ["monitor", "gip", "device"]
    page = as_html.read_text()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<svg") == 4 - ("No false alert" in page)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--hazard", "tenfould"), "did you mean 'tenfold'"),
        (("--wire", "loss=2"), "--wire"),
        (("--cohort", "nowhere"), "nowhere"),
        (("--patients", "5", "--case", "5"), "give 0 to 4"),
        (("--hazard", "hit"), "give --days 8"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    arguments: tuple[str, ...], told: str
) -> None:
    done = dripwatch("trial", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr

"""Simulated patients under the simulated clinic, watched: what is said, and that it is so.

The truth is the clinic's own: what the laboratory reported, when somebody bled, how platelets fell.
A level that is critical or far out of range is no false alert in a patient who has it; these are
held against the results as they were measured.
"""

from collections import Counter
from functools import cache

import pytest
from msgspec import structs

from infusion.clinical import LabResult
from infusion.messages import Alert, decode, parse_topic
from infusion.units import MS_PER_HOUR
from simulator.story.scenario import Scenario
from simulator.stream import Outgoing, Output
from tests.simulator.bench import START_MS, fleet, scenario, shipped_scenario
from tests.virtual import Trial

PATIENTS, HOURS, SEED = 24, 72, 4_711
PATIENT_DAYS = PATIENTS * HOURS / 24


class Watched(Trial):
    """A trial that keeps the laboratory's results, by therapy."""

    results: dict[str, list[LabResult]]

    def _take(self, output: Output) -> None:
        if isinstance(output, Outgoing) and output.topic.endswith("/lab"):
            result = decode(parse_topic(output.topic), output.payload)
            assert isinstance(result, LabResult)
            self.results.setdefault(result.therapy, []).append(result)
        super()._take(output)


def watched(story: Scenario, seed: int, hours: float) -> Watched:
    run = Watched(fleet(story, seed=seed, step_s=60.0, interval_s=300.0), tick_ms=60_000)
    run.results = {}
    run.run(START_MS + round(hours * MS_PER_HOUR))
    return run


def cared_for(pumps: int, hours: float, more: str = "") -> Scenario:
    """Patients whom a clinic looks after, with somebody who changes their bags."""
    header = f'duration = "{round(hours)}:00"\npumps = {pumps}\nprotocol = "home-heparin"\n'
    story = scenario(f'{header}carer = "home"\n{more}')
    return structs.replace(story, ward=shipped_scenario("hit-day-7").ward)


@cache
def normal() -> Watched:
    return watched(cared_for(PATIENTS, HOURS), SEED, HOURS)


def raised(run: Trial, *rules: str) -> list[Alert]:
    """The alerts of laboratory and care that ask somebody to act, or those of some rules."""
    return [
        change.alert
        for change in run.changes
        if change.change == "raised"
        and change.alert.category in ("laboratory", "care")
        and change.alert.priority.rank > 0
        and (not rules or change.alert.rule in rules)
    ]


def test_a_normal_ward_is_quiet() -> None:
    """Titration, noise and wandering patients: one alert in ten patient-days or less, and of high
    priority only what the laboratory calls critical, or what people report."""
    alerts = raised(normal())
    highs = {alert.rule for alert in alerts if alert.priority == "high"}
    assert highs <= {"critical-result", "bleeding"}
    told = [alert for alert in alerts if alert.rule not in ("critical-result", "bleeding")]
    assert len(told) <= 0.1 * PATIENT_DAYS, Counter(alert.rule for alert in told)


def test_every_critical_result_is_told_and_nothing_else_is_called_so() -> None:
    run = normal()
    told = {(alert.therapy, alert.evidence.to_ms) for alert in raised(run, "critical-result")}
    measured = {
        (therapy, result.resulted_ms)
        for therapy, results in run.results.items()
        for result in results
        if result.test == "anti-xa" and (result.value or 0.0) >= 1.0
    }
    # A second critical result in a row is one alert.
    assert told <= measured
    assert {therapy for therapy, _ in measured} == {therapy for therapy, _ in told}


def test_every_alert_on_levels_is_so() -> None:
    run = normal()
    for alert in raised(run, "levels-out-of-range", "not-therapeutic"):
        levels = [
            each.value or 0.0
            for each in run.results[alert.therapy or ""]
            if each.test == "anti-xa" and each.resulted_ms <= alert.raised_ms
        ]
        if alert.rule == "not-therapeutic":
            assert max(levels) < 0.3
        else:
            assert all(value < 0.2 for value in levels[-2:])


HIT = """
[[event]]
at = "144:00"
pump = "all"
do = "hit"
fall = 0.7
"""


def test_hit_is_found_at_the_first_count_that_shows_it() -> None:
    """Onset on day 6, counts every other day: suspected as soon as a count is down by half."""
    run = watched(cared_for(8, 264, HIT), SEED, 264)
    first_ms = {}
    for therapy, results in run.results.items():
        peak = 0.0
        for count in (each for each in results if each.test == "platelets"):
            peak = max(peak, count.value or 0.0)
            if therapy not in first_ms and (count.value or peak) < 0.5 * peak:
                first_ms[therapy] = count.resulted_ms
    # One or the other stopped heparin before, for a bleeding: then nothing falls.
    assert len(first_ms) >= 6
    found = {alert.therapy: alert.raised_ms for alert in raised(run, "hit-suspected")}
    assert found == first_ms
    assert min(found.values()) > START_MS + 144 * MS_PER_HOUR


BLEEDING = """
[[event]]
at = "12:00"
pump = "all"
do = "bleeding"
g_dl_day = 6
hours = 24
"""


def test_a_bleeding_is_told_when_it_is_reported() -> None:
    run = watched(cared_for(8, 36, BLEEDING), SEED, 36)
    assert {alert.pump for alert in raised(run, "bleeding")} == {
        state.pump for state in run.monitor.pumps.values()
    }
    assert all(alert.priority == "high" for alert in raised(run, "bleeding"))


LUMEN = """
[[event]]
at = "20:00"
pump = "all"
do = "spoil-specimen"
how = "lumen"
"""


def test_a_specimen_from_the_heparin_line_is_critical_and_doubted() -> None:
    """After two results the estimate is sure enough to doubt most of them in words."""
    run = watched(cared_for(16, 52, LUMEN), SEED, 52)
    spoiled = {
        therapy
        for therapy, results in run.results.items()
        if any(
            each.bound == "above" for each in results if each.drawn_ms > START_MS + 20 * MS_PER_HOUR
        )
    }
    late = [
        alert
        for alert in raised(run, "critical-result")
        if alert.raised_ms > START_MS + 20 * MS_PER_HOUR
    ]
    assert {alert.therapy for alert in late} >= spoiled
    assert len(spoiled) >= 14
    doubted = {alert.therapy for alert in late if "another vein" in alert.evidence.detail}
    assert len(doubted & spoiled) >= 0.7 * len(spoiled)


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_what_blood_tells_of_a_wrong_bag_is_bounded_by_how_patients_wander(strength: float) -> None:
    """A fall of clearance by half looks like a bag of twice the strength, and the other way round:
    the rule finds some in a day and a half, and calls few who have neither. The bag itself, the
    reservoir and the counter are other rules' matter.
    """
    event = "clearance-rises" if strength < 1 else "clearance-falls"
    share = 1 / strength - 1 if strength < 1 else 1 - 1 / strength
    story = f'[[event]]\nat = "30:00"\npump = "all"\ndo = "{event}"\nshare = {share}\nhours = 0.1\n'
    run = watched(cared_for(24, 66, story), SEED, 66)
    found = {alert.pump for alert in raised(run, "concentration-doubt")}
    told = found | {alert.pump for alert in raised(run, "critical-result", "levels-out-of-range")}
    assert len(found) >= 2
    assert len(told) >= (6 if strength > 1 else 3)

"""A test of random days: whole stories from a seed, and the load that comes of them."""

import math
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist, mean, median, pstdev, variance

import pytest
from msgspec.structs import replace

from infusion.errors import ConfigError
from simulator.setup import SimulatorSettings, read_setup
from simulator.story.actions import Standby, Start
from simulator.story.entries import Entry
from simulator.story.faults import Occlusion
from simulator.story.scenario import Scenario
from simulator.story.ward_file import read_ward
from simulator.ward import draw_ward, profile_of
from tests.simulator.bench import CONFIG, START_MS, fleet
from tests.simulator.wards import drawn, rung, shipped_ward

HOUR_MS = 3_600_000
DAYS = 7


@pytest.fixture(scope="module")
def large() -> Scenario:
    """A thousand pumps for a week, and it must not take long."""
    began_s = time.monotonic()
    story = drawn("hospital", pumps=1000, days=DAYS)
    assert time.monotonic() - began_s < 30
    return story


def bends(story: Scenario) -> dict[str, list[Occlusion]]:
    found: dict[str, list[Occlusion]] = {patient.pump: [] for patient in story.patients}
    for fault in story.faults:
        if isinstance(fault, Occlusion) and fault.where == "downstream":
            assert isinstance(fault.pump, str)
            found[fault.pump].append(fault)
    return found


def of_pump(story: Scenario, number: int) -> list[Entry]:
    """What happens to a pump, whatever width its name has."""
    return [
        replace(entry, pump="P")
        for entry in (*story.faults, *story.actions)
        if isinstance(entry.pump, str) and int(entry.pump[2:]) == number
    ]


def test_a_pump_has_the_same_days_in_every_fleet() -> None:
    small, large = drawn("hospital", pumps=3, days=2), drawn("hospital", pumps=120, days=2)
    for number in (1, 2, 3):
        assert of_pump(small, number) == of_pump(large, number)
        patients = (small.patients[number - 1], large.patients[number - 1])
        assert replace(patients[0], pump="P") == replace(patients[1], pump="P")
    assert of_pump(small, 1) != of_pump(drawn("hospital", pumps=3, days=2, seed=2), 1)
    assert [replace(entry, pump="P") for entry in small.actions if entry.pump == "P-01"] != [
        replace(entry, pump="P") for entry in small.actions if entry.pump == "P-02"
    ]


def test_a_changed_rate_of_one_trouble_shifts_no_other() -> None:
    ward = shipped_ward("hospital")
    other = replace(ward, bend=replace(ward.bend, per_hour=0.5))
    one, two = (draw_ward(w, name="w", pumps=5, days=2, seed=1) for w in (ward, other))
    assert one.actions == two.actions
    assert len(one.faults) < len(two.faults)
    assert {f for f in one.faults if not isinstance(f, Occlusion)} == {
        f for f in two.faults if not isinstance(f, Occlusion)
    }


def test_troubles_come_like_on_a_ward_and_not_like_a_metronome(large: Scenario) -> None:
    """Counts vary more than Poisson's between pumps; gaps vary as those of chance."""
    by_pump = bends(large)
    counts = [len(found) for found in by_pump.values()]
    rate = shipped_ward("hospital").bend.per_hour
    assert mean(counts) == pytest.approx(rate * 24 * DAYS, rel=0.06)
    # Poisson's variance is the mean; gamma rates add cv² · mean², here (0.5 · 10)² beside 10.
    expected = 1 + 0.25 * mean(counts)
    assert variance(counts) / mean(counts) == pytest.approx(expected, rel=0.15)
    gaps = [
        later.at.ms - earlier.at.ms
        for found in by_pump.values()
        for earlier, later in pairwise(found)
    ]
    assert 0.95 < pstdev(gaps) / mean(gaps) < 1.5


def test_nights_are_quieter_in_the_proportion_of_the_file(large: Scenario) -> None:
    ward = shipped_ward("hospital")
    hours = Counter(
        (ward.day.begins_at.ms + fault.at.ms) // HOUR_MS % 24
        for found in bends(large).values()
        for fault in found
    )
    total = sum(hours.values())
    for hour, factor in enumerate(ward.day.factors()):
        assert hours[hour] / total == pytest.approx(factor / 24, rel=0.25), hour


def test_no_bend_begins_before_the_last_is_over(large: Scenario) -> None:
    for found in bends(large).values():
        for earlier, later in pairwise(found):
            assert earlier.until is not None
            assert earlier.until < later.at


def test_patients_are_as_the_file_says(large: Scenario) -> None:
    weights = [patient.weight_kg or 0 for patient in large.patients]
    assert median(weights) == pytest.approx(80, rel=0.03)
    assert min(weights) >= 40
    light, heavy = (
        [p.dose_iu_kg_h or 0 for p in large.patients if (p.weight_kg or 0) < 70],
        [p.dose_iu_kg_h or 0 for p in large.patients if (p.weight_kg or 0) > 100],
    )
    assert mean(light) > 1.1 * mean(heavy)


def test_the_published_load_comes_out_when_a_ward_runs() -> None:
    """BI&T 2018;52(6):433 on pumps that run for two days: causes are drawn, alarms are not.

    A small ward with wide bounds; `python -m benchmarks.ward` measures large ones.
    """
    pumps, days = 60, 2
    alarms = rung(drawn("hospital", pumps=pumps, days=days), seed=1)
    per_hour = {
        key: count / (pumps * days * 24)
        for key, count in Counter(alarm.alarm for alarm in alarms).items()
    }
    assert per_hour["infusion-complete"] == pytest.approx(0.18 * 0.3377, rel=0.2)
    assert per_hour["standby-expired"] == pytest.approx(0.18 * 0.2718, rel=0.2)
    assert per_hour["downstream-occlusion"] == pytest.approx(0.18 * 0.2294, rel=0.25)
    assert sum(per_hour.values()) == pytest.approx(0.18, rel=0.15)
    lasted = [alarm.end_s - alarm.begin_s for alarm in alarms if alarm.end_s is not None]
    assert len(lasted) > 0.98 * len(alarms)
    assert 0.5 < sum(seconds <= 68 for seconds in lasted) / len(lasted) < 0.7
    assert 100 < mean(lasted) < 240


def test_holds_are_ended_in_time_or_forgotten() -> None:
    """In the proportion of the file, and nobody types a fraction of a minute."""
    hold = shipped_ward("hospital").hold
    story = drawn("hospital", pumps=60, days=7)
    holds = [entry for entry in story.actions if isinstance(entry, Standby)]
    starts = {(entry.pump, entry.at.ms) for entry in story.actions if isinstance(entry, Start)}
    in_time = 0
    for each in holds:
        assert each.minutes == int(each.minutes) >= 1
        used = [
            (at_ms - each.at.ms) / (each.minutes * 60_000)
            for pump, at_ms in starts
            if pump == each.pump and 0 < at_ms - each.at.ms <= each.minutes * 60_000
        ]
        assert all(hold.used[0] - 0.02 <= share <= hold.used[1] for share in used)
        in_time += len(used)
    assert in_time / len(holds) == pytest.approx(1 - hold.forgotten, abs=0.04)


def test_home_is_quieter_than_a_ward() -> None:
    assert len(rung(drawn("home", pumps=20, days=1))) < 0.7 * len(
        rung(drawn("hospital", pumps=20, days=1))
    )


@pytest.mark.parametrize("name", ["home", "hospital"])
def test_the_response_goes_through_both_published_numbers(name: str) -> None:
    """With those who only silence first: they are later, and never among the quick."""
    care = shipped_ward(name).care
    mean_s = care.response.median_s * math.exp(care.response.sigma**2 / 2)
    assert mean_s + care.silence_first * care.silence_s == pytest.approx(158, rel=0.01)
    share = NormalDist().cdf(math.log(68 / care.response.median_s) / care.response.sigma)
    assert (1 - care.silence_first) * share == pytest.approx(0.6, abs=0.002)


def test_profiles_are_mixed_by_weight() -> None:
    ward = replace(shipped_ward("home"), profiles={"one": 3.0, "two": 1.0})
    found = Counter(profile_of(ward, 1, pump) for pump in range(2000))
    assert found["one"] / 2000 == pytest.approx(0.75, abs=0.04)


def test_a_ward_of_several_models_names_each_patients(tmp_path: Path) -> None:
    text = (CONFIG / "cohorts" / "hospital.toml").read_text()
    assert "ambulatory = 1.0" in text
    file = tmp_path / "mixed.toml"
    file.write_text(text.replace("ambulatory = 1.0", "ambulatory = 1.0\nlarge-volume = 1.0"))
    setup = read_setup(SimulatorSettings(cohort=str(file), pumps=40, days=1))
    assert setup.profiles.keys() == {"ambulatory", "large-volume"}
    ward = read_ward(file.read_bytes(), "mixed.toml")
    named = [patient.profile for patient in setup.scenario.patients]
    assert named == [profile_of(ward, 1, pump) for pump in range(40)]
    run = fleet(setup.scenario, profile=setup.profile, profiles=setup.profiles, step_s=5.0)
    run.advance(START_MS + HOUR_MS)
    assert all(pump.pumped_ml > 0 for pump in run.summary().values())
    # A ward of one model leaves it to the fleet.
    assert {patient.profile for patient in drawn("hospital", pumps=3, days=1).patients} == {None}


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("forgotten =", "remembered =", "remembered"),
        ("spare_ml = [8.0, 40.0]", "spare_ml = [40.0, 8.0]", "bags.spare_ml"),
        ("spare_ml = [8.0, 40.0]", "spare_ml = [8.0, 400.0]", "bags.spare_ml"),
        ('begins_at = "07:00"', 'begins_at = "25:00"', "day.begins_at"),
        ("used = [0.3, 0.95]", "used = [0.95, 0.3]", "hold.used"),
        ("wrong_first = 0.08", "wrong_first = 8", "wrong_first"),
    ],
)
def test_a_mistake_in_a_cohort_is_named(old: str, new: str, text: str) -> None:
    good = (CONFIG / "cohorts" / "home.toml").read_text()
    assert old in good
    with pytest.raises(ConfigError, match=text) as caught:
        read_ward(good.replace(old, new).encode(), "own.toml")
    assert str(caught.value).startswith("own.toml")

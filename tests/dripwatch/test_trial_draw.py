"""Patients, days and what is planted on them: the same from the same seed, each on its own."""

import itertools

import pytest

from dripwatch.trial.draw import (
    APART_MS,
    BLOCK,
    DAY_MS,
    TUNING_SEED_MAX,
    Block,
    TrialSettings,
    block_seed,
    blocks_of,
    draw_block,
    span_ms,
)
from dripwatch.trial.hazards import HAZARDS
from dripwatch.trial.signs import SIGNS
from host.process import read_named
from infusion.errors import ConfigError
from infusion.units import MS_PER_MINUTE
from simulator.story.actions import Standby
from simulator.story.ward_file import read_ward


def drawn(pumps: int, **keys: object) -> Block:
    settings = TrialSettings(**{"seed": 3, "patients": pumps, **keys})  # type: ignore[arg-type]
    return draw_block(settings, read_ward(*read_named("home", "cohorts")), 0, pumps)


def planted(block: Block) -> list[str]:
    return [plant.hazard.key for case in block.cases for plant in case.plants]


def test_the_same_seed_draws_the_same_days() -> None:
    assert drawn(20) == drawn(20)
    assert planted(drawn(20)) != planted(drawn(20, seed=4))


def test_a_case_does_not_depend_on_the_others() -> None:
    few, many = drawn(8), drawn(40)
    assert few.cases == many.cases[:8]
    for pump in [case.pump for case in few.cases]:
        for name in ("faults", "actions", "orders", "events"):
            assert [entry for entry in getattr(few.scenario, name) if entry.pump == pump] == [
                entry for entry in getattr(many.scenario, name) if entry.pump == pump
            ]


def test_a_standby_is_forgotten_once_it_is_over() -> None:
    """While its time runs it is a shower, as those that the cohort brings."""
    plants = [
        plant.planted
        for case in drawn(12, hazards=("standby-forgotten",)).cases
        for plant in case.plants
    ]
    assert len(plants) == 12
    for one in plants:
        (standby,) = (entry for entry in one.actions if isinstance(entry, Standby))
        assert one.onset_ms == standby.at.ms + standby.minutes * MS_PER_MINUTE
        assert one.onset_ms < one.until_ms


def test_half_of_the_days_have_nothing_planted_and_some_have_two() -> None:
    counts = [len(case.plants) for case in drawn(BLOCK).cases]
    assert 0.3 * BLOCK <= counts.count(0) <= 0.7 * BLOCK
    assert counts.count(2) >= 2
    assert set(counts) <= {0, 1, 2}


def test_what_is_kept_apart_is_apart_and_inside_the_day() -> None:
    for case in drawn(BLOCK).cases:
        spans = sorted(span_ms(plant.planted) for plant in case.plants if plant.hazard.is_shy)
        assert all(begin >= 0 and end <= DAY_MS for begin, end in spans)
        for (_, end), (begin, _) in itertools.pairwise(spans):
            assert begin > end + APART_MS


def test_what_the_cohort_brings_stays_away_from_what_is_planted() -> None:
    block = drawn(BLOCK)
    spans = {
        case.pump: [span_ms(plant.planted) for plant in case.plants if plant.hazard.is_shy]
        for case in block.cases
    }
    own = {
        id(entry)
        for case in block.cases
        for plant in case.plants
        for entry in (*plant.planted.faults, *plant.planted.actions)
    }
    for entry in (*block.scenario.faults, *block.scenario.actions):
        if id(entry) not in own:
            assert isinstance(entry.pump, str)
            assert not any(begin <= entry.at.ms <= end for begin, end in spans[entry.pump])


def test_chosen_hazards_come_in_turn_on_every_day() -> None:
    assert planted(drawn(4, hazards=("tenfold", "offline"))) == ["tenfold", "offline"] * 2


def test_an_unknown_hazard_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tenfold'"):
        drawn(1, hazards=("tenfould",))


def test_a_hazard_that_takes_longer_than_the_story_is_refused() -> None:
    with pytest.raises(ConfigError, match="give --days 8"):
        drawn(1, hazards=("hit",))
    assert planted(drawn(1, hazards=("hit",), days=8)) == ["hit"]


def test_blocks_and_seeds() -> None:
    assert list(blocks_of(TrialSettings(patients=2 * BLOCK + 1))) == [0, 1, 2]
    assert block_seed(1, 5) != block_seed(2, 5)
    assert TrialSettings(seed=TUNING_SEED_MAX).is_tuning
    assert not TrialSettings(seed=TUNING_SEED_MAX + 1).is_tuning


@pytest.mark.parametrize("key", sorted(HAZARDS))
def test_every_row_is_whole(key: str) -> None:
    hazard = HAZARDS[key]
    assert hazard.answers
    assert hazard.sign in SIGNS
    assert not hazard.begins or hazard.begins in SIGNS
    assert any(mark in hazard.source for mark in ("[A]", "[V2]", "[V]", "[D]", "at once"))
    assert hazard.lasts_min[0] <= hazard.lasts_min[1]

"""The estimate against simulated patients, who are drawn and wander as the reference says.

The monitor knows the dose that each gets and what the laboratory finds, never the patient.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from infusion import level
from infusion.clinical import LabResult
from infusion.level import Estimate, LevelWatch
from infusion.units import MS_PER_HOUR
from simulator.clinic.clinic import Clinic
from simulator.clinic.happenings import Resulted
from simulator.haematology import Blood
from simulator.patients import draw_patients
from tests.simulator.ward import START_MS, Ward, faultless, first_order, nomogram

PATIENTS, HOURS, SEED = 80, 48, 2_041
HEALTHY = Blood(hit_share=0.0, bleeding_per_day=0.0)


def result_of(happening: Resulted) -> LabResult:
    reading = happening.reading
    return LabResult(
        therapy=happening.therapy,
        specimen=happening.specimen,
        test=happening.test,
        value=reading.value,
        unit=reading.unit,
        bound=reading.bound,
        drawn_ms=happening.drawn_ms,
        resulted_ms=happening.at_ms,
    )


def course() -> Iterator[tuple[int, float, Estimate, level.Sighting | None]]:
    """Hour by hour for each patient: the hour, the true level, what is estimated, and the last
    anti-Xa if there was one in this hour."""
    chance = np.random.default_rng(SEED)
    weights = np.round(chance.uniform(50.0, 110.0, PATIENTS), 1)
    rates = weights * np.round(chance.uniform(12.0, 18.0, PATIENTS), 1)
    patients = draw_patients(weights, seed=SEED, start_ms=START_MS, blood=HEALTHY)
    orders = [first_order(k, float(weights[k]), float(rates[k])) for k in range(PATIENTS)]
    clinic = Clinic(faultless(), nomogram(), patients, orders, seed=SEED)
    ward = Ward(patients, clinic, rates, np.zeros(PATIENTS))
    watches = [LevelWatch() for _ in range(PATIENTS)]
    for watch, order in zip(watches, orders, strict=True):
        level.begin(watch, order.timeline, START_MS, order.prescription.weight_kg)
    for minute in range(1, HOURS * 60 + 1):
        doses = ward.rates_iu_h * ward.runs / 60.0 + ward.bolus_iu
        happenings = list(ward.run(1 / 60))
        for index, watch in enumerate(watches):
            dose_iu = float(doses[index])
            level.advance(watch, dose_iu, dose_iu, patients.now_ms, float(weights[index]))
        for happening in happenings:
            if isinstance(happening, Resulted):
                level.observe(watches[happening.index], result_of(happening))
        if minute % 60:
            continue
        for index, watch in enumerate(watches):
            found = level.estimate(watch)
            assert found is not None
            hour_ago_ms = patients.now_ms - MS_PER_HOUR
            fresh = [each for each in watch.sightings if each.resulted_ms > hour_ago_ms]
            last = fresh[-1] if fresh else None
            yield minute // 60, float(patients.level_iu_ml[index]), found, last


Course = list[tuple[int, float, Estimate, level.Sighting | None]]


@pytest.fixture(scope="module")
def hours() -> Course:
    return list(course())


def covered(hours: Course) -> float:
    return float(np.mean([found.low <= true <= found.high for _, true, found, _ in hours]))


def error(hours: Course) -> float:
    """The median error, as a share of the true level."""
    return float(np.median([abs(found.median - true) / true for _, true, found, _ in hours]))


def test_without_a_result_the_interval_covers_who_the_patient_may_be(hours: Course) -> None:
    prior = [each for each in hours if each[2].anchored_ms is None and each[0] > 1]
    assert len(prior) > 400
    assert 0.80 <= covered(prior) <= 0.97


def test_with_results_the_interval_covers_the_level(hours: Course) -> None:
    """90 % of the time, near enough: it is narrow, and it is not too narrow."""
    anchored = [each for each in hours if each[2].anchored_ms is not None]
    assert len(anchored) > 2_500
    assert 0.80 <= covered(anchored) <= 0.97
    widths = [found.high - found.low for _, _, found, _ in anchored]
    free = [found.high - found.low for hour, _, found, _ in hours if hour == 6]
    assert np.median(widths) < 0.6 * np.median(free)


def test_results_bring_the_estimate_near_the_level(hours: Course) -> None:
    """The typical patient's level is off by a third, an anchored estimate by much less."""
    prior = [each for each in hours if each[2].anchored_ms is None and each[0] > 3]
    fresh = [each for each in hours if each[3] is not None]
    assert error(prior) > 0.20
    assert error(fresh) < 0.12


def test_what_is_called_unlikely_is_as_rare_as_it_says(hours: Course) -> None:
    """Readings further out than 1 in 20 on their side: one in ten of them, both sides together."""
    tails = [last.tail for _, _, _, last in hours if last is not None]
    assert len(tails) > 250
    assert 0.03 <= float(np.mean(np.array(tails) < 0.05)) <= 0.12
    assert float(np.mean(np.array(tails) < 0.003)) <= 0.02

"""From when on a result shows what no pump can know: at its edge, and what explains it otherwise."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from dripwatch.trial.blood_signs import clinical_sign_ms, expected_level_iu_ml
from dripwatch.trial.truth import SAMPLE_MS, Standing, Track
from infusion.clinical import LAB_UNITS, LabResult
from infusion.prescription import Prescription, Start, compile_timeline
from infusion.units import MS_PER_HOUR
from simulator.machine import Mode

HOURS, CONCENTRATION, WEIGHT_KG, RATE_IU_KG_H = 20, 100.0, 70.0, 18.0
# Steady at 18 IU/kg/h with f = 1 (heparin.md §5.5 [D]).
STEADY = 0.5843
LAST_MS = HOURS * MS_PER_HOUR


def track(*results: tuple[float, float], stopped_h: tuple[float, float] = (0.0, 0.0)) -> Track:
    """A pump at 18 IU/kg/h, stopped between two hours, and (hour drawn, anti-Xa) an hour later."""
    times_ms = np.arange(0, LAST_MS + 1, SAMPLE_MS)
    hours = times_ms / MS_PER_HOUR
    runs = (hours < stopped_h[0]) | (hours >= stopped_h[1])
    step_ml = RATE_IU_KG_H * WEIGHT_KG / CONCENTRATION * SAMPLE_MS / MS_PER_HOUR
    pumped_ml = np.concatenate(([0.0], np.cumsum(runs[:-1] * step_ml)))
    prescription = Prescription(
        therapy="T-01",
        version=1,
        pump="P-01",
        weight_kg=WEIGHT_KG,
        concentration_iu_ml=CONCENTRATION,
        steps=(Start(at_ms=0, rate_iu_kg_h=RATE_IU_KG_H),),
    )
    nothing = np.zeros(len(times_ms))
    standing = Standing(
        mode=Mode.RUNNING,
        rate_ml_h=RATE_IU_KG_H * WEIGHT_KG / CONCENTRATION,
        concentration_iu_ml=CONCENTRATION,
        weight_kg=WEIGHT_KG,
        is_outside_library=False,
        is_connected=True,
        on_mains=True,
        bag_since_nl=0,
        alarms=(),
        faults=(),
    )
    return Track(
        weight_kg=WEIGHT_KG,
        times_ms=times_ms,
        pumped_ml=pumped_ml,
        patient_iu=pumped_ml * CONCENTRATION,
        level_iu_ml=nothing,
        reservoir_ml=nothing,
        battery_min=nothing,
        vtbi_ml=nothing,
        timeline=compile_timeline(prescription),
        standings=[(0, standing)],
        results=[
            (
                round((hour + 1.0) * MS_PER_HOUR),
                LabResult(
                    therapy="T-01",
                    specimen=f"S-{hour}",
                    test="anti-xa",
                    value=value,
                    unit=LAB_UNITS["anti-xa"],
                    drawn_ms=round(hour * MS_PER_HOUR),
                    resulted_ms=round((hour + 1.0) * MS_PER_HOUR),
                ),
            )
            for hour, value in results
        ],
    )


def seen_h(one: Track, onset_h: float) -> float | None:
    found = clinical_sign_ms("lab", one, round(onset_h * MS_PER_HOUR), LAST_MS)
    return None if found is None else found / MS_PER_HOUR


def test_the_level_is_what_the_counted_dose_makes() -> None:
    assert expected_level_iu_ml(track(), LAST_MS) == pytest.approx(STEADY, rel=0.01)
    # 60 min without delivery from 18 IU/kg/h: .284 (heparin.md §5.5).
    stopped = track(stopped_h=(15.0, 16.0))
    assert expected_level_iu_ml(stopped, 16 * MS_PER_HOUR) == pytest.approx(0.284, abs=0.005)


def loss(level_iu_ml: float) -> float:
    """What a typical patient loses, without size: C (CL + Vm / (Km + C)) of heparin.md §5.1."""
    return level_iu_ml * (4.0 + 80.0 / (2.4 + level_iu_ml))


def level_of(logarithm: float) -> float:
    """The level of a patient with this ln f, found by halving."""
    low, high = 0.001, 10.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (
            (middle, high)
            if loss(middle) < loss(STEADY) * math.exp(-logarithm)
            else (
                low,
                middle,
            )
        )
    return low


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(("deviations", "is_seen"), [(1.90, False), (2.02, True)])
def test_the_edge_of_a_first_level_is_that_of_clearance(
    side: float, deviations: float, is_seen: bool
) -> None:
    """0.34 and 0.25 are the spreads of ln f: a level spreads further, as it grows faster."""
    value = level_of(side * deviations * math.hypot(0.05, 0.25, 0.34))
    assert (seen_h(track((12.0, value)), 6.0) == 13.0) is is_seen


@pytest.mark.parametrize(("deviations", "is_seen"), [(1.90, False), (2.02, True)])
def test_the_edge_after_an_earlier_level_is_that_of_one_patient(
    deviations: float, is_seen: bool
) -> None:
    value = level_of(deviations * math.hypot(0.05, 0.25))
    assert (seen_h(track((12.0, STEADY), (18.0, value)), 14.0) == 19.0) is is_seen


def test_a_level_that_a_stop_explains_shows_nothing_else() -> None:
    """The counter tells of the stop, so a level that is low by it is no sign of a leak."""
    assert seen_h(track((16.0, 0.12)), 6.0) == 17.0
    assert seen_h(track((16.0, 0.12), stopped_h=(14.0, 16.0)), 6.0) is None


def test_a_level_above_the_scale_is_a_sign_in_any_patient() -> None:
    """At 1.5 IU/mL it is 1.7 deviations here, and may be any number more."""
    one = track((12.0, 1.5))
    assert seen_h(one, 6.0) is None
    ((at_ms, plain),) = one.results
    one.results = [(at_ms, replace(plain, bound="above"))]
    assert seen_h(one, 6.0) == 13.0


def test_what_was_drawn_before_the_onset_shows_nothing() -> None:
    assert seen_h(track((6.0, 0.1)), 6.5) is None


@pytest.mark.parametrize(("first_h", "expected_h"), [(1.0, 6.0), (8.0, 9.0), (19.5, None)])
def test_a_result_is_missed_from_when_there_is_a_laboratory(
    first_h: float, expected_h: float | None
) -> None:
    """Who has never heard of one cannot know that its results do not come."""
    one = track((first_h, STEADY))
    found = clinical_sign_ms("no-result", one, 6 * MS_PER_HOUR, LAST_MS)
    assert found == (None if expected_h is None else expected_h * MS_PER_HOUR)

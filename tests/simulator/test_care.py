"""Patients, clinic and pumps on one clock: what the EHR says, and what reaches the blood."""

import pytest
from msgspec.structs import replace

from infusion.clinical import LabResult, Report
from infusion.prescription import Prescription
from infusion.truth import Truth
from simulator.fleet import Fleet
from simulator.machine import Mode
from simulator.setup import setup_of
from simulator.stream import Output
from tests.simulator.bench import (
    START_MS,
    decoded,
    events,
    exact_profile,
    fleet,
    scenario,
    telemetry,
)

HOUR_MS = 3_600_000
CARE = """
duration = "48:00"
pumps = 2
protocol = "home-heparin"

[[patient]]
pump = "P-01"
weight_kg = 70
dose_iu_kg_h = 12
elimination_factor = 1.3
reservoir_ml = 2000

[[patient]]
pump = "P-02"
weight_kg = 70
dose_iu_kg_h = 18
elimination_factor = 1.0
protocol = "none"
reservoir_ml = 2000
"""


def run(text: str, hours: float, **changes: object) -> tuple[Fleet, list[Output]]:
    """A fleet with its clinic, in steps of ten seconds."""
    story = scenario(text)
    made = fleet(
        story,
        profile=exact_profile(),
        guideline=setup_of(story, "ambulatory").guideline,
        step_s=10.0,
        interval_s=60.0,
        truth=True,
        **changes,
    )
    return made, made.advance(START_MS + round(hours * HOUR_MS))


def test_levels_are_drawn_and_the_dose_follows() -> None:
    """The first level comes after six hours; a low one raises the order, and the pump follows."""
    made, said = run(CARE, 24)
    results = [message for message in decoded(said) if isinstance(message, LabResult)]
    assert {result.therapy for result in results} == {"T-01"}
    levels = [result for result in results if result.test == "anti-xa"]
    assert 6 * HOUR_MS <= levels[0].drawn_ms - START_MS <= 8 * HOUR_MS
    assert levels[0].resulted_ms > levels[0].drawn_ms
    orders = [
        message
        for message in decoded(said)
        if isinstance(message, Prescription) and message.therapy == "T-01"
    ]
    assert [order.version for order in orders] == list(range(1, len(orders) + 1))
    assert len(orders) > 1
    summary = made.summary()
    assert summary["P-01"].rate_ml_h > 8.4
    assert summary["P-02"].rate_ml_h == pytest.approx(12.6)


def test_the_blood_holds_what_reached_the_patient() -> None:
    """18 IU/kg/h in a typical patient: 0.584 IU/mL (heparin.md §5.5), here with its own noise."""
    _, said = run(CARE, 24)
    truths = [message for message in decoded(said, "truth") if isinstance(message, Truth)]
    last = [truth for truth in truths if truth.pump == "P-02"][-1]
    assert last.patient_iu == pytest.approx(18 * 70 * 24, rel=0.01)
    assert last.level_iu_ml is not None
    assert 0.3 < last.level_iu_ml < 1.2


def test_an_occlusion_is_missed_by_the_blood_and_told_by_the_truth() -> None:
    """What the line holds back does not reach the patient: the record of the fault says so."""
    text = (
        CARE
        + """
[[fault]]
at = "10:00"
until = "11:00"
pump = "P-02"
do = "occlusion"
"""
    )
    _, said = run(text, 12)
    truths = [message for message in decoded(said, "truth") if isinstance(message, Truth)]
    (record,) = [each for truth in truths if truth.pump == "P-02" for each in truth.ended]
    assert record.fault == "occlusion"
    assert record.end_ms - record.onset_ms == HOUR_MS
    assert record.ordered_iu == pytest.approx(1260, abs=1)
    assert record.patient_iu == pytest.approx(0, abs=1)
    assert 0 < record.pumped_iu < 100
    levels = {
        truth.time_ms - START_MS: truth.level_iu_ml for truth in truths if truth.pump == "P-02"
    }
    before = max(at_ms for at_ms in levels if at_ms < 10 * HOUR_MS)
    after = max(at_ms for at_ms in levels if at_ms < 11 * HOUR_MS)
    assert levels[after] is not None
    assert levels[before] is not None
    assert levels[after] < 0.65 * levels[before]  # type: ignore[operator]


def test_what_befalls_a_patient_is_reported_and_measured() -> None:
    """A bleeding is called in, and haemoglobin is drawn."""
    text = (
        CARE
        + """
[[event]]
at = "05:00"
pump = "P-01"
do = "bleeding"
g_dl_day = 6.0
"""
    )
    _, said = run(text, 24)
    (report,) = [message for message in decoded(said) if isinstance(message, Report)]
    assert (report.therapy, report.what) == ("T-01", "bleeding")
    counts = [
        message.value
        for message in decoded(said)
        if isinstance(message, LabResult) and message.test == "haemoglobin"
    ]
    assert len(counts) > 1
    assert counts[0] is not None
    assert counts[-1] is not None
    assert counts[-1] < counts[0]


KVO = """
[[action]]
at = "05:00"
pump = "all"
do = "program-vtbi"
volume_ml = 1
"""


def test_a_dose_changed_while_the_vein_is_kept_open_gets_a_volume_again() -> None:
    """By the clinic and by a scripted order: the bag is the limit, not nothing."""
    story = (
        CARE
        + KVO
        + """
[[order]]
at = "07:00"
pump = "P-02"
do = "rate"
dose_iu_kg_h = 16
applied_after = "00:05"
"""
    )
    made, said = run(story, 12)
    for pump in ("P-01", "P-02"):
        states = {each.delivery for each in telemetry(said, pump)}
        assert "kvo" in states, pump
        unit = made._by_name[pump].pump
        assert unit.is_delivering, pump
        assert unit.mode is not Mode.KVO, pump
        last = telemetry(said, pump)[-1]
        # What is left until the limit is what is left in the bag.
        assert last.vtbi_ml > 1500, pump
        assert last.vtbi_remaining_ml == pytest.approx(last.reservoir_ml, abs=0.1), pump


def test_a_scripted_order_after_the_clinics_own_is_the_next_version() -> None:
    """Both write into one order, whose versions go up by one."""
    text = (
        CARE
        + """
[[order]]
at = "20:00"
pump = "P-01"
do = "rate"
dose_iu_kg_h = 10
"""
    )
    made, said = run(text, 21)
    orders = [
        message
        for message in decoded(said)
        if isinstance(message, Prescription) and message.therapy == "T-01"
    ]
    assert [order.version for order in orders] == list(range(1, len(orders) + 1))
    assert made.summary()["P-01"].rate_ml_h == pytest.approx(7.0)


def test_care_does_not_depend_on_how_the_fleet_is_advanced() -> None:
    """Bit for bit the same, hour by hour or at once."""
    _, at_once = run(CARE, 14)
    story = scenario(CARE)
    made = fleet(
        story,
        profile=exact_profile(),
        guideline=setup_of(story, "ambulatory").guideline,
        step_s=10.0,
        interval_s=60.0,
        truth=True,
    )
    bit_by_bit = []
    for minute in range(0, 14 * 60, 7):
        bit_by_bit += made.advance(START_MS + minute * 60_000)
    bit_by_bit += made.advance(START_MS + 14 * HOUR_MS)
    assert bit_by_bit == at_once


def test_what_the_library_refuses_is_put_right() -> None:
    """A nurse types ten times the rate: the pump refuses it, and gets what was meant."""
    story = scenario(CARE)
    setup = setup_of(story, "ambulatory")
    assert setup.guideline is not None
    slips = replace(setup.guideline.protocol.slips, tenfold=1.0, second_check_catches=0.0)
    others = {name: 0.0 for name in slips.__struct_fields__ if name != "tenfold"}
    protocol = replace(setup.guideline.protocol, slips=replace(slips, **others))
    made = fleet(
        story,
        profile=exact_profile(),
        guideline=replace(setup.guideline, protocol=protocol),
        library=setup.library,
        step_s=10.0,
        interval_s=60.0,
    )
    told = events(made.advance(START_MS + 24 * HOUR_MS), "P-01")
    refused = [each.time_ms for each in told if each.event == "DRIPWATCH_EVT_HARD_LIMIT"]
    assert refused
    assert all(each.rate_ml_h < 30 for each in told if each.source == "primary")
    assert made.summary()["P-01"].rate_ml_h > 8.4

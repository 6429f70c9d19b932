"""The clinic: what is drawn when, what is made of it, what is ordered and what is done."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import pytest
from msgspec.structs import replace

from infusion import prescription as rx
from infusion.errors import ConfigError
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.clinic import nurse
from simulator.clinic.chance import Chance
from simulator.clinic.clinic import Clinic
from simulator.clinic.happenings import (
    Applied,
    Condition,
    End,
    GiveBolus,
    Happening,
    Ordered,
    Pause,
    Reported,
    Resulted,
    Resume,
    Sampled,
    SetRate,
    Slip,
)
from simulator.clinic.laboratory import condition_of_specimen, measure
from simulator.clinic.prescriber import stop_for_bridging, stop_for_counts
from simulator.clinic.protocol import Protocol, Test, read_protocol
from simulator.haematology import Blood
from simulator.patient_effects import PERFORM, perform
from simulator.patients import Patients, draw_patients
from simulator.story import patient_events as event
from simulator.story.entries import Patient
from simulator.story.patient_events import PATIENT_EVENTS, Says
from simulator.story.plan import next_version
from simulator.story.reading import Offset
from simulator.story.scenario import read_scenario
from tests.simulator.ward import (
    CONFIG,
    START_MS,
    Ward,
    at_ms,
    faultless,
    first_order,
    nomogram,
    protocol,
)

H = TypeVar("H", bound=Happening)
HEALTHY = Blood(hit_share=0.0, bleeding_per_day=0.0)
DAY = 24.0


def ward(
    size: int = 1,
    *,
    seed: int = 1,
    described: dict[int, Patient] | None = None,
    rules: Protocol | None = None,
    table: str = "michigan_vte",
    blood: Blood = HEALTHY,
    rate_iu_kg_h: float = 18.0,
    indices: Iterable[int] | None = None,
) -> Ward:
    weights = np.full(size, 70.0)
    patients = draw_patients(
        weights, seed=seed, start_ms=START_MS, described=described, blood=blood
    )
    rates = weights * rate_iu_kg_h
    orders = [first_order(k, 70.0, float(rates[k])) for k in range(size)]
    clinic = Clinic(
        rules or faultless(),
        nomogram(table),
        patients,
        orders,
        seed=seed,
        described=described,
        indices=indices,
    )
    return Ward(patients, clinic, rates, weights * 80.0)


def of(kind: type[H], happenings: Iterable[Happening], index: int = 0) -> list[H]:
    return [h for h in happenings if isinstance(h, kind) and h.index == index]


def clinic_of(one: Ward) -> Clinic:
    assert one.clinic is not None
    return one.clinic


def drawn_for(test: Test, happenings: Iterable[Happening]) -> list[float]:
    """The hours from the start at which a test was drawn."""
    drawn = [s.at_ms for s in of(Sampled, happenings) if test in s.tests]
    return [(at - START_MS) / MS_PER_HOUR for at in drawn]


# --- the cohort ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort() -> tuple[Ward, list[Happening]]:
    """Three hundred patients on Michigan's nomogram for two and a half days."""
    several = ward(300, seed=42)
    return several, list(several.run(60))


def test_the_nomogram_ends_at_the_doses_of_practice(
    cohort: tuple[Ward, list[Happening]],
) -> None:
    """V9 of the reference: the median of the final rate is 12 to 18 IU/kg/h."""
    rates = cohort[0].rates_iu_h / 70.0
    assert 12.0 <= float(np.median(rates)) <= 18.0
    low, high = np.percentile(rates, [25, 75])
    assert 10.0 < low < high < 20.0


def test_the_nomogram_does_better_than_a_fixed_dose(
    cohort: tuple[Ward, list[Happening]],
) -> None:
    """V6 above V7: 1.5 times the control by 24 h in more than the 62 to 82 % of a fixed dose."""
    reached = {
        h.index
        for h in cohort[1]
        if isinstance(h, Resulted)
        and h.test == "aptt"
        and h.drawn_ms <= at_ms(DAY)
        and h.reading.value is not None
        and h.reading.value >= 45.0
    }
    assert len(reached) / 300 > 0.85


def test_most_levels_come_into_range(cohort: tuple[Ward, list[Happening]]) -> None:
    level = cohort[0].patients.level_iu_ml
    assert float(np.mean((level > 0.3) & (level < 0.7))) > 0.65


def test_aptt_and_anti_xa_are_related_and_often_disagree(
    cohort: tuple[Ward, list[Happening]],
) -> None:
    """Rank correlation 0.68 (PMC6009553). Of 3543 samples with anti-Xa in range 56 % had the aPTT
    below its range and 6 % above (Arachchillage); 60 to 100 s for that range is an assumption.
    """
    pairs: dict[str, dict[str, float]] = {}
    for h in cohort[1]:
        if isinstance(h, Resulted) and h.test in ("anti-xa", "aptt"):
            assert h.reading.value is not None
            pairs.setdefault(h.specimen, {})[h.test] = h.reading.value
    anti_xa = np.array([pair["anti-xa"] for pair in pairs.values()])
    aptt = np.array([pair["aptt"] for pair in pairs.values()])
    ranks = [np.argsort(np.argsort(values)) for values in (anti_xa, aptt)]
    assert 0.5 < np.corrcoef(ranks[0], ranks[1])[0, 1] < 0.95
    aptt_in_range = aptt[(anti_xa >= 0.3) & (anti_xa <= 0.7)]
    below, above = float(np.mean(aptt_in_range < 60.0)), float(np.mean(aptt_in_range > 100.0))
    assert 0.40 < below < 0.70
    assert 0.02 < above < 0.15


def test_everything_has_its_time_and_comes_in_order(
    cohort: tuple[Ward, list[Happening]],
) -> None:
    times = [h.at_ms for h in cohort[1]]
    assert times == sorted(times)
    assert all((at - START_MS) % MS_PER_MINUTE == 0 for at in times)
    specimens = [h.specimen for h in cohort[1] if isinstance(h, Sampled)]
    assert len(specimens) == len(set(specimens))
    results = Counter((h.specimen, h.test) for h in cohort[1] if isinstance(h, Resulted))
    assert set(results.values()) == {1}
    versions = Counter(
        (h.index, h.version.prescription.version) for h in cohort[1] if isinstance(h, Ordered)
    )
    assert set(versions.values()) == {1}


# --- the calendar --------------------------------------------------------------------------------


def test_the_first_level_is_drawn_six_hours_after_the_start() -> None:
    happenings = list(ward().run(8))
    (first,) = drawn_for("anti-xa", happenings)
    assert 6.0 < first < 8.0
    sampled = of(Sampled, happenings)[-1]
    resulted = [r for r in of(Resulted, happenings) if r.specimen == sampled.specimen]
    assert {r.test for r in resulted} == {"anti-xa", "aptt"}
    assert all(r.drawn_ms == sampled.at_ms < r.at_ms for r in resulted)


def test_a_level_follows_six_hours_after_every_order_and_daily_when_settled() -> None:
    several = ward(40)
    happenings = list(several.run(60))
    after_change, settled = [], 0
    for index in range(40):
        drawn = [s.at_ms for s in of(Sampled, happenings, index) if "anti-xa" in s.tests]
        for ordered in of(Ordered, happenings, index):
            later = [at for at in drawn if at > ordered.at_ms]
            if later:
                after_change.append((later[0] - ordered.at_ms) / MS_PER_HOUR)
        gaps = np.diff(drawn) / MS_PER_HOUR
        settled += int(any(gap > 24.0 for gap in gaps))
        assert max(gaps) < 32.0
    assert 6.0 < min(after_change) <= max(after_change) < 12.0
    assert settled > 20


def test_counts_are_drawn_at_the_start_and_platelets_from_day_4_to_14() -> None:
    steady = Patient(pump="P-01", elimination_factor=1.0)
    happenings = list(ward(described={0: steady}).run(17 * DAY, step_min=10))
    days = [hour / DAY for hour in drawn_for("platelets", happenings)]
    assert days[0] < 0.1
    assert 4.0 - 0.1 <= days[1] < 4.2
    assert all(1.8 < gap < 2.3 for gap in np.diff(days[1:]))
    assert 12.0 < days[-1] < 14.2
    assert len(drawn_for("haemoglobin", happenings)) >= 5
    assert drawn_for("inr", happenings) == []


def test_counts_come_early_with_a_level_and_levels_never_early() -> None:
    """INR is due daily from hour 5 on here, the first level at 6, a later one 6 h after a change."""
    described = {
        k: Patient(pump=f"P-{k + 1:02d}", warfarin_from=Offset(k * 20 * MS_PER_MINUTE))
        for k in range(40)
    }
    rules = faultless()
    rules = replace(rules, calendar=replace(rules.calendar, inr_every_h=5.0))
    happenings = list(ward(40, described=described, rules=rules).run(40))
    together = 0
    for index in range(40):
        sampled = of(Sampled, happenings, index)
        drawn = [s.at_ms for s in sampled if "anti-xa" in s.tests]
        together += sum({"anti-xa", "inr"} <= set(s.tests) for s in sampled)
        changes = [START_MS, *(o.at_ms for o in of(Ordered, happenings, index))]
        for at in drawn:
            last = max(change for change in changes if change <= at)
            assert at - last >= 6 * MS_PER_HOUR
    assert together > 20


def test_nobody_is_drawn_who_is_not_cared_for() -> None:
    happenings = list(ward(3, indices=[1]).run(12))
    assert {h.index for h in happenings} == {1}


# --- the order and the pump ----------------------------------------------------------------------


def test_a_low_level_brings_a_bolus_and_more_and_a_high_one_a_hold_and_less() -> None:
    described = {
        0: Patient(pump="P-01", elimination_factor=4.0),
        1: Patient(pump="P-02", elimination_factor=0.4),
        2: Patient(pump="P-03", elimination_factor=4.0, no_bolus=True),
    }
    three = ward(3, seed=2, described=described)
    happenings = list(three.run(12))
    kinds = [[type(s).__name__ for s in of(Ordered, happenings, k)[0].steps] for k in range(3)]
    assert kinds == [["Bolus", "RateChange"], ["Hold", "RateChange"], ["RateChange"]]
    acts = [[type(a.act) for a in of(Applied, happenings, k)][:3] for k in range(3)]
    assert acts[0][:2] == [GiveBolus, SetRate]
    assert sorted(acts[1], key=str) == sorted([Pause, SetRate, Resume], key=str)
    ordered = of(Ordered, happenings, 1)[0]
    pause, resume = (
        next(a for a in of(Applied, happenings, 1) if isinstance(a.act, kind))
        for kind in (Pause, Resume)
    )
    assert ordered.at_ms < pause.at_ms < ordered.at_ms + MS_PER_HOUR <= resume.at_ms
    for k in range(3):
        version = clinic_of(three).order_of(k)
        assert version is not None
        programmed = [a.act for a in of(Applied, happenings, k) if isinstance(a.act, SetRate)]
        meant = programmed[-1].intended_ml_h * 100.0
        assert three.rates_iu_h[k] == meant == version.timeline.base_rate_iu_h(at_ms(12))


def test_an_order_of_somebody_else_is_gone_by_and_followed_by_a_level() -> None:
    one = ward()
    list(one.run(1))
    clinic = clinic_of(one)
    before = clinic.order_of(0)
    assert before is not None
    now_ms = one.patients.now_ms
    newer = next_version(before, rx.RateChange(at_ms=now_ms, rate_iu_h=420.0))
    clinic.order_changed(0, newer)
    one.rates_iu_h[0] = 420.0
    happenings = list(one.run(14))
    assert 7.0 < drawn_for("anti-xa", happenings)[0] < 9.0
    ordered = of(Ordered, happenings)[0].version.prescription
    assert ordered.version == 3
    assert ordered.steps[:2] == newer.prescription.steps


def test_somebody_who_sees_a_wrong_rate_has_it_put_right() -> None:
    one = ward()
    list(one.run(1))
    one.rates_iu_h[0] *= 10.0
    clinic_of(one).correct(0)
    happenings = list(one.run(0.1))
    assert [a.act for a in of(Applied, happenings)] == [SetRate(12.6, 12.6)]
    assert one.rates_iu_h[0] == pytest.approx(1260.0)


# --- slips ---------------------------------------------------------------------------------------


def with_slip(name: str) -> Protocol:
    sound = faultless()
    return replace(sound, slips=replace(sound.slips, **{name: 1.0}))


def planned(slip: str, *steps: rx.Step) -> list[nurse.Planned]:
    before = first_order(0, 70.0, 1260.0)
    rules = with_slip(slip) if slip else faultless()
    return nurse.carry_out(
        next_version(before, *steps),
        steps,
        now_ms=at_ms(8),
        old_iu_h=1260.0,
        nurse=rules.nurse,
        slips=rules.slips,
        chance=Chance(1, 0).of("apply", 2),
    )


RATE = rx.RateChange(at_ms=at_ms(8), rate_iu_h=1400.0)
BOLUS = rx.Bolus(at_ms=at_ms(8), dose_iu=2800.0, duration_s=600)
HOLD = rx.Hold(at_ms=at_ms(8), until_ms=at_ms(9))


@pytest.mark.parametrize(
    ("slip", "rate_ml_h", "weight_kg"),
    [
        ("", 14.0, None),
        ("tenfold", 140.0, None),
        ("units_for_ml", 1400.0, None),
        ("pounds_for_kg", 14.0 * 154.3 / 70.0, 154.3),
        ("wrong_direction", 11.2, None),
        ("late", 14.0, None),
    ],
)
def test_a_rate_is_typed_as_the_slip_has_it(
    slip: str, rate_ml_h: float, weight_kg: float | None
) -> None:
    (done,) = planned(slip, RATE)
    assert isinstance(done.act, SetRate)
    assert done.act.rate_ml_h == pytest.approx(rate_ml_h)
    assert done.act.intended_ml_h == 14.0
    assert done.act.weight_kg == weight_kg
    assert done.slip == (slip.replace("_", "-") or None)


def test_late_is_six_times_as_late() -> None:
    (soon,), (late,) = planned("", RATE), planned("late", RATE)
    assert late.at_ms - at_ms(8) == 6 * (soon.at_ms - at_ms(8))


def test_slips_with_a_hold_and_a_bolus() -> None:
    assert planned("not_applied", RATE)[0].act is None
    assert [p.act for p in planned("bolus_twice", BOLUS)] == [GiveBolus(2800.0, 600.0)] * 2
    assert [p.act for p in planned("hold_forgotten", HOLD)] == [None]
    pause, resume = planned("restart_forgotten", HOLD)
    assert pause.slip is None
    assert resume.act == Resume()
    assert resume.at_ms >= at_ms(9.5)


def test_a_slip_happens_only_where_it_can() -> None:
    assert planned("bolus_twice", RATE) == planned("", RATE)
    assert planned("tenfold", BOLUS) == planned("", BOLUS)


def test_a_second_check_catches_wrong_numbers_only() -> None:
    everything = replace(with_slip("tenfold").slips, second_check_catches=1.0)
    late = replace(with_slip("late").slips, second_check_catches=1.0)
    for slips, found in ((everything, None), (late, "late")):
        (done,) = nurse.carry_out(
            next_version(first_order(0, 70.0, 1260.0), RATE),
            (RATE,),
            now_ms=at_ms(8),
            old_iu_h=1260.0,
            nurse=protocol().nurse,
            slips=slips,
            chance=Chance(1, 0).of("apply", 2),
        )
        assert done.slip == found


@pytest.mark.parametrize(("noticed", "ends_at"), [(1.0, 1.0), (0.0, 10.0)])
def test_a_wrong_rate_stays_until_somebody_comes_and_sees_it(
    noticed: float, ends_at: float
) -> None:
    rules = with_slip("tenfold")
    rules = replace(rules, slips=replace(rules.slips, noticed_at_visit=noticed))
    fast = Patient(pump="P-01", elimination_factor=4.0)
    one = ward(described={0: fast}, rules=rules)
    happenings: list[Happening] = []
    while not of(Applied, happenings):
        happenings += one.run(0.5)
    wrong = next(a for a in of(Applied, happenings) if isinstance(a.act, SetRate))
    assert isinstance(wrong.act, SetRate)
    assert one.rates_iu_h[0] == pytest.approx(wrong.act.intended_ml_h * 1000.0)
    seen = 0.0
    while not seen:
        seen = sum("anti-xa" in s.tests for s in of(Sampled, one.run(0.1)))
    list(one.run(0.1))
    assert one.rates_iu_h[0] == pytest.approx(wrong.act.intended_ml_h * 100.0 * ends_at)


def test_a_stop_of_somebody_else_ends_care_and_a_start_begins_it_again() -> None:
    one = ward()
    list(one.run(1))
    clinic = clinic_of(one)
    before = clinic.order_of(0)
    assert before is not None
    stopped = next_version(before, rx.Stop(at_ms=one.patients.now_ms))
    clinic.order_changed(0, stopped)
    assert drawn_for("anti-xa", one.run(12)) == []
    again = next_version(stopped, rx.Start(at_ms=one.patients.now_ms, rate_iu_h=1000.0))
    clinic.order_changed(0, again)
    assert 19.0 < drawn_for("anti-xa", one.run(8))[0] < 21.0


def test_slips_happen_as_often_as_the_file_says() -> None:
    rules = protocol()
    counted: Counter[Slip | None] = Counter()
    order = next_version(first_order(0, 70.0, 1260.0), HOLD, RATE)
    for number in range(6000):
        done = nurse.carry_out(
            order,
            (HOLD, RATE),
            now_ms=at_ms(8),
            old_iu_h=1260.0,
            nurse=rules.nurse,
            slips=rules.slips,
            chance=Chance(3, number).of("apply", 2),
        )
        counted.update({plan.slip for plan in done if plan.slip})
    assert counted["late"] / 6000 == pytest.approx(rules.slips.late, rel=0.25)
    assert counted["restart-forgotten"] / 6000 == pytest.approx(0.01, rel=0.35)
    assert 0 < counted["not-applied"] < 60


# --- the laboratory ------------------------------------------------------------------------------


def one_patient(level_iu_ml: float, **keys: object) -> Patients:
    patient = Patient(pump="P-01", **keys)  # type: ignore[arg-type]
    patients = draw_patients(
        np.array([70.0]), seed=1, start_ms=START_MS, described={0: patient}, blood=HEALTHY
    )
    patients.level_iu_ml[0] = level_iu_ml
    return patients


def measured(
    patients: Patients, test: Test, count: int = 300, condition: Condition = "sound"
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    chance = np.random.Generator(np.random.PCG64(5))
    laboratory = protocol().laboratory
    readings = [measure(test, patients, 0, laboratory, chance, condition) for _ in range(count)]
    return np.array([reading.value for reading in readings], dtype=np.float64)


@pytest.mark.parametrize(
    ("test", "variation", "truth"),
    [
        ("anti-xa", 0.05, 0.5),
        ("aptt", 0.06, None),
        ("platelets", 0.08, 250.0),
        ("haemoglobin", 0.02, 12.0),
    ],
)
def test_a_test_varies_by_its_coefficient(
    test: Test, variation: float, truth: float | None
) -> None:
    patients = one_patient(0.5, platelets_g_l=250.0, haemoglobin_g_dl=12.0)
    values = measured(patients, test)
    mean = float(values.mean())
    assert float(values.std()) / mean == pytest.approx(variation, rel=0.2)
    assert mean == pytest.approx(truth or patients.aptt_s(0, 1.32), rel=0.02)


def test_results_beyond_the_range_say_so() -> None:
    laboratory = protocol().laboratory
    chance = np.random.Generator(np.random.PCG64(5))
    for level, test, value, bound in (
        (0.03, "anti-xa", 0.10, "below"),
        (2.5, "anti-xa", 1.50, "above"),
        (5.0, "aptt", 200.0, "above"),
    ):
        reading = measure(test, one_patient(level), 0, laboratory, chance)  # type: ignore[arg-type]
        assert (reading.value, reading.bound) == (value, bound)


def test_a_sensitive_reagent_gives_longer_times() -> None:
    seconds = [one_patient(0.5).aptt_s(0, slope) for slope in (1.05, 1.32, 1.86)]
    assert seconds == sorted(seconds)
    assert seconds[2] / seconds[0] > 1.3


def test_antithrombin_deficiency_lowers_the_reading_alone() -> None:
    ill, usual = (
        one_patient(0.5, conditions=words) for words in (("antithrombin-deficiency",), ())
    )
    assert measured(ill, "anti-xa").mean() == pytest.approx(0.7 * 0.5, rel=0.02)
    assert ill.aptt_s(0, 1.32) == usual.aptt_s(0, 1.32)


def test_an_acute_phase_shortens_the_aptt_at_the_same_level() -> None:
    """The discordance of hospitals: anti-Xa in range and aPTT below it (56 %, 3543 samples)."""
    ill, usual = (one_patient(0.5, conditions=words) for words in (("acute-phase",), ()))
    assert ill.aptt_s(0, 1.32) < usual.aptt_s(0, 1.32)
    assert measured(ill, "anti-xa").mean() == pytest.approx(measured(usual, "anti-xa").mean())


def test_a_specimen_from_the_lumen_is_off_scale() -> None:
    assert set(measured(one_patient(0.1), "anti-xa", condition="lumen")) == {1.5}
    assert measured(one_patient(0.1), "aptt", condition="lumen").min() > 150.0


def test_specimens_are_spoiled_as_often_as_the_file_says() -> None:
    laboratory = protocol().laboratory
    conditions = Counter(condition_of_specimen(laboratory, k / 10_000) for k in range(10_000))
    assert conditions["haemolysed"] == 60
    assert conditions["clotted"] == pytest.approx(30, abs=1)
    assert conditions["lost"] == conditions["lumen"] == pytest.approx(20, abs=1)


@pytest.mark.parametrize("how", ["haemolysed", "clotted"])
def test_a_rejected_specimen_is_drawn_again(how: Condition) -> None:
    one = ward()
    list(one.run(1))
    clinic_of(one).spoil_next(0, how)
    happenings = list(one.run(10))
    levels = [r for r in of(Resulted, happenings) if r.test == "anti-xa"]
    assert [r.reading.problem for r in levels[:2]] == [how, ""]
    assert levels[0].reading.value is None
    assert levels[1].drawn_ms < levels[0].at_ms + MS_PER_HOUR


def test_a_lost_specimen_gives_no_result_until_somebody_asks() -> None:
    one = ward()
    list(one.run(1))
    clinic_of(one).spoil_next(0, "lost")
    happenings = list(one.run(12))
    lost, again = [s for s in of(Sampled, happenings) if "anti-xa" in s.tests][:2]
    assert lost.condition == "lost"
    assert not [r for r in of(Resulted, happenings) if r.specimen == lost.specimen]
    assert again.at_ms - lost.at_ms > 3 * MS_PER_HOUR


def test_a_closed_laboratory_reports_when_it_opens() -> None:
    one = ward()
    clinic_of(one).close_laboratory(0, at_ms(15))
    happenings = list(one.run(20))
    assert min(r.at_ms for r in of(Resulted, happenings)) >= at_ms(15)
    assert len(drawn_for("anti-xa", happenings)) >= 1


def test_a_spoiled_level_from_the_lumen_stops_a_sound_infusion() -> None:
    steady = Patient(pump="P-01", elimination_factor=1.0)
    one = ward(described={0: steady})
    list(one.run(2))
    clinic_of(one).spoil_next(0, "lumen")
    ordered = of(Ordered, list(one.run(8)))[0]
    assert isinstance(ordered.steps[0], rx.Hold)


# --- what ends the therapy -----------------------------------------------------------------------


def test_bridging_takes_five_days_and_two_inr_of_two() -> None:
    described = {0: Patient(pump="P-01", warfarin_from=Offset(12 * MS_PER_HOUR))}
    one = ward(described=described)
    happenings = list(one.run(14 * DAY, step_min=10))
    stopped = of(Ordered, happenings)[-1]
    assert isinstance(stopped.steps[0], rx.Stop)
    days = (stopped.at_ms - at_ms(12)) / (DAY * MS_PER_HOUR)
    assert 5.0 <= days < 10.0
    inrs = [r.reading.value for r in of(Resulted, happenings) if r.test == "inr"]
    assert min(value for value in inrs[-2:] if value is not None) >= 2.0
    assert of(Applied, happenings)[-1].act == End()
    assert one.rates_iu_h[0] == 0.0
    assert not [h for h in happenings if isinstance(h, Sampled) and h.at_ms > stopped.at_ms]


def test_bridging_ends_neither_early_nor_on_one_inr() -> None:
    rules = protocol().prescriber
    day = round(DAY * MS_PER_HOUR)
    assert stop_for_bridging(2.5, 2.1, 4 * day, rules) == ""
    assert stop_for_bridging(2.5, 1.9, 6 * day, rules) == ""
    assert stop_for_bridging(2.5, None, 6 * day, rules) == ""
    assert "INR 2.1 and 2.5" in stop_for_bridging(2.5, 2.1, 6 * day, rules)


def test_hit_on_day_7_is_seen_at_the_next_counts_and_ends_heparin() -> None:
    onset = Offset(7 * 24 * MS_PER_HOUR)
    one = ward(described={0: Patient(pump="P-01", platelets_g_l=250, hit_onset=onset)})
    happenings = list(one.run(13 * DAY, step_min=10))
    stopped = of(Ordered, happenings)[-1]
    assert "HIT" in stopped.reason
    assert 7.5 * DAY < (stopped.at_ms - START_MS) / MS_PER_HOUR < 11 * DAY


def test_counts_are_compared_with_the_highest_before() -> None:
    rules = protocol().prescriber
    assert "fell by 55%" in stop_for_counts("platelets", 135, 300, 6.0, rules)
    assert stop_for_counts("platelets", 135, 300, 2.0, rules) == ""
    assert stop_for_counts("platelets", 160, 300, 6.0, rules) == ""
    assert stop_for_counts("haemoglobin", 11.0, 13.0, 1.0, rules) != ""
    assert stop_for_counts("haemoglobin", 11.1, 13.0, 1.0, rules) == ""


def test_a_bleeding_is_reported_checked_and_ends_heparin() -> None:
    one = ward()
    list(one.run(10))
    one.patients.begin_bleeding(0, g_dl_day=6.0, length_h=48.0)
    happenings = list(one.run(80))
    (report,) = of(Reported, happenings)
    assert report.what == "bleeding"
    drawn = [s.at_ms for s in of(Sampled, happenings) if "haemoglobin" in s.tests]
    assert drawn[0] - report.at_ms < 2 * MS_PER_HOUR
    assert "haemoglobin" in of(Ordered, happenings)[-1].reason


def test_after_a_report_haemoglobin_is_drawn_at_once_and_twice_again() -> None:
    one = ward()
    list(one.run(10))
    # A bruise, so slow that no count ends the therapy.
    one.patients.begin_bleeding(0, g_dl_day=0.2, length_h=24.0)
    happenings = list(one.run(80))
    (report,) = of(Reported, happenings)
    drawn_h = [
        (sampled.at_ms - report.at_ms) / MS_PER_HOUR
        for sampled in of(Sampled, happenings)
        if "haemoglobin" in sampled.tests and sampled.at_ms >= report.at_ms
    ]
    # Each when it is due or, with something else, up to two hours before, and at most an hour late.
    assert len(drawn_h) == 3
    for at_h, due_h in zip(drawn_h, (0.0, 6.0, 24.0), strict=True):
        assert due_h - 2.0 <= at_h <= due_h + 1.0


def test_a_count_on_its_way_does_not_put_off_the_one_after_a_report() -> None:
    rules = faultless()
    called = replace(rules.prescriber, notice_median_h=0.02, notice_log_sd=0.0)
    one = ward(rules=replace(rules, prescriber=called))
    happenings: list[Happening] = []
    while not of(Sampled, happenings):
        happenings += one.run(1 / 60)
    one.patients.begin_bleeding(0, g_dl_day=0.2, length_h=24.0)
    happenings += one.run(5)
    (report,) = of(Reported, happenings)
    first, *again = [s.at_ms for s in of(Sampled, happenings) if "haemoglobin" in s.tests]
    (result,) = [r for r in of(Resulted, happenings) if r.drawn_ms == first and "haem" in r.test]
    assert first < report.at_ms < result.at_ms
    assert len(again) == 1
    assert again[0] - report.at_ms < MS_PER_HOUR


# --- the same again ------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_care_in_every_fleet() -> None:
    whole = list(ward(12, seed=5, rules=protocol(), blood=Blood()).run(30))
    again = list(ward(12, seed=5, rules=protocol(), blood=Blood()).run(30))
    part = list(ward(4, seed=5, rules=protocol(), blood=Blood()).run(30))
    assert whole == again
    for index in range(4):
        assert [h for h in whole if h.index == index] == [h for h in part if h.index == index]
    other = list(ward(12, seed=6, rules=protocol(), blood=Blood()).run(30))
    assert whole != other


def test_a_clinic_says_when_it_has_something_to_do() -> None:
    often, seldom = ward(5, seed=9), ward(5, seed=9)
    every_minute = list(often.run(24))
    clinic, patients = clinic_of(seldom), seldom.patients
    first_ms = clinic.next_ms
    assert first_ms is not None
    assert first_ms == min(h.at_ms for h in every_minute)
    patients.advance(np.zeros(5), first_ms - MS_PER_MINUTE)
    assert clinic.advance(first_ms - MS_PER_MINUTE) == []
    patients.advance(np.zeros(5), first_ms)
    assert clinic.advance(first_ms)


def test_a_clinic_comes_after_its_patients() -> None:
    one = ward()
    with pytest.raises(AssertionError):
        clinic_of(one).advance(START_MS + MS_PER_MINUTE)


# --- events of a scenario ------------------------------------------------------------------------


def test_every_event_has_a_word_and_a_performer() -> None:
    assert set(PATIENT_EVENTS.values()) == {*PERFORM, Says}


def test_events_do_what_they_say() -> None:
    one = ward(2)
    list(one.run(1))
    keys = {"at": Offset(0), "pump": "P-02"}
    for entry in (
        event.Bleeding(**keys, g_dl_day=3.0, hours=2.0),  # type: ignore[arg-type]
        event.Hit(**keys, fall=0.9),  # type: ignore[arg-type]
        event.ClearanceFalls(**keys, share=0.5, hours=1.0),  # type: ignore[arg-type]
        event.SpoilSpecimen(**keys, how="lost"),  # type: ignore[arg-type]
        event.LaboratoryClosed(**keys, until=Offset(2 * MS_PER_HOUR)),  # type: ignore[arg-type]
    ):
        perform(one.patients, clinic_of(one), 1, entry, START_MS)
        perform(one.patients, None, 0, entry, START_MS)
    before = [one.patients.truth(k).clearance_share for k in range(2)]
    list(one.run(1))
    after = one.patients.truth(1)
    assert after.is_bleeding
    assert after.has_hit
    assert after.clearance_share / before[1] < 0.7
    rises = event.ClearanceRises(at=Offset(0), pump="P-02", share=1.0, hours=1.0)
    perform(one.patients, None, 1, rises, START_MS)
    list(one.run(1))
    assert one.patients.truth(1).clearance_share > 1.5 * after.clearance_share
    drawn = of(Sampled, one.run(7), 1)
    assert drawn[0].condition == "lost"


def test_a_scenario_says_who_the_patients_are() -> None:
    text = b"""
    [[patient]]
    pump = "P-02"
    pharmacokinetics = "volunteer"
    conditions = ["renal-failure", "acute-phase"]
    elimination_factor = 0.8
    platelets_g_l = 230
    haemoglobin_g_dl = 12.5
    hit_onset = "168:00"
    warfarin_from = "24:00"
    no_bolus = true
    protocol = "none"
    """
    (patient,) = read_scenario(text, "s.toml").patients
    patients = draw_patients(
        np.full(2, 70.0), seed=1, start_ms=START_MS, described={1: patient}, blood=HEALTHY
    )
    assert patients.hit_from_ms[1] == at_ms(168)
    assert patients.traits.warfarin_from_ms[1] == at_ms(24)
    assert patients.truth(1).platelets_g_l == 230
    assert patients.truth(1).haemoglobin_g_dl == 12.5
    assert patients.traits.km_iu_ml[1] != patients.traits.km_iu_ml[0]
    with pytest.raises(ConfigError, match="conditions"):
        read_scenario(text.replace(b"renal-failure", b"renal"), "s.toml")


# --- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[slips]", "[slip]", "the table [slips] is missing"),
        ("tenfold = 0.001", "tenfolds = 0.001", "[slips]: the key 'tenfolds' is unknown"),
        ("tenfold = 0.001", "tenfold = 2", "[slips]: key 'tenfold'"),
        ("aptt_cv = 0.06", "", "[laboratory]: the key 'aptt_cv' is missing"),
        ("anti_xa_low_iu_ml = 0.10", "anti_xa_low_iu_ml = 2", "must be below anti_xa_high"),
        ("lost_share = 0.002", "lost_share = 0.999", "must add up to at most 1"),
        ('levels = ["anti-xa", "aptt"]', "levels = []", "at least one test"),
        ("platelets_from_day = 4.0", "platelets_from_day = 40.0", "platelets_until_day"),
        ("late = 0.03", "late = 0.99", "[slips]: the shares must add up"),
        ('name = "home-heparin"', 'name = "home-heparin"\ncolour = 1', "'colour' is unknown"),
    ],
)
def test_a_bad_protocol_is_refused_in_words(old: str, new: str, message: str) -> None:
    text = (CONFIG / "protocols" / "home-heparin.toml").read_text()
    assert old in text
    with pytest.raises(ConfigError, match=r"p\.toml") as caught:
        read_protocol(text.replace(old, new, 1).encode(), "p.toml")
    assert message in str(caught.value)


def test_the_protocol_names_a_nomogram_that_is_there() -> None:
    assert nomogram(protocol().nomogram).test == "anti_xa_iu_ml"


@pytest.mark.parametrize("table", ["raschke", "lothian"])
def test_tables_by_aptt_and_by_its_ratio_are_gone_by(table: str) -> None:
    several = ward(60, table=table)
    happenings = list(several.run(36))
    assert any(isinstance(h, Ordered) for h in happenings)
    ratio = [
        h.reading.value / 30.0
        for h in happenings
        if isinstance(h, Resulted)
        and h.test == "aptt"
        and h.drawn_ms > at_ms(24)
        and h.reading.value
    ]
    assert 1.3 < float(np.median(ratio)) < 3.0

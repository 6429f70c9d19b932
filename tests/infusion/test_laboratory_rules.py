"""Rules on laboratory results: each at its edge, in time, and beside what only looks like it."""

from typing import Any

import pytest
from msgspec.structs import replace

from infusion.clinical import LabResult, LabTest
from infusion.prescription import Hold, RateChange, Start, Stop
from infusion.rules import blood, counts, laboratory
from infusion.situation import Situation, Verdict
from infusion.state import PumpState
from infusion.thresholds import DEFAULTS
from tests.infusion.bench import ORDERED_IU_KG_H, RATE_ML_H, T0, Paper, begin, clock, feed
from tests.infusion.clinic_bench import clinical, infusing, lab, report, sure

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)


def anti_xa(value: float, drawn: str, resulted: str, **more: Any) -> Any:
    return lab("anti-xa", value, drawn=drawn, resulted=resulted, **more)


def situation(paper: Paper, **limits: Any) -> Situation:
    """How a paper pump and its therapy stand at the end of a stream, with changed thresholds."""
    monitor, _ = feed(sorted(paper.stream, key=lambda item: item[0]))
    (state,) = monitor.pumps.values()
    assert isinstance(state, PumpState)
    record = monitor.therapies.records["home/T-01"]
    assert record.order is not None
    assert state.edge is not None
    return Situation(
        state=state,
        at_ms=state.edge.time_ms,
        heard_ms=state.edge.time_ms,
        edge=state.edge,
        telemetry=None,
        delivering=state.edge.delivery == "delivering",
        record=record,
        prescription=record.order.prescription,
        timeline=record.order.timeline,
        allowed=None,
        order_ms=state.edge.time_ms,
        ordered=True,
        limits=replace(DEFAULTS, **limits),
    )


def found(verdict: Verdict | None) -> Verdict:
    assert verdict is not None
    return verdict


# --- H06: critical results ------------------------------------------------------------------------


def test_a_critical_level_stands_until_the_next_one() -> None:
    paper = infusing("16:00", anti_xa(1.0, "06:00", "07:00"), anti_xa(0.8, "13:00", "14:00"))
    assert clinical(paper) == [
        "07:01:00 raised critical-result high",
        "14:00:00 cleared critical-result high",
    ]


@pytest.mark.parametrize(
    ("test", "value", "is_critical"),
    [
        ("anti-xa", 1.0, True),
        ("anti-xa", 0.99, False),
        ("aptt", 100.1, True),
        ("aptt", 100.0, False),
        ("platelets", 49.0, True),
        ("platelets", 50.0, False),
        ("haemoglobin", 12.0, False),
    ],
)
def test_the_edges_of_critical(test: Any, value: float, is_critical: bool) -> None:
    paper = infusing("08:00", lab(test, value, drawn="06:00", resulted="07:00"))
    said = "07:01:00 raised critical-result high"
    assert (said in clinical(paper)) is is_critical


def test_a_sensitive_reagent_is_no_critical_level() -> None:
    """aPTT 120 s of a specimen whose anti-Xa is in range, and comes seconds later."""
    aptt = lab("aptt", 120.0, drawn="06:00", resulted="07:00")
    late = anti_xa(0.6, "06:00", "07:00:30")
    assert clinical(infusing("09:00", aptt, late)) == []
    now = situation(infusing("09:00", aptt, late), level_test="aptt")
    assert found(laboratory.critical_result(now)).evidence.observed == 120.0


def test_a_later_level_speaks_for_an_earlier_one() -> None:
    """The aPTT was critical; the anti-Xa that was drawn since then is not."""
    paper = infusing(
        "15:00",
        lab("aptt", 130.0, drawn="06:00", resulted="07:00"),
        anti_xa(0.6, "13:00", "14:00"),
    )
    assert clinical(paper) == [
        "07:01:00 raised critical-result high",
        "14:00:00 cleared critical-result high",
    ]


def test_a_hold_is_no_reason_to_forget_a_critical_level() -> None:
    steps = (START, Hold(at_ms=T0 + clock("07:10"), until_ms=T0 + clock("09:10")))
    paper = begin(*steps, interval_ms=60_000).run("07:10").stop().run("09:00")
    paper.stream.append((T0 + clock("07:00"), anti_xa(1.2, "06:00", "07:00")))
    assert clinical(paper) == ["07:01:00 raised critical-result high"]


def test_an_hour_after_the_end_of_a_therapy_no_level_is_critical() -> None:
    """H06: with infusion running, or until an hour ago."""
    steps = (START, Stop(at_ms=T0 + clock("07:10")))
    paper = begin(*steps, interval_ms=60_000).run("07:10").stop().run("10:00")
    paper.stream.append((T0 + clock("07:00"), anti_xa(1.2, "06:00", "07:00")))
    assert clinical(paper) == [
        "07:01:00 raised critical-result high",
        "08:10:00 cleared critical-result high",
    ]


def test_a_critical_level_says_what_the_dose_makes_likely() -> None:
    """Off the scale and far from what 18 IU/kg/h make: the specimen is doubted in the same words."""
    paper = infusing("08:00", anti_xa(1.5, "06:00", "07:00", bound="above"))
    assert sure(paper, "critical-result") == (
        "anti-Xa (or more); the delivered dose makes 0.60 likely (0.28 to 1.17):"
        " draw again from another vein, the specimen may hold heparin of the line"
    )
    plain = sure(infusing("08:00", anti_xa(1.0, "06:00", "07:00")), "critical-result")
    assert plain == "anti-Xa; the delivered dose makes 0.60 likely (0.28 to 1.17)"


# --- M08, M11, L03: the course of the level -------------------------------------------------------


def slow(until: str, *messages: Any, rate_ml_h: float = RATE_ML_H) -> Paper:
    """A pump on an order that fits what it is programmed to."""
    rate = ORDERED_IU_KG_H * rate_ml_h / RATE_ML_H
    paper = begin(Start(at_ms=T0, rate_iu_kg_h=rate), interval_ms=60_000)
    paper.program(rate_ml_h).run(until)
    paper.stream += [(each.resulted_ms, each) for each in messages]
    return paper


def test_two_levels_far_below_the_range() -> None:
    """M08, on a dose at which such a level is nothing strange: < 0.2 twice, and 0.2 is over."""
    levels = (
        anti_xa(0.19, "06:00", "07:00"),
        anti_xa(0.15, "12:00", "13:00"),
        anti_xa(0.20, "18:00", "19:00"),
    )
    assert clinical(slow("20:00", *levels, rate_ml_h=6.0)) == [
        "13:01:00 raised levels-out-of-range medium",
        "19:00:00 cleared levels-out-of-range medium",
    ]


@pytest.mark.parametrize("values", [(0.19, 0.20), (0.15, 0.99), (0.28, 0.25), (0.19, 1.1)])
def test_levels_that_are_not_far_off_twice_on_one_side(values: tuple[float, float]) -> None:
    first, second = values
    now = situation(
        slow("14:00", anti_xa(first, "06:00", "07:00"), anti_xa(second, "12:00", "13:00"))
    )
    assert laboratory.levels_out_of_range(now) is None


def test_two_levels_far_above_are_told_with_the_critical_one() -> None:
    paper = infusing("14:00", anti_xa(1.0, "06:00", "07:00"), anti_xa(1.0, "12:00", "13:00"))
    assert clinical(paper) == [
        "07:01:00 raised critical-result high",
        "13:01:00 updated critical-result high",
    ]
    evidence = found(laboratory.levels_out_of_range(situation(paper))).evidence
    assert evidence.limit == "above 1 twice"
    assert evidence.detail == "anti-Xa; two in a row: 1, then 1"


def test_where_the_aptt_leads_its_range_counts() -> None:
    levels = [
        lab("aptt", value, drawn=f"{hour:02}:00", resulted=f"{hour + 1:02}:00")
        for hour, value in ((6, 80.0), (12, 76.0))
    ]
    now = situation(infusing("14:00", *levels))
    assert found(laboratory.levels_out_of_range(now)).evidence.limit == "above 75 twice"
    assert laboratory.levels_out_of_range(situation(infusing("14:00", *levels[:1]))) is None


def test_a_pump_that_stands_explains_low_levels() -> None:
    """Not two alerts for one cause: the pump's own alarm speaks for the levels."""
    paper = begin(interval_ms=60_000).run("03:00").stop("alarming", alarms=("air-in-line",))
    paper.run("14:00")
    for drawn, resulted in (("06:00", "07:00"), ("12:00", "13:00")):
        result = anti_xa(0.1, drawn, resulted, bound="below")
        paper.stream.append((result.resulted_ms, result))
    assert clinical(paper) == []


def test_no_level_in_range_within_a_day() -> None:
    """M11, Hull 1997: by 24 h, and what is drawn then comes two hours and a half later at most."""
    levels = [
        anti_xa(value, f"{hour:02}:00", f"{hour + 1:02}:00")
        for hour, value in ((6, 0.25), (12, 0.28), (18, 0.29), (24, 0.28), (28, 0.30))
    ]
    assert clinical(infusing("30:00", *levels)) == [
        "26:30:00 raised not-therapeutic medium",
        "29:00:00 cleared not-therapeutic medium",
    ]


def test_one_level_in_range_is_enough() -> None:
    levels = [
        anti_xa(value, f"{hour:02}:00", f"{hour + 1:02}:00")
        for hour, value in ((6, 0.30), (12, 0.28), (18, 0.29), (24, 0.28))
    ]
    assert clinical(infusing("30:00", *levels)) == []


def test_who_came_later_does_not_know_the_first_day() -> None:
    """The first result that is heard of was drawn on the second day."""
    paper = infusing("40:00", anti_xa(0.28, "30:00", "31:00"))
    assert "not-therapeutic" not in " ".join(clinical(paper))


BOTH: tuple[LabTest, LabTest] = ("anti-xa", "aptt")


def pairs(*values: tuple[float, float]) -> list[LabResult]:
    """Specimens every six hours: anti-Xa and aPTT."""
    return [
        lab(test, value, drawn=f"{hour:02}:00", resulted=f"{hour + 1:02}:00")
        for hour, both in zip(range(6, 48, 6), values, strict=False)
        for test, value in zip(BOTH, both, strict=True)
    ]


def test_aptt_and_anti_xa_disagree_twice() -> None:
    """L03: information only, where anti-Xa leads."""
    paper = infusing("21:00", *pairs((0.5, 40.0), (0.5, 40.0), (0.5, 60.0)))
    assert clinical(paper) == [
        "13:00:00 raised discordance notice",
        "19:00:00 cleared discordance notice",
    ]


@pytest.mark.parametrize(
    "values",
    [
        [(0.5, 40.0), (0.5, 60.0)],
        [(0.5, 40.0), (0.5, 84.0)],
        [(0.5, 41.0), (0.5, 41.0)],
        [(0.2, 38.0), (0.2, 38.0)],
        [(0.5, 40.0)],
    ],
    ids=["once", "on both sides", "hardly", "both low", "one specimen"],
)
def test_what_is_no_discordance(values: list[tuple[float, float]]) -> None:
    assert laboratory.discordance(situation(infusing("14:00", *pairs(*values)))) is None


def test_the_other_way_round_and_where_the_aptt_leads() -> None:
    now = situation(infusing("14:00", *pairs((0.2, 60.0), (0.2, 60.0))))
    verdict = found(laboratory.discordance(now))
    assert (verdict.evidence.observed, verdict.priority) == (0.2, None)
    now = situation(infusing("14:00", *pairs((0.5, 40.0), (0.5, 40.0))), level_test="aptt")
    verdict = found(laboratory.discordance(now))
    assert (verdict.evidence.observed, verdict.priority) == (40.0, "low")


# --- M10 and the strength of the bag: results against the dose ------------------------------------

AGREED = (anti_xa(0.58, "06:00", "07:00"), anti_xa(0.60, "12:00", "13:00"))


def test_a_result_that_does_not_fit_the_dose() -> None:
    """M10: 0.12 where two results agreed with 0.6, and the next one agrees again."""
    odd, again = anti_xa(0.12, "18:00", "19:00"), anti_xa(0.55, "24:00", "25:00")
    paper = infusing("26:00", *AGREED, odd, again)
    assert clinical(paper) == [
        "19:01:00 raised result-disagrees medium",
        "25:00:00 cleared result-disagrees medium",
    ]
    assert "a leak or a loose line" in sure(paper, "result-disagrees")


@pytest.mark.parametrize("value", [0.40, 0.85])
def test_a_patient_who_wanders_is_no_disagreement(value: float) -> None:
    """Off by a third, or by four tenths, as one in twenty is after six hours."""
    assert clinical(infusing("20:00", *AGREED, anti_xa(value, "18:00", "19:00"))) == []


@pytest.mark.parametrize("value", [0.36, 0.95])
def test_what_few_patients_do_is_told_and_calls_nobody_at_once(value: float) -> None:
    """Off by 0.24 IU/mL; or by more than half, as one in some hundred is after six hours."""
    assert clinical(infusing("20:00", *AGREED, anti_xa(value, "18:00", "19:00"))) == [
        "19:01:00 raised result-disagrees low",
    ]


@pytest.mark.parametrize(
    ("value", "is_told"), [(0.20, True), (0.24, True), (0.29, False), (0.97, False)]
)
def test_a_first_result_that_few_patients_have_is_told(value: float, is_told: bool) -> None:
    """A leak that was there from the start shows in nothing else; 18 IU/kg/h make 0.58 (§5.5).

    ln f of 1.96 × 0.425 is 0.2 to 0.3 IU/mL below, and from 1.1 on it is critical.
    """
    said = clinical(infusing("08:00", anti_xa(value, "06:00", "07:00")))
    assert said == ["07:01:00 raised result-disagrees low"] * is_told


def test_a_slow_second_result_is_held_against_all_patients_too() -> None:
    """0.33 and then 0.22: near what the first lets expect, and far from what anybody has."""
    paper = infusing("16:00", anti_xa(0.33, "06:00", "07:00"), anti_xa(0.22, "14:00", "15:00"))
    assert clinical(paper) == ["15:01:00 raised result-disagrees low"]


def test_what_was_odd_and_is_ordinary_again_is_no_disagreement() -> None:
    """A leak that somebody found, or a bag that was changed: what was odd has been told."""
    odd, again = anti_xa(0.20, "06:00", "07:00"), anti_xa(0.62, "14:00", "15:00")
    assert clinical(infusing("16:00", odd, again)) == [
        "07:01:00 raised result-disagrees low",
        "15:00:00 cleared result-disagrees low",
    ]


def test_a_first_result_may_lie_far_from_the_typical_one() -> None:
    """More than 0.25 IU/mL and 50 % off, as one patient in six: their clearance, and no doubt."""
    now = situation(infusing("08:00", anti_xa(0.95, "06:00", "07:00")))
    assert blood.result_disagrees(now) is None


def test_a_level_that_is_low_because_of_the_dose_agrees_with_it() -> None:
    """Four hours without delivery, as the account knows: 0.1 is what the dose makes."""
    paper = begin(interval_ms=60_000).run("14:00").stop().run("18:00").start().run("20:00")
    odd = anti_xa(0.1, "18:00", "19:00", bound="below")
    paper.stream += [(each.resulted_ms, each) for each in (*AGREED, odd)]
    assert blood.result_disagrees(situation(paper)) is None
    assert blood.concentration_doubt(situation(paper)) is None


def test_two_results_of_a_bag_of_half_the_strength() -> None:
    """0.58 before, and 0.25 twice at the same rate: §5.5 has 0.26 at half of 18 IU/kg/h."""
    halves = (anti_xa(0.25, "18:00", "19:00"), anti_xa(0.25, "24:00", "25:00"))
    paper = infusing("26:00", *AGREED, *halves)
    assert clinical(paper)[-1] == "25:01:00 raised concentration-doubt medium"
    words = sure(paper, "concentration-doubt")
    assert words.startswith("two anti-Xa in a row fit 0.5 times the strength, ")
    assert "the patient clears heparin faster than before" in words


def test_two_results_of_a_bag_of_twice_the_strength_are_critical_and_doubted() -> None:
    """One situation: the critical result speaks, and the doubt is named in it."""
    doubles = (anti_xa(1.45, "18:00", "19:00"), anti_xa(1.45, "24:00", "25:00"))
    said = clinical(infusing("26:00", *AGREED, *doubles))
    assert "19:01:00 raised critical-result high" in said
    assert "25:01:00 updated critical-result high" in said


def test_one_odd_result_is_no_doubt_of_the_bag() -> None:
    now = situation(infusing("20:00", *AGREED, anti_xa(0.25, "18:00", "19:00")))
    assert blood.concentration_doubt(now) is None


def test_two_odd_results_that_do_not_agree_are_no_doubt_of_the_bag() -> None:
    odd = (anti_xa(0.25, "18:00", "19:00"), anti_xa(0.50, "24:00", "25:00"))
    assert blood.concentration_doubt(situation(infusing("26:00", *AGREED, *odd))) is None


def test_a_specimen_of_the_heparin_line_is_no_base_to_doubt_the_bag_from() -> None:
    """Off the scale, then twice what the dose makes: the first tells of its specimen."""
    results = (
        anti_xa(1.5, "06:00", "07:00", bound="above"),
        anti_xa(0.52, "12:00", "13:00"),
        anti_xa(0.55, "18:00", "19:00"),
    )
    assert blood.concentration_doubt(situation(infusing("20:00", *results))) is None


def test_a_bag_that_was_changed_for_the_right_one_is_no_doubt_of_that() -> None:
    """A quarter of what the dose makes, then twice just that: the doubt is of the bag before."""
    results = (
        anti_xa(0.14, "06:00", "07:00"),
        anti_xa(0.60, "12:00", "13:00"),
        anti_xa(0.65, "18:00", "19:00"),
    )
    assert blood.concentration_doubt(situation(infusing("20:00", *results))) is None


def test_a_clearance_that_drifts_is_no_doubt_of_the_bag() -> None:
    """By a tenth with each result: it never leaps."""
    drift = [
        anti_xa(value, f"{hour:02}:00", f"{hour + 1:02}:00")
        for hour, value in ((6, 0.58), (12, 0.63), (18, 0.69), (24, 0.75), (30, 0.82))
    ]
    assert blood.concentration_doubt(situation(infusing("32:00", *drift))) is None


# --- what is to come ------------------------------------------------------------------------------


def raised_to(rate_iu_kg_h: float, *messages: Any) -> Paper:
    """From 8 h on at another rate, as ordered."""
    change = RateChange(at_ms=T0 + clock("08:00"), rate_iu_kg_h=rate_iu_kg_h)
    paper = begin(START, change, interval_ms=60_000).run("08:00")
    paper.program(RATE_ML_H * rate_iu_kg_h / ORDERED_IU_KG_H).run("13:00")
    paper.stream += [(each.resulted_ms, each) for each in messages]
    return paper


def test_a_level_that_is_about_to_leave_its_range() -> None:
    """In range at 6 h; at 30 IU/kg/h from 8 h on it is out within two hours, and a result says so."""
    paper = raised_to(30.0, anti_xa(0.58, "06:00", "07:00"), anti_xa(0.95, "11:00", "12:00"))
    assert clinical(paper) == [
        "08:05:00 raised level-forecast low",
        "12:00:00 cleared level-forecast low",
    ]
    evidence = next(
        each.alert.evidence
        for each in feed(sorted(paper.stream, key=lambda item: item[0]))[1]
        if each.alert.rule == "level-forecast"
    )
    assert evidence.expected == 0.7
    assert evidence.low is not None
    assert evidence.high is not None
    assert evidence.low < 0.95 < evidence.high


def test_a_small_change_foretells_nothing() -> None:
    assert clinical(raised_to(20.0, anti_xa(0.58, "06:00", "07:00"))) == []


def test_without_a_fresh_result_nothing_is_foretold() -> None:
    assert clinical(raised_to(30.0, lab("platelets", 200.0, drawn="06:00", resulted="07:00"))) == []
    stale = raised_to(30.0, anti_xa(0.58, "06:00", "07:00"))
    assert found(blood.level_forecast(situation(stale))).evidence.expected == 0.7
    assert blood.level_forecast(situation(stale, forecast_anchor_h=6.0)) is None


def test_a_pump_that_stands_foretells_nothing() -> None:
    paper = raised_to(30.0, anti_xa(0.58, "06:00", "07:00")).stop()
    assert blood.level_forecast(situation(paper)) is None


# --- H07, M09, H05: counts ------------------------------------------------------------------------


def platelets(*values: tuple[int, float]) -> list[Any]:
    """Counts by day, drawn half an hour after midnight of the therapy."""
    return [
        lab("platelets", value, drawn=f"{day * 24}:30", resulted=f"{day * 24 + 1}:30")
        for day, value in values
    ]


def counted(*values: tuple[int, float], until_day: int | None = None, more: Any = ()) -> Situation:
    """How counts stand after the last of them; a pump that speaks hourly is enough for that."""
    last = until_day or values[-1][0]
    paper = begin(interval_ms=3_600_000).run(f"{last * 24 + 2}:00")
    paper.stream += [(each.resulted_ms, each) for each in platelets(*values)]
    paper.stream += [(each.time_ms, each) for each in more]
    return situation(paper)


def test_platelets_that_fall_as_in_hit() -> None:
    """H07: over 50 % from the highest, first seen on day 7; the count after the end recovers."""
    counts_ = platelets((0, 240.0), (4, 230.0), (7, 114.0), (9, 190.0))
    levels = [anti_xa(0.5, f"{hour}:00", f"{hour + 1}:00") for hour in range(6, 220, 6)]
    paper = infusing("218:00", *counts_, *levels)
    assert clinical(paper) == [
        "169:30:00 raised hit-suspected high",
        "169:30:00 updated hit-suspected high",
        "217:30:00 cleared hit-suspected high",
    ]
    assert sure(paper, "hit-suspected").startswith(
        "platelets down by 52% from 240, first seen on day 7; 4Ts: 4 points (fall 2, timing 2, clot 0)"
    )


@pytest.mark.parametrize(
    ("values", "is_suspected"),
    [
        ([(0, 240.0), (5, 119.0)], True),
        ([(0, 240.0), (5, 120.0)], False),
        ([(0, 240.0), (4, 110.0)], False),
        ([(0, 240.0), (10, 110.0)], True),
        ([(0, 240.0), (11, 110.0)], False),
        ([(0, 180.0), (4, 300.0), (7, 140.0)], True),
        ([(0, 240.0), (7, 160.0), (9, 100.0), (12, 90.0)], True),
        ([(0, 240.0), (7, 15.0)], False),
        ([(0, 240.0), (7, 100.0), (9, 200.0)], False),
    ],
    ids=[
        "over half",
        "just half",
        "day 4",
        "day 10",
        "day 11",
        "from the highest",
        "a fall that began in time",
        "too low for heparin's doing alone",
        "recovered",
    ],
)
def test_the_points_of_the_4ts(values: list[tuple[int, float]], is_suspected: bool) -> None:
    assert (counts.hit_suspected(counted(*values)) is not None) is is_suspected


def test_a_new_clot_is_two_points_more() -> None:
    """A fall of 40 % on day 7 scores 3, with a thrombosis 5."""
    values = [(0, 240.0), (7, 144.0)]
    assert counts.hit_suspected(counted(*values)) is None
    clot = report("new thrombosis of the leg", "160:00", by="nurse")
    verdict = found(counts.hit_suspected(counted(*values, more=[clot])))
    assert "5 points (fall 1, timing 2, clot 2)" in verdict.evidence.detail


def test_hit_that_was_excluded_is_not_suspected_until_the_next_count() -> None:
    excluded = report("HIT excluded", "170:00", by="physician")
    values = [(0, 240.0), (7, 110.0)]
    assert counts.hit_suspected(counted(*values)) is not None
    assert counts.hit_suspected(counted(*values, until_day=8, more=[excluded])) is None
    later = counted(*values, (9, 100.0), more=[excluded])
    assert counts.hit_suspected(later) is not None


@pytest.mark.parametrize(
    ("values", "is_falling"),
    [
        ([(0, 240.0), (3, 168.0)], True),
        ([(0, 240.0), (3, 169.0)], False),
        ([(0, 110.0), (3, 99.0)], True),
        ([(0, 110.0), (3, 100.0)], False),
        ([(0, 240.0)], False),
        ([(0, 240.0), (3, 40.0)], False),
    ],
    ids=["30 %", "a little less", "below 100", "just 100", "first count", "told as critical"],
)
def test_the_edges_of_falling_platelets(values: list[tuple[int, float]], is_falling: bool) -> None:
    """M09; a laboratory's 8 % from day to day is nothing."""
    assert (counts.platelets_falling(counted(*values)) is not None) is is_falling


@pytest.mark.parametrize(("value", "is_falling"), [(11.4, True), (11.5, False)])
def test_the_edge_of_falling_haemoglobin(value: float, is_falling: bool) -> None:
    """H05: 2 g/dL, from the highest and not from the first."""
    results = [
        lab("haemoglobin", each, drawn=f"{hour:02}:00", resulted=f"{hour + 1:02}:00")
        for hour, each in ((0, 13.0), (6, 13.4), (12, value))
    ]
    levels = [anti_xa(0.5, "06:00", "07:00"), anti_xa(0.5, "12:00", "13:00")]
    said = ["13:00:00 raised haemoglobin-falling high"] if is_falling else []
    assert clinical(infusing("14:00", *results, *levels)) == said


def test_after_a_bleeding_haemoglobin_is_counted_anew() -> None:
    """A patient who bled and stopped stays low for weeks: that is known."""
    low = lab("haemoglobin", 11.0, drawn="06:00", resulted="07:00")
    over = report("bleeding over", "08:00", by="nurse")
    stays = lab("haemoglobin", 10.9, drawn="12:00", resulted="13:00")
    worse = lab("haemoglobin", 8.9, drawn="18:00", resulted="19:00")
    first = lab("haemoglobin", 13.4, drawn="00:10", resulted="01:00")
    paper = infusing("20:00", first, low, over, stays, worse)
    said = [line for line in clinical(paper) if "haemoglobin" in line]
    assert said == [
        "07:00:00 raised haemoglobin-falling high",
        "08:00:00 cleared haemoglobin-falling high",
        "19:00:00 raised haemoglobin-falling high",
    ]


def test_a_therapy_without_a_laboratory_says_nothing() -> None:
    now = situation(infusing("30:00"))
    for rule in (
        laboratory.critical_result,
        laboratory.levels_out_of_range,
        laboratory.not_therapeutic,
        laboratory.discordance,
        blood.result_disagrees,
        blood.concentration_doubt,
        blood.level_forecast,
        counts.hit_suspected,
        counts.platelets_falling,
        counts.haemoglobin_falling,
    ):
        assert rule(now) is None

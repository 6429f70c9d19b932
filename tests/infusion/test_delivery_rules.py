"""Rules on what is delivered, beside those of test_rules.py and test_excess.py: each at its edges,
in time, and beside what only looks like it.
"""

from typing import Any

import pytest

from infusion.account import window
from infusion.alarms import Priority
from infusion.messages import AlertChange, Panel
from infusion.prescription import Bolus, Hold, Start
from tests.infusion.bench import (
    CONCENTRATION,
    ORDERED_IU_KG_H,
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    WEIGHT_KG,
    Paper,
    begin,
    clock,
    feed,
    order,
    rate_change,
    says,
    told,
)

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)


def changes_of(paper: Paper, rule: str) -> list[AlertChange]:
    """The changes of one rule's alert, to look at its evidence."""
    return [each for each in feed(paper.stream)[1] if each.alert.rule == rule]


def dosed(rate_iu_kg_h: float, **more: Any) -> Paper:
    """A pump that has an order for this dose and carries it out."""
    rate_ml_h = rate_iu_kg_h * WEIGHT_KG / CONCENTRATION
    start = Start(at_ms=T0, rate_iu_kg_h=rate_iu_kg_h)
    return begin(start, flow_ml_h=rate_ml_h, state={"rate_ml_h": rate_ml_h}, **more)


# --- over- and under-delivery ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "rule", "dose_iu"),
    [(1.2, "over-delivery", 72.0), (0.8, "under-delivery", -72.0)],
)
def test_a_wrong_flow_tells_since_when_and_how_much(
    factor: float, rule: str, dose_iu: float
) -> None:
    """GIP 1.2.2, 1.2.3: the evidence is the quarter of an hour, 360 IU ordered, and what it errs."""
    paper = begin().run("00:05")
    paper.flow_ml_h = factor * RATE_ML_H
    (change,) = changes_of(paper.run("00:20"), rule)
    evidence = change.alert.evidence
    assert (evidence.from_ms, evidence.to_ms) == (T0 + clock("00:05"), T0 + clock("00:20"))
    assert evidence.expected == 360.0
    assert evidence.dose_iu == pytest.approx(dose_iu, abs=0.1)
    assert change.alert.onset_ms == T0 + clock("00:05")


@pytest.mark.parametrize(("factor", "priority"), [(1.49, "medium"), (1.51, "high")])
def test_over_delivery_is_high_beyond_half_as_much_again(factor: float, priority: str) -> None:
    """heparin.md §4.1: +50 % leaves the range for good."""
    paper = begin(interval_ms=1_000).run("00:05")
    paper.flow_ml_h = factor * RATE_ML_H
    assert says(paper.run("00:21"))[0] == f"00:20:00 raised over-delivery {priority}"


@pytest.mark.parametrize("factor", [1.5, 0.6])
def test_a_changed_order_is_no_wrong_flow(factor: float) -> None:
    """False friend: the flow is another one because the order and the program are."""
    steps = (START, rate_change("00:30", factor * ORDERED_IU_KG_H))
    paper = begin(*steps, interval_ms=1_000).run("00:29")
    assert says(paper.program(factor * RATE_ML_H).run("01:40")) == []


def test_a_pump_that_stands_does_not_under_deliver() -> None:
    """False friend of GIP 1.2.3: nothing flows because the pump is stopped, and it says so."""
    assert says(begin().run("00:05").stop().run("00:14").start().run("00:30")) == []


def test_a_wrong_flow_that_the_program_explains_is_told_once() -> None:
    """H08 and GIP 1.2.2 of one cause: the program is told, the flow that follows hides behind it."""
    paper = begin().run("00:05").program(1.3 * RATE_ML_H).run("00:40")
    assert {line.split()[2] for line in says(paper)} == {"rate-not-as-ordered"}


# --- free flow ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate_ml_h", "flow_ml_h", "is_told"),
    [
        (10.0, 49.0, False),
        (10.0, 52.0, True),
        (1.0, 6.0, False),
        (1.0, 6.4, True),
        (0.5, 6.0, False),
        (0.5, 6.4, True),
    ],
)
def test_free_flow_at_its_edge(rate_ml_h: float, flow_ml_h: float, is_told: bool) -> None:
    """H02: five times the programmed rate, below 1 mL/h of that, and 0.02 mL in a minute more."""
    start = Start(at_ms=T0, rate_iu_h=rate_ml_h * CONCENTRATION)
    paper = begin(start, flow_ml_h=rate_ml_h, state={"rate_ml_h": rate_ml_h}, interval_ms=60_000)
    paper.run("00:10")
    paper.flow_ml_h = flow_ml_h
    assert ("free-flow-seen" in "".join(says(paper.run("00:13")))) is is_told


def test_the_end_of_a_bolus_is_no_free_flow() -> None:
    """False friend of H02: the stretch is as fast as the pump was still programmed in it."""
    bolus = Bolus(at_ms=T0 + clock("01:00"), dose_iu=4_000, duration_s=600)
    paper = begin(START, bolus, interval_ms=30_000).run("01:00").program(240.0 + RATE_ML_H)
    paper.run("01:09:50")
    # Most of the last stretch was pumped at the bolus rate; its last message tells the usual one.
    paper.now_ms += 10_000
    paper.volume_nl += 706_667
    paper.program(RATE_ML_H)
    assert says(paper.run("01:30")) == []


def test_free_flow_tells_all_that_ran_in_since_it_began() -> None:
    """561.6 mL/h too much for two minutes are 1,872 IU, whatever the last message alone shows."""
    paper = begin(interval_ms=1_000, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0}).run("00:10")
    paper.flow_ml_h = 576.0
    paper.run("00:12").flow_ml_h = RATE_ML_H
    last = changes_of(paper.run("00:15"), "free-flow-seen")[-1]
    assert last.change == "latched"
    assert last.alert.evidence.dose_iu == pytest.approx(1_872.0, rel=0.01)


def open_vein(kvo_ml_h: float, flow_ml_h: float) -> set[str]:
    """What is said of a pump that keeps a vein open in a hold of two hours, by its counter."""
    hold = Hold(at_ms=T0 + clock("03:00"), until_ms=T0 + clock("05:00"))
    paper = begin(START, hold, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0}).run("03:00")
    paper.set(flow_ml_h, delivery="kvo", rate_ml_h=kvo_ml_h).run("05:00")
    lines = says(paper.start(rate_ml_h=RATE_ML_H).run("05:10"))
    return {line.split()[2] for line in lines}


@pytest.mark.parametrize(
    ("kvo_ml_h", "flow_ml_h", "rules"),
    [
        (0.1, 0.1, set()),
        (1.0, 1.0, set()),
        (1.0, 1.2, {"over-delivery"}),
        # 1,000 IU/h in a hold are a dose, whatever the pump calls it.
        (10.0, 10.0, {"level-off-course"}),
    ],
)
def test_a_vein_that_is_kept_open_in_a_hold(
    kvo_ml_h: float, flow_ml_h: float, rules: set[str]
) -> None:
    """False friend of GIP 1.2.2: 0.1 mL/h are more than nothing, and as the pump says."""
    assert open_vein(kvo_ml_h, flow_ml_h) == rules


def test_what_keeps_a_vein_open_is_counted() -> None:
    """1 mL/h of 100 IU/mL in a hold: nothing is said of it, and 100 IU an hour reach the patient."""
    hold = Hold(at_ms=T0 + clock("03:00"), until_ms=T0 + clock("05:00"))
    paper = begin(START, hold, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0}).run("03:00")
    monitor, changes = feed(paper.set(1.0, delivery="kvo", rate_ml_h=1.0).run("05:00").stream)
    assert told(changes) == []
    state = monitor.pumps[f"{SITE}/{PUMP}"]
    hour = window(state.account, clock("01:00"))
    assert hour is not None
    assert hour.delivered_iu == pytest.approx(100 * (hour.to_ms - hour.from_ms) / clock("01:00"))
    assert state.account.pumped_iu == pytest.approx(3 * 1_440 + 200, rel=1e-4)
    assert state.level.delivered_iu_ml > 1.05 * state.level.ordered_iu_ml > 0


# --- H03, M02: a pump that stands -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("dose_iu_kg_h", "high_at"), [(12.0, "00:20:00"), (12.1, "00:35:00"), (5.0, "00:20:00")]
)
def test_a_stop_of_a_low_dose_is_high_after_a_quarter_of_an_hour(
    dose_iu_kg_h: float, high_at: str
) -> None:
    """H03: from 12 IU/kg/h a stop is below 0.3 IU/mL in 16 minutes (heparin.md §4.1)."""
    lines = says(dosed(dose_iu_kg_h).run("00:05").stop().run("00:40"))
    assert lines[0] == "00:15:00 raised not-delivering medium"
    high = next(line for line in lines if line.endswith("high"))
    assert high == f"{high_at} escalated not-delivering high"


def test_a_stop_tells_the_dose_that_is_missing() -> None:
    """Ten minutes of 1440 IU/h are 240 IU; what keeps a vein open is counted as given."""
    for paper, missing_iu in (
        (begin().run("00:05").stop(), 240.0),
        (begin().run("00:05").set(1.0, delivery="kvo", rate_ml_h=1.0), 223.0),
    ):
        (change,) = changes_of(paper.run("00:15"), "not-delivering")
        assert change.alert.evidence.dose_iu == pytest.approx(-missing_iu, abs=0.5)
        assert change.alert.evidence.expected == 1_440.0


def standby(until: str, started: str) -> list[str]:
    """A pump put on standby at 00:05, to end by itself, and started again at some time."""
    panel = Panel(standby_until_ms=T0 + clock(until))
    paper = begin().run("00:05").stop("standby", panel=panel)
    return says(paper.run(started).start(panel=None).run("00:59"))


@pytest.mark.parametrize(
    ("until", "told_at"), [("00:14", "00:16:00"), ("00:20", "00:22:00"), ("00:50", "00:25:00")]
)
def test_a_planned_standby_has_until_shortly_after_its_end(until: str, told_at: str) -> None:
    """M02: two minutes more than planned, and never more than twenty in all [A]."""
    # One that ends early is told as any other stop of ten minutes.
    before = clock(told_at) // 1000 - 1
    assert standby(until, f"00:{before // 60:02}:{before % 60:02}") == []
    after = before + 2
    assert standby(until, f"00:{after // 60:02}:{after % 60:02}")[0] == (
        f"{told_at} raised not-delivering medium"
    )


def test_a_standby_without_an_end_is_a_stop() -> None:
    """M02: nobody planned when it ends."""
    paper = begin().run("00:05").stop("standby").run("00:16")
    assert says(paper) == ["00:15:00 raised not-delivering medium"]


def test_another_reason_is_no_standby_whatever_the_panel_says() -> None:
    """M02: a time on the panel plans nothing once somebody has stopped the pump by hand."""
    panel = Panel(standby_until_ms=T0 + clock("00:20"))
    paper = begin().run("00:05").stop("by-clinician", panel=panel).run("00:16")
    assert says(paper) == ["00:15:00 raised not-delivering medium"]


def test_an_order_of_no_rate_misses_nothing() -> None:
    """False friend of H03: the pump stands because the order says so."""
    paper = begin(Start(at_ms=T0, rate_iu_h=0.0)).stop(rate_ml_h=0.0)
    assert says(paper.run("01:00")) == []


# --- M03: a hold that is over ---------------------------------------------------------------------

HOLD = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("01:00"))


def test_hold_overrun_at_its_edge_and_after() -> None:
    """M03: ten minutes after the hold it is said, half an hour after it is high."""
    held = begin(START, HOLD, interval_ms=1_000).run("00:30").stop()
    stream = held.run("01:09:59").stream
    assert says(Paper(stream=[*stream])) == []
    assert says(held.run("01:36").start().run("01:40")) == [
        "01:10:00 raised hold-overrun medium",
        "01:26:00 escalated hold-overrun high",
        "01:36:00 cleared hold-overrun high",
    ]


def test_a_hold_that_began_with_a_stop_before_it_is_still_the_hold() -> None:
    """M03: stopped five minutes before the hold; it counts from the end of the hold."""
    paper = begin(START, HOLD).run("00:25").stop().run("01:11")
    assert says(paper) == ["01:10:00 raised hold-overrun medium"]


def test_a_stop_after_the_restart_is_no_overrun() -> None:
    """M03 and M02 apart: who started it after the hold and stopped it again pauses it."""
    paper = begin(START, HOLD).run("00:30").stop().run("01:05").start().run("01:06").stop()
    assert says(paper.run("01:17")) == ["01:16:00 raised not-delivering medium"]


def test_a_hold_that_is_made_longer_is_no_overrun() -> None:
    """False friend of M03: a new version of the order holds for longer."""
    longer = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("02:00"))
    paper = begin(START, HOLD).run("00:30").stop().run("00:55")
    paper.say(order(START, longer, version=2))
    assert says(paper.run("01:59").start(order_version=2).run("02:10")) == []


# --- L01: a day -----------------------------------------------------------------------------------


def day(factor: float, stops: int, until: str) -> list[str]:
    """A day in which the pump counts a share of its order, with so many stops of nine minutes."""
    state = {"reservoir_ml": 900.0, "vtbi_ml": 0.0}
    paper = begin(interval_ms=60_000, state=state, flow_ml_h=factor * RATE_ML_H)
    for number in range(stops):
        paper.run(f"{5 * number + 2:02}:00").stop()
        paper.run(f"{5 * number + 2:02}:09").start(factor * RATE_ML_H)
    return says(paper.run(until))


@pytest.mark.parametrize("stops", [0, 1])
def test_a_day_within_ten_percent_says_nothing(stops: int) -> None:
    """L01: 9 % too little at every moment, and with one short stop 9.6 %."""
    assert day(0.91, stops, "26:00") == []


def test_a_deviation_that_only_a_day_shows() -> None:
    """L01: no quarter of an hour is 10 % short, and no stop is ten minutes; the day is 10.1 %.

    It is over half an hour after the first stop has left the day.
    """
    assert day(0.91, 2, "28:00") == [
        "23:00:00 raised deviation-24h low",
        "27:17:00 cleared deviation-24h low",
    ]


def test_a_day_too_much() -> None:
    """L01, above: 9 % at every moment, and twice fourteen minutes at nearly double."""
    paper = begin(interval_ms=60_000, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0})
    for hour in ("02", "08"):
        paper.flow_ml_h = 1.09 * RATE_ML_H
        paper.run(f"{hour}:00")
        paper.flow_ml_h = 1.9 * RATE_ML_H
        paper.run(f"{hour}:14")
    paper.flow_ml_h = 1.09 * RATE_ML_H
    (change,) = changes_of(paper.run("24:10"), "deviation-24h")
    assert told([change]) == ["23:00:00 raised deviation-24h low"]
    assert change.alert.evidence.dose_iu == pytest.approx(
        0.09 * 1_440 * 23 + 0.81 * 1_440 * 28 / 60, rel=0.01
    )


def test_a_day_is_not_judged_before_it_is_one() -> None:
    """False friend of L01: an hour after the start everything is short of something."""
    paper = begin(interval_ms=60_000).run("00:05").stop().run("00:14").start().run("03:00")
    assert says(paper) == []


# --- M01, H04: the level that the dose makes ------------------------------------------------------

BIG_BAG = {"reservoir_ml": 900.0, "vtbi_ml": 0.0}


def hand(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def stopped(length: int, every: int, count: int) -> list[str]:
    """Stops of so many minutes, one each so many, from 03:00 on; and ten hours after them."""
    paper = begin(interval_ms=30_000, state=dict(BIG_BAG)).run("03:00")
    for number in range(count):
        begin_min = 180 + number * every
        paper.run(hand(begin_min)).stop().run(hand(begin_min + length)).start()
    return says(paper.run(hand(180 + count * every + 600)))


def test_many_short_stops_lead_the_level_off_its_course() -> None:
    """M01: nine minutes in each 24 are no pause (M02), but together three eighths of the dose.

    It is over half an hour after the level is back, hours after the last stop.
    """
    assert stopped(9, 24, 10) == [
        "04:11:00 raised level-off-course medium",
        "08:31:00 cleared level-off-course medium",
    ]


@pytest.mark.parametrize(
    ("length", "every", "count"), [(9, 24, 2), (9, 48, 10), (4, 24, 20), (9, 600, 1)]
)
def test_a_few_short_stops_leave_the_level_on_its_course(
    length: int, every: int, count: int
) -> None:
    """False friends of M01: two stops, or a sixth of the dose, and the level stays above 0.8."""
    assert stopped(length, every, count) == []


@pytest.mark.parametrize("length", [30, 60, 240, 600, 1_200])
def test_a_stop_that_was_told_is_not_told_again_as_a_level(length: int) -> None:
    """M01 after H03: the level is low for hours after a restart, and everybody knows why."""
    rules = {line.split()[2] for line in stopped(length, length, 1)}
    assert rules - {"deviation-24h"} == {"not-delivering"}


@pytest.mark.parametrize(
    ("factor", "until", "rule"),
    [(0.4, "04:00", "under-delivery"), (2.5, "03:30", "over-delivery")],
)
def test_a_flow_that_was_told_is_not_told_again_as_a_level(
    factor: float, until: str, rule: str
) -> None:
    """M01 after GIP 1.2.2 and 1.2.3: one situation, one alert."""
    paper = begin(interval_ms=30_000, state=dict(BIG_BAG)).run("03:00")
    paper.flow_ml_h = factor * RATE_ML_H
    paper.run(until)
    paper.flow_ml_h = RATE_ML_H
    assert {line.split()[2] for line in says(paper.run("09:00"))} == {rule}


def test_a_wrong_rate_that_was_told_is_not_told_again_as_a_level() -> None:
    """M01 after H08 and M03: the flow behind a wrong rate, or a late hold, is over with it."""
    paper = begin(interval_ms=1_000).run("00:10").program(10 * RATE_ML_H).run("00:20")
    lines = says(paper.program(RATE_ML_H).run("00:40"))
    assert {line.split()[2] for line in lines} == {"rate-not-as-ordered"}
    hold = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("02:00"))
    held = begin(START, hold, interval_ms=1_000).run("00:55").stop().run("01:59").start()
    assert {line.split()[2] for line in says(held.run("02:10"))} == {"delivering-on-hold"}


def test_a_start_or_a_restart_that_is_a_little_late_is_no_course() -> None:
    """False friend of M01: nine minutes late the level is a fifth too low, and catches up."""
    late = Paper(interval_ms=30_000, state=dict(BIG_BAG))
    late.say(order(Start(at_ms=T0 + clock("01:00"), rate_iu_kg_h=ORDERED_IU_KG_H)))
    late.stop().run("01:09").start().run("06:00")
    assert says(late) == []
    hold = Hold(at_ms=T0 + clock("04:00"), until_ms=T0 + clock("05:00"))
    for begun, ended in (("03:56", "05:09"), ("04:09", "05:00")):
        paper = begin(START, hold, interval_ms=30_000, state=dict(BIG_BAG))
        assert says(paper.run(begun).stop().run(ended).start().run("10:00")) == []


def test_a_bolus_that_is_given_late_is_no_course() -> None:
    """False friend of M01: ordered for three o'clock, given when somebody came."""
    bolus = Bolus(at_ms=T0 + clock("03:00"), dose_iu=4_000, duration_s=600)
    paper = begin(START, bolus, interval_ms=30_000, state=dict(BIG_BAG)).run("03:40")
    paper.program(240.0 + RATE_ML_H).run("03:50").program(RATE_ML_H)
    assert says(paper.run("08:00")) == []


def test_a_level_far_off_is_high_and_waits_for_nothing() -> None:
    """H04: below half while the pump stands: certain at once, told by what stopped it."""
    paper = begin(interval_ms=30_000, state=dict(BIG_BAG)).run("03:00").stop()
    monitor, _ = feed(paper.run("04:00").stream)
    (track,) = (state.board.tracks["level-off-course"] for state in monitor.pumps.values())
    assert (track.priority, track.alert) == (Priority.HIGH, None)

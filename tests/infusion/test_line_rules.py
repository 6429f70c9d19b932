"""Rules on line, bag and battery: each at its edges, in time, and beside what only looks like it."""

from collections.abc import Callable
from typing import Any

import pytest

from infusion.messages import AlertChange
from infusion.prescription import Bolus, Hold, Start
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    RATE_ML_H,
    T0,
    Paper,
    begin,
    clock,
    feed,
    presence,
    spoken,
    told,
)

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)
# Mercury is 13.595 times as dense as water.
MMHG_PER_CM = 10 / 13.595


def all_told(paper: Paper) -> list[str]:
    """What is said of a paper pump's stream, notices too."""
    return told(feed(paper.stream)[1], notices=True)


def changes_of(paper: Paper, rule: str) -> list[AlertChange]:
    """The changes of one rule's alert, to look at its evidence."""
    return [each for each in feed(paper.stream)[1] if each.alert.rule == rule]


def vary(paper: Paper, until: str, **fields: Callable[[float], float]) -> Paper:
    """Pump on, with fields that change with the minutes since T0."""
    end_ms = T0 + clock(until)
    while paper.now_ms < end_ms:
        next_ms = paper.now_ms + paper.interval_ms - (paper.now_ms - T0) % paper.interval_ms
        minute = (next_ms - T0) / 60_000
        paper.state |= {name: value(minute) for name, value in fields.items()}
        paper.run(spoken(min(next_ms, end_ms)))
    return paper


def line(until: str, pressure: Callable[[float], float], **more: Any) -> Paper:
    """A pump without strokes whose line has been sound for twenty minutes, and then what it has."""
    paper = begin(interval_ms=5_000).say(presence(interval_s=5.0, **more))
    return vary(paper.run("00:20"), until, pressure_mmhg=pressure)


def rising(slope_mmhg_min: float, top_mmhg: float = 9_000.0) -> Callable[[float], float]:
    """From 60 mmHg at 00:20 on, so much a minute."""
    return lambda minute: min(60.0 + slope_mmhg_min * (minute - 20.0), top_mmhg)


# --- a line that closes ---------------------------------------------------------------------------


def test_a_closing_line_from_its_rise_to_its_end() -> None:
    """pump-standards §3.1: told within seconds, hides the pump's own alarm, over when it flows."""
    paper = line("00:22", rising(100.0))
    paper.stop("alarm", alarms=("downstream-occlusion",)).run("00:25").set(pressure_mmhg=60.0)
    assert all_told(paper.run("00:26").start(alarms=()).run("00:30")) == [
        "00:20:20 raised occlusion-forming medium",
        "00:22:00 escalated occlusion-forming high",
        "00:26:00 deescalated occlusion-forming medium",
        "00:28:00 cleared occlusion-forming medium",
    ]


def test_a_rise_that_falls_back_is_over_after_two_minutes() -> None:
    """What pressed on the line is gone, and the pump never stopped."""
    paper = vary(line("00:22", rising(100.0)), "00:30", pressure_mmhg=lambda minute: 60.0)
    assert all_told(paper) == [
        "00:20:20 raised occlusion-forming medium",
        "00:24:05 cleared occlusion-forming medium",
    ]


@pytest.mark.parametrize(("limit_mmhg", "told_at"), [(280.0, "00:20:35"), (400.0, "00:22:00")])
def test_a_rise_is_told_at_once_where_the_alarm_may_be_near(
    limit_mmhg: float, told_at: str
) -> None:
    """20 mmHg a minute: 2.6 min to the soonest alarm at 280 mmHg, 5.4 at 400, which waits 90 s [A].

    The soonest is (46 % of the limit - 77 mmHg) / 20, by CADD-Legacy's 26 ± 14 psi [V].
    """
    paper = line("00:24", rising(20.0), occlusion_limit_mmhg=limit_mmhg)
    assert all_told(paper) == [f"{told_at} raised occlusion-forming medium"]


def test_the_evidence_of_a_rise_says_when_the_pump_would_alarm() -> None:
    """t = (limit - P) / (dP/dt): from 93 mmHg at 100 a minute, with 500 ± 54 % as the limit."""
    paper = line("00:24", rising(100.0), occlusion_limit_mmhg=500.0)
    (change,) = changes_of(paper, "occlusion-forming")
    evidence = change.alert.evidence
    assert evidence.observed == pytest.approx(93.3, abs=0.1)
    assert evidence.expected == 60.0
    assert evidence.detail == (
        "rises by 100 mmHg a minute at 14.4 mL/h; the pump itself will alarm in 1 to 7 min"
    )


@pytest.mark.parametrize(
    ("pressure", "limit_mmhg"),
    [
        pytest.param(rising(20.0, 80.0), 1_300.0, id="cuff"),
        pytest.param(rising(10_000.0, 60.0 + 100 * MMHG_PER_CM), 1_300.0, id="height"),
        pytest.param(rising(100.0, 69.0), 280.0, id="under-the-margin"),
    ],
)
def test_what_moves_and_stays_is_no_closing_line(
    pressure: Callable[[float], float], limit_mmhg: float
) -> None:
    """False friends: a minute's cuff far from any alarm, a pump put a metre lower, a small rise."""
    assert all_told(line("00:34", pressure, occlusion_limit_mmhg=limit_mmhg)) == []


# --- a line that is narrow ------------------------------------------------------------------------


@pytest.mark.parametrize(("floor_mmhg", "is_told"), [(159.0, False), (161.0, True)])
def test_partial_occlusion_at_its_edge(floor_mmhg: float, is_told: bool) -> None:
    """100 mmHg over what it was, for five minutes after the first that never fell below it [A]."""
    lines = all_told(line("00:34", rising(10_000.0, floor_mmhg)))
    assert lines == (["00:25:55 raised partial-occlusion medium"] if is_told else [])


def test_partial_occlusion_is_over_when_the_line_is_free_again() -> None:
    """The golden of a narrow line: what it is, since when, and over after five minutes."""
    paper = line("00:30", rising(10_000.0, 170.0))
    (change,) = changes_of(paper, "partial-occlusion")
    evidence = change.alert.evidence
    assert (evidence.observed, evidence.expected, evidence.unit) == (170.0, 60.0, "mmHg")
    assert spoken(change.alert.onset_ms) == "00:20:55"
    assert all_told(vary(paper, "00:40", pressure_mmhg=lambda minute: 60.0)) == [
        "00:25:55 raised partial-occlusion medium",
        "00:35:55 cleared partial-occlusion medium",
    ]


def test_four_minutes_on_a_kinked_line_are_not_narrow() -> None:
    """False friend: somebody lay on the line and turned over."""
    paper = line("00:24", rising(10_000.0, 170.0))
    assert all_told(vary(paper, "00:40", pressure_mmhg=lambda minute: 60.0)) == []


# --- M05: the bag ---------------------------------------------------------------------------------


def bag(full_ml: float, until: str, **more: Any) -> Paper:
    """A bag that empties as the pump counts."""
    paper = begin().say(presence(**more))
    return vary(paper, until, reservoir_ml=lambda minute: full_ml - minute * RATE_ML_H / 60)


@pytest.mark.parametrize(
    ("accuracy", "lines"),
    [
        (None, ("00:05:00 raised", "03:47:00 escalated")),
        (0.02, ("00:15:00 raised", "03:48:00 escalated")),
    ],
)
def test_the_end_of_a_bag_is_foreseen(accuracy: float | None, lines: tuple[str, str]) -> None:
    """M05: a notice when 240 min / 1.06 are left, an alert at 30, by the pump's own accuracy.

    61.06 mL at ±6 %, 58.75 at ±2 %, of 62; 7.63 and 7.34 are the last half hour.
    """
    assert all_told(bag(62.0, "04:00", accuracy=accuracy)) == [
        f"{lines[0]} reservoir-runs-out notice",
        f"{lines[1]} reservoir-runs-out medium",
    ]


@pytest.mark.parametrize(("vtbi_ml", "is_told"), [(250.0, True), (0.0, False)])
def test_the_volume_to_be_infused_ends_too(vtbi_ml: float, is_told: bool) -> None:
    """M05: what comes first counts; a pump without such a volume has none that ends."""
    paper = begin(state={"vtbi_ml": vtbi_ml})
    vary(paper, "00:10", vtbi_remaining_ml=lambda minute: 62.0 - minute * RATE_ML_H / 60)
    found = changes_of(paper, "reservoir-runs-out")
    assert [each.alert.evidence.detail for each in found] == [
        "volume to be infused: 60.8 mL"
    ] * is_told


def test_the_end_that_is_told_is_an_interval() -> None:
    """29.4 mL at 14.4 mL/h are 122.5 min: 115.6 to 130.3 with ±6 % [V manual p.74]."""
    (change,) = changes_of(begin(state={"reservoir_ml": 29.4}).run("00:02"), "reservoir-runs-out")
    evidence = change.alert.evidence
    assert (evidence.observed, evidence.low, evidence.high) == (122, 116, 130)


def test_a_bolus_does_not_bring_the_end_nearer() -> None:
    """False friend of M05: 150 mL last ten hours, but not at the rate of ten minutes of a bolus."""
    bolus = Bolus(at_ms=T0 + clock("00:10"), dose_iu=4_000, duration_s=600)
    paper = begin(START, bolus, state={"reservoir_ml": 150.0}).run("00:10").program(254.4)
    assert all_told(paper.run("00:20").program(RATE_ML_H).run("00:25")) == []


def test_the_bag_of_a_pump_that_stands_does_not_run_out() -> None:
    """False friend of M05: 20 mL in a pump that is on hold."""
    held = Hold(at_ms=T0 + clock("00:01"), until_ms=T0 + clock("02:00"))
    paper = begin(START, held).run("00:01").stop(reservoir_ml=20.0)
    assert all_told(paper.run("01:00")) == []


def measured(level: Callable[[float], float], gauge: str = "measured") -> Paper:
    """Three hours of a pump that measures its bag of 200 mL: what it reads, by the minute."""
    paper = begin(interval_ms=60_000).say(presence(reservoir_gauge=gauge))
    return vary(paper, "03:00", reservoir_ml=level)


def counted(minute: float) -> float:
    """What the counter explains of a bag of 200 mL."""
    return 200.0 - minute * RATE_ML_H / 60


@pytest.mark.parametrize(
    ("missing_ml", "lines"),
    [
        (5.1, []),
        (
            5.3,
            [
                "00:12:00 raised reservoir-unexplained medium",
                "00:26:00 cleared reservoir-unexplained medium",
            ],
        ),
        (39.5, ["00:12:00 raised reservoir-unexplained medium"]),
        (40.5, ["00:12:00 raised reservoir-unexplained high"]),
    ],
)
def test_a_bag_that_the_counter_does_not_explain(missing_ml: float, lines: list[str]) -> None:
    """H02: 5 mL and 6 % of what was pumped are the gauge's; a fifth of the bag gone is high.

    At eleven minutes 2.64 mL are pumped, so 5.16 mL may be missing, and after twenty 5.3.
    """
    paper = measured(lambda minute: counted(minute) - (missing_ml if minute > 10 else 0.0))
    assert all_told(paper) == lines


def test_a_drive_that_moves_nothing_leaves_the_bag_full() -> None:
    """H02 the other way: the counter counts, and nothing leaves the bag."""
    assert all_told(measured(lambda minute: 200.0)) == [
        "00:24:00 raised reservoir-unexplained medium"
    ]


def test_a_bag_that_is_only_counted_proves_nothing() -> None:
    """False friend of H02: most pumps compute the bag from the counter, and somebody typed it in."""
    paper = measured(lambda minute: counted(minute) - 0.9 * minute, gauge="counted")
    assert changes_of(paper, "reservoir-unexplained") == []


def test_a_new_bag_explains_itself() -> None:
    """False friend of H02: 150 mL more than the counter explains are another bag."""
    paper = measured(lambda minute: counted(minute) + (150.0 if minute > 60 else 0.0))
    assert all_told(paper) == []


@pytest.mark.parametrize(
    ("at", "change", "is_told"),
    [
        ("23:59", None, True),
        ("23:00", 4.0, True),
        ("23:00", 6.0, False),
        ("23:00", "DRIPWATCH_EVT_NEW_BAG", False),
    ],
)
def test_a_bag_that_hangs_for_a_day(at: str, change: float | str | None, is_told: bool) -> None:
    """L06: told at 24 h; another bag, by its event or its volume, begins anew, a gauge's error not."""
    paper = begin(interval_ms=60_000, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0}).run(at)
    if isinstance(change, str):
        paper.event(change)
    elif change is not None:
        paper.set(reservoir_ml=900.0 + change)
    lines = ["24:00:00 raised bag-beyond-use notice"] if is_told else []
    assert all_told(paper.run("25:00")) == lines


def test_a_bag_that_waits_on_a_pump_that_stands() -> None:
    """False friend of L06: nobody is given what hangs there."""
    held = Hold(at_ms=T0 + clock("20:00"), until_ms=T0 + clock("30:00"))
    paper = begin(START, held, interval_ms=60_000, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0})
    assert all_told(paper.run("20:00").stop().run("26:00")) == []


# --- L05: the battery -----------------------------------------------------------------------------


def battery(charge: float, share_h: float, until: str, **more: Any) -> Paper:
    """A pump that is unplugged at 00:10 and loses a share of its battery an hour."""
    paper = begin(**more).run("00:10").set(power="battery", battery=charge)
    return vary(paper, until, battery=lambda minute: charge - share_h * (minute - 10) / 60)


def test_the_end_of_a_battery_is_foreseen() -> None:
    """L05: at 30 % an hour, three quarters of the time (Open PCA ±25 % [V]) are 120 min at 80 %."""
    assert all_told(battery(0.9, 0.3, "03:00")) == [
        "00:31:00 raised battery-runs-out notice",
        "02:31:00 escalated battery-runs-out medium",
    ]


@pytest.mark.parametrize(("charge", "told_at"), [(0.33, "00:10:00"), (0.34, "00:19:00")])
def test_a_battery_of_which_nothing_is_known_yet(charge: float, told_at: str) -> None:
    """Until a load is measured 12.5 % an hour [V2] stand for it; 5 % an hour takes it back."""
    assert all_told(battery(charge, 0.05, "00:30")) == [
        f"{told_at} raised battery-runs-out notice",
        "00:22:00 cleared battery-runs-out notice",
    ]


def test_a_pump_that_is_plugged_in_does_not_run_out() -> None:
    """False friend of L05: an almost empty battery that charges, and one that is in use again."""
    assert all_told(begin(state={"battery": 0.1}).run("00:30")) == []
    paper = battery(0.9, 0.3, "00:25").set(power="mains").run("03:00")
    assert all_told(paper) == []


# --- L07: occlusions again and again --------------------------------------------------------------


def occluded(*times: str, key: str = "downstream-occlusion", until: str = "26:00") -> list[str]:
    """What is said of occlusions that last a minute each, beside the alarms themselves."""
    paper = begin(interval_ms=60_000)
    for time in times:
        paper.run(time).set(alarms=(key,))
        paper.run(spoken(paper.now_ms + 60_000)).set(alarms=())
    return [line for line in all_told(paper.run(until)) if "repeat" in line]


def test_three_occlusions_in_a_day_are_told_until_they_are_two() -> None:
    """L07: the catheter is looked at; over when the first is a day old."""
    assert occluded("01:00", "10:00", "20:00") == [
        "20:00:00 raised repeat-occlusion low",
        "25:00:00 cleared repeat-occlusion low",
    ]


@pytest.mark.parametrize(
    ("times", "key"),
    [
        (("01:00", "10:00"), "downstream-occlusion"),
        (("01:00", "10:00", "25:00"), "downstream-occlusion"),
        (("01:00", "10:00", "20:00"), "air-in-line"),
    ],
)
def test_fewer_later_or_other_alarms_are_no_repeat(times: tuple[str, ...], key: str) -> None:
    """False friends of L07: two, a third a day later, and alarms that are no occlusions."""
    assert occluded(*times, key=key) == []


def test_one_alarm_that_stays_on_is_one_occlusion() -> None:
    """False friend of L07: every message tells an alarm that is on, and other alarms beside it."""
    paper = begin(interval_ms=60_000).run("01:00").set(alarms=("upstream-occlusion",)).run("01:10")
    paper.set(alarms=("upstream-occlusion", "door-open")).run("01:20")
    assert changes_of(paper, "repeat-occlusion") == []


def test_repeat_occlusion_with_too_little_flow_is_medium() -> None:
    """L07 with H04: the line is not only a nuisance."""
    paper = begin(interval_ms=60_000)
    for time in ("01:00", "02:00", "03:00"):
        paper.run(time).set(alarms=("downstream-occlusion",))
        paper.run(spoken(paper.now_ms + 60_000)).set(alarms=())
    paper.flow_ml_h = 0.7 * RATE_ML_H
    found = changes_of(paper.run("03:30"), "repeat-occlusion")
    assert [line.split(" ", 1)[1] for line in told(found)] == [
        "raised repeat-occlusion low",
        "escalated repeat-occlusion medium",
    ]

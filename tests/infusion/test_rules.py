"""Timeline goldens of the rules on rate, flow and delivery: each on both sides of its edge."""

import pytest

from infusion.alarms import DEVICE_ALARMS
from infusion.prescription import Bolus, Hold, Start, Stop
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    RATE_ML_H,
    SITE,
    T0,
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


def wrong_flow(factor: float, until: str) -> list[str]:
    """A pump that counts more or less than it is programmed to, from 00:05 until an instant."""
    paper = begin(interval_ms=1_000).run("00:05")
    paper.flow_ml_h = factor * RATE_ML_H
    paper.run(until)
    paper.flow_ml_h = RATE_ML_H
    return says(paper.run("00:25"))


@pytest.mark.parametrize(
    ("factor", "priority"), [(1.12, "medium"), (1.45, "medium"), (1.6, "high")]
)
def test_over_delivery_at_its_edge(factor: float, priority: str) -> None:
    """GIP 1.2.2: more than 10 % over for 14:59 says nothing, for 15:01 it does; HIGH latches."""
    assert wrong_flow(factor, "00:19:59") == []
    gone = "latched" if priority == "high" else "cleared"
    assert wrong_flow(factor, "00:20:01") == [
        f"00:20:00 raised over-delivery {priority}",
        f"00:21:02 {gone} over-delivery {priority}",
    ]


def test_more_than_double_is_told_after_five_minutes() -> None:
    """H01: double for 4:59 says nothing, a little more for 5:01 is high."""
    assert wrong_flow(1.95, "00:19:59") == []
    assert wrong_flow(2.2, "00:09:59") == []
    assert wrong_flow(2.2, "00:10:01") == [
        "00:10:00 raised over-delivery high",
        "00:11:02 latched over-delivery high",
    ]


def test_less_than_half_is_told_after_five_minutes_and_is_high_after_thirty() -> None:
    """H04: below half of what is ordered, though the pump says that it delivers."""
    assert wrong_flow(0.4, "00:09:59") == []
    assert wrong_flow(0.4, "00:10:01")[0] == "00:10:00 raised under-delivery medium"
    paper = begin(interval_ms=1_000).run("00:05")
    paper.flow_ml_h = 0.4 * RATE_ML_H
    assert says(paper.run("00:36")) == [
        "00:10:00 raised under-delivery medium",
        "00:35:00 escalated under-delivery high",
    ]


@pytest.mark.parametrize("factor", [0.88, 0.51])
def test_under_delivery_at_its_edge(factor: float) -> None:
    """GIP 1.2.3: less than 90 % for 14:59 says nothing, for 15:01 it does."""
    assert wrong_flow(factor, "00:19:59") == []
    assert wrong_flow(factor, "00:20:01") == [
        "00:20:00 raised under-delivery medium",
        "00:21:02 cleared under-delivery medium",
    ]


@pytest.mark.parametrize("factor", [0.91, 0.97, 1.0, 1.05, 1.09])
def test_flow_within_ten_percent_says_nothing(factor: float) -> None:
    """The accuracy of a sound pump raises nothing, however long."""
    assert wrong_flow(factor, "00:25") == []


def test_flow_is_judged_at_a_long_interval_too() -> None:
    """A pump that speaks every ten minutes is judged by its own interval."""
    paper = begin(interval_ms=600_000).run("00:30")
    paper.flow_ml_h = 2 * RATE_ML_H
    assert says(paper.run("01:00")) == [
        "00:50:00 raised over-delivery high",
        "00:56:00 updated over-delivery high",
    ]


def test_flow_is_not_assumed_to_go_on_in_silence() -> None:
    """Over-delivery seen for ten minutes and then no word: the silence is said, not the dose."""
    paper = begin(interval_ms=1_000).run("00:05")
    paper.flow_ml_h = 2 * RATE_ML_H
    paper.run("00:15")
    assert says(paper, until="00:25") == ["00:20:00 raised no-telemetry low"]


def test_over_delivery_against_a_hold() -> None:
    """A pump that runs on through a hold: said after the grace, and the dose is a part of it."""
    hold = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("02:00"))
    assert says(begin(START, hold).run("01:00")) == [
        "00:40:00 raised delivering-on-hold high",
        "00:45:00 updated delivering-on-hold high",
        "00:56:00 updated delivering-on-hold high",
    ]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("00:14:59", []),
        (
            "00:15:01",
            [
                "00:15:00 raised not-delivering medium",
                "00:15:01 cleared not-delivering medium",
            ],
        ),
        (
            "00:34:59",
            [
                "00:15:00 raised not-delivering medium",
                "00:31:00 escalated not-delivering high",
                "00:34:59 cleared not-delivering high",
            ],
        ),
        (
            "00:35:01",
            [
                "00:15:00 raised not-delivering medium",
                "00:31:00 escalated not-delivering high",
                "00:35:01 cleared not-delivering high",
            ],
        ),
    ],
)
def test_not_delivering_at_its_edges(until: str, expected: list[str]) -> None:
    """A pause without an order: medium after 10 min, high when the level has fallen by half (H04)."""
    assert says(begin().run("00:05").stop().run(until).start().run("00:40")) == expected


def test_keeping_the_vein_open_is_not_delivering() -> None:
    """A pump at its KVO rate does not give what was ordered."""
    paper = begin().run("00:05").set(1.0, delivery="kvo", rate_ml_h=1.0)
    assert says(paper.run("00:16")) == ["00:15:00 raised not-delivering medium"]


def test_pump_that_never_starts() -> None:
    """The order runs from T0, the pump is there and does nothing."""
    paper = Paper().say(order()).stop()
    assert says(paper.run("00:11")) == ["00:10:00 raised not-delivering medium"]


def test_pump_that_forgot_its_therapy_is_still_held_to_it() -> None:
    """A pump that stands idle and names no therapy is held to the one it last ran."""
    paper = begin().run("00:05").reboot(off="00:01")
    paper.therapy = None
    assert says(paper.stop().run("00:20")) == ["00:16:00 raised not-delivering medium"]


def test_hold_and_stop_as_ordered_say_nothing() -> None:
    """A hold or the end of a therapy, carried out a little late, is not a hazard."""
    hold = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("02:00"))
    paper = begin(START, hold).run("00:39").stop().run("02:09").start().run("03:00")
    assert says(paper) == []
    stop = Stop(at_ms=T0 + clock("00:30"))
    assert says(begin(START, stop).run("00:39:59").stop().run("04:00")) == []


def test_hold_overrun() -> None:
    """Ten minutes after the end of a hold the pump is missed."""
    hold = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("01:00"))
    paper = begin(START, hold).run("00:30").stop().run("01:11").start().run("01:12")
    assert says(paper) == [
        "01:10:00 raised hold-overrun medium",
        "01:11:00 cleared hold-overrun medium",
    ]


def test_bolus_over_a_hold_and_alone_says_nothing() -> None:
    """A bolus that was ordered trips no rule on rate or dose, at either way to program it."""
    bolus = Bolus(at_ms=T0 + clock("01:00"), dose_iu=4_000, duration_s=600)
    extra = 4_000 * 6 / 100
    for rate in (extra, extra + RATE_ML_H):
        paper = begin(START, bolus, interval_ms=1_000).run("01:00").program(rate)
        assert says(paper.run("01:10").program(RATE_ML_H).run("02:00")) == []


def misprogrammed(factor: float, seconds: int) -> list[str]:
    """Programmed at a multiple of the order for some seconds from 00:10 on."""
    paper = begin(interval_ms=1_000).run("00:10").program(factor * RATE_ML_H)
    return says(paper.run(f"00:10:{seconds:02}").program(RATE_ML_H).run("00:12"))


@pytest.mark.parametrize("factor", [0.951, 1.0, 1.049])
def test_rate_within_five_percent_says_nothing(factor: float) -> None:
    """±5 % is what a pump's programming may differ by."""
    assert misprogrammed(factor, 59) == []


@pytest.mark.parametrize(
    ("factor", "priority"),
    [
        (0.949, "medium"),
        (1.051, "medium"),
        (1.9, "medium"),
        (1.95, "high"),
        (2.01, "high"),
        (0.49, "high"),
    ],
)
def test_rate_beyond_five_percent_at_its_edge(factor: float, priority: str) -> None:
    """Five seconds at a wrong rate are said; beyond double or half of the order it is high."""
    assert misprogrammed(factor, 4) == []
    assert misprogrammed(factor, 31) == [
        f"00:10:05 raised rate-not-as-ordered {priority}",
        f"00:10:31 cleared rate-not-as-ordered {priority}",
    ]


def test_rate_error_that_changes_its_size() -> None:
    """Gross becomes smaller and gross again: the same alert, its priority follows."""
    paper = begin(interval_ms=1_000, state={"reservoir_ml": 2_000.0, "vtbi_ml": 0.0})
    paper.run("00:10").program(10 * RATE_ML_H).run("00:11").program(1.5 * RATE_ML_H).run(
        "00:12"
    ).program(3 * RATE_ML_H).run("00:13")
    assert [line for line in says(paper) if "rate" in line] == [
        "00:10:05 raised rate-not-as-ordered high",
        "00:11:00 deescalated rate-not-as-ordered medium",
        "00:12:00 escalated rate-not-as-ordered high",
    ]


def changed_order(programmed_at: str) -> list[str]:
    """The order falls by a third at 01:00; the pump follows at some other time."""
    steps = (START, rate_change("01:00", ORDERED_IU_KG_H * 0.92))
    paper = begin(*steps, interval_ms=1_000).run(programmed_at).program(RATE_ML_H * 0.92)
    return says(paper.run("01:36"))


def test_grace_after_a_changed_order() -> None:
    """A changed rate may be programmed five minutes early and thirty minutes late."""
    assert changed_order("01:29:59") == []
    assert changed_order("01:30:58") == []
    assert changed_order("01:31:01") == [
        "01:31:00 raised order-not-applied medium",
        "01:34:01 cleared order-not-applied medium",
    ]
    assert changed_order("00:55:00") == []
    assert changed_order("00:54:56") == []
    assert changed_order("00:54:29") == [
        "00:54:34 raised rate-not-as-ordered medium",
        "00:55:00 cleared rate-not-as-ordered medium",
    ]


def test_grace_holds_for_every_change_within_it() -> None:
    """Two changes in half an hour: the rate before the first is still in its grace."""
    steps = (START, rate_change("01:00", 16.0), rate_change("01:20", 14.5))
    paper = begin(*steps, interval_ms=1_000).run("01:29").program(RATE_ML_H * 14.5 / 18)
    assert [line for line in says(paper.run("01:40")) if "rate" in line] == []


def test_grace_of_a_hold() -> None:
    """A hold must be carried out within ten minutes."""
    hold = Hold(at_ms=T0 + clock("01:00"), until_ms=T0 + clock("03:00"))
    assert says(begin(START, hold, interval_ms=1_000).run("01:09:59").stop().run("01:20")) == []
    late = begin(START, hold, interval_ms=1_000).run("01:10:01").stop().run("01:20")
    assert says(late) == [
        "01:10:00 raised delivering-on-hold high",
        "01:10:01 cleared delivering-on-hold high",
    ]


def test_free_flow_at_its_edge() -> None:
    """Six times the programmed rate is told as soon as it shows; four times is not it."""

    def flowing(factor: float, until: str) -> list[str]:
        paper = begin(interval_ms=1_000).run("00:10")
        paper.flow_ml_h = factor * RATE_ML_H
        paper.run(until)
        paper.flow_ml_h = RATE_ML_H
        return says(paper.run("00:14"))

    assert flowing(6, "00:10:05") == []
    assert flowing(6, "00:10:21") == [
        "00:10:07 raised free-flow-seen high",
        "00:11:22 latched free-flow-seen high",
    ]
    assert flowing(40, "00:10:02")[0] == "00:10:01 raised free-flow-seen high"
    assert flowing(4, "00:12") == []


def test_free_flow_through_a_stopped_pump() -> None:
    """A pump that is stopped and counts is free flow too."""
    paper = begin(interval_ms=1_000).run("00:09").stop(rate_ml_h=0.0).run("00:10")
    paper.flow_ml_h = 60.0
    assert says(paper.run("00:10:30")) == ["00:10:02 raised free-flow-seen high"]


def test_wrong_concentration_at_its_edge() -> None:
    """Another strength of the bag is high at once; one percent is rounding."""
    sound = begin(interval_ms=1_000).run("00:10").set(concentration_iu_ml=100.9).run("00:20")
    assert says(sound) == []
    paper = begin(interval_ms=1_000).run("00:10").set(concentration_iu_ml=50.0)
    paper.run("00:10:11").set(concentration_iu_ml=100.0).run("00:11")
    assert says(paper) == [
        "00:10:00 raised wrong-concentration high",
        "00:10:00 updated wrong-concentration high",
        "00:10:11 cleared wrong-concentration high",
    ]


def test_double_strength_is_one_alert_with_all_that_follows_from_it() -> None:
    """The rate in mL/h is as ordered, the dose is double: the cause is told, not each effect."""
    paper = begin().run("00:10").set(concentration_iu_ml=200.0).run("00:30")
    monitor, changes = feed(paper.stream)
    assert {line.split(" ", 1)[1] for line in told(changes)} == {
        "raised wrong-concentration high",
        "updated wrong-concentration high",
    }
    (alert,) = monitor.open_alerts(f"{SITE}/P-01").alerts
    assert set(alert.suppresses) >= {"rate-not-as-ordered", "over-delivery"}


@pytest.mark.parametrize("key", sorted(DEVICE_ALARMS))
def test_every_device_alarm(key: str) -> None:
    """An alarm of the pump is raised at once with its priority, and cleared with it."""
    priority = DEVICE_ALARMS[key].priority
    paper = begin().run("00:05").set(alarms=(key,)).run("00:07").set(alarms=()).run("00:09")
    assert says(paper) == [
        f"00:05:00 raised {key} {priority}",
        f"00:07:00 cleared {key} {priority}",
    ]


def test_unknown_device_alarms_are_one_alert() -> None:
    """Alarms without a common name are named in the evidence; two of them are one alert."""
    paper = begin().run("00:05").set(alarms=("zz-later", "aa-first")).run("00:06")
    monitor, changes = feed(paper.stream)
    assert told(changes) == ["00:05:00 raised unknown-device-alarm medium"]
    detail = changes[0].alert.evidence.detail
    assert detail == "reported by the pump: aa-first, zz-later"
    assert monitor.open_alerts(f"{SITE}/P-01").alerts == (changes[0].alert,)

"""Rules on what is programmed: each at its edge, in time, and beside what only looks like it.

Rates beside the order, and changes and holds that are carried out late, are in
tests/infusion/test_rules.py; therapies that nobody ordered in tests/infusion/test_silence.py.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from infusion.errors import MessageError
from infusion.messages import Panel, decode, parse_topic
from infusion.monitor import Monitor
from infusion.policy import Layer, policy_of
from infusion.prescription import Bolus, Hold, Prescription, Start, Step
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    Paper,
    beat,
    begin,
    clock,
    feed,
    order,
    order_of,
    rate_change,
    told,
)

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)
# 1 000 IU in ten minutes: 60 mL/h of 100 IU/mL.
BOLUS = Bolus(at_ms=T0 + clock("01:00"), dose_iu=1_000, duration_s=600)
BOLUS_ML_H = 60.0
HOLD = Hold(at_ms=T0 + clock("01:00"), until_ms=T0 + clock("03:00"))


def says(paper: Paper, **thresholds: Any) -> list[str]:
    """What is said of a paper pump's stream, but for updates, with some thresholds of its own."""
    monitor = Monitor(policy=policy_of(Layer(thresholds=thresholds)))
    stream = sorted(paper.stream, key=lambda item: item[0])
    lines = told(feed(stream, monitor=monitor)[1])
    return [line for line in lines if line.split()[1] != "updated"]


def about(key: str, lines: list[str]) -> list[str]:
    """Of all that was said, what is about one rule."""
    return [line for line in lines if line.split()[2] == key]


def pump(*steps: Step, interval_ms: int = 1_000) -> Paper:
    """A pump with an order, which speaks every second."""
    return begin(*(steps or (START,)), interval_ms=interval_ms)


def ordered_at(rate_iu_kg_h: float) -> Paper:
    """A pump that runs at the rate that is ordered for 80 kg, whatever that is."""
    rate_ml_h = rate_iu_kg_h * 80 / 100
    start = Start(at_ms=T0, rate_iu_kg_h=rate_iu_kg_h)
    return begin(start, flow_ml_h=rate_ml_h, state={"rate_ml_h": rate_ml_h})


# --- orders that are refused ----------------------------------------------------------------------


def refused(monitor: Monitor, message: Prescription, at: str) -> list[str]:
    """What is said when an order that makes no sense comes at a time."""
    at_ms = T0 + clock(at)
    beat(monitor, at_ms)
    with pytest.raises(MessageError) as caught:
        monitor.receive(message, SITE, at_ms)
    return told(monitor.refuse(caught.value, SITE, at_ms))


def bad_order(version: int, **more: Any) -> Prescription:
    """An order with a hold that ends before it begins."""
    return order(START, replace(HOLD, until_ms=HOLD.at_ms), version=version, **more)


def test_a_refused_order_is_told_once_and_ends_with_a_good_one() -> None:
    """The alert names the order and what is wrong; the order before it stays in force."""
    monitor, _ = feed(pump(interval_ms=10_000).run("00:10").stream)
    assert refused(monitor, bad_order(3), "00:10") == ["00:10:00 raised order-refused medium"]
    (alert,) = monitor.open_alerts(f"{SITE}/{PUMP}").alerts
    assert alert.evidence.detail == (
        "order T-01 version 3, step 2: ends before it begins; until_ms > at_ms"
    )
    assert order_of(monitor, f"{SITE}/T-01").prescription.version == 1
    assert refused(monitor, bad_order(3), "00:11") == []
    assert monitor.refused == {"order": 2}
    beat(monitor, T0 + clock("00:12"))
    # Neither one that is not newer nor another therapy's says anything of it.
    for other in (order(START), order(START, pump="P-02", therapy="T-02")):
        monitor.receive(other, SITE, T0 + clock("00:12"))
    assert "order-refused" in monitor.pumps[f"{SITE}/{PUMP}"].board.tracks
    assert told(monitor.receive(order(START, version=3), SITE, T0 + clock("00:12"))) == [
        "00:12:00 cleared order-refused medium"
    ]
    assert refused(monitor, bad_order(2), "00:13") == []


def test_an_order_that_cannot_be_read_is_refused_for_its_therapy() -> None:
    """Its topic names the therapy: also where the rest of it is not even JSON."""
    monitor, _ = feed(pump(interval_ms=10_000).run("00:10").stream)
    topic = parse_topic(f"infusion/v1/{SITE}/T-01/order")
    with pytest.raises(MessageError) as caught:
        decode(topic, b"{")
    at_ms = T0 + clock("00:10")
    assert told(monitor.refuse(caught.value, SITE, at_ms)) == [
        "00:10:00 raised order-refused medium"
    ]
    # Of a therapy that nobody knows there is no pump to tell it of; it is counted.
    with pytest.raises(MessageError) as caught:
        decode(parse_topic(f"infusion/v1/{SITE}/T-77/order"), b"{")
    assert monitor.refuse(caught.value, SITE, at_ms) == []
    assert monitor.refused == {"payload": 2}


@pytest.mark.parametrize("therapy", [None, "T-01"])
def test_a_first_order_that_is_refused_is_told_when_its_pump_is_heard(therapy: str | None) -> None:
    """Also of a pump that stands and names no therapy yet, and after a restart of the monitor."""
    monitor = Monitor()
    monitor.tick(T0)
    assert refused(monitor, bad_order(1), "00:00") == []
    later = Monitor()
    later.restore(monitor.clock, monitor.therapies.records)
    paper = Paper(therapy=therapy).stop()
    _, changes = feed(paper.stream, monitor=later)
    assert told(changes) == ["00:00:00 raised order-refused medium"]
    _, changes = feed(paper.run("00:03").stream[1:], monitor=later)
    assert {change.change for change in changes if change.change != "called"} <= {"updated"}
    good = order(Start(at_ms=T0 + clock("01:00"), rate_iu_kg_h=ORDERED_IU_KG_H))
    assert told(later.receive(good, SITE, T0 + clock("00:03"))) == [
        "00:03:00 cleared order-refused medium"
    ]


# --- H08: concentration and weight ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("concentration", "is_told"),
    [(98.9, True), (99.0, False), (101.0, False), (101.1, True), (50.0, True)],
)
def test_concentration_at_its_edge(concentration: float, is_told: bool) -> None:
    """H08: beyond one percent; 50 for 100 IU/mL is the classic mix-up."""
    paper = pump().run("00:10").set(concentration_iu_ml=concentration).run("00:10:02")
    lines = about("wrong-concentration", says(paper))
    assert lines == ["00:10:00 raised wrong-concentration high"] * is_told


def test_another_strength_that_is_ordered_is_right() -> None:
    """Order, bag and rate change together: half the strength at twice the rate is as ordered."""
    paper = pump().run("00:10").stop()
    paper.say(replace(order(START, version=2), concentration_iu_ml=50.0))
    paper.start(2 * RATE_ML_H, rate_ml_h=2 * RATE_ML_H, concentration_iu_ml=50.0, order_version=2)
    assert says(paper.run("00:40")) == []


def test_a_wrong_strength_of_a_pump_that_stands_is_told_with_its_start() -> None:
    """Nobody is given it yet; what was told stays told when the pump is stopped for it."""
    paper = pump().run("00:10").stop(concentration_iu_ml=50.0).run("00:12").start().run("00:14")
    paper.stop().run("00:16").set(concentration_iu_ml=100.0).run("00:18").start()
    assert about("wrong-concentration", says(paper.run("00:20"))) == [
        "00:12:00 raised wrong-concentration high",
        "00:16:00 cleared wrong-concentration high",
    ]


def hung(known_at: str | None, *, names: int = 2, weight_kg: float = 80.0) -> list[str]:
    """A bag of 50 IU/mL is hung at 00:10 by version 2 of the order, which is heard of later."""
    twice = 2 * RATE_ML_H
    paper = pump(interval_ms=10_000).run("00:10").stop().run("00:10:30")
    paper.start(
        twice,
        rate_ml_h=twice,
        concentration_iu_ml=50.0,
        order_version=names,
        weight_kg=weight_kg,
        dose_rate_iu_kg_h=ORDERED_IU_KG_H * 80 / weight_kg,
    )
    if known_at is not None:
        step = Start(at_ms=T0, rate_iu_h=1_440.0)
        newer = replace(order(step, version=2), concentration_iu_ml=50.0, weight_kg=weight_kg)
        paper.stream.append((T0 + clock(known_at), newer))
    return says(paper.run("00:20"))


def test_an_order_that_comes_two_minutes_after_its_bag_is_no_mix_up() -> None:
    """The pump names it, so it is on its way; with it comes the patient's new weight."""
    assert hung("00:12:30") == []
    assert hung("00:13:29") == []
    assert hung("00:12:30", weight_kg=100.0) == []


def test_a_strength_that_no_order_explains_is_told() -> None:
    """At once where the pump names no newer order; else when three minutes have brought none."""
    assert hung("00:12:30", names=1) == [
        "00:10:30 raised wrong-concentration high",
        "00:12:30 cleared wrong-concentration high",
    ]
    assert hung(None) == ["00:14:00 raised wrong-concentration high"]
    assert hung("00:15", weight_kg=100.0) == [
        "00:14:00 raised wrong-concentration high",
        "00:14:00 raised wrong-weight high",
        "00:15:00 cleared wrong-concentration high",
        "00:15:00 cleared wrong-weight high",
    ]


@pytest.mark.parametrize(
    ("weight_kg", "is_told"),
    [(71.9, True), (72.0, False), (88.0, False), (88.1, True), (176.4, True)],
)
def test_weight_at_its_edge(weight_kg: float, is_told: bool) -> None:
    """H08: beyond ten percent; pounds for kilograms are 2.2 times."""
    # Events do not tell the weight: what telemetry told last stands.
    paper = pump().run("00:10").set(weight_kg=weight_kg).event("MDC_EVT_ATTN").run("00:12")
    paper.set(weight_kg=80.0)
    assert (
        says(paper.run("00:13"))
        == [
            "00:10:00 raised wrong-weight high",
            "00:12:00 cleared wrong-weight high",
        ]
        * is_told
    )


def test_a_wrong_weight_tells_what_the_rate_gave_wrong_by_it() -> None:
    """Pounds for kilograms: 2.2 times the rate is 29 IU a minute too much, told by one alert."""
    paper = pump().run("00:10").set(2.2 * RATE_ML_H, weight_kg=176.4, rate_ml_h=2.2 * RATE_ML_H)
    _, changes = feed(paper.run("00:20").set(weight_kg=80.0).stream)
    alerts = [each.alert for each in changes if each.alert.rule == "wrong-weight"]
    assert alerts[-1].evidence.dose_iu == pytest.approx(288, abs=2)
    assert "About 290 IU too much so far" in alerts[-1].what
    right = pump().run("00:10").set(weight_kg=176.4).run("00:12")
    (raised,) = [each.alert for each in feed(right.stream)[1] if each.change == "raised"]
    assert raised.evidence.dose_iu is None


def test_weight_of_a_pump_that_stands_is_nobody_s() -> None:
    """The last patient's weight is still in a pump that is not started yet."""
    paper = Paper(interval_ms=1_000).say(order(START)).stop(weight_kg=176.4).run("00:05")
    assert says(paper.start(weight_kg=80.0).run("00:07")) == []


# --- H08, M04: a rate beside the order ------------------------------------------------------------


def given(*times: str, seconds: int = 600, rate_ml_h: float = BOLUS_ML_H) -> Paper:
    """A pump with the order of one bolus, which gives it at some times."""
    paper = pump(START, BOLUS, interval_ms=10_000)
    for time in times:
        begin_ms = T0 + clock(time)
        paper.run(time).program(rate_ml_h)
        paper.run(f"00:00:{(begin_ms - T0) // 1_000 + seconds}").program(RATE_ML_H)
    return paper


@pytest.mark.parametrize("rate_ml_h", [BOLUS_ML_H, BOLUS_ML_H + RATE_ML_H])
@pytest.mark.parametrize(("at", "is_told"), [("00:55", False), ("01:54", False), ("00:54", True)])
def test_a_bolus_is_right_at_any_time_that_it_is_allowed(
    at: str, is_told: bool, rate_ml_h: float
) -> None:
    """Five minutes early, or late: alone or on top of the rate, it is the bolus as ordered."""
    lines = says(given(at, rate_ml_h=rate_ml_h).run("02:20"))
    # One that was begun too early has become the ordered one when that may be given.
    assert [line.split(" ", 1)[1] for line in lines] == [
        "raised rate-not-as-ordered high",
        "cleared rate-not-as-ordered high",
    ] * is_told


def test_a_late_bolus_is_the_ordered_one_until_it_is_void() -> None:
    """Four hours after its end a bolus is no longer ordered, and nobody is asked to give it."""
    assert about("rate-not-as-ordered", says(given("05:09:50").run("05:30"))) == []
    assert says(given("05:14").run("05:30")) == [
        "01:56:00 raised order-not-applied medium",
        "05:13:00 cleared order-not-applied medium",
        "05:14:05 raised rate-not-as-ordered high",
        "05:24:00 cleared rate-not-as-ordered high",
    ]


def test_a_bolus_that_is_given_twice() -> None:
    """Fault scenario of heparin.md §6: the second one is a rate that nobody ordered."""
    assert says(given("01:00", "01:30").run("02:00")) == [
        "01:30:05 raised rate-not-as-ordered high",
        "01:40:00 cleared rate-not-as-ordered high",
    ]


@pytest.mark.parametrize(("seconds", "is_told"), [(809, False), (900, True)])
def test_a_bolus_that_does_not_end(seconds: int, is_told: bool) -> None:
    """A quarter longer than ordered and a minute is a slow motor; more is a rate left standing."""
    lines = about("rate-not-as-ordered", says(given("01:00", seconds=seconds).run("01:30")))
    assert [line.split()[0] for line in lines] == ["01:14:00", "01:15:00"] * is_told


def follows(known_at: str | None) -> list[str]:
    """A pump that names version 2 of its order at 00:10, which the monitor hears of later."""
    rates = (rate_change("00:10", 1.2 * ORDERED_IU_KG_H),) if known_at != "00:09:59" else ()
    paper = pump().run("00:10").program(1.2 * RATE_ML_H, order_version=2).run("00:14")
    if known_at is not None:
        paper.stream.append((T0 + clock(known_at), order(START, *rates, version=2)))
    return says(paper)


def test_an_order_that_the_pump_knows_first_is_waited_for() -> None:
    """Three minutes for the order to arrive; then the rate is one that nobody ordered."""
    assert follows("00:12:59") == []
    assert follows("00:13:01")[0] == "00:13:00 raised rate-not-as-ordered medium"
    assert follows(None) == ["00:13:00 raised rate-not-as-ordered medium"]
    # A version that is known already excuses nothing.
    assert follows("00:09:59")[0] == "00:10:05 raised rate-not-as-ordered medium"


# --- M04: an order that is not carried out --------------------------------------------------------


@pytest.mark.parametrize(
    ("ordered", "priority"), [(16.5, "medium"), (9.1, "medium"), (8.9, "high"), (36.1, "high")]
)
def test_old_rate_after_its_grace(ordered: float, priority: str) -> None:
    """M04: thirty minutes and one; high where the old rate is double or half of the new."""
    programmed = RATE_ML_H * ordered / ORDERED_IU_KG_H
    in_time = pump(START, rate_change("01:00", ordered)).run("01:30:59").program(programmed)
    assert about("order-not-applied", says(in_time.run("01:32"))) == []
    paper = pump(START, rate_change("01:00", ordered)).run("01:40").program(programmed)
    said = says(paper.run("01:44"))
    assert about("rate-not-as-ordered", said) == []
    lines = about("order-not-applied", said)
    assert lines == [
        f"01:31:00 raised order-not-applied {priority}",
        f"01:43:00 cleared order-not-applied {priority}",
    ]


def test_bolus_not_given_at_its_edge() -> None:
    """A bolus has 45 minutes and one; then it is missed until it is given, or void."""
    assert says(given("01:55:50").run("02:20")) == []
    assert says(given("01:57").run("02:20")) == [
        "01:56:00 raised order-not-applied medium",
        "02:00:00 cleared order-not-applied medium",
    ]
    assert says(given().run("06:30")) == [
        "01:56:00 raised order-not-applied medium",
        "05:13:00 cleared order-not-applied medium",
    ]


def test_a_bolus_of_before_this_monitor_is_not_missed() -> None:
    """What was ordered before the pump was first heard of may well have been given."""
    long_ago = Start(at_ms=T0 - clock("05:00"), rate_iu_kg_h=ORDERED_IU_KG_H)
    earlier = replace(BOLUS, at_ms=T0 - clock("00:20"))
    assert says(pump(long_ago, earlier, interval_ms=10_000).run("02:00")) == []


# --- M03: a hold that the pump does not keep ------------------------------------------------------


def started_again(at: str, until: str) -> list[str]:
    """A pump that keeps a hold from 01:00 to 03:00, and is started at some time."""
    paper = pump(START, HOLD, interval_ms=10_000).run("01:00").stop()
    return says(paper.run(at).start().run(until))


def test_a_start_in_the_middle_of_a_hold_is_told_at_once() -> None:
    """M03: restarted before the hold's end; five minutes early is as ordered."""
    assert started_again("02:55", "03:10") == []
    assert started_again("02:54:50", "03:10") == [
        "02:54:50 raised delivering-on-hold high",
        "02:55:00 cleared delivering-on-hold high",
    ]
    assert started_again("01:05", "01:06") == ["01:05:00 raised delivering-on-hold high"]
    assert started_again("01:30", "01:31") == ["01:30:00 raised delivering-on-hold high"]


def test_a_bolus_and_an_open_vein_in_a_hold_are_no_delivery() -> None:
    """A bolus is ordered for its own instant; a pump that keeps the vein open is on hold."""
    held = pump(START, HOLD, replace(BOLUS, at_ms=T0 + clock("01:30")), interval_ms=10_000)
    held.run("01:00").stop().run("01:30").start(BOLUS_ML_H, rate_ml_h=BOLUS_ML_H).run("01:40")
    assert says(held.stop(rate_ml_h=RATE_ML_H).run("02:00")) == []
    open_vein = pump(START, HOLD, interval_ms=10_000).run("01:00")
    open_vein.set(0.1, delivery="kvo", rate_ml_h=0.1).run("02:00")
    assert about("delivering-on-hold", says(open_vein)) == []


# --- H09: beyond the library ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate_iu_kg_h", "thresholds", "unit"),
    [
        (0.99, {}, "IU/kg/h"),
        (1.0, {}, ""),
        (35.0, {}, ""),
        (35.01, {}, "IU/kg/h"),
        # 18 IU/kg/h of 80 kg are 1 440 IU/h.
        (18.0, {"dose_max_iu_h": 1_440.0}, ""),
        (18.0, {"dose_max_iu_h": 1_439.0}, "IU/h"),
    ],
)
def test_limits_at_their_edge(rate_iu_kg_h: float, thresholds: dict[str, float], unit: str) -> None:
    """H09: an order below 1 or above 35 IU/kg/h, or above 4 000 IU/h, is told at once."""
    stream = ordered_at(rate_iu_kg_h).run("00:04").stream
    _, changes = feed(stream, monitor=Monitor(policy=policy_of(Layer(thresholds=thresholds))))
    alerts = [each.alert for each in changes if each.alert.rule == "outside-limits"]
    assert [alert.priority.value for alert in alerts[:1]] == ["high"] * bool(unit)
    for alert in alerts:
        observed = rate_iu_kg_h * (80 if unit == "IU/h" else 1)
        assert (alert.evidence.observed, alert.evidence.unit) == (observed, unit)


def test_outside_limits_ends_with_the_rate() -> None:
    """An order that is beyond the limits, until a new one is carried out."""
    paper = ordered_at(36.0).run("00:10")
    paper.say(order(Start(at_ms=T0, rate_iu_kg_h=34.5), version=2)).program(34.5 * 0.8).run("00:12")
    assert about("outside-limits", says(paper)) == [
        "00:00:00 raised outside-limits high",
        "00:10:00 cleared outside-limits high",
    ]


def test_a_bolus_or_a_pause_is_not_outside_the_limits() -> None:
    """60 mL/h are 75 IU/kg/h, for as long as an ordered bolus; a pump that stands gives nothing."""
    assert says(given("01:00").run("01:20")) == []
    assert says(ordered_at(0.0).stop(rate_ml_h=40.0).run("00:10")) == []


def bypassed(until: str, **more: Any) -> list[str]:
    """A pump whose panel says from 00:10 on that it runs past the library."""
    paper = pump().run("00:10").set(panel=Panel(outside_library=True), **more).run(until)
    return says(paper.set(panel=None).run("00:12"))


def test_library_bypassed_at_its_edge() -> None:
    """H09: ten seconds, in which what was programmed past it can be told instead."""
    assert bypassed("00:10:09") == []
    assert bypassed("00:10:11") == [
        "00:10:10 raised library-bypassed high",
        "00:10:11 cleared library-bypassed high",
    ]


def test_what_was_programmed_past_the_library_is_told_instead() -> None:
    """Ten times the rate outside the library is one alert, on the rate."""
    lines = bypassed("00:10:30", rate_ml_h=10 * RATE_ML_H)
    assert about("library-bypassed", lines) == []
    assert about("rate-not-as-ordered", lines)[0].endswith("raised rate-not-as-ordered high")


def test_a_pump_that_stands_past_the_library_harms_nobody() -> None:
    """Somebody programs outside of it and thinks better of it before the start."""
    paper = pump().run("00:10").stop(panel=Panel(outside_library=True)).run("00:15")
    assert says(paper.start(panel=None).run("00:16")) == []


# --- M12, L02: what people do at the pump ---------------------------------------------------------


def checked(*times: str, is_asked_for: bool = True) -> list[str]:
    """A pump whose rate is changed as ordered at 00:30, and checked by two at some times."""
    change = rate_change("00:30", 1.04 * ORDERED_IU_KG_H)
    paper = pump(START, change)
    for time in sorted([*times, "00:30"]):
        paper.run(time)
        if time == "00:30":
            paper.program(1.04 * RATE_ML_H)
        else:
            paper.event("DRIPWATCH_EVT_DOUBLE_CHECK")
    return says(paper.run("00:45"), double_check_required=is_asked_for)


def test_double_check_at_its_edge() -> None:
    """M12: ten minutes for two people, counted from the change."""
    assert checked("00:39:59") == []
    assert checked("00:40:01") == [
        "00:40:00 raised double-check-missing medium",
        "00:40:01 cleared double-check-missing medium",
    ]
    assert checked("00:29:59") == ["00:40:00 raised double-check-missing medium"]


def test_a_site_that_does_not_ask_for_a_double_check_misses_none() -> None:
    """Off by default; and where it is asked for, a rate that nobody touched needs none."""
    assert checked(is_asked_for=False) == []
    assert says(pump(interval_ms=10_000).run("02:00"), double_check_required=True) == []


def untouched(*fields: dict[str, Any], between: str | None = None) -> list[str]:
    """A pump whose dose is another for a while, one state each five minutes, and then as it was."""
    paper = pump(START, BOLUS, interval_ms=10_000).run("01:00")
    usual = {"status": "infusing", "delivery": "delivering", "rate_ml_h": RATE_ML_H}
    for number, state in enumerate(fields, start=1):
        paper.set(state.get("rate_ml_h", 0.0), **state).run(f"01:{5 * number:02}")
    if between is not None:
        paper.event(between)
    said = says(paper.set(RATE_ML_H, **usual).run("01:45"), double_check_required=True)
    return about("double-check-missing", said)


STOPPED = {"status": "not-infusing", "delivery": "not-delivering", "rate_ml_h": 0.0}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([{"rate_ml_h": BOLUS_ML_H}], id="a bolus as ordered"),
        pytest.param([STOPPED], id="a pause in which the pump shows no rate"),
        pytest.param([{"delivery": "kvo", "rate_ml_h": 1.0}], id="a vein kept open"),
        pytest.param([{"rate_ml_h": 15.0}], id="typed and taken back"),
    ],
)
def test_a_dose_that_is_as_it_was_needs_no_double_check(fields: list[dict[str, Any]]) -> None:
    """M12: whoever starts again at the rate that two people checked has changed nothing."""
    assert untouched(*fields) == []


def test_a_check_in_a_pause_before_an_equal_rate_is_a_check() -> None:
    """A new bag of the same strength, looked at by two while the pump stands and shows no rate."""
    assert untouched(STOPPED, between="DRIPWATCH_EVT_DOUBLE_CHECK") == []


def test_another_rate_after_a_pause_needs_one() -> None:
    """The rate that was checked is remembered through the pause, and the new one is another."""
    other = {"status": "infusing", "delivery": "delivering", "rate_ml_h": 14.7}
    assert untouched(STOPPED, other, other, other) == [
        "01:15:00 raised double-check-missing medium",
        # At 01:20 it runs at the rate of before again.
        "01:20:00 cleared double-check-missing medium",
    ]


def overridden(*times: str, event: str = "DRIPWATCH_EVT_OVERRIDE", until: str) -> list[str]:
    """A pump at which somebody passes a soft limit at some times."""
    paper = pump(interval_ms=600_000)
    for time in times:
        paper.run(time).event(event)
    return about("override-pattern", says(paper.run(until)))


def test_overrides_at_their_edge() -> None:
    """L02: one is a decision, two within a day are a pattern, until the day is over."""
    assert overridden("01:00", until="03:00") == []
    assert overridden("01:00", "02:00", until="25:10") == [
        "02:00:00 raised override-pattern low",
        "25:00:00 cleared override-pattern low",
    ]
    assert len(overridden("01:00", "24:59:59", until="25:10")) == 2
    assert overridden("01:00", "25:00", until="25:10") == []


def test_a_limit_that_made_somebody_think_is_no_override() -> None:
    """Who backs off at a soft limit does what it is there for."""
    assert overridden("01:00", "01:10", event="DRIPWATCH_EVT_SOFT_LIMIT", until="03:00") == []


def twice(until: str) -> list[str]:
    """A pump that runs the order of another one from 00:10 until an instant."""
    paper = pump().say(order(pump="P-02", therapy="T-02")).run("00:10").set(therapy="T-02")
    paper.run(until).set(therapy="T-01")
    return about("therapy-on-two-pumps", says(paper.run("00:22")))


def test_therapy_on_two_pumps_at_its_edges() -> None:
    """The patient may get both: at once medium, high after ten minutes."""
    raised = "00:10:00 raised therapy-on-two-pumps medium"
    assert twice("00:19:59") == [raised, "00:19:59 cleared therapy-on-two-pumps medium"]
    assert twice("00:20:01") == [
        raised,
        "00:20:00 escalated therapy-on-two-pumps high",
        "00:20:01 cleared therapy-on-two-pumps high",
    ]


def test_a_pump_that_handed_its_therapy_over_gives_nothing_twice() -> None:
    """Stopped before the order moved to another pump: it still names the therapy, and stands."""
    paper = pump().run("00:10").stop().say(order(version=2, pump="P-02")).run("00:14")
    assert about("therapy-on-two-pumps", says(paper)) == []

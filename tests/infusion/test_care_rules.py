"""Rules on reports and on what is overdue: each at its edge, in time, and beside a false friend."""

from typing import Any

import pytest
from msgspec.structs import replace

from infusion.advice import next_care_ms
from infusion.care_calendar import (
    level_due,
    planned_due,
    platelets_due,
    protocol_test,
    side_of,
    therapeutic_due,
    visit_due,
)
from infusion.prescription import Hold, RateChange, Start, Stop
from infusion.record import Record
from infusion.thresholds import DEFAULTS
from infusion.units import MS_PER_HOUR
from tests.infusion.bench import ORDERED_IU_KG_H, T0, begin, clock
from tests.infusion.clinic_bench import clinical, compiled, infusing, lab, record, report, sure

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)


def level(value: float, drawn: str, resulted: str) -> Any:
    return lab("anti-xa", value, drawn=drawn, resulted=resulted)


# --- reports --------------------------------------------------------------------------------------


def test_a_bleeding_is_urgent_until_it_is_over() -> None:
    paper = infusing("04:00", report("bleeding", "02:00"), report("bleeding-stopped", "03:30"))
    assert clinical(paper) == [
        "02:00:00 raised bleeding high",
        "03:30:00 cleared bleeding high",
    ]
    assert sure(paper, "bleeding") == "bleeding, said by patient"


def test_bruises_are_less_urgent_and_a_bleeding_speaks_before_them() -> None:
    paper = infusing("03:30", report("bruising", "02:00"), report("Nosebleed", "03:00"))
    assert clinical(paper) == [
        "02:00:00 raised bleeding medium",
        "03:00:00 escalated bleeding high",
    ]


def test_who_does_not_bleed_says_nothing_urgent() -> None:
    """A negative report, a missing blood return and a visit: none of them is a bleeding."""
    friends = [
        report(what, f"0{n + 1}:00")
        for n, what in enumerate(("no bleeding", "no blood return", "visit"))
    ]
    assert "bleeding" not in " ".join(clinical(infusing("05:00", *friends)))


def test_a_bleeding_stays_and_a_bruise_is_no_news_after_three_days() -> None:
    steps = (START, Stop(at_ms=T0 + clock("03:00")))
    for what, said in (
        ("bruising", ["01:00:00 raised bleeding medium", "73:00:00 cleared bleeding medium"]),
        ("bleeding", ["01:00:00 raised bleeding high"]),
    ):
        paper = begin(*steps, interval_ms=600_000).run("03:00").stop().run("74:00")
        complaint = report(what, "01:00")
        paper.stream.append((complaint.time_ms, complaint))
        assert clinical(paper) == said


@pytest.mark.parametrize(
    ("what", "priority"),
    [
        ("fever", "medium"),
        ("Site-Redness", "medium"),
        ("leak at the line", "medium"),
        ("no blood return", "medium"),
        ("chest-pain", "high"),
        ("stroke", "high"),
        ("tingling", "low"),
    ],
)
def test_a_complication_has_its_priority(what: str, priority: str) -> None:
    said = clinical(infusing("02:00", report(what, "01:00")))
    assert said == [f"01:00:00 raised complication-reported {priority}"]


@pytest.mark.parametrize("what", ["visit-done", "bag-changed", "teaching", "supplies-delivered"])
def test_what_complains_of_nothing(what: str) -> None:
    assert clinical(infusing("02:00", report(what, "01:00"))) == []


def test_one_complaint_that_is_over_leaves_the_other() -> None:
    paper = infusing(
        "05:00",
        report("fever", "01:00"),
        report("site pain", "02:00"),
        report("fever gone", "03:00"),
        report("pain over", "04:00"),
    )
    assert clinical(paper) == [
        "01:00:00 raised complication-reported medium",
        "04:00:00 cleared complication-reported medium",
    ]


def test_the_worst_complaint_speaks_and_names_the_others() -> None:
    paper = infusing("03:00", report("fever", "01:00", by="nurse"), report("tingling", "02:00"))
    assert clinical(paper) == ["01:00:00 raised complication-reported medium"]
    assert sure(paper, "complication-reported") == "fever, said by nurse"
    paper = infusing("03:00", report("tingling", "01:00"), report("chest pain", "02:00"))
    assert clinical(paper)[-1] == "02:00:00 escalated complication-reported high"


def test_supplies_that_run_short_until_they_come() -> None:
    paper = infusing(
        "05:00", report("supplies-low", "02:00"), report("supplies delivered", "04:00")
    )
    assert clinical(paper) == [
        "02:00:00 raised supplies-low low",
        "04:00:00 cleared supplies-low low",
    ]


# --- the calendar of levels -----------------------------------------------------------------------

COUNT = lab("platelets", 200.0, drawn="00:10", resulted="01:00")


def test_the_first_level_is_missed() -> None:
    """M07: due at 6 h, missed 1 h later, and 2.5 h are the laboratory's."""
    paper = infusing("11:00", COUNT, level(0.5, "09:40", "10:20"))
    assert clinical(paper) == [
        "09:30:00 raised level-overdue medium",
        "10:20:00 cleared level-overdue medium",
    ]


def test_without_a_laboratory_no_level_is_missed() -> None:
    assert clinical(infusing("12:00")) == []
    expected = replace(DEFAULTS, laboratory_expected=True)
    due = level_due(record(), expected, T0 + clock("12:00"))
    assert due is not None
    assert due.overdue_ms == T0 + clock("09:30")


def test_a_missed_level_is_urgent_when_the_last_one_was_out_of_range() -> None:
    out, inside = level(0.8, "06:00", "07:00"), level(0.5, "06:00", "07:00")
    assert clinical(infusing("19:00", out)) == [
        "16:30:00 raised level-overdue medium",
        "18:30:00 escalated level-overdue high",
    ]
    assert clinical(infusing("19:00", inside)) == ["16:30:00 raised level-overdue medium"]


def test_after_two_in_range_a_day_may_pass() -> None:
    """Daily when settled; a single one in range is followed by another in 6 h."""
    steady = (level(0.5, "06:00", "07:00"), level(0.55, "13:00", "14:00"))
    assert clinical(infusing("41:00", *steady)) == []
    assert clinical(infusing("42:00", *steady))[-1] == "41:30:00 raised level-overdue medium"


def test_a_level_that_comes_a_little_late_is_not_missed() -> None:
    """Due at 6 h, drawn at 6:50, and the laboratory took two hours and a half."""
    assert clinical(infusing("12:00", COUNT, level(0.5, "06:50", "09:20"))) == []


def due_ms(kept: Record, at: str) -> int | None:
    due = level_due(kept, DEFAULTS, T0 + clock(at))
    return None if due is None else due.due_ms - T0


def test_a_change_of_the_order_asks_for_a_level_after_six_hours() -> None:
    change = RateChange(at_ms=T0 + clock("15:00"), rate_iu_kg_h=16.0)
    settled = (level(0.5, "06:00", "07:00"), level(0.5, "13:00", "14:00"))
    kept = record(*settled, order=compiled(START, change))
    assert due_ms(kept, "14:30") == clock("38:00")
    assert due_ms(kept, "15:00") == clock("21:00")
    # Two of before the change do not settle what is after it.
    kept = record(*settled, level(0.5, "21:00", "22:00"), order=compiled(START, change))
    assert due_ms(kept, "23:00") == clock("28:00")


def test_nothing_is_due_while_nothing_is_ordered() -> None:
    hold = Hold(at_ms=T0 + clock("08:00"), until_ms=T0 + clock("09:00"))
    stop = Stop(at_ms=T0 + clock("20:00"))
    kept = record(COUNT, order=compiled(START, hold, stop))
    assert due_ms(kept, "07:59") == clock("06:00")
    assert due_ms(kept, "08:30") is None
    assert due_ms(kept, "09:00") == clock("15:00")
    assert due_ms(kept, "20:00") is None
    assert level_due(Record("T-01"), DEFAULTS, T0) is None


def test_a_specimen_that_came_to_nothing_is_no_level() -> None:
    spoiled = lab("anti-xa", None, drawn="06:00", resulted="07:00", problem="clotted")
    assert due_ms(record(spoiled), "08:00") == clock("06:00")


@pytest.mark.parametrize(
    ("value", "bound", "side"),
    [
        (0.29, "", -1),
        (0.30, "", 0),
        (0.70, "", 0),
        (0.71, "", 1),
        (0.30, "below", -1),
        (0.70, "above", 1),
        (0.50, "below", 0),
    ],
)
def test_the_side_of_a_range(value: float, bound: Any, side: int) -> None:
    result = lab("anti-xa", value, drawn="06:00", resulted="07:00", bound=bound)
    assert side_of(result, 0.3, 0.7) == side


def test_the_protocol_goes_by_anti_xa_where_there_is_one() -> None:
    aptt = lab("aptt", 60.0, drawn="06:00", resulted="07:00")
    assert protocol_test(record(aptt), DEFAULTS) == "aptt"
    assert protocol_test(record(aptt, level(0.5, "06:00", "07:00")), DEFAULTS) == "anti-xa"
    assert protocol_test(record(aptt), replace(DEFAULTS, level_test="anti-xa")) == "anti-xa"


# --- platelets and visits -------------------------------------------------------------------------


def test_platelets_are_missed_from_day_four_on() -> None:
    """L04: day 4 at the earliest, every 72 h, half a day for the visit and the laboratory."""
    levels = [level(0.5, f"{hour}:00", f"{hour + 1}:00") for hour in range(6, 130, 6)]
    counts = lab("platelets", 210.0, drawn="110:00", resulted="111:00")
    assert clinical(infusing("125:00", COUNT, *levels, counts)) == [
        "108:00:00 raised platelets-due low",
        "111:00:00 cleared platelets-due low",
    ]


@pytest.mark.parametrize(
    ("last_h", "due_h"), [(None, 96), (10, 96), (30, 102), (96, 168), (264, 336), (265, None)]
)
def test_when_platelets_are_due(last_h: int | None, due_h: int | None) -> None:
    messages = [level(0.5, "06:00", "07:00")]
    if last_h is not None:
        drawn, resulted = f"{last_h:02}:00", f"{last_h + 1:02}:00"
        messages.append(lab("platelets", 200.0, drawn=drawn, resulted=resulted))
    due = platelets_due(record(*messages), DEFAULTS, T0 + clock("20:00"))
    assert (None if due is None else (due.due_ms - T0) // MS_PER_HOUR) == due_h


def test_a_visit_is_missed_a_day_after_its_week() -> None:
    """L05; a nurse who comes eight hours later in the day is not late."""
    paper = begin(START, interval_ms=3_600_000).run("200:00")
    for at, what in (("02:00", "visit"), ("196:00", "nurse visit done")):
        said = report(what, at, by="nurse")
        paper.stream.append((said.time_ms, said))
    assert clinical(paper) == [
        "194:00:00 raised visit-overdue low",
        "196:00:00 cleared visit-overdue low",
    ]


def planned(what: str, at: str, due: str) -> Any:
    return replace(report(what, at, by="coordinator"), due_ms=T0 + clock(due))


def test_a_planned_visit_is_missed_after_four_hours() -> None:
    """An earlier visit is another one, and a plan is no visit."""
    friends = (planned("visit-planned", "01:00", "20:00"), report("visit", "02:00"))
    came = infusing("26:00", *friends, report("nurse visit done", "24:30"))
    assert clinical(came) == [
        "24:00:00 raised visit-overdue low",
        "24:30:00 cleared visit-overdue low",
    ]
    in_time = infusing("26:00", *friends, report("nurse visit done", "23:59"))
    assert clinical(in_time) == []


@pytest.mark.parametrize(
    ("what", "at"),
    [
        ("supplies-delivered", "09:30"),
        ("delivery-arrived", "13:59"),
        ("delivery-cancelled", "13:00"),
    ],
)
def test_a_delivery_that_came_or_was_cancelled_is_not_missed(what: str, at: str) -> None:
    paper = infusing("20:00", planned("delivery-planned", "01:00", "10:00"), report(what, at))
    assert clinical(paper) == []


def test_a_missed_delivery_is_told_and_gets_more_urgent_after_a_day() -> None:
    """Four hours after it was due; a newer plan is another delivery."""
    paper = infusing("39:00", planned("supplies-sent", "01:00", "10:00"))
    assert clinical(paper) == [
        "14:00:00 raised delivery-overdue low",
        "38:00:00 escalated delivery-overdue medium",
    ]
    again = infusing(
        "20:00",
        planned("supplies-sent", "01:00", "10:00"),
        planned("supplies-sent", "15:00", "30:00"),
    )
    assert clinical(again) == [
        "14:00:00 raised delivery-overdue low",
        "15:00:00 cleared delivery-overdue low",
    ]


def test_a_plan_without_a_time_awaits_nothing() -> None:
    assert clinical(infusing("48:00", report("visit-planned", "01:00"))) == []
    kept = record(report("visit-planned", "01:00"), report("supplies-sent", "02:00"))
    assert planned_due(kept, "visit", DEFAULTS) is None
    assert planned_due(kept, "supplies", DEFAULTS) is None


def test_without_a_first_visit_nobody_waits_for_the_next() -> None:
    assert visit_due(record(report("fever", "01:00")), DEFAULTS) is None
    assert clinical(begin(START, interval_ms=3_600_000).run("300:00")) == []


# --- when the calendar is looked at ---------------------------------------------------------------


def test_the_next_instant_of_the_calendar() -> None:
    kept = record(level(0.8, "06:00", "07:00"), report("visit", "02:00"), report("fever", "03:00"))
    expected = ["16:30", "18:30", "26:30", "75:00", "108:00", "194:00"]
    at_ms = T0 + clock("08:00")
    found = []
    while (due := next_care_ms(kept, DEFAULTS, at_ms)) is not None:
        found.append(due - T0)
        at_ms = due
    # The visit's and the fever's time as complaints, too: an instant too many costs a look.
    assert set(found) >= {clock(each) for each in expected}
    assert found == sorted(found)
    assert next_care_ms(Record("T-01"), DEFAULTS, T0) is None


@pytest.mark.parametrize("hours", range(1, 120, 7))
def test_nothing_changes_between_two_instants_of_the_calendar(hours: int) -> None:
    """Whatever is due or missed just after one instant is so just before the next."""
    stop = Stop(at_ms=T0 + clock("100:00"))
    kept = record(
        level(0.8, "06:00", "07:00"), report("visit", "02:00"), order=compiled(START, stop)
    )
    at_ms = T0 + hours * MS_PER_HOUR + 1
    next_ms = next_care_ms(kept, DEFAULTS, at_ms)
    assert next_ms is not None
    assert missed(kept, at_ms) == missed(kept, next_ms - 1)


def missed(kept: Record, at_ms: int) -> list[bool]:
    """What is overdue and badly overdue at an instant."""
    dues = (
        level_due(kept, DEFAULTS, at_ms),
        platelets_due(kept, DEFAULTS, at_ms),
        visit_due(kept, DEFAULTS),
        therapeutic_due(kept, DEFAULTS),
    )
    said = [due is not None and at_ms >= due.overdue_ms for due in dues]
    return said + [
        due is not None and due.bad_ms is not None and at_ms >= due.bad_ms for due in dues
    ]

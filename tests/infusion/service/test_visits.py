"""What is due when: duties, the laboratory's calendar, deliveries, teaching, tomorrow's work."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.care_calendar import level_due, planned_due, platelets_due
from infusion.clinical import Report
from infusion.errors import ConfigError
from infusion.prescription import Start, Stop
from infusion.record import Record
from infusion.service.supplies import Delivery
from infusion.service.visits import (
    Shown,
    Task,
    open_teaching,
    read_care_plan,
    tasks_of,
    work_list,
)
from infusion.thresholds import DEFAULTS
from infusion.units import MS_PER_HOUR
from tests.infusion.bench import T0, clock
from tests.infusion.clinic_bench import compiled, lab, record, report
from tests.infusion.service.test_supplies import PLAN as SUPPLIES

FILE = Path(__file__).parents[3] / "config" / "care" / "home-heparin.toml"
PLAN = read_care_plan(FILE.read_bytes(), FILE.name)
HOUR = MS_PER_HOUR


def due_of(kept: Record, now: str = "01:00") -> dict[str, float]:
    """Hours from the start to when each task is due."""
    tasks = tasks_of(kept, PLAN, DEFAULTS, T0 + clock(now))
    return {task.key: (task.due_ms - T0) / HOUR for task in tasks}


def test_from_the_start_on() -> None:
    assert due_of(record()) == {
        "first-visit": 0,
        "teach-back": 72,
        "dressing": 168,
        "haemoglobin": 168,
        "pharmacist-call": 168,
        "visit": 168,
    }


def test_a_report_says_that_it_was_done() -> None:
    kept = record(report("visit-done", "01:00"), report("teaching", "02:00"))
    found = due_of(kept, "03:00")
    assert "first-visit" not in found
    assert "teach-back" not in found
    assert found["visit"] == 169
    assert found["dressing"] == 168
    kept = record(report("visit-done", "01:00"), report("dressing-changed", "10:00"))
    found = due_of(kept, "11:00")
    assert (found["dressing"], found["visit"]) == (178, 178)


def test_what_was_not_done_is_not_done() -> None:
    kept = record(report("no visit", "01:00"), report("called off the bag", "01:30"))
    assert due_of(kept, "02:00")["first-visit"] == 0


def test_a_visit_for_an_earlier_therapy_is_none() -> None:
    early = Report(therapy="T-01", report="R", what="visit", by="n", time_ms=T0 - 13 * HOUR)
    assert "first-visit" in due_of(record(early))
    assert "first-visit" not in due_of(record(replace(early, time_ms=T0 - 2 * HOUR)))


def test_the_laboratory_is_that_of_the_monitor() -> None:
    """One calendar: the work list and the alert name the same instants."""
    kept = record(
        lab("anti-xa", 0.5, drawn="06:00", resulted="07:00"),
        lab("haemoglobin", 13.0, drawn="06:00", resulted="07:00"),
    )
    now_ms = T0 + clock("08:00")
    tasks = {task.key: task for task in tasks_of(kept, PLAN, DEFAULTS, now_ms)}
    for key, due in (
        ("level", level_due(kept, DEFAULTS, now_ms)),
        ("platelets", platelets_due(kept, DEFAULTS, now_ms)),
    ):
        assert due is not None
        assert (tasks[key].due_ms, tasks[key].overdue_ms) == (due.due_ms, due.overdue_ms)
    assert tasks["haemoglobin"].due_ms == T0 + clock("06:00") + 168 * HOUR


def test_after_the_end_nothing_is_due() -> None:
    over = compiled(Start(at_ms=T0, rate_iu_h=1_000.0), Stop(at_ms=T0 + clock("10:00")))
    kept = record(order=over)
    assert due_of(kept, "09:00") != {}
    assert due_of(kept, "10:00") == {}
    assert due_of(Record("T-01")) == {}


def test_deliveries_are_work_until_they_arrive() -> None:
    delivery = Delivery(item="bag", amount=7, due_ms=T0 + 30 * HOUR)
    there = replace(delivery, item="flush", arrived_ms=T0)
    (task,) = tasks_of(
        Record("T-01"), PLAN, DEFAULTS, T0, deliveries=[delivery, there], supplies=SUPPLIES
    )
    assert (task.kind, task.name) == ("delivery", "delivery: 7 of bag")
    assert task.overdue_ms == T0 + 34 * HOUR


def test_what_was_planned_in_a_report_is_work_as_it_is_an_alert() -> None:
    plans = [
        replace(report(what, "01:00", by="coordinator"), due_ms=T0 + clock("20:00"))
        for what in ("visit-planned", "delivery-planned")
    ]
    kept = record(*plans)
    tasks = {task.key: task for task in tasks_of(kept, PLAN, DEFAULTS, T0 + clock("02:00"))}
    for key, what in (("planned-visit", "visit"), ("planned-delivery", "supplies")):
        due = planned_due(kept, what, DEFAULTS)  # type: ignore[arg-type]
        assert due is not None
        assert (tasks[key].due_ms, tasks[key].overdue_ms) == (due.due_ms, due.overdue_ms)
    assert "first-visit" in tasks


@pytest.mark.parametrize(
    ("hours", "state"), [(-0.01, "coming"), (0, "due"), (3.99, "due"), (4, "overdue")]
)
def test_how_a_task_stands(hours: float, state: str) -> None:
    task = task_at("T-01", 0.0)
    assert task.state(T0 + round(hours * HOUR)) == state


def task_at(therapy: str, hours: float) -> Task:
    due_ms = T0 + round(hours * HOUR)
    return Task(
        therapy=therapy,
        key="visit",
        name="visit",
        kind="visit",
        role="nurse",
        due_ms=due_ms,
        overdue_ms=due_ms + 4 * HOUR,
    )


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-100, 100)), max_size=30))
def test_a_work_list_holds_what_is_due_by_then_and_the_missed_first(
    tasks: list[tuple[str, float]],
) -> None:
    known = [task_at(therapy, hours) for therapy, hours in tasks]
    found = work_list(known, T0, T0 + 24 * HOUR)
    assert sorted(found, key=repr) == sorted(
        (task for task in known if task.due_ms < T0 + 24 * HOUR), key=repr
    )
    missed = [task.state(T0) == "overdue" for task in found]
    assert missed == sorted(missed, reverse=True)


def test_tomorrow_of_a_hundred_patients() -> None:
    """Every patient's own tasks, no more and no less."""
    tasks: list[Task] = []
    for number in range(100):
        kept = replace(record(), therapy=f"T-{number:03}")
        tasks += tasks_of(kept, PLAN, DEFAULTS, T0 + clock("01:00"))
    found = work_list(tasks, T0 + 60 * HOUR, T0 + 84 * HOUR)
    assert {task.key for task in found} == {"first-visit", "teach-back"}
    assert len(found) == 200
    assert [task.key for task in found[:100]] == ["first-visit"] * 100


def test_teaching_is_open_until_it_is_shown() -> None:
    assert len(open_teaching(PLAN, [])) == len(PLAN.teach)
    shown = [
        Shown(key=teach.key, who="caregiver", to="nurse-1", at_ms=T0, is_able=True)
        for teach in PLAN.teach
    ]
    assert open_teaching(PLAN, shown) == ()
    failed = replace(shown[0], at_ms=T0 + 1, is_able=False)
    assert [teach.key for teach in open_teaching(PLAN, [failed, *shown])] == [shown[0].key]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('key = "dressing"', 'key = "visit"', "[[duty]]: the key 'visit' is there twice"),
        ('kind = "call"', 'kind = "phone"', "[[duty]] 4: key 'kind'"),
        ("[[teach]]", "[[learn]]", "there is no [[teach]]"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(old: str, new: str, words: str) -> None:
    text = FILE.read_text().replace(old, new)
    with pytest.raises(ConfigError) as error:
        read_care_plan(text.encode(), "care.toml")
    assert words in str(error.value)

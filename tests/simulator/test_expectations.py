"""A unit test of the judgement on a monitor."""

from typing import Literal

from infusion.alarms import Priority
from infusion.messages import Alert, AlertChange, Evidence
from simulator.story.expectations import judge
from tests.simulator.bench import START_MS, minutes, scenario

STORY = scenario(
    """
    quiet = true
    [[expect]]
    pump = "P-03"
    rule = "downstream-occlusion"
    raised = ["00:04", "00:08"]
    cleared_by = "00:15"
    """
)
END_MS = minutes(60)


def change(
    raised: float, cleared: float | None = None, *, pump: str = "P-03", rule: str = ""
) -> AlertChange:
    kind: Literal["raised", "cleared"] = "raised" if cleared is None else "cleared"
    alert = Alert(
        id=f"{pump}-{raised}-{rule}",
        site="home",
        pump=pump,
        rule=rule or "downstream-occlusion",
        category="device",
        title="",
        priority=Priority.HIGH,
        state=kind,
        version=1 if cleared is None else 2,
        onset_ms=minutes(raised),
        raised_ms=minutes(raised),
        changed_ms=minutes(cleared or raised),
        cleared_ms=None if cleared is None else minutes(cleared),
        evidence=Evidence(),
    )
    return AlertChange(change=kind, list_version=1, alert=alert)


def test_raised_and_cleared_in_time_is_a_pass_in_any_order() -> None:
    changes = [change(6, 14), change(6), change(6, 14)]
    assert judge(STORY, changes, START_MS, END_MS) == []
    assert judge(STORY, reversed(changes), START_MS, END_MS) == []


def test_a_name_of_another_width_is_the_same_pump() -> None:
    assert judge(STORY, [change(6, 14, pump="P-003")], START_MS, END_MS) == []


def test_the_edges_of_the_window_belong_to_it() -> None:
    assert judge(STORY, [change(4, 15)], START_MS, END_MS) == []
    assert judge(STORY, [change(8, 15)], START_MS, END_MS) == []


def test_what_is_missing_is_told() -> None:
    assert judge(STORY, [], START_MS, END_MS) == [
        "P-03: downstream-occlusion was not raised between 00:04 and 00:08"
    ]
    assert judge(STORY, [change(9)], START_MS, END_MS) == [
        "P-03: downstream-occlusion was not raised between 00:04 and 00:08, but at 00:09"
    ]
    assert judge(STORY, [change(6)], START_MS, END_MS) == [
        (
            "P-03: downstream-occlusion was raised between 00:04 and 00:08, but never cleared; "
            "expected by 00:15"
        )
    ]
    assert judge(STORY, [change(6, 16)], START_MS, END_MS) == [
        (
            "P-03: downstream-occlusion was raised between 00:04 and 00:08, but cleared only at "
            "00:16; expected by 00:15"
        )
    ]


def test_what_is_not_yet_due_is_left_out() -> None:
    assert judge(STORY, [], START_MS, minutes(7)) == []
    assert judge(STORY, [change(6)], START_MS, minutes(14)) == []


def test_a_quiet_pump_must_be_quiet_and_another_scenario_does_not_mind() -> None:
    changes = [change(6, 14), change(20, pump="P-05", rule="no-telemetry")]
    assert judge(STORY, changes, START_MS, END_MS) == [
        "P-05: no-telemetry was raised at 00:20, but this pump was to stay quiet"
    ]
    loud = scenario("quiet = false")
    assert judge(loud, changes, START_MS, END_MS) == []


def test_children_on_a_named_pump_are_allowed() -> None:
    changes = [change(6, 14), change(7, rule="not-delivering")]
    assert judge(STORY, changes, START_MS, END_MS) == []

"""A unit test of the judgement on a monitor."""

from typing import Literal

import pytest

from infusion.alarms import Priority
from infusion.errors import ConfigError
from infusion.messages import Alert, AlertChange, Evidence
from simulator.story.expectations import judge
from simulator.story.scenario import Scenario
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
    raised: float,
    cleared: float | None = None,
    *,
    pump: str = "P-03",
    rule: str = "",
    priority: Priority = Priority.HIGH,
    version: int | None = None,
    at: float | None = None,
    suppresses: tuple[str, ...] = (),
) -> AlertChange:
    """One version of an alert: the first, or the second where it is cleared, or `version`."""
    kind: Literal["raised", "cleared"] = "raised" if cleared is None else "cleared"
    alert = Alert(
        id=f"{pump}-{raised}-{rule}",
        site="home",
        pump=pump,
        rule=rule or "downstream-occlusion",
        category="device",
        title="",
        priority=priority,
        state=kind,
        version=version or (1 if cleared is None else 2),
        onset_ms=minutes(raised),
        raised_ms=minutes(raised),
        changed_ms=minutes(at or cleared or raised),
        cleared_ms=None if cleared is None else minutes(cleared),
        evidence=Evidence(),
        suppresses=suppresses,
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


# --- found as the consequence of another alert ----------------------------------------------------

CHILD = "not-delivering"


def parent(version: int, at: float, *listed: str, cleared: float | None = None) -> AlertChange:
    """A version of a pump's own alarm that was raised at 5 min."""
    rule = "upstream-occlusion"
    return change(5, cleared, rule=rule, version=version, at=at, suppresses=listed)


def child_story(more: str = "") -> Scenario:
    return scenario(
        f"""
        [[expect]]
        pump = "P-03"
        rule = "{CHILD}"
        raised = ["00:14", "00:16"]
        {more}
        """
    )


LISTED = [parent(1, 5), parent(2, 15, CHILD, "under-delivery"), parent(3, 20, "under-delivery")]


def test_what_another_alert_lists_is_found_from_when_it_first_lists_it() -> None:
    for changes in (LISTED, LISTED[::-1], LISTED[:2], LISTED + LISTED):
        assert judge(child_story(), changes, START_MS, END_MS) == []
    assert judge(child_story(), [parent(1, 5), parent(2, 17, CHILD)], START_MS, END_MS) == [
        (
            f"P-03: {CHILD} was not raised between 00:14 and 00:16, "
            "but at 00:17 (under upstream-occlusion)"
        )
    ]


def test_it_may_be_listed_from_the_first_version_and_more_than_once() -> None:
    again = [
        parent(1, 5, CHILD),
        parent(2, 8),
        parent(3, 15, CHILD),
        parent(4, 30, CHILD, cleared=30),
    ]
    assert judge(child_story(), again, START_MS, END_MS) == []
    assert judge(child_story('cleared_by = "00:30"'), again, START_MS, END_MS) == []
    assert judge(child_story('cleared_by = "00:29"'), again, START_MS, END_MS) == [
        (
            f"P-03: {CHILD} was raised between 00:14 and 00:16, but cleared only at 00:30; "
            "expected by 00:29"
        )
    ]
    assert judge(child_story('cleared_by = "00:20"'), LISTED[:2], START_MS, END_MS) == [
        f"P-03: {CHILD} was raised between 00:14 and 00:16, but never cleared; expected by 00:20"
    ]
    assert judge(child_story('cleared_by = "00:20"'), LISTED, START_MS, END_MS) == []


def test_an_alert_of_its_own_tells_the_end_where_there_is_one() -> None:
    out = change(15, 40, rule=CHILD)
    assert judge(child_story('cleared_by = "00:20"'), [*LISTED, out], START_MS, END_MS) == [
        (
            f"P-03: {CHILD} was raised between 00:14 and 00:16, but cleared only at 00:40; "
            "expected by 00:20"
        )
    ]


def test_what_is_listed_does_not_break_the_quiet_twice() -> None:
    quiet = scenario("quiet = true")
    assert judge(quiet, LISTED, START_MS, END_MS) == [
        "P-03: upstream-occlusion was raised at 00:05, but this pump was to stay quiet"
    ]


# --- priority, and what must never be raised -----------------------------------------------------


def test_a_priority_must_be_reached_and_not_passed() -> None:
    story = child_story('priority = "medium"')
    low = change(15, rule=CHILD, priority=Priority.LOW)
    medium = change(15, rule=CHILD, priority=Priority.MEDIUM, version=2, at=30)
    back = change(15, rule=CHILD, priority=Priority.LOW, version=3, at=40)
    high = change(15, rule=CHILD, version=4, at=50)
    assert judge(story, [low, medium], START_MS, END_MS) == []
    assert judge(story, [low, medium, back], START_MS, END_MS) == []
    complaint = f"P-03: {CHILD} was raised between 00:14 and 00:16, but at priority"
    assert judge(story, [low], START_MS, END_MS) == [f"{complaint} low; expected medium"]
    assert judge(story, [low, medium, high], START_MS, END_MS) == [
        f"{complaint} high; expected medium"
    ]


def test_an_open_alert_may_still_come_to_its_priority_until_the_end() -> None:
    story = child_story('priority = "medium"')
    low = change(15, rule=CHILD, priority=Priority.LOW)
    assert judge(story, [low], START_MS, minutes(59)) == []
    gone = change(15, 20, rule=CHILD, priority=Priority.LOW)
    assert len(judge(story, [low, gone], START_MS, minutes(59))) == 1


def test_who_lists_it_must_be_as_urgent() -> None:
    assert judge(child_story('priority = "medium"'), LISTED, START_MS, END_MS) == []
    low = change(5, rule="pump-offline", priority=Priority.LOW, suppresses=(CHILD,))
    early = scenario(
        f"""
        [[expect]]
        pump = "P-03"
        rule = "{CHILD}"
        raised = ["00:04", "00:06"]
        priority = "medium"
        """
    )
    assert judge(early, [low], START_MS, END_MS) == [
        (
            f"P-03: {CHILD} was raised between 00:04 and 00:06, but at priority low "
            "(under pump-offline); expected medium"
        )
    ]


def test_what_must_never_be_raised_is_told_alone_and_as_a_consequence() -> None:
    story = child_story("never = true")
    assert judge(story, [], START_MS, END_MS) == []
    assert judge(story, [change(17, rule=CHILD)], START_MS, END_MS) == []
    assert judge(story, [change(15)], START_MS, END_MS) == []
    assert judge(story, [change(16, 20, rule=CHILD)], START_MS, END_MS) == [
        f"P-03: {CHILD} was raised at 00:16, but never must be between 00:14 and 00:16"
    ]
    assert judge(story, LISTED, START_MS, END_MS) == [
        (
            f"P-03: {CHILD} was raised at 00:15 (under upstream-occlusion), "
            "but never must be between 00:14 and 00:16"
        )
    ]
    # Before the window is over nothing can be said.
    assert judge(story, LISTED, START_MS, minutes(15)) == []


def test_a_pump_of_which_only_never_is_said_stays_quiet_but_may_give_notice() -> None:
    story = scenario(
        f"""
        quiet = true
        [[expect]]
        pump = "P-03"
        rule = "{CHILD}"
        raised = ["00:00", "01:00"]
        never = true
        """
    )
    notice = change(9, rule="reservoir-runs-out", priority=Priority.NOTICE)
    assert judge(story, [notice], START_MS, END_MS) == []
    assert judge(story, [change(9)], START_MS, END_MS) == [
        "P-03: downstream-occlusion was raised at 00:09, but this pump was to stay quiet"
    ]


@pytest.mark.parametrize("more", ['cleared_by = "00:20"', 'priority = "low"'])
def test_what_never_comes_has_no_end_and_no_priority(more: str) -> None:
    with pytest.raises(ConfigError, match="what is never raised has none; leave it out"):
        child_story(f"never = true\n{more}")

"""Tests of the words of ACM: every change has one, and each follows from what is published."""

from typing import get_args

import pytest
from msgspec.structs import replace

from infusion.acm import PHASES, TYPES, Acm, Phase, acm, resent
from infusion.alarms import Priority
from infusion.alert import Alert, AlertChange, Change, Deed, Evidence, Facts
from infusion.rules import RULES

ALERT = Alert(
    id="home/P-01/free-flow-seen/5",
    site="home",
    pump="P-01",
    rule="free-flow-seen",
    category="delivery",
    title="free flow",
    priority=Priority.HIGH,
    state="raised",
    version=1,
    onset_ms=5,
    raised_ms=6,
    changed_ms=6,
    evidence=Evidence(),
)
DEED = Deed(by="nurse-1", at_ms=7)


def told(change: Change, **fields: object) -> Acm | None:
    alert = replace(ALERT, **fields)
    return acm(AlertChange(change=change, list_version=1, alert=alert))


def test_tables_are_total() -> None:
    """Every word of a change and every class of a rule is there."""
    assert set(PHASES) == set(get_args(Change))
    assert {rule.category for rule in RULES.values()} <= set(TYPES)


@pytest.mark.parametrize(
    ("change", "fields", "expected"),
    [
        ("raised", {}, ("start", "active")),
        ("escalated", {}, ("escalate", "active")),
        ("deescalated", {}, ("deescalate", "active")),
        ("updated", {}, ("update", "active")),
        ("called", {}, ("update", "active")),
        ("latched", {"state": "latched", "latched": True}, ("update", "latched")),
        ("returned", {}, ("update", "active")),
        ("cleared", {"state": "cleared"}, ("end", "inactive")),
        ("cleared-unseen", {"state": "cleared"}, ("end", "inactive")),
        ("cleared", {"state": "cleared", "latched": True}, ("reset", "inactive")),
    ],
)
def test_phase_and_state(change: Change, fields: dict[str, object], expected: object) -> None:
    """The life of an alert, word by word."""
    found = told(change, **fields)
    assert found is not None
    assert (found.phase.value, found.state) == expected


@pytest.mark.parametrize("change", ["seen", "dropped"])
def test_nothing_is_said_after_the_end(change: Change) -> None:
    """ACM was told the end when the hazard was over; that somebody saw it later is not its own."""
    assert told(change, state="cleared") is None


def test_inactivation_may_repeat() -> None:
    """Silenced and acknowledged are two facts, and both are told."""
    both = told("acknowledged", facts=Facts(acknowledged=DEED, audio_paused=DEED))
    assert both is not None
    assert both.inactivation == ("audio-paused", "alert-acknowledged")
    snoozed = told("snoozed", facts=Facts(snoozed=DEED), priority=Priority.LOW)
    assert snoozed is not None
    assert (snoozed.inactivation, snoozed.priority) == (("alarm-paused",), "PL")
    taken = told("taken", facts=Facts(taken=DEED))
    assert taken is not None
    assert taken.inactivation == ("enabled",), "responsibility switches no signal off"


@pytest.mark.parametrize(
    ("rule", "category", "priority", "expected"),
    [
        ("free-flow-seen", "delivery", Priority.HIGH, "ST"),
        ("critical-result", "laboratory", Priority.HIGH, "SP"),
        ("bleeding", "care", Priority.HIGH, "SP"),
        ("supplies-low", "care", Priority.LOW, "SA"),
        ("reservoir-runs-out", "delivery", Priority.NOTICE, "SA"),
    ],
)
def test_type(rule: str, category: str, priority: Priority, expected: str) -> None:
    """Of the patient, of the pump, or only for information."""
    found = told("raised", rule=rule, category=category, priority=priority)
    assert found is not None
    assert found.type == expected


def test_alert_that_is_said_again_continues() -> None:
    """For those who come late, or who reconnect."""
    assert resent(ALERT) == Acm(Phase.CONTINUE, "active", ("enabled",), "PH", "ST")

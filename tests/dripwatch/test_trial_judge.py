"""One case judged by hand: each way to be found, missed, right, false and double."""

import pytest

from dripwatch.trial.alerts import Ledger, Raised
from dripwatch.trial.conditions import Conditions
from dripwatch.trial.explain import EXPLAINS, why
from dripwatch.trial.judge import COHORT, FALSE, Sought, SystemCase, judge
from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.rules import RULES

MIN = 60_000


def sought(**keys: object) -> Sought:
    """A hazard from minute 100 to 160 that could be seen from minute 110 on."""
    given: dict[str, object] = {
        "hazard": "pause-forgotten",
        "group": "order",
        "urgency": 1,
        "from_ms": 100 * MIN,
        "onset_ms": 100 * MIN,
        "end_ms": 160 * MIN,
        "earliest_ms": 110 * MIN,
        "happens_ms": 100 * MIN,
        "is_real": True,
        "linger_ms": 15 * MIN,
        "answers": frozenset({"not-delivering"}),
        **keys,
    }
    return Sought(**given)  # type: ignore[arg-type]


def alert(rule: str, minute: float, priority: str = "medium", **keys: object) -> Raised:
    at_ms = round(minute * MIN)
    given = {
        "rule": rule,
        "pump": "P-01",
        "first_ms": at_ms,
        "priority": Priority(priority),
        "raised_ms": at_ms,
        "high_ms": at_ms if priority == "high" else None,
        **keys,
    }
    return Raised(**given)  # type: ignore[arg-type]


def judged(
    alerts: list[Raised],
    one: Sought | None = None,
    conditions: Conditions | None = None,
    elsewhere: tuple[Raised, ...] = (),
) -> SystemCase:
    hazards = (one or sought(),)
    return judge(
        hazards, alerts, conditions or {}, lambda begin, end: (end - begin) / MIN, elsewhere
    )


def test_the_first_answer_finds_it() -> None:
    (found,) = judged([alert("not-delivering", 112), alert("not-delivering", 140, "high")]).found
    assert found is not None
    assert (found.rule, found.at_ms, found.high_ms) == ("not-delivering", 112 * MIN, 140 * MIN)
    assert found.iu == 12


def test_another_rule_does_not_find_it() -> None:
    case = judged([alert("no-telemetry", 112)])
    assert case.found == (None,)
    assert case.missed_iu == (60,)


def test_an_alert_before_the_onset_finds_nothing_unless_it_may_warn() -> None:
    early = alert("not-delivering", 90, cleared_ms=95 * MIN)
    assert judged([early]).found == (None,)
    (found,) = judged([early], sought(from_ms=80 * MIN)).found
    assert found is not None
    assert found.at_ms == 90 * MIN
    assert found.iu == 0


def test_an_alert_after_the_end_finds_it_for_a_while() -> None:
    assert judged([alert("not-delivering", 170)]).found != (None,)
    assert judged([alert("not-delivering", 180)]).found == (None,)


def test_an_alert_that_stands_already_says_it_from_the_earliest_moment_on() -> None:
    (found,) = judged([alert("not-delivering", 20, cleared_ms=None)]).found
    assert found is not None
    assert found.was_standing
    assert found.at_ms == 110 * MIN


def test_a_notice_finds_nothing_and_is_counted_apart() -> None:
    case = judged([alert("not-delivering", 112, "notice", raised_ms=None)])
    assert case.found == (None,)
    assert (case.notices, case.alerts) == (1, ())


def test_an_alert_on_another_pump_can_find_it() -> None:
    elsewhere = alert("not-delivering", 113, pump="P-02")
    (found,) = judged([], elsewhere=(elsewhere,)).found
    assert found is not None


def test_an_answer_is_caused_by_the_hazard() -> None:
    (one, two) = judged([alert("not-delivering", 112), alert("not-delivering", 150)]).alerts
    assert (one.cause, two.cause) == ("0", "0")
    assert one.reason == "pause-forgotten"


def test_what_nothing_explains_is_false() -> None:
    (one,) = judged([alert("over-delivery", 112, "high")]).alerts
    assert one.cause == FALSE


def test_what_truth_explains_is_of_the_hazard_in_its_time_and_of_the_cohort_else() -> None:
    conditions = {"over": [(100 * MIN, 115 * MIN), (500 * MIN, 520 * MIN)]}
    one, two, three = judged(
        [alert("over-delivery", 112), alert("over-delivery", 505), alert("over-delivery", 600)],
        conditions=conditions,
    ).alerts
    assert (one.cause, two.cause, three.cause) == ("0", COHORT, FALSE)
    assert two.reason == "over"


def test_alerts_of_the_cohort_that_come_close_are_of_one_cause() -> None:
    conditions = {"offline": [(400 * MIN, 700 * MIN)]}
    alerts = [alert("pump-offline", minute) for minute in (401, 410, 500)]
    clusters = [one.cluster for one in judged(alerts, conditions=conditions).alerts]
    assert clusters == [1, 1, 2]


def test_a_condition_explains_only_after_its_time_and_until_its_slack() -> None:
    conditions = {"stands": [(100 * MIN, 120 * MIN)]}
    minutes = (100, 106, 107.5, 122, 123)
    assert [bool(why("not-delivering", round(m * MIN), conditions)) for m in minutes] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_rule_without_a_row_is_never_explained() -> None:
    assert why("unknown-pump", 0, {"stands": [(0, MIN)]}) == ""


def test_every_row_names_a_rule() -> None:
    assert set(EXPLAINS) <= {*RULES, *DEVICE_ALARMS}


@pytest.mark.parametrize("priority", ["low", "medium", "high"])
def test_a_ledger_keeps_when_an_alert_first_asked_somebody_to_act(priority: str) -> None:
    ledger = Ledger()
    ledger.note("a", "offline", "P-01", Priority.NOTICE, 5)
    assert ledger.alerts["a"].raised_ms is None
    ledger.note("a", "offline", "P-01", Priority(priority), 9)
    ledger.note("a", "offline", "P-01", Priority.LOW, 11)
    (kept,) = ledger.of("P-01")
    assert (kept.first_ms, kept.raised_ms, kept.priority) == (5, 9, Priority(priority))
    assert kept.high_ms == (9 if priority == "high" else None)
    assert ledger.of("P-02") == []


def teller(minute: float, lists: tuple[str, ...], priority: Priority = Priority.HIGH) -> Raised:
    """An alert of an hour before that lists consequences from a minute on, for ten minutes."""
    ledger = Ledger()
    ledger.note("a", "reservoir-runs-out", "P-01", priority, round((minute - 60) * MIN))
    (one,) = ledger.of("P-01")
    one.tell(lists, priority, round(minute * MIN))
    one.tell((), priority, round((minute + 10) * MIN))
    return one


def test_what_an_alert_lists_as_its_consequence_finds_it_and_is_no_alert_more() -> None:
    case = judged([teller(112, ("not-delivering",))], conditions={"bag-near-end": [(0, 200 * MIN)]})
    (found,) = case.found
    assert found is not None
    assert (found.rule, found.told_by) == ("not-delivering", "reservoir-runs-out")
    assert (found.at_ms, found.high_ms) == (112 * MIN, 112 * MIN)
    assert not found.was_standing
    assert [(one.rule, one.cause) for one in case.alerts] == [("reservoir-runs-out", COHORT)]


def test_what_is_listed_too_early_too_late_or_by_a_notice_finds_nothing() -> None:
    assert judged([teller(85, ("not-delivering",))]).found == (None,)
    assert judged([teller(176, ("not-delivering",))]).found == (None,)
    assert judged([teller(112, ("not-delivering",), Priority.NOTICE)]).found == (None,)


def test_what_is_listed_again_is_said_again() -> None:
    one = teller(85, ("not-delivering",))
    one.tell(("not-delivering",), Priority.LOW, 120 * MIN)
    one.tell(("not-delivering",), Priority.HIGH, 130 * MIN)
    (found,) = judged([one]).found
    assert found is not None
    assert (found.at_ms, found.high_ms, found.was_standing) == (120 * MIN, 130 * MIN, False)


def test_what_was_over_too_soon_still_explains_its_answers_if_it_happened() -> None:
    early = alert("not-delivering", 91)
    short = {"is_real": False, "end_ms": 120 * MIN}
    (one,) = judged([early], sought(**short, happens_ms=90 * MIN)).alerts
    assert (one.cause, one.reason) == ("0", "pause-forgotten")
    (one,) = judged([early], sought(**short)).alerts
    assert one.cause == FALSE
    (one,) = judged([alert("not-delivering", 105)], sought(**short, happens_ms=None)).alerts
    assert one.cause == FALSE

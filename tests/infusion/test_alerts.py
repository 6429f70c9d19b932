"""Tests of the life of an alert: every cell of its table, and what is said on the way."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from infusion.acts import perform
from infusion.alarms import Priority
from infusion.alert import CLOSING, LEAVING_UNSEEN, Act, Alert, AlertChange, Evidence
from infusion.alerts import (
    TABLE,
    Input,
    open_alerts,
    shift,
    unseen_alerts,
)
from infusion.alerts import update as update_with
from infusion.board import OPEN_MAX, UNSEEN_MAX, Board, Look, Phase, Track
from infusion.causes import COME_OUT_MS, MERGE_MS
from infusion.handling import DEFAULT, Handling, Step
from infusion.next_look import next_look_ms
from infusion.rules import RULES, Level, Rule
from infusion.situation import Verdict
from infusion.words import explain
from tests.infusion.bench import SITE, T0, Stream
from tests.infusion.streams import STREAMS, plans, played, run, timetable

SECOND = 1_000
Lists = dict[str, Alert]
# A rule with two levels, under the key and with the off-delay of a real one.
SLOW = Rule(
    "over-delivery",
    "test",
    (Level(10 * SECOND, Priority.LOW), Level(60 * SECOND, Priority.HIGH)),
    None,
    off_delay_ms=RULES["over-delivery"].off_delay_ms,
)
LATCHING = replace(SLOW, latches=True)
EVIDENCE = Evidence(detail="because")


NOBODY: dict[Priority, tuple[Step, ...]] = dict.fromkeys(Priority, ())


def having(*rules: Rule) -> Handling:
    """The default handling with some rules in place of the real ones, and nobody to call."""
    table = {**RULES, **{rule.key: rule for rule in rules}}
    return replace(DEFAULT, rules=table, chains=NOBODY)


def update(
    board: Board,
    at: Look,
    verdicts: list[tuple[Rule, Verdict]],
    handling: Handling | None = None,
) -> list[AlertChange]:
    """One look, with the slow rule in the place of its namesake."""
    return update_with(board, at, verdicts, handling or having(SLOW))


def diagram() -> str:
    """The table as a mermaid state diagram; inputs that lead the same way share an arrow."""
    lines = ["stateDiagram-v2", "    [*] --> idle"]
    for before, after in product(Phase, Phase):
        inputs = [input_.value for input_ in Input if TABLE[before, input_] is after]
        if inputs:
            lines.append(f"    {before.value} --> {after.value}: {', '.join(inputs)}")
    return "\n".join(lines)


def test_document_shows_the_table() -> None:
    """docs/alert-life.md is drawn from the table that the monitor runs on."""
    assert diagram() in shown_diagrams()


def shown_diagrams() -> list[str]:
    """The mermaid diagrams of docs/alert-life.md."""
    text = (Path(__file__).parents[2] / "docs" / "alert-life.md").read_text()
    return re.findall(r"```mermaid\n(.*?)\n?```", text, re.DOTALL)


def test_table_is_total() -> None:
    """Every phase has an answer to every input, and a rule is never stuck."""
    assert set(TABLE) == set(product(Phase, Input))
    assert all(TABLE[phase, Input.OVER] is Phase.IDLE for phase in Phase)
    assert all(TABLE[phase, Input.DUE] is Phase.RAISED for phase in Phase)


def look(at_s: float, heard_s: float | None = None) -> Look:
    heard_ms = round((at_s if heard_s is None else heard_s) * SECOND)
    return Look(round(at_s * SECOND), heard_ms, "T-01")


def verdict(since_s: float, priority: Priority | None = None) -> Verdict:
    return Verdict(EVIDENCE, round(since_s * SECOND), priority)


def board_in(phase: Phase) -> Board:
    """A board on which the slow rule, due since 0 s, is in a phase at 100 s."""
    board = Board(SITE, "P-01")
    latching = having(LATCHING)
    if phase is Phase.PENDING:
        update(board, look(100), [(SLOW, verdict(95))])
    elif phase is Phase.LATCHED:
        update(board, look(39), [(SLOW, verdict(-60))], latching)
        update(board, look(40), [], latching)
        update(board, look(100), [], latching)
    elif phase is not Phase.IDLE:
        update(board, look(99), [(SLOW, verdict(0))], latching)
        if phase is Phase.RECOVERING:
            update(board, look(100), [], latching)
    assert phase_of(board) is phase
    return board


def phase_of(board: Board) -> Phase:
    track = board.tracks.get(SLOW.key)
    return track.phase if track is not None else Phase.IDLE


GIVEN: dict[Input, tuple[Look, list[tuple[Rule, Verdict]], Handling]] = {
    Input.ABSENT: (look(101), [], having(LATCHING)),
    Input.BREWING: (look(101), [(SLOW, verdict(96))], having(LATCHING)),
    Input.DUE: (look(101), [(SLOW, verdict(0))], having(LATCHING)),
    # A minute after it was first seen gone, by what was heard.
    Input.OVER: (look(160), [], having(SLOW)),
    Input.HELD: (look(160), [], having(LATCHING)),
}


@pytest.mark.parametrize(("phase", "input_"), list(product(Phase, Input)))
def test_every_cell(phase: Phase, input_: Input) -> None:
    """In each phase each input leads where the table says."""
    board = board_in(phase)
    if input_ is Input.SEEN:
        for alert in open_alerts(board):
            done = perform(board, acknowledged(alert), look(101))
            assert done.outcome == "done"
        assert phase_of(board) is TABLE[phase, input_]
        return
    at, verdicts, handling = GIVEN[input_]
    if input_ in (Input.OVER, Input.HELD) and phase is Phase.RAISED:
        # Over counts from when it was first seen gone.
        update(board, look(100), [])
    if input_ is Input.BREWING:
        # Only a pump's clock that was set makes a raised hazard younger.
        shift(board, 96 * SECOND if phase in (Phase.RAISED, Phase.RECOVERING) else 0)
    if input_ is Input.DUE and phase is Phase.PENDING:
        shift(board, -10 * SECOND)
    update(board, at, verdicts, handling)
    assert phase_of(board) is TABLE[phase, input_]


def acknowledged(alert: Alert, by: str = "nurse-1") -> Act:
    """Somebody has seen an alert as it stands."""
    return Act(
        act=f"see-{alert.version}",
        pump=alert.pump,
        alert=alert.id,
        version=alert.version,
        what="acknowledge",
        by=by,
        time_ms=T0,
    )


def test_onset_levels_and_off_delay() -> None:
    """Raised with the onset of the hazard, escalated in time, cleared by what was heard."""
    board = Board(SITE, "P-01")
    assert update(board, look(5), [(SLOW, verdict(0))]) == []
    (raised,) = update(board, look(10), [(SLOW, verdict(0))])
    assert (raised.change, raised.alert.onset_ms, raised.alert.raised_ms) == ("raised", 0, 10_000)
    assert update(board, look(59), [(SLOW, verdict(0))]) == []
    (escalated,) = update(board, look(60), [(SLOW, verdict(0))])
    assert (escalated.change, escalated.alert.priority) == ("escalated", Priority.HIGH)
    assert update(board, look(70), []) == []
    assert update(board, look(129.9), []) == []
    assert update(board, look(500, heard_s=129.9), []) == []
    (cleared,) = update(board, look(500, heard_s=130), [])
    assert (cleared.change, cleared.alert.state) == ("cleared-unseen", "cleared")
    changes = [raised, escalated, cleared]
    assert [c.list_version for c in changes] == list(range(1, len(changes) + 1))
    assert [c.alert.version for c in changes] == list(range(1, len(changes) + 1))
    assert len({c.alert.id for c in changes}) == 1


def test_return_within_the_off_delay_is_the_same_alert() -> None:
    """A hazard that comes back while it is recovering says nothing new."""
    board = board_in(Phase.RECOVERING)
    assert update(board, look(150), [(SLOW, verdict(0))]) == []
    assert update(board, look(155), []) == []
    assert update(board, look(214), []) == []
    assert [c.change for c in update(board, look(215), [])] == ["cleared-unseen"]


def test_next_alert_has_another_id_even_with_the_same_onset() -> None:
    """Two alerts of one rule never share an id, and the second is not delayed by the first."""
    board = board_in(Phase.RECOVERING)
    (first,) = update(board, look(160), [])
    (second,) = update(board, look(161), [(SLOW, verdict(0))])
    assert second.change == "raised"
    assert second.alert.id != first.alert.id
    assert (first.alert.onset_ms, second.alert.onset_ms) == (0, 1)


CAUSE, CONSEQUENCE = RULES["downstream-occlusion"], RULES["not-delivering"]
# A cause that is not urgent in itself, and a third one.
MILD = replace(RULES["door-open"], levels=(Level(0, Priority.LOW),))
OTHER = RULES["upstream-occlusion"]
MINUTE = 60


def hidden() -> tuple[Board, Alert]:
    """An occlusion since 0 s that hides a pump that has not delivered since then."""
    board = Board(SITE, "P-01")
    update(board, look(0), [(CAUSE, verdict(0)), (CONSEQUENCE, verdict(0))])
    (change,) = update(board, look(10 * MINUTE), [(CAUSE, verdict(0)), (CONSEQUENCE, verdict(0))])
    assert (change.change, change.alert.suppresses) == ("updated", ("not-delivering",))
    assert open_alerts(board) == (change.alert,)
    return board, change.alert


def test_hidden_alert_comes_out_after_its_cause() -> None:
    """A minute after the cause was cleared the consequence is raised, with its old onset."""
    board, cause = hidden()
    (cleared,) = update(board, look(20 * MINUTE), [(CONSEQUENCE, verdict(0))])
    assert (cleared.change, cleared.alert.id) == ("cleared-unseen", cause.id)
    assert next_look_ms(board) == 21 * MINUTE * SECOND == 20 * MINUTE * SECOND + COME_OUT_MS
    (raised,) = update(board, look(21 * MINUTE), [(CONSEQUENCE, verdict(0))])
    assert (raised.change, raised.alert.rule) == ("raised", "not-delivering")
    assert (raised.alert.onset_ms, raised.alert.version) == (0, 1)


def test_hidden_alert_that_ends_with_its_cause_is_never_said() -> None:
    """Within the minute the consequence may end unsaid."""
    board, _ = hidden()
    assert len(update(board, look(20 * MINUTE), [(CONSEQUENCE, verdict(0))])) == 1
    assert update(board, look(20 * MINUTE + 30), []) == []
    assert board.tracks == {}


def test_hidden_alert_that_ends_first_is_taken_off_its_cause() -> None:
    """The cause no longer names what it does not hide."""
    board, cause = hidden()
    (change,) = update(board, look(11 * MINUTE), [(CAUSE, verdict(0))])
    assert (change.change, change.alert.suppresses) == ("updated", ())
    assert change.alert.id == cause.id


def test_cause_that_comes_soon_after_takes_its_consequence_over() -> None:
    """Within two minutes the cause tells both; the consequence is cleared as merged into it."""
    board = Board(SITE, "P-01")
    (first,) = update(board, look(30 * MINUTE), [(CONSEQUENCE, verdict(0))])
    assert first.alert.priority is Priority.HIGH
    both = [(MILD, verdict(1_900)), (CONSEQUENCE, verdict(0))]
    mild = having(MILD)
    cause, merged = update(board, look(1_900), both, mild)
    assert (cause.change, cause.alert.rule, cause.alert.suppresses) == (
        "raised",
        MILD.key,
        (CONSEQUENCE.key,),
    )
    assert cause.alert.priority is Priority.HIGH, "the HIGH is not lost, although the cause is LOW"
    assert (merged.change, merged.alert.id) == ("cleared", first.alert.id)
    assert merged.alert.merged_into == cause.alert.id
    assert not merged.alert.unseen
    assert open_alerts(board) == (cause.alert,)
    late = perform(board, acknowledged(first.alert), look(1_901), mild)
    assert (late.outcome, late.sentence) == (
        "late",
        f"it is told as a part of {cause.alert.id} now; look at that one",
    )
    # The consequence comes out as another alert when the cause is over and it is not.
    (cleared,) = update(board, look(2_000), [(CONSEQUENCE, verdict(0))], mild)
    assert cleared.change == "cleared-unseen"
    (again,) = update(board, look(2_060), [(CONSEQUENCE, verdict(0))], mild)
    assert (again.change, again.alert.version) == ("raised", 1)
    assert again.alert.id != first.alert.id


def test_who_had_taken_the_consequence_has_taken_the_cause() -> None:
    """It is the same situation, and the same nurse is on the way; nobody else is called."""
    board = Board(SITE, "P-01")
    (first,) = update(board, look(30 * MINUTE), [(CONSEQUENCE, verdict(0))])
    for number, what in enumerate(("take", "acknowledge", "note")):
        act = replace(acknowledged(first.alert), act=f"a-{number}", what=what, text="on my way")
        assert perform(board, act, look(30 * MINUTE + 5)).outcome == "done"
    both = [(CAUSE, verdict(1_900)), (CONSEQUENCE, verdict(0))]
    cause, merged = update(board, look(1_900), both)
    facts = cause.alert.facts
    assert facts.taken is not None
    assert facts.taken.by == "nurse-1"
    assert [note.text for note in facts.notes] == ["on my way"]
    assert facts.acknowledged is None, "the cause itself has not been seen yet"
    assert merged.alert.facts.acknowledged is not None


def test_cause_that_comes_much_later_is_a_situation_of_its_own() -> None:
    """What was said aloud more than two minutes ago stays until it is cleared."""
    board = Board(SITE, "P-01")
    update(board, look(10 * MINUTE), [(CONSEQUENCE, verdict(0))])
    later = 10 * MINUTE + MERGE_MS // SECOND + 1
    both = [(CAUSE, verdict(later)), (CONSEQUENCE, verdict(0))]
    (change,) = update(board, look(later), both)
    assert (change.change, change.alert.suppresses) == ("raised", ())
    assert [alert.rule for alert in open_alerts(board)] == [CAUSE.key, CONSEQUENCE.key]


def test_cause_is_as_urgent_as_the_worst_that_it_hides() -> None:
    """A LOW cause is escalated with what it hides, and deescalated when that is over."""
    board, mild = Board(SITE, "P-01"), having(MILD)
    both = [(MILD, verdict(0)), (CONSEQUENCE, verdict(0))]
    update(board, look(0), both, mild)
    (medium,) = update(board, look(10 * MINUTE), both, mild)
    (high,) = update(board, look(30 * MINUTE), both, mild)
    (low,) = update(board, look(31 * MINUTE), [(MILD, verdict(0))], mild)
    assert [
        (c.change, c.alert.priority.value, c.alert.suppresses) for c in (medium, high, low)
    ] == [
        ("escalated", "medium", ("not-delivering",)),
        ("escalated", "high", ("not-delivering",)),
        ("deescalated", "low", ()),
    ]


def test_of_several_causes_only_the_worst_tells_what_they_hide() -> None:
    """A HIGH cause beside a LOW one: the LOW one stays LOW."""
    board, mild = Board(SITE, "P-01"), having(MILD)
    three = [(MILD, verdict(0)), (OTHER, verdict(0)), (CONSEQUENCE, verdict(0))]
    update(board, look(0), three, mild)
    changes = update(board, look(30 * MINUTE), three, mild)
    assert {(c.change, c.alert.rule) for c in changes} == {
        ("updated", MILD.key),
        ("updated", OTHER.key),
    }
    assert [(a.rule, a.priority.value) for a in open_alerts(board)] == [
        (OTHER.key, "high"),
        (MILD.key, "low"),
    ]


def test_consequence_does_not_go_from_one_cause_to_another_at_once() -> None:
    """When the cause that told it is over, it mostly is too: the other cause waits a minute."""
    board, mild = Board(SITE, "P-01"), having(MILD)
    three = [(MILD, verdict(0)), (OTHER, verdict(0)), (CONSEQUENCE, verdict(0))]
    update(board, look(0), three, mild)
    update(board, look(30 * MINUTE), three, mild)
    two = [(MILD, verdict(0)), (CONSEQUENCE, verdict(0))]
    (cleared,) = update(board, look(40 * MINUTE), two, mild)
    assert (cleared.change, cleared.alert.rule) == ("cleared-unseen", OTHER.key)
    assert next_look_ms(board, mild) == 41 * MINUTE * SECOND
    (escalated,) = update(board, look(41 * MINUTE), two, mild)
    assert (escalated.change, escalated.alert.rule) == ("escalated", MILD.key)
    assert next_look_ms(board, mild) is None


def test_suppression_goes_through_a_third_rule() -> None:
    """What is hidden behind a hidden alert is told by the one that hides that."""
    first = RULES["programming-cleared"]
    second = replace(RULES["door-open"], suppressed_by=(first.key,))
    third = replace(RULES["callback"], suppressed_by=(second.key,))
    handling, board = having(first, second, third), Board(SITE, "P-01")
    update(board, look(0), [(rule, verdict(0)) for rule in (first, second, third)], handling)
    (only,) = open_alerts(board)
    assert (only.rule, only.priority) == (first.key, Priority.HIGH)
    assert only.suppresses == (third.key, second.key)
    # Without the second, nothing leads from the third to the first.
    update(board, look(1), [(first, verdict(0)), (third, verdict(0))], handling)
    update(board, look(61), [(first, verdict(0)), (third, verdict(0))], handling)
    assert [alert.rule for alert in open_alerts(board)] == [first.key, third.key]


def test_of_two_that_explain_each_other_the_first_speaks_for_both() -> None:
    """A ring of rules is no reason to say nothing, nor to say both."""
    first = replace(RULES["near-end"], suppressed_by=("battery-low",))
    second = replace(RULES["battery-low"], suppressed_by=("near-end",))
    handling, board = having(first, second), Board(SITE, "P-01")
    (raised,) = update(board, look(0), [(second, verdict(0))], handling)
    (both,) = update(board, look(1), [(first, verdict(1)), (second, verdict(0))], handling)
    assert (both.change, both.alert.id) == ("updated", raised.alert.id)
    assert both.alert.suppresses == ("near-end",)


def test_every_suppressor_exists_and_stands_before_what_it_hides() -> None:
    """Keys in `suppressed_by` are rules, looked at before the rule that names them.

    Unless the two name each other: then the one that is raised first speaks for both.
    """
    order = [
        *(key for key in RULES if RULES[key].check is None),
        *(k for k in RULES if RULES[k].check),
    ]
    for rule in RULES.values():
        for key in rule.suppressed_by:
            is_mutual = rule.key in RULES[key].suppressed_by
            assert is_mutual or order.index(key) < order.index(rule.key), (key, rule.key)


def test_levels_only_rise() -> None:
    """Each further level of a rule is later and higher than the one before."""
    for rule in RULES.values():
        delays = [level.delay_ms for level in rule.levels]
        ranks = [level.priority.rank for level in rule.levels]
        assert delays == sorted(set(delays))
        assert ranks == sorted(set(ranks))


def folded(changes: list[AlertChange]) -> tuple[dict[str, Lists], dict[str, Lists]]:
    """The open and unseen lists that come of replaying a log; every version is checked."""
    open_: dict[str, Lists] = {}
    unseen: dict[str, Lists] = {}
    versions: dict[str, int] = {}
    closed: set[str] = set()
    for change in changes:
        alert = change.alert
        pump = f"{alert.site}/{alert.pump}"
        mine, waiting = open_.setdefault(pump, {}), unseen.setdefault(pump, {})
        assert alert.id not in closed
        assert change.list_version == versions.get(pump, 0) + 1
        versions[pump] = change.list_version
        known = mine.get(alert.id) or waiting.get(alert.id)
        assert alert.version == (known.version + 1 if known else 1)
        assert (change.change == "raised") == (known is None)
        assert (alert.state == "cleared") == (change.change in CLOSING | LEAVING_UNSEEN)
        if change.change in LEAVING_UNSEEN:
            del waiting[alert.id]
        elif change.change in CLOSING:
            del mine[alert.id]
        if change.change == "cleared-unseen":
            waiting[alert.id] = alert
        elif alert.state == "cleared":
            closed.add(alert.id)
        else:
            mine[alert.id] = alert
    return open_, unseen


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_open_list_is_the_fold_of_the_change_log(name: str) -> None:
    """At every moment the retained list is what replaying the log gives."""
    check_fold(STREAMS[name]())


@settings(max_examples=20, deadline=None)
@given(plans)
def test_open_list_is_the_fold_of_drawn_logs(plan: list[tuple[str, int]]) -> None:
    """The same for drawn streams."""
    check_fold(played(plan))


def check_fold(stream: Stream) -> None:
    slots = timetable(stream)
    outcome = run(slots[:0])
    for begin in range(0, len(slots), len(slots) // 5):
        part = run(slots[begin : begin + len(slots) // 5], outcome.monitor)
        outcome.changes += part.changes
        open_, unseen = folded(outcome.changes)
        for key, state in outcome.monitor.pumps.items():
            published = outcome.monitor.open_alerts(key).alerts
            assert {alert.id: alert for alert in published} == open_.get(key, {})
            waiting = unseen_alerts(state.board)
            assert {alert.id: alert for alert in waiting} == unseen.get(key, {})
            ranks = [alert.priority.rank for alert in published]
            assert ranks == sorted(ranks, reverse=True)


def test_reason_in_one_line() -> None:
    """The same words for a log, a page and a test."""
    evidence = Evidence(observed=4.0, expected=14.4, unit="mL/h", limit="±5%", detail="because")
    assert explain(evidence) == "4 mL/h; expected 14.4; limit ±5%; because"
    assert explain(Evidence(low=1, high=2, observed=0.5, unit="")) == "0.5; between 1 and 2"
    assert explain(Evidence()) == ""


def test_track_is_small() -> None:
    """A hazard that only counts takes no evidence and no alert."""
    board = board_in(Phase.PENDING)
    assert board.tracks[SLOW.key] == Track(Phase.PENDING, 95 * SECOND)


# --- latched, unseen -----------------------------------------------------------------------------


def test_latched_alert_waits_and_can_come_back() -> None:
    """Gone and not acknowledged: it says so, stays, and is the same alert when it comes back."""
    board, latching = board_in(Phase.LATCHED), having(LATCHING)
    (alert,) = open_alerts(board)
    assert (alert.state, alert.latched, alert.cleared_ms) == ("latched", True, 100 * SECOND)
    assert update(board, look(10_000), [], latching) == []
    # It comes back only when it has lasted as long as at first.
    assert update(board, look(10_010), [(SLOW, verdict(10_001))], latching) == []
    (back,) = update(board, look(10_012), [(SLOW, verdict(10_001))], latching)
    assert (back.change, back.alert.id, back.alert.state) == ("returned", alert.id, "raised")
    assert (back.alert.latched, back.alert.cleared_ms) == (False, None)
    update(board, look(10_020), [], latching)
    (again,) = update(board, look(10_080), [], latching)
    assert again.change == "latched"
    done = perform(board, acknowledged(again.alert), look(10_090), latching)
    (end,) = done.changes
    assert (end.change, end.alert.state, end.alert.latched) == ("cleared", "cleared", True)
    assert end.alert.cleared_ms == 10_080 * SECOND, "when its hazard was over, not when it was seen"
    assert board.tracks == {}


def test_latched_alert_hides_nothing() -> None:
    """Its hazard is gone, so what is still there is said."""
    latching = having(replace(CAUSE, latches=True))
    board = Board(SITE, "P-01")
    both = [(CAUSE, verdict(0)), (CONSEQUENCE, verdict(0))]
    update(board, look(0), both, latching)
    update(board, look(10 * MINUTE), both, latching)
    (latched,) = update(board, look(20 * MINUTE), [(CONSEQUENCE, verdict(0))], latching)
    assert (latched.change, latched.alert.suppresses) == ("latched", ())
    (raised,) = update(board, look(21 * MINUTE), [(CONSEQUENCE, verdict(0))], latching)
    assert (raised.change, raised.alert.rule) == ("raised", "not-delivering")


def test_what_was_acknowledged_before_its_end_does_not_latch() -> None:
    """Somebody has seen it: when the hazard goes, the alert goes."""
    board, latching = board_in(Phase.RECOVERING), having(LATCHING)
    (alert,) = open_alerts(board)
    perform(board, acknowledged(alert), look(101), latching)
    (cleared,) = update(board, look(160), [], latching)
    assert (cleared.change, cleared.alert.state) == ("cleared", "cleared")


def test_only_the_priorities_of_the_policy_latch() -> None:
    """A rule that latches does so at HIGH, if the policy says nothing else."""
    latching = having(LATCHING)
    board = Board(SITE, "P-01")
    update(board, look(10), [(SLOW, verdict(0))], latching)
    update(board, look(11), [], latching)
    (cleared,) = update(board, look(71), [], latching)
    assert (cleared.change, cleared.alert.priority) == ("cleared", Priority.LOW)
    everything = replace(latching, latching=frozenset(Priority))
    update(board, look(100), [(SLOW, verdict(90))], everything)
    update(board, look(101), [], everything)
    (latched,) = update(board, look(161), [], everything)
    assert (latched.change, latched.alert.priority) == ("latched", Priority.LOW)


def test_rule_that_is_switched_off_says_nothing_and_ends() -> None:
    """A policy without the rule: its alert ends, latched or not, and its verdicts are not heard."""
    without = replace(DEFAULT, rules={k: r for k, r in RULES.items() if k != SLOW.key})
    for phase in (Phase.RAISED, Phase.LATCHED):
        board = board_in(phase)
        (change,) = update(board, look(200), [(SLOW, verdict(0))], without)
        assert change.change == "cleared-unseen"
        assert update(board, look(201), [(SLOW, verdict(0))], without) == []


def high(board: Board, key: str, at_s: float) -> AlertChange:
    """A HIGH alert that comes and goes."""
    update(board, look(at_s), [(RULES[key], verdict(at_s))])
    (change,) = update(board, look(at_s + 1), [])
    return change


def test_high_that_nobody_saw_waits_until_somebody_has() -> None:
    """Over and unseen: it is in a list of its own until it is acknowledged."""
    board = Board(SITE, "P-01")
    change = high(board, "air-in-line", 0)
    assert (change.change, change.alert.unseen) == ("cleared-unseen", True)
    assert open_alerts(board) == ()
    assert unseen_alerts(board) == (change.alert,)
    done = perform(board, acknowledged(change.alert), look(50))
    (seen,) = done.changes
    assert (seen.change, seen.alert.unseen) == ("seen", False)
    assert seen.alert.facts.acknowledged is not None
    assert unseen_alerts(board) == ()


def test_unseen_list_is_bounded() -> None:
    """Of too many the oldest is dropped, and counted."""
    board = Board(SITE, "P-01")
    keys = ["air-in-line", "door-open", "over-temperature"]
    for index in range(UNSEEN_MAX):
        high(board, keys[index % 3], 4_000 * index)
    oldest = board.unseen[0]
    at_s = 4_000 * UNSEEN_MAX
    update(board, look(at_s), [(RULES["free-flow"], verdict(at_s))])
    cleared, dropped = update(board, look(at_s + 1), [])
    assert (cleared.change, dropped.change) == ("cleared-unseen", "dropped")
    assert (dropped.alert.id, dropped.alert.version) == (oldest.id, oldest.version + 1)
    assert len(board.unseen) == UNSEEN_MAX
    assert board.counts[oldest.rule].dropped == 1


# --- flapping, limits ----------------------------------------------------------------------------


def test_flapping_alert_stays_until_it_was_quiet() -> None:
    """The fourth within an hour stays open for 15 quiet minutes, and counts."""
    board, rule = Board(SITE, "P-01"), RULES["battery-low"]
    for at_s in (0, 60, 120):
        (raised,) = update(board, look(at_s), [(rule, verdict(at_s))])
        assert raised.alert.flaps == 0
        assert "keeps coming" not in raised.alert.what
        (cleared,) = update(board, look(at_s + 10), [])
        assert cleared.change == "cleared"
    (fourth,) = update(board, look(180), [(rule, verdict(180))])
    assert (fourth.change, fourth.alert.flaps) == ("raised", 4)
    assert fourth.alert.what.endswith(
        "It keeps coming and going, 4 times so far, and stays open until it has been gone for 15 min."
    )
    for at_s in (240, 300):
        assert update(board, look(at_s - 1), []) == []
        assert update(board, look(at_s), [(rule, verdict(at_s))]) == []
    assert update(board, look(301), []) == []
    assert update(board, look(301 + 15 * MINUTE - 1), []) == []
    (cleared,) = update(board, look(301 + 15 * MINUTE), [])
    assert (cleared.change, cleared.alert.flaps) == ("cleared", 6)
    assert "stays open" not in cleared.alert.what
    counts = board.counts["battery-low"]
    assert (counts.raised, counts.damped) == (4, 2)


def test_slow_return_is_not_flapping() -> None:
    """Four in more than an hour are four alerts."""
    board, rule = Board(SITE, "P-01"), RULES["battery-low"]
    for at_s in (0, 1_250, 2_500, 3_750):
        (raised,) = update(board, look(at_s), [(rule, verdict(at_s))])
        assert raised.alert.flaps == 0
        update(board, look(at_s + 10), [])


def test_open_alerts_are_bounded_but_high_is_always_said() -> None:
    """Beyond the limit an alert waits for room and is counted; a HIGH one does not wait."""
    extra = {
        key: replace(rule, levels=(Level(0, Priority.LOW),), suppressed_by=())
        for key, rule in list(RULES.items())[-OPEN_MAX - 1 :]
    }
    *fitting, last = extra.values()
    handling = having(*extra.values(), HIGH_RULE)
    board = Board(SITE, "P-01")
    crowd = [(rule, verdict(0)) for rule in fitting]
    assert len(update(board, look(0), crowd, handling)) == OPEN_MAX
    full = [*crowd, (last, verdict(0))]
    assert update(board, look(1), full, handling) == []
    assert board.counts[last.key].dropped == 1
    (raised,) = update(board, look(2), [*full, (HIGH_RULE, verdict(2))], handling)
    assert raised.alert.rule == HIGH_RULE.key
    assert next_look_ms(board, handling) == 61 * SECOND
    room = full[3:]
    changes = update(board, look(70), room, handling)
    assert [c.change for c in changes].count("raised") == 1
    assert changes[-1].alert.rule == last.key
    assert board.counts[last.key].dropped == 1


HIGH_RULE = RULES["system-malfunction"]


def test_certain_verdict_does_not_wait() -> None:
    """What is certain is due at once, at the first level's priority; the next levels wait."""
    board = Board(SITE, "P-01")
    sure = Verdict(EVIDENCE, 0, certain=True)
    (raised,) = update(board, look(1), [(SLOW, sure)])
    assert (raised.change, raised.alert.priority) == ("raised", Priority.LOW)
    assert next_look_ms(board, having(SLOW)) == 60 * SECOND

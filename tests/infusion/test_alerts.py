"""Tests of the life of an alert: every cell of its table, and what is said on the way."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings

from infusion.alarms import Priority
from infusion.alerts import (
    COME_OUT_MS,
    TABLE,
    Input,
    explain,
    next_look_ms,
    open_alerts,
    shift,
    update,
)
from infusion.board import Board, Look, Phase, Track
from infusion.messages import Alert, AlertChange, Evidence
from infusion.rules import RULES, Level, Rule
from infusion.situation import Verdict
from tests.infusion.bench import SITE, Stream
from tests.infusion.streams import STREAMS, plans, played, run, timetable

SECOND = 1_000
# A rule with two levels, under the key and with the off-delay of a real one.
SLOW = Rule(
    "over-delivery",
    "test",
    (Level(10 * SECOND, Priority.LOW), Level(60 * SECOND, Priority.HIGH)),
    None,
    off_delay_ms=RULES["over-delivery"].off_delay_ms,
)
EVIDENCE = Evidence(detail="because")


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
    text = (Path(__file__).parents[2] / "docs" / "alert-life.md").read_text()
    shown = re.search(r"```mermaid\n(.*?)\n?```", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == diagram()


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
    if phase is Phase.PENDING:
        update(board, look(100), [(SLOW, verdict(95))])
    elif phase is not Phase.IDLE:
        update(board, look(99), [(SLOW, verdict(0))])
        if phase is Phase.RECOVERING:
            update(board, look(100), [])
    assert phase_of(board) is phase
    return board


def phase_of(board: Board) -> Phase:
    track = board.tracks.get(SLOW.key)
    return track.phase if track is not None else Phase.IDLE


GIVEN: dict[Input, tuple[Look, list[tuple[Rule, Verdict]]]] = {
    Input.ABSENT: (look(101), []),
    Input.BREWING: (look(101), [(SLOW, verdict(96))]),
    Input.DUE: (look(101), [(SLOW, verdict(0))]),
    # A minute after it was first seen gone, by what was heard.
    Input.OVER: (look(160), []),
}


@pytest.mark.parametrize(("phase", "input_"), list(product(Phase, Input)))
def test_every_cell(phase: Phase, input_: Input) -> None:
    """In each phase each input leads where the table says."""
    board = board_in(phase)
    if input_ is Input.OVER and phase is Phase.RAISED:
        # Over counts from when it was first seen gone.
        update(board, look(100), [])
    if input_ is Input.BREWING:
        # Only a pump's clock that was set makes a raised hazard younger.
        shift(board, 96 * SECOND if phase in (Phase.RAISED, Phase.RECOVERING) else 0)
    if input_ is Input.DUE and phase is Phase.PENDING:
        shift(board, -10 * SECOND)
    at, verdicts = GIVEN[input_]
    update(board, at, verdicts)
    assert phase_of(board) is TABLE[phase, input_]


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
    assert (cleared.change, cleared.alert.state) == ("cleared", "cleared")
    assert [c.list_version for c in (raised, escalated, cleared)] == [1, 2, 3]
    assert [c.alert.version for c in (raised, escalated, cleared)] == [1, 2, 3]
    assert len({c.alert.id for c in (raised, escalated, cleared)}) == 1


def test_return_within_the_off_delay_is_the_same_alert() -> None:
    """A hazard that comes back while it is recovering says nothing new."""
    board = board_in(Phase.RECOVERING)
    assert update(board, look(150), [(SLOW, verdict(0))]) == []
    assert update(board, look(155), []) == []
    assert update(board, look(214), []) == []
    assert [c.change for c in update(board, look(215), [])] == ["cleared"]


def test_next_alert_has_another_id_even_with_the_same_onset() -> None:
    """Two alerts of one rule never share an id, and the second is not delayed by the first."""
    board = board_in(Phase.RECOVERING)
    (first,) = update(board, look(160), [])
    (second,) = update(board, look(161), [(SLOW, verdict(0))])
    assert second.change == "raised"
    assert second.alert.id != first.alert.id
    assert (first.alert.onset_ms, second.alert.onset_ms) == (0, 1)


CAUSE, CONSEQUENCE = RULES["downstream-occlusion"], RULES["not-delivering"]
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
    assert (cleared.change, cleared.alert.id) == ("cleared", cause.id)
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


def test_cause_that_comes_later_hides_nothing_that_was_said() -> None:
    """What was said aloud stays until it is cleared."""
    board = Board(SITE, "P-01")
    update(board, look(10 * MINUTE), [(CONSEQUENCE, verdict(0))])
    both = [(CAUSE, verdict(700)), (CONSEQUENCE, verdict(0))]
    (change,) = update(board, look(700), both)
    assert (change.change, change.alert.suppresses) == ("raised", ())
    assert [alert.rule for alert in open_alerts(board)] == [CAUSE.key, CONSEQUENCE.key]


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


def folded(changes: list[AlertChange]) -> dict[str, dict[str, Alert]]:
    """The open lists that come of replaying a change log, checking every version on the way."""
    open_: dict[str, dict[str, Alert]] = {}
    versions: dict[str, int] = {}
    closed: set[str] = set()
    for change in changes:
        alert = change.alert
        mine = open_.setdefault(f"{alert.site}/{alert.pump}", {})
        assert alert.id not in closed
        assert change.list_version == versions.get(alert.pump, 0) + 1
        versions[alert.pump] = change.list_version
        known = mine.get(alert.id)
        assert alert.version == (known.version + 1 if known else 1)
        assert (change.change == "raised") == (known is None)
        if change.change == "cleared":
            del mine[alert.id]
            closed.add(alert.id)
        else:
            mine[alert.id] = alert
    return open_


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
        lists = folded(outcome.changes)
        for key in outcome.monitor.pumps:
            published = outcome.monitor.open_alerts(key).alerts
            assert {alert.id: alert for alert in published} == lists.get(key, {})
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

"""The life of an alert, as one transition table.

Each rule has at most one alert per pump at a time; without one the hazard is *idle*. At every
look the rule's verdict is one of four inputs:

* `ABSENT`: the hazard is not there.
* `BREWING`: it is there, but has not lasted as long as the rule's first level asks.
* `DUE`: it has lasted long enough; the highest level reached gives the priority.
* `OVER`: it has been absent (or brewing anew) for the rule's off-delay, by what was *heard* from
  the pump. Silence therefore never clears an alert.

                 ABSENT       BREWING      DUE        OVER
    idle         -            pending      raised     -
    pending      idle         pending      raised     idle
    raised       recovering   recovering   raised     idle (cleared)
    recovering   recovering   recovering   raised     idle (cleared)

The onset of an alert is when its hazard began, and its id is made of pump, rule and onset, so the
same messages give the same ids, after a restart too. An alert whose rule is suppressed by one that
is already raised stays hidden and is named in the other's `suppresses`; when the other clears and
the hazard is still there, it comes out.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, field

from infusion.alarms import Priority
from infusion.hazards import Verdict
from infusion.messages import Alert, AlertChange, Change, Evidence
from infusion.rules import RULES, Level, Rule


class Phase(StrEnum):
    """Where an alert is in its life; idle is kept as the absence of a track."""

    IDLE = "idle"
    PENDING = "pending"
    RAISED = "raised"
    RECOVERING = "recovering"


class Input(StrEnum):
    """What a look at the hazard says; see the head of this file."""

    ABSENT = "absent"
    BREWING = "brewing"
    DUE = "due"
    OVER = "over"


TABLE: dict[tuple[Phase, Input], Phase] = {
    (Phase.IDLE, Input.ABSENT): Phase.IDLE,
    (Phase.IDLE, Input.BREWING): Phase.PENDING,
    (Phase.IDLE, Input.DUE): Phase.RAISED,
    (Phase.IDLE, Input.OVER): Phase.IDLE,
    (Phase.PENDING, Input.ABSENT): Phase.IDLE,
    (Phase.PENDING, Input.BREWING): Phase.PENDING,
    (Phase.PENDING, Input.DUE): Phase.RAISED,
    (Phase.PENDING, Input.OVER): Phase.IDLE,
    (Phase.RAISED, Input.ABSENT): Phase.RECOVERING,
    (Phase.RAISED, Input.BREWING): Phase.RECOVERING,
    (Phase.RAISED, Input.DUE): Phase.RAISED,
    (Phase.RAISED, Input.OVER): Phase.IDLE,
    (Phase.RECOVERING, Input.ABSENT): Phase.RECOVERING,
    (Phase.RECOVERING, Input.BREWING): Phase.RECOVERING,
    (Phase.RECOVERING, Input.DUE): Phase.RAISED,
    (Phase.RECOVERING, Input.OVER): Phase.IDLE,
}


class Track(Struct):
    """One hazard on one pump that is not idle.

    `evidence` is of the last look at which it was due, `alert` what was last said of it aloud.
    """

    phase: Phase
    since_ms: int
    left_ms: int | None = None
    priority: Priority = Priority.LOW
    raised_ms: int = 0
    evidence: Evidence | None = None
    alert: Alert | None = None


class Board(Struct):
    """The alerts of one pump. `version` counts the changes that were said aloud."""

    site: str
    pump: str
    version: int = 0
    tracks: dict[str, Track] = field(default_factory=dict)
    # The onset of the last alert of each rule that ended: the next one must differ.
    ended_ms: dict[str, int] = field(default_factory=dict)


class Look(Struct, frozen=True):
    """One look at a pump: when, what was last heard of it, and the therapy it runs."""

    at_ms: int
    heard_ms: int
    therapy: str | None


def update(board: Board, look: Look, verdicts: Iterable[tuple[Rule, Verdict]]) -> list[AlertChange]:
    """Take one look's verdicts into the board; what must be said aloud, in order."""
    changes: list[AlertChange] = []
    seen: set[str] = set()
    for rule, verdict in verdicts:
        seen.add(rule.key)
        _step(board, look, rule, verdict, changes)
    for key in [key for key in board.tracks if key not in seen]:
        _step(board, look, RULES[key], None, changes)
    return changes


def next_look_ms(board: Board) -> int | None:
    """When some alert would be due if nothing more were heard, on the pump's clock."""
    soonest: int | None = None
    for key, track in board.tracks.items():
        due_ms = _next_level_ms(track, RULES[key].levels)
        if due_ms is not None and (soonest is None or due_ms < soonest):
            soonest = due_ms
    return soonest


def open_alerts(board: Board) -> tuple[Alert, ...]:
    """Every alert that was said aloud and is not cleared, worst and oldest first."""
    alerts = [track.alert for track in board.tracks.values() if track.alert is not None]
    return tuple(sorted(alerts, key=lambda alert: (-alert.priority.rank, alert.raised_ms)))


def explain(evidence: Evidence) -> str:
    """The reason of an alert in one line, the same for a log, a page and a test."""
    parts = []
    if evidence.observed is not None:
        parts.append(f"{evidence.observed:g} {evidence.unit}".rstrip())
    if evidence.expected is not None:
        parts.append(f"expected {evidence.expected:g}")
    if evidence.low is not None and evidence.high is not None:
        parts.append(f"between {evidence.low:g} and {evidence.high:g}")
    if evidence.limit:
        parts.append(f"limit {evidence.limit}")
    if evidence.detail:
        parts.append(evidence.detail)
    return "; ".join(parts)


def _next_level_ms(track: Track, levels: tuple[Level, ...]) -> int | None:
    if track.phase is Phase.PENDING:
        return track.since_ms + levels[0].delay_ms
    if track.phase is Phase.RAISED:
        for level in levels:
            if level.priority.rank > track.priority.rank:
                return track.since_ms + level.delay_ms
    return None


def _step(
    board: Board,
    look: Look,
    rule: Rule,
    verdict: Verdict | None,
    changes: list[AlertChange],
) -> None:
    """Move one hazard by one look."""
    track = board.tracks.get(rule.key)
    since_ms = _since(board, look, rule, track, verdict)
    priority = _priority(look.at_ms - since_ms, rule, verdict)
    input_ = _input(look, rule, track, verdict, priority)
    before = track.phase if track is not None else Phase.IDLE
    after = TABLE[before, input_]
    if track is None:
        if after is Phase.IDLE:
            return
        track = board.tracks[rule.key] = Track(after, since_ms)
    track.phase = after
    if after is Phase.IDLE:
        _end(board, look, rule, track, changes)
    elif after is Phase.PENDING:
        track.since_ms = since_ms
    elif after is Phase.RECOVERING:
        if before is Phase.RAISED:
            track.left_ms = look.heard_ms
    else:
        assert verdict is not None
        assert priority is not None
        track.left_ms = None
        if before in (Phase.IDLE, Phase.PENDING):
            track.since_ms = since_ms
            track.raised_ms = look.at_ms
        track.evidence = verdict.evidence
        if track.alert is None or priority is not track.priority:
            track.priority = priority
            _say(board, look, rule, track, changes)


def _since(
    board: Board, look: Look, rule: Rule, track: Track | None, verdict: Verdict | None
) -> int:
    """When the hazard began: the first instant of an unbroken one, unless the rule restarts."""
    if track is not None and not (rule.restarts and verdict is not None):
        return track.since_ms
    since_ms = look.at_ms
    if verdict is not None and verdict.since_ms is not None:
        since_ms = verdict.since_ms
    ended_ms = board.ended_ms.get(rule.key)
    if ended_ms is not None and since_ms <= ended_ms:
        return ended_ms + 1
    return since_ms


def _priority(lasted_ms: int, rule: Rule, verdict: Verdict | None) -> Priority | None:
    """The priority of the highest level reached; None when none is reached."""
    reached = [level.priority for level in rule.levels if lasted_ms >= level.delay_ms]
    if not reached or verdict is None:
        return None
    if verdict.priority is not None:
        reached.append(verdict.priority)
    return max(reached, key=lambda priority: priority.rank)


def _input(
    look: Look, rule: Rule, track: Track | None, verdict: Verdict | None, due: Priority | None
) -> Input:
    if due is not None:
        return Input.DUE
    if track is not None and track.phase in (Phase.RAISED, Phase.RECOVERING):
        left_ms = look.heard_ms if track.left_ms is None else track.left_ms
        if look.heard_ms - left_ms >= rule.off_delay_ms:
            return Input.OVER
    return Input.ABSENT if verdict is None else Input.BREWING


def _end(board: Board, look: Look, rule: Rule, track: Track, changes: list[AlertChange]) -> None:
    """The hazard is idle again: say so if it had been said aloud, or correct who hides it."""
    del board.tracks[rule.key]
    if not track.raised_ms:
        return
    board.ended_ms[rule.key] = track.since_ms
    if track.alert is None:
        _retell_suppressors(board, look, rule, changes)
        return
    alert = _alert(board, look, rule, track, cleared_ms=look.at_ms)
    _append(board, "cleared", alert, changes)


def _say(
    board: Board,
    look: Look,
    rule: Rule,
    track: Track,
    changes: list[AlertChange],
) -> None:
    """Say a raised or changed alert aloud, or let the one that suppresses it name it."""
    if track.alert is None and _suppressors(board, rule):
        _retell_suppressors(board, look, rule, changes)
        return
    change: Change = "raised"
    if track.alert is not None:
        more = track.priority.rank > track.alert.priority.rank
        change = "escalated" if more else "deescalated"
    alert = _alert(board, look, rule, track)
    track.alert = alert
    _append(board, change, alert, changes)


def _suppressors(board: Board, rule: Rule) -> list[str]:
    """The rules whose visible alerts hide this one."""
    return [
        key
        for key in rule.suppressed_by
        if (track := board.tracks.get(key)) is not None and track.alert is not None
    ]


def _suppressed(board: Board, key: str) -> tuple[str, ...]:
    """The rules whose raised alerts are hidden behind this one."""
    return tuple(
        sorted(
            other
            for other, track in board.tracks.items()
            if track.raised_ms and track.alert is None and key in RULES[other].suppressed_by
        )
    )


def _retell_suppressors(board: Board, look: Look, rule: Rule, changes: list[AlertChange]) -> None:
    for key in _suppressors(board, rule):
        track = board.tracks[key]
        assert track.alert is not None
        alert = _alert(board, look, RULES[key], track)
        if alert.suppresses != track.alert.suppresses:
            track.alert = alert
            _append(board, "updated", alert, changes)


def _alert(
    board: Board,
    look: Look,
    rule: Rule,
    track: Track,
    cleared_ms: int | None = None,
) -> Alert:
    known = track.alert
    assert track.evidence is not None
    return Alert(
        id=f"{board.site}.{board.pump}.{rule.key}.{track.since_ms}",
        site=board.site,
        pump=board.pump,
        therapy=look.therapy if known is None else known.therapy,
        rule=rule.key,
        category=rule.category,
        title=rule.title,
        priority=track.priority,
        state="raised" if cleared_ms is None else "cleared",
        version=1 if known is None else known.version + 1,
        onset_ms=track.since_ms,
        raised_ms=track.raised_ms,
        changed_ms=look.at_ms,
        cleared_ms=cleared_ms,
        evidence=track.evidence,
        suppresses=_suppressed(board, rule.key),
    )


def _append(board: Board, change: Change, alert: Alert, changes: list[AlertChange]) -> None:
    board.version += 1
    changes.append(AlertChange(change=change, list_version=board.version, alert=alert))

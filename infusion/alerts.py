"""The life of an alert, as one transition table.

Each rule has at most one alert per pump at a time; without one the hazard is *idle*. At every
look the rule's verdict is one of four inputs:

* `ABSENT`: the hazard is not there.
* `BREWING`: it is there, but has not lasted as long as the rule's first level asks.
* `DUE`: it has lasted long enough; the highest level reached gives the priority.
* `OVER`: it has been absent (or brewing anew) for the rule's off-delay, by what was *heard* from
  the pump. Silence therefore never clears an alert.

                 ABSENT       BREWING      DUE        OVER
    idle         idle         pending      raised     idle
    pending      idle         pending      raised     idle
    raised       recovering   recovering   raised     idle (cleared)
    recovering   recovering   recovering   raised     idle (cleared)

The onset of an alert is when its hazard began, and its id is made of pump, rule and onset, so the
same messages give the same ids, after a restart too. An alert whose rule is suppressed by one that
is already raised stays hidden and is named in the other's `suppresses`. When the other clears and
the hazard is still there after `COME_OUT_MS`, it comes out: a pump that was offline would otherwise
be called silent in the moment between its return and its first message.
"""

from collections.abc import Iterable
from enum import StrEnum

from infusion.alarms import Priority
from infusion.board import Board, Look, Phase, Track
from infusion.messages import Alert, AlertChange, Change, Evidence
from infusion.rules import RULES, Rule
from infusion.situation import Verdict
from infusion.texts import title
from infusion.units import MS_PER_MINUTE

COME_OUT_MS = MS_PER_MINUTE


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


def update(board: Board, look: Look, verdicts: Iterable[tuple[Rule, Verdict]]) -> list[AlertChange]:
    """Take one look's verdicts into the board; what must be said aloud, in order.

    What is gone comes first, so that it hides nothing any more.
    """
    changes: list[AlertChange] = []
    present = list(verdicts)
    if not present and not board.tracks:
        return changes
    seen = {rule.key for rule, _ in present}
    for key in [key for key in board.tracks if key not in seen]:
        _step(board, look, RULES[key], None, changes)
    for rule, verdict in present:
        _step(board, look, rule, verdict, changes)
    return changes


def next_look_ms(board: Board) -> int | None:
    """When some alert would be due if nothing more were heard, on the pump's clock."""
    soonest: int | None = None
    for key, track in board.tracks.items():
        due_ms = _due_ms(track, RULES[key])
        if due_ms is not None and (soonest is None or due_ms < soonest):
            soonest = due_ms
    return soonest


def shift(board: Board, delta_ms: int) -> None:
    """Move what the delays count from: the pump's clock was set by so much."""
    for track in board.tracks.values():
        track.since_ms += delta_ms
        if track.left_ms is not None:
            track.left_ms += delta_ms
        if track.bare_ms is not None:
            track.bare_ms += delta_ms


def open_alerts(board: Board) -> tuple[Alert, ...]:
    """Every alert that was said aloud and is not cleared, worst and oldest first."""
    alerts = [track.alert for track in board.tracks.values() if track.alert is not None]
    return tuple(sorted(alerts, key=lambda alert: (-alert.priority.rank, alert.raised_ms)))


def explain(evidence: Evidence) -> str:
    """The reason of an alert in one line, the same for a log, a page and a test."""
    parts = []
    if evidence.observed is not None:
        parts.append(f"{_number(evidence.observed)} {evidence.unit}".rstrip())
    if evidence.expected is not None:
        parts.append(f"expected {_number(evidence.expected)}")
    if evidence.low is not None and evidence.high is not None:
        parts.append(f"between {_number(evidence.low)} and {_number(evidence.high)}")
    if evidence.limit:
        parts.append(f"limit {evidence.limit}")
    if evidence.detail:
        parts.append(evidence.detail)
    return "; ".join(parts)


def _number(value: float) -> str:
    """A number as people read it: two decimals at most, more only where it would be nothing."""
    if 0 < abs(value) < 0.01:
        return f"{value:.1g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _due_ms(track: Track, rule: Rule) -> int | None:
    """When a hazard reaches its next level, or comes out, if nothing more is heard."""
    if track.phase is Phase.RAISED and track.bare_ms is not None:
        return track.bare_ms + COME_OUT_MS
    if rule.observed:
        return None
    if track.phase is Phase.PENDING:
        return track.since_ms + rule.levels[0].delay_ms
    if track.phase is Phase.RAISED:
        for level in rule.levels:
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
    since_ms = _since(look, track, verdict)
    until_ms = look.heard_ms if rule.observed else look.at_ms
    priority = _priority(until_ms - since_ms, rule, verdict)
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
    elif after is Phase.RECOVERING:
        if before is Phase.RAISED:
            track.left_ms = look.heard_ms
    elif after is Phase.RAISED:
        assert verdict is not None
        assert priority is not None
        track.evidence = verdict.evidence
        if before in (Phase.IDLE, Phase.PENDING):
            _begin(board, look, rule, track)
        _raise(board, look, rule, priority, changes)


def _since(look: Look, track: Track | None, verdict: Verdict | None) -> int:
    """When the hazard began: the first instant of an unbroken one."""
    if track is not None:
        return track.since_ms
    if verdict is not None and verdict.since_ms is not None:
        return verdict.since_ms
    return look.at_ms


def _priority(lasted_ms: int, rule: Rule, verdict: Verdict | None) -> Priority | None:
    """The priority of the highest level reached; None when none is reached."""
    if verdict is None:
        return None
    if verdict.certain:
        lasted_ms = max(lasted_ms, rule.levels[0].delay_ms)
    if lasted_ms < rule.levels[0].delay_ms:
        return None
    reached = [level.priority for level in rule.levels if lasted_ms >= level.delay_ms]
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
    if track.raised_ms is None:
        return
    board.ended_ms[rule.key] = track.onset_ms
    if track.alert is None:
        _retell_suppressors(board, look, rule, changes)
        return
    alert = _alert(board, look, rule, track, cleared_ms=look.at_ms)
    _append(board, "cleared", alert, changes)


def _begin(board: Board, look: Look, rule: Rule, track: Track) -> None:
    """The hazard has lasted long enough: it becomes an alert with an onset of its own."""
    track.onset_ms = max(track.since_ms, board.ended_ms.get(rule.key, -1) + 1)
    track.raised_ms = look.at_ms
    # Nothing has hidden it so far, so it need not wait.
    track.bare_ms = look.at_ms - COME_OUT_MS


def _raise(
    board: Board, look: Look, rule: Rule, priority: Priority, changes: list[AlertChange]
) -> None:
    """Say an alert aloud, or its new priority, unless another hides it or did until just now."""
    track = board.tracks[rule.key]
    track.left_ms = None
    if track.alert is not None:
        if priority is not track.priority:
            _say(board, look, rule, priority, changes)
        return
    is_hidden = bool(_suppressors(board, rule))
    if is_hidden:
        track.bare_ms = None
    elif track.bare_ms is None:
        track.bare_ms = look.at_ms
    if track.bare_ms is not None and look.at_ms - track.bare_ms >= COME_OUT_MS:
        _say(board, look, rule, priority, changes)
        return
    track.priority = priority
    if is_hidden:
        _retell_suppressors(board, look, rule, changes)


def _say(
    board: Board, look: Look, rule: Rule, priority: Priority, changes: list[AlertChange]
) -> None:
    """Say that an alert is raised, or that its priority is another."""
    track = board.tracks[rule.key]
    change: Change = "raised"
    if track.alert is not None:
        change = "escalated" if priority.rank > track.priority.rank else "deescalated"
    track.priority = priority
    track.bare_ms = None
    track.alert = _alert(board, look, rule, track)
    _append(board, change, track.alert, changes)


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
            if track.raised_ms is not None
            and track.alert is None
            and key in RULES[other].suppressed_by
        )
    )


def _retell_suppressors(board: Board, look: Look, rule: Rule, changes: list[AlertChange]) -> None:
    """Correct what the visible alerts that hide this one say of it."""
    for key in _suppressors(board, rule):
        track = board.tracks[key]
        assert track.alert is not None
        if _suppressed(board, key) != track.alert.suppresses:
            track.alert = _alert(board, look, RULES[key], track)
            _append(board, "updated", track.alert, changes)


def _alert(
    board: Board,
    look: Look,
    rule: Rule,
    track: Track,
    cleared_ms: int | None = None,
) -> Alert:
    known = track.alert
    assert track.raised_ms is not None
    assert track.evidence is not None
    return Alert(
        id=f"{board.site}/{board.pump}/{rule.key}/{track.onset_ms}",
        site=board.site,
        pump=board.pump,
        therapy=look.therapy if known is None else known.therapy,
        rule=rule.key,
        category=rule.category,
        title=title(rule.key),
        priority=track.priority,
        state="raised" if cleared_ms is None else "cleared",
        version=1 if known is None else known.version + 1,
        onset_ms=track.onset_ms,
        raised_ms=track.raised_ms,
        changed_ms=look.at_ms,
        cleared_ms=cleared_ms,
        evidence=track.evidence,
        suppresses=_suppressed(board, rule.key),
    )


def _append(board: Board, change: Change, alert: Alert, changes: list[AlertChange]) -> None:
    board.version += 1
    changes.append(AlertChange(change=change, list_version=board.version, alert=alert))

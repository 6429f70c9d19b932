"""The life of an alert, as one transition table.

Each rule has at most one alert per pump at a time; without one the hazard is *idle*. At every
look the rule's verdict is one of the first five inputs; the last comes from a person:

* `ABSENT`: the hazard is not there.
* `BREWING`: it is there, but has not lasted as long as the rule's first level asks.
* `DUE`: it has lasted long enough, or is certain; the highest level reached gives the priority.
* `OVER`: it has been absent (or brewing anew) for the rule's off-delay, by what was *heard* from
  the pump. Silence therefore never clears an alert.
* `HELD`: the same, but the alert was said aloud, its rule latches, and nobody has acknowledged it.
* `SEEN`: somebody acknowledged it.

                 ABSENT       BREWING      DUE       OVER            HELD       SEEN
    idle         idle         pending      raised    idle            idle       idle
    pending      idle         pending      raised    idle            idle       pending
    raised       recovering   recovering   raised    idle (cleared)  latched    raised
    recovering   recovering   recovering   raised    idle (cleared)  latched    recovering
    latched      latched      latched      raised    idle (cleared)  latched    idle (cleared)

What people do (infusion/acts.py) and who is called (infusion/calls.py) are facts beside the phase
and never move it, except for `SEEN`. Their timers ring here, on the pump's clock, like all others.

The onset of an alert is when its hazard began, and its id is made of pump, rule and onset, so the
same messages give the same ids, after a restart too.

One situation is one alert: what follows from an open one is hidden behind it
(infusion/causes.py).

**Flapping.** What was said aloud too often within an hour stays open until it was quiet for long;
how often it came is counted in `flaps`.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec.structs import replace

from infusion.alarms import Priority
from infusion.alert import Alert, AlertChange, Deed, Facts
from infusion.board import Board, Look, Phase, Track
from infusion.causes import COME_OUT_MS, say_first, settle
from infusion.handling import DEFAULT, Handling
from infusion.hiding import hidden_by
from infusion.next_look import HEARING, awaits_word
from infusion.rules import RULES, Rule
from infusion.situation import Verdict
from infusion.telling import Moment, end, ring, say, worsen

# Members of an enumeration are slow to look up, and this is done at every look.
IDLE, PENDING, RAISED = Phase.IDLE, Phase.PENDING, Phase.RAISED
RECOVERING, LATCHED = Phase.RECOVERING, Phase.LATCHED


# For a caller that knows of no silence: the pump was heard just now.
NEVER_SILENT_MS = 2**62


# What is said of these does not come from the pump.
ELSEWHERE = ("laboratory", "care")


class Input(StrEnum):
    """What a look at the hazard says; see the head of this file."""

    ABSENT = "absent"
    BREWING = "brewing"
    DUE = "due"
    OVER = "over"
    HELD = "held"
    SEEN = "seen"


TABLE: dict[tuple[Phase, Input], Phase] = {
    (Phase.IDLE, Input.ABSENT): Phase.IDLE,
    (Phase.IDLE, Input.BREWING): Phase.PENDING,
    (Phase.IDLE, Input.DUE): Phase.RAISED,
    (Phase.IDLE, Input.OVER): Phase.IDLE,
    (Phase.IDLE, Input.HELD): Phase.IDLE,
    (Phase.IDLE, Input.SEEN): Phase.IDLE,
    (Phase.PENDING, Input.ABSENT): Phase.IDLE,
    (Phase.PENDING, Input.BREWING): Phase.PENDING,
    (Phase.PENDING, Input.DUE): Phase.RAISED,
    (Phase.PENDING, Input.OVER): Phase.IDLE,
    (Phase.PENDING, Input.HELD): Phase.IDLE,
    (Phase.PENDING, Input.SEEN): Phase.PENDING,
    (Phase.RAISED, Input.ABSENT): Phase.RECOVERING,
    (Phase.RAISED, Input.BREWING): Phase.RECOVERING,
    (Phase.RAISED, Input.DUE): Phase.RAISED,
    (Phase.RAISED, Input.OVER): Phase.IDLE,
    (Phase.RAISED, Input.HELD): Phase.LATCHED,
    (Phase.RAISED, Input.SEEN): Phase.RAISED,
    (Phase.RECOVERING, Input.ABSENT): Phase.RECOVERING,
    (Phase.RECOVERING, Input.BREWING): Phase.RECOVERING,
    (Phase.RECOVERING, Input.DUE): Phase.RAISED,
    (Phase.RECOVERING, Input.OVER): Phase.IDLE,
    (Phase.RECOVERING, Input.HELD): Phase.LATCHED,
    (Phase.RECOVERING, Input.SEEN): Phase.RECOVERING,
    (Phase.LATCHED, Input.ABSENT): Phase.LATCHED,
    (Phase.LATCHED, Input.BREWING): Phase.LATCHED,
    (Phase.LATCHED, Input.DUE): Phase.RAISED,
    (Phase.LATCHED, Input.OVER): Phase.IDLE,
    (Phase.LATCHED, Input.HELD): Phase.LATCHED,
    (Phase.LATCHED, Input.SEEN): Phase.IDLE,
}


def update(
    board: Board,
    look: Look,
    verdicts: Iterable[tuple[Rule, Verdict]],
    handling: Handling = DEFAULT,
) -> list[AlertChange]:
    """Take one look's verdicts into the board; what must be said aloud, in order.

    What is gone comes first, so that it hides nothing any more. A verdict of a rule that the
    handling does not have is as if it had not been given.
    """
    now = Moment(board, look, handling, [])
    present = list(verdicts)
    tracks, rules = board.tracks, handling.rules
    if not tracks:
        if not present:
            return now.changes
    else:
        seen = {rule.key for rule, _ in present}
        for key in [key for key in tracks if key not in seen or key not in rules]:
            if key in rules:
                _step(now, rules[key], None)
            else:
                end(now, key)
    for rule, verdict in present:
        known = rules.get(rule.key)
        if known is not None:
            _step(now, known, verdict)
    settle(now)
    at_ms = look.at_ms
    for key, track in tracks.items():
        if track.timer_ms is not None and track.timer_ms <= at_ms:
            ring(now, key)
    return now.changes


def is_restless(board: Board) -> bool:
    """Whether the numbers of the next message alone may change an alert: it brews or recovers, or
    its hazard is one that is seen in messages, or the want of them.
    """
    for key, track in board.tracks.items():
        if track.phase is PENDING or track.phase is RECOVERING:
            return True
        rule = RULES.get(key)
        # One that may come out waits for the pump's next word.
        if rule is None or rule.observed or key in HEARING or track.bare_ms is not None:
            return True
    return False


def shift(board: Board, delta_ms: int) -> None:
    """Move what the delays count from: the pump's clock was set by so much.

    What people did until some time is over when the same length of time has passed; the alert
    tells the new time with its next change.
    """
    if not delta_ms:
        return
    for track in board.tracks.values():
        track.since_ms += delta_ms
        track.said_ms += delta_ms
        track.calling_ms += delta_ms
        if track.left_ms is not None:
            track.left_ms += delta_ms
        if track.lower_ms is not None:
            track.lower_ms += delta_ms
        if track.bare_ms is not None:
            track.bare_ms += delta_ms
        if track.loose_ms is not None:
            track.loose_ms += delta_ms
        if track.timer_ms is not None:
            track.timer_ms += delta_ms
        track.facts = _moved(track.facts, delta_ms)
    for times_ms in board.raises_ms.values():
        times_ms[:] = [at_ms + delta_ms for at_ms in times_ms]


def open_alerts(board: Board) -> tuple[Alert, ...]:
    """Every alert that was said aloud and is not cleared, worst and oldest first."""
    alerts = [track.alert for track in board.tracks.values() if track.alert is not None]
    return tuple(sorted(alerts, key=lambda alert: (-alert.priority.rank, alert.raised_ms)))


def unseen_alerts(board: Board) -> tuple[Alert, ...]:
    """HIGH alerts that were over before anybody saw them, the oldest first."""
    return tuple(board.unseen)


def _moved(facts: Facts, delta_ms: int) -> Facts:
    def later(deed: Deed | None) -> Deed | None:
        if deed is None or deed.until_ms is None:
            return deed
        return replace(deed, until_ms=deed.until_ms + delta_ms)

    if facts.taken is facts.audio_paused is facts.snoozed is None:
        return facts
    return replace(
        facts,
        taken=later(facts.taken),
        audio_paused=later(facts.audio_paused),
        snoozed=later(facts.snoozed),
    )


def _step(now: Moment, rule: Rule, verdict: Verdict | None) -> None:
    """Move one hazard by one look."""
    look, tracks = now.look, now.board.tracks
    track = tracks.get(rule.key)
    since_ms = _since(look, track, verdict)
    until_ms = look.heard_ms if rule.observed else look.at_ms
    priority = _priority(until_ms - since_ms, rule, verdict)
    before = track.phase if track is not None else IDLE
    after = TABLE[before, _input(now, rule, track, verdict, priority)]
    if track is None:
        if after is IDLE:
            return
        track = tracks[rule.key] = Track(after, since_ms)
    track.phase = after
    if after is RAISED:
        assert verdict is not None
        assert priority is not None
        track.evidence, track.advice = verdict.evidence, verdict.advice
        track.left_ms = None
        track.priority = _steady(look, rule, track, priority)
        _raise(now, rule, track, before)
    elif after is IDLE:
        end(now, rule.key)
    elif after is RECOVERING:
        if before is RAISED:
            track.left_ms = look.heard_ms
    elif after is LATCHED:
        _latch(now, rule.key, track, before, verdict, since_ms)


def _since(look: Look, track: Track | None, verdict: Verdict | None) -> int:
    """When the hazard began: the first instant of an unbroken one."""
    if track is not None and (track.phase is not LATCHED or track.left_ms is None):
        return track.since_ms
    if verdict is not None and verdict.since_ms is not None:
        return verdict.since_ms
    return look.at_ms


def _priority(lasted_ms: int, rule: Rule, verdict: Verdict | None) -> Priority | None:
    """The priority of the highest level reached; None when none is reached."""
    if verdict is None:
        return None
    found: Priority | None = None
    for level in rule.levels:
        if lasted_ms < level.delay_ms:
            break
        found = level.priority
    if found is None:
        if not verdict.certain:
            return None
        found = rule.levels[0].priority
    if verdict.priority is not None and verdict.priority.rank > found.rank:
        return verdict.priority
    return found


def _steady(look: Look, rule: Rule, track: Track, priority: Priority) -> Priority:
    """The priority of an alert: it falls when it was lower for as long as one must be gone to end.

    So numbers that move about a limit do not call people again and again. One that was never said
    aloud comes out as it is then.
    """
    is_open = track.alert is not None
    if is_open and priority.rank < track.priority.rank:
        if track.lower_ms is None:
            track.lower_ms = look.heard_ms
        if look.heard_ms - track.lower_ms < rule.off_delay_ms:
            return track.priority
    track.lower_ms = None
    return priority


def _input(
    now: Moment, rule: Rule, track: Track | None, verdict: Verdict | None, due: Priority | None
) -> Input:
    if due is not None:
        return Input.DUE
    if track is not None and _is_over(now, rule, track):
        return Input.HELD if _is_held(now, rule, track) else Input.OVER
    return Input.ABSENT if verdict is None else Input.BREWING


def _is_over(now: Moment, rule: Rule, track: Track) -> bool:
    """Whether the hazard has been gone for long enough, in what was heard."""
    if track.phase is LATCHED:
        # It was over once; only the policy can end it now.
        return not _is_held(now, rule, track)
    if track.phase not in (RAISED, RECOVERING):
        return False
    off_delay_ms = rule.off_delay_ms
    if track.flaps:
        off_delay_ms = max(off_delay_ms, now.handling.flapping.quiet_ms)
    left_ms = now.look.heard_ms if track.left_ms is None else track.left_ms
    return now.look.heard_ms - left_ms >= off_delay_ms


def _is_held(now: Moment, rule: Rule, track: Track) -> bool:
    """Whether the alert must stay until somebody has acknowledged it."""
    return (
        rule.latches
        and track.alert is not None
        and track.peak in now.handling.latching
        and track.facts.acknowledged is None
    )


def _latch(
    now: Moment, key: str, track: Track, before: Phase, verdict: Verdict | None, since_ms: int
) -> None:
    """The hazard is gone, and its alert waits to be acknowledged; it may be brewing anew."""
    track.since_ms = since_ms
    track.left_ms = now.look.heard_ms if verdict is None else None
    if before is not LATCHED:
        track.over_ms = now.look.at_ms
        say(now, key, "latched")


def _raise(now: Moment, rule: Rule, track: Track, before: Phase) -> None:
    """Say an alert aloud unless another hides it or did until just now.

    A new priority of one that was said is left to `settle`.
    """
    at_ms, heard_ms, key = now.look.at_ms, now.look.heard_ms, rule.key
    if before is IDLE or before is PENDING:
        track.onset_ms = max(track.since_ms, now.board.ended_ms.get(key, -1) + 1)
        track.raised_ms = at_ms
        # Nothing has hidden it so far, so it need not wait.
        track.bare_ms = min(at_ms - COME_OUT_MS, heard_ms)
    if track.alert is not None:
        if before is LATCHED:
            track.over_ms = None
            worsen(now, key, "returned", track.priority)
        elif before is RECOVERING and track.flaps:
            track.flaps += 1
            now.board.count(key).damped += 1
        return
    if hidden_by(now.board, now.handling.rules, key):
        track.bare_ms = None
        return
    if track.bare_ms is None:
        track.bare_ms = at_ms
    if awaits_word(rule, track, heard_ms):
        return
    is_urgent = track.is_held_back and track.priority is Priority.HIGH
    if at_ms - track.bare_ms >= COME_OUT_MS or is_urgent:
        say_first(now, key, track)

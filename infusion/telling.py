"""How an alert is said: its value as it is published, its versions, and its end.

Every change of every alert goes through `say`, so that versions count by one, the list of open
alerts is what replaying the log gives, and the timers of people and calls are never out of date.
"""

from msgspec import Struct
from msgspec.structs import replace

from infusion.alarms import Priority
from infusion.alert import Alert, AlertChange, Change, Deed, Facts
from infusion.board import UNSEEN_MAX, Board, Look, Phase, Track
from infusion.calls import call_again, call_next, next_call_ms
from infusion.handling import Handling
from infusion.hiding import hides
from infusion.rules import RULES
from infusion.texts import tell, title
from infusion.words import flap_sentence


class Moment(Struct):
    """One look at one board, and what was said at it so far."""

    board: Board
    look: Look
    handling: Handling
    changes: list[AlertChange]


def say(now: Moment, key: str, change: Change, priority: Priority | None = None) -> Alert:
    """Say a change of an alert that stays open; with a new priority, if one is given."""
    track = now.board.tracks[key]
    if priority is None:
        priority = track.alert.priority if track.alert is not None else track.priority
    alert = track.alert = _alert(now, key, track, priority)
    track.peak = max(track.peak, priority, key=lambda each: each.rank)
    retime(track, now.handling)
    publish(now, change, alert)
    return alert


def publish(now: Moment, change: Change, alert: Alert) -> None:
    """Put a change into the log, with the next version of the pump's list."""
    now.board.version += 1
    now.changes.append(AlertChange(change=change, list_version=now.board.version, alert=alert))


def retime(track: Track, handling: Handling) -> None:
    """Work out when time alone next changes something of an alert."""
    facts = track.facts
    deeds = (facts.taken, facts.audio_paused, facts.snoozed)
    times = [deed.until_ms for deed in deeds if deed is not None and deed.until_ms is not None]
    call_ms = next_call_ms(track, handling)
    if call_ms is not None:
        times.append(call_ms)
    track.timer_ms = min(times) if times else None


def ring(now: Moment, key: str) -> None:
    """Do what time alone does to an alert: end what people did for a time, call the next."""
    track, at_ms = now.board.tracks[key], now.look.at_ms
    while track.timer_ms is not None and track.timer_ms <= at_ms:
        assert track.alert is not None
        facts, priority = track.facts, track.alert.priority
        call_ms = next_call_ms(track, now.handling)
        if _is_over(facts.audio_paused, at_ms):
            track.facts = replace(facts, audio_paused=None)
            say(now, key, "audio-resumed")
        elif _is_over(facts.taken, at_ms):
            track.facts = replace(facts, taken=None, offered=None)
            call_again(track, now.handling, priority, at_ms)
            track.held_version = say(now, key, "lapsed").version
        elif _is_over(facts.snoozed, at_ms):
            track.facts = replace(facts, snoozed=None)
            call_again(track, now.handling, priority, at_ms)
            say(now, key, "woken")
        elif (
            call_ms is not None
            and call_ms <= at_ms
            and call_next(track, now.handling, priority, at_ms)
        ):
            track.called_version = say(now, key, "called").version
        else:
            # The policy has changed since the timer was set.
            retime(track, now.handling)
            return


def worsen(now: Moment, key: str, change: Change, priority: Priority) -> None:
    """Say that an alert is worse, or back: what was seen and silenced was another one.

    Who has taken it is still responsible; who has not is called again.
    """
    track = now.board.tracks[key]
    track.facts = replace(track.facts, acknowledged=None, audio_paused=None, snoozed=None)
    track.seen = track.facts.taken is not None
    call_again(track, now.handling, priority, now.look.at_ms)
    track.worse_version = say(now, key, change, priority).version


def lessen(now: Moment, key: str, priority: Priority) -> None:
    """Say that an alert is less urgent. A notice asks nobody to act, so nobody has it any more."""
    track = now.board.tracks[key]
    if priority is Priority.NOTICE:
        track.facts = replace(
            track.facts, taken=None, offered=None, audio_paused=None, snoozed=None
        )
        track.called = None
    say(now, key, "deescalated", priority)


def end(now: Moment, key: str) -> None:
    """The hazard is idle again: say so if it had been said aloud."""
    track = now.board.tracks.pop(key)
    if track.raised_ms is None:
        return
    now.board.ended_ms[key] = track.onset_ms
    if track.alert is None:
        return
    is_unseen = track.peak is Priority.HIGH and not track.seen
    over_ms = now.look.at_ms if track.over_ms is None else track.over_ms
    alert = _alert(now, key, track, track.alert.priority, cleared_ms=over_ms, unseen=is_unseen)
    if not is_unseen:
        publish(now, "cleared", alert)
        return
    publish(now, "cleared-unseen", alert)
    now.board.unseen.append(alert)
    if len(now.board.unseen) > UNSEEN_MAX:
        oldest = now.board.unseen.pop(0)
        now.board.count(oldest.rule).dropped += 1
        forget(now, "dropped", oldest, oldest.facts)


def forget(now: Moment, change: Change, alert: Alert, facts: Facts) -> Alert:
    """Say that a HIGH alert which was over and unseen is so no more."""
    last = replace(
        alert, version=alert.version + 1, changed_ms=now.look.at_ms, unseen=False, facts=facts
    )
    publish(now, change, last)
    return last


def hide(now: Moment, key: str, behind: str) -> Alert:
    """Hide an alert that was said: its last word, to be published, while its hazard stays."""
    track = now.board.tracks[key]
    assert track.alert is not None
    last = _alert(now, key, track, track.alert.priority, cleared_ms=now.look.at_ms)
    now.board.ended_ms[key] = track.onset_ms
    now.board.tracks[key] = Track(
        phase=track.phase,
        since_ms=track.since_ms,
        left_ms=track.left_ms,
        priority=track.priority,
        onset_ms=track.onset_ms + 1,
        raised_ms=track.raised_ms,
        teller=behind,
        evidence=track.evidence,
        advice=track.advice,
    )
    return last


def _is_over(deed: Deed | None, at_ms: int) -> bool:
    return deed is not None and deed.until_ms is not None and deed.until_ms <= at_ms


def _alert(
    now: Moment,
    key: str,
    track: Track,
    priority: Priority,
    cleared_ms: int | None = None,
    unseen: bool = False,
) -> Alert:
    known, look, board = track.alert, now.look, now.board
    rule = now.handling.rules.get(key) or RULES[key]
    assert track.raised_ms is not None
    assert track.evidence is not None
    words = tell(
        key,
        track.evidence,
        since_ms=track.since_ms,
        at_ms=look.at_ms,
        priority=priority,
        ordered_iu_h=look.ordered_iu_h,
    )
    is_latched = track.phase is Phase.LATCHED
    is_open = cleared_ms is None
    flaps = track.flaps if is_open and not is_latched else 0
    held_open = flap_sentence(flaps, now.handling.flapping.quiet_ms)
    return Alert(
        id=f"{board.site}/{board.pump}/{key}/{track.onset_ms}",
        site=board.site,
        pump=board.pump,
        therapy=look.therapy if known is None else known.therapy,
        rule=key,
        category=rule.category,
        title=title(key),
        priority=priority,
        state=("latched" if is_latched else "raised") if is_open else "cleared",
        version=1 if known is None else known.version + 1,
        onset_ms=track.onset_ms,
        raised_ms=track.raised_ms,
        changed_ms=look.at_ms,
        cleared_ms=track.over_ms if is_open else cleared_ms,
        evidence=track.evidence,
        # A latched alert hides nothing: its hazard is gone.
        suppresses=() if is_latched else hides(board, now.handling.rules, key),
        what=f"{words.what} {held_open}".rstrip(),
        first=words.first,
        advice=track.advice,
        facts=track.facts,
        called=track.called,
        flaps=track.flaps,
        latched=track.over_ms is not None,
        unseen=unseen,
    )

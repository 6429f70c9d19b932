"""What each act does to one open alert, and the sentence that tells it.

Who may do what, and who is first, is in infusion/acts.py; each function here answers for one act.
Times that an act gives are lengths, and begin now on the pump's clock.
"""

from msgspec import Struct
from msgspec.structs import replace

from infusion.alert import NOTES_MAX, Act, Alert, Deed, Outcome
from infusion.board import Phase, Track
from infusion.calls import call_again, call_next
from infusion.telling import Moment, end, say
from infusion.words import span

Answer = tuple[Outcome, str]


class Case(Struct):
    """One act on one open alert, and the moment at which it comes."""

    now: Moment
    act: Act
    track: Track
    alert: Alert

    def deed(self, until_ms: int | None = None, to: str | None = None) -> Deed:
        """The act as a fact."""
        act = self.act
        return Deed(
            by=act.by,
            at_ms=self.now.look.at_ms,
            role=act.role,
            until_ms=until_ms,
            to=to,
            text=act.text,
        )


# --- responsibility ------------------------------------------------------------------------------


def take(case: Case) -> Answer:
    """Become responsible, or stay it for longer."""
    act, track, people = case.act, case.track, case.now.handling.people
    facts = track.facts
    if facts.taken is None and act.version < track.held_version:
        return "late", "others had it since you looked; look again, then take it"
    length_ms, problem = _length(act, people.taken_for_ms, people.taken_max_ms)
    if problem:
        return "refused", problem
    deed = case.deed(case.now.look.at_ms + length_ms)
    track.facts = replace(facts, taken=deed, offered=None)
    track.seen = True
    track.held_version = say(case.now, case.alert.rule, "taken").version
    before = ""
    if facts.taken is not None and facts.taken.by != act.by:
        before = f" from {facts.taken.by}"
    return "done", f"{act.by} has taken it{before} for {span(length_ms)}"


def hand_on(case: Case) -> Answer:
    """Ask another to take over."""
    act, track = case.act, case.track
    if act.to is None:
        return "refused", "say to whom"
    if act.to == act.by:
        return "refused", f"{act.by} has it already"
    track.facts = replace(track.facts, offered=case.deed(to=act.to))
    say(case.now, case.alert.rule, "offered")
    return "done", f"{act.by} offers it to {act.to}, and is responsible until {act.to} takes it"


def release(case: Case) -> Answer:
    """Be responsible no more; those that were called are called again."""
    track, now, key = case.track, case.now, case.alert.rule
    track.facts = replace(track.facts, taken=None, offered=None)
    call_again(track, now.handling, case.alert.priority, now.look.at_ms)
    track.held_version = say(now, key, "released").version
    return "done", f"{case.act.by} has given it back; {_called(track)}"


def decline(case: Case) -> Answer:
    """Cannot come: the next level is called at once."""
    act, track, now, key = case.act, case.track, case.now, case.alert.rule
    if track.facts.taken is None and act.version < track.called_version:
        return "late", f"it has gone on since you looked; {_called(track)}"
    was_taken = track.facts.taken is not None
    track.facts = replace(track.facts, taken=None, offered=None, declined=case.deed())
    if not call_next(track, now.handling, case.alert.priority, now.look.at_ms):
        call_again(track, now.handling, case.alert.priority, now.look.at_ms)
    version = say(now, key, "declined").version
    track.called_version = version
    if was_taken:
        track.held_version = version
    return "done", f"{act.by} cannot come; {_called(track)}"


def withdraw(case: Case) -> Answer:
    """Do not take over what was offered; who has the alert keeps it."""
    facts = case.track.facts
    assert facts.taken is not None
    case.track.facts = replace(facts, offered=None, declined=case.deed())
    say(case.now, case.alert.rule, "declined")
    return "done", f"{case.act.by} cannot come; {facts.taken.by} still has it"


def others_have_it(case: Case) -> Answer:
    """Somebody else was first."""
    taken, at_ms = case.track.facts.taken, case.now.look.at_ms
    assert taken is not None
    left = f" for another {span(taken.until_ms - at_ms)}" if taken.until_ms is not None else ""
    return "late", f"{taken.by} took it {span(at_ms - taken.at_ms)} ago, and has it{left}"


def nobody_has_it(case: Case) -> Answer:
    """What was never taken cannot be handed on or given back."""
    if case.act.version < case.track.held_version:
        return "late", f"{case.act.by} has it no more; {_called(case.track)}"
    return "refused", "nobody has taken it yet; take it first"


def _called(track: Track) -> str:
    return f"called: {track.called.name}" if track.called is not None else "nobody is called yet"


# --- attention -----------------------------------------------------------------------------------


def acknowledge(case: Case) -> Answer:
    """Have seen it. What is latched is over by that."""
    act, track, now, key = case.act, case.track, case.now, case.alert.rule
    known = track.facts.acknowledged
    if known is not None:
        return "late", f"{known.by} acknowledged it {span(now.look.at_ms - known.at_ms)} ago"
    if act.version < track.worse_version:
        return "late", _worse(case)
    track.facts = replace(track.facts, acknowledged=case.deed())
    track.seen = True
    if track.phase is Phase.LATCHED:
        end(now, key)
        return "done", f"{act.by} has seen it; its hazard was gone, so it is over"
    say(now, key, "acknowledged")
    return "done", f"{act.by} has seen it; it stays open until its hazard is gone"


def pause_audio(case: Case) -> Answer:
    """No sound for a short time, which ends by itself."""
    act, track, now = case.act, case.track, case.now
    if act.version < track.worse_version:
        return "late", _worse(case)
    longest_ms = now.handling.people.audio_pause_max_ms
    length_ms, problem = _length(act, longest_ms, longest_ms)
    if problem:
        return "refused", problem
    track.facts = replace(track.facts, audio_paused=case.deed(now.look.at_ms + length_ms))
    say(now, case.alert.rule, "audio-paused")
    return "done", f"no sound for {span(length_ms)}; the alert stays as it is"


def resume_audio(case: Case) -> Answer:
    """Sound again, before the time is over."""
    if case.track.facts.audio_paused is None:
        return "late", "its sound is on"
    case.track.facts = replace(case.track.facts, audio_paused=None)
    say(case.now, case.alert.rule, "audio-resumed")
    return "done", "its sound is on again"


def snooze(case: Case) -> Answer:
    """Not now: for a time that ends by itself, or when the priority rises."""
    act, track, now = case.act, case.track, case.now
    if act.version < track.worse_version:
        return "late", _worse(case)
    if act.until_ms is None:
        return "refused", "say until when; nothing is snoozed for ever"
    longest_ms = now.handling.people.snooze_max_ms
    length_ms, problem = _length(act, longest_ms, longest_ms)
    if problem:
        return "refused", problem
    track.facts = replace(track.facts, snoozed=case.deed(now.look.at_ms + length_ms))
    say(now, case.alert.rule, "snoozed")
    return "done", f"snoozed for {span(length_ms)}, or until its priority rises"


def wake(case: Case) -> Answer:
    """Urgent again, before the time is over."""
    track, now = case.track, case.now
    if track.facts.snoozed is None:
        return "late", "it is awake"
    track.facts = replace(track.facts, snoozed=None)
    call_again(track, now.handling, case.alert.priority, now.look.at_ms)
    say(now, case.alert.rule, "woken")
    return "done", "it is awake again"


def note(case: Case) -> Answer:
    """Write something down beside the alert."""
    if not case.act.text:
        return "refused", "a note needs a text"
    facts = case.track.facts
    case.track.facts = replace(facts, notes=(*facts.notes, case.deed())[-NOTES_MAX:])
    say(case.now, case.alert.rule, "noted")
    return "done", f"noted by {case.act.by}"


def _worse(case: Case) -> str:
    return f"it got worse since you looked, and is {case.alert.priority} now; look again"


def _length(act: Act, usual_ms: int, longest_ms: int) -> tuple[int, str]:
    """How long the act is for, and what is wrong with that, if anything is."""
    if act.until_ms is None:
        return usual_ms, ""
    length_ms = act.until_ms - act.time_ms
    if length_ms <= 0:
        return 0, "the end lies before the beginning; give a later one"
    if length_ms > longest_ms:
        return 0, f"{span(length_ms)} is too long; at most {span(longest_ms)}"
    return length_ms, ""

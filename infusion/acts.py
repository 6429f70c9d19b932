"""What people do about alerts: who may do what, who was first, and what becomes of it.

An act names the alert and the version of it that the person saw. Three things are looked at, in
this order:

1. **May it be done to this alert at all?** `ALLOWED` says for which priorities. A HIGH alert cannot
   be snoozed; a notice asks nobody to act, so it can only be acknowledged and noted. One that is
   over and unseen can only be acknowledged.
2. **Was somebody, or time, first?** That is *late*, never an error, and the sentence says who. What
   the version is compared with depends on what the act is about: taking with the last change of
   responsibility, declining with the last call, acknowledging and silencing with the last rise in
   priority. An act does not come late because of a change that does not concern it.
3. **Who has it?** Responsibility has a table of its own:

               nobody has it   I have it    offered to me     another has it
    take       take            prolong      take              late
    hand-on    refused         offer        late              late
    release    refused         give back    late              late
    decline    call the next   call next    withdraw offer    late

   Handing on is an offer: who has the alert stays responsible until the other takes it.

Taking, acknowledging and silencing are three facts: none of them implies another, and none moves
the hazard, except that a latched alert ends when it is acknowledged. What lasts for a time ends by
itself (infusion/telling.py). An act that comes twice does nothing the second time.
"""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from infusion import deeds
from infusion.alarms import Priority
from infusion.alert import Act, Alert, AlertChange, Audit, Deed, Outcome, What
from infusion.board import ACTS_MAX, Board, Look
from infusion.deeds import Answer, Case
from infusion.handling import DEFAULT, Handling
from infusion.telling import Moment, forget, ring

HIGH, MEDIUM, LOW, NOTICE = Priority.HIGH, Priority.MEDIUM, Priority.LOW, Priority.NOTICE
_URGENT = frozenset({HIGH, MEDIUM, LOW})
_ALL = frozenset(Priority)

ALLOWED: dict[What, frozenset[Priority]] = {
    "take": _URGENT,
    "hand-on": _URGENT,
    "release": _URGENT,
    "decline": _URGENT,
    "acknowledge": _ALL,
    "audio-pause": _URGENT,
    "audio-resume": _URGENT,
    "snooze": frozenset({MEDIUM, LOW}),
    "wake": frozenset({MEDIUM, LOW}),
    "note": _ALL,
}


class Standing(StrEnum):
    """How the one who acts stands to the alert."""

    FREE = "nobody has it"
    MINE = "I have it"
    OFFERED = "offered to me"
    THEIRS = "another has it"


class Move(StrEnum):
    """What an act does to the responsibility for an alert."""

    TAKE = "take"
    OFFER = "offer"
    GIVE_BACK = "give back"
    CALL_NEXT = "call the next"
    WITHDRAW = "withdraw the offer"
    LATE = "late"
    REFUSED = "refused"


RESPONSIBILITY: dict[tuple[What, Standing], Move] = {
    ("take", Standing.FREE): Move.TAKE,
    ("take", Standing.MINE): Move.TAKE,
    ("take", Standing.OFFERED): Move.TAKE,
    ("take", Standing.THEIRS): Move.LATE,
    ("hand-on", Standing.FREE): Move.REFUSED,
    ("hand-on", Standing.MINE): Move.OFFER,
    ("hand-on", Standing.OFFERED): Move.LATE,
    ("hand-on", Standing.THEIRS): Move.LATE,
    ("release", Standing.FREE): Move.REFUSED,
    ("release", Standing.MINE): Move.GIVE_BACK,
    ("release", Standing.OFFERED): Move.LATE,
    ("release", Standing.THEIRS): Move.LATE,
    ("decline", Standing.FREE): Move.CALL_NEXT,
    ("decline", Standing.MINE): Move.CALL_NEXT,
    ("decline", Standing.OFFERED): Move.WITHDRAW,
    ("decline", Standing.THEIRS): Move.LATE,
}


class Done(Struct, frozen=True):
    """What became of an act. `audit` is None for one that was known already: it changed nothing."""

    outcome: Outcome
    sentence: str
    changes: list[AlertChange]
    audit: Audit | None


def perform(board: Board, act: Act, look: Look, handling: Handling = DEFAULT) -> Done:
    """Do what a person asks for, if it can still be done; the changes that it makes.

    Times that the act gives are lengths, and begin now on the pump's clock. Never raises: what is
    late or not allowed is an outcome, with a sentence for the person.
    """
    known = board.acts.get(act.act)
    if known is not None:
        return Done(known, "this act is known; it did nothing more", [], None)
    now = Moment(board, look, handling, [])
    key = next(
        (k for k, its in board.tracks.items() if its.alert and its.alert.id == act.alert), None
    )
    if key is not None:
        ring(now, key)
        alert = board.tracks[key].alert
        assert alert is not None
        outcome, sentence = _on_open(Case(now, act, board.tracks[key], alert))
        last = now.changes[-1].alert if now.changes else alert
    elif (alert := next((each for each in board.unseen if each.id == act.alert), None)) is not None:
        outcome, sentence, last = _on_unseen(now, act, alert)
    else:
        return _finish(now, act, _on_nothing(board, act), None, None)
    return _finish(now, act, (outcome, sentence), alert, last)


def refusal(site: str, act: Act, at_ms: int, sentence: str) -> Audit:
    """The audit of an act that has no board to act on: its pump is not known."""
    return Audit(
        site=site, pump=act.pump, act=act, outcome="refused", sentence=sentence, at_ms=at_ms
    )


def _finish(
    now: Moment, act: Act, answer: Answer, before: Alert | None, after: Alert | None
) -> Done:
    """Remember the act, and write down what became of it."""
    outcome, sentence = answer
    board = now.board
    board.acts[act.act] = outcome
    if len(board.acts) > ACTS_MAX:
        del board.acts[next(iter(board.acts))]
    audit = Audit(
        site=board.site,
        pump=board.pump,
        act=act,
        outcome=outcome,
        sentence=sentence,
        at_ms=now.look.at_ms,
        version_before=before.version if before is not None else None,
        version_after=after.version if after is not None else None,
        before=before.facts if before is not None else None,
        after=after.facts if after is not None else None,
    )
    return Done(outcome, sentence, now.changes, audit)


def _on_nothing(board: Board, act: Act) -> Answer:
    """There is no such open alert: it is over, or there never was one."""
    rule, _, onset = act.alert.removeprefix(f"{board.site}/{board.pump}/").partition("/")
    ended_ms = board.ended_ms.get(rule)
    if ended_ms is not None and onset.isdecimal() and int(onset) <= ended_ms:
        track = board.tracks.get(rule)
        cause = board.tracks.get(track.teller) if track is not None else None
        if cause is not None and cause.alert is not None:
            return "late", f"it is told as a part of {cause.alert.id} now; look at that one"
        return "late", "the alert is over; nothing is left to do about it"
    return "refused", f"there is no alert {act.alert} on this pump"


def _on_unseen(now: Moment, act: Act, alert: Alert) -> tuple[Outcome, str, Alert]:
    """A HIGH alert that is over and that nobody has seen: somebody may say that they have now."""
    if act.what != "acknowledge":
        return "refused", "the alert is over and was not seen; it can only be acknowledged", alert
    deed = Deed(by=act.by, at_ms=now.look.at_ms, role=act.role, text=act.text)
    now.board.unseen.remove(alert)
    last = forget(now, "seen", alert, replace(alert.facts, acknowledged=deed))
    return "done", f"{act.by} has seen that there was this alert", last


def _on_open(case: Case) -> Answer:
    act, alert = case.act, case.alert
    if act.version > alert.version:
        return (
            "refused",
            f"version {act.version} of the alert is not known; it stands at {alert.version}",
        )
    if alert.priority not in ALLOWED[act.what]:
        may = ", ".join(
            what for what, priorities in ALLOWED.items() if alert.priority in priorities
        )
        return "refused", f"{act.what} is not for a {alert.priority} alert; it can: {may}"
    return _VERBS[act.what](case)


def _responsibility(case: Case) -> Answer:
    move = RESPONSIBILITY[case.act.what, _standing(case)]
    return _MOVES[move](case)


def _standing(case: Case) -> Standing:
    facts, act = case.track.facts, case.act
    if facts.taken is None:
        return Standing.FREE
    if facts.taken.by == act.by:
        return Standing.MINE
    if facts.offered is not None and facts.offered.to in (act.by, act.role):
        return Standing.OFFERED
    return Standing.THEIRS


_MOVES: dict[Move, Callable[[Case], Answer]] = {
    Move.TAKE: deeds.take,
    Move.OFFER: deeds.hand_on,
    Move.GIVE_BACK: deeds.release,
    Move.CALL_NEXT: deeds.decline,
    Move.WITHDRAW: deeds.withdraw,
    Move.LATE: deeds.others_have_it,
    Move.REFUSED: deeds.nobody_has_it,
}
_VERBS: dict[What, Callable[[Case], Answer]] = {
    "take": _responsibility,
    "hand-on": _responsibility,
    "release": _responsibility,
    "decline": _responsibility,
    "acknowledge": deeds.acknowledge,
    "audio-pause": deeds.pause_audio,
    "audio-resume": deeds.resume_audio,
    "snooze": deeds.snooze,
    "wake": deeds.wake,
    "note": deeds.note,
}

"""The life of one therapy at home, from referral to closing, as one transition table.

A *deed* is what somebody of the service does and writes down. The table says in which phase it can
be done, and what phase follows; whatever it does not name is refused with the deeds that are
possible. Some deeds also wait for what must be known first:

* **accept**: every question of the eligibility list answered with yes.
* **prepare**: a catheter is placed and one lumen of it is for heparin alone; the prescription is
  reviewed; the first teaching was taught back.
* **start**: each baseline result is there, drawn at most so long before, and two people have
  checked the pump.

    referred     accept > accepted, decline > declined
    accepted     decline > declined, prepare > ready
    ready        decline > declined, prepare > ready, start > running
    running      change > running, hold > on-hold, admit > in-hospital, stop > stopped
    on-hold      change > on-hold, resume > running, admit > in-hospital, stop > stopped
    in-hospital  discharge > on-hold, stop > stopped
    stopped      start > running, close > closed

Who comes home from hospital comes home on hold: a person starts the pump again, and nothing does
so by itself. For testing and training only. The lists are this project's [A] but for what
heparin.md §4.3 and the definition of S9336 name.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from infusion.clinical import LabResult
from infusion.prescription import Name, TimeMs
from infusion.units import MS_PER_HOUR


class Role(StrEnum):
    """Who somebody of the service is."""

    NURSE = "nurse"
    PHARMACIST = "pharmacist"
    COORDINATOR = "care-coordinator"
    PRESCRIBER = "prescriber"
    PATIENT = "patient"
    CAREGIVER = "caregiver"


class Indication(StrEnum):
    """Why heparin is given at home."""

    DVT = "deep-vein-thrombosis"
    PE = "pulmonary-embolism"
    AF = "atrial-fibrillation-with-clot-risk"
    VALVE = "mechanical-valve"
    LONG_TERM = "long-term-anticoagulation"


class Phase(StrEnum):
    """Where an episode stands."""

    REFERRED = "referred"
    ACCEPTED = "accepted"
    READY = "ready"
    RUNNING = "running"
    ON_HOLD = "on-hold"
    IN_HOSPITAL = "in-hospital"
    STOPPED = "stopped"
    CLOSED = "closed"
    DECLINED = "declined"


class Deed(StrEnum):
    """What is done with an episode."""

    ACCEPT = "accept"
    DECLINE = "decline"
    PREPARE = "prepare"
    START = "start"
    CHANGE = "change"
    HOLD = "hold"
    RESUME = "resume"
    ADMIT = "admit"
    DISCHARGE = "discharge"
    STOP = "stop"
    CLOSE = "close"


TABLE: Mapping[tuple[Phase, Deed], Phase] = {
    (Phase.REFERRED, Deed.ACCEPT): Phase.ACCEPTED,
    (Phase.REFERRED, Deed.DECLINE): Phase.DECLINED,
    (Phase.ACCEPTED, Deed.DECLINE): Phase.DECLINED,
    (Phase.ACCEPTED, Deed.PREPARE): Phase.READY,
    (Phase.READY, Deed.DECLINE): Phase.DECLINED,
    (Phase.READY, Deed.PREPARE): Phase.READY,
    (Phase.READY, Deed.START): Phase.RUNNING,
    (Phase.RUNNING, Deed.CHANGE): Phase.RUNNING,
    (Phase.RUNNING, Deed.HOLD): Phase.ON_HOLD,
    (Phase.RUNNING, Deed.ADMIT): Phase.IN_HOSPITAL,
    (Phase.RUNNING, Deed.STOP): Phase.STOPPED,
    (Phase.ON_HOLD, Deed.CHANGE): Phase.ON_HOLD,
    (Phase.ON_HOLD, Deed.RESUME): Phase.RUNNING,
    (Phase.ON_HOLD, Deed.ADMIT): Phase.IN_HOSPITAL,
    (Phase.ON_HOLD, Deed.STOP): Phase.STOPPED,
    (Phase.IN_HOSPITAL, Deed.DISCHARGE): Phase.ON_HOLD,
    (Phase.IN_HOSPITAL, Deed.STOP): Phase.STOPPED,
    (Phase.STOPPED, Deed.START): Phase.RUNNING,
    (Phase.STOPPED, Deed.CLOSE): Phase.CLOSED,
}

_ORDERS = frozenset({Role.PRESCRIBER, Role.PHARMACIST})
_HANDS = frozenset({Role.NURSE, Role.PATIENT, Role.CAREGIVER})
# Who may write which deed down. What changes a dose is the prescriber's, or the pharmacist's by
# protocol; a patient may pause the pump, and never start or change it [A].
MAY: Mapping[Deed, frozenset[Role]] = {
    Deed.ACCEPT: frozenset({Role.COORDINATOR}),
    Deed.DECLINE: frozenset({Role.COORDINATOR, Role.PRESCRIBER}),
    Deed.PREPARE: frozenset({Role.NURSE, Role.COORDINATOR}),
    Deed.START: frozenset({Role.NURSE}),
    Deed.CHANGE: _ORDERS,
    Deed.HOLD: _ORDERS | _HANDS,
    Deed.RESUME: frozenset({Role.NURSE}),
    Deed.ADMIT: _HANDS | {Role.COORDINATOR},
    Deed.DISCHARGE: frozenset({Role.NURSE, Role.COORDINATOR}),
    Deed.STOP: _ORDERS | {Role.NURSE},
    Deed.CLOSE: frozenset({Role.COORDINATOR}),
}

# The eligibility list: what must be true of a home before anything is sent there.
ELIGIBILITY: Mapping[str, str] = {
    "home-is-safe": "The home has power, water, a telephone that reaches us and a clean place.",
    "caregiver": "Somebody who can be taught is there, or reached, day and night.",
    "able-to-manage": "Patient or caregiver can stop the pump and call; shown, not said.",
    "within-reach": "A nurse can be there within the time that the protocol asks for.",
    "no-active-bleeding": "No bleeding now, and no other reason not to give heparin.",
    "no-past-hit": "Heparin never lowered the platelets (HIT) before.",
    "consent": "The patient agrees, and knows whom to call.",
}
BASELINE = ("pt", "inr", "aptt", "platelets", "haemoglobin")
# A result that is older says nothing of today [A].
BASELINE_MAX_H = 72.0
# All sites of heparin.md §1.4 call the prescriber below this before the start [V].
PLATELETS_MIN_G_L = 100.0


class Catheter(Struct, frozen=True, kw_only=True):
    """The way in. `heparin_lumen` names the lumen that nothing else goes through: a library's own
    advisory says "no other drugs through same line" (heparin.md §4.3 [V])."""

    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    placed_ms: TimeMs
    lumens: tuple[Name, ...]
    heparin_lumen: Name | None = None


class Known(Struct, frozen=True, kw_only=True):
    """What is known when a deed is to be done.

    `eligibility` holds the answers given so far. `checked_by` are those who checked the pump at the
    start, each on their own.
    """

    eligibility: Mapping[str, bool] = {}
    results: tuple[LabResult, ...] = ()
    catheter: Catheter | None = None
    prescription_reviewed: bool = False
    taught_back: bool = False
    checked_by: frozenset[str] = frozenset()


class Done(Struct, frozen=True, kw_only=True):
    """A deed that was done: by whom, when, and why."""

    deed: Deed
    at_ms: TimeMs
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Role
    why: Annotated[str, Meta(max_length=256)] = ""


class Episode(Struct, frozen=True, kw_only=True):
    """One therapy at home, and everything that was done with it, oldest first."""

    therapy: Name
    indication: Indication
    referred_ms: TimeMs
    phase: Phase = Phase.REFERRED
    log: tuple[Done, ...] = ()


class Refusal(Struct, frozen=True):
    """Why a deed was not done, each reason a sentence that says what would be right."""

    reasons: tuple[str, ...]


LOG_MAX = 1_000


def do(episode: Episode, done: Done, known: Known) -> Episode | Refusal:
    """The episode after a deed, or why it cannot be done: phase, role, what is missing."""
    after = TABLE.get((episode.phase, done.deed))
    if after is None:
        possible = [deed.value for deed in Deed if (episode.phase, deed) in TABLE]
        words = ", ".join(possible) if possible else "nothing; it is over"
        text = f"{done.deed} cannot be done while {episode.phase}; possible are: {words}"
        return Refusal((text,))
    reasons = [*_role_reasons(done), *missing(done.deed, known, done.at_ms)]
    last_ms = episode.log[-1].at_ms if episode.log else episode.referred_ms
    if done.at_ms < last_ms:
        reasons.append(f"{done.deed} would come before what was done last; correct the time")
    if len(episode.log) >= LOG_MAX:
        reasons.append(f"more than {LOG_MAX} deeds; close this episode and refer anew")
    if reasons:
        return Refusal(tuple(reasons))
    return Episode(
        therapy=episode.therapy,
        indication=episode.indication,
        referred_ms=episode.referred_ms,
        phase=after,
        log=(*episode.log, done),
    )


def missing(deed: Deed, known: Known, at_ms: int) -> list[str]:
    """What must be there before a deed and is not, as sentences; nothing for most deeds."""
    if deed is Deed.ACCEPT:
        return [text for key, text in _open_questions(known).items() if key]
    if deed is Deed.PREPARE:
        return [
            text
            for is_there, text in (
                (known.catheter is not None, "no catheter is placed; write down which and when"),
                (
                    _has_lumen(known.catheter),
                    "no lumen is for heparin alone; name one of the catheter's",
                ),
                (known.prescription_reviewed, "the pharmacist has not reviewed the prescription"),
                (known.taught_back, "the first teaching was not taught back"),
            )
            if not is_there
        ]
    if deed is Deed.START:
        found = [reason for test in BASELINE for reason in _baseline_reasons(test, known, at_ms)]
        if len(known.checked_by) < 2:
            found.append("two people must have checked the pump, each on their own")
        return found
    return []


# --- small things ---------------------------------------------------------------------------------


def _role_reasons(done: Done) -> list[str]:
    may = MAY[done.deed]
    if done.role in may:
        return []
    who = ", ".join(role.value for role in Role if role in may)
    return [f"a {done.role} cannot {done.deed}; ask one of: {who}"]


def _open_questions(known: Known) -> dict[str, str]:
    return {
        key: f"{'answered with no' if key in known.eligibility else 'not answered'}: {text}"
        for key, text in ELIGIBILITY.items()
        if not known.eligibility.get(key)
    }


def _has_lumen(catheter: Catheter | None) -> bool:
    return catheter is not None and catheter.heparin_lumen in catheter.lumens


def _baseline_reasons(test: str, known: Known, at_ms: int) -> list[str]:
    """What is wrong with the newest baseline result of one test."""
    drawn = [r for r in known.results if r.test == test and r.value is not None]
    newest = max(
        (r for r in drawn if r.drawn_ms <= at_ms), key=lambda each: each.drawn_ms, default=None
    )
    if newest is None:
        return [f"{test}: no result before the start; draw it"]
    hours = (at_ms - newest.drawn_ms) / MS_PER_HOUR
    if hours > BASELINE_MAX_H:
        return [f"{test}: drawn {hours:.0f} h ago, at most {BASELINE_MAX_H:g} h; draw it again"]
    if test == "platelets" and newest.value is not None and newest.value < PLATELETS_MIN_G_L:
        return [f"platelets {newest.value:g}, below {PLATELETS_MIN_G_L:g}: ask the prescriber"]
    return []

"""What a report says, read generously: `what` is a word or a few, in any case, with any hyphens.

    bleeding        bleeding, nosebleed, haemorrhage, melaena, haematuria, blood in urine, …
    bruising        bruise, bruising, petechiae, haematoma
    complication    fever, redness, pain, swelling, leak, rash, thrombosis, chest pain, …
    visit           visit, nurse visit, visit done, dressing change, dressing changed
    hospital        admitted to hospital, in hospital; discharged, back home
    plan            visit planned, visit cancelled, supplies sent, delivery planned, …
    supplies        supplies low, out of supplies, supplies delivered, restocked
    other           anything else

A word that says it is over or was never there (over, stopped, ended, resolved, gone, excluded, no,
none, without, denies) turns a report of the first three kinds round: "bleeding-over", "no fever".
One that turns such a word round again leaves it as it was: "has not stopped", "no better", "again".
It holds for its own part of a sentence: "no fever, bleeding" is a bleeding. For supplies it is
delivered, restocked, enough, ok; for a hospital discharged, home, back; for a plan cancelled,
missed, postponed. What nobody has a word for is *other*, a complaint of low priority unless it is
on the list of what is none: a report that is not understood must not be lost. The list of words is
this project's [A].
"""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

Kind = Literal[
    "bleeding", "bruising", "complication", "visit", "supplies", "plan", "hospital", "none", "other"
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLEEDING = _words(
    "bleed bleeds bleeding bled nosebleed nosebleeds epistaxis haemorrhage hemorrhage haemorrhaging"
    " hemorrhaging melaena melena haematuria hematuria haematemesis hematemesis haemoptysis"
    " hemoptysis"
)
_BLOODY = re.compile(r"\b(?:bloody|blood (?:in|from|on)) ")
_BRUISING = _words("bruise bruises bruising ecchymosis petechiae purpura haematoma hematoma")
_COMPLICATION = _words(
    "fever chills shivering redness red swelling swollen pain painful leak leaking leakage wet"
    " infection infected pus rash itching hives infiltration extravasation phlebitis thrombosis"
    " thrombus clot embolism necrosis dislodged disconnected anaphylaxis allergy allergic"
    " breathlessness dyspnoea dyspnea stroke collapse unconscious confusion confused fall fell"
    " headache dizziness nausea vomiting"
)
# A return of blood that is missing is the catheter's matter and no bleeding.
_CATHETER = re.compile(r"\bno blood return\b")
_SEVERE = _words(
    "chest breathlessness dyspnoea dyspnea stroke collapse unconscious anaphylaxis embolism"
    " thrombosis necrosis"
)
_CLOTS = _words("thrombosis thrombus clot embolism necrosis")
_VISIT = _words("visit visited dressing")
_SUPPLIES = _words("supplies supply stock restocked delivery")
_PLANNED = _words("planned booked scheduled sent dispatched")
_CANCELLED = _words("cancelled canceled missed postponed")
_SUPPLIED = _words("delivered restocked enough ok arrived sufficient")
_HOSPITAL = _words("hospital hospitalised hospitalized admitted discharged")
_DISCHARGED = _words("discharged home back left over")
_OVER = _words("over stopped ended resolved gone excluded no none without better denies denied")
# What says that it is not over after all. Of "hasn't" and "won't" only the t is a word.
_STILL = _words("still again continues recurred worse")
_NOT_OVER = re.compile(
    r"\bno better\b|\b(?:not|never|cannot|t) (?:[a-z]+ ){0,2}"
    r"(?:over|stopped|ended|resolved|gone|excluded|better)\b"
)
_PARTS = re.compile(r"[,;.!?]|\bbut\b|\bhowever\b")
_COMPLAINTS: tuple[Kind, ...] = ("bleeding", "bruising", "complication")
_KINDS: tuple[Kind, ...] = (*_COMPLAINTS, "hospital", "plan", "visit", "supplies", "other", "none")
_HEPARIN_ILLNESS = frozenset({"hit"})
# Reports that complain of nothing.
_NO_COMPLAINT = _words(
    "teaching training call called weight weighed bag cassette battery line tubing changed change"
    " meal sleep well fine ok started stopped order measured done"
)


class Said(Struct, frozen=True):
    """What a report says: its kind, whether it is over, and whether it is a sign of danger.

    `topic` are its words but for those that say it is over. `clots` names a new clot or necrosis,
    which the 4Ts ask for; `excludes_hit` that somebody ruled heparin-induced thrombocytopenia out.
    """

    kind: Kind
    topic: frozenset[str] = frozenset()
    is_over: bool = False
    is_severe: bool = False
    clots: bool = False
    excludes_hit: bool = False


@lru_cache(maxsize=4096)
def read_words(what: str) -> Said:
    """What the `what` of a report means; see the head of this file.

    Of several parts a complaint that is not over speaks first, then one that is, then the rest.
    """
    texts = (" ".join(re.findall(r"[a-z]+", part)) for part in _PARTS.split(what.lower()))
    parts = [_read_part(text) for text in texts if text] or [_read_part("")]
    return min(parts, key=_rank)


def _rank(said: Said) -> tuple[int, bool, bool, int]:
    """Which part of a report speaks for it: the lowest."""
    is_complaint = said.kind in _COMPLAINTS
    return (
        int(said.is_over) if is_complaint else 2,
        said.kind != "bleeding",
        not said.is_severe,
        _KINDS.index(said.kind),
    )


def _read_part(text: str) -> Said:
    """What one part of a sentence means, its words in small letters with a space between."""
    words = frozenset(text.split())
    topic = words - _OVER
    is_over = bool(words & _OVER) and not (words & _STILL or _NOT_OVER.search(text))
    kind = _kind(text, words)
    if kind == "supplies":
        is_over = bool(words & _SUPPLIED)
    elif kind == "plan":
        is_over = bool(words & _CANCELLED)
    elif kind == "hospital":
        is_over = bool(words & _DISCHARGED)
    elif _CATHETER.search(text):
        is_over = False
    is_hit = bool(words & _HEPARIN_ILLNESS)
    return Said(
        kind,
        topic,
        is_over=is_over,
        is_severe=is_hit or bool(words & _SEVERE),
        clots=bool(words & _CLOTS) and not is_over,
        excludes_hit=is_hit and is_over,
    )


def _kind(text: str, words: frozenset[str]) -> Kind:
    """The first kind that fits, the most dangerous first."""
    is_catheter = bool(_CATHETER.search(text))
    if not is_catheter and (words & _BLEEDING or _BLOODY.search(f"{text} ")):
        return "bleeding"
    if words & _BRUISING:
        return "bruising"
    if is_catheter or words & (_COMPLICATION | _SEVERE | _HEPARIN_ILLNESS):
        return "complication"
    if words & (_PLANNED | _CANCELLED) and words & (_VISIT | _SUPPLIES):
        return "plan"
    if words & _VISIT:
        return "visit"
    if words & _SUPPLIES:
        return "supplies"
    if words & _HOSPITAL:
        return "hospital"
    return "none" if words and words <= _NO_COMPLAINT else "other"

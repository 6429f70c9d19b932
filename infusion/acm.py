"""An alert in the words of IHE's alert communication (ACM): derived from what is published.

One change of an alert is one ACM message. Phase, state, inactivation, priority and type follow
from the change and the alert alone, by the tables below, so an outlet needs nothing else. Source:
IHE DEV.SDPi, gateway for ACM [V]: `update` is anything that is no other phase, also active →
latched; `escalate` and `deescalate` are said only when the priority alone changed; `end` when
nothing is latched, `reset` when a latched alert is cleared; `inactive` only when leaving.
"""

from enum import StrEnum

from msgspec import Struct

from infusion.alarms import Priority
from infusion.alert import Alert, AlertChange, Change


class Phase(StrEnum):
    """Facet 3: what this message is in the life of the alert."""

    START = "start"
    CONTINUE = "continue"
    UPDATE = "update"
    ESCALATE = "escalate"
    DEESCALATE = "deescalate"
    END = "end"
    RESET = "reset"


class Acm(Struct, frozen=True):
    """The facets of one ACM message that say how the alert stands.

    `inactivation` may repeat; `enabled` stands alone. `priority` is PH, PM, PL or PN, `type` SP
    (physiological), ST (technical) or SA (advisory).
    """

    phase: Phase
    state: str
    inactivation: tuple[str, ...]
    priority: str
    type: str


# None: ACM has heard of the end already; what happens afterwards is between people.
PHASES: dict[Change, Phase | None] = {
    "raised": Phase.START,
    "escalated": Phase.ESCALATE,
    "deescalated": Phase.DEESCALATE,
    "updated": Phase.UPDATE,
    "latched": Phase.UPDATE,
    "returned": Phase.UPDATE,
    "cleared": Phase.END,
    "cleared-unseen": Phase.END,
    "dropped": None,
    "called": Phase.UPDATE,
    "lapsed": Phase.UPDATE,
    "woken": Phase.UPDATE,
    "audio-resumed": Phase.UPDATE,
    "taken": Phase.UPDATE,
    "offered": Phase.UPDATE,
    "released": Phase.UPDATE,
    "declined": Phase.UPDATE,
    "acknowledged": Phase.UPDATE,
    "audio-paused": Phase.UPDATE,
    "snoozed": Phase.UPDATE,
    "noted": Phase.UPDATE,
    "seen": None,
}
STATES = {"raised": "active", "latched": "latched", "cleared": "inactive"}
PRIORITIES = {
    Priority.HIGH: "PH",
    Priority.MEDIUM: "PM",
    Priority.LOW: "PL",
    Priority.NOTICE: "PN",
}
# What is said of the patient is physiological, of pump and infusion technical. What is only due
# to be done, and every notice, is advisory.
TYPES = {
    "device": "ST",
    "technical": "ST",
    "therapy": "ST",
    "delivery": "ST",
    "laboratory": "SP",
    "care": "SA",
}
_OF_THE_PATIENT = frozenset({"bleeding", "complication-reported"})


def acm(change: AlertChange) -> Acm | None:
    """The facets of the message that a change is; None where ACM has nothing to say."""
    alert = change.alert
    phase = PHASES[change.change]
    if phase is None:
        return None
    if phase is Phase.END and alert.latched:
        phase = Phase.RESET
    return _facets(phase, alert)


def resent(alert: Alert) -> Acm:
    """The facets of an open alert that is said again, to keep it alive or after a reconnect."""
    return _facets(Phase.CONTINUE, alert)


def _facets(phase: Phase, alert: Alert) -> Acm:
    return Acm(
        phase=phase,
        state=STATES[alert.state],
        inactivation=_inactivation(alert),
        priority=PRIORITIES[alert.priority],
        type=_type(alert),
    )


def _inactivation(alert: Alert) -> tuple[str, ...]:
    facts = alert.facts
    found = [
        word
        for word, deed in (
            ("audio-paused", facts.audio_paused),
            ("alarm-paused", facts.snoozed),
            ("alert-acknowledged", facts.acknowledged),
        )
        if deed is not None
    ]
    return tuple(found) or ("enabled",)


def _type(alert: Alert) -> str:
    if alert.priority is Priority.NOTICE:
        return "SA"
    if alert.rule in _OF_THE_PATIENT:
        return "SP"
    return TYPES[alert.category]

"""What a monitor says of a hazard, and what people do about it: the alert's own messages.

An alert is a hazard that was said aloud. What *people* did about it is kept apart from what the
*hazard* does: taking responsibility, acknowledging and silencing are three facts, and none of them
makes a hazard smaller. docs/alert-life.md tells the whole life.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.alarms import Priority
from infusion.prescription import Name, TimeMs

NOTES_MAX = 8
ALERT_ID_LENGTH_MAX = 256

# Who: a person's short name or a role, as the site writes it; never a patient's.
Who = Annotated[str, Meta(min_length=1, max_length=64)]
Words = Annotated[str, Meta(max_length=256)]


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why an alert stands: what was seen, what was expected, and the limit between them.

    `unit` belongs to `observed`, `expected`, `low` and `high` (the bounds while data is missing).
    `from_ms` to `to_ms` is the interval looked at, `samples` the messages used in it. `dose_iu` is
    what this hazard has given too much (+) or too little (−) so far.
    """

    observed: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    limit: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    samples: int | None = None
    detail: str = ""
    dose_iu: float | None = None


class Deed(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing that a person did about an alert: who, in which role, when, and until when.

    Times are on the pump's clock. `to` is whom an alert was offered to, `text` what a note says.
    """

    by: str
    at_ms: int
    role: str | None = None
    until_ms: int | None = None
    to: str | None = None
    text: str = ""


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What people did about an alert; each fact stands for itself, and none implies another.

    - `taken`: somebody is responsible, until `until_ms`. `offered`: that person asks another to
      take over, and stays responsible until the other does.
    - `declined`: the last who said that they cannot come; the next level is called.
    - `acknowledged`: somebody has seen it. A rise in priority asks for that again.
    - `audio_paused`: no sound until `until_ms`. `snoozed`: not shown as urgent until then.
    - `notes`: the newest `NOTES_MAX`; all of them are in the audit.
    """

    taken: Deed | None = None
    offered: Deed | None = None
    declined: Deed | None = None
    acknowledged: Deed | None = None
    audio_paused: Deed | None = None
    snoozed: Deed | None = None
    notes: tuple[Deed, ...] = ()


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who is called about an alert that nobody has taken: the level of escalation.

    `number` counts the levels of the policy from 1 and never falls while the alert is open;
    `failsafe` marks the last one, which every policy has. `since_ms` is when it was called last,
    `who` was on call then by the rota, where there is one for that level.
    """

    number: int
    name: str
    since_ms: int
    failsafe: bool = False
    who: tuple[str, ...] = ()


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One alert as it stands. `id` derives from pump, rule and onset, so a repeat has the same.

    `version` counts its changes from 1. Times are on the pump's own clock: `onset_ms` when the
    condition began, `raised_ms` when it had lasted long enough, `cleared_ms` when it was over.

    - `state`: `raised` while the hazard is there, `latched` when it is gone and nobody has
      acknowledged it yet, `cleared` when the alert is over.
    - `suppresses` names rules whose alerts this one hides as its consequences. `priority` is at
      least that of the worst of them.
    - `what` happened, and what to look at `first`, in words; `advice` is what the protocol says,
      as information and never as an order.
    - `facts` is what people did, `called` who is called as long as nobody has taken it.
    - `flaps`: how often it came and went within an hour, once that is too often to be said anew
      each time. `latched`: it was, or is, held after the hazard was gone.
    - `unseen`: it was HIGH, and over before anybody took or acknowledged it.
    - `merged_into`: the id of the alert that tells the cause, and this one's hazard from then on.
    """

    id: str
    site: str
    pump: str
    therapy: str | None = None
    rule: str
    category: str
    title: str
    priority: Priority
    state: Literal["raised", "latched", "cleared"]
    version: int
    onset_ms: int
    raised_ms: int
    changed_ms: int
    cleared_ms: int | None = None
    evidence: Evidence
    suppresses: tuple[str, ...] = ()
    what: str = ""
    first: str = ""
    advice: str = ""
    facts: Facts = Facts()
    called: Call | None = None
    flaps: int = 0
    latched: bool = False
    unseen: bool = False
    merged_into: str = ""

    @property
    def dose_iu(self) -> float | None:
        """IU given too much (+) or too little (−) by this hazard so far."""
        return self.evidence.dose_iu


class OpenAlerts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every open alert of one pump; retained. `version` grows with each change.

    `unseen` are HIGH alerts that are over and that nobody has seen; they wait to be acknowledged.
    """

    site: str
    pump: str
    version: int
    alerts: tuple[Alert, ...]
    unseen: tuple[Alert, ...] = ()


Change = Literal[
    # what the hazard did
    "raised",
    "escalated",
    "deescalated",
    "updated",
    "latched",
    "returned",
    "cleared",
    "cleared-unseen",
    "dropped",
    # what time did
    "called",
    "lapsed",
    "woken",
    "audio-resumed",
    # what people did
    "taken",
    "offered",
    "released",
    "declined",
    "acknowledged",
    "audio-paused",
    "snoozed",
    "noted",
    "seen",
]
# After one of these the alert is in the open list no more; after `cleared-unseen` it waits in
# `unseen` until it is seen or, when there are too many, dropped.
CLOSING: frozenset[Change] = frozenset({"cleared", "cleared-unseen"})
LEAVING_UNSEEN: frozenset[Change] = frozenset({"seen", "dropped"})


class AlertChange(Struct, frozen=True, kw_only=True):
    """One change of one alert. `(alert.id, alert.version)` names it: a repeat is the same change.

    `list_version` is the version of the pump's open list that holds the change. The words of
    `change` are explained in docs/alert-life.md.
    """

    change: Change
    list_version: int
    alert: Alert


What = Literal[
    "take",
    "hand-on",
    "release",
    "decline",
    "acknowledge",
    "audio-pause",
    "audio-resume",
    "snooze",
    "wake",
    "note",
]


class Act(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person does about an alert. `act` names it: the same act again does nothing.

    `version` is the version of the alert that the person saw. `until_ms` counts from `time_ms`, on
    the person's own clock: only the length between the two is used, because the pump's clock may
    be another. `to` is whom an alert is handed on to, a person or a role; `text` is a note's, or
    the reason of any other act.
    """

    act: Name
    pump: Name
    alert: Annotated[str, Meta(min_length=1, max_length=ALERT_ID_LENGTH_MAX)]
    version: Annotated[int, Meta(ge=1, le=2**53)]
    what: What
    by: Who
    role: Who | None = None
    time_ms: TimeMs
    until_ms: TimeMs | None = None
    to: Who | None = None
    text: Words = ""


Outcome = Literal["done", "late", "refused"]


class Audit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an act, in a sentence, with what people had done before and after it.

    - `done`: it was. - `late`: somebody, or time, was first; the sentence says who and when.
    - `refused`: it cannot be done to this alert; the sentence says why and what can.

    The versions and facts are None where there is no such alert. `at_ms` is on the pump's clock.
    """

    site: str
    pump: str
    act: Act
    outcome: Outcome
    sentence: str
    at_ms: int
    version_before: int | None = None
    version_after: int | None = None
    before: Facts | None = None
    after: Facts | None = None

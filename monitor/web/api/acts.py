"""What a person does about an alert: the same acts as over MQTT, by who is signed in.

The page says which version of the alert the person saw; the core compares (infusion/acts.py), so of
two people who take the same alert one is told that the other was first.
"""

import uuid
from typing import Annotated

from msgspec import Meta, Struct

from infusion.alert import ALERT_ID_LENGTH_MAX, Act, Audit, What, Who, Words
from infusion.errors import MessageError
from infusion.prescription import NAME_PATTERN, Name
from infusion.state import PumpState
from infusion.units import MS_PER_SECOND
from monitor.people import Person
from monitor.web.api.alerts import find_alert
from monitor.web.api.office import Office, find_audit, role_of
from monitor.web.operations import PREFIX, Call, Operation
from monitor.web.problems import Problem, problem

# The policy bounds each length further, and says so.
LENGTH_S_MAX = 7 * 24 * 3_600
_PART = NAME_PATTERN.removeprefix("^").split("$")[0]

AlertId = Annotated[
    str,
    Meta(
        pattern=rf"^{_PART}/{_PART}/{_PART}/[0-9]{{1,16}}$(?!\n)",
        max_length=ALERT_ID_LENGTH_MAX,
        description="site/pump/rule/onset: the id of an alert",
    ),
]


class ActBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is done about which alert. `version` is the version of it that the person saw.

    `for_s` is for how long, in seconds of the pump's clock; without it the policy's usual length.
    `to` is whom it is handed on to, a name or a role; `text` a note's text, or the reason. `act`
    names the act: sent twice under one name, it is done once and answered twice.
    """

    alert: AlertId
    version: Annotated[int, Meta(ge=1, le=2**53)]
    what: What
    for_s: Annotated[int, Meta(ge=1, le=LENGTH_S_MAX)] | None = None
    to: Who | None = None
    text: Words = ""
    act: Name | None = None


async def do_act(office: Office, call: Call[ActBody]) -> Audit:
    """Do something about an alert: take it, hand it on, acknowledge it, snooze it, …

    What each act means is in docs/alert-life.md. The answer is the audit row, with what people had
    done before and after. Late is a problem with the sentence that says who was first, and the
    audit row as `audit`.
    """
    body, ward = call.given, office.ward
    site, pump = body.alert.split("/")[:2]
    key, state = office.pump(site, pump)
    if not _was_ever(state, body.alert, office):
        raise problem("unknown-alert", f"there is no alert {body.alert}; it may never have been")
    act = _act(office, call.person, body, pump)
    try:
        audit = await ward.act(site, act)
    except MessageError as error:
        if error.kind != "again":
            raise
        audit = await _known(office, key, act)
    if audit.outcome == "done":
        return audit
    raise _not_done(audit)


def _act(office: Office, person: Person, body: ActBody, pump: str) -> Act:
    now_ms = office.ward.now_ms()
    return Act(
        act=body.act or f"web-{uuid.uuid4().hex}",
        pump=pump,
        alert=body.alert,
        version=body.version,
        what=body.what,
        by=person.name,
        role=_role(office, person, body.alert),
        time_ms=now_ms,
        until_ms=now_ms + body.for_s * MS_PER_SECOND if body.for_s is not None else None,
        to=body.to,
        text=body.text,
    )


def _role(office: Office, person: Person, name: str) -> str | None:
    """In which role somebody acts: the one that the alert was offered to, if they have that."""
    alert = find_alert(office.ward.monitor, name)
    if alert is not None and alert.facts.offered is not None:
        to = alert.facts.offered.to
        if to is not None and to in person.roles:
            return to
    return role_of(person, "act") or None


def _was_ever(state: PumpState, name: str, office: Office) -> bool:
    """Whether the alert is open, unseen, or can have been before: the core tells which."""
    if find_alert(office.ward.monitor, name) is not None:
        return True
    rule, onset = name.split("/")[2:]
    ended_ms = state.board.ended_ms.get(rule)
    return ended_ms is not None and int(onset) <= ended_ms


async def _known(office: Office, key: str, act: Act) -> Audit:
    """What became of an act that was stored before, if it is the same. Raises Problem."""
    audit = await find_audit(office.ward, key, act)
    same = ("alert", "what", "by", "to", "text")
    if audit is not None and all(getattr(audit.act, f) == getattr(act, f) for f in same):
        return audit
    detail = (
        f"another act was done under the name {act.act} before; give this one a name of its own"
    )
    raise problem("act-known", detail)


def _not_done(audit: Audit) -> Problem:
    if audit.outcome == "late":
        return problem("late", audit.sentence, audit=audit)
    if audit.version_before is None:
        return problem("unknown-alert", audit.sentence, audit=audit)
    return problem("refused", audit.sentence, audit=audit)


OPERATIONS = (
    Operation(
        method="POST",
        path=f"{PREFIX}/acts",
        handler=do_act,
        right="act",
        body=ActBody,
        answer=Audit,
        problems=("unknown-pump", "unknown-alert", "late", "act-known", "refused"),
    ),
)

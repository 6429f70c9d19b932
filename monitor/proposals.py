"""Orders that two people make: one proposes, another confirms, and only then the order is told.

A proposal is a value; nothing here reads a clock or a file (monitor/proposal_store.py keeps them).

                 confirm      reject       time
    proposed     confirmed    rejected     expired
    confirmed    –            –            –
    rejected     –            –            –
    expired      –            –            –

- **Confirming** is an independent double check (ISMP): never by who proposed it. What is confirmed
  is the order that was proposed, against the order that was in force then. Is another one in force
  by now, then nobody has checked what would change, and it is refused.
- **Rejecting** is for anybody who may confirm, and for who proposed it: a slip that is noticed must
  not wait for a second person.
- A proposal expires `LIFE_MS` after it was made [A]: an order is checked in the state it was made
  for. All of this is on the monitor's clock.

Who confirms is written down first (`confirming`), then the order is told, then the proposal is
closed. If the monitor ends in between, the order in force tells what happened (`settle`).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from infusion.prescription import Name, Prescription
from infusion.units import MS_PER_HOUR
from infusion.words import span

LIFE_MS = 4 * MS_PER_HOUR
# Proposals of one therapy that may wait at once; more would hide each other.
WAITING_MAX = 8
REASON_LENGTH_MAX = 256

State = Literal["proposed", "confirmed", "rejected", "expired"]
StepWhat = Literal["proposed", "confirming", "confirmed", "rejected", "expired"]
Reason = Annotated[str, Meta(max_length=REASON_LENGTH_MAX)]


class ProposalStep(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to a proposal: who, when (monitor's clock), and why. `by` is empty
    where it was time."""

    what: StepWhat
    at_ms: int
    by: str = ""
    role: str = ""
    text: str = ""


class Proposal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order that somebody proposes for a therapy.

    `against` is the version of the order in force that it was compared with, 0 for none; the
    prescription has the next one. `changes` says what differs, `warnings` what to look at twice.
    """

    id: Name
    site: str
    therapy: str
    by: str
    at_ms: int
    until_ms: int
    against: int
    prescription: Prescription
    changes: tuple[str, ...]
    state: State
    warnings: tuple[str, ...] = ()
    text: str = ""
    steps: tuple[ProposalStep, ...] = ()


class Denial(Struct, frozen=True):
    """Why something cannot be done to a proposal: the slug of a problem, and the sentence."""

    slug: str
    detail: str


def propose(proposal: Proposal, role: str) -> Proposal:
    """A new proposal, with its first step."""
    return stepped(proposal, "proposed", proposal.by, proposal.at_ms, role=role, text=proposal.text)


def stepped(
    proposal: Proposal, what: StepWhat, by: str, at_ms: int, *, role: str = "", text: str = ""
) -> Proposal:
    """The proposal after a step. Who confirms closes it only once the order is told."""
    step = ProposalStep(what=what, at_ms=at_ms, by=by, role=role, text=text)
    state = proposal.state if what == "confirming" else what
    return replace(proposal, state=state, steps=(*proposal.steps, step))


def settle(proposal: Proposal, in_force: Prescription | None, now_ms: int) -> Proposal:
    """The proposal as it is now: what time did, and what a monitor that ended could not write."""
    if proposal.state != "proposed":
        return proposal
    last = proposal.steps[-1] if proposal.steps else None
    if last is not None and last.what == "confirming" and in_force == proposal.prescription:
        return stepped(proposal, "confirmed", last.by, last.at_ms, role=last.role, text=last.text)
    if now_ms >= proposal.until_ms:
        return stepped(proposal, "expired", "", proposal.until_ms)
    return proposal


def deny_confirm(proposal: Proposal, by: str, in_force: Prescription | None) -> Denial | None:
    """Why somebody cannot confirm it; None where they can. `settle` comes first.

    Names are compared without case: two that differ in case alone are one person.
    """
    if (closed := _closed(proposal)) is not None:
        return closed
    if by.casefold() == proposal.by.casefold():
        return Denial(
            "same-person", f"{by} proposed it; another nurse or pharmacist must check and confirm"
        )
    version = in_force.version if in_force is not None else 0
    if version != proposal.against:
        return order_changed(proposal, version)
    return None


def deny_reject(proposal: Proposal) -> Denial | None:
    """Why it cannot be rejected; None where it can. `settle` comes first."""
    return _closed(proposal)


def order_changed(proposal: Proposal, version: int) -> Denial:
    """Another order is in force than the one that it was proposed against."""
    was = f"version {proposal.against}" if proposal.against else "no order"
    return Denial(
        "order-changed",
        f"it was proposed against {was}, and version {version} is in force now; look at that one,"
        " then propose again",
    )


def _closed(proposal: Proposal) -> Denial | None:
    if proposal.state == "proposed":
        return None
    last = proposal.steps[-1]
    if proposal.state == "expired":
        life = span(proposal.until_ms - proposal.at_ms)
        detail = f"it expired {life} after it was proposed; propose it again"
    else:
        detail = f"{last.by} {proposal.state} it already"
    return Denial("proposal-closed", detail)

"""Proposing an order, and the second person who confirms or rejects it (monitor/proposals.py)."""

import uuid
from typing import Annotated

from msgspec import Meta, Struct

from infusion.errors import MessageError
from infusion.prescription import (
    STEPS_MAX,
    Name,
    Prescription,
    Step,
    WeightKg,
)
from monitor.order_changes import PumpLimits, differences
from monitor.order_entry import (
    BagIuMl,
    Comparison,
    OrderEntry,
    begins_ms,
    compared,
    entered,
)
from monitor.proposals import (
    LIFE_MS,
    WAITING_MAX,
    Denial,
    Proposal,
    Reason,
    State,
    deny_confirm,
    deny_reject,
    order_changed,
    propose,
    settle,
    stepped,
)
from monitor.web.api.office import Office, cursor, read_cursor, role_of
from monitor.web.operations import PREFIX, Call, CursorText, Limit, Nothing, Operation, Site
from monitor.web.problems import Problem, problem


class OrderBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An order: the whole timeline anew, past steps included. `text` is why it is changed.

    `against` is the version of the order that the person saw, 0 for none; without it the one that
    is in force now.
    """

    pump: Name
    weight_kg: WeightKg
    concentration_iu_ml: BagIuMl
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=STEPS_MAX)]
    text: Reason = ""
    against: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class EnteredOrder(Struct, frozen=True):
    """The order that a change leads to, to be proposed as it is, `against` the one in force; and
    both as they stand when it begins."""

    pump: Name
    weight_kg: WeightKg
    concentration_iu_ml: BagIuMl
    steps: tuple[Step, ...]
    against: int
    comparison: Comparison


class DecisionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Why; it may stay empty."""

    text: Reason = ""


class ProposalQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which proposals are asked for."""

    site: Site = ""
    state: Annotated[State | None, Meta(description="only those that stand so")] = None
    limit: Limit = 100
    cursor: CursorText = ""


class ProposalPage(Struct, frozen=True, omit_defaults=True):
    """Some proposals, newest first, and the cursor of the next ones."""

    items: list[Proposal]
    next: str = ""


async def propose_order(office: Office, call: Call[OrderBody]) -> Proposal:
    """Propose an order for a therapy; another person must confirm it before it is in force.

    The answer says what differs from the order in force, and what to look at twice. Steps that make
    no sense are refused by number.
    """
    site, therapy, body = call.path["site"], call.path["therapy"], call.given
    async with office.deciding:
        in_force = office.in_force(site, therapy)
        version = in_force.version if in_force is not None else 0
        if body.against is not None and body.against != version:
            detail = f"version {version} is in force, not {body.against}; look again, then propose"
            raise problem("order-changed", detail, version=version)
        prescription = Prescription(
            therapy=therapy,
            version=version + 1,
            pump=body.pump,
            weight_kg=body.weight_kg,
            concentration_iu_ml=body.concentration_iu_ml,
            steps=body.steps,
        )
        now_ms = office.ward.now_ms()
        found = differences(
            in_force, prescription, now_ms, pump=_limits(office, site, body.pump),
            library=office.library, local=office.local(site),
        )  # fmt: skip
        if not found.changes:
            raise MessageError("order", "nothing differs from the order in force")
        await _check_room(office, site, therapy, in_force, now_ms)
        proposal = propose(
            Proposal(
                id=f"order-{uuid.uuid4().hex[:16]}",
                site=site,
                therapy=therapy,
                by=call.person.name,
                at_ms=now_ms,
                until_ms=now_ms + LIFE_MS,
                against=version,
                prescription=prescription,
                changes=found.changes,
                warnings=found.warnings,
                text=body.text,
                state="proposed",
            ),
            role_of(call.person, "order"),
        )
        await office.proposals.add(proposal)
    return proposal


async def enter_order(office: Office, call: Call[OrderEntry]) -> EnteredOrder:
    """What a change of the order in force would lead to; nothing is proposed or kept by it.

    A change is one thing (a rate, a hold, a bolus, …) from an instant on; the past stays as it was.
    """
    site, therapy, entry = call.path["site"], call.path["therapy"], call.given
    in_force, now_ms = office.in_force(site, therapy), office.ward.now_ms()
    order = entered(in_force, entry, therapy, now_ms)
    return EnteredOrder(
        pump=order.pump,
        weight_kg=order.weight_kg,
        concentration_iu_ml=order.concentration_iu_ml,
        steps=order.steps,
        against=in_force.version if in_force is not None else 0,
        comparison=compared(in_force, order, begins_ms(entry, now_ms)),
    )


async def list_proposals(office: Office, call: Call[ProposalQuery]) -> ProposalPage:
    """Proposed orders, newest first, with who did what to each."""
    query = call.given
    place = read_cursor("proposals", query.cursor)
    numbered = await office.proposals.newest(
        state=query.state,
        site=query.site,
        before=place.after if place is not None and isinstance(place.after, int) else None,
        limit=query.limit + 1,
    )
    shown = numbered[: query.limit]
    settled = [await _settled(office, each.proposal) for each in shown]
    return ProposalPage(
        [each for each in settled if query.state is None or each.state == query.state],
        cursor("proposals", shown[-1].number) if len(numbered) > query.limit else "",
    )


async def show_proposal(office: Office, call: Call[Nothing]) -> Proposal:
    """One proposed order, with who did what to it."""
    return await _found(office, call.path["id"])


async def confirm_proposal(office: Office, call: Call[DecisionBody]) -> Proposal:
    """Confirm an order that another person proposed: from now on it is the order in force.

    Refused for who proposed it, and when another order is in force than the one it was proposed
    against.
    """
    by, role = call.person.name, role_of(call.person, "confirm")
    async with office.deciding:
        found = await _found(office, call.path["id"])
        _refuse(found, deny_confirm(found, by, office.in_force(found.site, found.therapy)))
        now_ms, text = office.ward.now_ms(), call.given.text
        noted = await _moved(office, found, stepped(found, "confirming", by, now_ms, role=role))
        await office.ward.tell(found.site, found.prescription)
        in_force = office.in_force(found.site, found.therapy)
        if in_force != found.prescription:
            # Another order of the same version came over the wire in between, and holds.
            _refuse(found, order_changed(found, in_force.version if in_force is not None else 0))
        done = stepped(noted, "confirmed", by, office.ward.now_ms(), role=role, text=text)
        return await _moved(office, noted, done)


async def reject_proposal(office: Office, call: Call[DecisionBody]) -> Proposal:
    """Reject a proposed order, or take back one's own; `text` says why."""
    by, role = call.person.name, role_of(call.person, "confirm")
    async with office.deciding:
        found = await _found(office, call.path["id"])
        _refuse(found, deny_reject(found))
        now_ms = office.ward.now_ms()
        after = stepped(found, "rejected", by, now_ms, role=role, text=call.given.text)
        return await _moved(office, found, after)


async def _found(office: Office, name: str) -> Proposal:
    """A proposal as it stands now. Raises Problem 404."""
    proposal = await office.proposals.get(name)
    if proposal is None:
        raise problem("unknown-proposal", f"there is no proposal {name}")
    return await _settled(office, proposal)


async def _settled(office: Office, proposal: Proposal) -> Proposal:
    """What time did, or a monitor that ended in between, is written down when it is noticed."""
    in_force = office.in_force(proposal.site, proposal.therapy)
    after = settle(proposal, in_force, office.ward.now_ms())
    if after is not proposal and not await office.proposals.move(proposal, after):
        # Somebody else noticed it at the same time.
        return await office.proposals.get(proposal.id) or after
    return after


async def _moved(office: Office, before: Proposal, after: Proposal) -> Proposal:
    if not await office.proposals.move(before, after):
        raise problem("proposal-closed", "somebody else decided on it just now; look again")
    return after


async def _check_room(
    office: Office, site: str, therapy: str, in_force: Prescription | None, now_ms: int
) -> None:
    """Raises Problem where too many proposals wait."""
    numbered = await office.proposals.of_therapy(site, therapy, state="proposed")
    settled = [settle(each.proposal, in_force, now_ms) for each in numbered]
    waiting = sum(each.state == "proposed" for each in settled)
    if waiting >= WAITING_MAX:
        detail = f"{waiting} proposals of {therapy} wait already; confirm or reject some first"
        raise problem("too-many-proposals", detail)


def _limits(office: Office, site: str, pump: str) -> PumpLimits:
    state = office.ward.monitor.pumps.get(f"{site}/{pump}")
    if state is None:
        return PumpLimits(is_known=False)
    rate_max = state.presence.rate_max_ml_h if state.presence is not None else None
    return PumpLimits(is_known=True, rate_max_ml_h=rate_max)


def _refuse(proposal: Proposal, denial: Denial | None) -> None:
    if denial is not None:
        raise _denied(proposal, denial)


def _denied(proposal: Proposal, denial: Denial) -> Problem:
    return problem(denial.slug, denial.detail, proposal=proposal)


_ONE = f"{PREFIX}/proposals/{{id}}"
OPERATIONS = (
    Operation(
        method="POST",
        path=f"{PREFIX}/therapies/{{site}}/{{therapy}}/orders",
        handler=propose_order,
        right="order",
        body=OrderBody,
        answer=Proposal,
        status=202,
        problems=("refused", "order-changed", "too-many-proposals"),
    ),
    Operation(
        method="POST",
        path=f"{PREFIX}/therapies/{{site}}/{{therapy}}/orders/preview",
        handler=enter_order,
        right="order",
        body=OrderEntry,
        answer=EnteredOrder,
        problems=("refused",),
    ),
    Operation(
        method="GET",
        path=f"{PREFIX}/proposals",
        handler=list_proposals,
        query=ProposalQuery,
        answer=ProposalPage,
        problems=("refused", "store-failed"),
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler=show_proposal,
        answer=Proposal,
        problems=("unknown-proposal", "store-failed"),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/confirm",
        handler=confirm_proposal,
        right="confirm",
        body=DecisionBody,
        answer=Proposal,
        problems=("unknown-proposal", "same-person", "order-changed", "proposal-closed", "refused"),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/reject",
        handler=reject_proposal,
        right="confirm",
        body=DecisionBody,
        answer=Proposal,
        problems=("unknown-proposal", "proposal-closed"),
    ),
)

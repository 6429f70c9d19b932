"""The log of all that was said: changes of alerts, and what became of what people did."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.prescription import TimeMs
from monitor.proposal_store import LIST_MAX
from monitor.web.api.office import HistoryRow, Office, history_row, order_step
from monitor.web.operations import PREFIX, Call, Limit, Operation, PumpKey
from monitor.web.problems import problem
from monitor.web.ward import LogQuery

Number = Annotated[int, Meta(ge=0, le=2**53)]


class HistoryQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows are asked for."""

    pump: PumpKey = ""
    kind: Annotated[
        Literal["change", "audit", "order"] | None,
        Meta(
            description="only changes of alerts, or only what people did about alerts; or the"
            " steps of proposed orders, which have numbers of their own"
        ),
    ] = None
    before: Annotated[Number | None, Meta(description="older than this row; newest first")] = None
    after: Annotated[Number | None, Meta(description="newer than this row; oldest first")] = None
    since_ms: Annotated[TimeMs | None, Meta(description="from then on, on the pump's clock")] = None
    limit: Limit = 100


class HistoryPage(Struct, frozen=True, omit_defaults=True):
    """Some rows. `next` is the `before` (or, with `after`, the `after`) of the page that follows;
    without it there is none."""

    items: list[HistoryRow]
    next: int | None = None


async def list_history(office: Office, call: Call[HistoryQuery]) -> HistoryPage:
    """What was said and done, newest first; with `after` oldest first, to follow along.

    Rows are numbered in the order in which they were said, and never change. Without a `kind` it is
    the log of alerts; who proposed, confirmed and rejected orders is asked for by `order`.
    """
    query = call.given
    if query.before is not None and query.after is not None:
        detail = "the parameters 'before' and 'after' are two directions; give one of them"
        raise problem("refused", detail, field="before")
    if query.kind == "order":
        return await _order_steps(office, query)
    rows = await office.ward.rows(
        LogQuery(
            before=query.before,
            after=query.after,
            pump=query.pump or None,
            kind=query.kind,
            since_ms=query.since_ms,
            limit=query.limit + 1,
        )
    )
    shown = rows[: query.limit]
    return HistoryPage(
        [history_row(row) for row in shown],
        shown[-1].number if len(rows) > query.limit else None,
    )


async def _order_steps(office: Office, query: HistoryQuery) -> HistoryPage:
    """Steps of orders. Those of one pump are looked for in a block of the newest ones at a time:
    `next` leads on from where it ends, whether any was found or not."""
    most = LIST_MAX if query.pump else query.limit
    steps = await office.proposals.steps(
        before=query.before, after=query.after, since_ms=query.since_ms or 0, limit=most
    )
    found: list[HistoryRow] = []
    number = None
    for each in steps:
        number = each.number
        step = order_step(each)
        if step is not None and query.pump in ("", f"{step.site}/{step.pump}"):
            found.append(HistoryRow(number, order=step))
        if len(found) == query.limit:
            break
    is_last = len(steps) < most and (not steps or number == steps[-1].number)
    return HistoryPage(found, None if is_last else number)


OPERATIONS = (
    Operation(
        method="GET",
        path=f"{PREFIX}/history",
        handler=list_history,
        query=HistoryQuery,
        answer=HistoryPage,
        problems=("refused", "store-failed"),
    ),
)

"""What the operations of the API share: the ward, the proposals, and pages that were begun."""

import asyncio
import base64
import binascii
import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct, msgpack
from msgspec.structs import replace

from infusion.alert import Act
from infusion.handling import Hours
from infusion.library import DrugEntry
from infusion.messages import AlertChange, Audit
from infusion.prescription import Prescription
from infusion.record import Record
from infusion.state import PumpState
from monitor.people import Person, Right, roles_with
from monitor.proposal_store import NumberedStep, ProposalStore
from monitor.proposals import StepWhat
from monitor.web.counts import WardCounts
from monitor.web.problems import problem
from monitor.web.ward import LogQuery, Row, Ward

T = TypeVar("T")

# Ids that walks through pages keep all together; of more the oldest walk is over.
WALKED_MAX = 200_000
# The log is looked back through in blocks of so many rows, so often at most: what is not picked out
# lies between what is.
ROWS_AT_ONCE = 500
ROWS_TIMES = 4


class Office:
    """One for each page. `library` is held against proposed orders, `viewers` counts streams."""

    def __init__(
        self,
        ward: Ward,
        proposals: ProposalStore,
        *,
        library: DrugEntry | None = None,
        viewers: Callable[[], int] = lambda: 0,
    ) -> None:
        self.ward = ward
        self.proposals = proposals
        self.library = library
        self.viewers = viewers
        self.walks = Walks()
        self.counts = WardCounts(ward)
        # Of two who decide on a proposal one is first.
        self.deciding = asyncio.Lock()

    def pump(self, site: str, name: str) -> tuple[str, PumpState]:
        """The key and the state of a pump. Raises Problem 404."""
        key = f"{site}/{name}"
        state = self.ward.monitor.pumps.get(key)
        if state is None:
            raise problem("unknown-pump", f"no pump {name} of the site {site} has been heard of")
        return key, state

    def record(self, site: str, therapy: str) -> Record:
        """What is known of a therapy. Raises Problem 404."""
        record = self.ward.monitor.therapies.records.get(f"{site}/{therapy}")
        if record is None:
            detail = (
                f"nothing is known of a therapy {therapy} at the site {site}; an order begins it"
            )
            raise problem("unknown-therapy", detail)
        return record

    def in_force(self, site: str, therapy: str) -> Prescription | None:
        """The order of a therapy that is in force."""
        record = self.ward.monitor.therapies.records.get(f"{site}/{therapy}")
        return record.order.prescription if record is not None and record.order else None

    def local(self, site: str) -> Hours:
        """The local time of a site, as the policy gives it."""
        made = self.ward.references.policy.made
        return (made.get(site) or made[""]).hours


def role_of(person: Person, right: Right) -> str:
    """In which of their roles somebody uses a right."""
    return next((role for role in roles_with(right) if role in person.roles), "")


# --- rows of the log -----------------------------------------------------------------------------


class OrderStep(Struct, frozen=True, omit_defaults=True):
    """What somebody did to a proposed order, on the monitor's clock; `by` is empty where it was
    time. `changes` is what the order changes, told where it is proposed."""

    proposal: str
    site: str
    therapy: str
    pump: str
    version: int
    what: StepWhat
    at_ms: int
    by: str = ""
    role: str = ""
    text: str = ""
    changes: tuple[str, ...] = ()


class HistoryRow(Struct, frozen=True, omit_defaults=True):
    """One row of the log of all that was said: a change of an alert, or what became of an act; or
    a step of a proposed order, which are numbered by themselves."""

    number: int
    change: AlertChange | None = None
    audit: Audit | None = None
    order: OrderStep | None = None


def history_row(row: Row) -> HistoryRow:
    """A row of the log, as it is answered."""
    if isinstance(row.said, AlertChange):
        return HistoryRow(row.number, change=row.said)
    return HistoryRow(row.number, audit=row.said)


def order_step(numbered: NumberedStep) -> OrderStep | None:
    """A step as it is answered; None for the one that only says that somebody is at it."""
    step, proposal = numbered.step, numbered.proposal
    if step.what == "confirming":
        return None
    return OrderStep(
        proposal=proposal.id,
        site=proposal.site,
        therapy=proposal.therapy,
        pump=proposal.prescription.pump,
        version=proposal.prescription.version,
        what=step.what,
        at_ms=step.at_ms,
        by=step.by,
        role=step.role,
        text=step.text,
        changes=proposal.changes if step.what == "proposed" else (),
    )


async def find_audit(ward: Ward, key: str, act: Act) -> Audit | None:
    """What became of an act that is stored already, among the newest of its pump."""
    for row in await ward.rows(LogQuery(pump=key, kind="audit", limit=200)):
        if isinstance(row.said, Audit) and row.said.act.act == act.act:
            return row.said
    return None


async def look_back(
    ward: Ward, query: LogQuery, pick: Callable[[Row], T | None], most: int
) -> tuple[list[T], bool]:
    """What is picked out of the newest rows of the log, newest first, and whether that is all.

    At most `most` of them, out of at most `ROWS_TIMES` × `ROWS_AT_ONCE` rows. Raises StoreError.
    """
    found: list[T] = []
    query = replace(query, limit=ROWS_AT_ONCE)
    for _ in range(ROWS_TIMES):
        rows = await ward.rows(query)
        found += [picked for row in rows if (picked := pick(row)) is not None]
        if len(rows) < ROWS_AT_ONCE or len(found) > most:
            return found[:most], len(found) <= most
        query = replace(query, before=rows[-1].number)
    return found[:most], False


# --- pages ---------------------------------------------------------------------------------------


class _Cursor(Struct, frozen=True, array_like=True):
    """Where the next page begins: of which list, and after what."""

    of: str
    after: int | str
    walk: int = 0


_CURSOR = msgpack.Decoder(_Cursor)


def cursor(of: str, after: int | str, walk: int = 0) -> str:
    """The text of a cursor; nobody outside need know what is in it."""
    data = msgpack.encode(_Cursor(of, after, walk))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_cursor(of: str, text: str) -> _Cursor | None:
    """Where a page begins; None for the first. Raises Problem for what this list never gave."""
    if not text:
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = _CURSOR.decode(data)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        found = None
    if found is None or found.of != of:
        detail = "the parameter 'cursor': this list never gave it; leave it out to begin"
        raise problem("refused", detail, field="cursor")
    return found


class Walks:
    """Lists whose order changes while somebody pages through them: the order is kept as it was.

    So nothing is missed because it moved forward in between, and nothing comes twice.
    """

    def __init__(self, kept_max: int = WALKED_MAX) -> None:
        self._kept_max = kept_max
        self._walks: dict[int, tuple[str, ...]] = {}
        self._kept = 0
        # A monitor that was started anew must not take an old cursor for one of its own.
        self._numbers = itertools.count(secrets.randbits(40))

    def begin(self, ids: Sequence[str]) -> int:
        """Keep an order; the number of the walk."""
        number = next(self._numbers)
        self._walks[number] = tuple(ids)
        self._kept += len(ids)
        while self._kept > self._kept_max and len(self._walks) > 1:
            self._kept -= len(self._walks.pop(next(iter(self._walks))))
        return number

    def ids(self, walk: int) -> tuple[str, ...]:
        """The ids of a walk. Raises Problem 410 when it is no longer kept."""
        found = self._walks.get(walk)
        if found is None:
            raise problem("cursor-over", "these pages are no longer kept; begin without a cursor")
        return found

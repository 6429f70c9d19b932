"""Therapies: what is ordered, what the laboratory and people say, and telling the monitor of it."""

import heapq
import uuid
from typing import Annotated

from msgspec import Meta, Struct

from infusion.clinical import LabResult, LabTest, Report, Text
from infusion.errors import MessageError
from infusion.prescription import Name, Prescription, TimeMs
from infusion.record import Record
from infusion.units import MS_PER_MINUTE
from monitor.order_entry import Standing, standing
from monitor.proposals import Proposal, settle
from monitor.web.api.office import Office, cursor, read_cursor
from monitor.web.operations import (
    PREFIX,
    Call,
    CursorText,
    Limit,
    Nothing,
    Operation,
    Search,
    Site,
)

# A laboratory's clock, or a person's, may be ahead of the monitor's by so much. [A]
AHEAD_MS = 5 * MS_PER_MINUTE
PROPOSALS_SHOWN = 50


class TherapyQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which therapies are asked for."""

    site: Site = ""
    q: Search = ""
    limit: Limit = 100
    cursor: CursorText = ""


class TherapyRow(Struct, frozen=True, omit_defaults=True):
    """A therapy in a list; `version` is of the order in force, 0 without one."""

    key: str
    site: str
    therapy: str
    pump: str = ""
    version: int = 0
    results: int = 0
    reports: int = 0


class TherapyPage(Struct, frozen=True, omit_defaults=True):
    """Some therapies, and the cursor of the next ones."""

    items: list[TherapyRow]
    next: str = ""


class TherapyView(Struct, frozen=True, omit_defaults=True):
    """A therapy: its order in force, results and reports (oldest first), proposals (newest first)
    with who did what to them. `pump` is the one that its order names, `standing` what the order
    says now."""

    key: str
    results: list[LabResult]
    reports: list[Report]
    proposals: list[Proposal]
    prescription: Prescription | None = None
    pump: str = ""
    standing: Standing | None = None


class ResultBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A laboratory result. `value` null: there is none, and `problem` says why. `resulted_ms` is
    now where it is left out. The unit must be the one in which the test is read."""

    specimen: Name
    test: LabTest
    value: Annotated[float, Meta(ge=0, le=100_000)] | None
    unit: Annotated[str, Meta(min_length=1, max_length=16)]
    drawn_ms: TimeMs
    resulted_ms: TimeMs | None = None
    bound: Annotated[str, Meta(pattern=r"^(below|above)?$(?!\n)")] = ""
    problem: Text = ""


class ReportBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says happened. `time_ms` is now where it is left out; `report` names it: sent
    twice under one name it is one report."""

    what: Annotated[str, Meta(min_length=1, max_length=64)]
    detail: Text = ""
    time_ms: TimeMs | None = None
    report: Name | None = None


async def list_therapies(office: Office, call: Call[TherapyQuery]) -> TherapyPage:
    """Every therapy that is known, by site and name."""
    query = call.given
    place = read_cursor("therapies", query.cursor)
    after = place.after if place is not None and isinstance(place.after, str) else ""
    text = query.q.casefold()
    records = office.ward.monitor.therapies.records
    prefix = f"{query.site}/" if query.site else ""
    found = heapq.nsmallest(
        query.limit + 1,
        (
            key
            for key, record in records.items()
            if key > after and key.startswith(prefix) and (not text or _has(key, record, text))
        ),
    )
    shown = found[: query.limit]
    return TherapyPage(
        [_row(key, records[key]) for key in shown],
        cursor("therapies", shown[-1]) if len(found) > query.limit else "",
    )


async def show_therapy(office: Office, call: Call[Nothing]) -> TherapyView:
    """One therapy: order in force, laboratory results, reports, and proposed orders."""
    site, therapy = call.path["site"], call.path["therapy"]
    record = office.record(site, therapy)
    in_force, now_ms = office.in_force(site, therapy), office.ward.now_ms()
    numbered = await office.proposals.of_therapy(site, therapy, limit=PROPOSALS_SHOWN)
    return TherapyView(
        key=f"{site}/{therapy}",
        results=record.results,
        reports=record.reports,
        proposals=[settle(each.proposal, in_force, now_ms) for each in numbered],
        prescription=in_force,
        pump=in_force.pump if in_force is not None else "",
        standing=standing(in_force, now_ms) if in_force is not None else None,
    )


async def add_result(office: Office, call: Call[ResultBody]) -> LabResult:
    """Enter a laboratory result of a therapy.

    Of two with the same specimen and test the later one holds; so a wrong one is put right by
    entering it again.
    """
    site, therapy, body = call.path["site"], call.path["therapy"], call.given
    office.record(site, therapy)
    now_ms = office.ward.now_ms()
    resulted_ms = body.resulted_ms if body.resulted_ms is not None else max(now_ms, body.drawn_ms)
    if body.drawn_ms > resulted_ms:
        raise MessageError("result", "drawn_ms lies after resulted_ms; blood is drawn first")
    _check_past("resulted_ms", resulted_ms, now_ms)
    if body.value is None and not body.problem:
        raise MessageError("result", "there is no value; say in 'problem' why")
    try:
        result = LabResult(
            therapy=therapy,
            specimen=body.specimen,
            test=body.test,
            value=body.value,
            unit=body.unit,
            # The pattern of the field allows these three only.
            bound=body.bound,  # type: ignore[arg-type]
            problem=body.problem,
            drawn_ms=body.drawn_ms,
            resulted_ms=resulted_ms,
        )
    except ValueError as error:
        raise MessageError("result", str(error)) from None
    await office.ward.tell(site, result)
    return result


async def add_report(office: Office, call: Call[ReportBody]) -> Report:
    """Report what happened to a patient: bleeding, the site, fever, a visit, supplies.

    `what` is read as words (infusion/report_words.py); `by` is who is signed in.
    """
    site, therapy, body = call.path["site"], call.path["therapy"], call.given
    office.record(site, therapy)
    now_ms = office.ward.now_ms()
    time_ms = body.time_ms if body.time_ms is not None else now_ms
    _check_past("time_ms", time_ms, now_ms)
    report = Report(
        therapy=therapy,
        report=body.report or f"web-{uuid.uuid4().hex}",
        what=body.what,
        by=call.person.name,
        time_ms=time_ms,
        detail=body.detail,
    )
    await office.ward.tell(site, report)
    return report


def _check_past(field: str, time_ms: int, now_ms: int) -> None:
    """What has not happened yet cannot be told. Raises MessageError."""
    if time_ms > now_ms + AHEAD_MS:
        text = f"{field} lies in the future; the monitor's clock says {now_ms}"
        raise MessageError("time", text)


def _row(key: str, record: Record) -> TherapyRow:
    order = record.order.prescription if record.order is not None else None
    return TherapyRow(
        key=key,
        site=key.split("/")[0],
        therapy=record.therapy,
        pump=order.pump if order is not None else "",
        version=order.version if order is not None else 0,
        results=len(record.results),
        reports=len(record.reports),
    )


def _has(key: str, record: Record, text: str) -> bool:
    pump = record.order.prescription.pump if record.order is not None else ""
    return text in key.casefold() or text in pump.casefold()


_THERAPY = f"{PREFIX}/therapies/{{site}}/{{therapy}}"
OPERATIONS = (
    Operation(
        method="GET",
        path=f"{PREFIX}/therapies",
        handler=list_therapies,
        query=TherapyQuery,
        answer=TherapyPage,
        problems=("refused",),
    ),
    Operation(
        method="GET",
        path=_THERAPY,
        handler=show_therapy,
        answer=TherapyView,
        problems=("unknown-therapy", "store-failed"),
    ),
    Operation(
        method="POST",
        path=f"{_THERAPY}/results",
        handler=add_result,
        right="result",
        body=ResultBody,
        answer=LabResult,
        status=201,
        problems=("unknown-therapy", "refused"),
    ),
    Operation(
        method="POST",
        path=f"{_THERAPY}/reports",
        handler=add_report,
        right="report",
        body=ReportBody,
        answer=Report,
        status=201,
        problems=("unknown-therapy", "refused"),
    ),
)

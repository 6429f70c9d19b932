"""What people report, and what of the care of a patient is overdue."""

from infusion.alarms import Priority
from infusion.care_calendar import Due, level_due, planned_due, platelets_due, visit_due
from infusion.clinical import Report
from infusion.messages import Evidence
from infusion.record import newest_said
from infusion.report_words import Said, read_words
from infusion.rules.results import order_now_ms, pump_ms
from infusion.situation import Situation, Verdict
from infusion.units import MS_PER_HOUR

_SAME_TOPIC = ("bleeding", "bruising", "hospital")


def bleeding(now: Situation) -> Verdict | None:
    """H05: somebody reports a bleeding, which is urgent, or bruises, which are less so [A].

    Until a report says that it is over; bruises nobody repeats are no news after 72 h.
    """
    open_ = _open_complaints(now, ("bleeding", "bruising"))
    if not open_:
        return None
    report, said = min(open_, key=lambda pair: (pair[1].kind != "bleeding", pair[0].time_ms))
    verdict = _reported(now, report, "")
    priority = Priority.HIGH if said.kind == "bleeding" else None
    return Verdict(verdict.evidence, verdict.since_ms, priority)


def complication_reported(now: Situation) -> Verdict | None:
    """Fever, a red or swollen site, pain, a leak, a stay in hospital, and whatever nobody here has
    a word for [A].

    Signs of a clot, a stroke or an allergy are urgent. It stands until a report says that it is
    over, or for 72 h.
    """
    open_ = _open_complaints(now, ("complication", "hospital", "other"))
    if not open_:
        return None
    report, said = max(open_, key=lambda pair: (_rank(pair[1]), -pair[0].time_ms))
    others = sorted({each.what for each, _ in open_} - {report.what})
    verdict = _reported(now, report, "and: " + ", ".join(others) if others else "")
    rank = _rank(said)
    return Verdict(verdict.evidence, verdict.since_ms, _PRIORITIES[rank] if rank else None)


def level_overdue(now: Situation) -> Verdict | None:
    """M07: no level 1 h after it was due; urgent at 3 h if the last one was out of range [A]."""
    record = now.record
    if record is None:
        return None
    at_ms = order_now_ms(now)
    due = level_due(record, now.limits, at_ms)
    if due is None or at_ms < due.overdue_ms:
        return None
    is_bad = due.bad_ms is not None and at_ms >= due.bad_ms
    waits = now.limits.level_turnaround_h
    detail = f"no result of a level {waits:g} h and more after it should have been drawn"
    if due.bad_ms is not None:
        detail += "; the last one was out of range"
    verdict = _overdue(now, due, f"{now.limits.level_overdue_h:g} h after due", detail)
    return Verdict(verdict.evidence, verdict.since_ms, Priority.HIGH if is_bad else None)


def platelets_overdue(now: Situation) -> Verdict | None:
    """L04: day 4 to 14, and no platelet count for 2 to 3 days (ASH 2018 [V])."""
    record = now.record
    due = platelets_due(record, now.limits, order_now_ms(now)) if record is not None else None
    if due is None or order_now_ms(now) < due.overdue_ms:
        return None
    return _overdue(now, due, f"every {now.limits.platelets_every_h:g} h", "count platelets today")


def visit_overdue(now: Situation) -> Verdict | None:
    """L05: more than a week since the last visit (weekly: Option Care/ASHP [V]), or a planned one
    that nobody told of within 4 h [A]."""
    record = now.record
    if record is None:
        return None
    planned, weekly = planned_due(record, "visit", now.limits), visit_due(record, now.limits)
    if planned is not None and order_now_ms(now) >= planned.overdue_ms:
        limit = f"{now.limits.visit_late_h:g} h after it was planned"
        return _overdue(now, planned, limit, "a planned visit that nobody told of")
    if weekly is None or order_now_ms(now) < weekly.overdue_ms:
        return None
    limit = f"every {now.limits.visit_every_h:g} h"
    return _overdue(now, weekly, limit, "dressing, laboratory, assessment")


def delivery_overdue(now: Situation) -> Verdict | None:
    """A delivery of supplies was planned, and nobody told within 4 h that it came [A]."""
    record = now.record
    due = planned_due(record, "supplies", now.limits) if record is not None else None
    if due is None or order_now_ms(now) < due.overdue_ms:
        return None
    limit = f"{now.limits.delivery_late_h:g} h after it was planned"
    return _overdue(now, due, limit, "ask the courier, and what is left at home")


def supplies_low(now: Situation) -> Verdict | None:
    """L05 [A]: somebody reports that supplies run short, until one says that they are there."""
    said = newest_said(now.record, "supplies") if now.record is not None else None
    if said is None or said[1].is_over:
        return None
    return _reported(now, said[0], "")


_PRIORITIES = {0: Priority.LOW, 1: Priority.MEDIUM, 2: Priority.HIGH}


def _rank(said: Said) -> int:
    """How urgent a complaint is."""
    if said.is_severe:
        return 2
    return 1 if said.kind == "complication" else 0


def _open_complaints(now: Situation, kinds: tuple[str, ...]) -> list[tuple[Report, Said]]:
    """The reports of these kinds that nobody has taken back and that are news, oldest first."""
    record = now.record
    if record is None:
        return []
    since_ms = order_now_ms(now) - round(now.limits.complaint_h * MS_PER_HOUR)
    open_: list[tuple[Report, Said]] = []
    for report in record.reports:
        said = read_words(report.what)
        if said.kind not in kinds:
            continue
        if said.is_over:
            open_ = [pair for pair in open_ if not _is_same(pair[1], said)]
        elif said.kind == "bleeding" or report.time_ms > since_ms:
            open_.append((report, said))
    return open_


def _is_same(said: Said, over: Said) -> bool:
    """Whether a word that something is over is about what was said."""
    if over.kind in _SAME_TOPIC:
        return said.kind == over.kind
    return bool(said.topic & over.topic)


def _reported(now: Situation, report: Report, more: str) -> Verdict:
    parts = [f"{report.what}, said by {report.by}", report.detail, more]
    since_ms = pump_ms(now, report.time_ms)
    detail = "; ".join(part for part in parts if part)
    return Verdict(Evidence(from_ms=since_ms, to_ms=now.at_ms, detail=detail), since_ms=since_ms)


def _overdue(now: Situation, due: Due, limit: str, detail: str) -> Verdict:
    evidence = Evidence(
        observed=round((order_now_ms(now) - due.due_ms) / MS_PER_HOUR, 1),
        unit="h since due",
        limit=limit,
        from_ms=pump_ms(now, due.due_ms),
        to_ms=now.at_ms,
        detail=detail,
    )
    return Verdict(evidence, since_ms=pump_ms(now, due.overdue_ms))

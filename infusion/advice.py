"""What a protocol says to the newest result, and when the calendar is looked at next.

Information beside an alert, with its source: never an order. For testing and training only.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from infusion.care_calendar import (
    OUT_MS,
    level_due,
    planned_due,
    platelets_due,
    therapeutic_due,
    visit_due,
)
from infusion.nomogram import Nomogram, advise
from infusion.prescription import Timeline
from infusion.record import Record, results_of
from infusion.rules import Rule
from infusion.situation import Verdict
from infusion.thresholds import Thresholds
from infusion.units import MS_PER_HOUR

TEST_OF_NOMOGRAM = {"anti_xa_iu_ml": "anti-xa", "aptt_s": "aptt", "aptt_ratio": "aptt"}


def protocol_says(record: Record, nomogram: Nomogram, limits: Thresholds) -> str | None:
    """What a nomogram answers to the newest result of its test, in a line; None without one.

    Weight and rate are the order's as they were when the result came, the rate before a hold where
    one was on. A ratio is to `aptt_control_s`. Whether the order forbids boluses is not known
    here, and the line says so where there is one.
    """
    levels = results_of(record, TEST_OF_NOMOGRAM[nomogram.test])
    if record.order is None or not levels:
        return None
    newest = levels[-1]
    rate_iu_h = _rate_iu_h(record.order.timeline, newest.resulted_ms)
    if rate_iu_h is None:
        return None
    is_ratio = nomogram.test == "aptt_ratio"
    control_s = limits.aptt_control_s or 1.0
    values = [(each.value or 0.0) / (control_s if is_ratio else 1.0) for each in levels[-2:]]
    advice = advise(
        nomogram,
        values[-1],
        rate_iu_h=rate_iu_h,
        weight_kg=record.order.prescription.weight_kg,
        previous=values[0] if len(values) > 1 else None,
    )
    bolus = " (no bolus where the order forbids it)" if advice.bolus_iu else ""
    return (
        f"{nomogram.title}: {advice.words}{bolus}. What the table says, no order;"
        f" source: {nomogram.source}"
    )


def next_care_ms(record: Record, limits: Thresholds, at_ms: int) -> int | None:
    """The next instant after `at_ms`, on the order's clock, at which time alone changes what the
    rules on laboratory and care say; None when only a message can."""
    instants: list[int] = []
    for due in (
        level_due(record, limits, at_ms),
        platelets_due(record, limits, at_ms),
        visit_due(record, limits),
        planned_due(record, "visit", limits),
        planned_due(record, "supplies", limits),
        therapeutic_due(record, limits),
    ):
        if due is not None:
            instants.append(due.overdue_ms)
            if due.bad_ms is not None:
                instants.append(due.bad_ms)
    complaint_ms = round(limits.complaint_h * MS_PER_HOUR)
    instants += [report.time_ms + complaint_ms for report in record.reports]
    if record.order is not None:
        # The calendar hangs on the rate in force, and the end of a therapy counts an hour later.
        times = record.order.timeline.times_ms
        instants += [instant for time in times for instant in (time, time + OUT_MS)]
    return min((instant for instant in instants if instant > at_ms), default=None)


def _rate_iu_h(timeline: Timeline, at_ms: int) -> float | None:
    """The continuous rate at an instant, or the last one before a hold; None before any."""
    rate = None
    for instant_ms, base in zip(timeline.times_ms, timeline.bases_iu_h, strict=True):
        if instant_ms > at_ms:
            break
        rate = base or rate
    return rate


def advised(
    found: Iterable[tuple[Rule, Verdict]],
    record: Record | None,
    nomograms: Mapping[str, Nomogram],
    limits: Thresholds,
) -> list[tuple[Rule, Verdict]]:
    """Verdicts with what the protocol says beside those that are about laboratory results."""
    pairs = list(found)
    nomogram = nomograms.get(limits.nomogram)
    if nomogram is None or record is None:
        return pairs
    if not any(rule.category == "laboratory" for rule, _ in pairs):
        return pairs
    words = protocol_says(record, nomogram, limits) or ""
    return [
        (rule, replace(verdict, advice=words) if rule.category == "laboratory" else verdict)
        for rule, verdict in pairs
    ]

"""When what is due in the care of one therapy: levels, platelets, visits.

For testing and training only. A calendar begins with what is known to be at work: the laboratory's
with its first result (or the threshold `laboratory_expected`), that of visits with the first visit
that is reported. All instants are on the order's clock, and `at_ms` is one.
"""

from typing import Literal

from msgspec import UNSET, Struct

from infusion.clinical import LabResult, Report
from infusion.prescription import Timeline
from infusion.record import Record, newest_said, results_of
from infusion.report_words import read_words
from infusion.thresholds import Thresholds
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE

_DAY_H = 24.0
# Heparin is out of the blood so long after the end of a therapy (H06 [A]).
OUT_MS = MS_PER_HOUR
# Who comes for a planned visit comes no sooner than this before it, or for something else. [A]
_EARLY_MS = 12 * MS_PER_HOUR
# Within this the results of one visit come. [A]
_TOGETHER_MS = MS_PER_MINUTE


class Due(Struct, frozen=True):
    """Something is due; it is missed from `overdue_ms` on, badly from `bad_ms` on if ever."""

    due_ms: int
    overdue_ms: int
    bad_ms: int | None = None


def protocol_test(record: Record, limits: Thresholds) -> str:
    """The test that the protocol goes by: anti-Xa where the laboratory does it, or as set."""
    if limits.level_test != "any":
        return limits.level_test
    return "anti-xa" if any(each.test == "anti-xa" for each in record.results) else "aptt"


def range_of(test: str, limits: Thresholds) -> tuple[float, float]:
    """The range that the level is kept in, by a test: IU/mL or s."""
    if test == "anti-xa":
        return limits.anti_xa_low_iu_ml, limits.anti_xa_high_iu_ml
    return limits.aptt_low_s, limits.aptt_high_s


def side_of(result: LabResult, low: float, high: float) -> int:
    """−1 below, 0 within, 1 above a range, both edges belonging to it.

    A value that lies beyond what the laboratory can tell counts as beyond it.
    """
    assert result.value is not None, "only results with a value have a side"
    if result.value < low or (result.bound == "below" and result.value <= low):
        return -1
    if result.value > high or (result.bound == "above" and result.value >= high):
        return 1
    return 0


def works(record: Record, limits: Thresholds) -> bool:
    """Whether a laboratory looks after this therapy."""
    return limits.laboratory_expected or record.first_drawn_ms is not None


def goes_on(timeline: Timeline, at_ms: int) -> bool:
    """Whether heparin is ordered now or later: not so after the end of a therapy."""
    later = zip(timeline.times_ms, timeline.rates_iu_h, strict=True)
    return timeline.rate_iu_h(at_ms) > 0 or any(rate and time > at_ms for time, rate in later)


def level_due(record: Record, limits: Thresholds, at_ms: int) -> Due | None:
    """The next level: 6 h after start, change and result, daily once two in a row are in range.

    Raschke, Michigan [V]; that it is missed 1 h later, badly 3 h later if the last one was out of
    range, is M07 [A]. Both wait for the laboratory, because only a result tells that blood was
    drawn. Nothing is due while nothing is ordered to run.
    """
    order = record.order
    if order is None or not works(record, limits):
        return None
    if not order.timeline.base_rate_iu_h(at_ms):
        return None
    change_ms = order.timeline.changed_ms(at_ms)
    test = protocol_test(record, limits)
    low, high = range_of(test, limits)
    levels = results_of(record, test)
    sides = [side_of(each, low, high) for each in levels]
    from_ms = max(change_ms, levels[-1].resulted_ms) if levels else change_ms
    is_settled = sides[-2:] == [0, 0] and levels[-2].drawn_ms > change_ms
    due_ms = from_ms + _ms(limits.level_settled_h if is_settled else limits.level_due_h)
    overdue_ms = due_ms + _ms(limits.level_overdue_h + limits.level_turnaround_h)
    if not levels and record.results and not limits.laboratory_expected:
        # The results of a visit come one after another: nobody is late who has only been heard of.
        first_ms = min(each.resulted_ms for each in record.results)
        overdue_ms = max(overdue_ms, first_ms + _TOGETHER_MS)
    bad_ms = due_ms + _ms(limits.level_overdue_high_h + limits.level_turnaround_h)
    return Due(due_ms, overdue_ms, bad_ms if sides and sides[-1] else None)


def platelets_due(record: Record, limits: Thresholds, at_ms: int) -> Due | None:
    """The next count: every 2 to 3 days from day 4 to 14 of heparin (ASH 2018 [V])."""
    order = record.order
    if order is None or not works(record, limits) or not order.timeline.base_rate_iu_h(at_ms):
        return None
    start_ms = order.timeline.times_ms[0]
    due_ms = start_ms + _ms(limits.platelets_from_day * _DAY_H)
    counts = results_of(record, "platelets")
    if counts:
        due_ms = max(due_ms, counts[-1].drawn_ms + _ms(limits.platelets_every_h))
    if due_ms > start_ms + _ms(limits.platelets_until_day * _DAY_H):
        return None
    return Due(due_ms, due_ms + _ms(limits.platelets_overdue_h))


def visit_due(record: Record, limits: Thresholds) -> Due | None:
    """The next visit: weekly (Option Care/ASHP [V]), from the first one that is reported on."""
    last = newest_said(record, "visit")
    if last is None:
        return None
    due_ms = last[0].time_ms + _ms(limits.visit_every_h)
    return Due(due_ms, due_ms + _ms(limits.visit_overdue_h))


def planned_due(
    record: Record, what: Literal["visit", "supplies"], limits: Thresholds
) -> Due | None:
    """A visit or a delivery that somebody planned for a time, and nobody has told of since [A].

    Of several plans the newest holds, and one that was cancelled is none.
    """
    since: list[Report] = []
    for report in reversed(record.reports):
        said = read_words(report.what)
        is_mine = bool(said.topic & (_DELIVERY if what == "supplies" else _VISITS))
        if said.kind == "plan" and is_mine:
            if said.is_over or report.due_ms is UNSET:
                return None
            due_ms = report.due_ms
            if any(_is_done(each, what, due_ms) for each in since):
                return None
            late_h = limits.delivery_late_h if what == "supplies" else limits.visit_late_h
            return Due(due_ms, due_ms + _ms(late_h))
        since.append(report)
    return None


_VISITS = frozenset({"visit", "dressing"})
_DELIVERY = frozenset({"supplies", "supply", "stock", "delivery"})


def _is_done(report: Report, what: str, due_ms: int) -> bool:
    """Whether a report tells that what was planned for then is done: a courier may come early."""
    said = read_words(report.what)
    if what == "supplies":
        return said.kind == "supplies" and said.is_over
    return said.kind == "visit" and not said.is_over and report.time_ms >= due_ms - _EARLY_MS


def therapeutic_due(record: Record, limits: Thresholds) -> Due | None:
    """When a level has to have reached the range: within 24 h of the start (Hull 1997 [V]).

    None where the laboratory was first heard of later, for then nobody knows what came before.
    """
    order, first_ms = record.order, record.first_drawn_ms
    if order is None or first_ms is None:
        return None
    due_ms = order.timeline.times_ms[0] + _ms(limits.therapeutic_within_h)
    if first_ms > due_ms:
        return None
    return Due(due_ms, due_ms + _ms(limits.level_turnaround_h))


def _ms(hours: float) -> int:
    return round(hours * MS_PER_HOUR)

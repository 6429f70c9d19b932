"""What blood counts say: heparin-induced thrombocytopenia, and bleeding that nobody saw.

Counts are compared with the highest one before, not only with the first (ASH 2018 [V]).
"""

from infusion import four_ts
from infusion.clinical import LabResult
from infusion.messages import Evidence
from infusion.record import Record, peak_of, results_of
from infusion.report_words import read_words
from infusion.rules.results import has_heparin, result_verdict
from infusion.situation import Situation, Verdict
from infusion.units import MS_PER_HOUR

_DAY_MS = 24 * MS_PER_HOUR


def hit_suspected(now: Situation) -> Verdict | None:
    """H07: 4Ts ≥ 4 by what is known, as with platelets down by over 50 % on day 5 to 10 (ASH [V]).

    Counts give fall and timing, reports a new clot. Whether heparin was given in the last 100 days
    and whether something else explains the fall nobody tells here: that may be 2 points more.
    """
    record = now.record
    fallen = _fallen(now)
    if record is None or fallen is None:
        return None
    newest, nadir, peak, onset_ms = fallen
    if _is_excluded(record, newest.drawn_ms):
        return None
    fall = 1.0 - nadir / peak
    start_ms = record.order.timeline.times_ms[0] if record.order is not None else onset_ms
    day = (onset_ms - start_ms) // _DAY_MS
    ts = four_ts.score(
        fall=fall,
        nadir_g_l=nadir,
        day=day,
        clot="new" if any(read_words(each.what).clots for each in record.reports) else "none",
        fall_half=now.limits.platelets_fall_medium,
        fall_full=now.limits.platelets_fall_high,
    )
    if ts.points < four_ts.SUSPECTED:
        return None
    detail = (
        f"platelets down by {fall:.0%} from {peak:g}, first seen on day {day}; 4Ts:"
        f" {ts.points} points (fall {ts.fall}, timing {ts.timing}, clot {ts.clot}),"
        f" up to {ts.open_points} more if nothing else explains it"
    )
    verdict = result_verdict(now, newest, f"4Ts ≥{four_ts.SUSPECTED}", "")
    return Verdict(_with(verdict.evidence, peak, detail), since_ms=verdict.since_ms)


def platelets_falling(now: Situation) -> Verdict | None:
    """M09: platelets down by 30 % from their highest, or below 100 (all sites call then [V]).

    A count that is critical on heparin is told as that.
    """
    record, limits = now.record, now.limits
    counts = results_of(record, "platelets") if record is not None else []
    peak = peak_of(record, "platelets") if record is not None else None
    if not counts or not peak or counts[-1].value is None:
        return None
    newest, value = counts[-1], counts[-1].value
    fall = 1.0 - value / peak
    if fall < limits.platelets_fall_medium and value >= limits.platelets_low_g_l:
        return None
    if value < limits.critical_platelets_g_l and has_heparin(now):
        return None
    limit = f"{limits.platelets_fall_medium:.0%} down, or <{limits.platelets_low_g_l:g}"
    verdict = result_verdict(now, newest, limit, "")
    detail = f"platelets down by {fall:.0%} from {peak:g}; count again and think of HIT"
    return Verdict(_with(verdict.evidence, peak, detail), since_ms=verdict.since_ms)


def haemoglobin_falling(now: Situation) -> Verdict | None:
    """H05: haemoglobin down by 2 g/dL from its highest (Durham [V]).

    After a report that a bleeding is over only the counts since then are compared.
    """
    record = now.record
    if record is None:
        return None
    over = [
        each.time_ms
        for each in record.reports
        if (said := read_words(each.what)).kind == "bleeding" and said.is_over
    ]
    counts = results_of(record, "haemoglobin")
    peak = peak_of(record, "haemoglobin")
    if over:
        counts = [each for each in counts if each.drawn_ms > over[-1]]
        peak = max((each.value or 0.0 for each in counts), default=None)
    if not counts or peak is None or counts[-1].value is None:
        return None
    # Reports give one decimal, and 13.4 − 11.4 is a little less than 2 in binary.
    fall = round(peak - counts[-1].value, 3)
    if fall < now.limits.haemoglobin_fall_g_dl:
        return None
    limit = f"{now.limits.haemoglobin_fall_g_dl:g} g/dL down"
    verdict = result_verdict(now, counts[-1], limit, "")
    detail = f"haemoglobin down by {fall:g} from {peak:g} g/dL: look for a bleeding"
    return Verdict(_with(verdict.evidence, peak, detail), since_ms=verdict.since_ms)


def _with(evidence: Evidence, expected: float, detail: str) -> Evidence:
    return Evidence(
        observed=evidence.observed,
        expected=expected,
        unit=evidence.unit,
        limit=evidence.limit,
        from_ms=evidence.from_ms,
        to_ms=evidence.to_ms,
        detail=detail,
    )


def _fallen(now: Situation) -> tuple[LabResult, float, float, int] | None:
    """The newest count, the lowest and highest of a fall that is still there, and when the fall
    was first seen; None when the newest count is not down by the medium share."""
    record = now.record
    if record is None:
        return None
    counts = results_of(record, "platelets")
    share = 1.0 - now.limits.platelets_fall_medium
    peak, nadir, onset_ms = record.peaks.get("platelets", 0.0), 0.0, 0
    for count in counts:
        assert count.value is not None, "only results with a value are looked at"
        peak = max(peak, count.value)
        if count.value > share * peak:
            nadir = 0.0
            continue
        if not nadir:
            nadir, onset_ms = count.value, count.drawn_ms
        nadir = min(nadir, count.value)
    return (counts[-1], nadir, peak, onset_ms) if nadir else None


def _is_excluded(record: Record, drawn_ms: int) -> bool:
    """Whether somebody ruled HIT out after that count was drawn."""
    return any(
        each.time_ms >= drawn_ms and read_words(each.what).excludes_hit for each in record.reports
    )

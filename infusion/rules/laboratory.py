"""What laboratory results say, alone, in their course, and against the dose that was delivered.

A result stands until the next one of its test. Its times are the clinic's; verdicts are on the
pump's clock. The level rules keep quiet once the therapy is over and heparin is out of the blood.
"""

import math

from infusion.alarms import Priority
from infusion.care_calendar import protocol_test, range_of, side_of, therapeutic_due
from infusion.clinical import LabResult
from infusion.messages import Evidence
from infusion.record import Record, newest_of, peak_of, results_of
from infusion.rules.blood import newest_anti_xa
from infusion.rules.results import (
    has_heparin,
    order_now_ms,
    pump_ms,
    result_verdict,
    shown_value,
)
from infusion.situation import Situation, Verdict


def critical_result(now: Situation) -> Verdict | None:
    """H06: aPTT > 100 s (NASCOLA 2011 [V]) or anti-Xa ≥ 1.0 IU/mL, or platelets < 50, on heparin.

    Of one specimen anti-Xa speaks before the aPTT, unless the protocol goes by the aPTT: what a
    sensitive reagent makes of a level in range is a discordance.
    """
    record, limits = now.record, now.limits
    if record is None:
        return None
    newest = newest_of(record)
    found = [each for each in _newest_specimen(newest) if _is_critical(now, record, newest, each)]
    count = newest.get("platelets")
    if count is not None and (count.value or 0.0) < limits.critical_platelets_g_l:
        found.append(count)
    if not found or not has_heparin(now):
        return None
    result = found[0]
    limit = {
        "anti-xa": f"≥{limits.critical_anti_xa_iu_ml:g}",
        "aptt": f">{limits.critical_aptt_s:g}",
        "platelets": f"<{limits.critical_platelets_g_l:g}",
    }[result.test]
    return result_verdict(now, result, limit, _doubt_of(now, result))


def levels_out_of_range(now: Situation) -> Verdict | None:
    """M08: two levels in a row far off on one side: anti-Xa < 0.2 or ≥ 1.0 IU/mL (Michigan [V]),
    or an aPTT outside its range where the protocol goes by it."""
    record, limits = now.record, now.limits
    if record is None:
        return None
    test = protocol_test(record, limits)
    low, high = range_of(test, limits)
    if test == "anti-xa":
        low, high = limits.far_low_iu_ml, math.nextafter(limits.far_high_iu_ml, 0.0)
    last = results_of(record, test)[-2:]
    sides = [side_of(each, low, high) for each in last]
    if len(last) < 2 or not sides[0] or sides[0] != sides[1] or not has_heparin(now):
        return None
    where = "below" if sides[0] < 0 else "above"
    shown = (
        limits.far_high_iu_ml if test == "anti-xa" and sides[0] > 0 else (low, high)[sides[0] > 0]
    )
    detail = f"two in a row: {shown_value(last[0])}, then {shown_value(last[1])}"
    return result_verdict(now, last[1], f"{where} {shown:g} twice", detail)


def not_therapeutic(now: Situation) -> Verdict | None:
    """M11: no level has reached the range within 24 h of the start (Hull 1997 [V])."""
    record, limits = now.record, now.limits
    due = therapeutic_due(record, limits) if record is not None else None
    if record is None or due is None or order_now_ms(now) < due.overdue_ms:
        return None
    test = protocol_test(record, limits)
    peak, (low, _) = peak_of(record, test), range_of(test, limits)
    if peak is None or peak >= low or not has_heparin(now):
        return None
    evidence = Evidence(
        observed=peak,
        expected=low,
        unit="IU/mL" if test == "anti-xa" else "s",
        limit=f"in range within {limits.therapeutic_within_h:g} h",
        to_ms=now.at_ms,
        detail="the highest level since the start; ask whether the dose reaches the patient",
    )
    return Verdict(evidence, since_ms=pump_ms(now, due.overdue_ms))


def discordance(now: Situation) -> Verdict | None:
    """L03: twice in a row one of aPTT and anti-Xa is in range and the other is clearly not [A].

    Where anti-Xa leads the protocol it asks nobody to act: reagents differ 2 to 3 fold (Thromb
    Haemost 1996;75:734 [V]). Where the aPTT leads, doses go by the wrong one.
    """
    record, limits = now.record, now.limits
    if record is None:
        return None
    aptts = {each.specimen: each for each in results_of(record, "aptt")}
    pairs = [
        (each, aptts[each.specimen])
        for each in results_of(record, "anti-xa")
        if each.specimen in aptts
    ][-2:]
    if len(pairs) < 2:
        return None
    first, second = (_disagreement(now, *pair) for pair in pairs)
    if not first or first != second:
        return None
    anti_xa, aptt = pairs[-1]
    off = anti_xa if first[0] else aptt
    low, high = range_of(off.test, limits)
    leads = protocol_test(record, limits) == "aptt"
    detail = f"anti-Xa {shown_value(anti_xa)}, aPTT {shown_value(aptt)}, as the time before"
    verdict = result_verdict(now, off, f"{low:g} to {high:g}", detail)
    return Verdict(verdict.evidence, verdict.since_ms, Priority.LOW if leads else None)


# --- small things ---------------------------------------------------------------------------------


def _newest_specimen(newest: dict[str, LabResult]) -> list[LabResult]:
    """The results of the level of the specimen that was drawn last, anti-Xa first."""
    levels = [newest[test] for test in ("anti-xa", "aptt") if test in newest]
    if len(levels) == 2 and levels[0].drawn_ms != levels[1].drawn_ms:
        return [max(levels, key=lambda each: each.drawn_ms)]
    return levels


def _is_critical(
    now: Situation, record: Record, newest: dict[str, LabResult], result: LabResult
) -> bool:
    assert result.value is not None, "only results with a value are looked at"
    if result.test == "anti-xa":
        return result.value >= now.limits.critical_anti_xa_iu_ml
    if result.value <= now.limits.critical_aptt_s:
        return False
    anti_xa = newest.get("anti-xa")
    has_anti_xa = anti_xa is not None and anti_xa.drawn_ms == result.drawn_ms
    return not has_anti_xa or protocol_test(record, now.limits) == "aptt"


def _doubt_of(now: Situation, result: LabResult) -> str:
    """What the delivered dose makes likely, where it makes a result of a level unlikely."""
    sighting = newest_anti_xa(now)
    if sighting is None or sighting.specimen != result.specimen or result.test != "anti-xa":
        return ""
    words = (
        f"the delivered dose makes {sighting.expected:.2f} likely"
        f" ({sighting.low:.2f} to {sighting.high:.2f})"
    )
    if sighting.tail > now.limits.disagreement_chance_off_scale:
        return words
    return f"{words}: draw again from another vein, the specimen may hold heparin of the line"


def _disagreement(now: Situation, anti_xa: LabResult, aptt: LabResult) -> tuple[int, int] | None:
    """The sides of a pair of which one is in range and the other clearly not; None for others."""
    limits = now.limits
    low, high = range_of("anti-xa", limits)
    aptt_low, aptt_high = range_of("aptt", limits)
    less, more = 1.0 - limits.discordance_share, 1.0 + limits.discordance_share
    if side_of(anti_xa, low, high) == 0:
        off = side_of(aptt, aptt_low * less, aptt_high * more)
        return (0, off) if off else None
    if side_of(aptt, aptt_low, aptt_high) == 0:
        off = side_of(anti_xa, low * less, high * more)
        return (off, 0) if off else None
    return None

"""What rules on laboratory results have in common: names, clocks, and the verdict on one result."""

from infusion.care_calendar import OUT_MS, goes_on
from infusion.clinical import LabResult
from infusion.messages import Evidence
from infusion.situation import Situation, Verdict

# What the numbers of each test are in, as people say it.
UNITS = {
    "anti-xa": "IU/mL",
    "aptt": "s",
    "platelets": "×10⁹/L",
    "haemoglobin": "g/dL",
    "inr": "INR",
    "pt": "s",
}
NAMES = {
    "anti-xa": "anti-Xa",
    "aptt": "aPTT",
    "platelets": "platelets",
    "haemoglobin": "haemoglobin",
    "inr": "INR",
    "pt": "PT",
}
_BOUNDS = {"": "", "below": " (or less)", "above": " (or more)"}


def order_now_ms(now: Situation) -> int:
    """The instant looked at, on the clinic's clock."""
    return now.order_ms


def pump_ms(now: Situation, clinic_ms: int) -> int:
    """An instant of the clinic's clock on the pump's, which the alerts are on."""
    return clinic_ms + now.at_ms - order_now_ms(now)


def result_verdict(now: Situation, result: LabResult, limit: str, detail: str) -> Verdict:
    """A verdict on one result: from when it was drawn, and known since it came."""
    evidence = Evidence(
        observed=result.value,
        unit=UNITS[result.test],
        limit=limit,
        from_ms=pump_ms(now, result.drawn_ms),
        to_ms=pump_ms(now, result.resulted_ms),
        detail=f"{NAMES[result.test]}{_BOUNDS[result.bound]}" + (f"; {detail}" if detail else ""),
    )
    return Verdict(evidence, since_ms=pump_ms(now, result.resulted_ms))


def shown_value(result: LabResult) -> str:
    """A value with the sign of its bound."""
    sign = {"": "", "below": "<", "above": ">"}[result.bound]
    return f"{sign}{result.value:g}"


def has_heparin(now: Situation) -> bool:
    """Whether heparin is ordered, now or later, or is given, or was until an hour ago."""
    order = now.record.order if now.record is not None else None
    if order is not None and goes_on(order.timeline, order_now_ms(now)):
        return True
    return now.edge is not None and (now.delivering or now.at_ms - now.state.standing_ms < OUT_MS)

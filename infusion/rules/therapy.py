"""What the pump is programmed to, held against the order."""

from infusion.alarms import Priority
from infusion.messages import Evidence
from infusion.situation import Situation, Verdict
from infusion.units import MS_PER_MINUTE, pump_rate_ml_h, round_rate


def _near(value: float, expected: float, tolerance: float) -> bool:
    return abs(value - expected) <= tolerance * expected


def rate_not_as_ordered(now: Situation) -> Verdict | None:
    """The pump is programmed to another dose rate than the order in force."""
    edge, timeline = now.edge, now.timeline
    if edge is None or timeline is None or not now.delivering:
        return None
    programmed = edge.rate_ml_h * edge.concentration_iu_ml
    ordered = timeline.base_rate_iu_h(now.at_ms)
    if _near(programmed, ordered, now.limits.rate_tolerance):
        return None
    with_bolus = timeline.rate_iu_h(now.at_ms)
    grace_min = now.limits.change_grace_min if ordered else now.limits.hold_grace_min
    from_ms = now.at_ms - round(grace_min * MS_PER_MINUTE)
    to_ms = now.at_ms + round(now.limits.early_grace_min * MS_PER_MINUTE)
    allowed = (
        with_bolus,
        with_bolus - ordered,
        *timeline.base_rates_iu_h(from_ms, to_ms),
    )
    if any(rate and _near(programmed, rate, now.limits.rate_tolerance) for rate in allowed):
        return None
    gross = not ordered / now.limits.rate_gross <= programmed <= ordered * now.limits.rate_gross
    concentration = edge.concentration_iu_ml
    return Verdict(
        Evidence(
            observed=round_rate(edge.rate_ml_h),
            expected=round_rate(pump_rate_ml_h(ordered, concentration)),
            unit="mL/h",
            limit=f"±{now.limits.rate_tolerance:.0%}",
            detail=f"programmed {programmed:.0f} IU/h, ordered {ordered:.0f} IU/h",
        ),
        priority=Priority.HIGH if gross else None,
    )


def wrong_concentration(now: Situation) -> Verdict | None:
    """The pump counts with another concentration than the order: every IU is wrong by it."""
    edge, prescription = now.edge, now.prescription
    if edge is None or prescription is None:
        return None
    observed, ordered = edge.concentration_iu_ml, prescription.concentration_iu_ml
    if _near(observed, ordered, now.limits.concentration_tolerance):
        return None
    return Verdict(Evidence(observed=observed, expected=ordered, unit="IU/mL", limit="±1%"))


def unknown_therapy(now: Situation) -> Verdict | None:
    """A pump with an order names a therapy that is not known, or not its own."""
    edge, prescription = now.edge, now.prescription
    if edge is None or not now.ordered or (edge.therapy is None and not now.delivering):
        return None
    if edge.therapy is None:
        return Verdict(Evidence(detail="delivering without naming a therapy"))
    if prescription is None:
        return Verdict(Evidence(detail=f"no order for therapy {edge.therapy}"))
    if prescription.pump != now.state.pump:
        detail = f"therapy {edge.therapy} is ordered for pump {prescription.pump}"
        return Verdict(Evidence(detail=detail))
    return None

"""What is really delivered, by the counter, held against the order."""

from infusion.excess import Excess
from infusion.messages import Evidence
from infusion.situation import Situation, Verdict
from infusion.units import flow_ml_h, nanolitres, round_dose_iu, round_rate

# Below this rate a flow is compared with this one [A].
FREE_FLOW_BASE_ML_H = 1.0


def over_delivery(now: Situation) -> Verdict | None:
    """More than 10 % over the order (GIP 1.2.2), by the counter and not by the programmed rate."""
    if now.timeline is None:
        return None
    return _flow_verdict(now, now.state.flow.over, "+")


def under_delivery(now: Situation) -> Verdict | None:
    """Less than 90 % of the order (GIP 1.2.3) while the pump says that it delivers."""
    if now.timeline is None or not now.delivering:
        return None
    return _flow_verdict(now, now.state.flow.under, "−")


def _flow_verdict(now: Situation, excess: Excess, sign: str) -> Verdict | None:
    if excess.total_iu <= now.state.flow.step_iu:
        return None
    evidence = Evidence(
        observed=round_dose_iu(excess.delivered_iu),
        expected=round_dose_iu(excess.ordered_iu),
        unit="IU",
        limit=f">{sign}{now.limits.flow_tolerance:.0%} for 15 min",
        from_ms=excess.since_ms,
        to_ms=excess.to_ms,
        samples=excess.samples,
    )
    return Verdict(evidence, since_ms=excess.since_ms)


def free_flow(now: Situation) -> Verdict | None:
    """The counter runs many times faster than the pump is programmed to pump."""
    edge, interval = now.edge, now.state.interval
    if edge is None or interval is None:
        return None
    # One step of the counter may fall into any interval, however short.
    step_nl = nanolitres(now.state.presence.volume_step_ml) if now.state.presence is not None else 0
    flow = flow_ml_h(max(0, interval.pumped_nl - step_nl), interval.to_ms - interval.from_ms)
    programmed = max(edge.rate_ml_h, now.state.faster_ml_h)
    if flow <= now.limits.free_flow_factor * max(programmed, FREE_FLOW_BASE_ML_H):
        return None
    evidence = Evidence(
        observed=round_rate(flow),
        expected=programmed,
        unit="mL/h",
        limit=f">{now.limits.free_flow_factor:.0f} × programmed",
        from_ms=interval.from_ms,
        to_ms=interval.to_ms,
        samples=interval.samples,
    )
    return Verdict(evidence, since_ms=interval.from_ms)


def not_delivering(now: Situation) -> Verdict | None:
    """The order says deliver, and the pump does not."""
    if now.edge is None or now.timeline is None or now.delivering:
        return None
    ordered_since_ms = now.timeline.running_since_ms(now.at_ms)
    if ordered_since_ms is None:
        return None
    since_ms = max(now.state.standing_ms, ordered_since_ms)
    ordered = now.timeline.base_rate_iu_h(now.at_ms)
    missed = now.timeline.dose_iu(since_ms, now.at_ms)
    reason = now.edge.reason or now.edge.delivery
    evidence = Evidence(
        observed=round_rate(now.edge.flow_ml_h * now.edge.concentration_iu_ml),
        expected=round_rate(ordered),
        unit="IU/h",
        limit="10 min",
        from_ms=since_ms,
        to_ms=now.at_ms,
        detail=f"{reason}; missed {missed:.0f} IU",
    )
    return Verdict(evidence, since_ms=since_ms)

"""The hazards, one small pure function each.

A function looks at the `Situation` of one pump at one instant and answers None, or a `Verdict`:
the hazard is there, since when, and why. It knows nothing of delays, repeats or people; that is
in the table of infusion/rules.py.

Times are on the pump's own clock. Thresholds come from the Generic Infusion Pump safety
requirements (GIP 1.2.2, 1.2.3: more than 10 % for more than 15 minutes) and from this project's
proposals for heparin at home; the latter are choices, not published limits, and are marked.
"""

from msgspec import Struct

from infusion.account import Account, Interval
from infusion.alarms import Priority
from infusion.excess import Excess, FlowWatch
from infusion.messages import Evidence, Presence, PumpMessage
from infusion.prescription import Prescription, Timeline
from infusion.units import (
    MS_PER_HOUR,
    MS_PER_MINUTE,
    MS_PER_SECOND,
    flow_ml_h,
    millilitres,
    nanolitres,
    pump_rate_ml_h,
    round_dose_iu,
    round_rate,
)

# Programmed against ordered dose rate: proposal of this project (pump accuracy is 5 to 6 %).
RATE_TOLERANCE = 0.05
# Beyond double or half of the order the mistake is gross: proposal of this project.
RATE_GROSS = 2.0
# How long a nurse has to carry out a changed rate, and a hold or stop: proposals.
CHANGE_GRACE_MS = 30 * MS_PER_MINUTE
HOLD_GRACE_MS = 10 * MS_PER_MINUTE
# A pump may be programmed this long before the order's own instant.
EARLY_GRACE_MS = 5 * MS_PER_MINUTE
# GIP 1.2.2 and 1.2.3.
FLOW_TOLERANCE = 0.10
# A flow this many times the programmed rate is free flow: proposal of this project.
FREE_FLOW_FACTOR = 5.0
FREE_FLOW_BASE_ML_H = 1.0
# Flow is judged between samples that are not further apart than this, or than the pump's own
# interval and a half.
FLOW_INTERVAL_MS_MAX = 2 * MS_PER_MINUTE
CONCENTRATION_TOLERANCE = 0.01
# A counter may rest between two strokes of at most this volume (0.05 mL a stroke is a common
# figure for cassette pumps, from memory) before it is called frozen.
FROZEN_VOLUME_ML = 0.1
# A pump is missed after this many of its intervals, and never before the first level.
SILENT_INTERVALS = 6
SILENT_MS = 5 * MS_PER_MINUTE
# How long something seen once (a counter fault, a foreign identity) stays a hazard. Counted in
# what the pump has told since: silence resolves nothing.
SEEN_MS = 15 * MS_PER_MINUTE


class Situation(Struct):
    """All that is known of one pump at one instant, for the rules to look at.

    `edge` is the newest live message, `delivering` whether it says that the pump gives what it is
    programmed to give, `heard_ms` its time (or when the pump was first awaited),
    `silence_ms` how long after that it is missed,
    `interval` the newest stretch that shows a flow, `faster_ml_h` a higher rate that was
    programmed in that stretch or since, `flow` what was given beyond or below the order,
    `standing_ms` since when the pump delivers, or does not.
    `prescription` is the order for the therapy that the pump names or last named,
    `ordered` whether any order names this pump.
    """

    pump: str
    at_ms: int
    heard_ms: int
    silence_ms: int
    edge: PumpMessage | None
    delivering: bool
    account: Account
    interval: Interval | None
    faster_ml_h: float
    standing_ms: int
    presence: Presence | None
    presence_ms: int
    prescription: Prescription | None
    timeline: Timeline | None
    ordered: bool
    identity_ms: int | None
    identity_detail: str
    flow: FlowWatch


class Verdict(Struct, frozen=True):
    """A hazard is there. `since_ms` None means: since it was first seen."""

    evidence: Evidence
    since_ms: int | None = None
    # At least this priority, whatever the level says.
    priority: Priority | None = None


def _near(value: float, expected: float, tolerance: float) -> bool:
    return abs(value - expected) <= tolerance * expected


def is_delivering(message: PumpMessage) -> bool:
    """Whether a pump gives what it is programmed to give; keeping a vein open is not that."""
    return message.status == "infusing" and message.delivery in ("delivering", "transitioning")


def longest_judged_ms(presence: Presence | None) -> int:
    """The longest stretch between two samples that speaks of a flow."""
    interval_s = presence.interval_s if presence is not None else 0.0
    return max(FLOW_INTERVAL_MS_MAX, round(1.5 * interval_s * MS_PER_SECOND))


def rate_not_as_ordered(now: Situation) -> Verdict | None:
    """The pump is programmed to another dose rate than the order in force."""
    edge, timeline = now.edge, now.timeline
    if edge is None or timeline is None or not now.delivering:
        return None
    programmed = edge.rate_ml_h * edge.concentration_iu_ml
    ordered = timeline.base_rate_iu_h(now.at_ms)
    if _near(programmed, ordered, RATE_TOLERANCE):
        return None
    with_bolus = timeline.rate_iu_h(now.at_ms)
    grace_ms = CHANGE_GRACE_MS if ordered else HOLD_GRACE_MS
    allowed = (
        with_bolus,
        with_bolus - ordered,
        *timeline.base_rates_iu_h(now.at_ms - grace_ms, now.at_ms + EARLY_GRACE_MS),
    )
    if any(rate and _near(programmed, rate, RATE_TOLERANCE) for rate in allowed):
        return None
    gross = not ordered / RATE_GROSS <= programmed <= ordered * RATE_GROSS
    concentration = edge.concentration_iu_ml
    return Verdict(
        Evidence(
            observed=round_rate(edge.rate_ml_h),
            expected=round_rate(pump_rate_ml_h(ordered, concentration)),
            unit="mL/h",
            limit=f"±{RATE_TOLERANCE:.0%}",
            detail=f"programmed {programmed:.0f} IU/h, ordered {ordered:.0f} IU/h",
        ),
        priority=Priority.HIGH if gross else None,
    )


def over_delivery(now: Situation) -> Verdict | None:
    """More than 10 % over the order (GIP 1.2.2), by the counter and not by the programmed rate."""
    if now.timeline is None:
        return None
    return _flow_verdict(now.flow.over, now.flow.step_iu, f">+{FLOW_TOLERANCE:.0%} for 15 min")


def under_delivery(now: Situation) -> Verdict | None:
    """Less than 90 % of the order (GIP 1.2.3) while the pump says that it delivers."""
    if now.timeline is None or not now.delivering:
        return None
    return _flow_verdict(now.flow.under, now.flow.step_iu, f">−{FLOW_TOLERANCE:.0%} for 15 min")


def _flow_verdict(excess: Excess, step_iu: float, limit: str) -> Verdict | None:
    if excess.total_iu <= step_iu:
        return None
    evidence = Evidence(
        observed=round_dose_iu(excess.delivered_iu),
        expected=round_dose_iu(excess.ordered_iu),
        unit="IU",
        limit=limit,
        from_ms=excess.since_ms,
        to_ms=excess.to_ms,
        samples=excess.samples,
    )
    return Verdict(evidence, since_ms=excess.since_ms)


def free_flow(now: Situation) -> Verdict | None:
    """The counter runs many times faster than the pump is programmed to pump."""
    edge, interval = now.edge, now.interval
    if edge is None or interval is None:
        return None
    # One step of the counter may fall into any interval, however short.
    step_nl = nanolitres(now.presence.volume_step_ml) if now.presence is not None else 0
    flow = flow_ml_h(max(0, interval.pumped_nl - step_nl), interval.to_ms - interval.from_ms)
    programmed = max(edge.rate_ml_h, now.faster_ml_h)
    if flow <= FREE_FLOW_FACTOR * max(programmed, FREE_FLOW_BASE_ML_H):
        return None
    evidence = Evidence(
        observed=round_rate(flow),
        expected=programmed,
        unit="mL/h",
        limit=f">{FREE_FLOW_FACTOR:.0f} × programmed",
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
    since_ms = max(now.standing_ms, ordered_since_ms)
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


def wrong_concentration(now: Situation) -> Verdict | None:
    """The pump counts with another concentration than the order: every IU is wrong by it."""
    edge, prescription = now.edge, now.prescription
    if edge is None or prescription is None:
        return None
    observed, ordered = edge.concentration_iu_ml, prescription.concentration_iu_ml
    if _near(observed, ordered, CONCENTRATION_TOLERANCE):
        return None
    return Verdict(Evidence(observed=observed, expected=ordered, unit="IU/mL", limit="±1%"))


def unknown_pump(now: Situation) -> Verdict | None:
    """A pump that no order names is talking."""
    if now.edge is None or now.ordered:
        return None
    return Verdict(Evidence(detail=f"no order names pump {now.pump}"))


def unknown_therapy(now: Situation) -> Verdict | None:
    """A pump with an order names a therapy that is not known, or not its own."""
    edge, prescription = now.edge, now.prescription
    if edge is None or not now.ordered or (edge.therapy is None and not now.delivering):
        return None
    if edge.therapy is None:
        return Verdict(Evidence(detail="delivering without naming a therapy"))
    if prescription is None:
        return Verdict(Evidence(detail=f"no order for therapy {edge.therapy}"))
    if prescription.pump != now.pump:
        detail = f"therapy {edge.therapy} is ordered for pump {prescription.pump}"
        return Verdict(Evidence(detail=detail))
    return None


def silence_ms(presence: Presence) -> int:
    """How long a pump with this interval may be silent before it is missed."""
    return max(SILENT_MS, round(SILENT_INTERVALS * presence.interval_s * MS_PER_SECOND))


def no_telemetry(now: Situation) -> Verdict | None:
    """Nothing was heard of the pump; the silence counts as if its first level was just reached."""
    due_ms = now.heard_ms + now.silence_ms
    if now.at_ms < due_ms:
        return None
    evidence = Evidence(
        observed=round((now.at_ms - now.heard_ms) / MS_PER_MINUTE, 1),
        unit="min without a message",
        limit=f"{now.silence_ms / MS_PER_MINUTE:.0f} min",
        from_ms=now.heard_ms,
        to_ms=now.at_ms,
        detail="" if now.edge else "no message yet",
    )
    return Verdict(evidence, since_ms=due_ms - SILENT_MS)


def pump_offline(now: Situation) -> Verdict | None:
    """The broker lost the pump, or the pump took its leave, and it was not heard since."""
    presence = now.presence
    if presence is None or presence.state == "online":
        return None
    if now.edge is not None and now.edge.time_ms > now.presence_ms:
        return None
    return Verdict(Evidence(detail=f"offline, boot {presence.boot}"), since_ms=now.presence_ms)


def counter_frozen(now: Situation) -> Verdict | None:
    """The pump says that it delivers, and its counter stands still."""
    edge, still = now.edge, now.account.still
    if edge is None or still is None or not now.delivering or not edge.rate_ml_h:
        return None
    since_ms = max(still.time_ms, now.standing_ms)
    still_ms = edge.time_ms - since_ms
    due_ml = edge.rate_ml_h * still_ms / MS_PER_HOUR
    if due_ml <= FROZEN_VOLUME_ML:
        return None
    evidence = Evidence(
        observed=0.0,
        expected=round_rate(due_ml),
        unit="mL",
        limit=f"{FROZEN_VOLUME_ML} mL",
        from_ms=since_ms,
        to_ms=edge.time_ms,
    )
    return Verdict(evidence, since_ms=since_ms)


def counter_fault(now: Situation) -> Verdict | None:
    """The counter ran backwards, or faster than the pump can pump.

    A fault that lies ahead of what was heard is in back-fill, which raises nothing.
    """
    fault = now.account.fault
    if fault is None or not 0 <= now.heard_ms - fault.time_ms < SEEN_MS:
        return None
    what = {
        "backwards": "the counter ran backwards",
        "impossible": "the counter gained more than the pump can pump",
    }[fault.kind]
    evidence = Evidence(
        observed=millilitres(fault.volume_nl), unit="mL", to_ms=fault.time_ms, detail=what
    )
    return Verdict(evidence, since_ms=fault.time_ms)


def identity_mismatch(now: Situation) -> Verdict | None:
    """A message on this pump's topic spoke for another pump; it was refused."""
    if now.identity_ms is None or now.heard_ms - now.identity_ms >= SEEN_MS:
        return None
    return Verdict(Evidence(to_ms=now.identity_ms, detail=now.identity_detail))

"""Silence, counters and identities: whether what a pump says can be believed at all."""

from infusion.messages import Evidence
from infusion.situation import Situation, Verdict
from infusion.thresholds import SEEN_MS, SILENT_MS
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, millilitres, round_rate


def no_telemetry(now: Situation) -> Verdict | None:
    """Nothing was heard of the pump; the silence counts as if its first level was just reached."""
    due_ms = now.heard_ms + now.state.silence_ms
    if now.at_ms < due_ms:
        return None
    evidence = Evidence(
        observed=round((now.at_ms - now.heard_ms) / MS_PER_MINUTE, 1),
        unit="min without a message",
        limit=f"{now.state.silence_ms / MS_PER_MINUTE:.0f} min",
        from_ms=now.heard_ms,
        to_ms=now.at_ms,
        detail="" if now.edge else "no message yet",
    )
    return Verdict(evidence, since_ms=due_ms - SILENT_MS)


def pump_offline(now: Situation) -> Verdict | None:
    """The broker lost the pump, or the pump took its leave, and it was not heard since."""
    presence = now.state.presence
    if presence is None or presence.state == "online":
        return None
    if now.edge is not None and now.edge.time_ms > now.state.presence_ms:
        return None
    return Verdict(
        Evidence(detail=f"offline, boot {presence.boot}"), since_ms=now.state.presence_ms
    )


def counter_frozen(now: Situation) -> Verdict | None:
    """The pump says that it delivers, and its counter stands still."""
    edge, still = now.edge, now.state.account.still
    if edge is None or still is None or not now.delivering or not edge.rate_ml_h:
        return None
    since_ms = max(still.time_ms, now.state.standing_ms)
    still_ms = edge.time_ms - since_ms
    due_ml = edge.rate_ml_h * still_ms / MS_PER_HOUR
    if due_ml <= now.limits.frozen_volume_ml:
        return None
    evidence = Evidence(
        observed=0.0,
        expected=round_rate(due_ml),
        unit="mL",
        limit=f"{now.limits.frozen_volume_ml} mL",
        from_ms=since_ms,
        to_ms=edge.time_ms,
    )
    return Verdict(evidence, since_ms=since_ms)


def counter_fault(now: Situation) -> Verdict | None:
    """The counter ran backwards, or faster than the pump can pump.

    A fault that lies ahead of what was heard is in back-fill, which raises nothing.
    """
    fault = now.state.account.fault
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
    if now.state.identity_ms is None or now.heard_ms - now.state.identity_ms >= SEEN_MS:
        return None
    return Verdict(Evidence(to_ms=now.state.identity_ms, detail=now.state.identity_detail))


def unknown_pump(now: Situation) -> Verdict | None:
    """A pump that no order names is talking."""
    if now.edge is None or now.ordered:
        return None
    return Verdict(Evidence(detail=f"no order names pump {now.state.pump}"))

"""Line, bag and battery: what will stop the infusion before the pump says so."""

from infusion.messages import Evidence, PumpMessage
from infusion.pressure import rise, rise_mmhg_s, risen_ms
from infusion.rules.rule import HIGH, LOW, MEDIUM
from infusion.situation import Situation, Verdict
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, millilitres

DAY_MS = 24 * MS_PER_HOUR
# A floor that stays high for so long is no movement of the patient. [A]
NARROW_MS = 5 * MS_PER_MINUTE
# A battery's load is measured over at least this much; before that, 12.5 % an hour (B. Braun's
# simulator [V2]) stands in for it.
MEASURED_MS = 10 * MS_PER_MINUTE
MEASURED_SHARE = 0.01
USUAL_SHARE_H = 0.125
LIMIT_SPREAD = 14 / 26
# A rise is told at once when the pump may alarm so soon. [A]
SOON_MIN = 3.0
# What a gauge errs by, and what hangs in a line. [A]
GAUGE_ML = 5.0
# Open PCA: the estimate of a battery's time is right to ±25 % [V].
BATTERY_ACCURACY = 0.25


def _alarms(edge: PumpMessage, *keys: str) -> bool:
    """Whether the pump has one of these alarms."""
    return any(key in edge.alarms for key in keys)


def _accuracy(now: Situation) -> float:
    """The share by which the pump's flow may be off, by its own data sheet where it tells it."""
    presence = now.state.presence
    told = presence.accuracy if presence is not None else None
    return now.limits.pump_accuracy if told is None else told


def _minutes_to_alarm(
    now: Situation, pressure_mmhg: float, slope_mmhg_s: float
) -> tuple[float, float] | None:
    """When the pump itself will alarm, if it tells its limit: t = (limit − P) ÷ dP/dt.

    One pump's limit lies within about half of the nominal one (CADD-Legacy: 26 ± 14 psi [V]).
    """
    presence = now.state.presence
    limit = presence.occlusion_limit_mmhg if presence is not None else None
    if limit is None or slope_mmhg_s <= 0:
        return None
    soonest, latest = (
        max(0.0, (limit * share - pressure_mmhg) / slope_mmhg_s / 60)
        for share in (1 - LIMIT_SPREAD, 1 + LIMIT_SPREAD)
    )
    return soonest, latest


def occlusion_forming(now: Situation) -> Verdict | None:
    """The pressure is higher than it ever was at this rate, and goes on rising.

    Against a closed line dP/dt = r/C (Crono Five manual, annex 2 [V]); what the pump is set to is
    not known unless it says so, so the time to its own alarm is a range. Where that is far off
    there is time to see whether the rise is only a cuff on the arm, or somebody who turns over.
    """
    watch, edge = now.state.pressure, now.edge
    if edge is None:
        return None
    # What began as a rise has not ended when the pump stops for it, or the line stays narrow.
    if not now.delivering and not _alarms(edge, "downstream-occlusion"):
        return None
    shown = rise(watch)
    if not shown:
        is_told = "occlusion-forming" in now.state.board.tracks
        return _narrow(now) if is_told else None
    slope = rise_mmhg_s(watch)
    since_ms, (to_ms, pressure) = risen_ms(watch), shown[-1]
    alarm_min = _minutes_to_alarm(now, pressure, slope)
    when = ""
    if alarm_min is not None and now.delivering:
        when = f"; the pump itself will alarm in {alarm_min[0]:.0f} to {alarm_min[1]:.0f} min"
    evidence = Evidence(
        observed=round(pressure, 1),
        expected=round(watch.ceiling, 1),
        unit="mmHg",
        from_ms=since_ms,
        to_ms=to_ms,
        samples=len(shown),
        detail=f"rises by {slope * 60:.0f} mmHg a minute at {edge.rate_ml_h:g} mL/h{when}",
    )
    is_soon = alarm_min is None or alarm_min[0] <= SOON_MIN
    return Verdict(evidence, since_ms=since_ms, certain=is_soon)


def partial_occlusion(now: Situation) -> Verdict | None:
    """The pressure no longer falls back to what it was: the line is narrow, not closed.

    By more than 100 mmHg, which no height of a pump explains [A].
    """
    since_ms = now.state.pressure.narrow_since_ms
    if since_ms is None or not now.delivering or now.heard_ms - since_ms < NARROW_MS:
        return None
    return _narrow(now)


def _narrow(now: Situation) -> Verdict | None:
    watch = now.state.pressure
    since_ms = watch.narrow_since_ms
    if since_ms is None:
        return None
    evidence = Evidence(
        observed=round(watch.narrow_floor, 1),
        expected=round(watch.floor or 0.0, 1),
        unit="mmHg",
        limit="+100 mmHg for 5 min",
        from_ms=since_ms,
        to_ms=now.heard_ms,
    )
    return Verdict(evidence, since_ms=since_ms)


def reservoir_runs_out(now: Situation) -> Verdict | None:
    """The bag, or the volume to be infused, will be at its end soon (M05, GIP 1.5 [V2]).

    Time = volume ÷ rate; with what the pump may give too much it is earlier, and that counts.
    """
    edge, limits = now.telemetry, now.limits
    if edge is None or now.edge is None or now.edge.rate_ml_h <= 0:
        return None
    if not now.delivering and not _alarms(now.edge, "reservoir-empty", "infusion-complete"):
        return None
    volume_ml, what = edge.reservoir_ml, "bag"
    if edge.vtbi_ml > 0 and edge.vtbi_remaining_ml < volume_ml:
        volume_ml, what = edge.vtbi_remaining_ml, "volume to be infused"
    rate_ml_h = now.edge.rate_ml_h
    if now.state.giving is not None:
        # A bolus is over soon, and what follows is the continuous rate, if there is one now.
        if now.allowed is None or not now.allowed.ordered_iu_h:
            return None
        rate_ml_h = now.allowed.ordered_iu_h / edge.concentration_iu_ml
    minutes = volume_ml / rate_ml_h * 60
    passed = (now.at_ms - edge.time_ms) / MS_PER_MINUTE
    accuracy = _accuracy(now)
    soonest = minutes / (1 + accuracy) - passed
    if soonest > limits.reservoir_notice_min:
        return None
    latest = minutes / (1 - accuracy) - passed
    evidence = Evidence(
        observed=round(max(0.0, minutes - passed)),
        low=round(max(0.0, soonest)),
        high=round(max(0.0, latest)),
        unit="min",
        limit=f"{limits.reservoir_alert_min:.0f} min",
        to_ms=now.at_ms,
        detail=f"{what}: {volume_ml:.1f} mL",
    )
    return Verdict(evidence, priority=MEDIUM if soonest <= limits.reservoir_alert_min else None)


def reservoir_unexplained(now: Situation) -> Verdict | None:
    """The bag holds less, or more, than the counter explains (H02 [A]).

    Only where the pump measures its bag: one that counts down what it counted proves nothing. Less
    is a siphon, a leak over the pump or free flow; more is a drive that turns and moves nothing.
    """
    presence, supply = now.state.presence, now.state.supply
    if presence is None or presence.reservoir_gauge != "measured":
        return None
    if supply.bag_ms is None or supply.reservoir_ml is None:
        return None
    pumped_ml = millilitres(now.state.account.pumped_nl - supply.bag_pumped_nl)
    explained_ml = supply.bag_ml - pumped_ml
    missing_ml = explained_ml - supply.reservoir_ml
    if abs(missing_ml) <= GAUGE_ML + _accuracy(now) * pumped_ml:
        return None
    evidence = Evidence(
        observed=round(supply.reservoir_ml, 1),
        expected=round(explained_ml, 1),
        unit="mL",
        limit=f"{now.limits.reservoir_missing_share:.0%} of the bag",
        from_ms=supply.bag_ms,
        to_ms=now.heard_ms,
    )
    is_gross = missing_ml >= now.limits.reservoir_missing_share * supply.bag_ml
    return Verdict(evidence, priority=HIGH if is_gross else None)


def battery_runs_out(now: Situation) -> Verdict | None:
    """The battery will be flat soon, by what it lost since the mains went (L05, GIP 5.1 [V2])."""
    edge, supply, limits = now.telemetry, now.state.supply, now.limits
    if edge is None or supply.unplugged_ms is None:
        return None
    passed_ms = edge.time_ms - supply.unplugged_ms
    lost = supply.charge - edge.battery
    share_h = USUAL_SHARE_H
    if passed_ms >= MEASURED_MS and lost >= MEASURED_SHARE:
        share_h = lost * MS_PER_HOUR / passed_ms
    minutes = edge.battery / share_h * 60
    soonest = minutes * (1 - BATTERY_ACCURACY)
    if soonest > limits.battery_notice_min:
        return None
    evidence = Evidence(
        observed=round(minutes),
        low=round(soonest),
        high=round(minutes * (1 + BATTERY_ACCURACY)),
        unit="min",
        limit=f"{limits.battery_alert_min:.0f} min",
        to_ms=edge.time_ms,
        detail=f"charge {edge.battery:.0%}",
    )
    return Verdict(evidence, priority=MEDIUM if soonest <= limits.battery_alert_min else None)


def repeat_occlusion(now: Situation) -> Verdict | None:
    """The pump alarmed for occlusions again and again in a day: look at the catheter (L07 [A])."""
    recent = [at for at in now.state.supply.occluded_ms if now.heard_ms - at < DAY_MS]
    if len(recent) < now.limits.occlusions_max:
        return None
    evidence = Evidence(
        observed=float(len(recent)),
        unit="occlusion alarms",
        limit=f"{now.limits.occlusions_max} in 24 h",
        from_ms=recent[0],
        to_ms=recent[-1],
    )
    is_short = "under-delivery" in now.state.board.tracks
    return Verdict(evidence, priority=MEDIUM if is_short else LOW)


def bag_beyond_use(now: Situation) -> Verdict | None:
    """A bag hangs for longer than the site allows (L06; the 24 h are from memory [M])."""
    hung_ms = now.state.supply.bag_ms
    if hung_ms is None or not now.delivering:
        return None
    hours = (now.heard_ms - hung_ms) / MS_PER_HOUR
    if hours < now.limits.bag_hang_h:
        return None
    evidence = Evidence(
        observed=round(hours, 1),
        unit="h",
        limit=f"{now.limits.bag_hang_h:g} h",
        from_ms=hung_ms,
        to_ms=now.heard_ms,
    )
    return Verdict(evidence)

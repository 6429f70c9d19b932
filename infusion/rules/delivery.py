"""What is really delivered, by the counter, held against the order."""

from infusion import blood, level
from infusion.account import FLOW_MS_MIN, Interval, between, window
from infusion.allowed import near
from infusion.board import Phase
from infusion.counter import same_boot
from infusion.excess import Excess
from infusion.messages import Evidence, Panel
from infusion.rules.device import STOPPING
from infusion.rules.families import LEVEL_CAUSES, PROGRAMMED, SILENCE
from infusion.rules.rule import HIGH
from infusion.situation import Situation, Verdict
from infusion.state import PumpState
from infusion.thresholds import Thresholds
from infusion.units import (
    MS_PER_HOUR,
    MS_PER_MINUTE,
    NL_PER_ML,
    dose_iu,
    dose_rate_iu_kg_h,
    flow_ml_h,
    nanolitres,
    round_dose_iu,
    round_rate,
)

# Below this rate a flow is compared with this one [A].
FREE_FLOW_BASE_ML_H = 1.0
# What no gauge and no rounding explains [A].
FREE_FLOW_LEAST_ML = 0.02
# H01: more than double for five minutes; Open PCA judges five minutes too [V].
GROSS_RATIO = 2.0
GROSS_MS = 5 * MS_PER_MINUTE
# Half as much again, or half, is what leaves the therapeutic range for good (heparin.md §4.1 [D]).
HIGH_RATIO = 1.5
LOW_RATIO = 0.5
LOW_MS = 30 * MS_PER_MINUTE
# H03: a pause is dangerous after half an hour, of a low dose after a quarter (37 and 16 min from 15
# and 12 IU/kg/h to below 0.3 IU/mL, heparin.md §4.1 [D]).
LOW_DOSE_IU_KG_H = 12.0
LOW_DOSE_STOP_MS = 15 * MS_PER_MINUTE
# A standby that was set to end by itself is somebody's plan, up to so long [A].
PLANNED_MS = 20 * MS_PER_MINUTE
PLANNED_LATE_MS = 2 * MS_PER_MINUTE
DAY_MS = 24 * MS_PER_HOUR
LEAST_DAY_MS = DAY_MS - MS_PER_HOUR
# Levels nearer to each other than this are the same, in whatever ratio they are; so far apart,
# half of the lowest level of the range, is dangerous. [A]
LEVEL_APART_IU_ML = 0.06
LEVEL_FAR_IU_ML = 0.15
# A dose that is so far off within three quarters of an hour is more than one stop that is too
# short to be told (ten minutes). [A]
UNTOLD_MS = 11 * MS_PER_MINUTE
UNTOLD_WITHIN_MS = 45 * MS_PER_MINUTE
# Within five hours after a restart the level is back (heparin.md §4.1 [D]); a cause may have lasted
# for some time before. [A]
TOLD_MS = 8 * MS_PER_HOUR
# A flow in one of these is as it should be again, and only its alert is not over yet.
OVER = (Phase.RECOVERING, Phase.LATCHED)


def over_delivery(now: Situation) -> Verdict | None:
    """More than 10 % over the order (GIP 1.2.2 [V2]), by the counter, not by the programmed rate.

    More than double is told after five minutes (H01 [A]).
    """
    excess = now.state.flow.over
    verdict = _flow_verdict(now, excess, "+")
    if verdict is None:
        return None
    ratio = excess.delivered_iu / excess.ordered_iu if excess.ordered_iu > 0 else GROSS_RATIO + 1
    return Verdict(
        verdict.evidence,
        since_ms=excess.since_ms,
        priority=HIGH if ratio > HIGH_RATIO else None,
        certain=ratio > GROSS_RATIO and excess.to_ms - excess.since_ms >= GROSS_MS,
    )


def under_delivery(now: Situation) -> Verdict | None:
    """Less than 90 % of the order (GIP 1.2.3 [V2]) while the pump says that it delivers.

    Less than half is told after five minutes, and is HIGH after half an hour (H04 [A]).
    """
    if not now.delivering:
        return None
    excess = now.state.flow.under
    verdict = _flow_verdict(now, excess, "−")
    if verdict is None:
        return None
    is_low = excess.delivered_iu < LOW_RATIO * excess.ordered_iu
    lasted_ms = excess.to_ms - excess.since_ms
    return Verdict(
        verdict.evidence,
        since_ms=excess.since_ms,
        priority=HIGH if is_low and lasted_ms >= LOW_MS else None,
        certain=is_low and lasted_ms >= GROSS_MS,
    )


def _flow_verdict(now: Situation, excess: Excess, sign: str) -> Verdict | None:
    if excess.total_iu <= now.state.flow.step_iu or now.timeline is None:
        return None
    evidence = Evidence(
        observed=round_dose_iu(excess.delivered_iu),
        expected=round_dose_iu(excess.ordered_iu),
        unit="IU",
        limit=f"{sign}{now.limits.flow_tolerance:.0%} for 15 min",
        from_ms=excess.since_ms,
        to_ms=excess.to_ms,
        samples=excess.samples,
        dose_iu=round_dose_iu(excess.delivered_iu - excess.ordered_iu),
    )
    return Verdict(evidence, since_ms=excess.since_ms)


def runs_free(state: PumpState, limits: Thresholds) -> Interval | None:
    """The stretch in which the counter ran many times faster than the pump is programmed to pump.

    The newest one that shows it: up to the last message, or over the last few, which for a pump
    that speaks every second is what it takes to tell a flow from the steps of a counter.
    """
    edge, interval, recent = state.edge, state.interval, state.account.recent
    if edge is None or interval is None:
        return None
    programmed = max(edge.rate_ml_h, state.faster_ml_h, FREE_FLOW_BASE_ML_H)
    most_nl_ms = limits.free_flow_factor * programmed * NL_PER_ML / MS_PER_HOUR
    first, last = recent[0], recent[-1]
    length_ms = last.time_ms - first.time_ms
    if (
        interval.pumped_nl <= most_nl_ms * (interval.to_ms - interval.from_ms)
        and last.pumped_nl - first.pumped_nl <= most_nl_ms * length_ms
    ):
        # Nearly always: there is nothing that a step would have to explain.
        return None
    # One step of the counter may fall into any interval, however short.
    step_ml = state.presence.volume_step_ml if state.presence is not None else 0.0
    spare_nl = nanolitres(step_ml + FREE_FLOW_LEAST_ML)
    if interval.pumped_nl - spare_nl > most_nl_ms * (interval.to_ms - interval.from_ms):
        return interval
    if not (FLOW_MS_MIN <= length_ms <= state.judged_ms and same_boot(first.key, last.key)):
        return None
    gained_nl = last.pumped_nl - first.pumped_nl - spare_nl
    return between(first, last) if gained_nl > most_nl_ms * length_ms else None


def free_flow(now: Situation) -> Verdict | None:
    """The counter runs many times faster than the pump is programmed to pump.

    GIP 1.2.2 has free flow [V2]; five times the rate is H02 [A].
    """
    edge, interval = now.edge, runs_free(now.state, now.limits)
    if edge is None or interval is None:
        return None
    since_ms, over_nl = _free_since(now, interval, edge.rate_ml_h)
    flow = edge.rate_ml_h + flow_ml_h(over_nl, interval.to_ms - since_ms)
    evidence = Evidence(
        observed=round_rate(flow),
        expected=max(edge.rate_ml_h, now.state.faster_ml_h),
        unit="mL/h",
        limit=f">{now.limits.free_flow_factor:.0f} × programmed",
        from_ms=since_ms,
        to_ms=interval.to_ms,
        samples=interval.samples,
        dose_iu=round_dose_iu(dose_iu(over_nl, edge.concentration_iu_ml)),
    )
    return Verdict(evidence, since_ms=interval.from_ms)


def _free_since(now: Situation, interval: Interval, rate_ml_h: float) -> tuple[int, int]:
    """Since when more flows than is programmed, and how many nanolitres more by now.

    The newest stretch shows that it flows. What ran in since the alert was raised is all of it.
    """
    since_ms = interval.from_ms
    track = now.state.board.tracks.get("free-flow-seen")
    if track is not None and track.phase is Phase.RAISED and track.since_ms < since_ms:
        since_ms = track.since_ms
        # It begins a little before, when what flowed was what was programmed.
        interval = window(now.state.account, interval.to_ms - since_ms) or interval
    length_ms = interval.to_ms - interval.from_ms
    programmed_nl = round(rate_ml_h * NL_PER_ML * length_ms / MS_PER_HOUR)
    return since_ms, interval.pumped_nl - programmed_nl


def not_delivering(now: Situation) -> Verdict | None:
    """The order says deliver, and the pump does not: a pause that nobody ordered (H03, M02 [A]).

    A standby that is set to end by itself is given until shortly after its end, 20 minutes at
    most. The end of an ordered hold is `hold_overrun`.
    """
    since_ms = _stopped_since_ms(now)
    if since_ms is None or _after_hold(now):
        return None
    planned_ms = _planned_until_ms(now)
    if planned_ms is not None and now.at_ms < min(planned_ms, since_ms + PLANNED_MS):
        return None
    return _stop_verdict(now, since_ms, "10 min")


def hold_overrun(now: Situation) -> Verdict | None:
    """An ordered hold is over, and the pump was not started again within 10 minutes (M03 [A])."""
    since_ms = _stopped_since_ms(now)
    if since_ms is None or not _after_hold(now):
        return None
    return _stop_verdict(now, since_ms, f"{now.limits.hold_grace_min:.0f} min after the hold")


def _stopped_since_ms(now: Situation) -> int | None:
    """Since when the pump stands though the order says deliver; None where it need not deliver."""
    if now.edge is None or now.timeline is None or now.delivering:
        return None
    if now.prescription is None or now.prescription.pump != now.state.pump:
        # The therapy went to another pump.
        return None
    ordered_since_ms = now.timeline.running_since_ms(now.at_ms)
    return None if ordered_since_ms is None else max(now.state.standing_ms, ordered_since_ms)


def _after_hold(now: Situation) -> bool:
    """Whether the pump has stood since before a hold that is over."""
    assert now.timeline is not None
    since_ms = now.timeline.running_since_ms(now.at_ms)
    if since_ms is None or now.state.standing_ms >= since_ms:
        return False
    return since_ms > now.timeline.times_ms[0]


def _planned_until_ms(now: Situation) -> int | None:
    edge = now.telemetry
    if edge is None or edge.reason != "standby":
        return None
    until_ms = (edge.panel or Panel()).standby_until_ms
    return None if until_ms is None else until_ms + PLANNED_LATE_MS


def _stop_verdict(now: Situation, since_ms: int, limit: str) -> Verdict:
    edge, timeline, prescription = now.edge, now.timeline, now.prescription
    assert edge is not None
    assert timeline is not None
    ordered = timeline.base_rate_iu_h(now.at_ms)
    missed = timeline.dose_iu(since_ms, now.at_ms)
    given = edge.flow_ml_h * edge.concentration_iu_ml
    evidence = Evidence(
        observed=round_rate(given),
        expected=round_rate(ordered),
        unit="IU/h",
        limit=limit,
        from_ms=since_ms,
        to_ms=now.at_ms,
        dose_iu=-round_dose_iu(missed - given * (now.at_ms - since_ms) / MS_PER_HOUR),
        detail=edge.reason or edge.delivery,
    )
    is_low = (
        prescription is not None
        and dose_rate_iu_kg_h(ordered, 1.0, prescription.weight_kg) <= LOW_DOSE_IU_KG_H
    )
    is_urgent = is_low and now.at_ms - since_ms >= LOW_DOSE_STOP_MS
    return Verdict(evidence, since_ms=since_ms, priority=HIGH if is_urgent else None)


def deviation_24h(now: Situation) -> Verdict | None:
    """Over a day more than 10 % too much or too little was given (L01 [A]).

    A quarter of an hour does not show what a slow drift does, a day does.
    """
    origin = now.state.account.origin
    if now.timeline is None or origin is None or now.heard_ms - origin.time_ms < LEAST_DAY_MS:
        return None
    interval = window(now.state.account, DAY_MS)
    if interval is None or interval.to_ms - interval.from_ms < LEAST_DAY_MS:
        return None
    ordered = now.timeline.dose_iu(interval.from_ms, interval.to_ms)
    if ordered <= 0:
        return None
    tolerance = now.limits.day_tolerance
    if abs(interval.delivered_iu - ordered) <= tolerance * ordered:
        return None
    evidence = Evidence(
        observed=round_dose_iu(interval.delivered_iu),
        expected=round_dose_iu(ordered),
        unit="IU",
        limit=f"±{tolerance:.0%} in 24 h",
        from_ms=interval.from_ms,
        to_ms=interval.to_ms,
        dose_iu=round_dose_iu(interval.delivered_iu - ordered),
    )
    return Verdict(evidence)


def level_off_course(now: Situation) -> Verdict | None:
    """The level that the delivered dose makes, against the one that the order would make (ρ).

    ρ = level by the delivered dose ÷ level by the ordered dose, in a typical patient: what a
    missed or surplus dose does to the blood (heparin.md §0.4 [A]). Outside 0.80 to 1.25 for a
    quarter of an hour is M01; above 1.5 (H01) or below 0.5 (H04) it is HIGH.

    A pump that gives right again needs no second alert: the level comes back, and what made it
    leave was told, or was one thing too short to be told. Many of these are told here.
    """
    watch, limits = now.state.level, now.limits
    apart = abs(watch.delivered_iu_ml - watch.ordered_iu_ml)
    if apart < LEVEL_APART_IU_ML or now.edge is None or now.timeline is None:
        return None
    ratio = level.ratio(watch)
    if ratio is None:
        return None
    low, high = 1 - limits.level_ratio_off, 1 / (1 - limits.level_ratio_off)
    if low <= ratio <= high:
        return None
    track = now.state.board.tracks.get("level-off-course")
    gives_right = _gives_right(now)
    is_mended = gives_right and (_was_told(now) or not _is_untold(now))
    if (track is None or track.alert is None) and is_mended:
        return None
    is_far = (
        not limits.level_ratio_low <= ratio <= limits.level_ratio_high and apart >= LEVEL_FAR_IU_ML
    )
    evidence = Evidence(
        observed=round(watch.delivered_iu_ml, 2),
        expected=round(watch.ordered_iu_ml, 2),
        unit="IU/mL",
        limit=f"{low:.2f}–{high:.2f} × for 15 min",
        to_ms=now.heard_ms,
        detail=f"{ratio:.2f} times the level that was ordered, in a typical patient",
    )
    is_certain = is_far and not gives_right
    return Verdict(evidence, priority=HIGH if is_far else None, certain=is_certain)


def _gives_right(now: Situation) -> bool:
    """Whether the pump gives what it should at the moment."""
    tracks = now.state.board.tracks
    flows = [tracks[key] for key in ("over-delivery", "under-delivery") if key in tracks]
    edge, allowed = now.edge, now.allowed
    if edge is None or allowed is None or any(each.phase not in OVER for each in flows):
        return False
    if not now.delivering:
        # It stands as it should where nothing is ordered.
        return edge.delivery == "not-delivering" and not allowed.ordered_iu_h
    programmed = edge.rate_ml_h * edge.concentration_iu_ml
    tolerance = now.limits.rate_tolerance
    return now.state.giving is not None or any(
        near(programmed, rate, tolerance) for rate in allowed.rates_iu_h if rate
    )


def _was_told(now: Situation) -> bool:
    """Whether an alert told lately of what led the level off its course."""
    board = now.state.board
    own = board.tracks.get("level-off-course")
    if own is not None and own.raised_ms is not None:
        return True
    causes = (*LEVEL_CAUSES, *PROGRAMMED, *STOPPING, *SILENCE)
    return any(
        now.at_ms - board.ended_ms[key] < TOLD_MS for key in causes if key in board.ended_ms
    ) or any(key in board.tracks and board.tracks[key].raised_ms is not None for key in causes)


def _is_untold(now: Situation) -> bool:
    """Whether short stops, or bursts, that nobody told of came again and again."""
    interval = window(now.state.account, UNTOLD_WITHIN_MS)
    order = now.record.order if now.record is not None else None
    if interval is None or order is None or interval.to_ms - interval.from_ms < UNTOLD_WITHIN_MS:
        return False
    shift_ms = now.state.clock_shift_ms
    ordered = blood.ordered_iu(
        now.state, order.timeline, interval.from_ms - shift_ms, interval.to_ms - shift_ms
    )
    rate_iu_h = order.timeline.base_rate_iu_h(now.order_ms)
    return abs(interval.delivered_iu - ordered) > rate_iu_h * UNTOLD_MS / MS_PER_HOUR

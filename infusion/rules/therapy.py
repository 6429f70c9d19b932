"""What the pump is programmed to, held against the order."""

from infusion.alarms import Priority
from infusion.allowed import near
from infusion.messages import Evidence, Panel
from infusion.situation import Situation, Verdict
from infusion.therapies import was_given
from infusion.units import (
    MS_PER_HOUR,
    MS_PER_MINUTE,
    pump_rate_ml_h,
    round_dose_iu,
    round_rate,
)

HOUR_24_MS = 24 * MS_PER_HOUR
# A bolus may take so much longer than ordered, by the limit of a motor. [A]
BOLUS_STRETCH = 1.25
# An order that the pump knows and the monitor does not is waited for: two minutes on its way are
# nothing odd, and three of double strength are a tenth of an hour's dose. [A]
ORDER_WAIT_MS = 3 * MS_PER_MINUTE


def _awaits_order(now: Situation) -> bool:
    """Whether the pump was programmed just now by a newer order than the one that is known."""
    edge, prescription, keypad = now.edge, now.prescription, now.state.keypad
    if edge is None or prescription is None or edge.order_version <= prescription.version:
        return False
    changed_ms = max(keypad.rate_ms, keypad.changed_ms or 0)
    return now.at_ms - changed_ms < ORDER_WAIT_MS


def _is_wrong(now: Situation) -> float | None:
    """The dose rate in IU/h that a delivering pump is programmed to, where nothing allows it."""
    edge, allowed = now.edge, now.allowed
    if edge is None or allowed is None or now.prescription is None or not now.delivering:
        return None
    programmed = edge.rate_ml_h * edge.concentration_iu_ml
    tolerance = now.limits.rate_tolerance
    for rate in allowed.rates_iu_h:
        if rate and near(programmed, rate, tolerance):
            return None
    giving = now.state.giving
    if giving is not None:
        slower = max(1.0, giving.rate_iu_h / programmed) if programmed else 1.0
        longest_ms = (giving.end_ms - giving.begin_ms) * slower * BOLUS_STRETCH + MS_PER_MINUTE
        # In a silence nobody knows whether it went on.
        if now.heard_ms - now.state.keypad.rate_ms <= longest_ms:
            return None
    return None if _awaits_order(now) else programmed


def _misgiven_iu(now: Situation, programmed_iu_h: float) -> float:
    """What a wrong rate has given too much (or too little) since it was programmed."""
    assert now.timeline is not None
    since_ms = now.state.keypad.rate_ms
    ordered = now.timeline.dose_iu(since_ms, now.at_ms)
    return round_dose_iu(programmed_iu_h * (now.at_ms - since_ms) / MS_PER_HOUR - ordered)


def _gross(now: Situation, programmed: float, ordered: float) -> Priority | None:
    """HIGH for more than double or less than half of the order [A]."""
    factor = now.limits.rate_gross
    return None if ordered / factor <= programmed <= ordered * factor else Priority.HIGH


def _rate_evidence(now: Situation, programmed: float, ordered: float) -> Evidence:
    assert now.edge is not None
    concentration = now.edge.concentration_iu_ml
    return Evidence(
        observed=round_rate(now.edge.rate_ml_h),
        expected=round_rate(pump_rate_ml_h(ordered, concentration)),
        unit="mL/h",
        limit=f"±{now.limits.rate_tolerance:.0%}",
        from_ms=now.state.keypad.rate_ms,
        to_ms=now.at_ms,
        dose_iu=_misgiven_iu(now, programmed),
        detail=f"programmed {programmed:.0f} IU/h, ordered {ordered:.0f} IU/h",
    )


def _earlier_rate(now: Situation, programmed: float) -> bool:
    """Whether the pump still runs at a rate that was ordered before."""
    assert now.timeline is not None
    before = now.timeline.base_rates_iu_h(now.timeline.times_ms[0], now.at_ms)
    tolerance = now.limits.rate_tolerance
    since_ms = now.timeline.changed_ms(now.at_ms)
    return now.state.keypad.rate_ms <= since_ms and any(
        rate and near(programmed, rate, tolerance) for rate in before
    )


def rate_not_as_ordered(now: Situation) -> Verdict | None:
    """The pump is programmed to another dose rate than any that the order allows (H08, M04 [A])."""
    programmed = _is_wrong(now)
    if programmed is None or now.allowed is None:
        return None
    ordered = now.allowed.ordered_iu_h
    if not ordered or _earlier_rate(now, programmed):
        return None
    is_gross = _gross(now, programmed, ordered) is not None or _breach(now) is not None
    evidence = _rate_evidence(now, programmed, ordered)
    return Verdict(
        evidence, since_ms=now.state.keypad.rate_ms, priority=Priority.HIGH if is_gross else None
    )


def order_not_applied(now: Situation) -> Verdict | None:
    """A rate was ordered half an hour ago, and the pump is still at an old one (M04 [A]).

    Or a bolus was ordered, and nobody gave it in time.
    """
    programmed, allowed = _is_wrong(now), now.allowed
    if programmed is not None and allowed is not None and allowed.ordered_iu_h:
        if not _earlier_rate(now, programmed):
            return None
        evidence = _rate_evidence(now, programmed, allowed.ordered_iu_h)
        return Verdict(evidence, priority=_gross(now, programmed, allowed.ordered_iu_h))
    return _bolus_not_given(now)


def _bolus_not_given(now: Situation) -> Verdict | None:
    """A bolus that is late, until it is void: then nobody may give it any more [A]."""
    if now.timeline is None or now.edge is None or not now.timeline.boluses:
        return None
    grace_ms = round(now.limits.bolus_grace_min * MS_PER_MINUTE)
    void_ms = round(now.limits.bolus_void_min * MS_PER_MINUTE)
    for begin_ms, end_ms, rate_iu_h in now.timeline.boluses:
        is_late = end_ms + grace_ms <= now.at_ms < end_ms + void_ms
        if not is_late or was_given(now.state, begin_ms):
            continue
        if begin_ms < now.state.awaited_ms:
            # Ordered before this monitor heard of the pump: it may well have been given.
            continue
        dose = rate_iu_h * (end_ms - begin_ms) / MS_PER_HOUR
        evidence = Evidence(
            observed=0.0,
            expected=round_dose_iu(dose),
            unit="IU",
            limit=f"{now.limits.bolus_grace_min:.0f} min",
            from_ms=begin_ms,
            to_ms=now.at_ms,
            dose_iu=-round_dose_iu(dose),
            detail="bolus not given",
        )
        return Verdict(evidence, since_ms=end_ms + grace_ms)
    return None


def delivering_on_hold(now: Situation) -> Verdict | None:
    """The order says hold or stop, and the pump delivers (M03, M04 [A]).

    A hold or stop must be carried out within `hold_grace_min`; a pump that is started in the
    middle of one is told at once. Of a pump that was not heard since the hold began nobody knows
    what it does: that it is not heard is told, and this once it is.
    """
    programmed = _is_wrong_in_hold(now)
    if programmed is None or now.timeline is None:
        return None
    is_known = now.heard_ms >= now.timeline.changed_ms(now.at_ms)
    if not is_known and "delivering-on-hold" not in now.state.board.tracks:
        return None
    return Verdict(_rate_evidence(now, programmed, 0.0))


def _is_wrong_in_hold(now: Situation) -> float | None:
    """The dose rate of a pump that delivers where nothing is ordered; None where it may."""
    edge, allowed, timeline = now.edge, now.allowed, now.timeline
    if edge is None or allowed is None or timeline is None or not now.delivering:
        return None
    if allowed.ordered_iu_h or now.state.giving is not None or not edge.rate_ml_h:
        return None
    early_ms = round(now.limits.early_grace_min * MS_PER_MINUTE)
    if any(timeline.base_rates_iu_h(now.at_ms, now.at_ms + early_ms)):
        return None
    hold_ms = timeline.changed_ms(now.at_ms)
    grace_ms = round(now.limits.hold_grace_min * MS_PER_MINUTE)
    is_restart = now.state.standing_ms > hold_ms
    if not is_restart and now.at_ms - hold_ms < grace_ms:
        return None
    return edge.rate_ml_h * edge.concentration_iu_ml


def order_refused(now: Situation) -> Verdict | None:
    """An order of the therapy was refused, and no newer one was taken since (contract v1 [A]).

    Until then the pump is held against the order before it, or against none.
    """
    refusal = now.record.refusal if now.record is not None else None
    return Verdict(Evidence(detail=refusal.text)) if refusal is not None else None


def wrong_concentration(now: Situation) -> Verdict | None:
    """The pump counts with another concentration than the order: every IU is wrong by it (H08 [A]).

    100 for 50 IU/mL is the classic mix-up, exactly a factor of two (heparin.md §1.5 [S]). Of a pump
    that stands it is not told anew: an order of another strength comes before its bag is hung. An
    order that the pump names and that is still on its way is waited for; without it there is
    nothing to wait for.
    """
    edge, prescription = now.edge, now.prescription
    if edge is None or prescription is None:
        return None
    if not now.delivering and "wrong-concentration" not in now.state.board.tracks:
        return None
    observed, ordered = edge.concentration_iu_ml, prescription.concentration_iu_ml
    if near(observed, ordered, now.limits.concentration_tolerance) or _awaits_order(now):
        return None
    evidence = Evidence(
        observed=observed,
        expected=ordered,
        unit="IU/mL",
        limit=f"±{now.limits.concentration_tolerance:.0%}",
    )
    return Verdict(evidence)


def wrong_weight(now: Situation) -> Verdict | None:
    """The pump doses by another weight than the order: pounds are 2.2 times kilograms (H08 [A])."""
    edge, prescription = now.telemetry, now.prescription
    if edge is None or prescription is None or not now.delivering:
        return None
    is_right = near(edge.weight_kg, prescription.weight_kg, now.limits.weight_tolerance)
    if is_right or _awaits_order(now):
        return None
    programmed = _is_wrong(now)
    evidence = Evidence(
        observed=edge.weight_kg,
        expected=prescription.weight_kg,
        unit="kg",
        limit=f"±{now.limits.weight_tolerance:.0%}",
        dose_iu=None if programmed is None else _misgiven_iu(now, programmed),
    )
    return Verdict(evidence)


def outside_limits(now: Situation) -> Verdict | None:
    """What was ordered is outside the hard limits of the site's library (H09 [A]).

    A pump that runs outside of them against its order is `rate_not_as_ordered`, at once and HIGH.
    """
    if not now.delivering or now.state.giving is not None:
        return None
    evidence = _breach(now)
    if evidence is None or _is_wrong(now) is not None:
        return None
    return Verdict(evidence)


def _breach(now: Situation) -> Evidence | None:
    """The hard limit that the programmed dose is beyond."""
    edge, prescription, limits = now.edge, now.prescription, now.limits
    if edge is None or prescription is None:
        return None
    rate_iu_h = edge.rate_ml_h * edge.concentration_iu_ml
    by_weight = rate_iu_h / prescription.weight_kg
    if (
        limits.dose_min_iu_kg_h <= by_weight <= limits.dose_max_iu_kg_h
        and rate_iu_h <= limits.dose_max_iu_h
    ):
        return None
    for value, low, high, unit in (
        (by_weight, limits.dose_min_iu_kg_h, limits.dose_max_iu_kg_h, "IU/kg/h"),
        (rate_iu_h, 0.0, limits.dose_max_iu_h, "IU/h"),
    ):
        if not low <= round_rate(value) <= high:
            return Evidence(
                observed=round_rate(value), low=low, high=high, unit=unit, limit=f"{low:g}–{high:g}"
            )
    return None


def library_bypassed(now: Situation) -> Verdict | None:
    """What runs was programmed past the drug library: no limit guards it (H09 [A]).

    ISMP wants at least 95 % of infusions inside the library (heparin.md §1.6 [S]).
    """
    edge = now.telemetry
    if edge is None or not now.delivering:
        return None
    if not (edge.panel or Panel()).outside_library:
        return None
    return Verdict(Evidence(detail="outside the drug library"))


def double_check_missing(now: Situation) -> Verdict | None:
    """A changed rate or strength without two people who checked it independently (M12 [A]).

    Only where the site has its pumps ask for it; ten minutes are allowed. Two nurses check a start
    and each change of the rate (Conway, heparin.md §1.6 [S]); M12 names bags too. A start, or a bag
    of the same strength at the same rate, changes neither and is left to the pump, which asks for
    the check itself: at home whoever is there hangs the daily bag, and an alert a day that nobody
    can answer would be one that nobody reads [A].
    """
    keypad = now.state.keypad
    if not now.limits.double_check_required or keypad.changed_ms is None or not now.delivering:
        return None
    if keypad.checked_ms is not None and keypad.checked_ms >= keypad.changed_ms:
        return None
    return Verdict(Evidence(from_ms=keypad.changed_ms), since_ms=keypad.changed_ms)


def override_pattern(now: Situation) -> Verdict | None:
    """Soft limits were overridden again and again within a day (L02 [A]; ISMP 2020 on low ones)."""
    recent = [at for at in now.state.keypad.overridden_ms if now.heard_ms - at < HOUR_24_MS]
    if len(recent) < now.limits.overrides_max:
        return None
    evidence = Evidence(
        observed=float(len(recent)),
        unit="overrides",
        limit=f"{now.limits.overrides_max} in 24 h",
        from_ms=recent[0],
        to_ms=recent[-1],
    )
    return Verdict(evidence)


def unknown_therapy(now: Situation) -> Verdict | None:
    """A pump with an order names a therapy that is not known, or delivers without one [A]."""
    edge = now.edge
    if edge is None or not now.ordered or (edge.therapy is None and not now.delivering):
        return None
    if edge.therapy is None:
        return Verdict(Evidence(detail="delivering without naming a therapy"))
    if now.prescription is None:
        return Verdict(Evidence(detail=f"no order for therapy {edge.therapy}"))
    return None


def therapy_on_two_pumps(now: Situation) -> Verdict | None:
    """The pump delivers what is ordered for another pump: the patient may get both [A]."""
    edge, prescription = now.edge, now.prescription
    if edge is None or prescription is None or prescription.pump == now.state.pump:
        return None
    if edge.therapy != prescription.therapy or not now.delivering:
        return None
    detail = f"therapy {edge.therapy} is ordered for pump {prescription.pump}"
    return Verdict(Evidence(detail=detail))

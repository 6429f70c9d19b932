"""Lines, mechanism and bags: what physics does to a dose. Every size and time is ours [A]."""

from dripwatch.trial.hazard import Bed, Planted, at, lasting
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.physics import MMHG_PER_CM
from simulator.story import actions as do
from simulator.story import faults as fault
from simulator.story.reading import Offset

# The pump of the cohort (config/pumps/ambulatory): what a siphon, its line and its vein withstand,
# and the flow past the mechanism that it calls free flow and stops at.
SIPHON_MMHG_H_ML, LINE_MMHG_H_ML, VEIN_MMHG = 20.0, 2.0, 10.0
FREE_FLOW_ML_H = 2.0


def occlusion(bed: Bed) -> Planted:
    """The line closes at once, and whoever answers the pump's alarm opens it."""
    return lasting(fault.Occlusion, bed)


def growing_occlusion(bed: Bed) -> Planted:
    """A catheter clots, over one hour or two."""
    length_ms = round((bed.until_ms - bed.at_ms) * bed.uniform(0.6, 0.9)) // 60_000 * 60_000
    return lasting(fault.Occlusion, bed, grows_over=Offset(length_ms))


def intermittent_occlusion(bed: Bed) -> Planted:
    """An arm that bends and straightens: closed for one or two minutes, then open again."""
    closed_s = bed.uniform(50.0, 110.0)
    cycle_s = closed_s / bed.uniform(0.4, 0.7)
    return lasting(
        fault.Occlusion, bed, cycle_s=round(cycle_s), open_share=1 - closed_s / round(cycle_s)
    )


def upstream_occlusion(bed: Bed) -> Planted:
    """A clamp left closed over the pump."""
    return lasting(fault.Occlusion, bed, where="upstream")


def partial_occlusion(bed: Bed) -> Planted:
    """The line is narrow: all gets through, at a pressure that never was."""
    # The pump stands 24 mmHg over the vein at 12 mL/h; this makes 240 to 700.
    factor = bed.uniform(240.0, 700.0) / (2.0 * bed.rate_ml_h)
    return lasting(fault.Occlusion, bed, resistance_factor=max(2.0, factor))


def leak(bed: Bed) -> Planted:
    """The line leaks behind the pump: the pump does all it should, the patient gets less."""
    return lasting(fault.Leak, bed, share=bed.uniform(0.4, 1.0))


def siphon(bed: Bed) -> Planted:
    """A little more than ordered runs through a valve that does not close: too little for the pump
    to call it free flow.
    """
    most_ml_h = 0.95 * FREE_FLOW_ML_H
    extra_ml_h = bed.uniform(min(0.14 * bed.rate_ml_h, 0.9 * most_ml_h), most_ml_h)
    # Between two strokes the line has no more than the vein's pressure, and then it flows most.
    head_cm = (extra_ml_h * (SIPHON_MMHG_H_ML + LINE_MMHG_H_ML) + VEIN_MMHG) / MMHG_PER_CM
    return lasting(fault.Siphon, bed, head_cm=min(200.0, head_cm))


def free_flow(bed: Bed) -> Planted:
    """The cassette is off, the clamp open: the bag runs out through the line."""
    return lasting(fault.FreeFlow, bed, head_cm=bed.uniform(60.0, 120.0))


def flow_too_high(bed: Bed) -> Planted:
    """The mechanism gives more than it is programmed to."""
    return lasting(fault.FlowError, bed, share=bed.uniform(0.2, 0.7))


def flow_too_low(bed: Bed) -> Planted:
    """The mechanism gives less than it is programmed to."""
    return lasting(fault.FlowError, bed, share=-bed.uniform(0.2, 0.6))


def slow_drift(bed: Bed) -> Planted:
    """The flow falls by 5 % an hour to 15 % too little, and stays there."""
    turn_ms = bed.at_ms + 3 * MS_PER_HOUR
    drift = at(fault.FlowDrift, bed, bed.at_ms, until=Offset(turn_ms), share_per_hour=-0.05)
    stays = at(fault.FlowError, bed, turn_ms, until=Offset(bed.until_ms), share=-0.15)
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, faults=(drift, stays))


def air(bed: Bed) -> Planted:
    """A bubble larger than the pump lets pass."""
    bubble = at(fault.AirBubble, bed, bed.at_ms, volume_ul=bed.uniform(300.0, 900.0), before_ml=0.2)
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, faults=(bubble,))


def empty_bag(bed: Bed) -> Planted:
    """The bag holds less than anybody thought, and nobody hears the pump say so."""
    volume_ml = round(max(0.5, bed.rate_ml_h * bed.uniform(0.2, 0.6)), 1)
    return Planted(
        onset_ms=bed.at_ms + round(volume_ml / bed.rate_ml_h * MS_PER_HOUR),
        until_ms=bed.until_ms,
        actions=(
            at(do.SetReservoir, bed, bed.at_ms, volume_ml=volume_ml),
            at(do.ChangeBag, bed, bed.until_ms, volume_ml=250.0),
            at(do.Start, bed, bed.until_ms + MS_PER_MINUTE),
        ),
        is_unattended=True,
    )


def flat_battery(bed: Bed) -> Planted:
    """The pump was never plugged in again; it runs down and goes off."""
    level = bed.uniform(0.04, 0.1)
    back_ms = bed.until_ms + MS_PER_MINUTE
    return Planted(
        # 8 hours are what a full battery holds.
        onset_ms=bed.at_ms + round(level * 8 * MS_PER_HOUR),
        until_ms=bed.until_ms,
        faults=(
            at(fault.Battery, bed, bed.at_ms, until=Offset(bed.until_ms), level=round(level, 4)),
        ),
        actions=(
            at(do.PowerOn, bed, back_ms),
            at(do.Start, bed, back_ms + MS_PER_MINUTE),
        ),
        is_unattended=True,
    )


def door_open(bed: Bed) -> Planted:
    """The cassette comes off its latch."""
    return Planted(
        onset_ms=bed.at_ms,
        until_ms=bed.until_ms,
        actions=(at(do.DoorOpen, bed, bed.at_ms),),
    )


def power_off(bed: Bed) -> Planted:
    """Somebody switches the pump off, and says nothing."""
    return _back(bed, bed.until_ms, bed.until_ms + MS_PER_MINUTE)


def not_started(bed: Bed) -> Planted:
    """Off and on again, and nobody presses start."""
    return _back(bed, bed.at_ms + MS_PER_MINUTE, bed.until_ms)


def _back(bed: Bed, on_ms: int, start_ms: int) -> Planted:
    return Planted(
        onset_ms=bed.at_ms,
        until_ms=start_ms,
        actions=(
            at(do.PowerOff, bed, bed.at_ms),
            at(do.PowerOn, bed, on_ms),
            at(do.Start, bed, start_ms),
        ),
        is_unattended=True,
    )


def self_test_fails(bed: Bed) -> Planted:
    """Switched off and on, and the electronics fail their self-test."""
    return Planted(
        onset_ms=bed.at_ms,
        until_ms=bed.until_ms,
        actions=(
            at(do.PowerOff, bed, bed.at_ms),
            at(do.PowerOn, bed, bed.at_ms + MS_PER_MINUTE, self_test="fails"),
        ),
    )


def reboot_stands(bed: Bed) -> Planted:
    """The pump restarts by itself and does not go on with what it did."""
    return Planted(
        onset_ms=bed.at_ms,
        until_ms=bed.until_ms,
        faults=(at(fault.Reboot, bed, bed.at_ms, resume=False),),
        actions=(at(do.Start, bed, bed.until_ms),),
        is_unattended=True,
    )


def too_hot(bed: Bed) -> Planted:
    """The pump lies in the sun."""
    return lasting(fault.Temperature, bed, ambient_c=bed.uniform(65.0, 80.0))

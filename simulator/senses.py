"""What a pump notices by itself: limits reached, sensors, and its own timers.

`sense` is called whenever physics comes to a mark and whenever `Pump.wake_at_ms` is due.
"""

from collections.abc import Callable, Iterator

from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, millilitres, nanolitres
from simulator.machine import Happening, Mode
from simulator.operation import Said, alarm, alarm_over, in_turn, note
from simulator.programming import Program
from simulator.pump import BOLUS_MODES, IDLE_ALERT_MS, IDLE_CLEAR_MS, Happened, Pump, Readings

# Rounding must not put a battery alarm off.
TOLERANCE_MIN = 1e-6

Found = Iterator[Happened]


def sense(pump: Pump, readings: Readings, now_ms: int) -> Said:
    """React to what physics and the clock say: limits reached, alarms begun or over."""
    return in_turn(pump, _found(pump, readings, now_ms), readings, now_ms)


def _found(pump: Pump, readings: Readings, now_ms: int) -> Found:
    for look in _LOOKS:
        yield from look(pump, readings, now_ms)


def _limits(pump: Pump, readings: Readings, now_ms: int) -> Found:
    if not pump.is_delivering or readings.counted_ml < pump.stop_at_ml:
        return
    is_infused = pump.vtbi_at_nl is not None and (
        nanolitres(readings.counted_ml) >= pump.vtbi_at_nl
    )
    if not is_infused and pump.mode in BOLUS_MODES:
        yield Happened(Happening.BOLUS_DONE)
    elif not is_infused and len(pump.steps) > 1:
        yield _next_step(pump, now_ms)
    else:
        has_kvo = pump.profile.kvo_ml_h > 0
        what = Happening.VTBI_DONE_KVO if has_kvo else Happening.VTBI_DONE_STOP
        yield Happened(what, alarm="infusion-complete")


def _next_step(pump: Pump, now_ms: int) -> Happened:
    done, *rest = pump.steps
    mode = pump.delivery_mode
    assert mode != "continuous", "steps belong to a program"
    program = Program(mode, tuple(rest))
    if done.gap_s <= 0:
        return Happened(Happening.STEP_DONE, program=program)
    until_ms = now_ms + round(done.gap_s * MS_PER_SECOND)
    return Happened(Happening.GAP, program=program, until_ms=until_ms)


def _power(pump: Pump, readings: Readings, _: int) -> Found:
    """GIP 5.1: low below 15 minutes of run time, depleted below 5 (values of the profile)."""
    if readings.on_mains != pump.on_mains:
        pump.on_mains = readings.on_mains
        yield note(f"MDC_EVT_STAT_POWER_SET_{'LINE' if readings.on_mains else 'BATT'}")
    left_min = readings.battery_left_min - TOLERANCE_MIN
    is_flat = not readings.on_mains and left_min <= pump.profile.battery_depleted_min
    is_low = not readings.on_mains and left_min <= pump.profile.battery_low_min
    was_flat = "battery-depleted" in pump.alarms
    if "battery-low" in pump.alarms and (is_flat or not is_low):
        yield alarm_over("battery-low")
    if is_flat and not was_flat:
        yield alarm("battery-depleted")
    elif is_low and not is_flat and not was_flat and "battery-low" not in pump.alarms:
        yield alarm("battery-low")


def _reservoir(pump: Pump, readings: Readings, _: int) -> Found:
    is_low = readings.is_low and not readings.is_empty
    if "reservoir-low" in pump.alarms and not is_low:
        yield alarm_over("reservoir-low")
    if is_low and "reservoir-low" not in pump.alarms:
        yield alarm("reservoir-low")
    if readings.is_empty and pump.is_delivering:
        yield alarm("reservoir-empty")


def _line(pump: Pump, readings: Readings, now_ms: int) -> Found:
    if pump.is_delivering and readings.is_occluded:
        window_ms = round(pump.profile.auto_restart_window_min * MS_PER_MINUTE)
        recent = tuple(at for at in pump.restarts_ms if at > now_ms - window_ms)
        pump.restarts_ms = recent
        if pump.mode is Mode.RUNNING and len(recent) < pump.restarts_max:
            yield Happened(
                Happening.CHECK_LINE,
                event="DRIPWATCH_EVT_CHECKING_LINE",
                until_ms=now_ms + round(pump.profile.auto_restart_check_s * MS_PER_SECOND),
            )
        else:
            yield alarm("downstream-occlusion")
    elif pump.mode is Mode.CHECKING and _is_due(pump.mode_until_ms, now_ms):
        if readings.is_line_open:
            pump.restarts_ms = (*pump.restarts_ms, now_ms)
            yield Happened(Happening.LINE_OPEN)
        else:
            yield alarm("downstream-occlusion")


def _sensors(pump: Pump, readings: Readings, _: int) -> Found:
    if pump.is_delivering and readings.is_starved:
        yield alarm("upstream-occlusion")
    if pump.is_delivering and readings.has_air:
        yield alarm("air-in-line")
    if readings.runs_free:
        yield alarm("free-flow")
    if readings.is_overheated:
        yield alarm("over-temperature")


def _timers(pump: Pump, _: Readings, now_ms: int) -> Found:
    if _is_due(pump.audio_until_ms, now_ms):
        pump.audio_until_ms = None
        yield note("DRIPWATCH_EVT_AUDIO_RESUMED", "the pause is over")
    if pump.mode is Mode.STANDBY and _is_due(pump.mode_until_ms, now_ms):
        yield alarm("standby-expired")
    if pump.mode is Mode.GAP and _is_due(pump.mode_until_ms, now_ms):
        yield Happened(Happening.GAP_OVER)


def _idle(pump: Pump, _: Readings, now_ms: int) -> Found:
    """Programming that waits for its double check, and nobody comes (GIP 2.2)."""
    if pump.pending is None:
        return
    idle_ms = now_ms - pump.pending_ms
    if idle_ms >= IDLE_CLEAR_MS:
        pump.pending = None
        if "callback" in pump.alarms:
            yield alarm_over("callback")
        yield note("MDC_EVT_PUMP_PROG_CLEARED", "left alone for 10 minutes")
        yield alarm("programming-cleared")
    elif idle_ms >= IDLE_ALERT_MS:
        yield alarm("callback")


def _near_end(pump: Pump, readings: Readings, now_ms: int) -> Found:
    """Time left = VTBI remaining ÷ rate; looked at when it may be short enough."""
    pump.near_end_ms = None
    early_min = pump.behaviour.near_end_min
    is_on = "near-end" in pump.alarms
    if early_min <= 0 or pump.vtbi_at_nl is None or pump.mode is not Mode.RUNNING:
        if is_on:
            yield alarm_over("near-end")
            pump.near_end_ms = None
        return
    hours = millilitres(pump.vtbi_remaining_nl(readings)) / pump.drive_ml_h
    wait_ms = round(hours * MS_PER_HOUR - early_min * MS_PER_MINUTE)
    if is_on and wait_ms > 0:
        yield alarm_over("near-end")
    elif not is_on and wait_ms <= 0:
        yield alarm("near-end")
    pump.near_end_ms = now_ms + wait_ms if wait_ms > 0 else None


def _is_due(at_ms: int | None, now_ms: int) -> bool:
    return at_ms is not None and at_ms <= now_ms


_LOOKS: tuple[Callable[[Pump, Readings, int], Found], ...] = (
    _limits,
    _power,
    _reservoir,
    _line,
    _sensors,
    _timers,
    _idle,
    _near_end,
)

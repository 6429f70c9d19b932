"""Carries out what happens to a pump: rows of simulator/machine.py, step by step.

`handle` takes one happening, `sense` finds the happenings in what physics says. Each gives the
messages in order: the events of the row, then one telemetry.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from infusion.alarms import DEVICE_ALARMS
from infusion.messages import Event, Telemetry
from infusion.units import MS_PER_HOUR, MS_PER_SECOND, millilitres, nanolitres, round_rate
from simulator.machine import TABLE, Do, Happening, Mode
from simulator.pump import NOT_SPECIFIED, Happened, Pump, Readings

EVENT_START = "MDC_EVT_PUMP_DELIV_START"
EVENT_STOP = "MDC_EVT_PUMP_DELIV_STOP"
EVENT_COMPLETE = "MDC_EVT_PUMP_DELIV_COMP"
EVENT_CLEARED = "MDC_EVT_PUMP_VOL_COUNTERS_CLEARED"

# IPEC's reasons, without their common prefix "pump-stopped-"; the last is vendor-seen [V2].
BY_CLINICIAN = "by-clinician"
STOPPED_BY_ALARM = "alarming"
POWERED_OFF = "powered-off"

_SECONDS_PER_HOUR = MS_PER_HOUR / MS_PER_SECOND

Said = list[Telemetry | Event]


class Moment(NamedTuple):
    """What every step of a row is given."""

    then: Mode
    happened: Happened
    readings: Readings
    now_ms: int
    said: Said


def handle(pump: Pump, happened: Happened, readings: Readings, now_ms: int) -> Said:
    """Carry out one row of the table: its events and one telemetry after them.

    A pair of mode and happening without a row is refused, and an alarm that is already on is not
    raised again: then the list is empty.
    """
    row = TABLE.get((pump.mode, happened.what))
    if row is None or (Do.RAISE in row.does and happened.alarm in pump.alarms):
        return []
    said: Said = []
    moment = Moment(row.then, happened, readings, now_ms, said)
    for do in row.does:
        STEPS[do](pump, moment)
    # A pump that only begins to boot has nothing to say yet.
    if said or pump.mode is not Mode.BOOTING:
        said.append(pump.telemetry(readings, now_ms))
    return said


def sense(pump: Pump, readings: Readings, now_ms: int) -> Said:
    """React to what physics says: limits reached, alarms begun or over."""
    said: Said = []
    found = _limits(pump, readings) + _battery(pump, readings) + _reservoir(pump, readings)
    if pump.is_delivering and readings.is_occluded:
        found.append(_alarm("downstream-occlusion"))
    if pump.is_delivering and readings.is_starved:
        found.append(_alarm("upstream-occlusion"))
    if pump.is_delivering and readings.has_air:
        found.append(_alarm("air-in-line"))
    if readings.runs_free:
        found.append(_alarm("free-flow"))
    for happened in found:
        said += handle(pump, happened, readings, now_ms)
    return said


def _limits(pump: Pump, readings: Readings) -> list[Happened]:
    if not pump.is_delivering or readings.counted_ml < pump.stop_at_ml:
        return []
    if pump.vtbi_at_nl is None or nanolitres(readings.counted_ml) < pump.vtbi_at_nl:
        return [Happened(Happening.BOLUS_DONE)]
    has_kvo = pump.profile.kvo_ml_h > 0
    what = Happening.VTBI_DONE_KVO if has_kvo else Happening.VTBI_DONE_STOP
    return [Happened(what, alarm="infusion-complete")]


def _battery(pump: Pump, readings: Readings) -> list[Happened]:
    """GIP 5.1: low below 15 minutes of run time, depleted below 5 (values of the profile)."""
    is_low = "battery-low" in pump.alarms
    if readings.on_mains:
        return [_over("battery-low")] if is_low else []
    if "battery-depleted" in pump.alarms:
        return []
    if readings.battery_left_min <= pump.profile.battery_depleted_min:
        return [_over("battery-low")] * is_low + [_alarm("battery-depleted")]
    if readings.battery_left_min <= pump.profile.battery_low_min:
        return [] if is_low else [_alarm("battery-low")]
    return [_over("battery-low")] * is_low


def _reservoir(pump: Pump, readings: Readings) -> list[Happened]:
    is_low = "reservoir-low" in pump.alarms
    if not readings.is_low:
        return [_over("reservoir-low")] * is_low
    if not readings.is_empty:
        return [] if is_low else [_alarm("reservoir-low")]
    return [_over("reservoir-low")] * is_low + [_alarm("reservoir-empty")] * pump.is_delivering


def _alarm(key: str) -> Happened:
    stops = DEVICE_ALARMS[key].stops_delivery
    return Happened(Happening.ALARM if stops else Happening.WARNING, alarm=key)


def _over(key: str) -> Happened:
    return Happened(Happening.WARNING_OVER, alarm=key)


# --- the steps of a row --------------------------------------------------------------------------


def _say(
    pump: Pump,
    moment: Moment,
    event: str,
    *,
    stands: str | None = None,
    is_transition: bool = False,
    phase: Literal["start", "end"] | None = None,
    alarm: str | None = None,
) -> None:
    """Add an event. `stands` is the reason of a delivery that ends with this event."""
    readings = moment.readings
    delivers = pump.is_delivering and stands is None
    is_segment = event in (EVENT_STOP, EVENT_COMPLETE)
    is_bolus = pump.mode in (Mode.BOLUS, Mode.BOLUS_ALONE)
    moment.said.append(
        Event(
            pump=pump.name,
            boot=pump.boot,
            seq=pump.next_seq(),
            time_ms=moment.now_ms,
            status="infusing" if delivers else "not-infusing",
            delivery="not-delivering"
            if not delivers
            else ("transitioning" if is_transition else pump.delivery),
            reason=None if delivers else (stands or pump.reason),
            rate_ml_h=round_rate(pump.rate_ml_h),
            flow_ml_h=pump.flow_ml_h(readings) if delivers else 0.0,
            volume_ml=millilitres(pump.counter_nl(readings)),
            segment_ml=millilitres(pump.segment_nl(readings))
            if pump.is_delivering or is_segment
            else 0.0,
            concentration_iu_ml=pump.settings.concentration_iu_ml,
            therapy=pump.settings.therapy,
            order_version=pump.settings.order_version,
            alarms=pump.alarms,
            event=event,
            phase=phase,
            alarm=alarm,
            source="clinician" if is_bolus else "primary",
        )
    )


def _enter(pump: Pump, moment: Moment) -> None:
    before, pump.mode = pump.mode, moment.then
    bolus = moment.happened.bolus
    if pump.mode in (Mode.BOLUS, Mode.BOLUS_ALONE) and bolus is not None:
        base_ml_h = pump.settings.rate_ml_h if before is Mode.RUNNING else 0.0
        hours = bolus.duration_s / _SECONDS_PER_HOUR
        # The motor's limit makes a bolus longer, never smaller.
        pump.bolus_ml_h = min(base_ml_h + bolus.volume_ml / hours, pump.profile.rate_max_ml_h)
        volume_ml = base_ml_h * hours + bolus.volume_ml
        pump.bolus_at_nl = nanolitres(moment.readings.counted_ml) + nanolitres(volume_ml)
    elif pump.mode not in (Mode.BOLUS, Mode.BOLUS_ALONE):
        pump.bolus_at_nl = None
        pump.bolus_ml_h = 0.0


def _apply(pump: Pump, moment: Moment) -> None:
    settings = moment.happened.settings
    if settings is None:
        return
    if moment.happened.restarts_vtbi:
        pump.vtbi_at_nl = (
            nanolitres(moment.readings.counted_ml) + nanolitres(settings.vtbi_ml)
            if settings.vtbi_ml > 0
            else None
        )
    pump.settings = settings


def _begin(pump: Pump, moment: Moment) -> None:
    pump.segment_from_nl = pump.axis_nl(moment.readings)
    _say(pump, moment, EVENT_START)


def _end(reason: str | None, event: str = EVENT_STOP) -> Callable[[Pump, Moment], None]:
    """The step that ends a segment: with a reason when delivery ends too, else a transition."""

    def step(pump: Pump, moment: Moment) -> None:
        _say(pump, moment, event, stands=reason, is_transition=reason is None)
        pump.segment_from_nl = pump.axis_nl(moment.readings)
        if reason is not None:
            pump.reason = reason
        if event == EVENT_COMPLETE:
            pump.vtbi_at_nl = None
            pump.settings = pump.settings.without_vtbi()

    return step


def _raise(pump: Pump, moment: Moment) -> None:
    key = moment.happened.alarm
    assert key is not None, "a row that raises an alarm was given none"
    pump.alarms = (*pump.alarms, key)
    _say(pump, moment, DEVICE_ALARMS[key].refid, phase="start", alarm=key)


def _lower_one(pump: Pump, moment: Moment, key: str) -> None:
    pump.alarms = tuple(alarm for alarm in pump.alarms if alarm != key)
    _say(pump, moment, DEVICE_ALARMS[key].refid, phase="end", alarm=key)


def _lower(pump: Pump, moment: Moment) -> None:
    assert moment.happened.alarm in pump.alarms, "an alarm ends that is not on"
    _lower_one(pump, moment, moment.happened.alarm)


def _unlatch(pump: Pump, moment: Moment) -> None:
    for key in pump.alarms:
        if DEVICE_ALARMS[key].stops_delivery:
            _lower_one(pump, moment, key)


def _settle(pump: Pump, _: Moment) -> None:
    pump.reason = BY_CLINICIAN


def _clear(pump: Pump, moment: Moment) -> None:
    pump.counter_from_nl = pump.segment_from_nl = pump.axis_nl(moment.readings)
    _say(pump, moment, EVENT_CLEARED, is_transition=True)


def _new_boot(pump: Pump, moment: Moment) -> None:
    pump.boot += 1
    pump.seq = 0
    pump.alarms = ()
    pump.frozen_at_nl = None
    pump.counter_from_nl = pump.segment_from_nl = pump.axis_nl(moment.readings)


STEPS: dict[Do, Callable[[Pump, Moment], None]] = {
    Do.ENTER: _enter,
    Do.APPLY: _apply,
    Do.BEGIN: _begin,
    Do.END_TRANSITION: _end(None),
    Do.END_CLINICIAN: _end(BY_CLINICIAN),
    Do.END_ALARM: _end(STOPPED_BY_ALARM),
    Do.END_POWER: _end(POWERED_OFF),
    Do.END_UNSPECIFIED: _end(NOT_SPECIFIED),
    Do.COMPLETE_TRANSITION: _end(None, EVENT_COMPLETE),
    Do.COMPLETE_STOP: _end(STOPPED_BY_ALARM, EVENT_COMPLETE),
    Do.RAISE: _raise,
    Do.LOWER: _lower,
    Do.UNLATCH: _unlatch,
    Do.SETTLE: _settle,
    Do.CLEAR: _clear,
    Do.NEW_BOOT: _new_boot,
}

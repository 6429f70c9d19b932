"""Carries out what happens to a pump: rows of simulator/machine.py, step by step.

`handle` takes one happening and gives the messages in order: the events of the row, then one
telemetry. What the pump finds in its sensors and timers is in simulator/senses.py, what people
press in simulator/keypad.py; both end here.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from infusion.alarms import DEVICE_ALARMS
from infusion.messages import Event, Telemetry
from infusion.units import MS_PER_HOUR, MS_PER_SECOND, millilitres, nanolitres, round_rate
from simulator.machine import TABLE, Do, Happening, Mode
from simulator.pump import BOLUS_MODES, CONTINUOUS, NOT_SPECIFIED, Happened, Pump, Readings

EVENT_START = "MDC_EVT_PUMP_DELIV_START"
EVENT_STOP = "MDC_EVT_PUMP_DELIV_STOP"
EVENT_COMPLETE = "MDC_EVT_PUMP_DELIV_COMP"
EVENT_CLEARED = "MDC_EVT_PUMP_VOL_COUNTERS_CLEARED"
EVENT_BAG = "DRIPWATCH_EVT_NEW_BAG"

# IPEC's reasons, without their common prefix "pump-stopped-"; the last two are vendor-seen [V2].
BY_CLINICIAN = "by-clinician"
BETWEEN_DOSES = "between-doses"
STOPPED_BY_ALARM = "alarming"
POWERED_OFF = "powered-off"
STANDBY = "standby"

_SECONDS_PER_HOUR = MS_PER_HOUR / MS_PER_SECOND

Said = list[Telemetry | Event]


class Moment(Struct):
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
    if pump.behaviour.near_end_min > 0:
        # The end of the VTBI may have moved; the pump looks at it next.
        pump.near_end_ms = now_ms
    # A pump that only begins to boot has nothing to say yet.
    if said or pump.mode is not Mode.BOOTING:
        said.append(pump.telemetry(moment.readings, now_ms))
    return said


def in_turn(pump: Pump, found: Iterable[Happened], readings: Readings, now_ms: int) -> Said:
    """Carry out happenings one after another at one instant; `found` may look at the pump."""
    said: Said = []
    for happened in found:
        said += handle(pump, happened, readings, now_ms)
    return said


def note(event: str, detail: str = "", user: str | None = None) -> Happened:
    """An event that changes no mode."""
    return Happened(Happening.NOTE, event=event, detail=detail, user=user)


def alarm(key: str) -> Happened:
    """An alarm begins, as its row of DEVICE_ALARMS says whether the pump stops."""
    stops = DEVICE_ALARMS[key].stops_delivery
    return Happened(Happening.ALARM if stops else Happening.WARNING, alarm=key)


def alarm_over(key: str) -> Happened:
    """An alarm that does not stop the pump ends."""
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
    detail: str = "",
) -> None:
    """Add an event. `stands` is the reason of a delivery that ends with this event."""
    readings = moment.readings
    delivers = pump.is_delivering and stands is None
    is_segment = event in (EVENT_STOP, EVENT_COMPLETE)
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
            source=pump.source,
            mode=pump.delivery_mode,
            detail=detail,
            user=moment.happened.user,
        )
    )


def _enter(pump: Pump, moment: Moment) -> None:
    before, pump.mode = pump.mode, moment.then
    bolus = moment.happened.bolus
    if pump.mode in BOLUS_MODES and bolus is not None:
        base_ml_h = pump.settings.rate_ml_h if before is Mode.RUNNING else 0.0
        hours = bolus.duration_s / _SECONDS_PER_HOUR
        # The motor's limit makes a bolus longer, never smaller.
        pump.bolus_ml_h = min(base_ml_h + bolus.volume_ml / hours, pump.profile.rate_max_ml_h)
        volume_ml = base_ml_h * hours + bolus.volume_ml
        pump.bolus_at_nl = nanolitres(moment.readings.counted_ml) + nanolitres(volume_ml)
        pump.bolus_ms = moment.now_ms
    elif pump.mode not in BOLUS_MODES:
        pump.bolus_at_nl = None
        pump.bolus_ml_h = 0.0
    # The mode's own end by time, or none.
    pump.mode_until_ms = moment.happened.until_ms


def _apply(pump: Pump, moment: Moment) -> None:
    happened = moment.happened
    counted_nl = nanolitres(moment.readings.counted_ml)
    settings = happened.settings
    if happened.program is not None:
        pump.steps = happened.program.steps
        pump.delivery_mode = happened.program.mode
    elif settings is not None and settings.rate_ml_h != pump.settings.rate_ml_h:
        # A rate that somebody types ends a program of steps.
        pump.steps = ()
        pump.delivery_mode = CONTINUOUS
    if pump.steps and happened.program is not None:
        settings = replace(settings or pump.settings, rate_ml_h=pump.steps[0].rate_ml_h)
        pump.step_at_nl = counted_nl + pump.steps[0].volume_nl
    elif not pump.steps:
        pump.step_at_nl = None
    if settings is None:
        return
    if happened.restarts_vtbi:
        pump.vtbi_at_nl = (
            counted_nl + nanolitres(settings.vtbi_ml) if settings.vtbi_ml > 0 else None
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
            pump.vtbi_at_nl = pump.step_at_nl = None
            pump.steps = ()
            pump.settings = pump.settings.without_vtbi()

    return step


def _raise(pump: Pump, moment: Moment) -> None:
    key = moment.happened.alarm
    assert key is not None, "a row that raises an alarm was given none"
    pump.alarms = (*pump.alarms, key)
    # A new alarm sounds, whatever was silenced before it.
    pump.audio_until_ms = None
    _say(pump, moment, DEVICE_ALARMS[key].refid, phase="start", alarm=key)


def _lower_one(pump: Pump, moment: Moment, key: str) -> None:
    pump.alarms = tuple(alarm for alarm in pump.alarms if alarm != key)
    if not pump.alarms:
        pump.audio_until_ms = None
    _say(pump, moment, DEVICE_ALARMS[key].refid, phase="end", alarm=key)


def _lower(pump: Pump, moment: Moment) -> None:
    assert moment.happened.alarm in pump.alarms, "an alarm ends that is not on"
    _lower_one(pump, moment, moment.happened.alarm)


def _unlatch(pump: Pump, moment: Moment) -> None:
    for key in pump.alarms:
        if DEVICE_ALARMS[key].stops_delivery:
            _lower_one(pump, moment, key)


def _settle(reason: str) -> Callable[[Pump, Moment], None]:
    """The step that gives a pump that stands another reason for it."""

    def step(pump: Pump, _: Moment) -> None:
        pump.reason = reason

    return step


def _tell(pump: Pump, moment: Moment) -> None:
    event = moment.happened.event
    assert event is not None, "a row that tells was given no name of an event"
    _say(pump, moment, event, detail=moment.happened.detail)


def _tell_bag(pump: Pump, moment: Moment) -> None:
    _say(pump, moment, EVENT_BAG, detail=f"{moment.readings.reservoir_ml:g} mL")


def _clear(pump: Pump, moment: Moment) -> None:
    pump.counter_from_nl = pump.segment_from_nl = pump.axis_nl(moment.readings)
    _say(pump, moment, EVENT_CLEARED, is_transition=True)


def _new_boot(pump: Pump, moment: Moment) -> None:
    pump.boot += 1
    pump.seq = 0
    pump.alarms = ()
    pump.audio_until_ms = None
    pump.pending = None
    pump.restarts_ms = ()
    pump.frozen_at_nl = None
    pump.counter_from_nl = pump.segment_from_nl = pump.axis_nl(moment.readings)


STEPS: dict[Do, Callable[[Pump, Moment], None]] = {
    Do.ENTER: _enter,
    Do.APPLY: _apply,
    Do.BEGIN: _begin,
    Do.END_TRANSITION: _end(None),
    Do.END_CLINICIAN: _end(BY_CLINICIAN),
    Do.END_STANDBY: _end(STANDBY),
    Do.END_BETWEEN: _end(BETWEEN_DOSES),
    Do.END_ALARM: _end(STOPPED_BY_ALARM),
    Do.END_POWER: _end(POWERED_OFF),
    Do.END_UNSPECIFIED: _end(NOT_SPECIFIED),
    Do.COMPLETE_TRANSITION: _end(None, EVENT_COMPLETE),
    Do.COMPLETE_STOP: _end(STOPPED_BY_ALARM, EVENT_COMPLETE),
    Do.RAISE: _raise,
    Do.LOWER: _lower,
    Do.UNLATCH: _unlatch,
    Do.SETTLE: _settle(BY_CLINICIAN),
    Do.SETTLE_STANDBY: _settle(STANDBY),
    Do.SETTLE_ALARM: _settle(STOPPED_BY_ALARM),
    Do.TELL: _tell,
    Do.TELL_BAG: _tell_bag,
    Do.CLEAR: _clear,
    Do.NEW_BOOT: _new_boot,
}

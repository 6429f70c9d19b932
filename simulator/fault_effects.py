"""What each fault of a scenario does to a unit of the rig, and how it is undone.

One small function for each kind; `BEGIN` and `END` at the end of the file look the kind up.
"""

from infusion.units import MS_PER_SECOND, nanolitres
from simulator.conditions import ADD, Condition, refresh
from simulator.machine import Happening, Mode
from simulator.physics.air import Air
from simulator.pump import Happened
from simulator.rig import Later, Performer, Rig
from simulator.story import faults as do
from simulator.story.entries import Entry
from simulator.story.plan import BootDone
from simulator.unit import Unit


def _begin(rig: Rig, unit: Unit, fault: Entry) -> None:
    """A condition of physics comes to those that are in force."""
    unit.conditions = (*unit.conditions, Condition(fault, rig.now_ms))
    refresh(rig, unit)


def _end(rig: Rig, unit: Unit, fault: Entry) -> None:
    """One condition is over; the others stay."""
    _forget(unit, fault)
    refresh(rig, unit)


def _forget(unit: Unit, fault: Entry) -> None:
    place = [condition.entry for condition in unit.conditions].index(fault)
    unit.conditions = unit.conditions[:place] + unit.conditions[place + 1 :]


def _add_bubble(rig: Rig, unit: Unit, fault: do.AirBubble) -> None:
    air = rig.state.air.setdefault(unit.index, Air())
    at_ml = float(rig.state.pumped_ml[unit.index]) + fault.before_ml
    air.bubbles.append((at_ml, fault.volume_ul))


def _begin_air(rig: Rig, unit: Unit, fault: do.AirRate) -> None:
    air = rig.state.air.setdefault(unit.index, Air())
    air.add_rate(fault.ul_per_ml, fault.bubble_ul)


def _end_air(rig: Rig, unit: Unit, fault: do.AirRate) -> None:
    rig.state.air[unit.index].remove_rate(fault.ul_per_ml, fault.bubble_ul)


def _stick(rig: Rig, unit: Unit, fault: do.StuckSensor) -> None:
    if not _is_stuck(unit, fault.sensor):
        rig.state.stick(unit.index, fault.sensor, is_stuck=True)
    unit.conditions = (*unit.conditions, Condition(fault, rig.now_ms))
    rig.sync(unit)


def _unstick(rig: Rig, unit: Unit, fault: do.StuckSensor) -> None:
    _forget(unit, fault)
    if not _is_stuck(unit, fault.sensor):
        rig.state.stick(unit.index, fault.sensor, is_stuck=False)
    rig.sync(unit)
    rig.look(unit)


def _is_stuck(unit: Unit, sensor: str) -> bool:
    return any(
        isinstance(condition.entry, do.StuckSensor) and condition.entry.sensor == sensor
        for condition in unit.conditions
    )


def _step_clock(_: Rig, unit: Unit, fault: do.ClockStep) -> None:
    unit.clock = unit.clock.stepped(fault.by_s * MS_PER_SECOND)


def _fall_silent(_: Rig, unit: Unit, fault: do.Silence) -> None:
    unit.silences = (*unit.silences, "kept" if fault.backfill else "dropped")


def _speak_again(rig: Rig, unit: Unit, fault: do.Silence) -> None:
    place = unit.silences.index("kept" if fault.backfill else "dropped")
    unit.silences = unit.silences[:place] + unit.silences[place + 1 :]
    rig.send_backlog(unit)


def _go_offline(rig: Rig, unit: Unit, _: do.Offline) -> None:
    unit.offline_faults += 1
    rig.link_down(unit, clean=False)


def _come_online(rig: Rig, unit: Unit, _: do.Offline) -> None:
    unit.offline_faults -= 1
    rig.link_up(unit)


def _unplug(rig: Rig, unit: Unit, fault: do.Battery) -> None:
    unit.conditions = (*unit.conditions, Condition(fault, rig.now_ms))
    unit.on_mains = False
    rig.state.battery[unit.index] = fault.level
    rig.sync(unit)
    rig.look(unit)


def _plug_in(rig: Rig, unit: Unit, fault: do.Battery) -> None:
    _forget(unit, fault)
    unit.on_mains = not any(isinstance(each.entry, do.Battery) for each in unit.conditions)
    rig.sync(unit)
    rig.look(unit)


def _reboot(rig: Rig, unit: Unit, fault: do.Reboot) -> Later:
    goes_on = unit.pump.mode in (Mode.RUNNING, Mode.BOLUS, Mode.LOADING)
    rig.happen(unit, Happened(Happening.REBOOT))
    if unit.pump.mode is not Mode.BOOTING:
        return None
    rig.link_down(unit, clean=False)
    return round(unit.pump.profile.boot_s * 1000), BootDone(resume=goes_on and fault.resume)


def _freeze(rig: Rig, unit: Unit, _: do.CounterFrozen) -> None:
    unit.pump.freeze_counter(rig.readings(unit))


def _thaw(rig: Rig, unit: Unit, _: do.CounterFrozen) -> None:
    unit.pump.thaw_counter(rig.readings(unit))


def _drop_counter(rig: Rig, unit: Unit, fault: do.CounterBackwards) -> None:
    # A counter cannot show less than zero.
    shown_nl = unit.pump.counter_nl(rig.readings(unit))
    unit.pump.shift_counter(-min(nanolitres(fault.volume_ml), shown_nl))


def _leap_counter(_: Rig, unit: Unit, fault: do.CounterJump) -> None:
    unit.pump.shift_counter(nanolitres(fault.volume_ml))


BEGIN: dict[type[Entry], Performer] = {
    **dict.fromkeys(ADD, _begin),
    do.AirBubble: _add_bubble,
    do.AirRate: _begin_air,
    do.StuckSensor: _stick,
    do.ClockStep: _step_clock,
    do.Silence: _fall_silent,
    do.Offline: _go_offline,
    do.Battery: _unplug,
    do.Reboot: _reboot,
    do.CounterFrozen: _freeze,
    do.CounterBackwards: _drop_counter,
    do.CounterJump: _leap_counter,
}
END: dict[type[Entry], Performer] = {
    **dict.fromkeys(ADD, _end),
    do.AirRate: _end_air,
    do.StuckSensor: _unstick,
    do.Silence: _speak_again,
    do.Offline: _come_online,
    do.Battery: _plug_in,
    do.CounterFrozen: _thaw,
}
WORDS = {kind: word for word, kind in do.FAULTS.items()}

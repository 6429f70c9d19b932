"""What each fault of a scenario does to a unit of the rig, and how it is undone.

One small function for each kind; `BEGIN` and `END` at the end of the file look the kind up.
"""

from infusion.units import nanolitres
from simulator.machine import Happening, Mode
from simulator.pump import Happened
from simulator.rig import Later, Performer, Rig, Unit
from simulator.story import faults as do
from simulator.story.entries import Entry
from simulator.story.plan import BootDone


def _occlude(rig: Rig, unit: Unit, fault: do.Occlusion) -> None:
    if fault.where == "upstream":
        rig.state.set_upstream(unit.index, is_open=False)
    else:
        rig.state.set_resistance(unit.index, fault.resistance_factor or float("inf"))


def _open_line(rig: Rig, unit: Unit, fault: do.Occlusion) -> None:
    if fault.where == "upstream":
        rig.state.set_upstream(unit.index, is_open=True)
    else:
        rig.state.set_resistance(unit.index, 1.0)


def _fall_silent(_: Rig, unit: Unit, fault: do.Silence) -> None:
    unit.silences.append("kept" if fault.backfill else "dropped")


def _speak_again(rig: Rig, unit: Unit, fault: do.Silence) -> None:
    unit.silences.remove("kept" if fault.backfill else "dropped")
    rig.send_backlog(unit)


def _go_offline(rig: Rig, unit: Unit, _: do.Offline) -> None:
    unit.offline_faults += 1
    rig.link_down(unit, clean=False)


def _come_online(rig: Rig, unit: Unit, _: do.Offline) -> None:
    unit.offline_faults -= 1
    rig.link_up(unit)


def _unplug(rig: Rig, unit: Unit, fault: do.Battery) -> None:
    unit.on_mains = False
    rig.state.battery[unit.index] = fault.level
    rig.sync(unit)
    rig.look(unit)


def _plug_in(rig: Rig, unit: Unit, _: do.Battery) -> None:
    unit.on_mains = True
    rig.sync(unit)
    rig.look(unit)


def _reboot(rig: Rig, unit: Unit, fault: do.Reboot) -> Later:
    goes_on = unit.pump.mode in (Mode.RUNNING, Mode.BOLUS, Mode.LOADING)
    rig.happen(unit, Happened(Happening.REBOOT))
    if unit.pump.mode is not Mode.BOOTING:
        return None
    rig.link_down(unit, clean=False)
    return round(rig.profile.boot_s * 1000), BootDone(resume=goes_on and fault.resume)


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
    do.Occlusion: _occlude,
    do.Silence: _fall_silent,
    do.Offline: _go_offline,
    do.Battery: _unplug,
    do.Reboot: _reboot,
    do.CounterFrozen: _freeze,
    do.CounterBackwards: _drop_counter,
    do.CounterJump: _leap_counter,
}
END: dict[type[Entry], Performer] = {
    do.Occlusion: _open_line,
    do.Silence: _speak_again,
    do.Offline: _come_online,
    do.Battery: _plug_in,
    do.CounterFrozen: _thaw,
}
WORDS = {kind: word for word, kind in do.FAULTS.items()}

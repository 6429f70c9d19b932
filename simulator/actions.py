"""What each deed of a plan does to a unit of the rig: one small function for each kind.

`carry_out` looks the kind up in the tables at the end of the file.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from infusion.units import nanolitres, pump_rate_ml_h
from simulator import entries as do
from simulator.machine import Happening, Mode
from simulator.plan import Begin, BootDone, Deed, End, Follow, OrderVersion, ordered_rate_iu_h
from simulator.pump import Bolus, Happened, Settings
from simulator.rig import Rig, Unit

# What a deed asks to have done later: (after how many ms, what).
Later = tuple[int, Deed] | None


def carry_out(rig: Rig, unit: Unit, deed: Deed) -> Later:
    """Do one deed other than an announcement. Returns what follows from it later, if anything."""
    if isinstance(deed, BootDone):
        rig.boot_done(unit, resume=deed.resume)
    elif isinstance(deed, Follow):
        _follow(rig, unit, deed)
    elif isinstance(deed, Begin):
        word = _FAULT_WORDS.get(type(deed.entry))
        if word is not None and hasattr(deed.entry, "until"):
            unit.faults.append(word)
        return _BEGIN[type(deed.entry)](rig, unit, deed.entry)
    elif isinstance(deed, End):
        word = _FAULT_WORDS[type(deed.entry)]
        if word in unit.faults:
            unit.faults.remove(word)
        _END[type(deed.entry)](rig, unit, deed.entry)
    return None


# --- faults --------------------------------------------------------------------------------------


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
    goes_on = unit.pump.mode in (Mode.RUNNING, Mode.BOLUS)
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


# --- actions -------------------------------------------------------------------------------------


def _program(rig: Rig, unit: Unit, settings: Settings, *, restarts_vtbi: bool = False) -> None:
    happened = Happened(Happening.PROGRAM, settings=settings, restarts_vtbi=restarts_vtbi)
    rig.happen(unit, happened)


def _program_rate(rig: Rig, unit: Unit, action: do.ProgramRate) -> None:
    settings = unit.pump.settings
    wanted = action.rate_ml_h
    if wanted is None:
        assert action.factor is not None, "the reader has checked that one of the two is there"
        wanted = settings.rate_ml_h * action.factor
    rate = rig.profile.programmable_ml_h(wanted)
    _program(rig, unit, replace(settings, rate_ml_h=rate))


def _program_order(rig: Rig, unit: Unit, _: do.ProgramOrder) -> None:
    _program(rig, unit, _as_ordered(rig, unit, unit.order))


def _program_concentration(rig: Rig, unit: Unit, action: do.ProgramConcentration) -> None:
    new = replace(unit.pump.settings, concentration_iu_ml=action.concentration_iu_ml)
    _program(rig, unit, new)


def _program_therapy(rig: Rig, unit: Unit, action: do.ProgramTherapy) -> None:
    _program(rig, unit, replace(unit.pump.settings, therapy=action.therapy))


def _program_vtbi(rig: Rig, unit: Unit, action: do.ProgramVtbi) -> None:
    new = replace(unit.pump.settings, vtbi_ml=action.volume_ml)
    _program(rig, unit, new, restarts_vtbi=True)


def _start(rig: Rig, unit: Unit, _: do.Start) -> None:
    rig.happen(unit, Happened(Happening.START))


def _pause(rig: Rig, unit: Unit, _: do.Pause) -> None:
    rig.happen(unit, Happened(Happening.PAUSE))


def _change_bag(rig: Rig, unit: Unit, action: do.ChangeBag) -> None:
    settings = unit.pump.settings
    holds = action.concentration_iu_ml or unit.bag.concentration_iu_ml
    typed = action.programmed_iu_ml or action.concentration_iu_ml
    if typed is not None:
        settings = replace(settings, concentration_iu_ml=typed)
    # The bag hangs first, so that what the pump then says has the new level; nothing is pumped in
    # between, and the old segment still ends with the old concentration.
    rig.hang_bag(unit, action.volume_ml or rig.profile.reservoir_ml, holds)
    rig.happen(unit, Happened(Happening.CHANGE_BAG, settings=settings))
    rig.look(unit)


def _set_reservoir(rig: Rig, unit: Unit, action: do.SetReservoir) -> None:
    rig.set_reservoir(unit, action.volume_ml)
    rig.sync(unit)
    rig.look(unit)


def _give_bolus(rig: Rig, unit: Unit, action: do.GiveBolus) -> None:
    volume_ml = action.dose_iu / unit.pump.settings.concentration_iu_ml
    bolus = Bolus(volume_ml, action.duration_s)
    rig.happen(unit, Happened(Happening.BOLUS, bolus=bolus))


def _clear_counters(rig: Rig, unit: Unit, _: do.ClearCounters) -> None:
    rig.happen(unit, Happened(Happening.CLEAR_COUNTERS))


def _power_off(rig: Rig, unit: Unit, _: do.PowerOff) -> None:
    rig.switch_off(unit)


def _power_on(rig: Rig, unit: Unit, _: do.PowerOn) -> Later:
    if unit.pump.mode is not Mode.OFF:
        rig.refused += 1
        return None
    rig.happen(unit, Happened(Happening.POWER_ON))
    return round(rig.profile.boot_s * 1000), BootDone(resume=False)


# --- orders --------------------------------------------------------------------------------------


def _as_ordered(rig: Rig, unit: Unit, version: OrderVersion) -> Settings:
    """The settings that the order asks for at this moment; the volume limit stays."""
    prescription = version.prescription
    rate_iu_h = ordered_rate_iu_h(prescription, rig.now_ms)
    exact = pump_rate_ml_h(rate_iu_h, prescription.concentration_iu_ml)
    return replace(
        unit.pump.settings,
        rate_ml_h=rig.profile.programmable_ml_h(exact),
        concentration_iu_ml=prescription.concentration_iu_ml,
        weight_kg=prescription.weight_kg,
        therapy=prescription.therapy,
        order_version=prescription.version,
    )


def _follow(rig: Rig, unit: Unit, deed: Follow) -> None:
    """Somebody carries an order out at the pump, as far as the pump lets them."""
    order = deed.order
    settings = replace(unit.pump.settings, order_version=deed.version.prescription.version)
    if isinstance(order, do.OrderBolus):
        volume_ml = order.dose_iu / settings.concentration_iu_ml
        bolus = Bolus(volume_ml, order.duration_s)
        rig.happen(unit, Happened(Happening.BOLUS, settings=settings, bolus=bolus))
    elif isinstance(order, do.OrderRate):
        _program(rig, unit, _as_ordered(rig, unit, deed.version))
    elif isinstance(order, do.OrderStart):
        _program(rig, unit, _as_ordered(rig, unit, deed.version))
        rig.happen(unit, Happened(Happening.START))
    elif deed.is_end:
        # Nobody resumes what a later order has stopped or holds on.
        if unit.order.timeline.base_rate_iu_h(rig.now_ms) > 0:
            rig.happen(unit, Happened(Happening.START))
    else:
        # A hold or a stop: first delivery ends, then the new version is noted.
        rig.happen(unit, Happened(Happening.PAUSE))
        _program(rig, unit, settings)


Performer = Callable[[Rig, Unit, Any], Later]

_BEGIN: dict[type[do.Entry], Performer] = {
    do.Occlusion: _occlude,
    do.Silence: _fall_silent,
    do.Offline: _go_offline,
    do.Battery: _unplug,
    do.Reboot: _reboot,
    do.CounterFrozen: _freeze,
    do.CounterBackwards: _drop_counter,
    do.CounterJump: _leap_counter,
    do.ProgramRate: _program_rate,
    do.ProgramOrder: _program_order,
    do.ProgramConcentration: _program_concentration,
    do.ProgramTherapy: _program_therapy,
    do.ProgramVtbi: _program_vtbi,
    do.Start: _start,
    do.Pause: _pause,
    do.ChangeBag: _change_bag,
    do.SetReservoir: _set_reservoir,
    do.GiveBolus: _give_bolus,
    do.ClearCounters: _clear_counters,
    do.PowerOff: _power_off,
    do.PowerOn: _power_on,
}
_END: dict[type[do.Entry], Performer] = {
    do.Occlusion: _open_line,
    do.Silence: _speak_again,
    do.Offline: _come_online,
    do.Battery: _plug_in,
    do.CounterFrozen: _thaw,
}
_FAULT_WORDS = {kind: word for word, kind in do.FAULTS.items()}

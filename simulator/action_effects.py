"""What people do to a unit of the rig: the actions of a scenario, and orders carried out.

One small function for each kind; `PERFORM` at the end of the file looks the kind up.
"""

from msgspec.structs import replace

from infusion.units import pump_rate_ml_h
from simulator.machine import Happening, Mode
from simulator.pump import Bolus, Happened, Settings
from simulator.rig import Later, Performer, Rig, Unit
from simulator.story import actions as do
from simulator.story import orders as rx
from simulator.story.entries import Entry
from simulator.story.plan import BootDone, Follow, OrderVersion, ordered_rate_iu_h


def _program(rig: Rig, unit: Unit, settings: Settings, *, restarts_vtbi: bool = False) -> None:
    happened = Happened(Happening.PROGRAM, settings=settings, restarts_vtbi=restarts_vtbi)
    rig.happen(unit, happened)


def _program_rate(rig: Rig, unit: Unit, action: do.ProgramRate) -> None:
    settings = unit.pump.settings
    wanted = action.rate_ml_h
    if wanted is None:
        assert action.factor is not None, "the reader has checked that one of the two is there"
        wanted = settings.rate_ml_h * action.factor
    rate = unit.pump.profile.programmable_ml_h(wanted)
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
    rig.hang_bag(unit, action.volume_ml or unit.pump.profile.reservoir_ml, holds)
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
    return round(unit.pump.profile.boot_s * 1000), BootDone(resume=False)


# --- orders ---


def _as_ordered(rig: Rig, unit: Unit, version: OrderVersion) -> Settings:
    """The settings that the order asks for at this moment; the volume limit stays."""
    prescription = version.prescription
    rate_iu_h = ordered_rate_iu_h(prescription, rig.now_ms)
    exact = pump_rate_ml_h(rate_iu_h, prescription.concentration_iu_ml)
    return replace(
        unit.pump.settings,
        rate_ml_h=unit.pump.profile.programmable_ml_h(exact),
        concentration_iu_ml=prescription.concentration_iu_ml,
        weight_kg=prescription.weight_kg,
        therapy=prescription.therapy,
        order_version=prescription.version,
    )


def follow(rig: Rig, unit: Unit, deed: Follow) -> None:
    """Somebody carries an order out at the pump, as far as the pump lets them."""
    order = deed.order
    settings = replace(unit.pump.settings, order_version=deed.version.prescription.version)
    if isinstance(order, rx.OrderBolus):
        volume_ml = order.dose_iu / settings.concentration_iu_ml
        bolus = Bolus(volume_ml, order.duration_s)
        rig.happen(unit, Happened(Happening.BOLUS, settings=settings, bolus=bolus))
    elif isinstance(order, rx.OrderRate):
        _program(rig, unit, _as_ordered(rig, unit, deed.version))
    elif isinstance(order, rx.OrderStart):
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


PERFORM: dict[type[Entry], Performer] = {
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

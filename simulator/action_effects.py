"""What people do to a unit of the rig: the actions of a scenario, and orders carried out.

One small function for each kind; `PERFORM` at the end of the file looks the kind up.
"""

from typing import Any

from msgspec.structs import replace

from infusion.units import MS_PER_MINUTE, millilitres, pump_rate_ml_h
from simulator import keypad
from simulator.machine import Happening, Mode
from simulator.programming import Bolus, Program, Settings, Step
from simulator.pump import Happened
from simulator.rig import Later, Performer, Rig
from simulator.story import actions as do
from simulator.story import orders as rx
from simulator.story.entries import Entry
from simulator.story.plan import Begin, BootDone, Follow, OrderVersion, ordered_rate_iu_h
from simulator.unit import Unit


def _program(
    rig: Rig,
    unit: Unit,
    settings: Settings,
    action: do.Programming | None = None,
    *,
    what: Happening = Happening.PROGRAM,
    **more: Any,
) -> None:
    """Somebody programs `settings`; `action` says who, and how the library is answered."""
    answers: dict[str, Any] = {}
    if action is not None:
        answers = {
            "user": action.user,
            "override": action.override,
            "bypass": action.bypass_library,
        }
    rig.press(unit, Happened(what, settings=settings, **answers, **more))


def _program_rate(rig: Rig, unit: Unit, action: do.ProgramRate) -> None:
    settings = unit.pump.settings
    if action.rate_ml_h is not None:
        wanted = action.rate_ml_h
    elif action.factor is not None:
        wanted = settings.rate_ml_h * action.factor
    elif action.dose_iu_h is not None:
        wanted = pump_rate_ml_h(action.dose_iu_h, settings.concentration_iu_ml)
    else:
        assert action.dose_iu_kg_h is not None, "the reader has checked that one of them is there"
        dose_iu_h = action.dose_iu_kg_h * settings.weight_kg
        wanted = pump_rate_ml_h(dose_iu_h, settings.concentration_iu_ml)
    rate = unit.pump.profile.programmable_ml_h(wanted)
    _program(rig, unit, replace(settings, rate_ml_h=rate), action)


def _program_order(rig: Rig, unit: Unit, action: do.ProgramOrder) -> None:
    _program(rig, unit, as_ordered(rig, unit, unit.order), action)


def _program_concentration(rig: Rig, unit: Unit, action: do.ProgramConcentration) -> None:
    new = replace(unit.pump.settings, concentration_iu_ml=action.concentration_iu_ml)
    _program(rig, unit, new, action)


def _program_therapy(rig: Rig, unit: Unit, action: do.ProgramTherapy) -> None:
    _program(rig, unit, replace(unit.pump.settings, therapy=action.therapy))


def _program_vtbi(rig: Rig, unit: Unit, action: do.ProgramVtbi) -> None:
    new = replace(unit.pump.settings, vtbi_ml=action.volume_ml)
    _program(rig, unit, new, restarts_vtbi=True)


def _program_weight(rig: Rig, unit: Unit, action: do.ProgramWeight) -> None:
    old = unit.pump.settings
    new = replace(old, weight_kg=action.weight_kg)
    event = "MDC_EVT_PATIENT_PARAMETER_CHANGE"
    detail = f"weight {old.weight_kg:g} kg to {new.weight_kg:g} kg"
    what = Happening.NEW_WEIGHT
    _program(rig, unit, new, action, what=what, event=event, detail=detail)
    if action.keeps == "dose" and unit.pump.settings.weight_kg == new.weight_kg:
        rate = unit.pump.profile.programmable_ml_h(old.rate_ml_h * new.weight_kg / old.weight_kg)
        _program(rig, unit, replace(unit.pump.settings, rate_ml_h=rate), action)


def _program_steps(rig: Rig, unit: Unit, action: do.ProgramSteps) -> None:
    steps = tuple(
        Step(
            unit.pump.profile.programmable_ml_h(step.rate_ml_h),
            step.minutes * 60,
            step.gap_minutes * 60,
        )
        for step in action.steps
    )
    vtbi_ml = millilitres(sum(step.volume_nl for step in steps))
    settings = replace(unit.pump.settings, vtbi_ml=vtbi_ml)
    program = Program(action.mode, steps)
    _program(rig, unit, settings, action, program=program, restarts_vtbi=True)


def _loading_dose(rig: Rig, unit: Unit, action: do.LoadingDose) -> None:
    settings = unit.pump.settings
    bolus = Bolus(action.dose_iu / settings.concentration_iu_ml, action.duration_s)
    _program(rig, unit, settings, action, what=Happening.LOADING_DOSE, bolus=bolus)


def _double_check(rig: Rig, unit: Unit, action: do.DoubleCheck) -> None:
    rig.use(unit, keypad.double_check, action.first_user, action.second_user)


def _standby(rig: Rig, unit: Unit, action: do.Standby) -> None:
    until_ms = rig.now_ms + round(action.minutes * MS_PER_MINUTE)
    event, detail = "MDC_EVT_STAT_STANDBY_MODE", f"for {action.minutes:g} min"
    rig.press(unit, Happened(Happening.STANDBY, event=event, detail=detail, until_ms=until_ms))


def _door_open(rig: Rig, unit: Unit, _: do.DoorOpen) -> None:
    rig.use(unit, keypad.move_door, is_open=True)


def _door_close(rig: Rig, unit: Unit, _: do.DoorClose) -> None:
    rig.use(unit, keypad.move_door, is_open=False)


def _lock(rig: Rig, unit: Unit, _: do.Lock) -> None:
    rig.use(unit, keypad.lock)


def _unlock(rig: Rig, unit: Unit, action: do.Unlock) -> None:
    rig.use(unit, keypad.unlock, action.code)


def _silence(rig: Rig, unit: Unit, _: do.Silence) -> None:
    rig.use(unit, keypad.silence)


def _battery_swap(rig: Rig, unit: Unit, action: do.BatterySwap) -> Later:
    """On mains the pump does not notice; otherwise it is without power until the new one is in."""
    if unit.on_mains:
        rig.state.battery[unit.index] = action.level
        rig.sync(unit)
        return None
    if unit.pump.mode is not Mode.OFF:
        rig.power_fails(unit)
    if unit.pump.mode is not Mode.OFF:
        rig.refused += 1
        return None
    return round(action.takes_s * 1000), Begin(
        _BatteryIn(at=action.at, pump=unit.pump.name, level=action.level)
    )


class _BatteryIn(Entry, frozen=True, kw_only=True):
    """The new battery is in its place: the pump switches itself on."""

    level: float


def _battery_in(rig: Rig, unit: Unit, action: _BatteryIn) -> Later:
    rig.state.battery[unit.index] = action.level
    rig.sync(unit)
    rig.happen(unit, Happened(Happening.POWER_ON))
    return round(unit.pump.profile.boot_s * 1000), BootDone(resume=False)


def _start(rig: Rig, unit: Unit, action: do.Start) -> None:
    rig.press(unit, Happened(Happening.START, user=action.user))


def _pause(rig: Rig, unit: Unit, action: do.Pause) -> None:
    rig.press(unit, Happened(Happening.PAUSE, user=action.user))


def _change_bag(rig: Rig, unit: Unit, action: do.ChangeBag) -> None:
    settings = unit.pump.settings
    holds = action.concentration_iu_ml or unit.bag.concentration_iu_ml
    typed = action.programmed_iu_ml or action.concentration_iu_ml
    if typed is not None:
        settings = replace(settings, concentration_iu_ml=typed)
    # The bag hangs first, so that what the pump then says has the new level; nothing is pumped in
    # between, and the old segment still ends with the old concentration.
    rig.hang_bag(unit, action.volume_ml or unit.pump.profile.reservoir_ml, holds)
    _program(rig, unit, settings, action, what=Happening.CHANGE_BAG)
    rig.look(unit)


def _set_reservoir(rig: Rig, unit: Unit, action: do.SetReservoir) -> None:
    known_ml = rig.state.known_ml(unit.index) if action.unseen else None
    rig.set_reservoir(unit, action.volume_ml, known_ml)
    rig.sync(unit)
    rig.look(unit)


def _give_bolus(rig: Rig, unit: Unit, action: do.GiveBolus) -> None:
    volume_ml = action.dose_iu / unit.pump.settings.concentration_iu_ml
    bolus = Bolus(volume_ml, action.duration_s)
    _program(rig, unit, unit.pump.settings, action, what=Happening.BOLUS, bolus=bolus)


def _clear_counters(rig: Rig, unit: Unit, _: do.ClearCounters) -> None:
    rig.press(unit, Happened(Happening.CLEAR_COUNTERS))


def _power_off(rig: Rig, unit: Unit, _: do.PowerOff) -> None:
    rig.switch_off(unit)


def _power_on(rig: Rig, unit: Unit, action: do.PowerOn) -> Later:
    if unit.pump.mode is not Mode.OFF:
        rig.refused += 1
        return None
    rig.happen(unit, Happened(Happening.POWER_ON))
    fails = action.self_test == "fails"
    return round(unit.pump.profile.boot_s * 1000), BootDone(resume=False, fails=fails)


# --- orders ---


def as_ordered(rig: Rig, unit: Unit, version: OrderVersion) -> Settings:
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


def volume_left(rig: Rig, unit: Unit) -> dict[str, Any]:
    """What else is typed with a new rate: after the last volume was infused, a new one.

    Keep-vein-open has no volume left, and a rate alone would run on without any limit. What the
    bag holds, as the pump knows it, is the limit then.
    """
    if unit.pump.mode is not Mode.KVO:
        return {}
    return {"vtbi_ml": round(rig.state.known_ml(unit.index), 1)}


def follow(rig: Rig, unit: Unit, deed: Follow) -> None:
    """Somebody carries an order out at the pump, as far as the pump lets them."""
    order = deed.order
    # Whoever stands at the pump goes by the newest order there is.
    versions = (deed.version, unit.order)
    newest = max(versions, key=lambda version: version.prescription.version)
    settings = replace(unit.pump.settings, order_version=newest.prescription.version)
    if isinstance(order, rx.OrderBolus):
        volume_ml = order.dose_iu / settings.concentration_iu_ml
        bolus = Bolus(volume_ml, order.duration_s)
        rig.press(unit, Happened(Happening.BOLUS, settings=settings, bolus=bolus))
    elif isinstance(order, rx.OrderRate):
        volume = volume_left(rig, unit)
        settings = replace(as_ordered(rig, unit, newest), **volume)
        _program(rig, unit, settings, restarts_vtbi=bool(volume))
    elif isinstance(order, rx.OrderStart):
        _program(rig, unit, as_ordered(rig, unit, newest))
        rig.press(unit, Happened(Happening.START))
    elif deed.is_end:
        # Nobody resumes what runs already, or what a later order has stopped or holds on.
        is_ordered = unit.order.timeline.base_rate_iu_h(rig.now_ms) > 0
        if is_ordered and not unit.pump.is_delivering:
            rig.press(unit, Happened(Happening.START))
    else:
        # A hold or a stop: first delivery ends, unless it has, then the new version is noted.
        if unit.pump.mode is not Mode.STOPPED:
            rig.press(unit, Happened(Happening.PAUSE))
        _program(rig, unit, settings)


PERFORM: dict[type[Entry], Performer] = {
    do.ProgramRate: _program_rate,
    do.ProgramOrder: _program_order,
    do.ProgramConcentration: _program_concentration,
    do.ProgramTherapy: _program_therapy,
    do.ProgramVtbi: _program_vtbi,
    do.ProgramWeight: _program_weight,
    do.ProgramSteps: _program_steps,
    do.LoadingDose: _loading_dose,
    do.DoubleCheck: _double_check,
    do.Standby: _standby,
    do.DoorOpen: _door_open,
    do.DoorClose: _door_close,
    do.Lock: _lock,
    do.Unlock: _unlock,
    do.Silence: _silence,
    do.BatterySwap: _battery_swap,
    _BatteryIn: _battery_in,
    do.Start: _start,
    do.Pause: _pause,
    do.ChangeBag: _change_bag,
    do.SetReservoir: _set_reservoir,
    do.GiveBolus: _give_bolus,
    do.ClearCounters: _clear_counters,
    do.PowerOff: _power_off,
    do.PowerOn: _power_on,
}

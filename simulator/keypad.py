"""What stands between a finger and the table: lock, drug library, double check, door.

Each function gives what is said, like `handle`, and nothing where the key has no use.
"""

from collections.abc import Iterator

from infusion.library import (
    Breach,
    check_bolus,
    check_concentration,
    check_rate,
    check_weight,
)
from infusion.units import MS_PER_MINUTE
from simulator.machine import DELIVERING, POWERED, TABLE, Happening, Mode
from simulator.operation import Said, alarm, alarm_over, handle, in_turn, note
from simulator.pump import Happened, Pump, Readings

# Alaris GP: silenced for 2 minutes; GIP 3.2 allows no more (pump-standards §2.1, §3.3 [V]).
AUDIO_PAUSE_MS = 2 * MS_PER_MINUTE

# What ends the alarms that only wait for somebody.
_PROGRAMMING = (Happening.PROGRAM, Happening.BOLUS, Happening.LOADING_DOSE, Happening.CHANGE_BAG)
_ENDS_STANDBY = (Happening.START, Happening.PAUSE, Happening.STANDBY)


def press(pump: Pump, happened: Happened, readings: Readings, now_ms: int) -> Said:
    """A key, or what people program, as far as lock, door, library and double check let it."""
    if pump.mode not in POWERED:
        return handle(pump, happened, readings, now_ms)
    return in_turn(pump, _pressed(pump, happened, now_ms), readings, now_ms)


def _pressed(pump: Pump, happened: Happened, now_ms: int) -> Iterator[Happened]:
    what = happened.what
    if pump.is_locked:
        pump.refused_keys += 1
        detail = f"{what}; {pump.refused_keys} refused since it was locked"
        yield note("DRIPWATCH_EVT_KEY_REFUSED", detail, happened.user)
        return
    if (pump.mode, what) not in TABLE or not _makes_sense(pump, happened):
        return
    if what in (Happening.START, Happening.BOLUS, Happening.LOADING_DOSE) and pump.is_door_open:
        yield alarm("door-open")
        return
    breaches = _breaches(pump, happened, now_ms)
    if breaches is not None:
        yield from _answered(happened, breaches)
        is_refused = any(breach.is_hard for breach in breaches)
        if not happened.bypass and (is_refused or (breaches and not happened.override)):
            return
    if pump.behaviour.double_check and _needs_check(pump, happened):
        pump.pending, pump.pending_ms = happened, now_ms
        yield note("DRIPWATCH_EVT_CHECK_NEEDED", str(what), happened.user)
        return
    if breaches is not None:
        pump.is_outside_library = happened.bypass
    yield from _accepted(pump, happened)


def _accepted(pump: Pump, happened: Happened) -> Iterator[Happened]:
    answered: tuple[str, ...] = ("programming-cleared",)
    if happened.what in _ENDS_STANDBY:
        answered += ("standby-expired",)
    for key in answered:
        if key in pump.alarms:
            yield alarm_over(key)
    yield happened


def _makes_sense(pump: Pump, happened: Happened) -> bool:
    """A pump cannot run at nothing, and a program of steps has no place for a bolus."""
    what, settings = happened.what, happened.settings or pump.settings
    if what in (Happening.START, Happening.LOADING_DOSE):
        return settings.rate_ml_h > 0
    if what is Happening.BOLUS:
        return not pump.steps
    if what is Happening.PROGRAM and happened.program is None:
        return settings.rate_ml_h > 0 or pump.settings.rate_ml_h == 0
    return True


def _needs_check(pump: Pump, happened: Happened) -> bool:
    """Conway: start and every rate change are checked by two (heparin.md §1.6 [S])."""
    if happened.what is Happening.PROGRAM:
        settings = happened.settings
        is_rate = settings is not None and settings.rate_ml_h != pump.settings.rate_ml_h
        return is_rate or happened.program is not None
    return happened.what is Happening.START


def _breaches(pump: Pump, happened: Happened, now_ms: int) -> list[Breach] | None:
    """What the library says to what is new in the programming; None where it is not asked."""
    entry = pump.library
    if entry is None:
        return None
    old, new = pump.settings, happened.settings or pump.settings
    found: list[Breach] = []
    is_asked = False
    if new.concentration_iu_ml != old.concentration_iu_ml:
        is_asked = True
        found += check_concentration(entry, new.concentration_iu_ml)
    if new.weight_kg != old.weight_kg:
        is_asked = True
        found += check_weight(entry, new.weight_kg)
    rates = [step.rate_ml_h for step in happened.program.steps] if happened.program else []
    if not rates and (is_asked or new.rate_ml_h != old.rate_ml_h):
        rates = [new.rate_ml_h]
    for rate_ml_h in rates:
        is_asked = True
        found += check_rate(entry, rate_ml_h, new.concentration_iu_ml, new.weight_kg)
    if happened.bolus is not None:
        is_asked = True
        since_ms = None if pump.bolus_ms is None else now_ms - pump.bolus_ms
        found += check_bolus(
            entry,
            happened.bolus.volume_ml * new.concentration_iu_ml,
            happened.bolus.duration_s,
            new.weight_kg,
            None if since_ms is None else since_ms / MS_PER_MINUTE,
        )
    return found if is_asked else None


def _answered(happened: Happened, breaches: list[Breach]) -> Iterator[Happened]:
    """The event that records how a programming and the library met, if they did not agree."""
    detail = "; ".join(breach.text for breach in breaches)[:256]
    if happened.bypass:
        yield note("DRIPWATCH_EVT_BYPASS", detail or "inside the limits", happened.user)
    elif any(breach.is_hard for breach in breaches):
        yield note("DRIPWATCH_EVT_HARD_LIMIT", detail, happened.user)
    elif breaches:
        event = "DRIPWATCH_EVT_OVERRIDE" if happened.override else "DRIPWATCH_EVT_SOFT_LIMIT"
        yield note(event, detail, happened.user)


def double_check(pump: Pump, first: str, second: str, readings: Readings, now_ms: int) -> Said:
    """Two people have looked. One and the same cannot check twice (heparin.md §1.6)."""

    def found() -> Iterator[Happened]:
        if first == second:
            yield note("DRIPWATCH_EVT_DOUBLE_CHECK_REJECTED", f"{first} twice", first)
            return
        pending, pump.pending = pump.pending, None
        if "callback" in pump.alarms:
            yield alarm_over("callback")
        yield note("DRIPWATCH_EVT_DOUBLE_CHECK", f"{first} and {second}", first)
        if pending is None:
            return
        if pump.library is not None and pending.what in _PROGRAMMING:
            pump.is_outside_library = pending.bypass
        # The door may have been opened while the programming waited.
        opened = pending.what is Happening.START and pump.is_door_open
        yield from ([alarm("door-open")] if opened else _accepted(pump, pending))

    return in_turn(pump, found(), readings, now_ms)


def silence(pump: Pump, readings: Readings, now_ms: int) -> Said:
    """The silence key: quiet for two minutes; a second press lets the alarm sound again."""
    if not pump.alarms:
        return []
    if pump.audio_until_ms is not None:
        pump.audio_until_ms = None
        return handle(pump, note("DRIPWATCH_EVT_AUDIO_RESUMED"), readings, now_ms)
    pump.audio_until_ms = now_ms + AUDIO_PAUSE_MS
    return handle(pump, note("DRIPWATCH_EVT_AUDIO_PAUSED"), readings, now_ms)


def lock(pump: Pump, readings: Readings, now_ms: int) -> Said:
    """Lock the keypad; the count of refused keys begins anew."""
    if pump.is_locked or pump.mode not in POWERED:
        return []
    pump.is_locked, pump.refused_keys = True, 0
    return handle(pump, note("DRIPWATCH_EVT_LOCKED"), readings, now_ms)


def unlock(pump: Pump, code: str, readings: Readings, now_ms: int) -> Said:
    """Unlock the keypad with its code; a wrong one is told."""
    if not pump.is_locked or pump.mode not in POWERED:
        return []
    if code != pump.behaviour.lock_code:
        return handle(pump, note("DRIPWATCH_EVT_WRONG_CODE"), readings, now_ms)
    pump.is_locked = False
    return handle(pump, note("DRIPWATCH_EVT_UNLOCKED"), readings, now_ms)


def move_door(pump: Pump, readings: Readings, now_ms: int, *, is_open: bool) -> Said:
    """Door or cassette: open while anything is delivered, or about to be, it is an alarm."""
    if pump.is_door_open == is_open:
        return []
    pump.is_door_open = is_open

    def found() -> Iterator[Happened]:
        yield note("MDC_EVT_STAT_DOOR_OPEN" if is_open else "DRIPWATCH_EVT_DOOR_CLOSED")
        if is_open and pump.mode in (*DELIVERING, Mode.GAP, Mode.CHECKING):
            yield alarm("door-open")

    return in_turn(pump, found(), readings, now_ms)

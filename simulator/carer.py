"""Who answers alarms: somebody comes after a while, removes the cause, and starts the pump again.

Pure: the answer to an alarm depends on the seed, the pump, the alarm and the times alone, never on
other pumps or on how often anybody asked. `REMEDIES` says what is done about each alarm.
"""

import zlib
from collections.abc import Callable, Sequence

from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND
from simulator import fault_effects
from simulator.machine import DELIVERING, STANDING, Mode
from simulator.pump import Pump
from simulator.story.actions import (
    ChangeBag,
    DoorClose,
    DoubleCheck,
    Pause,
    PowerOff,
    PowerOn,
    ProgramOrder,
    ProgramVtbi,
    Silence,
    Start,
)
from simulator.story.entries import Entry
from simulator.story.faults import Battery, FreeFlow, Occlusion, Temperature
from simulator.story.plan import Begin, Clear, Deed, End, Visit
from simulator.story.reading import Offset
from simulator.story.ward_file import HOURS, WardFile
from simulator.unit import Unit
from simulator.ward import Purpose, chance_of, lasting_ms

NIGHT_HOURS = (22, 23, 0, 1, 2, 3, 4, 5)
# The time over which alarms make people slower: Bonafide 2015 (pump-standards §4.4 [V]).
LOAD_MS = 120 * MS_PER_MINUTE
# More alarms than this make nobody slower still. [A]
LOAD_MAX = 10
# Somebody stands at the pump for this share of the response, and does the steps in that time. [A]
AT_PUMP = 0.4
# A pump that is switched on tests itself before it can be started. [A]
SELF_TEST_MS = 40 * MS_PER_SECOND
# No smaller volume to be infused is worth typing in. [A]
VTBI_MIN_ML = 1.0


# A pump that is too hot is left alone for so long, out of the sun, before it is tried again. [A]
COOLING_MS = 30 * MS_PER_MINUTE
# Steps of a remedy name no pump: they are done at the pump that alarms.
CARER = ""
# Nobody checks their own work.
FIRST_USER, SECOND_USER = "carer-1", "carer-2"

Step = Clear | type[Entry]
Answer = tuple[tuple[int, Begin | Clear], ...]

# What is done about each alarm, in order. The last step is the one that ends the alarm, but for
# reservoir-low, which ends with the new bag. Steps that the pump has no use for are left out when
# they are due (`_has_use`): a door that is closed is not closed again.
REMEDIES: dict[str, tuple[Step, ...]] = {
    "downstream-occlusion": (Clear(Occlusion, "downstream"), Start),
    "upstream-occlusion": (Clear(Occlusion, "upstream"), Start),
    "air-in-line": (Start,),
    # What was open, door or clamp, is closed before the pump is trusted again.
    "free-flow": (Clear(FreeFlow), DoorClose, Start),
    "reservoir-low": (Pause, ChangeBag, Start),
    "reservoir-empty": (ChangeBag, Start),
    "infusion-complete": (ProgramVtbi,),
    # A new volume before the old one is infused, so that keep-vein-open never begins.
    "near-end": (ProgramVtbi,),
    "battery-low": (Clear(Battery),),
    "battery-depleted": (Clear(Battery), PowerOn, ProgramOrder, Start),
    "door-open": (DoorClose, Start),
    "system-malfunction": (PowerOff, PowerOn, ProgramOrder, Start),
    # The pump stands already; it is taken out of the heat, made quiet, cools, and is then started.
    "over-temperature": (Clear(Temperature), Silence, Start),
    "standby-expired": (Start,),
    # Programming that waits for a second person gets one.
    "callback": (DoubleCheck,),
    # Programming that nobody checked is typed in again, as ordered.
    "programming-cleared": (ProgramOrder, Start),
}


class Carer:
    """Answers the alarms of a fleet. Times are in ms from the start of the story."""

    def __init__(self, ward: WardFile, *, seed: int) -> None:
        """Somebody who works as the cohort says."""
        care = self._care = ward.care
        self._day = ward.day
        self._bag_ml = ward.bags.volume_ml
        self._seed = seed
        factors = ward.day.factors()
        at_night = sum(factors[hour] for hour in NIGHT_HOURS) / HOURS
        # So that the mean over the alarms of a whole day is that of the file.
        self._by_day = 1 / (1 - at_night + at_night * care.night_factor)
        usual = care.usual_per_hour * LOAD_MS / MS_PER_HOUR
        self._by_load = 1 / (1 + care.load_factor * usual)

    def answer(
        self,
        pump: int,
        alarm: str,
        at_ms: int,
        *,
        rate_ml_h: float,
        before_ms: Sequence[int] = (),
    ) -> Answer:
        """What is done about an alarm of pump `pump` (from 0) that begins at `at_ms`, and when.

        `before_ms` are the beginnings of the pump's earlier alarms. Clears may come before the
        cause has ended by itself; then they do nothing.
        """
        remedy = REMEDIES[alarm]
        key = (at_ms // MS_PER_SECOND, zlib.crc32(alarm.encode()))
        chance = chance_of(self._seed, pump, Purpose.CARE, *key)
        care = self._care
        response_ms = lasting_ms(chance, care.response) * self._slowness(at_ms, before_ms)
        is_silenced, is_wrong = chance.random(2) < (care.silence_first, care.wrong_first)
        steps = list(remedy)
        if is_wrong and len(remedy) > 1 and isinstance(remedy[0], Clear):
            # Restarts without having looked for the cause; if it is still there, the pump stops
            # again and is answered again.
            steps = steps[1:]
        end_ms = at_ms + max(MS_PER_SECOND, round(response_ms))
        first_ms = max(at_ms + 1, end_ms - round(response_ms * AT_PUMP))
        found: list[tuple[int, Begin | Clear]] = []
        if is_silenced:
            # Makes it quiet, goes away, and comes back when it sounds again.
            found.append((first_ms, Begin(self._entry(Silence, pump, first_ms, rate_ml_h))))
            first_ms += round(care.silence_s * MS_PER_SECOND)
            end_ms += round(care.silence_s * MS_PER_SECOND)
        for number, step in enumerate(steps, start=1):
            when = first_ms + (end_ms - first_ms) * number // len(steps)
            if PowerOn in steps and step in (ProgramOrder, Start):
                when += SELF_TEST_MS
            if alarm == "over-temperature" and step is Start:
                when += COOLING_MS
            if isinstance(step, Clear):
                found.append((when, step))
                continue
            found.append((when, Begin(self._entry(step, pump, when, rate_ml_h))))
            if step in (ProgramOrder, Start):
                found.append((when, Begin(self._entry(DoubleCheck, pump, when, rate_ml_h))))
        return tuple(found)

    def new_volume(self, pump: int, at_ms: int, rate_ml_h: float) -> ProgramVtbi:
        """The volume to be infused that somebody types at this time, for some hours ahead."""
        care = self._care
        key = at_ms // MS_PER_SECOND
        chance = chance_of(self._seed, pump, Purpose.VOLUME, key)
        hours = float(chance.gamma(care.vtbi_shape)) * care.vtbi_h / care.vtbi_shape
        volume_ml = round(max(hours * rate_ml_h, VTBI_MIN_ML), 1)
        return ProgramVtbi(at=Offset(at_ms), pump=CARER, volume_ml=volume_ml)

    def _slowness(self, at_ms: int, before_ms: Sequence[int]) -> float:
        """How much longer than usual people take at this time, after so many alarms."""
        hour = (self._day.begins_at.ms + at_ms) // MS_PER_HOUR % HOURS
        factor = self._by_day * (self._care.night_factor if hour in NIGHT_HOURS else 1.0)
        recent = sum(at_ms - LOAD_MS < before < at_ms for before in before_ms)
        return factor * self._by_load * (1 + self._care.load_factor * min(recent, LOAD_MAX))

    def _entry(self, kind: type[Entry], pump: int, at_ms: int, rate_ml_h: float) -> Entry:
        at = Offset(at_ms)
        if kind is ChangeBag:
            return ChangeBag(at=at, pump=CARER, volume_ml=self._bag_ml)
        if kind is ProgramVtbi:
            return self.new_volume(pump, at_ms, rate_ml_h)
        if kind is DoubleCheck:
            return DoubleCheck(at=at, pump=CARER, first_user=FIRST_USER, second_user=SECOND_USER)
        return kind(at=at, pump=CARER)


def _has_use(pump: Pump, entry: Entry) -> bool:
    """Whether somebody who looks at the pump would take this step of a remedy."""
    match entry:
        case PowerOn():
            return pump.mode is Mode.OFF
        case PowerOff():
            return pump.mode is Mode.FAILED
        case DoorClose():
            return pump.is_door_open
        case DoubleCheck():
            return pump.pending is not None
        case Silence():
            # A second press would let the alarm sound again.
            return bool(pump.alarms) and pump.audio_until_ms is None
        case ProgramOrder():
            return pump.settings.rate_ml_h <= 0 or "programming-cleared" in pump.alarms
        case Start():
            return pump.mode in STANDING or pump.mode is Mode.KVO
        case Pause():
            return pump.mode in DELIVERING
    return True


class Attendance:
    """Joins a carer to the deeds of a fleet: plans what follows from alarms, ends faults once."""

    def __init__(
        self, carer: Carer, start_ms: int, plan: Callable[[Unit, int, Deed], object]
    ) -> None:
        """`plan` takes a pump's unit, a time, and what is to be done then."""
        self._carer = carer
        self._start_ms = start_ms
        self._plan = plan
        self._alarms: dict[int, list[int]] = {}
        self._active: dict[int, list[Entry]] = {}
        self._infused: set[int] = set()

    def alarm_begins(self, unit: Unit, alarm: str, now_ms: int) -> None:
        """A pump begins to alarm: somebody will come."""
        if alarm == "infusion-complete":
            self._infused.add(unit.index)
        at_ms = now_ms - self._start_ms
        before = [time for time in self._alarms.get(unit.index, ()) if time > at_ms - LOAD_MS]
        rate_ml_h = unit.pump.settings.rate_ml_h
        steps = self._carer.answer(
            unit.index, alarm, at_ms, rate_ml_h=rate_ml_h, before_ms=tuple(before)
        )
        self._alarms[unit.index] = [*before, at_ms]
        self._plan(unit, self._start_ms + steps[0][0], Visit(alarm, steps))

    def turn(self, unit: Unit, deed: Deed) -> list[Deed]:
        """What is really to be done when a deed is due, in order.

        A visit to an alarm that is over by then does nothing. A fault that somebody has cleared
        does not end a second time.
        """
        if isinstance(deed, Visit):
            if deed.alarm in unit.pump.alarms:
                self._visit(unit, deed)
            return []
        if isinstance(deed, Begin):
            return self._begun(unit, deed)
        active = self._active.setdefault(unit.index, [])
        if isinstance(deed, End):
            if deed.entry not in active:
                return []
            active.remove(deed.entry)
        elif isinstance(deed, Clear):
            cleared = [entry for entry in active if deed.fits(entry)]
            self._active[unit.index] = [entry for entry in active if not deed.fits(entry)]
            return [End(entry) for entry in cleared]
        return [deed]

    def _visit(self, unit: Unit, visit: Visit) -> None:
        """Plan the steps; who only silences looks again when they come back."""
        steps = visit.steps
        (_, first), *later = steps
        if later and isinstance(first, Begin) and isinstance(first.entry, Silence):
            self._plan(unit, self._start_ms + later[0][0], Visit(visit.alarm, tuple(later)))
            steps = steps[:1]
        for at_ms, step in steps:
            self._plan(unit, self._start_ms + at_ms, step)

    def _begun(self, unit: Unit, deed: Begin) -> list[Deed]:
        """A fault or an action, with what people do besides it."""
        entry, pump = deed.entry, unit.pump
        if entry.pump == CARER and not _has_use(pump, entry):
            return []
        if type(entry) in fault_effects.END:
            self._active.setdefault(unit.index, []).append(entry)
        elif isinstance(entry, ProgramVtbi):
            self._infused.discard(unit.index)
        elif isinstance(entry, Start) and unit.index in self._infused and pump.mode in STANDING:
            # The volume was infused before somebody paused: whoever starts again types a new one,
            # or the pump would run without a limit from here on.
            self._infused.discard(unit.index)
            at_ms, rate_ml_h = entry.at.ms, pump.settings.rate_ml_h
            return [Begin(self._carer.new_volume(unit.index, at_ms, rate_ml_h)), deed]
        return [deed]

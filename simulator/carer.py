"""Who answers alarms: somebody comes after a while, removes the cause, and starts the pump again.

Pure: the answer to an alarm depends on the seed, the pump, the alarm and the times alone, never on
other pumps or on how often anybody asked. `REMEDIES` says what is done about each alarm. What the
pump cannot do is not in the table: an alarm without a remedy is left to the scenario.
"""

import zlib
from collections.abc import Callable, Sequence

from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND
from simulator import fault_effects
from simulator.story.actions import ChangeBag, Pause, PowerOn, ProgramVtbi, Start
from simulator.story.entries import Entry
from simulator.story.faults import Battery, Occlusion
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


Step = Clear | type[Entry]
Answer = tuple[tuple[int, Begin | Clear], ...]

# What is done about each alarm, in order. The last step is the one that ends the alarm, but for
# reservoir-low, which ends with the new bag.
REMEDIES: dict[str, tuple[Step, ...]] = {
    "downstream-occlusion": (Clear(Occlusion, "downstream"), Start),
    "upstream-occlusion": (Clear(Occlusion, "upstream"), Start),
    "reservoir-low": (Pause, ChangeBag, Start),
    "reservoir-empty": (ChangeBag, Start),
    "infusion-complete": (ProgramVtbi,),
    "battery-low": (Clear(Battery),),
    "battery-depleted": (Clear(Battery), PowerOn, Start),
    "air-in-line": (Start,),
    "hold-expired": (Start,),
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

        `before_ms` are the beginnings of the pump's earlier alarms. Empty for an alarm without a
        remedy. Clears may come before the cause has ended by itself; then they do nothing.
        """
        remedy = REMEDIES.get(alarm)
        if remedy is None:
            return ()
        key = (at_ms // MS_PER_SECOND, zlib.crc32(alarm.encode()))
        chance = chance_of(self._seed, pump, Purpose.CARE, *key)
        care = self._care
        response_ms = lasting_ms(chance, care.response) * self._slowness(at_ms, before_ms)
        is_silenced, is_wrong = chance.random(2) < (care.silence_first, care.wrong_first)
        hours = float(chance.gamma(care.vtbi_shape)) * care.vtbi_h / care.vtbi_shape
        if is_silenced:
            response_ms += care.silence_s * MS_PER_SECOND
        steps = list(remedy)
        if is_wrong and len(remedy) > 1 and isinstance(remedy[0], Clear):
            # Restarts without having looked for the cause; if it is still there, the pump stops
            # again and is answered again.
            steps = steps[1:]
        end_ms = at_ms + max(MS_PER_SECOND, round(response_ms))
        first_ms = max(at_ms + 1, end_ms - round(response_ms * AT_PUMP))
        found: list[tuple[int, Begin | Clear]] = []
        for number, step in enumerate(steps, start=1):
            when = first_ms + (end_ms - first_ms) * number // len(steps)
            if step is Start and PowerOn in steps:
                when += SELF_TEST_MS
            if isinstance(step, Clear):
                found.append((when, step))
            else:
                found.append((when, Begin(self._entry(step, when, hours * rate_ml_h))))
        return tuple(found)

    def _slowness(self, at_ms: int, before_ms: Sequence[int]) -> float:
        """How much longer than usual people take at this time, after so many alarms."""
        hour = (self._day.begins_at.ms + at_ms) // MS_PER_HOUR % HOURS
        factor = self._by_day * (self._care.night_factor if hour in NIGHT_HOURS else 1.0)
        recent = sum(at_ms - LOAD_MS < before < at_ms for before in before_ms)
        return factor * self._by_load * (1 + self._care.load_factor * min(recent, LOAD_MAX))

    def _entry(self, kind: type[Entry], at_ms: int, vtbi_ml: float) -> Entry:
        at, pump = Offset(at_ms), ""
        if kind is ChangeBag:
            return ChangeBag(at=at, pump=pump, volume_ml=self._bag_ml)
        if kind is ProgramVtbi:
            volume_ml = round(max(vtbi_ml, VTBI_MIN_ML), 1)
            return ProgramVtbi(at=at, pump=pump, volume_ml=volume_ml)
        return kind(at=at, pump=pump)


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

    def alarm_begins(self, unit: Unit, alarm: str, now_ms: int) -> None:
        """A pump begins to alarm: somebody will come, if there is something to be done."""
        at_ms = now_ms - self._start_ms
        before = [time for time in self._alarms.get(unit.index, ()) if time > at_ms - LOAD_MS]
        rate_ml_h = unit.pump.settings.rate_ml_h
        steps = self._carer.answer(
            unit.index, alarm, at_ms, rate_ml_h=rate_ml_h, before_ms=tuple(before)
        )
        self._alarms[unit.index] = [*before, at_ms]
        if steps:
            self._plan(unit, self._start_ms + steps[0][0], Visit(alarm, steps))

    def turn(self, unit: Unit, deed: Deed) -> list[Deed]:
        """What is really to be done when a deed is due, in order.

        A visit to an alarm that is over by then does nothing. A fault that somebody has cleared
        does not end a second time.
        """
        active = self._active.setdefault(unit.index, [])
        if isinstance(deed, Begin) and isinstance(deed.entry, PowerOn) and unit.is_powered:
            return []
        if isinstance(deed, Begin) and type(deed.entry) in fault_effects.END:
            active.append(deed.entry)
        elif isinstance(deed, End):
            if deed.entry not in active:
                return []
            active.remove(deed.entry)
        elif isinstance(deed, Clear):
            cleared = [entry for entry in active if deed.fits(entry)]
            self._active[unit.index] = [entry for entry in active if not deed.fits(entry)]
            return [End(entry) for entry in cleared]
        elif isinstance(deed, Visit):
            if deed.alarm in unit.pump.alarms:
                for at_ms, step in deed.steps:
                    self._plan(unit, self._start_ms + at_ms, step)
            return []
        return [deed]

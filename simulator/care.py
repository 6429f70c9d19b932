"""The patients on the pumps, and who looks after them, on the fleet's clock.

Once a minute what truly reached each patient goes into their blood, then the clinic does what is
due: the EHR says results, reports and new orders, and a nurse does at the pump what was ordered,
or what she takes for it.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from infusion.clinical import LabResult, Report
from infusion.messages import Kind, Message, Topic, encode
from infusion.nomogram import Nomogram
from infusion.units import MS_PER_MINUTE
from simulator import fault_book
from simulator.action_effects import as_ordered, volume_left
from simulator.clinic.clinic import Clinic
from simulator.clinic.happenings import (
    Applied,
    End,
    GiveBolus,
    Happening,
    Ordered,
    Pause,
    Reported,
    Resulted,
    Resume,
    SetRate,
)
from simulator.clinic.protocol import Protocol
from simulator.keypad import double_check
from simulator.machine import Happening as PumpHappening
from simulator.patient_effects import perform
from simulator.patients import Patients, draw_patients
from simulator.programming import Bolus
from simulator.pump import Happened
from simulator.rig import Rig
from simulator.story.entries import NOBODY, Entry, Patient
from simulator.story.patient_events import Says
from simulator.stream import Outgoing
from simulator.unit import Unit

T = TypeVar("T")
MINUTE_MS = MS_PER_MINUTE
NURSE, SECOND_NURSE = "nurse-1", "nurse-2"


class Guideline(Struct, frozen=True):
    """Who is looked after how: a protocol, and the nomogram that it names."""

    protocol: Protocol
    nomogram: Nomogram


class Care:
    """The patients of a whole fleet, and the clinic for those who have one."""

    def __init__(
        self,
        rig: Rig,
        described: Mapping[int, Patient],
        guideline: Guideline | None,
        *,
        seed: int,
        start_ms: int,
        say_order: Callable[[Unit], None],
        session: str,
    ) -> None:
        """`described` is what a scenario says of patients, by index; without a `guideline` nobody
        draws blood or changes a dose. `say_order` publishes a unit's order, `session` is whose
        messages results and reports are.
        """
        weights = np.array([unit.order.prescription.weight_kg for unit in rig.units])
        self.patients: Patients = draw_patients(
            weights, seed=seed, start_ms=start_ms, described=described
        )
        self._rig = rig
        self._say_order = say_order
        self._session = session
        self._seen_iu = np.zeros(len(weights))
        self._reports = 0
        self._clinic: Clinic | None = None
        if guideline is not None:
            looked_after = (
                unit.index
                for unit in rig.units
                if unit.index not in described or described[unit.index].protocol != NOBODY
            )
            self._clinic = Clinic(
                guideline.protocol,
                guideline.nomogram,
                self.patients,
                [unit.order for unit in rig.units],
                seed=seed,
                described=described,
                indices=looked_after,
            )

    def advance(self, now_ms: int) -> None:
        """Bring patients and clinic up to a whole minute."""
        doses = self._rig.meter.doses_iu()
        # A line that draws back a little must not draw heparin out of the blood.
        reached = np.maximum(doses - self._seen_iu, 0.0)
        self._seen_iu += reached
        self.patients.advance(reached, now_ms)
        if self._clinic is None:
            return
        for happening in self._clinic.advance(now_ms):
            self._take(self._rig.units[happening.index], happening)

    def order_changed(self, unit: Unit) -> None:
        """A scenario changed an order: the clinic goes by it from now on."""
        if self._clinic is not None:
            self._clinic.order_changed(unit.index, unit.order)

    def befall(self, unit: Unit, entry: Entry) -> None:
        """Something befalls a patient or the laboratory, or is reported by somebody."""
        if isinstance(entry, Says):
            self._report(unit, entry)
            return
        perform(self.patients, self._clinic, unit.index, entry, self.patients.start_ms)

    # --- what the clinic makes happen ------------------------------------------------------------

    def _take(self, unit: Unit, happening: Happening) -> None:
        match happening:
            case Resulted():
                self._say(Kind.LAB, happening.therapy, _lab_result(happening))
            case Reported():
                report = self._new_report(
                    happening.therapy, happening.what, "patient", happening.at_ms
                )
                self._say(Kind.REPORT, happening.therapy, report)
            case Ordered():
                unit.order = happening.version
                self._say_order(unit)
            case Applied():
                self._apply(unit, happening)

    def _new_report(self, therapy: str, what: str, by: str, at_ms: int) -> Report:
        self._reports += 1
        name = f"R{self._reports}"
        return Report(therapy=therapy, report=name, what=what, by=by, time_ms=at_ms)

    def _report(self, unit: Unit, says: Says) -> None:
        """Somebody says something of a therapy, and nothing else happens by it."""
        therapy = unit.order.prescription.therapy
        at_ms = self.patients.start_ms + says.at.ms
        due_ms = None if says.due is None else self.patients.start_ms + says.due.ms
        report = replace(
            self._new_report(therapy, says.what, says.by, at_ms),
            lasted_min=_or_unset(says.lasted_min),
            item=_or_unset(says.item),
            amount=_or_unset(says.amount),
            lot=_or_unset(says.lot),
            due_ms=_or_unset(due_ms),
        )
        self._say(Kind.REPORT, therapy, report)

    def _say(self, kind: Kind, therapy: str, message: Message) -> None:
        topic = str(Topic(kind, self._rig.site, therapy))
        payload = encode(message)
        self._rig.say(Outgoing(self._session, topic, payload, 1, False, self._rig.now_ms, kind))

    def _apply(self, unit: Unit, applied: Applied) -> None:
        """A nurse at the pump. A slip is a fault until somebody does it right."""
        rig = self._rig
        for fault in unit.faults:
            if fault.fault.startswith("slip-"):
                fault_book.end(rig, unit, fault.fault)
        if applied.slip is not None:
            fault_book.begin(rig, unit, f"slip-{applied.slip}")
        match applied.act:
            case SetRate():
                self._set_rate(unit, applied.act)
            case GiveBolus():
                volume_ml = applied.act.dose_iu / unit.pump.settings.concentration_iu_ml
                bolus = Bolus(volume_ml, applied.act.duration_s)
                self._press(unit, Happened(PumpHappening.BOLUS, bolus=bolus, override=True))
            case Pause() | End():
                self._press(unit, Happened(PumpHappening.PAUSE))
            case Resume():
                self._press(unit, Happened(PumpHappening.START))

    def _press(self, unit: Unit, happened: Happened) -> None:
        """Two nurses at the keys: the second checks what the first typed, if the pump asks."""
        self._rig.press(unit, replace(happened, user=NURSE))
        if unit.pump.pending is not None:
            self._rig.use(unit, double_check, NURSE, SECOND_NURSE)

    def _set_rate(self, unit: Unit, act: SetRate) -> None:
        """What is typed. A soft limit is answered with yes, for the order stands; what the pump's
        library refuses is seen to be wrong, and put right soon.
        """
        meant = as_ordered(self._rig, unit, unit.order)
        volume = volume_left(self._rig, unit)
        typed = replace(
            meant,
            rate_ml_h=unit.pump.profile.programmable_ml_h(act.rate_ml_h),
            weight_kg=act.weight_kg or meant.weight_kg,
            **volume,
        )
        what, restarts = PumpHappening.PROGRAM, bool(volume)
        self._press(unit, Happened(what, settings=typed, override=True, restarts_vtbi=restarts))
        is_taken = unit.pump.settings.rate_ml_h == typed.rate_ml_h
        if not is_taken and act.rate_ml_h != act.intended_ml_h and self._clinic is not None:
            self._clinic.correct(unit.index)


def _or_unset(value: T | None) -> T | UnsetType:
    """What a report leaves out where it does not apply."""
    return UNSET if value is None else value


def _lab_result(happening: Resulted) -> LabResult:
    reading = happening.reading
    return LabResult(
        therapy=happening.therapy,
        specimen=happening.specimen,
        test=happening.test,
        value=reading.value,
        unit=reading.unit,
        bound=reading.bound,
        problem=reading.problem,
        drawn_ms=happening.drawn_ms,
        resulted_ms=happening.at_ms,
    )

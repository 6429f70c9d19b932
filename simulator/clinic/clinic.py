"""The care of the patients on the pumps: who draws what when, what is ordered, what is done.

    clinic = Clinic(protocol, nomogram, patients, orders, seed=1)
    while True:                      # once a minute, patients first
        patients.advance(dose_iu, now_ms)
        for happening in clinic.advance(now_ms):
            ...

A round of care: a test is due, a nurse draws a specimen (`Sampled`), the laboratory reports it
(`Resulted`), the prescriber reads the nomogram and orders (`Ordered`), a nurse does it at the pump
(`Applied`), and the next level is due six hours after. The clinic sees the order and never the
pump, as a prescriber does; that the two agree is the nurse's doing, and the slips are hers too.

What is due is in a heap, so that a minute in which nothing is due costs nothing. Every draw of
chance belongs to one patient, purpose and number: what happens to a patient depends neither on
the others nor on how often `advance` is called. Times are whole minutes from the start.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from infusion.nomogram import Nomogram
from infusion.prescription import Step, Stop
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.clinic import nurse, prescriber
from simulator.clinic.chance import Chance, delay_ms
from simulator.clinic.course import (
    Arrive,
    Course,
    Decide,
    Due,
    Miss,
    Need,
    Notice,
    Perform,
    Task,
    Visit,
    need_of,
)
from simulator.clinic.happenings import (
    Applied,
    Condition,
    End,
    Happening,
    Ordered,
    Reported,
    Resulted,
    Resume,
    Sampled,
    SetRate,
)
from simulator.clinic.laboratory import condition_of_specimen, measure
from simulator.clinic.protocol import Protocol, Test
from simulator.patients import Bleeding, Patients
from simulator.story.entries import Patient
from simulator.story.plan import OrderVersion, next_version, ordered_rate_iu_h

# A bleeding slower than this is told as a bruise [A].
_BRUISE_G_DL_DAY = 1.0


class Clinic:
    """The care of some of the patients by one protocol."""

    def __init__(
        self,
        protocol: Protocol,
        nomogram: Nomogram,
        patients: Patients,
        orders: Mapping[int, OrderVersion] | Sequence[OrderVersion],
        *,
        seed: int,
        described: Mapping[int, Patient] | None = None,
        indices: Iterable[int] | None = None,
    ) -> None:
        """Care from the patients' now on, when all `orders` (by index) begin.

        `indices` are the patients cared for, all when it is None.
        """
        self.protocol = protocol
        self.nomogram = nomogram
        self._patients = patients
        self._own_test = prescriber.TEST_OF_NOMOGRAM[nomogram.test]
        self._levels = tuple(dict.fromkeys((self._own_test, *protocol.calendar.levels)))
        self._due: list[Due] = []
        self._due_number = 0
        self._courses: dict[int, Course] = {}
        for index in range(len(patients)) if indices is None else indices:
            patient = (described or {}).get(index)
            self._courses[index] = course = Course(
                index=index,
                order=orders[index],
                chance=Chance(seed, index),
                no_bolus=patient is not None and patient.no_bolus,
                start_ms=patients.now_ms,
                warfarin_ms=float(patients.traits.warfarin_from_ms[index]),
            )
            self._begin(course)

    @property
    def next_ms(self) -> int | None:
        """When the next thing is due, so far as is known."""
        return self._due[0].at_ms if self._due else None

    def advance(self, now_ms: int) -> list[Happening]:
        """Do all that is due up to `now_ms`, which the patients have reached; in order of time."""
        assert self._patients.now_ms == now_ms, "patients go first, and not further"
        for bleeding in self._patients.take_bleedings():
            self._hear_of(bleeding)
        out: list[Happening] = []
        while self._due and self._due[0].at_ms <= now_ms:
            due = heapq.heappop(self._due)
            course = self._courses[due.index]
            out += self._do(course, due.task, due.at_ms)
        return out

    # --- what others do ------------------------------------------------------------------------

    def order_of(self, index: int) -> OrderVersion | None:
        """The order of a patient as it stands; None for one who is not cared for."""
        course = self._courses.get(index)
        return course.order if course else None

    def order_changed(self, index: int, order: OrderVersion) -> None:
        """Somebody else, as a scenario, ordered a newer version now: levels go by it.

        Care is over when its last step is a stop, and goes on when it is a start after one.
        """
        course = self._courses.get(index)
        if course is None:
            return
        course.order = order
        course.is_over = isinstance(order.prescription.steps[-1], Stop)
        if course.is_over:
            course.due.clear()
            return
        first_ms = round(self.nomogram.first_check_h * MS_PER_HOUR)
        course.due["level"] = self._patients.now_ms + first_ms
        self._plan_visit(course, self._patients.now_ms)

    def correct(self, index: int) -> None:
        """Somebody has seen that the pump does not do what is ordered: it is put right soon."""
        course = self._courses.get(index)
        if course is None:
            return
        prescription, now_ms = course.order.prescription, self._patients.now_ms
        rate_iu_h = ordered_rate_iu_h(prescription, now_ms)
        rate_ml_h = rate_iu_h / prescription.concentration_iu_ml
        act = End() if course.is_over or rate_iu_h == 0 else SetRate(rate_ml_h, rate_ml_h)
        planned = nurse.Planned(now_ms + 2 * MS_PER_MINUTE, act)
        self._push(planned.at_ms, course, Perform(planned, prescription.version))

    def spoil_next(self, index: int, condition: Condition) -> None:
        """The next specimen of a patient turns out like this."""
        if index in self._courses:
            self._courses[index].spoiled.append(condition)

    def close_laboratory(self, index: int, until_ms: int) -> None:
        """No results for a patient until a time; specimens are drawn and wait."""
        if index in self._courses:
            course = self._courses[index]
            course.closed_until_ms = max(course.closed_until_ms, until_ms)

    # --- the calendar --------------------------------------------------------------------------

    def _begin(self, course: Course) -> None:
        """Counts at the start, the first level after hours, INR from the day after warfarin."""
        start_ms, first_h = course.start_ms, self.nomogram.first_check_h
        course.due["platelets"] = course.due["haemoglobin"] = start_ms
        course.due["level"] = start_ms + round(first_h * MS_PER_HOUR)
        if course.warfarin_ms < math.inf:
            every_ms = round(self.protocol.calendar.inr_every_h * MS_PER_HOUR)
            course.due["inr"] = max(start_ms, round(course.warfarin_ms) + every_ms)
        self._plan_visit(course, start_ms)

    def _push(self, at_ms: int, course: Course, task: Task) -> None:
        heapq.heappush(self._due, Due(at_ms, self._due_number, course.index, task))
        self._due_number += 1

    def _plan_visit(self, course: Course, now_ms: int) -> None:
        """One visit at a time is planned: for what is due first."""
        course.visit += 1
        if not course.due:
            return
        due_ms = max(now_ms, min(course.due.values()))
        nurse_ = self.protocol.nurse
        chance = course.chance.of("draw", course.visit)
        delay = delay_ms(chance, nurse_.draw_median_min, nurse_.draw_log_sd)
        self._push(due_ms + delay, course, Visit(course.visit))

    # --- what is due ---------------------------------------------------------------------------

    def _do(self, course: Course, task: Task, now_ms: int) -> list[Happening]:
        match task:
            case Perform():
                return self._perform(course, task, now_ms)
            case _ if course.is_over:
                return []
            case Visit():
                return self._visit(course, task, now_ms)
            case Arrive():
                return self._arrive(course, task, now_ms)
            case Miss():
                for need in task.needs:
                    course.due[need] = now_ms
                self._plan_visit(course, now_ms)
                return []
            case Decide():
                return self._decide(course, task, now_ms)
            case Notice():
                return self._notice(course, task, now_ms)

    def _visit(self, course: Course, visit: Visit, now_ms: int) -> list[Happening]:
        if visit.number != course.visit:
            return []
        needs = course.take(now_ms, round(self.protocol.calendar.together_h * MS_PER_HOUR))
        course.specimens += 1
        chance = course.chance.of("specimen", course.specimens)
        spoils, sees = chance.random(2)
        if course.is_wrong and sees < self.protocol.slips.noticed_at_visit:
            self.correct(course.index)
        condition = condition_of_specimen(self.protocol.laboratory, spoils)
        if course.spoiled:
            condition = course.spoiled.pop(0)
        name = f"{course.order.prescription.therapy}-S{course.specimens}"
        tests = tuple(test for need in needs for test in self._tests(need))
        self._send(course, name, tests, condition, now_ms)
        self._plan_visit(course, now_ms)
        return [
            Sampled(
                at_ms=now_ms, index=course.index, specimen=name, tests=tests, condition=condition
            )
        ]

    def _tests(self, need: Need) -> tuple[Test, ...]:
        return self._levels if need == "level" else (need,)

    def _send(
        self, course: Course, name: str, tests: tuple[Test, ...], condition: Condition, now_ms: int
    ) -> None:
        """Measure a specimen as the blood is now, and have the results come back later."""
        laboratory = self.protocol.laboratory
        if condition == "lost":
            needs = tuple(dict.fromkeys(need_of(test) for test in tests))
            at_ms = now_ms + round(laboratory.lost_noticed_h * MS_PER_HOUR)
            self._push(at_ms, course, Miss(needs))
            return
        chance = course.chance.of("turnaround", course.specimens)
        delay = delay_ms(chance, laboratory.turnaround_median_min, laboratory.turnaround_log_sd)
        results = tuple(
            Resulted(
                at_ms=now_ms + delay,
                index=course.index,
                therapy=course.order.prescription.therapy,
                specimen=name,
                test=test,
                drawn_ms=now_ms,
                reading=measure(test, self._patients, course.index, laboratory, chance, condition),
            )
            for test in tests
        )
        self._push(now_ms + delay, course, Arrive(results))

    def _arrive(self, course: Course, task: Arrive, now_ms: int) -> list[Happening]:
        """Results are read: what is out of order is decided on, what went wrong is repeated."""
        laboratory = self.protocol.laboratory
        if now_ms < course.closed_until_ms:
            again_ms = round(laboratory.turnaround_median_min) * MS_PER_MINUTE
            self._push(course.closed_until_ms + again_ms, course, task)
            return []
        results = [replace(result, at_ms=now_ms) for result in task.results]
        for result in results:
            self._read(course, result)
        self._plan_visit(course, now_ms)
        return [*results]

    def _read(self, course: Course, result: Resulted) -> None:
        reading = result.reading.value
        if reading is None:
            course.due[need_of(result.test)] = result.at_ms
        elif result.test == self._own_test:
            value = prescriber.nomogram_value(self.nomogram, reading, self.protocol.laboratory)
            self._ask(course, Decide(level=value), result.at_ms)
        elif need_of(result.test) != "level":
            due_ms = course.next_count_ms(result.test, result.drawn_ms, self.protocol.calendar)
            if due_ms is not None:
                course.due[need_of(result.test)] = due_ms
            rules = self.protocol.prescriber
            reason = prescriber.why_to_stop(course, result.test, reading, result.drawn_ms, rules)
            if reason:
                self._ask(course, Decide(reason=reason), result.at_ms)

    def _ask(self, course: Course, task: Decide, now_ms: int) -> None:
        """The prescriber decides after a while."""
        course.decisions += 1
        rules = self.protocol.prescriber
        chance = course.chance.of("order", course.decisions)
        delay = delay_ms(chance, rules.order_median_min, rules.order_log_sd)
        self._push(now_ms + delay, course, task)

    def _decide(self, course: Course, task: Decide, now_ms: int) -> list[Happening]:
        if task.level is None:
            course.is_over = True
            course.due.clear()
            return self._order(course, prescriber.stop(now_ms), task.reason, now_ms)
        decision = prescriber.decide_on_level(
            task.level,
            course.level,
            course.order,
            now_ms=now_ms,
            no_bolus=course.no_bolus,
            nomogram=self.nomogram,
            prescriber=self.protocol.prescriber,
            nurse=self.protocol.nurse,
            settled_h=self.protocol.calendar.settled_h,
        )
        course.level = task.level
        course.due["level"] = decision.recheck_ms
        self._plan_visit(course, now_ms)
        return self._order(course, decision.steps, decision.reason, now_ms)

    def _order(
        self, course: Course, steps: tuple[Step, ...], reason: str, now_ms: int
    ) -> list[Happening]:
        """A new version of the order, and the nurse on the way to the pump."""
        if not steps:
            return []
        old_iu_h = ordered_rate_iu_h(course.order.prescription, now_ms)
        course.order = next_version(course.order, *steps)
        version = course.order.prescription.version
        for planned in nurse.carry_out(
            course.order,
            steps,
            now_ms=now_ms,
            old_iu_h=old_iu_h,
            nurse=self.protocol.nurse,
            slips=self.protocol.slips,
            chance=course.chance.of("apply", version),
        ):
            self._push(planned.at_ms, course, Perform(planned, version))
        return [
            Ordered(
                at_ms=now_ms, index=course.index, version=course.order, steps=steps, reason=reason
            )
        ]

    def _perform(self, course: Course, task: Perform, now_ms: int) -> list[Happening]:
        """Whoever is at the pump goes by the newest order: what is superseded is not done."""
        act = task.planned.act
        is_old = task.version < course.order.prescription.version
        if (is_old and not isinstance(act, Resume)) or (course.is_over and isinstance(act, Resume)):
            return []
        if isinstance(act, SetRate | End | None):
            course.is_wrong = task.planned.slip in nurse.LASTING
        return [
            Applied(
                at_ms=now_ms,
                index=course.index,
                order_version=task.version,
                act=act,
                slip=task.planned.slip,
            )
        ]

    # --- bleeding ------------------------------------------------------------------------------

    def _hear_of(self, bleeding: Bleeding) -> None:
        course = self._courses.get(bleeding.index)
        if course is None:
            return
        course.bleedings += 1
        rules = self.protocol.prescriber
        chance = course.chance.of("notice", course.bleedings)
        delay = delay_ms(chance, rules.notice_median_h * 60.0, rules.notice_log_sd)
        self._push(bleeding.at_ms + delay, course, Notice(bleeding))

    def _notice(self, course: Course, task: Notice, now_ms: int) -> list[Happening]:
        """A call, and blood is drawn at once and later again; a level if none is on its way."""
        course.recheck(now_ms, self.protocol.calendar)
        if "level" in course.due:
            course.due["level"] = now_ms
        self._plan_visit(course, now_ms)
        is_bruise = task.bleeding.g_dl_day < _BRUISE_G_DL_DAY
        return [
            Reported(
                at_ms=now_ms,
                index=course.index,
                therapy=course.order.prescription.therapy,
                what="bruising" if is_bruise else "bleeding",
            )
        ]

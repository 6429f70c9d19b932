"""A fleet of pumps on one clock: physics in arrays, machines one by one, everything in order.

The clock is a grid of `step_s` from the start. In each step physics moves all pumps on at once;
then the pumps that came to a mark react, then what the scenario has due is done, then the pumps
whose interval is over report. All of that has the time of the grid point. A fleet holds no other
clock and no other chance than its seed, so that its output depends on its arguments alone and
not on how `advance` is called.
"""

import heapq
from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from infusion.errors import ConfigError
from infusion.library import DrugEntry
from infusion.messages import Kind, Topic, encode
from infusion.prescription import Prescription
from infusion.truth import Truth
from infusion.units import MS_PER_SECOND, nanolitres, round_dose_iu
from simulator import fault_book
from simulator.care import MINUTE_MS, Care, Guideline
from simulator.carer import Attendance, Carer
from simulator.cohort import draw_cohort
from simulator.conditions import refresh
from simulator.deeds import carry_out
from simulator.machine import Mode
from simulator.patients import Patients
from simulator.physics import step
from simulator.profile import Profile
from simulator.programming import Behaviour
from simulator.report import report
from simulator.rig import Rig
from simulator.story.patient_events import BEFALLS
from simulator.story.plan import (
    Announce,
    Begin,
    Deed,
    Due,
    OrderVersion,
    first_orders,
    next_version,
    patients_of,
    schedule,
)
from simulator.story.scenario import Header, Scenario
from simulator.story.ward_file import WardFile
from simulator.stream import Connect, Disconnect, Outgoing, Output
from simulator.unit import Unit
from simulator.wire import Wire

# The sessions that are no pump's.
EHR_SESSION = "ehr"
TRUTH_SESSION = "truth"


class PumpSummary(Struct, frozen=True, kw_only=True):
    """How one pump stands: volumes in truth, dose against order, mode and alarms.

    `pumped_ml = held_ml + patient_ml + lost_ml`; `counted_ml` is what the pump counted.
    `delivered_iu` is what was pumped, each bag with what it really holds. `dropped` counts
    messages that its backlog had no room for.
    """

    pumped_ml: float
    held_ml: float
    patient_ml: float
    lost_ml: float
    counted_ml: float
    delivered_iu: float
    prescribed_iu: float
    rate_ml_h: float
    state: Mode
    alarms: tuple[str, ...]
    connected: bool
    dropped: int


class Fleet:
    """A seeded fleet that runs a scenario; `advance` gives what it says, in order of time."""

    def __init__(
        self,
        scenario: Scenario,
        profile: Profile,
        *,
        profiles: Mapping[str, Profile] | None = None,
        pumps: int,
        start_ms: int,
        seed: int,
        interval_s: float = 10.0,
        step_s: float = 1.0,
        site: str = "home",
        truth: bool = False,
        guideline: Guideline | None = None,
        library: DrugEntry | None = None,
    ) -> None:
        """A fleet that has not begun; its first `advance` connects it and starts every pump.

        A pump whose patient names no key of `profiles` is a `profile`.

        Raises ConfigError where the scenario names a pump beyond `pumps`, where an order makes no
        sense, or where `interval_s` is no multiple of `step_s`.
        """
        step_ms, interval_ms = _grid_ms(step_s, interval_s)
        described = patients_of(scenario, pumps)
        cohort = draw_cohort(profile, pumps, seed, described, profiles)
        orders = first_orders(cohort.assignments, start_ms)
        self.scenario = scenario
        self.start_ms = start_ms
        self.now_ms = start_ms
        self._site = site
        self._truth = truth
        self._step_ms = step_ms
        self._rig = Rig(
            cohort,
            orders,
            site=site,
            interval_s=interval_s,
            behaviour=_behaviour(scenario.header),
            library=library,
        )
        self._care = Care(
            self._rig,
            described,
            guideline,
            seed=seed,
            start_ms=start_ms,
            say_order=self._say_order,
            session=EHR_SESSION,
        )
        self._due = schedule(scenario, orders, start_ms)
        self._due_number = len(self._due)
        self._attendance = self._attend(scenario.ward, seed)
        self._groups = _groups(cohort.phases, interval_ms // step_ms)
        self._has_begun = False
        self._by_name = {unit.pump.name: unit for unit in self._rig.units}
        self._said: list[Output] = []
        self.wire = Wire(seed, start_ms, scenario, pumps)
        # An order that chance drew or a file gave must fit into the pump.
        for unit in self._rig.units:
            self._check_rate(unit)

    def _attend(self, ward: WardFile | None, seed: int) -> Attendance | None:
        """Whoever answers alarms, if the scenario has somebody."""
        if ward is None:
            return None
        attendance = Attendance(Carer(ward, seed=seed), self.start_ms, self._plan)
        self._rig.on_alarm = attendance.alarm_begins
        return attendance

    def count_boots_from(self, boot: int) -> None:
        """Let the first boot of every pump be this one, above 0; only before the fleet begins.

        A pump counts its boots over its whole life, and who knows an earlier run takes boot and
        seq that come again for duplicates.
        """
        assert not self._has_begun, "boots are counted from before the first one"
        assert boot > 0, "boots are counted from 1"
        for unit in self._rig.units:
            unit.pump.boot = boot - 1

    def forget_voices(self) -> None:
        """Let every pump be read and told one by one the next time; what it says is the same."""
        for unit in self._rig.units:
            self._rig.voices.take(unit)

    @property
    def rig(self) -> Rig:
        """The pumps themselves, for whoever grades a monitor by what truly happened."""
        return self._rig

    @property
    def patients(self) -> Patients:
        """The patients on the pumps, for the same."""
        return self._care.patients

    @property
    def refused(self) -> int:
        """How many actions came to a pump in a mode that has no use for them."""
        return self._rig.refused

    def advance(self, to_ms: int) -> list[Output]:
        """Run up to the last grid point at or before `to_ms`; what was said, in order of time."""
        if not self._has_begun and to_ms >= self.start_ms:
            self._begin()
        while self.now_ms + self._step_ms <= to_ms:
            self.now_ms += self._step_ms
            self._step()
        said, self._said = self._said, []
        return said

    def close(self) -> list[Output]:
        """The end of the whole simulation: every pump tells where it stands, and says goodbye.

        Without the last telemetry, what was pumped since the one before would never be known.
        """
        for unit in self._rig.units:
            if unit.is_connected and unit.is_powered:
                readings = self._rig.readings(unit)
                self._rig.tell(unit, (unit.pump.telemetry(readings, self._rig.device_ms(unit)),))
            self._rig.link_down(unit, clean=True)
        if self._has_begun:
            self._rig.say(Disconnect(EHR_SESSION, self.now_ms, clean=True))
            if self._truth:
                self._rig.say(Disconnect(TRUTH_SESSION, self.now_ms, clean=True))
            self._has_begun = False
        return self.wire.close(self._rig.take(), self.now_ms)

    def current_orders(self) -> list[Outgoing]:
        """Every order as it stands, for a monitor that was not there when it was announced."""
        return [self._order_message(unit.order.prescription) for unit in self._rig.units]

    def summary(self) -> dict[str, PumpSummary]:
        """How each pump stands, by name, in order."""
        return {unit.pump.name: self._summary(unit) for unit in self._rig.units}

    def _summary(self, unit: Unit) -> PumpSummary:
        state, index = self._rig.state, unit.index
        pumped = float(state.pumped_ml[index])
        return PumpSummary(
            pumped_ml=pumped,
            held_ml=float(state.held_ml[index]),
            patient_ml=float(state.patient_ml[index]),
            lost_ml=float(state.lost_ml[index]),
            counted_ml=float(state.counted_ml[index]),
            delivered_iu=round_dose_iu(unit.bag.dose_iu(nanolitres(pumped))),
            prescribed_iu=round_dose_iu(unit.order.timeline.dose_until_iu(self.now_ms)),
            rate_ml_h=unit.pump.settings.rate_ml_h,
            state=unit.pump.mode,
            alarms=unit.pump.alarms,
            connected=unit.is_connected,
            dropped=unit.backlog.dropped,
        )

    def _begin(self) -> None:
        """The EHR connects and announces every order, then all pumps boot and start."""
        self._has_begun = True
        rig = self._rig
        rig.now_ms = self.start_ms
        rig.say(Connect(EHR_SESSION, self.start_ms))
        for order in self.current_orders():
            rig.say(order)
        if self._truth:
            rig.say(Connect(TRUTH_SESSION, self.start_ms))
        for unit in rig.units:
            rig.boot_done(unit, resume=True)
        self._do_what_is_due()
        self._send()

    def _step(self) -> None:
        rig = self._rig
        rig.now_ms = self.now_ms
        flags = step(rig.state, self._step_ms / MS_PER_SECOND)
        for index in flags.nonzero()[0].tolist():
            rig.look(rig.units[index])
        rig.wake()
        self._do_what_is_due()
        for unit in list(rig.changing):
            refresh(rig, unit)
        if (self.now_ms - self.start_ms) % MINUTE_MS == 0:
            self._care.advance(self.now_ms)
        self._report()
        self._send()

    def _send(self) -> None:
        """Let the wire carry what was said, and book the faults of the wire that are over."""
        self._said += self.wire.carry(self._rig.take(), self.now_ms)
        for record in self.wire.take_ended():
            fault_book.end(self._rig, self._by_name[record.pump], record.fault, record.touched)

    def _do_what_is_due(self) -> None:
        while self._due and self._due[0].at_ms <= self.now_ms:
            due = heapq.heappop(self._due)
            unit = self._rig.units[due.pump]
            if isinstance(due.deed, Announce):
                self._announce(unit, due.deed.order)
            elif isinstance(due.deed, Begin) and type(due.deed.entry) in BEFALLS:
                self._care.befall(unit, due.deed.entry)
            else:
                self._carry_out(unit, due.deed)

    def _carry_out(self, unit: Unit, deed: Deed) -> None:
        """Do a deed, and plan what follows from it; a carer's visit is several deeds."""
        deeds = [deed] if self._attendance is None else self._attendance.turn(unit, deed)
        for each in deeds:
            later = carry_out(self._rig, unit, each)
            if later is not None:
                after_ms, what = later
                self._plan(unit, self.now_ms + after_ms, what)

    def _announce(self, unit: Unit, order: OrderVersion) -> None:
        """The order that a scenario planned; after one by the clinic it is a version later."""
        planned, now = order.prescription, unit.order.prescription
        is_next = planned.version == now.version + 1
        unit.order = order if is_next else next_version(unit.order, planned.steps[-1])
        self._say_order(unit)
        self._care.order_changed(unit)

    def _say_order(self, unit: Unit) -> None:
        self._rig.say(self._order_message(unit.order.prescription))

    def _plan(self, unit: Unit, at_ms: int, deed: Deed) -> None:
        due = Due(at_ms, self._due_number, unit.index, deed)
        self._due_number += 1
        heapq.heappush(self._due, due)

    def _report(self) -> None:
        """Telemetry of the pumps whose interval is over, unless they have just told everything."""
        rig = self._rig
        number = (self.now_ms - self.start_ms) // self._step_ms
        group = self._groups[number % len(self._groups)]
        report(rig, group)
        if self._truth:
            for index in group.tolist():
                self._tell_truth(rig.units[index])

    def _tell_truth(self, unit: Unit) -> None:
        state, index = self._rig.state, unit.index
        truth = Truth(
            pump=unit.pump.name,
            time_ms=self.now_ms,
            pumped_ml=float(state.pumped_ml[index]),
            held_ml=float(state.held_ml[index]),
            patient_ml=float(state.patient_ml[index]),
            lost_ml=float(state.lost_ml[index]),
            counted_ml=float(state.counted_ml[index]),
            patient_iu=round_dose_iu(self._rig.meter.dose_iu(index)),
            level_iu_ml=round(float(self._care.patients.level_iu_ml[index]), 4),
            faults=tuple(fault.fault for fault in unit.faults),
            ended=unit.ended,
        )
        unit.ended = ()
        topic = unit.topic(Kind.TRUTH)
        message = Outgoing(TRUTH_SESSION, topic, encode(truth), 0, False, self.now_ms, Kind.TRUTH)
        self._rig.say(message)

    def _order_message(self, prescription: Prescription) -> Outgoing:
        topic = str(Topic(Kind.ORDER, self._site, prescription.therapy))
        payload = encode(prescription)
        return Outgoing(EHR_SESSION, topic, payload, 1, False, self.now_ms, Kind.ORDER)

    def _check_rate(self, unit: Unit) -> None:
        """Raises ConfigError where the first order is beyond what the pump can deliver."""
        prescription = unit.order.prescription
        ordered = unit.order.timeline.rate_iu_h(self.start_ms) / prescription.concentration_iu_ml
        limit = unit.pump.profile.rate_max_ml_h
        if ordered > limit:
            raise ConfigError(
                f"{self.scenario.name}: [[patient]] {prescription.pump}: the dose needs "
                f"{ordered:.1f} mL/h, but the pump gives at most {limit:g}"
            )


def _grid_ms(step_s: float, interval_s: float) -> tuple[int, int]:
    """Step and interval in ms. Raises ConfigError where one is no multiple of the other."""
    step_ms = round(step_s * MS_PER_SECOND)
    interval_ms = round(interval_s * MS_PER_SECOND)
    if step_ms < 1 or interval_ms < step_ms or interval_ms % step_ms:
        raise ConfigError(
            f"interval_s = {interval_s:g} is no multiple of step_s = {step_s:g}; "
            "give, for example, interval_s = 10 and step_s = 1"
        )
    return step_ms, interval_ms


def _behaviour(header: Header) -> Behaviour:
    return Behaviour(
        double_check=header.double_check,
        restarts_max=header.auto_restarts,
        near_end_min=header.near_end_min,
    )


def _groups(
    phases: tuple[int, ...], intervals: int
) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The pumps that report at each step of an interval: spread out, so that load is even."""
    phase = np.array(phases, dtype=np.int64) % intervals
    return [np.flatnonzero(phase == number) for number in range(intervals)]

"""What really went on in a fleet, minute by minute: a trial's ground truth.

Read from the simulator's own arrays and machines, never from messages. What moves all the time
(doses, level in the blood, bag, battery) is kept in arrays; what changes now and then (mode,
programming, connection, faults in force) as a list of changes for each pump.
"""

from typing import Any

import numpy as np
from msgspec import Struct, field

from infusion.clinical import LabResult, Report
from infusion.errors import MessageError
from infusion.messages import Event, Kind, decode, parse_topic
from infusion.prescription import Timeline
from infusion.units import MS_PER_MINUTE, NL_PER_ML
from simulator.fleet import Fleet
from simulator.machine import DELIVERING, Mode
from simulator.physics import Floats
from simulator.stream import Outgoing
from simulator.unit import Unit

SAMPLE_MS = MS_PER_MINUTE
EVENTS_MAX = 20_000


class Standing(Struct, frozen=True):
    """How a pump stands, as far as it does not move by itself. Rates are as programmed."""

    mode: Mode
    rate_ml_h: float
    concentration_iu_ml: float
    weight_kg: float
    is_outside_library: bool
    is_connected: bool
    on_mains: bool
    bag_since_nl: int
    alarms: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def is_delivering(self) -> bool:
        """Whether it gives what it is programmed to; keeping a vein open is not that."""
        return self.mode in DELIVERING and self.mode is not Mode.KVO

    @property
    def programmed_iu_h(self) -> float:
        """The dose rate that it is programmed to, by its own knowledge of the bag."""
        return self.rate_ml_h * self.concentration_iu_ml


class Track(Struct):
    """The truth of one pump. Arrays have one value for each of `times_ms`.

    `standings` are (number of the sample, how it stood from there on). `alarms`, `events`,
    `results` and `reports` have the time at which they came to be on the fleet's clock. `faults`
    are (word, begin, end) of each that the story had in force, to the step and not to the minute.
    `pumped_ml` is what left the mechanism, whatever became of it behind the pump.
    """

    weight_kg: float
    times_ms: Any
    pumped_ml: Any
    patient_iu: Any
    level_iu_ml: Any
    reservoir_ml: Any
    battery_min: Any
    vtbi_ml: Any
    timeline: Timeline
    standings: list[tuple[int, Standing]]
    alarms: list[tuple[int, str]] = field(default_factory=list)
    events: list[tuple[int, Event]] = field(default_factory=list)
    results: list[tuple[int, LabResult]] = field(default_factory=list)
    reports: list[tuple[int, Report]] = field(default_factory=list)
    faults: list[tuple[str, int, int]] = field(default_factory=list)


class TruthLog:
    """Keeps the truth of a fleet while it runs."""

    def __init__(self, fleet: Fleet, samples: int) -> None:
        """Room for `samples` samples."""
        units = fleet.rig.units
        shape = (samples, len(units))
        self.unread = 0
        self._fleet = fleet
        self._number = 0
        self._times_ms = np.zeros(samples, dtype=np.int64)
        self._pumped_ml = np.zeros(shape)
        self._patient_iu = np.zeros(shape)
        self._level = np.zeros(shape, dtype=np.float32)
        self._reservoir_ml = np.zeros(shape, dtype=np.float32)
        self._battery_min = np.zeros(shape, dtype=np.float32)
        # What is left of the volume to be infused; infinite where there is no limit.
        self._vtbi_ml = np.full(shape, np.inf, dtype=np.float32)
        self._standings: list[list[tuple[int, Standing]]] = [[] for _ in units]
        self._last: list[tuple[object, ...]] = [() for _ in units]
        self._alarms: list[list[tuple[int, str]]] = [[] for _ in units]
        self._events: dict[str, list[tuple[int, Event]]] = {unit.pump.name: [] for unit in units}
        self._results: dict[str, list[tuple[int, LabResult]]] = {}
        self._reports: dict[str, list[tuple[int, Report]]] = {}

    def alarm(self, unit: Unit, alarm: str, now_ms: int) -> None:
        """An alarm of a pump begins."""
        self._alarms[unit.index].append((now_ms, alarm))

    def note(self, output: Outgoing, now_ms: int) -> None:
        """Something was said that is neither telemetry nor presence."""
        if output.kind not in (Kind.EVENT, Kind.LAB, Kind.REPORT):
            return
        try:
            message = decode(parse_topic(output.topic), output.payload)
        except MessageError:
            # A planted fault has damaged it: nobody can read it, so nothing came of it.
            self.unread += 1
            return
        if isinstance(message, Event):
            events = self._events.get(message.pump)
            if events is not None and len(events) < EVENTS_MAX:
                events.append((now_ms, message))
        elif isinstance(message, LabResult):
            self._results.setdefault(message.therapy, []).append((now_ms, message))
        elif isinstance(message, Report):
            self._reports.setdefault(message.therapy, []).append((now_ms, message))

    def sample(self) -> None:
        """Look at all pumps now; there must be room."""
        fleet, number = self._fleet, self._number
        rig, state = fleet.rig, fleet.rig.state
        self._number += 1
        self._times_ms[number] = fleet.now_ms
        self._pumped_ml[number] = state.pumped_ml
        self._patient_iu[number] = rig.meter.doses_iu()
        self._level[number] = fleet.patients.level_iu_ml
        self._reservoir_ml[number] = state.empty_at_ml - state.pumped_ml
        self._battery_min[number] = _minutes(state.battery, state.battery_slope)
        lasts, counted_ml = self._last, state.counted_ml.tolist()
        vtbi_ml = self._vtbi_ml[number]
        for index, unit in enumerate(rig.units):
            pump = unit.pump
            settings = pump.settings
            if pump.vtbi_at_nl is not None:
                vtbi_ml[index] = pump.vtbi_at_nl / NL_PER_ML - counted_ml[index]
            stands = (
                pump.mode,
                settings,
                pump.is_outside_library,
                unit.is_connected,
                unit.on_mains,
                unit.bag.since_nl,
                pump.alarms,
                unit.faults,
            )
            if stands != lasts[index]:
                lasts[index] = stands
                self._standings[index].append((number, _standing(unit)))

    def track(self, index: int) -> Track:
        """All that is known of one pump."""
        unit, number = self._fleet.rig.units[index], self._number
        order = unit.order
        therapy = order.prescription.therapy
        return Track(
            weight_kg=order.prescription.weight_kg,
            times_ms=self._times_ms[:number],
            pumped_ml=self._pumped_ml[:number, index],
            patient_iu=self._patient_iu[:number, index],
            level_iu_ml=self._level[:number, index],
            reservoir_ml=self._reservoir_ml[:number, index],
            battery_min=self._battery_min[:number, index],
            vtbi_ml=self._vtbi_ml[:number, index],
            timeline=order.timeline,
            standings=self._standings[index],
            alarms=self._alarms[index],
            events=self._events[unit.pump.name],
            results=self._results.get(therapy, []),
            reports=self._reports.get(therapy, []),
            faults=_faults(unit, self._fleet.now_ms),
        )


def _faults(unit: Unit, now_ms: int) -> list[tuple[str, int, int]]:
    """Every fault that was or is in force: nobody is told the truth here, so none is cleared."""
    over = [(fault.fault, fault.onset_ms, fault.end_ms) for fault in unit.ended]
    return sorted([*over, *((fault.fault, fault.onset_ms, now_ms) for fault in unit.faults)])


def _minutes(battery: Floats, slope: Floats) -> Floats:
    """Run time of each pump's battery; a very long one while it is charged."""
    left: Floats = np.full(len(battery), 1e6)
    falls = slope < 0
    left[falls] = battery[falls] / (-slope[falls] * MS_PER_MINUTE)
    return left


def _standing(unit: Unit) -> Standing:
    pump, settings = unit.pump, unit.pump.settings
    return Standing(
        mode=pump.mode,
        rate_ml_h=settings.rate_ml_h,
        concentration_iu_ml=settings.concentration_iu_ml,
        weight_kg=settings.weight_kg,
        is_outside_library=pump.is_outside_library,
        is_connected=unit.is_connected,
        on_mains=unit.on_mains,
        bag_since_nl=unit.bag.since_nl,
        alarms=pump.alarms,
        faults=tuple(fault.fault for fault in unit.faults),
    )

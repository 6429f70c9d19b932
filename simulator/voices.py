"""What each pump would say if nothing but time had passed since it spoke last.

Most of what a fleet says is telemetry of pumps to which nothing has happened. Such a pump has a
voice: its last telemetry as a template, and in arrays what its counters are counted from. Whatever
happens to a pump takes its voice away until it has told everything anew, and so does whatever makes
its sensors or its connection special.
"""

import numpy as np

from infusion.messages import Kind, Telemetry
from simulator.clock import RIGHT
from simulator.physics import State
from simulator.pump import Pump
from simulator.template import template_of
from simulator.unit import Unit


class Voice:
    """One pump's own words, its topic, and the pump, whose sequence numbers go on."""

    __slots__ = ("pump", "template", "topic")

    def __init__(self, pump: Pump, template: bytes, topic: str) -> None:
        self.pump = pump
        self.template = template
        self.topic = topic


class Voices:
    """The voices of a fleet by index, None for a pump that has to be read and told one by one.

    The arrays have shape (n,): volumes on the counted axis in nanolitres at which the counter and
    the segment began and the VTBI ends (where there is none, minus infinity), and 1 or 0 for
    delivering or not.
    """

    def __init__(self, state: State) -> None:
        """A fleet that has not said anything."""
        size = len(state.counted_ml)
        self.of: list[Voice | None] = [None] * size
        self.counter_from_nl = np.zeros(size)
        self.segment_from_nl = np.zeros(size)
        self.vtbi_at_nl = np.full(size, -np.inf)
        self.delivers = np.zeros(size)
        self._state = state

    def take(self, unit: Unit) -> None:
        """Something happened to a pump."""
        self.of[unit.index] = None

    def give(self, unit: Unit, telemetry: Telemetry) -> None:
        """A pump has just told everything; it keeps these words unless it is special."""
        index, pump = unit.index, unit.pump
        if not self._is_ordinary(unit):
            self.of[index] = None
            return
        self.counter_from_nl[index] = pump.counter_from_nl
        self.segment_from_nl[index] = pump.segment_from_nl
        self.vtbi_at_nl[index] = -np.inf if pump.vtbi_at_nl is None else pump.vtbi_at_nl
        self.delivers[index] = pump.is_delivering
        self.of[index] = Voice(pump, template_of(telemetry), unit.topic(Kind.TELEMETRY))

    def _is_ordinary(self, unit: Unit) -> bool:
        """Whether its sensors are sound, its clock right and its way to the broker open."""
        state, index = self._state, unit.index
        return (
            unit.is_connected
            and unit.is_powered
            and not unit.silences
            and unit.clock is RIGHT
            and unit.pump.frozen_at_nl is None
            and index not in state.air
            and index not in state.siphons
            and index not in state.stuck_mmhg
            and index not in state.stuck_ml
            and index not in state.stuck_flow
        )

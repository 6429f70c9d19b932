"""The pumps of a fleet with their lines, bags, batteries and connections, at one instant.

`Rig` joins the arrays of simulator/physics/ to the machines of simulator/operation.py: it reads
physics for a pump, lets the machine act, tells physics what the machine wants now, and puts what
the pump says on its connection, or into its backlog while that is down.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from infusion.library import DrugEntry
from infusion.messages import Event, Kind, Telemetry, encode
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, nanolitres
from simulator.cohort import Cohort
from simulator.dose_meter import DoseMeter
from simulator.keypad import press
from simulator.machine import Happening, Mode
from simulator.operation import Said, handle, note
from simulator.physics.power import battery_slope_per_ms, minutes_left
from simulator.programming import Behaviour
from simulator.pump import Happened, Pump, Readings
from simulator.senses import sense
from simulator.story.plan import Deed, OrderVersion
from simulator.stream import Connect, Disconnect, Outgoing, Output
from simulator.template import numbers_of, template_of
from simulator.unit import Unit, make_unit
from simulator.voices import Voices

INFINITY = float("inf")

DEFAULT_BEHAVIOUR = Behaviour()
# GIP 1.7: settings are kept for 4 hours without power; here for no longer.
SETTINGS_KEPT_MS = 4 * MS_PER_HOUR

# What a deed asks to have done later: (after how many ms, what).
Later = tuple[int, Deed] | None
Performer = Callable[["Rig", "Unit", Any], Later]


class Rig:
    """All units, the physics under them, and what they have said since `take`."""

    def __init__(
        self,
        cohort: Cohort,
        orders: list[OrderVersion],
        *,
        site: str,
        interval_s: float,
        behaviour: Behaviour = DEFAULT_BEHAVIOUR,
        library: DrugEntry | None = None,
    ) -> None:
        """A fleet at rest, booting, nothing connected."""
        self.now_ms = 0
        self.refused = 0
        self.faults_forgotten = 0
        self.site = site
        self.state = cohort.state()
        # The units whose conditions change by themselves; only they are looked at in each step.
        self.changing: list[Unit] = []
        # When pumps have something to do by themselves: (time, index), the next one first.
        self._wakes: list[tuple[int, int]] = []
        self.units = [
            make_unit(
                cohort.profiles[assignment.kind],
                index,
                assignment,
                order,
                site,
                interval_s,
                behaviour,
                library,
            )
            for index, (assignment, order) in enumerate(
                zip(cohort.assignments, orders, strict=True)
            )
        ]
        for unit in self.units:
            self.sync(unit)
        held = [assignment.concentration_iu_ml for assignment in cohort.assignments]
        self.voices = Voices(self.state)
        self.meter = DoseMeter(self.state, np.array(held))
        # What has been said since `take`, in order of time.
        self.out: list[Output] = []
        # Called with the unit, the alarm and the time when an alarm of a pump begins.
        self.on_alarm: Callable[[Unit, str, int], object] | None = None

    def take(self) -> list[Output]:
        """What has been said since the last call, in order of time."""
        out, self.out = self.out, []
        return out

    def say(self, output: Output) -> None:
        """Put one value out."""
        self.out.append(output)

    # --- machine and physics ---------------------------------------------------------------------

    def readings(self, unit: Unit) -> Readings:
        """What the sensors of one pump say now; `physics/` knows what they are stuck at."""
        state, index, profile = self.state, unit.index, unit.pump.profile
        has = profile.alarms
        reservoir = state.reservoir_ml(index)
        pressure = state.sensed_mmhg(index)
        battery = float(state.battery[index])
        air = state.air.get(index)
        return Readings(
            counted_ml=float(state.counted_ml[index]),
            reservoir_ml=reservoir,
            pressure_mmhg=pressure,
            flow_ml_h=state.flow_ml_h(index),
            drive_ml_h=float(state.drive_ml_h[index]),
            battery=battery,
            battery_left_min=minutes_left(battery, float(state.battery_slope[index])),
            on_mains=unit.on_mains,
            air_ul=air.seen_ul if air else 0.0,
            is_occluded=bool(state.over_s[index] >= state.filter_s(index)),
            is_starved="upstream-occlusion" in has and state.is_starved(index),
            is_line_open=pressure < 0.5 * state.limit_mmhg(index),
            has_air="air-in-line" in has and air is not None and air.is_over,
            runs_free="free-flow" in has and state.runs_free(index),
            is_empty="reservoir-empty" in has and reservoir <= 0.0,
            is_low="reservoir-low" in has and reservoir <= profile.reservoir_low_ml,
            is_overheated=state.ambient_c(index) >= profile.overheat_c,
        )

    def happen(self, unit: Unit, happened: Happened) -> None:
        """Let something happen to a pump; what its mode has no row for is counted as refused."""
        self._done(unit, handle(unit.pump, happened, self.readings(unit), self.device_ms(unit)))

    def press(self, unit: Unit, happened: Happened) -> None:
        """Somebody presses keys, as far as the pump's keypad lets them."""
        if happened.what is Happening.START:
            self.state.missed_ml[unit.index] = 0.0
        self._done(unit, press(unit.pump, happened, self.readings(unit), self.device_ms(unit)))

    def use(self, unit: Unit, key: Callable[..., Said], *details: str, **more: bool) -> None:
        """Somebody uses a key of simulator/keypad.py that is no happening of its own."""
        said = key(unit.pump, *details, self.readings(unit), self.device_ms(unit), **more)
        self._done(unit, said)

    def _done(self, unit: Unit, said: Said) -> None:
        self.refused += not said and unit.is_powered
        self.sync(unit)
        self.tell(unit, said)

    def wake(self) -> None:
        """Look at the pumps whose own timers are due."""
        while self._wakes and self._wakes[0][0] <= self.now_ms:
            at_ms, index = heapq.heappop(self._wakes)
            unit = self.units[index]
            if unit.wake_ms == at_ms:
                unit.wake_ms = None
                self.look(unit)

    def look(self, unit: Unit) -> None:
        """Let a pump react to what physics says, be it only that the battery is flat."""
        if not unit.is_powered:
            return
        if not unit.on_mains and self.state.battery[unit.index] <= 0:
            self.power_fails(unit)
            return
        was_occluded = "downstream-occlusion" in unit.pump.alarms
        said = sense(unit.pump, self.readings(unit), self.device_ms(unit))
        if not was_occluded and "downstream-occlusion" in unit.pump.alarms:
            self.state.back_off(unit.index)
        self.sync(unit)
        self.tell(unit, said)

    def sync(self, unit: Unit) -> None:
        """Tell physics what the machine wants, and where its next marks are."""
        state, index, pump = self.state, unit.index, unit.pump
        if pump.drive_ml_h > 0 and state.drive_ml_h[index] == 0:
            state.restart(index)
        state.drive_ml_h[index] = pump.drive_ml_h
        state.stop_at_ml[index] = pump.stop_at_ml
        self._mark_reservoir(unit)
        drains = unit.on_mains or unit.pump.mode is not Mode.OFF
        slope = battery_slope_per_ms(
            pump.profile,
            on_mains=unit.on_mains,
            rate_ml_h=pump.drive_ml_h,
            health=unit.battery_health,
            temperature_c=state.ambient_c(index),
        )
        state.battery_slope[index] = slope if drains else 0.0
        state.battery_watch[index] = self._battery_watch(unit)

        at_ms = pump.wake_at_ms
        if at_ms is not None:
            # The pump counts on its own clock. What is due already is looked at in the next step,
            # never twice in one.
            at_ms = self.now_ms + max(1, at_ms - self.device_ms(unit))
            if unit.wake_ms is None or at_ms < unit.wake_ms:
                unit.wake_ms = at_ms
                heapq.heappush(self._wakes, (at_ms, index))

    def _mark_reservoir(self, unit: Unit) -> None:
        """Where the level is low, by the counter or by a gauge that measures, and where it ends."""
        state, index, alarms = self.state, unit.index, unit.pump.alarms
        is_told = "reservoir-low" in alarms or "reservoir-empty" in alarms
        low_ml = unit.pump.profile.reservoir_low_ml
        low_at = float(state.gauge_empty_at_ml[index]) - low_ml
        state.low_at_ml[index] = INFINITY if is_told else low_at
        if not state.is_weighed[index]:
            return
        if index in state.stuck_ml or "reservoir-empty" in alarms:
            state.weighed_mark_ml[index] = INFINITY
        else:
            left_ml = 0.0 if is_told else low_ml
            state.weighed_mark_ml[index] = float(state.empty_at_ml[index]) - left_ml

    def device_ms(self, unit: Unit) -> int:
        """The time now on the pump's own clock."""
        return unit.clock.device_ms(self.now_ms)

    def _battery_watch(self, unit: Unit) -> float:
        if unit.on_mains or not unit.is_powered:
            return -1.0
        if "battery-depleted" in unit.pump.alarms:
            return 0.0
        is_low = "battery-low" in unit.pump.alarms
        profile = unit.pump.profile
        minutes = profile.battery_depleted_min if is_low else profile.battery_low_min
        return -minutes * MS_PER_MINUTE * float(self.state.battery_slope[unit.index])

    # --- power -----------------------------------------------------------------------------------

    def boot_done(self, unit: Unit, *, resume: bool, fails: bool = False) -> None:
        """The self-test is over: a new boot, on the air, going on or waiting, or failed."""
        pump = unit.pump
        is_cleared = self._loses_settings(pump)
        readings = self.readings(unit)
        pump.on_mains = unit.on_mains
        if fails:
            happened = Happened(Happening.SELF_TEST_FAILED, alarm="system-malfunction")
        elif resume and not is_cleared and not pump.is_door_open:
            happened = Happened(Happening.BOOTED_GOING_ON)
        else:
            happened = Happened(Happening.BOOTED)
        said = handle(pump, happened, readings, self.device_ms(unit))
        if is_cleared:
            cleared = note("MDC_EVT_PUMP_PROG_CLEARED", "too long without power")
            said += handle(pump, cleared, readings, self.device_ms(unit))
        self.sync(unit)
        self.link_up(unit)
        self.tell(unit, said)

    def _loses_settings(self, pump: Pump) -> bool:
        """What was programmed is gone when the pump had no power for too long."""
        since_ms, pump.unpowered_ms = pump.unpowered_ms, None
        if since_ms is None:
            return False
        boot_ms = round(pump.profile.boot_s * 1000)
        if self.now_ms - boot_ms - since_ms <= SETTINGS_KEPT_MS:
            return False
        pump.forget_settings()
        return True

    def malfunction(self, unit: Unit) -> None:
        """The electronics fail: the pump stops, and only off and on again helps."""
        self.happen(unit, Happened(Happening.MALFUNCTION, alarm="system-malfunction"))

    def switch_off(self, unit: Unit) -> None:
        """Somebody switches the pump off: it says so and says goodbye."""
        self.happen(unit, Happened(Happening.POWER_OFF))
        self.link_down(unit, clean=True)

    def power_fails(self, unit: Unit) -> None:
        """The battery is flat or out. The end of delivery is still told, the goodbye is not."""
        unit.pump.unpowered_ms = self.now_ms
        self.happen(unit, Happened(Happening.POWER_OFF))
        self.link_down(unit, clean=False)

    # --- connection ------------------------------------------------------------------------------

    def link_up(self, unit: Unit) -> None:
        """Connect if nothing is in the way: presence first, then what had to wait."""
        if unit.is_connected or unit.offline_faults or not unit.is_powered:
            return
        unit.is_connected = True
        will = encode(unit.pump.presence(self.device_ms(unit), is_online=False))
        self.say(Connect(unit.pump.name, self.now_ms, unit.topic(Kind.PRESENCE), will))
        self._say_presence(unit, is_online=True)
        self.send_backlog(unit)

    def link_down(self, unit: Unit, *, clean: bool) -> None:
        """Disconnect: with a goodbye and presence offline, or without, so that the will goes."""
        if not unit.is_connected:
            return
        if clean:
            self._say_presence(unit, is_online=False)
        unit.is_connected = False
        self.voices.take(unit)
        self.say(Disconnect(unit.pump.name, self.now_ms, clean))

    def send_backlog(self, unit: Unit) -> None:
        """Send what had to wait, in order, if the pump may speak now."""
        if not unit.is_connected or unit.silences:
            return
        for message in unit.backlog.clear():
            self.say(_at(message, self.now_ms))

    def tell(self, unit: Unit, said: Iterable[Telemetry | Event]) -> None:
        """Send messages of a pump, or keep them, or lose them, as its connection stands."""
        for message in said:
            if (
                self.on_alarm is not None
                and isinstance(message, Event)
                and message.phase == "start"
                and message.alarm is not None
            ):
                self.on_alarm(unit, message.alarm, self.now_ms)
            kind = Kind.TELEMETRY if isinstance(message, Telemetry) else Kind.EVENT
            if isinstance(message, Telemetry):
                # By its template here too, so that whether it is told alone changes no byte.
                template = template_of(message)
                payload = template % numbers_of(message)
                self.voices.give(unit, template)
            else:
                payload = encode(message)
                self.voices.take(unit)
            if "dropped" in unit.silences:
                continue
            outgoing = Outgoing(
                unit.pump.name, unit.topic(kind), payload, 1, False, self.now_ms, kind
            )
            if unit.is_connected and not unit.silences:
                self.say(outgoing)
            else:
                unit.backlog.append(outgoing)

    def _say_presence(self, unit: Unit, *, is_online: bool) -> None:
        payload = encode(unit.pump.presence(self.device_ms(unit), is_online=is_online))
        topic = unit.topic(Kind.PRESENCE)
        self.say(Outgoing(unit.pump.name, topic, payload, 1, True, self.now_ms, Kind.PRESENCE))

    # --- bags ------------------------------------------------------------------------------------

    def hang_bag(self, unit: Unit, volume_ml: float, concentration_iu_ml: float) -> None:
        """Another bag, in truth; the pump is told separately."""
        pumped = float(self.state.pumped_ml[unit.index])
        unit.bag.change(nanolitres(pumped), concentration_iu_ml)
        self.meter.change_bag(unit.index, concentration_iu_ml)
        self.set_reservoir(unit, volume_ml)
        self.state.fit([unit.index])

    def set_reservoir(self, unit: Unit, volume_ml: float, known_ml: float | None = None) -> None:
        """The bag holds this much now; `known_ml` is what the pump takes it for, if another."""
        self.state.fill(unit.index, volume_ml, known_ml)


def _at(message: Outgoing, now_ms: int) -> Outgoing:
    return Outgoing(
        message.session,
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        now_ms,
        message.kind,
    )

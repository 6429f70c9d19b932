"""The pumps of a fleet with their lines, bags, batteries and connections, at one instant.

`Rig` joins the arrays of simulator/physics.py to the machines of simulator/operation.py: it reads
physics for a pump, lets the machine act, tells physics what the machine wants now, and puts what
the pump says on its connection, or into its backlog while that is down.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from infusion.library import DrugEntry
from infusion.messages import Event, Kind, Telemetry, Topic, encode
from infusion.truth import FaultTruth
from infusion.units import MS_PER_HOUR, dose_iu, nanolitres
from simulator.cohort import Assignment, Cohort
from simulator.dose_meter import DoseMeter
from simulator.keypad import press
from simulator.machine import POWERED, Happening, Mode
from simulator.operation import Said, handle, note
from simulator.physics import State, battery_slope_per_ms, filter_s
from simulator.profile import Profile
from simulator.pump import Behaviour, Happened, Pump, Readings, Settings
from simulator.senses import battery_share, sense
from simulator.story.plan import Deed, OrderVersion
from simulator.stream import Backlog, Connect, Disconnect, Outgoing, Output

INFINITY = float("inf")

DEFAULT_BEHAVIOUR = Behaviour()
# GIP 1.7: settings are kept for 4 hours without power; here for no longer.
SETTINGS_KEPT_MS = 4 * MS_PER_HOUR

# What a deed asks to have done later: (after how many ms, what).
Later = tuple[int, Deed] | None
Performer = Callable[["Rig", "Unit", Any], Later]


class Bag(Struct):
    """What hangs on a pump in truth, whatever the pump was told; doses count from the start."""

    concentration_iu_ml: float
    since_nl: int = 0
    dose_before_iu: float = 0.0

    def dose_iu(self, pumped_nl: int) -> float:
        """The dose pumped so far, all bags together."""
        volume_nl = pumped_nl - self.since_nl
        return self.dose_before_iu + dose_iu(volume_nl, self.concentration_iu_ml)

    def change(self, pumped_nl: int, concentration_iu_ml: float) -> None:
        """Hang another bag."""
        self.dose_before_iu = self.dose_iu(pumped_nl)
        self.since_nl = pumped_nl
        self.concentration_iu_ml = concentration_iu_ml


class OpenFault(Struct, frozen=True):
    """A fault in force: its word, its onset, and the doses up to then (simulator/fault_book.py)."""

    fault: str
    onset_ms: int
    ordered_iu: float
    pumped_iu: float
    patient_iu: float


class Unit(Struct, kw_only=True, eq=False):
    """One pump with everything around it. `faults` are in force, `ended` not yet told.

    `wake_ms` is the time at which the rig has planned to look at it, if any.
    """

    index: int
    pump: Pump
    bag: Bag
    order: OrderVersion
    backlog: Backlog
    topics: dict[Kind, str]
    on_mains: bool = True
    is_connected: bool = False
    offline_faults: int = 0
    silences: list[Literal["dropped", "kept"]] = []
    faults: tuple[OpenFault, ...] = ()
    ended: tuple[FaultTruth, ...] = ()
    wake_ms: int | None = None

    @property
    def is_powered(self) -> bool:
        """Whether its electronics run."""
        return self.pump.mode in POWERED


class Rig:
    """All units, the physics under them, and what they have said since `take`."""

    def __init__(
        self,
        profile: Profile,
        cohort: Cohort,
        orders: list[OrderVersion],
        *,
        site: str,
        interval_s: float,
        behaviour: Behaviour = DEFAULT_BEHAVIOUR,
        library: DrugEntry | None = None,
    ) -> None:
        """A fleet at rest, booting, nothing connected."""
        self.profile = profile
        self.now_ms = 0
        self.refused = 0
        self.faults_forgotten = 0
        self.site = site
        self.state = State(profile, bias=cohort.bias, ripple=cohort.ripple, keys=cohort.keys)
        # When pumps have something to do by themselves: (time, index), the next one first.
        self._wakes: list[tuple[int, int]] = []
        self.units = [
            _unit(profile, index, assignment, order, site, interval_s, behaviour, library)
            for index, (assignment, order) in enumerate(
                zip(cohort.assignments, orders, strict=True)
            )
        ]
        for unit, assignment in zip(self.units, cohort.assignments, strict=True):
            self.state.empty_at_ml[unit.index] = assignment.reservoir_ml
            self.sync(unit)
        held = [assignment.concentration_iu_ml for assignment in cohort.assignments]
        self.meter = DoseMeter(self.state, np.array(held))
        self._out: list[Output] = []
        # Called with the unit, the alarm and the time when an alarm of a pump begins.
        self.on_alarm: Callable[[Unit, str, int], object] | None = None

    def take(self) -> list[Output]:
        """What has been said since the last call, in order of time."""
        out, self._out = self._out, []
        return out

    def say(self, output: Output) -> None:
        """Put one value out."""
        self._out.append(output)

    # --- machine and physics ---------------------------------------------------------------------

    def readings(self, unit: Unit) -> Readings:
        """What physics says about one pump now."""
        state, index = self.state, unit.index
        pumped = float(state.pumped_ml[index])
        level_ml = float(state.empty_at_ml[index]) - pumped
        pressure_mmhg = state.pressure_mmhg(index)
        battery = float(state.battery[index])
        profile = self.profile
        return Readings(
            counted_ml=pumped,
            reservoir_ml=level_ml,
            pressure_mmhg=pressure_mmhg,
            flow_ml_h=float(state.drive_ml_h[index] * state.flow_factor[index]),
            battery=battery,
            battery_left_min=battery * profile.battery_life_h * 60,
            on_mains=unit.on_mains,
            is_occluded=bool(state.over_s[index] >= filter_s(state)),
            is_starved=bool(state.missed_ml[index] >= profile.upstream_alarm_ml),
            is_line_open=pressure_mmhg < profile.occlusion_limit_mmhg / 2,
            is_empty=level_ml <= 0,
            is_low=level_ml <= profile.reservoir_low_ml,
        )

    def happen(self, unit: Unit, happened: Happened) -> None:
        """Let something happen to a pump; what its mode has no row for is counted as refused."""
        self._done(unit, handle(unit.pump, happened, self.readings(unit), self.now_ms))

    def press(self, unit: Unit, happened: Happened) -> None:
        """Somebody presses keys, as far as the pump's keypad lets them."""
        if happened.what is Happening.START:
            self.state.missed_ml[unit.index] = 0.0
        self._done(unit, press(unit.pump, happened, self.readings(unit), self.now_ms))

    def use(self, unit: Unit, key: Callable[..., Said], *details: str, **more: bool) -> None:
        """Somebody uses a key of simulator/keypad.py that is no happening of its own."""
        said = key(unit.pump, *details, self.readings(unit), self.now_ms, **more)
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
        said = sense(unit.pump, self.readings(unit), self.now_ms)
        self.sync(unit)
        self.tell(unit, said)

    def sync(self, unit: Unit) -> None:
        """Tell physics what the machine wants, and where its next marks are."""
        state, index, pump = self.state, unit.index, unit.pump
        state.drive_ml_h[index] = pump.drive_ml_h
        state.stop_at_ml[index] = pump.stop_at_ml
        knows_level = "reservoir-low" in pump.alarms or "reservoir-empty" in pump.alarms
        low_at = float(state.empty_at_ml[index]) - self.profile.reservoir_low_ml
        state.low_at_ml[index] = INFINITY if knows_level else low_at
        state.battery_watch[index] = self._battery_watch(unit)
        drains = unit.on_mains or unit.pump.mode is not Mode.OFF
        slope = battery_slope_per_ms(self.profile, on_mains=unit.on_mains)
        state.battery_slope[index] = slope if drains else 0.0
        at_ms = pump.wake_at_ms
        if at_ms is not None and (unit.wake_ms is None or at_ms < unit.wake_ms):
            # What is due already is looked at in the next step, never twice in one.
            unit.wake_ms = max(at_ms, self.now_ms + 1)
            heapq.heappush(self._wakes, (unit.wake_ms, index))

    def _battery_watch(self, unit: Unit) -> float:
        if unit.on_mains or not unit.is_powered:
            return -1.0
        if "battery-depleted" in unit.pump.alarms:
            return 0.0
        is_low = "battery-low" in unit.pump.alarms
        profile = self.profile
        minutes = profile.battery_depleted_min if is_low else profile.battery_low_min
        return battery_share(profile, minutes)

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
        said = handle(pump, happened, readings, self.now_ms)
        if is_cleared:
            cleared = note("MDC_EVT_PUMP_PROG_CLEARED", "too long without power")
            said += handle(pump, cleared, readings, self.now_ms)
        self.sync(unit)
        self.link_up(unit)
        self.tell(unit, said)

    def _loses_settings(self, pump: Pump) -> bool:
        """What was programmed is gone when the pump had no power for too long."""
        since_ms, pump.unpowered_ms = pump.unpowered_ms, None
        if since_ms is None:
            return False
        boot_ms = round(self.profile.boot_s * 1000)
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
        will = encode(unit.pump.presence(self.now_ms, is_online=False))
        self.say(Connect(unit.pump.name, self.now_ms, unit.topics[Kind.PRESENCE], will))
        self._say_presence(unit, is_online=True)
        self.send_backlog(unit)

    def link_down(self, unit: Unit, *, clean: bool) -> None:
        """Disconnect: with a goodbye and presence offline, or without, so that the will goes."""
        if not unit.is_connected:
            return
        if clean:
            self._say_presence(unit, is_online=False)
        unit.is_connected = False
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
                self.on_alarm(unit, message.alarm, message.time_ms)
            if "dropped" in unit.silences:
                continue
            kind = Kind.TELEMETRY if isinstance(message, Telemetry) else Kind.EVENT
            outgoing = Outgoing(
                unit.pump.name, unit.topics[kind], encode(message), 1, False, self.now_ms, kind
            )
            if unit.is_connected and not unit.silences:
                self.say(outgoing)
            else:
                unit.backlog.append(outgoing)

    def _say_presence(self, unit: Unit, *, is_online: bool) -> None:
        payload = encode(unit.pump.presence(self.now_ms, is_online=is_online))
        topic = unit.topics[Kind.PRESENCE]
        self.say(Outgoing(unit.pump.name, topic, payload, 1, True, self.now_ms, Kind.PRESENCE))

    # --- bags ------------------------------------------------------------------------------------

    def hang_bag(self, unit: Unit, volume_ml: float, concentration_iu_ml: float) -> None:
        """Another bag, in truth; the pump is told separately."""
        pumped = float(self.state.pumped_ml[unit.index])
        unit.bag.change(nanolitres(pumped), concentration_iu_ml)
        self.meter.change_bag(unit.index, concentration_iu_ml)
        self.set_reservoir(unit, volume_ml)

    def set_reservoir(self, unit: Unit, volume_ml: float) -> None:
        """The bag holds this much now."""
        self.state.empty_at_ml[unit.index] = float(self.state.pumped_ml[unit.index]) + volume_ml


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


def _unit(
    profile: Profile,
    index: int,
    assignment: Assignment,
    order: OrderVersion,
    site: str,
    interval_s: float,
    behaviour: Behaviour,
    library: DrugEntry | None,
) -> Unit:
    settings = Settings(
        rate_ml_h=profile.programmable_ml_h(assignment.rate_ml_h),
        concentration_iu_ml=assignment.concentration_iu_ml,
        weight_kg=assignment.weight_kg,
        therapy=assignment.therapy,
        order_version=1,
        vtbi_ml=assignment.vtbi_ml,
    )
    pump = Pump(
        name=assignment.pump,
        profile=profile,
        settings=settings,
        interval_s=interval_s,
        behaviour=behaviour,
        library=library,
        mode=Mode.BOOTING,
        vtbi_at_nl=nanolitres(assignment.vtbi_ml) if assignment.vtbi_ml > 0 else None,
    )
    kinds = (Kind.TELEMETRY, Kind.EVENT, Kind.PRESENCE, Kind.TRUTH)
    return Unit(
        index=index,
        pump=pump,
        bag=Bag(assignment.concentration_iu_ml),
        order=order,
        backlog=Backlog(profile.backlog_messages),
        topics={kind: str(Topic(kind, site, assignment.pump)) for kind in kinds},
    )

"""The pumps of a fleet with their lines, bags, batteries and connections, at one instant.

`Rig` joins the arrays of simulator/physics.py to the machines of simulator/operation.py: it reads
physics for a pump, lets the machine act, tells physics what the machine wants now, and puts what
the pump says on its connection, or into its backlog while that is down.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec import Struct, field

from infusion.messages import Event, Kind, Telemetry, Topic, encode
from infusion.units import MS_PER_MINUTE, dose_iu, nanolitres
from simulator.clock import Clock
from simulator.cohort import Assignment, Cohort
from simulator.conditions import Condition
from simulator.machine import POWERED, Happening, Mode
from simulator.operation import handle, sense
from simulator.physics.power import battery_slope_per_ms, minutes_left
from simulator.profile import Profile
from simulator.pump import Happened, Pump, Readings, Settings
from simulator.story.plan import Deed, OrderVersion
from simulator.stream import Backlog, Connect, Disconnect, Outgoing, Output

INFINITY = float("inf")

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


class Unit(Struct, kw_only=True, eq=False):
    """One pump with everything around it. `faults` are the words of the faults in force."""

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
    faults: list[str] = []
    conditions: list[Condition] = []
    clock: Clock = field(default_factory=Clock)
    battery_health: float = 1.0
    warmed_ms: int = 0

    @property
    def is_powered(self) -> bool:
        """Whether its electronics run."""
        return self.pump.mode in POWERED


class Rig:
    """All units, the physics under them, and what they have said since `take`."""

    def __init__(
        self,
        cohort: Cohort,
        orders: list[OrderVersion],
        *,
        site: str,
        interval_s: float,
    ) -> None:
        """A fleet at rest, booting, nothing connected."""
        self.now_ms = 0
        self.refused = 0
        self.state = cohort.state()
        # The units whose conditions change by themselves; only they are looked at in each step.
        self.changing: list[Unit] = []
        self.units = [
            _unit(cohort.profiles[assignment.kind], index, assignment, order, site, interval_s)
            for index, (assignment, order) in enumerate(
                zip(cohort.assignments, orders, strict=True)
            )
        ]
        for unit in self.units:
            self.sync(unit)
        self._out: list[Output] = []

    def take(self) -> list[Output]:
        """What has been said since the last call, in order of time."""
        out, self._out = self._out, []
        return out

    def say(self, output: Output) -> None:
        """Put one value out."""
        self._out.append(output)

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
        said = handle(unit.pump, happened, self.readings(unit), self.device_ms(unit))
        self.refused += not said and unit.is_powered
        self.sync(unit)
        self.tell(unit, said)

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
        knows_level = "reservoir-low" in pump.alarms or "reservoir-empty" in pump.alarms
        low_at = float(state.gauge_empty_at_ml[index]) - pump.profile.reservoir_low_ml
        state.low_at_ml[index] = INFINITY if knows_level else low_at
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

    def boot_done(self, unit: Unit, *, resume: bool) -> None:
        """The self-test is over: a new boot, on the air, going on or waiting."""
        what = Happening.BOOTED_GOING_ON if resume else Happening.BOOTED
        said = handle(unit.pump, Happened(what), self.readings(unit), self.device_ms(unit))
        self.sync(unit)
        self.link_up(unit)
        self.tell(unit, said)

    def switch_off(self, unit: Unit) -> None:
        """Somebody switches the pump off: it says so and says goodbye."""
        self.happen(unit, Happened(Happening.POWER_OFF))
        self.link_down(unit, clean=True)

    def power_fails(self, unit: Unit) -> None:
        """The battery is flat. The end of delivery is still told, the goodbye is not."""
        self.happen(unit, Happened(Happening.POWER_OFF))
        self.link_down(unit, clean=False)

    # --- connection ------------------------------------------------------------------------------

    def link_up(self, unit: Unit) -> None:
        """Connect if nothing is in the way: presence first, then what had to wait."""
        if unit.is_connected or unit.offline_faults or not unit.is_powered:
            return
        unit.is_connected = True
        will = encode(unit.pump.presence(self.device_ms(unit), is_online=False))
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
        payload = encode(unit.pump.presence(self.device_ms(unit), is_online=is_online))
        topic = unit.topics[Kind.PRESENCE]
        self.say(Outgoing(unit.pump.name, topic, payload, 1, True, self.now_ms, Kind.PRESENCE))

    # --- bags ------------------------------------------------------------------------------------

    def hang_bag(self, unit: Unit, volume_ml: float, concentration_iu_ml: float) -> None:
        """Another bag, in truth; the pump is told separately."""
        pumped = float(self.state.pumped_ml[unit.index])
        unit.bag.change(nanolitres(pumped), concentration_iu_ml)
        self.set_reservoir(unit, volume_ml)
        self.state.fit([unit.index])

    def set_reservoir(self, unit: Unit, volume_ml: float) -> None:
        """The bag holds this much now."""
        self.state.fill(unit.index, volume_ml)


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

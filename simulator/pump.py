"""One pump as it stands: settings, mode, counters, alarms, and how it tells of them.

What may happen to it is in simulator/machine.py, and simulator/operation.py carries that out.
The pump learns what physics says through `Readings`; `drive_ml_h` and `stop_at_ml` tell physics
what to do next.

Volumes on the wire are whole nanolitres of one axis, the volume pumped since the fleet was made:
it is rounded once, and every counter and segment is a difference of two such numbers. Therefore
segments add up to counters exactly.
"""

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.library import DrugEntry
from infusion.messages import Panel, Presence, Telemetry
from infusion.units import (
    MS_PER_MINUTE,
    dose_rate_iu_kg_h,
    millilitres,
    nanolitres,
    round_rate,
)
from simulator.machine import DELIVERING, POWERED, Happening, Mode
from simulator.profile import Profile
from simulator.programming import Behaviour, Bolus, Program, Settings, Step, StepMode

# Until a clinician or an alarm gives a reason for standing, in IPEC's words.
NOT_SPECIFIED = "not-specified"
NO_LIMIT = float("inf")
ORDINARY = Panel()
CONTINUOUS: Final = "continuous"
BOLUS_MODES = (Mode.BOLUS, Mode.BOLUS_ALONE, Mode.LOADING)

# GIP 2.2 [V2]: programming left alone is told after 5 minutes and cleared after 10.
IDLE_ALERT_MS = 5 * MS_PER_MINUTE
IDLE_CLEAR_MS = 10 * MS_PER_MINUTE


class Readings(Struct, frozen=True, gc=False):
    """What the pump's sensors say at one instant, which need not be the truth.

    `counted_ml` is the volume pumped as the pump itself counts it, by its motor or its flow sensor:
    counters, segments and the ends of VTBI and bolus are on this axis. `reservoir_ml` is the level
    as the pump knows it, `flow_ml_h` the flow as it measures it, `battery_left_min` the run time at
    the present load. `is_occluded` and `is_starved` say that downstream pressure, or the volume
    that did not come from upstream, has passed the pump's own limit; `is_line_open` that the
    pressure is below half of it; `has_air` that a bubble, or all bubbles of the window, were over
    their limit; `runs_free` that something flows past the mechanism. `drive_ml_h` is the commanded
    rate at which the flow was measured.
    """

    counted_ml: float
    reservoir_ml: float
    pressure_mmhg: float
    flow_ml_h: float
    battery: float
    battery_left_min: float
    on_mains: bool
    air_ul: float = 0.0
    is_occluded: bool = False
    is_starved: bool = False
    is_line_open: bool = True
    has_air: bool = False
    runs_free: bool = False
    is_empty: bool = False
    is_low: bool = False
    is_overheated: bool = False
    drive_ml_h: float = 0.0


class Happened(Struct, frozen=True):
    """Something that happens to a pump, with what belongs to it.

    `event` and `detail` are what a row tells, `until_ms` the end of the mode that is entered.
    `override` answers the library's soft limits, `bypass` leaves the library out.
    """

    what: Happening
    settings: Settings | None = None
    bolus: Bolus | None = None
    alarm: str | None = None
    restarts_vtbi: bool = False
    program: Program | None = None
    event: str | None = None
    detail: str = ""
    until_ms: int | None = None
    user: str | None = None
    override: bool = False
    bypass: bool = False


class Pump(Struct, kw_only=True, eq=False):
    """One pump as it stands. Every `_nl` is on the axis of all volume ever counted.

    Times are device time, None where nothing is due: `mode_until_ms` ends standby, a gap or the
    check of the line, `audio_until_ms` a silenced alarm, `pending_ms` is since when programming
    waits for its double check, `near_end_ms` when to look for the end of the VTBI.
    """

    name: str
    profile: Profile
    settings: Settings
    interval_s: float = 10.0
    mode: Mode = Mode.OFF
    reason: str = NOT_SPECIFIED
    boot: int = 0
    seq: int = 0
    alarms: tuple[str, ...] = ()
    counter_from_nl: int = 0
    segment_from_nl: int = 0
    vtbi_at_nl: int | None = None
    bolus_ml_h: float = 0.0
    bolus_at_nl: int | None = None
    frozen_at_nl: int | None = None
    told_ms: int = -1
    behaviour: Behaviour = Behaviour()
    library: DrugEntry | None = None
    steps: tuple[Step, ...] = ()
    step_at_nl: int | None = None
    delivery_mode: StepMode | Literal["continuous"] = CONTINUOUS
    mode_until_ms: int | None = None
    audio_until_ms: int | None = None
    near_end_ms: int | None = None
    pending: Happened | None = None
    pending_ms: int = 0
    restarts_ms: tuple[int, ...] = ()
    bolus_ms: int | None = None
    is_outside_library: bool = False
    is_locked: bool = False
    refused_keys: int = 0
    is_door_open: bool = False
    on_mains: bool = True
    unpowered_ms: int | None = None

    @property
    def is_delivering(self) -> bool:
        """Whether a segment is open."""
        return self.mode in DELIVERING

    @property
    def drive_ml_h(self) -> float:
        """The flow the motor is commanded to make."""
        if self.mode is Mode.RUNNING:
            return self.settings.rate_ml_h
        if self.mode in BOLUS_MODES:
            return self.bolus_ml_h
        if self.mode is Mode.KVO:
            # A programmed rate below KVO wins, as on the Alaris GP (pump-standards §3.3 [V]).
            return min(self.profile.kvo_ml_h, self.settings.rate_ml_h)
        return 0.0

    @property
    def rate_ml_h(self) -> float:
        """The rate that the pump is programmed to at this moment, a bolus included.

        In keep-vein-open it is still the rate that was typed in; the flow shows what is given.
        """
        if self.mode in BOLUS_MODES:
            return self.bolus_ml_h
        return self.settings.rate_ml_h

    @property
    def stop_at_ml(self) -> float:
        """The pumped volume at which the delivery in progress has reached its limit."""
        limits = []
        if self.mode in BOLUS_MODES and self.bolus_at_nl is not None:
            limits.append(self.bolus_at_nl)
        if self.is_delivering and self.mode is not Mode.KVO and self.vtbi_at_nl is not None:
            limits.append(self.vtbi_at_nl)
        if self.mode is Mode.RUNNING and self.step_at_nl is not None:
            limits.append(self.step_at_nl)
        return millilitres(min(limits)) if limits else NO_LIMIT

    def forget_settings(self) -> None:
        """The memory is lost: nothing is programmed any more."""
        self.settings = replace(
            self.settings, rate_ml_h=0.0, vtbi_ml=0.0, therapy=None, order_version=0
        )
        self.steps, self.delivery_mode = (), CONTINUOUS
        self.vtbi_at_nl = self.step_at_nl = None
        self.is_outside_library = False

    def axis_nl(self, readings: Readings) -> int:
        """The pumped volume as the pump's own counting sees it."""
        if self.frozen_at_nl is not None:
            return self.frozen_at_nl
        return nanolitres(readings.counted_ml)

    def counter_nl(self, readings: Readings) -> int:
        """The cumulative volume on the wire: since the boot, or since somebody cleared it."""
        return max(0, self.axis_nl(readings) - self.counter_from_nl)

    def segment_nl(self, readings: Readings) -> int:
        """Volume since the START of the open segment."""
        return max(0, self.axis_nl(readings) - self.segment_from_nl)

    def shift_counter(self, by_nl: int) -> None:
        """A fault of the counter: it leaps ahead, or drops where `by_nl` is negative."""
        self.counter_from_nl -= by_nl

    def freeze_counter(self, readings: Readings) -> None:
        """A fault of the counter: from now on it stands still."""
        self.frozen_at_nl = self.axis_nl(readings)

    def thaw_counter(self, readings: Readings) -> None:
        """The counter counts on from where it stood; what it missed stays missed."""
        if self.frozen_at_nl is None:
            return
        missed_nl = nanolitres(readings.counted_ml) - self.frozen_at_nl
        self.counter_from_nl += missed_nl
        self.segment_from_nl += missed_nl
        self.frozen_at_nl = None

    def vtbi_remaining_nl(self, readings: Readings) -> int:
        """What is left of the volume to be infused; 0 where there is no limit."""
        if self.vtbi_at_nl is None:
            return 0
        return max(0, self.vtbi_at_nl - nanolitres(readings.counted_ml))

    @property
    def delivery(self) -> Literal["delivering", "not-delivering", "kvo"]:
        """How delivery stands, in IPEC's words, between transitions."""
        if self.mode is Mode.KVO:
            return "kvo"
        return "delivering" if self.is_delivering else "not-delivering"

    def flow_ml_h(self, readings: Readings) -> float:
        """The flow as the pump measures it; of a rate just set, what it will measure.

        A pump that stands shows none that it cannot see.
        """
        if not (self.is_delivering or readings.runs_free):
            return 0.0
        drive = self.drive_ml_h
        if drive == readings.drive_ml_h:
            return round_rate(max(0.0, readings.flow_ml_h))
        share = readings.flow_ml_h / readings.drive_ml_h if readings.drive_ml_h > 0 else 1.0
        return round_rate(max(0.0, drive * share))

    @property
    def source(self) -> Literal["primary", "clinician", "loading"]:
        """What the delivery is fed by, in IPEC's words."""
        if self.mode is Mode.LOADING:
            return "loading"
        return "clinician" if self.mode in (Mode.BOLUS, Mode.BOLUS_ALONE) else "primary"

    @property
    def sounds(self) -> str | None:
        """The one alarm that is heard: the highest, and of equals the first (CADD-Solis [V])."""
        if self.audio_until_ms is not None or not self.alarms:
            return None
        return max(self.alarms, key=lambda key: self.priority(key).rank)

    def priority(self, alarm: str) -> Priority:
        """How high the model ranks one of its alarms; what it does not list, as everybody does."""
        return self.profile.alarms.get(alarm, DEVICE_ALARMS[alarm].priority)

    @property
    def restarts_max(self) -> int:
        """How often it restarts by itself after an occlusion that went away."""
        own = self.behaviour.restarts_max
        return self.profile.auto_restarts if own is None else own

    @property
    def wake_at_ms(self) -> int | None:
        """When the pump has something to do by itself, whatever physics says; None for never."""
        if self.mode not in POWERED:
            return None
        times = [self.audio_until_ms, self.near_end_ms]
        if "standby-expired" not in self.alarms:
            times.append(self.mode_until_ms)
        if self.pending is not None:
            was_told = "callback" in self.alarms
            times.append(self.pending_ms + (IDLE_CLEAR_MS if was_told else IDLE_ALERT_MS))
        return min((time for time in times if time is not None), default=None)

    def next_seq(self) -> int:
        """Take the next number of this boot."""
        self.seq += 1
        return self.seq - 1

    def telemetry(self, readings: Readings, now_ms: int) -> Telemetry:
        """The whole state as one message, which takes the next `seq`."""
        settings = self.settings
        rate = self.rate_ml_h
        delivers = self.is_delivering
        axis_nl = self.axis_nl(readings)
        self.told_ms = now_ms
        return Telemetry(
            pump=self.name,
            boot=self.boot,
            seq=self.next_seq(),
            time_ms=now_ms,
            status="infusing" if delivers else "not-infusing",
            delivery=self.delivery,
            reason=None if delivers else self.reason,
            rate_ml_h=round_rate(rate),
            flow_ml_h=self.flow_ml_h(readings),
            volume_ml=millilitres(max(0, axis_nl - self.counter_from_nl)),
            segment_ml=millilitres(max(0, axis_nl - self.segment_from_nl)) if delivers else 0.0,
            concentration_iu_ml=settings.concentration_iu_ml,
            therapy=settings.therapy,
            order_version=settings.order_version,
            alarms=self.alarms,
            vtbi_ml=settings.vtbi_ml,
            vtbi_remaining_ml=millilitres(self.vtbi_remaining_nl(readings)),
            weight_kg=settings.weight_kg,
            dose_rate_iu_kg_h=round_rate(
                dose_rate_iu_kg_h(rate, settings.concentration_iu_ml, settings.weight_kg)
            ),
            reservoir_ml=millilitres(nanolitres(readings.reservoir_ml)),
            pressure_mmhg=round(readings.pressure_mmhg, 1),
            air_ul=round(readings.air_ul, 1),
            battery=round(readings.battery, 4),
            power="mains" if readings.on_mains else "battery",
            panel=self._panel(),
        )

    def _panel(self) -> Panel | None:
        panel = Panel(
            mode=self.delivery_mode,
            audio="on" if self.audio_until_ms is None else "paused",
            sounds=self.sounds,
            locked=self.is_locked,
            outside_library=self.is_outside_library,
            standby_until_ms=self.mode_until_ms if self.mode is Mode.STANDBY else None,
        )
        return None if panel == ORDINARY else panel

    def presence(self, now_ms: int, *, is_online: bool) -> Presence:
        """What the pump says when it connects, and leaves as its will."""
        return Presence(
            pump=self.name,
            boot=self.boot,
            state="online" if is_online else "offline",
            time_ms=now_ms,
            firmware=self.profile.firmware,
            profile=self.profile.name,
            interval_s=self.interval_s,
            rate_max_ml_h=self.profile.rate_max_ml_h,
            volume_step_ml=self.profile.volume_step_ml,
            accuracy=self.profile.accuracy or None,
            occlusion_limit_mmhg=self.profile.occlusion_limit_mmhg,
            reservoir_gauge=self.profile.reservoir_gauge,
        )

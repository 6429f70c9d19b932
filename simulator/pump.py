"""One pump as it stands: settings, mode, counters, alarms, and how it tells of them.

What may happen to it is in simulator/machine.py, and simulator/operation.py carries that out.
The pump learns what physics says through `Readings`; `drive_ml_h` and `stop_at_ml` tell physics
what to do next.

Volumes on the wire are whole nanolitres of one axis, the volume pumped since the fleet was made:
it is rounded once, and every counter and segment is a difference of two such numbers. Therefore
segments add up to counters exactly.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from infusion.messages import Presence, Telemetry
from infusion.units import dose_rate_iu_kg_h, millilitres, nanolitres, round_rate
from simulator.machine import DELIVERING, Happening, Mode
from simulator.profile import Profile

# Until a clinician or an alarm gives a reason for standing, in IPEC's words.
NOT_SPECIFIED = "not-specified"
NO_LIMIT = float("inf")


class Settings(Struct, frozen=True, kw_only=True):
    """What is programmed into a pump; kept over a reboot. `vtbi_ml` 0 is no volume limit."""

    rate_ml_h: float
    concentration_iu_ml: float
    weight_kg: float
    therapy: str | None
    order_version: int = 0
    vtbi_ml: float = 0.0

    def without_vtbi(self) -> "Settings":
        """The same without a volume limit, as keep-vein-open shows it."""
        return replace(self, vtbi_ml=0.0)


class Bolus(Struct, frozen=True):
    """A bolus, in the pump's own terms."""

    volume_ml: float
    duration_s: float


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
    """Something that happens to a pump, with what belongs to it."""

    what: Happening
    settings: Settings | None = None
    bolus: Bolus | None = None
    alarm: str | None = None
    restarts_vtbi: bool = False


class Pump(Struct, kw_only=True, eq=False):
    """One pump as it stands. Every `_nl` is on the axis of all volume ever pumped."""

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

    @property
    def is_delivering(self) -> bool:
        """Whether a segment is open."""
        return self.mode in DELIVERING

    @property
    def drive_ml_h(self) -> float:
        """The flow the motor is commanded to make."""
        if self.mode is Mode.RUNNING:
            return self.settings.rate_ml_h
        if self.mode in (Mode.BOLUS, Mode.BOLUS_ALONE):
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
        if self.mode in (Mode.BOLUS, Mode.BOLUS_ALONE):
            return self.bolus_ml_h
        return self.settings.rate_ml_h

    @property
    def stop_at_ml(self) -> float:
        """The pumped volume at which the delivery in progress has reached its limit."""
        limits = []
        if self.mode in (Mode.BOLUS, Mode.BOLUS_ALONE) and self.bolus_at_nl is not None:
            limits.append(self.bolus_at_nl)
        if self.is_delivering and self.mode is not Mode.KVO and self.vtbi_at_nl is not None:
            limits.append(self.vtbi_at_nl)
        return millilitres(min(limits)) if limits else NO_LIMIT

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
        """The flow as the pump measures it; of a rate just set, what it will measure."""
        drive = self.drive_ml_h
        if drive == readings.drive_ml_h:
            return round_rate(readings.flow_ml_h)
        share = readings.flow_ml_h / readings.drive_ml_h if readings.drive_ml_h > 0 else 1.0
        return round_rate(drive * share)

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
        )

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
        )

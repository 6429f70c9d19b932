"""Every physical quantity of a fleet, and what may change it from outside."""

from collections.abc import Iterable, Sequence

import numpy as np

from simulator.physics.air import Air
from simulator.physics.arrays import (
    SECONDS_PER_HOUR,
    TIME_TOLERANCE_S,
    Flags,
    Floats,
    Indices,
    Keys,
)
from simulator.physics.flow import (
    begin_start_up,
    displaced_ml,
    ripple_terms,
    set_gain,
    set_gain_of,
    uniforms,
)
from simulator.physics.line import CLOSED, MMHG_PER_CM, set_shares
from simulator.physics.power import REFERENCE_C
from simulator.profile import Profile

__all__ = ["Flags", "Floats", "Keys", "State"]

# Numbers of each key's series that are drawn once; the ripple takes the numbers from 1 up.
_LIMIT_NUMBERS = (2**62, 2**62 + 1)
_SLACK_NUMBERS = (2**62 + 2, 2**62 + 3)
_PHASE_NUMBER = 2**62 + 4
_NOTHING = np.zeros(0, dtype=np.intp)
# The approach to full flow in a mechanism that has none.
_TINY_ML = 1e-12


class State:
    """The physical state of n pumps; every array has shape (n,).

    Written by the machines: `drive_ml_h` (commanded rate, 0 when the pump stands), `stop_at_ml` and
    `low_at_ml` (marks on the counted axis; infinity for none), `battery_slope` (share a ms),
    `battery_watch` (level to report at), `weighed_mark_ml` (on the pumped axis, for a gauge that
    measures). By people and faults: through the methods. Written by
    `step`: the rest. Rare things are in dicts and short index arrays, so that they cost nothing
    where no pump has them.
    """

    def __init__(
        self,
        profiles: Profile | Sequence[Profile],
        *,
        bias: Floats,
        ripple: Floats,
        keys: Keys,
        kinds: Indices | None = None,
    ) -> None:
        """A fleet at rest: nothing pumped, lines free, full batteries on mains power.

        `bias` and `ripple` are relative errors, `keys` any 64-bit numbers, one for each pump.
        `kinds` says which of the profiles each pump has, by index; without it all have the first.
        """
        size = len(bias)
        self.profiles = (profiles,) if isinstance(profiles, Profile) else tuple(profiles)
        self.kinds = np.zeros(size, dtype=np.int16) if kinds is None else kinds.astype(np.int16)
        self.time_ms = 0
        self.step_s = 0.0
        self.ripple_number = 0
        self.bias, self.ripple, self.keys = bias, ripple, keys
        for name in (
            *("error", "drive_ml_h", "motor_ml", "displaced_ml", "counted_ml", "pumped_ml"),
            *("held_ml", "patient_ml", "lost_ml", "missed_ml", "over_s", "rest_ml"),
            *("slack_end_ml", "battery_slope", "flow_factor"),
        ):
            setattr(self, name, np.zeros(size))
        self.upstream_open, self.battery, self.sense_factor = np.ones((3, size))
        self.battery_watch = np.full(size, -1.0)
        self.stop_at_ml, self.low_at_ml, self.empty_at_ml, self.gauge_empty_at_ml = np.full(
            (4, size), np.inf
        )
        self.known_empty_at_ml, self.weighed_mark_ml = np.full((2, size), np.inf)
        self._gather()
        self.limit_ml = self._limits()
        self.held_limit_ml = self.limit_ml.copy()
        self.tau_s = self.tau_free_s.copy()
        self.outflow_share = np.empty(size)
        self.inflow_share = np.empty(size)
        self.work = np.empty((6, size))
        self.temperature_c: dict[int, float] = {}
        self.raised: list[int] = []
        self.blocked: list[int] = []
        self.dry: list[int] = []
        self.leaks: dict[int, float] = {}
        self.siphons: dict[int, tuple[float, float]] = {}
        self.siphon_step_ml: dict[int, float] = {}
        self.air: dict[int, Air] = {}
        self.stuck_mmhg: dict[int, float] = {}
        self.stuck_ml: dict[int, float] = {}
        self.stuck_flow: dict[int, float] = {}
        self.counts_volume = ~self.counts_motor
        self.over = _NOTHING
        self.starting = _NOTHING
        set_gain(self)
        self.fit(range(size))

    error: Floats
    drive_ml_h: Floats
    motor_ml: Floats
    displaced_ml: Floats
    counted_ml: Floats
    pumped_ml: Floats
    held_ml: Floats
    patient_ml: Floats
    lost_ml: Floats
    missed_ml: Floats
    over_s: Floats
    rest_ml: Floats
    slack_end_ml: Floats
    battery_slope: Floats
    flow_factor: Floats

    def _gather(self) -> None:
        """Each pump's parameters out of its profile."""

        def of(values: Iterable[float]) -> Floats:
            return np.array(list(values), dtype=np.float64)[self.kinds]

        profiles = self.profiles
        self.stroke_ml = of(p.stroke_ml for p in profiles)
        self.strokes_per_ml = 1.0 / self.stroke_ml
        self.stroke_low = of(p.stroke_rest_share for p in profiles)
        self.stroke_high = of(
            (1.0 - (1.0 - p.stroke_duty) * p.stroke_rest_share) / p.stroke_duty for p in profiles
        )
        self.startup_ml = of(max(p.startup_ml, _TINY_ML) for p in profiles)
        self.is_weighed = of(p.reservoir_gauge == "measured" for p in profiles).astype(np.bool_)
        self.weighing = np.flatnonzero(self.is_weighed)
        self.gauge_step_ml = of(p.reservoir_step_ml for p in profiles)
        self.counts_motor = of(p.counter == "motor" for p in profiles).astype(np.bool_)
        self.compliance = of(p.compliance_ml_mmhg for p in profiles)
        self.venous_mmhg = of(p.venous_pressure_mmhg for p in profiles)
        self.tau_free_s = of(
            p.resistance_mmhg_h_ml * p.compliance_ml_mmhg * SECONDS_PER_HOUR for p in profiles
        )
        terms = [ripple_terms(p.ripple_time_min, p.ripple_sd) for p in profiles]
        self.ripple_keep = of(keep for keep, _ in terms)
        self.ripple_spread = of(spread for _, spread in terms)
        self.ripple_max = of(p.ripple_max for p in profiles)
        # No two mechanisms stand at the same place of their stroke.
        self.motor_phase_ml = uniforms(self.keys, _PHASE_NUMBER) * self.stroke_ml
        self.motor_phase_ml[self.stroke_low == 1.0] = 0.0
        self.motor_ml += self.motor_phase_ml
        for pump in np.flatnonzero(self.motor_phase_ml).tolist():
            self.displaced_ml[pump] = displaced_ml(self, pump, float(self.motor_ml[pump]))

    def _limits(self) -> Floats:
        """The volume that each line holds at the pump's own alarm limit, V = C·(P_lim − P₀)."""
        mean = np.array([p.occlusion_volume_ml for p in self.profiles])[self.kinds]
        spread = np.array([p.occlusion_spread_mmhg for p in self.profiles])[self.kinds]
        return np.asarray(mean + self.compliance * spread * self._triangle(_LIMIT_NUMBERS))

    def _triangle(self, numbers: tuple[int, int]) -> Floats:
        """A number of each pump's own, triangular on (−1, 1)."""
        first, second = (uniforms(self.keys, number) for number in numbers)
        return np.asarray(first + second - 1.0)

    def profile(self, pump: int) -> Profile:
        """The profile of one pump."""
        return self.profiles[int(self.kinds[pump])]

    def filter_s(self, pump: int) -> float:
        """The time over the pressure limit that raises the alarm, less the rounding; above 0."""
        filter_s = self.profile(pump).occlusion_filter_s
        return max(filter_s - TIME_TOLERANCE_S, TIME_TOLERANCE_S)

    # --- the mechanism and the reservoir ---------------------------------------------------------

    def fit(self, pumps: Iterable[int]) -> None:
        """A fresh syringe or set is fitted to these pumps: its slack has to be taken up."""
        index = np.fromiter(pumps, dtype=np.intp)
        mean = np.array([p.startup_slack_ml for p in self.profiles])[self.kinds[index]]
        spread = np.array([p.startup_slack_spread_ml for p in self.profiles])[self.kinds[index]]
        has_slack = mean > 0.0
        slack = mean + spread * self._triangle(_SLACK_NUMBERS)[index]
        begin_start_up(self, index[has_slack], slack[has_slack])

    def restart(self, pump: int) -> None:
        """The motor starts again: its play, and alarms' memory of volume and air begin anew."""
        self.missed_ml[pump] = 0.0
        if pump in self.air:
            self.air[pump].forget()
        slack = self.profile(pump).restart_slack_ml
        rest_ml = self.motor_ml[pump] + slack
        if slack > 0.0 and self.slack_end_ml[pump] < rest_ml:
            begin_start_up(self, np.array([pump]), np.array([slack]))

    def fill(self, pump: int, volume_ml: float, known_ml: float | None = None) -> None:
        """The reservoir holds this much now, and a pump that cannot measure it is told `known_ml`.

        One that reckons by its counter stops where that is used up; one without a gauge shows what
        is left of it and does not mind.
        """
        known = volume_ml if known_ml is None else known_ml
        self.empty_at_ml[pump] = self.pumped_ml[pump] + volume_ml
        self._know(pump, float(self.counted_ml[pump] + known))
        self.missed_ml[pump] = 0.0

    def _know(self, pump: int, empty_at_ml: float) -> None:
        """By its counter the reservoir ends here, as far as the pump goes by that."""
        self.known_empty_at_ml[pump] = empty_at_ml
        counts = self.profile(pump).reservoir_gauge == "counted" and pump not in self.stuck_ml
        self.gauge_empty_at_ml[pump] = empty_at_ml if counts else np.inf

    def set_error(self, pump: int, share: float) -> None:
        """What head pressure, temperature and faults add to the relative error of flow."""
        self.error[pump] = share
        set_gain_of(self, pump)

    def set_upstream(self, pump: int, *, is_open: bool) -> None:
        """Open or close the way from the reservoir to the pump."""
        self.set_upstream_share(pump, 1.0 if is_open else 0.0)

    def set_upstream_share(self, pump: int, share: float) -> None:
        """Let only this share of each stroke fill: 1 open, 0 closed."""
        self.upstream_open[pump] = share
        if pump in self.blocked:
            self.blocked.remove(pump)
        if share < 1.0:
            self.blocked.append(pump)
        else:
            self.missed_ml[pump] = 0.0
        set_gain_of(self, pump)

    # --- the line --------------------------------------------------------------------------------

    def set_resistance(self, pump: int, factor: float) -> None:
        """Multiply the resistance of one line: 1 free, above 1 narrowed, infinity closed."""
        self.tau_s[pump] = self.tau_free_s[pump] * factor if factor < CLOSED else np.inf
        if self.step_s > 0:
            set_shares(self, slice(pump, pump + 1))

    def set_outside(self, pump: int, pressure_mmhg: float) -> None:
        """The far end of the line stands this much above the venous pressure of the profile."""
        self.rest_ml[pump] = self.compliance[pump] * pressure_mmhg
        if pump in self.raised:
            self.raised.remove(pump)
        if pressure_mmhg != 0.0:
            self.raised.append(pump)

    def set_siphon(self, pump: int, head_cm: float, resistance_mmhg_h_ml: float) -> None:
        """A way past the mechanism, from a reservoir this much above the pump; 0 closes it."""
        if head_cm > 0.0:
            self.siphons[pump] = (head_cm * MMHG_PER_CM, resistance_mmhg_h_ml)
        else:
            self.siphons.pop(pump, None)
            self.siphon_step_ml.pop(pump, None)

    def set_leak(self, pump: int, share: float) -> None:
        """So much of what leaves the line runs onto the floor; 1 is a line that came off."""
        if share > 0.0:
            self.leaks[pump] = share
        else:
            self.leaks.pop(pump, None)

    def back_off(self, pump: int) -> float:
        """After an occlusion alarm the motor turns back: a share of what is held is taken back.

        It goes into the reservoir, and its volume in mL is returned.
        """
        volume = self.profile(pump).backoff_share * max(0.0, float(self.held_ml[pump]))
        self.held_ml[pump] -= volume
        self.lost_ml[pump] += volume
        self.empty_at_ml[pump] += volume
        return volume

    def pressure_mmhg(self, pump: int) -> float:
        """True line pressure of one pump: P = P₀ + H/C."""
        held, compliance = float(self.held_ml[pump]), float(self.compliance[pump])
        return self.profile(pump).venous_pressure_mmhg + held / compliance

    def sensed_mmhg(self, pump: int) -> float:
        """The pressure as the sensor gives it."""
        stuck = self.stuck_mmhg.get(pump)
        return self.pressure_mmhg(pump) if stuck is None else stuck

    def limit_mmhg(self, pump: int) -> float:
        """The pressure at which this very pump alarms."""
        return float(self.venous_mmhg[pump] + self.limit_ml[pump] / self.compliance[pump])

    def stick(self, pump: int, sensor: str, *, is_stuck: bool) -> None:
        """A sensor (pressure, air, reservoir, flow) keeps what it says now, or works again.

        A stuck flow sensor shows the flow of this moment and counts what was commanded.
        """
        if sensor == "pressure":
            self._stick_pressure(pump, is_stuck=is_stuck)
        elif sensor == "air":
            self.air.setdefault(pump, Air()).is_blind = is_stuck
        elif sensor == "reservoir" and is_stuck:
            self.stuck_ml[pump] = self.reservoir_ml(pump)
            self.gauge_empty_at_ml[pump] = np.inf
        elif sensor == "reservoir":
            # It finds its way back from what the pump counted since.
            level = self.empty_at_ml[pump] - self.pumped_ml[pump]
            del self.stuck_ml[pump]
            self._know(pump, float(self.counted_ml[pump] + level))
        elif self.counts_volume[pump] or pump in self.stuck_flow:
            self._stick_flow(pump, is_stuck=is_stuck)

    def _stick_flow(self, pump: int, *, is_stuck: bool) -> None:
        self.counts_motor[pump] = is_stuck
        self.counts_volume[pump] = not is_stuck
        if is_stuck:
            self.stuck_flow[pump] = float(self.flow_factor[pump])
        else:
            del self.stuck_flow[pump]

    def _stick_pressure(self, pump: int, *, is_stuck: bool) -> None:
        if not is_stuck:
            self.stuck_mmhg.pop(pump, None)
            self.held_limit_ml[pump] = self.limit_ml[pump]
            return
        value = self.pressure_mmhg(pump)
        self.stuck_mmhg[pump] = value
        is_over = value >= self.limit_mmhg(pump)
        self.held_limit_ml[pump] = -np.inf if is_over else np.inf

    # --- what the pump knows ---------------------------------------------------------------------

    def reservoir_ml(self, pump: int) -> float:
        """The level as the pump knows it: measured, or what it was told less what it counted."""
        if pump in self.stuck_ml:
            return self.stuck_ml[pump]
        if self.is_weighed[pump]:
            return float(self.reservoirs_ml(np.array([pump]))[0])
        return self.known_ml(pump)

    def known_ml(self, pump: int) -> float:
        """What is left of what the pump was told, by its counter."""
        return max(0.0, float(self.known_empty_at_ml[pump] - self.counted_ml[pump]))

    def reservoirs_ml(self, pumps: Indices) -> Floats:
        """The same for several pumps whose gauges are sound.

        A gauge that measures shows whole steps, the next one up, so that nothing is left when it
        shows nothing.
        """
        known = np.maximum(0.0, self.known_empty_at_ml[pumps] - self.counted_ml[pumps])
        if not self.weighing.size:
            return np.asarray(known)
        true = np.maximum(0.0, self.empty_at_ml[pumps] - self.pumped_ml[pumps])
        step = np.where(self.is_weighed[pumps], self.gauge_step_ml[pumps], 1.0)
        return np.where(self.is_weighed[pumps], np.ceil(true / step) * step, known)

    def flow_ml_h(self, pump: int) -> float:
        """The mean flow as the pump measures it, by its motor or by its flow sensor."""
        drive = float(self.drive_ml_h[pump])
        if self.counts_motor[pump]:
            return drive * self.stuck_flow.get(pump, 1.0)
        siphoned = self.siphon_step_ml.get(pump, 0.0) / max(self.step_s, 1e-9) * SECONDS_PER_HOUR
        sensed = drive * float(self.flow_factor[pump]) + siphoned
        return sensed * float(self.sense_factor[pump])

    def runs_free(self, pump: int) -> bool:
        """Whether the pump senses a flow past its mechanism."""
        volume = self.siphon_step_ml.get(pump, 0.0)
        if self.counts_motor[pump] or not self.step_s:
            return False
        limit = self.profile(pump).free_flow_ml_h
        return volume / self.step_s * SECONDS_PER_HOUR > limit

    def is_starved(self, pump: int) -> bool:
        """Whether the volume that did not come has reached the alarm's limit."""
        return bool(self.missed_ml[pump] >= self.profile(pump).upstream_alarm_ml)

    def ambient_c(self, pump: int) -> float:
        """The temperature of the pump."""
        return self.temperature_c.get(pump, REFERENCE_C)

"""What one model of pump is like, as data read from `config/pumps/*.toml`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.errors import ConfigError
from infusion.messages import ReservoirGauge, Word
from infusion.prescription import ConcentrationIuMl
from infusion.settings import load_toml
from infusion.tables import nearest, read_table

Positive = Annotated[float, Meta(gt=0, le=1e6)]
NotNegative = Annotated[float, Meta(ge=0, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=0.5)]
Part = Annotated[float, Meta(ge=0, le=1)]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of pump. The source of each value stands beside it in the file.

    `accuracy` is the maker's claim for the mean flow; `bias_max` must lie inside it.
    `reservoir_gauge` says where the level comes from: measured, in steps of `reservoir_step_ml`;
    counted, what was typed in less what was counted, and the pump goes by it; or none, the same
    number, shown and nothing more. What the values of the mechanism and the line mean is in
    simulator/physics/flow.py and line.py.
    """

    name: Word
    firmware: Word
    counter: Literal["motor", "flow-sensor"]
    rate_min_ml_h: Positive
    rate_max_ml_h: Positive
    rate_resolution_ml_h: Positive
    kvo_ml_h: Annotated[float, Meta(ge=0, le=100)]
    stroke_ml: Positive
    stroke_duty: Annotated[float, Meta(gt=0, le=1)]
    stroke_rest_share: Part
    startup_slack_ml: NotNegative
    startup_slack_spread_ml: NotNegative
    startup_ml: NotNegative
    restart_slack_ml: NotNegative
    accuracy: Share
    bias_sd: Share
    bias_max: Share
    ripple_sd: Share
    ripple_max: Share
    ripple_time_min: Annotated[float, Meta(ge=2, le=1440)]
    head_error_per_mmhg: Annotated[float, Meta(ge=-0.01, le=0.01)]
    temperature_error_per_c: Annotated[float, Meta(ge=-0.05, le=0.05)]
    compliance_ml_mmhg: Positive
    resistance_mmhg_h_ml: Positive
    venous_pressure_mmhg: Annotated[float, Meta(ge=-100, le=300)]
    occlusion_limit_mmhg: Annotated[float, Meta(ge=50, le=3000)]
    occlusion_spread_mmhg: NotNegative
    occlusion_filter_s: Annotated[float, Meta(ge=0, le=300)]
    backoff_share: Part
    auto_restarts: Annotated[int, Meta(ge=0, le=9)]
    auto_restart_window_min: Positive
    auto_restart_check_s: NotNegative
    upstream_alarm_ml: Positive
    siphon_resistance_mmhg_h_ml: Positive
    free_resistance_mmhg_h_ml: Positive
    free_flow_ml_h: Positive
    air_smallest_ul: Positive
    air_single_ul: Positive
    air_accumulated_ul: Positive
    air_window_min: Positive
    reservoir_ml: Positive
    reservoir_gauge: ReservoirGauge
    reservoir_step_ml: NotNegative = 0.0
    concentration_iu_ml: ConcentrationIuMl
    reservoir_low_ml: Annotated[float, Meta(ge=0, le=1000)]
    battery_life_h: Positive
    battery_rate_ml_h: Positive
    battery_idle_share: Part
    battery_charge_h: Positive
    battery_cold_share_per_c: Annotated[float, Meta(ge=0, le=0.1)]
    battery_low_min: Positive
    battery_depleted_min: Positive
    temperature_time_min: Positive
    overheat_c: Annotated[float, Meta(ge=30, le=100)]
    boot_s: Positive
    backlog_messages: Annotated[int, Meta(ge=1, le=1_000_000)]
    alarms: dict[str, Priority]

    @property
    def occlusion_volume_ml(self) -> float:
        """What the line holds at the mean alarm limit: V = C·(P_lim − P_ven).

        Source: standard compliance model, pump-standards §3.1.
        """
        return self.compliance_ml_mmhg * (self.occlusion_limit_mmhg - self.venous_pressure_mmhg)

    @property
    def volume_step_ml(self) -> float:
        """What the volume counter moves by at once; 0 where it follows the motor.

        A tenth more than a stroke, because strokes have the pump's error.
        """
        if self.counter == "motor":
            return 0.0
        return round(1.1 * self.stroke_ml * (1.0 - self.stroke_rest_share), 6)

    def programmable_ml_h(self, rate_ml_h: float) -> float:
        """The rate nearest to `rate_ml_h` that can be typed in: whole steps between the limits.

        Nothing at all can be typed too.
        """
        if rate_ml_h <= 0:
            return 0.0
        rate_ml_h = min(max(rate_ml_h, self.rate_min_ml_h), self.rate_max_ml_h)
        return round(round(rate_ml_h / self.rate_resolution_ml_h) * self.rate_resolution_ml_h, 6)


def read_profile(data: bytes, name: str) -> Profile:
    """The profile in the bytes of a TOML file called `name`.

    Raises ConfigError for bad TOML, an unknown or missing key, a bad value, or values that
    contradict one another.
    """
    profile = read_table(Profile, load_toml(data, name), name)
    for wrong, text in _contradictions(profile):
        if wrong:
            raise ConfigError(f"{name}: {text}")
    for key in profile.alarms:
        if key not in DEVICE_ALARMS:
            raise ConfigError(
                f"{name}: [alarms]: the alarm {key!r} is unknown; {nearest(key, DEVICE_ALARMS)}"
            )
    return profile


def _contradictions(profile: Profile) -> tuple[tuple[bool, str], ...]:
    return (
        (profile.bias_max > profile.accuracy, "bias_max must be at most accuracy"),
        (
            profile.bias_max + profile.ripple_max >= 0.1,
            "bias_max + ripple_max must be below 0.1, or a sound pump would be found faulty",
        ),
        (
            profile.occlusion_limit_mmhg - profile.occlusion_spread_mmhg
            <= profile.venous_pressure_mmhg,
            "occlusion_limit_mmhg less occlusion_spread_mmhg must be above venous_pressure_mmhg",
        ),
        (
            profile.battery_depleted_min >= profile.battery_low_min,
            "battery_depleted_min must be below battery_low_min",
        ),
        (
            (profile.reservoir_gauge == "measured") != (profile.reservoir_step_ml > 0.0),
            'reservoir_step_ml must be above 0 where reservoir_gauge is "measured", else 0',
        ),
        (
            profile.reservoir_low_ml >= profile.reservoir_ml,
            "reservoir_low_ml must be below reservoir_ml",
        ),
        (
            profile.rate_min_ml_h >= profile.rate_max_ml_h,
            "rate_min_ml_h must be below rate_max_ml_h",
        ),
        (
            profile.startup_slack_spread_ml > profile.startup_slack_ml,
            "startup_slack_spread_ml must be at most startup_slack_ml",
        ),
        (
            profile.air_single_ul < profile.air_smallest_ul,
            "air_single_ul must be at least air_smallest_ul, which is all that can be seen",
        ),
    )

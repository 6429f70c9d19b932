"""What one model of pump is like, as data read from `config/pumps/*.toml`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from infusion.errors import ConfigError
from infusion.messages import Word
from infusion.prescription import ConcentrationIuMl
from infusion.settings import load_toml
from simulator.story.reading import read_table

Positive = Annotated[float, Meta(gt=0, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=0.5)]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of pump. The source of each value stands beside it in the file.

    `accuracy` is the maker's claim for the mean flow; `bias_max` must lie inside it.
    """

    name: Word
    firmware: Word
    rate_max_ml_h: Positive
    rate_resolution_ml_h: Positive
    kvo_ml_h: Annotated[float, Meta(ge=0, le=100)]
    accuracy: Share
    bias_sd: Share
    bias_max: Share
    ripple_sd: Share
    ripple_max: Share
    ripple_time_min: Annotated[float, Meta(ge=2, le=1440)]
    compliance_ml_mmhg: Positive
    resistance_mmhg_h_ml: Positive
    venous_pressure_mmhg: Annotated[float, Meta(ge=-100, le=300)]
    occlusion_limit_mmhg: Annotated[float, Meta(ge=50, le=3000)]
    occlusion_filter_s: Annotated[float, Meta(ge=0, le=300)]
    upstream_alarm_ml: Positive
    reservoir_ml: Positive
    concentration_iu_ml: ConcentrationIuMl
    reservoir_low_ml: Annotated[float, Meta(ge=0, le=1000)]
    battery_life_h: Positive
    battery_charge_h: Positive
    battery_low_min: Positive
    battery_depleted_min: Positive
    boot_s: Positive
    backlog_messages: Annotated[int, Meta(ge=1, le=1_000_000)]

    @property
    def occlusion_volume_ml(self) -> float:
        """What the line holds at the alarm limit: V = C·(P_lim − P_ven).

        Source: standard compliance model, pump-standards §3.1.
        """
        return self.compliance_ml_mmhg * (self.occlusion_limit_mmhg - self.venous_pressure_mmhg)

    def programmable_ml_h(self, rate_ml_h: float) -> float:
        """The rate nearest to `rate_ml_h` that can be typed in: whole steps, up to the maximum."""
        steps = round(rate_ml_h / self.rate_resolution_ml_h)
        return round(min(steps * self.rate_resolution_ml_h, self.rate_max_ml_h), 6)


def read_profile(data: bytes, name: str) -> Profile:
    """The profile in the bytes of a TOML file called `name`.

    Raises ConfigError for bad TOML, an unknown or missing key, a bad value, or values that
    contradict one another.
    """
    profile = read_table(Profile, load_toml(data, name), name)
    for wrong, text in (
        (profile.bias_max > profile.accuracy, "bias_max must be at most accuracy"),
        (
            profile.bias_max + profile.ripple_max >= 0.1,
            "bias_max + ripple_max must be below 0.1, or a sound pump would be found faulty",
        ),
        (
            profile.occlusion_limit_mmhg <= profile.venous_pressure_mmhg,
            "occlusion_limit_mmhg must be above venous_pressure_mmhg",
        ),
        (
            profile.battery_depleted_min >= profile.battery_low_min,
            "battery_depleted_min must be below battery_low_min",
        ),
        (
            profile.reservoir_low_ml >= profile.reservoir_ml,
            "reservoir_low_ml must be below reservoir_ml",
        ),
    ):
        if wrong:
            raise ConfigError(f"{name}: {text}")
    return profile

"""How patients are looked after, as data read from `config/protocols/*.toml`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.errors import ConfigError
from infusion.messages import Word
from infusion.settings import load_toml
from infusion.tables import read_table

Share = Annotated[float, Meta(ge=0, le=1)]
Variation = Annotated[float, Meta(ge=0, le=0.5)]
Spread = Annotated[float, Meta(ge=0, le=2)]
Minutes = Annotated[float, Meta(gt=0, le=1440)]
Hours = Annotated[float, Meta(gt=0, le=720)]
Days = Annotated[float, Meta(ge=0, le=365)]
Positive = Annotated[float, Meta(gt=0, le=1e4)]

LevelTest = Literal["anti-xa", "aptt"]
Test = Literal["anti-xa", "aptt", "platelets", "haemoglobin", "inr"]


class Laboratory(Struct, frozen=True, kw_only=True):
    """What the laboratory makes of a specimen, how long it takes, and how often it goes wrong.

    `_cv` are coefficients of variation of one measurement, `_share` parts of all specimens.
    """

    reagent_slope_ml_iu: Annotated[float, Meta(ge=0.5, le=5)]
    control_aptt_s: Positive
    anti_xa_cv: Variation
    aptt_cv: Variation
    platelets_cv: Variation
    haemoglobin_cv: Variation
    inr_cv: Variation
    anti_xa_low_iu_ml: Positive
    anti_xa_high_iu_ml: Positive
    aptt_max_s: Positive
    turnaround_median_min: Minutes
    turnaround_log_sd: Spread
    haemolysed_share: Share
    clotted_share: Share
    lost_share: Share
    lumen_share: Share
    lost_noticed_h: Hours


class Calendar(Struct, frozen=True, kw_only=True):
    """When which test is due. The levels' own times are the nomogram's.

    `haemoglobin_after_h` is when it is drawn again after a bleeding was reported and it was drawn.
    """

    levels: tuple[LevelTest, ...]
    settled_h: Hours
    platelets_from_day: Days
    platelets_until_day: Days
    platelets_every_h: Hours
    haemoglobin_every_h: Hours
    haemoglobin_after_h: Annotated[tuple[Hours, ...], Meta(max_length=8)] = ()
    inr_every_h: Hours
    together_h: Annotated[float, Meta(ge=0, le=24)]


class Nurse(Struct, frozen=True, kw_only=True):
    """How long drawing a specimen and programming an order take: lognormal delays."""

    draw_median_min: Minutes
    draw_log_sd: Spread
    apply_median_min: Minutes
    apply_log_sd: Spread
    bolus_duration_s: Annotated[float, Meta(gt=0, le=86_400)]


class Prescriber(Struct, frozen=True, kw_only=True):
    """When the prescriber acts, and what ends the therapy."""

    order_median_min: Minutes
    order_log_sd: Spread
    wait_h: Hours
    bridging_days: Days
    bridging_inr: Positive
    platelets_fall: Share
    haemoglobin_fall_g_dl: Positive
    notice_median_h: Hours
    notice_log_sd: Spread


class Slips(Struct, frozen=True, kw_only=True):
    """How often applying an order goes wrong, as a share of the orders that could go wrong so.

    `second_check_catches` is the share of the wrong numbers that never reach the pump,
    `noticed_at_visit` that of the wrong rates which who comes to draw blood sees and puts right.
    """

    tenfold: Share
    units_for_ml: Share
    pounds_for_kg: Share
    late: Share
    wrong_direction: Share
    not_applied: Share
    bolus_twice: Share
    hold_forgotten: Share
    restart_forgotten: Share
    second_check_catches: Share
    noticed_at_visit: Share


class Protocol(Struct, frozen=True, kw_only=True):
    """All of it. `nomogram` is the name of a file of config/nomograms."""

    name: Word
    nomogram: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}$")]
    laboratory: Laboratory
    calendar: Calendar
    nurse: Nurse
    prescriber: Prescriber
    slips: Slips


# The shares that exclude one another: all but what becomes of a slip.
_SLIP_SHARES = Slips.__struct_fields__[:-2]
_SECTIONS: dict[str, type[Struct]] = {
    "laboratory": Laboratory,
    "calendar": Calendar,
    "nurse": Nurse,
    "prescriber": Prescriber,
    "slips": Slips,
}


def read_protocol(data: bytes, name: str) -> Protocol:
    """The protocol in the bytes of a TOML file called `name`.

    Raises ConfigError for bad TOML, an unknown or missing key, a bad value, or values that
    contradict one another.
    """
    document = load_toml(data, name)
    for section, kind in _SECTIONS.items():
        table = document.get(section)
        if not isinstance(table, dict):
            raise ConfigError(f"{name}: the table [{section}] is missing; add it")
        document[section] = read_table(kind, table, f"{name}: [{section}]")
    protocol = read_table(Protocol, document, name)
    laboratory, calendar, slips = protocol.laboratory, protocol.calendar, protocol.slips
    shares = (
        laboratory.haemolysed_share
        + laboratory.clotted_share
        + laboratory.lost_share
        + laboratory.lumen_share
    )
    for wrong, text in (
        (
            laboratory.anti_xa_low_iu_ml >= laboratory.anti_xa_high_iu_ml,
            "[laboratory]: anti_xa_low_iu_ml must be below anti_xa_high_iu_ml",
        ),
        (shares > 1, "[laboratory]: the shares of specimens must add up to at most 1"),
        (not calendar.levels, "[calendar]: levels must name at least one test"),
        (
            calendar.platelets_from_day > calendar.platelets_until_day,
            "[calendar]: platelets_from_day must be at most platelets_until_day",
        ),
        (
            sum(getattr(slips, field) for field in _SLIP_SHARES) > 1,
            "[slips]: the shares must add up to at most 1",
        ),
    ):
        if wrong:
            raise ConfigError(f"{name}: {text}")
    return protocol

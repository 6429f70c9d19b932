"""What a cohort's file says: the people, bags and troubles of a ward or of a home service.

simulator/ward.py draws whole days from it, simulator/carer.py answers alarms by its [care]. Rates
are per pump-hour of the whole day; what depends on the time of day is spread by `[day]`.
"""

from typing import Annotated

from msgspec import Meta, Struct

from infusion.errors import ConfigError
from infusion.prescription import ConcentrationIuMl
from infusion.settings import load_toml
from simulator.story.entries import SomeMl
from simulator.story.reading import Offset, read_table

Share = Annotated[float, Meta(ge=0, le=1)]
RatePerHour = Annotated[float, Meta(ge=0, le=10)]
Some = Annotated[float, Meta(gt=0, le=100_000)]
Spread = Annotated[float, Meta(ge=0, le=3)]
Factor = Annotated[float, Meta(ge=0, le=100)]
HOURS = 24


class Lasting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lognormal duration: its median, and the standard deviation of its logarithm."""

    median_s: Some
    sigma: Spread


class Day(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The time of day at which a drawn story begins, and how busy each hour of a day is.

    `by_hour` has 24 factors, from midnight on; only their proportions count.
    """

    begins_at: Offset
    by_hour: Annotated[tuple[Factor, ...], Meta(min_length=HOURS, max_length=HOURS)]

    def factors(self) -> tuple[float, ...]:
        """How busy each hour is, from midnight on, with a mean of 1."""
        mean = sum(self.by_hour) / HOURS
        return tuple(factor / mean for factor in self.by_hour)


class People(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights and doses. The dose falls with weight: dose · (weight / 70 kg)^-0.25.

    `unevenness` is the coefficient of variation, from pump to pump, of every rate of trouble.
    """

    weight_median_kg: Annotated[float, Meta(ge=30, le=200)]
    weight_sigma: Spread
    dose_iu_kg_h: Annotated[float, Meta(ge=4, le=25)]
    dose_sigma: Spread
    unevenness: Spread


class Bags(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bags, and how they are changed: with `spare_ml` left, unless that is forgotten."""

    volume_ml: SomeMl
    concentration_iu_ml: ConcentrationIuMl
    spare_ml: tuple[SomeMl, SomeMl]
    forgotten: Share
    change: Lasting


class Trouble(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that comes at a rate and lasts for a time."""

    per_hour: RatePerHour
    lasts: Lasting


class Holds(Trouble, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Standby: how often, and for how long people set it.

    `forgotten` is the share of holds that nobody ends before the pump says that the time is over;
    the others are ended after a share of the time between the two of `used`.
    """

    forgotten: Share
    used: tuple[Share, Share]


class Powers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Time on the battery; `flat` is the share of times at which it is nearly flat."""

    per_hour: RatePerHour
    lasts: Lasting
    flat: Share
    flat_level: tuple[Share, Share]
    level: tuple[Share, Share]


class Care(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers alarms: the time from an alarm to its end, and what may go wrong.

    The response is lognormal. It is `night_factor` longer from 22:00 to 06:00 than by day, and
    longer by `load_factor` for each alarm of the pump in the last 120 minutes; both leave the mean
    of a usual day alone. `usual_per_hour` is the alarm load at which that mean holds. The volume
    to be infused is set for some hours ahead, gamma distributed with a mean and a shape.
    """

    response: Lasting
    night_factor: Annotated[float, Meta(ge=1, le=10)]
    load_factor: Annotated[float, Meta(ge=0, le=2)]
    usual_per_hour: RatePerHour
    wrong_first: Share
    silence_first: Share
    silence_s: Some
    vtbi_h: Some
    vtbi_shape: Some


class WardFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cohort's file. `profiles` is the mix of pumps: names in config/pumps and weights."""

    title: str
    pumps: Annotated[int, Meta(ge=1, le=100_000)]
    profiles: Annotated[dict[str, Some], Meta(min_length=1)]
    day: Day
    people: People
    bags: Bags
    hold: Holds
    bend: Trouble
    clamp: Trouble
    transport: Powers
    offline_in_transport: Share
    wifi: Trouble
    care: Care


def read_ward(data: bytes, name: str) -> WardFile:
    """The cohort in the bytes of a TOML file called `name`.

    Raises ConfigError that names file, table and key.
    """
    ward = read_table(WardFile, load_toml(data, name), name)
    for place, (least, most) in (
        ("bags.spare_ml", ward.bags.spare_ml),
        ("hold.used", ward.hold.used),
        ("transport.level", ward.transport.level),
        ("transport.flat_level", ward.transport.flat_level),
    ):
        if most < least:
            raise ConfigError(f"{name}: key {place!r}: {most:g} is below {least:g}; turn them")
    if ward.bags.spare_ml[1] >= ward.bags.volume_ml:
        raise ConfigError(f"{name}: key 'bags.spare_ml': more than a bag holds; give less")
    if sum(ward.day.by_hour) <= 0:
        raise ConfigError(f"{name}: key 'day.by_hour': all are 0; give one above 0")
    if ward.day.begins_at.ms >= HOURS * 3_600_000:
        raise ConfigError(f"{name}: key 'day.begins_at': not a time of day; write 00:00 to 23:59")
    return ward

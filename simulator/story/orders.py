"""What a prescriber orders: one Struct for each word after `do` in an [[order]]."""

from typing import Annotated

from msgspec import Meta

from simulator.story.entries import DoseRate, Entry, Seconds
from simulator.story.reading import Offset, parse_offset

NEVER = "never"


class Order(Entry, frozen=True, kw_only=True):
    """A new version of the order. The pump follows after `applied_after`, unless it is never."""

    applied_after: str = "00:00"

    @property
    def applied_after_ms(self) -> int | None:
        """How long after the order the pump is programmed to it; None when never."""
        return None if self.applied_after == NEVER else parse_offset(self.applied_after).ms


class OrderStart(Order, frozen=True, kw_only=True):
    """The infusion begins again after a stop."""

    dose_iu_kg_h: DoseRate | None = None
    dose_iu_h: DoseRate | None = None


class OrderRate(Order, frozen=True, kw_only=True):
    """The infusion goes on at another rate."""

    dose_iu_kg_h: DoseRate | None = None
    dose_iu_h: DoseRate | None = None


class OrderHold(Order, frozen=True, kw_only=True):
    """The infusion pauses until a time."""

    until: Offset


class OrderBolus(Order, frozen=True, kw_only=True):
    """A bolus on top of the continuous rate."""

    dose_iu: Annotated[float, Meta(gt=0, le=100_000)]
    duration_s: Seconds


class OrderStop(Order, frozen=True, kw_only=True):
    """The infusion ends."""


# What the word after `do` may be, and which keys go with it.
ORDERS: dict[str, type[Order]] = {
    "start": OrderStart,
    "rate": OrderRate,
    "hold": OrderHold,
    "bolus": OrderBolus,
    "stop": OrderStop,
}

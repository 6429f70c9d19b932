"""What a hazard of the trial is: a row of HAZARDS, and one that was planted on a patient's day."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from simulator.story.entries import Entry
from simulator.story.orders import Order
from simulator.story.reading import Offset

Group = Literal["programming", "order", "line", "flow", "supply", "technical", "clinic"]
# P1 act now, P2 within 30 minutes, P3 the same day (heparin.md §6).
Urgency = Literal[1, 2, 3]


class Bed(Struct, frozen=True, kw_only=True):
    """Where and when a hazard is planted. Times are ms from the start of the story.

    `partner` is another pump of the same fleet. `rate_ml_h` is what the first order makes of the
    dose; a clinic may have changed it by then.
    """

    pump: str
    partner: str
    weight_kg: float
    dose_iu_kg_h: float
    concentration_iu_ml: float
    rate_ml_h: float
    at_ms: int
    until_ms: int
    chance: np.random.Generator

    def uniform(self, low: float, high: float) -> float:
        """An even draw."""
        return float(self.chance.uniform(low, high))

    def one_of(self, *choices: float) -> float:
        """One of several, each as likely."""
        return choices[int(self.chance.integers(len(choices)))]


class Planted(Struct, frozen=True, kw_only=True):
    """What chance planted. Times are ms from the start of the story.

    `onset_ms` is when the hazard begins, unless the row's `begins` finds it in the stream;
    `until_ms` is when somebody mends it at the latest. While `is_unattended`, nobody answers what
    the pump alarms. `partner` is a second pump that it touches.
    """

    onset_ms: int
    until_ms: int
    faults: tuple[Entry, ...] = ()
    actions: tuple[Entry, ...] = ()
    orders: tuple[Order, ...] = ()
    events: tuple[Entry, ...] = ()
    is_unattended: bool = False
    partner: str = ""


class Hazard(Struct, frozen=True, kw_only=True):
    """One kind of hazard.

    - `answers`: the rules whose alert finds it; `follows`: others that may rightly be alerted too.
    - `definition_min`: how long it must last before it is a hazard at all, with its `source`.
    - `sign`: the name in SIGNS of what a message must show to contradict a healthy pump.
    - `force`: the condition of truth that says how long it really lasted; "" where the story does.
    - `begins`: the name in SIGNS of what marks the onset; "" where the story knows it.
    - `lasts_min`: the range of its length.
    - `is_shy`: kept apart from all else of the day, because one would hide the other.
    - `days_min`: a shorter story cannot hold it.
    - `linger_min`: how long after its end an alert still answers it, beyond the usual.
    """

    key: str
    group: Group
    urgency: Urgency
    plant: Callable[[Bed], Planted]
    answers: frozenset[str]
    definition_min: float
    source: str
    sign: str
    lasts_min: tuple[float, float]
    follows: frozenset[str] = frozenset()
    force: str = ""
    begins: str = ""
    is_shy: bool = True
    days_min: int = 1
    from_min: float = 60.0
    to_min: float | None = None
    linger_min: float = 15.0


def at(kind: type[Entry], bed: Bed, at_ms: int, **keys: Any) -> Entry:
    """An entry of a story on the bed's pump."""
    return kind(at=Offset(at_ms), pump=bed.pump, **keys)


def at_order(kind: type[Order], bed: Bed, at_ms: int, **keys: Any) -> Order:
    """An order for the bed's pump."""
    return kind(at=Offset(at_ms), pump=bed.pump, **keys)


def lasting(kind: type[Entry], bed: Bed, **keys: Any) -> Planted:
    """A fault from the bed's beginning to its end, and nothing else."""
    fault = at(kind, bed, bed.at_ms, until=Offset(bed.until_ms), **keys)
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, faults=(fault,))

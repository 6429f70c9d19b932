"""What a pump may do at an instant: the order, and the time that people have to carry it out.

A changed rate may be programmed a little early, and some time late; a bolus is given when somebody
comes. So at any instant there are several rates at which nobody has done anything wrong. What is
delivered is held against the least and the most of them.
"""

from bisect import bisect_left, bisect_right

from msgspec import Struct

from infusion.prescription import Timeline
from infusion.thresholds import Thresholds
from infusion.units import MS_PER_MINUTE

FOREVER_MS = 2**62


class Bolus(Struct, frozen=True, array_like=True, gc=False):
    """An ordered bolus: its instants, and the dose rate that it adds."""

    begin_ms: int
    end_ms: int
    rate_iu_h: float


class Allowed(Struct, frozen=True, array_like=True, gc=False):
    """What is allowed from an instant until `until_ms`; dose rates in IU/h.

    `ordered_iu_h` is the continuous rate in force, `rates_iu_h` all continuous rates that are
    allowed, from `least_iu_h` to `most_iu_h`, `boluses` those that may be given now.
    """

    ordered_iu_h: float
    least_iu_h: float
    most_iu_h: float
    rates_iu_h: tuple[float, ...]
    boluses: tuple[Bolus, ...]
    until_ms: int


def allowed(timeline: Timeline, at_ms: int, limits: Thresholds) -> Allowed:
    """What a pump may do at an instant of the order's time."""
    times = timeline.times_ms
    early_ms = round(limits.early_grace_min * MS_PER_MINUTE)
    change_ms = round(limits.change_grace_min * MS_PER_MINUTE)
    hold_ms = round(limits.hold_grace_min * MS_PER_MINUTE)
    grace_bolus_ms = round(limits.bolus_grace_min * MS_PER_MINUTE)
    void_ms = round(limits.bolus_void_min * MS_PER_MINUTE)
    ordered = timeline.base_rate_iu_h(at_ms)
    grace_ms = change_ms if ordered else hold_ms
    rates = timeline.base_rates_iu_h(at_ms - grace_ms, at_ms + early_ms) or (0.0,)
    if at_ms - grace_ms < (times[0] if times else 0):
        # Before the therapy began, nothing was ordered; and nothing may still be given.
        rates = (0.0, *rates)
    boluses = tuple(
        Bolus(begin, end, rate)
        for begin, end, rate in timeline.boluses
        if begin - early_ms <= at_ms < end + void_ms
    )
    edges = [FOREVER_MS]
    first = bisect_left(times, at_ms - max(change_ms, hold_ms))
    last = bisect_right(times, at_ms + early_ms) + 1
    for time_ms in times[first:last]:
        edges += (time_ms - early_ms, time_ms, time_ms + hold_ms, time_ms + change_ms)
    for begin, end, _ in timeline.boluses:
        edges += (begin - early_ms, end + grace_bolus_ms, end + void_ms)
    until_ms = min(edge for edge in edges if edge > at_ms)
    return Allowed(ordered, min(rates), max(rates), tuple(dict.fromkeys(rates)), boluses, until_ms)


def near(value: float, expected: float, tolerance: float) -> bool:
    """Whether a value is within a share of what is expected."""
    return abs(value - expected) <= tolerance * expected

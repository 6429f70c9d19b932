"""The prescription: what was ordered, as a timeline, and the dose expected over any interval.

An order is a list of steps. `start` and `rate` set the continuous rate, `hold` stops it for a
while, `bolus` adds a dose, `stop` ends the therapy. A new version of an order carries the whole
timeline again, past steps included, so the highest version alone says everything; the order in
which versions arrive cannot matter. When a patient's weight changes, the past steps of the new
version are given in IU/h, so that history keeps its meaning.

A prescription is compiled into a `Timeline`: instants, the expected dose rate after each, and the
dose expected up to each. The expected dose is piecewise linear in time, so any interval is two
look-ups and a subtraction, exact but for floating point.
"""

from bisect import bisect_right
from typing import Annotated

from msgspec import Meta, Struct

from infusion.errors import MessageError
from infusion.units import MS_PER_HOUR, MS_PER_SECOND, dose_rate_iu_h

STEPS_MAX = 500
# The last part keeps a trailing line feed out, which `$` alone would let pass.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)"

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
# 2000-01-01 to 2100-01-01: a device whose clock says anything else does not know the time.
TimeMs = Annotated[int, Meta(ge=946_684_800_000, le=4_102_444_800_000)]
DoseRate = Annotated[float, Meta(ge=0, le=100_000)]
WeightKg = Annotated[float, Meta(ge=0.3, le=500)]
ConcentrationIuMl = Annotated[float, Meta(gt=0, le=50_000)]


class Start(Struct, frozen=True, kw_only=True, tag_field="do", tag="start", gc=False):
    """Begin, or begin again after a stop. Exactly one of the two rates is given."""

    at_ms: TimeMs
    rate_iu_kg_h: DoseRate | None = None
    rate_iu_h: DoseRate | None = None


class RateChange(Struct, frozen=True, kw_only=True, tag_field="do", tag="rate", gc=False):
    """Go on at another rate. During a hold it takes effect when the hold ends."""

    at_ms: TimeMs
    rate_iu_kg_h: DoseRate | None = None
    rate_iu_h: DoseRate | None = None


class Hold(Struct, frozen=True, kw_only=True, tag_field="do", tag="hold", gc=False):
    """No continuous delivery from `at_ms` until `until_ms`, then the rate in force goes on."""

    at_ms: TimeMs
    until_ms: TimeMs


class Bolus(Struct, frozen=True, kw_only=True, tag_field="do", tag="bolus", gc=False):
    """A dose given evenly over `duration_s`, in addition to the continuous rate.

    A hold stops the continuous rate only: a bolus is ordered for its own instant.
    """

    at_ms: TimeMs
    dose_iu: Annotated[float, Meta(gt=0, le=100_000)]
    duration_s: Annotated[float, Meta(gt=0, le=86_400)]


class Stop(Struct, frozen=True, kw_only=True, tag_field="do", tag="stop", gc=False):
    """End the therapy. A later start may begin it again."""

    at_ms: TimeMs


Step = Start | RateChange | Hold | Bolus | Stop


class Prescription(Struct, frozen=True, kw_only=True, gc=False):
    """One version of the order for one therapy on one pump.

    Raises `MessageError` (from `compile_timeline`) where the steps make no sense.
    """

    therapy: Name
    version: Annotated[int, Meta(ge=1)]
    pump: Name
    weight_kg: WeightKg
    concentration_iu_ml: ConcentrationIuMl
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=STEPS_MAX)]


class Timeline(Struct, frozen=True, gc=False):
    """The expected dose as a piecewise linear function of time.

    `times_ms[i]` begins a piece with the dose rate `rates_iu_h[i]`; `doses_iu[i]` is expected up
    to it. `bases_iu_h[i]` is the same rate without boluses: what the pump should be
    programmed to. The lists are of one length; before the first instant all is zero. `boluses`
    are begin, end and added rate (IU/h) of each.
    """

    times_ms: tuple[int, ...]
    rates_iu_h: tuple[float, ...]
    bases_iu_h: tuple[float, ...]
    doses_iu: tuple[float, ...]
    boluses: tuple[tuple[int, int, float], ...] = ()

    def moved(self, by_ms: int) -> "Timeline":
        """The same timeline, so much later: as a pump sees it whose clock was set by so much."""
        return Timeline(
            tuple(time + by_ms for time in self.times_ms),
            self.rates_iu_h,
            self.bases_iu_h,
            self.doses_iu,
            tuple((begin + by_ms, end + by_ms, rate) for begin, end, rate in self.boluses),
        )

    def dose_until_iu(self, at_ms: int) -> float:
        """The dose expected from the beginning of the therapy up to an instant."""
        piece = bisect_right(self.times_ms, at_ms) - 1
        if piece < 0:
            return 0.0
        hours = (at_ms - self.times_ms[piece]) / MS_PER_HOUR
        return self.doses_iu[piece] + self.rates_iu_h[piece] * hours

    def dose_iu(self, from_ms: int, to_ms: int) -> float:
        """The dose expected in the interval [from, to)."""
        piece = bisect_right(self.times_ms, to_ms) - 1
        if piece >= 0 and self.times_ms[piece] <= from_ms:
            return self.rates_iu_h[piece] * (to_ms - from_ms) / MS_PER_HOUR
        return self.dose_until_iu(to_ms) - self.dose_until_iu(from_ms)

    def rate_iu_h(self, at_ms: int) -> float:
        """The dose rate expected at an instant, boluses included."""
        piece = bisect_right(self.times_ms, at_ms) - 1
        return self.rates_iu_h[piece] if piece >= 0 else 0.0

    def base_rate_iu_h(self, at_ms: int) -> float:
        """The continuous rate in force at an instant, without boluses."""
        piece = bisect_right(self.times_ms, at_ms) - 1
        return self.bases_iu_h[piece] if piece >= 0 else 0.0

    def running_since_ms(self, at_ms: int) -> int | None:
        """Since when a continuous rate above zero has been ordered without a break; None if not."""
        piece = bisect_right(self.times_ms, at_ms) - 1
        if piece < 0 or self.bases_iu_h[piece] == 0:
            return None
        while piece > 0 and self.bases_iu_h[piece - 1] > 0:
            piece -= 1
        return self.times_ms[piece]

    def changed_ms(self, at_ms: int) -> int:
        """When the continuous rate in force at an instant came into force; boluses do not count."""
        piece = bisect_right(self.times_ms, at_ms) - 1
        while piece > 0 and self.bases_iu_h[piece - 1] == self.bases_iu_h[piece]:
            piece -= 1
        return self.times_ms[piece] if piece >= 0 else at_ms

    def base_rates_iu_h(self, from_ms: int, to_ms: int) -> tuple[float, ...]:
        """The continuous rates in force at any instant from one to another."""
        first = max(0, bisect_right(self.times_ms, from_ms) - 1)
        return self.bases_iu_h[first : bisect_right(self.times_ms, to_ms)]


def compile_timeline(prescription: Prescription) -> Timeline:
    """The timeline of a prescription.

    Raises `MessageError` (kind `order`) naming the step that makes no sense: a rate, hold or stop
    before any start, a rate after a stop, both or neither rate unit, a hold that ends before it
    begins.
    """
    steps = sorted(enumerate(prescription.steps, start=1), key=lambda pair: pair[1].at_ms)
    base: list[tuple[int, float]] = []
    holds: list[tuple[int, int]] = []
    boluses: list[tuple[int, int, float]] = []
    is_stopped = False
    for number, step in steps:
        if isinstance(step, Bolus):
            length_ms = max(1, round(step.duration_s * MS_PER_SECOND))
            rate = step.dose_iu * MS_PER_HOUR / length_ms
            boluses.append((step.at_ms, step.at_ms + length_ms, rate))
            continue
        if not base and not isinstance(step, Start):
            raise _refusal(prescription, number, "comes before any start; begin with a start")
        if isinstance(step, Hold):
            if step.until_ms <= step.at_ms:
                raise _refusal(prescription, number, "ends before it begins; until_ms > at_ms")
            holds.append((step.at_ms, step.until_ms))
        elif isinstance(step, Stop):
            is_stopped = True
            base.append((step.at_ms, 0.0))
        elif is_stopped and not isinstance(step, Start):
            raise _refusal(prescription, number, "comes after a stop; begin again with a start")
        else:
            is_stopped = False
            base.append((step.at_ms, _step_rate_iu_h(prescription, number, step)))
    return _assemble(base, holds, boluses)


def _step_rate_iu_h(prescription: Prescription, number: int, step: Start | RateChange) -> float:
    if (step.rate_iu_kg_h is None) == (step.rate_iu_h is None):
        raise _refusal(prescription, number, "needs exactly one of rate_iu_kg_h and rate_iu_h")
    if step.rate_iu_h is not None:
        return step.rate_iu_h
    assert step.rate_iu_kg_h is not None
    return dose_rate_iu_h(step.rate_iu_kg_h, prescription.weight_kg)


def _refusal(prescription: Prescription, number: int, what: str) -> MessageError:
    place = f"order {prescription.therapy} version {prescription.version}, step {number}"
    return MessageError(
        "order",
        f"{place}: {what}",
        pump=prescription.pump,
        therapy=prescription.therapy,
        version=prescription.version,
    )


def _assemble(
    base: list[tuple[int, float]],
    holds: list[tuple[int, int]],
    boluses: list[tuple[int, int, float]],
) -> Timeline:
    """Lay base rates, holds and boluses over one another; equal neighbours become one piece."""
    instants = {at for at, _ in base}
    instants.update(edge for hold in holds for edge in hold)
    instants.update(edge for begin, end, _ in boluses for edge in (begin, end))
    times: list[int] = []
    rates: list[float] = []
    base_rates: list[float] = []
    doses: list[float] = []
    rate = 0.0
    dose = 0.0
    last_ms = 0
    for at in sorted(instants):
        dose += rate * (at - last_ms) / MS_PER_HOUR
        last_ms = at
        held = any(begin <= at < end for begin, end in holds)
        continuous = 0.0 if held else _latest(base, at)
        rate = continuous + sum(extra for begin, end, extra in boluses if begin <= at < end)
        if rates and rates[-1] == rate and base_rates[-1] == continuous:
            continue
        times.append(at)
        rates.append(rate)
        base_rates.append(continuous)
        doses.append(dose)
    return Timeline(
        tuple(times), tuple(rates), tuple(base_rates), tuple(doses), tuple(sorted(boluses))
    )


def _latest(base: list[tuple[int, float]], at_ms: int) -> float:
    """The rate set last at or before an instant; `base` is in order of time."""
    rate = 0.0
    for begin, value in base:
        if begin > at_ms:
            break
        rate = value
    return rate

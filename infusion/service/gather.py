"""The evidence for an account out of the messages that were said: what a recording holds.

Messages may come late, twice or out of order: samples of a pump's counter are kept by the message's
own boot and number, and what they say depends only on which ones there are. What was pumped between
two of them is what the dose account makes of it (infusion/counter.py), so both tell the same dose.

*When* it was pumped: between two messages that follow one another, for as long as the first one
says that the pump delivers; where messages are missing, from the first one on, for as long as the
volume takes at the programmed rate, and marked as estimated [A]. Time of which no pump of the
therapy told anything is named apart.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from msgspec import UNSET

from infusion.clinical import Report
from infusion.counter import SEQUENCE_BITS, Run, join, same_boot, sample_key
from infusion.errors import ConfigError
from infusion.messages import Event, Message, Presence, PumpMessage, Telemetry
from infusion.prescription import Hold, Prescription, Start, Stop, compile_timeline
from infusion.report_words import read_words
from infusion.service.evidence import Bag, Evidence, Segment, Visit
from infusion.service.spans import Span, Spans, union
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, NL_PER_ML, nanolitres

SAMPLES_MAX = 4_000_000
# A pump is silent for so long before its silence is told: the monitor's own limit [A].
UNKNOWN_MS = 5 * MS_PER_MINUTE
# A bag is a new one when the reservoir rises by so much, as in infusion/edge.py [A].
_NEW_BAG_NL = 5 * NL_PER_ML
_CLEARED = "MDC_EVT_PUMP_VOL_COUNTERS_CLEARED"
# No pump of the contract is faster, where its presence was never heard.
_RATE_MAX_ML_H = 10_000.0


class Reading(NamedTuple):
    """One message of a pump, as far as an account needs it. `reservoir_nl` is −1 where unsaid."""

    time_ms: int
    volume_nl: int
    rate_ml_h: float
    concentration_iu_ml: float
    delivering: bool
    cleared: bool
    reservoir_nl: int
    therapy: str | None


class Gathered:
    """Takes messages in any order, and gives the evidence for each therapy that has an order."""

    def __init__(self, only: frozenset[str] = frozenset()) -> None:
        """`only` names the therapies that are wanted; all of them where it is empty."""
        self._only = only
        self._orders: dict[str, Prescription] = {}
        self._reports: dict[str, dict[str, Report]] = {}
        self._readings: dict[str, dict[int, Reading]] = {}
        self._rates: dict[str, float] = {}
        self._count = 0
        self._until_ms = 0

    def take(self, message: Message) -> None:
        """Keep a message. Raises ConfigError when there are more than can be counted at once."""
        if isinstance(message, Telemetry | Event):
            self._take_reading(message)
        elif isinstance(message, Presence):
            self._rates[message.pump] = message.rate_max_ml_h
        elif isinstance(message, Prescription):
            known = self._orders.get(message.therapy)
            if self._wants(message.therapy) and (known is None or message.version > known.version):
                self._orders[message.therapy] = message
        elif isinstance(message, Report) and self._wants(message.therapy):
            self._reports.setdefault(message.therapy, {}).setdefault(message.report, message)
            self._until_ms = max(self._until_ms, message.time_ms)

    def therapies(self) -> list[str]:
        """The therapies that were ordered, by name."""
        return sorted(self._orders)

    def evidence(self, therapy: str, until_ms: int | None = None) -> Evidence | None:
        """The evidence for a therapy, known to `until_ms` (the newest message); None where it has
        not begun by then, or nothing was ordered."""
        order = self._orders.get(therapy)
        until_ms = self._until_ms + 1 if until_ms is None else until_ms
        if order is None:
            return None
        starts = [step.at_ms for step in order.steps if isinstance(step, Start)]
        if not starts or min(starts) >= until_ms:
            return None
        stop_ms = stop_of(order, until_ms)
        end_ms = until_ms if stop_ms is None else stop_ms
        segments: list[Segment] = []
        bags: list[Bag] = []
        heard: list[int] = []
        for pump in sorted(self._readings):
            chosen = self._readings_of(pump, therapy, order)
            if chosen:
                rate = self._rates.get(pump, _RATE_MAX_ML_H)
                segments += segments_of(pump, chosen, rate)
                bags += _bags(pump, chosen)
                heard += [reading.time_ms for _, reading in chosen]
        reports = sorted(self._reports.get(therapy, {}).values(), key=lambda each: each.time_ms)
        return Evidence(
            therapy=therapy,
            start_ms=min(starts),
            stop_ms=stop_ms,
            until_ms=until_ms,
            segments=tuple(segments),
            holds=holds_of(order, end_ms),
            hospital=stays_of(reports, end_ms),
            unknown=silences(sorted(heard), min(starts), end_ms),
            bags=tuple(sorted(_with_lots(bags, reports))),
            visits=tuple(visits_of(reports)),
        )

    def _wants(self, therapy: str) -> bool:
        return not self._only or therapy in self._only

    def _take_reading(self, message: PumpMessage) -> None:
        if message.therapy is not None and not self._wants(message.therapy):
            return
        self._until_ms = max(self._until_ms, message.time_ms)
        reservoir_nl = nanolitres(message.reservoir_ml) if isinstance(message, Telemetry) else -1
        readings = self._readings.setdefault(message.pump, {})
        key = sample_key(message.boot, message.seq)
        if key in readings:
            return
        self._count += 1
        if self._count > SAMPLES_MAX:
            raise ConfigError(
                f"more than {SAMPLES_MAX} messages of pumps; name one --therapy at a time"
            )
        readings[key] = Reading(
            message.time_ms,
            nanolitres(message.volume_ml),
            message.rate_ml_h,
            message.concentration_iu_ml,
            message.delivery == "delivering",
            isinstance(message, Event) and message.event == _CLEARED,
            reservoir_nl,
            message.therapy,
        )

    def _readings_of(
        self, pump: str, therapy: str, order: Prescription
    ) -> list[tuple[int, Reading]]:
        """A pump's readings of one therapy, in order; those that name none are its order's."""
        return [
            (key, reading)
            for key, reading in sorted(self._readings[pump].items())
            if reading.therapy == therapy or (reading.therapy is None and order.pump == pump)
        ]


def segments_of(
    pump: str, readings: list[tuple[int, Reading]], rate_max_ml_h: float
) -> list[Segment]:
    """The infusion between readings in order of their keys, joined where nothing changes."""
    segments: list[Segment] = []
    for (key, before), (next_key, after) in pairwise(readings):
        volume_nl = _gain_nl(key, before, next_key, after, rate_max_ml_h)
        is_next = next_key == key + 1
        span = _when(before, after, volume_nl, is_next=is_next)
        if span is None:
            continue
        is_new_epoch = after.cleared or not same_boot(key, next_key)
        mine = Segment(
            span=span,
            pump=pump,
            volume_nl=volume_nl,
            concentration_iu_ml=(after if is_new_epoch else before).concentration_iu_ml,
            first=key_text(key),
            last=key_text(next_key),
            messages=2,
            estimated=not is_next,
        )
        rates = (before.rate_ml_h, after.rate_ml_h)
        if segments and _goes_on(segments[-1], mine, rates):
            last = segments[-1]
            segments[-1] = Segment(
                span=Span(last.span.from_ms, span.to_ms),
                pump=pump,
                volume_nl=last.volume_nl + volume_nl,
                concentration_iu_ml=last.concentration_iu_ml,
                first=last.first,
                last=mine.last,
                messages=last.messages + 1,
                estimated=last.estimated,
            )
        else:
            segments.append(mine)
    # A pump that says it delivers, and whose counter never moved meanwhile, gave nothing.
    return [segment for segment in segments if segment.volume_nl]


def key_text(key: int) -> str:
    """The identity of a message of a pump as people read it: boot, then number."""
    return f"{key >> SEQUENCE_BITS}-{key & (1 << SEQUENCE_BITS) - 1}"


def silences(heard_ms: list[int], start_ms: int, end_ms: int) -> Spans:
    """The time of a therapy of which nothing was heard: gaps in sorted instants, and the ends."""
    edges = [start_ms, *(at for at in heard_ms if start_ms < at < end_ms), end_ms]
    return tuple(Span(a, b) for a, b in pairwise(edges) if b - a > UNKNOWN_MS)


# --- small things ---------------------------------------------------------------------------------


def _goes_on(last: Segment, mine: Segment, rates: tuple[float, float]) -> bool:
    """Whether a stretch goes on with nothing changed, so that its flow may be taken for even."""
    return (
        last.last == mine.first
        and last.span.to_ms == mine.span.from_ms
        and last.concentration_iu_ml == mine.concentration_iu_ml
        and last.estimated == mine.estimated
        and rates[0] == rates[1]
    )


def _run(key: int, reading: Reading) -> Run:
    time_ms, volume_nl = reading.time_ms, reading.volume_nl
    return Run(
        first_key=key,
        last_key=key,
        first_ms=time_ms,
        last_ms=time_ms,
        first_nl=volume_nl,
        last_nl=volume_nl,
        concentration_iu_ml=reading.concentration_iu_ml,
        cleared=reading.cleared,
    )


def _gain_nl(key: int, before: Reading, next_key: int, after: Reading, rate_max_ml_h: float) -> int:
    return join(_run(key, before), _run(next_key, after), rate_max_ml_h)[0]


def _when(before: Reading, after: Reading, volume_nl: int, *, is_next: bool) -> Span | None:
    """When the volume between two readings was infused; None where nothing was."""
    from_ms, length_ms = before.time_ms, after.time_ms - before.time_ms
    if length_ms <= 0:
        # A clock that was set: the volume stands, and lies at the instant at which it was told.
        return Span(after.time_ms, after.time_ms + 1) if volume_nl else None
    if is_next:
        return Span(from_ms, after.time_ms) if before.delivering or volume_nl else None
    if not volume_nl:
        return None
    rate_ml_h = before.rate_ml_h or after.rate_ml_h
    if rate_ml_h:
        took_ms = round(volume_nl / NL_PER_ML / rate_ml_h * MS_PER_HOUR)
        length_ms = max(1, min(length_ms, took_ms))
    return Span(from_ms, from_ms + length_ms)


def _bags(pump: str, readings: list[tuple[int, Reading]]) -> Iterator[Bag]:
    last_nl: int | None = None
    for key, reading in readings:
        if reading.reservoir_nl < 0:
            continue
        if last_nl is None or reading.reservoir_nl > last_nl + _NEW_BAG_NL:
            yield Bag(
                reading.time_ms,
                reading.reservoir_nl,
                reading.concentration_iu_ml,
                f"{pump} {key_text(key)}",
            )
        last_nl = reading.reservoir_nl


def _with_lots(bags: list[Bag], reports: list[Report]) -> Iterator[Bag]:
    """Bags with the lot that a report on a bag names, said within an hour of its being hung [A]."""
    said = [each for each in reports if each.lot is not UNSET and "bag" in each.what.lower()]
    for bag in bags:
        near = [each for each in said if abs(each.time_ms - bag.at_ms) <= MS_PER_HOUR]
        nearest = min(near, key=lambda each: abs(each.time_ms - bag.at_ms), default=None)
        lot = "" if nearest is None or nearest.lot is UNSET else nearest.lot
        yield Bag(bag.at_ms, bag.volume_nl, bag.concentration_iu_ml, bag.source, lot)


def holds_of(order: Prescription, end_ms: int) -> Spans:
    return union(
        Span(step.at_ms, min(step.until_ms, end_ms))
        for step in order.steps
        if isinstance(step, Hold)
    )


def stop_of(order: Prescription, until_ms: int) -> int | None:
    """When the therapy was permanently discontinued by `until_ms`: its last stop, if no start
    follows."""
    # A nonsense order raises here, as it does in the monitor.
    compile_timeline(order)
    edges = [step for step in order.steps if isinstance(step, Start | Stop)]
    edges = sorted((s for s in edges if s.at_ms < until_ms), key=lambda step: step.at_ms)
    return edges[-1].at_ms if edges and isinstance(edges[-1], Stop) else None


def stays_of(reports: list[Report], end_ms: int) -> Spans:
    """From each report of a stay in hospital to the next one that it is over, or to the end."""
    stays: list[Span] = []
    since_ms: int | None = None
    for report in reports:
        said = read_words(report.what)
        if said.kind != "hospital":
            continue
        if not said.is_over:
            since_ms = report.time_ms if since_ms is None else since_ms
        elif since_ms is not None:
            stays.append(Span(since_ms, report.time_ms))
            since_ms = None
    if since_ms is not None:
        stays.append(Span(since_ms, end_ms))
    return union(stays)


def visits_of(reports: list[Report]) -> Iterator[Visit]:
    for report in reports:
        said = read_words(report.what)
        if said.kind == "visit" and not said.is_over:
            lasted = None if report.lasted_min is UNSET else report.lasted_min
            yield Visit(report.time_ms, f"report {report.report}", report.by, lasted)

"""Which therapies there are, which pump each is ordered for, and what an order allows it now."""

from collections.abc import Callable

from msgspec import Struct

from infusion.account import window
from infusion.allowed import Allowed, Bolus, allowed, near
from infusion.blood import ordered_iu
from infusion.clinical import LabResult, Report
from infusion.errors import MessageError
from infusion.pacing import is_delivering
from infusion.prescription import Prescription, Timeline, compile_timeline
from infusion.record import Order, Record, Refusal, add_report, add_result
from infusion.state import PumpState, unheeded
from infusion.thresholds import Thresholds
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE

RECORDS_MAX = 400_000
BOLUSES_KEPT = 8
REFUSAL_LENGTH_MAX = 200
# What came late is a bolus when it adds up to so much of one. [A]
UNSEEN_SHARES = (0.8, 1.25)


class Ordered(Struct, frozen=True, gc=False):
    """An order as one pump sees it: the timeline on its own clock, and what it allows now.

    `least_iu_h` and `most_iu_h` are what the pump should be giving as it is programmed: exactly
    one rate where that is allowed, whichever of the allowed ones it is.
    """

    timeline: Timeline
    allowed: Allowed
    least_iu_h: float
    most_iu_h: float


class Therapies:
    """The records of one partition, by `site/therapy`; `touched` collects the keys that changed.

    `before_change` is told a key before its record changes.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.touched: set[str] = set()
        self.before_change: Callable[[str], None] = unheeded
        self._of_pump: dict[str, set[str]] = {}
        self._ordered: dict[str, Ordered] = {}
        # The therapy whose first order was refused, by the pump that it was for.
        self._refused_of: dict[str, str] = {}

    def restore(self, key: str, record: Record) -> None:
        """Take a stored record back."""
        self.records[key] = record
        site = key.split("/")[0]
        if record.order is not None:
            self._assign(site, record.order.prescription)
        elif record.refusal is not None and record.refusal.pump is not None:
            self._refused_of[f"{site}/{record.refusal.pump}"] = record.therapy

    def admit(self, key: str, pump: str | None) -> None:
        """Raises MessageError for a new therapy for which there is no room."""
        if key not in self.records and len(self.records) >= RECORDS_MAX:
            raise MessageError("therapies", f"{key}: more than {RECORDS_MAX} therapies", pump=pump)

    def compiled(self, prescription: Prescription, site: str) -> Order:
        """An order, compiled. Raises MessageError where it makes no sense or finds no room."""
        self.admit(f"{site}/{prescription.therapy}", prescription.pump)
        return Order(prescription, compile_timeline(prescription))

    def keep(self, order: Order, site: str) -> list[str]:
        """Keep an order; the pumps that are concerned, none where a newer version is known."""
        prescription = order.prescription
        record = self._record(site, prescription.therapy)
        known = record.order.prescription if record.order is not None else None
        if known is not None and prescription.version <= known.version:
            return []
        pumps = [prescription.pump]
        if known is not None and known.pump != prescription.pump:
            pumps.append(known.pump)
            self._of_pump[f"{site}/{known.pump}"].discard(known.therapy)
        record.order = order
        if record.refusal is not None:
            self._refused_of.pop(f"{site}/{record.refusal.pump}", None)
            record.refusal = None
        self._assign(site, prescription)
        for pump in pumps:
            self._ordered.pop(f"{site}/{pump}", None)
        return pumps

    def refuse(self, error: MessageError, site: str) -> str | None:
        """Keep that an order was refused; the pump that is judged by it, None where nothing is new.

        One that is older than the order in force would have changed nothing.
        """
        therapy = error.therapy
        assert therapy is not None, "an order is of a therapy"
        if f"{site}/{therapy}" not in self.records and len(self.records) >= RECORDS_MAX:
            return None
        record = self._record(site, therapy)
        known = record.order.prescription if record.order is not None else None
        if known is not None and 0 < error.version <= known.version:
            return None
        record.refusal = Refusal(str(error)[:REFUSAL_LENGTH_MAX], error.version, error.pump)
        if known is not None:
            return known.pump
        if error.pump is not None:
            self._refused_of[f"{site}/{error.pump}"] = therapy
        return error.pump

    def note(self, message: LabResult | Report, site: str) -> str | None:
        """Keep a result or a report; the pump that is judged by it, None where nothing is new."""
        record = self._record(site, message.therapy)
        if isinstance(message, LabResult):
            is_new = add_result(record, message)
        else:
            is_new = add_report(record, message)
        return record.order.prescription.pump if is_new and record.order is not None else None

    def are_ordered(self, name: str) -> bool:
        """Whether any order names a pump."""
        return bool(self._of_pump.get(name))

    def therapy_of(self, name: str, state: PumpState) -> str | None:
        """The therapy that a pump names, last named, or that alone is ordered for it."""
        therapies = self._of_pump.get(name)
        if state.therapy is None and not therapies:
            return self._refused_of.get(name)
        if state.therapy is None and therapies is not None and len(therapies) == 1:
            (therapy,) = therapies
            return therapy
        return state.therapy

    def record_of(self, name: str, state: PumpState) -> Record | None:
        """What is known of a pump's therapy."""
        therapy = self.therapy_of(name, state)
        return self.records.get(f"{state.site}/{therapy}") if therapy is not None else None

    def ordered(self, name: str) -> Ordered | None:
        """The order of a pump's therapy as it was last refreshed."""
        return self._ordered.get(name)

    def refresh(
        self, name: str, state: PumpState, at_ms: int, limits: Thresholds
    ) -> Ordered | None:
        """Read the order of a pump's therapy anew, on the pump's own clock."""
        record = self.record_of(name, state)
        if record is None or record.order is None:
            self._ordered.pop(name, None)
            return None
        timeline = record.order.timeline
        if state.clock_shift_ms:
            timeline = timeline.moved(state.clock_shift_ms)
        now = allowed(timeline, at_ms, limits)
        if state.edge is not None:
            _note_bolus(state, record.order.timeline, now, limits)
        found = self._ordered[name] = Ordered(timeline, now, *_due(state, now, limits))
        return found

    def _record(self, site: str, therapy: str) -> Record:
        key = f"{site}/{therapy}"
        self.before_change(key)
        self.touched.add(key)
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record(therapy)
        return record

    def _assign(self, site: str, prescription: Prescription) -> None:
        key = f"{site}/{prescription.pump}"
        self._of_pump.setdefault(key, set()).add(prescription.therapy)


def _due(state: PumpState, now: Allowed, limits: Thresholds) -> tuple[float, float]:
    """What a pump should be giving now, in IU/h: at least and at most."""
    edge = state.edge
    if edge is None or not is_delivering(edge):
        return 0.0, now.most_iu_h
    programmed = edge.rate_ml_h * edge.concentration_iu_ml
    if state.giving is not None:
        # With the continuous rate or without it, and whichever that is: it is a bolus as ordered.
        return programmed, programmed
    for rate in now.rates_iu_h:
        if rate and near(programmed, rate, limits.rate_tolerance):
            return rate, rate
    return now.ordered_iu_h, now.ordered_iu_h


def was_given(state: PumpState, begin_ms: int) -> bool:
    """Whether the bolus that was ordered for an instant was begun."""
    return any(bolus.begin_ms == begin_ms for bolus, _ in state.given)


def _came_unseen(
    state: PumpState, timeline: Timeline, bolus: Bolus, now: Allowed, early_ms: int
) -> bool:
    """Whether a bolus was given while nobody heard: what came late adds up to it.

    A pump that gives it alone leaves out its rate meanwhile.
    """
    edge, shift_ms = state.edge, state.clock_shift_ms
    if edge is None or not state.backfilled or edge.time_ms <= bolus.begin_ms:
        return False
    found = window(state.account, edge.time_ms - bolus.begin_ms + early_ms)
    if found is None:
        return False
    rest_iu = ordered_iu(state, timeline, found.from_ms - shift_ms, found.to_ms - shift_ms)
    hours = (bolus.end_ms - bolus.begin_ms) / MS_PER_HOUR
    bolus_iu, left_out_iu = bolus.rate_iu_h * hours, now.most_iu_h * hours
    low, high = UNSEEN_SHARES
    return low * bolus_iu - left_out_iu <= found.delivered_iu - rest_iu <= high * bolus_iu


def _note_bolus(state: PumpState, timeline: Timeline, now: Allowed, limits: Thresholds) -> None:
    """Note that an ordered bolus is being given, or is over: each is given once.

    A pump gives a bolus on top of its rate, or alone; one that is ordered faster than the pump can
    run comes as fast as it can.
    """
    edge = state.edge
    assert edge is not None, "a pump that has said nothing gives no bolus"
    programmed = edge.rate_ml_h * edge.concentration_iu_ml
    presence = state.presence
    fastest = presence.rate_max_ml_h * edge.concentration_iu_ml if presence else float("inf")
    bases = (0.0, *now.rates_iu_h)

    def gives(bolus: Bolus) -> bool:
        rates = (min(base + bolus.rate_iu_h, fastest) for base in bases)
        return any(near(programmed, rate, limits.rate_tolerance) for rate in rates)

    if state.giving is not None and gives(state.giving):
        return
    state.giving = None
    early_ms = round(limits.early_grace_min * MS_PER_MINUTE)
    for bolus in now.boluses:
        if was_given(state, bolus.begin_ms):
            continue
        if _came_unseen(state, timeline, bolus, now, early_ms):
            state.given.append((bolus, bolus.begin_ms))
        elif gives(bolus):
            state.given.append((bolus, edge.time_ms))
            state.giving = bolus
            break
    del state.given[:-BOLUSES_KEPT]

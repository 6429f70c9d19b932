"""The monitor's core: messages and the passing of time in, changes of alerts out.

    receive(message, site, now_ms)   a message that a peer published
    refuse(error, site, now_ms)      one that could not be read
    tick(now_ms)                     nothing but proof that messages still come through

`now_ms` is the time of receipt. Two clocks are derived from it:

* The **partition clock** advances with the times of receipt, by at most `stall_ms` a step. When
  the monitor or the broker stalls or restarts, it hardly moves: a stall raises no false "no
  telemetry"; a true one is late by the length of the stall.
* The **pump's clock** is the time in its newest live message, carried on by the partition clock
  until the next. All rules are timed on it, so a queue that is worked off in a burst gives the
  alerts that it would have given message by message.

Deadlines fire at their own instant, in order, before whatever comes after them is looked at. So
alerts do not depend on how the stream was cut into batches, nor on how often `tick` is called.

A message that is newer than all before it but much older than the pump's clock is *back-fill*: it
goes into the account, and never raises or clears an alert. A message that is constantly that old
is live after all: the pump's clock was set, or the way to it became slow. All that counts on its
clock is then moved along. A clock that is set *forward* cannot be told from a silence, and is taken
for one.
"""

from collections.abc import Mapping
from heapq import heappop, heappush

from infusion.account import Account, begin_therapy, book, last_interval, shift_times
from infusion.acts import perform, refusal
from infusion.alerts import next_look_ms, open_alerts, shift, update
from infusion.board import Board, Look
from infusion.clinical import LabResult, Report
from infusion.counter import Sample, sample_key
from infusion.errors import MessageError
from infusion.excess import follow
from infusion.excess import shift as shift_flow
from infusion.messages import (
    Act,
    AlertChange,
    Audit,
    Event,
    Message,
    OpenAlerts,
    Presence,
    PumpMessage,
    Telemetry,
)
from infusion.pacing import is_delivering, longest_judged_ms, silence_ms
from infusion.prescription import Prescription, compile_timeline
from infusion.record import Order, Record, add_report, add_result
from infusion.rules import verdicts
from infusion.situation import Situation
from infusion.state import Clock, MonitorSettings, PumpState
from infusion.thresholds import DEFAULTS
from infusion.units import MS_PER_MINUTE, dose_iu, nanolitres

# The values that the verbs work on are named here too, so that a caller needs this module only.
__all__ = ["COUNTERS_CLEARED", "Clock", "Monitor", "MonitorSettings", "Order", "PumpState"]

PUMPS_MAX = 200_000
RECORDS_MAX = 400_000
COUNTERS_CLEARED = "MDC_EVT_PUMP_VOL_COUNTERS_CLEARED"
# How old a message may be on the pump's clock and still be live.
LATE_MS_MAX = 2 * MS_PER_MINUTE
# After this long at a constant age, old messages are live: the pump's clock is simply another.
RELIVE_MS = 2 * MS_PER_MINUTE
RELIVE_DRIFT_MS = MS_PER_MINUTE // 2


class Monitor:
    """The state of all pumps of one partition, and the verbs on it. Not safe for threads."""

    def __init__(self, settings: MonitorSettings | None = None) -> None:
        self.settings = settings or MonitorSettings()
        self.clock = Clock()
        self.pumps: dict[str, PumpState] = {}
        # What is known of each therapy, by `site/therapy`.
        self.records: dict[str, Record] = {}
        self.refused: dict[str, int] = {}
        # What became of acts, since the caller last emptied this list.
        self.audits: list[Audit] = []
        # Pumps whose state changed since the caller last emptied this set.
        self.touched: set[str] = set()
        # The same for therapies.
        self.touched_records: set[str] = set()
        self._therapies: dict[str, set[str]] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._scheduled: dict[str, int] = {}

    def receive(self, message: Message, site: str, now_ms: int) -> list[AlertChange]:
        """Take a message. Raises `MessageError` where it makes no sense; nothing then changes."""
        if isinstance(message, PumpMessage):
            self._admit(site, message.pump)
            return self.tick(now_ms) + self._pump_message(message, site)
        if isinstance(message, Prescription):
            order = self._admit_order(message, site)
            return self.tick(now_ms) + self._order(order, site)
        if isinstance(message, Presence):
            self._admit(site, message.pump)
            return self.tick(now_ms) + self._presence(message, site)
        if isinstance(message, Act):
            return self.tick(now_ms) + self._act(message, site)
        if isinstance(message, LabResult | Report):
            self._admit_record(f"{site}/{message.therapy}", None)
            return self.tick(now_ms) + self._clinical(message, site)
        return self.tick(now_ms)

    def refuse(self, error: MessageError, site: str | None, now_ms: int) -> list[AlertChange]:
        """Count a message that was refused; one that spoke for another pump is itself a hazard."""
        changes = self.tick(now_ms)
        self.refused[error.kind] = self.refused.get(error.kind, 0) + 1
        if error.kind == "identity" and error.pump is not None and site is not None:
            state = self.pumps.get(f"{site}/{error.pump}")
            if state is not None:
                state.identity_ms = self.pump_ms(state)
                state.identity_detail = str(error)[:200]
                changes += self._evaluate(state, state.identity_ms)
        return changes

    def tick(self, now_ms: int) -> list[AlertChange]:
        """Let time pass up to a time of receipt; every deadline before it fires at its instant."""
        clock = self.clock
        if not clock.received_ms:
            clock.received_ms = clock.clock_ms = now_ms
            return []
        step_ms = max(0, now_ms - clock.received_ms)
        clock.received_ms = now_ms
        if step_ms > self.settings.stall_ms:
            clock.stalled_ms += step_ms - self.settings.stall_ms
            step_ms = self.settings.stall_ms
        end_ms = clock.clock_ms + step_ms
        changes: list[AlertChange] = []
        while self._deadlines and self._deadlines[0][0] < end_ms:
            due_ms, key = heappop(self._deadlines)
            if self._scheduled.get(key) != due_ms:
                continue
            del self._scheduled[key]
            state = self.pumps[key]
            if self._due_ms(state) == due_ms:
                clock.clock_ms = max(clock.clock_ms, due_ms)
                changes += self._evaluate(state, self.pump_ms(state))
            else:
                # The pump was heard since, and that moved the deadline.
                self._schedule(state)
        clock.clock_ms = end_ms
        return changes

    def open_alerts(self, key: str) -> OpenAlerts:
        """The list of open alerts of one pump, as it is published and retained."""
        board = self.pumps[key].board
        return OpenAlerts(
            site=board.site, pump=board.pump, version=board.version, alerts=open_alerts(board)
        )

    def restore(self, clock: Clock, records: Mapping[str, Record]) -> None:
        """Begin from stored state; the pumps follow by `restore_pump`."""
        self.clock = clock
        for key, record in records.items():
            self.records[key] = record
            if record.order is not None:
                self._assign(key.split("/")[0], record.order.prescription)

    def restore_pump(self, state: PumpState) -> None:
        """Resume one pump from its stored state."""
        self.pumps[f"{state.site}/{state.pump}"] = state
        self._schedule(state)

    def pump_ms(self, state: PumpState) -> int:
        """The pump's clock: its newest live message, carried on by the partition clock."""
        if state.edge is None:
            return self.clock.clock_ms
        return state.edge.time_ms + self.clock.clock_ms - state.heard_clock_ms

    def _admit(self, site: str, pump: str) -> None:
        """Refuse a pump for which there is no room."""
        if len(self.pumps) >= PUMPS_MAX and f"{site}/{pump}" not in self.pumps:
            raise MessageError("pumps", f"{site}/{pump}: more than {PUMPS_MAX} pumps", pump=pump)

    def _admit_order(self, prescription: Prescription, site: str) -> Order:
        """Compile an order; refuse one that makes no sense, or for which there is no room."""
        self._admit(site, prescription.pump)
        self._admit_record(f"{site}/{prescription.therapy}", prescription.pump)
        return Order(prescription, compile_timeline(prescription))

    def _admit_record(self, key: str, pump: str | None) -> None:
        """Refuse a therapy for which there is no room."""
        if key not in self.records and len(self.records) >= RECORDS_MAX:
            raise MessageError("therapies", f"{key}: more than {RECORDS_MAX} therapies", pump=pump)

    def _state(self, site: str, pump: str) -> PumpState:
        key = f"{site}/{pump}"
        state = self.pumps.get(key)
        if state is None:
            state = PumpState(site, pump, Board(site, pump), Account(), self.clock.clock_ms)
            self.pumps[key] = state
        return state

    def _pump_message(self, message: PumpMessage, site: str) -> list[AlertChange]:
        state = self._state(site, message.pump)
        key = sample_key(message.boot, message.seq)
        held_iu = self._held_iu(state, message)
        sample = Sample(
            key,
            message.time_ms,
            nanolitres(message.volume_ml),
            message.concentration_iu_ml,
            held_iu,
            isinstance(message, Event) and message.event == COUNTERS_CLEARED,
        )
        presence = state.presence
        rate_max_ml_h = (presence or self.settings).rate_max_ml_h
        if not book(state.account, sample, rate_max_ml_h):
            return []
        if key > state.edge_key and self._is_live(state, message):
            changes = self._run_up_to(state, message.time_ms)
            self._make_edge(state, message, key, held_iu)
            return changes + self._evaluate(state, message.time_ms)
        self.touched.add(f"{site}/{message.pump}")
        state.backfilled += 1
        return []

    def _held_iu(self, state: PumpState, message: PumpMessage) -> float:
        """What the line holds back: pumped, but kept by its compliance while it is occluded."""
        if not isinstance(message, Telemetry):
            return state.held_iu
        settings = self.settings
        if message.pressure_mmhg < settings.occlusion_pressure_mmhg:
            return 0.0
        pressure_mmhg = message.pressure_mmhg - settings.free_pressure_mmhg
        held_ml = settings.line_compliance_ml_mmhg * pressure_mmhg
        return dose_iu(nanolitres(held_ml), message.concentration_iu_ml)

    def _is_live(self, state: PumpState, message: PumpMessage) -> bool:
        """Whether the newest message of a pump speaks of now, or is back-fill of a time gone by."""
        age_ms = self.pump_ms(state) - message.time_ms if state.edge is not None else 0
        if age_ms <= LATE_MS_MAX:
            state.lag_clock_ms = None
            return True
        if state.lag_clock_ms is None or abs(age_ms - state.lag_ms) > RELIVE_DRIFT_MS:
            state.lag_clock_ms, state.lag_ms = self.clock.clock_ms, age_ms
            return False
        return self.clock.clock_ms - state.lag_clock_ms >= RELIVE_MS

    def _run_up_to(self, state: PumpState, time_ms: int) -> list[AlertChange]:
        """Fire the deadlines that lie between what is known of a pump and its next message."""
        changes: list[AlertChange] = []
        while (due_ms := self._next_look_ms(state)) is not None and due_ms < time_ms:
            if state.edge is None or due_ms <= state.evaluated_ms:
                break
            changes += self._evaluate(state, due_ms)
        return changes

    def _make_edge(self, state: PumpState, message: PumpMessage, key: int, held_iu: float) -> None:
        if state.edge is None or state.lag_clock_ms is not None:
            self._set_clock(state, message.time_ms)
        if message.therapy is not None and message.therapy != state.therapy:
            state.therapy = message.therapy
            begin_therapy(state.account)
            state.flow.has_begun = False
        if state.edge is None or is_delivering(state.edge) != is_delivering(message):
            state.standing_ms = message.time_ms
        # A stretch that is too long to judge proves nothing: the last one that was judged stands.
        last = last_interval(state.account)
        longest_ms = longest_judged_ms(state.presence)
        interval = last if last and last.to_ms - last.from_ms <= longest_ms else state.interval
        if interval is None or state.faster_until_ms <= interval.from_ms:
            state.faster_ml_h = 0.0
        if state.edge is not None and state.edge.rate_ml_h > message.rate_ml_h:
            state.faster_ml_h = max(state.faster_ml_h, state.edge.rate_ml_h)
            state.faster_until_ms = message.time_ms
        state.held_iu = held_iu
        state.edge = message
        state.edge_key = key
        state.interval = interval
        state.heard_clock_ms = self.clock.clock_ms

    def _set_clock(self, state: PumpState, time_ms: int) -> None:
        """The pump's clock is another one from here on: if it was set, move what counts on it.

        It was not set when its messages only take longer than before.
        """
        is_set = state.edge is None or time_ms < state.edge.time_ms
        delta_ms = time_ms - self.pump_ms(state) if is_set else 0
        shift(state.board, delta_ms)
        shift_flow(state.flow, delta_ms)
        shift_times(state.account, delta_ms, state.edge_key)
        state.standing_ms += delta_ms
        state.presence_ms += delta_ms
        if state.identity_ms is not None:
            state.identity_ms += delta_ms
        state.evaluated_ms = time_ms
        state.lag_clock_ms = None

    def _presence(self, presence: Presence, site: str) -> list[AlertChange]:
        state = self._state(site, presence.pump)
        known = state.presence
        if known is not None:
            if (presence.boot, presence.time_ms) < (known.boot, known.time_ms):
                return []
            if presence == known:
                return []
        if known is None or presence.state != known.state:
            state.presence_ms = self.pump_ms(state)
        state.presence = presence
        state.silence_ms = silence_ms(presence)
        return self._evaluate(state, self.pump_ms(state))

    def _order(self, order: Order, site: str) -> list[AlertChange]:
        prescription = order.prescription
        record = self._record(site, prescription.therapy)
        known = record.order.prescription if record.order is not None else None
        if known is not None and prescription.version <= known.version:
            return []
        states = [self._state(site, prescription.pump)]
        if known is not None and known.pump != prescription.pump:
            states.append(self._state(site, known.pump))
            self._therapies[f"{site}/{known.pump}"].discard(known.therapy)
        record.order = order
        self._assign(site, prescription)
        return [change for state in states for change in self._evaluate(state, self.pump_ms(state))]

    def _clinical(self, message: LabResult | Report, site: str) -> list[AlertChange]:
        """Keep a result or a report; the pump of its therapy's order is judged by it."""
        record = self._record(site, message.therapy)
        is_new = (
            add_result(record, message)
            if isinstance(message, LabResult)
            else add_report(record, message)
        )
        if not is_new or record.order is None:
            return []
        state = self._state(site, record.order.prescription.pump)
        return self._evaluate(state, self.pump_ms(state))

    def _act(self, act: Act, site: str) -> list[AlertChange]:
        """What a person does about an alert; what became of it is added to `audits`."""
        state = self.pumps.get(f"{site}/{act.pump}")
        if state is None:
            sentence = f"no pump {act.pump} of the site {site} has been heard of"
            self.audits.append(refusal(site, act, self.clock.clock_ms, sentence))
            return []
        heard_ms = state.edge.time_ms if state.edge is not None else state.awaited_ms
        at_ms = max(self.pump_ms(state), state.evaluated_ms)
        done = perform(state.board, act, Look(at_ms, heard_ms, state.therapy))
        if done.audit is not None:
            self.audits.append(done.audit)
        return done.changes + self._evaluate(state, at_ms)

    def _record(self, site: str, therapy: str) -> Record:
        key = f"{site}/{therapy}"
        self.touched_records.add(key)
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record(therapy)
        return record

    def _assign(self, site: str, prescription: Prescription) -> None:
        self._therapies.setdefault(f"{site}/{prescription.pump}", set()).add(prescription.therapy)

    def _evaluate(self, state: PumpState, at_ms: int) -> list[AlertChange]:
        """Look at one pump at one instant of its clock, never before the last look."""
        key = f"{state.site}/{state.pump}"
        self.touched.add(key)
        edge = state.edge
        at_ms = state.evaluated_ms = max(at_ms, state.evaluated_ms)
        heard_ms = edge.time_ms if edge is not None else state.awaited_ms
        therapies = self._therapies.get(key)
        therapy = state.therapy
        if therapy is None and therapies is not None and len(therapies) == 1:
            (therapy,) = therapies
        record = self.records.get(f"{state.site}/{therapy}") if therapy is not None else None
        order = record.order if record is not None else None
        self._follow_flow(state, order)
        situation = Situation(
            state=state,
            at_ms=at_ms,
            heard_ms=heard_ms,
            edge=edge,
            delivering=edge is not None and is_delivering(edge),
            record=record,
            prescription=order.prescription if order is not None else None,
            timeline=order.timeline if order is not None else None,
            order_ms=at_ms,
            ordered=bool(therapies),
            limits=DEFAULTS,
        )
        look = Look(at_ms, heard_ms, therapy)
        changes = update(state.board, look, verdicts(situation))
        self._schedule(state)
        return changes

    def _follow_flow(self, state: PumpState, order: Order | None) -> None:
        """Add up what was given beyond or below the order; a pump that stands begins anew."""
        edge, flow = state.edge, state.flow
        if edge is None or order is None:
            flow.has_begun = False
            return
        # A pump that stands makes no strokes: what its counter says is to be believed at once.
        presence = state.presence if is_delivering(edge) else None
        step_ml = presence.volume_step_ml if presence is not None else 0.0
        flow.step_iu = step_ml * edge.concentration_iu_ml
        longest_ms = longest_judged_ms(state.presence)
        follow(flow, state.account, order.timeline, DEFAULTS.flow_tolerance, longest_ms)
        if not is_delivering(edge):
            flow.under.begin(edge.time_ms)

    def _next_look_ms(self, state: PumpState) -> int | None:
        """When something is due on the pump's clock, at the latest its silence."""
        due_ms = next_look_ms(state.board)
        if "no-telemetry" in state.board.tracks:
            return due_ms
        heard_ms = state.edge.time_ms if state.edge is not None else state.awaited_ms
        silent_ms = heard_ms + state.silence_ms
        return silent_ms if due_ms is None or silent_ms < due_ms else due_ms

    def _due_ms(self, state: PumpState) -> int | None:
        """The pump's next deadline, on the partition clock."""
        due_ms = self._next_look_ms(state)
        if due_ms is None or state.edge is None:
            return due_ms
        return due_ms - state.edge.time_ms + state.heard_clock_ms

    def _schedule(self, state: PumpState) -> None:
        """Put the pump's next deadline on the heap, unless an earlier one is there already."""
        due_ms = self._due_ms(state)
        if due_ms is None:
            return
        key = f"{state.site}/{state.pump}"
        scheduled = self._scheduled.get(key)
        if scheduled is None or due_ms < scheduled:
            self._scheduled[key] = due_ms
            heappush(self._deadlines, (due_ms, key))

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
is live after all: the pump's clock was set, or the way to it became slow.
"""

from heapq import heappop, heappush

from msgspec import Struct

from infusion.account import Account, begin_therapy, book, last_interval
from infusion.alerts import Board, Look, next_look_ms, open_alerts, update
from infusion.counter import Sample, sample_key
from infusion.errors import MessageError
from infusion.hazards import Situation, is_delivering
from infusion.messages import (
    AlertChange,
    Event,
    Message,
    OpenAlerts,
    Presence,
    PumpMessage,
    Telemetry,
)
from infusion.prescription import Prescription, Timeline, compile_timeline
from infusion.rules import verdicts
from infusion.units import MS_PER_MINUTE, dose_iu, nanolitres

PUMPS_MAX = 200_000
ORDERS_MAX = 400_000
COUNTERS_CLEARED = "MDC_EVT_PUMP_VOL_COUNTERS_CLEARED"
# How old a message may be on the pump's clock and still be live.
LATE_MS_MAX = 2 * MS_PER_MINUTE
# After this long at a constant age, old messages are live: the pump's clock is simply another.
RELIVE_MS = 2 * MS_PER_MINUTE
RELIVE_DRIFT_MS = MS_PER_MINUTE // 2


class MonitorSettings(Struct, frozen=True, kw_only=True):
    """What the core must be told.

    `stall_ms` bounds one step of the partition clock. `line_compliance_ml_mmhg` and the two
    pressures tell how much volume an occluded line holds: compliance × (pressure − free pressure)
    above `occlusion_pressure_mmhg`. The defaults are a choice for a stiff ambulatory set.
    """

    stall_ms: int = 1_000
    rate_max_ml_h: float = 1_200.0
    line_compliance_ml_mmhg: float = 0.001
    free_pressure_mmhg: float = 50.0
    occlusion_pressure_mmhg: float = 150.0


class Order(Struct, frozen=True):
    """A prescription and its compiled timeline."""

    prescription: Prescription
    timeline: Timeline


class PumpState(Struct):
    """All that the monitor knows of one pump: plain, can be stored, moved and resumed."""

    site: str
    pump: str
    board: Board
    account: Account
    awaited_ms: int
    # The therapy that the account's window "therapy" counts: the last one that the pump named.
    therapy: str | None = None
    edge: PumpMessage | None = None
    edge_key: int = -1
    heard_clock_ms: int = 0
    evaluated_ms: int = 0
    # Since when the pump delivers, or does not.
    standing_ms: int = 0
    held_iu: float = 0.0
    presence: Presence | None = None
    presence_ms: int = 0
    identity_ms: int | None = None
    identity_detail: str = ""
    lag_ms: int = 0
    lag_clock_ms: int | None = None
    backfilled: int = 0


class Clock(Struct):
    """The partition clock: see the head of this file."""

    clock_ms: int = 0
    received_ms: int = 0
    stalled_ms: int = 0


class Monitor:
    """The state of all pumps of one partition, and the verbs on it. Not safe for threads."""

    def __init__(self, settings: MonitorSettings | None = None) -> None:
        self.settings = settings or MonitorSettings()
        self.clock = Clock()
        self.pumps: dict[str, PumpState] = {}
        self.orders: dict[str, Order] = {}
        self.refused: dict[str, int] = {}
        # Pumps whose state changed since the caller last emptied this set.
        self.touched: set[str] = set()
        self._therapies: dict[str, set[str]] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._scheduled: dict[str, int] = {}

    def receive(self, message: Message, site: str, now_ms: int) -> list[AlertChange]:
        """Take a message. Raises `MessageError` where it makes no sense; nothing then changes."""
        changes = self.tick(now_ms)
        if isinstance(message, PumpMessage):
            changes += self._pump_message(message, site)
        elif isinstance(message, Prescription):
            changes += self._order(message, site)
        elif isinstance(message, Presence):
            changes += self._presence(message, site)
        return changes

    def refuse(self, error: MessageError, site: str | None, now_ms: int) -> list[AlertChange]:
        """Count a message that was refused; one that spoke for another pump is itself a hazard."""
        changes = self.tick(now_ms)
        self.refused[error.kind] = self.refused.get(error.kind, 0) + 1
        if error.kind == "identity" and error.pump is not None and site is not None:
            state = self.pumps.get(f"{site}/{error.pump}")
            if state is not None:
                state.identity_ms = self._pump_ms(state)
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
        clock.received_ms = max(clock.received_ms, now_ms)
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
            clock.clock_ms = max(clock.clock_ms, due_ms)
            state = self.pumps[key]
            changes += self._evaluate(state, self._pump_ms(state))
        clock.clock_ms = end_ms
        return changes

    def open_alerts(self, key: str) -> OpenAlerts:
        """The list of open alerts of one pump, as it is published and retained."""
        board = self.pumps[key].board
        return OpenAlerts(
            site=board.site, pump=board.pump, version=board.version, alerts=open_alerts(board)
        )

    def restore(self, clock: Clock, orders: list[tuple[str, Prescription]]) -> None:
        """Begin from stored state; the pumps follow by `restore_pump`."""
        self.clock = clock
        for site, prescription in orders:
            self._keep_order(Order(prescription, compile_timeline(prescription)), site)

    def restore_pump(self, state: PumpState) -> None:
        """Resume one pump from its stored state."""
        self.pumps[f"{state.site}/{state.pump}"] = state
        self._schedule(state)

    def _pump_ms(self, state: PumpState) -> int:
        """The pump's clock: its newest live message, carried on by the partition clock."""
        if state.edge is None:
            return self.clock.clock_ms
        return state.edge.time_ms + self.clock.clock_ms - state.heard_clock_ms

    def _state(self, site: str, pump: str) -> PumpState:
        key = f"{site}/{pump}"
        state = self.pumps.get(key)
        if state is None:
            if len(self.pumps) >= PUMPS_MAX:
                raise MessageError("pumps", f"{key}: more than {PUMPS_MAX} pumps", pump=pump)
            state = PumpState(site, pump, Board(site, pump), Account(), self.clock.clock_ms)
            self.pumps[key] = state
        return state

    def _pump_message(self, message: PumpMessage, site: str) -> list[AlertChange]:
        state = self._state(site, message.pump)
        key = sample_key(message.boot, message.seq)
        state_held_iu = self._held_iu(state, message)
        sample = Sample(
            key,
            message.time_ms,
            nanolitres(message.volume_ml),
            message.concentration_iu_ml,
            state_held_iu,
            isinstance(message, Event) and message.event == COUNTERS_CLEARED,
        )
        rate_max_ml_h = self.settings.rate_max_ml_h
        if state.presence is not None:
            rate_max_ml_h = state.presence.rate_max_ml_h
        if not book(state.account, sample, rate_max_ml_h):
            return []
        self.touched.add(f"{site}/{message.pump}")
        if key <= state.edge_key:
            return []
        if not self._is_live(state, message):
            state.backfilled += 1
            return []
        changes = self._run_up_to(state, message.time_ms)
        self._make_edge(state, message, key, state_held_iu)
        return changes + self._evaluate(state, max(message.time_ms, state.evaluated_ms))

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
        age_ms = self._pump_ms(state) - message.time_ms if state.edge is not None else 0
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
        while (due_ms := next_look_ms(state.board)) is not None and due_ms < time_ms:
            if state.edge is None or due_ms <= state.evaluated_ms:
                break
            changes += self._evaluate(state, due_ms)
        return changes

    def _make_edge(self, state: PumpState, message: PumpMessage, key: int, held_iu: float) -> None:
        if state.edge is None or state.lag_clock_ms is not None:
            # The clock that counts from here is another one than before.
            state.evaluated_ms = message.time_ms
            state.lag_clock_ms = None
        if message.therapy is not None and message.therapy != state.therapy:
            state.therapy = message.therapy
            begin_therapy(state.account)
        if state.edge is None or is_delivering(state.edge) != is_delivering(message):
            state.standing_ms = message.time_ms
        state.held_iu = held_iu
        state.edge = message
        state.edge_key = key
        state.heard_clock_ms = self.clock.clock_ms

    def _presence(self, presence: Presence, site: str) -> list[AlertChange]:
        state = self._state(site, presence.pump)
        known = state.presence
        if known is not None:
            if (presence.boot, presence.time_ms) < (known.boot, known.time_ms):
                return []
            if presence == known:
                return []
        if known is None or presence.state != known.state:
            state.presence_ms = self._pump_ms(state)
        state.presence = presence
        return self._evaluate(state, self._pump_ms(state))

    def _order(self, prescription: Prescription, site: str) -> list[AlertChange]:
        known = self.orders.get(f"{site}/{prescription.therapy}")
        if known is not None and prescription.version <= known.prescription.version:
            return []
        order = Order(prescription, compile_timeline(prescription))
        states = [self._state(site, prescription.pump)]
        if known is not None and known.prescription.pump != prescription.pump:
            states.append(self._state(site, known.prescription.pump))
        self._keep_order(order, site)
        changes: list[AlertChange] = []
        for state in states:
            changes += self._evaluate(state, self._pump_ms(state))
        return changes

    def _keep_order(self, order: Order, site: str) -> None:
        prescription = order.prescription
        key = f"{site}/{prescription.therapy}"
        known = self.orders.get(key)
        if known is None and len(self.orders) >= ORDERS_MAX:
            raise MessageError("orders", f"{key}: more than {ORDERS_MAX} orders")
        if known is not None:
            self._therapies[f"{site}/{known.prescription.pump}"].discard(prescription.therapy)
        self.orders[key] = order
        self._therapies.setdefault(f"{site}/{prescription.pump}", set()).add(prescription.therapy)

    def _evaluate(self, state: PumpState, at_ms: int) -> list[AlertChange]:
        """Look at one pump at one instant of its clock."""
        key = f"{state.site}/{state.pump}"
        self.touched.add(key)
        edge = state.edge
        therapy = edge.therapy if edge is not None else None
        order = self.orders.get(f"{state.site}/{therapy}") if therapy is not None else None
        heard_ms = edge.time_ms if edge is not None else state.awaited_ms
        situation = Situation(
            pump=state.pump,
            at_ms=at_ms,
            heard_ms=heard_ms,
            edge=edge,
            account=state.account,
            interval=last_interval(state.account),
            standing_ms=state.standing_ms,
            presence=state.presence,
            presence_ms=state.presence_ms,
            prescription=order.prescription if order is not None else None,
            timeline=order.timeline if order is not None else None,
            ordered=bool(self._therapies.get(key)),
            identity_ms=state.identity_ms,
            identity_detail=state.identity_detail,
        )
        look = Look(at_ms, heard_ms, therapy)
        state.evaluated_ms = max(state.evaluated_ms, at_ms) if edge is not None else at_ms
        changes = update(state.board, look, verdicts(situation))
        self._schedule(state)
        return changes

    def _schedule(self, state: PumpState) -> None:
        """Put the pump's next deadline on the heap, unless an earlier one is there already."""
        due_ms = next_look_ms(state.board)
        if due_ms is None:
            return
        clock_ms = due_ms
        if state.edge is not None:
            clock_ms = due_ms - state.edge.time_ms + state.heard_clock_ms
        key = f"{state.site}/{state.pump}"
        scheduled = self._scheduled.get(key)
        if scheduled is None or clock_ms < scheduled:
            self._scheduled[key] = clock_ms
            heappush(self._deadlines, (clock_ms, key))

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

A pump is *looked at* when anything but the numbers in its messages changes, at each of its
deadlines, and at least once a minute; at every message while one of the watches (flow, pressure,
counter) sees something, or while an alert brews, recovers, or hangs on the numbers. All other
messages only go into the account and the watches: they are nearly all there are. A look without
news is at what numbers and time can bring (infusion/looks.py).

What is live and what is back-fill, and whose clock was set, is told in infusion/edge.py.
"""

from collections.abc import Callable, Mapping
from heapq import heappop, heappush

from infusion import level
from infusion.account import Account
from infusion.acts import perform, refusal
from infusion.advice import advised
from infusion.alerts import is_restless, open_alerts, unseen_alerts, update
from infusion.allowed import FOREVER_MS
from infusion.blood import carry_on, fill_in
from infusion.board import Board, Look
from infusion.clinical import LabResult, Report
from infusion.counter import sample_key
from infusion.edge import count_messages, is_live, leaps, note_refused, set_clock, take
from infusion.errors import MessageError
from infusion.handling import Handling
from infusion.handlings import Handlings
from infusion.looks import Looks
from infusion.messages import Act, AlertChange, Audit, Message, OpenAlerts, Presence, PumpMessage
from infusion.next_look import next_look_ms
from infusion.nomogram import Nomogram
from infusion.pacing import is_delivering, longest_judged_ms, silence_ms
from infusion.policy import Policy
from infusion.prescription import Prescription
from infusion.record import Order, Record
from infusion.rivals import is_alone, must_wait, note_old, turn_to
from infusion.rules import verdicts
from infusion.situation import Situation
from infusion.state import Clock, MonitorSettings, PumpState, first_minute_ms, unheeded
from infusion.therapies import Therapies
from infusion.units import MS_PER_MINUTE
from infusion.watches import COUNTERS_CLEARED, enter, held_dose_iu, watch

# The values that the verbs work on are named here too, so that a caller needs this module only.
__all__ = ["COUNTERS_CLEARED", "Clock", "Monitor", "MonitorSettings", "PumpState"]

PUMPS_MAX = 200_000


class Monitor:
    """The state of all pumps of one partition, and the verbs on it. Not safe for threads."""

    def __init__(
        self,
        settings: MonitorSettings | None = None,
        policy: Policy | None = None,
        nomograms: Mapping[str, Nomogram] | None = None,
    ) -> None:
        """`nomograms` holds the tables that the policy's thresholds name, by their names."""
        self.settings = settings or MonitorSettings()
        self.handlings = Handlings(policy or Policy())
        self.nomograms = nomograms or {}
        # Which pumps, by `site/pump`, are judged here; None: all. Orders of others are known too.
        self.owns: Callable[[str], bool] | None = None
        self.clock = Clock()
        self.pumps: dict[str, PumpState] = {}
        self.therapies = Therapies()
        self.refused: dict[str, int] = {}
        # What became of acts, since the caller last emptied this list.
        self.audits: list[Audit] = []
        # Pumps whose state changed since it was last emptied.
        self.touched: set[str] = set()
        # Told the name of a pump before its state changes.
        self.before_change: Callable[[str], None] = unheeded
        self._looks = Looks()
        self._deadlines: list[tuple[int, str]] = []
        self._scheduled: dict[str, int] = {}

    def receive(self, message: Message, site: str, now_ms: int) -> list[AlertChange]:
        """Take a message. Raises `MessageError` where it makes no sense; nothing then changes."""
        if isinstance(message, PumpMessage):
            name = f"{site}/{message.pump}"
            if name not in self.pumps:
                self._admit(site, message.pump)
            passed = self.tick(now_ms)
            changes = self._pump_message(name, message, site)
            return passed + changes if passed else changes
        if isinstance(message, Prescription):
            self._admit(site, message.pump)
            order = self.therapies.compiled(message, site)
            return self.tick(now_ms) + self._order(order, site)
        if isinstance(message, Presence):
            self._admit(site, message.pump)
            return self.tick(now_ms) + self._presence(message, site)
        if isinstance(message, Act):
            return self.tick(now_ms) + self._act(message, site)
        if isinstance(message, LabResult | Report):
            self.therapies.admit(f"{site}/{message.therapy}", None)
            return self.tick(now_ms) + self._clinical(message, site)
        return self.tick(now_ms)

    def refuse(self, error: MessageError, site: str | None, now_ms: int) -> list[AlertChange]:
        """Count a message that was refused; what it says of its sender, or of an order, is told."""
        changes = self.tick(now_ms)
        self.refused[error.kind] = self.refused.get(error.kind, 0) + 1
        pump = self.therapies.refuse(error, site) if error.therapy and site else error.pump
        state = self.pumps.get(f"{site}/{pump}") if pump is not None else None
        if state is None:
            return changes
        if error.therapy is None:
            self.before_change(f"{site}/{pump}")
            note_refused(state, error, self.pump_ms(state))
        return changes + self._evaluate(state, self.pump_ms(state))

    def tick(self, now_ms: int) -> list[AlertChange]:
        """Let time pass up to a time of receipt; every deadline before it fires at its instant."""
        clock, deadlines = self.clock, self._deadlines
        if not clock.received_ms:
            clock.received_ms = clock.clock_ms = now_ms
            return []
        step_ms = now_ms - clock.received_ms
        if step_ms < 0:
            step_ms = 0
        clock.received_ms = now_ms
        if step_ms > self.settings.stall_ms:
            clock.stalled_ms += step_ms - self.settings.stall_ms
            step_ms = self.settings.stall_ms
        end_ms = clock.clock_ms + step_ms
        changes: list[AlertChange] = []
        while deadlines and deadlines[0][0] < end_ms:
            due_ms, key = heappop(deadlines)
            if self._scheduled.get(key) != due_ms:
                continue
            del self._scheduled[key]
            state = self.pumps[key]
            if self._due_ms(state) == due_ms:
                clock.clock_ms = max(clock.clock_ms, due_ms)
                # At its own instant, however late that is noticed.
                changes += self._evaluate(state, state.due_ms, has_news=False)
            else:
                # The pump was heard since, and that moved the deadline.
                self._schedule(key, state)
        clock.clock_ms = end_ms
        return changes

    def open_alerts(self, key: str) -> OpenAlerts:
        """The list of open alerts of one pump, as it is published and retained."""
        board = self.pumps[key].board
        return OpenAlerts(
            site=board.site,
            pump=board.pump,
            version=board.version,
            alerts=open_alerts(board),
            unseen=unseen_alerts(board),
        )

    def restore(self, clock: Clock, records: Mapping[str, Record]) -> None:
        """Begin from stored state; the pumps follow by `restore_pump`."""
        self.clock = clock
        for key, record in records.items():
            self.therapies.restore(key, record)

    def restore_pump(self, state: PumpState) -> None:
        """Resume one pump from its stored state."""
        name = f"{state.site}/{state.pump}"
        self.pumps[name] = state
        handling = self._handling(name, state, state.evaluated_ms)
        self.therapies.refresh(name, state, state.evaluated_ms, handling.thresholds)
        self._schedule(name, state)

    def pump_ms(self, state: PumpState) -> int:
        """The pump's clock: its newest live message, carried on by the partition clock."""
        if state.edge is None:
            return self.clock.clock_ms
        return state.edge.time_ms + self.clock.clock_ms - state.heard_clock_ms

    def _admit(self, site: str, pump: str) -> None:
        """Refuse a pump for which there is no room."""
        if len(self.pumps) >= PUMPS_MAX and f"{site}/{pump}" not in self.pumps:
            raise MessageError("pumps", f"{site}/{pump}: more than {PUMPS_MAX} pumps", pump=pump)

    def _is_ours(self, site: str, pump: str) -> bool:
        return self.owns is None or self.owns(f"{site}/{pump}")

    def _state(self, site: str, pump: str) -> PumpState:
        key = f"{site}/{pump}"
        state = self.pumps.get(key)
        if state is None:
            now_ms = self.clock.clock_ms
            state = PumpState(site, pump, Board(site, pump), Account(), now_ms)
            state.minute_ms = now_ms + first_minute_ms(self.settings, key)
            self.pumps[key] = state
        return state

    def _pump_message(self, name: str, message: PumpMessage, site: str) -> list[AlertChange]:
        state = self.pumps.get(name) or self._state(site, message.pump)
        self.before_change(name)
        clock, edge, time_ms = self.clock, state.edge, message.time_ms
        clock_ms = clock.clock_ms
        pump_ms = clock_ms if edge is None else edge.time_ms + clock_ms - state.heard_clock_ms
        key = sample_key(message.boot, message.seq)
        if message.boot == state.rival_boot and must_wait(state, message, pump_ms, clock_ms):
            return self._evaluate(state, pump_ms)
        held_iu = held_dose_iu(self.settings, state, message)
        is_new, is_late, late_iu = enter(self.settings, state, message, key, held_iu)
        if not is_new or is_late:
            if is_new:
                self.touched.add(name)
                fill_in(state, late_iu)
            if not (is_new and is_alone(state, message, pump_ms, clock_ms)):
                is_odd = note_old(state, message, key, is_new, pump_ms)
                return self._evaluate(state, pump_ms) if is_odd else []
            turn_to(self.settings, state, message, key, pump_ms)
            self._looks.forget(name)
        self.touched.add(name)
        if not is_live(state, message, pump_ms, clock_ms):
            state.backfilled += 1
            return []
        is_other = edge is None or state.lag_clock_ms is not None
        if is_other or leaps(state, message, key, clock_ms):
            set_clock(state, time_ms, pump_ms, clock.received_ms)
            self._looks.forget(name)
        changes = self._run_up_to(state, time_ms) if time_ms > state.due_ms else []
        has_news = take(state, message, key, held_iu, clock_ms)
        if has_news:
            limits = self._handling(name, state, time_ms).thresholds
            self.therapies.refresh(name, state, time_ms, limits)
        limits = self.handlings.last(name).thresholds
        sees = watch(state, self.therapies.ordered(name), message, limits)
        if sees or has_news or state.is_restless:
            changes += self._evaluate(state, time_ms, has_news)
        return changes

    def _run_up_to(self, state: PumpState, time_ms: int) -> list[AlertChange]:
        """Fire the deadlines that lie between what is known of a pump and its next message."""
        changes: list[AlertChange] = []
        while state.edge is not None and state.evaluated_ms < state.due_ms < time_ms:
            changes += self._evaluate(state, state.due_ms, has_news=False)
        return changes

    def _presence(self, presence: Presence, site: str) -> list[AlertChange]:
        state = self._state(site, presence.pump)
        self.before_change(f"{site}/{presence.pump}")
        known = state.presence
        if known is not None:
            if presence.boot == state.rival_boot or (presence.boot, presence.time_ms) < (
                known.boot,
                known.time_ms,
            ):
                return []
            if presence == known:
                return []
        if known is None or presence.state != known.state:
            state.presence_ms = self.pump_ms(state)
        state.presence = presence
        state.silence_ms = silence_ms(presence)
        state.judged_ms = longest_judged_ms(presence)
        return self._evaluate(state, self.pump_ms(state))

    def _order(self, order: Order, site: str) -> list[AlertChange]:
        pumps = [pump for pump in self.therapies.keep(order, site) if self._is_ours(site, pump)]
        states = [self._state(site, pump) for pump in pumps]
        return [change for state in states for change in self._evaluate(state, self.pump_ms(state))]

    def _clinical(self, message: LabResult | Report, site: str) -> list[AlertChange]:
        """A result or a report; the pump of its therapy's order is judged by it."""
        pump = self.therapies.note(message, site)
        if pump is None or not self._is_ours(site, pump):
            return []
        state = self._state(site, pump)
        if isinstance(message, LabResult):
            self.before_change(f"{site}/{pump}")
            level.observe(state.level, message)
        return self._evaluate(state, self.pump_ms(state))

    def _act(self, act: Act, site: str) -> list[AlertChange]:
        """What a person does about an alert; what became of it is added to `audits`."""
        name = f"{site}/{act.pump}"
        state = self.pumps.get(name)
        if state is None:
            sentence = f"no pump {act.pump} of the site {site} has been heard of"
            self.audits.append(refusal(site, act, self.clock.clock_ms, sentence))
            return []
        heard_ms = state.edge.time_ms if state.edge is not None else state.awaited_ms
        at_ms = max(self.pump_ms(state), state.evaluated_ms)
        look = Look(at_ms, heard_ms, self.therapies.therapy_of(name, state))
        self.before_change(name)
        done = perform(state.board, act, look, self._handling(name, state, at_ms))
        if done.audit is None:
            # It was known: not even the pump is looked at anew.
            return []
        self.audits.append(done.audit)
        return done.changes + self._evaluate(state, at_ms)

    def _minute(self, state: PumpState, record: Record | None, at_ms: int) -> None:
        """What only comes with time, once a minute of the pump's clock."""
        state.minute_ms += ((at_ms - state.minute_ms) // MS_PER_MINUTE + 1) * MS_PER_MINUTE
        carry_on(state, record)
        count_messages(state, at_ms)

    def _evaluate(self, state: PumpState, at_ms: int, has_news: bool = True) -> list[AlertChange]:
        """Look at one pump at one instant of its clock, never before the last look.

        `has_news` False: nothing but numbers has changed, and time has passed.
        """
        name = f"{state.site}/{state.pump}"
        self.before_change(name)
        self.touched.add(name)
        edge, therapies, looks = state.edge, self.therapies, self._looks
        at_ms = state.evaluated_ms = max(at_ms, state.evaluated_ms)
        heard_ms = edge.time_ms if edge is not None else state.awaited_ms
        therapy = therapies.therapy_of(name, state)
        handling = self.handlings.now(name, state, therapy, at_ms, self.clock.received_ms)
        limits = handling.thresholds
        ordered = therapies.ordered(name)
        if ordered is None or at_ms >= ordered.allowed.until_ms:
            ordered = therapies.refresh(name, state, at_ms, limits)
            has_news |= ordered is not None
        record = therapies.record_of(name, state)
        if at_ms >= state.minute_ms:
            self._minute(state, record, at_ms)
        order = record.order if record is not None else None
        situation = Situation(
            state=state,
            at_ms=at_ms,
            heard_ms=heard_ms,
            edge=edge,
            telemetry=state.telemetry,
            delivering=edge is not None and is_delivering(edge),
            record=record,
            prescription=order.prescription if order is not None else None,
            timeline=ordered.timeline if ordered is not None else None,
            allowed=ordered.allowed if ordered is not None else None,
            order_ms=at_ms - state.clock_shift_ms,
            ordered=therapies.are_ordered(name),
            limits=limits,
        )
        found = verdicts(situation, looks.news(name, situation, handling, has_news))
        if found:
            found = advised(found, record, self.nomograms, limits)
        changes: list[AlertChange] = []
        if found or state.board.tracks:
            ordered_iu_h = ordered.allowed.ordered_iu_h if ordered is not None else None
            look = Look(at_ms, heard_ms, therapy, ordered_iu_h)
            changes = update(state.board, look, found, handling)
            looks.settle(name, found, state.board.tracks, handling)
        state.is_restless = is_restless(state.board)
        until_ms = ordered.allowed.until_ms if ordered is not None else FOREVER_MS
        self._plan(name, state, min(until_ms, self.handlings.ends_ms(name, at_ms)), handling)
        return changes

    def _handling(self, name: str, state: PumpState, at_ms: int) -> Handling:
        """What the policy says of a pump now."""
        therapy = self.therapies.therapy_of(name, state)
        return self.handlings.now(name, state, therapy, at_ms, self.clock.received_ms)

    def _plan(self, name: str, state: PumpState, until_ms: int, handling: Handling) -> None:
        """When the pump is looked at next though nothing comes, at the latest its silence."""
        due_ms, tracks, edge = min(until_ms, state.minute_ms), state.board.tracks, state.edge
        heard_ms = edge.time_ms if edge is not None else state.awaited_ms
        board_ms = next_look_ms(state.board, handling, heard_ms) if tracks else None
        if board_ms is not None and board_ms < due_ms:
            due_ms = board_ms
        # A policy without the rule never has its track, and would be looked at for ever.
        if "no-telemetry" in handling.rules and "no-telemetry" not in tracks:
            due_ms = min(due_ms, heard_ms + state.silence_ms)
        state.due_ms = due_ms
        self._schedule(name, state)

    def _due_ms(self, state: PumpState) -> int:
        """The pump's next deadline, on the partition clock."""
        edge = state.edge
        if edge is None:
            return state.due_ms
        return state.due_ms - edge.time_ms + state.heard_clock_ms

    def _schedule(self, name: str, state: PumpState) -> None:
        """Put the pump's next deadline on the heap, unless an earlier one is there already."""
        due_ms = self._due_ms(state)
        scheduled = self._scheduled.get(name)
        if scheduled is None or due_ms < scheduled:
            self._scheduled[name] = due_ms
            heappush(self._deadlines, (due_ms, name))

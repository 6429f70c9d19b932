"""One generator: a share of the pumps, each on its lean session, driven by the slots of `Traffic`.

It connects all sessions at an even rate, says what pumps say when they come, and waits for the
start. From then on each slot is served when it is due; how late the generator was itself is its
lag, apart from what the broker makes messages wait.
"""

import asyncio
import random
import time
from collections import Counter, deque
from functools import partial

from infusion.messages import Kind
from link import Will
from link.lean import WINDOW_MAX, LeanSession, Parcel, now_us
from simulator.load.ledger import UNMEASURED
from simulator.load.measures import Measures
from simulator.load.parcels import ParcelMaker, empty
from simulator.load.pipe import LogWriter
from simulator.load.plan import Part, link_settings
from simulator.load.process import (
    Orders,
    every,
    say,
    tell_each_second,
    wait_for,
)
from simulator.load.reports import Drained, Ready
from simulator.load.traffic import ALARM, Slot, Traffic
from simulator.stream import Connect, Disconnect, Outgoing, Output

# A slot that is served later than this is late; it is a tenth of what a nurse could notice, and
# above what a busy event loop needs for a turn. [A]
LATE_US = 10_000
LATE_SHARE_MAX = 0.01
# At most so many slots are served before the answers that came meanwhile are read.
BURST = 200
WAKE_S = 0.001
BACKOFF_S = (0.5, 30.0)
# Goodbyes go out in portions.
PORTION = 200
# Slots that a generator may be behind; beyond that it makes no more, and the run is not valid.
SLOTS_MAX = 100_000
# Messages that may wait in all sessions together, looked up once a second; some 0.7 KB each.
WAITING_ALL_MAX = 200_000
LOOK_S = 0.1
# What was due at the very end may still go out; what is later than that never does.
GRACE_US = 1_000_000
ALARM_WORD = f'"{ALARM}"'.encode()


class Generator:
    """The sessions of one part; it observes them all."""

    def __init__(self, part: Part, orders: Orders, log: LogWriter | None) -> None:
        """`log` takes what is written, for whoever receives. Raises ConfigError."""
        self._part, self._plan, self._orders, self._log = part, part.plan, orders, log
        self.traffic = Traffic(part)
        self._probes = set(self.traffic.probes)
        self._alarms: dict[str, int] = {}
        self._sessions: dict[str, LeanSession] = {}
        self._connects: dict[str, Connect] = {}  # the last of each session, for another connection
        self._greetings: dict[str, Parcel] = {}  # what each peer says first
        self._members: dict[str, dict[str, None]] = {}  # the peers that share a session
        self._parcels = ParcelMaker(part.plan.mqtt)
        self._slots: deque[Slot] = deque()
        self._dirty: list[LeanSession] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._chance = random.Random(part.plan.seed + part.number)
        self._measures = Measures()
        self._failures: Counter[str] = Counter()  # of connections, since the beginning
        self._open = 0
        self._is_full = False
        self._unserved = 0
        self._is_over = False
        self._has_begun = False
        self._is_loading = False

    # -- the life of a generator ------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, wait for the start, drive, drain, say goodbye."""
        tasks = [
            asyncio.create_task(tell_each_second(self._orders, self._tick)),
            asyncio.create_task(every(max(1.0, self._plan.keep_alive_s / 8), self._keep_alive)),
        ]
        try:
            self._take_first()
            await self._connect_all()
            await self._orders.almost_go()
            if not self._orders.stop.is_set():
                await self._drive(self._orders.go_us)
                self._is_loading = False
            await self._drain()
        finally:
            self._is_over = True
            for task in (*tasks, *self._tasks):
                task.cancel()
            await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)
        await self._say_goodbye()

    def _take_first(self) -> None:
        for output in self.traffic.first():
            self._serve(output, UNMEASURED)

    async def _connect_all(self) -> None:
        """Begin a connection in each slot of the rate, whatever became of the one before."""
        gap_us = round(1e6 * self._plan.processes / self._plan.connect_rate_s)
        meant_us = now_us()
        names = list(self._sessions)
        self._has_begun = True
        for name in names:
            meant_us += gap_us
            delay_s = (meant_us - now_us()) / 1e6
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            if self._orders.stop.is_set():
                break
            # A timer may fire a little early.
            self._open_session(name, min(meant_us, now_us()))
        deadline_s = time.monotonic() + self._plan.connect_timeout_s
        while self._count_open() < len(names) and time.monotonic() < deadline_s:
            if await wait_for(self._orders.stop, LOOK_S):
                break
        say(Ready(connected=self._open, wanted=len(names), reasons=dict(self._failures)))

    async def _drive(self, begin_us: int) -> None:
        """Serve every slot when it is due, until the time is over or somebody asks to stop."""
        end_us = begin_us + round(self._plan.duration_s * 1e6)
        step_us = self.traffic.step_ms * 1_000
        base_us = begin_us
        self._is_loading = True
        while not self._orders.stop.is_set():
            at_us = now_us()
            if at_us >= end_us:
                self._is_loading = False
                if not self._slots or at_us >= end_us + GRACE_US:
                    self._leave_unserved()
                    return
            is_due = base_us < end_us and base_us <= at_us + step_us // 2
            if is_due and len(self._slots) < SLOTS_MAX:
                slots = ((base_us + after, what) for after, what in self.traffic.step())
                self._slots.extend(slot for slot in slots if slot[0] < end_us)
                base_us += step_us
                continue
            self._serve_due(at_us)
            await self._sleep(base_us - step_us // 2 if base_us < end_us else end_us)

    def _leave_unserved(self) -> None:
        """The time is over: what had its time and was not served is late, and never sent."""
        left = [output for _, output in self._slots if _is_counted(output)]
        self._slots.clear()
        self._unserved = len(left)
        self._measures.counts.due += self._unserved
        self._measures.counts.late += self._unserved

    async def _sleep(self, until_us: int) -> None:
        """Until that time at the latest, or until the next slot."""
        next_us = min(until_us, self._slots[0][0]) if self._slots else until_us
        wait_us = next_us - now_us()
        # Below a millisecond the loop's timer is too coarse, and several slots share a turn.
        await asyncio.sleep(max(WAKE_S, wait_us / 1e6) if wait_us > 0 else 0)

    def _serve_due(self, at_us: int) -> None:
        slots, counts = self._slots, self._measures.counts
        lag_us = self._measures.lag_us
        for _ in range(BURST):
            if not slots or slots[0][0] > at_us:
                break
            meant_us, output = slots.popleft()
            self._serve(output, meant_us)
            if _is_counted(output):
                late_us = now_us() - meant_us
                counts.due += 1
                counts.late += late_us > LATE_US
                lag_us.append(late_us)
        for session in self._dirty:
            session.flush()
        self._dirty.clear()

    async def _drain(self) -> None:
        """Wait for what is on its way, and tell what has not arrived by then."""
        deadline_s = time.monotonic() + self._plan.drain_s
        while time.monotonic() < deadline_s and not self._orders.finish.is_set():
            if not any(each.in_flight or each.waiting for each in self._sessions.values()):
                break
            await asyncio.sleep(0.05)
        self._tick()
        if self._log is not None:
            await self._log.close()
        say(
            Drained(
                unsent=self._unserved + sum(each.waiting for each in self._sessions.values()),
                unacknowledged=sum(each.in_flight for each in self._sessions.values()),
                alarms=self._alarms,
            )
        )

    async def _say_goodbye(self) -> None:
        """Take the retained presence back, so that nothing is left at the broker, and end."""
        sessions = self._sessions.values()
        anyone = next((session for session in sessions if session.is_open), None)
        for number, (peer, parcel) in enumerate(self._greetings.items(), start=1):
            own = self._session(peer)
            session = own if own.is_open else anyone
            if session is not None:
                session.publish(empty(parcel), 0)
                session.flush()
            if number % PORTION == 0:
                await asyncio.sleep(0)
        for session in sessions:
            session.goodbye()
        await asyncio.sleep(0.05)

    # -- what the fleet says ----------------------------------------------------------------------

    def _serve(self, output: Output, meant_us: int) -> None:
        if type(output) is Outgoing:
            self._publish(output, meant_us)
        elif isinstance(output, Connect):
            self._connects[output.session] = output
            session = self._session(output.session)
            if self._has_begun and not session.is_wanted:
                self._open_session(session.name, meant_us)
        elif isinstance(output, Disconnect):
            self._part_with(output)

    def _publish(self, output: Outgoing, meant_us: int) -> None:
        parcel = self._parcels.make(output, meant_us)
        session = self._session(output.session)
        if output.kind is Kind.PRESENCE:
            # Said at each connect, before all else; only a change while connected goes out here.
            self._greetings[output.session] = parcel
            if not session.is_open:
                return
        if output.session in self._probes:
            self._note_alarm(output, meant_us)
        if self._is_full and session.waiting:
            self.dropped()
        elif session.publish(parcel, self._plan.qos):
            self._dirty.append(session)

    def _note_alarm(self, output: Outgoing, meant_us: int) -> None:
        """The first message that tells of an injected alarm begins its time."""
        if meant_us != UNMEASURED and ALARM_WORD in output.payload:
            self._probes.discard(output.session)
            self._alarms[f"{self._part.site}/{output.session}"] = meant_us

    def _part_with(self, output: Disconnect) -> None:
        session = self._session(output.session)
        if output.taken_over:
            # The next to connect has the same client id, and the broker ends this one.
            session.is_wanted = False
        elif self._plan.gateway > 1 and output.session in self._members.get(session.name, ()):
            self._say_will(output.session, session)
        elif output.clean:
            session.goodbye()
        else:
            session.cut()

    def _say_will(self, peer: str, session: LeanSession) -> None:
        """A gateway says for a pump that is gone what the broker says for a session."""
        will = self._parcels.will(self._connects[peer])
        if will is not None:
            self._greetings[peer] = will
            if session.publish(will, self._plan.qos):
                self._dirty.append(session)

    # -- sessions ---------------------------------------------------------------------------------

    def _session(self, peer: str) -> LeanSession:
        name = self._session_name(peer)
        session = self._sessions.get(name)
        if session is None:
            closed = self._plan.closed
            window = 1 if closed else WINDOW_MAX
            session = LeanSession(name, self._plan.mqtt, self, window_max=window, from_write=closed)
            self._sessions[name] = session
        if name != peer:
            self._members.setdefault(name, {})[peer] = None
        return session

    def _session_name(self, peer: str) -> str:
        """The session that carries a peer: its own, or its gateway's."""
        if self._plan.gateway == 1 or not peer.startswith("P-") or not peer[2:].isdigit():
            return peer
        return f"gateway-{(int(peer[2:]) - 1) // self._plan.gateway + 1}"

    def _open_session(self, name: str, meant_us: int) -> None:
        session = self._sessions[name]
        connect = self._connects.get(name)
        client = name if connect is None or connect.client is None else connect.client
        settings = link_settings(self._plan, f"{self._part.site}-{client}")
        will = None
        if connect is not None and connect.will_topic is not None:
            will = Will(topic=connect.will_topic, payload=connect.will_payload, retain=True)
        sources = self._plan.source_addresses
        source = sources[len(self._tasks) % len(sources)] if sources else None
        task = asyncio.create_task(session.connect(settings, will, meant_us, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _come_back(self, session: LeanSession) -> None:
        if session.is_wanted and not session.is_open and not self._is_over:
            self._measures.counts.reconnects += 1
            self._open_session(session.name, now_us())

    def _count_open(self) -> int:
        self._open = sum(session.is_open for session in self._sessions.values())
        return self._open

    def _keep_alive(self) -> None:
        at_us, limit_us = now_us(), self._plan.keep_alive_s * 1_000_000
        for session in self._sessions.values():
            session.keep_alive(at_us, limit_us)

    # -- what the sessions tell -------------------------------------------------------------------

    def accepted(self, session: LeanSession, took_us: int) -> None:
        """A session is connected: each of its peers says that it is there."""
        self._measures.counts.connects += 1
        self._measures.connect_us.append(took_us)
        for peer in self._members.get(session.name, (session.name,)):
            greeting = self._greetings.get(peer)
            if greeting is not None:
                session.greet(greeting, self._plan.qos)

    def written(self, parcel: Parcel, at_us: int) -> None:
        """A message was written."""
        self._measures.counts.written += 1
        if not self._plan.qos and parcel.intended_us != UNMEASURED:
            self._measures.counts.in_time += self._is_loading
        if parcel.identity and self._log is not None:
            self._log.add(parcel.identity, self._measured_from(parcel, at_us))

    def _measured_from(self, parcel: Parcel, at_us: int) -> int:
        is_measured = parcel.intended_us != UNMEASURED
        return at_us if is_measured and self._plan.closed else parcel.intended_us

    def acknowledged(self, took_us: int) -> None:
        """The broker acknowledged a message."""
        self._measures.counts.acknowledged += 1
        if took_us >= 0:
            self._measures.counts.in_time += self._is_loading
            self._measures.settle_us.append(took_us)

    def refused(self, code: int) -> None:
        """The broker refused a message."""
        self._measures.counts.refused += 1
        self._measures.reasons[f"PUBACK_{code:#04x}"] += 1

    def lost(self, session: LeanSession, reason: str) -> None:
        """A connection ended, or did not come about: try again after a while."""
        self._measures.reasons[reason] += 1
        self._failures[reason] += 1
        self._measures.counts.lost_connections += 1
        first_s, last_s = BACKOFF_S
        delay_s = min(last_s, first_s * 2 ** min(session.tries, 10)) * self._chance.uniform(0.5, 1)
        asyncio.get_running_loop().call_later(delay_s, partial(self._come_back, session))

    def dropped(self) -> None:
        """A message found no room."""
        self._measures.counts.dropped += 1

    # -- reports ----------------------------------------------------------------------------------

    def _tick(self) -> None:
        sessions = self._sessions.values()
        self._is_full = sum(session.waiting for session in sessions) > WAITING_ALL_MAX
        if self._log is not None:
            self._log.flush()
        say(self._measures.take(self._count_open()))


def _is_counted(output: Output) -> bool:
    """Whether it is a message of the open model; presence goes with a connection."""
    return type(output) is Outgoing and output.kind is not Kind.PRESENCE

"""The receiving side: subscribers that hold what comes against the generators' own log.

Without a shared group each subscriber must get every message, and has a ledger of its own; the
members of a group share one. It is one process, so that all ledgers read one log.
"""

import asyncio
from array import array
from functools import partial

from infusion.messages import AlertChange, Kind, decode, parse_topic, subscription
from link.lean import now_us
from link.lean_listener import LeanListener
from simulator.load.latency import Histogram
from simulator.load.ledger import Ledger, identity, message_number, topic_number
from simulator.load.pipe import LogReader
from simulator.load.plan import Ears, link_settings
from simulator.load.process import (
    Meter,
    Orders,
    every,
    memory_bytes,
    say,
    tell_each_second,
    wait_for,
)
from simulator.load.reports import Counts, Heard, Ready, Tick
from simulator.load.sse import AlertStream, place_of
from simulator.load.traffic import ALARM

SETTLE_S = 0.1
RECONNECT_S = 0.5


class Receiver:
    """The subscribers of a load."""

    def __init__(self, ears: Ears, orders: Orders) -> None:
        """Nothing is connected yet."""
        plan = ears.plan
        self._plan, self._ears, self._orders = plan, ears, orders
        count = plan.subscribers
        ledgers = 0 if not count else 1 if plan.shared_group else count
        self._ledgers = [Ledger() for _ in range(ledgers)]
        self._arrivals: list[list[tuple[int, int, int]]] = [[] for _ in self._ledgers]
        self._topics: dict[bytes, int] = {}
        self._listeners: dict[int, LeanListener] = {}
        self._alerts: dict[str, int] = {}
        self._stream: AlertStream | None = None
        self._streamed: dict[str, int] = {}
        self._took_us = Histogram()
        self._counts = Counts()
        self._reasons: dict[str, int] = {}
        self._meter = Meter()
        self._is_over = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, descriptors: list[int]) -> None:
        """Listen until the logs are complete and the parent says so, or nothing more can come."""
        readers = [LogReader(self._book) for _ in descriptors]
        for reader, descriptor in zip(readers, descriptors, strict=True):
            await reader.open(descriptor)
        wanted = self._plan.subscribers + self._plan.alerts
        for number in range(wanted):
            await self._connect(number)
        connected = len(self._listeners)
        if self._plan.sse is not None:
            connected += await self._open_stream(self._plan.sse, self._plan.sse_token or "")
            wanted += 1
        say(Ready(connected=connected, wanted=wanted, reasons=self._reasons))
        tasks = [
            asyncio.create_task(every(SETTLE_S, self._settle)),
            asyncio.create_task(tell_each_second(self._orders, self._tick)),
            asyncio.create_task(every(max(1.0, self._plan.keep_alive_s / 2), self._ping)),
        ]
        await asyncio.gather(*(reader.closed for reader in readers))
        await self._wait_for_the_rest()
        for task in (*tasks, *self._tasks):
            task.cancel()
        self._tick(is_last=True)
        ledgers = self._ledgers
        say(
            Heard(
                expected=sum(ledger.sent for ledger in ledgers),
                received=sum(ledger.received for ledger in ledgers),
                lost=sum(ledger.missing for ledger in ledgers),
                doubled=sum(ledger.doubled for ledger in ledgers),
                reordered=sum(ledger.reordered for ledger in ledgers),
                alerts=self._alerts,
                streamed=self._streamed,
            )
        )
        self._is_over = True
        for listener in self._listeners.values():
            listener.goodbye()
        if self._stream is not None:
            self._stream.close()
        await asyncio.sleep(0.05)

    async def _wait_for_the_rest(self) -> None:
        """Until everything has come, or the time to drain is over."""
        deadline_us = now_us() + round(self._plan.drain_s * 1e6)
        while now_us() < deadline_us and not self._orders.finish.is_set():
            self._settle()
            if not any(ledger.missing for ledger in self._ledgers) and not self._plan.alerts:
                # A duplicate would come right behind its twin.
                await asyncio.sleep(SETTLE_S)
                return
            await wait_for(self._orders.finish, SETTLE_S)

    # -- connections ------------------------------------------------------------------------------

    async def _connect(self, number: int) -> None:
        """Connect one listener; what fails is told as a reason."""
        plan = self._plan
        is_for_alerts = number == plan.subscribers
        heard = partial(self._hear, 0 if plan.shared_group else number)
        listener = LeanListener(
            link_settings(plan, f"{plan.prefix}-ear-{number + 1}"),
            self._alert_topics() if is_for_alerts else self._load_topics(),
            plan.qos,
            self._hear_alerts if is_for_alerts else heard,
            partial(self._lose, number),
        )
        try:
            await listener.connect()
        except OSError as error:
            self._note(str(error.strerror or error))
        else:
            self._listeners[number] = listener

    async def _open_stream(self, url: str, token: str) -> bool:
        """Whether the monitor gives its stream; what fails is told as a reason."""
        stream = AlertStream(place_of(url), token, ALARM, self._streamed.setdefault)
        try:
            await stream.open(self._plan.connect_timeout_s)
        except OSError as error:
            self._note(str(error.strerror or error))
            return False
        self._stream = stream
        self._keep(asyncio.create_task(self._follow(stream)))
        return True

    async def _follow(self, stream: AlertStream) -> None:
        try:
            await stream.follow()
        except ConnectionError as error:
            # What it would have told is missing from the figures, and this is why.
            self._note(str(error))
            self._counts.lost_connections += 1

    def _note(self, reason: str) -> None:
        self._reasons[reason] = self._reasons.get(reason, 0) + 1

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lose(self, number: int, reason: str) -> None:
        self._note(reason)
        self._counts.lost_connections += 1
        self._listeners.pop(number, None)
        self._keep(asyncio.create_task(self._come_back(number)))

    async def _come_back(self, number: int) -> None:
        while number not in self._listeners and not self._is_over:
            await asyncio.sleep(RECONNECT_S)
            self._counts.reconnects += 1
            await self._connect(number)

    def _load_topics(self) -> tuple[str, ...]:
        group = self._plan.shared_group
        before = f"$share/{group}/" if group else ""
        return tuple(
            before + subscription(kind, site=site)
            for site in self._ears.sites
            for kind in (Kind.TELEMETRY, Kind.EVENT)
        )

    def _alert_topics(self) -> tuple[str, ...]:
        return tuple(subscription(Kind.ALERT_LOG, site=site) for site in self._ears.sites)

    def _ping(self) -> None:
        for listener in self._listeners.values():
            listener.ping()

    # -- what comes -------------------------------------------------------------------------------

    def _hear(self, ledger: int, messages: list[tuple[bytes, bytes]], at_us: int) -> None:
        topics, arrivals = self._topics, self._arrivals[ledger]
        for topic, payload in messages:
            number = topics.get(topic)
            if number is None:
                number = topics[topic] = topic_number(topic)
            arrivals.append((number, identity(number, message_number(payload)), at_us))
        self._counts.received += len(messages)

    def _hear_alerts(self, messages: list[tuple[bytes, bytes]], at_us: int) -> None:
        for topic, payload in messages:
            named = parse_topic(topic.decode())
            change = decode(named, payload)
            if isinstance(change, AlertChange) and change.alert.rule == ALARM:
                self._alerts.setdefault(f"{named.site}/{named.name}", at_us)

    def _book(self, log: "array[int]") -> None:
        for ledger in self._ledgers:
            ledger.book(log)

    def _settle(self, *, is_last: bool = False) -> None:
        at_us = now_us()
        for number, ledger in enumerate(self._ledgers):
            arrivals, self._arrivals[number] = self._arrivals[number], []
            self._took_us.record(ledger.settle(arrivals, at_us, is_last=is_last))

    def _tick(self, *, is_last: bool = False) -> None:
        self._settle(is_last=is_last)
        cpu_s, wall_s = self._meter.take()
        counts, self._counts = self._counts, Counts()
        reasons, self._reasons = self._reasons, {}
        say(
            Tick(
                counts=counts,
                connected=len(self._listeners),
                cpu_s=cpu_s,
                wall_s=wall_s,
                memory_bytes=memory_bytes(),
                end_to_end=self._took_us.take(),
                reasons=reasons,
            )
        )

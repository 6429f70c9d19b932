"""One pump's way to the broker: what waits on it, whether it is open, what the broker sees of it.

Beside the connection that the pump has (`base`) stands the one that the broker sees (`shown`). As
long as both are one and nothing closes the way, what the pump says passes through.
"""

import heapq
from collections.abc import Callable

from msgspec.structs import replace

from infusion.messages import Kind, Presence, decode, encode, parse_topic
from infusion.units import MS_PER_SECOND
from simulator.story.wire_faults import HalfOpen
from simulator.stream import Connect, Disconnect, Outgoing, Output
from simulator.wire_effects import ActiveFault, Item, WireRecord, affect, at_time, is_telling

# How many messages of one pump wait on its way: two days of telemetry at the default interval.
# Beyond that the oldest is lost, and counted in the record of the fault for which it waited.
WAITING_MAX = 20_000

# Asks the wire to call something at a time of the fleet.
Plan = Callable[[int, Callable[[int], None]], None]


class Channel:
    """The way of one pump. `forces` act on messages; while any of `closures` holds, it is shut."""

    def __init__(self, name: str, say: Callable[[Output], None], plan: Plan) -> None:
        """`say` puts a value out; `plan` calls `wake` at a time."""
        self.name = name
        self.base: Connect | None = None
        self.shown: Connect | None = None
        self.presence: Outgoing | None = None
        self.forces: list[ActiveFault] = []
        self.closures: list[ActiveFault] = []
        # Whoever wants to hear what the pump says itself.
        self.listeners: list[Callable[[Outgoing], None]] = []
        # The record of the fault that began last: what waits, waits for it unless the way is shut.
        self.latest: WireRecord | None = None
        self._say = say
        self._plan = plan
        self._waiting: list[tuple[int, int, Outgoing, WireRecord | None]] = []
        self._number = 0
        self._floor_ms = 0  # what keeps its order comes out no earlier than this
        self._wake_ms: int | None = None
        self._strangers = 0

    @property
    def is_busy(self) -> bool:
        """Whether messages may not simply pass."""
        return bool(self.forces or self.closures or self.listeners or self._waiting)

    @property
    def is_open(self) -> bool:
        """Whether what is said now reaches the broker."""
        has_greeted = self.presence is not None
        return not self.closures and has_greeted and self.shown is self.base is not None

    def stranger(self) -> str:
        """The name of a session for somebody who speaks for this pump; another each time."""
        self._strangers += 1
        return f"{self.name}.stranger" + (str(self._strangers) if self._strangers > 1 else "")

    # --- what the fleet says ---------------------------------------------------------------------

    def note(self, output: Output) -> None:
        """Remember what passes while nothing is wrong."""
        if isinstance(output, Connect):
            self.base = self.shown = output
            self.presence = None
        elif isinstance(output, Disconnect):
            self.base = self.shown = None
        elif output.kind is Kind.PRESENCE:
            self.presence = output

    def take(self, output: Output) -> None:
        """Take one value of the fleet, at its time."""
        if isinstance(output, Outgoing):
            if is_telling(output.kind):
                self._tell(output)
            else:
                self._greet(output)
        elif self.closures:
            # Neither hello nor goodbye gets through.
            self.base = output if isinstance(output, Connect) else None
            if isinstance(output, Connect):
                self.presence = None
        else:
            self.note(output)
            self._say(output)

    def _greet(self, presence: Outgoing) -> None:
        self.presence = presence
        if not self.closures:
            self._say(presence)
            self.release(presence.time_ms)

    def _tell(self, output: Outgoing) -> None:
        for listener in self.listeners:
            listener(output)
        now_ms = output.time_ms
        items = [Item(output, now_ms)]
        for force in self.forces:
            items = [after for item in items for after in affect(force, item)]
        for item in items:
            self.put(item, now_ms)

    def put(self, item: Item, now_ms: int) -> None:
        """Send a message on its way: out at once, or to wait for its time or for the way."""
        at_ms = item.at_ms
        if not item.overtakes and self._waiting:
            at_ms = max(at_ms, self._floor_ms)
        if at_ms <= now_ms and self.is_open:
            self._say(at_time(item.output, now_ms))
            return
        record = self.latest
        if self.closures:
            closure = self.closures[0]
            record = closure.record
            if self.shown is not None and self._loses():
                # Said into a connection whose other end is gone, by a pump that keeps no copy.
                record.lost += 1
                return
            record.late += 1
        if not item.overtakes:
            self._floor_ms = at_ms
        self._number += 1
        heapq.heappush(self._waiting, (at_ms, self._number, item.output, record))
        if len(self._waiting) > WAITING_MAX:
            lost = heapq.heappop(self._waiting)[3]
            if lost is not None:
                lost.lost += 1
        self._set_alarm()

    def _loses(self) -> bool:
        faults = (closure.fault for closure in self.closures)
        return any(isinstance(fault, HalfOpen) and not fault.kept for fault in faults)

    # --- what waits ------------------------------------------------------------------------------

    def release(self, now_ms: int) -> None:
        """Let out what is due, if the way is open."""
        while self._waiting and self._waiting[0][0] <= now_ms and self.is_open:
            self._say(at_time(heapq.heappop(self._waiting)[2], now_ms))
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Ask to be woken for the next that waits for its time; the way itself wakes nobody."""
        if not self._waiting or not self.is_open:
            return
        at_ms = self._waiting[0][0]
        if self._wake_ms is None or at_ms < self._wake_ms:
            self._wake_ms = at_ms
            self._plan(at_ms, self._wake)

    def _wake(self, now_ms: int) -> None:
        if self._wake_ms is not None and self._wake_ms <= now_ms:
            self._wake_ms = None
        self.release(now_ms)

    # --- the way shuts and opens -----------------------------------------------------------------

    def shut(self, closure: ActiveFault) -> None:
        """Close the way; the broker does not know it yet."""
        self.closures.append(closure)

    def cut(self, closure: ActiveFault, now_ms: int, *, taken_over: bool = False) -> None:
        """The broker sees the connection end, if it is still there and shut: the will goes out."""
        if closure in self.closures and self.shown is not None:
            closure.record.cuts += 1
            self._end_shown(now_ms, taken_over=taken_over)

    def _end_shown(self, now_ms: int, *, taken_over: bool = False) -> None:
        self.shown = None
        self._say(Disconnect(self.name, now_ms, clean=False, taken_over=taken_over))

    def reopen(self, closure: ActiveFault, now_ms: int, rate_s: float | None = None) -> None:
        """Open the way, unless something else holds it; the back-fill comes `rate_s` a second."""
        self.closures.remove(closure)
        if self.closures:
            return
        if self.shown is not None and self.shown is not self.base:
            self._end_shown(now_ms)
        if self.base is None:
            return
        if self.shown is None and self.presence is not None:
            self._reconnect(now_ms)
        if rate_s is not None:
            self._spread(now_ms, rate_s)
        self.release(now_ms)

    def _reconnect(self, now_ms: int) -> None:
        """Connect anew: will and presence have the time of this connection, as a pump's have."""
        assert self.base is not None, "there is a connection to show"
        assert self.presence is not None, "it had said hello"
        clock_ms = now_ms + _clock_error_ms(self.presence)
        topic = self.presence.topic
        self.base = self.shown = replace(
            self.base,
            time_ms=now_ms,
            will_payload=_renewed(topic, self.base.will_payload, clock_ms),
        )
        self._say(self.base)
        payload = _renewed(topic, self.presence.payload, clock_ms)
        self.presence = replace(self.presence, payload=payload, time_ms=now_ms)
        self._say(self.presence)

    def _spread(self, now_ms: int, rate_s: float) -> None:
        """Give what waits times in order, no two closer than the rate allows."""
        gap_ms = MS_PER_SECOND / rate_s
        in_order = sorted(self._waiting, key=_place)
        self._retime([max(each[0], now_ms + int(k * gap_ms)) for k, each in enumerate(in_order)])

    def _retime(self, times_ms: list[int]) -> None:
        """Give what waits other times, never decreasing; the order stays."""
        in_order = sorted(self._waiting, key=_place)
        first = self._number + 1
        self._number += len(in_order)
        self._waiting = [
            (at_ms, first + k, output, record)
            for k, (at_ms, (_, _, output, record)) in enumerate(
                zip(times_ms, in_order, strict=True)
            )
        ]
        if times_ms:
            self._floor_ms = times_ms[-1]

    # --- the end ---------------------------------------------------------------------------------

    def hurry(self, now_ms: int) -> None:
        """Let everything out that waits only for its time."""
        self._retime([now_ms] * len(self._waiting))
        self.release(now_ms)

    def abandon(self, now_ms: int) -> None:
        """The end: whatever still waits is lost, and a connection that is only shown breaks."""
        for *_, record in self._waiting:
            if record is not None:
                record.lost += 1
        self._waiting.clear()
        if self.closures and self.shown is not None:
            self._end_shown(now_ms)


def _place(each: tuple[int, int, Outgoing, WireRecord | None]) -> tuple[int, int]:
    return each[:2]


def _clock_error_ms(presence: Outgoing) -> int:
    """How far the pump's own clock was ahead when it said this."""
    message = decode(parse_topic(presence.topic), presence.payload)
    assert isinstance(message, Presence), "a pump's presence is one"
    return message.time_ms - presence.time_ms


def _renewed(topic: str, payload: bytes, time_ms: int) -> bytes:
    message = decode(parse_topic(topic), payload)
    assert isinstance(message, Presence), "a pump's presence is one"
    return encode(replace(message, time_ms=time_ms))

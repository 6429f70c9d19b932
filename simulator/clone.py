"""A second pump with the name and the client id of the first: faults `clone` and `replayed`."""

from collections.abc import Callable

from msgspec.structs import replace

from infusion.messages import Kind, Presence, Telemetry, decode, encode, parse_topic
from infusion.units import MS_PER_HOUR, MS_PER_SECOND
from simulator.channel import WAITING_MAX, Channel, Plan
from simulator.story.wire_faults import Clone, Replayed
from simulator.stream import Backlog, Connect, Disconnect, Outgoing, Output
from simulator.wire_effects import ActiveFault, Item, at_time

# How much of one pump's past somebody who says it again has kept; beyond that the oldest is gone.
PAST_MAX = 20_000


class Impostor:
    """A pump that was set up as a copy of another. It tells telemetry of its own, and no events.

    It has the settings of the true pump's latest telemetry, but its own boot, sequence, clock,
    counter and rate. It begins to tell when the true pump has told something.
    """

    def __init__(
        self, channel: Channel, force: ActiveFault, say: Callable[[Output], None], plan: Plan
    ) -> None:
        fault = force.fault
        assert isinstance(fault, Clone), "this is what a clone does"
        self._fault = fault
        self._force = force
        self._channel = channel
        self._say = say
        self._plan = plan
        self._session = f"{channel.name}.clone"
        self._holds = False
        self._kept = Backlog(WAITING_MAX)
        self._template: Outgoing | None = None
        self._begun_ms = 0
        self._sequence = 0

    def begin(self, now_ms: int) -> None:
        """Switch it on."""
        self._begun_ms = now_ms
        self._channel.listeners.append(self._hear)
        self._swap(now_ms)
        self._tell(now_ms)

    def end(self, now_ms: int) -> None:
        """Switch it off; the true pump has its session again."""
        self._channel.listeners.remove(self._hear)
        if self._holds:
            self._give_back(now_ms)
        self._force.record.lost += self._kept.dropped + len(self._kept.clear())

    def _hear(self, output: Outgoing) -> None:
        if output.kind is Kind.TELEMETRY:
            self._template = output

    def _swap(self, now_ms: int) -> None:
        """The one that has lost the session connects again."""
        if self._force.is_over:
            return
        if not self._holds:
            self._take(now_ms)
        elif self._channel.base is not None:
            self._give_back(now_ms)
        self._plan(now_ms + round(self._fault.swap_s * MS_PER_SECOND), self._swap)

    def _take(self, now_ms: int) -> None:
        online = self._presence(now_ms, is_online=True)
        is_taken = any(isinstance(each.fault, Clone) for each in self._channel.closures)
        if online is None or is_taken:
            # It is a copy of a pump that has not been seen yet, or another clone is faster.
            return
        offline = self._presence(now_ms, is_online=False)
        assert offline is not None, "there is a presence to copy"
        self._channel.shut(self._force)
        self._channel.cut(self._force, now_ms, taken_over=True)
        self._holds = True
        will, client = offline.payload, self._channel.name
        self._say(Connect(self._session, now_ms, offline.topic, will, client))
        self._say(online)
        for message in self._kept.clear():
            self._say(at_time(message, now_ms))

    def _give_back(self, now_ms: int) -> None:
        self._holds = False
        is_wanted = self._channel.base is not None and len(self._channel.closures) == 1
        self._force.record.cuts += 1
        self._say(Disconnect(self._session, now_ms, clean=False, taken_over=is_wanted))
        self._channel.reopen(self._force, now_ms)

    def _tell(self, now_ms: int) -> None:
        if self._force.is_over:
            return
        message = self._telemetry(now_ms)
        if message is not None:
            self._force.record.added += 1
            if self._holds:
                self._say(message)
            else:
                self._kept.append(message)
        self._plan(now_ms + round(self._fault.interval_s * MS_PER_SECOND), self._tell)

    def _presence(self, now_ms: int, *, is_online: bool) -> Outgoing | None:
        shown = self._channel.presence
        if shown is None:
            return None
        message = decode(parse_topic(shown.topic), shown.payload)
        assert isinstance(message, Presence), "a pump's presence is one"
        own = replace(
            message,
            boot=self._fault.boot,
            state="online" if is_online else "offline",
            time_ms=now_ms,
        )
        return Outgoing(self._session, shown.topic, encode(own), 1, True, now_ms, Kind.PRESENCE)

    def _telemetry(self, now_ms: int) -> Outgoing | None:
        shown = self._template
        if shown is None:
            return None
        true = decode(parse_topic(shown.topic), shown.payload)
        assert isinstance(true, Telemetry), "a pump's telemetry is one"
        rate_ml_h = true.rate_ml_h if self._fault.rate_ml_h is None else self._fault.rate_ml_h
        # Volumes on the wire are whole nanolitres.
        volume_ml = round(rate_ml_h * (now_ms - self._begun_ms) / MS_PER_HOUR, 6)
        own = replace(
            true,
            boot=self._fault.boot,
            seq=self._sequence,
            time_ms=now_ms,
            status="infusing" if rate_ml_h > 0 else "not-infusing",
            delivery="delivering" if rate_ml_h > 0 else "not-delivering",
            reason=None,
            alarms=(),
            rate_ml_h=rate_ml_h,
            flow_ml_h=rate_ml_h,
            volume_ml=volume_ml,
            segment_ml=volume_ml,
            reservoir_ml=round(max(0.0, true.reservoir_ml - volume_ml), 6),
            dose_rate_iu_kg_h=rate_ml_h * true.concentration_iu_ml / true.weight_kg,
        )
        self._sequence += 1
        return Outgoing(self._session, shown.topic, encode(own), 1, False, now_ms, shown.kind)


class Parrot:
    """Says a slice of the past again, in the pump's session or in one of its own."""

    def __init__(
        self, channel: Channel, force: ActiveFault, say: Callable[[Output], None], plan: Plan
    ) -> None:
        fault = force.fault
        assert isinstance(fault, Replayed), "this is what a replay does"
        self._fault = fault
        self._force = force
        self._channel = channel
        self._say = say
        self._plan = plan
        self._past = Backlog(PAST_MAX)
        self._stranger = channel.stranger() if fault.by == "stranger" else None
        self._is_connected = False
        self._begun_ms = 0
        self._told = 0

    def listen(self, _: int) -> None:
        """Keep what the pump says from now on."""
        self._channel.listeners.append(self._past.append)

    def stop_listening(self, _: int) -> None:
        """It has heard enough."""
        self._channel.listeners.remove(self._past.append)
        self._force.record.forgotten = self._past.dropped

    def begin(self, now_ms: int) -> None:
        """Begin to say it again."""
        self._begun_ms = now_ms
        if self._stranger is not None:
            self._is_connected = True
            self._say(Connect(self._stranger, now_ms))
        self._tell(now_ms)

    def end(self, now_ms: int) -> None:
        """Be silent."""
        self._past.clear()
        if self._stranger is not None and self._is_connected:
            self._is_connected = False
            self._say(Disconnect(self._stranger, now_ms, clean=True))

    def _tell(self, now_ms: int) -> None:
        """Say what is due by now, and come again for the next."""
        while len(self._past):
            due_ms = self._begun_ms + int(self._told * MS_PER_SECOND / self._fault.rate_s)
            if due_ms > now_ms:
                self._plan(due_ms, self._tell)
                return
            output = self._past.first()
            self._told += 1
            self._force.record.added += 1
            if self._stranger is None:
                self._channel.put(Item(output, now_ms), now_ms)
            else:
                self._say(replace(output, session=self._stranger, time_ms=now_ms))

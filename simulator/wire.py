"""The way between pumps and broker, and what a scenario breaks on it.

A stage between what a fleet says and its publisher. It has no clock and no chance but its seed's:
each fault on each pump draws from a generator of its own, so that a fault on one pump shifts
nothing on another. What comes out does not depend on how `carry` is called, as long as each call
has everything that was said up to its time. While no fault is in force, outputs pass as they are.

At one instant, in this order: faults that end, faults that begin, messages whose time has come,
then what the fleet says. Presence and connections are never dropped, delayed or changed by faults
of single messages.
"""

import heapq
import re
from collections.abc import Callable
from functools import partial

import numpy as np
from msgspec.structs import replace

from infusion.messages import Kind
from infusion.units import MS_PER_SECOND
from simulator.channel import Channel
from simulator.clone import Impostor, Parrot
from simulator.cohort import pump_name
from simulator.story import wire_faults as do
from simulator.story.plan import pump_indices
from simulator.story.scenario import Scenario
from simulator.stream import Outgoing, Output
from simulator.wire_effects import ActiveFault, WireRecord

# The second number of every seed that the wire draws from, after the pump's; the third is the
# fault's place in the file.
CHANCE = 1
PRESENCE = Kind.PRESENCE
WORDS = {kind: word for word, kind in do.WIRE_FAULTS.items()}

Call = Callable[[int], None]


class Wire:
    """All pumps' ways; `log` has the truth of every fault that has begun, in order of onset."""

    def __init__(self, seed: int, start_ms: int, scenario: Scenario, pumps: int) -> None:
        """Raises ConfigError for a pump that the fleet has not."""
        self.log: list[WireRecord] = []
        self._seed = seed
        self._channels: dict[str, Channel] = {}
        self._busy: set[Channel] = set()
        self._ended: list[WireRecord] = []
        self._guests: dict[ActiveFault, Impostor | Parrot] = {}
        # What is to be done when: (time, rank, number, what); ranks and numbers settle ties.
        self._due: list[tuple[int, int, int, Call]] = []
        self._number = 0
        self._out: list[Output] = []
        for place, fault in enumerate(scenario.faults):
            if isinstance(fault, do.WireFault):
                resolved = _resolved(scenario, fault, pumps)
                for index in pump_indices(scenario, fault.pump, pumps):
                    self._schedule(resolved, index, place, pumps, start_ms)

    def carry(self, outputs: list[Output], now_ms: int) -> list[Output]:
        """What comes out up to a time, in order, of what was said since the call before."""
        if not self._channels:
            return outputs
        channels = self._channels
        if not self._busy and (not self._due or now_ms < self._due[0][0]):
            for output in outputs:
                # Nearly all are telemetry, of which nothing has to be remembered.
                if type(output) is Outgoing and output.kind is not PRESENCE:
                    continue
                if (channel := channels.get(output.session)) is not None:
                    channel.note(output)
            return outputs
        self._out = []
        for output in outputs:
            if self._due and self._due[0][0] <= output.time_ms:
                self._run(output.time_ms)
            if (channel := channels.get(output.session)) is None:
                self._out.append(output)
            else:
                channel.take(output)
        self._run(now_ms)
        self._busy = {channel for channel in self._busy if channel.is_busy}
        return self._out

    def close(self, outputs: list[Output], now_ms: int) -> list[Output]:
        """The end of the simulation: every fault ends, then the fleet says goodbye.

        What only waits for its time comes out. Ways that are shut stay so: what waits there is
        lost, as what a pump keeps itself would be.
        """
        before = self.carry([], now_ms)
        self._due.clear()
        self._out = [*before]
        for force, guest in self._guests.items():
            force.record.end_ms = now_ms
            guest.end(now_ms)
        self._guests.clear()
        for channel in self._channels.values():
            channel.forces.clear()
            channel.hurry(now_ms)
        self._due.clear()
        for output in outputs:
            if (channel_of := self._channels.get(output.session)) is None:
                self._out.append(output)
            else:
                channel_of.take(output)
        for channel in self._channels.values():
            channel.abandon(now_ms)
        for record in self.log:
            record.end_ms = now_ms if record.end_ms is None else record.end_ms
        self._busy.clear()
        return self._out

    def take_ended(self) -> list[WireRecord]:
        """The faults that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    # --- the timeline ----------------------------------------------------------------------------

    def _schedule(
        self, fault: do.WireFault, index: int, place: int, pumps: int, start_ms: int
    ) -> None:
        name = pump_name(index, pumps)
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(name, self._say, self._plan)
        record = WireRecord(fault=WORDS[type(fault)], pump=name, onset_ms=start_ms + fault.at.ms)
        force = ActiveFault(fault, record, self._chance(index, place))
        if isinstance(fault, do.Replayed):
            parrot = self._guests[force] = Parrot(channel, force, self._say, self._plan)
            self._push(start_ms + fault.since.ms, 1, partial(self._listen, channel, parrot))
            self._push(start_ms + fault.upto.ms, 0, parrot.stop_listening)
        self._push(start_ms + fault.until.ms, 0, partial(self._end, channel, force))
        self._push(start_ms + fault.at.ms, 1, partial(self._begin, channel, force))

    def _chance(self, index: int, place: int) -> np.random.Generator:
        key = (index, CHANCE, place)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=key))
        )

    def _push(self, at_ms: int, rank: int, call: Call) -> None:
        self._number += 1
        heapq.heappush(self._due, (at_ms, rank, self._number, call))

    def _plan(self, at_ms: int, call: Call) -> None:
        self._push(at_ms, 2, call)

    def _say(self, output: Output) -> None:
        self._out.append(output)

    def _run(self, to_ms: int) -> None:
        while self._due and self._due[0][0] <= to_ms:
            at_ms, _, _, call = heapq.heappop(self._due)
            call(at_ms)

    # --- faults begin and end --------------------------------------------------------------------

    def _listen(self, channel: Channel, parrot: Parrot, now_ms: int) -> None:
        self._busy.add(channel)
        parrot.listen(now_ms)

    def _begin(self, channel: Channel, force: ActiveFault, now_ms: int) -> None:
        fault = force.fault
        self.log.append(force.record)
        self._busy.add(channel)
        channel.latest = force.record
        if isinstance(fault, do.MessageFault):
            channel.forces.append(force)
        elif isinstance(fault, do.HalfOpen):
            channel.shut(force)
            self._plan(now_ms + _ms(fault.notice_s), partial(channel.cut, force))
        elif isinstance(fault, do.Flapping):
            self._flap(channel, force, now_ms)
        elif isinstance(fault, do.Clone):
            impostor = self._guests[force] = Impostor(channel, force, self._say, self._plan)
            impostor.begin(now_ms)
        elif isinstance(fault, do.Replayed):
            self._guests[force].begin(now_ms)
        else:
            channel.shut(force)
            channel.cut(force, now_ms)

    def _end(self, channel: Channel, force: ActiveFault, now_ms: int) -> None:
        fault = force.fault
        force.record.end_ms = now_ms
        self._ended.append(force.record)
        if isinstance(fault, do.MessageFault):
            channel.forces.remove(force)
        elif isinstance(fault, do.Storm):
            spread_ms = int(_ms(fault.spread_s) * float(force.chance.random()))
            rate_s = fault.backfill_rate_s
            self._plan(now_ms + spread_ms, partial(self._reopen, channel, force, rate_s))
        elif isinstance(fault, do.HalfOpen | do.Flapping):
            if force in channel.closures:
                self._reopen(channel, force, fault.backfill_rate_s, now_ms)
        else:
            self._guests.pop(force).end(now_ms)

    def _flap(self, channel: Channel, force: ActiveFault, now_ms: int) -> None:
        """The way closes where it was open and opens where it was closed; then again, later."""
        fault = force.fault
        assert isinstance(fault, do.Flapping), "this is what Wi-Fi at its edge does"
        if force.is_over:
            return
        self._busy.add(channel)
        if force in channel.closures:
            self._reopen(channel, force, fault.backfill_rate_s, now_ms)
            mean_s = fault.up_s
        else:
            channel.shut(force)
            channel.cut(force, now_ms)
            mean_s = fault.down_s
        factor = 1 + fault.spread * (2 * float(force.chance.random()) - 1)
        self._plan(now_ms + max(1, _ms(mean_s * factor)), partial(self._flap, channel, force))

    def _reopen(
        self, channel: Channel, force: ActiveFault, rate_s: float | None, now_ms: int
    ) -> None:
        self._busy.add(channel)
        channel.reopen(force, now_ms, rate_s)


def _ms(seconds: float) -> int:
    return round(seconds * MS_PER_SECOND)


def _resolved(scenario: Scenario, fault: do.WireFault, pumps: int) -> do.WireFault:
    """The fault with another pump's name as it is in a fleet of this size."""
    if not isinstance(fault, do.WrongTopic) or fault.as_pump is None:
        return fault
    if not re.fullmatch(r"P-\d+", fault.as_pump):
        return fault
    index = pump_indices(scenario, fault.as_pump, pumps)[0]
    return replace(fault, as_pump=pump_name(index, pumps))

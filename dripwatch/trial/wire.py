"""What happens to messages between a pump and the monitor: lost, late, out of order.

MQTT keeps the order of a session and delivers QoS 1 at least once; what loses and reorders is a
gateway on the way that acknowledges before it has stored, or works with several hands. Telemetry
and events are what it touches. Presence, orders, results and reports come through: a broker
retains the first, and whoever publishes the others does so again until they are acknowledged. Each
pump draws from a generator of its own, so no pump's loss depends on another's messages.
"""

from bisect import bisect_right
from operator import itemgetter
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from infusion.errors import ConfigError
from infusion.messages import Kind
from infusion.tables import nearest
from simulator.stream import Outgoing, Output

Share = Annotated[float, Meta(ge=0, le=0.5)]
Seconds = Annotated[float, Meta(ge=0, le=300)]
# The child of a block's seed that a pump's way draws from, before the pump's own number.
CHANCE = 202
DRAWN_AT_ONCE = 256
TELEMETRY, EVENT = Kind.TELEMETRY, Kind.EVENT
# A fate is what becomes of a message (see `Lane.fate`), and two delays. Presence and connections
# have this one: they keep their place among what was said.
Fate = tuple[int, int, int]
IN_ORDER: Fate = (1, 0, 0)
# Nothing is later than this many mean delays: the network would have been given up before. [A]
DELAYS_MAX = 20.0


class WireSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How bad the way is.

    `loss` is the share that never comes. All others come `delay` seconds later on average,
    exponentially distributed, in order; the share `reorder` of them takes up to `within` seconds
    more, is passed by others meanwhile, and the share `repeat` comes a second time.
    """

    loss: Share = 0.0
    delay: Seconds = 0.0
    reorder: Share = 0.0
    within: Seconds = 30.0
    repeat: Share = 0.0


PRESETS: dict[str, WireSettings] = {
    "clean": WireSettings(),
    # The wire of the published table: 1 % lost, all delayed, some reordered. [A]
    "home": WireSettings(loss=0.01, delay=1.0, reorder=0.01, within=20.0, repeat=0.002),
    "bad": WireSettings(loss=0.05, delay=5.0, reorder=0.05, within=60.0, repeat=0.01),
}


def read_wire(text: str) -> WireSettings:
    """A preset by name, or `loss=0.01,delay=5,reorder=0.02`. Raises ConfigError."""
    if "=" not in text:
        if text not in PRESETS:
            raise ConfigError(f"--wire: {text!r} is unknown; {nearest(text, PRESETS)}")
        return PRESETS[text]
    values: dict[str, float] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        try:
            values[key.strip()] = float(value)
        except ValueError:
            raise ConfigError(
                f"--wire: {part!r} is no number; write, for example, loss=0.01,delay=5"
            ) from None
    try:
        return msgspec.convert(values, WireSettings)
    except msgspec.ValidationError as error:
        known = ", ".join(WireSettings.__struct_fields__)
        raise ConfigError(f"--wire: {error}; known are {known}") from None


# An output on its way: when it arrives, a number that settles ties, and itself.
Arrival = tuple[int, int, Output]
_arrives_ms = itemgetter(0)


class Lane:
    """The way of one session: what it draws for each message, and when the last one arrives."""

    __slots__ = ("_chance", "_fates", "_settings", "last_ms")

    def __init__(self, settings: WireSettings, chance: np.random.Generator) -> None:
        self._settings = settings
        self._chance = chance
        self._fates: list[Fate] = []
        self.last_ms = 0

    def fate(self) -> Fate:
        """For the next message: 0 lost, 1 in order, 2 passed by others, 3 twice; and two delays."""
        if not self._fates:
            self._fates = self._draw()
        return self._fates.pop()

    def _draw(self) -> list[Fate]:
        settings, chance = self._settings, self._chance
        drawn: Any = chance.random((3, DRAWN_AT_ONCE))
        fates = np.where(drawn[1] < settings.repeat, 3, 1)
        fates = np.where(drawn[1] >= 1.0 - settings.reorder, 2, fates)
        fates = np.where(drawn[0] < settings.loss, 0, fates)
        mean_ms = settings.delay * 1_000
        delays = np.minimum(chance.standard_exponential(DRAWN_AT_ONCE), DELAYS_MAX) * mean_ms
        extra = drawn[2] * settings.within * 1_000
        return list(
            zip(
                fates.tolist(), delays.astype(int).tolist(), extra.astype(int).tolist(), strict=True
            )
        )


class LossyWire:
    """The ways of a whole fleet. `counts` has what became of the messages."""

    def __init__(self, settings: WireSettings, seed: int, pumps: dict[str, int]) -> None:
        """`pumps` has the number of each session that is a pump's; all others pass untouched."""
        self.settings = settings
        self.counts = {"said": 0, "lost": 0, "reordered": 0, "repeated": 0}
        self._lanes = {
            name: Lane(settings, _generator(seed, number)) for name, number in pumps.items()
        }
        self._is_clean = settings == PRESETS["clean"]
        self._waiting: list[Arrival] = []
        self._number = 0

    def carry(self, outputs: list[Output], now_ms: int) -> list[Arrival]:
        """Take what was said, and give what has arrived by now, in order of arrival."""
        waiting, lanes, is_clean = self._waiting, self._lanes, self._is_clean
        for output in outputs:
            self._number += 1
            lane = lanes.get(output.session)
            if lane is None or is_clean:
                waiting.append((output.time_ms, self._number, output))
            else:
                self._send(lane, output, self._number)
        if not waiting:
            return []
        waiting.sort()
        if waiting[-1][0] <= now_ms:
            self._waiting = []
            return waiting
        arrived = bisect_right(waiting, now_ms, key=_arrives_ms)
        self._waiting = waiting[arrived:]
        return waiting[:arrived]

    def _send(self, lane: Lane, output: Output, number: int) -> None:
        """Put one output on its way, or lose it."""
        at_ms, waiting, counts = output.time_ms, self._waiting, self.counts
        fate, delay_ms, extra_ms = IN_ORDER
        if type(output) is Outgoing and (output.kind is TELEMETRY or output.kind is EVENT):
            counts["said"] += 1
            fate, delay_ms, extra_ms = lane.fate()
        at_ms += delay_ms
        if fate == 0:
            counts["lost"] += 1
            return
        if fate == 2:
            counts["reordered"] += 1
            waiting.append((at_ms + extra_ms, number, output))
            return
        if at_ms < lane.last_ms:
            at_ms = lane.last_ms
        lane.last_ms = at_ms
        waiting.append((at_ms, number, output))
        if fate == 3:
            counts["repeated"] += 1
            waiting.append((at_ms + extra_ms, number, output))


def _generator(seed: int, number: int) -> np.random.Generator:
    key = (number, CHANCE)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))

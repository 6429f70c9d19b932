"""How far behind its broker the monitor is, told by its own heartbeat.

What waits in the broker's queue the monitor cannot see, and how old a message of a pump is, it
cannot tell from the pump's own clock. But its heartbeat goes the way of every message: it waits in
the same queue, and comes back when all that was published before it is handled. It carries the
monitor's own time, so what it took is how far behind the monitor is, on one clock.

While a beat is due and does not come back, what is handled was published after the last one that
did, so the monitor may be as far behind as that is old. The same holds for beats of an earlier run,
and while there is no connection.

An embedded broker that serves subscriptions in turns (rumqttd) may let the beat overtake.
"""

from collections.abc import Sequence
from typing import Literal

from infusion.errors import MessageError
from infusion.messages import CONTRACT, MonitorPresence, decode, parse_topic
from monitor.ports import Entry, Numbered, Refused

# Said when it is more, and over when it is less: in between nothing is said. [A]
BEHIND_MS = 5_000
CAUGHT_UP_MS = 1_000
# Said again when it has grown by so much.
AGAIN_FACTOR = 2

News = Literal["behind", "caught up"]


class Behind:
    """Follows the heartbeat of one monitor. Times are on its clock, which runs `speed` times as
    fast as the wall's; `beat_ms` lie between two beats.

    `watch` belongs into the runner's watchers.
    """

    def __init__(self, topic: str, *, beat_ms: int, speed: float = 1.0) -> None:
        self._topic = topic
        self._slack_ms = 2 * beat_ms
        self._speed = speed
        # Since when nothing newer is known to be handled; None before the first beat.
        self._since_ms: int | None = None
        self._took_ms = 0
        self._said_ms = 0
        # The most that `news` has seen.
        self.worst_ms = 0

    def sent(self, now_ms: int) -> None:
        """A beat was sent; only the first one of a run is a beginning."""
        if self._since_ms is None:
            self._since_ms = now_ms

    def watch(
        self, entries: Sequence[Entry], _said: Sequence[Numbered], _refused: Sequence[Refused]
    ) -> None:
        """Look for the newest beat in a batch that was stored."""
        topic = self._topic
        for entry in reversed(entries):
            if entry.topic == topic:
                self._came(entry)
                return

    def ms(self, now_ms: int) -> int:
        """How far behind the monitor is now, in milliseconds of its clock."""
        if self._since_ms is None:
            return 0
        return max(0, self._took_ms, now_ms - self._since_ms - self._slack_ms)

    def news(self, now_ms: int) -> News | None:
        """What an operator should be told, if anything; asked once a beat.

        "behind" when it is more than `BEHIND_MS` of the wall's clock, and each time it has doubled;
        "caught up" once it is less than `CAUGHT_UP_MS`.
        """
        wall_ms = round(self.ms(now_ms) / self._speed)
        self.worst_ms = max(self.worst_ms, wall_ms)
        if wall_ms > max(BEHIND_MS, AGAIN_FACTOR * self._said_ms - 1):
            self._said_ms = wall_ms
            return "behind"
        if self._said_ms and wall_ms < CAUGHT_UP_MS:
            self._said_ms = 0
            return "caught up"
        return None

    def _came(self, entry: Entry) -> None:
        try:
            beat = decode(parse_topic(entry.topic), entry.payload, contract=CONTRACT)
        except MessageError:
            # Refused and counted by the core; it says nothing of the way here.
            return
        if isinstance(beat, MonitorPresence) and beat.state == "online":
            self._since_ms = beat.time_ms
            self._took_ms = max(0, entry.received_ms - beat.time_ms)

"""What was sent against what came: lost, doubled, reordered, and how long each took.

A message is named by its topic and by what its payload says of itself: boot and sequence number,
which a pump gives each message once. A scenario may send one twice, keep one back or spoil it on
purpose; the ledger holds what came against what was really written, so none of that is counted as
the broker's doing. The generators' log of what they wrote comes over a pipe and may be behind the
broker, so a message that nobody is known to have sent yet is looked at again before it is called
doubled.
"""

import zlib
from array import array
from hashlib import blake2b

from infusion.messages import PREFIX

# How long the log of a generator may be behind the broker.
EARLY_US = 5_000_000
BOOT_BITS = 42
SPOILT_BIT = 1 << 62
# Sent while nothing is measured: it counts, but it has no latency.
UNMEASURED = 0


def topic_number(topic: bytes) -> int:
    """A number that stands for a topic, the same in every process."""
    return int.from_bytes(blake2b(topic, digest_size=8).digest(), "big", signed=True)


def message_number(payload: bytes) -> int:
    """A number that stands for a message of one topic: boot and seq, or a sum of what is spoilt."""
    parts = payload.split(b",", 3)
    if len(parts) == 4 and parts[1].startswith(b'"boot":') and parts[2].startswith(b'"seq":'):
        boot, seq = parts[1][7:], parts[2][6:]
        if boot.isdigit() and seq.isdigit() and len(boot) < 8 and len(seq) < 13:
            return int(boot) << BOOT_BITS | int(seq)
    return SPOILT_BIT | zlib.crc32(payload)


def identity(topic: int, message: int) -> int:
    """One number of 64 bits for both."""
    return topic ^ message


def is_ours(topic: bytes) -> bool:
    """Whether a topic is of this contract at all."""
    return topic.startswith(PREFIX.encode())


class Ledger:
    """What one subscriber, or one shared group, should get and has got."""

    def __init__(self) -> None:
        """Nothing is sent."""
        self.sent = 0
        self.received = 0
        self.doubled = 0
        self.reordered = 0
        self._log_position = 0
        # By identity: where it stood in the log, and when it was meant to go.
        self._open: dict[int, tuple[int, int]] = {}
        # What was sent again before it came the first time: a scenario's duplicates.
        self._again: dict[int, list[tuple[int, int]]] = {}
        self._last_position: dict[int, int] = {}
        self._early: list[tuple[int, int, int]] = []
        self._held: set[int] = set()  # topics that have an early message

    @property
    def missing(self) -> int:
        """Messages that were sent and have not come."""
        return len(self._open) + sum(len(more) for more in self._again.values())

    def book(self, log: "array[int]") -> None:
        """Messages were written: pairs of identity and intended time (µs) in order."""
        position = self._log_position
        waiting = self._open
        for at in range(0, len(log), 2):
            number = log[at]
            entry = (position, log[at + 1])
            if number in waiting:
                self._again.setdefault(number, []).append(entry)
            else:
                waiting[number] = entry
            position += 1
        self._log_position = position
        self.sent += len(log) // 2

    def settle(
        self, arrivals: list[tuple[int, int, int]], now_us: int, *, is_last: bool = False
    ) -> "array[int]":
        """Messages came: (topic number, identity, when). Returns latencies, µs.

        `is_last` says that the whole log has been booked, so that what is unknown now is doubled.
        """
        took: array[int] = array("q")
        early, self._early = self._early, []
        self._held.clear()
        for arrival in early:
            self._settle_one(arrival, now_us, is_last, took)
        self.received += len(arrivals)
        for arrival in arrivals:
            self._settle_one(arrival, now_us, is_last, took)
        return took

    def _settle_one(
        self, arrival: tuple[int, int, int], now_us: int, is_last: bool, took: "array[int]"
    ) -> None:
        topic, number, at_us = arrival
        if topic in self._held:
            # What came after an early message of its topic waits, or their order would be lost.
            self._early.append(arrival)
            return
        entry = self._open.pop(number, None)
        if entry is None:
            if is_last or now_us - at_us > EARLY_US:
                self.doubled += 1
            else:
                self._early.append(arrival)
                self._held.add(topic)
            return
        if self._again:
            self._take_next(number)
        position, intended_us = entry
        last = self._last_position.get(topic, -1)
        if position < last:
            self.reordered += 1
        else:
            self._last_position[topic] = position
        if intended_us != UNMEASURED:
            took.append(at_us - intended_us)

    def _take_next(self, number: int) -> None:
        """The next of several with one identity is the one that is waited for now."""
        more = self._again.get(number)
        if more:
            self._open[number] = more.pop(0)
            if not more:
                del self._again[number]

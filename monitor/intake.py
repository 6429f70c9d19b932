"""Messages from the broker as an event log: batches in order of arrival, acknowledged when done.

Nothing is acknowledged before the store has it, and no more than `receive_max` messages are held
unacknowledged: when the store is slow, the broker keeps the queue, not this process.

What belongs to another part of the pumps (monitor/partition.py) is acknowledged and passed over.
"""

import asyncio
from collections.abc import Callable

from infusion.messages import Kind, subscription
from link import Link, Message, Subscription
from monitor.partition import WHOLE, Partition
from monitor.ports import Batch, Entry

BATCH_MAX = 1_000
# Batches are at least this far apart. A commit costs the same for one message as for many, so at a
# thousand messages a second this halves the work; a message that comes alone does not wait.
BATCH_GAP_S = 0.02

# The monitor's own presence comes back on PRESENCE: the heartbeat that proves the broker delivers.
SUBSCRIPTIONS = tuple(
    Subscription(subscription(kind))
    for kind in (
        Kind.TELEMETRY,
        Kind.EVENT,
        Kind.PRESENCE,
        Kind.ORDER,
        Kind.LAB,
        Kind.REPORT,
        Kind.ACT,
    )
)


class LinkIntake:
    """The `EventLog` port on a link. `now_ms` tells the time of receipt on the monitor's clock."""

    def __init__(self, link: Link, now_ms: Callable[[], int], partition: Partition = WHOLE) -> None:
        self._link = link
        self._now_ms = now_ms
        self._partition = partition
        self._not_before_s = 0.0
        # Messages of other parts that were passed over.
        self.passed_over = 0

    async def take(self) -> Batch:
        """Wait for messages. Raises LinkError when the broker refuses the link for good."""
        loop = asyncio.get_running_loop()
        if (gap_s := self._not_before_s - loop.time()) > 0:
            await asyncio.sleep(gap_s)
        while True:
            messages = await self._link.receive(BATCH_MAX)
            ours = self._ours(messages)
            if ours:
                break
            self._link.acknowledge(messages)
        self._not_before_s = loop.time() + BATCH_GAP_S
        received_ms = self._now_ms()
        entries = tuple(
            Entry(received_ms, message.topic, message.payload, _contract(message))
            for message in ours
        )
        return Batch(entries, messages)

    def done(self, batch: Batch) -> None:
        """Acknowledge a batch."""
        messages = batch.token
        assert isinstance(messages, list)
        self._link.acknowledge(messages)

    def _ours(self, messages: list[Message]) -> list[Message]:
        if self._partition.of == 1:
            return messages
        takes = self._partition.takes
        ours = [message for message in messages if takes(message.topic)]
        self.passed_over += len(messages) - len(ours)
        return ours


def _contract(message: Message) -> str | None:
    for name, value in message.user_properties:
        if name == "contract":
            return value
    return None

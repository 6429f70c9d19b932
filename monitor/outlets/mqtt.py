"""Alerts on MQTT: each change once on the alert log, what became of each act on the audit topic,
and the open list of a pump, retained.

All is said in order. Something counts as said when the broker has acknowledged it and everything
before it; after a crash what is not counted is said again, with the same id and version.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from infusion.messages import (
    CONTENT_TYPE,
    USER_PROPERTIES,
    AlertChange,
    Kind,
    OpenAlerts,
    Topic,
    encode,
)
from link import Link
from monitor.ports import Numbered, Said

log = structlog.get_logger()


class MqttSink:
    """The `AlertSink` port on a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._said_number = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def begin(self, said_number: int) -> None:
        """Go on after what an earlier run has said."""
        self._said_number = said_number

    async def settle(self, timeout_s: float) -> None:
        """Wait until the broker has everything. Raises LinkError when it has not in time."""
        await self._link.drain(timeout_s)

    @property
    def said_number(self) -> int:
        """Everything up to this number has been acknowledged by the broker."""
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            number, future = waiting.popleft()
            # A broker that refuses something refuses it for good (a limit, an access list): the
            # store keeps it, this log tells of it, and what comes after it is not held up.
            error = future.exception()
            if error is not None:
                log.error("refused by the broker", number=number, error=str(error))
            self._said_number = number
        return self._said_number

    async def say(self, said: Sequence[Numbered], lists: Sequence[OpenAlerts]) -> None:
        """Publish what was said, and lists, waiting while the link is full. Raises LinkError."""
        for numbered in said:
            topic = _topic(numbered.said)
            future = await self._publish(topic, encode(numbered.said), retain=False)
            self._waiting.append((numbered.number, future))
        for open_ in lists:
            topic = Topic(Kind.ALERTS, open_.site, open_.pump)
            await self._publish(topic, encode(open_), retain=True)

    async def _publish(self, topic: Topic, payload: bytes, *, retain: bool) -> asyncio.Future[None]:
        await self._link.room()
        return self._link.publish(
            str(topic),
            payload,
            retain=retain,
            content_type=CONTENT_TYPE,
            user_properties=USER_PROPERTIES,
        )


def _topic(said: Said) -> Topic:
    if isinstance(said, AlertChange):
        return Topic(Kind.ALERT_LOG, said.alert.site, said.alert.pump)
    return Topic(Kind.AUDIT, said.site, said.pump)

"""The alert stream of any broker: one change a line, for people or, as JSON, for programs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from msgspec import structs

from infusion.errors import MessageError
from infusion.messages import AlertChange, Kind, OpenAlerts, decode, parse_topic, subscription
from link import Link, LinkSettings, Message, Subscription, open_link

CONNECT_TIMEOUT_S = 10.0
# Changes whose repeat is recognised; a monitor repeats only what it said just before it died.
KNOWN_MAX = 100_000


class Watch:
    """Listens to the alert log, and first to the retained lists of what is open already.

    Each change is given once, although a monitor that was killed says its last ones again.
    """

    def __init__(self, link: LinkSettings, *, site: str = "+", with_open: bool = True) -> None:
        kinds = (Kind.ALERTS, Kind.ALERT_LOG) if with_open else (Kind.ALERT_LOG,)
        self._subscriptions = [Subscription(subscription(kind, site=site)) for kind in kinds]
        self._settings = structs.replace(link, client_id="")
        self._known: dict[tuple[str, int], None] = {}
        # Messages that contract v1 does not allow; they are passed over.
        self.refused = 0

    async def changes(
        self, on_ready: Callable[[], object] | None = None
    ) -> AsyncIterator[AlertChange]:
        """Every change from now on; an alert that is open already comes as `raised` first.

        `on_ready` is called once the broker has taken the subscription. Raises LinkError.
        """
        async with open_link(self._settings, subscriptions=self._subscriptions) as link:
            await link.connected(CONNECT_TIMEOUT_S)
            if on_ready is not None:
                on_ready()
            async for change in self._changes(link):
                yield change

    async def _changes(self, link: Link) -> AsyncIterator[AlertChange]:
        while True:
            batch = await link.receive()
            for message in batch:
                for change in self._read(message):
                    if self._is_new(change):
                        yield change
            link.acknowledge(batch)

    def _read(self, message: Message) -> list[AlertChange]:
        try:
            content = decode(parse_topic(message.topic), message.payload)
        except MessageError:
            self.refused += 1
            return []
        if isinstance(content, AlertChange):
            return [content]
        if isinstance(content, OpenAlerts) and message.retain:
            return [
                AlertChange(change="raised", list_version=content.version, alert=alert)
                for alert in content.alerts
            ]
        return []

    def _is_new(self, change: AlertChange) -> bool:
        key = (change.alert.id, change.alert.version)
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return True


async def watch(
    link: LinkSettings, say: Callable[[AlertChange], object], *, site: str, for_s: float | None
) -> None:
    """Say each change until cancelled, or for some seconds. Raises LinkError."""
    with suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            async for change in Watch(link, site=site).changes():
                say(change)

"""MQTT, and the only room that knows it: one `Link` with two lanes, MQTT 5 and MQTT 3.1.1."""

from collections.abc import Sequence

from link.connection import FastLink
from link.embedded import EmbeddedBroker
from link.interface import (
    Counters,
    Link,
    LinkSettings,
    Message,
    OnConnect,
    OutboxFull,
    Subscription,
    Tls,
    Will,
)
from link.legacy import LegacyLink

__all__ = [
    "Counters",
    "EmbeddedBroker",
    "Link",
    "LinkSettings",
    "Message",
    "OutboxFull",
    "Subscription",
    "Tls",
    "Will",
    "open_link",
]


def open_link(
    settings: LinkSettings,
    *,
    subscriptions: Sequence[Subscription] = (),
    will: Will | None = None,
    on_connect: OnConnect | None = None,
) -> Link:
    """Make the link for `settings.mqtt`; it starts to connect at `async with`.

    `on_connect(session_present)` is called synchronously after every CONNACK, before queued
    messages go out. What it publishes goes first on the wire, and is forgotten when the connection
    ends before the broker acknowledged it, since the next connect says it anew. What it raises
    ends the link.
    """
    lane = FastLink if settings.mqtt == "5" else LegacyLink
    return lane(settings, subscriptions=subscriptions, will=will, on_connect=on_connect)

"""Puts what a fleet says on a broker: one MQTT session for each pump, one for the EHR.

simulator/sessions.py has the life of one session; here is what they share: the settings of their
links, the pace of connecting, counters, and the EHR's ear for monitors.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from msgspec.structs import replace

from infusion.errors import LinkError, MessageError
from infusion.messages import (
    CONTENT_TYPE,
    USER_PROPERTIES,
    Kind,
    MonitorPresence,
    Presence,
    decode,
    parse_topic,
    subscription,
)
from link import Link, LinkSettings, Subscription, Will, open_link
from simulator.fleet import EHR_SESSION
from simulator.sessions import Pace, PublisherCounters, Session
from simulator.stream import Connect, Outgoing, Output

# How many messages of one pump a link holds, and how many more wait here, while the broker cannot
# be reached: together some five hours of telemetry at the default interval.
OUTBOX_MAX = 1_000
WAITING_MAX = 1_000
# All pumps start at once, so the EHR has an order for each in its first second.
EHR_OUTBOX_MAX = 10_000
EHR_WAITING_MAX = 1_000_000
# Monitors whose beat is remembered; more than this many at one broker is a mistake.
MONITORS_MAX = 1_000

# Retained messages come at once; after this long without one, all have come.
RETAINED_QUIET_S = 0.3

Orders = Callable[[], list[Outgoing]]


async def remembered_boot(settings: LinkSettings, site: str, timeout_s: float) -> int:
    """The highest boot that the retained presences of a site's pumps tell of; 0 for none.

    Raises LinkError, naming host and port, when the broker does not answer within `timeout_s`.
    """
    boot = 0
    topic = subscription(Kind.PRESENCE, site=site)
    async with open_link(settings, subscriptions=[Subscription(topic)]) as link:
        await link.connected(timeout_s)
        while True:
            try:
                async with asyncio.timeout(RETAINED_QUIET_S):
                    messages = await link.receive()
            except TimeoutError:
                return boot
            link.acknowledge(messages)
            boot = max(boot, *(_boot(message.topic, message.payload) for message in messages))


def _boot(topic: str, payload: bytes) -> int:
    """The boot in a presence; 0 for a message that contract v1 does not allow: it is not ours."""
    try:
        presence = decode(parse_topic(topic), payload)
    except MessageError:
        return 0
    return presence.boot if isinstance(presence, Presence) else 0


class Publisher:
    """All sessions of a fleet at one broker.

    `settings` is the template of every link; its client id becomes `client_prefix` + session name.
    `orders` gives every order as it stands: because orders are not retained, they are published
    again whenever a monitor comes online.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        orders: Orders,
        client_prefix: str = "dripwatch-",
        connect_rate_s: float = 500.0,
    ) -> None:
        self.counters = PublisherCounters()
        self._pace = Pace(connect_rate_s)
        self._settings = settings
        self._orders = orders
        self._client_prefix = client_prefix
        self._sessions: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._is_closing = False
        self._beats: dict[str, int] = {}

    @property
    def connected(self) -> int:
        """Sessions that the broker has accepted at this moment."""
        return sum(session.is_connected for session in self._sessions.values())

    @property
    def sessions(self) -> int:
        """Sessions that have ever connected."""
        return len(self._sessions)

    @property
    def waiting(self) -> int:
        """Messages that wait because a link has no room or is being made."""
        return sum(session.waiting for session in self._sessions.values())

    def submit(self, outputs: Iterable[Output]) -> None:
        """Take what a fleet said, in order; never waits.

        Raises LinkError when the broker has refused a session for good, and whatever else has
        ended a session.
        """
        for output in outputs:
            session = self._sessions.get(output.session)
            if session is None:
                session = self._open_session(output.session)
            session.submit(output)
        if self._failure is not None:
            raise self._failure

    async def reach(self, timeout_s: float) -> None:
        """Wait until the EHR's session is connected, as a proof that the broker is there.

        Raises LinkError, naming host and port, when it is not in time.
        """
        session = self._sessions[EHR_SESSION]
        await session.has_link.wait()
        assert session.link is not None, "a session that has a link keeps it while it connects"
        await session.link.connected(timeout_s)

    async def close(self, timeout_s: float) -> bool:
        """Let every session that has been told to end do so; whether all could in time."""
        ended = self._failure is None
        if ended:
            try:
                async with asyncio.timeout(timeout_s):
                    for session in self._sessions.values():
                        await session.idle.wait()
            except TimeoutError:
                ended = False
        self._is_closing = True
        stuck = [s.link for s in self._sessions.values() if s.link is not None]
        await asyncio.gather(*(link.abort() for link in stuck))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return ended

    def _open_link(self, name: str, connect: Connect, greet: Callable[[], None]) -> Link:
        """The link of one stage; not yet connecting."""
        is_ehr = name == EHR_SESSION
        settings = replace(
            self._settings,
            client_id=f"{self._client_prefix}{connect.client or name}",
            clean_start=True,
            outbox_max=min(self._settings.outbox_max, EHR_OUTBOX_MAX if is_ehr else OUTBOX_MAX),
        )
        will = None
        if connect.will_topic is not None:
            will = Will(
                topic=connect.will_topic,
                payload=connect.will_payload,
                qos=1,
                retain=True,
                content_type=CONTENT_TYPE,
                user_properties=USER_PROPERTIES,
            )
        return open_link(
            settings,
            subscriptions=[Subscription(subscription(Kind.MONITOR_PRESENCE))] if is_ehr else [],
            will=will,
            on_connect=lambda _session_present: greet(),
        )

    async def _listen(self, link: Link) -> None:
        """The EHR's ear: a monitor that comes online is told every order."""
        while True:
            try:
                messages = await link.receive()
            except LinkError:
                # The session that owns the link hears of it too, and tells.
                return
            for message in messages:
                if self._is_newcomer(message.topic, message.payload):
                    for order in self._orders():
                        self._sessions[EHR_SESSION].submit(order)
            link.acknowledge(messages)

    def _is_newcomer(self, topic: str, payload: bytes) -> bool:
        """Whether a monitor has just come online: seen first, back, or its beats began anew."""
        try:
            presence = decode(parse_topic(topic), payload)
        except MessageError:
            self.counters.bad += 1
            return False
        if not isinstance(presence, MonitorPresence):
            return False
        if presence.state == "offline":
            self._beats.pop(presence.instance, None)
            return False
        last = self._beats.get(presence.instance)
        if last is None and len(self._beats) >= MONITORS_MAX:
            self.counters.bad += 1
            return False
        self._beats[presence.instance] = presence.beat
        return last is None or presence.beat < last

    def _open_session(self, name: str) -> Session:
        is_ehr = name == EHR_SESSION
        session = self._sessions[name] = Session(
            self.counters,
            self._pace,
            partial(self._open_link, name),
            waiting_max=EHR_WAITING_MAX if is_ehr else WAITING_MAX,
            listen=self._listen if is_ehr else None,
        )
        task = asyncio.get_running_loop().create_task(session.run(), name=f"session {name}")
        self._tasks.add(task)
        task.add_done_callback(self._session_ended)
        return session

    def _session_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or self._is_closing:
            return
        error = task.exception()
        assert error is not None, "a session ends only by an error or by being cancelled"
        if self._failure is None:
            self._failure = error

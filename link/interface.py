"""What both lanes of the room share with the rest of the house: values, limits and one Protocol.

Everything here is a plain value; nothing in this file knows a socket, a clock or a library.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, Self

import msgspec

from infusion.errors import LinkError

# Each limit is named once here, so that an operator finds all of them in one place.
KEEP_ALIVE_S = 30
CONNECT_TIMEOUT_S = 10.0
BACKOFF_MIN_S = 0.5
BACKOFF_MAX_S = 30.0
RECEIVE_MAX = 1_000  # QoS 1 messages that the application holds and has not acknowledged
INFLIGHT_MAX = 1_000  # QoS 1 messages that we have sent and the broker has not acknowledged
OUTBOX_MAX = 10_000  # messages of ours that wait or are in flight
INBOX_MAX = 20_000  # messages that have arrived and nobody has taken yet
PACKET_BYTES_MAX = 262_144
RECEIVE_LIMIT = 1_000  # messages in one batch of `receive`
GREETING_MAX = 8  # messages that `on_connect` may publish beyond a full outbox
PACKET_IDS = 65_535  # MQTT numbers what is in flight with 16 bits, and 0 is not a number

UserProperties = tuple[tuple[str, str], ...]
OnConnect = Callable[[bool], object]


class OutboxFull(LinkError):  # noqa: N818 - a state of the outbox, like asyncio.QueueFull
    """`outbox_max` messages wait or are in flight: await `room()`, or drop the message."""


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the broker over TLS: paths of PEM files; `ca_file=None` trusts the system's."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True


class Subscription(msgspec.Struct, frozen=True):
    """A topic filter and the highest QoS (0 or 1) wanted; `no_local` exists in MQTT 5 only."""

    topic: str
    qos: Literal[0, 1] = 1
    no_local: bool = False


class Will(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker publishes when this link ends without saying goodbye.

    `content_type`, `user_properties` and `delay_s` exist in MQTT 5 only.
    """

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    content_type: str | None = None
    user_properties: UserProperties = ()
    delay_s: int = 0


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is, who we are, and every limit of one link.

    `session_expiry_s = 0` ends the session with its connection; above 0 the broker keeps
    subscriptions and queued messages that long (MQTT 3.1.1 knows only "ends" and "stays").
    `clean_start` throws away what an earlier run left; later reconnects of this run still resume.
    `receive_max` bounds what the application holds unacknowledged, `inbox_max` what waits for it.

    Raises ValueError for a value that cannot work, also when msgspec decodes a file.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = ""
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None
    mqtt: Literal["5", "3.1.1"] = "5"
    keep_alive_s: int = KEEP_ALIVE_S
    session_expiry_s: int = 0
    clean_start: bool = False
    receive_max: int = RECEIVE_MAX
    inflight_max: int = INFLIGHT_MAX
    outbox_max: int = OUTBOX_MAX
    inbox_max: int = INBOX_MAX
    packet_bytes_max: int = PACKET_BYTES_MAX
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    backoff_min_s: float = BACKOFF_MIN_S
    backoff_max_s: float = BACKOFF_MAX_S

    def __post_init__(self) -> None:
        if self.mqtt not in ("5", "3.1.1"):
            raise ValueError(f"mqtt is {self.mqtt!r}, but must be '5' or '3.1.1'")
        for name in ("receive_max", "inflight_max"):
            if not 1 <= getattr(self, name) <= PACKET_IDS:
                raise ValueError(f"{name} must be between 1 and {PACKET_IDS}")
        for name in ("port", "keep_alive_s", "outbox_max", "packet_bytes_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.inbox_max < self.receive_max:
            raise ValueError("inbox_max must be at least receive_max")
        if not 0 < self.backoff_min_s <= self.backoff_max_s:
            raise ValueError("backoff_min_s must be above 0 and at most backoff_max_s")
        if self.connect_timeout_s <= 0:
            raise ValueError("connect_timeout_s must be above 0")
        if self.session_expiry_s > 0 and not self.client_id:
            raise ValueError("a session that outlives its connection needs a client_id")

    def __repr__(self) -> str:
        """The settings without the password, so that a log or a traceback cannot leak it."""
        shown = (
            f"{name}={'***' if name == 'password' and value else repr(value)}"
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not None
        )
        return f"LinkSettings({', '.join(shown)})"

    @property
    def address(self) -> str:
        """`host:port`, as every error names it."""
        return f"{self.host}:{self.port}"


# gc=False is safe: a message holds only str, bytes, int and tuples of str, so it is in no cycle.
class Message(msgspec.Struct, frozen=True, gc=False):
    """One message that has arrived; `token` is opaque and belongs to `acknowledge`.

    `duplicate` is the broker's own flag: a hint that it may have been delivered before. Its
    absence proves nothing (rumqttd never sets it). In MQTT 3.1.1 the four last texts are empty.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    duplicate: bool = False
    content_type: str | None = None
    user_properties: UserProperties = ()
    response_topic: str | None = None
    correlation_data: bytes | None = None
    token: int = 0


class Counters(msgspec.Struct):
    """What a link has done since it was opened; each only ever grows."""

    received: int = 0  # messages that arrived, duplicates included
    acknowledged: int = 0  # QoS 1 messages whose PUBACK we have written
    dropped: int = 0  # QoS 0 messages thrown away because the inbox was full
    published: int = 0  # messages that the broker acknowledged (QoS 1) or we handed over (QoS 0)
    resent: int = 0  # QoS 1 messages sent again after a reconnect
    refused: int = 0  # messages whose future failed, whoever was the reason
    connects: int = 0  # CONNACKs that said yes
    connect_failures: int = 0  # attempts that did not get that far
    disconnects: int = 0  # connections that ended after a CONNACK
    protocol_errors: int = 0  # times the broker broke the protocol


class Link(Protocol):
    """One MQTT session with one broker that reconnects by itself.

    It connects in the background from `async with` on. Transient failures are tried again for
    ever, with jittered exponential back-off up to `backoff_max_s`; a refusal for good (user name,
    not authorised, banned, session taken over, certificate) ends the link: from then on
    `connected`, `receive`, `room`, `drain` and `publish` raise LinkError with the named reason.
    """

    @property
    def settings(self) -> LinkSettings:
        """The settings the link was opened with."""

    @property
    def counters(self) -> Counters:
        """What the link has done so far."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the present connection."""

    @property
    def disconnect_reason(self) -> str | None:
        """The named reason for which the last connection, or attempt, ended."""

    @property
    def outbox_used(self) -> int:
        """How many published messages wait or are in flight."""

    @property
    def inbox_used(self) -> int:
        """How many messages have arrived and wait to be taken."""

    async def __aenter__(self) -> Self:
        """Start to connect; returns at once."""

    async def __aexit__(self, *_: object) -> None:
        """Drain briefly, say goodbye (so that no will is sent), close."""

    async def connected(self, timeout_s: float | None = None) -> None:
        """Wait until the broker accepts us.

        Raises LinkError, naming host:port and the last failure, when refused for good or after
        `timeout_s`.
        """

    async def subscribed(self, timeout_s: float | None = None) -> None:
        """Wait until the broker has taken our subscriptions too: what is published then arrives.

        A broker that has kept messages for us may answer only after these are acknowledged
        (rumqttd), so who takes a backlog must not wait for this first. Raises as `connected`.
        """

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: Literal[0, 1] = 1,
        retain: bool = False,
        content_type: str | None = None,
        user_properties: UserProperties = (),
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        expiry_s: int | None = None,
    ) -> asyncio.Future[None]:
        """Queue a message at once; the future tells its fate and need not be awaited.

        It is done at PUBACK (QoS 1) or when handed to the transport (QoS 0), and fails with
        LinkError when the broker refuses, a limit of the broker or `packet_bytes_max` forbids it,
        `expiry_s` passed in the outbox, the link ended, or, for QoS 0, there is no connection.
        A failure nobody awaits is counted in `refused` and makes no noise. QoS 1 waits in the
        outbox through any number of reconnects and goes out in order. A caller's mistake in the
        topic raises ValueError. In MQTT 3.1.1 the five last arguments do not exist and are left
        out silently, `expiry_s` only after it was applied to the wait in the outbox.

        Raises OutboxFull when `outbox_max` messages wait or are in flight.
        """

    async def room(self) -> None:
        """Wait until `publish` has room for at least one message."""

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything published is settled; LinkError says how much is not in time."""

    async def receive(self, limit: int = RECEIVE_LIMIT) -> list[Message]:
        """Wait for at least one message and give up to `limit`, in order of arrival.

        No more than `receive_max` QoS 1 messages are given before some are acknowledged.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge those QoS 1 messages, with one write; nothing else ever acknowledges.

        Messages of an earlier connection are skipped: the broker delivers them again. MQTT wants
        acknowledgements in order of arrival, so one that overtakes an earlier message is held
        back until that is acknowledged too: acknowledge bad messages as well.
        """

    async def abort(self, *, reconnect_after_s: float | None = None) -> None:
        """Cut the connection without a goodbye, so that the broker sends the will.

        Without `reconnect_after_s` the link is over; with it, the outbox is kept and the next
        attempt to connect is made after that many seconds.
        """

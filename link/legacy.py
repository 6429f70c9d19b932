"""Lane 3.1.1: the same link over aiomqtt (paho-mqtt), for brokers that speak only MQTT 3.1.1.

Why aiomqtt is driven from inside rather than used as it is: its public way (`client.messages`)
lets paho acknowledge each message as soon as it is queued, before anybody has stored it. paho can
leave that to the application (`manual_ack`), but aiomqtt 2.5 has no parameter for it. The smallest
step is a subclass that switches it on and takes over the three callbacks that matter (connected,
message, published); connecting, TLS and the event loop stay aiomqtt's.

What MQTT 3.1.1 lacks, and what happens instead:

- No reasons. A broker that refuses a message or a take-over just closes the connection, so a
  take-over is recognised by the pattern (see `link.lane`), and PUBACK always means yes.
- No content type, user properties, response topic, correlation data, message expiry on the wire,
  no-local: left out.
- No receive maximum. The broker's own in-flight limit bounds what comes; if it is larger than
  `inbox_max`, reading pauses until the application has taken messages, and beyond keep-alive the
  broker cuts the connection and delivers again. QoS 0 that meets a full inbox is dropped.
- No session expiry: `session_expiry_s > 0` means a session that stays until the broker forgets it.
- `clean_start` before such a session takes a short clean connection first.

After a reconnect paho sends what was in flight again by itself, with DUP and the old packet id.
"""

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiomqtt
import mqtt5
import msgspec
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt import client as mqtt

from link.interface import LinkSettings, Message, OnConnect, Subscription, Will
from link.lane import Ending, Lane
from link.manual import ManualAckClient
from link.packets import FINAL_CONNACKS, HeldAcknowledgements, Outgoing
from link.states import CONNECTION_CLOSED

PACKET_HEAD_BYTES_MAX = 9  # head, topic length and packet id of a PUBLISH
PROTOCOL_ERRORS = frozenset({"MALFORMED_PACKET", "PROTOCOL_ERROR", "QOS_NOT_SUPPORTED"})
UNSPECIFIED_ERROR = 0x80  # what paho calls a connection that was just closed


class LegacyLink(Lane):
    """The link over MQTT 3.1.1; see `link.interface.Link` for the promises."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        subscriptions: Sequence[Subscription] = (),
        will: Will | None = None,
        on_connect: OnConnect | None = None,
        source: random.Random | None = None,
    ) -> None:
        super().__init__(
            settings,
            subscriptions=subscriptions,
            will=will,
            on_connect=on_connect,
            source=source,
        )
        self._client: ManualAckClient | None = None
        self._waiting: deque[Outgoing] = deque()
        self._in_flight: dict[int, Outgoing] = {}
        self._held_acknowledgements = HeldAcknowledgements()
        self._must_wipe = settings.clean_start and settings.session_expiry_s > 0
        self._has_subscribed = False
        self._is_open = False
        self._is_paused = False
        self._refusal: Ending | None = None  # why we cut the connection ourselves
        self._on_connect_error: Exception | None = None

    @property
    def will(self) -> Will | None:
        """The will that CONNECT carries."""
        return self._will

    # -- one connection -------------------------------------------------------------------------

    async def _connection(self) -> Ending:
        self._refusal = None
        client: ManualAckClient | None = None
        try:
            if self._must_wipe:
                await self._enter(client := ManualAckClient(self, clean_session=True, is_mute=True))
                client.paho.disconnect()
                await asyncio.wait([client.ended], timeout=self._settings.connect_timeout_s)
                self._must_wipe = False
            if self._client is None:
                clean = self._settings.session_expiry_s == 0
                self._client = ManualAckClient(self, clean_session=clean)
            client = self._client
            client.forget_connection()
            await self._enter(client)
            ending = await self._stay(client)
        except MqttConnectError as error:
            ending = _refused(error)
        except aiomqtt.MqttError as error:
            # aiomqtt turns every error of the socket into one of its own, and hides which it was.
            is_tls = isinstance(error.__context__, ssl.SSLError)
            ending = Ending("TLS_FAILED" if is_tls else "UNREACHABLE", str(error), final=is_tls)
        except ssl.SSLError as error:
            ending = Ending("TLS_FAILED", str(error), final=True)
        except OSError as error:
            ending = Ending("UNREACHABLE", error.strerror or str(error))
        finally:
            if client is not None:
                await self._hang_up(client)
        if self._on_connect_error is not None:
            raise self._on_connect_error
        ending = self._replaced(ending)
        self._counters.protocol_errors += ending.reason in PROTOCOL_ERRORS
        return msgspec.structs.replace(ending, life_s=self._life_s())

    def _replaced(self, ending: Ending) -> Ending:
        """What ended the connection: our own refusal, if we cut it, tells more than the cut."""
        return ending if self._refusal is None else self._refusal

    async def _enter(self, client: ManualAckClient) -> None:
        """Connect. aiomqtt does so in a thread, which nobody can cancel: wait for its end."""
        entering = asyncio.ensure_future(client.__aenter__())
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            await asyncio.wait([entering])
            if not entering.cancelled():
                entering.exception()
            raise

    async def _stay(self, client: ManualAckClient) -> Ending:
        """Subscribe, let the queued messages go, and wait for the end."""
        # aiomqtt forgets an end that comes between CONNACK and here, so look for one.
        if client.paho.socket() is None or self._on_connect_error or self._refusal:
            return _ended(client)
        if self._subscriptions and not self._has_subscribed:
            refused = await self._subscribe(client)
            if refused is not None:
                return refused
        self._is_open = True
        self._feed()
        await asyncio.wait([client.ended])
        return _ended(client)

    async def _subscribe(self, client: ManualAckClient) -> Ending | None:
        wanted = [(each.topic, int(each.qos)) for each in self._subscriptions]
        asking: asyncio.Future[Any] = asyncio.ensure_future(client.subscribe(wanted))
        # aiomqtt would wait its whole timeout for an answer on a connection that is gone.
        racing: list[asyncio.Future[Any]] = [asking, client.ended]
        await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            asking.cancel()
            await asyncio.wait([asking])
            return _ended(client)
        for subscription, code in zip(self._subscriptions, asking.result(), strict=True):
            if int(getattr(code, "value", code)) >= UNSPECIFIED_ERROR:
                text = f"the broker refused the subscription {subscription.topic!r}"
                return Ending("SUBSCRIPTION_REFUSED", text, final=True)
        self._has_subscribed = True
        self._state_changed.fire()
        return None

    async def _hang_up(self, client: ManualAckClient) -> None:
        """Close the socket, and settle what belongs to this connection alone."""
        client.cut()
        if client.ended.done() and not client.ended.cancelled():
            client.ended.exception()
        await client.__aexit__(None, None, None)
        self._is_connected = self._is_open = self._is_paused = False
        for packet_id, outgoing in list(self._in_flight.items()):
            if outgoing.greeting:
                del self._in_flight[packet_id]
                client.drop(packet_id)
                self._settle(outgoing, "SUPERSEDED")
        for outgoing in [each for each in self._waiting if each.qos == 0]:
            self._waiting.remove(outgoing)
            self._settle(outgoing, "NOT_CONNECTED")
        self._settled.fire()

    # -- what the client says -------------------------------------------------------------------

    def accepted(self, session_present: bool) -> None:
        """CONNACK said yes; paho sends what was in flight right after this returns."""
        self._held_acknowledgements.begin()
        self._has_subscribed = self._has_subscribed and session_present
        self._counters.resent += len(self._in_flight)
        try:
            self._greet(session_present)
        except Exception as error:  # noqa: BLE001 - handed on, see below
            # aiomqtt would only note that the connection ended; the link must hear why.
            self._on_connect_error = error
            self._end()

    def arrived(self, message: mqtt.MQTTMessage) -> None:
        """A PUBLISH came."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._refuse(Ending("MALFORMED_PACKET", "a topic that is not UTF-8"))
            return
        if message.qos > 1:
            self._refuse(Ending("QOS_NOT_SUPPORTED", "a QoS 2 message, but we asked for QoS 1"))
            return
        is_full = len(self._inbox) >= self._settings.inbox_max
        self._counters.received += 1
        if is_full and message.qos == 0:
            self._counters.dropped += 1
            return
        token = self._held_acknowledgements.hold(message.mid) if message.qos else 0
        self._inbox.append(
            Message(
                topic, bytes(message.payload), message.qos, message.retain, message.dup, token=token
            )
        )
        if is_full and not self._is_paused and self._client is not None:
            self._is_paused = True
            self._client.pause_reading()
        self._arrived.fire()

    def delivered(self, packet_id: int) -> None:
        """PUBACK came (or a QoS 0 message was written, which was settled long ago)."""
        outgoing = self._in_flight.pop(packet_id, None)
        if outgoing is not None:
            self._settle(outgoing, None)
            self._settled.fire()
            self._feed()

    def _refuse(self, ending: Ending) -> None:
        self._refusal = ending
        self._end()

    # -- what the lane asks ---------------------------------------------------------------------

    @property
    def _is_subscribed(self) -> bool:
        return self._has_subscribed

    def _enqueue(self, outgoing: Outgoing) -> None:
        size = len(outgoing.payload) + len(outgoing.topic.encode()) + PACKET_HEAD_BYTES_MAX
        if size > self._settings.packet_bytes_max:
            # The broker would just close the connection, again and again: the packet comes back.
            self._settle(outgoing, "PACKET_TOO_LARGE")
        elif self._greeting:
            outgoing.greeting = True
            self._hand_over(outgoing)
        else:
            self._waiting.append(outgoing)
            self._feed()

    def _feed(self) -> None:
        """Hand messages to paho while the window has room."""
        now = asyncio.get_running_loop().time()
        while self._is_open and self._waiting:
            if self._waiting[0].qos and len(self._in_flight) >= self._settings.inflight_max:
                break
            outgoing = self._waiting.popleft()
            if outgoing.expires_at is not None and now >= outgoing.expires_at:
                self._settle(outgoing, "MESSAGE_EXPIRED")
            else:
                self._hand_over(outgoing)

    def _hand_over(self, outgoing: Outgoing) -> None:
        assert self._client is not None
        client, qos = self._client.paho, outgoing.qos
        info = client.publish(outgoing.topic, outgoing.payload, qos, outgoing.retain)
        while info.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            # paho numbers messages in a circle and says this when the next number is in use.
            info = client.publish(outgoing.topic, outgoing.payload, qos, outgoing.retain)
        if qos:
            # Whatever else went wrong, paho keeps it and sends it after the next CONNACK.
            self._in_flight[info.mid] = outgoing
        else:
            sent = info.rc == mqtt.MQTT_ERR_SUCCESS
            self._settle(outgoing, None if sent else "NOT_CONNECTED")
            self._settled.fire()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        ready = self._held_acknowledgements.release(messages)
        if ready and self._client is not None:
            for packet_id in ready:
                self._client.paho.ack(packet_id, 1)
            self._counters.acknowledged += len(ready)
            self._released(len(ready))

    def _taken(self) -> None:
        is_low = len(self._inbox) <= self._settings.inbox_max // 2
        if self._is_paused and is_low and self._client is not None:
            self._is_paused = False
            self._client.resume_reading()

    def _abandon(self) -> list[Outgoing]:
        left = [*self._in_flight.values(), *self._waiting]
        self._in_flight.clear()
        self._waiting.clear()
        return left

    def _say_goodbye(self) -> None:
        if self._client is not None:
            self._client.paho.disconnect()

    def _cut(self) -> None:
        if self._client is not None:
            self._client.cut()

    def _end(self) -> None:
        if self._client is not None:
            self._client.end()


def _refused(error: MqttConnectError) -> Ending:
    """What a CONNACK that says no means; paho gives the codes of MQTT 5 for those of 3.1.1."""
    value = error.rc if isinstance(error.rc, int) else getattr(error.rc, "value", UNSPECIFIED_ERROR)
    code = mqtt5.ConnAckReasonCode(value)
    return Ending(code.name, final=code in FINAL_CONNACKS)


def _ended(client: ManualAckClient) -> Ending:
    """What the end of a connection means."""
    error = client.ended.exception() if client.ended.done() else None
    if error is not None and not isinstance(error, aiomqtt.MqttError):
        return Ending("MALFORMED_PACKET", repr(error))  # it broke paho's parser
    if client.end_code == 0:
        return Ending("NORMAL_DISCONNECTION")
    if client.end_code in (None, UNSPECIFIED_ERROR):
        return Ending(CONNECTION_CLOSED)
    return Ending(mqtt5.DisconnectReasonCode(client.end_code).name)

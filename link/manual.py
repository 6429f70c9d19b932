"""aiomqtt's client with acknowledging left to the link; `link.legacy` says why it must be so."""

import asyncio
import ssl
import threading
from typing import Protocol

import aiomqtt
from aiomqtt.types import PahoSocket
from paho.mqtt import client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from link.interface import LinkSettings, Tls, Will
from link.tools import tls_context


class Owner(Protocol):
    """What the client tells and asks; `link.legacy.LegacyLink` is the one that there is."""

    @property
    def settings(self) -> LinkSettings:
        """Where to connect and as whom."""

    @property
    def will(self) -> Will | None:
        """The will that CONNECT carries."""

    def accepted(self, session_present: bool) -> None:
        """CONNACK said yes; paho sends what was in flight right after this returns."""

    def arrived(self, message: mqtt.MQTTMessage) -> None:
        """A PUBLISH came."""

    def delivered(self, packet_id: int) -> None:
        """PUBACK came."""


class _ClosingSocket(ssl.SSLSocket):
    """paho 2.2 forgets to close a socket whose handshake fails."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, or leave nothing behind."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _context(tls: Tls) -> ssl.SSLContext:
    context = tls_context(tls)
    context.sslsocket_class = _ClosingSocket
    return context


class ManualAckClient(aiomqtt.Client):
    """aiomqtt's client, with acknowledging and the incoming queue taken over by the link."""

    def __init__(self, link: Owner, *, clean_session: bool, is_mute: bool = False) -> None:
        settings, will = link.settings, link.will
        super().__init__(
            settings.host,
            settings.port,
            identifier=settings.client_id or None,
            username=settings.username,
            password=settings.password,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=clean_session,
            keepalive=settings.keep_alive_s,
            timeout=settings.connect_timeout_s,
            tls_context=None if settings.tls is None else _context(settings.tls),
            max_inflight_messages=0,  # the link counts what is in flight itself
            will=None
            if will is None
            else aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
        )
        self._link = link
        self.end_code: int | None = None  # why the connection ended, in the codes of MQTT 5
        self._thread = threading.get_ident()
        self._is_mute = is_mute  # wipes a session and tells the link nothing
        self._client.manual_ack_set(True)
        self._client.connect_timeout = settings.connect_timeout_s

    @property
    def paho(self) -> mqtt.Client:
        """The client underneath."""
        return self._client

    @property
    def ended(self) -> asyncio.Future[None]:
        """Done when the present connection is over."""
        return self._disconnected

    def forget_connection(self) -> None:
        """Make ready for another connection: aiomqtt 2.5 does not after an unexpected end."""
        self.end_code = None
        self._connected = asyncio.get_running_loop().create_future()
        self._disconnected = asyncio.get_running_loop().create_future()

    def cut(self) -> None:
        """Close the socket without DISCONNECT; paho has no public way, and none in a callback."""
        self._client._sock_close()
        self.end()

    def end(self) -> None:
        """Call the connection ended; the link then cuts it."""
        if not self._disconnected.done():
            self._disconnected.set_result(None)

    def drop(self, packet_id: int) -> None:
        """Do not send this message again after a reconnect; paho has no public way either."""
        self._client._out_messages.pop(packet_id, None)

    def pause_reading(self) -> None:
        """Leave what arrives to the operating system, so that the broker is slowed down."""
        socket = self._client.socket()
        if socket is not None:
            self._loop.remove_reader(socket.fileno())

    def resume_reading(self) -> None:
        """Read on, also what TLS has already taken off the socket."""
        socket = self._client.socket()
        if socket is not None:
            self._loop.add_reader(socket.fileno(), self._read)
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        # aiomqtt keeps its own reader in a closure, so this is that closure once more.
        try:
            self._client.loop_read()
            socket = self._client.socket()
            if isinstance(socket, ssl.SSLSocket) and socket.pending():
                self._loop.call_soon(self._read)
        except Exception as error:  # noqa: BLE001 - handed on to the link
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _on_socket_register_write(
        self, client: mqtt.Client, userdata: object, sock: PahoSocket
    ) -> None:
        # aiomqtt defers adding the writer, but not removing it: when paho asks for both within one
        # turn of the loop, the writer stays, spins, and spoils the next socket of that number.
        if threading.get_ident() == self._thread:
            self._loop.add_writer(sock.fileno(), self._write)
        else:
            super()._on_socket_register_write(client, userdata, sock)

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001 - handed on to the link
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _on_connect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        is_first = not self._connected.done()
        super()._on_connect(client, userdata, flags, reason_code, properties)
        if is_first and not reason_code.is_failure and not self._is_mute:
            self._link.accepted(bool(flags.session_present))

    def _on_disconnect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if self.end_code is None:  # paho sometimes calls twice; the first call knows why
            self.end_code = int(reason_code.value)
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self._link.arrived(message)

    def _on_publish(
        self,
        client: mqtt.Client,
        userdata: object,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        self._link.delivered(mid)

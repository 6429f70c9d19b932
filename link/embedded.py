"""A broker in a child process, for `dripwatch up` and for tests: rumqttd, through `iotcore`.

In memory only: never for production. What rumqttd 0.20 does differently from the standard, found
by trying:

- Each MQTT version has a listener, so a port, of its own.
- It ignores a client's receive maximum, and announces none of its own limits in CONNACK (maximum
  packet size, maximum QoS, server keep-alive): a packet beyond `PAYLOAD_BYTES_MAX` closes the
  connection without a reason.
- A PUBACK out of order closes the connection. The link acknowledges in order.
- A take-over of a client id closes the older connection without a DISCONNECT.
- A message that it delivers again has no DUP flag, and may have a new packet id.
- It delivers with the subscription's QoS, also what was published with QoS 0.
- It ignores the session expiry: a session that was not started clean lasts as long as the broker.
  (The link starts clean when `session_expiry_s` is 0, so for it a session ends all the same.)
- It ignores no-local, and closes the connection on keep-alive 0.
- An MQTT 5 message with a content type or user properties, as all of contract v1 have, cuts the
  connection of an MQTT 3.1.1 subscriber that it is meant for. Speak one version with this broker:
  all parts of one run do. Mosquitto carries messages across both ways.

Found to work: wills and their delay, retained messages, queues of absent clients, message expiry,
user properties, keep-alive, plain messages crossing between the two versions.
"""

import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Self

from iotcore import Broker

from infusion.errors import LinkError

HOST = "127.0.0.1"
CONNECTIONS_MAX = 20_000
PAYLOAD_BYTES_MAX = 1_048_576
INFLIGHT_MAX = 1_000
OUTGOING_PACKETS_MAX = 1_000  # read from the log for one client in one turn
SEGMENT_BYTES_MAX = 10_485_760
SEGMENTS_MAX = 20  # a filter's log holds this many segments; older messages are lost
CONNECT_TIMEOUT_MS = 10_000
START_TIMEOUT_S = 10.0
PORT_TRIES_MAX = 5

_ROUTER = """\
id = 0

[router]
id = 0
max_connections = {connections}
max_outgoing_packet_count = {outgoing}
max_segment_size = {segment}
max_segment_count = {segments}
"""

_LISTENER = """
[{version}.1]
name = "{version}"
listen = "{host}:{port}"
next_connection_delay_ms = 0
    [{version}.1.connections]
    connection_timeout_ms = {timeout_ms}
    max_payload_size = {payload}
    max_inflight_count = {inflight}
    dynamic_filters = true
"""


class EmbeddedBroker:
    """A broker on 127.0.0.1, for as long as the `with` block: `port` is MQTT 5, `port_311` 3.1.1.

    Takes another free port when the wanted one is taken; `port=0` means any. Starting blocks for
    about 0.2 s, stopping for less. Raises LinkError when the child does not start.
    """

    host = HOST

    def __init__(self, port: int = 1883, port_311: int = 0) -> None:
        self.port = port
        self.port_311 = port_311
        self._wanted = (port, port_311)
        self._broker: Broker | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self._broker is not None and bool(self._broker.is_running)

    def start(self) -> None:
        """Start the child and wait until both ports answer."""
        assert self._broker is None, "the broker runs already"
        self._folder = tempfile.TemporaryDirectory(prefix="dripwatch-broker-")
        try:
            self._start_on_free_ports(Path(self._folder.name) / "rumqttd.toml")
        except BaseException:
            self.stop()
            raise

    def _start_on_free_ports(self, config: Path) -> None:
        problem: Exception | None = None
        for _ in range(PORT_TRIES_MAX):
            self.port, self.port_311 = free_ports(*self._wanted)
            config.write_text(config_text(self.port, self.port_311))
            self._broker = Broker(config_path=os.fspath(config))
            try:
                _start_deaf_to_ctrl_c(self._broker)
            except (OSError, RuntimeError) as error:
                # Somebody may have taken the port between our look and the child's bind.
                problem = error
                self._broker.stop()
                continue
            return
        raise LinkError(f"the embedded broker does not start on {HOST}: {problem}") from problem

    def stop(self) -> None:
        """Stop the child; safe to call twice."""
        broker, self._broker = self._broker, None
        folder, self._folder = self._folder, None
        if broker is not None:
            broker.stop()
        if folder is not None:
            folder.cleanup()


def _start_deaf_to_ctrl_c(broker: Broker) -> None:
    """Start the child with SIGINT blocked, which it inherits.

    Ctrl-C goes to every process of a terminal. The broker must outlive it until the parent stops
    it, or its clients could not say goodbye, and it would print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        broker.start(timeout=START_TIMEOUT_S)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def config_text(port: int, port_311: int) -> str:
    """rumqttd's configuration, as TOML."""
    router = _ROUTER.format(
        connections=CONNECTIONS_MAX,
        outgoing=OUTGOING_PACKETS_MAX,
        segment=SEGMENT_BYTES_MAX,
        segments=SEGMENTS_MAX,
    )
    listeners = (
        _LISTENER.format(
            version=version,
            host=HOST,
            port=number,
            timeout_ms=CONNECT_TIMEOUT_MS,
            payload=PAYLOAD_BYTES_MAX,
            inflight=INFLIGHT_MAX,
        )
        for version, number in (("v5", port), ("v4", port_311))
    )
    return router + "".join(listeners)


def free_ports(*wanted: int) -> list[int]:
    """For each wanted port itself if it is free, or else any free one; all different."""
    sockets = []
    try:
        for port in wanted:
            listener = socket.socket()
            sockets.append(listener)
            # As every server does, so that a port in TIME_WAIT counts as free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                listener.bind((HOST, 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()

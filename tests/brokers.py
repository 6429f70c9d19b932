"""Real brokers for tests: Mosquitto as a process of its own, and the embedded one, in one shape.

Both listen on 127.0.0.1 only, on ports that stay theirs across `kill` and `start`.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Protocol, Self

import pytest

from link.embedded import EmbeddedBroker, free_ports

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.02


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    return free_ports(0)[0]


def mosquitto_path() -> str | None:
    """Where the mosquitto program is: Debian keeps it off a normal user's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def missing(what: str) -> None:
    """Say that a program is missing: a visible skip here, a failure in CI."""
    reason = f"{what} is not installed, so what needs it is not tested"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def mosquitto_or_skip() -> str:
    """The path of mosquitto; skips the test visibly without it, or fails it in CI."""
    path = mosquitto_path()
    if path is None:
        missing("mosquitto")
    assert path is not None
    return path


class BrokerProcess(Protocol):
    """What both kinds offer; `port` speaks MQTT 5, `port_311` MQTT 3.1.1."""

    host: str

    @property
    def port(self) -> int:
        """MQTT 5."""

    @property
    def port_311(self) -> int:
        """MQTT 3.1.1."""

    def start(self) -> None:
        """Start, or start again on the same ports."""

    def kill(self) -> None:
        """End it as a power cut would."""

    def stop(self) -> None:
        """End it politely; safe to call twice."""


class Mosquitto:
    """A mosquitto with its files in `folder`; `config` and `listener` add to its configuration.

    `is_durable` saves its state after every change. That is slow, so tests with many messages do
    without; and it acknowledges a moment before it saves, so `kill` may lose what was just sent.
    """

    host = HOST

    def __init__(
        self, folder: Path, *, config: str = "", listener: str = "", is_durable: bool = True
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self._path = mosquitto_or_skip()
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "mosquitto.conf"
        access = "" if "allow_anonymous" in config else "allow_anonymous true\n"
        self._config.write_text(
            f"persistence {str(is_durable).lower()}\n"
            f"persistence_location {folder}/\n"
            "autosave_interval 1\n"
            f"autosave_on_changes {str(is_durable).lower()}\n"
            "max_queued_messages 0\n"
            "max_inflight_messages 1000\n"
            "set_tcp_nodelay true\n"
            f"log_dest file {folder}/mosquitto.log\n"
            # Started by root, it would otherwise become a user who may not write here.
            "user root\n"
            f"{access}{config}\n"
            f"listener {self.port} {HOST}\n{listener}\n"
        )

    @property
    def port_311(self) -> int:
        """The same port: Mosquitto speaks both versions on it."""
        return self.port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until the port answers; raises AssertionError with the log if it fails."""
        assert self._process is None, "mosquitto runs already"
        self._process = subprocess.Popen(
            [self._path, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(self.port):
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(POLL_S)

    @property
    def process_id(self) -> int:
        """Its process while it runs."""
        assert self._process is not None, "mosquitto does not run"
        return self._process.pid

    def log(self) -> str:
        """What mosquitto has written to its log."""
        path = self.folder / "mosquitto.log"
        return path.read_text() if path.exists() else "mosquitto wrote no log"

    def freeze(self) -> None:
        """SIGSTOP: connections stay and nobody answers; only `thaw` and `kill` help."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on where it stopped."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: no goodbye to clients, no last save."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; safe to call twice."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)


class Embedded:
    """The embedded broker in the same shape; all it knows is lost when it ends."""

    host = HOST

    def __init__(self) -> None:
        self.port, self.port_311 = free_ports(0, 0)
        self._broker: EmbeddedBroker | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on the same ports as before; raises AssertionError if somebody took one."""
        broker = EmbeddedBroker(self.port, self.port_311)
        broker.start()
        self._broker = broker
        assert (broker.port, broker.port_311) == (self.port, self.port_311)

    def kill(self) -> None:
        """Its state is in memory, so killing and stopping are the same to a client."""
        self.stop()

    def stop(self) -> None:
        """Stop; safe to call twice."""
        broker, self._broker = self._broker, None
        if broker is not None:
            broker.stop()


def answers(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0

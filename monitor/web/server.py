"""Serves the page inside the monitor's process and event loop.

Who may reach it is decided before anything listens: an address that is not this machine's own is
refused without TLS, unless `behind_proxy` says that a proxy in front speaks TLS.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from typing import Annotated, Any

import uvicorn
from msgspec import Meta, Struct

from infusion.errors import ConfigError
from monitor.web.connection import Connection
from monitor.web.oidc import OidcSection

DEFAULT_PORT = 8420
# How long an answer that is on its way may take once the monitor stops.
GRACE_S = 1
# What may wait to be accepted.
BACKLOG = 1_024
# What the kernel holds for one connection, which each accepted one takes over. By itself it would
# hold megabytes for a viewer that is slow, and show her what was true long ago.
SEND_BYTES = 128 * 1024

Text = Annotated[str, Meta(min_length=1, max_length=4_096)]


class WebSection(Struct, frozen=True, kw_only=True):
    """[web]: the page and the API. Without `listen` there is none; see config/monitor.toml."""

    listen: Annotated[str, Meta(max_length=256)] = ""
    hosts: tuple[Text, ...] = ()
    tls_cert_file: Text | None = None
    tls_key_file: Text | None = None
    behind_proxy: bool = False
    metrics_open: bool = False
    oidc: OidcSection = OidcSection()


class Address(Struct, frozen=True):
    """Where to listen: a host or an address, and a port (0: any free one)."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_address(listen: str) -> Address:
    """`host:port`, `[v6]:port`, `:port`, or a port alone, which is on 127.0.0.1.

    Raises ConfigError that says what would be right.
    """
    host, _, port = listen.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not (port.isascii() and port.isdigit()) or int(port) > 65_535 or "/" in host:
        raise ConfigError(
            f"web: {listen!r} is no address to listen on; give a port, or host:port, such as"
            f" 127.0.0.1:{DEFAULT_PORT}"
        )
    return Address(host, int(port))


def check(section: WebSection) -> Address:
    """Where the page will listen. Raises ConfigError where it must not, or the files do not fit."""
    address = read_address(section.listen)
    if (section.tls_cert_file is None) != (section.tls_key_file is None):
        raise ConfigError("web: tls_cert_file and tls_key_file belong together; give both")
    has_tls = section.tls_cert_file is not None
    if not (address.is_loopback or has_tls or section.behind_proxy):
        raise ConfigError(
            f"web: {address} can be reached from other machines, and passwords would go over the"
            " wire in the clear; give tls_cert_file and tls_key_file, or --behind-proxy where a"
            " proxy in front of it speaks TLS"
        )
    return address


class WebServer:
    """One listening server for an ASGI application. `open` listens, `serve` works until `stop`."""

    def __init__(self, section: WebSection) -> None:
        self._section = section
        self._address = check(section)
        self._server: _Server | None = None
        self._socket: socket.socket | None = None
        self._is_stopping = False
        # Set once connections are accepted.
        self.started = asyncio.Event()

    @property
    def is_tls(self) -> bool:
        """Whether it speaks TLS itself."""
        return self._section.tls_cert_file is not None

    @property
    def url(self) -> str:
        """How a browser on this machine reaches it; known once it is open."""
        scheme = "https" if self.is_tls else "http"
        return f"{scheme}://{self._address}"

    def open(self, *, or_any_port: bool = False) -> None:
        """Listen. With `or_any_port`, a taken port gives its place to a free one.

        Raises ConfigError that names the address.
        """
        try:
            self._listen(self._address)
        except OSError as error:
            if not or_any_port:
                text = f"web: cannot listen on {self._address}: {error.strerror}; give another"
                raise ConfigError(text) from None
            self._listen(Address(self._address.host, 0))

    def _listen(self, address: Address) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        # By its number asyncio knows a TCP socket, and only then turns Nagle's algorithm off: with
        # it each answer, which is two writes, would wait 40 ms for an acknowledgement.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
            listening.bind((address.host, address.port))
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
        listening.setblocking(False)
        self._socket = listening
        self._address = Address(address.host, listening.getsockname()[1])

    async def serve(self, app: Any) -> None:
        """Serve until `stop`. Raises ConfigError for TLS files that cannot be read."""
        assert self._socket is not None, "open comes first"
        config = uvicorn.Config(
            app,
            http=Connection,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            ws="none",
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=self._section.tls_cert_file,
            ssl_keyfile=self._section.tls_key_file,
            proxy_headers=False,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"web: the TLS files cannot be used: {error}") from None
        self._server = _Server(config, self.started)
        self._server.should_exit = self._is_stopping
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `serve` after what is being answered."""
        self._is_stopping = True
        if self._server is not None:
            self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own (host/process.py)."""

    def __init__(self, config: uvicorn.Config, has_started: asyncio.Event) -> None:
        super().__init__(config)
        self._has_started = has_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when connections are accepted."""
        await super().startup(sockets=sockets)
        self._has_started.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

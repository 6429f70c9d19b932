"""Where the page may listen, and that it does."""

import asyncio
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from infusion.errors import ConfigError
from monitor.web.server import Address, WebSection, WebServer, check, read_address


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("8420", Address("127.0.0.1", 8420)),
        (":0", Address("127.0.0.1", 0)),
        ("localhost:80", Address("localhost", 80)),
        ("[::1]:8420", Address("::1", 8420)),
        ("0.0.0.0:1", Address("0.0.0.0", 1)),
    ],
)
def test_addresses(listen: str, address: Address) -> None:
    """A port, a host and a port, IPv6 in brackets."""
    assert read_address(listen) == address


@pytest.mark.parametrize("listen", ["host", "host:", "host:x", "h:70000", "http://a:1", "a:²"])
def test_bad_addresses_say_what_would_be_right(listen: str) -> None:
    """Each names what was given, and an example."""
    with pytest.raises(ConfigError, match=r"is no address to listen on; .*127\.0\.0\.1:8420"):
        read_address(listen)


def test_other_machines_need_tls() -> None:
    """Loopback is free; beyond it, TLS or a proxy that has it."""
    check(WebSection(listen="127.0.0.2:1"))
    check(WebSection(listen="[::1]:1"))
    with pytest.raises(ConfigError, match="in the clear; give tls_cert_file"):
        check(WebSection(listen="0.0.0.0:1"))
    with pytest.raises(ConfigError, match="in the clear"):
        check(WebSection(listen="example.org:1"))
    check(WebSection(listen="0.0.0.0:1", behind_proxy=True))
    check(WebSection(listen="0.0.0.0:1", tls_cert_file="a", tls_key_file="b"))
    with pytest.raises(ConfigError, match="belong together"):
        check(WebSection(listen="8420", tls_cert_file="a"))


async def test_listens_answers_and_stops() -> None:
    """On a free port; a taken one is named, or gives its place to a free one."""

    async def hello(_request: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/", hello)])
    server = WebServer(WebSection(listen="0"))
    server.open()
    serving = asyncio.create_task(server.serve(app))
    await server.started.wait()
    async with httpx.AsyncClient() as client:
        assert (await client.get(server.url)).text == "hello"
    port = server.url.rsplit(":", 1)[1]
    other = WebServer(WebSection(listen=port))
    with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{port}: .*; give another"):
        other.open()
    server.stop()
    await asyncio.wait_for(serving, 5)


async def test_a_taken_port_may_give_its_place() -> None:
    """As the embedded broker does, where nobody asked for this very port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = WebServer(WebSection(listen=str(port)))
        server.open(or_any_port=True)
        assert not server.url.endswith(f":{port}")
        serving = asyncio.create_task(server.serve(Starlette()))
        await server.started.wait()
        server.stop()
        await asyncio.wait_for(serving, 5)

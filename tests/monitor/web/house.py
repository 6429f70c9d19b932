"""A small house behind the real guard, on a real server: one room for each right."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import argon2
import httpx
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from monitor.people import ALL_RIGHTS, Right, Role
from monitor.people_store import People
from monitor.web import password_reset
from monitor.web.callers import GuardSettings
from monitor.web.guard import Guard, needs, person_of
from monitor.web.oidc import Provider
from monitor.web.problems import exception_handlers
from monitor.web.server import WebSection, WebServer
from monitor.web.sign_in import STATIC, routes

# As weak as the library allows: these tests are not about the time that a hash takes.
WEAK = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"
START_MS = 1_790_000_000_000
WAIT_S = 10.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START_MS

    def __call__(self) -> int:
        """Unix ms."""
        return self.now

    def move(self, seconds: float) -> None:
        """Go on by so much."""
        self.now += round(seconds * 1_000)


class House(Struct):
    """A running server and those who may come in."""

    url: str
    people: People
    clock: Clock
    # Who has come into the room `act` to do something.
    acts: list[str]

    async def add(self, name: str, *roles: Role) -> None:
        """Add a user with the password of all."""
        await self.people.add(name, roles, PASSWORD, "test")

    def visitor(self, **headers: str) -> httpx.AsyncClient:
        """A program without cookies; `headers` go with each request, `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.AsyncClient(base_url=self.url, headers=named, trust_env=False)

    def browser(self) -> httpx.AsyncClient:
        """As a browser on the page's own origin asks: Origin with each write."""
        return self.visitor(origin=self.url, sec_fetch_site="same-origin")

    @contextlib.asynccontextmanager
    async def signed_in(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        """A browser in which somebody has signed in."""
        async with self.browser() as browser:
            response = await sign_in(browser, name)
            assert response.status_code == 204, response.text
            yield browser

    async def token(self, name: str, *scopes: str, days: int = 1) -> str:
        """The text of a new token."""
        text, _ = await self.people.issue_token(name, scopes, days, "test")
        return text


async def sign_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    """Try to sign in."""
    return await client.post("/api/v1/session", json={"name": name, "password": password})


def rooms(acts: list[str]) -> list[BaseRoute]:
    """A route for each right, a stream, the page, and what takes a body."""

    def room(right: Right) -> Route:
        @needs(right)
        async def enter(request: Request) -> Response:
            name = person_of(request).name
            if right == "act" and request.method == "POST":
                acts.append(name)
            return PlainTextResponse(f"{name} may {right}")

        return Route(f"/api/v1/rooms/{right}", enter, methods=["GET", "POST"])

    async def page(request: Request) -> Response:
        return PlainTextResponse(f"hello {person_of(request).name}")

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    @needs("read")
    async def stream(_request: Request) -> Response:
        async def beats() -> AsyncIterator[bytes]:
            while True:
                yield b"event: beat\n\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(beats(), media_type="text/event-stream")

    return [
        Route("/", page),
        Route("/health/live", lambda _: PlainTextResponse("alive")),
        Route("/metrics", lambda _: PlainTextResponse("pumps 1")),
        Route("/api/v1/echo", echo, methods=["POST", "DELETE"]),
        Route("/api/v1/stream", stream),
        Mount("/static", StaticFiles(directory=STATIC)),
        *(room(right) for right in ALL_RIGHTS),
    ]


@contextlib.asynccontextmanager
async def house(
    *, store: Path | None = None, provider: Provider | None = None, **settings: Any
) -> AsyncIterator[House]:
    """A house with its server; `settings` are the guard's."""
    clock = Clock()
    acts: list[str] = []
    async with People(store, now_ms=clock, hasher=WEAK) as people:
        app = Starlette(
            routes=[
                *routes(people, provider),
                *password_reset.routes(people),
                *rooms(acts),
            ],
            exception_handlers=exception_handlers(),
        )
        server = WebServer(WebSection(listen="0"))
        server.open()
        serving = asyncio.create_task(
            server.serve(Guard(app, people, GuardSettings(**settings))), name="house"
        )
        await asyncio.wait_for(server.started.wait(), WAIT_S)
        try:
            yield House(server.url, people, clock, acts)
        finally:
            server.stop()
            await asyncio.wait_for(serving, WAIT_S)

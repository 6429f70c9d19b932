"""The API on a real server behind the real guard, over a ward that follows a script."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from monitor.drug_library import read_library
from monitor.people import RIGHTS, Role
from monitor.people_store import People
from monitor.proposal_store import ProposalStore
from monitor.web import problems
from monitor.web.api import routes
from monitor.web.api.office import Office
from monitor.web.callers import GuardSettings
from monitor.web.guard import Guard
from monitor.web.server import WebSection, WebServer
from tests.infusion.bench import SITE
from tests.monitor.web.house import PASSWORD, WAIT_S, WEAK
from tests.monitor.web.scripted import ScriptedWard


class ApiHouse(Struct):
    """A running API, its ward and those who may come in."""

    url: str
    ward: ScriptedWard
    people: People
    office: Office

    @contextlib.asynccontextmanager
    async def as_(self, name: str, *roles: Role) -> AsyncIterator[httpx.AsyncClient]:
        """A program of a person with these roles (a nurse), who is added if need be."""
        async with self.program(await self.token(name, *roles)) as client:
            yield client

    async def token(self, name: str, *roles: Role) -> str:
        """A token with all rights of a person, who is added with these roles if need be."""
        allowed = roles or ("nurse",)
        if name not in [user.name for user in await self.people.users()]:
            await self.people.add(name, allowed, PASSWORD, "test")
        scopes = set[str]().union(*(RIGHTS[role] for role in allowed))
        text, _ = await self.people.issue_token(name, scopes, 1, "test")
        return text

    def program(self, token: str) -> httpx.AsyncClient:
        """A program with a token, on `/api/v1`."""
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )


@contextlib.asynccontextmanager
async def api_house(
    ward: ScriptedWard, *, store: Path | None = None, more: Sequence[BaseRoute] = ()
) -> AsyncIterator[ApiHouse]:
    """The API of a ward on a free port."""
    async with People(None, hasher=WEAK) as people, ProposalStore(store) as proposals:
        office = Office(ward, proposals, library=read_library())
        app = Starlette(
            routes=[*routes(office), *problems.routes(), *more],
            exception_handlers=problems.exception_handlers(),
        )
        server = WebServer(WebSection(listen="0"))
        server.open()
        guarded = Guard(app, people, GuardSettings())
        serving = asyncio.create_task(server.serve(guarded), name="api-house")
        await asyncio.wait_for(server.started.wait(), WAIT_S)
        try:
            yield ApiHouse(server.url, ward, people, office)
        finally:
            server.stop()
            await asyncio.wait_for(serving, WAIT_S)


def slug(response: httpx.Response) -> str:
    """The kind of a problem, which says what and why."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert found["status"] == response.status_code
    assert found["title"]
    assert found["detail"]
    assert found["instance"] == response.request.url.path
    return str(found["type"]).removeprefix("/problems/")


def detail(response: httpx.Response) -> str:
    """What a problem says."""
    return str(response.json()["detail"])


def told(response: httpx.Response, status: int = 200) -> Any:
    """The JSON of an answer that must be this."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def key_of(pump: str) -> str:
    """`site/pump` of a pump on paper."""
    return f"{SITE}/{pump}"

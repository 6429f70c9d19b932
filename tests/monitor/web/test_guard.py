"""The door: attacks on it fail, and those who may come in do. A real server, real requests."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from monitor.people import ALL_RIGHTS, ALL_ROLES, IDLE_MS, RIGHTS, SESSION_MS, Right, Role
from monitor.people_store import Session
from monitor.web import guard
from monitor.web.callers import COOKIE
from monitor.web.guard import BODY_MAX, HEADERS
from tests.monitor.web.house import PASSWORD, WAIT_S, House, house, sign_in


@pytest_asyncio.fixture
async def home() -> AsyncIterator[House]:
    async with house() as found:
        yield found


async def test_smoke(home: House) -> None:
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        assert (await browser.get("/")).text == "hello ann"
        print((await browser.get("/api/v1/me")).text)
        print((await browser.post("/api/v1/rooms/act")).text)
        print((await browser.post("/api/v1/rooms/people")).text)
        assert (await browser.delete("/api/v1/session")).status_code == 204
        r = await browser.get("/pump?x=1")
        print(r.status_code, r.headers)
        r = await browser.get("/api/v1/me")
        print(r.status_code, r.headers, r.text)

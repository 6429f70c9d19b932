"""The page of a scripted ward in a real Chromium: what the tests of all views begin with."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    async_playwright,
)

from monitor.people import Role
from monitor.people_store import People
from monitor.proposal_store import ProposalStore
from monitor.web.api.office import Office
from monitor.web.app import create_app
from monitor.web.hub import Hub
from monitor.web.server import WebSection, WebServer
from tests.monitor.web.house import PASSWORD, WAIT_S, WEAK
from tests.monitor.web.scripted import ScriptedWard

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
needs_chromium = pytest.mark.skipif(
    not CHROMIUM and not os.environ.get("CI"), reason="there is no Chromium on this machine"
)
# How long a condition may take to come true: the machine may be busy.
PATIENCE_MS = 20_000
PEOPLE: dict[str, Role] = {
    "Anna": "nurse",
    "Mira": "nurse",
    "Jonas": "pharmacist",
    "Vera": "viewer",
    "Olga": "admin",
}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser, for as long as the block lasts."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM or None, args=["--no-sandbox"]
        )
        try:
            yield browser
        finally:
            await browser.close()


async def text(page: Page, selector: str) -> str:
    """The text of the first such node, also of one that only a screen reader meets."""
    return await page.locator(selector).first.text_content() or ""


async def until(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until a condition in JavaScript holds; the page is asked again with each frame."""
    await page.wait_for_function(condition, arg=argument, timeout=PATIENCE_MS)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition of the test's own holds."""
    async with asyncio.timeout(PATIENCE_MS / 1_000):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.05)


class Served:
    """The page of a scripted ward on a port of this machine; it can be killed and started anew."""

    def __init__(self, ward: ScriptedWard) -> None:
        self.ward = ward
        self.url = ""

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        people = People(None, now_ms=_now_ms, hasher=WEAK)
        self._people = await self._stack.enter_async_context(people)
        self._proposals = await self._stack.enter_async_context(ProposalStore(None))
        for name, role in PEOPLE.items():
            await people.add(name, (role,), PASSWORD, "test")
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._stack.aclose()

    async def start(self) -> None:
        """Serve; after a `stop`, on the same port, as a monitor that is started again."""
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        self._server = WebServer(WebSection(listen=listen))
        self._server.open()
        self.url = self._server.url
        self._hub = Hub(self.ward, "0")
        office = Office(self.ward, self._proposals, viewers=lambda: self._hub.viewers)
        app = create_app(self.ward, self._people, self._hub, office=office)
        self._serving = asyncio.create_task(self._server.serve(app), name="page")
        await asyncio.wait_for(self._server.started.wait(), WAIT_S)

    async def stop(self) -> None:
        """Die, as far as a browser can see."""
        self._hub.close()
        self._server.stop()
        await asyncio.wait_for(self._serving, WAIT_S)


def _now_ms() -> int:
    return round(time.time() * 1_000)


class Errors:
    """What went wrong in the pages of a context, and which hosts they asked."""

    def __init__(self, context: BrowserContext) -> None:
        self.said: list[str] = []
        self.hosts: set[str] = set()
        context.on("weberror", lambda error: self.said.append(str(error.error)))
        context.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))


class Watched:
    """One person's browser: how many streams it opened, which hosts it asked, what went wrong."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.context = context
        self.streams = 0
        self.errors = Errors(context)
        context.on("request", self._asked)
        context.on("console", self._logged)

    def _asked(self, request: Request) -> None:
        self.streams += request.url.endswith("/api/v1/stream")

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.said.append(message.text)

    async def open(self, path: str) -> Page:
        """One more tab, live."""
        page = await self.context.new_page()
        await page.goto(f"{self.url}{path}")
        await until(page, "() => document.documentElement.dataset.live === 'live'")
        return page


async def watch(
    browser: Browser, stack: AsyncExitStack, served: Served, name: str, **options: Any
) -> Watched:
    """A browser in which somebody is signed in, until the stack ends."""
    context = await browser.new_context(**options)
    stack.push_async_callback(context.close)
    answer = await context.request.post(
        f"{served.url}/api/v1/session",
        data={"name": name, "password": PASSWORD},
        headers={"Origin": served.url},
    )
    assert answer.status == 204, await answer.text()
    return Watched(context, served.url)

"""The page of a scripted ward in a real Chromium: what the tests of all views begin with."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
needs_chromium = pytest.mark.skipif(
    not CHROMIUM and not os.environ.get("CI"), reason="there is no Chromium on this machine"
)
# How long a condition may take to come true: the machine may be busy.
PATIENCE_MS = 20_000


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


class Errors:
    """What went wrong in the pages of a context: scripts that fail, what a page logs as errors."""

    def __init__(self, context: BrowserContext) -> None:
        self.said: list[str] = []
        self.hosts: set[str] = set()
        context.on("weberror", lambda error: self.said.append(str(error.error)))
        context.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))


async def text(page: Page, selector: str) -> str:
    """The text of the first such node, also of one that only a screen reader meets."""
    return await page.locator(selector).first.text_content() or ""


async def until(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until a condition in JavaScript holds; the page is asked again with each frame."""
    await page.wait_for_function(condition, arg=argument, timeout=PATIENCE_MS)

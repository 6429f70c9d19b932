"""Pictures of the worklist, the wall and the doors, by day, by night, on a phone, and when stale.

They go to build/screenshots/, to be looked at: a test can see that a picture is not empty, and no
more.
"""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page

from tests.monitor.web.browser import Served, chromium, needs_chromium, until, watch
from tests.monitor.web.scripted import ScriptedWard, fleet, night, storm

pytestmark = needs_chromium

FOLDER = Path(__file__).resolve().parents[3] / "build" / "screenshots"
DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
# A picture with nothing on it packs into less than this.
BYTES_MIN = 20_000


async def test_pictures() -> None:
    """Everything that a visitor of the README would want to see first."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser, AsyncExitStack() as stack:
        ward = ScriptedWard()
        night(ward)
        served = await stack.enter_async_context(Served(ward))
        pages: dict[str, Page] = {}
        for name, path, options in (
            ("worklist-day", "/", {**DESK, "color_scheme": "light"}),
            ("worklist-night", "/", {**DESK, "color_scheme": "dark"}),
            ("worklist-phone", "/", {**PHONE, "color_scheme": "light"}),
            ("worklist-phone-night", "/", {**PHONE, "color_scheme": "dark"}),
            ("wall-day", "/wall", {**DESK, "color_scheme": "light"}),
            ("wall-night", "/wall", {**DESK, "color_scheme": "dark"}),
            ("wall-phone", "/wall", {**PHONE, "color_scheme": "light"}),
            ("dialog-day", "/", {**DESK, "color_scheme": "light"}),
            ("dialog-night", "/", {**DESK, "color_scheme": "dark"}),
        ):
            page = await (await watch(browser, stack, served, "Anna", **options)).open(path)
            await page.locator("tr[data-id], .tile").first.wait_for()
            if name.startswith("dialog"):
                await page.get_by_role("button", name="More").first.click()
            await take(page, name)
            pages[name] = page
        ward.connected = False
        await until(
            pages["worklist-day"], "() => document.documentElement.dataset.live === 'blind'"
        )
        await take(pages["worklist-day"], "worklist-blind-day")
        await served.stop()
        for name in ("worklist-day", "worklist-night", "worklist-phone", "wall-day", "wall-night"):
            await until(pages[name], "() => document.documentElement.dataset.live === 'stale'")
            await take(pages[name], name.replace("-", "-stale-", 1))


async def test_pictures_of_many() -> None:
    """500 pumps on one screen, while a hundred of them have something at once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser, AsyncExitStack() as stack:
        ward = ScriptedWard()
        fleet(ward, 500)
        storm(ward)
        for pump in ("P-123", "P-124", "P-310"):
            ward.papers[pump].mute()
        ward.advance(900)
        served = await stack.enter_async_context(Served(ward))
        for scheme in ("light", "dark"):
            watched = await watch(browser, stack, served, "Anna", color_scheme=scheme, **DESK)
            name = "day" if scheme == "light" else "night"
            for view, path in (("wall", "/wall"), ("worklist", "/")):
                page = await watched.open(path)
                await page.locator("tr[data-id], .tile").first.wait_for()
                await take(page, f"{view}-500-{name}")


async def test_pictures_of_the_doors() -> None:
    """Sign-in, its refusal, a link that is over, and what a wrong address leads to."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser, AsyncExitStack() as stack:
        served = await stack.enter_async_context(Served(ScriptedWard()))
        for look, options in (
            ("day", {**DESK, "color_scheme": "light"}),
            ("night", {**DESK, "color_scheme": "dark"}),
            ("phone", {**PHONE, "color_scheme": "light"}),
        ):
            context = await browser.new_context(**options)
            page = await context.new_page()
            await page.goto(f"{served.url}/sign-in?why=link")
            await page.screenshot(path=FOLDER / f"sign-in-link-over-{look}.png")
            await page.locator("#name").fill("Anna")
            await page.locator("#password").fill("not this one")
            await page.keyboard.press("Enter")
            await page.get_by_text("the name or the password is wrong").wait_for()
            await page.screenshot(path=FOLDER / f"sign-in-refused-{look}.png")
            await context.close()
            watched = await watch(browser, stack, served, "Anna", **options)
            page = await watched.context.new_page()
            answer = await page.goto(f"{served.url}/wal<b>l</b>")
            assert answer is not None
            assert answer.status == 404
            await page.get_by_role("heading", name="There is nothing here").wait_for()
            assert (await Axe().run(page)).violations_count == 0
            await page.screenshot(path=FOLDER / f"not-found-{look}.png")
            await page.get_by_role("link", name="To the worklist").click()
            await until(page, "() => document.documentElement.dataset.live === 'live'")


async def take(page: Page, name: str) -> None:
    """One picture, in the phase of the flash in which the badges have their colour."""
    await until(page, "() => !document.documentElement.dataset.flash")
    shot = await page.screenshot(path=FOLDER / f"{name}.png")
    assert len(shot) > BYTES_MIN

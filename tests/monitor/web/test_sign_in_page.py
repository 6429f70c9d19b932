"""The sign-in pages in a real Chromium: they work, say what is wrong, and lead nowhere else."""

from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, expect

from monitor.people import FREE_BY_NAME
from monitor.web.callers import COOKIE
from monitor.web.sign_in import make_link
from tests.monitor.web.browser import Errors, chromium, needs_chromium
from tests.monitor.web.house import PASSWORD, House, house

pytestmark = needs_chromium


@pytest_asyncio.fixture
async def home() -> AsyncIterator[House]:
    """A house with a nurse."""
    async with house() as found:
        await found.add("ann", "nurse")
        yield found


async def fill(page: Page, name: str, password: str) -> None:
    """As somebody types it: into the field that has the focus, on with Tab, done with Enter."""
    await expect(page.locator("#name")).to_be_focused()
    await page.keyboard.type(name)
    await page.keyboard.press("Tab")
    await page.keyboard.type(password)
    await page.keyboard.press("Enter")


async def test_signing_in_by_the_keyboard_alone(home: House) -> None:
    """The field has the focus; what is wrong is said; then one is where one wanted to go."""
    async with chromium() as browser:
        context = await browser.new_context()
        errors = Errors(context)
        page = await context.new_page()
        await page.goto(f"{home.url}/?filter=high")
        assert "/sign-in?next=" in page.url
        await fill(page, "ann", "not the right one")
        told = page.get_by_role("alert")
        await expect(told).to_contain_text("name or the password is wrong")
        # The password is selected, to be typed over.
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("hello ann")).to_be_visible()
        assert page.url == f"{home.url}/?filter=high"
        (cookie,) = await context.cookies()
        assert cookie["name"] == COOKIE
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert await page.evaluate("document.cookie") == ""
        assert errors.said == []
        assert errors.hosts == {home.url.removeprefix("http://")}


async def test_too_many_tries_are_said(home: House) -> None:
    """With the time to wait."""
    async with chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{home.url}/sign-in")
        for _ in range(FREE_BY_NAME):
            await home.people.sign_in("ann", "wrong", "10.0.0.1")
        await fill(page, "ann", PASSWORD)
        await expect(page.get_by_role("alert")).to_contain_text("looked at in 1 s")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/.//evil.example/",
        "javascript:document.title='evil'",
        "data:text/html,evil",
        "\thttps://evil.example",
    ],
)
async def test_it_leads_nowhere_else(home: House, elsewhere: str) -> None:
    """Whatever address it was opened with."""
    async with chromium() as browser:
        context = await browser.new_context()
        errors = Errors(context)
        page = await context.new_page()
        await page.goto(f"{home.url}/sign-in")
        await page.evaluate("next => location.search = new URLSearchParams({ next })", elsewhere)
        await page.wait_for_url("**/sign-in?next=*")
        await page.locator("#name").focus()
        async with page.expect_navigation():
            await fill(page, "ann", PASSWORD)
        assert page.url.startswith(f"{home.url}/")
        assert await page.title() != "evil"
        assert errors.hosts == {home.url.removeprefix("http://")}


async def test_a_link_in_the_browser(home: House) -> None:
    """One press of its button; the second time the sign-in page says why not."""
    link = await make_link(home.people, home.url, "demo", ["nurse"])
    async with chromium() as browser:
        context = await browser.new_context()
        errors = Errors(context)
        page = await context.new_page()
        await page.goto(link)
        await page.get_by_role("button", name="Sign in").press("Enter")
        await expect(page.get_by_text("hello demo")).to_be_visible()
        assert page.url == f"{home.url}/"
        await page.goto(link)
        await expect(page.get_by_role("alert")).to_contain_text("used already")
        assert errors.said == []


async def test_another_site_cannot_write_with_the_browsers_cookie(home: House) -> None:
    """From a real page of another origin, by fetch and by form: the cookie goes along, and the
    write is refused for where it comes from."""
    act = f"{home.url}/api/v1/rooms/act"
    async with house() as evil, chromium() as browser:
        # The attacker's page has no policy of ours.
        context = await browser.new_context(bypass_csp=True)
        page = await context.new_page()
        await page.goto(f"{home.url}/sign-in")
        await fill(page, "ann", PASSWORD)
        await expect(page.get_by_text("hello ann")).to_be_visible()
        assert (
            await page.evaluate("url => fetch(url, {method: 'POST'}).then(r => r.status)", act)
            == 200
        )
        assert home.acts == ["ann"]
        # Another port is another origin and, for cookies, the same site: the hardest case.
        await page.goto(f"{evil.url}/health/live")
        assert await page.evaluate(
            """url => fetch(url, {method: "POST", mode: "no-cors", credentials: "include"})
                .then(answer => answer.status, () => 0)""",
            act,
        ) == 0  # fmt: skip
        async with page.expect_navigation() as navigation:
            await page.evaluate(
                """url => { const form = document.createElement("form");
                    form.method = "post"; form.action = url; document.body.append(form);
                    form.submit(); }""",
                act,
            )
        answer = await navigation.value
        assert COOKIE in (await answer.request.all_headers())["cookie"]
        assert answer.status == 403
        assert "foreign-origin" in await page.content()
        assert home.acts == ["ann"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_without_barriers(home: House, scheme: Literal["light", "dark"]) -> None:
    """axe finds nothing on either page, by day and by night, with a message shown."""
    link = await make_link(home.people, home.url, "demo", ["nurse"])
    async with chromium() as browser:
        page = await browser.new_page(color_scheme=scheme, bypass_csp=True)
        for path in (f"{home.url}/sign-in?why=link", link):
            await page.goto(path)
            results = await Axe().run(page)
            assert results.violations_count == 0, results.generate_report()

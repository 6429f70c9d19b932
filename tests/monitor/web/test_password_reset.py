"""A lost password: the link of an administrator, and what it leads to."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from infusion.errors import ConfigError
from infusion.units import MS_PER_MINUTE
from monitor.people import RESET_MINUTES
from tests.monitor.web.browser import Errors, chromium, needs_chromium
from tests.monitor.web.house import House, house, sign_in

NEW = "another long night shift"


@pytest_asyncio.fixture
async def home() -> AsyncIterator[House]:
    """A house with a nurse and an administrator."""
    async with house() as found:
        await found.add("ann", "nurse")
        await found.add("root", "admin")
        yield found


async def link_for(home: House, name: str = "ann") -> str:
    """The path of the link that an administrator makes."""
    async with home.signed_in("root") as root:
        answer = await root.post(f"/api/v1/people/{name}/reset")
        assert answer.status_code == 201, answer.text
        assert answer.json()["expires_ms"] == home.clock.now + RESET_MINUTES * MS_PER_MINUTE
        return str(answer.json()["path"])


async def test_a_link_sets_a_password_once(home: House) -> None:
    """The old password and every session are over at once; of many who press it one is let in."""
    async with home.signed_in("ann") as before:
        path = await link_for(home, "ANN")
        assert (await before.get("/api/v1/me")).status_code == 401
    async with home.browser() as browser, home.browser() as late:
        assert (await sign_in(browser, "ann")).status_code == 401
        assert "ann</b>" in (await browser.get(path)).text
        answer = await browser.post(path, json={"password": "short"})
        assert (answer.status_code, "at least 12" in answer.text) == (422, True)
        answers = await asyncio.gather(*(browser.post(path, json={"password": NEW}) for _ in "123"))
        assert sorted(each.status_code for each in answers) == [204, 422, 422]
        assert (await late.get(path)).headers["location"] == "/sign-in?why=link"
        assert (await sign_in(late, "ann", NEW)).status_code == 204
        assert (await late.get("/api/v1/me")).json()["roles"] == ["nurse"]
    said = [(row.what, row.name, row.by) for row in await home.people.audit(limit=20)]
    assert ("reset-begun", "ann", "root") in said
    assert said.count(("password-set", "ann", "ann")) == 1


async def test_it_is_no_link_that_signs_in(home: House) -> None:
    """Neither is one of the other kind a way to a new password."""
    secret = (await link_for(home)).rsplit("/", 1)[1]
    other = await home.people.make_link("demo", ["nurse"])
    async with home.browser() as browser:
        for path in (f"/sign-in/link/{secret}", f"/sign-in/reset/{other}"):
            assert (await browser.get(path)).headers["location"] == "/sign-in?why=link"
        assert (await browser.post(f"/sign-in/link/{secret}")).headers["location"] == (
            "/sign-in?why=link"
        )
        answer = await browser.post(f"/sign-in/reset/{other}", json={"password": NEW})
        assert answer.status_code == 422
    assert await home.people.is_link(other)
    assert await home.people.reset_of(secret) == "ann"


async def test_it_ends(home: House) -> None:
    """With time, with a newer one, and with the user."""
    old, newer = await link_for(home), await link_for(home)
    async with home.browser() as browser:
        assert (await browser.get(old)).status_code == 303
        assert (await browser.get(newer)).status_code == 200
        await home.people.set_disabled("ann", True, "root")
        assert (await browser.get(newer)).status_code == 303
        await home.people.set_disabled("ann", False, "root")
        home.clock.move(RESET_MINUTES * 60)
        assert (await browser.post(newer, json={"password": NEW})).status_code == 422


async def test_for_whom_there_is_none(home: House) -> None:
    """Nobody resets their own, nobody's, or one that is kept elsewhere."""
    async with home.signed_in("root") as root:
        for name, status in (("root", 422), ("nobody", 404)):
            assert (await root.post(f"/api/v1/people/{name}/reset")).status_code == status
        await home.people.begin_external(
            "eve", ["nurse"], origin="https://id.example", subject="1", address=""
        )
        assert "id.example" in (await root.post("/api/v1/people/eve/reset")).text
    with pytest.raises(ConfigError, match="no user 'nobody'"):
        await home.people.begin_reset("nobody", "root", "")


@needs_chromium
async def test_in_a_browser(home: House) -> None:
    """What is wrong is said; then one is signed in."""
    path = await link_for(home)
    async with chromium() as browser:
        context = await browser.new_context()
        errors = Errors(context)
        page = await context.new_page()
        await page.goto(home.url + path)
        await page.locator("#password").fill("too short")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("at least 12")
        await page.locator("#password").fill(NEW)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("hello ann")).to_be_visible()
        assert errors.said == []

"""Signing in by password and by link, brute force, and looking after people over the API."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from infusion.errors import ConfigError
from monitor.people import FREE_BY_ADDRESS, FREE_BY_NAME
from monitor.web.callers import COOKIE
from monitor.web.sign_in import make_link
from tests.monitor.web.house import PASSWORD, House, house, sign_in
from tests.monitor.web.test_guard import slug

WRONG = "not the right password"


@pytest_asyncio.fixture
async def home() -> AsyncIterator[House]:
    """A house with a nurse and an administrator."""
    async with house() as found:
        await found.add("ann", "nurse")
        await found.add("root", "admin")
        yield found


# --- passwords -----------------------------------------------------------------------------------


async def test_a_name_in_any_case_is_the_same_person(home: House) -> None:
    """And is called as it was written down."""
    async with home.browser() as browser:
        assert (await sign_in(browser, "ANN")).status_code == 204
        me = (await browser.get("/api/v1/me")).json()
    assert me == {
        "name": "ann",
        "roles": ["nurse"],
        "rights": ["read", "act", "result", "report", "order", "confirm", "metrics"],
        "how": "session",
        "is_idle": False,
        "expires_ms": home.clock.now + 13 * 3_600_000,
    }


async def test_a_refusal_does_not_tell_which_names_there_are(home: House) -> None:
    """The same words for a wrong password, for nobody, and for somebody who is disabled."""
    await home.add("bob", "nurse")
    await home.people.set_disabled("bob", True, "test")
    async with home.browser() as browser:
        answers = [
            await sign_in(browser, name, password)
            for name, password in [
                ("ann", WRONG),
                ("nobody", PASSWORD),
                ("bob", PASSWORD),
                ("", ""),
            ]
        ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert all("set-cookie" not in answer.headers for answer in answers)


async def test_brute_force_on_a_name_is_slowed_down(home: House) -> None:
    """The sixth try waits, even with the right password; then that one gets in."""
    async with home.browser() as browser:
        for _ in range(FREE_BY_NAME):
            assert (await sign_in(browser, "ann", WRONG)).status_code == 401
        answer = await sign_in(browser, "ann")
        assert (answer.status_code, slug(answer)) == (429, "too-many-attempts")
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["retry_after_s"] == 1
        assert (await sign_in(browser, "root")).status_code == 204
        home.clock.move(1)
        assert (await sign_in(browser, "ann", WRONG)).status_code == 401
        assert (await sign_in(browser, "ann")).headers["retry-after"] == "2"
        home.clock.move(2)
        assert (await sign_in(browser, "ann")).status_code == 204


async def test_brute_force_from_an_address_is_slowed_down(home: House) -> None:
    """One password on many names, whether they are there or not."""
    async with home.browser() as browser:
        for number in range(FREE_BY_ADDRESS):
            assert (await sign_in(browser, f"name{number}", WRONG)).status_code == 401
        assert (await sign_in(browser, "ann")).status_code == 429


async def test_tries_at_once_are_counted_before_they_are_looked_at(home: House) -> None:
    """Fifty in the same instant are five tries, not fifty."""
    async with home.browser() as browser:
        tries = [sign_in(browser, "ann", WRONG) for _ in range(50)]
        statuses = [answer.status_code for answer in await asyncio.gather(*tries)]
    assert statuses.count(401) == FREE_BY_NAME
    assert statuses.count(429) == 50 - FREE_BY_NAME
    assert home.people.early == 50 - FREE_BY_NAME


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"name":"ann"}', b'{"name":1,"password":2}', b'{"name":"\\ud800","password":""}',
     b'{"name":"ann","password":"x","role":"admin"}', b'{"name":"' + b"a" * 65 + b'","password":""}', b"\xff",
     b"[" * 60_000],
)  # fmt: skip
async def test_bodies_that_do_not_fit_are_no_tries(home: House, body: bytes) -> None:
    """They are told so."""
    async with home.browser() as browser:
        answer = await browser.post(
            "/api/v1/session", content=body, headers={"Content-Type": "application/json"}
        )
        assert 400 <= answer.status_code < 500
        slug(answer)
    assert [row.what for row in await home.people.audit()] == ["added", "added"]


async def test_changing_ones_password(home: House) -> None:
    """With the old one; all other sessions end, this one goes on."""
    new = "an entirely new one"
    async with home.signed_in("ann") as here, home.signed_in("ann") as there:

        async def change(old: str, new: str) -> httpx.Response:
            return await here.post("/api/v1/me/password", json={"old": old, "new": new})

        answer = await change(WRONG, new)
        assert (answer.status_code, slug(answer)) == (403, "wrong-old-password")
        answer = await change(PASSWORD, "annannannann")
        assert (answer.status_code, slug(answer)) == (422, "refused")
        assert "little more than the name" in answer.json()["detail"]
        assert (await there.get("/api/v1/me")).status_code == 200
        assert (await change(PASSWORD, new)).status_code == 204
        assert (await there.get("/api/v1/me")).status_code == 401
        assert (await here.get("/api/v1/me")).status_code == 200
        for _ in range(FREE_BY_NAME):
            await change(WRONG, new)
        assert slug(await change(new, PASSWORD)) == "too-many-attempts"


# --- links ---------------------------------------------------------------------------------------


async def test_a_link_signs_in_once(home: House) -> None:
    """Looking at it does not use it up; its button does, and gives a session of its roles."""
    link = await make_link(home.people, home.url, "demo", ["nurse", "pharmacist"])
    assert re.fullmatch(rf"{home.url}/sign-in/link/[\w-]{{43}}", link)
    async with home.visitor() as preview:
        for _ in range(3):
            page = await preview.get(link)
            assert page.status_code == 200
            assert "<script" not in page.text
            assert "set-cookie" not in page.headers
    async with home.browser() as browser:
        # As a form without fields sends it.
        answer = await browser.post(
            link, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        me = (await browser.get("/api/v1/me")).json()
        assert (me["name"], me["roles"], me["how"]) == ("demo", ["nurse", "pharmacist"], "link")
        assert (await browser.post("/api/v1/rooms/act")).status_code == 200
        for path, body in (("/api/v1/tokens", {"scopes": ["read"]}), ("/api/v1/me/password", {})):
            assert slug(await browser.post(path, json=body)) == "not-allowed"
    async with home.browser() as second:
        for answer in (await second.get(link), await second.post(link)):
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?why=link")
        assert (await second.get("/api/v1/me")).status_code == 401


async def test_of_two_who_press_at_once_one_gets_in(home: House) -> None:
    """Once is once."""
    link = await make_link(home.people, home.url, "demo", ["nurse"])
    async with home.browser() as browser:
        answers = await asyncio.gather(*(browser.post(link) for _ in range(5)))
    assert sorted(answer.headers["location"] for answer in answers)[:2] == [
        "/",
        "/sign-in?why=link",
    ]
    assert sum(COOKIE in answer.headers.get("set-cookie", "") for answer in answers) == 1


async def test_a_link_is_for_a_while_and_for_nobody_elses_name(home: House) -> None:
    """Ten minutes; never in the name of a user, who may also come later."""
    link = await make_link(home.people, home.url, "demo", ["nurse"])
    second = await make_link(home.people, home.url, "bob", ["nurse"])
    third = await make_link(home.people, home.url, "cy", ["nurse"])
    with pytest.raises(ConfigError, match="there is a user 'ANN'"):
        await make_link(home.people, home.url, "ANN", ["admin"])
    with pytest.raises(ConfigError, match="for 0 minutes; give 1 to"):
        await make_link(home.people, home.url, "demo", ["nurse"], 0)
    async with home.browser() as browser, home.browser() as other:
        await browser.post(second)
        assert (await browser.get("/api/v1/me")).json()["name"] == "bob"
        await home.add("bob", "viewer")
        assert (await browser.get("/api/v1/me")).status_code == 401
        await home.add("cy", "viewer")
        assert (await other.post(third)).headers["location"] == "/sign-in?why=link"
        home.clock.move(600)
        assert (await other.post(link)).headers["location"] == "/sign-in?why=link"


async def test_signing_in_again_ends_the_session_of_the_link(home: House) -> None:
    """The old id is worth nothing."""
    link = await make_link(home.people, home.url, "demo", ["nurse"])
    async with home.browser() as browser:
        await browser.post(link)
        old = browser.cookies[COOKIE]
        assert (await sign_in(browser, "ann")).status_code == 204
        assert browser.cookies[COOKIE] != old
    async with home.visitor(cookie=f"{COOKIE}={old}") as thief:
        assert (await thief.get("/api/v1/me")).status_code == 401


# --- people and tokens ---------------------------------------------------------------------------


async def test_an_administrator_looks_after_people(home: House) -> None:
    """Adds, disables, enables; hears what is wrong; each is written down."""
    async with home.signed_in("root") as root:
        new: dict[str, object] = {"name": "bob", "roles": ["viewer"], "password": PASSWORD}
        answer = await root.post("/api/v1/people", json=new)
        assert answer.status_code == 201
        assert answer.json() == {"name": "bob", "roles": ["viewer"], "created_ms": home.clock.now}
        changes: list[tuple[dict[str, object], str]] = [
            ({}, "there is a user 'bob' already"),
            ({"name": "BOB"}, "there is a user 'BOB' already"),
            ({"name": "cy", "roles": []}, "needs a role"),
            ({"name": "cy", "roles": ["nurs"]}, "did you mean 'nurse'"),
            ({"name": "cy", "password": "short"}, "at least 12"),
        ]
        for change, text in changes:
            answer = await root.post("/api/v1/people", json=new | change)
            assert (answer.status_code, slug(answer)) == (422, "refused")
            assert text in answer.json()["detail"]
        assert (
            400 <= (await root.post("/api/v1/people", json=new | {"name": "<b>"})).status_code < 500
        )
        async with home.signed_in("bob") as bob:
            answer = await root.post("/api/v1/people/BOB/disable")
            assert answer.json()["disabled_ms"] == home.clock.now
            assert (await bob.get("/api/v1/me")).status_code == 401
            answer = await root.post("/api/v1/people/bob/enable")
            assert "disabled_ms" not in answer.json()
            assert (await sign_in(bob, "bob")).status_code == 204
        assert slug(await root.post("/api/v1/people/root/disable")) == "refused"
        assert slug(await root.post("/api/v1/people/nobody/disable")) == "unknown-person"
        listed = (await root.get("/api/v1/people")).json()["items"]
        assert [user["name"] for user in listed] == ["ann", "bob", "root"]
        assert all("password" not in user for user in listed)
    rows = [(row.what, row.name, row.by) for row in await home.people.audit(limit=6)]
    assert rows == [
        ("signed-in", "bob", "bob"),
        ("enabled", "bob", "root"),
        ("disabled", "bob", "root"),
        ("signed-in", "bob", "bob"),
        ("added", "bob", "root"),
        ("signed-in", "root", "root"),
    ]


async def test_others_do_not(home: House) -> None:
    """Neither look nor touch; and no token makes accounts, whatever its scopes."""
    token = await home.token("root", "people")
    async with home.signed_in("ann") as ann, home.visitor() as program:
        for method, path in [
            ("GET", "/api/v1/people"),
            ("POST", "/api/v1/people"),
            ("POST", "/api/v1/people/root/disable"),
            ("POST", "/api/v1/people/root/enable"),
            ("POST", "/api/v1/people/root/reset"),
        ]:
            assert slug(await ann.request(method, path)) == "not-allowed"
        program.headers["Authorization"] = f"Bearer {token}"
        assert (await program.get("/api/v1/people")).status_code == 200
        new = {"name": "mallory", "roles": ["admin"], "password": PASSWORD}
        assert slug(await program.post("/api/v1/people", json=new)) == "not-allowed"
        for path in ("/api/v1/tokens", "/api/v1/me/password"):
            assert slug(await program.post(path, json={})) == "not-allowed"
        assert slug(await program.delete("/api/v1/session")) == "not-allowed"


async def test_ones_own_tokens(home: House) -> None:
    """Issued once, listed without the secret, used, revoked; nobody else's."""
    async with home.signed_in("ann") as ann, home.signed_in("root") as root:
        answer = await ann.post(
            "/api/v1/tokens", json={"scopes": ["read", "act"], "days": 2, "note": "for the board"}
        )
        assert answer.status_code == 201
        text, token = answer.json()["text"], answer.json()["token"]
        secret = text.split("_", 2)[2]
        async with home.visitor(authorization=f"Bearer {text}") as program:
            assert (await program.post("/api/v1/rooms/act")).text == "ann may act"
            assert (await program.get("/api/v1/me")).json()["how"] == "token"
        (listed,) = (await ann.get("/api/v1/tokens")).json()["items"]
        assert listed == token | {"used_ms": home.clock.now}
        assert secret not in str(listed)
        assert (await root.get("/api/v1/tokens")).json() == {"items": []}
        assert slug(await root.delete(f"/api/v1/tokens/{token['id']}")) == "unknown-token"
        assert (await ann.delete(f"/api/v1/tokens/{token['id']}")).status_code == 204
        async with home.visitor(authorization=f"Bearer {text}") as program:
            assert (await program.get("/api/v1/me")).status_code == 401
        for wrong, said in [
            ({"scopes": ["people"]}, "does not have 'people'"),
            ({"scopes": []}, "needs a scope"),
            ({"scopes": ["read"], "days": 367}, "give 1 to 366"),
            ({"scopes": ["read"], "days": 0}, "give 1 to 366"),
            ({"scopes": ["read"], "note": "two\nlines"}, "one line"),
        ]:
            answer = await ann.post("/api/v1/tokens", json=wrong)
            assert (answer.status_code, slug(answer)) == (422, "refused")
            assert said in answer.json()["detail"]


async def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    """What steals the file can sign in nowhere: passwords are argon2id, the rest are digests."""
    store = tmp_path / "store.sqlite3"
    async with house(store=store) as home:
        await home.add("ann", "nurse")
        token = (await home.token("ann", "read")).split("_", 2)[2]
        link = (await make_link(home.people, home.url, "demo", ["nurse"])).rsplit("/", 1)[1]
        async with home.signed_in("ann") as browser:
            cookie = browser.cookies[COOKIE]
        held = _all_bytes(tmp_path)
    assert b"$argon2id$" in held
    for secret in (PASSWORD, token, link, cookie):
        assert secret.encode() not in held


def _all_bytes(folder: Path) -> bytes:
    """What is on the disk, the log of what is not yet in the file too."""
    return b"".join(path.read_bytes() for path in folder.iterdir())

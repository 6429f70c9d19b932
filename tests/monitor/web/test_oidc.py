"""Sign-in by OpenID Connect, against a small real provider on a port of its own, honest and not."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import html
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from msgspec.structs import replace
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from infusion.errors import ConfigError
from monitor.people import Role
from monitor.web import oidc
from monitor.web.callers import COOKIE
from monitor.web.oidc import CALLBACK, OidcSection, Provider, Refused, vouched
from monitor.web.server import WebSection, WebServer
from tests.monitor.web.browser import chromium, needs_chromium
from tests.monitor.web.house import PASSWORD, WAIT_S, House, house

KEY = RSAKey.generate_key(2048, {"kid": "k1"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "k1"})
SECRET = "client-secret"
ROLES: dict[str, Role] = {"ward-nurses": "nurse", "pharmacy": "pharmacist"}

Sign = Callable[[dict[str, Any]], str]


def signed(claims: dict[str, Any], key: RSAKey = KEY) -> str:
    """As the honest provider signs."""
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, key)


class Issuer:
    """An identity provider at which ann is signed in already; what it says of her can be changed."""

    def __init__(self) -> None:
        self.url = ""
        self.named: str | None = None
        self.said: dict[str, Any] = {"preferred_username": "ann", "roles": ["ward-nurses", "x"]}
        self.userinfo: dict[str, Any] = {}
        self.sign: Sign = signed
        # Whether somebody must press a link there before they come back.
        self.has_page = False
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}

    def app(self) -> Starlette:
        """Its routes."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/jwks", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _discovery(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.named or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.userinfo else {}),
            }
        )

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        query = urlencode({"code": code, "state": asked["state"]})
        back = f"{asked['redirect_uri']}?{query}"
        if self.has_page:
            return HTMLResponse(f'<a href="{html.escape(back)}">It is me</a>')
        return RedirectResponse(back, 302)

    async def _token(self, request: Request) -> Response:
        form = dict([part.split("=", 1) for part in (await request.body()).decode().split("&")])
        asked = self._codes.pop(form["code"], None)
        given = base64.b64encode(f"ward:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(
            hashlib.sha256(form["code_verifier"].encode()).digest()
        ).decode()
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {given}"
            or challenge.rstrip("=") != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "subject-1",
            "aud": "ward",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.said,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return JSONResponse(
            {"access_token": "access", "token_type": "Bearer", "id_token": self.sign(claims)}
        )

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer access"
        return JSONResponse(self.userinfo)


@contextlib.asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    """A provider that listens."""
    found = Issuer()
    server = WebServer(WebSection(listen="0"))
    server.open()
    found.url = server.url
    serving = asyncio.create_task(server.serve(found.app()))
    await asyncio.wait_for(server.started.wait(), WAIT_S)
    try:
        yield found
    finally:
        server.stop()
        await asyncio.wait_for(serving, WAIT_S)


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    """The client's secret, with the line end that editors add."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return str(path)


@contextlib.asynccontextmanager
async def ward(secret_file: str, **changes: Any) -> AsyncIterator[tuple[Issuer, House]]:
    """A provider, and a house that trusts it."""
    async with issuer() as found:
        section = OidcSection(
            issuer=found.url, client_id="ward", client_secret_file=secret_file, roles=ROLES
        )
        async with house(provider=Provider(replace(section, **changes))) as home:
            yield found, home


async def come_back(browser: httpx.AsyncClient) -> httpx.Response:
    """Go to the provider and back, as a browser follows; the answer of the way back."""
    gone = await browser.get("/sign-in/oidc")
    assert gone.status_code == 303
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        there = await elsewhere.get(gone.headers["location"])
    return await browser.get(there.headers["location"])


def is_refused(answer: httpx.Response) -> bool:
    """Whether the sign-in page says that it did not work; no session then."""
    return (
        answer.headers.get("location") == "/sign-in?why=provider"
        and "dripwatch_session" not in answer.headers.get("set-cookie", "")
    )  # fmt: skip


async def test_there_and_back(secret_file: str) -> None:
    """A session of the roles that the claim gives, by a page that goes on by itself."""
    async with ward(secret_file) as (found, home), home.browser() as browser:
        assert '<p id="provider">' in (await browser.get("/sign-in")).text
        answer = await come_back(browser)
        assert answer.status_code == 200
        # A redirect would be part of the provider's navigation, without the new cookie.
        assert 'http-equiv="refresh" content="0;url=/"' in answer.text
        me = (await browser.get("/api/v1/me")).json()
        assert (me["name"], me["roles"], me["how"]) == ("ann", ["nurse"], "session")
        (asked,) = found.asked
        assert asked["redirect_uri"] == home.url + CALLBACK
        assert asked["scope"] == "openid profile"
        (user,) = await home.people.users()
        assert user.origin == found.url
        # A user like others: with tokens, and out at once when disabled.
        assert (await browser.post("/api/v1/tokens", json={"scopes": ["read"]})).status_code == 201
        await home.people.set_disabled("ann", True, "test")
        assert (await browser.get("/api/v1/me")).status_code == 401
        assert is_refused(await come_back(browser))
        assert "disabled" in (await home.people.audit(limit=1))[0].detail


@needs_chromium
async def test_there_and_back_in_a_browser(secret_file: str) -> None:
    """The provider is another site: what a browser holds back of the cookies then does not matter.

    httpx sends every cookie everywhere; a browser that comes back from another site does not.
    """
    async with issuer() as found:
        found.url = found.url.replace("127.0.0.1", "localhost")
        found.has_page = True
        section = OidcSection(
            issuer=found.url, client_id="ward", client_secret_file=secret_file, roles=ROLES
        )
        async with house(provider=Provider(section)) as home, chromium() as browser:
            page = await browser.new_page()
            await page.goto(home.url)
            await page.get_by_role("link", name="Sign in with your organisation").click()
            await page.get_by_role("link", name="It is me").click()
            await expect(page.get_by_text("hello ann")).to_be_visible()
            assert page.url == f"{home.url}/"
            # Again, with the session of the first time, which ends by it.
            await page.goto(f"{home.url}/sign-in/oidc")
            await page.get_by_role("link", name="It is me").click()
            await expect(page.get_by_text("hello ann")).to_be_visible()


async def test_roles_are_what_the_provider_says_today(secret_file: str) -> None:
    """At each sign-in anew; a password does not exist."""
    async with ward(secret_file) as (found, home), home.browser() as browser:
        await come_back(browser)
        found.said["roles"] = "pharmacy"
        await come_back(browser)
        assert (await browser.get("/api/v1/me")).json()["roles"] == ["pharmacist"]
        body = {"name": "ann", "password": PASSWORD}
        assert (await browser.post("/api/v1/session", json=body)).status_code == 401


async def test_without_a_provider_the_page_does_not_speak_of_one() -> None:
    """And there is no such path."""
    async with house() as home, home.visitor() as visitor:
        assert '<p id="provider" hidden>' in (await visitor.get("/sign-in")).text
        assert (await visitor.get("/sign-in/oidc")).status_code == 404


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "somebody-else"}, "aud"),
        ({"aud": ["ward", "somebody-else"], "azp": "somebody-else"}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": 1_000}, "expired"),
        ({"sub": None}, "sub"),
        ({"roles": ["x"]}, "gives no role here"),
        ({"roles": {"ward-nurses": True}}, "gives no role here"),
        ({"roles": None}, "gives no role here"),
        ({"preferred_username": None}, "who it is"),
        ({"preferred_username": 7}, "who it is"),
        ({"preferred_username": "..."}, "gives no name"),
    ],
)
async def test_what_is_said_must_fit(secret_file: str, said: dict[str, Any], why: str) -> None:
    """Each claim that is not as it should be keeps its bearer out, and the log says why."""
    async with ward(secret_file) as (found, home), home.browser() as browser:
        found.said.update(said)
        assert is_refused(await come_back(browser))
        assert (await browser.get("/api/v1/me")).status_code == 401
        (row,) = await home.people.audit()
        assert row.what == "refused"
        assert why in row.detail


def by_hand(claims: dict[str, Any], algorithm: str, key: bytes) -> str:
    """As no library would sign: with nothing, or with a key that is no secret."""
    parts = [{"alg": algorithm, "kid": "k1"}, claims]
    text = ".".join(_base64(msgspec.json.encode(part)) for part in parts)
    mac = hmac.digest(key, text.encode(), "sha256") if key else b""
    return f"{text}.{_base64(mac)}"


@pytest.mark.parametrize(
    ("sign", "why"),
    [
        (lambda claims: by_hand(claims, "none", b""), "'none' is not allowed"),
        # With the key that everybody has, as if it were a secret.
        (
            lambda claims: by_hand(claims, "HS256", KEY.as_pem(private=False)),
            "'HS256' is not allowed",
        ),
        # With a secret that more than the provider has.
        (lambda claims: by_hand(claims, "HS256", SECRET.encode()), "'HS256' is not allowed"),
        (lambda claims: signed(claims, OTHER_KEY), "BadSignature"),
        (lambda claims: signed(claims)[:-8], "BadSignature"),
        (lambda claims: by_hand(claims, "RS256", b"x"), "BadSignature"),
        (lambda _claims: "no token", "DecodeError"),
    ],
    ids=["none", "public key", "client secret", "another key", "cut", "not RS256", "no token"],
)
async def test_who_signed_must_be_the_provider(secret_file: str, sign: Sign, why: str) -> None:
    """It may even announce other ways to sign."""
    async with ward(secret_file) as (found, home), home.browser() as browser:
        found.sign = sign
        assert is_refused(await come_back(browser))
        assert await home.people.users() == []
        assert why in (await home.people.audit(limit=1))[0].detail


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_an_answer_is_for_the_browser_that_asked(secret_file: str) -> None:
    """And once, and not too late: nobody is signed in as somebody else by a link (login CSRF)."""
    async with (
        ward(secret_file) as (_found, home),
        home.browser() as attacker,
        home.browser() as victim,
    ):
        gone = await attacker.get("/sign-in/oidc")
        cookie = gone.headers["set-cookie"].lower()
        for part in ("httponly", "samesite=lax", f"path={oidc.PATH}"):
            assert part in cookie
        async with httpx.AsyncClient(trust_env=False) as elsewhere:
            there = await elsewhere.get(gone.headers["location"])
        back = there.headers["location"]
        assert is_refused(await victim.get(back))
        assert is_refused(await attacker.get(back.replace("state=", "state=x")))
        assert (await attacker.get(back)).status_code == 200
        assert is_refused(await attacker.get(back))
        assert is_refused(await attacker.get(f"{CALLBACK}?error=access_denied"))
        assert is_refused(await attacker.get(CALLBACK))


async def test_a_name_belongs_to_whom_it_was_given(secret_file: str) -> None:
    """Neither a user of this monitor nor another subject of the provider is taken over."""
    async with ward(secret_file) as (found, home), home.browser() as browser:
        await home.add("ann", "admin")
        assert is_refused(await come_back(browser))
        found.said["preferred_username"] = "ANN"
        assert is_refused(await come_back(browser))
        found.said["preferred_username"] = "bob@ward.example"
        assert (await come_back(browser)).status_code == 200
        assert (await browser.get("/api/v1/me")).json()["name"] == "bob.ward.example"
        found.said["sub"] = "subject-2"
        assert is_refused(await come_back(browser))
        assert browser.cookies[COOKIE]


async def test_roles_may_come_with_the_user_information(secret_file: str) -> None:
    """Where the ID token does not have them; of the same subject only, and inside other claims."""
    async with ward(secret_file, roles_claim="realm.roles") as (found, home):
        del found.said["roles"]
        found.userinfo = {"sub": "subject-1", "realm": {"roles": ["ward-nurses"]}, "iss": "x"}
        async with home.browser() as browser:
            assert (await come_back(browser)).status_code == 200
            found.userinfo["sub"] = "subject-2"
            assert is_refused(await come_back(browser))


async def test_a_provider_that_calls_itself_something_else_is_not_believed(
    secret_file: str,
) -> None:
    """Not now, and not later by what it said then; when it is mended, it works."""
    async with ward(secret_file) as (found, home), home.browser() as browser:
        found.named = "https://evil.example"
        assert is_refused(await browser.get("/sign-in/oidc"))
        found.named = None
        assert (await come_back(browser)).status_code == 200


async def test_a_provider_that_is_down_is_said_to_be(secret_file: str) -> None:
    """On the sign-in page, not by an error."""
    async with issuer() as gone:
        pass
    section = OidcSection(issuer=gone.url, client_id="ward", roles=ROLES)
    async with house(provider=Provider(section)) as home, home.browser() as browser:
        assert is_refused(await browser.get("/sign-in/oidc"))


async def test_so_many_may_be_there_and_for_so_long(secret_file: str) -> None:
    """The one who went first has to go again."""
    now = 0.0
    async with issuer() as found:
        section = OidcSection(
            issuer=found.url, client_id="ward", client_secret_file=secret_file, roles=ROLES
        )
        provider = Provider(section, now_s=lambda: now)
        first, browser = await provider.begin("http://127.0.0.1/x")
        state = httpx.URL(first).params["state"]
        for _ in range(oidc.PENDING_MAX - 1):
            await provider.begin("http://127.0.0.1/x")
        last, browser_of_last = await provider.begin("http://127.0.0.1/x")
        with pytest.raises(Refused, match="nobody of this browser"):
            await provider.finish(state, "code", browser)
        now = oidc.PENDING_S
        with pytest.raises(Refused, match="too long at the provider"):
            await provider.finish(httpx.URL(last).params["state"], "code", browser_of_last)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "http://id.example"}, "must be an https:// address"),
        ({"issuer": "id.example"}, "must be an https:// address"),
        ({"client_id": ""}, "client_id is not set"),
        ({"scope": "profile"}, "must have 'openid' in it"),
        ({"roles": {}}, r"set \[web.oidc.roles\], such as ward-nurses = 'nurse'"),
        ({"client_secret_file": "nowhere"}, "client_secret_file nowhere: .*; give a file"),
    ],
)
def test_settings_that_cannot_work_say_so(changes: dict[str, Any], said: str) -> None:
    """Before anything listens."""
    section = OidcSection(issuer="https://id.example", client_id="ward", roles={"a": "nurse"})
    Provider(section)
    with pytest.raises(ConfigError, match=said):
        Provider(replace(section, **changes))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python is told that Authlib is not there."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "authlib"]:
        monkeypatch.delitem(sys.modules, name)
    section = OidcSection(issuer="https://id.example", client_id="ward", roles={"a": "nurse"})

    class Missing:
        """Finds no Authlib, before anybody else looks."""

        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name.partition(".")[0] == "authlib":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Missing)
    try:
        with pytest.raises(ConfigError, match=r"\(authlib.*\); install them with: pip install"):
            Provider(section)
    finally:
        del sys.meta_path[0]


def test_a_name_is_never_longer_than_names_are() -> None:
    """Whatever a provider calls people."""
    section = OidcSection(issuer="https://id.example", client_id="ward", roles={"a": "nurse"})
    claims = {"sub": "s" * 1_000, "preferred_username": "é" * 3 + "b" * 100, "roles": "a"}
    found = vouched(claims, section)
    assert (len(found.subject), found.name) == (255, "b" * 64)

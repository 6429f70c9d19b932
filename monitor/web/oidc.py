"""Signing in at an identity provider of one's own: OpenID Connect, code flow with PKCE.

Discovery, the requests, PKCE, and the checks of the ID token's signature and claims are Authlib's
(the extra `oidc`). What is here is what a library cannot know: which issuer, which claim makes
which role, whose browser began, and that a name of one issuer is not another one's.

Two cookies, because a browser that comes back from another site sends no SameSite=Strict ones: a
Lax one, for some minutes, ties the answer to the browser that asked; and the session's own is given
with a small page that goes on by itself, so that the next request comes from this site.
"""

import re
import secrets
import ssl
import time
import urllib.parse
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import structlog
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from host.process import read_text
from infusion.errors import ConfigError
from monitor.people import ALL_ROLES, Role, is_secret
from monitor.people import digest as digest_of
from monitor.people_store import People
from monitor.web.callers import caller_of, session_secret, set_session

log = structlog.get_logger()

PATH = "/sign-in/oidc"
CALLBACK = f"{PATH}/callback"
COOKIE = "dripwatch_oidc"
# How long somebody may take at the provider, and how many may be there at once.
PENDING_S = 600.0
PENDING_MAX = 1_000
TIMEOUT_S = 10.0

_FAILED = "/sign-in?why=provider"
# Signatures that only the provider can make; never one with a secret that both sides know.
_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_STATIC = Path(__file__).parent / "static"

Text = Annotated[str, Meta(max_length=1_024)]


class OidcSection(Struct, frozen=True, kw_only=True):
    """[web.oidc]: without `issuer` there is none. `roles` maps values of the claim to roles."""

    issuer: Text = ""
    client_id: Text = ""
    client_secret_file: Text | None = None
    # A dot leads into a claim inside a claim: realm_access.roles.
    roles_claim: Text = "roles"
    name_claim: Text = "preferred_username"
    scope: Text = "openid profile"
    roles: dict[str, Role] = {}


class _Pending(Struct, frozen=True):
    """Somebody who is at the provider now."""

    nonce: str
    verifier: str
    redirect: str
    # Of the cookie that the browser got.
    browser: bytes
    until_s: float


class Refused(Exception):  # noqa: N818 - it is told, not caught by its kind
    """The provider, or what it says of somebody, does not let them in. The text is for the log."""


class Provider:
    """One issuer. Raises ConfigError where the settings or the extra are not good enough."""

    def __init__(
        self, section: OidcSection, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        check(section)
        self.issuer = section.issuer
        self._section = section
        self._now_s = now_s
        self._pending: dict[str, _Pending] = {}
        self._errors, self._client = _client(section)

    async def begin(self, redirect: str) -> tuple[str, str]:
        """The provider's address to go to, and the cookie's value that ties the answer to a
        browser. Raises Refused where the provider does not answer as it should."""
        browser = secrets.token_urlsafe(32)
        try:
            await self._metadata()
            begun = await self._client.create_authorization_url(redirect)
        except self._errors as error:
            raise Refused(f"{self._section.issuer}: {_said(error)}") from None
        now = self._now_s()
        for state in [key for key, held in self._pending.items() if held.until_s <= now]:
            del self._pending[state]
        while len(self._pending) >= PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        self._pending[begun["state"]] = _Pending(
            begun["nonce"],
            begun["code_verifier"],
            redirect,
            digest_of(browser),
            now + PENDING_S,
        )
        return begun["url"], browser

    async def finish(self, state: str, code: str, browser: str) -> "Vouched":
        """Who came back, and what the provider says of them. Raises Refused."""
        pending = self._pending.get(state)
        if pending is None or not is_secret(browser, pending.browser):
            raise Refused("nobody of this browser is at the provider")
        # Whatever comes of it, an answer is taken once.
        del self._pending[state]
        if pending.until_s <= self._now_s():
            raise Refused("too long at the provider")
        try:
            metadata = await self._metadata()
            token = await self._client.fetch_access_token(
                pending.redirect, code=code, code_verifier=pending.verifier
            )
            claims = await self._client.parse_id_token(
                token,
                nonce=pending.nonce,
                claims_options={
                    "iss": {"essential": True, "values": [self._section.issuer]},
                    "aud": {"essential": True, "values": [self._section.client_id]},
                },
            )
            if claims is None:
                raise Refused("no ID token came")
            if _found(claims, self._section.roles_claim) is None and (
                "userinfo_endpoint" in metadata
            ):
                more = await self._client.userinfo(token=token)
                if more.get("sub") != claims["sub"]:
                    raise Refused("the user information is of somebody else")
                claims = {**more, **claims}
        except self._errors as error:
            raise Refused(f"{self._section.issuer}: {_said(error)}") from None
        return vouched(claims, self._section)

    async def _metadata(self) -> Mapping[str, Any]:
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if metadata.get("issuer") != self._section.issuer:
            issuer = metadata.get("issuer")
            # Or another provider's discovery would be believed from now on.
            self._client.server_metadata.clear()
            raise Refused(f"the provider calls itself {issuer!r}, not {self._section.issuer!r}")
        key = "id_token_signing_alg_values_supported"
        allowed = [each for each in metadata.get(key) or () if each in _ALGORITHMS]
        metadata[key] = allowed or ["RS256"]
        return metadata


class Vouched(Struct, frozen=True):
    """What a provider says of somebody: who they are there, their name here, their roles here."""

    subject: str
    name: str
    roles: frozenset[Role]


def vouched(claims: Mapping[str, Any], section: OidcSection) -> Vouched:
    """What claims say of somebody. Raises Refused where they give no name, or no role here."""
    subject = claims.get("sub")
    said = _found(claims, section.name_claim)
    if not isinstance(subject, str) or not subject or not isinstance(said, str):
        raise Refused(f"the claims 'sub' and {section.name_claim!r} do not tell who it is")
    # An address of mail becomes a name: ann@ward.example is ann.ward.example here.
    name = re.sub(r"[^A-Za-z0-9._-]", ".", said).lstrip("._-")[:64]
    if not name:
        raise Refused(f"the claim {section.name_claim!r} gives no name")
    values = _found(claims, section.roles_claim)
    values = [values] if isinstance(values, str) else values
    held = {value for value in values if isinstance(value, str)} if isinstance(values, list) else ()
    roles = frozenset(section.roles[value] for value in held if value in section.roles)
    if not roles:
        raise Refused(f"{name}: the claim {section.roles_claim!r} gives no role here")
    return Vouched(subject[:255], name, roles)


def check(section: OidcSection) -> None:
    """Raises ConfigError for settings that cannot work, or are not safe."""
    url = urllib.parse.urlsplit(section.issuer)
    is_here = url.scheme == "http" and url.hostname in _LOOPBACK
    if not url.hostname or not (url.scheme == "https" or is_here):
        raise ConfigError(
            f"web.oidc: the issuer {section.issuer!r} must be an https:// address, such as"
            " https://id.example.org/realms/ward"
        )
    if not section.client_id:
        raise ConfigError("web.oidc: client_id is not set; the provider gives one")
    if "openid" not in section.scope.split():
        raise ConfigError(f"web.oidc: the scope {section.scope!r} must have 'openid' in it")
    if not section.roles:
        raise ConfigError(
            f"web.oidc: no value of the claim {section.roles_claim!r} gives a role; set"
            f" [web.oidc.roles], such as ward-nurses = 'nurse' (roles: {', '.join(ALL_ROLES)})"
        )


def _client(section: OidcSection) -> tuple[tuple[type[Exception], ...], Any]:
    """Authlib's client, and the errors that it may raise."""
    try:
        # Authlib says at each import that it would rather have httpx2, once that is established.
        with warnings.catch_warnings(record=True):
            from authlib.integrations.base_client import (  # type: ignore[import-untyped]
                BaseApp,
                OAuthError,
            )
            from authlib.integrations.base_client.async_app import (  # type: ignore[import-untyped]
                AsyncOAuth2Mixin,
            )
            from authlib.integrations.base_client.async_openid import (  # type: ignore[import-untyped]
                AsyncOpenIDMixin,
            )
            from authlib.integrations.httpx_client import (  # type: ignore[import-untyped]
                AsyncOAuth2Client,
            )
        import httpx
        from joserfc.errors import JoseError
    except ImportError as error:
        raise ConfigError(
            f"web.oidc: sign-in by OpenID Connect needs more packages ({error.name}); install them"
            " with: pip install 'dripwatch[oidc]'"
        ) from None
    parts = (AsyncOAuth2Mixin, AsyncOpenIDMixin, BaseApp)
    kind = type("Client", parts, {"client_cls": AsyncOAuth2Client})
    client = kind(
        None,
        name="oidc",
        client_id=section.client_id,
        client_secret=_secret(section),
        server_metadata_url=section.issuer.rstrip("/") + "/.well-known/openid-configuration",
        client_kwargs={
            "scope": section.scope,
            "code_challenge_method": "S256",
            "timeout": TIMEOUT_S,
            # Made once, for it takes a while; it knows the certificates that this machine trusts.
            "verify": ssl.create_default_context(),
        },
    )
    # The last three are what comes of an answer that is no JSON, or lacks what it must have.
    return (OAuthError, JoseError, httpx.HTTPError, ValueError, KeyError, RuntimeError), client


def _secret(section: OidcSection) -> str | None:
    """The client's secret; None for a public client, whom PKCE alone protects."""
    if section.client_secret_file is None:
        return None
    try:
        secret = read_text(section.client_secret_file).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"web.oidc: client_secret_file {section.client_secret_file}: {error}; give a file with"
            " the secret in it and nothing else"
        ) from None
    if not secret:
        raise ConfigError(f"web.oidc: client_secret_file {section.client_secret_file} is empty")
    return secret


def _found(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a way with dots into other claims; None where there is none."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:250]


# --- routes --------------------------------------------------------------------------------------


def routes(people: People, provider: Provider) -> list[BaseRoute]:
    """The way to the provider, and the way back."""

    async def go(request: Request) -> Response:
        caller = caller_of(request)
        try:
            url, browser = await provider.begin(caller.origin + CALLBACK)
        except Refused as refused:
            return await _refuse(people, caller.address, refused)
        response = RedirectResponse(url, 303)
        response.set_cookie(
            COOKIE, browser, max_age=int(PENDING_S), path=PATH, secure=caller.is_tls, httponly=True,
            samesite="lax",
        )  # fmt: skip
        return response

    async def come_back(request: Request) -> Response:
        caller = caller_of(request)
        query = request.query_params
        try:
            if "error" in query:
                raise Refused(f"the provider said {query['error'][:100]!r}")
            who = await provider.finish(
                query.get("state", ""), query.get("code", ""), request.cookies.get(COOKIE, "")
            )
            session = await people.begin_external(
                who.name,
                who.roles,
                origin=provider.issuer,
                subject=who.subject,
                address=caller.address,
                old=session_secret(request.headers, caller),
            )
        except (Refused, ConfigError) as refused:
            return await _refuse(people, caller.address, refused)
        response = FileResponse(_STATIC / "signed-in.html")
        set_session(response, request, session)
        response.delete_cookie(
            COOKIE, path=PATH, secure=caller.is_tls, httponly=True, samesite="lax"
        )
        return response

    return [Route(PATH, go, methods=["GET"]), Route(CALLBACK, come_back, methods=["GET"])]


async def _refuse(people: People, address: str, refused: Exception) -> Response:
    log.warning("nobody signed in at the provider", reason=str(refused))
    await people.note_refused("provider", str(refused), address)
    return RedirectResponse(_FAILED, 303)

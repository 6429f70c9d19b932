"""Where a request comes from: the name it was sent to, the address, the page that made it.

What a proxy in front adds (X-Forwarded-Host, -For, -Proto) is believed only with `behind_proxy`.
"""

import ipaddress
import re

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from monitor.people_tables import Session
from monitor.web.problems import problem

COOKIE = "dripwatch_session"

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{0,5})?", re.ASCII)


class GuardSettings(Struct, frozen=True, kw_only=True):
    """What the guard must know of the server. `hosts` are names (without ports) that it answers to
    besides its own."""

    hosts: frozenset[str] = frozenset()
    is_loopback: bool = True
    behind_proxy: bool = False
    metrics_open: bool = False
    # How long a body may take to come; a page sends it at once.
    body_wait_s: float = 15.0
    # How often an open stream is asked again whether its session or token still holds.
    recheck_s: float = 5.0


class Caller(Struct, frozen=True):
    """Where a request comes from, and by which door. `origin` is ours, as a browser says it."""

    address: str
    host: str
    is_tls: bool
    origin: str

    @property
    def cookie(self) -> str:
        """The name of the session cookie. Under TLS its prefix keeps other hosts from setting it"""
        return f"__Host-{COOKIE}" if self.is_tls else COOKIE


def caller_from(scope: Scope, headers: Headers, settings: GuardSettings) -> Caller:
    """Where a request comes from. Raises Problem for a host that is not ours."""
    said = headers.get("host", "")
    client = scope.get("client")
    address = client[0] if client else ""
    if settings.behind_proxy:
        # The last entry is the one that our own proxy wrote.
        said = last_of(headers, "x-forwarded-host") or said
        address = last_of(headers, "x-forwarded-for") or address
    name = host_name(said)
    if name is None or not is_ours(name, settings):
        text = f"this server does not answer to {said[:100]!r}; start it with --host and that name"
        raise problem("unknown-host", f"{text} if it should")
    is_tls = is_tls_of(scope, headers, settings)
    origin = f"{'https' if is_tls else 'http'}://{said.lower()}"
    return Caller(address[:64], name, is_tls, origin)


def caller_of(request: Request) -> Caller:
    """Where a request comes from."""
    caller = request.scope["state"]["caller"]
    assert isinstance(caller, Caller)
    return caller


def host_name(host: str) -> str | None:
    """The name or address in a Host header, in small letters, without port and brackets.

    None for what is no host.
    """
    match = _HOST.fullmatch(host.strip().lower())
    if match is None:
        return None
    if match[1] is None:
        return match[2].removesuffix(".")
    try:
        return str(ipaddress.IPv6Address(match[1]))
    except ValueError:
        return None


def is_ours(name: str, settings: GuardSettings) -> bool:
    """Whether a server with these settings answers to a host.

    Rebinding needs a name that an attacker's DNS points here. So localhost and the addresses of
    loopback are ours, and the names that the operator gave; off loopback also any plain address,
    which no DNS can point anywhere.
    """
    if name == "localhost" or name in {each.lower() for each in settings.hosts}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not settings.is_loopback or settings.behind_proxy


def check_origin(headers: Headers, caller: Caller) -> None:
    """Raises Problem 403 for a write that does not come from our own page.

    Browsers send Origin with every write, and cannot be made to lie by a page. Where it is missing,
    Sec-Fetch-Site must say the same; a program has neither, and sends a token instead.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    is_same = origin is not None or site is not None
    is_same &= origin is None or origin.lower() == caller.origin
    is_same &= site is None or site == "same-origin"
    if not is_same:
        raise problem(
            "foreign-origin",
            f"a write must come from {caller.origin} itself (Origin, or Sec-Fetch-Site:"
            " same-origin), or carry a token: Authorization: Bearer dw_…",
        )


def session_secret(headers: Headers, caller: Caller) -> str | None:
    """The secret in the session cookie, if there is one."""
    return cookie_parser(headers.get("cookie", "")).get(caller.cookie) or None


def set_session(response: Response, request: Request, session: Session) -> None:
    """Give the browser the cookie of a session that has just begun."""
    caller = caller_of(request)
    response.set_cookie(
        caller.cookie, session.secret, path="/", secure=caller.is_tls, httponly=True,
        samesite="strict",
    )  # fmt: skip


def is_tls_of(scope: Scope, headers: Headers, settings: GuardSettings) -> bool:
    if settings.behind_proxy:
        return (last_of(headers, "x-forwarded-proto") or "https").lower() == "https"
    return bool(scope.get("scheme") == "https")


def last_of(headers: Headers, name: str) -> str:
    values = headers.getlist(name)
    return values[-1].rpartition(",")[2].strip() if values else ""


def bearer_of(headers: Headers) -> str | None:
    """What came as a token; the empty text for an Authorization of another kind."""
    said = headers.get("authorization")
    if said is None:
        return None
    kind, _, token = said.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""

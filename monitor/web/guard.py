"""Who stands at the door: every request passes here before any route sees it.

In this order: is the host one of ours (a name that an attacker points at this machine is not: DNS
rebinding); does a write come from our own page (Origin, Sec-Fetch-Site) or with a token; who is it
(session cookie or bearer token); is the body small JSON. Whoever is not known gets to the sign-in
page and no further. What goes out gets the security headers.

Pure ASGI, because the stream of the page must not be buffered. A stream that is open is asked again
every few seconds whether its session or token still holds, and ends when it does not.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infusion.errors import StoreError
from infusion.units import MS_PER_MINUTE
from monitor.people import IDLE_MS, Person, Right, may, rights_of, roles_with
from monitor.people_store import People
from monitor.web.callers import (
    Caller,
    GuardSettings,
    bearer_of,
    caller_from,
    check_origin,
    is_tls_of,
    session_secret,
)
from monitor.web.problems import Problem, as_problem, problem, problem_response

BODY_MAX = 64 * 1024

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PUBLIC = frozenset({"/health/live", "/health/ready", "/sign-in", "/favicon.ico"})
# Nothing in /static is secret: it is the same on every installation, and the sign-in page needs it.
_PUBLIC_FOLDERS = ("/static/", "/sign-in/", "/problems")
_PROGRAMS = ("/api/", "/metrics")

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = "max-age=31536000"


Handler = Callable[[Request], Awaitable[Response]]


def person_of(request: Request) -> Person:
    """Who asks. Raises Problem 401 for nobody."""
    person = request.scope.get("state", {}).get("person")
    if person is None:
        raise not_signed_in()
    assert isinstance(person, Person)
    return person


def needs(right: Right) -> Callable[[Handler], Handler]:
    """A handler for people with this right only; others get a problem that says who may."""

    def declare(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def guarded(request: Request) -> Response:
            check(person_of(request), right)
            return await handler(request)

        guarded.__dict__["right"] = right
        return guarded

    return declare


def right_of(handler: Any) -> Right | None:
    """The right that a handler declared by `needs`; None for one that asks for none."""
    right: Right | None = getattr(handler, "right", None)
    return right


def check(person: Person, right: Right) -> None:
    """Raises Problem where somebody may not do this: 401 or 403, and a sentence that says why."""
    if may(person, right):
        return
    if right not in rights_of(person.roles):
        who = " or ".join(roles_with(right))
        detail = f"{person.name} may not do this; somebody with the role {who} may"
    elif person.scopes is not None and right not in person.scopes:
        detail = f"this token may not do this; it takes one with the scope {right}"
    else:
        raise sign_in_again()
    raise problem("not-allowed", detail, right=right)


def not_signed_in() -> Problem:
    """The problem of a request from nobody."""
    detail = "sign in at /sign-in, or send a token: Authorization: Bearer dw_…"
    return problem("not-signed-in", detail, {"WWW-Authenticate": "Bearer"})


def sign_in_again() -> Problem:
    """The problem of somebody who wants to act in a session that nobody used for long."""
    minutes = IDLE_MS // MS_PER_MINUTE
    detail = f"nobody used this session for {minutes} min; it still shows all, to act sign in again"
    return problem("sign-in-again", detail)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, people: People, settings: GuardSettings) -> None:
        # What is behind the door.
        self.app = app
        self._people = people
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            # The page has no web sockets.
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"]
        is_tls = is_tls_of(scope, Headers(scope=scope), self._settings)
        outgoing = _with_headers(send, path, is_tls=is_tls and not self._settings.is_loopback)
        try:
            passage = await self._let_in(scope, receive)
        except (Problem, StoreError) as error:
            await problem_response(as_problem(error), scope)(scope, receive, outgoing)
            return
        if isinstance(passage, Response):
            await passage(scope, receive, outgoing)
            return
        inner = _Passage(receive, outgoing, passage, self._settings.recheck_s)
        await self.app(passage.scope, inner.receive, inner.send)

    async def _let_in(self, scope: Scope, receive: Receive) -> "_Admitted | Response":
        headers = Headers(scope=scope)
        caller = caller_from(scope, headers, self._settings)
        is_write = scope["method"] not in _READS
        bearer = bearer_of(headers)
        if is_write and bearer is None:
            check_origin(headers, caller)
        find = self._who(headers, caller, bearer)
        is_stream = "text/event-stream" in headers.get("accept", "")
        person = await find(not is_stream)
        if person is None and (bearer is not None or not self._is_public(scope)):
            if bearer is None and not is_write and not scope["path"].startswith(_PROGRAMS):
                return RedirectResponse(f"/sign-in?next={_asked(scope)}", 303)
            raise not_signed_in()
        body = await _body(headers, receive, self._settings.body_wait_s) if is_write else None
        state = {**scope.get("state", {}), "person": person, "caller": caller}
        return _Admitted({**scope, "state": state}, body, (lambda: find(False)) if person else None)

    def _is_public(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path == "/metrics":
            return self._settings.metrics_open
        if path == "/api/v1/session":
            return bool(scope["method"] == "POST")
        return path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS)

    def _who(
        self, headers: Headers, caller: Caller, bearer: str | None
    ) -> Callable[[bool], Awaitable[Person | None]]:
        """What finds out who it is, now and again later; its argument: whether it counts as use."""

        async def nobody(_is_use: bool) -> None:
            return None

        if bearer is not None:
            return lambda _is_use: self._people.of_token(bearer)
        secret = session_secret(headers, caller)
        if secret is None:
            return nobody
        return lambda is_use: self._people.of_session(secret, is_use=is_use)


class _Admitted(Struct):
    scope: Scope
    body: bytes | None
    # Asks again who it is; None where nobody is signed in.
    still_holds: Callable[[], Awaitable[Person | None]] | None


class _Passage:
    """Receive and send of a request that was let in: its body, which was read here, and an end to
    its answer when the credential that let it in holds no more."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        admitted: _Admitted,
        recheck_s: float,
    ) -> None:
        self._receive = receive
        self._send = send
        self._body = admitted.body
        self._still_holds = admitted.still_holds
        self._recheck_s = recheck_s
        self._checked_s = time.monotonic()
        self._ended = asyncio.Event()

    async def receive(self) -> Message:
        """The body once, then what really comes, or that it is over."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        ended = asyncio.ensure_future(self._ended.wait())
        coming = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait({ended, coming}, return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else {"type": "http.disconnect"}
        finally:
            ended.cancel()
            coming.cancel()

    async def send(self, message: Message) -> None:
        """Send on, unless it is over."""
        if self._ended.is_set():
            return
        if message.get("more_body") and not await self._holds():
            self._ended.set()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _holds(self) -> bool:
        now = time.monotonic()
        if self._still_holds is None or now - self._checked_s < self._recheck_s:
            return True
        self._checked_s = now
        return await self._still_holds() is not None


def _asked(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return quote(scope["path"] + (f"?{query}" if query else ""), safe="")


# --- bodies and headers --------------------------------------------------------------------------


async def _body(headers: Headers, receive: Receive, wait_s: float) -> bytes:
    """The whole body of a write. Raises Problem for one that is too large, slow, or no JSON."""
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > BODY_MAX:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(wait_s):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > BODY_MAX:
                    raise _too_large()
                more = message.get("more_body", False)
    except TimeoutError:
        raise problem("too-slow", f"the body did not come within {wait_s:g} s") from None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if size and kind != "application/json":
        raise problem("not-json", "send a JSON body, with Content-Type: application/json")
    return b"".join(parts)


def _too_large() -> Problem:
    return problem("too-large", f"the body is larger than {BODY_MAX} bytes; none needs to be")


def _with_headers(send: Send, path: str, *, is_tls: bool) -> Send:
    """Add the security headers to whatever is answered."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if not path.startswith("/static/"):
                headers["Cache-Control"] = "no-store"
            if is_tls:
                headers.setdefault("Strict-Transport-Security", HSTS)
        await send(message)

    return sending

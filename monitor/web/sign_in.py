"""Signing in and out, and looking after people: the routes that are about persons.

A one-time link leads to a page with a button, and only the button uses it up: what looks at links
by itself (a chat's preview, a mail scanner) sends GET and leaves it as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from infusion.errors import ConfigError
from infusion.units import MS_PER_SECOND
from monitor.people import (
    ALL_RIGHTS,
    ALL_ROLES,
    LINK_MINUTES,
    TOKEN_DAYS,
    How,
    Person,
    PersonName,
    Right,
    Role,
)
from monitor.people_store import People, Refusal, Token, User
from monitor.web import oidc
from monitor.web.callers import caller_of, session_secret, set_session
from monitor.web.guard import needs, person_of, sign_in_again
from monitor.web.oidc import Provider
from monitor.web.problems import Problem, as_problem, problem

STATIC = Path(__file__).parent / "static"
LIST_MAX = 16

_LINK_OVER = "/sign-in?why=link"

T = TypeVar("T", bound=Struct)

# A password may be typed in more characters than are kept once they are composed.
PasswordText = Annotated[str, Meta(max_length=1_024)]
Words = Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=LIST_MAX)]


class Credentials(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody signs in with."""

    name: Annotated[str, Meta(max_length=64)]
    password: PasswordText


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of one's own password."""

    old: PasswordText
    new: PasswordText


class NewUser(Struct, frozen=True, forbid_unknown_fields=True):
    """A user to be added."""

    name: PersonName
    roles: Words
    password: PasswordText


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """A token to be issued."""

    scopes: Words
    days: int = TOKEN_DAYS
    note: Annotated[str, Meta(max_length=80)] = ""


class IssuedToken(Struct, frozen=True):
    """A token that was just issued; `text` is shown this once."""

    text: str
    token: Token


class Me(Struct, frozen=True):
    """Who asks, and what they may do now. `expires_ms` is Unix ms."""

    name: str
    roles: list[Role]
    rights: list[Right]
    how: How
    is_idle: bool
    expires_ms: int


class UserList(Struct, frozen=True):
    """All users, by name."""

    items: list[User]


class TokenList(Struct, frozen=True):
    """One's own tokens, oldest first."""

    items: list[Token]


def link_path(secret: str) -> str:
    """The path of a one-time link."""
    return f"/sign-in/link/{secret}"


async def make_link(
    people: People, url: str, name: str, roles: list[Role], minutes: int = LINK_MINUTES
) -> str:
    """The address of a one-time link at a page whose own address is `url`. Raises ConfigError."""
    return url.rstrip("/") + link_path(await people.make_link(name, roles, minutes))


def routes(people: People, provider: Provider | None = None) -> list[BaseRoute]:
    """The routes about persons; with a provider also the way to it."""
    return [
        *_session_routes(people, has_provider=provider is not None),
        *(oidc.routes(people, provider) if provider is not None else ()),
        *_link_routes(people),
        *_people_routes(people),
        *_token_routes(people),
    ]


def _session_routes(people: People, *, has_provider: bool) -> list[BaseRoute]:
    html = (STATIC / "sign-in.html").read_text(encoding="utf-8")
    if has_provider:
        html = html.replace('<p id="provider" hidden>', '<p id="provider">')

    async def page(_request: Request) -> Response:
        return HTMLResponse(html)

    async def sign_in(request: Request) -> Response:
        given = await read_body(request, Credentials)
        caller = caller_of(request)
        old = session_secret(request.headers, caller)
        result = await people.sign_in(given.name, given.password, caller.address, old=old)
        if isinstance(result, Refusal):
            detail = "the name or the password is wrong, or the user is disabled"
            raise _refusal(result, problem("wrong-password", detail))
        response = Response(status_code=204)
        set_session(response, request, result)
        return response

    async def sign_out(request: Request) -> Response:
        person = person_of(request)
        no_token(person)
        caller = caller_of(request)
        await people.sign_out(person, caller.address)
        response = Response(status_code=204)
        response.delete_cookie(
            caller.cookie, path="/", secure=caller.is_tls, httponly=True, samesite="strict"
        )
        return response

    async def me(request: Request) -> Response:
        person = person_of(request)
        return json_answer(
            Me(
                name=person.name,
                roles=[role for role in ALL_ROLES if role in person.roles],
                rights=[right for right in ALL_RIGHTS if right in person.rights],
                how=person.how,
                is_idle=person.is_idle,
                expires_ms=person.expires_ms,
            )
        )

    async def change_password(request: Request) -> Response:
        person = _user_here(request)
        given = await read_body(request, NewPassword)
        with told():
            refusal = await people.change_password(
                person, given.old, given.new, caller_of(request).address
            )
        if refusal is not None:
            detail = "the old password is wrong; nothing was changed"
            raise _refusal(refusal, problem("wrong-old-password", detail))
        return Response(status_code=204)

    return [
        Route("/sign-in", page, methods=["GET"]),
        Route("/api/v1/session", sign_in, methods=["POST"]),
        Route("/api/v1/session", sign_out, methods=["DELETE"]),
        Route("/api/v1/me", me, methods=["GET"]),
        Route("/api/v1/me/password", change_password, methods=["POST"]),
    ]


def _link_routes(people: People) -> list[BaseRoute]:
    async def show(request: Request) -> Response:
        if not await people.is_link(request.path_params["secret"]):
            return RedirectResponse(_LINK_OVER, 303)
        return FileResponse(STATIC / "sign-in-link.html")

    async def use(request: Request) -> Response:
        caller = caller_of(request)
        old = session_secret(request.headers, caller)
        secret = request.path_params["secret"]
        session = await people.use_link(secret, caller.address, old=old)
        if session is None:
            await people.note_refused("link", "a link that is used or too old", caller.address)
            return RedirectResponse(_LINK_OVER, 303)
        response = RedirectResponse("/", 303)
        set_session(response, request, session)
        return response

    return [
        Route("/sign-in/link/{secret}", show, methods=["GET"]),
        Route("/sign-in/link/{secret}", use, methods=["POST"]),
    ]


def _people_routes(people: People) -> list[BaseRoute]:
    @needs("people")
    async def show(_request: Request) -> Response:
        return json_answer(UserList(await people.users()))

    @needs("people")
    async def add(request: Request) -> Response:
        person = person_of(request)
        # A token that leaked must not be able to make itself an account.
        no_token(person)
        given = await read_body(request, NewUser)
        with told():
            user = await people.add(
                given.name,
                given.roles,
                given.password,
                person.name,
                address=caller_of(request).address,
            )
        return json_answer(user, 201)

    async def turn(request: Request, is_disabled: bool) -> Response:
        person = person_of(request)
        name: str = request.path_params["name"]
        if is_disabled and name.casefold() == person.name.casefold():
            raise problem("refused", "nobody disables themselves; another administrator can")
        if not any(user.name.casefold() == name.casefold() for user in await people.users()):
            raise problem("unknown-person", f"there is no user {name[:64]!r}")
        address = caller_of(request).address
        return json_answer(
            await people.set_disabled(name, is_disabled, person.name, address=address)
        )

    @needs("people")
    async def disable(request: Request) -> Response:
        return await turn(request, True)

    @needs("people")
    async def enable(request: Request) -> Response:
        return await turn(request, False)

    return [
        Route("/api/v1/people", show, methods=["GET"]),
        Route("/api/v1/people", add, methods=["POST"]),
        Route("/api/v1/people/{name}/disable", disable, methods=["POST"]),
        Route("/api/v1/people/{name}/enable", enable, methods=["POST"]),
    ]


def _token_routes(people: People) -> list[BaseRoute]:
    async def show(request: Request) -> Response:
        return json_answer(TokenList(await people.tokens(person_of(request).name)))

    async def issue(request: Request) -> Response:
        person = _user_here(request)
        given = await read_body(request, NewToken)
        with told():
            text, token = await people.issue_token(
                person.name,
                given.scopes,
                given.days,
                person.name,
                note=given.note,
                address=caller_of(request).address,
            )
        return json_answer(IssuedToken(text, token), 201)

    async def revoke(request: Request) -> Response:
        person = _user_here(request)
        address = caller_of(request).address
        number: str = request.path_params["id"]
        try:
            await people.revoke(number, person.name, owner=person.name, address=address)
        except ConfigError:
            detail = f"you have no token {number[:64]!r}; GET /api/v1/tokens lists yours"
            raise problem("unknown-token", detail) from None
        return Response(status_code=204)

    return [
        Route("/api/v1/tokens", show, methods=["GET"]),
        Route("/api/v1/tokens", issue, methods=["POST"]),
        Route("/api/v1/tokens/{id}", revoke, methods=["DELETE"]),
    ]


def _user_here(request: Request) -> Person:
    """A user who is here in person and not long gone. Raises Problem for others."""
    person = person_of(request)
    no_token(person)
    if person.how == "link":
        detail = "a one-time link has neither password nor tokens; `dripwatch user add` makes users"
        raise problem("not-allowed", detail)
    if person.is_idle:
        raise sign_in_again()
    return person


def no_token(person: Person) -> None:
    """Raises Problem for a program: this takes somebody who is here in person."""
    if person.how == "token":
        detail = "a token may not do this; sign in with a name and a password"
        raise problem("not-allowed", detail)


async def read_body(request: Request, kind: type[T]) -> T:
    """The body as a Struct. Raises Problem that says what is wrong with it."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise as_problem(error, kind.__struct_fields__) from None


def json_answer(value: Struct, status: int = 200) -> Response:
    """A Struct as an answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


@contextmanager
def told() -> Iterator[None]:
    """What people can mend, as a problem."""
    try:
        yield
    except ConfigError as error:
        raise problem("refused", str(error)) from None


def _refusal(refusal: Refusal, wrong: Problem) -> Problem:
    """What a try that failed is told: `wrong`, or how long to wait. Never which names there are."""
    if refusal.why == "wrong":
        return wrong
    seconds = -(-refusal.wait_ms // MS_PER_SECOND)
    detail = f"too many tries; the next one is looked at in {seconds} s"
    if refusal.why == "busy":
        detail = f"many people are signing in right now; try again in {seconds} s"
    headers = {"Retry-After": str(seconds)}
    return problem("too-many-attempts", detail, headers, retry_after_s=seconds)

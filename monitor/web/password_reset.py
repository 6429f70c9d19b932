"""A new password for somebody who has lost theirs: an administrator makes a link, they set it.

The administrator never knows the new password. The old one is over with the link, whether somebody
lost it or somebody else found it.
"""

import html
from string import Template
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from monitor.people_store import People
from monitor.web.callers import caller_of, session_secret, set_session
from monitor.web.guard import needs, person_of
from monitor.web.problems import problem
from monitor.web.sign_in import STATIC, PasswordText, json_answer, no_token, read_body, told

PATH = "/sign-in/reset/{secret}"
_OVER = "/sign-in?why=link"


class ResetLink(Struct, frozen=True):
    """Where somebody sets a new password, once; a path on this server. `expires_ms` is Unix ms."""

    path: Annotated[str, Meta(max_length=256)]
    expires_ms: int


class ResetPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """The new password."""

    password: PasswordText


def routes(people: People) -> list[BaseRoute]:
    """The administrator's side, and the page that a link leads to."""
    page = Template((STATIC / "reset.html").read_text(encoding="utf-8"))

    @needs("people")
    async def begin(request: Request) -> Response:
        person = person_of(request)
        no_token(person)
        name: str = request.path_params["name"]
        if name.casefold() == person.name.casefold():
            raise problem("refused", "change your own password by giving the old one")
        if not any(user.name.casefold() == name.casefold() for user in await people.users()):
            raise problem("unknown-person", f"there is no user {name[:64]!r}")
        with told():
            secret, until_ms = await people.begin_reset(
                name, person.name, caller_of(request).address
            )
        return json_answer(ResetLink(PATH.format(secret=secret), until_ms), 201)

    async def show(request: Request) -> Response:
        name = await people.reset_of(request.path_params["secret"])
        if name is None:
            return RedirectResponse(_OVER, 303)
        return HTMLResponse(page.substitute(name=html.escape(name)))

    async def end(request: Request) -> Response:
        given = await read_body(request, ResetPassword)
        caller = caller_of(request)
        old = session_secret(request.headers, caller)
        secret = request.path_params["secret"]
        with told():
            session = await people.end_reset(secret, given.password, caller.address, old=old)
        if session is None:
            await people.note_refused("link", "a link that is used or too old", caller.address)
            detail = "this link was used already, or is too old; ask an administrator for a new one"
            raise problem("refused", detail)
        response = Response(status_code=204)
        set_session(response, request, session)
        return response

    return [
        Route("/api/v1/people/{name}/reset", begin, methods=["POST"]),
        Route(PATH, show, methods=["GET"]),
        Route(PATH, end, methods=["POST"]),
    ]

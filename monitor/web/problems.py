"""What goes wrong, as RFC 9457 problems: one table of them, and how errors become one.

A title says what sort of thing went wrong, the detail what it was this time and what would be
right. Both are sentences for people: a page shows the detail as it is. Nothing of the inside gets
out: what nobody expected is logged, and answered without its text.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from infusion.errors import DripwatchError, LinkError, MessageError, StoreError
from infusion.tables import nearest
from monitor.web.problem_page import problem_page, wants_page

log = structlog.get_logger()

CONTENT_TYPE = "application/problem+json"
PATH = "/problems"
# How long a program may wait before it tries again what could not be done for want of room.
RETRY_S = 2


class Known(Struct, frozen=True):
    """One sort of problem: its status, its title, and a sentence that explains it."""

    status: int
    title: str
    meaning: str


PROBLEMS: Mapping[str, Known] = {
    "not-found": Known(404, "There is nothing here", "The path names nothing that there is."),
    "wrong-method": Known(
        405, "This cannot be done here", "The path is right, the method is not; see Allow."
    ),
    "wrong-request": Known(
        400, "The request cannot be read", "It is not valid HTTP or JSON; the detail says why."
    ),
    "wrong-field": Known(
        400,
        "A field is wrong",
        "A field of the body, the query or the path is missing, unknown or out of its bounds; the"
        " detail names it and says what would be right.",
    ),
    "not-signed-in": Known(
        401, "Nobody is signed in", "Sign in on the page, or send a token: Authorization: Bearer …."
    ),
    "sign-in-again": Known(
        401,
        "Sign in again to act",
        "Nobody used this session for long: it still shows everything, and does nothing any more.",
    ),
    "wrong-password": Known(
        401, "Not signed in", "The name or the password is wrong, or the user is disabled."
    ),
    "wrong-old-password": Known(403, "The old password is wrong", "Give the one in force."),
    "not-allowed": Known(
        403, "You may not do this", "Your roles, or your token's scopes, do not have this right."
    ),
    "same-person": Known(
        403,
        "A second person must confirm it",
        "An order is confirmed by another person than the one who proposed it: that is what an"
        " independent double check is.",
    ),
    "foreign-origin": Known(
        403,
        "The request came from another site",
        "A write by a session must come from this page itself; a program uses a token.",
    ),
    "unknown-person": Known(404, "There is no such person", "No user has this name."),
    "unknown-token": Known(404, "There is no such token", "You have no token with this id."),
    "unknown-pump": Known(404, "There is no such pump", "No monitor has heard of this pump."),
    "unknown-alert": Known(
        404, "There is no such alert", "No alert of this id is open, and none is in the history."
    ),
    "unknown-therapy": Known(
        404, "There is no such therapy", "No order, result or report of this therapy has come."
    ),
    "unknown-proposal": Known(
        404, "There is no such proposal", "Nobody proposed an order under this id."
    ),
    "too-slow": Known(408, "The body came too slowly", "Send the whole body at once."),
    "late": Known(
        409,
        "Somebody was first",
        "Somebody else, or time, was first; the detail says who and when. Look again.",
    ),
    "act-known": Known(
        409,
        "This act was done before",
        "An act of this name is stored already, of another person or for another alert; give a"
        " new name.",
    ),
    "order-changed": Known(
        409,
        "The order in force is another one now",
        "The order was proposed against one that is in force no more; look at the new one and"
        " propose again.",
    ),
    "proposal-closed": Known(
        409,
        "The proposal is closed",
        "It was confirmed, rejected or has expired already; the detail says by whom and when.",
    ),
    "too-many-proposals": Known(
        409,
        "Too many proposals wait",
        "So many proposals of this therapy wait already that another would hide them; decide on"
        " those first.",
    ),
    "cursor-over": Known(
        410,
        "The pages are no longer kept",
        "A walk through pages is kept for a while only; begin again without a cursor.",
    ),
    "too-large": Known(413, "The body is too large", "A body has at most 64 KiB."),
    "not-json": Known(
        415, "The body is not JSON", "Send Content-Type: application/json and a JSON object."
    ),
    "unknown-host": Known(
        421,
        "Not a name of this server",
        "The server answers to its own address and to the names it was started with.",
    ),
    "refused": Known(
        422,
        "It cannot be done",
        "The request is well formed and still cannot be done; the detail says why and what can.",
    ),
    "too-many-attempts": Known(
        429, "Too many attempts", "Wait as long as Retry-After says, then try again."
    ),
    "unexpected": Known(
        500, "Something went wrong inside", "It is in the monitor's log; nothing was changed by it."
    ),
    "busy": Known(503, "Too much is waiting", "Try again after as long as Retry-After says."),
    "store-failed": Known(
        503, "The store failed", "The monitor's store could not keep or give back what it must."
    ),
    "not-ready": Known(
        503, "The monitor is not ready", "It is starting or ending; try again in a moment."
    ),
}


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """Raise it to answer with a problem. `extra` are further members, `headers` of the answer."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


def problem(
    slug: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
) -> Problem:
    """A problem out of the table, with what it was this time. Raises KeyError for none of it."""
    known = PROBLEMS[slug]
    return Problem(known.status, slug, known.title, detail, extra, headers)


def problem_response(found: Problem, scope: Scope) -> Response:
    """A problem as an answer to a request: as JSON, or as a page for a browser that wants one."""
    if wants_page(scope):
        return problem_page(found.title, found.detail, found.status, found.headers)
    content: dict[str, Any] = {
        "type": f"{PATH}/{found.slug}",
        "title": found.title,
        "status": found.status,
        "detail": found.detail,
        "instance": scope["path"],
    }
    body = msgspec.json.encode(content | found.extra)
    return Response(body, found.status, found.headers, media_type=CONTENT_TYPE)


# --- errors --------------------------------------------------------------------------------------

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?P<place>[^`]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_WORD = re.compile(r"Invalid (?:enum )?value '(?P<word>.*)'", re.DOTALL)
_QUOTED = re.compile(r"`([^`]*)`")
_PATTERN = re.compile(r"matching regex '(.*)'", re.DOTALL)
NAME_WORDS = "of 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit"
# What JSON calls a type, and what people do.
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object with fields",
    "null": "nothing",
    "object | null": "an object with fields, or nothing",
    "int | null": "a whole number",
    "float | null": "a number",
    "str | null": "text",
    "bool | null": "true or false",
}
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)


def as_problem(error: Exception, fields: Collection[str] = (), *, noun: str = "field") -> Problem:
    """The problem that an error is.

    `fields` are those that the body or query has, to say what would be right; as a mapping they
    come with the words that each takes, if it takes no others. What is wrong is called by the noun.
    What nobody expected is logged, and its text is kept inside.
    """
    if isinstance(error, msgspec.ValidationError):
        return _of_validation(error, fields, noun)
    for kind, translate in _TRANSLATIONS.items():
        if isinstance(error, kind):
            return translate(error)
    log.error("unexpected error in an answer", exc_info=error)
    return problem("unexpected", "something went wrong inside; the monitor's log says what")


def _of_problem(error: Any) -> Problem:
    assert isinstance(error, Problem)
    return error


def _of_validation(error: msgspec.ValidationError, fields: Collection[str], noun: str) -> Problem:
    """A field that is wrong: where, and what would be right, in words."""
    match = _PLACE.fullmatch(str(error))
    assert match is not None, "the pattern takes any text"
    what, place = match["what"], _field(match["place"] or "$")
    missing, unknown = _MISSING.fullmatch(what), _UNKNOWN.fullmatch(what)
    if missing is not None:
        name = _joined(place, missing["name"])
        return problem("wrong-field", f"the {noun} {name!r} is missing; give it", field=name)
    if unknown is not None:
        name = _joined(place, unknown["name"][:64])
        hint = f"; {nearest(unknown['name'], fields)}" if fields and not place else ""
        return problem("wrong-field", f"there is no {noun} {name!r}{hint}", field=name)
    word = _WORD.fullmatch(what)
    words: Collection[str] = fields.get(place, ()) if isinstance(fields, Mapping) else ()
    if word is not None and words:
        hint = nearest(word["word"], words)
        detail = f"the {noun} {place!r}: {word['word'][:64]!r} is no word for it; {hint}"
        return problem("wrong-field", detail, field=place)
    what = _PATTERN.sub(_like, what)
    what = _QUOTED.sub(lambda found: _TYPES.get(found[1], found[1]), what)
    what = what[:1].lower() + what[1:]
    if not place:
        return problem("wrong-field", f"the body: {what}")
    return problem("wrong-field", f"the {noun} {place!r}: {what}", field=place)


def _like(match: re.Match[str]) -> str:
    """What a text must be like that a pattern asks for."""
    parts = match[1].count("/")
    if not match[1].startswith(("^[A-Za-z0-9]", "^$|^[A-Za-z0-9]")):
        return f"like {match[1]}"
    names = {1: "site/pump", 3: "site/pump/rule/onset, the id of an alert"}
    return f"like {names[parts]}" if parts in names else NAME_WORDS


def _field(place: str) -> str:
    """`$.steps[0].at_ms` as `steps[0].at_ms`; the whole thing is an empty name."""
    return place.removeprefix("$").removeprefix(".")


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _of_decoding(error: Any) -> Problem:
    return problem("wrong-request", f"the body is not valid JSON: {error}")


def _of_recursion(_error: Any) -> Problem:
    return problem("wrong-request", "the body is nested too deeply")


def _of_message(error: Any) -> Problem:
    assert isinstance(error, MessageError)
    if error.kind == "busy":
        return problem("busy", str(error), {"Retry-After": str(RETRY_S)})
    return problem("refused", str(error), kind=error.kind)


def _of_store(error: Any) -> Problem:
    # The text names the file, which is nobody's business on the page.
    log.error("the store failed in an answer", error=str(error))
    detail = "the store of the monitor failed; its log says why. Nothing was done"
    return problem("store-failed", detail, {"Retry-After": str(RETRY_S)})


def _of_ending(error: Any) -> Problem:
    log.warning("the monitor ended before an answer", error=str(error))
    detail = "the monitor is ending; look whether it was done when it is back"
    return problem("not-ready", detail, {"Retry-After": str(RETRY_S)})


def _of_http(error: Any) -> Problem:
    assert isinstance(error, HTTPException)
    status = error.status_code
    slug = {404: "not-found", 405: "wrong-method", 413: "too-large", 415: "not-json"}.get(status)
    headers = error.headers
    if slug == "wrong-method":
        allowed = (headers or {}).get("Allow", "")
        return problem(slug, f"this path takes {allowed or 'another method'}", headers)
    if slug is not None:
        return problem(slug, PROBLEMS[slug].meaning, headers)
    title = HTTPStatus(status).phrase
    slug = "wrong-request" if status < 500 else "unexpected"
    return Problem(status, slug, title, f"{error.detail or title}", headers=headers)


_TRANSLATIONS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: _of_problem,
    msgspec.DecodeError: _of_decoding,
    UnicodeError: _of_decoding,
    RecursionError: _of_recursion,
    MessageError: _of_message,
    StoreError: _of_store,
    LinkError: _of_ending,
    HTTPException: _of_http,
}

Handler = Callable[[Request, Exception], Awaitable[Response]]


def exception_handlers() -> dict[Any, Handler]:
    """What `Starlette(exception_handlers=…)` is given, so that every error is a problem."""
    kinds = (Problem, HTTPException, msgspec.DecodeError, DripwatchError, Exception)
    return dict.fromkeys(kinds, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        error = HTTPException(405, headers={"Allow": ", ".join(_allowed(request))})
    return problem_response(as_problem(error), request.scope)


def _allowed(request: Request) -> list[str]:
    """The methods that a path takes: of all its routes, while each knows its own only."""
    matching = (
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return sorted({method for route in matching for method in route.methods or ()})


# --- what each means -----------------------------------------------------------------------------


def routes() -> list[BaseRoute]:
    """`/problems` and `/problems/{slug}`: what each problem means, in a sentence."""
    return [Route(PATH, _explain_all), Route(f"{PATH}/{{slug}}", _explain)]


async def _explain(request: Request) -> Response:
    slug = request.path_params["slug"]
    known = PROBLEMS.get(slug)
    if known is None:
        raise problem("not-found", f"there is no problem {slug[:64]!r}; {nearest(slug, PROBLEMS)}")
    return PlainTextResponse(f"{known.title} ({known.status}). {known.meaning}\n")


async def _explain_all(_request: Request) -> Response:
    lines = (f"{slug} ({known.status}): {known.meaning}\n" for slug, known in PROBLEMS.items())
    return PlainTextResponse("".join(lines))

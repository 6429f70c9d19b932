"""What goes wrong, as RFC 9457 problems."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response


class Known(Struct, frozen=True):
    """One sort of problem: its status, its title, and a sentence that explains it."""

    status: int
    title: str
    meaning: str


PROBLEMS: Mapping[str, Known] = {
    "wrong-request": Known(400, "The request cannot be read", "The detail says why."),
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
    "foreign-origin": Known(
        403,
        "The request came from another site",
        "A write by a session must come from this page itself; a program uses a token.",
    ),
    "unknown-person": Known(404, "There is no such person", "No user has this name."),
    "unknown-token": Known(404, "There is no such token", "You have no token with this id."),
    "too-slow": Known(408, "The body came too slowly", "Send the whole body at once."),
    "too-large": Known(413, "The body is too large", "A body has at most 64 KiB."),
    "not-json": Known(
        415, "The body is not JSON", "Send Content-Type: application/json and a JSON object."
    ),
    "unknown-host": Known(
        421,
        "Not a name of this server",
        "The server answers to its own address and to the names it was started with.",
    ),
    "refused": Known(422, "It cannot be done", "The detail says why and what can."),
    "too-many-attempts": Known(
        429, "Too many attempts", "Wait as long as Retry-After says, then try again."
    ),
    "store-failed": Known(
        503, "The store failed", "The monitor's store could not keep or give back what it must."
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


def problem_response(found: Problem, instance: str = "") -> Response:
    """A problem as an answer; `instance` is the path that was asked for."""
    content = {
        "type": f"/problems/{found.slug}",
        "title": found.title,
        "status": found.status,
        "detail": found.detail,
        **({"instance": instance} if instance else {}),
    }
    body = msgspec.json.encode(content | found.extra)
    return Response(body, found.status, found.headers, media_type="application/problem+json")

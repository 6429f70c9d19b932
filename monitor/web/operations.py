"""What the API can do, as a table: one `Operation` is a method and a path, who may, what is given
and what is answered. The routes are built from it, and so is the OpenAPI document
(monitor/web/openapi.py), so the two cannot differ.

What is given is one Struct: the query of a read, the body of a write. What is wrong with it is
said by name, and what nobody knows is refused with the nearest name that is known.
"""

import inspect
import re
import types
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from infusion.prescription import NAME_PATTERN, Name
from infusion.tables import nearest
from monitor.people import Person, Right
from monitor.web.guard import needs, person_of
from monitor.web.problems import NAME_WORDS, as_problem, problem

PREFIX = "/api/v1"
JSON = "application/json"
# A name in a cursor, a key or a search text is never longer.
TEXT_MAX = 200
# Up to here every whole number is a float of its own.
WHOLE_MAX = 2**53

GivenT = TypeVar("GivenT", bound=Struct)
Method = Literal["GET", "POST", "DELETE"]

# What may stand in a path, by the name of its place.
PATH_TYPES: Mapping[str, Any] = {
    "site": Name,
    "pump": Name,
    "therapy": Name,
    "rule": Name,
    "onset_ms": Annotated[str, Meta(pattern=r"^[0-9]{1,16}$")],
    "id": Name,
    "name": Name,
}
# Problems of any operation that somebody must be signed in for, of those that read parameters or
# path, and of those that write.
_ALWAYS = ("not-signed-in", "not-allowed", "unknown-host", "not-ready")
_WITH_FIELDS = ("wrong-field",)
_WRITING = (
    "foreign-origin",
    "sign-in-again",
    "too-slow",
    "too-large",
    "not-json",
    "wrong-request",
    "wrong-field",
    "busy",
    "store-failed",
)


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters, or an empty body."""


@dataclass(frozen=True)
class Call(Generic[GivenT]):
    """One request to an operation: who asks, the names in the path, and what is given."""

    person: Person
    path: Mapping[str, str]
    given: GivenT


class Operation(Struct, frozen=True, kw_only=True):
    """One thing that the API can do.

    `handler` takes what the operations of one table share (monitor/web/api/office.py) and a `Call`;
    its name is the operation's id, its docstring tells what it does. One whose route is another
    module's has no handler but `called` and `about` (monitor/web/api/elsewhere.py). `answer` is the
    type of what is returned, None for an answer without a body. `problems` are those beside the
    usual ones. `right` None is for everybody, signed in or not; `oneself` for whoever is signed in.
    """

    method: Method
    path: str
    handler: Callable[..., Any] | None = None
    called: str = ""
    about: str = ""
    answer: Any = None
    right: Right | Literal["oneself"] | None = "read"
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    status: int = 200
    problems: tuple[str, ...] = ()
    answer_type: str = JSON
    # A status that says no without being a problem, with the same answer.
    also: int | None = None
    # Structs that the answer's text is made of, where JSON is not all of it.
    mentions: tuple[type[Struct], ...] = ()

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.called or getattr(self.handler, "__name__", "")

    @property
    def text(self) -> str:
        """What it does: a sentence, an empty line, more."""
        return self.about or inspect.getdoc(self.handler) or ""

    @property
    def places(self) -> list[str]:
        """The names in the path, in order."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def is_write(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"

    def all_problems(self) -> list[str]:
        """The slugs of every problem that it may answer with, each once."""
        found = [*self.problems]
        if self.right is not None:
            found += _ALWAYS
        if self.query is not None or self.body is not None or not self.is_write:
            found += _WITH_FIELDS
        if self.places:
            found.append("not-found")
        if self.is_write:
            found += _WRITING
        return list(dict.fromkeys(found))


Ready = Callable[[], bool]


def build_routes(
    operations: Iterable[Operation], shared: object, is_ready: Ready
) -> list[BaseRoute]:
    """A route for each operation. Until `is_ready` all of them answer the problem `not-ready`.

    Two of one path would need one route, for the answer to a method that neither takes.
    """
    listed = [each for each in operations if each.handler is not None]
    assert len({each.path for each in listed}) == len(listed), "each path has one method"
    return [
        Route(each.path, _endpoint(each, shared, is_ready), methods=[each.method])
        for each in listed
    ]


def _endpoint(
    operation: Operation, shared: object, is_ready: Ready
) -> Callable[[Request], Awaitable[Response]]:
    handler = operation.handler
    assert handler is not None, "one without a handler has its route elsewhere"

    async def endpoint(request: Request) -> Response:
        if not is_ready():
            raise problem(
                "not-ready",
                "the monitor is resuming its state; try again in a moment",
                {"Retry-After": "2"},
            )
        given = await _given(operation, request)
        call = Call(person_of(request), read_path(request.path_params), given)
        answer = await handler(shared, call)
        if operation.answer is None:
            return Response(status_code=operation.status)
        return Response(msgspec.json.encode(answer), operation.status, media_type=JSON)

    if operation.right is None or operation.right == "oneself":
        return endpoint
    return needs(operation.right)(endpoint)


async def _given(operation: Operation, request: Request) -> Struct:
    """The query of a read, the body of a write. Raises Problem."""
    query = operation.query or Nothing
    given = read_query(query, request.query_params.multi_items())
    if operation.body is None:
        return given
    return read_body(operation.body, await request.body() or b"{}")


# --- reading what is given -----------------------------------------------------------------------


def read_path(found: Mapping[str, Any]) -> dict[str, str]:
    """The names in a path. Raises Problem 404 for what can be no name."""
    for place, text in found.items():
        try:
            msgspec.convert(text, PATH_TYPES[place])
        except msgspec.ValidationError:
            like = "made of digits" if place == "onset_ms" else NAME_WORDS
            detail = f"{text[:64]!r} can be no {place}; one is {like}"
            raise problem("not-found", detail) from None
    return dict(found)


def read_body(kind: type[GivenT], body: bytes) -> GivenT:
    """A JSON body. Raises Problem that names the field and what would be right."""
    try:
        return msgspec.convert(_whole(msgspec.json.decode(body)), kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise as_problem(error, words_of(kind)) from None


def _whole(value: Any) -> Any:
    """5.0 as 5: JSON has one sort of number, and some programs write every one with a point."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= WHOLE_MAX else value
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return value


def read_query(kind: type[GivenT], pairs: Sequence[tuple[str, str]]) -> GivenT:
    """Query parameters as a Struct. Raises Problem that names the parameter.

    Numbers and true or false are written as in JSON; anything else is text.
    """
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name, text in pairs:
        if name not in fields:
            raise _wrong(name, f"there is no parameter {name[:64]!r}; {_known(name, fields)}")
        if name in values:
            raise _wrong(name, f"the parameter {name!r} is given twice; give it once")
        values[name] = _value(text, fields[name])
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise as_problem(error, words_of(kind), noun="parameter") from None


def _wrong(name: str, detail: str) -> Exception:
    return problem("wrong-field", detail, field=name[:64])


def _known(name: str, fields: Mapping[str, Any]) -> str:
    return nearest(name, fields) if fields else "this takes none"


def _value(text: str, kind: Any) -> int | bool | str:
    """What a parameter says, if its field takes numbers or truth; the text itself if it does not,
    so that the refusal says what would be right."""
    plain = _plain(kind)
    if bool in plain and text in ("true", "false"):
        return text == "true"
    if int in plain and re.fullmatch(r"-?[0-9]{1,17}", text, re.ASCII):
        return int(text)
    return text


@cache
def words_of(kind: type[Struct]) -> dict[str, tuple[str, ...]]:
    """The fields of a Struct, each with the words that it takes; none where it takes others."""
    return {
        field.encode_name: tuple(
            str(word)
            for each in sorted(_plain(field.type), key=str)
            for word in (
                get_args(each)
                if get_origin(each) is Literal
                else each
                if isinstance(each, type) and issubclass(each, StrEnum)
                else ()
            )
            if isinstance(word, str)
        )
        for field in msgspec.structs.fields(kind)
    }


def _plain(kind: Any) -> set[Any]:
    """The types that a field takes, without bounds."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return {each for part in get_args(kind) for each in _plain(part)}
    return {kind}


# --- pages ---------------------------------------------------------------------------------------

LIMIT_MAX = 500
Limit = Annotated[
    int, Meta(ge=1, le=LIMIT_MAX, description=f"how many at once, at most {LIMIT_MAX}")
]
Search = Annotated[
    str, Meta(max_length=TEXT_MAX, description="only where this text occurs, in any case")
]
CursorText = Annotated[
    str, Meta(max_length=512, description="`next` of the page before; leave it out to begin")
]
Site = Annotated[str, Meta(max_length=64, description="only this site")]
PumpKey = Annotated[
    str,
    Meta(
        pattern=rf"^$|{NAME_PATTERN.split('$')[0]}/{NAME_PATTERN[1:].split('$')[0]}$(?!\n)",
        description="only this pump: site/pump",
    ),
]

"""The OpenAPI 3.1 document of the API, generated from the operations and their Structs."""

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitor.web.guard import needs
from monitor.web.operations import JSON, PATH_TYPES, PREFIX, Operation
from monitor.web.problems import CONTENT_TYPE, PROBLEMS

VERSION = "3.1.0"
WHO = {None: "Needs no sign-in.", "oneself": "For whoever is signed in."}
PATH = f"{PREFIX}/openapi.json"
_REFERENCE = "#/components/schemas/{name}"
_ABOUT = """\
What the page shows and does, as JSON. Times are Unix milliseconds; those of a pump and its alerts
are on the pump's own clock. Fields that are left out are not known. Lists come in pages: `next`
leads on. What goes wrong is a problem (RFC 9457) whose `detail` is a sentence for people. A program
signs in by a token: `dripwatch user token NAME --scope …`. For testing and training. Not a medical
device."""


DOCUMENT = Operation(
    method="GET",
    path=PATH,
    called="show_openapi",
    about="This document.",
    answer=dict[str, Any],
)


class ProblemDetails(Struct, frozen=True):
    """What went wrong (RFC 9457). Further members depend on the type; it names a page on that."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document, as plain values."""
    listed = list(operations)
    schemas, components = _schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, schemas
        )
    found = {
        "openapi": VERSION,
        "info": {
            "title": "Dripwatch",
            "version": metadata.version("dripwatch"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(each) for each in listed)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "dripwatch_session"},
            },
        },
    }
    plain = _plain(found)
    assert isinstance(plain, dict)
    return plain


def route(operations: Iterable[Operation]) -> BaseRoute:
    """`GET /api/v1/openapi.json`."""
    data = msgspec.json.encode(document(operations))

    @needs("read")
    async def show(_request: Request) -> Response:
        return Response(data, media_type=JSON)

    return Route(PATH, show, methods=["GET"])


# --- operations ----------------------------------------------------------------------------------


def _operation(operation: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    summary, _, more = operation.text.partition("\n\n")
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [_tag(operation)],
        "summary": " ".join(summary.split()).rstrip("."),
        "parameters": [*_places(operation), *_query(operation, schemas)],
        "responses": {str(operation.status): _answer(operation, schemas), **_problems(operation)},
    }
    if operation.also is not None:
        found["responses"][str(operation.also)] = _answer(operation, schemas)
    right = WHO.get(operation.right, f"Needs the right `{operation.right}`.")
    found["description"] = "\n\n".join(each for each in (more, right) if each)
    if operation.right is None:
        found["security"] = []
    if operation.body is not None:
        found["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(operation.body)),
            "content": {JSON: {"schema": schemas[operation.body]}},
        }
    return found


def _tag(operation: Operation) -> str:
    path = operation.path.removeprefix(PREFIX).strip("/")
    return path.partition("/")[0] or "page"


def _places(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": msgspec.json.schema(PATH_TYPES[name]),
        }
        for name in operation.places
    ]


def _query(operation: Operation, schemas: Mapping[Any, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    found = []
    for field in msgspec.structs.fields(operation.query):
        schema = _without_null(schemas[operation.query, field.name])
        described = schema.pop("description", None)
        if field.default not in (None, "", msgspec.NODEFAULT):
            schema["default"] = msgspec.to_builtins(field.default)
        parameter = {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": schema,
        }
        found.append(parameter | ({"description": described} if described else {}))
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is not null: there is no null in a query."""
    choices = schema.get("anyOf")
    if choices is None:
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    kept = [each for each in choices if each.get("type") != "null"]
    return {**kept[0], **rest} if len(kept) == 1 else {"anyOf": kept, **rest}


def _answer(operation: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    if operation.answer is None:
        return {"description": "Done."}
    schema = schemas[operation.answer]
    return {"description": "Done.", "content": {operation.answer_type: {"schema": schema}}}


def _problems(operation: Operation) -> dict[str, Any]:
    """The problems by status, each with what it means."""
    by_status: dict[int, list[str]] = {}
    for slug in operation.all_problems():
        by_status.setdefault(PROBLEMS[slug].status, []).append(slug)
    return {
        str(status): {
            "description": " ".join(f"`{slug}`: {PROBLEMS[slug].meaning}" for slug in slugs),
            "content": {
                CONTENT_TYPE: {"schema": {"$ref": _REFERENCE.format(name="ProblemDetails")}}
            },
        }
        for status, slugs in sorted(by_status.items())
    }


# --- schemas -------------------------------------------------------------------------------------


def _schemas(operations: list[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each type that is named, of each field of a query, and the components."""
    types: dict[Any, Any] = {ProblemDetails: ProblemDetails}
    for operation in operations:
        named = (operation.body, operation.answer, *operation.mentions)
        types |= {each: each for each in named if each is not None}
        if operation.query is not None:
            for field in msgspec.structs.fields(operation.query):
                types[operation.query, field.name] = field.type
    found, components = msgspec.json.schema_components(types.values(), ref_template=_REFERENCE)
    return dict(zip(types, found, strict=True)), dict(sorted(components.items()))


def _plain(value: Any) -> Any:
    """Patterns as other languages read them: in them `$` is the very end, with no look behind."""
    if isinstance(value, dict):
        return {
            key: re.sub(r"\$\(\?!\\n\)", "$", each) if key == "pattern" else _plain(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value

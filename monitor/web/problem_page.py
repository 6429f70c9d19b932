"""A problem as a page in words, for somebody whose browser asked for a page."""

import html
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import Scope

_FILE = Path(__file__).parent / "static" / "problem.html"
_API = "/api/"


def wants_page(scope: Scope) -> bool:
    """Whether a person would read the answer: a browser goes somewhere that is not the API."""
    accepted = Headers(scope=scope).get("accept", "")
    return scope["method"] == "GET" and "text/html" in accepted and _API not in scope["path"]


def problem_page(title: str, detail: str, status: int, headers: Mapping[str, str]) -> HTMLResponse:
    """The page of a problem; its texts are escaped, so no name in them becomes markup."""
    sentence = html.escape(f"{detail[:1].upper()}{detail[1:]}".rstrip(".") + ".")
    body = _template().substitute(title=html.escape(title), detail=sentence)
    return HTMLResponse(body, status, headers)


@cache
def _template() -> Template:
    return Template(_FILE.read_text(encoding="utf-8"))

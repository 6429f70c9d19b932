"""What went wrong, for programs and for people: RFC 9457 problems."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A request that cannot be answered as it was meant. Title and detail are sentences."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.extra = dict(extra or {})


def problem_response(problem: Problem, instance: str = "") -> Response:
    """The answer that tells of a problem; `instance` is the path that was asked for."""
    body = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **({"instance": instance} if instance else {}),
        **problem.extra,
    }
    return Response(
        msgspec.json.encode(body), problem.status, media_type="application/problem+json"
    )

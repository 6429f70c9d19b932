"""The page's own files, read once when the monitor starts: packed, named by their content.

Nothing is looked up on the disk when a request comes, so no path can lead out of the folder. A
browser asks again after a minute, and is told in a few bytes that nothing has changed.
"""

import gzip
import hashlib
import mimetypes
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitor.web.problems import problem

FOLDER = Path(__file__).parent / "static"
MAX_AGE_S = 60
# The paths of views: the page's own router tells them apart, so each is the same document.
VIEWS = ("/", "/wall", "/history", "/handover", "/care", "/rules", "/system", "/people")
PUMP_VIEW = "/pump/{site}/{pump}"
# Below this a packed file is no smaller.
PACK_BYTES = 512

# What a browser needs to be told; the table of the machine may lack some of them.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class File(Struct, frozen=True):
    """One file as it is sent: whole, packed where that is smaller, and its mark."""

    body: bytes
    packed: bytes | None
    kind: str
    etag: str


def read_files(folder: Path = FOLDER) -> dict[str, File]:
    """All files of a folder, by their names."""
    return {path.name: _read(path) for path in sorted(folder.iterdir()) if path.is_file()}


def routes(files: dict[str, File] | None = None) -> list[BaseRoute]:
    """`/static/…`, and the document for each path of a view."""
    found = read_files() if files is None else files

    async def static(request: Request) -> Response:
        file = found.get(request.path_params["name"])
        if file is None:
            raise problem("not-found", "the page has no such file")
        return respond(request, file)

    async def view(request: Request) -> Response:
        return respond(request, found["index.html"])

    async def icon(request: Request) -> Response:
        return respond(request, found["icon.svg"])

    return [
        Route("/static/{name}", static),
        Route("/favicon.ico", icon),
        *(Route(path, view) for path in (*VIEWS, PUMP_VIEW)),
    ]


def respond(request: Request, file: File) -> Response:
    """A file as this browser takes it; 304 where it has it already."""
    headers = {
        "ETag": file.etag,
        "Cache-Control": f"public, max-age={MAX_AGE_S}",
        "Vary": "Accept-Encoding",
    }
    known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if file.etag in known or f"W/{file.etag}" in known:
        return Response(status_code=304, headers=headers)
    accepted = request.headers.get("accept-encoding", "")
    if file.packed is not None and "gzip" in accepted:
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, headers=headers, media_type=file.kind)
    return Response(file.body, headers=headers, media_type=file.kind)


def _read(path: Path) -> File:
    body = path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= PACK_BYTES else None
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    mark = hashlib.sha256(body).hexdigest()[:24]
    return File(body, packed, kind or "application/octet-stream", f'"{mark}"')

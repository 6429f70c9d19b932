"""The page and the API of one ward, put together: every route there is, behind one guard."""

from starlette.applications import Starlette
from starlette.types import ASGIApp

from monitor.people_store import People
from monitor.web import health, problems, sign_in, static_files, stream
from monitor.web.callers import GuardSettings
from monitor.web.guard import Guard
from monitor.web.hub import Hub
from monitor.web.ward import Ward


def create_app(
    ward: Ward, people: People, hub: Hub, settings: GuardSettings | None = None
) -> ASGIApp:
    """The application. `hub` is of the same ward, and is closed by who serves the application."""
    app = Starlette(
        routes=[
            *health.routes(ward),
            *stream.routes(ward, hub),
            *sign_in.routes(people),
            *problems.routes(),
            *static_files.routes(),
        ],
        exception_handlers=problems.exception_handlers(),
    )
    return Guard(app, people, settings or GuardSettings())

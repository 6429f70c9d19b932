"""The page and the API of one ward, put together: every route there is, behind one guard."""

from starlette.applications import Starlette
from starlette.types import ASGIApp

from monitor.people_store import People
from monitor.web import api, health, problems, sign_in, static_files, stream
from monitor.web.api.office import Office
from monitor.web.callers import GuardSettings
from monitor.web.guard import Guard
from monitor.web.hub import Hub
from monitor.web.oidc import Provider
from monitor.web.ward import Ward


def create_app(
    ward: Ward,
    people: People,
    hub: Hub,
    settings: GuardSettings | None = None,
    provider: Provider | None = None,
    office: Office | None = None,
) -> ASGIApp:
    """The application. `hub` is of the same ward, and is closed by who serves the application.

    Without an `office` there is no API but the stream and what is about people.
    """
    app = Starlette(
        routes=[
            *health.routes(ward),
            *stream.routes(ward, hub),
            *sign_in.routes(people, provider),
            *(api.routes(office) if office is not None else ()),
            *problems.routes(),
            *static_files.routes(),
        ],
        exception_handlers=problems.exception_handlers(),
    )
    return Guard(app, people, settings or GuardSettings())

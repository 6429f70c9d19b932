"""The page and the API of one ward, put together: every route there is, behind one guard."""

from starlette.applications import Starlette
from starlette.types import ASGIApp

from monitor.people_store import People
from monitor.web import api, health, metrics, problems, sign_in, static_files, stream
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

    `provider` lets people sign in elsewhere; None where they do so here. Without an `office` there
    is no API but the stream and what is about people.
    """
    guarded = settings or GuardSettings()
    app = Starlette(
        routes=[
            *health.routes(ward),
            *metrics.routes(ward, hub, hub.version, is_open=guarded.metrics_open),
            *stream.routes(ward, hub),
            *sign_in.routes(people, provider),
            *(api.routes(office) if office is not None else ()),
            *problems.routes(),
            *static_files.routes(),
        ],
        exception_handlers=problems.exception_handlers(),
    )
    return Guard(app, people, guarded)

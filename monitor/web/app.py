"""The page and the API of one ward, put together: every route there is, behind one guard."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from monitor.people_store import People
from monitor.web import (
    api,
    health,
    metrics,
    password_reset,
    problems,
    sign_in,
    static_files,
    stream,
)
from monitor.web.api.office import Office
from monitor.web.callers import GuardSettings
from monitor.web.counts import WardCounts
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
) -> Guard:
    """The application. `hub` is of the same ward, and is closed by who serves the application.

    `provider` lets people sign in elsewhere too; without an `office` there is no API but the
    stream and what is about persons.
    """
    guarded = settings or GuardSettings()
    counts = office.counts if office is not None else WardCounts(ward)
    routes: list[BaseRoute] = [
        *health.routes(ward),
        *metrics.routes(ward, hub, hub.version, counts, is_open=guarded.metrics_open),
        *stream.routes(ward, hub),
        *sign_in.routes(people, provider),
        *password_reset.routes(people),
        *(api.routes(office) if office is not None else ()),
        *problems.routes(),
        *static_files.routes(),
    ]
    app = Starlette(routes=routes, exception_handlers=problems.exception_handlers())
    return Guard(app, people, guarded)

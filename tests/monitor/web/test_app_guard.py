"""The guard around the application as it is served: no route forgets who may."""

import asyncio

from starlette.applications import Starlette
from starlette.routing import Route

from monitor.people_store import People
from monitor.proposal_store import ProposalStore
from monitor.web.api.office import Office
from monitor.web.app import create_app
from monitor.web.guard import Guard, right_of
from monitor.web.hub import Hub
from tests.monitor.web.house import WAIT_S
from tests.monitor.web.listening import NAME, next_of, served
from tests.monitor.web.scripted import ScriptedWard, night

# Everybody who is signed in: what is about themselves.
OF_ONESELF = {
    ("/api/v1/me", "GET"),
    ("/api/v1/me/password", "POST"),
    ("/api/v1/session", "DELETE"),
    ("/api/v1/tokens", "GET"),
    ("/api/v1/tokens", "POST"),
    ("/api/v1/tokens/{id}", "DELETE"),
}
OF_NOBODY = {("/api/v1/session", "POST")}


async def test_every_route_of_the_api_says_who_may() -> None:
    """By `needs`, or it is one of the few that are about oneself; a new one cannot be forgotten."""
    ward = ScriptedWard()
    async with People(None) as people, ProposalStore(None) as proposals:
        app = create_app(ward, people, Hub(ward, "test"), office=Office(ward, proposals))
    assert isinstance(app, Guard)
    assert isinstance(app.app, Starlette)
    routes = [each for each in app.app.routes if isinstance(each, Route)]
    # Nothing hides in a mounted application.
    assert len(routes) == len(app.app.routes)
    undeclared = {
        (route.path, method)
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
        if route.path.startswith("/api/") and right_of(route.endpoint) is None
    }
    assert undeclared == OF_ONESELF | OF_NOBODY


async def test_the_real_stream_ends_with_its_token() -> None:
    """Whoever is disabled sees nothing more, and the hub has forgotten the viewer."""
    ward = ScriptedWard()
    night(ward)
    async with served(ward, recheck_s=0.1) as service:
        async with service.listen() as events, asyncio.timeout(WAIT_S):
            # Past the first time that it was asked again.
            for _ in range(2):
                await next_of(events, "beat")
            await service.people.set_disabled(NAME, True, "test")
            async for event in events:
                assert event.kind in ("beat", "patch")
        async with asyncio.timeout(WAIT_S):
            while service.hub.viewers:  # noqa: ASYNC110 - the hub tells nobody that one left
                await asyncio.sleep(0.01)

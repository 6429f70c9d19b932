"""The HTTP API: one module a resource, each with its `OPERATIONS`; here they come together."""

from collections.abc import Iterable

from starlette.routing import BaseRoute

from monitor.web import openapi
from monitor.web.api import (
    acts,
    alerts,
    handover,
    history,
    proposals,
    pumps,
    rules,
    system,
    therapies,
    trend,
)
from monitor.web.api.office import Office
from monitor.web.operations import Operation, build_routes

OPERATIONS: tuple[Operation, ...] = (
    *pumps.OPERATIONS,
    *trend.OPERATIONS,
    *alerts.OPERATIONS,
    *acts.OPERATIONS,
    *history.OPERATIONS,
    *handover.OPERATIONS,
    *therapies.OPERATIONS,
    *proposals.OPERATIONS,
    *rules.OPERATIONS,
    *system.OPERATIONS,
)


def routes(office: Office, elsewhere: Iterable[Operation] = ()) -> list[BaseRoute]:
    """The routes of the API, and the document that describes them and those `elsewhere`."""
    described = (*OPERATIONS, *elsewhere)
    return [
        *build_routes(OPERATIONS, office, lambda: office.ward.is_ready),
        openapi.route(described),
    ]

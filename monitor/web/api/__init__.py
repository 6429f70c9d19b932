"""The HTTP API: one module a resource, each with its `OPERATIONS`; here they come together."""

from starlette.routing import BaseRoute

from monitor.web import openapi
from monitor.web.api import (
    acts,
    alerts,
    care,
    elsewhere,
    forms,
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

# Those that have their routes here, by resource; DESCRIBED has those of other modules too.
OPERATIONS: tuple[Operation, ...] = (
    *pumps.OPERATIONS,
    *trend.OPERATIONS,
    *alerts.OPERATIONS,
    *acts.OPERATIONS,
    *history.OPERATIONS,
    *handover.OPERATIONS,
    *therapies.OPERATIONS,
    *proposals.OPERATIONS,
    *forms.OPERATIONS,
    *rules.OPERATIONS,
    *care.OPERATIONS,
    *system.OPERATIONS,
)
DESCRIBED: tuple[Operation, ...] = (*OPERATIONS, openapi.DOCUMENT, *elsewhere.OPERATIONS)


def routes(office: Office) -> list[BaseRoute]:
    """The routes of the API, and the document that describes them and those of other modules."""
    return [
        *build_routes(OPERATIONS, office, lambda: office.ward.is_ready),
        openapi.route(DESCRIBED),
    ]

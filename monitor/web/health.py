"""Whether the monitor lives, and whether it can be relied on: for those who start and watch it.

`/health/live` answers as long as the loop turns: who gets no answer may start the process anew.
`/health/ready` says 503, and in words why, while nobody should rely on the alerts.
"""

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitor.web.ward import Ward

# The heartbeat comes back twice a second and is stored each time; after so long it does not.
COMMIT_MS_MAX = 10_000
# What is that late is of no use at a bedside; the page warns from then on too. [A]
BEHIND_MS_MAX = 10_000


class Health(Struct, frozen=True, omit_defaults=True):
    """`ok`, or the reasons against it, in sentences."""

    ok: bool
    reasons: tuple[str, ...] = ()


def reasons(ward: Ward) -> tuple[str, ...]:
    """Why nobody should rely on this monitor now; empty where all is well."""
    if not ward.is_ready:
        return ("the monitor is still resuming its state, or waits for its broker",)
    found = []
    link = ward.link
    if not link.connected:
        found.append(f"the broker {link.address} is not connected")
    since_ms = (ward.now_ms() - link.committed_ms) / ward.speed
    if since_ms > COMMIT_MS_MAX:
        since = f"since {round(since_ms / 1_000)} s" if link.committed_ms else "since the start"
        found.append(f"nothing was stored {since}: the broker or the store does not answer")
    behind_ms = link.behind_ms / ward.speed
    if link.connected and behind_ms > BEHIND_MS_MAX:
        found.append(f"the monitor is {round(behind_ms / 1_000)} s behind: alerts come late")
    return tuple(found)


def routes(ward: Ward) -> list[BaseRoute]:
    """`/health/live` and `/health/ready`; they need no session and tell nothing of pumps."""

    async def live(_request: Request) -> Response:
        return _answer(Health(ok=True))

    async def ready(_request: Request) -> Response:
        found = reasons(ward)
        return _answer(Health(ok=not found, reasons=found))

    return [Route("/health/live", live), Route("/health/ready", ready)]


def _answer(health: Health) -> Response:
    body = msgspec.json.encode(health)
    status = 200 if health.ok else 503
    return Response(body, status, {"Cache-Control": "no-store"}, "application/json")

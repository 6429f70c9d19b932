"""`GET /api/v1/stream`: what the hub tells, as Server-Sent Events, for as long as somebody listens.

`curl -N` shows it. The connection itself says how fast a viewer takes: while it is full, `send`
waits, and what changes meanwhile is one row a pump with the next event.
"""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from monitor.web.guard import needs, person_of
from monitor.web.hub import Hub, Listener
from monitor.web.problems import problem
from monitor.web.rows import Viewer
from monitor.web.ward import Ward

PATH = "/api/v1/stream"
KINDS = ("all", "alerts")
RETRY_S = 2
# A page that lost the stream tries again after this long.
AGAIN_MS = 1_000
HEADERS = {
    "Cache-Control": "no-store",
    # A proxy in front must not collect what is sent.
    "X-Accel-Buffering": "no",
}


def routes(ward: Ward, hub: Hub) -> list[BaseRoute]:
    """The stream."""

    @needs("read")
    async def stream(request: Request) -> Response:
        kinds = request.query_params.get("kinds", "all")
        if kinds not in KINDS:
            detail = f"the field 'kinds' is {kinds[:64]!r}; it must be one of {', '.join(KINDS)}"
            raise problem("wrong-field", detail, field="kinds")
        again = {"Retry-After": str(RETRY_S)}
        if hub.is_closed or not ward.is_ready:
            raise problem("not-ready", "the monitor is starting or ending; try again", again)
        if hub.is_full:
            hub.totals.refused += 1
            detail = f"{hub.viewers} viewers are listening, which is as many as may; close a page"
            raise problem("busy", detail, again)
        person = person_of(request)
        viewer = Viewer(person.name, sorted(person.roles))
        return EventStream(
            hub, viewer, kinds == "all", request.headers.get("last-event-id", "")[:64]
        )

    return [Route(PATH, stream)]


class EventStream(Response):
    """One open stream, until the viewer goes, is let go, or the monitor stops."""

    def __init__(self, hub: Hub, person: Viewer, wants_pumps: bool, last_id: str) -> None:
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._hub = hub
        self._person = person
        self._wants_pumps = wants_pumps
        self._last_id = last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events; raises nothing when the viewer is gone."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        sending: asyncio.Task[None] | None = None
        transport = scope.get("state", {}).get("transport")

        def abort() -> None:
            if transport is not None:
                transport.abort()
            if sending is not None:
                sending.cancel()

        left: Callable[[], int] = getattr(transport, "get_write_buffer_size", lambda: 0)
        listener = Listener(self._person, self._wants_pumps, left, abort)
        sending = asyncio.create_task(self._send_events(listener, send), name="stream")
        going = asyncio.create_task(_until_gone(receive), name="stream-gone")
        try:
            await asyncio.wait((sending, going), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(listener)
            going.cancel()
            sending.cancel()
            for ended in await asyncio.gather(sending, going, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    async def _send_events(self, listener: Listener, send: Send) -> None:
        hub = self._hub
        await hub.enter(listener, self._last_id)
        events = b"retry: %d\n\n" % AGAIN_MS
        while not hub.is_closed:
            news = hub.news
            events += hub.take(listener)
            if events:
                listener.is_taking = True
                await send({"type": "http.response.body", "body": events, "more_body": True})
                listener.is_taking = False
                hub.totals.bytes_sent += len(events)
                events = b""
            else:
                await news.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

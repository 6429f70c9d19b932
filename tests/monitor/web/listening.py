"""Listens to the stream as a program would, and keeps what it hears as the page does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from infusion.messages import Alert
from monitor.people_store import People
from monitor.proposal_store import ProposalStore
from monitor.web.api.office import Office
from monitor.web.app import create_app
from monitor.web.callers import GuardSettings
from monitor.web.hub import Hub
from monitor.web.rows import AlertList, Beat, Patch, PumpRow, Snapshot
from monitor.web.server import WebSection, WebServer
from monitor.web.ward import Ward
from tests.monitor.web.house import WAIT_S, WEAK, Clock

STREAM = "/api/v1/stream"
NAME = "mira"
KINDS: dict[str, Any] = {"snapshot": Snapshot, "patch": Patch, "beat": Beat}


class Event(Struct):
    """One event of the stream."""

    kind: str
    id: str
    body: Snapshot | Patch | Beat


def read_events(text: str) -> list[Event]:
    """The events in a piece of a stream that ends with a whole one."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            body = msgspec.json.decode(fields["data"], type=KINDS[fields["event"]])
            found.append(Event(fields["event"], fields.get("id", ""), body))
    return found


class Picture:
    """What a page knows: the snapshot, and every patch since."""

    def __init__(self) -> None:
        self.rows: dict[str, PumpRow] = {}
        self.lists: dict[str, tuple[list[Alert], list[Alert]]] = {}
        self.last_id = ""
        self.patches = 0
        self.snapshots = 0

    def take(self, events: list[Event]) -> None:
        """Take events in."""
        for event in events:
            if isinstance(event.body, Beat):
                continue
            self.last_id = event.id
            if isinstance(event.body, Snapshot):
                self.snapshots += 1
                self._begin(event.body)
            else:
                self.patches += 1
                self.rows |= {row.key: row for row in event.body.pumps}
                for each in event.body.lists:
                    self._put(each)

    def _begin(self, snapshot: Snapshot) -> None:
        self.rows = {row.key: row for row in snapshot.pumps}
        self.lists = {}
        for alert in snapshot.alerts:
            self._of(alert)[0].append(alert)
        for alert in snapshot.unseen:
            self._of(alert)[1].append(alert)

    def _of(self, alert: Alert) -> tuple[list[Alert], list[Alert]]:
        return self.lists.setdefault(f"{alert.site}/{alert.pump}", ([], []))

    def _put(self, each: AlertList) -> None:
        self.lists.pop(each.key, None)
        if each.alerts or each.unseen:
            self.lists[each.key] = (each.alerts, each.unseen)


class Service(Struct):
    """A served ward, and a token for it."""

    url: str
    hub: Hub
    people: People
    token: str
    server: WebServer
    clock: Clock

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A program that is signed in."""
        headers["authorization"] = f"Bearer {self.token}"
        named = [
            (name.replace("_", "-").encode(), each.encode("latin-1"))
            for name, each in headers.items()
        ]
        return httpx.AsyncClient(base_url=self.url, headers=named, trust_env=False, timeout=WAIT_S)

    @contextlib.asynccontextmanager
    async def listen(self, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[Event]]:
        """The events of one stream, as they come."""
        async with self.client(**headers) as client, client.stream("GET", STREAM + query) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield events_of(answer)

    async def picture(self) -> Picture:
        """What a page that comes now is shown."""
        found = Picture()
        async with self.listen() as events:
            found.take([await anext(events)])
        return found


async def events_of(answer: httpx.Response) -> AsyncIterator[Event]:
    """The events of an answer."""
    lines: list[str] = []
    async for line in answer.aiter_lines():
        lines.append(line)
        if line:
            continue
        for event in read_events("\n".join(lines)):
            yield event
        lines.clear()


async def next_of(events: AsyncIterator[Event], kind: str) -> Event:
    """The next event of a kind."""
    async with asyncio.timeout(WAIT_S):
        async for event in events:
            if event.kind == kind:
                return event
    raise AssertionError(f"the stream ended without a {kind}")


@contextlib.asynccontextmanager
async def served(
    ward: Ward, hub: Hub | None = None, *, listen: str = "0", **settings: Any
) -> AsyncIterator[Service]:
    """A ward behind the whole application on a real server; `settings` are the guard's."""
    hub = hub or Hub(ward, "test")
    clock = Clock()
    async with (
        People(None, now_ms=clock, hasher=WEAK) as people,
        ProposalStore(None) as proposals,
    ):
        await people.add(NAME, ["nurse"], "correct horse battery", "test")
        token, _ = await people.issue_token(NAME, ["read", "metrics"], 1, "test")
        server = WebServer(WebSection(listen=listen))
        server.open()
        office = Office(ward, proposals, viewers=lambda: hub.viewers)
        app = create_app(ward, people, hub, GuardSettings(**settings), office=office)
        serving = asyncio.create_task(server.serve(app), name="served")
        await asyncio.wait_for(server.started.wait(), WAIT_S)
        try:
            yield Service(server.url, hub, people, token, server, clock)
        finally:
            hub.close()
            server.stop()
            await asyncio.wait_for(serving, WAIT_S)

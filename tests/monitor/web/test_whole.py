"""The whole monitor with its page: from a pump on a broker to a viewer, and back by an act."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from infusion.alert import Alert
from infusion.messages import Kind, PumpMessage, encode
from monitor.people_store import People
from monitor.service import MonitorService
from monitor.web.rows import Beat, Snapshot
from monitor.web.server import WebSection
from tests.brokers import Embedded
from tests.infusion.bench import SITE, T0, begin
from tests.monitor.peers import WAIT_S, peer, play, service_settings
from tests.monitor.streams import topic_of
from tests.monitor.web.house import PASSWORD, WEAK
from tests.monitor.web.listening import STREAM, Event, Picture, events_of

NURSE = "mira"


@asynccontextmanager
async def monitor(broker: Embedded, folder: Path) -> AsyncIterator[tuple[MonitorService, str]]:
    """A monitor at work, with a page, and a nurse's token for it."""
    settings = replace(
        service_settings(broker, folder), speed=1.0, web=WebSection(listen="127.0.0.1:0")
    )
    async with People(settings.store, hasher=WEAK) as people:
        if not await people.users():
            await people.add(NURSE, ["nurse"], PASSWORD, "test")
        token, _ = await people.issue_token(NURSE, ["read", "act"], 1, "test")
    service = MonitorService(settings)
    running = asyncio.create_task(service.run())
    await asyncio.wait_for(service.ready.wait(), WAIT_S)
    try:
        yield service, token
    finally:
        service.stop()
        await asyncio.wait_for(running, WAIT_S)


@asynccontextmanager
async def client(service: MonitorService, token: str) -> AsyncIterator[httpx.AsyncClient]:
    assert service.page is not None
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=service.page.url, headers=headers, trust_env=False, timeout=WAIT_S
    ) as made:
        yield made


async def first_alert(events: AsyncIterator[Event], picture: Picture) -> Alert:
    """Listen until the pump has an alert that somebody may take."""
    async with asyncio.timeout(WAIT_S):
        async for event in events:
            picture.take([event])
            for alerts, _ in picture.lists.values():
                for alert in alerts:
                    if alert.rule == "downstream-occlusion":
                        return alert
    raise AssertionError("the stream ended without the alert")


async def test_from_a_pump_to_a_viewer_and_back(tmp_path: Path) -> None:
    """What a pump says is shown; what a nurse does is shown too, and is there after a restart."""
    paper = begin(now_ms=round(time.time() * 1_000))
    paper.set(alarms=("downstream-occlusion",), status="not-infusing", delivery="not-delivering")
    paper.send()
    wire = [(at_ms, topic_of(message), encode(message)) for at_ms, message in paper.stream]
    picture = Picture()
    with Embedded() as broker:
        async with (
            monitor(broker, tmp_path) as (service, token),
            client(service, token) as nurse,
            nurse.stream("GET", STREAM) as answer,
        ):
            events = events_of(answer)
            snapshot = (await anext(events)).body
            assert isinstance(snapshot, Snapshot)
            assert snapshot.pumps == []
            async with peer(broker, Kind.ALERT_LOG) as link:
                await play(link, wire)
                alert = await first_alert(events, picture)
            done = await nurse.post(
                "/api/v1/acts", json={"alert": alert.id, "version": alert.version, "what": "take"}
            )
            assert done.status_code == 200, done.text
            async with asyncio.timeout(WAIT_S):
                while taken_by(picture, alert) != NURSE:
                    picture.take([await anext(events)])
            ready = await nurse.get("/health/ready")
            assert (ready.status_code, ready.json()) == (200, {"ok": True})
            service.stop()
            began = time.monotonic()
            async for _ in events:
                pass
            assert time.monotonic() - began < 1.0
        async with (
            monitor(broker, tmp_path) as (service, token),
            client(service, token) as nurse,
            nurse.stream("GET", STREAM, headers={"Last-Event-ID": picture.last_id}) as answer,
        ):
            again = (await anext(events_of(answer))).body
            assert isinstance(again, Snapshot)
            (shown,) = [each for each in again.alerts if each.id == alert.id]
            assert shown.facts.taken is not None
            assert shown.facts.taken.by == NURSE


async def test_a_monitor_without_its_broker_says_so(tmp_path: Path) -> None:
    """The beat says it within seconds, and so does the health; then it is well again."""
    broker = Embedded()
    broker.start()
    async with (
        monitor(broker, tmp_path) as (service, token),
        client(service, token) as nurse,
        nurse.stream("GET", STREAM) as answer,
    ):
        events = events_of(answer)
        await until_connected(events, True)
        broker.stop()
        await until_connected(events, False)
        ready = await nurse.get("/health/ready")
        assert ready.status_code == 503
        assert "is not connected" in ready.json()["reasons"][0]
        broker.start()
        await until_connected(events, True)
    broker.stop()


async def until_connected(events: AsyncIterator[Event], connected: bool) -> None:
    """Listen until a beat says that the broker is there, or that it is not."""
    async with asyncio.timeout(WAIT_S):
        async for event in events:
            if isinstance(event.body, Beat) and event.body.broker.connected is connected:
                return
    raise AssertionError("the stream ended")


def taken_by(picture: Picture, alert: Alert) -> str | None:
    """Who has taken an alert, as a page knows it."""
    alerts, _ = picture.lists.get(f"{SITE}/{alert.pump}", ([], []))
    taken = [each.facts.taken for each in alerts if each.id == alert.id]
    return taken[0].by if taken and taken[0] is not None else None


async def test_status_and_page_tell_one_dose(tmp_path: Path) -> None:
    """Of a pump whose clock is set an hour ahead: the order is read on the pump's own clock."""
    paper = begin()
    paper.run("00:20")
    ahead = [
        replace(message, time_ms=message.time_ms + 3_600_000)
        if isinstance(message, PumpMessage) and at_ms > T0 + 600_000
        else message
        for at_ms, message in paper.stream
    ]
    wire = [(T0, topic_of(message), encode(message)) for message in ahead]
    with Embedded() as broker:
        async with monitor(broker, tmp_path) as (service, token), client(service, token) as nurse:
            async with peer(broker, Kind.ALERT_LOG) as link:
                await play(link, wire)
            async with asyncio.timeout(WAIT_S):
                while service.status().totals.messages < len(wire):
                    await nurse.get("/health/live")
            (view,) = [each for each in service.status().pumps if each.pump == paper.pump]
            row = (await nurse.get(f"/api/v1/pumps/{SITE}/{paper.pump}")).json()["row"]
            assert view.dose is not None
            # Twenty minutes, and not an hour more.
            assert view.dose.expected_iu < 1_000
            for name in ("from_ms", "delivered_iu", "expected_iu"):
                assert row["dose"][name] == pytest.approx(getattr(view.dose, name), abs=60)

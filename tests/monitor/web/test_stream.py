"""The stream over real connections: events are read, because a status says nothing of them."""

import asyncio
import contextlib
import socket
import time

import pytest

from infusion.alarms import Priority
from infusion.messages import Alert
from monitor.web.hub import Hub
from monitor.web.rows import Beat, Patch, Snapshot, pump_row
from tests.infusion.bench import SITE
from tests.monitor.web.listening import (
    NAME,
    STREAM,
    Picture,
    Service,
    next_of,
    served,
)
from tests.monitor.web.scripted import ScriptedWard, fleet, night

WAIT_S = 10.0


def open_of(ward: ScriptedWard) -> dict[str, Alert]:
    return {
        alert.id: alert
        for key in ward.monitor.pumps
        for alert in ward.monitor.open_alerts(key).alerts
    }


async def test_the_snapshot_is_the_state_of_the_monitor() -> None:
    ward = ScriptedWard()
    night(ward)
    async with served(ward) as service, service.listen() as events:
        first = await anext(events)
    snapshot = first.body
    assert isinstance(snapshot, Snapshot)
    assert snapshot.pumps == [pump_row(ward.monitor, key) for key in ward.monitor.pumps]
    assert {alert.id: alert for alert in snapshot.alerts} == open_of(ward)
    assert snapshot.open == len(open_of(ward)) == sum(row.open for row in snapshot.pumps)
    assert snapshot.silent == sum(row.silent for row in snapshot.pumps) == 1
    assert snapshot.person.name == NAME
    assert snapshot.person.roles == ["nurse"]
    assert snapshot.broker.address == "paper:1883"


async def test_it_beats_each_second_when_nothing_happens() -> None:
    ward = ScriptedWard()
    fleet(ward, 3)
    async with served(ward) as service, service.listen() as events:
        heard = [await next_of(events, "beat") for _ in range(3)]
        began = time.monotonic()
        beat = (await next_of(events, "beat")).body
        assert time.monotonic() - began < 3.0
    assert isinstance(beat, Beat)
    assert (beat.pumps, beat.silent, beat.open) == (3, 0, 0)
    assert beat.broker.connected
    assert {event.id for event in heard} == {""}, "a beat does not say how far a viewer has come"


async def test_a_broker_that_is_lost_is_in_the_next_beat() -> None:
    ward = ScriptedWard()
    fleet(ward, 1)
    async with served(ward) as service, service.listen() as events:
        await anext(events)
        ward.connected = False
        beats = [(await next_of(events, "beat")).body for _ in range(2)]
    assert [beat.broker.connected for beat in beats if isinstance(beat, Beat)][-1] is False


async def test_what_changes_comes_at_once_as_the_rows_that_changed() -> None:
    ward = ScriptedWard()
    fleet(ward, 5)
    async with served(ward) as service, service.listen() as events:
        await anext(events)
        ward.papers["P-02"].stop(alarms=("air-in-line",))
        began = time.monotonic()
        ward.hear()
        patch = (await next_of(events, "patch")).body
        assert time.monotonic() - began < 1.0
    assert isinstance(patch, Patch)
    assert [row.key for row in patch.pumps] == ["home/P-02"]
    (row,) = patch.pumps
    assert (row.worst, row.alarms) == (Priority.HIGH, ("air-in-line",))
    (changed,) = patch.lists
    assert changed.key == "home/P-02"
    assert tuple(changed.alerts) == ward.monitor.open_alerts("home/P-02").alerts


async def test_two_viewers_see_the_same() -> None:
    ward = ScriptedWard()
    fleet(ward, 4)
    pictures = [Picture(), Picture()]
    async with served(ward) as service, service.listen() as one, service.listen() as other:
        for events, picture in zip((one, other), pictures, strict=True):
            picture.take([await anext(events)])
        ward.papers["P-03"].stop(alarms=("air-in-line",))
        ward.advance(10)
        for events, picture in zip((one, other), pictures, strict=True):
            while "home/P-03" not in picture.lists:
                picture.take([await next_of(events, "patch")])
        ward.do("P-03", "take", by="Jonas")
        for events, picture in zip((one, other), pictures, strict=True):
            while picture.lists["home/P-03"][0][0].facts.taken is None:
                picture.take([await next_of(events, "patch")])
        fresh = await service.picture()
    assert pictures[0].rows == pictures[1].rows == fresh.rows
    assert pictures[0].lists == pictures[1].lists == fresh.lists


async def test_who_wants_alerts_only_gets_no_pumps() -> None:
    ward = ScriptedWard()
    night(ward)
    async with served(ward) as service, service.listen("?kinds=alerts") as events:
        snapshot = (await anext(events)).body
        ward.papers["P-01"].stop(alarms=("air-in-line",))
        ward.hear()
        patch = (await next_of(events, "patch")).body
    assert isinstance(snapshot, Snapshot)
    assert isinstance(patch, Patch)
    assert (snapshot.pumps, patch.pumps) == ([], [])
    assert len(snapshot.alerts) == snapshot.open > 3
    assert [each.key for each in patch.lists] == ["home/P-01"]


async def test_who_comes_back_is_sent_what_is_missing_and_no_more() -> None:
    ward = ScriptedWard()
    fleet(ward, 6)
    picture = Picture()
    async with served(ward) as service:
        async with service.listen() as events:
            picture.take([await anext(events)])
        ward.papers["P-04"].stop(alarms=("air-in-line",))
        ward.hear()
        ward.papers["P-05"].set(battery=0.5).send()
        ward.hear()
        async with service.listen(last_event_id=picture.last_id) as events:
            event = await next_of(events, "patch")
        picture.take([event])
        assert isinstance(event.body, Patch)
        assert {row.key for row in event.body.pumps} == {"home/P-04", "home/P-05"}
        fresh = await service.picture()
        assert service.hub.totals.resumed == 1
    assert (picture.rows, picture.lists) == (fresh.rows, fresh.lists)


async def test_who_has_seen_no_pumps_cannot_go_on_with_them() -> None:
    ward = ScriptedWard()
    fleet(ward, 2)
    async with served(ward) as service:
        async with service.listen("?kinds=alerts") as events:
            last_id = (await anext(events)).id
        async with service.listen(last_event_id=last_id) as events:
            assert (await anext(events)).kind == "snapshot"
        ward.advance(10)
        async with service.listen("?kinds=alerts", last_event_id=last_id) as events:
            assert (await anext(events)).kind == "patch"


@pytest.mark.parametrize("last_id", ["", "deadbeef-3", "-", "x", "1-99999999999999999999999", "é"])
async def test_an_id_of_another_life_or_of_none_gets_a_snapshot(last_id: str) -> None:
    ward = ScriptedWard()
    fleet(ward, 2)
    async with served(ward) as service:
        epoch = (await service.picture()).last_id.split("-")[0]
        for said in (last_id, f"{epoch}-7", f"{epoch}-", f"{epoch}--1", f"{epoch}-²"):
            async with service.listen(last_event_id=said) as events:
                assert (await anext(events)).kind == "snapshot"


async def test_the_headers_keep_proxies_and_caches_from_collecting_it() -> None:
    ward = ScriptedWard()
    async with (
        served(ward) as service,
        service.client() as client,
        client.stream("GET", STREAM) as answer,
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in answer.headers
        assert "content-length" not in answer.headers


async def refusal(service: Service, query: str = "") -> tuple[int, str]:
    async with service.client() as client:
        answer = await client.get(STREAM + query)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"]


async def test_what_cannot_be_listened_to_is_a_problem() -> None:
    ward = ScriptedWard()
    async with served(ward, Hub(ward, "test", viewers_max=1)) as service:
        assert await refusal(service, "?kinds=pumps") == (400, "/problems/wrong-field")
        async with service.listen() as events:
            await anext(events)
            assert await refusal(service) == (503, "/problems/busy")
        ward.is_ready = False
        assert await refusal(service) == (503, "/problems/not-ready")
        service.token = "dw_nobody"
        assert await refusal(service) == (401, "/problems/not-signed-in")


async def test_a_user_who_is_disabled_hears_no_more() -> None:
    ward = ScriptedWard()
    async with served(ward, recheck_s=0.0) as service, service.listen() as events:
        await anext(events)
        await service.people.set_disabled(NAME, True, "test")
        async with asyncio.timeout(WAIT_S):
            async for _ in events:
                pass


async def test_a_session_that_is_over_ends_its_stream() -> None:
    ward = ScriptedWard()
    async with served(ward, recheck_s=0.0) as service, service.listen() as events:
        await anext(events)
        service.clock.move(2 * 86_400)
        async with asyncio.timeout(WAIT_S):
            async for _ in events:
                pass


async def test_streams_end_within_a_second_when_the_monitor_stops() -> None:
    ward = ScriptedWard()
    fleet(ward, 2)
    async with served(ward) as service, service.listen() as one, service.listen() as other:
        await anext(one)
        await anext(other)
        began = time.monotonic()
        service.hub.close()
        service.server.stop()
        for events in (one, other):
            async for _ in events:
                pass
        assert time.monotonic() - began < 1.0


async def test_a_monitor_that_was_started_anew_shows_everything_anew() -> None:
    ward = ScriptedWard()
    fleet(ward, 3)
    picture = Picture()
    async with served(ward) as service, service.listen() as events:
        picture.take([await anext(events)])
        listen = service.url.removeprefix("http://")
    ward.papers["P-01"].stop(alarms=("air-in-line",))
    ward.hear()
    async with (
        served(ward, listen=listen) as service,
        service.listen(last_event_id=picture.last_id) as events,
    ):
        picture.take([await anext(events)])
    assert picture.snapshots == 2
    assert set(picture.lists) == {f"{SITE}/P-01"}


async def deaf_viewer(service: Service) -> socket.socket:
    """A connection that asks for the stream, and reads nothing of it."""
    host, port = service.url.removeprefix("http://").split(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, (host, int(port)))
    request = f"GET {STREAM} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {service.token}"
    await loop.sock_sendall(deaf, f"{request}\r\n\r\n".encode())
    return deaf


async def rest_of(deaf: socket.socket) -> int:
    """How many bytes were on their way when a connection ended."""
    loop, size = asyncio.get_running_loop(), 0
    with deaf, contextlib.suppress(ConnectionResetError):
        while part := await loop.sock_recv(deaf, 65_536):
            size += len(part)
    return size


async def test_a_viewer_that_takes_nothing_is_let_go_and_delays_nobody() -> None:
    ward = ScriptedWard()
    fleet(ward, 300)
    hub = Hub(ward, "test", stalled_s=1.0)
    async with served(ward, hub) as service, service.listen() as events:
        await anext(events)
        deaf = await deaf_viewer(service)
        delays = []
        async with asyncio.timeout(60.0):
            while hub.totals.dropped == 0:
                ward.advance(10)
                began = time.monotonic()
                await next_of(events, "patch")
                delays.append(time.monotonic() - began)
        assert hub.viewers == 1
        assert sorted(delays)[len(delays) // 2] < 0.5
        assert await rest_of(deaf) < 1_000_000

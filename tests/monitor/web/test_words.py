"""What people enter at the page is heard by others on the broker: once, and only what holds."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from msgspec.structs import replace

from infusion.clinical import LabResult, Report
from infusion.messages import Kind, Topic, encode
from infusion.prescription import Prescription, Start, compile_timeline
from infusion.record import Order, Record
from link import Link
from monitor.outlets.words import WordOutlet, holds
from monitor.people_store import People
from monitor.service import MonitorService
from monitor.web.server import WebSection
from tests.brokers import Embedded
from tests.infusion.bench import SITE, T0, order
from tests.monitor.peers import WAIT_S, content, peer, service_settings
from tests.monitor.web.house import PASSWORD, WEAK

THERAPY = f"/api/v1/therapies/{SITE}/T-01"
WORDS = (Kind.ORDER, Kind.LAB, Kind.REPORT)
SCOPES = ("read", "order", "confirm", "result", "report")
# Long enough for a message to come twice; what is awaited is that none does.
QUIET_S = 0.5


@asynccontextmanager
async def monitor(
    broker: Embedded, folder: Path
) -> AsyncIterator[tuple[MonitorService, httpx.AsyncClient, httpx.AsyncClient]]:
    """A monitor at work, and two nurses at its API."""
    settings = replace(
        service_settings(broker, folder), speed=1.0, web=WebSection(listen="127.0.0.1:0")
    )
    tokens = []
    async with People(settings.store, hasher=WEAK) as people:
        for name in ("ann", "ben"):
            if not any(user.name == name for user in await people.users()):
                await people.add(name, ["nurse"], PASSWORD, "test")
            tokens.append((await people.issue_token(name, SCOPES, 1, "test"))[0])
    service = MonitorService(settings)
    running = asyncio.create_task(service.run())
    await asyncio.wait_for(service.ready.wait(), WAIT_S)
    assert service.page is not None
    ann, ben = (
        httpx.AsyncClient(
            base_url=service.page.url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=WAIT_S,
        )
        for token in tokens
    )
    try:
        async with ann, ben:
            yield service, ann, ben
    finally:
        service.stop()
        await asyncio.wait_for(running, WAIT_S)


async def heard(link: Link, count: int) -> list[Any]:
    """What a link hears until there are so many, and whatever comes in a while after that."""
    found: list[Any] = []
    while True:
        try:
            async with asyncio.timeout(WAIT_S if len(found) < count else QUIET_S):
                batch = await link.receive()
        except TimeoutError:
            return found
        link.acknowledge(batch)
        found += [content(message) for message in batch]


async def test_others_hear_it_once(tmp_path: Path) -> None:
    """An order when a second person has confirmed it, a result, a report; none again after a
    restart; and the monitor, which hears all of it back, takes nothing twice."""
    now_ms = round(time.time() * 1_000)
    first = order(Start(at_ms=now_ms, rate_iu_kg_h=18.0))
    body = {
        "pump": "P-01",
        "weight_kg": 80.0,
        "concentration_iu_ml": 100.0,
        "steps": [
            {"do": "start", "at_ms": now_ms, "rate_iu_kg_h": 18.0},
            {"do": "rate", "at_ms": now_ms + 600_000, "rate_iu_kg_h": 20.0},
        ],
    }
    lab = {"test": "aptt", "value": 62, "unit": "s", "specimen": "S-1", "drawn_ms": now_ms - 60_000}
    with Embedded() as broker:
        async with peer(broker, *WORDS, name="others") as others:
            async with monitor(broker, tmp_path) as (service, ann, ben):
                topic = str(Topic(Kind.ORDER, SITE, "T-01"))
                others.publish(topic, encode(first), user_properties=(("contract", "1"),))
                assert await heard(others, 1) == [first]
                proposed = await ann.post(f"{THERAPY}/orders", json=body)
                assert proposed.status_code == 202, proposed.text
                assert await heard(others, 0) == [], "one person's order is nobody's"
                path = f"/api/v1/proposals/{proposed.json()['id']}/confirm"
                assert (await ben.post(path, json={})).status_code == 200
                (told,) = await heard(others, 1)
                assert isinstance(told, Prescription)
                assert (told.version, len(told.steps)) == (2, 2)
                assert (await ann.post(f"{THERAPY}/results", json=lab)).status_code == 201
                report = await ann.post(f"{THERAPY}/reports", json={"what": "fever"})
                assert report.status_code == 201, report.text
                result, said = await heard(others, 2)
                assert isinstance(result, LabResult)
                assert isinstance(said, Report)
                assert (result.value, said.what) == (62.0, "fever")
                counts = service.status().records
                assert (counts.therapies, counts.results, counts.reports) == (1, 1, 1)
                in_force = (await ann.get(THERAPY)).json()["prescription"]
                assert in_force["version"] == 2
            async with monitor(broker, tmp_path) as (service, ann, _):
                assert await heard(others, 0) == []
                counts = service.status().records
                assert (counts.therapies, counts.results, counts.reports) == (1, 1, 1)


async def test_what_a_crash_left_is_told_by_the_next_run(tmp_path: Path) -> None:
    """If the monitor holds it; what was never stored, or holds no more, is told to nobody."""
    path = tmp_path / "store.sqlite3"
    kept, lost = order(Start(at_ms=T0, rate_iu_kg_h=18.0)), LabResult(
        therapy="T-02", specimen="S-1", test="aptt", value=62.0, unit="s", drawn_ms=T0,
        resulted_ms=T0,
    )  # fmt: skip

    async def crash() -> None:
        raise ConnectionResetError

    async def stored() -> None:
        """It is."""

    record = Record(kept.therapy, Order(kept, compile_timeline(kept)))
    with Embedded() as broker:
        async with peer(broker, *WORDS, name="others") as others:
            async with peer(broker, name="first") as link, WordOutlet(path, link) as outlet:
                await outlet.tell(SITE, kept, stored, lambda: record)
                with suppress(ConnectionResetError):
                    await outlet.tell(SITE, lost, crash, lambda: None)
                # It dies before anything is published.
            async with peer(broker, name="second") as link, WordOutlet(path, link) as outlet:
                await outlet.resume(
                    {f"{SITE}/{kept.therapy}": record, f"{SITE}/T-02": Record("T-02")}
                )
                running = asyncio.create_task(outlet.run())
                assert await heard(others, 1) == [kept]
                running.cancel()
            async with peer(broker, name="third") as link, WordOutlet(path, link) as outlet:
                await outlet.resume({f"{SITE}/{kept.therapy}": record})
                running = asyncio.create_task(outlet.run())
                assert await heard(others, 0) == []
                running.cancel()


async def test_an_order_that_lost_is_told_to_nobody(tmp_path: Path) -> None:
    """Another of the same version was first, and holds."""
    mine = order(Start(at_ms=T0, rate_iu_kg_h=18.0))
    other = order(Start(at_ms=T0, rate_iu_kg_h=12.0))
    record = Record(mine.therapy, Order(other, compile_timeline(other)))
    assert not holds(record, mine)

    async def stored() -> None:
        """It is, and changes nothing."""

    with Embedded() as broker:
        async with (
            peer(broker, *WORDS, name="others") as others,
            peer(broker, name="me") as link,
            WordOutlet(None, link) as outlet,
        ):
            running = asyncio.create_task(outlet.run())
            await outlet.tell(SITE, mine, stored, lambda: record)
            assert await heard(others, 0) == []
            running.cancel()


async def test_only_so_much_waits(tmp_path: Path) -> None:
    """For a broker that is away; the oldest are given up."""
    path = tmp_path / "store.sqlite3"
    orders = [
        replace(order(Start(at_ms=T0, rate_iu_kg_h=18.0)), version=each) for each in (1, 2, 3)
    ]
    records = [Record("T-01", Order(each, compile_timeline(each))) for each in orders]

    async def stored() -> None:
        """It is."""

    with Embedded() as broker:
        async with peer(broker, *WORDS, name="others") as others, peer(broker, name="me") as link:
            async with WordOutlet(path, link, waiting_max=1) as outlet:
                for each in orders:
                    await outlet.tell(
                        SITE, each, stored, partial(records.__getitem__, each.version - 1)
                    )
            async with WordOutlet(path, link) as outlet:
                await outlet.resume({f"{SITE}/{orders[0].therapy}": records[-1]})
                running = asyncio.create_task(outlet.run())
                assert await heard(others, 1) == [orders[-1]]
                running.cancel()

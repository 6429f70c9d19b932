"""Orders by the API: one person proposes, another confirms, and only then it is in force."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from infusion.prescription import Prescription, Start
from monitor.proposal_store import ProposalStore
from monitor.proposals import LIFE_MS, WAITING_MAX, stepped
from tests.infusion.bench import SITE, T0
from tests.monitor.web.api_house import ApiHouse, api_house, detail, slug, told
from tests.monitor.web.scripted import ScriptedWard

MINUTE = 60_000
ORDERS = "/therapies/home/T-01/orders"


@pytest_asyncio.fixture
async def house() -> AsyncIterator[ApiHouse]:
    """Two pumps that run well since half an hour."""
    async with api_house(quiet()) as found:
        yield found


def quiet() -> ScriptedWard:
    """Two pumps that run well since half an hour."""
    ward = ScriptedWard()
    ward.begin("P-01", "P-02")
    ward.advance(1_800)
    return ward


def order(rate: float = 20.0, **more: Any) -> dict[str, Any]:
    """The order in force, and another rate from 35 minutes on."""
    steps = [
        {"do": "start", "at_ms": T0, "rate_iu_kg_h": 18.0},
        {"do": "rate", "at_ms": T0 + 35 * MINUTE, "rate_iu_kg_h": rate},
    ]
    given = {"pump": "P-01", "weight_kg": 80.0, "concentration_iu_ml": 100.0, "steps": steps}
    return given | more


async def propose(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """A proposal."""
    found: dict[str, Any] = told(await client.post(ORDERS, json=order(**more)), 202)
    return found


def in_force(house: ApiHouse) -> Prescription:
    """The order of T-01."""
    found = house.office.in_force(SITE, "T-01")
    assert found is not None
    return found


async def test_another_person_confirms_and_then_it_is_in_force(house: ApiHouse) -> None:
    async with house.as_("ann") as ann, house.as_("ben", "pharmacist") as ben:
        proposal = await propose(ann, text="aPTT was 52 s")
        assert (proposal["state"], proposal["by"], proposal["against"]) == ("proposed", "ann", 1)
        (change,) = proposal["changes"]
        assert change == (
            "The rate from 2026-09-21 14:48 UTC: 20 IU/kg/h (1600 IU/h, 16 mL/h) instead of"
            " 18 IU/kg/h (1440 IU/h, 14.4 mL/h), 1.11 times as much."
        )
        assert "warnings" not in proposal
        assert in_force(house).version == 1, "nothing is in force yet"
        path = f"/proposals/{proposal['id']}"
        done = told(await ben.post(f"{path}/confirm", json={"text": "checked"}))
        assert done["state"] == "confirmed"
        assert [(step["what"], step["by"], step["role"]) for step in done["steps"]] == [
            ("proposed", "ann", "nurse"),
            ("confirming", "ben", "pharmacist"),
            ("confirmed", "ben", "pharmacist"),
        ]
        assert (in_force(house).version, len(in_force(house).steps)) == (2, 2)
        assert told(await ann.get(path)) == done
        assert told(await ann.get("/therapies/home/T-01"))["proposals"] == [done]
        assert told(await ann.get("/pumps/home/P-01"))["prescription"]["version"] == 2


async def test_who_proposed_it_cannot_confirm_it(house: ApiHouse) -> None:
    """Whatever roles she has, and however her token writes her name."""
    async with house.as_("ann", "nurse", "pharmacist") as ann:
        proposal = await propose(ann)
        response = await ann.post(f"/proposals/{proposal['id']}/confirm", json={})
        assert (response.status_code, slug(response)) == (403, "same-person")
        assert "another nurse or pharmacist" in detail(response)
        assert in_force(house).version == 1


async def test_a_rejected_one_is_closed(house: ApiHouse) -> None:
    async with house.as_("ann") as ann, house.as_("ben") as ben:
        proposal = await propose(ann)
        path = f"/proposals/{proposal['id']}"
        done = told(await ben.post(f"{path}/reject", json={"text": "the weight is wrong"}))
        assert (done["state"], done["steps"][-1]["text"]) == ("rejected", "the weight is wrong")
        for verb in ("confirm", "reject"):
            response = await ben.post(f"{path}/{verb}", json={})
            assert (response.status_code, slug(response)) == (409, "proposal-closed")
            assert detail(response) == "ben rejected it already"
        mine = await propose(ann)
        taken_back = told(await ann.post(f"/proposals/{mine['id']}/reject"))
        assert taken_back["steps"][-1]["by"] == "ann"


async def test_the_history_tells_who_did_what(house: ApiHouse) -> None:
    """Proposed, rejected, confirmed, with reasons; by pages, both ways, of a pump, in the
    hand-over."""
    async with house.as_("ann") as ann, house.as_("ben", "pharmacist") as ben:
        first = await propose(ann, text="aPTT was 52 s")
        told(await ben.post(f"/proposals/{first['id']}/reject", json={"text": "not yet"}))
        second = await propose(ann)
        told(await ben.post(f"/proposals/{second['id']}/confirm", json={"text": "checked"}))

        async def asked(**more: Any) -> dict[str, Any]:
            found: dict[str, Any] = told(await ann.get("/history", params={"kind": "order"} | more))
            return found

        steps = [row["order"] for row in (await asked())["items"]]
        assert [(step["what"], step["by"], step.get("text", "")) for step in steps] == [
            ("confirmed", "ben", "checked"),
            ("proposed", "ann", ""),
            ("rejected", "ben", "not yet"),
            ("proposed", "ann", "aPTT was 52 s"),
        ]
        assert steps[0]["role"] == "pharmacist"
        assert steps[-1]["changes"] == first["changes"]
        page = await asked(limit=1)
        walked = page["items"]
        while "next" in page:
            page = await asked(limit=1, before=page["next"])
            walked += page["items"]
        assert [row["order"] for row in walked] == steps
        along = (await asked(after=0))["items"]
        assert [row["order"] for row in along] == steps[::-1]
        assert (await asked(pump="home/P-01"))["items"] == along[::-1]
        assert await asked(pump="home/P-02") == {"items": []}
        report = told(await ann.get("/handover"))
        assert report["decided"] == steps
        assert told(await ann.get("/handover", params={"site": "ward"}))["decided"] == []
        late = {"since_ms": house.ward.now_ms()}
        assert told(await ann.get("/handover", params=late))["decided"] == []


async def test_a_change_is_looked_at_before_it_is_proposed(house: ApiHouse) -> None:
    """What it leads to can be proposed as it is, and nothing is kept by looking."""
    async with house.as_("ann") as ann, house.as_("eve", "viewer") as eve:
        change = {"kind": "bag", "pump": "P-01", "concentration_iu_ml": 50}
        seen = told(await ann.post(f"{ORDERS}/preview", json=change))
        comparison = seen.pop("comparison")
        assert comparison["words"] == "Dose × 1, pump rate × 2"
        assert comparison["is_wide"]
        assert (comparison["before"]["ml_h"], comparison["after"]["ml_h"]) == (14.4, 28.8)
        assert told(await ann.get("/proposals"))["items"] == []
        proposal = told(await ann.post(ORDERS, json=seen), 202)
        assert proposal["changes"][0] == "The bag has 50 IU/mL instead of 100 IU/mL."
        view = told(await ann.get("/therapies/home/T-01"))
        assert (view["standing"]["iu_h"], view["standing"]["runs"]) == (1440, True)
        wrong = await ann.post(f"{ORDERS}/preview", json={"kind": "rate", "pump": "P-01"})
        assert (wrong.status_code, detail(wrong)) == (422, "the rate is missing; give it")
        assert slug(await eve.post(f"{ORDERS}/preview", json=change)) == "not-allowed"


async def test_it_expires(house: ApiHouse) -> None:
    async with house.as_("ann") as ann, house.as_("ben") as ben:
        proposal = await propose(ann)
        house.ward.advance(LIFE_MS // 1_000 + 60)
        response = await ben.post(f"/proposals/{proposal['id']}/confirm", json={})
        assert (response.status_code, slug(response)) == (409, "proposal-closed")
        assert detail(response) == "it expired 4 h after it was proposed; propose it again"
        assert told(await ann.get("/proposals"))["items"][0]["state"] == "expired"
        assert told(await ann.get("/proposals", params={"state": "proposed"}))["items"] == []


async def test_an_order_that_came_in_between_was_not_checked(house: ApiHouse) -> None:
    async with house.as_("ann") as ann, house.as_("ben") as ben:
        proposal = await propose(ann)
        newer = Prescription(
            therapy="T-01",
            version=2,
            pump="P-01",
            weight_kg=80.0,
            concentration_iu_ml=100.0,
            steps=(Start(at_ms=T0, rate_iu_kg_h=12.0),),
        )
        await house.ward.tell(SITE, newer)
        response = await ben.post(f"/proposals/{proposal['id']}/confirm", json={})
        assert (response.status_code, slug(response)) == (409, "order-changed")
        assert "proposed against version 1, and version 2 is in force now" in detail(response)
        assert in_force(house) == newer
        late = await ann.post(ORDERS, json=order(against=1))
        assert (late.status_code, slug(late)) == (409, "order-changed")


async def test_an_order_that_comes_while_it_is_told_wins(house: ApiHouse) -> None:
    """The other order has the same version, and was first."""

    class Racing(ScriptedWard):
        async def tell(self, site: str, message: Any) -> None:
            await super().tell(site, rival)
            await super().tell(site, message)

    ward = Racing()
    ward.begin("P-01")
    ward.advance(1_800)
    async with api_house(ward) as racing, racing.as_("ann") as ann, racing.as_("ben") as ben:
        known = in_force(racing)
        rival = Prescription(
            therapy="T-01",
            version=2,
            pump="P-01",
            weight_kg=known.weight_kg,
            concentration_iu_ml=known.concentration_iu_ml,
            steps=(Start(at_ms=T0, rate_iu_kg_h=5.0),),
        )
        proposal = await propose(ann)
        response = await ben.post(f"/proposals/{proposal['id']}/confirm", json={})
        assert (response.status_code, slug(response)) == (409, "order-changed")
        assert in_force(racing) == rival


async def test_of_two_who_decide_at_once_one_is_first(house: ApiHouse) -> None:
    async with (
        house.as_("ann") as ann,
        house.as_("ben") as ben,
        house.as_("cem") as cem,
    ):
        proposal = await propose(ann)
        path = f"/proposals/{proposal['id']}"
        answers = await asyncio.gather(
            ben.post(f"{path}/confirm", json={}), cem.post(f"{path}/confirm", json={})
        )
        assert sorted(each.status_code for each in answers) == [200, 409]
        assert in_force(house).version == 2


async def test_a_monitor_that_ended_in_between_knows_who_confirmed(
    house: ApiHouse, tmp_path: Path
) -> None:
    """The order was told, and the proposal not closed: the order in force tells what happened."""
    file = tmp_path / "monitor.sqlite"
    ward = quiet()
    async with api_house(ward, store=file) as first, first.as_("ann") as ann:
        proposal = await propose(ann)
    async with ProposalStore(file) as store:
        kept = await store.get(proposal["id"])
        assert kept is not None
        assert await store.move(kept, stepped(kept, "confirming", "ben", ward.at_ms))
        await ward.tell(SITE, kept.prescription)
    async with api_house(ward, store=file) as second, second.as_("cem") as cem:
        response = await cem.post(f"/proposals/{proposal['id']}/confirm", json={})
        assert (response.status_code, slug(response)) == (409, "proposal-closed")
        assert detail(response) == "ben confirmed it already"


async def test_what_is_odd_is_a_warning(house: ApiHouse) -> None:
    async with house.as_("ann") as ann:
        tenfold = await propose(ann, rate=180.0)
        assert len(tenfold["warnings"]) == 3
        assert "10 times the one in force: look at decimal point" in tenfold["warnings"][0]
        assert (
            "Drug library: dose rate 180 IU/kg/h is above the hard limit 35." in tenfold["warnings"]
        )
        stranger = await propose(ann, pump="P-99")
        assert "No pump P-99 has been heard of at this site." in stranger["warnings"]


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"steps": [{"do": "stop", "at_ms": T0}]}, 422, "step 1: comes before any start"),
        ({"steps": [{"do": "start", "at_ms": T0}]}, 422, "exactly one of rate_iu_kg_h"),
        ({"steps": [{"do": "start", "at_ms": T0, "rate_iu_kg_h": 18.0}]}, 422, "nothing differs"),
        ({"steps": []}, 400, "'steps'"),
        ({"steps": [{"do": "go", "at_ms": T0}]}, 400, "'steps[0].do'"),
        ({"weight_kg": 0}, 400, "'weight_kg': expected a number >= 0.3"),
        ({"version": 3}, 400, "no field 'version'"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    house: ApiHouse, change: dict[str, Any], status: int, says: str
) -> None:
    async with house.as_("ann") as ann:
        response = await ann.post(ORDERS, json=order() | change)
        assert response.status_code == status, response.text
        assert says in detail(response)
        assert told(await ann.get("/proposals"))["items"] == []


async def test_a_first_order_begins_a_therapy(house: ApiHouse) -> None:
    async with house.as_("ann") as ann, house.as_("ben") as ben:
        path = "/therapies/home/T-77/orders"
        proposal = told(await ann.post(path, json=order(pump="P-02")), 202)
        assert proposal["changes"][0] == "There is no order for T-77 yet."
        told(await ben.post(f"/proposals/{proposal['id']}/confirm"))
        assert told(await ann.get("/therapies/home/T-77"))["pump"] == "P-02"


async def test_so_many_wait_and_no_more(house: ApiHouse) -> None:
    async with house.as_("ann") as ann:
        for number in range(WAITING_MAX):
            await propose(ann, rate=19.0 + number / 10)
        response = await ann.post(ORDERS, json=order(25.0))
        assert (response.status_code, slug(response)) == (409, "too-many-proposals")
        page = told(await ann.get("/proposals", params={"limit": 5}))
        rest = told(await ann.get("/proposals", params={"limit": 5, "cursor": page["next"]}))
        ids = [each["id"] for each in (*page["items"], *rest["items"])]
        assert len(set(ids)) == WAITING_MAX
        report = told(await ann.get("/handover"))
        assert len(report["proposals"]) == WAITING_MAX
        unknown = await ann.get("/proposals/order-none")
        assert (unknown.status_code, slug(unknown)) == (404, "unknown-proposal")

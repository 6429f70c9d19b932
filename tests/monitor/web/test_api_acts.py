"""What people do by the API: acts on alerts, results and reports; who was first, who may."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from infusion.errors import LinkError, MessageError, StoreError
from infusion.messages import Act, Audit
from monitor.people import ALL_ROLES, RIGHTS, Role
from monitor.web.operations import read_body
from monitor.web.problems import Problem
from tests.infusion.bench import SITE, T0
from tests.monitor.web.api_house import ApiHouse, api_house, detail, slug, told
from tests.monitor.web.scripted import ScriptedWard, night

MINUTE = 60_000
# Text that a page must show as it is; an API gives it as it came.
MARKUP = "<script>alert(1)</script>&\"'\u2028</b>\t😀"


@pytest_asyncio.fixture
async def house() -> AsyncIterator[ApiHouse]:
    """A ward at night."""
    ward = ScriptedWard()
    night(ward)
    async with api_house(ward) as found:
        yield found


async def alert_of(client: httpx.AsyncClient, rule: str) -> dict[str, Any]:
    """The worst open alert of a rule."""
    found: dict[str, Any] = told(await client.get("/alerts", params={"rule": rule}))["items"][0]
    return found


def body(alert: dict[str, Any], what: str, **more: Any) -> dict[str, Any]:
    """An act on an alert as it was seen."""
    return {"alert": alert["id"], "version": alert["version"], "what": what, **more}


async def test_an_act_is_done_by_who_is_signed_in(house: ApiHouse) -> None:
    async with house.as_("ann") as ann:
        alert = await alert_of(ann, "downstream-occlusion")
        audit = told(await ann.post("/acts", json=body(alert, "take", for_s=600)))
        assert audit["outcome"] == "done"
        assert audit["sentence"] == "ann has taken it for 10 min"
        assert (audit["act"]["by"], audit["act"]["role"]) == ("ann", "nurse")
        assert audit.get("before", {}) == {}
        assert audit["after"]["taken"]["by"] == "ann"
        now = await alert_of(ann, "downstream-occlusion")
        assert now["facts"]["taken"]["by"] == "ann"
        newest = told(await ann.get("/history", params={"kind": "audit", "limit": 1}))["items"]
        assert newest[0]["audit"] == audit


async def test_who_is_late_is_told_who_was_first(house: ApiHouse) -> None:
    async with house.as_("ann") as ann, house.as_("ben") as ben:
        alert = await alert_of(ann, "downstream-occlusion")
        told(await ann.post("/acts", json=body(alert, "take")))
        response = await ben.post("/acts", json=body(alert, "take"))
        assert (response.status_code, slug(response)) == (409, "late")
        assert detail(response) == "ann took it 0 s ago, and has it for another 30 min"
        assert response.json()["audit"]["outcome"] == "late"
        assert response.json()["audit"]["after"]["taken"]["by"] == "ann"


async def test_what_cannot_be_done_says_what_can(house: ApiHouse) -> None:
    async with house.as_("ann") as ann:
        alert = await alert_of(ann, "downstream-occlusion")
        response = await ann.post("/acts", json=body(alert, "snooze", for_s=600))
        assert (response.status_code, slug(response)) == (422, "refused")
        assert "snooze is not for a high alert; it can: take" in detail(response)
        later = {**body(alert, "take"), "version": alert["version"] + 7}
        response = await ann.post("/acts", json=later)
        assert (response.status_code, slug(response)) == (422, "refused")
        long = await ann.post("/acts", json=body(alert, "take", for_s=7 * 86_400))
        assert "is too long" in detail(long)


async def test_an_alert_that_is_over_is_late_and_one_that_never_was_is_unknown(
    house: ApiHouse,
) -> None:
    ward = house.ward
    async with house.as_("ann") as ann:
        alert = await alert_of(ann, "battery-low")
        ward.papers["P-09"].set(alarms=(), battery=0.9, power="mains")
        ward.advance(1_800)
        response = await ann.post("/acts", json=body(alert, "take"))
        assert (response.status_code, slug(response)) == (409, "late")
        assert detail(response) == "the alert is over; nothing is left to do about it"
        rows = len(ward.log)
        for name, kind in (
            ("home/P-09/battery-low/9999999999999", "unknown-alert"),
            ("home/P-09/no-such-rule/1", "unknown-alert"),
            ("home/P-99/battery-low/1", "unknown-pump"),
        ):
            response = await ann.post("/acts", json={**body(alert, "take"), "alert": name})
            assert (response.status_code, slug(response)) == (404, kind)
        assert len(ward.log) == rows, "what never was is not written down"


async def test_the_same_act_twice_is_done_once_and_answered_twice(house: ApiHouse) -> None:
    """A program that lost the answer may ask again."""
    async with house.as_("ann") as ann, house.as_("ben") as ben:
        alert = await alert_of(ann, "downstream-occlusion")
        act = body(alert, "take", act="try-1")
        first = told(await ann.post("/acts", json=act))
        assert told(await ann.post("/acts", json=act)) == first
        response = await ben.post("/acts", json=act)
        assert (response.status_code, slug(response)) == (409, "act-known")
        other = await ann.post("/acts", json={**act, "what": "acknowledge"})
        assert (other.status_code, slug(other)) == (409, "act-known")


async def test_an_offer_to_a_role_is_taken_in_that_role(house: ApiHouse) -> None:
    async with house.as_("ann") as ann, house.as_("eve", "nurse", "pharmacist") as eve:
        alert = await alert_of(ann, "downstream-occlusion")
        told(await ann.post("/acts", json=body(alert, "take")))
        alert = await alert_of(ann, "downstream-occlusion")
        told(await ann.post("/acts", json=body(alert, "hand-on", to="pharmacist")))
        alert = await alert_of(ann, "downstream-occlusion")
        audit = told(await eve.post("/acts", json=body(alert, "take")))
        assert audit["act"]["role"] == "pharmacist"
        assert audit["sentence"].startswith("eve has taken it from ann")


@pytest.mark.parametrize("role", ALL_ROLES)
async def test_each_role_does_just_what_it_may(house: ApiHouse, role: Role) -> None:
    drawn = {"specimen": "S-1", "test": "aptt", "value": 60.0, "unit": "s", "drawn_ms": T0}
    order = {"pump": "P-03", "weight_kg": 80, "concentration_iu_ml": 100, "steps": []}
    async with house.as_("zoe", role) as zoe:
        alert = await alert_of(zoe, "downstream-occlusion")
        writes: dict[str, tuple[str, dict[str, Any]]] = {
            "act": ("/acts", body(alert, "note", text="seen")),
            "result": ("/therapies/home/T-03/results", drawn),
            "report": ("/therapies/home/T-03/reports", {"what": "fever"}),
            "order": ("/therapies/home/T-03/orders", order),
            "confirm": ("/proposals/order-1/confirm", {}),
        }
        for right, (path, content) in writes.items():
            response = await zoe.post(path, json=content)
            if right in RIGHTS[role]:
                assert response.status_code not in (401, 403), response.text
            else:
                assert (response.status_code, slug(response)) == (403, "not-allowed")
                assert "nurse or pharmacist may" in detail(response)


async def test_text_comes_back_as_it_was_given(house: ApiHouse) -> None:
    async with house.as_("ann") as ann:
        alert = await alert_of(ann, "downstream-occlusion")
        audit = told(await ann.post("/acts", json=body(alert, "note", text=MARKUP)))
        assert audit["act"]["text"] == MARKUP
        assert (await alert_of(ann, "downstream-occlusion"))["facts"]["notes"][0]["text"] == MARKUP
        found = {"what": "bleeding", "detail": MARKUP}
        told(await ann.post("/therapies/home/T-03/reports", json=found), 201)
        response = await ann.get("/therapies/home/T-03")
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert told(response)["reports"][0]["detail"] == MARKUP
        wrong = await ann.get("/pumps", params={MARKUP: "1"})
        assert MARKUP[:64] in wrong.json()["field"]


# --- results and reports -------------------------------------------------------------------------


async def test_a_result_reaches_the_therapy(house: ApiHouse) -> None:
    drawn_ms = house.ward.at_ms - 30 * MINUTE
    given = {"specimen": "S-1", "test": "anti-xa", "value": 0.9, "unit": "[iU]/mL"}
    async with house.as_("ann") as ann:
        path = "/therapies/home/T-03/results"
        answer = told(await ann.post(path, json={**given, "drawn_ms": drawn_ms}), 201)
        assert answer["resulted_ms"] >= house.ward.at_ms
        assert told(await ann.get("/therapies/home/T-03"))["results"] == [answer]
        # Another therapy has its own.
        assert told(await ann.get("/therapies/home/T-04"))["results"] == []


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"unit": "g/L"}, 422, "anti-xa is read in '[iU]/mL'"),
        ({"drawn_ms": T0 + 400 * MINUTE}, 422, "lies in the future"),
        ({"drawn_ms": T0, "resulted_ms": T0 - 1}, 422, "blood is drawn first"),
        ({"value": None}, 422, "say in 'problem' why"),
        ({"value": -1}, 400, "'value': expected a number >= 0"),
        ({"test": "antixa"}, 400, "did you mean 'anti-xa'?"),
        ({"specimen": "no name"}, 400, "'specimen': expected text of 1 to 64 letters"),
        ({"specimin": "S"}, 400, "did you mean 'specimen'?"),
        ({"bound": "around"}, 400, "'bound'"),
    ],
)
async def test_a_result_that_cannot_be_is_refused(
    house: ApiHouse, change: dict[str, Any], status: int, says: str
) -> None:
    given = {"specimen": "S-1", "test": "anti-xa", "value": 0.9, "unit": "[iU]/mL", "drawn_ms": T0}
    async with house.as_("ann") as ann:
        response = await ann.post("/therapies/home/T-03/results", json=given | change)
        assert response.status_code == status, response.text
        assert says in detail(response)
        assert told(await ann.get("/therapies/home/T-03"))["results"] == []


async def test_a_report_is_by_who_is_signed_in(house: ApiHouse) -> None:
    async with house.as_("ann") as ann:
        path = "/therapies/home/T-03/reports"
        answer = told(await ann.post(path, json={"what": "bleeding", "report": "R-1"}), 201)
        assert (answer["by"], answer["report"]) == ("ann", "R-1")
        told(await ann.post(path, json={"what": "bleeding", "report": "R-1"}), 201)
        assert len(told(await ann.get("/therapies/home/T-03"))["reports"]) == 1
        house.ward.advance(60)
        assert "bleeding" in [each["rule"] for each in told(await ann.get("/alerts"))["items"]]
        unknown = await ann.post("/therapies/home/T-99/reports", json={"what": "fever"})
        assert (unknown.status_code, slug(unknown)) == (404, "unknown-therapy")


# --- bodies and failures -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"", 400, "wrong-field"),
        (b"{", 400, "wrong-request"),
        (b"[]", 400, "wrong-field"),
        (b"\xff\xfe", 400, "wrong-request"),
        (b"[" * 60_000, 400, "wrong-request"),
        (b'{"alert": "' + b"x" * 70_000 + b'"}', 413, "too-large"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(
    house: ApiHouse, content: bytes, status: int, kind: str
) -> None:
    headers = {"Content-Type": "application/json"}
    async with house.as_("ann") as ann:
        response = await ann.post("/acts", content=content, headers=headers)
        assert (response.status_code, slug(response)) == (status, kind)
        text = await ann.post("/acts", content=b"x=1", headers={"Content-Type": "text/plain"})
        assert (text.status_code, slug(text)) == (415, "not-json")


def test_a_whole_number_may_have_a_point() -> None:
    """JSON has one sort of number, and some programs write every one with a point."""

    class Given(msgspec.Struct):
        count: int
        share: float
        deep: list[dict[str, int]]

    assert read_body(Given, b'{"count": 5.0, "share": 5.0, "deep": [{"a": 1e3}]}') == Given(
        5, 5.0, [{"a": 1_000}]
    )
    with pytest.raises(Problem, match="whole number"):
        read_body(Given, b'{"count": 5.5, "share": 5.0, "deep": []}')


class Failing(ScriptedWard):
    """A ward whose store, or whose end, stands in the way."""

    error: Exception = StoreError("store /var/secret.sqlite: disk full")

    async def act(self, site: str, act: Act) -> Audit:
        """Nothing is done."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (StoreError("store secret.sqlite: disk full"), 503, "store-failed"),
        (LinkError("secret: the broker is gone"), 503, "not-ready"),
        (MessageError("busy", "too much is waiting"), 503, "busy"),
        (MessageError("payload", "the text is too long"), 422, "refused"),
        (RuntimeError("secret"), 500, "unexpected"),
    ],
)
async def test_a_failure_tells_nothing_of_the_inside(
    error: Exception, status: int, kind: str
) -> None:
    ward = Failing()
    ward.error = error
    night(ward)
    async with api_house(ward) as house, house.as_("ann") as ann:
        alert = await alert_of(ann, "downstream-occlusion")
        response = await ann.post("/acts", json=body(alert, "take"))
        assert (response.status_code, slug(response)) == (status, kind)
        assert "secret" not in response.text
        assert ("retry-after" in response.headers) == (status == 503)
        assert ward.papers, SITE

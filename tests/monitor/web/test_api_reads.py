"""What the API tells: each read, its filters, its pages, and what it says of a wrong request."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from infusion.clinical import LabResult
from infusion.monitor import Monitor
from infusion.policy_words import describe
from infusion.rules import RULES
from monitor.samples import Sample
from monitor.web.api.office import Walks, cursor
from monitor.web.problems import PROBLEMS, Problem
from tests.infusion.bench import SITE, T0
from tests.monitor.web.api_house import ApiHouse, api_house, detail, key_of, slug, told
from tests.monitor.web.scripted import ScriptedWard, night

MINUTE = 60_000


@pytest_asyncio.fixture
async def house() -> AsyncIterator[ApiHouse]:
    """A ward at night: fourteen pumps, something of everything."""
    ward = ScriptedWard()
    night(ward)
    async with api_house(ward) as found:
        yield found


@pytest_asyncio.fixture
async def ann(house: ApiHouse) -> AsyncIterator[httpx.AsyncClient]:
    """A nurse's program."""
    async with house.as_("ann") as client:
        yield client


async def pages(client: httpx.AsyncClient, path: str, **query: Any) -> list[Any]:
    """All items of a list, page by page."""
    found: list[Any] = []
    while True:
        answer = told(await client.get(path, params=query))
        assert len(answer["items"]) <= query["limit"]
        found += answer["items"]
        if "next" not in answer:
            return found
        query["cursor"] = answer["next"]


# --- pumps ---------------------------------------------------------------------------------------


async def test_pumps_come_in_pages_by_name(house: ApiHouse, ann: httpx.AsyncClient) -> None:
    rows = await pages(ann, "/pumps", limit=4)
    assert [row["key"] for row in rows] == sorted(house.ward.monitor.pumps)


async def test_pumps_are_found_by_site_text_and_worst_alert(ann: httpx.AsyncClient) -> None:
    async def keys(**query: str) -> list[str]:
        return [row["pump"] for row in told(await ann.get("/pumps", params=query))["items"]]

    assert await keys(q="t-07") == ["P-07"]
    assert await keys(q="DOWNSTREAM OCC") == ["P-03"]
    assert await keys(site="elsewhere") == []
    assert "P-03" in await keys(worst="high")
    assert "P-08" not in await keys(worst="high")


async def test_a_pump_is_shown_whole(house: ApiHouse, ann: httpx.AsyncClient) -> None:
    view = told(await ann.get("/pumps/home/P-03"))
    assert view["row"]["worst"] == "high"
    assert view["alerts"][0]["rule"] == "downstream-occlusion"
    assert view["unseen"] == []
    dose = view["doses"]["therapy"]
    assert 0 < dose["delivered_iu"] < dose["expected_iu"]
    assert view["presence"]["state"] == "online"
    assert view["prescription"]["version"] == 1
    forecast = view["forecast"]
    assert forecast["low"] <= forecast["level"] <= forecast["high"]
    # It is stopped, so its level falls: most likely below the range.
    assert forecast["share_below"] > forecast["share_above"]
    unseen = told(await ann.get("/pumps/home/P-12"))["unseen"]
    assert [alert["rule"] for alert in unseen] == ["air-in-line"]


async def test_a_pump_without_order_says_what_it_can(house: ApiHouse) -> None:
    ward = house.ward
    paper = ward.papers["P-01"]
    ward.monitor = Monitor()
    ward.monitor.receive(paper.stream[-1][1], SITE, ward.at_ms)
    async with house.as_("ann") as ann:
        view = told(await ann.get("/pumps/home/P-01"))
        assert "prescription" not in view
        assert "forecast" not in view
        assert view["doses"] == {}


async def test_a_trend_has_samples_results_and_marks(
    house: ApiHouse, ann: httpx.AsyncClient
) -> None:
    ward = house.ward
    drawn_ms = T0 + 20 * MINUTE
    result = LabResult(
        therapy="T-03",
        specimen="S-1",
        test="anti-xa",
        value=0.4,
        unit="[iU]/mL",
        drawn_ms=drawn_ms,
        resulted_ms=drawn_ms + MINUTE,
    )
    await ward.tell(SITE, result)
    known = Sample(T0 + MINUTE, 24.0, 24.0, 14.4, 14.4, 1440.0, 60.0, 0.1, 0.05, 0.2, 200.0)
    unknown = Sample(T0 + 31 * MINUTE, 744.0, None, 14.4, 14.4, None, None, None, None, None, None)
    ward.kept[key_of("P-03")] = [known, unknown]
    trend = told(await ann.get("/pumps/home/P-03/trend"))
    assert trend["to_ms"] - trend["from_ms"] == 24 * 60 * MINUTE
    times = [sample["time_ms"] for sample in trend["samples"]]
    assert times == sorted(times)
    # What is not known is not there, rather than null or zero.
    assert trend["samples"][0]["level_high"] == 0.2
    assert set(trend["samples"][1]) == {"time_ms", "delivered_iu", "rate_ml_h", "flow_ml_h"}
    assert [each["specimen"] for each in trend["results"]] == ["S-1"]
    raised = [(each["rule"], each["priority"]) for each in trend["marks"]]
    assert ("downstream-occlusion", "high") in raised
    assert [each["time_ms"] for each in trend["marks"]] == sorted(
        each["time_ms"] for each in trend["marks"]
    )
    assert trend["is_whole"]
    bounds = {"from_ms": T0 + 10 * MINUTE, "to_ms": T0 + 25 * MINUTE}
    part = told(await ann.get("/pumps/home/P-03/trend", params=bounds))
    assert len(part["results"]) == 1
    assert part["marks"] == []


@pytest.mark.parametrize(
    "query", [{"from_ms": T0 + 1, "to_ms": T0}, {"from_ms": T0, "to_ms": T0 + 32 * 86_400_000}]
)
async def test_a_trend_of_an_odd_stretch_is_refused(
    ann: httpx.AsyncClient, query: dict[str, int]
) -> None:
    response = await ann.get("/pumps/home/P-03/trend", params=query)
    assert (response.status_code, slug(response)) == (422, "refused")
    assert "from_ms" in detail(response)


# --- alerts --------------------------------------------------------------------------------------


async def test_alerts_come_worst_first(ann: httpx.AsyncClient) -> None:
    items = told(await ann.get("/alerts"))["items"]
    ranks = ["high", "medium", "low", "notice"]
    order = [(ranks.index(each["priority"]), each["raised_ms"]) for each in items]
    assert order == sorted(order)
    assert len(items) >= 7


async def test_alerts_are_found_by_priority_rule_text_and_who_took_them(
    ann: httpx.AsyncClient,
) -> None:
    async def rules(**query: str) -> list[str]:
        return [each["rule"] for each in told(await ann.get("/alerts", params=query))["items"]]

    assert set(await rules(rule="door-open")) == {"door-open"}
    assert "battery-low" in await rules(taken="true")
    assert "battery-low" not in await rules(taken="false")
    assert await rules(q="jonas") == ["battery-low"]
    assert await rules(unseen="true") == ["air-in-line"]
    assert await rules(site="elsewhere") == []
    high = await rules(priority="high")
    assert "downstream-occlusion" in high
    assert "battery-low" not in high


async def test_pages_of_alerts_hold_still_while_alerts_change(
    house: ApiHouse, ann: httpx.AsyncClient
) -> None:
    """Nothing is missed and nothing comes twice; each is as it stands when it is told."""
    ward = house.ward
    before = [each["id"] for each in told(await ann.get("/alerts"))["items"]]
    first = told(await ann.get("/alerts", params={"limit": 2}))
    # One that was not told yet is over, another one is noted, and a new one comes first of all.
    ward.papers["P-08"].set(alarms=(), reservoir_ml=200.0)
    ward.papers["P-01"].stop("air", alarms=("air-in-line",))
    ward.advance(300)
    ward.do("P-03", "take", by="Mira")
    ward.do("P-13", "note", by="Mira", text="seen to")
    rest = await pages(ann, "/alerts", limit=2, cursor=first["next"])
    told_ids = [each["id"] for each in (*first["items"], *rest)]
    over = next(each for each in before if "/P-08/" in each)
    assert told_ids == [each for each in before if each != over]
    new = {each["id"] for each in told(await ann.get("/alerts"))["items"]} - set(told_ids)
    assert [each.split("/")[1:3] for each in new] == [["P-01", "air-in-line"]]
    noted = next(each for each in rest if each["pump"] == "P-13")
    assert noted["facts"]["notes"][-1]["text"] == "seen to"


async def test_pages_that_are_no_longer_kept_say_so(
    house: ApiHouse, ann: httpx.AsyncClient
) -> None:
    first = told(await ann.get("/alerts", params={"limit": 2}))
    house.office.walks = Walks()
    response = await ann.get("/alerts", params={"limit": 2, "cursor": first["next"]})
    assert (response.status_code, slug(response)) == (410, "cursor-over")


def test_walks_are_bounded() -> None:
    walks = Walks(5)
    first, second = walks.begin(["a", "b", "c"]), walks.begin(["d", "e", "f"])
    with pytest.raises(Problem, match="begin without a cursor"):
        walks.ids(first)
    assert walks.ids(second) == ("d", "e", "f")


@pytest.mark.parametrize("text", ["x", "!!", cursor("pumps", "a"), "AAAA", "é"])
async def test_a_cursor_that_was_never_given_is_refused(ann: httpx.AsyncClient, text: str) -> None:
    response = await ann.get("/therapies", params={"cursor": text})
    assert (response.status_code, slug(response)) == (422, "refused")
    assert "cursor" in detail(response)


async def test_an_alert_is_shown_with_its_history(house: ApiHouse, ann: httpx.AsyncClient) -> None:
    (battery,) = told(await ann.get("/alerts", params={"rule": "battery-low"}))["items"]
    view = told(await ann.get(f"/alerts/{battery['id']}"))
    assert view["alert"] == battery
    words = [row["change"]["change"] if "change" in row else "act" for row in view["history"]]
    assert words == ["act", "noted", "act", "taken", "updated", "raised"]
    # One that is over is told by what was said of it last.
    house.ward.papers["P-09"].set(alarms=(), battery=0.9, power="mains")
    house.ward.advance(1_800)
    view = told(await ann.get(f"/alerts/{battery['id']}"))
    assert view["alert"]["state"] == "cleared"
    response = await ann.get(f"/alerts/{battery['id']}9")
    assert (response.status_code, slug(response)) == (404, "unknown-alert")
    response = await ann.get("/alerts/home/P-99/battery-low/1")
    assert (response.status_code, slug(response)) == (404, "unknown-pump")


# --- history, hand-over --------------------------------------------------------------------------


async def test_history_goes_back_and_along(house: ApiHouse, ann: httpx.AsyncClient) -> None:
    log = house.ward.log
    newest = told(await ann.get("/history", params={"limit": 5}))
    assert [row["number"] for row in newest["items"]] == [r.number for r in log[::-1][:5]]
    older = told(await ann.get("/history", params={"limit": 500, "before": newest["next"]}))
    assert [row["number"] for row in older["items"]] == [r.number for r in log[::-1][5:]]
    assert "next" not in older
    along = told(await ann.get("/history", params={"after": 0, "limit": 3}))
    assert [row["number"] for row in along["items"]] == [1, 2, 3]
    assert along["next"] == 3
    acts = told(await ann.get("/history", params={"kind": "audit", "pump": "home/P-09"}))
    assert [row["audit"]["act"]["what"] for row in acts["items"]] == ["note", "take"]
    both = await ann.get("/history", params={"before": 3, "after": 1})
    assert (both.status_code, slug(both)) == (422, "refused")


async def test_the_hand_over_says_what_the_next_shift_must_know(
    house: ApiHouse, ann: httpx.AsyncClient
) -> None:
    ward = house.ward
    ward.do("P-08", "snooze", by="Jonas", until_ms=ward.at_ms + 600_000)
    report = told(await ann.get("/handover"))
    assert report["alerts"][0]["priority"] == "high"
    assert [each["rule"] for each in report["unseen"]] == ["air-in-line"]
    assert [each["pump"] for each in report["snoozed"]] == ["P-08"]
    assert report["acts"][0]["act"]["what"] == "snooze"
    assert [each["pump"] for each in report["silent"]] == ["P-11"]
    assert len(report["orders"]) == 14
    assert report["orders"][0]["rate_ml_h"] == 14.4
    assert report["is_whole"]
    later: dict[str, str | int] = {"since_ms": ward.at_ms, "site": SITE}
    report = told(await ann.get("/handover", params=later))
    assert report["orders"] == []
    nobody = told(await ann.get("/handover", params={"site": "elsewhere"}))
    assert nobody["alerts"] == nobody["acts"] == nobody["silent"] == []
    future = await ann.get("/handover", params={"since_ms": ward.at_ms + 3_600_000})
    assert (future.status_code, slug(future)) == (422, "refused")


# --- therapies, rules, policy, system ------------------------------------------------------------


async def test_therapies_come_in_pages_and_are_found(ann: httpx.AsyncClient) -> None:
    rows = await pages(ann, "/therapies", limit=5)
    assert [row["therapy"] for row in rows] == [f"T-{number:02}" for number in range(1, 15)]
    (row,) = told(await ann.get("/therapies", params={"q": "p-07"}))["items"]
    assert (row["therapy"], row["pump"], row["version"]) == ("T-07", "P-07", 1)
    unknown = await ann.get("/therapies/home/T-99")
    assert (unknown.status_code, slug(unknown)) == (404, "unknown-therapy")


async def test_rules_and_policy_are_told_in_words(ann: httpx.AsyncClient, house: ApiHouse) -> None:
    rules = told(await ann.get("/rules"))["items"]
    assert {rule["key"] for rule in rules} == set(RULES)
    policy = told(await ann.get("/policy"))
    assert policy["sentences"] == describe(house.ward.references.policy)


async def test_work_and_guide(ann: httpx.AsyncClient, house: ApiHouse) -> None:
    """The work of all therapies, the missed first; a page for each alarm and complaint."""
    work = told(await ann.get("/work", params={"hours": 200}))
    assert work["is_whole"]
    therapies = {(each["site"], each["task"]["therapy"]) for each in work["items"]}
    assert therapies == {("home", f"T-{number:02}") for number in range(1, 15)}
    assert all(each["pump"] for each in work["items"])
    missed = [each["state"] == "overdue" for each in work["items"]]
    assert missed == sorted(missed, reverse=True)
    near = told(await ann.get("/work", params={"hours": 0}))
    assert all(each["state"] != "coming" for each in near["items"])
    assert len(near["items"]) < len(work["items"])
    assert told(await ann.get("/work", params={"site": "elsewhere"}))["items"] == []
    guide = told(await ann.get("/guide"))
    shown = house.ward.references.guide
    assert shown is not None
    assert [each["key"] for each in guide["items"]] == [*shown.alarm, *shown.complaint]
    assert guide["emergency"] == shown.emergency


async def test_the_system_tells_how_it_is(house: ApiHouse, ann: httpx.AsyncClient) -> None:
    system = told(await ann.get("/system"))
    assert system["pumps"] == system["therapies"] == 14
    assert system["broker"]["connected"]
    assert [each["pump"] for each in system["silent"]] == ["P-11"]
    assert system["alerts"]["unseen"] == 1
    assert sum(system["alerts"]["open"].values()) == len(told(await ann.get("/alerts"))["items"])
    assert system["totals"]["messages"] == house.ward.totals.messages


# --- wrong requests ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "kind", "says"),
    [
        ("/pumps?limit_=3", 400, "wrong-field", "did you mean 'limit'?"),
        ("/pumps?limit=abc", 400, "wrong-field", "'limit': expected a whole number, got text"),
        ("/pumps?limit=501", 400, "wrong-field", "<= 500"),
        ("/pumps?limit=1&limit=2", 400, "wrong-field", "'limit' is given twice"),
        ("/pumps?worst=hihg", 400, "wrong-field", "did you mean 'high'?"),
        ("/alerts?taken=1", 400, "wrong-field", "'taken': expected true or false"),
        ("/history?pump=P-03", 400, "wrong-field", "like site/pump"),
        ("/rules?x=1", 400, "wrong-field", "no parameter 'x'; this takes none"),
        ("/pumps/home/P-99", 404, "unknown-pump", "no pump P-99 of the site home"),
        ("/pumps/home/%20", 404, "not-found", "can be no pump"),
        ("/pumps/home/P%0A", 404, "not-found", "can be no pump"),
        ("/pumps/home/..%2f..%2fetc", 404, "not-found", "names nothing"),
        ("/nothing", 404, "not-found", "names nothing"),
    ],
)
async def test_what_is_wrong_is_said_with_what_would_be_right(
    ann: httpx.AsyncClient, path: str, status: int, kind: str, says: str
) -> None:
    response = await ann.get(path)
    assert (response.status_code, slug(response)) == (status, kind)
    assert says in detail(response)


async def test_another_method_is_told_which_there_are(ann: httpx.AsyncClient) -> None:
    for method in ("POST", "DELETE", "PUT"):
        response = await ann.request(method, "/pumps", json={})
        assert (response.status_code, slug(response)) == (405, "wrong-method")
        assert response.headers["allow"] == "GET, HEAD"
    head = await ann.head("/pumps")
    assert (head.status_code, head.content) == (200, b"")


async def test_until_the_state_is_resumed_nothing_is_told(
    house: ApiHouse, ann: httpx.AsyncClient
) -> None:
    """Half a ward would look like a quiet one."""
    house.ward.is_ready = False
    response = await ann.get("/alerts")
    assert (response.status_code, slug(response)) == (503, "not-ready")
    assert response.headers["retry-after"]


async def test_each_problem_has_a_page(house: ApiHouse) -> None:
    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as anybody:
        for name, known in PROBLEMS.items():
            page = (await anybody.get(f"/problems/{name}")).text
            assert known.title in page
            assert known.meaning in page
        assert "late (409)" in (await anybody.get("/problems")).text
        assert "did you mean 'late'?" in detail(await anybody.get("/problems/latee"))


async def test_nobody_is_told_anything(house: ApiHouse) -> None:
    async with house.program("dw_0123456789ab_" + "x" * 43) as stranger:
        for path in ("/pumps", "/openapi.json", "/alerts/home/P-03/door-open/1"):
            response = await stranger.get(path)
            assert (response.status_code, slug(response)) == (401, "not-signed-in")


async def test_an_answer_does_not_wait_for_an_acknowledgement(ann: httpx.AsyncClient) -> None:
    """Nagle's algorithm would make the fastest of them take 40 ms."""
    fastest = min([(await ann.get("/policy")).elapsed.total_seconds() for _ in range(20)])
    assert fastest < 0.03

"""The metrics: what is scraped is what stands, and what is written in docs/metrics.md."""

from collections import Counter
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from infusion.board import Counts as RuleCounts
from monitor.runner import Totals
from monitor.web.metrics import MEASURES
from tests.monitor.web.listening import Service, served
from tests.monitor.web.scripted import ScriptedWard, night

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"

Scraped = dict[tuple[str, str], float]


async def scraped(service: Service) -> Scraped:
    """Each of our own samples, by its name and the value of its label."""
    async with service.client() as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name.startswith("dripwatch_")
    }


async def test_what_is_scraped_is_what_stands() -> None:
    ward = ScriptedWard(speed=2.0, lag_ms=3_000, behind_ms=9_000)
    night(ward)
    ward.totals = Totals(messages=7, batches=3, changes=5, again=2, acts_done=4, acts_late=1)
    ward.monitor.refused = {"payload": 2}
    ward.monitor.clock.stalled_ms = 5_000
    first, second = list(ward.monitor.pumps.values())[:2]
    first.account.duplicates, first.account.late, first.account.too_late = 3, 5, 7
    second.account.late, second.account.closed = 1, 2
    first.board.counts["battery-low"] = RuleCounts(raised=4, damped=2)
    second.board.counts["near-end"] = RuleCounts(raised=1, dropped=6)
    said = Counter(
        key
        for each in ward.monitor.pumps.values()
        for key in each.board.counts
        for _ in range(each.board.counts[key].raised)
    )
    async with served(ward) as service, service.listen() as events:
        await anext(events)
        found = await scraped(service)
    for name, label, value in (
        ("dripwatch_messages_total", "", 7),
        ("dripwatch_batches_total", "", 3),
        ("dripwatch_alert_changes_total", "", 5),
        ("dripwatch_messages_repeated_total", "", 2),
        ("dripwatch_messages_refused_total", "payload", 2),
        ("dripwatch_messages_known_total", "", 3),
        ("dripwatch_messages_late_total", "", 6),
        ("dripwatch_messages_too_late_total", "", 7),
        ("dripwatch_gaps_closed_total", "", 2),
        ("dripwatch_alerts_raised_total", "battery-low", said["battery-low"]),
        ("dripwatch_alerts_damped_total", "battery-low", 2),
        ("dripwatch_alerts_dropped_total", "near-end", 6),
        ("dripwatch_acts_total", "done", 4),
        ("dripwatch_acts_total", "late", 1),
        ("dripwatch_acts_total", "refused", 0),
        ("dripwatch_pumps", "", 14),
        ("dripwatch_pumps_silent", "", 1),
        ("dripwatch_lag_seconds", "", 1.5),
        ("dripwatch_behind_seconds", "", 4.5),
        ("dripwatch_stalled_seconds_total", "", 2.5),
        ("dripwatch_broker_connected", "", 1),
        ("dripwatch_ready", "", 1),
        ("dripwatch_page_viewers", "", 1),
        ("dripwatch_page_streams_total", "", 1),
        ("dripwatch_page_rows_total", "", 14),
        ("dripwatch_info", "test", 1),
    ):
        assert found[name, label] == value, name
    lists = [ward.monitor.open_alerts(key) for key in ward.monitor.pumps]
    for priority in ("high", "medium", "low", "notice"):
        opened = sum(alert.priority == priority for each in lists for alert in each.alerts)
        assert found["dripwatch_alerts_open", priority] == opened
    assert found["dripwatch_alerts_open", "high"] > 0
    assert found["dripwatch_alerts_unseen", ""] == sum(len(each.unseen) for each in lists) > 0
    assert found["dripwatch_page_sent_bytes_total", ""] > 1_000
    assert 0 <= found["dripwatch_commit_age_seconds", ""] < 60


async def test_the_document_holds_what_is_exposed_and_nothing_else() -> None:
    lines = [
        [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `dripwatch_") and line.count("|") == 5
    ]
    assert lines == [[each.full_name, each.kind, each.label, each.words] for each in MEASURES]
    ward = ScriptedWard()
    night(ward)
    ward.monitor.refused = {"payload": 1}
    async with served(ward) as service:
        names = {name for name, _ in await scraped(service)}
    assert names == {each.full_name for each in MEASURES}


async def test_open_metrics_for_those_who_ask() -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    async with served(ScriptedWard()) as service, service.client(accept=accept) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_it_takes_a_token_unless_it_is_open() -> None:
    for is_open, status in ((False, 401), (True, 200)):
        async with (
            served(ScriptedWard(), metrics_open=is_open) as service,
            httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
        ):
            answer = await client.get("/metrics")
            assert answer.status_code == status
            assert ("dripwatch_pumps" in answer.text) is is_open

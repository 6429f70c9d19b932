"""Each benchmark runs at a tiny size and says something sane; no absolute time is judged here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import percentile, spread
from benchmarks.stream import Counted, alarming, count, first_messages, last_of, make_fleet
from benchmarks.subject import losses
from infusion.messages import AlertChange, Kind, PumpMessage, decode, parse_topic
from infusion.monitor import Monitor
from monitor.behind import CAUGHT_UP_MS
from monitor.ports import Entry
from monitor.runner import step
from tests.brokers import mosquitto_or_skip
from tests.monitor.web.browser import needs_chromium

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0


def bench(name: str, folder: Path, *options: str) -> tuple[str, Any]:
    """Run a benchmark as its documentation says; what it printed, and its JSON."""
    file = folder / "result.json"
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, json.loads(file.read_text())


@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
def test_intake(broker: str, tmp_path: Path) -> None:
    if broker == "mosquitto":
        mosquitto_or_skip()
    options = ("--broker", broker, "--messages", "600", "--pumps", "20", "--rounds", "1")
    said, result = bench("intake", tmp_path, *options)
    assert "the messages a CPU second" in said
    assert result["lost"] == []
    assert result["monitor"]["cpu_us"]["median"] > 0
    # The embedded broker cannot hand on to MQTT 3.1.1 what pumps say over MQTT 5.
    versions = ["5"] if broker == "embedded" else ["5", "3.1.1"]
    assert [peer["version"] for peer in result["aiomqtt"]] == versions
    for peer in result["aiomqtt"]:
        assert peer["rate_ratio"] > 0
        assert peer["cpu_ratio"] > 0


def test_service_month(tmp_path: Path) -> None:
    """Few patients and few days: all that was planted is told, and nothing else; days agree."""
    options = ("--patients", "8", "--days", "11", "--seed", "5")
    said, result = bench("service_month", tmp_path, *options)
    assert "8 patients, 11 days" in said
    assert result["planted"] > 3
    assert (result["missed"], result["false"], result["wrong_days"]) == ([], [], [])
    assert result["patient_days"] >= 8 * 9


def test_page(tmp_path: Path) -> None:
    options = ("--pumps", "50", "--viewers", "3", "--for", "3", "--broker", "embedded")
    said, result = bench("page", tmp_path, *options)
    assert "50 pumps, 5 changes/s" in said
    weight = result["weight"]
    assert weight["files"] > 8
    # The page's budget; what a browser loads is a fact, not a time.
    assert weight["packed_bytes"] <= 60_000
    alone, looked_at = result["rounds"]
    assert (alone["viewers"], alone["stalled"]) == (0, 0)
    assert (looked_at["viewers"], looked_at["stalled"]) == (3, 1)
    assert looked_at["snapshot_bytes"] > 10_000
    assert looked_at["viewer_bytes_s"] > 500
    assert looked_at["delay_p99_ms"] > 0


@needs_chromium
def test_page_in_a_browser(tmp_path: Path) -> None:
    """Both views see the pumps change, and every alarm; how fast is not asked of a busy machine."""
    options = ("--pumps", "50", "--viewers", "1", "--for", "2", "--broker", "embedded", "--browser")
    said, result = bench("page", tmp_path, *options)
    assert "browser at /wall: change to paint" in said
    assert [each["view"] for each in result["painted"]] == ["/wall", "/"]
    for each in result["painted"]:
        assert each["changes"] > 5
        assert each["alerts"] > 5
        assert 0 < each["event_p50_ms"] < each["alert_paint_p99_ms"]
        assert each["tab_share"] > 0


def test_day(tmp_path: Path) -> None:
    said, result = bench("day", tmp_path, "--pumps", "20", "--hours", "0.1")
    assert "a day: CPU" in said
    assert result["messages"] == 20 * 36
    assert result["parts"][0]["share"] > 0


def test_balance() -> None:
    """A fleet with every fault in force loses no volume; a day of a few pumps stands for a week."""
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.balance", "--pumps", "9", "--days", "0.5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "volume balance of 9 mixed pumps" in said.stdout


def test_fleet(tmp_path: Path) -> None:
    options = ("--pumps", "50", "--pumps", "500", "--steps", "5", "--rounds", "1")
    said, result = bench("fleet", tmp_path, *options, "--message-pumps", "20")
    assert "one physics step" in said
    assert [each["pumps"] for each in result["steps"]] == [50, 500]
    assert all(0 < each["median_ms"] <= each["p99_ms"] for each in result["steps"])
    assert result["message_us"]["median"] > 0


def test_ward(tmp_path: Path) -> None:
    said, result = bench("ward", tmp_path, "--pumps", "4", "--days", "1", "--seeds", "1")
    assert "alarms an hour" in said
    figures = {each["name"]: each["measured"]["median"] for each in result["figures"]}
    assert sum(result["by_alarm"].values()) == round(figures["alarms an hour"] * 4 * 24) > 0
    assert sum(figures[name] for name in figures if name.endswith(", %")) > 100


def test_delay(tmp_path: Path) -> None:
    mosquitto_or_skip()
    said, result = bench("delay", tmp_path, "--rate", "20", "--for", "2")
    assert "alert delay" in said
    assert result["lost"] == []
    assert result["probes"] > 0
    assert 0 < result["delay_p50_ms"] <= result["delay_p99_ms"] <= result["delay_max_ms"]


@pytest.mark.parametrize("mqtt", ["5", "3.1.1"])
def test_overload(mqtt: str, tmp_path: Path) -> None:
    """Under three times its capacity it keeps its memory, loses nothing, says so and catches up."""
    mosquitto_or_skip()
    options = ("--for", "4", "--duty", "0.05", "--first", "1000", "--mqtt", mqtt)
    said, result = bench("overload", tmp_path, *options)
    assert "accounts that differ from what was sent: 0" in said
    assert result["lost"] == []
    assert result["queued_max"] > 1_000
    assert result["behind_max_s"] > 1.0
    assert result["behind_end_ms"] <= CAUGHT_UP_MS
    # An inbox full of its largest messages, and what came in one read.
    assert result["memory_max_bytes"] - result["memory_before_bytes"] < 48_000_000


def test_workers(tmp_path: Path) -> None:
    """Shared among two, the busiest does less than both."""
    mosquitto_or_skip()
    options = ("--messages", "4000", "--pumps", "40", "--rounds", "1", "--workers", "1")
    said, result = bench("workers", tmp_path, *options, "--workers", "2")
    assert "router to 2" in said
    alone, shared = result["rows"]
    assert (alone["workers"], shared["workers"]) == (1, 2)
    assert 0 < shared["busiest_us"]["median"] < shared["worker_us"]["median"]
    assert result["router_us"]["median"] > 0


def test_size(tmp_path: Path) -> None:
    mosquitto_or_skip()
    picture = tmp_path / "size.svg"
    sizes = ("--pumps", "30", "--pumps", "300", "--messages", "1000", "--picture", str(picture))
    said, result = bench("size", tmp_path, *sizes)
    assert "from 30 to 300 pumps" in said
    assert [row["pumps"] for row in result["rows"]] == [30, 300]
    assert all(row["lost"] == [] and row["us"] > 0 for row in result["rows"])
    assert picture.read_bytes().startswith(b"<?xml")


def test_soak(tmp_path: Path) -> None:
    mosquitto_or_skip()
    said, result = bench("soak", tmp_path, "--minutes", "0.1", "--pumps", "20")
    assert "days of theirs" in said
    assert result["lost"] == []
    assert result["messages"] > 500
    assert 0 < result["memory_half"] <= result["memory_max"]


def test_load(tmp_path: Path) -> None:
    """Sessions and rates, beside the loops of two clients."""
    mosquitto_or_skip()
    said, result = bench("load", tmp_path, "--rounds", "1", "--for", "1", "--sessions", "40")
    assert "40 sessions from 1" in said
    assert [each["sessions"] for each in result["sessions"]] == [40, 80]
    assert all(each["lost"] == 0 for each in result["sessions"])
    tools = [each["tool"] for each in result["rates"]]
    assert tools[:4] == ["dripwatch load", "dripwatch load --closed", "paho loop", "aiomqtt loop"]
    assert all(each["messages_s"]["median"] > 0 for each in result["rates"])


def test_the_stream_is_real_and_has_no_duplicate() -> None:
    stream = first_messages(make_fleet(20), 400)
    assert len(stream) == 400
    assert [each.kind for each in stream[:20]] == [Kind.ORDER] * 20
    read = [decode(parse_topic(each.topic), each.payload) for each in stream]
    names = [(m.pump, m.boot, m.seq) for m in read if isinstance(m, PumpMessage)]
    assert len(names) == len(set(names)) > 300


def test_the_alarm_that_ends_a_stream_is_raised_at_once() -> None:
    stream = first_messages(make_fleet(20), 100)
    for kind in (Kind.TELEMETRY, Kind.EVENT):
        topic, payload = alarming(last_of(kind, stream), "P-END", 0)
        assert parse_topic(topic).kind is kind
        said, refused = step(Monitor(), [Entry(1, topic, payload, "1")])
        assert not refused
        assert {each.alert.pump for each in said if isinstance(each, AlertChange)} == {"P-END"}


def test_a_lost_message_is_found() -> None:
    stream = first_messages(make_fleet(20), 400)
    entries = [Entry(each.time_ms, each.topic, each.payload, "1") for each in stream]
    whole, short = Monitor(), Monitor()
    step(whole, entries)
    last = next(place for place in reversed(range(400)) if stream[place].kind is Kind.TELEMETRY)
    step(short, entries[:last] + entries[last + 1 :])
    assert losses(count(stream), whole.pumps) == []
    assert len(losses(count(stream), short.pumps)) == 1
    assert len(losses({"home/P-99": Counted(1)}, whole.pumps)) == 1


def test_figures() -> None:
    figure = spread([3.0, 1.0, 2.0])
    assert (figure.median, figure.low, figure.high) == (2.0, 1.0, 3.0)
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0

"""`dripwatch act`: what is typed, what is published, and what the monitor answers."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from msgspec.structs import replace

from dripwatch.act import WORDS, length_ms, place_of
from dripwatch.view import audit_line
from infusion.errors import ConfigError
from infusion.messages import Act, Alert, Audit, Kind, OpenAlerts, decode, parse_topic
from link import Link
from tests.brokers import Mosquitto, free_port
from tests.dripwatch.commands import ROOT, dripwatch, readme_lines, start
from tests.monitor.peers import WAIT_S, collect, peer, play
from tests.monitor.streams import ward


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("30 min", 1_800), ("1.5h", 5_400)]
)
def test_a_length_as_people_write_it(text: str, seconds: int) -> None:
    """Seconds, minutes and hours."""
    assert length_ms(text) == seconds * 1_000


def test_an_alert_is_its_id_or_the_beginning_of_it() -> None:
    """Site and pump are enough where one alert is open."""
    assert place_of("home/P-03") == ("home", "P-03")
    assert place_of("home/P-03/free-flow-seen/17") == ("home", "P-03", "free-flow-seen", "17")
    for bad in ("P-03", "home/P 3", "home/P-03/a/b/c", "+/P-03", ""):
        with pytest.raises(ConfigError, match="alert"):
            place_of(bad)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["steal", "home/P-03", "--by", "n"],
            snapshot(
                "2: Error: Invalid value for 'WHAT': 'steal' is not one of 'take', 'hand-on', 'release', 'decline', 'acknowledge', 'audio-pause', 'audio-resume', 'snooze', 'wake', 'note'."
            ),
        ),
        (["take", "home/P-03"], snapshot("2: Error: Missing option '--by'.")),
        (
            ["take", "P-03", "--by", "n"],
            snapshot(
                "2: dripwatch: alert 'P-03': write site/pump, site/pump/rule, or the whole id"
            ),
        ),
        (
            ["take", "home/P-03", "--by", "n", "--for", "soon"],
            snapshot("2: dripwatch: flag --for: 'soon' is no length of time; write 90s, 30m or 2h"),
        ),
        (
            ["take", "home/P-03", "--by", "n", "--version", "2"],
            snapshot(
                "2: dripwatch: flag --version: 'home/P-03' is not a whole id; leave --version out"
            ),
        ),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(arguments: list[str], text: str) -> None:
    """Exit code 2, and one readable text; no broker is asked."""
    done = dripwatch("act", *arguments, "--broker", f"mqtt://127.0.0.1:{free_port()}")
    assert f"{done.returncode}: {done.stderr.strip().splitlines()[-1]}" == text


def test_help_names_every_act() -> None:
    """The words of the contract are the words of the command."""
    told = dripwatch("act", "--help").stdout
    assert [word for word in WORDS if word not in told] == []


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of its own."""
    with Mosquitto(tmp_path) as broker:
        yield broker


def test_without_a_list_or_a_monitor_it_says_so(mosquitto: Mosquitto) -> None:
    """Nothing retained: exit code 1. Nobody answers: exit code 3, and that it may still be done."""
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    lines = readme_lines("act")
    assert len(lines) == 3
    take = ["act", "take", "home/P-03/free-flow-seen/1790000000000", "--version", "1", "--by", "n"]
    # Each waits for its own time-out, so they wait together; only the broker is another one here.
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda line: dripwatch(*line, "--broker", url), [*lines, take]))
    for each in done[:3]:
        assert each.returncode == 1
        assert "no monitor has ever told of an alert of home/P-03" in each.stderr
    assert done[3].returncode == 3
    assert "no monitor answered" in done[3].stderr


@pytest.fixture
def monitor(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A monitor of its own on that broker; it must end well."""
    store = str(tmp_path / "m.sqlite3")
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    process = start("monitor", "--broker", url, "--store", store)
    yield process
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors


async def until_listed(link: Link, pump: str, rule: str) -> Alert:
    """An alert of a pump, as soon as the open list has it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for message in await collect(link, 1):
                open_ = decode(parse_topic(message.topic), message.payload)
                assert isinstance(open_, OpenAlerts)
                for alert in open_.alerts:
                    if (alert.pump, alert.rule) == (pump, rule):
                        return alert


def said_until(watching: subprocess.Popen[str], outcome: str) -> list[dict[str, Any]]:
    """What a watch says up to an answer of that outcome; then Ctrl-C ends it well."""
    assert watching.stdout is not None
    said: list[dict[str, Any]] = []
    for line in watching.stdout:
        said.append(json.loads(line))
        if said[-1].get("outcome") == outcome:
            break
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=30)
    assert watching.returncode == 0, errors
    return said


async def test_of_two_nurses_one_is_told_who_was_first(
    mosquitto: Mosquitto, monitor: subprocess.Popen[str]
) -> None:
    """The first one takes the alert, the second is late; watch shows both, the list one name."""
    assert monitor.poll() is None
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    watching = start("watch", "--broker", url, "--json", "--for", "60")
    whole = ward()
    wire = [entry for entry in whole if entry[0] <= whole[0][0] + 12 * 60_000]
    async with peer(mosquitto, Kind.MONITOR_PRESENCE) as link:
        await collect(link, 2)
        await play(link, wire)
    async with peer(mosquitto, Kind.ALERTS, name="lists") as link:
        alert = await until_listed(link, "P-02", "rate-not-as-ordered")
        place = "home/P-02/rate-not-as-ordered"
        first = dripwatch("act", "take", place, "--by", "nurse-1", "--broker", url)
        assert first.returncode == 0, first.stderr
        assert "nurse-1" in first.stdout
        late = dripwatch(
            "act", "take", alert.id, "--by", "nurse-2", "--broker", url,
            "--version", str(alert.version), "--json",
        )  # fmt: skip
        assert late.returncode == 1
        answer: dict[str, Any] = json.loads(late.stdout)
        assert answer["outcome"] == "late"
        assert "nurse-1" in answer["sentence"]
    none = dripwatch("act", "take", "home/P-02/no-such-rule", "--by", "n", "--broker", url)
    assert none.returncode == 1
    assert "is not open; open there:\n  " in none.stderr
    assert f"  {alert.id}  rate is not as ordered\n" in none.stderr
    said = said_until(watching, "late")
    acts = [(each["act"]["by"], each["outcome"]) for each in said if "outcome" in each]
    assert acts == [("nurse-1", "done"), ("nurse-2", "late")]
    taken = [each["alert"] for each in said if each.get("change") == "taken"]
    assert [each["facts"]["taken"]["by"] for each in taken] == ["nurse-1"]


def test_an_act_as_a_line() -> None:
    """What a person reads in the stream: when, what came of it, where, who did what, and why so."""
    act = Act(
        act="A-1",
        pump="P-03",
        alert="home/P-03/free-flow-seen/1790000000000",
        version=1,
        what="take",
        by="nurse-2",
        time_ms=1_790_000_000_000,
    )
    audit = Audit(
        site="home",
        pump="P-03",
        act=act,
        outcome="late",
        sentence="nurse-1 took it 5 s ago, and has it for another 30 min",
        at_ms=1_790_000_000_000,
    )
    assert audit_line(audit, None).plain == snapshot(
        "2026-09-21T14:13:20Z  LATE        P-03 free-flow-seen take by nurse-2: nurse-1 took it 5 s ago, and has it for another 30 min"
    )
    odd = replace(audit, act=replace(act, alert="x"), outcome="refused", sentence="no such alert")
    assert audit_line(odd, 1_789_999_940_000).plain == snapshot(
        "00:01:00  REFUSED     P-03 take by nurse-2: no such alert"
    )


async def test_an_order_from_a_file_leads_to_an_alert_that_a_nurse_takes(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """send, watch and act as processes: a pump that is ordered and silent is missed and seen to."""
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    store = str(tmp_path / "m.sqlite3")
    # Five minutes of silence in half a second.
    process = start("monitor", "--broker", url, "--store", store, "--speed", "600")
    try:
        async with peer(mosquitto, Kind.MONITOR_PRESENCE) as link:
            # The session of the monitor must exist before anybody speaks.
            await collect(link, 2)
        example = str(ROOT / "config" / "examples" / "clinic.toml")
        sent = dripwatch("send", example, "--broker", url, "--watch", "--for", "4")
        assert sent.returncode == 0, sent.stderr
        assert any("1 order, 1 lab, 1 report" in line for line in sent.stdout.splitlines())
        assert "P-99 raised no telemetry" in sent.stdout
        place = "home/P-99/no-telemetry"
        taken = dripwatch("act", "take", place, "--by", "nurse-1", "--for", "2h", "--broker", url)
        assert taken.returncode == 0, taken.stderr
        assert taken.stdout == "nurse-1 has taken it for 2 h\n"
        seen = dripwatch("watch", "--broker", url, "--json", "--for", "1")
        alerts = [json.loads(line)["alert"] for line in seen.stdout.splitlines()]
        facts = [alert["facts"] for alert in alerts if alert["rule"] == "no-telemetry"]
        assert facts[0]["taken"]["by"] == "nurse-1"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0

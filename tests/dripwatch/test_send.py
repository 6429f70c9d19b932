"""`dripwatch send`: what a file may hold, what is said about mistakes in it, and what is sent."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from dripwatch.send_file import FILE_BYTES_MAX, PROBLEMS_MAX, Letter, read_letters
from infusion.clinical import LabResult, Report
from infusion.errors import ConfigError
from infusion.messages import Kind, decode, parse_topic, subscription
from infusion.prescription import Hold, Prescription
from link import LinkSettings, Message, Subscription, open_link
from tests.brokers import BrokerProcess, Embedded, Mosquitto, free_port
from tests.dripwatch.commands import ROOT, dripwatch, readme_lines

NOW_MS = 1_790_000_000_000
EXAMPLES = ROOT / "config" / "examples"
REPORT: dict[str, Any] = {
    "site": "home",
    "kind": "report",
    "therapy": "T-1",
    "report": "R-1",
    "what": "bleeding",
    "by": "nurse-1",
    "time_ms": "now",
}


def read(*entries: dict[str, Any], name: str = "f.jsonl") -> list[Letter]:
    data = "\n".join(json.dumps(entry) for entry in entries)
    return read_letters(data.encode(), name, NOW_MS)


def content(letter: Letter) -> object:
    return decode(letter.topic, letter.payload)


def refusal(data: bytes, name: str = "f.jsonl") -> str:
    with pytest.raises(ConfigError) as caught:
        read_letters(data, name, NOW_MS)
    return str(caught.value)


def test_the_three_forms_say_the_same() -> None:
    """JSON Lines, a JSON list and TOML give the same topics and payloads."""
    lines = read(REPORT, REPORT | {"therapy": "T-2"})
    listed = read_letters(json.dumps([REPORT, REPORT | {"therapy": "T-2"}]).encode(), "f", NOW_MS)
    toml = b'site = "home"\n' + b"".join(
        f'[[report]]\ntherapy = "{therapy}"\nreport = "R-1"\nwhat = "bleeding"\nby = "nurse-1"\n'
        'time_ms = "now"\n'.encode()
        for therapy in ("T-1", "T-2")
    )
    tables = read_letters(toml, "f.toml", NOW_MS)
    sent = [(str(letter.topic), letter.payload) for letter in lines]
    assert [topic for topic, _ in sent] == [
        "infusion/v1/home/T-1/report",
        "infusion/v1/home/T-2/report",
    ]
    assert [(str(letter.topic), letter.payload) for letter in listed] == sent
    assert [(str(letter.topic), letter.payload) for letter in tables] == sent
    assert [letter.place for letter in tables] == [
        "f.toml: [[report]] 1",
        "f.toml: [[report]] 2",
    ]


def test_a_topic_stands_for_site_and_kind() -> None:
    """What was written down from a broker, topic and payload, can be sent as it is."""
    entry = {key: value for key, value in REPORT.items() if key not in ("site", "kind")}
    (letter,) = read({"topic": "infusion/v1/ward-3/T-1/report", **entry})
    assert letter.topic == parse_topic("infusion/v1/ward-3/T-1/report")


@pytest.mark.parametrize(
    ("text", "away_ms"),
    [
        ("now", 0),
        ("now-90min", -90 * 60_000),
        ("now + 2h", 2 * 3_600_000),
        ("now-1.5h", -90 * 60_000),
        ("now-20s", -20_000),
        ("now+3d", 3 * 86_400_000),
        (NOW_MS + 7, 7),
        ("2026-09-21T14:13:20Z", 0),
        ("2026-09-21T16:13:20+02:00", 0),
    ],
)
def test_times_as_people_write_them(text: str | int, away_ms: int) -> None:
    """Every time is on the wire in Unix milliseconds, however it is written."""
    (letter,) = read(REPORT | {"time_ms": text})
    report = content(letter)
    assert isinstance(report, Report)
    assert report.time_ms == NOW_MS + away_ms


def test_a_date_of_toml_is_a_time() -> None:
    """TOML has dates of its own; a message's times may be written so, also in its steps."""
    toml = b"""
[[order]]
site = "home"
therapy = "T-1"
version = 1
pump = "P-1"
weight_kg = 80
concentration_iu_ml = 100
steps = [
    { do = "start", at_ms = 2026-09-21T14:13:20Z, rate_iu_kg_h = 18 },
    { do = "hold", at_ms = "now+1h", until_ms = "now+2h" },
]
"""
    (letter,) = read_letters(toml, "f.toml", NOW_MS)
    order = content(letter)
    assert isinstance(order, Prescription)
    assert order.steps[0].at_ms == NOW_MS
    assert order.steps[1] == Hold(at_ms=NOW_MS + 3_600_000, until_ms=NOW_MS + 7_200_000)


def test_every_mistake_is_told_with_its_line_and_key() -> None:
    """All mistakes of a file at once, each where it stands; empty lines count as lines."""
    lines = [
        REPORT | {"kind": "reports"},
        REPORT | {"time_ms": "yesterday"},
        REPORT | {"time_ms": "2026-09-21T14:13:20"},
        REPORT | {"time_ms": 7},
        REPORT | {"bye": "nurse-2"},
        {key: value for key, value in REPORT.items() if key != "by"},
        REPORT | {"site": "ho me"},
        REPORT | {"topic": "infusion/v1/home/T-1/report"},
        {"topic": "infusion/v1/home/T-2/report"} | {k: REPORT[k] for k in list(REPORT)[2:]},
        {"kind": "lab"},
        {"topic": "infusion/v1/home/P-1/telemetry"},
    ]
    data = "\n\n".join(json.dumps(line) for line in lines) + "\n{\n[1]\n"
    assert refusal(data.encode()) == snapshot("""\
f.jsonl: line 1: 'reports' cannot be sent; did you mean 'report'?
f.jsonl: line 3: key 'time_ms': 'yesterday' is no time; write Unix milliseconds, 2026-11-23T18:00:00Z, now or now-90min
f.jsonl: line 5: key 'time_ms': 2026-09-21T14:13:20 has no offset; write Unix milliseconds, 2026-11-23T18:00:00Z, now or now-90min
f.jsonl: line 7: key 'time_ms': Expected `int` >= 946684800000
f.jsonl: line 9: the key 'bye' is unknown; did you mean 'by'?
f.jsonl: line 11: the key 'by' is missing; add it
f.jsonl: line 13: topic 'infusion/v1/ho me/T-1/report': the site 'ho me' is not letters, digits, '.', '_', '-'
f.jsonl: line 15: a topic says site and kind; leave those out
f.jsonl: line 17: infusion/v1/home/T-2/report: the payload says therapy 'T-1'
f.jsonl: line 19: the key 'site' is missing or no text; write "site": "home", "kind": "lab", or "topic": "infusion/v1/home/T-01/lab"
f.jsonl: line 21: 'telemetry' cannot be sent; known are act, lab, order, report
f.jsonl: line 22: Input data was truncated
f.jsonl: line 23: Expected `object`, got `array`\
""")


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (b"", "f.jsonl", snapshot("f.jsonl: there is no message in it")),
        (b"[]", "f.json", snapshot("f.json: there is no message in it")),
        (b"[1]", "f.json", snapshot("f.json: entry 1: Expected `object`, got `int`")),
        (b"[{]", "f.json", snapshot("f.json: JSON is malformed: expected '\"' (byte 2)")),
        (
            b"\xff\xfe",
            "f.jsonl",
            snapshot("f.jsonl: line 1: JSON is malformed: invalid character (byte 0)"),
        ),
        (b"a = ", "f.toml", snapshot("f.toml: end of document: Invalid value")),
        (b"lab = 3", "f.toml", snapshot("f.toml: 'lab' is not a list of tables; write [[lab]]")),
        (b"lab = [3]", "f.toml", snapshot("f.toml: [[lab]] 1: 3 is not a table; write [[lab]]")),
        (b"[[laab]]", "f.toml", snapshot("f.toml: 'laab' is unknown; did you mean 'lab'?")),
        (
            b'[[lab]]\nsite = "home"\nvalue = nan',
            "f.toml",
            snapshot("f.toml: [[lab]] 1: key 'value': nan is not a finite number"),
        ),
        (
            (
                b'{"site": "home", "kind": "order", "therapy": "T", "version": 1, "pump": "P",'
                b' "weight_kg": 80, "concentration_iu_ml": 100,'
                b' "steps": [{"do": "stop", "at_ms": "now"}]}'
            ),
            "f.jsonl",
            snapshot(
                "f.jsonl: line 1: order T version 1, step 1: comes before any start; begin with a start"
            ),
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_named(data: bytes, name: str, text: str) -> None:
    """Not JSON, not TOML, empty, or an order that no pump could follow."""
    assert refusal(data, name) == text


def test_there_are_limits() -> None:
    """A file that is far too long, nested too deeply, or wrong throughout is told shortly."""
    assert "are more than" in refusal(b" " * (FILE_BYTES_MAX + 1))
    many = refusal(b"{}\n" * 1_000)
    assert len(many.splitlines()) == PROBLEMS_MAX + 1
    deep = b'{"site": "home", "kind": "lab", "a": ' + b'{"a": ' * 50 + b"1" + b"}" * 51
    assert "nested too deeply" in refusal(deep)
    deeper = b'{"a": ' * 100_000 + b"1" + b"}" * 100_000
    assert "nested too deeply" in refusal(deeper)


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A running broker of each kind."""
    process = Embedded() if request.param == "embedded" else Mosquitto(tmp_path)
    process.start()
    yield process
    process.stop()


async def test_the_examples_arrive(broker: BrokerProcess) -> None:
    """What the README shows: an order, a result, a report, and results from a second file."""
    files = [str(EXAMPLES / name) for name in ("clinic.toml", "results.jsonl")]
    settings = LinkSettings(host=broker.host, port=broker.port)
    kinds = (Kind.ORDER, Kind.LAB, Kind.REPORT)
    filters = [Subscription(subscription(kind)) for kind in kinds]
    async with open_link(settings, subscriptions=filters) as link:
        await link.connected(15.0)
        url = f"mqtt://{broker.host}:{broker.port}"
        done = await asyncio.to_thread(dripwatch, "send", *files, "--broker", url)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"sent to 127.0.0.1:{broker.port}: 1 order, 3 lab, 1 report\n"
        heard: list[Message] = []
        async with asyncio.timeout(15.0):
            while len(heard) < 5:
                heard += await link.receive()
    assert {message.user_properties for message in heard} == {(("contract", "1"),)}
    assert {message.content_type for message in heard} == {"application/json"}
    # A broker keeps the order within a topic; the embedded one does not between topics.
    found = [decode(parse_topic(message.topic), message.payload) for message in heard]
    results = [each for each in found if isinstance(each, LabResult)]
    assert [each.test for each in results] == ["anti-xa", "platelets", "aptt"]
    assert sum(isinstance(each, Prescription) for each in found) == 1
    assert sum(isinstance(each, Report) for each in found) == 1


def test_the_readme_shows_it_as_it_is(tmp_path: Path) -> None:
    """Each line of the README runs as it stands, on a broker of the test's own."""
    lines = readme_lines("send")
    assert len(lines) == 2
    with Mosquitto(tmp_path) as broker:
        url = f"mqtt://127.0.0.1:{broker.port}"
        for line in lines:
            # Only the default broker is another one here.
            where = [] if "--dry-run" in line else ["--broker", url, "--for", "2"]
            done = dripwatch(*line, *where)
            assert done.returncode == 0, (line, done.stderr)


def test_nothing_is_sent_unless_all_is_well(tmp_path: Path) -> None:
    """A mistake in the second file stops the first one too: exit code 2, no broker is asked."""
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(json.dumps(REPORT))
    bad.write_text(json.dumps(REPORT | {"what": ""}))
    nobody = f"mqtt://127.0.0.1:{free_port()}"
    done = dripwatch("send", "--broker", nobody, str(good), str(bad))
    assert done.returncode == 2
    assert f"{bad}: line 1: key 'what'" in done.stderr
    done = dripwatch("send", "--dry-run", str(good))
    assert (done.returncode, done.stdout) == (0, "all is well: 1 report; nothing was sent\n")
    done = dripwatch("send", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert "none.toml: No such file" in done.stderr


def test_a_broker_that_is_not_there_or_refuses_is_named(tmp_path: Path) -> None:
    """Exit code 3 for both; the message that was refused is named by its place."""
    good = tmp_path / "good.jsonl"
    good.write_text(json.dumps(REPORT))
    nobody = f"mqtt://127.0.0.1:{free_port()}"
    done = dripwatch("send", "--broker", nobody, str(good), timeout_s=30)
    assert done.returncode == 3
    acl = tmp_path / "acl"
    acl.write_text("topic read infusion/#\n")
    with Mosquitto(tmp_path, config=f"acl_file {acl}") as broker:
        done = dripwatch("send", "--broker", f"mqtt://127.0.0.1:{broker.port}", str(good))
    assert done.returncode == 3, done.stdout
    assert f"1 of 1 refused; {good}: line 1: " in done.stderr

"""What a result is written as: table, lines, JSON, locust's files, page, comparison."""

import csv
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from infusion.errors import ConfigError
from infusion.messages import Telemetry, decode, parse_topic
from simulator.load import compare
from simulator.load.csv_files import HISTORY_HEADS, STATS_HEADS, write_csv
from simulator.load.page import page
from simulator.load.progress import Progress, bars, picture
from simulator.load.result import (
    Alarms,
    Connections,
    Generators,
    Latency,
    Machine,
    Messages,
    Result,
    Second,
    Step,
    Threshold,
    metric_names,
    read_result,
    to_json,
)
from simulator.load.summary import lines_of, render
from tests.simulator.load.loads import latency, result_of

DOCS = Path(__file__).resolve().parents[3] / "docs" / "load.md"
STEPS = (
    Step(offered_per_s=100, achieved_per_s=100, end_to_end_p99_ms=2.0, lost=0, held=True,
         valid=True, because=()),
    Step(offered_per_s=150, achieved_per_s=110, end_to_end_p99_ms=None, lost=4, held=False,
         valid=True, because=("lost>0 (4.0)",)),
)  # fmt: skip


def told(result: Result) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(result))
    return console.export_text()


def test_thresholds_come_first_in_the_summary() -> None:
    missed = Threshold(text="lost>0", value=4.0, kept=False)
    kept = Threshold(text="e2e_p99_ms>500", value=60.0, kept=True)
    lines = told(result_of(thresholds=(missed, kept))).splitlines()
    assert lines[0].startswith("✗ missed: not lost>0 (found 4)")
    assert lines[1].startswith("✓ kept: not e2e_p99_ms>500 (found 60)")


def test_the_summary_tells_losses_and_what_the_generator_cost() -> None:
    text = told(result_of())
    assert "998 of 1,000: 4 lost, 2 doubled, 1 reordered" in text
    assert "12.5 % of a core" in text
    assert "Valid" in text
    text = told(result_of(valid=False, not_valid_because=("it was late",), interrupted=True))
    assert "NOT VALID" in text
    assert "it was late" in text
    assert "Interrupted" in text


def test_a_ramp_tells_its_steps() -> None:
    text = told(result_of(steps=STEPS, verdict="It held 100/s and broke at 150/s: lost>0 (4.0)."))
    assert "broke: lost>0 (4.0)" in text
    assert "It held 100/s" in text


def test_a_second_is_told_as_emqtt_bench_does() -> None:
    first, second = result_of().seconds
    assert lines_of(first, None, 0) == [
        (
            "1s pub total=99 rate=99.00/sec offered=100.00/sec ack_p50=1ms ack_p99=1ms"
            " e2e_p50=2ms e2e_p99=2ms"
        ),
        "1s recv rate=98.00/sec",
        "1s connected=101 lost=0",
    ]
    assert lines_of(second, first, 99) == [
        "2s pub total=139 rate=40.00/sec offered=100.00/sec",
        "2s recv rate=40.00/sec",
        "2s connected=99 lost=2",
    ]


def test_progress_on_a_terminal_and_elsewhere() -> None:
    for is_terminal in (True, False):
        console = Console(width=100, record=True, force_terminal=is_terminal, file=io.StringIO())
        with Progress(console, 10.0) as progress:
            for second in result_of().seconds:
                progress.second(second)
        assert ("pub total=139" in console.export_text()) is not is_terminal
    assert "1 of 10 s" in picture([result_of().seconds[0]], 99, 10.0).plain
    assert bars([0, 4, 8]) == " ▄█"
    assert bars([0, 0]) == "  "


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    result = result_of(steps=STEPS)
    file = tmp_path / "a.json"
    file.write_bytes(to_json(result))
    assert read_result(file) == result


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file"),
        (b"{", "a.json"),
        (to_json(result_of(schema="dripwatch-load/9")), "dripwatch-load/9"),
    ],
)
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: bytes | None, says: str) -> None:
    file = tmp_path / "a.json"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ConfigError, match=says):
        read_result(file)


def test_every_field_of_the_schema_is_in_the_documentation() -> None:
    text = DOCS.read_text()
    kinds = (
        Result,
        Messages,
        Connections,
        Generators,
        Latency,
        Threshold,
        Alarms,
        Second,
        Step,
        Machine,
    )
    missing = [
        f"{kind.__name__}.{field.encode_name}"
        for kind in kinds
        for field in msgspec.structs.fields(kind)
        if f"`{field.encode_name}`" not in text
    ]
    assert missing == []


def test_the_csv_files_have_the_columns_of_locust(tmp_path: Path) -> None:
    write_csv(str(tmp_path / "run"), result_of())
    read = {
        name: list(csv.reader((tmp_path / f"run_{name}.csv").read_text().splitlines()))
        for name in ("stats", "stats_history", "failures")
    }
    assert read["stats"][0] == STATS_HEADS
    assert [row[1] for row in read["stats"][1:]] == ["connect", "publish", "receive", "Aggregated"]
    assert read["stats"][2][:8] == ["MQTT", "publish", "4", "6", "2.0", "11.5", "1.0", "40.031"]
    assert read["stats_history"][0] == HISTORY_HEADS
    assert [len(row) for row in read["stats_history"]] == [len(HISTORY_HEADS)] * 3
    assert ["MQTT", "connect", "CONNECTION_CLOSED", "2"] in read["failures"]
    assert ["MQTT", "receive", "lost", "4"] in read["failures"]


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    missed = Threshold(text="lost>0", value=4.0, kept=False)
    text = page(result_of(steps=STEPS, verdict="It held <100/s>.", thresholds=(missed,)))
    assert "http" not in text
    assert "It held &lt;100/s&gt;." in text
    for picture_text in text.split("<svg")[1:]:
        ET.fromstring("<svg" + picture_text.split("</svg>")[0] + "</svg>")
    assert text.count("<svg") == 4


def test_a_page_of_nothing_says_so() -> None:
    nothing = latency()
    text = page(result_of(seconds=(), acknowledge=nothing, end_to_end=nothing))
    assert text.count("Nothing was measured.") == 3


def test_two_results_beside_each_other() -> None:
    first = result_of()
    slower = replace(
        first,
        end_to_end=latency(1_500, 2_500, 3_500, 120_000),
        config={**first.config, "count": 200},
        messages=replace(first.messages, achieved_per_s=150.0, lost=0),
        valid=False,
    )
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(compare.render(first, slower))
    rows = {
        line.split()[0]: line
        for line in map(str.rstrip, console.export_text().splitlines())
        if line
    }
    assert rows["achieved_per_s"].endswith("better, +52 %")
    assert rows["e2e_p99_ms"].endswith("worse, +100 %")
    assert rows["ack_p99_ms"].endswith("alike")
    assert rows["lost"].endswith("better, -100 %")
    assert compare.differences(first, slower) == ["count: 100 → 200", "B is not valid"]


def test_the_locustfile_of_the_documentation_makes_true_payloads() -> None:
    """Its first half is run; the second needs locust, and is compiled."""
    first, second = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(first, "locustfile", "exec"), names)
    topic, payload = names["telemetry"]("P-00001", 3, 0.25)
    message = decode(parse_topic(topic), payload)
    assert isinstance(message, Telemetry)
    assert (message.pump, message.seq, message.volume_ml) == ("P-00001", 3, 0.25)
    compile(second, "locustfile", "exec")


def test_every_name_of_a_threshold_is_in_the_documentation() -> None:
    text = DOCS.read_text()
    for name in metric_names():
        prefix, _, rest = name.partition("_")
        is_latency = prefix in (
            "connect",
            "ack",
            "e2e",
            "alert",
            "stream",
            "lag",
        ) and rest.endswith("_ms")
        words = (f"`{prefix}_`", f"`{rest}`") if is_latency else (f"`{name}`",)
        assert all(word in text for word in words), name

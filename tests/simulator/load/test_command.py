"""`dripwatch load` as a person starts it: exit codes, refusals, Ctrl-C."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, free_port
from tests.dripwatch.commands import DRIPWATCH, dripwatch, environment, start

QUICK = ("-c", "20", "-I", "100", "--duration", "1")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, is_durable=False) as chosen:
        yield chosen


def load(port: int, *more: str, folder: Path) -> tuple[int, str, str]:
    done = dripwatch("load", "-p", str(port), *QUICK, *more, folder=folder)
    return done.returncode, done.stdout, done.stderr


def test_help_tells_limits_and_exit_codes() -> None:
    done = dripwatch("load", "--help")
    assert done.returncode == 0
    for word in ("200,000 pumps", "4 h", "Exit codes", "99", "130", "a medical device"):
        assert word in done.stdout


def test_a_whole_run_writes_what_it_is_asked_for(mosquitto: Mosquitto, tmp_path: Path) -> None:
    code, out, errors = load(
        mosquitto.port, "--json", "a.json", "--csv", "run", "--html", "a.html",
        "--fail-if", "lost>0", folder=tmp_path,
    )  # fmt: skip
    result = json.loads((tmp_path / "a.json").read_text())
    assert code == (0 if result["valid"] else 1), errors
    assert out.startswith("✓ kept: not lost>0 (found 0)")
    assert "pub total=" in errors
    assert result["messages"]["offered"] == 200
    for name in ("run_stats.csv", "run_stats_history.csv", "run_failures.csv", "a.html"):
        assert (tmp_path / name).stat().st_size > 20
    done = dripwatch("load", "compare", "a.json", "a.json", folder=tmp_path)
    assert done.returncode == 0
    assert "alike" in done.stdout


def test_json_on_standard_output_is_alone_there(mosquitto: Mosquitto, tmp_path: Path) -> None:
    _, out, errors = load(mosquitto.port, "--json", "-", folder=tmp_path)
    assert json.loads(out)["schema"] == "dripwatch-load/1"
    assert "achieved" in errors


def test_a_missed_threshold_is_99(mosquitto: Mosquitto, tmp_path: Path) -> None:
    code, out, _ = load(mosquitto.port, "--fail-if", "e2e_p99_ms>0.001", folder=tmp_path)
    assert code == 99
    assert out.startswith("✗ missed: not e2e_p99_ms>0.001")


def test_nobody_there_is_3(tmp_path: Path) -> None:
    code, _, errors = load(free_port(), folder=tmp_path)
    assert code == 3
    assert "could connect" in errors


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--host", "192.0.2.7"), "--i-own-this-broker"),
        (("-c", "999999"), "--count 999999"),
        (("-q", "2"), "--qos 2"),
        (("-R", "0"), "--connrate 0"),
        (("--fail-if", "e2e_p98_ms>5"), "did you mean"),
        (("--scenario", "storrm"), "storrm"),
        (("--password-file", "nowhere"), "nowhere"),
        (("--scenario", "demo", "-c", "2", "--subscribers", "0"), "there is no P-"),
        (("--duration", "99999"), "--duration 99999"),
        (("--duration", "soon"), "soon"),
    ],
)
def test_a_mistake_is_2_and_names_itself(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    code, _, errors = load(1, *words, folder=tmp_path)
    assert code == 2
    assert says in errors
    assert "Traceback" not in errors


def test_ctrl_c_once_is_130_with_the_summary(mosquitto: Mosquitto, tmp_path: Path) -> None:
    process = start(
        "load", "-p", str(mosquitto.port), "-c", "20", "-I", "100", "--json", "a.json",
        folder=tmp_path,
    )  # fmt: skip
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Interrupted" in out
    assert "Traceback" not in errors
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["interrupted"]
    assert result["messages"]["lost"] == 0
    assert 0 < result["duration_s"] < 60


def test_a_ramp_finds_a_step(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A threshold on the rate itself breaks at a known place; a busy machine may end it sooner."""
    code, _, errors = load(
        mosquitto.port, "--ramp", "--fail-if", "offered_per_s>300", "--json", "a.json",
        folder=tmp_path,
    )  # fmt: skip
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["steps"], errors
    for step in result["steps"]:
        assert step["held"] == (step["valid"] and step["offered_per_s"] <= 300)
    if all(step["valid"] for step in result["steps"]):
        assert len(result["steps"]) >= 3
        assert 200 <= result["messages"]["offered_per_s"] <= 300
    assert "/s" in result["verdict"]
    if any(step["held"] for step in result["steps"]):
        assert code == 0
    else:
        assert code in (1, 99)


def _token(folder: Path) -> None:
    """A user of the monitor, and a token that reads, in a file."""
    store = ("--store", "m.sqlite3")
    added = subprocess.run(
        [*DRIPWATCH, "user", "add", "mira", "--role", "nurse", "--password-stdin", *store],
        input="correct horse battery staple\n", cwd=folder, env=environment({}),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    issued = dripwatch("user", "token", "mira", "--scope", "read", *store, folder=folder)
    assert issued.returncode == 0, issued.stderr
    (folder / "token").write_text(issued.stdout.split()[-1])


def test_the_alerts_of_a_monitor_are_timed(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Doors are opened at pumps; each alert of the monitor is seen, and took some time."""
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    store = ("--store", "m.sqlite3")
    _token(tmp_path)
    web = free_port()
    monitor = start(
        "monitor", "--broker", url, *store, "--web", f"127.0.0.1:{web}", folder=tmp_path
    )
    try:
        time.sleep(4)
        _, out, errors = load(
            mosquitto.port, "--alerts", "--duration", "3", "--json", "a.json",
            "--sse", f"http://127.0.0.1:{web}", "--token-file", "token", folder=tmp_path,
        )  # fmt: skip
        refused, _, told = load(
            mosquitto.port, "--alerts", "--sse", f"http://127.0.0.1:{web}",
            "--token-file", "m.sqlite3.none", folder=tmp_path,
        )  # fmt: skip
        (tmp_path / "wrong").write_text("dw_1_x")
        unknown, _, why = load(
            mosquitto.port, "--alerts", "--sse", f"http://127.0.0.1:{web}",
            "--token-file", "wrong", folder=tmp_path,
        )  # fmt: skip
    finally:
        monitor.send_signal(signal.SIGTERM)
        monitor.communicate(timeout=30)
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["alarms"] == {"injected": 11, "told": 11, "streamed": 11}, errors
    assert result["stream"]["count"] == 11
    assert (refused, "m.sqlite3.none" in told) == (2, True)
    assert (unknown, "SSE_STATUS_401" in why) == (3, True)
    assert result["alert"]["count"] == 11
    assert 0 < result["alert"]["p50_ms"] < 3_000
    assert "11 of 11 told by the monitor, 11 on its stream" in out


def test_without_a_monitor_no_alarm_is_told(mosquitto: Mosquitto, tmp_path: Path) -> None:
    code, _, _ = load(
        mosquitto.port, "--alerts", "--drain", "0.5", "--fail-if", "alarms_not_told>0",
        folder=tmp_path,
    )  # fmt: skip
    assert code == 99


def test_when_the_command_is_killed_its_processes_end_too(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    process = start("load", "-p", str(mosquitto.port), *QUICK[:4], folder=tmp_path)
    time.sleep(4)
    children = _children(process.pid)
    assert len(children) == 2
    process.kill()
    process.communicate()
    deadline_s = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def _children(process_id: int) -> list[str]:
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [number for task in tasks for number in task.read_text().split()]

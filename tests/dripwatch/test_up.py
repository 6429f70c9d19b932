"""`dripwatch up` and its parts as processes: the demo from end to end, on real brokers."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dripwatch.summary import Summary
from infusion.alarms import Priority
from infusion.alert import CLOSING
from tests.brokers import Mosquitto
from tests.dripwatch.commands import ROOT, dripwatch, start


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, is_durable=False) as broker:
        yield broker


def check_demo(summary: Summary) -> None:
    """What the demo promises: four troubles raised and cleared, the others quiet, doses equal."""
    assert not summary.unmet
    assert summary.refused == 0
    assert len(summary.pumps) == 20
    changes = [c for c in summary.changes if c.alert.priority is not Priority.NOTICE]
    over = {(c.alert.pump, c.alert.rule) for c in changes if c.change in CLOSING}
    assert over >= {
        ("P-03", "occlusion-forming"),
        ("P-07", "rate-not-as-ordered"),
        ("P-11", "no-telemetry"),
        ("P-16", "reservoir-runs-out"),
    }
    # What the pumps alarmed for themselves is a part of what was told before.
    hidden = {rule for change in changes for rule in change.alert.suppresses}
    assert hidden >= {"downstream-occlusion", "reservoir-empty"}
    assert {change.alert.pump for change in changes} == {"P-03", "P-07", "P-11", "P-16"}
    assert len({(c.alert.id, c.alert.version) for c in summary.changes}) == len(summary.changes)
    for pump in summary.pumps:
        assert pump.account_iu == pytest.approx(pump.pumped_iu, abs=0.01), pump


def test_the_demo_keeps_its_promise(tmp_path: Path) -> None:
    """The whole hour in fifteen seconds, on the embedded broker, as `make demo` runs it."""
    result = tmp_path / "up.json"
    done = dripwatch("up", "--speed", "240", "--for", "15.2", "--json", str(result))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing went otherwise than the scenario expects." in done.stdout
    check_demo(msgspec.json.decode(result.read_bytes(), type=Summary))


def test_the_demo_runs_on_somebody_elses_broker(mosquitto: Mosquitto) -> None:
    """The same on Mosquitto, with the summary as JSON on standard output and nothing else."""
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    done = dripwatch("up", "--broker", url, "--speed", "240", "--for", "15.2", "--json", "-")
    assert done.returncode == 0, done.stderr
    check_demo(msgspec.json.decode(done.stdout.encode(), type=Summary))


def test_an_expectation_that_fails_fails_the_run(tmp_path: Path) -> None:
    """A scenario that expects what cannot happen ends with exit code 1 and says what is missing."""
    scenario = tmp_path / "hope.toml"
    scenario.write_text(
        'pumps = 2\nduration = "00:10"\n'
        '[[expect]]\npump = "P-01"\nrule = "free-flow"\nraised = ["00:01", "00:05"]\n'
    )
    done = dripwatch("up", "--scenario", str(scenario), "--speed", "240", "--for", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "P-01: free-flow" in done.stdout


def test_ctrl_c_ends_everything_within_three_seconds_and_sums_up() -> None:
    """SIGINT stops pumps, monitor and broker, and the summary is printed."""
    process = start("up", "--pumps", "5", "--scenario", "quiet-day")
    assert process.stdout is not None
    links = [process.stdout.readline() for _ in range(2)]
    assert [line.split(":")[0] for line in links] == [
        "page for the nurse",
        "page for the pharmacist",
    ]
    assert "pumps" in process.stdout.readline()
    time.sleep(2)
    began_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=10)
    assert time.monotonic() - began_s < 3
    assert process.returncode == 0, errors
    assert "P-05" in output
    assert "0 changes of alerts" in output
    assert errors == ""


def test_the_parts_work_as_the_readme_says(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The README's three terminals: monitor, pumps, watch; each line of it is run as it stands."""
    commands = tuple(f".venv/bin/dripwatch {name} " for name in ("monitor", "simulate", "watch"))
    readme = (ROOT / "README.md").read_text().splitlines()
    lines = [line.split()[1:] for line in readme if line.startswith(commands)]
    assert len(lines) == 3
    here = f"mqtt://127.0.0.1:{mosquitto.port}"
    monitor, simulate, watch = (
        [here if word.startswith("mqtt://") else word for word in line] for line in lines
    )
    store = tmp_path / "store.sqlite3"
    monitoring = start(*monitor, "--store", str(store), folder=tmp_path)
    watching = start(*watch, "--json", "--for", "11", folder=tmp_path)
    try:
        done = dripwatch(*simulate, "--for", "9", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        output, errors = watching.communicate(timeout=20)
        assert watching.returncode == 0, errors
        health = dripwatch("monitor", "--health", "--store", str(store))
        assert health.returncode == 0, health.stdout
    finally:
        monitoring.send_signal(signal.SIGTERM)
        monitoring.communicate(timeout=10)
    assert monitoring.returncode == 0
    changes: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    assert ("P-03", "occlusion-forming", "raised") in {
        (change["alert"]["pump"], change["alert"]["rule"], change["change"]) for change in changes
    }

"""How a process begins and ends: settings from its environment, named files, signals, exit codes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from host.process import load_settings, read_named, run, until_signal
from infusion.errors import ConfigError, LinkError, MessageError, StoreError

ROOT = Path(__file__).resolve().parents[2]


class Section(Struct, frozen=True):
    store: str = "default"


class Process(Struct, frozen=True):
    speed: Annotated[float, Meta(ge=1)] = 1.0
    monitor: Section = Section()


def test_variables_of_other_processes_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """One environment may hold the settings of all processes; only one's own mistakes are told."""
    file = "monitor.toml"
    monkeypatch.setenv("DRIPWATCH_SIMULATOR_PUMPS", "5")
    monkeypatch.setenv("DRIPWATCH_MONITOR_STOR", "x")
    with pytest.raises(ConfigError, match="DRIPWATCH_MONITOR_STOR is not a setting") as caught:
        load_settings(Process, default_file=file, file=None, flags={})
    assert "SIMULATOR" not in str(caught.value)


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path, and that a TOML file is wanted."""
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load_settings(Process, default_file="monitor.toml", file=missing, flags={})


def test_a_scenario_is_found_by_its_name_or_its_path() -> None:
    """The same bytes either way."""
    by_name, shown = read_named("demo", "scenarios")
    path = ROOT / "config" / "scenarios" / "demo.toml"
    assert shown == "config/scenarios/demo.toml"
    assert by_name == path.read_bytes() == read_named(str(path), "scenarios")[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dmeo", "the nearest is demo"),
        ("none.toml", r"none\.toml: No such file"),
        ("../monitor", "not in config/scenarios"),
    ],
)
def test_a_scenario_that_is_not_there_is_named(name: str, text: str) -> None:
    """What was asked for, and what there is instead."""
    with pytest.raises(ConfigError, match=text):
        read_named(name, "scenarios")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a setting"), 2),
        (LinkError("a broker"), 3),
        (StoreError("a store"), 4),
        (MessageError("topic", "a message"), 1),
    ],
)
def test_each_error_has_its_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error, and the code that the README lists."""

    async def fail() -> int:
        raise error

    assert run(fail()) == code
    assert capsys.readouterr().err == f"dripwatch: {error}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_asks_the_work_to_end(number: signal.Signals) -> None:
    """The work is asked once, and ends by itself."""
    asked = asyncio.Event()

    async def work() -> None:
        os.kill(os.getpid(), number)
        await asked.wait()

    async with asyncio.timeout(5):
        await until_signal(work(), asked.set)


def test_logs_are_json_where_no_terminal_is() -> None:
    """One JSON object a line on standard error, with level and time; the level is obeyed."""
    program = (
        "import structlog; from host.process import configure_logs; configure_logs('info');"
        "log = structlog.get_logger(); log.debug('no'); log.info('yes', pumps=3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["event"], line["pumps"], line["level"]) == ("yes", 3, "info")
    assert line["timestamp"].endswith("Z")
    assert done.stdout == ""

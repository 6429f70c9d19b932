"""The `dripwatch` command as a person starts it: a process with arguments and an environment."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parent.parent.parent
DRIPWATCH = [sys.executable, "-m", "dripwatch"]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: this one without settings of ours, and with those given."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DRIPWATCH_")}
    return kept | {"COLUMNS": "100", "PYTHONPATH": str(ROOT), **variables}


def dripwatch(
    *arguments: str,
    timeout_s: float = 60.0,
    folder: Path = ROOT,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*DRIPWATCH, *arguments],
        cwd=folder,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def readme_lines(command: str) -> list[list[str]]:
    """The arguments of each line of the README that shows a command."""
    begin = f".venv/bin/dripwatch {command} "
    lines = (ROOT / "README.md").read_text().splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(begin)]


def start(*arguments: str, folder: Path = ROOT) -> subprocess.Popen[str]:
    """Start a command; the caller ends it."""
    return subprocess.Popen(
        [*DRIPWATCH, *arguments],
        cwd=folder,
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

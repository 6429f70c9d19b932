"""What holds for all tests: those that start processes take turns, on one core of several.

A broker, a monitor and pumps of one test are processes of their own. Two such tests at once on two
cores would make each other wait, and time is what they are about.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITH_PROCESSES = (
    "tests/link",
    "tests/host",
    "tests/dripwatch",
    "tests/monitor/test_service.py",
    "tests/monitor/test_acts.py",
    "tests/simulator/test_publisher.py",
    "tests/simulator/load/test_runs.py",
    "tests/simulator/load/test_command.py",
    "tests/benchmarks/test_benchmarks_run.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with processes into one group of pytest-xdist."""
    for item in items:
        if item.path.relative_to(ROOT).as_posix().startswith(WITH_PROCESSES):
            item.add_marker(pytest.mark.xdist_group("processes"))

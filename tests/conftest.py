"""What holds for all tests: those that start processes take turns, on one core of several.

A broker, a monitor and pumps of one test are processes of their own. Two such tests at once on two
cores would make each other wait, and time is what they are about.
"""

import os
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
# Beside them, and without processes of their own.
WITHOUT_PROCESSES = (
    "tests/dripwatch/test_alarm_catalogue.py",
    "tests/dripwatch/test_rules_command.py",
    "tests/dripwatch/test_scenario",
    "tests/dripwatch/test_trial_",
    "tests/dripwatch/test_words_of_scenarios.py",
    "tests/link/test_session",
    "tests/link/test_values.py",
    "tests/link/test_lean_packets.py",
    "tests/link/test_address.py",
)
# More would wait for one another.
WORKERS_MAX = 4


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: whoever waits for a process leaves its core to another."""
    return min(WORKERS_MAX, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with processes into one group of pytest-xdist."""
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        if path.startswith(WITH_PROCESSES) and not path.startswith(WITHOUT_PROCESSES):
            item.add_marker(pytest.mark.xdist_group("processes"))

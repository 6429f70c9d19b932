"""`dripwatch work`: the tasks of all patients of a store, on one screen."""

import json
from pathlib import Path

import pytest
from msgspec import msgpack
from msgspec.structs import replace

from infusion.clinical import Report
from infusion.monitor import Clock
from infusion.units import MS_PER_HOUR
from monitor.ports import Commit, Snapshot
from monitor.samples import Sample
from monitor.store import SqliteStore
from tests.dripwatch.commands import dripwatch
from tests.infusion.bench import T0
from tests.infusion.clinic_bench import record, report


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A hundred patients, three days after their start; one was never visited."""
    records = {}
    for number in range(100):
        reports: list[Report] = []
        if number:
            reports = [report("visit", "01:00"), report("teaching", "02:00")]
        kept = replace(record(*reports), therapy=f"T-{number:03}")
        records[f"home/{kept.therapy}"] = msgpack.encode(kept)
    at_ms = T0 + 72 * MS_PER_HOUR
    sample = Sample(at_ms, 1.0, None, 1.0, 1.0, None, None, None, None, None, None)
    path = tmp_path / "m.sqlite3"
    async with SqliteStore(path) as opened:
        await opened.load()
        await opened.commit(
            Commit(
                position=1,
                entries=(),
                said=(),
                refused=(),
                said_number=0,
                snapshot=Snapshot(1, Clock(), {}, records),
                samples=[("home/P-01", sample)],
            )
        )
    return path


async def test_tomorrow_for_a_hundred_patients(store: Path) -> None:
    quiet = dripwatch("work", str(store), "--zone", "America/Chicago")
    assert quiet.returncode == 0, quiet.stderr
    lines = quiet.stdout.splitlines()
    assert lines[0] == (
        "overdue  2026-09-21 09:13  T-000  nurse            first visit: start, teaching, dressing"
    )
    assert lines[1].startswith("due      2026-09-24 09:13  T-000")
    assert lines[-1] == "2 tasks for 1 patients, 1 of them missed"
    week = dripwatch("work", str(store), "--hours", "110", "--json")
    tasks = [json.loads(line) for line in week.stdout.splitlines()]
    assert tasks[0]["state"] == "overdue"
    assert {task["therapy"] for task in tasks} == {f"T-{number:03}" for number in range(100)}
    assert all(task["due_ms"] < T0 + 182 * MS_PER_HOUR for task in tasks)


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    found = dripwatch("work", str(tmp_path / "none.sqlite3"))
    assert found.returncode == 4
    assert "there is no such file; give a monitor's store" in found.stderr

"""`dripwatch up --json` is API: docs/up.md holds its fields, and schema 1 only gains some."""

from typing import Any

import msgspec
import pytest

from dripwatch.summary import SCHEMA, PumpLine, Summary
from tests.dripwatch.commands import ROOT

DOCUMENT = ROOT / "docs" / "up.md"
KINDS = {"integer": int, "number": float, "string": str, "array of strings": list, "array": list}

# What a reader of schema 1 may rely on. A line that must go, or change, makes it schema 2.
SCHEMA_1 = {
    Summary: "schema version scenario seed speed broker wall_s start_ms end_ms published"
    " acknowledged received duplicates refused results reports acts_done acts_late acts_refused"
    " damped dropped lag_max_ms pumps changes unmet",
    PumpLine: "pump state pumped_ml held_ml pumped_iu account_iu prescribed_iu",
}

PUMP = PumpLine(
    pump="P-01",
    state="running",
    pumped_ml=1.5,
    held_ml=0.0,
    pumped_iu=150.0,
    account_iu=None,
    prescribed_iu=150.0,
)
SUMMARY = Summary(
    schema=SCHEMA,
    version="0",
    scenario="demo",
    seed=1,
    speed=60.0,
    broker="127.0.0.1:1883",
    wall_s=1.5,
    start_ms=0,
    end_ms=1,
    published=1,
    acknowledged=1,
    received=1,
    duplicates=0,
    refused=0,
    results=0,
    reports=0,
    acts_done=0,
    acts_late=0,
    acts_refused=0,
    damped=0,
    dropped=0,
    lag_max_ms=0.5,
    pumps=(PUMP,),
    changes=(),
    unmet=("P-01: free-flow",),
)


def documented(place: int) -> list[list[str]]:
    """The rows of one of the document's tables: field, type, what it is."""
    tables = DOCUMENT.read_text(encoding="utf-8").split("|---|---|---|\n")[1:]
    rows = tables[place].split("\n\n")[0].strip().splitlines()
    return [[cell.strip().strip("`") for cell in row.split("|")[1:-1]] for row in rows]


def written(value: Summary | PumpLine) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found


@pytest.mark.parametrize(("place", "value"), [(0, SUMMARY), (1, PUMP)])
def test_the_document_holds_what_is_written_in_its_order(
    place: int, value: Summary | PumpLine
) -> None:
    rows, found = documented(place), written(value)
    assert [row[0] for row in rows] == list(found)
    for field, kind, what in rows:
        assert what.endswith("."), field
        name, _, null = kind.partition(" or ")
        if found[field] is None:
            assert null == "null", field
        else:
            assert type(found[field]) is KINDS[name], field


@pytest.mark.parametrize("kind", [Summary, PumpLine])
def test_schema_1_keeps_its_fields(kind: type[Summary | PumpLine]) -> None:
    assert SCHEMA == 1
    assert set(SCHEMA_1[kind].split()) <= set(kind.__struct_fields__)

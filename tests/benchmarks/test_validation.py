"""The validation report: judged rows pass, and the document is that of the code."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.validation.flow import trumpet
from benchmarks.validation.report import (
    DOCUMENT,
    FOLDER,
    document,
    measure,
    names_in,
    rows_of,
    write,
)
from benchmarks.validation.rows import Row, Section, table, worst_error

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BYTES_MAX = 60_000


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    """All measured, with few pumps."""
    return measure(quick=True)


def test_every_judged_row_passes(sections: list[Section]) -> None:
    rows = rows_of(sections)
    assert [(row.name, row.ours) for row in rows if row.verdict == "fail"] == []
    assert sum(row.verdict == "pass" for row in rows) > 100


def test_the_document_has_the_rows_of_the_code(sections: list[Section]) -> None:
    text = (DOCS / DOCUMENT).read_text(encoding="utf-8")
    assert names_in(text) == [row.name for row in rows_of(sections)], (
        "run python -m benchmarks.validation"
    )
    assert "**FAIL**" not in text


def test_the_pictures_are_those_of_the_code_small_and_the_same_each_time(
    sections: list[Section], tmp_path: Path
) -> None:
    write(sections, tmp_path / "first")
    # Twice some of them, because drawing takes its time.
    some = [section for section in sections if section.title in ("Flow", "Alarm load and mix")]
    write(some, tmp_path / "second")
    again = sorted((tmp_path / "second" / FOLDER).glob("*.svg"))
    assert len(again) == 3
    for picture in again:
        assert picture.read_bytes() == (tmp_path / "first" / FOLDER / picture.name).read_bytes()
    drawn = sorted((tmp_path / "first" / FOLDER).glob("*.svg"))
    assert [each.name for each in drawn] == sorted(p.name for p in (DOCS / FOLDER).glob("*.svg"))
    for picture in drawn:
        data = picture.read_bytes()
        assert b"<dc:date>" not in data
        assert len(data) < BYTES_MAX
    for picture in (DOCS / FOLDER).glob("*.svg"):
        assert picture.stat().st_size < BYTES_MAX
    assert (tmp_path / "first" / DOCUMENT).read_text() == document(sections)


def test_names_are_unique_within_a_section(sections: list[Section]) -> None:
    for section in sections:
        names = [row.name for row in section.rows]
        assert len(names) == len(set(names)), section.title


# --- the judge ------------------------------------------------------------------------------------


def row(ours: float, **more: object) -> Row:
    arguments: dict[str, object] = {
        "name": "a thing",
        "published": "1",
        "source": "somewhere",
        "mark": "V",
        "band": (0.9, 1.1),
    }
    return Row(ours=ours, **(arguments | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [(0.9, "pass"), (1.1, "pass"), (0.89, "fail"), (1.11, "fail"), (math.nan, "fail")],
)
def test_a_row_passes_inside_its_band(ours: float, verdict: str) -> None:
    assert row(ours).verdict == verdict
    assert row(ours, band=None).verdict == "shown"


def test_a_misfit_is_told_and_explained() -> None:
    misfit = row(5.0, band=None, is_misfit=True, note="Why.")
    assert misfit.verdict == "misfit"
    assert "**known misfit**" in table([misfit])[2]
    with pytest.raises(AssertionError):
        row(5.0, band=None, is_misfit=True)


def test_memory_judges_nothing() -> None:
    assert row(5.0, mark="M", band=None).verdict == "shown"
    with pytest.raises(AssertionError, match="memory"):
        row(1.0, mark="M")


def test_a_failure_is_told_in_the_table_with_its_note() -> None:
    lines = table([row(1.0), row(2.0, note="Why.", unit="mL")])
    assert lines[2].endswith("| 1.00 | 0.90 to 1.10 | pass |")
    assert lines[3] == "| a thing (1) | 1 | somewhere [V] | 2.00 mL | 0.90 to 1.10 | **FAIL** |"
    assert lines[-1] == "1. Why."
    assert names_in("\n".join(lines)) == ["a thing", "a thing"]


def test_a_difference_that_rounding_explains_is_none() -> None:
    assert worst_error([1.04], [1.0], 0.05) == 0.0
    assert worst_error([1.0, 2.2], [1.0, 2.0]) == pytest.approx(10.0)


def test_a_trumpet_of_flow_in_strokes() -> None:
    """All flow in every fourth sample of half a minute: 2 min hold one stroke, 5 min two or three."""
    flows = np.tile([0.0, 0.0, 0.0, 4.0], 60)[:, np.newaxis]
    found = trumpet(flows, 1.0, (2, 5), 0.5)
    assert found.highest[:, 0] == pytest.approx([0.0, 20.0])
    assert found.lowest[:, 0] == pytest.approx([0.0, -20.0])
    assert found.worst(5) == pytest.approx([20.0])

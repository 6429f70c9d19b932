"""The report as a whole: all sections, Markdown and pictures."""

import re
from collections import Counter
from pathlib import Path

from benchmarks.validation import alarms, blood, cohort, device, flow, occlusion
from benchmarks.validation.drawing import save, style
from benchmarks.validation.rows import Row, Section, table

DOCUMENT = "validation.md"
FOLDER = "validation"

_INTRODUCTION = """# Validation

What the simulator's pumps and patients do, beside what was published. For testing and training
only: that a simulator agrees with a paper says nothing about any patient.

This file is made by `python -m benchmarks.validation`; `--check` compares without writing. Each
row has a source and its mark: [V] read in the source, [V2] read in a secondary one, [S] read in an
abstract or excerpt, [D] derived from those by arithmetic, [C] computed by other code, [M] from
memory, [A] an assumption. A row with an accept band passes or fails. A known misfit disagrees
with what was published, and a note says why it stays. Any other row is only shown, as is everything
from memory. `pump-standards` and `heparin.md` are the project's notes on
the literature, with the sources in them.
"""


def measure(*, quick: bool) -> list[Section]:
    """Every section, in the order of the document."""
    parts = (flow, occlusion, device, alarms, blood, cohort)
    return [part.section(quick=quick) for part in parts]


def rows_of(sections: list[Section]) -> list[Row]:
    """All rows."""
    return [row for section in sections for row in section.rows]


def document(sections: list[Section]) -> str:
    """The Markdown text."""
    rows = rows_of(sections)
    counts = Counter(row.verdict for row in rows)
    judged = counts["pass"] + counts["fail"]
    told = f"{counts['misfit']} are known misfits; {counts['shown']} are only shown."
    lines = [_INTRODUCTION, f"**{counts['pass']} of {judged} judged rows pass; {told}**"]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.text, "", *table(section.rows)]
        for picture in section.pictures:
            lines += [
                "",
                f"![{picture.caption}]({FOLDER}/{picture.name}.svg)",
                "",
                f"*{picture.caption}*",
            ]
    return "\n".join(lines) + "\n"


def write(sections: list[Section], folder: Path) -> None:
    """The document and its pictures into `folder`; pictures that nothing shows any more go."""
    pictures = folder / FOLDER
    pictures.mkdir(parents=True, exist_ok=True)
    shown = set()
    with style():
        for section in sections:
            for picture in section.pictures:
                shown.add(f"{picture.name}.svg")
                save(picture.draw(), pictures / f"{picture.name}.svg")
    for old in pictures.glob("*.svg"):
        if old.name not in shown:
            old.unlink()
    (folder / DOCUMENT).write_text(document(sections), encoding="utf-8")


def names_in(text: str) -> list[str]:
    """The names of all rows of a document, without the numbers of their notes."""
    cells = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines()]
    rows = [
        cell
        for line, cell in zip(text.splitlines(), cells, strict=True)
        if line.startswith("| ") and cell != "Check"
    ]
    return [re.sub(r" \(\d+\)$", "", name) for name in rows]

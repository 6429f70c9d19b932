"""Make docs/validation.md: `python -m benchmarks.validation`.

With `--check` nothing is written. Either way the exit code is 1 when a judged row fails, and with
`--check` also when the document has other rows than the code.
"""

import sys
import time
from pathlib import Path

import click

from benchmarks.validation.report import DOCUMENT, document, measure, names_in, rows_of, write

DOCS = Path(__file__).resolve().parents[2] / "docs"


@click.command("validation")
@click.option("--quick", is_flag=True, help="Few pumps and patients, for tests.")
@click.option("--check", is_flag=True, help="Compare, and write nothing.")
@click.option("--docs", type=click.Path(path_type=Path), default=DOCS, show_default=False)
def command(*, quick: bool, check: bool, docs: Path) -> None:
    """Measure, judge, and write the report."""
    begin = time.perf_counter()
    sections = measure(quick=quick)
    rows = rows_of(sections)
    failed = [row for row in rows if row.verdict == "fail"]
    for row in failed:
        print(f"FAIL {row.name}: {row.ours:.{row.digits}f} {row.unit}, published {row.published}")
    is_stale = False
    if check:
        file = docs / DOCUMENT
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        is_stale = names_in(old) != [row.name for row in rows]
        if is_stale:
            print(f"{file.name} has other rows than the code; run python -m benchmarks.validation")
        elif old != document(sections):
            print(f"{file.name} has other numbers than this run")
    else:
        write(sections, docs)
    judged = sum(row.band is not None for row in rows)
    seconds = time.perf_counter() - begin
    print(f"{judged - len(failed)} of {judged} judged rows pass, in {seconds:.0f} s")
    sys.exit(1 if failed or is_stale else 0)


if __name__ == "__main__":
    command()

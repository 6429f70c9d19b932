"""Writes the table of operations into docs/api.md: `python -m docs.api_table`."""

from pathlib import Path

from monitor.web.api import DESCRIBED
from monitor.web.operations import Operation

FILE = Path(__file__).parent / "api.md"
BEGIN, END = "<!-- operations: begin -->\n", "<!-- operations: end -->\n"
_WHO = {None: "everybody", "oneself": "whoever is signed in"}


def table() -> str:
    """Every operation: method, path, the right that it needs, what it does, problems of its own."""
    lines = ["| | path | right | what it does | problems |", "|---|---|---|---|---|"]
    lines += [_line(each) for each in DESCRIBED]
    return "\n".join(lines) + "\n"


def text() -> str:
    """The page as it must be now."""
    page = FILE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table()}{END}{tail}"


def _line(operation: Operation) -> str:
    summary = " ".join(operation.text.partition("\n\n")[0].split())
    right = _WHO.get(operation.right, operation.right)
    problems = ", ".join(f"`{slug}`" for slug in operation.problems)
    return f"| {operation.method} | `{operation.path}` | {right} | {summary} | {problems} |"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")

"""Writes the table of scenarios in docs/scenarios.md: `python -m docs.scenario_table`."""

from collections.abc import Sequence
from pathlib import Path

from dripwatch.scenarios import shipped_names
from simulator.setup import named_scenario

FILE = Path(__file__).parent / "scenarios.md"
BEGIN = "<!-- The table below is written by: python -m docs.scenario_table -->\n"


def row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |\n"


def table() -> str:
    """All scenarios in config/scenarios, one a line. Raises ConfigError."""
    lines = [row(("name", "what it is about", "pumps", "length", "alerts expected"))]
    lines.append(row(("---", "---", "--:", "--:", "---")))
    for name in shipped_names():
        scenario = named_scenario(name)
        header = scenario.header
        rules = dict.fromkeys(expectation.rule for expectation in scenario.expectations)
        link = f"[{name}](../config/scenarios/{name}.toml)"
        about = f"**{header.title}.** {header.description}"
        found = ", ".join(rules) or ("none" if header.quiet else "not judged")
        lines.append(row((link, about, str(header.pumps), str(header.duration), found)))
    return "".join(lines)


def with_table(text: str) -> str:
    """The page with the table as it must be now."""
    return text.split(BEGIN)[0] + BEGIN + "\n" + table()


if __name__ == "__main__":
    FILE.write_text(with_table(FILE.read_text(encoding="utf-8")), encoding="utf-8")

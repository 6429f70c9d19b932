"""Writes docs/alarms.md, the catalogue of rules: `python -m docs.alarm_catalogue`."""

from pathlib import Path

from dripwatch.rules import page
from monitor.catalogue import catalogue

FILE = Path(__file__).parent / "alarms.md"


def text() -> str:
    """The page as it must be now."""
    return page(catalogue())


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")

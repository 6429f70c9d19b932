"""docs/scenarios.md lists the scenarios that ship, as they are."""

from docs.scenario_table import BEGIN, FILE, with_table


def test_the_table_is_up_to_date() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert text == with_table(text), "write it anew with: python -m docs.scenario_table"

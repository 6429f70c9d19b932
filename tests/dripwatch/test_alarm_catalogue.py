"""docs/alarms.md tells the rules as they are."""

from docs.alarm_catalogue import FILE, text
from infusion.rules import RULES


def test_the_page_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), (
        "write it anew with: python -m docs.alarm_catalogue"
    )


def test_every_rule_has_a_row_and_a_section_that_the_row_leads_to() -> None:
    page = text()
    for key in RULES:
        assert f"| [{key}](#{key}) |" in page
        assert f"\n### {key}\n" in page

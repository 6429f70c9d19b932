"""`dripwatch rules`: the catalogue for a person, for a program and for the documents."""

import io
import json

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot
from msgspec import structs
from rich.console import Console

from dripwatch.rules import blanked, command, levels_text, page, show, told
from host.process import EXIT_USAGE
from infusion.errors import ConfigError
from infusion.rules import RULES
from infusion.thresholds import DEFAULTS, Thresholds
from monitor.catalogue import CLASSES, LevelRow, catalogue, limit_sources, row


def rules(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_every_rule_is_a_line_for_programs_that_read_lines() -> None:
    done = rules()
    assert done.exit_code == 0
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert {line[0] for line in lines} == set(RULES)
    assert ["not-delivering", "delivery", row("not-delivering").title] in [
        line[:3] for line in lines
    ]


def test_every_rule_is_a_row_for_a_person() -> None:
    console = Console(file=io.StringIO(), width=140, color_system=None, force_terminal=True)
    show(catalogue(), console)
    file = console.file
    assert isinstance(file, io.StringIO)
    for key in RULES:
        assert key in file.getvalue()


def test_the_rules_stand_class_by_class() -> None:
    classes = [each.category for each in catalogue()]
    assert list(dict.fromkeys(classes)) == [name for name in CLASSES if name in classes]
    assert sorted(classes, key=list(CLASSES).index) == classes


def test_json_has_all_that_is_told() -> None:
    done = rules("--json")
    found = {each["key"]: each for each in json.loads(done.stdout)}
    assert set(found) == set(RULES)
    over = found["over-delivery"]
    assert over["levels"] == [{"after_s": 900.0, "priority": "medium"}]
    assert over["limits"][0]["name"] == "flow_tolerance"
    assert over["limits"][0]["value"] == DEFAULTS.flow_tolerance
    assert json.loads(rules("--json", "over-delivery").stdout) == over


def test_markdown_is_the_page() -> None:
    done = rules("--markdown")
    assert done.exit_code == 0
    assert done.stdout == page(catalogue())


def test_one_rule_is_told_whole() -> None:
    done = rules("wrong-concentration")
    assert done.exit_code == 0
    assert done.stdout == snapshot("""\
wrong-concentration: concentration is not as ordered

  says        The pump has been set to another concentration than ordered for …: …, ordered ….
              If the bag is as ordered, every dose is wrong by that factor.
  look first  Read the concentration on the label of the bag that hangs, and compare bag, pump
              and order. If the three are not the same, call the pharmacist now.
  why         Bags of 50 and 100 IU/mL look alike, and mixing them up is a factor of two.
  priority    high at once
  ends        When the pump is set for the ordered concentration.
  class       therapy: what the pump is set to, against the order
  source      Premixed bags of 40, 50 and 100 IU/mL: Hospira, Baxter and B. Braun labels [V];
              more than 1 % apart [A].

  thresholds (defaults)
    concentration_tolerance = 0.01
        A label says it exactly; the rest is for rounding [A].
""")


def test_what_a_rule_does_besides_is_told() -> None:
    latching = structs.replace(row("over-delivery"), latches=True, hidden_by=("no-telemetry",))
    text = "\n".join(told(latching))
    assert "acknowledged" in text
    assert "hidden by   no-telemetry" in text
    assert "for 1 min" in text
    assert "seen in messages" in text


def test_an_unknown_rule_is_refused_with_the_nearest() -> None:
    done = rules("no-deliver")
    assert done.exit_code == EXIT_USAGE
    assert "no-deliver" in done.stderr
    assert "not-delivering" in done.stderr
    with pytest.raises(ConfigError, match="over-delivery"):
        row("over-deliver")


@pytest.mark.parametrize("more", ["--json", "over-delivery"])
def test_markdown_stands_alone(more: str) -> None:
    done = rules("--markdown", more)
    assert done.exit_code == EXIT_USAGE
    assert "--markdown" in done.stderr


def test_levels_are_told_in_words() -> None:
    levels = (LevelRow(0, "notice"), LevelRow(20, "low"), LevelRow(3_600, "high"))
    assert levels_text(levels) == "notice at once, low after 20 s, high after 1 h"


def test_a_template_is_shown_with_gaps() -> None:
    assert blanked("It ran[ for {lasted}][: {observed}].") == "It ran for …: …."


def test_every_threshold_says_what_it_is_and_where_it_comes_from() -> None:
    """The comments in infusion/thresholds.py are what is shown, so each field has one."""
    sources = limit_sources()
    assert sources.keys() == set(Thresholds.__struct_fields__)
    assert all(len(source) > 5 for source in sources.values())
    assert sources["overrides_max"] == "L02 [A]."
    assert sources["hold_grace_min"] == sources["change_grace_min"]
    assert sources["flow_tolerance"].startswith("GIP 1.2.2")

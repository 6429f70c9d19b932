"""`dripwatch rules`: the catalogue for a person, for a program and for the documents."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot
from msgspec import structs
from rich.console import Console

from dripwatch.rules import blanked, command, exact_span, levels_text, page, show, told
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
              If the bag is as ordered, every dose is wrong by that factor; what was given is
              known when its label is read.
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


@pytest.mark.parametrize("more", ["--json", "over-delivery", "--site=home"])
def test_markdown_stands_alone(more: str) -> None:
    done = rules("--markdown", more)
    assert done.exit_code == EXIT_USAGE
    assert "--markdown" in done.stderr


def test_levels_are_told_in_words() -> None:
    levels = (LevelRow(0, "notice"), LevelRow(20, "low"), LevelRow(3_600, "high"))
    assert levels_text(levels) == "notice at once, low after 20 s, high after 1 h"


@pytest.mark.parametrize(
    ("length_s", "words"),
    [
        (0.5, "0.5 s"),
        (90, "90 s"),
        (119.5, "119.5 s"),
        (120, "2 min"),
        (150, "2 min 30 s"),
        (5_400, "1 h 30 min"),
        (5_430.5, "1 h 30 min 30.5 s"),
    ],
)
def test_a_delay_is_told_as_it_was_set(length_s: float, words: str) -> None:
    """A minute and a half is not two."""
    assert exact_span(length_s) == words


def test_a_minute_and_a_half_is_no_two_minutes() -> None:
    assert "medium after 90 s" in rules("occlusion-forming").stdout


POLICY = """
[rules.battery-low]
enabled = false
[site.home.rules.over-delivery]
levels = { medium = 2.5 }
[therapy.T-0007.thresholds]
flow_tolerance = 0.2
[[override]]
therapy = "T-0007"
until = 2099-12-31
by = "pharmacist-2"
reason = "the line kinks at night"
[override.rules.over-delivery]
levels = { low = 60 }
"""


@pytest.fixture
def config(tmp_path: Path) -> list[str]:
    """A monitor's settings with a policy of its own."""
    (tmp_path / "own.toml").write_text(POLICY)
    file = tmp_path / "monitor.toml"
    file.write_text(f'[monitor]\nalerts = "{tmp_path / "own.toml"}"\n')
    return ["--config", str(file)]


@pytest.mark.parametrize(
    ("where", "levels", "tolerance"),
    [
        ([], "medium after 15 min", "0.1"),
        (["--site", "home"], "medium after 2 min 30 s (default: medium after 15 min)", "0.1"),
        (["--therapy", "T-0007"], "medium after 15 min", "0.2 (default: 0.1)"),
        (
            ["--patient", "T-0007"],
            "low after 1 h (default: medium after 15 min)",
            "0.2 (default: 0.1)",
        ),
        (
            ["--site", "home", "--therapy", "T-0007"],
            "medium after 2 min 30 s (default: medium after 15 min)",
            "0.2 (default: 0.1)",
        ),
    ],
)
def test_the_policy_that_holds_there_is_shown(
    config: list[str], where: list[str], levels: str, tolerance: str
) -> None:
    done = rules("over-delivery", *config, *where)
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"  priority    {levels}\n" in done.stdout
    assert f"    flow_tolerance = {tolerance}\n" in done.stdout
    lines = [line.split("\t") for line in rules(*config, *where).stdout.splitlines()]
    assert [line[3] for line in lines if line[0] == "over-delivery"] == [levels]
    assert [line[3] for line in lines if line[0] == "battery-low"] == [
        "switched off (default: medium at once)"
    ]


def test_a_rule_that_is_switched_off_has_no_levels_for_programs(config: list[str]) -> None:
    assert json.loads(rules("--json", "battery-low", *config).stdout)["levels"] == []


def test_a_name_that_the_policy_does_not_know_is_told(config: list[str]) -> None:
    """It may be a slip of the pen; what holds for all holds there too."""
    done = rules("over-delivery", *config, "--site", "hmoe", "--patient", "T-7")
    assert done.exit_code == 0
    assert "names no site 'hmoe': what holds for all is shown" in done.stderr
    assert "names no therapy or override 'T-7'" in done.stderr
    assert "medium after 15 min\n" in done.stdout


def test_one_of_therapy_and_patient_is_given() -> None:
    done = rules("--therapy", "T-1", "--patient", "T-1")
    assert done.exit_code == EXIT_USAGE
    assert "give one of them" in done.stderr


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

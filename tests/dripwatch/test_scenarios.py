"""`dripwatch scenario`: what ships is sound, what is wrong is named, and the template is whole."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from dripwatch.scenarios import command, shipped_names
from dripwatch.template import template_text
from simulator.machine import Mode
from simulator.story.actions import ACTIONS, StepOf
from simulator.story.entries import Expectation, Patient
from simulator.story.faults import FAULTS
from simulator.story.orders import ORDERS
from simulator.story.patient_events import PATIENT_EVENTS
from simulator.story.scenario import Header, read_scenario
from tests.dripwatch.commands import ROOT
from tests.simulator.bench import events, whole


def scenario(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def blocks() -> list[str]:
    """Each commented block of the template, without its first sign."""
    found: list[list[str]] = []
    for line in template_text().splitlines():
        if line.startswith("#[["):
            found.append([])
        if found and re.match(r"#[\[a-z]", line):
            found[-1].append(line[1:])
    return ["\n".join(lines) for lines in found]


def test_every_scenario_that_ships_is_fine() -> None:
    done = scenario("check", *shipped_names())
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name}: fine" for name in shipped_names()]


def test_the_template_is_fine_and_runs_and_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    assert scenario("new", str(file)).exit_code == 0
    assert file.read_text() == template_text()
    assert scenario("check", str(file)).exit_code == 0
    run, outputs = whole(read_scenario(file.read_bytes(), "mine.toml"))
    assert [e.alarm for e in events(outputs) if e.alarm] == ["downstream-occlusion"] * 2
    assert all(pump.state is Mode.RUNNING for pump in run.summary().values())
    file.write_text("mine")
    again = scenario("new", str(file))
    assert again.exit_code == 2
    assert "already" in again.stderr
    assert file.read_text() == "mine"


@pytest.mark.parametrize(("name", "text"), [("a.txt", "end in .toml"), ("none/a.toml", "a place")])
def test_new_says_where_it_cannot_write(tmp_path: Path, name: str, text: str) -> None:
    done = scenario("new", str(tmp_path / name))
    assert done.exit_code == 2
    assert text in done.stderr


def test_the_template_names_every_word_and_every_key() -> None:
    text = template_text()
    for key in (field.encode_name for field in structs.fields(Header)):
        assert re.search(rf"^#? ?{key} = ", text, re.MULTILINE), key
    for table, kinds in (("fault", FAULTS), ("action", ACTIONS), ("order", ORDERS)):
        for word, kind in kinds.items():
            part = text.split(f'#[[{table}]]\n#do = "{word}"\n')[1].split("\n\n")[0]
            for field in structs.fields(kind):
                assert f"#{field.encode_name} = " in part, (word, field.name)
    for name, struct in (("patient", Patient), ("expect", Expectation)):
        part = text.split(f"#[[{name}]]\n")[1].split("\n\n")[0]
        for field in structs.fields(struct):
            assert f"#{field.encode_name} = " in part, field.name


def test_every_block_of_the_template_can_be_used() -> None:
    found = blocks()
    assert len(found) == len(FAULTS) + len(ACTIONS) + len(ORDERS) + len(PATIENT_EVENTS) + 2
    for block in found:
        read_scenario(block.encode(), "block.toml")


def test_a_table_in_a_list_has_a_line_of_its_own_keys() -> None:
    (block,) = (each for each in blocks() if 'do = "program-steps"' in each)
    line = next(line for line in block.splitlines() if line.startswith("steps = "))
    for field in structs.fields(StepOf):
        assert re.search(rf"[{{ ]{field.encode_name} = [0-9.]+[,}}]", line), field.name


def test_check_names_the_place_of_an_error_and_goes_on(tmp_path: Path) -> None:
    bad, far = tmp_path / "bad.toml", tmp_path / "far.toml"
    bad.write_text('[[fault]]\nat = "00:01"\npump = "P-01"\ndo = "oclusion"\n')
    far.write_text('pumps = 2\n[[fault]]\nat = "00:01"\npump = "P-09"\ndo = "occlusion"\n')
    nobody = tmp_path / "nobody.toml"
    nobody.write_text('carer = "nobody"\n')
    done = scenario("check", str(bad), "demo", str(far), str(nobody))
    assert done.exit_code == 2
    assert done.stdout == "demo: fine\n"
    first, second, third = done.stderr.splitlines()
    assert "bad.toml: [[fault]] 1: key 'do': 'oclusion' is unknown" in first
    assert "there is no P-09 in a fleet of 2" in second
    assert "nobody.toml: key 'carer': 'nobody' is not in config/cohorts" in third


def test_list_has_every_scenario_in_both_forms() -> None:
    plain = scenario("list").stdout.splitlines()
    assert [line.split("\t")[0] for line in plain] == shipped_names()
    lines = json.loads(scenario("list", "--json").stdout)
    assert [line["name"] for line in lines] == shipped_names()
    demo = next(line for line in lines if line["name"] == "demo")
    assert (demo["pumps"], demo["duration"]) == (20, "01:00")
    assert demo["title"]
    assert demo["about"]


def test_show_tells_the_story_in_order_of_time() -> None:
    lines = scenario("show", "demo").stdout.splitlines()
    line = "  00:04     P-03: the line closes (downstream occlusion), until 00:12:30 [occlusion]"
    assert line in lines
    happens = lines[lines.index("What happens:") + 1 : lines.index("What must be alerted:") - 1]
    times = [text.split()[0] for text in happens]
    assert times == sorted(times)
    assert "raised between 00:04 and 00:08, cleared by 00:15" in "\n".join(lines)
    assert "  No other pump may raise an alert." in lines


def test_show_can_print_the_file_itself() -> None:
    done = scenario("show", "demo", "--toml")
    assert done.stdout_bytes == (ROOT / "config" / "scenarios" / "demo.toml").read_bytes()
    assert scenario("show", "dmo").exit_code == 2


def test_show_says_whether_a_pump_follows_its_order() -> None:
    told = scenario("show", "hold").stdout
    assert "P-01: a hold is ordered, until 01:15; the pump follows after 00:01 [hold]" in told
    assert "P-02: a hold is ordered, until 01:15; the pump never follows [hold]" in told

"""`dripwatch per-diem`: a recording of a whole story, counted; and what is said of bad input."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dripwatch.per_diem import told_accounts
from dripwatch.statement import EVIDENCE, csv_text, fhir_text, hours, statement_text
from infusion.clinical import Report
from infusion.errors import ConfigError
from infusion.messages import Kind, encode
from infusion.prescription import Prescription, Start, Stop
from simulator.recording import Header, Recorder
from simulator.stream import Outgoing, Output
from tests.dripwatch.commands import dripwatch
from tests.infusion.bench import T0, begin, clock
from tests.simulator.bench import START_MS, fleet, shipped_scenario


def write(path: Path, outputs: list[Output]) -> Path:
    recorder = Recorder(str(path), Header(start_ms=T0, scenario="test"))
    recorder.write(outputs)
    recorder.close()
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of one pump by hand, ten minutes a message: two nights, and a morning away."""
    bench = begin(interval_ms=600_000).run("30:00")
    bench.stop()
    bench.run("34:00")
    bench.start()
    bench.run("60:00")
    order = Prescription(
        therapy="T-01",
        version=2,
        pump="P-01",
        weight_kg=80.0,
        concentration_iu_ml=100.0,
        steps=(Start(at_ms=T0, rate_iu_kg_h=18.0), Stop(at_ms=T0 + clock("60:00"))),
    )
    visit = Report(
        therapy="T-01",
        report="R-1",
        what="nurse visit",
        by="<ada>",
        time_ms=T0 + clock("10:00"),
        lasted_min=150.0,
    )
    said: list[tuple[Kind, object]] = [(Kind.ORDER, order), (Kind.REPORT, visit)]
    outputs: list[Output] = [
        Outgoing("ehr", f"infusion/v1/home/T-01/{kind}", encode(message), 1, False, T0, kind)  # type: ignore[arg-type]
        for kind, message in said
    ]
    topic = "infusion/v1/home/P-01/telemetry"
    for at_ms, message in bench.stream[2:]:
        payload = encode(message)
        outputs.append(Outgoing("P-01", topic, payload, 1, False, at_ms, Kind.TELEMETRY))
    broken = Outgoing("P-01", topic, b"{", 1, False, T0 + clock("60:00"), Kind.TELEMETRY)
    return write(tmp_path_factory.mktemp("recording") / "r.gz", [*outputs, broken])


def test_all_forms_tell_the_same(recording: Path) -> None:
    """T0 is 2026-09-21 14:13 UTC, 09:13 in Chicago: three dates are touched."""
    told = told_accounts(recording, "nhia", "America/Chicago", ["T-01"])
    (account,) = [each.account for each in told]
    assert account.units == 3
    assert account.drug.delivered_iu == pytest.approx(56 * 1_440, abs=1)
    assert account.units_by("blocks") == 3
    rows = list(csv.DictReader(io.StringIO(csv_text(told))))
    assert [row["date"] for row in rows] == [day.day.date for day in account.days]
    assert sum(int(row["units"]) for row in rows) == 3
    assert sum(float(row["delivered_iu"]) for row in rows) == pytest.approx(
        account.drug.delivered_iu, abs=0.01
    )
    (entry,) = json.loads(fhir_text(told))["entry"]
    claim = entry["resource"]
    assert (claim["status"], claim["use"]) == ("draft", "claim")
    codes = [item["productOrService"]["coding"][0]["code"] for item in claim["item"]]
    quantities = [item["quantity"]["value"] for item in claim["item"]]
    assert codes == ["S9336", "J1644", "99601", "99602"]
    assert quantities == [3, account.drug_units, 1, 1]
    assert claim["item"][0]["informationSequence"] == [1, 2, 3]
    assert "from memory, not verified" in claim["item"][1]["productOrService"]["text"]
    assert EVIDENCE in claim["text"]["div"]


class Tags(HTMLParser):
    """Which elements are open at the end, and how many there were of each."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_quotes_what_people_said(recording: Path) -> None:
    told = told_accounts(recording, "infusion-blocks", "Europe/Dublin", [])
    page = statement_text(told)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.seen["tr"] == 2 + 4 + len(told[0].account.days)
    assert "&lt;ada&gt;" in page
    assert EVIDENCE in page
    assert "(from memory, not verified)" in page


def test_the_command_writes_and_shows(recording: Path, tmp_path: Path) -> None:
    shown = dripwatch("per-diem", str(recording), "--zone", "America/Chicago")
    assert shown.returncode == 0, shown.stderr
    assert "T-01: 3 units of S9336 by NHIA, days of access" in shown.stdout
    assert EVIDENCE in shown.stdout
    page, claim = tmp_path / "s.html", tmp_path / "c.json"
    written = dripwatch(
        *("per-diem", str(recording), "--payer", "infusion-days"),
        *("--csv", "-", "--fhir", str(claim), "--statement", str(page)),
    )
    assert written.returncode == 0, written.stderr
    assert written.stdout.startswith("therapy,date,code,")
    assert json.loads(claim.read_text())["resourceType"] == "Bundle"
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--payer", "nihia"], "'nihia' is not in config/payers; the nearest is nhia"),
        (["--zone", "America/Chikago"], "did you mean 'America/Chicago'?"),
        (["--therapy", "T-1"], "there is no therapy 'T-1' that has begun"),
    ],
)
def test_mistakes_are_named(recording: Path, arguments: list[str], text: str) -> None:
    found = dripwatch("per-diem", str(recording), *arguments)
    assert found.returncode == 2
    assert text in found.stderr


def test_a_file_that_is_neither_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing")
    with pytest.raises(ConfigError, match="it is not compressed by gzip"):
        told_accounts(path, "nhia", "UTC", [])
    with pytest.raises(ConfigError, match="give a monitor's store, or a file of --record"):
        told_accounts(tmp_path / "none", "nhia", "UTC", [])
    empty = write(tmp_path / "empty.gz", [])
    with pytest.raises(ConfigError, match="no therapy has begun in it"):
        told_accounts(empty, "nhia", "UTC", [])


def test_a_story_of_the_simulator_agrees_with_what_reached_the_meter(tmp_path: Path) -> None:
    """The dose of the account is what the pumps of a whole story truly pumped."""
    story = shipped_scenario("hold")
    hall = fleet(story)
    path = write(tmp_path / "r.gz", hall.advance(START_MS + story.header.duration.ms))
    told = told_accounts(path, "infusion-days", "UTC", [])
    pumped = {
        unit.order.prescription.therapy: dose
        for unit, dose in zip(hall.rig.units, hall.rig.meter.doses_iu(), strict=True)
    }
    assert len(told) == story.header.pumps
    for each in told:
        account = each.account
        assert account.drug.delivered_iu == pytest.approx(pumped[account.therapy], rel=0.02)


def test_days_in_hospital_of_the_simulator(tmp_path: Path) -> None:
    """Seven dates; the one that is all hospital counts under no rule, and the neighbour's do.

    Of the 144 h 48 are held, but the hold began five minutes late: a fifth block is begun.
    """
    story = shipped_scenario("hospital-days")
    hall = fleet(story, step_s=60.0, interval_s=300.0)
    path = write(tmp_path / "r.gz", hall.advance(START_MS + story.header.duration.ms))
    for payer, mine, other in (
        ("nhia", 6, 7),
        ("infusion-days", 6, 7),
        ("infusion-blocks", 5, 6),
    ):
        away, home = (each.account for each in told_accounts(path, payer, "UTC", []))
        assert (away.units, home.units) == (mine, other)
        assert [round(hours(day.hospital)) for day in away.days] == [0, 0, 8, 24, 16, 0, 0]
        assert away.days[3].units == 0
        assert away.days[3].infused == ()
        assert (away.visits, away.visit_hours) == (1, 1)
        assert home.visits == 0

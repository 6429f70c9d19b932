"""`dripwatch guide`: one page, the list, the sheet, and what is said of a page that is not there."""

from pathlib import Path

from dripwatch.guide import CALLS, GUIDE, sheet
from host.process import read_named
from infusion.service.guide import read_guide
from tests.dripwatch.commands import dripwatch


def test_the_sheet_has_every_step_of_every_page() -> None:
    guide = read_guide(*read_named(GUIDE, "guides"))
    text = sheet(guide)
    pages = [*guide.alarm.values(), *guide.complaint.values()]
    assert text.count("<section>") == len(pages)
    assert text.count("<li>") == sum(len(page.steps) for page in pages)
    assert all(page.title.replace("'", "&#x27;") in text for page in pages)
    assert set(CALLS) == {"at-once", "if-not-solved", "next-day"}


def test_the_command(tmp_path: Path) -> None:
    listed = dripwatch("guide")
    assert listed.returncode == 0, listed.stderr
    assert "downstream-occlusion  The line to the body is blocked" in listed.stdout
    page = dripwatch("guide", "downstream-occlusion")
    assert "1. Look for a closed clamp and open it." in page.stdout
    missing = dripwatch("guide", "downstream-oclusion")
    assert missing.returncode == 2
    assert "did you mean 'downstream-occlusion'?" in missing.stderr
    target = tmp_path / "sheet.html"
    assert dripwatch("guide", "--html", str(target)).returncode == 0
    assert target.read_text().startswith("<!doctype html>")
    nowhere = dripwatch("guide", "--html", str(tmp_path / "none" / "sheet.html"))
    assert nowhere.returncode == 2
    assert "name a file that can be written" in nowhere.stderr

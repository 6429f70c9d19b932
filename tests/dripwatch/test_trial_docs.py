"""docs/detection.md lists what the trial plants and what explains an alert, as they are."""

from docs.detection_table import BEGIN, FILE, SIGNS, with_tables
from dripwatch.trial.hazards import HAZARDS


def test_the_tables_are_up_to_date() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert text == with_tables(text), "write them anew with: python -m docs.detection_table"


def test_every_sign_is_told() -> None:
    assert {hazard.sign for hazard in HAZARDS.values()} == set(SIGNS)

"""What a report says, in whichever words it comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion.report_words import read_words


@pytest.mark.parametrize(
    ("what", "kind", "is_over"),
    [
        ("bleeding", "bleeding", False),
        ("Bleeding", "bleeding", False),
        ("BLEEDING_AT_SITE", "bleeding", False),
        ("nosebleed", "bleeding", False),
        ("blood-in-urine", "bleeding", False),
        ("bloody stool", "bleeding", False),
        ("haemorrhage", "bleeding", False),
        ("bleeding-over", "bleeding", True),
        ("bleeding stopped", "bleeding", True),
        ("no bleeding", "bleeding", True),
        ("bruising", "bruising", False),
        ("Bruise-gone", "bruising", True),
        ("fever", "complication", False),
        ("site-redness", "complication", False),
        ("chest-pain", "complication", False),
        ("fever-over", "complication", True),
        ("no-blood-return", "complication", False),
        ("visit", "visit", False),
        ("visit-done", "visit", False),
        ("dressing-changed", "visit", False),
        ("supplies-low", "supplies", False),
        ("supplies-delivered", "supplies", True),
        ("admitted-to-hospital", "hospital", False),
        ("discharged-from-hospital", "hospital", True),
        ("back home from hospital", "hospital", True),
        ("visit-planned", "plan", False),
        ("visit-cancelled", "plan", True),
        ("supplies-sent", "plan", False),
        ("delivery planned", "plan", False),
        ("delivery-missed", "plan", True),
        ("delivery arrived", "supplies", True),
        ("bag-changed", "none", False),
        ("teaching", "none", False),
        ("tingling", "other", False),
        ("denies bleeding", "bleeding", True),
        ("patient denied any bruising", "bruising", True),
        ("bleeding has not stopped", "bleeding", False),
        ("bleeding hasn't stopped", "bleeding", False),
        ("nosebleed no better", "bleeding", False),
        ("bleeding stopped and started again", "bleeding", False),
        ("no fever, bleeding", "bleeding", False),
        ("fever gone but bruising", "bruising", False),
        ("no bruising or bleeding", "bleeding", True),
        ("no fever, no bleeding.", "bleeding", True),
        ("bleeding, chest pain", "bleeding", False),
        ("bruising, chest pain", "complication", False),
        ("visit done, bleeding stopped", "bleeding", True),
        ("bleeding stopped, patient well", "bleeding", True),
        ("bag changed, tingling", "other", False),
        ("…", "other", False),
    ],
)
def test_the_kind_of_a_report(what: str, kind: str, is_over: bool) -> None:
    said = read_words(what)
    assert (said.kind, said.is_over) == (kind, is_over)


def test_signs_of_danger_and_of_a_clot() -> None:
    assert read_words("chest-pain").is_severe
    assert not read_words("site-pain").is_severe
    assert read_words("new thrombosis").clots
    assert not read_words("no thrombosis").clots
    assert read_words("HIT-excluded").excludes_hit
    assert not read_words("HIT suspected").excludes_hit
    assert not read_words("HIT not excluded").excludes_hit
    assert read_words("no fever, chest pain").is_severe


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=64))
def test_case_is_no_matter_in_any_text(what: str) -> None:
    assert read_words(what) == read_words(what.upper())

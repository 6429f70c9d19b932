"""What a file of a titration table or of starts is refused for, and how the error says it."""

from pathlib import Path

import pytest

from infusion.errors import ConfigError
from infusion.nomogram import Nomogram
from infusion.nomogram_file import read_nomogram, read_starts

STARTS = Path(__file__).resolve().parents[2] / "config" / "starts.toml"
SOUND = """\
title = "a table"
source = "nowhere"
mark = "A"
test = "aptt_s"
target_low = 50
target_high = 70
first_check_h = 6
[start]
rate_iu_kg_h = 18
[[bands]]
below = 50
change_iu_kg_h = 2
recheck_h = 6
[[bands]]
at_least = 50
at_most = 70
in_range = true
recheck_h = 6
[[bands]]
above = 70
change_iu_kg_h = -2
recheck_h = 6
"""


def read(text: str) -> Nomogram:
    return read_nomogram(text.encode(), "ours.toml")


def test_the_sound_table_is_read() -> None:
    assert len(read(SOUND).bands) == 3


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("at_least = 50", "at_least = 51", "band 2 (from 51 to 70): leaves a gap after band 1"),
        ("at_least = 50", "above = 50", "band 2 (above 50 to 70): leaves a gap after band 1"),
        ("at_least = 50", "at_least = 49", "band 2 (from 49 to 70): overlaps with band 1"),
        ("above = 70", "at_least = 70", "band 3 (from 70): overlaps with band 2 (from 50 to 70)"),
        ("above = 70", "above = 71", "band 3 (above 71): leaves a gap after band 2"),
        ("below = 50", "at_least = 10\nbelow = 50", "band 1 (from 10 below 50): leaves a gap"),
        ("above = 70", "above = 70\nbelow = 200", "band 3 (above 70 below 200) is the last and"),
        ("above = 70", "above = 70\nbelow = 60", "band 3: above 70 below 60 holds no value"),
        ("above = 70", "above = 70\nat_least = 70", "band 3: has both at_least and above"),
        ("at_most = 70", "at_most = 70\nbelow = 71", "band 2: has both below and at_most"),
        ("above = 70\n", "", "band 3: has no edge"),
        ("in_range = true\n", "", "needs exactly one band with in_range = true, and has 0"),
        ("above = 70", "above = 70\nin_range = true", "in_range = true, and has 2"),
        ("target_high = 70", "target_high = 71", "target 50 to 71 is not in band 2 (from 50"),
        ("target_low = 50", "target_low = 70", "target 70 to 70 is not in band 2"),
        ("= true", "= true\nhold_min = 60", "band 2 (from 50 to 70): is in range and changes"),
        ("= -2", "= 2", "band 3 (above 70): is above range and gives more"),
        ("= 2", "= -2", "band 1 (below 50): is below range and gives less"),
        ("= 2", "= 2\nhold_min = 60", "band 1 (below 50): is below range and gives less"),
        ("= -2", "= -2\nbolus_iu_kg = 40", "band 3 (above 70): is above range and gives more"),
        ("= 2", "= 2\nchange_iu_h = 100", "band 1 (below 50): has two changes of the rate"),
        ("= 2", '= 2\nnot_known = "?"', "band 1 (below 50): is not known and changes"),
        ("rate_iu_kg_h = 18", "bolus_iu = 5000", "start: needs exactly one of rate_iu_kg_h and"),
        ("= 18", "= 18\nrate_iu_h = 1000", "start: needs exactly one of rate_iu_kg_h and"),
        ("= 18", "= 18\nbolus_iu = 1\nbolus_iu_kg = 1", "start: has both bolus_iu_kg and bolus_iu"),
        ("= -2", "= nan", "band 3: key 'change_iu_kg_h': nan is not a finite number"),
        ("= 18", "= inf", "start: key 'rate_iu_kg_h': inf is not a finite number"),
        ("change_iu_kg_h = 2", "change = 2", "band 1: the key 'change' is unknown"),
        ("recheck_h = 6\n[[bands]]\nabove", "[[bands]]\nabove", "band 2: the key 'recheck_h' is"),
        ("recheck_h = 6", "recheck_h = 0", "band 1: key 'recheck_h': Expected `float` > 0"),
        ("aptt_s", "inr", "key 'test': Invalid enum value 'inr'"),
        ('title = "a table"\n', "", "the key 'title' is missing; add it"),
        ("mark", "marks", "the key 'marks' is unknown; did you mean 'mark'?"),
        ("[start]\nrate_iu_kg_h = 18", "start = 18", "start: 18 is not a table"),
        ("[start]\nrate_iu_kg_h = 18\n", "", "the key 'start' is missing; add it"),
        ("[start]", "critical = [{}]\n[start]", "critical 1: has no edge"),
        ("[start]", "critical = 5\n[start]", "critical: 5 is not a list of tables"),
        ("[start]", "critical = [5]\n[start]", "critical 1: 5 is not a table"),
        ("title =", "title", "line 1"),
    ],
)
def test_refusals(old: str, new: str, expected: str) -> None:
    assert old in SOUND
    with pytest.raises(ConfigError) as caught:
        read(SOUND.replace(old, new, 1))
    assert str(caught.value).startswith("ours.toml: ")
    assert expected in str(caught.value)


def test_a_table_without_bands_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^ours\.toml: has no bands"):
        read(SOUND[: SOUND.index("[[bands]]")])


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = SOUND.replace("at_least = 50", "at_least = 51").replace("above = 70", "above = 60")
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert len(str(caught.value).splitlines()) == 2


def test_a_start_without_a_rate_is_refused() -> None:
    text = STARTS.read_text().replace("rate_iu_kg_h = 12\n", "", 1)
    with pytest.raises(ConfigError, match=r"^starts\.toml: \[stemi_lytic\]: needs exactly one"):
        read_starts(text.encode(), "starts.toml")

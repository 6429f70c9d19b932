"""The texts of the alerts, filled with what simulated pumps and laboratories really give."""

import re

import pytest

from infusion.texts import tell
from tests.simulator.bench import START_MS, fleet, pace, shipped_scenario
from tests.virtual import Trial

LENGTH_MAX = 320


def said(name: str) -> dict[str, str]:
    """By rule, what is said when its first alert is raised."""
    story = shipped_scenario(name)
    grid = pace(story)
    run = Trial(fleet(story, **grid), tick_ms=round(grid["step_s"] * 1000))
    run.run(START_MS + story.header.duration.ms)
    first: dict[str, str] = {}
    for change in run.changes:
        alert = change.alert
        words = tell(
            alert.rule,
            alert.evidence,
            since_ms=alert.onset_ms,
            at_ms=alert.changed_ms,
            priority=alert.priority,
        )
        first.setdefault(alert.rule, words.what)
    return first


@pytest.mark.parametrize("name", ["counter-faults", "keypad-school", "lumen-specimen"])
def test_every_sentence_is_whole(name: str) -> None:
    sentences = said(name)
    assert sentences
    for what in sentences.values():
        assert what.isprintable()
        assert re.match(r"[A-Za-z]", what)
        assert what.endswith(".")
        assert not re.search(r"[{}\[\]]|None|nan|  | [.,;:]", what), what
        assert len(what) <= LENGTH_MAX


def test_the_demo_says_what_is_wrong_and_by_how_much() -> None:
    what = said("demo")["rate-not-as-ordered"]
    assert what.startswith("The pump has been set higher than ordered")
    assert ": 159.3 mL/h, ordered 15.93 mL/h." in what

"""A look that leaves out what only news can bring says what a look at everything says."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion.messages import AlertChange
from infusion.monitor import Monitor
from infusion.rules import RULES
from infusion.state import PumpState
from tests.infusion.streams import STREAMS, overtaken, plans, played, run, timetable


class Thorough(Monitor):
    """Asks every rule at every look."""

    def _evaluate(self, state: PumpState, at_ms: int, has_news: bool = True) -> list[AlertChange]:
        return super()._evaluate(state, at_ms, True)


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_streams(name: str) -> None:
    slots = timetable(STREAMS[name](), tail_ms=30 * 60_000)
    assert run(slots).changes == run(slots, Thorough()).changes


@settings(max_examples=20, deadline=None)
@given(plans, st.integers(0, 10_000))
def test_drawn_streams(plan: list[tuple[str, int]], seed: int) -> None:
    slots = timetable(overtaken(played(plan), random.Random(seed)), tail_ms=30 * 60_000)
    assert run(slots).changes == run(slots, Thorough()).changes


def test_a_rule_that_tells_what_a_watch_shows_has_nothing_to_tell_when_none_does() -> None:
    watched = {key for key, rule in RULES.items() if rule.watched}
    assert watched >= {"over-delivery", "under-delivery", "counter-frozen", "occlusion-forming"}
    # These hang on the clock, or on numbers that no watch follows.
    assert not watched & {"no-telemetry", "reservoir-runs-out", "deviation-24h", "free-flow-seen"}


def test_a_rule_is_asked_at_every_look_unless_it_says_that_only_news_brings_it() -> None:
    told = {key for key, rule in RULES.items() if rule.told}
    assert told >= {"library-bypassed", "two-pumps-one-name"}
    # The order that they may wait for comes, or does not: time alone ends the wait.
    assert not told & {"wrong-concentration", "wrong-weight"}
    assert not told & {"over-delivery", "free-flow-seen", "no-telemetry", "reservoir-runs-out"}

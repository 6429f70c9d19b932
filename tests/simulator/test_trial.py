"""The shipped scenarios against the monitor's core, in virtual time."""

from collections import defaultdict
from functools import cache
from typing import NamedTuple

import pytest

from infusion.messages import Event, PumpMessage
from infusion.monitor import COUNTERS_CLEARED
from infusion.rules import RULES
from infusion.units import nanolitres
from simulator.story.expectations import judge
from simulator.story.scenario import Scenario
from tests.simulator.bench import CONFIG, START_MS, fleet, pace, shipped_scenario
from tests.virtual import Trial

SCENARIOS = sorted(path.stem for path in (CONFIG / "scenarios").glob("*.toml"))
# Rules that stories expect and that the monitor does not have yet: only that these are not raised is
# passed over. A rule that exists must not stand here.
AWAITED: frozenset[str] = frozenset()
# What a rule that exists does not find yet: (story, expectation). Found, it must not stand here.
MISSED: frozenset[tuple[str, str]] = frozenset()
SEGMENT_ENDS = ("MDC_EVT_PUMP_DELIV_STOP", "MDC_EVT_PUMP_DELIV_COMP")
# Where what the monitor counts cannot be what the pump counted, and why.
UNCOUNTABLE = {
    "counter-faults": "counters that stand, fall or leap are not what was counted",
    "two-pumps-one-name": "two counters come under one name",
}
# Where segments are less than the counter, and why.
BESIDE_SEGMENTS = {
    "bad-wire": "the wire loses ends of segments for good; counters are sums and lack nothing",
    "free-flow": "what runs through a pump that stands is counted, and belongs to no segment",
}
# Bags that hold what nobody has typed in: millilitres are right, units are not.
WRONG_BAGS = {"bag-mix-up"}


class Ran(NamedTuple):
    """A scenario that has run to its end."""

    run: Trial
    story: Scenario
    complaints: list[str]
    end_ms: int


@cache
def ran(name: str) -> Ran:
    """A scenario, judged at its end, before the pumps say goodbye; run once for all tests."""
    story = shipped_scenario(name)
    grid = pace(story)
    run = Trial(fleet(story, **grid), tick_ms=round(grid["step_s"] * 1000))
    run.run(START_MS + story.header.duration.ms)
    end_ms = run.fleet.now_ms
    return Ran(run, story, judge(story, run.changes, START_MS, end_ms), end_ms)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_core_meets_every_expectation(name: str) -> None:
    """What a scenario expects is found, and nothing where it says quiet."""
    _, story, complaints, end_ms = ran(name)
    missed = {text for story_name, text in MISSED if story_name == name}
    others = [each for each in complaints if not is_awaited(each)]
    assert [each for each in others if not each.startswith(tuple(missed))] == []
    assert all(any(each.startswith(text) for each in others) for text in missed)
    # Every expectation has come to its time, so that none is met by being left out.
    expected = [each for each in story.expectations if not each.never]
    assert len(judge(story, [], START_MS, end_ms)) == len(expected)
    assert all(START_MS + each.raised[1].ms <= end_ms for each in story.expectations)


def is_awaited(complaint: str) -> bool:
    return any(f": {rule} was not raised" in complaint for rule in AWAITED)


def test_what_is_awaited_is_expected_somewhere_and_is_no_rule_yet() -> None:
    expected = {each.rule for name in SCENARIOS for each in shipped_scenario(name).expectations}
    assert expected >= AWAITED
    assert AWAITED.isdisjoint(RULES)
    assert expected - AWAITED <= RULES.keys()


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in UNCOUNTABLE])
def test_no_dose_is_lost_or_invented(name: str) -> None:
    """For every pump: segments, the counter and the account agree to the last nanolitre, with what
    the pump itself counted; that need not be what was pumped.

    And the account's IU are the fleet's, where the pump counted right and knew its bag.
    """
    run = ran(name).run.close()
    by_pump: dict[str, dict[tuple[int, int], PumpMessage]] = defaultdict(dict)
    for message in run.said:
        # What comes twice is one message.
        by_pump[message.pump][message.boot, message.seq] = message
    truth = run.fleet.summary()
    assert by_pump.keys() == truth.keys()
    for pump, heard in by_pump.items():
        messages = list(heard.values())
        account = run.monitor.pumps[f"home/{pump}"].account
        assert account.pumped_nl == counted_nl(messages), pump
        assert name in BESIDE_SEGMENTS or segments_nl(messages) == counted_nl(messages), pump
        assert account.pumped_nl == nanolitres(truth[pump].counted_ml), pump
        counts_right = nanolitres(truth[pump].counted_ml) == nanolitres(truth[pump].pumped_ml)
        if counts_right and name not in WRONG_BAGS:
            # The fleet's figure is rounded to thousandths of an IU.
            assert account.pumped_iu == pytest.approx(truth[pump].delivered_iu, abs=6e-4), pump


def ordered(messages: list[PumpMessage]) -> list[PumpMessage]:
    return sorted(messages, key=lambda message: (message.boot, message.seq))


def counted_nl(messages: list[PumpMessage]) -> int:
    """The counter over all its epochs: each adds what it stood at when it ended."""
    total = 0
    last = 0
    boot = None
    for message in ordered(messages):
        begins = message.boot != boot
        begins |= isinstance(message, Event) and message.event == COUNTERS_CLEARED
        if begins:
            total += last
            last = 0
        boot = message.boot
        last = nanolitres(message.volume_ml)
    return total + last


def segments_nl(messages: list[PumpMessage]) -> int:
    """The delivery segments that have ended, and the one that has not."""
    total = 0
    in_ordered = ordered(messages)
    for message in in_ordered:
        if isinstance(message, Event) and message.event in SEGMENT_ENDS:
            total += nanolitres(message.segment_ml)
    last = in_ordered[-1]
    return total + (nanolitres(last.segment_ml) if last.status == "infusing" else 0)

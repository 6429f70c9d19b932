"""The shipped scenarios against the monitor's core, in virtual time."""

from collections import defaultdict

import pytest

from infusion.messages import Event, PumpMessage
from infusion.monitor import COUNTERS_CLEARED
from infusion.units import nanolitres
from simulator.story.expectations import judge
from tests.simulator.bench import CONFIG, START_MS, fleet, shipped_scenario
from tests.virtual import Trial

SCENARIOS = sorted(path.stem for path in (CONFIG / "scenarios").glob("*.toml"))
# A day of twenty pumps takes long and tells nothing about doses that its first hours do not.
HOURS_MAX = 3
SEGMENT_ENDS = ("MDC_EVT_PUMP_DELIV_STOP", "MDC_EVT_PUMP_DELIV_COMP")


def trial(name: str, seed: int) -> Trial:
    """A scenario run to its end, or for the first hours of a long one."""
    story = shipped_scenario(name)
    until_ms = START_MS + min(story.header.duration.ms, HOURS_MAX * 3_600_000)
    return Trial(fleet(story, seed=seed)).run(until_ms)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_core_meets_every_expectation(name: str) -> None:
    """What a scenario expects is found, and nothing where it says quiet."""
    story = shipped_scenario(name)
    run = trial(name, seed=7)
    assert judge(story, run.changes, START_MS, run.fleet.now_ms) == []
    assert len(judge(story, [], START_MS, run.fleet.now_ms)) == len(story.expectations)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "counter-faults"])
def test_no_dose_is_lost_or_invented(name: str) -> None:
    """For every pump: segments, the counter and the account agree to the last nanolitre.

    And the account's IU are the fleet's, where no bag holds what the pump does not know of.
    """
    run = trial(name, seed=11).close()
    by_pump: dict[str, list[PumpMessage]] = defaultdict(list)
    for message in run.said:
        by_pump[message.pump].append(message)
    truth = run.fleet.summary()
    for pump, messages in by_pump.items():
        account = run.monitor.pumps[f"home/{pump}"].account
        assert account.pumped_nl == counted_nl(messages), pump
        assert segments_nl(messages) == counted_nl(messages), pump
        assert account.pumped_nl == nanolitres(truth[pump].pumped_ml), pump
        if name != "bag-mix-up":
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

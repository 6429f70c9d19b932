"""A test of the shipped scenarios against the monitor's pure core, joined in virtual time.

The wire is perfect here: what a pump says arrives at once and in order, wills included.
"""

import pytest

from infusion.messages import AlertChange, decode, parse_topic
from infusion.monitor import Monitor
from simulator.expectations import judge
from simulator.scenario import Scenario
from simulator.stream import Connect, Outgoing
from tests.simulator.bench import START_MS, fleet, shipped_scenario

# The partition clock of the core follows the time of receipt by at most a second a step.
TICK_MS = 1_000


def trial(story: Scenario, **changes: object) -> list[AlertChange]:
    """Every change of an alert in a whole run of a scenario."""
    run, monitor = fleet(story, **changes), Monitor()
    found: list[AlertChange] = []
    wills: dict[str, Connect] = {}

    def hear(topic_text: str, payload: bytes, at_ms: int) -> None:
        topic = parse_topic(topic_text)
        found.extend(monitor.receive(decode(topic, payload), topic.site, at_ms))

    for at_ms in range(START_MS, START_MS + story.header.duration.ms + 1, TICK_MS):
        for output in run.advance(at_ms):
            if isinstance(output, Outgoing):
                hear(output.topic, output.payload, output.time_ms)
            elif isinstance(output, Connect):
                wills[output.session] = output
            elif not output.clean:
                will = wills[output.session]
                assert will.will_topic is not None
                hear(will.will_topic, will.will_payload, output.time_ms)
        found += monitor.tick(at_ms)
    return found


@pytest.mark.parametrize(
    "name", ["demo", "order-change", "hold", "wifi-night", "counter-faults", "bag-mix-up"]
)
def test_the_core_meets_every_expectation(name: str) -> None:
    story = shipped_scenario(name)
    changes = trial(story)
    assert judge(story, changes, START_MS, START_MS + story.header.duration.ms) == []
    assert len(judge(story, [], START_MS, START_MS + story.header.duration.ms)) == len(
        story.expectations
    )

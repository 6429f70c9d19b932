"""The traffic is that of the simulator, at times that do not depend on the broker."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.resources import config_path
from infusion.errors import ConfigError
from infusion.messages import CONTRACT, Kind, Telemetry, decode, parse_topic
from infusion.monitor import Monitor
from simulator.fleet import Fleet
from simulator.load.plan import Plan
from simulator.load.traffic import (
    STEADY,
    STEP_MS_MAX,
    Traffic,
    probes_of,
    scaled,
    spread,
    step_ms,
)
from simulator.setup import named_scenario, setup_of
from simulator.stream import Connect, Disconnect, Outgoing, Output
from tests.simulator.load.loads import START_MS, part_of

PUMPS = 12


def traffic(**plan: object) -> Traffic:
    chosen = Plan(**{"count": PUMPS, "interval_ms": 1_000, "duration_s": 30.0, **plan})  # type: ignore[arg-type]  # a test's own
    return Traffic(part_of(chosen, chosen.count))


def said_in(source: Traffic, steps: int) -> list[Output]:
    return [*source.first(), *(said for _ in range(steps) for _, said in source.step())]


def test_the_bytes_are_those_of_the_simulator() -> None:
    """A fleet with the same seed says the same messages; only their order within a step differs."""
    source = traffic()
    setup = setup_of(STEADY, "ambulatory")
    fleet = Fleet(
        setup.scenario,
        setup.profile,
        pumps=PUMPS,
        start_ms=START_MS,
        seed=1,
        interval_s=1.0,
        step_s=source.step_ms / 1_000,
        site="load-1",
        library=setup.library,
    )
    fleet.count_boots_from(7)
    mine = said_in(source, 50)
    theirs = fleet.advance(START_MS) + fleet.advance(START_MS + 50 * source.step_ms)
    for pump in {output.session for output in theirs}:
        assert [each for each in mine if each.session == pump] == [
            each for each in theirs if each.session == pump
        ]


@pytest.mark.parametrize("scenario", [None, "reconnect-storm", "wifi-night", "alarm-storm"])
def test_every_payload_is_true_contract_v1_and_a_monitor_takes_it(scenario: str | None) -> None:
    count = 40
    source = traffic(count=count, scenario=scenario, speed=60, interval_ms=500)
    monitor = Monitor()
    telling: set[str] = set()
    for output in said_in(source, 40):
        if not isinstance(output, Outgoing):
            continue
        message = decode(parse_topic(output.topic), output.payload, contract=CONTRACT)
        monitor.receive(message, "load-1", output.time_ms)
        if isinstance(message, Telemetry):
            telling.add(message.pump)
    assert len(telling) == count
    assert monitor.refused == {}
    assert len(monitor.pumps) == count
    for state in monitor.pumps.values():
        assert state.account.accepted > 0


@settings(deadline=None)
@given(interval=st.integers(5, 3_600_000), pumps=st.integers(1, 200_000))
def test_the_step_divides_the_interval(interval: int, pumps: int) -> None:
    step = step_ms(interval, pumps)
    assert 1 <= step <= min(interval, STEP_MS_MAX)
    assert interval % step == 0


def test_lone_telemetry_is_spread_evenly_and_the_rest_keeps_its_point() -> None:
    source = traffic(count=100, interval_ms=100)
    said = source.first()
    for _ in range(3):
        slots = source.step()
        times = [after for after, output in slots if isinstance(output, Outgoing)]
        assert times == sorted(times)
        gaps = {later - before for before, later in pairwise(times)}
        assert max(gaps) - min(gaps) <= 1, "the same rate all the time"
    # What a pump says when it boots belongs together.
    assert {after for after, _ in spread(said, 100_000)} == {0}


def test_what_one_session_says_stays_in_order() -> None:
    source = traffic(count=40, scenario="reconnect-storm", speed=600, interval_ms=500)
    said_in(source, 1)
    connections = 0
    for _ in range(40):
        seen: dict[str, int] = {}
        for after, output in source.step():
            assert seen.get(output.session, 0) <= after
            seen[output.session] = after
            connections += isinstance(output, Connect | Disconnect)
    assert connections > 0, "the storm has come"


def test_a_scenario_befalls_each_block_of_pumps() -> None:
    demo = named_scenario("demo")
    wide = scaled(demo, 65)
    blocked = next(entry for entry in wide.faults if "P-3" in entry.pump)
    assert blocked.pump == ("P-3", "P-23", "P-43", "P-63")
    assert [patient.pump for patient in wide.patients if patient.weight_kg == 80.0][:4] == [
        "P-3", "P-23", "P-43", "P-63",
    ]  # fmt: skip
    assert wide.expectations == ()


@pytest.mark.parametrize(
    "name", sorted(file.stem for file in config_path("scenarios").glob("*.toml"))
)
def test_every_scenario_is_traffic(name: str) -> None:
    """Any of them, twice over and fast: all that is said has a topic and a time."""
    block = named_scenario(name).header.pumps
    source = traffic(count=2 * block, scenario=name, speed=600, interval_ms=1_000)
    assert len(said_in(source, 20)) > 2 * block


def test_a_scenario_with_more_pumps_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no P-"):
        traffic(count=2, scenario="demo")


def test_a_door_is_opened_at_one_pump_after_another() -> None:
    plan = Plan(count=5, duration_s=10.0, alerts=True)
    probes = probes_of(part_of(plan, 5))
    assert probes == {"P-05": 250, "P-04": 500, "P-03": 750, "P-02": 1_000, "P-01": 1_250}
    source = traffic(count=5, duration_s=10.0, alerts=True, interval_ms=500)
    alarming = [
        output.session
        for output in said_in(source, 8)
        if isinstance(output, Outgoing)
        and output.kind is Kind.EVENT
        and b'"MDC_EVT_DOOR_POSN_ERR"' in output.payload
    ]
    assert alarming == ["P-05", "P-04", "P-03"]

"""The wire of the trial loses, delays and reorders what it says, and no more."""

import itertools

import pytest

from dripwatch.trial.wire import PRESETS, LossyWire, WireSettings, read_wire
from infusion.errors import ConfigError
from infusion.messages import Kind
from simulator.stream import Connect, Disconnect, Outgoing, Output

COUNT = 20_000
STEP_MS = 10_000


def telemetry(number: int, at_ms: int) -> Outgoing:
    payload = b"%d" % number
    return Outgoing("P-01", "topic", payload, 1, False, at_ms, Kind.TELEMETRY)


def carried(settings: WireSettings, seed: int = 1, count: int = COUNT) -> list[tuple[int, int]]:
    """(when it was said, when it arrived) of each message that came, in order of arrival."""
    wire = LossyWire(settings, seed, {"P-01": 0})
    found = []
    for number in range(count + 100):
        now_ms = number * STEP_MS
        said: list[Output] = [telemetry(number, now_ms)] if number < count else []
        for at_ms, _, output in wire.carry(said, now_ms):
            assert isinstance(output, Outgoing)
            found.append((int(output.payload) * STEP_MS, at_ms))
    return found


def test_a_clean_wire_carries_everything_at_once() -> None:
    assert carried(PRESETS["clean"], count=50) == [
        (number * STEP_MS, number * STEP_MS) for number in range(50)
    ]


def test_it_loses_what_it_says() -> None:
    lost = COUNT - len(carried(WireSettings(loss=0.01)))
    # Five standard deviations of 200 expected.
    assert 130 < lost < 270


def test_it_delays_what_it_says_and_keeps_the_order() -> None:
    arrivals = carried(WireSettings(delay=5.0))
    delays = [at_ms - said_ms for said_ms, at_ms in arrivals]
    assert len(arrivals) == COUNT
    assert arrivals == sorted(arrivals)
    # Waiting for the one before makes it a little more than the mean.
    assert 4_800 < sum(delays) / COUNT < 7_000
    assert min(delays) >= 0


def test_only_what_is_reordered_is_passed_by_others() -> None:
    arrivals = carried(WireSettings(reorder=0.05, within=30.0))
    said = [said_ms for said_ms, _ in arrivals]
    passed = sum(after < before for before, after in itertools.pairwise(said))
    assert len(arrivals) == COUNT
    assert 100 < passed < 0.05 * COUNT
    assert max(at_ms - said_ms for said_ms, at_ms in arrivals) <= 30_000


def test_it_repeats_what_it_says() -> None:
    extra = len(carried(WireSettings(repeat=0.01))) - COUNT
    assert 130 < extra < 270


def test_presence_orders_and_connections_always_come() -> None:
    wire = LossyWire(WireSettings(loss=0.5, delay=3.0), 1, {"P-01": 0})
    said: list[Output] = [
        Connect("P-01", 0),
        Outgoing("P-01", "topic", b"", 1, True, 0, Kind.PRESENCE),
        Outgoing("ehr", "topic", b"", 1, False, 0, Kind.ORDER),
        Disconnect("P-01", 0, clean=False),
    ]
    assert [output for _, _, output in wire.carry(said, 0)] == said


def test_a_goodbye_does_not_overtake_what_was_said_before() -> None:
    wire = LossyWire(WireSettings(delay=60.0), 1, {"P-01": 0})
    last = Disconnect("P-01", 0, clean=True)
    wire.carry([telemetry(0, 0), last], 0)
    arrived = [output for _, _, output in wire.carry([], 10**9)]
    assert arrived[-1] is last
    assert len(arrived) == 2


def test_each_pump_draws_for_itself() -> None:
    settings = WireSettings(loss=0.3)
    assert carried(settings, seed=1, count=200) == carried(settings, seed=1, count=200)
    assert carried(settings, seed=1, count=200) != carried(settings, seed=2, count=200)
    together = LossyWire(settings, 1, {"P-01": 0, "P-02": 1})
    said: list[Output] = []
    for number in range(200):
        other = Outgoing("P-02", "topic", b"", 1, False, 0, Kind.TELEMETRY)
        said += [telemetry(number, 0), other]
    came = [output for _, _, output in together.carry(said, 0) if output.session == "P-01"]
    alone = LossyWire(settings, 1, {"P-01": 0})
    assert came == [
        output for _, _, output in alone.carry([telemetry(n, 0) for n in range(200)], 0)
    ]


def test_it_counts_what_became_of_the_messages() -> None:
    wire = LossyWire(WireSettings(loss=0.5), 1, {"P-01": 0})
    arrived = wire.carry([telemetry(number, 0) for number in range(100)], 0)
    assert wire.counts["said"] == 100
    assert wire.counts["lost"] == 100 - len(arrived)


def test_a_wire_is_read_from_its_name_or_its_numbers() -> None:
    assert read_wire("home") is PRESETS["home"]
    assert read_wire("loss=0.02, delay=5") == WireSettings(loss=0.02, delay=5.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hume", "did you mean 'home'"),
        ("loss=much", "is no number"),
        ("loss=0.9", "<= 0.5"),
        ("lost=0.1", "known are loss, delay"),
    ],
)
def test_a_wire_that_makes_no_sense_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_wire(text)

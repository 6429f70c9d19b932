"""A property test: whatever is done to a pump, its segments add up to its counter, exactly."""

from hypothesis import given, settings
from hypothesis import strategies as st

from infusion.messages import Event, PumpMessage, Telemetry
from infusion.units import nanolitres
from simulator.machine import Happening
from simulator.stream import Outgoing
from tests.simulator.bench import OnePump, decoded, fleet, scenario, segments_nl, shipped_profile

keys = st.sampled_from(
    [
        Happening.START,
        Happening.PAUSE,
        Happening.CHANGE_BAG,
        Happening.CLEAR_COUNTERS,
        Happening.REBOOT,
        Happening.BOOTED_GOING_ON,
        Happening.POWER_OFF,
        Happening.POWER_ON,
        Happening.BOOTED,
    ]
)
deeds = st.one_of(
    keys,
    st.tuples(st.just("rate"), st.floats(0.1, 200)),
    st.tuples(st.just("vtbi"), st.floats(0.01, 5)),
    st.tuples(st.just("bolus"), st.floats(0.01, 5)),
    st.tuples(st.just("occlusion"), st.just(0.0)),
    st.tuples(st.just("release"), st.just(0.0)),
)


def check(messages: list[PumpMessage]) -> None:
    """Epoch by epoch: segments = counter, counter never falls, seq counts by one."""
    total_nl = 0
    before: PumpMessage | None = None
    for message in messages:
        counter_nl = nanolitres(message.volume_ml)
        if before is None or message.boot != before.boot:
            assert message.seq == 0
            total_nl = 0
        else:
            assert message.seq == before.seq + 1
        if isinstance(message, Event) and message.event.endswith("_COUNTERS_CLEARED"):
            assert counter_nl == 0
            total_nl = 0
        elif before is not None and message.boot == before.boot:
            assert message.volume_ml >= before.volume_ml
        total_nl += segments_nl([message])
        ended = message.status == "not-infusing" or (
            isinstance(message, Event) and message.delivery == "transitioning"
        )
        open_nl = 0 if ended else nanolitres(message.segment_ml)
        assert total_nl + open_nl == counter_nl, message
        before = message


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(deeds, st.integers(0, 400)), max_size=25))
def test_segments_add_up_to_the_counter(
    steps: list[tuple[Happening | tuple[str, float], int]],
) -> None:
    pump = OnePump(shipped_profile(), 12.3, bag_ml=30.0)
    pump.state.bias[:] = 0.031
    pump.does(Happening.BOOTED_GOING_ON)
    for deed, seconds in steps:
        match deed:
            case ("rate", float(value)):
                pump.programs(rate_ml_h=value)
            case ("vtbi", float(value)):
                pump.programs(vtbi_ml=value, restarts_vtbi=True)
            case ("bolus", float(value)):
                pump.gives(value, 120.0)
            case ("occlusion", _):
                pump.state.set_resistance(0, float("inf"))
            case ("release", _):
                pump.state.set_resistance(0, 1.0)
            case Happening.CHANGE_BAG:
                pump.state.fill(0, 30.0)
                pump.does(Happening.CHANGE_BAG)
            case Happening():
                pump.does(deed)
        pump.runs(seconds)
    check(list(pump.said))


WORDS = ["pause", "resume", "stop", "restart", "program-order", "change-bag", "clear-counters"]


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_whole_fleet_conserves_volume_in_any_story(data: st.DataObject) -> None:
    lines = []
    for _ in range(data.draw(st.integers(0, 12))):
        at = f"00:{data.draw(st.integers(0, 49)):02d}"
        until = f"00:{data.draw(st.integers(50, 59)):02d}"
        kind = data.draw(st.sampled_from(["occlusion", "offline", "reboot", "rate", *WORDS]))
        head = f'at = "{at}"\npump = "P-0{data.draw(st.integers(1, 3))}"\n'
        if kind in ("occlusion", "offline"):
            lines.append(f'[[fault]]\n{head}do = "{kind}"\nuntil = "{until}"\n')
        elif kind == "reboot":
            lines.append(f'[[fault]]\n{head}do = "reboot"\n')
        elif kind == "rate":
            lines.append(f'[[action]]\n{head}do = "program-rate"\nfactor = 3\n')
        else:
            lines.append(f'[[action]]\n{head}do = "{kind}"\n')
    run = fleet(scenario("pumps = 3\n" + "\n".join(lines)), step_s=2.0)
    outputs = run.advance(run.start_ms + 3_600_000)
    for name, summary in run.summary().items():
        messages = [
            message for message in decoded(outputs, name) if isinstance(message, Telemetry | Event)
        ]
        check(list(messages))
        assert abs(summary.pumped_ml - summary.held_ml - summary.patient_ml) < 1e-9
        # Every epoch's last counter, summed over epochs, is what was pumped.
        last: dict[tuple[int, int], int] = {}
        epoch = 0
        for message in messages:
            epoch += isinstance(message, Event) and message.event.endswith("_COUNTERS_CLEARED")
            last[message.boot, epoch] = nanolitres(message.volume_ml)
        told = sum(last.values())
        assert told <= nanolitres(summary.pumped_ml)
        if messages and messages[-1].time_ms == run.now_ms:
            assert told == nanolitres(summary.pumped_ml)
    assert all(not isinstance(output, Outgoing) or output.payload for output in outputs)

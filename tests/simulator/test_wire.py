"""A test of the way between pumps and broker: each fault, its truth, and what never changes."""

from collections import Counter, defaultdict
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion.errors import ConfigError, MessageError
from infusion.messages import Presence, Telemetry, decode, parse_topic
from infusion.truth import Truth
from simulator.fleet import Fleet
from simulator.stream import Connect, Disconnect, Outgoing, Output
from simulator.wire_effects import WireRecord
from tests.simulator.bench import START_MS, decoded, fleet, minutes, scenario

HEAD = 'pumps = 4\nduration = "00:20"\n'


def faulty(*tables: str) -> str:
    """A scenario of twenty minutes with these faults on P-02, from minute 5 to 10."""
    text = HEAD
    for table in tables:
        keys = {"at": '"00:05"', "until": '"00:10"', "pump": '"P-02"'}
        for line in filter(None, (line.strip() for line in table.split("\n"))):
            key, value = line.split(" = ", 1)
            keys[key] = value
        text += "[[fault]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
    return text


def run(text: str, **changes: object) -> tuple[Fleet, list[Output]]:
    """A fleet that has run a scenario of twenty minutes."""
    made = fleet(scenario(text), **changes)
    return made, made.advance(minutes(20))


def clean(**changes: object) -> list[Output]:
    return run(HEAD, **changes)[1]


def said(outputs: list[Output], session: str = "P-02") -> list[Outgoing]:
    """Telemetry and events of a session."""
    return [
        output
        for output in outputs
        if isinstance(output, Outgoing)
        and output.session == session
        and not output.topic.endswith("/presence")
    ]


def within(outputs: list[Outgoing], begin: float = 5, end: float = 10) -> list[Outgoing]:
    return [output for output in outputs if minutes(begin) <= output.time_ms < minutes(end)]


def payloads(outputs: list[Outgoing]) -> list[bytes]:
    return [output.payload for output in outputs]


def record(made: Fleet) -> WireRecord:
    (only,) = made.wire.log
    return only


# --- what never changes --------------------------------------------------------------------------


def test_a_wire_without_a_fault_gives_back_the_very_list() -> None:
    made = fleet(scenario(HEAD))
    outputs: list[Output] = [Disconnect("P-01", START_MS, clean=True)]
    assert made.wire.carry(outputs, START_MS) is outputs
    # Neither does one whose fault is still to come.
    made = fleet(scenario(faulty('do = "wire-drop"')))
    assert made.wire.carry(outputs, START_MS) is outputs


@pytest.mark.parametrize("do", ['do = "wire-drop"', 'do = "storm"', 'do = "clone"'])
def test_a_fault_on_one_pump_touches_no_other(do: str) -> None:
    others = {"P-01", "P-03", "P-04", "ehr"}
    _, outputs = run(faulty(do))
    assert [o for o in outputs if o.session in others] == [
        o for o in clean() if o.session in others
    ]


FAULTS = st.sampled_from(
    [
        'do = "wire-drop"\nshare = 0.3',
        'do = "wire-delay"\ndelay_s = 12.5\nspread_s = 30',
        'do = "wire-duplicate"\nshare = 0.5\ntimes = 2\nafter_s = 7',
        'do = "wire-reorder"\nshare = 0.5\nwithin_s = 45',
        'do = "malformed"\nshare = 0.2',
        'do = "half-open"\nkept = false',
        'do = "half-open"\nnotice_s = 400',
        'do = "flapping"\nspread = 0.5\nbackfill_rate_s = 0.5',
        'do = "storm"\nspread_s = 30\nbackfill_rate_s = 2',
        'do = "replayed"\nsince = "00:01"\nupto = "00:04"',
        'do = "replayed"\nsince = "00:02"\nupto = "00:03"\nby = "stranger"',
        'do = "clone"\nboot = 9',
        'do = "offline"',
        'do = "reboot"\nat = "00:07"\nuntil = none',
    ]
)


def compose(faults: list[str]) -> str:
    return faulty(*faults).replace("until = none\n", "")


@settings(max_examples=40, deadline=None)
@given(faults=st.lists(FAULTS, min_size=1, max_size=4), data=st.data())
def test_the_output_does_not_depend_on_how_it_is_called_and_no_message_is_unaccounted(
    faults: list[str], data: st.DataObject
) -> None:
    text = compose(faults)
    made, outputs = run(text, step_s=10.0)
    outputs += made.close()
    again = fleet(scenario(text), step_s=10.0)
    pieces: list[Output] = []
    for cut in sorted(data.draw(st.lists(st.integers(-10, 1_200), max_size=25))):
        pieces += again.advance(START_MS + cut * 1_000)
    pieces += again.advance(minutes(20)) + again.close()
    assert pieces == outputs
    assert again.wire.log == made.wire.log
    assert [o.time_ms for o in outputs] == sorted(o.time_ms for o in outputs)
    # The same device faults without those of the wire: every message in is one out, but for what
    # the records say.
    plain_text = compose([f for f in faults if "offline" in f or "reboot" in f])
    plain = fleet(scenario(plain_text), step_s=10.0)
    before = said(plain.advance(minutes(20)) + plain.close())
    after = [
        m
        for name in sorted({o.session for o in outputs})
        for m in said(outputs, name)
        if name[:4] == "P-02"
    ]
    balance = sum(each.added - each.lost for each in made.wire.log)
    assert len(after) == len(before) + balance
    if not any(each.changed for each in made.wire.log) and not any("clone" in f for f in faults):
        lost = sum(each.lost for each in made.wire.log)
        assert (Counter(payloads(before)) - Counter(payloads(after))).total() <= lost
    if not any(word in fault for fault in faults for word in ("reorder", "duplicate", "replayed")):
        order = {payload: place for place, payload in enumerate(payloads(before))}
        places = [order[m.payload] for m in said(outputs) if m.payload in order]
        assert places == sorted(places)
    check_sessions(outputs)


def check_sessions(outputs: list[Output]) -> None:
    """Messages only while connected; presence first; two never hold one client id."""
    open_sessions: dict[str, str] = {}
    greeted: dict[str, bool] = defaultdict(bool)
    for output in outputs:
        name = output.session
        if isinstance(output, Connect):
            client = output.client or name
            assert name not in open_sessions
            assert client not in open_sessions.values()
            open_sessions[name], greeted[name] = client, False
        elif isinstance(output, Disconnect):
            del open_sessions[name]
        else:
            assert name in open_sessions
            is_presence = output.topic.endswith("/presence")
            is_pump = name.startswith("P-") and ".stranger" not in name
            assert is_presence or greeted[name] or not is_pump
            greeted[name] |= is_presence
    assert open_sessions == {}


def test_a_pump_has_the_same_faults_in_a_larger_fleet_and_other_seeds_have_others() -> None:
    text = faulty('do = "wire-drop"\nshare = 0.5\npump = "all"')
    small, large = said(run(text)[1]), said(run(text, pumps=9)[1])
    assert small == large
    assert payloads(small) != payloads(said(run(text, seed=8)[1]))
    assert len({each.lost for each in run(text, pumps=9)[0].wire.log}) > 1


def test_the_truth_of_a_pump_names_the_faults_of_its_wire() -> None:
    _, outputs = run(faulty('do = "storm"', 'do = "wire-drop"\nuntil = "00:06"'), truth=True)
    words = {
        message.time_ms: message.faults
        for message in decoded(outputs, "truth")
        if isinstance(message, Truth) and message.pump == "P-02"
    }
    told = [words[at_ms] for at_ms in sorted(words)]
    assert [faults for faults, _ in groupby(told)] == [
        (),
        ("storm", "wire-drop"),
        ("storm",),
        (),
    ]


# --- faults of single messages -------------------------------------------------------------------


def test_dropped_messages_are_gone_and_counted() -> None:
    made, outputs = run(faulty('do = "wire-drop"\nshare = 0.5'))
    before, after = said(clean()), said(outputs)
    truth = record(made)
    assert len(before) - len(after) == truth.lost
    assert 5 <= truth.lost <= 25
    assert (truth.pump, truth.fault) == ("P-02", "wire-drop")
    assert (truth.onset_ms, truth.end_ms) == (minutes(5), minutes(10))
    assert within(after, 0, 5) == within(before, 0, 5)
    assert within(after, 10, 20) == within(before, 10, 20)


def test_delayed_messages_keep_their_order_also_past_the_end_of_the_fault() -> None:
    made, outputs = run(faulty('do = "wire-delay"\ndelay_s = 60\nspread_s = 20'))
    before, after = said(clean()), said(outputs)
    assert payloads(after) == payloads(before)
    late = [b.time_ms - a.time_ms for a, b in zip(before, after, strict=True)]
    assert max(late) <= 80_000
    assert sum(each > 0 for each in late) >= record(made).late == 30


def test_duplicates_come_again() -> None:
    made, outputs = run(faulty('do = "wire-duplicate"\ntimes = 3'))
    counts = Counter(payloads(said(outputs)))
    assert Counter(counts.values())[4] == 30
    assert record(made).added == 90


def test_reordered_messages_all_come_within_their_time() -> None:
    made, outputs = run(faulty('do = "wire-reorder"\nshare = 0.5\nwithin_s = 60'))
    before, after = said(clean()), said(outputs)
    assert sorted(payloads(after)) == sorted(payloads(before))
    assert payloads(after) != payloads(before)
    came = {output.payload: output.time_ms for output in after}
    assert all(0 <= came[each.payload] - each.time_ms <= 60_000 for each in before)
    assert record(made).late > 5


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ('do = "wrong-topic"\nas_pump = "P-03"', "identity"),
        ('do = "wrong-topic"\nas_kind = "order"', "payload"),
        ('do = "malformed"\nhow = "truncated"', "payload"),
        ('do = "malformed"\nhow = "wrong-type"', "payload"),
        ('do = "malformed"\nhow = "huge-number"', "payload"),
        ('do = "malformed"\nhow = "missing-field"', "payload"),
        ('do = "malformed"', "payload"),
        ('do = "wrong-contract"', "contract"),
    ],
)
def test_spoilt_messages_are_refused_by_the_contract(keys: str, kind: str) -> None:
    made, outputs = run(faulty(keys))
    spoilt = within(said(outputs))
    assert len(spoilt) == record(made).changed == 30
    for message in spoilt:
        with pytest.raises(MessageError) as caught:
            decode(parse_topic(message.topic), message.payload, contract=message.contract)
        assert caught.value.kind == kind


def test_only_the_named_kinds_are_touched() -> None:
    _, outputs = run(faulty('do = "wire-drop"\nof = ["event"]'))
    assert said(outputs) == said(clean())


# --- connections ---------------------------------------------------------------------------------


def connections(outputs: list[Output], session: str = "P-02") -> list[tuple[str, float]]:
    return [
        (type(output).__name__, (output.time_ms - START_MS) / 60_000)
        for output in outputs
        if output.session == session and not isinstance(output, Outgoing)
    ]


@pytest.mark.parametrize("kept", [True, False])
def test_a_half_open_connection_is_noticed_by_its_keep_alive(kept: bool) -> None:
    made, outputs = run(faulty(f'do = "half-open"\nnotice_s = 60\nkept = {str(kept).lower()}'))
    assert connections(outputs) == [("Connect", 0), ("Disconnect", 6), ("Connect", 10)]
    before, after = said(clean()), said(outputs)
    lost = [each for each in before if each.payload not in set(payloads(after))]
    assert len(lost) == record(made).lost == (0 if kept else 6)
    assert all(minutes(5) <= each.time_ms < minutes(6) for each in lost)
    assert within(after) == []
    assert len([each for each in after if each.time_ms == minutes(10)]) >= 24
    states = [
        (m.state, (m.time_ms - START_MS) / 60_000)
        for m in decoded(outputs, "P-02")
        if isinstance(m, Presence)
    ]
    assert states == [("online", 0), ("online", 10)]


def test_a_half_open_connection_that_recovers_unnoticed_only_delays() -> None:
    _, outputs = run(faulty('do = "half-open"\nnotice_s = 400'))
    assert connections(outputs) == [("Connect", 0)]
    assert payloads(said(outputs)) == payloads(said(clean()))


def test_wifi_that_flaps_cuts_again_and_again_and_loses_nothing() -> None:
    made, outputs = run(faulty('do = "flapping"\ndown_s = 20\nup_s = 40\nspread = 0.2'))
    assert payloads(said(outputs)) == payloads(said(clean()))
    kinds = [kind for kind, _ in connections(outputs)]
    assert kinds == ["Connect", *["Disconnect", "Connect"] * record(made).cuts]
    assert 4 <= record(made).cuts <= 6


def test_a_storm_brings_all_back_at_once_or_at_its_rate() -> None:
    _, outputs = run(faulty('do = "storm"\npump = "all"'))
    names = [f"P-0{number}" for number in range(1, 5)]
    for name in names:
        messages = said(outputs, name)
        assert payloads(messages) == payloads(said(clean(), name))
        assert len([each for each in messages if each.time_ms == minutes(10)]) >= 30
    _, outputs = run(faulty('do = "storm"\nbackfill_rate_s = 2'))
    assert len([m for m in said(outputs) if 0 <= m.time_ms - minutes(10) < 5_000]) == 10
    assert payloads(said(outputs)) == payloads(said(clean()))


@pytest.mark.parametrize("by", ["pump", "stranger"])
def test_the_past_is_said_again(by: str) -> None:
    made, outputs = run(
        faulty(f'do = "replayed"\nsince = "00:01"\nupto = "00:03"\nrate_s = 2\nby = "{by}"')
    )
    past = payloads(within(said(clean()), 1, 3))
    session = "P-02" if by == "pump" else "P-02.stranger"
    again = [each for each in within(said(outputs, session)) if each.payload in set(past)]
    assert payloads(again) == past
    assert record(made).added == len(past) == 12
    assert len(said(outputs)) == len(said(clean())) + (12 if by == "pump" else 0)


def test_a_clone_takes_the_session_and_counts_for_itself() -> None:
    made, outputs = run(faulty('do = "clone"\nboot = 7\nrate_ml_h = 60\nswap_s = 60'))
    assert connections(outputs, "P-02.clone") == [
        ("Connect", 5),
        ("Disconnect", 6),
        ("Connect", 7),
        ("Disconnect", 8),
        ("Connect", 9),
        ("Disconnect", 10),
    ]
    assert payloads(said(outputs)) == payloads(said(clean()))
    clone = [decode(parse_topic(m.topic), m.payload) for m in said(outputs, "P-02.clone")]
    assert [m.seq for m in clone if isinstance(m, Telemetry)] == list(range(len(clone)))
    last = clone[-1]
    assert isinstance(last, Telemetry)
    assert (last.pump, last.boot, last.rate_ml_h) == ("P-02", 7, 60.0)
    assert last.volume_ml == pytest.approx((last.time_ms - minutes(5)) / 60_000, abs=1e-6)
    truth = record(made)
    assert truth.added - truth.lost == len(clone)
    connect = next(o for o in outputs if o.session == "P-02.clone")
    assert isinstance(connect, Connect)
    assert connect.client == "P-02"


# --- what a file may say -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ('do = "wire-drop"\nshare = 2', "share"),
        ('do = "wrong-topic"', "give 'as_pump', 'as_kind' or both"),
        ('do = "replayed"\nsince = "00:03"\nupto = "00:01"', "'since' must come before 'upto'"),
        ('do = "wire-delay"', "the key 'delay_s' is missing"),
        ('do = "wire-drip"', "did you mean 'wire-drop'"),
    ],
)
def test_a_mistake_in_a_file_is_named(keys: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        scenario(faulty(keys))


def test_the_topic_of_a_pump_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no P-09"):
        fleet(scenario(faulty('do = "wrong-topic"\nas_pump = "P-09"')))

"""Tests of contract v1: what goes out comes back, and what is wrong is refused by name."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from infusion.alarms import Priority
from infusion.alert import Call, Change, Deed, Facts, Outcome, What
from infusion.clinical import LAB_UNITS, LabResult, Report
from infusion.errors import MessageError
from infusion.messages import (
    ALARMS_MAX,
    ORDER_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    Act,
    Alert,
    AlertChange,
    Audit,
    Event,
    Evidence,
    Kind,
    Message,
    MonitorPresence,
    OpenAlerts,
    Panel,
    Presence,
    Telemetry,
    Topic,
    decode,
    encode,
    parse_topic,
    subscription,
)
from infusion.prescription import STEPS_MAX, Bolus, Hold, Prescription, RateChange, Start, Stop
from infusion.truth import FaultTruth, Truth
from tests.infusion.bench import PUMP, T0, begin, order, presence

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
times = st.integers(946_684_800_000, 4_102_444_800_000)
numbers = st.floats(0, 10_000, allow_nan=False)
counters = st.integers(0, 2**53)
pump_fields: dict[str, st.SearchStrategy[Any]] = {
    "pump": names,
    "boot": st.integers(0, 2**20 - 1),
    "seq": st.integers(0, 2**42 - 1),
    "time_ms": times,
    "status": st.sampled_from(["infusing", "not-infusing"]),
    "delivery": st.sampled_from(["delivering", "not-delivering", "transitioning", "kvo"]),
    "reason": st.none() | words,
    "rate_ml_h": numbers,
    "flow_ml_h": numbers,
    "volume_ml": numbers,
    "segment_ml": numbers,
    "concentration_iu_ml": st.floats(0.1, 50_000),
    "therapy": st.none() | names,
    "order_version": counters,
    "alarms": st.lists(words, max_size=4).map(tuple),
}
telemetry = st.builds(
    Telemetry,
    **pump_fields,
    vtbi_ml=numbers,
    vtbi_remaining_ml=numbers,
    weight_kg=st.floats(0.3, 500),
    dose_rate_iu_kg_h=numbers,
    reservoir_ml=numbers,
    pressure_mmhg=st.floats(-1_000, 10_000),
    air_ul=numbers,
    battery=st.floats(0, 1),
    power=st.sampled_from(["mains", "battery"]),
    panel=st.none()
    | st.builds(
        Panel,
        mode=words,
        audio=st.sampled_from(["on", "paused"]),
        sounds=st.none() | words,
        locked=st.booleans(),
        outside_library=st.booleans(),
        standby_until_ms=st.none() | times,
    ),
)
events = st.builds(
    Event,
    **pump_fields,
    event=words,
    phase=st.none() | st.sampled_from(["start", "end"]),
    alarm=st.none() | words,
    source=words,
    mode=words,
    detail=st.text(st.characters(codec="utf-8"), max_size=256),
)
states = st.sampled_from(["online", "offline"])
presences = st.builds(
    Presence,
    pump=names,
    boot=pump_fields["boot"],
    state=states,
    time_ms=times,
    firmware=words,
    profile=words,
    interval_s=st.floats(0.1, 86_400),
    rate_max_ml_h=st.floats(0.1, 10_000),
    accuracy=st.none() | st.floats(0.001, 0.5),
    occlusion_limit_mmhg=st.none() | st.floats(0.1, 10_000),
    reservoir_gauge=st.sampled_from(["measured", "counted", "none"]),
)
beats = st.builds(MonitorPresence, instance=names, state=states, time_ms=times, beat=counters)
truths = st.builds(
    Truth,
    pump=names,
    time_ms=times,
    pumped_ml=numbers,
    held_ml=st.floats(-1_000, 1_000),
    patient_ml=numbers,
    lost_ml=numbers,
    counted_ml=numbers,
    patient_iu=numbers,
    level_iu_ml=st.none() | numbers,
    faults=st.lists(words, max_size=3).map(tuple),
    ended=st.lists(
        st.builds(
            FaultTruth,
            fault=words,
            onset_ms=times,
            end_ms=times,
            ordered_iu=numbers,
            pumped_iu=numbers,
            patient_iu=numbers,
            messages=st.integers(0, 10_000),
        ),
        max_size=3,
    ).map(tuple),
)
results = st.sampled_from(sorted(LAB_UNITS.items())).flatmap(
    lambda measured: st.builds(
        LabResult,
        therapy=names,
        specimen=names,
        test=st.just(measured[0]),
        value=st.none() | numbers,
        unit=st.just(measured[1]),
        bound=st.sampled_from(["", "below", "above"]),
        problem=st.text(st.characters(codec="utf-8"), max_size=256),
        drawn_ms=times,
        resulted_ms=times,
    )
)
reports = st.builds(
    Report,
    therapy=names,
    report=names,
    what=words,
    by=words,
    time_ms=times,
    detail=st.text(st.characters(codec="utf-8"), max_size=256),
)
rates = st.none() | st.floats(0, 100_000)
steps = st.one_of(
    st.builds(Start, at_ms=times, rate_iu_kg_h=rates, rate_iu_h=rates),
    st.builds(RateChange, at_ms=times, rate_iu_kg_h=rates, rate_iu_h=rates),
    st.builds(Hold, at_ms=times, until_ms=times),
    st.builds(
        Bolus, at_ms=times, dose_iu=st.floats(0.1, 100_000), duration_s=st.floats(0.1, 86_400)
    ),
    st.builds(Stop, at_ms=times),
)
orders = st.builds(
    Prescription,
    therapy=names,
    version=st.integers(1, 2**53),
    pump=names,
    weight_kg=st.floats(0.3, 500),
    concentration_iu_ml=st.floats(0.1, 50_000),
    steps=st.lists(steps, min_size=1, max_size=6).map(tuple),
)
evidences = st.builds(
    Evidence, observed=st.none() | numbers, unit=words, from_ms=st.none() | times, detail=words
)
deeds = st.builds(
    Deed,
    by=words,
    at_ms=times,
    role=st.none() | words,
    until_ms=st.none() | times,
    to=st.none() | words,
    text=words,
)
facts = st.builds(
    Facts,
    taken=st.none() | deeds,
    offered=st.none() | deeds,
    acknowledged=st.none() | deeds,
    snoozed=st.none() | deeds,
    notes=st.lists(deeds, max_size=2).map(tuple),
)
alerts = st.builds(
    Alert,
    id=words,
    site=names,
    pump=names,
    therapy=st.none() | names,
    rule=words,
    category=words,
    title=words,
    priority=st.sampled_from(Priority),
    state=st.sampled_from(["raised", "latched", "cleared"]),
    version=st.integers(1, 100),
    onset_ms=times,
    raised_ms=times,
    changed_ms=times,
    cleared_ms=st.none() | times,
    evidence=evidences,
    suppresses=st.lists(words, max_size=3).map(tuple),
    what=words,
    first=words,
    advice=words,
    facts=facts,
    called=st.none()
    | st.builds(Call, number=st.integers(1, 9), name=words, since_ms=times, failsafe=st.booleans()),
    flaps=st.integers(0, 9),
    latched=st.booleans(),
    unseen=st.booleans(),
    merged_into=words,
)
lists = st.builds(
    OpenAlerts,
    site=names,
    pump=names,
    version=counters,
    alerts=st.lists(alerts, max_size=3).map(tuple),
    unseen=st.lists(alerts, max_size=2).map(tuple),
)
changes = st.builds(
    AlertChange, change=st.sampled_from(get_args(Change)), list_version=counters, alert=alerts
)
acts = st.builds(
    Act,
    act=names,
    pump=names,
    alert=words,
    version=st.integers(1, 2**53),
    what=st.sampled_from(get_args(What)),
    by=words,
    role=st.none() | words,
    time_ms=times,
    until_ms=st.none() | times,
    to=st.none() | words,
    text=st.text(st.characters(codec="utf-8"), max_size=256),
)
audits = st.builds(
    Audit,
    site=names,
    pump=names,
    act=acts,
    outcome=st.sampled_from(get_args(Outcome)),
    sentence=words,
    at_ms=times,
    version_before=st.none() | counters,
    version_after=st.none() | counters,
    before=st.none() | facts,
    after=st.none() | facts,
)


# Whose name the topic of a message has, by its kind.
_NAMED = {
    Telemetry: (Kind.TELEMETRY, "pump"),
    Event: (Kind.EVENT, "pump"),
    Presence: (Kind.PRESENCE, "pump"),
    Truth: (Kind.TRUTH, "pump"),
    Act: (Kind.ACT, "pump"),
    Prescription: (Kind.ORDER, "therapy"),
    LabResult: (Kind.LAB, "therapy"),
    Report: (Kind.REPORT, "therapy"),
}


def topic_of(message: Message) -> Topic:
    """The topic on which a message goes out."""
    match message:
        case OpenAlerts():
            return Topic(Kind.ALERTS, message.site, message.pump)
        case AlertChange():
            return Topic(Kind.ALERT_LOG, message.alert.site, message.alert.pump)
        case Audit():
            return Topic(Kind.AUDIT, message.site, message.pump)
        case MonitorPresence():
            return Topic(Kind.MONITOR_PRESENCE, "monitor", message.instance)
    kind, name = _NAMED[type(message)]
    return Topic(kind, "home", getattr(message, name))


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        telemetry,
        events,
        presences,
        beats,
        truths,
        orders,
        results,
        reports,
        lists,
        changes,
        acts,
        audits,
    )
)
def test_every_message_comes_back_as_it_went(message: Message) -> None:
    """encode, decode: the same value, on the topic of its kind, whose text parses back."""
    topic = topic_of(message)
    assert decode(topic, encode(message), contract="1.7") == message
    if topic.site != "monitor" or topic.kind is Kind.MONITOR_PRESENCE:
        assert parse_topic(str(topic)) == topic


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(Kind))
def test_noise_is_refused_and_never_a_crash(payload: bytes, kind: Kind) -> None:
    """Bytes that are no message are a MessageError of kind `payload`, nothing else."""
    with pytest.raises(MessageError) as caught:
        decode(Topic(kind, "home", PUMP), payload)
    assert caught.value.kind == "payload"


TELEMETRY = Topic(Kind.TELEMETRY, "home", PUMP)
SOUND: dict[str, Any] = msgspec.to_builtins(begin().stream[-1][1])


def refused(payload: bytes, topic: Topic = TELEMETRY, contract: str | None = None) -> MessageError:
    with pytest.raises(MessageError) as caught:
        decode(topic, payload, contract=contract)
    return caught.value


def telemetry_with(**fields: Any) -> bytes:
    return json.dumps(SOUND | fields).encode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pump", "P 01"),
        ("pump", "P-01\n"),
        ("pump", "x" * 65),
        ("pump", ""),
        ("pump", 1),
        ("boot", -1),
        ("boot", 2**20),
        ("seq", -1),
        ("seq", 2**42),
        ("seq", 1.5),
        ("seq", "1"),
        ("time_ms", 0),
        ("time_ms", T0 // 1000),
        ("time_ms", 4_102_444_800_001),
        ("time_ms", None),
        ("status", "asleep"),
        ("reason", ""),
        ("reason", "x" * 65),
        ("rate_ml_h", -0.1),
        ("rate_ml_h", True),
        ("flow_ml_h", 10_001),
        ("volume_ml", -1e-9),
        ("volume_ml", 1e7),
        ("volume_ml", "3"),
        ("segment_ml", -1),
        ("concentration_iu_ml", 0),
        ("therapy", "T/01"),
        ("order_version", -1),
        ("alarms", ["x"] * (ALARMS_MAX + 1)),
        ("alarms", "air-in-line"),
        ("weight_kg", 0),
        ("pressure_mmhg", -1_001),
        ("power", "solar"),
    ],
)
def test_bad_value_is_refused_with_the_name_of_its_field(field: str, value: Any) -> None:
    """A value outside its bounds or type never comes in, and the text says which field it was."""
    error = refused(telemetry_with(**{field: value}))
    assert error.kind == "payload"
    assert error.pump == PUMP
    assert f"$.{field}" in str(error)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    """NaN and infinities are not JSON, and a number too large for a float is no volume."""
    payload = telemetry_with(volume_ml="HERE").replace(b'"HERE"', text.encode())
    assert refused(payload).kind == "payload"


# Fields that came later, which a message of an older pump has not.
LATER = {"panel"}


def test_a_message_from_before_the_later_fields_is_read() -> None:
    payload = json.dumps({key: value for key, value in SOUND.items() if key not in LATER}).encode()
    message = decode(TELEMETRY, payload)
    assert isinstance(message, Telemetry)
    assert message.panel is None


@pytest.mark.parametrize(
    "field", sorted(set(SOUND) - LATER - {"reason", "therapy", "order_version", "alarms"})
)
def test_missing_field_is_named(field: str) -> None:
    """Every field without a default must be there."""
    payload = json.dumps({key: value for key, value in SOUND.items() if key != field}).encode()
    assert f"`{field}`" in str(refused(payload))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("act", ""),
        ("alert", "x" * 257),
        ("version", 0),
        ("what", "clear"),
        ("by", ""),
        ("by", "x" * 65),
        ("time_ms", 5),
        ("until_ms", 5),
        ("text", "x" * 257),
    ],
)
def test_act_out_of_bounds_is_refused(field: str, value: Any) -> None:
    """What a person sends is bounded like everything else, and there is no act that clears."""
    topic = Topic(Kind.ACT, "home", PUMP)
    sound = {
        "act": "a-1",
        "pump": PUMP,
        "alert": "home/P-01/air-in-line/5",
        "version": 1,
        "what": "take",
        "by": "nurse-1",
        "time_ms": T0,
    }
    assert isinstance(decode(topic, json.dumps(sound).encode()), Act)
    error = refused(json.dumps(sound | {field: value}).encode(), topic)
    assert (error.kind, error.pump) == ("payload", None)
    assert f"$.{field}" in str(error)


def test_steps_out_of_bounds_are_refused() -> None:
    """An order may not have too many steps, none, or one that is not known."""
    topic = Topic(Kind.ORDER, "home", "T-01")
    sound = msgspec.to_builtins(order())
    step = sound["steps"][0]
    assert isinstance(decode(topic, json.dumps(sound).encode()), Prescription)
    for bad in ([], [step] * (STEPS_MAX + 1), [step | {"do": "pause"}], [step | {"at_ms": 5}]):
        error = refused(json.dumps(sound | {"steps": bad}).encode(), topic)
        assert error.kind == "payload"
        assert "$.steps" in str(error)
        assert error.pump is None


def test_errors_read_well() -> None:
    """The texts that an integrator will meet."""
    assert str(refused(telemetry_with(volume_ml=-1))) == snapshot(
        "infusion/v1/home/P-01/telemetry: Expected `float` >= 0.0 - at `$.volume_ml`"
    )
    assert str(refused(b"{")) == snapshot(
        "infusion/v1/home/P-01/telemetry: Input data was truncated"
    )
    assert str(refused(b'{"pump": "\xff"}')) == snapshot(
        "infusion/v1/home/P-01/telemetry: not UTF-8"
    )
    assert str(refused(b'{"pump": "\\ud800"}')) == snapshot(
        "infusion/v1/home/P-01/telemetry: Input data was truncated"
    )
    assert str(refused(b"[" * 10_000)) == snapshot(
        "infusion/v1/home/P-01/telemetry: Expected `object`, got `array`"
    )
    assert str(refused(telemetry_with(), contract="2.0")) == snapshot(
        "infusion/v1/home/P-01/telemetry: contract '2.0' is unknown; 1 is spoken"
    )
    assert str(refused(b" " * (PAYLOAD_BYTES_MAX + 1))) == snapshot(
        "infusion/v1/home/P-01/telemetry: 16385 bytes are more than 16384"
    )
    assert str(refused(telemetry_with(pump="P-02"))) == snapshot(
        "infusion/v1/home/P-01/telemetry: the payload says pump 'P-02'"
    )


def test_deep_nesting_in_an_unknown_field_is_survived() -> None:
    """What is skipped may be nested as deep as the payload allows without a crash."""
    deep = b"[" * 5_000 + b"]" * 5_000
    payload = telemetry_with()[:-1] + b', "newer": ' + deep + b"}"
    assert refused(payload).kind == "payload"


def test_unknown_fields_are_ignored() -> None:
    """A newer minor version may say more."""
    assert decode(TELEMETRY, telemetry_with(newer={"x": [1]})) == msgspec.convert(SOUND, Telemetry)


@pytest.mark.parametrize("contract", ["2", "2.1", "0", "", "one", "11"])
def test_unknown_major_contract_is_refused_by_name(contract: str) -> None:
    """Another major version is another language."""
    error = refused(telemetry_with(), contract=contract)
    assert error.kind == "contract"
    assert repr(contract) in str(error)


def test_known_contract_is_taken() -> None:
    """The same major version is understood, and so is its absence (MQTT 3.1.1)."""
    for contract in (None, "1", "1.0", "1.99"):
        decode(TELEMETRY, telemetry_with(), contract=contract)


def test_each_kind_has_its_limit_of_size() -> None:
    """An order may be longer than telemetry; beyond its limit a payload is not even read."""
    assert refused(b" " * (PAYLOAD_BYTES_MAX + 1)).kind == "oversize"
    order_topic = Topic(Kind.ORDER, "home", "T-01")
    assert refused(b" " * (PAYLOAD_BYTES_MAX + 1), order_topic).kind == "payload"
    assert refused(b" " * (ORDER_BYTES_MAX + 1), order_topic).kind == "oversize"


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (Topic(Kind.TELEMETRY, "home", "P-02"), begin().stream[-1][1]),
        (Topic(Kind.PRESENCE, "home", "P-02"), presence()),
        (Topic(Kind.ORDER, "home", "T-02"), order()),
        (
            Topic(Kind.MONITOR_PRESENCE, "monitor", "m2"),
            MonitorPresence(instance="m1", state="online", time_ms=T0, beat=1),
        ),
    ],
)
def test_topic_and_payload_must_name_the_same(topic: Topic, message: Message) -> None:
    """A message that speaks for another is `identity`; the pump named is the topic's."""
    error = refused(encode(message), topic)
    assert error.kind == "identity"
    is_pump = topic.kind in (Kind.TELEMETRY, Kind.EVENT, Kind.PRESENCE)
    assert error.pump == ("P-02" if is_pump else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "infusion/v1/home/P-01",
        "infusion/v2/home/P-01/telemetry",
        "Infusion/v1/home/P-01/telemetry",
        "infusion/v1/home/P-01/monitor-presence",
        "infusion/v1/home/P-01/gossip",
        "infusion/v1//P-01/telemetry",
        "infusion/v1/home/+/telemetry",
        "infusion/v1/home/P-01\n/telemetry",
        "infusion/v1/monitor/m1/telemetry",
        "infusion/v1/" + "x" * 300 + "/P-01/telemetry",
    ],
)
def test_foreign_topics_are_refused(text: str) -> None:
    """Anything that is not a topic of contract v1 is `topic`, and names no pump."""
    with pytest.raises(MessageError) as caught:
        parse_topic(text)
    assert caught.value.kind == "topic"
    assert caught.value.pump is None
    assert len(str(caught.value)) < 600


def test_subscriptions() -> None:
    """Topic filters by kind; monitors announce themselves under a site of their own."""
    assert subscription(Kind.ALERTS, site="home") == "infusion/v1/home/+/alerts"
    assert subscription(Kind.MONITOR_PRESENCE) == "infusion/v1/monitor/+/presence"

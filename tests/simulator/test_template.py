"""A filled template says what the encoded message would have said."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.messages import Telemetry, encode
from simulator.template import GAPS, numbers_of, template_of

whole = st.integers(0, 2**42 - 1)
volumes = st.integers(0, 10**12).map(lambda volume_nl: volume_nl / 1e6)
numbers: dict[str, st.SearchStrategy[Any]] = {
    "seq": whole,
    "time_ms": st.integers(946_684_800_000, 4_102_444_800_000),
    "flow_ml_h": st.floats(0, 10_000).map(lambda flow: round(flow, 4)),
    "volume_ml": volumes,
    "segment_ml": volumes,
    "vtbi_remaining_ml": volumes,
    "reservoir_ml": volumes,
    "pressure_mmhg": st.floats(-1_000, 10_000).map(lambda pressure: round(pressure, 1)),
    "battery": st.floats(0, 1).map(lambda share: round(share, 4)),
}
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
telemetry = st.builds(
    Telemetry,
    pump=st.just("P-01"),
    boot=whole,
    status=st.just("infusing"),
    delivery=st.just("delivering"),
    reason=st.none() | words,
    rate_ml_h=st.floats(0, 10_000),
    concentration_iu_ml=st.floats(0.1, 50_000),
    therapy=st.none() | st.just("T-01"),
    alarms=st.lists(words, max_size=4).map(tuple),
    vtbi_ml=volumes,
    weight_kg=st.floats(0.3, 500),
    air_ul=st.floats(0, 1_000_000),
    dose_rate_iu_kg_h=st.floats(0, 10_000),
    power=st.sampled_from(["mains", "battery"]),
    **numbers,
)


@settings(max_examples=200, deadline=None)
@given(telemetry, st.fixed_dictionaries(numbers))
def test_a_filled_template_is_the_message(before: Telemetry, later: dict[str, Any]) -> None:
    """Whatever words stand in the message, percent signs and quotes included."""
    after = replace(before, **later)
    said = template_of(before) % numbers_of(after)
    assert msgspec.json.decode(said) == msgspec.json.decode(encode(after))


def test_gaps_are_in_the_order_of_the_message() -> None:
    """`%` fills from left to right."""
    assert [name for name in Telemetry.__struct_fields__ if name in GAPS] == list(GAPS)

"""Telemetry of a pump whose state has not changed: its last message as text, with gaps for numbers.

Between two changes of state only nine numbers of a telemetry differ from one message to the next.
Making the Struct anew and encoding it costs several times as much as filling a template, and
telemetry is nearly all that a fleet says.
"""

from typing import Final

import msgspec

from infusion.messages import Telemetry

# The fields that move while nothing happens, and how many decimals each has. Volumes are whole
# nanolitres, so six decimals are all of them; the others are rounded as Pump.telemetry does.
GAPS: Final = {
    "seq": b"%d",
    "time_ms": b"%d",
    "flow_ml_h": b"%.4f",
    "volume_ml": b"%.6f",
    "segment_ml": b"%.6f",
    "vtbi_remaining_ml": b"%.6f",
    "reservoir_ml": b"%.6f",
    "pressure_mmhg": b"%.1f",
    "battery": b"%.4f",
}


def template_of(telemetry: Telemetry) -> bytes:
    """A message as bytes in which `template % numbers` puts other numbers, in the order of `GAPS`.

    The result decodes to the same value as the encoded Struct with those numbers would.
    """
    parts = []
    for name, value in zip(
        telemetry.__struct_fields__, msgspec.structs.astuple(telemetry), strict=True
    ):
        text = GAPS.get(name) or msgspec.json.encode(value).replace(b"%", b"%%")
        parts.append(b'"%b":%b' % (name.encode(), text))
    return b"{" + b",".join(parts) + b"}"


def numbers_of(telemetry: Telemetry) -> tuple[int | float, ...]:
    """The numbers of one message, in the order of `GAPS`."""
    return tuple(getattr(telemetry, name) for name in GAPS)

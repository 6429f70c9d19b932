"""Telemetry of a pump whose state has not changed: its last message as text, with gaps for numbers.

Between two changes of state only nine numbers of a telemetry differ from one message to the next.
Making the Struct anew and encoding it costs several times as much as filling a template, and
telemetry is nearly all that a fleet says.
"""

from functools import lru_cache
from operator import attrgetter
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


_WORDS: Final = tuple(name for name in Telemetry.__struct_fields__ if name not in GAPS)
_words_of = attrgetter(*_WORDS)
_numbers_of = attrgetter(*GAPS)
# How many different messages are remembered: a pump that is told one by one says the same for long.
_REMEMBERED = 4_096


def template_of(telemetry: Telemetry) -> bytes:
    """A message as bytes in which `template % numbers` puts other numbers, in the order of `GAPS`.

    The result decodes to the same value as the encoded Struct with those numbers would.
    """
    return _template(*_words_of(telemetry))


@lru_cache(maxsize=_REMEMBERED, typed=True)
def _template(*words: object) -> bytes:
    said = dict(zip(_WORDS, words, strict=True))
    parts = []
    for name in Telemetry.__struct_fields__:
        text = GAPS.get(name) or msgspec.json.encode(said[name]).replace(b"%", b"%%")
        parts.append(b'"%b":%b' % (name.encode(), text))
    return b"{" + b",".join(parts) + b"}"


def numbers_of(telemetry: Telemetry) -> tuple[int | float, ...]:
    """The numbers of one message, in the order of `GAPS`."""
    numbers: tuple[int | float, ...] = _numbers_of(telemetry)
    return numbers

"""How a pump's messages are to be read in time: whether it delivers, when it is missed."""

from infusion.messages import Presence, PumpMessage
from infusion.thresholds import SILENT_INTERVALS, SILENT_MS
from infusion.units import MS_PER_MINUTE, MS_PER_SECOND

# Flow is judged between samples that are not further apart than this, or than the pump's own
# interval and a half. [A]
FLOW_INTERVAL_MS_MAX = 2 * MS_PER_MINUTE


def is_delivering(message: PumpMessage) -> bool:
    """Whether a pump gives what it is programmed to give; keeping a vein open is not that."""
    return message.status == "infusing" and message.delivery in ("delivering", "transitioning")


def longest_judged_ms(presence: Presence | None) -> int:
    """The longest stretch between two samples that speaks of a flow."""
    interval_s = presence.interval_s if presence is not None else 0.0
    return max(FLOW_INTERVAL_MS_MAX, round(1.5 * interval_s * MS_PER_SECOND))


def silence_ms(presence: Presence) -> int:
    """How long a pump with this interval may be silent before it is missed."""
    return max(SILENT_MS, round(SILENT_INTERVALS * presence.interval_s * MS_PER_SECOND))

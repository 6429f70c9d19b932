"""The words of every alert, in one place, so that they can be reviewed as texts."""

from msgspec import Struct

from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.alert import Evidence

TITLES = {
    "pump-offline": "pump offline",
    "no-telemetry": "no telemetry",
    "counter-frozen": "volume counter frozen while delivering",
    "counter-fault": "volume counter fault",
    "identity-mismatch": "another pump speaks on this topic",
    "unknown-pump": "unknown pump",
    "unknown-therapy": "unknown therapy",
    "wrong-concentration": "concentration is not as ordered",
    "rate-not-as-ordered": "rate is not as ordered",
    "over-delivery": "over-delivery",
    "under-delivery": "under-delivery",
    "free-flow-seen": "free flow",
    "not-delivering": "not delivering, and no order to hold",
    "unknown-device-alarm": "device alarm",
    "two-pumps-one-name": "two pumps with one name",
    "replayed-messages": "old messages come again",
    "clock-step": "pump's clock was set",
    "messages-missing": "messages are missing",
    "malformed-messages": "messages cannot be read",
    "therapy-on-two-pumps": "therapy on two pumps",
    "wrong-weight": "weight is not as ordered",
    "order-not-applied": "order is not applied",
    "delivering-on-hold": "delivering against a hold or stop",
    "outside-limits": "dose outside the limits",
    "library-bypassed": "drug library bypassed",
    "double-check-missing": "double check is missing",
    "override-pattern": "limits overridden repeatedly",
    "hold-overrun": "not restarted after a hold",
    "deviation-24h": "dose of 24 h is off",
    "occlusion-forming": "line is closing",
    "partial-occlusion": "line is narrow",
    "reservoir-runs-out": "reservoir runs out",
    "battery-runs-out": "battery runs out",
    "repeat-occlusion": "repeated occlusions",
    "bag-beyond-use": "bag hangs too long",
} | {alarm.key: alarm.words for alarm in DEVICE_ALARMS.values()}


def title(key: str) -> str:
    """What a rule's alert is called."""
    return TITLES[key]


class Told(Struct, frozen=True):
    """What a nurse reads: what happened, and what to look at first."""

    what: str
    first: str


def tell(
    key: str,
    evidence: Evidence,
    *,
    since_ms: int | None = None,
    at_ms: int | None = None,
    priority: Priority | None = None,
    ordered_iu_h: float | None = None,
) -> Told:
    """What happened, and what to look at first."""
    words = evidence.detail
    return Told(f"{title(key)}: {words}" if words else title(key), "")

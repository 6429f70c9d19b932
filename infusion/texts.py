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

"""The words of every alert, in one place, so that they can be reviewed as texts."""

from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.messages import Evidence
from infusion.words import Text, Told, told

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


def tell(
    key: str,
    evidence: Evidence,
    *,
    since_ms: int | None = None,
    at_ms: int | None = None,
    priority: Priority | None = None,
    ordered_iu_h: float | None = None,
) -> Told:
    """What a nurse reads of an alert: what happened, and what to look at first.

    `since_ms` is when the hazard began and `at_ms` now, both on the pump's clock: the length of
    time between them is told, never a time of day, which belongs to who shows it. The affected
    dose is told where the evidence has `dose_iu`, and with `ordered_iu_h` also as so many minutes
    of the ordered rate. What is not known is left out. Raises KeyError for a rule without texts.
    """
    words = title(key)
    what = f"{words[0].upper()}{words[1:]}[ for {{lasted}}][: {{observed}}]."
    text = Text(title=words, what=what, first="Look at the pump.", why="", source="", clears="")
    return told(
        text,
        evidence,
        since_ms=since_ms,
        at_ms=at_ms,
        priority=priority,
        ordered_iu_h=ordered_iu_h,
    )

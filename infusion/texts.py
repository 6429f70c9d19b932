"""The words of every alert, in one place, so that they can be reviewed as texts."""

from infusion.alarms import DEVICE_ALARMS

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
    "critical-result": "critical laboratory result",
    "hit-suspected": "platelets fall as in HIT",
    "platelets-falling": "platelets are falling",
    "haemoglobin-falling": "haemoglobin is falling",
    "levels-out-of-range": "two levels in a row far out of range",
    "result-disagrees": "result does not fit the dose delivered",
    "concentration-doubt": "results fit a bag of another strength",
    "not-therapeutic": "no level in range since the start",
    "discordance": "aPTT and anti-Xa disagree",
    "level-forecast": "level is about to leave its range",
    "bleeding": "bleeding reported",
    "complication-reported": "complication reported",
    "level-overdue": "level overdue",
    "platelets-due": "platelet count overdue",
    "visit-overdue": "visit overdue",
    "supplies-low": "supplies low",
    "unknown-device-alarm": "device alarm",
} | {alarm.key: alarm.words for alarm in DEVICE_ALARMS.values()}


def title(key: str) -> str:
    """What a rule's alert is called."""
    return TITLES[key]

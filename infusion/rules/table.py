"""The table RULES: how each hazard, and each alarm of a pump, is handled.

The rows stand in the order in which they are looked at: a rule comes after those that suppress it.
"""

from collections.abc import Iterator

from infusion.rules import delivery, technical, therapy
from infusion.rules.device import DEVICE_RULES, STOPPING, UNKNOWN_DEVICE_ALARM, device_alarms
from infusion.rules.rule import HIGH, LOW, MEDIUM, Rule, levels
from infusion.situation import Situation, Verdict
from infusion.thresholds import SILENT_MS
from infusion.units import MS_PER_MINUTE

SILENCE = ("no-telemetry", "pump-offline")

_TECHNICAL = (
    Rule(
        "pump-offline",
        "technical",
        levels((1, LOW), (15, MEDIUM), (60, HIGH)),
        technical.pump_offline,
    ),
    Rule(
        "no-telemetry",
        "technical",
        levels((SILENT_MS / MS_PER_MINUTE, LOW), (15, MEDIUM), (60, HIGH)),
        technical.no_telemetry,
        suppressed_by=("pump-offline",),
    ),
    Rule(
        "counter-frozen",
        "technical",
        levels((2, MEDIUM)),
        technical.counter_frozen,
        observed=True,
    ),
    # The delay lets a message that was overtaken on its way explain what the counter did.
    Rule("counter-fault", "technical", levels((1, MEDIUM)), technical.counter_fault),
    Rule("identity-mismatch", "technical", levels((0, MEDIUM)), technical.identity_mismatch),
    Rule("unknown-pump", "technical", levels((1, MEDIUM)), technical.unknown_pump),
)
_THERAPY = (
    Rule("unknown-therapy", "therapy", levels((1, MEDIUM)), therapy.unknown_therapy),
    Rule("wrong-concentration", "therapy", levels((1 / 6, HIGH)), therapy.wrong_concentration),
    Rule("rate-not-as-ordered", "therapy", levels((0.5, MEDIUM)), therapy.rate_not_as_ordered),
)
_DELIVERY = (
    Rule(
        "over-delivery",
        "delivery",
        levels((15, HIGH)),
        delivery.over_delivery,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
        latches=True,
    ),
    Rule(
        "under-delivery",
        "delivery",
        levels((15, MEDIUM)),
        delivery.under_delivery,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
        suppressed_by=("counter-frozen", *STOPPING, *SILENCE),
    ),
    Rule(
        "free-flow-seen",
        "delivery",
        levels((1 / 3, HIGH)),
        delivery.free_flow,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
        latches=True,
    ),
    Rule(
        "not-delivering",
        "delivery",
        levels((10, MEDIUM), (30, HIGH)),
        delivery.not_delivering,
        suppressed_by=(*STOPPING, *SILENCE),
    ),
)
HAZARDS = (*_TECHNICAL, *_THERAPY, *_DELIVERY)
CHECKS = tuple((rule, rule.check) for rule in HAZARDS if rule.check is not None)
RULES: dict[str, Rule] = {
    rule.key: rule for rule in (*HAZARDS, *DEVICE_RULES.values(), UNKNOWN_DEVICE_ALARM)
}


def verdicts(now: Situation) -> Iterator[tuple[Rule, Verdict]]:
    """Every hazard that is there: the pump's own alarms first, then what the rules see."""
    if now.edge is not None and now.edge.alarms:
        for key, verdict in device_alarms(now.edge):
            yield RULES[key], verdict
    for rule, check in CHECKS:
        found = check(now)
        if found is not None:
            yield rule, found

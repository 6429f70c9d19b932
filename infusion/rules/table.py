"""The table RULES: how each hazard, and each alarm of a pump, is handled.

The rows stand in the order in which they are looked at: a rule comes after those that suppress it.
"""

from collections.abc import Iterator

from infusion.rules import blood, care, counts, delivery, laboratory, technical, therapy
from infusion.rules.device import DEVICE_RULES, STOPPING, UNKNOWN_DEVICE_ALARM, device_alarms
from infusion.rules.rule import HIGH, LOW, MEDIUM, NOTICE, Rule, levels
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
    ),
    Rule(
        "not-delivering",
        "delivery",
        levels((10, MEDIUM), (30, HIGH)),
        delivery.not_delivering,
        suppressed_by=(*STOPPING, *SILENCE),
    ),
)
# What a pump gives wrongly explains a level that is wrong.
_GIVEN_WRONG = (
    "free-flow-seen",
    "over-delivery",
    "under-delivery",
    "wrong-concentration",
    "rate-not-as-ordered",
)
_LABORATORY = (
    # The delay lets the anti-Xa of a specimen come after its aPTT.
    Rule("critical-result", "laboratory", levels((1, HIGH)), laboratory.critical_result),
    Rule("hit-suspected", "laboratory", levels((0, HIGH)), counts.hit_suspected),
    Rule(
        "platelets-falling",
        "laboratory",
        levels((0, MEDIUM)),
        counts.platelets_falling,
        suppressed_by=("hit-suspected",),
    ),
    Rule("haemoglobin-falling", "laboratory", levels((0, HIGH)), counts.haemoglobin_falling),
    Rule(
        "concentration-doubt",
        "laboratory",
        levels((1, MEDIUM)),
        blood.concentration_doubt,
        suppressed_by=_GIVEN_WRONG,
    ),
    Rule(
        "levels-out-of-range",
        "laboratory",
        levels((1, MEDIUM)),
        laboratory.levels_out_of_range,
        suppressed_by=("critical-result", "concentration-doubt"),
    ),
    Rule(
        "result-disagrees",
        "laboratory",
        levels((1, MEDIUM)),
        blood.result_disagrees,
        suppressed_by=("critical-result", "concentration-doubt", "levels-out-of-range"),
    ),
    Rule(
        "not-therapeutic",
        "laboratory",
        levels((0, MEDIUM)),
        laboratory.not_therapeutic,
        suppressed_by=("levels-out-of-range", "concentration-doubt"),
    ),
    Rule("discordance", "laboratory", levels((0, NOTICE)), laboratory.discordance),
    Rule(
        "level-forecast",
        "laboratory",
        levels((5, LOW)),
        blood.level_forecast,
        suppressed_by=(
            "critical-result",
            "concentration-doubt",
            "levels-out-of-range",
            "not-therapeutic",
            "result-disagrees",
            *_GIVEN_WRONG,
        ),
    ),
)
_CARE = (
    Rule("bleeding", "care", levels((0, MEDIUM)), care.bleeding),
    Rule("complication-reported", "care", levels((0, LOW)), care.complication_reported),
    Rule("level-overdue", "care", levels((0, MEDIUM)), care.level_overdue),
    Rule("platelets-due", "care", levels((0, LOW)), care.platelets_overdue),
    Rule("visit-overdue", "care", levels((0, LOW)), care.visit_overdue),
    Rule("supplies-low", "care", levels((0, LOW)), care.supplies_low),
)
HAZARDS = (*_TECHNICAL, *_THERAPY, *_DELIVERY, *_LABORATORY, *_CARE)
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

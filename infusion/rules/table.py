"""The table RULES: how each hazard, and each alarm of a pump, is handled.

The rows stand in the order in which they are looked at: a rule comes after those that suppress it.
One situation is one alert: `suppressed_by` names the rules that, once raised, say of the same
situation what this one would say. Where two rules name each other, the one that is raised first
speaks for both.
"""

from msgspec.structs import replace

from infusion.rules import delivery, line, technical, therapy
from infusion.rules.clinic import CARE, LABORATORY
from infusion.rules.device import DEVICE_RULES, STOPPING, UNKNOWN_DEVICE_ALARM
from infusion.rules.families import FLOWS, IDENTITY, LEVEL_CAUSES, PROGRAMMED, SILENCE
from infusion.rules.rule import HIGH, LOW, MEDIUM, NOTICE, Rule, levels
from infusion.thresholds import SILENT_MS
from infusion.units import MS_PER_MINUTE

_TECHNICAL = (
    Rule(
        "two-pumps-one-name",
        "technical",
        levels((0, HIGH)),
        technical.two_pumps_one_name,
        told=True,
    ),
    Rule(
        "replayed-messages",
        "technical",
        levels((0, LOW)),
        technical.replayed_messages,
        suppressed_by=("two-pumps-one-name",),
        told=True,
    ),
    Rule(
        "identity-mismatch",
        "technical",
        levels((0, MEDIUM)),
        technical.identity_mismatch,
        suppressed_by=("two-pumps-one-name",),
        told=True,
    ),
    Rule(
        "clock-step",
        "technical",
        levels((0, LOW)),
        technical.clock_step,
        suppressed_by=("two-pumps-one-name",),
        told=True,
    ),
    Rule(
        "malformed-messages",
        "technical",
        levels((0, LOW)),
        technical.malformed_messages,
        suppressed_by=("identity-mismatch",),
        told=True,
    ),
    Rule(
        "pump-offline",
        "technical",
        # A minute before the silence that follows from it, so that the cause is told.
        levels((4, LOW), (15, MEDIUM), (60, HIGH)),
        technical.pump_offline,
        suppressed_by=("two-pumps-one-name", "no-telemetry"),
        told=True,
    ),
    Rule(
        "no-telemetry",
        "technical",
        levels((SILENT_MS / MS_PER_MINUTE, LOW), (15, MEDIUM), (60, HIGH)),
        technical.no_telemetry,
        suppressed_by=("pump-offline", "two-pumps-one-name", "malformed-messages"),
    ),
    Rule(
        "messages-missing",
        "technical",
        levels((0, LOW)),
        technical.messages_missing,
        off_delay_ms=30 * MS_PER_MINUTE,
        suppressed_by=(*SILENCE, *IDENTITY, "malformed-messages"),
    ),
    Rule(
        "counter-frozen",
        "technical",
        # A pump that reports twice a minute may stand for one of them before it alarms.
        levels((1, MEDIUM)),
        technical.counter_frozen,
        watched=True,
        observed=True,
        suppressed_by=("under-delivery", "two-pumps-one-name"),
    ),
    # The delay lets a message that was overtaken on its way explain what the counter did.
    Rule(
        "counter-fault",
        "technical",
        levels((1, MEDIUM)),
        technical.counter_fault,
        suppressed_by=("two-pumps-one-name", "over-delivery", "free-flow-seen"),
    ),
)
_THERAPY = (
    # What the pump runs may be the order that was refused.
    Rule("order-refused", "therapy", levels((0, MEDIUM)), therapy.order_refused, told=True),
    Rule(
        "therapy-on-two-pumps",
        "therapy",
        levels((0, MEDIUM), (10, HIGH)),
        therapy.therapy_on_two_pumps,
        told=True,
    ),
    Rule(
        "unknown-pump",
        "technical",
        levels((1, MEDIUM)),
        technical.unknown_pump,
        suppressed_by=("therapy-on-two-pumps", "order-refused"),
        told=True,
    ),
    Rule(
        "unknown-therapy",
        "therapy",
        levels((1, MEDIUM)),
        therapy.unknown_therapy,
        suppressed_by=("order-refused",),
        told=True,
    ),
    # Of these two the wait for an order that is on its way ends by time alone.
    Rule("wrong-concentration", "therapy", levels((0, HIGH)), therapy.wrong_concentration),
    Rule(
        "wrong-weight",
        "therapy",
        levels((0, HIGH)),
        therapy.wrong_weight,
        suppressed_by=("rate-not-as-ordered",),
    ),
    # Any message can tell that a pump delivers, so it is asked at each look.
    Rule("delivering-on-hold", "therapy", levels((0, HIGH)), therapy.delivering_on_hold),
    Rule(
        "rate-not-as-ordered",
        "therapy",
        # An order and the pump that follows it may be told in any order within seconds.
        levels((5 / 60, MEDIUM)),
        therapy.rate_not_as_ordered,
        suppressed_by=("wrong-concentration", "wrong-weight", "two-pumps-one-name"),
    ),
    # The delays let what the pump does at the last moment arrive, and a bag be changed.
    Rule(
        "order-not-applied",
        "therapy",
        levels((1, MEDIUM)),
        therapy.order_not_applied,
        off_delay_ms=3 * MS_PER_MINUTE,
        # What a pump does that nobody hears, nobody knows.
        suppressed_by=SILENCE,
    ),
    Rule(
        "outside-limits",
        "therapy",
        levels((0, HIGH)),
        therapy.outside_limits,
        suppressed_by=("rate-not-as-ordered", "order-not-applied", "wrong-concentration"),
        told=True,
    ),
    Rule(
        "library-bypassed",
        "therapy",
        # Later than what was programmed past it, which tells more.
        levels((1 / 6, HIGH)),
        therapy.library_bypassed,
        suppressed_by=PROGRAMMED[:-1],
        told=True,
    ),
    Rule(
        "double-check-missing",
        "therapy",
        levels((10, MEDIUM)),
        therapy.double_check_missing,
        suppressed_by=PROGRAMMED,
        told=True,
    ),
    Rule("override-pattern", "therapy", levels((0, LOW)), therapy.override_pattern, told=True),
)
_DELIVERY = (
    Rule(
        "free-flow-seen",
        "delivery",
        levels((0, HIGH)),
        delivery.free_flow,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
        latches=True,
        suppressed_by=("free-flow", "counter-fault"),
    ),
    Rule(
        "over-delivery",
        "delivery",
        levels((15, MEDIUM)),
        delivery.over_delivery,
        watched=True,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
        latches=True,
        suppressed_by=(
            "free-flow-seen",
            "free-flow",
            "counter-fault",
            *PROGRAMMED,
            "two-pumps-one-name",
        ),
    ),
    Rule(
        "occlusion-forming",
        "delivery",
        levels((1.5, MEDIUM)),
        line.occlusion_forming,
        watched=True,
        off_delay_ms=2 * MS_PER_MINUTE,
        observed=True,
        suppressed_by=("downstream-occlusion", "partial-occlusion"),
    ),
    Rule(
        "partial-occlusion",
        "delivery",
        levels((0, MEDIUM)),
        line.partial_occlusion,
        watched=True,
        off_delay_ms=5 * MS_PER_MINUTE,
        observed=True,
        suppressed_by=("downstream-occlusion", "occlusion-forming"),
    ),
    Rule(
        "under-delivery",
        "delivery",
        levels((15, MEDIUM)),
        delivery.under_delivery,
        watched=True,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
        suppressed_by=(
            "counter-frozen",
            "counter-fault",
            "occlusion-forming",
            "two-pumps-one-name",
            *PROGRAMMED,
            *STOPPING,
            *SILENCE,
        ),
    ),
    Rule(
        "reservoir-runs-out",
        "delivery",
        levels((1, NOTICE)),
        line.reservoir_runs_out,
        off_delay_ms=MS_PER_MINUTE,
        suppressed_by=(
            "reservoir-low",
            "reservoir-empty",
            "infusion-complete",
            "near-end",
            "free-flow-seen",
            *PROGRAMMED,
            *SILENCE,
        ),
    ),
    Rule(
        "battery-runs-out",
        "delivery",
        levels((0, NOTICE)),
        line.battery_runs_out,
        suppressed_by=("battery-low", "battery-depleted", *SILENCE),
    ),
    Rule(
        "hold-overrun",
        "delivery",
        levels((10, MEDIUM), (30, HIGH)),
        delivery.hold_overrun,
        suppressed_by=(*STOPPING, "standby-expired", *SILENCE),
        told=True,
    ),
    Rule(
        "not-delivering",
        "delivery",
        levels((10, MEDIUM), (30, HIGH)),
        delivery.not_delivering,
        suppressed_by=(*STOPPING, "standby-expired", *SILENCE),
    ),
    Rule(
        "level-off-course",
        "delivery",
        levels((15, MEDIUM)),
        delivery.level_off_course,
        off_delay_ms=30 * MS_PER_MINUTE,
        suppressed_by=(*LEVEL_CAUSES, *PROGRAMMED, *STOPPING, *SILENCE),
    ),
    Rule(
        "reservoir-unexplained",
        "delivery",
        levels((1, MEDIUM)),
        line.reservoir_unexplained,
        off_delay_ms=5 * MS_PER_MINUTE,
        suppressed_by=("free-flow-seen", "free-flow", "over-delivery", "counter-fault", *SILENCE),
    ),
    Rule("repeat-occlusion", "delivery", levels((0, LOW)), line.repeat_occlusion, told=True),
    Rule("bag-beyond-use", "delivery", levels((0, NOTICE)), line.bag_beyond_use),
    Rule(
        "deviation-24h",
        "delivery",
        levels((0, LOW)),
        delivery.deviation_24h,
        off_delay_ms=30 * MS_PER_MINUTE,
        suppressed_by=(*FLOWS, *PROGRAMMED, "not-delivering", "hold-overrun", *SILENCE),
    ),
)
# Alarms of the pump that one of our rules may have told already.
_TOLD_BEFORE = {
    "downstream-occlusion": ("occlusion-forming", "partial-occlusion"),
    "upstream-occlusion": ("reservoir-empty",),
    "free-flow": ("free-flow-seen",),
    "reservoir-low": ("reservoir-runs-out", "reservoir-empty"),
    "near-end": ("reservoir-runs-out", "infusion-complete"),
    "reservoir-empty": ("reservoir-runs-out", "reservoir-low", "upstream-occlusion"),
    "infusion-complete": ("reservoir-runs-out", "near-end"),
    "battery-low": ("battery-runs-out", "battery-depleted"),
    "battery-depleted": ("battery-runs-out", "battery-low"),
    "standby-expired": ("not-delivering", "hold-overrun"),
}
_DEVICE = {
    key: replace(rule, suppressed_by=_TOLD_BEFORE.get(key, ()))
    for key, rule in DEVICE_RULES.items()
}
PUMP_HAZARDS = (*_TECHNICAL, *_THERAPY, *_DELIVERY)
HAZARDS = (*PUMP_HAZARDS, *LABORATORY, *CARE)
RULES: dict[str, Rule] = {
    rule.key: rule for rule in (*_DEVICE.values(), UNKNOWN_DEVICE_ALARM, *HAZARDS)
}

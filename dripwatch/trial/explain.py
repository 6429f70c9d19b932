"""Which truth explains which alert. What no row here allows, and nothing planted, is false.

An alert of a rule is explained at an instant by a condition (conditions.py) that had held for
`after_min`, or that ended less than `slack_min` before. The slack is what a rule that waits, and a
message that comes late, need; it is never longer than a nurse would think fair.
"""

from msgspec import Struct

from dripwatch.trial.conditions import Conditions
from infusion.alarms import DEVICE_ALARMS
from infusion.units import MS_PER_MINUTE


class Why(Struct, frozen=True):
    """A condition that explains an alert. Minutes."""

    condition: str
    after_min: float = 0.0
    slack_min: float = 5.0


def _any(*conditions: str, after: float = 0.0, slack: float = 5.0) -> tuple[Why, ...]:
    return tuple(Why(condition, after, slack) for condition in conditions)


_OCCLUDED = _any("fault:occlusion", "alarm:downstream-occlusion", "alarm:upstream-occlusion")
_LEVELS = _any("level-out", "critical", slack=30)
# `starved` makes a counter rest that says it delivers, which is true. Of a bolus that nobody
# ordered no monitor can know how long it lasts: at its rate the bag does end soon. `bolus-missed`
# and `odd-bolus` are boluses of the clinic that came late, twice or never. What the pump itself
# calls low is low, however short it was and whatever its gauge says.
# A pump's own alarm is right when the pump really raised it, and not when it is an old one that
# came again.
EXPLAINS: dict[str, tuple[Why, ...]] = {
    **{key: _any(f"alarm:{key}", slack=3) for key in DEVICE_ALARMS},
    # technical
    "pump-offline": _any("offline", slack=3),
    "no-telemetry": _any("offline", "fault:silence", after=4, slack=3),
    "identity-mismatch": _any("intruded", slack=20),
    "counter-frozen": _any("starved"),
    "messages-missing": _any(
        "fault:silence",
        "fault:malformed",
        "fault:wrong-topic",
        "fault:wrong-contract",
        "lossy-wire",
        slack=60,
    ),
    # therapy
    "rate-not-as-ordered": _any("wrong-rate", "odd-bolus", slack=2),
    "wrong-weight": _any("wrong-weight", slack=2),
    "order-not-applied": _any("wrong-rate", "bolus-missed", slack=2),
    "delivering-on-hold": _any("on-hold", slack=2),
    "outside-limits": _any("outside-limits", slack=2),
    "library-bypassed": _any("outside-library", slack=2),
    "override-pattern": _any("overridden"),
    # delivery
    "over-delivery": (*_any("over", "on-hold"), *_any("odd-bolus", slack=15)),
    "under-delivery": (*_any("under"), *_any("stands", after=9)),
    "not-delivering": _any("stands", after=8, slack=2),
    "hold-overrun": _any("stands", after=8, slack=2),
    "level-off-course": _any("level-off", slack=15),
    "deviation-24h": _any("off-24h", slack=30),
    "occlusion-forming": _OCCLUDED,
    "partial-occlusion": _OCCLUDED,
    "repeat-occlusion": _any("occluded-again"),
    "reservoir-runs-out": (
        *_any("bag-near-end"),
        *_any("alarm:reservoir-low", slack=3),
        *_any("odd-bolus", slack=0),
    ),
    "battery-runs-out": (*_any("battery-near-end"), *_any("alarm:battery-low", slack=3)),
    "bag-beyond-use": _any("bag-old"),
    # laboratory
    "critical-result": _any("critical"),
    "levels-out-of-range": _LEVELS,
    "not-therapeutic": _LEVELS,
    "level-forecast": _any("level-will-leave", slack=30),
    "hit-suspected": _any("platelets-fall"),
    "platelets-falling": _any("platelets-fall"),
    "haemoglobin-falling": _any("haemoglobin-fall"),
    "discordance": _any("level-out"),
    "result-disagrees": _any("odd-result"),
    "concentration-doubt": _any("odd-result"),
    # care
    "bleeding": _any("reported:bleeding", "reported:bruising", "haemoglobin-fall"),
    "complication-reported": _any("reported:bleeding", "reported:bruising"),
    "level-overdue": _any("level-due", slack=15),
}


def why(rule: str, at_ms: int, conditions: Conditions) -> str:
    """The condition that explains an alert of a rule at an instant; "" when nothing does."""
    for row in EXPLAINS.get(rule, ()):
        after_ms, slack_ms = row.after_min * MS_PER_MINUTE, row.slack_min * MS_PER_MINUTE
        for begin_ms, end_ms in conditions.get(row.condition, ()):
            # A minute, because truth is sampled once a minute.
            if begin_ms + after_ms - MS_PER_MINUTE <= at_ms <= end_ms + slack_ms:
                return row.condition
    return ""

"""The table RULES: how each hazard of infusion/hazards.py, and each alarm of a pump, is handled.

* `levels`: how long the hazard must last until the alert is raised, and at what priority; further
  levels raise the priority of the same alert as time goes on.
* `off_delay_ms`: how long it must be gone until the alert is cleared.
* `suppressed_by`: rules that, while raised, already say what this one would say.
* `observed`: the hazard lasts only as long as it was seen in messages. What a pump says of itself
  holds until it says otherwise; what its counter did is not assumed to go on in silence.

The rows stand in the order in which they are looked at: a rule comes after those that suppress it.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct

from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.hazards import (
    SILENT_MS,
    Situation,
    Verdict,
    counter_fault,
    counter_frozen,
    free_flow,
    identity_mismatch,
    no_telemetry,
    not_delivering,
    over_delivery,
    pump_offline,
    rate_not_as_ordered,
    under_delivery,
    unknown_pump,
    unknown_therapy,
    wrong_concentration,
)
from infusion.messages import Evidence, PumpMessage
from infusion.units import MS_PER_MINUTE

HIGH, MEDIUM, LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW


class Level(Struct, frozen=True):
    """After the hazard has lasted for `delay_ms`, the alert has this priority."""

    delay_ms: int
    priority: Priority


class Rule(Struct, frozen=True):
    """One row of the table: see the head of this file."""

    key: str
    category: str
    title: str
    levels: tuple[Level, ...]
    check: Callable[[Situation], Verdict | None] | None
    off_delay_ms: int = 0
    suppressed_by: tuple[str, ...] = ()
    observed: bool = False


def _levels(*levels: tuple[float, Priority]) -> tuple[Level, ...]:
    return tuple(Level(round(minutes * MS_PER_MINUTE), priority) for minutes, priority in levels)


SILENCE = ("no-telemetry", "pump-offline")
STOPPING = tuple(alarm.key for alarm in DEVICE_ALARMS.values() if alarm.stops_delivery)

_HAZARDS = (
    Rule(
        "pump-offline",
        "technical",
        "pump offline",
        _levels((1, LOW), (15, MEDIUM), (60, HIGH)),
        pump_offline,
    ),
    Rule(
        "no-telemetry",
        "technical",
        "no telemetry",
        _levels((SILENT_MS / MS_PER_MINUTE, LOW), (15, MEDIUM), (60, HIGH)),
        no_telemetry,
        suppressed_by=("pump-offline",),
    ),
    Rule(
        "counter-frozen",
        "technical",
        "volume counter frozen while delivering",
        _levels((2, MEDIUM)),
        counter_frozen,
        observed=True,
    ),
    # The delay lets a message that was overtaken on its way explain what the counter did.
    Rule("counter-fault", "technical", "volume counter fault", _levels((1, MEDIUM)), counter_fault),
    Rule(
        "identity-mismatch",
        "technical",
        "another pump speaks on this topic",
        _levels((0, MEDIUM)),
        identity_mismatch,
    ),
    Rule("unknown-pump", "technical", "unknown pump", _levels((1, MEDIUM)), unknown_pump),
    Rule("unknown-therapy", "therapy", "unknown therapy", _levels((1, MEDIUM)), unknown_therapy),
    Rule(
        "wrong-concentration",
        "therapy",
        "concentration is not as ordered",
        _levels((1 / 6, HIGH)),
        wrong_concentration,
    ),
    Rule(
        "rate-not-as-ordered",
        "therapy",
        "rate is not as ordered",
        _levels((0.5, MEDIUM)),
        rate_not_as_ordered,
    ),
    Rule(
        "over-delivery",
        "delivery",
        "over-delivery",
        _levels((15, HIGH)),
        over_delivery,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
    ),
    Rule(
        "under-delivery",
        "delivery",
        "under-delivery",
        _levels((15, MEDIUM)),
        under_delivery,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
        suppressed_by=("counter-frozen", *STOPPING, *SILENCE),
    ),
    Rule(
        "free-flow-seen",
        "delivery",
        "free flow",
        _levels((1 / 3, HIGH)),
        free_flow,
        off_delay_ms=MS_PER_MINUTE,
        observed=True,
    ),
    Rule(
        "not-delivering",
        "delivery",
        "not delivering, and no order to hold",
        _levels((10, MEDIUM), (30, HIGH)),
        not_delivering,
        suppressed_by=(*STOPPING, *SILENCE),
    ),
)
_CHECKS = tuple((rule, rule.check) for rule in _HAZARDS if rule.check is not None)
UNKNOWN_DEVICE_ALARM = Rule(
    "unknown-device-alarm", "device", "device alarm", _levels((0, MEDIUM)), None
)
_DEVICE = tuple(
    Rule(alarm.key, "device", alarm.words, _levels((0, alarm.priority)), None)
    for alarm in DEVICE_ALARMS.values()
)
RULES: dict[str, Rule] = {rule.key: rule for rule in (*_HAZARDS, *_DEVICE, UNKNOWN_DEVICE_ALARM)}


def verdicts(now: Situation) -> Iterator[tuple[Rule, Verdict]]:
    """Every hazard that is there: the pump's own alarms first, then what the rules see."""
    if now.edge is not None and now.edge.alarms:
        yield from _device_alarms(now.edge)
    for rule, check in _CHECKS:
        verdict = check(now)
        if verdict is not None:
            yield rule, verdict


def _device_alarms(edge: PumpMessage) -> Iterator[tuple[Rule, Verdict]]:
    """The alarms that the pump itself reports; those it has no common name for are listed."""
    unknown = [key for key in edge.alarms if key not in DEVICE_ALARMS]
    for key in sorted(set(edge.alarms)):
        if key in DEVICE_ALARMS:
            yield RULES[key], Verdict(Evidence(detail="reported by the pump", to_ms=edge.time_ms))
    if unknown:
        detail = "reported by the pump: " + ", ".join(sorted(unknown))
        yield UNKNOWN_DEVICE_ALARM, Verdict(Evidence(detail=detail, to_ms=edge.time_ms))

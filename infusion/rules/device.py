"""The alarms that a pump raises itself, under their own names."""

from collections.abc import Iterator

from infusion.alarms import DEVICE_ALARMS
from infusion.messages import Evidence, PumpMessage
from infusion.rules.rule import MEDIUM, Rule, levels
from infusion.situation import Situation, Verdict
from infusion.units import round_dose_iu

STOPPING = tuple(alarm.key for alarm in DEVICE_ALARMS.values() if alarm.stops_delivery)
# What runs in past a pump that stands nobody knows.
_MISSING = tuple(key for key in STOPPING if key != "free-flow")
UNKNOWN_DEVICE_ALARM = Rule("unknown-device-alarm", "device", levels((0, MEDIUM)), None)
DEVICE_RULES = {
    alarm.key: Rule(alarm.key, "device", levels((0, alarm.priority)), None)
    for alarm in DEVICE_ALARMS.values()
}


def device_alarms(now: Situation, edge: PumpMessage) -> Iterator[tuple[str, Verdict]]:
    """The alarms that the pump itself reports; those it has no common name for are listed.

    One that stops the pump tells the dose in IU that the order would have given since then.

    Which of them is how urgent, and which stops the pump, is the catalogue in infusion/alarms.py
    [A]; what each follows is in its texts.
    """
    unknown = [key for key in edge.alarms if key not in DEVICE_ALARMS]
    for key in sorted(set(edge.alarms)):
        if key in DEVICE_ALARMS:
            dose_iu = _missed_iu(now) if key in _MISSING else None
            detail = "reported by the pump"
            yield key, Verdict(Evidence(detail=detail, to_ms=edge.time_ms, dose_iu=dose_iu))
    if unknown:
        detail = "reported by the pump: " + ", ".join(sorted(unknown))
        evidence = Evidence(detail=detail, to_ms=edge.time_ms)
        yield UNKNOWN_DEVICE_ALARM.key, Verdict(evidence)


def _missed_iu(now: Situation) -> float | None:
    """What the order would have given since the pump stands, below zero; None where it stands
    as ordered, or delivers."""
    timeline, prescription = now.timeline, now.prescription
    if timeline is None or prescription is None or now.delivering:
        return None
    ordered_since_ms = timeline.running_since_ms(now.at_ms)
    if ordered_since_ms is None or prescription.pump != now.state.pump:
        return None
    since_ms = max(now.state.standing_ms, ordered_since_ms)
    return -round_dose_iu(timeline.dose_iu(since_ms, now.at_ms))

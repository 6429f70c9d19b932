"""The alarms that a pump raises itself, under their own names."""

from collections.abc import Iterator

from infusion.alarms import DEVICE_ALARMS
from infusion.messages import Evidence, PumpMessage
from infusion.rules.rule import MEDIUM, Rule, levels
from infusion.situation import Verdict

STOPPING = tuple(alarm.key for alarm in DEVICE_ALARMS.values() if alarm.stops_delivery)
UNKNOWN_DEVICE_ALARM = Rule("unknown-device-alarm", "device", levels((0, MEDIUM)), None)
DEVICE_RULES = {
    alarm.key: Rule(alarm.key, "device", levels((0, alarm.priority)), None)
    for alarm in DEVICE_ALARMS.values()
}


def device_alarms(edge: PumpMessage) -> Iterator[tuple[str, Verdict]]:
    """The alarms that the pump itself reports; those it has no common name for are listed.

    Which of them is how urgent, and which stops the pump, is the catalogue in infusion/alarms.py
    [A]; what each follows is in its texts.
    """
    unknown = [key for key in edge.alarms if key not in DEVICE_ALARMS]
    for key in sorted(set(edge.alarms)):
        if key in DEVICE_ALARMS:
            yield key, Verdict(Evidence(detail="reported by the pump", to_ms=edge.time_ms))
    if unknown:
        detail = "reported by the pump: " + ", ".join(sorted(unknown))
        evidence = Evidence(detail=detail, to_ms=edge.time_ms)
        yield UNKNOWN_DEVICE_ALARM.key, Verdict(evidence)

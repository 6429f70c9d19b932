"""Alarms that a pump raises itself: their keys on the wire, priorities and IEEE 11073 names.

Priorities and what the pump does follow the alarm catalogue that the project proposes (modelled
on IEC 60601-1-8, IEC 60601-2-24 and published manuals; continuous heparin makes an empty
reservoir a high-priority alarm). REFIDs are from the ISO/IEEE 11073-10101 event list; where no
REFID could be confirmed the name is kept and no number is given anywhere.
"""

from enum import StrEnum

from msgspec import Struct


class Priority(StrEnum):
    """How soon somebody must act, modelled on IEC 60601-1-8; ordered by `rank`."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    # Information that asks nobody to act: IEC's "no priority", IHE's PN.
    NOTICE = "notice"

    @property
    def rank(self) -> int:
        """3 for high, 2 for medium, 1 for low, 0 for a notice."""
        return _RANKS[self]


_RANKS = {Priority.HIGH: 3, Priority.MEDIUM: 2, Priority.LOW: 1, Priority.NOTICE: 0}


class DeviceAlarm(Struct, frozen=True):
    """One alarm of a pump: wire key, IEEE 11073 REFID, priority, whether the pump stops, words."""

    key: str
    refid: str
    priority: Priority
    stops_delivery: bool
    words: str


DEVICE_ALARMS: dict[str, DeviceAlarm] = {
    alarm.key: alarm
    for alarm in (
        DeviceAlarm(
            "downstream-occlusion",
            "MDC_EVT_FLUID_LINE_OCCL",
            Priority.HIGH,
            True,
            "downstream occlusion",
        ),
        DeviceAlarm(
            "upstream-occlusion",
            "MDC_EVT_FLUID_LINE_OCCL_PROXIMAL",
            Priority.HIGH,
            True,
            "upstream occlusion",
        ),
        DeviceAlarm("air-in-line", "MDC_EVT_FLUID_LINE_AIR", Priority.HIGH, True, "air in line"),
        DeviceAlarm("free-flow", "MDC_EVT_PUMP_FLOW_FREE", Priority.HIGH, True, "free flow"),
        DeviceAlarm("reservoir-empty", "MDC_EVT_EMPTY", Priority.HIGH, True, "reservoir empty"),
        DeviceAlarm("reservoir-low", "MDC_EVT_SUPPLY_LO", Priority.MEDIUM, False, "reservoir low"),
        DeviceAlarm(
            "infusion-complete", "MDC_EVT_PUMP_VOL_TBI_COMP", Priority.HIGH, True, "VTBI infused"
        ),
        DeviceAlarm(
            "battery-depleted", "MDC_EVT_BATT_FAIL", Priority.HIGH, True, "battery depleted"
        ),
        DeviceAlarm("battery-low", "MDC_EVT_BATT_LO", Priority.MEDIUM, False, "battery low"),
        DeviceAlarm("door-open", "MDC_EVT_DOOR_POSN_ERR", Priority.HIGH, True, "door open"),
        DeviceAlarm(
            "system-malfunction", "MDC_EVT_EQUIP_MALF", Priority.HIGH, True, "system malfunction"
        ),
        DeviceAlarm(
            "over-temperature", "DRIPWATCH_EVT_OVER_TEMPERATURE", Priority.HIGH, True, "too hot"
        ),
        DeviceAlarm(
            "standby-expired",
            "MDC_EVT_TIME_PD_STANDBY_COMP",
            Priority.MEDIUM,
            False,
            "standby expired",
        ),
        DeviceAlarm(
            "near-end", "MDC_EVT_VOL_INFUS_NEAR_COMP", Priority.LOW, False, "VTBI nearly infused"
        ),
        DeviceAlarm(
            "callback", "DRIPWATCH_EVT_CALLBACK", Priority.LOW, False, "programming waits for input"
        ),
        DeviceAlarm(
            "programming-cleared",
            "DRIPWATCH_EVT_PROGRAMMING_CLEARED",
            Priority.MEDIUM,
            False,
            "programming was left alone and cleared",
        ),
    )
}

OWN_PREFIX = "DRIPWATCH_EVT_"
# Every event for which no REFID of IEEE 11073 is known to us, and what it says. All others on the
# wire are REFIDs.
OWN_EVENTS: dict[str, str] = {
    "DRIPWATCH_EVT_OVER_TEMPERATURE": "alarm: too hot",
    "DRIPWATCH_EVT_CALLBACK": "alarm: programming waits for input",
    "DRIPWATCH_EVT_PROGRAMMING_CLEARED": "alarm: programming was left alone and cleared",
    "DRIPWATCH_EVT_CHECKING_LINE": "stopped to see whether an occlusion passes by itself",
    "DRIPWATCH_EVT_AUDIO_PAUSED": "somebody silenced the alarms for up to two minutes",
    "DRIPWATCH_EVT_AUDIO_RESUMED": "the alarms sound again",
    "DRIPWATCH_EVT_SOFT_LIMIT": "the drug library asked, and the user backed off",
    "DRIPWATCH_EVT_OVERRIDE": "the user overrode a soft limit of the drug library",
    "DRIPWATCH_EVT_HARD_LIMIT": "the drug library refused",
    "DRIPWATCH_EVT_BYPASS": "programmed past the drug library",
    "DRIPWATCH_EVT_CHECK_NEEDED": "waits for an independent double check",
    "DRIPWATCH_EVT_DOUBLE_CHECK": "two users have checked independently",
    "DRIPWATCH_EVT_DOUBLE_CHECK_REJECTED": "one user cannot check twice",
    "DRIPWATCH_EVT_NEW_BAG": "somebody hung another bag and told the pump",
    "DRIPWATCH_EVT_DOOR_CLOSED": "door or cassette is closed",
    "DRIPWATCH_EVT_LOCKED": "the keypad was locked",
    "DRIPWATCH_EVT_UNLOCKED": "the keypad was unlocked",
    "DRIPWATCH_EVT_WRONG_CODE": "the keypad was not unlocked: wrong code",
    "DRIPWATCH_EVT_KEY_REFUSED": "a key was pressed on a locked keypad",
}

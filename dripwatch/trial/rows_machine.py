"""Rows of HAZARDS: supplies and machines, connections and counters, the patient and the clinic."""

from typing import Any

from dripwatch.trial.hazard import Hazard
from dripwatch.trial.plant import clinic, line, technical
from dripwatch.trial.rows_dose import AT_ONCE, LEVELS, M02, STOPPED, row

_UNHEARD = ("no-telemetry", "pump-offline", "messages-missing")
_M06 = "M06 [A]: no message for 5 min"
# A monitor sees results and not draws: until then the level may be on its way. Of all specimens of
# config/protocols/home-heparin.toml, 95 % are drawn within 38 min and measured within 116 [D].
UNSEEN = "M07 [A]: no result, so long after it was due that 95 % of all are there [D]"
_SEEN = "at once [A]: what is said cannot be true"


def _alarm(key: str, plant: Any, *answers: str, lasts: tuple[float, float] = (10, 60)) -> Hazard:
    return row(key, 1, plant, (*STOPPED, *answers), 0.0, AT_ONCE, "alarm", lasts, "supply")


def _stands(key: str, plant: Any, *answers: str) -> Hazard:
    return row(
        key,
        1,
        plant,
        (*STOPPED, *answers),
        10.0,
        M02,
        "stands",
        (20.0, 120.0),
        "supply",
        force="stands",
    )


def _unheard(key: str, plant: Any, *answers: str, lasts: tuple[float, float]) -> Hazard:
    return row(key, 2, plant, (*_UNHEARD, *answers), 5.0, _M06, "silent", lasts, "technical")


def _untrue(
    key: str,
    urgency: Any,
    plant: Any,
    sign: str,
    *answers: str,
    lasts: tuple[float, float] = (15.0, 60.0),
    **more: Any,
) -> Hazard:
    return row(key, urgency, plant, answers, 0.0, _SEEN, sign, lasts, "technical", **more)


MACHINE: tuple[Hazard, ...] = (
    _alarm("free-flow", line.free_flow, "free-flow", "free-flow-seen", "over-delivery"),
    _alarm("air-in-line", line.air, "air-in-line"),
    _alarm("door-open", line.door_open, "door-open"),
    _alarm("self-test-fails", line.self_test_fails, "system-malfunction"),
    _alarm("too-hot", line.too_hot, "over-temperature", lasts=(60.0, 120.0)),
    row(
        "empty-bag",
        1,
        line.empty_bag,
        ("reservoir-empty", "reservoir-low", "reservoir-runs-out", *STOPPED),
        0.0,
        AT_ONCE,
        "alarm",
        (60.0, 150.0),
        "supply",
        begins="empty",
    ),
    row(
        "flat-battery",
        1,
        line.flat_battery,
        ("battery-depleted", "battery-low", "battery-runs-out", *_UNHEARD, *STOPPED),
        0.0,
        AT_ONCE,
        "alarm",
        (75.0, 150.0),
        "supply",
        begins="depleted",
    ),
    _stands("power-off", line.power_off, *_UNHEARD),
    _stands("not-started", line.not_started, *_UNHEARD),
    _stands("reboot-stands", line.reboot_stands, *_UNHEARD),
    _unheard("offline", technical.offline, lasts=(30.0, 120.0)),
    _unheard("silence", technical.silence, lasts=(15.0, 90.0)),
    _unheard(
        "wrong-topic",
        technical.wrong_topic,
        "identity-mismatch",
        "malformed-messages",
        lasts=(15.0, 60.0),
    ),
    _unheard("other-contract", technical.other_contract, "malformed-messages", lasts=(15.0, 60.0)),
    _untrue(
        "counter-frozen", 2, technical.counter_frozen, "still", "counter-frozen", "under-delivery"
    ),
    _untrue(
        "counter-jump",
        2,
        technical.counter_jump,
        "jump",
        "counter-fault",
        "over-delivery",
        "free-flow-seen",
    ),
    _untrue("counter-backwards", 2, technical.counter_backwards, "back", "counter-fault"),
    _untrue(
        "clock-step",
        3,
        technical.clock_step,
        "clock",
        "clock-step",
        "no-telemetry",
        lasts=(60.0, 120.0),
    ),
    _untrue(
        "clone",
        2,
        technical.clone,
        "boots",
        "two-pumps-one-name",
        "identity-mismatch",
        "rate-not-as-ordered",
        "counter-fault",
        "under-delivery",
        "over-delivery",
        "replayed-messages",
        # Each takes the other's session over, so the broker loses one of them every time.
        follows=frozenset({"pump-offline", "no-telemetry"}),
    ),
    _untrue("replay", 3, technical.replay, "old", "replayed-messages", "two-pumps-one-name"),
    _untrue(
        "malformed",
        3,
        technical.malformed,
        "refused",
        "malformed-messages",
        "messages-missing",
        "no-telemetry",
    ),
    row(
        "bleeding",
        1,
        clinic.bleeding,
        ("bleeding", "complication-reported", "haemoglobin-falling"),
        0.0,
        "H05 [A]: as soon as somebody says so",
        "report",
        (600.0, 720.0),
        "clinic",
        is_shy=False,
    ),
    row(
        "hit",
        1,
        clinic.hit,
        ("hit-suspected", "platelets-falling", "critical-result"),
        0.0,
        "H07 (ASH 2018 [V])",
        "platelets",
        (4320.0, 5000.0),
        "clinic",
        is_shy=False,
        days_min=8,
        from_min=4.0 * 1440,
    ),
    row(
        "lumen-specimen",
        2,
        clinic.lumen_specimen,
        ("result-disagrees", "concentration-doubt", "critical-result", "discordance"),
        0.0,
        "M10 [A]",
        "lab",
        (480.0, 600.0),
        "clinic",
        is_shy=False,
        from_min=150.0,
        to_min=330.0,
    ),
    row(
        "lost-specimen",
        2,
        clinic.lost_specimen,
        ("level-overdue",),
        150.0,
        UNSEEN,
        "no-result",
        (480.0, 600.0),
        "clinic",
        is_shy=False,
        from_min=150.0,
        to_min=330.0,
    ),
    row(
        "laboratory-closed",
        2,
        clinic.laboratory_closed,
        ("level-overdue",),
        150.0,
        UNSEEN,
        "no-result",
        (600.0, 900.0),
        "clinic",
        is_shy=False,
        from_min=60.0,
        to_min=300.0,
    ),
    row(
        "clearance-falls",
        2,
        clinic.clearance_falls,
        LEVELS,
        0.0,
        "M08 [A]; no pump can know how much the patient gets rid of",
        "lab",
        (780.0, 900.0),
        "clinic",
        is_shy=False,
        to_min=300.0,
    ),
)

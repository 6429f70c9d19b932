"""Evidence for each rule as its rule would give it, to read the texts filled.

Each sample is evidence, how long the hazard has lasted (seconds), and the ordered rate (IU/h) where
it is known. Several for one rule show its variants.
"""

from msgspec import Struct

from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.messages import Evidence
from tests.infusion.bench import T0

MIN, H, DAY = 60, 3_600, 86_400
ORDERED_IU_H = 1_440.0


class Sample(Struct, frozen=True):
    """One alert as it could stand."""

    evidence: Evidence
    lasted_s: float
    ordered_iu_h: float | None = ORDERED_IU_H
    priority: Priority | None = None


def seen(
    observed: float | None = None,
    expected: float | None = None,
    unit: str = "",
    *,
    span_s: float | None = None,
    low: float | None = None,
    high: float | None = None,
    limit: str = "",
    dose_iu: float | None = None,
    detail: str = "",
) -> Evidence:
    """Evidence of an interval that ended now."""
    return Evidence(
        observed=observed,
        expected=expected,
        unit=unit,
        low=low,
        high=high,
        limit=limit,
        dose_iu=dose_iu,
        detail=detail,
        from_ms=None if span_s is None else T0 - round(span_s * 1_000),
        to_ms=None if span_s is None else T0,
    )


_STOPPED = {
    alarm.key: [Sample(seen(dose_iu=-144.0, detail="reported by the pump"), 6 * MIN)]
    for alarm in DEVICE_ALARMS.values()
    if alarm.stops_delivery
}
_WARNED = {
    alarm.key: [Sample(seen(detail="reported by the pump"), 6 * MIN)]
    for alarm in DEVICE_ALARMS.values()
    if not alarm.stops_delivery
}
SAMPLES: dict[str, list[Sample]] = {
    **_STOPPED,
    **_WARNED,
    "free-flow": [Sample(seen(dose_iu=4_000.0, detail="reported by the pump"), 6 * MIN)],
    "unknown-device-alarm": [Sample(seen(detail="reported by the pump: leak-sensor"), 10)],
    "pump-offline": [Sample(seen(detail="offline, boot 3"), 16 * MIN)],
    "no-telemetry": [Sample(seen(5, unit="min without a message", span_s=5 * MIN), 5 * MIN)],
    "counter-frozen": [Sample(seen(0, 0.48, "mL", span_s=2 * MIN), 2 * MIN)],
    "counter-fault": [Sample(seen(-1.2, unit="mL", detail="the counter ran backwards"), 70)],
    "identity-mismatch": [Sample(seen(detail="the payload says pump 'P-07'"), 90)],
    "unknown-pump": [Sample(seen(detail="no order names pump P-99"), 65)],
    "two-pumps-one-name": [Sample(seen(detail="boots 4 and 9 take turns"), 3 * MIN)],
    "replayed-messages": [Sample(seen(42, unit="messages"), 30)],
    "clock-step": [
        Sample(seen(detail="set ahead by 60 min"), 10),
        Sample(seen(60, 0, "min"), 10),
        Sample(seen(-90, unit="s"), 10),
    ],
    "messages-missing": [Sample(seen(12, unit="messages", span_s=10 * MIN), 10 * MIN)],
    "malformed-messages": [Sample(seen(5, unit="messages"), 2 * MIN)],
    "order-refused": [
        Sample(
            seen(detail="order T-01 version 3, step 2: comes after a stop; begin with a start"), 240
        )
    ],
    "unknown-therapy": [Sample(seen(detail="no order for therapy T-99"), 70)],
    "therapy-on-two-pumps": [Sample(seen(detail="therapy T-01 is ordered for pump P-02"), 2 * MIN)],
    "wrong-concentration": [Sample(seen(50, 100, "IU/mL", limit="±1%"), 30 * MIN)],
    "wrong-weight": [
        Sample(seen(176.4, 80, "kg", limit="±10%"), 10 * MIN),
        Sample(seen(176.4, 80, "kg", limit="±10%", dose_iu=289.0), 10 * MIN),
    ],
    "rate-not-as-ordered": [
        Sample(seen(144, 14.4, "mL/h", limit="±5%", dose_iu=108.0), 30),
        Sample(seen(12, 14.4, "mL/h", limit="±5%", dose_iu=-120.0), 30 * MIN),
    ],
    "order-not-applied": [
        Sample(seen(14.4, 16, "mL/h", dose_iu=-93.0), 5 * MIN),
        Sample(seen(0, 5_000, "IU", dose_iu=-5_000.0, detail="bolus not given"), 0),
    ],
    "delivering-on-hold": [Sample(seen(14.4, 0, "mL/h", dose_iu=288.0), 12 * MIN)],
    "outside-limits": [
        Sample(seen(180, unit="IU/kg/h", low=1, high=35), 10),
        Sample(seen(0.5, unit="IU/kg/h", low=1, high=35), 10),
        Sample(seen(4_100, unit="IU/h", limit="4,000 IU/h"), 10),
    ],
    "library-bypassed": [Sample(seen(), 20 * MIN)],
    "double-check-missing": [Sample(seen(detail="rate changed by nurse-4"), 5 * MIN)],
    "override-pattern": [Sample(seen(3, unit="overrides", span_s=4 * H), 0)],
    "over-delivery": [Sample(seen(432, 360, "IU", span_s=15 * MIN, dose_iu=72.0), 15 * MIN)],
    "under-delivery": [Sample(seen(270, 360, "IU", span_s=15 * MIN, dose_iu=-90.0), 15 * MIN)],
    "free-flow-seen": [Sample(seen(400, 14.4, "mL/h", span_s=50, dose_iu=535.0), 50)],
    "not-delivering": [
        Sample(seen(0, 1440, "IU/h", limit="10 min", detail="by-clinician"), 10 * MIN),
        Sample(seen(0, 1440, "IU/h", detail="alarming", dose_iu=-720.0), 30 * MIN),
    ],
    "hold-overrun": [Sample(seen(dose_iu=-288.0), 12 * MIN)],
    "level-off-course": [
        Sample(seen(0.8, 0.5, "IU/mL"), 20 * MIN),
        Sample(seen(0.24, 0.5, "IU/mL"), 55 * MIN),
    ],
    "deviation-24h": [
        Sample(seen(38_300, 34_560, "IU", span_s=DAY, dose_iu=3_740.0), DAY),
        Sample(seen(30_100, 34_560, "IU", span_s=DAY, dose_iu=-4_460.0), DAY),
    ],
    "reservoir-unexplained": [Sample(seen(98, 141, "mL"), 10 * MIN)],
    "occlusion-forming": [Sample(seen(212, 55, "mmHg"), 40)],
    "partial-occlusion": [Sample(seen(180, 55, "mmHg"), 15 * MIN)],
    "reservoir-runs-out": [
        Sample(seen(6.7, unit="min", low=26, high=30), 0, priority=Priority.MEDIUM),
        Sample(seen(56, unit="min", low=222, high=251), 0, priority=Priority.NOTICE),
    ],
    "battery-runs-out": [
        Sample(seen(5, unit="min", low=18, high=30), 0, priority=Priority.MEDIUM),
        Sample(seen(24, unit="min", low=86, high=144), 0, priority=Priority.NOTICE),
    ],
    "repeat-occlusion": [Sample(seen(3, unit="occlusion alarms", span_s=5 * H), 0)],
    "bag-beyond-use": [Sample(seen(25.5, unit="h", limit="24 h"), 90 * MIN)],
    "critical-result": [
        Sample(seen(128, unit="s", limit=">100", detail="aPTT", span_s=1.5 * H), 10 * MIN),
        Sample(seen(1.5, unit="IU/mL", limit="≥1", detail="anti-Xa (or more); likely 0.5"), 60),
    ],
    "hit-suspected": [Sample(seen(92, 240, "×10⁹/L", detail="platelets down by 62%"), 10 * MIN)],
    "platelets-falling": [Sample(seen(150, 240, "×10⁹/L"), 10 * MIN)],
    "haemoglobin-falling": [Sample(seen(9.8, 12.1, "g/dL"), 10 * MIN)],
    "levels-out-of-range": [
        Sample(seen(0.14, unit="IU/mL", limit="below 0.2 twice", detail="anti-Xa; 0.1, 0.14"), 60),
    ],
    "result-disagrees": [
        Sample(seen(1.5, 0.52, "IU/mL", low=0.31, high=0.84), 10 * MIN),
        Sample(seen(0.1, 0.52, "[iU]/mL", low=0.31, high=0.84), 10 * MIN),
    ],
    "concentration-doubt": [
        Sample(seen(2, 1, "times the dose counted"), 10 * MIN),
        Sample(seen(0.5, 1, "times the dose counted"), 10 * MIN),
    ],
    "not-therapeutic": [Sample(seen(0.22, 0.3, "IU/mL", limit="in range within 24 h"), 10 * MIN)],
    "discordance": [
        Sample(seen(41, unit="s", limit="45 to 75", detail="aPTT; twice"), 10 * MIN),
        Sample(seen(41, unit="s", limit="45 to 75"), 10 * MIN, priority=Priority.NOTICE),
    ],
    "level-forecast": [
        Sample(seen(0.78, 0.7, "IU/mL", low=0.6, high=0.9, limit="0.3 to 0.7", span_s=2 * H), 300),
        Sample(seen(0.24, 0.3, "IU/mL", low=0.1, high=0.3, limit="0.3 to 0.7", span_s=2 * H), 300),
    ],
    "bleeding": [
        Sample(seen(detail="nosebleed, said by patient; for 20 minutes", span_s=240), 4 * MIN)
    ],
    "complication-reported": [Sample(seen(detail="redness, said by nurse-2", span_s=240), 4 * MIN)],
    "level-overdue": [Sample(seen(4.5, unit="h since due", span_s=4.5 * H), 10 * MIN)],
    "platelets-due": [Sample(seen(13, unit="h since due", span_s=13 * H), 3 * H)],
    "visit-overdue": [Sample(seen(30, unit="h since due", span_s=30 * H), 12 * H)],
    "delivery-overdue": [Sample(seen(6, unit="h since due", span_s=6 * H), 2 * H)],
    "supplies-low": [Sample(seen(detail="supplies low, said by patient; two bags"), 10 * MIN)],
}

"""From judged cases to the figures of a trial. Pure: values in, values out.

Delays are counted from the onset; `earliest` is that of the earliest moment the stream could have
shown the hazard. For the ratio both count as LOOK_S at least, one interval of telemetry: nothing
can be asked of a monitor between two messages. A warning before the onset is a delay below zero.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from dripwatch.trial.judge import COHORT, FALSE, Found, Judged, Sought, SystemCase
from infusion.alarms import Priority
from infusion.units import MS_PER_SECOND

LOOK_S = 10.0
URGENCIES = (1, 2, 3)
# What a release must keep; docs/detection.md says why. [A]
SENSITIVITY_BOUNDS = {1: 1.0, 2: 0.98}
FALSE_BOUND, FALSE_HIGH_BOUND, PER_CAUSE_BOUND, RATIO_BOUND = 0.2, 0.02, 1.3, 1.5


class CaseResult(Struct, frozen=True, kw_only=True):
    """One patient over the whole story, as each system saw it."""

    number: int
    pump: str
    days: int
    sought: tuple[Sought, ...]
    systems: dict[str, SystemCase]


class HazardScore(Struct, frozen=True, kw_only=True):
    """One hazard, or all of one urgency, as one system found them. Times in seconds.

    Of those `planted`, `not_real` never became one: the pump refused, or it was over before it had
    lasted as long as its definition asks. Of the rest only the `visible` ones could be shown by
    any stream, and `sensitivity` is of these. `found_unseen` counts those that were found though
    this trial's own sign says that they could not be. A median is None where there is nothing to
    take it of. `ratios` has delay ÷ earliest of each that was found, `ratio` is their median.
    """

    name: str
    urgency: int
    planted: int
    not_real: int
    visible: int
    found: int
    found_high: int
    standing: int
    found_unseen: int
    sensitivity: float | None
    delay_median_s: float | None
    delay_p90_s: float | None
    earliest_median_s: float | None
    ratio: float | None
    iu_median: float | None
    ratios: tuple[float, ...] = ()


class SystemScore(Struct, frozen=True, kw_only=True):
    """One system over all cases. Rates are for each patient-day; `false_rules` counts by rule."""

    system: str
    patient_days: float
    hazards: tuple[HazardScore, ...]
    urgencies: tuple[HazardScore, ...]
    alerts: int
    false_alerts: int
    false_high: int
    false_per_day: float
    false_high_per_day: float
    notices_per_day: float
    positive_predictive_value: float | None
    alerts_per_cause: float | None
    planted_alerts_per_cause: float | None
    alerts_per_nurse_hour: float
    false_rules: dict[str, int]


class Miss(Struct, frozen=True, kw_only=True):
    """A case that a trial fails by: a visible P1 or P2 that was missed, or a false high alert."""

    number: int
    what: str


def score(
    results: Sequence[CaseResult], system: str, patients_per_nurse: float = 20.0
) -> SystemScore:
    """The figures of one system; cases that it did not see are left out."""
    seen = [result for result in results if system in result.systems]
    pairs = [
        (one, hit, missed_iu)
        for result in seen
        for one, hit, missed_iu in zip(
            result.sought,
            result.systems[system].found,
            result.systems[system].missed_iu,
            strict=True,
        )
    ]
    alerts = [alert for result in seen for alert in result.systems[system].alerts]
    false = [alert for alert in alerts if alert.cause == FALSE]
    high = sum(alert.priority is Priority.HIGH for alert in false)
    days = float(sum(result.days for result in seen))
    keys = sorted({one.hazard for one, _, _ in pairs})
    return SystemScore(
        system=system,
        patient_days=days,
        hazards=tuple(
            _hazard(key, [pair for pair in pairs if pair[0].hazard == key]) for key in keys
        ),
        urgencies=tuple(
            _hazard(f"P{urgency}", [pair for pair in pairs if pair[0].urgency == urgency])
            for urgency in URGENCIES
        ),
        alerts=len(alerts),
        false_alerts=len(false),
        false_high=high,
        false_per_day=_share(len(false), days) or 0.0,
        false_high_per_day=_share(high, days) or 0.0,
        notices_per_day=_share(sum(r.systems[system].notices for r in seen), days) or 0.0,
        positive_predictive_value=_share(len(alerts) - len(false), len(alerts)),
        alerts_per_cause=_per_cause(seen, system, planted_only=False),
        planted_alerts_per_cause=_per_cause(seen, system, planted_only=True),
        alerts_per_nurse_hour=(_share(len(alerts), days) or 0.0) / 24.0 * patients_per_nurse,
        false_rules=dict(Counter(alert.rule for alert in false).most_common()),
    )


def _hazard(name: str, pairs: Sequence[tuple[Sought, Found | None, float]]) -> HazardScore:
    real = [pair for pair in pairs if pair[0].is_real]
    visible = [pair for pair in real if pair[0].earliest_ms is not None]
    hits = [(one, hit) for one, hit, _ in visible if hit is not None]
    delays = [_seconds(hit.at_ms - one.onset_ms) for one, hit in hits]
    earliest = [_seconds((one.earliest_ms or 0) - one.onset_ms) for one, _ in hits]
    ius = [abs(hit.iu) if hit is not None else abs(missed) for _, hit, missed in visible]
    ratios = [
        round(max(delay, LOOK_S) / max(least, LOOK_S), 2)
        for delay, least in zip(delays, earliest, strict=True)
    ]
    return HazardScore(
        name=name,
        urgency=pairs[0][0].urgency if pairs else int(name.removeprefix("P") or 0),
        planted=len(pairs),
        not_real=len(pairs) - len(real),
        visible=len(visible),
        found=len(hits),
        found_high=sum(hit.high_ms is not None for _, hit in hits),
        standing=sum(hit.was_standing for _, hit in hits),
        found_unseen=sum(one.earliest_ms is None and hit is not None for one, hit, _ in real),
        sensitivity=_share(len(hits), len(visible)),
        delay_median_s=_median(delays),
        delay_p90_s=_p90(delays),
        earliest_median_s=_median(earliest),
        ratio=round(statistics.median(ratios), 2) if ratios else None,
        iu_median=_median(ius),
        ratios=tuple(ratios),
    )


def _per_cause(results: Iterable[CaseResult], system: str, *, planted_only: bool) -> float | None:
    """Alerts for each cause that had any. A cause is a planted hazard, or alerts of the cohort that
    came close upon one another.
    """
    causes: Counter[tuple[int, str, int]] = Counter()
    for result in results:
        for alert in result.systems[system].alerts:
            if alert.cause == FALSE or (planted_only and alert.cause == COHORT):
                continue
            causes[result.number, alert.cause, alert.cluster] += 1
    return _share(sum(causes.values()), len(causes))


def misses(results: Iterable[CaseResult], system: str) -> list[Miss]:
    """The cases that fail, in order of number, each with what went wrong."""
    found: list[Miss] = []
    for result in results:
        seen = result.systems.get(system)
        if seen is None:
            continue
        for one, hit in zip(result.sought, seen.found, strict=True):
            if hit is None and one.is_real and one.earliest_ms is not None and one.urgency <= 2:
                what = f"P{one.urgency} {one.hazard} was missed"
                found.append(Miss(number=result.number, what=what))
        found += [
            Miss(number=result.number, what=f"false high alert: {alert.rule}")
            for alert in seen.alerts
            if alert.cause == FALSE and alert.priority is Priority.HIGH
        ]
    return found


def failures(figures: SystemScore) -> list[str]:
    """Which bounds the figures do not keep, in words; empty when all are kept."""
    found: list[str] = []
    for urgency in figures.urgencies:
        bound = SENSITIVITY_BOUNDS.get(urgency.urgency)
        if bound is not None and urgency.sensitivity is not None and urgency.sensitivity < bound:
            found.append(
                f"{urgency.name}: sensitivity {urgency.sensitivity:.1%} is below {bound:.0%}"
            )
        if bound is not None and urgency.ratio is not None and urgency.ratio > RATIO_BOUND:
            found.append(f"{urgency.name}: median delay is {urgency.ratio:g} times the earliest")
    for value, bound, what in (
        (figures.false_per_day, FALSE_BOUND, "false alerts per patient-day"),
        (figures.false_high_per_day, FALSE_HIGH_BOUND, "false high alerts per patient-day"),
        (figures.alerts_per_cause or 0.0, PER_CAUSE_BOUND, "alerts per cause"),
    ):
        if value > bound:
            found.append(f"{value:.3f} {what}: more than {bound:g}")
    return found


def false_alerts(results: Iterable[CaseResult], system: str) -> list[tuple[int, Judged]]:
    """Every false alert of a system with the number of its case."""
    return [
        (result.number, alert)
        for result in results
        if system in result.systems
        for alert in result.systems[system].alerts
        if alert.cause == FALSE
    ]


def _seconds(milliseconds: int) -> float:
    return milliseconds / MS_PER_SECOND


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def _p90(values: Sequence[float]) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))], 1)

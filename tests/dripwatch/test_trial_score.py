"""The figures of a trial, from cases made by hand."""

from dripwatch.trial.judge import COHORT, FALSE, Found, Judged, Sought, SystemCase
from dripwatch.trial.score import (
    CaseResult,
    HazardScore,
    SystemScore,
    failures,
    false_alerts,
    misses,
    score,
)
from infusion.alarms import Priority

MIN = 60_000


def hazard(earliest_min: float | None = 10, **keys: object) -> Sought:
    given: dict[str, object] = {
        "hazard": "tenfold",
        "group": "programming",
        "urgency": 1,
        "from_ms": 0,
        "onset_ms": 0,
        "end_ms": 60 * MIN,
        "earliest_ms": None if earliest_min is None else round(earliest_min * MIN),
        "happens_ms": 0,
        "is_real": True,
        "linger_ms": 0,
        "answers": frozenset({"rate-not-as-ordered"}),
        **keys,
    }
    return Sought(**given)  # type: ignore[arg-type]


def found(minute: float, high: bool = False, iu: float = 100.0) -> Found:
    at_ms = round(minute * MIN)
    return Found(rule="rate-not-as-ordered", at_ms=at_ms, high_ms=at_ms if high else None, iu=iu)


def alert(cause: str, priority: str = "medium", cluster: int = 0) -> Judged:
    return Judged(
        rule="over-delivery",
        pump="P-01",
        at_ms=0,
        priority=Priority(priority),
        cause=cause,
        cluster=cluster,
    )


def case(
    number: int,
    sought: tuple[Sought, ...] = (),
    hits: tuple[Found | None, ...] = (),
    alerts: tuple[Judged, ...] = (),
    notices: int = 0,
) -> CaseResult:
    seen = SystemCase(
        found=hits, missed_iu=tuple(-500.0 for _ in hits), alerts=alerts, notices=notices
    )
    return CaseResult(number=number, pump="P-01", days=1, sought=sought, systems={"monitor": seen})


def only(figures: SystemScore) -> HazardScore:
    (one,) = figures.hazards
    return one


def test_found_missed_unreal_and_unseen_are_told_apart() -> None:
    cases = [
        case(0, (hazard(),), (found(11, high=True),)),
        case(1, (hazard(),), (None,)),
        case(2, (hazard(is_real=False),), (None,)),
        case(3, (hazard(None),), (None,)),
        case(4, (hazard(None),), (found(50),)),
    ]
    one = only(score(cases, "monitor"))
    assert (one.planted, one.not_real, one.visible, one.found) == (5, 1, 2, 1)
    assert (one.found_high, one.found_unseen) == (1, 1)
    assert one.sensitivity == 0.5
    # 100 IU before the alert, and 500 too little where none came.
    assert one.iu_median == 300.0


def test_delays_count_from_the_onset_and_against_the_earliest_moment() -> None:
    cases = [case(n, (hazard(),), (found(minute),)) for n, minute in enumerate((10, 12, 30))]
    one = only(score(cases, "monitor"))
    assert (one.delay_median_s, one.delay_p90_s, one.earliest_median_s) == (720.0, 1800.0, 600.0)
    assert one.ratios == (1.0, 1.2, 3.0)
    assert one.ratio == 1.2


def test_nothing_is_asked_between_two_messages() -> None:
    warned = case(0, (hazard(0.0),), (found(-20),))
    at_once = case(1, (hazard(0.0),), (found(0.1),))
    late = case(2, (hazard(0.0),), (found(0.5),))
    assert only(score([warned, at_once, late], "monitor")).ratios == (1.0, 1.0, 3.0)


def test_false_alerts_are_counted_for_each_patient_day() -> None:
    cases = [
        case(0, alerts=(alert(FALSE), alert(FALSE, "high")), notices=3),
        case(1, alerts=(alert(COHORT), alert(COHORT))),
        case(2),
        case(3),
    ]
    figures = score(cases, "monitor", patients_per_nurse=24.0)
    assert figures.false_per_day == 0.5
    assert figures.false_high_per_day == 0.25
    assert figures.positive_predictive_value == 0.5
    assert figures.notices_per_day == 0.75
    # 4 alerts on 4 days of a nurse's 24 patients.
    assert figures.alerts_per_nurse_hour == 1.0
    assert figures.false_rules == {"over-delivery": 2}
    assert [number for number, _ in false_alerts(cases, "monitor")] == [0, 0]


def test_alerts_are_counted_for_each_cause_that_had_any() -> None:
    alerts = (alert("0"), alert("0"), alert("1"), alert(COHORT, cluster=1), alert(FALSE))
    figures = score([case(0, alerts=alerts), case(1)], "monitor")
    assert figures.alerts_per_cause == 4 / 3
    assert figures.planted_alerts_per_cause == 1.5


def test_a_case_fails_by_a_miss_or_a_false_high_alert() -> None:
    cases = [
        case(0, (hazard(),), (None,)),
        case(1, (hazard(urgency=3),), (None,)),
        case(2, (hazard(None),), (None,)),
        case(3, alerts=(alert(FALSE, "high"), alert(FALSE))),
    ]
    assert [(miss.number, miss.what) for miss in misses(cases, "monitor")] == [
        (0, "P1 tenfold was missed"),
        (3, "false high alert: over-delivery"),
    ]


def test_bounds_that_are_not_kept_are_named() -> None:
    good = score([case(0, (hazard(),), (found(10),))], "monitor")
    assert failures(good) == []
    bad = score(
        [case(0, (hazard(), hazard()), (None, found(40)), (alert(FALSE), alert("1"), alert("1")))],
        "monitor",
    )
    assert failures(bad) == [
        "P1: sensitivity 50.0% is below 100%",
        "P1: median delay is 4 times the earliest",
        "1.000 false alerts per patient-day: more than 0.2",
        "2.000 alerts per cause: more than 1.3",
    ]


def test_a_system_that_saw_nothing_has_no_figures() -> None:
    figures = score([case(0)], "previous")
    assert figures.patient_days == 0
    assert figures.positive_predictive_value is None

"""Rows of HAZARDS: what is typed, ordered, and what physics does to a dose.

Urgencies are those of the rules of heparin.md §6 that the sources name; see docs/detection.md.
"""

from typing import Any

from dripwatch.trial.hazard import Group, Hazard, Urgency
from dripwatch.trial.plant import line, programming

# What a dose that is too high, or too low, may be alerted as, whatever its cause.
OVER = ("over-delivery", "level-off-course", "deviation-24h")
UNDER = ("under-delivery", "level-off-course", "deviation-24h")
STOPPED = ("not-delivering", "under-delivery", "level-off-course")
TYPED = ("rate-not-as-ordered", "outside-limits", "library-bypassed")
LEVELS = (
    "levels-out-of-range",
    "critical-result",
    "result-disagrees",
    "concentration-doubt",
    "not-therapeutic",
    "level-forecast",
)
SETTLED = "[A] 30 s, for whoever types may still be correcting"
GIP = "GIP 1.2.2, 1.2.3 [V2]: more than 10 % for 15 min"
M02 = "M02 [A]: no delivery for 10 min"
AT_ONCE = "at once: the pump itself stops and alarms"


def row(
    key: str,
    urgency: Urgency,
    plant: Any,
    answers: tuple[str, ...],
    definition_min: float,
    source: str,
    sign: str,
    lasts_min: tuple[float, float],
    group: Group,
    **more: Any,
) -> Hazard:
    """One row; `more` are the fields of Hazard that are seldom needed."""
    return Hazard(
        key=key,
        group=group,
        urgency=urgency,
        plant=plant,
        answers=frozenset(answers),
        definition_min=definition_min,
        source=source,
        sign=sign,
        lasts_min=lasts_min,
        **more,
    )


def _typed(
    key: str, urgency: Urgency, plant: Any, answers: tuple[str, ...], sign: str, most_min: float
) -> Hazard:
    lasts = (most_min / 4, most_min)
    # A rate is a hazard from when the pump runs at it; what it refused, or never ran at, is none.
    force = "off-order" if sign == "rate" else ""
    return row(key, urgency, plant, answers, 0.5, SETTLED, sign, lasts, "programming", force=force)


def _flow(key: str, urgency: Urgency, plant: Any, answers: tuple[str, ...], sign: str) -> Hazard:
    return row(key, urgency, plant, answers, 15.0, GIP, sign, (45.0, 180.0), "flow")


def _stop(
    key: str, plant: Any, answers: tuple[str, ...], lasts: tuple[float, float], **more: Any
) -> Hazard:
    answers = (*STOPPED, *answers)
    return row(key, 1, plant, answers, 10.0, M02, "stands", lasts, force="stands", **more)


def _alarm(
    key: str, plant: Any, answers: tuple[str, ...], lasts: tuple[float, float], group: Group
) -> Hazard:
    return row(key, 1, plant, (*STOPPED, *answers), 0.0, AT_ONCE, "alarm", lasts, group)


def _nothing_seen(key: str, plant: "Any", source: str) -> Hazard:
    """What the pump cannot know: only blood shows it."""
    return row(
        key,
        1,
        plant,
        LEVELS,
        0.0,
        source,
        "lab",
        (600.0, 900.0),
        "clinic",
        is_shy=False,
        to_min=300.0,
        linger_min=90.0,
    )


def _order(
    key: str,
    urgency: Urgency,
    plant: Any,
    answers: tuple[str, ...],
    definition_min: float,
    source: str,
    lasts: tuple[float, float],
    **more: Any,
) -> Hazard:
    return row(key, urgency, plant, answers, definition_min, source, "rate", lasts, "order", **more)


_RUNS_ON = ("delivering-on-hold", "order-not-applied", "rate-not-as-ordered", *OVER)
_PRESSURE = ("downstream-occlusion", "occlusion-forming", "partial-occlusion", "repeat-occlusion")

DOSE: tuple[Hazard, ...] = (
    _typed("tenfold", 1, programming.tenfold, (*TYPED, *OVER, "free-flow-seen"), "rate", 60),
    _typed("tenth", 1, programming.tenth, (*TYPED, *UNDER), "rate", 120),
    _typed(
        "units-for-ml",
        1,
        programming.units_for_ml,
        (*TYPED, *OVER, "free-flow-seen", "reservoir-runs-out"),
        "rate",
        16,
    ),
    _typed("hard-limit", 1, programming.hard_limit, (*TYPED, *OVER), "rate", 90),
    _typed("library-bypass", 1, programming.library_bypass, TYPED, "bypass", 240),
    _typed("rate-slip", 2, programming.rate_slip, (*TYPED, *OVER, *UNDER), "rate", 120),
    _typed(
        "pounds-for-kg", 1, programming.pounds_for_kg, ("wrong-weight", *TYPED, *OVER), "rate", 90
    ),
    _typed("wrong-weight", 1, programming.wrong_weight, ("wrong-weight", *TYPED), "weight", 240),
    _typed(
        "labelled-bag",
        1,
        programming.labelled_bag,
        ("wrong-concentration", *TYPED, *OVER, *UNDER),
        "concentration",
        120,
    ),
    _typed(
        "typed-concentration",
        1,
        programming.typed_concentration,
        ("wrong-concentration", *TYPED, *UNDER),
        "concentration",
        120,
    ),
    _nothing_seen(
        "unlabelled-bag", programming.unlabelled_bag, "H08 [A]; no pump can know what a bag holds"
    ),
    _order(
        "bolus-twice",
        1,
        programming.bolus_twice,
        ("rate-not-as-ordered", *OVER),
        0.5,
        "H01 [A]: a bolus that was not ordered; " + SETTLED,
        (60.0, 61.0),
        force="odd-bolus",
        linger_min=30.0,
    ),
    _order(
        "bolus-unordered",
        1,
        programming.bolus_unordered,
        ("rate-not-as-ordered", *OVER),
        0.5,
        "H01 [A]: a bolus that was not ordered; " + SETTLED,
        (30.0, 31.0),
        force="odd-bolus",
        linger_min=30.0,
    ),
    _order(
        "change-not-applied",
        2,
        programming.change_not_applied,
        ("order-not-applied", "rate-not-as-ordered", *OVER, *UNDER),
        30.0,
        "M04 [A]: ordered more than 30 min ago",
        (60.0, 180.0),
        force="off-order",
    ),
    _order(
        "hold-not-begun",
        1,
        programming.hold_not_begun,
        _RUNS_ON,
        10.0,
        "H01 [A]: far more than ordered; 10 min to carry a hold out [A]",
        (30.0, 120.0),
        force="runs-on-hold",
    ),
    _order(
        "restart-in-hold",
        2,
        programming.restart_in_hold,
        _RUNS_ON,
        0.5,
        "M03 [A]: started before the hold was over; " + SETTLED,
        (60.0, 150.0),
        force="runs-on-hold",
    ),
    _order(
        "runs-on-after-stop",
        1,
        programming.runs_on_after_stop,
        _RUNS_ON,
        10.0,
        "H01 [A]: far more than ordered; 10 min to carry a stop out [A]",
        (30.0, 180.0),
        force="runs-on-hold",
    ),
    row(
        "hold-overrun",
        2,
        programming.hold_overrun,
        ("hold-overrun", *STOPPED),
        10.0,
        "M03 [A]: the hold ended more than 10 min ago",
        "stands",
        (90.0, 180.0),
        "order",
        force="stands",
    ),
    _stop("pause-forgotten", programming.pause_forgotten, (), (15.0, 120.0), group="order"),
    row(
        "standby-forgotten",
        1,
        programming.standby_forgotten,
        (*STOPPED, "standby-expired", "hold-overrun"),
        0.0,
        "at once: the time that somebody set is over, and the pump says so",
        "alarm",
        (40.0, 150.0),
        "order",
        force="stands",
    ),
    _stop(
        "kvo-forgotten",
        programming.kvo_forgotten,
        ("infusion-complete",),
        (60.0, 150.0),
        group="supply",
        begins="kvo",
    ),
    row(
        "occlusion",
        1,
        line.occlusion,
        (*_PRESSURE, *STOPPED),
        0.0,
        "H03 [A]; from the onset nothing reaches the patient",
        "pressure",
        (20.0, 90.0),
        "line",
    ),
    row(
        "growing-occlusion",
        1,
        line.growing_occlusion,
        (*_PRESSURE, *STOPPED),
        0.0,
        "H03 [A]; the pump will stop",
        "pressure",
        (75.0, 180.0),
        "line",
    ),
    row(
        "intermittent-occlusion",
        2,
        line.intermittent_occlusion,
        (*_PRESSURE, *STOPPED),
        10.0,
        "[A] for 10 min, or it was one bend of an arm",
        "pressure",
        (30.0, 120.0),
        "line",
    ),
    row(
        "partial-occlusion",
        2,
        line.partial_occlusion,
        (*_PRESSURE, *STOPPED),
        10.0,
        "[A] for 10 min, or it was one bend of an arm",
        "pressure",
        (45.0, 180.0),
        "line",
    ),
    _alarm(
        "upstream-occlusion",
        line.upstream_occlusion,
        ("upstream-occlusion", "repeat-occlusion"),
        (20.0, 90.0),
        "line",
    ),
    _nothing_seen("leak", line.leak, "H04 [A]; no pump can know what leaks behind it"),
    _flow("siphon", 2, line.siphon, (*OVER, "free-flow", "free-flow-seen"), "over"),
    _flow("flow-too-high", 2, line.flow_too_high, OVER, "over"),
    _flow("flow-too-low", 2, line.flow_too_low, UNDER, "under"),
    row(
        "slow-drift",
        2,
        line.slow_drift,
        UNDER,
        15.0,
        GIP,
        "under",
        (400.0, 540.0),
        "flow",
        linger_min=30.0,
    ),
)

"""One case judged: which hazard was found when and by what, and what caused each alert. Pure."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from dripwatch.trial.alerts import Raised
from dripwatch.trial.conditions import Conditions
from dripwatch.trial.explain import why
from infusion.alarms import Priority
from infusion.units import MS_PER_MINUTE

# What truth explains in a planted hazard's time and this long after it belongs to that hazard. [A]
WAKE_MS = 60 * MS_PER_MINUTE
# Two alerts on a pump that no planted hazard explains are of one cause when they come so close. [A]
CLUSTER_MS = 15 * MS_PER_MINUTE
FALSE, COHORT = "", "cohort"


class Sought(Struct, frozen=True, kw_only=True):
    """A planted hazard as it really was. Times are the fleet's.

    From `from_ms` an alert may warn of it, from `onset_ms` it is there, at `end_ms` it is over.
    From `happens_ms` on its answers are no false alerts: what was planted really happened, however
    short; None when nothing of it ever did, because the pump refused it or somebody came before.
    `is_real` says whether it lasted as long as its definition asks. `earliest_ms` is the earliest
    moment the stream could have shown it; None when it never could.
    """

    hazard: str
    group: str
    urgency: int
    from_ms: int
    onset_ms: int
    end_ms: int
    earliest_ms: int | None
    happens_ms: int | None
    is_real: bool
    linger_ms: int
    answers: frozenset[str]
    follows: frozenset[str] = frozenset()

    @property
    def closes_ms(self) -> int:
        """Until when an alert still answers it."""
        return self.end_ms + self.linger_ms


class Found(Struct, frozen=True, kw_only=True):
    """How a hazard was found: by which rule, when, and when an answer was at high priority.

    `was_standing`: the alert was there already and still stood when the hazard came. `told_by` is
    the rule of the alert that listed this one as its consequence. `iu` is the dose given too much
    (or, below zero, too little) from the onset to the alert.
    """

    rule: str
    at_ms: int
    high_ms: int | None
    was_standing: bool = False
    told_by: str = ""
    iu: float = 0.0


class Judged(Struct, frozen=True, kw_only=True):
    """One alert and what caused it: the number of the planted hazard on this case, COHORT, FALSE.

    `reason` is the condition or the hazard's key; `cluster` numbers the cohort's causes.
    """

    rule: str
    pump: str
    at_ms: int
    priority: Priority
    cause: str
    reason: str = ""
    cluster: int = 0
    text: str = ""


Misgiven = Callable[[int, int], float]


class SystemCase(Struct, frozen=True, kw_only=True):
    """One case as one system saw it. `found` has one place for each sought hazard.

    `missed_iu` is what a hazard that was never found did to the dose until its end.
    """

    found: tuple[Found | None, ...]
    missed_iu: tuple[float, ...]
    alerts: tuple[Judged, ...]
    notices: int


def judge(
    sought: Sequence[Sought],
    alerts: Sequence[Raised],
    conditions: Conditions,
    misgiven: Misgiven,
    elsewhere: Sequence[Raised] = (),
) -> SystemCase:
    """Hold what one system said of a case against what was the matter with it.

    `misgiven` gives the dose in IU above or below the order between two times. `elsewhere` are
    alerts on other pumps that this case's hazards may have caused. A consequence that an alert
    lists is said by it, so it finds a hazard; as one alert less for the nurse it is not counted.
    """
    acting = [alert for alert in alerts if alert.raised_ms is not None]
    told = [each for alert in acting for each in alert.told]
    found = tuple(_find(one, [*acting, *told, *elsewhere], misgiven) for one in sought)
    return SystemCase(
        found=found,
        missed_iu=tuple(
            misgiven(one.onset_ms, one.end_ms) if hit is None and one.is_real else 0.0
            for one, hit in zip(sought, found, strict=True)
        ),
        alerts=_judged(sought, acting, conditions),
        notices=len(alerts) - len(acting),
    )


def _find(one: Sought, alerts: Sequence[Raised], misgiven: Misgiven) -> Found | None:
    """The first alert that answers a hazard; one that stood before counts when it is still there.

    An alert that came before the earliest moment and stood then is found at once: nothing new
    would be said.
    """
    fresh, standing = [], []
    for alert in alerts:
        if alert.rule not in one.answers or alert.raised_ms is None:
            continue
        if one.from_ms <= alert.raised_ms <= one.closes_ms:
            fresh.append(alert)
        elif alert.raised_ms < one.from_ms and (
            alert.cleared_ms is None or alert.cleared_ms > (one.earliest_ms or one.onset_ms)
        ):
            standing.append(alert)
    if fresh:
        # What is said by itself goes before what another alert lists.
        first = min(fresh, key=lambda alert: (alert.raised_ms or 0, alert.told_by, alert.rule))
        assert first.raised_ms is not None, "only those that were raised are looked at"
        highs = [
            alert.high_ms
            for alert in fresh
            if alert.high_ms is not None and alert.high_ms <= one.closes_ms
        ]
        iu = misgiven(one.onset_ms, first.raised_ms) if first.raised_ms > one.onset_ms else 0.0
        return Found(
            rule=first.rule,
            at_ms=first.raised_ms,
            high_ms=min(highs, default=None),
            told_by=first.told_by,
            iu=iu,
        )
    if standing:
        at_ms = one.earliest_ms or one.onset_ms
        high_ms = at_ms if any(alert.high_ms is not None for alert in standing) else None
        iu = misgiven(one.onset_ms, at_ms)
        return Found(
            rule=standing[0].rule,
            at_ms=at_ms,
            high_ms=high_ms,
            was_standing=True,
            told_by=standing[0].told_by,
            iu=iu,
        )
    return None


def _judged(
    sought: Sequence[Sought], alerts: Sequence[Raised], conditions: Conditions
) -> tuple[Judged, ...]:
    judged: list[Judged] = []
    cluster, last_ms = 0, -CLUSTER_MS
    for alert in sorted(alerts, key=lambda each: (each.raised_ms or 0, each.rule)):
        assert alert.raised_ms is not None, "only those that were raised are judged"
        cause, reason = _cause(alert.rule, alert.raised_ms, sought, conditions)
        if cause == COHORT:
            cluster += alert.raised_ms - last_ms > CLUSTER_MS
            last_ms = alert.raised_ms
        judged.append(
            Judged(
                rule=alert.rule,
                pump=alert.pump,
                at_ms=alert.raised_ms,
                priority=alert.priority,
                cause=cause,
                reason=reason,
                cluster=cluster if cause == COHORT else 0,
                text=alert.text,
            )
        )
    return tuple(judged)


def _cause(
    rule: str, at_ms: int, sought: Sequence[Sought], conditions: Conditions
) -> tuple[str, str]:
    """What caused an alert, and the reason: first what was planted, then what the cohort did."""
    near = [
        (number, one)
        for number, one in enumerate(sought)
        if one.happens_ms is not None
        and one.happens_ms - MS_PER_MINUTE <= at_ms <= max(one.closes_ms, one.end_ms + WAKE_MS)
    ]
    for number, one in near:
        if at_ms <= one.closes_ms and rule in one.answers | one.follows:
            return str(number), one.hazard
    reason = why(rule, at_ms, conditions)
    if not reason:
        return FALSE, ""
    return (str(near[0][0]) if near else COHORT), reason

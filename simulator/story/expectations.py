"""Holds what a monitor said against what a scenario expects of it.

Pure: alert changes in, complaints out. Times are those of the alerts themselves (device time).

A hazard counts as found when it has an alert of its own, and also when another alert lists it as
its consequence (`Alert.suppresses`): it was found then, and nobody was called twice for it. It is
found from `raised_ms`, or from the change that first lists it.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from infusion.alarms import Priority
from infusion.messages import Alert, AlertChange
from simulator.story.entries import Expectation
from simulator.story.plan import pump_number
from simulator.story.reading import Offset
from simulator.story.scenario import Scenario


class _Finding(Struct, frozen=True):
    """One hazard that was found on a pump, from `raised_ms` to `cleared_ms`.

    `under` is the rule of the alert that lists it, None where it is an alert itself; `priority` is
    the highest that the alert reached.
    """

    pump: str
    rule: str
    raised_ms: int
    cleared_ms: int | None
    priority: Priority
    under: str | None = None


class _Run(Struct, frozen=True):
    """What is judged, on what time. `is_over` says that the whole scenario has run."""

    found: list[_Finding]
    start_ms: int
    until_ms: int
    is_over: bool

    def is_due(self, offset: Offset) -> bool:
        return self.start_ms + offset.ms <= self.until_ms

    def clock(self, at_ms: int) -> str:
        is_before = at_ms < self.start_ms
        return "before the start" if is_before else str(Offset(at_ms - self.start_ms))


def judge(
    scenario: Scenario, changes: Iterable[AlertChange], start_ms: int, until_ms: int
) -> list[str]:
    """The expectations that were not met by `until_ms`, in words; an empty list is a pass.

    `changes` may come in any order and more than once. An expectation whose time has not come by
    `until_ms` is left out. With `quiet`, an alert on a pump on which none is expected is told too,
    but for a notice, which calls nobody.
    """
    run = _Run(
        found=_findings(changes),
        start_ms=start_ms,
        until_ms=until_ms,
        is_over=until_ms >= start_ms + scenario.header.duration.ms,
    )
    complaints = []
    for expectation in scenario.expectations:
        judged = _forbidden if expectation.never else _expected
        if run.is_due(expectation.raised[1]):
            complaints += judged(expectation, run)
    if scenario.header.quiet:
        loud = {pump_number(each.pump) for each in scenario.expectations if not each.never}
        complaints += [
            f"{each.pump}: {each.rule} was raised at {run.clock(each.raised_ms)}, "
            "but this pump was to stay quiet"
            for each in run.found
            if each.under is None
            and each.priority is not Priority.NOTICE
            and not _is_one_of(each.pump, loud)
        ]
    return complaints


def _findings(changes: Iterable[AlertChange]) -> list[_Finding]:
    """Every hazard that was found, in order of time."""
    versions: dict[str, dict[int, Alert]] = {}
    for change in changes:
        versions.setdefault(change.alert.id, {})[change.alert.version] = change.alert
    found = []
    for each in versions.values():
        alerts = [each[number] for number in sorted(each)]
        last = alerts[-1]
        worst = max((alert.priority for alert in alerts), key=lambda priority: priority.rank)
        found.append(_Finding(last.pump, last.rule, last.raised_ms, last.cleared_ms, worst))
        found += _listed(alerts, worst)
    return sorted(found, key=lambda each: (each.raised_ms, each.pump, each.rule))


def _listed(alerts: Sequence[Alert], worst: Priority) -> list[_Finding]:
    """What one alert listed as its consequences, each time from its first listing to its last."""
    found = []
    since_ms: dict[str, int] = {}
    for alert in alerts:
        listed = set(alert.suppresses) if alert.cleared_ms is None else set()
        for rule in alert.suppresses:
            since_ms.setdefault(rule, alert.changed_ms)
        for rule in sorted(since_ms.keys() - listed):
            begun_ms = since_ms.pop(rule)
            found.append(
                _Finding(alert.pump, rule, begun_ms, alert.changed_ms, worst, under=alert.rule)
            )
    last = alerts[-1]
    for rule, begun_ms in since_ms.items():
        found.append(_Finding(last.pump, rule, begun_ms, None, worst, under=last.rule))
    return found


def _of(expectation: Expectation, run: _Run) -> tuple[list[_Finding], list[_Finding]]:
    """The findings of the rule on the pump, and those of them that are in the window."""
    numbers = {pump_number(expectation.pump)}
    same = [
        each
        for each in run.found
        if each.rule == expectation.rule and _is_one_of(each.pump, numbers)
    ]
    first, last = expectation.raised
    return same, [each for each in same if first.ms <= each.raised_ms - run.start_ms <= last.ms]


def _forbidden(expectation: Expectation, run: _Run) -> list[str]:
    """What was raised although it never must."""
    first, last = expectation.raised
    return [
        f"{expectation.pump}: {expectation.rule} was raised at {run.clock(each.raised_ms)}"
        f"{_under(each)}, but never must be between {first} and {last}"
        for each in _of(expectation, run)[1]
    ]


def _expected(expectation: Expectation, run: _Run) -> list[str]:
    first, last = expectation.raised
    what = f"{expectation.pump}: {expectation.rule}"
    window = f"between {first} and {last}"
    same, hits = _of(expectation, run)
    if not hits:
        others = ", ".join(run.clock(each.raised_ms) + _under(each) for each in same)
        return [f"{what} was not raised {window}" + (f", but at {others}" if others else "")]
    # Where there is an alert of its own, that one tells how the hazard was taken and ended.
    hits = [each for each in hits if each.under is None] or hits
    complaints = []
    wrong = _priority_wrong(expectation.priority, hits, run)
    if wrong:
        complaints.append(f"{what} was raised {window}, but {wrong}")
    limit = expectation.cleared_by
    if limit is None or not run.is_due(limit):
        return complaints
    cleared = [each.cleared_ms for each in hits if each.cleared_ms is not None]
    if not any(at_ms - run.start_ms <= limit.ms for at_ms in cleared):
        found = f"cleared only at {run.clock(cleared[0])}" if cleared else "never cleared"
        complaints.append(f"{what} was raised {window}, but {found}; expected by {limit}")
    return complaints


def _priority_wrong(expected: Priority | None, hits: list[_Finding], run: _Run) -> str:
    """Why no hit has the priority that is expected; "" where one has, or may still come to it.

    An alert must reach it and not more. What is listed as a consequence has no priority of its
    own: the alert that lists it must be at least as urgent.
    """
    if expected is None:
        return ""
    for each in hits:
        enough = each.priority.rank >= expected.rank
        if each.priority is expected or (each.under is not None and enough):
            return ""
        if not enough and each.cleared_ms is None and not run.is_over:
            return ""
    return f"at priority {hits[0].priority}{_under(hits[0])}; expected {expected}"


def _under(finding: _Finding) -> str:
    return "" if finding.under is None else f" (under {finding.under})"


def _is_one_of(pump: str, numbers: set[int]) -> bool:
    """Names of any width name the same pump; what is no pump's name is none of them."""
    return pump.startswith("P-") and pump[2:].isdecimal() and int(pump[2:]) in numbers

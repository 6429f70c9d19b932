"""Holds what a monitor said against what a scenario expects of it.

Pure: alert changes in, complaints out. Times are those of the alerts themselves (device time).
"""

from collections.abc import Iterable

from infusion.messages import AlertChange
from simulator.story.entries import Expectation
from simulator.story.plan import pump_number
from simulator.story.reading import Offset
from simulator.story.scenario import Scenario


class _Seen:
    """One alert as it stands after the last of its changes."""

    def __init__(self, change: AlertChange) -> None:
        self.rule = change.alert.rule
        self.pump = change.alert.pump
        self.raised_ms = change.alert.raised_ms
        self.version = change.alert.version
        self.cleared_ms = change.alert.cleared_ms


def judge(
    scenario: Scenario, changes: Iterable[AlertChange], start_ms: int, until_ms: int
) -> list[str]:
    """The expectations that were not met by `until_ms`, in words; an empty list is a pass.

    `changes` may come in any order and more than once. An expectation whose time has not come by
    `until_ms` is left out. With `quiet`, an alert on a pump that no expectation names is told too.
    """
    seen: dict[str, _Seen] = {}
    for change in changes:
        before = seen.get(change.alert.id)
        if before is None or change.alert.version > before.version:
            seen[change.alert.id] = _Seen(change)
    alerts = sorted(seen.values(), key=lambda alert: (alert.raised_ms, alert.pump, alert.rule))
    complaints = []
    for expectation in scenario.expectations:
        complaint = _complaint(expectation, alerts, start_ms, until_ms)
        if complaint is not None:
            complaints.append(complaint)
    if scenario.header.quiet:
        named = {pump_number(expectation.pump) for expectation in scenario.expectations}
        complaints += [
            f"{alert.pump}: {alert.rule} was raised at {_clock(alert.raised_ms, start_ms)}, "
            "but this pump was to stay quiet"
            for alert in alerts
            if not _is_one_of(alert.pump, named)
        ]
    return complaints


def _complaint(
    expectation: Expectation, alerts: list[_Seen], start_ms: int, until_ms: int
) -> str | None:
    first, last = expectation.raised
    if start_ms + last.ms > until_ms:
        return None
    what = f"{expectation.pump}: {expectation.rule}"
    window = f"between {first} and {last}"
    same = [
        alert
        for alert in alerts
        if alert.rule == expectation.rule
        and _is_one_of(alert.pump, {pump_number(expectation.pump)})
    ]
    hits = [alert for alert in same if first.ms <= alert.raised_ms - start_ms <= last.ms]
    if not hits:
        others = ", ".join(_clock(alert.raised_ms, start_ms) for alert in same)
        return f"{what} was not raised {window}" + (f", but at {others}" if others else "")
    limit = expectation.cleared_by
    if limit is None or start_ms + limit.ms > until_ms:
        return None
    for alert in hits:
        if alert.cleared_ms is not None and alert.cleared_ms - start_ms <= limit.ms:
            return None
    cleared = [alert.cleared_ms for alert in hits if alert.cleared_ms is not None]
    found = f"cleared only at {_clock(cleared[0], start_ms)}" if cleared else "never cleared"
    return f"{what} was raised {window}, but {found}; expected by {limit}"


def _is_one_of(pump: str, numbers: set[int]) -> bool:
    """Names of any width name the same pump; what is no pump's name is none of them."""
    return pump.startswith("P-") and pump[2:].isdecimal() and int(pump[2:]) in numbers


def _clock(at_ms: int, start_ms: int) -> str:
    return str(Offset(at_ms - start_ms)) if at_ms >= start_ms else "before the start"

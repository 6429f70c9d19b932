"""What a monitor, or a baseline, said of the pumps of a block: one record for each alert."""

from collections.abc import Callable, Iterable

from msgspec import Struct, field

from infusion.alarms import Priority
from infusion.messages import AlertChange
from infusion.words import explain


class Raised(Struct, kw_only=True):
    """One alert. Times are those of receipt, on the fleet's clock.

    `raised_ms` is when it was first said at a priority that asks somebody to act; None for a mere
    notice. `priority` is the highest it reached, `high_ms` when that was high. `told` are the
    consequences that it lists in place of alerts of their own: each as if it had been raised when
    it was listed and cleared when it no longer was, with `told_by` the rule that lists it.
    """

    rule: str
    pump: str
    first_ms: int
    priority: Priority
    raised_ms: int | None = None
    high_ms: int | None = None
    cleared_ms: int | None = None
    version: int = 1
    text: str = ""
    told_by: str = ""
    told: list["Raised"] = field(default_factory=list)

    def rise(self, priority: Priority, now_ms: int) -> None:
        """The alert has this priority now."""
        if priority.rank > self.priority.rank:
            self.priority = priority
        if priority.rank >= Priority.LOW.rank and self.raised_ms is None:
            self.raised_ms = now_ms
        if priority is Priority.HIGH and self.high_ms is None:
            self.high_ms = now_ms

    def tell(self, rules: Iterable[str], priority: Priority, now_ms: int) -> None:
        """These are the consequences that it lists now, at a priority."""
        listed = set(rules)
        for known in self.told:
            if known.cleared_ms is not None:
                continue
            if known.rule in listed:
                known.rise(priority, now_ms)
                listed.discard(known.rule)
            else:
                known.cleared_ms = now_ms
        for rule in sorted(listed):
            fresh = Raised(
                rule=rule, pump=self.pump, first_ms=now_ms, priority=priority, told_by=self.rule
            )
            fresh.rise(priority, now_ms)
            self.told.append(fresh)


class Ledger:
    """The alerts of one system, by id; `keys` are the rules that count, all when it is None."""

    def __init__(self, keys: frozenset[str] | None = None) -> None:
        self.alerts: dict[str, Raised] = {}
        # Told of every change, for the timeline of one case.
        self.listener: Callable[[str, object, int], None] | None = None
        self._keys = keys

    def take(self, changes: Iterable[AlertChange], now_ms: int) -> None:
        """Changes that came out at a time."""
        for change in changes:
            alert = change.alert
            if self._keys is not None and alert.rule not in self._keys:
                continue
            if self.listener is not None:
                self.listener("change", change, now_ms)
            self.note(alert.id, alert.rule, alert.pump, alert.priority, now_ms)
            known = self.alerts[alert.id]
            known.version = alert.version
            known.text = explain(alert.evidence)
            listed = alert.suppresses if alert.state == "raised" else ()
            if self._keys is not None:
                listed = tuple(rule for rule in listed if rule in self._keys)
            known.tell(listed, alert.priority, now_ms)
            if alert.state == "cleared" and known.cleared_ms is None:
                known.cleared_ms = now_ms

    def note(self, id_: str, rule: str, pump: str, priority: Priority, now_ms: int) -> None:
        """An alert is there at a priority; the first time, it begins."""
        known = self.alerts.get(id_)
        if known is None:
            known = self.alerts[id_] = Raised(
                rule=rule, pump=pump, first_ms=now_ms, priority=priority
            )
        known.rise(priority, now_ms)

    def of(self, pump: str) -> list[Raised]:
        """The alerts of one pump, in order of time."""
        found = [alert for alert in self.alerts.values() if alert.pump == pump]
        return sorted(found, key=lambda alert: (alert.first_ms, alert.rule))

"""Whether anything new was said since a pump was last looked at, so that a look costs little.

Nearly all looks come with the minute, and nothing but numbers has changed by then. Then only those
rules are asked that numbers or time can bring to hold, and those whose hazard was there at the
last look (the board has a track of it). The rules on laboratory and care (`clinic`) are asked when
the level in the blood was carried on, and at the instants that their calendar names.

What is kept here follows from the state: after a restart the first look at each pump is a whole
one.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from infusion.advice import next_care_ms
from infusion.allowed import FOREVER_MS
from infusion.board import Track
from infusion.care_calendar import OUT_MS
from infusion.clinical import LabResult, Report
from infusion.handling import Handling
from infusion.record import Order
from infusion.rules import Rule, is_clinical
from infusion.situation import Situation, Verdict


class _Last(Struct):
    """What the last look was at; the clinic is looked at next at `care_ms` of the order's time."""

    handling: Handling
    order: Order | None
    results: list[LabResult] | None
    reports: list[Report] | None
    level_ms: int
    care_ms: int


class Looks:
    """The last look at each pump of one partition, by `site/pump`."""

    def __init__(self) -> None:
        self._last: dict[str, _Last] = {}

    def forget(self, name: str) -> None:
        """The next look at a pump is a whole one."""
        self._last.pop(name, None)

    def news(
        self, name: str, now: Situation, handling: Handling, has_news: bool
    ) -> tuple[bool, bool]:
        """Whether there is news of a pump, which `has_news` says already, and of its clinic."""
        last, record = self._last.get(name), now.record
        if has_news or last is None or last.handling is not handling:
            return True, True
        if record is None:
            is_same = last.results is None
        else:
            is_same = (
                last.order is record.order
                and last.results is record.results
                and last.reports is record.reports
            )
        if not is_same:
            return True, True
        return False, last.level_ms != now.state.level.at_ms or now.order_ms >= last.care_ms

    def keep(self, name: str, now: Situation, handling: Handling) -> None:
        """The clinic was looked at, with everything that is new."""
        record = now.record
        self._last[name] = _Last(
            handling=handling,
            order=record.order if record is not None else None,
            results=record.results if record is not None else None,
            reports=record.reports if record is not None else None,
            level_ms=now.state.level.at_ms,
            care_ms=_care_ms(now),
        )

    def settle(
        self,
        name: str,
        found: Iterable[tuple[Rule, Verdict]],
        tracks: Mapping[str, Track],
        handling: Handling,
    ) -> None:
        """After a look: a hazard that is there and has no track would not be looked for again."""
        for rule, _ in found:
            if rule.key not in tracks and rule.key in handling.rules:
                self.forget(name)
                return


def _care_ms(now: Situation) -> int:
    """The next instant at which time alone changes what rules on laboratory and care say."""
    record = now.record
    if record is None or not is_clinical(record, now.limits):
        return FOREVER_MS
    due_ms = next_care_ms(record, now.limits, now.order_ms) or FOREVER_MS
    # Heparin is out of the blood so long after the pump stopped.
    out_ms = now.state.standing_ms + OUT_MS + now.order_ms - now.at_ms
    return min(due_ms, out_ms) if out_ms > now.order_ms else due_ms

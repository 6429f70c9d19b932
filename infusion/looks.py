"""Whether anything new was said since a pump was last looked at, so that a look costs little.

Nearly all looks come with the minute, and nothing but numbers has changed by then. Then only those
rules are asked that numbers or time can bring to hold, and those whose hazard was there at the
last look (the board has a track of it). Of the rules on laboratory and care those that hang on the
level in the blood are asked when it was carried on, all at the instants that the calendar names;
those that tell what a watch on the numbers shows, while one shows something.

What is kept here follows from the state: after a restart the first look at each pump is a whole
one.
"""

from collections.abc import Iterable, Mapping
from itertools import product

from msgspec import Struct

from infusion import pressure
from infusion.advice import next_care_ms
from infusion.allowed import FOREVER_MS
from infusion.board import Track
from infusion.care_calendar import OUT_MS
from infusion.clinical import LabResult, Report
from infusion.handling import Handling
from infusion.record import Order, Record
from infusion.rules import EVERYTHING, News, Rule, is_clinical
from infusion.rules.technical import stands_still
from infusion.situation import Situation, Verdict

# All there is without news of the pump, by what is new of the clinic and of the level, and by
# whether a watch shows something.
_LITTLE = {
    (of_clinic, of_level, of_watch): News(
        of_pump=False, of_clinic=of_clinic, of_level=of_level, of_watch=of_watch
    )
    for of_clinic, of_level, of_watch in product((False, True), repeat=3)
}


class _Last(Struct, gc=False):
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

    def news(self, name: str, now: Situation, handling: Handling, has_news: bool) -> News:
        """What is new of a pump; `has_news` says that its messages, its order or a person told."""
        last, record, level_ms = self._last.get(name), now.record, now.state.level.at_ms
        if has_news or last is None or last.handling is not handling or not _is_of(last, record):
            self._last[name] = _Last(
                handling=handling,
                order=record.order if record is not None else None,
                results=record.results if record is not None else None,
                reports=record.reports if record is not None else None,
                level_ms=level_ms,
                care_ms=_care_ms(now),
            )
            return EVERYTHING
        has_level = last.level_ms != level_ms
        if now.order_ms >= last.care_ms:
            last.level_ms, last.care_ms = level_ms, _care_ms(now)
            return _LITTLE[True, True, _shows(now)]
        if has_level:
            last.level_ms = level_ms
        return _LITTLE[False, has_level, _shows(now)]

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


def _shows(now: Situation) -> bool:
    """Whether one of the watches on a pump's numbers shows something: what `watched` rules tell."""
    flow = now.state.flow
    return (
        flow.over.total_iu > flow.step_iu
        or flow.under.total_iu > flow.step_iu
        or pressure.shows(now.state.pressure)
        or stands_still(now.state, now.limits)
    )


def _is_of(last: _Last, record: Record | None) -> bool:
    """Whether nothing came to the record of a pump's therapy since."""
    if record is None:
        return last.results is None
    return (
        last.order is record.order
        and last.results is record.results
        and last.reports is record.reports
    )


def _care_ms(now: Situation) -> int:
    """The next instant at which time alone changes what rules on laboratory and care say."""
    record = now.record
    if record is None or not is_clinical(record, now.limits):
        return FOREVER_MS
    due_ms = next_care_ms(record, now.limits, now.order_ms) or FOREVER_MS
    # Heparin is out of the blood so long after the pump stopped.
    out_ms = now.state.standing_ms + OUT_MS + now.order_ms - now.at_ms
    return min(due_ms, out_ms) if out_ms > now.order_ms else due_ms

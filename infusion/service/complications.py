"""Complications as a record: what was reported, since when, how often, whether it is over.

Reports are words of people (infusion/report_words.py). Those that are about the same thing make
one event: it begins with the first, goes on with each further one, and ends with a report that it
is over; after that it is another event. Nothing ends by silence. The rules of the monitor raise the
alerts; this is what is kept, and what to do next comes from the guide. For testing and training
only.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from infusion.alarms import Priority
from infusion.clinical import Report
from infusion.report_words import Said, read_words

Severity = Literal["sign-of-danger", "needs-a-call", "watch"]
PRIORITIES: dict[Severity, Priority] = {
    "sign-of-danger": Priority.HIGH,
    "needs-a-call": Priority.MEDIUM,
    "watch": Priority.LOW,
}

# The topics that the guide has a page for, by the words that speak of them; the first that fits
# counts, the most dangerous first [A].
_TOPICS: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "clot",
        frozenset(
            ["thrombosis", "thrombus", "clot", "embolism", "necrosis", "chest", "breathlessness"]
        ),
    ),
    ("stroke", frozenset(["stroke", "collapse", "unconscious", "confusion", "confused"])),
    ("allergy", frozenset(["anaphylaxis", "allergy", "allergic", "hives", "itching", "rash"])),
    ("sepsis", frozenset(["fever", "chills", "shivering"])),
    ("fall", frozenset(["fall", "fell", "headache"])),
    (
        "catheter",
        frozenset(["return", "dislodged", "disconnected", "leak", "leaking", "leakage", "wet"]),
    ),
    (
        "site",
        frozenset(
            [
                "redness",
                "red",
                "swelling",
                "swollen",
                "pain",
                "painful",
                "pus",
                "infection",
                "infected",
                "phlebitis",
                "infiltration",
                "extravasation",
            ]
        ),
    ),
)
_EVENTS = ("bleeding", "bruising", "complication", "hospital", "other")


class AdverseEvent(Struct, frozen=True, kw_only=True):
    """One event. `reports` are the names of the reports that tell of it, oldest first; `over_ms`
    None while nobody said that it is over."""

    topic: str
    severity: Severity
    began_ms: int
    last_ms: int
    over_ms: int | None
    words: tuple[str, ...]
    by: tuple[str, ...]
    reports: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether it goes on as far as anybody said."""
        return self.over_ms is None


def topic_of(what: str) -> str | None:
    """What a report's words are about: a page of the guide, or None for no complaint."""
    said = read_words(what)
    if said.kind not in _EVENTS:
        return None
    if said.kind != "complication":
        return said.kind
    found = (topic for topic, words in _TOPICS if said.topic & words)
    return next(found, "other")


def adverse_events(reports: Iterable[Report]) -> tuple[AdverseEvent, ...]:
    """The events that reports tell of, in the order in which they began."""
    found: list[AdverseEvent] = []
    open_: dict[str, int] = {}
    for report in sorted(reports, key=lambda each: (each.time_ms, each.report)):
        topic = topic_of(report.what)
        if topic is None:
            continue
        said = read_words(report.what)
        index = open_.get(topic)
        if said.is_over:
            if index is not None:
                found[index] = _told_again(found[index], report, said, is_over=True)
                del open_[topic]
        elif index is not None:
            found[index] = _told_again(found[index], report, said, is_over=False)
        else:
            open_[topic] = len(found)
            found.append(
                AdverseEvent(
                    topic=topic,
                    severity=_severity(said),
                    began_ms=report.time_ms,
                    last_ms=report.time_ms,
                    over_ms=None,
                    words=(report.what,),
                    by=(report.by,),
                    reports=(report.report,),
                )
            )
    return tuple(found)


def _told_again(event: AdverseEvent, report: Report, said: Said, *, is_over: bool) -> AdverseEvent:
    worse = max((event.severity, _severity(said)), key=lambda each: PRIORITIES[each].rank)
    return AdverseEvent(
        topic=event.topic,
        severity=event.severity if is_over else worse,
        began_ms=event.began_ms,
        last_ms=report.time_ms,
        over_ms=report.time_ms if is_over else None,
        words=(*event.words, *(() if report.what in event.words else (report.what,))),
        by=(*event.by, *(() if report.by in event.by else (report.by,))),
        reports=(*event.reports, report.report),
    )


def _severity(said: Said) -> Severity:
    """As urgent as the monitor's alert of it (infusion/rules/care.py)."""
    if said.kind == "bleeding" or said.is_severe:
        return "sign-of-danger"
    return "needs-a-call" if said.kind in ("bruising", "complication") else "watch"

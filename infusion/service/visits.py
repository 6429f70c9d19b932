"""What is due in the care of a therapy: visits, calls, dressings, teaching, laboratory, deliveries.

The laboratory's part is the monitor's own calendar (infusion/care_calendar.py), so that a work list
and an alert never disagree about when a level is missed. What the service does is a list of duties
in `config/care/`: each is due so long after the start, then so long after it was done last, and
reports say that it was done. For testing and training only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.care_calendar import Due, goes_on, level_due, planned_due, platelets_due
from infusion.clinical import Report
from infusion.errors import ConfigError
from infusion.prescription import TimeMs
from infusion.record import Record, results_of
from infusion.report_words import read_words
from infusion.service.supplies import Delivery, Plan, late_ms
from infusion.settings import load_toml
from infusion.tables import read_table
from infusion.thresholds import Thresholds
from infusion.units import MS_PER_HOUR

Hours = Annotated[float, Meta(ge=0, le=8_784)]
Key = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")]
Sentence = Annotated[str, Meta(min_length=1, max_length=200)]
Word = Annotated[str, Meta(pattern=r"^[a-z]{2,32}$")]
# Haemoglobin weekly (Michigan [V]), a day late is missed [A].
HAEMOGLOBIN_EVERY_H, HAEMOGLOBIN_LATE_H = 168.0, 24.0


class Duty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that the service does, once or again and again; `said` are the words of a report
    that tells that it was done."""

    key: Key
    name: Sentence
    kind: Literal["visit", "call"]
    role: Literal["nurse", "pharmacist", "care-coordinator"]
    first_h: Hours
    every_h: Hours | None = None
    late_h: Hours
    said: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=8)]


class Teach(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that somebody at home must be able to show."""

    key: Key
    topic: Literal["hygiene", "pump", "symptoms", "help"]
    shows: Sentence


class CarePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The duties and the teach-back list; read from `config/care/*.toml`."""

    name: Sentence
    duty: tuple[Duty, ...]
    teach: tuple[Teach, ...]


class Shown(Struct, frozen=True, kw_only=True):
    """What somebody showed, or could not: to whom, and when. The newest of a key holds."""

    key: Key
    who: Sentence
    to: Sentence
    at_ms: TimeMs
    is_able: bool


class Task(Struct, frozen=True, kw_only=True):
    """One thing to be done for one therapy: when, by whom, and from when on it is missed."""

    therapy: str
    key: str
    name: str
    kind: Literal["visit", "call", "laboratory", "delivery"]
    role: str
    due_ms: int
    overdue_ms: int

    def state(self, now_ms: int) -> Literal["overdue", "due", "coming"]:
        """How it stands."""
        if now_ms >= self.overdue_ms:
            return "overdue"
        return "due" if now_ms >= self.due_ms else "coming"


def read_care_plan(data: bytes, name: str) -> CarePlan:
    """The care plan in the bytes of a TOML file called `name`.

    Raises ConfigError that names the file and the table: a bad value, a key that is there twice.
    """
    document = load_toml(data, name)
    for section, kind in (("duty", Duty), ("teach", Teach)):
        tables = document.get(section)
        if not isinstance(tables, list) or not tables:
            raise ConfigError(f"{name}: there is no [[{section}]]; write one table for each")
        document[section] = tuple(
            read_table(kind, table, f"{name}: [[{section}]] {number}")
            for number, table in enumerate(tables, start=1)
        )
        keys = [table["key"] for table in tables]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ConfigError(f"{name}: [[{section}]]: the key {twice!r} is there twice")
    return read_table(CarePlan, document, name)


def tasks_of(
    record: Record,
    plan: CarePlan,
    limits: Thresholds,
    now_ms: int,
    *,
    deliveries: Sequence[Delivery] = (),
    supplies: Plan | None = None,
) -> tuple[Task, ...]:
    """What is to be done next for a therapy, the most urgent first: of each thing the next time.

    Nothing but what was planned before an order, and nothing any more once heparin is over. Times
    are on the order's clock, and `now_ms` is one.
    """
    found = [] if supplies is None else _deliveries(record.therapy, deliveries, supplies)
    found += _planned(record, limits)
    order = record.order
    if order is not None and goes_on(order.timeline, now_ms):
        start_ms = order.timeline.times_ms[0]
        found += _duties(record, plan, start_ms)
        found += _laboratory(record, limits, start_ms, now_ms)
    return tuple(sorted(found, key=_urgency))


def work_list(tasks: Iterable[Task], from_ms: int, to_ms: int) -> tuple[Task, ...]:
    """The work of a span of time over all patients: what falls due in it, and what is still open
    from before; what is missed first."""
    mine = (task for task in tasks if task.due_ms < to_ms)
    return tuple(sorted(mine, key=lambda task: rank(task, from_ms)))


def rank(task: Task, now_ms: int) -> tuple[bool, int, str, str]:
    """What work is in order of: the missed first, then by time, therapy and key."""
    return (task.state(now_ms) != "overdue", *_urgency(task))


def open_teaching(plan: CarePlan, shown: Iterable[Shown]) -> tuple[Teach, ...]:
    """What nobody has shown yet, or somebody could not when it was asked last."""
    able: dict[str, bool] = {}
    for each in sorted(shown, key=lambda one: one.at_ms):
        able[each.key] = each.is_able
    return tuple(teach for teach in plan.teach if not able.get(teach.key))


# --- small things ---------------------------------------------------------------------------------


def _urgency(task: Task) -> tuple[int, str, str]:
    return task.due_ms, task.therapy, task.key


def _duties(record: Record, plan: CarePlan, start_ms: int) -> list[Task]:
    found: list[Task] = []
    for duty in plan.duty:
        done_ms = _done_ms(duty, record.reports, start_ms)
        if done_ms is None:
            due_ms = start_ms + _ms(duty.first_h)
        elif duty.every_h is not None:
            due_ms = done_ms + _ms(duty.every_h)
        else:
            continue
        found.append(
            Task(
                therapy=record.therapy,
                key=duty.key,
                name=duty.name,
                kind=duty.kind,
                role=duty.role,
                due_ms=due_ms,
                overdue_ms=due_ms + _ms(duty.late_h),
            )
        )
    return found


def _planned(record: Record, limits: Thresholds) -> list[Task]:
    """Visits and deliveries that somebody planned in a report: those of which alerts are raised."""
    visit = planned_due(record, "visit", limits)
    delivery = planned_due(record, "supplies", limits)
    found: list[Task] = []
    if visit is not None:
        found.append(
            Task(
                therapy=record.therapy,
                key="planned-visit",
                name="planned visit",
                kind="visit",
                role="nurse",
                due_ms=visit.due_ms,
                overdue_ms=visit.overdue_ms,
            )
        )
    if delivery is not None:
        found.append(
            Task(
                therapy=record.therapy,
                key="planned-delivery",
                name="planned delivery",
                kind="delivery",
                role="care-coordinator",
                due_ms=delivery.due_ms,
                overdue_ms=delivery.overdue_ms,
            )
        )
    return found


# Who comes for the start may come a little before it [A].
_EARLY_MS = 12 * MS_PER_HOUR


def _done_ms(duty: Duty, reports: Sequence[Report], start_ms: int) -> int | None:
    """When it was done last; a plan, or a word that it was not done, is not doing it."""
    for report in reversed(reports):
        said = read_words(report.what)
        if report.time_ms < start_ms - _EARLY_MS:
            break
        if said.kind not in ("visit", "none") or said.is_over:
            continue
        # A dressing is changed at a visit, so a visit is told by it as well.
        words = said.topic | ({"visit"} if said.kind == "visit" else frozenset())
        if words & set(duty.said):
            return report.time_ms
    return None


def _laboratory(record: Record, limits: Thresholds, start_ms: int, now_ms: int) -> list[Task]:
    counts = results_of(record, "haemoglobin")
    last_ms = counts[-1].drawn_ms if counts else start_ms
    due_ms = last_ms + _ms(HAEMOGLOBIN_EVERY_H)
    haemoglobin = Due(due_ms, due_ms + _ms(HAEMOGLOBIN_LATE_H))
    dues: Mapping[str, Due | None] = {
        "level": level_due(record, limits, now_ms),
        "platelets": platelets_due(record, limits, now_ms),
        "haemoglobin": haemoglobin,
    }
    names = {"level": "level of heparin: anti-Xa or aPTT", "platelets": "platelet count"}
    return [
        Task(
            therapy=record.therapy,
            key=key,
            name=names.get(key, key),
            kind="laboratory",
            role="nurse",
            due_ms=due.due_ms,
            overdue_ms=due.overdue_ms,
        )
        for key, due in dues.items()
        if due is not None
    ]


def _deliveries(therapy: str, deliveries: Sequence[Delivery], plan: Plan) -> list[Task]:
    return [
        Task(
            therapy=therapy,
            key=f"delivery-{each.item}",
            name=f"delivery: {each.amount:g} of {each.item}",
            kind="delivery",
            role="care-coordinator",
            due_ms=each.due_ms,
            overdue_ms=late_ms(each, plan),
        )
        for each in deliveries
        if each.arrived_ms is None
    ]


def _ms(hours: float) -> int:
    return round(hours * MS_PER_HOUR)

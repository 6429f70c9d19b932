"""The work of the service over all patients, and what is done at home about alarms."""

from typing import Annotated

from msgspec import Meta, Struct

from infusion.service.guide import Page
from infusion.service.visits import Task, rank, tasks_of, work_list
from infusion.units import MS_PER_HOUR
from monitor.web.api.office import Office
from monitor.web.operations import PREFIX, Call, Nothing, Operation, Site

HOURS_MAX = 744
# A screen of it is read; of more the first are told, the missed among them.
TASKS_MAX = 500


class WorkQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """How far ahead, and of which site."""

    hours: Annotated[int, Meta(ge=0, le=HOURS_MAX, description="24 if left out")] = 24
    site: Site = ""


class WorkTask(Struct, frozen=True):
    """One thing to be done. `pump` is the one that the therapy's order names, empty without an
    order; `state` is overdue, due or coming. Times are on the order's clock."""

    site: str
    pump: str
    state: str
    task: Task


class Work(Struct, frozen=True):
    """What falls due within so many hours and what is open from before, the missed first.

    `is_whole` says that nothing was left out for its number.
    """

    now_ms: int
    hours: int
    items: list[WorkTask]
    is_whole: bool


class GuidePage(Struct, frozen=True):
    """What to do at home about one alarm or complaint, by its key."""

    key: str
    kind: str
    page: Page


class GuideWords(Struct, frozen=True):
    """All pages, alarms first; `emergency` and `on_call` stand above them."""

    emergency: str
    on_call: str
    items: list[GuidePage]


async def list_work(office: Office, call: Call[WorkQuery]) -> Work:
    """What is due in the care of all patients: visits, calls, laboratory, deliveries."""
    ward, query = office.ward, call.given
    now_ms, plan = ward.now_ms(), ward.references.care
    found: list[WorkTask] = []
    for key, record in ward.monitor.therapies.records.items():
        site = key.split("/")[0]
        if plan is None or query.site not in ("", site):
            continue
        pump = record.order.prescription.pump if record.order is not None else ""
        handling = ward.references.policy.handling(site, record.therapy, now_ms)
        tasks = tasks_of(record, plan, handling.thresholds, now_ms)
        until_ms = now_ms + query.hours * MS_PER_HOUR
        found += [
            WorkTask(site, pump, task.state(now_ms), task)
            for task in work_list(tasks, now_ms, until_ms)
        ]
    found.sort(key=lambda each: (rank(each.task, now_ms), each.site))
    return Work(
        now_ms=now_ms,
        hours=query.hours,
        items=found[:TASKS_MAX],
        is_whole=len(found) <= TASKS_MAX,
    )


async def show_guide(office: Office, _call: Call[Nothing]) -> GuideWords:
    """What to do at home about each alarm of a pump and each complaint, in plain words."""
    guide = office.ward.references.guide
    if guide is None:
        return GuideWords("", "", [])
    items = [GuidePage(key, "alarm", page) for key, page in guide.alarm.items()]
    items += [GuidePage(key, "complaint", page) for key, page in guide.complaint.items()]
    return GuideWords(guide.emergency, guide.on_call, items)


OPERATIONS = (
    Operation(method="GET", path=f"{PREFIX}/work", handler=list_work, query=WorkQuery, answer=Work),
    Operation(method="GET", path=f"{PREFIX}/guide", handler=show_guide, answer=GuideWords),
)

"""`dripwatch work`: what is due in the care of all patients of a store, the missed first."""

import sys
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from dripwatch.view import NOTICE
from host.process import read_named, report
from infusion.errors import DripwatchError
from infusion.service.days import local_text
from infusion.service.visits import CarePlan, Task, read_care_plan, tasks_of, work_list
from infusion.units import MS_PER_HOUR
from monitor.kept_evidence import read_records
from monitor.references import References, read_references
from monitor.zones import offsets

CARE_PLAN = "home-heparin"
HOURS = 24.0


class Line(Struct, frozen=True, kw_only=True):
    """One task as `--json` gives it: how it stands, and its times in Unix milliseconds."""

    state: str
    therapy: str
    key: str
    name: str
    kind: str
    role: str
    due_ms: int
    overdue_ms: int


@click.command("work", epilog=NOTICE)
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--hours", type=click.FloatRange(min=0, max=744), default=HOURS, show_default=True)
@click.option("--zone", metavar="ZONE", default="UTC", help="where the patients live (UTC)")
@click.option("--care", metavar="NAME|FILE", default=CARE_PLAN, help="config/care (home-heparin)")
@click.option("--alerts", metavar="NAME|FILE", default="alerts", help="config/alerts.toml, a file")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
def command(*, store: Path, hours: float, zone: str, care: str, alerts: str, as_json: bool) -> None:
    """What is due in the next HOURS for all patients, and what is missed.

    Now is the newest instant that a pump of the store told of.
    """
    try:
        local = offsets(zone)
        plan = read_care_plan(*read_named(care, "care"))
        references = read_references(alerts)
        tasks, now_ms = work_of(store, plan, references, hours)
    except DripwatchError as error:
        sys.exit(report(error))
    if as_json:
        for task in tasks:
            click.echo(msgspec.json.encode(_line(task, now_ms)))
        return
    width = max((len(task.therapy) for task in tasks), default=0)
    for task in tasks:
        when = local_text(task.due_ms, local)
        click.echo(
            f"{task.state(now_ms):<8} {when}  {task.therapy:<{width}}  {task.role:<16} {task.name}"
        )
    missed = sum(task.state(now_ms) == "overdue" for task in tasks)
    patients = len({task.therapy for task in tasks})
    click.echo(f"{len(tasks)} tasks for {patients} patients, {missed} of them missed")


def work_of(
    store: Path, plan: CarePlan, references: References, hours: float
) -> tuple[tuple[Task, ...], int]:
    """The tasks of a store that fall due within so many hours or are open, and the store's now.

    Raises StoreError where the file is no store.
    """
    records, now_ms = read_records(store)
    tasks: list[Task] = []
    for key, record in records.items():
        handling = references.policy.handling(key.split("/")[0], record.therapy, now_ms)
        tasks += tasks_of(record, plan, handling.thresholds, now_ms)
    return work_list(tasks, now_ms, now_ms + round(hours * MS_PER_HOUR)), now_ms


def _line(task: Task, now_ms: int) -> Line:
    return Line(
        state=task.state(now_ms),
        therapy=task.therapy,
        key=task.key,
        name=task.name,
        kind=task.kind,
        role=task.role,
        due_ms=task.due_ms,
        overdue_ms=task.overdue_ms,
    )

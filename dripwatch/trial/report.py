"""What a trial found, for a terminal, as Markdown, and as one JSON document."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from dripwatch.trial.draw import TrialSettings
from dripwatch.trial.hazards import HAZARDS
from dripwatch.trial.listeners import DEVICE, GIP, MONITOR, PREVIOUS, Baselines
from dripwatch.trial.pool import TrialRun
from dripwatch.trial.score import (
    HazardScore,
    Miss,
    SystemScore,
    failures,
    false_alerts,
    misses,
    score,
)
from dripwatch.trial.timeline import clock
from infusion.units import MS_PER_HOUR

SCHEMA = "dripwatch-trial/1"
NAMES = {
    MONITOR: "dripwatch",
    PREVIOUS: "previous release",
    GIP: "fixed thresholds (GIP)",
    DEVICE: "pumps alone",
}
FALSE_MAX = 500
TOLD_MAX = 20


class FalseAlert(Struct, frozen=True, kw_only=True):
    """One alert that nothing explains; `at` counts from the start of the story."""

    case: int
    at: str
    rule: str
    priority: str
    reason: str


class Report(Struct, frozen=True, kw_only=True):
    """A whole trial as `--json` writes it. docs/detection.md says what each figure means.

    `seed_kind` is "tuning" or "published". `false_alerts` has the first of them, with the case that
    shows each.
    """

    schema: str
    dripwatch: str
    python: str
    machine: str
    cores: int
    settings: TrialSettings
    seed_kind: str
    baselines: str
    processes: int
    wall_s: float
    cpu_s: float
    patient_days_min_core: float
    messages: dict[str, int]
    systems: tuple[SystemScore, ...]
    unmet: tuple[str, ...]
    misses: tuple[Miss, ...]
    false_alerts: tuple[FalseAlert, ...]


def make_report(
    settings: TrialSettings, run: TrialRun, baselines: Baselines, patients_per_nurse: float
) -> Report:
    """Score every system of a run."""
    present = [name for name in NAMES if any(name in case.systems for case in run.cases)]
    systems = tuple(score(run.cases, name, patients_per_nurse) for name in present)
    days = settings.patients * settings.days
    return Report(
        schema=SCHEMA,
        dripwatch=version("dripwatch"),
        python=platform.python_version(),
        machine=platform.machine(),
        cores=os.cpu_count() or 1,
        settings=settings,
        seed_kind="tuning" if settings.is_tuning else "published",
        baselines=baselines,
        processes=run.processes,
        wall_s=round(run.wall_s, 1),
        cpu_s=round(run.cpu_s, 1),
        patient_days_min_core=round(days / (run.cpu_s / 60.0), 1),
        messages=run.counts,
        systems=systems,
        unmet=tuple(failures(systems[0])),
        misses=tuple(misses(run.cases, MONITOR)),
        false_alerts=tuple(
            FalseAlert(
                case=number,
                at=clock(alert.at_ms),
                rule=alert.rule,
                priority=alert.priority.value,
                reason=alert.text,
            )
            for number, alert in false_alerts(run.cases, MONITOR)[:FALSE_MAX]
        ),
    )


def seconds(value: float | None) -> str:
    """A time as people say it: 35 s, 12 min, 3.1 h; a dash for none."""
    if value is None:
        return "–"
    sign, value = ("−", -value) if value < 0 else ("", value)
    if value < 100:
        return f"{sign}{value:.0f} s"
    if value < 2 * MS_PER_HOUR / 1_000:
        return f"{sign}{value / 60:.0f} min"
    return f"{sign}{value / 3600:.1f} h"


def percent(value: float | None) -> str:
    """A share in percent; a dash for none."""
    return "–" if value is None else f"{value:.1%}".replace(".0%", "%")


def plain(value: float | None, digits: int = 2) -> str:
    """A number; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


HAZARD_HEADS = (
    "hazard",
    "",
    "n",
    "visible",
    "found",
    "at high",
    "delay",
    "p90",
    "earliest",
    "ratio",
    "IU before",
)


def hazard_row(figure: HazardScore) -> tuple[str, ...]:
    """The cells of one hazard, in the order of HAZARD_HEADS."""
    real = figure.planted - figure.not_real
    return (
        figure.name,
        f"P{figure.urgency}",
        str(real),
        str(figure.visible),
        percent(figure.sensitivity),
        percent(figure.found_high / figure.visible if figure.visible else None),
        seconds(figure.delay_median_s),
        seconds(figure.delay_p90_s),
        seconds(figure.earliest_median_s),
        plain(figure.ratio),
        plain(figure.iu_median, 0),
    )


SYSTEM_ROWS: tuple[str, ...] = (
    "P1 found",
    "P1 found at high priority",
    "P2 found",
    "P3 found",
    "P1 delay ÷ earliest",
    "P2 delay ÷ earliest",
    "false alerts per patient-day",
    "of these high",
    "alerts that are right",
    "alerts per cause",
    "alerts per nurse and hour",
    "notices per patient-day",
)


def system_cells(figures: SystemScore) -> tuple[str, ...]:
    """The cells of one system, in the order of SYSTEM_ROWS."""
    first, second, third = figures.urgencies
    return (
        percent(first.sensitivity),
        percent(first.found_high / first.visible if first.visible else None),
        percent(second.sensitivity),
        percent(third.sensitivity),
        plain(first.ratio),
        plain(second.ratio),
        plain(figures.false_per_day, 3),
        plain(figures.false_high_per_day, 3),
        percent(figures.positive_predictive_value),
        plain(figures.alerts_per_cause),
        plain(figures.alerts_per_nurse_hour),
        plain(figures.notices_per_day),
    )


def ordered(figures: SystemScore) -> list[HazardScore]:
    """Hazards by urgency, and in the order of the table HAZARDS within it."""
    places = {key: place for place, key in enumerate(HAZARDS)}
    return sorted(figures.hazards, key=lambda one: (one.urgency, places.get(one.name, 0)))


def print_report(report: Report, console: Console) -> None:
    """The whole report on a terminal."""
    settings = report.settings
    days = settings.patients * settings.days
    kind = "for tuning" if report.seed_kind == "tuning" else "for publishing"
    console.print(
        f"{settings.patients} patients × {settings.days} days = {days} patient-days; seed "
        f"{settings.seed}, {kind}; wire {settings.wire}; {report.patient_days_min_core:.0f} "
        f"patient-days a minute a core\n"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for figures in report.systems:
        table.add_column(NAMES[figures.system], justify="right")
    cells = [system_cells(figures) for figures in report.systems]
    for number, name in enumerate(SYSTEM_ROWS):
        table.add_row(name, *(column[number] for column in cells))
    console.print(table)
    table = Table(box=None, pad_edge=False, title="\nWhat was planted, and how Dripwatch found it")
    for head in HAZARD_HEADS:
        is_word = head in ("hazard", "")
        table.add_column(head, justify="left" if is_word else "right", no_wrap=True)
    for one in ordered(report.systems[0]):
        table.add_row(*hazard_row(one))
    console.print(table)
    _print_rest(report, console)


def _print_rest(report: Report, console: Console) -> None:
    figures = report.systems[0]
    if figures.false_rules:
        rules = ", ".join(f"{rule} {count}" for rule, count in figures.false_rules.items())
        console.print(f"\nFalse alerts by rule: {rules}")
    if report.misses:
        console.print(f"\n{len(report.misses)} cases failed; each of these shows one:")
        for miss in report.misses[:TOLD_MAX]:
            console.print(f"  {replay_command(report, miss.number)}  # {miss.what}", soft_wrap=True)
        if len(report.misses) > TOLD_MAX:
            console.print(f"  … and {len(report.misses) - TOLD_MAX} more (--json has all)")
    for text in report.unmet:
        console.print(f"Not met: {text}")


def replay_command(report: Report, number: int) -> str:
    """The command that runs one case alone."""
    settings, usual = report.settings, TrialSettings()
    parts = [f"dripwatch trial --seed {settings.seed} --patients {settings.patients}"]
    parts += [
        f"--{name} {getattr(settings, name)}"
        for name in ("days", "wire", "cohort")
        if getattr(settings, name) != getattr(usual, name)
    ]
    parts += [f"--hazard {key}" for key in settings.hazards]
    return " ".join([*parts, f"--case {number}"])


def markdown(report: Report) -> str:
    """The tables of docs/detection.md."""
    settings = report.settings
    days = settings.patients * settings.days
    about = (
        f"{settings.patients} patients × {settings.days} days ({days} patient-days), seed "
        f"{settings.seed} ({report.seed_kind}), wire `{settings.wire}`, cohort "
        f"`{settings.cohort}`, Dripwatch {report.dripwatch}, Python {report.python}."
    )
    lines = [
        about,
        "",
        *_table(
            ("", *(NAMES[figures.system] for figures in report.systems)),
            [
                (name, *(system_cells(figures)[number] for figures in report.systems))
                for number, name in enumerate(SYSTEM_ROWS)
            ],
        ),
        "",
        *_table(
            ("hazard", "class", *HAZARD_HEADS[2:]),
            [hazard_row(one) for one in ordered(report.systems[0])],
        ),
        "",
    ]
    rules = report.systems[0].false_rules
    lines += _table(("false alerts of", "count"), [(rule, str(n)) for rule, n in rules.items()])
    return "\n".join(lines) + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    marks = ["---"] + ["---:"] * (len(heads) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)]

"""`dripwatch trial`: run it, look at one case of it, or check it."""

import os
import sys
from pathlib import Path
from typing import cast

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dripwatch.trial.draw import PATIENTS_MAX, TUNING_SEED_MAX, TrialSettings
from dripwatch.trial.hazards import chosen
from dripwatch.trial.listeners import Baselines
from dripwatch.trial.page import page
from dripwatch.trial.pool import run_trial
from dripwatch.trial.report import Report, make_report, markdown, print_report
from dripwatch.trial.timeline import replay
from dripwatch.trial.wire import read_wire
from dripwatch.view import NOTICE
from host.process import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, read_named, report
from infusion.errors import ConfigError, DripwatchError
from simulator.story.ward_file import read_ward
from simulator.ward import DAYS_MAX

# A file or a pipe has room for every column.
FILE_WIDTH = 120


@click.command("trial", epilog=NOTICE)
@click.option("--patients", type=click.IntRange(1, PATIENTS_MAX), default=100, metavar="N")
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=1, metavar="N")
@click.option(
    "--seed",
    type=click.IntRange(1, 10**9),
    default=1,
    metavar="N",
    help=f"1 to {TUNING_SEED_MAX} to tune by, above to publish (1)",
)
@click.option("--hazard", "hazards", multiple=True, metavar="KEY", help="only this; repeatable")
@click.option(
    "--wire", default="home", metavar="HOW", help="clean, home, bad, or loss=0.01,delay=5,…"
)
@click.option("--cohort", default="home", metavar="NAME|FILE", help="whose days: config/cohorts")
@click.option(
    "--baselines",
    type=click.Choice(["all", "cheap", "none"]),
    default="cheap",
    help="all also runs the previous release, which takes twice as long (cheap)",
)
@click.option(
    "--processes", type=click.IntRange(1, 256), metavar="N", help="one for each core if not given"
)
@click.option(
    "--patients-per-nurse", type=click.FloatRange(1, 1000), default=20.0, metavar="N", help="(20)"
)
@click.option("--case", "--replay", "case", type=int, metavar="N", help="this case alone, told")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="all figures, as JSON")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="a page with pictures")
@click.option("--markdown", "as_markdown", is_flag=True, help="the tables of docs/detection.md")
@click.option("--check", is_flag=True, help="exit with 1 where a bound is not kept")
def command(
    *,
    patients: int,
    days: int,
    seed: int,
    hazards: tuple[str, ...],
    wire: str,
    cohort: str,
    baselines: str,
    processes: int | None,
    patients_per_nurse: float,
    case: int | None,
    json_file: Path | None,
    html_file: Path | None,
    as_markdown: bool,
    check: bool,
) -> None:
    """Draw patients and days, plant hazards, and score the monitor against what really happened.

    Half of all days have nothing planted; with --hazard every day has one. The same seed gives
    the same trial, whatever the number of processes.
    """
    settings = TrialSettings(
        seed=seed, patients=patients, days=days, hazards=hazards, wire=wire, cohort=cohort
    )
    try:
        _check(settings)
        if case is not None:
            for line in replay(settings, case).lines:
                click.echo(str(line))
            sys.exit(EXIT_OK)
        found = _run(settings, cast(Baselines, baselines), processes, patients_per_nurse)
        _write(found, json_file, html_file)
    except DripwatchError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    if as_markdown:
        click.echo(markdown(found), nl=False)
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = max(console.width, FILE_WIDTH)
        print_report(found, console)
    sys.exit(EXIT_FAILED if check and found.unmet else EXIT_OK)


def _check(settings: TrialSettings) -> None:
    """What would be wrong is said before anything runs. Raises ConfigError."""
    read_wire(settings.wire)
    chosen(settings.hazards, settings.days)
    read_ward(*read_named(settings.cohort, "cohorts"))


def _run(
    settings: TrialSettings,
    baselines: Baselines,
    processes: int | None,
    patients_per_nurse: float,
) -> Report:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("patients", total=settings.patients)
        run = run_trial(
            settings,
            baselines,
            processes or os.cpu_count() or 1,
            lambda done: progress.update(task, completed=done),
        )
    return make_report(settings, run, baselines, patients_per_nurse)


def _write(found: Report, json_file: Path | None, html_file: Path | None) -> None:
    """Raises ConfigError where a file cannot be written."""
    texts: list[tuple[Path, bytes]] = []
    if json_file is not None:
        texts.append((json_file, msgspec.json.format(msgspec.json.encode(found))))
    if html_file is not None:
        texts.append((html_file, page(found).encode()))
    for file, data in texts:
        try:
            file.write_bytes(data)
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}; give a place to write to") from None

"""`dripwatch load`: drive a broker with the traffic of pumps, and measure what their users feel."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from host.process import EXIT_OK, report, run, until_signal
from infusion.errors import ConfigError, DripwatchError
from simulator.load import compare as comparing
from simulator.load import plan as limits
from simulator.load.csv_files import write_csv
from simulator.load.options import OPTIONS, plan_of
from simulator.load.page import page
from simulator.load.plan import Plan, check
from simulator.load.progress import Progress
from simulator.load.ramp import DEFAULTS_QOS_0, DEFAULTS_QOS_1, climb
from simulator.load.result import Result, Step, metric_names, read_result, to_json
from simulator.load.run import Load
from simulator.load.summary import render
from simulator.load.verdict import FailIf, exit_code, judged, read_fail_if

EPILOG = f"""
Limits: {limits.COUNT_MAX:,} pumps, {limits.CONNECT_RATE_MAX:,} connections/s,
{limits.RATE_MAX:,} messages/s, {limits.DURATION_S_MAX // 3_600} h, {limits.PROCESSES_MAX}
processes. It stops by itself, and Ctrl-C once ends it in order, with the summary.

Exit codes: 0 all is well, 1 the run failed or is not valid, 2 usage, 3 not every session could
connect, 99 a threshold was missed, 130 interrupted (the summary is still given).

For testing and training. Not a medical device.
"""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with the result."""

    thresholds: tuple[FailIf, ...]
    ramp: bool
    json_file: str | None
    csv_prefix: str | None
    html_file: Path | None


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make the plan, in the order of --help."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.group(
    "load",
    invoke_without_command=True,
    epilog=EPILOG.replace("\n\n", "\n\n\b\n"),
    context_settings={"max_content_width": 100},
)
@_options
@click.option(
    "--ramp", is_flag=True, help="steps of --duration, each faster, until a threshold breaks"
)
@click.option(
    "--fail-if",
    "fail_ifs",
    multiple=True,
    metavar="'NAME>N'",
    help="exit with 99 where this is so, as in 'e2e_p99_ms>500'; repeatable",
)
@click.option("--json", "json_file", metavar="FILE", help="the result as JSON (- is stdout)")
@click.option("--csv", "csv_prefix", metavar="PREFIX", help="three files with locust's columns")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="a page with pictures")
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    ramp: bool,
    fail_ifs: tuple[str, ...],
    json_file: str | None,
    csv_prefix: str | None,
    html_file: Path | None,
    **flags: Any,
) -> None:
    """Put a broker under the load of many pumps, and say truthfully what it did.

    Messages have their times beforehand, whatever the broker does (the open model), and every
    latency counts from that time: a broker that stalls cannot hide it.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        owns_broker = flags.pop("i_own_this_broker")
        plan = plan_of(flags)
        check(plan, owns_broker=owns_broker)
        defaults = DEFAULTS_QOS_1 if plan.qos else DEFAULTS_QOS_0
        texts = fail_ifs or (defaults if ramp else ())
        wishes = Wishes(
            thresholds=tuple(read_fail_if(text, metric_names()) for text in texts),
            ramp=ramp,
            json_file=json_file,
            csv_prefix=csv_prefix,
            html_file=html_file,
        )
    except DripwatchError as error:
        sys.exit(report(error))
    sys.exit(run(_serve(plan, wishes)))


@command.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def compare(*, first: Path, second: Path) -> None:
    """Two results that --json wrote, beside each other."""
    try:
        Console().print(comparing.render(read_result(first), read_result(second)))
    except DripwatchError as error:
        sys.exit(report(error))


async def _serve(plan: Plan, wishes: Wishes) -> int:
    """Make the load, tell it, and give the exit code."""
    errors = Console(stderr=True)
    found: list[Result] = []
    running: list[Load] = []
    is_stopped = asyncio.Event()

    async def make(one: Plan) -> Result:
        with Progress(errors, one.duration_s) as progress:
            load = Load(one, on_second=progress.second)
            running.append(load)
            if is_stopped.is_set():
                load.stop()
            return await load.run()

    def shown(step: Step) -> None:
        word = "held" if step.held else "broke"
        errors.print(f"step {step.offered_per_s:,.0f}/s: {word} {'; '.join(step.because)}")

    async def work() -> None:
        if wishes.ramp:
            found.append(await climb(plan, wishes.thresholds, make, shown))
        else:
            found.append(judged(await make(plan), wishes.thresholds))

    def stop() -> None:
        is_stopped.set()
        if running:
            running[-1].stop()

    await until_signal(work(), stop)
    result = found[-1]
    await asyncio.to_thread(_write, result, wishes)
    Console(stderr=wishes.json_file == "-").print(render(result))
    if wishes.ramp and not result.interrupted:
        return EXIT_OK if any(step.held for step in result.steps) else exit_code(result)
    return exit_code(result)


def _write(result: Result, wishes: Wishes) -> None:
    """Write what was asked for. Raises ConfigError that names the file."""
    try:
        if wishes.json_file == "-":
            click.echo(to_json(result), nl=False)
        elif wishes.json_file is not None:
            Path(wishes.json_file).write_bytes(to_json(result))
        if wishes.csv_prefix is not None:
            write_csv(wishes.csv_prefix, result)
        if wishes.html_file is not None:
            wishes.html_file.write_text(page(result), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from None

"""`dripwatch`: the one command that joins the rooms. Each room's own command lives in the room."""

import asyncio
import contextlib
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import msgspec
from msgspec import Meta, Struct, structs
from rich.console import Console

import monitor.cli
import monitor.people_cli
import monitor.process
import simulator.cli
import simulator.load.cli
import simulator.replay
from dripwatch import act, guide, per_diem, rules, scenarios, send, watch, work
from dripwatch import summary as summaries
from dripwatch.trial.cli import command as trial_command
from dripwatch.up import Up, UpSettings
from dripwatch.view import NOTICE
from host.process import (
    EXIT_FAILED,
    EXIT_OK,
    LogLevel,
    configure_logs,
    load_settings,
    report,
    run,
    until_signal,
)
from infusion.errors import DripwatchError
from infusion.policy_words import describe as describe_policy
from infusion.settings import Resolved, describe
from link import EmbeddedBroker
from link.address import LinkOptions
from monitor.process import MonitorProcess, MonitorSection
from monitor.references import read_references
from monitor.web.server import DEFAULT_PORT, WebSection
from simulator.setup import SimulatorSettings, read_setup

UP_FILE = "up.toml"
EMBEDDED_PORT = 1883
LINE_COLUMNS = 100


class UpProcess(Struct, frozen=True, kw_only=True):
    """All settings of `dripwatch up`. Without `broker`, one is started inside."""

    broker: str | None = None
    mqtt: Literal["5", "3.1.1"] = "5"
    speed: Annotated[float, Meta(ge=1, le=1_000)] = 60.0
    log_level: LogLevel = "warning"
    link: LinkOptions = LinkOptions()
    simulator: SimulatorSettings = SimulatorSettings()
    monitor: MonitorSection = MonitorSection(store=None)
    web: WebSection = WebSection(listen=f"127.0.0.1:{DEFAULT_PORT}")


def up_settings(file: Path | None, **flags: object) -> Resolved[UpProcess]:
    """The settings of `dripwatch up`. Raises ConfigError."""
    return load_settings(UpProcess, default_file=UP_FILE, file=file, flags=flags)


@click.group(epilog=NOTICE, context_settings={"max_content_width": 100})
@click.version_option(package_name="dripwatch")
def main() -> None:
    """Simulated heparin pumps on MQTT, and a monitor that watches over their doses."""


main.add_command(monitor.cli.command)
main.add_command(simulator.cli.command)
main.add_command(simulator.replay.command)
main.add_command(rules.command)
main.add_command(scenarios.command)
main.add_command(act.command)
main.add_command(send.command)
main.add_command(per_diem.command)
main.add_command(guide.command)
main.add_command(work.command)
main.add_command(watch.command)
main.add_command(monitor.people_cli.group)
main.add_command(trial_command)
main.add_command(simulator.load.cli.command)


@main.command(epilog=NOTICE)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/up.toml)")
@click.option("--pumps", metavar="N", help="how many; 0 takes the scenario's own number")
@click.option("--scenario", metavar="NAME|FILE", help="a name in config/scenarios, or a file")
@click.option("--days", metavar="N", help="draw N days by chance instead of a scenario")
@click.option("--cohort", metavar="NAME|FILE", help="whose days: config/cohorts, or a file (home)")
@click.option("--speed", metavar="X", help="how fast the pumps' time runs, 1 to 1000 (60)")
@click.option("--seed", metavar="N", help="another seed draws other patients and pumps")
@click.option("--broker", metavar="URL", help="somebody else's broker; without it, one is started")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
@click.option("--store", metavar="FILE", help="keep the monitor's state in a file (in memory)")
@click.option("--web", metavar="ADDRESS", help=f"where the page is (127.0.0.1:{DEFAULT_PORT})")
@click.option("--no-web", is_flag=True, help="no page")
@click.option("--record", metavar="FILE", help="keep all that is said, for `dripwatch replay`")
@click.option("--for", "for_s", type=click.FloatRange(min=0), metavar="SECONDS", help="then stop")
@click.option("--json", "json_file", metavar="FILE", help="write the summary as JSON (- is stdout)")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error (warning)")
def up(
    *,
    config: Path | None,
    for_s: float | None,
    json_file: str | None,
    no_web: bool,
    **flags: str | None,
) -> None:
    """Everything at once: a broker, pumps, the monitor and a live view. Ctrl-C ends it.

    Exits with 1 when something did not happen as the scenario expects it.
    """
    mine = ("pumps", "scenario", "seed", "days", "cohort", "record")
    sections = dict.fromkeys(mine, "simulator")
    sections["store"] = "monitor"
    web = flags.pop("web")
    keys = {f"{sections[key]}.{key}" if key in sections else key: v for key, v in flags.items()}
    keys["web.listen"] = "" if no_web else web
    try:
        process = up_settings(config, **keys).value
        sys.exit(_up(process, for_s, json_file))
    except DripwatchError as error:
        sys.exit(report(error))


@contextlib.contextmanager
def up_parts(
    process: UpProcess, *, for_s: float | None = None, show: bool = True
) -> Iterator[UpSettings]:
    """What `Up` must be told; the embedded broker, if one is needed, lives in this context.

    Raises ConfigError, and LinkError where the broker does not start.
    """
    setup = read_setup(process.simulator)
    with contextlib.ExitStack() as stack:
        url = process.broker
        if url is None:
            broker = stack.enter_context(EmbeddedBroker(EMBEDDED_PORT))
            port = broker.port if process.mqtt == "5" else broker.port_311
            url = f"mqtt://{broker.host}:{port}"
        own = MonitorProcess(
            broker=url,
            mqtt=process.mqtt,
            speed=process.speed,
            link=process.link,
            monitor=process.monitor,
            web=process.web,
        )
        yield UpSettings(
            setup=setup,
            simulator=process.simulator,
            speed=process.speed,
            monitor=structs.replace(monitor.process.service_settings(own), web_or_any_port=True),
            for_s=for_s,
            show=show,
        )


def _up(process: UpProcess, for_s: float | None, json_file: str | None) -> int:
    configure_logs(process.log_level)
    with up_parts(process, for_s=for_s) as settings:
        # With the summary on standard output, the view is told on standard error.
        console = Console(stderr=json_file == "-")
        return run(_show(Up(settings, console), console, json_file))


async def _show(everything: Up, console: Console, json_file: str | None) -> int:
    found: list[summaries.Summary] = []

    async def work() -> None:
        found.append(await everything.run())

    await until_signal(work(), everything.stop)
    summary = found[-1]
    console.print(summaries.render(summary))
    if json_file is not None:
        text = msgspec.json.format(msgspec.json.encode(summary)).decode() + "\n"
        if json_file == "-":
            click.echo(text, nl=False)
        else:
            await asyncio.to_thread(Path(json_file).write_text, text, encoding="utf-8")
    return EXIT_FAILED if summary.unmet else EXIT_OK


_KINDS: dict[str, Callable[..., Resolved[Any]]] = {
    "monitor": monitor.process.settings,
    "replay": simulator.replay.settings,
    "simulator": simulator.cli.settings,
    "up": up_settings,
}


@main.command("check-config", epilog=NOTICE)
@click.argument("kind", type=click.Choice(sorted(_KINDS)), required=False)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file, with a KIND")
def check_config(*, kind: str | None, config: Path | None) -> None:
    """Check the settings of a KIND of process (all), and tell where each value comes from.

    For the monitor also how alerts are handled, in plain sentences.
    """
    if config is not None and kind is None:
        raise click.UsageError("--config belongs to one KIND; say which: " + ", ".join(_KINDS))
    try:
        for name in [kind] if kind is not None else sorted(_KINDS):
            resolved = _KINDS[name](config)
            rows = describe(resolved)
            width = max(len(f"{key} = {value}") for key, value, _ in rows)
            click.echo(f"{name}:")
            for key, value, origin in rows:
                click.echo(f"  {f'{key} = {value}':<{width}}  # {origin}")
            if name == "monitor":
                _tell_policy(resolved.value)
    except DripwatchError as error:
        sys.exit(report(error))


def _tell_policy(process: MonitorProcess) -> None:
    """How alerts are handled, in sentences. Raises ConfigError for a policy that is no good."""
    references = read_references(process.monitor.alerts)
    click.echo(f"alerts, by {references.alerts}:")
    for line in describe_policy(references.policy, time.time_ns() // 1_000_000):
        click.echo(textwrap.fill(line, LINE_COLUMNS, initial_indent="  ", subsequent_indent="    "))

"""`dripwatch simulate`, also `python -m simulator`: the pumps as a process of their own."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import click
import structlog
from msgspec import Meta, Struct, structs

from host.process import (
    EXIT_OK,
    LogLevel,
    configure_logs,
    load_settings,
    read_named,
    read_text,
    report,
    run,
    until_signal,
)
from infusion.errors import DripwatchError
from infusion.settings import Resolved
from link.address import DEFAULT_URL, LinkOptions, link_settings
from simulator.profile import Profile, read_profile
from simulator.service import Simulator, SimulatorSettings, Status
from simulator.story.scenario import Scenario, read_scenario

DEFAULT_FILE = "simulator.toml"

log = structlog.get_logger()


class SimulatorProcess(Struct, frozen=True, kw_only=True):
    """All settings of `dripwatch simulate`."""

    broker: str = DEFAULT_URL
    mqtt: Literal["5", "3.1.1"] = "5"
    speed: Annotated[float, Meta(ge=1, le=1_000)] = 1.0
    log_level: LogLevel = "info"
    link: LinkOptions = LinkOptions()
    simulator: SimulatorSettings = SimulatorSettings()


def settings(file: Path | None, **flags: object) -> Resolved[SimulatorProcess]:
    """The settings of `dripwatch simulate`. Raises ConfigError."""
    return load_settings(SimulatorProcess, default_file=DEFAULT_FILE, file=file, flags=flags)


def read_story(section: SimulatorSettings) -> tuple[Scenario, Profile, dict[str, Profile]]:
    """The scenario, the profile that the settings name, and those that its patients name.

    Raises ConfigError.
    """
    data, name = read_named(section.scenario, "scenarios")
    scenario = read_scenario(data, name)
    data, name = read_named(section.profile, "pumps")
    named = {patient.profile for patient in scenario.patients if patient.profile is not None}
    profiles = {key: read_profile(*read_named(key, "pumps")) for key in sorted(named)}
    return scenario, read_profile(data, name), profiles


@click.command("simulate")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/simulator.toml)")
@click.option("--broker", metavar="URL", help=f"mqtt://[user@]host[:port] ({DEFAULT_URL})")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
@click.option("--pumps", metavar="N", help="how many; 0 takes the scenario's own number")
@click.option("--scenario", metavar="NAME|FILE", help="a name in config/scenarios, or a file")
@click.option("--speed", metavar="X", help="how fast the pumps' time runs, 1 to 1000 (1)")
@click.option("--seed", metavar="N", help="the same seed and start give the same bytes")
@click.option("--truth", is_flag=True, default=None, help="also publish what really happened")
@click.option("--for", "for_s", type=click.FloatRange(min=0), metavar="SECONDS", help="then stop")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error (info)")
def command(
    *, config: Path | None, for_s: float | None, truth: bool | None, **flags: str | None
) -> None:
    """Simulate heparin pumps that publish on a broker, one MQTT session each.

    For testing and training; not a medical device.
    """
    sections = {"pumps", "scenario", "seed"}
    keys = {f"simulator.{key}" if key in sections else key: v for key, v in flags.items()}
    try:
        process = settings(config, **keys, **{"simulator.truth": truth}).value
        link = link_settings(process.broker, process.mqtt, process.link, read_text)
        simulator = Simulator(
            process.simulator, link, *read_story(process.simulator), speed=process.speed
        )
    except DripwatchError as error:
        sys.exit(report(error))
    configure_logs(process.log_level)
    log.info(
        "pumps start",
        broker=link.address,
        scenario=process.simulator.scenario,
        pumps=len(simulator.fleet.summary()),
        speed=process.speed,
    )
    sys.exit(run(_serve(simulator, for_s)))


async def _serve(simulator: Simulator, for_s: float | None) -> int:
    last: list[Status] = []

    async def work() -> None:
        last.append(await simulator.run(for_s=for_s))

    await until_signal(work(), simulator.stop)
    counters = last[-1].counters
    log.info(
        "pumps stopped",
        lag_max_ms=round(last[-1].lag_max_ms, 1),
        **structs.asdict(counters),
    )
    return EXIT_OK

"""`dripwatch monitor`, also `python -m monitor`: the monitor as a process of its own."""

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import click
from msgspec import Meta, Struct

from host.process import (
    EXIT_FAILED,
    EXIT_OK,
    LogLevel,
    configure_logs,
    load_settings,
    read_text,
    report,
    run,
    until_signal,
)
from infusion.errors import ConfigError, DripwatchError
from infusion.monitor import MonitorSettings
from infusion.prescription import Name
from infusion.settings import Resolved
from link.address import DEFAULT_URL, LinkOptions, link_settings
from monitor.references import read_references
from monitor.service import MonitorService, ServiceSettings
from monitor.store import alive_ms
from monitor.web.server import WebSection, check

DEFAULT_FILE = "monitor.toml"
# A monitor that has not committed for so long is not well: its own heartbeat alone makes it
# commit twice a second.
ALIVE_MS = 10_000

Positive = Annotated[float, Meta(gt=0, le=100_000)]


class MonitorSection(Struct, frozen=True, kw_only=True):
    """[monitor]: see config/monitor.toml. Without a store, the state is kept in memory."""

    instance: Name = "monitor-1"
    store: str | None = "dripwatch-monitor.sqlite3"
    alerts: Annotated[str, Meta(min_length=1, max_length=4_096)] = "alerts"
    rate_max_ml_h: Positive = MonitorSettings().rate_max_ml_h
    line_compliance_ml_mmhg: Annotated[float, Meta(ge=0, le=1)] = (
        MonitorSettings().line_compliance_ml_mmhg
    )
    free_pressure_mmhg: Positive = MonitorSettings().free_pressure_mmhg
    occlusion_pressure_mmhg: Positive = MonitorSettings().occlusion_pressure_mmhg


class MonitorProcess(Struct, frozen=True, kw_only=True):
    """All settings of `dripwatch monitor`."""

    broker: str = DEFAULT_URL
    mqtt: Literal["5", "3.1.1"] = "5"
    speed: Annotated[float, Meta(ge=1, le=1_000)] = 1.0
    log_level: LogLevel = "info"
    link: LinkOptions = LinkOptions()
    monitor: MonitorSection = MonitorSection()
    web: WebSection = WebSection()


def settings(file: Path | None, **flags: object) -> Resolved[MonitorProcess]:
    """The settings of `dripwatch monitor`. Raises ConfigError."""
    return load_settings(MonitorProcess, default_file=DEFAULT_FILE, file=file, flags=flags)


def service_settings(process: MonitorProcess) -> ServiceSettings:
    """What the service must be told.

    Raises ConfigError for a broker that cannot be meant, for a policy that cannot be followed, and
    for a page that must not be served there.
    """
    section = process.monitor
    if process.web.listen:
        check(process.web)
    return ServiceSettings(
        link=link_settings(process.broker, process.mqtt, process.link, read_text),
        instance=section.instance,
        store=Path(section.store) if section.store is not None else None,
        speed=process.speed,
        references=read_references(section.alerts),
        web=process.web,
        core=MonitorSettings(
            rate_max_ml_h=section.rate_max_ml_h,
            line_compliance_ml_mmhg=section.line_compliance_ml_mmhg,
            free_pressure_mmhg=section.free_pressure_mmhg,
            occlusion_pressure_mmhg=section.occlusion_pressure_mmhg,
        ),
    )


@click.command("monitor")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/monitor.toml)")
@click.option("--broker", metavar="URL", help=f"mqtt://[user@]host[:port] ({DEFAULT_URL})")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
@click.option("--store", metavar="FILE", help="SQLite file with the monitor's state")
@click.option("--alerts", metavar="NAME|FILE", help="how alerts are handled (config/alerts.toml)")
@click.option("--instance", metavar="NAME", help="name of this monitor (monitor-1)")
@click.option("--speed", metavar="X", help="how fast the pumps' time runs, as for the simulator")
@click.option("--web", metavar="ADDRESS", help="serve the page and the API there: host:port")
@click.option("--behind-proxy", is_flag=True, default=None, help="a proxy in front speaks TLS")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error (info)")
@click.option("--health", is_flag=True, help="tell whether a monitor is well on this store; exit")
def command(
    *,
    config: Path | None,
    broker: str | None,
    mqtt: str | None,
    store: str | None,
    alerts: str | None,
    instance: str | None,
    speed: str | None,
    web: str | None,
    behind_proxy: bool | None,
    log_level: str | None,
    health: bool,
) -> None:
    """Watch pumps on a broker: account for each dose, and raise alerts.

    For testing and training; not a medical device.
    """
    flags = {
        "broker": broker,
        "mqtt": mqtt,
        "speed": speed,
        "log_level": log_level,
        "monitor.store": store,
        "monitor.alerts": alerts,
        "monitor.instance": instance,
        "web.listen": web,
        "web.behind_proxy": behind_proxy,
    }
    try:
        process = settings(config, **flags).value
        if health:
            sys.exit(tell_health(process.monitor.store))
        service = MonitorService(service_settings(process))
    except DripwatchError as error:
        sys.exit(report(error))
    configure_logs(process.log_level)
    sys.exit(run(_serve(service)))


def tell_health(store: str | None) -> int:
    """Say whether the monitor of a store is well; the exit code. Raises StoreError."""
    if store is None:
        raise ConfigError("--health reads the store of a monitor; name it with --store")
    alive = alive_ms(Path(store))
    if alive is None:
        click.echo(f"not well: no monitor has worked on {store} yet")
        return EXIT_FAILED
    age_ms = time.time_ns() // 1_000_000 - alive
    well = age_ms <= ALIVE_MS
    click.echo(f"{'well' if well else 'not well'}: last commit {age_ms / 1000:.1f} s ago, {store}")
    return EXIT_OK if well else EXIT_FAILED


async def _serve(service: MonitorService) -> int:
    await until_signal(service.run(), service.stop)
    return EXIT_OK

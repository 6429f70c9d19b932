"""`dripwatch monitor`, also `python -m monitor`: the monitor as a process of its own."""

import sys
import time
from pathlib import Path

import click

from host.process import (
    EXIT_FAILED,
    EXIT_OK,
    configure_logs,
    report,
    run,
    until_signal,
)
from infusion.errors import ConfigError, DripwatchError
from link.address import DEFAULT_URL
from monitor.partition import parts
from monitor.process import service_settings, settings
from monitor.service import MonitorService
from monitor.store import alive_ms
from monitor.workers import Workers

# A monitor that has not committed for so long is not well: its own heartbeat alone makes it
# commit twice a second.
ALIVE_MS = 10_000


@click.command("monitor")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/monitor.toml)")
@click.option("--broker", metavar="URL", help=f"mqtt://[user@]host[:port] ({DEFAULT_URL})")
@click.option("--mqtt", metavar="VERSION", help="5, or 3.1.1 for brokers that need it (5)")
@click.option("--store", metavar="FILE", help="SQLite file with the monitor's state")
@click.option("--alerts", metavar="NAME|FILE", help="how alerts are handled (config/alerts.toml)")
@click.option("--instance", metavar="NAME", help="name of this monitor (monitor-1)")
@click.option("--workers", metavar="N", help="processes that share the pumps (1); no page then")
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
    workers: str | None,
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
        "workers": workers,
        "web.listen": web,
        "web.behind_proxy": behind_proxy,
    }
    try:
        process = settings(config, **flags).value
        if health:
            sys.exit(tell_health(process.monitor.store, process.workers))
        # What cannot be meant is refused here, and not by each worker.
        service_of = [service_settings(process, part) for part in parts(process.workers)]
    except DripwatchError as error:
        sys.exit(report(error))
    configure_logs(process.log_level)
    if len(service_of) > 1:
        sys.exit(run(_serve(Workers(process))))
    sys.exit(run(_serve(MonitorService(service_of[0]))))


def tell_health(store: str | None, workers: int) -> int:
    """Say whether the monitor of a store, with all its workers, is well; the exit code.

    Raises StoreError.
    """
    if store is None:
        raise ConfigError("--health reads the store of a monitor; name it with --store")
    return max(_tell_health(part.store(Path(store))) for part in parts(workers))


def _tell_health(store: Path) -> int:
    alive = alive_ms(store)
    if alive is None:
        click.echo(f"not well: no monitor has worked on {store} yet")
        return EXIT_FAILED
    age_ms = time.time_ns() // 1_000_000 - alive
    well = age_ms <= ALIVE_MS
    click.echo(f"{'well' if well else 'not well'}: last commit {age_ms / 1000:.1f} s ago, {store}")
    return EXIT_OK if well else EXIT_FAILED


async def _serve(service: MonitorService | Workers) -> int:
    await until_signal(service.run(), service.stop)
    return EXIT_OK

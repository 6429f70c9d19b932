"""All settings of a monitor process, and what the service is told of them."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from host.process import LogLevel, load_settings, read_text
from infusion.errors import ConfigError
from infusion.monitor import MonitorSettings
from infusion.prescription import Name
from infusion.settings import Resolved
from link.address import DEFAULT_URL, LinkOptions, link_settings
from monitor.partition import PARTS_MAX, WHOLE, Partition, check_layout
from monitor.references import read_references
from monitor.service import ServiceSettings
from monitor.web.server import WebSection, check

DEFAULT_FILE = "monitor.toml"

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
    workers: Annotated[int, Meta(ge=1, le=PARTS_MAX)] = 1
    log_level: LogLevel = "info"
    link: LinkOptions = LinkOptions()
    monitor: MonitorSection = MonitorSection()
    web: WebSection = WebSection()


def settings(file: Path | None, **flags: object) -> Resolved[MonitorProcess]:
    """The settings of `dripwatch monitor`. Raises ConfigError."""
    return load_settings(MonitorProcess, default_file=DEFAULT_FILE, file=file, flags=flags)


def service_settings(process: MonitorProcess, partition: Partition = WHOLE) -> ServiceSettings:
    """What the service of one part must be told.

    Raises ConfigError for a broker that cannot be meant, for a policy that cannot be followed, for
    a page that must not be served there, and for a store of another number of workers.
    """
    section = process.monitor
    if process.web.listen:
        check(process.web)
        if partition.of > 1:
            raise ConfigError(
                "web: the page shows the pumps of one process, and workers is"
                f" {partition.of}; take workers = 1, or leave the page (web.listen) out"
            )
    if section.store is not None:
        check_layout(Path(section.store), partition.of)
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
        partition=partition,
    )

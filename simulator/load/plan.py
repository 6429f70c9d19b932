"""What a load is asked to be, within its limits; and what each process of it is told.

The limits keep a slip of the finger from becoming an attack: they bound count, rate and time, and a
broker on another machine must be claimed as one's own.
"""

import ipaddress
import resource
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.errors import ConfigError
from infusion.prescription import Name
from link import LinkSettings, Tls
from simulator.load.sse import place_of

COUNT_MAX = 200_000
CONNECT_RATE_MAX = 20_000
INTERVAL_MS_MIN = 1
INTERVAL_MS_MAX = 3_600_000
RATE_MAX = 500_000  # messages a second, offered
DURATION_S_MAX = 4 * 3_600
PROCESSES_MAX = 64
SUBSCRIBERS_MAX = 256
SPEED_MAX = 1_000
GATEWAY_MAX = 10_000
# Files that a process has open besides its sessions.
OTHER_FILES = 64
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORTS = 28_232  # what Linux gives by default, where it does not say


class Plan(Struct, frozen=True, kw_only=True):
    """All that `dripwatch load` can be asked for.

    `count` pumps each speak every `interval_ms` of wall time; their own clock goes `speed` times as
    fast. `gateway` pumps share a session. `closed` sends the next message of a session only when
    the last is acknowledged, and counts from the sending. `drain_s` is how long what is still on
    its way may take at the end. `alerts` injects a fault now and then and times the monitor's
    answer on the broker, and where `sse` is its page's URL, on its stream of events too.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    tls: bool = False
    mqtt: Literal["5", "3.1.1"] = "5"
    count: Annotated[int, Meta(ge=1, le=COUNT_MAX)] = 100
    connect_rate_s: Annotated[float, Meta(gt=0, le=CONNECT_RATE_MAX)] = 500.0
    interval_ms: Annotated[int, Meta(ge=INTERVAL_MS_MIN, le=INTERVAL_MS_MAX)] = 1_000
    qos: Literal[0, 1] = 1
    duration_s: Annotated[float, Meta(ge=1, le=DURATION_S_MAX)] = 60.0
    speed: Annotated[int, Meta(ge=1, le=SPEED_MAX)] = 1
    scenario: str | None = None
    profile: str = "ambulatory"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    prefix: Name = "load"
    gateway: Annotated[int, Meta(ge=1, le=GATEWAY_MAX)] = 1
    processes: Annotated[int, Meta(ge=1, le=PROCESSES_MAX)] = 1
    source_addresses: tuple[str, ...] = ()
    subscribers: Annotated[int, Meta(ge=0, le=SUBSCRIBERS_MAX)] = 1
    shared_group: Name | None = None
    closed: bool = False
    alerts: bool = False
    sse: str | None = None
    sse_token: str | None = None
    keep_alive_s: Annotated[int, Meta(ge=5, le=3_600)] = 60
    connect_timeout_s: Annotated[float, Meta(gt=0, le=300)] = 30.0
    drain_s: Annotated[float, Meta(ge=0, le=300)] = 5.0

    @property
    def rate_s(self) -> float:
        """Messages a second that quiet pumps offer."""
        return self.count / self.interval_ms * 1_000

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


class Part(Struct, frozen=True, kw_only=True):
    """What one generator is told: its share of the pumps, and its place among the processes.

    The pumps' clocks stand at `start_ms` when the load begins.
    """

    plan: Plan
    number: int
    pumps: int
    site: str
    start_ms: int
    first_boot: int


class Ears(Struct, frozen=True, kw_only=True):
    """What the receiver is told: the sites to listen to."""

    plan: Plan
    sites: tuple[str, ...]


def parts_of(plan: Plan, *, start_ms: int, first_boot: int) -> list[Part]:
    """The plan cut into shares that differ by a pump at most."""
    whole, more = divmod(plan.count, plan.processes)
    return [
        Part(
            plan=plan,
            number=number,
            pumps=whole + (number < more),
            site=f"{plan.prefix}-{number + 1}",
            start_ms=start_ms,
            first_boot=first_boot,
        )
        for number in range(plan.processes)
    ]


def link_settings(plan: Plan, client_id: str) -> LinkSettings:
    """The settings of one session."""
    return LinkSettings(
        host=plan.host,
        port=plan.port,
        client_id=client_id,
        username=plan.username,
        password=plan.password,
        tls=Tls(ca_file=plan.ca_file) if plan.tls else None,
        mqtt=plan.mqtt,
        keep_alive_s=plan.keep_alive_s,
        connect_timeout_s=plan.connect_timeout_s,
    )


def check(plan: Plan, *, owns_broker: bool) -> None:
    """Raises ConfigError where the plan is beyond a limit of ours or of this machine."""
    if not owns_broker and not is_loopback(plan.host):
        raise ConfigError(
            f"--host {plan.host}: this is not this machine; a load test can bring a broker down. "
            "If it is yours to test, say so with --i-own-this-broker"
        )
    if plan.rate_s > RATE_MAX:
        raise ConfigError(
            f"--count {plan.count} every {plan.interval_ms} ms are {plan.rate_s:,.0f} messages a "
            f"second, more than {RATE_MAX:,}; take fewer pumps or a longer --interval-ms"
        )
    if plan.processes > plan.count:
        raise ConfigError(
            f"--processes {plan.processes}: there are only {plan.count} pumps to share out"
        )
    if plan.ca_file is not None and not plan.tls:
        raise ConfigError("--cacert is for TLS; add --tls")
    if plan.sse is not None:
        place = place_of(plan.sse)
        if not owns_broker and not is_loopback(place.host):
            raise ConfigError(
                f"--sse {plan.sse}: this is not this machine; say so with --i-own-this-broker"
            )
        if not plan.alerts or plan.sse_token is None:
            raise ConfigError("--sse needs --alerts and a --token-file (dripwatch user token)")
    if plan.password is not None and plan.username is None:
        raise ConfigError("--password-file needs a user name; add --username NAME")
    _check_machine(plan)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_machine(plan: Plan) -> None:
    sessions = -(-plan.count // plan.gateway)
    each = -(-sessions // plan.processes)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY and each + OTHER_FILES > files:
        raise ConfigError(
            f"{each:,} sessions in one process need {each + OTHER_FILES:,} open files, but "
            f"{files:,} are allowed here; use more --processes, or a higher ulimit -Hn"
        )
    addresses = max(1, len(plan.source_addresses))
    ports = _local_ports()
    if sessions > ports * addresses:
        raise ConfigError(
            f"{sessions:,} sessions need as many ports, but one source address has {ports:,} here; "
            "give several, as in --ifaddr 127.0.0.1,127.0.0.2"
        )


def raise_file_limit() -> None:
    """Let this process open as many files as it may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _local_ports() -> int:
    try:
        first, last = PORT_RANGE.read_text().split()
    except OSError:
        return PORTS
    return int(last) - int(first) + 1

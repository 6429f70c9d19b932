"""The options of `dripwatch load` that make the plan, and the plan that they make."""

from pathlib import Path
from typing import Any

import click
import msgspec

from infusion.errors import ConfigError
from simulator.load import plan as limits
from simulator.load.plan import Plan
from simulator.setup import named_scenario

DURATION_S = 60.0
OPTIONS = (
    click.option("-h", "--host", default="127.0.0.1", help="the broker (127.0.0.1)"),
    click.option("-p", "--port", default=1883, metavar="N", help="its port (1883)"),
    click.option("-V", "--mqtt", default="5", metavar="VERSION", help="5, or 3.1.1 (5)"),
    click.option(
        "-c",
        "--count",
        "--pumps",
        default=100,
        metavar="N",
        help="how many pumps, a session each (100)",
    ),
    click.option(
        "-R",
        "--connrate",
        default=500.0,
        metavar="N",
        help="connections begun in a second (500)",
    ),
    click.option(
        "-I",
        "--interval-ms",
        default=1_000,
        metavar="MS",
        help="how often each pump speaks (1000)",
    ),
    click.option("-q", "--qos", default=1, metavar="0|1", help="QoS of all messages (1)"),
    click.option("-k", "--keepalive", default=60, metavar="S", help="keep-alive (60)"),
    click.option(
        "--duration",
        type=float,
        metavar="S",
        help="seconds of load (60, or the whole --scenario)",
    ),
    click.option(
        "--scenario",
        metavar="NAME|FILE",
        help="the traffic of a scenario, told again for each block of pumps",
    ),
    click.option(
        "--speed",
        default=1,
        metavar="X",
        help="how fast the pumps' own time runs, 1 to 1000 (1)",
    ),
    click.option("--seed", default=1, metavar="N", help="other patients and pumps"),
    click.option("--gateway", default=1, metavar="N", help="so many pumps share a session"),
    click.option("--processes", default=1, metavar="N", help="so many generators (1)"),
    click.option(
        "--ifaddr",
        metavar="A,B",
        help="source addresses, for more than a port range of sessions",
    ),
    click.option(
        "--subscribers",
        default=1,
        metavar="N",
        help="so many get every message, and losses are counted (1)",
    ),
    click.option(
        "--shared-group",
        metavar="NAME",
        help="the subscribers are one group and share the messages",
    ),
    click.option(
        "--closed",
        is_flag=True,
        help="each session waits for its last "
        "acknowledgement, and time counts from the sending: hides stalls",
    ),
    click.option(
        "--alerts",
        is_flag=True,
        help="open a door four times a second, and time the alert of a monitor at that broker",
    ),
    click.option(
        "--sse",
        metavar="URL",
        help="the same on that monitor's page, http://127.0.0.1:8420, with --token-file",
    ),
    click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE"),
    click.option(
        "--drain",
        default=5.0,
        metavar="S",
        help="how long what is on its way may take at the end (5)",
    ),
    click.option(
        "--prefix",
        default="load",
        metavar="NAME",
        help="of client ids, and the site of the pumps (load)",
    ),
    click.option("-u", "--username", metavar="NAME"),
    click.option("--password-file", type=click.Path(path_type=Path), metavar="FILE"),
    click.option("--tls", is_flag=True, help="TLS, with the system's authorities"),
    click.option("--cacert", metavar="FILE", help="TLS, with this authority (PEM)"),
    click.option(
        "--i-own-this-broker",
        is_flag=True,
        help="a host that is not this machine may be put under load",
    ),
)


def plan_of(flags: dict[str, Any]) -> Plan:
    """The plan that the flags make. Raises ConfigError that names the flag."""
    values = dict(flags)
    values["connect_rate_s"] = values.pop("connrate")
    values["keep_alive_s"] = values.pop("keepalive")
    values["drain_s"] = values.pop("drain")
    values["ca_file"] = values.pop("cacert")
    values["tls"] = values["tls"] or values["ca_file"] is not None
    values["password"] = _secret("--password-file", values.pop("password_file"))
    values["sse_token"] = _secret("--token-file", values.pop("token_file"))
    addresses = values.pop("ifaddr")
    values["source_addresses"] = tuple(addresses.split(",")) if addresses else ()
    values["duration_s"] = _duration_s(values.pop("duration"), values)
    for name, value in values.items():
        field = next(each for each in msgspec.structs.fields(Plan) if each.name == name)
        try:
            values[name] = msgspec.convert(value, field.type)
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"{_FLAGS.get(name, '--' + name.replace('_', '-'))} {value}: {error}"
            ) from None
    return Plan(**values)


_FLAGS = {
    "connect_rate_s": "--connrate",
    "keep_alive_s": "--keepalive",
    "drain_s": "--drain",
    "duration_s": "--duration",
    "source_addresses": "--ifaddr",
}


def _duration_s(asked_s: float | None, values: dict[str, Any]) -> float:
    """What was asked for, or how long the scenario takes. Raises ConfigError."""
    name = values["scenario"]
    duration_ms = None if name is None else named_scenario(name).header.duration.ms
    if asked_s is not None:
        return asked_s
    if duration_ms is None:
        return DURATION_S
    speed: int = max(1, values["speed"])
    return min(float(limits.DURATION_S_MAX), duration_ms / 1_000 / speed)


def _secret(flag: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{flag} {file}: cannot be read: {error}") from None

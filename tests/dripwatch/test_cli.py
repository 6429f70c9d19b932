"""The command line: help, settings and their origins, and what is said about mistakes."""

import re

import pytest
from inline_snapshot import snapshot

from tests.brokers import free_port
from tests.dripwatch.commands import dripwatch


@pytest.mark.parametrize(
    "command",
    [
        "",
        "up",
        "simulate",
        "load",
        "replay",
        "monitor",
        "watch",
        "send",
        "act",
        "check-config",
        "scenario",
    ],
)
def test_every_command_explains_itself_and_its_limits(command: str) -> None:
    """--help works everywhere, and says that this is no medical device."""
    done = dripwatch(*command.split(), "--help")
    assert done.returncode == 0
    assert "a medical device" in done.stdout


def test_check_config_tells_every_value_and_its_origin() -> None:
    """Flag, environment, file and default: each value says where it comes from."""
    done = dripwatch(
        "check-config", "monitor", variables={"DRIPWATCH_MONITOR_STORE": "here.sqlite3"}
    )
    assert done.returncode == 0, done.stderr
    settings, _, policy = re.sub(" +#", "  #", done.stdout).partition("alerts, by ")
    assert policy.startswith("config/alerts.toml:\n  A HIGH alert that nobody takes calls ")
    assert settings == snapshot("""\
monitor:
  broker = "mqtt://127.0.0.1:1883"  # file config/monitor.toml
  mqtt = "5"  # file config/monitor.toml
  speed = 1  # file config/monitor.toml
  workers = 1  # file config/monitor.toml
  log_level = "info"  # file config/monitor.toml
  link.password_file = none  # default
  link.ca_file = none  # default
  link.cert_file = none  # default
  link.key_file = none  # default
  monitor.instance = "monitor-1"  # file config/monitor.toml
  monitor.store = "here.sqlite3"  # environment DRIPWATCH_MONITOR_STORE
  monitor.alerts = "alerts"  # file config/monitor.toml
  monitor.rate_max_ml_h = 1200  # file config/monitor.toml
  monitor.line_compliance_ml_mmhg = 0.001  # file config/monitor.toml
  monitor.free_pressure_mmhg = 50  # file config/monitor.toml
  monitor.occlusion_pressure_mmhg = 150  # file config/monitor.toml
  web.listen = ""  # default
  web.hosts = []  # default
  web.tls_cert_file = none  # default
  web.tls_key_file = none  # default
  web.behind_proxy = false  # default
  web.metrics_open = false  # default
  web.oidc.issuer = ""  # default
  web.oidc.client_id = ""  # default
  web.oidc.client_secret_file = none  # default
  web.oidc.roles_claim = "roles"  # default
  web.oidc.name_claim = "preferred_username"  # default
  web.oidc.scope = "openid profile"  # default
  web.oidc.roles = {}  # default
""")


def test_check_config_shows_all_kinds_at_once() -> None:
    """Without a kind, every kind of process is checked."""
    done = dripwatch("check-config")
    assert done.returncode == 0, done.stderr
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert heads == [
        "monitor:",
        "alerts, by config/alerts.toml:",
        "replay:",
        "simulator:",
        "up:",
    ]


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Three layers set the broker's port; the error of the winner shows which it was."""
    file = tmp_path_factory.mktemp("config") / "own.toml"
    file.write_text('broker = "mqtt://file:1"\n')
    variables = {"DRIPWATCH_BROKER": "mqtt://variable:2"}
    told = dripwatch("check-config", "simulator", "--config", str(file))
    assert 'broker = "mqtt://file:1"' in told.stdout
    told = dripwatch("check-config", "simulator", "--config", str(file), variables=variables)
    assert 'broker = "mqtt://variable:2"' in told.stdout
    told = dripwatch("watch", "--broker", "nonsense", variables=variables)
    assert "broker 'nonsense'" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "text"),
    [
        (
            ["up", "--speed", "0"],
            {},
            snapshot('2: dripwatch: flag --speed: "0" is not a number from 1 to 1000; example: 60'),
        ),
        (
            ["up", "--scenario", "dmo"],
            {},
            snapshot(
                "2: dripwatch: 'dmo' is not in config/scenarios; the nearest is demo; known: air-in-line, alarm-storm, bad-wire, bag-beyond-use, bag-mix-up, battery-night, battery-runs-out, bleeding, bolus-twice, bridging-to-warfarin, clearance-falls, clocks, counter-faults, demo, deviation-24h, forgotten-standby, free-flow, growing-occlusion, half-open, hit-day-7, hold, hold-overrun, hospital-days, intermittent-occlusion, keypad-school, level-off-course, library-bypassed, lumen-specimen, malformed-messages, missed-bag-change, missed-delivery, mixed-models, occlusion-forming, occlusions, order-change, order-not-applied, partial-occlusion, pounds-for-kilograms, quiet-day, reboot, reconnect-storm, repeat-occlusion, replayed-messages, reservoir-runs-out, reservoir-unexplained, restart-without-order, siphon, slow-drift, stuck-sensors, tenfold-error, therapy-on-two-pumps, two-pumps-one-name, units-for-ml, upstream-occlusion, week-at-home, wifi-night; a file of your own ends in .toml"
            ),
        ),
        (
            ["simulate", "--days", "1", "--cohort", "hom"],
            {},
            snapshot(
                "2: dripwatch: 'hom' is not in config/cohorts; the nearest is home; known: home, hospital; a file of your own ends in .toml"
            ),
        ),
        (
            ["up", "--days", "31"],
            {},
            snapshot(
                '2: dripwatch: flag --days: "31" is not a whole number from 0 to 30; example: 0'
            ),
        ),
        (
            ["simulate", "--broker", "http://127.0.0.1"],
            {},
            snapshot(
                "2: dripwatch: broker 'http://127.0.0.1': the scheme is 'http', not mqtt or mqtts; an example: mqtt://127.0.0.1:1883"
            ),
        ),
        (
            ["monitor"],
            {"DRIPWATCH_MONITOR_STOR": "x"},
            snapshot(
                "2: dripwatch: environment: DRIPWATCH_MONITOR_STOR is not a setting; the nearest is DRIPWATCH_MONITOR_STORE"
            ),
        ),
        (
            ["monitor", "--store", "/none/m.sqlite3", "--broker"],
            {},
            snapshot("2: Error: Option '--broker' requires an argument."),
        ),
        (
            ["monitor", "--alerts", "alrts"],
            {},
            snapshot(
                "2: dripwatch: 'alrts' is not in config; the nearest is alerts; known: alerts, monitor, replay, simulator, starts, up; a file of your own ends in .toml"
            ),
        ),
        (
            ["monitor", "--health", "--store", "none.sqlite3"],
            {},
            snapshot(
                "4: dripwatch: store none.sqlite3: there is no such file; is a monitor running on it?"
            ),
        ),
        (
            ["check-config", "--config", "x.toml"],
            {},
            snapshot("""\
2: Usage: dripwatch check-config [OPTIONS] [monitor|replay|simulator|up]
Try 'dripwatch check-config --help' for help.

Error: --config belongs to one KIND; say which: monitor, replay, simulator, up\
"""),
        ),
        (
            ["check-config", "up", "--config", "x.toml"],
            {},
            snapshot("2: dripwatch: x.toml: No such file or directory; give a TOML file"),
        ),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(
    arguments: list[str], variables: dict[str, str], text: str
) -> None:
    """Each mistake ends with its exit code, and one readable text on standard error."""
    done = dripwatch(*arguments, variables=variables)
    assert f"{done.returncode}: {done.stderr.strip()}" == text


def test_a_broker_that_is_not_there_is_named() -> None:
    """Exit code 3, the address, and why."""
    port = free_port()
    # However short it would have watched: nothing was watched.
    broker = f"mqtt://127.0.0.1:{port}"
    done = dripwatch("watch", "--broker", broker, "--for", "0.5", timeout_s=30)
    assert done.returncode == 3
    assert f"127.0.0.1:{port}" in done.stderr
    assert "refused" in done.stderr.lower()

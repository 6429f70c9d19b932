"""Settings: which layer wins, where each value came from, and what an error says."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from msgspec import Meta

from infusion.errors import ConfigError
from infusion.settings import Resolved, describe, environment_names, load_toml, resolve

FILE = "config/monitor.toml"


class Clock(msgspec.Struct, frozen=True):
    speed: Annotated[float, Meta(ge=1, le=1000)] = 1.0
    start: int | None = None


class Store(msgspec.Struct, frozen=True):
    path: str = "monitor.sqlite3"
    batch_max: Annotated[int, Meta(ge=1, le=65_535)] = 1000
    sync: bool = True
    mode: Literal["wal", "delete"] = "wal"
    sites: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True):
    broker: Annotated[
        str, Meta(pattern="^mqtts?://", description="an address mqtt://host:1883")
    ] = "mqtt://127.0.0.1:1883"
    password_file: str | None = None
    store: Store = Store()
    # Other defaults than the section's own.
    clock: Clock = Clock(speed=60.0)


def given_settings(
    toml: str = "",
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Resolved[Settings]:
    return resolve(
        Settings,
        file=load_toml(toml.encode(), FILE),
        file_name=FILE,
        environment=environment or {},
        flags=flags or {},
        elsewhere={"DRIPWATCH_FLEET_PUMPS"},
    )


def error_of(
    toml: str = "",
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> str:
    with pytest.raises(ConfigError) as caught:
        given_settings(toml, environment, flags)
    return str(caught.value)


# --- which layer wins ----------------------------------------------------------------------------


def test_without_any_layer_the_defaults_stand() -> None:
    resolved = given_settings()
    assert resolved.value == Settings()
    assert set(resolved.origin.values()) == {"default"}


def test_no_file_is_as_good_as_an_empty_one() -> None:
    resolved = resolve(Settings, file=None, file_name=FILE, environment={}, flags={})
    assert resolved == given_settings()


def test_each_layer_overrides_those_below_and_is_named() -> None:
    toml = "[store]\npath = 'file'\nbatch_max = 2\n[clock]\nspeed = 2"
    environment = {"DRIPWATCH_STORE_PATH": "variable", "DRIPWATCH_STORE_BATCH_MAX": "3"}
    resolved = given_settings(toml, environment, {"store.path": "flag", "store.batch_max": None})
    assert describe(resolved) == snapshot(
        [
            ("broker", '"mqtt://127.0.0.1:1883"', "default"),
            ("password_file", "none", "default"),
            ("store.path", '"flag"', "flag --path"),
            ("store.batch_max", "3", "environment DRIPWATCH_STORE_BATCH_MAX"),
            ("store.sync", "true", "default"),
            ("store.mode", '"wal"', "default"),
            ("store.sites", "[]", "default"),
            ("clock.speed", "2", "file config/monitor.toml"),
            ("clock.start", "none", "default"),
        ]
    )


@given(
    layers=st.fixed_dictionaries(
        {}, optional={name: st.integers(1, 65_535) for name in ("file", "environment", "flag")}
    )
)
@hypothesis_settings(deadline=None)
def test_of_any_layers_the_highest_wins(layers: dict[str, int]) -> None:
    toml = f"[store]\nbatch_max = {layers['file']}" if "file" in layers else ""
    environment = {"HOME": "/"}
    if "environment" in layers:
        environment["DRIPWATCH_STORE_BATCH_MAX"] = str(layers["environment"])
    resolved = given_settings(toml, environment, {"store.batch_max": layers.get("flag")})
    for layer in ("flag", "environment", "file"):
        if layer in layers:
            assert resolved.value.store.batch_max == layers[layer]
            assert resolved.origin["store.batch_max"].startswith(f"{layer} ")
            break
    else:
        assert resolved.value.store.batch_max == 1000
        assert resolved.origin["store.batch_max"] == "default"
    assert resolved.value == msgspec.structs.replace(
        Settings(), store=Store(batch_max=resolved.value.store.batch_max)
    )


@given(
    broker=st.from_regex(r"\Amqtts?://[a-z0-9.]{1,20}:[0-9]{1,5}\Z"),
    speed=st.floats(1, 1000),
    sync=st.booleans(),
    mode=st.sampled_from(["wal", "delete"]),
    start=st.none() | st.integers(0, 2**53),
)
@hypothesis_settings(deadline=None)
def test_what_a_file_can_say_the_environment_can_say(
    broker: str, speed: float, sync: bool, mode: Literal["wal", "delete"], start: int | None
) -> None:
    environment = {
        "DRIPWATCH_BROKER": broker,
        "DRIPWATCH_CLOCK_SPEED": repr(speed),
        "DRIPWATCH_CLOCK_START": "" if start is None else str(start),
        "DRIPWATCH_STORE_SYNC": str(sync).lower(),
        "DRIPWATCH_STORE_MODE": mode,
    }
    toml = "\n".join(
        [
            f'broker = "{broker}"',
            "[clock]",
            f"speed = {speed!r}",
            "" if start is None else f"start = {start}",
            "[store]",
            f"sync = {str(sync).lower()}",
            f'mode = "{mode}"',
        ]
    )
    assert given_settings(toml).value == given_settings(environment=environment).value


def test_an_empty_variable_means_none_where_none_is_allowed() -> None:
    resolved = given_settings('password_file = "p"', {"DRIPWATCH_PASSWORD_FILE": ""})
    assert resolved.value.password_file is None
    assert resolved.origin["password_file"] == "environment DRIPWATCH_PASSWORD_FILE"


def test_the_variables_of_other_processes_are_let_pass() -> None:
    assert given_settings(environment={"DRIPWATCH_FLEET_PUMPS": "20"}) == given_settings()


def test_the_variables_are_named_after_the_struct() -> None:
    assert environment_names(Settings) == snapshot(
        {
            "DRIPWATCH_BROKER": "broker",
            "DRIPWATCH_PASSWORD_FILE": "password_file",
            "DRIPWATCH_STORE_PATH": "store.path",
            "DRIPWATCH_STORE_BATCH_MAX": "store.batch_max",
            "DRIPWATCH_STORE_SYNC": "store.sync",
            "DRIPWATCH_STORE_MODE": "store.mode",
            "DRIPWATCH_STORE_SITES": "store.sites",
            "DRIPWATCH_CLOCK_SPEED": "clock.speed",
            "DRIPWATCH_CLOCK_START": "clock.start",
        }
    )


def test_a_list_comes_from_the_file() -> None:
    assert given_settings('[store]\nsites = ["a", "b"]').value.store.sites == ("a", "b")


def test_a_password_in_an_address_is_not_shown() -> None:
    secret = "mqtt://ward:hunter2@broker:1883"
    shown = {key: value for key, value, _ in describe(given_settings(flags={"broker": secret}))}
    assert shown["broker"] == '"mqtt://ward:***@broker:1883"'
    assert "hunter2" not in error_of(flags={"broker": secret.replace("mqtt:", "http:")})


# --- what an error says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (
            '[store]\nbatch_max = "abc"',
            snapshot(
                'config/monitor.toml: [store] batch_max: "abc" is not a whole number from 1 to 65535; example: 1000'
            ),
        ),
        (
            "[store]\nbatch_max = 0",
            snapshot(
                "config/monitor.toml: [store] batch_max: 0 is not a whole number from 1 to 65535; example: 1000"
            ),
        ),
        (
            "[store]\nsync = 1",
            snapshot("config/monitor.toml: [store] sync: 1 is not true or false; example: true"),
        ),
        (
            '[store]\nmode = "wall"',
            snapshot(
                'config/monitor.toml: [store] mode: "wall" is not one of "delete", "wal"; example: "wal"'
            ),
        ),
        (
            "[store]\npath = 3",
            snapshot(
                'config/monitor.toml: [store] path: 3 is not text; example: "monitor.sqlite3"'
            ),
        ),
        (
            "[store]\nsites = [1]",
            snapshot(
                "config/monitor.toml: [store] sites: [1] does not fit: Expected `str`, got `int` - at `$[0]`"
            ),
        ),
        (
            "[clock]\nspeed = nan",
            snapshot(
                "config/monitor.toml: [clock] speed: nan is not a number from 1 to 1000; example: 60"
            ),
        ),
        (
            "[clock]\nstart = 1.5",
            snapshot("config/monitor.toml: [clock] start: 1.5 is not a whole number"),
        ),
        (
            'broker = "localhost"',
            snapshot(
                'config/monitor.toml: broker: "localhost" is not an address mqtt://host:1883; example: "mqtt://127.0.0.1:1883"'
            ),
        ),
        (
            'broke = "mqtt://localhost"',
            snapshot("config/monitor.toml: broke is not a setting; the nearest is broker"),
        ),
        (
            "[store]\nbatchmax = 1",
            snapshot(
                "config/monitor.toml: store.batchmax is not a setting; the nearest is store.batch_max"
            ),
        ),
        (
            "[stor]\nbatch_max = 1",
            snapshot("config/monitor.toml: [stor] is not a setting; the nearest is [store]"),
        ),
        (
            'store = "here.sqlite3"',
            snapshot('config/monitor.toml: store: "here.sqlite3" is not a table; write [store]'),
        ),
    ],
)
def test_what_is_wrong_in_a_file(toml: str, text: str) -> None:
    assert error_of(toml) == text


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        (
            "STORE_BATCH_MAX",
            "many",
            snapshot(
                'environment DRIPWATCH_STORE_BATCH_MAX: "many" is not a whole number from 1 to 65535; example: 1000'
            ),
        ),
        (
            "STORE_BATCH_MAX",
            "",
            snapshot(
                'environment DRIPWATCH_STORE_BATCH_MAX: "" is not a whole number from 1 to 65535; example: 1000'
            ),
        ),
        (
            "STORE_SYNC",
            "yes",
            snapshot('environment DRIPWATCH_STORE_SYNC: "yes" is not true or false; example: true'),
        ),
        (
            "STORE_SITES",
            "a,b",
            snapshot("environment DRIPWATCH_STORE_SITES: lists and tables are given in a file"),
        ),
        (
            "CLOCK_SPEED",
            "inf",
            snapshot(
                'environment DRIPWATCH_CLOCK_SPEED: "inf" is not a number from 1 to 1000; example: 60'
            ),
        ),
        (
            "CLOCK_START",
            "now",
            snapshot('environment DRIPWATCH_CLOCK_START: "now" is not a whole number'),
        ),
        (
            "STORE_BATHC_MAX",
            "3",
            snapshot(
                "environment: DRIPWATCH_STORE_BATHC_MAX is not a setting; the nearest is DRIPWATCH_STORE_BATCH_MAX"
            ),
        ),
        (
            "FLEET_PUMP",
            "3",
            snapshot(
                "environment: DRIPWATCH_FLEET_PUMP is not a setting; the nearest is DRIPWATCH_FLEET_PUMPS"
            ),
        ),
    ],
)
def test_what_is_wrong_in_the_environment(variable: str, value: str, text: str) -> None:
    assert error_of(environment={f"DRIPWATCH_{variable}": value}) == text


def test_what_is_wrong_in_a_flag() -> None:
    assert error_of(flags={"clock.speed": 5000.0, "store.batch_max": "x"}) == snapshot("""\
flag --speed: 5000 is not a number from 1 to 1000; example: 60
flag --batch-max: "x" is not a whole number from 1 to 65535; example: 1000\
""")


def test_everything_that_is_wrong_is_said_at_once_even_where_it_is_overridden() -> None:
    toml = "spede = 1\n[store]\nbatch_max = 'abc'\nsync = 'on'"
    assert error_of(toml, {"DRIPWATCH_STORE_BATCH_MAX": "5", "DRIPWATCH_X": ""}) == snapshot("""\
config/monitor.toml: spede is not a setting; the nearest is clock.speed
config/monitor.toml: [store] batch_max: "abc" is not a whole number from 1 to 65535; example: 1000
config/monitor.toml: [store] sync: "on" is not true or false; example: true
environment: DRIPWATCH_X is not a setting; the nearest is DRIPWATCH_BROKER\
""")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"[store]\npath = \n", snapshot("config/monitor.toml: line 2, column 8: Invalid value")),
        (b"a = [1", snapshot("config/monitor.toml: end of document: Unclosed array")),
        (
            b"a = 1\nb = '\xff'",
            snapshot("config/monitor.toml: line 2: this is not UTF-8 text; save it as UTF-8"),
        ),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(data: bytes, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_toml(data, FILE)
    assert str(caught.value) == text


class Bounds(msgspec.Struct, frozen=True):
    low: Annotated[float, Meta(gt=0)]
    high: Annotated[int, Meta(lt=9)] = 5

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")


class Needy(msgspec.Struct, frozen=True):
    bounds: Bounds
    name: Annotated[str, Meta(min_length=1, max_length=8)]


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (
            "",
            snapshot("""\
bounds.low is not set; give it in config/monitor.toml, by DRIPWATCH_BOUNDS_LOW or by --low
name is not set; give it in config/monitor.toml, by DRIPWATCH_NAME or by --name\
"""),
        ),
        (
            "name = ''\n[bounds]\nlow = 0",
            snapshot("""\
config/monitor.toml: name: "" is not text of at least 1 and at most 8 characters
config/monitor.toml: [bounds] low: 0 is not a number above 0\
"""),
        ),
        (
            "name = 'x'\n[bounds]\nlow = 6\nhigh = 9",
            snapshot(
                "config/monitor.toml: [bounds] high: 9 is not a whole number below 9; example: 5"
            ),
        ),
        ("name = 'x'\n[bounds]\nlow = 6", snapshot("[bounds]: low (6.0) is above high (5)")),
    ],
)
def test_what_must_be_given_and_must_agree(toml: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(
            Needy, file=load_toml(toml.encode(), FILE), file_name=FILE, environment={}, flags={}
        )
    assert str(caught.value) == text


def test_a_flag_without_a_setting_is_the_programmers_error() -> None:
    with pytest.raises(AssertionError, match=r"clock\.sped belongs to no setting"):
        given_settings(flags={"clock.sped": 1})

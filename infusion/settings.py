"""Settings in four layers: flag > environment > file > default, each value with its origin.

A kind of process has ONE root Struct (frozen, every field with a type). Its fields are plain
settings or sections (Structs themselves; one level is enough):

    class Clock(msgspec.Struct, frozen=True):
        speed: Annotated[float, Meta(ge=1, le=1000)] = 1.0

    class SimulatorSettings(msgspec.Struct, frozen=True):
        broker: str = "mqtt://127.0.0.1:1883"  # file: broker; DRIPWATCH_BROKER; --broker
        clock: Clock = Clock()  # file: speed in [clock]; DRIPWATCH_CLOCK_SPEED; --speed

Everything else follows from the Struct: the key `clock.speed`, the variable, the range, the
example in an error. All that is wrong in all layers is told at once, one problem a line. A value
is checked even where a higher layer overrides it, because a file that is wrong is wrong.

Nothing here reads a file or the process's environment: the caller passes both in.
"""

import difflib
import itertools
import math
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

from infusion.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

PREFIX = "DRIPWATCH"

_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s\"]*):[^@\s\"]*@")


class Resolved(msgspec.Struct, Generic[T], frozen=True):
    """The settings, and for each dotted key the layer that gave its value."""

    value: T
    origin: dict[str, str]


class _Setting(NamedTuple):
    """One leaf of the root Struct. `default` is `msgspec.NODEFAULT` for a required one."""

    key: str
    kind: Any
    default: object
    variable: str


class _Given(NamedTuple):
    """A value that one layer gives. `place` starts its errors, `origin` goes to the reader.

    `is_text` means that a number or truth value may arrive as its text.
    """

    key: str
    raw: object
    is_text: bool
    place: str
    origin: str


def resolve(
    kind: type[T],
    *,
    file: Mapping[str, object] | None,
    file_name: str,
    environment: Mapping[str, str],
    flags: Mapping[str, object],
    prefix: str = PREFIX,
    elsewhere: Collection[str] = (),
) -> Resolved[T]:
    """Lay the layers over one another and check every value.

    `file` is parsed TOML (None: no file), `flags` maps dotted keys to values (None: not given).
    `elsewhere` names the variables with the prefix that other kinds of process understand; make
    it with `environment_names`. Raises ConfigError that lists every problem, one a line.
    """
    known = _known_settings(kind, prefix)
    problems: list[str] = []
    layers = itertools.chain(
        _from_file(known, file or {}, file_name, problems),
        _from_environment(known, environment, prefix, elsewhere, problems),
        _from_flags(known, flags),
    )
    values = {key: s.default for key, s in known.items() if s.default is not msgspec.NODEFAULT}
    origin = dict.fromkeys(values, "default")
    for given in layers:
        setting = known[given.key]
        try:
            values[given.key] = _converted(setting, given.raw, is_text=given.is_text)
        except ValueError as error:
            problems.append(f"{given.place}: {error}")
        origin[given.key] = given.origin
    problems += [
        f"{key} is not set; give it in {file_name}, by {setting.variable} or by {_flag(key)}"
        for key, setting in known.items()
        if key not in origin
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return Resolved(_built(kind, values), {key: origin[key] for key in known})


def environment_names(kind: type[msgspec.Struct], prefix: str = PREFIX) -> dict[str, str]:
    """Every environment variable that `kind` understands, with its dotted key."""
    return {s.variable: s.key for s in _known_settings(kind, prefix).values()}


def describe(resolved: Resolved[T]) -> list[tuple[str, str, str]]:
    """(dotted key, value as TOML text, origin) of every setting, in the Struct's order.

    A password inside a URL is shown as `***`.
    """
    rows = []
    for key, origin in resolved.origin.items():
        value: object = resolved.value
        for name in key.split("."):
            value = getattr(value, name)
        rows.append((key, _shown(value), origin))
    return rows


def load_toml(data: bytes, name: str) -> dict[str, object]:
    """Parse the bytes of a TOML file. Raises ConfigError with `name`, line and column."""
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}: line {line}: this is not UTF-8 text; save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).removesuffix(")").partition(" (at ")
        raise ConfigError(f"{name}: {where}: {what}") from None


# --- what the Struct says ----------------------------------------------------------------------


def _known_settings(kind: type[msgspec.Struct], prefix: str) -> dict[str, _Setting]:
    known: dict[str, _Setting] = {}
    for key, leaf_kind, default in _leaves(kind, msgspec.NODEFAULT, ""):
        variable = "_".join([prefix, *key.split(".")]).upper()
        known[key] = _Setting(key, leaf_kind, default, variable)
    assert len({s.variable for s in known.values()}) == len(known), "two settings, one variable"
    return known


def _leaves(
    kind: type[msgspec.Struct], defaults: object, path: str
) -> Iterator[tuple[str, Any, object]]:
    """(key, type, default) of each leaf. `defaults` is what the parent gives for this section:
    the root may want other defaults than the section's class has."""
    for field in msgspec.structs.fields(kind):
        if defaults is not msgspec.NODEFAULT:
            default = getattr(defaults, field.name)
        elif field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        else:
            default = field.default
        if _is_section(field.type):
            yield from _leaves(field.type, default, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", field.type, default


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _built(kind: type[T], values: Mapping[str, object], path: str = "") -> T:
    """The Struct. A ValueError of its `__post_init__` (settings that contradict) is told on."""
    arguments = {
        field.name: _built(field.type, values, f"{path}{field.name}.")
        if _is_section(field.type)
        else values[f"{path}{field.name}"]
        for field in msgspec.structs.fields(kind)
    }
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ConfigError(f"[{path[:-1]}]: {error}" if path else str(error)) from error


# --- what each layer gives ---------------------------------------------------------------------


def _from_file(
    known: Mapping[str, _Setting],
    table: Mapping[str, object],
    file_name: str,
    problems: list[str],
    section: str = "",
) -> Iterator[_Given]:
    sections = {key.rpartition(".")[0] for key in known} - {""}
    for name, raw in table.items():
        key = f"{section}.{name}" if section else name
        if key in known:
            place = f"{file_name}: [{section}] {name}" if section else f"{file_name}: {name}"
            yield _Given(key, raw, False, place, f"file {file_name}")
        elif key in sections and isinstance(raw, Mapping):
            yield from _from_file(known, raw, file_name, problems, key)
        elif key in sections:
            problems.append(f"{file_name}: {key}: {_shown(raw)} is not a table; write [{key}]")
        else:
            unknown = f"[{key}]" if isinstance(raw, Mapping) else key
            valid = [*known, *(f"[{section}]" for section in sections)]
            problems.append(f"{file_name}: {_unknown(unknown, valid)}")


def _from_environment(
    known: Mapping[str, _Setting],
    environment: Mapping[str, str],
    prefix: str,
    elsewhere: Collection[str],
    problems: list[str],
) -> Iterator[_Given]:
    by_variable = {setting.variable: setting.key for setting in known.values()}
    for variable, raw in sorted(environment.items()):
        if variable in by_variable:
            place = f"environment {variable}"
            yield _Given(by_variable[variable], raw, True, place, place)
        elif variable.startswith(f"{prefix}_") and variable not in elsewhere:
            problems.append(f"environment: {_unknown(variable, [*by_variable, *elsewhere])}")


def _from_flags(known: Mapping[str, _Setting], flags: Mapping[str, object]) -> Iterator[_Given]:
    for key, raw in flags.items():
        assert key in known, f"the flag for {key} belongs to no setting"
        if raw is not None:
            place = f"flag {_flag(key)}"
            yield _Given(key, raw, isinstance(raw, str), place, place)


def _flag(key: str) -> str:
    return "--" + key.rpartition(".")[2].replace("_", "-")


def _unknown(name: str, valid: Iterable[str]) -> str:
    def likeness(candidate: str) -> float:
        # A key in the wrong section counts as near: its last name alone may be right.
        pairs = (name, candidate), (name.rpartition(".")[2], candidate.rpartition(".")[2])
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    return f"{name} is not a setting; the nearest is {max(sorted(valid), key=likeness)}"


# --- one value ---------------------------------------------------------------------------------


def _converted(setting: _Setting, raw: object, *, is_text: bool) -> object:
    """`raw` as the setting's type. Raises ValueError that says what would be right."""
    kind = inspect.type_info(setting.kind)
    is_optional = isinstance(kind, inspect.UnionType) and kind.includes_none
    if is_text and raw == "" and is_optional:
        return None
    try:
        value = msgspec.convert(raw, setting.kind, strict=not is_text)
    except msgspec.ValidationError as error:
        wanted = _wanted(kind)
        if wanted is None and is_text:
            raise ValueError("lists and tables are given in a file") from None
        if wanted is None:
            raise ValueError(f"{_shown(raw)} does not fit: {error}") from None
    else:
        if not isinstance(value, float) or math.isfinite(value):
            return value
        wanted = "a finite number"
    text = f"{_shown(raw)} is not {wanted}"
    if isinstance(setting.default, str | int | float):
        text += f"; example: {_shown(setting.default)}"
    raise ValueError(text)


def _wanted(kind: inspect.Type) -> str | None:
    """What a value of this type must be, in words; None for types other than plain ones."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            return (schema or {}).get("description") or _wanted(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(kind)
        case inspect.FloatType():
            return "a number" + _range(kind)
        case inspect.StrType():
            return "text" + _form(kind)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(_shown(value) for value in values)
        case inspect.UnionType(types=members):
            words = [_wanted(m) for m in members if not isinstance(m, inspect.NoneType)]
            return None if None in words else " or ".join(word for word in words if word)
    return None


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {_shown(kind.ge)} to {_shown(kind.le)}"
    limits = {"at least": kind.ge, "above": kind.gt, "at most": kind.le, "below": kind.lt}
    return " and".join(f" {words} {_shown(x)}" for words, x in limits.items() if x is not None)


def _form(kind: inspect.StrType) -> str:
    if kind.pattern is not None:
        return f" of the form {kind.pattern}"
    limits = {"at least": kind.min_length, "at most": kind.max_length}
    said = " and".join(f" {words} {x}" for words, x in limits.items() if x is not None)
    return f" of{said} characters" if said else ""


def _shown(value: object) -> str:
    """`value` as TOML would write it, without the password of a URL."""
    if value is None:
        return "none"
    if isinstance(value, float):
        # JSON has no nan and no inf; and 60.0 reads better as 60.
        return f"{value:.15g}"
    return _PASSWORD_IN_URL.sub(r"\1:***@", msgspec.json.encode(value).decode())

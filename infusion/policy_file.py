"""A policy out of a TOML file, refused where it could not be followed safely.

Each error names the file, the table and the key, what is wrong and what would be right.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, structs

from infusion.alarms import Priority
from infusion.errors import ConfigError
from infusion.handling import DEFAULT, WEEKDAYS, Flapping, Handling, Hours, Offset, People
from infusion.policy import (
    CallLevel,
    Escalation,
    Failsafe,
    Layer,
    Override,
    Policy,
    RuleChange,
    Said,
    laid,
    policy_of,
)
from infusion.prescription import Name
from infusion.rules import RULES
from infusion.settings import load_toml
from infusion.tables import nearest, read_table
from infusion.thresholds import Thresholds
from infusion.units import MS_PER_MINUTE

S = TypeVar("S", bound=Struct)

LEVELS_MAX = 8
TABLES_MAX = 1_000
MS_PER_DAY = 86_400_000

# What a table may hold that changes how alerts are handled. Who is called is the site's to say.
_ANYWHERE = ("thresholds", "rules", "people", "flapping", "latching")
_OF_A_SITE = (*_ANYWHERE, "hours", "call", "failsafe")
_TOP = ("zone", "rota", *_OF_A_SITE, "site", "therapy", "override")
_OVERRIDE = ("site", "therapy", "until", "by", "reason")

ZoneOffsets = Callable[[str], Sequence[Offset]]


class _HoursTable(Struct, frozen=True, kw_only=True):
    days: tuple[str, ...] = WEEKDAYS[:5]
    from_: Annotated[str, Meta(pattern=r"^\d\d:\d\d$")] = "08:00"
    to: Annotated[str, Meta(pattern=r"^\d\d:\d\d$")] = "17:00"


class _OverrideTable(Struct, frozen=True, kw_only=True):
    therapy: Name
    by: Said
    reason: Said
    site: Name | None = None


class _Reader(Struct):
    """What is the same for the whole file while it is read."""

    name: str
    offsets: tuple[Offset, ...]
    escalation: Escalation
    hours: Hours


def utc_only(zone: str) -> Sequence[Offset]:
    """The offsets of UTC; any other zone must be looked up by whoever reads the file."""
    if zone != "UTC":
        raise ConfigError(f"the time zone {zone!r} is not known here; give 'UTC'")
    return ()


def read_policy(data: bytes, name: str, zone_offsets: ZoneOffsets = utc_only) -> Policy:
    """The policy in the bytes of a TOML file called `name`.

    `zone_offsets` gives the local time of the zone that the file names, as instants and minutes
    ahead of UTC from then on, the oldest first; it raises ConfigError for an unknown zone. Raises
    ConfigError that names the file, the table and the key.
    """
    table = load_toml(data, name)
    _check_keys(table, _TOP, name)
    zone = table.get("zone", "UTC")
    if not isinstance(zone, str):
        raise ConfigError(f"{name}: key 'zone': {zone!r} is not text; give a name like 'UTC'")
    try:
        offsets = tuple(zone_offsets(zone))
    except ConfigError as error:
        raise ConfigError(f"{name}: key 'zone': {error}") from None
    rota = table.get("rota", "")
    if not isinstance(rota, str):
        raise ConfigError(f"{name}: key 'rota': {rota!r} is not text; give a name like 'example'")
    reader = _Reader(name, offsets, Escalation(), Hours(offsets=offsets))
    everybody = _layer(reader, {k: v for k, v in table.items() if k in _OF_A_SITE}, "", DEFAULT)
    if everybody.hours is None:
        everybody = structs.replace(everybody, hours=reader.hours)
    assert everybody.hours is not None
    reader.hours = everybody.hours
    reader.escalation = everybody.escalation or reader.escalation
    base = laid(DEFAULT, [everybody])
    sites = {
        key: _layer(reader, each, f"[site.{key}]", base, _OF_A_SITE)
        for key, each in _tables(reader, table, "site")
    }
    therapies = {
        key: _layer(reader, each, f"[therapy.{key}]", base, _ANYWHERE)
        for key, each in _tables(reader, table, "therapy")
    }
    overrides = [
        _override(reader, each, f"[[override]] {number}", base)
        for number, each in enumerate(_list(reader, table, "override", TABLES_MAX), start=1)
    ]
    try:
        return policy_of(everybody, sites, therapies, overrides, zone, rota)
    except ConfigError as error:
        raise ConfigError(f"{name}: tables that hold for one pump together: {error}") from None


def _layer(
    reader: _Reader,
    table: Mapping[str, Any],
    where: str,
    base: Handling,
    allowed: Collection[str] = _OF_A_SITE,
) -> Layer:
    """One table as a layer; it is tried out over what it changes."""
    place = f"{reader.name}: {where}".removesuffix(" ").removesuffix(":")
    _check_keys(table, allowed, place)
    rules = {
        key: _rule(reader, key, each, _below(reader, where, f"rules.{key}"), base)
        for key, each in _table(table, "rules", place).items()
    }
    layer = Layer(
        thresholds=_given(Thresholds, table, "thresholds", reader, where),
        people=_given(People, table, "people", reader, where),
        flapping=_given(Flapping, table, "flapping", reader, where),
        rules=rules,
        latching=_latching(table, place),
        escalation=_escalation(reader, table, where),
        hours=_hours(reader, table, where),
    )
    try:
        laid(base, [layer])
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    return layer


def _below(reader: _Reader, where: str, what: str) -> str:
    """The place of a table inside a table: `[site.home.rules.over-delivery]`."""
    outer, _, number = where.removeprefix("[").partition("]")
    return f"{reader.name}: [{outer}.{what}]{number}" if outer else f"{reader.name}: [{what}]"


def _given(
    kind: type[S], table: Mapping[str, Any], key: str, reader: _Reader, where: str
) -> dict[str, Any]:
    """The values of one table that are given, checked as fields of their Struct."""
    place = _below(reader, where, key)
    given = _table(table, key, place)
    read = read_table(kind, _finite(given, place), place)
    return {name: getattr(read, name) for name in given}


def _rule(reader: _Reader, key: str, table: object, place: str, base: Handling) -> RuleChange:
    if key not in RULES:
        raise ConfigError(f"{place}: there is no rule {key!r}; {nearest(key, RULES)}")
    change = read_table(RuleChange, _finite(_as_table(table, place), place), place)
    try:
        laid(base, [Layer(rules={key: change})])
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    return change


def _latching(table: Mapping[str, Any], place: str) -> frozenset[Priority] | None:
    given = table.get("latching")
    if given is None:
        return None
    known = [each.value for each in Priority]
    if not isinstance(given, list) or not all(each in known for each in given):
        raise ConfigError(
            f"{place}: key 'latching': {given!r} is not a list of priorities;"
            f" known are {', '.join(known)}"
        )
    return frozenset(Priority(each) for each in given)


def _escalation(reader: _Reader, table: Mapping[str, Any], where: str) -> Escalation | None:
    if "call" not in table and "failsafe" not in table:
        return None
    levels, failsafe = reader.escalation.levels, reader.escalation.failsafe
    if "call" in table:
        rows = _list(reader, table, "call", LEVELS_MAX)
        levels = tuple(
            _row(CallLevel, row, f"{_below(reader, where, 'call')} {number}")
            for number, row in enumerate(rows, start=1)
        )
    if "failsafe" in table:
        failsafe = _row(Failsafe, table["failsafe"], _below(reader, where, "failsafe"))
    return Escalation(levels=levels, failsafe=failsafe)


def _row(kind: type[S], table: object, place: str) -> S:
    return read_table(kind, _finite(_as_table(table, place), place), place)


def _hours(reader: _Reader, table: Mapping[str, Any], where: str) -> Hours | None:
    if "hours" not in table:
        return None
    place = _below(reader, where, "hours")
    given = dict(_as_table(table["hours"], place))
    _check_keys(given, ("days", "from", "to"), place)
    if "from" in given:
        given["from_"] = given.pop("from")
    read = read_table(_HoursTable, given, place)
    for day in read.days:
        if day not in WEEKDAYS:
            raise ConfigError(f"{place}: key 'days': {day!r} is no day; {nearest(day, WEEKDAYS)}")
    from_minute, to_minute = (_minute(text, place) for text in (read.from_, read.to))
    if to_minute <= from_minute:
        raise ConfigError(f"{place}: key 'to': {read.to} is not after {read.from_}")
    return Hours(
        weekdays=tuple(sorted({WEEKDAYS.index(day) for day in read.days})),
        from_minute=from_minute,
        to_minute=to_minute,
        offsets=reader.offsets,
    )


def _minute(text: str, place: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise ConfigError(f"{place}: {text!r} is no time of day; give 00:00 to 24:00")
    return hours * 60 + minutes


def _override(reader: _Reader, table: Mapping[str, Any], where: str, base: Handling) -> Override:
    place = f"{reader.name}: {where}"
    _check_keys(table, (*_OVERRIDE, *_ANYWHERE), place)
    head = {key: table[key] for key in _OVERRIDE if key in table and key != "until"}
    if "until" not in table:
        raise ConfigError(f"{place}: the key 'until' is missing; add a date")
    read = read_table(_OverrideTable, head, place)
    until_ms, until = _until(reader, table["until"], place)
    rest = {key: value for key, value in table.items() if key not in _OVERRIDE}
    return Override(
        therapy=read.therapy,
        site=read.site,
        by=read.by,
        reason=read.reason,
        until_ms=until_ms,
        until=until,
        layer=_layer(reader, rest, f"[override] {where.split()[-1]}", base, _ANYWHERE),
    )


def _until(reader: _Reader, given: object, place: str) -> tuple[int, str]:
    """When an override ends: a date means the end of that day, by the file's zone."""
    if isinstance(given, datetime):
        if given.tzinfo is not None:
            return round(given.timestamp() * 1_000), given.isoformat(" ")
        local_ms = round(given.replace(tzinfo=UTC).timestamp() * 1_000)
        return _utc_ms(reader, local_ms), given.isoformat(" ")
    if isinstance(given, date):
        days = (given - date(1970, 1, 1)).days + 1
        return _utc_ms(reader, days * MS_PER_DAY), f"the end of {given.isoformat()}"
    raise ConfigError(f"{place}: key 'until': {given!r} is not a date; write 2026-12-31")


def _utc_ms(reader: _Reader, local_ms: int) -> int:
    clock = Hours(offsets=reader.offsets)
    guess_ms = local_ms - clock.offset_min(local_ms) * MS_PER_MINUTE
    return local_ms - clock.offset_min(guess_ms) * MS_PER_MINUTE


# --- tables as TOML has them ---------------------------------------------------------------------


def _check_keys(table: Mapping[str, Any], allowed: Collection[str], place: str) -> None:
    for key in table:
        if key not in allowed:
            raise ConfigError(f"{place}: the key {key!r} is unknown; {nearest(key, allowed)}")


def _tables(
    reader: _Reader, table: Mapping[str, Any], kind: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = _table(table, kind, reader.name)
    if len(found) > TABLES_MAX:
        raise ConfigError(f"{reader.name}: [{kind}]: more than {TABLES_MAX} tables")
    for key, each in found.items():
        yield key, _as_table(each, f"{reader.name}: [{kind}.{key}]")


def _table(table: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    return _as_table(table.get(key, {}), f"{place}: key {key!r}")


def _as_table(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: {value!r} is not a table; write keys and values")
    return value


def _list(
    reader: _Reader, table: Mapping[str, Any], key: str, most: int
) -> list[Mapping[str, Any]]:
    given = table.get(key, [])
    place = f"{reader.name}: [[{key}]]"
    if not isinstance(given, list):
        raise ConfigError(f"{place}: {given!r} is not a list of tables; write [[{key}]]")
    if len(given) > most:
        raise ConfigError(f"{place}: {len(given)} tables are more than {most}")
    return [_as_table(each, f"{place} {number}") for number, each in enumerate(given, start=1)]


def _finite(table: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """TOML knows nan and inf; no number of a policy may be one."""
    for key, value in table.items():
        if isinstance(value, float) and not (value - value == 0.0):
            raise ConfigError(f"{place}: key {key!r}: {value} is not a finite number")
    return table

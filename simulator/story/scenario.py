"""Scenarios: timelines in TOML that say what happens to which pump, and what a monitor must find.

A file holds a title and any number of tables; all times are `"HH:MM"` or `"HH:MM:SS"` from the
start of the scenario. A `pump` is `"P-03"`, a list of such, or `"all"`.

    title = "An occlusion"
    pumps = 20                 # how many pumps there are, unless the command line says otherwise
    duration = "01:00"         # how long the scenario goes on
    quiet = true               # pumps on which no alert is expected must raise none
    protocol = "home-heparin"  # who draws blood and changes doses; without it nobody does
    carer = "home"             # optional: who answers alarms, a name in config/cohorts or a file

    [[patient]]                # optional: who is on a pump; what is left out is drawn by chance
    pump = "P-03"
    weight_kg = 80
    dose_iu_kg_h = 15          # or dose_iu_h
    reservoir_ml = 250

    [[fault]]                  # something breaks: see FAULTS
    at = "00:04"
    until = "00:10"
    pump = "P-03"
    do = "occlusion"

    [[action]]                 # somebody does something at the pump: see ACTIONS
    at = "00:11"
    pump = "P-03"
    do = "restart"

    [[order]]                  # the prescriber changes the order: see ORDERS
    at = "00:20"
    pump = "P-04"
    do = "rate"
    dose_iu_kg_h = 14
    applied_after = "00:05"    # when somebody programs the pump; "never" is possible

    [[event]]                  # something befalls a patient or the laboratory: see PATIENT_EVENTS
    at = "72:00"
    pump = "P-05"
    do = "hit"

    [[expect]]                 # what the monitor must do
    pump = "P-03"
    rule = "downstream-occlusion"
    raised = ["00:05", "00:08"]
    cleared_by = "00:13"       # optional, as are priority = "high" and, instead, never = true

Everything that is wrong in a file is a ConfigError that names file, table and key.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from infusion.errors import ConfigError
from infusion.messages import Word
from infusion.settings import load_toml
from infusion.tables import nearest
from simulator.story.actions import ACTIONS, ProgramRate
from simulator.story.entries import ALL, NOBODY, Entry, Expectation, Patient
from simulator.story.faults import FAULTS
from simulator.story.orders import NEVER, ORDERS, Order, OrderRate, OrderStart
from simulator.story.patient_events import PATIENT_EVENTS
from simulator.story.reading import Offset, parse_offset, read_table
from simulator.story.ward_file import WardFile

E = TypeVar("E", bound=Entry)

PUMPS_MAX = 1_000_000


class Header(Struct, frozen=True, kw_only=True):
    """What stands above the tables of a scenario.

    `quiet`: pumps on which no alert is expected must raise none; notices do not count. `carer`:
    who answers alarms, by the [care] of a cohort: its name in config/cohorts, or a file.
    `protocol`: who draws blood and changes doses, a name in config/protocols; "none" for nobody.

    `library` is a name in config/libraries, "" for none. The last three are how its pumps are set
    up: see simulator.pump.Behaviour.
    """

    title: str = ""
    description: str = ""
    pumps: Annotated[int, Meta(ge=1, le=PUMPS_MAX)] = 20
    duration: Offset = Offset(3_600_000)
    quiet: bool = False
    protocol: Word = NOBODY
    carer: str | None = None
    library: str = "home-heparin"
    double_check: bool = False
    auto_restarts: Annotated[int, Meta(ge=0, le=9)] | None = None
    near_end_min: Annotated[float, Meta(ge=0, le=240)] = 0.0


class Scenario(Struct, frozen=True, kw_only=True):
    """A whole scenario. `name` is where it came from, for errors.

    `ward` is the cohort whose carer answers alarms; without it nobody does.
    """

    name: str
    header: Header = Header()
    patients: tuple[Patient, ...] = ()
    faults: tuple[Entry, ...] = ()
    actions: tuple[Entry, ...] = ()
    orders: tuple[Order, ...] = ()
    events: tuple[Entry, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    ward: WardFile | None = None


def read_scenario(data: bytes, name: str) -> Scenario:
    """The scenario in the bytes of a TOML file called `name`.

    Raises ConfigError that names file, table and key, what is wrong and what would be right.
    """
    document = load_toml(data, name)
    tables: dict[str, list[Mapping[str, Any]]] = {
        key: [] for key in ("patient", "fault", "action", "order", "event", "expect")
    }
    head: dict[str, Any] = {}
    known_keys = {field.name for field in msgspec.structs.fields(Header)} | tables.keys()
    for key, value in document.items():
        if key not in known_keys:
            raise ConfigError(f"{name}: the key {key!r} is unknown; {nearest(key, known_keys)}")
        if key not in tables:
            head[key] = value
        elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
            tables[key] = value
        else:
            raise ConfigError(f"{name}: {key} is not a list of tables; write [[{key}]] above it")
    return Scenario(
        name=name,
        header=read_table(Header, head, name),
        patients=tuple(
            _checked_patient(read_table(Patient, table, place), place)
            for table, place in _places(name, "patient", tables["patient"])
        ),
        faults=_entries(name, "fault", tables["fault"], FAULTS),
        actions=_entries(name, "action", tables["action"], ACTIONS),
        orders=_entries(name, "order", tables["order"], ORDERS),
        events=_entries(name, "event", tables["event"], PATIENT_EVENTS),
        expectations=tuple(
            _checked_expectation(read_table(Expectation, table, place), place)
            for table, place in _places(name, "expect", tables["expect"])
        ),
    )


def _places(
    name: str, key: str, tables: list[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], str]]:
    return [(table, f"{name}: [[{key}]] {number}") for number, table in enumerate(tables, start=1)]


def _entries(
    name: str, key: str, tables: list[Mapping[str, Any]], kinds: Mapping[str, type[E]]
) -> tuple[E, ...]:
    entries = []
    for table, number in _places(name, key, tables):
        rest = dict(table)
        word = rest.pop("do", None)
        if word is None:
            raise ConfigError(f"{number}: the key 'do' is missing; known are {', '.join(kinds)}")
        if not isinstance(word, str) or word not in kinds:
            raise ConfigError(
                f"{number}: key 'do': {word!r} is unknown; {nearest(str(word), kinds)}"
            )
        place = f"{number} (do = {word!r})"
        entry = read_table(kinds[word], rest, place)
        _check_entry(entry, place)
        entries.append(entry)
    return tuple(entries)


def _check_entry(entry: Entry, place: str) -> None:
    """What the types alone cannot say. Raises ConfigError."""
    for pump in (entry.pump,) if isinstance(entry.pump, str) else entry.pump:
        if pump != ALL:
            _check_pump(pump, place)
    until = getattr(entry, "until", None)
    if until is not None and until <= entry.at:
        raise ConfigError(f"{place}: key 'until': {until} is not after {entry.at}, when it begins")
    if isinstance(entry, ProgramRate):
        ways = (entry.rate_ml_h, entry.factor, entry.dose_iu_kg_h, entry.dose_iu_h)
        if sum(way is not None for way in ways) != 1:
            raise ConfigError(
                f"{place}: give exactly one of 'rate_ml_h', 'factor', 'dose_iu_kg_h', 'dose_iu_h'"
            )
    if isinstance(entry, OrderStart | OrderRate) and (
        (entry.dose_iu_kg_h is None) == (entry.dose_iu_h is None)
    ):
        raise ConfigError(f"{place}: give exactly one of 'dose_iu_kg_h' and 'dose_iu_h'")
    if isinstance(entry, Order) and entry.applied_after != NEVER:
        try:
            parse_offset(entry.applied_after)
        except ValueError as error:
            raise ConfigError(f"{place}: key 'applied_after': {error}, or {NEVER!r}") from None


def _check_pump(pump: str, place: str) -> None:
    if not re.fullmatch(r"P-0*[1-9]\d*", pump):
        raise ConfigError(f"{place}: key 'pump': {pump!r} is no pump; write P-01, P-02 and so on")


def _checked_patient(patient: Patient, place: str) -> Patient:
    _check_pump(patient.pump, place)
    if patient.dose_iu_kg_h is not None and patient.dose_iu_h is not None:
        raise ConfigError(f"{place}: give only one of 'dose_iu_kg_h' and 'dose_iu_h'")
    return patient


def _checked_expectation(expectation: Expectation, place: str) -> Expectation:
    _check_pump(expectation.pump, place)
    first, last = expectation.raised
    if last < first:
        raise ConfigError(
            f"{place}: key 'raised': {last} is before {first}; the earlier goes first"
        )
    for key in ("cleared_by", "priority"):
        if expectation.never and getattr(expectation, key) is not None:
            raise ConfigError(f"{place}: key {key!r}: what is never raised has none; leave it out")
    if expectation.cleared_by is not None and expectation.cleared_by < first:
        raise ConfigError(
            f"{place}: key 'cleared_by': {expectation.cleared_by} is before the alert can be raised"
        )
    return expectation

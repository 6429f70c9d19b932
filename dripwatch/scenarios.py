"""`dripwatch scenario`: list, check, show and begin scenarios, for people who write no programs."""

import inspect
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from msgspec import Struct, structs
from rich.console import Console
from rich.table import Table

from dripwatch.phrases import PATIENT, PHRASES
from dripwatch.template import template_text
from dripwatch.view import NOTICE
from host.process import EXIT_OK, read_named, report
from host.resources import config_path
from infusion.alarms import DEVICE_ALARMS
from infusion.errors import ConfigError, DripwatchError
from simulator.fleet import Fleet
from simulator.setup import named_scenario, setup_of
from simulator.story import faults
from simulator.story.actions import ACTIONS
from simulator.story.entries import NOBODY, Entry, Expectation, Patient, Pumps
from simulator.story.faults import FAULTS
from simulator.story.orders import NEVER, ORDERS, Order
from simulator.story.patient_events import PATIENT_EVENTS
from simulator.story.reading import Offset
from simulator.story.scenario import Scenario

# Any instant will do to spread a story over its pumps.
_START_MS = 1_790_000_000_000
_PROFILE = "ambulatory"
# Keys that a sentence says in another way.
_TOLD = {"at", "pump", "until", "applied_after"}
_FOLLOWS = {NEVER: "; the pump never follows", "00:00": "; the pump follows at once"}
_WIDTH = 10


class Line(Struct, frozen=True):
    """One scenario in the list; `about` is its description, `duration` as a file has it."""

    name: str
    title: str
    pumps: int
    duration: str
    about: str


@click.group("scenario", epilog=NOTICE)
def command() -> None:
    """Scenarios: what happens to which pump, and what must be alerted."""


@command.command("list", epilog=NOTICE)
@click.option("--json", "as_json", is_flag=True, help="one JSON array")
def list_command(*, as_json: bool) -> None:
    """All scenarios that come with dripwatch, one a line."""
    try:
        lines = [_line(name) for name in shipped_names()]
    except DripwatchError as error:
        sys.exit(report(error))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(lines)).decode())
        return
    console = Console()
    if not console.is_terminal:
        for line in lines:
            click.echo("\t".join(str(value) for value in structs.astuple(line)))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("name", "title", "pumps", "length", "what it is about"):
        table.add_column(head, overflow="fold")
    for line in lines:
        table.add_row(*(str(value) for value in structs.astuple(line)))
    console.print(table)


@command.command("check", epilog=NOTICE)
@click.argument("names", nargs=-1, required=True, metavar="NAME|FILE...")
def check_command(*, names: tuple[str, ...]) -> None:
    """Read scenarios, spread them over their pumps, and say what is wrong and where.

    All are checked, also after one with an error. Exits with 2 when one has an error.
    """
    worst = EXIT_OK
    for name in names:
        try:
            check(name)
        except DripwatchError as error:
            worst = max(worst, report(error))
        else:
            click.echo(f"{name}: fine")
    sys.exit(worst)


@command.command("show", epilog=NOTICE)
@click.argument("name", metavar="NAME|FILE")
@click.option("--toml", "as_toml", is_flag=True, help="the file itself, as it is")
def show_command(*, name: str, as_toml: bool) -> None:
    """Tell a scenario in plain words, in order of time, and what must be alerted."""
    try:
        if as_toml:
            click.echo(read_named(name, "scenarios")[0], nl=False)
        else:
            click.echo("\n".join(tell(named_scenario(name))))
    except DripwatchError as error:
        sys.exit(report(error))


@command.command("new", epilog=NOTICE)
@click.argument("file", type=click.Path(path_type=Path))
def new_command(*, file: Path) -> None:
    """Write a template with every table and key explained; it runs as it stands."""
    try:
        if file.suffix != ".toml":
            raise ConfigError(f"{file}: the name of a scenario's file must end in .toml")
        with file.open("x", encoding="utf-8") as stream:
            stream.write(template_text())
    except FileExistsError:
        sys.exit(report(ConfigError(f"{file}: there is such a file already; give another name")))
    except OSError as error:
        sys.exit(report(ConfigError(f"{file}: {error.strerror}; give a place to write to")))
    except DripwatchError as error:
        sys.exit(report(error))
    click.echo(f"{file} is written; try: dripwatch scenario check {file}")


def shipped_names() -> list[str]:
    """The names in config/scenarios. Raises ConfigError."""
    return sorted(file.stem for file in config_path("scenarios").glob("*.toml"))


def check(name: str) -> None:
    """Raises ConfigError where a scenario cannot be read, or does not fit its pumps."""
    scenario = named_scenario(name)
    setup = setup_of(scenario, _PROFILE)
    Fleet(
        scenario,
        setup.profile,
        profiles=setup.profiles,
        pumps=scenario.header.pumps,
        start_ms=_START_MS,
        seed=1,
        library=setup.library,
        guideline=setup.guideline,
    )


def _line(name: str) -> Line:
    header = named_scenario(name).header
    return Line(name, header.title, header.pumps, str(header.duration), header.description)


# --- telling -------------------------------------------------------------------------------------


def tell(scenario: Scenario) -> list[str]:
    """A scenario in plain words, line by line."""
    header = scenario.header
    lines = [header.title or scenario.name, header.description] if header.description else []
    lines = lines or [header.title or scenario.name]
    lines.append(f"{header.pumps} pumps, {header.duration} from beginning to end.")
    if header.carer is not None:
        lines.append(f"Somebody answers the alarms ({header.carer}).")
    if header.protocol != NOBODY:
        lines.append(f"A clinic draws blood and changes doses ({header.protocol}).")
    if scenario.patients:
        lines += ["", "Who is on the pumps (what is not said is drawn by chance):"]
        lines += [f"  {_patient(patient)}" for patient in scenario.patients]
    told = sorted(_entries(scenario), key=lambda item: item[0])
    lines += ["", "What happens:"] if told else ["", "Nothing happens."]
    lines += [f"  {at!s:<{_WIDTH}}{text}" for at, text in told]
    if scenario.expectations:
        lines += ["", "What must be alerted:"]
        lines += [f"  {_expectation(item)}" for item in scenario.expectations]
    if header.quiet:
        lines.append("  No other pump may raise an alert.")
    return lines


def _entries(scenario: Scenario) -> Iterable[tuple[Offset, str]]:
    for kinds, entries in (
        (FAULTS, scenario.faults),
        (ACTIONS, scenario.actions),
        (ORDERS, scenario.orders),
        (PATIENT_EVENTS, scenario.events),
    ):
        words: dict[type[Entry], str] = {}
        for word, kind in kinds.items():
            words.setdefault(kind, word)
        for entry in entries:
            yield entry.at, _sentence(entry, words[type(entry)])


def _sentence(entry: Entry, word: str) -> str:
    """One entry: the pump, its word, what its docstring says, and the keys that are given."""
    until = getattr(entry, "until", None)
    details = [
        f"{field.name} {_value(getattr(entry, field.name))}"
        for field in structs.fields(entry)
        if field.name not in _TOLD and getattr(entry, field.name) != field.default
    ]
    explained = PHRASES.get(type(entry), "").format_map(structs.asdict(entry))
    if not explained:
        explained = " ".join((inspect.getdoc(type(entry)) or "").split())
        explained = explained[:1].lower() + explained[1:]
    if isinstance(entry, faults.Occlusion):
        explained = "the line closes" if entry.resistance_factor is None else "the line narrows"
        explained += f" ({entry.where} occlusion)"
    text = f"{_pumps(entry.pump)}: {explained.replace('`', '').rstrip('.')}"
    text += f", until {until}" if until is not None else ""
    if isinstance(entry, Order):
        text += _FOLLOWS.get(entry.applied_after, f"; the pump follows after {entry.applied_after}")
    return f"{text} [{', '.join([word, *details])}]"


def _value(value: object) -> str:
    """A value as a file has it; of a table within a table, the values alone."""
    if isinstance(value, tuple):
        return " then ".join(_value(item) for item in value)
    if isinstance(value, Struct) and not isinstance(value, Offset):
        return "/".join(_value(item) for item in structs.astuple(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _pumps(pumps: Pumps) -> str:
    if isinstance(pumps, str):
        return "every pump" if pumps == "all" else pumps
    return ", ".join(pumps)


def _patient(patient: Patient) -> str:
    given = [
        PATIENT.get(field.name, field.name + " {}").format(_value(getattr(patient, field.name)))
        for field in structs.fields(patient)
        if field.name != "pump" and getattr(patient, field.name) != field.default
    ]
    if patient.protocol == NOBODY:
        given[-1] = "looked after by nobody"
    return f"{patient.pump}: {', '.join(given) or 'drawn by chance'}"


def _expectation(expectation: Expectation) -> str:
    first, last = expectation.raised
    alarm = DEVICE_ALARMS.get(expectation.rule)
    words = expectation.rule if alarm is None else f"{expectation.rule} ({alarm.words})"
    if expectation.never:
        return f"{expectation.pump}: {words}, never between {first} and {last}"
    text = f"{expectation.pump}: {words}, raised between {first} and {last}"
    if expectation.priority is not None:
        text += f", at priority {expectation.priority}"
    if expectation.cleared_by is not None:
        text += f", cleared by {expectation.cleared_by}"
    return text

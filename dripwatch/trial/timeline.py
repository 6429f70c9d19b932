"""One case alone: what happened, what the pump said, and what the monitor said, in order of time.

The other pumps of its block run too, because they share its seed and its clock; the monitor hears
this pump alone. What is said of a pump depends on no other, so the case goes as it went in the
whole trial.
"""

from collections.abc import Iterator

from msgspec import Struct

from dripwatch.trial.draw import BLOCK, TrialSettings, draw_block
from dripwatch.trial.judge import FALSE
from dripwatch.trial.listeners import MONITOR
from dripwatch.trial.pool import pumps_of
from dripwatch.trial.run import START_MS, BlockRunner
from dripwatch.trial.score import CaseResult
from host.process import read_named
from infusion.errors import ConfigError, MessageError
from infusion.messages import AlertChange, Event, Kind, decode, parse_topic
from infusion.prescription import Prescription
from infusion.units import MS_PER_SECOND
from infusion.words import explain
from simulator.story.actions import ACTIONS
from simulator.story.entries import Entry
from simulator.story.faults import FAULTS
from simulator.story.orders import ORDERS
from simulator.story.patient_events import PATIENT_EVENTS
from simulator.story.scenario import Scenario
from simulator.story.ward_file import read_ward
from simulator.stream import Outgoing

_WORDS: dict[type[Entry], str] = {}
for _table in (FAULTS, ACTIONS, ORDERS, PATIENT_EVENTS):
    for _word, _kind in _table.items():
        _WORDS.setdefault(_kind, _word)


class Line(Struct, frozen=True, order=True):
    """One line of a timeline: when (on the fleet's clock), whose, and what."""

    at_ms: int
    who: str
    what: str

    def __str__(self) -> str:
        """The line as it is printed."""
        return f"{clock(self.at_ms)}  {self.who:<8} {self.what}"


class CaseRun(Struct, frozen=True):
    """A case alone: its lines in order of time, and how it was judged."""

    lines: list[Line]
    result: CaseResult


def clock(at_ms: int) -> str:
    """A time of the fleet as hours, minutes and seconds from the start."""
    seconds = (at_ms - START_MS) // MS_PER_SECOND
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def replay(settings: TrialSettings, number: int) -> CaseRun:
    """Run one case alone. Raises ConfigError for a number beyond the trial's patients."""
    if not 0 <= number < settings.patients:
        raise ConfigError(
            f"--case {number}: there are {settings.patients} patients; "
            f"give 0 to {settings.patients - 1}, or more --patients"
        )
    block, index = divmod(number, BLOCK)
    pumps = pumps_of(settings, block)
    ward = read_ward(*read_named(settings.cohort, "cohorts"))
    drawn = draw_block(settings, ward, block, pumps)
    case = drawn.cases[index]
    partners = {plant.planted.partner for plant in case.plants} - {""}
    lines: list[Line] = [*_story(drawn.scenario, case.pump)]

    def hear(what: str, value: object, now_ms: int) -> None:
        if what == "said" and isinstance(value, Outgoing):
            lines.extend(_said(value, case.pump, now_ms))
        elif isinstance(value, AlertChange) and value.alert.pump in (case.pump, *partners):
            lines.append(Line(now_ms, "monitor", _alert(value, case.pump)))

    only = frozenset((case.pump, *partners))
    run = BlockRunner(settings, drawn, "none", only=only, listener=hear).run()
    (result,) = (each for each in run.cases if each.number == number)
    lines += _verdict(result)
    return CaseRun(sorted(lines, key=lambda line: line.at_ms), result)


def _story(scenario: Scenario, pump: str) -> Iterator[Line]:
    """What was drawn for a pump: by chance, and planted."""
    for entry in (*scenario.faults, *scenario.actions, *scenario.orders, *scenario.events):
        if entry.pump != pump:
            continue
        keys = [
            f"{name} {_value(value)}"
            for name in entry.__struct_fields__
            if name not in ("at", "pump")
            and (value := getattr(entry, name)) not in (None, False, "", "00:00")
        ]
        yield Line(START_MS + entry.at.ms, "story", ", ".join([_WORDS[type(entry)], *keys]))


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _said(output: Outgoing, pump: str, now_ms: int) -> Iterator[Line]:
    """What a pump, the laboratory and the prescriber said; telemetry is left out."""
    try:
        topic = parse_topic(output.topic)
        message = decode(topic, output.payload)
    except MessageError as error:
        if output.session == pump:
            yield Line(now_ms, "pump", f"something that nobody can read: {error}")
        return
    if isinstance(message, Event) and message.pump == pump:
        parts = (message.event, message.alarm or "", message.phase or "", message.detail)
        yield Line(now_ms, "pump", " ".join(part for part in parts if part))
    elif output.kind is Kind.PRESENCE and output.session == pump:
        yield Line(now_ms, "pump", f"presence {getattr(message, 'state', '')}")
    elif isinstance(message, Prescription) and message.pump == pump:
        step = message.steps[-1]
        keys = [
            f"{name} {_value(getattr(step, name))}"
            for name in step.__struct_fields__
            if name != "at_ms" and getattr(step, name) is not None
        ]
        what = f"order {message.version}: {type(step).__name__.lower()} {', '.join(keys)}"
        yield Line(now_ms, "clinic", what.replace("until_ms", "until").strip())
    elif output.kind in (Kind.LAB, Kind.REPORT) and topic.name == f"T{pump[1:]}":
        names = ("test", "what", "value", "problem")
        said = [str(getattr(message, name, "") or "") for name in names]
        yield Line(now_ms, "clinic", " ".join(part for part in said if part))


def _alert(change: AlertChange, pump: str) -> str:
    alert = change.alert
    where = "" if alert.pump == pump else f" on {alert.pump}"
    return f"{change.change} {alert.priority.value} {alert.rule}{where}: {explain(alert.evidence)}"


def _verdict(result: CaseResult) -> Iterator[Line]:
    """When each planted hazard began, showed, was found and ended; which alerts are false."""
    seen = result.systems[MONITOR]
    for one, hit in zip(result.sought, seen.found, strict=True):
        name = f"P{one.urgency} {one.hazard}"
        yield Line(one.onset_ms, "truth", f"{name} begins")
        if not one.is_real:
            yield Line(one.end_ms, "truth", f"{name} is over before it was one")
            continue
        if one.earliest_ms is not None:
            yield Line(one.earliest_ms, "truth", f"{name} could be seen from here on")
        else:
            yield Line(one.onset_ms, "truth", f"{name} could not be seen in the stream")
        if hit is not None:
            teller = f", which {hit.told_by} tells" if hit.told_by else ""
            yield Line(hit.at_ms, "truth", f"{name} found by {hit.rule}{teller}")
        else:
            yield Line(one.closes_ms, "truth", f"{name} was missed")
        yield Line(one.end_ms, "truth", f"{name} ends")
    for alert in seen.alerts:
        if alert.cause == FALSE:
            yield Line(alert.at_ms, "truth", f"false: {alert.rule}; nothing explains it")

"""A fleet of mixed models with every physical fault on, somebody who answers, and new bags."""

from collections.abc import Iterator

from msgspec.structs import replace

from benchmarks.stream import SEED
from host.process import read_named
from simulator.fleet import Fleet
from simulator.profile import read_profile
from simulator.story.actions import ChangeBag, Start
from simulator.story.entries import ALL, Entry, Patient
from simulator.story.reading import Offset
from simulator.story.scenario import Header, Scenario, read_scenario

MODELS = ("ambulatory", "syringe", "large-volume")
START_MS = 1_790_000_000_000
MINUTE_MS = 60_000
# Each fault lasts so long, and on each pump one begins every so often, so that some overlap.
LASTS_MIN = 40
EVERY_MIN = 37
BAG_MIN = 30

# One fault of each physical kind, with keys that make it felt; those without an end come first.
WITHOUT_END = (
    ("air-bubble", "volume_ul = 300"),
    ("clock-step", "by_s = 90"),
    ("reboot", ""),
    ("counter-jump", "volume_ml = 3"),
    ("counter-backwards", "volume_ml = 3"),
)
WITH_END = (
    ("occlusion", ""),
    ("occlusion", "resistance_factor = 30"),
    ("occlusion", 'where = "upstream"'),
    ("occlusion", 'grows_over = "00:20"'),
    ("occlusion", "cycle_s = 40"),
    ("back-pressure", "mmhg = 120"),
    ("height", "cm = -40"),
    ("siphon", ""),
    ("free-flow", "head_cm = 30"),
    ("leak", "share = 0.4"),
    ("air", "ul_per_ml = 50"),
    ("flow-error", "share = 0.12"),
    ("flow-drift", "share_per_hour = 0.2"),
    ("temperature", "ambient_c = 60"),
    ("battery-ageing", "capacity = 0.5"),
    ("stuck-sensor", 'sensor = "flow"'),
    ("stuck-sensor", 'sensor = "pressure"'),
    ("stuck-sensor", 'sensor = "reservoir"'),
    ("stuck-sensor", 'sensor = "air"'),
    ("clock-drift", "ppm = 200"),
    ("battery", "level = 0.4"),
    ("counter-frozen", ""),
)
KINDS = (*WITHOUT_END, *WITH_END)


def mixture(pumps: int, hours: int, *, step_s: float, interval_s: float) -> Fleet:
    """The fleet, not begun; on average each pump has a fault all the time."""
    profiles = {name: read_profile(*read_named(name, "pumps")) for name in MODELS}
    return Fleet(
        mixed_story(pumps, hours),
        profiles[MODELS[0]],
        profiles=profiles,
        pumps=pumps,
        start_ms=START_MS,
        seed=SEED,
        step_s=step_s,
        interval_s=interval_s,
    )


def mixed_story(pumps: int, hours: int) -> Scenario:
    """What happens to it."""
    kinds = _kinds()
    minutes = hours * 60
    return Scenario(
        name="mixture",
        header=Header(pumps=pumps, duration=Offset(minutes * MINUTE_MS)),
        patients=tuple(
            Patient(pump=f"P-{number}", profile=MODELS[number % len(MODELS)])
            for number in range(1, pumps + 1)
        ),
        faults=tuple(
            fault for number in range(1, pumps + 1) for fault in _faults_of(number, minutes, kinds)
        ),
        actions=tuple(
            action
            for minute in range(BAG_MIN // 2, minutes, BAG_MIN)
            for action in (
                ChangeBag(at=Offset(minute * MINUTE_MS), pump=ALL),
                Start(at=Offset(minute * MINUTE_MS), pump=ALL),
            )
        ),
    )


def unbalanced(fleet: Fleet) -> float:
    """The largest |pumped − held − patient − lost| / max(pumped, 1 mL) of its pumps."""
    return max(
        abs(pump.pumped_ml - pump.held_ml - pump.patient_ml - pump.lost_ml)
        / max(pump.pumped_ml, 1.0)
        for pump in fleet.summary().values()
    )


def _kinds() -> tuple[Entry, ...]:
    text = ""
    for word, keys in KINDS:
        until = "" if (word, keys) in WITHOUT_END else 'until = "00:01"'
        text += f'[[fault]]\nat = "00:00"\n{until}\npump = "P-1"\ndo = "{word}"\n{keys}\n'
    return read_scenario(text.encode(), "mixture").faults


def _faults_of(number: int, minutes: int, kinds: tuple[Entry, ...]) -> Iterator[Entry]:
    """One pump's faults; each pump goes through all kinds in an order of its own."""
    for turn, first in enumerate(range(number % EVERY_MIN, minutes - LASTS_MIN, EVERY_MIN)):
        kind = kinds[(number * 7 + turn * 5) % len(kinds)]
        fault = replace(kind, at=Offset(first * MINUTE_MS), pump=f"P-{number}")
        if hasattr(fault, "until"):
            fault = replace(fault, until=Offset((first + LASTS_MIN) * MINUTE_MS))
        yield fault

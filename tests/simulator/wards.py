"""What the tests of random days share: the shipped cohorts, and alarms of a run as they come."""

from msgspec import Struct

from simulator.story.scenario import Scenario
from simulator.story.ward_file import WardFile, read_ward
from simulator.ward import draw_ward
from tests.simulator.bench import CONFIG, START_MS, events, fleet


class Rung(Struct, frozen=True):
    """One alarm of a pump, from its beginning to its end, in seconds from the start."""

    pump: str
    alarm: str
    begin_s: float
    end_s: float | None


def shipped_ward(name: str) -> WardFile:
    """A cohort of config/cohorts."""
    path = CONFIG / "cohorts" / f"{name}.toml"
    return read_ward(path.read_bytes(), path.name)


def drawn(name: str, *, pumps: int, days: int, seed: int = 1) -> Scenario:
    """Random days of a shipped cohort."""
    return draw_ward(shipped_ward(name), name=name, pumps=pumps, days=days, seed=seed)


def rung(story: Scenario, **changes: object) -> list[Rung]:
    """Every alarm of a run on a coarse clock, in order of its beginning."""
    run = fleet(story, **({"interval_s": 3600.0, "step_s": 5.0} | changes))
    outputs = run.advance(START_MS + story.header.duration.ms)
    begun: dict[tuple[str, str], float] = {}
    found = []
    for event in sorted(events(outputs), key=lambda event: event.time_ms):
        if event.alarm is None:
            continue
        at_s = (event.time_ms - START_MS) / 1000
        key = (event.pump, event.alarm)
        if event.phase == "start":
            begun[key] = at_s
        elif key in begun:
            found.append(Rung(*key, begun.pop(key), at_s))
    found += [Rung(*key, at_s, None) for key, at_s in begun.items()]
    return sorted(found, key=lambda alarm: alarm.begin_s)

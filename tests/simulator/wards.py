"""What the tests of random days share: the shipped cohorts, and alarms of a run as they come."""

from benchmarks.ward import Alarm, alarms_of, event_stream
from simulator.story.scenario import Scenario
from simulator.story.ward_file import WardFile, read_ward
from simulator.ward import draw_ward
from tests.simulator.bench import CONFIG, START_MS, fleet


def shipped_ward(name: str) -> WardFile:
    """A cohort of config/cohorts."""
    path = CONFIG / "cohorts" / f"{name}.toml"
    return read_ward(path.read_bytes(), path.name)


def drawn(name: str, *, pumps: int, days: int, seed: int = 1) -> Scenario:
    """Random days of a shipped cohort."""
    return draw_ward(shipped_ward(name), name=name, pumps=pumps, days=days, seed=seed)


def rung(story: Scenario, **changes: object) -> list[Alarm]:
    """Every alarm of a run on a coarse clock, in order of its beginning."""
    run = fleet(story, **({"interval_s": 3600.0, "step_s": 4.0} | changes))
    return alarms_of(event_stream(run, START_MS + story.header.duration.ms), START_MS)

"""Whether a ward rings as wards do: `python -m benchmarks.ward`.

Random days of config/cohorts/hospital.toml run on pumps, with somebody who answers, and every
alarm is counted from its beginning to its end. Beside them stand the published figures of 11 410
pumps in 29 hospitals: BI&T 2018;52(6):433 [V abstract]. Causes are drawn and alarms are not, so
that this measures the pumps, the people and the cohort's file together. The cohort was fitted with
other seeds than the ones that stand here.

The figure of each seed is a whole ward; median and range are over the seeds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from benchmarks.figures import Spread, save, spread
from benchmarks.stream import START_MS
from host.process import read_named
from infusion.messages import Event, Kind, decode, parse_topic
from infusion.units import MS_PER_HOUR, MS_PER_SECOND
from simulator.fleet import Fleet
from simulator.profile import Profile, read_profile
from simulator.story.scenario import Scenario
from simulator.story.ward_file import HOURS, read_ward
from simulator.stream import Outgoing, Output
from simulator.ward import DAYS_MAX, draw_ward

SEEDS = (101, 102, 103, 104, 105)
# Coarse, because alarms last for minutes, but 68 s is on the grid; hourly reports, because nobody
# reads them here.
STEP_S = 4.0
INTERVAL_S = 3600.0
SHORT_S = 68.0
OTHER = "all others"
# An alarm for each figure of BI&T 2018;52(6):433, and its share in % [V abstract].
KINDS = {
    "infusion-complete": ("KVO", 33.77),
    "standby-expired": ("hold expired", 27.18),
    "downstream-occlusion": ("downstream occlusion", 22.94),
    OTHER: (OTHER, 16.11),
}
PER_HOUR = 0.18
MEAN_S = 158.0
SHORT_PERCENT = 60.0


class Alarm(Struct, frozen=True):
    """One alarm of a pump, in seconds from the start; `end_s` None where it is never over."""

    pump: str
    alarm: str
    begin_s: float
    end_s: float | None


class Figure(Struct, frozen=True):
    """One figure, beside what was published."""

    name: str
    published: float
    measured: Spread


class Result(Struct, frozen=True):
    """All figures of a run; `by_alarm` counts over all seeds, `unended` are those never over."""

    pumps: int
    days: int
    seeds: tuple[int, ...]
    figures: list[Figure]
    by_alarm: dict[str, int]
    unended: int


def event_stream(fleet: Fleet, until_ms: int) -> Iterator[Event]:
    """What a fleet's pumps tell, hour by hour, so that no week of messages is held at once."""
    while fleet.now_ms < until_ms:
        yield from events_of(fleet.advance(min(fleet.now_ms + MS_PER_HOUR, until_ms)))


def events_of(outputs: Iterable[Output]) -> Iterator[Event]:
    """The events among what was said."""
    for each in outputs:
        if isinstance(each, Outgoing) and each.kind is Kind.EVENT:
            message = decode(parse_topic(each.topic), each.payload)
            assert isinstance(message, Event)
            yield message


def alarms_of(events: Iterable[Event], start_ms: int) -> list[Alarm]:
    """Every alarm, in order of its beginning. A pump that boots has forgotten its alarms."""
    begun: dict[tuple[str, str], float] = {}
    found = []
    for event in sorted(events, key=lambda event: event.time_ms):
        if event.alarm is None:
            continue
        at_s = (event.time_ms - start_ms) / MS_PER_SECOND
        key = (event.pump, event.alarm)
        if event.phase == "start":
            if key in begun:
                found.append(Alarm(*key, begun[key], None))
            begun[key] = at_s
        elif key in begun:
            found.append(Alarm(*key, begun.pop(key), at_s))
    found += [Alarm(*key, at_s, None) for key, at_s in begun.items()]
    return sorted(found, key=lambda alarm: alarm.begin_s)


def ring(story: Scenario, profile: Profile, seed: int) -> list[Alarm]:
    """Every alarm of drawn days."""
    fleet = Fleet(
        story,
        profile,
        pumps=story.header.pumps,
        start_ms=START_MS,
        seed=seed,
        interval_s=INTERVAL_S,
        step_s=STEP_S,
    )
    return alarms_of(event_stream(fleet, START_MS + story.header.duration.ms), START_MS)


def measure(pumps: int, days: int, seeds: tuple[int, ...]) -> Result:
    """A ward for each seed."""
    ward = read_ward(*read_named("hospital", "cohorts"))
    profile = read_profile(*read_named(next(iter(ward.profiles)), "pumps"))
    columns: dict[str, list[float]] = {}
    by_alarm: Counter[str] = Counter()
    unended = 0
    for seed in seeds:
        story = draw_ward(ward, name="hospital", pumps=pumps, days=days, seed=seed)
        alarms = ring(story, profile, seed)
        by_alarm.update(alarm.alarm for alarm in alarms)
        unended += sum(alarm.end_s is None for alarm in alarms)
        for name, value in figures_of(alarms, pumps * days * HOURS).items():
            columns.setdefault(name, []).append(value)
    published = {
        "alarms an hour": PER_HOUR,
        **{f"{words}, %": share for words, share in KINDS.values()},
        "mean duration, s": MEAN_S,
        f"up to {SHORT_S:g} s, %": SHORT_PERCENT,
    }
    figures = [Figure(name, published[name], spread(values)) for name, values in columns.items()]
    return Result(pumps, days, seeds, figures, dict(by_alarm.most_common()), unended)


def figures_of(alarms: list[Alarm], hours: float) -> dict[str, float]:
    """The load, its mix, and durations; 0 where there is nothing to share out."""
    counts = Counter(alarm.alarm if alarm.alarm in KINDS else OTHER for alarm in alarms)
    lasted = [alarm.end_s - alarm.begin_s for alarm in alarms if alarm.end_s is not None]
    ended = max(1, len(lasted))
    return {
        "alarms an hour": len(alarms) / hours,
        **{
            f"{words}, %": 100 * counts[key] / max(1, len(alarms))
            for key, (words, _) in KINDS.items()
        },
        "mean duration, s": sum(lasted) / ended,
        f"up to {SHORT_S:g} s, %": 100 * sum(each <= SHORT_S for each in lasted) / ended,
    }


def report(result: Result) -> None:
    """Say the result."""
    seeds = ", ".join(str(seed) for seed in result.seeds)
    print(f"a ward of {result.pumps} pumps for {result.days} days, seeds {seeds}")
    print(f"{'':24}{'published':>10}{'median':>10}   range")
    for figure in result.figures:
        got, digits = figure.measured, 4 if figure.published < 1 else 1
        print(
            f"{figure.name:24}{figure.published:>10g}{got.median:>10.{digits}f}"
            f"   {got.low:.{digits}f} to {got.high:.{digits}f}"
        )
    print(f"alarms of all seeds: {msgspec.json.encode(result.by_alarm).decode()}")
    print(f"never over: {result.unended}")


@click.command("ward")
@click.option("--pumps", type=click.IntRange(min=1), default=100)
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=7)
@click.option("--seeds", type=click.IntRange(min=0), multiple=True, default=SEEDS)
@click.option("--json", "file", type=click.Path(path_type=Path))
def command(*, pumps: int, days: int, seeds: tuple[int, ...], file: Path | None) -> None:
    """The alarms of a drawn ward beside the published ones."""
    result = measure(pumps, days, seeds)
    report(result)
    save(file, result)


if __name__ == "__main__":
    command()

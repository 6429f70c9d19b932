"""A month of a home service in virtual time: `python -m benchmarks.service_month`.

Patients drawn by a seed are on simulated pumps. Visits, deliveries, complications and stays in
hospital are planted, some as they should be and some missed; the monitor's core hears what pumps
and people say. Two things are judged:

* **Alerts**: each planted miss and complaint raises its alert when it can first be known, and no
  other alert of care is raised.
* **Days**: the per-diem account made of the messages equals a count that knows nothing of messages,
  zones tables or spans: minute by minute, by the dose that the simulator pumped, with the standard
  library's time zones.
"""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from msgspec import Struct, structs

from benchmarks.figures import save
from host.process import read_named
from infusion.messages import Alert, decode, parse_topic
from infusion.monitor import Monitor, MonitorSettings
from infusion.service.gather import Gathered
from infusion.service.payer import read_payer
from infusion.service.per_diem import account_of
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from monitor.zones import offsets
from simulator.fleet import Fleet
from simulator.setup import setup_of
from simulator.story.scenario import read_scenario
from simulator.story.ward_file import read_ward
from simulator.stream import Outgoing

# Midnight in Chicago, a month with the night in which clocks go back.
ZONE, START_MS = "America/Chicago", 1_792_731_600_000
STEP_S, INTERVAL_S = 60.0, 600.0
# What is missed is told when it can be known, give or take a step or two of the simulation.
SLACK_H = 0.1
LATE_H = 4.0
CARE = frozenset(
    {"visit-overdue", "delivery-overdue", "bleeding", "complication-reported", "supplies-low"}
)
MISSED_SHARE, AWAY_SHARE, ILL_SHARE = 0.15, 0.2, 0.3


class Planted(Struct, frozen=True):
    """An alert that must come: on which pump, by which rule, at which hour from the start."""

    pump: str
    rule: str
    at_h: float


class Patient(Struct):
    """What is planted on one pump; times in hours from the start."""

    pump: str
    lines: list[str]
    planted: list[Planted]
    away: tuple[float, float] | None = None
    stop_h: float | None = None


class Result(Struct, frozen=True):
    """One month. `missed` and `false` are alerts, `wrong_days` days that were counted otherwise."""

    patients: int
    days: int
    planted: int
    missed: list[str]
    false: list[str]
    patient_days: int
    wrong_days: list[str]
    messages: int
    wall_s: float


def draw(number: int, days: int, seed: int) -> Patient:
    """One patient's month."""
    chance = random.Random(seed * 1_000_003 + number)
    one = Patient(f"P-{number:02}", [], [])
    stop_h = (days - 1) * 24 - chance.uniform(0, 40) if chance.random() < 0.5 else None
    one.stop_h = None if stop_h is None else _minute(stop_h)
    end_h = days * 24 - 30.0 if stop_h is None else stop_h - 30.0
    if stop_h is not None:
        _put(one, "order", stop_h, 'do = "stop"')
    _says(one, 1.0, "nurse-visit", f"lasted_min = {chance.randint(30, 200)}")
    for what, done, rule, every_h in (
        ("visit-planned", "nurse-visit", "visit-overdue", 156.0),
        ("delivery-planned", "delivery-arrived", "delivery-overdue", 84.0),
    ):
        due_h = every_h
        while due_h < end_h:
            _says(one, due_h - 40.0, what, f'due = "{_clock(due_h)}"')
            is_missed = chance.random() < MISSED_SHARE
            late_h = chance.uniform(6, 20) if is_missed else chance.uniform(-1, 3.5)
            _says(one, due_h + late_h, done)
            if is_missed:
                one.planted.append(Planted(one.pump, rule, due_h + LATE_H))
            due_h += every_h
    fate = chance.random()
    begin_h = _minute(chance.uniform(30, end_h - 100))
    if fate < AWAY_SHARE:
        away_h = _minute(chance.uniform(10, 70))
        one.away = (begin_h, begin_h + away_h)
        hold = f'do = "hold"\nuntil = "{_clock(begin_h + away_h)}"\napplied_after = "00:00"'
        _put(one, "order", begin_h, hold)
        _says(one, begin_h, "admitted-to-hospital")
        _says(one, begin_h + away_h, "discharged")
        one.planted.append(Planted(one.pump, "complication-reported", begin_h))
    elif fate < AWAY_SHARE + ILL_SHARE:
        what, rule = chance.choice(
            [
                ("fever", "complication-reported"),
                ("site-redness", "complication-reported"),
                ("bleeding", "bleeding"),
            ]
        )
        _says(one, begin_h, what)
        _says(one, begin_h + chance.uniform(1, 40), f"{what}-over")
        one.planted.append(Planted(one.pump, rule, begin_h))
    return one


def measure(patients: int, days: int, seed: int) -> Result:
    """Run a month, and hold alerts and days against what was planted and pumped."""
    begun_s = time.perf_counter()
    drawn = [draw(number, days, seed) for number in range(1, patients + 1)]
    fleet = _fleet(drawn, days, seed)
    monitor = Monitor(MonitorSettings(stall_ms=round(STEP_S * 1_000)))
    gathered, truth = Gathered(), Truth(drawn)
    raised: list[Alert] = []
    messages = 0
    end_ms = START_MS + days * 24 * MS_PER_HOUR
    for at_ms in range(START_MS, end_ms + 1, MS_PER_MINUTE):
        for output in fleet.advance(at_ms):
            if isinstance(output, Outgoing):
                messages += 1
                topic = parse_topic(output.topic)
                message = decode(topic, output.payload)
                gathered.take(message)
                changes = monitor.receive(message, topic.site, output.time_ms)
                raised += [each.alert for each in changes if each.change == "raised"]
        raised += [each.alert for each in monitor.tick(at_ms) if each.change == "raised"]
        truth.minute(fleet, at_ms)
    missed, false = judge(drawn, raised)
    patient_days, wrong = compare(fleet, drawn, gathered, truth, end_ms)
    return Result(
        patients=patients,
        days=days,
        planted=sum(len(one.planted) for one in drawn),
        missed=missed,
        false=false,
        patient_days=patient_days,
        wrong_days=wrong,
        messages=messages,
        wall_s=round(time.perf_counter() - begun_s, 1),
    )


class Truth:
    """Which minutes of which local date each pump truly gave something in, from the start to the
    stop and outside of hospital."""

    def __init__(self, drawn: list[Patient]) -> None:
        self._drawn = drawn
        self._zone = ZoneInfo(ZONE)
        self._before = [0.0] * len(drawn)
        self.infused = [dict[str, int]() for _ in drawn]
        # Dates on which the patient had the therapy for a minute that was not spent in hospital.
        self.at_home = [set[str]() for _ in drawn]

    def minute(self, fleet: Fleet, at_ms: int) -> None:
        """The minute that ended."""
        begin_ms = at_ms - MS_PER_MINUTE
        moment = datetime.fromtimestamp(begin_ms / 1_000, tz=UTC).astimezone(self._zone)
        date, hour = moment.date().isoformat(), (begin_ms - START_MS) / MS_PER_HOUR
        doses = fleet.rig.meter.doses_iu()
        for index, one in enumerate(self._drawn):
            gave = float(doses[index]) > self._before[index] + 1e-9
            self._before[index] = float(doses[index])
            is_away = one.away is not None and one.away[0] <= hour < one.away[1]
            # What somebody still pumps after the stop belongs to no therapy; other rules tell it.
            is_over = one.stop_h is not None and hour > one.stop_h
            if begin_ms < START_MS or is_away or is_over:
                continue
            self.at_home[index].add(date)
            if gave:
                self.infused[index][date] = self.infused[index].get(date, 0) + 1


def judge(drawn: list[Patient], raised: list[Alert]) -> tuple[list[str], list[str]]:
    """What was planted and not alerted in time, and what of care was alerted besides."""
    found = [
        (each.pump, each.rule, ((each.raised_ms or 0) - START_MS) / MS_PER_HOUR)
        for each in raised
        if each.rule in CARE
    ]
    missed = []
    for planted in (each for one in drawn for each in one.planted):
        mine = [
            one
            for one in found
            if one[1] == planted.rule
            and _number(one[0]) == _number(planted.pump)
            and abs(one[2] - planted.at_h) <= SLACK_H
        ]
        if mine:
            found.remove(mine[0])
        else:
            missed.append(f"{planted.pump} {planted.rule} at {_clock(planted.at_h)}")
    return missed, [f"{pump} {rule} at {_clock(at_h)}" for pump, rule, at_h in found]


def compare(
    fleet: Fleet, drawn: list[Patient], gathered: Gathered, truth: Truth, end_ms: int
) -> tuple[int, list[str]]:
    """How many days there are, and those that the account and the truth count differently."""
    local = offsets(ZONE)
    payers = {name: read_payer(*read_named(name, "payers")) for name in ("nhia", "infusion-days")}
    count, wrong = 0, []
    for index, one in enumerate(drawn):
        therapy = fleet.rig.units[index].order.prescription.therapy
        evidence = gathered.evidence(therapy, end_ms)
        assert evidence is not None, f"{therapy} has no evidence"
        true_days = {"nhia": truth.at_home[index], "infusion-days": set(truth.infused[index])}
        for name, payer in payers.items():
            account = account_of(evidence, payer, local)
            count += len(account.days) if name == "nhia" else 0
            mine = {day.day.date for day in account.days if day.units}
            wrong += [f"{one.pump} {date} {name}" for date in sorted(mine ^ true_days[name])]
    return count, wrong


# --- the story as a file --------------------------------------------------------------------------


def _fleet(drawn: list[Patient], days: int, seed: int) -> Fleet:
    text = "\n".join(_story(drawn, days))
    story = read_scenario(text.encode(), "service-month.toml")
    ward = read_ward(*read_named("home", "cohorts"))
    setup = setup_of(structs.replace(story, ward=ward), "ambulatory")
    return Fleet(
        setup.scenario,
        setup.profile,
        pumps=len(drawn),
        start_ms=START_MS,
        seed=seed,
        step_s=STEP_S,
        interval_s=INTERVAL_S,
        profiles=setup.profiles,
        library=setup.library,
        guideline=setup.guideline,
    )


def _story(drawn: list[Patient], days: int) -> Iterator[str]:
    yield 'title = "A month of a home service"'
    yield f'pumps = {len(drawn)}\nduration = "{days * 24}:00"\nprotocol = "none"'
    yield 'carer = "home"'
    for one in drawn:
        yield from one.lines


def _put(one: Patient, table: str, at_h: float, text: str) -> None:
    one.lines.append(f'[[{table}]]\nat = "{_clock(at_h)}"\npump = "{one.pump}"\n{text}\n')


def _says(one: Patient, at_h: float, what: str, more: str = "") -> None:
    _put(one, "event", at_h, f'do = "report"\nby = "someone"\nwhat = "{what}"\n{more}')


def _number(pump: str) -> int:
    """The number of a pump, whose name has as many digits as the fleet asks for."""
    return int(pump.removeprefix("P-"))


def _minute(hours: float) -> float:
    return round(hours * 60) / 60


def _clock(hours: float) -> str:
    hour, minute = divmod(round(hours * 60), 60)
    return f"{hour:02}:{minute:02}"


@click.command()
@click.option("--patients", default=200, show_default=True)
@click.option("--days", default=30, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="write the result")
def main(*, patients: int, days: int, seed: int, json_file: Path | None) -> None:
    """A month of a home service: alerts against what was planted, days against what was pumped."""
    result = measure(patients, days, seed)
    print(
        f"{result.patients} patients, {result.days} days, {result.messages} messages,"
        f" {result.wall_s:g} s"
    )
    print(
        f"alerts: {result.planted} planted, {len(result.missed)} missed, {len(result.false)} false"
    )
    print(f"days: {result.patient_days}, {len(result.wrong_days)} counted otherwise")
    for line in (*result.missed, *result.false, *result.wrong_days):
        print(f"  {line}")
    if json_file is not None:
        save(json_file, result)


if __name__ == "__main__":
    main()

"""Patients, their days, and what is planted on them, all from one seed.

Cases are numbered through a whole trial and run in blocks of BLOCK pumps. A case depends on the
seed, its block and its place there, never on the other cases or on how many there are: each
purpose of each pump has a child of the seed of its own, as in simulator/ward.py.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from msgspec.structs import replace

from dripwatch.trial.hazard import Bed, Hazard, Planted
from dripwatch.trial.hazards import chosen
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, pump_rate_ml_h
from simulator.cohort import pump_name
from simulator.story.actions import Pause, Standby
from simulator.story.entries import Entry, Patient
from simulator.story.orders import Order
from simulator.story.scenario import Scenario
from simulator.story.ward_file import WardFile
from simulator.ward import DAYS_MAX, draw_ward

# Names have two digits in a fleet of so many, so a case has the same name in any trial; large, for
# a step of a fleet costs nearly the same for few pumps as for many.
BLOCK = 90
PATIENTS_MAX = 100_000
# With these seeds rules and thresholds may be tuned; the published table is made with others.
TUNING_SEED_MAX = 999
BLOCK_SEEDS = 10_000
DAY_MS = 24 * MS_PER_HOUR
# Of all patient-days, so many have nothing planted, one hazard, or two. [A]
SHARES = (0.50, 0.35, 0.15)
# What the cohort brings is left out so long before and after a planted hazard that is kept apart;
# and so far are two such hazards from each other. [A]
BEFORE_MS, AFTER_MS = 20 * MS_PER_MINUTE, 30 * MS_PER_MINUTE
APART_MS = 60 * MS_PER_MINUTE
# A second hazard that finds no room is left out after so many draws.
TRIES = 20
# The last hour of a story shows what comes of what was planted before.
TAIL_MIN = 60.0
# The child of a pump's seed for what is planted; simulator/ward.py has those up to 111.
PURPOSE = 201


class TrialSettings(Struct, frozen=True, kw_only=True):
    """What a trial is made of. `hazards` empty means all, on half of all days; with keys, every
    day has one of those, in turn from case to case and from day to day.
    """

    seed: Annotated[int, Meta(ge=1, le=10**9)] = 1
    patients: Annotated[int, Meta(ge=1, le=PATIENTS_MAX)] = 100
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] = 1
    hazards: tuple[str, ...] = ()
    wire: str = "home"
    cohort: str = "home"
    protocol: str = "home-heparin"
    interval_s: float = 10.0
    step_s: float = 2.0

    @property
    def is_tuning(self) -> bool:
        """Whether this seed is one to tune by; no figure made with it may be published."""
        return self.seed <= TUNING_SEED_MAX


class Plant(Struct, frozen=True):
    """One hazard on one case."""

    hazard: Hazard
    planted: Planted


class Case(Struct, frozen=True, kw_only=True):
    """One patient with everything planted on the days; `index` is the place in the block."""

    number: int
    index: int
    pump: str
    plants: tuple[Plant, ...]


class Block(Struct, frozen=True):
    """The cases of one fleet, and the story of all of them."""

    number: int
    seed: int
    cases: tuple[Case, ...]
    scenario: Scenario


def blocks_of(settings: TrialSettings) -> range:
    """The numbers of the blocks of a trial."""
    return range(-(-settings.patients // BLOCK))


def block_seed(seed: int, block: int) -> int:
    """The seed of a block; those of two trials are never the same."""
    return seed * BLOCK_SEEDS + block


def draw_block(settings: TrialSettings, ward: WardFile, block: int, pumps: int) -> Block:
    """The first `pumps` cases of a block. Raises ConfigError for a hazard that is not there."""
    rows = chosen(settings.hazards, settings.days)
    seed = block_seed(settings.seed, block)
    story = draw_ward(ward, name=settings.cohort, pumps=pumps, days=settings.days, seed=seed)
    cases = tuple(
        Case(
            number=block * BLOCK + index,
            index=index,
            pump=patient.pump,
            plants=_plants(settings, rows, block, index, pumps, patient),
        )
        for index, patient in enumerate(story.patients)
    )
    header = replace(story.header, protocol=settings.protocol)
    return Block(block, seed, cases, _joined(replace(story, header=header), cases))


def _plants(
    settings: TrialSettings,
    rows: Sequence[Hazard],
    block: int,
    index: int,
    pumps: int,
    patient: Patient,
) -> tuple[Plant, ...]:
    plants: list[Plant] = []
    seed = block_seed(settings.seed, block)
    for day in range(settings.days):
        key = (index, PURPOSE, day)
        chance = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
        count = 1 if settings.hazards else int(chance.choice(len(SHARES), p=SHARES))
        choice = rows
        if settings.hazards:
            choice = (rows[(block * BLOCK + index + day) % len(rows)],)
        for _ in range(count):
            plant = _plant(settings, choice, chance, day, index, pumps, patient, plants)
            plants += [plant] if plant is not None else []
    return tuple(plants)


def _plant(
    settings: TrialSettings,
    rows: Sequence[Hazard],
    chance: np.random.Generator,
    day: int,
    index: int,
    pumps: int,
    patient: Patient,
    others: Sequence[Plant],
) -> Plant | None:
    """One hazard that has room on this day, or none."""
    assert patient.weight_kg is not None, "a ward describes its patients"
    assert patient.dose_iu_kg_h is not None, "a ward describes its patients"
    assert patient.concentration_iu_ml is not None, "a ward describes its patients"
    dose_iu_h = patient.dose_iu_kg_h * patient.weight_kg
    for _ in range(TRIES):
        hazard = rows[int(chance.integers(len(rows)))]
        window = _window(hazard, chance, day, settings.days)
        if window is None:
            continue
        bed = Bed(
            pump=patient.pump,
            partner=pump_name(index - 1 if index else 1, pumps),
            weight_kg=patient.weight_kg,
            dose_iu_kg_h=patient.dose_iu_kg_h,
            concentration_iu_ml=patient.concentration_iu_ml,
            rate_ml_h=pump_rate_ml_h(dose_iu_h, patient.concentration_iu_ml),
            at_ms=window[0],
            until_ms=window[1],
            chance=chance,
        )
        plant = Plant(hazard, hazard.plant(bed))
        if hazard.group == "technical" and plant.planted.partner and pumps == 1:
            continue
        if all(_is_apart(plant, other) for other in others):
            return plant
    return None


def _window(
    hazard: Hazard, chance: np.random.Generator, day: int, days: int
) -> tuple[int, int] | None:
    """A random beginning and end in whole seconds; None where the hazard has no place that day."""
    low, high = hazard.lasts_min
    lasts = float(np.exp(chance.uniform(np.log(low), np.log(high))))
    if hazard.from_min >= DAY_MS / MS_PER_MINUTE:
        # A matter of many days: it begins once, where it must, and not on a day of its own.
        first, last = hazard.from_min, days * 1440.0 - lasts - TAIL_MIN
    else:
        last = 1440.0 - lasts - TAIL_MIN if hazard.to_min is None else hazard.to_min
        first = hazard.from_min if day == 0 else 0.0
        first, last = first + day * 1440.0, last + day * 1440.0
    if last < first or (day > 0 and (hazard.to_min is not None or hazard.from_min >= 1440.0)):
        return None
    begin_s = round(float(chance.uniform(first, last)) * 60)
    return begin_s * 1_000, (begin_s + round(lasts * 60)) * 1_000


def _is_apart(one: Plant, other: Plant) -> bool:
    """Whether both can be scored: apart in time, unless neither can hide the other."""
    if one.hazard.key == other.hazard.key:
        return False
    if not (one.hazard.is_shy and other.hazard.is_shy):
        # What only blood shows runs beside anything, but not beside another of its kind.
        return one.hazard.is_shy or other.hazard.is_shy
    (begin, end), (since, until) = span_ms(one.planted), span_ms(other.planted)
    return begin > until + APART_MS or since > end + APART_MS


def span_ms(planted: Planted) -> tuple[int, int]:
    """From the first entry of what was planted to its end, in ms from the start."""
    entries = (*planted.faults, *planted.actions, *planted.orders, *planted.events)
    begin = min((entry.at.ms for entry in entries), default=planted.onset_ms)
    return min(begin, planted.onset_ms), planted.until_ms


# --- one story out of all ------------------------------------------------------------------------


def _joined(story: Scenario, cases: Sequence[Case]) -> Scenario:
    """The cohort's story with everything planted, pump by pump, so that no pump shifts another's
    chance; what the cohort brings near a hazard that is kept apart is left out.
    """
    faults: list[Entry] = []
    actions: list[Entry] = []
    orders: list[Order] = []
    events: list[Entry] = []
    own_faults, own_actions = _by_pump(story.faults), _by_pump(story.actions)
    for case in cases:
        taken = [span_ms(plant.planted) for plant in case.plants if plant.hazard.is_shy]
        for fault in own_faults.get(case.pump, ()):
            until = getattr(fault, "until", None)
            end_ms = until.ms if until is not None else fault.at.ms
            if _is_free(fault.at.ms, end_ms, taken):
                faults.append(fault)
        for group in _visits(own_actions.get(case.pump, [])):
            if _is_free(group[0].at.ms, _end_ms(group), taken):
                actions += group
        for plant in case.plants:
            faults += plant.planted.faults
            actions += plant.planted.actions
            orders += plant.planted.orders
            events += plant.planted.events
    return replace(
        story,
        faults=tuple(faults),
        actions=tuple(actions),
        orders=tuple(orders),
        events=tuple(events),
    )


def _by_pump(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        assert isinstance(entry.pump, str), "a ward's entries are each for one pump"
        found.setdefault(entry.pump, []).append(entry)
    return found


def _visits(actions: Sequence[Entry]) -> list[list[Entry]]:
    """What belongs together: a bag change from pause to start, a standby with its end."""
    groups: list[list[Entry]] = []
    for entry in actions:
        if isinstance(entry, Pause | Standby) or not groups:
            groups.append([entry])
        else:
            groups[-1].append(entry)
    return groups


def _end_ms(group: Sequence[Entry]) -> int:
    first, last = group[0], group[-1]
    if isinstance(first, Standby):
        return max(last.at.ms, first.at.ms + round(first.minutes * MS_PER_MINUTE))
    return last.at.ms


def _is_free(begin_ms: int, end_ms: int, taken: Sequence[tuple[int, int]]) -> bool:
    return all(end_ms < begin - BEFORE_MS or begin_ms > end + AFTER_MS for begin, end in taken)

"""Random days: patients, bags, holds, bent arms, transport and Wi-Fi, drawn from a cohort's file.

Causes are drawn, not alarms: a volume to be infused that ends before the bag does, a bag that
nobody remembered, an arm that stays bent for longer than the line can hold. What alarms come of
them is the pumps' matter, and simulator/carer.py answers those.

Arrivals are Poisson with a rate that depends on the time of day (`[day]`) and on the pump (gamma
distributed with mean 1). Each pump and each purpose has its own child of the seed, so that pump k
has the same days in every fleet that has one, and a changed rate shifts no other draws.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, pump_rate_ml_h
from simulator.cohort import pump_name
from simulator.story.actions import ChangeBag, Pause, Standby, Start
from simulator.story.entries import Entry, Patient
from simulator.story.faults import Battery, Occlusion, Offline
from simulator.story.reading import Offset
from simulator.story.scenario import Header, Scenario
from simulator.story.ward_file import HOURS, Lasting, Powers, Trouble, WardFile

DAYS_MAX = 30
# Nothing lasts longer than this, be the tail of its distribution as long as it may. [A]
LASTS_MAX_MS = 12 * MS_PER_HOUR
# Between the end of one trouble and the beginning of the next of the same kind. [A]
APART_MS = 60_000
WEIGHT_KG = (40.0, 180.0)
DOSE_IU_KG_H = (4.0, 25.0)
# The exponent of 0.75 - 1 by which the dose for each kilogram falls (heparin.md §2.3 [D]).
DOSE_EXPONENT = -0.25
# What is in a bag when somebody comes because the pump says that it is low. [A]
LOW_ML = 4.0
Window = tuple[int, int]


class Purpose(IntEnum):
    """What a child of a pump's seed is for; numbers are never used twice."""

    PEOPLE = 101
    BAGS = 102
    HOLDS = 103
    BENDS = 104
    CLAMPS = 105
    TRANSPORT = 106
    WIFI = 107
    CARE = 108
    PROFILE = 109
    VOLUME = 110
    HOLD_ENDS = 111


def chance_of(seed: int, pump: int, purpose: Purpose, *more: int) -> np.random.Generator:
    """The chance of one pump (from 0) for one purpose."""
    key = (pump, int(purpose), *more)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def profile_of(ward: WardFile, seed: int, pump: int) -> str:
    """The name of the profile that chance gives to a pump (from 0)."""
    names = sorted(ward.profiles)
    weights = np.cumsum([ward.profiles[name] for name in names])
    drawn = chance_of(seed, pump, Purpose.PROFILE).uniform(0, weights[-1])
    return names[min(int(np.searchsorted(weights, drawn, side="right")), len(names) - 1)]


def draw_ward(ward: WardFile, *, name: str, pumps: int, days: int, seed: int) -> Scenario:
    """The story of `days` days on `pumps` pumps. `name` is where the cohort came from."""
    assert 1 <= days <= DAYS_MAX, "days were checked with the settings"
    patients, faults, actions = [], [], []
    for index in range(pumps):
        drawn = _Pump(ward, index, pump_name(index, pumps), days, seed)
        patients.append(drawn.patient)
        faults += drawn.faults()
        actions += drawn.actions()
    hours = days * HOURS
    return Scenario(
        name=f"{name}, seed {seed}",
        header=Header(
            title=ward.title,
            description=f"{pumps} pumps for {days} days, drawn by chance",
            pumps=pumps,
            duration=Offset(hours * MS_PER_HOUR),
        ),
        patients=tuple(patients),
        faults=tuple(faults),
        actions=tuple(actions),
        ward=ward,
    )


def arrivals_ms(
    chance: np.random.Generator, ward: WardFile, per_hour: float, hours: int
) -> list[int]:
    """The times of a Poisson process from the start, in order, busier by day than at night."""
    day = ward.day.factors()
    begins_ms = ward.day.begins_at.ms
    # From midnight before the start, hour by hour, so that a start at any minute has its factor.
    factors = np.array([day[hour % HOURS] for hour in range(hours + HOURS)]) * per_hour
    times = []
    for hour, count in enumerate(chance.poisson(factors).tolist()):
        for share in chance.random(count).tolist():
            at_ms = round((hour + share) * MS_PER_HOUR) - begins_ms
            if 0 < at_ms < hours * MS_PER_HOUR:
                times.append(at_ms // MS_PER_SECOND * MS_PER_SECOND)
    return sorted(times)


def lasting_ms(chance: np.random.Generator, lasts: Lasting) -> int:
    """A drawn duration in whole seconds, at least one."""
    drawn_s = lasts.median_s * float(np.exp(lasts.sigma * chance.standard_normal()))
    return min(max(1, round(drawn_s)) * MS_PER_SECOND, LASTS_MAX_MS)


def round_up(time_ms: int, to_ms: int) -> int:
    """The next multiple of `to_ms`: people type whole minutes."""
    return -(-time_ms // to_ms) * to_ms


def apart(windows: Sequence[Window], taken: Sequence[Window] = ()) -> list[Window]:
    """The windows in order, without those that come into one before them, or into `taken`."""
    kept: list[Window] = []
    for begin, end in sorted(windows):
        others = (*kept[-1:], *taken)
        if all(begin > until + APART_MS or end + APART_MS < since for since, until in others):
            kept.append((begin, end))
    return kept


class _Pump:
    """What one pump goes through; nothing here looks at another pump."""

    def __init__(self, ward: WardFile, index: int, name: str, days: int, seed: int) -> None:
        self._ward = ward
        self._index = index
        self._name = name
        self._seed = seed
        self._hours = days * HOURS
        chance = self._chance(Purpose.PEOPLE)
        people, bags = ward.people, ward.bags
        drawn = chance.standard_normal(2).tolist()
        weight = people.weight_median_kg * float(np.exp(people.weight_sigma * drawn[0]))
        weight = round(min(max(weight, WEIGHT_KG[0]), WEIGHT_KG[1]), 1)
        dose = people.dose_iu_kg_h * float(np.exp(people.dose_sigma * drawn[1]))
        dose *= (weight / 70.0) ** DOSE_EXPONENT
        dose = round(min(max(dose, DOSE_IU_KG_H[0]), DOSE_IU_KG_H[1]), 1)
        self._rate_ml_h = pump_rate_ml_h(dose * weight, bags.concentration_iu_ml)
        # Of a gamma distribution with mean 1 and this coefficient of variation.
        shape = people.unevenness**-2 if people.unevenness > 0 else 0.0
        self._factor = float(chance.gamma(shape)) / shape if shape else 1.0
        first_ml = float(chance.uniform(bags.spare_ml[1], bags.volume_ml))
        # What is left of a gamma distributed time at an instant that knows nothing of it.
        care = ward.care
        left_h = float(chance.random() * chance.gamma(care.vtbi_shape + 1)) / care.vtbi_shape
        self.patient = Patient(
            pump=name,
            # Where all pumps are of one model, it is the fleet's.
            profile=profile_of(ward, seed, index) if len(ward.profiles) > 1 else None,
            weight_kg=weight,
            dose_iu_kg_h=dose,
            concentration_iu_ml=bags.concentration_iu_ml,
            reservoir_ml=round(first_ml, 1),
            vtbi_ml=max(0.1, round(care.vtbi_h * left_h * self._rate_ml_h, 1)),
        )
        self._bag_windows = self._bag_changes(first_ml)

    def actions(self) -> list[Entry]:
        """Bag changes, and holds: shower, toilet, procedures."""
        entries: list[Entry] = []
        volume_ml = self._ward.bags.volume_ml
        for begin, end in self._bag_windows:
            entries += [
                self._at(Pause, begin),
                ChangeBag(at=Offset((begin + end) // 2), pump=self._name, volume_ml=volume_ml),
                self._at(Start, end),
            ]
        return entries + self._holds()

    def _holds(self) -> list[Entry]:
        """The pump is put on standby for some minutes, and started again before they are over.

        Who is forgotten is left to whoever hears the pump say that the standby is over.
        """
        hold = self._ward.hold
        planned = [
            (begin, begin + round_up(end - begin, MS_PER_MINUTE))
            for begin, end in self._windows(Purpose.HOLDS, hold)
        ]
        entries: list[Entry] = []
        for begin, end in apart(planned, self._bag_windows):
            minutes = (end - begin) / MS_PER_MINUTE
            entries.append(Standby(at=Offset(begin), pump=self._name, minutes=minutes))
            # By the time of the hold, so that one that is left out shifts no other.
            key = begin // MS_PER_SECOND
            chance = chance_of(self._seed, self._index, Purpose.HOLD_ENDS, key)
            is_forgotten = bool(chance.random() < hold.forgotten)
            share = float(chance.uniform(*hold.used))
            if not is_forgotten:
                used_s = max(1, int((end - begin) * share) // MS_PER_SECOND)
                entries.append(self._at(Start, begin + used_s * MS_PER_SECOND))
        return entries

    def faults(self) -> list[Entry]:
        """Bent arms, clamped lines, transport on the battery, Wi-Fi outages."""
        ward = self._ward
        entries: list[Entry] = [
            Occlusion(at=Offset(begin), until=Offset(end), pump=self._name)
            for begin, end in apart(self._windows(Purpose.BENDS, ward.bend))
        ]
        entries += [
            Occlusion(at=Offset(begin), until=Offset(end), pump=self._name, where="upstream")
            for begin, end in apart(self._windows(Purpose.CLAMPS, ward.clamp))
        ]
        away, outages = self._transport(ward.transport)
        entries += away
        entries += [
            Offline(at=Offset(begin), until=Offset(end), pump=self._name)
            for begin, end in apart([*outages, *self._windows(Purpose.WIFI, ward.wifi)])
        ]
        return entries

    def _bag_changes(self, first_ml: float) -> list[Window]:
        """When somebody changes the bag of their own accord.

        A forgotten one is left to whoever hears the pump say that the bag is low.
        """
        bags, chance = self._ward.bags, self._chance(Purpose.BAGS)
        found: list[Window] = []
        at_h, holds_ml = 0.0, first_ml
        while True:
            is_forgotten = bool(chance.random() < bags.forgotten)
            spare_ml = float(chance.uniform(*bags.spare_ml))
            lasts_ms = lasting_ms(chance, bags.change) + 2 * MS_PER_SECOND
            at_h += (holds_ml - (LOW_ML if is_forgotten else spare_ml)) / self._rate_ml_h
            begin = round(at_h * 3600) * MS_PER_SECOND
            if begin + lasts_ms >= self._hours * MS_PER_HOUR:
                return found
            if not is_forgotten:
                found.append((begin, begin + lasts_ms))
            at_h += lasts_ms / MS_PER_HOUR
            holds_ml = bags.volume_ml

    def _transport(self, powers: Powers) -> tuple[list[Entry], list[Window]]:
        """Times on the battery, and the outages of Wi-Fi that come with some of them."""
        chance = self._chance(Purpose.TRANSPORT)
        trouble = Trouble(per_hour=powers.per_hour, lasts=powers.lasts)
        entries: list[Entry] = []
        outages = []
        for begin, end in apart(self._draw(chance, trouble)):
            is_flat, is_away = chance.random(2) < (powers.flat, self._ward.offline_in_transport)
            level = float(chance.uniform(*(powers.flat_level if is_flat else powers.level)))
            entries.append(
                Battery(at=Offset(begin), until=Offset(end), pump=self._name, level=round(level, 4))
            )
            if is_away:
                outages.append((begin, (begin + end) // 2 + MS_PER_SECOND))
        return entries, outages

    def _windows(self, purpose: Purpose, trouble: Trouble) -> list[Window]:
        return self._draw(self._chance(purpose), trouble)

    def _draw(self, chance: np.random.Generator, trouble: Trouble) -> list[Window]:
        per_hour = trouble.per_hour * self._factor
        return [
            (begin, begin + lasting_ms(chance, trouble.lasts))
            for begin in arrivals_ms(chance, self._ward, per_hour, self._hours)
        ]

    def _at(self, kind: type[Entry], at_ms: int) -> Entry:
        return kind(at=Offset(at_ms), pump=self._name)

    def _chance(self, purpose: Purpose) -> np.random.Generator:
        return chance_of(self._seed, self._index, purpose)

"""How alerts are handled for one therapy at one time: rules, numbers, who is called, how long.

Plain values; what makes them is a policy (infusion/policy.py). `DEFAULT` is the policy of a site
that says nothing.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from infusion.alarms import Priority
from infusion.local_time import EPOCH_WEEKDAY, MINUTES_OF_DAY, offset_min
from infusion.local_time import WEEKDAYS as WEEKDAYS
from infusion.local_time import Offset as Offset
from infusion.rules import RULES, Rule
from infusion.service.rota import Rota
from infusion.thresholds import DEFAULTS, Thresholds
from infusion.units import MS_PER_MINUTE, MS_PER_SECOND

# Nobody may switch the last level off, or let a HIGH alert wait longer for it [A].
FAILSAFE_MIN_MAX = 15


class Hours(Struct, frozen=True):
    """Working hours in local time: on these weekdays (0 is Monday), from one minute to another.

    `offsets` is the local time's distance from UTC, oldest first; before the first one, and
    without any, it is the first one's, or none. The core knows no time zones: whoever reads the
    policy looks the zone up.
    """

    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    from_minute: int = 8 * 60
    to_minute: int = 17 * 60
    offsets: tuple[Offset, ...] = ()

    def offset_min(self, at_ms: int) -> int:
        """Minutes that local time is ahead of UTC at an instant."""
        return offset_min(at_ms, self.offsets)

    def covers(self, at_ms: int) -> bool:
        """Whether an instant is within working hours."""
        minute = at_ms // MS_PER_MINUTE + self.offset_min(at_ms)
        weekday = (minute // MINUTES_OF_DAY + EPOCH_WEEKDAY) % 7
        return (
            weekday in self.weekdays
            and self.from_minute <= minute % MINUTES_OF_DAY < self.to_minute
        )


class Step(Struct, frozen=True):
    """One level of escalation as one priority sees it: called `after_ms` if nobody takes it.

    `when` is `always`, `working-hours` or `off-hours`; outside of that the next level takes its
    place. The fail-safe level is always there.
    """

    number: int
    name: str
    after_ms: int
    when: str = "always"
    failsafe: bool = False


class People(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long what a person does lasts, and the most that may be asked for.

    `audio_pause_max_s`: GIP 3.2, silence ends by itself within 2 min [V2]. The rest [A].
    """

    taken_for_min: Annotated[float, Meta(gt=0, le=1_440)] = 30.0
    taken_max_min: Annotated[float, Meta(gt=0, le=1_440)] = 240.0
    snooze_max_min: Annotated[float, Meta(gt=0, le=1_440)] = 240.0
    audio_pause_max_s: Annotated[float, Meta(gt=0, le=120)] = 120.0

    @property
    def taken_for_ms(self) -> int:
        return round(self.taken_for_min * MS_PER_MINUTE)

    @property
    def taken_max_ms(self) -> int:
        return round(self.taken_max_min * MS_PER_MINUTE)

    @property
    def snooze_max_ms(self) -> int:
        return round(self.snooze_max_min * MS_PER_MINUTE)

    @property
    def audio_pause_max_ms(self) -> int:
        return round(self.audio_pause_max_s * MS_PER_SECOND)


class Flapping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an alert that comes and goes is damped: it then stays until it was quiet for long [A].

    The `raises`-th alert of one rule on one pump within `within_min` is open until its hazard was
    gone for `quiet_min`.
    """

    raises: Annotated[int, Meta(ge=2, le=20)] = 4
    within_min: Annotated[float, Meta(gt=0, le=1_440)] = 60.0
    quiet_min: Annotated[float, Meta(gt=0, le=1_440)] = 15.0

    @property
    def within_ms(self) -> int:
        return round(self.within_min * MS_PER_MINUTE)

    @property
    def quiet_ms(self) -> int:
        return round(self.quiet_min * MS_PER_MINUTE)


Chains = Mapping[Priority, tuple[Step, ...]]


def chains(*levels: tuple[str, str, float | None, float | None, float | None]) -> Chains:
    """Who is called for each priority, from rows of (name, when, minutes for high, medium, low).

    The last row is the fail-safe. A row without minutes for a priority is not called for it; a
    notice calls nobody.
    """
    found: dict[Priority, list[Step]] = {priority: [] for priority in Priority}
    for number, (name, when, *minutes) in enumerate(levels, start=1):
        is_last = number == len(levels)
        for priority, after_min in zip(
            (Priority.HIGH, Priority.MEDIUM, Priority.LOW), minutes, strict=True
        ):
            if after_min is not None:
                after_ms = round(after_min * MS_PER_MINUTE)
                found[priority].append(Step(number, name, after_ms, when, is_last))
    return {priority: tuple(steps) for priority, steps in found.items()}


class Handling(Struct, frozen=True, kw_only=True):
    """Everything that decides over the alerts of one pump; see the head of this file.

    - `rules`: the rows in force; a rule that is not here is switched off.
    - `latching`: the priorities at which a rule that latches does so.
    - `rota`: who is on call by name, for the levels that are roles of it.
    - `until_ms`: when this must be asked of the policy anew; None: never.
    """

    rules: Mapping[str, Rule]
    thresholds: Thresholds
    chains: Chains
    hours: Hours
    people: People
    flapping: Flapping
    latching: frozenset[Priority]
    rota: Rota | None = None
    until_ms: int | None = None


# Who is called by a site that says nothing of it [A].
DEFAULT_CALLS: tuple[tuple[str, str, float | None, float | None, float | None], ...] = (
    ("nurse on duty", "always", 0, 0, 0),
    ("nurse on call", "always", 5, 30, None),
    ("pharmacist", "always", 10, 60, None),
    ("everybody", "always", FAILSAFE_MIN_MAX, 120, None),
)

DEFAULT = Handling(
    rules=RULES,
    thresholds=DEFAULTS,
    chains=chains(*DEFAULT_CALLS),
    hours=Hours(),
    people=People(),
    flapping=Flapping(),
    latching=frozenset({Priority.HIGH}),
)

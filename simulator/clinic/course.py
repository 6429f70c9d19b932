"""What a clinic remembers of one patient's care, and what it still has to do."""

from typing import Literal

from msgspec import Struct

from infusion.units import MS_PER_HOUR
from simulator.clinic.chance import Chance
from simulator.clinic.happenings import Condition, Resulted
from simulator.clinic.nurse import Planned
from simulator.clinic.protocol import Calendar, Test
from simulator.patients import Bleeding
from simulator.story.plan import OrderVersion

# What is due: "level" is every test of the level at once.
Need = Literal["level", "platelets", "haemoglobin", "inr"]


class Course(Struct, kw_only=True, eq=False):
    """One patient's care since `start_ms`, with warfarin from `warfarin_ms` on (infinity: never).

    `due` says when what is to be drawn, unless it is on its way.

    `rechecks_ms` says when haemoglobin is to be drawn because of a reported bleeding.

    `visit` is the number of the visit planned last; `level` and `inr` are the results before,
    the level in the nomogram's own unit; `highest` the highest counts so far. `is_wrong` says that
    a slip has left the pump with another rate than ordered.
    """

    index: int
    order: OrderVersion
    chance: Chance
    no_bolus: bool
    start_ms: int
    warfarin_ms: float
    due: dict[Need, int] = {}
    rechecks_ms: tuple[int, ...] = ()
    visit: int = 0
    specimens: int = 0
    decisions: int = 0
    bleedings: int = 0
    level: float | None = None
    inr: float | None = None
    highest: dict[Test, float] = {}
    spoiled: list[Condition] = []
    closed_until_ms: int = 0
    is_over: bool = False
    is_wrong: bool = False

    def take(self, now_ms: int, early_ms: int) -> tuple[Need, ...]:
        """What is drawn now: all that is due, and counts that will be within `early_ms`.

        A level before its time would still show the rate before.
        """
        needs = tuple(
            need
            for need, due_ms in self.due.items()
            if due_ms <= now_ms + (0 if need == "level" else early_ms)
        )
        assert needs, "a visit is planned for what is due"
        for need in needs:
            del self.due[need]
        if "haemoglobin" in needs:
            self.rechecks_ms = tuple(at for at in self.rechecks_ms if at > now_ms + early_ms)
        return needs

    def recheck(self, now_ms: int, calendar: Calendar) -> None:
        """A bleeding was reported: haemoglobin now, and again as the calendar says."""
        later = (round(hours * MS_PER_HOUR) for hours in calendar.haemoglobin_after_h)
        self.rechecks_ms = (now_ms, *(now_ms + after_ms for after_ms in later))
        self.due["haemoglobin"] = now_ms

    def next_count_ms(self, test: Test, drawn_ms: int, calendar: Calendar) -> int | None:
        """When a count or INR that was drawn is due again; None for never."""
        if test == "haemoglobin":
            every_ms = round(calendar.haemoglobin_every_h * MS_PER_HOUR)
            return min((drawn_ms + every_ms, *self.rechecks_ms))
        if test == "inr":
            return drawn_ms + round(calendar.inr_every_h * MS_PER_HOUR)
        assert test == "platelets", "the prescriber says when a level is due"
        day_ms = 24 * MS_PER_HOUR
        first_ms = self.start_ms + round(calendar.platelets_from_day * day_ms)
        next_ms = max(first_ms, drawn_ms + round(calendar.platelets_every_h * MS_PER_HOUR))
        until_ms = self.start_ms + calendar.platelets_until_day * day_ms
        return next_ms if next_ms <= until_ms else None


def need_of(test: Test) -> Need:
    """What a test is drawn for."""
    return "level" if test == "anti-xa" or test == "aptt" else test


class Visit(Struct, frozen=True):
    """A nurse draws what is due; void when another visit has been planned since."""

    number: int


class Arrive(Struct, frozen=True):
    """The results of a specimen come back, or cannot be had."""

    results: tuple[Resulted, ...]


class Miss(Struct, frozen=True):
    """Somebody asks for results of a specimen that is lost."""

    needs: tuple[Need, ...]


class Decide(Struct, frozen=True):
    """The prescriber looks at a level, or ends the therapy for `reason`."""

    level: float | None = None
    reason: str = ""


class Perform(Struct, frozen=True):
    """A nurse does something at the pump."""

    planned: Planned
    version: int


class Notice(Struct, frozen=True):
    """A patient calls because of a bleeding."""

    bleeding: Bleeding


Task = Visit | Arrive | Miss | Decide | Perform | Notice


class Due(Struct, frozen=True, order=True):
    """A task of one patient at a time; `number` keeps the order at equal times."""

    at_ms: int
    number: int
    index: int
    task: Task

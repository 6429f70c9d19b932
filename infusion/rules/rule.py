"""One row of the table of rules."""

from collections.abc import Callable

from msgspec import Struct

from infusion.alarms import Priority
from infusion.situation import Situation, Verdict
from infusion.units import MS_PER_MINUTE

HIGH, MEDIUM, LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW
NOTICE = Priority.NOTICE

Check = Callable[[Situation], Verdict | None]


class News(Struct, frozen=True):
    """What is new at a look: something of the pump or its order, something of its clinic or the
    calendar, or only that the level in the blood was carried on. `of_watch` says that one of the
    watches on the numbers (flow, counter, pressure) shows something now, new or not.
    """

    of_pump: bool
    of_clinic: bool
    of_level: bool
    of_watch: bool


EVERYTHING = News(of_pump=True, of_clinic=True, of_level=True, of_watch=True)


class Level(Struct, frozen=True):
    """After the hazard has lasted for `delay_ms`, the alert has this priority."""

    delay_ms: int
    priority: Priority


class Rule(Struct, frozen=True):
    """How one hazard is handled.

    - `levels`: how long it must last until the alert is raised, and at what priority; further
      levels raise the priority of the same alert as time goes on.
    - `off_delay_ms`: how long it must be gone until the alert is cleared.
    - `suppressed_by`: rules that, while raised, already say what this one would say.
    - `observed`: the hazard lasts only as long as it was seen in messages. What a pump says of
      itself holds until it says otherwise; what its counter did is not assumed to go on in
      silence.
    - `latches`: the alert stays until somebody has acknowledged it, also when the hazard is gone.
    - `told`: only news can bring the hazard: something said or done, another rate allowed, or an
      instant of the calendar. Numbers and time alone can only end it, so without news it is not
      looked for (infusion/looks.py).
    - `watched`: the hazard is there only while one of the watches shows something.
    """

    key: str
    category: str
    levels: tuple[Level, ...]
    check: Check | None
    off_delay_ms: int = 0
    suppressed_by: tuple[str, ...] = ()
    observed: bool = False
    latches: bool = False
    told: bool = False
    watched: bool = False


def levels(*given: tuple[float, Priority]) -> tuple[Level, ...]:
    """Levels from minutes."""
    return tuple(Level(round(minutes * MS_PER_MINUTE), priority) for minutes, priority in given)

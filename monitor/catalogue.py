"""What the monitor looks for, rule by rule: made of the table of rules, the texts, the thresholds,
as they are by themselves or as a policy has them.

A terminal, JSON, the page and docs/alarms.md therefore tell the same.
"""

import inspect
import re
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from infusion.errors import ConfigError
from infusion.handling import DEFAULT, Handling
from infusion.rules import RULES
from infusion.tables import nearest
from infusion.texts import TEXTS
from infusion.thresholds import Thresholds

# The classes of rules in the order in which they are told, and what each is about.
CLASSES = {
    "delivery": "What is really delivered, against the order",
    "therapy": "What the pump is set to, against the order",
    "device": "Alarms of the pump itself",
    "technical": "Whether what a pump says can be believed",
    "laboratory": "Blood tests, against dose and range",
    "care": "What people report, and what is due",
}


_FIELD_LINE = re.compile(r"([a-z_0-9]+): ")


class RuleLimit(Struct, frozen=True):
    """A threshold: its field, its default, and what is said of it where it is defined."""

    name: str
    value: float | int | bool | str
    source: str


class LevelRow(Struct, frozen=True):
    """After so many seconds the alert has this priority."""

    after_s: float
    priority: str


class RuleRow(Struct, frozen=True, kw_only=True):
    """All that is to be told of one rule. One that a policy switches off has no levels."""

    key: str
    title: str
    category: str
    levels: tuple[LevelRow, ...]
    off_delay_s: float
    latches: bool
    observed: bool
    hidden_by: tuple[str, ...]
    what: str
    first: str
    why: str
    clears: str
    source: str
    limits: tuple[RuleLimit, ...]


def catalogue(handling: Handling = DEFAULT) -> list[RuleRow]:
    """Every rule, class by class, in the order of the table; by the defaults, or by a policy."""
    known = [row(key, handling) for key in RULES]
    order = list(CLASSES)
    return sorted(known, key=lambda each: order.index(each.category))


def row(key: str, handling: Handling = DEFAULT) -> RuleRow:
    """One rule. Raises ConfigError where there is none of that name."""
    if key not in RULES:
        raise ConfigError(f"there is no rule {key!r}; {nearest(key, RULES)}")
    rule = handling.rules.get(key) or replace(RULES[key], levels=())
    text, limits = TEXTS[key], handling.thresholds
    sources = limit_sources()
    return RuleRow(
        key=key,
        title=text.title,
        category=rule.category,
        levels=tuple(
            LevelRow(level.delay_ms / 1_000, level.priority.value) for level in rule.levels
        ),
        off_delay_s=rule.off_delay_ms / 1_000,
        latches=rule.latches,
        observed=rule.observed,
        hidden_by=rule.suppressed_by,
        what=text.what,
        first=text.first,
        why=text.why,
        clears=text.clears,
        source=text.source,
        limits=tuple(RuleLimit(name, getattr(limits, name), sources[name]) for name in text.limits),
    )


@cache
def limit_sources() -> dict[str, str]:
    """What stands above each threshold in infusion/thresholds.py: its meaning and its source.

    The comment is the one place where that is written, so it is read and not repeated.
    """
    sources: dict[str, str] = {}
    comment: list[str] = []
    after_field = False
    for line in map(str.strip, inspect.getsource(Thresholds).splitlines()):
        field = _FIELD_LINE.match(line)
        if field is not None:
            # Fields that stand together share the comment above the first.
            sources[field[1]] = " ".join(comment)
            after_field = True
        elif line.startswith("#"):
            if after_field or line.startswith("# ---"):
                comment, after_field = [], False
            if not line.startswith("# ---"):
                comment.append(line.removeprefix("#").strip())
        else:
            comment, after_field = [], False
    return sources

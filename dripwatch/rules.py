"""`dripwatch rules`: what the monitor looks for, how urgent it is, and what it then says.

The rows are made from the table of rules, the texts and the thresholds, so that a terminal, JSON
and docs/alarms.md tell the same.
"""

import inspect
import re
import sys
import textwrap
from collections.abc import Sequence
from functools import cache

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from dripwatch.view import NOTICE
from host.process import report
from infusion.errors import ConfigError, DripwatchError
from infusion.rules import RULES
from infusion.tables import nearest
from infusion.texts import TEXTS
from infusion.thresholds import DEFAULTS, Thresholds
from infusion.words import span

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
_BLANK = "…"
_WIDTH = 96
_INTRODUCTION = """\
# What the monitor looks for

Every rule, and every alarm of a pump, with its words and where its numbers come from. This page is
written by `python -m docs.alarm_catalogue`; `dripwatch rules` prints the same, and `dripwatch rules
KEY` one rule.

- **Levels and thresholds are the defaults**; `config/alerts.toml` may change them for a site, a
  therapy or a patient. A level counts from when the hazard began.
- **Priorities** are modelled on IEC 60601-1-8: high, act now; medium, act soon; low, be aware;
  notice, nobody needs to act.
- An alert **ends** when the pump, the laboratory or a person has told that its reason is gone;
  silence ends nothing. How it lives in between is told in [alert-life.md](alert-life.md).
- A rule is **hidden** while another alert already says what it would say; the other one names it.
- **Marks**: [V] read in the source, [V2] read in a secondary source, [D] derived from such, [M]
  from memory, [A] a proposal of this project. GIP is the Generic Infusion Pump safety requirements.
  H, M or L with a number is a row of the project's own proposal of rules, all of it [A] but for
  what it cites.
- In the words, … stands for what is filled in; a part whose number is not known is left out. The
  dose that was given too much or too little so far is added where it is known.

For testing and training. Not a medical device.
"""


class Limit(Struct, frozen=True):
    """A threshold: its field, its default, and what is said of it where it is defined."""

    name: str
    value: float | int | bool | str
    source: str


class LevelRow(Struct, frozen=True):
    """After so many seconds the alert has this priority."""

    after_s: float
    priority: str


class Row(Struct, frozen=True, kw_only=True):
    """All that is to be told of one rule, by its defaults."""

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
    limits: tuple[Limit, ...]


@click.command("rules", epilog=NOTICE)
@click.argument("key", required=False)
@click.option("--json", "as_json", is_flag=True, help="one JSON array, or the one rule")
@click.option("--markdown", "as_markdown", is_flag=True, help="the page docs/alarms.md")
def command(*, key: str | None, as_json: bool, as_markdown: bool) -> None:
    """What the monitor looks for: every rule as a row, or the rule KEY whole.

    Levels and thresholds are the defaults; config/alerts.toml may change them.
    """
    if as_markdown and (as_json or key is not None):
        raise click.UsageError("--markdown is the whole page; give it alone")
    try:
        found = catalogue() if key is None else [row(key)]
    except DripwatchError as error:
        sys.exit(report(error))
    if as_markdown:
        click.echo(page(found), nl=False)
    elif as_json:
        value = found if key is None else found[0]
        click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())
    elif key is not None:
        click.echo("\n".join(told(found[0])))
    else:
        show(found, Console())


def catalogue() -> list[Row]:
    """Every rule, class by class, in the order of the table."""
    known = [row(key) for key in RULES]
    order = list(CLASSES)
    return sorted(known, key=lambda each: order.index(each.category))


def row(key: str) -> Row:
    """One rule. Raises ConfigError where there is none of that name."""
    rule = RULES.get(key)
    if rule is None:
        raise ConfigError(f"there is no rule {key!r}; {nearest(key, RULES)}")
    text = TEXTS[key]
    sources = limit_sources()
    return Row(
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
        limits=tuple(Limit(name, getattr(DEFAULTS, name), sources[name]) for name in text.limits),
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


# --- telling -------------------------------------------------------------------------------------


def levels_text(levels: Sequence[LevelRow]) -> str:
    """When the alert has which priority: `medium after 10 min, high after 30 min`."""
    return ", ".join(
        f"{level.priority} after {span(round(level.after_s * 1_000))}"
        if level.after_s
        else f"{level.priority} at once"
        for level in levels
    )


def blanked(template: str) -> str:
    """A template as a reader sees it, with … for what is filled in."""
    return re.sub(r"\{[a-z_]+\}", _BLANK, re.sub(r"[\[\]]", "", template))


def told(rule: Row) -> list[str]:
    """One rule whole, line by line."""
    parts = {
        "says": blanked(rule.what),
        "look first": rule.first,
        "why": rule.why,
        "priority": levels_text(rule.levels),
        "ends": _ending(rule),
        "hidden by": ", ".join(rule.hidden_by),
        "class": f"{rule.category}: {CLASSES[rule.category].lower()}",
        "source": rule.source,
    }
    lines = [f"{rule.key}: {rule.title}", ""]
    for name, words in parts.items():
        if words:
            lines += _wrapped(f"  {name:<12}{words}", 14)
    if rule.limits:
        lines += ["", "  thresholds (defaults)"]
    for limit in rule.limits:
        lines.append(f"    {limit.name} = {_value(limit)}")
        lines += _wrapped(f"        {limit.source}", 8)
    return lines


def _wrapped(line: str, indent: int) -> list[str]:
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * indent, break_long_words=False)


def page(rules: Sequence[Row]) -> str:
    """The page docs/alarms.md: a table for each class, then each rule."""
    parts = [_INTRODUCTION]
    for category, about in CLASSES.items():
        found = [each for each in rules if each.category == category]
        if not found:
            continue
        parts.append(f"\n## {about}\n\n| rule | alert | priority |\n| --- | --- | --- |\n")
        parts += [
            f"| [{each.key}](#{each.key}) | {each.title} | {levels_text(each.levels)} |\n"
            for each in found
        ]
        parts += [_section(each) for each in found]
    return "".join(parts)


def _section(rule: Row) -> str:
    lines = [
        f"\n### {rule.key}\n",
        f"*{blanked(rule.what)}*\n",
        f"- **Look first**: {rule.first}",
        f"- **Why**: {rule.why}",
        f"- **Ends**: {_ending(rule)}",
    ]
    if rule.hidden_by:
        lines.append(f"- **Hidden by**: {', '.join(rule.hidden_by)}")
    lines.append(f"- **Source**: {rule.source}")
    lines += [f"- `{limit.name} = {_value(limit)}`: {limit.source}" for limit in rule.limits]
    return "\n".join(lines) + "\n"


def _ending(rule: Row) -> str:
    text = rule.clears
    if rule.off_delay_s:
        text += f" It must have been so for {span(round(rule.off_delay_s * 1_000))}."
    if rule.observed:
        text += " Only what was seen in messages counts as lasting."
    if rule.latches:
        text += " Then it stays until somebody has acknowledged it."
    return text


def _value(limit: Limit) -> str:
    """A value as config/alerts.toml has it."""
    return msgspec.json.encode(limit.value).decode()


def show(rules: Sequence[Row], console: Console) -> None:
    """All rules as a table on a terminal, and as lines with tabs elsewhere."""
    if not console.is_terminal:
        for each in rules:
            cells = (each.key, each.category, each.title, levels_text(each.levels))
            click.echo("\t".join(cells))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("rule", "class", "alert", "priority"):
        table.add_column(head, overflow="fold")
    for each in rules:
        table.add_row(each.key, each.category, each.title, levels_text(each.levels))
    console.print(table)

"""`dripwatch rules`: what the monitor looks for, how urgent it is, and what it then says.

The rows are those of monitor/catalogue.py, so that a terminal, JSON, the page and docs/alarms.md
tell the same.
"""

import re
import sys
import textwrap
from collections.abc import Sequence

import click
import msgspec
from rich.console import Console
from rich.table import Table

from dripwatch.view import NOTICE
from host.process import report
from infusion.errors import DripwatchError
from infusion.words import span
from monitor.catalogue import CLASSES, LevelRow, RuleLimit, RuleRow, catalogue, row

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


def told(rule: RuleRow) -> list[str]:
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


def page(rules: Sequence[RuleRow]) -> str:
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


def _section(rule: RuleRow) -> str:
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


def _ending(rule: RuleRow) -> str:
    text = rule.clears
    if rule.off_delay_s:
        text += f" It must have been so for {span(round(rule.off_delay_s * 1_000))}."
    if rule.observed:
        text += " Only what was seen in messages counts as lasting."
    if rule.latches:
        text += " Then it stays until somebody has acknowledged it."
    return text


def _value(limit: RuleLimit) -> str:
    """A value as config/alerts.toml has it."""
    return msgspec.json.encode(limit.value).decode()


def show(rules: Sequence[RuleRow], console: Console) -> None:
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

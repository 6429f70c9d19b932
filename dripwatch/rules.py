"""`dripwatch rules`: what the monitor looks for, how urgent it is, and what it then says.

The rows are those of monitor/catalogue.py, so that a terminal, JSON, the page and docs/alarms.md
tell the same.
"""

import re
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

import monitor.process
from dripwatch.view import NOTICE
from host.process import report
from infusion.allowed import FOREVER_MS
from infusion.errors import DripwatchError
from infusion.handling import DEFAULT, Handling
from infusion.units import MS_PER_MINUTE, MS_PER_SECOND
from infusion.words import span
from monitor.catalogue import CLASSES, LevelRow, RuleLimit, RuleRow, catalogue, row
from monitor.references import read_references

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
@click.option("--site", metavar="NAME", help="as the policy has it at this site")
@click.option("--therapy", metavar="NAME", help="as it has it for this therapy")
@click.option("--patient", metavar="THERAPY", help="the same, with the patient's overrides of now")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file (config/monitor.toml)")
def command(
    *, key: str | None, as_json: bool, as_markdown: bool, config: Path | None, **where: str | None
) -> None:
    """What the monitor looks for: every rule as a row, or the rule KEY whole.

    Levels and thresholds are the defaults. With --site, --therapy or --patient they are those of
    the policy (config/alerts.toml, or the file that --config names), and each that differs says
    what the default is. A patient is known by the therapy alone.
    """
    has_place = config is not None or any(where.values())
    if as_markdown and (as_json or key is not None or has_place):
        raise click.UsageError("--markdown is the whole page; give it alone")
    if where["therapy"] is not None and where["patient"] is not None:
        raise click.UsageError("--patient has all that --therapy has; give one of them")
    try:
        handling = policy_there(config, **where) if has_place else DEFAULT
        found = catalogue(handling) if key is None else [row(key, handling)]
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


def policy_there(
    config: Path | None, *, site: str | None, therapy: str | None, patient: str | None
) -> Handling:
    """What the policy says there now; a name that it does not know is told, for it may be a slip.

    Raises ConfigError.
    """
    references = read_references(monitor.process.settings(config).value.monitor.alerts)
    policy = references.policy
    overridden = {each.therapy for each in policy.overrides}
    for what, name, known in (
        ("site", site, policy.sites),
        ("therapy", therapy, policy.therapies),
        ("therapy or override", patient, policy.therapies.keys() | overridden),
    ):
        if name is not None and name not in known:
            text = f"{references.alerts} names no {what} {name!r}: what holds for all is shown"
            click.echo(f"dripwatch: {text}", err=True)
    # No override lasts for ever, so then there is none.
    at_ms = FOREVER_MS if patient is None else time.time_ns() // 1_000_000
    return policy.handling(site or "", patient or therapy, at_ms)


# --- telling -------------------------------------------------------------------------------------


def levels_text(levels: Sequence[LevelRow]) -> str:
    """When the alert has which priority: `medium after 10 min, high after 30 min`."""
    words = ", ".join(
        f"{level.priority} after {exact_span(level.after_s)}"
        if level.after_s
        else f"{level.priority} at once"
        for level in levels
    )
    return words or "switched off"


def exact_span(length_s: float) -> str:
    """A length of time as it was set: alerts may say 2 min for two and a half, a table may not."""
    length_ms = round(length_s * MS_PER_SECOND)
    minutes, rest_ms = divmod(length_ms, MS_PER_MINUTE)
    if length_ms < 2 * MS_PER_MINUTE or not rest_ms:
        return f"{length_s:g} s" if length_ms % MS_PER_SECOND else span(length_ms)
    return f"{span(minutes * MS_PER_MINUTE)} {rest_ms / MS_PER_SECOND:g} s"


def there(rule: RuleRow) -> str:
    """When a rule is which priority, and its default where that is another."""
    words, usual = levels_text(rule.levels), levels_text(row(rule.key).levels)
    return words if words == usual else f"{words} (default: {usual})"


def blanked(template: str) -> str:
    """A template as a reader sees it, with … for what is filled in."""
    return re.sub(r"\{[a-z_]+\}", _BLANK, re.sub(r"[\[\]]", "", template))


def told(rule: RuleRow) -> list[str]:
    """One rule whole, line by line."""
    parts = {
        "says": blanked(rule.what),
        "look first": rule.first,
        "why": rule.why,
        "priority": there(rule),
        "ends": _ending(rule),
        "hidden by": ", ".join(rule.hidden_by),
        "class": f"{rule.category}: {CLASSES[rule.category].lower()}",
        "source": rule.source,
    }
    lines = [f"{rule.key}: {rule.title}", ""]
    for name, words in parts.items():
        if words:
            lines += _wrapped(f"  {name:<12}{words}", 14)
    usual = {limit.name: _value(limit) for limit in row(rule.key).limits}
    if rule.limits:
        is_usual = all(_value(limit) == usual[limit.name] for limit in rule.limits)
        lines += ["", "  thresholds (defaults)" if is_usual else "  thresholds"]
    for limit in rule.limits:
        default = "" if _value(limit) == usual[limit.name] else f" (default: {usual[limit.name]})"
        lines.append(f"    {limit.name} = {_value(limit)}{default}")
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
        text += f" It must have been so for {exact_span(rule.off_delay_s)}."
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
            cells = (each.key, each.category, each.title, there(each))
            click.echo("\t".join(cells))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("rule", "class", "alert", "priority"):
        table.add_column(head, overflow="fold")
    for each in rules:
        table.add_row(each.key, each.category, each.title, there(each))
    console.print(table)

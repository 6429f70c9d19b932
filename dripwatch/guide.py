"""`dripwatch guide`: what to do about an alarm or a complaint at home, and the sheet to print."""

import html
import sys

import click

from dripwatch.view import NOTICE
from host.process import read_named, report, write_text
from infusion.errors import ConfigError, DripwatchError
from infusion.service.guide import Guide, Page, read_guide
from infusion.tables import nearest

GUIDE = "home-pump"
CALLS = {
    "at-once": "Call at once.",
    "if-not-solved": "Call if that does not help.",
    "next-day": "Call in the daytime.",
}
_STYLE = """
body { font: 12pt/1.4 sans-serif; margin: 2em auto; max-width: 45em; color: #111; }
section { break-inside: avoid; border-top: 1px solid #999; margin-top: 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-bottom: 0; }
.emergency { border: 3px solid #111; padding: .5em; font-weight: bold; }
@media print { body { margin: 0; } }
"""


@click.command("guide", epilog=NOTICE)
@click.argument("key", metavar="[ALARM|COMPLAINT]", required=False)
@click.option(
    "--guide", "name", metavar="NAME|FILE", default=GUIDE, help=f"config/guides ({GUIDE})"
)
@click.option("--html", "html_file", metavar="FILE", help="the sheet to print")
def command(*, key: str | None, name: str, html_file: str | None) -> None:
    """What to do at home about an alarm of the pump or a complaint; alone, the list of all."""
    try:
        guide = read_guide(*read_named(name, "guides"))
        if html_file is not None:
            write_text(html_file, sheet(guide))
        elif key is None:
            click.echo("\n".join(listed(guide)))
        else:
            click.echo("\n".join(told(guide, key)))
    except DripwatchError as error:
        sys.exit(report(error))


def listed(guide: Guide) -> list[str]:
    """Every page's key and title, a line each."""
    pages = {**guide.alarm, **guide.complaint}
    width = max(len(key) for key in pages)
    return [f"{key:<{width}}  {page.title}" for key, page in pages.items()]


def told(guide: Guide, key: str) -> list[str]:
    """One page as lines. Raises ConfigError for a key that the guide does not have."""
    page = guide.page(key)
    if page is None:
        known = {**guide.alarm, **guide.complaint}
        raise ConfigError(f"the guide has no page {key!r}; {nearest(key, known)}")
    steps = [f"{number}. {step}" for number, step in enumerate(page.steps, start=1)]
    never = [] if page.never is None else [page.never]
    return [page.title, page.means, *steps, *never, CALLS[page.call], guide.on_call]


def sheet(guide: Guide) -> str:
    """All pages as one HTML page to print and lay beside the pump."""
    alarms = "".join(_section(page) for page in guide.alarm.values())
    complaints = "".join(_section(page) for page in guide.complaint.values())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>What to do</title><style>{_STYLE}</style></head><body>\n<h1>What to do</h1>\n"
        f'<p class="emergency">{html.escape(guide.emergency)}</p>\n'
        f"<p>{html.escape(guide.on_call)} {NOTICE}</p>\n"
        f"<h1>When the pump calls</h1>\n{alarms}<h1>When somebody is unwell</h1>\n{complaints}"
        "</body></html>\n"
    )


def _section(page: Page) -> str:
    steps = "".join(f"<li>{html.escape(step)}</li>" for step in page.steps)
    never = "" if page.never is None else f"<p><strong>{html.escape(page.never)}</strong></p>"
    return (
        f"<section><h2>{html.escape(page.title)}</h2><p>{html.escape(page.means)}</p>"
        f"<ol>{steps}</ol>{never}<p>{CALLS[page.call]}</p></section>\n"
    )

"""A trial as one page that needs nothing else: no script, nothing from another place."""

from collections.abc import Iterable, Sequence
from html import escape

from dripwatch.trial import pictures
from dripwatch.trial.report import (
    HAZARD_HEADS,
    NAMES,
    SYSTEM_ROWS,
    Report,
    hazard_row,
    ordered,
    percent,
    plain,
    replay_command,
    system_cells,
)
from dripwatch.trial.score import (
    FALSE_BOUND,
    FALSE_HIGH_BOUND,
    PER_CAUSE_BOUND,
    RATIO_BOUND,
    SENSITIVITY_BOUNDS,
    SystemScore,
)

LISTED_MAX = 60
STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1c2430;--soft:#5d6775;
--rule:#e3e0da;--monitor:#1f5fbf;--gip:#b4531a;--device:#75808f;--previous:#7a4fa3;--good:#e3f1e6;--bad:#b3261e;
--fine:#2e7d4f}
@media (prefers-color-scheme:dark){:root{--paper:#14181d;--card:#1b2027;--ink:#e6e9ee;
--soft:#98a2b0;--rule:#303843;--monitor:#6fa8ff;--gip:#f0975a;--device:#8d98a8;--previous:#b995e0;--good:#1d3326;
--bad:#ff8a80;--fine:#7ccf9c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1000px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:18px;margin:40px 0 8px}
p{margin:0 0 12px;max-width:70ch}.soft{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:12px;margin:24px 0}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:26px;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{display:block;color:var(--soft);font-size:13px}.tile .ok{color:var(--fine)}
.tile .off{color:var(--bad)}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px;
overflow-x:auto}
svg{display:block;width:100%;min-width:640px;height:auto;font:12px system-ui,sans-serif}
svg text{fill:var(--ink)}svg .tick{fill:var(--soft);font-size:11px}svg .head{font-weight:600}
svg .group{font-weight:700;font-size:13px}svg .grid{stroke:var(--rule)}
svg .good{fill:var(--good)}svg .median{stroke:var(--monitor);stroke-width:2.5}
svg .bound{stroke:var(--bad);stroke-dasharray:4 3;stroke-width:1.5}
svg .faint{fill:var(--monitor);opacity:.28}
svg .monitor{fill:var(--monitor)}svg .gip{fill:var(--gip)}svg .device{fill:var(--device)}
svg .previous{fill:var(--previous)}svg .soft{opacity:.4}
svg .open{fill:none;stroke-width:1.6}svg .open.gip{stroke:var(--gip)}
svg .open.device{stroke:var(--device)}svg .open.previous{stroke:var(--previous)}
.key{display:flex;flex-wrap:wrap;gap:6px 18px;margin:0 0 12px;padding:0;list-style:none;
font-size:13px}
.key i{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:6px;
border:2px solid var(--c)}.key .full{background:var(--c)}
table{border-collapse:collapse;font-size:13px;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 8px;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600;color:var(--soft)}th:first-child,td:first-child{text-align:left}
code{font:12px ui-monospace,monospace}.none{color:var(--soft)}
details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}
"""
READ_THIS = (
    "<p>Each row is a hazard that was planted at random times and sizes. The green field reaches "
    f"to {RATIO_BOUND:g} times the earliest moment at which the pump's own messages could have "
    "shown it; what lies left of 1 came before the hazard was one by its definition.</p>"
)
MIND_THIS = (
    '<p class="soft"><br>A simulation for software tests and training. Not a medical device, '
    "and no evidence about patients. What each figure means: docs/detection.md.</p>"
)


def page(report: Report) -> str:
    """The whole page."""
    own = report.systems[0]
    parts = [
        "<h1>In-silico trial</h1>",
        f'<p class="soft">{escape(_about(report))}</p>',
        _tiles(own),
        "<h2>Found, and how late</h2>",
        READ_THIS,
        _key(report.systems),
        f'<div class="card">{pictures.hazards(report.systems)}</div>',
        "<h2>False alerts and load</h2>",
        f'<div class="card">{pictures.false_alerts(report.systems)}</div><br>',
        f'<div class="card">{pictures.loads(report.systems)}</div><br>',
        f'<div class="card">{pictures.false_rules(own)}</div>',
        "<h2>All figures</h2>",
        _systems(report.systems),
        "<br>",
        _card(_table(HAZARD_HEADS, [hazard_row(one) for one in ordered(own)])),
        _listed(report),
        MIND_THIS,
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Dripwatch: in-silico trial</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _about(report: Report) -> str:
    settings = report.settings
    days = settings.patients * settings.days
    kind = (
        "a seed for tuning: not to be published"
        if report.seed_kind == "tuning"
        else "a seed that nothing was tuned with"
    )
    return (
        f"{days:,} patient-days: {settings.patients:,} patients, {settings.days} day(s) each, half "
        f"of the days with nothing planted. Seed {settings.seed}, {kind}. Wire: {settings.wire}. "
        f"Dripwatch {report.dripwatch}, {report.patient_days_min_core:.0f} patient-days a minute "
        "a core."
    )


def _tiles(own: SystemScore) -> str:
    first, second, _ = own.urgencies
    rows: tuple[tuple[str, str, float | None, float, bool], ...] = (
        (percent(first.sensitivity), "P1 found", first.sensitivity, SENSITIVITY_BOUNDS[1], False),
        (percent(second.sensitivity), "P2 found", second.sensitivity, SENSITIVITY_BOUNDS[2], False),
        (plain(first.ratio), "P1 delay ÷ earliest", first.ratio, RATIO_BOUND, True),
        (
            plain(own.false_per_day, 3),
            "false alerts a patient-day",
            own.false_per_day,
            FALSE_BOUND,
            True,
        ),
        (
            plain(own.false_high_per_day, 3),
            "of these high",
            own.false_high_per_day,
            FALSE_HIGH_BOUND,
            True,
        ),
        (
            plain(own.alerts_per_cause),
            "alerts per cause",
            own.alerts_per_cause,
            PER_CAUSE_BOUND,
            True,
        ),
    )
    tiles = [
        _tile(text, about, value, bound, is_most=is_most)
        for text, about, value, bound, is_most in rows
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(
    text: str, about: str, value: float | None, bound: float, *, is_most: bool = False
) -> str:
    is_kept = value is None or (value <= bound if is_most else value >= bound)
    word = "at most" if is_most else "at least"
    limit = f"{bound:g}" if is_most else f"{bound:.0%}"
    verdict = f"{word} {limit}"
    kind = "ok" if is_kept else "off"
    mark = "✓" if is_kept else "✗"
    return (
        f'<div class="tile"><b>{escape(text)}</b><span>{escape(about)}</span>'
        f'<span class="{kind}">{mark} {verdict}</span></div>'
    )


def _key(systems: Sequence[SystemScore]) -> str:
    items = [
        f'<li><i class="{"full" if number == 0 else ""}" '
        f'style="--c:var(--{figures.system})"></i>{escape(NAMES[figures.system])}</li>'
        for number, figures in enumerate(systems)
    ]
    return f'<ul class="key">{"".join(items)}</ul>'


def _systems(systems: Sequence[SystemScore]) -> str:
    heads = ("", *(NAMES[figures.system] for figures in systems))
    cells = [system_cells(figures) for figures in systems]
    rows = [
        (name, *(column[number] for column in cells)) for number, name in enumerate(SYSTEM_ROWS)
    ]
    return _card(_table(heads, rows))


def _listed(report: Report) -> str:
    """The cases that failed and the false alerts, each with the command that shows it."""
    misses = [(miss.what, replay_command(report, miss.number)) for miss in report.misses]
    false = [
        (f"{alert.rule} ({alert.priority}) at {alert.at}", replay_command(report, alert.case))
        for alert in report.false_alerts
    ]
    parts: list[str] = []
    for title, rows in (("Cases that failed", misses), ("False alerts", false)):
        if rows:
            table = _table(
                ("what", "shown by"),
                [(what, f"\0{command}") for what, command in rows[:LISTED_MAX]],
            )
            more = f" (the first {LISTED_MAX} of {len(rows)})" if len(rows) > LISTED_MAX else ""
            parts.append(f"<details><summary>{title}{more}</summary>{_card(table)}</details>")
    return "".join(parts)


def _card(inside: str) -> str:
    return f'<div class="card">{inside}</div>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell that begins with a NUL is a command."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(cell: str) -> str:
    if cell.startswith("\0"):
        return f"<td><code>{escape(cell[1:])}</code></td>"
    return f"<td>{escape(cell)}</td>"

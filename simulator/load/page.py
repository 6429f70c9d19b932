"""A load as one page that needs nothing else: no script, nothing from another place."""

from html import escape

from simulator.load import pictures
from simulator.load.result import Result
from simulator.load.summary import named_latencies

STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1c2430;--soft:#5d6775;
--rule:#e3e0da;--one:#1f5fbf;--two:#b4531a;--bad:#b3261e;--fine:#2e7d4f}
@media (prefers-color-scheme:dark){:root{--paper:#14181d;--card:#1b2027;--ink:#e6e9ee;
--soft:#98a2b0;--rule:#303843;--one:#6fa8ff;--two:#f0975a;--bad:#ff8a80;--fine:#7ccf9c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:18px;margin:36px 0 8px}
p{margin:0 0 12px;max-width:70ch}.soft{color:var(--soft)}.good{color:var(--fine)}
.bad{color:var(--bad);font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:24px 0}
.tile,.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:12px 14px}
.tile b{display:block;font-size:24px;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}.card{overflow-x:auto}
svg{display:block;width:100%;min-width:640px;height:auto;font:12px system-ui,sans-serif}
svg text{fill:var(--ink)}svg .tick{fill:var(--soft);font-size:11px}svg .grid{stroke:var(--rule)}
svg .one{stroke:var(--one);fill:none;stroke-width:2}
svg .two{stroke:var(--two);fill:none;stroke-width:2;stroke-dasharray:5 3}
svg .name1{fill:var(--one)}svg .name2{fill:var(--two)}svg .held{fill:var(--fine)}
svg .broke{fill:var(--bad)}
table{border-collapse:collapse;font-size:13px;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 8px;text-align:right;border-bottom:1px solid var(--rule)}
th{color:var(--soft)}th:first-child,td:first-child{text-align:left}
"""


def page(result: Result) -> str:
    """The whole page."""
    config, messages = result.config, result.messages
    title = f"{config['count']} pumps, {messages.offered_per_s:,.0f} messages/s"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>Dripwatch load: {escape(title)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        (
            f'<p class="soft">{escape(result.started)}, {escape(str(config["host"]))}:'
            f"{config['port']}, MQTT {escape(str(config['mqtt']))}, QoS {config['qos']}, "
            f"{result.duration_s:g} s</p>"
        ),
        _validity(result),
        _thresholds(result),
        _tiles(result),
    ]
    if result.steps:
        parts += [
            f"<h2>Steps</h2><p>{escape(result.verdict)}</p>",
            f'<div class="card">{pictures.steps(result.steps)}</div>',
        ]
    parts += [
        "<h2>Messages a second</h2>",
        f'<div class="card">{pictures.rates(result.seconds)}</div>',
        "<h2>Latency, second by second</h2>",
        f'<div class="card">{pictures.latencies(result.seconds)}</div>',
        "<h2>Latency by share of messages</h2>",
        (
            "<p>Each step to the right is ten times rarer: a line that bends up at its end is a "
            "broker that sometimes stalls.</p>"
        ),
        f'<div class="card">{pictures.tails(named_latencies(result))}</div>',
        _table(result),
        '<p class="soft">For testing and training. Not a medical device.</p>',
        "</main></body></html>\n",
    ]
    return "".join(parts)


def _validity(result: Result) -> str:
    if result.valid:
        return '<p class="good">Valid: the generator kept its times.</p>'
    reasons = "; ".join(result.not_valid_because)
    return f'<p class="bad">Not valid: {escape(reasons)}.</p>'


def _thresholds(result: Result) -> str:
    rows = [
        f'<li class="{"good" if each.kept else "bad"}">{"✓ kept" if each.kept else "✗ missed"}: '
        f"not {escape(each.text)} (found {'nothing' if each.value is None else each.value})</li>"
        for each in result.thresholds
    ]
    return f"<ul>{''.join(rows)}</ul>" if rows else ""


def _tiles(result: Result) -> str:
    messages = result.messages
    tail = result.end_to_end if result.end_to_end.count else result.acknowledge
    tiles = [
        (
            f"{messages.achieved_per_s:,.0f}",
            f"messages/s through, of {messages.offered_per_s:,.0f}",
        ),
        ("–" if tail.p50_ms is None else f"{tail.p50_ms:,.1f} ms", "half of all are faster"),
        ("–" if tail.p99_ms is None else f"{tail.p99_ms:,.1f} ms", "one of a hundred is slower"),
        (f"{messages.lost:,}", "lost"),
        (f"{messages.doubled:,}", "doubled"),
        (f"{result.connections.lost:,}", "connections lost"),
    ]
    inside = "".join(
        f'<div class="tile"><b>{a}</b><span>{escape(b)}</span></div>' for a, b in tiles
    )
    return f'<div class="tiles">{inside}</div>'


def _table(result: Result) -> str:
    rows = []
    for name, latency in named_latencies(result):
        if not latency.count:
            continue
        values = (
            latency.p50_ms,
            latency.p90_ms,
            latency.p95_ms,
            latency.p99_ms,
            latency.p999_ms,
            latency.max_ms,
        )
        cells = "".join(f"<td>{'–' if value is None else f'{value:,.1f}'}</td>" for value in values)
        rows.append(f"<tr><td>{escape(name)}</td><td>{latency.count:,}</td>{cells}</tr>")
    head = "".join(
        f"<th>{name}</th>" for name in ("ms", "count", "p50", "p90", "p95", "p99", "p99.9", "max")
    )
    return f"<h2>In numbers</h2><table><tr>{head}</tr>{''.join(rows)}</table>"

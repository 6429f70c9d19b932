"""The pictures of a load's page, drawn by hand as SVG; colours are classes of the page's style."""

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from simulator.load.latency import histogram_of
from simulator.load.result import P50, P99, Latency, Second, Step

WIDTH, HEIGHT = 860, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 26, 30
PLOT_W, PLOT_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
BAR_ROW = 26
# Shares of messages that are not slower, as the axis of an HdrHistogram plot.
TAIL_PERCENTS = (0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
TAIL_TICKS = (0.0, 90.0, 99.0, 99.9, 99.99)

Point = tuple[float, float]


def rates(seconds: Sequence[Second]) -> str:
    """Offered and achieved messages in each second."""
    spans_s = spans(seconds)
    return _over_time(
        "messages a second",
        seconds,
        ("through", [each.settled / s for each, s in zip(seconds, spans_s, strict=True)]),
        ("offered", [each.offered / s for each, s in zip(seconds, spans_s, strict=True)]),
    )


def spans(seconds: Sequence[Second]) -> list[float]:
    """How long each of these really was, s: the last is nearly always shorter."""
    ends_s = [second.at_s for second in seconds]
    return [max(0.1, end_s - begin_s) for begin_s, end_s in pairwise([0.0, *ends_s])]


def latencies(seconds: Sequence[Second]) -> str:
    """Median and 99th percentile of each second, ms."""
    rows = [second.end_to_end_ms or second.acknowledge_ms for second in seconds]
    return _over_time(
        "ms",
        seconds,
        ("99th percentile", [row[P99] if row else 0.0 for row in rows]),
        ("median", [row[P50] if row else 0.0 for row in rows]),
    )


def tails(named: Sequence[tuple[str, Latency]]) -> str:
    """Latency against the share of messages, both logarithmic, up to 99.99 %."""
    found = [
        (name, [histogram_of(latency.hdr).percentile_us(each) / 1e3 for each in TAIL_PERCENTS])
        for name, latency in named
        if name in ("acknowledge", "end to end") and latency.count
    ]
    if not found:
        return '<p class="soft">Nothing was measured.</p>'
    most = max(max(values) for _, values in found)
    least = max(0.01, min(min(values) for _, values in found))
    low, high = math.floor(math.log10(least)), max(math.ceil(math.log10(most)), 1)
    high = max(high, low + 1)
    parts = [_text(LEFT, 14, "ms", "tick")]
    for power in range(low, high + 1):
        y = TOP + PLOT_H * (high - power) / (high - low)
        parts += [_grid(y), _text(LEFT - 8, y + 4, f"{10.0**power:g}", "tick", "end")]
    for percent in TAIL_TICKS:
        anchor = "end" if percent == TAIL_TICKS[-1] else "middle"
        parts.append(_text(_rarity(percent), HEIGHT - 8, f"{percent:g} %", "tick", anchor))
    for number, (name, values) in enumerate(found):
        points = [
            (
                _rarity(percent),
                TOP + PLOT_H * (high - math.log10(max(value, 10.0**low))) / (high - low),
            )
            for percent, value in zip(TAIL_PERCENTS, values, strict=True)
        ]
        parts += [_path(points, number), _name(number, name)]
    return _svg(HEIGHT, "latency by share of messages", parts)


def steps(made: Sequence[Step]) -> str:
    """Each step of a ramp: how far the rate came, and whether it held."""
    most = max(step.offered_per_s for step in made)
    parts = []
    for number, step in enumerate(made):
        y = 8 + number * BAR_ROW
        width = (PLOT_W - 220) * step.achieved_per_s / most if most else 0.0
        kind = "held" if step.held else "broke"
        word = kind if step.held or step.valid else "not valid"
        text = f"{step.achieved_per_s:,.0f} of {step.offered_per_s:,.0f}/s, {word}"
        parts += [
            _text(LEFT - 8, y + 13, f"{number + 1}", "tick", "end"),
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="16" rx="2" class="{kind}"/>',
            _text(LEFT + width + 8, y + 13, text, "tick"),
        ]
    return _svg(16 + BAR_ROW * len(made), "steps of the ramp", parts)


def _over_time(
    unit: str,
    seconds: Sequence[Second],
    first: tuple[str, list[float]],
    second: tuple[str, list[float]],
) -> str:
    if not seconds:
        return '<p class="soft">Nothing was measured.</p>'
    last_s = max(1.0, seconds[-1].at_s)
    most = _round_up(max([1e-3, *first[1], *second[1]]))
    parts = [_text(LEFT, 14, unit, "tick")]
    for part in range(5):
        y = TOP + PLOT_H * part / 4
        parts += [_grid(y), _text(LEFT - 8, y + 4, f"{most * (4 - part) / 4:,g}", "tick", "end")]
    for part in range(5):
        x = LEFT + PLOT_W * part / 4
        anchor = "end" if part == 4 else "middle"
        parts.append(_text(x, HEIGHT - 8, f"{last_s * part / 4:,.3g} s", "tick", anchor))
    for number, (name, values) in enumerate((first, second)):
        points = [
            (LEFT + PLOT_W * each.at_s / last_s, TOP + PLOT_H * (1 - value / most))
            for each, value in zip(seconds, values, strict=True)
        ]
        parts += [_path(points, number), _name(number, name)]
    return _svg(HEIGHT, f"{unit}: {first[0]} and {second[0]}", parts)


def _rarity(percent: float) -> float:
    """Where a share lies: each step to the right is ten times rarer."""
    return LEFT + PLOT_W * -math.log10(1 - percent / 100) / 4.0


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 8, 10) if value <= power * step * (1 + 1e-9))


def _path(points: Sequence[Point], number: int) -> str:
    """A line; a lone point is a short one."""
    if len(points) == 1:
        points = [points[0], (points[0][0] + 2, points[0][1])]
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{text}" class="{("one", "two")[number]}"/>'


def _name(number: int, name: str) -> str:
    return _text(LEFT + 200 + 160 * number, 14, name, f"name{number + 1}")


def _grid(y: float) -> str:
    return f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" class="grid"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )

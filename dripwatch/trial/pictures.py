"""The pictures of a trial's page, drawn by hand as SVG; colours are classes of the page's style."""

import math
from collections.abc import Callable, Sequence
from html import escape

from dripwatch.trial.listeners import DEVICE, GIP, MONITOR, PREVIOUS
from dripwatch.trial.report import NAMES, ordered, plain
from dripwatch.trial.score import FALSE_BOUND, RATIO_BOUND, HazardScore, SystemScore

ROW, HEAD, GAP = 19, 44, 30
NAME_W, PANEL_W, COUNT_W = 190, 330, 46
# All pictures are of one width, so that their letters are of one size.
WIDTH = NAME_W + PANEL_W + GAP + COUNT_W + PANEL_W + 12
RATIO_FROM, RATIO_TO = 0.1, 100.0
# Rings of different size, so that none hides another.
RADII = {PREVIOUS: 9.0, GIP: 7.5, DEVICE: 4.0}
TICKS = (0.1, 1.0, 10.0, 100.0)
BAR, BAR_ROW = 12, 22


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _dot(x: float, y: float, radius: float, kind: str, title: str) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}">'
        f"<title>{escape(title)}</title></circle>"
    )


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def hazards(systems: Sequence[SystemScore]) -> str:
    """Row by row, each hazard: how many were found by each system, and how late by the monitor."""
    own = systems[0]
    assert own.system == MONITOR, "the monitor comes first"
    rows = ordered(own)
    others = {figures.system: {one.name: one for one in figures.hazards} for figures in systems[1:]}
    left, right = NAME_W, NAME_W + PANEL_W + GAP + COUNT_W
    parts: list[str] = []
    y: float = HEAD
    urgency = 0
    spans: list[tuple[float, float]] = []
    for one in rows:
        if one.urgency != urgency:
            urgency = one.urgency
            y += ROW * 0.6
            parts.append(_text(0, y + 4, f"P{urgency}", "group"))
            y += ROW
            spans.append((y - ROW * 0.7, y))
        parts += _row(one, others, left, right, y)
        spans[-1] = (spans[-1][0], y + ROW * 0.7)
        y += ROW
    frame: list[str] = [
        _text(left, 14, "found, of those that any stream could show", "head"),
        _text(right, 14, "delay ÷ the earliest possible, one dot each", "head"),
    ]
    frame += [
        _text(left + PANEL_W * share, 34, f"{share:.0%}", "tick", "middle")
        for share in (0.0, 0.5, 1.0)
    ]
    frame += [_text(right + _log(tick), 34, f"{tick:g}×", "tick", "middle") for tick in TICKS]
    for begin, end in spans:
        frame += [
            _line(left + PANEL_W * share, begin, left + PANEL_W * share, end, "grid")
            for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        frame.append(
            f'<rect x="{right:.1f}" y="{begin:.1f}" width="{_log(RATIO_BOUND):.1f}" '
            f'height="{end - begin:.1f}" class="good"/>'
        )
        frame += [
            _line(right + _log(tick), begin, right + _log(tick), end, "grid") for tick in TICKS
        ]
    return _svg(WIDTH, y + 8, "Found and how late, hazard by hazard", [*frame, *parts])


def _row(
    one: HazardScore,
    others: dict[str, dict[str, HazardScore]],
    left: float,
    right: float,
    y: float,
) -> list[str]:
    parts = [_text(NAME_W - 14, y + 4, one.name, "name", "end")]
    for system, figures in others.items():
        other = figures.get(one.name)
        if other is not None and other.sensitivity is not None:
            title = f"{NAMES[system]}: {other.found} of {other.visible}"
            x = left + PANEL_W * other.sensitivity
            parts.append(_dot(x, y, RADII[system], f"open {system}", title))
    if one.sensitivity is None:
        parts.append(
            _text(left + PANEL_W / 2, y + 4, "not to be seen in any stream here", "tick", "middle")
        )
    else:
        title = f"{one.name}: {one.found} of {one.visible}"
        parts.append(_dot(left + PANEL_W * one.sensitivity, y, 5, MONITOR, title))
    parts.append(_text(left + PANEL_W + 16, y + 4, f"{one.found}/{one.visible}", "tick"))
    parts += [
        _dot(right + _log(ratio), y, 3, "faint", f"{ratio:g} times the earliest")
        for ratio in one.ratios
    ]
    if one.ratio is not None:
        x = right + _log(one.ratio)
        parts.append(_line(x, y - 6, x, y + 6, "median"))
    return parts


def _log(ratio: float) -> float:
    """Where a ratio lies on the panel; what is beyond an end lies on it."""
    inside = min(max(ratio, RATIO_FROM), RATIO_TO)
    return PANEL_W * math.log(inside / RATIO_FROM) / math.log(RATIO_TO / RATIO_FROM)


def false_alerts(systems: Sequence[SystemScore]) -> str:
    """False alerts for each patient-day, by system, high ones apart; the bound is a line."""
    most = max([FALSE_BOUND, *(figures.false_per_day for figures in systems)])
    parts = [
        _text(NAME_W, 14, "false alerts for each patient-day; the darker part is high", "head")
    ]

    def place(value: float) -> float:
        return NAME_W + PANEL_W * value / most

    y = HEAD
    for figures in systems:
        high = place(figures.false_high_per_day) - NAME_W
        whole = place(figures.false_per_day) - NAME_W
        parts += [
            _text(NAME_W - 14, y + 4, NAMES[figures.system], "name", "end"),
            _bar(y, whole, f"bar {figures.system} soft"),
            _bar(y, high, f"bar {figures.system}"),
            _text(
                place(max(figures.false_per_day, FALSE_BOUND)) + 8,
                y + 4,
                f"{plain(figures.false_per_day, 3)}, high {plain(figures.false_high_per_day, 3)}",
                "tick",
            ),
        ]
        y += BAR_ROW
    parts.append(_line(place(FALSE_BOUND), HEAD - 14, place(FALSE_BOUND), y - 8, "bound"))
    return _svg(WIDTH, y + 4, "False alerts by system", parts)


def false_rules(figures: SystemScore) -> str:
    """Which rules the false alerts of one system came from."""
    rules = list(figures.false_rules.items())
    if not rules:
        return '<p class="none">No false alert.</p>'
    return _bars(
        "false alerts by rule",
        [(rule, float(count), str(count)) for rule, count in rules],
        lambda _: f"bar {figures.system}",
    )


def loads(systems: Sequence[SystemScore]) -> str:
    """How many alerts an hour a nurse would have."""
    return _bars(
        "alerts for each nurse and hour",
        [
            (
                NAMES[figures.system],
                figures.alerts_per_nurse_hour,
                plain(figures.alerts_per_nurse_hour),
            )
            for figures in systems
        ],
        lambda number: f"bar {systems[number].system}",
    )


def _bars(head: str, rows: Sequence[tuple[str, float, str]], kind: Callable[[int], str]) -> str:
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    parts = [_text(NAME_W, 14, head, "head")]
    y = HEAD
    for number, (name, value, text) in enumerate(rows):
        length = PANEL_W * value / most
        parts += [
            _text(NAME_W - 14, y + 4, name, "name", "end"),
            _bar(y, length, kind(number)),
            _text(NAME_W + length + 8, y + 4, text, "tick"),
        ]
        y += BAR_ROW
    return _svg(WIDTH, y + 4, head, parts)


def _bar(y: float, length: float, kind: str) -> str:
    return (
        f'<rect x="{NAME_W}" y="{y - BAR / 2:.1f}" width="{max(0.0, length):.1f}" '
        f'height="{BAR}" rx="2" class="{kind}"/>'
    )

"""The live terminal view: what the monitor knows of each pump, and the alerts as they come.

Pure: values in, rich renderables out. Colour is never alone: each priority has its marks and its
word, modelled on IEC 60601-1-8 (`***` high, `**` medium, `*` low, `i` a notice).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infusion.alarms import Priority
from infusion.alert import CLOSING
from infusion.dose import Dose
from infusion.messages import Alert, AlertChange, Audit
from infusion.units import MS_PER_MINUTE
from infusion.words import explain
from monitor.service import PumpView, Status

NOTICE = "For testing and training. Not a medical device."
MARKS = {
    Priority.HIGH: "***",
    Priority.MEDIUM: "** ",
    Priority.LOW: "*  ",
    Priority.NOTICE: "i  ",
}
STYLES = {
    Priority.HIGH: "bold white on #b00020",
    Priority.MEDIUM: "#000000 on #ffd400",
    Priority.LOW: "#000000 on #5fd7ff",
    Priority.NOTICE: "#000000 on #d0d0d0",
}
# The changes at which somebody should be told what to look at first.
_NEWS = frozenset({"raised", "escalated", "returned"})
_INDENT = " " * 8
_QUIET = frozenset({"called", "updated"})
OUTCOME_STYLES = {"done": "green", "late": "yellow", "refused": "red"}
# A pump that has not been heard for so long is shown as silent, whatever it last said.
SILENT_MS = MS_PER_MINUTE
ALERT_LINES_MAX = 8
HEAD_LINES = 3


class Frame(Struct, frozen=True):
    """One picture: the monitor's status and what has happened since the start.

    `told` holds the newest changes last; `links` lead to the page, by who they are for.
    `elapsed_ms` is on the pumps' clock; `published` counts what the pumps handed over, None where
    they are somebody else's.
    """

    title: str
    broker: str
    speed: float
    elapsed_ms: int
    start_ms: int
    published: int | None
    lag_ms: float
    status: Status
    told: tuple[AlertChange, ...]
    links: Mapping[str, str] = {}


def render(frame: Frame, *, height: int) -> RenderableType:
    """The whole picture for a terminal of so many lines."""
    # A small screen shows fewer of the last alerts rather than fewer of the pumps.
    lines = min(ALERT_LINES_MAX, max(3, height // 5))
    alerts = [change for change in frame.told if is_news(change)][-lines:]
    room = max(3, height - HEAD_LINES - len(frame.links) - lines - 4)
    return Group(
        _head(frame),
        Text(""),
        _pumps(frame.status.pumps, room),
        Text(""),
        Text("Alerts as they come", style="bold"),
        *(told_line(change, frame.start_ms) for change in alerts),
    )


def is_news(change: AlertChange) -> bool:
    """Whether a change is worth a line of a small picture: no notices, and no calls.

    Who is called, and what else hides behind an alert, is in the alert log.
    """
    return change.alert.priority is not Priority.NOTICE and change.change not in _QUIET


def told_line(change: AlertChange, start_ms: int | None) -> Text:
    """One change of an alert as a line: when, how urgent, which pump, what, why.

    Times count from `start_ms`; without it they are dates and times of day in UTC.
    """
    alert = change.alert
    is_over = change.change in CLOSING
    line = Text(no_wrap=True, overflow="ellipsis")
    when = date_text(alert.changed_ms)
    if start_ms is not None:
        when = clock_text(alert.changed_ms - start_ms)
    line.append(f"{when} ", style="dim")
    line.append_text(badge(alert.priority, live=not is_over))
    line.append(f" {alert.pump} ", style="bold")
    line.append(f"{change.change} ", style="green" if is_over else "")
    line.append(alert.title)
    if is_over:
        line.append(f" after {span_text(alert.changed_ms - alert.raised_ms)}", style="dim")
        return line
    reason = alert.what or explain(alert.evidence)
    if reason:
        line.append(f": {reason}", style="dim")
    return line


def told_whole(change: AlertChange, start_ms: int | None) -> Text:
    """The same, nothing cut off, and for what is new also what to look at first."""
    text = told_line(change, start_ms)
    text.no_wrap, text.overflow = None, None
    first = change.alert.first
    if first and change.change in _NEWS:
        text.append(f"\n{_INDENT}→ {first}")
    return text


def audit_line(audit: Audit, start_ms: int | None) -> Text:
    """What became of something that a person did, as a line; times as in `told_line`."""
    line = Text(no_wrap=True, overflow="ellipsis")
    when = date_text(audit.at_ms)
    if start_ms is not None:
        when = clock_text(audit.at_ms - start_ms)
    line.append(f"{when} ", style="dim")
    line.append(f" {audit.outcome.upper():<10} ", style=OUTCOME_STYLES[audit.outcome])
    line.append(f" {audit.pump} ", style="bold")
    # An id is site, pump, rule, onset; what a person sent may be anything.
    rule = audit.act.alert.split("/")[2:3]
    line.append(" ".join([*rule, audit.act.what, "by", audit.act.by]))
    line.append(f": {audit.sentence}", style="dim")
    return line


def badge(priority: Priority, *, live: bool = True) -> Text:
    """The priority as marks and a word of equal width, coloured while the alert lives."""
    return Text(
        f" {MARKS[priority]} {priority.value.upper():<6} ",
        style=STYLES[priority] if live else "dim",
    )


def date_text(time_ms: int) -> str:
    """An instant as 2026-11-23T18:00:05Z."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock_text(length_ms: int) -> str:
    """A length of time as HH:MM:SS."""
    seconds = max(0, length_ms) // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def span_text(length_ms: int) -> str:
    """A length of time in words: 45 s, 7 min, 2 h 5 min."""
    seconds = max(0, length_ms) // 1000
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def state_text(pump: PumpView) -> str:
    """What a pump does, in the pump's own words, or that it is silent."""
    if pump.edge is None:
        return "not heard yet"
    if pump.online is False:
        return f"offline {span_text(pump.age_ms)}"
    if pump.age_ms > SILENT_MS:
        return f"silent {span_text(pump.age_ms)}"
    if pump.edge.delivery == "not-delivering":
        return pump.edge.reason or "stopped"
    return pump.edge.delivery


def _head(frame: Frame) -> RenderableType:
    status = frame.status
    open_count = sum(len(pump.alerts) for pump in status.pumps)
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("Dripwatch", style="bold")
    line.append(f"  {frame.title}  ")
    line.append(NOTICE, style="italic dim")
    second = Text(no_wrap=True, overflow="ellipsis")
    second.append(f"pumps' time {clock_text(frame.elapsed_ms)}", style="bold")
    second.append(f" at {frame.speed:g}×   broker {frame.broker}")
    if not status.connected:
        second.append(" NOT CONNECTED", style=STYLES[Priority.HIGH])
    second.append(f"   messages {status.totals.messages:,}")
    if frame.published is not None:
        second.append(f" of {frame.published:,}")
    second.append(f"   open alerts {open_count}")
    if frame.lag_ms > 1_000:
        second.append(f"   simulator late by {frame.lag_ms / 1000:.1f} s", style="yellow")
    links = [
        Text(f"page for the {name}: {link}", style="cyan", no_wrap=True, overflow="fold")
        for name, link in frame.links.items()
    ]
    return Group(line, second, *links)


def _pumps(pumps: Sequence[PumpView], room: int) -> RenderableType:
    """Pumps with alerts first, worst on top, then by name; as many as there is room for."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("pump", no_wrap=True, min_width=4)
    table.add_column("state", no_wrap=True, min_width=14)
    table.add_column("mL/h", no_wrap=True, justify="right", min_width=5)
    table.add_column("delivered", no_wrap=True, justify="right", min_width=9)
    table.add_column("prescribed IU", no_wrap=True, justify="right", min_width=10)
    table.add_column("", no_wrap=True, justify="right", min_width=7)
    table.add_column("open alerts", no_wrap=True, overflow="ellipsis")
    ordered = sorted(pumps, key=_urgency)
    for pump in ordered[:room]:
        table.add_row(*_row(pump))
    hidden = ordered[room:]
    if not hidden:
        return table
    quiet = sum(not pump.alerts for pump in hidden)
    note = f"… and {len(hidden)} more pumps, {quiet} of them without alerts"
    return Group(table, Text(note, style="dim"))


def _urgency(pump: PumpView) -> tuple[int, str]:
    return (-max((alert.priority.rank for alert in pump.alerts), default=0), pump.pump)


def _row(pump: PumpView) -> list[RenderableType]:
    rate = f"{pump.edge.rate_ml_h:.1f}" if pump.edge is not None else "–"
    delivered, prescribed, deviation = _dose_cells(pump.dose)
    return [
        Text(pump.pump, style="bold"),
        Text(state_text(pump), style="" if pump.alerts else "dim"),
        Text(rate),
        delivered,
        prescribed,
        deviation,
        _alert_cell(pump.alerts),
    ]


def _dose_cells(dose: Dose | None) -> tuple[Text, Text, Text]:
    """Delivered, prescribed and their difference; what is unknown is a range, never a number."""
    if dose is None:
        return Text("–"), Text("–"), Text("")
    prescribed = Text(f"{dose.expected_iu:,.0f}")
    if not dose.is_known:
        span = f"{dose.low_iu:,.0f}–{dose.high_iu:,.0f}"
        return Text(span, style="yellow"), prescribed, Text("unknown", style="yellow")
    deviation = dose.deviation
    shown = Text("" if deviation is None else f"{deviation:+.1%}")
    if deviation is not None and abs(deviation) > 0.10:
        shown.stylize("bold")
    return Text(f"{dose.delivered_iu:,.0f}"), prescribed, shown


def _alert_cell(alerts: Sequence[Alert]) -> Text:
    cell = Text(no_wrap=True, overflow="ellipsis")
    for alert in alerts:
        marks = MARKS[alert.priority].strip()
        cell.append(f" {marks} {alert.title} ", style=STYLES[alert.priority])
        cell.append(" ")
    return cell

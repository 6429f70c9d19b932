"""What a load came to, for people: one line a second while it runs, and the table at the end."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.load.result import P50, P99, Latency, Result, Second, Step

NOTHING = "–"
# From here on a tenth of a millisecond tells nothing.
WHOLE_FROM_MS = 1_000


def lines_of(second: Second, before: Second | None, total: int) -> list[str]:
    """A second as emqtt-bench tells it: a line for each counter that moved.

    `total` is what was sent before it; rates are of this second alone.
    """
    span_s = second.at_s - (before.at_s if before is not None else 0.0)
    span_s = span_s if span_s > 0 else 1.0
    at = f"{second.at_s:.0f}s"
    lines = [
        f"{at} pub total={total + second.settled} rate={second.settled / span_s:.2f}/sec"
        f" offered={second.offered / span_s:.2f}/sec"
        + _latency(" ack", second.acknowledge_ms)
        + _latency(" e2e", second.end_to_end_ms)
    ]
    if second.received:
        lines.append(f"{at} recv rate={second.received / span_s:.2f}/sec")
    if before is None or second.connected != before.connected or second.lost_connections:
        lines.append(f"{at} connected={second.connected} lost={second.lost_connections}")
    return lines


def _latency(name: str, values: tuple[float, ...]) -> str:
    return f"{name}_p50={values[P50]:g}ms{name}_p99={values[P99]:g}ms" if values else ""


def render(result: Result) -> RenderableType:
    """The summary: thresholds first, then what happened, then what it cost."""
    parts: list[RenderableType] = []
    for threshold in result.thresholds:
        mark, style = ("✓", "green") if threshold.kept else ("✗", "bold red")
        value = NOTHING if threshold.value is None else f"{threshold.value:,g}"
        word = "kept" if threshold.kept else "missed"
        parts.append(Text(f"{mark} {word}: not {threshold.text} (found {value})", style=style))
    if result.steps:
        parts += [_steps(result.steps), Text(result.verdict, style="bold")]
    parts += [_table(result), _latencies(result)]
    without = result.messages.unsent + result.messages.unacknowledged + result.messages.lost
    if without:
        text = f"{without:,} messages did not come through and have no latency: the tail is longer."
        parts.append(Text(text, style="yellow"))
    if result.interrupted:
        parts.append(Text("Interrupted: this is what was measured until then.", style="yellow"))
    if result.valid:
        parts.append(Text("Valid: the generator kept its times.", style="green"))
    else:
        parts.append(
            Text(
                "NOT VALID: it says more about this machine than about the broker.",
                style="bold red",
            )
        )
        parts += [Text(f"  {reason}", style="red") for reason in result.not_valid_because]
    return Group(*parts)


def _table(result: Result) -> Table:
    messages, connections, cost = result.messages, result.connections, result.generators
    rows = [
        (
            "sessions",
            (
                f"{connections.connected:,} of {connections.sessions:,} connected, "
                f"{connections.lost:,} lost, {connections.reconnects:,} made again"
            ),
        ),
        (
            "offered",
            f"{messages.offered:,} in {result.duration_s:g} s, {messages.offered_per_s:,.1f}/s",
        ),
        (
            "achieved",
            (
                f"{messages.in_time:,}, {messages.achieved_per_s:,.1f}/s, "
                f"{messages.achieved_percent:g} %"
            ),
        ),
        (
            "not through",
            (
                f"{messages.refused:,} refused, {messages.dropped:,} dropped here, "
                f"{messages.unsent:,} unsent, {messages.unacknowledged:,} unacknowledged"
            ),
        ),
        (
            "received",
            (
                f"{messages.received:,} of {messages.expected:,}: {messages.lost:,} lost, "
                f"{messages.doubled:,} doubled, {messages.reordered:,} reordered"
            ),
        ),
        (
            "generator",
            (
                f"{cost.cpu_percent:g} % of a core, late in {cost.late_percent:g} % of the "
                f"slots, {cost.memory_mb:,.0f} MB; receiver {cost.receiver_cpu_percent:g} %"
            ),
        ),
    ]
    if result.alarms.injected:
        told, injected = result.alarms.told, result.alarms.injected
        streamed = f", {result.alarms.streamed:,} on its stream" if result.stream.count else ""
        rows.append(("alarms", f"{told:,} of {injected:,} told by the monitor{streamed}"))
    for reason, count in list(connections.reasons.items())[:5]:
        rows.append(("", f"{reason} × {count:,}"))
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style="bold"), value)
    return table


def _latencies(result: Result) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("ms", no_wrap=True)
    for head in ("count", "p50", "p90", "p95", "p99", "p99.9", "max"):
        table.add_column(head, justify="right")
    for name, latency in named_latencies(result):
        if latency.count:
            table.add_row(name, f"{latency.count:,}", *(_number(each) for each in _of(latency)))
    return table


def named_latencies(result: Result) -> list[tuple[str, Latency]]:
    """The latencies with their names, in the order in which they are shown."""
    return [
        ("connect", result.connect),
        ("acknowledge", result.acknowledge),
        ("end to end", result.end_to_end),
        ("alarm to alert", result.alert),
        ("alarm to stream", result.stream),
        ("generator's lag", result.lag),
    ]


def _of(latency: Latency) -> Iterable[float | None]:
    return (
        latency.p50_ms,
        latency.p90_ms,
        latency.p95_ms,
        latency.p99_ms,
        latency.p999_ms,
        latency.max_ms,
    )


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.1f}" if value < WHOLE_FROM_MS else f"{value:,.0f}"


def _steps(steps: tuple[Step, ...]) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for head in ("step", "offered/s", "achieved/s", "e2e p99 ms", "lost"):
        table.add_column(head, justify="left" if head == "step" else "right")
    table.add_column("held")
    for number, step in enumerate(steps, start=1):
        word = "held" if step.held else "not valid" if not step.valid else "broke"
        table.add_row(
            str(number),
            f"{step.offered_per_s:,.0f}",
            f"{step.achieved_per_s:,.0f}",
            _number(step.end_to_end_p99_ms),
            f"{step.lost:,}",
            ": ".join([word, *step.because[:1]]),
        )
    return table

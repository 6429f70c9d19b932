"""What a run came to: messages, IU of each pump against its prescription, alerts, expectations."""

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dripwatch.view import told_line
from infusion.messages import AlertChange

SCHEMA = 1


class PumpLine(Struct, frozen=True, kw_only=True):
    """One pump: what it pumped in truth, what the monitor's account says, what was ordered.

    `held_ml` of what was pumped is still in an occluded line. `account_iu` is None when the
    monitor never heard of the pump.
    """

    pump: str
    state: str
    pumped_ml: float
    held_ml: float
    pumped_iu: float
    account_iu: float | None
    prescribed_iu: float


class Summary(Struct, frozen=True, kw_only=True):
    """The result of `dripwatch up`; `--json` writes exactly this.

    `schema` is the version of this form. Times are seconds of wall time and Unix milliseconds on
    the pumps' clock. `results` and `reports` are what is kept of the clinic's, `acts_…` what people
    did; `damped` alerts were held open because they came and went, `dropped` ones not said because
    too many were open. `unmet` lists the scenario's expectations that did not come true.
    """

    schema: int
    version: str
    scenario: str
    seed: int
    speed: float
    broker: str
    wall_s: float
    start_ms: int
    end_ms: int
    published: int
    acknowledged: int
    received: int
    duplicates: int
    refused: int
    results: int
    reports: int
    acts_done: int
    acts_late: int
    acts_refused: int
    damped: int
    dropped: int
    lag_max_ms: float
    pumps: tuple[PumpLine, ...]
    changes: tuple[AlertChange, ...]
    unmet: tuple[str, ...]


def render(summary: Summary) -> RenderableType:
    """The summary for a terminal."""
    parts: list[RenderableType] = [
        Text(
            f"{summary.scenario}: {(summary.end_ms - summary.start_ms) / 60_000:.1f} min of the"
            f" pumps' time in {summary.wall_s:.1f} s at {summary.speed:g}×; {summary.published:,}"
            f" messages published, {summary.received:,} received, {summary.refused} refused"
        ),
        _doses(summary.pumps),
        *_people(summary),
        Text(f"{len(summary.changes)} changes of alerts", style="bold"),
        *(told_line(change, summary.start_ms) for change in summary.changes),
    ]
    if summary.unmet:
        parts.append(Text("Not as the scenario expects:", style="bold"))
        parts += [Text(f"  {line}") for line in summary.unmet]
    else:
        parts.append(Text("Nothing went otherwise than the scenario expects.", style="green"))
    return Group(*parts)


def _people(summary: Summary) -> list[Text]:
    """What the clinic and nurses said, and how many alerts were held back; no line for none."""
    said = f"{summary.results} results and {summary.reports} reports of the clinic"
    acts = f"{summary.acts_done} done, {summary.acts_late} late, {summary.acts_refused} refused"
    held = f"alerts held back: {summary.damped} damped, {summary.dropped} dropped"
    counts = (
        (said, summary.results + summary.reports),
        (f"acts on alerts: {acts}", summary.acts_done + summary.acts_late + summary.acts_refused),
        (held, summary.damped + summary.dropped),
    )
    return [Text(line) for line, count in counts if count]


def _doses(pumps: Sequence[PumpLine]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("pump")
    table.add_column("state")
    for name in ("pumped IU", "by the account", "prescribed IU", ""):
        table.add_column(name, justify="right")
    for line in pumps:
        deviation = line.pumped_iu / line.prescribed_iu - 1 if line.prescribed_iu > 0 else None
        table.add_row(
            line.pump,
            line.state,
            f"{line.pumped_iu:,.1f}",
            "–" if line.account_iu is None else f"{line.account_iu:,.1f}",
            f"{line.prescribed_iu:,.1f}",
            "" if deviation is None else f"{deviation:+.1%}",
        )
    return table

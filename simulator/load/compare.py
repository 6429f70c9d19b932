"""`dripwatch load compare A B`: two results beside each other, and how they were made."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.load.result import Result, metrics

# What is worth a row, and whether more is better.
ROWS: tuple[tuple[str, bool], ...] = (
    ("achieved_per_s", True),
    ("achieved_percent", True),
    ("connect_p99_ms", False),
    ("ack_p50_ms", False),
    ("ack_p99_ms", False),
    ("ack_max_ms", False),
    ("e2e_p50_ms", False),
    ("e2e_p99_ms", False),
    ("e2e_max_ms", False),
    ("alert_p99_ms", False),
    ("lost", False),
    ("doubled", False),
    ("reordered", False),
    ("reconnects", False),
    ("cpu_percent", False),
    ("late_percent", False),
)
# Below this share of change two runs on one machine are alike. [A]
ALIKE = 0.05


def differences(first: Result, second: Result) -> list[str]:
    """What was not the same about the runs themselves, so that a reader knows what is compared."""
    found = []
    for key in sorted(first.config.keys() | second.config.keys()):
        was, now = first.config.get(key), second.config.get(key)
        if was != now:
            found.append(f"{key}: {was} → {now}")
    if first.machine != second.machine:
        found.append("the machine is another one")
    if first.dripwatch != second.dripwatch:
        found.append(f"dripwatch: {first.dripwatch} → {second.dripwatch}")
    found += [
        f"{name} is not valid" for name, each in (("A", first), ("B", second)) if not each.valid
    ]
    return found


def change(more_is_better: bool, was: float | None, now: float | None) -> str:
    """How a figure has changed, in words."""
    if was is None or now is None:
        return "" if was is now else "measured in one only"
    if was == now or (was and abs(now / was - 1) < ALIKE):
        return "alike"
    word = "better" if (now > was) is more_is_better else "worse"
    return f"{word}, {100 * (now / was - 1):+.0f} %" if was else f"{word}: {now - was:+,g}"


def render(first: Result, second: Result) -> RenderableType:
    """The two beside each other."""
    was, now = metrics(first), metrics(second)
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for head in ("", "A", "B", ""):
        table.add_column(head, justify="right" if head else "left")
    for name, more_is_better in ROWS:
        if was[name] is None and now[name] is None:
            continue
        table.add_row(
            name,
            *("–" if value is None else f"{value:,.2f}" for value in (was[name], now[name])),
            change(more_is_better, was[name], now[name]),
        )
    notes = [Text(f"differs: {text}", style="yellow") for text in differences(first, second)]
    return Group(table, *notes)

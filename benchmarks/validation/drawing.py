"""How pictures are drawn: white ground, few colours that all eyes can tell apart, same bytes."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, without their yellow, which white swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#777777"
# Any, because matplotlib's own type of its keys has changed from version to version.
STYLE: Any = {
    "svg.hashsalt": "dripwatch",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "lines.linewidth": 1.6,
    "path.simplify": True,
    "path.simplify_threshold": 0.5,
}


def axes(
    rows: int, columns: int, *, width: float, height: float, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure, in inches, and its axes in reading order."""
    figure = Figure(figsize=(width, height), layout="constrained")
    places = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    return figure, [place for row in places for place in row]


def save(figure: Figure, path: Path) -> None:
    """Write a picture; the ending of the path says what as, and the bytes say no date."""
    data = io.BytesIO()
    kind = path.suffix.removeprefix(".")
    if kind == "svg":
        figure.savefig(data, format=kind, metadata={"Date": None, "Creator": None})
    else:
        figure.savefig(data, format=kind, dpi=110)
    # matplotlib ends some lines of paths with a space.
    text = data.getvalue()
    if kind == "svg":
        text = b"\n".join(line.rstrip() for line in text.splitlines()) + b"\n"
    path.write_bytes(text)


def style() -> Any:
    """The style, as a context."""
    return mpl.rc_context(STYLE)

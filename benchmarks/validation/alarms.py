"""Alarm load and mix of the hospital cohort."""

from functools import partial

from matplotlib.figure import Figure

from benchmarks import ward
from benchmarks.validation.drawing import COLOURS, axes
from benchmarks.validation.rows import Picture, Row, Section

SOURCE = "BI&T 2018;52(6):433, 29 hospitals, 11 410 pumps"


def band(published: float, name: str) -> tuple[float, float]:
    """Shares of kinds may be off by five points, load and mean duration by a fifth."""
    if name.endswith("%"):
        return published - 5.0, published + 5.0
    return 0.8 * published, 1.2 * published


def rows_of(result: ward.Result) -> list[Row]:
    """A row for each published figure: our median over the seeds."""
    return [
        Row(
            name=figure.name,
            published=f"{figure.published:g}",
            source=SOURCE,
            mark="D" if figure.name.startswith(ward.OTHER) else "V",
            ours=figure.measured.median,
            band=band(figure.published, figure.name),
            digits=3 if figure.published < 1.0 else 1,
            note=f"{len(result.seeds)} wards of {result.pumps} pumps over {result.days} days, with "
            "other seeds than those with which the cohort's file was fitted. How often holds and "
            "bent arms happen is fitted to these figures; that pumps and people make such alarms "
            "of them, and their durations, is what is tested."
            if index == 0
            else "",
        )
        for index, figure in enumerate(result.figures)
    ]


def draw_mix(result: ward.Result) -> Figure:
    """The shares beside each other."""
    figure, (place,) = axes(1, 1, width=6.0, height=2.8)
    shares = [each for each in result.figures if each.name.removesuffix(", %") in _WORDS]
    for offset, words, colour in ((0.2, "published", "#999999"), (-0.2, "ours", COLOURS[0])):
        values = [
            each.published if words == "published" else each.measured.median for each in shares
        ]
        places = [offset - index for index in range(len(shares))]
        place.barh(places, values, height=0.36, color=colour, label=words)
    for index, each in enumerate(shares):
        ends = [each.measured.low, each.measured.high]
        place.plot(ends, [-0.2 - index] * 2, color="black", linewidth=1.2)
    place.set_yticks(
        [-index for index in range(len(shares))],
        [each.name.removesuffix(", %") for each in shares],
    )
    place.set_xlabel("share of all alarms, %")
    place.grid(visible=False, axis="y")
    place.legend(loc="lower right")
    return figure


_WORDS = {words for words, _ in ward.KINDS.values()}


def section(*, quick: bool) -> Section:
    """The part of the report on alarms."""
    result = ward.measure(40, 1, (101,)) if quick else ward.measure(100, 3, (101, 102, 103))
    return Section(
        "Alarm load and mix",
        "Random days of config/cohorts/hospital.toml on pumps, with somebody who answers; every "
        "alarm is counted from its beginning to its end (benchmarks/ward.py).",
        rows_of(result),
        [
            Picture(
                "alarm-mix",
                "Kinds of alarms: published, and ours with the range over the wards.",
                partial(draw_mix, result),
            )
        ],
    )

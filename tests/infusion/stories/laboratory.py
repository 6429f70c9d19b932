"""Results and counts of the laboratory: each hazard comes and goes, and beside it what looks like it."""

from typing import Any

from infusion.clinical import LabResult, LabTest, Report
from infusion.prescription import Bolus, Hold, RateChange, Start
from tests.infusion.bench import ORDERED_IU_KG_H, RATE_ML_H, T0, Paper, begin, clock
from tests.infusion.clinic_bench import lab
from tests.infusion.stories.book import Book, Course

BOOK = Book()
START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)
# Bag and volume do not end within days, and a bag may hang as long.
LONG: dict[str, Any] = {"reservoir_ml": 9_000.0, "vtbi_ml": 0.0}
NO_HANG = {"bag_hang_h": 720.0}


def hour(hours: float) -> str:
    """Hours as a clock shows them."""
    minutes = round(hours * 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def drawn(name: LabTest, value: float, at_h: float, **more: Any) -> LabResult:
    """A result of a specimen that was drawn so many hours after T0 and came an hour later."""
    return lab(name, value, drawn=hour(at_h), resulted=hour(at_h + 1), **more)


def level(value: float, at_h: float, **more: Any) -> LabResult:
    """An anti-Xa that was drawn so many hours after T0 and came an hour later."""
    return drawn("anti-xa", value, at_h, **more)


def levels(until_h: int, value: float = 0.5) -> list[LabResult]:
    """A level in range every six hours, so that none is missed."""
    return [level(value, each) for each in range(6, until_h, 6)]


def said(paper: Paper, *messages: LabResult | Report) -> Course:
    """The course of a pump with results and reports in it, each at its time."""
    for each in messages:
        at_ms = each.resulted_ms if isinstance(each, LabResult) else each.time_ms
        paper.stream.append((at_ms, each))
    return Course(paper, thresholds=NO_HANG)


def infusing(until: str, *messages: LabResult | Report, interval_ms: int = 60_000) -> Course:
    """A pump infuses as ordered while these come in."""
    paper = begin(START, interval_ms=interval_ms, state=dict(LONG)).run(until)
    return said(paper, *messages)


# --- results --------------------------------------------------------------------------------------


@BOOK.edge("critical-result", quiet=0.99, told=1.0)
def _(value: float) -> Course:
    """An anti-Xa of so much."""
    return infusing("09:00", level(value, 6))


@BOOK.story("critical-result")
def _() -> Course:
    """An anti-Xa of 1.2 IU/mL; after a hold of an hour and at a lower rate it is 0.6."""
    hold = Hold(at_ms=T0 + clock("07:10"), until_ms=T0 + clock("08:10"))
    lower = RateChange(at_ms=hold.until_ms, rate_iu_kg_h=13.0)
    paper = begin(START, hold, lower, interval_ms=60_000, state=dict(LONG)).run("07:10").stop()
    lower_ml_h = RATE_ML_H * 13.0 / ORDERED_IU_KG_H
    paper.run("08:10").start(lower_ml_h, rate_ml_h=lower_ml_h).run("16:00")
    return said(paper, level(1.2, 6), level(0.6, 14))


@BOOK.friend("critical-result")
def _() -> Course:
    """An aPTT of 120 s whose anti-Xa is in range and comes seconds later: a sensitive reagent."""
    late = lab("anti-xa", 0.6, drawn="06:00", resulted="07:00:30")
    return infusing("09:00", drawn("aptt", 120.0, 6), late)


def counts(*values: tuple[float, float]) -> list[LabResult]:
    """Platelets by day and value."""
    return [drawn("platelets", value, day * 24 + 0.5) for day, value in values]


@BOOK.edge("hit-suspected", quiet=120.0, told=119.0)
def falling(value: float) -> Course:
    """Platelets of 240 fall to this by day 7 and are 200 again by day 9."""
    return infusing("220:00", *levels(220), *counts((0, 240.0), (4, 230.0), (7, value), (9, 200.0)))


@BOOK.story("hit-suspected")
def _() -> Course:
    """Platelets fall from 240 to 114 by day 7, and are 200 again by day 9."""
    return falling(114.0)


@BOOK.friend("hit-suspected", beside=("platelets-falling",))
def _() -> Course:
    """As deep a fall on day 2: too early for the antibodies, who never had heparin before."""
    return infusing("96:00", *levels(96), *counts((0, 240.0), (2, 114.0), (3.5, 200.0)))


@BOOK.edge("platelets-falling", quiet=169.0, told=168.0)
def thinning(value: float) -> Course:
    """Platelets of 240 are so many on day 3, and 230 a day later."""
    return infusing("98:00", *levels(98), *counts((0, 240.0), (3, value), (4, 230.0)))


@BOOK.story("platelets-falling")
def _() -> Course:
    """Platelets fall from 240 to 150 by day 3, and are 230 a day later."""
    return thinning(150.0)


@BOOK.friend("platelets-falling")
def _() -> Course:
    """240, 215, 232: a laboratory varies by some percent from day to day."""
    return infusing("60:00", *levels(60), *counts((0, 240.0), (1, 215.0), (2, 232.0)))


@BOOK.edge("haemoglobin-falling", quiet=11.5, told=11.4)
def bled(value: float) -> Course:
    """Haemoglobin of 13.0, then 13.4, then so much, then 12.6 g/dL."""
    values = zip((0, 6, 12, 18), (13.0, 13.4, value, 12.6), strict=True)
    found = [drawn("haemoglobin", each, at_h) for at_h, each in values]
    return infusing("20:00", *levels(20), *found)


@BOOK.story("haemoglobin-falling")
def _() -> Course:
    """Haemoglobin falls from 13.4 to 10.8 g/dL within six hours, and is 12.6 after a transfusion."""
    return bled(10.8)


@BOOK.friend("haemoglobin-falling")
def _() -> Course:
    """11.0 g/dL from the first day on: low, and it does not fall."""
    found = [drawn("haemoglobin", each, at_h) for at_h, each in ((0, 11.2), (6, 11.0), (12, 10.9))]
    return infusing("14:00", *levels(14), *found)


# --- the course of the level ----------------------------------------------------------------------


def slow(until: str, *messages: LabResult) -> Course:
    """A low dose, 7.5 IU/kg/h, ordered and carried out: low levels are nothing strange."""
    state = LONG | {"rate_ml_h": 6.0}
    start = Start(at_ms=T0, rate_iu_kg_h=7.5)
    paper = begin(start, interval_ms=60_000, flow_ml_h=6.0, state=state).run(until)
    return said(paper, *messages)


@BOOK.edge("levels-out-of-range", quiet=0.20, told=0.19)
def _(value: float) -> Course:
    """0.15 IU/mL, and then so much."""
    return slow("14:00", level(0.15, 6), level(value, 12))


@BOOK.story("levels-out-of-range")
def _() -> Course:
    """0.19, then 0.15, then 0.22 IU/mL at a low dose."""
    return slow("20:00", level(0.19, 6), level(0.15, 12), level(0.22, 18))


@BOOK.friend("levels-out-of-range")
def _() -> Course:
    """One low level between two better ones: 0.24, 0.15, 0.22 IU/mL."""
    return slow("20:00", level(0.24, 6), level(0.15, 12), level(0.22, 18))


def first_day(*values: float) -> Course:
    """Levels every six hours from the start, and one in range after 28 hours."""
    found = [level(value, 6 * (place + 1)) for place, value in enumerate(values)]
    return infusing("30:00", *found, level(0.34, 28))


@BOOK.edge("not-therapeutic", quiet=0.30, told=0.29)
def _(value: float) -> Course:
    """The highest level of the first day is so much."""
    return first_day(0.25, 0.28, value, 0.28)


@BOOK.story("not-therapeutic")
def _() -> Course:
    """A day of levels just below the range, and one in it after 28 hours."""
    return first_day(0.25, 0.28, 0.29, 0.28)


@BOOK.friend("not-therapeutic")
def _() -> Course:
    """Out of range at the end of the first day, and in range in the middle of it: it was reached."""
    return first_day(0.25, 0.36, 0.29, 0.28)


def pairs(*values: tuple[float, float]) -> Course:
    """Specimens every six hours: anti-Xa and aPTT."""
    tests: tuple[LabTest, LabTest] = ("anti-xa", "aptt")
    found = [
        drawn(test, value, 6 * (place + 1))
        for place, both in enumerate(values)
        for test, value in zip(tests, both, strict=True)
    ]
    return infusing(hour(6 * len(values) + 2), *found)


@BOOK.edge("discordance", quiet=40.5, told=40.4)
def _(aptt_s: float) -> Course:
    """Twice such an aPTT where the anti-Xa is in range: a tenth below 45 s."""
    return pairs((0.5, 40.0), (0.5, aptt_s))


@BOOK.story("discordance")
def _() -> Course:
    """Twice an aPTT of 40 s with an anti-Xa of 0.5 IU/mL, and then one of 60 s."""
    return pairs((0.5, 40.0), (0.5, 40.0), (0.5, 60.0))


@BOOK.friend("discordance")
def _() -> Course:
    """Once too low and once too high at the same anti-Xa: two errors, and no reagent's doing."""
    return pairs((0.5, 40.0), (0.5, 84.0), (0.5, 60.0))


# --- results against the dose ---------------------------------------------------------------------

AGREED = (level(0.58, 6), level(0.60, 12))


@BOOK.edge("result-disagrees", quiet=0.40, told=0.36)
def _(value: float) -> Course:
    """So much after two levels of 0.6 IU/mL, at the same dose."""
    return infusing("20:00", *AGREED, level(value, 18))


@BOOK.story("result-disagrees")
def _() -> Course:
    """0.12 IU/mL after two levels of 0.6, and 0.55 six hours later: a loose line that was found."""
    return infusing("26:00", *AGREED, level(0.12, 18), level(0.55, 24))


@BOOK.friend("result-disagrees", beside=("not-delivering",))
def _() -> Course:
    """The same 0.12 IU/mL after two levels of 0.6, after three hours in which the pump stood."""
    paper = begin(START, interval_ms=60_000, state=dict(LONG)).run("15:00").stop().run("18:00")
    return said(paper.start().run("20:00"), *AGREED, level(0.12, 18))


@BOOK.edge("concentration-doubt", quiet=0.40, told=0.25)
def halved(value: float) -> Course:
    """Twice so much after two levels of 0.6 IU/mL, and 0.58 again."""
    return infusing("34:00", *AGREED, level(value, 18), level(value, 24), level(0.58, 30))


@BOOK.story("concentration-doubt")
def _() -> Course:
    """A bag of half the strength hangs for twelve hours: 0.25 IU/mL twice after 0.6, then 0.58."""
    return halved(0.25)


@BOOK.friend("concentration-doubt")
def _() -> Course:
    """A patient who gets better clears heparin more slowly: each level is a tenth higher."""
    values = enumerate((0.58, 0.60, 0.63, 0.66, 0.69))
    return infusing("32:00", *[level(value, 6 * (place + 1)) for place, value in values])


def changed_to(rate_iu_kg_h: float) -> Course:
    """In range at 6 h, another rate from 8 h on, and 0.95 IU/mL at 11 h."""
    change = RateChange(at_ms=T0 + clock("08:00"), rate_iu_kg_h=rate_iu_kg_h)
    paper = begin(START, change, interval_ms=60_000, state=dict(LONG)).run("08:00")
    paper.program(RATE_ML_H * rate_iu_kg_h / ORDERED_IU_KG_H).run("13:00")
    return said(paper, level(0.58, 6), level(0.95, 11))


@BOOK.edge("level-forecast", quiet=22.0, told=26.0)
def _(rate_iu_kg_h: float) -> Course:
    """Another rate is ordered after a level of 0.58 IU/mL at 18 IU/kg/h."""
    return changed_to(rate_iu_kg_h)


@BOOK.story("level-forecast")
def _() -> Course:
    """30 IU/kg/h are ordered after a level in range; four hours later a result is out of it."""
    return changed_to(30.0)


@BOOK.friend("level-forecast")
def _() -> Course:
    """A bolus of 1,000 IU: the level rises for an hour or two, and comes back by itself."""
    bolus = Bolus(at_ms=T0 + clock("08:00"), dose_iu=1_000, duration_s=600)
    paper = begin(START, bolus, interval_ms=10_000, state=dict(LONG)).run("08:00").program(74.4)
    return said(paper.run("08:10").program(RATE_ML_H).run("11:00"), level(0.50, 6))

"""Line, bag and battery: each hazard comes and goes, and beside it what looks like it."""

from collections.abc import Callable
from typing import Any

from infusion.prescription import Bolus, Start
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    RATE_ML_H,
    T0,
    Paper,
    begin,
    clock,
    presence,
    spoken,
)
from tests.infusion.stories.book import Book, Course

BOOK = Book()
START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)

ByMinute = Callable[[float], float]


def vary(paper: Paper, until: str, **fields: ByMinute) -> Paper:
    """Pump on, with fields that change with the minutes since T0."""
    end_ms = T0 + clock(until)
    while paper.now_ms < end_ms:
        next_ms = paper.now_ms + paper.interval_ms - (paper.now_ms - T0) % paper.interval_ms
        minute = (next_ms - T0) / 60_000
        paper.state |= {name: value(minute) for name, value in fields.items()}
        paper.run(spoken(min(next_ms, end_ms)))
    return paper


# --- the line -------------------------------------------------------------------------------------


def line(until: str, pressure: ByMinute, **more: Any) -> Paper:
    """A pump whose line has been sound for twenty minutes, and then has this pressure."""
    paper = begin(interval_ms=5_000).say(presence(interval_s=5.0, **more))
    return vary(paper.run("00:20"), until, pressure_mmhg=pressure)


def rising(slope_mmhg_min: float, top_mmhg: float = 9_000.0) -> ByMinute:
    """From 60 mmHg at 00:20 on, so much a minute."""
    return lambda minute: min(60.0 + slope_mmhg_min * (minute - 20.0), top_mmhg)


def usual(minute: float) -> float:
    """The pressure of a free line."""
    return 60.0


@BOOK.edge("occlusion-forming", quiet=85.0, told=95.0)
def _(top_mmhg: float) -> Course:
    """The pressure rises by 8 mmHg with each message, from 60 mmHg to this: thrice, or four times."""
    return Course(line("00:34", rising(100.0, top_mmhg), occlusion_limit_mmhg=280.0))


@BOOK.story("occlusion-forming")
def _() -> Course:
    """A line closes at 00:20; the pump itself stops for it at 00:22, and runs again at 00:26."""
    paper = line("00:22", rising(100.0))
    paper.stop("alarm", alarms=("downstream-occlusion",)).run("00:25").set(pressure_mmhg=60.0)
    return Course(paper.run("00:26").start(alarms=()).run("00:35"))


@BOOK.friend("occlusion-forming")
def _() -> Course:
    """A pump is put a metre lower: the pressure rises by 74 mmHg within seconds, and stays."""
    return Course(line("00:40", rising(10_000.0, 60.0 + 74.0), occlusion_limit_mmhg=1_300.0))


@BOOK.edge("partial-occlusion", quiet=159.0, told=161.0)
def narrow(floor_mmhg: float) -> Course:
    """From 00:20 to 00:30 the pressure never falls below this; it was 60 mmHg."""
    paper = line("00:30", rising(10_000.0, floor_mmhg))
    return Course(vary(paper, "00:40", pressure_mmhg=usual))


@BOOK.story("partial-occlusion")
def _() -> Course:
    """For ten minutes a line is narrow: the pressure stays 110 mmHg higher than it was."""
    return narrow(170.0)


@BOOK.friend("partial-occlusion")
def _() -> Course:
    """Somebody lies on the line for four minutes, as narrow as that, and turns over."""
    paper = line("00:24", rising(10_000.0, 170.0))
    return Course(vary(paper, "00:40", pressure_mmhg=usual))


@BOOK.edge("repeat-occlusion", quiet="25:00", told="24:59")
def occluded(third: str) -> Course:
    """Occlusions of a minute at 01:00 and 10:00 and then."""
    paper = begin(interval_ms=60_000, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0})
    for at in ("01:00", "10:00", third):
        paper.run(at).stop("alarm", alarms=("downstream-occlusion",))
        paper.run(spoken(paper.now_ms + 60_000)).start(alarms=())
    return Course(paper.run("26:00"), thresholds={"bag_hang_h": 72.0})


@BOOK.story("repeat-occlusion")
def _() -> Course:
    """Three occlusions of a minute in 19 hours; it is over when the first is a day old."""
    return occluded("20:00")


@BOOK.friend("repeat-occlusion", beside=("upstream-occlusion", "door-open"))
def _() -> Course:
    """One occlusion that stays on for 15 minutes, told with every message and beside another alarm."""
    paper = begin(interval_ms=60_000).run("01:00").stop("alarm", alarms=("upstream-occlusion",))
    paper.run("01:05").set(alarms=("upstream-occlusion", "door-open")).run("01:10")
    paper.set(alarms=("upstream-occlusion",)).run("01:15").start(alarms=())
    return Course(paper.run("01:20"))


# --- the bag --------------------------------------------------------------------------------------


def bag(full_ml: float, until: str) -> Paper:
    """A bag of so much at T0 that empties as the pump counts."""
    return vary(begin(), until, reservoir_ml=lambda minute: full_ml - minute * RATE_ML_H / 60)


@BOOK.edge("reservoir-runs-out", quiet=61.6, told=61.2)
def _(full_ml: float) -> Course:
    """Two minutes of such a bag: 61.06 mL are 240 minutes at a pump that gives 6 % too much."""
    return Course(bag(full_ml, "00:02"))


@BOOK.story("reservoir-runs-out")
def _() -> Course:
    """A bag is foreseen to end, four hours before and half an hour before; then a new one hangs."""
    paper = bag(62.0, "04:00").set(reservoir_ml=250.0).event("DRIPWATCH_EVT_NEW_BAG")
    return Course(paper.run("04:10"))


@BOOK.friend("reservoir-runs-out")
def _() -> Course:
    """150 mL at the rate of a bolus are 35 minutes; the bolus ends after ten."""
    bolus = Bolus(at_ms=T0 + clock("00:10"), dose_iu=4_000, duration_s=600)
    paper = begin(START, bolus, state={"reservoir_ml": 150.0}).run("00:10").program(254.4)
    return Course(paper.run("00:20").program(RATE_ML_H).run("00:25"))


def measured(reading: ByMinute) -> Paper:
    """Two hours of a pump that measures its bag of 200 mL: what it reads, by the minute."""
    paper = begin(interval_ms=60_000).say(presence(reservoir_gauge="measured"))
    return vary(paper, "02:00", reservoir_ml=reading)


def counted(minute: float) -> float:
    """What the counter explains of a bag of 200 mL."""
    return 200.0 - minute * RATE_ML_H / 60


@BOOK.edge("reservoir-unexplained", quiet=5.1, told=5.3)
def _(missing_ml: float) -> Course:
    """So much is missing from 00:11 on: 5 mL and 6 % of 2.64 mL are the gauge's and the pump's."""
    return Course(measured(lambda minute: counted(minute) - (missing_ml if minute > 10 else 0.0)))


@BOOK.story("reservoir-unexplained")
def _() -> Course:
    """From 00:11 on 50 mL of the bag are missing that the counter did not pump; a new bag ends it."""
    paper = measured(lambda minute: counted(minute) - (50.0 if minute > 10 else 0.0))
    paper.set(reservoir_ml=250.0).event("DRIPWATCH_EVT_NEW_BAG")
    return Course(vary(paper, "02:20", reservoir_ml=lambda m: 250.0 - (m - 120) * RATE_ML_H / 60))


@BOOK.friend("reservoir-unexplained")
def _() -> Course:
    """150 mL more than the counter explains: another bag hangs, though nobody told the pump."""
    return Course(measured(lambda minute: counted(minute) + (150.0 if minute > 60 else 0.0)))


@BOOK.edge("bag-beyond-use", quiet="23:59", told="24:01")
def hangs(until: str) -> Course:
    """One bag hangs until then, and another one is hung."""
    paper = begin(interval_ms=60_000, state={"reservoir_ml": 900.0, "vtbi_ml": 0.0}).run(until)
    return Course(paper.event("DRIPWATCH_EVT_NEW_BAG").run("27:00"))


@BOOK.story("bag-beyond-use")
def _() -> Course:
    """A bag hangs for 26 hours."""
    return hangs("26:00")


@BOOK.friend("bag-beyond-use")
def _() -> Course:
    """A bag is changed after 23 hours and nobody tells the pump, which sees that it is fuller."""
    paper = begin(interval_ms=60_000, state={"reservoir_ml": 500.0, "vtbi_ml": 0.0}).run("23:00")
    return Course(paper.set(reservoir_ml=900.0).run("27:00"))


# --- the battery ----------------------------------------------------------------------------------


def unplugged(charge: float, share_h: float, until: str) -> Paper:
    """A pump that is unplugged at 00:10 and loses a share of its battery an hour."""
    paper = begin().run("00:10").set(power="battery", battery=charge)
    return vary(paper, until, battery=lambda minute: charge - share_h * (minute - 10) / 60)


@BOOK.edge("battery-runs-out", quiet=0.34, told=0.33)
def _(charge: float) -> Course:
    """A minute of such a battery: until a load is known 12.5 % an hour stand for it."""
    return Course(unplugged(charge, 0.05, "00:11"))


@BOOK.story("battery-runs-out")
def _() -> Course:
    """A battery loses 30 % an hour and is foreseen to end; it is plugged in at 02:40."""
    return Course(unplugged(0.9, 0.3, "02:40").set(power="mains").run("02:50"))


@BOOK.friend("battery-runs-out")
def _() -> Course:
    """A shower of 15 minutes on a full battery that loses 30 % an hour."""
    return Course(unplugged(0.9, 0.3, "00:25").set(power="mains").run("01:00"))

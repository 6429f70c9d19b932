"""What is really delivered: each hazard comes and goes, and beside it what looks like it."""

from infusion.messages import Panel
from infusion.prescription import Bolus, Hold, Start
from tests.infusion.bench import (
    CONCENTRATION,
    ORDERED_IU_KG_H,
    RATE_ML_H,
    T0,
    Paper,
    begin,
    clock,
    order,
    presence,
)
from tests.infusion.stories.book import Book, Course, Seen

BOOK = Book()
START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)
# A bag and a volume that do not end while a course lasts.
BIG_BAG = {"reservoir_ml": 900.0, "vtbi_ml": 0.0}
NO_HANG = {"bag_hang_h": 72.0}


def flowing(factor: float, until: str, *, end: str = "00:30") -> Paper:
    """From 00:05 until an instant so many times as much flows as is programmed."""
    paper = begin(interval_ms=1_000, state=dict(BIG_BAG)).run("00:05")
    paper.flow_ml_h = factor * RATE_ML_H
    paper.run(until)
    paper.flow_ml_h = RATE_ML_H
    return paper.run(end)


def hand(minutes: int) -> str:
    """Minutes since T0 as a clock shows them."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


# --- the flow -------------------------------------------------------------------------------------


@BOOK.edge("free-flow-seen", quiet=49.0, told=52.0)
def _(flow_ml_h: float) -> Course:
    """A pump at 10 mL/h of which so much flows in three minutes."""
    start = Start(at_ms=T0, rate_iu_h=10.0 * CONCENTRATION)
    paper = begin(start, flow_ml_h=10.0, state={"rate_ml_h": 10.0}, interval_ms=60_000)
    paper.run("00:10")
    paper.flow_ml_h = flow_ml_h
    return Course(paper.run("00:13"))


@BOOK.story("free-flow-seen")
def _() -> Course:
    """Forty times the rate runs in for two minutes; a nurse sees it at 00:12."""
    return Course(flowing(40.0, "00:07"), [("00:12", Seen())])


@BOOK.friend("free-flow-seen")
def _() -> Course:
    """The end of a bolus: most of the last stretch was as fast as the pump was still set in it."""
    bolus = Bolus(at_ms=T0 + clock("01:00"), dose_iu=4_000, duration_s=600)
    paper = begin(START, bolus, interval_ms=30_000).run("01:00").program(240.0 + RATE_ML_H)
    paper.run("01:09:50")
    paper.now_ms += 10_000
    paper.volume_nl += 706_667
    return Course(paper.program(RATE_ML_H).run("01:30"))


@BOOK.edge("over-delivery", quiet="00:19:59", told="00:20:01")
def _(until: str) -> Course:
    """An eighth too much flows from 00:05 until then."""
    return Course(flowing(1.125, until))


@BOOK.edge("over-delivery", quiet=1.09, told=1.11)
def _(factor: float) -> Course:
    """So many times as much flows for 20 minutes."""
    return Course(flowing(factor, "00:25"))


@BOOK.story("over-delivery")
def _() -> Course:
    """Two thirds too much flows for 20 minutes; a nurse sees it at 00:28."""
    return Course(flowing(1.67, "00:25"), [("00:28", Seen())])


@BOOK.friend("over-delivery", beside=("partial-occlusion",))
def _() -> Course:
    """What a blocked line held back comes at once when it opens: 1.6 mL, and only once."""
    paper = begin(flow_ml_h=1.08 * RATE_ML_H)
    paper.say(presence(volume_step_ml=0.055)).run("00:30")
    for minute, pressure_mmhg in ((32, 600.0), (34, 1_100.0), (36, 1_650.0)):
        paper.set(pressure_mmhg=pressure_mmhg).run(f"00:{minute}")
    return Course(paper.set(pressure_mmhg=60.0).run("01:00"))


@BOOK.edge("under-delivery", quiet="00:19:59", told="00:20:01")
def _(until: str) -> Course:
    """A fifth too little flows from 00:05 until then."""
    return Course(flowing(0.8, until))


@BOOK.edge("under-delivery", quiet=0.91, told=0.89)
def _(factor: float) -> Course:
    """So many times as much flows for 20 minutes."""
    return Course(flowing(factor, "00:25"))


@BOOK.story("under-delivery")
def _() -> Course:
    """Two fifths too little flow for 40 minutes."""
    return Course(flowing(0.6, "00:45", end="00:50"))


@BOOK.friend("under-delivery")
def _() -> Course:
    """The pump stands for nine minutes, and says so: a bag is changed."""
    paper = begin(interval_ms=1_000).run("00:05").stop().event("DRIPWATCH_EVT_NEW_BAG")
    return Course(paper.run("00:14").start().run("00:30"))


# --- a pump that stands ---------------------------------------------------------------------------


@BOOK.edge("not-delivering", quiet="00:14:59", told="00:15:01")
def stopped(until: str) -> Course:
    """Somebody stops the pump from 00:05 until then."""
    paper = begin(interval_ms=1_000).run("00:05").stop().run(until).start()
    return Course(paper.run("01:00"))


@BOOK.story("not-delivering")
def _() -> Course:
    """Somebody stops the pump and forgets it for 40 minutes."""
    return stopped("00:45")


@BOOK.friend("not-delivering")
def _() -> Course:
    """A standby for a shower, set to 15 minutes at the pump and ended in time."""
    panel = Panel(standby_until_ms=T0 + clock("00:20"))
    paper = begin().run("00:05").stop("standby", panel=panel).run("00:20").start(panel=None)
    return Course(paper.run("00:45"))


HOLD = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("01:00"))


@BOOK.edge("hold-overrun", quiet="01:09:59", told="01:10:01")
def restarted(at: str) -> Course:
    """A hold is over at 01:00, and the pump is started then."""
    paper = begin(START, HOLD, interval_ms=1_000).run("00:30").stop().run(at).start()
    return Course(paper.run("01:50"))


@BOOK.story("hold-overrun")
def _() -> Course:
    """A hold is over, and the pump is started 40 minutes later."""
    return restarted("01:40")


@BOOK.friend("hold-overrun")
def _() -> Course:
    """Five minutes before the end of the hold it is made longer by an hour, by a new order."""
    longer = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("02:00"))
    paper = begin(START, HOLD).run("00:30").stop().run("00:55")
    paper.say(order(START, longer, version=2)).run("01:59").start(order_version=2)
    return Course(paper.run("02:10"))


# --- what adds up ---------------------------------------------------------------------------------


def short_stops(length: int, every: int, count: int) -> Course:
    """So many stops of so many minutes from 03:00 on, and ten hours after them."""
    paper = begin(interval_ms=30_000, state=dict(BIG_BAG)).run("03:00")
    for number in range(count):
        begin_min = 180 + number * every
        paper.run(hand(begin_min)).stop().run(hand(begin_min + length)).start()
    return Course(paper.run(hand(180 + count * every + 600)))


@BOOK.edge("level-off-course", quiet=2, told=10)
def _(count: int) -> Course:
    """So many stops of nine minutes, one each 24."""
    return short_stops(9, 24, count)


@BOOK.story("level-off-course")
def _() -> Course:
    """Ten stops of nine minutes in four hours: each too short to be told, together too much."""
    return short_stops(9, 24, 10)


@BOOK.friend("level-off-course")
def _() -> Course:
    """Ten stops of nine minutes in eight hours: a sixth of the dose, and the level bears it."""
    return short_stops(9, 48, 10)


@BOOK.edge("deviation-24h", quiet=1, told=2)
def day(stops: int) -> Course:
    """A day 9 % too low, with so many stops of nine minutes, and two hours after them."""
    paper = begin(interval_ms=60_000, state=dict(BIG_BAG), flow_ml_h=0.91 * RATE_ML_H)
    for number in range(stops):
        paper.run(f"{5 * number + 2:02}:00").stop()
        paper.run(f"{5 * number + 2:02}:09").start(0.91 * RATE_ML_H)
    return Course(paper.run("28:00"), thresholds=NO_HANG)


@BOOK.story("deviation-24h")
def _() -> Course:
    """A pump gives 9 % too little and stands twice for nine minutes: only the day shows 10 %."""
    return day(2)


@BOOK.friend("deviation-24h")
def _() -> Course:
    """A day with an ordered hold of four hours is a sixth short, as it was ordered."""
    hold = Hold(at_ms=T0 + clock("10:00"), until_ms=T0 + clock("14:00"))
    paper = begin(START, hold, interval_ms=60_000, state=dict(BIG_BAG))
    paper.run("10:00").stop().run("14:00").start().run("28:00")
    return Course(paper, thresholds=NO_HANG)

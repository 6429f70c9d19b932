"""What is programmed, against the order: each comes and goes, and beside it what looks like it."""

from typing import Any

import pytest
from msgspec.structs import replace

from infusion.errors import MessageError
from infusion.messages import Panel
from infusion.prescription import Bolus, Hold, Start, Step, compile_timeline
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    RATE_ML_H,
    T0,
    Paper,
    begin,
    clock,
    order,
    rate_change,
    spoken,
)
from tests.infusion.stories.book import Book, Course

BOOK = Book()
START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)
HOLD = Hold(at_ms=T0 + clock("00:30"), until_ms=T0 + clock("02:00"))


def pump(*steps: Step, interval_ms: int = 1_000) -> Paper:
    """A pump with an order, which speaks every second."""
    return begin(*(steps or (START,)), interval_ms=interval_ms)


# --- who delivers what ----------------------------------------------------------------------------


@BOOK.story("therapy-on-two-pumps")
def _() -> Course:
    """For twelve minutes a pump runs a therapy that another one is ordered for, and gives."""
    other = begin(pump="P-02", therapy="T-02", interval_ms=1_000).run("00:24")
    paper = pump().run("00:10").set(therapy="T-02").run("00:22").set(therapy="T-01").run("00:24")
    paper.stream += other.stream
    return Course(paper)


@BOOK.friend("therapy-on-two-pumps", beside=("unknown-pump",))
def _() -> Course:
    """The therapy is handed over to another pump: this one still names it, and stands."""
    paper = pump().run("00:10").stop().say(order(version=2, pump="P-02"))
    return Course(paper.run("00:14"))


BAD = Hold(at_ms=T0 + clock("00:20"), until_ms=T0 + clock("00:10"))


def ordered_badly(at: str, therapy: str = "T-01", version: int = 2) -> tuple[str, MessageError]:
    """The refusal of an order with a hold that ends before it begins."""
    with pytest.raises(MessageError) as caught:
        compile_timeline(order(START, BAD, version=version, therapy=therapy))
    return at, caught.value


@BOOK.story("order-refused")
def _() -> Course:
    """Two orders make no sense; ten minutes later a corrected one comes."""
    paper = pump().run("00:20").say(order(START, version=3)).run("00:22")
    return Course(paper, [ordered_badly("00:10"), ordered_badly("00:12", version=3)])


@BOOK.friend("order-refused")
def _() -> Course:
    """A broker sends an old version again that was refused before a newer one was taken."""
    paper = pump().run("00:05").say(order(START, version=3)).run("00:20")
    return Course(paper, [ordered_badly("00:10"), ordered_badly("00:11", "T-09", 9)])


@BOOK.edge("unknown-pump", quiet="00:00:59", told="00:01:01")
def ordered_later(at: str) -> Course:
    """A pump that runs from the first second, and whose order comes then."""
    paper = Paper(interval_ms=1_000).start().run(at).say(order())
    return Course(paper.run("00:05"))


@BOOK.story("unknown-pump")
def _() -> Course:
    """A pump runs, and the order that names it comes after two minutes."""
    return ordered_later("00:02")


@BOOK.friend("unknown-pump")
def _() -> Course:
    """A pump starts 40 seconds before its order has come through."""
    return ordered_later("00:00:40")


@BOOK.edge("unknown-therapy", quiet="00:10:59", told="00:11:01")
def misnamed(until: str) -> Course:
    """From 00:10 until then the pump names a therapy that nobody ordered."""
    paper = pump().run("00:10").set(therapy="T-09").run(until).set(therapy="T-01")
    return Course(paper.run("00:25"))


@BOOK.story("unknown-therapy")
def _() -> Course:
    """For ten minutes the pump names a therapy that nobody ordered."""
    return misnamed("00:20")


@BOOK.friend("unknown-therapy")
def _() -> Course:
    """A pump that stands names no therapy: it is ready for the start that is ordered for later."""
    paper = Paper(interval_ms=1_000)
    paper.say(order(Start(at_ms=T0 + clock("00:30"), rate_iu_kg_h=ORDERED_IU_KG_H)))
    paper.stop(therapy=None).run("00:31").start(therapy="T-01")
    return Course(paper.run("00:40"))


# --- strength, weight, rate -----------------------------------------------------------------------


def programmed(until: str = "00:20", **fields: Any) -> Course:
    """From 00:10 until then something else stands on the pump."""
    usual = {"concentration_iu_ml": 100.0, "weight_kg": 80.0}
    paper = pump().run("00:10").set(**fields).run(until)
    return Course(paper.set(**{key: usual[key] for key in fields}).run("00:25"))


@BOOK.edge("wrong-concentration", quiet=(99.0, 101.0), told=(98.9, 101.1))
def _(concentration: float) -> Course:
    """The pump counts with such a concentration for ten minutes."""
    return programmed(concentration_iu_ml=concentration)


@BOOK.story("wrong-concentration")
def _() -> Course:
    """A bag of 50 IU/mL is entered for one of 100, and corrected ten minutes later."""
    return programmed(concentration_iu_ml=50.0)


@BOOK.friend("wrong-concentration")
def _() -> Course:
    """A bag of 50 IU/mL at twice the rate, as the new order says that came before it was started."""
    paper = pump().run("00:10").stop(reservoir_ml=900.0, vtbi_ml=0.0)
    paper.say(replace(order(START, version=2), concentration_iu_ml=50.0))
    twice = 2 * RATE_ML_H
    paper.start(twice, rate_ml_h=twice, concentration_iu_ml=50.0, order_version=2)
    return Course(paper.run("00:40"))


@BOOK.edge("wrong-weight", quiet=(72.0, 88.0), told=(71.9, 88.1))
def _(weight_kg: float) -> Course:
    """The pump doses by such a weight for ten minutes."""
    return programmed(weight_kg=weight_kg)


@BOOK.story("wrong-weight")
def _() -> Course:
    """Pounds are entered for kilograms, and corrected ten minutes later."""
    return programmed(weight_kg=176.4)


@BOOK.friend("wrong-weight")
def _() -> Course:
    """The weight of the last patient is still in a pump that is not started yet."""
    paper = Paper(interval_ms=1_000).say(order(START)).stop(weight_kg=110.0).run("00:05")
    return Course(paper.start(weight_kg=80.0).run("00:20"))


def factored(factor: float) -> Course:
    """From 00:10 to 00:20 the pump is programmed to so many times its order."""
    paper = pump().run("00:10").program(factor * RATE_ML_H).run("00:20").program(RATE_ML_H)
    return Course(paper.run("00:25"))


@BOOK.edge("rate-not-as-ordered", quiet=(0.951, 1.049), told=(0.949, 1.051))
def _(factor: float) -> Course:
    """The rate is so many times the ordered one."""
    return factored(factor)


@BOOK.edge("rate-not-as-ordered", quiet="00:10:04", told="00:10:06")
def _(until: str) -> Course:
    """Ten times the rate until then: an order and a pump may be told in any order."""
    paper = pump().run("00:10").program(10 * RATE_ML_H).run(until).program(RATE_ML_H)
    return Course(paper.run("00:25"))


@BOOK.story("rate-not-as-ordered")
def _() -> Course:
    """A key slips: ten times the rate, corrected after ten minutes."""
    return factored(10.0)


@BOOK.friend("rate-not-as-ordered")
def _() -> Course:
    """Five times the rate for ten minutes: a bolus that was ordered."""
    bolus = Bolus(at_ms=T0 + clock("00:10"), dose_iu=1_000, duration_s=600)
    paper = pump(START, bolus).run("00:10").program(60.0 + RATE_ML_H)
    return Course(paper.run("00:20").program(RATE_ML_H).run("00:40"))


# --- orders that are not carried out --------------------------------------------------------------


@BOOK.edge("order-not-applied", quiet="01:00:59", told="01:01:01")
def changed(at: str) -> Course:
    """16.5 IU/kg/h are ordered from 00:30 on, and programmed then."""
    paper = pump(START, rate_change("00:30", 16.5)).run(at).program(RATE_ML_H * 16.5 / 18)
    return Course(paper.run("01:20"))


@BOOK.story("order-not-applied")
def _() -> Course:
    """A lower rate is ordered, and programmed 40 minutes later."""
    return changed("01:10")


@BOOK.friend("order-not-applied")
def _() -> Course:
    """Two lower rates are ordered within 20 minutes; the pump goes to the last one, in its time."""
    steps = (START, rate_change("00:30", 16.0), rate_change("00:50", 14.5))
    paper = pump(*steps).run("00:59").program(RATE_ML_H * 14.5 / 18)
    return Course(paper.run("01:20"))


@BOOK.edge("delivering-on-hold", quiet="00:39:59", told="00:40:01")
def held(stopped_at: str) -> Course:
    """A hold is ordered from 00:30 to 02:00, and the pump is stopped then."""
    paper = pump(START, HOLD).run(stopped_at).stop().run("01:59").start()
    return Course(paper.run("02:05"))


@BOOK.story("delivering-on-hold")
def _() -> Course:
    """A hold is ordered, and carried out 25 minutes later."""
    return held("00:55")


@BOOK.friend("delivering-on-hold")
def _() -> Course:
    """The pump keeps the vein open with 0.1 mL/h during the hold, and says so."""
    paper = pump(START, HOLD).run("00:31").set(0.1, delivery="kvo", rate_ml_h=0.1)
    paper.run("01:59").start(rate_ml_h=RATE_ML_H)
    return Course(paper.run("02:05"))


# --- limits and checks ----------------------------------------------------------------------------


@BOOK.edge("outside-limits", quiet=(1.0, 35.0), told=(0.99, 35.01))
def limited(rate_iu_kg_h: float) -> Course:
    """An order of such a dose is carried out, until one of 18 IU/kg/h replaces it at 00:10."""
    rate_ml_h = rate_iu_kg_h * 80 / 100
    start = Start(at_ms=T0, rate_iu_kg_h=rate_iu_kg_h)
    paper = begin(start, flow_ml_h=rate_ml_h, state={"rate_ml_h": rate_ml_h}, interval_ms=1_000)
    steps = (start, rate_change("00:10", ORDERED_IU_KG_H))
    paper.run("00:10").say(order(*steps, version=2)).program(RATE_ML_H, order_version=2)
    return Course(paper.run("00:20"))


@BOOK.story("outside-limits")
def _() -> Course:
    """36 IU/kg/h are ordered and carried out, ten minutes long."""
    return limited(36.0)


@BOOK.friend("outside-limits")
def _() -> Course:
    """75 IU/kg/h for ten minutes: an ordered bolus has limits of its own."""
    bolus = Bolus(at_ms=T0 + clock("00:10"), dose_iu=1_000, duration_s=600)
    paper = pump(START, bolus).run("00:10").program(60.0)
    return Course(paper.run("00:20").program(RATE_ML_H).run("00:40"))


@BOOK.edge("library-bypassed", quiet="00:10:09", told="00:10:11")
def bypassed(until: str) -> Course:
    """From 00:10 until then the pump runs outside its library, at the ordered rate."""
    paper = pump().run("00:10").set(panel=Panel(outside_library=True)).run(until).set(panel=None)
    return Course(paper.run("00:25"))


@BOOK.story("library-bypassed")
def _() -> Course:
    """For ten minutes the pump runs outside its library, at the ordered rate."""
    return bypassed("00:20")


@BOOK.friend("library-bypassed")
def _() -> Course:
    """Somebody programs outside the library while the pump stands, and thinks better of it."""
    paper = pump().run("00:10").stop(panel=Panel(outside_library=True)).run("00:15")
    return Course(paper.start(panel=None).run("00:25"))


ASKED = {"double_check_required": True}


@BOOK.edge("double-check-missing", quiet="00:39:59", told="00:40:01")
def checked(at: str) -> Course:
    """A rate is changed at 00:30, as ordered, and two people have checked it then."""
    paper = pump(START, rate_change("00:30", 16.5)).run("00:30").program(RATE_ML_H * 16.5 / 18)
    paper.run(at).event("DRIPWATCH_EVT_DOUBLE_CHECK")
    return Course(paper.run("00:55"), thresholds=ASKED)


@BOOK.story("double-check-missing")
def _() -> Course:
    """A rate is changed as ordered, and checked by two people 20 minutes later."""
    return checked("00:50")


@BOOK.friend("double-check-missing")
def _() -> Course:
    """A bag of the same strength is hung and started at the same rate: the pump itself asks."""
    paper = pump().run("00:30").stop().event("DRIPWATCH_EVT_NEW_BAG").run("00:33").start()
    return Course(paper.run("00:55"), thresholds=ASKED)


@BOOK.edge("override-pattern", quiet="25:00", told="24:59:50")
def overridden(second: str) -> Course:
    """A soft limit is overridden at 01:00 and then."""
    paper = pump(interval_ms=600_000)
    paper.state |= {"reservoir_ml": 900.0, "vtbi_ml": 0.0}
    for at in ("01:00", second):
        paper.run(at).event("DRIPWATCH_EVT_OVERRIDE")
    end = spoken(paper.now_ms + 24 * 3_600_000)
    return Course(paper.run(end), thresholds={"bag_hang_h": 72.0})


@BOOK.story("override-pattern")
def _() -> Course:
    """Somebody overrides a soft limit twice within an hour; the day after it is over."""
    return overridden("02:00")


@BOOK.friend("override-pattern")
def _() -> Course:
    """The library asks three times and somebody backs off each time: that is what it is for."""
    paper = pump(interval_ms=10_000)
    for at in ("01:00", "01:10", "01:20"):
        paper.run(at).event("DRIPWATCH_EVT_SOFT_LIMIT")
    return Course(paper.run("02:00"))

"""Alarms of the pump itself: each comes and goes, and beside it what only looks like it."""

from infusion.alarms import DEVICE_ALARMS
from infusion.messages import Panel
from infusion.prescription import Bolus, Hold, Start
from tests.infusion.bench import ORDERED_IU_KG_H, RATE_ML_H, T0, Paper, begin, clock
from tests.infusion.stories.book import Book, Course

BOOK = Book()
START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)


def alarming(key: str) -> Course:
    """The alarm is on from 00:10; a pump that it stops stands for 35 minutes, others have it for six.

    So long a stop would be an alert of its own, and makes the level leave its course.
    """
    paper = begin().run("00:10")
    if not DEVICE_ALARMS[key].stops_delivery:
        return Course(paper.set(alarms=(key,)).run("00:16").set(alarms=()).run("00:20"))
    paper.stop("alarm", alarms=(key,)).run("00:45").start(alarms=())
    return Course(paper.run("01:30"))


def buffered(key: str) -> Course:
    """The alarm came and went while the pump was offline, and is told with the back-fill."""
    paper = begin().run("00:10")
    kept = len(paper.stream)
    paper.run("00:11").set(alarms=(key,)).run("00:12").set(alarms=()).run("00:13")
    late = [message for _, message in paper.stream[kept:]]
    del paper.stream[kept:]
    paper.run("00:15")
    paper.stream += [(paper.now_ms, message) for message in late]
    return Course(paper.run("00:30"))


def sound(until: str = "00:10") -> Paper:
    """A pump that has infused as ordered so far."""
    return begin().run(until)


# --- line and drive -------------------------------------------------------------------------------


@BOOK.story("downstream-occlusion")
def _() -> Course:
    """A clamp stays closed; the pump stands for 35 minutes until somebody opens it."""
    return alarming("downstream-occlusion")


@BOOK.friend("downstream-occlusion")
def _() -> Course:
    """A cuff on the arm presses on the line for a minute: pressure rises and falls, no alarm."""
    paper = sound()
    for second, pressure_mmhg in ((0, 75.0), (20, 80.0), (40, 78.0)):
        paper.run(f"00:10:{second:02}").set(pressure_mmhg=pressure_mmhg)
    return Course(paper.run("00:11").set(pressure_mmhg=60.0).run("00:30"))


@BOOK.story("upstream-occlusion")
def _() -> Course:
    """The clamp of a new bag was forgotten; 35 minutes later it is open."""
    return alarming("upstream-occlusion")


@BOOK.friend("upstream-occlusion")
def _() -> Course:
    """A bag is changed: nothing flows from it for three minutes, because somebody stopped the pump."""
    paper = sound().stop().event("DRIPWATCH_EVT_NEW_BAG").run("00:13")
    return Course(paper.start().run("00:30"))


@BOOK.story("air-in-line")
def _() -> Course:
    """A bubble stops the pump for 35 minutes."""
    return alarming("air-in-line")


@BOOK.friend("air-in-line")
def _() -> Course:
    """Small bubbles pass: the pump measures 120 µL, less than what it stops for, and goes on."""
    paper = sound().set(air_ul=60.0).run("00:11").set(air_ul=120.0).run("00:12")
    return Course(paper.set(air_ul=0.0).run("00:30"))


@BOOK.story("free-flow")
def _() -> Course:
    """The pump itself finds free flow and stops; 35 minutes later it runs again."""
    return alarming("free-flow")


@BOOK.friend("free-flow")
def _() -> Course:
    """An ordered bolus: heparin runs in seventeen times as fast as before, as it was programmed."""
    bolus = Bolus(at_ms=T0 + clock("00:10"), dose_iu=4_000, duration_s=600)
    paper = begin(START, bolus, state={"vtbi_ml": 0.0}).run("00:10").program(240.0 + RATE_ML_H)
    return Course(paper.run("00:20").program(RATE_ML_H).run("00:30"))


@BOOK.story("door-open")
def _() -> Course:
    """The door stands open for 35 minutes after a cassette was changed."""
    return alarming("door-open")


@BOOK.friend("door-open")
def _() -> Course:
    """Somebody closes the door of a pump that was stopped before: the pump tells it, no alarm."""
    paper = sound().stop().run("00:12").event("DRIPWATCH_EVT_DOOR_CLOSED")
    return Course(paper.run("00:13").start().run("00:30"))


@BOOK.story("system-malfunction")
def _() -> Course:
    """The pump finds a fault in itself, stops, and runs again after 35 minutes."""
    return alarming("system-malfunction")


@BOOK.friend("system-malfunction")
def _() -> Course:
    """A pump is switched off and on: its counter begins anew and it was away for two minutes."""
    return Course(sound().reboot(off="00:02").start().run("00:30"))


@BOOK.story("over-temperature")
def _() -> Course:
    """A pump in the sun stands for 35 minutes."""
    return alarming("over-temperature")


@BOOK.friend("over-temperature")
def _() -> Course:
    """It was too hot for a minute while the pump was offline; it is told when it is long over."""
    return buffered("over-temperature")


# --- bag and volume -------------------------------------------------------------------------------


def emptying(ml: float, until: str) -> Paper:
    """A bag of which so much is left at 00:10, until an instant."""
    paper = sound()
    for minute in range(10, clock(until) // 60_000):
        pumped_ml = (minute - 10) * RATE_ML_H / 60
        paper.set(reservoir_ml=ml - pumped_ml).run(f"00:{minute + 1:02}")
    return paper


@BOOK.story("reservoir-empty")
def _() -> Course:
    """A bag runs empty and the pump stops; 35 minutes later a new one hangs."""
    return alarming("reservoir-empty")


@BOOK.friend("reservoir-empty", beside=("reservoir-runs-out",))
def _() -> Course:
    """A bag of 3 mL is changed in time, which was foreseen: the pump never stood empty."""
    paper = emptying(3.0, "00:15").set(reservoir_ml=250.0).event("DRIPWATCH_EVT_NEW_BAG")
    return Course(paper.run("00:30"))


@BOOK.story("reservoir-low")
def _() -> Course:
    """The pump warns that its bag is low; six minutes later a new one hangs."""
    return alarming("reservoir-low")


@BOOK.friend("reservoir-low")
def _() -> Course:
    """A small bag: 70 mL are little, and last for more than four hours."""
    return Course(emptying(70.0, "00:15").run("00:16"))


@BOOK.story("infusion-complete")
def _() -> Course:
    """The volume to be infused is at its end; the pump stands for 35 minutes until it has a new one."""
    return alarming("infusion-complete")


@BOOK.friend("infusion-complete", beside=("reservoir-runs-out",))
def _() -> Course:
    """The volume to be infused is set anew with 4 mL left, which was foreseen: the pump never stood."""
    paper = sound().set(vtbi_remaining_ml=4.0).run("00:13").set(vtbi_remaining_ml=250.0)
    return Course(paper.run("00:30"))


@BOOK.story("near-end")
def _() -> Course:
    """The pump tells that its volume is nearly infused; six minutes later it has a new one."""
    return alarming("near-end")


@BOOK.friend("near-end")
def _() -> Course:
    """A pump that has no volume to be infused tells 0 mL as what is left of it: it has no end."""
    return Course(sound().set(vtbi_ml=0.0, vtbi_remaining_ml=0.0).run("00:30"))


# --- battery --------------------------------------------------------------------------------------


@BOOK.story("battery-depleted")
def _() -> Course:
    """The battery is flat; the pump stands for 35 minutes until it is plugged in."""
    return alarming("battery-depleted")


@BOOK.friend("battery-depleted")
def _() -> Course:
    """A battery at 2 % that is being charged: the pump runs on mains."""
    return Course(sound().set(battery=0.02, power="mains").run("00:30"))


@BOOK.story("battery-low")
def _() -> Course:
    """The pump warns that its battery is low; six minutes later it is plugged in."""
    return alarming("battery-low")


@BOOK.friend("battery-low")
def _() -> Course:
    """A walk of ten minutes: the mains are gone, the battery is nearly full."""
    paper = sound().set(power="battery", battery=0.9).run("00:20")
    return Course(paper.set(power="mains", battery=0.88).run("00:30"))


# --- the keypad -----------------------------------------------------------------------------------


@BOOK.story("standby-expired")
def _() -> Course:
    """A standby is over and nobody came; the pump calls for six minutes, then it is started."""
    panel = Panel(standby_until_ms=T0 + clock("00:10"))
    paper = sound("00:05").stop("standby", panel=panel).run("00:10")
    paper.set(alarms=("standby-expired",)).run("00:16").start(alarms=(), panel=None)
    return Course(paper.run("00:20"))


@BOOK.friend("standby-expired")
def _() -> Course:
    """A standby for a shower that somebody ends after eight minutes of the ten."""
    panel = Panel(standby_until_ms=T0 + clock("00:15"))
    paper = sound("00:05").stop("standby", panel=panel).run("00:13").start(panel=None)
    return Course(paper.run("00:30"))


@BOOK.story("callback")
def _() -> Course:
    """Somebody began to program and left; the pump waits for six minutes."""
    return alarming("callback")


@BOOK.friend("callback")
def _() -> Course:
    """Somebody programs a hold as ordered, and unlocks and locks the keypad for it."""
    hold = Hold(at_ms=T0 + clock("00:10"), until_ms=T0 + clock("00:20"))
    paper = begin(START, hold).run("00:10").event("DRIPWATCH_EVT_UNLOCKED").stop()
    paper.event("DRIPWATCH_EVT_LOCKED").run("00:20").start()
    return Course(paper.run("00:30"))


@BOOK.story("programming-cleared")
def _() -> Course:
    """What somebody began to program was left alone and cleared; it is seen after six minutes."""
    return alarming("programming-cleared")


@BOOK.friend("programming-cleared")
def _() -> Course:
    """Somebody backs off at a soft limit of the library and leaves the rate as it was."""
    return Course(sound().event("DRIPWATCH_EVT_SOFT_LIMIT").run("00:30"))


@BOOK.story("unknown-device-alarm")
def _() -> Course:
    """The pump has an alarm that has no common name, for six minutes."""
    paper = sound().set(alarms=("leak-sensor",)).run("00:16").set(alarms=())
    return Course(paper.run("00:20"))


@BOOK.friend("unknown-device-alarm")
def _() -> Course:
    """A maker's own event without a common name: the pump tells it and has no alarm."""
    return Course(sound().event("VENDOR_EVT_SELF_TEST").run("00:30"))

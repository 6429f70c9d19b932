"""Reports and the calendar: each hazard comes and goes, and beside it what looks like it."""

from msgspec.structs import replace

from infusion.prescription import Stop
from tests.infusion.bench import T0, begin, clock
from tests.infusion.clinic_bench import lab, report
from tests.infusion.stories.book import Book, Course
from tests.infusion.stories.laboratory import LONG, START, drawn, infusing, level, levels, said

BOOK = Book()

# --- reports --------------------------------------------------------------------------------------


@BOOK.story("bleeding")
def _() -> Course:
    """Bruises, then a nosebleed, then both are over."""
    return infusing(
        "06:00",
        report("bruising", "02:00"),
        report("nosebleed", "03:00"),
        report("bleeding-stopped", "04:00"),
        report("bruising over", "05:00"),
    )


@BOOK.friend("bleeding", beside=("complication-reported",))
def _() -> Course:
    """A patient who denies a bleeding, and a catheter without a blood return, which is another matter."""
    denied = report("denies bleeding", "02:00", by="nurse")
    return infusing("05:00", denied, report("no blood return", "03:00", by="nurse"))


@BOOK.story("complication-reported")
def _() -> Course:
    """A fever, then chest pain, and both are over."""
    return infusing(
        "06:00",
        report("fever", "02:00"),
        report("chest pain", "03:00"),
        report("chest pain gone", "04:00"),
        report("fever gone", "05:00"),
    )


@BOOK.friend("complication-reported")
def _() -> Course:
    """A visit, a bag that was changed, teaching: what people report and what complains of nothing."""
    words = ("visit-done", "bag-changed", "teaching", "no fever")
    return infusing("06:00", *[report(what, f"0{place}:30") for place, what in enumerate(words)])


@BOOK.story("supplies-low")
def _() -> Course:
    """Supplies run short, and are delivered two hours later."""
    return infusing("05:00", report("supplies-low", "02:00"), report("supplies delivered", "04:00"))


@BOOK.friend("supplies-low")
def _() -> Course:
    """Supplies are delivered before anybody missed them."""
    return infusing("05:00", report("supplies delivered", "02:00"))


# --- the calendar ---------------------------------------------------------------------------------

COUNT = drawn("platelets", 200.0, 0.2)


@BOOK.edge("level-overdue", quiet="09:29", told="09:31")
def missed(resulted: str) -> Course:
    """The first level, due after six hours, comes then."""
    first = lab("anti-xa", 0.5, drawn="09:00", resulted=resulted)
    return infusing("12:00", COUNT, first)


@BOOK.story("level-overdue")
def _() -> Course:
    """A level above the range, and the next one is ten hours late."""
    return infusing("26:00", level(0.8, 6), level(0.5, 23))


@BOOK.friend("level-overdue")
def _() -> Course:
    """Nothing for 27 hours after two levels in range: then one a day is enough."""
    return infusing("41:00", level(0.50, 6), level(0.55, 13))


@BOOK.edge("platelets-due", quiet=106.9, told=107.1)
def counted(at_h: float) -> Course:
    """The first count of day 4 is drawn then, and comes an hour later."""
    return infusing("112:00", *levels(112), COUNT, drawn("platelets", 200.0, at_h))


@BOOK.story("platelets-due")
def _() -> Course:
    """Platelets, due on day 4, are counted 15 hours later."""
    return counted(111.0)


@BOOK.friend("platelets-due")
def _() -> Course:
    """The therapy ends on day 4: nobody counts platelets for a heparin that is not given."""
    paper = begin(START, Stop(at_ms=T0 + clock("97:00")), interval_ms=60_000, state=dict(LONG))
    return said(paper.run("97:00").stop().run("112:00"), *levels(97), COUNT)


@BOOK.edge("visit-overdue", quiet="193:59", told="194:01")
def visited(second: str) -> Course:
    """A visit after two hours, and the next one then."""
    visits = (report("visit", "02:00", by="nurse"), report("nurse visit done", second, by="nurse"))
    return infusing("200:00", *visits, interval_ms=600_000)


@BOOK.story("visit-overdue")
def _() -> Course:
    """The weekly visit comes more than a day late."""
    return visited("196:00")


@BOOK.friend("visit-overdue")
def _() -> Course:
    """The nurse comes eight hours later in the day than a week before."""
    return visited("178:00")


@BOOK.edge("delivery-overdue", quiet="05:59", told="06:01")
def planned(delivered: str) -> Course:
    """A delivery is planned for the second hour, and supplies come then."""
    plan = replace(report("delivery planned", "01:00", by="courier"), due_ms=T0 + clock("02:00"))
    return infusing("10:00", plan, report("supplies delivered", delivered))


@BOOK.story("delivery-overdue")
def _() -> Course:
    """The courier, planned for the second hour, comes seven hours late."""
    return planned("09:00")


@BOOK.friend("delivery-overdue")
def _() -> Course:
    """The courier comes half an hour before he was planned."""
    return planned("01:30")

"""Orders, laboratory results and reports on paper, for the tests of the rules on them."""

from typing import Any, Literal

from infusion.clinical import LAB_UNITS, LabResult, LabTest, Report
from infusion.prescription import Prescription, Start, Step, compile_timeline
from infusion.record import Order, Record, add_report, add_result
from tests.infusion.bench import CONCENTRATION, PUMP, T0, Paper, begin, clock, feed, told

DAY = 24


def hours(text: str) -> str:
    """Day and time "3d 04:30" as the hours that a clock on paper shows."""
    day, time = text.split("d ")
    hour, minute = time.split(":")
    return f"{int(day) * DAY + int(hour):02}:{minute}"


def lab(
    test: LabTest,
    value: float | None,
    *,
    drawn: str,
    resulted: str,
    specimen: str | None = None,
    bound: Literal["", "below", "above"] = "",
    problem: str = "",
) -> LabResult:
    """A result; without a name of its own, its specimen is called by the time it was drawn."""
    return LabResult(
        therapy="T-01",
        specimen=specimen or "S" + drawn.replace(":", ""),
        test=test,
        value=value,
        unit=LAB_UNITS[test],
        bound=bound,
        problem=problem,
        drawn_ms=T0 + clock(drawn),
        resulted_ms=T0 + clock(resulted),
    )


def report(what: str, at: str, *, by: str = "patient", name: str | None = None) -> Report:
    """A report; without a name of its own it is called by what it says and when."""
    return Report(
        therapy="T-01",
        report=name or f"R-{what.replace(' ', '-')}-{at.replace(':', '')}",
        what=what,
        by=by,
        time_ms=T0 + clock(at),
    )


def compiled(*steps: Step, weight_kg: float = 80.0) -> Order:
    """An order; without steps 18 IU/kg/h from T0 on."""
    prescription = Prescription(
        therapy="T-01",
        version=1,
        pump=PUMP,
        weight_kg=weight_kg,
        concentration_iu_ml=CONCENTRATION,
        steps=steps or (Start(at_ms=T0, rate_iu_kg_h=18.0),),
    )
    return Order(prescription, compile_timeline(prescription))


def record(*messages: LabResult | Report, order: Order | None = None, **more: Any) -> Record:
    """A record with an order, which has heard these."""
    kept = Record("T-01", order or compiled(), **more)
    for message in messages:
        is_new = (
            add_result(kept, message)
            if isinstance(message, LabResult)
            else add_report(kept, message)
        )
        assert is_new, f"{message} was not kept"
    return kept


def clinical(paper: Paper, *, until: str | None = None) -> list[str]:
    """What is said of laboratory and care, while the stream of a paper pump comes in."""
    _, changes = feed(sorted(paper.stream, key=lambda item: item[0]), until=until)
    said = [each for each in changes if each.alert.category in ("laboratory", "care")]
    return told(said, notices=True)


def sure(paper: Paper, rule: str) -> str:
    """The detail of the first alert of a rule."""
    _, changes = feed(sorted(paper.stream, key=lambda item: item[0]))
    return next(each.alert.evidence.detail for each in changes if each.alert.rule == rule)


def infusing(until: str, *messages: LabResult | Report, **more: Any) -> Paper:
    """A pump that infuses as ordered once a minute, while these come in at their times."""
    paper = begin(*more.pop("steps", ()), interval_ms=60_000, **more).run(until)
    for message in messages:
        at_ms = message.resulted_ms if isinstance(message, LabResult) else message.time_ms
        paper.stream.append((at_ms, message))
    return paper

"""What is known of a therapy apart from its pump: the order, laboratory results, reports.

One record for each therapy, keyed `site/therapy`; the pump that its order names is judged by it.
Everything is bounded: of each test and of each kind of report the newest are kept, so that levels
drawn every six hours do not push out the platelets of last week.
"""

from msgspec import Struct, field

from infusion.clinical import LabResult, Report
from infusion.prescription import Prescription, Timeline
from infusion.report_words import Said, read_words

# How many results of each test are kept.
KEPT = {"anti-xa": 8, "aptt": 8, "platelets": 8, "haemoglobin": 6, "inr": 4, "pt": 2}
RESULTS_MAX = sum(KEPT.values())
REPORTS_MAX = 16


class Order(Struct, frozen=True, gc=False):
    """A prescription and its compiled timeline."""

    prescription: Prescription
    timeline: Timeline


class Refusal(Struct, frozen=True, gc=False):
    """An order that was refused: why, its version (0 where that could not be read), its pump."""

    text: str
    version: int = 0
    pump: str | None = None


class Record(Struct, gc=False):
    """One therapy. Results and reports are in order of `drawn_ms` and `time_ms`, oldest first;
    both are other lists after each change, so that who has looked at one knows it again.

    `peaks` are the highest values of results that are no longer kept, by test; `first_drawn_ms` is
    of the first specimen ever heard of. `refusal` stands until a newer order is taken.
    """

    therapy: str
    order: Order | None = None
    results: list[LabResult] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    first_drawn_ms: int | None = None
    refusal: Refusal | None = None


def add_result(record: Record, result: LabResult) -> bool:
    """Keep a result; False when it was known already, word for word, or is older than what is kept.

    Of two with the same specimen and test the later one (`resulted_ms`) holds.
    """
    results = list(record.results)
    for index, known in enumerate(results):
        if known.specimen == result.specimen and known.test == result.test:
            if result.resulted_ms < known.resulted_ms or result == known:
                return False
            results[index] = result
            break
    else:
        same = [each for each in results if each.test == result.test]
        if len(same) >= KEPT[result.test]:
            oldest = same[0]
            if result.drawn_ms < oldest.drawn_ms:
                return False
            results.remove(oldest)
            if oldest.value is not None:
                record.peaks[oldest.test] = max(record.peaks.get(oldest.test, 0.0), oldest.value)
        results.append(result)
    results.sort(key=lambda each: (each.drawn_ms, each.resulted_ms))
    record.results = results
    first_ms = record.first_drawn_ms
    if first_ms is None or result.drawn_ms < first_ms:
        record.first_drawn_ms = result.drawn_ms
    return True


def add_report(record: Record, report: Report) -> bool:
    """Keep a report; False when one of that name is known, or it is older than what is kept.

    When there are too many, the oldest goes of which a newer one says the same.
    """
    reports = list(record.reports)
    if any(known.report == report.report for known in reports):
        return False
    if len(reports) >= REPORTS_MAX and report.time_ms < reports[0].time_ms:
        return False
    reports.append(report)
    reports.sort(key=lambda each: each.time_ms)
    if len(reports) > REPORTS_MAX:
        words = [read_words(each.what) for each in reports]
        said_again = (index for index, word in enumerate(words) if word in words[index + 1 :])
        del reports[next(said_again, 0)]
    record.reports = reports
    return True


def results_of(record: Record, test: str) -> list[LabResult]:
    """The results of one test that have a value, oldest first."""
    return [each for each in record.results if each.test == test and each.value is not None]


def newest_of(record: Record) -> dict[str, LabResult]:
    """The newest result of each test that has a value."""
    newest: dict[str, LabResult] = {}
    for result in record.results:
        if result.value is not None:
            newest[result.test] = result
    return newest


def peak_of(record: Record, test: str) -> float | None:
    """The highest value of a test ever; None without any. A corrected result counts corrected."""
    values = [each.value for each in record.results if each.test == test]
    known = [value for value in (*values, record.peaks.get(test)) if value is not None]
    return max(known, default=None)


def newest_said(record: Record, kind: str) -> tuple[Report, Said] | None:
    """The newest report of a kind (infusion/report_words.py) and what it says; None without one."""
    for report in reversed(record.reports):
        said = read_words(report.what)
        if said.kind == kind:
            return report, said
    return None

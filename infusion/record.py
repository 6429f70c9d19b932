"""What is known of a therapy apart from its pump: the order, laboratory results, reports.

One record for each therapy, keyed `site/therapy`; the pump that its order names is judged by it.
Everything is bounded: the newest are kept.
"""

from msgspec import Struct, field

from infusion.clinical import LabResult, Report
from infusion.prescription import Prescription, Timeline

RESULTS_MAX = 32
REPORTS_MAX = 16


class Order(Struct, frozen=True):
    """A prescription and its compiled timeline."""

    prescription: Prescription
    timeline: Timeline


class Record(Struct):
    """One therapy. Results and reports are in order of `drawn_ms` and `time_ms`, oldest first."""

    therapy: str
    order: Order | None = None
    results: list[LabResult] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    # The highest count ever seen, because the newest results push the older ones out.
    platelets_peak_g_l: float | None = None
    haemoglobin_peak_g_dl: float | None = None


def add_result(record: Record, result: LabResult) -> bool:
    """Keep a result; False when it was known already, word for word, or is older than what is kept.

    Of two with the same specimen and test the later one (`resulted_ms`) holds.
    """
    results = record.results
    for index, known in enumerate(results):
        if known.specimen == result.specimen and known.test == result.test:
            if result.resulted_ms < known.resulted_ms or result == known:
                return False
            results[index] = result
            break
    else:
        if len(results) >= RESULTS_MAX and result.drawn_ms < results[0].drawn_ms:
            return False
        results.append(result)
    results.sort(key=lambda each: (each.drawn_ms, each.resulted_ms))
    del results[:-RESULTS_MAX]
    _note_peaks(record)
    return True


def add_report(record: Record, report: Report) -> bool:
    """Keep a report; False when one of that name is known, or it is older than what is kept."""
    reports = record.reports
    if any(known.report == report.report for known in reports):
        return False
    if len(reports) >= REPORTS_MAX and report.time_ms < reports[0].time_ms:
        return False
    reports.append(report)
    reports.sort(key=lambda each: each.time_ms)
    del reports[:-REPORTS_MAX]
    return True


def results_of(record: Record, test: str) -> list[LabResult]:
    """The results of one test that have a value, oldest first."""
    return [each for each in record.results if each.test == test and each.value is not None]


def _note_peaks(record: Record) -> None:
    for each in record.results:
        if each.value is None:
            continue
        if each.test == "platelets":
            record.platelets_peak_g_l = max(record.platelets_peak_g_l or 0.0, each.value)
        elif each.test == "haemoglobin":
            record.haemoglobin_peak_g_dl = max(record.haemoglobin_peak_g_dl or 0.0, each.value)

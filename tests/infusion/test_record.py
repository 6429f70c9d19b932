"""The record of a therapy: what is kept, what is known already, what holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.clinical import LabTest
from infusion.record import (
    KEPT,
    REPORTS_MAX,
    RESULTS_MAX,
    Record,
    add_report,
    add_result,
    newest_said,
    peak_of,
    results_of,
)
from tests.infusion.clinic_bench import lab, record, report


def test_results_stand_in_the_order_in_which_they_were_drawn() -> None:
    kept = Record("T-01")
    for drawn in ("12:00", "06:00", "18:00"):
        assert add_result(kept, lab("anti-xa", 0.5, drawn=drawn, resulted="19:00"))
    assert [each.specimen for each in kept.results] == ["S0600", "S1200", "S1800"]
    assert kept.first_drawn_ms == kept.results[0].drawn_ms


def test_of_one_specimen_and_test_the_later_word_holds() -> None:
    first = lab("anti-xa", 0.5, drawn="06:00", resulted="07:00")
    later = replace(first, value=0.6, resulted_ms=first.resulted_ms + 1)
    kept = record(first)
    assert not add_result(kept, first)
    assert add_result(kept, later)
    assert not add_result(kept, first)
    assert results_of(kept, "anti-xa") == [later]
    # Another test of the same specimen is another result.
    assert add_result(kept, lab("aptt", 60.0, drawn="06:00", resulted="07:00"))


def test_a_result_without_a_value_is_kept_and_is_no_value() -> None:
    kept = record(lab("anti-xa", None, drawn="06:00", resulted="07:00", problem="clotted"))
    assert len(kept.results) == 1
    assert results_of(kept, "anti-xa") == []
    assert peak_of(kept, "anti-xa") is None


def test_levels_do_not_push_out_the_platelets_of_last_week() -> None:
    kept = record(lab("platelets", 240.0, drawn="01:00", resulted="02:00"))
    for hour in range(6, 240, 6):
        add_result(kept, lab("anti-xa", 0.5, drawn=f"{hour}:00", resulted=f"{hour + 1}:00"))
        add_result(kept, lab("aptt", 60.0, drawn=f"{hour}:00", resulted=f"{hour + 1}:00"))
    assert [each.value for each in results_of(kept, "platelets")] == [240.0]
    assert len(results_of(kept, "anti-xa")) == KEPT["anti-xa"]
    old = lab("anti-xa", 0.5, drawn="02:00", resulted="03:00")
    assert not add_result(kept, old)


def test_the_highest_count_is_remembered_when_its_result_is_gone() -> None:
    kept = record(lab("platelets", 300.0, drawn="01:00", resulted="02:00"))
    for day in range(1, 12):
        hour = day * 24
        add_result(kept, lab("platelets", 200.0, drawn=f"{hour}:00", resulted=f"{hour + 1}:00"))
    assert 300.0 not in [each.value for each in kept.results]
    assert peak_of(kept, "platelets") == 300.0


def test_a_peak_that_was_a_slip_of_the_laboratory_is_corrected_with_it() -> None:
    slip = lab("platelets", 2400.0, drawn="01:00", resulted="02:00")
    kept = record(slip, lab("platelets", 230.0, drawn="49:00", resulted="50:00"))
    assert peak_of(kept, "platelets") == 2400.0
    add_result(kept, replace(slip, value=240.0, resulted_ms=slip.resulted_ms + 1))
    assert peak_of(kept, "platelets") == 240.0


@given(
    drawn=st.lists(
        st.tuples(st.sampled_from(sorted(KEPT)), st.integers(0, 400)), min_size=1, max_size=120
    )
)
@settings(max_examples=30, deadline=None)
def test_a_record_is_bounded_and_keeps_the_newest(drawn: list[tuple[LabTest, int]]) -> None:
    kept = Record("T-01")
    for test, hour in drawn:
        add_result(kept, lab(test, float(hour), drawn=f"{hour}:00", resulted=f"{hour + 1}:00"))
    assert len(kept.results) <= RESULTS_MAX
    for name, most in KEPT.items():
        hours = sorted({hour for each, hour in drawn if each == name})
        assert [each.value for each in results_of(kept, name)] == hours[-most:]
        assert peak_of(kept, name) == max(hours, default=None)


def test_reports_are_known_by_their_name() -> None:
    first = report("bleeding", "02:00")
    kept = record(first)
    assert not add_report(kept, first)
    assert add_report(kept, report("bleeding", "01:00"))
    assert [each.time_ms for each in kept.reports] == sorted(each.time_ms for each in kept.reports)


def test_of_too_many_reports_the_oldest_that_was_said_again_goes() -> None:
    kept = record(report("visit", "00:10"), report("bleeding", "00:20"))
    for n in range(REPORTS_MAX):
        assert add_report(kept, report("pain", f"{n + 1:02}:00"))
    assert len(kept.reports) == REPORTS_MAX
    assert newest_said(kept, "visit") is not None
    assert newest_said(kept, "bleeding") is not None
    assert not add_report(kept, report("pain", "00:05"))


@pytest.mark.parametrize("kind", ["bleeding", "visit"])
def test_nothing_was_said_where_nothing_was(kind: str) -> None:
    assert newest_said(record(report("fever", "01:00")), kind) is None


def test_reports_of_all_different_words_lose_the_oldest() -> None:
    kept = Record("T-01")
    for n in range(REPORTS_MAX + 2):
        add_report(kept, report("word" + chr(ord("a") + n), f"{n:02}:00"))
    assert kept.reports[0].what == "wordc"

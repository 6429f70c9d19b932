"""The account day by day: the worked example, its laws, and a slow count beside it."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.service.codes import modifier_of
from infusion.service.days import day_begin_ms, days_of, local_text
from infusion.service.evidence import Bag, Evidence, Segment, Visit
from infusion.service.payer import Payer, read_payer
from infusion.service.per_diem import Account, account_of, lines_of, modifiers_of
from infusion.service.spans import Span, Spans, common, length_ms, union, within, without
from infusion.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE
from monitor.zones import offsets

ROOT = Path(__file__).parents[3]
NAMES = ("nhia", "infusion-days", "infusion-blocks")
PAYERS = {
    name: read_payer((ROOT / "config" / "payers" / f"{name}.toml").read_bytes(), name)
    for name in NAMES
}
CHICAGO = "America/Chicago"
# Clocks that change at night, at midnight, by half an hour, and never.
ZONES = (CHICAGO, "Europe/Dublin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
HOUR, DAY = MS_PER_HOUR, MS_PER_DAY
TENTH = 100_000_000  # nL in 100 mL


def at(text: str, zone: str = CHICAGO) -> int:
    """A local time as an instant."""
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp()) * 1_000


def segment(from_ms: int, to_ms: int, rate_ml_h: int = 12, pump: str = "P-01") -> Segment:
    volume_nl = (to_ms - from_ms) * rate_ml_h * 1_000_000 // HOUR
    return Segment(Span(from_ms, to_ms), pump, volume_nl, 100.0, "1-1", "1-9", 9)


def worked(outage: tuple[str, str], zone: str = CHICAGO) -> Evidence:
    """Start Monday 20:00, 26 h outage, stop Saturday 09:00 (heparin.md §4.3)."""
    start, stop = at("2026-06-01 20:00", zone), at("2026-06-06 09:00", zone)
    off, on = at(outage[0], zone), at(outage[1], zone)
    assert on - off == 26 * HOUR
    return Evidence(
        therapy="T-01",
        start_ms=start,
        stop_ms=stop,
        until_ms=stop,
        segments=(segment(start, off), segment(on, stop)),
    )


def count(evidence: Evidence, name: str, zone: str = CHICAGO) -> Account:
    return account_of(evidence, PAYERS[name], offsets(zone))


WED_TO_THU = ("2026-06-03 10:00", "2026-06-04 12:00")
ALL_WEDNESDAY = ("2026-06-02 23:00", "2026-06-04 01:00")


@pytest.mark.parametrize(
    ("outage", "name", "units"),
    [
        (WED_TO_THU, "nhia", 6),
        (WED_TO_THU, "infusion-days", 6),
        (WED_TO_THU, "infusion-blocks", 4),
        (ALL_WEDNESDAY, "nhia", 6),
        (ALL_WEDNESDAY, "infusion-days", 5),
        (ALL_WEDNESDAY, "infusion-blocks", 4),
    ],
)
def test_worked_example(outage: tuple[str, str], name: str, units: int) -> None:
    """The numbers of heparin.md §4.3 [C], under each rule that is shipped."""
    account = count(worked(outage), name)
    assert account.units == units
    assert account.units == sum(line.units for line in lines_of(account))
    for other in NAMES:
        assert account.units_by(PAYERS[other].counts) == count(worked(outage), other).units


def test_each_day_tells_its_hours_and_its_dose() -> None:
    account = count(worked(WED_TO_THU), "nhia")
    hours = [day.infused_ms / HOUR for day in account.days]
    assert [day.day.date for day in account.days] == [f"2026-06-0{n}" for n in range(1, 7)]
    assert hours == [4, 24, 10, 12, 24, 9]
    assert [day.delivered_iu for day in account.days] == [h * 1_200 for h in hours]
    assert account.days[2].parts[0].segment.pump == "P-01"
    assert account.drug.delivered_units == math.ceil(83 * 1.2)


def test_the_night_of_the_clocks_has_an_hour_less_and_is_one_day() -> None:
    start, stop = at("2026-03-07 12:00"), at("2026-03-09 12:00")
    evidence = Evidence(
        therapy="T", start_ms=start, stop_ms=stop, until_ms=stop, segments=(segment(start, stop),)
    )
    account = count(evidence, "infusion-days")
    assert [day.infused_ms / HOUR for day in account.days] == [12, 23, 12]
    assert count(evidence, "infusion-blocks").units == 2


def test_a_stop_at_midnight_belongs_to_the_day_that_begins() -> None:
    start, stop = at("2026-06-01 12:00"), at("2026-06-03 00:00")
    evidence = Evidence(
        therapy="T", start_ms=start, stop_ms=stop, until_ms=stop, segments=(segment(start, stop),)
    )
    assert count(evidence, "nhia").units == 3
    assert count(evidence, "infusion-days").units == 2


def test_days_in_hospital_are_shown_and_left_out_as_ruled() -> None:
    start, stop = at("2026-06-01 12:00"), at("2026-06-06 12:00")
    stay = Span(at("2026-06-02 15:00"), at("2026-06-04 10:00"))
    evidence = Evidence(
        therapy="T",
        start_ms=start,
        stop_ms=stop,
        until_ms=stop,
        segments=(segment(start, stop),),
        hospital=(stay,),
    )
    payer = PAYERS["nhia"]
    account = account_of(evidence, payer, offsets(CHICAGO))
    assert [day.units for day in account.days] == [1, 1, 0, 1, 1, 1]
    assert account.days[2].why == "not counted: in hospital all day"
    assert [length_ms(day.hospital) / HOUR for day in account.days] == [0, 9, 24, 10, 0, 0]
    counted = account_of(evidence, replace(payer, hospital="counted"), offsets(CHICAGO))
    assert counted.units == 6
    touched = account_of(evidence, replace(payer, hospital="touched-days-out"), offsets(CHICAGO))
    assert [day.units for day in touched.days] == [1, 0, 0, 0, 1, 1]
    # 120 h less 43 h in hospital are 77 h: four blocks of 24 h are begun.
    assert count(evidence, "infusion-blocks").units == 4


def test_a_hold_counts_as_access_unless_the_payer_says_no() -> None:
    start, stop = at("2026-06-01 12:00"), at("2026-06-04 12:00")
    hold = Span(at("2026-06-01 22:00"), at("2026-06-03 06:00"))
    evidence = Evidence(
        therapy="T",
        start_ms=start,
        stop_ms=stop,
        until_ms=stop,
        segments=(segment(start, hold.from_ms), segment(hold.to_ms, stop)),
        holds=(hold,),
    )
    assert count(evidence, "nhia").units == 4
    strict = replace(PAYERS["nhia"], holds="whole-days-out")
    assert account_of(evidence, strict, offsets(CHICAGO)).units == 3
    assert count(evidence, "infusion-days").units == 3


def test_drug_units_from_delivered_and_dispensed_and_waste_apart() -> None:
    start = at("2026-06-01 08:00")
    segments = (segment(start, start + 30 * HOUR),)  # 360 mL, 36 000 IU
    bags = tuple(
        Bag(start + n * 20 * HOUR, 2 * TENTH + TENTH // 2, 100.0, f"1-{n}") for n in range(2)
    )
    going = Evidence(
        therapy="T",
        start_ms=start,
        stop_ms=None,
        until_ms=start + 30 * HOUR,
        segments=segments,
        bags=bags,
    )
    drug = count(going, "nhia").drug
    # The first bag came down with 10 mL in it, the second still holds 130 mL.
    assert (drug.delivered_units, drug.dispensed_units) == (36, 50)
    assert (drug.in_use_iu, drug.waste_iu, drug.waste_units) == (13_000, 1_000, 1)
    stopped = replace(going, stop_ms=start + 30 * HOUR)
    assert count(stopped, "nhia").drug.waste_iu == 14_000
    assert count(going, "nhia").drug_units == 50
    assert count(going, "infusion-days").drug_units == 36


@pytest.mark.parametrize(
    ("lasted_min", "hours"), [(None, 0), (45.0, 0), (120.0, 0), (121.0, 1), (180.0, 1), (181.0, 2)]
)
def test_visits_are_listed_apart(lasted_min: float | None, hours: int) -> None:
    """99601 for up to 2 h and 99602 for each hour more [M]."""
    evidence = worked(WED_TO_THU)
    visit = Visit(at("2026-06-02 10:00"), "R1", "nurse", lasted_min)
    account = count(replace(evidence, visits=(visit,)), "nhia")
    assert (account.visits, account.visit_hours) == (1, hours)
    assert account.days[1].visits == (visit,)


def test_further_therapies_have_modifiers_day_by_day() -> None:
    """The second has SH only while the first counts too; the third SJ [M]."""
    one = count(worked(WED_TO_THU), "nhia")
    start = at("2026-06-05 08:00")
    other = Evidence(
        therapy="T-02",
        start_ms=start,
        stop_ms=start + 3 * DAY,
        until_ms=start + 3 * DAY,
        segments=(segment(start, start + 3 * DAY),),
    )
    two = count(other, "nhia")
    first, second, third = modifiers_of([one, two, two])
    assert set(first.values()) == {""}
    assert second == {"2026-06-05": "SH", "2026-06-06": "SH", "2026-06-07": "", "2026-06-08": ""}
    assert third["2026-06-05"] == "SJ"
    assert [(line.modifier, line.units) for line in lines_of(two, second)] == [("", 2), ("SH", 2)]
    assert [modifier_of(n) for n in range(1, 5)] == ["", "SH", "SJ", "SJ"]
    with pytest.raises(ValueError, match="place 0"):
        modifier_of(0)


def test_lines_end_with_the_month() -> None:
    start = at("2026-06-29 08:00")
    evidence = Evidence(
        therapy="T",
        start_ms=start,
        stop_ms=start + 3 * DAY,
        until_ms=start + 3 * DAY,
        segments=(segment(start, start + 3 * DAY),),
    )
    lines = lines_of(count(evidence, "nhia"))
    assert [(line.first_date, line.last_date, line.units) for line in lines] == [
        ("2026-06-29", "2026-06-30", 2),
        ("2026-07-01", "2026-07-02", 2),
    ]
    single = replace(PAYERS["nhia"], line="day")
    assert len(lines_of(account_of(evidence, single, offsets(CHICAGO)))) == 4


def test_more_than_ten_years_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="more than 3660 days"):
        days_of(0, 4_000 * DAY)


# --- laws -----------------------------------------------------------------------------------------

# A year with both changes of every clock, in minutes from its beginning.
YEAR_MS = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000
minutes = st.integers(0, 365 * 24 * 60)


@st.composite
def pieces(draw: st.DrawFn, most: int = 8) -> list[Span]:
    """Spans that may overlap, touch, or lie in one another, within ten days."""
    begin = draw(minutes)
    ends = draw(
        st.lists(
            st.tuples(st.integers(0, 14_000), st.integers(1, 4_000)), min_size=1, max_size=most
        )
    )
    base = YEAR_MS + begin * MS_PER_MINUTE
    return [
        Span(base + a * MS_PER_MINUTE, base + (a + length) * MS_PER_MINUTE) for a, length in ends
    ]


@st.composite
def therapies(draw: st.DrawFn) -> Evidence:
    segments = sorted(draw(pieces()))
    from_ms = segments[0].from_ms
    to_ms = max(each.to_ms for each in segments)
    holds, hospital = draw(pieces(3)), draw(pieces(3))
    shift = from_ms - holds[0].from_ms
    shift_hospital = from_ms - hospital[0].from_ms + draw(st.integers(-3_000, 9_000)) * 60_000
    return Evidence(
        therapy="T",
        start_ms=from_ms,
        stop_ms=to_ms if draw(st.booleans()) else None,
        until_ms=to_ms,
        segments=tuple(segment(each.from_ms, each.to_ms) for each in segments),
        holds=tuple(Span(s.from_ms + shift, s.to_ms + shift) for s in holds),
        hospital=tuple(
            Span(s.from_ms + shift_hospital, s.to_ms + shift_hospital) for s in hospital
        ),
    )


payers = st.builds(
    Payer,
    name=st.just("any"),
    source=st.just("any"),
    mark=st.just("A"),
    counts=st.sampled_from(["access", "infusion", "blocks"]),
    infused_min=st.sampled_from([0.0, 30.0, 600.0]),
    block_h=st.sampled_from([24.0, 7.0]),
    holds=st.sampled_from(["counted", "whole-days-out", "touched-days-out"]),
    hospital=st.sampled_from(["counted", "whole-days-out", "touched-days-out"]),
)


def slow_count(evidence: Evidence, payer: Payer, zone: ZoneInfo) -> dict[str, int]:
    """Minute by minute, with the standard library's own time zones, and nothing of ours."""

    def is_in(spans: Sequence[Span], at_ms: int) -> bool:
        return any(span.from_ms <= at_ms < span.to_ms for span in spans)

    infused: dict[str, int] = {}
    states: dict[str, list[tuple[bool, bool]]] = {}
    units: dict[str, int] = {}
    paid = 0
    block_min = round(payer.block_h * 60)
    spans = [each.span for each in evidence.segments]
    at_ms = evidence.start_ms
    while at_ms < evidence.end_ms:
        moment = datetime.fromtimestamp(at_ms / 1_000, tz=UTC).astimezone(zone)
        date = moment.date().isoformat()
        held, away = is_in(evidence.holds, at_ms), is_in(evidence.hospital, at_ms)
        states.setdefault(date, []).append((held, away))
        units.setdefault(date, 0)
        if is_in(spans, at_ms) and not (away and payer.hospital != "counted"):
            if paid % block_min == 0 and payer.counts == "blocks":
                units[date] += 1
            paid += 1
            infused[date] = infused.get(date, 0) + 1
        at_ms += MS_PER_MINUTE
    if payer.counts == "blocks":
        return units
    for date, minutes_of in states.items():
        out = False
        for rule, flags in (
            (payer.holds, [h for h, _ in minutes_of]),
            (payer.hospital, [a for _, a in minutes_of]),
        ):
            out |= rule == "touched-days-out" and any(flags)
            out |= rule == "whole-days-out" and all(flags)
        counts = payer.counts == "access" or infused.get(date, 0) > payer.infused_min
        units[date] = int(counts and not out)
    return units


@settings(max_examples=60, deadline=None)
@given(therapies(), payers, st.sampled_from(ZONES))
def test_agrees_with_a_slow_count(evidence: Evidence, payer: Payer, zone: str) -> None:
    account = account_of(evidence, payer, offsets(zone))
    found = {day.day.date: day.units for day in account.days}
    assert found == slow_count(evidence, payer, ZoneInfo(zone))


@settings(max_examples=60, deadline=None)
@given(therapies(), payers, st.sampled_from(ZONES), st.lists(st.integers(0, 18_000), max_size=8))
def test_cutting_segments_changes_nothing(
    evidence: Evidence, payer: Payer, zone: str, cuts: list[int]
) -> None:
    """Days, time and dose are the same however the infusion is cut, and in any order."""
    segments = list(evidence.segments)
    for cut in cuts:
        at_ms = evidence.start_ms + cut * MS_PER_MINUTE
        segments = [part for each in segments for part in cut_at(each, at_ms)]
    one = account_of(evidence, payer, offsets(zone))
    other = account_of(replace(evidence, segments=tuple(reversed(segments))), payer, offsets(zone))
    assert [d.units for d in one.days] == [d.units for d in other.days]
    assert [d.infused for d in one.days] == [d.infused for d in other.days]
    # Each cut may put one nanolitre on its other side: 0.0001 IU.
    assert [d.delivered_iu for d in other.days] == pytest.approx(
        [d.delivered_iu for d in one.days], abs=1e-2
    )


def cut_at(segment: Segment, at_ms: int) -> list[Segment]:
    span = segment.span
    if not span.from_ms < at_ms < span.to_ms:
        return [segment]
    halves = (Span(span.from_ms, at_ms), Span(at_ms, span.to_ms))
    return [replace(segment, span=half, volume_nl=segment.volume_in_nl(half)) for half in halves]


@settings(max_examples=100, deadline=None)
@given(therapies(), payers, st.sampled_from(ZONES))
def test_nothing_is_lost_between_the_days(evidence: Evidence, payer: Payer, zone: str) -> None:
    account = account_of(evidence, payer, offsets(zone))
    whole_nl = sum(each.volume_nl for each in evidence.segments)
    assert sum(part.volume_nl for day in account.days for part in day.parts) == whole_nl
    infused = union(each.span for each in evidence.segments)
    assert sum(day.infused_ms for day in account.days) == length_ms(infused)
    assert all(a.day.span.to_ms == b.day.span.from_ms for a, b in pairwise(account.days))
    assert account.units_by("infusion") <= len(account.days)
    paid = infused if payer.hospital == "counted" else without(infused, union(evidence.hospital))
    block_ms = round(payer.block_h * HOUR)
    assert account.units_by("blocks") == -(-length_ms(paid) // block_ms)


@settings(max_examples=50, deadline=None)
@given(minutes, st.sampled_from(ZONES))
def test_a_day_is_that_of_the_standard_library(minute: int, zone: str) -> None:
    at_ms = YEAR_MS + minute * MS_PER_MINUTE
    (day,) = days_of(at_ms, at_ms + 1, offsets(zone))
    moment = datetime.fromtimestamp(at_ms / 1_000, tz=UTC).astimezone(ZoneInfo(zone))
    assert day.date == moment.date().isoformat()
    assert local_text(at_ms, offsets(zone)) == moment.strftime("%Y-%m-%d %H:%M")
    before = datetime.fromtimestamp((day.span.from_ms - 1) / 1_000, tz=UTC)
    assert before.astimezone(ZoneInfo(zone)).date() < moment.date()


def test_a_midnight_that_does_not_exist_is_where_the_clock_goes_on() -> None:
    """In Havana clocks go from 00:00 to 01:00 in March; the day has 23 h and begins there."""
    (day,) = days_of(
        at("2026-03-08 12:00", "America/Havana"),
        at("2026-03-08 12:01", "America/Havana"),
        offsets("America/Havana"),
    )
    assert day.span.to_ms - day.span.from_ms == 23 * HOUR
    assert local_text(day.span.from_ms, offsets("America/Havana")) == "2026-03-08 01:00"


def test_a_date_that_was_left_out_holds_no_time() -> None:
    """As Samoa did in 2011, here by hand: from 11 h behind UTC to 13 h ahead at midnight."""
    change = day_begin_ms(20_000, ((0, -660),))
    days = days_of(change - DAY, change + DAY, ((0, -660), (change, 780)))
    begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=19_999)
    assert [day.date for day in days] == [
        begin.date().isoformat(),
        (begin + timedelta(days=2)).date().isoformat(),
    ]


spans = st.builds(lambda a, n: Span(a, a + n), st.integers(0, 60), st.integers(0, 20))


@given(st.lists(spans, max_size=8), st.lists(spans, max_size=8))
def test_sets_of_spans_are_sets_of_instants(one: list[Span], other: list[Span]) -> None:
    def instants(found: Sequence[Span]) -> set[int]:
        return {at for span in found for at in range(span.from_ms, span.to_ms)}

    a, b = union(one), union(other)
    assert instants(a) == instants(one)
    assert length_ms(a) == len(instants(one))
    assert instants(common(a, b)) == instants(a) & instants(b)
    assert instants(without(a, b)) == instants(a) - instants(b)
    assert is_a_set(common(a, b))
    assert is_a_set(without(a, b))
    assert instants(within(a, Span(10, 30))) == instants(a) & set(range(10, 30))


def is_a_set(spans: Spans) -> bool:
    return union(spans) == spans

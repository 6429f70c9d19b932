"""Review, compounding, double check, adjustment by nomogram, and the way to tablets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.errors import ConfigError, MessageError
from infusion.library import DrugLibrary
from infusion.nomogram import advise
from infusion.nomogram_file import read_nomogram
from infusion.prescription import Bolus, Hold, RateChange, Start, Stop, compile_timeline
from infusion.service.pharmacy import (
    Check,
    Compounded,
    Finding,
    adjusted,
    bag_findings,
    double_check,
    review,
)
from infusion.service.transition import (
    Direct,
    Warfarin,
    first_tablet,
    overlap,
    read_transition,
)
from infusion.settings import load_toml
from infusion.tables import read_table
from infusion.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE
from monitor.zones import offsets
from tests.infusion.bench import T0, clock, order
from tests.infusion.clinic_bench import hours, lab

CONFIG = Path(__file__).parents[3] / "config"
ENTRY = read_table(
    DrugLibrary,
    load_toml((CONFIG / "libraries" / "home-heparin.toml").read_bytes(), "home-heparin"),
    "home-heparin",
).chosen()
RASCHKE = read_nomogram((CONFIG / "nomograms" / "raschke.toml").read_bytes(), "raschke")
DAY, HOUR = MS_PER_DAY, MS_PER_HOUR


def texts(findings: list[Finding]) -> list[str]:
    return [("! " if finding.must_stop else "") + finding.text for finding in findings]


# --- review ---------------------------------------------------------------------------------------


def test_a_sound_order_has_no_findings() -> None:
    assert review(order(), ENTRY, 80.0, [100.0]) == []


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (25.0, None),
        (25.1, "step 1: dose rate 25.1 IU/kg/h is above the soft limit 25"),
        (180.0, "! step 1: dose rate 180 IU/kg/h is above the hard limit 35"),
    ],
)
def test_rates_are_held_against_the_library(rate: float, words: str | None) -> None:
    found = texts(review(order(Start(at_ms=T0, rate_iu_kg_h=rate)), ENTRY, 80.0))
    assert found[:1] == ([words] if words else [])


@pytest.mark.parametrize(
    ("measured", "stops"), [(80.0, False), (88.0, False), (72.0, False), (88.1, True), (36.3, True)]
)
def test_weight_to_a_tenth(measured: float, stops: bool) -> None:
    """Pounds for kilograms among them."""
    assert any(finding.must_stop for finding in review(order(), ENTRY, measured)) == stops


def test_who_was_not_weighed_is_named() -> None:
    (finding,) = review(order(), ENTRY, None)
    assert not finding.must_stop
    assert "nobody has weighed" in finding.text


def test_a_bag_of_another_strength_at_home_is_fetched_back() -> None:
    """100 against 50 IU/mL: the canonical mix-up (heparin.md §1.5)."""
    found = texts(review(order(), ENTRY, 80.0, [100.0, 50.0]))
    assert found == [
        "! the order is for 100 IU/mL, a bag at home has 50 IU/mL; fetch that bag back"
    ]


def test_boluses_too_near_one_another() -> None:
    start = Start(at_ms=T0, rate_iu_kg_h=18.0)
    boluses = [
        Bolus(at_ms=T0 + minute * MS_PER_MINUTE, dose_iu=4_000, duration_s=600)
        for minute in (0, 59, 119)
    ]
    found = texts(review(order(start, *boluses), ENTRY, 80.0))
    assert found == ["! step 3: bolus 59 min after the last, at least 60"]


def test_an_order_that_makes_no_sense_is_refused_as_everywhere() -> None:
    with pytest.raises(MessageError, match="comes before any start"):
        review(order(Stop(at_ms=T0)), ENTRY, 80.0)


# --- compounding and checks -----------------------------------------------------------------------

BATCH = Compounded(
    therapy="T-01",
    lot="C-7",
    bags=7,
    label_iu_ml=100.0,
    heparin_iu=25_000,
    volume_ml=250.0,
    heparin_lot="H-1",
    made_ms=T0,
    beyond_use_ms=T0 + 9 * DAY,
    made_by="ada",
    checked_by="ben",
)


def test_a_sound_batch_has_no_findings() -> None:
    assert bag_findings(BATCH, order(), T0 + DAY) == []


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (replace(BATCH, therapy="T-02"), "made for T-02"),
        (replace(BATCH, heparin_iu=50_000), "are 200 IU/mL"),
        (replace(BATCH, label_iu_ml=50.0, heparin_iu=12_500), "not 50"),
        (replace(BATCH, beyond_use_ms=T0), "before it was made"),
        (replace(BATCH, beyond_use_ms=T0 + 31 * DAY), "dated 31 days ahead, at most 30"),
        (replace(BATCH, beyond_use_ms=T0 + DAY), "its date has passed"),
        (replace(BATCH, checked_by=" Ada"), "another must check"),
    ],
)
def test_what_is_wrong_with_a_batch(batch: Compounded, words: str) -> None:
    (finding,) = bag_findings(batch, order(), T0 + DAY)
    assert finding.must_stop
    assert words in finding.text


def check(by: str, rate_ml_h: float = 14.4, **more: float) -> Check:
    known = Check(
        by=by, at_ms=T0 + HOUR, rate_ml_h=rate_ml_h, concentration_iu_ml=100.0, weight_kg=80.0
    )
    return replace(known, **more)


def test_two_people_who_agree_with_one_another_and_the_order() -> None:
    assert double_check(order(), check("ada"), check("ben", 14.5)) == []


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (check("ADA"), ["checked twice"]),
        (check("ben", 28.8), ["both work it out again", "ben: mL/h 28.8, the order says 14.4"]),
        (check("ben", concentration_iu_ml=50.0), ["ben: IU/mL 50, the order says 100"]),
        (check("ben", weight_kg=176.0), ["ben: kg 176, the order says 80"]),
    ],
)
def test_what_a_double_check_finds(second: Check, words: list[str]) -> None:
    found = double_check(order(), check("ada"), second)
    assert len(found) == len(words)
    assert all(word in finding.text for word, finding in zip(words, found, strict=True))


def test_agreeing_on_what_is_not_ordered_is_no_check() -> None:
    """Both ten times too much."""
    assert len(double_check(order(), check("ada", 144.0), check("ben", 144.0))) == 2


# --- adjustment -----------------------------------------------------------------------------------


def test_a_low_level_raises_the_rate_and_gives_a_bolus() -> None:
    """aPTT 40 s: 40 IU/kg and +2 IU/kg/h (Raschke [V])."""
    before = order()
    advice = advise(RASCHKE, 40.0, rate_iu_h=1_440, weight_kg=80)
    found = adjusted(before, advice, T0 + clock("06:00"))
    assert found.order is not None
    assert found.order.version == before.version + 1
    assert found.order.steps[: len(before.steps)] == before.steps
    bolus, change = found.order.steps[len(before.steps) :]
    assert isinstance(bolus, Bolus)
    assert bolus.dose_iu == 3_200
    assert isinstance(change, RateChange)
    assert change.rate_iu_h == 1_600
    assert found.next_level_ms == T0 + clock("12:00")


def test_a_high_level_holds_and_lowers() -> None:
    """aPTT 95 s: an hour's hold, then −3 IU/kg/h; nothing runs in the hold."""
    at_ms = T0 + clock("06:00")
    found = adjusted(order(), advise(RASCHKE, 95.0, rate_iu_h=1_440, weight_kg=80), at_ms)
    assert found.order is not None
    hold = next(step for step in found.order.steps if isinstance(step, Hold))
    timeline = compile_timeline(found.order)
    assert timeline.rate_iu_h(at_ms) == 0
    assert timeline.rate_iu_h(hold.until_ms) == 1_440 - 3 * 80


def test_in_range_and_unknown_change_nothing() -> None:
    in_range = advise(RASCHKE, 60.0, rate_iu_h=1_440, weight_kg=80)
    found = adjusted(order(), in_range, T0 + clock("06:00"))
    assert (found.order, found.ask_prescriber) == (None, False)
    for advice in (replace(in_range, is_known=False), replace(in_range, waits=True)):
        lower = replace(advice, rate_iu_h=100.0)
        found = adjusted(order(), lower, T0 + clock("06:00"))
        assert (found.order, found.ask_prescriber) == (None, True)


# --- to tablets -----------------------------------------------------------------------------------


def rule(name: str) -> Warfarin | Direct:
    path = CONFIG / "transitions" / f"{name}.toml"
    return read_transition(path.read_bytes(), path.name)


def warfarin() -> Warfarin:
    found = rule("warfarin")
    assert isinstance(found, Warfarin)
    return found


def direct(name: str) -> Direct:
    found = rule(name)
    assert isinstance(found, Direct)
    return found


@pytest.mark.parametrize(
    ("days", "inrs", "open_"),
    [
        (5.0, {"3d 09:00": 2.1, "4d 09:00": 2.4}, []),
        (4.9, {"3d 09:00": 2.1, "4d 09:00": 2.4}, ["4.9 days of overlap"]),
        (6.0, {"5d 09:00": 2.4}, ["on 1 days in a row"]),
        (6.0, {"5d 06:00": 2.2, "5d 09:00": 2.4}, ["on 1 days in a row"]),
        (6.0, {"3d 09:00": 2.1, "4d 09:00": 1.9, "5d 09:00": 2.4}, ["on 1 days in a row"]),
        (6.0, {"4d 09:00": 2.5, "5d 09:00": 3.4}, ["on 0 days in a row", "above 3"]),
        (6.0, {"4d 09:00": 2.0, "5d 09:00": 3.0}, []),
        (1.0, {}, ["1.0 days of overlap", "on 0 days in a row"]),
    ],
)
def test_overlap_with_warfarin(days: float, inrs: dict[str, float], open_: list[str]) -> None:
    """Five days and two days in range [M: ACCP 2012], as config/transitions/warfarin.toml has it."""
    results = [lab("inr", value, drawn=hours(at), resulted=hours(at)) for at, value in inrs.items()]
    found = overlap(warfarin(), T0, results, T0 + round(days * DAY))
    assert found.may_stop == (not open_)
    assert all(word in reason for word, reason in zip(open_, found.reasons, strict=True))
    assert found.ask_prescriber == any("above" in word for word in open_)


def test_what_is_not_known_yet_does_not_count() -> None:
    """A result that comes later, one before the overlap, and one without a value."""
    results = [
        lab("inr", 2.4, drawn=hours("4d 09:00"), resulted=hours("6d 09:00")),
        replace(lab("inr", 2.4, drawn="00:00", resulted="00:30"), drawn_ms=T0 - DAY),
        lab("inr", None, drawn=hours("4d 10:00"), resulted=hours("4d 11:00"), problem="clotted"),
    ]
    found = overlap(warfarin(), T0, results, T0 + 6 * DAY)
    assert not found.may_stop
    assert found.next_ms == T0 + DAY


def test_two_days_are_local_days() -> None:
    """01:03 and 10:03 UTC are one date there, and two in Chicago, where it is 20:03 and 05:03."""
    results = [
        lab("inr", 2.4, drawn=hours(at), resulted=hours(at)) for at in ("5d 10:50", "5d 19:50")
    ]
    now_ms = T0 + 7 * DAY
    assert overlap(warfarin(), T0, results, now_ms, offsets("America/Chicago")).may_stop
    assert not overlap(warfarin(), T0, results, now_ms, offsets("UTC")).may_stop


@given(st.lists(st.tuples(st.integers(0, 240), st.floats(1, 5)), max_size=12))
def test_heparin_never_may_stop_without_both(inrs: list[tuple[int, float]]) -> None:
    results = [
        replace(
            lab("inr", value, drawn="00:00", resulted="00:30", specimen=f"S{n}"),
            drawn_ms=T0 + hour * HOUR,
            resulted_ms=T0 + hour * HOUR,
        )
        for n, (hour, value) in enumerate(inrs)
    ]
    for day in range(11):
        if overlap(warfarin(), T0, results, T0 + day * DAY).may_stop:
            assert day >= 5
            known = [r for r in results if r.resulted_ms <= T0 + day * DAY]
            good = [r for r in known if r.value is not None and 2 <= r.value <= 3]
            assert len(good) >= 2


@pytest.mark.parametrize(
    ("drug", "taken_h", "now_h", "words"),
    [
        ("rivaroxaban", None, 1.9, None),
        ("rivaroxaban", None, 2.0, "no rivaroxaban 2.0 h after it was due"),
        ("rivaroxaban", 1.0, 9.0, None),
        ("apixaban", 3.0, 9.0, "the first tablet came 3.0 h late"),
        ("edoxaban", None, 5.9, None),
        ("edoxaban", None, 6.0, "no edoxaban 2.0 h after it was due"),
        ("edoxaban", 3.0, 9.0, "1.0 h too early"),
        ("edoxaban", 4.0, 9.0, None),
    ],
)
def test_the_first_tablet(
    drug: str, taken_h: float | None, now_h: float, words: str | None
) -> None:
    """Hours after the stop; the rules are from memory, as their files say [M]."""
    taken_ms = None if taken_h is None else T0 + round(taken_h * HOUR)
    found = first_tablet(direct(drug), T0, taken_ms, T0 + round(now_h * HOUR))
    assert (found.reasons == ()) == (words is None)
    assert words is None or words in found.reasons[0]


def test_a_tablet_while_heparin_runs_is_a_question() -> None:
    assert first_tablet(direct("apixaban"), None, None, T0).reasons == ()
    found = first_tablet(direct("apixaban"), None, T0, T0)
    assert found.ask_prescriber
    assert "while heparin runs" in found.reasons[0]


def test_every_shipped_rule_can_be_read_and_says_that_it_is_from_memory() -> None:
    names = sorted(path.stem for path in (CONFIG / "transitions").glob("*.toml"))
    assert names == ["apixaban", "edoxaban", "rivaroxaban", "warfarin"]
    assert all(rule(name).mark == "M" and "from memory" in rule(name).source for name in names)


def test_a_rule_that_contradicts_itself_is_refused() -> None:
    text = (CONFIG / "transitions" / "warfarin.toml").read_text()
    with pytest.raises(ConfigError, match="inr_low must be below inr_high"):
        read_transition(text.replace("inr_low = 2.0", "inr_low = 3.0").encode(), "w.toml")

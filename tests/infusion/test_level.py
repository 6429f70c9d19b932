"""The level in the blood: oracles of the patient model, and what must hold whatever comes."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion import elimination_grid as grid
from infusion import level
from infusion.clinical import LabResult
from infusion.level import LevelWatch
from infusion.prescription import Bolus, Hold, RateChange, Start, Step
from infusion.record import Order
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from tests.infusion.bench import T0
from tests.infusion.clinic_bench import compiled, lab
from tests.infusion.courses import level as course
from tests.infusion.courses import steady

KG = 70.0
START = Start(at_ms=T0, rate_iu_kg_h=18.0)


def order(*steps: Step, weight_kg: float = KG) -> Order:
    return compiled(*(steps or (START,)), weight_kg=weight_kg)


def begun(*steps: Step, at_h: float = 0.0, weight_kg: float = KG) -> LevelWatch:
    """A level that begins some hours after the start, everything by the order so far."""
    watch = LevelWatch()
    at_ms = T0 + round(at_h * MS_PER_HOUR)
    level.begin(watch, order(*steps, weight_kg=weight_kg).timeline, at_ms, weight_kg)
    return watch


def run(
    watch: LevelWatch,
    hours: float,
    rate_iu_kg_h: float = 18.0,
    *,
    step_min: float = 1.0,
    weight_kg: float = KG,
    ordered_iu_kg_h: float | None = None,
) -> LevelWatch:
    """Go on for some hours at a rate, minute by minute."""
    ordered = rate_iu_kg_h if ordered_iu_kg_h is None else ordered_iu_kg_h
    for _ in range(round(hours * 60 / step_min)):
        dose_iu = rate_iu_kg_h * weight_kg * step_min / 60
        ordered_iu = ordered * weight_kg * step_min / 60
        to_ms = watch.at_ms + round(step_min * MS_PER_MINUTE)
        level.advance(watch, dose_iu, ordered_iu, to_ms, weight_kg)
    return watch


def estimated(watch: LevelWatch) -> level.Estimate:
    found = level.estimate(watch)
    assert found is not None
    return found


# --- the plain levels: heparin.md §5.5, tolerance 1 % --------------------------------------------


@pytest.mark.parametrize(
    ("hours", "expected"), [(1, 0.279), (2, 0.418), (4, 0.533), (6, 0.568), (24, 0.584)]
)
def test_a_start_without_bolus(hours: int, expected: float) -> None:
    watch = run(begun(), hours)
    assert watch.delivered_iu_ml == pytest.approx(expected, rel=0.01)
    assert watch.ordered_iu_ml == watch.delivered_iu_ml
    assert level.ratio(watch) == 1.0


def test_a_bolus_before_the_rate() -> None:
    """80 IU/kg and 18 IU/kg/h: 1.051 after 2 h, 0.747 after 4 h."""
    watch = begun()
    level.advance(watch, 80 * KG, 80 * KG, T0 + 1, KG)
    run(watch, 2)
    assert watch.delivered_iu_ml == pytest.approx(1.051, rel=0.01)
    assert run(watch, 2).delivered_iu_ml == pytest.approx(0.747, rel=0.01)


@pytest.mark.parametrize(
    ("hours", "expected"), [(0.25, 0.491), (0.5, 0.411), (1, 0.284), (2, 0.131), (4, 0.026)]
)
def test_a_stop_from_the_steady_state(hours: float, expected: float) -> None:
    watch = run(begun(at_h=48), hours, 0.0, ordered_iu_kg_h=18.0)
    assert watch.delivered_iu_ml == pytest.approx(expected, rel=0.02)
    assert watch.ordered_iu_ml == pytest.approx(0.5843, rel=0.001)


@pytest.mark.parametrize(("rate", "expected"), [(-0.20, -0.232), (0.20, 0.251), (0.50, 0.668)])
def test_the_ratio_weighs_a_wrong_rate(rate: float, expected: float) -> None:
    """§4.1: the level moves more than the rate does."""
    watch = run(begun(at_h=48), 48, 18.0 * (1 + rate), step_min=15, ordered_iu_kg_h=18.0)
    found = level.ratio(watch)
    assert found is not None
    assert found - 1 == pytest.approx(expected, abs=0.004)


def test_a_full_stop_reaches_half_in_about_57_minutes() -> None:
    """H04."""
    watch = begun(at_h=48)
    minutes = 0
    while (level.ratio(watch) or 0.0) > 0.5:
        run(watch, 1 / 60, 0.0, ordered_iu_kg_h=18.0)
        minutes += 1
    assert minutes == pytest.approx(57, abs=2)


def test_the_ratio_says_nothing_where_there_is_no_heparin() -> None:
    watch = begun(Start(at_ms=T0 + 48 * MS_PER_HOUR, rate_iu_kg_h=18.0))
    assert level.ratio(watch) is None
    assert level.ratio(LevelWatch()) is None
    # A little heparin during a long hold is no manifold of nothing.
    run(watch, 1, 4.0, ordered_iu_kg_h=0.0)
    assert level.ratio(watch) == pytest.approx(watch.delivered_iu_ml / 0.05)


def test_weight_enters_as_three_quarters_power() -> None:
    """heparin.md §5.1: V, CL and Vm for each kg scale with (W/70)^-0.25."""
    watch = begun(at_h=48, weight_kg=140.0)
    assert watch.delivered_iu_ml == pytest.approx(steady(18.0 * 2**0.25), rel=1e-6)


# --- the beginning --------------------------------------------------------------------------------


def test_a_therapy_that_is_older_than_the_monitor_is_steady() -> None:
    assert begun(at_h=100).delivered_iu_ml == pytest.approx(steady(18.0), rel=1e-6)


def test_the_order_of_the_last_hours_is_followed() -> None:
    """Bolus, hold and change before the monitor came: as if it had been there all along."""
    steps = (
        START,
        Bolus(at_ms=T0 + MS_PER_HOUR, dose_iu=2000.0, duration_s=600.0),
        Hold(at_ms=T0 + 3 * MS_PER_HOUR, until_ms=T0 + 4 * MS_PER_HOUR),
        RateChange(at_ms=T0 + 4 * MS_PER_HOUR, rate_iu_kg_h=12.0),
    )
    timeline = order(*steps).timeline
    watched = begun(*steps)
    for minute in range(6 * 60):
        from_ms, to_ms = (T0 + each * MS_PER_MINUTE for each in (minute, minute + 1))
        dose_iu = timeline.dose_iu(from_ms, to_ms)
        level.advance(watched, dose_iu, dose_iu, to_ms, KG)
    joined = begun(*steps, at_h=6)
    assert joined.delivered_iu_ml == pytest.approx(watched.delivered_iu_ml, abs=2e-3)
    assert estimated(joined).median == pytest.approx(estimated(watched).median, abs=2e-3)


def test_without_an_order_the_blood_is_free_of_heparin() -> None:
    watch = LevelWatch()
    assert level.estimate(watch) is None
    level.begin(watch, None, T0, KG)
    assert estimated(watch).high == 0.0


def test_before_the_beginning_nothing_is_known() -> None:
    watch = LevelWatch()
    level.advance(watch, 100.0, 100.0, T0, KG)
    level.shift(watch, 1000)
    assert not level.observe(watch, lab("anti-xa", 0.5, drawn="00:00", resulted="01:00"))
    assert level.bounds(watch, 100.0, T0, KG) is None
    assert level.forecast(watch, 1260.0, 2.0, KG, 0.3, 0.7) is None
    assert not level.may_leave(watch, 1260.0, 2.0, KG, 0.3, 0.7)
    assert level.elimination(watch) is None
    assert level.ratio(watch) is None


# --- the grid -------------------------------------------------------------------------------------


def test_the_prior_is_lognormal_with_both_spreads() -> None:
    mean = sum(w * x for w, x in zip(grid.PRIOR, grid.LOGARITHMS, strict=True))
    variance = sum(w * x * x for w, x in zip(grid.PRIOR, grid.LOGARITHMS, strict=True))
    assert mean == pytest.approx(0.0, abs=1e-12)
    assert math.sqrt(variance) == pytest.approx(math.hypot(0.34, 0.25), rel=0.02)


def test_the_prior_is_the_equilibrium_of_its_wandering() -> None:
    levels = grid.steady(18.0)
    _, weights = grid.spread(levels, grid.PRIOR, 0.25)
    assert weights == pytest.approx(list(grid.PRIOR), rel=1e-9)
    assert sum(weights) == pytest.approx(1.0)


def test_what_is_known_wanders_as_fast_as_a_patient_does() -> None:
    """In a short time the variance grows by 2 σ² t/τ, the Ornstein-Uhlenbeck series' own."""
    levels = grid.steady(18.0)
    weights = [0.0] * grid.POINTS
    weights[grid.POINTS // 2] = 1.0
    for _ in range(4):
        levels, weights = grid.spread(levels, weights, 0.25)
    variance = sum(w * x * x for w, x in zip(weights, grid.LOGARITHMS, strict=True))
    assert variance == pytest.approx(2 * 0.25**2 / 18.0, rel=0.08)


def test_a_point_without_weight_keeps_its_level() -> None:
    levels = grid.steady(18.0)
    weights = [1.0] + [0.0] * (grid.POINTS - 1)
    moved, _ = grid.spread(levels, weights, 0.25)
    assert moved[-1] == levels[-1]
    # The weight that came brought its level along.
    assert moved[1] == levels[0]


def test_the_level_of_each_point_is_the_model_s() -> None:
    levels = [0.0] * grid.POINTS
    for _ in range(48):
        levels = grid.carry(levels, 18.0, 0.25)
    assert levels[grid.POINTS // 2] == pytest.approx(course(12.0, rate=18.0), abs=5e-4)
    assert all(slow > fast for slow, fast in pairwise(levels))


def test_bayes_by_hand() -> None:
    """Two points' odds after a reading: prior odds times the ratio of normal densities."""
    levels, weights = grid.steady(18.0), list(grid.PRIOR)
    after = grid.weigh(levels, weights, "anti-xa", 0.55)
    i, j = 6, 7

    def density(level_iu_ml: float) -> float:
        sd = math.sqrt((0.05**2 + 0.10**2) * level_iu_ml**2 + 0.02**2)
        return (
            0.99 * math.exp(-0.5 * ((0.55 - level_iu_ml) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))
            + 0.01 / 1.5
        )

    expected = weights[i] / weights[j] * density(levels[i]) / density(levels[j])
    assert after[i] / after[j] == pytest.approx(expected, rel=1e-9)
    assert sum(after) == pytest.approx(1.0)


def test_a_bound_moves_the_weight_to_its_side_and_no_further() -> None:
    levels, weights = grid.steady(18.0), list(grid.PRIOR)
    median = grid.quantile(levels, weights, 0.5)
    below = grid.weigh(levels, weights, "anti-xa", 0.3, "below")
    above = grid.weigh(levels, weights, "anti-xa", 1.0, "above")
    assert grid.quantile(levels, below, 0.5) < 0.3 < median
    assert grid.quantile(levels, above, 0.5) > 1.0 > median


def test_one_stray_result_does_not_carry_the_estimate_away() -> None:
    """Off the scale after two that agreed: a specimen from the heparin line, most likely."""
    levels, weights = grid.steady(18.0), list(grid.PRIOR)
    for value in (0.55, 0.60):
        weights = grid.weigh(levels, weights, "anti-xa", value)
    stray = grid.weigh(levels, weights, "anti-xa", 1.5, "above")
    assert grid.quantile(levels, stray, 0.5) == pytest.approx(
        grid.quantile(levels, weights, 0.5), rel=0.02
    )


def test_an_aptt_tells_less_than_an_anti_xa() -> None:
    levels, weights = grid.steady(18.0), list(grid.PRIOR)
    widths = [
        grid.quantile(levels, after, 0.95) - grid.quantile(levels, after, 0.05)
        for after in (
            weights,
            grid.weigh(levels, weights, "aptt", 64.9),
            grid.weigh(levels, weights, "anti-xa", 0.584),
        )
    ]
    assert widths[0] > widths[1] > 1.5 * widths[2]


def test_quantiles_of_what_is_known_exactly() -> None:
    """All weight on one point is spread as far as the middles to its neighbours."""
    values = [float(i) for i in range(grid.POINTS)]
    weights = [0.0] * grid.POINTS
    weights[5] = 1.0
    assert grid.quantile(values, weights, 0.5) == pytest.approx(5.0)
    assert grid.quantile(values, weights, 0.0) == pytest.approx(4.5)
    assert grid.quantile(values, weights, 1.0) == pytest.approx(5.5)


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_logarithm_that_a_level_implies(factor: float) -> None:
    """By the closed form of §5.3: who holds this level on 18 IU/kg/h has this f."""
    level_iu_ml = steady_of(18.0, 4.0 * factor, 80.0 * factor, 2.4)
    found = grid.implied_logarithm(steady(18.0), grid.PRIOR, level_iu_ml)
    assert found == pytest.approx(math.log(factor), abs=1e-6)


@pytest.mark.parametrize("strength", [0.4, 0.5, 2.0, 2.5])
def test_another_strength_of_the_bag_is_another_f(strength: float) -> None:
    """A patient of f 1 who gets s times the dose has the level of one of f 1/s."""
    found = grid.implied_logarithm(steady(18.0), grid.PRIOR, steady(18.0 * strength))
    assert found == pytest.approx(-math.log(strength), abs=1e-6)


def steady_of(rate: float, clearance: float, vmax: float, km: float) -> float:
    """The closed form of heparin.md §5.3, as it is printed."""
    b = clearance * km + vmax - rate
    return (-b + math.sqrt(b * b + 4 * clearance * rate * km)) / (2 * clearance)


# --- results --------------------------------------------------------------------------------------


def test_a_result_moves_the_estimate_and_narrows_it() -> None:
    watch = run(begun(), 6)
    before = estimated(watch)
    assert before.anchored_ms is None
    assert level.observe(watch, lab("anti-xa", 0.90, drawn="05:00", resulted="06:00"))
    after = estimated(watch)
    assert before.median < 0.6 < 0.85 < after.median
    assert after.high - after.low < 0.5 * (before.high - before.low)
    assert after.anchored_ms == T0 + 5 * MS_PER_HOUR
    clears = level.elimination(watch)
    assert clears is not None
    median, low, high = clears
    assert low < median < high < 0.85


def test_what_was_expected_of_a_result_is_kept_with_it() -> None:
    watch = run(begun(), 6)
    at_five = run(begun(), 5)
    level.observe(watch, lab("anti-xa", 0.90, drawn="05:00", resulted="06:00"))
    (sighting,) = watch.sightings
    assert sighting.expected == pytest.approx(estimated(at_five).median, abs=1e-4)
    assert sighting.low == pytest.approx(estimated(at_five).low, abs=1e-4)
    assert 0.05 < sighting.tail < 0.2
    assert sighting.logarithm is not None
    assert sighting.logarithm < -0.3


@pytest.mark.parametrize("late_h", [0.0, 1.0, 7.5])
def test_a_late_result_gives_what_it_would_have_given_in_time(late_h: float) -> None:
    """Put in when drawn, and put in hours later: word for word the same from there on."""
    result = lab("anti-xa", 0.45, drawn="06:07", resulted="07:00")
    drawn_h = 6 + 7 / 60
    timely, late = run(begun(), drawn_h), run(begun(), drawn_h + late_h)
    level.observe(timely, result)
    level.observe(late, result)
    rest_h = 15.0 - drawn_h
    assert run(timely, rest_h) == run(late, rest_h - late_h)


@given(order_=st.permutations(range(4)))
@settings(max_examples=24, deadline=None)
def test_the_order_in_which_results_come_cannot_matter(order_: list[int]) -> None:
    results = [
        lab("anti-xa", 0.45, drawn="06:07", resulted="07:00", specimen="S1"),
        lab("aptt", 61.0, drawn="06:07", resulted="07:05", specimen="S1"),
        lab("anti-xa", 0.52, drawn="06:07", resulted="07:10", specimen="S2"),
        lab("aptt", 70.0, drawn="09:00", resulted="09:40", specimen="S3"),
    ]
    watch, other = run(begun(), 10), run(begun(), 10)
    for result in results:
        level.observe(watch, result)
    for index in order_:
        level.observe(other, results[index])
    assert other.levels == watch.levels
    assert other.weights == pytest.approx(watch.weights)
    assert [each.specimen for each in other.sightings] == ["S1", "S2", "S3"]
    assert other.sightings == watch.sightings


def test_a_corrected_result_takes_the_first_one_s_place() -> None:
    watch, right = run(begun(), 8), run(begun(), 8)
    wrong = lab("anti-xa", 1.4, drawn="06:00", resulted="07:00")
    corrected = lab("anti-xa", 0.5, drawn="06:00", resulted="07:30")
    assert level.observe(watch, wrong)
    assert level.observe(watch, corrected)
    assert not level.observe(watch, wrong)
    level.observe(right, corrected)
    assert watch == right


def test_a_result_that_is_taken_back_leaves_nothing() -> None:
    watch, never = run(begun(), 8), run(begun(), 8)
    level.observe(watch, lab("anti-xa", 1.4, drawn="06:00", resulted="07:00"))
    gone = lab("anti-xa", None, drawn="06:00", resulted="07:30", problem="mislabelled")
    assert level.observe(watch, gone)
    assert watch == never
    assert not level.observe(watch, gone)


def test_what_tells_nothing() -> None:
    watch = run(begun(), 24)
    before = msgspec.msgpack.encode(watch)
    for result in (
        lab("platelets", 200.0, drawn="23:00", resulted="23:30"),
        lab("anti-xa", None, drawn="23:00", resulted="23:30", problem="clotted"),
        lab("anti-xa", 0.5, drawn="10:00", resulted="23:30"),
        lab("anti-xa", 0.5, drawn="72:00", resulted="23:30"),
    ):
        assert not level.observe(watch, result)
    assert msgspec.msgpack.encode(watch) == before


def test_a_result_ahead_of_the_pump_s_clock_waits_for_its_time() -> None:
    ahead, timely = run(begun(), 5), run(begun(), 7)
    result = lab("anti-xa", 0.9, drawn="06:00", resulted="06:30")
    assert level.observe(ahead, result)
    assert ahead.sightings[0].tail == 1.0
    level.observe(timely, result)
    assert run(ahead, 2) == timely


def test_hardly_any_heparin_implies_no_clearance() -> None:
    watch = run(begun(at_h=48), 6, 0.0, ordered_iu_kg_h=18.0)
    level.observe(watch, lab("anti-xa", 0.1, drawn="53:30", resulted="53:50", bound="below"))
    assert watch.sightings[0].logarithm is None


def test_an_aptt_off_the_scale_is_a_bound() -> None:
    watch = run(begun(), 8)
    level.observe(watch, lab("aptt", 200.0, drawn="06:00", resulted="07:00"))
    assert watch.sightings[0].bound == "above"


def test_no_more_than_so_many_results_are_kept() -> None:
    watch = run(begun(), 8)
    for minute in range(12):
        level.observe(
            watch,
            lab("anti-xa", 0.5, drawn=f"06:{minute:02}", resulted="07:00", specimen=f"S{minute}"),
        )
    assert [each.specimen for each in watch.sightings] == [f"S{n}" for n in range(4, 12)]


# --- time -----------------------------------------------------------------------------------------


@given(
    cuts=st.lists(st.integers(min_value=1, max_value=90), min_size=1, max_size=30),
    rate=st.floats(min_value=0.0, max_value=60.0),
)
@settings(max_examples=50, deadline=None)
def test_how_time_is_cut_cannot_matter(cuts: list[int], rate: float) -> None:
    """The grid gets the same doses on the same ticks, the plain levels the model's own accuracy."""
    watch, whole = begun(), begun()
    for minutes in cuts:
        run(watch, minutes / 60, rate, step_min=minutes)
    run(whole, sum(cuts) / 60, rate)
    assert watch.at_ms == whole.at_ms
    assert watch.delivered_iu_ml == pytest.approx(whole.delivered_iu_ml, abs=1e-3)
    assert estimated(watch).median == pytest.approx(estimated(whole).median, abs=1e-3)


@given(
    rates=st.lists(st.floats(min_value=0.0, max_value=40.0), min_size=1, max_size=12),
    extra=st.floats(min_value=0.0, max_value=20.0),
)
@settings(max_examples=50, deadline=None)
def test_more_heparin_never_makes_less_level(rates: list[float], extra: float) -> None:
    less, more = begun(), begun()
    for rate in rates:
        run(less, 0.5, rate, step_min=10)
        run(more, 0.5, rate + extra, step_min=10)
    assert more.delivered_iu_ml >= less.delivered_iu_ml >= 0.0
    a, b = estimated(less), estimated(more)
    for low, high in ((a.low, b.low), (a.median, b.median), (a.high, b.high)):
        assert high >= low - 1e-6
    assert 0.0 <= a.low <= a.median <= a.high


def test_a_level_that_is_stored_and_resumed_goes_on_the_same() -> None:
    watch = run(begun(), 6.1)
    level.observe(watch, lab("anti-xa", 0.9, drawn="05:00", resulted="06:00"))
    for codec in (msgspec.msgpack, msgspec.json):
        resumed = codec.decode(codec.encode(watch), type=LevelWatch)
        assert resumed == watch
        assert run(resumed, 5) == run(msgspec.convert(msgspec.to_builtins(watch), LevelWatch), 5)


def test_a_level_is_small() -> None:
    watch = run(begun(), 12, step_min=15)
    assert len(msgspec.msgpack.encode(watch)) <= 500
    for n in range(8):
        level.observe(
            watch, lab("anti-xa", 0.5, drawn=f"{n + 4:02}:30", resulted="12:00", specimen=f"S{n}")
        )
    assert len(watch.sightings) == 8
    assert len(msgspec.msgpack.encode(watch)) <= 1_200


def test_a_dose_that_was_counted_too_much_is_taken_off_the_next() -> None:
    """Pumped into an occluded line, and known to be held there a minute later."""
    watch, sober = begun(), begun()
    for dose_iu in (50.0, -20.0, -5.0, 40.0):
        level.advance(watch, dose_iu, 0.0, watch.at_ms + MS_PER_MINUTE, KG)
    assert watch.owed_iu == 0.0
    for dose_iu in (50.0, 0.0, 0.0, 15.0):
        level.advance(sober, dose_iu, 0.0, sober.at_ms + MS_PER_MINUTE, KG)
    assert watch == sober


def test_a_call_without_time_only_keeps_the_dose() -> None:
    watch, whole = begun(), begun()
    level.advance(watch, 30.0, 0.0, T0, KG)
    level.advance(watch, 30.0, 0.0, T0 + MS_PER_MINUTE, KG)
    level.advance(whole, 60.0, 0.0, T0 + MS_PER_MINUTE, KG)
    assert watch == whole


def test_a_gap_of_hours_is_a_mean_rate() -> None:
    watch, whole = begun(at_h=48), begun(at_h=48)
    level.advance(watch, 6 * 10 * KG, 6 * 18 * KG, watch.at_ms + 6 * MS_PER_HOUR, KG)
    run(whole, 6, 10.0, ordered_iu_kg_h=18.0)
    assert watch.delivered_iu_ml == pytest.approx(whole.delivered_iu_ml, abs=1e-3)
    assert watch.weights == whole.weights


def test_after_a_gap_of_days_the_level_is_what_the_mean_rate_holds() -> None:
    watch = run(begun(), 6)
    level.observe(watch, lab("anti-xa", 0.9, drawn="05:00", resulted="06:00"))
    level.advance(watch, 72 * 10 * KG, 72 * 18 * KG, watch.at_ms + 72 * MS_PER_HOUR, KG)
    assert watch.delivered_iu_ml == pytest.approx(steady(10.0), rel=1e-6)
    assert watch.ordered_iu_ml == pytest.approx(steady(18.0), rel=1e-6)
    assert watch.sightings == []


def test_a_clock_that_is_set_moves_everything() -> None:
    delta_ms = 5 * MS_PER_HOUR
    moved, still = run(begun(), 6), run(begun(), 6)
    level.shift(moved, delta_ms)
    result = lab("anti-xa", 0.9, drawn="05:00", resulted="06:00")
    level.observe(still, result)
    later = msgspec.structs.replace(
        result, drawn_ms=result.drawn_ms + delta_ms, resulted_ms=result.resulted_ms
    )
    level.observe(moved, later)
    assert moved.weights == still.weights
    assert estimated(moved).at_ms == estimated(still).at_ms + delta_ms
    level.shift(moved, -delta_ms)
    assert moved == still


# --- bounds and forecast --------------------------------------------------------------------------


def test_bounds_hold_whatever_the_pump_did() -> None:
    """Unheard for two hours: between nothing given and all that was programmed."""
    watch = run(begun(), 12, step_min=5)
    to_ms = watch.at_ms + 2 * MS_PER_HOUR
    found = level.bounds(watch, 2 * 18 * KG, to_ms, KG)
    assert found is not None
    none = run(msgspec.convert(msgspec.to_builtins(watch), LevelWatch), 2, 0.0)
    whole = run(msgspec.convert(msgspec.to_builtins(watch), LevelWatch), 2)
    assert found.low == pytest.approx(estimated(none).low, abs=0.01)
    assert found.high == pytest.approx(estimated(whole).high, abs=0.03)
    assert found.low < found.median < found.high
    at_once = level.bounds(watch, 0.0, watch.at_ms, KG)
    assert at_once == estimated(watch)


def test_a_forecast_at_the_rate_that_holds_the_level_stays() -> None:
    watch = run(begun(at_h=48), 6)
    level.observe(watch, lab("anti-xa", 0.58, drawn="53:30", resulted="53:59"))
    seen = level.forecast(watch, 18 * KG, 2.0, KG, 0.3, 0.7)
    assert seen is not None
    assert seen.level == pytest.approx(0.58, abs=0.03)
    assert seen.share_below < 0.01
    assert seen.share_above < 0.35
    assert seen.at_ms == watch.at_ms + 2 * MS_PER_HOUR
    assert not level.may_leave(watch, 18 * KG, 2.0, KG, 0.3, 0.7)


@pytest.mark.parametrize(("rate", "side"), [(3.0, "below"), (40.0, "above")])
def test_a_forecast_tells_the_side_on_which_the_level_leaves(rate: float, side: str) -> None:
    watch = run(begun(at_h=48), 6)
    level.observe(watch, lab("anti-xa", 0.50, drawn="53:30", resulted="53:59"))
    seen = level.forecast(watch, rate * KG, 2.0, KG, 0.3, 0.7)
    assert seen is not None
    shares = {"below": seen.share_below, "above": seen.share_above}
    assert shares.pop(side) > 0.9
    assert shares.popitem()[1] < 0.01
    assert level.may_leave(watch, rate * KG, 2.0, KG, 0.3, 0.7)


@given(rate=st.floats(min_value=0.0, max_value=60.0), value=st.floats(min_value=0.1, max_value=1.4))
@settings(max_examples=60, deadline=None)
def test_what_cannot_leave_is_never_foreseen_to(rate: float, value: float) -> None:
    """The cheap test passes whatever the dear one would have said."""
    watch = run(begun(at_h=48), 1, step_min=15)
    level.observe(watch, lab("anti-xa", value, drawn="48:10", resulted="48:59"))
    seen = level.forecast(watch, rate * KG, 2.0, KG, 0.3, 0.7)
    assert seen is not None
    if max(seen.share_below, seen.share_above) >= 0.8:
        assert level.may_leave(watch, rate * KG, 2.0, KG, 0.3, 0.7)


def test_results_of_others_are_left_alone() -> None:
    """A result is a plain value: nothing of it is changed by being put in."""
    watch = run(begun(), 8)
    result = lab("anti-xa", 0.5, drawn="06:00", resulted="07:00")
    copy = msgspec.convert(msgspec.to_builtins(result), LabResult)
    level.observe(watch, result)
    assert result == copy

"""The pressure watch at its edges; what holds of it whatever comes is in test_pressure_laws.py."""

import pytest

from infusion.pressure import (
    FIRST_CEILING_MMHG,
    HEIGHT_MMHG,
    MARGIN_MMHG,
    NARROW_MMHG,
    RATES_MAX,
    begin,
    follow,
    margin_mmhg,
    rise,
)
from infusion.units import MS_PER_HOUR, MS_PER_SECOND
from tests.infusion.bench import T0
from tests.infusion.lines import rises, sound, watched

# --- what is healthy ------------------------------------------------------------------------------


def test_strokes_over_a_step_climb_no_further_than_strokes_do() -> None:
    """All samples are over the old ceiling, and three of them climb by chance: 61, 76, 91."""
    healthy = (5.0, 20.0, 35.0, 48.0, 20.0)
    watch = watched()
    assert rises(watch, 1_200, 10, lambda second: healthy[int(second / 10) % 5]) is None

    def raised(second: float) -> float:
        return (61.0, 76.0, 91.0, 61.0)[int(second / 10) % 4]

    assert rises(watch, 600, 10, raised) is None


@pytest.mark.parametrize(("jump_mmhg", "is_rise"), [(49.0, True), (51.0, False)])
def test_a_cuff_is_faster_than_any_pump(jump_mmhg: float, is_rise: bool) -> None:
    """12 mL/h add 47.6 mmHg in five seconds to the stiffest line (0.00035 mL/mmHg), and 2 of noise."""
    watch = watched()
    sound(watch)
    for number in range(1, 5):
        follow(watch, T0 + (900 + 5 * number) * MS_PER_SECOND, 40.0 + jump_mmhg * number)
    assert bool(rise(watch)) is is_rise


@pytest.mark.parametrize(("last_mmhg", "is_rise"), [(445.0, False), (455.0, True)])
def test_what_slows_down_between_strokes_is_no_rise(last_mmhg: float, is_rise: bool) -> None:
    """A step that strokes make uneven: the second half is a quarter as steep as the first."""
    watch = watched()
    for number, pressure in enumerate((200.0, 300.0, 400.0, 405.0, last_mmhg)):
        follow(watch, T0 + (200 + 10 * number) * MS_PER_SECOND, pressure)
    assert bool(rise(watch)) is is_rise


def test_what_slows_down_where_no_strokes_show_is_no_rise() -> None:
    """A closed line rises evenly; an arm that is raised slowly comes to rest."""
    for share, is_rise in ((0.65, False), (0.75, True)):
        watch = watched()
        sound(watch)
        for number, pressure in enumerate((51.0, 71.0, 71.0 + 20.0 * share)):
            follow(watch, T0 + (910 + 10 * number) * MS_PER_SECOND, pressure)
        assert bool(rise(watch)) is is_rise


# --- what is not ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("interval_s", "after_s"), [(1, 16), (5, 20), (10, 30), (30, 90)])
def test_a_smooth_line_needs_three_samples_over_fifteen_seconds(
    interval_s: int, after_s: int
) -> None:
    """The least that a rise takes, at 200 mmHg a minute over 40; closer samples are one."""
    watch = watched()
    seen_s = rises(
        watch, 1_200, interval_s, lambda second: 40.0 + max(0.0, second - 900.0) * 200.0 / 60.0
    )
    assert seen_s == 900 + after_s


@pytest.mark.parametrize(
    ("top_mmhg", "lows", "is_rise"),
    [
        # Over a line without strokes: a metre of water over a floor that came up to 49.1.
        (40.0, (80.0, 105.0, 124.5), True),
        (40.0, (80.0, 105.0, 124.0), False),
        (40.0, (80.0, 117.0, 126.0), False),
        # Over one with strokes: the same over their top.
        (60.0, (110.0, 125.0, 136.0), True),
        (60.0, (110.0, 123.0, 134.0), False),
    ],
)
def test_a_floor_that_climbs_at_its_edges(
    top_mmhg: float, lows: tuple[float, ...], is_rise: bool
) -> None:
    """The lowest of three minutes; what the samples between them show is not asked here."""
    watch = watched()
    assert rises(watch, 900, 10, lambda second: 40.0 if second % 20 else top_mmhg) is None
    for second in range(910, 1_140, 10):
        # Minutes end at 1010, 1070 and 1130; what ends one begins the next.
        number = min(max(0, (second - 950) // 60), 2)
        follow(watch, T0 + second * MS_PER_SECOND, lows[number])
        watch.rising.clear()
    assert bool(rise(watch)) is is_rise


@pytest.mark.parametrize(("floor_mmhg", "is_narrow"), [(139.0, False), (141.0, True)])
def test_a_floor_that_stays_high_is_narrow(floor_mmhg: float, is_narrow: bool) -> None:
    """More than 100 mmHg over the floor for a whole minute, since that minute's beginning."""
    assert NARROW_MMHG == 100.0
    watch = watched()
    sound(watch)
    for second in range(910, 1_030, 10):
        follow(watch, T0 + second * MS_PER_SECOND, floor_mmhg)
    assert (watch.narrow_since_ms is not None) is is_narrow
    assert not rise(watch)
    if is_narrow:
        # The first minute still had a sample of before in it.
        assert watch.narrow_since_ms == T0 + 950 * MS_PER_SECOND
        assert watch.narrow_floor == floor_mmhg
        follow(watch, T0 + 1_030 * MS_PER_SECOND, 40.0)
        for second in range(1_040, 1_110, 10):
            follow(watch, T0 + second * MS_PER_SECOND, 40.0)
        assert watch.narrow_since_ms is None


def test_a_rise_is_no_ceiling() -> None:
    """A slow rise of a smooth line by 100 mmHg, up to when its ceiling would be learned anew."""
    watch = watched()
    sound(watch)

    def pressure(second: float) -> float:
        return 40.0 + max(0.0, second - 2_100.0) * 20.0 / 60.0

    assert rises(watch, 2_400, 10, pressure) is not None
    for second in range(2_410, 6_000, 10):
        follow(watch, T0 + second * MS_PER_SECOND, 40.0)
    assert watch.ceiling == 40.0


def test_what_an_occlusion_makes_is_no_ceiling() -> None:
    """After half an hour of rises the ceiling is still that of the healthy line."""
    watch = watched()
    sound(watch)
    ceiling = watch.ceiling
    for second in range(910, 4_000, 10):
        follow(watch, T0 + second * MS_PER_SECOND, 40.0 + (second % 400) * 2.0)
    assert watch.ceiling == ceiling == 40.0


# --- margins --------------------------------------------------------------------------------------


def test_the_margin_is_small_only_where_no_strokes_can_be() -> None:
    """10 mmHg in a line without strokes; where they show or are told, a metre of water is theirs."""
    smooth = watched()
    assert margin_mmhg(smooth) == HEIGHT_MMHG
    sound(smooth)
    assert margin_mmhg(smooth) == MARGIN_MMHG
    told = watched()
    assert rises(told, 900, 10, lambda second: 40.0, stroke_ml=0.055) is None
    assert margin_mmhg(told) == HEIGHT_MMHG
    shown = watched()
    assert rises(shown, 900, 10, lambda second: 40.0 if second % 20 else 55.0) is None
    assert margin_mmhg(shown) == HEIGHT_MMHG


def test_the_margin_grows_with_what_strokes_make() -> None:
    """30 % of a ceiling that is only a bound, at the twentyfold rate of a bolus."""
    watch = watched()
    assert rises(watch, 900, 10, lambda second: 20.0 if second % 20 else 40.0) is None
    begin(watch, T0 + 900 * MS_PER_SECOND, 240.0)
    assert margin_mmhg(watch) == pytest.approx(0.3 * watch.ceiling)
    assert watch.ceiling > HEIGHT_MMHG / 0.3


def test_a_pump_that_is_put_lower_has_no_strokes_for_that() -> None:
    """After a step down the old ceiling holds for hours, and the line is as smooth as before."""
    watch = watched()
    sound(watch)
    for second in range(910, 5_000, 10):
        follow(watch, T0 + second * MS_PER_SECOND, 10.0)
    assert watch.ceiling == 40.0
    assert margin_mmhg(watch) == MARGIN_MMHG


# --- rates ----------------------------------------------------------------------------------------


def test_a_rate_that_was_known_is_known_again() -> None:
    """Back from a bolus the ceiling of before holds; of a new rate only a bound is known."""
    watch = watched(12.0)
    sound(watch)
    begin(watch, T0 + 900 * MS_PER_SECOND, 240.0)
    # What flow makes of it grows with the rate: (40 - 40) × 20 over the floor, and 150 at least.
    assert watch.ceiling == FIRST_CEILING_MMHG
    begin(watch, T0 + 960 * MS_PER_SECOND, 12.0)
    assert (watch.ceiling, watch.floor) == (40.0, 40.0)


def test_the_bound_of_a_new_rate_grows_with_the_rate() -> None:
    """20 mmHg over the vein at 12 mL/h may be 400 at 240."""
    watch = watched(12.0)
    assert rises(watch, 900, 10, lambda second: 20.0 if second % 20 else 40.0) is None
    floor = watch.floor
    assert floor is not None
    begin(watch, T0 + 900 * MS_PER_SECOND, 240.0)
    assert watch.ceiling == pytest.approx(floor + 20 * (40.0 - floor))


def test_minutes_at_another_rate_climb_nothing() -> None:
    """Two minutes that climbed before the rate was changed, and one after it."""
    watch = watched()
    sound(watch)
    for second in range(910, 1_030, 10):
        follow(watch, T0 + second * MS_PER_SECOND, 120.0 if second < 970 else 140.0)
    assert watch.lows
    begin(watch, T0 + 1_030 * MS_PER_SECOND, 14.0)
    assert not watch.lows


def test_only_a_few_rates_are_remembered() -> None:
    """The oldest is forgotten, and the list stays short."""
    watch = watched(1.0)
    for number in range(2 * RATES_MAX):
        begin(watch, T0 + number * MS_PER_HOUR, 1.0 + number)
    assert [each.rate_ml_h for each in watch.known] == [5.0, 6.0, 7.0, 8.0]

"""Supplies: use out of the account, forecasts against a slow count, deliveries, recalls."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.errors import ConfigError
from infusion.service.per_diem import account_of
from infusion.service.supplies import (
    FORECAST_DAYS_MAX,
    Delivery,
    Found,
    Lot,
    Use,
    Used,
    days_until,
    forecast,
    lasts_days,
    read_plan,
    recalled,
    received,
    taken,
    use_of,
    used_in,
    used_of,
)
from infusion.units import MS_PER_DAY, MS_PER_HOUR
from monitor.zones import offsets
from tests.infusion.bench import T0
from tests.infusion.service.test_per_diem import CHICAGO, PAYERS, WED_TO_THU, worked

FILE = Path(__file__).parents[3] / "config" / "supplies" / "home-heparin.toml"
PLAN = read_plan(FILE.read_bytes(), FILE.name)
BAG = PLAN.item["bag"]


def bags(amount: float, days: float | None = None, lot: str = "A") -> Lot:
    expires_ms = None if days is None else T0 + round(days * MS_PER_DAY)
    return Lot(item="bag", amount=amount, lot=lot, expires_ms=expires_ms)


def coming(amount: float, days: float) -> Delivery:
    return Delivery(item="bag", amount=amount, due_ms=T0 + round(days * MS_PER_DAY))


def test_use_is_what_the_pump_used() -> None:
    """Whole days only: Tuesday to Friday of the worked example, at 12 mL/h."""
    used = used_of(account_of(worked(WED_TO_THU), PAYERS["nhia"], offsets(CHICAGO)))
    assert sum(used.infused_h) == pytest.approx(sum(used.volume_ml) / 12)
    assert len(used.volume_ml) == 4
    use = use_of(PLAN.item["tubing"], used, 99.0)
    assert use.mean == pytest.approx(sum(used.infused_h) / 4 / 96)
    assert use.scatter > 0


def test_before_the_first_whole_day_the_order_speaks() -> None:
    """250 mL of 100 IU/mL at 12.6 mL/h last 19.8 h (18.7 to 21.1 at ±6 %), heparin.md §1.5 [C]."""
    use = use_of(BAG, Used(), 12.6)
    hours = [24 * days_until(use, 1.0, side) for side in (1, 0, -1)]
    assert hours == pytest.approx([18.7, 19.8, 21.1], abs=0.05)


def test_a_bag_is_changed_by_the_clock_when_it_lasts_longer() -> None:
    assert use_of(BAG, Used(volume_ml=(120.0, 480.0)), 0.0).mean == pytest.approx((1 + 1.92) / 2)
    assert use_of(BAG, Used(volume_ml=(0.0,)), 12.0).mean == 0.0
    assert use_of(PLAN.item["dressing"], Used(), 12.0) == Use(1 / 7)
    assert use_of(PLAN.item["battery"], Used(battery_h=(24.0,)), 12.0).mean == 0.5


uses = st.builds(Use, st.floats(0.01, 20), st.floats(0, 3), st.sampled_from([0.0, 0.06, 0.2]))
sides = st.sampled_from([1, 0, -1])


@given(uses, st.floats(0.1, 100), sides)
def test_a_stock_is_used_up_when_it_is_said_to_be(use: Use, amount: float, side: int) -> None:
    days = days_until(use, amount, side)
    assume(days < FORECAST_DAYS_MAX)
    assert used_in(use, days, side) == pytest.approx(amount, rel=1e-6)


@given(uses, st.lists(st.tuples(st.floats(0.1, 30), st.none() | st.floats(-1, 60)), max_size=5))
def test_the_interval_holds_what_is_likely_and_grows_with_the_stock(
    use: Use, stock: list[tuple[float, float | None]]
) -> None:
    lots = [bags(amount, days) for amount, days in stock]
    early, likely, late = (lasts_days(use, lots, T0, side) for side in (1, 0, -1))
    assert early <= likely * (1 + 1e-9)
    assert lasts_days(use, [*lots, bags(5.0)], T0, 1) >= early
    assert late >= 0


@given(
    st.lists(st.tuples(st.integers(1, 30), st.none() | st.integers(1, 40)), max_size=5),
    st.integers(1, 4),
)
def test_dates_are_as_in_a_slow_count(stock: list[tuple[int, int | None]], pace: int) -> None:
    """Day by day, from the lot that goes first; without spread and scatter it is exact."""
    left: list[tuple[int, float]] = sorted(
        (days if days is not None else 10_000, amount) for amount, days in stock
    )
    day = 0.0
    step = 1 / (4 * pace)
    while day < FORECAST_DAYS_MAX:
        left = [(date, amount) for date, amount in left if date > day + 1e-9 and amount > 1e-9]
        if not left:
            break
        date, amount = left[0]
        left[0] = (date, amount - 0.25)
        day += step
    lots = [bags(amount, days) for amount, days in stock]
    assert lasts_days(Use(pace), lots, T0, 0) == pytest.approx(day, abs=1e-6)


@pytest.mark.parametrize(
    ("lots", "deliveries", "state"),
    [
        ([bags(10)], [], "enough"),
        ([bags(4)], [], "order"),
        ([bags(4)], [coming(7, 1)], "enough"),
        ([bags(1)], [], "short"),
        ([bags(1.5)], [coming(7, 1)], "enough"),
        ([bags(1.5)], [coming(7, 2)], "short"),
        ([bags(9)], [coming(7, -1)], "late"),
        ([bags(9)], [coming(7, -0.1)], "enough"),
        ([bags(1)], [coming(7, -1)], "short"),
        ([bags(10, days=1)], [], "short"),
        ([bags(10, days=-1)], [], "short"),
        ([bags(9)], [replace(coming(7, -1), arrived_ms=T0)], "enough"),
    ],
)
def test_how_an_item_stands(lots: list[Lot], deliveries: list[Delivery], state: str) -> None:
    """One bag a day, ordered to the door in two days, three kept: the reorder point is 5."""
    found = forecast("bag", PLAN, Use(1.0), lots, deliveries, T0)
    assert found.state == state
    assert found.reorder_at == 5.0


def test_a_delivery_is_missed_four_hours_after_it_was_due() -> None:
    due = coming(7, 0)
    for hours, state in ((3.99, "enough"), (4.0, "late")):
        now_ms = T0 + round(hours * MS_PER_HOUR)
        assert forecast("bag", PLAN, Use(1.0), [bags(9)], [due], now_ms).state == state


def test_what_is_not_used_never_runs_out() -> None:
    found = forecast("bag", PLAN, Use(0.0), [], [], T0)
    assert found.state == "enough"
    assert lasts_days(Use(0.0), [bags(1)], T0, 0) == FORECAST_DAYS_MAX


def test_pieces_are_used_in_the_order_of_their_dates() -> None:
    lots = [bags(3, lot="C"), bags(2, 9, lot="B"), bags(1, 3, lot="A")]
    after, lacking = taken(lots, "bag", 2.0)
    assert after == (lots[0], replace(lots[1], amount=1.0))
    assert lacking == 0.0
    assert taken(lots, "bag", 7.5) == ((), 1.5)
    assert taken(lots, "dressing", 1.0) == (tuple(lots), 1.0)


def test_what_arrives_is_added_to_its_lot() -> None:
    delivery = replace(coming(5, 0), lot="A")
    assert received([bags(2)], delivery) == (bags(7),)
    other = replace(delivery, lot="B")
    assert received([bags(2)], other) == (bags(2), bags(5, lot="B"))


def test_a_recall_finds_who_has_it_and_who_had_it() -> None:
    stocks = {"T-01": [bags(2, lot="X")], "T-02": [bags(4, lot="Y")], "T-03": [bags(0, lot="X")]}
    hung = {"T-02": [("X", T0 + 5), ("X", T0)], "T-01": [("Y", T0)]}
    assert recalled("X", stocks, hung) == [
        Found(therapy="T-01", item="bag", amount=2),
        Found(therapy="T-02", item="bag", amount=0, hung_ms=(T0, T0 + 5)),
    ]
    assert recalled("Z", stocks, hung) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x'", "there is no [item.…]"),
        (
            "name='x'\nlead_days=1\nsafety_days=1\nlate_h=1\n[item.a]\nname='a'\nper='hours'\nevery=0",
            "[item.a]: key 'every'",
        ),
        (
            "name='x'\nlead_days=1\nsafety_days=1\nlate_h=1\n[item.a]\nname='a'\nper='hours'\nevery=1\nhang_h=2",
            "hang_h is for what is used per volume",
        ),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_plan(text.encode(), "plan.toml")
    assert words in str(error.value)

"""Supplies at a patient's home: what is there, how long it lasts, when to order, what was recalled.

Use is what the pump really used: volume, hours and hours on battery out of the account of the
therapy (infusion/service/per_diem.py), never the prescription, but where there is no whole day of
use yet. How long a stock lasts is told as an interval: with `m` used a day on average, a spread
`a` that goes one way all the time (the pump's accuracy) and a daily scatter `s` that does not,

    use in n days lies between  n·m·(1 − a) − z·s·√n  and  n·m·(1 + a) + z·s·√n,

which is solved for n in closed form [D]; z = 1.64, so that one time in twenty it lasts less long
[A]. What goes out of date before it is used is not counted: lots are used in the order of their
dates. For testing and training only.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from infusion.errors import ConfigError
from infusion.prescription import Name, TimeMs
from infusion.service.per_diem import Account
from infusion.settings import load_toml
from infusion.tables import read_table
from infusion.units import MS_PER_DAY, MS_PER_HOUR, NL_PER_ML

Z = 1.64
# No forecast reaches further; what lasts longer is told as this.
FORECAST_DAYS_MAX = 365.0
_HOURS_OF_DAY = 24.0

Positive = Annotated[float, Meta(gt=0, le=100_000)]
Days = Annotated[float, Meta(ge=0, le=90)]
Amount = Annotated[float, Meta(ge=0, le=100_000)]


class Item(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of supply: one piece is used for `every` mL, hours, days, or hours on battery.

    A bag is changed after `hang_h` at the latest, full or not. `spread` is the share by which use
    may be off all the time.
    """

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    per: Literal["volume", "hours", "days", "battery-hours"]
    every: Positive
    hang_h: Positive | None = None
    spread: Annotated[float, Meta(ge=0, le=0.5)] = 0.0


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a therapy uses, and when more is ordered; read from `config/supplies/*.toml`."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    lead_days: Days
    safety_days: Days
    late_h: Annotated[float, Meta(ge=0, le=168)]
    item: dict[str, Item]


class Used(Struct, frozen=True, kw_only=True):
    """What the pump used each whole day, oldest first, in mL, hours and hours on battery."""

    volume_ml: tuple[float, ...] = ()
    infused_h: tuple[float, ...] = ()
    battery_h: tuple[float, ...] = ()


class Use(Struct, frozen=True):
    """Pieces a day: on average, how they scatter from day to day, and the spread one way."""

    mean: float
    scatter: float = 0.0
    spread: float = 0.0


class Lot(Struct, frozen=True, kw_only=True):
    """Pieces of one lot that are there; without `expires_ms` they keep."""

    item: Name
    amount: Amount
    lot: str = ""
    expires_ms: TimeMs | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """Pieces under way, or arrived: `due_ms` is when they should be at the door."""

    item: Name
    amount: Amount
    due_ms: TimeMs
    lot: str = ""
    expires_ms: TimeMs | None = None
    arrived_ms: TimeMs | None = None


class Forecast(Struct, frozen=True, kw_only=True):
    """When an item runs out: at the earliest, as it looks, at the latest; days from now.

    `reorder_at` is the stock at which more is to be ordered, `stock` what is usable now, `coming`
    what is under way. `state` is `enough`; `order`, stock and what comes are at or below the
    reorder point; `late`, a delivery is overdue; `short`, it may run out before the next delivery,
    or before one that is ordered now could come.
    """

    item: str
    stock: float
    coming: float
    reorder_at: float
    earliest_days: float
    likely_days: float
    latest_days: float
    state: Literal["enough", "order", "late", "short"]


class Found(Struct, frozen=True, kw_only=True):
    """Where a recalled lot is: still there, or hung at some time."""

    therapy: str
    item: str
    amount: float
    hung_ms: tuple[int, ...] = field(default=())


def read_plan(data: bytes, name: str) -> Plan:
    """The plan in the bytes of a TOML file called `name`.

    Raises ConfigError that names the file, the item and the key.
    """
    document = load_toml(data, name)
    items = document.get("item")
    if not isinstance(items, dict) or not items:
        raise ConfigError(f"{name}: there is no [item.…]; write one table for each supply")
    document["item"] = {
        key: read_table(Item, table, f"{name}: [item.{key}]") for key, table in items.items()
    }
    plan = read_table(Plan, document, name)
    for key, item in plan.item.items():
        if item.hang_h is not None and item.per != "volume":
            raise ConfigError(f"{name}: [item.{key}]: hang_h is for what is used per volume")
    return plan


def used_of(account: Account, battery_h: Sequence[float] = ()) -> Used:
    """What was used on each whole day of an account: the first and the last are left out."""
    whole = account.days[1:-1]
    return Used(
        volume_ml=tuple(sum(p.volume_nl for p in day.parts) / NL_PER_ML for day in whole),
        infused_h=tuple(day.infused_ms / MS_PER_HOUR for day in whole),
        battery_h=tuple(battery_h),
    )


def use_of(item: Item, used: Used, ordered_ml_h: float) -> Use:
    """Pieces a day; before the first whole day what the order at `ordered_ml_h` would use.

    Bags that are changed by the clock are used by the clock: the more of the two counts.
    """
    if item.per == "days":
        return Use(1.0 / item.every)
    known = {
        "volume": used.volume_ml or (ordered_ml_h * _HOURS_OF_DAY,),
        "hours": used.infused_h or (_HOURS_OF_DAY if ordered_ml_h else 0.0,),
        "battery-hours": used.battery_h or (0.0,),
    }[item.per]
    pieces = [value / item.every for value in known]
    if item.hang_h is not None:
        least = _HOURS_OF_DAY / item.hang_h
        pieces = [max(each, least) if each else 0.0 for each in pieces]
    mean = sum(pieces) / len(pieces)
    scatter = math.sqrt(sum((each - mean) ** 2 for each in pieces) / max(1, len(pieces) - 1))
    return Use(mean, scatter, item.spread)


def days_until(use: Use, amount: float, side: int) -> float:
    """In how many days so much is used up: `side` 1 at the earliest, 0 likely, −1 at the latest."""
    rate = use.mean * (1.0 + side * use.spread)
    if amount <= 0:
        return 0.0
    if rate <= 0:
        return FORECAST_DAYS_MAX
    swing = side * Z * use.scatter
    # n·rate + swing·√n = amount, a square equation in √n.
    root = (math.sqrt(swing * swing + 4.0 * rate * amount) - swing) / (2.0 * rate)
    return min(FORECAST_DAYS_MAX, root * root)


def used_in(use: Use, days: float, side: int) -> float:
    """How much is used in so many days; the inverse of `days_until`, never below zero."""
    rate = use.mean * (1.0 + side * use.spread)
    return max(0.0, days * rate + side * Z * use.scatter * math.sqrt(max(0.0, days)))


def lasts_days(use: Use, lots: Iterable[Lot], now_ms: int, side: int) -> float:
    """How long lots last, used in the order of their dates, and no longer than those."""
    usable = 0.0
    for lot in sorted(lots, key=_date):
        if lot.expires_ms is not None:
            until_days = (lot.expires_ms - now_ms) / MS_PER_DAY
            by_then = used_in(use, until_days, side)
            usable += min(lot.amount, max(0.0, by_then - usable)) if until_days > 0 else 0.0
        else:
            usable += lot.amount
    return days_until(use, usable, side)


def forecast(
    key: str,
    plan: Plan,
    use: Use,
    lots: Sequence[Lot],
    deliveries: Sequence[Delivery],
    now_ms: int,
) -> Forecast:
    """How an item stands. `lots` are what was there at the last count less what was used since,
    and what has arrived; `deliveries` are those that have not arrived."""
    mine = [lot for lot in lots if lot.item == key]
    coming = [each for each in deliveries if each.item == key and each.arrived_ms is None]
    in_date = [lot for lot in mine if lot.expires_ms is None or lot.expires_ms > now_ms]
    stock, under_way = sum(lot.amount for lot in in_date), sum(each.amount for each in coming)
    reorder_at = used_in(use, plan.lead_days + plan.safety_days, 1)
    earliest, likely, latest = (lasts_days(use, mine, now_ms, side) for side in (1, 0, -1))
    late = [each for each in coming if now_ms >= late_ms(each, plan)]
    due_days = [(each.due_ms - now_ms) / MS_PER_DAY for each in coming if each not in late]
    # What is overdue comes nobody knows when: then only a new order can be counted on.
    wait_days = min(due_days, default=plan.lead_days)
    state: Literal["enough", "order", "late", "short"] = "enough"
    if use.mean > 0 and earliest < wait_days:
        state = "short"
    elif late:
        state = "late"
    elif use.mean > 0 and stock + under_way <= reorder_at:
        state = "order"
    return Forecast(
        item=key,
        stock=stock,
        coming=under_way,
        reorder_at=reorder_at,
        earliest_days=earliest,
        likely_days=likely,
        latest_days=latest,
        state=state,
    )


def late_ms(delivery: Delivery, plan: Plan) -> int:
    """From when on a delivery is missed."""
    return delivery.due_ms + round(plan.late_h * MS_PER_HOUR)


def received(lots: Sequence[Lot], delivery: Delivery) -> tuple[Lot, ...]:
    """The lots after a delivery has arrived."""
    mine = Lot(
        item=delivery.item,
        amount=delivery.amount,
        lot=delivery.lot,
        expires_ms=delivery.expires_ms,
    )
    same = [each for each in lots if (each.item, each.lot) == (mine.item, mine.lot)]
    if not same or same[0].expires_ms != mine.expires_ms:
        return (*lots, mine)
    more = Lot(
        item=mine.item,
        amount=same[0].amount + mine.amount,
        lot=mine.lot,
        expires_ms=mine.expires_ms,
    )
    return tuple(more if each is same[0] else each for each in lots)


def taken(lots: Sequence[Lot], item: str, amount: float) -> tuple[tuple[Lot, ...], float]:
    """The lots after pieces were used, oldest date first, and how many were lacking."""
    left = amount
    after: dict[int, Lot] = dict(enumerate(lots))
    for index in sorted(after, key=lambda number: _date(lots[number])):
        lot = lots[index]
        if lot.item == item and left > 0:
            gone = min(lot.amount, left)
            left -= gone
            after[index] = Lot(
                item=lot.item, amount=lot.amount - gone, lot=lot.lot, expires_ms=lot.expires_ms
            )
    return tuple(lot for lot in after.values() if lot.amount > 0), left


def recalled(
    lot: str, stocks: Mapping[str, Sequence[Lot]], hung: Mapping[str, Sequence[tuple[str, int]]]
) -> list[Found]:
    """Who has a lot at home, or had a bag of it hung: `hung` are lots and instants by therapy.

    Those who still have some come first: there somebody must go, or call, now.
    """
    found = []
    for therapy in sorted({*stocks, *hung}):
        times = tuple(sorted(at_ms for name, at_ms in hung.get(therapy, ()) if name == lot))
        there = [each for each in stocks.get(therapy, ()) if each.lot == lot and each.amount > 0]
        items = sorted({each.item for each in there}) or (["bag"] if times else [])
        for item in items:
            amount = sum(each.amount for each in there if each.item == item)
            found.append(Found(therapy=therapy, item=item, amount=amount, hung_ms=times))
    return sorted(found, key=lambda each: (not each.amount, each.therapy, each.item))


def _date(lot: Lot) -> float:
    return math.inf if lot.expires_ms is None else lot.expires_ms

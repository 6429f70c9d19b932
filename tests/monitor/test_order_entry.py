"""What a change makes of an order, held against the core's own reading of it."""

import random
from typing import Any

import msgspec
import pytest

from infusion.errors import MessageError
from infusion.prescription import Prescription, Start, Stop, compile_timeline
from infusion.units import MS_PER_MINUTE
from monitor.order_entry import LEAD_MS, OrderEntry, begins_ms, compared, entered, standing
from tests.infusion.bench import T0

NOW_MS = T0 + 600 * MS_PER_MINUTE
BEGINS_MS = NOW_MS + LEAD_MS
KINDS: dict[str, dict[str, Any]] = {
    "rate": {"amount": 20.0, "unit": "rate_iu_kg_h"},
    "hold": {"until_ms": NOW_MS + 90 * MS_PER_MINUTE},
    "bolus": {"dose_iu": 4000.0, "minutes": 10.0},
    "stop": {},
    "weight": {"weight_kg": 100.0, "keep": "kg"},
    "bag": {"concentration_iu_ml": 50.0},
}


def entry(kind: str, **more: Any) -> OrderEntry:
    """A change, as it comes over the wire."""
    return msgspec.convert({"kind": kind, "pump": "P-01"} | KINDS[kind] | more, OrderEntry)


def order(*steps: dict[str, Any]) -> Prescription:
    """An order of 80 kg and 100 IU/mL; by itself 18 IU/kg/h."""
    return msgspec.convert(
        {
            "therapy": "T-01",
            "version": 3,
            "pump": "P-01",
            "weight_kg": 80,
            "concentration_iu_ml": 100,
            "steps": steps or ({"do": "start", "at_ms": T0, "rate_iu_kg_h": 18},),
        },
        Prescription,
    )


def some_order(chance: random.Random) -> Prescription:
    """An order with a past: rates by weight or not, holds, a bolus, now and then a stop."""

    def rate() -> dict[str, Any]:
        per_kg = chance.choice((10, 12.5, 18))
        return chance.choice(({"rate_iu_kg_h": per_kg}, {"rate_iu_h": per_kg * 80}))

    steps: list[dict[str, Any]] = [{"do": "start", "at_ms": T0, **rate()}]
    runs = True
    for minute in sorted(chance.sample(range(1, 900), 6)):
        at_ms = T0 + minute * MS_PER_MINUTE
        kind = chance.choice(("rate", "rate", "hold", "bolus", "stop")) if runs else "start"
        steps.append({"do": kind, "at_ms": at_ms} | {
            "hold": {"until_ms": at_ms + 45 * MS_PER_MINUTE},
            "bolus": {"dose_iu": 2000, "duration_s": 600},
            "stop": {},
        }.get(kind, rate()))  # fmt: skip
        runs = kind != "stop"
    chance.shuffle(steps)
    return order(*steps)


def orders(count: int) -> list[Prescription]:
    """Some orders, the same each time."""
    chance = random.Random(8)
    return [some_order(chance) for _ in range(count)]


def test_what_an_order_says_now_is_what_the_core_says() -> None:
    """The rate at any instant, but for holds, which are told apart."""
    for each in orders(200):
        core = compile_timeline(each)
        for minute in (30, 200, 615, 1000):
            at_ms = T0 + minute * MS_PER_MINUTE + 7
            said = standing(each, at_ms)
            wanted = 0.0 if said.held_until_ms else said.iu_h
            assert core.base_rate_iu_h(at_ms) == pytest.approx(wanted)
            assert said.iu_kg_h * 80 == pytest.approx(said.iu_h)
            assert said.ml_h * 100 == pytest.approx(said.iu_h)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_leaves_the_past_as_it_was(kind: str) -> None:
    """The core finds each changed order sound, and the same dose due until the change begins."""
    changes = 0
    for each in orders(200):
        core = compile_timeline(each)
        try:
            changed = entered(each, entry(kind), "T-01", NOW_MS)
        except MessageError:
            # A hold of what is stopped, say: the core's own reason, and nothing is proposed.
            continue
        changes += 1
        assert changed.version == each.version + 1
        after = compile_timeline(changed)
        for at_ms in (T0 + 1, T0 + 300 * MS_PER_MINUTE, NOW_MS, BEGINS_MS):
            assert after.dose_until_iu(at_ms) == pytest.approx(core.dose_until_iu(at_ms))
    assert changes > 80


@pytest.mark.parametrize(
    ("kind", "more", "iu_h"),
    [
        ("rate", {}, 1600),
        ("rate", {"amount": 900.0, "unit": "rate_iu_h"}, 900),
        ("stop", {}, 0),
        ("weight", {}, 1800),
        ("weight", {"keep": "h"}, 1440),
        ("bag", {}, 1440),
    ],
)
def test_the_rate_after_a_change(kind: str, more: dict[str, Any], iu_h: float) -> None:
    """Of an order by weight, 18 IU/kg/h for 80 kg."""
    changed = entered(order(), entry(kind, **more), "T-01", NOW_MS)
    assert compile_timeline(changed).base_rate_iu_h(BEGINS_MS + 1) == pytest.approx(iu_h)


def test_what_was_stopped_begins_again_with_a_start() -> None:
    """A rate after a stop would be refused."""
    stopped = order(
        {"do": "start", "at_ms": T0, "rate_iu_h": 1000}, {"do": "stop", "at_ms": T0 + 9}
    )
    changed = entered(stopped, entry("rate"), "T-01", NOW_MS)
    assert isinstance(changed.steps[-1], Start)
    assert compile_timeline(changed).base_rate_iu_h(BEGINS_MS) == 1600


def test_a_stop_ends_what_was_planned() -> None:
    later = {"do": "rate", "at_ms": BEGINS_MS + 60_000, "rate_iu_h": 1000}
    planned = order({"do": "start", "at_ms": T0, "rate_iu_h": 1440}, later)
    changed = entered(planned, entry("stop"), "T-01", NOW_MS)
    assert isinstance(changed.steps[-1], Stop)
    assert len(changed.steps) == 2


def test_the_first_order_takes_weight_and_bag() -> None:
    first = entry("rate", weight_kg=70.0, concentration_iu_ml=50.0, at_ms=NOW_MS)
    made = entered(None, first, "T-01", NOW_MS)
    assert (made.version, made.therapy, made.pump) == (1, "T-01", "P-01")
    assert made.steps == (Start(at_ms=NOW_MS, rate_iu_kg_h=20.0),)
    assert standing(made, NOW_MS).ml_h == 28
    found = compared(None, made, begins_ms(first, NOW_MS))
    assert (found.before, found.words, found.is_wide) == (None, "", False)


@pytest.mark.parametrize("kind", ["rate", "hold", "bolus", "weight", "bag"])
def test_what_is_missing_is_named(kind: str) -> None:
    bare = msgspec.convert({"kind": kind, "pump": "P-01"}, OrderEntry)
    with pytest.raises(MessageError, match="is missing; give it"):
        entered(order(), bare, "T-01", NOW_MS)


@pytest.mark.parametrize(
    ("kind", "more", "words", "is_wide"),
    [
        ("rate", {}, "Dose × 1.11, pump rate × 1.11", False),
        ("rate", {"amount": 1.8}, "Dose × 0.1, pump rate × 0.1", True),
        ("bag", {}, "Dose × 1, pump rate × 2", True),
        ("stop", {}, "", False),
    ],
)
def test_the_factor_is_of_the_dose_and_of_the_pump(
    kind: str, more: dict[str, Any], words: str, is_wide: bool
) -> None:
    """A bag of half the strength doubles the rate of the pump and leaves the dose."""
    change = entry(kind, **more)
    found = compared(order(), entered(order(), change, "T-01", NOW_MS), begins_ms(change, NOW_MS))
    assert (found.words, found.is_wide) == (words, is_wide)

"""What the form of an order makes of an order, held against the core's own reading of it."""

import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Page

from infusion.prescription import Prescription, Timeline, compile_timeline
from infusion.units import MS_PER_MINUTE
from tests.infusion.bench import T0
from tests.monitor.web.browser import chromium, needs_chromium
from tests.monitor.web.course import shift

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]

LEAD_MS = 5 * MS_PER_MINUTE
NOW_MS = T0 + 600 * MS_PER_MINUTE
KINDS: dict[str, dict[str, Any]] = {
    "rate": {"amount": 20, "unit": "rate_iu_kg_h"},
    "hold": {"until_ms": NOW_MS + 90 * MS_PER_MINUTE},
    "bolus": {"dose_iu": 4000, "minutes": 10},
    "stop": {},
    "weight": {"weight_kg": 100, "keep": "kg"},
    "bag": {"concentration_iu_ml": 50},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script() -> AsyncIterator[Page]:
    """A page in which functions of forms.js can be called."""
    async with chromium() as browser, shift(browser) as found:
        yield await found.page("/system")


async def run(page: Page, name: str, *given: Any) -> Any:
    """What a function of forms.js gives."""
    call = "async ([name, given]) => (await import('/static/forms.js'))[name](...given)"
    return await page.evaluate(call, [name, list(given)])


def some_order(chance: random.Random) -> dict[str, Any]:
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
    return {"version": 3, "pump": "P-01", "weight_kg": 80, "concentration_iu_ml": 100, "steps": steps}  # fmt: skip


def timeline(order: dict[str, Any]) -> Timeline:
    """The core's reading of it."""
    return compile_timeline(msgspec.convert({"therapy": "T-01", **order}, Prescription))


def orders(count: int) -> list[dict[str, Any]]:
    """Some orders, the same each time."""
    chance = random.Random(8)
    return [some_order(chance) for _ in range(count)]


async def test_what_an_order_says_now_is_what_the_core_says(script: Page) -> None:
    """The rate at any instant, but for holds, which are told apart."""
    for order in orders(40):
        core = timeline(order)
        for minute in (30, 200, 615, 1000):
            at_ms = T0 + minute * MS_PER_MINUTE + 7
            said = await run(script, "standing", order, at_ms)
            held = said["held"] > at_ms
            assert core.base_rate_iu_h(at_ms) == pytest.approx(0 if held else said["iu_h"])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_leaves_the_past_as_it_was(script: Page, kind: str) -> None:
    """The core finds each changed order sound, and the same dose due until the change begins."""
    for order in orders(40):
        core = timeline(order)
        if kind == "hold" and core.base_rate_iu_h(T0) == 0:
            continue
        changed = await run(script, "changed", order, {"kind": kind, **KINDS[kind]}, NOW_MS)
        after = timeline({key: each for key, each in changed.items() if key != "therapy"})
        begins = NOW_MS + LEAD_MS
        for at_ms in (T0 + 1, T0 + 300 * MS_PER_MINUTE, NOW_MS, begins):
            assert after.dose_until_iu(at_ms) == pytest.approx(core.dose_until_iu(at_ms))


@pytest.mark.parametrize(
    ("kind", "more", "iu_h"),
    [
        ("rate", {}, 1600),
        ("stop", {}, 0),
        ("weight", {}, 1800),
        ("weight", {"keep": "h"}, 1440),
        ("bag", {}, 1440),
    ],
)
async def test_the_rate_after_a_change(
    script: Page, kind: str, more: dict[str, Any], iu_h: float
) -> None:
    """Of an order by weight, 18 IU/kg/h for 80 kg."""
    order = {"version": 1, "pump": "P-01", "weight_kg": 80, "concentration_iu_ml": 100,
             "steps": [{"do": "start", "at_ms": T0, "rate_iu_kg_h": 18}]}  # fmt: skip
    given = {"kind": kind, **KINDS[kind], **more}
    changed = await run(script, "changed", order, given, NOW_MS)
    assert timeline(changed).base_rate_iu_h(NOW_MS + LEAD_MS + 1) == pytest.approx(iu_h)


async def test_what_was_stopped_begins_again_with_a_start(script: Page) -> None:
    """A rate after a stop would be refused."""
    order = {"version": 1, "pump": "P-01", "weight_kg": 80, "concentration_iu_ml": 100,
             "steps": [{"do": "start", "at_ms": T0, "rate_iu_h": 1000}, {"do": "stop", "at_ms": T0 + 9}]}  # fmt: skip
    changed = await run(script, "changed", order, {"kind": "rate", **KINDS["rate"]}, NOW_MS)
    assert changed["steps"][-1]["do"] == "start"
    assert timeline(changed).base_rate_iu_h(NOW_MS + LEAD_MS) == 1600


@pytest.mark.parametrize(
    ("kind", "more", "words", "is_wide"),
    [
        ("rate", {}, "Dose × 1.11, pump rate × 1.11", False),
        ("rate", {"amount": 1.8}, "Dose × 0.1, pump rate × 0.1", True),
        ("bag", {}, "Dose × 1, pump rate × 2", True),
        ("stop", {}, "", False),
    ],
)
async def test_the_factor_is_of_the_dose_and_of_the_pump(
    script: Page, kind: str, more: dict[str, Any], words: str, is_wide: bool
) -> None:
    """A bag of half the strength doubles the rate of the pump and leaves the dose."""
    order = {"version": 1, "pump": "P-01", "weight_kg": 80, "concentration_iu_ml": 100,
             "steps": [{"do": "start", "at_ms": T0, "rate_iu_kg_h": 18}]}  # fmt: skip
    changed = await run(script, "changed", order, {"kind": kind, **KINDS[kind], **more}, NOW_MS)
    found = await run(script, "comparison", order, changed, NOW_MS + LEAD_MS + 1)
    assert (found["words"], found["wide"]) == (words, is_wide)

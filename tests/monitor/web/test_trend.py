"""The trend of a pump: its arithmetic by itself, and the picture against the samples it is made of."""

import random
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from infusion.units import MS_PER_MINUTE
from tests.infusion.bench import RATE_ML_H, T0
from tests.monitor.web.browser import chromium, needs_chromium
from tests.monitor.web.course import ANTI_XA, GAP_FROM_MS, GAP_TO_MS, MARKUP, Shift, shift

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]

PUMP = "/pump/home/P-01"
ORDERED_IU_H = RATE_ML_H * 100
LIMIT_MS = 150_000
# Positions in the picture are written with one digit after the point.
PIXEL = 0.11
STEP = re.compile(r"([ML])([\d.]+) ([\d.]+)(?:H([\d.]+))?")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def duty(browser: Browser) -> AsyncIterator[Shift]:
    """Nothing here changes the ward, so one is enough for all."""
    async with shift(browser) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(duty: Shift) -> Page:
    """A page in which functions of trend.js can be called."""
    return await duty.page("/system")


async def run(page: Page, name: str, *given: Any) -> Any:
    """What a function of trend.js gives."""
    call = "async ([name, given]) => (await import('/static/trend.js'))[name](...given)"
    return await page.evaluate(call, [name, list(given)])


def sample(minute: float, delivered: float, expected: float | None = None, **more: Any) -> Any:
    """One sample, so many minutes after the beginning."""
    return {"time_ms": round(minute * MS_PER_MINUTE), "delivered_iu": delivered,
            "expected_iu": delivered if expected is None else expected, "pressure_mmhg": 60,
            "level": 0.4, "level_low": 0.3, "level_high": 0.5} | more  # fmt: skip


async def cut(page: Page, samples: list[Any], width: float = 5, span: float = 60) -> Any:
    """The stretches of samples, in minutes."""
    given = (samples, 0, round(span * MS_PER_MINUTE), round(width * MS_PER_MINUTE), LIMIT_MS)
    return await run(page, "cut", *given)


# --- the arithmetic ------------------------------------------------------------------------------


async def test_no_stretch_reaches_over_a_gap(script: Page) -> None:
    """A gap is a stretch of its own, and says what was given in it by the counter."""
    samples = [sample(each, 24 * each) for each in (*range(11), *range(30, 61))]
    found = await cut(script, samples)
    (gap,) = (each for each in found if each.get("gap"))
    assert (gap["from"], gap["to"]) == (10 * MS_PER_MINUTE, 30 * MS_PER_MINUTE)
    assert gap["delivered"] == pytest.approx(480)
    for each in found:
        if not each.get("gap"):
            assert each["to"] <= gap["from"] or each["from"] >= gap["to"]
            assert each["delivered"] == pytest.approx(24 * (each["to"] - each["from"]) / 60_000)


async def test_before_the_first_and_after_the_last_sample_nothing_is_known(script: Page) -> None:
    """Neither end is filled up."""
    found = await cut(script, [sample(each, each) for each in range(20, 41)])
    assert [(each["from"], each["to"]) for each in found if each.get("gap")] == [
        (0, 20 * MS_PER_MINUTE),
        (40 * MS_PER_MINUTE, 60 * MS_PER_MINUTE),
    ]
    nothing = {"from": 0, "to": 60 * MS_PER_MINUTE, "gap": True, "delivered": None, "expected": None}  # fmt: skip
    assert await cut(script, []) == [nothing]


async def test_another_therapy_begins_anew_and_is_not_taken_off(script: Page) -> None:
    """Both doses fall: there is no stretch over it. Only what was given falls: that is a rate."""
    other = [sample(each, 100 * each) for each in range(31)]
    other += [sample(each, 7 * (each - 31)) for each in range(31, 61)]
    found = await cut(script, other)
    assert all(each["delivered"] >= 0 for each in found)
    assert not any(each["from"] < 31 * MS_PER_MINUTE < each["to"] for each in found)
    assert not any(each.get("gap") for each in found)
    held = [sample(each, 24 * each if each < 30 else 600, 24 * each) for each in range(61)]
    found = await cut(script, held, width=2)
    assert min(each["delivered"] for each in found) == pytest.approx(24 - 96)


async def test_doses_add_up_whatever_the_samples_are(script: Page) -> None:
    """Over any samples: stretches are in order, do not overlap, and lose no dose."""
    chance = random.Random(5)
    for _ in range(60):
        at, given, samples = 0.0, 0.0, []
        while at < 300:
            samples.append(sample(at, given, given * 1.1))
            step = chance.choice((1, 1, 1, 1.4, 2.4, 9, 40))
            at, given = at + step, given + chance.uniform(0, 60) * step
        found = await cut(script, samples, width=chance.choice((2, 5, 15)), span=samples[-1]["time_ms"] / 60_000)  # fmt: skip
        assert all(one["to"] == two["from"] for one, two in pairwise(found))
        assert sum(each["delivered"] for each in found) == pytest.approx(
            samples[-1]["delivered_iu"]
        )
        for one, two in pairwise(samples):
            if two["time_ms"] - one["time_ms"] > LIMIT_MS:
                gap = next(each for each in found if each["from"] == one["time_ms"])
                assert gap["gap"] and gap["to"] == two["time_ms"]  # noqa: PT018


async def test_bars_follow_an_alert_through_its_priorities(script: Page) -> None:
    """Raised, worse, over; what was open before the picture begins at its edge."""

    def mark(minute: int, change: str, priority: str = "low", alert: str = "a") -> Any:
        return {"time_ms": minute, "change": change, "priority": priority, "alert": alert, "rule": "r", "title": alert}  # fmt: skip

    marks = [mark(20, "raised"), mark(30, "escalated", "high"), mark(40, "cleared", "high"),
             mark(50, "cleared", "medium", "b")]  # fmt: skip
    still = {"id": "c", "raised_ms": 5, "priority": "medium", "title": "c"}
    found = await run(script, "bars", marks, [still], 10, 60)
    assert [(each["id"], each["priority"], each["from"], each["to"]) for each in found] == [
        ("b", "medium", 10, 50),
        ("c", "medium", 10, 60),
        ("a", "low", 20, 30),
        ("a", "high", 30, 40),
    ]


@pytest.mark.parametrize(("top", "found"), [(1584, [0, 500, 1000, 1500]), (0.77, [0, 0.2, 0.4, 0.6]), (90, [0, 25, 50, 75])])  # fmt: skip
async def test_axes_have_round_numbers(script: Page, top: float, found: list[float]) -> None:
    """About four of them."""
    assert await run(script, "steps", top, 4) == found


# --- the picture ---------------------------------------------------------------------------------


async def pieces(page: Page, name: str) -> list[tuple[float, float, float]]:
    """The level pieces of a path: from x, to x, at y."""
    path = await page.locator(f".trend path.{name}").get_attribute("d") or ""
    return [(float(a), float(b), float(y)) for _, a, y, b in STEP.findall(path) if b]


async def scale(page: Page) -> Any:
    """What a position in the panel of the dose means: IU/h by y, time by x (minutes after T0)."""
    texts = await page.evaluate(
        "[...document.querySelectorAll('.axes text')].map(t => [t.textContent, +t.getAttribute('x'), +t.getAttribute('y')])"
    )
    (one, y1), (two, y2) = [(float(text), y - 4) for text, _, y in texts if text.isdigit() and y < 290][:2]  # fmt: skip
    clocks = [(int(t[:2]) * 60 + int(t[3:]), x) for t, x, _ in texts if re.fullmatch(r"\d\d:\d\d", t)]  # fmt: skip
    (m1, x1), (m2, x2) = clocks[0], clocks[-1]
    began = T0 // MS_PER_MINUTE % 1440
    return (
        lambda y: one + (y - y1) * (two - one) / (y2 - y1),
        lambda x: m1 - began + (x - x1) * (m2 - m1) / (x2 - x1),
    )


async def test_a_gap_is_a_gap(duty: Shift) -> None:
    """No line of any sort crosses the time in which nobody heard the pump, and it says so."""
    page = await duty.page(PUMP)
    await page.locator(".trend .delivered").wait_for()
    _, minute = await scale(page)
    from_, to = (GAP_FROM_MS - T0) / MS_PER_MINUTE, (GAP_TO_MS - T0) / MS_PER_MINUTE
    for name in ("delivered", "prescribed", "pressure"):
        found = [(minute(a), minute(b)) for a, b, _ in await pieces(page, name)]
        assert found
        for one, two in found:
            assert two <= from_ + 0.5 or one >= to - 0.5, (name, one, two)
        # A path is broken there: it begins anew after the gap.
        path = await page.locator(f".trend path.{name}").get_attribute("d") or ""
        assert path.count("M") == 2
    level = await page.locator(".trend path.level").get_attribute("d") or ""
    assert [len(part.split("L")) > 2 for part in level.split("M")[1:]] == [True, True]
    for part in level.split("M")[1:]:
        places = [minute(float(each.split()[0])) for each in part.split("L")]
        assert max(places) <= from_ + 0.5 or min(places) >= to - 0.5
    await expect(page.locator(".trend text.gap")).to_have_text(["no data", "not heard"])


async def test_the_picture_and_the_table_say_what_the_samples_say(duty: Shift) -> None:
    """Each rate in both is the difference of two samples of the API over their time."""
    page = await duty.page(PUMP)
    await page.locator(".trend .delivered").wait_for()
    iu_h, minute = await scale(page)
    drawn = [(minute(a), minute(b), iu_h(y)) for a, b, y in await pieces(page, "delivered")]
    trend = await duty.api(page, "/pumps/home/P-01/trend?points=2000")
    given = {round((each["time_ms"] - T0) / MS_PER_MINUTE): each["delivered_iu"] for each in trend["samples"]}  # fmt: skip
    told = []
    for from_, to, value in drawn:
        one, two = round(from_), round(to)
        rate = (given[two] - given[one]) * 60 / (two - one)
        assert value == pytest.approx(max(0, rate), abs=25), (one, two)
        told.append((one, two, rate))
    assert min(two - one for one, two, _ in told) >= 1
    await page.get_by_role("button", name="As a table").click()
    rows = await page.locator(".wide tbody tr:not(.event, .gap)").all_inner_texts()
    assert len(rows) == len(drawn)
    for row, (one, two, rate) in zip(reversed(rows), told, strict=True):
        time, ordered, delivered, *_ = row.replace("\xa0", " ").split("\t")
        assert time == f"{clock(one)}–{clock(two)}"
        assert float(delivered.split()[0]) == pytest.approx(rate, abs=0.6)
        assert ordered == f"{ORDERED_IU_H:.0f} IU/h"
    assert "table=yes" in page.url
    # Nobody heard it for 25 min, and the next sample of a minute came a minute later.
    gaps = page.locator(".wide tr.gap")
    await expect(gaps.first).to_contain_text("not heard for 26 min")
    await expect(gaps.first).to_contain_text(re.compile(r"counter 624.IU were given meanwhile, 624.IU were ordered"))  # fmt: skip


def clock(minute: int) -> str:
    """The time of day so many minutes after the beginning, in UTC."""
    at = T0 // MS_PER_MINUTE + minute
    return f"{at // 60 % 24:02}:{at % 60:02}"


async def test_results_and_alerts_are_marked_in_both(duty: Shift) -> None:
    """Laboratory points at their value, alerts in the lane of their priority, with words."""
    page = await duty.page(PUMP)
    await expect(page.locator(".trend path.result title")).to_have_text(
        [re.compile(r"^16:33 aPTT 62.s$"), re.compile(r"^17:18 anti-Xa 0.42.IU/mL$")]
    )
    bars = await page.locator(".trend rect.bar title").all_text_contents()
    assert any(re.match(r"\*\*\* HIGH downstream occlusion, 18:1\d–18:30", each) for each in bars)
    await expect(page.locator(".trend .mark")).to_have_text(["***", "**", "*"])
    await page.get_by_role("button", name="As a table").click()
    rows = page.locator(".wide tr.event")
    await expect(rows.filter(has_text=f"anti-Xa {ANTI_XA}")).to_have_count(1)
    await expect(rows.filter(has_text="downstream occlusion: raised")).to_have_count(1)
    label = "Trend as a table, newest first"
    await expect(page.get_by_role("table", name=label)).to_be_visible()


async def test_other_spans_of_time(duty: Shift) -> None:
    """The choice is in the address, and a reload keeps it."""
    page = await duty.page(PUMP)
    await page.get_by_role("button", name="1 h", exact=True).click()
    await expect(page.locator(".trend")).to_have_attribute("aria-label", re.compile("from 17:30 to 18:30"))  # fmt: skip
    # What the closed line holds back was never given: it is taken off, and said.
    await expect(page.locator(".trend .cut")).to_have_text(re.compile("▼ −"))
    await page.reload()
    await expect(page.get_by_role("button", name="1 h", exact=True)).to_have_attribute("aria-pressed", "true")  # fmt: skip
    await page.get_by_role("button", name="24 h").click()
    await expect(page.locator(".trend")).to_have_attribute("aria-label", re.compile("from 18:30 to 18:30"))  # fmt: skip


async def test_text_in_a_picture_is_text(script: Page) -> None:
    """A title and a problem that look like markup are shown as they are written."""
    text = await script.evaluate(
        """async (markup) => {
          const { picture, tabled } = await import("/static/trend.js");
          const result = { test: "aptt", value: null, problem: markup, drawn_ms: 30 };
          const course = { from: 0, to: 100, at: (ms) => ms, slices: [], results: [result], changes: [],
            bars: [{ id: "a", priority: "high", from: 0, to: 90, title: markup }] };
          const box = document.createElement("div");
          box.append(picture(course, 9000), tabled(course));
          document.querySelector("main").append(box);
          return [box.querySelectorAll("img, script").length, box.textContent];
        }""",
        MARKUP,
    )
    assert text[0] == 0
    assert text[1].count(MARKUP) >= 3
    assert await script.evaluate("window.bad") is None

"""A pump with a past: what the tests of its views look at, and the people who look."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page

from infusion.clinical import LabResult
from infusion.units import MS_PER_MINUTE
from tests.infusion.bench import SITE, T0
from tests.monitor.web.browser import Served, Watched, until, watch
from tests.monitor.web.scripted import ScriptedWard

# P-01 runs 70 min as ordered, 20 min too fast, 30 min as ordered; 25 min nobody hears it; 100 min
# as ordered, then the line is blocked for 12 min.
GAP_FROM_MS = T0 + 120 * MS_PER_MINUTE
GAP_TO_MS = T0 + 145 * MS_PER_MINUTE
ANTI_XA = 0.42
PLACE: dict[str, Any] = {"locale": "en-GB", "timezone_id": "UTC"}
ALIVE = "() => ['live', 'blind'].includes(document.documentElement.dataset.live)"
MARKUP = "<img src=x onerror=window.bad=1><script>window.bad=1</script>"


def minutes(ward: ScriptedWard, count: int) -> None:
    """Go on minute by minute, so that each has its sample."""
    for _ in range(count):
        ward.advance(60)


async def course(ward: ScriptedWard) -> None:
    """The past of P-01; P-02 runs beside it and nothing happens to it."""
    ward.begin("P-01", "P-02")
    paper = ward.papers["P-01"]
    minutes(ward, 70)
    paper.program(21.6)
    minutes(ward, 20)
    paper.program(14.4)
    minutes(ward, 30)
    paper.mute()
    minutes(ward, 25)
    paper.mute(False)
    paper.send()
    minutes(ward, 40)
    await ward.tell(SITE, result("anti-xa", ANTI_XA, "[iU]/mL", ward.at_ms))
    await ward.tell(SITE, result("aptt", 62, "s", ward.at_ms - 45 * MS_PER_MINUTE))
    minutes(ward, 60)
    paper.stop("occlusion", alarms=("downstream-occlusion",), pressure_mmhg=620.0)
    minutes(ward, 12)


def result(test: Any, value: float, unit: str, drawn_ms: int) -> LabResult:
    """A laboratory result of T-01."""
    return LabResult(
        therapy="T-01", specimen=f"S-{test}", test=test, value=value, unit=unit,
        drawn_ms=drawn_ms, resulted_ms=drawn_ms,
    )  # fmt: skip


class Shift:
    """A served ward, and as many people looking at it as a test wants."""

    def __init__(self, browser: Browser, stack: AsyncExitStack, served: Served) -> None:
        self.browser, self.stack, self.served, self.ward = browser, stack, served, served.ward

    async def person(self, name: str = "Anna", **options: Any) -> Watched:
        """Somebody at a computer of their own, signed in."""
        return await watch(self.browser, self.stack, self.served, name, **(PLACE | options))

    async def page(self, path: str, name: str = "Anna", **options: Any) -> Page:
        """The page of one more person, alive; of two pumps one that is silent makes it blind."""
        watched = await self.person(name, **options)
        page = await watched.context.new_page()
        await page.goto(f"{watched.url}{path}")
        await until(page, ALIVE)
        return page

    async def api(self, page: Page, path: str) -> Any:
        """What the API says to the person of a page."""
        answer = await page.request.get(f"{self.served.url}/api/v1{path}")
        assert answer.status == 200, await answer.text()
        return await answer.json()


@asynccontextmanager
async def shift(browser: Browser) -> AsyncIterator[Shift]:
    """The ward with a past, served."""
    async with AsyncExitStack() as stack:
        ward = ScriptedWard()
        await course(ward)
        served = await stack.enter_async_context(Served(ward))
        yield Shift(browser, stack, served)

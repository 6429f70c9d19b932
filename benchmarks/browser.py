"""The page in a real Chromium, for `python -m benchmarks.page --browser`: change to paint, and CPU.

The browser paints in software, as it does where there is no graphics card, so what it takes is an
upper bound. A change counts as painted when a task runs that was asked for in the frame after it:
the frame is then out.

- **Change to paint**: from the instant at which the monitor received a message until the row that
  it led to is painted.
- **Alert to event, and to paint**: from the instant at which the message of an alarm is handed to
  our link until its alert stands in the stream, and until the page has painted it.
- **Processor of the tab**: its renderer, and all processes of the browser together.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from playwright.async_api import Browser, CDPSession, Page

from benchmarks.delay import PROBE_GAP_S
from benchmarks.figures import percentile
from benchmarks.stream import alarming, send
from benchmarks.viewers import LIMIT
from infusion.messages import Event, Telemetry
from link import Link
from monitor.web.stream import PATH
from tests.monitor.web.browser import chromium

VIEWS = ("/wall", "/")
# So far apart that the list of open alerts stays one that a ward could have.
PROBES_MAX = 60
WINDOW: Any = {"width": 1440, "height": 900}
LIVE = "() => document.documentElement.dataset.live === 'live'"
WAIT_MS = 30_000
QUOTE = b'"'

_WATCH = """async () => {
  const { state, subscribe } = await import("/static/state.js");
  const heard = new Map([...state.pumps].map(([key, row]) => [key, row.heard_ms]));
  window.seen = { delays: [], alerts: {} };
  subscribe(({ pumps, news }) => {
    const fresh = [];
    for (const key of pumps) {
      const ms = state.pumps.get(key).heard_ms;
      if (ms > (heard.get(key) ?? ms)) fresh.push(ms);
      heard.set(key, ms);
    }
    const raised = news.filter(({ kind }) => kind === "new").map(({ alert }) => alert.pump);
    if (!fresh.length && !raised.length) return;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const now = performance.timeOrigin + performance.now();
        for (const ms of fresh) window.seen.delays.push(now - ms);
        for (const pump of raised) window.seen.alerts[pump] ??= now;
      };
      port2.postMessage(0);
    });
  });
}"""


class Painted(Struct, frozen=True, kw_only=True):
    """What one view came to; times in ms, shares of a core."""

    view: str
    changes: int
    paint_p50_ms: float
    paint_p99_ms: float
    alerts: int
    event_p50_ms: float
    event_p99_ms: float
    alert_paint_p50_ms: float
    alert_paint_p99_ms: float
    tab_share: float
    browser_share: float


class Alerts:
    """When the alert of each pump was first seen in the stream, by this process' clock."""

    def __init__(self) -> None:
        self.seen_s: dict[str, float] = {}

    async def watch(self, port: int, token: str) -> None:
        """Read the stream of alerts until cancelled."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LIMIT)
        head = f"GET {PATH}?kinds=alerts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head += f"Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
        writer.write(head.encode())
        try:
            await reader.readuntil(b"\r\n\r\n")
            while length := int(await reader.readline(), 16):
                events = await reader.readexactly(length + 2)
                now_s = time.time()
                for part in events.split(b'"pump":"P-ALARM-')[1:]:
                    name = f"P-ALARM-{part.partition(QUOTE)[0].decode()}"
                    self.seen_s.setdefault(name, now_s)
        finally:
            writer.close()


@asynccontextmanager
async def signed_in(url: str, name: str, password: str) -> AsyncIterator[tuple[Browser, Page]]:
    """A browser with one tab, in which somebody is signed in."""
    async with chromium() as browser:
        context = await browser.new_context(viewport=WINDOW)
        answer = await context.request.post(
            f"{url}/api/v1/session",
            data={"name": name, "password": password},
            headers={"Origin": url},
        )
        assert answer.status == 204, await answer.text()
        yield browser, await context.new_page()


async def look(
    port: int, token: str, name: str, password: str, seconds: float, warm_s: float,
    link: Link, sample: Telemetry | Event,
) -> list[Painted]:  # fmt: skip
    """Each view for so many seconds, while pumps alarm now and then."""
    url = f"http://127.0.0.1:{port}"
    alerts, found = Alerts(), []
    reading = asyncio.create_task(alerts.watch(port, token))
    try:
        async with signed_in(url, name, password) as (browser, page):
            session = await browser.new_browser_cdp_session()
            for view in VIEWS:
                await page.goto(f"{url}{view}")
                await page.wait_for_function(LIVE, timeout=WAIT_MS)
                await asyncio.sleep(warm_s)
                found.append(await _look_at(view, page, session, seconds, alerts, link, sample))
    finally:
        reading.cancel()
    return found


async def _look_at(
    view: str, page: Page, session: CDPSession, seconds: float, alerts: Alerts,
    link: Link, sample: Telemetry | Event,
) -> Painted:  # fmt: skip
    await page.evaluate(_WATCH)
    before, begin_s = await _cpu_s(session), time.perf_counter()
    sent: dict[str, float] = {}
    gap_s = max(PROBE_GAP_S, seconds / PROBES_MAX)
    while time.perf_counter() - begin_s < seconds:
        await asyncio.sleep(gap_s)
        pump = f"P-ALARM-{view.strip('/') or 'list'}-{len(sent)}"
        topic, payload = alarming(sample, pump, 0)
        sent[pump] = time.time()
        send(link, topic, payload)
    after, wall_s = await _cpu_s(session), time.perf_counter() - begin_s
    # The last alert is on its way.
    await asyncio.sleep(1.0)
    seen = await page.evaluate("window.seen")
    events_ms = [1e3 * (alerts.seen_s[pump] - at) for pump, at in sent.items()]
    painted_ms = [seen["alerts"][pump] - 1e3 * at for pump, at in sent.items()]
    delays_ms = seen["delays"]
    return Painted(
        view=view,
        changes=len(delays_ms),
        paint_p50_ms=percentile(delays_ms, 0.5),
        paint_p99_ms=percentile(delays_ms, 0.99),
        alerts=len(sent),
        event_p50_ms=percentile(events_ms, 0.5),
        event_p99_ms=percentile(events_ms, 0.99),
        alert_paint_p50_ms=percentile(painted_ms, 0.5),
        alert_paint_p99_ms=percentile(painted_ms, 0.99),
        tab_share=(after[0] - before[0]) / wall_s,
        browser_share=(after[1] - before[1]) / wall_s,
    )


async def _cpu_s(session: CDPSession) -> tuple[float, float]:
    """What the busiest renderer and all processes of the browser have taken, in seconds."""
    processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    renderers = [each["cpuTime"] for each in processes if each["type"] == "renderer"]
    return max(renderers, default=0.0), sum(each["cpuTime"] for each in processes)

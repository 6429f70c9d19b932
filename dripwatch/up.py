"""Everything in one process: broker, pumps, monitor and a live view. `dripwatch up`.

The parts speak to one another over the broker only, as they would on three machines; the view
hears the alerts from the broker too. What is shared is the clock, so that the pumps' time and the
monitor's run equally fast.

At the end the pumps stop first, then the monitor takes in what they said, then all is summed up.
"""

import asyncio
import time
from importlib.metadata import version

from msgspec import Struct
from rich.console import Console
from rich.live import Live

from dripwatch import summary as summaries
from dripwatch.tasks import end, first
from dripwatch.view import Frame, clock_text, render, told_line
from dripwatch.watch import Watch
from infusion.account import Account
from infusion.errors import ConfigError
from infusion.messages import AlertChange
from infusion.units import nanolitres, round_dose_iu
from monitor.people import Role
from monitor.service import MonitorService, ServiceSettings
from simulator.fleet import PumpSummary
from simulator.service import Simulator
from simulator.service import Status as SimulatorStatus
from simulator.setup import Setup, SimulatorSettings
from simulator.story.expectations import judge

FRAME_S = 0.25
# Without a terminal, the state of things is told this often.
LINE_S = 10.0
# How long the monitor may take to account for the last messages of the pumps.
SETTLE_S = 0.5
POLL_S = 0.02
TOLD_MAX = 100_000
# Who can sign in at the page by a link: two, because an order is checked by a second person.
DEMO_PEOPLE: dict[str, list[Role]] = {"nurse": ["nurse", "admin"], "pharmacist": ["pharmacist"]}
LINK_MINUTES = 12 * 60


class UpSettings(Struct, frozen=True, kw_only=True):
    """What `up` must be told, apart from its parts' own settings."""

    setup: Setup
    simulator: SimulatorSettings
    monitor: ServiceSettings
    speed: float
    for_s: float | None = None
    show: bool = True


class Up:
    """One run. `run` works until `stop`, or for `for_s` seconds, and gives the summary."""

    def __init__(self, settings: UpSettings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._simulator = Simulator(
            settings.simulator,
            settings.monitor.link,
            settings.setup,
            speed=settings.speed,
        )
        self._service = MonitorService(settings.monitor, now_ms=self._now_ms)
        self._told: list[AlertChange] = []
        # Links that sign in at the page, by who they are for.
        self._links: dict[str, str] = {}
        self._listening = asyncio.Event()
        self._began_s = time.monotonic()

    @property
    def has_begun(self) -> bool:
        """Whether the pumps run."""
        return self._simulator.started.is_set()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._simulator.stop()

    async def run(self) -> summaries.Summary:
        """Raises LinkError, StoreError and ConfigError where a part cannot go on."""
        monitoring = asyncio.create_task(self._service.run(), name="monitor")
        listening = asyncio.create_task(self._listen(), name="watch")
        try:
            await first(self._service.ready.wait(), monitoring, listening)
            await first(self._listening.wait(), monitoring, listening)
            await first(self._make_links(), monitoring, listening)
            showing = asyncio.create_task(self._show(), name="view")
            try:
                running = self._simulator.run(for_s=self._settings.for_s)
                last = await first(running, monitoring, listening, showing)
            finally:
                await end(showing)
            await self._settle()
            return self._sum_up(last)
        finally:
            self._service.stop()
            await end(listening)
            await asyncio.wait((monitoring,))

    def _now_ms(self) -> int:
        """The monitor's clock: the same zero and the same speed as the pumps'."""
        elapsed_ms = (time.monotonic() - self._began_s) * 1_000
        return self._simulator.fleet.start_ms + int(elapsed_ms * self._settings.speed)

    async def _listen(self) -> None:
        """Hear the alerts from the broker, as anybody would."""
        stream = Watch(self._settings.monitor.link, with_open=False)
        async for said in stream.said(on_ready=self._listening.set):
            if isinstance(said, AlertChange) and len(self._told) < TOLD_MAX:
                self._told.append(said)

    async def _make_links(self) -> None:
        """Sign-in links for who sits at this machine; elsewhere people have names and passwords."""
        page = self._service.page
        if page is None:
            return
        for name, roles in DEMO_PEOPLE.items():
            try:
                self._links[name] = await page.link(name, roles, LINK_MINUTES)
            except ConfigError:
                # The store has such a user already, or others reach the page: they sign in.
                self._links = {"page": page.url}
                return

    async def _show(self) -> None:
        """The live picture on a terminal; lines elsewhere."""
        if not self._settings.show:
            await asyncio.Event().wait()
        if self._console.is_terminal:
            with Live(console=self._console, screen=True, auto_refresh=False) as live:
                while True:
                    live.update(render(self.frame(), height=self._console.height), refresh=True)
                    await asyncio.sleep(FRAME_S)
        await self._show_lines()

    async def _show_lines(self) -> None:
        shown = 0
        next_s = 0.0
        for name, link in self._links.items():
            self._console.print(f"page for the {name}: {link}", soft_wrap=True)
        while True:
            for change in self._told[shown:]:
                line = told_line(change, self._simulator.fleet.start_ms)
                self._console.print(line, soft_wrap=True)
            shown = len(self._told)
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + LINE_S
                frame = self.frame()
                self._console.print(_line(frame), soft_wrap=True)
            await asyncio.sleep(FRAME_S)

    def frame(self) -> Frame:
        """The picture as it stands now."""
        status = self._simulator.status()
        start_ms = self._simulator.fleet.start_ms
        return Frame(
            title=self._settings.setup.scenario.header.title or self._settings.setup.scenario.name,
            broker=self._settings.monitor.link.address,
            speed=self._settings.speed,
            elapsed_ms=status.device_ms - start_ms,
            start_ms=start_ms,
            published=status.counters.acknowledged,
            lag_ms=status.lag_ms,
            status=self._service.status(),
            told=tuple(self._told),
            links=self._links,
        )

    async def _settle(self) -> None:
        """Let the monitor take in the pumps' last messages."""
        pumps = self._simulator.fleet.summary()
        deadline_s = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline_s:
            if all(
                (account := self._account(pump)) is not None
                and account.pumped_nl == nanolitres(line.pumped_ml)
                for pump, line in pumps.items()
            ):
                return
            await asyncio.sleep(POLL_S)

    def _sum_up(self, last: SimulatorStatus) -> summaries.Summary:
        settings, simulator = self._settings, self._simulator
        start_ms, end_ms = simulator.fleet.start_ms, simulator.fleet.now_ms
        status = self._service.status()
        # The pumps' goodbye is not part of the story, nor is what a monitor makes of it.
        changes = tuple(change for change in self._told if change.alert.changed_ms <= end_ms)
        return summaries.Summary(
            schema=summaries.SCHEMA,
            version=version("dripwatch"),
            scenario=settings.setup.scenario.name,
            seed=settings.simulator.seed,
            speed=settings.speed,
            broker=settings.monitor.link.address,
            wall_s=round(last.elapsed_s, 3),
            start_ms=start_ms,
            end_ms=end_ms,
            published=last.counters.sent,
            acknowledged=last.counters.acknowledged,
            received=status.totals.messages,
            duplicates=status.duplicates,
            refused=status.totals.refused,
            results=status.records.results,
            reports=status.records.reports,
            acts_done=status.totals.acts_done,
            acts_late=status.totals.acts_late,
            acts_refused=status.totals.acts_refused,
            damped=status.alerts.damped,
            dropped=status.alerts.dropped,
            lag_max_ms=round(last.lag_max_ms, 1),
            pumps=tuple(
                self._pump_line(pump, line) for pump, line in simulator.fleet.summary().items()
            ),
            changes=changes,
            unmet=tuple(judge(settings.setup.scenario, changes, start_ms, end_ms)),
        )

    def _pump_line(self, pump: str, line: PumpSummary) -> summaries.PumpLine:
        account = self._account(pump)
        return summaries.PumpLine(
            pump=pump,
            state=line.state.value,
            pumped_ml=round(line.pumped_ml, 6),
            held_ml=round(line.held_ml, 6),
            pumped_iu=round_dose_iu(line.delivered_iu),
            account_iu=None if account is None else round_dose_iu(account.pumped_iu),
            prescribed_iu=round_dose_iu(line.prescribed_iu),
        )

    def _account(self, pump: str) -> Account | None:
        return self._service.accounts().get(f"{self._settings.simulator.site}/{pump}")


def _line(frame: Frame) -> str:
    """How things stand, for a reader without a terminal."""
    pumps = frame.status.pumps
    alerts = sum(len(pump.alerts) for pump in pumps)
    return (
        f"{clock_text(frame.elapsed_ms)} {len(pumps)} pumps, {frame.published:,} messages"
        f" published, {frame.status.totals.messages:,} received,"
        f" {alerts} open alert{'' if alerts == 1 else 's'}"
    )

"""The simulator as a whole: a fleet on a scaled clock, and its publisher.

Start with `Simulator.run`. Device time begins at `start_ms` when the broker has been reached, and
goes `speed` times as fast as the wall's; whatever is due is made every `WAKE_S` and published.
When the machine cannot keep up, the fleet is late by `lag_ms`, which is shown, never hidden.
"""

import asyncio
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from link import LinkSettings
from simulator.fleet import Fleet, PumpSummary
from simulator.publisher import Publisher, remembered_boot
from simulator.recording import Recorder, header_of
from simulator.sessions import PublisherCounters
from simulator.setup import FIRST_BOOT_MAX, Setup, SimulatorSettings
from simulator.stream import Output

# How often the fleet is moved on, in wall time.
WAKE_S = 0.05
# How much wall time one wake may use before others get their turn.
BURST_S = 0.05
# How long the broker may take to answer the first connection.
REACH_S = 10.0
# How long the goodbyes may take when the simulator stops.
STOP_S = 1.2


class Status(Struct, frozen=True, kw_only=True):
    """How the simulator stands: clock, connections, messages, and each pump by name.

    `lag_ms` is how far the fleet is behind its clock, in wall time; `lag_max_ms` the worst yet.
    """

    device_ms: int
    elapsed_s: float
    speed: float
    lag_ms: float
    lag_max_ms: float
    connected: int
    sessions: int
    waiting: int
    counters: PublisherCounters
    refused_actions: int
    pumps: dict[str, PumpSummary]


class Simulator:
    """Runs one scenario on one broker until it is told to stop."""

    def __init__(
        self,
        settings: SimulatorSettings,
        link: LinkSettings,
        setup: Setup,
        *,
        speed: float = 1.0,
    ) -> None:
        """`link` says where the broker is; its client id is not used. `speed` is 1 to 1000.

        Raises ConfigError where setup and settings do not fit together.
        """
        # The one place where the simulator looks at a calendar: when its story begins.
        start_ms = round(time.time() * 1000) if settings.start_ms is None else settings.start_ms
        self.settings = settings
        self.speed = speed
        self._link = link
        self.fleet = Fleet(
            setup.scenario,
            setup.profile,
            profiles=setup.profiles,
            pumps=settings.pumps or setup.scenario.header.pumps,
            start_ms=start_ms,
            seed=settings.seed,
            interval_s=settings.interval_s,
            library=setup.library,
            guideline=setup.guideline,
            step_s=settings.step_s,
            site=settings.site,
            truth=settings.truth,
        )
        self.publisher = Publisher(
            link,
            orders=self.fleet.current_orders,
            client_prefix=settings.client_prefix,
            connect_rate_s=settings.connect_rate_s,
        )
        self.started = asyncio.Event()
        self._recorder: Recorder | None = None
        self._end_ms: int | None = None
        self._stop = asyncio.Event()
        self._began_s = 0.0
        self._lag_ms = 0.0
        self._lag_max_ms = 0.0

    def stop(self) -> None:
        """Ask `run` to come to its end; safe to call twice and from a signal handler."""
        self._stop.set()

    async def run(
        self,
        *,
        for_s: float | None = None,
        on_output: Callable[[list[Output]], object] | None = None,
    ) -> Status:
        """Run until `stop`, or for some seconds of wall time, and say goodbye for every pump.

        `on_output` sees what the fleet says, before it is published. Returns the last status.
        Raises LinkError when the broker cannot be reached or refuses for good, and ConfigError when
        the recording cannot be written.
        """
        if for_s is not None:
            # Whole steps, so that the same run ends at the same message.
            self._end_ms = self.fleet.start_ms + round(for_s * self.speed * 1000)
        self._begin_recording()
        goodbye_s = 0.0
        try:
            self.fleet.count_boots_from(self.settings.first_boot or await self._next_boot())
            self._advance(self.fleet.start_ms, on_output)
            await self.publisher.reach(REACH_S)
            self._began_s = time.monotonic()
            self.started.set()
            while not self._stop.is_set() and not self._is_over(for_s):
                self._wake(on_output)
                await self._sleep()
            if not self._stop.is_set():
                self._wake(on_output)
            last = self.status()
            self._say(self.fleet.close(), on_output)
            if self._recorder is not None:
                self._recorder.close(self.fleet.now_ms)
            goodbye_s = STOP_S
        finally:
            if self._recorder is not None:
                self._recorder.abandon()
            # Nobody waits for goodbyes that were never said: after an error the wills go out.
            await self.publisher.close(goodbye_s)
        return last

    def status(self) -> Status:
        """How things stand now; costs a few µs for each pump."""
        return Status(
            device_ms=self.fleet.now_ms,
            elapsed_s=self._elapsed_s() if self.started.is_set() else 0.0,
            speed=self.speed,
            lag_ms=self._lag_ms,
            lag_max_ms=self._lag_max_ms,
            connected=self.publisher.connected,
            sessions=self.publisher.sessions,
            waiting=self.publisher.waiting,
            counters=self.publisher.counters,
            refused_actions=self.fleet.refused,
            pumps=self.fleet.summary(),
        )

    async def _next_boot(self) -> int:
        name = f"{self.settings.client_prefix}boots"
        settings = replace(self._link, client_id=name, clean_start=True, session_expiry_s=0)
        boot = await remembered_boot(settings, self.settings.site, REACH_S)
        return boot + 1 if boot < FIRST_BOOT_MAX else 1

    def _begin_recording(self) -> None:
        """Raises ConfigError where the file cannot be made."""
        settings = self.settings
        if settings.record is None:
            return
        header = header_of(
            scenario=self.fleet.scenario.name,
            profile=settings.profile,
            seed=settings.seed,
            pumps=settings.pumps or self.fleet.scenario.header.pumps,
            start_ms=self.fleet.start_ms,
            speed=self.speed,
            site=settings.site,
        )
        self._recorder = Recorder(settings.record, header)

    def _wake(self, on_output: Callable[[list[Output]], object] | None) -> None:
        """Make what is due, but no longer than `BURST_S`, then see how far behind it left us."""
        deadline_s = time.monotonic() + BURST_S
        step_ms = max(1, round(self.settings.step_s * 1000))
        while self._due_ms() - self.fleet.now_ms >= step_ms and time.monotonic() < deadline_s:
            self._advance(self.fleet.now_ms + step_ms, on_output)
        # Up to one step behind is the grid of the clock, and not lag.
        behind_ms = max(0, self._due_ms() - self.fleet.now_ms - step_ms)
        self._lag_ms = behind_ms / self.speed
        self._lag_max_ms = max(self._lag_max_ms, self._lag_ms)

    def _advance(self, to_ms: int, on_output: Callable[[list[Output]], object] | None) -> None:
        self._say(self.fleet.advance(to_ms), on_output)

    def _say(
        self, outputs: list[Output], on_output: Callable[[list[Output]], object] | None
    ) -> None:
        if self._recorder is not None:
            self._recorder.write(outputs)
        if on_output is not None:
            on_output(outputs)
        self.publisher.submit(outputs)

    async def _sleep(self) -> None:
        """Until the next wake, or until somebody asks to stop."""
        try:
            async with asyncio.timeout(0 if self._lag_ms > 0 else WAKE_S):
                await self._stop.wait()
        except TimeoutError:
            return

    def _is_over(self, for_s: float | None) -> bool:
        return for_s is not None and self._elapsed_s() >= for_s

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def _due_ms(self) -> int:
        due_ms = self.fleet.start_ms + int(self._elapsed_s() * self.speed * 1000)
        return due_ms if self._end_ms is None else min(due_ms, self._end_ms)

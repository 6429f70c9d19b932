"""The monitor as a process: what is started, in which order, and how it ends.

    store ── load ──► runner ◄── batches ── desk ◄── intake ◄── link ◄── broker
                        │                    ▲                              ▲
                        ├── changes ── outlets/mqtt ── link ────────────────┘
                        └── what changed ──► page: people read, and put on the desk what they do

The monitor publishes its presence as a heartbeat and subscribes to it: each beat that comes back
proves that the broker delivers, and lets the partition clock advance even when every pump is
silent. Its will says "offline".
"""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal

import structlog
from msgspec import Struct, structs

from host.clock import scaled_clock
from infusion.account import Account
from infusion.dose import Dose, therapy_dose
from infusion.errors import LinkError, StoreError
from infusion.messages import (
    CONTENT_TYPE,
    MONITOR_SITE,
    USER_PROPERTIES,
    Alert,
    Kind,
    MonitorPresence,
    PumpMessage,
    Topic,
    encode,
)
from infusion.monitor import Monitor, MonitorSettings, PumpState
from infusion.record import Record
from link import Link, LinkSettings, Will, open_link
from monitor.behind import Behind
from monitor.calm import Calm
from monitor.desk import Desk
from monitor.intake import SUBSCRIPTIONS, LinkIntake
from monitor.outlets.mqtt import MqttSink
from monitor.outlets.words import WordOutlet
from monitor.partition import WHOLE, Partition
from monitor.ports import AGAIN_MAX
from monitor.references import References
from monitor.runner import PartitionRunner, Totals
from monitor.store import SqliteStore
from monitor.web.live import LiveWard
from monitor.web.page import Page
from monitor.web.server import WebSection

log = structlog.get_logger()

PresenceState = Literal["online", "offline"]

BEAT_S = 0.5
CONNECT_TIMEOUT_S = 30.0
# How long the broker keeps messages for a monitor that is away.
SESSION_EXPIRY_S = 7 * 24 * 3600
STALL_S = 1.0


class ServiceSettings(Struct, frozen=True, kw_only=True):
    """What a monitor process must be told. `store` None keeps everything in memory."""

    link: LinkSettings
    instance: str = "monitor-1"
    store: Path | None = None
    speed: float = 1.0
    core: MonitorSettings = MonitorSettings()
    references: References = References()
    web: WebSection = WebSection()
    # Whether a taken port of the page gives its place to a free one.
    web_or_any_port: bool = False
    # The part of the pumps that this process judges; all others are left to other processes.
    partition: Partition = WHOLE

    @property
    def name(self) -> str:
        """What this process is called on the broker."""
        return self.partition.name(self.instance)

    @property
    def file(self) -> Path | None:
        """Its own store."""
        return self.store and self.partition.store(self.store)


class PumpView(Struct, frozen=True):
    """One pump as a reader wants to see it. `dose` is over the whole therapy."""

    site: str
    pump: str
    therapy: str | None
    edge: PumpMessage | None
    age_ms: int
    online: bool | None
    dose: Dose | None
    alerts: tuple[Alert, ...]


class RecordCounts(Struct, frozen=True, kw_only=True):
    """What is kept of therapies: how many there are, and all results and reports of them."""

    therapies: int = 0
    results: int = 0
    reports: int = 0


class AlertCounts(Struct, frozen=True, kw_only=True):
    """Alerts of all pumps since they were first heard, whichever run of the monitor it was.

    `damped` came and went so often that they were held open, `dropped` were not said because too
    many alerts of their pump were open. `unseen` are over, and nobody has seen them yet.
    """

    raised: int = 0
    damped: int = 0
    dropped: int = 0
    unseen: int = 0


class Status(Struct, frozen=True):
    """The monitor as it stands: its pumps, its counts since it started, the file of its policy."""

    connected: bool
    totals: Totals
    duplicates: int
    late: int
    stalled_ms: int
    pumps: tuple[PumpView, ...]
    records: RecordCounts = RecordCounts()
    alerts: AlertCounts = AlertCounts()
    policy: str = ""


class MonitorService:
    """One monitor. `run` works until `stop`; `status` may be asked at any time in between.

    `now_ms` is the monitor's clock; by default it starts now and runs at `settings.speed`.
    """

    def __init__(
        self, settings: ServiceSettings, *, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._settings = settings
        self._now_ms = now_ms or scaled_clock(settings.speed)
        self._presence_topic = str(Topic(Kind.MONITOR_PRESENCE, MONITOR_SITE, settings.name))
        self._beats = 0
        self._behind = Behind(
            self._presence_topic,
            beat_ms=round(BEAT_S * 1_000 * settings.speed),
            speed=settings.speed,
        )
        self._link: Link | None = None
        self._runner: PartitionRunner | None = None
        self._stopping = asyncio.Event()
        # The page, where one is asked for; it listens as soon as it is there.
        self.page: Page | None = None
        # Set once the monitor is connected, has resumed its state, and takes messages.
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`.

        Raises LinkError and StoreError where it cannot go on, ConfigError where the page cannot.
        """
        settings = self._settings
        if settings.web.listen:
            self.page = Page(settings.web, settings.store, or_any_port=settings.web_or_any_port)
        link = open_link(
            structs.replace(
                settings.link,
                client_id=f"dripwatch-monitor-{settings.name}",
                session_expiry_s=SESSION_EXPIRY_S,
                receive_max=AGAIN_MAX,
            ),
            subscriptions=SUBSCRIPTIONS,
            will=Will(
                topic=self._presence_topic,
                payload=self._presence("offline"),
                retain=True,
                content_type=CONTENT_TYPE,
                user_properties=USER_PROPERTIES,
            ),
            on_connect=self._on_connect,
        )
        stall_ms = round(STALL_S * 1_000 * settings.speed)
        core = structs.replace(settings.core, stall_ms=stall_ms, spreads_looks=True)
        async with (
            SqliteStore(settings.file) as store,
            WordOutlet(settings.file, link) as words,
            link,
        ):
            self._link = link
            references = settings.references
            intake = LinkIntake(link, self._now_ms, settings.partition)
            desk = Desk(intake, self._now_ms)
            monitor = Monitor(core, references.policy, references.nomograms)
            if settings.partition.of > 1:
                monitor.owns = settings.partition.owns
            runner = PartitionRunner(
                monitor,
                desk,
                store,
                MqttSink(link),
            )
            runner.watchers += [desk.watch, self._behind.watch, Calm(monitor.pumps).watch]
            ward = LiveWard(
                runner,
                desk,
                store,
                link,
                words,
                instance=settings.name,
                speed=settings.speed,
                references=references,
                now_ms=self._now_ms,
                behind=self._behind,
            )
            try:
                await self._work(runner, link, ward, words)
            finally:
                desk.close(StoreError("the monitor has stopped; nothing was stored"))
            self._say_presence(link, "offline")
        log.info("stopped", **structs.asdict(runner.totals))

    def stop(self) -> None:
        """Ask `run` to end: what is in hand is finished, stored and said."""
        self._stopping.set()

    def status(self) -> Status:
        """The monitor as it stands now; before it is ready there are no pumps."""
        runner, link = self._runner, self._link
        if runner is None or link is None:
            return Status(False, Totals(), 0, 0, 0, ())
        states = runner.monitor.pumps.values()
        return Status(
            connected=link.is_connected,
            totals=runner.totals,
            duplicates=sum(state.account.duplicates for state in states),
            late=sum(state.account.late for state in states),
            stalled_ms=runner.monitor.clock.stalled_ms,
            pumps=tuple(self._view(runner, state) for state in states),
            records=_count_records(runner.monitor.therapies.records.values()),
            alerts=_count_alerts(states),
            policy=self._settings.references.alerts,
        )

    def accounts(self) -> dict[str, Account]:
        """The dose account of each pump, by `site/pump`."""
        if self._runner is None:
            return {}
        return {key: state.account for key, state in self._runner.monitor.pumps.items()}

    async def _work(
        self, runner: PartitionRunner, link: Link, ward: LiveWard, words: WordOutlet
    ) -> None:
        """Run until asked to stop, or until any part fails; the first failure is raised."""
        beating = asyncio.create_task(self._beat(link), name="heartbeat")
        running = asyncio.create_task(self._drive(runner, link, ward, words), name="runner")
        telling = asyncio.create_task(words.run(), name="words")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        parts = [beating, running, telling, stopping]
        page = self.page
        if page is not None:
            parts.append(asyncio.create_task(page.run(ward), name="page"))
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if page is not None:
                page.stop()
            if self.ready.is_set():
                runner.stop()
            else:
                running.cancel()
            beating.cancel()
            stopping.cancel()
            # The runner's end waits for the broker; what it acknowledges until then is told.
            await asyncio.wait([running])
            telling.cancel()
            ended = await asyncio.gather(*parts, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def _drive(
        self, runner: PartitionRunner, link: Link, ward: LiveWard, words: WordOutlet
    ) -> None:
        """Connect, resume what the store holds, then take messages until stopped."""
        await link.connected(CONNECT_TIMEOUT_S)
        await runner.resume()
        await words.resume(runner.monitor.therapies.records)
        self._runner = runner
        ward.is_ready = True
        self.ready.set()
        log.info(
            "ready",
            instance=self._settings.name,
            broker=link.settings.address,
            alerts=self._settings.references.alerts or "defaults",
        )
        await runner.run()

    async def _beat(self, link: Link) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            if link.is_connected:
                self._say_presence(link, "online")
            self._say_behind(link)

    def _say_behind(self, link: Link) -> None:
        """Tell an operator that alerts come late, and when that is over."""
        behind, now_ms = self._behind, self._now_ms()
        news = behind.news(now_ms)
        if news is None:
            return
        say = log.warning if news == "behind" else log.info
        say(
            news,
            instance=self._settings.name,
            behind_s=round(behind.ms(now_ms) / self._settings.speed / 1_000, 1),
            inbox=link.inbox_used,
            connected=link.is_connected,
        )

    def _on_connect(self, session_present: bool) -> None:
        assert self._link is not None
        self._say_presence(self._link, "online")
        if not session_present and self._runner is not None:
            self._runner.relist = True

    def _say_presence(self, link: Link, state: PresenceState) -> None:
        try:
            link.publish(
                self._presence_topic,
                self._presence(state),
                retain=True,
                content_type=CONTENT_TYPE,
                user_properties=USER_PROPERTIES,
            )
        except LinkError as error:
            # A full outbox, or a link that ended: the runner meets the same and says so.
            log.warning("heartbeat not sent", error=str(error))

    def _presence(self, state: PresenceState) -> bytes:
        self._beats += 1
        now_ms = self._now_ms()
        if state == "online":
            self._behind.sent(now_ms)
        return encode(
            MonitorPresence(
                instance=self._settings.name,
                state=state,
                time_ms=now_ms,
                beat=self._beats,
                behind_ms=self._behind.ms(now_ms),
            )
        )

    def _view(self, runner: PartitionRunner, state: PumpState) -> PumpView:
        monitor = runner.monitor
        at_ms = monitor.pump_ms(state)
        dose = None
        ordered = monitor.therapies.ordered(f"{state.site}/{state.pump}")
        if state.edge is not None and ordered is not None:
            # The order on the pump's own clock, as the rules and the page see it.
            dose = therapy_dose(state.account, state.edge, ordered.timeline, at_ms)
        return PumpView(
            site=state.site,
            pump=state.pump,
            therapy=state.edge.therapy if state.edge is not None else None,
            edge=state.edge,
            age_ms=at_ms - (state.edge.time_ms if state.edge is not None else state.awaited_ms),
            online=None if state.presence is None else state.presence.state == "online",
            dose=dose,
            alerts=monitor.open_alerts(f"{state.site}/{state.pump}").alerts,
        )


def _count_records(records: Collection[Record]) -> RecordCounts:
    return RecordCounts(
        therapies=len(records),
        results=sum(len(record.results) for record in records),
        reports=sum(len(record.reports) for record in records),
    )


def _count_alerts(states: Collection[PumpState]) -> AlertCounts:
    counts = [count for state in states for count in state.board.counts.values()]
    return AlertCounts(
        raised=sum(count.raised for count in counts),
        damped=sum(count.damped for count in counts),
        dropped=sum(count.dropped for count in counts),
        unseen=sum(len(state.board.unseen) for state in states),
    )

"""The running monitor as the page sees it: the port of monitor/web/ward.py on its parts."""

from collections.abc import Callable, Sequence

from infusion.clinical import LabResult, Report
from infusion.errors import MessageError
from infusion.messages import Act, AlertChange, Audit, Kind, parse_topic
from infusion.monitor import Monitor
from infusion.prescription import Prescription
from link import Link as MqttLink
from monitor.behind import Behind
from monitor.desk import Desk
from monitor.outlets.words import WordOutlet
from monitor.ports import Entry, LogQuery, Numbered, Refused
from monitor.references import References
from monitor.runner import PartitionRunner, Totals
from monitor.samples import Sample
from monitor.store import SqliteStore
from monitor.web.ward import Link, Row, Watcher

_PUMP_KINDS = frozenset({Kind.TELEMETRY, Kind.EVENT, Kind.PRESENCE, Kind.ACT})
_THERAPY_KINDS = frozenset({Kind.ORDER, Kind.LAB, Kind.REPORT})


class LiveWard:
    """The `Ward` port on a runner, its desk, its store and its link."""

    def __init__(
        self,
        runner: PartitionRunner,
        desk: Desk,
        store: SqliteStore,
        link: MqttLink,
        words: WordOutlet,
        *,
        instance: str,
        speed: float,
        references: References,
        now_ms: Callable[[], int],
        behind: Behind,
    ) -> None:
        self.instance = instance
        self.speed = speed
        self.references = references
        # Set by the service once the state is resumed.
        self.is_ready = False
        self._runner = runner
        self._desk = desk
        self._store = store
        self._link = link
        self._words = words
        self._now_ms = now_ms
        self._behind = behind
        self._committed_ms = 0
        self._lag_ms = 0
        self._watchers: list[Watcher] = []
        runner.watchers.append(self._after_batch)

    @property
    def monitor(self) -> Monitor:
        """The core."""
        return self._runner.monitor

    @property
    def totals(self) -> Totals:
        """What the runner has done since it started."""
        return self._runner.totals

    @property
    def link(self) -> Link:
        """How it stands to the broker."""
        return Link(
            address=self._link.settings.address,
            connected=self._link.is_connected,
            lag_ms=self._lag_ms,
            committed_ms=self._committed_ms,
            behind_ms=self._behind.ms(self._now_ms()),
            inbox=self._link.inbox_used,
            outbox=self._link.outbox_used,
            dropped=self._link.counters.dropped,
        )

    def now_ms(self) -> int:
        """The monitor's clock."""
        return self._now_ms()

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call after each batch; gives what ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def act(self, site: str, act: Act) -> Audit:
        """What a person does about an alert. Raises MessageError."""
        return await self._desk.act(site, act)

    async def tell(self, site: str, message: LabResult | Report | Prescription) -> None:
        """A result, a report or an order, to the monitor and to all others. Raises MessageError."""
        records = self.monitor.therapies.records
        await self._words.tell(
            site,
            message,
            lambda: self._desk.tell(site, message),
            lambda: records.get(f"{site}/{message.therapy}"),
        )

    async def rows(self, query: LogQuery) -> list[Row]:
        """Rows of the log. Raises StoreError."""
        return await self._store.rows(query)

    async def samples(self, pump: str, from_ms: int, to_ms: int, points: int) -> list[Sample]:
        """Samples of one pump. Raises StoreError."""
        return await self._store.samples(pump, from_ms, to_ms, points)

    def _after_batch(
        self, entries: Sequence[Entry], said: Sequence[Numbered], _refused: Sequence[Refused]
    ) -> None:
        now_ms = self._now_ms()
        self._committed_ms = now_ms
        self._lag_ms = max(0, now_ms - entries[0].received_ms)
        if not self._watchers:
            return
        keys = {key for entry in entries if (key := self._key(entry)) is not None}
        for each in said:
            alert = each.said.alert if isinstance(each.said, AlertChange) else each.said
            keys.add(f"{alert.site}/{alert.pump}")
        changed = frozenset(keys)
        for watcher in tuple(self._watchers):
            watcher(changed, said)

    def _key(self, entry: Entry) -> str | None:
        """The pump that a message concerns; None for one that concerns none that is known."""
        try:
            topic = parse_topic(entry.topic)
        except MessageError:
            # It was refused for that, and counted.
            return None
        if topic.kind in _PUMP_KINDS:
            key = f"{topic.site}/{topic.name}"
        elif topic.kind in _THERAPY_KINDS:
            record = self.monitor.therapies.records.get(f"{topic.site}/{topic.name}")
            if record is None or record.order is None:
                return None
            key = f"{topic.site}/{record.order.prescription.pump}"
        else:
            return None
        return key if key in self.monitor.pumps else None

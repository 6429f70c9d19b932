"""Drives the pure core over one partition of the pumps, through the ports of monitor/ports.py.

A batch goes through in one order, always: take what has arrived, step the core, commit once, then
acknowledge, then say the alerts. A crash at any point repeats a batch or a publication; the
identity of a message `(pump, boot, seq)` and of a change `(alert, version)` make that harmless.
What was committed just before a crash, and comes again because its acknowledgement did not reach
the broker, is known word for word: it is acknowledged and otherwise passed over, or it would look
like somebody who says old messages again.

The state after a batch is the snapshot before it plus the batches since, so that a restart loads
the last snapshot, steps the core over the batches since (with the times of receipt they had), and
stands exactly where the process stood that was killed. A snapshot is taken in portions
(monitor/cut.py), so that no batch waits for a whole one.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog
from msgspec import Struct

from infusion.errors import LinkError, MessageError
from infusion.messages import (
    TOPIC_LENGTH_MAX,
    AlertChange,
    OpenAlerts,
    decode,
    parse_topic,
)
from infusion.monitor import Monitor
from monitor.cut import SLICE, Cut
from monitor.ports import (
    AGAIN_MAX,
    REFUSED_BYTES_MAX,
    AlertSink,
    Batch,
    Commit,
    Entry,
    EventLog,
    Numbered,
    Refused,
    Said,
    Store,
    Watcher,
)
from monitor.samples import Sampler

log = structlog.get_logger()

# A broker gives them before anything else; after so many messages nothing comes again.
AGAIN_WITHIN = 10 * AGAIN_MAX
# A snapshot is begun this often, and whenever this many messages wait to be covered by one, or so
# many a pump where there are many pumps: it costs about as much as two messages for each pump, and
# a restart steps over what it does not cover.
SNAPSHOT_MS = 60_000
SNAPSHOT_MESSAGES_MAX = 100_000
SNAPSHOT_MESSAGES_A_PUMP = 4
# How long a normal end waits until the broker has received what was said.
SETTLE_S = 1.0


def step(monitor: Monitor, entries: Sequence[Entry]) -> tuple[list[Said], list[Refused]]:
    """Step the core over messages as they arrived; what became of an act follows its changes.

    The same entries on the same state give the same: the log is replayed with this.
    """
    said: list[Said] = []
    refused: list[Refused] = []
    for entry in entries:
        site: str | None = None
        try:
            topic = parse_topic(entry.topic)
            site = topic.site
            message = decode(topic, entry.payload, contract=entry.contract)
            said += monitor.receive(message, site, entry.received_ms)
        except MessageError as error:
            said += monitor.refuse(error, site, entry.received_ms)
            refused.append(_refusal(entry, error))
        if monitor.audits:
            said += monitor.audits
            monitor.audits.clear()
    return said, refused


def _refusal(entry: Entry, error: MessageError) -> Refused:
    return Refused(
        received_ms=entry.received_ms,
        topic=entry.topic[:TOPIC_LENGTH_MAX],
        payload=entry.payload[:REFUSED_BYTES_MAX],
        kind=error.kind,
        text=str(error),
    )


class Totals(Struct):
    """What the runner has done since it started; each only grows."""

    messages: int = 0
    batches: int = 0
    changes: int = 0
    refused: int = 0
    # Messages that came again because a crash was faster than their acknowledgement.
    again: int = 0
    snapshots: int = 0
    # What people did: carried out, too late because somebody was first, or refused.
    acts_done: int = 0
    acts_late: int = 0
    acts_refused: int = 0


class PartitionRunner:
    """One partition: one core, one event log, one store, one sink.

    `uncovered_max` messages may wait to be covered by a snapshot before one is begun, and `portion`
    pumps and therapies are encoded for it with each batch.
    """

    def __init__(
        self,
        monitor: Monitor,
        source: EventLog,
        store: Store,
        sink: AlertSink,
        *,
        uncovered_max: int = SNAPSHOT_MESSAGES_MAX,
        portion: int = SLICE,
    ) -> None:
        self.monitor = monitor
        self._uncovered_max = uncovered_max
        self._portion = portion
        self._cut: Cut | None = None
        self.totals = Totals()
        # Set when the broker may have forgotten the open lists: all are said with the next batch.
        self.relist = False
        self.watchers: list[Watcher] = []
        self._sampler = Sampler(monitor)
        self._source = source
        self._store = store
        self._sink = sink
        self._position = 0
        self._next_number = 1
        self._snapshot_clock_ms = 0
        self._uncovered = 0
        self._again: Counter[tuple[str, bytes]] = Counter()
        self._looked = 0
        self._taking: asyncio.Future[Batch] | None = None
        self._stop = asyncio.Event()

    async def resume(self) -> None:
        """Stand where the last run stood, and say what it had not said. Raises StoreError."""
        stored = await self._store.load()
        self.monitor.restore(stored.clock, stored.records)
        for state in stored.pumps:
            self.monitor.restore_pump(state)
        for position, entries in stored.batches:
            step(self.monitor, entries)
            self._position = position
        self._position = max(self._position, stored.position)
        self._next_number = stored.next_number
        self._uncovered = sum(len(entries) for _, entries in stored.batches)
        self._again = Counter((entry.topic, entry.payload) for entry in stored.newest)
        self._snapshot_clock_ms = self.monitor.clock.received_ms
        log.info(
            "resumed",
            position=self._position,
            pumps=len(self.monitor.pumps),
            replayed_batches=len(stored.batches),
            unsaid=len(stored.unsaid),
        )
        self._sink.begin(stored.said_number)
        await self._sink.say(stored.unsaid, self.open_lists())

    def open_lists(self) -> list[OpenAlerts]:
        """The list of every pump that ever had an alert: what a broker must hold retained."""
        return [
            self.monitor.open_alerts(key)
            for key, state in self.monitor.pumps.items()
            if state.board.version
        ]

    async def run(self) -> None:
        """Handle batches until `stop`. Raises StoreError and LinkError."""
        while not self._stop.is_set():
            self._taking = asyncio.ensure_future(self._source.take())
            try:
                batch = await self._taking
            except asyncio.CancelledError:
                if self._stop.is_set():
                    break
                raise
            await self.handle(batch)
        try:
            await self._sink.settle(SETTLE_S)
        except LinkError as error:
            # Nothing is lost: what is not acknowledged is not counted as said.
            log.warning("some of it will be said again by the next run", reason=str(error))
        if self._cut is not None:
            await self._commit((), [], [], limit=None)
        self._begin_cut()
        await self._commit((), [], [], limit=None)

    def stop(self) -> None:
        """End `run` after the batch in hand; the state is then stored as a whole."""
        self._stop.set()
        if self._taking is not None:
            self._taking.cancel()

    async def handle(self, batch: Batch) -> None:
        """Take one batch through: core, commit, acknowledge, say."""
        entries = self._without_known(batch.entries) if self._again else batch.entries
        if not entries:
            self._source.done(batch)
            return
        said, refused = step(self.monitor, entries)
        numbered = await self._commit(entries, said, refused, limit=self._portion)
        for watcher in self.watchers:
            watcher(entries, numbered, refused)
        self._source.done(batch)
        self.totals.messages += len(entries)
        self.totals.batches += 1
        self.totals.refused += len(refused)
        keys = self._count(said)
        if self.relist:
            self.relist = False
            await self._sink.say(numbered, self.open_lists())
        elif numbered:
            await self._sink.say(numbered, [self.monitor.open_alerts(key) for key in keys])

    def _without_known(self, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """What was not committed already by the run before this one."""
        self._looked += len(entries)
        if self._looked > AGAIN_WITHIN:
            self._again.clear()
        news = []
        for entry in entries:
            key = entry.topic, entry.payload
            if self._again[key] > 0:
                self._again[key] -= 1
                self.totals.again += 1
            else:
                news.append(entry)
        return tuple(news)

    def _count(self, said: Sequence[Said]) -> list[str]:
        """Count what was said, and log each act; the pumps whose open lists changed, in order."""
        totals = self.totals
        keys: dict[str, None] = {}
        for each in said:
            if isinstance(each, AlertChange):
                totals.changes += 1
                keys[f"{each.alert.site}/{each.alert.pump}"] = None
                continue
            totals.acts_done += each.outcome == "done"
            totals.acts_late += each.outcome == "late"
            totals.acts_refused += each.outcome == "refused"
            log.info(
                "act",
                site=each.site,
                pump=each.pump,
                act=each.act.act,
                what=each.act.what,
                by=each.act.by,
                alert=each.act.alert,
                outcome=each.outcome,
                sentence=each.sentence,
            )
        return list(keys)

    def _is_due(self) -> bool:
        """Whether a snapshot should cover the batches since the last one."""
        waited_ms = self.monitor.clock.received_ms - self._snapshot_clock_ms
        stall_ms = self.monitor.settings.stall_ms
        return abs(waited_ms) * 1_000 >= SNAPSHOT_MS * stall_ms or self._uncovered >= max(
            self._uncovered_max, SNAPSHOT_MESSAGES_A_PUMP * len(self.monitor.pumps)
        )

    def _begin_cut(self) -> None:
        """Take a snapshot of the state as it stands now."""
        self._cut = Cut(self.monitor, self._position)
        self._snapshot_clock_ms = self.monitor.clock.received_ms
        self._uncovered = 0

    async def _commit(
        self,
        entries: tuple[Entry, ...],
        said: Sequence[Said],
        refused: list[Refused],
        *,
        limit: int | None,
    ) -> tuple[Numbered, ...]:
        """Keep a batch, and a portion of the snapshot that is under way or due."""
        self._position += 1
        self._uncovered += len(entries)
        if self._cut is None and self._is_due():
            self._begin_cut()
        snapshot = self._cut.portion(limit) if self._cut is not None else None
        numbered = tuple(
            Numbered(number, each) for number, each in enumerate(said, start=self._next_number)
        )
        self._next_number += len(numbered)
        await self._store.commit(
            Commit(
                position=self._position,
                entries=entries,
                said=numbered,
                refused=tuple(refused),
                said_number=self._sink.said_number,
                snapshot=snapshot,
                samples=self._sampler.take(),
            )
        )
        if snapshot is not None and snapshot.is_last:
            self._cut = None
            self.totals.snapshots += 1
        return numbered

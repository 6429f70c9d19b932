"""Orders, results and reports that people enter at the page, on MQTT, so that others hear them too.

Each is written down (`WordOutlet.tell`) before the monitor stores it, published once the monitor
holds it, and forgotten when the broker has acknowledged it. A monitor that ended in between looks
at what is still written down: what it holds is published, and what it does not hold was never
stored, or is not in force any more, and is forgotten. So nothing is lost, and nothing is told that
does not hold. What a crash left unacknowledged is told again, word for word: an order is known by
its version, a result by its specimen and test, a report by its name, to the monitor as well, which
hears all of it back.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import structlog
from msgspec import Struct

from infusion.clinical import LabResult, Report
from infusion.errors import LinkError, MessageError
from infusion.messages import (
    CONTENT_TYPE,
    USER_PROPERTIES,
    Kind,
    Topic,
    decode,
    encode,
    parse_topic,
)
from infusion.prescription import Prescription
from infusion.record import Record
from link import Link
from monitor.database import Part, transaction

Word = LabResult | Report | Prescription
KINDS: dict[type[Word], Kind] = {
    LabResult: Kind.LAB,
    Report: Kind.REPORT,
    Prescription: Kind.ORDER,
}

log = structlog.get_logger()

# What may wait for a broker; of more the oldest are never told, which the log says.
WAITING_MAX = 10_000

OUTBOX_TABLES = """
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL
);
"""


class Written(Struct, frozen=True):
    """What is written down, with its place among all that ever was."""

    number: int
    topic: str
    payload: bytes


def topic_of(site: str, word: Word) -> Topic:
    """Where a word of a site is told."""
    return Topic(KINDS[type(word)], site, word.therapy)


def holds(record: Record | None, word: object) -> bool:
    """Whether the monitor goes by a word: the order in force, a result or a report that it has."""
    if record is None:
        return False
    if isinstance(word, Prescription):
        return record.order is not None and record.order.prescription == word
    return word in record.results or word in record.reports


class WordOutlet:
    """Tells words on a link; used as an async context manager. Raises StoreError throughout.

    `path` None keeps what waits in memory.
    """

    def __init__(self, path: Path | None, link: Link, *, waiting_max: int = WAITING_MAX) -> None:
        self._part = Part(path, "outbox", (OUTBOX_TABLES,))
        self._link = link
        self._waiting_max = waiting_max
        self._ready: asyncio.Queue[Written] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        await self._part.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._part.__aexit__()

    async def tell(
        self,
        site: str,
        word: Word,
        store: Callable[[], Awaitable[None]],
        record: Callable[[], Record | None],
    ) -> None:
        """Have a word stored, then publish it. `record` is that of its therapy as it then is.

        Raises what `store` does, and MessageError where the word makes no sense; then it is told
        to nobody. Does not wait for the broker.
        """
        topic, payload = str(topic_of(site, word)), encode(word)
        number = await self._part.call(lambda database: self._keep(database, topic, payload))
        written = Written(number, topic, payload)
        try:
            await store()
        except MessageError:
            await self._forget(written)
            raise
        # A result that is older than all that are kept is still one that others may want.
        if isinstance(word, Prescription) and not holds(record(), word):
            await self._forget(written)
        else:
            self._ready.put_nowait(written)

    async def resume(self, records: dict[str, Record]) -> None:
        """Look at what an earlier run had not told; `records` are by `site/therapy`."""
        for written in await self._part.call(_all):
            topic = parse_topic(written.topic)
            if holds(records.get(f"{topic.site}/{topic.name}"), decode(topic, written.payload)):
                self._ready.put_nowait(written)
            else:
                log.info("not told, because it does not hold", topic=written.topic)
                await self._forget(written)

    async def run(self) -> None:
        """Publish what is ready, one after the other, until cancelled."""
        while True:
            written = await self._ready.get()
            try:
                await self._link.room()
                acknowledged = self._link.publish(
                    written.topic,
                    written.payload,
                    content_type=CONTENT_TYPE,
                    user_properties=USER_PROPERTIES,
                )
                await asyncio.shield(acknowledged)
            except LinkError as error:
                # It stays written down, and the next run tries again.
                log.error("not told", topic=written.topic, error=str(error))
                continue
            await self._forget(written)

    async def _forget(self, written: Written) -> None:
        await self._part.call(lambda database: _drop(database, written.number))

    # --- in the thread ---------------------------------------------------------------------------

    def _keep(self, database: sqlite3.Connection, topic: str, payload: bytes) -> int:
        with transaction(database):
            number = database.execute(
                "INSERT INTO outbox (topic, payload) VALUES (?, ?)", (topic, payload)
            ).lastrowid
            assert number is not None
            over = "SELECT number FROM outbox ORDER BY number DESC LIMIT -1 OFFSET ?"
            dropped = database.execute(
                f"DELETE FROM outbox WHERE number IN ({over})", (self._waiting_max,)
            ).rowcount
        if dropped > 0:
            log.error("never told: too much waits for the broker", messages=dropped)
        return number


def _drop(database: sqlite3.Connection, number: int) -> None:
    database.execute("DELETE FROM outbox WHERE number = ?", (number,))


def _all(database: sqlite3.Connection) -> list[Written]:
    rows = database.execute("SELECT number, topic, payload FROM outbox ORDER BY number")
    return [Written(*row) for row in rows]

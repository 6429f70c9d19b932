"""The evidence for an account out of a monitor's store: what it keeps, and no more than that.

A store keeps one sample of each pump a minute for fourteen days, and the newest reports of each
therapy; a recording tells every message. So the evidence from a store names samples and not
messages, and what lies before the oldest sample is unknown, and said to be.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import msgpack

from infusion.errors import StoreError
from infusion.prescription import Prescription, Start
from infusion.record import Record
from infusion.service.evidence import Evidence, Segment
from infusion.service.gather import holds_of, silences, stays_of, stop_of, visits_of
from infusion.service.spans import Span
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, NL_PER_ML
from monitor.database import BUSY_TIMEOUT_S, NEWEST, named_errors
from monitor.samples import Sample

# Two samples further apart have others missing between them: they are a minute apart [A].
_TOGETHER_MS = 2 * MS_PER_MINUTE
# A cassette rests between two strokes: so much of the programmed rate is infusion all the time [A].
_EVEN_SHARE = 0.5

T = TypeVar("T")

_RECORD = msgpack.Decoder(Record)
_SAMPLE = msgpack.Decoder(Sample)


def read_evidence(path: Path, only: frozenset[str] = frozenset()) -> list[Evidence]:
    """The evidence for the therapies of a store, or those of them that are named, by name.

    Raises StoreError where the file is no store, or cannot be read.
    """
    found = []
    with _reading(path) as database:
        for key, record in _records(database, path):
            if record.order is not None and (not only or record.therapy in only):
                site = key.split("/")[0]
                pump = f"{site}/{record.order.prescription.pump}"
                rows = database.execute(
                    "SELECT sample FROM sample WHERE pump = ? ORDER BY time_ms", (pump,)
                )
                samples = [_decoded(_SAMPLE, row[0], path) for row in rows]
                one = evidence_of(record, samples)
                found += [one] if one is not None else []
    return found


def read_records(path: Path) -> tuple[dict[str, Record], int]:
    """The therapies of a store by `site/therapy`, and the newest instant that a pump told of.

    Without any sample the instant is 0. Raises StoreError where the file is no store.
    """
    with _reading(path) as database:
        (newest_ms,) = database.execute("SELECT COALESCE(MAX(time_ms), 0) FROM sample").fetchone()
        return dict(_records(database, path)), newest_ms


def evidence_of(record: Record, samples: list[Sample]) -> Evidence | None:
    """The evidence for one therapy, by the samples of its pump; None where it has not begun."""
    if record.order is None or not samples:
        return None
    order = record.order.prescription
    newest_report_ms = max((each.time_ms for each in record.reports), default=0)
    until_ms = max(samples[-1].time_ms, newest_report_ms) + 1
    starts = [step.at_ms for step in order.steps if isinstance(step, Start)]
    if not starts or min(starts) >= until_ms:
        return None
    stop_ms = stop_of(order, until_ms)
    end_ms = until_ms if stop_ms is None else stop_ms
    return Evidence(
        therapy=record.therapy,
        start_ms=min(starts),
        stop_ms=stop_ms,
        until_ms=until_ms,
        segments=_segments(order, samples),
        holds=holds_of(order, end_ms),
        hospital=stays_of(record.reports, end_ms),
        unknown=silences([each.time_ms for each in samples], min(starts), end_ms),
        visits=tuple(visits_of(record.reports)),
    )


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A store, opened for reading only. Raises StoreError that names the file."""
    if not path.is_file():
        raise StoreError(f"store {path}: there is no such file; give a monitor's store")
    with named_errors(path):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
        try:
            yield database
        finally:
            database.close()


def _records(database: sqlite3.Connection, path: Path) -> Iterator[tuple[str, Record]]:
    rows = database.execute(f"{NEWEST.format('record_state')} ORDER BY key").fetchall()
    for key, state in rows:
        yield key, _decoded(_RECORD, state, path)


def _segments(order: Prescription, samples: list[Sample]) -> tuple[Segment, ...]:
    """The infusion between samples, joined where it goes on at one rate."""
    segments: list[Segment] = []
    for before, after in pairwise(samples):
        # A total that begins anew is another therapy's; what it holds was infused since then.
        gained_iu = after.delivered_iu - before.delivered_iu
        gained_iu = after.delivered_iu if gained_iu < 0 else gained_iu
        length_ms = after.time_ms - before.time_ms
        if gained_iu <= 0 or length_ms <= 0:
            continue
        whole_iu = before.rate_ml_h * order.concentration_iu_ml * length_ms / MS_PER_HOUR
        share = min(1.0, gained_iu / whole_iu) if whole_iu else 1.0
        share = 1.0 if share >= _EVEN_SHARE and length_ms <= _TOGETHER_MS else share
        mine = Segment(
            span=Span(before.time_ms, before.time_ms + max(1, round(length_ms * share))),
            pump=order.pump,
            volume_nl=round(gained_iu / order.concentration_iu_ml * NL_PER_ML),
            concentration_iu_ml=order.concentration_iu_ml,
            first=f"sample {before.time_ms}",
            last=f"sample {after.time_ms}",
            messages=2,
            estimated=length_ms > _TOGETHER_MS,
        )
        if segments and _goes_on(segments[-1], mine) and before.rate_ml_h == after.rate_ml_h:
            last = segments[-1]
            segments[-1] = Segment(
                span=Span(last.span.from_ms, mine.span.to_ms),
                pump=order.pump,
                volume_nl=last.volume_nl + mine.volume_nl,
                concentration_iu_ml=order.concentration_iu_ml,
                first=last.first,
                last=mine.last,
                messages=last.messages + 1,
                estimated=last.estimated,
            )
        else:
            segments.append(mine)
    return tuple(segments)


def _goes_on(last: Segment, mine: Segment) -> bool:
    return last.span.to_ms == mine.span.from_ms and last.estimated == mine.estimated


def _decoded(decoder: msgpack.Decoder[T], blob: bytes, path: Path) -> T:
    try:
        return decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise StoreError(f"store {path}: a row cannot be read: {error}") from error

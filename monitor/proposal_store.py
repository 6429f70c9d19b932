"""Proposed orders in the monitor's SQLite file, on a connection and a thread of their own.

Each step is a row that is never changed: who proposed, confirmed or rejected what, and when, stays
to be seen. A proposal is moved on by compare-and-set on the number of its steps, so of two people
who decide at once one is refused.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from msgspec import Struct, msgpack

from monitor.database import Part, transaction
from monitor.proposals import Proposal, ProposalStep, State

# Closed proposals that are kept; of more the oldest go. Their steps go with them.
CLOSED_MAX = 100_000
# A store is asked for so many at once at most.
LIST_MAX = 1_000
# After every number.
_END = 2**62

PROPOSAL_TABLES = """
CREATE TABLE proposal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    site TEXT NOT NULL,
    therapy TEXT NOT NULL,
    state TEXT NOT NULL,
    steps INTEGER NOT NULL,
    proposal BLOB NOT NULL
);
CREATE INDEX proposal_of_therapy ON proposal (site, therapy, number);
CREATE INDEX proposal_by_state ON proposal (state, number);
CREATE TABLE proposal_step (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    step BLOB NOT NULL
);
CREATE INDEX step_of_proposal ON proposal_step (proposal);
"""
_PROPOSAL = msgpack.Decoder(Proposal)
_STEP = msgpack.Decoder(ProposalStep)


class NumberedProposal(Struct, frozen=True):
    """A proposal with its place among all of them, which counts from 1."""

    number: int
    proposal: Proposal


class NumberedStep(Struct, frozen=True):
    """One step with its place among those of all proposals, which counts from 1, and of which."""

    number: int
    step: ProposalStep
    proposal: Proposal


class ProposalStore:
    """Keeps proposals; used as an async context manager. All errors come as StoreError.

    `path` None keeps them in memory.
    """

    def __init__(self, path: Path | None, *, closed_max: int = CLOSED_MAX) -> None:
        self._part = Part(path, "proposals", (PROPOSAL_TABLES,))
        self._closed_max = closed_max

    async def __aenter__(self) -> Self:
        await self._part.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._part.__aexit__()

    async def add(self, proposal: Proposal) -> None:
        """Keep a new proposal. Raises StoreError, also where its id is taken."""
        await self._part.call(lambda database: self._add(database, proposal))

    async def move(self, before: Proposal, after: Proposal) -> bool:
        """Put a proposal in the place of what it was; False where that is no more what is kept."""
        return await self._part.call(lambda database: _move(database, before, after))

    async def get(self, name: str) -> Proposal | None:
        """A proposal by its id."""
        found = await self._part.call(lambda database: _select(database, "id = ?", [name], 1))
        return found[0].proposal if found else None

    async def of_therapy(
        self, site: str, therapy: str, *, state: State | None = None, limit: int = 100
    ) -> list[NumberedProposal]:
        """The newest proposals of a therapy, newest first."""
        where, values = "site = ? AND therapy = ?", [site, therapy]
        if state is not None:
            where += " AND state = ?"
            values.append(state)
        return await self._part.call(lambda database: _select(database, where, values, limit))

    async def newest(
        self,
        *,
        state: State | None = None,
        site: str = "",
        before: int | None = None,
        limit: int = 100,
    ) -> list[NumberedProposal]:
        """Proposals of all therapies, newest first; `before` is a number, to go on from."""
        where: list[str] = ["number < ?"]
        values: list[int | str] = [_END if before is None else before]
        if state is not None:
            where.append("state = ?")
            values.append(state)
        if site:
            where.append("site = ?")
            values.append(site)
        return await self._part.call(
            lambda database: _select(database, " AND ".join(where), values, limit)
        )

    async def steps(
        self,
        *,
        before: int | None = None,
        after: int | None = None,
        since_ms: int = 0,
        limit: int = LIST_MAX,
    ) -> list[NumberedStep]:
        """Steps of all proposals, newest first, or with `after` the next ones, oldest first.

        `before` and `after` are numbers; `since_ms` is on the monitor's clock.
        """
        where = "step.at_ms >= ? AND step.number < ? AND step.number > ?"
        where += f" ORDER BY step.number {'DESC' if after is None else 'ASC'} LIMIT ?"
        values = (since_ms, _END if before is None else before, after or 0, min(limit, LIST_MAX))
        return await self._part.call(lambda database: _select_steps(database, where, values))

    # --- in the thread ---------------------------------------------------------------------------

    def _add(self, database: sqlite3.Connection, proposal: Proposal) -> None:
        with transaction(database):
            row = database.execute(
                "INSERT INTO proposal (id, site, therapy, state, steps, proposal)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (proposal.id, proposal.site, proposal.therapy, *_columns(proposal)),
            )
            assert row.lastrowid is not None
            _keep_steps(database, row.lastrowid, proposal, 0)
            self._make_room(database)

    def _make_room(self, database: sqlite3.Connection) -> None:
        """Closed ones go first; what still waits is never dropped."""
        (count,) = database.execute(
            "SELECT count(*) FROM proposal WHERE state != 'proposed'"
        ).fetchone()
        over = count - self._closed_max
        if over > 0:
            doomed = database.execute(
                "DELETE FROM proposal WHERE number IN (SELECT number FROM proposal"
                " WHERE state != 'proposed' ORDER BY number LIMIT ?) RETURNING number",
                (over,),
            ).fetchall()
            database.executemany("DELETE FROM proposal_step WHERE proposal = ?", doomed)


def _columns(proposal: Proposal) -> tuple[str, int, bytes]:
    return proposal.state, len(proposal.steps), msgpack.encode(proposal)


def _keep_steps(database: sqlite3.Connection, number: int, proposal: Proposal, known: int) -> None:
    database.executemany(
        "INSERT INTO proposal_step (proposal, at_ms, step) VALUES (?, ?, ?)",
        [(number, step.at_ms, msgpack.encode(step)) for step in proposal.steps[known:]],
    )


def _move(database: sqlite3.Connection, before: Proposal, after: Proposal) -> bool:
    with transaction(database):
        moved = database.execute(
            "UPDATE proposal SET state = ?, steps = ?, proposal = ?"
            " WHERE id = ? AND steps = ? RETURNING number",
            (*_columns(after), before.id, len(before.steps)),
        ).fetchone()
        if moved is not None:
            _keep_steps(database, moved[0], after, len(before.steps))
    return moved is not None


def _select(
    database: sqlite3.Connection, where: str, values: Sequence[int | str], limit: int
) -> list[NumberedProposal]:
    rows = database.execute(
        f"SELECT number, proposal FROM proposal WHERE {where} ORDER BY number DESC LIMIT ?",
        (*values, min(limit, LIST_MAX)),
    )
    return [NumberedProposal(number, _PROPOSAL.decode(blob)) for number, blob in rows]


def _select_steps(
    database: sqlite3.Connection, where: str, values: Sequence[int]
) -> list[NumberedStep]:
    rows = database.execute(
        "SELECT step.number, step.step, proposal.proposal FROM proposal_step step"
        f" JOIN proposal ON proposal.number = step.proposal WHERE {where}",
        values,
    )
    return [
        NumberedStep(number, _STEP.decode(step), _PROPOSAL.decode(blob))
        for number, step, blob in rows
    ]

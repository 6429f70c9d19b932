"""`dripwatch per-diem`: a therapy's days under a payer's rule, with the evidence for each day."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dripwatch.statement import (
    COUNTS,
    EVIDENCE,
    Told,
    csv_text,
    fhir_text,
    hours,
    statement_text,
)
from host.process import read_named, report, write_text
from infusion.errors import ConfigError, DripwatchError, MessageError
from infusion.messages import decode, parse_topic
from infusion.service.evidence import Evidence
from infusion.service.gather import Gathered
from infusion.service.payer import read_payer
from infusion.service.per_diem import account_of, modifiers_of
from infusion.units import MS_PER_HOUR
from monitor.kept_evidence import read_evidence
from monitor.zones import offsets
from simulator.recording import read_recording
from simulator.stream import Outgoing

_SQLITE = b"SQLite format 3\x00"
PAYER = "nhia"


@click.command("per-diem", epilog=EVIDENCE)
@click.argument("file", metavar="STORE|FILE", type=click.Path(path_type=Path))
@click.option(
    "--payer", metavar="NAME|FILE", default=PAYER, help=f"config/payers, a file ({PAYER})"
)
@click.option("--zone", metavar="ZONE", default="UTC", help="where the patient lives (UTC)")
@click.option("--therapy", metavar="NAME", multiple=True, help="this one; several: one patient's")
@click.option("--csv", "csv_file", metavar="FILE", help="a row for each day (- is stdout)")
@click.option("--fhir", "fhir_file", metavar="FILE", help="drafts of FHIR R4 Claims")
@click.option("--statement", "page_file", metavar="FILE", help="a page to print, HTML")
def command(
    *,
    file: Path,
    payer: str,
    zone: str,
    therapy: tuple[str, ...],
    csv_file: str | None,
    fhir_file: str | None,
    page_file: str | None,
) -> None:
    """Which days of S9336 a payer would count, and what each of them rests on.

    Reads a monitor's store or a file of --record. Several --therapy are one patient's, in order:
    the second has the modifier SH, further ones SJ.
    """
    texts: list[tuple[str | None, Callable[[Sequence[Told]], str]]] = [
        (csv_file, csv_text),
        (fhir_file, fhir_text),
        (page_file, statement_text),
    ]
    try:
        accounts = told_accounts(file, payer, zone, therapy)
        for target, text in texts:
            if target is not None:
                write_text(target, text(accounts))
    except DripwatchError as error:
        sys.exit(report(error))
    if all(target is None for target, _ in texts):
        show(accounts, Console())


def told_accounts(file: Path, payer: str, zone: str, therapies: Sequence[str]) -> list[Told]:
    """The accounts of a store or a recording, in the order of `therapies`, or by name.

    Raises ConfigError and StoreError that name the file, and what would be right.
    """
    rule = read_payer(*read_named(payer, "payers"))
    local = offsets(zone)
    found = {each.therapy: each for each in _evidence(file, frozenset(therapies))}
    for name in therapies:
        if name not in found:
            raise ConfigError(
                f"{file}: there is no therapy {name!r} that has begun;"
                " leave --therapy out to see those there are"
            )
    if not found:
        raise ConfigError(f"{file}: no therapy has begun in it; give another store or recording")
    chosen = [found[name] for name in therapies or sorted(found)]
    try:
        accounts = [account_of(each, rule, local) for each in chosen]
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None
    # Without names nobody says that any two therapies are one patient's.
    modifiers = modifiers_of(accounts) if therapies else [{} for _ in accounts]
    return [
        Told(account=account, modifiers=mine, zone=zone, offsets=local)
        for account, mine in zip(accounts, modifiers, strict=True)
    ]


def show(accounts: Sequence[Told], console: Console) -> None:
    """A table for each therapy: its days, and what they come to."""
    for told in accounts:
        account = told.account
        table = Table(box=None, pad_edge=False)
        heads = ("date", "units", "h infused", "IU", "h hold", "h hospital", "h unknown", "why")
        for head in heads:
            table.add_column(head, justify="left" if head in ("date", "why") else "right")
        for day in account.days:
            table.add_row(
                day.day.date,
                f"{day.units}{told.modifiers.get(day.day.date, '')}",
                f"{day.infused_ms / MS_PER_HOUR:.2f}",
                f"{day.delivered_iu:,.0f}",
                *(f"{hours(each):.2f}" for each in (day.holds, day.hospital, day.unknown)),
                day.why,
            )
        ways = ", ".join(f"{account.units_by(way)} {word}" for way, word in COUNTS.items())
        console.print(f"{account.therapy}: {account.units} units of S9336 by {account.payer.name}")
        console.print(table)
        console.print(
            f"each way of counting: {ways}; J1644 (from memory): {account.drug_units} units"
            f" {account.payer.drug_from}, {account.drug.waste_units} waste;"
            f" visits: {account.visits}\n",
            highlight=False,
        )
    console.print(EVIDENCE)


def _evidence(file: Path, only: frozenset[str]) -> list[Evidence]:
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(_SQLITE))
    except OSError as error:
        text = f"{file}: {error.strerror}; give a monitor's store, or a file of --record"
        raise ConfigError(text) from None
    if begin == _SQLITE:
        return read_evidence(file, only)
    gathered = Gathered(only)
    for output in read_recording(str(file)):
        if not isinstance(output, Outgoing):
            continue
        try:
            message = decode(parse_topic(output.topic), output.payload, contract=output.contract)
        except MessageError:
            # A recording holds what was said, malformed on purpose too; a monitor refuses it.
            continue
        gathered.take(message)
    try:
        each = [gathered.evidence(name) for name in gathered.therapies()]
    except MessageError as error:
        raise ConfigError(f"{file}: {error}") from None
    return [evidence for evidence in each if evidence is not None]

"""An account as people and programs take it: CSV, a draft of a FHIR Claim, a page to print.

All three tell the same, and each says of itself that it is evidence and never a claim.
"""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from infusion.local_time import Offset
from infusion.service.codes import DRUG, PER_DIEM, SECOND, THIRD, VISIT, VISIT_HOUR, Code
from infusion.service.days import local_text
from infusion.service.payer import Counts
from infusion.service.per_diem import Account, DayAccount, Line, lines_of
from infusion.service.spans import Spans, length_ms
from infusion.units import MS_PER_HOUR, round_dose_iu

EVIDENCE = "Evidence, never a claim. For testing and training. Not a medical device."
COUNTS: dict[Counts, str] = {
    "access": "days of access",
    "infusion": "days with infusion",
    "blocks": "24-hour blocks",
}
_HOME = ("https://www.cms.gov/Medicare/Coding/place-of-service-codes", "12")
_COLUMNS = (
    *("therapy", "date", "code", "modifier", "units", "why", "access", "infusion", "blocks"),
    *("infused_h", "delivered_iu", "estimated", "hold_h", "hospital_h", "unknown_h"),
    *("infused", "messages", "bags", "visits"),
)
_STYLE = """
body { font: 10pt/1.4 sans-serif; margin: 2em auto; max-width: 60em; color: #111; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; width: 100%; margin: 1em 0; }
th, td { border: 1px solid #999; padding: .25em .5em; text-align: left; vertical-align: top; }
td.number { text-align: right; } .notice { border: 2px solid #111; padding: .5em; }
tr { break-inside: avoid; } thead { display: table-header-group; }
@media print { body { margin: 0; } section { break-after: page; } }
"""


class Told(Struct, frozen=True, kw_only=True):
    """One account to be told: with the modifiers of its days, and the patient's local time."""

    account: Account
    modifiers: dict[str, str]
    zone: str
    offsets: Sequence[Offset]

    def lines(self) -> tuple[Line, ...]:
        """The lines of the per-diem."""
        return lines_of(self.account, self.modifiers)


def hours(spans: Spans) -> float:
    """The time in spans, in hours, to a hundredth."""
    return round(length_ms(spans) / MS_PER_HOUR, 2)


def clock_spans(spans: Spans, told: Told) -> str:
    """Spans of one day as local times: `20:00-24:00`; past midnight is 24:00."""
    return " ".join(f"{_clock(s.from_ms, told)}-{_end_clock(s.to_ms, told)}" for s in spans)


def csv_text(accounts: Iterable[Told]) -> str:
    """One row for each day of each account."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for told in accounts:
        for day in told.account.days:
            writer.writerow(_row(told, day))
    return out.getvalue()


def fhir_text(accounts: Sequence[Told]) -> str:
    """A FHIR R4 Bundle of draft Claims, one for each therapy."""
    entries = [{"resource": _claim(told)} for told in accounts if told.account.days]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return msgspec.json.format(msgspec.json.encode(bundle)).decode() + "\n"


def statement_text(accounts: Sequence[Told]) -> str:
    """A page to be printed, with the evidence for each day."""
    body = "".join(_section(told) for told in accounts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Per-diem evidence</title><style>{_STYLE}</style></head><body>\n"
        f'<h1>Per-diem evidence</h1>\n<p class="notice">{EVIDENCE}</p>\n{body}</body></html>\n'
    )


# --- CSV ------------------------------------------------------------------------------------------


def _row(told: Told, day: DayAccount) -> list[object]:
    date = day.day.date
    return [
        told.account.therapy,
        date,
        PER_DIEM.code,
        told.modifiers.get(date, ""),
        day.units,
        day.why,
        *(day.by_rule[counts] for counts in COUNTS),
        round(day.infused_ms / MS_PER_HOUR, 2),
        round_dose_iu(day.delivered_iu),
        "yes" if day.is_estimated else "no",
        hours(day.holds),
        hours(day.hospital),
        hours(day.unknown),
        clock_spans(day.infused, told),
        _messages(day),
        "; ".join(bag.source for bag in day.bags),
        "; ".join(visit.source for visit in day.visits),
    ]


def _messages(day: DayAccount) -> str:
    """Between which messages of which pump each segment lies."""
    each = (part.segment for part in day.parts)
    return "; ".join(f"{one.pump} {one.first} to {one.last}" for one in each)


def _clock(at_ms: int, told: Told) -> str:
    return local_text(at_ms, told.offsets)[11:]


def _end_clock(at_ms: int, told: Told) -> str:
    text = _clock(at_ms, told)
    is_midnight = text == "00:00" and _clock(at_ms - 1, told) != "00:00"
    return "24:00" if is_midnight else text


# --- FHIR -----------------------------------------------------------------------------------------


def _claim(told: Told) -> dict[str, Any]:
    account = told.account
    days = [day for day in account.days if day.units or day.parts or day.visits]
    information = {day.day.date: number for number, day in enumerate(days, start=1)}
    items = [_per_diem_item(line, information) for line in told.lines()]
    first, last = account.days[0].day.date, account.days[-1].day.date
    for code, quantity in _apart(account):
        if quantity:
            items.append(_item(code, quantity, (first, last)))
    for number, item in enumerate(items, start=1):
        item["sequence"] = number
    unknown = {"display": "not known to Dripwatch"}
    return {
        "resourceType": "Claim",
        "status": "draft",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{EVIDENCE}</div>',
        },
        "type": _concept("http://terminology.hl7.org/CodeSystem/claim-type", "professional"),
        "use": "claim",
        "patient": {"identifier": {"system": "urn:dripwatch:therapy", "value": account.therapy}},
        "billablePeriod": {"start": first, "end": last},
        "created": last,
        "insurer": {"display": account.payer.name},
        "provider": unknown,
        "priority": _concept("http://terminology.hl7.org/CodeSystem/processpriority", "normal"),
        "insurance": [{"sequence": 1, "focal": True, "coverage": unknown}],
        "supportingInfo": [
            {
                "sequence": information[day.day.date],
                "category": _concept(
                    "http://terminology.hl7.org/CodeSystem/claiminformationcategory", "info"
                ),
                "timingDate": day.day.date,
                "valueString": _sentence(told, day),
            }
            for day in days
        ],
        "item": items,
    }


def _per_diem_item(line: Line, information: dict[str, int]) -> dict[str, Any]:
    item = _item(PER_DIEM, line.units, (line.first_date, line.last_date))
    item["informationSequence"] = [information[date] for date in line.dates]
    if line.modifier:
        code = SECOND if line.modifier == SECOND.code else THIRD
        item["modifier"] = [_concept(code.system, code.code, code.shown())]
    return item


def _item(code: Code, quantity: int, dates: tuple[str, str]) -> dict[str, Any]:
    return {
        "sequence": 0,
        "productOrService": _concept(code.system, code.code, code.shown()),
        "servicedPeriod": {"start": dates[0], "end": dates[1]},
        "locationCodeableConcept": _concept(*_HOME),
        "quantity": {"value": quantity},
    }


def _concept(system: str, code: str, text: str = "") -> dict[str, Any]:
    coding = {"system": system, "code": code}
    return {"coding": [coding], "text": text} if text else {"coding": [coding]}


def _apart(account: Account) -> tuple[tuple[Code, int], ...]:
    """What is coded apart from the per-diem."""
    return (
        (DRUG, account.drug_units),
        (VISIT, account.visits),
        (VISIT_HOUR, account.visit_hours),
    )


def _sentence(told: Told, day: DayAccount) -> str:
    """The evidence for one day in a sentence or two."""
    parts = [f"{day.why}; {day.delivered_iu:,.0f} IU delivered"]
    if day.infused:
        parts.append(f"infused {clock_spans(day.infused, told)}")
    parts += [
        f"{word} {clock_spans(spans, told)}"
        for word, spans in (
            ("on hold", day.holds),
            ("in hospital", day.hospital),
            ("nothing heard", day.unknown),
        )
        if spans
    ]
    if day.parts:
        parts.append(f"messages {_messages(day)}")
    return "; ".join(parts)


# --- the page to print ----------------------------------------------------------------------------


def _section(told: Told) -> str:
    account = told.account
    payer, drug = account.payer, account.drug
    totals = ", ".join(f"{account.units_by(counts)} {word}" for counts, word in COUNTS.items())
    rows = [
        (PER_DIEM, f"{line.first_date} to {line.last_date}", line.modifier, line.units)
        for line in told.lines()
    ]
    rows += [(code, "", "", quantity) for code, quantity in _apart(account)]
    heparin = (
        f"Heparin: {drug.delivered_iu:,.0f} IU delivered ({drug.delivered_units} units of 1000),"
        f" {drug.dispensed_iu:,.0f} IU in bags that were hung ({drug.dispensed_units} units),"
        f" {drug.in_use_iu:,.0f} IU still in the bag, {drug.waste_iu:,.0f} IU to waste"
        f" ({drug.waste_units} whole units). This payer goes by what was {payer.drug_from}."
    )
    facts = [
        f"Local time: {told.zone}. The therapy {'goes on' if account.goes_on else 'has ended'}.",
        f"Counted by: {payer.name} ({payer.source}) [{payer.mark}].",
        f"By each way of counting: {totals}.",
        heparin,
    ]
    paragraphs = "".join(f"<p>{html.escape(fact)}</p>\n" for fact in facts)
    codes = _table(
        ("code", "what it stands for", "days", "modifier", "units"),
        [(code.code, code.shown(), days, modifier, units) for code, days, modifier, units in rows],
    )
    days = _table(
        ("date", "units", "why", "h infused", "IU delivered", "evidence"),
        [
            (
                day.day.date,
                day.units,
                day.why,
                f"{day.infused_ms / MS_PER_HOUR:.2f}",
                f"{day.delivered_iu:,.0f}{' (estimated)' if day.is_estimated else ''}",
                _evidence(told, day),
            )
            for day in account.days
        ],
    )
    head = html.escape(account.therapy)
    return f"<section><h2>Therapy {head}</h2>\n{paragraphs}{codes}{days}</section>\n"


def _evidence(told: Told, day: DayAccount) -> str:
    parts = [_sentence(told, day).partition("IU delivered")[2].lstrip("; ")]
    parts += [
        f"bag {bag.source} hung {_clock(bag.at_ms, told)}{', lot ' + bag.lot if bag.lot else ''}"
        for bag in day.bags
    ]
    parts += [
        f"visit {_clock(visit.at_ms, told)} by {visit.by} ({visit.source}), "
        + ("length not said" if visit.lasted_min is None else f"{visit.lasted_min:g} min")
        for visit in day.visits
    ]
    return "; ".join(part for part in parts if part)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = "".join(f'<th scope="col">{html.escape(each)}</th>' for each in head)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>\n" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>\n{body}</tbody></table>\n"


def _cell(value: object) -> str:
    kind = ' class="number"' if isinstance(value, int) else ""
    return f"<td{kind}>{html.escape(str(value))}</td>"

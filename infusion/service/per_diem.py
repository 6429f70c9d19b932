"""The account of a therapy day by day, under a payer's rule, with the evidence for each day.

Evidence, never a claim: what a payer owes is for people to say. A day is a local day of the
patient (infusion/service/days.py). How many units it makes is the payer's rule, but every day also
shows what the two other ways of counting would make of it, because payers disagree.

* **access**: one for every day from the start to the day of the stop, both included.
* **infusion**: one for every day with more infusion than the rule's minimum.
* **blocks**: the infused time is laid end to end and cut into blocks of 24 h; each is told on the
  day on which it begins, the last one whole though it is not full: ceil(infused ÷ 24 h) in all.

Days in hospital and days on hold are always shown; whether they are left out is the rule's. What
is infused in hospital is not counted where hospital days are left out: the hospital gave it.
"""

from collections.abc import Sequence

from msgspec import Struct

from infusion.local_time import Offset
from infusion.service.codes import IU_PER_DRUG_UNIT, VISIT_H, modifier_of
from infusion.service.days import Day, days_of
from infusion.service.evidence import Bag, Evidence, Segment, Visit
from infusion.service.payer import Counts, Payer
from infusion.service.spans import Span, Spans, common, length_ms, union, within, without
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, dose_iu


class Part(Struct, frozen=True):
    """What of one segment lies in a day."""

    segment: Segment
    span: Span
    volume_nl: int

    @property
    def dose_iu(self) -> float:
        """IU in it."""
        return dose_iu(self.volume_nl, self.segment.concentration_iu_ml)


class DayAccount(Struct, frozen=True, kw_only=True):
    """One local day. `units` is what the payer's rule makes of it and `why` the reason in a
    sentence; `by_rule` is what each way of counting makes of it, hospital and holds as ruled."""

    day: Day
    units: int
    why: str
    by_rule: dict[Counts, int]
    infused: Spans
    holds: Spans
    hospital: Spans
    unknown: Spans
    parts: tuple[Part, ...]
    bags: tuple[Bag, ...]
    visits: tuple[Visit, ...]

    @property
    def infused_ms(self) -> int:
        """How long anything was infused."""
        return length_ms(self.infused)

    @property
    def delivered_iu(self) -> float:
        """IU that were infused."""
        return sum(part.dose_iu for part in self.parts)

    @property
    def is_estimated(self) -> bool:
        """Whether messages are missing in what was infused, or nothing is known of some of it."""
        return bool(self.unknown) or any(part.segment.estimated for part in self.parts)


class Drug(Struct, frozen=True, kw_only=True):
    """Heparin in IU: delivered, dispensed (hung), and the difference that went to waste.

    What is still in the bag is no waste: `in_use_iu` is what the last bag holds while the therapy
    goes on. Units are of 1000 IU, begun ones whole, those of the waste only whole ones [A].
    """

    delivered_iu: float
    dispensed_iu: float
    in_use_iu: float
    waste_iu: float
    delivered_units: int
    dispensed_units: int
    waste_units: int


class Line(Struct, frozen=True, kw_only=True):
    """Days that a claim would tell on one line: from and to a local date, and their units."""

    first_date: str
    last_date: str
    units: int
    dates: tuple[str, ...]
    modifier: str = ""


class Account(Struct, frozen=True, kw_only=True):
    """All of it for one therapy."""

    therapy: str
    payer: Payer
    days: tuple[DayAccount, ...]
    drug: Drug
    visits: int
    visit_hours: int
    goes_on: bool

    @property
    def units(self) -> int:
        """The sum over the days."""
        return sum(day.units for day in self.days)

    @property
    def drug_units(self) -> int:
        """Drug units by the volume that the payer goes by."""
        is_delivered = self.payer.drug_from == "delivered"
        return self.drug.delivered_units if is_delivered else self.drug.dispensed_units

    def units_by(self, counts: Counts) -> int:
        """The sum over the days by another way of counting."""
        return sum(day.by_rule[counts] for day in self.days)


def account_of(evidence: Evidence, payer: Payer, offsets: Sequence[Offset] = ()) -> Account:
    """The account of a therapy under a payer's rule; `offsets` is the patient's local time.

    Raises ValueError for a therapy of more than ten years.
    """
    days = days_of(evidence.start_ms, evidence.end_ms, offsets)
    therapy = Span(evidence.start_ms, evidence.end_ms)
    parts = [
        Part(segment, only, segment.volume_in_nl(only))
        for segment in sorted(evidence.segments)
        if (only := _overlap(segment.span, therapy)) is not None
    ]
    infused = union(part.span for part in parts)
    hospital, holds = union(evidence.hospital), union(evidence.holds)
    paid = infused if payer.hospital == "counted" else without(infused, hospital)
    begins = _block_begins(paid, round(payer.block_h * MS_PER_HOUR))
    accounts = []
    for day in days:
        mine = common((day.span,), (therapy,))
        out = _left_out(mine, holds, payer.holds, "on hold") or _left_out(
            mine, hospital, payer.hospital, "in hospital"
        )
        paid_ms = length_ms(within(paid, day.span))
        blocks = sum(day.span.from_ms <= at < day.span.to_ms for at in begins)
        is_infusion = paid_ms > round(payer.infused_min * MS_PER_MINUTE)
        by_rule: dict[Counts, int] = {
            "access": 0 if out else 1,
            "infusion": int(is_infusion and not out),
            "blocks": blocks,
        }
        accounts.append(
            DayAccount(
                day=day,
                units=by_rule[payer.counts],
                why=_why(payer, by_rule, out, paid_ms),
                by_rule=by_rule,
                infused=within(infused, day.span),
                holds=common(within(holds, day.span), mine),
                hospital=common(within(hospital, day.span), mine),
                unknown=common(within(union(evidence.unknown), day.span), mine),
                parts=tuple(_parts_in(parts, day.span)),
                bags=tuple(b for b in sorted(evidence.bags) if _is_in(b.at_ms, day.span)),
                visits=tuple(v for v in sorted(evidence.visits) if _is_in(v.at_ms, day.span)),
            )
        )
    visits = [visit for day in accounts for visit in day.visits]
    return Account(
        therapy=evidence.therapy,
        payer=payer,
        days=tuple(accounts),
        drug=_drug(evidence, accounts),
        visits=len(visits),
        visit_hours=sum(_further_hours(visit) for visit in visits),
        goes_on=evidence.stop_ms is None,
    )


def lines_of(account: Account, modifiers: dict[str, str] | None = None) -> tuple[Line, ...]:
    """The lines of S9336: the days that count, by calendar month or singly as the payer wants.

    `modifiers` are those of single dates, where the patient has another therapy; a line has one.
    """
    known = modifiers or {}
    lines: dict[tuple[str, str], list[DayAccount]] = {}
    for day in account.days:
        if day.units:
            date = day.day.date
            period = date[:7] if account.payer.line == "month" else date
            lines.setdefault((period, known.get(date, "")), []).append(day)
    return tuple(
        Line(
            first_date=days[0].day.date,
            last_date=days[-1].day.date,
            units=sum(day.units for day in days),
            dates=tuple(day.day.date for day in days),
            modifier=modifier,
        )
        for (_, modifier), days in sorted(lines.items())
    )


def modifiers_of(accounts: Sequence[Account]) -> list[dict[str, str]]:
    """The modifier of each date of each of one patient's therapies, in the order given.

    Day by day the first of them that counts has none, the second SH, further ones SJ; so a second
    therapy has none on a day on which the first does not count.
    """
    places: dict[str, int] = {}
    found: list[dict[str, str]] = []
    for account in accounts:
        mine: dict[str, str] = {}
        for day in account.days:
            if day.units:
                date = day.day.date
                places[date] = places.get(date, 0) + 1
                mine[date] = modifier_of(places[date])
        found.append(mine)
    return found


# --- small things ---------------------------------------------------------------------------------


def _block_begins(paid: Spans, block_ms: int) -> list[int]:
    """When each block of infused time begins."""
    begins: list[int] = []
    past_ms = 0
    for span in paid:
        while len(begins) * block_ms < past_ms + span.to_ms - span.from_ms:
            begins.append(span.from_ms + len(begins) * block_ms - past_ms)
        past_ms += span.to_ms - span.from_ms
    return begins


def _left_out(mine: Spans, spans: Spans, rule: str, word: str) -> str:
    """Why a day is left out: all its time, or some, is spent so; "" for a day that is not."""
    touched = common(mine, spans)
    if rule == "counted" or not touched:
        return ""
    if rule == "touched-days-out":
        return f"{word}, and such days are left out"
    return "" if without(mine, spans) else f"{word} all day"


def _why(payer: Payer, by_rule: dict[Counts, int], out: str, paid_ms: int) -> str:
    hours = paid_ms / MS_PER_HOUR
    if payer.counts == "blocks":
        return f"{by_rule['blocks']} begun of {payer.block_h:g} h, with {hours:.2f} h infused"
    if out:
        return f"not counted: {out}"
    if payer.counts == "access":
        return "had access to the therapy"
    if by_rule["infusion"]:
        return f"{hours:.2f} h infused"
    if not paid_ms:
        return "not counted: nothing infused"
    return f"not counted: {hours:.2f} h infused, more than {payer.infused_min:g} min are asked for"


def _parts_in(parts: Sequence[Part], span: Span) -> list[Part]:
    found: list[Part] = []
    for part in parts:
        only = _overlap(part.span, span)
        if only is not None:
            found.append(Part(part.segment, only, part.segment.volume_in_nl(only)))
    return found


def _overlap(one: Span, other: Span) -> Span | None:
    """What two spans have in common, if anything."""
    from_ms, to_ms = max(one.from_ms, other.from_ms), min(one.to_ms, other.to_ms)
    return Span(from_ms, to_ms) if from_ms < to_ms else None


def _is_in(at_ms: int, span: Span) -> bool:
    return span.from_ms <= at_ms < span.to_ms


def _further_hours(visit: Visit) -> int:
    """Begun hours beyond those of the first code; none where nobody said how long it was."""
    beyond_min = (visit.lasted_min or 0.0) - VISIT_H * 60
    return max(0, -int(-beyond_min // 60))


def _drug(evidence: Evidence, days: Sequence[DayAccount]) -> Drug:
    delivered_iu = sum(day.delivered_iu for day in days)
    bags = [bag for day in days for bag in day.bags]
    dispensed_iu = sum(bag.dose_iu for bag in bags)
    left_iu = max(0.0, dispensed_iu - delivered_iu)
    in_use_iu = 0.0
    if evidence.stop_ms is None and bags:
        in_use_iu = min(left_iu, _left_in_last_iu(days, bags[-1]))
    waste_iu = left_iu - in_use_iu
    return Drug(
        delivered_iu=delivered_iu,
        dispensed_iu=dispensed_iu,
        in_use_iu=in_use_iu,
        waste_iu=waste_iu,
        delivered_units=_begun_units(delivered_iu),
        dispensed_units=_begun_units(dispensed_iu),
        waste_units=int(waste_iu // IU_PER_DRUG_UNIT),
    )


def _left_in_last_iu(days: Sequence[DayAccount], bag: Bag) -> float:
    """What the last bag still holds: what was in it less what was infused since it was hung."""
    since = Span(bag.at_ms, days[-1].day.span.to_ms)
    used_iu = sum(part.dose_iu for day in days for part in _parts_in(day.parts, since))
    return max(0.0, bag.dose_iu - used_iu)


def _begun_units(iu: float) -> int:
    # A thousandth of an IU is beyond what any of it is known to.
    return -int(-round(iu, 3) // IU_PER_DRUG_UNIT)

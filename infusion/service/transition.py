"""From heparin to tablets: when heparin may end, as data read from `config/transitions/*.toml`.

With **warfarin** both are given together: for at least so many days, and until the INR was in range
on so many local days one after the other, the newest of them included. With a **direct oral
anticoagulant** heparin stops first, and the first tablet is due so long after; a longer gap is
told. It is evidence for a prescriber who decides, and stops nothing. For testing and training only.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.clinical import LabResult
from infusion.errors import ConfigError
from infusion.local_time import Offset
from infusion.service.days import local_text
from infusion.service.payer import Mark, Sentence
from infusion.settings import load_toml
from infusion.tables import read_table
from infusion.units import MS_PER_DAY, MS_PER_HOUR

Days = Annotated[float, Meta(ge=0, le=60)]
Hours = Annotated[float, Meta(ge=0, le=168)]
Ratio = Annotated[float, Meta(ge=0.5, le=10)]


class Warfarin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule for warfarin."""

    drug: Literal["warfarin"]
    source: Sentence
    mark: Mark
    overlap_days: Days
    inr_low: Ratio
    inr_high: Ratio
    inr_days: Annotated[int, Meta(ge=1, le=7)]
    inr_every_h: Hours


class Direct(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule for a direct oral anticoagulant."""

    drug: Annotated[str, Meta(pattern=r"^[a-z]{3,32}$")]
    source: Sentence
    mark: Mark
    first_dose_after_stop_h: Hours
    late_h: Hours


class Readiness(Struct, frozen=True, kw_only=True):
    """Where a transition stands. `may_stop` says that heparin may end by the rule; `reasons` what
    is still open, or what is wrong; `next_ms` when something is due: the next INR, the first
    tablet."""

    may_stop: bool
    reasons: tuple[str, ...]
    next_ms: int | None
    ask_prescriber: bool = False


def read_transition(data: bytes, name: str) -> Warfarin | Direct:
    """The rule in the bytes of a TOML file called `name`.

    Raises ConfigError that names the file and the key.
    """
    document = load_toml(data, name)
    if document.get("drug") != "warfarin":
        return read_table(Direct, document, name)
    rule = read_table(Warfarin, document, name)
    if rule.inr_low >= rule.inr_high:
        raise ConfigError(f"{name}: inr_low must be below inr_high")
    return rule


def overlap(
    rule: Warfarin,
    begun_ms: int,
    results: Sequence[LabResult],
    now_ms: int,
    offsets: Sequence[Offset] = (),
) -> Readiness:
    """How far the overlap with warfarin is, which began at `begun_ms`; `offsets` is local time."""
    drawn = sorted(
        (each for each in results if _counts(each, begun_ms, now_ms)),
        key=lambda each: each.drawn_ms,
    )
    reasons: list[str] = []
    days = (now_ms - begun_ms) / MS_PER_DAY
    if days < rule.overlap_days:
        reasons.append(f"{days:.1f} days of overlap, at least {rule.overlap_days:g}")
    dates: set[str] = set()
    for result in reversed(drawn):
        if not _is_in_range(result, rule):
            break
        dates.add(local_text(result.drawn_ms, offsets)[:10])
    if len(dates) < rule.inr_days:
        text = (
            f"INR in {rule.inr_low:g} to {rule.inr_high:g} on {len(dates)} days in a row,"
            f" at least {rule.inr_days}"
        )
        reasons.append(text)
    newest = drawn[-1] if drawn else None
    is_high = newest is not None and newest.value is not None and newest.value > rule.inr_high
    if newest is not None and is_high:
        reasons.append(f"INR {newest.value:g} is above {rule.inr_high:g}: ask the prescriber")
    last_ms = newest.drawn_ms if newest is not None else begun_ms
    return Readiness(
        may_stop=not reasons,
        reasons=tuple(reasons),
        next_ms=last_ms + round(rule.inr_every_h * MS_PER_HOUR) if reasons else None,
        ask_prescriber=is_high,
    )


def first_tablet(rule: Direct, stop_ms: int | None, taken_ms: int | None, now_ms: int) -> Readiness:
    """Whether the first tablet follows the stop of heparin as it should.

    `stop_ms` is when heparin stopped, `taken_ms` when the first tablet was taken; None: not yet.
    """
    if stop_ms is None:
        reasons = ("a tablet was taken while heparin runs: ask the prescriber",)
        is_early = taken_ms is not None
        return Readiness(
            may_stop=True,
            reasons=reasons if is_early else (),
            next_ms=None,
            ask_prescriber=is_early,
        )
    due_ms = stop_ms + round(rule.first_dose_after_stop_h * MS_PER_HOUR)
    late_ms = due_ms + round(rule.late_h * MS_PER_HOUR)
    if taken_ms is not None:
        gap_h = (taken_ms - due_ms) / MS_PER_HOUR
        if taken_ms < due_ms:
            early = f"the first tablet came {-gap_h:.1f} h too early: ask the prescriber"
            return Readiness(may_stop=True, reasons=(early,), next_ms=None, ask_prescriber=True)
        late = () if taken_ms < late_ms else (f"the first tablet came {gap_h:.1f} h late",)
        return Readiness(may_stop=True, reasons=late, next_ms=None)
    if now_ms < late_ms:
        return Readiness(may_stop=True, reasons=(), next_ms=due_ms)
    hours = (now_ms - due_ms) / MS_PER_HOUR
    reason = f"no {rule.drug} {hours:.1f} h after it was due, and no heparin: ask the prescriber"
    return Readiness(may_stop=True, reasons=(reason,), next_ms=due_ms, ask_prescriber=True)


def _counts(result: LabResult, begun_ms: int, now_ms: int) -> bool:
    """An INR with a value, drawn after the overlap began, and known by now."""
    return (
        result.test == "inr"
        and result.value is not None
        and result.drawn_ms >= begun_ms
        and result.resulted_ms <= now_ms
    )


def _is_in_range(result: LabResult, rule: Warfarin) -> bool:
    assert result.value is not None, "only results with a value are counted"
    return not result.bound and rule.inr_low <= result.value <= rule.inr_high

"""What a titration table says to do with a laboratory value. For testing and training only.

Hospitals' tables differ by design, so a table is data (`config/nomograms/*.toml`, which
infusion/nomogram_file.py reads); this reads an answer off it:

    nomogram = read_nomogram(data, "raschke.toml")
    advise(nomogram, 40.0, rate_iu_h=1260, weight_kg=70).words

A table is a list of bands of values, one after another from zero on, so that every value lies in
exactly one: the printed 35–45 and 46–70 of a laboratory that reports whole seconds become 35 to
below 46 and 46 to below 71. A part of a table that could not be read in its source stays in as
`not_known`: the answer there is to ask, never a guess.
"""

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from infusion.units import round_rate

Test = Literal["aptt_s", "aptt_ratio", "anti_xa_iu_ml"]
# How well a table is founded: read in its source, read in a secondary one, assumed here.
Mark = Literal["V", "V2", "A"]
Text = Annotated[str, Meta(min_length=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
# A place between two values: just before an edge (False) or just after it (True).
Cut = tuple[float, bool]

_TESTS = {
    "aptt_s": ("aPTT", " s"),
    "aptt_ratio": ("aPTT ratio", ""),
    "anti_xa_iu_ml": ("anti-Xa", " IU/mL"),
}


class Interval(Struct, frozen=True, kw_only=True):
    """Values of a test, with one edge at most on each side; the words say what belongs to it."""

    at_least: NotNegative | None = None
    above: NotNegative | None = None
    below: NotNegative | None = None
    at_most: NotNegative | None = None

    def begin(self) -> Cut:
        """Where it begins; without an edge, before zero."""
        if self.above is not None:
            return self.above, True
        return self.at_least or 0.0, False

    def end(self) -> Cut:
        """Where it ends; without an edge, after everything."""
        if self.below is not None:
            return self.below, False
        return (math.inf if self.at_most is None else self.at_most), True

    def has(self, value: float) -> bool:
        """Whether a value belongs to it."""
        return self.begin() <= (value, False) < self.end()

    def words(self) -> str:
        """Its edges, as one would say them."""
        edges = (
            ("from", self.at_least),
            ("above", self.above),
            ("below", self.below),
            ("to", self.at_most),
        )
        return " ".join(f"{word} {edge:g}" for word, edge in edges if edge is not None)


class Band(Interval, frozen=True, kw_only=True):
    """One line of a table: what to do with a value in it.

    The change of the rate is relative to weight or absolute, as the table has it. The time to the
    next test counts from the result, or with `recheck_after_hold` from the end of the hold.
    `not_known` says what of the line could not be read; such a line orders nothing.
    """

    bolus_iu_kg: NotNegative = 0.0
    hold_min: NotNegative = 0.0
    change_iu_kg_h: float = 0.0
    change_iu_h: float = 0.0
    recheck_h: Positive
    recheck_after_hold: bool = False
    in_range: bool = False
    not_known: str = ""

    def acts(self) -> bool:
        """Whether it orders anything but the next test."""
        change = self.change_iu_kg_h or self.change_iu_h
        return bool(self.bolus_iu_kg or self.hold_min or change)


class Critical(Interval, frozen=True, kw_only=True):
    """Values of which a physician is told, at once or when the value before was one as well.

    With `stop` the infusion stays off until the physician has said how to go on.
    """

    consecutive: Literal[1, 2] = 1
    stop: bool = False


class Start(Struct, frozen=True, kw_only=True):
    """The first bolus and rate, their limits, and the rounding of these and all later doses.

    Limits are those of the start: a later rate may be higher.
    """

    bolus_iu_kg: NotNegative = 0.0
    bolus_iu: NotNegative = 0.0
    bolus_max_iu: Positive | None = None
    rate_iu_kg_h: Positive | None = None
    rate_iu_h: Positive | None = None
    rate_max_iu_h: Positive | None = None
    bolus_round_iu: Positive | None = None
    rate_round_iu_h: Positive | None = None


class ListedStart(Start, frozen=True, kw_only=True):
    """A start whose titration table is another's, or not known."""

    source: Text
    mark: Mark
    test: Test
    target_low: Positive
    target_high: Positive


class Nomogram(Struct, frozen=True, kw_only=True):
    """A titration table: its start, its bands in the order of their values, its critical values.

    The target is the range as printed, the band in range may be a little wider at its upper edge.
    `settled_recheck_h` is for when two values in range have come one after the other.
    """

    title: Text
    source: Text
    mark: Mark
    test: Test
    target_low: Positive
    target_high: Positive
    first_check_h: Positive
    settled_recheck_h: Positive | None = None
    rebolus_max_iu: Positive | None = None
    start: Start
    bands: tuple[Band, ...]
    critical: tuple[Critical, ...] = ()

    def band(self, value: float) -> int:
        """The index of the band of a value, which must be at least zero."""
        assert value >= 0, f"a laboratory value cannot be {value}"
        return next(index for index, band in enumerate(self.bands) if band.has(value))


class FirstDose(Struct, frozen=True):
    """How a therapy begins."""

    bolus_iu: float
    rate_iu_h: float


class Advice(Struct, frozen=True, kw_only=True):
    """What a table says to do now.

    `band` counts from one; `rate_iu_h` is to run after the hold; `recheck_h` counts from now.
    `is_known` is False where the table could not be read, and `waits` is True where the infusion
    stays off until a physician has said how to go on.
    """

    band: int
    bolus_iu: float
    hold_min: float
    rate_iu_h: float
    recheck_h: float
    in_range: bool
    notify: bool
    waits: bool
    is_known: bool
    words: str


def first_dose(start: Start, *, weight_kg: float, no_bolus: bool = False) -> FirstDose:
    """The starting bolus and rate for one patient, rounded and within their limits."""
    bolus_iu = 0.0 if no_bolus else start.bolus_iu or start.bolus_iu_kg * weight_kg
    rate_iu_h = start.rate_iu_h or (start.rate_iu_kg_h or 0.0) * weight_kg
    return FirstDose(
        bolus_iu=_rounded(bolus_iu, start.bolus_round_iu, start.bolus_max_iu),
        rate_iu_h=_rounded(rate_iu_h, start.rate_round_iu_h, start.rate_max_iu_h),
    )


def advise(
    nomogram: Nomogram,
    value: float,
    *,
    rate_iu_h: float,
    weight_kg: float,
    no_bolus: bool = False,
    previous: float | None = None,
) -> Advice:
    """What the table says to a value of its test, while `rate_iu_h` runs.

    `previous` is the value before this one, None for the first. `no_bolus` is the order that this
    patient never gets a bolus. A change is one *of* the rate: 4 IU/kg/h in the lowest band of
    Raschke's table means 4 more, not 4.
    """
    index = nomogram.band(value)
    band, start = nomogram.bands[index], nomogram.start
    bolus_iu = 0.0 if no_bolus else band.bolus_iu_kg * weight_kg
    bolus_iu = _rounded(bolus_iu, start.bolus_round_iu, nomogram.rebolus_max_iu)
    change_iu_h = band.change_iu_h or band.change_iu_kg_h * weight_kg
    new_iu_h = _changed(rate_iu_h, change_iu_h, start.rate_round_iu_h)
    recheck_h = band.recheck_h
    is_settled = band.in_range and previous is not None and band.has(previous)
    if is_settled and nomogram.settled_recheck_h is not None:
        recheck_h = nomogram.settled_recheck_h
    if band.recheck_after_hold:
        recheck_h += band.hold_min / 60
    raised = [rule for rule in nomogram.critical if _is_met(rule, value, previous)]
    advice = Advice(
        band=index + 1,
        bolus_iu=bolus_iu,
        hold_min=band.hold_min,
        rate_iu_h=new_iu_h,
        recheck_h=recheck_h,
        in_range=band.in_range,
        notify=bool(raised or band.not_known),
        waits=any(rule.stop for rule in raised),
        is_known=not band.not_known,
        words="",
    )
    is_suppressed = no_bolus and band.bolus_iu_kg > 0
    words = _words(nomogram, value, rate_iu_h, advice, is_suppressed)
    return replace(advice, words=words)


def _changed(rate_iu_h: float, change_iu_h: float, step_iu_h: float | None) -> float:
    """The rate after a change: rounded, at least zero, never moved the other way by rounding."""
    if change_iu_h == 0:
        return rate_iu_h
    rounded = _rounded(max(0.0, rate_iu_h + change_iu_h), step_iu_h, None)
    return max(rounded, rate_iu_h) if change_iu_h > 0 else min(rounded, rate_iu_h)


def _is_met(rule: Critical, value: float, previous: float | None) -> bool:
    if rule.consecutive == 2 and (previous is None or not rule.has(previous)):
        return False
    return rule.has(value)


def _rounded(dose: float, step: float | None, most: float | None) -> float:
    """To the nearest whole number of steps, a half upwards; without a step, as rates are shown."""
    nearest = round_rate(dose) if step is None else math.floor(dose / step + 0.5) * step
    return nearest if most is None else min(nearest, most)


# --- words --------------------------------------------------------------------------------------


def _words(
    nomogram: Nomogram, value: float, rate_iu_h: float, advice: Advice, is_suppressed: bool
) -> str:
    """The advice as a nurse would read it out."""
    name, unit = _TESTS[nomogram.test]
    band = nomogram.bands[advice.band - 1]
    parts = [_dose_words(rate_iu_h, advice)]
    if band.not_known:
        parts = [f"the table is not known here ({band.not_known}): ask, change nothing"]
    if advice.bolus_iu:
        parts.insert(0, f"bolus {_shown(advice.bolus_iu)} IU")
    if is_suppressed:
        parts.insert(0, "no bolus, as ordered")
    if advice.hold_min:
        parts.insert(0, f"hold for {advice.hold_min:g} min")
    parts.append(f"next test in {advice.recheck_h:g} h")
    if advice.waits:
        parts.append("keep the infusion off until a physician has said how to go on")
    elif advice.notify:
        parts.append("tell a physician")
    return f"{name} {value:g}{unit} ({band.words()}): " + "; ".join(parts)


def _dose_words(rate_iu_h: float, advice: Advice) -> str:
    change_iu_h = advice.rate_iu_h - rate_iu_h
    if change_iu_h == 0:
        return f"rate stays at {_shown(rate_iu_h)} IU/h"
    verb = "raise" if change_iu_h > 0 else "lower"
    by, to = _shown(abs(change_iu_h)), _shown(advice.rate_iu_h)
    return f"{verb} the rate by {by} to {to} IU/h"


def _shown(dose: float) -> str:
    return f"{dose:,.6g}"

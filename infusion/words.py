"""How a text is filled with what is known: numbers, lengths of time, doses, quoted words.

A template is plain text with `{fields}`, each of them inside a part in square brackets. A part is
left out when one of its fields is not known, so what is left is always a whole sentence:

    Nothing has been heard from the pump[ for {span}]; whether it runs is not known.

What a pump or a person wrote is put in quotation marks, short and without control characters: it
is data, and must not read like a sentence of the monitor.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from infusion.alarms import Priority
from infusion.messages import Evidence
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

QUOTED_LENGTH_MAX = 120
# A dose below this is not worth a sentence.
DOSE_IU_MIN = 1.0
# From here on a dose is told in whole units, and what was misgiven in tens: it is an estimate, and
# reads as one.
DOSE_IU_WHOLE = 10.0
DOSE_IU_TENS = 100.0

MS_PER_DAY = 24 * MS_PER_HOUR

# What can stand in a template; see `known`.
FIELDS = frozenset(
    {
        "observed",
        "expected",
        "range",
        "share",
        "length",
        "when",
        "limit",
        "lasted",
        "span",
        "test",
        "reason",
        "detail",
    }
)
_PART = re.compile(r"\[([^\[\]]*)\]")
_FIELD = re.compile(r"\{([a-z_]+)\}")
# Units of the Unified Code for Units of Measure, as people write them.
_UNITS = {"[iU]/mL": "IU/mL", "10*9/L": "× 10⁹/L", "{INR}": ""}
_LENGTHS_MS = {
    "s": MS_PER_SECOND,
    "min": MS_PER_MINUTE,
    "h": MS_PER_HOUR,
    "d": MS_PER_DAY,
    "days": MS_PER_DAY,
}
# A laboratory test as the detail of its alert begins, and what its result may be beyond.
_TEST = re.compile(r"(anti-Xa|aPTT|platelets|haemoglobin|INR)(?: \((or less|or more)\))?$")
# Why a pump says that it does not deliver (IHE IPEC's reasons without their common prefix, and
# vendors' words), for people.
REASON_PREFIX = "pump-stopped-"
REASONS = {
    "by-clinician": "somebody stopped it",
    "user": "somebody stopped it",
    "not-specified": "it does not say why",
    "not-delivering": "it does not say why",
    "switching-source": "it is changing over to another source",
    "between-doses": "it waits for its next dose",
    "alarming": "it stopped with an alarm",
    "powered-off": "it was switched off",
    "standby": "it is in standby",
    "transitioning": "it is changing over",
    "kvo": "it only keeps the vein open",
}


class Text(Struct, frozen=True, kw_only=True):
    """The words of one alert.

    - `title`: two to five words. `what`: what happened; `more` and `less` are said instead when
      it is known to be too much or too little.
    - `first`: what to look at first, one or two short imperatives; `first_notice` is said instead
      when nobody must act.
    - `why`: why it matters with heparin. `source`: where the rule and its numbers come from, with
      marks as in infusion/thresholds.py. `clears`: when the alert ends.
    - `limits`: the fields of `Thresholds` that decide over it.
    """

    title: str
    what: str
    first: str
    why: str
    source: str
    clears: str
    more: str = ""
    less: str = ""
    first_notice: str = ""
    limits: tuple[str, ...] = ()


class Told(Struct, frozen=True):
    """What a nurse reads: what happened, and what to look at first."""

    what: str
    first: str


def told(
    text: Text,
    evidence: Evidence,
    *,
    since_ms: int | None,
    at_ms: int | None,
    priority: Priority | None,
    ordered_iu_h: float | None,
) -> Told:
    """Fill a text; see `infusion.texts.tell`."""
    direction = _direction(evidence)
    template = text.what
    if direction > 0 and text.more:
        template = text.more
    elif direction < 0 and text.less:
        template = text.less
    what = fill(template, known(evidence, since_ms=since_ms, at_ms=at_ms))
    dose = dose_sentence(evidence.dose_iu, ordered_iu_h)
    first = text.first
    if priority is Priority.NOTICE and text.first_notice:
        first = text.first_notice
    return Told(f"{what} {dose}".rstrip(), first)


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its fields filled in; parts with an unknown field are left out."""
    pieces = _PART.split(template)
    # Every second piece was in brackets. Only the template is read for them, never a value.
    for index in range(1, len(pieces), 2):
        names = _FIELD.findall(pieces[index])
        if all(name in values for name in names):
            pieces[index] = _FIELD.sub(lambda found: values[found[1]], pieces[index])
        else:
            pieces[index] = ""
    return "".join(pieces)


def known(evidence: Evidence, *, since_ms: int | None, at_ms: int | None) -> dict[str, str]:
    """The fields that this evidence can fill, as words.

    - `observed`, `expected`: the number with its unit; `range`: from low to high.
    - `share`: observed as a percentage of expected, of 1 where nothing is expected.
    - `length`: observed as a length of time where the unit is one of time, without a sign; `when`:
      from low to high so, "in 30 to 35 min".
    - `lasted`: from `since_ms` to `at_ms`; `span`: the interval that was looked at.
    - `test`: the laboratory test that the detail begins with; then `observed` has "or more" or
      "or less" where the laboratory cannot tell further.
    - `reason`: the detail as a reason of a pump that stands; `detail`: the detail, quoted.
    """
    values: dict[str, str] = {}
    observed, expected = evidence.observed, evidence.expected
    if observed is not None:
        values["observed"] = amount(observed, evidence.unit)
        if expected is None or expected > 0:
            values["share"] = f"{number(round(100 * observed / (expected or 1.0)))} %"
    if expected is not None:
        values["expected"] = amount(expected, evidence.unit)
    if evidence.low is not None and evidence.high is not None:
        values["range"] = f"{number(evidence.low)} to {amount(evidence.high, evidence.unit)}"
    _measure(evidence, values)
    if since_ms is not None and at_ms is not None and at_ms - since_ms >= MS_PER_SECOND:
        values["lasted"] = span(at_ms - since_ms)
    if evidence.limit:
        values["limit"] = evidence.limit
    _read_detail(evidence.detail, values)
    return values


def _read_detail(detail: str, values: dict[str, str]) -> None:
    words = quoted(detail)
    if not words:
        return
    values["detail"] = words
    head = detail.split(";")[0].strip()
    reason = head.removeprefix(REASON_PREFIX)
    values["reason"] = REASONS.get(reason) or quoted(reason) or words
    test = _TEST.match(head)
    if test is not None:
        values["test"] = test[1]
        if test[2] and "observed" in values:
            values["observed"] += f" {test[2]}"


def _measure(evidence: Evidence, values: dict[str, str]) -> None:
    per_ms = _LENGTHS_MS.get(evidence.unit)
    if per_ms is not None:
        if evidence.observed is not None:
            values["length"] = span(round(abs(evidence.observed) * per_ms))
        if evidence.low is not None and evidence.high is not None:
            values["when"] = _when(evidence.low * per_ms, evidence.high * per_ms)
    if evidence.from_ms is not None and evidence.to_ms is not None:
        length_ms = evidence.to_ms - evidence.from_ms
        if length_ms >= MS_PER_SECOND:
            values["span"] = span(length_ms)


def _when(low_ms: float, high_ms: float) -> str:
    """From so long on until so long, as words; what is nearer than a minute is not told apart."""
    if high_ms < MS_PER_MINUTE:
        return "within a minute"
    latest = span(round(high_ms))
    if low_ms < MS_PER_MINUTE:
        return f"within {latest}"
    earliest = span(round(low_ms))
    if earliest == latest:
        return f"in about {latest}"
    amount_low, _, unit_low = earliest.partition(" ")
    is_same_unit = latest.endswith(f" {unit_low}") and latest.count(" ") == 1
    return f"in {amount_low if is_same_unit else earliest} to {latest}"


def _direction(evidence: Evidence) -> int:
    """1 for too much, -1 for too little, 0 where it cannot be told.

    The dose says more than the bounds, and these more than what was expected.
    """
    if evidence.dose_iu:
        return 1 if evidence.dose_iu > 0 else -1
    observed = evidence.observed
    if observed is None:
        return 0
    if evidence.high is not None and observed > evidence.high:
        return 1
    if evidence.low is not None and observed < evidence.low:
        return -1
    if evidence.expected is not None:
        return (observed > evidence.expected) - (observed < evidence.expected)
    return -1 if observed < 0 else 0


def dose_sentence(dose_iu: float | None, ordered_iu_h: float | None) -> str:
    """How much was given too much (+) or too little (−) so far; empty where it is not known.

    With the ordered rate it is also told as so many minutes of it.
    """
    if dose_iu is None or abs(dose_iu) < DOSE_IU_MIN:
        return ""
    size_iu = abs(dose_iu)
    shown = round(size_iu, -1 if size_iu >= DOSE_IU_TENS else 0)
    word = "much" if dose_iu > 0 else "little"
    sentence = f"About {number(shown)} IU too {word} so far"
    if ordered_iu_h is not None and ordered_iu_h > 0:
        length_ms = round(size_iu / ordered_iu_h * MS_PER_HOUR)
        if length_ms >= MS_PER_MINUTE:
            sentence += f", {span(length_ms)} of the ordered rate"
    return sentence + "."


def flap_sentence(flaps: int, quiet_ms: int) -> str:
    """That an alert came and went so often that it is held open; empty where it did not."""
    if not flaps:
        return ""
    return (
        f"It keeps coming and going, {flaps} times so far, and stays open until it has been gone"
        f" for {span(quiet_ms)}."
    )


def amount(value: float, unit: str) -> str:
    """A number with its unit; many minutes become hours, and parts of an IU do not matter."""
    if unit == "min" and value >= 0:
        return span(round(value * MS_PER_MINUTE))
    if unit == "IU" and abs(value) >= DOSE_IU_WHOLE:
        value = round(value)
    return f"{number(value)} {_UNITS.get(unit, unit)}".rstrip()


def number(value: float) -> str:
    """A number as people read it: two decimals at most, more only where it would be nothing."""
    if 0 < abs(value) < 0.01:
        return f"{value:.1g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".").replace("-", "−")


def span(length_ms: int) -> str:
    """A length of time in words: 45 s, 7 min, 2 h 5 min, 3 days 4 h."""
    seconds = max(0, length_ms) // MS_PER_SECOND
    if seconds < 120 and seconds != 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90 and minutes != 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, rest = divmod(hours, 24)
    return f"{days} days {rest} h" if rest else f"{days} days"


def quoted(text: str) -> str:
    """What a pump or a person wrote, as data; empty where nothing that can be printed is in it."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    words = words.replace("“", "'").replace("”", "'")
    if len(words) > QUOTED_LENGTH_MAX:
        words = words[: QUOTED_LENGTH_MAX - 1].rstrip() + "…"
    return f"“{words}”" if words else ""


def explain(evidence: Evidence) -> str:
    """The reason of an alert in one line, the same for a log, a page and a test."""
    parts = []
    if evidence.observed is not None:
        parts.append(f"{_number(evidence.observed)} {evidence.unit}".rstrip())
    if evidence.expected is not None:
        parts.append(f"expected {_number(evidence.expected)}")
    if evidence.low is not None and evidence.high is not None:
        parts.append(f"between {_number(evidence.low)} and {_number(evidence.high)}")
    if evidence.limit:
        parts.append(f"limit {evidence.limit}")
    if evidence.detail:
        parts.append(evidence.detail)
    return "; ".join(parts)


def _number(value: float) -> str:
    """A number as people read it: two decimals at most, more only where it would be nothing."""
    if 0 < abs(value) < 0.01:
        return f"{value:.1g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")

"""A drug library: what a pump lets people program, and the check of a value against it.

Every limit is closed: a value equal to it lies inside. Beyond a soft limit the pump asks, beyond a
hard limit it refuses (GIP 6.1, reference pump-standards §2.1). Doses are compared as they are
shown, rounded to four decimals. Which limits there are follows reference heparin.md §1.6.
"""

from typing import Annotated

from msgspec import Meta, Struct

from infusion.errors import ConfigError
from infusion.prescription import ConcentrationIuMl
from infusion.units import dose_rate_iu_kg_h, round_rate

_LIMITED = (
    "weight_kg",
    "dose_iu_kg_h",
    "dose_iu_h",
    "bolus_iu_kg",
    "bolus_iu",
    "bolus_iu_kg_min",
)
Bound = Annotated[float, Meta(ge=0, le=1_000_000)]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of one quantity; None is no limit."""

    hard_min: Bound | None = None
    soft_min: Bound | None = None
    soft_max: Bound | None = None
    hard_max: Bound | None = None


class DrugEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One therapy of a library."""

    concentrations_iu_ml: tuple[ConcentrationIuMl, ...]
    weight_kg: Limits = Limits()
    dose_iu_kg_h: Limits = Limits()
    dose_iu_h: Limits = Limits()
    bolus_allowed: bool = True
    bolus_iu_kg: Limits = Limits()
    bolus_iu: Limits = Limits()
    bolus_iu_kg_min: Limits = Limits()
    bolus_interval_min: Bound = 0.0


class DrugLibrary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A library as a file has it; `default` names the entry that a heparin pump uses."""

    name: str
    version: str
    default: str
    entry: dict[str, DrugEntry]

    def chosen(self) -> DrugEntry:
        """The entry that pumps use. Raises ConfigError where `default` names none, or a limit lies
        outside a harder one."""
        if self.default not in self.entry:
            known = ", ".join(sorted(self.entry))
            raise ConfigError(
                f"library {self.name}: key 'default': there is no entry {self.default!r}; "
                f"known are {known}"
            )
        for name, entry in self.entry.items():
            _check_order(f"library {self.name}: [entry.{name}]", entry)
        return self.entry[self.default]


class Breach(Struct, frozen=True):
    """One limit that a value lies beyond."""

    is_hard: bool
    text: str


def check_rate(
    entry: DrugEntry, rate_ml_h: float, concentration_iu_ml: float, weight_kg: float
) -> list[Breach]:
    """What a library says to a continuous rate, in IU/kg/h and in IU/h."""
    by_weight = dose_rate_iu_kg_h(rate_ml_h, concentration_iu_ml, weight_kg)
    return _check("dose rate", by_weight, entry.dose_iu_kg_h, "IU/kg/h") + _check(
        "dose rate", rate_ml_h * concentration_iu_ml, entry.dose_iu_h, "IU/h"
    )


def check_bolus(
    entry: DrugEntry, dose_iu: float, duration_s: float, weight_kg: float, since_min: float | None
) -> list[Breach]:
    """What a library says to a bolus; `since_min` is how long ago the last one began."""
    if not entry.bolus_allowed:
        return [Breach(is_hard=True, text="the library allows no bolus")]
    by_weight = dose_iu / weight_kg
    found = _check("bolus", by_weight, entry.bolus_iu_kg, "IU/kg")
    found += _check("bolus", dose_iu, entry.bolus_iu, "IU")
    found += _check("bolus rate", by_weight * 60 / duration_s, entry.bolus_iu_kg_min, "IU/kg/min")
    if since_min is not None and since_min < entry.bolus_interval_min:
        text = f"bolus {since_min:.4g} min after the last, at least {entry.bolus_interval_min:g}"
        found.append(Breach(is_hard=True, text=text))
    return found


def check_weight(entry: DrugEntry, weight_kg: float) -> list[Breach]:
    """What a library says to a weight."""
    return _check("weight", weight_kg, entry.weight_kg, "kg")


def check_concentration(entry: DrugEntry, concentration_iu_ml: float) -> list[Breach]:
    """What a library says to a concentration: it must be one of the list."""
    if concentration_iu_ml in entry.concentrations_iu_ml:
        return []
    known = ", ".join(f"{value:g}" for value in entry.concentrations_iu_ml)
    return [Breach(is_hard=True, text=f"concentration {concentration_iu_ml:g} is not of {known}")]


def _check(what: str, value: float, limits: Limits, unit: str) -> list[Breach]:
    """The hardest limit that a value lies beyond, or none."""
    value = round_rate(value)
    for is_hard, low, high in (
        (True, limits.hard_min, limits.hard_max),
        (False, limits.soft_min, limits.soft_max),
    ):
        word = "hard" if is_hard else "soft"
        if low is not None and value < low:
            return [Breach(is_hard, f"{what} {value:g} {unit} is below the {word} limit {low:g}")]
        if high is not None and value > high:
            return [Breach(is_hard, f"{what} {value:g} {unit} is above the {word} limit {high:g}")]
    return []


def _check_order(place: str, entry: DrugEntry) -> None:
    for key in _LIMITED:
        limits: Limits = getattr(entry, key)
        bounds = (limits.hard_min, limits.soft_min, limits.soft_max, limits.hard_max)
        given = [bound for bound in bounds if bound is not None]
        if given != sorted(given):
            raise ConfigError(
                f"{place}: key {key!r}: the limits must rise from hard_min to hard_max"
            )

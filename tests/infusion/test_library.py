"""A unit test of the drug library: every limit on both sides, and the shipped files."""

from pathlib import Path

import pytest

from infusion.alarms import DEVICE_ALARMS, OWN_EVENTS, OWN_PREFIX
from infusion.errors import ConfigError
from infusion.library import (
    DrugEntry,
    DrugLibrary,
    Limits,
    check_bolus,
    check_concentration,
    check_rate,
    check_weight,
)
from infusion.settings import load_toml
from simulator.story.reading import read_table

FOLDER = Path(__file__).resolve().parents[2] / "config" / "libraries"


def shipped(name: str) -> DrugLibrary:
    file = FOLDER / f"{name}.toml"
    return read_table(DrugLibrary, load_toml(file.read_bytes(), file.name), file.name)


HOME = shipped("home-heparin").chosen()


def hardness(found: list) -> str:  # type: ignore[type-arg]
    """How a check came out: inside, soft or hard."""
    if not found:
        return "inside"
    return "hard" if any(breach.is_hard for breach in found) else "soft"


@pytest.mark.parametrize(
    ("dose_iu_kg_h", "expected"),
    [
        (0.99, "hard"),
        (1.0, "soft"),
        (3.99, "soft"),
        (4.0, "inside"),
        (25.0, "inside"),
        (25.01, "soft"),
        (35.0, "soft"),
        (35.01, "hard"),
    ],
)
def test_a_dose_rate_at_every_limit(dose_iu_kg_h: float, expected: str) -> None:
    assert hardness(check_rate(HOME, dose_iu_kg_h * 60 / 100, 100.0, 60.0)) == expected


@pytest.mark.parametrize(
    ("dose_iu_h", "expected"),
    [(2500.0, "inside"), (2501.0, "soft"), (4000.0, "soft"), (4001.0, "hard")],
)
def test_an_absolute_dose_rate_at_every_limit(dose_iu_h: float, expected: str) -> None:
    assert hardness(check_rate(HOME, dose_iu_h / 100, 100.0, 200.0)) == expected


@pytest.mark.parametrize(
    ("dose_iu", "weight_kg", "expected"),
    [
        (4800, 60, "inside"),
        (4801, 60, "soft"),
        (6000, 60, "soft"),
        (6001, 60, "hard"),
        (10000, 150, "inside"),
        (10001, 150, "hard"),
    ],
)
def test_a_bolus_at_every_limit(dose_iu: float, weight_kg: float, expected: str) -> None:
    assert hardness(check_bolus(HOME, dose_iu, 600, weight_kg, None)) == expected


def test_boluses_need_an_interval() -> None:
    assert hardness(check_bolus(HOME, 1000, 600, 60, 59.99)) == "hard"
    assert hardness(check_bolus(HOME, 1000, 600, 60, 60.0)) == "inside"


@pytest.mark.parametrize(
    ("weight_kg", "expected"), [(29.9, "hard"), (30, "inside"), (200, "inside"), (200.1, "hard")]
)
def test_a_weight_at_every_limit(weight_kg: float, expected: str) -> None:
    assert hardness(check_weight(HOME, weight_kg)) == expected


def test_a_concentration_must_be_of_the_list() -> None:
    assert [hardness(check_concentration(HOME, c)) for c in (40.0, 50.0, 100.0, 99.0)] == [
        "inside",
        "inside",
        "inside",
        "hard",
    ]


def test_the_published_library_lets_a_fivefold_dose_pass() -> None:
    """Heparin.md §1.6: a soft maximum of five times the dose and no hard one do not protect."""
    conway = shipped("conway")
    vte = conway.chosen()
    assert hardness(check_rate(vte, 5 * 18 * 70 / 50, 50.0, 70.0)) == "inside"
    assert hardness(check_rate(vte, 10 * 18 * 70 / 50, 50.0, 70.0)) == "soft"
    assert hardness(check_bolus(conway.entry["stroke"], 1, 60, 70, None)) == "hard"
    # 82 IU/kg in 2 min is 41 IU/kg/min: both are exactly at their hard limits.
    assert hardness(check_bolus(vte, 82 * 70, 120, 70, None)) == "inside"
    assert hardness(check_bolus(vte, 82 * 70, 119, 70, None)) == "hard"


def test_a_library_that_contradicts_itself_is_refused() -> None:
    crossed = DrugEntry(concentrations_iu_ml=(100.0,), dose_iu_h=Limits(soft_max=9, hard_max=8))
    with pytest.raises(ConfigError, match=r"entry\.x.*dose_iu_h.*must rise"):
        DrugLibrary(name="n", version="1", default="x", entry={"x": crossed}).chosen()
    with pytest.raises(ConfigError, match="no entry 'y'; known are x"):
        DrugLibrary(name="n", version="1", default="y", entry={"x": crossed}).chosen()


def test_events_without_a_refid_are_listed_and_nothing_else_has_our_prefix() -> None:
    own_alarms = {a.refid for a in DEVICE_ALARMS.values() if not a.refid.startswith("MDC_EVT_")}
    assert own_alarms <= OWN_EVENTS.keys()
    assert all(name.startswith(OWN_PREFIX) for name in OWN_EVENTS)
    used = set()
    for file in (FOLDER.parents[1] / "simulator").rglob("*.py"):
        used |= {word for word in file.read_text().split('"') if word.startswith(OWN_PREFIX)}
    assert used | own_alarms == set(OWN_EVENTS)

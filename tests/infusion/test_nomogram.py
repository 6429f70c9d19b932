"""Every line of every shipped titration table, on both sides of its edges, and what is refused."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from infusion.nomogram import Advice, FirstDose, advise, first_dose
from infusion.nomogram_file import read_nomogram, read_starts

CONFIG = Path(__file__).resolve().parents[2] / "config"
NOMOGRAMS = {
    path.stem: read_nomogram(path.read_bytes(), path.name)
    for path in sorted((CONFIG / "nomograms").glob("*.toml"))
}
STARTS = read_starts((CONFIG / "starts.toml").read_bytes(), "starts.toml")

# At this weight and rate no change meets a rounding.
WEIGHT_KG = 100.0
RATE_IU_H = 2_000.0

# The tables as they are printed: first and last value of a line, bolus in IU/kg, hold in min,
# change in IU/kg/h (Lothian: IU/h), hours to the next test from the result.
Line = tuple[float, float, float, float, float, float]
CONWAY: list[Line] = [
    (0, 34, 25, 0, 3, 6),
    (35, 45, 0, 0, 2, 6),
    (46, 56, 0, 0, 1, 6),
    (57, 95, 0, 0, 0, 24),
    (96, 105, 0, 0, -1, 6),
    (106, 115, 0, 60, -2, 6),
    (116, 125, 0, 60, -3, 6),
    (126, 135, 0, 120, -4, 6),
    (135.1, 900, 0, 120, -5, 6),
]
PMC: list[Line] = [
    (0, 63.9, 30, 0, 3, 6),
    (64, 70, 30, 0, 3, 6),
    (71, 105, 0, 0, 0, 24),
    (106, 116, 0, 0, -1, 6),
    (117, 132, 0, 0, -2, 6),
    (133, 900, 0, 60, -2, 6),
]
PRINTED: dict[str, list[Line]] = {
    "raschke": [
        (0, 34.9, 80, 0, 4, 6),
        (35, 45, 40, 0, 2, 6),
        (46, 70, 0, 0, 0, 6),
        (71, 90, 0, 0, -2, 6),
        (90.1, 900, 0, 60, -3, 7),
    ],
    "raschke_ratio": [
        (0, 1.19, 80, 0, 4, 6),
        (1.2, 1.49, 40, 0, 2, 6),
        (1.5, 2.29, 0, 0, 0, 6),
        (2.3, 3.0, 0, 0, -2, 6),
        (3.01, 20, 0, 60, -3, 7),
    ],
    "michigan_vte": [
        (0, 0.19, 80, 0, 1.5, 6),
        (0.20, 0.29, 40, 0, 1, 6),
        (0.30, 0.70, 0, 0, 0, 6),
        (0.71, 0.80, 0, 0, -1, 6),
        (0.81, 0.99, 0, 30, -1.5, 6),
        (1.0, 9, 0, 60, -3, 6),
    ],
    "conway_cardiac": CONWAY,
    "conway_vte": CONWAY,
    "conway_stroke": [(0, 34, 0, 0, 3, 6), *CONWAY[1:]],
    "durham_va": [
        (0, 45.9, 80, 0, 4, 6),
        (46, 67, 40, 0, 2, 6),
        (68, 95, 0, 0, 0, 6),
        (96, 106, 0, 0, -2, 6),
        (106.1, 900, 0, 60, -4, 7),
    ],
    "pmc8891818_vte": PMC,
    "pmc8891818_cardiac": PMC,
    "pmc8891818_cns": [(0, 63.9, 0, 0, 3, 6), (64, 70, 0, 0, 2, 6), *PMC[2:]],
    "lothian": [
        (0, 1.1, 0, 0, 0, 6),
        (1.2, 1.4, 0, 0, 200, 6),
        (1.5, 1.9, 0, 0, 100, 6),
        (2.0, 3.0, 0, 0, 0, 24),
        (3.1, 4.0, 0, 0, -200, 6),
        (4.1, 5.0, 0, 0, -300, 6),
        (5.1, 20, 0, 60, -500, 2),
    ],
    "ject_44_66": [
        (0, 22.9, 0, 0, 0, 4),
        (23, 43, 0, 0, 2, 4),
        (44, 66, 0, 0, 0, 4),
        (67, 92, 0, 30, -2, 4),
        (93, 107, 0, 60, -3, 5),
        (107.1, 900, 0, 120, -4, 6),
    ],
    "ject_67_92": [
        (0, 46.9, 0, 0, 0, 4),
        (47, 66, 0, 0, 2, 4),
        (67, 92, 0, 0, 0, 4),
        (93, 107, 0, 30, -2, 4),
        (108, 126, 0, 60, -3, 5),
        (126.1, 900, 0, 120, -4, 6),
    ],
}


def advice(
    name: str,
    value: float,
    *,
    rate_iu_h: float = RATE_IU_H,
    weight_kg: float = WEIGHT_KG,
    no_bolus: bool = False,
    previous: float | None = None,
) -> Advice:
    return advise(
        NOMOGRAMS[name],
        value,
        rate_iu_h=rate_iu_h,
        weight_kg=weight_kg,
        no_bolus=no_bolus,
        previous=previous,
    )


# --- the tables ---------------------------------------------------------------------------------


def test_every_shipped_table_is_printed_here() -> None:
    assert set(PRINTED) == set(NOMOGRAMS)


@pytest.mark.parametrize(
    ("name", "number", "line"),
    [
        pytest.param(name, number, line, id=f"{name}-{number}")
        for name, lines in PRINTED.items()
        for number, line in enumerate(lines, start=1)
    ],
)
def test_a_printed_line_holds_from_its_first_to_its_last_value(
    name: str, number: int, line: Line
) -> None:
    first, last, bolus_iu_kg, hold_min, change, recheck_h = line
    change_iu_h = change if name == "lothian" else change * WEIGHT_KG
    for value in (first, (first + last) / 2, last):
        said = advice(name, value)
        assert said.band == number
        assert said.bolus_iu == bolus_iu_kg * WEIGHT_KG
        assert said.hold_min == hold_min
        assert said.rate_iu_h == RATE_IU_H + change_iu_h
        assert said.recheck_h == recheck_h


EDGES = [
    pytest.param(name, index, id=f"{name}-{index + 1}")
    for name, nomogram in NOMOGRAMS.items()
    for index in range(len(nomogram.bands) - 1)
]


@pytest.mark.parametrize(("name", "index"), EDGES)
def test_the_values_beside_an_edge_lie_on_its_two_sides(name: str, index: int) -> None:
    nomogram = NOMOGRAMS[name]
    edge, belongs_below = nomogram.bands[index].end()
    below, above = math.nextafter(edge, 0), math.nextafter(edge, math.inf)
    assert nomogram.band(below) == index
    assert nomogram.band(edge) == (index if belongs_below else index + 1)
    assert nomogram.band(above) == index + 1


@given(st.sampled_from(sorted(NOMOGRAMS)), st.floats(0, allow_nan=False))
def test_every_value_lies_in_one_band(name: str, value: float) -> None:
    bands = NOMOGRAMS[name].bands
    assert [band.has(value) for band in bands].count(True) == 1
    assert bands[NOMOGRAMS[name].band(value)].has(value)


@pytest.mark.parametrize("name", NOMOGRAMS)
def test_the_printed_target_is_in_range(name: str) -> None:
    nomogram = NOMOGRAMS[name]
    middle = (nomogram.target_low + nomogram.target_high) / 2
    for value in (nomogram.target_low, middle):
        assert advice(name, value).in_range
    # Raschke's ratios print 2.3 at the end of one line and at the beginning of the next.
    assert advice(name, nomogram.target_high).in_range is (name != "raschke_ratio")


def test_an_impossible_value_is_the_callers_mistake() -> None:
    for value in (-0.1, math.nan):
        with pytest.raises(AssertionError):
            advice("raschke", value)


# --- what the tables say beside their lines -----------------------------------------------------


def test_raschke_means_an_increase_by_four() -> None:
    """The AAFP's print reads as if 4 IU/kg/h were the new rate; a patient of 70 kg on 1,260 IU/h."""
    said = advice("raschke", 30, rate_iu_h=1_260, weight_kg=70)
    assert said.rate_iu_h == 1_260 + 4 * 70
    assert said.rate_iu_h != 4 * 70
    assert said.bolus_iu == 5_600


@pytest.mark.parametrize(
    ("name", "weight_kg", "expected"),
    [
        ("raschke", 70, FirstDose(5_600, 1_260)),
        ("raschke", 150, FirstDose(12_000, 2_700)),
        ("michigan_vte", 70, FirstDose(5_600, 1_260)),
        ("michigan_vte", 63.3, FirstDose(5_060, 1_140)),
        ("michigan_vte", 100, FirstDose(8_000, 1_800)),
        ("michigan_vte", 130, FirstDose(10_000, 1_800)),
        ("conway_cardiac", 66, FirstDose(4_000, 800)),
        ("conway_cardiac", 90, FirstDose(4_000, 1_000)),
        ("conway_vte", 70, FirstDose(5_600, 1_300)),
        ("conway_vte", 130, FirstDose(10_000, 2_000)),
        ("conway_stroke", 70, FirstDose(0, 700)),
        ("conway_stroke", 150, FirstDose(0, 1_400)),
        ("durham_va", 130, FirstDose(10_000, 2_000)),
        ("pmc8891818_vte", 70, FirstDose(5_600, 1_260)),
        ("pmc8891818_cardiac", 70, FirstDose(4_900, 1_050)),
        ("pmc8891818_cns", 70, FirstDose(0, 840)),
        ("lothian", 50, FirstDose(5_000, 1_200)),
        ("lothian", 150, FirstDose(5_000, 1_200)),
        ("ject_44_66", 70, FirstDose(0, 1_050)),
        ("ject_67_92", 130, FirstDose(0, 1_800)),
    ],
)
def test_the_first_dose_is_rounded_and_limited(
    name: str, weight_kg: float, expected: FirstDose
) -> None:
    assert first_dose(NOMOGRAMS[name].start, weight_kg=weight_kg) == expected


@pytest.mark.parametrize(
    ("name", "weight_kg", "expected"),
    [
        ("stemi_lytic", 66.6, FirstDose(3_996, 799.2)),
        ("stemi_lytic", 66.7, FirstDose(4_000, 800.4)),
        ("stemi_lytic", 83.4, FirstDose(4_000, 1_000)),
        ("unstable_angina_low", 90, FirstDose(5_000, 1_000)),
        ("unstable_angina_high", 60, FirstDose(4_200, 900)),
        ("acc_aha_2025", 60, FirstDose(3_600, 720)),
        ("michigan_stemi_lytic", 61.7, FirstDose(3_700, 740)),
        ("michigan_unstable_angina", 90, FirstDose(5_000, 1_000)),
    ],
)
def test_starts_of_acute_coronary_syndromes(
    name: str, weight_kg: float, expected: FirstDose
) -> None:
    assert first_dose(STARTS[name], weight_kg=weight_kg) == expected


def test_the_limit_of_the_start_does_not_bind_later() -> None:
    assert advice("michigan_vte", 0.1, rate_iu_h=1_800, weight_kg=130).rate_iu_h == 2_000


def test_a_repeated_bolus_keeps_its_own_limit() -> None:
    assert advice("michigan_vte", 0.1, weight_kg=130).bolus_iu == 10_000
    assert advice("michigan_vte", 0.25, weight_kg=130).bolus_iu == 5_200
    assert advice("durham_va", 30, weight_kg=130).bolus_iu == 10_400


def test_a_half_is_rounded_upwards() -> None:
    assert advice("michigan_vte", 0.1, rate_iu_h=1_260, weight_kg=70).rate_iu_h == 1_370
    assert advice("conway_vte", 30, weight_kg=50).bolus_iu == 1_300


def test_a_rate_in_range_is_not_rounded() -> None:
    assert advice("conway_vte", 70, rate_iu_h=1_234.5).rate_iu_h == 1_234.5


def test_rounding_never_turns_a_change_round() -> None:
    """Rates off the table's grid of 100 IU/h, and changes of 30 IU/h in a patient of 30 kg."""
    assert advice("conway_vte", 50, rate_iu_h=1_210, weight_kg=30).rate_iu_h == 1_210
    assert advice("conway_vte", 100, rate_iu_h=1_290, weight_kg=30).rate_iu_h == 1_290
    assert advice("conway_vte", 50, rate_iu_h=1_230, weight_kg=30).rate_iu_h == 1_300


def test_a_rate_never_falls_below_zero() -> None:
    assert advice("lothian", 6, rate_iu_h=300).rate_iu_h == 0


@pytest.mark.parametrize("name", NOMOGRAMS)
def test_no_bolus_is_never_a_bolus(name: str) -> None:
    assert first_dose(NOMOGRAMS[name].start, weight_kg=WEIGHT_KG, no_bolus=True).bolus_iu == 0
    for first, *_ in PRINTED[name]:
        usual, said = advice(name, first), advice(name, first, no_bolus=True)
        assert said.bolus_iu == 0
        assert said.rate_iu_h == usual.rate_iu_h
        assert ("no bolus, as ordered" in said.words) is (usual.bolus_iu > 0)


@pytest.mark.parametrize(
    ("name", "value", "previous", "recheck_h"),
    [
        ("raschke", 60, None, 6),
        ("raschke", 60, 45.9, 6),
        ("raschke", 60, 46, 24),
        ("raschke", 40, 60, 6),
        ("durham_va", 80, 95, 24),
        ("ject_44_66", 50, 50, 24),
        ("michigan_vte", 0.5, 0.5, 6),
        ("lothian", 2.5, None, 24),
    ],
)
def test_two_values_in_range_give_time(
    name: str, value: float, previous: float | None, recheck_h: float
) -> None:
    assert advice(name, value, previous=previous).recheck_h == recheck_h


@pytest.mark.parametrize(
    ("name", "value", "previous", "notify", "waits"),
    [
        ("michigan_vte", 0.19, None, False, False),
        ("michigan_vte", 0.19, 0.2, False, False),
        ("michigan_vte", 0.19, 0.19, True, False),
        ("michigan_vte", 1.0, 1.0, True, False),
        ("michigan_vte", 1.0, 0.19, False, False),
        ("michigan_vte", 0.99, 1.0, False, False),
        ("conway_vte", 135, 200, False, False),
        ("conway_vte", 135.1, None, True, False),
        ("durham_va", 107, None, False, False),
        ("durham_va", 107.1, None, True, False),
        ("ject_67_92", 120.1, None, False, False),
        ("ject_67_92", 120.1, 120, False, False),
        ("ject_67_92", 120.1, 120.1, True, True),
        ("ject_67_92", 200, None, False, False),
        ("ject_44_66", 200.1, None, True, True),
        ("raschke", 300, 300, False, False),
    ],
)
def test_when_a_physician_is_told(
    name: str, value: float, previous: float | None, notify: bool, waits: bool
) -> None:
    said = advice(name, value, previous=previous)
    assert (said.notify, said.waits) == (notify, waits)


@pytest.mark.parametrize(
    ("name", "unknown", "known"),
    [("lothian", 1.19, 1.2), ("ject_44_66", 22.9, 23), ("ject_67_92", 46.9, 47)],
)
def test_what_could_not_be_read_is_asked_and_not_guessed(
    name: str, unknown: float, known: float
) -> None:
    said = advice(name, unknown)
    assert not said.is_known
    assert said.notify
    assert (said.bolus_iu, said.hold_min, said.rate_iu_h) == (0, 0, RATE_IU_H)
    assert advice(name, known).is_known


def test_the_other_tables_are_whole() -> None:
    partly = {
        name for name, table in NOMOGRAMS.items() if any(band.not_known for band in table.bands)
    }
    assert partly == {"lothian", "ject_44_66", "ject_67_92"}


def test_words() -> None:
    values = (30.0, 40.0, 60.0, 80.0, 95.0)
    assert [
        advice("raschke", value, rate_iu_h=1_260, weight_kg=70).words for value in values
    ] == snapshot(
        [
            "aPTT 30 s (below 35): bolus 5,600 IU; raise the rate by 280 to 1,540 IU/h; next test in 6 h",
            "aPTT 40 s (from 35 below 46): bolus 2,800 IU; raise the rate by 140 to 1,400 IU/h; next test in 6 h",
            "aPTT 60 s (from 46 below 71): rate stays at 1,260 IU/h; next test in 6 h",
            "aPTT 80 s (from 71 to 90): lower the rate by 140 to 1,120 IU/h; next test in 6 h",
            "aPTT 95 s (above 90): hold for 60 min; lower the rate by 210 to 1,050 IU/h; next test in 7 h",
        ]
    )
    assert advice("ject_67_92", 250).words == snapshot(
        "aPTT 250 s (above 126): hold for 120 min; lower the rate by 400 to 1,600 IU/h; next test in 6 h; keep the infusion off until a physician has said how to go on"
    )
    assert advice("lothian", 1.0).words == snapshot(
        "aPTT ratio 1 (below 1.2): the table is not known here (the stored copy of the chart breaks off below 1.2): ask, change nothing; next test in 6 h; tell a physician"
    )
    assert advice("michigan_vte", 0.1, no_bolus=True, previous=0.1).words == snapshot(
        "anti-Xa 0.1 IU/mL (below 0.2): no bolus, as ordered; raise the rate by 150 to 2,150 IU/h; next test in 6 h; tell a physician"
    )

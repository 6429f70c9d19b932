"""What the protocol says beside an alert: the shipped nomograms, read to real records."""

from typing import Any

from msgspec.structs import replace

from infusion.advice import protocol_says
from infusion.nomogram import Nomogram
from infusion.nomogram_file import read_nomogram
from infusion.prescription import Hold, RateChange, Start
from infusion.record import Record
from infusion.thresholds import DEFAULTS
from tests.infusion.bench import T0, clock
from tests.infusion.clinic_bench import compiled, lab, record
from tests.simulator.bench import CONFIG

START = Start(at_ms=T0, rate_iu_h=1_260.0)


def nomogram(name: str) -> Nomogram:
    file = f"{name}.toml"
    return read_nomogram((CONFIG / "nomograms" / file).read_bytes(), file)


def level(value: float, hour: int = 6, **more: Any) -> Any:
    return lab("anti-xa", value, drawn=f"{hour:02}:00", resulted=f"{hour + 1:02}:00", **more)


def says(kept: Record, name: str = "michigan_vte") -> str | None:
    return protocol_says(kept, nomogram(name), DEFAULTS)


def test_a_level_above_range() -> None:
    """Michigan, 0.81 to below 1.0: 30 min, and 1.5 IU/kg/h less: 70 kg make 1,155, in tens 1,160."""
    said = says(record(level(0.82), order=compiled(START, weight_kg=70.0)))
    assert said == (
        "University of Michigan, thromboembolism, by anti-Xa: anti-Xa 0.82 IU/mL"
        " (from 0.81 below 1): hold for 30 min; lower the rate by 100 to 1,160 IU/h;"
        " next test in 6 h. What the table says, no order; source:"
        " ecosystem.tactuum.com/university-of-michigan, heparin drip nomogram for VTE"
    )


def test_a_bolus_comes_with_its_proviso() -> None:
    said = says(record(level(0.25), order=compiled(START, weight_kg=70.0)))
    assert said is not None
    assert "bolus 2,800 IU" in said
    assert "(no bolus where the order forbids it)" in said


def test_two_critical_levels_in_a_row_are_read_together() -> None:
    one = says(record(level(1.1), order=compiled(START)))
    two = says(record(level(1.1), level(1.2, 12), order=compiled(START)))
    assert one is not None
    assert two is not None
    assert "physician" not in one
    assert "tell a physician" in two


def test_the_rate_is_that_of_the_order_when_the_result_came() -> None:
    """A later change is the answer already; a hold does not make the rate nothing."""
    change = RateChange(at_ms=T0 + clock("07:10"), rate_iu_h=1_000.0)
    hold = Hold(at_ms=T0 + clock("06:30"), until_ms=T0 + clock("07:30"))
    for steps in ((START, change), (START, hold)):
        said = says(record(level(0.5), order=compiled(*steps, weight_kg=70.0)))
        assert said is not None
        assert "rate stays at 1,260 IU/h" in said


def test_a_ratio_is_to_the_control_of_the_laboratory() -> None:
    """Lothian, 3.1 to 4: 300 IU/h less; 105 s are 3.5 times 30 s, and 3 times 35 s."""
    kept = record(lab("aptt", 105.0, drawn="06:00", resulted="07:00"), order=compiled(START))
    said = says(kept, "lothian")
    assert said is not None
    assert "aPTT ratio 3.5" in said
    other = protocol_says(kept, nomogram("lothian"), replace(DEFAULTS, aptt_control_s=35.0))
    assert other is not None
    assert "aPTT ratio 3 " in other


def test_without_a_result_of_its_test_a_nomogram_says_nothing() -> None:
    assert says(record(order=compiled(START))) is None
    assert says(record(level(0.5), order=compiled(START)), "raschke") is None
    assert says(Record("T-01", None, [level(0.5)])) is None
    before = record(level(0.5), order=compiled(Start(at_ms=T0 + clock("48:00"), rate_iu_h=900.0)))
    assert says(before) is None

"""What only looks like a hazard, each found in a trial of drawn patients and mended."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from infusion.clinical import LabResult
from infusion.messages import Telemetry
from infusion.prescription import Bolus, Hold, Start
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    RATE_ML_H,
    T0,
    begin,
    clock,
    order,
    presence,
    says,
)
from tests.infusion.clinic_bench import clinical, infusing, lab

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)


def test_a_bolus_faster_than_the_pump_comes_as_fast_as_it_can() -> None:
    """10,000 IU in 10 min are 600 mL/h; a pump that runs at 500 at most gives them in 12 min."""
    bolus = Bolus(at_ms=T0 + clock("00:10"), dose_iu=10_000, duration_s=600)
    paper = begin(START, bolus, state={"vtbi_ml": 0.0, "reservoir_ml": 900.0})
    paper.say(presence(rate_max_ml_h=500.0)).run("00:10").program(500.0).run("00:22")
    assert says(paper.program(RATE_ML_H).run("00:40")) == []


def test_a_bolus_stays_given_when_the_clock_is_set() -> None:
    """Its time moves with the clock: nobody is asked to give it again."""
    bolus = Bolus(at_ms=T0 + clock("00:10"), dose_iu=1_000, duration_s=600)
    paper = begin(START, bolus).run("00:10").program(60.0).run("00:20").program(RATE_ML_H)
    paper.run("00:30")
    before = len(paper.stream)
    paper.run("02:30")
    ahead_ms = clock("01:40")
    paper.stream[before:] = [
        (at_ms, replace(message, time_ms=message.time_ms + ahead_ms))
        for at_ms, message in paper.stream[before:]
        if isinstance(message, Telemetry)
    ]
    lines = says(paper)
    assert any("clock-step" in line for line in lines)
    assert [line for line in lines if "order-not-applied" in line] == []


def test_a_bolus_that_was_given_unheard_is_known_from_what_comes_late() -> None:
    """Offline from 00:40 to 01:30; the bolus of 01:00 is in the messages that come afterwards."""
    bolus = Bolus(at_ms=T0 + clock("01:00"), dose_iu=1_000, duration_s=600)
    paper = begin(START, bolus).run("00:40")
    before = len(paper.stream)
    paper.run("01:02").program(60.0).run("01:12").program(RATE_ML_H).run("01:30")
    late = paper.stream[before:]
    del paper.stream[before:]
    paper.run("01:31")
    now_ms = paper.now_ms
    paper.stream += [(now_ms, message) for _, message in late]
    paper.run("02:30")
    assert not [line for line in says(paper) if "order-not-applied" in line]
    # Whoever gives it now gives it twice.
    paper.program(60.0).run("02:40").program(RATE_ML_H).run("02:45")
    assert any("rate-not-as-ordered high" in line for line in says(paper))


def test_a_pump_whose_therapy_went_to_another_is_not_asked_to_deliver() -> None:
    paper = begin(START).run("00:10").stop()
    paper.say(order(START, version=2, pump="P-02")).run("01:00")
    assert [line for line in says(paper) if "not-delivering" in line] == []


def test_power_that_comes_back_is_no_flow() -> None:
    """The first strokes after a restart are not held against the time that the pump was off."""
    paper = begin(interval_ms=10_000).run("01:00").reboot(off="00:40")
    paper.start(flow_ml_h=1.6 * RATE_ML_H).run("01:40:40")
    assert [line for line in says(paper) if "over-delivery" in line] == []


def test_a_short_error_before_a_silence_is_no_long_one_after_it() -> None:
    """What flowed in a silence nobody knows: it is not the error that was there before."""
    paper = begin(interval_ms=10_000).run("00:30")
    paper.flow_ml_h = 0.7 * RATE_ML_H
    paper.run("00:32").mute().run("00:55").mute(False).run("00:56")
    assert [line for line in says(paper) if "under-delivery" in line] == []


@pytest.mark.parametrize(("minutes", "is_told"), [(4, False), (7, True)])
def test_a_number_about_a_limit_calls_nobody_again(minutes: int, is_told: bool) -> None:
    """A priority falls when it has been lower for as long as the hazard must be gone to end."""
    paper = begin().say(presence(reservoir_gauge="measured")).run("00:02")

    def gauge(missing_ml: float, until: str) -> None:
        paper.set(reservoir_ml=200.0 - paper.shown_ml - missing_ml)
        paper.run(until)

    gauge(41.9, "00:05")
    gauge(38.0, f"00:{5 + minutes:02}")
    gauge(41.9, f"00:{8 + minutes:02}")
    lines = [line for line in says(paper) if "reservoir-unexplained" in line]
    words = [line.split()[1] for line in lines]
    assert words == ["raised", *["deescalated", "escalated"] * is_told]


def test_what_an_occlusion_held_back_is_no_flow_when_it_is_released() -> None:
    """At 1,650 mmHg a line holds 1.6 mL: they are a bolus, and no five minutes of double the dose."""
    paper = begin(interval_ms=10_000, flow_ml_h=1.08 * RATE_ML_H)
    paper.say(presence(volume_step_ml=0.055)).run("00:30")
    for minute, pressure_mmhg in ((32, 600.0), (34, 1_100.0), (36, 1_650.0)):
        paper.set(pressure_mmhg=pressure_mmhg).run(f"00:{minute}")
    paper.set(pressure_mmhg=60.0).run("01:00")
    assert [line for line in says(paper) if "over-delivery" in line] == []


@pytest.mark.parametrize("stops", [True, False])
def test_of_a_pump_that_is_not_heard_nobody_knows_whether_it_holds(stops: bool) -> None:
    """Mute from 00:09 on, hold from 00:10: what it does is told when it is heard again."""
    hold = Hold(at_ms=T0 + clock("00:10"), until_ms=T0 + clock("02:00"))
    paper = begin(START, hold, interval_ms=10_000).run("00:09").mute().run("00:12")
    if stops:
        paper.stop()
    paper.run("00:40").mute(False).run("00:45")
    lines = [line for line in says(paper) if "raised delivering-on-hold high" in line]
    assert len(lines) == (not stops)
    assert all(clock("00:40") <= clock(line.split()[0]) <= clock("00:41:10") for line in lines)


@pytest.mark.parametrize(("factor", "is_told"), [(1.05, False), (1.2, True)])
def test_what_a_line_holds_with_each_stroke_hides_no_flow(factor: float, is_told: bool) -> None:
    """Peaks of 190 mmHg count as held, and the same comes back with the next message."""
    paper = begin(interval_ms=10_000, flow_ml_h=factor * RATE_ML_H)
    paper.say(presence(volume_step_ml=0.055)).run("00:10")
    for number in range(240):
        pressure_mmhg = 190.0 if number % 2 else 100.0
        paper.state["pressure_mmhg"] = pressure_mmhg
        paper.run(f"00:{10 + number // 6:02}:{10 * (number % 6):02}")
    assert any("over-delivery" in line for line in says(paper)) is is_told


@pytest.mark.parametrize("has_level", [True, False])
def test_the_first_results_of_a_laboratory_come_one_after_another(has_level: bool) -> None:
    """Platelets are the first that is heard of it, and the level of the same visit follows."""
    results = [lab("platelets", 171.0, drawn="16:30", resulted="17:36")]
    if has_level:
        results.append(lab("anti-xa", 0.5, drawn="16:30", resulted="17:36:01"))
    said = clinical(infusing("18:00", *results))
    assert said == ["17:37:00 raised level-overdue medium"] * (not has_level)


def result(**fields: Any) -> bytes:
    sound = {
        "therapy": "T-01",
        "specimen": "S-1",
        "test": "haemoglobin",
        "value": 14.0,
        "unit": "g/dL",
        "drawn_ms": T0,
        "resulted_ms": T0,
    }
    return msgspec.json.encode(sound | fields)


def test_a_result_in_another_unit_is_refused_by_name() -> None:
    """140 g/L are 14 g/dL: taken for 140 g/dL they would hide any bleeding."""
    assert msgspec.json.decode(result(), type=LabResult).value == 14.0
    with pytest.raises(msgspec.ValidationError, match="haemoglobin is read in 'g/dL'"):
        msgspec.json.decode(result(value=140.0, unit="g/L"), type=LabResult)

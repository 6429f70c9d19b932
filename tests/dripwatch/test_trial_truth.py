"""What truth makes of a day made by hand: boluses, short faults, ends of bags, pressure, onsets."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from dripwatch.trial.assess import assess
from dripwatch.trial.conditions import conditions
from dripwatch.trial.draw import Plant
from dripwatch.trial.explain import why
from dripwatch.trial.hazard import Planted
from dripwatch.trial.hazards import HAZARDS
from dripwatch.trial.signs import PRESSURE_MMHG, Watch, look, sound_peak_mmhg
from dripwatch.trial.truth import Standing, Track
from host.process import read_named
from infusion.messages import Event, Telemetry
from infusion.prescription import Bolus, Hold, Prescription, Start, compile_timeline
from simulator.machine import Mode
from simulator.profile import read_profile
from tests.infusion.bench import begin

MIN = 60_000
DAY_MIN = 600
# A bolus of 4000 IU is ordered for minute 100 and lasts 10 min.
ORDERED_MIN, LENGTH_MIN, DOSE_IU = 100, 10, 4000.0
RATE_ML_H, IU_ML = 10.0, 100.0
RUNNING = Standing(
    mode=Mode.RUNNING,
    rate_ml_h=RATE_ML_H,
    concentration_iu_ml=IU_ML,
    weight_kg=80.0,
    is_outside_library=False,
    is_connected=True,
    on_mains=True,
    bag_since_nl=0,
    alarms=(),
    faults=(),
)
PROFILE = read_profile(*read_named("ambulatory", "pumps"))


def day(*given: tuple[int, float], **more: Any) -> Track:
    """A day at the ordered rate, with boluses: the minute each begins, and how much it is in IU."""
    start = Start(at_ms=0, rate_iu_h=RATE_ML_H * IU_ML)
    bolus = Bolus(at_ms=ORDERED_MIN * MIN, dose_iu=DOSE_IU, duration_s=LENGTH_MIN * 60.0)
    order = Prescription(
        therapy="T-01",
        version=1,
        pump="P-01",
        weight_kg=80.0,
        concentration_iu_ml=IU_ML,
        steps=(start, bolus),
    )
    times = np.arange(DAY_MIN + 1)
    pumped_ml, standings = times * RATE_ML_H / 60.0, [(0, RUNNING)]
    for minute, dose_iu in given:
        done = np.clip((times - minute) / LENGTH_MIN, 0.0, 1.0)
        pumped_ml = pumped_ml + done * dose_iu / IU_ML
        standings += [
            (minute, replace(RUNNING, mode=Mode.BOLUS)),
            (minute + LENGTH_MIN, RUNNING),
        ]
    track = Track(
        weight_kg=80.0,
        times_ms=times * MIN,
        pumped_ml=pumped_ml,
        patient_iu=pumped_ml * IU_ML,
        level_iu_ml=np.full(len(times), 0.5),
        reservoir_ml=np.full(len(times), 200.0),
        battery_min=np.full(len(times), 1e6),
        vtbi_ml=np.full(len(times), np.inf),
        timeline=compile_timeline(order),
        standings=standings,
    )
    return replace(track, **more)


def right(rule: str, minute: float, track: Track) -> bool:
    return bool(why(rule, round(minute * MIN), conditions(track)))


def test_a_bolus_that_was_given_in_time_explains_nothing() -> None:
    found = conditions(day((110, DOSE_IU)))
    assert (found["bolus-missed"], found["odd-bolus"]) == ([], [])


def test_a_bolus_that_nobody_gave_makes_the_order_not_applied_until_it_is_void() -> None:
    track = day()
    minutes = (150, 154, 156, 300, 345, 356)
    assert [right("order-not-applied", minute, track) for minute in minutes] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


def test_half_a_bolus_is_not_given() -> None:
    assert right("order-not-applied", 160, day((110, DOSE_IU / 2)))


@pytest.mark.parametrize(
    "rule", ["order-not-applied", "rate-not-as-ordered", "over-delivery", "reservoir-runs-out"]
)
def test_a_bolus_that_came_late_explains_what_it_looks_like(rule: str) -> None:
    assert right(rule, 171, day((170, DOSE_IU)))
    assert not right(rule, 111, day((110, DOSE_IU)))


def test_a_late_bolus_is_not_missed_once_it_is_given() -> None:
    assert conditions(day((170, DOSE_IU)))["bolus-missed"] == [(155 * MIN, 170 * MIN)]


@pytest.mark.parametrize("second", [DOSE_IU, DOSE_IU / 2])
def test_a_bolus_given_twice_is_odd_the_second_time(second: float) -> None:
    track = day((101, DOSE_IU), (125, second))
    assert conditions(track)["odd-bolus"] == [(125 * MIN, 135 * MIN)]


def test_a_fault_shorter_than_a_sample_is_one() -> None:
    track = day((110, DOSE_IU), faults=[("occlusion", 200 * MIN + 5_000, 200 * MIN + 40_000)])
    assert right("occlusion-forming", 200.5, track)
    assert not right("occlusion-forming", 195, track)
    assert not right("occlusion-forming", 206, track)


def test_a_counter_that_rests_because_nothing_comes_from_above_is_right_to_be_called_still() -> (
    None
):
    faults = [("occlusion", 200 * MIN, 230 * MIN)]
    upstream = day(faults=faults, alarms=[(201 * MIN, "upstream-occlusion")])
    downstream = day(faults=faults, alarms=[(201 * MIN, "downstream-occlusion")])
    assert right("counter-frozen", 200.6, upstream)
    assert not right("counter-frozen", 200.6, downstream)


@pytest.mark.parametrize("alarm", ["reservoir-empty", "infusion-complete"])
def test_a_bag_that_ended_within_the_hour_was_near_its_end(alarm: str) -> None:
    track = day((110, DOSE_IU), alarms=[(300 * MIN, alarm)])
    minutes = (238, 240, 300, 306)
    assert [right("reservoir-runs-out", minute, track) for minute in minutes] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("rule", "alarm"),
    [("reservoir-runs-out", "reservoir-low"), ("battery-runs-out", "battery-low")],
)
def test_what_the_pump_itself_calls_low_is_low(rule: str, alarm: str) -> None:
    assert right(rule, 300.1, day((110, DOSE_IU), alarms=[(300 * MIN, alarm)]))
    assert not right(rule, 300.1, day((110, DOSE_IU)))


def begun_or_ended(what: str) -> Event:
    message = begin(Start(at_ms=0, rate_iu_h=1_000)).event(f"MDC_EVT_PUMP_DELIV_{what}").stream[-1]
    assert isinstance(message[1], Event)
    return message[1]


def test_a_start_in_a_hold_is_right_to_be_told_though_no_sample_saw_the_stop() -> None:
    """Paused and started again within a minute, for a bag; ordered is nothing from minute 200."""
    order = Prescription(
        therapy="T-01",
        version=1,
        pump="P-01",
        weight_kg=80.0,
        concentration_iu_ml=IU_ML,
        steps=(
            Start(at_ms=0, rate_iu_h=RATE_ML_H * IU_ML),
            Hold(at_ms=200 * MIN, until_ms=300 * MIN),
        ),
    )
    said = [("STOP", 201.1), ("START", 201.9), ("STOP", 204.5)]
    events = [(round(at_min * MIN), begun_or_ended(what)) for what, at_min in said]
    track = day(timeline=compile_timeline(order), events=events)
    minutes = (200.2, 202.0, 204.0)
    assert [right("delivering-on-hold", minute, track) for minute in minutes] == [
        False,
        True,
        True,
    ]


# --- the first sign of pressure ------------------------------------------------------------------


def watch(key: str = "growing-occlusion", onset_min: float = 10.0) -> Watch:
    unit: Any = SimpleNamespace(
        pump=SimpleNamespace(profile=PROFILE), order=SimpleNamespace(timeline=day().timeline)
    )
    onset_ms = round(onset_min * MIN)
    return Watch(hazard=HAZARDS[key], unit=unit, from_ms=onset_ms, onset_ms=onset_ms)


def say(seen: Watch, minute: float, pressure_mmhg: float, **fields: Any) -> None:
    paper = begin(Start(at_ms=0, rate_iu_h=RATE_ML_H * IU_ML))
    paper.send(pressure_mmhg=pressure_mmhg, **{"rate_ml_h": RATE_ML_H, **fields})
    message = paper.stream[-1][1]
    assert isinstance(message, Telemetry)
    look(seen, message, round(minute * MIN))


def test_the_peak_of_a_stroke_is_no_sign_of_an_occlusion() -> None:
    """The pump's own strokes swing between 10 and 100 mmHg at 10 mL/h, and a message may meet its
    lowest pressure ten minutes long."""
    seen = watch()
    for minute in range(10):
        say(seen, minute, 12.0)
    say(seen, 11, 102.0)
    assert seen.seen_ms is None
    say(seen, 70, sound_peak_mmhg(PROFILE, RATE_ML_H) + PRESSURE_MMHG + 1)
    assert seen.seen_ms == 70 * MIN


def test_the_peak_of_a_sound_line_is_that_of_its_strokes() -> None:
    """0.05 mL within a tenth of 18 s makes 100 mL/h against 2 mmHg·h/mL, and a line with a time of
    2.88 s reaches 1 - exp(-1.8 / 2.88) of that, above 10 mmHg of the vein."""
    peak_mmhg = sound_peak_mmhg(PROFILE, RATE_ML_H)
    assert peak_mmhg == pytest.approx(103, abs=3)
    assert sound_peak_mmhg(PROFILE, 240.0) > sound_peak_mmhg(PROFILE, 20.0) + 200


def test_an_arm_that_was_up_before_is_no_sign() -> None:
    seen = watch()
    for minute in range(10):
        say(seen, minute, 140.0)
    say(seen, 11, 185.0)
    assert seen.seen_ms is None
    say(seen, 12, 191.0)
    assert seen.seen_ms == 12 * MIN


def test_a_bolus_and_the_minute_after_it_are_no_sign() -> None:
    seen = watch()
    for minute in range(10):
        say(seen, minute, 100.0)
    say(seen, 20, 500.0, rate_ml_h=240.0)
    say(seen, 30, 340.0)
    say(seen, 30.5, 340.0)
    assert seen.seen_ms is None
    say(seen, 31.5, 340.0)
    assert seen.seen_ms == 31.5 * MIN


# --- from when on it happened --------------------------------------------------------------------


def assessed(seen_min: float | None, spans: list[tuple[int, int]]) -> tuple[bool, int | None]:
    """Whether a tenfold rate of minute 10 to 40 was a hazard, and from when on it happened."""
    planted = Planted(onset_ms=10 * MIN, until_ms=40 * MIN)
    seen = watch("tenfold")
    seen.seen_ms = None if seen_min is None else round(seen_min * MIN)
    truth = {"off-order": [(begin * MIN, end * MIN) for begin, end in spans]}
    one = assess(Plant(HAZARDS["tenfold"], planted), seen, day(), truth, DAY_MIN * MIN)
    return one.is_real, one.happens_ms


def test_what_ran_for_less_than_a_sample_happened_and_was_no_hazard() -> None:
    assert assessed(10.1, []) == (False, round(10.1 * MIN))


def test_what_the_pump_refused_never_happened() -> None:
    assert assessed(None, []) == (False, None)


def test_what_ran_by_fits_and_starts_happened_from_its_first_start_on() -> None:
    assert assessed(10.1, [(18, 39)]) == (True, round(10.1 * MIN))
    assert assessed(None, [(18, 39)]) == (True, 18 * MIN)


@pytest.mark.parametrize(("given", "is_real"), [((101, 125), True), ((125,), False)])
def test_a_bolus_is_twice_only_where_the_first_was_given(
    given: tuple[int, ...], *, is_real: bool
) -> None:
    """The pump refuses a bolus while it gives another, and then the second is the first."""
    track = day(*((minute, DOSE_IU) for minute in given))
    planted = Planted(onset_ms=125 * MIN, until_ms=155 * MIN)
    plant = Plant(HAZARDS["bolus-twice"], planted)
    truth = conditions(track)
    seen = watch("bolus-twice", onset_min=125.0)
    assert assess(plant, seen, track, truth, DAY_MIN * MIN).is_real is is_real


def test_pounds_explain_a_wrong_weight_and_kilograms_do_not() -> None:
    pounds = replace(RUNNING, weight_kg=176.4)
    track = day(standings=[(0, RUNNING), (200, pounds), (260, RUNNING)])
    assert [right("wrong-weight", minute, track) for minute in (190, 201, 259, 270)] == [
        False,
        True,
        True,
        False,
    ]

"""The level in the blood as the monitor carries it on: from the account, on the order's time."""

import pytest
from msgspec.structs import replace

from infusion import blood, heparin, level
from infusion.level_grid import LevelWatch
from infusion.messages import Telemetry
from infusion.monitor import Monitor
from infusion.prescription import Bolus, Hold, Start
from infusion.state import PumpState
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    WEIGHT_KG,
    Paper,
    begin,
    feed,
    order,
)
from tests.infusion.clinic_bench import lab
from tests.infusion.courses import level as course

START = Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H)
# By size and not by weight: W^0.75 (heparin.md §5.1).
RATE = ORDERED_IU_KG_H * (heparin.REFERENCE_WEIGHT_KG / WEIGHT_KG) ** heparin.SIZE_EXPONENT


def state_of(monitor: Monitor) -> PumpState:
    return monitor.pumps[f"{SITE}/{PUMP}"]


def state_after(paper: Paper) -> PumpState:
    """What is known of the pump after its stream."""
    return state_of(feed(paper.stream)[0])


def ratio_after(paper: Paper) -> float:
    found = level.ratio(state_after(paper).level)
    assert found is not None
    return found


def at(minute: float) -> int:
    return T0 + round(minute * MS_PER_MINUTE)


# --- carried on -----------------------------------------------------------------------------------


def test_a_pump_that_does_as_ordered_makes_the_level_that_is_ordered() -> None:
    """The level is that of the typical patient, to within a step of the account."""
    watch = state_after(begin().run("03:00")).level
    assert at(175) <= watch.at_ms <= at(180)
    hours = (watch.at_ms - T0) / MS_PER_HOUR
    assert watch.delivered_iu_ml == pytest.approx(watch.ordered_iu_ml, rel=1e-6)
    assert watch.delivered_iu_ml == pytest.approx(course(hours, RATE), rel=1e-3)


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_the_level_follows_the_counter_and_not_the_program(factor: float) -> None:
    """A pump that counts something else for an hour: the patient has that, and ρ says so."""
    paper = begin().run("02:00")
    paper.flow_ml_h = factor * RATE_ML_H
    watch = state_after(paper.run("03:00")).level
    hours = (watch.at_ms - at(120)) / MS_PER_HOUR
    expected = course(hours, factor * RATE, begin=course(2.0, RATE))
    assert watch.delivered_iu_ml == pytest.approx(expected, rel=2e-3)
    assert watch.ordered_iu_ml == pytest.approx(course(2.0 + hours, RATE), rel=2e-3)


@pytest.mark.parametrize("interval_ms", [1_000, 10_000, 60_000, 240_000])
def test_how_often_a_pump_speaks_makes_no_level(interval_ms: int) -> None:
    """The counter says the same whether it is read each second or every four minutes."""
    watch = state_after(begin(interval_ms=interval_ms).run("02:00")).level
    hours = (watch.at_ms - T0) / MS_PER_HOUR
    assert watch.delivered_iu_ml == pytest.approx(course(hours, RATE), rel=2e-3)


def test_what_an_occluded_line_holds_is_in_no_blood() -> None:
    """Pumped and held is not delivered: 0.85 mL at 900 mmHg, of the 2.4 mL of ten minutes."""
    free = state_after(begin().run("01:00")).level
    held = state_after(begin().run("00:50").set(pressure_mmhg=900.0).run("01:00")).level
    missing_iu = 0.85 * 100.0
    size_kg = WEIGHT_KG * (WEIGHT_KG / heparin.REFERENCE_WEIGHT_KG) ** heparin.SIZE_EXPONENT
    missing = missing_iu / size_kg / heparin.CLINICAL.volume_ml_kg
    assert free.delivered_iu_ml - held.delivered_iu_ml == pytest.approx(missing, rel=0.15)


def test_nothing_is_carried_on_without_an_order_or_a_word() -> None:
    """Without an order there is no patient, without a message no dose."""
    unordered = Paper().start().run("00:30")
    assert not state_after(unordered).level.has_begun
    silent = Paper().say(order())
    assert not state_of(feed(silent.stream, until="00:30")[0]).level.has_begun


def test_another_therapy_is_another_level() -> None:
    """What the first patient has in his blood is not in that of the second."""
    second = order(Start(at_ms=at(60), rate_iu_kg_h=ORDERED_IU_KG_H), therapy="T-02", version=1)
    paper = begin().run("00:55").say(second).run("01:00").set(therapy="T-02").run("01:11")
    watch = state_after(paper).level
    hours = (watch.at_ms - at(60)) / MS_PER_HOUR
    assert watch.delivered_iu_ml == pytest.approx(course(hours, RATE), abs=0.01)


# --- silence and late messages --------------------------------------------------------------------


def test_silence_is_no_dose_of_zero() -> None:
    """An hour without a word: the level waits where it was, and what the counter gained is in it."""
    paper = begin().run("02:00").mute().run("03:00")
    waiting = state_of(feed(paper.stream, until="03:00")[0]).level
    assert at(115) <= waiting.at_ms <= at(120)
    back = state_after(paper.mute(False).run("03:10")).level
    assert back.delivered_iu_ml == pytest.approx(back.ordered_iu_ml, rel=1e-3)
    assert back.at_ms >= at(185)


def test_a_stop_within_a_silence_is_missing_afterwards() -> None:
    """The counter tells of half an hour that was not pumped, though nobody heard the stop."""
    paper = begin().run("02:00").mute().run("02:15").stop().run("02:45").start().run("03:00")
    assert 0.7 < ratio_after(paper.mute(False).run("03:10")) < 0.8


def lost_tail(count: int, until: str, *, backwards: bool = False) -> Paper:
    """A pump that restarts; the last messages before, 4 IU each, come in half an hour later."""
    paper = begin().run("02:10").reboot(off="00:01")
    # The last of all tells what the one before it does; then comes the word of the new boot.
    late = [message for _, message in paper.stream[-count - 2 : -2]]
    del paper.stream[-count - 2 : -1]
    paper.start().run("02:40")
    for message in reversed(late) if backwards else late:
        paper.say(message)
    return paper.run(until)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_late_message_is_no_dose_of_now(backwards: bool) -> None:
    """80 IU of half an hour ago do not raise the level of now; the account has them."""
    late = state_after(lost_tail(20, "02:40", backwards=backwards))
    without = lost_tail(20, "02:40")
    without.stream = without.stream[:-20]
    before = state_after(without)
    assert late.account.pumped_iu - before.account.pumped_iu == pytest.approx(80.0, abs=0.1)
    assert late.level.delivered_iu_ml == before.level.delivered_iu_ml
    on, was = (state_after(lost_tail(20, "03:00", backwards=each)).level for each in (True, False))
    assert on.delivered_iu_ml == pytest.approx(was.delivered_iu_ml, abs=1e-6)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("count", "is_anew"), [(24, False), (27, True)])
def test_too_much_that_comes_late_begins_the_level_anew(
    count: int, is_anew: bool, backwards: bool
) -> None:
    """More than 100 IU, one by one or at once: better as ordered than wrong by an unknown dose."""
    assert (ratio_after(lost_tail(count, "02:46", backwards=backwards)) > 0.9999) is is_anew


# --- restarts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "is_anew"), [("00:09", False), ("00:16", True), ("05:00", True)])
def test_a_restart_after_a_long_gap_begins_anew(off: str, is_anew: bool) -> None:
    """What a pump gave in a quarter of an hour before it restarted unseen is taken as ordered."""
    paper = begin().run("02:00").reboot(off=off).start()
    ratio = ratio_after(paper.run(f"{2 + int(off[:2]):02}:40"))
    assert (ratio == pytest.approx(1.0, abs=1e-6)) is is_anew
    assert is_anew or 0.85 < ratio < 0.95


def test_results_outlive_a_level_that_begins_anew() -> None:
    """What the laboratory said of this patient is put in again after a restart."""
    result = lab("anti-xa", 0.8, drawn="02:30", resulted="03:00")
    paper = begin().run("03:00").say(result).run("03:30").reboot(off="00:30").start()
    state = state_after(paper.run("04:20"))
    assert [each.value for each in state.level.sightings] == [0.8]
    plain = begin().run("03:30").reboot(off="00:30").start().run("04:20")
    found, without = (level.estimate(each.level) for each in (state, state_after(plain)))
    assert found is not None
    assert without is not None
    assert found.median > without.median + 0.05


# --- what is ordered ------------------------------------------------------------------------------

BOLUS = Bolus(at_ms=at(60), dose_iu=4_000, duration_s=600)


@pytest.mark.parametrize("given", ["01:00", "01:17", "01:40"])
def test_a_bolus_counts_when_it_is_given(given: str) -> None:
    """Ordered for one o'clock and given when somebody comes: that is no level off course."""
    paper = begin(START, BOLUS).run(given).program(240.0 + RATE_ML_H)
    paper.run(f"01:{int(given[3:]) + 10}").program(RATE_ML_H).run("02:30")
    watch = state_after(paper).level
    assert level.ratio(watch) == pytest.approx(1.0, abs=0.01)
    plain = state_after(begin().run("02:30")).level
    assert watch.delivered_iu_ml > plain.delivered_iu_ml + 0.3


def test_a_bolus_that_nobody_gives_is_not_ordered_of_the_level() -> None:
    """Nobody has done wrong before its time is over, and `order-not-applied` tells of it."""
    watch = state_after(begin(START, BOLUS).run("02:00")).level
    assert level.ratio(watch) == pytest.approx(1.0, abs=1e-6)


def test_a_bolus_that_nobody_ordered_is_a_surplus() -> None:
    """The same volume without an order."""
    paper = begin(START).run("01:00").program(240.0 + RATE_ML_H)
    assert ratio_after(paper.run("01:10").program(RATE_ML_H).run("01:30")) > 1.5


def test_a_hold_lowers_what_is_ordered() -> None:
    """An hour's hold that is carried out leaves ρ at one, one that is not leaves it far above."""
    hold = Hold(at_ms=at(60), until_ms=at(120))
    kept = begin(START, hold).run("01:00").stop().run("02:00")
    assert ratio_after(kept) == pytest.approx(1.0, abs=0.02)
    assert ratio_after(begin(START, hold).run("02:00")) > 1.5


def test_a_pump_whose_clock_is_set_makes_no_patient_older() -> None:
    """An hour ahead, and the level goes on as if nothing had been."""
    paper = begin().run("02:00")
    heard = len(paper.stream)
    monitor, _ = feed(paper.stream)
    paper.run("03:00")
    for at_ms, message in paper.stream[heard:]:
        assert isinstance(message, Telemetry)
        monitor.receive(shifted(message), SITE, at_ms)
    watch = state_of(monitor).level
    plain = state_after(begin().run("03:00")).level
    assert watch.delivered_iu_ml == pytest.approx(plain.delivered_iu_ml, rel=5e-3)
    assert level.ratio(watch) == pytest.approx(1.0, abs=5e-3)
    assert at(170) <= watch.at_ms <= at(180)


def shifted(message: Telemetry) -> Telemetry:
    """The same message of a pump whose clock is an hour ahead."""
    return replace(message, time_ms=message.time_ms + MS_PER_HOUR)


def test_a_level_that_has_not_begun_is_left_alone() -> None:
    """A late dose before anything is known only moves up to where the account is counted."""
    state = state_after(begin().run("00:10"))
    state.level, state.level_iu = LevelWatch(), 5.0
    blood.fill_in(state, 10.0)
    assert (state.level_iu, state.level.has_begun) == (15.0, False)

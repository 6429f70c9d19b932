"""Tests of the windows over the dose account, and of the bounds while a pump is silent."""

from dataclasses import dataclass

import pytest

from infusion.account import RINGS, WINDOWS_MS, Interval, therapy, window
from infusion.dose import THERAPY, Dose, doses
from infusion.messages import PumpMessage
from infusion.monitor import Monitor, PumpState
from infusion.prescription import Start, Stop
from infusion.units import MS_PER_HOUR
from tests.infusion.bench import (
    CONCENTRATION,
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    Paper,
    Stream,
    begin,
    clock,
    feed,
    order,
    order_of,
    rate_change,
)

KEY = f"{SITE}/{PUMP}"
ORDERED_IU_H = RATE_ML_H * CONCENTRATION


@dataclass
class Truth:
    """What the messages of a stream say was pumped up to each instant, over all boots."""

    stream: Stream

    def pumped_nl(self, at_ms: int) -> int:
        total = epoch = 0
        boot = None
        for _, message in self.stream:
            if isinstance(message, PumpMessage) and message.time_ms <= at_ms:
                if message.boot != boot:
                    total, epoch, boot = total + epoch, 0, message.boot
                epoch = round(message.volume_ml * 1e6)
        return total + epoch

    def times_ms(self) -> set[int]:
        return {m.time_ms for _, m in self.stream if isinstance(m, PumpMessage)}


def held_against(paper: Paper) -> PumpState:
    """Feed a paper pump's stream and check every window of it against the truth."""
    monitor, _ = feed(paper.stream)
    state = monitor.pumps[KEY]
    check_windows(state, Truth(paper.stream))
    return state


def check_windows(state: PumpState, truth: Truth) -> None:
    for length_ms in WINDOWS_MS.values():
        interval = window(state.account, length_ms)
        if interval is not None:
            check(interval, truth)


def check(interval: Interval, truth: Truth) -> None:
    """A window begins and ends at real samples, and holds what was pumped between them, exactly."""
    assert {interval.from_ms, interval.to_ms} <= truth.times_ms()
    pumped_nl = truth.pumped_nl(interval.to_ms) - truth.pumped_nl(interval.from_ms)
    assert interval.pumped_nl == pumped_nl
    assert interval.delivered_iu == pytest.approx(pumped_nl / 1e6 * CONCENTRATION, abs=1e-6)


@pytest.mark.parametrize("hours", ["00:07", "00:40", "03:00", "26:00"])
def test_windows_of_a_steady_run(hours: str) -> None:
    """Each window is as long as it says, longer by less than the spacing of its marks, or young."""
    state = held_against(begin().run(hours))
    spacings = {"5min": RINGS[0][0], "15min": RINGS[0][0], "1h": RINGS[1][0], "24h": RINGS[2][0]}
    for name, length_ms in WINDOWS_MS.items():
        interval = window(state.account, length_ms)
        assert interval is not None
        seen_ms = interval.to_ms - interval.from_ms
        if length_ms <= clock(hours):
            assert length_ms <= seen_ms < length_ms + spacings[name]
        else:
            assert seen_ms == clock(hours)
    whole = therapy(state.account)
    assert whole is not None
    assert whole.pumped_nl == state.account.pumped_nl


def test_windows_with_gaps_restarts_and_rates() -> None:
    """Gaps, a restart and changed rates: still exact, at every hour of a long day."""
    paper = begin(interval_ms=30_000).run("03:00").mute().run("03:20").mute(False)
    paper.run("06:00").stop().run("06:20").start().run("09:00").reboot(off="00:10").start()
    paper.run("14:00").mute().run("17:30").mute(False).program(20.0).run("26:00")
    monitor, truth = Monitor(), Truth(paper.stream)
    for hour in range(26):
        begin_ms = T0 + hour * MS_PER_HOUR
        part = [item for item in paper.stream if begin_ms <= item[0] < begin_ms + MS_PER_HOUR]
        feed(part, monitor=monitor)
        check_windows(monitor.pumps[KEY], truth)


def test_short_window_over_a_long_gap() -> None:
    """A window whose beginning would lie in a gap begins before the gap, not at the start."""
    paper = begin().run("10:00").mute().run("11:30").mute(False).run("11:31")
    state = held_against(paper)
    interval = window(state.account, WINDOWS_MS["5min"])
    assert interval is not None
    assert 0 <= T0 + clock("10:00") - interval.from_ms < RINGS[0][0]


def test_window_needs_two_samples() -> None:
    """One sample shows no dose."""
    monitor, _ = feed(begin().stream)
    assert window(monitor.pumps[KEY].account, WINDOWS_MS["5min"]) is None


def dose_at(monitor: Monitor, at: str) -> dict[str, Dose]:
    state = monitor.pumps[KEY]
    assert state.edge is not None
    timeline = order_of(monitor, f"{SITE}/T-01").timeline
    return doses(state.account, state.edge, timeline, T0 + clock(at))


def test_dose_over_the_therapy_equals_the_order() -> None:
    """A pump that does what was ordered delivers what was expected, in every window."""
    monitor, _ = feed(begin().run("26:00").stream)
    for dose in dose_at(monitor, "26:00").values():
        assert dose.is_known
        assert dose.deviation == pytest.approx(0, abs=1e-6)


def test_bounds_while_silent_and_after() -> None:
    """Silence opens the bounds; when the counter returns they collapse to what was pumped."""
    paper = begin().run("02:00").mute().run("03:00").mute(False)
    monitor, _ = feed(paper.stream)
    hour = dose_at(monitor, "02:01")[THERAPY]
    assert hour.is_known
    silent = dose_at(monitor, "03:00")[THERAPY]
    assert not silent.is_known
    assert silent.low_iu == pytest.approx(2 * ORDERED_IU_H, rel=1e-6)
    assert silent.high_iu == pytest.approx(3 * ORDERED_IU_H, rel=1e-6)
    assert silent.expected_iu == pytest.approx(3 * ORDERED_IU_H, rel=1e-6)
    feed(paper.run("03:01").stream[-6:], monitor=monitor)
    after = dose_at(monitor, "03:01")[THERAPY]
    assert after.is_known
    assert after.deviation == pytest.approx(0, abs=1e-6)
    assert silent.low_iu <= after.delivered_iu - ORDERED_IU_H / 60 <= silent.high_iu * (1 + 1e-6)


def test_silent_pump_that_was_stopped_is_not_known_either() -> None:
    """A pump that was stopped may have been started again: the order is the upper bound."""
    monitor, _ = feed(begin().run("02:00").stop(rate_ml_h=0.0).stream)
    dose = dose_at(monitor, "03:00")[THERAPY]
    assert not dose.is_known
    assert dose.high_iu == pytest.approx(3 * ORDERED_IU_H, rel=1e-6)


def test_deviation_is_a_fraction_of_the_order() -> None:
    """Half the rate is −50 %; where nothing is ordered there is no fraction."""
    monitor, _ = feed(begin().program(RATE_ML_H / 2).run("02:00").stream)
    assert dose_at(monitor, "02:00")[THERAPY].deviation == pytest.approx(-0.5, abs=1e-6)
    stopped = (Start(at_ms=T0, rate_iu_kg_h=18.0), Stop(at_ms=T0 + clock("00:30")))
    monitor, _ = feed(begin(*stopped).run("00:30").stop().run("02:00").stream)
    assert dose_at(monitor, "02:00")["15min"].deviation is None


def test_therapy_counts_from_its_own_beginning() -> None:
    """A second therapy on the same pump does not inherit the dose of the first."""
    paper = begin().run("01:00")
    paper.say(order(Start(at_ms=T0 + clock("01:00"), rate_iu_kg_h=18.0), therapy="T-02"))
    paper.therapy = "T-02"
    monitor, _ = feed(paper.run("03:00").stream)
    state = monitor.pumps[KEY]
    whole = therapy(state.account)
    assert whole is not None
    assert whole.to_ms - whole.from_ms == clock("01:59:50")
    assert state.edge is not None
    timeline = order_of(monitor, f"{SITE}/T-02").timeline
    dose = doses(state.account, state.edge, timeline, T0 + clock("03:00"))[THERAPY]
    assert dose.expected_iu == pytest.approx(2 * ORDERED_IU_H)


def test_account_that_begins_in_the_middle_counts_what_the_counter_says() -> None:
    """A monitor that starts late still knows what the pump gave to its first therapy."""
    stream = begin().run("02:00").stream
    late = [item for item in stream if item[0] >= T0 + clock("01:00") or item[0] == T0]
    del late[2]  # the first telemetry
    monitor, _ = feed(late)
    dose = dose_at(monitor, "02:00")[THERAPY]
    assert dose.delivered_iu == pytest.approx(2 * ORDERED_IU_H, rel=1e-6)
    assert dose.deviation == pytest.approx(0, abs=1e-6)


def test_occlusion_holds_volume_and_release_returns_it() -> None:
    """While the line is occluded, what went into it is not delivered; on release it is."""
    paper = begin().run("00:10").set(pressure_mmhg=650.0, flow_ml_h=RATE_ML_H)
    monitor, _ = feed(paper.run("00:12").stream)
    pumped_iu = 0.2 * ORDERED_IU_H
    # 0.001 mL/mmHg × (650 − 50) mmHg × 100 IU/mL
    held = dose_at(monitor, "00:12")[THERAPY]
    assert held.delivered_iu == pytest.approx(pumped_iu - 60, abs=0.01)
    feed(paper.set(pressure_mmhg=60.0).stream[-1:], monitor=monitor)
    assert dose_at(monitor, "00:12")[THERAPY].delivered_iu == pytest.approx(pumped_iu, abs=0.01)


def test_changed_rate_is_expected_from_its_instant() -> None:
    """Windows over a rate change expect each rate for exactly its time."""
    changed = order(Start(at_ms=T0, rate_iu_kg_h=18.0), rate_change("01:00", 9.0), version=2)
    paper = begin().say(changed).run("01:00").program(RATE_ML_H / 2).run("01:30")
    monitor, _ = feed(paper.stream)
    for dose in dose_at(monitor, "01:30").values():
        assert dose.deviation == pytest.approx(0, abs=1e-4)

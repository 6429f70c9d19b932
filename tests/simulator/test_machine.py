"""A unit test of the transition table: what must hold for every row."""

import pytest

from simulator.machine import DELIVERING, POWERED, TABLE, Do, Happening, Mode, Row
from simulator.operation import STEPS

ENDS = {
    Do.END_TRANSITION,
    Do.END_CLINICIAN,
    Do.END_STANDBY,
    Do.END_BETWEEN,
    Do.END_ALARM,
    Do.END_POWER,
    Do.END_UNSPECIFIED,
    Do.COMPLETE_TRANSITION,
    Do.COMPLETE_STOP,
}
STAYS = {Do.END_TRANSITION, Do.COMPLETE_TRANSITION}

ROWS = [pytest.param(*pair, row, id=f"{pair[0]}, {pair[1]}") for pair, row in TABLE.items()]


@pytest.mark.parametrize(("mode", "happening", "row"), ROWS)
def test_segments_open_and_close_as_delivery_does(
    mode: Mode, happening: Happening, row: Row
) -> None:
    is_open = mode in DELIVERING
    entered = mode is row.then
    for do in row.does:
        if do in ENDS:
            assert is_open, "only an open segment can end"
            assert (do in STAYS) == (row.then in DELIVERING), "the reason fits the next mode"
            is_open = False
        elif do is Do.BEGIN:
            assert not is_open, "a segment ends before the next begins"
            assert entered, "the START describes the new delivery"
            is_open = True
        elif do is Do.ENTER:
            entered = True
    assert is_open == (row.then in DELIVERING)
    assert entered


@pytest.mark.parametrize(("mode", "happening", "row"), ROWS)
def test_a_mode_changes_only_by_entering(mode: Mode, happening: Happening, row: Row) -> None:
    if mode is not row.then:
        assert row.does.count(Do.ENTER) == 1


def test_every_step_has_its_function() -> None:
    assert set(STEPS) == set(Do)
    assert {do for row in TABLE.values() for do in row.does} == set(Do)


def test_every_mode_can_be_reached_and_left() -> None:
    reached = {Mode.BOOTING}
    while True:
        more = {row.then for (mode, _), row in TABLE.items() if mode in reached}
        if more <= reached:
            break
        reached |= more
    assert reached == set(Mode)
    for mode in Mode:
        assert any(row.then is not mode for (start, _), row in TABLE.items() if start is mode)


def test_every_powered_pump_can_alarm_reboot_and_be_switched_off() -> None:
    for mode in POWERED:
        for happening in (Happening.ALARM, Happening.REBOOT, Happening.POWER_OFF):
            assert (mode, happening) in TABLE

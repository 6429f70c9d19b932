"""An integration test of the actions of a scenario on a fleet, above all those with a timer."""

from simulator.machine import Mode
from simulator.setup import SimulatorSettings, read_setup
from tests.simulator.bench import events, fleet, minutes, scenario, telemetry, whole

HEAD = 'duration = "00:30"\npumps = 2\n'


def action(at: str, do: str, more: str = "") -> str:
    return f'\n[[action]]\nat = "{at}"\npump = "P-01"\ndo = "{do}"\n{more}\n'


def names(story: str, pump: str = "P-01") -> list[str]:
    _, out = whole(scenario(HEAD + story))
    return [event.event.removeprefix("MDC_EVT_") for event in events(out, pump)]


def test_a_standby_expires_at_its_time_without_anybody_looking() -> None:
    run, out = whole(scenario(HEAD + action("00:05", "standby", "minutes = 7.5")))
    expired = [event for event in events(out) if event.alarm == "standby-expired"]
    assert [(event.pump, event.time_ms) for event in expired] == [("P-01", minutes(12.5))]
    assert run.summary()["P-01"].state is Mode.STANDBY


def test_a_new_weight_is_told_and_may_keep_the_dose() -> None:
    _, out = whole(
        scenario(HEAD + action("00:05", "program-weight", 'weight_kg = 100\nkeeps = "dose"'))
    )
    told = [event.event for event in events(out, "P-01")]
    assert told[1:] == [
        "MDC_EVT_PATIENT_PARAMETER_CHANGE",
        "MDC_EVT_PUMP_DELIV_STOP",
        "MDC_EVT_PUMP_DELIV_START",
    ]
    first, last = telemetry(out, "P-01")[0], telemetry(out, "P-01")[-1]
    assert last.weight_kg == 100
    assert abs(last.dose_rate_iu_kg_h - first.dose_rate_iu_kg_h) < 0.02


UNPLUG = '\n[[fault]]\nat = "00:01"\nuntil = "00:29"\npump = "P-01"\ndo = "battery"\nlevel = 0.5\n'


def test_a_battery_swap_keeps_the_settings_and_waits_for_a_start() -> None:
    story = scenario(HEAD + UNPLUG + action("00:05", "battery-swap", "takes_s = 60"))
    run, out = whole(story)
    told = [event.event.removeprefix("MDC_EVT_") for event in events(out, "P-01")]
    assert told == [
        "PUMP_DELIV_START",
        "STAT_POWER_SET_BATT",
        "PUMP_DELIV_STOP",
        "STAT_POWER_SET_LINE",
    ]
    after = telemetry(out, "P-01")[-1]
    assert (after.boot, run.summary()["P-01"].state) == (2, Mode.STOPPED)
    assert after.rate_ml_h == telemetry(out, "P-01")[0].rate_ml_h


def test_settings_are_lost_after_more_than_four_hours_without_power() -> None:
    for takes_s, is_cleared in ((4 * 3600, False), (4 * 3600 + 1, True)):
        head = 'duration = "05:00"\npumps = 1\n'
        unplug = UNPLUG.replace("00:29", "04:50").replace("0.5", "0.9")
        swap = action("00:05", "battery-swap", f"takes_s = {takes_s}")
        _, out = whole(scenario(head + unplug + swap), interval_s=600.0)
        cleared = [event for event in events(out) if event.event == "MDC_EVT_PUMP_PROG_CLEARED"]
        assert bool(cleared) is is_cleared
        assert (telemetry(out)[-1].rate_ml_h == 0) is is_cleared


def test_a_failed_self_test_alarms() -> None:
    told = names(
        action("00:05", "power-off")
        + action("00:06", "power-on", 'self_test = "fails"')
        + action("00:10", "start")
    )
    assert told == ["PUMP_DELIV_START", "PUMP_DELIV_STOP", "EQUIP_MALF"]


def test_steps_of_a_program() -> None:
    steps = (
        "steps = [{ rate_ml_h = 6, minutes = 2, gap_minutes = 3 }, { rate_ml_h = 9, minutes = 2 }]"
    )
    told = names(action("00:05", "program-steps", f'mode = "multi-dosing"\n{steps}'))
    assert [name.removeprefix("PUMP_DELIV_") for name in told] == [
        "START",
        "STOP",
        "START",
        "STOP",
        "START",
        "COMP",
        "START",
        "PUMP_VOL_TBI_COMP",
    ]


def test_lock_door_silence_and_double_check() -> None:
    told = names(
        action("00:01", "lock")
        + action("00:02", "pause")
        + action("00:03", "unlock")
        + action("00:04", "door-open")
        + action("00:05", "silence")
        + action("00:08", "door-close")
        + action("00:09", "start")
        + action("00:10", "double-check", 'first_user = "a"\nsecond_user = "a"')
    )
    assert told == [
        "PUMP_DELIV_START",
        "DRIPWATCH_EVT_LOCKED",
        "DRIPWATCH_EVT_KEY_REFUSED",
        "DRIPWATCH_EVT_UNLOCKED",
        "STAT_DOOR_OPEN",
        "DOOR_POSN_ERR",
        "PUMP_DELIV_STOP",
        "DRIPWATCH_EVT_AUDIO_PAUSED",
        "DRIPWATCH_EVT_AUDIO_RESUMED",
        "DRIPWATCH_EVT_DOOR_CLOSED",
        "DOOR_POSN_ERR",
        "PUMP_DELIV_START",
        "DRIPWATCH_EVT_DOUBLE_CHECK_REJECTED",
    ]


def test_the_tenfold_rate_of_the_demo_goes_past_its_library() -> None:
    setup = read_setup(SimulatorSettings(scenario="demo"))
    assert setup.library is not None
    run = fleet(setup.scenario, profile=setup.profile, library=setup.library)
    told = [event.event for event in events(run.advance(minutes(21)), "P-07")]
    assert "DRIPWATCH_EVT_BYPASS" in told
    assert "DRIPWATCH_EVT_HARD_LIMIT" not in told

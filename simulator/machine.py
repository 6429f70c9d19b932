"""The transition table of the discrete pump: what may happen in which mode, and what is then said.

**Modes.** A pump is `off`, `booting`, `stopped` (programmed, not delivering), `running`, `bolus`
(the continuous rate plus a bolus), `bolus-alone` (a bolus while the continuous rate is stopped),
`loading` (a loading dose, the continuous rate follows), `kvo` (keep vein open, after the volume to
be infused), `standby` (stopped for a time that expires), `between-doses` (a gap of a multi-dosing
program), `checking-line` (stopped for seconds by a pressure that may pass), `alarming` (stopped by
an alarm), or `failed` (a malfunction; only off and on again helps).

**Segments.** Delivery is told in segments, as IHE Infusion Pump Event Communication (IPEC rev 1.5,
table X.1.2-1) lays down: a segment goes from a START to the next STOP or COMP, which carries its
volume. What changes during delivery (rate, bag, bolus, counters) ends one segment as
"transitioning" and begins the next, so that every segment has one rate, one source and one
concentration, and the segments add up to the cumulative volume exactly.

**Rows.** `TABLE[mode, happening]` gives the next mode and what is done, in order. `ENTER` is the
instant at which the mode changes: what stands before it describes the old delivery, what follows
the new one. A pair without a row is refused: pressing start on a pump that runs does nothing.
"""

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """What a pump is doing."""

    OFF = "off"
    BOOTING = "booting"
    STOPPED = "stopped"
    RUNNING = "running"
    BOLUS = "bolus"
    BOLUS_ALONE = "bolus-alone"
    LOADING = "loading"
    KVO = "kvo"
    STANDBY = "standby"
    GAP = "between-doses"
    CHECKING = "checking-line"
    ALARMING = "alarming"
    FAILED = "failed"


class Happening(StrEnum):
    """What can happen to a pump: a key, a limit reached, an alarm, the electronics."""

    START = "start"
    PAUSE = "pause"
    PROGRAM = "program"
    NEW_WEIGHT = "new weight"
    CHANGE_BAG = "change bag"
    BOLUS = "bolus"
    LOADING_DOSE = "loading dose"
    BOLUS_DONE = "bolus done"
    STEP_DONE = "next step of a program"
    GAP = "dose done, a gap follows"
    GAP_OVER = "gap over"
    VTBI_DONE_KVO = "VTBI done, KVO follows"
    VTBI_DONE_STOP = "VTBI done, no KVO"
    STANDBY = "standby"
    CHECK_LINE = "over pressure that may pass"
    LINE_OPEN = "pressure has passed"
    ALARM = "alarm that stops"
    WARNING = "alarm that does not stop"
    WARNING_OVER = "alarm ends by itself"
    MALFUNCTION = "malfunction"
    NOTE = "something to tell"
    CLEAR_COUNTERS = "clear counters"
    REBOOT = "reboot"
    BOOTED_GOING_ON = "booted, goes on"
    BOOTED = "booted"
    SELF_TEST_FAILED = "self-test failed"
    POWER_OFF = "power off"
    POWER_ON = "power on"


class Do(StrEnum):
    """One step of a row."""

    ENTER = "enter the next mode"
    APPLY = "take over the new settings"
    BEGIN = "START of a segment"
    END_TRANSITION = "STOP of a segment, delivery goes on"
    END_CLINICIAN = "STOP of a segment, by a clinician"
    END_STANDBY = "STOP of a segment, standby"
    END_BETWEEN = "STOP of a segment, between doses"
    END_ALARM = "STOP of a segment, by an alarm"
    END_POWER = "STOP of a segment, powered off"
    END_UNSPECIFIED = "STOP of a segment, no reason known"
    COMPLETE_TRANSITION = "COMP of a segment, delivery goes on"
    COMPLETE_STOP = "COMP of a segment, delivery ends"
    RAISE = "an alarm begins"
    LOWER = "an alarm ends"
    UNLATCH = "every alarm that stops delivery ends"
    SETTLE = "the reason of standing becomes a clinician's"
    SETTLE_STANDBY = "the reason of standing becomes standby"
    SETTLE_ALARM = "the reason of standing becomes an alarm"
    TELL = "an event of its own name"
    TELL_BAG = "the event of a new bag"
    CLEAR = "the volume counter restarts at zero"
    NEW_BOOT = "boot, seq and volume counter start anew; alarms are forgotten"


class Row(NamedTuple):
    """The next mode, and what is done on the way."""

    then: Mode
    does: tuple[Do, ...]


_SWITCH = (Do.END_TRANSITION, Do.ENTER, Do.BEGIN)
_SWITCH_SETTINGS = (Do.END_TRANSITION, Do.APPLY, Do.ENTER, Do.BEGIN)
_SWITCH_AND_UNLATCH = (Do.END_TRANSITION, Do.APPLY, Do.UNLATCH, Do.ENTER, Do.BEGIN)
_CHANGE_BAG = (Do.END_TRANSITION, Do.APPLY, Do.BEGIN, Do.TELL_BAG)
_START = (Do.UNLATCH, Do.ENTER, Do.BEGIN)
_START_SETTINGS = (Do.UNLATCH, Do.APPLY, Do.ENTER, Do.BEGIN)

TABLE: dict[tuple[Mode, Happening], Row] = {
    (Mode.OFF, Happening.POWER_ON): Row(Mode.BOOTING, (Do.ENTER,)),
    (Mode.BOOTING, Happening.BOOTED): Row(Mode.STOPPED, (Do.NEW_BOOT, Do.ENTER)),
    (Mode.BOOTING, Happening.BOOTED_GOING_ON): Row(Mode.RUNNING, (Do.NEW_BOOT, Do.ENTER, Do.BEGIN)),
    (Mode.BOOTING, Happening.SELF_TEST_FAILED): Row(
        Mode.FAILED, (Do.NEW_BOOT, Do.ENTER, Do.SETTLE_ALARM, Do.RAISE)
    ),
    (Mode.STOPPED, Happening.BOLUS): Row(Mode.BOLUS_ALONE, _START_SETTINGS),
    (Mode.STOPPED, Happening.LOADING_DOSE): Row(Mode.LOADING, _START_SETTINGS),
    (Mode.STOPPED, Happening.ALARM): Row(Mode.STOPPED, (Do.RAISE,)),
    (Mode.RUNNING, Happening.PROGRAM): Row(Mode.RUNNING, _SWITCH_SETTINGS),
    (Mode.RUNNING, Happening.BOLUS): Row(Mode.BOLUS, _SWITCH_SETTINGS),
    (Mode.RUNNING, Happening.STEP_DONE): Row(Mode.RUNNING, _SWITCH_SETTINGS),
    (Mode.RUNNING, Happening.GAP): Row(Mode.GAP, (Do.END_BETWEEN, Do.APPLY, Do.ENTER)),
    (Mode.RUNNING, Happening.CHECK_LINE): Row(Mode.CHECKING, (Do.END_ALARM, Do.ENTER, Do.TELL)),
    # A rate typed during a bolus holds from the end of the bolus.
    (Mode.BOLUS, Happening.PROGRAM): Row(Mode.BOLUS, (Do.APPLY,)),
    (Mode.BOLUS, Happening.BOLUS_DONE): Row(Mode.RUNNING, _SWITCH),
    (Mode.BOLUS_ALONE, Happening.PROGRAM): Row(Mode.BOLUS_ALONE, (Do.APPLY,)),
    (Mode.BOLUS_ALONE, Happening.BOLUS_DONE): Row(Mode.STOPPED, (Do.END_CLINICIAN, Do.ENTER)),
    (Mode.BOLUS_ALONE, Happening.START): Row(Mode.RUNNING, _SWITCH),
    (Mode.LOADING, Happening.PROGRAM): Row(Mode.LOADING, (Do.APPLY,)),
    (Mode.LOADING, Happening.BOLUS_DONE): Row(Mode.RUNNING, _SWITCH),
    # Programming, or starting again, leaves keep-vein-open and clears "VTBI infused".
    (Mode.KVO, Happening.PROGRAM): Row(Mode.RUNNING, _SWITCH_AND_UNLATCH),
    (Mode.KVO, Happening.START): Row(Mode.RUNNING, _SWITCH_AND_UNLATCH),
    (Mode.STANDBY, Happening.STANDBY): Row(Mode.STANDBY, (Do.ENTER, Do.TELL)),
    (Mode.GAP, Happening.GAP_OVER): Row(Mode.RUNNING, (Do.ENTER, Do.BEGIN)),
    (Mode.CHECKING, Happening.LINE_OPEN): Row(Mode.RUNNING, (Do.ENTER, Do.BEGIN)),
    (Mode.ALARMING, Happening.ALARM): Row(Mode.ALARMING, (Do.RAISE,)),
    (Mode.FAILED, Happening.ALARM): Row(Mode.FAILED, (Do.RAISE,)),
    (Mode.FAILED, Happening.REBOOT): Row(Mode.BOOTING, (Do.ENTER,)),
    (Mode.FAILED, Happening.POWER_OFF): Row(Mode.OFF, (Do.ENTER,)),
}

DELIVERING = (Mode.RUNNING, Mode.BOLUS, Mode.BOLUS_ALONE, Mode.LOADING, Mode.KVO)
# Standing, but it can be started.
STANDING = (Mode.STOPPED, Mode.STANDBY, Mode.GAP, Mode.CHECKING, Mode.ALARMING)
POWERED = (*DELIVERING, *STANDING, Mode.FAILED)

# What every delivering mode has in common.
for _mode in DELIVERING:
    TABLE |= {
        (_mode, Happening.PAUSE): Row(Mode.STOPPED, (Do.END_CLINICIAN, Do.ENTER)),
        (_mode, Happening.STANDBY): Row(Mode.STANDBY, (Do.END_STANDBY, Do.ENTER, Do.TELL)),
        (_mode, Happening.ALARM): Row(Mode.ALARMING, (Do.RAISE, Do.END_ALARM, Do.ENTER)),
        (_mode, Happening.MALFUNCTION): Row(Mode.FAILED, (Do.RAISE, Do.END_ALARM, Do.ENTER)),
        (_mode, Happening.CHANGE_BAG): Row(
            _mode, (Do.END_TRANSITION, Do.APPLY, Do.BEGIN, Do.TELL_BAG)
        ),
        (_mode, Happening.CLEAR_COUNTERS): Row(_mode, (Do.END_TRANSITION, Do.CLEAR, Do.BEGIN)),
        (_mode, Happening.REBOOT): Row(Mode.BOOTING, (Do.END_UNSPECIFIED, Do.ENTER)),
        (_mode, Happening.POWER_OFF): Row(Mode.OFF, (Do.END_POWER, Do.ENTER)),
    }
for _mode in (Mode.RUNNING, Mode.BOLUS, Mode.BOLUS_ALONE, Mode.LOADING):
    TABLE |= {
        (_mode, Happening.VTBI_DONE_KVO): Row(
            Mode.KVO, (Do.COMPLETE_TRANSITION, Do.ENTER, Do.BEGIN, Do.RAISE)
        ),
        (_mode, Happening.VTBI_DONE_STOP): Row(
            Mode.ALARMING, (Do.RAISE, Do.COMPLETE_STOP, Do.ENTER)
        ),
    }
# What every standing mode has in common.
for _mode in STANDING:
    TABLE |= {
        (_mode, Happening.START): Row(Mode.RUNNING, _START),
        (_mode, Happening.PROGRAM): Row(_mode, (Do.APPLY,)),
        (_mode, Happening.CHANGE_BAG): Row(_mode, (Do.APPLY, Do.TELL_BAG)),
        (_mode, Happening.CLEAR_COUNTERS): Row(_mode, (Do.CLEAR,)),
        (_mode, Happening.MALFUNCTION): Row(Mode.FAILED, (Do.RAISE, Do.SETTLE_ALARM, Do.ENTER)),
        (_mode, Happening.REBOOT): Row(Mode.BOOTING, (Do.ENTER,)),
        (_mode, Happening.POWER_OFF): Row(Mode.OFF, (Do.ENTER,)),
    }
for _mode in (Mode.STANDBY, Mode.GAP, Mode.CHECKING, Mode.ALARMING):
    TABLE[_mode, Happening.PAUSE] = Row(Mode.STOPPED, (Do.UNLATCH, Do.SETTLE, Do.ENTER))
for _mode in (Mode.STANDBY, Mode.GAP, Mode.CHECKING):
    TABLE[_mode, Happening.ALARM] = Row(Mode.ALARMING, (Do.RAISE, Do.SETTLE_ALARM, Do.ENTER))
for _mode in (Mode.STOPPED, Mode.GAP, Mode.ALARMING):
    TABLE[_mode, Happening.STANDBY] = Row(
        Mode.STANDBY, (Do.UNLATCH, Do.SETTLE_STANDBY, Do.ENTER, Do.TELL)
    )
for _mode in (*DELIVERING, *STANDING):
    TABLE[_mode, Happening.NEW_WEIGHT] = Row(_mode, (Do.APPLY, Do.TELL))
for _mode in POWERED:
    TABLE |= {
        (_mode, Happening.WARNING): Row(_mode, (Do.RAISE,)),
        (_mode, Happening.WARNING_OVER): Row(_mode, (Do.LOWER,)),
        (_mode, Happening.NOTE): Row(_mode, (Do.TELL,)),
    }

"""The transition table of the discrete pump: what may happen in which mode, and what is then said.

**Modes.** A pump is `off`, `booting`, `stopped` (programmed, not delivering), `running`, `bolus`
(the continuous rate plus a bolus), `bolus-alone` (a bolus while the continuous rate is stopped),
`kvo` (keep vein open, after the volume to be infused), or `alarming` (stopped by an alarm).

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
    KVO = "kvo"
    ALARMING = "alarming"


class Happening(StrEnum):
    """What can happen to a pump: a key, a limit reached, an alarm, the electronics."""

    START = "start"
    PAUSE = "pause"
    PROGRAM = "program"
    CHANGE_BAG = "change bag"
    BOLUS = "bolus"
    BOLUS_DONE = "bolus done"
    VTBI_DONE_KVO = "VTBI done, KVO follows"
    VTBI_DONE_STOP = "VTBI done, no KVO"
    ALARM = "alarm that stops"
    WARNING = "alarm that does not stop"
    WARNING_OVER = "alarm ends by itself"
    CLEAR_COUNTERS = "clear counters"
    REBOOT = "reboot"
    BOOTED_GOING_ON = "booted, goes on"
    BOOTED = "booted"
    POWER_OFF = "power off"
    POWER_ON = "power on"


class Do(StrEnum):
    """One step of a row."""

    ENTER = "enter the next mode"
    APPLY = "take over the new settings"
    BEGIN = "START of a segment"
    END_TRANSITION = "STOP of a segment, delivery goes on"
    END_CLINICIAN = "STOP of a segment, by a clinician"
    END_ALARM = "STOP of a segment, by an alarm"
    END_POWER = "STOP of a segment, powered off"
    END_UNSPECIFIED = "STOP of a segment, no reason known"
    COMPLETE_TRANSITION = "COMP of a segment, delivery goes on"
    COMPLETE_STOP = "COMP of a segment, delivery ends"
    RAISE = "an alarm begins"
    LOWER = "an alarm ends"
    UNLATCH = "every alarm that stops delivery ends"
    SETTLE = "the reason of standing becomes a clinician's"
    CLEAR = "the volume counter restarts at zero"
    NEW_BOOT = "boot, seq and volume counter start anew; alarms are forgotten"


class Row(NamedTuple):
    """The next mode, and what is done on the way."""

    then: Mode
    does: tuple[Do, ...]


_SWITCH = (Do.END_TRANSITION, Do.ENTER, Do.BEGIN)
_SWITCH_SETTINGS = (Do.END_TRANSITION, Do.APPLY, Do.ENTER, Do.BEGIN)
_SWITCH_AND_UNLATCH = (Do.END_TRANSITION, Do.APPLY, Do.UNLATCH, Do.ENTER, Do.BEGIN)

TABLE: dict[tuple[Mode, Happening], Row] = {
    (Mode.OFF, Happening.POWER_ON): Row(Mode.BOOTING, (Do.ENTER,)),
    (Mode.BOOTING, Happening.BOOTED): Row(Mode.STOPPED, (Do.NEW_BOOT, Do.ENTER)),
    (Mode.BOOTING, Happening.BOOTED_GOING_ON): Row(Mode.RUNNING, (Do.NEW_BOOT, Do.ENTER, Do.BEGIN)),
    (Mode.STOPPED, Happening.START): Row(Mode.RUNNING, (Do.UNLATCH, Do.ENTER, Do.BEGIN)),
    (Mode.STOPPED, Happening.BOLUS): Row(
        Mode.BOLUS_ALONE, (Do.UNLATCH, Do.APPLY, Do.ENTER, Do.BEGIN)
    ),
    (Mode.STOPPED, Happening.PROGRAM): Row(Mode.STOPPED, (Do.APPLY,)),
    (Mode.STOPPED, Happening.CHANGE_BAG): Row(Mode.STOPPED, (Do.APPLY,)),
    (Mode.STOPPED, Happening.CLEAR_COUNTERS): Row(Mode.STOPPED, (Do.CLEAR,)),
    (Mode.STOPPED, Happening.ALARM): Row(Mode.STOPPED, (Do.RAISE,)),
    (Mode.STOPPED, Happening.REBOOT): Row(Mode.BOOTING, (Do.ENTER,)),
    (Mode.STOPPED, Happening.POWER_OFF): Row(Mode.OFF, (Do.ENTER,)),
    (Mode.RUNNING, Happening.PROGRAM): Row(Mode.RUNNING, _SWITCH_SETTINGS),
    (Mode.RUNNING, Happening.BOLUS): Row(Mode.BOLUS, _SWITCH_SETTINGS),
    # A rate typed during a bolus holds from the end of the bolus.
    (Mode.BOLUS, Happening.PROGRAM): Row(Mode.BOLUS, (Do.APPLY,)),
    (Mode.BOLUS, Happening.BOLUS_DONE): Row(Mode.RUNNING, _SWITCH),
    (Mode.BOLUS_ALONE, Happening.PROGRAM): Row(Mode.BOLUS_ALONE, (Do.APPLY,)),
    (Mode.BOLUS_ALONE, Happening.BOLUS_DONE): Row(Mode.STOPPED, (Do.END_CLINICIAN, Do.ENTER)),
    (Mode.BOLUS_ALONE, Happening.START): Row(Mode.RUNNING, _SWITCH),
    # Programming, or starting again, leaves keep-vein-open and clears "VTBI infused".
    (Mode.KVO, Happening.PROGRAM): Row(Mode.RUNNING, _SWITCH_AND_UNLATCH),
    (Mode.KVO, Happening.START): Row(Mode.RUNNING, _SWITCH_AND_UNLATCH),
    (Mode.ALARMING, Happening.START): Row(Mode.RUNNING, (Do.UNLATCH, Do.ENTER, Do.BEGIN)),
    (Mode.ALARMING, Happening.PAUSE): Row(Mode.STOPPED, (Do.UNLATCH, Do.SETTLE, Do.ENTER)),
    (Mode.ALARMING, Happening.PROGRAM): Row(Mode.ALARMING, (Do.APPLY,)),
    (Mode.ALARMING, Happening.CHANGE_BAG): Row(Mode.ALARMING, (Do.APPLY,)),
    (Mode.ALARMING, Happening.CLEAR_COUNTERS): Row(Mode.ALARMING, (Do.CLEAR,)),
    (Mode.ALARMING, Happening.ALARM): Row(Mode.ALARMING, (Do.RAISE,)),
    (Mode.ALARMING, Happening.REBOOT): Row(Mode.BOOTING, (Do.ENTER,)),
    (Mode.ALARMING, Happening.POWER_OFF): Row(Mode.OFF, (Do.ENTER,)),
}

DELIVERING = (Mode.RUNNING, Mode.BOLUS, Mode.BOLUS_ALONE, Mode.KVO)
POWERED = (*DELIVERING, Mode.STOPPED, Mode.ALARMING)

# What every delivering mode has in common.
for _mode in DELIVERING:
    TABLE |= {
        (_mode, Happening.PAUSE): Row(Mode.STOPPED, (Do.END_CLINICIAN, Do.ENTER)),
        (_mode, Happening.ALARM): Row(Mode.ALARMING, (Do.RAISE, Do.END_ALARM, Do.ENTER)),
        (_mode, Happening.CHANGE_BAG): Row(_mode, (Do.END_TRANSITION, Do.APPLY, Do.BEGIN)),
        (_mode, Happening.CLEAR_COUNTERS): Row(_mode, (Do.END_TRANSITION, Do.CLEAR, Do.BEGIN)),
        (_mode, Happening.REBOOT): Row(Mode.BOOTING, (Do.END_UNSPECIFIED, Do.ENTER)),
        (_mode, Happening.POWER_OFF): Row(Mode.OFF, (Do.END_POWER, Do.ENTER)),
    }
for _mode in (Mode.RUNNING, Mode.BOLUS, Mode.BOLUS_ALONE):
    TABLE |= {
        (_mode, Happening.VTBI_DONE_KVO): Row(
            Mode.KVO, (Do.COMPLETE_TRANSITION, Do.ENTER, Do.BEGIN, Do.RAISE)
        ),
        (_mode, Happening.VTBI_DONE_STOP): Row(
            Mode.ALARMING, (Do.RAISE, Do.COMPLETE_STOP, Do.ENTER)
        ),
    }
for _mode in POWERED:
    TABLE |= {
        (_mode, Happening.WARNING): Row(_mode, (Do.RAISE,)),
        (_mode, Happening.WARNING_OVER): Row(_mode, (Do.LOWER,)),
    }

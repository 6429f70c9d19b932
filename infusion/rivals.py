"""Two voices under one name: which of them is the pump.

The higher boot number is the newer one, so a pump that restarts is followed at once, and so is a
second pump that takes the name with a higher number. Which of two is right, nobody can tell from
what they say; the alert "two-pumps-one-name" asks people. But a voice that is heard while the one
that was followed so far is silent for long (`OTHER_SILENT_SHARE`) is the only one there is: it is
followed from then on, and the other becomes its *rival*, which must wait as long.

All that both told stays in the totals of the account, each on its own epochs. The windows go on
with what the one that is followed told, also while it was not followed.
"""

from msgspec.structs import replace

from infusion.account import Mark, sum_before
from infusion.edge import LATE_MS_MAX, LEAP_MS, is_steady, move, note
from infusion.level_grid import LevelWatch
from infusion.messages import PumpMessage
from infusion.state import MonitorSettings, PumpState
from infusion.thresholds import OTHER_SILENT_SHARE
from infusion.units import dose_iu


def is_alone(state: PumpState, message: PumpMessage, pump_ms: int, clock_ms: int) -> bool:
    """Whether the voice of this message is the only one for long; `pump_ms` is the other's clock.

    Its messages must come as they are sent, so their age on any clock stays the same: what was
    kept and is sent on comes faster. Every live message of the other one begins the wait anew
    (`is_live`).
    """
    alone_ms = OTHER_SILENT_SHARE * state.silence_ms
    return is_steady(state, pump_ms - message.time_ms, clock_ms, alone_ms)


def must_wait(state: PumpState, message: PumpMessage, pump_ms: int, clock_ms: int) -> bool:
    """Whether a message of the rival is noted only. Its counter tells later what it gave."""
    if is_alone(state, message, pump_ms, clock_ms):
        state.rival_boot = None
        return False
    _note_stranger(state, message, pump_ms)
    return True


def note_old(state: PumpState, message: PumpMessage, key: int, is_new: bool, pump_ms: int) -> bool:
    """Note a message whose number is not the highest: late, known, replayed, or somebody else's.

    Whether there is something to look at. A pump counts on, so its old numbers have old times.
    Where they have not, somebody else speaks under the same name.
    """
    edge = state.edge
    if is_new:
        state.backfilled += 1
    if edge is not None and key < state.edge_key and message.time_ms > edge.time_ms:
        _note_stranger(state, message, pump_ms)
        return True
    if is_new or pump_ms - message.time_ms <= LATE_MS_MAX:
        return False
    # Who says again what was said is no other voice.
    state.lag_clock_ms = None
    note(state, "replayed", pump_ms)
    return True


def _note_stranger(state: PumpState, message: PumpMessage, pump_ms: int) -> None:
    note(state, "stranger", pump_ms, f"boot {message.boot}, number {message.seq}")


def turn_to(
    settings: MonitorSettings, state: PumpState, message: PumpMessage, key: int, pump_ms: int
) -> None:
    """Follow the voice of a message that is in the account; its number is not the highest.

    `pump_ms` is the clock of the voice that was followed so far.
    """
    edge = state.edge
    assert edge is not None, "there is an older voice"
    state.rival_boot = edge.boot if edge.boot != message.boot else None
    _turn_account(state, message.time_ms, key, (state.presence or settings).rate_max_ml_h)
    is_other_clock = message.time_ms < edge.time_ms or message.time_ms > pump_ms + LEAP_MS
    move(state, message.time_ms - pump_ms if is_other_clock else 0, message.time_ms)
    if state.presence is not None:
        state.presence = replace(
            state.presence, boot=message.boot, state="online", time_ms=message.time_ms
        )
    # What the other one said of rate, bag and alarms is not this one's, and neither is its dose.
    state.telemetry = state.event = state.interval = None
    state.supply.reservoir_ml = None
    state.faster_ml_h = 0.0
    state.level, state.late_iu = LevelWatch(), 0.0


def _turn_account(state: PumpState, time_ms: int, key: int, rate_max_ml_h: float) -> None:
    """Make a sample that is known the newest mark; totals stay as they are."""
    account = state.account
    run = next(each for each in account.runs if each.first_key <= key <= each.last_key)
    pumped_nl, pumped_iu = sum_before(account, run.first_key, rate_max_ml_h)
    run_nl = run.last_nl - run.first_nl
    mark = Mark(
        key,
        time_ms,
        pumped_nl + run_nl,
        pumped_iu + dose_iu(run_nl, run.concentration_iu_ml),
        0.0,
    )
    for ring in account.rings:
        for cell in [cell for cell, each in ring.items() if each.key > key]:
            del ring[cell]
    account.recent, account.still = [mark], mark
    if account.origin is not None and account.origin.key > key:
        account.origin = mark
    if account.fault is not None and account.fault.key > key:
        account.fault = None

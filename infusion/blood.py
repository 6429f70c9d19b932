"""Carries the level in a patient's blood on, with what the pump's account says was delivered.

All of it is on the order's time, in which blood is drawn too: a pump whose clock was set does not
make its patient older. What is ordered counts when it may be given: a bolus when somebody gives it,
not when it was written down.
"""

from infusion import level
from infusion.level_grid import LevelWatch
from infusion.prescription import Timeline
from infusion.record import Record
from infusion.state import PumpState
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE

# The level is slow, with half-lives of an hour: finer steps cost more and tell nothing.
STEP_MS = 5 * MS_PER_MINUTE
# After so long without a word a restart may hide anything.
GAP_MS = 15 * MS_PER_MINUTE
# More than this and the level is begun anew. [A]
LATE_IU_MAX = 100.0


def carry_on(state: PumpState, record: Record | None) -> None:
    """Carry the level on to what was heard last; silence is not a dose of zero."""
    edge, watch = state.edge, state.level
    if edge is None or record is None or record.order is None:
        return
    timeline, weight_kg = record.order.timeline, record.order.prescription.weight_kg
    to_ms = edge.time_ms - state.clock_shift_ms
    delivered_iu = state.edge_iu
    is_gap = edge.boot != state.level_boot and to_ms - watch.at_ms > GAP_MS
    if not watch.has_begun or is_gap:
        # What a pump gave before it restarted unseen is not known: taken to be as ordered.
        level.begin(watch, timeline, to_ms, weight_kg)
        state.late_iu = 0.0
        for result in record.results:
            level.observe(watch, result)
    elif to_ms - watch.at_ms >= STEP_MS:
        due_iu = ordered_iu(state, timeline, watch.at_ms, to_ms)
        gained_iu = max(0.0, delivered_iu - state.level_iu)
        level.advance(watch, gained_iu, due_iu, to_ms, weight_kg)
    else:
        return
    state.level_iu, state.level_boot = delivered_iu, edge.boot


def fill_in(state: PumpState, late_iu: float) -> None:
    """A late message told of a dose given long ago: it is no dose of now.

    What many tell one by one is as much as what one tells at once.
    """
    state.level_iu += late_iu
    state.edge_iu += late_iu
    state.late_iu += late_iu
    if abs(state.late_iu) > LATE_IU_MAX:
        state.level, state.late_iu = LevelWatch(), 0.0


def ordered_iu(state: PumpState, timeline: Timeline, from_ms: int, to_ms: int) -> float:
    """What is ordered in an interval of the order's time, with its boluses when they are given."""
    dose = timeline.dose_iu(from_ms, to_ms)
    for begin_ms, end_ms, rate_iu_h in timeline.boluses:
        dose -= rate_iu_h * _overlap_ms(begin_ms, end_ms, from_ms, to_ms) / MS_PER_HOUR
    for bolus, begun_ms in state.given:
        at_ms = begun_ms - state.clock_shift_ms
        until_ms = at_ms + bolus.end_ms - bolus.begin_ms
        dose += bolus.rate_iu_h * _overlap_ms(at_ms, until_ms, from_ms, to_ms) / MS_PER_HOUR
    return max(0.0, dose)


def _overlap_ms(begin_ms: int, end_ms: int, from_ms: int, to_ms: int) -> int:
    return max(0, min(end_ms, to_ms) - max(begin_ms, from_ms))

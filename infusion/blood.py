"""The level in a patient's blood follows the dose account of the pump, on the order's clock."""

from infusion import level
from infusion.clinical import LabResult
from infusion.record import Record
from infusion.state import PumpState
from infusion.units import MS_PER_MINUTE

# An order's clock that goes back by more was not the clock it was taken for: begin anew. [A]
_BACK_MS = 5 * MS_PER_MINUTE


def follow(state: PumpState, record: Record | None) -> None:
    """Carry the level on to the newest message, by what the account gained since the last call.

    Silence is not a dose of zero: nothing moves until the counter is back. To be called about once
    a minute; without an order there is no level.
    """
    edge, watch = state.edge, state.level
    if edge is None or record is None or record.order is None:
        return
    timeline, weight_kg = record.order.timeline, record.order.prescription.weight_kg
    to_ms = edge.time_ms - state.clock_shift_ms
    delivered_iu = state.account.pumped_iu - state.held_iu
    if not watch.has_begun or to_ms < watch.at_ms - _BACK_MS:
        level.begin(watch, timeline, to_ms, weight_kg)
        for result in record.results:
            level.observe(watch, result)
    elif to_ms <= watch.at_ms:
        return
    else:
        ordered_iu = timeline.dose_iu(watch.at_ms, to_ms)
        level.advance(watch, delivered_iu - state.level_iu, ordered_iu, to_ms, weight_kg)
    state.level_iu = delivered_iu


def take_result(state: PumpState, record: Record | None, result: LabResult) -> None:
    """Put a new result of the pump's therapy in; another therapy's says nothing of this blood."""
    if record is not None and record.therapy == result.therapy:
        level.observe(state.level, result)

"""The truth of faults: which are in force on a pump, and what each did to the dose until it ended.

Kept for each unit, and told with its next truth (infusion/truth.py).
"""

from infusion.truth import FaultTruth
from infusion.units import nanolitres
from simulator.rig import Rig
from simulator.unit import OpenFault, Unit

# Of the faults that are over, so many wait for the next truth of their pump; older ones are dropped
# and counted in `Rig.faults_forgotten`.
ENDED_MAX = 1_000


def begin(rig: Rig, unit: Unit, fault: str) -> None:
    """A fault sets in."""
    unit.faults = (*unit.faults, OpenFault(fault, rig.now_ms, *_doses_iu(rig, unit)))


def end(rig: Rig, unit: Unit, fault: str, messages: int = 0) -> None:
    """The fault of that name that set in first is over; one that never set in is none."""
    found = next((known for known in unit.faults if known.fault == fault), None)
    if found is None:
        return
    unit.faults = tuple(known for known in unit.faults if known is not found)
    ordered_iu, pumped_iu, patient_iu = _doses_iu(rig, unit)
    if len(unit.ended) >= ENDED_MAX:
        rig.faults_forgotten += 1
        unit.ended = unit.ended[1:]
    unit.ended = (
        *unit.ended,
        FaultTruth(
            fault=fault,
            onset_ms=found.onset_ms,
            end_ms=rig.now_ms,
            ordered_iu=round(ordered_iu - found.ordered_iu, 3),
            pumped_iu=round(pumped_iu - found.pumped_iu, 3),
            patient_iu=round(patient_iu - found.patient_iu, 3),
            messages=messages,
        ),
    )


def _doses_iu(rig: Rig, unit: Unit) -> tuple[float, float, float]:
    """Ordered, pumped and received so far."""
    pumped_nl = nanolitres(float(rig.state.pumped_ml[unit.index]))
    return (
        unit.order.timeline.dose_until_iu(rig.now_ms),
        unit.bag.dose_iu(pumped_nl),
        rig.meter.dose_iu(unit.index),
    )

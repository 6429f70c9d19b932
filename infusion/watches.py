"""What is followed at each live message of a pump: its flow, its counter, the pressure in its line.

Nearly all messages change nothing else, so this is what a message costs.
"""

from infusion import pressure
from infusion.excess import add, stretch
from infusion.messages import PumpMessage, Telemetry
from infusion.pacing import is_delivering
from infusion.rules.delivery import runs_free
from infusion.rules.technical import stands_still
from infusion.state import MonitorSettings, PumpState
from infusion.therapies import Ordered
from infusion.thresholds import Thresholds
from infusion.units import MS_PER_HOUR, dose_iu, nanolitres


def watch(
    state: PumpState, ordered: Ordered | None, message: PumpMessage, limits: Thresholds
) -> bool:
    """Follow a live message; whether one of the watches sees something that rules should see."""
    delivers = is_delivering(message)
    flow, presence = state.flow, state.presence
    # A pump that stands makes no strokes: what its counter says is to be believed at once.
    step_ml = presence.volume_step_ml if presence is not None and delivers else 0.0
    flow.step_iu = step_ml * message.concentration_iu_ml
    interval = stretch(flow, state.account, state.judged_ms)
    sees = False
    if interval is not None:
        # One that is too long to judge proves nothing: the last one that was judged stands.
        state.interval = interval
        if ordered is not None:
            hours = (interval.to_ms - interval.from_ms) / MS_PER_HOUR
            least_iu, most_iu = ordered.least_iu_h * hours, ordered.most_iu_h * hours
            sees = add(flow, interval, least_iu, most_iu, limits.flow_tolerance)
        sees |= runs_free(state, limits) is not None
    if not delivers:
        flow.under.begin(message.time_ms)
        return sees
    if ordered is None:
        flow.over.begin(message.time_ms)
        flow.under.begin(message.time_ms)
    if type(message) is Telemetry:
        sees |= pressure.follow(state.pressure, message.time_ms, message.pressure_mmhg, step_ml)
    return sees or stands_still(state, limits)


def held_dose_iu(settings: MonitorSettings, state: PumpState, message: PumpMessage) -> float:
    """What the line holds back: pumped, but kept by its compliance while it is occluded."""
    if not isinstance(message, Telemetry):
        return state.held_iu
    if message.pressure_mmhg < settings.occlusion_pressure_mmhg:
        return 0.0
    pressure_mmhg = message.pressure_mmhg - settings.free_pressure_mmhg
    held_ml = settings.line_compliance_ml_mmhg * pressure_mmhg
    return dose_iu(nanolitres(held_ml), message.concentration_iu_ml)

"""What is followed at each live message of a pump: its flow, its counter, the pressure in its line.

Nearly all messages change nothing else, so this is what a message costs.
"""

from infusion import pressure
from infusion.account import book, book_next
from infusion.board import Phase
from infusion.counter import Sample
from infusion.excess import add, stretch
from infusion.messages import Event, PumpMessage, Telemetry
from infusion.pacing import is_delivering
from infusion.rules.delivery import runs_free
from infusion.rules.technical import stands_still
from infusion.state import MonitorSettings, PumpState
from infusion.therapies import Ordered
from infusion.thresholds import SILENT_MS, Thresholds
from infusion.units import MS_PER_HOUR, dose_iu, nanolitres

COUNTERS_CLEARED = "MDC_EVT_PUMP_VOL_COUNTERS_CLEARED"


def enter(
    settings: MonitorSettings, state: PumpState, message: PumpMessage, key: int, held_iu: float
) -> tuple[bool, bool, float]:
    """Book a message: whether it is new, whether it came after a later one, and if so the IU that
    it adds.
    """
    account, concentration = state.account, message.concentration_iu_ml
    volume_nl = nanolitres(message.volume_ml)
    is_late = key <= state.edge_key
    is_cleared = type(message) is Event and message.event == COUNTERS_CLEARED
    if not (is_late or is_cleared) and book_next(
        account, key, message.time_ms, volume_nl, concentration, held_iu
    ):
        return True, False, 0.0
    before_iu = account.pumped_iu
    sample = Sample(key, message.time_ms, volume_nl, concentration, held_iu, is_cleared)
    is_new = book(account, sample, (state.presence or settings).rate_max_ml_h)
    return is_new, is_late, account.pumped_iu - before_iu if is_late else 0.0


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
    if interval is None:
        _end_after_silence(state)
    else:
        # One that is too long to judge proves nothing: the last one that was judged stands.
        state.interval = interval
        if ordered is not None:
            hours = (interval.to_ms - interval.from_ms) / MS_PER_HOUR
            least_iu, most_iu = ordered.least_iu_h * hours, _most_iu_h(ordered, message) * hours
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


def _most_iu_h(ordered: Ordered, message: PumpMessage) -> float:
    """What may flow: as ordered, and in a hold what the pump says it keeps the vein open with.

    Where that becomes a dose, the level in the blood tells it.
    """
    if message.delivery != "kvo":
        return ordered.most_iu_h
    return max(ordered.most_iu_h, message.rate_ml_h * message.concentration_iu_ml)


def _end_after_silence(state: PumpState) -> None:
    """After a silence a flow that is not told yet is begun anew: nobody knows what it was.

    One that is told goes on: a silence ends no hazard.
    """
    recent, flow = state.account.recent, state.flow
    if len(recent) < 2 or recent[-1].time_ms - recent[-2].time_ms < SILENT_MS:
        return
    for key, excess in (("over-delivery", flow.over), ("under-delivery", flow.under)):
        track = state.board.tracks.get(key)
        if track is None or track.phase is Phase.PENDING:
            excess.begin(recent[-1].time_ms)


def held_dose_iu(settings: MonitorSettings, state: PumpState, message: PumpMessage) -> float:
    """What the line holds back: pumped, but kept by its compliance while it is occluded."""
    if not isinstance(message, Telemetry):
        return state.held_iu
    if message.pressure_mmhg < settings.occlusion_pressure_mmhg:
        return 0.0
    pressure_mmhg = message.pressure_mmhg - settings.free_pressure_mmhg
    held_ml = settings.line_compliance_ml_mmhg * pressure_mmhg
    return dose_iu(nanolitres(held_ml), message.concentration_iu_ml)

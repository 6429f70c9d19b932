"""The earliest moment at which a stream could have shown a hazard: the first message that
contradicts a healthy pump, by more than its accuracy, its counter's step and its sensors' noise.

Looked for in what a pump said, before the wire: what is lost on the way is no excuse. A sign is a
small predicate on one message; `SIGNS` has all of them by name. Signs that no message of a pump can
give (`lab`, `no-result`, `report`, `platelets`) are found afterwards, among the results and reports
(blood_signs.py). `silent` needs none: silence shows from its first moment, and the hazard's own
definition says from when on it counts.
"""

import math
from collections import deque
from collections.abc import Callable

from msgspec import Struct, field

from dripwatch.trial.hazard import Hazard
from infusion.messages import PumpMessage, Telemetry
from infusion.pacing import is_delivering
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.profile import Profile
from simulator.unit import Unit

# Programmed against ordered, weight, concentration: as the rules' sources have them (H08 [A]).
RATE_SHARE, WEIGHT_SHARE, CONCENTRATION_SHARE = 0.05, 0.10, 0.01
# An arm that moves up or down changes the pressure by 40 mmHg at most; 50 is more than that. [A]
PRESSURE_MMHG = 50.0
# Within this share two rates are the same and make the same pressure, once a line has settled; a
# line that gives way by 0.0004 mL/mmHg behind 2 mmHg·h/mL does so within seconds [D]. [A]
SAME_RATE, SETTLED_MS = 0.10, MS_PER_MINUTE
# A cassette gives 0.05 mL a stroke [M]; a counter may rest for two of them before it is still.
STILL_ML = 0.1
# A pump whose clock is right is never off by so much. [A]
CLOCK_MS = 2 * MS_PER_MINUTE
FLOW_SHARE, FLOW_MS = 0.10, 15 * MS_PER_MINUTE


class Watch(Struct):
    """One planted hazard that is looked for in the stream. Times are the fleet's.

    `seen_ms` is the first sign, `began_ms` the onset where the row's `begins` finds it in the
    stream, from `from_ms` on. Before its onset only what a healthy pump says is remembered:
    `peak_mmhg` is the highest pressure at the newest rate. `even` is since when a rate has been
    the same, and that rate in mL/h.
    """

    hazard: Hazard
    unit: Unit
    from_ms: int
    onset_ms: int
    seen_ms: int | None = None
    began_ms: int | None = None
    before: PumpMessage | None = None
    peak_mmhg: float = 0.0
    even: tuple[int, float] = (0, 0.0)
    grown: tuple[int, float] | None = None
    boots: list[int] = field(default_factory=list)
    newest_seq: dict[int, int] = field(default_factory=dict)
    marks: deque[tuple[int, float]] = field(default_factory=deque)
    first: tuple[int, float] | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to look for."""
        needs_onset = bool(self.hazard.begins) and self.began_ms is None
        return self.seen_ms is not None and not needs_onset


Sign = Callable[[Watch, PumpMessage | None, int], bool]


def look(watch: Watch, message: PumpMessage | None, now_ms: int) -> None:
    """Take one message, None for one that cannot be read."""
    hazard = watch.hazard
    looks_for_onset = hazard.begins and watch.began_ms is None and now_ms >= watch.from_ms
    if looks_for_onset and SIGNS[hazard.begins](watch, message, now_ms):
        watch.began_ms = now_ms
    onset_ms = watch.onset_ms if not hazard.begins else (watch.began_ms or math.inf)
    if watch.seen_ms is None and now_ms >= onset_ms and SIGNS[hazard.sign](watch, message, now_ms):
        watch.seen_ms = now_ms
    if message is not None:
        _remember(watch, message, now_ms, is_before=now_ms < onset_ms)


def _remember(watch: Watch, message: PumpMessage, now_ms: int, *, is_before: bool) -> None:
    if not _is_even(watch, message):
        watch.even, watch.peak_mmhg = (now_ms, message.rate_ml_h), 0.0
    elif is_before and isinstance(message, Telemetry) and _has_settled(watch, message, now_ms):
        watch.peak_mmhg = max(watch.peak_mmhg, message.pressure_mmhg)
    if watch.grown is None or message.volume_ml != watch.grown[1] or not is_delivering(message):
        watch.grown = (now_ms, message.volume_ml)
    if message.boot not in watch.boots:
        watch.boots.append(message.boot)
    newest = watch.newest_seq.get(message.boot, -1)
    watch.newest_seq[message.boot] = max(newest, message.seq)
    watch.before = message


# --- the predicates ------------------------------------------------------------------------------


def _rate(watch: Watch, message: PumpMessage | None, now_ms: int) -> bool:
    if message is None or not is_delivering(message):
        return False
    ordered = watch.unit.order.timeline.base_rate_iu_h(now_ms)
    programmed = message.rate_ml_h * message.concentration_iu_ml
    return abs(programmed - ordered) > RATE_SHARE * ordered


def _concentration(watch: Watch, message: PumpMessage | None, _: int) -> bool:
    ordered = watch.unit.order.prescription.concentration_iu_ml
    return message is not None and (
        abs(message.concentration_iu_ml - ordered) > CONCENTRATION_SHARE * ordered
    )


def _weight(watch: Watch, message: PumpMessage | None, _: int) -> bool:
    ordered = watch.unit.order.prescription.weight_kg
    return isinstance(message, Telemetry) and (
        abs(message.weight_kg - ordered) > WEIGHT_SHARE * ordered
    )


def _stands(_: Watch, message: PumpMessage | None, _now: int) -> bool:
    return message is not None and not is_delivering(message)


def _is_even(watch: Watch, message: PumpMessage) -> bool:
    rate_ml_h = watch.even[1]
    return abs(message.rate_ml_h - rate_ml_h) <= SAME_RATE * rate_ml_h


def _has_settled(watch: Watch, message: PumpMessage, now_ms: int) -> bool:
    return is_delivering(message) and now_ms - watch.even[0] >= SETTLED_MS


def _pressure(watch: Watch, message: PumpMessage | None, now_ms: int) -> bool:
    """A pressure that a free line does not make, or the pump's own alarm.

    Only what is above the peaks of the strokes shows anything: above those before the onset, where
    an arm may be up, and above that of a sound line. Messages may meet its strokes between peaks.
    """
    if _alarm(watch, message, now_ms):
        return True
    if not isinstance(message, Telemetry) or not _is_even(watch, message):
        return False
    peak_mmhg = max(watch.peak_mmhg, sound_peak_mmhg(watch.unit.pump.profile, message.rate_ml_h))
    return _has_settled(watch, message, now_ms) and (
        message.pressure_mmhg > peak_mmhg + PRESSURE_MMHG
    )


def sound_peak_mmhg(profile: Profile, rate_ml_h: float) -> float:
    """The highest pressure of each stroke in a sound line, in mmHg [D].

    A stroke is pressed out evenly within its share of a cycle, and fills a compliance C that
    empties through a resistance R: the peak of a first-order filter after many equal pulses,
    vein + R · flow · (1 - exp(-pulse / RC)) / (1 - exp(-cycle / RC)).
    """
    cycle_h = profile.stroke_ml / max(rate_ml_h, profile.rate_min_ml_h)
    pulse_h = cycle_h * profile.stroke_duty
    time_h = profile.resistance_mmhg_h_ml * profile.compliance_ml_mmhg
    rise_mmhg = profile.resistance_mmhg_h_ml * profile.stroke_ml / pulse_h
    share = math.expm1(-pulse_h / time_h) / math.expm1(-cycle_h / time_h)
    return profile.venous_pressure_mmhg + rise_mmhg * share


def _alarm(watch: Watch, message: PumpMessage | None, _: int) -> bool:
    return message is not None and not watch.hazard.answers.isdisjoint(message.alarms)


def _bypass(_: Watch, message: PumpMessage | None, _now: int) -> bool:
    return (
        isinstance(message, Telemetry)
        and message.panel is not None
        and message.panel.outside_library
    )


def _still(watch: Watch, message: PumpMessage | None, now_ms: int) -> bool:
    if message is None or watch.grown is None or not is_delivering(message):
        return False
    since_ms, volume_ml = watch.grown
    since_ms = max(since_ms, watch.onset_ms)
    if message.volume_ml != volume_ml:
        return False
    return message.rate_ml_h * (now_ms - since_ms) / MS_PER_HOUR > STILL_ML


def _jump(watch: Watch, message: PumpMessage | None, _: int) -> bool:
    before = watch.before
    if message is None or before is None or message.boot != before.boot:
        return False
    profile = watch.unit.pump.profile
    hours = max(0, message.time_ms - before.time_ms) / MS_PER_HOUR
    most_ml = profile.rate_max_ml_h * hours + profile.volume_step_ml
    return message.volume_ml - before.volume_ml > most_ml


def _back(watch: Watch, message: PumpMessage | None, _: int) -> bool:
    before = watch.before
    return (
        message is not None
        and before is not None
        and message.boot == before.boot
        and message.volume_ml < before.volume_ml
    )


def _clock(_: Watch, message: PumpMessage | None, now_ms: int) -> bool:
    return message is not None and abs(message.time_ms - now_ms) > CLOCK_MS


def _boots(watch: Watch, message: PumpMessage | None, _: int) -> bool:
    """A boot that was there before comes again after another one: two pumps speak."""
    if message is None or watch.before is None:
        return False
    return message.boot != watch.before.boot and message.boot in watch.boots


def _old(watch: Watch, message: PumpMessage | None, now_ms: int) -> bool:
    """Something that was said long ago is said again."""
    if message is None or message.time_ms > now_ms - CLOCK_MS:
        return False
    return message.seq <= watch.newest_seq.get(message.boot, -1)


def _refused(_: Watch, message: PumpMessage | None, _now: int) -> bool:
    return message is None


def _over(watch: Watch, message: PumpMessage | None, now_ms: int) -> bool:
    return any(
        given_iu > (1 + FLOW_SHARE) * ordered_iu + step_iu
        for given_iu, ordered_iu, step_iu in _flows(watch, message, now_ms)
    )


def _under(watch: Watch, message: PumpMessage | None, now_ms: int) -> bool:
    return any(
        given_iu < (1 - FLOW_SHARE) * ordered_iu - step_iu
        for given_iu, ordered_iu, step_iu in _flows(watch, message, now_ms)
    )


def _flows(
    watch: Watch, message: PumpMessage | None, now_ms: int
) -> list[tuple[float, float, float]]:
    """Given and ordered by the counter, and what one step of it is, in IU: over the last quarter
    of an hour, and over all since the onset, a quarter of an hour at least.

    It begins anew where the counter or the order changes, because nothing can be judged across.
    """
    if message is None:
        return []
    marks, timeline = watch.marks, watch.unit.order.timeline
    base_iu_h = timeline.base_rate_iu_h(now_ms)
    is_even = not marks or timeline.base_rates_iu_h(marks[-1][0], now_ms) == (base_iu_h,)
    if marks and (message.volume_ml < marks[-1][1] or not is_even):
        marks.clear()
        watch.first = None
    if timeline.rate_iu_h(now_ms) != base_iu_h:
        return []
    mark = (now_ms, message.volume_ml)
    marks.append(mark)
    watch.first = watch.first or mark
    while len(marks) > 1 and marks[1][0] <= now_ms - FLOW_MS:
        marks.popleft()
    step_iu = watch.unit.pump.profile.volume_step_ml * message.concentration_iu_ml
    return [
        (
            (message.volume_ml - volume_ml) * message.concentration_iu_ml,
            timeline.dose_iu(since_ms, now_ms),
            step_iu,
        )
        for since_ms, volume_ml in (marks[0], watch.first)
        if now_ms - since_ms >= FLOW_MS
    ]


def _silent(_: Watch, _message: PumpMessage | None, _now: int) -> bool:
    return True


def _never(_: Watch, _message: PumpMessage | None, _now: int) -> bool:
    return False


def _keeps_open(_: Watch, message: PumpMessage | None, _now: int) -> bool:
    return message is not None and message.delivery == "kvo"


def _empty(_: Watch, message: PumpMessage | None, _now: int) -> bool:
    return message is not None and "reservoir-empty" in message.alarms


def _depleted(_: Watch, message: PumpMessage | None, _now: int) -> bool:
    return message is not None and "battery-depleted" in message.alarms


SIGNS: dict[str, Sign] = {
    "rate": _rate,
    "concentration": _concentration,
    "weight": _weight,
    "stands": _stands,
    "pressure": _pressure,
    "alarm": _alarm,
    "bypass": _bypass,
    "still": _still,
    "jump": _jump,
    "back": _back,
    "clock": _clock,
    "boots": _boots,
    "old": _old,
    "refused": _refused,
    "over": _over,
    "under": _under,
    "silent": _silent,
    "kvo": _keeps_open,
    "empty": _empty,
    "depleted": _depleted,
    "lab": _never,
    "no-result": _never,
    "report": _never,
    "platelets": _never,
}
CLINICAL_SIGNS = ("lab", "no-result", "report", "platelets")

"""What truly was the matter with a pump, and when: spans of time with a name.

Pure: from a `Track` to {name: spans}. The names are what EXPLAINS (explain.py) and the rows of
HAZARDS (their `force`) speak of. A condition is a fact about the pump, the bag or the patient;
thresholds are those of the rule's own source, with a little room because truth is sampled once a
minute. That room makes an alert count as right that is off by a hair, and nothing else.

Names: `stands` (ordered to deliver, and does not), `offline`, `off-order` (programmed to another
rate than ordered), `wrong-rate` (the same beyond the time that people have for a change),
`wrong-weight` (programmed with another than the patient's), `bolus` (one is given), `runs-on-hold`
and `on-hold` (delivers while nothing is ordered; beyond that time),
`over` and `under` (dose over 15 min), `off-24h`, `level-off` (ρ), `bag-near-end` (or the volume
to be infused), `battery-near-end`, `bag-old`, `outside-limits`, `outside-library`, `overridden`,
`occluded-again`, `starved` (an upstream occlusion before and while the pump alarms of it),
`bolus-missed` (ordered, and not given in time), `odd-bolus` (given late, or never ordered),
`alarm:…`, `fault:…`; those of laboratory and reports are in findings.py.
"""

from typing import Any

import numpy as np

from dripwatch.trial.findings import findings
from dripwatch.trial.truth import SAMPLE_MS, Standing, Track
from infusion.heparin import CLINICAL, individual, step
from infusion.prescription import Timeline
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.machine import Mode
from simulator.operation import EVENT_START, EVENT_STOP
from simulator.pump import BOLUS_MODES

Span = tuple[int, int]
Conditions = dict[str, list[Span]]
Mask = Any

# The order's rate is met within this share (H08 [A]).
RATE = 0.05
# The patient's weight is met within this share (H08 [A]).
WEIGHT = 0.10
# What people have for a changed rate (M04 [A]) and for a hold or stop [A]: 30 and 10 min, less one
# for the sampling.
CHANGE_MIN, HOLD_MIN, EARLY_MIN = 29, 9, 5
# GIP 1.2.2, 1.2.3: 10 % over 15 min [V2]; a whole ordered bolus may be an hour late [A].
WINDOW, OVER, UNDER, LATE_BOLUS = 15, 1.09, 0.91, 60
# M01: ρ outside 0.80 to 1.25 [A], with room for what a monitor cannot know of the patient.
RHO = (0.85, 1.18)
# L01: 0.90 to 1.10 over 24 h [A], with room for the sampling.
DAY_SHARES = (0.92, 1.08)
# The alerts come from 30 min before the end on (M05 proposes 4 h, which a notice tells) [A].
NEAR_MIN = 60.0
BAG_MIN = 24 * 60 - 5
DOSE_LIMITS_IU_KG_H, DOSE_MAX_IU_H = (1.0, 35.0), 4_000.0
OVERRIDES, OCCLUSIONS, DAY_MS = 2, 3, 24 * MS_PER_HOUR
ENDED_ALARMS = ("reservoir-empty", "infusion-complete")
# A bolus may be given a little before it is ordered, and 45 min after; after 4 h nobody may give it
# any more [A]. One that is given to nine tenths is given: a pump is within 6 % [V].
BOLUS_EARLY_MS, BOLUS_LATE_MS = 5 * MS_PER_MINUTE, 45 * MS_PER_MINUTE
BOLUS_VOID_MS, BOLUS_SHARE = 240 * MS_PER_MINUTE, 0.9
OCCLUSION_ALARMS = ("downstream-occlusion", "upstream-occlusion")


def conditions(track: Track) -> Conditions:
    """All conditions of one pump over its story, each as spans in order of time."""
    times = track.times_ms
    masks = {**_standing_masks(track), **_dose_masks(track)}
    found: Conditions = {name: spans_of(times, mask) for name, mask in masks.items()}
    found |= _fault_spans(track)
    found |= _alarm_spans(track)
    found |= _boluses(track, found["bolus"])
    found["on-hold"] += _started_in_hold(track)
    found["starved"] = _starved(found)
    # Whatever the rate was then: the bag, or the volume, really came to its end within the hour.
    found["bag-near-end"] += [
        (at_ms - round(NEAR_MIN) * MS_PER_MINUTE, at_ms)
        for at_ms, key in track.alarms
        if key in ENDED_ALARMS
    ]
    return found | findings(track)


def spans_of(times: Any, mask: Mask) -> list[Span]:
    """The spans in which a mask holds; each reaches from its first sample to the one after it."""
    if not mask.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    last = len(times) - 1
    return [
        (int(times[begin]), int(times[min(end, last)]))
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


# --- how the pump stood --------------------------------------------------------------------------


def _filled(track: Track, value: Any, kind: type) -> Any:
    """One value of each standing, as an array over all samples."""
    size = len(track.times_ms)
    found: Any = np.zeros(size, dtype=kind)
    for number, standing in track.standings:
        found[number:] = value(standing)
    return found


def _standing_masks(track: Track) -> dict[str, Mask]:
    times = track.times_ms
    ordered = _stepwise(track.timeline, track.timeline.bases_iu_h, times)
    delivers = _filled(track, lambda s: s.is_delivering, bool)
    runs = _filled(track, lambda s: s.mode is Mode.RUNNING, bool)
    programmed = _filled(track, lambda s: s.programmed_iu_h, float)
    weight = _filled(track, lambda s: s.weight_kg, float)
    by_weight = programmed / np.maximum(weight, 1.0)
    off = delivers & (np.abs(programmed - ordered) > RATE * ordered)
    held, stopped = (ordered == 0) & delivers, _since(ordered == 0)
    beyond = (by_weight < DOSE_LIMITS_IU_KG_H[0]) | (by_weight > DOSE_LIMITS_IU_KG_H[1])
    return {
        "stands": (ordered > 0) & ~delivers,
        "offline": ~_filled(track, lambda s: s.is_connected, bool),
        "off-order": off,
        "wrong-rate": off & runs & ~_in_grace(track, programmed, off & runs),
        "runs-on-hold": held,
        "bolus": _filled(track, lambda s: s.mode in BOLUS_MODES, bool),
        # Beyond the time that people have, or started when the hold had begun already (M03).
        "on-hold": held & ((stopped >= HOLD_MIN) | (_since(delivers) < stopped)),
        "wrong-weight": delivers & (np.abs(weight - track.weight_kg) > WEIGHT * track.weight_kg),
        "outside-limits": delivers & (beyond | (programmed > DOSE_MAX_IU_H)),
        "outside-library": _filled(track, lambda s: s.is_outside_library, bool),
        "bag-old": _bag_age_min(track) >= BAG_MIN,
        "battery-near-end": ~_filled(track, lambda s: s.on_mains, bool)
        & (track.battery_min < NEAR_MIN),
        "bag-near-end": np.minimum(track.reservoir_ml, track.vtbi_ml)
        <= np.maximum(_filled(track, lambda s: s.rate_ml_h, float), 0.1) * NEAR_MIN / 60.0,
    }


def _stepwise(timeline: Timeline, values: tuple[float, ...], times: Any) -> Any:
    """A value of each piece of an order, at many instants."""
    pieces = np.searchsorted(np.array(timeline.times_ms), times, side="right") - 1
    return np.where(pieces < 0, 0.0, np.array(values)[np.maximum(pieces, 0)])


def _ordered_iu(timeline: Timeline, times: Any) -> Any:
    """The dose ordered up to each of many instants, boluses included."""
    begins = np.array(timeline.times_ms)
    pieces = np.maximum(np.searchsorted(begins, times, side="right") - 1, 0)
    hours = (times - begins[pieces]) / MS_PER_HOUR
    doses = np.array(timeline.doses_iu)[pieces] + np.array(timeline.rates_iu_h)[pieces] * hours
    return np.maximum(doses, 0.0)


def _in_grace(track: Track, programmed: Any, off: Mask) -> Mask:
    """Where a programmed rate is one that was ordered until a while ago, or will be soon."""
    found = np.zeros(len(programmed), dtype=bool)
    for number in np.flatnonzero(off).tolist():
        at_ms = int(track.times_ms[number])
        is_held = track.timeline.base_rate_iu_h(at_ms) == 0
        back_ms = (HOLD_MIN if is_held else CHANGE_MIN) * MS_PER_MINUTE
        rates = track.timeline.base_rates_iu_h(at_ms - back_ms, at_ms + EARLY_MIN * MS_PER_MINUTE)
        value = float(programmed[number])
        found[number] = any(abs(value - rate) <= RATE * rate for rate in rates if rate)
    return found


def _since(mask: Mask) -> Any:
    """For each sample, for how many samples a mask has held without a break."""
    counts = np.zeros(len(mask), dtype=np.int64)
    for number, holds in enumerate(mask.tolist()):
        counts[number] = counts[number - 1] + 1 if holds and number else int(holds)
    return counts


def _bag_age_min(track: Track) -> Any:
    """Minutes since the bag was hung, or since the story began."""
    bags = _filled(track, lambda s: s.bag_since_nl, float)
    return _since(np.concatenate(([True], np.diff(bags) == 0)))


# --- the dose ------------------------------------------------------------------------------------


def _dose_masks(track: Track) -> dict[str, Mask]:
    times = track.times_ms
    ordered, given = _ordered_iu(track.timeline, times), track.patient_iu
    base = _stepwise(track.timeline, track.timeline.bases_iu_h, times)
    ordered_base = np.concatenate(([0.0], np.cumsum(base[:-1]) * SAMPLE_MS / MS_PER_HOUR))
    boluses = np.maximum(ordered - ordered_base, 0.0)
    over = _gain(given, WINDOW) > OVER * _gain(ordered_base, WINDOW) + _gain(boluses, LATE_BOLUS)
    under = _gain(given, WINDOW) < UNDER * _gain(ordered_base, WINDOW)
    # At the start there is no quarter of an hour to look at.
    over[:WINDOW] = under[:WINDOW] = False
    minutes = 24 * 60
    day_given, day_ordered = _gain(given, minutes), _gain(ordered, minutes)
    share = np.where(day_ordered > 0, day_given / np.maximum(day_ordered, 1e-9), 1.0)
    off_day = (share < DAY_SHARES[0]) | (share > DAY_SHARES[1])
    off_day[:60] = False
    rho = _rho(given, ordered, track.weight_kg)
    return {
        "over": over,
        "under": under,
        "off-24h": off_day,
        "level-off": (rho < RHO[0]) | (rho > RHO[1]),
    }


def _gain(sums: Any, samples: int) -> Any:
    """How much a running sum grew over the last samples."""
    before = np.concatenate((np.full(samples, sums[0]), sums[:-samples]))[: len(sums)]
    return sums - before


def _rho(given: Any, ordered: Any, weight_kg: float) -> Any:
    """ρ = level by what was given ÷ level by what was ordered, of a typical patient (§4, §5)."""
    ways = individual(CLINICAL, weight_kg).ways
    hours = SAMPLE_MS / MS_PER_HOUR
    rates = np.maximum(np.diff(np.stack((given, ordered)), axis=1), 0.0) / (hours * weight_kg)
    levels = [1.0]
    mine, due = 0.0, 0.0
    for rate, ordered_rate in rates.T.tolist():
        mine, due = step(mine, rate, hours, *ways), step(due, ordered_rate, hours, *ways)
        # Below this both are next to nothing, and their ratio says nothing.
        levels.append(mine / due if due > 0.02 else 10.0 if mine > 0.1 else 1.0)
    return np.array(levels)


# --- boluses -------------------------------------------------------------------------------------


def _boluses(track: Track, spans: list[Span]) -> Conditions:
    """Ordered boluses that nobody gave in time, and given ones that no order has room for.

    Each span in which the pump gave one belongs to the first ordered one of which something is
    left and whose time it is.
    """
    left_iu = [rate * (end - begin) / MS_PER_HOUR for begin, end, rate in track.timeline.boluses]
    missing_iu = [share * (1 - BOLUS_SHARE) for share in left_iu]
    given_ms: dict[int, int] = {}
    odd: list[Span] = []
    for span in spans:
        for number, (begin_ms, end_ms, _) in enumerate(track.timeline.boluses):
            if left_iu[number] <= missing_iu[number]:
                continue
            if begin_ms - BOLUS_EARLY_MS <= span[0] <= end_ms + BOLUS_VOID_MS:
                left_iu[number] -= _bolus_iu(track, span)
                is_too_much = left_iu[number] < -missing_iu[number]
                if is_too_much or span[0] > end_ms + BOLUS_LATE_MS:
                    odd.append(span)
                if left_iu[number] <= missing_iu[number]:
                    given_ms[number] = span[0]
                break
        else:
            odd.append(span)
    missed: list[Span] = []
    for number, (_, end_ms, _) in enumerate(track.timeline.boluses):
        until_ms = min(given_ms.get(number, int(track.times_ms[-1])), end_ms + BOLUS_VOID_MS)
        if until_ms > end_ms + BOLUS_LATE_MS:
            missed.append((end_ms + BOLUS_LATE_MS, until_ms))
    return {"bolus-missed": missed, "odd-bolus": odd}


def _bolus_iu(track: Track, span: Span) -> float:
    """What the mechanism gave in a span, and in the minutes that it shares with what was before
    and after, by the pump's own knowledge of the bag. The basal rate is little beside it.
    """
    begin, end = np.searchsorted(track.times_ms, span)
    pumped_ml = track.pumped_ml[min(end, len(track.pumped_ml) - 1)] - track.pumped_ml[begin - 1]
    return float(pumped_ml) * _at(track, int(begin)).concentration_iu_ml


# --- faults, alarms, keys ------------------------------------------------------------------------


def _fault_spans(track: Track) -> Conditions:
    """Each kind of fault that the story had in force."""
    found: Conditions = {}
    for word, begin_ms, end_ms in track.faults:
        found.setdefault(f"fault:{word}", []).append((begin_ms, end_ms))
    return found


def _started_in_hold(track: Track) -> list[Span]:
    """From each start of a pump while nothing is ordered to its next stop, however short (M03)."""
    found: list[Span] = []
    begin_ms: int | None = None
    for at_ms, event in track.events:
        if event.event == EVENT_START and begin_ms is None:
            if track.timeline.base_rate_iu_h(at_ms) == 0:
                begin_ms = at_ms
        elif event.event == EVENT_STOP and begin_ms is not None:
            found.append((begin_ms, at_ms))
            begin_ms = None
    if begin_ms is not None:
        found.append((begin_ms, int(track.times_ms[-1])))
    return found


def _starved(found: Conditions) -> list[Span]:
    """The occlusions that the pump says are upstream: from the first on, nothing is pumped."""
    alarms = found.get("alarm:upstream-occlusion", [])
    return [
        (begin_ms, end_ms)
        for begin_ms, end_ms in found.get("fault:occlusion", [])
        if any(begin_ms <= at_ms <= end_ms for at_ms, _ in alarms)
    ]


def _alarm_spans(track: Track) -> Conditions:
    """Each alarm of the pump, from the instant it began to the first sample without it."""
    found: Conditions = {}
    times = track.times_ms
    for at_ms, key in track.alarms:
        number = int(np.searchsorted(times, at_ms))
        end_ms = at_ms + 2 * MS_PER_MINUTE
        for later in range(number, len(times)):
            if key not in _at(track, later).alarms:
                break
            end_ms = max(end_ms, int(times[later]) + SAMPLE_MS)
        found.setdefault(f"alarm:{key}", []).append((at_ms, end_ms))
    occlusions = [at_ms for at_ms, key in track.alarms if key in OCCLUSION_ALARMS]
    _note_bursts(found, "occluded-again", occlusions, OCCLUSIONS)
    overrides = [at_ms for at_ms, event in track.events if event.event == "DRIPWATCH_EVT_OVERRIDE"]
    _note_bursts(found, "overridden", overrides, OVERRIDES)
    return found


def _at(track: Track, sample: int) -> Standing:
    """How the pump stood at a sample."""
    found = track.standings[0][1]
    for number, standing in track.standings:
        if number > sample:
            break
        found = standing
    return found


def _note_bursts(found: Conditions, name: str, times_ms: list[int], count: int) -> None:
    """From each instant that is the `count`-th within 24 h, for so long."""
    spans = [
        (at_ms, at_ms + DAY_MS)
        for number, at_ms in enumerate(times_ms)
        if number + 1 >= count and at_ms - times_ms[number + 1 - count] <= DAY_MS
    ]
    if spans:
        found[name] = spans

"""The earliest moment at which a result or a report could have shown a hazard that no message of a
pump can show, by more than laboratory and patients allow. Pure.
"""

import math
from typing import Any

import numpy as np

from dripwatch.trial.findings import HAEMOGLOBIN_FALL, PLATELETS_SHARE
from dripwatch.trial.truth import Track
from infusion.clinical import LabResult
from infusion.elimination_grid import loss_iu_kg_h
from infusion.heparin import CLINICAL, individual, step
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE

# Laboratory (5 % [V]) and the patient's own change from day to day (0.25, heparin.md §5.2 [A]);
# a patient of whom nothing is known varies by 0.34 more [V]. These are of ln f, how fast heparin is
# cleared, and a level answers to f more than evenly. 1.96 is 95 % of a normal curve.
LAB_CV, WITHIN_SD, BETWEEN_SD, NORMAL_95 = 0.05, 0.25, 0.34, 1.96


def clinical_sign_ms(sign: str, track: Track, onset_ms: int, until_ms: int) -> int | None:
    """When the first result or report came that could show such a hazard; None if none did."""
    times: list[int] = []
    if sign == "report":
        times += [at for at, report in track.reports if at >= onset_ms]
        times += [at for at, result in track.results if _has_fallen(track, result, onset_ms)]
    elif sign == "platelets":
        times += [at for at, result in track.results if _platelets_fell(track, result, onset_ms)]
    elif sign == "no-result":
        # Whoever has never heard of a laboratory cannot know that its results do not come.
        times += [max(at, onset_ms) for at, _ in track.results]
    elif sign == "lab":
        times += [at for at, result in track.results if _differs(track, result, onset_ms)]
    return min((at for at in times if at <= until_ms), default=None)


def _earlier(track: Track, result: LabResult) -> list[float]:
    return [
        known.value
        for _, known in track.results
        if known.test == result.test
        and known.value is not None
        and known.drawn_ms < result.drawn_ms
    ]


def _has_fallen(track: Track, result: LabResult, onset_ms: int) -> bool:
    if result.test != "haemoglobin" or result.value is None or result.drawn_ms < onset_ms:
        return False
    earlier = _earlier(track, result)
    return bool(earlier) and result.value <= max(earlier) - 2 * HAEMOGLOBIN_FALL


def _platelets_fell(track: Track, result: LabResult, onset_ms: int) -> bool:
    if result.test != "platelets" or result.value is None or result.drawn_ms < onset_ms:
        return False
    earlier = _earlier(track, result)
    return bool(earlier) and result.value < (1 - PLATELETS_SHARE) * max(earlier)


def _differs(track: Track, result: LabResult, onset_ms: int) -> bool:
    """Whether an anti-Xa differs from what the counted dose would have made of this patient, by
    more than laboratory and patients allow.

    Above the scale it does, however far: that is critical in any patient (H06).
    """
    value = result.value
    if result.test != "anti-xa" or value is None or value <= 0 or result.drawn_ms < onset_ms:
        return False
    if result.bound == "above":
        return True
    own = [
        math.log(loss_iu_kg_h(expected) / loss_iu_kg_h(known))
        for known, expected in _before_onset(track, onset_ms)
        if known > 0 and expected > 0
    ]
    spread = math.hypot(LAB_CV, WITHIN_SD) if own else math.hypot(LAB_CV, WITHIN_SD, BETWEEN_SD)
    expected = expected_level_iu_ml(track, result.drawn_ms)
    if expected <= 0.05:
        return False
    usual = sum(own) / len(own) if own else 0.0
    off = math.log(loss_iu_kg_h(expected) / loss_iu_kg_h(value)) - usual
    return abs(off) > NORMAL_95 * spread


def _before_onset(track: Track, onset_ms: int) -> list[tuple[float, float]]:
    """Each level that was drawn before a hazard began, with what a typical patient would have."""
    return [
        (known.value, expected_level_iu_ml(track, known.drawn_ms))
        for _, known in track.results
        if known.test == "anti-xa" and known.value is not None and known.drawn_ms < onset_ms
    ]


def expected_level_iu_ml(track: Track, at_ms: int) -> float:
    """The level that the counted dose makes in a typical patient (heparin.md §5), in IU/mL.

    Counted is what the pump moved, at the strength that it was told: more no monitor can know.
    """
    ways = individual(CLINICAL, track.weight_kg).ways
    start_ms, level = int(track.times_ms[0]), 0.0
    marks = [*range(start_ms, at_ms, 5 * MS_PER_MINUTE), at_ms]
    doses_iu = np.diff(np.interp(marks, track.times_ms, _counted_iu(track)))
    for begin, end, dose_iu in zip(marks, marks[1:], doses_iu.tolist(), strict=False):
        hours = (end - begin) / MS_PER_HOUR
        level = float(step(level, dose_iu / hours / track.weight_kg, hours, *ways))
    return level


def _counted_iu(track: Track) -> Any:
    """What the pump moved up to each sample, at the strength it was programmed to then, in IU."""
    strengths = np.zeros(len(track.times_ms))
    for number, standing in track.standings:
        strengths[number:] = standing.concentration_iu_ml
    gained_iu = np.diff(track.pumped_ml) * strengths[:-1]
    return np.concatenate(([0.0], np.cumsum(gained_iu)))

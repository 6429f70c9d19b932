"""From what was planted, what was seen and what was true to a hazard as it really was. Pure."""

import numpy as np

from dripwatch.trial.blood_signs import clinical_sign_ms
from dripwatch.trial.conditions import Conditions
from dripwatch.trial.draw import Plant
from dripwatch.trial.judge import Sought
from dripwatch.trial.signs import CLINICAL_SIGNS, Watch
from dripwatch.trial.truth import SAMPLE_MS, Track
from infusion.units import MS_PER_MINUTE


def misgiven_iu(track: Track, begin_ms: int, end_ms: int) -> float:
    """What reached the patient beyond the order (above 0) or short of it between two times, in IU.

    To the minute, in which truth is sampled, and straight between.
    """
    times = track.times_ms
    given = np.interp([begin_ms, end_ms], times, track.patient_iu)
    ordered = track.timeline.dose_iu(begin_ms, max(begin_ms, end_ms))
    return round(float(given[1] - given[0]) - ordered, 1)


def assess(plant: Plant, watch: Watch, track: Track, truth: Conditions, last_ms: int) -> Sought:
    """A planted hazard as it really was: its onset, its end, and when it could have been seen."""
    hazard, planted = plant.hazard, plant.planted
    start_ms = watch.onset_ms - planted.onset_ms
    onset_ms = watch.began_ms or watch.onset_ms
    end_ms = min(start_ms + planted.until_ms, last_ms)
    is_real = watch.began_ms is not None or not hazard.begins
    story_end_ms = end_ms
    if hazard.force and is_real:
        onset_ms, end_ms, is_real = _in_force(hazard.force, truth, onset_ms, end_ms)
    from_ms = watch.from_ms if hazard.begins else onset_ms
    happens_ms = from_ms if is_real else None
    # Truth is sampled to the minute; the pump itself may have shown it for less than one.
    if hazard.force and watch.seen_ms is not None and watch.seen_ms <= story_end_ms:
        happens_ms = watch.seen_ms if happens_ms is None else min(watch.seen_ms, happens_ms)
    needed_ms = round(hazard.definition_min * MS_PER_MINUTE)
    is_real = is_real and end_ms - onset_ms >= needed_ms
    seen_ms = watch.seen_ms
    if hazard.sign in CLINICAL_SIGNS:
        seen_ms = clinical_sign_ms(hazard.sign, track, onset_ms, end_ms)
    return Sought(
        hazard=hazard.key,
        group=hazard.group,
        urgency=hazard.urgency,
        # What comes slowly may be warned of before; what comes at once may not.
        from_ms=from_ms,
        onset_ms=onset_ms,
        end_ms=end_ms,
        earliest_ms=_earliest(hazard.sign, seen_ms, onset_ms, needed_ms, end_ms),
        happens_ms=happens_ms,
        is_real=is_real,
        linger_ms=round(hazard.linger_min * MS_PER_MINUTE),
        answers=hazard.answers,
        follows=hazard.follows,
    )


def _in_force(force: str, truth: Conditions, onset_ms: int, end_ms: int) -> tuple[int, int, bool]:
    """How long a hazard really lasted: people and clinic may have ended it before the story did."""
    for begin, end in truth.get(force, ()):
        if end > onset_ms + SAMPLE_MS and begin < end_ms:
            # Sampled to the minute: the story knows better when it began.
            began_ms = onset_ms if begin <= onset_ms + SAMPLE_MS else begin
            return began_ms, min(end, end_ms), True
    return onset_ms, end_ms, False


def _earliest(
    sign: str, seen_ms: int | None, onset_ms: int, needed_ms: int, end_ms: int
) -> int | None:
    """The later of the first sign and the definition; None where there was no sign in time."""
    if sign == "silent":
        return onset_ms + needed_ms
    # The quarter of an hour of a flow is part of its sign already.
    if seen_ms is None or seen_ms > end_ms:
        return None
    return max(seen_ms, onset_ms + needed_ms)

"""What the laboratory and people said, and what was due: conditions of truth without a pump.

`critical`, `level-out`, `platelets-fall`, `haemoglobin-fall`, `discordant`: a result says so.
`odd-result`: a result that is not what the blood really held, or that a typical patient could not
have. `level-will-leave`: the true level leaves the range within hours, or is outside.
`level-due`: no level was drawn an hour after it was due. `reported:…`: somebody said so.
"""

from typing import Any

import numpy as np

from dripwatch.trial.truth import Track
from infusion.clinical import LabResult
from infusion.heparin import CLINICAL, individual, steady_state_iu_ml
from infusion.units import MS_PER_HOUR

Span = tuple[int, int]
# A result is looked at, and spoken of, for so long after it came. [A]
FRESH_MS = 4 * MS_PER_HOUR
# anti-Xa 0.3 to 0.7 IU/mL (Michigan VTE [V]); aPTT 1.5 to 2.5 times 30 s [D].
ANTI_XA_RANGE, APTT_RANGE = (0.30, 0.70), (45.0, 75.0)
# H06: 100 s [V], 1.0 IU/mL [V], 50 G/L [A].
CRITICAL = {"aptt": 100.0, "anti-xa": 1.0}
PLATELETS_CRITICAL, PLATELETS_LOW, PLATELETS_SHARE = 50.0, 100.0, 0.30
HAEMOGLOBIN_FALL = 1.0
# M10: more than 0.25 IU/mL and 50 % [A]; two assays of the same blood agree within 5 % [V].
ODD_IU_ML, ODD_SHARE, ASSAY_SHARE = 0.25, 0.50, 0.20
# A level is due 6 h after start and change, then daily; M07 waits one hour more [V, A].
DUE_MS, SETTLED_MS, OVERDUE_MS = 6 * MS_PER_HOUR, 24 * MS_PER_HOUR, MS_PER_HOUR
# The true level leaves the range within so long, if a forecast is to be right. [A]
AHEAD_MIN = 8 * 60
NEAR_EDGE = 0.05


def findings(track: Track) -> dict[str, list[Span]]:
    """These conditions of one therapy, as spans in order of time."""
    found: dict[str, list[Span]] = {}
    for at_ms, result in track.results:
        for name in _said_by(result, track):
            found.setdefault(name, []).append((at_ms, at_ms + FRESH_MS))
    for at_ms, report in track.reports:
        end_ms = int(track.times_ms[-1])
        found.setdefault(f"reported:{report.what}", []).append((at_ms, end_ms))
    found["level-due"], found["level-will-leave"] = _level_due(track), _leaves(track)
    return found


def _said_by(result: LabResult, track: Track) -> list[str]:
    """What one result says is the matter."""
    value, names = result.value, []
    if value is None:
        return ["no-result"]
    if result.test in CRITICAL:
        low, high = ANTI_XA_RANGE if result.test == "anti-xa" else APTT_RANGE
        if value >= CRITICAL[result.test]:
            names.append("critical")
        if not low <= value <= high:
            names.append("level-out")
        else:
            names.append("level-in")
    if result.test == "anti-xa" and _is_odd(result, value, track):
        names.append("odd-result")
    if result.test == "platelets":
        peak = _peak(track, "platelets", result)
        if value < max(PLATELETS_LOW, (1 - PLATELETS_SHARE) * peak):
            names.append("platelets-fall")
        if value < PLATELETS_CRITICAL:
            names.append("critical")
    if (
        result.test == "haemoglobin"
        and value <= _peak(track, "haemoglobin", result) - HAEMOGLOBIN_FALL
    ):
        names.append("haemoglobin-fall")
    return names


def _peak(track: Track, test: str, result: LabResult) -> float:
    """The highest value of a test up to a result."""
    values = [
        known.value
        for _, known in track.results
        if known.test == test and known.value is not None and known.drawn_ms <= result.drawn_ms
    ]
    return max(values)


def _is_odd(result: LabResult, value: float, track: Track) -> bool:
    """Whether a result tells of a bad specimen, or of a dose or patient that is far off."""
    number = int(np.searchsorted(track.times_ms, result.drawn_ms))
    if number >= len(track.times_ms) or result.bound:
        return False
    true = float(track.level_iu_ml[number])
    if abs(value - true) > max(0.1, ASSAY_SHARE * max(value, true)):
        return True
    return _is_far(true, _typical(track, number))


def _is_far(level: float, typical: float) -> bool:
    return abs(level - typical) > ODD_IU_ML and abs(level - typical) > ODD_SHARE * typical


def _typical(track: Track, number: int) -> float:
    """What a typical patient would hold by the rate that was ordered over the last hours."""
    at_ms = int(track.times_ms[number])
    from_ms = at_ms - 3 * MS_PER_HOUR
    rate_iu_h = track.timeline.dose_iu(from_ms, at_ms) / 3.0
    typical = individual(CLINICAL, track.weight_kg)
    level: Any = steady_state_iu_ml(
        rate_iu_h / track.weight_kg,
        typical.clearance_ml_h_kg,
        typical.vmax_iu_kg_h,
        typical.km_iu_ml,
    )
    return float(level)


def _level_due(track: Track) -> list[Span]:
    """Where no level had been drawn an hour after it was due.

    Due is six hours after the start, each change of the order and each level, and a day after the
    second of two in range (Raschke, Michigan [V]). A level that was drawn and never came back was
    not taken, as far as anybody knows; one that is on its way when the story ends counts as that.
    """
    start_ms, end_ms = int(track.times_ms[0]), int(track.times_ms[-1])
    levels: dict[int, tuple[int, bool]] = {}
    for at_ms, result in track.results:
        if result.test == "anti-xa" and result.value is not None:
            is_in = ANTI_XA_RANGE[0] <= result.value <= ANTI_XA_RANGE[1]
            levels[result.drawn_ms] = (at_ms, is_in)
    reasons = [(at, DUE_MS) for at in track.timeline.times_ms if start_ms <= at < end_ms]
    was_in = False
    for _, (came_ms, is_in) in sorted(levels.items()):
        reasons.append((came_ms, SETTLED_MS if is_in and was_in else DUE_MS))
        was_in = is_in
    spans: list[Span] = []
    reasons.sort()
    for number, (at, wait_ms) in enumerate(reasons):
        late_ms = at + wait_ms + OVERDUE_MS
        next_ms = reasons[number + 1][0] if number + 1 < len(reasons) else end_ms
        drawn_ms = min((drawn for drawn in levels if drawn > at), default=end_ms)
        came_ms = levels[drawn_ms][0] if drawn_ms in levels else end_ms
        if track.timeline.base_rate_iu_h(at) > 0 and late_ms < min(drawn_ms, max(next_ms, came_ms)):
            spans.append((late_ms, came_ms))
    return spans


def _leaves(track: Track) -> list[Span]:
    """Where the true level is outside the range, or will be within hours."""
    low, high = ANTI_XA_RANGE
    outside = (track.level_iu_ml < low * (1 + NEAR_EDGE)) | (
        track.level_iu_ml > high * (1 - NEAR_EDGE)
    )
    ahead = np.zeros(len(outside), dtype=bool)
    for number in np.flatnonzero(outside).tolist():
        ahead[max(0, number - AHEAD_MIN) : number + 1] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ahead, [False])).astype(np.int8)))
    last = len(ahead) - 1
    return [
        (int(track.times_ms[begin]), int(track.times_ms[min(end, last)]))
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]

"""When time alone changes something about a pump's alerts, and what must wait for its word."""

from infusion.board import Board, Phase, Track
from infusion.causes import COME_OUT_MS
from infusion.handling import DEFAULT, Handling
from infusion.rules import Rule

PENDING, RAISED, LATCHED = Phase.PENDING, Phase.RAISED, Phase.LATCHED

# Hazards that end with the next word of the pump.
HEARING = ("no-telemetry", "pump-offline")
# What is said of these does not come from the pump.
ELSEWHERE = ("laboratory", "care")
# For a caller that knows of no silence: the pump was heard just now.
NEVER_SILENT_MS = 2**62


def next_look_ms(
    board: Board, handling: Handling = DEFAULT, heard_ms: int = NEVER_SILENT_MS
) -> int | None:
    """When something would change if nothing more were heard, on the pump's clock.

    `heard_ms` is when the pump was last heard.
    """
    soonest: int | None = None
    for key, track in board.tracks.items():
        rule = handling.rules.get(key)
        hazard_ms = _due_ms(track, rule, heard_ms) if rule is not None else None
        for due_ms in (hazard_ms, track.timer_ms):
            if due_ms is not None and (soonest is None or due_ms < soonest):
                soonest = due_ms
    return soonest


def awaits_word(rule: Rule, track: Track, heard_ms: int) -> bool:
    """Whether an alert that is hidden no more must wait, because the pump was not heard since.

    What was is known, and what is may be quite another thing; that nobody knows is told by the
    silence.
    """
    return (
        track.bare_ms is not None
        and heard_ms < track.bare_ms - COME_OUT_MS
        and not track.is_held_back
        and rule.key not in HEARING
        and rule.category not in ELSEWHERE
    )


def _due_ms(track: Track, rule: Rule, heard_ms: int) -> int | None:
    """When a hazard reaches its next level, or comes out, if nothing more is heard."""
    if track.phase is RAISED and track.bare_ms is not None:
        if awaits_word(rule, track, heard_ms):
            return _level_ms(track, rule)
        return track.bare_ms + COME_OUT_MS
    told_ms = None
    if track.phase is RAISED and track.loose_ms is not None:
        told_ms = track.loose_ms + COME_OUT_MS
    level_ms = _level_ms(track, rule)
    if told_ms is not None and (level_ms is None or told_ms < level_ms):
        return told_ms
    return level_ms


def _level_ms(track: Track, rule: Rule) -> int | None:
    """When a hazard reaches its next level by time alone."""
    if rule.observed:
        return None
    if track.phase is PENDING or (track.phase is LATCHED and track.left_ms is None):
        return track.since_ms + rule.levels[0].delay_ms
    if track.phase is RAISED:
        for level in rule.levels:
            if level.priority.rank > track.priority.rank:
                return track.since_ms + level.delay_ms
    return None

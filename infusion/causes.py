"""Root causes: one situation is one alert.

* An alert whose rule is suppressed by an open one stays hidden and is named in the other's
  `suppresses`; so does one that is suppressed by a hidden one, which leads on to what hides that.
  Where two rules suppress each other, the one that is said first speaks for both. What is latched
  hides nothing: its hazard is gone.
* The priority of the open one is at least that of the worst that it hides, so a HIGH is never
  lost. Of several causes only the worst tells it, at equal priority the nearest.
* When the cause is cleared and the consequence is still there after `COME_OUT_MS`, it comes out, or
  is told by the next cause if there is another: a pump that was offline would otherwise be called
  silent in the moment between its return and its first message. While the pump is not heard, only
  its silence, and what the clinic says, comes out: of all else nobody knows whether it is still so.
* When the consequence was said first and its cause comes up within `MERGE_MS`, the cause is raised
  with at least its priority; then the consequence is cleared as merged into it, and is hidden from
  then on. Who had taken the one has taken the other; what was acknowledged or silenced was another
  condition and is not carried over. What was said longer ago than that is a situation of its own.
* Of one pump at most `OPEN_MAX` alerts are open. One more waits, counted, until there is room; a
  HIGH one never waits.
"""

from msgspec.structs import replace

from infusion.alarms import Priority
from infusion.alert import NOTES_MAX
from infusion.board import OPEN_MAX, Phase, Track
from infusion.calls import call_again
from infusion.hiding import hidden_by, hides
from infusion.telling import Moment, hide, lessen, publish, say, worsen
from infusion.units import MS_PER_MINUTE

COME_OUT_MS = MS_PER_MINUTE
MERGE_MS = 2 * MS_PER_MINUTE


def say_first(now: Moment, key: str, track: Track) -> None:
    """Say an alert aloud for the first time, and take over what turns out to be its consequence."""
    board, at_ms = now.board, now.look.at_ms
    consequences = [
        other
        for other, its in board.tracks.items()
        if its.alert is not None
        and its.phase is not Phase.LATCHED
        and at_ms - its.said_ms <= MERGE_MS
        and key in hidden_by(board, now.handling.rules, other, also=key)
    ]
    priority = track.priority
    for other in consequences:
        its = board.tracks[other]
        assert its.alert is not None
        priority = max(priority, its.alert.priority, key=lambda each: each.rank)
    count = sum(1 for its in board.tracks.values() if its.alert is not None)
    if count >= OPEN_MAX and priority is not Priority.HIGH:
        # It is tried again after the same wait.
        track.bare_ms = at_ms
        if not track.is_held_back:
            track.is_held_back = True
            board.count(key).dropped += 1
        return
    track.is_held_back = False
    track.bare_ms = track.loose_ms = None
    track.teller = ""
    track.said_ms = at_ms
    _inherit(track, [board.tracks[other] for other in consequences])
    _note_raise(now, key, track)
    call_again(track, now.handling, priority, at_ms)
    track.worse_version = 1
    merged = [hide(now, other, key) for other in consequences]
    alert = say(now, key, "raised", priority)
    for last in merged:
        publish(now, "cleared", replace(last, merged_into=alert.id))


def _inherit(track: Track, consequences: list[Track]) -> None:
    """Who had taken a consequence has taken its cause; what was said about it stays said."""
    for other in consequences:
        facts = other.facts
        if facts.taken is not None and track.facts.taken is None:
            track.facts = replace(track.facts, taken=facts.taken, offered=facts.offered)
            track.seen = True
        notes = (track.facts.notes + facts.notes)[-NOTES_MAX:]
        if notes:
            track.facts = replace(track.facts, notes=notes)


def _note_raise(now: Moment, key: str, track: Track) -> None:
    """Count an alert that is said aloud; if it is one too many, it is flapping."""
    board, flapping, at_ms = now.board, now.handling.flapping, now.look.at_ms
    board.count(key).raised += 1
    for other in list(board.raises_ms):
        kept = [each for each in board.raises_ms[other] if at_ms - each < flapping.within_ms]
        if kept:
            board.raises_ms[other] = kept
        else:
            del board.raises_ms[other]
    raises_ms = board.raises_ms.setdefault(key, [])
    raises_ms.append(at_ms)
    del raises_ms[: -flapping.raises]
    track.flaps = len(raises_ms) if len(raises_ms) >= flapping.raises else 0


def settle(now: Moment) -> None:
    """Say every alert's priority, and what it hides, as they are now."""
    tracks = now.board.tracks
    if not tracks:
        return
    hidden = [key for key, its in tracks.items() if its.alert is None and its.raised_ms is not None]
    lifted = _lifted(now, hidden) if hidden else {}
    for key, track in tracks.items():
        alert = track.alert
        if alert is None or track.phase is Phase.LATCHED:
            continue
        priority = lifted.get(key, track.priority)
        if priority is not alert.priority:
            if priority.rank > alert.priority.rank:
                worsen(now, key, "escalated", priority)
            else:
                lessen(now, key, priority)
        elif (hidden or alert.suppresses) and alert.suppresses != hides(
            now.board, now.handling.rules, key
        ):
            say(now, key, "updated")


def _lifted(now: Moment, hidden: list[str]) -> dict[str, Priority]:
    """The priorities of the alerts that hide something worse than they are."""
    lifted: dict[str, Priority] = {}
    for key in hidden:
        track = now.board.tracks[key]
        causes = hidden_by(now.board, now.handling.rules, key)
        ranks = {each: lifted.get(each, now.board.tracks[each].priority).rank for each in causes}
        if _find_teller(now, track, ranks) and ranks[track.teller] < track.priority.rank:
            lifted[track.teller] = track.priority
    return lifted


def _find_teller(now: Moment, track: Track, ranks: dict[str, int]) -> bool:
    """Settle which of its causes tells a hidden alert; False while none does.

    It is the worst, at equal priority the nearest, and stays the same until it is gone or another
    one is worse and bad enough.
    """
    if not ranks:
        track.teller, track.loose_ms = "", None
        return False
    worst = max(ranks, key=lambda each: ranks[each])
    if track.teller in ranks or not track.teller or ranks[worst] >= track.priority.rank:
        track.loose_ms = None
        if track.teller not in ranks or ranks[worst] >= track.priority.rank:
            track.teller = worst
        return True
    at_ms = now.look.at_ms
    if track.loose_ms is None:
        track.loose_ms = at_ms
    if at_ms - track.loose_ms < COME_OUT_MS or track.phase is not Phase.RAISED:
        return False
    track.teller, track.loose_ms = worst, None
    return True

"""Which alert hides which, as the board stands: the theory is in infusion/causes.py."""

from collections.abc import Mapping

from infusion.board import Board, Phase
from infusion.rules import Rule


def hidden_by(
    board: Board, rules: Mapping[str, Rule], key: str, also: str | None = None
) -> list[str]:
    """The rules whose open alerts hide this one, the nearest first.

    A rule that hides it and is hidden itself leads on to what hides that one. What is latched
    hides nothing. `also` counts as open, although it is about to be said only now.
    """
    found: list[str] = []
    waiting = [key]
    looked_at = {key}
    tracks = board.tracks
    for each in waiting:
        rule = rules.get(each)
        for other in rule.suppressed_by if rule is not None else ():
            # There are few tracks and many rules that would hide one.
            if other not in tracks or other in looked_at:
                continue
            track = tracks[other]
            if track.raised_ms is None:
                continue
            looked_at.add(other)
            if track.phase is Phase.LATCHED:
                continue
            if track.alert is not None or other == also:
                found.append(other)
            else:
                waiting.append(other)
    return found


def hides(board: Board, rules: Mapping[str, Rule], key: str) -> tuple[str, ...]:
    """The rules whose raised alerts are hidden behind this one, in alphabetical order."""
    return tuple(
        sorted(
            other
            for other, track in board.tracks.items()
            if track.raised_ms is not None
            and track.alert is None
            and key in hidden_by(board, rules, other, also=key)
        )
    )

"""The alerts of one pump as plain values; what moves them is infusion/alerts.py."""

from enum import StrEnum

from msgspec import Struct, field

from infusion.alarms import Priority
from infusion.messages import Alert, Evidence


class Phase(StrEnum):
    """Where an alert is in its life; idle is kept as the absence of a track."""

    IDLE = "idle"
    PENDING = "pending"
    RAISED = "raised"
    RECOVERING = "recovering"


class Track(Struct):
    """One hazard on one pump that is not idle.

    `since_ms` is what the delays count from; it moves with the pump's clock when that is set.
    `onset_ms` is the same instant as the alert tells it, made once, and distinct for each alert of
    a rule. `evidence` is of the last look at which it was due, `alert` what was last said of it
    aloud; a raised one without `alert` is hidden, and `bare_ms` is since when nothing hides it.
    """

    phase: Phase
    since_ms: int
    left_ms: int | None = None
    priority: Priority = Priority.LOW
    onset_ms: int = 0
    raised_ms: int | None = None
    bare_ms: int | None = None
    evidence: Evidence | None = None
    alert: Alert | None = None


class Board(Struct):
    """The alerts of one pump. `version` counts the changes that were said aloud."""

    site: str
    pump: str
    version: int = 0
    tracks: dict[str, Track] = field(default_factory=dict)
    # The onset of the last alert of each rule that ended: the next one must be another.
    ended_ms: dict[str, int] = field(default_factory=dict)


class Look(Struct, frozen=True):
    """One look at a pump: when, what was last heard of it, and the therapy it runs."""

    at_ms: int
    heard_ms: int
    therapy: str | None

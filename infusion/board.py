"""The alerts of one pump as plain values; what moves them is infusion/alerts.py."""

from enum import StrEnum

from msgspec import Struct, field

from infusion.alarms import Priority
from infusion.alert import Alert, Call, Evidence, Facts, Outcome

# Alerts of one pump that are open at once, HIGH ones apart: those are always said.
OPEN_MAX = 16
# HIGH alerts that are over and that nobody has seen; beyond that the oldest is dropped.
UNSEEN_MAX = 8
# Acts of people that are remembered, so that one which comes twice does nothing.
ACTS_MAX = 64


class Phase(StrEnum):
    """Where an alert is in its life; idle is kept as the absence of a track."""

    IDLE = "idle"
    PENDING = "pending"
    RAISED = "raised"
    RECOVERING = "recovering"
    LATCHED = "latched"


class Track(Struct, omit_defaults=True, gc=False):
    """One hazard on one pump that is not idle.

    `since_ms` is what the delays count from; it moves with the pump's clock when that is set.
    `onset_ms` is the same instant as the alert tells it, made once, and distinct for each alert of
    a rule. `left_ms` is since when it is gone, by what was heard; of a latched one None means that
    it is brewing anew. `evidence` and `advice` are of the last look at which it was due, `alert`
    what was last said of it aloud; a raised one without `alert` is hidden, and `bare_ms` is since
    when nothing hides it.

    `priority` is the rule's own, without that of what the alert hides; `peak` is the highest that
    was said. `seen` says that somebody took or acknowledged it at this priority.
    """

    phase: Phase
    since_ms: int
    left_ms: int | None = None
    priority: Priority = Priority.LOW
    # Since when the rule says less than that, by what was heard.
    lower_ms: int | None = None
    onset_ms: int = 0
    raised_ms: int | None = None
    bare_ms: int | None = None
    # Of a hidden one: the rule whose alert tells it, and since when that one is gone.
    teller: str = ""
    loose_ms: int | None = None
    evidence: Evidence | None = None
    advice: str = ""
    alert: Alert | None = None
    # --- from when it was first said aloud
    said_ms: int = 0
    # Due, but not said, because too many alerts of the pump are open.
    is_held_back: bool = False
    over_ms: int | None = None
    peak: Priority = Priority.NOTICE
    flaps: int = 0
    facts: Facts = Facts()
    seen: bool = False
    called: Call | None = None
    # What the delay of the next level counts from; it moves with the pump's clock.
    calling_ms: int = 0
    # The next instant at which time alone changes something that people did or are called to.
    timer_ms: int | None = None
    # The versions at which responsibility, the level that is called, and the priority last changed.
    held_version: int = 0
    called_version: int = 0
    worse_version: int = 0


class Counts(Struct, omit_defaults=True, gc=False):
    """How often a rule was said aloud on one pump, and how often it was not, by which limit."""

    raised: int = 0
    damped: int = 0
    dropped: int = 0


class Board(Struct, omit_defaults=True, gc=False):
    """The alerts of one pump. `version` counts the changes that were said aloud."""

    site: str
    pump: str
    version: int = 0
    tracks: dict[str, Track] = field(default_factory=dict)
    # The onset of the last alert of each rule that ended: the next one must be another.
    ended_ms: dict[str, int] = field(default_factory=dict)
    # HIGH alerts that are over and that nobody has seen, the oldest first.
    unseen: list[Alert] = field(default_factory=list)
    # When each rule was lately said aloud; what flaps is damped.
    raises_ms: dict[str, list[int]] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    # What became of the latest acts, by their ids, the oldest first.
    acts: dict[str, Outcome] = field(default_factory=dict)

    def count(self, key: str) -> Counts:
        """The counters of one rule."""
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = Counts()
        return found


class Look(Struct, frozen=True):
    """One look at a pump: when, what was last heard of it, and the therapy it runs.

    `ordered_iu_h` is the rate ordered now, to tell a dose as so many minutes of it; None: unknown.
    """

    at_ms: int
    heard_ms: int
    therapy: str | None
    ordered_iu_h: float | None = None

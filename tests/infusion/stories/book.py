"""What a story of a rule, its false friend and its edge are, and how they are played.

Each is a *course*: what a pump on paper, its clinic and its people say, each at its time, on virtual
time. A **story** is a course on which the hazard comes and goes. A **false friend** is a benign one
that looks like it; its docstring says what it looks like and why it is none. An **edge** is the same
course on both sides of the rule's threshold or delay, so near to it that only the border differs.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from infusion.errors import MessageError
from infusion.messages import Act, AlertChange, Message
from infusion.monitor import Monitor
from infusion.policy import Layer, policy_of
from tests.infusion.bench import PUMP, SITE, T0, Paper, beat, clock

# What is no change of a hazard: who is called, and what was never said.
UNSAID = ("called", "dropped")
TEXT_LENGTH_MAX = 400


@dataclass(frozen=True)
class Seen:
    """Somebody acknowledges every alert of the pump that is open, or was over unseen."""


Item = Message | MessageError | Seen


@dataclass
class Course:
    """What comes in: a paper pump's stream, and `more` at its times ("HH:MM:SS").

    `thresholds` are the site's own, `until` when the course ends if not with the last item.
    """

    paper: Paper
    more: list[tuple[str, Item]] = field(default_factory=list)
    until: str | None = None
    thresholds: dict[str, Any] = field(default_factory=dict)

    def items(self) -> list[tuple[int, Item]]:
        """Everything in the order in which it is received."""
        stream: list[tuple[int, Item]] = [*self.paper.stream]
        stream += [(T0 + clock(at), item) for at, item in self.more]
        return sorted(stream, key=lambda pair: pair[0])


Play = Callable[[], Course]
PlayAt = Callable[[Any], Course]


@dataclass(frozen=True)
class Friend:
    """A false friend; `beside` names the other rules that rightly speak on its course."""

    play: Play
    beside: tuple[str, ...]


@dataclass(frozen=True)
class Edge:
    """A course by one value: on the `quiet` ones the rule says nothing, on the `told` ones it does."""

    play: PlayAt
    quiet: tuple[Any, ...]
    told: tuple[Any, ...]


class Book:
    """Stories, false friends and edges by the key of their rule. A key has one of the first two."""

    def __init__(self) -> None:
        self.stories: dict[str, Play] = {}
        self.friends: dict[str, Friend] = {}
        self.edges: dict[str, list[Edge]] = {}

    def story(self, key: str) -> Callable[[Play], Play]:
        """The function below is the story of a rule."""

        def enter(play: Play) -> Play:
            assert key not in self.stories, f"{key} has a story already"
            self.stories[key] = play
            return play

        return enter

    def friend(self, key: str, *, beside: tuple[str, ...] = ()) -> Callable[[Play], Play]:
        """The function below is the false friend of a rule."""

        def enter(play: Play) -> Play:
            assert key not in self.friends, f"{key} has a false friend already"
            self.friends[key] = Friend(play, beside)
            return play

        return enter

    def edge(self, key: str, *, quiet: Any, told: Any) -> Callable[[PlayAt], PlayAt]:
        """The function below is an edge of a rule; a value or several on each side."""

        def enter(play: PlayAt) -> PlayAt:
            self.edges.setdefault(key, []).append(Edge(play, _several(quiet), _several(told)))
            return play

        return enter


def _several(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


def perform(course: Course) -> list[AlertChange]:
    """Play a course to a monitor, and return what it said of hazards."""
    monitor = Monitor(policy=policy_of(Layer(thresholds=course.thresholds)))
    changes: list[AlertChange] = []
    for number, (at_ms, item) in enumerate(course.items()):
        changes += beat(monitor, at_ms)
        match item:
            case MessageError():
                changes += monitor.refuse(item, SITE, at_ms)
            case Seen():
                for act in _acknowledge(monitor, at_ms, number):
                    changes += monitor.receive(act, SITE, at_ms)
            case _:
                changes += monitor.receive(item, SITE, at_ms)
    if course.until is not None:
        changes += beat(monitor, T0 + clock(course.until))
    return [each for each in changes if each.change not in UNSAID]


def _acknowledge(monitor: Monitor, at_ms: int, number: int) -> list[Act]:
    listed = monitor.open_alerts(f"{SITE}/{PUMP}")
    return [
        Act(
            act=f"act-{number}-{place}",
            pump=PUMP,
            alert=alert.id,
            version=alert.version,
            what="acknowledge",
            by="nurse-1",
            time_ms=at_ms,
        )
        for place, alert in enumerate((*listed.alerts, *listed.unseen))
    ]


def raised(changes: Iterable[AlertChange]) -> set[str]:
    """The rules that raised an alert."""
    return {each.alert.rule for each in changes if each.change == "raised"}


def line_of(change: AlertChange) -> str:
    """A change as it stands in the golden file: when, what, how urgent, and the words of it.

    The end of an alert has no words. Times are on the pump's clock, since T0.
    """
    alert = change.alert
    hours, seconds = divmod((alert.changed_ms - T0) // 1_000, 3_600)
    head = f"{hours:02}:{seconds // 60:02}:{seconds % 60:02} {change.change:<14} {alert.priority.value:<6}"
    line = f"{head} {alert.rule}" + (f" on {alert.pump}" if alert.pump != PUMP else "")
    if alert.merged_into:
        return f"{line} (told from now on by {alert.merged_into.split(':')[1]})"
    if alert.state == "cleared" or change.change.startswith("ack"):
        return line
    hidden = f" [with {', '.join(alert.suppresses)}]" if alert.suppresses else ""
    assert len(alert.what) <= TEXT_LENGTH_MAX
    return f"{line}: {alert.what}{hidden}"


def summary(play: Play) -> str:
    """The docstring of a story or friend, as one line."""
    return re.sub(r"\s+", " ", play.__doc__ or "").strip()

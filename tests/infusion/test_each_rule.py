"""Every rule: its story as it is told, its false friend, its edges, and where its check comes from.

The courses are in tests/infusion/stories. What is said on them is read, by people too, in
timelines.golden.txt.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from infusion.alarms import DEVICE_ALARMS
from infusion.messages import AlertChange
from infusion.rules import RULES
from infusion.rules.device import DEVICE_RULES, device_alarms
from tests.infusion.stories import device
from tests.infusion.stories.book import line_of, perform, raised, summary
from tests.infusion.stories.table import BOOKS, EDGES, FRIENDS, STORIES

GOLDEN = Path(__file__).parent / "timelines.golden.txt"
COMMAND = "python -m tests.infusion.test_each_rule"
# The first of a section's lines.
HEAD = "== "

# Rules without a border between too little and enough: one word of somebody is enough.
BORDERLESS = {
    **dict.fromkeys(DEVICE_RULES, "the pump says it or does not"),
    "unknown-device-alarm": "the pump says it or does not",
    "identity-mismatch": "one message is enough",
    "order-refused": "one order is enough",
    "therapy-on-two-pumps": "the order names this pump or another one",
    "bleeding": "one report is enough",
    "complication-reported": "one report is enough",
    "supplies-low": "one report is enough",
}
# Stories in which another alert rightly speaks too: all others are one situation, and one alert.
BESIDE = {
    "repeat-occlusion": {"downstream-occlusion"},
    "concentration-doubt": {"result-disagrees"},
}
MARK = re.compile(r"\[(V2?|D|A|M)\b")

SIDES = [
    pytest.param(key, place, value, is_told, id=f"{key}-{place}-{value}-{is_told}")
    for key, edges in EDGES.items()
    for place, edge in enumerate(edges)
    for is_told, values in ((False, edge.quiet), (True, edge.told))
    for value in values
]


@cache
def story_of(key: str) -> list[AlertChange]:
    return perform(STORIES[key]())


@cache
def friend_of(key: str) -> list[AlertChange]:
    return perform(FRIENDS[key].play())


def section(key: str) -> str:
    """What stands in the golden file of one rule."""
    friend = FRIENDS[key]
    lines = [f"{HEAD}{key}", f"Story: {summary(STORIES[key])}"]
    lines += [f"  {line_of(change)}" for change in story_of(key)]
    lines.append(f"False friend: {summary(friend.play)}")
    lines += [f"  {line_of(change)}" for change in friend_of(key)] or ["  (nothing is said)"]
    return "\n".join(lines) + "\n"


def golden() -> str:
    """All sections, in the order of the table of rules."""
    return "\n".join(section(key) for key in RULES)


def kept() -> dict[str, str]:
    """The sections of the golden file by their keys."""
    parts = re.split(rf"^{HEAD}", GOLDEN.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0]: f"{HEAD}{part.rstrip()}\n" for part in parts}


# --- complete -------------------------------------------------------------------------------------


def test_every_rule_has_a_story_and_a_false_friend_and_there_are_no_others() -> None:
    assert STORIES.keys() == RULES.keys()
    assert FRIENDS.keys() == RULES.keys()
    assert len(STORIES) == sum(len(book.stories) for book in BOOKS)


def test_every_rule_has_an_edge_or_none_to_have() -> None:
    assert EDGES.keys() | BORDERLESS.keys() == RULES.keys()
    assert EDGES.keys() & BORDERLESS.keys() == set()


def test_the_golden_file_has_the_rules_in_their_order() -> None:
    assert [*kept()] == [*RULES]


@pytest.mark.parametrize("key", RULES)
def test_a_story_and_a_false_friend_say_what_they_are(key: str) -> None:
    """A sentence each, and no two friends are the same."""
    for play in (STORIES[key], FRIENDS[key].play):
        assert re.fullmatch(r"[A-Z0-9].{20,170}\.", summary(play)), summary(play)
    words = [summary(friend.play) for friend in FRIENDS.values()]
    assert words.count(summary(FRIENDS[key].play)) == 1


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", RULES)
def test_a_story_is_told_as_in_the_golden_file(key: str) -> None:
    """The times, the priorities, the words and what hides what."""
    assert section(key) == kept().get(key), f"if this is meant: {COMMAND}"


@pytest.mark.parametrize("key", RULES)
def test_a_story_raises_its_rule_and_ends_it(key: str) -> None:
    """The hazard comes and goes: once, without flapping, and nothing of it is left."""
    own = [change.change for change in story_of(key) if change.alert.rule == key]
    assert own.count("raised") == 1
    assert own[0] == "raised"
    assert own[-1] in ("cleared", "cleared-unseen")
    assert sum(word.startswith("cleared") for word in own) == 1


@pytest.mark.parametrize("key", RULES)
def test_a_story_is_one_alert_told_in_order(key: str) -> None:
    """What follows from a hazard hides behind it, also when it is over; and time never runs back."""
    assert raised(story_of(key)) - {key} == BESIDE.get(key, set())
    times_ms = [change.alert.changed_ms for change in story_of(key)]
    assert times_ms == sorted(times_ms)


@pytest.mark.parametrize("key", RULES)
def test_a_false_friend_never_raises_its_rule(key: str) -> None:
    """And no other rule but those that it names, each of which does speak."""
    rules = raised(friend_of(key))
    assert key not in rules
    assert rules == set(FRIENDS[key].beside)


@pytest.mark.parametrize(("key", "place", "value", "is_told"), SIDES)
def test_a_rule_speaks_beyond_its_edge_only(
    key: str, place: int, value: object, is_told: bool
) -> None:
    """Two courses that differ by one value, a little below its border and a little beyond."""
    course = EDGES[key][place].play(value)
    assert (key in raised(perform(course))) is is_told


@pytest.mark.parametrize("key", DEVICE_ALARMS)
def test_an_alarm_that_is_told_when_it_is_over_is_none(key: str) -> None:
    """A false friend of every alarm: it came and went offline, and is in the back-fill."""
    course = device.buffered(key)
    assert any(key in getattr(message, "alarms", ()) for _, message in course.paper.stream), (
        "the alarm is in the stream"
    )
    assert perform(course) == []


# --- where it comes from --------------------------------------------------------------------------


@pytest.mark.parametrize("key", RULES)
def test_a_check_names_its_source(key: str) -> None:
    """[V] read, [V2] secondary, [D] derived, [M] from memory, [A] our proposal."""
    check = RULES[key].check or device_alarms
    assert check.__doc__, f"{check.__name__} has no docstring"
    assert MARK.search(check.__doc__), f"{check.__name__} names no source"


if __name__ == "__main__":
    GOLDEN.write_text(golden(), encoding="utf-8")

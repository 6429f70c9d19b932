"""How far behind its broker a monitor says it is."""

from infusion.messages import (
    MONITOR_SITE,
    Kind,
    MonitorPresence,
    Topic,
    encode,
)
from monitor.behind import Behind
from monitor.ports import Entry

TOPIC = str(Topic(Kind.MONITOR_PRESENCE, MONITOR_SITE, "m1"))
BEAT_MS = 500
T0 = 1_790_000_000_000


def beat(
    sent_ms: int, came_ms: int, state: str = "online", instance: str = "m1", contract: str = "1"
) -> Entry:
    presence = MonitorPresence(instance=instance, state=state, time_ms=T0 + sent_ms, beat=1)  # type: ignore[arg-type]  # a word of the test
    topic = str(Topic(Kind.MONITOR_PRESENCE, MONITOR_SITE, instance))
    return Entry(T0 + came_ms, topic, encode(presence), contract)


def follow(*entries: Entry, speed: float = 1.0) -> Behind:
    behind = Behind(TOPIC, beat_ms=round(BEAT_MS * speed), speed=speed)
    behind.watch(entries, (), ())
    return behind


def test_before_the_first_beat_nothing_is_known() -> None:
    assert Behind(TOPIC, beat_ms=BEAT_MS).ms(T0) == 0


def test_what_the_newest_beat_took_is_how_far_behind_it_is() -> None:
    behind = follow(beat(0, 9_000), beat(1_000, 8_500))
    assert behind.ms(T0 + 8_500) == 7_500
    behind.watch((beat(9_000, 9_030),), (), ())
    assert behind.ms(T0 + 9_030) == 30


def test_a_beat_that_does_not_come_back_counts_from_the_one_before() -> None:
    """Two beats may be under way; what is beyond that is the queue."""
    behind = follow(beat(0, 20))
    assert behind.ms(T0 + 1_000) == 20
    assert behind.ms(T0 + 31_000) == 30_000


def test_a_run_without_any_beat_back_counts_from_its_first() -> None:
    behind = Behind(TOPIC, beat_ms=BEAT_MS)
    behind.sent(T0)
    behind.sent(T0 + 500)
    assert behind.ms(T0 + 900) == 0
    assert behind.ms(T0 + 7_000) == 6_000


def test_only_its_own_living_beats_count() -> None:
    """Of another monitor, of a will, and of what cannot be read nothing is learnt."""
    foreign = beat(0, 50_000, instance="m2")
    will = beat(0, 50_000, state="offline")
    unread = Entry(T0 + 50_000, TOPIC, b"{", "1")
    assert follow(foreign).ms(T0 + 50_000) == 0
    assert follow(will).ms(T0 + 50_000) == 0
    assert follow(unread).ms(T0 + 50_000) == 0


def test_it_is_said_with_hysteresis_and_each_doubling_once() -> None:
    behind = Behind(TOPIC, beat_ms=BEAT_MS)
    said = []
    for took_ms in (20, 4_900, 5_100, 7_000, 9_000, 10_300, 15_000, 21_000, 4_000, 1_500, 900, 900):
        behind.watch((beat(0, took_ms),), (), ())
        said.append(behind.news(T0 + took_ms))
    assert said == [
        *(None, None, "behind", None, None, "behind", None, "behind"),
        *(None, None, "caught up", None),
    ]
    assert behind.worst_ms == 21_000


def test_a_fast_clock_is_told_in_seconds_of_the_wall() -> None:
    behind = follow(beat(0, 60_000), speed=60.0)
    assert behind.ms(T0 + 60_000) == 60_000
    assert behind.news(T0 + 60_000) is None
    assert behind.worst_ms == 1_000

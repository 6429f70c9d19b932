"""Laws of the life of an alert, for any sequence of looks and acts.

A course is drawn: hazards come and go, time passes, the clock is set, people act with fresh or old
versions, and the state is stored and taken up again. After each step the laws are checked.
"""

from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infusion.acts import Done, perform
from infusion.alarms import Priority
from infusion.alert import CLOSING, LEAVING_UNSEEN, Act, Alert, AlertChange, Evidence
from infusion.alerts import open_alerts, shift, unseen_alerts, update
from infusion.board import ACTS_MAX, OPEN_MAX, UNSEEN_MAX, Board, Look, Phase
from infusion.causes import COME_OUT_MS
from infusion.handling import DEFAULT
from infusion.next_look import awaits_word, next_look_ms
from infusion.rules import RULES
from infusion.situation import Verdict
from tests.infusion.bench import SITE, T0

MINUTE = 60_000
# A cause and what it hides, two that latch, two that hide each other, one that is never urgent.
HAZARDS = (
    "door-open",
    "not-delivering",
    "free-flow-seen",
    "over-delivery",
    "pump-offline",
    "no-telemetry",
    "battery-low",
    "battery-runs-out",
    "override-pattern",
    "bag-beyond-use",
)
PEOPLE = ("nurse-1", "nurse-2", "pharmacist")
FAILSAFE_MS = 15 * MINUTE

# Mostly hazards come, so that causes and consequences meet.
hazards = st.tuples(
    st.just("hazard"), st.sampled_from(HAZARDS), st.sampled_from((True, True, True, False))
)
passes = st.tuples(st.just("pass"), st.sampled_from((1, 2, 4, 16, 40)), st.booleans())
shifts = st.tuples(st.just("shift"), st.integers(-500, 500), st.just(0))
acts = st.tuples(
    st.just("act"),
    st.sampled_from(
        (
            "take",
            "hand-on",
            "release",
            "decline",
            "acknowledge",
            "audio-pause",
            "audio-resume",
            "snooze",
            "wake",
            "note",
        )
    ),
    st.tuples(st.sampled_from(PEOPLE), st.integers(0, 5), st.integers(0, 3), st.integers(1, 60)),
)
courses = st.lists(
    st.one_of(hazards, hazards, passes, passes, acts, acts, shifts), min_size=12, max_size=60
)


class Ward:
    """One board, its log, and what was known of it before the last step."""

    def __init__(self, is_restarted: bool = False) -> None:
        self.board = Board(SITE, "P-01")
        self.is_restarted = is_restarted
        self.at_ms = T0
        # Long before all else, on the pump's clock: what was heard last in a silence.
        self.begin_ms = T0
        # When the pump was last heard, as the newest look knew it.
        self.heard_ms = T0
        self.present: dict[str, int] = {}
        self.log: list[AlertChange] = []
        self.done: list[Done] = []
        self.sent: list[Act] = []
        # Since when each HIGH alert has been untouched; a touch begins it anew.
        self.untouched_ms: dict[str, int] = {}

    def step(self, kind: str, what: Any, how: Any) -> None:
        if kind == "hazard":
            if how:
                self.present.setdefault(what, self.at_ms)
            else:
                self.present.pop(what, None)
            self.look()
        elif kind == "pass":
            self.pass_for(what * MINUTE, is_heard=how)
        elif kind == "shift":
            self.move_clock(what * MINUTE)
        else:
            self.act(what, *how)
        if self.is_restarted:
            stored = msgspec.msgpack.encode(self.board)
            self.board = msgspec.msgpack.decode(stored, type=Board)

    def pass_for(self, length_ms: int, *, is_heard: bool) -> None:
        """Every deadline fires at its own instant, and none may fire for ever."""
        end_ms, looks = self.at_ms + length_ms, 0
        while True:
            heard_ms = self.at_ms if is_heard else self.begin_ms
            due_ms = next_look_ms(self.board, heard_ms=heard_ms)
            if due_ms is None or due_ms >= end_ms:
                break
            self.at_ms = max(self.at_ms, due_ms)
            self.look(is_heard=is_heard)
            looks += 1
            assert looks < 200, "a deadline that nothing moves"
        self.at_ms = end_ms
        self.look(is_heard=is_heard)

    def look(self, *, is_heard: bool = True) -> None:
        heard_ms = self.heard_ms = self.at_ms if is_heard else self.begin_ms
        verdicts = [
            (rule, Verdict(Evidence(detail=key), self.present[key]))
            for key, rule in RULES.items()
            if key in self.present
        ]
        before = {alert.id for alert in open_alerts(self.board)}
        changes = update(self.board, Look(self.at_ms, heard_ms, "T-01"), verdicts)
        if not is_heard and not self.present:
            gone = {change.alert.id for change in changes if change.change in CLOSING}
            assert not gone & before, "silence ended an alert"
        self.take_in(changes)

    def move_clock(self, delta_ms: int) -> None:
        shift(self.board, delta_ms)
        self.at_ms += delta_ms
        self.begin_ms += delta_ms
        self.heard_ms += delta_ms
        self.present = {key: since + delta_ms for key, since in self.present.items()}
        self.untouched_ms = {key: at + delta_ms for key, at in self.untouched_ms.items()}

    def act(self, what: Any, by: str, which: int, age: int, minutes: int) -> None:
        known = {change.alert.id: change.alert for change in self.log}
        if not known:
            return
        alert = list(known.values())[-1 - which % len(known)]
        act = Act(
            act=f"a{len(self.sent)}",
            pump="P-01",
            alert=alert.id,
            version=max(1, alert.version - age),
            what=what,
            by=by,
            time_ms=T0,
            until_ms=T0 + minutes * MINUTE // (30 if what == "audio-pause" else 1),
            to=PEOPLE[which % 3],
            text="because",
        )
        self.sent.append(act)
        look = Look(self.at_ms, self.at_ms, "T-01")
        done = perform(self.board, act, look)
        self.done.append(done)
        self.take_in(done.changes)
        stored = msgspec.msgpack.encode(self.board)
        again = perform(self.board, act, look)
        assert (again.outcome, again.changes, again.audit) == (done.outcome, [], None)
        assert msgspec.msgpack.encode(self.board) == stored, "an act that came twice changed it"

    def take_in(self, changes: list[AlertChange]) -> None:
        self.log += changes
        for change in changes:
            check_priorities(change)
            alert = change.alert
            if alert.state == "cleared" or alert.facts.taken or alert.priority is not Priority.HIGH:
                self.untouched_ms.pop(alert.id, None)
            elif change.change in ("raised", "escalated", "returned", "lapsed", "released"):
                self.untouched_ms[alert.id] = alert.changed_ms


def check_priorities(change: AlertChange) -> None:
    """What is said of one alert is sound in itself."""
    alert, facts = change.alert, change.alert.facts
    if alert.priority is Priority.HIGH:
        assert facts.snoozed is None, "a HIGH alert is never snoozed"
    if alert.priority is Priority.NOTICE and alert.state != "cleared":
        assert facts.taken is facts.audio_paused is facts.snoozed is None
        assert alert.called is None
    if facts.offered is not None:
        assert facts.taken is not None
        assert facts.offered.by == facts.taken.by, "who offers it has it"
    for deed in (facts.taken, facts.audio_paused, facts.snoozed):
        assert deed is None or deed.until_ms is not None, "nothing is for ever"


def check(ward: Ward) -> None:
    """The laws that hold at every moment."""
    board = ward.board
    open_, unseen = folded(ward.log)
    assert {alert.id: alert for alert in open_alerts(board)} == open_
    assert {alert.id: alert for alert in unseen_alerts(board)} == unseen
    rules = [alert.rule for alert in open_.values()]
    assert len(rules) == len(set(rules)), "one alert a rule"
    urgent = [alert for alert in open_.values() if alert.priority is not Priority.HIGH]
    assert len(urgent) <= OPEN_MAX
    assert len(unseen) <= UNSEEN_MAX
    assert len(board.acts) <= ACTS_MAX
    for key, track in board.tracks.items():
        if track.phase in (Phase.RAISED, Phase.RECOVERING) and track.alert is None:
            waits = track.bare_ms is not None or track.loose_ms is not None
            is_silent = awaits_word(RULES[key], track, ward.heard_ms)
            for since_ms in (track.bare_ms, track.loose_ms):
                late = since_ms is not None and ward.at_ms - since_ms > COME_OUT_MS
                is_excused = track.phase is Phase.RECOVERING or is_silent
                assert not late or is_excused, "it waits for ever"
            told = any(key in alert.suppresses for alert in open_.values())
            assert waits or told, "a raised hazard that nothing tells"
        if (
            track.alert is None
            and track.phase is Phase.RAISED
            and track.teller
            and not track.loose_ms
        ):
            worst = max(
                (alert.priority.rank for alert in open_.values() if key in alert.suppresses),
                default=0,
            )
            assert worst >= track.priority.rank, "a hidden HIGH that nothing tells as HIGH"
    for alert_id, since_ms in ward.untouched_ms.items():
        alert = open_[alert_id]
        if ward.at_ms - since_ms >= FAILSAFE_MS:
            assert alert.called is not None
            assert alert.called.failsafe, "an untouched HIGH alert that reached not everybody"


def folded(changes: list[AlertChange]) -> tuple[dict[str, Alert], dict[str, Alert]]:
    """What replaying the log gives: open and unseen."""
    open_: dict[str, Alert] = {}
    unseen: dict[str, Alert] = {}
    over: set[str] = set()
    for number, change in enumerate(changes, start=1):
        alert = change.alert
        assert change.list_version == number
        assert alert.id not in over
        known = open_.pop(alert.id, None) or unseen.pop(alert.id, None)
        assert alert.version == (known.version + 1 if known is not None else 1)
        if change.change == "cleared-unseen":
            unseen[alert.id] = alert
        elif change.change in CLOSING | LEAVING_UNSEEN:
            over.add(alert.id)
        else:
            open_[alert.id] = alert
    return open_, unseen


@settings(max_examples=200, deadline=None)
@given(courses)
# What the door hid comes out in a silence, and waits for the pump's word.
@example(
    [
        ("hazard", "door-open", True),
        ("hazard", "battery-low", True),
        ("hazard", "battery-runs-out", True),
        ("pass", 2, False),
        ("hazard", "battery-low", False),
        ("pass", 2, False),
    ]
)
def test_laws_hold_at_every_step(course: list[tuple[str, Any, Any]]) -> None:
    """One alert a rule, no HIGH lost, the fail-safe reached, versions by one, nothing for ever."""
    ward = Ward()
    for step in course:
        ward.step(*step)
        check(ward)


@settings(max_examples=60, deadline=None)
@given(courses)
def test_restart_changes_nothing(course: list[tuple[str, Any, Any]]) -> None:
    """A board that is stored and taken up again after each step says the same."""
    one, other = Ward(), Ward(is_restarted=True)
    for step in course:
        one.step(*step)
        other.step(*step)
    assert one.log == other.log
    assert one.done == other.done
    assert one.board == other.board


def test_courses_reach_what_the_laws_are_about() -> None:
    """A course by hand in which everything happens, so that the laws are known to be tried."""
    ward = Ward()
    course: list[tuple[str, Any, Any]] = [
        ("hazard", "not-delivering", True),
        ("pass", 31, True),
        ("act", "take", ("nurse-1", 0, 0, 5)),
        ("act", "take", ("nurse-2", 0, 1, 5)),
        ("hazard", "door-open", True),
        ("pass", 30, False),
        ("hazard", "door-open", False),
        ("hazard", "free-flow-seen", True),
        ("pass", 20, True),
        ("hazard", "free-flow-seen", False),
        ("hazard", "battery-low", True),
        ("act", "snooze", ("nurse-1", 0, 0, 30)),
        ("pass", 40, True),
        ("act", "acknowledge", ("nurse-2", 0, 0, 1)),
        ("act", "acknowledge", ("nurse-2", 1, 0, 1)),
        ("hazard", "not-delivering", False),
        ("pass", 5, True),
    ]
    for step in course:
        ward.step(*step)
        check(ward)
    said = {change.change for change in ward.log}
    assert said >= {
        "raised",
        "taken",
        "lapsed",
        "called",
        "latched",
        "snoozed",
        "woken",
        "acknowledged",
        "cleared-unseen",
    }
    assert DEFAULT.chains[Priority.HIGH][-1].after_ms == FAILSAFE_MS

"""Tests of what people do about alerts: every cell of who has it, late, refused, ends by itself."""

from itertools import product
from typing import Any, get_args

import pytest
from inline_snapshot import snapshot
from msgspec.structs import replace

from infusion.acts import ALLOWED, RESPONSIBILITY, Done, Move, Standing, perform, refusal
from infusion.alarms import Priority
from infusion.alert import NOTES_MAX, Act, Alert, AlertChange, Evidence, What
from infusion.alerts import open_alerts, shift, update
from infusion.board import ACTS_MAX, Board, Look
from infusion.handling import DEFAULT, WEEKDAYS, Hours, chains
from infusion.next_look import next_look_ms
from infusion.rules import RULES, Level
from infusion.service.rota import Rota, Shift
from infusion.situation import Verdict
from tests.infusion.bench import SITE, T0
from tests.infusion.test_alerts import shown_diagrams

SECOND, MINUTE = 1_000, 60_000
KEYS = {
    Priority.HIGH: "air-in-line",
    Priority.MEDIUM: "programming-cleared",
    Priority.LOW: "callback",
}
NURSE = "nurse-1"


class Bench:
    """One pump with one alert, and the people around it. Times are since T0."""

    def __init__(self, priority: Priority = Priority.HIGH, handling: Any = DEFAULT) -> None:
        self.board = Board(SITE, "P-01")
        self.handling = handling
        self.rule = RULES[KEYS.get(priority, "bag-beyond-use")]
        self.rule = replace(self.rule, levels=(Level(0, priority),))
        self.present = True
        self.log: list[AlertChange] = []
        self.acts = 0
        self.at_ms = 0
        self.pass_to(0)

    def pass_to(self, at_ms: int) -> list[str]:
        """Let time pass, every deadline at its instant; the words of what was said."""
        told: list[AlertChange] = []
        while True:
            rules = {**self.handling.rules, self.rule.key: self.rule}
            handling = replace(self.handling, rules=rules)
            due_ms = next_look_ms(self.board, handling)
            now_ms = at_ms if due_ms is None or T0 + at_ms <= due_ms else due_ms - T0
            self.at_ms = max(self.at_ms, now_ms)
            verdicts = [(self.rule, Verdict(Evidence(), T0))] if self.present else []
            told += update(self.board, self.look(), verdicts, handling)
            if now_ms >= at_ms:
                break
        self.log += told
        return [change.change for change in told]

    def look(self) -> Look:
        return Look(T0 + self.at_ms, T0 + self.at_ms, "T-01")

    @property
    def alert(self) -> Alert:
        (alert,) = open_alerts(self.board)
        return alert

    def act(self, what: Any, by: str = NURSE, **fields: Any) -> Act:
        """An act on the alert as it stands, unless the fields say otherwise."""
        self.acts += 1
        length_ms = fields.pop("for_ms", None)
        values: dict[str, Any] = {
            "act": f"act-{self.acts}",
            "pump": "P-01",
            "alert": self.log[0].alert.id,
            "version": self.log[-1].alert.version,
            "what": what,
            "by": by,
            # Their clock is an hour ahead of the pump's.
            "time_ms": T0 + 60 * MINUTE + self.at_ms,
        }
        if length_ms is not None:
            fields["until_ms"] = values["time_ms"] + length_ms
        return Act(**(values | fields))

    def do(self, what: Any, by: str = NURSE, **fields: Any) -> Done:
        """A person acts now."""
        done = perform(self.board, self.act(what, by, **fields), self.look(), self.handling)
        self.log += done.changes
        return done


def test_three_facts_are_apart() -> None:
    """Taken, acknowledged and silenced: each is there without the others, with who and when."""
    bench = Bench()
    bench.at_ms = 40 * SECOND
    for what, change, fact in (
        ("take", "taken", "taken"),
        ("acknowledge", "acknowledged", "acknowledged"),
        ("audio-pause", "audio-paused", "audio_paused"),
    ):
        done = bench.do(what, role="nurse")
        assert done.outcome == "done"
        assert [each.change for each in done.changes] == [change]
        deed = getattr(bench.alert.facts, fact)
        assert (deed.by, deed.role, deed.at_ms) == (NURSE, "nurse", T0 + 40 * SECOND)
    facts = bench.alert.facts
    assert facts.taken is not None
    assert facts.taken.until_ms == T0 + 40 * SECOND + 30 * MINUTE
    assert facts.audio_paused is not None
    assert facts.audio_paused.until_ms == T0 + 40 * SECOND + 2 * MINUTE
    alone = Bench()
    alone.do("acknowledge")
    assert alone.alert.facts == replace(alone.alert.facts, taken=None, audio_paused=None)
    assert bench.alert.state == "raised", "nothing that people do moves the hazard"


def test_audit_tells_before_and_after() -> None:
    """Each act gives one row, in a sentence, with the versions and facts around it."""
    bench = Bench()
    first = bench.do("take")
    assert first.audit is not None
    assert (first.audit.version_before, first.audit.version_after) == (1, 2)
    assert first.audit.before is not None
    assert first.audit.after is not None
    assert first.audit.before.taken is None
    assert first.audit.after.taken is not None
    assert first.audit.act.by == NURSE
    late = bench.do("take", "nurse-2", version=1)
    assert late.audit is not None
    assert late.audit.before == late.audit.after == first.audit.after
    assert (late.audit.version_before, late.audit.version_after) == (2, 2)


# --- responsibility ------------------------------------------------------------------------------


def responsibility_diagram() -> str:
    """The table as a mermaid state diagram, as the one who acts sees it."""
    ends = {
        Move.TAKE: Standing.MINE,
        Move.OFFER: Standing.MINE,
        Move.GIVE_BACK: Standing.FREE,
        Move.CALL_NEXT: Standing.FREE,
        Move.WITHDRAW: Standing.THEIRS,
    }
    names = {each: each.name.lower() for each in Standing}
    lines = ["stateDiagram-v2"]
    lines += [f"    {names[each]}: {each.value}" for each in Standing]
    for before, after in product(Standing, Standing):
        acts = [
            what
            for (what, standing), move in RESPONSIBILITY.items()
            if standing is before and ends.get(move) is after
        ]
        if acts:
            lines.append(f"    {names[before]} --> {names[after]}: {', '.join(acts)}")
    lines.append("    theirs --> offered: they hand on to me")
    lines += [f"    {names[each]} --> free: it lapses" for each in (Standing.MINE, Standing.THEIRS)]
    return "\n".join(lines)


def test_document_shows_who_has_it() -> None:
    """docs/alert-life.md is drawn from the table that acts are judged by."""
    assert responsibility_diagram() in shown_diagrams()


def test_tables_are_total() -> None:
    """Every act is allowed for something, and responsibility knows every standing."""
    assert set(ALLOWED) == set(get_args(What))
    acts: tuple[What, ...] = ("take", "hand-on", "release", "decline")
    assert set(RESPONSIBILITY) == set(product(acts, Standing))
    assert all(Priority.NOTICE not in ALLOWED[what] for what in acts)


def standing(which: Standing) -> Bench:
    """A bench on which nurse-1 stands so to the alert."""
    bench = Bench()
    if which is Standing.MINE:
        bench.do("take")
    elif which is not Standing.FREE:
        bench.do("take", "nurse-2")
        if which is Standing.OFFERED:
            bench.do("hand-on", "nurse-2", to=NURSE)
    return bench


@pytest.mark.parametrize(("what", "which"), list(RESPONSIBILITY))
def test_every_cell(what: What, which: Standing) -> None:
    """Each act, from each standing, does what the table says."""
    bench = standing(which)
    before = bench.alert
    done = bench.do(what, to="nurse-3" if what == "hand-on" else None)
    move = RESPONSIBILITY[what, which]
    outcome = {Move.LATE: "late", Move.REFUSED: "refused"}.get(move, "done")
    assert done.outcome == outcome
    taken, offered = bench.alert.facts.taken, bench.alert.facts.offered
    if outcome != "done":
        assert (bench.alert, done.changes) == (before, [])
        return
    holder = {Move.TAKE: NURSE, Move.OFFER: NURSE, Move.WITHDRAW: "nurse-2"}.get(move)
    assert (taken.by if taken else None) == holder
    assert (offered.to if offered else None) == ("nurse-3" if move is Move.OFFER else None)
    called = {Move.CALL_NEXT: 2}.get(move, 1)
    assert bench.alert.called is not None
    assert bench.alert.called.number == called


def test_first_of_two_wins_and_the_other_is_told() -> None:
    """Both saw version 1; one was first, and the sentence says who and when."""
    bench = Bench()
    bench.do("take", "nurse-2", for_ms=10 * MINUTE, version=1)
    bench.pass_to(40 * SECOND)
    late = bench.do("take", version=1)
    assert (late.outcome, late.changes) == ("late", [])
    assert late.sentence == snapshot("nurse-2 took it 40 s ago, and has it for another 9 min")
    assert bench.alert.facts.taken is not None
    assert bench.alert.facts.taken.by == "nurse-2"


def test_taking_what_others_had_meanwhile_is_late() -> None:
    """Compare-and-set: it was taken and given back since; whoever looks again can have it."""
    bench = Bench()
    bench.do("take", "nurse-2")
    bench.do("release", "nurse-2")
    assert bench.do("take", version=1).outcome == "late"
    assert bench.do("take").outcome == "done"


def test_changes_that_do_not_concern_an_act_do_not_make_it_late() -> None:
    """The next level was called since; the alert can be taken all the same."""
    bench = Bench()
    bench.pass_to(11 * MINUTE)
    assert bench.alert.version == 3
    assert bench.do("take", version=1).outcome == "done"


def test_declining_after_the_next_was_called_is_late() -> None:
    """Two decline what they were called to at once: only one level is gone on."""
    bench = Bench()
    assert bench.do("decline", "nurse-2", version=1).outcome == "done"
    late = bench.do("decline", version=1)
    assert late.outcome == "late"
    assert late.sentence == snapshot("it has gone on since you looked; called: nurse on call")
    assert bench.alert.called is not None
    assert bench.alert.called.number == 2


def test_hand_on_to_a_role() -> None:
    """Whoever has the role may take it; until then the first is responsible."""
    bench = Bench()
    bench.do("take", "nurse-2")
    assert bench.do("hand-on", "nurse-2", to="pharmacist").sentence == snapshot(
        "nurse-2 offers it to pharmacist, and is responsible until pharmacist takes it"
    )
    assert bench.do("take", "somebody").outcome == "late"
    done = bench.do("take", "p-1", role="pharmacist")
    assert done.sentence == snapshot("p-1 has taken it from nurse-2 for 30 min")
    assert bench.alert.facts.offered is None


# --- calls ---------------------------------------------------------------------------------------


def calls(bench: Bench) -> list[tuple[float, str, str]]:
    """When, by which change, who was called."""
    found: list[tuple[float, str, str]] = []
    since_ms = None
    for change in bench.log:
        called = change.alert.called
        if called is not None and called.since_ms != since_ms:
            since_ms = called.since_ms
            found.append(((since_ms - T0) / MINUTE, change.change, called.name))
    return found


def test_nobody_takes_a_high_alert() -> None:
    """Every level in its time, the fail-safe after a quarter of an hour, and then no more."""
    bench = Bench()
    bench.pass_to(24 * 60 * MINUTE)
    assert calls(bench) == [
        (0, "raised", "nurse on duty"),
        (5, "called", "nurse on call"),
        (10, "called", "pharmacist"),
        (15, "called", "everybody"),
    ]
    assert bench.alert.called is not None
    assert bench.alert.called.failsafe
    assert next_look_ms(bench.board, bench.handling) is None


def test_taken_stops_and_its_lapse_resumes() -> None:
    """As long as somebody has it nobody is called; then those before, and the next in its time."""
    bench = Bench()
    bench.pass_to(6 * MINUTE)
    bench.do("take", for_ms=20 * MINUTE)
    assert bench.pass_to(25 * MINUTE) == []
    assert bench.pass_to(60 * MINUTE) == ["lapsed", "called", "called"]
    assert calls(bench) == [
        (0, "raised", "nurse on duty"),
        (5, "called", "nurse on call"),
        (26, "lapsed", "nurse on call"),
        (31, "called", "pharmacist"),
        (36, "called", "everybody"),
    ]


def test_declined_calls_the_next_at_once() -> None:
    """Down to the fail-safe, which can only be called again."""
    bench = Bench()
    bench.at_ms = MINUTE
    sentences = [bench.do("decline", f"nurse-{number}").sentence for number in range(4)]
    assert sentences == snapshot(
        [
            "nurse-0 cannot come; called: nurse on call",
            "nurse-1 cannot come; called: pharmacist",
            "nurse-2 cannot come; called: everybody",
            "nurse-3 cannot come; called: everybody",
        ]
    )


def test_level_outside_its_hours_gives_its_place_to_the_next() -> None:
    """At night the second level is called when the first would be."""
    # T0 is a Monday, 14:13 UTC; local time is set so that it is 07:59.
    rows = (
        ("day", "working-hours", 0, None, None),
        ("night", "off-hours", 4, None, None),
        ("all", "always", 15, None, None),
    )
    offset_min = (7 * 60 + 59) - (T0 // MINUTE) % 1_440
    hours = Hours(weekdays=tuple(range(7)), offsets=((0, offset_min),))
    at_night = Bench(handling=replace(DEFAULT, chains=chains(*rows), hours=hours))
    at_night.pass_to(20 * MINUTE)
    assert calls(at_night) == [(0, "raised", "night"), (11, "called", "all")]
    morning = replace(hours, offsets=((0, offset_min + 1),))
    by_day = Bench(handling=replace(DEFAULT, chains=chains(*rows), hours=morning))
    by_day.pass_to(20 * MINUTE)
    # The night level has no place by day, so all are called in its stead.
    assert calls(by_day) == [(0, "raised", "day"), (4, "called", "all")]


def test_a_call_names_who_is_on_call_then() -> None:
    """By the rota, in its local time; a level that is no role of it is called by its name alone."""
    offset_min = (7 * 60 + 53) - (T0 // MINUTE) % 1_440
    hours = Hours(offsets=((0, offset_min),))
    night = Shift(role="nurse on call", who="n-1", days=WEEKDAYS, begins="20:00", ends="08:00")
    day = Shift(role="nurse on call", who="n-2", days=WEEKDAYS, begins="08:00", ends="20:00")
    rota = Rota(name="r", shift=(night, day))
    bench = Bench(handling=replace(DEFAULT, hours=hours, rota=rota))
    assert named(bench) == ("nurse on duty",)
    bench.pass_to(5 * MINUTE)
    assert named(bench) == ("nurse on call", "n-1")
    # Taken, and lapsed in the next shift: who is called again is who is on call now.
    bench.do("take", for_ms=20 * MINUTE)
    bench.pass_to(25 * MINUTE)
    assert named(bench) == ("nurse on call", "n-2")


def named(bench: Bench) -> tuple[str, ...]:
    """The level that is called, and who of it."""
    called = bench.alert.called
    assert called is not None
    return (called.name, *called.who)


def test_rise_in_priority_calls_again_at_the_new_pace() -> None:
    """LOW calls one level; when it becomes HIGH the others follow as for a HIGH one."""
    bench = Bench(Priority.LOW)
    assert bench.pass_to(60 * MINUTE) == []
    bench.rule = replace(
        bench.rule, levels=(Level(0, Priority.LOW), Level(60 * MINUTE, Priority.HIGH))
    )
    bench.pass_to(120 * MINUTE)
    assert calls(bench) == [
        (0, "raised", "nurse on duty"),
        (60, "escalated", "nurse on duty"),
        (65, "called", "nurse on call"),
        (70, "called", "pharmacist"),
        (75, "called", "everybody"),
    ]


# --- attention -----------------------------------------------------------------------------------


def test_audio_pause_ends_by_itself_and_cannot_be_long() -> None:
    """At most two minutes; it may be ended before, and begun anew."""
    bench = Bench()
    too_long = bench.do("audio-pause", for_ms=2 * MINUTE + 1)
    assert too_long.outcome == "refused"
    bench.do("audio-pause")
    assert bench.pass_to(2 * MINUTE - 1) == []
    assert bench.pass_to(2 * MINUTE) == ["audio-resumed"]
    bench.do("audio-pause", for_ms=30 * SECOND)
    assert bench.do("audio-resume").outcome == "done"
    assert bench.alert.facts.audio_paused is None
    assert bench.do("audio-resume").outcome == "late"


def test_snooze_is_bounded_and_wakes() -> None:
    """A snooze needs an end, within the limit; while it lasts nobody is called."""
    bench = Bench(Priority.MEDIUM)
    assert bench.do("snooze").sentence == "say until when; nothing is snoozed for ever"
    refused = bench.do("snooze", for_ms=5 * 60 * MINUTE)
    assert refused.sentence == "5 h is too long; at most 4 h"
    assert bench.do("snooze", for_ms=-1).outcome == "refused"
    assert bench.do("snooze", for_ms=60 * MINUTE).outcome == "done"
    assert bench.pass_to(60 * MINUTE) == ["woken"]
    assert bench.pass_to(91 * MINUTE) == ["called"]
    bench.do("snooze", for_ms=60 * MINUTE)
    assert bench.do("wake").outcome == "done"
    assert bench.do("wake").outcome == "late"


def test_rise_in_priority_ends_what_was_meant_for_a_lesser_one() -> None:
    """Acknowledged, silenced and snoozed were another condition; who took it still has it."""
    bench = Bench(Priority.MEDIUM)
    for what in ("acknowledge", "audio-pause", "snooze", "take"):
        assert bench.do(what, for_ms=90 * SECOND).outcome == "done"
    old = bench.act("acknowledge", "nurse-2")
    bench.rule = replace(
        bench.rule, levels=(Level(0, Priority.MEDIUM), Level(MINUTE, Priority.HIGH))
    )
    assert bench.pass_to(MINUTE) == ["escalated"]
    facts = bench.alert.facts
    assert facts.acknowledged is facts.audio_paused is facts.snoozed is None
    assert facts.taken is not None
    done = perform(bench.board, old, bench.look())
    assert (done.outcome, done.sentence) == (
        "late",
        "it got worse since you looked, and is high now; look again",
    )


def test_what_is_for_which_priority() -> None:
    """HIGH is never snoozed; a notice is only acknowledged and noted."""
    high = Bench().do("snooze", for_ms=MINUTE)
    assert high.outcome == "refused"
    assert high.sentence == snapshot(
        "snooze is not for a high alert; it can: take, hand-on, release, decline, acknowledge, audio-pause, audio-resume, note"
    )
    notice = Bench(Priority.NOTICE)
    for what in get_args(What):
        outcome = notice.do(what, text="seen", to="x", for_ms=MINUTE).outcome
        assert (outcome == "done") == (what in ("acknowledge", "note")), what


def test_notes_are_bounded() -> None:
    """The newest notes are on the alert, all are in the audit."""
    bench = Bench()
    assert bench.do("note").outcome == "refused"
    for number in range(NOTES_MAX + 2):
        audit = bench.do("note", text=f"note {number}").audit
        assert audit is not None
        assert audit.act.text == f"note {number}"
    assert bench.alert.facts.notes[0].text == "note 2"
    assert len(bench.alert.facts.notes) == NOTES_MAX


def test_acknowledging_twice_is_late() -> None:
    """The first is named."""
    bench = Bench()
    bench.do("acknowledge", "nurse-2")
    bench.at_ms = 80 * SECOND
    assert bench.do("acknowledge").sentence == "nurse-2 acknowledged it 80 s ago"


# --- alerts that are not there -------------------------------------------------------------------


def test_act_on_what_is_over_is_late() -> None:
    """The alert ended before the act came: no error."""
    bench = Bench(Priority.MEDIUM)
    act = bench.act("take")
    bench.present = False
    assert bench.pass_to(MINUTE) == ["cleared"]
    done = perform(bench.board, act, bench.look())
    assert (done.outcome, done.changes) == ("late", [])
    assert done.sentence == "the alert is over; nothing is left to do about it"
    assert done.audit is not None
    assert done.audit.before is None


def test_act_on_what_never_was_is_refused() -> None:
    """Another pump's alert, one to come, or a version that is not there yet."""
    bench = Bench()
    for alert in ("away/P-01/air-in-line/5", "home/P-01/air-in-line/x", "home/P-01/nothing/1"):
        assert bench.do("take", alert=alert).outcome == "refused"
    newer = bench.do("take", version=9)
    assert newer.sentence == "version 9 of the alert is not known; it stands at 1"
    assert refusal(SITE, bench.act("take"), T0, "no such pump").outcome == "refused"


def test_unseen_can_only_be_acknowledged() -> None:
    """It is over, so there is nothing to take."""
    bench = Bench()
    bench.present = False
    assert bench.pass_to(MINUTE) == ["cleared-unseen"]
    assert bench.do("take").outcome == "refused"
    assert bench.do("acknowledge").outcome == "done"
    assert bench.do("acknowledge").outcome == "late"


def test_taken_is_seen() -> None:
    """Who took it has seen it, also when that has lapsed; declining or silencing is not seeing."""
    for what, expected in (("take", "cleared"), ("decline", "cleared-unseen")):
        bench = Bench()
        bench.do(what)
        bench.pass_to(60 * MINUTE)
        bench.present = False
        assert bench.pass_to(61 * MINUTE) == [expected]


# --- repeats, clocks -----------------------------------------------------------------------------


def test_act_that_comes_twice_does_nothing() -> None:
    """The same outcome, no change, no second row; the memory is bounded."""
    bench = Bench()
    act = bench.act("take")
    first = perform(bench.board, act, bench.look())
    again = perform(bench.board, act, bench.look())
    assert (again.outcome, again.changes, again.audit) == (first.outcome, [], None)
    for number in range(ACTS_MAX + 5):
        bench.do("note", text=str(number))
    assert len(bench.board.acts) == ACTS_MAX


def test_times_are_lengths() -> None:
    """A pump's clock that is a year behind, and an act on a clock an hour ahead: 5 min are 5 min."""
    bench = Bench()
    bench.do("take", for_ms=5 * MINUTE)
    shift(bench.board, -365 * 24 * 60 * MINUTE)
    due_ms = next_look_ms(bench.board, bench.handling)
    assert due_ms == T0 + 5 * MINUTE - 365 * 24 * 60 * MINUTE


def test_take_that_has_lapsed_unheard_is_no_take() -> None:
    """An act that comes at the same instant as the end of what another took finds it free."""
    bench = Bench()
    bench.do("take", "nurse-2", for_ms=MINUTE)
    bench.at_ms = MINUTE
    done = bench.do("take", version=3)
    assert [change.change for change in done.changes] == ["lapsed", "taken"]

"""What a person sees in the terminal, at two sizes."""

import io

from inline_snapshot import snapshot
from rich.console import Console, Group, RenderableType

from dripwatch.view import MARKS, STYLES, Frame, badge, render, told_line, told_whole
from infusion.alarms import Priority
from infusion.dose import THERAPY, doses
from infusion.messages import Alert, AlertChange, Change, Evidence
from infusion.monitor import Monitor
from monitor.runner import Totals
from monitor.service import PumpView, Status
from tests.infusion.bench import T0, begin, feed


def picture(renderable: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def frame() -> Frame:
    """One pump with a tenfold rate, silent for nine minutes."""
    paper = begin().run("00:10").set(144.0, rate_ml_h=144.0).run("00:12").mute().run("00:21")
    monitor, told = feed(paper.stream, until="00:21")
    return Frame(
        title="A test",
        broker="127.0.0.1:1883",
        speed=60,
        elapsed_ms=21 * 60_000,
        start_ms=T0,
        published=72,
        lag_ms=0,
        status=status(monitor),
        told=tuple(told),
    )


def status(monitor: Monitor) -> Status:
    (state,) = monitor.pumps.values()
    assert state.edge is not None
    (record,) = monitor.therapies.records.values()
    assert record.order is not None
    at_ms = monitor.pump_ms(state)
    view = PumpView(
        site=state.site,
        pump=state.pump,
        therapy=state.edge.therapy,
        edge=state.edge,
        age_ms=at_ms - state.edge.time_ms,
        online=True,
        dose=doses(state.account, state.edge, record.order.timeline, at_ms)[THERAPY],
        alerts=monitor.open_alerts("home/P-01").alerts,
    )
    return Status(True, Totals(messages=75), 0, 0, 0, (view,))


def test_a_silent_pump_has_a_range_and_not_a_dose() -> None:
    """What is unknown is shown as a range; marks and words carry the priority without colour."""
    assert picture(render(frame(), height=24), 110) == snapshot("""\
Dripwatch  A test  For testing and training. Not a medical device.
pumps' time 00:21:00 at 60×   broker 127.0.0.1:1883   messages 75 of 72   open alerts 2

pump  state            mL/h  delivered  prescribed IU           open alerts
P-01  silent 9 min    144.0  720–2,880            504  unknown   *** rate is not as ordered   * no telemetry

Alerts as they come
00:10:05  *** HIGH    P-01 raised rate is not as ordered: The pump has been set higher than ordered for 5 s: …
00:17:00  *   LOW     P-01 raised no telemetry: Nothing has been heard from the pump for 5 min; whether it ru…\
""")


def test_eighty_columns_are_enough() -> None:
    """On a small terminal nothing that matters is cut away."""
    assert picture(render(frame(), height=24), 80) == snapshot("""\
Dripwatch  A test  For testing and training. Not a medical device.
pumps' time 00:21:00 at 60×   broker 127.0.0.1:1883   messages 75 of 72   open …

pump  state            mL/h  delivered  prescribe…           open alerts
P-01  silent 9 min    144.0  720–2,880         504  unknown   *** rate is not as

Alerts as they come
00:10:05  *** HIGH    P-01 raised rate is not as ordered: The pump has been set…
00:17:00  *   LOW     P-01 raised no telemetry: Nothing has been heard from the…\
""")


def change(what: str, first: str, kind: Change = "raised") -> AlertChange:
    alert = Alert(
        id="home/P-01/under-delivery/1",
        site="home",
        pump="P-01",
        rule="under-delivery",
        category="delivery",
        title="under-delivery",
        priority=Priority.NOTICE,
        state="raised",
        version=1,
        onset_ms=T0,
        raised_ms=T0 + 60_000,
        changed_ms=T0 + 90_000,
        evidence=Evidence(observed=270.0, unit="IU"),
        what=what,
        first=first,
    )
    return AlertChange(change=kind, list_version=1, alert=alert)


def test_an_alert_is_told_by_its_sentence_and_what_to_look_at_first() -> None:
    told = told_whole(change("Less is delivered.", "Look for clamps."), T0)
    assert picture(told, 60) == snapshot("""\
00:01:30  i   NOTICE  P-01 raised under-delivery: Less is
delivered.
        → Look for clamps.\
""")


def test_a_long_sentence_is_whole_in_the_stream_and_one_line_in_the_live_view() -> None:
    long = change("Less heparin is delivered than ordered, and more words follow. " * 2, "Look.")
    assert "…" not in picture(told_whole(long, T0), 60)
    (line,) = picture(Group(told_line(long, T0)), 60).splitlines()
    assert line.endswith("…")


def test_an_alert_without_a_sentence_is_told_by_its_evidence() -> None:
    assert "under-delivery: 270 IU" in told_line(change("", ""), T0).plain


def test_what_to_look_at_first_is_told_only_when_it_is_news() -> None:
    assert "Look" not in told_whole(change("Less.", "Look.", "noted"), T0).plain
    over = told_whole(change("Less.", "Look.", "cleared-unseen"), T0).plain
    assert "Look" not in over
    assert "Less" not in over
    assert over.endswith("after 30 s")


def test_every_priority_has_marks_and_a_word_of_one_width() -> None:
    assert MARKS.keys() == STYLES.keys() == set(Priority)
    assert {len(badge(priority).plain) for priority in Priority} == {12}

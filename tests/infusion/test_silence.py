"""Timeline goldens of the rules on silence, identity and the counter: both sides of each edge."""

import pytest

from infusion.errors import MessageError
from infusion.messages import AlertChange, Kind, PumpMessage, Topic, decode, encode
from infusion.monitor import Monitor
from infusion.prescription import Start
from tests.infusion.bench import (
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    Paper,
    beat,
    begin,
    clock,
    feed,
    order,
    presence,
    rate_change,
    says,
    spoken,
    told,
)


def silent(until: str, interval_ms: int = 10_000) -> list[str]:
    """A pump that is silent from 00:30 until an instant, and then speaks again."""
    paper = begin(interval_ms=interval_ms).run("00:30").mute().run(until).mute(False)
    paper.send()
    return says(paper)


RAISED = "00:35:00 raised no-telemetry low"
MEDIUM = "00:45:00 escalated no-telemetry medium"
HIGH = "01:30:00 escalated no-telemetry high"


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("00:34:59", []),
        ("00:35:01", [RAISED, "00:35:01 cleared no-telemetry low"]),
        ("00:44:59", [RAISED, "00:44:59 cleared no-telemetry low"]),
        ("00:45:01", [RAISED, MEDIUM, "00:45:01 cleared no-telemetry medium"]),
        ("01:29:59", [RAISED, MEDIUM, "01:29:59 cleared no-telemetry medium"]),
        ("01:30:01", [RAISED, MEDIUM, HIGH, "01:30:01 cleared no-telemetry high"]),
    ],
)
def test_no_telemetry_at_its_edges(until: str, expected: list[str]) -> None:
    """Silence is low after 5 min, medium after 15, high after 60; the first message ends it."""
    assert silent(until) == expected


def test_no_telemetry_of_a_slow_pump() -> None:
    """A pump that speaks every ten minutes is missed after six of its intervals."""
    slow = 600_000
    assert silent("01:29:59", slow) == []
    assert silent("01:30:01", slow) == [
        "01:30:00 raised no-telemetry low",
        "01:30:01 cleared no-telemetry low",
    ]
    assert silent("01:40:01", slow)[1] == "01:40:00 escalated no-telemetry medium"


def test_pump_that_falls_silent_again_after_one_message() -> None:
    """One message ends a silence; the next one is counted from it."""
    paper = begin().run("00:10").mute().run("00:20").mute(False)
    paper.send()
    assert says(paper, until="00:26") == [
        "00:15:00 raised no-telemetry low",
        "00:20:00 cleared no-telemetry low",
        "00:25:00 raised no-telemetry low",
    ]


def test_pump_that_was_never_heard() -> None:
    """A pump with an order that says nothing at all is missed from the order on."""
    monitor, changes = feed(Paper().say(order()).stream, until="00:06")
    assert told(changes) == ["00:05:00 raised no-telemetry low"]
    assert changes[0].alert.evidence.detail == "no message yet"
    assert monitor.pumps[f"{SITE}/{PUMP}"].edge is None


def offline(seconds: int) -> list[str]:
    """A pump that loses its connection at 00:10 for some seconds, and is silent meanwhile."""
    paper = begin(interval_ms=1_000).run("00:10").say(presence("offline", at="00:00")).mute()
    paper.run(f"00:{10 + seconds // 60:02}:{seconds % 60:02}").mute(False)
    paper.say(paper.presence()).send()
    return says(paper.run("00:16"))


def test_pump_offline_at_its_edge() -> None:
    """Offline for 3:59 is a hiccup, for 4:01 it is said."""
    assert offline(239) == []
    assert offline(241) == [
        "00:14:00 raised pump-offline low",
        "00:14:01 cleared pump-offline low",
    ]


def test_offline_escalates_and_hides_the_silence_behind_it() -> None:
    """Comms lost is one alert, not two, and names what it hides."""
    paper = begin().run("00:10").say(presence("offline", at="00:00"))
    monitor, changes = feed(paper.stream, until="01:20")
    assert told(changes) == [
        "00:14:00 raised pump-offline low",
        "00:15:00 updated pump-offline low",
        "00:25:00 escalated pump-offline medium",
        "01:10:00 escalated pump-offline high",
    ]
    (alert,) = monitor.open_alerts(f"{SITE}/{PUMP}").alerts
    assert alert.suppresses == ("no-telemetry",)


def test_pump_that_comes_online_and_stays_silent() -> None:
    """The hidden silence comes out a minute after the connection returned, at its full priority."""
    paper = begin().run("00:10").say(presence("offline", at="00:00"))
    paper.mute().run("01:30").say(presence(at="01:30"))
    assert says(paper, until="02:00")[-2:] == [
        "01:30:00 cleared pump-offline high",
        "01:31:00 raised no-telemetry high",
    ]


def test_pump_that_comes_back_with_a_message() -> None:
    """A pump that returns and speaks within the minute is never called silent."""
    paper = begin().run("00:10").say(presence("offline", at="00:00"))
    paper.mute().run("01:30").say(presence(at="01:30")).run("01:30:50").mute(False).run("01:40")
    assert says(paper)[-1] == "01:30:00 cleared pump-offline high"


def test_late_will_does_not_call_a_talking_pump_offline() -> None:
    """A live message after the word that a pump is offline proves that it is not."""
    paper = begin().run("00:10").say(presence("offline", at="00:00"))
    assert says(paper.run("00:20")) == []


def test_older_presence_is_ignored() -> None:
    """The will of an earlier connection that arrives late says nothing of this one."""
    paper = begin().run("00:10").say(presence(at="00:10")).say(presence("offline", at="00:00"))
    monitor, changes = feed(paper.stream, until="00:14")
    assert changes == []
    known = monitor.pumps[f"{SITE}/{PUMP}"].presence
    assert known is not None
    assert known.state == "online"


def test_unknown_pump_at_its_edge() -> None:
    """A pump that no order names is said after a minute, unless its order comes in time."""
    assert says(Paper().start().run("00:00:50"), until="00:00:59") == []
    assert says(Paper().start().run("00:02").say(order()).run("00:03")) == [
        "00:01:00 raised unknown-pump medium",
        "00:02:00 cleared unknown-pump medium",
    ]
    assert says(Paper().start().run("00:00:59").say(order()).run("00:03")) == []


def test_unknown_therapy_at_its_edge() -> None:
    """A pump that runs a therapy without an order is said after a minute."""
    for until, lines in (
        ("00:10:59", []),
        (
            "00:11:01",
            [
                "00:11:00 raised unknown-therapy medium",
                "00:11:01 cleared unknown-therapy medium",
            ],
        ),
    ):
        paper = begin(interval_ms=1_000).run("00:10").set(therapy="T-09").run(until)
        assert says(paper.set(therapy="T-01").run("00:12")) == lines


def test_therapy_of_another_pump() -> None:
    """A pump that runs the order of another one."""
    paper = begin().say(order(pump="P-02", therapy="T-02")).run("00:10")
    monitor, changes = feed(paper.set(therapy="T-02").run("00:12").stream)
    own = [change for change in changes if change.alert.pump == PUMP]
    assert told(own) == ["00:10:00 raised therapy-on-two-pumps medium"]
    assert own[0].alert.evidence.detail == "therapy T-02 is ordered for pump P-02"
    assert f"{SITE}/P-02" in monitor.pumps


def test_delivering_without_a_therapy() -> None:
    """A pump that delivers must say what; one that stands idle need not."""
    paper = begin().run("00:10").set(therapy=None).run("00:12")
    assert says(paper) == ["00:11:00 raised unknown-therapy medium"]
    idle = begin(Start(at_ms=T0, rate_iu_kg_h=0.0)).stop(therapy=None).run("00:30")
    assert says(idle) == []


def speak_as_another(monitor: Monitor, at: str) -> list[AlertChange]:
    """Another pump's message on this pump's topic, refused as the runner does."""
    foreign = encode(Paper(pump="P-66").start().stream[0][1])
    now_ms = T0 + clock(at)
    changes = beat(monitor, now_ms)
    try:
        decode(Topic(Kind.TELEMETRY, SITE, PUMP), foreign)
    except MessageError as error:
        changes += monitor.refuse(error, SITE, now_ms)
    return changes


def test_identity_mismatch_is_an_alert_for_a_while() -> None:
    """A foreign voice is said at once, and for as long as 15 min of the pump's own messages."""
    paper = begin(interval_ms=1_000).run("00:10")
    monitor, _ = feed(paper.stream)
    heard = len(paper.stream)
    changes = speak_as_another(monitor, "00:10")
    changes += feed(paper.run("00:30").stream[heard:], monitor=monitor)[1]
    assert told(changes) == [
        "00:10:00 raised identity-mismatch medium",
        "00:25:00 cleared identity-mismatch medium",
    ]
    assert "P-66" in changes[0].alert.evidence.detail
    assert monitor.refused == {"identity": 1}
    assert f"{SITE}/P-66" not in monitor.pumps


def test_identity_mismatch_outlasts_silence() -> None:
    """Silence resolves nothing: the alert stays while the pump says nothing."""
    monitor, _ = feed(begin().run("00:10").stream)
    speak_as_another(monitor, "00:10")
    beat(monitor, T0 + clock("02:00"))
    rules = [alert.rule for alert in monitor.open_alerts(f"{SITE}/{PUMP}").alerts]
    assert rules == ["no-telemetry", "identity-mismatch"]


def test_counter_frozen_at_its_edge() -> None:
    """A counter that stands still while the pump says it delivers, for a tenth of a millilitre."""
    for until, lines in (
        ("00:10:59", []),
        (
            "00:12:01",
            ["00:11:00 raised counter-frozen medium", "00:12:02 cleared counter-frozen medium"],
        ),
    ):
        paper = begin(interval_ms=1_000).run("00:10")
        paper.flow_ml_h = 0.0
        paper.run(until)
        paper.flow_ml_h = RATE_ML_H
        assert says(paper.run("00:14")) == lines


def test_counter_frozen_hides_the_under_delivery_that_it_explains() -> None:
    """A frozen counter looks like no flow at all; one alert says it."""
    paper = begin().run("00:10")
    paper.flow_ml_h = 0.0
    monitor, changes = feed(paper.run("00:40").stream)
    assert told(changes) == [
        "00:11:00 raised counter-frozen medium",
        "00:15:00 updated counter-frozen medium",
        "00:36:00 escalated counter-frozen high",
    ]
    assert monitor.open_alerts(f"{SITE}/{PUMP}").alerts[0].suppresses == (
        "level-off-course",
        "under-delivery",
    )


def test_slow_pump_may_rest_between_two_strokes() -> None:
    """At 0.5 mL/h a counter rests six minutes between strokes of 0.05 mL."""
    paper = begin(Start(at_ms=T0, rate_iu_h=50.0)).program(0.5)
    for minute in range(6, 60, 6):
        paper.flow_ml_h = 0.0
        paper.run(f"00:{minute - 1:02}:50")
        paper.flow_ml_h = 18.0
        paper.run(f"00:{minute:02}:00")
    assert [line for line in says(paper) if "frozen" in line] == []


@pytest.mark.parametrize(
    ("step_nl", "words"), [(-500_000, "backwards"), (9_000_000, "gained more")]
)
def test_counter_fault_at_its_edge(step_nl: int, words: str) -> None:
    """A counter that cannot be right is said after a minute, and for a quarter of an hour."""
    paper = begin(interval_ms=1_000).run("00:10")
    paper.volume_nl += step_nl
    assert says(Paper(stream=paper.run("00:10:59").stream[:])) == []
    monitor, changes = feed(paper.run("00:30").stream)
    faults = [change for change in changes if change.alert.rule == "counter-fault"]
    assert told(faults) == [
        "00:11:01 raised counter-fault medium",
        "00:26:00 cleared counter-fault medium",
    ]
    assert words in faults[0].alert.evidence.detail
    # Every sample but the one that cannot be right was counted.
    lost_nl = 4_000 if step_nl < 0 else step_nl + 4_000
    pumped_nl = monitor.pumps[f"{SITE}/{PUMP}"].account.pumped_nl
    last = paper.stream[-1][1]
    assert isinstance(last, PumpMessage)
    assert pumped_nl == round(last.volume_ml * 1e6) - min(step_nl, 0) - abs(lost_nl)


def test_cleared_counter_and_restart_are_no_faults() -> None:
    """A counter that begins anew because of its user or a restart is sound."""
    paper = begin().run("00:30").clear_counter().run("01:00").reboot(off="00:02").start()
    monitor, changes = feed(paper.run("01:30").stream)
    assert changes == []
    assert monitor.pumps[f"{SITE}/{PUMP}"].account.fault is None


# --- what is hidden while nobody is heard ---------------------------------------------------------


def over_and_offline(back: str | None) -> list[str]:
    """A pump at a rate of its own goes offline; then the order is changed to that rate.

    It gives two and a half times what was ordered first, so it gives more than either order.
    """
    paper = begin().run("00:10").program(1.5 * RATE_ML_H)
    paper.flow_ml_h = 2.5 * RATE_ML_H
    paper.run("00:40").say(paper.presence("offline")).mute().run("00:50")
    paper.say(order(Start(at_ms=T0, rate_iu_kg_h=18.0), rate_change("00:49", 27.0), version=2))
    if back is not None:
        paper.run(back).mute(False).say(paper.presence())
        paper.run(spoken(paper.now_ms + 120_000))
    return says(paper, until="02:00")


def test_what_was_hidden_waits_until_the_pump_is_heard() -> None:
    """Its cause ended with an order, and of the pump nothing is known but that it is offline."""

    def about_flow(back: str | None) -> list[str]:
        return [line for line in over_and_offline(back) if "over-delivery" in line]

    assert about_flow(None) == []
    assert about_flow("01:10")[0] == "01:10:10 raised over-delivery high"

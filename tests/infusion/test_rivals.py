"""Timelines of two pumps under one name: which of them is followed, and what the account says."""

from typing import Any

import pytest
from msgspec.structs import replace

from infusion.account import window
from infusion.messages import PumpMessage, Telemetry
from infusion.monitor import Monitor
from infusion.state import PumpState
from infusion.units import nanolitres
from tests.infusion.bench import (
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    Paper,
    Stream,
    begin,
    clock,
    feed,
    told,
)


def clone(begins: str, ends: str, *, ahead: str = "00:00", **more: Any) -> Stream:
    """A second pump with this name and a higher boot number, half as fast; `ahead` is its clock."""
    values: dict[str, Any] = {"boot": 7, "flow_ml_h": 7.2, "state": {"rate_ml_h": 7.2}}
    other = Paper(now_ms=T0 + clock(begins), **(values | more))
    other.say(other.presence())
    other.run(ends).say(other.presence("offline"))
    # Between the messages of the other.
    late_ms, shift_ms = 4_000, 4_000 + clock(ahead)
    return [
        (at_ms + late_ms, replace(message, time_ms=message.time_ms + shift_ms))
        if isinstance(message, PumpMessage)
        else (at_ms + late_ms, message)
        for at_ms, message in other.stream
    ]


def together(*streams: Stream, until: str | None = None) -> tuple[PumpState, list[str], Monitor]:
    """What is known and said of one name under which all these speak."""
    stream = sorted((each for stream in streams for each in stream), key=lambda each: each[0])
    monitor, changes = feed(stream, until=until)
    return monitor.pumps[f"{SITE}/{PUMP}"], told(changes), monitor


def about(rule: str, lines: list[str]) -> list[str]:
    return [line for line in lines if line.split()[2] == rule and "updated" not in line]


def test_a_pump_is_followed_again_once_its_clone_is_silent() -> None:
    """Three minutes after the clone's last word: its rate is the rate, its alarm an alarm."""
    paper = begin(boot=3).run("00:35")
    paper.set(alarms=("standby-expired",)).run("01:00")
    state, lines, _ = together(paper.stream, clone("00:10", "00:20"))
    assert state.edge is not None
    assert (state.edge.boot, state.edge.rate_ml_h) == (3, RATE_ML_H)
    assert about("standby-expired", lines)[0].startswith("00:35:00 raised")
    assert about("two-pumps-one-name", lines) == [
        "00:11:00 raised two-pumps-one-name high",
        # A quarter of an hour after the last message that was somebody else's.
        "00:38:00 cleared two-pumps-one-name high",
    ]


def test_what_the_clone_was_told_of_ends_with_it() -> None:
    """The clone ran at half the rate; the pump itself is as ordered, and is not offline."""
    state, lines, _ = together(begin(boot=3).run("01:30").stream, clone("00:10", "00:40"))
    open_rules = set(state.board.tracks)
    assert open_rules <= {"level-off-course"}
    assert about("no-telemetry", lines) == about("pump-offline", lines) == []


@pytest.mark.parametrize("ahead", ["00:00", "00:40"])
def test_no_volume_is_lost_or_doubled(ahead: str) -> None:
    """What the pump gave while nobody followed it is in its windows, and once."""
    paper = begin(boot=3).run("01:30")
    other = clone("00:10", "00:40", ahead=ahead)
    state, _, _ = together(paper.stream, other)
    alone, _, _ = together(paper.stream)
    clone_nl = max(
        nanolitres(message.volume_ml) for _, message in other if isinstance(message, Telemetry)
    )
    assert state.account.pumped_nl == alone.account.pumped_nl + clone_nl
    account, expected = state.account, alone.account
    assert account.edge is not None
    assert expected.edge is not None
    for length in ("00:15", "01:00"):
        ours, theirs = window(account, clock(length)), window(expected, clock(length))
        assert ours is not None
        assert theirs is not None
        hours = (ours.to_ms - ours.from_ms) / 3_600_000
        assert ours.pumped_nl == pytest.approx(RATE_ML_H * hours * 1e6, rel=1e-6)
        assert ours.to_ms == theirs.to_ms


def test_a_clone_that_speaks_again_must_wait() -> None:
    """The one that is followed goes on being followed; the other is told as one more stranger."""
    paper = begin(boot=3).run("01:30")
    first, second = clone("00:10", "00:20"), clone("00:40", "00:50", seq=600, volume_nl=2_000_000)
    state, lines, _ = together(paper.stream, first, second)
    assert state.edge is not None
    assert state.edge.boot == 3
    assert [line.split(" ", 1)[1] for line in about("two-pumps-one-name", lines)] == [
        "raised two-pumps-one-name high",
        "cleared two-pumps-one-name high",
    ] * 2
    # Within three minutes of its first word the clone would have been followed.
    assert about("rate-not-as-ordered", lines)[-1] < "00:40"


def test_a_clone_is_followed_once_the_pump_is_silent() -> None:
    """Who is right nobody knows; a voice that is the only one is followed."""
    paper = begin(boot=3).run("00:40")
    first, second = clone("00:10", "00:20"), clone("00:41", "01:10", seq=600, volume_nl=2_000_000)
    state, lines, _ = together(paper.stream, first, second)
    assert state.edge is not None
    assert state.edge.boot == 7
    assert about("no-telemetry", lines) == []


def test_a_restart_is_followed_at_once() -> None:
    """False friend: one pump that restarts while something of its earlier life still arrives."""
    paper = begin(boot=3).run("00:20")
    kept = [each for each in paper.stream if each[0] > T0 + clock("00:16")]
    paper.stream = [each for each in paper.stream if each not in kept]
    paper.reboot(off="00:01").start().run("00:23").mute().run("00:27").mute(False).run("00:40")
    # Four minutes of messages come within forty seconds, while the pump is not heard.
    late = [(T0 + clock("00:24") + i * 2_000, message) for i, (_, message) in enumerate(kept)]
    state, lines, _ = together(paper.stream, late)
    assert state.edge is not None
    assert (state.edge.boot, state.rival_boot) == (4, None)
    assert lines == []

"""What the policy says of each pump, as the engine asks for it: when it begins and when it ends."""

import pytest
from msgspec.structs import replace

from infusion.account import Account
from infusion.board import Board
from infusion.handlings import Handlings
from infusion.messages import PumpMessage
from infusion.monitor import Monitor, MonitorSettings
from infusion.policy import Layer, Override, RuleChange, policy_of
from infusion.prescription import Start
from infusion.state import PumpState
from tests.infusion.bench import (
    ORDERED_IU_KG_H,
    PUMP,
    RATE_ML_H,
    SITE,
    T0,
    Stream,
    begin,
    clock,
    spoken,
)

YEAR_MS = 365 * clock("24:00")
OFF = RuleChange(enabled=False, reason="on a bench")


def tenfold(until: str) -> Stream:
    """A pump at ten times its rate from 00:05 on."""
    long_ago = Start(at_ms=T0 - 2 * YEAR_MS, rate_iu_kg_h=ORDERED_IU_KG_H)
    paper = begin(long_ago).run("00:05")
    return paper.set(10 * RATE_ML_H, rate_ml_h=10 * RATE_ML_H).run(until).stream


def raised(monitor: Monitor, until: str) -> list[tuple[str, str]]:
    """What is raised of such a pump, and when."""
    return raised_of(monitor, tenfold(until))


def raised_of(monitor: Monitor, stream: Stream) -> list[tuple[str, str]]:
    """What is raised of the rate, and when it was received."""
    found: list[tuple[str, str]] = []
    for at_ms, message in stream:
        changes = monitor.receive(message, SITE, at_ms)
        found += [
            (spoken(at_ms), each.alert.rule)
            for each in changes
            if each.change == "raised" and each.alert.rule == "rate-not-as-ordered"
        ]
    return found


def set_at(stream: Stream, at: str, by_ms: int) -> Stream:
    """The pump's clock is set by so much at a time."""
    return [
        (at_ms, replace(message, time_ms=message.time_ms + by_ms))
        if at_ms >= T0 + clock(at) and isinstance(message, PumpMessage)
        else (at_ms, message)
        for at_ms, message in stream
    ]


def monitor_with(*overrides: Override, **layers: Layer) -> Monitor:
    policy = policy_of(sites=layers, overrides=overrides)
    return Monitor(MonitorSettings(stall_ms=60_000), policy)


def override(until: str, site: str | None = None) -> Override:
    return Override(
        therapy="T-01",
        site=site,
        until_ms=T0 + clock(until),
        until=until,
        by="pharmacist-1",
        reason="tried out",
        layer=Layer(rules={"rate-not-as-ordered": OFF}),
    )


def test_without_a_policy_the_rule_speaks_at_once() -> None:
    """The default: half a minute after the rate was typed."""
    assert raised(monitor_with(), "00:10")[0][0] <= "00:06:00"


def test_an_override_ends_at_its_instant() -> None:
    """Nothing is raised before, and the pump is looked at when it ends."""
    assert raised(monitor_with(override("00:20")), "00:19:50") == []
    ((at, _),) = raised(monitor_with(override("00:20")), "00:40")
    assert "00:20:00" <= at <= "00:20:40"
    assert raised(monitor_with(override("00:20", site="elsewhere")), "00:10")


def test_a_site_has_its_own() -> None:
    """What is off at one site is on at another."""
    layer = Layer(rules={"rate-not-as-ordered": OFF})
    assert raised(monitor_with(home=layer), "00:40") == []
    assert raised(monitor_with(elsewhere=layer), "00:40")


def test_a_restart_goes_by_the_policy_at_once() -> None:
    """A pump that is taken back is held against its own numbers before it speaks again."""
    first = monitor_with(override("00:20"))
    assert raised(first, "00:10") == []
    second = monitor_with(override("00:20"))
    second.restore(first.clock, first.therapies.records)
    for state in first.pumps.values():
        second.restore_pump(state)
    assert "rate-not-as-ordered" not in second.handlings.last(f"{SITE}/P-01").rules
    assert second.therapies.ordered(f"{SITE}/P-01") is not None


HOUR_MS = clock("01:00")


@pytest.mark.parametrize("by_ms", [-HOUR_MS, HOUR_MS, -YEAR_MS, YEAR_MS])
@pytest.mark.parametrize("at", ["00:00", "00:10"])
def test_an_override_ends_when_people_said_whatever_the_pump_s_clock_says(
    by_ms: int, at: str
) -> None:
    """A clock that was always wrong, or is set while the override holds, by an hour or a year."""
    stream = set_at(tenfold("30:00"), at, by_ms)
    found = raised_of(monitor_with(override("02:00")), stream)
    first = found[0][0]
    if at == "00:00" and by_ms == -HOUR_MS:
        # Nobody knows whether it is wrong, or came late: it is judged by its own time.
        assert "03:00:00" <= first <= "03:01:00"
    elif at == "00:00" and by_ms == -YEAR_MS:
        assert "26:00:00" <= first <= "26:01:00"
    else:
        assert "02:00:00" <= first <= "02:01:10"


def test_an_override_that_has_ended_stays_so() -> None:
    """The host's clock, or the pump's that was ahead, is set back: it does not come alive again."""
    handlings = Handlings(policy_of(overrides=(override("02:00"),)))
    state = PumpState(SITE, PUMP, Board(SITE, PUMP), Account(), T0)

    def holds(therapy: str, at: str, received: str) -> bool:
        at_ms, received_ms = T0 + clock(at), T0 + clock(received)
        found = handlings.now("home/P-01", state, therapy, at_ms, received_ms)
        return "rate-not-as-ordered" not in found.rules

    assert holds("T-01", "01:59", "01:59")
    assert not holds("T-01", "02:00", "02:00")
    assert not holds("T-02", "02:01", "02:01")
    assert not holds("T-01", "01:30", "01:30")


def test_a_queue_is_judged_by_what_held_when_it_was_made() -> None:
    """Messages that come hours later, in a burst: the override held for them."""
    cut_ms = T0 + clock("00:04")
    stream = [
        (at_ms if at_ms < cut_ms else T0 + 6 * HOUR_MS, message)
        for at_ms, message in tenfold("01:59")
    ]
    assert raised_of(monitor_with(override("02:00")), stream) == []

"""Evidence out of messages: late, lost and repeated ones, restarts, bags, stays and visits."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.account import therapy
from infusion.clinical import Report
from infusion.messages import Message, PumpMessage, Telemetry
from infusion.monitor import Monitor, MonitorSettings
from infusion.prescription import Hold, Prescription, Start, Stop
from infusion.service.evidence import Evidence
from infusion.service.gather import Gathered, segments_of
from infusion.service.spans import Span, length_ms, union
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from tests.infusion.bench import PUMP, SITE, T0, begin, clock

THERAPY = "T-01"
MINUTE = MS_PER_MINUTE


def order(*steps: Start | Hold | Stop, version: int = 1) -> Prescription:
    return Prescription(
        therapy=THERAPY,
        version=version,
        pump=PUMP,
        weight_kg=80,
        concentration_iu_ml=100.0,
        steps=(Start(at_ms=T0, rate_iu_h=1_440.0), *steps),
    )


def gathered(messages: list[Message], *more: Message) -> Evidence:
    gather = Gathered()
    for message in (order(), *messages, *more):
        gather.take(message)
    found = gather.evidence(THERAPY)
    assert found is not None
    return found


def stream() -> list[Message]:
    """An hour: twenty minutes, a stop of ten, and the rest; 14.4 mL/h at 100 IU/mL."""
    bench = begin().run("00:20")
    bench.stop()
    bench.run("00:30")
    bench.start()
    bench.run("01:00")
    return [message for _, message in bench.stream]


def infused_ms(evidence: Evidence) -> int:
    return length_ms(union(each.span for each in evidence.segments))


def test_infused_time_and_dose_of_a_plain_hour() -> None:
    evidence = gathered(stream())
    assert evidence.start_ms == T0
    assert evidence.stop_ms is None
    assert infused_ms(evidence) == pytest.approx(50 * MINUTE, abs=MINUTE / 6)
    assert sum(each.dose_iu for each in evidence.segments) == pytest.approx(1_200, abs=5)
    assert [each.estimated for each in evidence.segments] == [False, False]
    assert evidence.unknown == ()
    assert evidence.segments[0].messages > 100


def test_the_dose_is_that_of_the_dose_account() -> None:
    messages = stream()
    monitor = Monitor(MonitorSettings())
    for message in (order(), *messages):
        at_ms = message.time_ms if isinstance(message, PumpMessage) else T0
        monitor.receive(message, SITE, at_ms)
    account = monitor.pumps[f"{SITE}/{PUMP}"].account
    whole = therapy(account)
    assert whole is not None
    volume_nl = sum(each.volume_nl for each in gathered(messages).segments)
    assert volume_nl == whole.pumped_nl


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(chance: random.Random) -> None:
    messages = stream()
    mixed = messages + chance.sample(messages, 20)
    chance.shuffle(mixed)
    assert gathered(mixed) == gathered(messages)


def test_lost_messages_lose_no_dose_and_are_marked() -> None:
    """Ten minutes are missing: the counter tells the volume, the rate tells how long it took."""
    whole = stream()
    gap = range(T0 + clock("00:15"), T0 + clock("00:25"))
    kept = [each for each in whole if isinstance(each, PumpMessage) and each.time_ms not in gap]
    evidence, full = gathered(list(kept)), gathered(whole)
    assert sum(each.volume_nl for each in evidence.segments) == sum(
        each.volume_nl for each in full.segments
    )
    assert infused_ms(evidence) == pytest.approx(infused_ms(full), rel=0.01)
    assert [each.estimated for each in evidence.segments] == [False, True, False]
    (unknown,) = evidence.unknown
    assert length_ms((unknown,)) == pytest.approx(10 * MINUTE, abs=MINUTE)


def test_a_restart_goes_on_from_zero() -> None:
    first = [each for each in stream() if isinstance(each, Telemetry)]
    again = [
        replace(each, boot=each.boot + 1, time_ms=each.time_ms + 2 * MS_PER_HOUR) for each in first
    ]
    evidence = gathered([*first, *again])
    one = gathered(list(first))
    volume_nl = sum(each.volume_nl for each in evidence.segments)
    assert volume_nl == pytest.approx(2 * sum(e.volume_nl for e in one.segments), rel=0.01)


def test_a_clock_that_is_set_back_loses_no_volume() -> None:
    """Twenty minutes back at half past: the hour is there, and its volume."""
    whole = [each for each in stream() if isinstance(each, Telemetry)]
    set_back = [
        replace(each, time_ms=each.time_ms - 20 * MINUTE)
        if each.time_ms >= T0 + clock("00:40")
        else each
        for each in whole
    ]
    volumes = [sum(s.volume_nl for s in gathered(list(m)).segments) for m in (whole, set_back)]
    assert volumes[0] == volumes[1]


def test_holds_stops_and_newer_orders() -> None:
    hold = Hold(at_ms=T0 + clock("00:20"), until_ms=T0 + clock("00:30"))
    stop = Stop(at_ms=T0 + clock("00:50"))
    evidence = gathered(stream(), order(hold, stop, version=3), order(version=2))
    assert evidence.holds == (Span(hold.at_ms, hold.until_ms),)
    assert evidence.stop_ms == stop.at_ms
    again = gathered(
        stream(), order(stop, Start(at_ms=T0 + clock("00:55"), rate_iu_h=1_440.0), version=3)
    )
    assert again.stop_ms is None


def report(minute: int, what: str, number: int, **more: Any) -> Report:
    known = Report(
        therapy=THERAPY, report=f"R-{number}", what=what, by="ada", time_ms=T0 + minute * MINUTE
    )
    return replace(known, **more)


def test_stays_visits_and_lots_come_from_reports() -> None:
    evidence = gathered(
        stream(),
        report(10, "admitted to hospital", 1),
        report(20, "in hospital", 2),
        report(30, "discharged", 3),
        report(50, "hospital", 4),
        report(5, "nurse visit", 5, lasted_min=150.0),
        report(1, "bag hung", 6, lot="LOT-7"),
    )
    assert evidence.hospital == (
        Span(T0 + 10 * MINUTE, T0 + 30 * MINUTE),
        Span(T0 + 50 * MINUTE, evidence.until_ms),
    )
    (visit,) = evidence.visits
    assert (visit.lasted_min, visit.by, visit.source) == (150.0, "ada", "report R-5")
    assert [bag.lot for bag in evidence.bags] == ["LOT-7"]


def test_a_therapy_that_is_not_wanted_is_passed_over() -> None:
    gather = Gathered(frozenset({"T-99"}))
    for message in (order(), *stream()):
        gather.take(message)
    assert gather.therapies() == []
    assert gather.evidence("T-99") is None


def test_before_its_start_there_is_no_therapy() -> None:
    gather = Gathered()
    gather.take(order())
    assert gather.evidence(THERAPY, T0) is None
    found = gather.evidence(THERAPY, T0 + clock("01:00"))
    assert found is not None
    assert found.unknown == (Span(T0, T0 + clock("01:00")),)


def test_a_pump_that_says_it_delivers_and_moves_nothing_gives_nothing() -> None:
    """An empty bag, for a quarter of an hour at the end."""
    bench = begin().run("00:20")
    bench.stop()
    bench.run("00:30")
    bench.start(0.0)
    bench.run("00:45")
    evidence = gathered([message for _, message in bench.stream])
    (segment,) = evidence.segments
    assert segment.span.to_ms == T0 + clock("00:20")


def test_no_readings_no_segments() -> None:
    assert segments_of(PUMP, [], 999.0) == []

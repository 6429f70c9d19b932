"""Connections, counters, clocks and identities. Every size and time is ours [A]."""

from typing import Any

from dripwatch.trial.hazard import Bed, Planted, at, lasting
from infusion.units import MS_PER_MINUTE
from simulator.story import faults as fault
from simulator.story import wire_faults as wire
from simulator.story.reading import Offset


def offline(bed: Bed) -> Planted:
    """The connection is gone; the pump keeps what it has to say."""
    return lasting(fault.Offline, bed)


def silence(bed: Bed) -> Planted:
    """The pump stays connected and says nothing, and nothing of it comes later."""
    return lasting(fault.Silence, bed, backfill=False)


def counter_frozen(bed: Bed) -> Planted:
    """The counter stands still while the pump delivers."""
    return lasting(fault.CounterFrozen, bed)


def counter_jump(bed: Bed) -> Planted:
    """The counter leaps ahead by more than a pump can pump in the time."""
    return _once(bed, fault.CounterJump, volume_ml=round(bed.uniform(5.0, 60.0), 1))


def counter_backwards(bed: Bed) -> Planted:
    """The counter drops, and nobody cleared it."""
    return _once(bed, fault.CounterBackwards, volume_ml=round(bed.uniform(0.5, 3.0), 1))


def clock_step(bed: Bed) -> Planted:
    """The pump's clock leaps, ahead or back, by ten minutes to two hours."""
    seconds = round(bed.uniform(600.0, 7200.0)) * bed.one_of(-1, 1)
    return _once(bed, fault.ClockStep, by_s=seconds)


def _once(bed: Bed, kind: type, **keys: Any) -> Planted:
    return Planted(
        onset_ms=bed.at_ms, until_ms=bed.until_ms, faults=(at(kind, bed, bed.at_ms, **keys),)
    )


def clone(bed: Bed) -> Planted:
    """A second pump has the same name, and a boot, counters and a rate of its own."""
    rate = round(bed.rate_ml_h * bed.uniform(0.3, 1.8), 1)
    swap_s = round(bed.uniform(30.0, 120.0))
    return lasting(wire.Clone, bed, boot=int(bed.uniform(3, 40)), rate_ml_h=rate, swap_s=swap_s)


def replay(bed: Bed) -> Planted:
    """What was said an hour ago comes again, from a backup or from a stranger."""
    since_ms = bed.at_ms - round(bed.uniform(60.0, 90.0)) * MS_PER_MINUTE
    upto_ms = since_ms + round(bed.uniform(10.0, 30.0)) * MS_PER_MINUTE
    return lasting(
        wire.Replayed,
        bed,
        since=Offset(since_ms),
        upto=Offset(upto_ms),
        rate_s=bed.uniform(1.0, 20.0),
        by="pump" if bed.chance.random() < 0.5 else "stranger",
    )


def wrong_topic(bed: Bed) -> Planted:
    """A gateway puts what this pump says on another pump's topic."""
    planted = lasting(wire.WrongTopic, bed, as_pump=bed.partner)
    return Planted(
        onset_ms=planted.onset_ms,
        until_ms=planted.until_ms,
        faults=planted.faults,
        partner=bed.partner,
    )


def malformed(bed: Bed) -> Planted:
    """A share of what the pump says is damaged on its way."""
    return lasting(wire.Malformed, bed, share=bed.uniform(0.3, 1.0))


def other_contract(bed: Bed) -> Planted:
    """After an update the pump speaks a version that nobody here knows."""
    return lasting(wire.WrongContract, bed, contract="2")

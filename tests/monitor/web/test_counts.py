"""Counts over all pumps: the same as going over all of them, at a cost that does not grow with them."""

import random

import pytest

from monitor.web.counts import AGAIN, NOTHING, Counts, WardCounts, counts_of
from monitor.web.rows import is_silent
from tests.monitor.web.scripted import ScriptedWard, fleet, night, storm


def anew(ward: ScriptedWard) -> tuple[Counts, set[str]]:
    """What going over all pumps gives."""
    total = Counts(list(NOTHING))
    for state in ward.monitor.pumps.values():
        total.add(counts_of(state), 1)
    return total, {key for key, state in ward.monitor.pumps.items() if is_silent(state.board)}


@pytest.mark.parametrize("seed", range(4))
async def test_they_are_those_of_all_pumps(seed: int) -> None:
    """Whatever happens, and however often somebody asks."""
    chance = random.Random(seed)
    ward = ScriptedWard()
    if chance.random() < 0.5:
        night(ward)
        counts = WardCounts(ward)
    else:
        counts = WardCounts(ward)
        night(ward)
    for _ in range(30):
        paper = chance.choice(list(ward.papers.values()))
        match chance.randrange(5):
            case 0:
                paper.mute(chance.random() < 0.5)
            case 1:
                paper.program(chance.choice((7.0, 14.4, 21.6)))
            case 2:
                paper.stop("occlusion", alarms=("downstream-occlusion",))
            case _:
                ward.advance(chance.choice((5, 60, 900)))
        if chance.random() < 0.5:
            await counts.look()
            assert (counts.total, counts.silent) == anew(ward), seed


async def test_only_what_changed_is_looked_at() -> None:
    """And a few of the others, so that time alone is noticed too."""
    ward = ScriptedWard()
    fleet(ward, AGAIN + 500)
    storm(ward)
    counts = WardCounts(ward)
    await counts.look()
    looked = counts.looked
    assert looked >= AGAIN + 500
    await counts.look()
    assert counts.looked - looked <= AGAIN
    assert (counts.total, counts.silent) == anew(ward)
    assert counts.total.open[0] > 0

"""Orders that two people make: the life of a proposal, what it says it changes, how it is kept."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from msgspec.structs import replace

from infusion.errors import MessageError, StoreError
from infusion.handling import Hours
from infusion.prescription import Bolus, Hold, Prescription, RateChange, Start, Step, Stop
from monitor.drug_library import read_library
from monitor.order_changes import PumpLimits, differences, local_time
from monitor.proposal_store import ProposalStore
from monitor.proposals import (
    LIFE_MS,
    Proposal,
    deny_confirm,
    deny_reject,
    propose,
    settle,
    stepped,
)
from monitor.zones import offsets
from tests.infusion.bench import T0, order

MINUTE, HOUR = 60_000, 3_600_000
NOW = T0 + HOUR
KNOWN = PumpLimits(is_known=True, rate_max_ml_h=500.0)


def proposed(**more: Any) -> Proposal:
    """Ann proposes another rate."""
    values: dict[str, Any] = {
        "id": "order-1",
        "site": "home",
        "therapy": "T-01",
        "by": "ann",
        "at_ms": NOW,
        "until_ms": NOW + LIFE_MS,
        "against": 1,
        "prescription": order(Start(at_ms=T0, rate_iu_kg_h=20.0), version=2),
        "changes": ("another rate",),
        "state": "proposed",
    }
    return propose(Proposal(**(values | more)), "nurse")


# --- the life of a proposal ----------------------------------------------------------------------


def test_another_person_may_confirm_it_against_the_order_it_was_held_against() -> None:
    proposal = proposed()
    assert deny_confirm(proposal, "ben", order()) is None
    for name in ("ann", "Ann", "ANN"):
        denial = deny_confirm(proposal, name, order())
        assert denial is not None
        assert denial.slug == "same-person"
    for in_force, says in ((order(version=2), "version 2 is in force"), (None, "version 0")):
        denial = deny_confirm(proposal, "ben", in_force)
        assert denial is not None
        assert denial.slug == "order-changed"
        assert says in denial.detail
    assert deny_confirm(proposed(against=0), "ben", None) is None


@pytest.mark.parametrize("what", ["confirmed", "rejected", "expired"])
def test_what_is_closed_stays_closed(what: Any) -> None:
    closed = stepped(proposed(), what, "ben", NOW)
    assert settle(closed, order(), NOW + 10 * LIFE_MS) is closed
    for denial in (deny_confirm(closed, "cem", order()), deny_reject(closed)):
        assert denial is not None
        assert denial.slug == "proposal-closed"


def test_time_closes_it_at_its_own_instant() -> None:
    proposal = proposed()
    assert settle(proposal, order(), NOW + LIFE_MS - 1) is proposal
    expired = settle(proposal, order(), NOW + 3 * LIFE_MS)
    assert (expired.state, expired.steps[-1].at_ms) == ("expired", NOW + LIFE_MS)


def test_the_order_in_force_tells_what_a_monitor_that_ended_could_not() -> None:
    """Who confirmed is written down before the order is told."""
    confirming = stepped(proposed(), "confirming", "ben", NOW, role="pharmacist")
    assert confirming.state == "proposed"
    assert settle(confirming, order(), NOW) is confirming
    done = settle(confirming, confirming.prescription, NOW + 2 * LIFE_MS)
    assert (done.state, done.steps[-1].by, done.steps[-1].role) == (
        "confirmed",
        "ben",
        "pharmacist",
    )


# --- what it changes -----------------------------------------------------------------------------

BASE = order(Start(at_ms=T0, rate_iu_kg_h=18.0))


def told(*steps: Step, old: Prescription | None = BASE, **fields: Any) -> list[str]:
    """What a new order changes an hour after the old one began; warnings begin with an exclamation
    mark."""
    new = order(*(steps or BASE.steps), version=2)
    found = differences(old, replace(new, **fields), NOW, pump=KNOWN, library=read_library())
    return [*found.changes, *(f"! {text}" for text in found.warnings)]


def test_times_are_those_of_the_place() -> None:
    """In Berlin's summer and winter, and half an hour off; each says how far it is from UTC."""
    summer, winter = T0, T0 + 100 * 24 * 60 * MINUTE
    berlin = Hours(offsets=offsets("Europe/Berlin"))
    assert local_time(summer, berlin.offset_min(summer)).endswith(" UTC+02:00")
    assert local_time(winter, berlin.offset_min(winter)).endswith(" UTC+01:00")
    assert local_time(0, 0) == "1970-01-01 00:00 UTC"
    assert local_time(0, -210) == "1969-12-31 20:30 UTC-03:30"
    new = order(*BASE.steps, RateChange(at_ms=at(1), rate_iu_kg_h=20.0), version=2)
    found = differences(BASE, new, NOW, pump=KNOWN, local=berlin)
    assert local_time(at(1), 120) in found.changes[0]


def at(minutes: int) -> int:
    return NOW + minutes * MINUTE


def test_the_same_order_changes_nothing() -> None:
    assert told() == []


def test_a_rate_is_told_in_three_units() -> None:
    assert told(*BASE.steps, RateChange(at_ms=at(10), rate_iu_kg_h=20.0)) == snapshot(
        [
            "The rate from 2026-09-21 15:23 UTC: 20 IU/kg/h (1600 IU/h, 16 mL/h) instead of 18 IU/kg/h (1440 IU/h, 14.4 mL/h), 1.11 times as much."
        ]
    )
    assert told(*BASE.steps, RateChange(at_ms=at(10), rate_iu_h=1600.0)) == snapshot(
        [
            "The rate from 2026-09-21 15:23 UTC: 20 IU/kg/h (1600 IU/h, 16 mL/h) instead of 18 IU/kg/h (1440 IU/h, 14.4 mL/h), 1.11 times as much."
        ]
    )


def test_a_slip_of_the_decimal_point_is_a_warning() -> None:
    assert told(*BASE.steps, RateChange(at_ms=at(10), rate_iu_kg_h=180.0)) == snapshot(
        [
            "The rate from 2026-09-21 15:23 UTC: 180 IU/kg/h (14400 IU/h, 144 mL/h) instead of 18 IU/kg/h (1440 IU/h, 14.4 mL/h), 10 times as much.",
            "! The rate from 2026-09-21 15:23 UTC is 10 times the one in force: look at decimal point and unit.",
            "! Drug library: dose rate 180 IU/kg/h is above the hard limit 35.",
            "! Drug library: dose rate 14400 IU/h is above the hard limit 4000.",
        ]
    )
    assert told(*BASE.steps, RateChange(at_ms=at(10), rate_iu_kg_h=1.8)) == snapshot(
        [
            "The rate from 2026-09-21 15:23 UTC: 1.8 IU/kg/h (144 IU/h, 1.44 mL/h) instead of 18 IU/kg/h (1440 IU/h, 14.4 mL/h), 0.1 times as much.",
            "! The rate from 2026-09-21 15:23 UTC is 0.1 times the one in force: look at decimal point and unit.",
            "! Drug library: dose rate 1.8 IU/kg/h is below the soft limit 4.",
        ]
    )


def test_a_weight_changes_the_rate_and_the_past() -> None:
    assert told(weight_kg=100.0) == snapshot(
        [
            "The weight is 100 kg instead of 80 kg.",
            "The rate now: 18 IU/kg/h (1800 IU/h, 18 mL/h) instead of 18 IU/kg/h (1440 IU/h, 14.4 mL/h), 1.25 times as much.",
            "The past is another one: until now 1800 IU would have been due instead of 1440 IU. When the weight changes, give past steps in IU/h.",
            "! The past is another one: until now 1800 IU would have been due instead of 1440 IU. When the weight changes, give past steps in IU/h.",
        ]
    )


def test_a_concentration_changes_what_the_pump_is_set_to() -> None:
    assert told(concentration_iu_ml=50.0) == snapshot(
        [
            "The bag has 50 IU/mL instead of 100 IU/mL.",
            "The rate now: 18 IU/kg/h (1440 IU/h, 28.8 mL/h) instead of 18 IU/kg/h (1440 IU/h, 14.4 mL/h).",
        ]
    )
    assert told(concentration_iu_ml=77.0)[-1] == snapshot(
        "! Drug library: concentration 77 is not of 40, 50, 100."
    )


def test_holds_and_boluses_are_told_apart_from_the_rate() -> None:
    hold = Hold(at_ms=at(10), until_ms=at(70))
    bolus = Bolus(at_ms=at(5), dose_iu=5_000.0, duration_s=600.0)
    assert told(*BASE.steps, hold, bolus) == snapshot(
        [
            "A hold from 2026-09-21 15:23 UTC to 2026-09-21 16:23 UTC, 1 h long.",
            "A bolus of 5000 IU (62.5 IU/kg, 50 mL) over 10 min at 2026-09-21 15:18 UTC.",
        ]
    )
    old = replace(BASE, steps=(*BASE.steps, hold, bolus))
    assert told(old=old) == snapshot(
        [
            "The hold from 2026-09-21 15:23 UTC to 2026-09-21 16:23 UTC is left out.",
            "The bolus of 5000 IU at 2026-09-21 15:18 UTC is left out.",
        ]
    )


def test_a_stop_and_what_comes_after_it() -> None:
    assert told(*BASE.steps, Stop(at_ms=at(10)), Start(at_ms=at(100), rate_iu_kg_h=18.0)) == (
        snapshot(
            [
                "The rate from 2026-09-21 15:23 UTC: no rate instead of 18 IU/kg/h (1440 IU/h, 14.4 mL/h).",
                "The rate from 2026-09-21 16:53 UTC: 18 IU/kg/h (1440 IU/h, 14.4 mL/h), as ordered before.",
            ]
        )
    )


def test_a_first_order_is_told_whole() -> None:
    assert told(Start(at_ms=at(5), rate_iu_kg_h=18.0), old=None) == snapshot(
        [
            "There is no order for T-01 yet.",
            "The rate now: no rate.",
            "The rate from 2026-09-21 15:18 UTC: 18 IU/kg/h (1440 IU/h, 14.4 mL/h).",
        ]
    )
    assert told(old=None) == snapshot(
        [
            "There is no order for T-01 yet.",
            "The rate now: 18 IU/kg/h (1440 IU/h, 14.4 mL/h).",
            "It begins in the past: until now 1440 IU would have been due.",
        ]
    )


def test_another_pump_and_one_that_cannot_give_it() -> None:
    slow = PumpLimits(is_known=False, rate_max_ml_h=10.0)
    found = differences(BASE, replace(BASE, version=2, pump="P-09"), NOW, pump=slow)
    assert found.changes == ("The pump is P-09 instead of P-01.",)
    assert found.warnings[0] == "No pump P-09 has been heard of at this site."
    faster = order(*BASE.steps, RateChange(at_ms=at(10), rate_iu_kg_h=20.0), version=2)
    found = differences(BASE, faster, NOW, pump=PumpLimits(is_known=True, rate_max_ml_h=10.0))
    assert found.warnings == ("16 mL/h is more than pump P-01 can give, 10 mL/h.",)


def test_steps_written_in_another_way_are_a_change_without_a_dose() -> None:
    assert told(Start(at_ms=T0, rate_iu_h=1_440.0)) == [
        "The steps are written in another way; the dose is the same."
    ]


def test_steps_that_make_no_sense_are_refused() -> None:
    with pytest.raises(MessageError, match="step 1: comes before any start"):
        told(Stop(at_ms=T0))


# --- the store -----------------------------------------------------------------------------------


async def test_a_proposal_is_moved_on_by_compare_and_set(tmp_path: Path) -> None:
    file = tmp_path / "monitor.sqlite"
    first = proposed()
    async with ProposalStore(file) as store, ProposalStore(file) as other:
        await store.add(first)
        confirmed = stepped(first, "confirmed", "ben", NOW)
        rejected = stepped(first, "rejected", "cem", NOW)
        assert await store.move(first, confirmed)
        assert not await other.move(first, rejected), "ben was first"
        assert await other.get("order-1") == confirmed
        assert await store.get("order-2") is None
        with pytest.raises(StoreError, match="UNIQUE"):
            await store.add(first)
    rows = sqlite3.connect(file).execute("SELECT count(*) FROM proposal_step").fetchall()
    assert rows == [(2,)]
    async with ProposalStore(file) as again:
        assert await again.get("order-1") == confirmed


async def test_proposals_are_listed_newest_first_and_by_state() -> None:
    async with ProposalStore(None) as store:
        for number in range(5):
            await store.add(proposed(id=f"order-{number}", site="ab"[number % 2]))
        third = await store.get("order-3")
        assert third is not None
        await store.move(third, stepped(third, "rejected", "ben", NOW))
        every = await store.newest()
        assert [each.proposal.id for each in every] == [f"order-{n}" for n in (4, 3, 2, 1, 0)]
        rest = await store.newest(before=every[1].number, limit=2)
        assert [each.proposal.id for each in rest] == ["order-2", "order-1"]
        rejected = await store.newest(state="rejected", site="b")
        assert [each.proposal.id for each in rejected] == ["order-3"]
        of_b = await store.of_therapy("b", "T-01", state="proposed")
        assert [each.proposal.id for each in of_b] == ["order-1"]


async def test_closed_ones_make_room_and_waiting_ones_never() -> None:
    async with ProposalStore(None, closed_max=2) as store:
        await store.add(proposed(id="waits"))
        for number in range(5):
            closed = proposed(id=f"order-{number}")
            await store.add(closed)
            await store.move(closed, stepped(closed, "rejected", "ben", NOW))
        await store.add(proposed(id="last"))
        kept = [each.proposal.id for each in await store.newest()]
        assert kept == ["last", "order-4", "order-3", "waits"]


async def test_a_store_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        async with ProposalStore(tmp_path / "nowhere" / "monitor.sqlite"):
            pass

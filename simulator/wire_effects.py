"""What each fault of single messages does to one message; `EFFECTS` at the end looks it up.

An effect takes a message with the time at which it will come out, and gives what becomes of it:
nothing, itself, or several. It counts what it did in the record of its fault.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from infusion.messages import Kind
from infusion.units import MS_PER_SECOND
from simulator.story import wire_faults as do
from simulator.stream import Outgoing

# A number that no pump can mean, but that is still a number of JSON.
HUGE = 1e300
WAYS = ("truncated", "wrong-type", "huge-number", "missing-field")


class WireRecord(Struct, kw_only=True):
    """The truth of one fault of the wire on one pump; times in ms of the fleet's clock.

    Of the pump's messages, `lost` never came out, `late` came later than they were said, `changed`
    came out otherwise than they were said, and `added` came out though nobody had said them
    (again). `forgotten` is what was to be said again but was more than is kept. `cuts` counts how
    often the broker saw the connection end. `end_ms` is None while the fault is in force.
    """

    fault: str
    pump: str
    onset_ms: int
    end_ms: int | None = None
    lost: int = 0
    late: int = 0
    changed: int = 0
    added: int = 0
    forgotten: int = 0
    cuts: int = 0

    @property
    def touched(self) -> int:
        """Messages that did not come out as they were said, or came out though nobody said them."""
        return self.lost + self.late + self.changed + self.added


class ActiveFault:
    """One fault that is in force on one pump, with its chance and its record."""

    __slots__ = ("chance", "fault", "record")

    def __init__(
        self, fault: do.WireFault, record: WireRecord, chance: np.random.Generator
    ) -> None:
        self.fault = fault
        self.record = record
        self.chance = chance

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.record.end_ms is not None


class Item(Struct, frozen=True):
    """A message on its way. What `overtakes` keeps no order: neither before nor behind it."""

    output: Outgoing
    at_ms: int
    overtakes: bool = False


Effect = Callable[[Any, ActiveFault, Item], list[Item]]


def affect(force: ActiveFault, item: Item) -> list[Item]:
    """Let one fault act on one message, if it touches this one."""
    fault = force.fault
    assert isinstance(fault, do.MessageFault), "only these act on single messages"
    if item.output.kind.value not in fault.of or force.chance.random() >= fault.share:
        return [item]
    return EFFECTS[type(fault)](fault, force, item)


def _drop(_: do.Drop, force: ActiveFault, item: Item) -> list[Item]:
    force.record.lost += 1
    return []


def _delay(fault: do.Delay, force: ActiveFault, item: Item) -> list[Item]:
    force.record.late += 1
    delay_s = fault.delay_s + fault.spread_s * float(force.chance.random())
    at_ms = item.at_ms + round(delay_s * MS_PER_SECOND)
    return [Item(item.output, at_ms, item.overtakes)]


def _duplicate(fault: do.Duplicate, force: ActiveFault, item: Item) -> list[Item]:
    force.record.added += fault.times
    after_ms = round(fault.after_s * MS_PER_SECOND)
    copy = Item(item.output, item.at_ms + after_ms, item.overtakes or after_ms > 0)
    return [item, *[copy] * fault.times]


def _reorder(fault: do.Reorder, force: ActiveFault, item: Item) -> list[Item]:
    force.record.late += 1
    within_ms = round(fault.within_s * MS_PER_SECOND)
    at_ms = item.at_ms + 1 + int(within_ms * float(force.chance.random()))
    return [Item(item.output, at_ms, overtakes=True)]


def _say_on_wrong_topic(fault: do.WrongTopic, force: ActiveFault, item: Item) -> list[Item]:
    force.record.changed += 1
    prefix, version, site, pump, kind = item.output.topic.split("/")
    pump, kind = fault.as_pump or pump, fault.as_kind or kind
    return [_changed(item, topic=f"{prefix}/{version}/{site}/{pump}/{kind}")]


def _damage(fault: do.Malformed, force: ActiveFault, item: Item) -> list[Item]:
    force.record.changed += 1
    way: str = fault.how
    payload = item.output.payload
    position = int(force.chance.integers(1, max(2, len(payload))))
    if way == "any":
        way = WAYS[position % len(WAYS)]
    if way == "truncated":
        return [_changed(item, payload=payload[:position])]
    try:
        fields = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        # Another fault has damaged it already; it stays so.
        return [item]
    if way == "wrong-type":
        fields["rate_ml_h"] = "twelve"
    elif way == "huge-number":
        fields["volume_ml"] = HUGE
    else:
        fields.pop("time_ms", None)
    return [_changed(item, payload=msgspec.json.encode(fields))]


def _claim_contract(fault: do.WrongContract, force: ActiveFault, item: Item) -> list[Item]:
    force.record.changed += 1
    return [_changed(item, contract=fault.contract)]


def _changed(item: Item, **changes: object) -> Item:
    return Item(replace(item.output, **changes), item.at_ms, item.overtakes)


def at_time(output: Outgoing, now_ms: int) -> Outgoing:
    """The message as it comes out now; itself, if that is when it was said."""
    return output if output.time_ms == now_ms else replace(output, time_ms=now_ms)


def is_telling(kind: Kind) -> bool:
    """Whether a message is what a pump tells, and not its presence."""
    return kind is Kind.TELEMETRY or kind is Kind.EVENT


EFFECTS: dict[type[do.WireFault], Effect] = {
    do.Drop: _drop,
    do.Delay: _delay,
    do.Duplicate: _duplicate,
    do.Reorder: _reorder,
    do.WrongTopic: _say_on_wrong_topic,
    do.Malformed: _damage,
    do.WrongContract: _claim_contract,
}

"""A scenario spread over the pumps of a fleet: what is due when, and each version of each order.

Nothing here runs a pump; it turns what a file says into a list in order of time.
"""

import re

from msgspec import Struct

from infusion import prescription as rx
from infusion.errors import ConfigError, MessageError
from infusion.prescription import Prescription, Timeline, compile_timeline
from simulator.cohort import Assignment
from simulator.story.entries import ALL, Entry, Patient, Pumps
from simulator.story.orders import Order, OrderBolus, OrderHold, OrderRate, OrderStart
from simulator.story.scenario import Scenario


class OrderVersion(Struct, frozen=True):
    """One version of an order, as the EHR publishes it, compiled."""

    prescription: Prescription
    timeline: Timeline


class Announce(Struct, frozen=True):
    """The EHR publishes a new version of the order."""

    order: OrderVersion


class Follow(Struct, frozen=True):
    """Somebody programs the pump to an order; `is_end` for the end of a hold."""

    order: Order
    version: OrderVersion
    is_end: bool = False


class Begin(Struct, frozen=True):
    """A fault or an action begins, or happens."""

    entry: Entry


class End(Struct, frozen=True):
    """A fault is over."""

    entry: Entry


class BootDone(Struct, frozen=True):
    """The self-test is over; `resume` says whether the pump goes on with what it did.

    A pump that `fails` it does nothing more until it is switched off.
    """

    resume: bool
    fails: bool = False


class Clear(Struct, frozen=True):
    """Every fault of a kind that is in force ends; `where` takes only the occlusions there."""

    kind: type[Entry]
    where: str | None = None

    def fits(self, entry: Entry) -> bool:
        """Whether it is a fault of this kind, and there."""
        is_there = self.where is None or getattr(entry, "where", None) == self.where
        return isinstance(entry, self.kind) and is_there


class Visit(Struct, frozen=True):
    """Somebody comes because of an alarm; `steps` are what they do, at ms from the start."""

    alarm: str
    steps: tuple[tuple[int, Begin | Clear], ...]


Deed = Announce | Follow | Begin | End | BootDone | Clear | Visit


class Due(Struct, frozen=True, order=True):
    """A deed on one pump at a time; `number` keeps the order of the file at equal times."""

    at_ms: int
    number: int
    pump: int
    deed: Deed


def pump_number(name: str) -> int:
    """The number in a pump's name, from 1; names of any width name the same pump."""
    match = re.fullmatch(r"P-(\d+)", name)
    assert match is not None, "the scenario's reader has checked the names"
    return int(match[1])


def pump_indices(scenario: Scenario, names: Pumps, pumps: int) -> list[int]:
    """The indices from 0 that a scenario's `pump` means.

    Raises ConfigError for a pump that the fleet has not.
    """
    indices: list[int] = []
    for name in (names,) if isinstance(names, str) else names:
        if name == ALL:
            indices += range(pumps)
            continue
        index = pump_number(name) - 1
        if index >= pumps:
            raise ConfigError(
                f"{scenario.name}: key 'pump': there is no {name} in a fleet of {pumps}; "
                f"run it with at least {index + 1} pumps"
            )
        indices.append(index)
    return indices


def patients_of(scenario: Scenario, pumps: int) -> dict[int, Patient]:
    """The patients that a scenario describes, by index of the pump.

    Raises ConfigError for a pump that the fleet has not, or that has two patients.
    """
    found: dict[int, Patient] = {}
    for patient in scenario.patients:
        (index,) = pump_indices(scenario, patient.pump, pumps)
        if index in found:
            raise ConfigError(f"{scenario.name}: [[patient]]: {patient.pump} is described twice")
        found[index] = patient
    return found


def first_orders(assignments: tuple[Assignment, ...], start_ms: int) -> list[OrderVersion]:
    """Version 1 of every order: a continuous infusion from the start."""
    orders = []
    for assignment in assignments:
        begin = rx.Start(
            at_ms=start_ms,
            rate_iu_kg_h=assignment.dose_iu_kg_h,
            rate_iu_h=assignment.dose_iu_h,
        )
        prescription = Prescription(
            therapy=assignment.therapy,
            version=1,
            pump=assignment.pump,
            weight_kg=assignment.weight_kg,
            concentration_iu_ml=assignment.concentration_iu_ml,
            steps=(begin,),
        )
        orders.append(OrderVersion(prescription, compile_timeline(prescription)))
    return orders


def schedule(scenario: Scenario, orders: list[OrderVersion], start_ms: int) -> list[Due]:
    """Everything that a scenario does to a fleet, in order of time.

    `orders` are the first versions, one for each pump. Raises ConfigError for a pump that the
    fleet has not and for an order that makes no sense.
    """
    pumps = len(orders)
    deeds: list[tuple[int, int, Deed]] = []
    for entry in (*scenario.faults, *scenario.actions):
        until = getattr(entry, "until", None)
        for pump in pump_indices(scenario, entry.pump, pumps):
            deeds.append((entry.at.ms, pump, Begin(entry)))
            if until is not None:
                deeds.append((until.ms, pump, End(entry)))
    for entry in scenario.events:
        indices = pump_indices(scenario, entry.pump, pumps)
        deeds += [(entry.at.ms, pump, Begin(entry)) for pump in indices]
    latest = list(orders)
    for order in sorted(scenario.orders, key=lambda order: order.at):
        for pump in pump_indices(scenario, order.pump, pumps):
            latest[pump] = _next_version(scenario, latest[pump], order, start_ms)
            deeds += _order_deeds(order, latest[pump], pump)
    deeds.sort(key=lambda deed: deed[0])
    return [
        Due(start_ms + at_ms, number, pump, deed)
        for number, (at_ms, pump, deed) in enumerate(deeds)
    ]


def _order_deeds(order: Order, version: OrderVersion, pump: int) -> list[tuple[int, int, Deed]]:
    deeds: list[tuple[int, int, Deed]] = [(order.at.ms, pump, Announce(version))]
    delay_ms = order.applied_after_ms
    if delay_ms is None:
        return deeds
    applied_ms = order.at.ms + delay_ms
    if not isinstance(order, OrderHold):
        deeds.append((applied_ms, pump, Follow(order, version)))
    elif applied_ms < order.until.ms:
        deeds.append((applied_ms, pump, Follow(order, version)))
        deeds.append((order.until.ms, pump, Follow(order, version, is_end=True)))
    return deeds


def _next_version(
    scenario: Scenario, before: OrderVersion, order: Order, start_ms: int
) -> OrderVersion:
    try:
        return next_version(before, _step(order, start_ms))
    except MessageError as error:
        raise ConfigError(f"{scenario.name}: [[order]] at {order.at}: {error}") from None


def next_version(before: OrderVersion, *steps: rx.Step) -> OrderVersion:
    """The version after `before`: all its steps and these.

    Raises MessageError (kind `order`) where the steps make no sense.
    """
    old = before.prescription
    prescription = Prescription(
        therapy=old.therapy,
        version=old.version + 1,
        pump=old.pump,
        weight_kg=old.weight_kg,
        concentration_iu_ml=old.concentration_iu_ml,
        steps=(*old.steps, *steps),
    )
    return OrderVersion(prescription, compile_timeline(prescription))


def _step(order: Order, start_ms: int) -> rx.Step:
    at_ms = start_ms + order.at.ms
    if isinstance(order, OrderStart):
        return rx.Start(at_ms=at_ms, rate_iu_kg_h=order.dose_iu_kg_h, rate_iu_h=order.dose_iu_h)
    if isinstance(order, OrderRate):
        return rx.RateChange(
            at_ms=at_ms, rate_iu_kg_h=order.dose_iu_kg_h, rate_iu_h=order.dose_iu_h
        )
    if isinstance(order, OrderHold):
        return rx.Hold(at_ms=at_ms, until_ms=start_ms + order.until.ms)
    if isinstance(order, OrderBolus):
        return rx.Bolus(at_ms=at_ms, dose_iu=order.dose_iu, duration_s=order.duration_s)
    return rx.Stop(at_ms=at_ms)


def ordered_rate_iu_h(prescription: Prescription, now_ms: int) -> float:
    """The continuous rate that is ordered at an instant, holds left aside.

    It is what a pump is programmed to, also while it is paused for a hold.
    """
    rate = 0.0
    for step in sorted(prescription.steps, key=lambda step: step.at_ms):
        if step.at_ms > now_ms or not isinstance(step, rx.Start | rx.RateChange):
            continue
        if step.rate_iu_h is not None:
            rate = step.rate_iu_h
        elif step.rate_iu_kg_h is not None:
            rate = step.rate_iu_kg_h * prescription.weight_kg
    return rate

"""The newest message of a pump: whether it speaks of now, what is new in it, whose clock it is on.

A message that is newer than all before it but much older than the pump's clock is *back-fill*: it
goes into the account, and never raises or clears an alert. A message that is constantly that old
is live after all: the pump's clock was set back, or the way to it became slow. All that counts on
its clock is then moved along. A clock that is set forward is told from a silence by the numbers of
the messages: a pump that was silent for an hour has left out an hour's numbers, or the partition
clock has seen the hour go by.
"""

from msgspec.structs import replace

from infusion import alerts, excess, pressure
from infusion.account import RINGS, Account, Mark, begin_therapy
from infusion.allowed import Bolus
from infusion.counter import same_boot
from infusion.errors import MessageError
from infusion.level_grid import LevelWatch
from infusion.messages import Event, PumpMessage, Telemetry
from infusion.pacing import is_delivering
from infusion.state import Keypad, PumpState, Sign
from infusion.thresholds import SEEN_MS
from infusion.units import MS_PER_MINUTE, MS_PER_SECOND

# How old a message may be on the pump's clock and still be live.
LATE_MS_MAX = 2 * MS_PER_MINUTE
# After this long at a constant age, old messages are live: the pump's clock is simply another.
RELIVE_MS = 2 * MS_PER_MINUTE
RELIVE_DRIFT_MS = MS_PER_MINUTE // 2
# A clock was set forward when it leaps by more than this beyond what the numbers explain: by as
# much as a clock that is set back. It must lie well below the time until a pump is missed, or the
# leap would be taken for a silence.
LEAP_MS = LATE_MS_MAX
# A pump's pace is its interval to within this share, so over a long absence of the monitor the
# numbers explain the time only so well. [A]
PACE_SHARE = 0.1
# A bag was changed when the reservoir rises by more than a gauge errs. [A]
NEW_BAG_ML = 5.0
OCCLUSIONS_KEPT = 16
OVERRIDES_KEPT = 16
OCCLUSIONS = ("downstream-occlusion", "upstream-occlusion")
DEFAULT_INTERVAL_S = 10.0
# Messages are counted at instants so far apart, and so many of them are kept.
TALLY_MS = 15 * MS_PER_MINUTE
TALLIES_KEPT = 7
DETAIL_LENGTH_MAX = 200


def note(state: PumpState, kind: str, at_ms: int, detail: str = "") -> None:
    """Something odd was seen."""
    sign = state.signs.get(kind)
    if sign is None or at_ms - sign.last_ms >= SEEN_MS:
        sign = state.signs[kind] = Sign(first_ms=at_ms)
    sign.count += 1
    sign.last_ms = max(sign.last_ms, at_ms)
    sign.detail = detail


def note_refused(state: PumpState, error: MessageError, at_ms: int) -> None:
    """A message under a pump's name was refused: it was another pump's, or could not be read."""
    kind = "identity" if error.kind == "identity" else "malformed"
    note(state, kind, at_ms, str(error)[:DETAIL_LENGTH_MAX])


def is_live(state: PumpState, message: PumpMessage, pump_ms: int, clock_ms: int) -> bool:
    """Whether the newest message of a pump speaks of now, or is back-fill of a time gone by.

    `pump_ms` is the pump's clock and `clock_ms` the partition clock.
    """
    age_ms = pump_ms - message.time_ms
    if age_ms <= LATE_MS_MAX or state.edge is None:
        state.lag_clock_ms = None
        return True
    return is_steady(state, age_ms, clock_ms, RELIVE_MS)


def is_steady(state: PumpState, age_ms: int, clock_ms: int, for_ms: float) -> bool:
    """Whether messages have come at a constant age for so long, and none that is live since."""
    if state.lag_clock_ms is None or abs(age_ms - state.lag_ms) > RELIVE_DRIFT_MS:
        state.lag_clock_ms, state.lag_ms = clock_ms, age_ms
        return False
    return clock_ms - state.lag_clock_ms >= for_ms


def count_messages(state: PumpState, at_ms: int) -> None:
    """Note how many messages were counted up and accepted, every quarter of an hour."""
    tally = state.tally
    if state.edge is not None and (not tally or at_ms - tally[-1][0] >= TALLY_MS):
        tally.append((at_ms, state.edge_key, state.edge_accepted))
        del tally[:-TALLIES_KEPT]


def leaps(state: PumpState, message: PumpMessage, key: int, clock_ms: int) -> bool:
    """Whether the pump's clock was set forward between its newest message and this one."""
    edge = state.edge
    if edge is None or message.time_ms - edge.time_ms <= LEAP_MS:
        return False
    if not same_boot(key, state.edge_key):
        return False
    interval_s = state.presence.interval_s if state.presence is not None else DEFAULT_INTERVAL_S
    told_ms = round((key - state.edge_key) * interval_s * (1 + PACE_SHARE) * MS_PER_SECOND)
    passed_ms = max(told_ms, clock_ms - state.heard_clock_ms)
    return message.time_ms - edge.time_ms - passed_ms > LEAP_MS


def shift_times(account: Account, delta_ms: int, last_key: int) -> None:
    """Move the times of all samples up to `last_key`: the pump's clock was set by so much."""

    def moved(mark: Mark) -> Mark:
        return replace(mark, time_ms=mark.time_ms + delta_ms) if mark.key <= last_key else mark

    for run in account.runs:
        if run.last_key <= last_key:
            run.first_ms += delta_ms
            run.last_ms += delta_ms
    for (spacing_ms, _), ring in zip(RINGS, account.rings, strict=True):
        marks = sorted(map(moved, ring.values()), reverse=True)
        ring.clear()
        ring.update((mark.time_ms // spacing_ms, mark) for mark in marks)
    account.recent = [moved(mark) for mark in account.recent]
    if account.origin is not None:
        account.origin = moved(account.origin)
    if account.still is not None:
        account.still = moved(account.still)
    if account.fault is not None and account.fault.key <= last_key:
        account.fault = account.fault._replace(time_ms=account.fault.time_ms + delta_ms)


def set_clock(state: PumpState, time_ms: int, pump_ms: int, received_ms: int) -> None:
    """The pump's clock is another one from here on: move what counts on it.

    It was not set when its messages only take longer than before.
    """
    edge = state.edge
    is_set = edge is None or time_ms < edge.time_ms or time_ms > pump_ms + LEAP_MS
    delta_ms = time_ms - pump_ms if is_set else 0
    if edge is not None and delta_ms:
        words = f"set {'ahead' if delta_ms > 0 else 'back'} by {abs(delta_ms) / 60_000:.0f} min"
        note(state, "clock", pump_ms, words)
        # A clock that tells the time of everybody else again is right, whatever it was before.
        is_right = abs(time_ms - received_ms) <= LATE_MS_MAX
        before_ms = state.clock_shift_ms
        state.clock_shift_ms = 0 if is_right else before_ms + delta_ms
        _shift_boluses(state, state.clock_shift_ms - before_ms)
    shift_times(state.account, delta_ms, state.edge_key)
    move(state, delta_ms, time_ms)


def move(state: PumpState, delta_ms: int, time_ms: int) -> None:
    """Move what counts on the pump's clock, but for its account, by so much; it is `time_ms`."""
    alerts.shift(state.board, delta_ms)
    excess.shift(state.flow, delta_ms)
    pressure.shift(state.pressure, delta_ms)
    state.standing_ms += delta_ms
    state.presence_ms += delta_ms
    state.minute_ms += delta_ms
    state.due_ms = min(state.due_ms + delta_ms, time_ms)
    for sign in state.signs.values():
        sign.first_ms += delta_ms
        sign.last_ms += delta_ms
    _shift_keypad_and_supply(state, delta_ms)
    state.tally.clear()
    state.evaluated_ms = time_ms
    state.lag_clock_ms = None


def take(state: PumpState, message: PumpMessage, key: int, held_iu: float, clock_ms: int) -> bool:
    """Make a message the edge; whether anything but its numbers is new.

    The numbers are those that change by themselves: volumes, flow, pressure, charge.
    """
    edge = state.edge
    if message.therapy is not None and message.therapy != state.therapy:
        state.therapy = message.therapy
        begin_therapy(state.account)
        state.flow.has_begun = False
        state.level = LevelWatch()
    is_new = edge is None or type(edge) is not Telemetry or _differs(edge, message)
    if is_new:
        _note_changes(state, edge, message)
    if state.faster_ml_h and _is_behind(state, state.faster_until_ms):
        state.faster_ml_h = 0.0
    if edge is not None and edge.rate_ml_h > message.rate_ml_h:
        state.faster_ml_h = max(state.faster_ml_h, edge.rate_ml_h)
        state.faster_until_ms = message.time_ms
    if type(message) is Telemetry:
        _note_supply(state, edge, message)
        state.telemetry, state.event = message, None
    else:
        assert isinstance(message, Event), "a pump sends telemetry and events"
        state.event = message
    state.held_iu = held_iu
    newest = state.account.recent[-1]
    pumped_iu = newest.pumped_iu if newest.key == key else state.account.pumped_iu
    state.edge_iu = pumped_iu - held_iu
    state.edge_key = key
    state.heard_clock_ms = clock_ms
    return is_new


def _is_behind(state: PumpState, at_ms: int) -> bool:
    """Whether no stretch that a flow is still told from begins before an instant."""
    interval = state.interval
    is_told = interval is not None and interval.from_ms < at_ms
    return not is_told and at_ms <= state.account.recent[0].time_ms


def _differs(edge: Telemetry, message: PumpMessage) -> bool:
    return (
        type(message) is not Telemetry
        or edge.rate_ml_h != message.rate_ml_h
        or edge.delivery != message.delivery
        or edge.alarms != message.alarms
        or edge.concentration_iu_ml != message.concentration_iu_ml
        or edge.therapy != message.therapy
        or edge.order_version != message.order_version
        or edge.status != message.status
        or edge.reason != message.reason
        or edge.weight_kg != message.weight_kg
        or edge.power != message.power
        or edge.panel != message.panel
        or edge.boot != message.boot
    )


def _note_changes(state: PumpState, edge: PumpMessage | None, message: PumpMessage) -> None:
    """What began with this message: delivery, a rate, an alarm, something done at the keypad."""
    keypad, at_ms = state.keypad, message.time_ms
    delivers = is_delivering(message)
    if edge is None or is_delivering(edge) != delivers:
        state.standing_ms = at_ms
        # A flow begins and ends with delivery.
        excess.begin(state.flow, state.account)
    if edge is None or edge.rate_ml_h != message.rate_ml_h:
        keypad.rate_ms = at_ms
    if edge is not None and (
        edge.rate_ml_h != message.rate_ml_h
        or edge.concentration_iu_ml != message.concentration_iu_ml
    ):
        _note_dose(keypad, edge, message)
        # What the flow was before belongs to the rate before.
        excess.begin(state.flow, state.account)
    if delivers and (
        edge is None or edge.rate_ml_h != message.rate_ml_h or not is_delivering(edge)
    ):
        pressure.begin(state.pressure, at_ms, message.rate_ml_h)
    before = edge.alarms if edge is not None else ()
    for alarm in message.alarms:
        if alarm in OCCLUSIONS and alarm not in before:
            state.supply.occluded_ms.append(at_ms)
            del state.supply.occluded_ms[:-OCCLUSIONS_KEPT]
    if isinstance(message, Event):
        _note_event(state, message)


def _note_dose(keypad: Keypad, edge: PumpMessage, message: PumpMessage) -> None:
    """Another rate or strength than before; one that is as it was before nobody has changed.

    A bolus, a vein that is kept open, and a pump that shows no rate while it stands come back to
    what was checked, and need no new check.
    """
    checked_ms = keypad.checked_ms or 0
    is_checked = keypad.changed_ms is None or checked_ms >= keypad.changed_ms
    if is_checked and edge.rate_ml_h:
        keypad.settled = edge.rate_ml_h, edge.concentration_iu_ml
    is_as_before = (message.rate_ml_h, message.concentration_iu_ml) == keypad.settled
    keypad.changed_ms = None if is_as_before else message.time_ms


def _note_event(state: PumpState, event: Event) -> None:
    """What somebody did at the pump."""
    keypad = state.keypad
    if event.event == "DRIPWATCH_EVT_OVERRIDE":
        keypad.overridden_ms.append(event.time_ms)
        del keypad.overridden_ms[:-OVERRIDES_KEPT]
    elif event.event == "DRIPWATCH_EVT_DOUBLE_CHECK":
        keypad.checked_ms = event.time_ms
    elif event.event == "DRIPWATCH_EVT_NEW_BAG":
        # The next telemetry tells what is in it.
        state.supply.reservoir_ml = None


def _note_supply(state: PumpState, edge: PumpMessage | None, message: Telemetry) -> None:
    """Bags that are hung, and the mains that go."""
    supply = state.supply
    if supply.reservoir_ml is None or message.reservoir_ml > supply.reservoir_ml + NEW_BAG_ML:
        supply.bag_ms = message.time_ms
        supply.bag_ml = message.reservoir_ml
        supply.bag_pumped_nl = state.account.pumped_nl
    supply.reservoir_ml = message.reservoir_ml
    if message.power == "mains":
        supply.unplugged_ms = None
    elif supply.unplugged_ms is None:
        supply.unplugged_ms, supply.charge = message.time_ms, message.battery


def _shift_boluses(state: PumpState, delta_ms: int) -> None:
    """Boluses stand on the clock on which the order is read: a bolus that was given stays given."""

    def moved(bolus: Bolus) -> Bolus:
        return Bolus(bolus.begin_ms + delta_ms, bolus.end_ms + delta_ms, bolus.rate_iu_h)

    state.given = [(moved(bolus), at_ms + delta_ms) for bolus, at_ms in state.given]
    if state.giving is not None:
        state.giving = moved(state.giving)


def _shift_keypad_and_supply(state: PumpState, delta_ms: int) -> None:
    keypad, supply = state.keypad, state.supply
    keypad.rate_ms += delta_ms
    if keypad.changed_ms is not None:
        keypad.changed_ms += delta_ms
    if keypad.checked_ms is not None:
        keypad.checked_ms += delta_ms
    keypad.overridden_ms = [at_ms + delta_ms for at_ms in keypad.overridden_ms]
    if supply.bag_ms is not None:
        supply.bag_ms += delta_ms
    if supply.unplugged_ms is not None:
        supply.unplugged_ms += delta_ms
    supply.occluded_ms = [at_ms + delta_ms for at_ms in supply.occluded_ms]

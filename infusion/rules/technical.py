"""Silence, counters, clocks and identities: whether what a pump says can be believed at all."""

from infusion.account import Mark
from infusion.counter import same_boot
from infusion.messages import Evidence
from infusion.situation import Situation, Verdict
from infusion.state import PumpState, Sign
from infusion.thresholds import SEEN_MS, SILENT_MS, Thresholds
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, millilitres, round_rate

# Of messages with an old number and a new time so many are needed: one may be a clock's doing. [A]
STRANGERS_LEAST = 5
# Old messages that come again: a broker repeats some after a lost connection. [A]
REPLAYED_LEAST = 20
MALFORMED_LEAST = 3
# So many steps of a counter must be missing before it is called frozen. [A]
STEPS_LEAST = 2
# Of the messages of an hour this share is missed for good before it is told, and so many. [A]
MISSING_SHARE = 0.05
MISSING_LEAST = 10
# What is missing now may still be on its way: the newest quarter of an hour is left out.
TALLIES_LEAST = 6


def _seen(now: Situation, kind: str, least: int = 1) -> Sign | None:
    """A sign that was seen often enough, and lately by what the pump has told since."""
    sign = now.state.signs.get(kind)
    if sign is None or sign.count < least or now.heard_ms - sign.last_ms >= SEEN_MS:
        return None
    return sign


def no_telemetry(now: Situation) -> Verdict | None:
    """Nothing was heard of the pump; the silence counts as if its first level was just reached.

    M06 (heparin.md §6 [A]): 5 min low, 15 min medium, 60 min high; later for a pump that speaks
    seldom.
    """
    due_ms = now.heard_ms + now.state.silence_ms
    if now.at_ms < due_ms:
        return None
    evidence = Evidence(
        observed=round((now.at_ms - now.heard_ms) / MS_PER_MINUTE, 1),
        unit="min without a message",
        limit=f"{now.state.silence_ms / MS_PER_MINUTE:.0f} min",
        from_ms=now.heard_ms,
        to_ms=now.at_ms,
        detail="" if now.edge else "no message yet",
    )
    return Verdict(evidence, since_ms=due_ms - SILENT_MS)


def pump_offline(now: Situation) -> Verdict | None:
    """The broker lost the pump, or it took its leave, and it was not heard since (M06 [A])."""
    presence = now.state.presence
    if presence is None or presence.state == "online":
        return None
    if now.edge is not None and now.edge.time_ms > now.state.presence_ms:
        return None
    evidence = Evidence(detail=f"offline, boot {presence.boot}", from_ms=now.state.presence_ms)
    return Verdict(evidence, since_ms=now.state.presence_ms)


def stands_still(state: PumpState, limits: Thresholds) -> bool:
    """Whether the counter of a pump that delivers has stood for longer than strokes explain."""
    still = state.account.still
    if still is None or still.key >= state.edge_key or (edge := state.edge) is None:
        return False
    still_ms = edge.time_ms - _still_since_ms(state, still)
    # A counter that moves by more at once may stand for longer.
    step_ml = state.presence.volume_step_ml if state.presence is not None else 0.0
    least_ml = max(limits.frozen_volume_ml, STEPS_LEAST * step_ml)
    return edge.rate_ml_h * still_ms / MS_PER_HOUR > least_ml


def _still_since_ms(state: PumpState, still: Mark) -> int:
    """Since when the counter did not move: one that fell, jumped or was cleared did not stand."""
    fault, run = state.account.fault, state.account.runs[-1]
    moved_ms = fault.time_ms if fault is not None and fault.key > still.key else still.time_ms
    cleared_ms = run.first_ms if run.cleared else 0
    return max(moved_ms, cleared_ms, state.standing_ms, state.keypad.rate_ms)


def counter_frozen(now: Situation) -> Verdict | None:
    """The pump says that it delivers, and its counter stands still [A].

    rate × time since the last stroke, start or new rate > the larger of `frozen_volume_ml` and
    two steps of the counter.
    """
    edge, still = now.edge, now.state.account.still
    if edge is None or still is None or not now.delivering:
        return None
    if not stands_still(now.state, now.limits):
        return None
    since_ms = _still_since_ms(now.state, still)
    due_ml = edge.rate_ml_h * (edge.time_ms - since_ms) / MS_PER_HOUR
    evidence = Evidence(
        observed=0.0,
        expected=round_rate(due_ml),
        unit="mL",
        limit=f"{now.limits.frozen_volume_ml} mL",
        from_ms=since_ms,
        to_ms=edge.time_ms,
    )
    return Verdict(evidence, since_ms=since_ms)


def counter_fault(now: Situation) -> Verdict | None:
    """The counter ran backwards, or faster than the pump can pump [A].

    gain > 0.5 mL + highest rate × time (infusion/counter.py). A fault that lies ahead of what was
    heard is in back-fill, which raises nothing.
    """
    fault = now.state.account.fault
    if fault is None or not 0 <= now.heard_ms - fault.time_ms < SEEN_MS:
        return None
    what = {
        "backwards": "the counter ran backwards",
        "impossible": "the counter gained more than the pump can pump",
    }[fault.kind]
    evidence = Evidence(
        observed=millilitres(fault.volume_nl), unit="mL", to_ms=fault.time_ms, detail=what
    )
    return Verdict(evidence, since_ms=fault.time_ms)


def identity_mismatch(now: Situation) -> Verdict | None:
    """A message on this pump's topic spoke for another pump; it was refused (contract v1 [A])."""
    sign = _seen(now, "identity")
    if sign is None:
        return None
    return Verdict(Evidence(to_ms=sign.last_ms, detail=sign.detail))


def malformed_messages(now: Situation) -> Verdict | None:
    """Messages on this pump's topics could not be read, time and again [A]."""
    sign = _seen(now, "malformed", MALFORMED_LEAST)
    if sign is None:
        return None
    evidence = Evidence(
        observed=float(sign.count),
        unit="messages",
        from_ms=sign.first_ms,
        to_ms=sign.last_ms,
        detail=sign.detail,
    )
    return Verdict(evidence)


def two_pumps_one_name(now: Situation) -> Verdict | None:
    """Old numbers come with new times: two pumps speak under one name, and doses are mixed [A]."""
    sign = _seen(now, "stranger", STRANGERS_LEAST)
    if sign is None:
        return None
    evidence = Evidence(
        observed=float(sign.count),
        unit="messages",
        limit=f"{STRANGERS_LEAST}",
        from_ms=sign.first_ms,
        to_ms=sign.last_ms,
        detail=sign.detail,
    )
    return Verdict(evidence, since_ms=sign.first_ms)


def replayed_messages(now: Situation) -> Verdict | None:
    """Old messages come again by the dozen; they count once, but something repeats them [A]."""
    sign = _seen(now, "replayed", REPLAYED_LEAST)
    if sign is None:
        return None
    evidence = Evidence(
        observed=float(sign.count),
        unit="messages",
        limit=f"{REPLAYED_LEAST}",
        from_ms=sign.first_ms,
        to_ms=sign.last_ms,
    )
    return Verdict(evidence, since_ms=sign.first_ms)


def clock_step(now: Situation) -> Verdict | None:
    """The pump's clock was set while it ran: times on it are moved along, and people should know.

    What counts as set is in infusion/edge.py [A]. IPEC has an event for it
    (MDC_EVT_DEVICE_TIME_CHANGED); most pumps that lose their clock do not send it.
    """
    sign = _seen(now, "clock")
    if sign is None:
        return None
    return Verdict(Evidence(to_ms=sign.last_ms, detail=sign.detail))


def messages_missing(now: Situation) -> Verdict | None:
    """Of the messages of an hour some never came: the wire loses them, and what they said [A].

    missing = numbers counted up − messages accepted, at the end of that hour and now; at least a
    twentieth, and at least ten. Once it is told, half of that keeps it up [A]: a wire that loses a
    twentieth would have it come and go all day.
    """
    tally = now.state.tally
    if len(tally) < TALLIES_LEAST:
        return None
    (from_ms, from_key, before), (to_ms, to_key, after) = tally[-TALLIES_LEAST], tally[-2]
    if not same_boot(from_key, to_key):
        return None
    sent = to_key - from_key
    missing = sent - (after - before)
    least = max(MISSING_LEAST, MISSING_SHARE * sent)
    track = now.state.board.tracks.get("messages-missing")
    if track is not None and track.raised_ms is not None:
        least /= 2
    if missing < least:
        return None
    edge_key, accepted = now.state.edge_key, now.state.edge_accepted
    if same_boot(from_key, edge_key):
        # What came since then, late, is not missing.
        missing = min(missing, edge_key - from_key - (accepted - before))
    if missing < least:
        return None
    evidence = Evidence(
        observed=float(missing),
        expected=float(sent),
        unit="messages",
        limit=f"{MISSING_SHARE:.0%}",
        from_ms=from_ms,
        to_ms=to_ms,
    )
    return Verdict(evidence)


def unknown_pump(now: Situation) -> Verdict | None:
    """A pump that no order names is talking [A]."""
    if now.edge is None or now.ordered:
        return None
    return Verdict(Evidence(detail=f"no order names pump {now.state.pump}"))

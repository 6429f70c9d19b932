"""What the monitor is compared with, on the same streams: pumps alone, and fixed thresholds.

- `device`: what each pump alarms itself, as the central of its maker would show it.
- `gip`: the same, and the fixed thresholds that the Generic Infusion Pump requirements name, on
  what the order says: more than 10 % over or under it for 15 min, by the counter; a bag that ends
  within 30 min at the programmed rate; no message for 5 min; no delivery for 10 min.
- `previous`: the table of the release before this one, in a monitor of its own (run.py).
"""

from collections import deque

from msgspec import Struct, field

from dripwatch.trial.alerts import Ledger
from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.messages import Message, PumpMessage, Telemetry
from infusion.pacing import is_delivering
from infusion.policy import Layer, Policy, RuleChange, policy_of
from infusion.prescription import Prescription, Timeline, compile_timeline
from infusion.rules import RULES
from infusion.units import MS_PER_MINUTE

# GIP 1.2.2 and 1.2.3 [V2]; the other numbers are those of the alerts' own sources.
FLOW_SHARE, FLOW_MS = 0.10, 15 * MS_PER_MINUTE
BAG_MIN, SILENT_MS, STANDS_MS = 30.0, 5 * MS_PER_MINUTE, 10 * MS_PER_MINUTE

# The rows of the release before this one: minutes to each priority. Its pumps' own alarms are the
# same as today's.
LOW, MEDIUM, HIGH = Priority.LOW, Priority.MEDIUM, Priority.HIGH
PREVIOUS_ROWS: dict[str, dict[Priority, float]] = {
    "pump-offline": {LOW: 1.0, MEDIUM: 15.0, HIGH: 60.0},
    "no-telemetry": {LOW: 5.0, MEDIUM: 15.0, HIGH: 60.0},
    "counter-frozen": {MEDIUM: 2.0},
    "counter-fault": {MEDIUM: 1.0},
    "identity-mismatch": {MEDIUM: 0.0},
    "unknown-pump": {MEDIUM: 1.0},
    "unknown-therapy": {MEDIUM: 1.0},
    "wrong-concentration": {HIGH: 1.0 / 6.0},
    "rate-not-as-ordered": {MEDIUM: 0.5},
    "over-delivery": {HIGH: 15.0},
    "under-delivery": {MEDIUM: 15.0},
    "free-flow-seen": {HIGH: 1.0 / 3.0},
    "not-delivering": {MEDIUM: 10.0, HIGH: 30.0},
}


def previous_table() -> Policy:
    """A policy that leaves only the rows of the release before, with their levels.

    The rules themselves are today's: where one became more careful since, the old one was worse.
    """
    reason = "not in the release before"
    kept = {*PREVIOUS_ROWS, *DEVICE_ALARMS, "unknown-device-alarm"}
    rules = {key: RuleChange(enabled=False, reason=reason) for key in RULES if key not in kept} | {
        key: RuleChange(levels=levels, latches=False, reason=reason)
        for key, levels in PREVIOUS_ROWS.items()
    }
    return policy_of(Layer(rules=rules, latching=frozenset()))


class _Open:
    """The alerts of one system that are there now, told to a ledger as they come and go."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._ids: dict[tuple[str, str], str] = {}

    def set(self, pump: str, rule: str, priority: Priority, now_ms: int, *, is_on: bool) -> None:
        """Say whether a rule holds on a pump now."""
        key = (pump, rule)
        known = self._ids.get(key)
        if is_on and known is None:
            self._ids[key] = id_ = f"{pump}/{rule}/{now_ms}"
            self.ledger.note(id_, rule, pump, priority, now_ms)
        elif not is_on and known is not None:
            self.ledger.alerts[self._ids.pop(key)].cleared_ms = now_ms


class DeviceAlone:
    """The pumps' own alarms and nothing else."""

    def __init__(self, *more: Ledger) -> None:
        """`more` are the ledgers of those who hear the pumps' own alarms too."""
        self.ledger = Ledger()
        self._opens = [_Open(ledger) for ledger in (self.ledger, *more)]
        self._known: dict[str, _Newest] = {}

    def hear(self, message: Message, now_ms: int) -> None:
        """A message that arrived."""
        if not isinstance(message, PumpMessage):
            return
        pump, seq, alarms = message.pump, message.seq, message.alarms
        known = self._known.get(pump)
        if known is None:
            known = self._known[pump] = _Newest()
        # What was overtaken on its way, or comes again, says nothing of now.
        if message.boot != known.boot:
            if message.boot < known.boot:
                return
            known.boot = message.boot
        elif seq <= known.seq:
            return
        known.seq, before = seq, known.alarms
        if alarms == before:
            return
        known.alarms = alarms
        for key in {*before, *alarms}:
            if key in DEVICE_ALARMS:
                priority = DEVICE_ALARMS[key].priority
                for open_ in self._opens:
                    open_.set(pump, key, priority, now_ms, is_on=key in alarms)


class _Newest(Struct):
    """The newest message of a pump, and the alarms that it told."""

    boot: int = -1
    seq: int = -1
    alarms: tuple[str, ...] = ()


class _Followed(Struct):
    """What fixed thresholds keep of one pump."""

    heard_ms: int
    marks: deque[tuple[int, float]] = field(default_factory=deque)
    stands_ms: int | None = None
    is_silent: bool = False
    # Which of the thresholds it is beyond.
    stands: bool = False
    is_low: bool = False
    gives_more: bool = False
    gives_less: bool = False


class FixedThresholds:
    """The fixed thresholds of GIP; whoever hears the pumps' own alarms tells its ledger of them."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._open = _Open(self.ledger)
        self._orders: dict[str, tuple[Prescription, Timeline]] = {}
        self._pumps: dict[str, _Followed] = {}

    def hear(self, message: Message, now_ms: int) -> None:
        """A message that arrived."""
        if isinstance(message, Telemetry):
            self._follow(message, now_ms)
        elif isinstance(message, Prescription):
            known = self._orders.get(message.pump)
            if known is None or message.version > known[0].version:
                self._orders[message.pump] = (message, compile_timeline(message))

    def tick(self, now_ms: int) -> None:
        """Time passes: who has been silent for too long?"""
        for pump, followed in self._pumps.items():
            is_silent = now_ms - followed.heard_ms >= SILENT_MS
            if is_silent != followed.is_silent:
                followed.is_silent = is_silent
                self._open.set(pump, "no-telemetry", Priority.MEDIUM, now_ms, is_on=is_silent)

    def _follow(self, message: Telemetry, now_ms: int) -> None:
        pump = message.pump
        followed = self._pumps.get(pump)
        if followed is None:
            followed = self._pumps[pump] = _Followed(now_ms)
        followed.heard_ms = now_ms
        order = self._orders.get(pump)
        if order is None:
            return
        delivers = is_delivering(message)
        stands_ms = followed.stands_ms
        if delivers or order[1].base_rate_iu_h(now_ms) <= 0:
            stands_ms = None
        elif stands_ms is None:
            stands_ms = now_ms
        followed.stands_ms = stands_ms
        stands = stands_ms is not None and now_ms - stands_ms >= STANDS_MS
        if stands is not followed.stands:
            followed.stands = stands
            self._open.set(pump, "not-delivering", Priority.MEDIUM, now_ms, is_on=stands)
        left_min = message.reservoir_ml / max(message.rate_ml_h, 0.1) * 60.0
        is_low = delivers and left_min < BAG_MIN
        if is_low is not followed.is_low:
            followed.is_low = is_low
            self._open.set(pump, "reservoir-runs-out", Priority.MEDIUM, now_ms, is_on=is_low)
        marks = followed.marks
        # Twice a minute is enough for a window of 15 min.
        if (
            not marks
            or now_ms - marks[-1][0] >= MS_PER_MINUTE // 2
            or message.volume_ml < marks[-1][1]
        ):
            self._compare(followed, message, order[1], now_ms, delivers=delivers)

    def _compare(
        self,
        followed: _Followed,
        message: Telemetry,
        timeline: Timeline,
        now_ms: int,
        *,
        delivers: bool,
    ) -> None:
        """The counter over the last 15 min against the order; anew after whatever breaks it."""
        marks = followed.marks
        if marks and message.volume_ml < marks[-1][1]:
            marks.clear()
        marks.append((now_ms, message.volume_ml))
        while len(marks) > 1 and marks[1][0] <= now_ms - FLOW_MS:
            marks.popleft()
        since_ms, volume_ml = marks[0]
        over = under = False
        if now_ms - since_ms >= FLOW_MS:
            given_iu = (message.volume_ml - volume_ml) * message.concentration_iu_ml
            ordered_iu = timeline.dose_iu(since_ms, now_ms)
            over = given_iu > (1 + FLOW_SHARE) * ordered_iu
            under = delivers and given_iu < (1 - FLOW_SHARE) * ordered_iu
        if over is not followed.gives_more:
            followed.gives_more = over
            self._open.set(message.pump, "over-delivery", Priority.HIGH, now_ms, is_on=over)
        if under is not followed.gives_less:
            followed.gives_less = under
            self._open.set(message.pump, "under-delivery", Priority.MEDIUM, now_ms, is_on=under)

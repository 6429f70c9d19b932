"""What a rule looks at, and what it answers: every rule is a pure function between the two."""

from msgspec import Struct

from infusion.alarms import Priority
from infusion.allowed import Allowed
from infusion.messages import Evidence, PumpMessage, Telemetry
from infusion.prescription import Prescription, Timeline
from infusion.record import Record
from infusion.state import PumpState
from infusion.thresholds import Thresholds


class Situation(Struct):
    """All that is known of one pump at one instant of its own clock.

    `edge` is the newest live message, `telemetry` the newest one that tells everything,
    `heard_ms` the edge's time (or when the pump was first awaited), `delivering` whether it says
    that the pump gives what it is programmed to give. `record` is of
    the therapy that the pump names or last named, `prescription` and `timeline` are its order, the
    timeline on the pump's clock; `allowed` is what it allows now, with the time that people have
    to carry it out. `order_ms` is now on the order's time, in which blood is drawn too: it differs
    from `at_ms` by what the pump's clock was set. `ordered` says whether any order names this pump.
    """

    state: PumpState
    at_ms: int
    heard_ms: int
    edge: PumpMessage | None
    telemetry: Telemetry | None
    delivering: bool
    record: Record | None
    prescription: Prescription | None
    timeline: Timeline | None
    allowed: Allowed | None
    order_ms: int
    ordered: bool
    limits: Thresholds


class Verdict(Struct, frozen=True):
    """A hazard is there. `since_ms` None means: since it was first seen."""

    evidence: Evidence
    since_ms: int | None = None
    # At least this priority, whatever the level says.
    priority: Priority | None = None
    # At once, whatever the first level's delay says: there is nothing to wait for.
    certain: bool = False
    # What the protocol says to it, as information and never as an order.
    advice: str = ""

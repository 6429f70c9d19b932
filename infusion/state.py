"""What the monitor's core keeps: plain values that can be stored, moved and resumed anywhere.

Of these values, and of those that they are made of, none ever refers back to what holds it, so the
collector of cycles is told to pass them by (`gc=False`): to look at all of a large fleet takes it
seconds, in which no alert is raised.
"""

from zlib import crc32

from msgspec import Struct, field

from infusion.account import Account, Interval
from infusion.allowed import Bolus
from infusion.board import Board
from infusion.excess import FlowWatch
from infusion.level_grid import LevelWatch
from infusion.messages import Event, Presence, PumpMessage, Telemetry
from infusion.pacing import FLOW_INTERVAL_MS_MAX
from infusion.pressure import PressureWatch
from infusion.thresholds import SILENT_MS
from infusion.units import MS_PER_MINUTE


class MonitorSettings(Struct, frozen=True, kw_only=True):
    """What the core must be told.

    `stall_ms` bounds one step of the partition clock. `line_compliance_ml_mmhg` and the two
    pressures tell how much volume an occluded line holds: compliance × (pressure − free pressure)
    above `occlusion_pressure_mmhg`. The defaults are a choice for a stiff ambulatory set.

    `spreads_looks` has the look that each pump gets once a minute at an instant of its own: a large
    fleet that is first heard at once would be looked at at once, minute by minute.
    """

    stall_ms: int = 1_000
    rate_max_ml_h: float = 1_200.0
    line_compliance_ml_mmhg: float = 0.001
    free_pressure_mmhg: float = 50.0
    occlusion_pressure_mmhg: float = 150.0
    spreads_looks: bool = False


class Sign(Struct, array_like=True, gc=False):
    """Something odd that was seen: how often since the first time, when, and what it was.

    Once nothing was seen of it for a while (`SEEN_MS`), counting begins anew.
    """

    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    detail: str = ""


class Supply(Struct, array_like=True, gc=False):
    """Bag and battery, as telemetry told: mL, shares, and the pump's clock.

    `bag_ml` and `bag_pumped_nl` are the reservoir and the account when the bag was hung at
    `bag_ms`; `charge` is what the battery held when the mains went at `unplugged_ms`.
    """

    reservoir_ml: float | None = None
    bag_ms: int | None = None
    bag_ml: float = 0.0
    bag_pumped_nl: int = 0
    unplugged_ms: int | None = None
    charge: float = 0.0
    occluded_ms: list[int] = field(default_factory=list)


class Keypad(Struct, array_like=True, gc=False):
    """What people did at the pump: times on its clock.

    `rate_ms` is since when it is programmed to the rate that it has, `changed_ms` when rate or
    concentration last became others than those that are `settled` (mL/h, IU/mL), `checked_ms` when
    two people last checked.
    """

    rate_ms: int = 0
    changed_ms: int | None = None
    checked_ms: int | None = None
    overridden_ms: list[int] = field(default_factory=list)
    settled: tuple[float, float] | None = None


class PumpState(Struct, array_like=True, gc=False):
    """All that the monitor knows of one pump: plain, can be stored, moved and resumed."""

    site: str
    pump: str
    board: Board
    account: Account
    awaited_ms: int
    # The therapy that the account's window "therapy" counts: the last one that the pump named.
    therapy: str | None = None
    # The newest live telemetry, and the newest live event where that is newer.
    telemetry: Telemetry | None = None
    event: Event | None = None
    edge_key: int = -1
    # The newest stretch up to a live message that shows a flow.
    interval: Interval | None = None
    # A higher rate that the pump was programmed to before, and until when.
    faster_ml_h: float = 0.0
    faster_until_ms: int = 0
    flow: FlowWatch = field(default_factory=FlowWatch)
    pressure: PressureWatch = field(default_factory=PressureWatch)
    supply: Supply = field(default_factory=Supply)
    keypad: Keypad = field(default_factory=Keypad)
    # The ordered bolus that is being given, and those that were, with when each was begun.
    giving: Bolus | None = None
    given: list[tuple[Bolus, int]] = field(default_factory=list)
    signs: dict[str, Sign] = field(default_factory=dict)
    # The level in the blood, and the account's delivered IU up to which it goes.
    level: LevelWatch = field(default_factory=LevelWatch)
    level_iu: float = 0.0
    # What was delivered up to the newest live message: the account may be ahead of it by one.
    edge_iu: float = 0.0
    level_boot: int = 0
    heard_clock_ms: int = 0
    evaluated_ms: int = 0
    # When the pump is looked at though nothing came: on its own clock. Derived, and kept.
    due_ms: int = 0
    # Whether an alert is open or brewing that the numbers of any message may change.
    is_restless: bool = False
    # When things that only come with time are looked at next.
    minute_ms: int = 0
    # By how much the pump's clock was set since it was first heard: orders stand still meanwhile.
    clock_shift_ms: int = 0
    # Since when the pump delivers, or does not.
    standing_ms: int = 0
    held_iu: float = 0.0
    presence: Presence | None = None
    presence_ms: int = 0
    # How long the pump may be silent, by the interval that its presence names.
    silence_ms: int = SILENT_MS
    # The longest stretch between two of its messages that speaks of a flow.
    judged_ms: int = FLOW_INTERVAL_MS_MAX
    lag_ms: int = 0
    lag_clock_ms: int | None = None
    backfilled: int = 0
    # Messages at some instants, about a quarter of an hour apart: time, key of the edge, and how
    # many were accepted up to it.
    tally: list[tuple[int, int, int]] = field(default_factory=list)
    # What late messages told of since the level in the blood was begun, in IU.
    late_iu: float = 0.0
    # Who spoke under this pump's name, by its boot, and is not followed any more.
    rival_boot: int | None = None

    @property
    def edge(self) -> PumpMessage | None:
        """The newest live message."""
        return self.telemetry if self.event is None else self.event

    @property
    def edge_accepted(self) -> int:
        """How many messages were accepted up to the edge.

        The account is ahead of it while the deadlines before its next message fire.
        """
        ahead = sum(mark.key > self.edge_key for mark in self.account.recent)
        return self.account.accepted - ahead


class Clock(Struct):
    """The partition clock: see the head of infusion/monitor.py."""

    clock_ms: int = 0
    received_ms: int = 0
    stalled_ms: int = 0


def first_minute_ms(settings: MonitorSettings, key: str) -> int:
    """How long after a pump (`site/pump`) is first heard of its first look of a minute comes."""
    if not settings.spreads_looks:
        return MS_PER_MINUTE
    return 1 + crc32(key.encode()) % MS_PER_MINUTE


def unheeded(_name: str) -> None:
    """What is told of a coming change while nobody wants to know."""

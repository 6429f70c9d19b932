"""What the monitor's core keeps: plain values that can be stored, moved and resumed anywhere."""

from msgspec import Struct, field

from infusion.account import Account, Interval
from infusion.board import Board
from infusion.excess import FlowWatch
from infusion.level_grid import LevelWatch
from infusion.messages import Presence, PumpMessage
from infusion.thresholds import SILENT_MS


class MonitorSettings(Struct, frozen=True, kw_only=True):
    """What the core must be told.

    `stall_ms` bounds one step of the partition clock. `line_compliance_ml_mmhg` and the two
    pressures tell how much volume an occluded line holds: compliance × (pressure − free pressure)
    above `occlusion_pressure_mmhg`. The defaults are a choice for a stiff ambulatory set.
    """

    stall_ms: int = 1_000
    rate_max_ml_h: float = 1_200.0
    line_compliance_ml_mmhg: float = 0.001
    free_pressure_mmhg: float = 50.0
    occlusion_pressure_mmhg: float = 150.0


class PumpState(Struct):
    """All that the monitor knows of one pump: plain, can be stored, moved and resumed."""

    site: str
    pump: str
    board: Board
    account: Account
    awaited_ms: int
    # The therapy that the account's window "therapy" counts: the last one that the pump named.
    therapy: str | None = None
    # The newest live message, and the newest stretch up to one that shows a flow.
    edge: PumpMessage | None = None
    edge_key: int = -1
    interval: Interval | None = None
    # A higher rate that the pump was programmed to before, and until when.
    faster_ml_h: float = 0.0
    faster_until_ms: int = 0
    flow: FlowWatch = field(default_factory=FlowWatch)
    # The level in the blood, and the account's delivered IU up to which it goes.
    level: LevelWatch = field(default_factory=LevelWatch)
    level_iu: float = 0.0
    heard_clock_ms: int = 0
    evaluated_ms: int = 0
    # Since when the pump delivers, or does not.
    standing_ms: int = 0
    held_iu: float = 0.0
    presence: Presence | None = None
    presence_ms: int = 0
    # How long the pump may be silent, by the interval that its presence names.
    silence_ms: int = SILENT_MS
    identity_ms: int | None = None
    identity_detail: str = ""
    lag_ms: int = 0
    lag_clock_ms: int | None = None
    backfilled: int = 0


class Clock(Struct):
    """The partition clock: see the head of this file."""

    clock_ms: int = 0
    received_ms: int = 0
    stalled_ms: int = 0

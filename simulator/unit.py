"""One pump with everything around it: bag, order, faults, clock, connection."""

from typing import Literal

from msgspec import Struct

from infusion.library import DrugEntry
from infusion.messages import PREFIX, Kind
from infusion.truth import FaultTruth
from infusion.units import dose_iu, nanolitres
from simulator.clock import RIGHT, Clock
from simulator.cohort import Assignment
from simulator.conditions import Condition
from simulator.machine import POWERED, Mode
from simulator.profile import Profile
from simulator.programming import Behaviour, Settings
from simulator.pump import Pump
from simulator.story.plan import OrderVersion
from simulator.stream import Backlog


class Bag(Struct):
    """What hangs on a pump in truth, whatever the pump was told; doses count from the start."""

    concentration_iu_ml: float
    since_nl: int = 0
    dose_before_iu: float = 0.0

    def dose_iu(self, pumped_nl: int) -> float:
        """The dose pumped so far, all bags together."""
        volume_nl = pumped_nl - self.since_nl
        return self.dose_before_iu + dose_iu(volume_nl, self.concentration_iu_ml)

    def change(self, pumped_nl: int, concentration_iu_ml: float) -> None:
        """Hang another bag."""
        self.dose_before_iu = self.dose_iu(pumped_nl)
        self.since_nl = pumped_nl
        self.concentration_iu_ml = concentration_iu_ml


class OpenFault(Struct, frozen=True):
    """A fault in force: its word, its onset, and the doses up to then (simulator/fault_book.py)."""

    fault: str
    onset_ms: int
    ordered_iu: float
    pumped_iu: float
    patient_iu: float


class Unit(Struct, kw_only=True, eq=False):
    """One pump with everything around it. `faults` are in force, `ended` not yet told.

    `conditions` are the faults that work on physics, `wake_ms` is the time at which the rig has
    planned to look at the pump, if any.
    """

    index: int
    pump: Pump
    bag: Bag
    order: OrderVersion
    backlog: Backlog
    prefix: str
    on_mains: bool = True
    is_connected: bool = False
    offline_faults: int = 0
    silences: tuple[Literal["dropped", "kept"], ...] = ()
    faults: tuple[OpenFault, ...] = ()
    ended: tuple[FaultTruth, ...] = ()
    conditions: tuple[Condition, ...] = ()
    clock: Clock = RIGHT
    battery_health: float = 1.0
    warmed_ms: int = 0
    wake_ms: int | None = None

    @property
    def is_powered(self) -> bool:
        """Whether its electronics run."""
        return self.pump.mode in POWERED

    def topic(self, kind: Kind) -> str:
        """Where the pump's messages of a kind go; see infusion.messages.Topic."""
        return self.prefix + kind.value


def make_unit(
    profile: Profile,
    index: int,
    assignment: Assignment,
    order: OrderVersion,
    site: str,
    interval_s: float,
    behaviour: Behaviour,
    library: DrugEntry | None,
) -> Unit:
    settings = Settings(
        rate_ml_h=profile.programmable_ml_h(assignment.rate_ml_h),
        concentration_iu_ml=assignment.concentration_iu_ml,
        weight_kg=assignment.weight_kg,
        therapy=assignment.therapy,
        order_version=1,
        vtbi_ml=assignment.vtbi_ml,
    )
    pump = Pump(
        name=assignment.pump,
        profile=profile,
        settings=settings,
        interval_s=interval_s,
        behaviour=behaviour,
        library=library,
        mode=Mode.BOOTING,
        vtbi_at_nl=nanolitres(assignment.vtbi_ml) if assignment.vtbi_ml > 0 else None,
    )
    return Unit(
        index=index,
        pump=pump,
        bag=Bag(assignment.concentration_iu_ml),
        order=order,
        backlog=Backlog(profile.backlog_messages),
        prefix=f"{PREFIX}/{site}/{assignment.pump}/",
    )

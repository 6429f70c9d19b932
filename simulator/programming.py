"""What people program into a pump, and how the pumps of a site are set up."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from infusion.units import MS_PER_HOUR, MS_PER_SECOND, nanolitres


class Settings(Struct, frozen=True, kw_only=True):
    """What is programmed into a pump; kept over a reboot. `vtbi_ml` 0 is no volume limit."""

    rate_ml_h: float
    concentration_iu_ml: float
    weight_kg: float
    therapy: str | None
    order_version: int = 0
    vtbi_ml: float = 0.0

    def without_vtbi(self) -> "Settings":
        """The same without a volume limit, as keep-vein-open shows it."""
        return replace(self, vtbi_ml=0.0)


class Bolus(Struct, frozen=True):
    """A bolus, in the pump's own terms."""

    volume_ml: float
    duration_s: float


StepMode = Literal["multi-step", "multi-dosing", "ramp-taper"]


class Step(Struct, frozen=True):
    """One step of a program: a rate for a time, then `gap_s` of standing still.

    It ends when its volume is counted, so that a pause makes it later and not smaller.
    """

    rate_ml_h: float
    duration_s: float
    gap_s: float = 0.0

    @property
    def volume_nl(self) -> int:
        """What the step gives: V = rate × time."""
        return nanolitres(self.rate_ml_h * self.duration_s * MS_PER_SECOND / MS_PER_HOUR)


class Program(Struct, frozen=True):
    """Steps one after another; `mode` is IPEC's delivery mode without its prefix."""

    mode: StepMode
    steps: tuple[Step, ...]


class Behaviour(Struct, frozen=True, kw_only=True):
    """How the pumps of a site are set up; one object for all of them.

    `double_check`: start and programming wait for two people. `restarts_max`: automatic restarts
    after a transient occlusion, 0 to 9 (Alaris 8000, pump-standards §3.3 [V]); None for the
    profile's own number. `near_end_min`: warning so long before the VTBI is infused, 0 for none (1
    to 240 min on a Medfusion, same place [V]). `lock_code` opens the keypad [A].
    """

    double_check: bool = False
    restarts_max: int | None = None
    near_end_min: float = 0.0
    lock_code: str = "0000"

"""What a clinic makes happen, as values: who runs the clinic turns them into deeds and messages.

All have the time they happen at and the index of the patient, which is the pump's.
"""

from typing import Literal

from msgspec import Struct

from infusion.prescription import Step
from simulator.clinic.protocol import Test
from simulator.story.plan import OrderVersion

# How a specimen is. Nobody on the ward knows "lumen" (drawn from the heparin lumen) or "lost".
Condition = Literal["sound", "haemolysed", "clotted", "lost", "lumen"]
Slip = Literal[
    "tenfold",
    "units-for-ml",
    "pounds-for-kg",
    "late",
    "wrong-direction",
    "not-applied",
    "bolus-twice",
    "hold-forgotten",
    "restart-forgotten",
]


class Sampled(Struct, frozen=True, kw_only=True):
    """A specimen was drawn; `condition` is truth."""

    at_ms: int
    index: int
    specimen: str
    tests: tuple[Test, ...]
    condition: Condition


class Reading(Struct, frozen=True):
    """A test as the laboratory reports it. Units are those of UCUM.

    `bound` says that the value lies below or above what can be reported, and `value` is the limit.
    `problem` says why there is no value; the test is repeated.
    """

    value: float | None
    unit: str
    bound: Literal["", "below", "above"] = ""
    problem: Literal["", "haemolysed", "clotted"] = ""


class Resulted(Struct, frozen=True, kw_only=True):
    """A result came back."""

    at_ms: int
    index: int
    therapy: str
    specimen: str
    test: Test
    drawn_ms: int
    reading: Reading


class Ordered(Struct, frozen=True, kw_only=True):
    """The prescriber ordered `steps`, which are the last ones of the new version."""

    at_ms: int
    index: int
    version: OrderVersion
    steps: tuple[Step, ...]
    reason: str


class SetRate(Struct, frozen=True):
    """Programs a rate. `rate_ml_h` is what is typed, `intended_ml_h` what was meant.

    `weight_kg` is the weight typed where it is another than the order's.
    """

    rate_ml_h: float
    intended_ml_h: float
    weight_kg: float | None = None


class GiveBolus(Struct, frozen=True):
    """Gives a bolus with the pump."""

    dose_iu: float
    duration_s: float


class Pause(Struct, frozen=True):
    """Pauses the infusion for a hold."""


class Resume(Struct, frozen=True):
    """Starts it again at the end of a hold."""


class End(Struct, frozen=True):
    """Stops the infusion for good."""


Act = SetRate | GiveBolus | Pause | Resume | End


class Applied(Struct, frozen=True, kw_only=True):
    """A nurse does something at the pump to follow version `order_version` of the order.

    `act` is None where nothing is done and should be. `slip` is None when it is as ordered.
    """

    at_ms: int
    index: int
    order_version: int
    act: Act | None
    slip: Slip | None = None


class Reported(Struct, frozen=True, kw_only=True):
    """The patient, or who lives with them, calls."""

    at_ms: int
    index: int
    therapy: str
    what: Literal["bleeding", "bruising"]


Happening = Sampled | Resulted | Ordered | Applied | Reported
